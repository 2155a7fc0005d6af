// ctest: timeout=120
/* Work that is handed out: all of it is done before it is waited for, on no more threads than there may be; what has
 * not begun can be called off, what has begun ends as it would have.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <pthread.h>
#include <sys/syscall.h>

static atomic_long begun, done;

/* ---- ends ------------------------------------------------------------------------------------ */
enum { TASKS = 1000 };
static gos_waitgroup wg;
static void works(void *arg) {
  long turns = (long)(intptr_t)arg % 4;
  atomic_fetch_add(&begun, 1);
  for (long i = 0; i < turns; i++) gos_gosched();
  if (turns == 3) gos_sleep(MS / 10);
  atomic_fetch_add(&done, 1);
}

/* A thousand that are pending when the end is asked for are done when it comes. */
TEST(pending_ones_are_done_before_the_end) {
  for (int round = 1; round <= 3; round++) {
    for (intptr_t i = 0; i < TASKS; i++) CHECK_EQ(gos_waitgroup_go(&wg, works, (void *)i), GOS_OK);
    CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
    CHECK_EQ(done, (long)round * TASKS);
    CHECK_EQ(begun, done);
  }
}

/* Deferred calls of the last moment count as well: a goroutine has ended only after them. */
static void counts(void *arg) { (void)arg, gos_gosched(), atomic_fetch_add(&done, 1); }
static void defers(void *arg) {
  CHECK_EQ(gos_defer(counts, arg), GOS_OK);
  CHECK_EQ(gos_defer(counts, arg), GOS_OK);
  if (arg) gos_goexit();
}
TEST(joined_after_what_they_deferred) {
  enum { N = 50 };
  gos_g *g[N];
  for (int i = 0; i < N; i++) g[i] = spawn(defers, i % 2 ? &done : NULL);
  for (int i = 0; i < N; i++) {
    finish(g[i]);
    CHECK(done >= 2);
  }
  CHECK_EQ(done, 2 * N);
}

/* ---- threads ---------------------------------------------------------------------------------- */
/* The threads that run goroutines are those the runtime says it has, never more than it may have. */
enum { MOST = 6, THREADS_SEEN = 64 };
static atomic_int seen[THREADS_SEEN];
static void notes_thread(void *arg) {
  int me = (int)syscall(SYS_gettid), i = 0;
  for (int none = 0; i < THREADS_SEEN && seen[i] != me && !atomic_compare_exchange_strong(&seen[i], &none, me); i++)
    none = 0;
  CHECK(i < THREADS_SEEN);
  if ((intptr_t)arg % 8 == 0) usleep(100); /* blocks its thread without a word */
  atomic_fetch_add(&done, 1);
}
TEST_RAW(on_no_more_threads_than_allowed) {
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 3, .maxthreads = MOST}), GOS_OK);
  for (intptr_t i = 0; i < scaled(2000); i++) CHECK_EQ(gos_go(notes_thread, (void *)i), GOS_OK);
  while (done < scaled(2000)) gos_gosched();
  int n = 0;
  while (n < THREADS_SEEN && seen[n]) n++;
  CHECK(n >= 1 && n <= MOST);
  gos_stats s = {.size = sizeof s};
  CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
  CHECK(s.threads >= n && s.threads <= MOST + 1); /* and the monitor */
}

/* As many as there are Ps do run at the same moment, whatever they have been doing before. */
static atomic_int there;
static void meets(void *arg) {
  int n = (int)(intptr_t)arg;
  atomic_fetch_add(&there, 1);
  while (there < n) sched_yield(); /* all of them are here, or nobody goes on */
}
TEST(all_processors_at_once) {
  for (int round = 1; round <= 20; round++) {
    gos_g *g[4];
    for (int i = 0; i < test_procs; i++) g[i] = spawn(meets, (void *)(intptr_t)(round * test_procs));
    for (int i = 0; i < test_procs; i++) finish(g[i]);
    CHECK_EQ(there, round * test_procs);
  }
}

/* ---- a pool of few for blocking calls: what waits for its turn can be called off ------------------ */
static gos_sem *turns;
static gos_ctx *ctx;
static atomic_long called_off, inside;
static int tube[2];
static void *blocks(void *arg) {
  char byte;
  CHECK_EQ(read(tube[0], &byte, 1), 1);
  *(char *)arg = byte;
  return arg;
}
static void takes_its_turn(void *arg) {
  void *ret = NULL;
  int e = gos_sem_acquire_ctx(turns, 1, ctx);
  if (e) {
    CHECK_EQ(e, GOS_CANCELED);
    atomic_fetch_add(&called_off, 1);
    return;
  }
  inside++;
  CHECK_EQ(gos_blocking(blocks, arg, &ret), GOS_OK);
  CHECK(ret == arg);
  inside--;
  CHECK_EQ(gos_sem_release(turns, 1), GOS_OK);
  atomic_fetch_add(&done, 1);
}
TEST(what_has_not_begun_is_called_off) {
  enum { ALL = 12, FEW = 3 };
  gos_g *g[ALL];
  char got[ALL] = "";
  CHECK_EQ(pipe(tube), 0);
  turns = gos_sem_new(FEW);
  ctx = gos_with_cancel(NULL);
  for (int i = 0; i < ALL; i++) g[i] = spawn(takes_its_turn, &got[i]);
  while (inside < FEW) gos_gosched();
  CHECK_EQ(write(tube[1], "a", 1), 1); /* one ends, the next begins */
  while (done < 1 || inside < FEW) gos_gosched();
  gos_cancel(ctx, 0);
  while (called_off < ALL - 1 - FEW) gos_gosched();
  CHECK_EQ(inside, FEW);
  CHECK_EQ(write(tube[1], "bbb", FEW), FEW); /* those that had begun end as they would have */
  for (int i = 0; i < ALL; i++) finish(g[i]);
  CHECK_EQ(done, 1 + FEW);
  CHECK_EQ(called_off, ALL - 1 - FEW);
  int a = 0, b = 0;
  for (int i = 0; i < ALL; i++) a += got[i] == 'a', b += got[i] == 'b';
  CHECK_EQ(a, 1);
  CHECK_EQ(b, FEW);
  CHECK_EQ(gos_sem_try_acquire(turns, FEW), GOS_OK);
  gos_sem_free(turns), gos_ctx_release(ctx);
  close(tube[0]), close(tube[1]);
}

/* ---- spawned from everywhere, joined from everywhere ------------------------------------------------ */
struct node {
  int depth;
  long sum;
};
static void sums(void *arg) {
  struct node *n = arg, child[2] = {{n->depth - 1, 0}, {n->depth - 1, 0}};
  n->sum = 1;
  if (!n->depth) return;
  gos_g *g[2] = {spawn(sums, &child[0]), spawn(sums, &child[1])};
  finish(g[0]), finish(g[1]);
  n->sum += child[0].sum + child[1].sum;
}
static void *sums_outside(void *arg) { return sums(arg), NULL; }
TEST(a_tree_of_joins) {
  pthread_t t[2];
  struct node root = {9, 0}, out[2] = {{7, 0}, {6, 0}};
  for (int i = 0; i < 2; i++) CHECK_EQ(pthread_create(&t[i], NULL, sums_outside, &out[i]), 0);
  sums(&root);
  for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
  CHECK_EQ(root.sum, (1 << 10) - 1);
  CHECK_EQ(out[0].sum, (1 << 8) - 1);
  CHECK_EQ(out[1].sum, (1 << 7) - 1);
}

/* A call that blocks ends while the pool is full of work: its result is not lost, nor is anybody's turn. */
static void blocks_in_between(void *arg) {
  char byte;
  gos_chan *c = arg;
  for (long i = 0; i < scaled(200); i++) {
    CHECK_EQ(gos_chan_recv(c, NULL), GOS_OK);
    gos_entersyscall();
    CHECK_EQ(read(tube[0], &byte, 1), 1);
    gos_exitsyscall();
    atomic_fetch_add(&done, 1);
  }
}
TEST(blocking_calls_under_load) {
  enum { N = 4 };
  gos_g *g[N];
  gos_chan *c = gos_chan_make(0, 0);
  CHECK_EQ(pipe(tube), 0);
  for (int i = 0; i < N; i++) g[i] = spawn(blocks_in_between, c);
  for (long i = 0; i < N * scaled(200); i++) {
    CHECK_EQ(gos_chan_send(c, NULL), GOS_OK);
    CHECK_EQ(gos_go(works, (void *)i), GOS_OK);
    CHECK_EQ(write(tube[1], "x", 1), 1);
  }
  for (int i = 0; i < N; i++) finish(g[i]);
  while (gos_num_goroutine() > 1) gos_gosched();
  CHECK_EQ(done, 2 * N * scaled(200));
  gos_chan_release(c);
  close(tube[0]), close(tube[1]);
}
