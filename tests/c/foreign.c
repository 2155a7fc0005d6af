// ctest: timeout=120
/* Threads that are no goroutines use the same primitives.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <pthread.h>

enum { THREADS = 4 };
static gos_chan *c, *back;
static gos_mutex mu;
static gos_waitgroup wg;
static atomic_long sum;
static long plain;

static void each_thread(void *(*fn)(void *), void *arg) {
  pthread_t t[THREADS];
  for (int i = 0; i < THREADS; i++) CHECK_EQ(pthread_create(&t[i], NULL, fn, arg), 0);
  for (int i = 0; i < THREADS; i++) CHECK_EQ(pthread_join(t[i], NULL), 0);
}

static void *sends(void *arg) {
  CHECK_EQ(gos_goid(), 0);
  for (long i = 1; i <= (long)(intptr_t)arg; i++) CHECK_EQ(gos_chan_send(c, &i), GOS_OK);
  return NULL;
}
static void receives(void *arg) {
  (void)arg;
  long v;
  gos_chan_range(c, &v) atomic_fetch_add(&sum, v);
}
static void *receives_thread(void *arg) { return receives(arg), NULL; }
static void sends_goroutine(void *arg) {
  for (long i = 1; i <= (long)(intptr_t)arg; i++) CHECK_EQ(gos_chan_send(c, &i), GOS_OK);
}

TEST(threads_send_goroutines_receive) {
  long n = scaled(3000);
  gos_g *g[3];
  for (size_t cap = 0; cap < 3; cap += 2) {
    c = gos_chan_make(sizeof(long), cap), sum = 0;
    for (int i = 0; i < 3; i++) g[i] = spawn(receives, NULL);
    each_thread(sends, (void *)n);
    gos_chan_close(c);
    for (int i = 0; i < 3; i++) finish(g[i]);
    CHECK_EQ(sum, THREADS * n * (n + 1) / 2);
    gos_chan_release(c);
  }
}

static void *closes_after_join(void *arg) {
  gos_g **g = arg;
  for (int i = 0; i < 3; i++) finish(g[i]);
  gos_chan_close(c);
  return NULL;
}

TEST(goroutines_send_threads_receive) {
  long n = scaled(3000);
  gos_g *g[3];
  pthread_t joiner;
  c = gos_chan_make(sizeof(long), 0);
  for (int i = 0; i < 3; i++) g[i] = spawn(sends_goroutine, (void *)n);
  pthread_create(&joiner, NULL, closes_after_join, g);
  each_thread(receives_thread, NULL);
  pthread_join(joiner, NULL);
  CHECK_EQ(sum, 3 * n * (n + 1) / 2);
  gos_chan_release(c);
}

static void *plays(void *arg) {
  (void)arg;
  for (long v, i = 0; i < scaled(1000); i++) {
    CHECK_EQ(gos_chan_send(c, &i), GOS_OK);
    CHECK_EQ(gos_chan_recv(back, &v), GOS_OK);
  }
  return NULL;
}
static void echoes(void *arg) {
  (void)arg;
  long v;
  gos_chan_range(c, &v) CHECK_EQ(gos_chan_send(back, &v), GOS_OK);
}

TEST(ping_pong_with_a_thread) {
  c = gos_chan_make(sizeof(long), 0), back = gos_chan_make(sizeof(long), 0);
  gos_g *g = spawn(echoes, NULL);
  each_thread(plays, NULL);
  gos_chan_close(c);
  finish(g);
  gos_chan_release(c), gos_chan_release(back);
}

TEST(threads_among_themselves) {
  pthread_t t;
  c = gos_chan_make(sizeof(long), 0);
  CHECK_EQ(pthread_create(&t, NULL, receives_thread, NULL), 0);
  each_thread(sends, (void *)100);
  gos_chan_close(c);
  pthread_join(t, NULL);
  CHECK_EQ(sum, THREADS * 5050);
  gos_chan_release(c);
}

static void *selects(void *arg) {
  (void)arg;
  for (long v, i = scaled(500); i; i--) {
    gos_case cs[] = {GOS_RECV(c, &v), GOS_SEND(back, &i), GOS_RECV(NULL, NULL)};
    int k = gos_select(cs, 3, GOS_FOREVER);
    CHECK(k == 0 || k == 1);
    atomic_fetch_add(&sum, 1);
  }
  gos_case none[] = {GOS_RECV(NULL, NULL)};
  CHECK_EQ(gos_select(none, 1, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_select(none, 1, gos_now() + MS), GOS_TIMEDOUT);
  return NULL;
}
static void feeds(void *arg) {
  (void)arg;
  for (;;) {
    gos_case cs[] = {GOS_SEND(c, &(long){1}), GOS_RECV(back, NULL)};
    int k = gos_select(cs, 2, GOS_FOREVER);
    if (k < 0 || (k == 1 && !cs[1].ok)) return;
  }
}

TEST(threads_select) {
  c = gos_chan_make(sizeof(long), 0), back = gos_chan_make(sizeof(long), 1);
  gos_g *g[2] = {spawn(feeds, NULL), spawn(feeds, NULL)};
  each_thread(selects, NULL);
  CHECK_EQ(sum, THREADS * scaled(500));
  gos_chan_close(back), gos_chan_close(c);
  finish(g[0]);
  finish(g[1]);
  gos_chan_release(c), gos_chan_release(back);
}

static void increments(void *arg) {
  (void)arg;
  for (long i = scaled(2000); i; i--) gos_mutex_lock(&mu), plain++, gos_mutex_unlock(&mu);
}
static void *increments_thread(void *arg) { return increments(arg), NULL; }

TEST(threads_and_goroutines_lock) {
  gos_g *g[4];
  for (int i = 0; i < 4; i++) g[i] = spawn(increments, NULL);
  each_thread(increments_thread, NULL);
  for (int i = 0; i < 4; i++) finish(g[i]);
  CHECK_EQ(plain, (4 + THREADS) * scaled(2000));
}

static void done(void *arg) { (void)arg, gos_gosched(), gos_waitgroup_done(&wg); }
static void *starts_and_waits(void *arg) {
  (void)arg;
  gos_waitgroup mine = {0};
  for (int i = 0; i < 20; i++) CHECK_EQ(gos_waitgroup_go(&mine, receives, NULL), GOS_OK);
  CHECK_EQ(gos_waitgroup_wait(&mine), GOS_OK);
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
  return NULL;
}

TEST(threads_start_goroutines_and_wait) {
  c = gos_chan_make(sizeof(long), 0);
  gos_chan_close(c);
  gos_waitgroup_add(&wg, 5);
  for (int i = 0; i < 5; i++) gos_go(done, NULL);
  each_thread(starts_and_waits, NULL);
  gos_chan_release(c);
}

static void *joins(void *arg) {
  gos_g *g = arg;
  gos_ns until = gos_now() + 2 * MS;
  CHECK_EQ(gos_join(g, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_join(g, until), GOS_TIMEDOUT);
  CHECK(gos_now() >= until);
  gos_chan_send(c, NULL); /* the first one in frees it */
  CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
  return NULL;
}
static void takes_all(void *arg) {
  (void)arg;
  for (int i = 0; i < THREADS; i++) CHECK_EQ(gos_chan_recv(c, NULL), GOS_OK);
}

TEST(threads_join) {
  c = gos_chan_make(0, 0);
  gos_g *g = spawn(takes_all, NULL);
  each_thread(joins, g);
  finish(g);
  gos_chan_release(c);
}

static void *sleeps(void *arg) {
  gos_ns start = gos_now();
  CHECK_EQ(gos_sleep(3 * MS), GOS_OK);
  CHECK(gos_now() - start >= 3 * MS);
  gos_chan *t = gos_after(MS);
  CHECK_EQ(gos_chan_recv(t, NULL), GOS_OK);
  gos_chan_release(t);
  gos_gosched();
  CHECK_EQ(gos_mutex_lock_dl(&mu, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_chan_recv_dl(NULL, NULL, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_waitgroup_wait_dl(&wg, gos_now() + MS), GOS_TIMEDOUT);
  return arg;
}

TEST(threads_time) {
  gos_mutex_lock(&mu), gos_waitgroup_add(&wg, 1);
  each_thread(sleeps, NULL);
}

/* Threads that come and go leave nothing behind that stops the others. */
static void *one_value(void *arg) { return gos_chan_send(arg, &(long){1}), NULL; }

TEST(short_lived_threads) {
  c = gos_chan_make(sizeof(long), 0);
  gos_g *g = spawn(receives, NULL);
  for (long i = 0; i < scaled(200); i++) {
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, one_value, c), 0);
    pthread_join(t, NULL);
  }
  gos_chan_close(c);
  finish(g);
  CHECK_EQ(sum, scaled(200));
  gos_chan_release(c);
}

/* Main waits for a thread that takes its time: that is no deadlock. */
static void *late(void *arg) {
  usleep(100000), gos_chan_send(arg, &(long){3});
  return NULL;
}

TEST(waiting_for_a_thread_is_no_deadlock) {
  pthread_t t;
  long v = 0;
  c = gos_chan_make(sizeof(long), 0);
  pthread_create(&t, NULL, late, c);
  CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
  CHECK_EQ(v, 3);
  pthread_join(t, NULL);
  gos_chan_release(c);
}
