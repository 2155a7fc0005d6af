/* Ends of contexts when there is no memory for what they promised: graces whose timer cannot be had end at once, and
 * functions that cannot start are refused, or start later. Many at a time, so that tables have to grow.
 * SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"

enum { MANY = 70 };
static const gos_ns hour = 3600000 * MS;
static atomic_int ran;
static void counts(void *arg) { (void)arg, ran++; }

/* Below one that lives: the timers are asked for when it ends. */
static void graces(void) {
  gos_ctx *x = gos_with_cancel(NULL), *g[MANY];
  if (!GOT(x)) return;
  for (int i = 0; i < MANY; i++) {
    g[i] = gos_with_grace(x, hour);
    if (GOT(g[i])) CHECK_EQ(gos_ctx_err(g[i]), GOS_OK);
  }
  gos_cancel(x, 7);
  for (int i = 0; i < MANY; i++) {
    if (!g[i]) continue;
    int e = gos_ctx_err(g[i]);
    CHECK(e == GOS_OK || (e == GOS_CANCELED && faults_fired())); /* rather now than never */
    if (e) CHECK_EQ(gos_ctx_cause(g[i]), 7);
  }
  for (int i = 0; i < MANY; i++) gos_ctx_release(g[i]);
  gos_ctx_release(x);
}

/* Below one that has ended: the timer is asked for at once. */
static void graces_of_the_ended(void) {
  gos_ctx *x = gos_with_cancel(NULL), *g[MANY];
  if (!GOT(x)) return;
  gos_cancel(x, 0);
  for (int i = 0; i < MANY; i++) {
    g[i] = gos_with_grace(x, hour);
    if (GOT(g[i])) CHECK_EQ(gos_ctx_err(g[i]), GOS_OK);
  }
  for (int i = 0; i < MANY; i++) gos_ctx_release(g[i]);
  gos_ctx_release(x);
}

/* Functions of one that has ended start now, or are refused; so do asked-for channels of single flights. */
static gos_chan *gate;
static void waits(void *arg) {
  gos_chan_recv(gate, NULL);
  counts(arg);
}
static int waits_too(void *arg, void **val) {
  waits(*val = arg);
  return 0;
}
static void at_once(void) {
  int promised = 0, asked = 0;
  void *stop[MANY] = {NULL};
  gos_chan *c[MANY] = {NULL};
  gos_flight *f = gos_flight_new();
  gos_ctx *x = gos_with_cancel(NULL);
  gate = gos_chan_make(0, 0);
  ran = 0;
  if (GOT(x) && GOT(f) && GOT(gate)) {
    gos_cancel(x, 0);
    for (int i = 0; i < MANY; i++) {
      char key[16];
      snprintf(key, sizeof key, "%d", i);
      promised += WORKED(gos_ctx_after_func(x, waits, NULL, i % 2 ? &stop[i] : NULL));
      c[i] = gos_flight_do_chan(f, key, waits_too, &gate);
      asked += GOT(c[i]);
    }
    CHECK_EQ(gos_chan_close(gate), GOS_OK);
    for (int i = 0; i < MANY; i++) {
      struct gos_flight_result r = {1, NULL, 0};
      if (stop[i]) CHECK_EQ(gos_ctx_stop(stop[i]), 0);
      if (!c[i]) continue;
      CHECK_EQ(gos_chan_recv(c[i], &r), GOS_OK);
      if (WORKED(r.err)) {
        CHECK(r.val == &gate);
      } else {
        asked--; /* it could not start, and its channel says so */
      }
      gos_chan_release(c[i]);
    }
    settle();
    CHECK_EQ(ran, promised + asked);
  }
  gos_chan_release(gate);
  gos_ctx_release(x);
  gos_flight_free(f);
}

/* An interrupt that comes before its goroutine waits is not lost, whatever orders the two. */
static void is_interrupted(void *arg) { CHECK_EQ(gos_chan_recv(NULL, arg), GOS_CANCELED); }
static void interrupts(void) {
  for (int i = 0; i < 10; i++) {
    int e;
    gos_g *g = gos_go_opts(NULL, is_interrupted, NULL, &e);
    if (!WORKED(e)) continue;
    if (i % 2) gos_gosched();
    CHECK_EQ(gos_interrupt(g), GOS_OK);
    CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
    gos_release(g);
  }
}

void workload(void) {
  interrupts();
  graces();
  graces_of_the_ended();
  at_once();
}
