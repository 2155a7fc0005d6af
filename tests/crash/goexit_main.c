// ctest: not-in=arm64
// ctest: timeout=30
// exit: 2
// stderr: ^fatal error: no goroutines \(main called runtime\.Goexit\) - deadlock!
/* (qemu-user does not tell how many threads there are, so nothing is reported there.)
 * Main leaves by gos_goexit, the others finish their work, and then nobody is left.
 * SPDX-License-Identifier: Apache-2.0 */
#include <gossamer.h>

static void yields(void *arg) {
  for (int i = 0; i < 100; i++) gos_gosched();
  (void)arg;
}

int main(void) {
  for (int i = 0; i < 10; i++) gos_go(yields, 0);
  gos_goexit();
  return 0;
}
