// ctest: timeout=120
/* Nobody starves: yielding, spinning and blocking goroutines leave the others their turn.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <time.h>

static atomic_long turns[8];
static atomic_bool over;

static void yields(void *at) {
  while (!atomic_load(&over)) atomic_fetch_add(&turns[(intptr_t)at], 1), gos_gosched();
}

TEST(yielding_goroutines_all_advance) {
  gos_g *g[8];
  for (intptr_t i = 0; i < 8; i++) g[i] = spawn(yields, (void *)i);
  for (int i = 0; i < 8; i++)
    while (atomic_load(&turns[i]) < 200) gos_gosched();
  over = true;
  for (int i = 0; i < 8; i++) finish(g[i]);
}

/* Two goroutines that each spin until the other shows progress: true parallelism, or a hand-off. */
static atomic_long mine[2];
static void spins_for_other(void *at) {
  intptr_t me = (intptr_t)at;
  for (long i = 1; i <= 3; i++) {
    atomic_store(&mine[me], i);
    while (atomic_load(&mine[!me]) < i)
      ;
  }
}

TEST(spinners_see_each_other) {
  gos_g *a = spawn(spins_for_other, (void *)0), *b = spawn(spins_for_other, (void *)1);
  finish(a);
  finish(b);
}

static void spins(void *arg) {
  (void)arg;
  while (!atomic_load(&over)) atomic_fetch_add(&turns[0], 1);
}

TEST(main_goes_on_beside_spinners) {
  gos_g *g[3];
  for (int i = 0; i < 3; i++) g[i] = spawn(spins, NULL);
  for (int i = 0; i < 100; i++) gos_gosched();
  gos_chan *c = gos_after(2 * MS);
  CHECK_EQ(gos_chan_recv(c, NULL), GOS_OK);
  over = true;
  for (int i = 0; i < 3; i++) finish(g[i]);
  gos_chan_release(c);
}

static void main_spins_body(void *arg) { (void)arg, atomic_store(&over, true); }

TEST(others_go_on_beside_a_spinning_main) {
  gos_g *g = spawn(main_spins_body, NULL);
  while (!atomic_load(&over))
    ;
  finish(g);
}

/* A pair that plays ping-pong while a hog spins still gets its share. */
static void pong(void *arg) {
  gos_chan **c = arg;
  gos_chan_range(c[0], NULL) CHECK_EQ(gos_chan_send(c[1], NULL), GOS_OK);
}

TEST(ping_pong_beside_a_hog) {
  gos_chan *c[2] = {gos_chan_make(0, 0), gos_chan_make(0, 0)};
  gos_g *hog = spawn(spins, NULL), *g = spawn(pong, c);
  for (long i = scaled(2000); i; i--) {
    CHECK_EQ(gos_chan_send(c[0], NULL), GOS_OK);
    CHECK_EQ(gos_chan_recv(c[1], NULL), GOS_OK);
  }
  over = true;
  finish(hog);
  gos_chan_close(c[0]);
  finish(g);
  gos_chan_release(c[0]), gos_chan_release(c[1]);
}

/* A timer fires although two goroutines hand the P to each other without end. At one P nobody else looks for it: it is
   found within some turns of theirs. Turns are counted, as those of a slow machine take longer. */
static _Atomic gos_ns due;
static atomic_long turns_late;
static void bounce(void *arg) {
  gos_chan **c = arg;
  while (gos_chan_recv(c[0], NULL) == GOS_OK && gos_chan_send(c[1], NULL) == GOS_OK)
    if (test_procs == 1 && due && gos_now() > due) CHECK(++turns_late < 20000);
}

TEST(timer_beside_ping_pong) {
  gos_chan *c[4] = {gos_chan_make(0, 1), gos_chan_make(0, 1)};
  c[2] = c[1], c[3] = c[0];
  gos_g *a = spawn(bounce, c), *b = spawn(bounce, c + 2);
  CHECK_EQ(gos_chan_send(c[0], NULL), GOS_OK);
  gos_chan *t = gos_after(5 * MS);
  due = gos_now() + 5 * MS;
  CHECK_EQ(gos_chan_recv(t, NULL), GOS_OK);
  gos_chan_close(c[0]), gos_chan_close(c[1]);
  finish(a);
  finish(b);
  gos_chan_release(t), gos_chan_release(c[0]), gos_chan_release(c[1]);
}

/* A runnable goroutine is reached although two others always make each other runnable. */
static void set_over(void *arg) { (void)arg, atomic_store(&over, true); }
static void bounce_until_over(void *arg) {
  gos_chan **c = arg;
  while (!atomic_load(&over) && gos_chan_recv(c[0], NULL) == GOS_OK) gos_chan_send_dl(c[1], NULL, GOS_NOW);
  gos_chan_close(c[1]);
}

TEST(queue_beside_ping_pong) {
  gos_chan *c[3] = {gos_chan_make(0, 1), gos_chan_make(0, 1)};
  c[2] = c[0];
  gos_g *a = spawn(bounce_until_over, c), *b = spawn(bounce_until_over, c + 1);
  CHECK_EQ(gos_chan_send(c[0], NULL), GOS_OK);
  finish(spawn(set_over, NULL));
  finish(a);
  finish(b);
  gos_chan_release(c[0]), gos_chan_release(c[1]);
}

/* A call that blocks the thread without a word: the others go on meanwhile. It blocks in read()
   until the others have written, so it would hang for ever if they could not. */
static int tube[2];
static void reads_tube(void *arg) {
  char byte;
  CHECK_EQ(read(tube[0], &byte, 1), 1);
  *(char *)arg = byte;
}
static void writes_tube(void *arg) {
  (void)arg;
  CHECK_EQ(write(tube[1], "w", 1), 1);
}

TEST(unannounced_blocking_call) {
  char got = 0;
  CHECK_EQ(pipe(tube), 0);
  gos_g *r = spawn(reads_tube, &got);
  gos_g *w = spawn(writes_tube, NULL);
  finish(r);
  finish(w);
  CHECK_EQ(got, 'w');
}

TEST(main_may_block_unannounced) {
  CHECK_EQ(pipe(tube), 0);
  gos_g *w = spawn(writes_tube, NULL);
  char got = 0;
  reads_tube(&got);
  CHECK_EQ(got, 'w');
  finish(w);
}

static void naps(void *arg) {
  nanosleep(&(struct timespec){.tv_nsec = 20 * MS}, NULL), atomic_fetch_add((atomic_long *)arg, 1);
}

TEST(many_unannounced_blocking_calls) {
  gos_g *g[20];
  for (int i = 0; i < 20; i++) g[i] = spawn(naps, &turns[0]);
  for (int i = 0; i < 20; i++) finish(g[i]);
  CHECK_EQ(turns[0], 20);
}

static void reads_announced(void *arg) { gos_entersyscall(), reads_tube(arg), gos_exitsyscall(); }

TEST(announced_blocking_calls) {
  char got[8] = "";
  CHECK_EQ(pipe(tube), 0);
  gos_g *r[8];
  for (int i = 0; i < 8; i++) r[i] = spawn(reads_announced, &got[i]);
  for (int i = 0; i < 8; i++) finish(spawn(writes_tube, NULL));
  for (int i = 0; i < 8; i++) finish(r[i]);
  for (int i = 0; i < 8; i++) CHECK_EQ(got[i], 'w');
}

static void *read_one(void *arg) { return reads_tube(arg), arg; }
static void calls_blocking(void *arg) {
  void *ret = NULL;
  CHECK_EQ(gos_blocking(read_one, arg, &ret), GOS_OK);
  CHECK(ret == arg);
}

TEST(blocking_gives_the_result) {
  char got = 0;
  CHECK_EQ(pipe(tube), 0);
  gos_g *r = spawn(calls_blocking, &got);
  finish(spawn(writes_tube, NULL));
  finish(r);
  CHECK_EQ(gos_blocking(read_one, (writes_tube(NULL), &got), NULL), GOS_OK); /* ret is optional */
  CHECK_EQ(got, 'w');
}

/* Short announced calls, many times: the P stays or comes back. */
static void many_calls(void *arg) {
  for (long i = scaled(20000); i; i--) gos_entersyscall(), atomic_fetch_add((atomic_long *)arg, 1), gos_exitsyscall();
}

TEST(short_announced_calls) {
  gos_g *g[4];
  for (int i = 0; i < 4; i++) g[i] = spawn(many_calls, &turns[0]);
  for (int i = 0; i < 4; i++) finish(g[i]);
  CHECK_EQ(turns[0], 4 * scaled(20000));
}

/* Waiting hundreds deep, all woken. */
static void link_of_chain(void *arg) {
  gos_chan **c = arg;
  CHECK_EQ(gos_chan_recv(c[0], NULL), GOS_OK);
  CHECK_EQ(gos_chan_send(c[1], NULL), GOS_OK);
}

TEST(chain) {
  enum { N = 500 };
  gos_chan *c[N + 1];
  gos_g *g[N];
  for (int i = 0; i <= N; i++) c[i] = gos_chan_make(0, 0);
  for (int i = 0; i < N; i++) g[i] = spawn(link_of_chain, c + i);
  CHECK_EQ(gos_chan_send(c[0], NULL), GOS_OK);
  CHECK_EQ(gos_chan_recv(c[N], NULL), GOS_OK);
  for (int i = 0; i < N; i++) finish(g[i]);
  for (int i = 0; i <= N; i++) gos_chan_release(c[i]);
}
