// ctest: timeout=30
// ctest: not-in=thread
// exit: 2
// stderr: ^SIGQUIT: quit
// stderr: ^goroutine 1 \[sleep\]:
// stderr: ^goroutine [0-9]+ \(waiter\) \[chan receive(, frozen)?\] \{job:"7"\}:
// stderr: ^goroutine [0-9]+ \[running\]:
// stderr: ^	created by .* in goroutine 1
/* SIGQUIT prints every goroutine, those that compute too, and exits 2. (ThreadSanitizer keeps signals back from
 * threads that sleep on a futex.)
 * SPDX-License-Identifier: Apache-2.0 */
#include <gossamer.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static void waits(void *c) {
  gos_set_name("waiter");
  gos_set_label("job", "7");
  gos_chan_recv(c, NULL);
}
static void quits(void *g) {
  gos_info i = {0};
  do gos_info_get(g, &i, sizeof i);
  while (!i.wait_reason);
  kill(getpid(), SIGQUIT);
  for (volatile int n = 0;; n++) {}
}

int main(void) {
  gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 2, .flags = GOS_DUMP_ON_SIGQUIT});
  gos_g *g = gos_go_opts(NULL, waits, gos_chan_make(0, 0), NULL);
  gos_go(quits, g);
  gos_sleep(20000000000);
  return 0;
}
