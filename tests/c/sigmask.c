/* Whose signals: threads of the runtime take none, and what they start must not be deaf.
 * SPDX-License-Identifier: Apache-2.0 */
#include <gossamer/host.h>
#include <pthread.h>
#include <signal.h>
#include "test.h"

static bool blocked(int sig) {
  sigset_t set;
  CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &set), 0);
  return sigismember(&set, sig) == 1;
}

static pthread_t main_thread;
static int calls;
static void has_users_mask(void *arg) {
  CHECK(!blocked(SIGTERM) && blocked(SIGUSR2));
  calls += *(int *)arg;
}
static void *asks(void *arg) { /* in a call of its own, so that it cannot move to another thread */
  bool deaf = blocked(SIGTERM);
  CHECK(pthread_equal(pthread_self(), main_thread) ? !deaf : deaf);
  gos_with_users_signals(has_users_mask, arg);
  CHECK_EQ(blocked(SIGTERM), deaf);
  return NULL;
}
static void asker(void *arg) { CHECK_EQ(gos_blocking(asks, arg, NULL), GOS_OK); }

TEST_RAW(programs_get_the_users_mask) {
  static int one = 1;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  main_thread = pthread_self();
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
  CHECK_EQ(gos_init(NULL), GOS_OK);
  asks(&one);
  gos_waitgroup wg = {0};
  for (int i = 0; i < 20; i++) {
    CHECK_EQ(gos_waitgroup_go(&wg, asker, &one), GOS_OK);
    CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
  }
  CHECK_EQ(calls, 21);
}
