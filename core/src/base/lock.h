/* A spin lock for sections of a few dozen instructions. L0.
 * Never held over a park, a system call, or a call into a host language.
 * Order where two are held: channel, then lot, then timers, then scheduler.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_LOCK_H
#define GOSI_LOCK_H

#include "base/atomic.h"

typedef struct gosi_lock {
  uint32_t word;
} gosi_lock;

void gosi_lock_slow(gosi_lock *l);

ALWAYS_INLINE void gosi_lock_take(gosi_lock *l) {
  if (unlikely(__atomic_exchange_n(&l->word, 1, __ATOMIC_ACQUIRE))) gosi_lock_slow(l);
}
ALWAYS_INLINE void gosi_lock_drop(gosi_lock *l) {
  gosi_store_release(&l->word, 0); /* pairs with the exchange in gosi_lock_take */
}

#endif
