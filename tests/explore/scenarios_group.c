/* Semaphore and singleflight under interrupts and deadlines. SPDX-License-Identifier: Apache-2.0 */
#include "team.h"

/* ---- big requests give up at any moment; what they held up goes on ------------------------------------ */
static gos_sem *sem;
static int held;
static void holds(int64_t n) {
  CHECK((held += (int)n) <= 3);
  ex_roll(2) ? ex_point() : gos_gosched();
  held -= (int)n;
  CHECK_EQ(gos_sem_release(sem, n), GOS_OK);
}
static void small(void *n) {
  CHECK_EQ(gos_sem_acquire(sem, (intptr_t)n), GOS_OK);
  holds((intptr_t)n);
}
static void big(void *u) {
  gos_ns dl = u ? gos_now() + ex_roll(4000) : GOS_FOREVER;
  int e = gos_sem_acquire_dl(sem, 3, dl);
  CHECK(e == GOS_OK || (u && e == GOS_TIMEDOUT && gos_now() >= dl) || (!u && e == GOS_CANCELED));
  if (e == GOS_OK) holds(3);
}
SCENARIO(semaphore_cancel, 3, 0) {
  team t = {0};
  CHECK(sem = gos_sem_new(3));
  bool taken = ex_roll(2); /* held to the end: big ones can only give up */
  if (taken) CHECK_EQ(gos_sem_acquire(sem, 1), GOS_OK);
  int outside = ex_roll(2) ? ex_thread(big, &t) : 0;
  gos_g *g = ex_go(big, NULL);
  team_go(&t, small, (void *)1);
  team_go(&t, big, &t);
  team_go(&t, small, (void *)2);
  if (ex_roll(2)) gos_gosched();
  CHECK(gos_interrupt(g) == GOS_OK || !gos_g_alive(g));
  ex_finish(g);
  team_wait(&t);
  if (outside) ex_join(outside);
  if (taken) CHECK_EQ(gos_sem_release(sem, 1), GOS_OK);
  CHECK_EQ(gos_sem_try_acquire(sem, 3), GOS_OK);
  CHECK_EQ(gos_sem_release(sem, 4), GOS_PERM);
  gos_sem_free(sem);
}

/* ---- one at a time does the work, and all who ask meanwhile get what it found --------------------------- */
enum { MOST = 8 };
static gos_flight *group;
static int begun, flying, ended[MOST], forgotten;
static int flies(void *u, void **val) {
  int me = begun++;
  (void)u;
  CHECK(me < MOST);
  CHECK(flying <= forgotten);
  flying++;
  uint32_t how = ex_roll(3);
  how == 0 ? ex_point() : how == 1 ? gos_gosched() : (void)gos_sleep(ex_roll(2000));
  flying--;
  ended[me] = 1;
  *val = &ended[me];
  return 40 + me;
}
static void arrived(int err, void *val) {
  int i = err - 40;
  CHECK(i >= 0 && i < begun);
  CHECK(val == &ended[i] && ended[i]);
}
static void asks(void *u) {
  void *val = NULL;
  int shared = -1, e = gos_flight_do(group, "key", flies, u, &val, &shared);
  arrived(e, val);
  CHECK(shared == 0 || shared == 1);
}
static void asks_by_channel(void *u) {
  struct gos_flight_result r = {0, NULL, -1};
  gos_chan *c = gos_flight_do_chan(group, "key", flies, u);
  CHECK(c);
  CHECK_EQ(gos_chan_recv(c, &r), GOS_OK);
  arrived(r.err, r.val);
  gos_chan_release(c);
}
SCENARIO(flight, 3, EX_THREADS) {
  team t = {0};
  CHECK(group = gos_flight_new());
  int outside = ex_roll(2) ? ex_thread(asks, NULL) : 0;
  for (int i = 0; i < 2; i++) team_go(&t, asks, NULL), team_go(&t, asks_by_channel, NULL);
  if (ex_roll(4) == 0) {
    forgotten = 1;
    gos_flight_forget(group, "key");
  }
  asks(NULL);
  team_wait(&t);
  if (outside) ex_join(outside);
  int before = begun;
  asks(NULL); /* what has ended is not remembered */
  CHECK_EQ(begun, before + 1);
  gos_flight_free(group);
}
