/* Queues, stealing, ends, hand-off, foreign threads. SPDX-License-Identifier: Apache-2.0 */
#include "team.h"

/* ---- more goroutines than a run queue holds: each runs once -------------------------------------- */
enum { MANY = 11 };
static int ran[MANY], running_now[MANY];
static void runner(void *u) {
  int me = (int)(intptr_t)u;
  for (uint32_t i = 1 + ex_roll(2); i-- > 0;) {
    CHECK_EQ(running_now[me]++, 0);
    ex_point();
    running_now[me]--;
    if (i) gos_gosched();
  }
  CHECK_EQ(ran[me]++, 0);
}
static team crew;
static void starter(void *u) {
  for (intptr_t i = (intptr_t)u; i < MANY; i += 2) CHECK_EQ(gos_waitgroup_go(&crew.wg, runner, (void *)i), GOS_OK);
}
SCENARIO(steal, 3, 0) {
  gos_g *other = ex_go(starter, (void *)1);
  starter(NULL);
  ex_finish(other);
  CHECK_EQ(gos_waitgroup_wait(&crew.wg), GOS_OK);
  for (int i = 0; i < MANY; i++) CHECK_EQ(ran[i], 1);
}

/* ---- the number of Ps changes under them ------------------------------------------------------------ */
SCENARIO(maxprocs, 3, 0) {
  gos_g *other = ex_go(starter, (void *)1);
  CHECK(gos_gomaxprocs(1 + (int)ex_roll(3)) >= 1);
  starter(NULL);
  gos_gomaxprocs(1 + (int)ex_roll(3));
  ex_finish(other);
  CHECK_EQ(gos_waitgroup_wait(&crew.wg), GOS_OK);
  for (int i = 0; i < MANY; i++) CHECK_EQ(ran[i], 1);
}

/* ---- ends: joiners, done channels, deferred calls, stacks that go from one to the next ------------------ */
static int ended, deferred;
static void last_words(void *u) {
  CHECK_EQ(deferred++, (int)(intptr_t)u);
  CHECK_EQ(ended, 1);
}
static void mortal(void *u) {
  (void)u;
  CHECK_EQ(gos_defer(last_words, (void *)1), GOS_OK);
  CHECK_EQ(gos_defer(last_words, (void *)0), GOS_OK);
  if (ex_roll(2)) gos_gosched();
  ended = 1;
  if (ex_roll(2)) gos_goexit();
}
static void joiner(void *g) {
  int e = gos_join(g, ex_roll(2) ? GOS_FOREVER : gos_now() + ex_roll(4000));
  CHECK(e == GOS_OK || e == GOS_TIMEDOUT);
  if (e == GOS_OK) CHECK_EQ(deferred, 2);
}
static void on_done(void *g) {
  gos_chan *done = gos_done(g);
  CHECK(done != NULL);
  CHECK_EQ(gos_chan_recv(done, NULL), GOS_CLOSED);
  CHECK_EQ(deferred, 2);
}
static void nothing(void *u) { ++*(int *)u; }
SCENARIO(ends, 3, 0) {
  team t = {0};
  int n = 0;
  gos_g *g = ex_go(mortal, NULL);
  team_go(&t, joiner, g);
  team_go(&t, on_done, g);
  for (int i = 0; i < 3; i++) team_go(&t, nothing, &n); /* each may get the stack of the one before */
  CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
  CHECK_EQ(deferred, 2);
  CHECK_EQ(gos_interrupt(g), GOS_CLOSED);
  team_wait(&t);
  gos_release(g);
  CHECK_EQ(n, 3);
}

/* ---- a thread that blocks in user code: its P goes to others, and it comes back ---------------------------- */
static uint32_t opened;
static gos_chan *c;
static void blocker(void *u) {
  if (u) gos_entersyscall();
  while (!opened) ex_wait(&opened, 0, GOS_FOREVER);
  if (u) gos_exitsyscall();
  int v = 1;
  CHECK_EQ(gos_chan_send(c, &v), GOS_OK);
}
static void opener(void *u) {
  (void)u;
  if (ex_roll(2)) gos_gosched();
  opened = 1;
  ex_wake(&opened);
  ex_wake(&opened);
}
SCENARIO(retake, 2, EX_SYSMON) {
  team t = {0};
  int v;
  c = gos_chan_make(sizeof(int), 0);
  team_go(&t, blocker, (void *)(intptr_t)ex_roll(2));
  team_go(&t, blocker, (void *)(intptr_t)ex_roll(2));
  team_go(&t, opener, NULL);
  if (ex_roll(2)) team_go(&t, runner, NULL);
  CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
  CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
  team_wait(&t);
}

/* ---- a loop that computes beside goroutines that want to run ------------------------------------------------ */
static int hogging;
static void hog(void *u) {
  (void)u;
  hogging = 1;
  for (int i = 0; i < 40; i++) { /* time passes, and it calls in now and then */
    ex_spin();
    if (ex_roll(16) == 0) gos_goid(), (void)gos_chan_len(c), gos_chan_recv_dl(c, NULL, GOS_NOW);
  }
  hogging = 0;
}
SCENARIO(hogs, 2, 0) {
  team t = {0};
  c = gos_chan_make(sizeof(int), 0);
  team_go(&t, hog, NULL);
  team_go(&t, hog, NULL);
  for (intptr_t i = 0; i < 3; i++) team_go(&t, runner, (void *)i);
  team_wait(&t);
}

/* ---- threads from outside ---------------------------------------------------------------------------------- */
static int nsent, nreceived;
static void talk(void *u) {
  for (int i = 0; i < 2; i++) {
    int v = 4, e;
    if (u)
      e = gos_chan_send_dl(c, &v, gos_now() + ex_roll(6000)), nsent += e == GOS_OK;
    else
      e = gos_chan_recv_dl(c, &v, gos_now() + ex_roll(6000)), nreceived += e == GOS_OK;
    CHECK(e == GOS_OK || e == GOS_TIMEDOUT);
    CHECK_EQ(v, 4);
  }
}
SCENARIO(foreign, 2, 0) {
  team t = {0};
  c = gos_chan_make(sizeof(int), 0);
  int x = ex_thread(talk, (void *)1), y = ex_thread(talk, NULL);
  team_go(&t, talk, (void *)(intptr_t)ex_roll(2));
  talk((void *)(intptr_t)ex_roll(2));
  team_wait(&t);
  ex_join(x), ex_join(y);
  CHECK_EQ(nsent, nreceived);
}

static void outside_starter(void *u) { CHECK_EQ(gos_waitgroup_go(&crew.wg, runner, u), GOS_OK); }
SCENARIO(foreign_spawn, 2, 0) {
  CHECK_EQ(gos_waitgroup_add(&crew.wg, 1), GOS_OK);
  int x = ex_thread(outside_starter, (void *)1), y = ex_thread(outside_starter, (void *)2);
  outside_starter((void *)3);
  gos_sleep(1000);
  ex_join(x), ex_join(y);
  CHECK_EQ(gos_waitgroup_done(&crew.wg), GOS_OK);
  CHECK_EQ(gos_waitgroup_wait(&crew.wg), GOS_OK);
  CHECK_EQ(ran[1] + ran[2] + ran[3], 3);
}

/* ---- no thread beside main's can be made --------------------------------------------------------------------- */
SCENARIO(one_thread, 3, EX_ALONE) {
  CHECK_EQ(gos_waitgroup_add(&crew.wg, 1), GOS_OK);
  int x = ex_thread(outside_starter, (void *)1), y = ex_thread(outside_starter, (void *)2);
  outside_starter((void *)3);
  while (ran[1] + ran[2] + ran[3] < 3) CHECK_EQ(gos_sleep(1000), GOS_OK);
  ex_join(x), ex_join(y);
  CHECK_EQ(gos_waitgroup_done(&crew.wg), GOS_OK);
  CHECK_EQ(gos_waitgroup_wait(&crew.wg), GOS_OK);
}
static void sends_once(void *u) {
  int v = 8;
  (void)u;
  CHECK_EQ(gos_chan_send(c, &v), GOS_OK);
}
SCENARIO(one_thread_waits, 2, EX_ALONE) {
  int v, x, y;
  c = gos_chan_make(sizeof(int), 0);
  x = ex_thread(sends_once, NULL), y = ex_thread(sends_once, NULL);
  for (int i = 0; i < 2; i++) CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
  ex_join(x), ex_join(y);
}

/* ---- help from outside that takes its time is no deadlock ------------------------------------------------- */
static void late(void *u) {
  int v = 6;
  (void)u;
  gos_gosched(); /* the runtime knows it from here on */
  for (int i = 0; i < 40; i++) ex_nap(2000000);
  CHECK_EQ(gos_chan_send(c, &v), GOS_OK);
}
SCENARIO(outside_help, 2, EX_SYSMON) {
  int v;
  c = gos_chan_make(sizeof(int), 0);
  int th = ex_thread(late, NULL);
  CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
  CHECK_EQ(v, 6);
  ex_join(th);
}

/* ---- all asleep: main is told, and told only then -------------------------------------------------------------- */
static void stays(void *u) {
  (void)u;
  CHECK_EQ(gos_chan_recv(c, NULL), GOS_CLOSED);
}
SCENARIO(deadlock, 2, EX_SYSMON) {
  team t = {0};
  int v;
  c = gos_chan_make(sizeof(int), 0);
  team_go(&t, stays, NULL);
  team_go(&t, runner, NULL);
  gos_sleep(ex_roll(100000));
  ex_expect_deadlock();
  CHECK_EQ(gos_chan_recv(c, &v), GOS_DEADLOCK);
  CHECK_EQ(ex_deadlocks(), 1);
  CHECK_EQ(gos_chan_close(c), GOS_OK);
  team_wait(&t);
}
