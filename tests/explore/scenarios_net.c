/* File descriptors: os_explore.c has some that become ready when the scenario says so.
 * SPDX-License-Identifier: Apache-2.0 */
#include "team.h"

enum { FDS = 3, READS = 3 };
static int reads, ended;

/* ---- a reader a file, woken as often as something comes ---------------------------------------- */
static void waits(void *u) {
  int fd = (int)(intptr_t)u;
  for (int i = 0; i < READS; i++) {
    int e = gos_fd_wait(fd, GOS_READ, GOS_FOREVER);
    CHECK_EQ(e, GOS_READ);
    ex_fd_ready(fd, GOS_WRITE); /* read: nothing is left */
    reads++;
  }
}
static void feeds(void *u) {
  for (int n = 0; n < FDS * READS;) {
    int before = n;
    for (int fd = 0; fd < FDS; fd++) ex_fd_ready(fd, GOS_READ | GOS_WRITE);
    while ((n = reads) == before) u ? ex_spin() : gos_gosched();
  }
}
SCENARIO(fd_wait, 3, EX_SYSMON) {
  team t = {0};
  for (int fd = 0; fd < FDS; fd++) team_go(&t, waits, (void *)(intptr_t)fd);
  if (ex_roll(2)) {
    int th = ex_thread(feeds, (void *)1);
    team_wait(&t);
    ex_join(th);
  } else {
    feeds(NULL);
    team_wait(&t);
  }
  CHECK_EQ(reads, FDS * READS);
}

/* ---- deadlines and interrupts: a wait ends once, and says the truth --------------------------------- */
static gos_g *victim;
static void some_wait(void *u) {
  (void)u;
  for (int i = 0; i < READS; i++) {
    int e = gos_fd_wait(0, GOS_READ | GOS_WRITE, some_deadline(20000));
    CHECK(e == GOS_READ || e == GOS_TIMEDOUT || e == GOS_WOULDBLOCK || e == GOS_CANCELED);
    ended++;
  }
}
static void comes_and_goes(void *u) {
  (void)u;
  while (ended < READS) {
    ex_fd_ready(0, GOS_READ);
    ex_spin();
    if (ex_roll(2)) ex_fd_ready(0, 0);
    if (ex_roll(8) == 0) gos_interrupt(victim);
  }
}
SCENARIO(fd_deadline, 2, EX_SYSMON) {
  victim = ex_go(some_wait, NULL);
  int th = ex_thread(comes_and_goes, NULL);
  CHECK_EQ(gos_join(victim, GOS_FOREVER), GOS_OK);
  ex_join(th);
  gos_release(victim);
  CHECK_EQ(ended, READS);
}

/* ---- select over a channel and a file ------------------------------------------------------------------ */
static gos_chan *c;
static int taken[2];
static void chooses(void *u) {
  (void)u;
  for (int left = READS * 2; left; left--) {
    int v;
    gos_case k[] = {GOS_RECV(c, &v), GOS_FD(1, GOS_READ)};
    int e = gos_select(k, 2, GOS_FOREVER);
    CHECK(e == 0 || e == 1);
    if (e == 1) ex_fd_ready(1, 0);
    taken[e]++;
  }
}
static void sends(void *u) {
  (void)u;
  for (int i = 0; i < READS; i++) CHECK_EQ(gos_chan_send(c, &i), GOS_OK);
}
static void makes_ready(void *u) {
  (void)u;
  for (int i = 0; i < READS; i++) {
    ex_fd_ready(1, GOS_READ);
    while (taken[1] == i) ex_spin();
  }
}
SCENARIO(fd_select, 3, EX_SYSMON) {
  team t = {0};
  c = gos_chan_make(sizeof(int), ex_roll(2));
  team_go(&t, chooses, NULL);
  team_go(&t, sends, NULL);
  int th = ex_thread(makes_ready, NULL);
  team_wait(&t);
  ex_join(th);
  CHECK_EQ(taken[0], READS);
  CHECK_EQ(taken[1], READS);
  gos_chan_release(c);
}

/* ---- a close ends who waits -------------------------------------------------------------------------------- */
static void until_closed(void *u) {
  (void)u;
  int e = gos_fd_wait(2, GOS_READ, GOS_FOREVER);
  CHECK(e == GOS_CLOSED || e == GOS_SYS(9));
  ended++;
}
SCENARIO(fd_close, 3, 0) {
  team t = {0};
  team_go(&t, until_closed, NULL);
  team_go(&t, until_closed, NULL);
  while (gos_num_goroutine() > 1 && ended < 2) {
    gos_gosched();
    CHECK_EQ(gos_fd_forget(2), GOS_OK); /* one that came later waits for the next */
  }
  team_wait(&t);
}
