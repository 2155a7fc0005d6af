// ctest: timeout=30
// ctest: not-in=thread
// exit: 2
// stderr: ^SIGQUIT: quit
// stderr: ^goroutine 1 \[running\]:
/* The dump on SIGQUIT may be asked for while the program runs. (Not under ThreadSanitizer, as sigquit.c.)
 * SPDX-License-Identifier: Apache-2.0 */
#include <gossamer.h>
#include <signal.h>
#include <unistd.h>

int main(void) {
  gos_gosched(); /* the runtime runs */
  gos_dump_on_sigquit();
  kill(getpid(), SIGQUIT);
  for (volatile int n = 0;; n++) {}
}
