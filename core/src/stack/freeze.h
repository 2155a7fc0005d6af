/* Frozen stacks: what lives on the stack of a goroutine that waits is kept in a block of just that size, and its
 * pages are given back; any access to them ends in a fault, whose handler thaws it: the same bytes at the same place.
 *
 * A stack's cell tells how it is. Only the freezer (one at a time) marks and freezes; anybody may thaw.
 *
 *       0, thawed lately  --mark-->  marked  --freeze-->  freezing  -->  frozen  --thaw-->  thawing  -->  thawed lately
 *            ^---------- thaw, unmark ---'
 *
 * Whoever continues a goroutine thaws its stack first; that also takes back the mark, and then the freezer leaves it.
 * Somebody who does not see the mark must be seen by the freezer instead: sched/freeze.c.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_FREEZE_H
#define GOSI_FREEZE_H

#include <signal.h>
#include "stack/stack.h"

enum { GOSI_FREEZE_BATCH = 64 };

/* One that is about to be frozen. */
typedef struct gosi_cold {
  const gosi_fiber *f;
  char *sp; /* [sp, top) is what lives */
  uintptr_t *cell, was;
  struct gosi_ice *ice;
} gosi_cold;

typedef struct gosi_freeze_figures {
  uint64_t frozen, thawed, trapped; /* ever; trapped: of the thawed ones, by the fault handler */
  int64_t now, bytes;               /* frozen at this moment, and what their blocks take */
} gosi_freeze_figures;

/* NULL: stacks can be frozen here; else why not. Tries it out. */
const char *gosi_freeze_trouble(void);
/* All that freezes holds this, and no signal handler may run meanwhile: it might touch what is being frozen. */
void gosi_freeze_lock(sigset_t *old);
void gosi_freeze_unlock(const sigset_t *old);
/* With the lock. False: it is frozen, or was thawed at or after `since`, or there is no memory. f is not read. */
bool gosi_stack_mark(gosi_cold *c, const gosi_fiber *f, char *sp, gos_ns since);
void gosi_stack_unmark(gosi_cold *c);
/* Those of the n (at most GOSI_FREEZE_BATCH) that are still marked; reorders them. How many were frozen. */
int gosi_stack_freeze(gosi_cold *c, int n);
/* Before the goroutine on f continues. f is not read. */
void gosi_stack_thaw(const gosi_fiber *f);
void gosi_stack_thaw_all(void);
bool gosi_stack_frozen(const gosi_fiber *f);
/* For a system call that p is given to. True: it lies in a stack that may have been frozen, and is not now, nor will be
   before it has aged again. */
bool gosi_stack_touch(const void *p);
void gosi_freeze_figures_get(gosi_freeze_figures *out);

/* For stack.c's handler. True: try the access again. */
bool gosi_stack_fault(const siginfo_t *si, const void *uc);

/* Around a fork; in the child the stacks of goroutines that are gone can still be looked at. */
void gosi_freeze_before_fork(void);
void gosi_freeze_after_fork(bool child);

#endif
