// ctest: timeout=30
// ctest: not-in=address,thread
// exit: SIGSEGV
/* A wild pointer in a goroutine is no stack overflow: the process dies of it as it always did, and the
 * handler the program had installed is still asked.
 * SPDX-License-Identifier: Apache-2.0 */
#include <gossamer.h>
#include <signal.h>
#include <unistd.h>

// stderr: the program's own handler
static void own(int sig) {
  (void)!write(2, "the program's own handler\n", 26);
  signal(sig, SIG_DFL);
}
static void wild(void *arg) { *(volatile int *)arg = 1; }

int main(void) {
  signal(SIGSEGV, own);
  gos_g *g = gos_go_opts(0, wild, (void *)64, 0);
  gos_join(g, GOS_FOREVER);
  return 0;
}
