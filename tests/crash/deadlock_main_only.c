// ctest: not-in=arm64
// ctest: timeout=30
// exit: 2
// stderr: ^fatal error: all goroutines are asleep - deadlock!
// stderr: ^goroutine 1 \[chan receive \(nil chan\)\]:
/* (qemu-user does not tell how many threads there are, so nothing is reported there.)
 * Main alone waits for nothing.
 * SPDX-License-Identifier: Apache-2.0 */
#include <gossamer.h>

int main(void) {
  gos_chan_recv(0, 0);
  return 0;
}
