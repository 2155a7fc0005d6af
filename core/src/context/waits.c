/* Waits that obey a context. L5. SPDX-License-Identifier: Apache-2.0 */
#include "context/context.h"
#include "sync/once.h"

int gosi_ctx_wait_begin(gosi_ctx_wait *w, gos_ctx *x) {
  if (gosi_cannot_enter()) return GOS_NOMEM;
  gosi_m *m = gosi_enter();
  gos_g *g = m->cur;
  gosi_leave_m(m);
  *w = (gosi_ctx_wait){.place.kind = PLACE_WAIT, .g = g, .scope = x->scope};
  int e = gosi_ctx_join(w->scope, &w->place);
  if (!e) gosi_store(&g->flags, (uint8_t)(g->flags | GF_OBEYS));
  return e;
}

int64_t gosi_ctx_wait_end(gosi_ctx_wait *w, int64_t r) {
  gos_g *g = w->g;
  gosi_ctx_part(w->scope, &w->place);
  gosi_store(&g->flags, (uint8_t)(g->flags & ~GF_OBEYS));
  gosi_store(&g->ended, (uint8_t)0); /* it came too late for this wait */
  return r == GOSI_ENDED ? gosi_load_acquire(&w->scope->err) : r;
}

/* ---- for bindings ------------------------------------------------------------------------ */
_Static_assert(sizeof(gosi_ctx_wait) <= sizeof(gos_ctx_wait), "host.h");

int gos_ctx_wait_begin(gos_ctx_wait *w, gos_ctx *x) {
  gosi_ctx_wait *own = (gosi_ctx_wait *)w;
  if (gosi_ctx_can_end(x)) return gosi_ctx_wait_begin(own, x);
  own->scope = NULL;
  return GOS_OK;
}

bool gos_ctx_wait_end(gos_ctx_wait *w, int *e) {
  gosi_ctx_wait *own = (gosi_ctx_wait *)w;
  if (!own->scope) return false;
  bool ended = *e == GOSI_ENDED;
  *e = (int)gosi_ctx_wait_end(own, *e);
  return ended;
}

/* ---- the public calls ---------------------------------------------------------------------- */
int gos_chan_send_ctx(gos_chan *c, const void *v, gos_ctx *x) { GOSI_CTX_OBEY(x, gos_chan_send_dl(c, v, dl)); }
int gos_chan_recv_ctx(gos_chan *c, void *out, gos_ctx *x) { GOSI_CTX_OBEY(x, gos_chan_recv_dl(c, out, dl)); }
int gos_select_ctx(gos_case *cases, int n, gos_ctx *x) { GOSI_CTX_OBEY(x, gos_select(cases, n, dl)); }
int gos_select_ordered_ctx(gos_case *cases, int n, gos_ctx *x) { GOSI_CTX_OBEY(x, gos_select_ordered(cases, n, dl)); }
int gos_join_ctx(gos_g *g, gos_ctx *x) { GOSI_CTX_OBEY(x, gos_join(g, dl)); }
int gos_mutex_lock_ctx(gos_mutex *mu, gos_ctx *x) { GOSI_CTX_OBEY(x, gos_mutex_lock_dl(mu, dl)); }
int gos_rwmutex_lock_ctx(gos_rwmutex *rw, gos_ctx *x) { GOSI_CTX_OBEY(x, gos_rwmutex_lock_dl(rw, dl)); }
int gos_rwmutex_rlock_ctx(gos_rwmutex *rw, gos_ctx *x) { GOSI_CTX_OBEY(x, gos_rwmutex_rlock_dl(rw, dl)); }
int gos_waitgroup_wait_ctx(gos_waitgroup *wg, gos_ctx *x) { GOSI_CTX_OBEY(x, gos_waitgroup_wait_dl(wg, dl)); }
/* Locking again is not to be given up: a wait for that, which the context ends, begins anew. */
int gos_cond_wait_ctx(gos_cond *c, gos_mutex *mu, gos_ctx *x) { GOSI_CTX_OBEY(x, gos_cond_wait_dl(c, mu, dl)); }
int gos_cond_wait_rw_ctx(gos_cond *c, gos_rwmutex *rw, gos_ctx *x) { GOSI_CTX_OBEY(x, gos_cond_wait_rw(c, rw, dl)); }
int gos_cond_wait_r_ctx(gos_cond *c, gos_rwmutex *rw, gos_ctx *x) { GOSI_CTX_OBEY(x, gos_cond_wait_r(c, rw, dl)); }
int gos_fd_wait_ctx(int fd, int events, gos_ctx *x) { GOSI_CTX_OBEY(x, gos_fd_wait(fd, events, dl)); }

/* fn does not obey x: that is over when the mutex is ours. */
int gos_once_do_ctx(gos_once *o, void (*fn)(void *), void *arg, gos_ctx *x) {
  if (gosi_ctx_can_end(x) && gosi_ctx_ended(x)) return gosi_ctx_ended(x);
  if (likely(gosi_load_acquire(&o->done))) return GOS_OK; /* pairs with the store of whoever did it */
  int e = gos_mutex_lock_ctx(&o->mu, x);
  if (e) return e;
  gosi_once_run(o, fn, arg);
  return GOS_OK;
}

int gos_sleep_ctx(gos_ns d, gos_ctx *x) {
  gosi_ctx_wait w;
  if (!gosi_ctx_can_end(x)) return gos_sleep(d);
  int e = gosi_ctx_wait_begin(&w, x);
  return e ? e : (int)gosi_ctx_wait_end(&w, gos_sleep(d));
}
