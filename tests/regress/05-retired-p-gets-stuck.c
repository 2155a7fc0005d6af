// ctest: timeout=60
// ctest: internal
/* gomaxprocs() lowered: a P that goes keeps its thread until that thread looks. One that blocked instead, with
 * goroutines queued behind it, was out of the monitor's sight, and they waited for as long as it blocked.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "sched/sched.h"

enum { BUSY = 3, BEHIND = 3 };
static atomic_int stuck, ran;
static atomic_bool lowered;

static void counts(void *arg) { (void)arg, ran++; }

/* On which P, -1: none. */
static int where(void) {
  gosi_p *p = gosi_load(&gosi_self_m()->p);
  return p ? p->id : -1;
}

/* The one P that does not go has others waiting, and the monitor takes it from one that computes: that one finds
   another P at its next call. */
static void queues_and_blocks(void *arg) {
  (void)arg;
  while (where() < 1) {
    while (where() == 0 && !lowered) {}
    if (lowered) return;
    gos_gosched();
  }
  stuck++;
  while (!lowered) {} /* keeps its P */
  for (int i = 0; i < BEHIND; i++) CHECK_EQ(gos_go(counts, NULL), GOS_OK);
  while (ran < stuck * BEHIND) usleep(100);
}

TEST_RAW(those_behind_it_run) {
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 4}), GOS_OK);
  gos_g *g[BUSY];
  for (int i = 0; i < BUSY; i++) g[i] = spawn(queues_and_blocks, NULL);
  while (!stuck) gos_gosched();
  CHECK_EQ(gos_gomaxprocs(1), 4);
  lowered = true;
  for (int i = 0; i < BUSY; i++) finish(g[i]);
  CHECK_EQ(gos_gomaxprocs(4), 1);
  for (int i = 0; i < 100; i++) CHECK_EQ(gos_go(counts, NULL), GOS_OK);
  while (ran < stuck * BEHIND + 100) gos_gosched();
}
