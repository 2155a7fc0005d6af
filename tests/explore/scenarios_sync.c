/* Mutex, WaitGroup, Once. SPDX-License-Identifier: Apache-2.0 */
#include "team.h"

static gos_mutex mu;
static int inside, entered, wanted;

static void critical(void) {
  CHECK_EQ(inside++, 0);
  if (ex_roll(2))
    ex_point();
  else
    gos_gosched();
  entered++;
  CHECK_EQ(--inside, 0);
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
}
static void locker(void *u) {
  (void)u;
  for (int i = 0; i < 2; i++) {
    uint32_t how = ex_roll(4);
    gos_ns dl = gos_now() + ex_roll(4000);
    int e = GOS_OK;
    if (how < 2)
      gos_mutex_lock(&mu);
    else if (how == 2)
      e = gos_mutex_lock_dl(&mu, dl);
    else
      e = gos_mutex_trylock(&mu);
    CHECK(e == GOS_OK || (how == 2 && e == GOS_TIMEDOUT && gos_now() >= dl) || (how == 3 && e == GOS_WOULDBLOCK));
    if (e) continue;
    wanted++;
    critical();
  }
}
SCENARIO(mutex, 3, 0) {
  team t = {0};
  for (int i = 0; i < 3; i++) team_go(&t, locker, NULL);
  locker(NULL);
  team_wait(&t);
  CHECK_EQ(entered, wanted);
  CHECK(mu.s != 1);
  CHECK_EQ(gos_mutex_trylock(&mu), GOS_OK);
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_PERM);
}

/* ---- the same group again and again; two who wait ---------------------------------------------------- */
static gos_waitgroup wg;
static int finished;
static void part(void *u) {
  (void)u;
  if (ex_roll(2)) gos_gosched();
  finished++;
}
static void waiter(void *u) {
  (void)u;
  int e = gos_waitgroup_wait_dl(&wg, ex_roll(2) ? GOS_FOREVER : gos_now() + ex_roll(3000));
  CHECK(e == GOS_OK || e == GOS_TIMEDOUT);
  if (e == GOS_OK) CHECK(finished % 2 == 0 || wg.n > 1);
}
SCENARIO(waitgroup, 3, 0) {
  for (int round = 1; round <= 2; round++) {
    CHECK_EQ(gos_waitgroup_go(&wg, part, NULL), GOS_OK);
    CHECK_EQ(gos_waitgroup_go(&wg, part, NULL), GOS_OK);
    gos_g *w = ex_go(waiter, NULL);
    CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
    CHECK_EQ(finished, 2 * round);
    ex_finish(w);
  }
  CHECK_EQ(gos_waitgroup_done(&wg), GOS_INVAL);
}

/* ---- a wake of the first round that comes late must not end the second ----------------------------- */
static int second;
static void second_part(void *u) {
  (void)u;
  gos_gosched();
  second = 1;
  CHECK_EQ(gos_waitgroup_done(&wg), GOS_OK);
}
static void first_part(void *u) {
  (void)u;
  CHECK_EQ(gos_waitgroup_done(&wg), GOS_OK);
}
static void first_waiter(void *u) {
  (void)u;
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
}
SCENARIO(waitgroup_rounds, 3, 0) {
  CHECK_EQ(gos_waitgroup_add(&wg, 1), GOS_OK);
  gos_g *w = ex_go(first_waiter, NULL), *x = ex_go(first_part, NULL);
  for (int i = 0; i < 6 && gos_waitgroup_wait_dl(&wg, GOS_NOW); i++) gos_gosched();
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
  CHECK_EQ(gos_waitgroup_add(&wg, 1), GOS_OK);
  gos_g *y = ex_go(second_part, NULL);
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
  CHECK_EQ(second, 1);
  ex_finish(x), ex_finish(y), ex_finish(w);
}

/* ---- a group's memory is the waiter's again as soon as wait returns ------------------------------------- */
static void done_on(void *u) { CHECK_EQ(gos_waitgroup_done(*(gos_waitgroup **)u), GOS_OK); }
SCENARIO(waitgroup_memory, 2, 0) {
  struct {
    gos_waitgroup wg;
    uint64_t guard;
  } frame;
  gos_waitgroup *at = &frame.wg;
  memset(&frame, 0, sizeof frame);
  gos_waitgroup_add(&frame.wg, 2);
  gos_g *x = ex_go(done_on, &at), *y = ex_go(done_on, &at);
  CHECK_EQ(gos_waitgroup_wait(&frame.wg), GOS_OK);
  memset(&frame, 0x55, sizeof frame);
  ex_finish(x), ex_finish(y);
  for (size_t i = 0; i < sizeof frame; i++) CHECK_EQ(((unsigned char *)&frame)[i], 0x55);
}

/* ---- once ----------------------------------------------------------------------------------------------------- */
static gos_once once;
static int made, made_wholly;
static void make(void *u) {
  (void)u;
  made++;
  if (ex_roll(2)) gos_gosched();
  ex_point();
  made_wholly = 1;
}
static void user(void *u) {
  (void)u;
  gos_once_do(&once, make, NULL);
  CHECK_EQ(made, 1);
  CHECK_EQ(made_wholly, 1);
}
SCENARIO(once_do, 3, 0) {
  team t = {0};
  int th = ex_roll(2) ? ex_thread(user, NULL) : 0;
  for (int i = 0; i < 2; i++) team_go(&t, user, NULL);
  user(NULL);
  team_wait(&t);
  if (th) ex_join(th);
}
