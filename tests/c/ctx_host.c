// ctest: timeout=120
/* What bindings use of contexts: waits of their own that obey one, where an end began, functions in a realm.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "host.h"

static const gos_ns hour = 3600000 * MS;

static int obeying(gos_ctx *x, gos_chan *c, gos_ns deadline, bool *by_ctx) {
  gos_ctx_wait w;
  *by_ctx = false;
  int e = gos_ctx_wait_begin(&w, x);
  if (e) return e;
  e = gos_chan_recv_dl(c, NULL, deadline);
  *by_ctx = gos_ctx_wait_end(&w, &e);
  return e;
}

static void interrupt(void *g) { gos_interrupt(g); }

static struct {
  gos_ctx *x;
  int e;
} waiter;
static void waits(void *arg) {
  bool by;
  (void)arg;
  CHECK_EQ(obeying(waiter.x, NULL, gos_now() + hour, &by), waiter.e);
  CHECK(by);
}
static gos_g *waits_for(gos_ctx *x, int e) {
  waiter.x = x;
  waiter.e = e;
  gos_g *g = spawn(waits, NULL);
  until_parked(g, "chan receive (nil chan)");
  return g;
}

TEST(a_wait_of_ones_own) {
  gos_chan *c = gos_chan_make(0, 1);
  bool by;
  gos_ctx *x = gos_with_cancel(NULL), *t = gos_with_timeout(x, 20 * MS);
  CHECK_EQ(obeying(x, c, gos_now() + MS, &by), GOS_TIMEDOUT);
  CHECK(!by);
  CHECK_EQ(obeying(x, c, GOS_NOW, &by), GOS_WOULDBLOCK);
  CHECK(!by);
  CHECK_EQ(obeying(t, c, gos_now() + hour, &by), GOS_TIMEDOUT);
  CHECK_EQ(obeying(t, c, GOS_FOREVER, &by), GOS_TIMEDOUT); /* had ended: no call */
  CHECK(!by);
  CHECK_EQ(gos_chan_send(c, NULL), GOS_OK);
  CHECK_EQ(obeying(x, c, GOS_FOREVER, &by), GOS_OK);
  CHECK(!by);
  gos_g *g = waits_for(x, GOS_CANCELED);
  gos_cancel(x, 0);
  CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
  CHECK_EQ(obeying(gos_background(), c, GOS_NOW, &by), GOS_WOULDBLOCK);
  CHECK_EQ(obeying(NULL, c, GOS_NOW, &by), GOS_WOULDBLOCK);
  gos_release(g);
  gos_ctx_release(x);
  gos_ctx_release(t);
  gos_chan_release(c);
}

static void waits_for_nothing(void *arg) {
  bool by = true;
  gos_ctx *x = gos_with_cancel(NULL);
  CHECK_EQ(obeying(x, NULL, GOS_FOREVER, &by), GOS_CANCELED);
  CHECK(!by && !gos_ctx_err(x)); /* it was the interrupt */
  gos_ctx_release(x);
  (void)arg;
}
TEST(an_interrupt_is_told_apart) {
  gos_g *g = spawn(waits_for_nothing, NULL);
  CHECK_EQ(gos_go(interrupt, g), GOS_OK);
  CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
  gos_release(g);
}

TEST(where_an_end_began) {
  gos_ctx *top = gos_with_cancel(NULL), *value = gos_with_value(top, &hour, NULL), *low = gos_with_cancel(value),
          *other = gos_with_cancel(NULL), *both = gos_merge(low, other), *grace = gos_with_grace(both, 0);
  CHECK(!gos_ctx_origin(NULL) && !gos_ctx_origin(gos_background()) && !gos_ctx_origin(both));
  gos_cancel(other, 0);
  CHECK(gos_ctx_origin(both) == other && gos_ctx_origin(grace) == other && gos_ctx_origin(other) == other);
  CHECK(!gos_ctx_origin(low));
  gos_cancel(top, 0);
  CHECK(gos_ctx_origin(low) == top && gos_ctx_origin(value) == top && gos_ctx_origin(both) == other);
  gos_ctx *late = gos_with_cancel(low);
  CHECK(gos_ctx_origin(late) == top);
  gos_ctx *all[] = {top, value, low, other, both, grace, late};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) gos_ctx_release(all[i]);
}

/* ---- functions in a realm ------------------------------------------------------------------ */
static gos_realm *realm;
static int ran;
static void count(void *arg) { ran += *(int *)arg; }
static void *cancels_outside(void *x) { return gos_cancel(x, 0), NULL; }

/* As main: until the realm's other goroutines have ended. */
static void until_alone(void) {
  while (gos_num_goroutine() > 1) gos_gosched();
}

TEST_RAW(functions_of_a_realm) {
  int e = 0, one = 1, before;
  CHECK((realm = host_start(0, &e)));
  before = gos_num_goroutine();
  gos_ctx *x = gos_with_cancel(NULL);
  void *stop[100], *none;
  for (int i = 0; i < 100; i++) CHECK_EQ(gos_realm_ctx_after_func(realm, x, count, &one, &stop[i]), GOS_OK);
  CHECK_EQ(gos_num_goroutine(), before); /* they are none yet */
  for (int i = 0; i < 50; i++) CHECK_EQ(gos_ctx_stop(stop[i]), 1);
  gos_cancel(x, 0);
  CHECK_EQ(gos_num_goroutine(), before + 50);
  CHECK_EQ(ran, 0);
  for (int i = 50; i < 75; i++) CHECK_EQ(gos_ctx_stop(stop[i]), 0);
  until_alone();
  CHECK_EQ(ran, 50);
  for (int i = 75; i < 100; i++) CHECK_EQ(gos_ctx_stop(stop[i]), 0);
  CHECK_EQ(gos_realm_ctx_after_func(realm, x, count, &one, &none), GOS_OK); /* at once */
  until_alone();
  CHECK_EQ(ran, 51);
  CHECK_EQ(gos_ctx_stop(none), 0);
  CHECK_EQ(gos_realm_ctx_after_func(realm, NULL, count, &one, &none), GOS_OK); /* never */
  CHECK_EQ(gos_ctx_stop(none), 1);
  CHECK_EQ(gos_realm_ctx_after_func(realm, x, NULL, NULL, &none), GOS_INVAL);
  CHECK_EQ(gos_realm_ctx_after_func(realm, x, count, &one, NULL), GOS_INVAL);
  gos_ctx_release(x);
}

TEST_RAW(ended_by_others) {
  int e = 0, one = 1;
  CHECK((realm = host_start(0, &e)));
  for (int i = scaled(200); i; i--) {
    pthread_t t;
    void *stop[4];
    int stopped = 0;
    gos_ctx *x = i % 2 ? gos_with_cancel(NULL) : gos_with_timeout(NULL, i % 4 ? MS / 10 : hour);
    ran = 0;
    for (int k = 0; k < 4; k++) CHECK_EQ(gos_realm_ctx_after_func(realm, x, count, &one, &stop[k]), GOS_OK);
    CHECK_EQ(pthread_create(&t, NULL, cancels_outside, x), 0);
    for (int k = 0; k < i % 3; k++) stopped += gos_ctx_stop(stop[k]);
    while (ran < 4 - stopped) gos_gosched();
    pthread_join(t, NULL);
    until_alone();
    CHECK_EQ(ran, 4 - stopped);
    for (int k = i % 3; k < 4; k++) CHECK_EQ(gos_ctx_stop(stop[k]), 0);
    gos_ctx_release(x);
  }
}

TEST_RAW(one_that_cannot_start) {
  int e = 0, one = 1;
  void *stop;
  CHECK((realm = host_start(0, &e)));
  gos_ctx *x = gos_with_cancel(NULL);
  CHECK_EQ(gos_realm_ctx_after_func(realm, x, count, &one, &stop), GOS_OK);
  host.no_fibers = true;
  gos_cancel(x, 0);
  until_alone();
  CHECK_EQ(host.failed_starts, 1);
  CHECK_EQ(gos_ctx_stop(stop), 0);
  gos_ctx_release(x);
}
