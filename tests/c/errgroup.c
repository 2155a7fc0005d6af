// ctest: timeout=60
/* Error groups.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static gos_errgroup *grp;
static gos_chan *gate;
static atomic_long running, most, ran;

static int gives(void *arg) {
  atomic_fetch_add(&ran, 1);
  return (int)(intptr_t)arg;
}
static int waits_then_gives(void *arg) {
  long n = atomic_fetch_add(&running, 1) + 1;
  for (long m = most; n > m && !atomic_compare_exchange_weak(&most, &m, n);) {}
  gos_chan_recv(gate, NULL);
  atomic_fetch_sub(&running, 1);
  return gives(arg);
}
static int until_canceled(void *arg) {
  CHECK_EQ(gos_chan_recv(gos_ctx_done(gos_errgroup_ctx(grp)), NULL), GOS_CLOSED);
  return gives(arg);
}

TEST(no_goroutines) {
  grp = gos_errgroup_new(NULL);
  gos_ctx *x = gos_errgroup_ctx(grp);
  CHECK_EQ(gos_ctx_err(x), GOS_OK);
  CHECK_EQ(gos_errgroup_wait(grp), GOS_OK);
  CHECK_EQ(gos_ctx_err(x), GOS_CANCELED);
  CHECK_EQ(gos_ctx_cause(x), GOS_CANCELED);
  CHECK_EQ(gos_errgroup_errors(grp, NULL, 0), 0);
  CHECK_EQ(gos_errgroup_go(grp, NULL, NULL), GOS_INVAL);
  CHECK_EQ(gos_errgroup_go(NULL, gives, NULL), GOS_INVAL);
  gos_errgroup_free(grp);
  gos_errgroup_free(NULL);
}

TEST(the_first_error_is_kept) {
  static const struct {
    int errs[3], first;
  } cases[] = {{{0, 0, 0}, 0}, {{7, 0, 0}, 7}, {{0, -3, 9}, -3}, {{-1, 5, 6}, -1}};
  for (int i = 0; i < 4; i++) {
    grp = gos_errgroup_new(NULL);
    int seen = 0, errs[3] = {0};
    for (int k = 0; k < 3; k++) { /* one after the other, so that the order is known */
      long before = ran;
      CHECK_EQ(gos_errgroup_go(grp, gives, (void *)(intptr_t)cases[i].errs[k]), GOS_OK);
      while (ran == before) gos_gosched();
      seen += cases[i].errs[k] != 0;
      while (gos_errgroup_errors(grp, NULL, 0) < seen) gos_gosched();
    }
    CHECK_EQ(gos_errgroup_wait(grp), cases[i].first);
    CHECK_EQ(gos_errgroup_wait(grp), cases[i].first); /* as often as one likes */
    CHECK_EQ(gos_ctx_cause(gos_errgroup_ctx(grp)), cases[i].first ? cases[i].first : GOS_CANCELED);
    CHECK_EQ(gos_errgroup_errors(grp, errs, 3), seen);
    for (int k = 0, at = 0; k < 3; k++)
      if (cases[i].errs[k]) CHECK_EQ(errs[at++], cases[i].errs[k]);
    errs[1] = 77;
    CHECK_EQ(gos_errgroup_errors(grp, errs, 1), seen);
    CHECK_EQ(errs[1], 77);
    gos_errgroup_free(grp);
  }
}

TEST(an_error_ends_the_others) {
  grp = gos_errgroup_new(NULL);
  for (int i = 0; i < 5; i++) CHECK_EQ(gos_errgroup_go(grp, until_canceled, i ? NULL : (void *)2), GOS_OK);
  CHECK_EQ(gos_errgroup_wait_dl(grp, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_errgroup_wait_dl(grp, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_ctx_err(gos_errgroup_ctx(grp)), GOS_OK);
  CHECK_EQ(gos_errgroup_go(grp, gives, (void *)1), GOS_OK);
  CHECK_EQ(gos_errgroup_wait(grp), 1);
  CHECK_EQ(gos_errgroup_errors(grp, NULL, 0), 2);
  CHECK_EQ(ran, 6);
  gos_errgroup_free(grp);
}

TEST(the_parent_ends) {
  gos_ctx *p = gos_with_cancel(NULL), *v = gos_with_value(p, &gate, "v");
  grp = gos_errgroup_new(v);
  CHECK(!strcmp(gos_ctx_value(gos_errgroup_ctx(grp), &gate), "v"));
  CHECK_EQ(gos_errgroup_go(grp, until_canceled, NULL), GOS_OK);
  gos_cancel(p, 3);
  CHECK_EQ(gos_errgroup_wait(grp), GOS_OK);
  CHECK_EQ(gos_ctx_cause(gos_errgroup_ctx(grp)), 3);
  gos_errgroup_free(grp);
  gos_ctx_release(v);
  gos_ctx_release(p);
}

static void goes(void *arg) { CHECK_EQ(gos_errgroup_go(grp, gives, arg), GOS_OK); }

TEST(a_limit) {
  grp = gos_errgroup_new(NULL);
  gate = gos_chan_make(0, 0);
  CHECK_EQ(gos_errgroup_set_limit(grp, 2), GOS_OK);
  for (int i = 0; i < 2; i++) CHECK_EQ(gos_errgroup_go(grp, waits_then_gives, NULL), GOS_OK);
  CHECK_EQ(gos_errgroup_try_go(grp, gives, NULL), GOS_WOULDBLOCK);
  CHECK_EQ(gos_errgroup_set_limit(grp, 3), GOS_PERM);
  CHECK_EQ(gos_errgroup_set_limit(grp, -1), GOS_PERM);
  gos_g *g = spawn(goes, NULL);
  until_parked(g, "semaphore.Acquire");
  CHECK_EQ(gos_chan_send(gate, NULL), GOS_OK);
  finish(g);
  CHECK_EQ(gos_chan_send(gate, NULL), GOS_OK);
  CHECK_EQ(gos_errgroup_wait(grp), GOS_OK);
  CHECK_EQ(ran, 3);
  CHECK_EQ(gos_errgroup_set_limit(grp, 0), GOS_OK); /* none can start, */
  CHECK_EQ(gos_errgroup_try_go(grp, gives, NULL), GOS_WOULDBLOCK);
  g = spawn(goes, NULL);
  until_parked(g, "semaphore.Acquire");
  CHECK_EQ(gos_errgroup_set_limit(grp, 1), GOS_OK); /* until one may */
  finish(g);
  CHECK_EQ(gos_errgroup_wait(grp), GOS_OK);
  CHECK_EQ(gos_errgroup_set_limit(grp, -1), GOS_OK);
  for (int i = 0; i < 100; i++) CHECK_EQ(gos_errgroup_try_go(grp, waits_then_gives, NULL), GOS_OK);
  gos_chan_close(gate);
  CHECK_EQ(gos_errgroup_wait(grp), GOS_OK);
  CHECK_EQ(ran, 104);
  gos_errgroup_free(grp);
}

TEST(a_limit_holds) {
  grp = gos_errgroup_new(NULL);
  gate = gos_chan_make(0, 0);
  gos_chan_close(gate);
  CHECK_EQ(gos_errgroup_set_limit(grp, 3), GOS_OK);
  for (long i = scaled(2000); i; i--) CHECK_EQ(gos_errgroup_go(grp, waits_then_gives, NULL), GOS_OK);
  CHECK_EQ(gos_errgroup_wait(grp), GOS_OK);
  CHECK(most >= 1 && most <= 3);
  CHECK_EQ(ran, scaled(2000));
  gos_errgroup_free(grp);
}

static int leaves(void *arg) {
  gives(arg);
  gos_goexit();
  return 1;
}
static void deferred(void *arg) { atomic_fetch_add((atomic_long *)arg, 1); }
static int defers(void *arg) { return gos_defer(deferred, arg) ? 99 : 5; }

TEST(goexit_and_defer) {
  atomic_long after = 0;
  grp = gos_errgroup_new(NULL);
  CHECK_EQ(gos_errgroup_set_limit(grp, 1), GOS_OK);
  for (int i = 0; i < 10; i++) CHECK_EQ(gos_errgroup_go(grp, leaves, NULL), GOS_OK);
  CHECK_EQ(gos_errgroup_wait(grp), GOS_OK);
  CHECK_EQ(ran, 10);
  CHECK_EQ(gos_errgroup_go(grp, defers, &after), GOS_OK);
  CHECK_EQ(gos_errgroup_wait(grp), 5);
  while (!after) gos_gosched();
  gos_errgroup_free(grp);
}

static void waits_in_vain(void *arg) {
  (void)arg;
  CHECK_EQ(gos_errgroup_wait(grp), GOS_CANCELED);
  CHECK_EQ(gos_errgroup_go(grp, gives, NULL), GOS_CANCELED);
}

TEST(waits_can_be_interrupted) {
  grp = gos_errgroup_new(NULL);
  gate = gos_chan_make(0, 0);
  CHECK_EQ(gos_errgroup_set_limit(grp, 1), GOS_OK);
  CHECK_EQ(gos_errgroup_go(grp, waits_then_gives, NULL), GOS_OK);
  gos_g *g = spawn(waits_in_vain, NULL);
  until_parked(g, "sync.WaitGroup.Wait");
  gos_interrupt(g);
  until_parked(g, "semaphore.Acquire");
  gos_interrupt(g);
  finish(g);
  CHECK_EQ(gos_ctx_err(gos_errgroup_ctx(grp)), GOS_OK);
  gos_chan_close(gate);
  CHECK_EQ(gos_errgroup_wait(grp), GOS_OK);
  gos_errgroup_free(grp);
}

/* Freed while goroutines run: its context ends, and they with it. */
static int until_the_end(void *x) {
  CHECK_EQ(gos_chan_recv(gos_ctx_done(x), NULL), GOS_CLOSED);
  gos_ctx_release(x);
  return gives((void *)1);
}
TEST(freed_while_they_run) {
  for (long i = scaled(200); i; i--) {
    long before = ran;
    grp = gos_errgroup_new(NULL);
    for (int k = 0; k < 4; k++)
      CHECK_EQ(gos_errgroup_go(grp, until_the_end, gos_ctx_retain(gos_errgroup_ctx(grp))), GOS_OK);
    gos_errgroup_free(grp);
    while (ran < before + 4) gos_gosched();
  }
}

/* A pipeline whose stages give up together. */
static int stage(void *arg) {
  gos_chan **c = arg;
  gos_ctx *x = gos_errgroup_ctx(grp);
  for (long v;;) {
    int e = gos_chan_recv_ctx(c[0], &v, x);
    if (e == GOS_OK && v == 500) return 42;
    if (e == GOS_OK) e = gos_chan_send_ctx(c[1], &v, x);
    if (e) return e;
  }
}
static int source(void *c) {
  for (long v = 0;; v++) {
    int e = gos_chan_send_ctx(c, &v, gos_errgroup_ctx(grp));
    if (e) return e;
  }
}
static int sink(void *c) {
  for (long v, want = 0;; want++) {
    int e = gos_chan_recv_ctx(c, &v, gos_errgroup_ctx(grp));
    if (e) return e;
    CHECK_EQ(v, want);
  }
}
TEST(a_pipeline) {
  gos_chan *c[12];
  grp = gos_errgroup_new(NULL);
  for (int i = 0; i < 12; i++) c[i] = gos_chan_make(sizeof(long), (size_t)i % 3);
  CHECK_EQ(gos_errgroup_go(grp, source, c[0]), GOS_OK);
  for (int i = 0; i < 11; i++) CHECK_EQ(gos_errgroup_go(grp, stage, &c[i]), GOS_OK);
  CHECK_EQ(gos_errgroup_go(grp, sink, c[11]), GOS_OK);
  CHECK_EQ(gos_errgroup_wait(grp), 42);
  CHECK_EQ(gos_errgroup_errors(grp, NULL, 0), 13);
  gos_errgroup_free(grp);
  for (int i = 0; i < 12; i++) gos_chan_release(c[i]);
}
