// ctest: timeout=60
// ctest: not-in=address,thread
// ctest: env=GOSSAMER_FREEZE=age=0
// exit: SIGSEGV
/* Running what lies on a stack ends the process, it does not fault for ever.
 * SPDX-License-Identifier: Apache-2.0 */
#include <gossamer.h>
#include <string.h>

static char *code;
static void waits(void *c) {
  char mine[64];
  memset(code = mine, 0xc3, sizeof mine);
  gos_chan_recv(c, 0);
}

int main(void) {
  gos_chan *c = gos_chan_make(0, 0);
  void (*fn)(void);
  gos_go(waits, c);
  gos_sleep(20000000);
  gos_freeze(0);
  memcpy(&fn, &code, sizeof fn);
  fn();
  return 0;
}
