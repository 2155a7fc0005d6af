// ctest: timeout=60
/* Timers among everything else: beside one that never comes, under calls that end badly, while they are torn down
 * in use, while memory comes and goes.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <pthread.h>

#define HOUR (3600000 * MS)
static atomic_long calls, ends;
static void call(void *arg) { (void)arg, atomic_fetch_add(&calls, 1); }

/* A period whose next tick cannot be counted any more stops nobody else: nor does its first tick come. */
TEST(a_period_beyond_all_time) {
  static const gos_ns periods[] = {INT64_MAX, INT64_MAX - 1, INT64_MAX / 2, INT64_MAX - 1000000000};
  gos_timer *t[4];
  for (int i = 0; i < 4; i++) CHECK((t[i] = gos_ticker_new(periods[i])));
  for (int i = 0; i < 4; i++) CHECK(gos_timer_reset(t[i], MS) >= 0); /* one tick each, the next ones 1 ms later */
  for (int i = 0; i < 4; i++) CHECK_EQ(gos_chan_recv(gos_timer_c(t[i]), NULL), GOS_OK);
  for (int i = 0; i < 4; i++) CHECK(gos_timer_reset(t[i], periods[i]) >= 0);
  for (int i = 0; i < 20; i++) {
    CHECK_EQ(gos_sleep(MS / 10), GOS_OK);
    gos_timer *f = gos_after_func(0, call, NULL);
    while (calls <= i) gos_gosched();
    gos_timer_free(f);
  }
  for (int i = 0; i < 4; i++) {
    CHECK_EQ(gos_chan_recv_dl(gos_timer_c(t[i]), NULL, GOS_NOW), GOS_WOULDBLOCK);
    gos_timer_free(t[i]);
  }
}

/* A call that ends by goexit, or by a panic, is only its own end: other timers fire, and timers can be made. */
static void deferred(void *arg) { (void)arg, atomic_fetch_add(&ends, 1); }
static void leaves(void *arg) {
  CHECK_EQ(gos_defer(deferred, NULL), GOS_OK);
  gos_timer_free(gos_timer_new(0)); /* the timers' lock is not held */
  gos_sleep(1);
  if (arg) gos_panic("a timer's call");
  gos_goexit();
}
static atomic_long panics;
static void counts_panic(const char *report) {
  CHECK_HAS(report, "a timer's call");
  atomic_fetch_add(&panics, 1);
}
TEST_RAW(calls_that_end_badly) {
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 2, .on_panic = counts_panic}), GOS_OK);
  enum { N = 20 };
  gos_timer *t[N];
  for (int i = 0; i < N; i++) CHECK((t[i] = gos_after_func(i * MS / 20, leaves, i % 2 ? &calls : NULL)));
  while (ends < N || panics < N / 2) gos_sleep(MS / 10);
  for (int i = 0; i < N; i++) {
    CHECK_EQ(gos_timer_stop(t[i]), 0);
    gos_timer_free(t[i]);
  }
  gos_timer *after = gos_timer_new(MS / 10);
  CHECK_EQ(gos_chan_recv(gos_timer_c(after), NULL), GOS_OK);
  gos_timer_free(after);
  while (gos_num_goroutine() > 1) gos_gosched();
  CHECK_EQ(panics, N / 2);
}

/* Torn down while others receive from them, as they fire. */
static gos_chan *quit;
static void receives(void *arg) {
  gos_chan *c = arg; /* our own reference */
  gos_case k[] = {GOS_RECV(c, NULL), GOS_RECV(quit, NULL)};
  while (gos_select(k, 2, GOS_FOREVER) == 0) atomic_fetch_add(&calls, 1);
  gos_chan_release(c);
}
TEST(torn_down_in_use) {
  enum { N = 30 };
  for (int round = 0; round < 10; round++) {
    gos_g *g[N];
    gos_timer *t[N];
    quit = gos_chan_make(0, 0);
    for (int i = 0; i < N; i++) {
      t[i] = i % 2 ? gos_ticker_new(MS / 50 + i) : gos_timer_new(i * MS / 50);
      g[i] = spawn(receives, gos_chan_retain(gos_timer_c(t[i])));
    }
    while (calls < (round + 1) * N) gos_gosched();
    for (int i = 0; i < N; i += 3) gos_timer_free(t[i]); /* their channels are still waited for */
    for (int i = 1; i < N; i += 3) gos_timer_stop(t[i]);
    gos_chan_close(quit);
    for (int i = 0; i < N; i++) finish(g[i]);
    for (int i = 0; i < N; i++)
      if (i % 3) gos_timer_free(t[i]);
    gos_chan_release(quit);
  }
}

/* Timers and calls while channels, goroutines and other timers are made and given up all around. */
static atomic_bool over;
static void churns(void *arg) {
  unsigned x = (unsigned)(intptr_t)arg + 1;
  while (!over) {
    x = x * 1664525 + 1013904223;
    gos_chan *c = gos_chan_make(x >> 24, x >> 26);
    gos_timer *t = gos_timer_new((gos_ns)(x >> 12));
    CHECK(c && t);
    if (x & 4096) CHECK_EQ(gos_go(call, NULL), GOS_OK);
    gos_gosched();
    gos_timer_free(t);
    gos_chan_release(c);
  }
}
static void *churns_outside(void *arg) { return churns(arg), NULL; }
static void fires(void *arg) { atomic_fetch_add(&ends, (long)(intptr_t)arg); }
TEST(while_memory_comes_and_goes) {
  enum { N = 4 };
  gos_g *g[N];
  pthread_t t;
  long want = 0;
  for (intptr_t i = 0; i < N; i++) g[i] = spawn(churns, (void *)i);
  CHECK_EQ(pthread_create(&t, NULL, churns_outside, (void *)9), 0);
  for (int i = 0; i < scaled(300); i++) {
    gos_ns d = i % 7 * 20000, at = gos_now() + d, tick = 0;
    gos_timer *f = gos_after_func(d, fires, (void *)1), *tm = gos_timer_new(d);
    CHECK_EQ(gos_chan_recv(gos_timer_c(tm), &tick), GOS_OK);
    CHECK(tick >= at);
    want++;
    while (ends < want) gos_gosched();
    CHECK_EQ(ends, want);
    gos_timer_free(f), gos_timer_free(tm);
  }
  over = true;
  for (int i = 0; i < N; i++) finish(g[i]);
  pthread_join(t, NULL);
  while (gos_num_goroutine() > 1) gos_gosched();
}

/* Stopped and reset by many at once, one call fires or one stop wins, never both. */
static void stops(void *arg) {
  gos_timer *t = arg;
  if (gos_timer_stop(t) == 1) atomic_fetch_add(&ends, 1);
}
TEST(one_stop_or_one_call) {
  for (int i = 0; i < scaled(300); i++) {
    calls = ends = 0;
    gos_timer *t = gos_after_func(i % 4 * 3000, call, NULL);
    gos_g *g[3];
    for (int k = 0; k < 3; k++) g[k] = spawn(stops, t);
    for (int k = 0; k < 3; k++) finish(g[k]);
    while (calls + ends == 0) gos_gosched();
    CHECK_EQ(calls + ends, 1);
    gos_timer_free(t);
  }
}
