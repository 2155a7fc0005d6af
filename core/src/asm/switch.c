/* Fresh contexts, and the sanitizers' view of a switch. L1.
 * SPDX-License-Identifier: Apache-2.0 */
#include "asm/switch.h"
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "os/os.h"

#if GOSI_TSAN
/* ThreadSanitizer keeps a signal with the context that runs when it comes, until that context's next call into libc. One
   that parks first would keep it for ever: none comes around a switch, and what has come is handed over before it. */
static _Thread_local bool held;
static _Thread_local sigset_t mask; /* before */

/* now: NULL for all signals. */
#if GOSI_NOSYNC
/* libc's functions would be seen to write to a stack that another goroutine had before. */
static NO_SANITIZE void set_mask(const sigset_t *now, sigset_t *was) {
  uint64_t all = ~UINT64_C(0);
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, now ? (const void *)now : &all, was, sizeof all);
}
#else
static NO_SANITIZE void set_mask(const sigset_t *now, sigset_t *was) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, now ? now : &all, was);
}
#endif
static NO_SANITIZE NOINLINE void hold_signals(void) {
  sigset_t was;
  set_mask(NULL, &was);
  if (!held) mask = was;
  held = true;
}
/* By the thread that continues, not the one that left: nothing of it may be kept across the switch. */
static NO_SANITIZE NOINLINE void let_signals(void) {
  if (!held) return;
  held = false;
  set_mask(&mask, NULL);
}
#endif

void gosi_context_make(gosi_context *c, char *lo, char *top, void (*fn)(void *), void *arg) {
  uintptr_t *sp = (uintptr_t *)((uintptr_t)top & ~(uintptr_t)15);
#if defined(__x86_64__)
  /* Popped by gosi_switch: control words, r15 r14 r13 r12 rbx rbp, return address. */
  *--sp = 0;
  *--sp = (uintptr_t)0;
  *--sp = (uintptr_t)gosi_start;
  *--sp = 0;              /* rbp */
  *--sp = 0;              /* rbx */
  *--sp = (uintptr_t)fn;  /* r12 */
  *--sp = (uintptr_t)arg; /* r13 */
  *--sp = 0;              /* r14 */
  *--sp = 0;              /* r15 */
  *--sp = 0;
  uint32_t mxcsr;
  uint16_t fcw = 0x37f;
  __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
  if (unlikely((mxcsr & 0xffc0) != 0x1f80)) __asm__ volatile("fnstcw %0" : "=m"(fcw));
  ((uint32_t *)sp)[0] = mxcsr & ~0x3fu; /* inherits the control bits, not the sticky flags */
  ((uint32_t *)sp)[1] = fcw;
#elif defined(__aarch64__)
  sp -= 22;
  memset(sp, 0, 176);
  sp[0] = (uintptr_t)fn;          /* x19 */
  sp[1] = (uintptr_t)arg;         /* x20 */
  sp[11] = (uintptr_t)gosi_start; /* x30 */
  uint64_t fpcr;
  __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
  sp[20] = fpcr;
#else
#error "no context switch for this CPU yet"
#endif
  (void)lo;
#if GOSI_TSAN
  c->tsan = __tsan_create_fiber(0);
#endif
#if GOSI_ASAN
  c->fake = NULL;
  c->lo = lo;
  c->size = (size_t)(top - lo);
  __asan_unpoison_memory_region(lo, c->size);
#endif
  gosi_store_release(&c->sp, sp);
}

void gosi_context_entered(gosi_context *c) {
  (void)c;
#if GOSI_TSAN
  hold_signals();
  poll(NULL, 0, 0); /* the first call that may block makes room for signals: one that came meanwhile would be lost */
  let_signals();
#endif
#if GOSI_ASAN
  __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
}

void gosi_context_adopt(gosi_context *c) {
  (void)c;
#if GOSI_TSAN
  c->tsan = __tsan_get_current_fiber();
#endif
#if GOSI_ASAN
  char *lo, *hi;
  gosi_os_stack_bounds(&lo, &hi);
  c->lo = lo;
  c->size = (size_t)(hi - lo);
#endif
}

void gosi_context_free(gosi_context *c) {
  (void)c;
#if GOSI_TSAN
  if (c->tsan) __tsan_destroy_fiber(c->tsan);
  c->tsan = NULL;
#endif
}

#if GOSI_TSAN || GOSI_ASAN
NO_SANITIZE NOINLINE void gosi_context_switch(gosi_context *from, gosi_context *to, bool dying) {
  (void)dying;
#if GOSI_ASAN
  void *fake = NULL;
  __sanitizer_start_switch_fiber(dying ? NULL : &fake, to->lo, to->size);
#endif
#if GOSI_TSAN
  hold_signals();
  __tsan_switch_to_fiber(to->tsan, GOSI_NOSYNC); /* 1: no synchronization */
#endif
  gosi_switch(&from->sp, &to->sp);
#if GOSI_TSAN
  let_signals();
#endif
#if GOSI_ASAN
  __sanitizer_finish_switch_fiber(fake, NULL, NULL);
#endif
}
#endif
