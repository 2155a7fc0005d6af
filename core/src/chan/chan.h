/* Channels, for select and timers. L4. SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_CHAN_H
#define GOSI_CHAN_H

#include <string.h>
#include "sched/sched.h"

struct gos_chan {
  size_t cap, elem; /* fixed at birth */
  gos_realm *home;  /* confined to this realm: the host's lock stands for lock; NULL: shared */
  uint32_t refs;
  gosi_lock lock; /* guards all below; no one is readied under it */
  bool closed;
  bool ticks;                /* of a timer: looks unbuffered from outside */
  size_t count, first, last; /* the ring: values in it, next out, next in */
  gosi_waitq senders, receivers;
  void (*dtor)(void *elem);
  void (*on_free)(void *u); /* before the channel is freed */
  void *on_free_u;
  char ring[] __attribute__((aligned(16)));
};

ALWAYS_INLINE void gosi_chan_lock(gos_chan *c) {
  if (!c->home) gosi_guard_take(&c->lock);
}
ALWAYS_INLINE bool gosi_chan_trylock(gos_chan *c) { return c->home || gosi_guard_try(&c->lock); }
ALWAYS_INLINE void gosi_chan_unlock(gos_chan *c) {
  if (!c->home) gosi_guard_drop(&c->lock);
}
ALWAYS_INLINE void gosi_chan_ready(gosi_m *m, gos_chan *c, gos_g *g) {
  if (c->home)
    gosi_ready_home(m, g);
  else
    gosi_ready(m, g);
}
ALWAYS_INLINE void gosi_elem_copy(void *to, const void *from, size_t n) {
  if (likely(n == 8))
    memcpy(to, from, 8);
  else if (n)
    memcpy(to, from, n);
}
ALWAYS_INLINE void gosi_elem_out(void *to, const void *from, size_t n) {
  if (likely(to != NULL)) gosi_elem_copy(to, from, n);
}

/* The first waiter whose wait could be claimed, taken out of the queue. */
ALWAYS_INLINE gosi_waiter *gosi_chan_claim(gosi_waitq *q) {
  for (gosi_waiter *w; (w = q->head);) {
    gosi_waitq_remove(q, w);
    if (likely(gosi_claim(w))) {
      w->g->fired = w;
      return w;
    }
  }
  return NULL;
}
/* A value comes in, from v, for which there is room: or a sender's moves up. The caller
   holds the lock. */
ALWAYS_INLINE void gosi_ring_in(gos_chan *c, const void *v) {
  gosi_elem_copy(c->ring + c->last * c->elem, v, c->elem);
  if (++c->last == c->cap) c->last = 0;
  gosi_store(&c->count, c->count + 1);
}
ALWAYS_INLINE void gosi_ring_out(gos_chan *c, void *out) {
  gosi_elem_out(out, c->ring + c->first * c->elem, c->elem);
  if (++c->first == c->cap) c->first = 0;
  gosi_store(&c->count, c->count - 1);
}

/* One attempt, under the lock. *wake: whom to ready after unlocking. GOS_OK, GOS_CLOSED,
   or GOS_WOULDBLOCK. */
int gosi_chan_try_send_locked(gos_chan *c, const void *v, gosi_waiter **wake);
int gosi_chan_try_recv_locked(gos_chan *c, void *out, gosi_waiter **wake);
/* A look without the lock: is there clearly nothing to do? closed is read last: it never
   goes back to open, so what was seen before it was true of an open channel. */
ALWAYS_INLINE bool gosi_chan_no_recv(gos_chan *c) {
  return gosi_load_acquire(&c->count) == 0 && !gosi_load_acquire(&c->senders.head) && !gosi_load_acquire(&c->closed);
}
ALWAYS_INLINE bool gosi_chan_no_send(gos_chan *c) {
  return gosi_load_acquire(&c->count) == c->cap && !gosi_load_acquire(&c->receivers.head) &&
         !gosi_load_acquire(&c->closed);
}
/* For code inside the scheduler: never waits. */
int gosi_chan_close(gosi_m *m, gos_chan *c);
gos_chan *gosi_chan_new(gos_realm *home, size_t elem, size_t cap);
/* With so many bytes behind the ring, zeroed, which are the caller's and go with the channel. */
gos_chan *gosi_chan_new_with(gos_realm *home, size_t elem, size_t cap, size_t more);
/* A wait that nothing but its deadline or an interrupt ends. */
int gosi_wait_for_nothing(gosi_m *m, unsigned reason, gos_ns deadline);

#endif
