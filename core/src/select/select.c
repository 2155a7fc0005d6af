/* Select: one of several sends and receives. L4.
 *
 * Channels are locked in the order of their addresses. The choice among ready cases is by
 * reservoir: each of k has 1/k, where a random start would favour the one behind a gap.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "chan/chan.h"

enum { OP_RECV = 1, OP_SEND = 2, FEW = 8, CASES_MAX = 65536 };

struct sel {
  gos_case *cases;
  int n;
  gos_chan **locks; /* shared channels, each once, by address */
  int nlocks;
  gosi_waiter *ws;
  bool shared; /* some channel is not confined */
};

static void lock_all(struct sel *s) {
  for (int i = 0; i < s->nlocks; i++) gosi_lock_take(&s->locks[i]->lock);
}
static void unlock_all(struct sel *s) {
  for (int i = s->nlocks; i-- > 0;) gosi_lock_drop(&s->locks[i]->lock);
}

static int by_address(const void *a, const void *b) {
  uintptr_t x = (uintptr_t) * (gos_chan *const *)a, y = (uintptr_t) * (gos_chan *const *)b;
  return (x > y) - (x < y);
}

/* Which locks, in which order. */
static void order_locks(struct sel *s) {
  int n = 0, k = 0;
  for (int i = 0; i < s->n; i++) {
    gos_chan *c = s->cases[i].op ? s->cases[i].c : NULL;
    if (c && !c->home) s->locks[n++] = c;
  }
  s->shared = n > 0;
  if (n > FEW) {
    qsort(s->locks, (size_t)n, sizeof *s->locks, by_address);
  } else {
    for (int i = 1; i < n; i++) {
      gos_chan *c = s->locks[i];
      int j = i;
      for (; j > 0 && s->locks[j - 1] > c; j--) s->locks[j] = s->locks[j - 1];
      s->locks[j] = c;
    }
  }
  for (int i = 0; i < n; i++)
    if (!k || s->locks[k - 1] != s->locks[i]) s->locks[k++] = s->locks[i];
  s->nlocks = k;
}

/* Is there a waiter that can still be claimed? Stale ones are dropped. */
static bool someone(gosi_waitq *q) {
  while (q->head && q->head->mode != CLAIM_NONE && gosi_load(&q->head->g->claim)) gosi_waitq_remove(q, q->head);
  return q->head != NULL;
}
static bool case_ready(const gos_case *k) {
  gos_chan *c = k->c;
  if (k->op == 0 || !c) return false;
  if (k->op == OP_SEND) return c->closed || c->count < c->cap || someone(&c->receivers);
  return c->count > 0 || c->closed || someone(&c->senders);
}

static int choose(gosi_m *m, const struct sel *s, bool ordered) {
  int won = -1;
  uint32_t ready = 0;
  for (int i = 0; i < s->n; i++) {
    if (!case_ready(&s->cases[i])) continue;
    ready++;
    if (ready == 1 || gosi_rand_below(&m->rand, ready) == 0) won = i;
    if (ordered) break;
  }
  return won;
}

/* GOS_WOULDBLOCK: the waiter that made it ready has gone. */
static int perform(gos_case *k, gosi_waiter **wake) {
  int e = k->op == OP_SEND ? gosi_chan_try_send_locked(k->c, k->v, wake) : gosi_chan_try_recv_locked(k->c, k->v, wake);
  k->ok = k->op == OP_SEND ? (e == GOS_CLOSED ? -1 : 1) : e == GOS_OK;
  return e;
}
/* What the caller gets when case i ended with e. */
static int outcome(const gos_case *k, int i, int e) { return e == GOS_CLOSED && k->op == OP_SEND ? GOS_CLOSED : i; }

static gosi_waitq *queue_of(const gos_case *k) { return k->op == OP_SEND ? &k->c->senders : &k->c->receivers; }

static void queue_all(struct sel *s, gos_g *g, uint8_t mode) {
  for (int i = 0; i < s->n; i++) {
    gosi_waiter *w = &s->ws[i];
    w->queued = false;
    if (!s->cases[i].op || !s->cases[i].c) continue;
    w->g = g;
    w->elem = s->cases[i].v;
    w->c = s->cases[i].c;
    w->index = i;
    w->mode = mode;
    gosi_waitq_put(queue_of(&s->cases[i]), w);
  }
}
static void unqueue_all(struct sel *s) {
  lock_all(s);
  for (int i = 0; i < s->n; i++)
    if (s->cases[i].op && s->cases[i].c) gosi_waitq_remove(queue_of(&s->cases[i]), &s->ws[i]);
  unlock_all(s);
}

/* Locked on entry; not on return. */
static int wait_for_any(gosi_m *m, struct sel *s, gos_ns deadline) {
  gos_g *g = m->cur;
  uint8_t mode = s->shared || (g->flags & (GF_FOREIGN | GF_MAIN)) ? CLAIM_ATOMIC : CLAIM_PLAIN;
  gosi_waiter armed = {.g = g, .mode = mode};
  gosi_prepare(m, g, s->n ? WAIT_SELECT : WAIT_SELECT_NONE);
  queue_all(s, g, mode);
  bool sleep = gosi_arm(&armed, deadline);
  unlock_all(s);
  if (sleep) gosi_park(m);
  int e = gosi_disarm(g, deadline);
  gosi_waiter *w = g->fired;
  unqueue_all(s);
  if (e) return e;
  gos_case *k = &s->cases[w->index];
  k->ok = k->op == OP_SEND ? (w->ok ? 1 : -1) : w->ok;
  return outcome(k, w->index, w->ok ? GOS_OK : GOS_CLOSED);
}

static int select_in(gosi_m *m, struct sel *s, gos_ns deadline, bool ordered) {
  order_locks(s);
  lock_all(s);
  for (int i; (i = choose(m, s, ordered)) >= 0;) {
    gosi_waiter *wake = NULL;
    gos_case *k = &s->cases[i];
    int e = perform(k, &wake);
    if (e == GOS_WOULDBLOCK) continue;
    gos_chan *c = k->c;
    unlock_all(s);
    if (wake) gosi_chan_ready(m, c, wake->g);
    return outcome(k, i, e);
  }
  if (deadline != GOS_NOW) return wait_for_any(m, s, deadline);
  unlock_all(s);
  return GOS_WOULDBLOCK;
}

/* One case and a default, with nothing to do: decided without the lock, as Go does. */
ALWAYS_INLINE bool clearly_default(const gos_case *k) {
  if (k->op == OP_RECV) return !k->c || gosi_chan_no_recv(k->c);
  if (k->op == OP_SEND) return !k->c || gosi_chan_no_send(k->c);
  return k->op == 0;
}

static NOINLINE int run(gos_case *cases, int n, gos_ns deadline, bool ordered) {
  if (n < 0 || n > CASES_MAX || (n && !cases)) return GOS_INVAL;
  for (int i = 0; i < n; i++)
    if (cases[i].op < 0 || cases[i].op > OP_SEND) return GOS_INVAL;
  gos_chan *locks[FEW];
  gosi_waiter ws[FEW];
  struct sel s = {.cases = cases, .n = n, .locks = locks, .ws = ws};
  if (n > FEW) {
    s.locks = malloc((size_t)n * sizeof *s.locks);
    s.ws = malloc((size_t)n * sizeof *s.ws);
  }
  int e = GOS_NOMEM;
  if (s.locks && s.ws) {
    e = select_in(gosi_enter(), &s, deadline, ordered);
    gosi_leave();
  }
  if (n > FEW) {
    free(s.locks);
    free(s.ws);
  }
  return e;
}

int gos_select(gos_case *cases, int n, gos_ns deadline) {
  if (n == 1 && deadline == GOS_NOW && cases && clearly_default(cases)) return GOS_WOULDBLOCK;
  return run(cases, n, deadline, false);
}
int gos_select_ordered(gos_case *cases, int n, gos_ns deadline) { return run(cases, n, deadline, true); }
