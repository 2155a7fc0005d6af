// ctest: not-in=address,thread
/* A fault that is no stack's goes to whom it would have gone to: a handler of either kind that was there before the
 * runtime, on a goroutine as on the main one. (The sanitizers have handlers of their own.)
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <errno.h>

static volatile char *volatile nowhere = (char *)64; /* in no stack, and mapped by nobody */
static void plain(int sig) { _exit(sig == SIGSEGV ? 0 : 9); }
static void detailed(int sig, siginfo_t *info, void *uc) {
  _exit(sig == SIGSEGV && info->si_addr == (void *)nowhere && uc ? 0 : 9);
}
static void touch(void *arg) { *nowhere = (char)(arg == NULL); }

/* In a child: this one ends well only by its handler. */
static void check(bool with_details, bool on_goroutine) {
  int status = -1;
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (!pid) {
    struct sigaction a = {.sa_flags = SA_ONSTACK};
    if (with_details)
      a.sa_sigaction = detailed, a.sa_flags |= SA_SIGINFO;
    else
      a.sa_handler = plain;
    CHECK_EQ(sigaction(SIGSEGV, &a, NULL), 0);
    CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 2}), GOS_OK);
    if (on_goroutine)
      finish(spawn(touch, NULL));
    else
      touch(NULL);
    _exit(7);
  }
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  CHECK_EQ(status, 0);
}
TEST_RAW(a_plain_handler) { check(false, false), check(false, true); }
TEST_RAW(one_with_details) { check(true, false), check(true, true); }

/* Ignored faults end the process all the same, as the system has it. */
TEST_RAW(nobody) {
  int status = 0;
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (!pid) {
    CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 2}), GOS_OK);
    finish(spawn(touch, NULL));
    _exit(0);
  }
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}
