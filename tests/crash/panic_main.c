// ctest: timeout=30
// exit: 2
// stderr: ^panic: main gives up
// stderr: ^goroutine 1 \[running\]:
/* The same in the main goroutine.
 * SPDX-License-Identifier: Apache-2.0 */
#include <gossamer.h>

static int gives_up(int argc, char **argv) {
  (void)argv;
  gos_panic("main gives up");
  return argc;
}
int main(int argc, char **argv) { return gos_main(gives_up, argc, argv); }
