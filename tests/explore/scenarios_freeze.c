/* Frozen stacks: the freezer against the scheduler that continues a goroutine, and against others that touch its
 * stack. Pages are modelled (os_explore.c): what is given back is poisoned, and an access by touch() ends in the fault
 * handler; a goroutine that is continued on what is not there reads poison, or has no frame to return to. What the
 * core itself writes to a waiting goroutine's stack would have to fault as well: so nothing here waits with a place or
 * a variable on its stack.
 * SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include "stack/freeze.h"
#include "team.h"

enum { LENDERS = 3, WORDS = 8 };
static long *lent[LENDERS], got[LENDERS];
static gos_chan *c, *gate;

static void touch(long *p, bool writes) {
  while (ex_page_closed(p, writes)) {
    siginfo_t si = {.si_signo = SIGSEGV, .si_code = SEGV_MAPERR, .si_addr = p};
    CHECK(gosi_stack_fault(&si, NULL));
  }
}

/* Its words are its neighbours' to read, and one each to write. */
static void lends(void *at) {
  long mine[WORDS], i = (intptr_t)at;
  for (int k = 0; k < WORDS; k++) mine[k] = i * WORDS + k;
  lent[i] = mine;
  __asm__ volatile("" ::: "memory");
  for (int k = 0; k < 2; k++) {
    CHECK_EQ(gos_chan_recv(c, &got[i]), GOS_OK);
    CHECK_EQ(got[i], 77);
    got[i] = 0;
    for (int w = 2; w < WORDS; w++) CHECK_EQ(mine[w], i * WORDS + w);
    if (ex_roll(2)) gos_gosched();
  }
  CHECK_EQ(gos_chan_recv(gate, NULL), GOS_CLOSED); /* until nobody touches it any more */
  for (int w = 2; w < WORDS; w++) CHECK_EQ(mine[w], i * WORDS + w);
  CHECK_EQ(mine[0] - i * WORDS, 2);
}
static void freezes(void *u) {
  (void)u;
  for (uint32_t k = 1 + ex_roll(4); k > 0; k--) {
    CHECK(gos_freeze(0) >= 0);
    ex_roll(2) ? ex_spin() : gos_gosched();
  }
}
static void touches(void *u) {
  (void)u;
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < LENDERS; i++) {
      while (!lent[i]) ex_spin(), gos_gosched();
      touch(&lent[i][3], false);
      CHECK_EQ(lent[i][3], i * WORDS + 3);
      ex_point();
      touch(&lent[i][0], true);
      lent[i][0]++;
      ex_point();
    }
}
static void lend_and_touch(void) {
  team t = {0}, others = {0};
  long v = 77;
  c = gos_chan_make(sizeof(long), 0), gate = gos_chan_make(0, 0);
  for (intptr_t i = 0; i < LENDERS; i++) team_go(&t, lends, (void *)i);
  int cold = ex_thread(freezes, NULL), warm = ex_roll(2) ? ex_thread(touches, NULL) : 0;
  if (!warm) team_go(&others, touches, NULL);
  if (ex_roll(2)) team_go(&others, freezes, NULL);
  for (int i = 0; i < 2 * LENDERS; i++) CHECK_EQ(gos_chan_send(c, &v), GOS_OK);
  if (warm) ex_join(warm);
  team_wait(&others);
  ex_join(cold);
  CHECK_EQ(gos_chan_close(gate), GOS_OK);
  team_wait(&t);
  gos_stats s;
  CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
  CHECK_EQ(s.frozen, 0);
  CHECK_EQ(s.frozen_bytes, 0);
}
SCENARIO(freeze, 3, 0) { lend_and_touch(); }

/* ---- the monitor's freezing, with a second's age ---------------------------------------------------------- */
static void sleeps_long(void *u) {
  long mine[WORDS];
  for (int k = 0; k < WORDS; k++) mine[k] = 100 + k;
  lent[0] = mine;
  __asm__ volatile("" ::: "memory");
  CHECK_EQ(gos_sleep(2500000000), GOS_OK);
  for (int k = 0; k < WORDS; k++) CHECK_EQ(mine[k], 100 + k);
  CHECK_EQ(gos_chan_recv(u, NULL), GOS_CLOSED);
}
SCENARIO(freeze_by_age, 2, EX_SYSMON | EX_BARE) {
  gos_config cfg = {
      .size = sizeof cfg, .maxprocs = 1 + (int)ex_roll(2), .seed = 1 + ex_roll(1000), .flags = GOS_FREEZE};
  CHECK_EQ(gos_init(&cfg), GOS_OK);
  gate = gos_chan_make(0, 0);
  gos_g *g = ex_go(sleeps_long, gate);
  CHECK_EQ(gos_sleep(1000000000 + (gos_ns)ex_roll(2000000000)), GOS_OK);
  touch(&lent[0][3], true);
  CHECK_EQ(lent[0][3], 103);
  CHECK_EQ(gos_chan_close(gate), GOS_OK);
  ex_finish(g);
}
