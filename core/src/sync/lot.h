/* The parking lot: wait on any address. L4.
 * Locks keep their state in the user's own words; the queues are here, in buckets by
 * address, so that a mutex is 8 bytes and its zero value is ready.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_LOT_H
#define GOSI_LOT_H

#include "sched/sched.h"

typedef struct gosi_bucket {
  gosi_lock lock;
  gosi_waitq q; /* all waiters of all addresses here, in order of arrival */
} gosi_bucket;

/* The bucket of key, locked. */
gosi_bucket *gosi_lot_lock(const void *key);
/* Under the lock: queues w, in front of the others of its bucket or behind, drops the lock
   and waits. GOS_OK: woken by gosi_lot_take; w->ok as the waker left it. */
int gosi_lot_wait(gosi_m *m, gosi_bucket *b, gosi_waiter *w, const void *key, bool front, unsigned reason,
                  gos_ns deadline);
/* The same in two steps. Under the lock: a place in the queue for somebody who has something to do
   before it sleeps. Whoever takes w before it sleeps finds w->g NULL: there is nothing to ready. */
void gosi_lot_reserve(gosi_bucket *b, gosi_waiter *w, const void *key);
/* Under the lock, w still being queued: drops the lock and waits. */
int gosi_lot_sleep(gosi_m *m, gosi_bucket *b, gosi_waiter *w, unsigned reason, gos_ns deadline);
/* The same; but if the result is not GOS_OK, w has a reserved place again, or w->ok if somebody wanted to
   take it just then. */
int gosi_lot_nap(gosi_m *m, gosi_bucket *b, gosi_waiter *w, unsigned reason, gos_ns deadline);
/* Under the lock: the first waiter on key, claimed and out of the queue; ready it after
   dropping the lock. */
gosi_waiter *gosi_lot_take(gosi_bucket *b, const void *key);
/* Under the lock: all of them, w->ok set; those that sleep are linked by g->next behind *tail,
   which moves on (the end is the caller's to write). How many were taken. */
uint32_t gosi_lot_take_all(gosi_bucket *b, const void *key, gos_g ***tail);

/* Has a lock's waiter, whose elem is when its wait began by the coarse clock, waited for so long that it is handed the
   lock? The exact clock, read at both ends of a wait, was a third of what a contended lock takes. With a seed that was
   given, chance decides: the clock would say something else the next time. */
ALWAYS_INLINE bool gosi_lot_starves(const gosi_waiter *w) {
  enum { STARVING = 1000000, LUCKY = 8 };
  if (unlikely(gosi_load(&gosi_rt.seeded))) return gosi_rand_below(&gosi_self_m()->rand, LUCKY) == 0;
  return gosi_os_coarse() - *(const gos_ns *)w->elem > STARVING;
}

#endif
