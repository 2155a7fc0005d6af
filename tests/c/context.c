// ctest: timeout=120
// ctest: internal
/* Contexts: trees of them, their values, deadlines, causes and functions.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <gossamer/host.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>
#include "context/context.h"

static const gos_ns hour = 3600000 * MS;
static const char k1, k2, k3;

static bool is_closed(gos_chan *c) { return gos_chan_recv_dl(c, NULL, GOS_NOW) == GOS_CLOSED; }
static bool alone(gos_ctx *x) { return !gosi_load(&x->scope->first); } /* nothing is in its list */
static void check_live(gos_ctx *x) {
  CHECK_EQ(gos_ctx_err(x), GOS_OK);
  CHECK_EQ(gos_ctx_cause(x), GOS_OK);
  CHECK_EQ(gos_chan_recv_dl(gos_ctx_done(x), NULL, GOS_NOW), GOS_WOULDBLOCK);
}
static void check_ended(gos_ctx *x, int err, int cause) {
  CHECK_EQ(gos_ctx_err(x), err);
  CHECK_EQ(gos_ctx_cause(x), cause);
  CHECK(is_closed(gos_ctx_done(x)));
}
static void wait_done(gos_ctx *x) { CHECK_EQ(gos_chan_recv(gos_ctx_done(x), NULL), GOS_CLOSED); }

TEST(the_background) {
  gos_ctx *bg = gos_background();
  gos_ns t = 1;
  CHECK(gos_ctx_retain(bg) == bg);
  gos_cancel(bg, 5);
  CHECK_EQ(gos_ctx_err(bg), GOS_OK);
  CHECK_EQ(gos_ctx_cause(bg), GOS_OK);
  CHECK(!gos_ctx_done(bg));
  CHECK(!gos_ctx_value(bg, &k1));
  CHECK_EQ(gos_ctx_deadline(bg, &t), 0);
  CHECK_EQ(t, GOS_FOREVER);
  for (int i = 0; i < 3; i++) gos_ctx_release(bg);
  CHECK_EQ(gos_ctx_err(NULL), GOS_OK);
  CHECK(!gos_ctx_done(NULL));
  gos_ctx_release(NULL);
}

TEST(a_cancel_and_its_cause) {
  const int causes[][2] = {{0, GOS_CANCELED}, {7, 7}, {-1234, -1234}, {GOS_NOMEM, GOS_NOMEM}};
  for (int i = 0; i < 4; i++) {
    gos_ctx *x = gos_with_cancel(NULL);
    if (i % 2) check_live(x);
    gos_cancel(x, causes[i][0]);
    check_ended(x, GOS_CANCELED, causes[i][1]);
    gos_cancel(x, 99);
    check_ended(x, GOS_CANCELED, causes[i][1]);
    gos_ctx_release(x);
  }
}

TEST(an_end_goes_down_and_nowhere_else) {
  gos_ctx *root = gos_with_cancel(gos_background()), *a = gos_with_cancel(root), *b = gos_with_cancel(root);
  gos_ctx *v = gos_with_value(a, &k1, "v"), *a1 = gos_with_cancel(v), *a2 = gos_with_timeout(a1, hour);
  gos_ctx_done(a1);
  gos_cancel(a2, 1);
  check_ended(a2, GOS_CANCELED, 1);
  check_live(a1);
  gos_cancel(a, 2);
  check_ended(a, GOS_CANCELED, 2);
  check_ended(v, GOS_CANCELED, 2);
  check_ended(a1, GOS_CANCELED, 2);
  check_ended(a2, GOS_CANCELED, 1); /* its own came first */
  check_live(root);
  check_live(b);
  gos_cancel(root, 3);
  check_ended(b, GOS_CANCELED, 3);
  check_ended(a, GOS_CANCELED, 2);
  gos_ctx *all[] = {root, a, b, v, a1, a2};
  for (int i = 0; i < 6; i++) gos_ctx_release(all[i]);
}

TEST(a_child_of_one_that_has_ended) {
  gos_ctx *p = gos_with_cancel(NULL), *v = gos_with_value(p, &k1, "v");
  gos_cancel(p, 4);
  gos_ctx *kids[] = {gos_with_cancel(p), gos_with_timeout(p, hour), gos_with_timeout(p, -1), gos_with_cancel(v),
                     gos_merge(p, NULL), gos_merge(NULL, v),        gos_with_grace(p, 0)};
  for (int i = 0; i < 7; i++) {
    check_ended(kids[i], GOS_CANCELED, 4);
    gos_ctx_release(kids[i]);
  }
  CHECK(alone(p));
  gos_ctx_release(v);
  gos_ctx_release(p);
}

/* However a child goes, it leaves its parent's list, and the parent goes on. */
TEST(children_leave_their_parent) {
  gos_ctx *p = gos_with_cancel(NULL), *q = gos_with_cancel(NULL);
  for (int how = 0; how < 3; how++) {
    gos_ctx *kids[] = {gos_with_cancel(p), gos_with_timeout(p, hour), gos_with_grace(p, hour),
                       gos_merge(p, q),    gos_merge(q, p),           gos_with_timeout(p, -1)};
    for (int i = 0; i < 6; i++) {
      if (how == 1) gos_ctx_done(kids[i]);
      if (how >= 1) gos_cancel(kids[i], 0);
      if (how <= 1) gos_ctx_release(kids[i]);
    }
    CHECK(alone(p));
    CHECK(alone(q));
    for (int i = 0; how == 2 && i < 6; i++) gos_ctx_release(kids[i]);
  }
  gos_ctx *timed = gos_with_timeout(p, MS);
  wait_done(timed);
  gos_cancel(timed, 0); /* waits for an end that is under way */
  CHECK(alone(p));
  check_live(p);
  gos_ctx_release(timed);
  gos_ctx_release(p);
  gos_ctx_release(q);
}

TEST(a_child_keeps_its_parent_alive) {
  gos_ctx *p = gos_with_cancel(NULL), *v = gos_with_value(p, &k1, "v"), *c = gos_with_cancel(v);
  gos_ctx_retain(p);
  gos_ctx_release(p);
  gos_ctx_release(v);
  CHECK(!strcmp(gos_ctx_value(c, &k1), "v"));
  gos_cancel(p, 9); /* by the reference that is left */
  gos_ctx_release(p);
  check_ended(c, GOS_CANCELED, 9);
  gos_ctx_release(c);
}

/* ---- values -------------------------------------------------------------------------------- */
TEST(values) {
  gos_ctx *a = gos_with_value(NULL, &k1, "a"), *b = gos_with_cancel(a), *c = gos_with_value(b, &k2, "c");
  gos_ctx *d = gos_with_value(c, &k1, "d"), *e = gos_without_cancel(d), *f = gos_with_value(e, &k2, NULL);
  CHECK(!strcmp(gos_ctx_value(b, &k1), "a"));
  CHECK(!gos_ctx_value(b, &k2));
  CHECK(!strcmp(gos_ctx_value(c, &k1), "a"));
  CHECK(!strcmp(gos_ctx_value(d, &k1), "d"));
  CHECK(!strcmp(gos_ctx_value(e, &k2), "c"));
  CHECK(!gos_ctx_value(f, &k2));
  CHECK(!gos_ctx_value(f, &k3));
  CHECK(!gos_with_value(a, NULL, "x"));
  gos_cancel(c, 1); /* no scope of its own */
  check_live(b);
  gos_cancel(b, 1);
  check_ended(d, GOS_CANCELED, 1);
  CHECK_EQ(gos_ctx_err(e), GOS_OK);
  CHECK(!gos_ctx_done(f));
  gos_ctx *all[] = {a, b, c, d, e, f};
  for (int i = 0; i < 6; i++) gos_ctx_release(all[i]);
}

/* ---- deadlines ------------------------------------------------------------------------------ */
TEST(deadlines) {
  gos_ns t, now = gos_now();
  gos_ctx *a = gos_with_deadline(NULL, now + hour), *later = gos_with_deadline(a, now + 2 * hour);
  gos_ctx *sooner = gos_with_timeout(later, hour / 2), *past = gos_with_deadline(sooner, now - 1);
  gos_ctx *never = gos_with_timeout(NULL, GOS_FOREVER), *free_of_it = gos_without_cancel(sooner);
  CHECK_EQ(gos_ctx_deadline(a, &t), 1);
  CHECK_EQ(t, now + hour);
  CHECK_EQ(gos_ctx_deadline(later, &t), 1);
  CHECK_EQ(t, now + hour);
  CHECK_EQ(gos_ctx_deadline(sooner, &t), 1);
  CHECK(t < now + hour);
  CHECK_EQ(gos_ctx_deadline(never, &t), 0);
  CHECK_EQ(gos_ctx_deadline(free_of_it, NULL), 0);
  check_ended(past, GOS_TIMEDOUT, GOS_TIMEDOUT);
  check_live(sooner);
  gos_cancel(sooner, 0);
  check_ended(sooner, GOS_CANCELED, GOS_CANCELED);
  gos_ctx *all[] = {a, later, sooner, past, never, free_of_it};
  for (int i = 0; i < 6; i++) gos_ctx_release(all[i]);
}

TEST(a_deadline_passes) {
  for (int i = 0; i < 20; i++) {
    gos_ns t = gos_now() + i * MS / 8;
    gos_ctx *x = gos_with_deadline(NULL, t), *v = gos_with_value(x, &k1, "v"), *c = gos_with_cancel(v);
    gos_ctx *longer = gos_with_timeout(c, hour), *own = gos_with_cancel(x);
    gos_cancel(own, 3);
    int first = gos_ctx_err(own);
    wait_done(longer);
    CHECK(gos_now() >= t);
    check_ended(x, GOS_TIMEDOUT, GOS_TIMEDOUT);
    check_ended(v, GOS_TIMEDOUT, GOS_TIMEDOUT);
    check_ended(longer, GOS_TIMEDOUT, GOS_TIMEDOUT);
    gos_cancel(x, 8);
    check_ended(c, GOS_TIMEDOUT, GOS_TIMEDOUT);
    CHECK_EQ(gos_ctx_err(own), first);
    gos_ctx *all[] = {x, v, c, longer, own};
    for (int k = 0; k < 5; k++) gos_ctx_release(all[k]);
  }
}

TEST(a_grace) {
  gos_ns t;
  for (int how = 0; how < 4; how++) {
    gos_ctx *p = gos_with_timeout(NULL, hour), *v = gos_with_value(p, &k1, "v");
    gos_ctx *g = gos_with_grace(v, how == 3 ? hour : 2 * MS), *below = gos_with_cancel(g), *gg = gos_with_grace(g, MS);
    CHECK_EQ(gos_ctx_deadline(g, &t), 1);
    gos_ns own;
    CHECK(gos_ctx_deadline(p, &own) && t == own + (how == 3 ? hour : 2 * MS));
    CHECK(!strcmp(gos_ctx_value(below, &k1), "v"));
    gos_ns before = gos_now();
    if (how == 2) gos_ctx_release(g), g = NULL;
    gos_cancel(p, 6);
    if (how == 3) {
      check_live(below);
      gos_cancel(g, 8);
      check_ended(below, GOS_CANCELED, 8);
    } else {
      wait_done(below);
      CHECK(gos_now() >= before + 2 * MS);
      check_ended(below, GOS_CANCELED, 6);
      wait_done(gg);
      CHECK(gos_now() >= before + 3 * MS);
      check_ended(gg, GOS_CANCELED, 6);
    }
    gos_ctx *late = gos_with_grace(p, MS); /* counts from the parent's end */
    wait_done(late);
    check_ended(late, GOS_CANCELED, 6);
    gos_ctx *none = gos_with_grace(NULL, 1);
    check_live(none);
    gos_ctx *all[] = {p, v, g, below, gg, late, none};
    for (int k = 0; k < 7; k++) gos_ctx_release(all[k]);
  }
}

TEST(a_grace_after_a_deadline) {
  gos_ctx *p = gos_with_timeout(NULL, MS), *g = gos_with_grace(p, MS);
  wait_done(g);
  check_ended(g, GOS_TIMEDOUT, GOS_TIMEDOUT);
  gos_ctx_release(p);
  gos_ctx_release(g);
}

/* ---- merges ---------------------------------------------------------------------------------- */
TEST(merges) {
  for (int which = 0; which < 2; which++) {
    gos_ctx *p[2] = {gos_with_timeout(NULL, hour), gos_with_timeout(NULL, hour / 2)}, *v[2];
    v[0] = gos_with_value(p[0], &k1, "0");
    v[1] = gos_with_value(p[1], &k1, "1");
    gos_ctx *only = gos_with_value(v[1], &k2, "2"), *m = gos_merge(v[0], only), *below = gos_with_cancel(m);
    gos_ns t, least;
    CHECK(!strcmp(gos_ctx_value(below, &k1), "0"));
    CHECK(!strcmp(gos_ctx_value(below, &k2), "2"));
    CHECK(!gos_ctx_value(below, &k3));
    CHECK(gos_ctx_deadline(m, &t) && gos_ctx_deadline(p[1], &least) && t == least);
    check_live(m);
    gos_cancel(p[which], 10 + which);
    check_ended(m, GOS_CANCELED, 10 + which);
    check_ended(below, GOS_CANCELED, 10 + which);
    CHECK(alone(p[0]) && alone(p[1]));
    check_live(p[!which]);
    gos_cancel(p[!which], 5);
    check_ended(m, GOS_CANCELED, 10 + which);
    gos_ctx *all[] = {p[0], p[1], v[0], v[1], only, m, below};
    for (int k = 0; k < 7; k++) gos_ctx_release(all[k]);
  }
}

TEST(merges_within_one_tree) {
  for (int i = 0; i < 8; i++) { /* the same scope from two sides, and from far below; in any order */
    gos_ctx *root = gos_with_cancel(NULL), *x1 = gos_with_cancel(root), *m1 = NULL, *m2 = NULL;
    if (i & 1) m1 = gos_merge(root, root);
    gos_ctx *y = gos_with_cancel(x1), *x2 = gos_with_cancel(y);
    if (i & 2) m2 = gos_merge(i & 4 ? x1 : x2, i & 4 ? x2 : x1);
    if (!m1) m1 = gos_merge(x2, root);
    if (!m2) m2 = gos_merge(x1, m1);
    gos_ctx *z = gos_with_cancel(x1), *all[] = {root, x1, m1, m2, y, x2, z};
    for (int k = 0; k < 7; k++) gos_ctx_done(all[k]);
    gos_cancel(root, 2);
    for (int k = 0; k < 7; k++) check_ended(all[k], GOS_CANCELED, 2);
    for (int k = 0; k < 7; k++) gos_ctx_release(all[(k * 3 + i) % 7]);
  }
}

TEST(merges_of_merges_have_an_end) {
  gos_ctx *x = gos_with_value(NULL, &k1, "v"), *y;
  int n = 0;
  for (; (y = gos_merge(NULL, x)); n++) gos_ctx_release(x), x = y;
  CHECK_EQ(n, 64);
  CHECK(!strcmp(gos_ctx_value(x, &k1), "v"));
  CHECK(!gos_ctx_value(x, &k2));
  gos_ctx_release(x);
}

/* As many ways up as 2 to the 64: each merge is searched once. */
TEST(merges_of_the_same_are_searched_once) {
  gos_ctx *top = gos_with_value(NULL, &k1, "v"), *x = gos_ctx_retain(top), *second = gos_ctx_retain(top);
  for (int i = 0; i < 64; i++) {
    gos_ctx *a = gos_merge(x, second), *b = gos_merge(second, x);
    CHECK(a && b);
    gos_ctx_release(x), gos_ctx_release(second);
    x = a, second = b;
  }
  CHECK(!gos_ctx_value(x, &k2) && !gos_ctx_value(second, &k2));
  gos_ctx *v = gos_with_value(NULL, &k2, "w"), *none = gos_merge(NULL, NULL), *first = gos_merge(none, v);
  CHECK(!strcmp(gos_ctx_value(first, &k2), "w"));
  CHECK(!strcmp(gos_ctx_value(x, &k1), "v") && !strcmp(gos_ctx_value(second, &k1), "v"));
  gos_ctx *all[] = {top, x, second, v, none, first};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) gos_ctx_release(all[i]);
}

/* ---- done ------------------------------------------------------------------------------------- */
TEST(a_done_channel) {
  gos_ctx *x = gos_with_cancel(NULL), *v = gos_with_value(x, &k1, "v");
  gos_chan *d = gos_ctx_done(v);
  CHECK(d && gos_ctx_done(x) == d && gos_ctx_done(v) == d);
  gos_chan_retain(d);
  gos_cancel(x, 0);
  CHECK(gos_ctx_done(x) == d);
  gos_ctx_release(x);
  gos_ctx_release(v);
  CHECK(is_closed(d));
  gos_chan_release(d);
  for (int i = 0; i < 3; i++) { /* asked for too late: closed from the start */
    x = gos_with_cancel(NULL);
    gos_cancel(x, 0);
    d = gos_ctx_done(x);
    CHECK(is_closed(d));
    CHECK_EQ(gos_chan_close(d), GOS_CLOSED);
    gos_chan_release(gos_chan_retain(d));
    gos_ctx_release(x);
  }
}

/* Whoever sees the error finds the channel closed. */
static gos_ctx *shared;
static atomic_long count;
static void looks(void *arg) {
  gos_chan *d = arg ? gos_ctx_done(shared) : NULL;
  while (gos_ctx_err(shared) == GOS_OK) gos_gosched();
  CHECK(is_closed(d ? d : gos_ctx_done(shared)));
  CHECK(gos_ctx_cause(shared) == 1);
}
static void *cancels_one(void *x) { return gos_cancel(x, 1), NULL; }

TEST(no_error_beside_an_open_channel) {
  for (long i = scaled(300); i; i--) {
    pthread_t t;
    shared = gos_with_cancel(NULL);
    gos_g *g[4];
    for (intptr_t k = 0; k < 4; k++) g[k] = spawn(looks, (void *)(k % 2));
    CHECK_EQ(pthread_create(&t, NULL, cancels_one, shared), 0);
    for (int k = 0; k < 4; k++) finish(g[k]);
    pthread_join(t, NULL);
    gos_ctx_release(shared);
  }
}

/* ---- functions ---------------------------------------------------------------------------------- */
static atomic_long ran;
static void runs(void *arg) {
  (void)arg;
  atomic_fetch_add(&ran, 1);
}
static void runs_and_leaves(void *arg) { runs(arg), gos_goexit(); }
static void until(atomic_long *n, long wanted) {
  while (atomic_load(n) < wanted) gos_gosched();
  CHECK_EQ(*n, wanted);
}

TEST(functions_after_the_end) {
  void *stop[6];
  gos_ctx *x = gos_with_cancel(NULL), *v = gos_with_value(x, &k1, "v"), *c = gos_with_cancel(v);
  CHECK_EQ(gos_ctx_after_func(x, NULL, NULL, NULL), GOS_INVAL);
  CHECK_EQ(gos_ctx_after_func(x, runs, NULL, &stop[0]), GOS_OK);
  CHECK_EQ(gos_ctx_after_func(v, runs, NULL, &stop[1]), GOS_OK);
  CHECK_EQ(gos_ctx_after_func(c, runs, NULL, &stop[2]), GOS_OK);
  CHECK_EQ(gos_ctx_after_func(c, runs_and_leaves, NULL, NULL), GOS_OK);
  CHECK_EQ(gos_ctx_after_func(c, runs, NULL, &stop[3]), GOS_OK);
  CHECK_EQ(gos_ctx_after_func(NULL, runs, NULL, &stop[4]), GOS_OK);
  CHECK_EQ(gos_ctx_after_func(NULL, runs, NULL, NULL), GOS_OK);
  CHECK_EQ(gos_ctx_stop(stop[3]), 1);
  CHECK_EQ(ran, 0);
  gos_cancel(x, 0);
  until(&ran, 4);
  for (int i = 0; i < 3; i++) CHECK_EQ(gos_ctx_stop(stop[i]), 0);
  CHECK_EQ(gos_ctx_stop(stop[4]), 1);
  CHECK_EQ(gos_ctx_after_func(c, runs, NULL, &stop[5]), GOS_OK); /* has ended: at once */
  CHECK_EQ(gos_ctx_after_func(x, runs, NULL, NULL), GOS_OK);
  until(&ran, 6);
  CHECK_EQ(gos_ctx_stop(stop[5]), 0);
  CHECK_EQ(gos_ctx_stop(NULL), 0);
  gos_ctx *all[] = {x, v, c};
  for (int i = 0; i < 3; i++) gos_ctx_release(all[i]);
}

/* Registered, and the context released: it still runs when the end comes. */
TEST(a_function_keeps_its_context) {
  gos_ctx *p = gos_with_cancel(NULL), *c = gos_with_cancel(p), *t = gos_with_timeout(NULL, MS);
  void *stop;
  CHECK_EQ(gos_ctx_after_func(c, runs, NULL, NULL), GOS_OK);
  CHECK_EQ(gos_ctx_after_func(t, runs, NULL, &stop), GOS_OK);
  gos_ctx_release(c);
  gos_ctx_release(t);
  gos_cancel(p, 0);
  until(&ran, 2);
  CHECK_EQ(gos_ctx_stop(stop), 0);
  gos_ctx_release(p);
}

static void stops(void *stop) { atomic_fetch_add(&count, gos_ctx_stop(stop)); }
static void cancels(void *x) { gos_cancel(x, 0); }

TEST(stop_races_with_the_end) {
  enum { N = 16 };
  for (long round = scaled(300); round; round--) {
    gos_ctx *x = gos_with_cancel(NULL);
    gos_g *g[N + 1];
    void *stop[N];
    ran = count = 0;
    for (int i = 0; i < N; i++) CHECK_EQ(gos_ctx_after_func(x, runs, NULL, &stop[i]), GOS_OK);
    for (int i = 0, k = 0; i <= N; i++) g[i] = i == round % N ? spawn(cancels, x) : spawn(stops, stop[k++]);
    for (int i = 0; i <= N; i++) finish(g[i]);
    while (ran + count < N) gos_gosched();
    CHECK_EQ(ran + count, N);
    gos_ctx_release(x);
  }
}

/* ---- causes and values with objects -------------------------------------------------------------- */
static void drops(void *n) { atomic_fetch_add((atomic_long *)n, 1); }

TEST(a_cause_with_an_object) {
  atomic_long first = 0, second = 0, val = 0;
  gos_ctx *p = gos_with_cancel(NULL), *v = gos_with_value_drop(p, &k1, &val, drops), *c = gos_with_timeout(v, hour);
  gos_ctx *g = gos_with_grace(p, MS), *m = gos_merge(NULL, c);
  CHECK(!gos_ctx_cause_data(c));
  gos_cancel_with(p, 5, &first, drops);
  gos_cancel_with(p, 6, &second, drops); /* too late */
  CHECK_EQ(second, 1);
  gos_cancel_with(v, 6, &second, drops); /* cannot be cancelled */
  gos_cancel_with(NULL, 6, &second, drops);
  CHECK_EQ(second, 3);
  gos_cancel_with(p, 6, NULL, NULL);
  gos_ctx *all[] = {p, v, c, m};
  for (int i = 0; i < 4; i++) {
    CHECK_EQ(gos_ctx_cause(all[i]), 5);
    CHECK(gos_ctx_cause_data(all[i]) == &first);
  }
  gos_ctx *late = gos_with_cancel(m);
  CHECK(gos_ctx_cause_data(late) == &first);
  for (int i = 0; i < 4; i++) gos_ctx_release(all[i]);
  CHECK_EQ(val, 0);
  gos_ctx_release(late);
  CHECK_EQ(val, 1);
  wait_done(g);
  CHECK(gos_ctx_cause_data(g) == &first);
  CHECK_EQ(first, 0);
  gos_cancel(g, 1); /* its end may be under way */
  gos_ctx_release(g);
  CHECK_EQ(first, 1);
}

/* ---- size ------------------------------------------------------------------------------------------ */
static gos_ctx *grow(gos_ctx *x, long i) {
  switch (i % 4) {
  case 0: return gos_with_value(x, &k1, "v");
  case 1: return gos_with_timeout(x, hour - i);
  case 2: return i % 3 ? gos_with_cancel(x) : gos_with_grace(x, 0);
  default: return gos_with_cancel(x);
  }
}

TEST(deep) {
  long n = scaled(20000);
  gos_ctx *root = gos_with_value(NULL, &k2, "root"), *top = gos_with_cancel(root), *x = gos_ctx_retain(top);
  for (long i = 0; i < n; i++) {
    gos_ctx *y = grow(x, i);
    CHECK(y);
    if (i % 7 == 0) gos_ctx_done(y);
    gos_ctx_release(x);
    x = y;
  }
  CHECK(!strcmp(gos_ctx_value(x, &k2), "root"));
  gos_chan *d = gos_ctx_done(x);
  gos_cancel(top, 3);
  CHECK(is_closed(d));
  check_ended(x, GOS_CANCELED, 3);
  gos_ctx_release(root);
  gos_ctx_release(top);
  gos_ctx_release(x);
}

static void waits_for(void *x) {
  wait_done(x);
  atomic_fetch_add(&count, 1);
  gos_ctx_release(x);
}

TEST(wide) {
  long n = scaled_live(5000);
  gos_ctx *top = gos_with_cancel(NULL);
  for (long i = 0; i < n; i++) {
    gos_ctx *c = i % 3 ? gos_with_cancel(top) : gos_with_timeout(top, hour);
    CHECK_EQ(gos_go(waits_for, gos_ctx_retain(c)), GOS_OK);
    gos_ctx_release(c);
  }
  gos_cancel(top, 0);
  until(&count, n);
  CHECK(alone(top));
  gos_ctx_release(top);
}

/* ---- races ------------------------------------------------------------------------------------------ */
/* Each waits for one context and ends another that somebody waits for in turn. */
static gos_ctx *chain[40];
static void passes_on(void *at) {
  intptr_t i = (intptr_t)at;
  wait_done(chain[i]);
  gos_cancel(chain[i + 1], (int)i + 1);
  gos_cancel(chain[i / 2], 0);
}

TEST(interlocked_cancels) {
  gos_ctx *p = gos_with_cancel(NULL);
  gos_g *g[39];
  for (int i = 0; i < 40; i++) chain[i] = gos_with_cancel(i % 5 ? chain[i - i % 5] : p);
  for (intptr_t i = 0; i < 39; i++) g[i] = spawn(passes_on, (void *)i);
  gos_cancel(chain[0], 99);
  for (int i = 0; i < 39; i++) finish(g[i]);
  check_live(p);
  CHECK(alone(p));
  for (int i = 0; i < 40; i++) gos_ctx_release(chain[i]);
  gos_ctx_release(p);
}

static void cancels_by_number(void *arg) {
  gos_cancel(shared, (int)(intptr_t)arg);
  CHECK(gos_ctx_err(chain[0]) == GOS_CANCELED); /* below it; ended when any of the calls returns */
}

TEST(many_cancel_the_same) {
  for (long round = scaled(300); round; round--) {
    gos_g *g[8];
    shared = gos_with_cancel(NULL);
    gos_ctx *mid = gos_with_timeout(shared, hour);
    chain[0] = gos_with_cancel(mid);
    gos_ctx_done(mid);
    for (intptr_t i = 0; i < 8; i++) g[i] = spawn(cancels_by_number, (void *)(i + 1));
    for (int i = 0; i < 8; i++) finish(g[i]);
    int cause = gos_ctx_cause(shared);
    CHECK(cause >= 1 && cause <= 8);
    check_ended(chain[0], GOS_CANCELED, cause);
    gos_ctx_release(mid);
    gos_ctx_release(shared);
    gos_ctx_release(chain[0]);
  }
}

/* Ends begin at several heights at once: whoever returns finds everything below ended. */
static void cancels_at(void *at) {
  intptr_t i = (intptr_t)at;
  gos_cancel(chain[i], (int)i + 1);
  for (; i < 30; i++) CHECK(gos_ctx_err(chain[i]));
}

TEST(ends_at_several_heights) {
  for (long round = scaled(300); round; round--) {
    gos_g *g[4];
    for (int i = 0; i < 30; i++) {
      chain[i] = i % 4 == 3 ? gos_merge(chain[i - 1], chain[i - 3]) : gos_with_cancel(i ? chain[i - 1] : NULL);
      if (round % 2) gos_ctx_done(chain[i]);
    }
    for (intptr_t i = 0; i < 4; i++) g[i] = spawn(cancels_at, (void *)((i * 7 + round) % 30));
    for (int i = 0; i < 4; i++) finish(g[i]);
    for (int i = 0; i < 30; i++) gos_ctx_release(chain[(i * 7 + (int)round) % 30]);
  }
}

/* Children come, go and time out while the parent ends. */
static void makes_children(void *p) {
  for (int i = 0;; i++) {
    gos_ctx *c = i % 3 == 0   ? gos_with_cancel(p)
                 : i % 3 == 1 ? gos_with_timeout(p, (i % 5) * 1000)
                              : gos_merge(p, shared);
    gos_ctx *d = gos_with_cancel(c), *e = i % 4 ? gos_with_grace(c, i % 8 * 500) : NULL;
    if (i % 2) gos_ctx_done(d);
    bool over = gos_ctx_err(p);
    if (i % 7 == 0) gos_cancel(i % 2 ? c : d, 5);
    gos_ctx_release(c);
    gos_ctx_release(e);
    if (over) wait_done(d);
    gos_ctx_release(d);
    if (over) break;
  }
  gos_ctx_release(p);
}
static void *cancels_later(void *x) {
  sched_yield();
  gos_cancel(x, 4);
  gos_ctx_release(x);
  return NULL;
}

TEST(children_come_and_go_while_it_ends) {
  shared = gos_with_cancel(NULL);
  for (long round = scaled(200); round; round--) {
    gos_ctx *p = round % 2 ? gos_with_timeout(shared, MS / 4) : gos_with_cancel(shared);
    gos_g *g[4];
    pthread_t t;
    for (int i = 0; i < 4; i++) g[i] = spawn(makes_children, gos_ctx_retain(p));
    CHECK_EQ(pthread_create(&t, NULL, cancels_later, gos_ctx_retain(p)), 0);
    gos_ctx_release(p);
    for (int i = 0; i < 4; i++) finish(g[i]);
    pthread_join(t, NULL);
  }
  CHECK(alone(shared));
  gos_ctx_release(shared);
}

/* The last reference goes just when the timer fires, or the parent ends. */
static void releases(void *x) { gos_ctx_release(x); }

TEST(released_as_the_timer_fires) {
  for (long round = scaled(1000); round; round--) {
    gos_ctx *p = gos_with_cancel(NULL), *x = gos_with_timeout(round % 2 ? p : NULL, 20000 + round % 64 * 500);
    gos_ctx *c = gos_with_grace(x, round % 3 * 1000);
    gos_g *a = spawn(releases, x), *b = spawn(releases, c), *d = spawn(cancels, p);
    if (round % 4 == 0) gos_sleep(20000);
    finish(a);
    finish(b);
    finish(d);
    CHECK(alone(p));
    gos_ctx_release(p);
  }
}

static void *cancels_all(void *arg) {
  (void)arg;
  for (int i = 0; i < 40; i++) gos_cancel(chain[i], i + 1);
  return NULL;
}

TEST(foreign_threads_cancel) {
  for (long round = scaled(50); round; round--) {
    gos_g *g[40];
    pthread_t t[2];
    for (int i = 0; i < 40; i++) chain[i] = gos_with_cancel(i ? chain[i / 2] : NULL);
    count = 0;
    for (int i = 0; i < 40; i++) g[i] = spawn(waits_for, gos_ctx_retain(chain[i]));
    for (int i = 0; i < 2; i++) CHECK_EQ(pthread_create(&t[i], NULL, cancels_all, NULL), 0);
    for (int i = 0; i < 40; i++) finish(g[i]);
    for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
    CHECK_EQ(count, 40);
    for (int i = 0; i < 40; i++) gos_ctx_release(chain[i]);
  }
}

/* ---- no memory ----------------------------------------------------------------------------------------- */
#if !TEST_TSAN && !TEST_ASAN && !defined(GOS_VALGRIND)
TEST(no_memory) {
  enum { FUNCS = 5000 };
  mallopt(M_ARENA_MAX, 1); /* else memory runs out only when all arenas have */
  unsigned long pages = 0;
  struct rlimit was, is;
  gos_ctx *x = gos_with_cancel(NULL), *c = gos_with_cancel(x);
  for (int i = 0; i < FUNCS; i++) CHECK_EQ(gos_ctx_after_func(x, runs, NULL, NULL), GOS_OK);
  FILE *f = fopen("/proc/self/statm", "r");
  CHECK(f && fscanf(f, "%lu", &pages) == 1);
  fclose(f);
  CHECK_EQ(getrlimit(RLIMIT_AS, &was), 0);
  rlim_t bytes = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
  CHECK_EQ(setrlimit(RLIMIT_AS, &(struct rlimit){bytes, was.rlim_max}), 0);
  CHECK_EQ(getrlimit(RLIMIT_AS, &is), 0);
  if (is.rlim_cur != bytes) return; /* an emulator ignores it */
  struct block {
    struct block *next;
  } *blocks = NULL, *b;
  for (size_t n = 4096; n >= sizeof *b; n /= 2)
    while ((b = malloc(n))) b->next = blocks, blocks = b;
  void *stop;
  CHECK(!gos_with_cancel(NULL) && !gos_with_timeout(x, hour) && !gos_with_value(x, &k1, "v"));
  CHECK(!gos_merge(x, c) && !gos_with_grace(x, 1) && !gos_without_cancel(x));
  CHECK_EQ(gos_ctx_after_func(x, runs, NULL, &stop), GOS_NOMEM);
  CHECK_EQ(gos_ctx_err(c), GOS_OK);
  CHECK(is_closed(gos_ctx_done(c))); /* no memory for a channel: it ends rather than never */
  check_ended(c, GOS_CANCELED, GOS_NOMEM);
  CHECK_EQ(gos_ctx_err(x), GOS_OK);
  gos_cancel(x, 1); /* the functions: as many as there is room for */
  check_ended(x, GOS_CANCELED, 1);
  for (; blocks; blocks = b) b = blocks->next, free(blocks);
  CHECK_EQ(setrlimit(RLIMIT_AS, &was), 0);
  gos_ctx *y = gos_with_cancel(NULL);
  gos_cancel(y, 0);
  until(&ran, FUNCS); /* the others too, now */
  gos_ctx *all[] = {x, c, y};
  for (int i = 0; i < 3; i++) gos_ctx_release(all[i]);
}
#endif
