// ctest: timeout=60
// ctest: not-in=arm64
/* The same asked for by many at the same moment: one of them does it, all of them get it. And the first call of all.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <pthread.h>

enum { MANY = 8 };
static atomic_int ready, successes, refusals;
static atomic_long sum;

/* All threads at the line, then off. */
static void line_up(int n) {
  atomic_fetch_add(&ready, 1);
  while (ready < n) sched_yield();
}

/* ---- the first call -------------------------------------------------------------------------- */
static void adds(void *arg) { atomic_fetch_add(&sum, (long)(intptr_t)arg); }
static void *starts(void *arg) {
  line_up(MANY);
  if ((intptr_t)arg % 2) {
    int e = gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 3});
    atomic_fetch_add(e == GOS_OK ? &successes : &refusals, 1);
    CHECK(e == GOS_OK || e == GOS_PERM);
  }
  int e;
  gos_g *g = gos_go_opts(NULL, adds, arg, &e); /* by whomever it was started, it works from here on */
  CHECK_EQ(e, GOS_OK);
  CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
  gos_release(g);
  if (gos_goid()) { /* main: the others end with it */
    while (sum < MANY * (MANY + 1) / 2) gos_gosched();
  }
  return arg;
}
TEST_RAW(many_start_the_runtime) {
  pthread_t t[MANY];
  for (intptr_t i = 0; i < MANY; i++) CHECK_EQ(pthread_create(&t[i], NULL, starts, (void *)(i + 1)), 0);
  for (int i = 0; i < MANY; i++) pthread_join(t[i], NULL);
  CHECK_EQ(sum, MANY * (MANY + 1) / 2);
  CHECK(successes <= 1);
  CHECK_EQ(successes + refusals, MANY / 2);
  CHECK_EQ(gos_init(NULL), GOS_PERM);
  _exit(0); /* main's thread has ended: nobody is left to end the runtime */
}

/* ---- one goroutine's done channel, asked for by many ------------------------------------------------ */
static gos_g *watched;
static gos_chan *got[MANY], *gate;
static void waits(void *arg) { gos_chan_recv(arg, NULL); }
static void *asks(void *arg) {
  long i = (long)(intptr_t)arg;
  line_up(MANY);
  CHECK((got[i] = gos_done(watched)));
  return arg;
}
TEST(one_done_channel_for_all) {
  for (int round = 0; round < scaled(60); round++) {
    pthread_t t[MANY];
    gate = gos_chan_make(0, 0);
    watched = spawn(waits, gate);
    ready = 0;
    for (intptr_t i = 0; i < MANY; i++) CHECK_EQ(pthread_create(&t[i], NULL, asks, (void *)i), 0);
    for (int i = 0; i < MANY; i++) pthread_join(t[i], NULL);
    for (int i = 0; i < MANY; i++) CHECK(got[i] == got[0]);
    CHECK_EQ(gos_chan_recv_dl(got[0], NULL, GOS_NOW), GOS_WOULDBLOCK);
    gos_chan_close(gate);
    CHECK_EQ(gos_chan_recv(got[0], NULL), GOS_CLOSED);
    finish(watched);
    gos_chan_release(gate);
  }
}

/* ---- one context's done channel ------------------------------------------------------------------------ */
static gos_ctx *ctx;
static void *asks_context(void *arg) {
  long i = (long)(intptr_t)arg;
  line_up(MANY);
  if (i == MANY - 1)
    gos_cancel(ctx, 5);
  else
    CHECK_EQ(gos_chan_recv(got[i] = gos_ctx_done(ctx), NULL), GOS_CLOSED); /* whichever it is, it closes */
  return arg;
}
TEST(a_done_channel_beside_the_end) {
  for (int round = 0; round < scaled(60); round++) {
    pthread_t t[MANY];
    ctx = gos_with_cancel(NULL);
    ready = 0;
    for (intptr_t i = 0; i < MANY; i++) CHECK_EQ(pthread_create(&t[i], NULL, asks_context, (void *)i), 0);
    for (int i = 0; i < MANY; i++) pthread_join(t[i], NULL);
    CHECK_EQ(gos_ctx_cause(ctx), 5);
    gos_ctx_release(ctx);
  }
}

/* ---- the last tokens, the last turn -------------------------------------------------------------------------- */
static gos_sem *sem;
static gos_limiter *limiter;
static void *takes(void *arg) {
  line_up(MANY);
  if (gos_sem_try_acquire(sem, 1) == GOS_OK) atomic_fetch_add(&successes, 1);
  if (gos_limiter_allow(limiter, 1)) atomic_fetch_add(&refusals, 1);
  return arg;
}
TEST(no_more_than_there_are) {
  for (int round = 0; round < scaled(60); round++) {
    pthread_t t[MANY];
    sem = gos_sem_new(3);
    limiter = gos_limiter_new(0, 5); /* five, and never again */
    ready = successes = refusals = 0;
    for (int i = 0; i < MANY; i++) CHECK_EQ(pthread_create(&t[i], NULL, takes, NULL), 0);
    for (int i = 0; i < MANY; i++) pthread_join(t[i], NULL);
    CHECK_EQ(successes, 3);
    CHECK_EQ(refusals, 5);
    CHECK_EQ(gos_sem_release(sem, 3), GOS_OK);
    gos_sem_free(sem), gos_limiter_free(limiter);
  }
}
