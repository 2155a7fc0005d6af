// ctest: timeout=60
// ctest: not-in=thread,arm64
/* fork(): the child keeps the goroutine that forked, buffered values, and can start anew.
 * (ThreadSanitizer and qemu-user allow no new threads in the child of a threaded process.)
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <sys/wait.h>

static gos_chan *empty, *full;
static void receives(void *arg) { (void)arg, gos_chan_recv(empty, NULL); }
static void sends(void *arg) { gos_chan_send(full, arg); }

static void child(void) {
  int v = 0;
  CHECK_EQ(gos_num_goroutine(), 1);
  CHECK_EQ((int)gos_chan_len(full), 1);
  CHECK_EQ(gos_chan_recv(full, &v), GOS_OK); /* the buffered one; the parked sender is gone */
  CHECK_EQ(v, 7);
  CHECK_EQ(gos_chan_recv_dl(full, &v, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_chan_send_dl(empty, &v, GOS_NOW), GOS_WOULDBLOCK); /* so is the parked receiver */
  int w = 8;
  gos_g *g = gos_go_opts(NULL, sends, &w, NULL);
  CHECK(g);
  CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
  CHECK_EQ(gos_chan_recv(full, &v), GOS_OK);
  CHECK_EQ(v, 8);
  CHECK_EQ(gos_sleep(1000000), GOS_OK);
}

static void forks(void *arg) {
  int status = -1, v = 7, more = 9;
  (void)arg;
  empty = gos_chan_make(sizeof(int), 0);
  full = gos_chan_make(sizeof(int), 1);
  CHECK_EQ(gos_chan_send(full, &v), GOS_OK);
  gos_g *r = gos_go_opts(NULL, receives, NULL, NULL), *s = gos_go_opts(NULL, sends, &more, NULL);
  gos_info i = {0};
  while (gos_info_get(r, &i, sizeof i), !i.wait_reason) gos_gosched();
  while (gos_info_get(s, &i, sizeof i), !i.wait_reason) gos_gosched();
  pid_t pid = fork();
  if (!pid) {
    alarm(30);
    child();
    _exit(0);
  }
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  CHECK_EQ(status, 0);
  CHECK_EQ(gos_chan_recv(full, &v), GOS_OK); /* the parent goes on as if nothing had been */
  CHECK_EQ(v, 7);
  CHECK_EQ(gos_chan_recv(full, &v), GOS_OK);
  CHECK_EQ(v, 9);
  CHECK_EQ(gos_chan_send(empty, &v), GOS_OK);
  CHECK_EQ(gos_join(r, GOS_FOREVER), GOS_OK);
  CHECK_EQ(gos_join(s, GOS_FOREVER), GOS_OK);
}

/* In the child `in_child` must return. */
static void forks_and(void (*in_child)(void)) {
  int status = -1;
  pid_t pid = fork();
  if (!pid) {
    alarm(30);
    in_child();
    _exit(0);
  }
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  CHECK_EQ(status, 0);
}

/* Waiters that nobody has a handle of and that have no deadline: whoever takes them from the queue has them. */
static void finds_nobody(void) {
  int v = 1;
  CHECK_EQ(gos_chan_send_dl(empty, &v, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_chan_recv_dl(full, &v, GOS_NOW), GOS_WOULDBLOCK);
}
static long waiting(void) {
  char text[1 << 14] = "";
  long n = 0;
  FILE *f = tmpfile();
  CHECK(f);
  CHECK_EQ(gos_dump(fileno(f), 0), GOS_OK);
  CHECK(pread(fileno(f), text, sizeof text - 1, 0) > 0);
  for (char *at = text; (at = strstr(at, "[chan ")); at++) n++;
  fclose(f);
  return n;
}
TEST(waiters_that_none_else_may_wake) {
  int v = 5;
  empty = gos_chan_make(sizeof(int), 0), full = gos_chan_make(sizeof(int), 0);
  CHECK_EQ(gos_go(receives, NULL), GOS_OK);
  CHECK_EQ(gos_go(sends, &v), GOS_OK);
  while (waiting() < 2) gos_gosched();
  forks_and(finds_nobody);
  CHECK_EQ(gos_chan_send(empty, &v), GOS_OK);
  CHECK_EQ(gos_chan_recv(full, &v), GOS_OK);
}

/* Who computes while others wait loses its P to another thread: that takes a monitor, and a thread, of the child's own. */
static atomic_bool passed;
static void passes(void *arg) { (void)arg, passed = true; }
static void needs_another_thread(void) {
  passed = false;
  CHECK_EQ(gos_go(passes, NULL), GOS_OK);
  while (!passed) {}
}
TEST(a_monitor_and_threads_of_its_own) {
  needs_another_thread(); /* from here on the parent has threads that sleep */
  forks_and(needs_another_thread);
  needs_another_thread();
}

/* Nobody else has started a thread there that would tell. */
static int waits_for_nothing(void) {
  int status = -1;
  pid_t pid = fork();
  if (!pid) {
    alarm(30);
    CHECK(freopen("/dev/null", "w", stderr));
    gos_chan_recv(NULL, NULL);
    _exit(0);
  }
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  return status;
}
static void waits_in_vain(void *arg) { *(int *)arg = waits_for_nothing(); }
TEST(a_deadlock_in_the_child) {
  int status = -1;
  CHECK_EQ(WEXITSTATUS(waits_for_nothing()), 2);
  finish(spawn(waits_in_vain, &status));
  CHECK(WIFEXITED(status));
  CHECK_EQ(WEXITSTATUS(status), 2);
}

TEST(fork_in_main) { forks(NULL); }
TEST(fork_in_a_goroutine) {
  gos_g *g = gos_go_opts(&(gos_go_options){.size = sizeof(gos_go_options), .stack = 1 << 20}, forks, NULL, NULL);
  CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
}
