/* Timers: a 4-ary heap a domain (the ordinary Ps together; each realm). L3.
 * Public timers are in time/.
 *
 * Always true while the lock is free: when of the root is the least and stands in next;
 * t->slot is t's place in the heap, or -1.
 * Deadlines of waits (kind TIMER_WAIT) only claim and collect under the lock, so a removal
 * that takes the lock knows that its timer is not being fired. Others are fired after it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_TIMERS_H
#define GOSI_TIMERS_H

#include "base/lock.h"

typedef struct gosi_timers gosi_timers;
struct gosi_m;

enum gosi_timer_kind { TIMER_WAIT, TIMER_CALL };

typedef struct gosi_timer {
  gos_ns when, period;
  int slot; /* in the heap, -1: not armed */
  uint8_t kind;
  uint32_t seq; /* of the arming that fires: a later stop or reset makes it stale */
  gosi_timers *home;
  /* TIMER_CALL: called without the lock by the domain's runner; seq as it was when due. */
  void (*fire)(struct gosi_m *m, struct gosi_timer *t, uint32_t seq, gos_ns now);
  int firing; /* fire is being called, so many times; the owner must not free it yet */
  gos_g *g;   /* TIMER_WAIT */
} gosi_timer;

struct gosi_timers {
  gosi_lock lock;
  gos_ns next; /* of the root, GOS_FOREVER: none; also read without the lock */
  gosi_timer **heap;
  int n, cap;
};

void gosi_timers_init(gosi_timers *ts);
/* GOS_OK or GOS_NOMEM. */
int gosi_timer_add(gosi_timers *ts, gosi_timer *t, gos_ns when, gos_ns period);
/* True: it was armed and is not any more. After it, or its false, TIMER_WAIT timers are not
   being fired. */
bool gosi_timer_remove(gosi_timer *t);
/* Fires what is due. True: something was. */
bool gosi_timers_run(struct gosi_m *m, gosi_timers *ts, gos_ns now);
/* now + d, saturating. */
gos_ns gosi_deadline(gos_ns d);

#endif
