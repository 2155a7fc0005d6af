/* Mutexes with and without deadlines, WaitGroups, Once. SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"

enum { WORKERS = 20, ROUNDS = 20 };
static gos_mutex mu;
static gos_waitgroup wg;
static long counted, wanted;
static int initialised;

static void sets_up(void *arg) { (void)arg, gos_gosched(), initialised++; }
static void works(void *arg) {
  static gos_once once;
  gos_once_do(&once, sets_up, arg);
  CHECK_EQ(initialised, 1);
  for (int i = 0; i < ROUNDS; i++) {
    if (i % 2) {
      gos_mutex_lock(&mu);
    } else if (!WORKED(gos_mutex_lock_dl(&mu, gos_now() + 3600000 * MS))) {
      gos_mutex_lock(&mu); /* one without a deadline needs no memory */
    }
    long n = counted;
    if (i % 5 == 0) gos_gosched();
    counted = n + 1;
    CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
  }
}

static void mutex(void) {
  int started = 0;
  counted = 0;
  for (int i = 0; i < WORKERS; i++) started += WORKED(gos_waitgroup_go(&wg, works, NULL));
  wanted = (long)started * ROUNDS;
  while (!WORKED(gos_waitgroup_wait_dl(&wg, gos_now() + 3600000 * MS)))
    if (gos_waitgroup_wait(&wg) == GOS_OK) break;
  CHECK_EQ(wg.n, 0);
  CHECK_EQ(counted, wanted);
  CHECK_EQ(gos_mutex_trylock(&mu), GOS_OK);
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
}

static void times_out(void) {
  gos_mutex_lock(&mu);
  int e = gos_mutex_lock_dl(&mu, gos_now() + MS / 20);
  if (e != GOS_TIMEDOUT) WORKED(e == GOS_OK ? GOS_INVAL : e);
  CHECK_EQ(gos_waitgroup_add(&wg, 1), GOS_OK);
  e = gos_waitgroup_wait_dl(&wg, gos_now() + MS / 20);
  if (e != GOS_TIMEDOUT) WORKED(e == GOS_OK ? GOS_INVAL : e);
  CHECK_EQ(gos_waitgroup_done(&wg), GOS_OK);
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
  CHECK_EQ(gos_mutex_trylock(&mu), GOS_OK);
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
}

static void leaves(void *arg) { (void)arg, gos_goexit(); }
static void counts_a_goexit(void) {
  (void)WORKED(gos_waitgroup_go(&wg, leaves, NULL));
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
}

void workload(void) {
  mutex();
  times_out();
  counts_a_goexit();
}
