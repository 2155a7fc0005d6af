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

/* ---- what is left of a channel, and beside a select ---------------------------------------------- */
static long dropped[8], ndropped;
static void drops(void *elem) {
  CHECK(ndropped < 8);
  dropped[ndropped++] = *(long *)elem;
}
TEST(what_is_left_in_a_ring_that_has_turned) {
  for (long cap = 1; cap <= 4; cap++)
    for (long turned = 0; turned <= cap; turned++)
      for (long n = 0; n <= cap; n++) {
        gos_chan *c = gos_chan_make(sizeof(long), (size_t)cap);
        gos_chan_set_dtor(c, drops);
        ndropped = 0;
        for (long i = 0, v; i < turned; i++) {
          CHECK_EQ(gos_chan_send(c, &i), GOS_OK);
          CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
        }
        for (long i = 0; i < n; i++) CHECK_EQ(gos_chan_send_dl(c, &i, GOS_NOW), GOS_OK);
        gos_chan_release(c);
        CHECK_EQ(ndropped, n);
        for (long i = 0; i < n; i++) CHECK_EQ(dropped[i], i);
      }
}

TEST(a_descriptor_that_was_not_chosen_is_not_ready) {
  int fd[2], chosen[2] = {0, 0};
  gos_chan *c = gos_chan_make(0, 1);
  CHECK_EQ(pipe(fd), 0);
  CHECK_EQ(write(fd[1], "x", 1), 1);
  while (!chosen[0] || !chosen[1]) {
    gos_chan_send_dl(c, NULL, GOS_NOW);
    gos_case k[] = {GOS_FD(fd[0], GOS_READ), GOS_RECV(c, NULL)};
    int won = gos_select(k, 2, GOS_NOW);
    CHECK(won == 0 || won == 1);
    CHECK_EQ(k[0].ok, won == 0 ? GOS_READ : 0);
    chosen[won]++;
  }
  gos_chan_release(c);
  close(fd[0]), close(fd[1]);
}
