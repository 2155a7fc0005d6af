/* Once, for those who wait for its mutex in a way of their own. L4. SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_ONCE_H
#define GOSI_ONCE_H

#include "sched/sched.h"

/* With o->mu locked, which it unlocks: fn(arg), unless o is done. */
void gosi_once_run(gos_once *o, void (*fn)(void *), void *arg);

#endif
