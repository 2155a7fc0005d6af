/* What the runtime asks of the operating system, answered by the explorer.
 * SPDX-License-Identifier: Apache-2.0 */
#include "os/os.h"
#include "explore.h"

void gosi_os_init(void) {}
gos_ns gosi_os_now(void) { return ex_now(); }
uint64_t gosi_os_random(void) { return ex_roll(UINT32_MAX) | 1; }
int gosi_os_cpus(void) { return 2; }
int gosi_os_thread_count(void) { return ex_thread_count(); }
bool gosi_os_secure(void) { return true; }

char *gosi_os_reserve(size_t n) { return ex_reserve(n); }
void gosi_os_unmap(char *p, size_t n) { (void)p, (void)n; }
int gosi_os_guard(char *p, size_t n) {
  (void)p, (void)n;
  return GOS_OK;
}
void gosi_os_discard(char *p, size_t n) { (void)p, (void)n; }

int gosi_os_wait(uint32_t *word, uint32_t seen, gos_ns deadline) { return ex_wait(word, seen, deadline); }
void gosi_os_wake(uint32_t *word) { ex_wake(word); }
void gosi_os_nap(gos_ns d) { ex_nap(d); }

int gosi_os_thread(void *(*fn)(void *), void *arg, size_t stack) {
  (void)stack;
  return ex_core_thread(fn, arg);
}
void gosi_os_stack_bounds(char **lo, char **hi) { *lo = *hi = NULL; }
void gosi_os_name_thread(const char *name) { (void)name; }
void gosi_os_precise_timers(void) {}
bool gosi_os_barrier_all(void) {
  ex_point(); /* interleavings are sequentially consistent: only its place matters */
  return true;
}
void gosi_os_alt_stack(void) {}
