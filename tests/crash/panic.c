// ctest: timeout=30
// exit: 2
// stderr: ^panic: lost 3 keys of table
// stderr: ^goroutine [0-9]+ \[running\]:
// stderr: created by .* in goroutine 1
/* Nobody handles a panic: report and exit 2.
 * SPDX-License-Identifier: Apache-2.0 */
#include <gossamer.h>

static void panics(void *arg) { gos_panic("lost %d keys of %s", 3, (char *)arg); }

int main(void) {
  gos_go(panics, "table");
  gos_sleep(20000000000);
  return 0;
}
