// ctest: timeout=120
/* Channels: rendezvous, buffer, close, nil, try and deadline forms, order of waiters.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

struct task {
  gos_chan *c;
  long v;
  int e;
};
static void sends(void *arg) {
  struct task *t = arg;
  t->e = gos_chan_send(t->c, &t->v);
}
static void receives(void *arg) {
  struct task *t = arg;
  t->e = gos_chan_recv(t->c, &t->v);
}

TEST(unbuffered_send_waits_for_its_receiver) {
  struct task t = {.c = gos_chan_make(sizeof(long), 0), .v = 7};
  gos_g *g = spawn(sends, &t);
  until_parked(g, "chan send");
  CHECK_EQ(gos_chan_len(t.c), 0);
  long v = 0;
  CHECK_EQ(gos_chan_recv(t.c, &v), GOS_OK);
  CHECK_EQ(v, 7);
  finish(g);
  CHECK_EQ(t.e, GOS_OK);
  gos_chan_release(t.c);
}

TEST(unbuffered_receive_waits_for_its_sender) {
  struct task t = {.c = gos_chan_make(sizeof(long), 0)};
  gos_g *g = spawn(receives, &t);
  until_parked(g, "chan receive");
  CHECK_EQ(gos_chan_send(t.c, &(long){9}), GOS_OK);
  finish(g);
  CHECK_EQ(t.v, 9);
  gos_chan_release(t.c);
}

TEST(buffer_is_first_in_first_out) {
  gos_chan *c = gos_chan_make(sizeof(long), 5);
  CHECK_EQ(gos_chan_cap(c), 5);
  long in = 0, out = 0, v;
  for (int round = 0; round < 50; round++) { /* the ring goes round at every offset */
    for (int i = 0; i < round % 6; i++, in++) CHECK_EQ(gos_chan_send(c, &in), GOS_OK);
    CHECK_EQ(gos_chan_len(c), (size_t)(round % 6));
    for (int i = 0; i < round % 6; i++, out++) {
      CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
      CHECK_EQ(v, out);
    }
  }
  gos_chan_release(c);
}

TEST(full_buffer_keeps_order_with_a_waiting_sender) {
  struct task t = {.c = gos_chan_make(sizeof(long), 2), .v = 3};
  for (long i = 1; i <= 2; i++) CHECK_EQ(gos_chan_send(t.c, &i), GOS_OK);
  gos_g *g = spawn(sends, &t);
  until_parked(g, "chan send");
  CHECK_EQ(gos_chan_len(t.c), 2);
  for (long v, i = 1; i <= 3; i++) {
    CHECK_EQ(gos_chan_recv(t.c, &v), GOS_OK);
    CHECK_EQ(v, i);
  }
  finish(g);
  gos_chan_release(t.c);
}

TEST(a_receive_lets_a_waiting_sender_in) {
  long v = 1;
  gos_chan *c = gos_chan_make(sizeof v, 1);
  struct task t = {.c = c, .v = 2};
  CHECK_EQ(gos_chan_send(c, &v), GOS_OK);
  gos_g *g = spawn(sends, &t);
  until_parked(g, "chan send");
  CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
  finish(g); /* although nobody has received its value yet */
  CHECK_EQ(gos_chan_len(c), 1);
  gos_chan_release(c);
}

TEST(close_drains_then_zeroes) {
  gos_chan *c = gos_chan_make(sizeof(long), 2);
  CHECK(!gos_chan_closed(c));
  CHECK_EQ(gos_chan_send(c, &(long){5}), GOS_OK);
  CHECK_EQ(gos_chan_close(c), GOS_OK);
  CHECK(gos_chan_closed(c));
  long v = 0;
  CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
  CHECK_EQ(v, 5);
  for (int i = 0; i < 3; i++) {
    v = 99;
    CHECK_EQ(gos_chan_recv(c, &v), GOS_CLOSED);
    CHECK_EQ(v, 0);
    v = 99;
    CHECK_EQ(gos_chan_recv_dl(c, &v, GOS_NOW), GOS_CLOSED);
    CHECK_EQ(v, 0);
    CHECK_EQ(gos_chan_recv(c, NULL), GOS_CLOSED);
  }
  gos_chan_release(c);
}

TEST(close_errors) {
  gos_chan *c = gos_chan_make(sizeof(long), 3);
  CHECK_EQ(gos_chan_close(NULL), GOS_INVAL);
  CHECK_EQ(gos_chan_close(c), GOS_OK);
  CHECK_EQ(gos_chan_close(c), GOS_CLOSED);
  long v = 4;
  CHECK_EQ(gos_chan_send(c, &v), GOS_CLOSED);
  CHECK_EQ(gos_chan_send_dl(c, &v, GOS_NOW), GOS_CLOSED);
  CHECK_EQ(gos_chan_send_dl(c, &v, gos_now() + MS), GOS_CLOSED);
  CHECK_EQ(v, 4);
  CHECK_EQ(gos_chan_len(c), 0);
  gos_chan_release(c);
}

TEST(close_wakes_every_receiver) {
  enum { N = 50 };
  gos_chan *c = gos_chan_make(sizeof(long), 0);
  struct task t[N];
  gos_g *g[N];
  for (int i = 0; i < N; i++) t[i] = (struct task){.c = c, .v = 99}, g[i] = spawn(receives, &t[i]);
  for (int i = 0; i < N; i++) until_parked(g[i], "chan receive");
  CHECK_EQ(gos_chan_close(c), GOS_OK);
  for (int i = 0; i < N; i++) {
    finish(g[i]);
    CHECK_EQ(t[i].e, GOS_CLOSED);
    CHECK_EQ(t[i].v, 0);
  }
  gos_chan_release(c);
}

TEST(close_wakes_every_sender_with_its_value) {
  enum { N = 50 };
  gos_chan *c = gos_chan_make(sizeof(long), 1);
  struct task t[N];
  gos_g *g[N];
  CHECK_EQ(gos_chan_send(c, &(long){-1}), GOS_OK);
  for (int i = 0; i < N; i++) t[i] = (struct task){.c = c, .v = i}, g[i] = spawn(sends, &t[i]);
  for (int i = 0; i < N; i++) until_parked(g[i], "chan send");
  CHECK_EQ(gos_chan_close(c), GOS_OK);
  for (int i = 0; i < N; i++) {
    finish(g[i]);
    CHECK_EQ(t[i].e, GOS_CLOSED);
    CHECK_EQ(t[i].v, i);
  }
  long v = 0;
  CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
  CHECK_EQ(v, -1);
  CHECK_EQ(gos_chan_recv(c, &v), GOS_CLOSED);
  gos_chan_release(c);
}

TEST(nil_channel) {
  CHECK_EQ(gos_chan_len(NULL), 0);
  CHECK_EQ(gos_chan_cap(NULL), 0);
  CHECK(!gos_chan_closed(NULL));
  CHECK(!gos_chan_retain(NULL));
  gos_chan_release(NULL);
  CHECK_EQ(gos_chan_recv_dl(NULL, NULL, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_chan_send_dl(NULL, NULL, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_chan_recv_dl(NULL, NULL, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_chan_send_dl(NULL, NULL, gos_now() + MS), GOS_TIMEDOUT);
  struct task t = {0}, u = {0};
  gos_g *s = spawn(sends, &t), *r = spawn(receives, &u);
  until_parked(s, "chan send (nil chan)");
  until_parked(r, "chan receive (nil chan)");
  gos_interrupt(s), gos_interrupt(r);
  finish(s);
  finish(r);
}

TEST(try_forms) {
  struct task t = {.c = gos_chan_make(sizeof(long), 0), .v = 6};
  long v = 1;
  CHECK_EQ(gos_chan_send_dl(t.c, &v, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_chan_recv_dl(t.c, &v, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(v, 1);
  gos_g *g = spawn(sends, &t); /* once a partner waits they succeed */
  until_parked(g, "chan send");
  CHECK_EQ(gos_chan_recv_dl(t.c, &v, GOS_NOW), GOS_OK);
  CHECK_EQ(v, 6);
  finish(g);
  g = spawn(receives, &t);
  until_parked(g, "chan receive");
  CHECK_EQ(gos_chan_send_dl(t.c, &(long){8}, GOS_NOW), GOS_OK);
  finish(g);
  CHECK_EQ(t.v, 8);
  gos_chan_release(t.c);
}

TEST(try_forms_buffered) {
  gos_chan *c = gos_chan_make(sizeof(long), 1);
  long v = 3;
  CHECK_EQ(gos_chan_recv_dl(c, &v, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_chan_send_dl(c, &v, GOS_NOW), GOS_OK);
  CHECK_EQ(gos_chan_send_dl(c, &v, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_chan_recv_dl(c, &v, GOS_NOW), GOS_OK);
  CHECK_EQ(v, 3);
  gos_chan_release(c);
}

TEST(deadlines_are_never_early) {
  gos_chan *c = gos_chan_make(sizeof(long), 0);
  for (int i = 0; i < 10; i++) {
    gos_ns until = gos_now() + i * MS / 2;
    CHECK_EQ(gos_chan_recv_dl(c, NULL, until), GOS_TIMEDOUT);
    CHECK(gos_now() >= until);
    until = gos_now() + i * MS / 2;
    CHECK_EQ(gos_chan_send_dl(c, &(long){1}, until), GOS_TIMEDOUT);
    CHECK(gos_now() >= until);
  }
  CHECK_EQ(gos_chan_recv_dl(c, NULL, 1), GOS_TIMEDOUT); /* long past */
  CHECK_EQ(gos_chan_recv_dl(c, NULL, -5), GOS_TIMEDOUT);
  CHECK_EQ(gos_chan_recv_dl(c, NULL, GOS_NOW), GOS_WOULDBLOCK); /* and nobody is left in the queues */
  CHECK_EQ(gos_chan_send_dl(c, &(long){1}, GOS_NOW), GOS_WOULDBLOCK);
  gos_chan_release(c);
}

static void receives_soon(void *arg) {
  struct task *t = arg;
  t->e = gos_chan_recv_dl(t->c, &t->v, gos_now() + 3600000 * MS);
}

TEST(deadline_not_reached) {
  struct task t = {.c = gos_chan_make(sizeof(long), 0)};
  gos_g *g = spawn(receives_soon, &t);
  CHECK_EQ(gos_chan_send_dl(t.c, &(long){4}, gos_now() + 3600000 * MS), GOS_OK);
  finish(g);
  CHECK_EQ(t.e, GOS_OK);
  CHECK_EQ(t.v, 4);
  gos_chan_release(t.c);
}

TEST(waiting_receivers_are_served_in_order) {
  enum { N = 20 };
  struct task t[N];
  gos_g *g[N];
  gos_chan *c = gos_chan_make(sizeof(long), 0);
  for (int i = 0; i < N; i++)
    t[i] = (struct task){.c = c}, g[i] = spawn(receives, &t[i]), until_parked(g[i], "chan receive");
  for (long i = 0; i < N; i++) CHECK_EQ(gos_chan_send(c, &i), GOS_OK);
  for (int i = 0; i < N; i++) {
    finish(g[i]);
    CHECK_EQ(t[i].v, i);
  }
  gos_chan_release(c);
}

TEST(waiting_senders_are_served_in_order) {
  enum { N = 20 };
  struct task t[N];
  gos_g *g[N];
  gos_chan *c = gos_chan_make(sizeof(long), 0);
  for (int i = 0; i < N; i++)
    t[i] = (struct task){.c = c, .v = i}, g[i] = spawn(sends, &t[i]), until_parked(g[i], "chan send");
  gos_interrupt(g[3]); /* one in the middle leaves the queue */
  finish(g[3]);
  CHECK_EQ(t[3].e, GOS_CANCELED);
  for (long v, i = 0; i < N; i++) {
    if (i == 3) continue;
    CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
    CHECK_EQ(v, i);
    finish(g[i]);
  }
  gos_chan_release(c);
}

TEST(impossible_sizes) {
  CHECK(!gos_chan_make(8, SIZE_MAX));
  CHECK(!gos_chan_make(SIZE_MAX, 2));
  CHECK(!gos_chan_make(SIZE_MAX / 2 + 1, 2)); /* the product wraps to 0 */
  CHECK(!gos_chan_make((size_t)1 << 33, (size_t)1 << 33));
  CHECK(!gos_chan_make(1, (size_t)-1)); /* a negative capacity */
}

/* Retain and release: the channel lives as long as one reference. */
static void receives_and_drops(void *arg) {
  gos_chan *c = arg;
  gos_chan_range(c, NULL);
  gos_chan_release(c);
}

TEST(references) {
  gos_chan *c = gos_chan_make(sizeof(long), 1);
  gos_g *g[10];
  for (int i = 0; i < 10; i++) g[i] = spawn(receives_and_drops, gos_chan_retain(c));
  for (long i = 0; i < 100; i++) CHECK_EQ(gos_chan_send(c, &i), GOS_OK);
  gos_chan_close(c);
  gos_chan_release(c);
  for (int i = 0; i < 10; i++) finish(g[i]);
}

static void sends_channel(void *arg) {
  gos_chan *reply = gos_chan_make(sizeof(long), 0);
  CHECK_EQ(gos_chan_send(arg, &reply), GOS_OK);
  CHECK_EQ(gos_chan_send(reply, &(long){42}), GOS_OK);
  gos_chan_release(reply);
}

TEST(channels_through_channels) {
  gos_chan *c = gos_chan_make(sizeof(gos_chan *), 0), *reply;
  for (int i = 0; i < 20; i++) {
    gos_g *g = spawn(sends_channel, c);
    long v = 0;
    CHECK_EQ(gos_chan_recv(c, &reply), GOS_OK);
    CHECK_EQ(gos_chan_recv(reply, &v), GOS_OK);
    CHECK_EQ(v, 42);
    finish(g);
  }
  gos_chan_release(c);
}
