/* Frozen goroutines: what cannot be frozen stays as it is, what is frozen can always be thawed.
 * SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"
#include <errno.h>

enum { MANY = 40, WORDS = 100 };
static gos_chan *gate;
static long *lent[MANY];
static atomic_int waiting, right;

static void lends(void *at) {
  long mine[WORDS], i = (intptr_t)at;
  for (int k = 0; k < WORDS; k++) mine[k] = i * WORDS + k;
  lent[i] = mine;
  __asm__ volatile("" ::: "memory");
  atomic_fetch_add(&waiting, 1);
  gos_chan_recv(gate, NULL);
  for (int k = 0; k < WORDS; k++)
    if (mine[k] != i * WORDS + k) return;
  atomic_fetch_add(&right, 1);
}

static void freeze(void) {
  for (int i = 0; i < 3; i++) {
    int n = gos_freeze(0);
    if (n != GOS_SYS(ENOTSUP)) WORKED(n);
    gos_gosched();
  }
}

int setup(void) { return gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 2}); }

void workload(void) {
  bool there[MANY] = {false};
  int started = 0;
  waiting = right = 0;
  gate = gos_chan_make(0, 0);
  if (!GOT(gate)) return;
  for (intptr_t i = 0; i < MANY; i++) {
    gos_go_options o = {.size = sizeof o, .stack = i % 8 ? 0 : 1 << 20};
    int e;
    gos_g *g = gos_go_opts(&o, lends, (void *)i, &e);
    there[i] = WORKED(e);
    started += there[i];
    gos_release(g);
  }
  while (waiting < started) gos_gosched();
  freeze();
  for (int i = 0; i < MANY; i += 3)
    if (there[i]) CHECK_EQ(lent[i][WORDS / 2], i * WORDS + WORDS / 2);
  freeze();
  gos_chan_close(gate);
  settle();
  CHECK_EQ(right, started);
  gos_chan_release(gate);
}
