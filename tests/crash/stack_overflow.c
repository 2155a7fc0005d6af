// ctest: timeout=60
// ctest: not-in=address,thread
// exit: SIGSEGV
// stderr: stack overflow in goroutine [0-9]+
// stderr: created (at|by) .
/* Endless recursion in a goroutine ends at the guard below its stack, with a word about whose it was.
 * (The sanitizers have handlers of their own for the signal.)
 * SPDX-License-Identifier: Apache-2.0 */
#include <gossamer.h>

static int deeper(volatile int *above) {
  volatile int here[64] = {*above};
  return here[0] + deeper(here) + here[1];
}
static void overflows(void *arg) {
  volatile int start = 1;
  deeper(&start);
  (void)arg;
}

int main(void) {
  gos_g *g = gos_go_opts(0, overflows, 0, 0);
  gos_join(g, GOS_FOREVER);
  return 0;
}
