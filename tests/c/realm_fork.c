// ctest: timeout=60
// ctest: not-in=thread,arm64
/* fork() with a realm: the child keeps the goroutine that forked. (ThreadSanitizer and qemu-user allow no new
 * threads in the child of a threaded process.)
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "host.h"
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
TEST_RAW(fork_in_a_goroutine) {
  start();
  finish(go(forks, NULL));
}
