/* Cond. L4.
 * A waiter takes its place in the queue while it still holds the lock, and goes to sleep after it has
 * let go of it: a signal in between finds the place and marks it. Places are taken in order; one whose
 * wait has ended otherwise is skipped, so no signal is lost on it.
 * n: how many are between their place and their return. A signal that sees none has nothing to do: who
 * should get it took its place under the lock that the signaller has held since, or there is no order.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sync/lot.h"

/* What the callers wait with. */
typedef struct locker {
  int (*unlock)(void *l);
  int (*lock)(void *l); /* may be interrupted */
  void *l;
} locker;

static void wake(gos_cond *c, bool all) {
  if (!gosi_load_acquire(&c->n)) return;
  gosi_m *m = gosi_enter();
  gos_g *woken = NULL, **tail = &woken;
  gosi_bucket *b = gosi_lot_lock(c);
  if (all) {
    gosi_lot_take_all(b, c, &tail);
  } else {
    gosi_waiter *w = gosi_lot_take(b, c);
    if (w) w->ok = true;
    if (w && w->g) {
      *tail = w->g;
      tail = &w->g->next;
    }
  }
  *tail = NULL;
  gosi_lock_drop(&b->lock);
  if (woken && !all)
    gosi_ready(m, woken);
  else if (woken)
    gosi_ready_list(m, woken);
  gosi_leave_m(m);
}

void gos_cond_signal(gos_cond *c) { wake(c, false); }
void gos_cond_broadcast(gos_cond *c) { wake(c, true); }

/* Takes a place in the queue. */
static void enter(gos_cond *c, gosi_waiter *w) {
  gosi_add(&c->n, 1u);
  gosi_enter();
  gosi_bucket *b = gosi_lot_lock(c);
  gosi_lot_reserve(b, w, c);
  gosi_lock_drop(&b->lock);
  gosi_leave();
}

/* Gives the place back. True: a signal had come for it. */
static bool leave(gos_cond *c, gosi_waiter *w) {
  gosi_enter();
  gosi_bucket *b = gosi_lot_lock(c);
  bool signalled = w->ok;
  gosi_waitq_remove(&b->q, w);
  gosi_lock_drop(&b->lock);
  gosi_sub(&c->n, 1u);
  gosi_leave();
  return signalled;
}

/* The lock was not held: a signal that came meanwhile is passed on. */
static int not_locked(gos_cond *c, gosi_waiter *w) {
  if (leave(c, w)) gos_cond_signal(c);
  return GOS_PERM;
}

/* Locks again, whatever happens but for a deadlock, which is then the result. An interrupt meanwhile is kept for
   the next wait; what a host's main goroutine is to look at first must not keep the others from running. */
static int relock(const locker *lk) {
  bool interrupted = false;
  int e;
  while ((e = lk->lock(lk->l)) && e != GOS_DEADLOCK) {
    if (e == GOS_CANCELED)
      interrupted = true;
    else
      gos_gosched();
  }
  if (!interrupted) return e;
  gosi_m *m = gosi_enter();
  gosi_store_seq(&m->cur->interrupted, (uint8_t)1);
  gosi_leave_m(m);
  return e;
}

static int wait_with(gos_cond *c, const locker *lk, gos_ns deadline) {
  if (deadline == GOS_NOW) return GOS_WOULDBLOCK;
  if (gosi_cannot_enter()) return GOS_NOMEM;
  gosi_waiter w;
  enter(c, &w);
  if (lk->unlock(lk->l)) return not_locked(c, &w);
  gosi_m *m = gosi_enter();
  int e = GOS_OK;
  gosi_bucket *b = gosi_lot_lock(c);
  if (w.ok)
    gosi_lock_drop(&b->lock);
  else
    e = gosi_lot_sleep(m, b, &w, WAIT_COND, deadline);
  gosi_sub(&c->n, 1u);
  gosi_leave();
  return relock(lk) ? GOS_DEADLOCK : e;
}

static int unlock_mutex(void *l) { return gos_mutex_unlock(l); }
static int lock_mutex(void *l) { return gos_mutex_lock_dl(l, GOS_FOREVER); }
static int unlock_rw(void *l) { return gos_rwmutex_unlock(l); }
static int lock_rw(void *l) { return gos_rwmutex_lock_dl(l, GOS_FOREVER); }
static int unlock_r(void *l) { return gos_rwmutex_runlock(l); }
static int lock_r(void *l) { return gos_rwmutex_rlock_dl(l, GOS_FOREVER); }

int gos_cond_wait_dl(gos_cond *c, gos_mutex *mu, gos_ns deadline) {
  return wait_with(c, &(locker){unlock_mutex, lock_mutex, mu}, deadline);
}
int gos_cond_wait(gos_cond *c, gos_mutex *mu) { return gos_cond_wait_dl(c, mu, GOS_FOREVER); }
int gos_cond_wait_rw(gos_cond *c, gos_rwmutex *rw, gos_ns deadline) {
  return wait_with(c, &(locker){unlock_rw, lock_rw, rw}, deadline);
}
int gos_cond_wait_r(gos_cond *c, gos_rwmutex *rw, gos_ns deadline) {
  return wait_with(c, &(locker){unlock_r, lock_r, rw}, deadline);
}

/* ---- in steps ------------------------------------------------------------------------------ */
_Static_assert(sizeof(gosi_waiter) <= sizeof(gos_cond_place), "host.h");

void gos_cond_enter(gos_cond *c, gos_cond_place *p) { enter(c, (gosi_waiter *)p); }

int gos_cond_sleep(gos_cond *c, gos_cond_place *p, gos_ns deadline) {
  gosi_waiter *w = (gosi_waiter *)p;
  gosi_m *m = gosi_enter();
  int e = GOS_OK;
  gosi_bucket *b = gosi_lot_lock(c);
  if (w->ok || deadline == GOS_NOW) {
    e = w->ok ? GOS_OK : GOS_WOULDBLOCK;
    gosi_lock_drop(&b->lock);
  } else {
    e = gosi_lot_nap(m, b, w, WAIT_COND, deadline);
  }
  gosi_leave();
  return e;
}

int gos_cond_leave(gos_cond *c, gos_cond_place *p) { return leave(c, (gosi_waiter *)p); }
