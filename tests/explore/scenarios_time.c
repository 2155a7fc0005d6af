/* Timers, sleeps, idle threads. SPDX-License-Identifier: Apache-2.0 */
#include "team.h"

static gos_timer *timer;
static gos_ns set_at[8]; /* when each arming may fire at the earliest */
static int armed, ticks, calls;

/* ---- stop and reset against the firing ---------------------------------------------------------- */
static void busy(void *u) {
  for (int i = 0; i < 4; i++) gos_gosched();
  if (u) CHECK_EQ(gos_sleep(1500), GOS_OK);
}
SCENARIO(timer_stop, 3, 0) {
  team t = {0};
  gos_ns v;
  team_go(&t, busy, (void *)1);
  team_go(&t, busy, NULL);
  timer = gos_timer_new(ex_roll(2000));
  CHECK(timer != NULL);
  for (int i = 0; i < 3; i++) {
    if (ex_roll(2)) gos_gosched();
    int was = gos_timer_stop(timer);
    CHECK(was == 0 || was == 1);
    CHECK_EQ(gos_chan_recv_dl(gos_timer_c(timer), &v, GOS_NOW), GOS_WOULDBLOCK);
    gos_ns d = ex_roll(2000), earliest = gos_now() + d;
    CHECK_EQ(gos_timer_reset(timer, d), 0);
    if (ex_roll(2)) continue;
    CHECK_EQ(gos_chan_recv(gos_timer_c(timer), &v), GOS_OK);
    CHECK(v >= earliest && gos_now() >= v);
    CHECK_EQ(gos_timer_stop(timer), 0);
  }
  gos_timer_free(timer);
  team_wait(&t);
}

/* ---- a receiver beside: as many ticks as armings at most, none before its time ------------------------ */
static void tick_taker(void *u) {
  gos_ns v, earliest = set_at[0];
  (void)u;
  while (gos_chan_recv_dl(gos_timer_c(timer), &v, gos_now() + 20000) == GOS_OK) {
    for (int i = 1; i < armed; i++)
      if (set_at[i] < earliest) earliest = set_at[i];
    CHECK(v >= earliest && gos_now() >= v);
    ticks++;
  }
}
SCENARIO(timer_reset, 3, 0) {
  team t = {0};
  gos_ns d = ex_roll(1500);
  set_at[armed++] = gos_now() + d;
  timer = gos_timer_new(d);
  team_go(&t, tick_taker, NULL);
  int taken_back = 0;
  for (int i = 0; i < 3; i++) {
    if (ex_roll(2)) gos_sleep(ex_roll(1500));
    d = ex_roll(1500);
    set_at[armed++] = gos_now() + d;
    int was = gos_timer_reset(timer, d);
    CHECK(was == 0 || was == 1);
    taken_back += was;
  }
  team_wait(&t);
  /* Every arming was received, or taken back, or is still to come. */
  gos_ns v;
  if (ticks + taken_back < armed) {
    CHECK_EQ(gos_chan_recv(gos_timer_c(timer), &v), GOS_OK);
    ticks++;
  }
  CHECK_EQ(ticks + taken_back, armed);
  CHECK_EQ(gos_timer_stop(timer), 0);
  CHECK_EQ(gos_chan_recv_dl(gos_timer_c(timer), &v, GOS_NOW), GOS_WOULDBLOCK);
  gos_timer_free(timer);
}

/* ---- a stopped function never runs, one that was not stopped runs once --------------------------------- */
static void count_call(void *u) { (void)u, calls++; }
SCENARIO(after_func, 3, 0) {
  team t = {0};
  team_go(&t, busy, (void *)1);
  timer = gos_after_func(ex_roll(2500), count_call, NULL);
  CHECK(timer != NULL);
  if (ex_roll(2)) gos_gosched();
  if (ex_roll(2)) gos_sleep(ex_roll(2000));
  int was = gos_timer_stop(timer);
  CHECK(was == 0 || was == 1);
  team_wait(&t);
  while (!was && !calls) gos_sleep(1000);
  gos_sleep(5000);
  CHECK_EQ(calls, !was);
  gos_timer_free(timer);
}

/* ---- everybody sleeps: somebody keeps the time, and a thread from outside can end it ----------------------- */
static gos_chan *c;
static void sleeper(void *u) {
  (void)u;
  for (int i = 0; i < 2; i++) {
    gos_ns d = ex_roll(300000), t0 = gos_now();
    CHECK_EQ(gos_sleep(d), GOS_OK);
    CHECK(gos_now() >= t0 + d);
  }
}
static void send_three(void *u) {
  int v = 3;
  (void)u;
  CHECK_EQ(gos_chan_send(c, &v), GOS_OK);
}
static void outsider(void *u) {
  if (ex_roll(2)) { /* by a timer that a thread without a P sets */
    timer = gos_after_func(ex_roll(20000), send_three, NULL);
    CHECK(timer != NULL);
  } else {
    send_three(u);
  }
}
static void listener(void *u) {
  int v = 0;
  (void)u;
  CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
  CHECK_EQ(v, 3);
}
SCENARIO(idle, 3, 0) {
  team t = {0};
  c = gos_chan_make(sizeof(int), 0);
  team_go(&t, sleeper, NULL);
  team_go(&t, sleeper, NULL);
  team_go(&t, listener, NULL);
  int th = ex_thread(outsider, NULL);
  if (ex_roll(2)) sleeper(NULL);
  team_wait(&t);
  ex_join(th);
}
