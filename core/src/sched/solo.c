/* One P, and nothing but its goroutines: then owning the P is the lock. L3.
 *
 * While gosi_solo is set, only the thread that has the P is inside the runtime. It does without the
 * locks and the compare-and-swaps of channels, waits, timers and locks; half the time of a channel
 * operation. It is set at the start, for GOMAXPROCS=1, and ends for good when somebody else may come in:
 * a foreign thread, a host's realm, a second P, a watched file descriptor.
 *
 * Who ends it stores 0, sends a barrier to all threads, and waits until the P's thread has been seen
 * outside. That thread looks at the flag after it has noted that it is inside (gosi_enter),
 * so it either sees the 0 or is waited for. A lock that was not taken while the flag was set may be
 * dropped after it is 0: it is free, and nobody else has come in yet.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sched/sched.h"

uint32_t gosi_solo;

void gosi_solo_end(void) {
  static gosi_lock one; /* the second one, too, must not return before the thread is outside */
  gosi_m *self = gosi_tls_m;
  if (likely(!gosi_load(&gosi_solo)) && !gosi_load(&one.word)) return;
  if (self && !self->foreign && !self->realm) { /* inside it has the P, so nobody else is there */
    bool outside = gosi_load(&self->in_rt) != M_INSIDE;
    if (outside) gosi_enter();
    gosi_exchange(&gosi_solo, 0u);
    if (outside) gosi_leave();
    return;
  }
  gosi_lock_take(&one);
  if (gosi_exchange(&gosi_solo, 0u)) {
    gosi_os_barrier_all();
    gosi_m *m = gosi_load_acquire(&gosi_rt.ps[0].m);
    while (m && gosi_load_acquire(&gosi_rt.ps[0].m) == m && gosi_load_acquire(&m->in_rt) == M_INSIDE) gosi_pause();
  }
  gosi_lock_drop(&one);
}
