// ctest: timeout=60
// ctest: not-in=thread,address,arm64
/* A goroutine that forked while another thread had its P was not counted in the child.
 * (The sanitizers and qemu-user do not support what the child does: see tests/c/gomaxprocs.c.)
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static void nothing(void *arg) { (void)arg; }
static void child(void) {
  CHECK_EQ(gos_num_goroutine(), 1);
  finish(spawn(nothing, NULL));
  CHECK_EQ(gos_num_goroutine(), 1);
  _exit(0);
}
TEST(forks_between_entersyscall_and_exitsyscall) {
  int st = -1;
  CHECK_EQ(gos_go(nothing, NULL), GOS_OK); /* there is work: the P goes to another thread */
  gos_entersyscall();
  pid_t pid = fork();
  if (pid == 0) child();
  CHECK_EQ(waitpid(pid, &st, 0), pid);
  gos_exitsyscall();
  CHECK_EQ(st, 0);
}
