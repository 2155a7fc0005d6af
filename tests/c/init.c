// ctest: timeout=60
/* gos_init, gos_main, their errors, and what the configuration promises.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CONFIG(...)                                                                                                    \
  &(gos_config) { .size = sizeof(gos_config), __VA_ARGS__ }

static void nothing(void *arg) { (void)arg; }

TEST_RAW(defaults) {
  CHECK_EQ(gos_init(NULL), GOS_OK);
  CHECK(gos_goid() > 0);
  CHECK_EQ(gos_num_goroutine(), 1);
  CHECK(gos_num_cpu() >= 1);
  CHECK(gos_gomaxprocs(0) >= 1);
}

TEST_RAW(second_init_is_refused) {
  CHECK_EQ(gos_init(NULL), GOS_OK);
  CHECK_EQ(gos_init(NULL), GOS_PERM);
  finish(spawn(nothing, NULL));
  CHECK_EQ(gos_init(CONFIG(.maxprocs = 2)), GOS_PERM);
}

TEST_RAW(first_call_starts_the_runtime) {
  gos_chan *c = gos_chan_make(sizeof(int), 1);
  CHECK(c);
  CHECK_EQ(gos_chan_send(c, &(int){3}), GOS_OK);
  CHECK(gos_goid() > 0);
  gos_chan_release(c);
}

/* A thread that is not the process's first starts the runtime: it can be joined, wherever others run meanwhile. */
static atomic_bool over;
static void yields(void *arg) {
  (void)arg;
  while (!over) gos_gosched();
}
static void yields_a_little(void *arg) {
  (void)arg;
  for (int i = 0; i < 3; i++) gos_gosched();
}
static void *starts(void *arg) {
  long tid = syscall(SYS_gettid); /* pthread_self() is one that compilers keep */
  CHECK_EQ(gos_init(CONFIG(.maxprocs = 4)), GOS_OK);
  gos_g *g[4];
  for (int i = 0; i < 4; i++) g[i] = spawn(yields, NULL);
  for (int i = 0; i < 300; i++) {
    finish(spawn(yields_a_little, NULL)); /* who waited continues where it was woken */
    CHECK_EQ(syscall(SYS_gettid), tid);
    if (i == 100) CHECK(gos_lock_os_thread() == GOS_OK && gos_unlock_os_thread() == GOS_OK);
  }
  over = true;
  for (int i = 0; i < 4; i++) finish(g[i]);
  CHECK_EQ(syscall(SYS_gettid), tid);
  return arg;
}
static void on_a_further_thread(void *(*fn)(void *)) {
  pthread_t t;
  void *r;
  CHECK_EQ(pthread_create(&t, NULL, fn, &over), 0);
  CHECK_EQ(pthread_join(t, &r), 0);
  CHECK(r == &over);
}
TEST_RAW(a_further_thread_starts_the_runtime) {
  on_a_further_thread(starts);
  finish(spawn(nothing, NULL)); /* the runtime goes on without it */
  CHECK_EQ(gos_goid(), 0);
}

/* The same with one P. Were the thread not main's alone it would be reading when main is woken. */
static int tube[2];
static atomic_bool reading;
static void reads(void *arg) {
  char byte;
  (void)arg;
  reading = true;
  CHECK_EQ(read(tube[0], &byte, 1), 1);
}
static void until_reading(void *arg) {
  (void)arg;
  while (!reading) gos_gosched();
}
static void *starts_with_one_p(void *arg) {
  long tid = syscall(SYS_gettid);
  CHECK_EQ(gos_init(CONFIG(.maxprocs = 1)), GOS_OK);
  for (int i = 0; i < 2; i++) { /* also after a lock of its own */
    reading = false;
    gos_g *reader = spawn(reads, NULL);
    finish(spawn(until_reading, NULL));
    CHECK_EQ(syscall(SYS_gettid), tid);
    CHECK_EQ(write(tube[1], "", 1), 1);
    finish(reader);
    CHECK(gos_lock_os_thread() == GOS_OK && gos_unlock_os_thread() == GOS_OK);
  }
  return arg;
}
TEST_RAW(main_keeps_its_thread) {
  CHECK_EQ(pipe(tube), 0);
  on_a_further_thread(starts_with_one_p);
}

TEST_RAW(bad_configs_start_nothing) {
  CHECK_EQ(gos_init(&(gos_config){.size = 3}), GOS_INVAL);
  CHECK_EQ(gos_init(CONFIG(.maxprocs = -1)), GOS_INVAL);
  CHECK_EQ(gos_init(CONFIG(.maxthreads = -1)), GOS_INVAL);
  CHECK_EQ(gos_init(CONFIG(.flags = 1u << 31)), GOS_INVAL);
  CHECK_EQ(gos_init(CONFIG(.maxprocs = 2)), GOS_OK); /* and a good one still does */
  CHECK_EQ(gos_gomaxprocs(0), 2);
}

TEST_RAW(environment_gives_maxprocs) {
  setenv("GOMAXPROCS", "3", 1);
  CHECK_EQ(gos_init(NULL), GOS_OK);
  CHECK_EQ(gos_gomaxprocs(0), 3);
}

TEST_RAW(config_beats_environment) {
  setenv("GOMAXPROCS", "3", 1);
  CHECK_EQ(gos_init(CONFIG(.maxprocs = 2)), GOS_OK);
  CHECK_EQ(gos_gomaxprocs(0), 2);
}

TEST_RAW(nonsense_in_environment_is_ignored) {
  setenv("GOMAXPROCS", "-7x", 1);
  CHECK_EQ(gos_init(NULL), GOS_OK);
  CHECK_EQ(gos_gomaxprocs(0), gos_num_cpu());
}

TEST_RAW(gomaxprocs_before_any_goroutine) {
  CHECK_EQ(gos_init(CONFIG(.maxprocs = 1)), GOS_OK);
  int old = gos_gomaxprocs(2);
  CHECK(old == 1 || old == GOS_PERM);
  CHECK_EQ(gos_gomaxprocs(0), old == 1 ? 2 : 1);
  CHECK_EQ(gos_gomaxprocs(-5), gos_gomaxprocs(0)); /* as Go: n < 1 changes nothing */
}

static int the_main(int argc, char **argv) {
  CHECK_EQ(argc, 2);
  CHECK(!strcmp(argv[1], "b"));
  CHECK(gos_goid() > 0);
  finish(spawn(nothing, NULL));
  return 17;
}

TEST_RAW(main_runs_as_a_goroutine) { CHECK_EQ(gos_main(the_main, 2, (char *[]){"a", "b", NULL}), 17); }

TEST_RAW(main_after_init) {
  CHECK_EQ(gos_init(CONFIG(.maxprocs = 1)), GOS_OK);
  CHECK_EQ(gos_main(the_main, 2, (char *[]){"a", "b", NULL}), 17);
}

static void for_ever(void *arg) { (void)arg, gos_chan_recv(NULL, NULL); }
static void spins(void *arg) {
  for (;; *(volatile int *)arg += 1)
    ;
}
static int leaves(int argc, char **argv) {
  (void)argc, (void)argv;
  static int n;
  for (int i = 0; i < 10; i++) gos_go(for_ever, NULL);
  gos_go(spins, &n);
  gos_gosched();
  return 0;
}

/* The other goroutines end with main: the process exits although one of them spins. */
TEST_RAW(others_end_with_main) { exit(gos_main(leaves, 0, NULL)); }

static char reported[4096];
static void keep_report(const char *report) { snprintf(reported, sizeof reported, "%s", report); }

static void panics(void *arg) { gos_panic("lost %d of %s", 3, (char *)arg); }

TEST_RAW(panic_goes_to_the_hook) {
  CHECK_EQ(gos_init(CONFIG(.on_panic = keep_report)), GOS_OK);
  gos_g *g = spawn(panics, "keys");
  gos_info i;
  gos_info_get(g, &i, sizeof i);
  char head[40];
  snprintf(head, sizeof head, "goroutine %llu", (unsigned long long)i.id);
  finish(g); /* only the goroutine ended */
  CHECK_HAS(reported, "panic: lost 3 of keys");
  CHECK_HAS(reported, head);
  CHECK_HAS(reported, "created by");
  finish(spawn(nothing, NULL));
}

static int deferred;
static void runs_deferred(void *arg) { deferred += (int)(intptr_t)arg; }
static void defers_then_panics(void *arg) { gos_defer(runs_deferred, arg), gos_panic("x"); }

TEST_RAW(panic_runs_the_deferred) {
  CHECK_EQ(gos_init(CONFIG(.on_panic = keep_report)), GOS_OK);
  finish(spawn(defers_then_panics, (void *)5));
  CHECK_EQ(deferred, 5);
}

/* After fork() ThreadSanitizer has a thread more than it says, which might be about to wake somebody:
   no deadlock is reported then. tests/crash has the reports without a fork. */
TEST_RAW(deadlock_goes_to_the_hook_and_main) {
  if (TEST_TSAN || !test_counts_threads()) return;
  CHECK_EQ(gos_init(CONFIG(.on_deadlock = keep_report)), GOS_OK);
  gos_go(for_ever, NULL);
  gos_chan *c = gos_chan_make(0, 0);
  CHECK_EQ(gos_chan_recv(c, NULL), GOS_DEADLOCK);
  CHECK_HAS(reported, "all goroutines are asleep - deadlock!");
  CHECK_HAS(reported, "chan receive (nil chan)");
  gos_chan_release(c);
}

static void sends_one(void *c) { CHECK_EQ(gos_chan_send(c, NULL), GOS_OK); }

TEST_RAW(life_goes_on_after_a_reported_deadlock) {
  if (TEST_TSAN || !test_counts_threads()) return;
  CHECK_EQ(gos_init(CONFIG(.on_deadlock = keep_report)), GOS_OK);
  gos_chan *c = gos_chan_make(0, 0);
  for (int i = 0; i < 3; i++) CHECK_EQ(gos_chan_recv(c, NULL), GOS_DEADLOCK);
  CHECK_EQ(gos_select(NULL, 0, GOS_FOREVER), GOS_DEADLOCK);
  gos_go(sends_one, c);
  CHECK_EQ(gos_chan_recv(c, NULL), GOS_OK);
  gos_chan_release(c);
}

/* One that called in and has ended could help as little as one that never was. */
static void *calls_in(void *c) { return sends_one(c), NULL; }
TEST_RAW(a_thread_that_has_gone_hides_no_deadlock) {
  if (TEST_TSAN || !test_counts_threads()) return;
  CHECK_EQ(gos_init(CONFIG(.on_deadlock = keep_report)), GOS_OK);
  pthread_t t;
  gos_chan *c = gos_chan_make(0, 0);
  CHECK_EQ(pthread_create(&t, NULL, calls_in, c), 0);
  CHECK_EQ(gos_chan_recv(c, NULL), GOS_OK);
  CHECK_EQ(pthread_join(t, NULL), 0);
  CHECK_EQ(gos_chan_recv(c, NULL), GOS_DEADLOCK);
  gos_chan_release(c);
}

/* A pending timer, a sleeper or a foreign thread may still wake someone: no deadlock. */
TEST_RAW(a_timer_is_no_deadlock) {
  CHECK_EQ(gos_init(CONFIG(.on_deadlock = keep_report)), GOS_OK);
  gos_chan *c = gos_after(20 * MS);
  CHECK_EQ(gos_chan_recv(c, NULL), GOS_OK);
  CHECK_EQ(gos_chan_recv_dl(NULL, NULL, gos_now() + 20 * MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_sleep(20 * MS), GOS_OK);
  gos_chan_release(c);
}

TEST_RAW(texts_of_errors) {
  CHECK_HAS(gos_strerror(GOS_CLOSED), "closed");
  for (int e = GOS_OK; e >= GOS_AGAIN; e--) CHECK(gos_strerror(e) && *gos_strerror(e));
  CHECK_HAS(gos_strerror(GOS_SYS(2)), "No such file");
  CHECK(gos_strerror(-999) && gos_strerror(12345));
  CHECK_EQ(gos_abi_version(), GOS_ABI);
}
