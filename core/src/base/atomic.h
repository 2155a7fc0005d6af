/* Atomics that name their order. L0.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_ATOMIC_H
#define GOSI_ATOMIC_H

#include "base/base.h"

#define gosi_load(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define gosi_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define gosi_load_seq(p) __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define gosi_store(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define gosi_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define gosi_store_seq(p, v) __atomic_store_n(p, v, __ATOMIC_SEQ_CST)
#define gosi_exchange(p, v) __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL)
#define gosi_add(p, v) __atomic_fetch_add(p, v, __ATOMIC_ACQ_REL)
#define gosi_sub(p, v) __atomic_fetch_sub(p, v, __ATOMIC_ACQ_REL)
#define gosi_or(p, v) __atomic_fetch_or(p, v, __ATOMIC_ACQ_REL)
#define gosi_and(p, v) __atomic_fetch_and(p, v, __ATOMIC_ACQ_REL)
#define gosi_count(p) __atomic_fetch_add(p, 1, __ATOMIC_RELAXED) /* a statistic */
#define gosi_cas(p, old, new)                                                                                          \
  __extension__({                                                                                                      \
    __typeof__(*(p)) gosi_old_ = (old);                                                                                \
    __atomic_compare_exchange_n(p, &gosi_old_, new, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);                        \
  })
#if GOSI_TSAN && !defined(__clang__)
/* gcc's ThreadSanitizer does not model fences; the places that need one use seq_cst
   accesses as well in that build. */
#define gosi_fence() ((void)0)
#else
#define gosi_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif
#define gosi_compiler_barrier() __asm__ volatile("" ::: "memory")

ALWAYS_INLINE void gosi_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield" ::: "memory");
#endif
}

/* A counter of CPU time, in no particular unit; only differences and ratios mean something. */
ALWAYS_INLINE uint64_t gosi_ticks(void) {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  uint64_t v;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(v));
  return v;
#else
  return 0;
#endif
}

#endif
