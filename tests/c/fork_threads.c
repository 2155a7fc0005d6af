// ctest: timeout=60
// ctest: not-in=address,thread,arm64
/* fork() by threads that are not the runtime's: one it knows, one it has never seen; before it was started; with a realm
 * on another thread. In the child the forking thread can use it. As fork.c, not under
 * ThreadSanitizer and qemu-user; nor under AddressSanitizer, whose allocator another thread may hold at the fork.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <gossamer/host.h>
#include <gossamer/net.h>
#include <pthread.h>

static gos_chan *back;
static atomic_bool stop;

static void sends(void *arg) { CHECK_EQ(gos_chan_send(back, &(long){(long)(intptr_t)arg}), GOS_OK); }

/* What a child should be able to do. */
static void child_works(void) {
  long v = 0, sum = 0;
  int p[2];
  char byte = 0;
  alarm(30);
  back = gos_chan_make(sizeof(long), 0);
  for (intptr_t i = 1; i <= 20; i++) CHECK_EQ(gos_go(sends, (void *)i), GOS_OK);
  for (int i = 0; i < 20; i++, sum += v) CHECK_EQ(gos_chan_recv(back, &v), GOS_OK);
  CHECK_EQ(sum, 210);
  CHECK_EQ(gos_chan_recv_dl(back, &v, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_pipe(p), GOS_OK);
  CHECK_EQ(gos_fd_wait(p[0], GOS_READ, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_write(p[1], "c", 1, GOS_FOREVER), 1);
  CHECK_EQ(gos_read(p[0], &byte, 1, GOS_FOREVER), 1);
  CHECK_EQ(byte, 'c');
  gos_mutex mu = {0, 0};
  gos_mutex_lock(&mu);
  CHECK_EQ(gos_mutex_lock_dl(&mu, gos_now() + MS), GOS_TIMEDOUT);
  _exit(0);
}
static void fork_one(void) {
  int status = -1;
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (!pid) child_works();
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  CHECK_EQ(status, 0);
}

/* ---- what goes on meanwhile --------------------------------------------------------------- */
static gos_chan *ball;
static void plays(void *arg) {
  long v = 0;
  while (!stop) CHECK(arg ? gos_chan_send(ball, &v) == GOS_OK : gos_chan_recv(ball, &v) == GOS_OK);
  if (!arg) gos_chan_close(ball);
}
static void serves(void *arg) {
  long v = 0;
  (void)arg;
  while (gos_chan_send(ball, &v) == GOS_OK) {}
}
static gos_g *busy[2];
static void keep_busy(void) {
  ball = gos_chan_make(sizeof(long), 0);
  stop = false;
  busy[0] = spawn(plays, NULL), busy[1] = spawn(serves, NULL);
}
static void let_go(void) {
  stop = true;
  finish(busy[0]), finish(busy[1]);
  gos_chan_release(ball);
}

static void *forks(void *arg) {
  if (arg) { /* the runtime knows the thread */
    gos_mutex mu = {0, 0};
    gos_mutex_lock(&mu);
    CHECK_EQ(gos_mutex_lock_dl(&mu, gos_now() + 1), GOS_TIMEDOUT);
  }
  for (int i = 0; i < 5; i++) fork_one();
  return NULL;
}
static void on_a_thread(void *known) {
  pthread_t t;
  keep_busy();
  CHECK_EQ(pthread_create(&t, NULL, forks, known), 0);
  pthread_join(t, NULL);
  let_go(); /* the parent has noticed nothing */
}
TEST(on_a_foreign_thread) { on_a_thread(&stop); }
TEST(on_a_thread_that_never_called_in) { on_a_thread(NULL); }

/* ---- before the start, and of a process that never starts it ------------------------------------- */
TEST_RAW(before_the_start) {
  fork_one(); /* the child's first call starts it there */
  CHECK_EQ(gos_num_goroutine(), 0);
  spawn(sends, NULL);
  CHECK_EQ(gos_num_goroutine(), 2);
  fork_one();
  fork_one();
}

/* ---- with realms of others ------------------------------------------------------------------------- */
static atomic_int there;
static gos_chan *quit;
static void realm_waits(void *arg) {
  int e;
  gos_realm *r = gos_realm_new(&(gos_host){.size = sizeof(gos_host), .flags = GOS_HOST_PINNED}, &e);
  CHECK(r);
  gos_timer *t = gos_realm_timer(r, 3600000 * MS, 0);
  there++;
  CHECK_EQ(gos_chan_recv(quit, NULL), GOS_CLOSED);
  gos_timer_free(t);
  CHECK_EQ(gos_realm_end(r), GOS_OK);
  (void)arg;
  there--;
}
TEST(with_realms_on_other_threads) {
  quit = gos_chan_make(0, 0);
  for (int i = 0; i < 3; i++) CHECK_EQ(gos_host_thread("guest", 0, realm_waits, NULL), GOS_OK);
  while (there < 3) gos_gosched();
  fork_one();
  on_a_thread(&stop);
  on_a_thread(NULL);
  gos_chan_close(quit);
  while (there > 0) gos_gosched();
  fork_one(); /* with realms that have ended */
}

/* ---- timers and signals of the parent stay the parent's ---------------------------------------------- */
static atomic_int calls;
static void call(void *arg) { (void)arg, calls++; }
TEST(with_timers_and_signals) {
  int sig = SIGUSR1, v;
  gos_timer *t[100];
  gos_chan *c = gos_chan_make(sizeof(int), 1);
  CHECK_EQ(gos_signal_notify(c, &sig, 1), GOS_OK);
  for (int i = 0; i < 100; i++) t[i] = i % 2 ? gos_after_func(i * 100 * MS, call, NULL) : gos_timer_new(3600000 * MS);
  fork_one();
  on_a_thread(NULL);
  CHECK_EQ(kill(getpid(), SIGUSR1), 0);
  CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
  CHECK_EQ(v, SIGUSR1);
  for (int i = 0; i < 100; i++) {
    int stopped = gos_timer_stop(t[i]);
    CHECK(stopped == 1 || i % 2);
    gos_timer_free(t[i]);
  }
  CHECK_EQ(gos_signal_stop(c), GOS_OK);
  gos_chan_release(c);
}
