/* Select: one of several sends and receives. L4.
 *
 * Channels are locked in the order of their addresses. File descriptors are looked at before and
 * queued after that: netpoll/ tells whether one became ready in between. The choice among ready cases is by
 * reservoir: each of k has 1/k, where a random start would favour the one behind a gap.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "chan/chan.h"
#include "netpoll/netpoll.h"

enum { OP_RECV = 1, OP_SEND = 2, OP_FD = 3, OP_MAX = OP_FD + (GOS_READ | GOS_WRITE), CASES_MAX = 65536 };
enum { FEW = 8, SOME = GOSI_HARD ? FEW + 1 : 32 }; /* that many stand on the caller's stack, the latter without files */
enum { RETRY = GOSI_RETRY }; /* a file descriptor woke us, or a channel is shared from now on: look again */

struct sel {
  gos_case *cases;
  int n;
  gos_chan **locks; /* shared channels, each once, by address */
  int nlocks;
  gosi_waiter *ws;
  bool shared;  /* some channel is not confined */
  bool ordered; /* locks is filled in */
  bool locked;
  gosi_fdwait *fds;
  int *fd_case; /* which case it is */
  int nfds;
};

static gos_chan *chan_of(const gos_case *k) { return k->op == OP_RECV || k->op == OP_SEND ? k->c : NULL; }
static int fd_of(const gos_case *k) { return (int)(intptr_t)k->c; }

static int by_address(const void *a, const void *b) {
  uintptr_t x = (uintptr_t) * (gos_chan *const *)a, y = (uintptr_t) * (gos_chan *const *)b;
  return (x > y) - (x < y);
}

/* Which locks, in which order. */
static void order_locks(struct sel *s) {
  int n = 0, k = 0;
  for (int i = 0; i < s->n; i++) {
    gos_chan *c = chan_of(&s->cases[i]);
    if (c && !c->home) s->locks[n++] = c;
  }
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
  s->ordered = true;
}

static void lock_all(struct sel *s) {
  s->locked = s->shared && !gosi_load(&gosi_solo);
  if (!s->locked) return;
  if (!s->ordered) order_locks(s);
  for (int i = 0; i < s->nlocks; i++) gosi_lock_take(&s->locks[i]->lock);
}
static void unlock_all(struct sel *s) {
  if (!s->locked) return;
  for (int i = s->nlocks; i-- > 0;) gosi_lock_drop(&s->locks[i]->lock);
}

/* Is there a waiter that can still be claimed? Stale ones are dropped. */
static bool someone(gosi_waitq *q) {
  while (q->head && q->head->mode != CLAIM_NONE && gosi_load(&q->head->g->claim)) gosi_waitq_remove(q, q->head);
  return q->head != NULL;
}
static bool case_ready(const gos_case *k) {
  gos_chan *c = k->c;
  if (k->op > OP_FD) return k->ok > 0;
  if (k->op == 0 || !c) return false;
  if (k->op == OP_SEND) return c->closed || c->count < c->cap || someone(&c->receivers);
  return c->count > 0 || c->closed || someone(&c->senders);
}

/* e, after its case was marked if it says that an fd is gone. */
static int mark_closed(struct sel *s, int e) {
  for (int i = 0; e == GOS_CLOSED && i < s->nfds; i++)
    if (gosi_fdwait_gone(&s->fds[i])) s->cases[s->fd_case[i]].ok = GOS_CLOSED;
  return e;
}
/* Before the channels are locked: a ready fd's case gets its mask. */
static int look_at_fds(struct sel *s) {
  for (int i = 0; i < s->nfds; i++) gosi_fdwait_note(&s->fds[i]);
  int e = gosi_fdwait_look(s->fds, s->nfds);
  for (int i = 0; e >= 0 && i < s->nfds; i++) s->cases[s->fd_case[i]].ok = s->fds[i].found;
  return e < 0 ? mark_closed(s, e) : GOS_OK;
}
static int watch_fds(struct sel *s) {
  int e = GOS_OK;
  for (int i = 0; e == GOS_OK && i < s->nfds; i++) e = gosi_fdwait_watch(&s->fds[i]);
  return e > 0 ? RETRY : mark_closed(s, e);
}
/* The wait is armed. False: one of them became ready before it was queued, and nobody else ended the wait. */
static bool queue_fds(struct sel *s, gos_g *g) {
  for (int i = 0; i < s->nfds; i++) {
    gosi_waiter *w = &s->ws[s->fd_case[i]];
    w->g = g;
    w->index = s->fd_case[i];
    w->mode = CLAIM_ATOMIC;
    if (gosi_fdwait_queue(&s->fds[i], w)) continue;
    return !gosi_cas(&g->claim, 0u, 1u);
  }
  return true;
}

/* Does the n-th that is ready take the place of the one chosen before? So that each is as likely. */
ALWAYS_INLINE bool takes_over(gosi_m *m, uint32_t n) { return n == 1 || gosi_rand_below(&m->rand, n) == 0; }

static int choose(gosi_m *m, const struct sel *s, bool ordered) {
  int won = -1;
  uint32_t ready = 0;
  for (int i = 0; i < s->n; i++) {
    if (!case_ready(&s->cases[i])) continue;
    if (takes_over(m, ++ready)) won = i;
    if (ordered) break;
  }
  return won;
}

/* GOS_WOULDBLOCK: the waiter that made it ready has gone. */
static int perform(gos_case *k, gosi_waiter **wake) {
  if (k->op > OP_FD) return GOS_OK;
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
    if (!chan_of(&s->cases[i])) continue;
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
    if (chan_of(&s->cases[i])) gosi_waitq_remove(queue_of(&s->cases[i]), &s->ws[i]);
  unlock_all(s);
  for (int i = 0; i < s->nfds; i++) gosi_fdwait_unqueue(&s->fds[i], &s->ws[s->fd_case[i]]);
}

/* Locked on entry; not on return. */
static int wait_for_any(gosi_m *m, struct sel *s, gos_ns deadline) {
  gos_g *g = m->cur;
  uint8_t mode = s->shared || (g->flags & (GF_FOREIGN | GF_MAIN | GF_OBEYS)) ? CLAIM_ATOMIC : CLAIM_PLAIN;
  gosi_waiter armed = {.g = g, .mode = mode};
  queue_all(s, g, mode); /* first, as in wait_on() */
  gosi_prepare(m, g, s->n ? WAIT_SELECT : WAIT_SELECT_NONE);
  bool sleep = gosi_arm(&armed, deadline);
  unlock_all(s);
  bool early = sleep && !queue_fds(s, g);
  if (early)
    gosi_store(&g->status, (uint8_t)G_RUNNING);
  else if (sleep)
    gosi_park(m);
  int e = gosi_disarm(g, deadline);
  gosi_waiter *w = g->fired;
  unqueue_all(s);
  if (e) return e;
  if (early) return RETRY;
  gos_case *k = &s->cases[w->index];
  if (k->op > OP_FD && w->ok) return RETRY; /* the look tells what is still true of it */
  if (k->op > OP_FD) {
    k->ok = GOS_CLOSED;
    return GOS_CLOSED;
  }
  k->ok = k->op == OP_SEND ? (w->ok ? 1 : -1) : w->ok;
  return outcome(k, w->index, w->ok ? GOS_OK : GOS_CLOSED);
}

static int take_ready(gosi_m *m, struct sel *s, bool ordered) {
  for (int i; (i = choose(m, s, ordered)) >= 0;) {
    gosi_waiter *wake = NULL;
    gos_case *k = &s->cases[i];
    int e = perform(k, &wake);
    if (e == GOS_WOULDBLOCK) continue;
    gos_chan *c = k->c;
    unlock_all(s);
    for (int f = 0; f < s->nfds; f++)
      if (s->fd_case[f] != i) s->cases[s->fd_case[f]].ok = 0;
    if (wake) gosi_chan_ready(m, c, wake->g);
    return outcome(k, i, e);
  }
  return GOS_WOULDBLOCK;
}

static int select_once(gosi_m *m, struct sel *s, gos_ns deadline, bool ordered) {
  int e = s->nfds ? look_at_fds(s) : GOS_OK;
  if (e) return e;
  lock_all(s);
  e = take_ready(m, s, ordered);
  if (e != GOS_WOULDBLOCK) return e;
  if (s->nfds && deadline != GOS_NOW) {
    unlock_all(s);
    e = watch_fds(s); /* system calls: not under the locks */
    if (e) return e;
    lock_all(s);
    e = take_ready(m, s, ordered);
    if (e != GOS_WOULDBLOCK) return e;
  }
  if (deadline != GOS_NOW) return wait_for_any(m, s, deadline);
  unlock_all(s);
  return GOS_WOULDBLOCK;
}

static NOINLINE JUMPS_BACK int select_in(struct sel *s, gos_ns deadline, bool ordered) {
  int e;
  if (gosi_cannot_enter()) return GOS_NOMEM;
  do {
    s->shared = s->nfds > 0;
    s->ordered = false;
    for (int i = 0; i < s->n && !s->shared; i++) s->shared = chan_of(&s->cases[i]) && !s->cases[i].c->home;
    e = select_once(gosi_enter(), s, deadline, ordered);
    gosi_leave();
  } while (e == RETRY);
  return e;
}

/* Their places in the table. */
static int begin_fds(struct sel *s) {
  int k = 0, e = GOS_OK;
  for (int i = 0; e == GOS_OK && k < s->nfds; i++) {
    if (s->cases[i].op <= OP_FD) continue;
    s->fd_case[k] = i;
    e = gosi_fdwait_begin(&s->fds[k++], fd_of(&s->cases[i]), s->cases[i].op - OP_FD);
  }
  return e;
}

/* A channel's case with nothing to do, as seen without the lock. */
ALWAYS_INLINE bool clearly_not_ready(const gos_case *k) {
  if (k->op == OP_RECV) return !k->c || gosi_chan_no_recv(k->c);
  if (k->op == OP_SEND) return !k->c || gosi_chan_no_send(k->c);
  return k->op == 0;
}

static NOINLINE JUMPS_BACK int run_many(struct sel *s, gos_ns deadline, bool ordered) {
  size_t n = (size_t)s->n, k = (size_t)s->nfds;
  char *block = gosi_alloc(n * (sizeof *s->ws + sizeof *s->locks) + k * (sizeof *s->fds + sizeof *s->fd_case));
  if (!block) return GOS_NOMEM;
  s->ws = (gosi_waiter *)block;
  s->fds = (gosi_fdwait *)(s->ws + n);
  s->locks = (gos_chan **)(s->fds + k);
  s->fd_case = (int *)(s->locks + n);
  int e = begin_fds(s);
  if (e == GOS_OK) e = select_in(s, deadline, ordered);
  gosi_free(block);
  return e;
}
static NOINLINE JUMPS_BACK int run_some(struct sel *s, gos_ns deadline, bool ordered) {
  gos_chan *locks[SOME];
  gosi_waiter ws[SOME];
  s->locks = locks;
  s->ws = ws;
  return select_in(s, deadline, ordered);
}
static NOINLINE JUMPS_BACK int run_few_fds(struct sel s, gos_ns deadline, bool ordered) {
  gosi_fdwait fds[FEW];
  int fd_case[FEW];
  s.fds = fds;
  s.fd_case = fd_case;
  int e = begin_fds(&s);
  return e ? e : select_in(&s, deadline, ordered);
}

static NOINLINE JUMPS_BACK int run(gos_case *cases, int n, gos_ns deadline, bool ordered) {
  if (n < 0 || n > CASES_MAX || (n && !cases)) return GOS_INVAL;
  struct sel s = {.cases = cases, .n = n};
  for (int i = 0; i < n; i++) {
    if (cases[i].op < 0 || cases[i].op > OP_MAX || cases[i].op == OP_FD) return GOS_INVAL;
    s.nfds += cases[i].op > OP_FD;
  }
  if (n > FEW) return (n <= SOME && !s.nfds ? run_some : run_many)(&s, deadline, ordered);
  gos_chan *locks[FEW];
  gosi_waiter ws[FEW];
  s.locks = locks;
  s.ws = ws;
  return s.nfds ? run_few_fds(s, deadline, ordered) : select_in(&s, deadline, ordered);
}

/* One of those that are seen to be ready without the locks, tried under its own alone: whatever the others are
   then, it may be the one. Not so where the first is to be chosen, or none. GOS_WOULDBLOCK: look again under all locks. */
static NOINLINE int take_seen(gosi_m *m, gos_case *cases, int n) {
  int won = -1;
  uint32_t ready = 0;
  for (int i = 0; i < n; i++) {
    if (clearly_not_ready(&cases[i])) continue;
    if ((unsigned)cases[i].op > OP_SEND) return GOS_WOULDBLOCK; /* a file, or none that there is */
    if (takes_over(m, ++ready)) won = i;
  }
  if (won < 0) return GOS_WOULDBLOCK;
  gosi_waiter *wake = NULL;
  gos_case *k = &cases[won];
  gos_chan *c = k->c;
  gosi_chan_lock(c);
  int e = perform(k, &wake);
  gosi_chan_unlock(c);
  if (wake) gosi_chan_ready(m, c, wake->g);
  return e == GOS_WOULDBLOCK ? e : outcome(k, won, e);
}

int gos_select(gos_case *cases, int n, gos_ns deadline) {
  if (n == 1 && deadline == GOS_NOW && cases && clearly_not_ready(cases)) return GOS_WOULDBLOCK; /* as Go does */
  if (cases && n <= FEW) { /* among many an invalid one may come late */
    if (gosi_cannot_enter()) return GOS_NOMEM;
    gosi_m *m = gosi_enter();
    int e = take_seen(m, cases, n);
    gosi_leave_m(m);
    if (e != GOS_WOULDBLOCK) return e;
  }
  return run(cases, n, deadline, false);
}
int gos_select_ordered(gos_case *cases, int n, gos_ns deadline) { return run(cases, n, deadline, true); }
