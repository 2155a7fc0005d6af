/* RWMutex. L4.
 *
 * s, from the lowest bit:
 *   CLAIMED  a writer has it, or will as soon as the readers have left: no new readers
 *   DRAINING the second case: readers are still inside
 *   ASLEEP   and the claimer sleeps: the reader that brings the count to zero wakes it
 *   QUEUED   somebody may be in the lot, so the writer's unlock has to look
 *   the rest counts readers: those inside and, while CLAIMED, those that are about to see that
 *   they came too late and step back. So a count of zero under CLAIMED means that none is inside.
 *
 * Under the bucket's lock: every change of ASLEEP and QUEUED, and of CLAIMED where there is a queue.
 * The three kinds of waiters share the bucket of the lock's address under three keys inside it.
 *
 * An unlock lets all readers in that wait, and wakes the first writer, which has to claim the lock
 * like any newcomer: handing it over would make every operation behind it wait as well. Only a
 * writer that has waited for a millisecond is given the claim.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sync/lot.h"

enum {
  CLAIMED = GOS_RW_CLAIMED_,
  DRAINING = 2,
  ASLEEP = GOS_RW_ASLEEP_,
  QUEUED = 8,
  FLAGS = 15,
  READER = GOS_RW_READER_,
  SPINS = 4
};

ALWAYS_INLINE const void *readers(gos_rwmutex *rw) { return rw; }
ALWAYS_INLINE const void *writers(gos_rwmutex *rw) { return (const char *)rw + 1; }
ALWAYS_INLINE const void *claimer(gos_rwmutex *rw) { return (const char *)rw + 2; }

/* Four looks: on another CPU the lock's line costs more than the few operations it is held for, so it is
   better for one of the two to sleep soon than for both to go on pulling at it. */
static bool can_spin(void) { return gosi_load(&gosi_rt.nprocs) > 1; }

/* ---- readers ---------------------------------------------------------------------------- */
static NOINLINE void wake_claimer(gos_rwmutex *rw) {
  gosi_m *m = gosi_enter();
  gosi_bucket *b = gosi_lot_lock(rw);
  gosi_waiter *w = NULL;
  uint32_t v = gosi_load_acquire(&rw->s);
  if ((v & ASLEEP) && v < READER && (w = gosi_lot_take(b, claimer(rw)))) { /* none: it has just given up */
    w->ok = true;
    gosi_and(&rw->s, ~(uint32_t)(DRAINING | ASLEEP));
  }
  gosi_lock_drop(&b->lock);
  if (w) gosi_ready(m, w->g);
  gosi_leave_m(m);
}

/* A reader leaves, or steps back. What the count was. */
ALWAYS_INLINE uint32_t leave(gos_rwmutex *rw) {
  uint32_t was = gosi_sub(&rw->s, (uint32_t)READER);
  if (unlikely(was & ASLEEP) && was < 2 * READER) wake_claimer(rw);
  return was;
}

ALWAYS_INLINE bool came_in(gos_rwmutex *rw) { return !(gosi_add(&rw->s, (uint32_t)READER) & CLAIMED); }

static bool reader_spin(gos_rwmutex *rw) {
  if (!can_spin()) return false;
  for (int i = 0; i < SPINS; i++) {
    gosi_pause();
    if (gosi_load(&rw->s) & CLAIMED) continue;
    if (came_in(rw)) return true;
    leave(rw);
  }
  return false;
}

static NOINLINE JUMPS_BACK int rlock_slow(gos_rwmutex *rw, gos_ns deadline) {
  if (reader_spin(rw)) return GOS_OK;
  gosi_m *m = gosi_enter();
  gosi_bucket *b = gosi_lot_lock(rw);
  for (uint32_t v;;) {
    v = gosi_load(&rw->s);
    if (!(v & CLAIMED)) {
      if (!gosi_cas(&rw->s, v, v + READER)) continue;
      gosi_lock_drop(&b->lock);
      gosi_leave_m(m);
      return GOS_OK;
    }
    if ((v & QUEUED) || gosi_cas(&rw->s, v, v | QUEUED)) break;
  }
  gosi_waiter w; /* whoever takes it counts it as inside */
  int e = gosi_lot_wait(m, b, &w, readers(rw), false, WAIT_RWMUTEX_RLOCK, deadline);
  gosi_leave();
  return e;
}

JUMPS_BACK void gos_rwmutex_rlock_slow(gos_rwmutex *rw) { /* apart, so that the fast path saves no registers */
  leave(rw);
  while (rlock_slow(rw, GOS_FOREVER)) {}
}

void gos_rwmutex_rlock(gos_rwmutex *rw) {
  if (unlikely(!came_in(rw))) gos_rwmutex_rlock_slow(rw);
}

int gos_rwmutex_tryrlock(gos_rwmutex *rw) {
  for (uint32_t v; !((v = gosi_load(&rw->s)) & CLAIMED);)
    if (gosi_cas(&rw->s, v, v + READER)) return GOS_OK;
  return GOS_WOULDBLOCK;
}

int gos_rwmutex_rlock_dl(gos_rwmutex *rw, gos_ns deadline) {
  if (deadline == GOS_NOW) return gos_rwmutex_tryrlock(rw);
  if (likely(came_in(rw))) return GOS_OK;
  leave(rw);
  return gosi_cannot_enter() ? GOS_NOMEM : rlock_slow(rw, deadline);
}

int gos_rwmutex_runlock_slow(gos_rwmutex *rw, uint32_t was) {
  if (was >= READER) {
    if (was < 2 * READER) wake_claimer(rw);
    return GOS_OK;
  }
  /* Nobody was inside: the count is below zero and has to come back. */
  uint32_t now = gosi_add(&rw->s, (uint32_t)READER) + READER;
  if ((now & ASLEEP) && now < READER) wake_claimer(rw); /* it saw readers that were not there */
  return GOS_PERM;
}

int gos_rwmutex_runlock(gos_rwmutex *rw) {
  uint32_t was = gosi_sub(&rw->s, (uint32_t)READER);
  return likely(was >= READER && !(was & ASLEEP)) ? GOS_OK : gos_rwmutex_runlock_slow(rw, was);
}

/* ---- writers ---------------------------------------------------------------------------------- */
/* v is the state just seen. */
ALWAYS_INLINE bool claim(gos_rwmutex *rw, uint32_t v) {
  return !(v & CLAIMED) && gosi_cas(&rw->s, v, v | CLAIMED | (v < READER ? 0 : DRAINING));
}

static bool writer_spin(gos_rwmutex *rw) {
  if (!can_spin()) return false;
  for (int i = 0; i < SPINS; i++) {
    gosi_pause();
    if (claim(rw, gosi_load(&rw->s))) return true;
  }
  return false;
}

/* Until CLAIMED is ours. */
static JUMPS_BACK int get_claim(gos_rwmutex *rw, gos_ns deadline) {
  gosi_m *m = gosi_self_m();
  gos_ns since = 0;
  for (bool woken = false; woken || !writer_spin(rw); woken = true) {
    gosi_waiter w;
    bool got = false;
    gosi_bucket *b = gosi_lot_lock(rw);
    for (uint32_t v; !(got = claim(rw, v = gosi_load(&rw->s)));)
      if ((v & CLAIMED) && ((v & QUEUED) || gosi_cas(&rw->s, v, v | QUEUED))) break;
    bool late = !got && woken && deadline != GOS_FOREVER && gosi_os_now() >= deadline;
    if (got || late) { /* late: the claimer's unlock will find the others */
      gosi_lock_drop(&b->lock);
      return late ? GOS_TIMEDOUT : GOS_OK;
    }
    if (!since) since = gosi_os_coarse();
    w.elem = &since;
    int e = gosi_lot_wait(m, b, &w, writers(rw), woken, WAIT_RWMUTEX_LOCK, deadline);
    m = gosi_self_m();
    if (e || w.ok) return e;
  }
  return GOS_OK;
}

/* Under the bucket's lock: the claim ends. All readers that wait are inside from here on. Ready the
   list after dropping the lock. */
static gos_g *end_claim(gos_rwmutex *rw, gosi_bucket *b) {
  gos_g *woken = NULL, **tail = &woken;
  uint32_t entered = READER * gosi_lot_take_all(b, readers(rw), &tail), flags = 0;
  gosi_waiter *w = gosi_lot_take(b, writers(rw));
  if (w) {
    flags = QUEUED; /* there may be more */
    w->ok = gosi_lot_starves(w);
    if (w->ok) flags |= CLAIMED | DRAINING;
    *tail = w->g;
    tail = &w->g->next;
  }
  *tail = NULL;
  for (uint32_t v = gosi_load(&rw->s); !gosi_cas(&rw->s, v, ((v & ~(uint32_t)FLAGS) + entered) | flags);)
    v = gosi_load(&rw->s);
  return woken;
}

/* The claim is ours: until the readers have left. */
static JUMPS_BACK int drain(gos_rwmutex *rw, gos_ns deadline) {
  for (int i = can_spin() ? SPINS : 1;;) {
    uint32_t v = gosi_load_acquire(&rw->s);
    if (!(v & DRAINING)) return GOS_OK;
    if (v < READER && gosi_cas(&rw->s, v, v & ~(uint32_t)DRAINING)) return GOS_OK;
    if (v < READER) continue;
    if (--i == 0) break;
    gosi_pause();
  }
  gosi_m *m = gosi_self_m();
  gosi_waiter w;
  gosi_bucket *b = gosi_lot_lock(rw);
  for (uint32_t v;;) {
    v = gosi_load(&rw->s);
    if (v >= READER) {
      if (gosi_cas(&rw->s, v, v | ASLEEP)) break;
    } else if (gosi_cas(&rw->s, v, v & ~(uint32_t)DRAINING)) {
      gosi_lock_drop(&b->lock);
      return GOS_OK;
    }
  }
  int e = gosi_lot_wait(m, b, &w, claimer(rw), true, WAIT_RWMUTEX_LOCK, deadline);
  if (!e) return GOS_OK;
  b = gosi_lot_lock(rw);
  gos_g *woken = end_claim(rw, b);
  gosi_lock_drop(&b->lock);
  if (woken) gosi_ready_list(gosi_self_m(), woken);
  return e;
}

static NOINLINE JUMPS_BACK int lock_slow(gos_rwmutex *rw, gos_ns deadline) {
  gosi_enter();
  int e = get_claim(rw, deadline);
  if (!e) e = drain(rw, deadline);
  gosi_leave();
  return e;
}

int gos_rwmutex_trylock(gos_rwmutex *rw) {
  for (uint32_t v; !((v = gosi_load(&rw->s)) & ~(uint32_t)QUEUED);)
    if (gosi_cas(&rw->s, v, v | CLAIMED)) return GOS_OK;
  return GOS_WOULDBLOCK;
}

int gos_rwmutex_lock_dl(gos_rwmutex *rw, gos_ns deadline) {
  if (likely(gosi_cas(&rw->s, 0u, (uint32_t)CLAIMED))) return GOS_OK;
  if (deadline == GOS_NOW) return gos_rwmutex_trylock(rw);
  return gosi_cannot_enter() ? GOS_NOMEM : lock_slow(rw, deadline);
}

JUMPS_BACK void gos_rwmutex_lock_slow(gos_rwmutex *rw) {
  while (lock_slow(rw, GOS_FOREVER)) {}
}

void gos_rwmutex_lock(gos_rwmutex *rw) {
  if (unlikely(!gosi_cas(&rw->s, 0u, (uint32_t)CLAIMED))) gos_rwmutex_lock_slow(rw);
}

int gos_rwmutex_unlock_slow(gos_rwmutex *rw) {
  gosi_m *m = gosi_enter();
  gosi_bucket *b = gosi_lot_lock(rw);
  bool held = (gosi_load(&rw->s) & (CLAIMED | DRAINING)) == CLAIMED;
  gos_g *woken = held ? end_claim(rw, b) : NULL;
  gosi_lock_drop(&b->lock);
  if (woken) gosi_ready_list(m, woken);
  gosi_leave_m(m);
  return held ? GOS_OK : GOS_PERM;
}

int gos_rwmutex_unlock(gos_rwmutex *rw) {
  return likely(gosi_cas(&rw->s, (uint32_t)CLAIMED, 0u)) ? GOS_OK : gos_rwmutex_unlock_slow(rw);
}
