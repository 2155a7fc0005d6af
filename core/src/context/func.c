/* Functions that run when a context has ended. L5.
 *
 * One in a context's list belongs to the list, then to the goroutine that runs it; the handle,
 * if one was asked for, owns it too. It keeps its context alive as long as it exists.
 *
 * For a realm the goroutine is made beforehand: who ends the context need not have the host's lock,
 * and could not be told of a lack of memory. The list's part in it ends with its start, inside the
 * scheduler, where no context may be given up: so that is the handle's, which must be there.
 * SPDX-License-Identifier: Apache-2.0 */
#include "context/context.h"

typedef struct func {
  gosi_ctx_place place; /* first */
  uint32_t refs;
  void (*f)(void *);
  void *a, *site;
  gos_ctx *x;
  gos_g *g; /* of a realm; NULL: to be made */
} func;

static void unref(func *r) {
  if (gosi_sub(&r->refs, 1u) != 1) return;
  if (!r->g) gos_ctx_release(r->x);
  gosi_free(r);
}

static void run(void *arg) {
  func *r = arg;
  void (*f)(void *) = r->f;
  void *a = r->a;
  unref(r);
  f(a);
}

/* ---- those that could not start: full now, perhaps not in a moment ------------------------- */
static gosi_lock late_lock; /* guards all three */
static gosi_ctx_place *late;
static bool waiting; /* for the timer */
static void fire(gosi_m *m, gosi_timer *t, uint32_t seq, gos_ns now);
static gosi_timer retry = {.kind = TIMER_CALL, .slot = -1, .fire = fire};

static gosi_ctx_place *take_late(bool fired) {
  gosi_lock_take(&late_lock);
  gosi_ctx_place *list = late;
  gosi_store(&late, (gosi_ctx_place *)NULL);
  if (fired) waiting = false;
  gosi_lock_drop(&late_lock);
  return list;
}

static void start(gosi_m *m, gosi_ctx_place *list);
static void fire(gosi_m *m, gosi_timer *t, uint32_t seq, gos_ns now) {
  (void)t, (void)seq, (void)now;
  start(m, take_late(true));
}

/* All of the list, which has a first one. */
static void put_late(gosi_ctx_place *list) {
  gosi_ctx_place **end = &list->next;
  while (*end) end = &(*end)->next;
  gosi_lock_take(&late_lock);
  *end = late;
  gosi_store(&late, list);
  bool set = !waiting;
  waiting = true;
  gosi_lock_drop(&late_lock);
  if (!set) return;
  if (gosi_timer_add(&gosi_rt.timers, &retry, gosi_os_now() + 1000000, 0) == GOS_OK) return;
  gosi_lock_take(&late_lock); /* not even that: the next end of a context tries again */
  waiting = false;
  gosi_lock_drop(&late_lock);
}

static void keep(gosi_m *m, func *r) {
  gosi_realm_keep(m, r->g);
  unref(r);
}

static void start(gosi_m *m, gosi_ctx_place *list) {
  gosi_ctx_place *full = NULL;
  while (list) {
    func *r = (func *)list;
    gosi_ctx_place *next = list->next; /* r may be gone once it has started */
    if (r->g) {
      keep(m, r);
    } else if (full || gosi_spawn(m, NULL, run, r, r->site, NULL)) { /* the others would not fare better */
      list->next = full;
      full = list;
    }
    list = next;
  }
  if (full) put_late(full);
}

void gosi_ctx_start_funcs(gosi_m *m, gosi_ctx_place *funcs) {
  start(m, funcs);
  if (unlikely(gosi_load(&late) != NULL)) start(m, take_late(false));
}

/* ---- the public calls -------------------------------------------------------------------------- */
int gos_ctx_after_func(gos_ctx *x, void (*f)(void *), void *a, void **stop) {
  if (!f) return GOS_INVAL;
  if (!x) x = gos_background();
  bool ends = gosi_ctx_can_end(x);
  if (!ends && !stop) return GOS_OK; /* it will never run */
  if (gosi_cannot_enter()) return GOS_NOMEM;
  func *r = gosi_alloc(sizeof *r);
  if (!r) return GOS_NOMEM;
  *r = (func){.place.kind = PLACE_FUNC,
              .refs = (ends ? 1u : 0u) + (stop ? 1u : 0u),
              .f = f,
              .a = a,
              .site = __builtin_return_address(0),
              .x = gos_ctx_retain(x)};
  int e = GOS_OK;
  if (ends && gosi_ctx_join(x->scope, &r->place)) {
    gosi_m *m = gosi_enter();
    e = gosi_spawn(m, NULL, run, r, r->site, NULL);
    gosi_leave_m(m);
  }
  if (e) {
    r->refs = 1;
    unref(r);
    return e;
  }
  if (stop) *stop = r;
  return GOS_OK;
}

int gos_realm_ctx_after_func(gos_realm *realm, gos_ctx *x, void (*fn)(void *), void *arg, void **stop) {
  if (!realm || !fn || !stop) return GOS_INVAL;
  if (!x) x = gos_background();
  bool ends = gosi_ctx_can_end(x);
  func *r = gosi_alloc(sizeof *r);
  gos_g *g = r && ends ? gosi_realm_promise(realm, fn, arg) : NULL;
  if (!r || (ends && !g)) {
    gosi_free(r);
    return GOS_NOMEM;
  }
  *r = (func){.place.kind = PLACE_FUNC, .refs = ends ? 2 : 1, .x = gos_ctx_retain(x), .g = g};
  *stop = r;
  if (ends && gosi_ctx_join(x->scope, &r->place)) keep(gosi_self_m(), r);
  return GOS_OK;
}

int gos_ctx_stop(void *stop) {
  func *r = stop;
  if (!r) return 0;
  int stopped = 1;
  gos_ctx *x = r->g ? r->x : NULL;
  if (gosi_ctx_can_end(r->x) && (stopped = gosi_ctx_part(r->x->scope, &r->place))) {
    if (r->g) gosi_realm_take_back(r->g);
    unref(r);
  }
  unref(r);
  gos_ctx_release(x);
  return stopped;
}
