// ctest: timeout=60
/* Whoever has something to do gets to do it, however it became ready, while all Ps are busy: with goroutines that
 * yield, with pairs that ready each other for ever, with one that spins on every P. By counting turns; fairness.c has
 * the run queue itself.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <gossamer/net.h>
#include <pthread.h>

static atomic_bool over;
static atomic_long turns;

/* ---- what keeps the Ps busy ------------------------------------------------------------------ */
static void yields(void *arg) {
  (void)arg;
  while (!over) gos_gosched();
}
static void spins(void *arg) {
  (void)arg;
  while (!over) turns++;
}
static gos_chan *ball[8];
static void plays(void *arg) {
  gos_chan **c = arg;
  while (gos_chan_recv(c[0], NULL) == GOS_OK && gos_chan_send(c[1], NULL) == GOS_OK) {}
}
static void serves(void *arg) {
  gos_chan **c = arg;
  while (!over && gos_chan_send(c[0], NULL) == GOS_OK && gos_chan_recv(c[1], NULL) == GOS_OK) {}
  gos_chan_close(c[0]);
}

enum { YIELD, PLAY, SPIN, BUSY_KINDS };
static gos_g *busy[16];
static int nbusy;
static void keep_busy(int kind) {
  over = false;
  nbusy = 0;
  for (int i = 0; i < test_procs; i++) {
    if (kind == YIELD) busy[nbusy++] = spawn(yields, NULL), busy[nbusy++] = spawn(yields, NULL);
    if (kind == SPIN) busy[nbusy++] = spawn(spins, NULL);
    if (kind != PLAY) continue;
    ball[2 * i] = gos_chan_make(0, 0), ball[2 * i + 1] = gos_chan_make(0, 0);
    busy[nbusy++] = spawn(plays, &ball[2 * i]), busy[nbusy++] = spawn(serves, &ball[2 * i]);
  }
}
static void let_go(int kind) {
  over = true;
  for (int i = 0; i < nbusy; i++) finish(busy[i]);
  for (int i = 0; kind == PLAY && i < 2 * test_procs; i++) gos_chan_release(ball[i]);
}

/* ---- what becomes ready ---------------------------------------------------------------------- */
static int rounds(int kind) { return kind == SPIN ? (int)scaled(5) : (int)scaled(100); }

static atomic_long ran;
static void counts(void *arg) { (void)arg, ran++; }

/* All kinds in turn: beside each a thread from outside makes something run, so many times. */
static void from_outside(void *(*outside)(void *)) {
  for (int kind = 0; kind < BUSY_KINDS; kind++) {
    pthread_t t;
    int n = rounds(kind);
    long before = ran;
    keep_busy(kind);
    CHECK_EQ(pthread_create(&t, NULL, outside, &n), 0);
    while (ran < before + n) gos_gosched();
    let_go(kind);
    pthread_join(t, NULL);
  }
}

/* Started: it stands in the global queue. */
static void *starts_them(void *arg) {
  for (int i = 0; i < *(int *)arg; i++) {
    long before = ran;
    CHECK_EQ(gos_go(counts, NULL), GOS_OK);
    while (ran == before) sched_yield();
  }
  return NULL;
}
TEST(started_from_outside) { from_outside(starts_them); }

/* Woken. */
static gos_chan *question, *answer;
static void answers(void *arg) {
  (void)arg;
  while (gos_chan_recv(question, NULL) == GOS_OK) CHECK_EQ(gos_chan_send(answer, NULL), GOS_OK);
}
static void *asks(void *arg) {
  for (int i = 0; i < *(int *)arg; i++) {
    CHECK_EQ(gos_chan_send(question, NULL), GOS_OK);
    CHECK_EQ(gos_chan_recv(answer, NULL), GOS_OK);
    ran++;
  }
  return NULL;
}
TEST(woken_from_outside) {
  question = gos_chan_make(0, 0), answer = gos_chan_make(0, 0);
  gos_g *g = spawn(answers, NULL);
  from_outside(asks);
  gos_chan_close(question);
  finish(g);
  gos_chan_release(question), gos_chan_release(answer);
}

/* Woken by a file descriptor, which somebody has to look at. */
static int fd[2];
static void reads(void *arg) {
  char byte;
  (void)arg;
  while (gos_read(fd[0], &byte, 1, GOS_FOREVER) == 1) ran++;
}
static void *writes(void *arg) {
  for (int i = 0; i < *(int *)arg; i++) {
    long before = ran;
    CHECK_EQ(write(fd[1], "x", 1), 1);
    while (ran == before) sched_yield();
  }
  return NULL;
}
TEST(woken_by_a_descriptor) {
  CHECK_EQ(gos_pipe(fd), GOS_OK);
  gos_g *g = spawn(reads, NULL);
  until_parked(g, "IO wait");
  from_outside(writes);
  gos_close(fd[1]);
  finish(g);
  gos_close(fd[0]);
}

/* Woken by its timer; started by one. */
static void sleeps(void *arg) {
  for (int i = 0; i < *(int *)arg; i++) CHECK_EQ(gos_sleep(MS / 50), GOS_OK);
}
TEST(woken_by_a_timer) {
  for (int kind = 0; kind < BUSY_KINDS; kind++) {
    int n = rounds(kind);
    keep_busy(kind);
    gos_g *g = spawn(sleeps, &n);
    long before = ran;
    for (int i = 0; i < n; i++) {
      gos_timer *t = gos_after_func(MS / 50, counts, NULL);
      while (ran == before + i) gos_gosched();
      gos_timer_free(t);
    }
    finish(g);
    let_go(kind);
  }
}

/* Woken by the end of another, of a context, of a group. */
static void ends(void *arg) { (void)arg; }
static void obeys(void *arg) {
  CHECK_EQ(gos_chan_recv_ctx(NULL, NULL, arg), GOS_CANCELED);
  ran++;
}
TEST(woken_by_an_end) {
  for (int kind = 0; kind < BUSY_KINDS; kind++) {
    keep_busy(kind);
    for (int i = 0; i < rounds(kind); i++) {
      long before = ran;
      finish(spawn(ends, NULL));
      gos_ctx *x = gos_with_cancel(NULL);
      gos_g *g = spawn(obeys, x);
      gos_cancel(x, 0);
      finish(g);
      CHECK_EQ(ran, before + 1);
      gos_ctx_release(x);
      gos_waitgroup wg = {0};
      CHECK_EQ(gos_waitgroup_go(&wg, counts, NULL), GOS_OK);
      CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
      CHECK_EQ(ran, before + 2);
    }
    let_go(kind);
  }
}

/* Many compete for one lock that is never free for long: all of them get it, again and again. */
static gos_mutex mu;
static atomic_long had[8];
static void wants(void *arg) {
  atomic_long *mine = arg;
  while (!over) {
    gos_mutex_lock(&mu);
    ++*mine;
    if (*mine % 3 == 0) gos_gosched(); /* it is held over a switch now and then */
    CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
  }
}
TEST(all_who_want_a_lock_get_it) {
  gos_g *g[8];
  for (int i = 0; i < 8; i++) g[i] = spawn(wants, &had[i]);
  for (int i = 0; i < 8; i++)
    while (had[i] < scaled(200)) gos_gosched();
  over = true;
  for (int i = 0; i < 8; i++) finish(g[i]);
}
