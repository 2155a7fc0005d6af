// ctest: timeout=300
/* A million goroutines parked on one channel, woken by close, joined through a WaitGroup.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static gos_chan *gate;
static gos_waitgroup wg;
static atomic_long entered, left;

static void waits(void *arg) {
  (void)arg;
  atomic_fetch_add(&entered, 1);
  if (gos_chan_recv(gate, NULL) == GOS_CLOSED) atomic_fetch_add(&left, 1);
}

static long resident(void) {
  long pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f || fscanf(f, "%*s %ld", &pages) != 1) pages = 0;
  if (f) fclose(f);
  return pages * sysconf(_SC_PAGESIZE);
}

static int parked_on_gate(const gos_info *i, void *n) {
  return *(long *)n += i->wait_reason && !strcmp(i->wait_reason, "chan receive"), 0;
}

TEST_RAW(a_million) {
  long n = scaled_live(1000000), parked = 0, before;
  CHECK((gate = gos_chan_make(0, 0)));
  before = resident();
  gos_ns start = gos_now();
  for (long i = 0; i < n; i++) CHECK_EQ(gos_waitgroup_go(&wg, waits, NULL), GOS_OK);
  while (parked < n) parked = 0, gos_gosched(), entered == n && gos_foreach(parked_on_gate, &parked);
  CHECK_EQ(gos_num_goroutine(), n + 1);
  printf("  %ld parked in %.2f s, %ld bytes each\n", n, (double)(gos_now() - start) / 1e9, (resident() - before) / n);
  start = gos_now();
  CHECK_EQ(gos_chan_close(gate), GOS_OK);
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
  CHECK_EQ(left, n);
  printf("  woken and joined in %.2f s\n", (double)(gos_now() - start) / 1e9);
  while (gos_num_goroutine() > 1) gos_gosched();
  gos_chan_release(gate);
}

/* And again on the same stacks, in waves. */
TEST(waves) {
  for (int wave = 0; wave < 3; wave++) {
    long n = scaled_live(20000);
    entered = left = 0;
    gate = gos_chan_make(0, 0);
    for (long i = 0; i < n; i++) CHECK_EQ(gos_waitgroup_go(&wg, waits, NULL), GOS_OK);
    while (entered < n) gos_gosched();
    gos_chan_close(gate);
    CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
    CHECK_EQ(left, n);
    while (gos_num_goroutine() > 1) gos_gosched(); /* all have let go of the channel */
    gos_chan_release(gate);
  }
}
