// ctest: timeout=60
// ctest: not-in=address,thread,arm64
// ctest: env=GOMAXPROCS=1
// exit: SIGSEGV
// stderr: stack overflow in goroutine 19
/* Stacks that thaw together, as their goroutines are woken one after another, have their guards between them again.
 * (Under a sanitizer and an emulator nothing is frozen: freeze_refused.c.)
 * SPDX-License-Identifier: Apache-2.0 */
#include <gossamer.h>
#include <stdint.h>

enum { N = 40, ONE = 17 /* neither the first nor the last of those that thaw with it */ };
static gos_chan *gate, *then;
static int parked;

static int deeper(volatile int *above) {
  volatile int here[64] = {*above};
  if (here[0] == 0) return 0;
  return here[0] + deeper(here) + here[1];
}
static void waits(void *me) {
  volatile int start = 1;
  parked++;
  gos_chan_recv(gate, 0);
  gos_chan_recv(then, 0); /* all have been thawed */
  if ((intptr_t)me == ONE) deeper(&start);
}

int main(void) {
  gos_g *g[N];
  gos_stats s;
  gate = gos_chan_make(0, 0), then = gos_chan_make(0, 0);
  for (intptr_t i = 0; i < N; i++) g[i] = gos_go_opts(0, waits, (void *)i, 0);
  while (parked < N) gos_gosched();
  do gos_freeze(0), gos_stats_get(&s, sizeof s);
  while (s.frozen < N);
  gos_chan_close(gate);
  do gos_gosched(), gos_stats_get(&s, sizeof s);
  while (s.frozen > 0);
  gos_chan_close(then);
  gos_join(g[ONE], GOS_FOREVER);
  return 0;
}
