/* The end of a context and of everything below it. L5.
 *
 * Without recursion, however deep the tree is, and without a lock held for long: a scope is
 * marked ended under the lock of the list it is in, a batch of the list at a time. One that has
 * more than that to do (a done channel, a timer, a list of its own) is put on the stack of the
 * thread that does it, marked busy until all below it have ended. Whoever meets it meanwhile,
 * from another end above it, waits for that: when gos_cancel() returns, all below have ended.
 * Such waits only look down the tree, so they never wait for each other; and as the stack goes
 * straight down, one that is met in a list is never on one's own.
 *
 * Nobody who ends a scope holds a reference to it, because giving up the last one would call a
 * user's drop function here, inside the scheduler perhaps. Who gives up the last reference
 * waits for busy and starting instead.
 * SPDX-License-Identifier: Apache-2.0 */
#include "chan/chan.h"
#include "context/context.h"

enum { BATCH = GOSI_HARD ? 2 : 64 };

struct sweep {
  gosi_m *m;
  gosi_scope *stack; /* marked, with something left to do; linked by work */
  gosi_ctx_place *graces, *funcs;
  gos_g *woken, **tail;
  gos_ns now;
};

#define container(p, type, field) ((type *)(void *)((char *)(p)-offsetof(type, field)))

static void mark_locked(gosi_scope *s, int err, gosi_scope *origin, gos_ns now) {
  s->origin = origin;
  s->ended_at = now;
  gosi_store_release(&s->err, err); /* pairs with the acquire loads of err */
}

static void push_locked(struct sweep *w, gosi_scope *s) {
  s->fresh = true;
  gosi_store(&s->busy, (uint8_t)1);
  s->work = w->stack;
  w->stack = s;
}

void gosi_ctx_end_as(gosi_scope *s, gosi_scope *above) {
  gosi_lock_take(&s->lock);
  if (!s->err) mark_locked(s, gosi_load_acquire(&above->err), above->origin, above->ended_at);
  gosi_lock_drop(&s->lock);
}

/* ---- what stands in a list ------------------------------------------------------------- */
/* False: another thread is at work on it. */
static bool end_child(struct sweep *w, gosi_scope *t, gosi_scope *c) {
  bool mine = true;
  gosi_lock_take(&c->lock);
  if (!c->err) {
    mark_locked(c, t->err, t->origin, t->ended_at);
    if (c->first || c->done || c->x.kind != CTX_CANCEL) push_locked(w, c);
  } else {
    mine = !gosi_load_acquire(&c->busy); /* pairs with the store in leave */
  }
  gosi_lock_drop(&c->lock);
  return mine;
}

/* The goroutine waits, or is about to: the claim decides, as in gos_interrupt. */
static void end_wait(struct sweep *w, gos_g *g) {
  gosi_store_seq(&g->ended, (uint8_t)1); /* pairs with gosi_arm_claim */
  if (!gosi_cas(&g->claim, 0u, 1u)) return;
  gosi_store(&g->ended, (uint8_t)0);
  g->result = GOSI_ENDED;
  *w->tail = g;
  w->tail = &g->next;
}

static void set_aside(gosi_ctx_place **list, gosi_ctx_place *n) {
  n->next = *list;
  *list = n;
}

static bool end_place(struct sweep *w, gosi_scope *t, gosi_ctx_place *n) {
  if (n->kind == PLACE_CHILD && !end_child(w, t, container(n, gosi_scope, place))) return false;
  if (n->kind == PLACE_SECOND && !end_child(w, t, &container(n, gosi_merged, second)->s)) return false;
  gosi_ctx_take_out(n);
  if (n->kind == PLACE_WAIT) end_wait(w, container(n, gosi_ctx_wait, place)->g);
  if (n->kind == PLACE_FUNC) set_aside(&w->funcs, n);
  if (n->kind == PLACE_GRACE) {
    gosi_store(&container(n, gosi_scope, place)->starting, (uint8_t)1);
    set_aside(&w->graces, n);
  }
  gosi_ctx_forget(n);
  return true;
}

/* ---- graces ----------------------------------------------------------------------------- */
static gosi_scope *above(gosi_scope *s) { return s->x.parent->scope; }

static gos_ns later(gos_ns t, gos_ns d) { return d > INT64_MAX - t ? GOS_FOREVER : t + d; }

static void start_grace(struct sweep *w, gosi_scope *s) {
  gosi_timed *c = (gosi_timed *)s;
  gosi_scope *up = above(s);
  int e = gosi_ctx_arm(c, later(up->ended_at, c->grace));
  gosi_lock_take(&s->lock);
  bool over = s->err != GOS_OK;
  if (e && !over) { /* no memory for a timer: it ends now rather than never */
    mark_locked(s, up->err, up->origin, w->now);
    push_locked(w, s);
  }
  gosi_lock_drop(&s->lock);
  if (over) gosi_ctx_disarm(s); /* who ended it may have come before the timer */
  gosi_store_release(&s->starting, (uint8_t)0);
}

/* ---- timers -------------------------------------------------------------------------------- */
static void fire(gosi_m *m, gosi_timer *t, uint32_t seq, gos_ns now) {
  gosi_scope *s = &container(t, gosi_timed, timer)->s;
  gosi_scope *up = s->x.kind == CTX_GRACE ? above(s) : NULL;
  (void)seq, (void)now;
  if (up)
    gosi_ctx_end(m, s, gosi_load_acquire(&up->err), up->origin, 0, NULL);
  else
    gosi_ctx_end(m, s, GOS_TIMEDOUT, NULL, GOS_TIMEDOUT, NULL);
}

int gosi_ctx_arm(gosi_timed *c, gos_ns when) {
  if (when == GOS_FOREVER) return GOS_OK;
  c->timer.kind = TIMER_CALL;
  c->timer.slot = -1;
  c->timer.fire = fire;
  int e = gosi_timer_add(&gosi_rt.timers, &c->timer, when, 0);
  if (!e) gosi_store_release(&c->s.armed, (uint8_t)1);
  return e;
}

void gosi_ctx_disarm(gosi_scope *s) {
  if (gosi_load_acquire(&s->armed)) gosi_timer_remove(&((gosi_timed *)s)->timer);
}

/* ---- the sweep -------------------------------------------------------------------------------- */
static void drain(struct sweep *w, gosi_scope *t, unsigned *spins) {
  bool held_up = false;
  w->tail = &w->woken;
  gosi_lock_take(&t->lock);
  for (int i = 0; i < BATCH && t->first && w->stack == t && !held_up; i++) held_up = !end_place(w, t, t->first);
  gosi_lock_drop(&t->lock);
  *w->tail = NULL;
  if (w->woken) gosi_ready_list(w->m, w->woken);
  gosi_ctx_start_funcs(w->m, w->funcs);
  w->funcs = NULL;
  while (w->graces) {
    gosi_scope *s = container(w->graces, gosi_scope, place);
    w->graces = w->graces->next;
    start_grace(w, s);
  }
  if (held_up)
    gosi_ctx_relax(spins); /* it leaves the list when that thread has done */
  else
    *spins = 0;
}

/* All below t have ended. From here on it may be freed. */
static void leave(gosi_scope *t) {
  if (t->x.parent->scope) gosi_ctx_part(t->x.parent->scope, &t->place);
  if (t->x.kind == CTX_MERGE) {
    gosi_merged *c = (gosi_merged *)t;
    if (c->other->scope) gosi_ctx_part(c->other->scope, &c->second);
  }
  gosi_store_release(&t->busy, (uint8_t)0); /* pairs with gosi_ctx_settle and end_child */
}

static void sweep(struct sweep *w) {
  unsigned spins = 0;
  for (gosi_scope *t; (t = w->stack);) {
    if (t->fresh) {
      t->fresh = false;
      if (t->done) gosi_chan_close(w->m, t->done);
      gosi_ctx_disarm(t);
    }
    if (gosi_load(&t->first)) { /* after the mark nothing comes in */
      drain(w, t, &spins);
      continue;
    }
    w->stack = t->work;
    leave(t);
  }
  gosi_ctx_start_funcs(w->m, NULL);
}

bool gosi_ctx_end(gosi_m *m, gosi_scope *s, int err, gosi_scope *origin, int cause, gosi_ctx_data *data) {
  struct sweep w = {.m = m, .now = gosi_os_now()};
  gosi_lock_take(&s->lock);
  bool first = !s->err;
  if (first) {
    if (!origin) {
      s->cause = cause;
      s->data = data;
    }
    mark_locked(s, err, origin ? origin : s, w.now);
    push_locked(&w, s);
  }
  gosi_lock_drop(&s->lock);
  if (first) sweep(&w);
  return first;
}

void gosi_ctx_settle(gosi_scope *s) {
  unsigned n = 0;
  while (gosi_load_acquire(&s->starting)) gosi_ctx_relax(&n); /* first: it may arm the timer */
  if (gosi_load_acquire(&s->armed)) {
    gosi_timer *t = &((gosi_timed *)s)->timer;
    gosi_m *m = gosi_enter(); /* who gives up the last reference is outside */
    gosi_timer_remove(t);
    gosi_leave_m(m);
    while (gosi_load_acquire(&t->firing)) gosi_ctx_relax(&n);
  }
  while (gosi_load_acquire(&s->busy)) gosi_ctx_relax(&n);
}
