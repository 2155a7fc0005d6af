/* Goroutine stacks: reserved lazily in slabs, guarded, cached, reused. L2.
 *
 * A stack of class c has 2^c bytes of address space: guard pages at the low end, then
 * usable bytes, and its header (struct gosi_fiber) at the high end, on the page that is
 * touched first anyway.
 *
 * Credits: a goroutine gets its stack only when it first runs, when an error could no
 * longer be reported. So whoever creates one first takes a credit, the right to a stack.
 * Always true: guarded stacks >= credits out + what all caches may hold, so a holder of
 * a credit never fails to get one.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_STACK_H
#define GOSI_STACK_H

#include "base/base.h"

enum {
  STACK_CLASS_MIN = 14,
  STACK_CLASS_MAX = 30,
  STACK_CACHE_MAX = GOSI_HARD ? 2 : 32,
  STACK_CREDITS = GOSI_HARD ? 1 : 64
};

typedef struct gosi_fiber {
  char *lo;  /* lowest usable byte */
  char *top; /* where its first frame starts */
  struct gosi_fiber *next;
  void *host; /* the host language's state for this stack */
  unsigned cls;
} gosi_fiber;

/* The class for that many bytes; -1: too large. */
int gosi_stack_class(size_t bytes);
/* Up to want credits, at least one; 0: no memory, address space or guards. */
int gosi_stack_take_credits(unsigned cls, int want);
void gosi_stack_give_credits(unsigned cls, int n);
/* The caller holds a credit. */
gosi_fiber *gosi_stack_get(unsigned cls);
void gosi_stack_put(gosi_fiber *f);
/* top is again what it was at first: somebody had lowered it. */
void gosi_stack_raise(gosi_fiber *f);
/* Gives the memory of those that were put back to the system; how many. */
int gosi_stack_discard(void);
/* Another cache of up to STACK_CACHE_MAX stacks exists (a P, a realm). */
void gosi_stack_new_cache(void);
/* n more, of class cls, while credits are out. False, and none: no memory for what they may hold. */
bool gosi_stack_add_caches(unsigned cls, int n);
void gosi_stack_drop_cache(void); /* one that is empty */

/* In a fork's child: a lock that another thread held is free. */
void gosi_stack_after_fork(void);

/* Stacks carved and their address space. */
void gosi_stack_stats(size_t *stacks, size_t *bytes);

/* Reports a fault in a guard as the overflow it is, then goes on to the handler that was
   there before. describe writes who runs on the stack whose lowest usable byte is lo. */
void gosi_stack_watch(size_t (*describe)(const char *lo, char *buf, size_t n));
bool gosi_stack_watched(void); /* its handler is still in place */

#endif
