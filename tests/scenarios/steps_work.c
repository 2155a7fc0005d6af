/* Steps of errgroup, semaphore, singleflight and rate limiter. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include "driver.h"

static gos_ctx *ctx(const char *name) { return find(name, CONTEXT)->p; }

/* ---- errgroup ------------------------------------------------------------------ */
static gos_errgroup *group(const char *name) { return find(name, GROUP)->p; }
static void drop_group(struct object *o) { gos_errgroup_free(o->p); }
static void s_group(struct flow *f, char **w) {
  (void)f, declare(w[1], GROUP, gos_errgroup_new(ctx(w[2])))->drop = drop_group;
}
static void drop_ctx(struct object *o) { gos_ctx_release(o->p); }
static void s_group_ctx(struct flow *f, char **w) {
  (void)f, declare(w[1], CONTEXT, gos_ctx_retain(gos_errgroup_ctx(group(w[2]))))->drop = drop_ctx;
}
static int erring(void *arg) {
  run_body(arg);
  return ((struct body *)arg)->own.error;
}
static void s_group_go(struct flow *f, char **w) {
  result(f, gos_errgroup_go(group(w[1]), erring, body_new(w[2], NULL)), NULL, NULL);
}
static void s_group_try_go(struct flow *f, char **w) {
  result(f, gos_errgroup_try_go(group(w[1]), erring, body_new(w[2], NULL)), "true", NULL);
}
static void s_group_limit(struct flow *f, char **w) {
  int e = gos_errgroup_set_limit(group(w[1]), atoi(w[2]));
  if (e == GOS_PERM)
    fail(f, "errgroup: modify limit while goroutines in the group are still active");
  else
    result(f, e, NULL, NULL);
}
static void s_group_wait(struct flow *f, char **w) {
  int e = gos_errgroup_wait(group(w[1]));
  if (e > 0)
    say(f, "%d", e);
  else
    result(f, e, "nil", NULL);
}

const struct verb group_verbs[] = {
    {"group", s_group, 3, false},
    {"group_ctx", s_group_ctx, 3, false},
    {"group_go", s_group_go, 3, true},
    {"group_try_go", s_group_try_go, 3, true},
    {"group_limit", s_group_limit, 3, false},
    {"group_wait", s_group_wait, 2, false},
    {NULL, NULL, 0, false},
};

/* ---- semaphore ------------------------------------------------------------------- */
static gos_sem *sem(const char *name) { return find(name, SEMAPHORE)->p; }
static void drop_sem(struct object *o) { gos_sem_free(o->p); }
static void s_sem(struct flow *f, char **w) {
  (void)f, declare(w[1], SEMAPHORE, gos_sem_new(atoll(w[2])))->drop = drop_sem;
}
static void s_acquire(struct flow *f, char **w) { result(f, gos_sem_acquire(sem(w[1]), atoll(w[2])), NULL, NULL); }
static void s_try_acquire(struct flow *f, char **w) {
  result(f, gos_sem_try_acquire(sem(w[1]), atoll(w[2])), "true", NULL);
}
static void s_acquire_ctx(struct flow *f, char **w) {
  result_ctx(f, gos_sem_acquire_ctx(sem(w[2]), atoll(w[3]), ctx(w[1])), "true", NULL);
}
static void s_release(struct flow *f, char **w) {
  int e = gos_sem_release(sem(w[1]), atoll(w[2]));
  if (e == GOS_PERM)
    fail(f, "semaphore: released more than held");
  else
    result(f, e, NULL, NULL);
}

/* ---- singleflight ---------------------------------------------------------------- */
static gos_flight *flight(const char *name) { return find(name, FLIGHT)->p; }
static void drop_flight(struct object *o) { gos_flight_free(o->p); }
static void s_flight(struct flow *f, char **w) { (void)f, declare(w[1], FLIGHT, gos_flight_new())->drop = drop_flight; }
static int flying(void *arg, void **val) {
  struct body *b = arg;
  run_body(b);
  *val = (void *)(intptr_t)b->own.value;
  return b->own.error;
}
static void flight_error(struct flow *f, int e) {
  if (e > 0)
    say(f, "%d", e);
  else
    result(f, e, "nil", NULL);
}
static void landed(struct flow *f, int e, void *val, int shared) {
  say_value(f, val, (intptr_t)val);
  flight_error(f, e);
  say_bool(f, shared);
}
static void s_flight_do(struct flow *f, char **w) {
  void *val = NULL;
  int shared = 0, e = gos_flight_do(flight(w[1]), w[2], flying, body_new(w[3], NULL), &val, &shared);
  landed(f, e, val, shared);
}
static void s_flight_err(struct flow *f, char **w) {
  flight_error(f, gos_flight_do(flight(w[1]), w[2], flying, body_new(w[3], NULL), NULL, NULL));
}
static void s_flight_go(struct flow *f, char **w) {
  gos_chan *c = gos_flight_do_chan(flight(w[2]), w[3], flying, body_new(w[4], NULL));
  struct object *o = declare(w[1], CHAN, NULL);
  (void)f;
  o->c = c;
  o->element = RESULT;
}
static void s_result(struct flow *f, char **w) {
  struct gos_flight_result r = {0};
  int e = gos_chan_recv(find_chan(w[1])->c, &r);
  if (e == GOS_OK)
    landed(f, r.err, r.val, r.shared);
  else
    result(f, e, NULL, NULL);
}
static void s_flight_forget(struct flow *f, char **w) { (void)f, gos_flight_forget(flight(w[1]), w[2]); }

/* ---- rate limiter ------------------------------------------------------------------ */
static gos_limiter *limiter(const char *name) { return find(name, LIMITER)->p; }
static void drop_limiter(struct object *o) { gos_limiter_free(o->p); }
static double per_second(const char *text) { return strcmp(text, "inf") ? atof(text) : HUGE_VAL; }
static void s_limiter(struct flow *f, char **w) {
  (void)f, declare(w[1], LIMITER, gos_limiter_new(per_second(w[2]), atoi(w[3])))->drop = drop_limiter;
}
static void s_allow(struct flow *f, char **w) { say_bool(f, gos_limiter_allow(limiter(w[1]), atoi(w[2]))); }
static void s_reserve(struct flow *f, char **w) {
  gos_reservation *r = calloc(1, sizeof *r);
  if (!r) stop("no memory for", w[1]);
  declare(w[1], RESERVATION, r)->drop = drop_memory;
  int e = gos_limiter_reserve(limiter(w[2]), atoi(w[3]), r);
  say_bool(f, e == GOS_OK && r->ok);
}
static void s_delay(struct flow *f, char **w) {
  gos_reservation *r = find(w[1], RESERVATION)->p;
  say(f, "%s", !r->ok || r->at == GOS_FOREVER ? "forever" : r->at > gos_now() ? "some" : "none");
}
static void s_give_back(struct flow *f, char **w) { (void)f, gos_reservation_cancel(find(w[1], RESERVATION)->p); }
static void s_tokens(struct flow *f, char **w) {
  double n = gos_limiter_tokens(limiter(w[1]));
  say(f, "%lld", (long long)llround(n));
}
static void s_limit(struct flow *f, char **w) {
  double n = gos_limiter_limit(limiter(w[1]));
  isinf(n) ? say(f, "inf") : say(f, "%g", n);
}
static void s_burst(struct flow *f, char **w) { say(f, "%d", gos_limiter_burst(limiter(w[1]))); }
static void s_set_limit(struct flow *f, char **w) {
  result(f, gos_limiter_set_limit(limiter(w[1]), per_second(w[2])), NULL, NULL);
}
static void s_set_burst(struct flow *f, char **w) {
  result(f, gos_limiter_set_burst(limiter(w[1]), atoi(w[2])), NULL, NULL);
}
static void s_limiter_wait(struct flow *f, char **w) {
  int e = gos_limiter_wait_ctx(limiter(w[2]), atoi(w[3]), ctx(w[1]));
  if (e == GOS_INVAL)
    say(f, "burst");
  else
    result_ctx(f, e, "true", NULL);
}

const struct verb limiter_verbs[] = {
    {"sem", s_sem, 3, false},
    {"acquire", s_acquire, 3, false},
    {"try_acquire", s_try_acquire, 3, false},
    {"acquire_ctx", s_acquire_ctx, 4, false},
    {"release", s_release, 3, false},
    {"flight", s_flight, 2, false},
    {"flight_do", s_flight_do, 4, true},
    {"flight_err", s_flight_err, 4, true},
    {"flight_go", s_flight_go, 5, true},
    {"flight_forget", s_flight_forget, 3, false},
    {"result", s_result, 2, false},
    {"limiter", s_limiter, 4, false},
    {"allow", s_allow, 3, false},
    {"reserve", s_reserve, 4, false},
    {"delay", s_delay, 2, false},
    {"give_back", s_give_back, 2, false},
    {"tokens", s_tokens, 2, false},
    {"limit", s_limit, 2, false},
    {"burst", s_burst, 2, false},
    {"set_limit", s_set_limit, 3, false},
    {"set_burst", s_set_burst, 3, false},
    {"limiter_wait", s_limiter_wait, 4, false},
    {NULL, NULL, 0, false},
};
