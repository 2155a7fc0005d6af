// ctest: timeout=60
/* A goroutine that ended locked took its thread along while the others slept without a deadline, as that thread had
 * the only P and with it the timers: nobody looked at them any more, and sleepers slept for ever.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static void ends_locked(void *u) {
  gos_lock_os_thread();
  if (u) CHECK_EQ(gos_chan_recv_dl(NULL, NULL, gos_now() + MS), GOS_TIMEDOUT);
}
static void sleeps(void *u) {
  (void)u;
  CHECK_EQ(gos_sleep(5 * MS), GOS_OK);
}

/* On the first thread, with nobody else there yet; on others. */
TEST(main_sleeps) {
  CHECK_EQ(gos_go(ends_locked, NULL), GOS_OK);
  CHECK_EQ(gos_sleep(5 * MS), GOS_OK);
}
TEST(others_sleep) {
  for (int i = 0; i < 20; i++) {
    gos_g *g[4];
    for (int k = 0; k < 4; k++) g[k] = spawn(k == i % 4 ? ends_locked : sleeps, i % 2 ? g : NULL);
    for (int k = 0; k < 4; k++) finish(g[k]);
    CHECK_EQ(gos_sleep(MS), GOS_OK);
  }
}
