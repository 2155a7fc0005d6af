/* Fault injection: what happens when the n-th malloc, mmap, pthread_create, ... of the core fails.
 *
 * A program of this folder is one workload. Its calls into libc and those of the core, which is linked
 * into it, go through inject.c (the linker's --wrap), so that the library itself holds nothing of this.
 * The harness runs the workload in a process of its own for each kind of call, for n = 1, 2, ... until the
 * n-th call does not happen any more, once with this one call failing ("once") and once with all from it on
 * ("ever"). In each process:
 *   1. the runtime starts and the workload runs, with the fault on. Whatever it asks for is done right or
 *      refused with an error that says so; WORKED() and GOT() know.
 *   2. with the fault off all must work: workload() runs again and finds no excuse.
 *   3. no file descriptor and no memory is left behind beyond what the runtime keeps for reuse (the same
 *      run without a fault tells how much that is); under AddressSanitizer its leak check as well.
 *
 *   PROGRAM                       the sweep: up to $GOSSAMER_FAULTS calls of a kind (default 24, 0: all)
 *   GOSSAMER_FAULT=malloc:7 PROGRAM        that one alone, in this process: for gdb
 *   GOSSAMER_FAULT=mmap:2:ever PROGRAM
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSSAMER_FAULTS_H
#define GOSSAMER_FAULTS_H
#include <gossamer.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The workload's part. setup() starts the runtime: gos_init() with 2 Ps unless the program has one of its
   own. GOS_OK or why it could not. */
int setup(void);
void workload(void);
/* File descriptors that the runtime keeps after the workload; 0 unless the program says otherwise. */
int files_kept(void);

/* inject.c */
bool faults_fired(void); /* a call was made to fail, and the fault is still on */
void faults_end(void);   /* what failed for ever works again */
/* The calls of the test itself, never failing on purpose. */
int faults_thread(pthread_t *t, void *(*fn)(void *), void *arg);

#define MS ((gos_ns)1000000)
__attribute__((format(printf, 3, 4), noreturn)) void faults_failed(const char *file, int line, const char *fmt, ...);
#define CHECK(c)                                                                                                       \
  do {                                                                                                                 \
    if (!(c)) faults_failed(__FILE__, __LINE__, "CHECK(%s)", #c);                                                      \
  } while (0)
#define CHECK_EQ(a, b)                                                                                                 \
  do {                                                                                                                 \
    long long a_ = (long long)(a), b_ = (long long)(b);                                                                \
    if (a_ != b_) faults_failed(__FILE__, __LINE__, "%s is %lld, not %s = %lld", #a, a_, #b, b_);                      \
  } while (0)

/* True: it worked. False: it did not, and had a reason: a call failed on purpose and the code says that. */
#define WORKED(e) faults_worked(__FILE__, __LINE__, #e, (e))
static inline bool faults_worked(const char *file, int line, const char *what, int e) {
  if (e >= 0) return true;
  if (!faults_fired() || (e != GOS_NOMEM && e > GOS_SYS(0)))
    faults_failed(file, line, "%s is %d: %s%s", what, e, gos_strerror(e), faults_fired() ? "" : " (without a fault)");
  return false;
}
/* The same for what gives a pointer. */
#define GOT(p) faults_got(__FILE__, __LINE__, #p, (p) != NULL)
static inline bool faults_got(const char *file, int line, const char *what, bool there) {
  if (!there && !faults_fired()) faults_failed(file, line, "%s is NULL without a fault", what);
  return there;
}
/* Returns when the running goroutine is the only one. */
static inline void settle(void) {
  while (gos_num_goroutine() > 1) gos_gosched();
}
#endif
