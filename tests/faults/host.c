/* Threads for realms, and realms on them that come and go. SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"
#include <gossamer/host.h>

enum { THREADS = 3, MANY = 8 };
static atomic_int living, refused;
static atomic_int ran, wanted;

static void *thread_new(void *u) { return u; }
static void *fiber_new(void *u, char *lo, char **hi) { return lo < *hi ? u : NULL; }
static void start_failed(void *u, void *arg) {
  (void)u, (void)arg;
  wanted--;
}
static void counts(void *arg) { (void)arg, ran++; }

static void one_life(void) {
  int e;
  gos_host h = {.size = sizeof h,
                .flags = GOS_HOST_PINNED,
                .u = &living,
                .main_state = &living,
                .thread_new = thread_new,
                .fiber_new = fiber_new,
                .start_failed = start_failed};
  gos_realm *r = gos_realm_new(&h, &e);
  if (!r) {
    (void)WORKED(e);
    refused++;
    return;
  }
  gos_g *g[MANY];
  for (int i = 0; i < MANY; i++) {
    g[i] = NULL;
    wanted++; /* before it may run */
    if (!WORKED(gos_realm_go(r, i % 3 ? NULL : "guest", i % 4 ? 0 : 1 << 16, counts, NULL, &g[i]))) wanted--;
  }
  for (int i = 0; i < MANY; i++) {
    if (!g[i]) continue;
    CHECK_EQ(gos_join(g[i], GOS_FOREVER), GOS_OK);
    gos_release(g[i]);
  }
  CHECK_EQ(gos_realm_end(r), GOS_OK);
}
static void lives(void *arg) {
  for (int i = 0; i < 2; i++) one_life(); /* the second may take over what the first has left */
  (void)arg;
  living--;
}

void workload(void) {
  ran = wanted = 0;
  for (int i = 0; i < THREADS; i++) {
    living++;
    if (!WORKED(gos_host_thread(i % 2 ? "a name" : NULL, i % 3 ? 0 : 256 * 1024, lives, NULL))) living--;
    if (i % 2) continue;
    while (living > 0) gos_gosched(); /* two at once, at most */
  }
  while (living > 0) gos_gosched();
  CHECK_EQ(ran, wanted);
  gos_stats s;
  do CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
  while (s.goroutines > 1 && (gos_gosched(), true));
}
