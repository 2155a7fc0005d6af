// ctest: timeout=60
/* Signals: a channel gives up some of them; a handler that somebody else put there meanwhile.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <signal.h>
#include <unistd.h>

static void (*handler_of(int sig))(int) {
  struct sigaction a;
  CHECK_EQ(sigaction(sig, NULL, &a), 0);
  return a.sa_handler;
}
static int next(gos_chan *c) {
  int sig = -1;
  CHECK_EQ(gos_chan_recv(c, &sig), GOS_OK);
  return sig;
}

/* Not raise(): main may be on a thread of the runtime, which takes none. */
static void send(int sig) { CHECK_EQ(kill(getpid(), sig), 0); }

TEST(stop_some) {
  gos_chan *c = gos_chan_make(sizeof(int), 4);
  int both[] = {SIGUSR1, SIGUSR2};
  CHECK_EQ(gos_signal_notify(c, both, 2), GOS_OK);
  CHECK_EQ(gos_signal_stop_some(c, both, 1), GOS_OK);
  CHECK(handler_of(SIGUSR1) == SIG_DFL);
  send(SIGUSR2);
  CHECK_EQ(next(c), SIGUSR2);
  CHECK_EQ(gos_signal_notify(c, both, 1), GOS_OK);
  send(SIGUSR1);
  CHECK_EQ(next(c), SIGUSR1);
  CHECK_EQ(gos_signal_stop_some(c, both, 2), GOS_OK);
  CHECK_EQ(gos_signal_stop_some(c, NULL, 0), GOS_OK);
  CHECK(handler_of(SIGUSR2) == SIG_DFL);
  CHECK_EQ(gos_signal_stop_some(NULL, both, 2), GOS_INVAL);
  CHECK_EQ(gos_signal_stop_some(c, (int[]){SIGKILL}, 1), GOS_INVAL);
  gos_chan_release(c);
}

static atomic_int theirs;
static void their_handler(int sig) { theirs = sig; }

TEST(taken_again) {
  gos_chan *c = gos_chan_make(sizeof(int), 4);
  int sig = SIGUSR1;
  CHECK_EQ(gos_signal_notify(c, &sig, 1), GOS_OK);
  signal(sig, their_handler);
  send(sig);
  while (theirs != sig) gos_gosched();
  CHECK_EQ(gos_signal_notify(c, &sig, 1), GOS_OK);
  send(sig);
  CHECK_EQ(next(c), sig);
  CHECK_EQ(gos_signal_stop(c), GOS_OK);
  CHECK(handler_of(sig) == their_handler); /* what was there last */
  signal(sig, SIG_DFL);
  gos_chan_release(c);
}

TEST(ignored_then_notified) {
  gos_chan *c = gos_chan_make(sizeof(int), 4);
  int sig = SIGUSR1;
  signal(sig, their_handler);
  CHECK_EQ(gos_signal_ignore(&sig, 1), GOS_OK);
  CHECK_EQ(gos_signal_notify(c, &sig, 1), GOS_OK);
  send(sig);
  CHECK_EQ(next(c), sig);
  CHECK_EQ(gos_signal_reset(&sig, 1), GOS_OK);
  CHECK(handler_of(sig) == their_handler);
  signal(sig, SIG_DFL);
  gos_chan_release(c);
}
