/* Channels, select, timeouts, interrupts. SPDX-License-Identifier: Apache-2.0 */
#include "team.h"

static gos_chan *a, *b, *c;

/* ---- two goroutines, one value there and back ------------------------------------------------ */
static void ponger(void *u) {
  (void)u;
  for (int i = 0; i < 3; i++) {
    long v;
    CHECK_EQ(gos_chan_recv(a, &v), GOS_OK);
    v += 100;
    CHECK_EQ(gos_chan_send(b, &v), GOS_OK);
  }
}
SCENARIO(ping_pong, 2, 0) {
  team t = {0};
  a = gos_chan_make(sizeof(long), 0), b = gos_chan_make(sizeof(long), 0);
  team_go(&t, ponger, NULL);
  for (long i = 0, v; i < 3; i++) {
    CHECK_EQ(gos_chan_send(a, &i), GOS_OK);
    CHECK_EQ(gos_chan_recv(b, &v), GOS_OK);
    CHECK_EQ(v, i + 100);
  }
  team_wait(&t);
}

/* ---- two senders, two receivers: each value once, each sender's in order ------------------------ */
enum { EACH = 3 };
static int got[2 * EACH], nsent, nreceived;
static void sender(void *u) {
  for (int i = 0; i < EACH; i++) {
    int v = (int)(intptr_t)u * EACH + i;
    CHECK_EQ(gos_chan_send(c, &v), GOS_OK);
    nsent++;
  }
}
static void receiver(void *u) {
  int last[2] = {-1, -1}, v, e;
  (void)u;
  while ((e = gos_chan_recv(c, &v)) == GOS_OK) {
    CHECK(v >= 0 && v < 2 * EACH && !got[v]);
    CHECK(v > last[v / EACH]);
    last[v / EACH] = v;
    got[v] = 1;
    nreceived++;
  }
  CHECK_EQ(e, GOS_CLOSED);
  CHECK_EQ(v, 0);
}
SCENARIO(buffered, 3, 0) {
  team senders = {0}, receivers = {0};
  c = gos_chan_make(sizeof(int), ex_roll(3));
  for (intptr_t i = 0; i < 2; i++) team_go(&senders, sender, (void *)i), team_go(&receivers, receiver, NULL);
  team_wait(&senders);
  CHECK_EQ(gos_chan_close(c), GOS_OK);
  team_wait(&receivers);
  CHECK_EQ(nreceived, 2 * EACH);
}

/* ---- close against send, receive and select: what was taken comes out ------------------------------ */
static void closing_sender(void *u) {
  (void)u;
  for (int v = 0; v < 2; v++) {
    int e = gos_chan_send(c, &v);
    CHECK(e == GOS_OK || e == GOS_CLOSED);
    nsent += e == GOS_OK;
  }
}
static void closing_selector(void *u) {
  int v = 7, w = -1;
  (void)u;
  gos_case cs[] = {GOS_RECV(c, &w), ex_roll(2) ? (gos_case)GOS_SEND(c, &v) : (gos_case)GOS_RECV(a, &v)};
  int k = gos_select(cs, 2, GOS_FOREVER);
  CHECK(k == 0 || k == 1 || k == GOS_CLOSED);
  if (k == 0 && cs[0].ok) nreceived++;
  if (k == 0 && !cs[0].ok) CHECK_EQ(w, 0);
  if (k == 1 && cs[1].op == 2) nsent++;
  if (k == GOS_CLOSED) CHECK_EQ(cs[1].ok, -1);
}
static void closing_receiver(void *u) {
  int v = -1, e = gos_chan_recv(c, &v);
  (void)u;
  CHECK(e == GOS_OK || (e == GOS_CLOSED && v == 0));
  nreceived += e == GOS_OK;
}
static void closer(void *u) {
  (void)u;
  if (ex_roll(2)) gos_gosched();
  CHECK_EQ(gos_chan_close(c), GOS_OK);
}
SCENARIO(close_race, 3, 0) {
  team t = {0};
  int v;
  a = gos_chan_make(sizeof(int), 0);
  c = gos_chan_make(sizeof(int), ex_roll(2));
  team_go(&t, closing_sender, NULL);
  team_go(&t, closing_selector, NULL);
  if (ex_roll(2)) team_go(&t, closing_receiver, NULL);
  team_go(&t, closer, NULL);
  team_wait(&t);
  while (gos_chan_recv(c, &v) == GOS_OK) nreceived++;
  CHECK_EQ(nsent, nreceived);
  CHECK_EQ(gos_chan_close(c), GOS_CLOSED);
  gos_chan_release(c);
  gos_chan_release(a);
}

/* ---- select against select, on crossed channels ---------------------------------------------------- */
static int moved[2];
static void crosser(void *u) {
  bool first = u != NULL;
  for (int i = 0; i < 2; i++) {
    int out = 10 + i, in = -1;
    gos_case cs[] = {GOS_SEND(first ? a : b, &out), GOS_RECV(first ? b : a, &in)};
    if (ex_roll(2)) { /* the other way round */
      gos_case x = cs[0];
      cs[0] = cs[1];
      cs[1] = x;
    }
    int k = gos_select(cs, 2, GOS_FOREVER);
    CHECK(k == 0 || k == 1);
    CHECK_EQ(cs[k].ok, 1);
    moved[cs[k].op == 2]++;
    if (cs[k].op == 1)
      CHECK(in >= 10);
    else
      CHECK_EQ(in, -1);
  }
}
SCENARIO(select_cross, 3, 0) {
  team t = {0};
  a = gos_chan_make(sizeof(int), 0), b = gos_chan_make(sizeof(int), 0);
  team_go(&t, crosser, (void *)1);
  team_go(&t, crosser, NULL);
  team_wait(&t);
  CHECK_EQ(moved[0], 2);
  CHECK_EQ(moved[1], 2);
}

/* ---- several selects with deadlines on the same channels: as many sends as receives ------------------- */
static void chooser(void *u) {
  gos_chan *cs_of[] = {a, b, c, NULL};
  (void)u;
  for (int i = 0; i < 2; i++) {
    gos_case cs[3];
    int v[3], n = 1 + (int)ex_roll(3);
    for (int j = 0; j < n; j++) v[j] = 5, cs[j] = (gos_case){(int)ex_roll(3), cs_of[ex_roll(4)], &v[j], 0};
    int k = (ex_roll(4) ? gos_select : gos_select_ordered)(cs, n, gos_now() + ex_roll(4000));
    CHECK(k == GOS_TIMEDOUT || (k >= 0 && k < n));
    if (k < 0) continue;
    CHECK(cs[k].op != 0 && cs[k].c != NULL);
    CHECK_EQ(cs[k].ok, 1);
    CHECK_EQ(v[k], 5);
    moved[cs[k].op == 2]++;
  }
}
SCENARIO(select_many, 3, 0) {
  team t = {0};
  int v;
  a = gos_chan_make(sizeof(int), 0), b = gos_chan_make(sizeof(int), 1), c = gos_chan_make(sizeof(int), 0);
  for (int i = 0; i < 3; i++) team_go(&t, chooser, NULL);
  team_wait(&t);
  while (gos_chan_recv_dl(b, &v, GOS_NOW) == GOS_OK) moved[0]++;
  CHECK_EQ(moved[0], moved[1]);
  /* Nobody waits there any more: a stale place in a queue would take the value. */
  v = 5;
  CHECK_EQ(gos_chan_send_dl(a, &v, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_chan_send_dl(b, &v, GOS_NOW), GOS_OK);
  CHECK_EQ(gos_chan_recv_dl(c, &v, GOS_NOW), GOS_WOULDBLOCK);
}

/* ---- a deadline against the partner ------------------------------------------------------------------- */
static void timed_sender(void *u) {
  (void)u;
  for (int v = 1; v <= 2; v++) {
    int kept = v, e = gos_chan_send_dl(c, &kept, gos_now() + ex_roll(3000));
    CHECK(e == GOS_OK || e == GOS_TIMEDOUT);
    CHECK_EQ(kept, v);
    nsent += e == GOS_OK ? v : 0;
  }
}
static void timed_receiver(void *u) {
  (void)u;
  for (int i = 0; i < 2; i++) {
    int v = -1, e = gos_chan_recv_dl(c, &v, gos_now() + ex_roll(3000));
    CHECK(e == GOS_OK || (e == GOS_TIMEDOUT && v == -1));
    nreceived += e == GOS_OK ? v : 0;
  }
}
SCENARIO(timeouts, 3, 0) {
  team t = {0};
  c = gos_chan_make(sizeof(int), 0);
  team_go(&t, timed_sender, NULL);
  team_go(&t, timed_receiver, NULL);
  if (ex_roll(2)) timed_receiver(NULL);
  team_wait(&t);
  CHECK_EQ(nsent, nreceived);
}

/* ---- an interrupt ends this wait or the next one, never none -------------------------------------------- */
static void interrupted(void *u) {
  int v = 1,
      e = u ? gos_chan_send_dl(c, &v, ex_roll(2) ? GOS_FOREVER : gos_now() + ex_roll(3000)) : gos_chan_recv(c, &v);
  CHECK(e == GOS_OK || e == GOS_TIMEDOUT || e == GOS_CANCELED);
  if (e == GOS_OK) u ? nsent++ : nreceived++;
  if (e != GOS_CANCELED) CHECK_EQ(gos_chan_recv(NULL, NULL), GOS_CANCELED);
  CHECK_EQ(gos_chan_recv_dl(NULL, NULL, gos_now() + ex_roll(500)), GOS_TIMEDOUT); /* and it ends one only */
}
static void interrupter(void *g) { CHECK_EQ(gos_interrupt(g), GOS_OK); }
SCENARIO(interrupts, 3, 0) {
  c = gos_chan_make(sizeof(int), 0);
  gos_g *s = ex_go(interrupted, (void *)1), *r = ex_go(interrupted, NULL), *i = ex_go(interrupter, s);
  if (ex_roll(2)) gos_gosched();
  interrupter(r);
  ex_finish(s), ex_finish(r), ex_finish(i);
  CHECK_EQ(nsent, nreceived);
}

/* ---- who is seen waiting is there for whoever does not wait ----------------------------------------------- */
static void waits_once(void *u) {
  int v = u ? 9 : -1;
  gos_case k = u ? (gos_case)GOS_SEND(c, &v) : (gos_case)GOS_RECV(c, &v);
  if (ex_roll(2))
    CHECK_EQ(gos_select(&k, 1, GOS_FOREVER), 0);
  else
    CHECK_EQ(u ? gos_chan_send(c, &v) : gos_chan_recv(c, &v), GOS_OK);
  CHECK_EQ(v, 9);
}
static void sees(void *g) {
  int v = 9, e;
  gos_info i;
  while (gos_info_get(g, &i, sizeof i), strcmp(i.status, "waiting")) ex_spin();
  bool sends = nsent;
  if (ex_roll(2)) {
    gos_case k = sends ? (gos_case)GOS_RECV(c, &v) : (gos_case)GOS_SEND(c, &v);
    e = gos_select(&k, 1, GOS_NOW);
  } else {
    e = sends ? gos_chan_recv_dl(c, &v, GOS_NOW) : gos_chan_send_dl(c, &v, GOS_NOW);
  }
  CHECK_EQ(e, GOS_OK);
}
SCENARIO(seen_waiting, 3, 0) {
  c = gos_chan_make(sizeof(int), 0);
  nsent = (int)ex_roll(2);
  gos_g *g = ex_go(waits_once, nsent ? &nsent : NULL);
  int th = ex_thread(sees, g);
  CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
  ex_join(th);
  gos_release(g);
}
