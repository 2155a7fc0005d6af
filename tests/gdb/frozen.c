/* A frozen goroutine, for a debugger to find. SPDX-License-Identifier: Apache-2.0 */
#include <gossamer.h>
#include <stdlib.h>

static gos_chan *c;
static __attribute__((noinline)) void waits(void *arg) {
  gos_chan_recv(c, arg);
  __asm__ volatile("" ::: "memory");
}

int main(void) {
  gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 1});
  c = gos_chan_make(0, 0);
  gos_go(waits, NULL);
  int n = 0;
  while (n == 0) gos_gosched(), n = gos_freeze(0);
  if (n < 0) exit(0); /* it cannot be had here */
  abort();
}
