/* The scheduler's side of the netpoller: who looks at the file descriptors, and when. L3.
 *
 * Threads that run goroutines look without waiting, every 64 switches and before they look for
 * work elsewhere. Of the threads that have nothing to do, one at a time sleeps in the poller
 * instead of on its futex. The monitor looks when nobody has done so for 10 ms, and then wakes a
 * thread that has nothing to do, to sleep in the poller from there on.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sched/sched.h"

enum { UNWATCHED = 10000000 };

void gosi_poll_now(gosi_m *m) {
  gosi_store(&gosi_rt.polls, gosi_load(&gosi_rt.polls) + 1);
  gos_g *ready = gosi_rt.netpoll.poll(0, NULL);
  if (ready) gosi_ready_list(m, ready);
}

int gosi_m_wait(gosi_m *m, gos_ns until, gos_g **ready) {
  *ready = NULL;
  if (!gosi_load_acquire(&gosi_rt.nfds) || !gosi_cas(&gosi_rt.poller, (gosi_m *)NULL, m))
    return gosi_os_wait(&m->wake, 0, until);
  gosi_fence(); /* pairs with the one in gosi_m_wake: it sees the poller, or we see that we are woken */
  int why = GOS_OK;
  if (!gosi_load_seq(&m->wake)) *ready = gosi_rt.netpoll.poll(until, &why);
  gosi_store_seq(&gosi_rt.poller, (gosi_m *)NULL);
  return why;
}

void gosi_m_wake(gosi_m *m) {
  gosi_store_seq(&m->wake, 1u); /* pairs with the loads of whoever sleeps; m may be gone from here on */
  gosi_fence();                 /* pairs with the one in gosi_m_wait */
  if (gosi_load_seq(&gosi_rt.poller) == m)
    gosi_rt.netpoll.interrupt();
  else
    gosi_os_wake(&m->wake);
}

bool gosi_poll_vacant(void) {
  return gosi_load_acquire(&gosi_rt.nfds) && !gosi_load(&gosi_rt.poller) && gosi_rt.netpoll.waits();
}

void gosi_poll_sysmon(gos_ns now) {
  static gosi_m monitor; /* it runs no goroutines */
  static uint32_t seen;
  static gos_ns since;
  uint32_t polls = gosi_load(&gosi_rt.polls);
  if (polls != seen || gosi_load(&gosi_rt.poller)) {
    seen = polls;
    since = now;
  } else if (now - since >= UNWATCHED) {
    since = now;
    gosi_poll_now(&monitor);
    gosi_m_nudge();
  }
}
