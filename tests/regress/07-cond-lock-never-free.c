// ctest: not-in=thread,arm64
/* Who had waited for a condition took its lock back in a loop that a deadlock did not end: where the lock was
 * held by somebody asleep for ever, main span. (Under ThreadSanitizer and qemu-user, whose threads count, there are no
 * deadlocks.)
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static gos_mutex mu;
static gos_cond cond;

static void keeps(void *arg) {
  (void)arg;
  gos_mutex_lock(&mu); /* main waits */
  gos_cond_signal(&cond);
  gos_chan_recv(NULL, NULL);
}

static void reported(const char *report) { (void)report; }

TEST_RAW(deadlock_ends_the_wait_for_the_lock) {
  if (!test_counts_threads()) return;
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .on_deadlock = reported}), GOS_OK);
  gos_mutex_lock(&mu);
  CHECK_EQ(gos_go(keeps, NULL), GOS_OK);
  CHECK_EQ(gos_cond_wait(&cond, &mu), GOS_DEADLOCK);
  CHECK_EQ(gos_mutex_trylock(&mu), GOS_WOULDBLOCK);
}
