/* Channels of all kinds, and select. SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"

enum { VALUES = 50, CASES = 20 };
static const size_t caps[] = {0, 1, 7, 64};

struct stream {
  gos_chan *c;
  long sum;
  int got;
};
static void receives(void *arg) {
  struct stream *s = arg;
  long v;
  while (gos_chan_recv(s->c, &v) == GOS_OK) s->sum += v, s->got++;
}
static void streams(void) {
  for (size_t k = 0; k < sizeof caps / sizeof *caps; k++) {
    struct stream s = {gos_chan_make(sizeof(long), caps[k]), 0, 0};
    if (!GOT(s.c)) continue;
    int e;
    gos_g *g = gos_go_opts(NULL, receives, &s, &e);
    if (WORKED(e)) {
      for (long v = 1; v <= VALUES; v++) CHECK_EQ(gos_chan_send(s.c, &v), GOS_OK);
      CHECK_EQ(gos_chan_close(s.c), GOS_OK);
      CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
      gos_release(g);
      CHECK_EQ(s.got, VALUES);
      CHECK_EQ(s.sum, VALUES * (VALUES + 1) / 2);
    }
    gos_chan_release(s.c);
  }
}

static int freed;
static void drops(void *elem) { freed += *(int *)elem; }
static void left_inside(void) {
  gos_chan *c = gos_chan_make(sizeof(int), 4);
  if (!GOT(c)) return;
  freed = 0;
  gos_chan_set_dtor(c, drops);
  for (int v = 1; v <= 4; v++) CHECK_EQ(gos_chan_send(c, &v), GOS_OK);
  CHECK_EQ(gos_chan_send_dl(c, &(int){5}, GOS_NOW), GOS_WOULDBLOCK);
  gos_chan_release(c);
  CHECK_EQ(freed, 1 + 2 + 3 + 4);
}

/* A wait that needs a timer and gets no memory for it: refused, and nothing of it stays in the queue. */
static void deadlines(void) {
  gos_chan *c = gos_chan_make(sizeof(int), 0);
  if (!GOT(c)) return;
  int v = 5;
  for (int i = 0; i < 3; i++) {
    int e = gos_chan_recv_dl(c, &v, gos_now() + MS / 20);
    if (e != GOS_TIMEDOUT) WORKED(e == GOS_OK ? GOS_INVAL : e);
    e = gos_chan_send_dl(c, &v, gos_now() + MS / 20);
    if (e != GOS_TIMEDOUT) WORKED(e == GOS_OK ? GOS_INVAL : e);
    CHECK_EQ(v, 5);
    CHECK_EQ(gos_chan_recv_dl(c, &v, GOS_NOW), GOS_WOULDBLOCK);
    CHECK_EQ(gos_chan_send_dl(c, &v, GOS_NOW), GOS_WOULDBLOCK);
  }
  gos_chan_release(c);
}

struct many {
  gos_chan *c[CASES];
  int sent;
};
static void feeds(void *arg) {
  struct many *m = arg;
  for (int i = 0; i < CASES; i++)
    if (gos_chan_send(m->c[i], &i) == GOS_OK) m->sent++;
}
/* More cases than fit on the stack, from a goroutine that is sent to in turn. */
static void selects(void) {
  struct many m = {0};
  gos_case cs[CASES];
  int v[CASES], got = 0, refused = 0, e;
  bool whole = true;
  for (int i = 0; i < CASES; i++) {
    m.c[i] = gos_chan_make(sizeof(int), 0);
    whole = GOT(m.c[i]) && whole;
    cs[i] = (gos_case)GOS_RECV(m.c[i], &v[i]);
  }
  gos_g *g = whole ? gos_go_opts(NULL, feeds, &m, &e) : NULL;
  if (whole && WORKED(e)) {
    while (got < CASES) {
      int k = got % 3 ? gos_select(cs, CASES, GOS_FOREVER) : gos_select(cs, CASES, gos_now() + MS * 1000);
      if (!WORKED(k)) {
        if (++refused == 3) break; /* so many cases need memory each time */
        continue;
      }
      CHECK_EQ(k, got);
      CHECK_EQ(v[k], got);
      CHECK(cs[k].ok == 1);
      got++;
      if (faults_fired() && k == CASES / 2) break; /* not all of them while memory is short */
    }
    for (int i = 0; i < CASES; i++) gos_chan_close(m.c[i]);
    CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
    CHECK_EQ(m.sent, got);
    gos_release(g);
  }
  for (int i = 0; i < CASES; i++) gos_chan_release(m.c[i]);
}

void workload(void) {
  streams();
  left_inside();
  deadlines();
  selects();
}
