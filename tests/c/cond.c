// ctest: timeout=180
/* Cond: signals in order, none lost, the lock held on every return.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <gossamer/host.h>
#include <pthread.h>

#define WAITING "sync.Cond.Wait"
static gos_mutex mu;
static gos_cond c;
static gos_rwmutex rw;
static long order[64], got; /* under mu */
static atomic_long out;

static void held(void) { CHECK_EQ(gos_mutex_trylock(&mu), GOS_WOULDBLOCK); }
static void waits(void *arg) {
  gos_mutex_lock(&mu);
  CHECK_EQ(gos_cond_wait(&c, &mu), GOS_OK);
  held();
  order[got++] = (long)(intptr_t)arg;
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
  atomic_fetch_add(&out, 1);
}
static void until_out(long n) {
  while (out != n) gos_gosched(), sched_yield();
}
static void settle(void) {
  for (int i = 0; i < 100; i++) gos_gosched();
}
static void is_empty(void) { /* a signal now finds nobody: the next waiter waits */
  gos_cond_signal(&c), gos_cond_broadcast(&c);
  gos_mutex_lock(&mu);
  CHECK_EQ(gos_cond_wait_dl(&c, &mu, gos_now() + MS / 10), GOS_TIMEDOUT);
  held();
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
}

TEST(a_signal_wakes_one) {
  gos_g *g[3];
  for (intptr_t i = 0; i < 3; i++) g[i] = spawn(waits, (void *)i), until_parked(g[i], WAITING);
  for (long i = 1; i <= 3; i++) {
    gos_mutex_lock(&mu);
    gos_cond_signal(&c);
    gos_mutex_unlock(&mu);
    until_out(i);
    settle();
    CHECK_EQ(out, i);
  }
  for (int i = 0; i < 3; i++) finish(g[i]);
  is_empty();
}

TEST(signals_come_in_order) {
  enum { N = 50 };
  gos_g *g[N];
  for (intptr_t i = 0; i < N; i++) g[i] = spawn(waits, (void *)i), until_parked(g[i], WAITING);
  for (long i = 1; i <= N; i++) gos_cond_signal(&c), until_out(i);
  for (int i = 0; i < N; i++) finish(g[i]);
  for (int i = 0; i < N; i++) CHECK_EQ(order[i], i);
}

TEST(a_broadcast_wakes_all) {
  enum { N = 30 };
  gos_g *g[N];
  for (int round = 0; round < 3; round++) {
    out = 0;
    got = 0;
    for (intptr_t i = 0; i < N; i++) g[i] = spawn(waits, (void *)i);
    for (int i = 0; i < N; i++) until_parked(g[i], WAITING);
    settle();
    CHECK_EQ(out, 0);
    gos_mutex_lock(&mu);
    gos_cond_broadcast(&c);
    settle();
    CHECK_EQ(out, 0); /* the lock is still ours */
    gos_mutex_unlock(&mu);
    for (int i = 0; i < N; i++) finish(g[i]);
    CHECK_EQ(got, N);
  }
  is_empty();
}

TEST(nobody_waits) {
  gos_cond_signal(&c), gos_cond_broadcast(&c);
  is_empty();
}

TEST(the_lock_is_not_held) {
  CHECK_EQ(gos_cond_wait(&c, &mu), GOS_PERM);
  CHECK_EQ(gos_cond_wait_rw(&c, &rw, GOS_FOREVER), GOS_PERM);
  CHECK_EQ(gos_cond_wait_r(&c, &rw, GOS_FOREVER), GOS_PERM);
  CHECK_EQ(gos_mutex_trylock(&mu), GOS_OK);
  gos_mutex_unlock(&mu);
  is_empty();
}

TEST(deadlines) {
  gos_mutex_lock(&mu);
  CHECK_EQ(gos_cond_wait_dl(&c, &mu, GOS_NOW), GOS_WOULDBLOCK);
  held();
  for (int i = 0; i < 4; i++) {
    gos_ns until = gos_now() + i * MS;
    CHECK_EQ(gos_cond_wait_dl(&c, &mu, until), GOS_TIMEDOUT);
    CHECK(gos_now() >= until);
    held();
  }
  gos_mutex_unlock(&mu);
}

/* One that timed out, and one that was interrupted, stand before one that waits on: its is the signal. */
static void waits_for(void *arg) {
  gos_mutex_lock(&mu);
  CHECK_EQ(gos_cond_wait_dl(&c, &mu, gos_now() + MS), (int)(intptr_t)arg);
  held();
  gos_mutex_unlock(&mu);
}
static void waits_until_interrupted(void *arg) {
  (void)arg;
  gos_mutex_lock(&mu);
  CHECK_EQ(gos_cond_wait(&c, &mu), GOS_CANCELED);
  held();
  gos_mutex_unlock(&mu);
}

TEST(who_gave_up_takes_no_signal) {
  gos_g *a = spawn(waits_until_interrupted, NULL), *b, *d;
  until_parked(a, WAITING);
  b = spawn(waits_for, (void *)(intptr_t)GOS_TIMEDOUT);
  finish(b);
  d = spawn(waits, NULL);
  until_parked(d, WAITING);
  gos_interrupt(a);
  finish(a);
  gos_cond_signal(&c);
  finish(d);
  is_empty();
}

/* An interrupt between the signal and the lock ends the next wait, not this one. */
static void waits_then_sleeps(void *arg) {
  waits(arg);
  CHECK_EQ(gos_sleep(3600000 * MS), GOS_CANCELED);
}

TEST(an_interrupt_while_locking_again_is_kept) {
  gos_g *g = spawn(waits_then_sleeps, NULL);
  until_parked(g, WAITING);
  gos_mutex_lock(&mu);
  gos_cond_signal(&c);
  until_parked(g, "sync.Mutex.Lock");
  gos_interrupt(g);
  settle();
  gos_mutex_unlock(&mu);
  finish(g);
  CHECK_EQ(out, 1);
}

/* Every signal is used by exactly one that returned GOS_OK: signals racing with timeouts and interrupts.
   The signaller only signals for those of which it knows, under the lock, that they wait. */
static long waiting, given, taken; /* under mu */
static void races(void *arg) {
  uint64_t x = (uint64_t)(uintptr_t)arg * 0x9E3779B97F4A7C15u + 1;
  for (long i = scaled(2000); i; i--) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    gos_mutex_lock(&mu);
    waiting++;
    int e = gos_cond_wait_dl(&c, &mu, x % 3 ? gos_now() + (gos_ns)(x >> 40) % (MS / 20) : gos_now() + MS);
    waiting--;
    taken += e == GOS_OK;
    CHECK(e == GOS_OK || e == GOS_TIMEDOUT || e == GOS_CANCELED);
    gos_mutex_unlock(&mu);
  }
  atomic_fetch_add(&out, 1);
}
static void *races_thread(void *arg) { return races(arg), NULL; }

TEST(signals_race_with_timeouts) {
  enum { N = 8 };
  gos_g *g[N];
  pthread_t t;
  CHECK_EQ(pthread_create(&t, NULL, races_thread, (void *)99), 0);
  for (intptr_t i = 0; i < N; i++) g[i] = spawn(races, (void *)i);
  for (long i = 0; out != N + 1; i++) {
    gos_mutex_lock(&mu);
    gos_cond_signal(&c);
    given++;
    CHECK(taken <= given);
    gos_mutex_unlock(&mu);
    gos_interrupt(g[i % N]);
    gos_gosched();
  }
  for (int i = 0; i < N; i++) finish(g[i]);
  pthread_join(t, NULL);
  CHECK_EQ(waiting, 0);
  is_empty();
}

/* One signal, sent about when three waiters time out, with a fourth behind them that does not: exactly one
   of the four has it. */
static void times_out(void *arg) {
  gos_mutex_lock(&mu);
  taken += gos_cond_wait_dl(&c, &mu, *(gos_ns *)arg) == GOS_OK;
  gos_mutex_unlock(&mu);
}

TEST(a_signal_is_not_lost_on_a_timeout) {
  for (long r = scaled(300); r; r--) {
    gos_ns until = gos_now() + MS / 10;
    gos_g *g[3], *last;
    out = 0;
    taken = got = 0;
    for (int i = 0; i < 3; i++) g[i] = spawn(times_out, &until);
    last = spawn(waits, NULL);
    until_parked(last, WAITING);
    while (gos_now() < until + (r % 16 - 8) * MS / 200) {}
    gos_cond_signal(&c);
    for (int i = 0; i < 3; i++) finish(g[i]);
    gos_mutex_lock(&mu);
    long by_others = taken;
    gos_mutex_unlock(&mu);
    if (by_others) {
      CHECK_EQ(by_others, 1);
      CHECK_EQ(gos_join(last, GOS_NOW), GOS_WOULDBLOCK);
      gos_cond_signal(&c);
    }
    finish(last);
  }
}

/* A bounded queue on two conds: no lost signal, or it hangs. */
static gos_cond not_empty, not_full;
static long queue[4], n_queued, sum;
static void produces(void *arg) {
  for (long i = 1; i <= (long)(intptr_t)arg; i++) {
    gos_mutex_lock(&mu);
    while (n_queued == 4) gos_cond_wait(&not_full, &mu);
    queue[n_queued++] = i;
    gos_cond_signal(&not_empty);
    gos_mutex_unlock(&mu);
  }
}
static void consumes(void *arg) {
  for (long i = (long)(intptr_t)arg; i; i--) {
    gos_mutex_lock(&mu);
    while (n_queued == 0)
      if (gos_cond_wait_dl(&not_empty, &mu, i % 2 ? GOS_FOREVER : gos_now() + MS / 50) == GOS_PERM) CHECK(false);
    sum += queue[--n_queued];
    gos_mutex_unlock(&mu);
    gos_cond_signal(&not_full);
  }
}
static void *produces_thread(void *arg) { return produces(arg), NULL; }

TEST(a_queue) {
  long n = scaled(5000);
  gos_g *g[7];
  pthread_t t;
  CHECK_EQ(pthread_create(&t, NULL, produces_thread, (void *)n), 0);
  for (int i = 0; i < 3; i++) g[i] = spawn(produces, (void *)n);
  for (int i = 3; i < 7; i++) g[i] = spawn(consumes, (void *)n);
  for (int i = 0; i < 7; i++) finish(g[i]);
  pthread_join(t, NULL);
  CHECK_EQ(sum, 4 * n * (n + 1) / 2);
}

/* Go's TestCondBroadcast: a round for all, again and again, until told to exit. */
static long running;
static bool over;
static void rounds(void *arg) {
  (void)arg;
  gos_mutex_lock(&mu);
  while (!over) {
    running++;
    CHECK_EQ(gos_cond_wait(&c, &mu), GOS_OK);
  }
  gos_mutex_unlock(&mu);
}

TEST(broadcast_rounds) {
  enum { N = 50 };
  gos_g *g[N];
  for (int i = 0; i < N; i++) g[i] = spawn(rounds, NULL);
  for (long r = scaled(50); r >= 0; r--) {
    for (;;) {
      gos_mutex_lock(&mu);
      if (running == N) break;
      gos_mutex_unlock(&mu);
      gos_gosched(), sched_yield();
    }
    running = 0;
    over = r == 0;
    gos_cond_broadcast(&c);
    gos_mutex_unlock(&mu);
  }
  for (int i = 0; i < N; i++) finish(g[i]);
}

static void waits_writing(void *arg) {
  (void)arg;
  gos_rwmutex_lock(&rw);
  CHECK_EQ(gos_cond_wait_rw(&c, &rw, GOS_FOREVER), GOS_OK);
  CHECK_EQ(gos_rwmutex_tryrlock(&rw), GOS_WOULDBLOCK);
  CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_OK);
}
static void waits_reading(void *arg) {
  (void)arg;
  gos_rwmutex_rlock(&rw);
  CHECK_EQ(gos_cond_wait_r(&c, &rw, GOS_FOREVER), GOS_OK);
  CHECK_EQ(gos_rwmutex_trylock(&rw), GOS_WOULDBLOCK);
  CHECK_EQ(gos_rwmutex_runlock(&rw), GOS_OK);
}

TEST(with_a_read_write_lock) {
  gos_g *g[4] = {spawn(waits_writing, NULL), spawn(waits_reading, NULL), spawn(waits_writing, NULL),
                 spawn(waits_reading, NULL)};
  for (int i = 0; i < 4; i++) until_parked(g[i], WAITING);
  CHECK_EQ(gos_rwmutex_trylock(&rw), GOS_OK);
  gos_cond_broadcast(&c);
  CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_OK);
  for (int i = 0; i < 4; i++) finish(g[i]);
  gos_rwmutex_rlock(&rw);
  CHECK_EQ(gos_cond_wait_r(&c, &rw, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_rwmutex_runlock(&rw), GOS_OK);
}

/* Go's copyChecker panics; here a copy is a Cond of its own that nobody waits on. */
TEST(a_copy_wakes_nobody) {
  gos_g *g = spawn(waits, NULL);
  until_parked(g, WAITING);
  gos_cond copied = {__atomic_load_n(&c.n, __ATOMIC_ACQUIRE)};
  gos_cond_signal(&copied), gos_cond_broadcast(&copied);
  settle();
  CHECK_EQ(out, 0);
  gos_cond_signal(&c);
  finish(g);
}

/* ---- in steps, for bindings ---------------------------------------------------------------- */
static void waits_in_steps(void *arg) {
  gos_cond_place p;
  int sleeps = 0, e;
  gos_mutex_lock(&mu);
  gos_cond_enter(&c, &p);
  gos_mutex_unlock(&mu);
  while ((e = gos_cond_sleep(&c, &p, gos_now() + MS / 10)) == GOS_TIMEDOUT) sleeps++;
  CHECK_EQ(e, GOS_OK);
  CHECK_EQ(gos_cond_leave(&c, &p), 1);
  if (arg) *(int *)arg = sleeps;
  atomic_fetch_add(&out, 1);
}

TEST(steps_keep_the_place) {
  gos_cond_place p;
  gos_mutex_lock(&mu);
  gos_cond_enter(&c, &p);
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
  CHECK_EQ(gos_cond_sleep(&c, &p, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_cond_sleep(&c, &p, gos_now() + MS), GOS_TIMEDOUT);
  gos_cond_signal(&c); /* between two sleeps */
  CHECK_EQ(gos_cond_sleep(&c, &p, GOS_FOREVER), GOS_OK);
  CHECK_EQ(gos_cond_leave(&c, &p), 1);
  gos_cond_enter(&c, &p);
  CHECK_EQ(gos_cond_sleep(&c, &p, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_cond_leave(&c, &p), 0);
  gos_cond_enter(&c, &p);
  gos_cond_broadcast(&c);
  CHECK_EQ(gos_cond_leave(&c, &p), 1);
  is_empty();
}

TEST(steps_miss_no_signal) {
  for (int i = scaled(300); i; i--) {
    gos_g *g[4];
    out = 0;
    for (int k = 0; k < 4; k++) g[k] = spawn(waits_in_steps, NULL);
    while (__atomic_load_n(&c.n, __ATOMIC_ACQUIRE) + out < 4) gos_gosched();
    gos_mutex_lock(&mu); /* they are counted before they have their place, but both under the lock */
    gos_mutex_unlock(&mu);
    for (int k = 0; k < 4; k++) gos_cond_signal(&c);
    for (int k = 0; k < 4; k++) finish(g[k]);
  }
  is_empty();
}
