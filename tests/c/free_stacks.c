// ctest: timeout=60
/* gos_free_stacks: the memory of unused stacks goes back to the system, and the stacks work as before.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "host.h"
#include <string.h>

static void uses_stack(void *arg) {
  char big[40000];
  memset(big, 1, sizeof big);
  __asm__ volatile("" : : "r"(big) : "memory");
  gos_chan_recv(arg, NULL);
}
static size_t resident(void) {
  size_t size, pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  CHECK(f);
  CHECK_EQ(fscanf(f, "%zu %zu", &size, &pages), 2);
  fclose(f);
  return pages * 4096;
}

TEST(c_goroutines) {
  enum { N = 300 };
  gos_g *g[N];
  gos_chan *c = gos_chan_make(1, 0);
  for (int round = 0; round < 2; round++) {
    gos_chan *x = round ? c : gos_chan_make(1, 0);
    for (int i = 0; i < N; i++) g[i] = spawn(uses_stack, x);
    gos_gosched();
    gos_chan_close(x);
    for (int i = 0; i < N; i++) finish(g[i]);
    size_t before = resident();
    int n = gos_free_stacks();
    CHECK(n >= 0 && n <= 2 * N);
    if (n > N / 2) CHECK(resident() < before);
    if (!round) gos_chan_release(x);
  }
  gos_chan_release(c);
}

TEST_RAW(realm) {
  enum { N = 100 };
  gos_g *g[N];
  CHECK(host_start(0, NULL));
  for (int round = 0; round < 3; round++) {
    gos_chan *c = gos_realm_chan(host.realm, sizeof(long), 0);
    for (int i = 0; i < N; i++) CHECK_EQ(gos_realm_go(host.realm, NULL, 0, uses_stack, c, &g[i]), GOS_OK);
    gos_gosched();
    gos_chan_close(c);
    for (int i = 0; i < N; i++) finish(g[i]);
    gos_chan_release(c);
    int freed = host.freed;
    CHECK(gos_realm_free_stacks(host.realm) >= N);
    CHECK(host.freed - freed >= N); /* with their host states */
  }
}
