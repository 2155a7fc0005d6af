/* Groups of goroutines that work on one thing. L6.
 * A goroutine's record is its guard while it runs, and its place in the list of errors after it
 * has failed: an error is never lost for lack of memory.
 * SPDX-License-Identifier: Apache-2.0 */
#include "context/context.h"
#include "errgroup/guard.h"
#include "errgroup/sem.h"

typedef struct member {
  gosi_defer guard; /* first: the goroutine frees it when it leaves */
  gos_errgroup *group;
  int (*fn)(void *);
  void *arg;
  int err;
  struct member *next;
} member;

struct gos_errgroup {
  uint32_t refs; /* the user's, and one a goroutine */
  gos_ctx *ctx;
  gos_sem room;     /* its size is the limit */
  gos_waitgroup wg; /* those running */
  gosi_lock lock;   /* guards all below */
  member *errors, **tail;
  int nerrors;
};

gos_errgroup *gos_errgroup_new(gos_ctx *parent) {
  gos_errgroup *g = gosi_alloc(sizeof *g);
  if (!g) return NULL;
  if (!(g->ctx = gos_with_cancel(parent))) {
    gosi_free(g);
    return NULL;
  }
  g->refs = 1;
  g->room.elastic = true;
  g->room.size = INT64_MAX;
  g->tail = &g->errors;
  return g;
}

static void unref(gos_errgroup *g) {
  if (gosi_sub(&g->refs, 1u) != 1) return;
  for (member *k; (k = g->errors);) {
    g->errors = k->next;
    gosi_free(k);
  }
  gos_ctx_release(g->ctx);
  gosi_free(g);
}

void gos_errgroup_free(gos_errgroup *g) {
  if (!g) return;
  gos_cancel(g->ctx, 0);
  unref(g);
}

gos_ctx *gos_errgroup_ctx(gos_errgroup *g) { return g ? g->ctx : NULL; }

static void left(void *arg) {
  gos_errgroup *g = arg;
  gos_sem_release(&g->room, 1);
  gos_waitgroup_done(&g->wg);
  unref(g);
}

static void run(void *arg) {
  member *k = arg;
  gos_errgroup *g = k->group;
  gosi_guard_begin(&k->guard, left, g);
  int err = k->err = k->fn(k->arg);
  gosi_guard_end(&k->guard);
  if (err) {
    gosi_lock_take(&g->lock);
    bool first = g->nerrors++ == 0;
    k->next = NULL;
    *g->tail = k;
    g->tail = &k->next;
    gosi_lock_drop(&g->lock);
    if (first) gos_cancel(g->ctx, err);
  } else {
    gosi_free(k);
  }
  left(g);
}

static int start(gos_errgroup *g, int (*fn)(void *), void *arg, gos_ns deadline, gos_ctx *x, void *site) {
  if (!g || !fn) return GOS_INVAL;
  if (gosi_cannot_enter()) return GOS_NOMEM;
  member *k = gosi_alloc(sizeof *k);
  if (!k) return GOS_NOMEM;
  *k = (member){.group = g, .fn = fn, .arg = arg};
  int e = x ? gos_sem_acquire_ctx(&g->room, 1, x) : gos_sem_acquire_dl(&g->room, 1, deadline);
  if (!e) {
    gosi_add(&g->refs, 1u);
    gos_waitgroup_add(&g->wg, 1);
    gosi_m *m = gosi_enter();
    e = gosi_spawn(m, NULL, run, k, site, NULL);
    gosi_leave_m(m);
    if (e) left(g);
  }
  if (e) gosi_free(k);
  return e;
}

int gos_errgroup_go(gos_errgroup *g, int (*fn)(void *), void *arg) {
  return start(g, fn, arg, GOS_FOREVER, NULL, __builtin_return_address(0));
}
int gos_errgroup_try_go(gos_errgroup *g, int (*fn)(void *), void *arg) {
  return start(g, fn, arg, GOS_NOW, NULL, __builtin_return_address(0));
}
int gos_errgroup_go_ctx(gos_errgroup *g, int (*fn)(void *), void *arg, gos_ctx *x) {
  return start(g, fn, arg, GOS_FOREVER, x, __builtin_return_address(0));
}

int gos_errgroup_set_limit(gos_errgroup *g, int n) {
  return g ? gosi_sem_resize(&g->room, n < 0 ? INT64_MAX : n) : GOS_INVAL;
}

static int all_ended(gos_errgroup *g) {
  int e = GOS_OK;
  gos_errgroup_errors(g, &e, 1);
  gos_cancel(g->ctx, e);
  return e;
}

int gos_errgroup_wait_dl(gos_errgroup *g, gos_ns deadline) {
  if (!g) return GOS_INVAL;
  int e = gos_waitgroup_wait_dl(&g->wg, deadline);
  return e ? e : all_ended(g);
}
int gos_errgroup_wait(gos_errgroup *g) { return gos_errgroup_wait_dl(g, GOS_FOREVER); }
int gos_errgroup_wait_ctx(gos_errgroup *g, gos_ctx *x) {
  if (!g) return GOS_INVAL;
  int e = gos_waitgroup_wait_ctx(&g->wg, x);
  return e ? e : all_ended(g);
}

int gos_errgroup_errors(gos_errgroup *g, int *out, int n) {
  if (!g) return 0;
  gosi_lock_take(&g->lock);
  int i = 0, all = g->nerrors;
  for (member *k = g->errors; k && i < n; k = k->next) out[i++] = k->err;
  gosi_lock_drop(&g->lock);
  return all;
}
