// ctest: timeout=60
/* gos_interrupt ends one wait of any kind and loses nothing.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static gos_chan *empty;
static gos_mutex held;
static gos_waitgroup busy;
static gos_g *other;

static int wait_recv(void) { return gos_chan_recv(empty, NULL); }
static int wait_send(void) { return gos_chan_send(empty, &(long){7}); }
static int wait_nil(void) { return gos_chan_recv(NULL, NULL); }
static int wait_select(void) {
  return gos_select((gos_case[]){GOS_RECV(empty, NULL), GOS_RECV(NULL, NULL)}, 2, GOS_FOREVER);
}
static int wait_nothing(void) { return gos_select(NULL, 0, GOS_FOREVER); }
static int wait_sleep(void) { return gos_sleep(3600000 * MS); }
static int wait_lock(void) { return gos_mutex_lock_dl(&held, GOS_FOREVER); }
static int wait_group(void) { return gos_waitgroup_wait(&busy); }
static int wait_join(void) { return gos_join(other, GOS_FOREVER); }
static int wait_dl(void) { return gos_chan_recv_dl(empty, NULL, gos_now() + 3600000 * MS); }
static int (*const waits[])(void) = {wait_recv,  wait_send, wait_nil,   wait_select, wait_nothing,
                                     wait_sleep, wait_lock, wait_group, wait_join,   wait_dl};
enum { WAITS = sizeof waits / sizeof *waits };

static void run_wait(void *at) { CHECK_EQ(waits[(intptr_t)at](), GOS_CANCELED); }
static void for_ever(void *arg) { (void)arg, gos_chan_recv(NULL, NULL); }

static void set_up(void) {
  empty = gos_chan_make(sizeof(long), 0);
  gos_mutex_lock(&held);
  gos_waitgroup_add(&busy, 1);
  other = spawn(for_ever, NULL);
}

static void until_waiting(gos_g *g) {
  gos_info i;
  while (gos_info_get(g, &i, sizeof i), strcmp(i.status, "waiting")) gos_gosched();
}

TEST(ends_each_kind_of_wait) {
  set_up();
  for (intptr_t at = 0; at < WAITS; at++) {
    gos_g *g = spawn(run_wait, (void *)at);
    until_waiting(g);
    CHECK_EQ(gos_interrupt(g), GOS_OK);
    finish(g);
  }
}

static gos_chan *gate;
static void run_late(void *at) {
  while (!gos_chan_closed(gate)) gos_gosched(); /* is not waiting when interrupted */
  run_wait(at);
}

TEST(ends_the_next_wait) {
  set_up();
  for (intptr_t at = 0; at < WAITS; at++) {
    gate = gos_chan_make(0, 0);
    gos_g *g = spawn(run_late, (void *)at);
    CHECK_EQ(gos_interrupt(g), GOS_OK);
    gos_chan_close(gate);
    finish(g);
    gos_chan_release(gate);
  }
}

TEST(of_one_that_ended) {
  set_up();
  gos_g *g = spawn(run_wait, (void *)0);
  until_waiting(g);
  gos_interrupt(g);
  CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
  CHECK_EQ(gos_interrupt(g), GOS_CLOSED);
  gos_release(g);
}

static atomic_bool first_over;
static void cancel_then_receive(void *arg) {
  CHECK_EQ(gos_chan_recv(empty, arg), GOS_CANCELED);
  first_over = true;
  CHECK_EQ(gos_chan_recv(empty, arg), GOS_OK);
}

TEST(ends_one_wait_only) {
  set_up();
  long got = 0;
  gos_g *g = spawn(cancel_then_receive, &got);
  until_parked(g, "chan receive");
  CHECK_EQ(gos_interrupt(g), GOS_OK);
  while (!first_over) gos_gosched();
  until_parked(g, "chan receive"); /* the second one waits */
  CHECK_EQ(gos_chan_send(empty, &(long){5}), GOS_OK);
  finish(g);
  CHECK_EQ(got, 5);
}

static void canceled_sender(void *arg) { CHECK_EQ(gos_chan_send(empty, arg), GOS_CANCELED); }

TEST(canceled_sender_is_no_longer_queued) {
  set_up();
  long v = 1, out = 0;
  gos_g *g = spawn(canceled_sender, &v);
  until_parked(g, "chan send");
  gos_interrupt(g);
  finish(g);
  CHECK_EQ(gos_chan_recv_dl(empty, &out, GOS_NOW), GOS_WOULDBLOCK);
}

static void lock_plain(void *arg) {
  (void)arg;
  gos_mutex_lock(&held); /* goes on waiting */
  CHECK_EQ(gos_mutex_unlock(&held), GOS_OK);
}

TEST(plain_lock_waits_on) {
  set_up();
  gos_g *g = spawn(lock_plain, NULL);
  until_waiting(g);
  CHECK_EQ(gos_interrupt(g), GOS_OK);
  CHECK_EQ(gos_join(g, gos_now() + 5 * MS), GOS_TIMEDOUT);
  gos_mutex_unlock(&held);
  finish(g);
}

/* Each value ends up on exactly one side, whichever of send and interrupt is first. */
static atomic_long received, canceled;
static void receiver(void *arg) {
  (void)arg;
  int e = gos_chan_recv(empty, NULL);
  CHECK(e == GOS_OK || e == GOS_CANCELED);
  atomic_fetch_add(e == GOS_OK ? &received : &canceled, 1);
}
static void interrupter(void *g) { gos_interrupt(g); }

TEST(races_with_a_send) {
  empty = gos_chan_make(sizeof(long), 0);
  long sent = 0, n = scaled(3000);
  for (long i = 0; i < n; i++) {
    gos_g *g = spawn(receiver, NULL), *x = spawn(interrupter, g);
    if (i % 2) gos_gosched();
    sent += gos_chan_send_dl(empty, &(long){1}, GOS_NOW) == GOS_OK;
    finish(x);
    finish(g);
  }
  CHECK_EQ(received, sent);
  CHECK_EQ(canceled, n - sent);
}
