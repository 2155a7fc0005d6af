/* Channels: move one element between goroutines, or through a ring. L4.
 *
 * Always true while the lock is free:
 *   count > 0    => no receiver waits
 *   count < cap  => no sender waits
 * but for waiters whose wait has been claimed by a timeout, and for one goroutine that
 * selects both ends of an unbuffered channel.
 * A confined channel has no lock of its own: its users hold the host's.
 * SPDX-License-Identifier: Apache-2.0 */
#include "chan/chan.h"
#include <stdlib.h>

/* ---- life ----------------------------------------------------------------------------- */
gos_chan *gosi_chan_new_with(gos_realm *home, size_t elem, size_t cap, size_t more) {
  size_t ring;
  if (elem > INT32_MAX || __builtin_mul_overflow(elem, cap, &ring) || ring > PTRDIFF_MAX - sizeof(gos_chan) - more)
    return NULL;
  gos_chan *c = malloc(sizeof *c + ring + more);
  if (!c) return NULL;
  size_t fresh = sizeof *c + (more ? ring + more : 0);
  __asm__("" : "+r"(fresh)); /* of a known size gcc makes `rep stos`, which takes longer than the call */
  memset(c, 0, fresh);
  c->cap = cap;
  c->elem = elem;
  c->home = home;
  c->refs = 1;
  return c;
}
gos_chan *gosi_chan_new(gos_realm *home, size_t elem, size_t cap) { return gosi_chan_new_with(home, elem, cap, 0); }

gos_chan *gos_chan_make(size_t elem, size_t cap) { return gosi_chan_new(NULL, elem, cap); }
gos_chan *gos_realm_chan(gos_realm *r, size_t elem, size_t cap) { return gosi_chan_new(r, elem, cap); }

gos_chan *gos_chan_retain(gos_chan *c) {
  if (c) gosi_add(&c->refs, 1u);
  return c;
}

void gos_chan_release(gos_chan *c) {
  if (!c) return;
  /* One: it is ours, and nobody else can add. */
  if (gosi_load_acquire(&c->refs) != 1 && gosi_sub(&c->refs, 1u) != 1) return;
  if (c->on_free) c->on_free(c->on_free_u);
  while (c->dtor && c->count) {
    c->count--;
    c->dtor(c->ring + c->first * c->elem);
    if (++c->first == c->cap) c->first = 0;
  }
  free(c);
}

void gos_chan_set_dtor(gos_chan *c, void (*dtor)(void *elem)) {
  if (c) c->dtor = dtor;
}

size_t gos_chan_len(gos_chan *c) { return c && !c->ticks ? gosi_load(&c->count) : 0; }
size_t gos_chan_cap(gos_chan *c) { return c && !c->ticks ? c->cap : 0; }
bool gos_chan_closed(gos_chan *c) { return c && gosi_load(&c->closed); }

/* ---- one attempt -------------------------------------------------------------------------- */
ALWAYS_INLINE int try_send(gos_chan *c, const void *v, gosi_waiter **wake) {
  gosi_waiter *w;
  if (unlikely(c->closed)) return GOS_CLOSED;
  if (c->receivers.head && (w = gosi_chan_claim(&c->receivers))) {
    gosi_elem_out(w->elem, v, c->elem);
    w->ok = true;
    *wake = w;
    return GOS_OK;
  }
  if (c->count == c->cap) return GOS_WOULDBLOCK;
  gosi_ring_in(c, v);
  return GOS_OK;
}
ALWAYS_INLINE int try_recv(gos_chan *c, void *out, gosi_waiter **wake) {
  gosi_waiter *w;
  if (c->count) {
    gosi_ring_out(c, out);
    if (c->senders.head && (w = gosi_chan_claim(&c->senders))) {
      gosi_ring_in(c, w->elem);
      w->ok = true;
      *wake = w;
    }
    return GOS_OK;
  }
  if (c->senders.head && (w = gosi_chan_claim(&c->senders))) {
    gosi_elem_out(out, w->elem, c->elem);
    w->ok = true;
    *wake = w;
    return GOS_OK;
  }
  if (!c->closed) return GOS_WOULDBLOCK;
  if (out) memset(out, 0, c->elem);
  return GOS_CLOSED;
}
int gosi_chan_try_send_locked(gos_chan *c, const void *v, gosi_waiter **wake) { return try_send(c, v, wake); }
int gosi_chan_try_recv_locked(gos_chan *c, void *out, gosi_waiter **wake) { return try_recv(c, out, wake); }

/* ---- waiting ---------------------------------------------------------------------------------- */
NOINLINE JUMPS_BACK int gosi_wait_for_nothing(gosi_m *m, unsigned reason, gos_ns deadline) {
  gos_g *g = m->cur;
  gosi_prepare(m, g, reason);
  if (gosi_arm_slow(g, deadline)) gosi_park(m);
  return gosi_disarm(g, deadline);
}

/* Queues the running goroutine on q, drops the lock, waits. GOS_OK: v was taken or filled. */
ALWAYS_INLINE int wait_on(gosi_m *m, gos_chan *c, gosi_waitq *q, void *v, unsigned reason, gos_ns deadline) {
  gos_g *g = m->cur;
  gosi_waiter *w = &g->w;
  w->elem = v;
  w->c = c;
  w->mode = c->home && !(g->flags & (GF_FOREIGN | GF_MAIN | GF_OBEYS)) ? CLAIM_PLAIN : gosi_claim_mode(g, deadline);
  gosi_waitq_put(q, w); /* first: one that is seen waiting is found without the lock, too (gosi_chan_no_send) */
  gosi_prepare(m, g, reason);
  bool sleep = gosi_arm(w, deadline);
  gosi_chan_unlock(c);
  if (likely(sleep)) gosi_park(m);
  if (w->mode != CLAIM_NONE) {
    int e = gosi_disarm(g, deadline);
    if (unlikely(e)) {
      gosi_chan_lock(c);
      gosi_waitq_remove(q, w);
      gosi_chan_unlock(c);
      return e;
    }
  }
  return w->ok ? GOS_OK : GOS_CLOSED;
}

static NOINLINE JUMPS_BACK int nil_wait(unsigned reason, gos_ns deadline) {
  if (deadline == GOS_NOW) return GOS_WOULDBLOCK;
  if (gosi_cannot_enter()) return GOS_NOMEM;
  int e = gosi_wait_for_nothing(gosi_enter(), reason, deadline);
  gosi_leave();
  return e;
}

/* The lock is held on entry. */
static NOINLINE JUMPS_BACK int send_locked(gosi_m *m, gos_chan *c, const void *v, gos_ns deadline) {
  gosi_waiter *wake = NULL;
  int e = try_send(c, v, &wake);
  if (e == GOS_WOULDBLOCK && deadline != GOS_NOW) {
    e = wait_on(m, c, &c->senders, (void *)(uintptr_t)v, WAIT_SEND, deadline);
    gosi_leave();
    return e;
  }
  gosi_chan_unlock(c);
  if (wake) gosi_chan_ready(m, c, wake->g);
  gosi_leave_m(m);
  return e;
}
static NOINLINE JUMPS_BACK int recv_locked(gosi_m *m, gos_chan *c, void *out, gos_ns deadline) {
  gosi_waiter *wake = NULL;
  int e = try_recv(c, out, &wake);
  if (e == GOS_WOULDBLOCK && deadline != GOS_NOW) {
    e = wait_on(m, c, &c->receivers, out, WAIT_RECV, deadline);
    gosi_leave();
    return e;
  }
  gosi_chan_unlock(c);
  if (wake) gosi_chan_ready(m, c, wake->g);
  gosi_leave_m(m);
  return e;
}

static NOINLINE JUMPS_BACK int send_slow(gos_chan *c, const void *v, gos_ns deadline) {
  if (!c) return nil_wait(WAIT_SEND_NIL, deadline);
  if (gosi_cannot_enter()) return GOS_NOMEM;
  gosi_m *m = gosi_enter();
  gosi_chan_lock(c);
  return send_locked(m, c, v, deadline);
}
static NOINLINE JUMPS_BACK int recv_slow(gos_chan *c, void *out, gos_ns deadline) {
  if (!c) return nil_wait(WAIT_RECV_NIL, deadline);
  if (gosi_cannot_enter()) return GOS_NOMEM;
  gosi_m *m = gosi_enter();
  gosi_chan_lock(c);
  return recv_locked(m, c, out, deadline);
}

/* A word into or out of a buffer that nobody waits for: no call on the way, so no register is saved. */
ALWAYS_INLINE int send_by(gos_chan *c, const void *v, gos_ns deadline) {
  if (deadline == GOS_NOW && c && gosi_chan_no_send(c)) return GOS_WOULDBLOCK;
  gosi_m *m = likely(c != NULL) ? gosi_enter_fast() : NULL;
  if (unlikely(!m) || unlikely(!gosi_chan_trylock(c))) return send_slow(c, v, deadline);
  size_t n = c->count, last = c->last;
  if (c->elem != sizeof(uint64_t) || n == c->cap || c->receivers.head || unlikely(c->closed))
    return send_locked(m, c, v, deadline);
  memcpy(c->ring + last * sizeof(uint64_t), v, sizeof(uint64_t));
  c->last = ++last == c->cap ? 0 : last;
  gosi_store(&c->count, n + 1);
  gosi_chan_unlock(c);
  gosi_leave_m(m);
  return GOS_OK;
}
ALWAYS_INLINE int recv_by(gos_chan *c, void *out, gos_ns deadline) {
  if (deadline == GOS_NOW && c && gosi_chan_no_recv(c)) return GOS_WOULDBLOCK;
  gosi_m *m = likely(c != NULL) ? gosi_enter_fast() : NULL;
  if (unlikely(!m) || unlikely(!gosi_chan_trylock(c))) return recv_slow(c, out, deadline);
  size_t n = c->count, first = c->first;
  if (c->elem != sizeof(uint64_t) || n == 0 || c->senders.head || unlikely(!out))
    return recv_locked(m, c, out, deadline);
  memcpy(out, c->ring + first * sizeof(uint64_t), sizeof(uint64_t));
  c->first = ++first == c->cap ? 0 : first;
  gosi_store(&c->count, n - 1);
  gosi_chan_unlock(c);
  gosi_leave_m(m);
  return GOS_OK;
}

int gos_chan_send(gos_chan *c, const void *v) { return send_by(c, v, GOS_FOREVER); }
int gos_chan_recv(gos_chan *c, void *out) { return recv_by(c, out, GOS_FOREVER); }
int gos_chan_send_dl(gos_chan *c, const void *v, gos_ns deadline) { return send_by(c, v, deadline); }
int gos_chan_recv_dl(gos_chan *c, void *out, gos_ns deadline) { return recv_by(c, out, deadline); }

/* ---- close ---------------------------------------------------------------------------------------- */
static gos_g **collect(gosi_waitq *q, size_t zero, gos_g **tail) {
  for (gosi_waiter *w; (w = gosi_chan_claim(q));) {
    if (zero && w->elem) memset(w->elem, 0, zero);
    w->ok = false;
    *tail = w->g;
    tail = &w->g->next;
  }
  return tail;
}

int gosi_chan_close(gosi_m *m, gos_chan *c) {
  gos_g *woken = NULL, **tail = &woken;
  gosi_chan_lock(c);
  if (c->closed) {
    gosi_chan_unlock(c);
    return GOS_CLOSED;
  }
  gosi_store(&c->closed, true);
  tail = collect(&c->receivers, c->elem, tail);
  tail = collect(&c->senders, 0, tail);
  *tail = NULL;
  bool shared = !c->home;
  gosi_chan_unlock(c); /* from here on c may be gone: who sees it closed may release it */
  if (shared) {
    if (woken) gosi_ready_list(m, woken);
    return GOS_OK;
  }
  while (woken) {
    gos_g *g = woken;
    woken = g->next;
    gosi_ready_home(m, g);
  }
  return GOS_OK;
}

int gos_chan_close(gos_chan *c) {
  if (!c) return GOS_INVAL;
  if (gosi_cannot_enter()) return GOS_NOMEM;
  gosi_m *m = gosi_enter();
  int e = gosi_chan_close(m, c);
  gosi_leave_m(m);
  return e;
}

/* ---- a goroutine's done channel --------------------------------------------------------------------- */
static void done_event(gos_chan *c, bool forget) {
  if (forget)
    gos_chan_release(c);
  else
    gosi_chan_close(gosi_self_m(), c);
}

gos_chan *gos_done(gos_g *g) {
  if (!g || gosi_cannot_enter()) return NULL;
  gosi_m *m = gosi_enter();
  gosi_extra *x = gosi_g_extra(g);
  gos_chan *c = x ? gosi_load_acquire(&x->done) : NULL;
  if (x && !c && (c = gosi_chan_new(g->realm, 0, 0))) {
    gosi_lock_take(&g->lock);
    gos_chan *first = x->done;
    bool dead = gosi_load(&g->status) == G_DEAD;
    if (!first) {
      gosi_store_release(&x->done, c);
      x->on_end = done_event;
    }
    gosi_lock_drop(&g->lock);
    if (first) {
      gos_chan_release(c);
      c = first;
    } else if (dead) {
      gosi_chan_close(m, c);
    }
  }
  gosi_leave_m(m);
  return c;
}
