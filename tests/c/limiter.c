// ctest: timeout=60
// ctest: internal
/* The rate limiter, mostly by a clock of the test's own.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <math.h>
#include "errgroup/limiter.h"

static const gos_ns tick = 100 * MS; /* a token at 10 a second */
static const gos_ns t0 = 1000000000000;

static bool allow(gos_limiter *l, gos_ns at, int n) {
  gos_reservation r;
  return gosi_limiter_reserve(l, n, t0 + at * tick, 0, &r);
}
static bool close_to(double a, double b) { return a - b < 1e-6 && b - a < 1e-6; }

TEST_RAW(a_burst_and_then_the_rate) {
  gos_limiter *l = gosi_limiter_new(10, 2, t0);
  static const struct {
    int at, n;
    bool ok;
  } steps[] = {{0, 1, true},   {0, 1, true},  {0, 1, false},  {1, 1, true},   {1, 1, false},
               {2, 1, true},   {2, 1, false}, {9, 2, true},   {9, 1, false},  {9, 0, true},
               {20, 3, false}, {20, 2, true}, {20, 1, false}, {19, 1, false}, {21, 1, true}};
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) CHECK_EQ(allow(l, steps[i].at, steps[i].n), steps[i].ok);
  gos_limiter_free(l);
}

TEST_RAW(no_limit_and_nothing) {
  gos_limiter *l = gosi_limiter_new(HUGE_VAL, 0, t0);
  gos_reservation r;
  for (int i = 0; i < 100; i++) CHECK(allow(l, 0, 1000));
  CHECK(gosi_limiter_reserve(l, 5, t0, GOS_FOREVER, &r) && r.at == t0);
  gosi_limiter_cancel(&r, t0);
  gos_limiter_free(l);
  l = gosi_limiter_new(0, 2, t0);
  CHECK(allow(l, 0, 1) && allow(l, 0, 1) && !allow(l, 1000000, 1));
  CHECK(gosi_limiter_reserve(l, 1, t0, GOS_FOREVER, &r));
  CHECK_EQ(r.at, GOS_FOREVER);
  gosi_limiter_cancel(&r, t0);
  CHECK(close_to(gosi_limiter_tokens(l, t0), 0));
  gos_limiter_free(l);
  CHECK(!gos_limiter_new(NAN, 1));
  l = gosi_limiter_new(10, -3, t0);
  CHECK(!allow(l, 50, 1));
  CHECK_EQ(gos_limiter_burst(l), 0);
  CHECK_EQ(gos_limiter_set_limit(l, NAN), GOS_INVAL);
  gos_limiter_free(l);
}

TEST_RAW(reservations_queue_up) {
  gos_limiter *l = gosi_limiter_new(10, 2, t0);
  gos_reservation r;
  const gos_ns at[] = {0, 2, 4, 6};
  for (int i = 0; i < 4; i++) {
    CHECK(gosi_limiter_reserve(l, 2, t0, GOS_FOREVER, &r));
    CHECK_EQ(r.at, t0 + at[i] * tick);
  }
  CHECK(!gosi_limiter_reserve(l, 3, t0, GOS_FOREVER, &r)); /* more than the burst */
  CHECK_EQ(r.ok, 0);
  gosi_limiter_cancel(&r, t0);
  CHECK(!gosi_limiter_reserve(l, 1, t0, 6 * tick, &r)); /* would be later than that */
  CHECK(gosi_limiter_reserve(l, 1, t0, 7 * tick, &r));
  CHECK(close_to(gosi_limiter_tokens(l, t0), -7));
  CHECK(close_to(gosi_limiter_tokens(l, t0 + 8 * tick), 1));
  gos_limiter_free(l);
}

TEST_RAW(a_reservation_is_given_back) {
  for (int how = 0; how < 4; how++) {
    gos_limiter *l = gosi_limiter_new(10, 2, t0);
    gos_reservation a, b, c;
    CHECK(gosi_limiter_reserve(l, 2, t0, 0, &a));
    CHECK(gosi_limiter_reserve(l, 2, t0, GOS_FOREVER, &b)); /* at 2 */
    if (how == 0) {                                         /* the last one: all comes back */
      gosi_limiter_cancel(&b, t0 + tick);
      gosi_limiter_cancel(&b, t0 + tick); /* once */
      CHECK(close_to(gosi_limiter_tokens(l, t0 + tick), 1));
      CHECK(gosi_limiter_reserve(l, 2, t0 + tick, GOS_FOREVER, &c));
      CHECK_EQ(c.at, t0 + 2 * tick);
    } else if (how == 1) { /* too late */
      gosi_limiter_cancel(&b, t0 + 3 * tick);
      CHECK(close_to(gosi_limiter_tokens(l, t0 + 3 * tick), 1));
    } else if (how == 2) { /* a later one was built on it: only what that did not take */
      CHECK(gosi_limiter_reserve(l, 1, t0, GOS_FOREVER, &c)); /* at 3 */
      gosi_limiter_cancel(&b, t0 + tick);
      CHECK(close_to(gosi_limiter_tokens(l, t0 + tick), -1));
      gosi_limiter_cancel(&c, t0 + tick);
      CHECK(close_to(gosi_limiter_tokens(l, t0 + tick), 0));
    } else { /* what has happened stays so */
      gosi_limiter_cancel(&a, t0 + tick);
      CHECK(close_to(gosi_limiter_tokens(l, t0 + tick), -1));
    }
    gos_limiter_free(l);
  }
}

TEST_RAW(changed_on_the_way) {
  gos_limiter *l = gosi_limiter_new(10, 10, t0);
  double limit = 20;
  int burst = 100;
  CHECK(allow(l, 0, 10));
  gosi_limiter_set(l, &limit, NULL, t0 + 5 * tick); /* 5 so far */
  CHECK(close_to(gosi_limiter_tokens(l, t0 + 7 * tick), 9));
  gosi_limiter_set(l, NULL, &burst, t0 + 7 * tick);
  CHECK(close_to(gosi_limiter_tokens(l, t0 + 17 * tick), 29));
  burst = 3;
  gosi_limiter_set(l, NULL, &burst, t0 + 17 * tick);
  CHECK(close_to(gosi_limiter_tokens(l, t0 + 17 * tick), 3));
  CHECK(gos_limiter_limit(l) == 20);
  CHECK_EQ(gos_limiter_burst(l), 3);
  gos_limiter_free(l);
}

/* ---- waiting, by the real clock ------------------------------------------------------------- */
TEST(waits) {
  gos_limiter *l = gos_limiter_new(1000, 2);
  gos_ns start = gos_now();
  for (int i = 0; i < 6; i++) CHECK_EQ(gos_limiter_wait(l, 1), GOS_OK);
  CHECK(gos_now() - start >= 4 * MS - 1000); /* two at once, then one a millisecond */
  CHECK_EQ(gos_limiter_wait(l, 3), GOS_INVAL);
  CHECK_EQ(gos_limiter_wait(l, -1), GOS_INVAL);
  CHECK_EQ(gos_limiter_wait(NULL, 1), GOS_INVAL);
  gos_limiter_free(l);
}

TEST(a_deadline_that_cannot_be_met) {
  gos_limiter *l = gos_limiter_new(0.001, 1); /* one in 1,000 s: nothing here waits for it */
  gos_ctx *x = gos_with_timeout(NULL, 3600000 * MS), *soon = gos_with_timeout(NULL, 100000 * MS);
  CHECK_EQ(gos_limiter_wait_ctx(l, 1, x), GOS_OK);
  CHECK_EQ(gos_limiter_wait_ctx(l, 1, soon), GOS_TIMEDOUT);
  CHECK_EQ(gos_ctx_err(soon), GOS_OK); /* it did not wait for that */
  CHECK_EQ(gos_limiter_wait_dl(l, 1, gos_now() + 100000 * MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_limiter_wait_dl(l, 1, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_limiter_allow(l, 1), 0);
  CHECK_EQ(gos_limiter_allow(l, -1), 0);
  CHECK_EQ(gos_limiter_allow(l, 0), 1);
  CHECK(gos_limiter_tokens(l) > -0.5); /* none of them took anything */
  gos_cancel(x, 0);
  CHECK_EQ(gos_limiter_wait_ctx(l, 0, x), GOS_CANCELED);
  gos_ctx_release(x);
  gos_ctx_release(soon);
  gos_limiter_free(l);
}

static gos_limiter *lim;
static gos_ctx *ctx;
static void gives_up(void *arg) {
  CHECK_EQ(arg ? gos_limiter_wait_ctx(lim, 1, ctx) : gos_limiter_wait(lim, 1), GOS_CANCELED);
}
TEST(one_that_gives_up_takes_nothing) {
  for (intptr_t how = 0; how < 2; how++) {
    lim = gos_limiter_new(how ? 0.001 : 0.002, 1);
    ctx = gos_with_cancel(NULL);
    CHECK_EQ(gos_limiter_allow(lim, 1), 1);
    gos_g *g = spawn(gives_up, (void *)how);
    until_parked(g, "sleep");
    CHECK(gos_limiter_tokens(lim) < -0.5);
    if (how)
      gos_cancel(ctx, 0);
    else
      gos_interrupt(g);
    finish(g);
    CHECK(gos_limiter_tokens(lim) > -0.5);
    gos_ctx_release(ctx);
    gos_limiter_free(lim);
  }
}

static atomic_long allowed;
static void takes(void *arg) {
  (void)arg;
  for (int i = 0; i < 1000; i++) atomic_fetch_add(&allowed, gos_limiter_allow(lim, 1));
}
TEST(never_more_than_the_burst) {
  gos_g *g[8];
  lim = gos_limiter_new(0.0001, 500);
  for (int i = 0; i < 8; i++) g[i] = spawn(takes, NULL);
  for (int i = 0; i < 8; i++) finish(g[i]);
  CHECK_EQ(allowed, 500);
  gos_limiter_free(lim);
}
