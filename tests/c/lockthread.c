// ctest: timeout=120
/* A goroutine locked to its thread runs there only, and nothing else runs there.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <pthread.h>
#include <sys/syscall.h>

static int tid(void) { return (int)syscall(SYS_gettid); }
static gos_chan *c, *d;
static atomic_long n;
static atomic_int locked_tid;
static atomic_bool over;

static void elsewhere(void *arg) {
  (void)arg;
  for (int i = 0; i < 20; i++) {
    CHECK(tid() != locked_tid);
    gos_gosched();
  }
  atomic_fetch_add(&n, 1);
}
static void answers(void *arg) {
  (void)arg;
  long v;
  gos_chan_range(c, &v) {
    CHECK(tid() != locked_tid);
    v++;
    CHECK_EQ(gos_chan_send(d, &v), GOS_OK);
  }
}

/* Everything that waits, from a locked goroutine. */
static void stays(void) {
  int me = tid();
  long v;
  locked_tid = me;
  gos_g *echo = spawn(answers, NULL);
  for (long i = 0; i < scaled(300); i++) {
    CHECK_EQ(gos_chan_send(c, &i), GOS_OK);
    CHECK_EQ(tid(), me);
    CHECK_EQ(gos_chan_recv(d, &v), GOS_OK);
    CHECK_EQ(v, i + 1);
    CHECK_EQ(tid(), me);
    if (i % 16 == 0) CHECK_EQ(gos_sleep(MS / 10), GOS_OK);
    CHECK_EQ(tid(), me);
    CHECK_EQ(gos_go(elsewhere, NULL), GOS_OK);
    gos_gosched();
    CHECK_EQ(tid(), me);
  }
  CHECK_EQ(gos_chan_recv_dl(d, &v, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(tid(), me);
  while (n < scaled(300)) gos_gosched();
  CHECK_EQ(tid(), me);
  gos_chan_close(c);
  finish(echo);
  CHECK_EQ(tid(), me);
}

static void set_up(void) { c = gos_chan_make(sizeof(long), 0), d = gos_chan_make(sizeof(long), 0); }

TEST(main_stays_on_the_first_thread) {
  set_up();
  CHECK_EQ(tid(), getpid());
  CHECK_EQ(gos_lock_os_thread(), GOS_OK);
  stays();
  CHECK_EQ(tid(), getpid());
  CHECK_EQ(gos_unlock_os_thread(), GOS_OK);
}

static void locks_and_stays(void *arg) {
  (void)arg;
  CHECK_EQ(gos_lock_os_thread(), GOS_OK);
  stays();
  CHECK_EQ(gos_unlock_os_thread(), GOS_OK);
}
TEST(goroutine_stays_on_its_thread) {
  set_up();
  finish(spawn(locks_and_stays, NULL));
}

static void says(gos_g *g, const char *what, bool yes) {
  char line[64], *text = calloc(1, 1 << 16);
  gos_info i;
  FILE *f = tmpfile();
  CHECK(f && text);
  CHECK_EQ(gos_dump(fileno(f), 0), GOS_OK);
  rewind(f);
  text[fread(text, 1, (1 << 16) - 1, f)] = 0;
  fclose(f);
  gos_info_get(g, &i, sizeof i);
  snprintf(line, sizeof line, "goroutine %llu [%s", (unsigned long long)i.id, what);
  if (yes)
    CHECK_HAS(text, line);
  else
    CHECK(!strstr(text, line));
  free(text);
}

static void locks_twice(void *arg) {
  (void)arg;
  CHECK_EQ(gos_unlock_os_thread(), GOS_OK); /* was not locked */
  gos_lock_os_thread(), gos_lock_os_thread();
  gos_unlock_os_thread();
  gos_chan_recv(c, NULL);
  gos_unlock_os_thread();
  gos_chan_recv(c, NULL);
}
TEST(locks_nest_and_show_in_the_dump) {
  set_up();
  gos_g *g = spawn(locks_twice, NULL);
  until_parked(g, "chan receive");
  says(g, "chan receive, locked to thread", true);
  CHECK_EQ(gos_chan_send(c, &(long){0}), GOS_OK);
  until_parked(g, "chan receive");
  says(g, "chan receive, locked to thread", false);
  says(g, "chan receive", true);
  gos_chan_close(c);
  finish(g);
}

/* Thread-local data ends with the goroutine that ends locked, and nobody sees it before. */
static pthread_key_t key;
static atomic_int destroyed;
static void destroys(void *arg) {
  CHECK_EQ((intptr_t)arg, 7);
  CHECK_EQ(gos_goid(), 0);
  atomic_fetch_add(&destroyed, 1);
}
static void ends_locked(void *how) {
  CHECK(!pthread_getspecific(key));
  gos_lock_os_thread();
  pthread_setspecific(key, (void *)7);
  gos_gosched();
  if (how) gos_goexit();
}
static void looks(void *arg) {
  (void)arg;
  CHECK(!pthread_getspecific(key));
}

static void many_end_locked(void *arg) {
  (void)arg;
  for (intptr_t i = 0; i < 20; i++) {
    finish(spawn(ends_locked, (void *)(i % 2)));
    finish(spawn(looks, NULL));
  }
}
TEST(one_that_ends_locked_ends_its_thread) {
  CHECK_EQ(pthread_key_create(&key, destroys), 0);
  /* On the first thread, which sleeps instead of ending, there is no destructor: keep that one busy. */
  gos_lock_os_thread();
  finish(spawn(many_end_locked, NULL));
  while (destroyed < 20) gos_gosched();
  gos_unlock_os_thread();
  gos_stats s;
  CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
  CHECK(s.threads <= test_procs + 4);
  finish(spawn(looks, NULL));
}

static void takes_the_first(void *arg) {
  if (tid() != getpid()) return;
  gos_lock_os_thread();
  *(bool *)arg = true;
}
TEST(one_that_ends_locked_on_the_first_thread) {
  bool did = false;
  for (int i = 0; i < 200 && !did; i++) finish(spawn(takes_the_first, &did));
  for (int i = 0; i < 50; i++) finish(spawn(elsewhere, NULL));
  CHECK_EQ(n, 50);
  CHECK_EQ(gos_sleep(MS), GOS_OK);
}

static void echoes(void *arg) {
  gos_chan **x = arg;
  gos_lock_os_thread();
  int me = tid();
  long v;
  gos_chan_range(x[0], &v) {
    CHECK_EQ(tid(), me);
    CHECK_EQ(gos_chan_send(x[1], &v), GOS_OK);
    CHECK_EQ(tid(), me);
  }
  gos_chan_close(x[1]);
}
TEST(locked_ones_talk_to_each_other) {
  enum { K = 4 };
  gos_chan *x[K + 1];
  for (int i = 0; i <= K; i++) x[i] = gos_chan_make(sizeof(long), i % 2);
  gos_g *g[K];
  for (int i = 0; i < K; i++) g[i] = spawn(echoes, &x[i]);
  long v;
  for (long i = 0; i < scaled(500); i++) {
    CHECK_EQ(gos_chan_send(x[0], &i), GOS_OK);
    CHECK_EQ(gos_chan_recv(x[K], &v), GOS_OK);
    CHECK_EQ(v, i);
  }
  gos_chan_close(x[0]);
  CHECK_EQ(gos_chan_recv(x[K], &v), GOS_CLOSED);
  for (int i = 0; i < K; i++) finish(g[i]);
}

/* A locked goroutine that blocks or spins loses its P like any other, and stays where it is. */
static void blocks_locked(void *arg) {
  gos_lock_os_thread();
  int me = tid();
  for (int i = 0; i < 5; i++) {
    usleep(1000), gos_gosched();
    CHECK_EQ(tid(), me);
  }
  for (gos_ns end = gos_now() + 2 * MS; gos_now() < end;) CHECK_EQ(tid(), me);
  for (volatile long i = 0; i < 1000000; i++) {}
  CHECK_EQ(gos_blocking(arg, NULL, NULL), GOS_OK);
  CHECK_EQ(tid(), me);
  gos_unlock_os_thread();
}
static void *naps(void *arg) { return usleep(500), arg; }
TEST(locked_ones_that_block) {
  gos_g *g[6];
  for (int i = 0; i < 6; i++) g[i] = spawn(blocks_locked, naps);
  for (int i = 0; i < 100; i++) finish(spawn(elsewhere, NULL));
  for (int i = 0; i < 6; i++) finish(g[i]);
}

static void changes(void *arg) {
  (void)arg;
  for (int i = 0; !over; i++) gos_gomaxprocs(1 + i % 4), gos_sleep(MS / 20);
}
TEST(while_gomaxprocs_changes) {
  set_up();
  gos_g *g = spawn(changes, NULL);
  finish(spawn(locks_and_stays, NULL));
  over = true;
  finish(g);
}

/* There is one thread for goroutines, and it is locked: its own sleeps and yields still end. */
TEST_RAW(the_only_thread) {
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 1, .maxthreads = 1}), GOS_OK);
  gos_lock_os_thread();
  gos_g *g = spawn(elsewhere, NULL);
  for (int i = 0; i < 10; i++) {
    CHECK_EQ(gos_sleep(MS / 10), GOS_OK);
    gos_gosched();
  }
  CHECK_EQ(gos_chan_recv_dl(NULL, NULL, gos_now() + MS), GOS_TIMEDOUT);
  locked_tid = -1;
  gos_unlock_os_thread();
  finish(g);
}

static char reported[4096];
static void keep_report(const char *report) { snprintf(reported, sizeof reported, "%s", report); }
static void waits_locked(void *arg) { gos_lock_os_thread(), gos_chan_recv(NULL, arg); }
TEST_RAW(deadlock_of_locked_ones_is_found) {
  if (TEST_TSAN || !test_counts_threads()) return; /* see init.c */
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .on_deadlock = keep_report}), GOS_OK);
  gos_lock_os_thread();
  CHECK_EQ(gos_go(waits_locked, NULL), GOS_OK);
  for (int i = 0; i < 2; i++) CHECK_EQ(gos_chan_recv(NULL, NULL), GOS_DEADLOCK);
  CHECK_HAS(reported, "chan receive (nil chan), locked to thread");
}

static void *foreign(void *arg) {
  CHECK_EQ(gos_lock_os_thread(), GOS_OK);
  finish(spawn(elsewhere, NULL));
  CHECK_EQ(gos_unlock_os_thread(), GOS_OK);
  return arg;
}
TEST(on_a_foreign_thread) {
  pthread_t t;
  CHECK_EQ(pthread_create(&t, NULL, foreign, NULL), 0);
  pthread_join(t, NULL);
}

static int in_child(void) {
  CHECK_EQ(gos_sleep(MS), GOS_OK);
  locked_tid = tid();
  gos_g *g = spawn(elsewhere, NULL);
  finish(g);
  CHECK_EQ(tid(), locked_tid);
  return 0;
}
static void forks(void *arg) {
  (void)arg;
  gos_lock_os_thread();
  gos_gosched();
  pid_t pid = fork();
  if (pid == 0) _exit(in_child());
  int st = -1;
  CHECK_EQ(waitpid(pid, &st, 0), pid);
  CHECK_EQ(st, 0);
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
TEST(a_locked_one_forks) {
  if (may_fork()) finish(spawn(forks, NULL));
}
