// ctest: timeout=120
/* WaitGroup, Mutex, Once.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static gos_waitgroup wg;
static gos_mutex mu;
static atomic_long count;

static void add_one(void *arg) { atomic_fetch_add((atomic_long *)arg, 1); }
static void done_after(void *arg) { add_one(arg), gos_waitgroup_done(&wg); }
static void waits(void *arg) {
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
  add_one(arg);
}

TEST(waitgroup_waits_for_all) {
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
  CHECK_EQ(gos_waitgroup_add(&wg, 100), GOS_OK);
  for (int i = 0; i < 100; i++) gos_go(done_after, &count);
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
  CHECK_EQ(count, 100);
}

TEST(waitgroup_go) {
  for (int i = 0; i < 50; i++) CHECK_EQ(gos_waitgroup_go(&wg, add_one, &count), GOS_OK);
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
  CHECK_EQ(count, 50);
}

static void leaves(void *arg) { add_one(arg), gos_goexit(); }

TEST(waitgroup_go_counts_a_goexit) {
  for (int i = 0; i < 10; i++) CHECK_EQ(gos_waitgroup_go(&wg, leaves, &count), GOS_OK);
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
  CHECK_EQ(count, 10);
}

TEST(waitgroup_negative_changes_nothing) {
  CHECK_EQ(gos_waitgroup_done(&wg), GOS_INVAL);
  CHECK_EQ(gos_waitgroup_add(&wg, -1), GOS_INVAL);
  CHECK_EQ(gos_waitgroup_add(&wg, 2), GOS_OK);
  CHECK_EQ(gos_waitgroup_add(&wg, -3), GOS_INVAL);
  CHECK_EQ(gos_waitgroup_wait_dl(&wg, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_waitgroup_add(&wg, -2), GOS_OK);
  CHECK_EQ(gos_waitgroup_wait_dl(&wg, GOS_NOW), GOS_OK);
}

TEST(waitgroup_deadline) {
  gos_waitgroup_add(&wg, 1);
  gos_ns until = gos_now() + 3 * MS;
  CHECK_EQ(gos_waitgroup_wait_dl(&wg, until), GOS_TIMEDOUT);
  CHECK(gos_now() >= until);
  gos_waitgroup_done(&wg);
  CHECK_EQ(gos_waitgroup_wait_dl(&wg, gos_now() + MS), GOS_OK);
}

TEST(waitgroup_wakes_every_waiter) {
  gos_g *g[20];
  gos_waitgroup_add(&wg, 2);
  for (int i = 0; i < 20; i++) g[i] = spawn(waits, &count);
  for (int i = 0; i < 20; i++) until_parked(g[i], "sync.WaitGroup.Wait");
  gos_waitgroup_done(&wg);
  for (int i = 0; i < 50; i++) gos_gosched();
  CHECK_EQ(count, 0);
  gos_waitgroup_done(&wg);
  for (int i = 0; i < 20; i++) finish(g[i]);
  CHECK_EQ(count, 20);
}

/* Two groups as a barrier, used again and again. */
static gos_waitgroup barrier[2];
static void crosses(void *arg) {
  (void)arg, gos_waitgroup_done(&barrier[0]);
  CHECK_EQ(gos_waitgroup_wait(&barrier[1]), GOS_OK);
  add_one(&count), gos_waitgroup_done(&wg);
}

TEST(waitgroup_reused) {
  enum { N = 16 };
  for (long round = 1; round <= scaled(50); round++) {
    gos_waitgroup_add(&barrier[0], N), gos_waitgroup_add(&barrier[1], 1), gos_waitgroup_add(&wg, N);
    for (int i = 0; i < N; i++) gos_go(crosses, NULL);
    CHECK_EQ(gos_waitgroup_wait(&barrier[0]), GOS_OK);
    CHECK_EQ(count, (round - 1) * N);
    gos_waitgroup_done(&barrier[1]);
    CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
    CHECK_EQ(count, round * N);
  }
}

static void waits_some(void *arg) {
  (void)arg;
  CHECK_EQ(gos_waitgroup_wait_dl(&wg, gos_now() + 2 * MS), GOS_TIMEDOUT);
}

TEST(waitgroup_timed_out_waiter_is_gone) {
  gos_g *g[10], *h;
  gos_waitgroup_add(&wg, 1);
  for (int i = 0; i < 10; i++) g[i] = spawn(waits_some, NULL);
  h = spawn(waits, &count);
  for (int i = 0; i < 10; i++) finish(g[i]);
  gos_waitgroup_done(&wg);
  finish(h);
}

static void locks(void *arg) {
  (void)arg, gos_mutex_lock(&mu), add_one(&count);
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
}

TEST(mutex_waits) {
  gos_mutex_lock(&mu);
  CHECK_EQ(gos_mutex_trylock(&mu), GOS_WOULDBLOCK);
  CHECK_EQ(gos_mutex_lock_dl(&mu, GOS_NOW), GOS_WOULDBLOCK);
  gos_g *g = spawn(locks, NULL);
  until_parked(g, "sync.Mutex.Lock");
  CHECK_EQ(count, 0);
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
  finish(g);
  CHECK_EQ(count, 1);
  CHECK_EQ(gos_mutex_trylock(&mu), GOS_OK);
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
}

TEST(mutex_unlock_of_unlocked) {
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_PERM);
  gos_mutex_lock(&mu);
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_PERM);
  CHECK_EQ(gos_mutex_trylock(&mu), GOS_OK); /* still sound */
  CHECK_EQ(gos_mutex_trylock(&mu), GOS_WOULDBLOCK);
}

static void unlocks(void *arg) {
  (void)arg;
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
}

TEST(mutex_unlocked_by_another) {
  gos_mutex_lock(&mu);
  finish(spawn(unlocks, NULL));
  gos_mutex_lock(&mu);
  unlocks(NULL);
}

TEST(mutex_deadline) {
  gos_mutex_lock(&mu);
  for (int i = 0; i < 5; i++) {
    gos_ns until = gos_now() + i * MS;
    CHECK_EQ(gos_mutex_lock_dl(&mu, until), GOS_TIMEDOUT);
    CHECK(gos_now() >= until);
  }
  gos_g *g = spawn(locks, NULL);
  until_parked(g, "sync.Mutex.Lock");
  gos_mutex_unlock(&mu);
  CHECK_EQ(gos_mutex_lock_dl(&mu, gos_now() + 3600000 * MS), GOS_OK);
  gos_mutex_unlock(&mu);
  finish(g);
}

/* Plain memory under the lock: exclusion, and order for ThreadSanitizer. */
static long plain, inside;
static void hammers(void *arg) {
  for (long i = scaled(5000); i; i--) {
    unsigned how = (unsigned)(i + (long)(intptr_t)arg) % 4;
    if (how == 0)
      while (gos_mutex_trylock(&mu) != GOS_OK) gos_gosched();
    else if (how == 1)
      while (gos_mutex_lock_dl(&mu, gos_now() + MS / 4) != GOS_OK)
        ;
    else
      gos_mutex_lock(&mu);
    CHECK_EQ(inside++, 0);
    plain++;
    if (i % 16 == 0) gos_gosched(); /* others pile up */
    CHECK_EQ(--inside, 0);
    gos_mutex_unlock(&mu);
  }
}

TEST(mutex_hammer) {
  gos_g *g[10];
  for (intptr_t i = 0; i < 10; i++) g[i] = spawn(hammers, (void *)i);
  for (int i = 0; i < 10; i++) finish(g[i]);
  CHECK_EQ(plain, 10 * scaled(5000));
}

/* One that takes the lock again at once does not keep the others out for ever. */
static atomic_bool enough;
static void greedy(void *arg) {
  (void)arg;
  while (!enough) gos_mutex_lock(&mu), add_one(&count), gos_mutex_unlock(&mu);
}

TEST(mutex_is_not_kept_by_the_greedy) {
  gos_g *g[2] = {spawn(greedy, NULL), spawn(greedy, NULL)};
  for (long i = scaled(200); i; i--) gos_mutex_lock(&mu), gos_mutex_unlock(&mu), gos_gosched();
  enough = true;
  finish(g[0]);
  finish(g[1]);
}

static void sleeps_holding(void *arg) {
  (void)arg;
  while (!enough) gos_mutex_lock(&mu), gos_sleep(MS / 10), gos_mutex_unlock(&mu);
}

TEST(mutex_is_not_kept_by_sleepers) {
  gos_g *g[2] = {spawn(sleeps_holding, NULL), spawn(sleeps_holding, NULL)};
  for (int i = 0; i < 10; i++) gos_mutex_lock(&mu), gos_mutex_unlock(&mu);
  enough = true;
  finish(g[0]);
  finish(g[1]);
}

static gos_once once;
static long made;
static void make(void *arg) { (void)arg, gos_gosched(), made++; }
static void needs(void *arg) {
  gos_once_do(&once, make, arg);
  CHECK_EQ(made, 1); /* plain memory: whoever returns has seen it */
}

TEST(once_runs_once_and_all_see_it) {
  for (long r = scaled(100); r; r--) {
    gos_g *g[10];
    for (int i = 0; i < 10; i++) g[i] = spawn(needs, NULL);
    for (int i = 0; i < 10; i++) finish(g[i]);
    CHECK_EQ(made, 1);
    memset(&once, 0, sizeof once), made = 0;
  }
}

static gos_chan *gate;
static void make_late(void *arg) { (void)arg, gos_chan_recv(gate, NULL), made++; }
static void needs_late(void *arg) {
  gos_once_do(&once, make_late, arg);
  CHECK_EQ(made, 1);
}

TEST(once_others_wait_for_the_first) {
  gate = gos_chan_make(0, 0);
  gos_g *a = spawn(needs_late, NULL);
  until_parked(a, "chan receive");
  gos_g *b = spawn(needs_late, NULL);
  for (int i = 0; i < 50; i++) gos_gosched();
  CHECK_EQ(gos_join(b, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_chan_send(gate, NULL), GOS_OK);
  finish(a);
  finish(b);
  gos_chan_release(gate);
}
