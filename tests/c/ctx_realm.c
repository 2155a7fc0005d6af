// ctest: timeout=60
/* Functions that run as goroutines of a realm once a context has ended.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "host.h"

static gos_realm *realm;
static gos_chan *told; /* confined */
static void start(unsigned flags) {
  int e = 0;
  CHECK(realm = host_start(flags, &e));
  CHECK(told = gos_realm_chan(realm, 8, 0));
}

/* What a binding keeps for each. */
typedef struct func {
  void *stop; /* NULL: given back */
  gos_g *g;
  uint64_t creator;
  const char *label;
  int ran;
} func;
static int give_back(func *f) {
  void *stop = f->stop;
  f->stop = NULL;
  return gos_ctx_stop(stop);
}
static void runs(void *arg) {
  func *f = arg;
  gos_info i;
  CHECK(host.cur && gos_self() && gos_g_arg(gos_self()) == f);
  CHECK_EQ(gos_info_get(gos_self(), &i, sizeof i), GOS_OK);
  CHECK_HAS(i.site, "script:12");
  f->creator = i.creator;
  f->label = gos_label("job");
  if (f->stop) CHECK_EQ(give_back(f), 0);
  f->ran++;
  CHECK_EQ(gos_chan_send(told, &(long){1}), GOS_OK); /* it may wait, as any goroutine */
}
static void register_func(func *f, gos_ctx *x) {
  *f = (func){0};
  CHECK_EQ(gos_realm_ctx_after_func(realm, x, runs, f, &f->stop), GOS_OK);
}
static void hear(int n) {
  for (long v; n-- > 0;) CHECK_EQ(gos_chan_recv(told, &v), GOS_OK);
}

/* Those that have told it end, too. */
static void until_alone(void) {
  while (gos_num_goroutine() > 1) gos_gosched();
}

TEST_RAW(cancelled_by_a_goroutine_of_it) {
  func f[3];
  start(0);
  gos_ctx *x = gos_with_cancel(NULL);
  CHECK_EQ(gos_set_label("job", "7"), GOS_OK);
  for (int i = 0; i < 3; i++) register_func(&f[i], x);
  CHECK_EQ(gos_set_label("job", NULL), GOS_OK);
  CHECK_EQ(gos_num_goroutine(), 1);
  gos_cancel(x, 0);
  CHECK_EQ(f[0].ran, 0); /* in goroutines of their own */
  hear(3);
  for (int i = 0; i < 3; i++) {
    CHECK_EQ(f[i].ran, 1);
    CHECK_EQ(f[i].creator, gos_goid());
    CHECK_HAS(f[i].label, "7"); /* as a goroutine started at its registration */
  }
  register_func(&f[0], x); /* has ended: at once */
  hear(1);
  CHECK_EQ(f[0].ran, 1);
  until_alone();
  gos_ctx_release(x);
}

static void *cancels(void *x) { return gos_cancel(x, 5), NULL; }
TEST_RAW(cancelled_by_a_foreign_thread) {
  start(0);
  for (long n = scaled(300); n; n--) {
    pthread_t t;
    func f[4];
    gos_ctx *x = gos_with_cancel(NULL), *y = gos_with_cancel(x);
    for (int i = 0; i < 4; i++) register_func(&f[i], i % 2 ? x : y);
    gos_ctx_release(y); /* its functions keep it */
    CHECK_EQ(pthread_create(&t, NULL, cancels, x), 0);
    if (n % 2) gos_sleep(1);
    int stopped = give_back(&f[0]); /* before or after it, or between */
    hear(4 - stopped);
    CHECK_EQ(f[0].ran, 1 - stopped);
    pthread_join(t, NULL);
    gos_ctx_release(x);
  }
  until_alone();
}

TEST_RAW(a_pinned_realm_that_sleeps) {
  func f;
  start(GOS_HOST_PINNED);
  gos_ctx *x = gos_with_timeout(NULL, MS);
  register_func(&f, x);
  hear(1); /* its thread is asleep when the timer fires on another */
  CHECK_EQ(f.ran, 1);
  gos_ctx_release(x);
}

static atomic_bool cancelled;
static void cancels_and_says(void *x) { gos_cancel(x, 0), cancelled = true; }
TEST_RAW(cancelled_by_a_goroutine_of_c) {
  func f;
  start(0);
  gos_ctx *x = gos_with_cancel(NULL);
  register_func(&f, x);
  CHECK_EQ(gos_go(cancels_and_says, x), GOS_OK);
  hear(1);
  while (!cancelled) gos_gosched(), sched_yield();
  CHECK_EQ(f.ran, 1);
  gos_ctx_release(x);
}

TEST_RAW(stopped) {
  func f[2];
  start(0);
  gos_ctx *x = gos_with_cancel(NULL);
  for (long n = scaled(10000); n; n--) { /* nothing is used up */
    register_func(&f[0], x), register_func(&f[1], n % 2 ? x : NULL);
    CHECK_EQ(give_back(&f[1]), 1);
    CHECK_EQ(give_back(&f[0]), 1);
  }
  CHECK_EQ(gos_num_goroutine(), 1);
  register_func(&f[0], NULL); /* the background: never */
  register_func(&f[1], x);
  gos_ctx_release(x); /* kept alive by its function */
  CHECK_EQ(give_back(&f[1]), 1);
  CHECK_EQ(give_back(&f[0]), 1);
  gos_gosched();
  CHECK_EQ(f[0].ran + f[1].ran, 0);
}

TEST_RAW(arguments) {
  func f = {0};
  start(0);
  CHECK_EQ(gos_realm_ctx_after_func(realm, NULL, NULL, &f, &f.stop), GOS_INVAL);
  CHECK_EQ(gos_realm_ctx_after_func(realm, NULL, runs, &f, NULL), GOS_INVAL);
  CHECK_EQ(gos_realm_ctx_after_func(NULL, NULL, runs, &f, &f.stop), GOS_INVAL);
  CHECK_EQ(gos_ctx_stop(NULL), 0);
}

TEST_RAW(a_start_that_fails_is_told) {
  func f;
  start(0);
  gos_ctx *x = gos_with_cancel(NULL);
  register_func(&f, x);
  host.no_fibers = true;
  gos_cancel(x, 0);
  while (!host.failed_starts) gos_gosched();
  CHECK_EQ(f.ran, 0);
  CHECK_EQ(give_back(&f), 0); /* the binding's start_failed does this */
  host.no_fibers = false;
  gos_ctx_release(x);
  CHECK_EQ(gos_num_goroutine(), 1);
}

/* An object of the context goes with its last reference: in the goroutine that gives the handle back. */
static bool dropped;
static void drop(void *arg) {
  CHECK(gos_self() && host.cur);
  *(bool *)arg = true;
}
TEST_RAW(gives_its_context_up_outside_the_scheduler) {
  func f;
  start(0);
  gos_ctx *c = gos_with_cancel(NULL), *x = gos_with_value_drop(c, &dropped, &dropped, drop);
  register_func(&f, x);
  gos_ctx_release(x);
  CHECK(!dropped);
  gos_cancel(c, 0);
  hear(1);
  CHECK(dropped);
  gos_ctx_release(c);
}
