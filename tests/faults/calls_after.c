/* Calls after a while: all at once, each with a goroutine that has to be made.
 * SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"

enum { CALLS = 100 };
static gos_waitgroup begun;
static gos_chan *go_on;
static void begins(void *arg) {
  (void)arg;
  gos_waitgroup_done(&begun);
  gos_chan_recv(go_on, NULL); /* so that the next needs memory of its own */
}

/* One that could not start for lack of memory is tried again, not lost: had it been, this would be a deadlock. */
void workload(void) {
  gos_timer *t[CALLS];
  if (!GOT(go_on = gos_chan_make(0, 0))) return;
  gos_waitgroup_add(&begun, CALLS);
  for (int i = 0; i < CALLS; i++)
    if (!GOT(t[i] = gos_after_func(MS / 10, begins, NULL))) gos_waitgroup_done(&begun);
  int e = gos_waitgroup_wait_dl(&begun, gos_now() + 20 * MS);
  if (e) faults_end(); /* what fails for ever has kept them from it */
  if (e) CHECK_EQ(gos_waitgroup_wait(&begun), GOS_OK);
  gos_chan_close(go_on);
  for (int i = 0; i < CALLS; i++) gos_timer_free(t[i]);
  settle();
  gos_chan_release(go_on);
}
