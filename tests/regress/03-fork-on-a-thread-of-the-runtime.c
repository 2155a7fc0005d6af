// ctest: not-in=thread
/* The runtime's own threads block all signals. A child forked on one of them has no other thread: it, and what
 * it execs, must get its signals. (ThreadSanitizer keeps signals until a call it knows.)
 * SPDX-License-Identifier: Apache-2.0 */
#include <gossamer/host.h>
#include "test.h"

static void forks(void *arg) {
  int status;
  sigset_t blocked;
  (void)arg;
  pid_t pid = fork();
  if (!pid) {
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    _exit(sigismember(&blocked, SIGTERM));
  }
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  CHECK_EQ(status, 0);
}
TEST(a_child_gets_its_signals) {
  for (int i = 0; i < 20; i++) {
    gos_g *g = spawn(forks, NULL);
    while (i % 2 && gos_g_alive(g)) sched_yield(); /* main stays on its thread: another one takes it */
    finish(g);
  }
}
