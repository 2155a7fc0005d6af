// ctest: timeout=60
/* What is no deadlock, although everybody waits: somebody outside may still come. And what is one, although it does not
 * look like it. The monitor has time to look in each of them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <gossamer/net.h>

static atomic_int reports;
static void counts(const char *report) {
  CHECK_HAS(report, "all goroutines are asleep");
  reports++;
}
static void start(void) {
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 2, .on_deadlock = counts}), GOS_OK);
}
enum { A_WHILE = 600000 /* us: the monitor looks for a deadlock after some 20 ms of silence, then every 250 */ };

/* A process, before any thread of ours is there; it comes by after a while. A signal comes again and again: the first
   ones may come before anybody wants them. */
static pid_t outsider(int fd, int sig) {
  pid_t parent = getpid(), pid = fork();
  CHECK(pid >= 0);
  if (pid) return pid;
  usleep(A_WHILE);
  if (fd >= 0 && write(fd, "x", 1) != 1) _exit(1);
  while (sig && getppid() == parent && kill(parent, sig) == 0) usleep(A_WHILE);
  _exit(0);
}
static void came(pid_t pid) {
  int status = -1;
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  CHECK_EQ(status, 0);
  CHECK_EQ(reports, 0);
}

TEST_RAW(a_descriptor_is_waited_for) {
  int p[2];
  char byte = 0;
  CHECK_EQ(pipe(p), 0);
  pid_t pid = outsider(p[1], 0);
  start();
  CHECK_EQ(gos_read(p[0], &byte, 1, GOS_FOREVER), 1);
  CHECK_EQ(byte, 'x');
  came(pid);
}

static gos_chan *c;
static void reads(void *fd) {
  char byte;
  CHECK_EQ(gos_read(*(int *)fd, &byte, 1, GOS_FOREVER), 1);
  CHECK_EQ(gos_chan_send(c, NULL), GOS_OK);
}
TEST_RAW(another_waits_for_a_descriptor) {
  int p[2];
  CHECK_EQ(pipe(p), 0);
  pid_t pid = outsider(p[1], 0);
  start();
  c = gos_chan_make(0, 0);
  gos_g *g = spawn(reads, &p[0]);
  CHECK_EQ(gos_chan_recv(c, NULL), GOS_OK);
  finish(g);
  came(pid);
}

TEST_RAW(a_signal_is_waited_for) {
  int sig = SIGUSR1, got = 0;
  signal(SIGUSR1, SIG_IGN); /* until it is asked for */
  pid_t pid = outsider(-1, SIGUSR1);
  start();
  c = gos_chan_make(sizeof(int), 1);
  CHECK_EQ(gos_signal_notify(c, &sig, 1), GOS_OK);
  CHECK_EQ(gos_chan_recv(c, &got), GOS_OK);
  CHECK_EQ(got, SIGUSR1);
  CHECK_EQ(reports, 0);
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}

TEST_RAW(a_timer_is_far_away) {
  start();
  gos_timer *t = gos_timer_new(A_WHILE * (gos_ns)1000);
  CHECK_EQ(gos_chan_recv(gos_timer_c(t), NULL), GOS_OK);
  CHECK_EQ(reports, 0);
  gos_timer_free(t);
}

/* A descriptor that was watched once does not hide a deadlock, nor does a signal that nobody wants any more. */
TEST_RAW(what_was_watched_once) {
  int p[2], sig = SIGUSR1;
  if (TEST_TSAN || !test_counts_threads()) return; /* see init.c */
  start();
  CHECK_EQ(gos_pipe(p), GOS_OK);
  CHECK_EQ(gos_fd_wait(p[0], GOS_READ, gos_now() + MS), GOS_TIMEDOUT);
  c = gos_chan_make(sizeof(int), 1);
  CHECK_EQ(gos_signal_notify(c, &sig, 1), GOS_OK);
  CHECK_EQ(gos_signal_stop(c), GOS_OK);
  CHECK_EQ(gos_chan_recv(c, NULL), GOS_DEADLOCK);
  CHECK_EQ(reports, 1);
  gos_close(p[0]), gos_close(p[1]);
}
