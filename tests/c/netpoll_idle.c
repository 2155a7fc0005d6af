/* All goroutines wait, one of them for a descriptor, or for a signal, that another process takes its time with: no
 * deadlock. SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static int fd[2], go_on[2];
/* Another process, which is in no hurry once it may go on. */
static pid_t other(bool signals) {
  char x;
  CHECK_EQ(pipe(fd), 0);
  CHECK_EQ(pipe(go_on), 0);
  pid_t me = getpid(), pid = fork();
  CHECK(pid >= 0);
  if (pid) return pid;
  if (read(go_on[0], &x, 1) != 1) _exit(2);
  usleep(300000);
  _exit(signals ? kill(me, SIGUSR1) != 0 : write(fd[1], "x", 1) != 1);
}
static void may_go_on(void) { CHECK_EQ(write(go_on[1], "x", 1), 1); }
static void has_ended(pid_t pid) {
  int st = -1;
  CHECK_EQ(waitpid(pid, &st, 0), pid);
  CHECK_EQ(st, 0);
}

static void waits(void *u) {
  (void)u;
  CHECK_EQ(gos_fd_wait(fd[0], GOS_READ, GOS_FOREVER), GOS_READ);
}
TEST_RAW(main_waits_for_it) {
  pid_t pid = other(false);
  CHECK_EQ(gos_init(NULL), GOS_OK);
  may_go_on();
  waits(NULL);
  has_ended(pid);
}
TEST_RAW(a_goroutine_waits_for_it) {
  pid_t pid = other(false);
  CHECK_EQ(gos_init(NULL), GOS_OK);
  may_go_on();
  finish(spawn(waits, NULL));
  has_ended(pid);
}
TEST_RAW(a_select_waits_for_it) {
  pid_t pid = other(false);
  CHECK_EQ(gos_init(NULL), GOS_OK);
  may_go_on();
  gos_case k[] = {GOS_FD(fd[0], GOS_READ), GOS_RECV(NULL, NULL)};
  CHECK_EQ(gos_select(k, 2, GOS_FOREVER), 0);
  has_ended(pid);
}
TEST_RAW(a_signal_comes) {
  int sig = SIGUSR1;
  pid_t pid = other(true);
  CHECK_EQ(gos_init(NULL), GOS_OK);
  gos_chan *c = gos_chan_make(sizeof(int), 1);
  CHECK_EQ(gos_signal_notify(c, &sig, 1), GOS_OK);
  may_go_on();
  CHECK_EQ(gos_chan_recv(c, &sig), GOS_OK);
  CHECK_EQ(sig, SIGUSR1);
  has_ended(pid);
}
