/* Steps of contexts. SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

enum { KEYS = 16 };
static const char keys[KEYS]; /* only their addresses count */

static gos_ctx *ctx(const char *name) { return find(name, CONTEXT)->p; }
static const void *key(const char *number) { return &keys[(unsigned)atoi(number) % KEYS]; }
static void drop_ctx(struct object *o) { gos_ctx_release(o->p); }
static void made(const char *name, gos_ctx *x) {
  if (!x) stop("no context", name);
  declare(name, CONTEXT, x)->drop = drop_ctx;
}
static void s_background(struct flow *f, char **w) { (void)f, made(w[1], gos_background()); }
static void s_with_cancel(struct flow *f, char **w) { (void)f, made(w[1], gos_with_cancel(ctx(w[2]))); }
static void s_with_timeout(struct flow *f, char **w) {
  (void)f, made(w[1], gos_with_timeout(ctx(w[2]), atoll(w[3]) * MS));
}
static void s_with_deadline(struct flow *f, char **w) {
  (void)f, made(w[1], gos_with_deadline(ctx(w[2]), deadline(w[3])));
}
static void s_with_value(struct flow *f, char **w) {
  (void)f, made(w[1], gos_with_value(ctx(w[2]), key(w[3]), (void *)(intptr_t)atoll(w[4])));
}
static void s_without_cancel(struct flow *f, char **w) { (void)f, made(w[1], gos_without_cancel(ctx(w[2]))); }
static void s_merge(struct flow *f, char **w) { (void)f, made(w[1], gos_merge(ctx(w[2]), ctx(w[3]))); }
static void s_done_of(struct flow *f, char **w) {
  struct object *o = declare(w[1], CHAN, NULL);
  (void)f;
  o->c = gos_chan_retain(gos_ctx_done(ctx(w[2])));
  o->element = NOTHING;
}

static void s_cancel(struct flow *f, char **w) { (void)f, gos_cancel(ctx(w[1]), 0); }
static void s_cancel_cause(struct flow *f, char **w) { (void)f, gos_cancel(ctx(w[1]), atoi(w[2])); }
static void why(struct flow *f, int e) {
  if (e > 0)
    say(f, "%d", e);
  else
    result_ctx(f, e, "nil", NULL);
}
static void s_err(struct flow *f, char **w) { why(f, gos_ctx_err(ctx(w[1]))); }
static void s_cause(struct flow *f, char **w) { why(f, gos_ctx_cause(ctx(w[1]))); }
static void s_value(struct flow *f, char **w) {
  void *v = gos_ctx_value(ctx(w[1]), key(w[2]));
  say_value(f, v, (intptr_t)v);
}
static void s_has_deadline(struct flow *f, char **w) {
  gos_ns t;
  say_bool(f, gos_ctx_deadline(ctx(w[1]), &t));
}
static void s_same_deadline(struct flow *f, char **w) {
  gos_ns a, b;
  say_bool(f, gos_ctx_deadline(ctx(w[1]), &a) && gos_ctx_deadline(ctx(w[2]), &b) && a == b);
}

/* A handle is to be stopped once: p is NULL after that. */
static int stop_once(struct object *o) {
  void *handle = o->p;
  o->p = NULL;
  return handle ? gos_ctx_stop(handle) : 0;
}
static void stop_handle(struct object *o) { stop_once(o); }
static void s_on_end(struct flow *f, char **w) {
  void *handle = NULL;
  result(f, gos_ctx_after_func(ctx(w[2]), run_body, body_new(w[3], NULL), &handle), NULL, NULL);
  declare(w[1], ON_END, handle)->stop = stop_handle;
}
static void s_stop_on_end(struct flow *f, char **w) { say_bool(f, stop_once(find(w[1], ON_END))); }

static void s_sleep_ctx(struct flow *f, char **w) {
  result_ctx(f, gos_sleep_ctx(atoll(w[2]) * MS, ctx(w[1])), "true", NULL);
}
static void s_join_ctx(struct flow *f, char **w) {
  result_ctx(f, gos_join_ctx(find_goroutine(w[2]), ctx(w[1])), "true", NULL);
}

const struct verb ctx_verbs[] = {
    {"background", s_background, 2, false},
    {"with_cancel", s_with_cancel, 3, false},
    {"with_timeout", s_with_timeout, 4, false},
    {"with_deadline", s_with_deadline, 4, false},
    {"with_value", s_with_value, 5, false},
    {"without_cancel", s_without_cancel, 3, false},
    {"merge", s_merge, 4, false},
    {"done_of", s_done_of, 3, false},
    {"cancel", s_cancel, 2, false},
    {"cancel_cause", s_cancel_cause, 3, false},
    {"err", s_err, 2, false},
    {"cause", s_cause, 2, false},
    {"value", s_value, 3, false},
    {"has_deadline", s_has_deadline, 2, false},
    {"same_deadline", s_same_deadline, 3, false},
    {"on_end", s_on_end, 4, true},
    {"stop_on_end", s_stop_on_end, 2, false},
    {"sleep_ctx", s_sleep_ctx, 3, false},
    {"join_ctx", s_join_ctx, 3, false},
    {NULL, NULL, 0, false},
};
