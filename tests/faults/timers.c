/* Sleeps, timers, tickers: with hundreds at once, so that the heap has to grow.
 * SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"

enum { SLEEPERS = 150, TIMERS = 150 };
static atomic_int ran;
static void counts(void *arg) { (void)arg, atomic_fetch_add(&ran, 1); }

static void sleeps(void *arg) {
  gos_ns begin = gos_now();
  if (WORKED(gos_sleep(MS / 2))) CHECK(gos_now() - begin >= MS / 2);
  counts(arg);
}
static void sleepers(void) {
  int started = 0;
  ran = 0;
  for (int i = 0; i < SLEEPERS; i++) started += WORKED(gos_go(sleeps, NULL));
  settle();
  CHECK_EQ(ran, started);
}

static void timers(void) {
  static gos_timer *t[TIMERS];
  for (int i = 0; i < TIMERS; i++) {
    t[i] = gos_timer_new(i % 2 ? MS / 10 : 3600000 * MS);
    (void)GOT(t[i]);
  }
  for (int i = 0; i < TIMERS; i++) {
    if (!t[i]) continue;
    gos_ns at = 0;
    if (i % 2) {
      CHECK_EQ(gos_chan_recv(gos_timer_c(t[i]), &at), GOS_OK);
      CHECK(at > 0);
      CHECK_EQ(gos_timer_stop(t[i]), 0);
    }
    int e = gos_timer_reset(t[i], MS / 20);
    if (WORKED(e)) {
      CHECK_EQ(e, i % 2 ? 0 : 1);
      CHECK_EQ(gos_chan_recv(gos_timer_c(t[i]), &at), GOS_OK);
    }
    CHECK_EQ(gos_timer_stop(t[i]), 0); /* a reset that was refused has disarmed it */
    CHECK_EQ(gos_chan_recv_dl(gos_timer_c(t[i]), NULL, GOS_NOW), GOS_WOULDBLOCK);
    gos_timer_free(t[i]);
  }
}

static void ticker(void) {
  gos_timer *t = gos_ticker_new(MS / 10);
  if (!GOT(t)) return;
  gos_ns last = 0, at;
  for (int i = 0; i < 3; i++) {
    CHECK_EQ(gos_chan_recv(gos_timer_c(t), &at), GOS_OK);
    CHECK(at > last);
    last = at;
  }
  gos_timer_free(t);
}

static void after(void) {
  gos_chan *c = gos_after(MS / 20), *unread = gos_after(3600000 * MS);
  gos_ns at = 0;
  if (GOT(c)) CHECK_EQ(gos_chan_recv(c, &at), GOS_OK);
  (void)GOT(unread);
  gos_chan_release(c);
  gos_chan_release(unread);
}

void workload(void) {
  sleepers();
  timers();
  ticker();
  after();
}
