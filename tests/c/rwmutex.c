// ctest: timeout=180
/* RWMutex: many readers or one writer, in Go's order.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <pthread.h>

#define WRITING "sync.RWMutex.Lock"
#define READING "sync.RWMutex.RLock"
static gos_rwmutex rw;
static gos_chan *gate;
static atomic_long inside, count;

static void reads(void *arg) {
  (void)arg, gos_rwmutex_rlock(&rw);
  atomic_fetch_add(&inside, 1);
  gos_chan_recv(gate, NULL);
  atomic_fetch_sub(&inside, 1);
  CHECK_EQ(gos_rwmutex_runlock(&rw), GOS_OK);
}
static void writes(void *arg) {
  (void)arg, gos_rwmutex_lock(&rw);
  CHECK_EQ(atomic_fetch_add(&inside, 100), 0);
  gos_chan_recv(gate, NULL);
  atomic_fetch_sub(&inside, 100);
  CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_OK);
}
static void until_inside(long n) {
  while (inside != n) gos_gosched(), sched_yield();
}
static void opened(void) { gate = gos_chan_make(0, 0); }
static void one_leaves(void) { CHECK_EQ(gos_chan_send(gate, NULL), GOS_OK); }
static void is_free(void) {
  CHECK_EQ(gos_rwmutex_trylock(&rw), GOS_OK);
  CHECK_EQ(gos_rwmutex_trylock(&rw), GOS_WOULDBLOCK);
  CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_OK);
  CHECK_EQ(gos_rwmutex_tryrlock(&rw), GOS_OK);
  CHECK_EQ(gos_rwmutex_runlock(&rw), GOS_OK);
}

TEST(readers_share_writers_do_not) {
  CHECK_EQ(gos_rwmutex_tryrlock(&rw), GOS_OK);
  CHECK_EQ(gos_rwmutex_rlock_dl(&rw, GOS_NOW), GOS_OK);
  CHECK_EQ(gos_rwmutex_trylock(&rw), GOS_WOULDBLOCK);
  CHECK_EQ(gos_rwmutex_lock_dl(&rw, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_rwmutex_runlock(&rw), GOS_OK);
  CHECK_EQ(gos_rwmutex_trylock(&rw), GOS_WOULDBLOCK);
  CHECK_EQ(gos_rwmutex_runlock(&rw), GOS_OK);
  gos_rwmutex_lock(&rw);
  CHECK_EQ(gos_rwmutex_tryrlock(&rw), GOS_WOULDBLOCK);
  CHECK_EQ(gos_rwmutex_rlock_dl(&rw, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_rwmutex_trylock(&rw), GOS_WOULDBLOCK);
  CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_OK);
  is_free();
}

TEST(unlock_of_unlocked) {
  CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_PERM);
  CHECK_EQ(gos_rwmutex_runlock(&rw), GOS_PERM);
  is_free();
  gos_rwmutex_rlock(&rw);
  CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_PERM);
  CHECK_EQ(gos_rwmutex_trylock(&rw), GOS_WOULDBLOCK);
  CHECK_EQ(gos_rwmutex_runlock(&rw), GOS_OK);
  gos_rwmutex_lock(&rw);
  CHECK_EQ(gos_rwmutex_runlock(&rw), GOS_PERM);
  CHECK_EQ(gos_rwmutex_tryrlock(&rw), GOS_WOULDBLOCK);
  CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_OK);
  is_free();
}

/* Not the waiting writer's lock either: it does not have it yet. */
TEST(unlock_of_a_lock_that_is_waited_for) {
  opened();
  gos_rwmutex_rlock(&rw);
  gos_g *w = spawn(writes, NULL);
  until_parked(w, WRITING);
  CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_PERM);
  CHECK_EQ(inside, 0);
  CHECK_EQ(gos_rwmutex_runlock(&rw), GOS_OK);
  one_leaves();
  finish(w);
  is_free();
}

/* n readers are inside together, whatever the number of Ps. */
TEST(parallel_readers) {
  gos_g *g[10];
  opened();
  for (int n = 1; n <= 10; n += 3) {
    for (int i = 0; i < n; i++) g[i] = spawn(reads, NULL);
    until_inside(n);
    CHECK_EQ(gos_rwmutex_trylock(&rw), GOS_WOULDBLOCK);
    for (int i = 0; i < n; i++) one_leaves();
    for (int i = 0; i < n; i++) finish(g[i]);
    is_free();
  }
}

TEST(a_waiting_writer_keeps_readers_out_and_they_go_next) {
  opened();
  gos_g *r[5], *w, *w2;
  gos_rwmutex_rlock(&rw);
  w = spawn(writes, NULL);
  until_parked(w, WRITING);
  CHECK_EQ(gos_rwmutex_tryrlock(&rw), GOS_WOULDBLOCK);
  for (int i = 0; i < 5; i++) r[i] = spawn(reads, NULL);
  for (int i = 0; i < 5; i++) until_parked(r[i], READING);
  w2 = spawn(writes, NULL);
  until_parked(w2, WRITING);
  CHECK_EQ(inside, 0);
  CHECK_EQ(gos_rwmutex_runlock(&rw), GOS_OK);
  until_inside(100); /* the writer, which came before them */
  one_leaves();
  finish(w);
  until_inside(5); /* all readers, which came before the second writer */
  for (int i = 0; i < 5; i++) {
    CHECK(inside <= 5);
    one_leaves();
  }
  until_inside(100);
  one_leaves();
  finish(w2);
  for (int i = 0; i < 5; i++) finish(r[i]);
  is_free();
}

/* Neco's order test in other words: who holds, who waits, who is next. */
TEST(writers_queue_behind_each_other) {
  opened();
  gos_g *w[4];
  gos_rwmutex_lock(&rw);
  for (int i = 0; i < 4; i++) w[i] = spawn(writes, NULL), until_parked(w[i], WRITING);
  CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_OK);
  for (int i = 0; i < 4; i++) until_inside(100), one_leaves();
  for (int i = 0; i < 4; i++) finish(w[i]);
  is_free();
}

TEST(deadlines) {
  gos_rwmutex_rlock(&rw);
  for (int i = 0; i < 4; i++) {
    gos_ns until = gos_now() + i * MS;
    CHECK_EQ(gos_rwmutex_lock_dl(&rw, until), GOS_TIMEDOUT);
    CHECK(gos_now() >= until);
    CHECK_EQ(gos_rwmutex_rlock_dl(&rw, gos_now() + MS), GOS_OK);
    CHECK_EQ(gos_rwmutex_runlock(&rw), GOS_OK);
  }
  CHECK_EQ(gos_rwmutex_runlock(&rw), GOS_OK);
  CHECK_EQ(gos_rwmutex_lock_dl(&rw, gos_now() + MS), GOS_OK);
  for (int i = 0; i < 4; i++) {
    gos_ns until = gos_now() + i * MS;
    CHECK_EQ(gos_rwmutex_rlock_dl(&rw, until), GOS_TIMEDOUT);
    CHECK_EQ(gos_rwmutex_lock_dl(&rw, until), GOS_TIMEDOUT);
    CHECK(gos_now() >= until);
  }
  CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_OK);
  is_free();
}

/* A writer gives up: the readers that it kept out go on beside the one inside. */
static void gives_up(void *arg) { CHECK_EQ(gos_rwmutex_lock_dl(&rw, GOS_FOREVER), (int)(intptr_t)arg); }
static void times_out(void *arg) { CHECK_EQ(gos_rwmutex_lock_dl(&rw, *(gos_ns *)arg), GOS_TIMEDOUT); }

TEST(an_interrupted_writer_lets_readers_go_on) {
  opened();
  gos_rwmutex_rlock(&rw);
  gos_g *w = spawn(gives_up, (void *)(intptr_t)GOS_CANCELED), *r[3], *w2;
  until_parked(w, WRITING);
  for (int i = 0; i < 3; i++) r[i] = spawn(reads, NULL), until_parked(r[i], READING);
  CHECK_EQ(gos_interrupt(w), GOS_OK);
  finish(w);
  until_inside(3);
  w2 = spawn(writes, NULL);
  until_parked(w2, WRITING);
  for (int i = 0; i < 3; i++) one_leaves();
  for (int i = 0; i < 3; i++) finish(r[i]);
  CHECK_EQ(inside, 0);
  CHECK_EQ(gos_rwmutex_runlock(&rw), GOS_OK);
  until_inside(100);
  one_leaves();
  finish(w2);
  is_free();
}

TEST(a_writer_that_times_out_lets_readers_and_the_next_writer_go_on) {
  opened();
  gos_rwmutex_rlock(&rw);
  gos_ns until = gos_now() + 20 * MS;
  gos_g *w = spawn(times_out, &until), *r = spawn(reads, NULL);
  finish(w);
  until_inside(1);
  w = spawn(writes, NULL);
  until_parked(w, WRITING);
  one_leaves();
  finish(r);
  CHECK_EQ(gos_rwmutex_runlock(&rw), GOS_OK);
  until_inside(100);
  one_leaves();
  finish(w);
  is_free();
}

static void reads_until_interrupted(void *arg) {
  (void)arg;
  CHECK_EQ(gos_rwmutex_rlock_dl(&rw, GOS_FOREVER), GOS_CANCELED);
}

TEST(interrupts_end_the_dl_forms_only) {
  opened();
  gos_rwmutex_lock(&rw);
  gos_g *r = spawn(reads_until_interrupted, NULL), *r2 = spawn(reads, NULL), *w = spawn(writes, NULL);
  until_parked(r, READING), until_parked(r2, READING), until_parked(w, WRITING);
  CHECK_EQ(gos_interrupt(r), GOS_OK);
  finish(r);
  gos_interrupt(r2), gos_interrupt(w);
  for (int i = 0; i < 100; i++) gos_gosched();
  CHECK_EQ(inside, 0);
  CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_OK);
  one_leaves(), one_leaves();
  finish(r2);
  finish(w);
  is_free();
}

/* Plain memory under the lock: exclusion, and order for ThreadSanitizer. */
static long plain, copy;
static void write_once(void) {
  CHECK_EQ(atomic_fetch_add(&inside, 1000), 0);
  plain++, copy++;
  atomic_fetch_sub(&inside, 1000);
  CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_OK);
}
static void read_once(void) {
  CHECK(atomic_fetch_add(&inside, 1) < 1000);
  CHECK_EQ(plain, copy);
  atomic_fetch_sub(&inside, 1);
  CHECK_EQ(gos_rwmutex_runlock(&rw), GOS_OK);
}
static void hammers(void *arg) {
  uint64_t x = (uint64_t)(uintptr_t)arg * 0x9E3779B97F4A7C15u + 1;
  for (long i = scaled(4000), mine = 0; i; i--) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    gos_ns until = gos_now() + (gos_ns)(x >> 40) % (MS / 20);
    switch (x % 16) {
    case 0: gos_rwmutex_lock(&rw), mine++, write_once(); break;
    case 1:
      if (gos_rwmutex_lock_dl(&rw, until) == GOS_OK) mine++, write_once();
      break;
    case 2:
      if (gos_rwmutex_trylock(&rw) == GOS_OK) mine++, write_once();
      break;
    case 3:
      if (gos_rwmutex_lock_dl(&rw, GOS_FOREVER) == GOS_OK) mine++, gos_gosched(), write_once();
      break;
    case 4:
    case 5:
      if (gos_rwmutex_rlock_dl(&rw, until) == GOS_OK) read_once();
      break;
    case 6:
      if (gos_rwmutex_tryrlock(&rw) == GOS_OK) gos_gosched(), read_once();
      break;
    case 7:
      if (gos_rwmutex_rlock_dl(&rw, GOS_FOREVER) == GOS_OK) gos_gosched(), read_once();
      break;
    default: gos_rwmutex_rlock(&rw), read_once();
    }
    if (i == 1) atomic_fetch_add(&count, mine);
  }
}
static void *hammers_thread(void *arg) { return hammers(arg), NULL; }

TEST(hammer) {
  enum { N = 12 };
  gos_g *g[N];
  for (intptr_t i = 0; i < N; i++) g[i] = spawn(hammers, (void *)i);
  for (bool all = false; !all;) { /* interrupts, as many as there is time for */
    all = true;
    for (int i = 0; i < N; i++) all = gos_interrupt(g[i]) == GOS_CLOSED && all;
    gos_gosched();
  }
  for (int i = 0; i < N; i++) finish(g[i]);
  CHECK_EQ(plain, count);
  is_free();
}

TEST(hammer_with_threads) {
  gos_g *g[4];
  pthread_t t[3];
  for (intptr_t i = 0; i < 3; i++) CHECK_EQ(pthread_create(&t[i], NULL, hammers_thread, (void *)(i + 20)), 0);
  for (intptr_t i = 0; i < 4; i++) g[i] = spawn(hammers, (void *)i);
  for (int i = 0; i < 4; i++) finish(g[i]);
  for (int i = 0; i < 3; i++) CHECK_EQ(pthread_join(t[i], NULL), 0);
  CHECK_EQ(plain, count);
  is_free();
}

/* Go's HammerRWMutex: so many readers and writers, each asserting who is inside. */
static void hammer_reader(void *arg) {
  for (long i = (long)(intptr_t)arg; i; i--) {
    gos_rwmutex_rlock(&rw);
    long n = atomic_fetch_add(&inside, 1);
    CHECK(n >= 0 && n < 1000);
    if (i % 8 == 0) gos_gosched();
    atomic_fetch_sub(&inside, 1);
    gos_rwmutex_runlock(&rw);
  }
}
static void hammer_writer(void *arg) {
  for (long i = (long)(intptr_t)arg; i; i--) {
    gos_rwmutex_lock(&rw);
    CHECK_EQ(atomic_fetch_add(&inside, 1000), 0);
    if (i % 8 == 0) gos_gosched();
    atomic_fetch_sub(&inside, 1000);
    gos_rwmutex_unlock(&rw);
  }
}

TEST(so_many_readers) {
  static const int readers[] = {1, 3, 10};
  for (int k = 0; k < 3; k++) {
    gos_g *g[12];
    int n = 0;
    void *rounds = (void *)(intptr_t)scaled(2000);
    g[n++] = spawn(hammer_writer, rounds);
    for (int i = 0; i < readers[k]; i++) g[n++] = spawn(hammer_reader, rounds);
    g[n++] = spawn(hammer_writer, rounds);
    while (n) finish(g[--n]);
    is_free();
  }
}

/* Readers that come again and again do not keep a writer out, nor writers a reader. */
static atomic_bool enough;
static void greedy_reader(void *arg) {
  (void)arg;
  while (!enough) gos_rwmutex_rlock(&rw), gos_gosched(), gos_rwmutex_runlock(&rw);
}
static void greedy_writer(void *arg) {
  (void)arg;
  while (!enough) gos_rwmutex_lock(&rw), gos_gosched(), gos_rwmutex_unlock(&rw);
}

TEST(nobody_is_kept_out) {
  gos_g *g[4] = {spawn(greedy_reader, NULL), spawn(greedy_reader, NULL), spawn(greedy_writer, NULL),
                 spawn(greedy_writer, NULL)};
  for (long i = scaled(100); i; i--) {
    gos_rwmutex_lock(&rw), gos_rwmutex_unlock(&rw), gos_gosched();
    gos_rwmutex_rlock(&rw), gos_rwmutex_runlock(&rw), gos_gosched();
  }
  enough = true;
  for (int i = 0; i < 4; i++) finish(g[i]);
}

/* One mistaken runlock a time beside others that lock: it is told, and the lock stays sound. */
static void mistaken(void *arg) {
  (void)arg;
  while (!enough) {
    int e = gos_rwmutex_runlock(&rw);
    CHECK(e == GOS_PERM);
    gos_gosched();
  }
}
static void writes_alone(void *arg) {
  (void)arg;
  for (long i = scaled(3000); i; i--) {
    gos_rwmutex_lock(&rw);
    plain++;
    if (i % 4 == 0) gos_gosched();
    CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_OK);
  }
}

TEST(a_mistake_does_no_harm) {
  gos_g *m = spawn(mistaken, NULL), *g[3];
  for (int i = 0; i < 3; i++) g[i] = spawn(writes_alone, NULL);
  for (int i = 0; i < 3; i++) finish(g[i]);
  enough = true;
  finish(m);
  CHECK_EQ(plain, 3 * scaled(3000));
  is_free();
}

static int waits_reading(const gos_info *i, void *n) {
  *(int *)n += i->wait_reason && !strcmp(i->wait_reason, READING);
  return 0;
}

/* What waits in the parent is not in the child of a fork. */
TEST(fork_with_waiters) {
  opened();
  gos_rwmutex_lock(&rw);
  gos_g *r = spawn(reads, NULL), *w = spawn(writes, NULL);
  until_parked(r, READING), until_parked(w, WRITING);
  gos_go(reads, NULL); /* without a handle nobody but the lock can end its wait */
  for (int n = 0; n != 2; gos_gosched(), sched_yield()) n = 0, gos_foreach(waits_reading, &n);
  pid_t pid = fork();
  if (!pid) {
    CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_OK);
    for (int i = 0; i < 20; i++) gos_gosched();
    CHECK_EQ(inside, 0);
    is_free();
    _exit(0);
  }
  int st = -1;
  CHECK_EQ(waitpid(pid, &st, 0), pid);
  CHECK_EQ(st, 0);
  CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_OK);
  one_leaves(), one_leaves(), one_leaves();
  finish(r);
  finish(w);
}
