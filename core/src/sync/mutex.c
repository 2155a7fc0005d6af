/* Mutex. L4.
 * s: 0 free, 1 held, 2 held and perhaps waited for. The slow paths run under the bucket's
 * lock. An unlock lets newcomers in before the goroutine it wakes (a hand-over in order makes
 * a convoy: 42 -> 120 ns with a yield inside); one that has waited for a millisecond is handed
 * the lock instead.
 * A woken waiter sets s to 2 when it tries again, so the others behind it are not forgotten.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sync/lot.h"

enum { FREE, HELD = GOS_MUTEX_HELD_, WAITED_FOR, SPINS = 8 };

static bool spin(gos_mutex *mu) {
  if (gosi_load(&gosi_rt.nprocs) < 2) return false;
  for (int i = 0; i < SPINS; i++) {
    gosi_pause();
    if (gosi_load(&mu->s) == FREE && gosi_cas(&mu->s, (uint32_t)FREE, (uint32_t)HELD)) return true;
  }
  return false;
}

static NOINLINE JUMPS_BACK int lock_slow(gos_mutex *mu, gos_ns deadline, unsigned reason) {
  gosi_m *m = gosi_enter();
  int e = GOS_OK;
  gos_ns since = 0;
  for (bool woken = false; woken || !spin(mu); woken = true) {
    gosi_waiter w;
    gosi_bucket *b = gosi_lot_lock(mu);
    bool got = gosi_exchange(&mu->s, (uint32_t)WAITED_FOR) == FREE;
    bool late = !got && woken && deadline != GOS_FOREVER && gosi_os_now() >= deadline;
    if (got || late) { /* late: the holder's unlock will find the others */
      gosi_guard_drop(&b->lock);
      e = late ? GOS_TIMEDOUT : GOS_OK;
      break;
    }
    if (!since) since = gosi_os_coarse();
    w.elem = &since;
    e = gosi_lot_wait(m, b, &w, mu, woken, reason, deadline);
    m = gosi_self_m();
    if (e || w.ok) break;
  }
  gosi_leave();
  return e;
}

int gos_mutex_lock_dl(gos_mutex *mu, gos_ns deadline) {
  if (likely(gosi_cas(&mu->s, (uint32_t)FREE, (uint32_t)HELD))) return GOS_OK;
  if (deadline == GOS_NOW) return GOS_WOULDBLOCK;
  return gosi_cannot_enter() ? GOS_NOMEM : lock_slow(mu, deadline, WAIT_MUTEX);
}

JUMPS_BACK void gos_mutex_lock_slow(gos_mutex *mu) {
  while (lock_slow(mu, GOS_FOREVER, WAIT_MUTEX)) {}
}

void gos_mutex_lock(gos_mutex *mu) {
  if (likely(gosi_cas(&mu->s, (uint32_t)FREE, (uint32_t)HELD))) return;
  gos_mutex_lock_slow(mu);
}

int gos_mutex_trylock(gos_mutex *mu) { return gos_mutex_lock_dl(mu, GOS_NOW); }

int gos_mutex_unlock_slow(gos_mutex *mu) {
  gosi_m *m = gosi_enter();
  gosi_bucket *b = gosi_lot_lock(mu);
  gosi_waiter *w = NULL;
  int e = gosi_load(&mu->s) == FREE ? GOS_PERM : GOS_OK;
  if (!e) {
    w = gosi_lot_take(b, mu);
    if (w && gosi_lot_starves(w))
      w->ok = true; /* handed over: it stays held */
    else
      gosi_store_release(&mu->s, (uint32_t)FREE); /* pairs with the CAS and exchange of lock */
  }
  gosi_guard_drop(&b->lock);
  if (w) gosi_ready(m, w->g);
  gosi_leave_m(m);
  return e;
}

int gos_mutex_unlock(gos_mutex *mu) {
  return likely(gosi_cas(&mu->s, (uint32_t)HELD, (uint32_t)FREE)) ? GOS_OK : gos_mutex_unlock_slow(mu);
}
