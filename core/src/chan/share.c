/* A confined channel becomes one for all threads. L4.
 *
 * The caller holds the host's lock, and nobody else knows the channel yet: its goroutines may wait for it,
 * but none is inside a call. Those that wait for it alone stay where they are, and are claimed atomically
 * from now on. A select has its places in other queues too, and has chosen its locks: it is woken, and
 * begins anew.
 * SPDX-License-Identifier: Apache-2.0 */
#include "chan/chan.h"

bool gos_chan_confined(gos_chan *c) { return c && c->home; }

int gos_chan_buffered(gos_chan *c, int (*f)(void *u, void *elem), void *u) {
  int e = 0;
  if (!c || !c->home) return 0;
  for (size_t i = 0, at = c->first; i < c->count && !e; i++) {
    e = f(u, c->ring + at * c->elem);
    if (++at == c->cap) at = 0;
  }
  return e;
}

int gos_chan_each(gos_chan *c, int (*f)(void *u, void *elem), void *u) {
  if (!c || !c->home) return 0;
  int e = gos_chan_buffered(c, f, u);
  for (gosi_waiter *w = c->senders.head; w && !e; w = w->next) e = f(u, w->elem);
  return e;
}

/* The selects among them leave the queue; the rest keeps its order. */
static void open_queue(gosi_waitq *q) {
  for (gosi_waiter *w = q->head, *next; w; w = next) {
    next = w->next;
    if (w == &w->g->w) {
      w->mode = CLAIM_ATOMIC;
      continue;
    }
    gosi_waitq_remove(q, w);
    if (!gosi_claim(w)) continue; /* its wait has ended, it has not run since */
    w->g->result = GOSI_RETRY;
    gosi_ready_home(gosi_self_m(), w->g);
  }
}

int gos_chan_share(gos_chan *c) {
  if (!c || !c->home) return GOS_OK;
  if (c->ticks) return GOS_PERM;
  open_queue(&c->senders);
  open_queue(&c->receivers);
  c->home = NULL;
  return GOS_OK;
}
