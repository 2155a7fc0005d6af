/* Calls that do not wait, decided without a lock where they can be: what they find is what there is.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static int try_send(gos_chan *c, bool by_select) {
  long v = 5;
  gos_case k = GOS_SEND(c, &v);
  return by_select ? gos_select(&k, 1, GOS_NOW) : gos_chan_send_dl(c, &v, GOS_NOW);
}
static int try_recv(gos_chan *c, bool by_select, long want) {
  long v = 7;
  gos_case k = GOS_RECV(c, &v);
  int e = by_select ? gos_select(&k, 1, GOS_NOW) : gos_chan_recv_dl(c, &v, GOS_NOW);
  if (e != GOS_WOULDBLOCK) CHECK_EQ(v, want);
  if (by_select && e == 0) return k.ok ? GOS_OK : GOS_CLOSED;
  return e;
}

TEST(closed_ones) {
  for (int by_select = 0; by_select < 2; by_select++)
    for (size_t cap = 0; cap < 3; cap++)
      for (size_t full = 0; full <= cap; full++) {
        gos_chan *c = gos_chan_make(sizeof(long), cap);
        for (size_t i = 0; i < full; i++) CHECK_EQ(try_send(c, by_select), by_select ? 0 : GOS_OK);
        if (full == cap) CHECK_EQ(try_send(c, by_select), GOS_WOULDBLOCK);
        if (full == 0) CHECK_EQ(try_recv(c, by_select, 0), GOS_WOULDBLOCK);
        CHECK_EQ(gos_chan_close(c), GOS_OK);
        CHECK_EQ(try_send(c, by_select), GOS_CLOSED);
        for (size_t i = 0; i < full; i++) CHECK_EQ(try_recv(c, by_select, 5), GOS_OK);
        CHECK_EQ(try_recv(c, by_select, 0), GOS_CLOSED);
        CHECK_EQ(try_send(c, by_select), GOS_CLOSED);
        gos_chan_release(c);
      }
}

static void receives(void *c) {
  long v = 0;
  CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
  CHECK_EQ(v, 5);
}
static void sends(void *c) {
  long v = 5;
  CHECK_EQ(gos_chan_send(c, &v), GOS_OK);
}
TEST(ones_that_somebody_waits_for) {
  for (int by_select = 0; by_select < 2; by_select++)
    for (size_t cap = 0; cap < 2; cap++) {
      gos_chan *c = gos_chan_make(sizeof(long), cap);
      gos_g *g = spawn(receives, c);
      until_parked(g, "chan receive");
      CHECK_EQ(try_send(c, by_select), by_select ? 0 : GOS_OK);
      finish(g);
      for (size_t i = 0; i < cap; i++) CHECK_EQ(try_send(c, by_select), by_select ? 0 : GOS_OK);
      g = spawn(sends, c);
      until_parked(g, "chan send");
      CHECK_EQ(try_recv(c, by_select, 5), GOS_OK);
      finish(g); /* there is room for its value now, or it has been taken */
      for (size_t i = 0; i < cap; i++) CHECK_EQ(try_recv(c, by_select, 5), GOS_OK);
      CHECK_EQ(try_recv(c, by_select, 0), GOS_WOULDBLOCK);
      gos_chan_release(c);
    }
}
