/* What the runtime asks of the operating system. One file per OS fills it. L1.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_OS_H
#define GOSI_OS_H

#include "base/base.h"

#define GOSI_PAGE 4096u

void gosi_os_init(void);
gos_ns gosi_os_now(void);
/* The same clock as of the system's last tick, some ms ago: a fifth of the price where the other takes 40 ns. */
gos_ns gosi_os_coarse(void);
uint64_t gosi_os_random(void);
/* CPUs by affinity and cgroup quota; at least 1. */
int gosi_os_cpus(void);
/* Threads of this process, or -1 when it cannot be known. */
int gosi_os_thread_count(void);
bool gosi_os_secure(void); /* set-uid and the like: the environment is not to be trusted */

int gosi_os_tid(void);           /* of the calling thread */
bool gosi_os_first_thread(void); /* the process began with the calling thread */
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
/* The calling thread, made by gosi_os_thread, gets the signal mask of the one that called gosi_os_init. */
void gosi_os_users_signals(void);
/* Ends the system call that another thread may be in with EINTR, by a signal that does nothing else: one of the
   realtime signals, which nobody handles and the user does not block. False: there is none. */
bool gosi_os_interrupt(int tid);
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

/* ---- readiness of file descriptors: poll_epoll.c, poll_kqueue.c; one poller a process ---- */
enum {
  GOSI_POLL_READ = 1,
  GOSI_POLL_WRITE = 2,
  GOSI_POLL_ODD = 4, /* the other end has closed, an error, urgent data: a short read does not mean an empty buffer */
};
/* Makes the poller, unless there is one. GOS_OK or GOS_SYS(errno). */
int gosi_os_poll_open(void);
/* In the child of a fork: the poller stays the parent's. */
void gosi_os_poll_after_fork(void);
/* Events of fd come with tag from now on: one when something changes (edges, both directions), and one
   at once for what is ready already. known: it is likely to be watched, for another tag or to be asked
   again. GOS_OK, or GOS_SYS(errno); EPERM: fd is of a kind that never makes one wait. */
int gosi_os_poll_watch(int fd, uint64_t tag, bool known);
void gosi_os_poll_unwatch(int fd);
/* Calls f for what has happened. until 0: without waiting, and by one thread at a time; else waits for
   an event, gosi_os_poll_break(), a signal (GOS_AGAIN) or that time (GOS_TIMEDOUT). One thread at a time
   waits. */
int gosi_os_poll(gos_ns until, void (*f)(void *u, uint64_t tag, unsigned bits), void *u);
/* Ends the waiting of the thread that waits, or of the next one. Safe in a signal handler. */
void gosi_os_poll_break(void);

#endif
