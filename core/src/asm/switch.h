/* Contexts and the switch between them, with the sanitizers told. L1.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_SWITCH_H
#define GOSI_SWITCH_H

#include <string.h>
#include "base/atomic.h"
#if GOSI_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if GOSI_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

/* sp is 0 while the context runs, and until its last thread has finished saving it. */
typedef struct gosi_context {
  void *sp;
#if GOSI_TSAN
  void *tsan;
#endif
#if GOSI_ASAN
  void *fake;
  const void *lo;
  size_t size;
#endif
} gosi_context;

void gosi_switch(void **save, void **load);
void gosi_jump(void **save, void **load);
void gosi_start(void);

/* Leaves from and continues to. dying: from never runs again. */
#if GOSI_TSAN || GOSI_ASAN
void gosi_context_switch(gosi_context *from, gosi_context *to, bool dying);
#else
ALWAYS_INLINE void gosi_context_switch(gosi_context *from, gosi_context *to, bool dying) {
  (void)dying;
  gosi_switch(&from->sp, &to->sp);
}
#endif
/* The same between C's own goroutines, which go on by jumps. */
ALWAYS_INLINE void gosi_context_jump(gosi_context *from, gosi_context *to) {
#if GOSI_JUMPS
  gosi_jump(&from->sp, &to->sp);
#else
  gosi_context_switch(from, to, false);
#endif
}
/* Makes c start as fn(arg) on the stack [lo, top); top is aligned down as the ABI says. */
void gosi_context_make(gosi_context *c, char *lo, char *top, void (*fn)(void *), void *arg);
/* Must be the first thing fn does. */
void gosi_context_entered(gosi_context *c);
/* c stands for the running thread and its stack. */
void gosi_context_adopt(gosi_context *c);
void gosi_context_free(gosi_context *c);

/* Waits until the thread that c ran on last has finished saving it. */
ALWAYS_INLINE void gosi_context_settle(gosi_context *c) {
  while (unlikely(!gosi_load_acquire(&c->sp))) gosi_pause(); /* pairs with the store in gosi_switch */
}

#endif
