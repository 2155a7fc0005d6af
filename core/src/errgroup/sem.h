/* The weighted semaphore, also as the room of an error group. L6. SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_SEM_H
#define GOSI_SEM_H

#include "sched/sched.h"

struct gos_sem {
  gosi_lock lock; /* guards all below; nobody is readied under it */
  bool elastic;   /* the size may change: no request is hopeless */
  int64_t size, held;
  gosi_waitq q; /* strictly first come, first served */
};

/* Another size, for an elastic one that nobody holds a part of; else GOS_PERM. */
int gosi_sem_resize(gos_sem *s, int64_t size);

#endif
