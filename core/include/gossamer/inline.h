/* The fast paths of gossamer.h that are compiled into the caller. Included by gossamer.h alone.
 *
 * What a lock does when nobody is in its way, without a call. So the place and the meaning of these bits of s are part of
 * the ABI; GOS_NO_INLINE before the include makes every operation a call. The functions that end in _slow are for these
 * here alone.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSSAMER_INLINE_H
#define GOSSAMER_INLINE_H

void gos_mutex_lock_slow(gos_mutex *mu);
int gos_mutex_unlock_slow(gos_mutex *mu);
void gos_rwmutex_lock_slow(gos_rwmutex *rw);
int gos_rwmutex_unlock_slow(gos_rwmutex *rw);
void gos_rwmutex_rlock_slow(gos_rwmutex *rw);                 /* the caller has been counted, too late */
int gos_rwmutex_runlock_slow(gos_rwmutex *rw, uint32_t seen); /* it has been taken off; s was seen before */

enum { GOS_MUTEX_HELD_ = 1, GOS_RW_CLAIMED_ = 1, GOS_RW_ASLEEP_ = 4, GOS_RW_READER_ = 16 };

#if defined(__GNUC__) && !defined(GOS_NO_INLINE)
/* The library's own function stays behind it, for pointers and where it is not inlined. */
#define GOS_INLINE_ extern __inline__ __attribute__((__gnu_inline__))

GOS_INLINE_ void gos_mutex_lock(gos_mutex *mu) {
  uint32_t s = 0;
  if (__builtin_expect(!__atomic_compare_exchange_n(&mu->s, &s, GOS_MUTEX_HELD_, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED),
                       0))
    gos_mutex_lock_slow(mu);
}
GOS_INLINE_ int gos_mutex_unlock(gos_mutex *mu) {
  uint32_t s = GOS_MUTEX_HELD_;
  if (__builtin_expect(__atomic_compare_exchange_n(&mu->s, &s, 0, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED), 1))
    return GOS_OK;
  return gos_mutex_unlock_slow(mu);
}
GOS_INLINE_ void gos_rwmutex_lock(gos_rwmutex *rw) {
  uint32_t s = 0;
  if (__builtin_expect(!__atomic_compare_exchange_n(&rw->s, &s, GOS_RW_CLAIMED_, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED),
                       0))
    gos_rwmutex_lock_slow(rw);
}
GOS_INLINE_ int gos_rwmutex_unlock(gos_rwmutex *rw) {
  uint32_t s = GOS_RW_CLAIMED_;
  if (__builtin_expect(__atomic_compare_exchange_n(&rw->s, &s, 0, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED), 1))
    return GOS_OK;
  return gos_rwmutex_unlock_slow(rw);
}
GOS_INLINE_ void gos_rwmutex_rlock(gos_rwmutex *rw) {
  if (__builtin_expect(__atomic_fetch_add(&rw->s, GOS_RW_READER_, __ATOMIC_ACQUIRE) & GOS_RW_CLAIMED_, 0))
    gos_rwmutex_rlock_slow(rw);
}
GOS_INLINE_ int gos_rwmutex_runlock(gos_rwmutex *rw) {
  uint32_t s = __atomic_fetch_sub(&rw->s, GOS_RW_READER_, __ATOMIC_RELEASE);
  if (__builtin_expect(s >= GOS_RW_READER_ && !(s & GOS_RW_ASLEEP_), 1)) return GOS_OK;
  return gos_rwmutex_runlock_slow(rw, s);
}
#undef GOS_INLINE_
#endif

#endif
