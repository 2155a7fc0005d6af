// ctest: not-in=thread
// ctest: timeout=60
/* Contexts that end when a signal comes.
 * (Under ThreadSanitizer as signal.c.)
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <gossamer/host.h>
#include <pthread.h>

static void raise_it(int sig) { CHECK_EQ(kill(getpid(), sig), 0); }
static gos_ctx *signal_ctx(gos_ctx *p, int sig) {
  int e = 1;
  gos_ctx *x = gos_signal_ctx(p, &sig, 1, &e);
  CHECK(x);
  CHECK_EQ(e, GOS_OK);
  return x;
}
static void until_ended(gos_ctx *x) {
  if (!gos_ctx_err(x)) CHECK_EQ(gos_chan_recv(gos_ctx_done(x), NULL), GOS_CLOSED);
}
static void until_alone(void) {
  while (gos_num_goroutine() > 1) gos_gosched(), sched_yield();
}
static bool is_default(int sig) {
  struct sigaction a;
  CHECK_EQ(sigaction(sig, NULL, &a), 0);
  return a.sa_handler == SIG_DFL;
}

TEST(a_signal_ends_it) {
  gos_chan *c = gos_chan_make(sizeof(int), 1);
  int sig = SIGUSR1, got;
  for (long i = scaled(200); i; i--) {
    gos_ctx *x = signal_ctx(NULL, SIGUSR1), *below = gos_with_cancel(x);
    CHECK_EQ(gos_signal_notify(c, &sig, 1), GOS_OK);
    CHECK_EQ(gos_ctx_err(x), GOS_OK);
    raise_it(SIGUSR1);
    CHECK_EQ(gos_chan_recv(c, &got), GOS_OK);
    until_ended(below); /* no deadlock is reported meanwhile: somebody waits for signals */
    CHECK_EQ(gos_ctx_err(below), GOS_CANCELED);
    CHECK_EQ(gos_ctx_err(x), GOS_CANCELED);
    CHECK_EQ(gos_ctx_cause(x), SIGUSR1);
    CHECK_EQ(gos_ctx_cause(below), SIGUSR1);
    gos_ctx_release(x);
    CHECK(!is_default(SIGUSR1)); /* a child keeps it */
    raise_it(SIGUSR1);
    CHECK_EQ(gos_chan_recv(c, &got), GOS_OK); /* before it may kill again */
    gos_ctx_release(below);
    CHECK_EQ(gos_signal_stop(c), GOS_OK);
    CHECK(is_default(SIGUSR1));
  }
  gos_chan_release(c);
  until_alone();
}

TEST(a_release_stops_it) {
  gos_ctx *x = signal_ctx(NULL, SIGUSR1), *y = signal_ctx(NULL, SIGUSR1);
  CHECK_EQ(gos_num_goroutine(), 3);
  gos_ctx_release(x);
  CHECK(!is_default(SIGUSR1));
  raise_it(SIGUSR1);
  until_ended(y);
  gos_ctx_release(y);
  CHECK(is_default(SIGUSR1));
  until_alone();
}

TEST(a_cancel_stops_it) {
  gos_ctx *x = signal_ctx(NULL, SIGUSR1);
  gos_cancel(x, 9);
  CHECK_EQ(gos_ctx_cause(x), 9);
  CHECK(is_default(SIGUSR1));
  gos_cancel(x, 10);
  until_alone();
  gos_ctx_release(x);

  gos_chan *c = gos_chan_make(sizeof(int), 1);
  int sig = SIGUSR1, got;
  CHECK_EQ(gos_signal_notify(c, &sig, 1), GOS_OK);
  x = signal_ctx(NULL, SIGUSR1);
  raise_it(SIGUSR1);
  until_ended(x);
  CHECK_EQ(gos_chan_recv(c, &got), GOS_OK);
  raise_it(SIGUSR1); /* a second one is caught, too, */
  CHECK_EQ(gos_chan_recv(c, &got), GOS_OK);
  CHECK_EQ(gos_signal_stop(c), GOS_OK);
  gos_chan_release(c);
  CHECK(!is_default(SIGUSR1));
  gos_cancel(x, 0); /* until it is cancelled */
  CHECK(is_default(SIGUSR1));
  CHECK_EQ(gos_ctx_cause(x), SIGUSR1);
  gos_ctx_release(x);
  until_alone();
}

TEST(its_parent_ends_it) {
  int key;
  gos_ctx *c = gos_with_cancel(NULL), *p = gos_with_value(c, &key, &key), *x = signal_ctx(p, SIGUSR1);
  CHECK(gos_ctx_value(x, &key) == &key);
  gos_cancel(c, 4);
  CHECK_EQ(gos_ctx_cause(x), 4);
  gos_ctx_release(x);
  x = signal_ctx(p, SIGUSR1); /* born ended */
  CHECK_EQ(gos_ctx_cause(x), 4);
  gos_ctx_release(x), gos_ctx_release(p), gos_ctx_release(c);
  p = gos_with_timeout(NULL, MS / 2);
  x = signal_ctx(p, SIGUSR1);
  until_ended(x);
  CHECK_EQ(gos_ctx_err(x), GOS_TIMEDOUT);
  gos_ctx_release(x), gos_ctx_release(p);
  CHECK(is_default(SIGUSR1));
  until_alone();
}

TEST(arguments) {
  int e = 0, bad = SIGKILL, none = 0, two[] = {SIGUSR1, SIGUSR2};
  CHECK(!gos_signal_ctx(NULL, &bad, 1, &e));
  CHECK_EQ(e, GOS_INVAL);
  CHECK(!gos_signal_ctx(NULL, &none, 1, NULL));
  CHECK(!gos_signal_ctx(NULL, NULL, 1, &e));
  CHECK_EQ(e, GOS_INVAL);
  CHECK(!gos_signal_ctx(NULL, two, -1, &e));
  CHECK_EQ(gos_num_goroutine(), 1);
  gos_ctx *x = gos_signal_ctx(NULL, two, 2, NULL), *all = gos_signal_ctx(NULL, NULL, 0, &e);
  CHECK(x && all);
  raise_it(SIGUSR2);
  until_ended(x), until_ended(all);
  CHECK_EQ(gos_ctx_cause(x), SIGUSR2);
  CHECK_EQ(gos_ctx_cause(all), SIGUSR2);
  gos_ctx_release(x), gos_ctx_release(all);
  until_alone();
}

/* Waits obey it, also in foreign threads. */
static void *waits(void *x) {
  CHECK_EQ(gos_chan_recv_ctx(NULL, NULL, x), GOS_CANCELED);
  return NULL;
}
static void goroutine_waits(void *x) { waits(x); }
TEST(waits_obey_it) {
  pthread_t t;
  gos_ctx *x = signal_ctx(NULL, SIGUSR1);
  CHECK_EQ(pthread_create(&t, NULL, waits, x), 0);
  gos_g *g = spawn(goroutine_waits, x);
  until_parked(g, "chan receive (nil chan)");
  raise_it(SIGUSR1);
  waits(x);
  finish(g);
  pthread_join(t, NULL);
  gos_ctx_release(x);
}

/* Signals, cancels and releases at once: nothing is left over. */
static void *signals(void *stop) {
  while (!*(atomic_bool *)stop) raise_it(SIGUSR2), usleep(50);
  return NULL;
}
static void makes_and_drops(void *arg) {
  for (long i = scaled(100); i; i--) {
    gos_ctx *x = signal_ctx(arg, SIGUSR2), *below = gos_with_cancel(x);
    if (i % 3 == 0) until_ended(x);
    if (i % 3 == 1) gos_cancel(x, 1);
    gos_ctx_release(x);
    if (i % 4 == 0) gos_gosched();
    gos_ctx_release(below);
  }
}
TEST(races) {
  pthread_t t;
  atomic_bool stop = false;
  gos_g *g[4];
  gos_ctx *keep = signal_ctx(NULL, SIGUSR2); /* the signal is caught throughout */
  CHECK_EQ(pthread_create(&t, NULL, signals, &stop), 0);
  for (int i = 0; i < 4; i++) g[i] = spawn(makes_and_drops, NULL);
  for (int i = 0; i < 4; i++) finish(g[i]);
  stop = true;
  gos_entersyscall();
  pthread_join(t, NULL);
  gos_exitsyscall();
  gos_ctx_release(keep);
  until_alone();
}
