// ctest: timeout=120
/* A thread's own handle: who else may end its waits, and sees them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <gossamer/host.h>
#include <pthread.h>

static gos_chan *empty, *handles;
static gos_mutex held;
static gos_ctx *ctx;

static void until_waiting(gos_g *g) {
  gos_info i;
  while (gos_info_get(g, &i, sizeof i), strcmp(i.status, "waiting")) gos_gosched(), sched_yield();
}
static gos_g *next_handle(void) {
  gos_g *g;
  CHECK_EQ(gos_chan_recv(handles, &g), GOS_OK);
  return g;
}

static void *waits(void *arg) {
  (void)arg;
  gos_g *me = gos_caller();
  CHECK(me && !gos_self());
  CHECK_EQ(gos_chan_send(handles, &me), GOS_OK);
  CHECK_EQ(gos_chan_recv(empty, NULL), GOS_CANCELED);
  CHECK_EQ(gos_chan_send(handles, &me), GOS_OK);
  CHECK_EQ(gos_mutex_lock_dl(&held, GOS_FOREVER), GOS_CANCELED);
  CHECK_EQ(gos_chan_send(handles, &me), GOS_OK);
  CHECK_EQ(gos_chan_recv_ctx(empty, NULL, ctx), GOS_CANCELED);
  CHECK_EQ(gos_ctx_err(ctx), GOS_OK); /* it was not that */
  return NULL;
}

TEST(a_threads_waits_are_ended_by_its_handle) {
  pthread_t t;
  gos_g *g = NULL;
  gos_info i;
  empty = gos_chan_make(sizeof(long), 0);
  handles = gos_chan_make(sizeof g, 0);
  ctx = gos_with_cancel(NULL);
  gos_mutex_lock(&held);
  pthread_create(&t, NULL, waits, NULL);
  for (int n = 0; n < 3; n++) {
    g = next_handle();
    until_waiting(g);
    CHECK_EQ(gos_info_get(g, &i, sizeof i), GOS_OK);
    CHECK(!strcmp(i.wait_reason, n == 1 ? "sync.Mutex.Lock" : "chan receive"));
    CHECK_EQ(gos_interrupt(g), GOS_OK);
  }
  pthread_join(t, NULL);
  CHECK_EQ(gos_interrupt(g), GOS_CLOSED);
  CHECK(!gos_g_alive(g));
  gos_release(g);
}

static void *waits_later(void *arg) {
  gos_g *me = gos_caller();
  CHECK_EQ(gos_interrupt(me), GOS_OK);
  CHECK_EQ(gos_chan_recv(arg, NULL), GOS_CANCELED);
  gos_release(me);
  return NULL;
}
TEST(the_next_wait_where_it_does_not_wait) {
  pthread_t t;
  pthread_create(&t, NULL, waits_later, gos_chan_make(1, 0));
  pthread_join(t, NULL);
}

static void in_goroutine(void *arg) {
  (void)arg;
  gos_g *me = gos_caller();
  CHECK(me == gos_self());
  gos_release(me);
}
TEST(a_goroutine_is_its_own_caller) { finish(spawn(in_goroutine, NULL)); }

static void *sends_late(void *arg) {
  CHECK_EQ(gos_sleep(1500 * MS), GOS_OK);
  CHECK_EQ(gos_chan_send(arg, &(char){1}), GOS_OK);
  return NULL;
}
/* What is due on a thread is due: nobody may call it a deadlock before. */
TEST(a_thread_that_sleeps_is_no_deadlock) {
  pthread_t t;
  gos_chan *c = gos_chan_make(1, 0);
  pthread_create(&t, NULL, sends_late, c);
  CHECK_EQ(gos_chan_recv(c, NULL), GOS_OK);
  pthread_join(t, NULL);
}
