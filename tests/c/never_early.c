// ctest: timeout=60
/* A deadline is never early, whatever waits for it: every call that takes one, on goroutines and on foreign
 * threads. fairness.c has sleeps, channels and timers in numbers. How late they are is nobody's promise here.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <gossamer/net.h>
#include <pthread.h>

/* What is waited for and does not come. */
static struct world {
  gos_chan *never, *not_taken; /* only received from; only sent to */
  gos_mutex held;
  gos_rwmutex written, read;
  gos_waitgroup open;
  gos_cond unsignalled;
  gos_once begun;
  gos_sem *none;
  gos_errgroup *group;
  gos_g *sleeper;
  int fd[2], socket[2], listener;
} w;

static void waits_for_ever(void *arg) { gos_chan_recv(arg, NULL); }
static int group_waits_for_ever(void *arg) { return waits_for_ever(arg), 0; }

static void set_up(void) {
  w.never = gos_chan_make(0, 0), w.not_taken = gos_chan_make(0, 0);
  gos_mutex_lock(&w.held);
  gos_rwmutex_lock(&w.written);
  gos_rwmutex_rlock(&w.read);
  CHECK_EQ(gos_waitgroup_add(&w.open, 1), GOS_OK);
  w.none = gos_sem_new(0);
  w.group = gos_errgroup_new(NULL);
  CHECK_EQ(gos_errgroup_go(w.group, group_waits_for_ever, w.never), GOS_OK);
  w.sleeper = spawn(waits_for_ever, w.never);
  CHECK_EQ(gos_pipe(w.fd), GOS_OK);
  CHECK_EQ(gos_socketpair("unixgram", w.socket), GOS_OK);
  CHECK((w.listener = gos_listen("tcp", "127.0.0.1:0", 0)) >= 0);
  char full[4096] = "";
  while (gos_write(w.fd[1], full, sizeof full, GOS_NOW) > 0) {}
}
static void take_down(void) {
  gos_chan_close(w.never);
  finish(w.sleeper);
  CHECK_EQ(gos_errgroup_wait(w.group), GOS_OK);
  gos_errgroup_free(w.group);
  CHECK_EQ(gos_waitgroup_done(&w.open), GOS_OK);
  gos_sem_free(w.none);
  for (int i = 0; i < 2; i++) gos_close(w.fd[i]), gos_close(w.socket[i]);
  gos_close(w.listener);
  gos_chan_release(w.never), gos_chan_release(w.not_taken);
}

static void never_runs(void *arg) { CHECK(arg == &w); /* another one still runs it */ }

/* One wait, which nothing ends but t. */
enum { KINDS = 19 };
static int64_t waits_until(int kind, gos_ns t) {
  gos_mutex mu = {0, 0};
  gos_rwmutex rw = {0};
  char byte;
  gos_case cs[] = {GOS_RECV(w.never, NULL), GOS_FD(w.socket[0], GOS_READ)};
  switch (kind) {
  case 0: return gos_chan_recv_dl(w.never, NULL, t);
  case 1: return gos_chan_send_dl(w.not_taken, NULL, t);
  case 2: return gos_select(cs, 1, t);
  case 3: return gos_select_ordered(cs, 2, t);
  case 4: return gos_join(w.sleeper, t);
  case 5: return gos_mutex_lock_dl(&w.held, t);
  case 6: return gos_rwmutex_lock_dl(&w.read, t);
  case 7: return gos_rwmutex_rlock_dl(&w.written, t);
  case 8: return gos_waitgroup_wait_dl(&w.open, t);
  case 9: gos_mutex_lock(&mu); return gos_cond_wait_dl(&w.unsignalled, &mu, t);
  case 10: gos_rwmutex_lock(&rw); return gos_cond_wait_rw(&w.unsignalled, &rw, t);
  case 11: gos_rwmutex_rlock(&rw); return gos_cond_wait_r(&w.unsignalled, &rw, t);
  case 12: return gos_sem_acquire_dl(w.none, 1, t);
  case 13: return gos_once_do_dl(&w.begun, never_runs, NULL, t);
  case 14: return gos_errgroup_wait_dl(w.group, t);
  case 15: return gos_fd_wait(w.socket[0], GOS_READ, t);
  case 16: return gos_write(w.fd[1], "x", 1, t);
  case 17: return gos_recvfrom(w.socket[0], &byte, 1, NULL, t);
  default: return gos_accept(w.listener, t);
  }
}

static void check_all(void *arg) {
  unsigned rng = (unsigned)(intptr_t)arg + 1;
  for (int i = 0; i < 2 * KINDS; i++) {
    gos_ns t = gos_now() + rand_r(&rng) % 1500000;
    int64_t e = waits_until(i % KINDS, t);
    gos_ns now = gos_now();
    if (e != GOS_TIMEDOUT) test_fail(__FILE__, __LINE__, "kind %d gave %lld", i % KINDS, (long long)e);
    if (now < t) test_fail(__FILE__, __LINE__, "kind %d: %lld ns early", i % KINDS, (long long)(t - now));
  }
}
static void *check_all_outside(void *arg) { return check_all(arg), NULL; }

static void holds_the_once(void *arg) { gos_chan_recv(arg, NULL); }
static void is_the_once(void *arg) { gos_once_do(&w.begun, holds_the_once, arg); }

TEST(every_call_with_a_deadline) {
  enum { N = 4, OUTSIDE = 2 };
  gos_g *g[N];
  pthread_t t[OUTSIDE];
  set_up();
  gos_g *once = spawn(is_the_once, w.never);
  until_parked(once, "chan receive");
  for (intptr_t i = 0; i < N; i++) g[i] = spawn(check_all, (void *)i);
  for (intptr_t i = 0; i < OUTSIDE; i++) CHECK_EQ(pthread_create(&t[i], NULL, check_all_outside, (void *)(N + i)), 0);
  for (int i = 0; i < N; i++) finish(g[i]);
  for (int i = 0; i < OUTSIDE; i++) pthread_join(t[i], NULL);
  take_down();
  finish(once);
}

/* A context's end, however it is seen. */
TEST(contexts) {
  for (int i = 0; i < 20; i++) {
    gos_ns d = i % 5 * MS / 3, at = gos_now() + d, end;
    gos_ctx *x = i % 2 ? gos_with_timeout(NULL, d) : gos_with_deadline(NULL, at), *y = gos_with_cancel(x);
    CHECK_EQ(gos_ctx_deadline(y, &end), 1);
    CHECK(end >= at);
    if (i % 3)
      CHECK_EQ(gos_chan_recv(gos_ctx_done(y), NULL), GOS_CLOSED);
    else
      CHECK_EQ(gos_sleep_ctx(GOS_FOREVER, y), GOS_TIMEDOUT);
    CHECK(gos_now() >= at);
    CHECK_EQ(gos_ctx_err(y), GOS_TIMEDOUT);
    CHECK_EQ(gos_ctx_err(x), GOS_TIMEDOUT);
    gos_ctx_release(y), gos_ctx_release(x);
  }
}

TEST(a_grace) {
  for (int i = 0; i < 10; i++) {
    gos_ctx *x = gos_with_cancel(NULL), *y = gos_with_grace(x, i * MS / 4);
    gos_ns began = gos_now();
    gos_cancel(x, 0);
    CHECK_EQ(gos_chan_recv(gos_ctx_done(y), NULL), GOS_CLOSED);
    CHECK(gos_now() >= began + i * MS / 4);
    gos_ctx_release(y), gos_ctx_release(x);
  }
}

/* Every tick, after every reset. */
TEST(tickers_and_resets) {
  for (int round = 0; round < 6; round++) {
    gos_ns period = (round % 3 + 1) * MS / 4, from = gos_now(), at;
    gos_timer *t = gos_ticker_new(period);
    for (int i = 1; i <= 8; i++) {
      if (i == 4) { /* another period, from here on */
        period = MS / 2;
        from = gos_now() - 3 * period;
        CHECK(gos_timer_reset(t, period) >= 0);
      }
      CHECK_EQ(gos_chan_recv(gos_timer_c(t), &at), GOS_OK);
      CHECK(at >= from + i * period);
      CHECK(gos_now() >= at);
    }
    gos_timer_free(t);
  }
}

/* A limiter's token is not there before its time: so many a second, and no more. */
TEST(tokens_of_a_limiter) {
  gos_limiter *l = gos_limiter_new(1000, 3);
  gos_ns from = gos_now();
  for (int i = 0; i < 3; i++) CHECK_EQ(gos_limiter_wait(l, 1), GOS_OK); /* the burst */
  for (int i = 1; i <= 10; i++) {
    CHECK_EQ(gos_limiter_wait(l, 1), GOS_OK);
    CHECK(gos_now() >= from + i * MS - 1000); /* the bucket counts in fractions */
  }
  gos_limiter_free(l);
}
