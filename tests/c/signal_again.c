// ctest: not-in=thread
/* A signal that was ignored or reset, and asked for again by somebody else: who asked before hears nothing of it.
 * (ThreadSanitizer keeps some signals to itself for a while.) SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static void asked_again(int (*forget)(const int *sigs, int n)) {
  int sig = SIGUSR1, got = 0;
  gos_chan *first = gos_chan_make(sizeof(int), 4), *second = gos_chan_make(sizeof(int), 4);
  for (int round = 0; round < 3; round++) {
    CHECK_EQ(gos_signal_notify(first, &sig, 1), GOS_OK);
    CHECK_EQ(kill(getpid(), sig), 0);
    CHECK_EQ(gos_chan_recv(first, &got), GOS_OK);
    CHECK_EQ(got, sig);
    CHECK_EQ(forget(&sig, 1), GOS_OK);
    CHECK_EQ(gos_signal_notify(second, &sig, 1), GOS_OK);
    CHECK_EQ(kill(getpid(), sig), 0);
    CHECK_EQ(gos_chan_recv(second, &got), GOS_OK);
    CHECK_EQ(gos_signal_stop(second), GOS_OK); /* what has come until now has been sent */
    CHECK_EQ(gos_chan_len(first), 0);
  }
  gos_chan_release(first), gos_chan_release(second);
}
TEST(after_ignore) { asked_again(gos_signal_ignore); }
TEST(after_reset) { asked_again(gos_signal_reset); }
