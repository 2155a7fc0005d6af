/* Timers: a domain for the ordinary Ps together, one for each realm. L3.
 * Public timers are in time/.
 *
 * Those due within the current grain of time (a millisecond) are in a 4-ary heap. Later ones only wait in
 * a wheel: LEVELS rings of 64 buckets, each bucket of a level as long as the whole ring below it; they move
 * down as their time comes near. So most timers, which are stopped before they fire, cost two list
 * operations, and the heap stays small enough for the cache (4-ary heap alone: 107 ns for create and stop
 * of one among a million, wheel: 54).
 *
 * Always true while the lock is free:
 *   - next is no later than the first timer is due, and GOS_FOREVER if there is none
 *   - a timer is in the heap if its grain is before base, else in the bucket that base and its grain say
 *   - the heap has room for all of them: moving never needs memory
 * Deadlines of waits (kind TIMER_WAIT) only claim and collect under the lock, so a removal
 * that takes the lock knows that its timer is not being fired. Others are fired after it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_TIMERS_H
#define GOSI_TIMERS_H

#include "base/lock.h"

typedef struct gosi_timers gosi_timers;
struct gosi_m;

enum gosi_timer_kind { TIMER_WAIT, TIMER_CALL };
enum { TIMER_OFF = -1, TIMER_IN_WHEEL = -2 }; /* of slot */

typedef struct gosi_timer {
  gos_ns when;
  int slot; /* in the heap, or one of the above */
  uint8_t kind, level, bucket;
  gosi_timers *home;
  struct gosi_timer *next, *prev; /* in its bucket */
  union {
    gos_g *g; /* TIMER_WAIT */
    struct {  /* TIMER_CALL */
      gos_ns period;
      /* Called without the lock by the domain's runner; seq as it was when due. */
      void (*fire)(struct gosi_m *m, struct gosi_timer *t, uint32_t seq, gos_ns now);
      uint32_t seq; /* of the arming that fires: a later stop or reset makes it stale */
      int firing;   /* fire is being called, so many times; the owner must not free it yet */
    };
  };
} gosi_timer;

enum { TIMER_LEVELS = 8, TIMER_BUCKETS = 64 };

typedef struct gosi_timer_at {
  gos_ns when; /* a copy: comparing does not touch the timers */
  gosi_timer *t;
} gosi_timer_at;

struct gosi_timers {
  gosi_lock lock;
  gos_ns next; /* also read without the lock */
  int n, cap;  /* timers in all, places in the heap */
  int nheap;
  gosi_timer_at *heap;
  uint64_t base; /* the first grain that is not in the heap */
  uint64_t used[TIMER_LEVELS];
  struct {
    gosi_timer *first;
    gos_ns least; /* no timer in it is due before */
  } wheel[TIMER_LEVELS][TIMER_BUCKETS];
};

void gosi_timers_init(gosi_timers *ts);
/* GOS_OK or GOS_NOMEM. */
int gosi_timer_add(gosi_timers *ts, gosi_timer *t, gos_ns when, gos_ns period);
/* True: it was armed and is not any more. After it, or its false, TIMER_WAIT timers are not
   being fired. */
bool gosi_timer_remove(gosi_timer *t);
/* Fires what is due. True: something was. */
bool gosi_timers_run(struct gosi_m *m, gosi_timers *ts, gos_ns now);
/* In a fork's child: none is armed any more. */
void gosi_timers_forget(gosi_timers *ts);
/* now + d, saturating. */
gos_ns gosi_deadline(gos_ns d);

#endif
