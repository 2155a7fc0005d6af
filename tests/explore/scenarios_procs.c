/* GOMAXPROCS changes, and goroutines locked to their threads, while everything moves.
 * SPDX-License-Identifier: Apache-2.0 */
#include "team.h"

/* ---- several change the number at once, beside work of every kind ---------------------------------------- */
static gos_chan *c;
static int sum, wanted;
static void changes(void *u) {
  (void)u;
  for (int i = 0; i < 2; i++) {
    int was = gos_gomaxprocs(1 + (int)ex_roll(3));
    CHECK(was >= 1 && was <= 3);
    if (ex_roll(2)) gos_gosched();
  }
}
static void works(void *u) {
  for (uint32_t i = ex_roll(3); i > 0; i--) {
    uint32_t how = ex_roll(4);
    if (how == 0) gos_gosched();
    if (how == 1) CHECK_EQ(gos_sleep(ex_roll(3000)), GOS_OK);
    if (how == 2) gos_entersyscall(), ex_nap(ex_roll(3000)), gos_exitsyscall();
    if (how == 3) ex_spin();
  }
  int v = (int)(intptr_t)u;
  CHECK_EQ(gos_chan_send(c, &v), GOS_OK);
}
SCENARIO(maxprocs_while_busy, 3, 0) {
  team t = {0};
  int v;
  c = gos_chan_make(sizeof(int), ex_roll(3));
  int outside = ex_roll(2) ? ex_thread(changes, NULL) : 0;
  team_go(&t, changes, NULL);
  for (intptr_t i = 1; i <= 4; i++) team_go(&t, works, (void *)i), wanted += (int)i;
  if (ex_roll(2)) changes(NULL);
  for (int i = 0; i < 4; i++) {
    CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
    sum += v;
  }
  team_wait(&t);
  if (outside) ex_join(outside);
  CHECK_EQ(sum, wanted);
  int n = gos_gomaxprocs(0);
  CHECK_EQ(gos_gomaxprocs(2), n);
  CHECK_EQ(gos_gomaxprocs(0), 2);
}

/* ---- a locked goroutine stays on its thread, and nobody else comes there ----------------------------------- */
static int its_thread[2] = {-1, -1};
static void locked(void *u) {
  int me = (int)(intptr_t)u, v = 1;
  CHECK_EQ(gos_lock_os_thread(), GOS_OK);
  its_thread[me] = ex_current();
  for (int i = 0; i < 2; i++) {
    CHECK_EQ(gos_chan_send(c, &v), GOS_OK);
    CHECK_EQ(ex_current(), its_thread[me]);
    if (ex_roll(2)) gos_gosched();
    if (ex_roll(4) == 0) gos_sleep(ex_roll(2000));
    CHECK_EQ(ex_current(), its_thread[me]);
  }
  its_thread[me] = -1;
  if (ex_roll(2)) gos_unlock_os_thread();
}
static void unlocked(void *u) {
  int v;
  (void)u;
  for (int i = 0; i < 2; i++) {
    CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
    CHECK(ex_current() != its_thread[0] && ex_current() != its_thread[1]);
    if (ex_roll(2)) gos_gosched();
    CHECK(ex_current() != its_thread[0] && ex_current() != its_thread[1]);
  }
}
SCENARIO(locked_threads, 3, EX_SYSMON) {
  team t = {0};
  c = gos_chan_make(sizeof(int), ex_roll(2));
  team_go(&t, locked, (void *)0);
  team_go(&t, unlocked, NULL);
  if (ex_roll(2)) {
    team_go(&t, locked, (void *)1);
    team_go(&t, unlocked, NULL);
  }
  if (ex_roll(2)) gos_gomaxprocs(1 + (int)ex_roll(3));
  team_wait(&t);
}

/* ---- and lets others run when it yields, with no monitor to take its P --------------------------------------- */
static int others_ran;
static void runs_once(void *u) {
  (void)u;
  others_ran++;
}
static void yields(void *u) {
  (void)u;
  CHECK_EQ(gos_lock_os_thread(), GOS_OK);
  int me = ex_current();
  CHECK_EQ(gos_go(runs_once, NULL), GOS_OK);
  while (!others_ran) {
    gos_gosched();
    CHECK_EQ(ex_current(), me);
  }
  gos_unlock_os_thread();
}
SCENARIO(locked_yields, 2, EX_THREADS) {
  ex_finish(ex_go(yields, NULL));
  CHECK_EQ(others_ran, 1);
}

/* ---- work from outside, put while the last thread is about to sleep ------------------------------------------- */
static gos_waitgroup from_outside;
static void is_done(void *u) {
  (void)u;
  CHECK_EQ(gos_waitgroup_done(&from_outside), GOS_OK);
}
static void starts(void *u) {
  for (intptr_t i = (intptr_t)u; i > 0; i--) CHECK_EQ(gos_go(is_done, NULL), GOS_OK);
}
SCENARIO(outside_starts, 2, EX_THREADS) {
  CHECK_EQ(gos_waitgroup_add(&from_outside, 3), GOS_OK);
  int x = ex_thread(starts, (void *)1), y = ex_thread(starts, (void *)2);
  CHECK_EQ(gos_waitgroup_wait(&from_outside), GOS_OK);
  ex_join(x), ex_join(y);
}
