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

/* raise() on a thread of the runtime waits until it takes signals; one for the process finds a thread that does. */
static atomic_int came;
static void comes(int sig) { (void)sig, came++; }
static void nothing(void *arg) { (void)arg; }
static void *raises(void *arg) {
  bool deaf = blocked(SIGUSR1);
  came = 0;
  CHECK_EQ(raise(SIGUSR1), 0);
  CHECK_EQ(came, !deaf);
  gos_with_users_signals(nothing, NULL);
  CHECK_EQ(came, 1);
  CHECK_EQ(kill(getpid(), SIGUSR1), 0);
  while (came < 2) sched_yield();
  *(int *)arg += deaf;
  return NULL;
}
static void raiser(void *arg) { CHECK_EQ(gos_blocking(raises, arg, NULL), GOS_OK); }
TEST_RAW(raised_on_a_thread_of_the_runtime) {
  int n = 0;
  CHECK_EQ(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = comes}, NULL), 0);
  CHECK_EQ(gos_init(NULL), GOS_OK);
  while (!n) { /* until it was one that is deaf */
    gos_g *g = spawn(raiser, &n);
    while (gos_g_alive(g)) sched_yield(); /* main stays on its thread */
    finish(g);
  }
}
