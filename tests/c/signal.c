// ctest: not-in=arm64
// ctest: timeout=60
/* Signals as values of channels.
 * (qemu-user lacks the last real-time signals.)
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include "test.h"

/* Kept within reach: what a test leaves open is no leak. */
static gos_chan *make(size_t cap) {
  static gos_chan *volatile kept[1024];
  static _Atomic unsigned n;
  gos_chan *c = gos_chan_make(sizeof(int), cap);
  return kept[n++ % 1024] = c;
}
static int next(gos_chan *c) {
  int sig = 0;
  CHECK_EQ(gos_chan_recv(c, &sig), GOS_OK);
  return sig;
}
static void notify(gos_chan *c, int sig) { CHECK_EQ(gos_signal_notify(c, &sig, 1), GOS_OK); }
static void send(int sig) { CHECK_EQ(kill(getpid(), sig), 0); }

TEST(one_signal) {
  gos_chan *c = make(1);
  notify(c, SIGUSR1);
  for (int i = 0; i < 20; i++) {
    send(SIGUSR1);
    CHECK_EQ(next(c), SIGUSR1);
  }
  CHECK_EQ(gos_signal_stop(c), GOS_OK);
  CHECK_EQ(gos_chan_len(c), 0);
  gos_chan_release(c);
}

TEST(an_unbuffered_channel_gets_it_while_somebody_waits) {
  gos_chan *c = make(0), *after = make(1);
  notify(c, SIGUSR1);
  notify(after, SIGUSR1);
  send(SIGUSR1); /* lost */
  CHECK_EQ(next(after), SIGUSR1);
  int v;
  CHECK_EQ(gos_chan_recv_dl(c, &v, gos_now() + 1), GOS_TIMEDOUT);
  for (;;) {
    int e;
    send(SIGUSR1);
    if ((e = gos_chan_recv_dl(c, &v, gos_now() + 5 * MS)) == GOS_OK) break;
    CHECK_EQ(e, GOS_TIMEDOUT);
  }
  CHECK_EQ(v, SIGUSR1);
}

TEST(several_channels_and_several_signals) {
  gos_chan *a = make(8), *b = make(8);
  int two[] = {SIGUSR1, SIGUSR2};
  notify(a, SIGUSR1);
  CHECK_EQ(gos_signal_notify(b, two, 2), GOS_OK);
  send(SIGUSR1);
  CHECK_EQ(next(a), SIGUSR1);
  CHECK_EQ(next(b), SIGUSR1);
  send(SIGUSR2);
  CHECK_EQ(next(b), SIGUSR2);
  notify(a, SIGUSR2); /* adds up */
  send(SIGUSR2);
  CHECK_EQ(next(a), SIGUSR2);
  CHECK_EQ(next(b), SIGUSR2);
  send(SIGUSR1);
  CHECK_EQ(next(a), SIGUSR1);
  CHECK_EQ(gos_signal_stop(a), GOS_OK);
  CHECK_EQ(next(b), SIGUSR1);
  send(SIGUSR1);
  CHECK_EQ(next(b), SIGUSR1);
  CHECK_EQ(gos_chan_len(a), 0);
  CHECK_EQ(gos_signal_stop(a), GOS_OK); /* again: nothing to do */
  CHECK_EQ(gos_signal_stop(b), GOS_OK);
  gos_chan_release(a), gos_chan_release(b);
}

TEST(a_full_channel_misses_it) {
  gos_chan *full = make(1), *c = make(100);
  notify(full, SIGUSR1);
  notify(c, SIGUSR1);
  for (int i = 0; i < 5; i++) {
    send(SIGUSR1);
    CHECK_EQ(next(c), SIGUSR1);
  }
  CHECK_EQ(gos_chan_len(full), 1);
}

static _Atomic int mine;
static void my_handler(int sig) { (void)sig, mine++; }
static void until_mine(int n) {
  while (mine < n) gos_gosched(), sched_yield();
  CHECK_EQ(mine, n);
}
TEST(earlier_handlers_come_back) {
  struct sigaction a = {.sa_handler = my_handler}, now;
  gos_chan *c = make(1), *d = make(1);
  CHECK_EQ(sigaction(SIGUSR1, &a, NULL), 0);
  send(SIGUSR1), until_mine(1);
  notify(c, SIGUSR1), notify(d, SIGUSR1);
  send(SIGUSR1);
  CHECK_EQ(next(c), SIGUSR1);
  CHECK_EQ(gos_signal_stop(c), GOS_OK);
  send(SIGUSR1);
  while (gos_chan_len(d) == 0) gos_gosched();
  CHECK_EQ(gos_signal_stop(d), GOS_OK);
  send(SIGUSR1), until_mine(2);
  notify(c, SIGUSR1);
  CHECK_EQ(gos_signal_reset(NULL, 0), GOS_OK);
  send(SIGUSR1), until_mine(3);
  CHECK_EQ(gos_signal_ignore((int[]){SIGUSR1}, 1), GOS_OK);
  CHECK_EQ(gos_signal_ignored(SIGUSR1), 1);
  send(SIGUSR1);
  CHECK_EQ(gos_signal_reset((int[]){SIGUSR1}, 1), GOS_OK);
  CHECK_EQ(gos_signal_ignored(SIGUSR1), 0);
  send(SIGUSR1), until_mine(4);
  notify(c, SIGUSR1); /* somebody else takes it from us: theirs stays */
  a.sa_handler = SIG_IGN;
  CHECK_EQ(sigaction(SIGUSR1, &a, NULL), 0);
  CHECK_EQ(gos_signal_stop(c), GOS_OK);
  CHECK_EQ(sigaction(SIGUSR1, NULL, &now), 0);
  CHECK(now.sa_handler == SIG_IGN);
}

TEST(ignore_ends_a_notify) {
  gos_chan *c = make(4), *other = make(4);
  notify(c, SIGUSR1), notify(c, SIGUSR2), notify(other, SIGUSR2);
  CHECK_EQ(gos_signal_ignore((int[]){SIGUSR1}, 1), GOS_OK);
  send(SIGUSR1), send(SIGUSR2);
  CHECK_EQ(next(other), SIGUSR2);
  CHECK_EQ(next(c), SIGUSR2);
  CHECK_EQ(gos_chan_len(c), 0);
  notify(c, SIGUSR1); /* and may be asked for again */
  send(SIGUSR1);
  CHECK_EQ(next(c), SIGUSR1);
}

TEST(all_signals) {
  gos_chan *c = make(8);
  CHECK_EQ(gos_signal_notify(c, NULL, 0), GOS_OK);
  send(SIGTERM);
  CHECK_EQ(next(c), SIGTERM);
  send(SIGHUP);
  CHECK_EQ(next(c), SIGHUP);
  send(SIGRTMAX);
  CHECK_EQ(next(c), SIGRTMAX);
  CHECK_EQ(gos_signal_stop(c), GOS_OK);
  struct sigaction now;
  CHECK_EQ(sigaction(SIGTERM, NULL, &now), 0);
  CHECK(now.sa_handler == SIG_DFL);
}

TEST(bad_arguments) {
  gos_chan *c = make(1), *wide = gos_chan_make(8, 1);
  int kill_it = SIGKILL, fault = SIGSEGV, none = 0, many = 65, good_and_bad[] = {SIGUSR1, -3};
  CHECK_EQ(gos_signal_notify(NULL, NULL, 0), GOS_INVAL);
  CHECK_EQ(gos_signal_notify(wide, NULL, 0), GOS_INVAL);
  CHECK_EQ(gos_signal_notify(c, NULL, 1), GOS_INVAL);
  CHECK_EQ(gos_signal_notify(c, &none, -1), GOS_INVAL);
  CHECK_EQ(gos_signal_notify(c, &kill_it, 1), GOS_INVAL);
  CHECK_EQ(gos_signal_notify(c, &fault, 1), GOS_INVAL);
  CHECK_EQ(gos_signal_notify(c, &none, 1), GOS_INVAL);
  CHECK_EQ(gos_signal_notify(c, &many, 1), GOS_INVAL);
  CHECK_EQ(gos_signal_notify(c, good_and_bad, 2), GOS_INVAL);
  struct sigaction now;
  CHECK_EQ(sigaction(SIGUSR1, NULL, &now), 0);
  CHECK(now.sa_handler == SIG_DFL);
  gos_chan_release(wide);
  CHECK_EQ(gos_signal_stop(NULL), GOS_INVAL);
  CHECK_EQ(gos_signal_ignored(0), GOS_INVAL);
  CHECK_EQ(gos_signal_ignored(SIGPIPE) >= 0, 1);
}

TEST(a_closed_channel_is_no_harm) {
  gos_chan *c = make(1), *d = make(1);
  notify(c, SIGUSR1), notify(d, SIGUSR1);
  CHECK_EQ(gos_chan_close(c), GOS_OK);
  gos_chan_release(c); /* kept by the registration */
  send(SIGUSR1);
  CHECK_EQ(next(d), SIGUSR1);
  CHECK_EQ(gos_signal_reset(NULL, 0), GOS_OK);
}

#if !TEST_TSAN /* it leaves a thread with all signals blocked when one comes while it hands over another */
/* ---- storms ---------------------------------------------------------------------------- */
static _Atomic bool enough;
static _Atomic long got;
static void counts(void *arg) {
  int sig;
  while (gos_chan_recv(arg, &sig) == GOS_OK && sig != SIGTERM) {
    CHECK(sig == SIGUSR1 || sig == SIGUSR2);
    got++;
  }
}
static void *sends_many(void *arg) {
  for (int i = 0; !enough; i++) send(i % 2 ? SIGUSR1 : SIGUSR2);
  return arg;
}
static void comes_and_goes(void *arg) {
  (void)arg;
  for (int i = 0; i < scaled(200); i++) {
    gos_chan *c = make(1);
    notify(c, SIGUSR1);
    gos_gosched();
    CHECK_EQ(gos_signal_stop(c), GOS_OK);
    size_t n = gos_chan_len(c);
    gos_gosched();
    CHECK_EQ(gos_chan_len(c), n); /* nothing after the stop */
    gos_chan_release(c);
  }
}
TEST(storm) {
  gos_chan *c = make(16);
  pthread_t t;
  int all[] = {SIGUSR1, SIGUSR2, SIGTERM};
  CHECK_EQ(gos_signal_notify(c, all, 3), GOS_OK);
  gos_g *a = spawn(counts, c), *b = spawn(comes_and_goes, NULL), *d = spawn(comes_and_goes, NULL);
  pthread_create(&t, NULL, sends_many, NULL);
  finish(b), finish(d);
  while (got < scaled(1000)) gos_gosched();
  enough = true;
  pthread_join(t, NULL);
  for (gos_info i = {0}; strcmp((gos_info_get(a, &i, sizeof i), i.status), "dead");) {
    send(SIGTERM);
    gos_gosched();
  }
  finish(a);
}

/* And it allows no new threads in the child of a threaded process. */
TEST(fork_keeps_what_was_asked_for) {
  gos_chan *c = make(4);
  int status = -1;
  notify(c, SIGUSR1);
  send(SIGUSR1);
  CHECK_EQ(next(c), SIGUSR1);
  pid_t pid = fork();
  if (!pid) {
    alarm(20);
    send(SIGUSR1);
    CHECK_EQ(next(c), SIGUSR1);
    CHECK_EQ(gos_signal_stop(c), GOS_OK);
    _exit(0);
  }
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  CHECK_EQ(status, 0);
  CHECK_EQ(gos_chan_len(c), 0);
  send(SIGUSR1);
  CHECK_EQ(next(c), SIGUSR1);
}
#endif
