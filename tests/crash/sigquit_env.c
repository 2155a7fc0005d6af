// ctest: timeout=30
// ctest: not-in=thread
// ctest: env=GOSSAMER_SIGQUIT=1
// exit: 2
// stderr: ^SIGQUIT: quit
// stderr: ^goroutine 1 \[chan receive \(nil chan\)\]:
/* The environment asks for the dump, and all goroutines are asleep: the monitor is woken for it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <gossamer.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

static int asleep(const gos_info *i, void *n) { return *(int *)n += i->wait_reason != NULL, 0; }
static void *quits(void *arg) { /* a thread the runtime has not made: it reports no deadlock */
  int n = 0;
  while (n = 0, gos_foreach(asleep, &n), n == 0) sched_yield();
  kill(getpid(), SIGQUIT);
  return pause(), arg;
}

int main(void) {
  pthread_t t;
  gos_init(NULL);
  pthread_create(&t, NULL, quits, NULL);
  gos_chan_recv(NULL, NULL);
  return 0;
}
