// ctest: timeout=120
/* Sleep, after, timers, tickers: never early, no stale tick, dropped ticks.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#define HOUR (3600000 * MS)

TEST(sleep_is_never_short) {
  static const gos_ns ds[] = {1, 1000, 100000, MS, 3 * MS, 10 * MS};
  for (int i = 0; i < 6; i++) {
    gos_ns start = gos_now();
    CHECK_EQ(gos_sleep(ds[i]), GOS_OK);
    CHECK(gos_now() - start >= ds[i]);
  }
}

TEST(sleep_of_nothing) {
  CHECK_EQ(gos_sleep(0), GOS_OK);
  CHECK_EQ(gos_sleep(-HOUR), GOS_OK);
  CHECK_EQ(gos_sleep(INT64_MIN), GOS_OK);
}

TEST(now_goes_forward) {
  gos_ns last = gos_now();
  CHECK(last > 0);
  for (int i = 0; i < 1000; i++) {
    gos_ns now = gos_now();
    CHECK(now >= last);
    last = now;
  }
}

struct nap {
  gos_ns d, woke;
};
static void naps(void *arg) {
  struct nap *n = arg;
  CHECK_EQ(gos_sleep(n->d), GOS_OK);
  n->woke = gos_now();
}

TEST(many_sleepers) {
  long n = scaled_live(2000);
  struct nap *nap = calloc((size_t)n, sizeof *nap);
  gos_g **g = calloc((size_t)n, sizeof *g);
  gos_ns start = gos_now();
  for (long i = 0; i < n; i++) nap[i].d = (i * 7919 % 50) * MS / 2, g[i] = spawn(naps, &nap[i]);
  for (long i = 0; i < n; i++) {
    finish(g[i]);
    CHECK(nap[i].woke - start >= nap[i].d);
  }
  free(nap), free(g);
}

TEST(after_gives_the_time_once) {
  gos_ns start = gos_now(), at = 0;
  gos_chan *c = gos_after(3 * MS);
  CHECK_EQ(gos_chan_recv(c, &at), GOS_OK);
  CHECK(at >= start + 3 * MS);
  CHECK(at <= gos_now());
  CHECK_EQ(gos_chan_recv_dl(c, &at, gos_now() + 3 * MS), GOS_TIMEDOUT);
  gos_chan_release(c);
}

TEST(after_released_unread) {
  for (long i = scaled(1000); i; i--) gos_chan_release(gos_after(i % 3 ? i % 5 * MS / 10 : HOUR));
  gos_sleep(3 * MS);
}

TEST(after_zero_and_negative_are_at_once) {
  static const gos_ns ds[] = {0, -1, INT64_MIN};
  for (int i = 0; i < 3; i++) {
    gos_chan *c = gos_after(ds[i]);
    CHECK_EQ(gos_chan_recv(c, NULL), GOS_OK);
    gos_chan_release(c);
  }
}

TEST(timeout_case_in_select) {
  gos_chan *never = gos_chan_make(0, 0), *t = gos_after(2 * MS);
  gos_case cs[] = {GOS_RECV(never, NULL), GOS_RECV(t, NULL)};
  CHECK_EQ(gos_select(cs, 2, GOS_FOREVER), 1);
  CHECK_EQ(cs[1].ok, 1);
  gos_chan_release(never), gos_chan_release(t);
}

TEST(huge_times_do_not_wrap) {
  gos_timer *t = gos_timer_new(INT64_MAX), *u = gos_timer_new(INT64_MAX - 1);
  gos_timer *k = gos_ticker_new(INT64_MAX);
  gos_case cs[] = {GOS_RECV(gos_timer_c(t), NULL), GOS_RECV(gos_timer_c(u), NULL), GOS_RECV(gos_timer_c(k), NULL)};
  CHECK_EQ(gos_select(cs, 3, gos_now() + 3 * MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_select(cs, 3, INT64_MAX - 1 < GOS_FOREVER ? gos_now() + MS : 0), GOS_TIMEDOUT);
  CHECK_EQ(gos_timer_stop(t), 1);
  gos_timer_free(t), gos_timer_free(u), gos_timer_free(k);
}

TEST(stop_tells_whether_it_was_pending) {
  gos_timer *t = gos_timer_new(HOUR);
  CHECK_EQ(gos_timer_stop(t), 1);
  CHECK_EQ(gos_timer_stop(t), 0);
  CHECK_EQ(gos_timer_reset(t, MS), 0);
  CHECK_EQ(gos_chan_recv(gos_timer_c(t), NULL), GOS_OK);
  CHECK_EQ(gos_timer_stop(t), 0);
  CHECK_EQ(gos_timer_reset(t, HOUR), 0);
  CHECK_EQ(gos_timer_reset(t, HOUR), 1);
  gos_timer_free(t);
}

/* Go 1.23: a timer that fired unread and is then stopped or reset gives no old tick. */
TEST(no_stale_tick_after_stop) {
  for (int i = 0; i < 20; i++) {
    gos_timer *t = gos_timer_new(i % 4 * MS / 4);
    gos_sleep(MS / 2);
    gos_timer_stop(t);
    CHECK_EQ(gos_chan_recv_dl(gos_timer_c(t), NULL, GOS_NOW), GOS_WOULDBLOCK);
    CHECK_EQ(gos_chan_len(gos_timer_c(t)), 0);
    gos_timer_free(t);
  }
}

TEST(no_stale_tick_after_reset) {
  for (int i = 0; i < 20; i++) {
    gos_timer *t = gos_timer_new(i % 4 * MS / 4);
    gos_sleep(MS / 2);
    gos_ns reset = gos_now(), at = 0;
    gos_timer_reset(t, 2 * MS);
    CHECK_EQ(gos_chan_recv(gos_timer_c(t), &at), GOS_OK);
    CHECK(at >= reset + 2 * MS);
    gos_timer_free(t);
  }
}

static void receives_tick(void *arg) {
  gos_ns at;
  CHECK_EQ(gos_chan_recv(gos_timer_c(arg), &at), GOS_OK);
}

TEST(reset_moves_a_waiting_receiver) {
  gos_timer *t = gos_timer_new(HOUR);
  gos_g *g = spawn(receives_tick, t);
  until_parked(g, "chan receive");
  CHECK_EQ(gos_timer_reset(t, MS), 1);
  finish(g);
  gos_timer_free(t);
}

TEST(ticker_goes_on) {
  gos_ns start = gos_now(), last = 0, at; /* before the ticker is made: its clock begins there */
  gos_timer *t = gos_ticker_new(MS);
  for (int i = 1; i <= 10; i++) {
    CHECK_EQ(gos_chan_recv(gos_timer_c(t), &at), GOS_OK);
    CHECK(at >= start + i * MS);
    CHECK(at > last);
    last = at;
  }
  gos_timer_free(t);
}

/* However many are missed, the next one is found at once. */
TEST(ticker_that_is_always_late) {
  gos_timer *t = gos_ticker_new(1);
  for (int i = 0; i < 50; i++) CHECK_EQ(gos_chan_recv(gos_timer_c(t), NULL), GOS_OK);
  gos_timer_free(t);
}

/* A slow reader finds one tick, not the ten it slept through. */
TEST(ticker_drops_what_nobody_reads) {
  gos_timer *t = gos_ticker_new(2 * MS);
  gos_sleep(25 * MS);
  CHECK_EQ(gos_timer_stop(t) >= 0, 1);
  CHECK_EQ(gos_chan_recv_dl(gos_timer_c(t), NULL, GOS_NOW), GOS_WOULDBLOCK);
  gos_timer_reset(t, HOUR);
  CHECK_EQ(gos_chan_recv_dl(gos_timer_c(t), NULL, GOS_NOW), GOS_WOULDBLOCK);
  gos_timer_reset(t, 5 * MS);
  gos_sleep(26 * MS);
  gos_ns now = gos_now(), at;
  CHECK_EQ(gos_chan_recv_dl(gos_timer_c(t), NULL, GOS_NOW), GOS_OK);
  CHECK_EQ(gos_chan_recv(gos_timer_c(t), &at), GOS_OK); /* the next is a new one, no backlog */
  CHECK(at > now - 5 * MS);                             /* it may have been on its way */
  gos_timer_free(t);
}

TEST(ticker_reset_changes_the_period) {
  gos_timer *t = gos_ticker_new(HOUR);
  gos_ns start = gos_now(), at;
  gos_timer_reset(t, MS);
  for (int i = 1; i <= 3; i++) {
    CHECK_EQ(gos_chan_recv(gos_timer_c(t), &at), GOS_OK);
    CHECK(at >= start + i * MS);
  }
  gos_timer_free(t);
}

/* The firing thread looks at the ticker meanwhile: for the thread sanitizer. */
TEST(ticker_reset_while_it_ticks) {
  gos_timer *t = gos_ticker_new(MS / 20);
  for (int i = 0; i < 300; i++) {
    CHECK_EQ(gos_sleep(MS / 10), GOS_OK);
    CHECK(gos_timer_reset(t, MS / 20 + i) >= 0);
  }
  gos_timer_free(t);
}

TEST(bad_intervals) {
  CHECK(!gos_ticker_new(0));
  CHECK(!gos_ticker_new(-MS));
  gos_timer_free(NULL);
}

static atomic_long calls;
static void call(void *arg) {
  CHECK(gos_goid() > 1);
  atomic_fetch_add(&calls, (long)(intptr_t)arg);
}

TEST(after_func_runs_once_in_its_own_goroutine) {
  gos_timer *t = gos_after_func(MS, call, (void *)3);
  while (!calls) gos_sleep(MS);
  gos_sleep(3 * MS);
  CHECK_EQ(calls, 3);
  CHECK_EQ(gos_timer_stop(t), 0);
  CHECK_EQ(gos_timer_reset(t, MS), 0); /* and again after a reset */
  while (calls < 6) gos_sleep(MS);
  gos_timer_free(t);
}

TEST(after_func_stopped_never_runs) {
  gos_timer *t = gos_after_func(HOUR, call, (void *)1);
  CHECK_EQ(gos_timer_stop(t), 1);
  gos_timer_free(t);
  gos_timer_free(gos_after_func(HOUR, call, (void *)1));
  for (int i = 0; i < 100; i++) {
    t = gos_after_func(i % 3 * MS / 10, call, (void *)1000);
    long before = calls;
    if (gos_timer_stop(t))
      CHECK_EQ(calls, before);
    else
      while (calls < before + 1000) gos_gosched();
    gos_timer_free(t);
  }
}

static void chained(void *arg) {
  struct nap *n = arg;
  gos_chan *c = gos_after(0);
  CHECK_EQ(gos_chan_recv(c, NULL), GOS_OK);
  gos_chan_release(c);
  if (--n->d) {
    CHECK_EQ(gos_go(chained, n), GOS_OK);
  } else
    n->woke = 1, atomic_store(&calls, 1);
}

TEST(chain_of_timers) {
  struct nap n = {.d = 100};
  chained(&n);
  while (!calls) gos_gosched();
  CHECK_EQ(n.woke, 1);
}

/* Making, stopping and resetting from many goroutines at once. */
static void shakes(void *arg) {
  unsigned x = (unsigned)(intptr_t)arg;
  gos_timer *t[16] = {0};
  for (long i = scaled(3000); i; i--) {
    x = x * 1664525 + 1013904223;
    gos_timer **p = &t[x >> 28];
    gos_ns d = (gos_ns)(x >> 8 & 1023) * 4000;
    if (!*p)
      *p = x & 128 ? gos_timer_new(d) : gos_ticker_new(d + 1);
    else if (x & 64)
      gos_timer_reset(*p, d + 1);
    else if (x & 32)
      gos_timer_stop(*p);
    else if (x & 16)
      gos_chan_recv_dl(gos_timer_c(*p), NULL, gos_now() + d / 8);
    else
      gos_timer_free(*p), *p = NULL;
  }
  for (int i = 0; i < 16; i++) gos_timer_free(t[i]);
}

TEST(hammer) {
  gos_g *g[8];
  for (intptr_t i = 0; i < 8; i++) g[i] = spawn(shakes, (void *)(i + 1));
  for (int i = 0; i < 8; i++) finish(g[i]);
}

TEST(a_hundred_thousand_timers) {
  long n = scaled(100000);
  gos_timer **t = calloc((size_t)n, sizeof *t);
  for (long i = 0; i < n; i++) CHECK((t[i] = gos_timer_new(HOUR - i * 1000)));
  for (long i = 0; i < n; i += 2) CHECK_EQ(gos_timer_stop(t[i]), 1);
  for (long i = 1; i < n; i += 2) CHECK_EQ(gos_timer_reset(t[i], i % 5 * MS), 1);
  for (long i = 1; i < n; i += 2) CHECK_EQ(gos_chan_recv(gos_timer_c(t[i]), NULL), GOS_OK);
  for (long i = 0; i < n; i++) gos_timer_free(t[i]);
  free(t);
}
