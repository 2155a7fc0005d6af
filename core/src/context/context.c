/* Contexts as people see them: making, asking, ending, freeing. L5.
 * SPDX-License-Identifier: Apache-2.0 */
#include "context/context.h"
#include "chan/chan.h"

enum { MERGES = 64 }; /* inside one another */
_Static_assert(sizeof(void *) != 8 || sizeof(gosi_scope) <= 120, "see context.h");

typedef struct value {
  gos_ctx x;
  const void *key;
  void *val;
  void (*drop)(void *val);
} value;

static gos_ctx background = {.kind = CTX_BACKGROUND};
/* The done channel of whatever had ended before it was asked for it. */
static gos_chan closed_channel = {.refs = 1, .closed = true};

gos_ctx *gos_background(void) { return &background; }

gos_ctx *gos_ctx_retain(gos_ctx *x) {
  if (x && x->kind != CTX_BACKGROUND) gosi_add(&x->refs, 1u);
  return x;
}

/* ---- making ------------------------------------------------------------------------------ */
static void init(gos_ctx *x, gos_ctx *parent, unsigned kind, gosi_scope *scope) {
  x->refs = 1;
  x->kind = (uint8_t)kind;
  x->merges = parent->merges;
  x->parent = gos_ctx_retain(parent);
  x->scope = scope;
}

/* size: of the kind's struct. Not yet in its parent's list. */
static void *scope_new(gos_ctx *p, unsigned kind, size_t size) {
  gosi_scope *s = gosi_alloc(size);
  if (!s) return NULL;
  init(&s->x, p, kind, s);
  s->place.kind = kind == CTX_GRACE ? PLACE_GRACE : PLACE_CHILD;
  s->deadline = p->scope ? p->scope->deadline : GOS_FOREVER;
  return s;
}

/* In its parent's list, or ended as that has. */
static gos_ctx *joined(gosi_scope *s) {
  gosi_scope *up = s->x.parent->scope;
  if (up && gosi_ctx_join(up, &s->place)) gosi_ctx_end_as(s, up);
  return &s->x;
}

/* Has it ended? If not, whoever ends it later sees the places it has been given so far. */
static bool over(gosi_scope *s) {
  gosi_lock_take(&s->lock);
  bool ended = s->err != GOS_OK;
  gosi_lock_drop(&s->lock);
  return ended;
}

gos_ctx *gos_with_cancel(gos_ctx *p) {
  if (!p) p = &background;
  gosi_scope *s = scope_new(p, CTX_CANCEL, sizeof *s);
  return s ? joined(s) : NULL;
}

gos_ctx *gos_with_deadline(gos_ctx *p, gos_ns t) {
  if (!p) p = &background;
  if (t == GOS_FOREVER || (p->scope && (p->scope->deadline <= t || gosi_ctx_ended(p)))) return gos_with_cancel(p);
  gosi_timed *c = gosi_cannot_enter() ? NULL : scope_new(p, CTX_DEADLINE, sizeof *c);
  if (!c) return NULL;
  gosi_scope *s = &c->s;
  s->deadline = t;
  gosi_m *m = gosi_enter();
  int e = GOS_OK;
  if (t <= gosi_os_now())
    gosi_ctx_end(m, s, GOS_TIMEDOUT, NULL, GOS_TIMEDOUT, NULL);
  else
    e = gosi_ctx_arm(c, t);
  gosi_leave_m(m);
  if (e) {
    gos_ctx_release(&s->x);
    return NULL;
  }
  /* The timer first: it must be complete before the parent's end can look at it. */
  joined(s);
  if (!over(s)) return &s->x;
  m = gosi_enter();
  gosi_ctx_disarm(s);
  gosi_leave_m(m);
  if (p->scope) gosi_ctx_part(p->scope, &s->place);
  return &s->x;
}

gos_ctx *gos_with_timeout(gos_ctx *p, gos_ns d) { return gos_with_deadline(p, gosi_deadline(d)); }

static gos_ns later(gos_ns t, gos_ns d) { return d > INT64_MAX - t ? GOS_FOREVER : t + d; }

gos_ctx *gos_with_grace(gos_ctx *p, gos_ns d) {
  if (!p) p = &background;
  if (d <= 0) return gos_with_cancel(p);
  gosi_timed *c = gosi_cannot_enter() ? NULL : scope_new(p, CTX_GRACE, sizeof *c);
  if (!c) return NULL;
  gosi_scope *s = &c->s, *up = p->scope;
  c->grace = d;
  if (!up) return &s->x;
  s->deadline = later(s->deadline, d);
  if (!gosi_ctx_join(up, &s->place)) return &s->x;
  gos_ns due = later(up->ended_at, d); /* the parent had ended */
  if (due <= gosi_os_now()) {
    gosi_ctx_end_as(s, up);
    return &s->x;
  }
  gosi_m *m = gosi_enter();
  int e = gosi_ctx_arm(c, due);
  gosi_leave_m(m);
  if (!e) return &s->x;
  gos_ctx_release(&s->x);
  return NULL;
}

gos_ctx *gos_merge(gos_ctx *a, gos_ctx *b) {
  if (!a) a = &background;
  if (!b) b = &background;
  unsigned merges = (a->merges > b->merges ? a->merges : b->merges) + 1u;
  if (merges > MERGES) return NULL;
  gosi_merged *c = scope_new(a, CTX_MERGE, sizeof *c);
  if (!c) return NULL;
  gosi_scope *s = &c->s, *up = b->scope;
  s->x.merges = (uint8_t)merges;
  c->other = gos_ctx_retain(b);
  c->second.kind = PLACE_SECOND;
  if (up && up->deadline < s->deadline) s->deadline = up->deadline;
  joined(s);
  if (!up || up == a->scope) return &s->x;
  if (gosi_ctx_join(up, &c->second)) gosi_ctx_end_as(s, up);
  if (!over(s)) return &s->x;
  gosi_ctx_part(up, &c->second);
  if (a->scope) gosi_ctx_part(a->scope, &s->place);
  return &s->x;
}

gos_ctx *gosi_ctx_fed(gos_ctx *p, gos_chan *c, void (*stop)(gos_chan *c)) {
  gosi_fed *f = scope_new(p, CTX_FED, sizeof *f);
  if (!f) return NULL;
  f->c = gos_chan_retain(c);
  f->stop = stop;
  return joined(&f->s);
}

gos_ctx *gos_with_value_drop(gos_ctx *p, const void *key, void *val, void (*drop)(void *val)) {
  if (!p) p = &background;
  value *v = key ? gosi_alloc(sizeof *v) : NULL;
  if (!v) return NULL;
  init(&v->x, p, CTX_VALUE, p->scope);
  v->key = key;
  v->val = val;
  v->drop = drop;
  return &v->x;
}
gos_ctx *gos_with_value(gos_ctx *p, const void *key, void *val) { return gos_with_value_drop(p, key, val, NULL); }

gos_ctx *gos_without_cancel(gos_ctx *p) {
  gos_ctx *x = gosi_alloc(sizeof *x);
  if (x) init(x, p ? p : &background, CTX_BARE, NULL);
  return x;
}

/* ---- freeing --------------------------------------------------------------------------------- */
/* x's own part; what it keeps alive is the caller's to give up. */
static void dispose(gos_ctx *x) {
  if (x->scope == (gosi_scope *)x) {
    gosi_scope *s = (gosi_scope *)x;
    if (x->parent->scope) gosi_ctx_part(x->parent->scope, &s->place);
    if (x->kind == CTX_MERGE) {
      gosi_merged *c = (gosi_merged *)s;
      if (c->other->scope) gosi_ctx_part(c->other->scope, &c->second);
    }
    gosi_ctx_settle(s);
    if (x->kind == CTX_FED) {
      gosi_fed *f = (gosi_fed *)s;
      f->stop(f->c);
      gos_chan_release(f->c);
    }
    gos_chan_release(s->done);
    if (s->data) {
      if (s->data->drop) s->data->drop(s->data->data);
      gosi_free(s->data);
    }
  } else if (x->kind == CTX_VALUE) {
    value *v = (value *)x;
    if (v->drop) v->drop(v->val);
  }
}

/* Gives up a reference. The last one: x joins the dead, linked by scope, which they need no more. */
static void unref(gos_ctx *x, gos_ctx **dead) {
  if (!x || x->kind == CTX_BACKGROUND || gosi_sub(&x->refs, 1u) != 1) return;
  dispose(x);
  x->scope = (gosi_scope *)*dead;
  *dead = x;
}

void gos_ctx_release(gos_ctx *x) { /* a loop: a chain may be of any length */
  gos_ctx *dead = NULL;
  unref(x, &dead);
  while ((x = dead)) {
    dead = (gos_ctx *)x->scope;
    unref(x->parent, &dead);
    if (x->kind == CTX_MERGE) unref(((gosi_merged *)x)->other, &dead);
    gosi_free(x);
  }
}

/* ---- asking ------------------------------------------------------------------------------------ */
int gos_ctx_err(gos_ctx *x) {
  if (!gosi_ctx_can_end(x)) return GOS_OK;
  int e = gosi_ctx_ended(x);
  gos_chan *c = e ? gosi_load_acquire(&x->scope->done) : NULL;
  if (c && !gosi_load_acquire(&c->closed)) gos_chan_close(c); /* never an error beside an open done channel */
  return e;
}

/* The scope in which x's end began; NULL: it has not ended. */
static gosi_scope *origin(const gos_ctx *x) {
  return gosi_ctx_can_end(x) && gosi_ctx_ended(x) ? x->scope->origin : NULL;
}
gos_ctx *gos_ctx_origin(gos_ctx *x) {
  gosi_scope *s = origin(x);
  return s ? &s->x : NULL;
}
int gos_ctx_cause(gos_ctx *x) {
  gosi_scope *s = origin(x);
  return s ? s->cause : GOS_OK;
}
void *gos_ctx_cause_data(gos_ctx *x) {
  gosi_scope *s = origin(x);
  return s && s->data ? s->data->data : NULL;
}

int gos_ctx_deadline(gos_ctx *x, gos_ns *t) {
  gos_ns d = gosi_ctx_can_end(x) ? x->scope->deadline : GOS_FOREVER;
  if (t) *t = d;
  return d != GOS_FOREVER;
}

/* Has this search, whose number is *mine, been at c? What is above c has been searched then: c is its own way up
   only once that is done. Another search may leave its number here meanwhile: then c is searched again. */
static bool searched(gosi_merged *c, uint64_t *mine) {
  static uint64_t searches;
  if (!*mine) *mine = gosi_add(&searches, UINT64_C(1)) + 1;
  if (gosi_load(&c->searched) == *mine) return true;
  gosi_store(&c->searched, *mine);
  return false;
}

void *gos_ctx_value(gos_ctx *x, const void *key) {
  gos_ctx *later[MERGES];
  uint64_t mine = 0;
  for (int n = 0;;) {
    for (; x; x = x->parent) {
      if (x->kind == CTX_VALUE && ((value *)x)->key == key) return ((value *)x)->val;
      if (x->kind != CTX_MERGE) continue;
      if (searched((gosi_merged *)x, &mine)) break;
      later[n++] = ((gosi_merged *)x)->other;
    }
    if (n == 0) return NULL;
    x = later[--n];
  }
}

gos_chan *gos_ctx_done(gos_ctx *x) {
  if (!gosi_ctx_can_end(x)) return NULL;
  gosi_scope *s = x->scope;
  gos_chan *c = gosi_load_acquire(&s->done); /* pairs with the store below */
  if (c) return c;
  if (gosi_ctx_ended(x)) return &closed_channel;
  gos_chan *fresh = gosi_chan_new(NULL, 0, 0);
  if (!fresh) { /* no channel would be one that never closes: it ends instead */
    gos_cancel(&s->x, GOS_NOMEM);
    return &closed_channel;
  }
  gosi_lock_take(&s->lock);
  if (!(c = s->done)) {
    if (s->err) {
      c = &closed_channel;
    } else {
      gosi_store_release(&s->done, c = fresh);
      fresh = NULL;
    }
  }
  gosi_lock_drop(&s->lock);
  gos_chan_release(fresh);
  return c;
}

/* ---- ending -------------------------------------------------------------------------------------- */
static bool cancel(gos_ctx *x, int cause, gosi_ctx_data *data) {
  unsigned n = 0;
  if (!gosi_ctx_can_end(x) || &x->scope->x != x) return false;
  gosi_m *m = gosi_enter();
  bool first = gosi_ctx_end(m, x->scope, GOS_CANCELED, NULL, cause ? cause : GOS_CANCELED, data);
  gosi_leave_m(m);
  while (gosi_load_acquire(&x->scope->busy)) gosi_ctx_relax(&n); /* another's end of it, under way */
  if (x->kind == CTX_FED) ((gosi_fed *)x->scope)->stop(((gosi_fed *)x->scope)->c);
  return first;
}

void gos_cancel(gos_ctx *x, int cause) { cancel(x, cause, NULL); }

void gos_cancel_with(gos_ctx *x, int cause, void *data, void (*drop)(void *data)) {
  gosi_ctx_data *d = gosi_alloc(sizeof *d);
  if (d) *d = (gosi_ctx_data){data, drop};
  if (cancel(x, cause, d) && d) return;
  if (drop) drop(data);
  gosi_free(d);
}
