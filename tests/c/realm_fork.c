// ctest: timeout=60
// ctest: not-in=thread,arm64
/* fork() with a realm: the child keeps the goroutine that forked. (ThreadSanitizer and qemu-user allow no new
 * threads in the child of a threaded process.)
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "host.h"
#include <pthread.h>
#include <sys/wait.h>

static gos_chan *c;
static atomic_int ran;

static void start(void) {
  int e;
  CHECK(host_start(0, &e));
}
static gos_g *go(void (*fn)(void *), void *arg) {
  gos_g *g = NULL;
  CHECK_EQ(gos_realm_go(host.realm, NULL, 0, fn, arg, &g), GOS_OK);
  return g;
}
static void steps(void *arg) {
  for (int i = 0; i < 10; i++) gos_gosched(), ran++;
  (void)arg;
}

static void forks(void *arg) {
  int status = -1;
  pid_t pid = fork();
  if (!pid) {
    alarm(20);
    CHECK_EQ(gos_num_goroutine(), 1);
    ran = 0;
    finish(go(steps, arg));
    CHECK_EQ(ran, 10);
    CHECK_EQ(gos_sleep(MS), GOS_OK);
    _exit(0);
  }
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  CHECK_EQ(status, 0);
}
static void parks(void *arg) { (void)arg, gos_chan_recv(c, NULL); }
TEST_RAW(fork_in_main) {
  start();
  c = gos_realm_chan(host.realm, 0, 0);
  gos_g *g = go(parks, NULL);
  until_parked(g, "chan receive");
  forks(NULL);
  gos_chan_close(c);
  finish(g);
}

/* A thread that the runtime has never seen: the child has no goroutine, and the realm none that could run. It may
   use the runtime, and have a realm of its own. */
static void works(void *arg) {
  uint64_t v = 7;
  CHECK_EQ(gos_chan_send(arg, &v), GOS_OK);
}
static void child_of_unknown(gos_g *g) {
  int e = GOS_OK;
  uint64_t v = 0;
  alarm(20);
  CHECK_EQ(gos_num_goroutine(), 0);
  CHECK_EQ(gos_g_alive(g), 0);
  gos_chan *shared = gos_chan_make(8, 0);
  CHECK_EQ(gos_go(works, shared), GOS_OK);
  CHECK_EQ(gos_chan_recv(shared, &v), GOS_OK);
  CHECK_EQ(v, 7);
  gos_realm *r = gos_realm_new(&(gos_host){.size = sizeof(gos_host), .flags = GOS_HOST_PINNED, .language = "x"}, &e);
  CHECK(r && e == GOS_OK);
  gos_g *h = NULL;
  CHECK_EQ(gos_realm_go(r, NULL, 0, works, shared, &h), GOS_OK);
  CHECK_EQ(gos_chan_recv(shared, &v), GOS_OK);
  finish(h);
  CHECK_EQ(gos_realm_end(r), GOS_OK);
  _exit(0);
}
static void *forks_unknown(void *arg) {
  int status = -1;
  pid_t pid = fork();
  if (!pid) child_of_unknown(arg);
  CHECK_EQ(waitpid(pid, &status, 0), pid);
  CHECK_EQ(status, 0);
  return NULL;
}
TEST_RAW(fork_by_a_thread_that_the_runtime_does_not_know) {
  start();
  c = gos_realm_chan(host.realm, 0, 0);
  gos_g *g = go(parks, NULL), *ready = go(steps, NULL);
  until_parked(g, "chan receive");
  pthread_t t;
  CHECK_EQ(pthread_create(&t, NULL, forks_unknown, g), 0);
  while (pthread_tryjoin_np(t, NULL)) gos_gosched();
  finish(ready);
  gos_chan_close(c);
  finish(g);
}

TEST_RAW(fork_in_a_goroutine) {
  start();
  finish(go(forks, NULL));
}
