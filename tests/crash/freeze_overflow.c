// ctest: timeout=60
// ctest: not-in=address,thread
// ctest: env=GOSSAMER_FREEZE=age=0
// exit: SIGSEGV
// stderr: stack overflow in goroutine 3
/* A guard below a stack is no frozen page, not even below one that was frozen.
 * SPDX-License-Identifier: Apache-2.0 */
#include <gossamer.h>

static int deeper(volatile int *above) {
  volatile int here[64] = {*above};
  return here[0] + deeper(here) + here[1];
}
static void waits(void *c) { gos_chan_recv(c, 0); }
static void overflows(void *c) {
  volatile int start = 1;
  gos_chan_recv(c, 0);
  deeper(&start);
}

int main(void) {
  gos_chan *a = gos_chan_make(0, 0), *b = gos_chan_make(0, 0);
  gos_go(waits, a);
  gos_g *g = gos_go_opts(0, overflows, b, 0);
  gos_sleep(20000000);
  gos_freeze(0);
  gos_chan_close(b);
  gos_join(g, GOS_FOREVER);
  return 0;
}
