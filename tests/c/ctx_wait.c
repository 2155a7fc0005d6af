// ctest: timeout=120
/* The blocking calls that obey a context.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <gossamer/host.h>
#include <pthread.h>

static const gos_ns hour = 3600000 * MS;
static gos_chan *empty, *full, *unread;
static gos_mutex held;
static gos_waitgroup busy;
static gos_g *other;
static gos_ctx *ctx;

static int wait_recv(void) { return gos_chan_recv_ctx(empty, NULL, ctx); }
static int wait_send(void) { return gos_chan_send_ctx(unread, &(long){7}, ctx); }
static int wait_room(void) { return gos_chan_send_ctx(full, &(long){7}, ctx); }
static int wait_nil(void) { return gos_chan_recv_ctx(NULL, NULL, ctx); }
static int wait_nil_send(void) { return gos_chan_send_ctx(NULL, NULL, ctx); }
static int wait_select(void) {
  return gos_select_ctx((gos_case[]){GOS_RECV(empty, NULL), GOS_RECV(NULL, NULL), GOS_SEND(full, &(long){1})}, 3, ctx);
}
static int wait_one(void) { return gos_select_ctx((gos_case[]){GOS_RECV(empty, NULL)}, 1, ctx); }
static int wait_nothing(void) { return gos_select_ctx(NULL, 0, ctx); }
static int wait_sleep(void) { return gos_sleep_ctx(hour, ctx); }
static int wait_lock(void) { return gos_mutex_lock_ctx(&held, ctx); }
static int wait_group(void) { return gos_waitgroup_wait_ctx(&busy, ctx); }
static int wait_join(void) { return gos_join_ctx(other, ctx); }
static int (*const waits[])(void) = {wait_recv, wait_send,    wait_room,  wait_nil,  wait_nil_send, wait_select,
                                     wait_one,  wait_nothing, wait_sleep, wait_lock, wait_group,    wait_join};
enum { WAITS = sizeof waits / sizeof *waits };

static void for_ever(void *arg) { (void)arg, gos_chan_recv(NULL, NULL); }
static void set_up(void) {
  empty = gos_chan_make(sizeof(long), 0);
  unread = gos_chan_make(sizeof(long), 0);
  full = gos_chan_make(sizeof(long), 1);
  CHECK_EQ(gos_chan_send(full, &(long){1}), GOS_OK);
  gos_mutex_lock(&held);
  gos_waitgroup_add(&busy, 1);
  other = spawn(for_ever, NULL);
}
static void until_waiting(gos_g *g) {
  gos_info i;
  while (gos_info_get(g, &i, sizeof i), strcmp(i.status, "waiting")) gos_gosched(), sched_yield();
}

static int wanted;
static void run_wait(void *at) { CHECK_EQ(waits[(intptr_t)at](), wanted); }
static void nothing_was_done(void) {
  long v = 0;
  CHECK_EQ(gos_chan_recv_dl(unread, &v, GOS_NOW), GOS_WOULDBLOCK); /* nobody is queued any more */
  CHECK_EQ(gos_chan_send_dl(empty, &v, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_chan_len(full), 1);
}

TEST(a_cancel_ends_each_kind_of_wait) {
  set_up();
  wanted = GOS_CANCELED;
  for (intptr_t at = 0; at < WAITS; at++) {
    gos_ctx *p = gos_with_cancel(NULL), *c = gos_with_cancel(p);
    ctx = at % 2 ? gos_with_value(c, &wanted, NULL) : gos_ctx_retain(p);
    gos_g *g = spawn(run_wait, (void *)at);
    until_waiting(g);
    gos_cancel(p, 77);
    finish(g);
    nothing_was_done();
    gos_ctx_release(p), gos_ctx_release(c), gos_ctx_release(ctx);
  }
}

TEST(a_deadline_ends_each_kind_of_wait) {
  set_up();
  wanted = GOS_TIMEDOUT;
  for (intptr_t at = 0; at < WAITS; at++) {
    gos_ctx *p = gos_with_timeout(NULL, MS / 2);
    ctx = gos_with_cancel(p);
    gos_g *g = spawn(run_wait, (void *)at);
    finish(g);
    nothing_was_done();
    gos_ctx_release(p), gos_ctx_release(ctx);
    ctx = gos_with_timeout(NULL, MS / 2); /* in the main goroutine */
    CHECK_EQ(waits[at](), GOS_TIMEDOUT);
    gos_ctx_release(ctx);
  }
}

TEST(one_that_has_ended_wins) {
  gos_waitgroup none = {0};
  gos_mutex mu = {0};
  set_up();
  ctx = gos_with_cancel(NULL);
  gos_cancel(ctx, 1);
  for (int at = 0; at < WAITS; at++) CHECK_EQ(waits[at](), GOS_CANCELED);
  gos_g *g = spawn(for_ever, NULL);
  gos_interrupt(g);
  CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
  /* All of these could be done at once. */
  CHECK_EQ(gos_chan_recv_ctx(full, NULL, ctx), GOS_CANCELED);
  CHECK_EQ(gos_select_ctx((gos_case[]){GOS_RECV(full, NULL)}, 1, ctx), GOS_CANCELED);
  CHECK_EQ(gos_mutex_lock_ctx(&mu, ctx), GOS_CANCELED);
  CHECK_EQ(gos_waitgroup_wait_ctx(&none, ctx), GOS_CANCELED);
  CHECK_EQ(gos_join_ctx(g, ctx), GOS_CANCELED);
  CHECK_EQ(gos_sleep_ctx(0, ctx), GOS_CANCELED);
  CHECK_EQ(gos_mutex_trylock(&mu), GOS_OK);
  nothing_was_done();
  gos_release(g);
  gos_ctx_release(ctx);
}

TEST(no_need_to_wait) {
  set_up();
  gos_ctx *xs[] = {NULL, gos_background(), gos_with_timeout(NULL, hour)};
  for (int i = 0; i < 3; i++) {
    gos_ctx *x = xs[i];
    long v = 0;
    gos_mutex mu = {0};
    gos_waitgroup none = {0};
    CHECK_EQ(gos_chan_recv_ctx(full, &v, x), GOS_OK);
    CHECK_EQ(v, 1);
    CHECK_EQ(gos_chan_send_ctx(full, &v, x), GOS_OK);
    CHECK_EQ(gos_select_ctx((gos_case[]){GOS_RECV(empty, NULL), GOS_RECV(full, &v)}, 2, x), 1);
    CHECK_EQ(gos_select_ctx((gos_case[]){GOS_SEND(empty, &v), GOS_SEND(full, &v)}, 2, x), 1);
    CHECK_EQ(gos_mutex_lock_ctx(&mu, x), GOS_OK);
    CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
    CHECK_EQ(gos_waitgroup_wait_ctx(&none, x), GOS_OK);
    CHECK_EQ(gos_sleep_ctx(1, x), GOS_OK);
    gos_g *g = spawn(for_ever, NULL);
    gos_interrupt(g);
    CHECK_EQ(gos_join_ctx(g, x), GOS_OK);
    gos_release(g);
    gos_chan *c = gos_chan_make(sizeof v, 0);
    gos_chan_close(c);
    CHECK_EQ(gos_chan_send_ctx(c, &v, x), GOS_CLOSED);
    CHECK_EQ(gos_chan_recv_ctx(c, &v, x), GOS_CLOSED);
    gos_chan_release(c);
    CHECK_EQ(gos_select_ctx(NULL, -1, x), GOS_INVAL);
    CHECK_EQ(gos_join_ctx(NULL, x), GOS_INVAL);
  }
  gos_ctx_release(xs[2]);
}

/* What the wait is for comes: it ends as without a context. */
static void serves(void *arg) {
  gos_g *g = arg;
  until_parked(g, "chan receive"), gos_chan_send(empty, &(long){5});
  until_parked(g, "chan send"), gos_chan_recv(empty, NULL);
  until_parked(g, "select"), gos_chan_send(empty, &(long){6});
  until_parked(g, "sync.Mutex.Lock"), gos_mutex_unlock(&held);
  until_parked(g, "sync.WaitGroup.Wait"), gos_waitgroup_done(&busy);
  until_parked(g, "join"), gos_interrupt(other);
}
static void is_served(void *arg) {
  long v = 0;
  (void)arg;
  CHECK_EQ(gos_chan_recv_ctx(empty, &v, ctx), GOS_OK);
  CHECK_EQ(v, 5);
  CHECK_EQ(gos_chan_send_ctx(empty, &v, ctx), GOS_OK);
  CHECK_EQ(gos_select_ctx((gos_case[]){GOS_SEND(full, &v), GOS_RECV(empty, &v)}, 2, ctx), 1);
  CHECK_EQ(v, 6);
  CHECK_EQ(gos_mutex_lock_ctx(&held, ctx), GOS_OK);
  CHECK_EQ(gos_waitgroup_wait_ctx(&busy, ctx), GOS_OK);
  CHECK_EQ(gos_join_ctx(other, ctx), GOS_OK);
  CHECK_EQ(gos_sleep_ctx(MS, ctx), GOS_OK);
}

TEST(what_it_waits_for_comes) {
  set_up();
  gos_ctx *xs[] = {gos_background(), gos_with_cancel(NULL), gos_with_timeout(NULL, hour)};
  for (int i = 0; i < 3; i++) {
    ctx = xs[i];
    gos_g *g = spawn(is_served, NULL), *s = spawn(serves, g);
    finish(g);
    finish(s);
    gos_release(other);
    other = spawn(for_ever, NULL);
    gos_waitgroup_add(&busy, 1);
    gos_ctx_release(xs[i]);
  }
}

/* ---- interrupts and contexts do not take each other's place ----------------------------------- */
static void interrupted_then_ended(void *arg) {
  (void)arg;
  CHECK_EQ(gos_chan_recv_ctx(empty, NULL, ctx), GOS_CANCELED); /* by the interrupt */
  CHECK_EQ(gos_ctx_err(ctx), GOS_OK);
  CHECK_EQ(wait_select(), GOS_CANCELED);
  CHECK_EQ(gos_ctx_err(ctx), GOS_CANCELED);
}
TEST(an_interrupt_leaves_the_context_alone) {
  set_up();
  ctx = gos_with_cancel(NULL);
  gos_g *g = spawn(interrupted_then_ended, NULL);
  until_parked(g, "chan receive");
  gos_interrupt(g);
  until_parked(g, "select");
  gos_cancel(ctx, 0);
  finish(g);
  gos_ctx_release(ctx);
}

/* An end that comes when the wait is over already does not reach the next one. */
static atomic_long received, ended;
static void waits_twice(void *arg) {
  gos_ctx *x = arg;
  int e = gos_chan_recv_ctx(empty, NULL, x);
  CHECK(e == GOS_OK || e == GOS_CANCELED);
  atomic_fetch_add(e ? &ended : &received, 1);
  CHECK_EQ(gos_chan_recv(full, NULL), GOS_OK);
}
static void cancels(void *x) { gos_cancel(x, 0); }

TEST(an_end_does_not_outlive_its_wait) {
  long sent = 0, n = scaled(3000);
  empty = gos_chan_make(sizeof(long), 0);
  full = gos_chan_make(0, 0);
  for (long i = 0; i < n; i++) {
    gos_ctx *x = gos_with_cancel(NULL);
    gos_g *g = spawn(waits_twice, x), *c = spawn(cancels, x);
    if (i % 2) gos_gosched();
    sent += gos_chan_send_dl(empty, &(long){1}, GOS_NOW) == GOS_OK;
    CHECK_EQ(gos_chan_send(full, NULL), GOS_OK);
    finish(g);
    finish(c);
    gos_ctx_release(x);
  }
  CHECK_EQ(received, sent);
  CHECK_EQ(ended, n - sent);
}

/* ---- races with values --------------------------------------------------------------------------- */
static atomic_long put, got, sum_put, sum_got, left;
static bool selects;
static void sends_some(void *arg) {
  long v = (long)(intptr_t)arg;
  for (int i = 0; i < 20; i++) {
    gos_ctx *x = i % 3 ? gos_with_cancel(ctx) : gos_with_timeout(ctx, i * 3000);
    gos_case k[] = {GOS_RECV(NULL, NULL), GOS_SEND(empty, &v)};
    int e = selects ? gos_select_ctx(k, 2, x) : gos_chan_send_ctx(empty, &v, x);
    if (e >= 0) atomic_fetch_add(&put, 1), atomic_fetch_add(&sum_put, v);
    gos_ctx_release(x);
  }
  atomic_fetch_sub(&left, 1);
}
static void receives_some(void *arg) {
  (void)arg;
  for (int i = 0; i < 20; i++) {
    long v = 0;
    gos_ctx *x = i % 3 ? gos_ctx_retain(ctx) : gos_with_timeout(ctx, i * 3000);
    gos_case k[] = {GOS_RECV(empty, &v), GOS_RECV(full, NULL)};
    int e = selects ? gos_select_ctx(k, 2, x) : gos_chan_recv_ctx(empty, &v, x);
    if (e >= 0) atomic_fetch_add(&got, 1), atomic_fetch_add(&sum_got, v);
    gos_ctx_release(x);
  }
  atomic_fetch_sub(&left, 1);
}
static void *waits_outside(void *arg) { return sends_some(arg), receives_some(arg), NULL; }

TEST(no_value_is_lost) {
  full = gos_chan_make(0, 0);
  for (long round = scaled(100); round; round--) {
    pthread_t t;
    long inside = 0;
    empty = gos_chan_make(sizeof(long), (size_t)round % 3);
    selects = round % 2;
    ctx = gos_with_cancel(NULL);
    left = 10 + 2;
    put = got = sum_put = sum_got = 0;
    for (intptr_t i = 0; i < 5; i++) gos_go(sends_some, (void *)(i + 1)), gos_go(receives_some, NULL);
    CHECK_EQ(pthread_create(&t, NULL, waits_outside, (void *)100), 0);
    gos_sleep(MS / 4);
    gos_cancel(ctx, 0);
    while (left) gos_gosched();
    pthread_join(t, NULL);
    for (long v; gos_chan_recv_dl(empty, &v, GOS_NOW) == GOS_OK; inside++) sum_got += v;
    CHECK_EQ(got + inside, put);
    CHECK_EQ(sum_got, sum_put);
    gos_chan_release(empty);
    gos_ctx_release(ctx);
  }
}

static long plain;
static void locks_some(void *arg) {
  (void)arg;
  for (int i = 0; i < 200; i++) {
    gos_ctx *x = gos_with_timeout(ctx, i % 10 * 1000);
    if (gos_mutex_lock_ctx(&held, x) == GOS_OK) {
      plain++;
      if (i % 8 == 0) gos_gosched();
      CHECK_EQ(gos_mutex_unlock(&held), GOS_OK);
    }
    gos_ctx_release(x);
  }
}
TEST(locks_under_contexts) {
  gos_g *g[10];
  ctx = gos_with_cancel(NULL);
  for (int i = 0; i < 10; i++) g[i] = spawn(locks_some, NULL);
  for (int i = 0; i < 10; i++) finish(g[i]);
  CHECK_EQ(gos_mutex_trylock(&held), GOS_OK); /* nobody has it */
  gos_ctx_release(ctx);
}

TEST(many_wait_for_one_context) {
  set_up();
  long n = scaled_live(3000);
  wanted = GOS_CANCELED;
  ctx = gos_with_cancel(NULL);
  gos_g **g = calloc((size_t)n, sizeof *g);
  for (intptr_t i = 0; i < n; i++) g[i] = spawn(run_wait, (void *)(i % WAITS));
  for (long i = 0; i < n; i += 97) until_waiting(g[i]);
  gos_cancel(ctx, 0);
  for (long i = 0; i < n; i++) finish(g[i]);
  nothing_was_done();
  gos_ctx_release(ctx);
  free(g);
}

/* ---- foreign threads --------------------------------------------------------------------------------- */
static void *waits_in_a_thread(void *at) { return run_wait(at), NULL; }

TEST(foreign_threads_wait) {
  set_up();
  for (int how = 0; how < 2; how++) {
    pthread_t t[WAITS];
    wanted = how ? GOS_TIMEDOUT : GOS_CANCELED;
    ctx = how ? gos_with_timeout(NULL, MS) : gos_with_cancel(NULL);
    for (intptr_t at = 0; at < WAITS; at++) CHECK_EQ(pthread_create(&t[at], NULL, waits_in_a_thread, (void *)at), 0);
    if (!how) gos_gosched(), gos_cancel(ctx, 0);
    for (int at = 0; at < WAITS; at++) pthread_join(t[at], NULL);
    nothing_was_done();
    gos_ctx_release(ctx);
  }
}

/* ---- a realm's confined channel ------------------------------------------------------------------------ */
static gos_realm *realm;
static gos_chan *confined;
static void realm_waits(void *arg) {
  long *e = arg;
  *e = gos_chan_recv_ctx(confined, NULL, ctx);
  if (*e == GOS_CANCELED) *e = gos_select_ctx((gos_case[]){GOS_RECV(confined, NULL), GOS_RECV(NULL, NULL)}, 2, ctx);
}
static void *cancels_outside(void *arg) { return gos_cancel(arg, 0), NULL; }

TEST_RAW(a_confined_channel) {
  int e = 0;
  realm = gos_realm_new(&(gos_host){.size = sizeof(gos_host), .flags = GOS_HOST_PINNED, .language = "test"}, &e);
  CHECK(realm);
  confined = gos_realm_chan(realm, 8, 0);
  for (long i = scaled(100); i; i--) {
    pthread_t t;
    long result = 0, v = 1;
    gos_g *g;
    ctx = gos_with_cancel(NULL);
    CHECK_EQ(gos_realm_go(realm, NULL, 0, realm_waits, &result, &g), GOS_OK);
    if (i % 3) until_parked(g, "chan receive");
    if (i % 2) CHECK_EQ(gos_chan_send_ctx(confined, &v, NULL), GOS_OK);
    CHECK_EQ(pthread_create(&t, NULL, cancels_outside, ctx), 0);
    CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
    CHECK_EQ(result, i % 2 ? GOS_OK : GOS_CANCELED);
    pthread_join(t, NULL);
    gos_release(g);
    gos_ctx_release(ctx);
  }
}
