// ctest: not-in=arm64
// ctest: timeout=30
// exit: 2
// stderr: ^fatal error: all goroutines are asleep - deadlock!
// stderr: ^goroutine 1 \[chan receive\]:
// stderr: ^goroutine [0-9]+ \[chan send(, frozen)?\]:
// stderr: ^goroutine [0-9]+ \[select(, frozen)?\]:
// stderr: ^goroutine [0-9]+ \[chan receive \(nil chan\)(, frozen)?\]:
// stderr: ^goroutine [0-9]+ \[sync\.Mutex\.Lock(, frozen)?\]:
// stderr: ^goroutine [0-9]+ \[sync\.WaitGroup\.Wait(, frozen)?\]:
// stderr: created by .* in goroutine 1
/* (qemu-user does not tell how many threads there are, so nothing is reported there.)
 * Everybody waits for ever: the report names each, why it waits and who created it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <gossamer.h>

static gos_chan *a, *b;
static gos_mutex mu;
static gos_waitgroup wg;

static void sends(void *arg) { gos_chan_send(a, arg); }
static void selects(void *arg) { (void)arg, gos_select((gos_case[]){GOS_RECV(b, 0), GOS_SEND(0, 0)}, 2, GOS_FOREVER); }
static void nil(void *arg) { gos_chan_recv(0, arg); }
static void locks(void *arg) { (void)arg, gos_mutex_lock(&mu); }
static void waits(void *arg) { (void)arg, gos_waitgroup_wait(&wg); }

int main(void) {
  static void (*const fns[])(void *) = {sends, selects, nil, locks, waits};
  a = gos_chan_make(0, 0), b = gos_chan_make(0, 0);
  gos_mutex_lock(&mu);
  gos_waitgroup_add(&wg, 1);
  for (int i = 0; i < 5; i++) gos_go(fns[i], 0);
  gos_chan_recv(b, 0);
  return 0;
}
