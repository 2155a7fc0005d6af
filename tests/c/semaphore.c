// ctest: timeout=60
/* The weighted semaphore.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <pthread.h>

static gos_sem *sem;
static gos_ctx *ctx;
static atomic_long inside, order;

TEST(takes_and_gives_back) {
  sem = gos_sem_new(10);
  CHECK_EQ(gos_sem_acquire(sem, 4), GOS_OK);
  CHECK_EQ(gos_sem_try_acquire(sem, 7), GOS_WOULDBLOCK);
  CHECK_EQ(gos_sem_try_acquire(sem, 6), GOS_OK);
  CHECK_EQ(gos_sem_try_acquire(sem, 1), GOS_WOULDBLOCK);
  CHECK_EQ(gos_sem_try_acquire(sem, 0), GOS_OK);
  CHECK_EQ(gos_sem_release(sem, 3), GOS_OK);
  CHECK_EQ(gos_sem_acquire_dl(sem, 3, GOS_NOW), GOS_OK);
  CHECK_EQ(gos_sem_release(sem, 11), GOS_PERM);
  CHECK_EQ(gos_sem_release(sem, 10), GOS_OK);
  CHECK_EQ(gos_sem_release(sem, 1), GOS_PERM);
  CHECK_EQ(gos_sem_acquire(sem, -1), GOS_INVAL);
  CHECK_EQ(gos_sem_release(sem, -1), GOS_INVAL);
  CHECK_EQ(gos_sem_acquire(NULL, 1), GOS_INVAL);
  CHECK_EQ(gos_sem_release(NULL, 1), GOS_INVAL);
  CHECK(!gos_sem_new(-1));
  gos_sem_free(sem);
}

TEST(more_than_there_will_ever_be) {
  sem = gos_sem_new(2);
  CHECK_EQ(gos_sem_try_acquire(sem, 3), GOS_WOULDBLOCK);
  CHECK_EQ(gos_sem_acquire_dl(sem, 3, gos_now() + MS), GOS_TIMEDOUT);
  ctx = gos_with_timeout(NULL, MS);
  CHECK_EQ(gos_sem_acquire_ctx(sem, 3, ctx), GOS_TIMEDOUT);
  CHECK_EQ(gos_sem_acquire_ctx(sem, 1, ctx), GOS_TIMEDOUT); /* has ended: wins over what there is */
  gos_ctx_release(ctx);
  CHECK_EQ(gos_sem_acquire(sem, 2), GOS_OK);
  gos_sem_free(sem);
}

static void takes_too_much(void *arg) { CHECK_EQ(gos_sem_acquire(sem, (intptr_t)arg), GOS_CANCELED); }

TEST(the_hopeless_hold_nobody_up) {
  sem = gos_sem_new(2);
  gos_g *g = spawn(takes_too_much, (void *)3);
  until_parked(g, "semaphore.Acquire");
  for (int i = 0; i < 2; i++) CHECK_EQ(gos_sem_acquire(sem, 1), GOS_OK);
  CHECK_EQ(gos_sem_release(sem, 2), GOS_OK);
  CHECK_EQ(gos_interrupt(g), GOS_OK);
  finish(g);
  gos_sem_free(sem);
}

static void takes_in_turn(void *arg) {
  long *want = arg;
  CHECK_EQ(gos_sem_acquire(sem, want[0]), GOS_OK);
  want[1] = atomic_fetch_add(&order, 1);
}

/* A big request goes before small ones that came later, though these would fit. */
TEST(first_come_first_served) {
  long want[][2] = {{5, -1}, {1, -1}, {2, -1}, {2, -1}};
  gos_g *g[4];
  sem = gos_sem_new(5);
  CHECK_EQ(gos_sem_acquire(sem, 4), GOS_OK);
  for (int i = 0; i < 4; i++) g[i] = spawn(takes_in_turn, want[i]), until_parked(g[i], "semaphore.Acquire");
  CHECK_EQ(gos_sem_try_acquire(sem, 1), GOS_WOULDBLOCK); /* there is one, but others wait */
  CHECK_EQ(gos_sem_release(sem, 4), GOS_OK);
  finish(g[0]);
  CHECK_EQ(order, 1);
  CHECK_EQ(gos_sem_release(sem, 5), GOS_OK);
  for (int i = 1; i < 4; i++) finish(g[i]);
  CHECK_EQ(want[0][1], 0);
  CHECK_EQ(gos_sem_try_acquire(sem, 1), GOS_WOULDBLOCK);
  CHECK_EQ(gos_sem_release(sem, 5), GOS_OK);
  gos_sem_free(sem);
}

/* The one in front gives up: those behind it that fit go on. */
static void gives_up(void *arg) {
  int e = arg ? gos_sem_acquire_ctx(sem, 5, ctx) : gos_sem_acquire_dl(sem, 5, gos_now() + 2 * MS);
  CHECK_EQ(e, arg ? GOS_CANCELED : GOS_TIMEDOUT);
}
TEST(the_first_gives_up) {
  for (intptr_t how = 0; how < 2; how++) {
    long small[2] = {1, -1};
    sem = gos_sem_new(5);
    ctx = gos_with_cancel(NULL);
    CHECK_EQ(gos_sem_acquire(sem, 3), GOS_OK);
    gos_g *big = spawn(gives_up, (void *)how);
    if (how) until_parked(big, "semaphore.Acquire");
    gos_g *g = spawn(takes_in_turn, small);
    if (how) until_parked(g, "semaphore.Acquire");
    gos_cancel(ctx, 0);
    finish(big);
    finish(g);
    CHECK_EQ(gos_sem_release(sem, 4), GOS_OK);
    gos_ctx_release(ctx);
    gos_sem_free(sem);
  }
}

/* Never more than the size inside; nothing is lost when calls are given up at any moment. */
static void hammers(void *arg) {
  intptr_t id = (intptr_t)arg;
  for (long i = 0; i < scaled(500); i++) {
    int64_t n = (i * 7 + id) % 5 + 1;
    gos_ctx *x = i % 4 == 1 ? gos_with_timeout(NULL, i % 16 * 500) : NULL;
    int e = i % 4 == 0   ? gos_sem_acquire(sem, n)
            : i % 4 == 1 ? gos_sem_acquire_ctx(sem, n, x)
            : i % 4 == 2 ? gos_sem_acquire_dl(sem, n, gos_now() + i % 8 * 1000)
                         : gos_sem_try_acquire(sem, n);
    gos_ctx_release(x);
    if (e) continue;
    CHECK(atomic_fetch_add(&inside, n) + n <= 6);
    if (i % 3 == 0) gos_gosched();
    atomic_fetch_sub(&inside, n);
    CHECK_EQ(gos_sem_release(sem, n), GOS_OK);
  }
}
static void *hammers_outside(void *arg) { return hammers(arg), NULL; }

TEST(hammer) {
  gos_g *g[10];
  pthread_t t[2];
  sem = gos_sem_new(6);
  for (intptr_t i = 0; i < 10; i++) g[i] = spawn(hammers, (void *)i);
  for (intptr_t i = 0; i < 2; i++) CHECK_EQ(pthread_create(&t[i], NULL, hammers_outside, (void *)(i + 20)), 0);
  for (int i = 0; i < 10; i++) finish(g[i]);
  for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
  CHECK_EQ(gos_sem_try_acquire(sem, 6), GOS_OK);
  gos_sem_free(sem);
}

/* What one wrote before its release, the next sees. */
static long plain;
static void adds(void *arg) {
  (void)arg;
  for (int i = 0; i < 100; i++) {
    CHECK_EQ(gos_sem_acquire(sem, 1), GOS_OK);
    plain++;
    CHECK_EQ(gos_sem_release(sem, 1), GOS_OK);
  }
}
TEST(orders_memory) {
  gos_g *g[8];
  sem = gos_sem_new(1);
  for (int i = 0; i < 8; i++) g[i] = spawn(adds, NULL);
  for (int i = 0; i < 8; i++) finish(g[i]);
  CHECK_EQ(plain, 800);
  gos_sem_free(sem);
}
