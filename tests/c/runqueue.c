// ctest: timeout=120
/* The run queues from outside: whatever their length, each goroutine that is ready runs, once, and no wake is
 * lost between the last look at an empty queue and the sleep.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <pthread.h>

enum { LONGEST = 600 }; /* more than ring and pile of a P hold */
static atomic_int ran[LONGEST];
static atomic_long total;

static void runs(void *arg) {
  atomic_fetch_add(&ran[(intptr_t)arg], 1);
  atomic_fetch_add(&total, 1);
}
static void runs_and_yields(void *arg) {
  gos_gosched();
  runs(arg);
}

static void check_each_ran_once(long n) {
  while (total < n) gos_gosched();
  while (gos_num_goroutine() > 1) gos_gosched();
  CHECK_EQ(total, n);
  for (long i = 0; i < LONGEST; i++) CHECK_EQ(ran[i], i < n);
  memset(ran, 0, sizeof ran);
  total = 0;
}

/* Lengths around every power of two, and some in between. */
static long next_length(long n) { return n < 20 || (n & (n + 1)) == 0 || (n & (n - 1)) == 0 ? n + 1 : n + 1 + n / 9; }

TEST(queues_of_every_length) {
  for (long n = 0; n <= LONGEST; n = next_length(n)) {
    for (intptr_t i = 0; i < n; i++) CHECK_EQ(gos_go(runs, (void *)i), GOS_OK);
    check_each_ran_once(n);
    for (intptr_t i = 0; i < n; i++) CHECK_EQ(gos_go(runs_and_yields, (void *)i), GOS_OK);
    check_each_ran_once(n);
  }
}

/* Woken all at once they go to the queue in one piece. */
static gos_chan *gate;
static void waits(void *arg) {
  CHECK_EQ(gos_chan_recv(gate, NULL), GOS_CLOSED);
  runs(arg);
}
TEST(woken_all_at_once) {
  for (long n = 1; n <= LONGEST; n = n * 3 - 1 - n / 2) {
    gos_g *last = NULL;
    gate = gos_chan_make(0, 0);
    for (intptr_t i = 0; i < n; i++) {
      if (last) gos_release(last);
      last = spawn(waits, (void *)i);
    }
    until_parked(last, "chan receive");
    gos_chan_close(gate);
    check_each_ran_once(n);
    gos_release(last);
    gos_chan_release(gate);
  }
}

/* One put as all threads go to sleep: by a thread from outside, which waits until it has run before the next. */
static void *puts_one_at_a_time(void *arg) {
  (void)arg;
  for (long i = 0; i < scaled(3000); i++) {
    long before = total;
    CHECK_EQ(gos_go(runs, (void *)(intptr_t)(i % LONGEST)), GOS_OK);
    while (total == before) sched_yield();
  }
  CHECK_EQ(gos_chan_send(gate, NULL), GOS_OK);
  return NULL;
}
TEST(one_put_as_all_go_to_sleep) {
  pthread_t t;
  gate = gos_chan_make(0, 0);
  CHECK_EQ(pthread_create(&t, NULL, puts_one_at_a_time, NULL), 0);
  CHECK_EQ(gos_chan_recv(gate, NULL), GOS_OK);
  pthread_join(t, NULL);
  CHECK_EQ(total, scaled(3000));
  gos_chan_release(gate);
}

/* One put while the P's own thread does not come by for it: another takes it, whichever P it lies at. */
static void waits_for_the_others(void *arg) {
  atomic_fetch_add(&total, 1);
  while (total < (long)(intptr_t)arg) sched_yield(); /* never calls in: its P is of no use to those behind it */
}
static void starts_them(void *arg) {
  for (int i = 0; i < test_procs; i++) CHECK_EQ(gos_go(waits_for_the_others, arg), GOS_OK);
  waits_for_the_others(arg);
}
TEST(taken_from_any_queue) {
  for (int round = 0; round < 3; round++) {
    gos_g *g[4];
    long n = test_procs * (test_procs + 1);
    total = 0;
    for (int i = 0; i < test_procs; i++) g[i] = spawn(starts_them, (void *)(intptr_t)n);
    for (int i = 0; i < test_procs; i++) finish(g[i]);
    while (gos_num_goroutine() > 1) gos_gosched();
    CHECK_EQ(total, n);
  }
}

/* Goroutines that start goroutines on every P, while threads of others put theirs into the global queue. */
enum { OUTSIDE = 3 };
static void *puts_many(void *arg) {
  for (long i = scaled(2000); i; i--) CHECK_EQ(gos_go(runs, arg), GOS_OK);
  return NULL;
}
static void puts_many_inside(void *arg) {
  puts_many(arg);
  runs(arg);
}
TEST(inside_and_outside_at_once) {
  pthread_t t[OUTSIDE];
  gos_g *g[4];
  for (intptr_t i = 0; i < OUTSIDE; i++) CHECK_EQ(pthread_create(&t[i], NULL, puts_many, (void *)i), 0);
  for (intptr_t i = 0; i < 4; i++) g[i] = spawn(puts_many_inside, (void *)(OUTSIDE + i));
  for (int i = 0; i < 4; i++) finish(g[i]);
  for (int i = 0; i < OUTSIDE; i++) pthread_join(t[i], NULL);
  while (gos_num_goroutine() > 1) gos_gosched();
  for (int i = 0; i < OUTSIDE + 4; i++) CHECK_EQ(ran[i], scaled(2000) + (i >= OUTSIDE));
}
