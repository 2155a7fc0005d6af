/* Goroutines in known places, for a debugger to find. SPDX-License-Identifier: Apache-2.0 */
#include <gossamer.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static gos_chan *c;
static atomic_bool spinning;

#define NO_TAIL_CALL __asm__ volatile("" ::: "memory")
static __attribute__((noinline)) int deeper(int depth) {
  int e = depth ? deeper(depth - 1) : gos_chan_recv(c, NULL);
  NO_TAIL_CALL;
  return e;
}
static void waits(void *arg) {
  gos_set_name("waiter");
  gos_set_label("job", "7");
  deeper(*(int *)arg);
  NO_TAIL_CALL;
}
static void sleeps(void *arg) {
  (void)arg;
  gos_lock_os_thread();
  gos_sleep(3600000000000);
  NO_TAIL_CALL;
}
static void spins(void *arg) {
  (void)arg;
  for (;;) atomic_store(&spinning, true);
}
static int parked(const gos_info *i, void *n) {
  return *(int *)n += i->wait_reason && (!strcmp(i->wait_reason, "sleep") || !strcmp(i->wait_reason, "chan receive")),
         0;
}

int main(void) {
  int depth = 3, n = 0;
  gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 2});
  c = gos_chan_make(0, 0);
  gos_go(waits, &depth);
  gos_go(sleeps, NULL);
  gos_go(spins, NULL);
  while (n < 2 || !atomic_load(&spinning)) gos_gosched(), n = 0, gos_foreach(parked, &n);
  abort();
}
