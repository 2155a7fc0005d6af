// ctest: not-in=thread,arm64
/* Goroutines that were ready when another forked ran in the child as well: those that had been pushed out of the next
 * place stood where the child did not look. (As fork.c, not under ThreadSanitizer and qemu-user.)
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <sys/wait.h>

static int ran; /* one P: no two at once */
static void counts(void *arg) { (void)arg, ran++; }

TEST_RAW(only_the_one_that_forked_runs) {
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 1}), GOS_OK);
  for (int i = 0; i < 5; i++) CHECK_EQ(gos_go(counts, NULL), GOS_OK);
  int before = ran;
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (!pid) {
    for (int i = 0; i < 100; i++) gos_gosched();
    _exit(ran == before ? 0 : 1);
  }
  int status;
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  CHECK_EQ(status, 0);
  while (ran < 5) gos_gosched();
}
