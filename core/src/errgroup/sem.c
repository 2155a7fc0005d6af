/* Weighted semaphore. L6.
 * Always true while the lock is free: what the first in the queue wants is not there. A big
 * request at the front holds up the small ones behind it, so it is not starved.
 * SPDX-License-Identifier: Apache-2.0 */
#include "errgroup/sem.h"
#include "chan/chan.h"
#include "context/context.h"

gos_sem *gos_sem_new(int64_t n) {
  gos_sem *s = n >= 0 ? gosi_alloc(sizeof *s) : NULL;
  if (s) s->size = n;
  return s;
}
void gos_sem_free(gos_sem *s) { gosi_free(s); }

/* Those who can go on now, linked by next. */
static gos_g *grant_locked(gos_sem *s) {
  gos_g *woken = NULL, **tail = &woken;
  for (gosi_waiter *w; (w = s->q.head);) {
    int64_t n = *(int64_t *)w->elem;
    if (n > s->size - s->held) break;
    gosi_waitq_remove(&s->q, w);
    if (!gosi_claim(w)) continue; /* it gave up */
    s->held += n;
    *tail = w->g;
    tail = &w->g->next;
  }
  *tail = NULL;
  return woken;
}

static void wake(gosi_m *m, gos_g *woken) {
  if (woken) gosi_ready_list(m, woken);
}

/* Locked on entry; not on return. */
static int wait_for(gosi_m *m, gos_sem *s, int64_t n, gos_ns deadline) {
  gos_g *g = m->cur;
  gosi_waiter w = {.g = g, .elem = &n, .mode = gosi_claim_mode(g, deadline)};
  gosi_prepare(m, g, WAIT_SEMAPHORE);
  gosi_waitq_put(&s->q, &w);
  bool sleep = gosi_arm(&w, deadline);
  gosi_lock_drop(&s->lock);
  if (sleep) gosi_park(m);
  int e = w.mode != CLAIM_NONE ? gosi_disarm(g, deadline) : GOS_OK;
  if (!e) return e;
  gosi_lock_take(&s->lock);
  gosi_waitq_remove(&s->q, &w);
  gos_g *woken = grant_locked(s); /* it may have been what held the others up */
  gosi_lock_drop(&s->lock);
  wake(gosi_self_m(), woken);
  return e;
}

int gos_sem_acquire_dl(gos_sem *s, int64_t n, gos_ns deadline) {
  if (!s || n < 0) return GOS_INVAL;
  if (gosi_cannot_enter()) return GOS_NOMEM;
  gosi_m *m = gosi_enter();
  int e = GOS_OK;
  gosi_lock_take(&s->lock);
  if (!s->q.head && n <= s->size - s->held) {
    s->held += n;
    gosi_lock_drop(&s->lock);
  } else if (deadline == GOS_NOW) {
    gosi_lock_drop(&s->lock);
    e = GOS_WOULDBLOCK;
  } else if (n > s->size && !s->elastic) { /* hopeless, so it does not stand in the others' way */
    gosi_lock_drop(&s->lock);
    e = gosi_wait_for_nothing(m, WAIT_SEMAPHORE, deadline);
  } else {
    e = wait_for(m, s, n, deadline);
  }
  gosi_leave();
  return e;
}

int gos_sem_acquire(gos_sem *s, int64_t n) { return gos_sem_acquire_dl(s, n, GOS_FOREVER); }
int gos_sem_try_acquire(gos_sem *s, int64_t n) { return gos_sem_acquire_dl(s, n, GOS_NOW); }
int gos_sem_acquire_ctx(gos_sem *s, int64_t n, gos_ctx *x) { GOSI_CTX_OBEY(x, gos_sem_acquire_dl(s, n, dl)); }

static int change(gos_sem *s, int64_t n, bool resize) {
  gos_g *woken = NULL;
  gosi_m *m = gosi_enter();
  gosi_lock_take(&s->lock);
  int e = (resize ? s->held > 0 : n > s->held) ? GOS_PERM : GOS_OK;
  if (!e) {
    if (resize)
      s->size = n;
    else
      s->held -= n;
    woken = grant_locked(s);
  }
  gosi_lock_drop(&s->lock);
  wake(m, woken);
  gosi_leave_m(m);
  return e;
}
int gos_sem_release(gos_sem *s, int64_t n) { return s && n >= 0 ? change(s, n, false) : GOS_INVAL; }
int gosi_sem_resize(gos_sem *s, int64_t size) { return change(s, size, true); }
