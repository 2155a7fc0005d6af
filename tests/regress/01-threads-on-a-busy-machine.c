// ctest: timeout=200
/* Threads receive from goroutines while the machine has more to do than CPUs. Three things broke:
 *   - a P given to a thread that had not begun to run was taken from it as from one stuck in user code;
 *   - two threads that switched to each other's goroutine each waited for the other to save it first;
 *   - a woken thread that had no CPU yet counted as asleep: "all goroutines are asleep".
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <pthread.h>

enum { THREADS = 4, VALUES = 2000 };
static gos_chan *c;
static atomic_long sum;

static void sends(void *arg) {
  (void)arg;
  for (long i = 1; i <= VALUES; i++) CHECK_EQ(gos_chan_send(c, &i), GOS_OK);
}
static void *receives(void *arg) {
  long v;
  gos_chan_range(c, &v) atomic_fetch_add(&sum, v);
  return arg;
}

static void round_of_threads(void) {
  pthread_t t[THREADS];
  gos_g *g[3];
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 2}), GOS_OK);
  c = gos_chan_make(sizeof(long), 0);
  for (int i = 0; i < 3; i++) g[i] = spawn(sends, NULL);
  for (int i = 0; i < THREADS; i++) CHECK_EQ(pthread_create(&t[i], NULL, receives, NULL), 0);
  for (int i = 0; i < 3; i++) finish(g[i]);
  gos_chan_close(c);
  for (int i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
  CHECK_EQ(sum, 3L * VALUES * (VALUES + 1) / 2);
}

TEST_RAW(fresh_runtimes_on_a_busy_machine) {
  enum { AT_ONCE = 16 };
  for (long i = scaled(20); i; i--) {
    for (int k = 0; k < AT_ONCE; k++) {
      if (fork()) continue;
      prctl(PR_SET_PDEATHSIG, SIGKILL), alarm(60);
      round_of_threads();
      exit(0);
    }
    for (int k = 0, status = -1; k < AT_ONCE; k++) {
      CHECK(wait(&status) > 0);
      CHECK_EQ(status, 0);
    }
  }
}
