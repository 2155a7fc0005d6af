/* Goroutines that wait for long are frozen. L3. SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_SCHED_FREEZE_H
#define GOSI_SCHED_FREEZE_H

#include "sched/sched.h"

/* How long they have waited by then; below 0: the monitor freezes nobody. */
extern gos_ns gosi_freeze_age;
/* As gos_config.flags and the environment want it. GOS_SYS(ENOTSUP): it was asked for, and cannot be. */
int gosi_freeze_start(unsigned flags);
/* The monitor's part. When to call it again at the latest. hot: somebody waits for a thread. */
gos_ns gosi_freeze_look(gos_ns now, bool hot);

#endif
