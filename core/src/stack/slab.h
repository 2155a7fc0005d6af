/* What is known of a slab, for the files of this folder. L2. SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_SLAB_H
#define GOSI_SLAB_H

#include "stack/stack.h"

/* Never removed; lo, hi, cls and cells are read by the fault handler without a lock. The page below lo is nobody's:
   see gosi_pages_twin. */
typedef struct gosi_slab {
  char *lo, *hi;
  unsigned cls;
  char *next, *ready;      /* [next, ready) is guarded and never used, [ready, hi) only reserved */
  struct gosi_slab *newer; /* of the same class */
  uintptr_t *cells;        /* one a stack, once any was to be frozen: see freeze.c */
  char *twin;              /* of lo; NULL: none to be had */
} gosi_slab;

/* What lived on a frozen stack. */
typedef struct gosi_ice {
  union {
    size_t n;
    struct gosi_ice *next; /* molten */
  };
  char bytes[];
} gosi_ice;

/* Append-only. */
extern gosi_slab gosi_slabs[];
extern int gosi_nslabs;

/* The one a lies in, or NULL. Safe in a signal handler. */
gosi_slab *gosi_slab_of(const char *a);
size_t gosi_stack_guard_size(unsigned cls);
/* The header of the stack at lo, filled in. */
gosi_fiber *gosi_stack_lay(char *lo, unsigned cls, gosi_fiber *out);

#endif
