/* Contexts: their timers, their functions, signals that end them, and the calls that obey them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"
#include <gossamer/net.h>
#include <signal.h>

enum { FUNCS = 40, TIMED = 80 };
static const gos_ns hour = 3600000 * MS;
static atomic_int ran;
static void counts(void *arg) { (void)arg, ran++; }

/* A function that was promised runs, as soon as there is memory. */
static void functions(void) {
  int promised = 0, stopped = 0;
  void *stop[FUNCS] = {NULL};
  gos_ctx *x = gos_with_cancel(NULL);
  if (!GOT(x)) return;
  ran = 0;
  for (int i = 0; i < FUNCS; i++) promised += WORKED(gos_ctx_after_func(x, counts, NULL, i % 2 ? &stop[i] : NULL));
  for (int i = 1; i < FUNCS / 2; i += 2) stopped += gos_ctx_stop(stop[i]);
  gos_cancel(x, 0);
  for (gos_ns give_up = gos_now() + 10 * MS; ran < promised - stopped && !(faults_fired() && gos_now() > give_up);)
    gos_gosched();
  faults_end();
  while (ran < promised - stopped) gos_gosched(); /* those left over: memory has come back */
  for (int i = FUNCS / 2 + 1 - FUNCS / 2 % 2; i < FUNCS; i += 2)
    if (stop[i]) CHECK_EQ(gos_ctx_stop(stop[i]), 0);
  CHECK_EQ(ran, promised - stopped);
  gos_ctx_release(x);
}

static void deadlines(void) {
  gos_ctx *x[TIMED];
  for (int i = 0; i < TIMED; i++) {
    x[i] = i % 4 == 3 ? gos_with_grace(i ? x[i - 1] : NULL, MS / 20) : gos_with_timeout(NULL, i % 2 ? hour : MS / 20);
    (void)GOT(x[i]);
  }
  for (int i = 0; i < TIMED; i += 2)
    if (x[i]) CHECK_EQ(gos_chan_recv_ctx(NULL, NULL, x[i]), GOS_TIMEDOUT);
  for (int i = 0; i < TIMED; i++) gos_ctx_release(x[i]);
}

/* A channel for its end, or the end itself: nobody waits for ever. */
static void done(void) {
  gos_ctx *x = gos_with_timeout(NULL, MS / 10), *y = x ? gos_with_cancel(x) : NULL;
  if (GOT(y)) CHECK_EQ(gos_chan_recv(gos_ctx_done(y), NULL), GOS_CLOSED);
  gos_ctx_release(x);
  gos_ctx_release(y);
}

static void signals(void) {
  int e, sig = SIGUSR1;
  gos_ctx *x = gos_signal_ctx(NULL, &sig, 1, &e);
  if (!WORKED(e)) {
    CHECK(!x);
    CHECK(signal(SIGUSR1, SIG_DFL) == SIG_DFL); /* nothing was taken over */
    return;
  }
  CHECK(x);
  CHECK_EQ(kill(getpid(), SIGUSR1), 0);
  CHECK_EQ(gos_chan_recv_ctx(NULL, NULL, x), GOS_CANCELED);
  CHECK_EQ(gos_ctx_cause(x), SIGUSR1);
  gos_ctx_release(x);
  CHECK(signal(SIGUSR1, SIG_DFL) == SIG_DFL);
}

static int works(void *arg) { return (void)arg, gos_gosched(), 0; }
static int flies(void *arg, void **val) { return *val = arg, works(NULL), 5; }
static void obeying(void) {
  int p[2] = {-1, -1};
  gos_ctx *x = gos_with_cancel(NULL);
  gos_errgroup *g = gos_errgroup_new(NULL);
  gos_flight *f = gos_flight_new();
  gos_sem *s = gos_sem_new(1);
  void *val = NULL;
  if (GOT(x) && GOT(g) && GOT(f) && GOT(s)) {
    CHECK_EQ(gos_errgroup_set_limit(g, 1), GOS_OK);
    for (int i = 0; i < 5; i++) (void)WORKED(gos_errgroup_go_ctx(g, works, NULL, x));
    (void)WORKED(gos_errgroup_wait_ctx(g, x));
    int e = gos_flight_do_ctx(f, "key", flies, &val, &val, NULL, x);
    if (WORKED(e)) CHECK(e == 5 && val == &val);
    CHECK_EQ(gos_sem_acquire_ctx(s, 1, x), GOS_OK); /* none of these needs memory */
    gos_cancel(x, 0);
    CHECK_EQ(gos_sem_acquire_ctx(s, 1, x), GOS_CANCELED);
  }
  gos_ctx *t = gos_with_timeout(NULL, MS / 20);
  if (GOT(t) && WORKED(gos_pipe(p))) {
    int64_t n = gos_read_ctx(p[0], &(char){0}, 1, t);
    if (n != GOS_TIMEDOUT) (void)WORKED((int)n); /* the poller could not be had */
    n = gos_write_ctx(p[1], "x", 1, NULL);
    CHECK_EQ(n, 1);
    gos_close(p[0]), gos_close(p[1]);
  }
  gos_errgroup_free(g), gos_flight_free(f), gos_sem_free(s);
  gos_ctx_release(x), gos_ctx_release(t);
}

int files_kept(void) { return 4; } /* the poller, what wakes it, and the pipe of the signals */

void workload(void) {
  obeying();
  deadlines();
  done();
  signals();
  functions(); /* last: it ends the fault */
  settle();
}
