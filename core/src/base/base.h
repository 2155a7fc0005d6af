/* Words every file uses. L0: knows no goroutine.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_BASE_H
#define GOSI_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#define GOS_NO_INLINE /* the library defines what the header would inline */
#include "gossamer.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define NOINLINE __attribute__((noinline))
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define CACHE_LINE 128 /* two lines: the prefetcher fetches pairs */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#if defined(__has_feature)
#define GOSI_FEATURE(x) __has_feature(x)
#else
#define GOSI_FEATURE(x) 0
#endif
/* The build tsan-nosync: the scheduler is not instrumented, and a switch is no synchronization, so that
   ThreadSanitizer sees goroutines as threads: what orders them must be said (gosi_hb_before). */
#ifdef GOSSAMER_TSAN_NOSYNC
#define GOSI_NOSYNC 1
#else
#define GOSI_NOSYNC 0
#endif
#if defined(__SANITIZE_THREAD__) || GOSI_FEATURE(thread_sanitizer) || GOSI_NOSYNC
#define GOSI_TSAN 1
#else
#define GOSI_TSAN 0
#endif
#if defined(__SANITIZE_ADDRESS__) || GOSI_FEATURE(address_sanitizer)
#define GOSI_ASAN 1
#else
#define GOSI_ASAN 0
#endif

/* The switch must not be instrumented: the sanitizer's idea of the stack changes inside it. */
#if defined(__clang__)
#define NO_SANITIZE __attribute__((disable_sanitizer_instrumentation))
#else
#define NO_SANITIZE __attribute__((no_sanitize_thread, no_sanitize_address))
#endif

/* What was done before the first is seen after the second, of the same p: for ThreadSanitizer only, where it
   does not see the atomic operations that make it so. */
#if GOSI_NOSYNC
#include <sanitizer/tsan_interface.h>
#define gosi_hb_before(p) __tsan_release(p)
#define gosi_hb_after(p) __tsan_acquire(p)
#else
#define gosi_hb_before(p) ((void)0)
#define gosi_hb_after(p) ((void)0)
#endif

/* The scheduler's inline functions: in the build tsan-nosync not instrumented, wherever they are used. */
#if GOSI_NOSYNC
#define SCHED_INLINE static NOINLINE NO_SANITIZE __attribute__((unused))
#else
#define SCHED_INLINE ALWAYS_INLINE
#endif

#ifdef GOS_HARD
#define GOSI_HARD 1
#else
#define GOSI_HARD 0
#endif

/* tests/explore: small tables, as all static data is put back before every schedule. */
#ifdef GOSSAMER_EXPLORE
#define GOSI_EXPLORE 1
#else
#define GOSI_EXPLORE 0
#endif

/* valgrind takes a jump of the stack pointer for a very deep call unless it knows the stacks. */
#ifdef GOS_VALGRIND
#include <valgrind/valgrind.h>
#define GOSI_STACK_BORN(lo, hi) ((void)VALGRIND_STACK_REGISTER(lo, hi))
#else
#define GOSI_STACK_BORN(lo, hi) ((void)0)
#endif
/* Memory that was a stack, before it is given back: what it says of frames does not hold any more. */
#if GOSI_ASAN
#include <sanitizer/asan_interface.h>
#define GOSI_STACK_GONE(lo, n) __asan_unpoison_memory_region((lo), (n))
#else
#define GOSI_STACK_GONE(lo, n) ((void)0)
#endif

/* Of a function that may switch goroutines on its way: it returns by an indirect jump. The CPU predicts a return
   from the calls before it, which were another goroutine's; a jump by where it went the last times. Everything
   between the switch (gosi_jump) and the user has it, or the rest is off by one. On a realm's thread it returns after
   all: a host language's own deep returns would be off, too. An unbuffered message at one P: 46 -> 28 ns. */
#if defined(__has_attribute) && defined(__x86_64__) && !defined(__code_model_large__) && !GOSI_TSAN && !GOSI_ASAN &&   \
    !defined(GOSSAMER_EXPLORE)
#if __has_attribute(function_return)
#define GOSI_JUMPS 1
#define JUMPS_BACK __attribute__((function_return("thunk-extern")))
#endif
#endif
#ifndef JUMPS_BACK
#define GOSI_JUMPS 0
#define JUMPS_BACK
#endif

/* For a broken invariant of ours, never for a user's mistake: prints and aborts. */
_Noreturn void gosi_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Writes all of it to fd, as a signal handler may. */
bool gosi_write_all(int fd, const char *s, size_t n);

/* Zeroed memory, or NULL. */
void *gosi_alloc(size_t n);
void *gosi_alloc_aligned(size_t n);
void gosi_free(void *p);

#endif
