// ctest: not-in=arm64
// ctest: timeout=120
/* A handle released while its goroutine was ending left the done channel behind: whoever gave up the
 * last reference, only gos_release() freed it, and only when it saw that it was the last.
 * (Under qemu-user more of them live at once than its limit allows for.)
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <malloc.h>
#include <pthread.h>

static void nothing(void *arg) { (void)arg; }

/* Each one lost was 144 bytes: however small the scale, some must show beside what comes and goes anyway. */
enum { ROUNDS = 20000, ROUNDS_MIN = 2000, SLACK = 64 * 1024 };
static long rounds(void) { return scaled(ROUNDS) < ROUNDS_MIN ? ROUNDS_MIN : scaled(ROUNDS); }

static void *joins_and_releases(void *arg) {
  for (long i = rounds(); i; i--) {
    gos_g *g = spawn(nothing, NULL);
    CHECK(gos_done(g));
    CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
    gos_release(g);
  }
  return arg;
}

/* More goroutines at once than the caches of four Ps keep, each with its done channel: what comes after them needs no
   memory that stays, wherever it ends. */
enum { ENOUGH = 3000 };
static void waits(void *c) { gos_chan_recv(c, NULL); }
static void fill_caches(void) {
  static gos_g *g[ENOUGH];
  gos_chan *c = gos_chan_make(0, 0);
  for (int i = 0; i < ENOUGH; i++) CHECK(gos_done(g[i] = spawn(waits, c)));
  gos_chan_close(c);
  for (int i = 0; i < ENOUGH; i++) finish(g[i]);
  gos_chan_release(c);
}

/* Threads wake at once, on another CPU, and so get to the release while the goroutine is at its end. */
TEST(memory_stays_the_same) {
  size_t before = 0;
  fill_caches();
  for (int round = 0; round < 2; round++) {
    pthread_t t[2];
    for (int i = 0; i < 2; i++) CHECK_EQ(pthread_create(&t[i], NULL, joins_and_releases, NULL), 0);
    for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
    if (!before) before = mallinfo2().uordblks;
  }
  CHECK(mallinfo2().uordblks < before + SLACK);
}
