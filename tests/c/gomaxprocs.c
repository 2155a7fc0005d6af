// ctest: not-in=arm64
// ctest: timeout=120
/* The number of processors changes while goroutines run: nothing is lost, totals stay right.
 * (1,024 Ps need more address space at once than qemu-user gives.)
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <pthread.h>

static atomic_long count;
static atomic_bool over;
static void counts(void *arg) { (void)arg, atomic_fetch_add(&count, 1); }

TEST(tells_and_returns_the_one_before) {
  CHECK_EQ(gos_gomaxprocs(0), test_procs);
  CHECK_EQ(gos_gomaxprocs(-3), test_procs);
  CHECK_EQ(gos_gomaxprocs(3), test_procs);
  CHECK_EQ(gos_gomaxprocs(0), 3);
  CHECK_EQ(gos_gomaxprocs(3), 3);
  CHECK_EQ(gos_gomaxprocs(1), 3);
  CHECK_EQ(gos_gomaxprocs(test_procs), 1);
  gos_stats s;
  CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
  CHECK_EQ(s.procs, test_procs);
}

TEST(more_than_cpus_and_more_than_there_can_be) {
  CHECK_EQ(gos_gomaxprocs(1 << 30), test_procs);
  int most = gos_gomaxprocs(5);
  CHECK(most >= 1024);
  for (int i = 0; i < 100; i++) finish(spawn(counts, NULL));
  CHECK_EQ(gos_gomaxprocs(most), 5);
  for (int i = 0; i < 100; i++) finish(spawn(counts, NULL));
  CHECK_EQ(count, 200);
}

/* Two goroutines that each spin until the other has moved need two processors, or the monitor. */
static atomic_long mine[2];
static void spins_for_other(void *at) {
  intptr_t me = (intptr_t)at;
  for (long i = 1; i <= 3; i++) {
    atomic_store(&mine[me], i);
    while (atomic_load(&mine[!me]) < i)
      ;
  }
}
TEST(raised_ones_run) {
  gos_gomaxprocs(2);
  gos_g *a = spawn(spins_for_other, (void *)0), *b = spawn(spins_for_other, (void *)1);
  finish(a), finish(b);
}

static void spins(void *arg) {
  (void)arg;
  while (!atomic_load(&over)) atomic_fetch_add(&count, 1);
}

/* A P whose thread never looks is taken from it. */
TEST(lowered_beside_spinners) {
  gos_gomaxprocs(4);
  gos_g *g[4];
  for (int i = 0; i < 4; i++) g[i] = spawn(spins, NULL);
  for (int i = 0; i < 4; i++)
    for (gos_info in; gos_info_get(g[i], &in, sizeof in), strcmp(in.status, "running");) gos_gosched();
  CHECK_EQ(gos_gomaxprocs(1), 4);
  for (int i = 0; i < 50; i++) finish(spawn(counts, NULL));
  over = true;
  for (int i = 0; i < 4; i++) finish(g[i]);
}

struct pair {
  gos_chan *c[2];
  long n;
};
static void ping(void *arg) {
  struct pair *p = arg;
  for (long i = 0; i < p->n; i++) {
    CHECK_EQ(gos_chan_send(p->c[0], &i), GOS_OK);
    if (i % 64 == 0) CHECK_EQ(gos_go(counts, NULL), GOS_OK);
    if (i % 256 == 0) CHECK_EQ(gos_sleep(1000), GOS_OK);
  }
  gos_chan_close(p->c[0]);
}
static void pong(void *arg) {
  struct pair *p = arg;
  long v, want = 0;
  gos_chan_range(p->c[0], &v) CHECK_EQ(v, want++);
  CHECK_EQ(want, p->n);
  gos_chan_close(p->c[1]);
}

static void *changes_from_outside(void *arg) {
  (void)arg;
  for (unsigned i = 1; !atomic_load(&over); i = i * 1103515245 + 12345) {
    int was = gos_gomaxprocs(1 + (int)(i >> 16) % 9);
    CHECK(was >= 1 && was <= 9);
    sched_yield();
  }
  return NULL;
}
static void changes_from_inside(void *arg) {
  for (unsigned i = 7; !atomic_load(&over); i = i * 1103515245 + 12345) {
    int was = gos_gomaxprocs(1 + (int)(i >> 16) % 9);
    CHECK(was >= 1 && was <= 9);
    gos_sleep((gos_ns)(i >> 20));
  }
  (void)arg;
}

TEST(changes_while_everything_moves) {
  enum { PAIRS = 8 };
  static struct pair pair[PAIRS];
  gos_stats s;
  gos_g *g[2 * PAIRS], *inside = spawn(changes_from_inside, NULL);
  pthread_t t;
  CHECK_EQ(pthread_create(&t, NULL, changes_from_outside, NULL), 0);
  for (int i = 0; i < PAIRS; i++) {
    pair[i] = (struct pair){{gos_chan_make(sizeof(long), 0), gos_chan_make(0, 0)}, scaled(4000)};
    g[2 * i] = spawn(ping, &pair[i]);
    g[2 * i + 1] = spawn(pong, &pair[i]);
  }
  for (int i = 0; i < 2 * PAIRS; i++) finish(g[i]);
  over = true;
  pthread_join(t, NULL);
  finish(inside);
  long want = PAIRS * ((scaled(4000) + 63) / 64);
  while (count < want) gos_gosched();
  while (gos_num_goroutine() > 1) gos_gosched();
  CHECK_EQ(count, want);
  CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
  CHECK_EQ(s.created, (uint64_t)want + 2 * PAIRS + 2);
  for (int i = 0; i < PAIRS; i++) gos_chan_release(pair[i].c[0]), gos_chan_release(pair[i].c[1]);
}

/* Timers go on when the P they were made on is gone. */
static void sleeps(void *arg) {
  CHECK_EQ(gos_sleep((intptr_t)arg % 7 * MS), GOS_OK);
  atomic_fetch_add(&count, 1);
}
TEST(timers_survive) {
  gos_gomaxprocs(6);
  for (intptr_t i = 0; i < 200; i++) gos_go(sleeps, (void *)i);
  for (int i = 0; i < 20; i++) gos_gomaxprocs(1 + i % 6), gos_sleep(MS / 4);
  gos_gomaxprocs(1);
  while (count < 200) gos_sleep(MS / 4);
}

/* Stacks and credits come back: as many goroutines as before, and no more stacks for them. */
static gos_chan *gate;
static void waits(void *arg) { (void)arg, gos_chan_recv(gate, NULL), atomic_fetch_add(&count, 1); }
static size_t stacks_after_a_wave(void) {
  gos_stats s;
  gate = gos_chan_make(0, 0);
  count = 0;
  for (int i = 0; i < 3000; i++) CHECK_EQ(gos_go(waits, NULL), GOS_OK);
  gos_chan_close(gate);
  while (count < 3000 || gos_num_goroutine() > 1) gos_gosched();
  gos_chan_release(gate);
  gos_stats_get(&s, sizeof s);
  return s.stacks;
}
TEST(caches_are_given_back) {
  gos_gomaxprocs(8);
  size_t first = stacks_after_a_wave();
  for (int i = 0; i < 30; i++) gos_gomaxprocs(1 + i % 8), stacks_after_a_wave();
  gos_gomaxprocs(8);
  CHECK(stacks_after_a_wave() <= first + 8 * 400); /* a P keeps a few hundred rights to a stack */
}

static int in_child(void) {
  CHECK(gos_gomaxprocs(3) >= 1);
  gos_g *g = spawn(counts, NULL);
  gos_gomaxprocs(1);
  finish(g);
  return 0;
}
/* ThreadSanitizer and qemu-user allow no new threads in the child of a threaded process, and gcc's AddressSanitizer
   may have its own allocator locked there by a thread that is gone. */
static bool may_fork(void) {
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
  return false;
#else
  return !TEST_TSAN && test_counts_threads();
#endif
}
TEST(in_a_forks_child) {
  if (!may_fork()) return;
  gos_gomaxprocs(4);
  finish(spawn(counts, NULL));
  gos_gomaxprocs(2);
  pid_t pid = fork();
  if (pid == 0) _exit(in_child());
  int st = -1;
  CHECK_EQ(waitpid(pid, &st, 0), pid);
  CHECK_EQ(st, 0);
}

static void holds(void *arg) { atomic_fetch_add((atomic_long *)arg, 1), usleep(2000); }
TEST(max_threads) {
  int was = gos_set_max_threads(0);
  CHECK_EQ(was, 10000);
  CHECK_EQ(gos_set_max_threads(6), was);
  CHECK_EQ(gos_set_max_threads(-1), 6);
  atomic_long n = 0;
  gos_g *g[60];
  gos_stats s;
  for (int i = 0; i < 60; i++) g[i] = spawn(holds, &n);
  while (n < 60) {
    CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
    CHECK(s.threads <= 6 + 1); /* and the monitor */
    gos_gosched();
  }
  for (int i = 0; i < 60; i++) finish(g[i]);
}
