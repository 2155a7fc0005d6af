/* A call of user code whose end is seen even if its goroutine leaves through gos_goexit(). L6.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_GUARD_H
#define GOSI_GUARD_H

#include "sched/sched.h"

/* d: from gosi_alloc(), freed when the goroutine leaves. */
void gosi_guard_begin(gosi_defer *d, void (*gone)(void *), void *arg);
/* d is the caller's again. */
void gosi_guard_end(gosi_defer *d);

#endif
