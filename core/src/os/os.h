/* What the runtime asks of the operating system. One file per OS fills it. L1.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_OS_H
#define GOSI_OS_H

#include "base/base.h"

#define GOSI_PAGE 4096u

void gosi_os_init(void);
gos_ns gosi_os_now(void);
uint64_t gosi_os_random(void);
/* CPUs by affinity and cgroup quota; at least 1. */
int gosi_os_cpus(void);
/* Threads of this process, or -1 when it cannot be known. */
int gosi_os_thread_count(void);
bool gosi_os_secure(void); /* set-uid and the like: the environment is not to be trusted */

int gosi_os_tid(void); /* of the calling thread */
/* What a thread of this process has used of the CPUs; -1: not to be had. */
gos_ns gosi_os_thread_cpu(int tid);
/* Is it blocked in a call (true also if that cannot be known), or does it run or wait for a CPU? */
bool gosi_os_thread_blocked(int tid);

/* Address space without memory: NULL when there is none. */
char *gosi_os_reserve(size_t n);
void gosi_os_unmap(char *p, size_t n);
/* Makes [p, p+n) fault. GOS_OK or GOS_NOMEM: the budget of guards is used up. */
int gosi_os_guard(char *p, size_t n);
/* Gives the memory back, keeps the address space. */
void gosi_os_discard(char *p, size_t n);

/* Sleeps while *word == seen, until woken, a signal, or the deadline (GOS_FOREVER: none).
   GOS_OK: woken or changed; GOS_TIMEDOUT; GOS_AGAIN: a signal came. */
int gosi_os_wait(uint32_t *word, uint32_t seen, gos_ns deadline);
void gosi_os_wake(uint32_t *word);

/* A detached thread with all but fault signals blocked. GOS_OK or GOS_SYS(errno). */
int gosi_os_thread(void *(*fn)(void *), void *arg, size_t stack);
/* The calling thread's stack. */
void gosi_os_stack_bounds(char **lo, char **hi);
void gosi_os_alt_stack_free(void); /* before the thread ends */
void gosi_os_name_thread(const char *name);
void gosi_os_precise_timers(void); /* for the calling thread */
/* Makes every other thread of the process pass a full memory barrier; false: not available. */
bool gosi_os_barrier_all(void);
void gosi_os_nap(gos_ns d);
/* The calling thread gets an alternate signal stack if it has none. */
void gosi_os_alt_stack(void);

#endif
