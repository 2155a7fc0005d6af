/* The schedule explorer: the core's own sources under a scheduler that this program controls.
 *
 * All threads of a scenario are virtual: stacks in one OS thread. Before every atomic operation
 * of the core a decision is taken, from the schedule's seed, which of them goes on. Time is
 * virtual. The same seed gives the same schedule.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef EXPLORE_H
#define EXPLORE_H

#include <gossamer.h>
#include <gossamer/host.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* ---- what os_explore.c and shim.h ask of the engine ------------------------------------- */
void ex_point(void); /* another virtual thread may run here */
void ex_spin(void);  /* as ex_point, and this one has to wait for another to do something */
gos_ns ex_now(void);
int ex_wait(uint32_t *word, uint32_t seen, gos_ns deadline);
void ex_wake(uint32_t *word);
void ex_nap(gos_ns d);
int ex_thread_count(void);
int ex_core_thread(void *(*fn)(void *), void *arg); /* for the core: may fail, as the seed says */
char *ex_reserve(size_t n);
size_t ex_page_number(const char *p);                 /* of a reserved page */
bool ex_stack_in_use(const char *lo, const char *hi); /* some thread runs on it */

/* ---- for scenarios ------------------------------------------------------------------------ */
enum {
  EX_SYSMON = 1,  /* only with the monitor: the scenario needs its hand-offs or its reports */
  EX_THREADS = 2, /* making a thread never fails */
  EX_ALONE = 8,   /* no thread can be made at all, the monitor included */
  EX_BARE = 4
}; /* fn starts the runtime itself, or none */
typedef struct ex_scenario {
  const char *name;
  void (*fn)(void);
  int procs;
  unsigned flags;
  struct ex_scenario *next;
} ex_scenario;
void ex_register(ex_scenario *s);
#define SCENARIO(id, most_procs, how)                                                                                  \
  static void id(void);                                                                                                \
  __attribute__((constructor)) static void id##_register(void) {                                                       \
    static ex_scenario s = {#id, id, most_procs, how, NULL};                                                           \
    ex_register(&s);                                                                                                   \
  }                                                                                                                    \
  static void id(void)

_Noreturn void ex_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define CHECK(c)                                                                                                       \
  do {                                                                                                                 \
    if (!(c)) ex_fail("%s:%d: CHECK(%s)", __FILE_NAME__, __LINE__, #c);                                                \
  } while (0)
#define CHECK_EQ(a, b)                                                                                                 \
  do {                                                                                                                 \
    long long a_ = (long long)(a), b_ = (long long)(b);                                                                \
    if (a_ != b_) ex_fail("%s:%d: %s is %lld, not %s = %lld", __FILE_NAME__, __LINE__, #a, a_, #b, b_);                \
  } while (0)

/* Even in [0, n), from the schedule's seed. */
uint32_t ex_roll(uint32_t n);
/* The threads a scenario makes for itself: they know nothing of the runtime until they call in. */
int ex_thread(void (*fn)(void *), void *arg);
int ex_onlooker(void (*fn)(void *), void *arg); /* not among those that the system tells */
void ex_join(int thread);
/* A plain lock (the host's); waiting for it is blocking in a system call. */
void ex_mutex_lock(uint32_t *word);
void ex_mutex_unlock(uint32_t *word);
bool ex_has_sysmon(void);
int ex_deadlocks(void); /* reports of the runtime so far; see ex_expect_deadlock */
void ex_expect_deadlock(void);
/* A file descriptor of the scenario, 0 to 7: what it is ready for (GOS_READ, GOS_WRITE) from now on. */
void ex_fd_ready(int fd, unsigned bits);
/* The virtual thread that runs. */
int ex_current(void);
/* Would reading (writing) there end in a fault? Of pages that the core has protected or given back. */
bool ex_page_closed(const void *p, bool writes);
/* Everything has come to rest when it returns. */
void ex_quiesce(void);
/* Invariants of the scheduler's own structures (check.c). They hold at any point; at_rest ones
   when nothing runs. NULL, or what is broken. */
const char *ex_check_queues(void);
const char *ex_check_at_rest(void);
void ex_describe_goroutines(void);

#endif
