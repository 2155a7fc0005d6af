/* A descriptor becomes ready while every thread computes: the monitor looks, when nobody else does.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static int fd[2];
static atomic_int got;
static void waits(void *u) {
  (void)u;
  CHECK_EQ(gos_fd_wait(fd[0], GOS_READ, GOS_FOREVER), GOS_READ);
  got = 1;
}
static void spins(void *u) {
  (void)u;
  while (!got) {}
}
TEST(all_compute) {
  CHECK_EQ(pipe(fd), 0);
  gos_g *w = spawn(waits, NULL), *s[4];
  until_parked(w, "IO wait");
  for (int i = 1; i < test_procs; i++) s[i] = spawn(spins, NULL);
  CHECK_EQ(write(fd[1], "x", 1), 1);
  spins(NULL);
  finish(w);
  for (int i = 1; i < test_procs; i++) finish(s[i]);
  close(fd[0]), close(fd[1]);
}
