/* Timers and tickers that people see. L4.
 *
 * Go 1.23's rules: after stop or reset no earlier tick is received, and the channel looks
 * unbuffered. Every stop and reset raises seq under the channel's lock and empties the
 * channel; a firing that finds another seq than it started with sends nothing.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "chan/chan.h"
#include "gossamer/host.h"

/* Lies behind its channel, in one block; after_func has no channel. */
struct gos_timer {
  gosi_timer t;
  gos_chan *c;    /* NULL: after_func */
  bool ticks;     /* again and again; fixed at birth */
  gosi_lock lock; /* where there is no channel, whose lock does the same: guards arming, and the next two */
  gos_ns last;    /* tick sent */
  bool live;      /* armed, and neither fired nor stopped since */
  gos_realm *realm;
  void (*fn)(void *);
  void *arg;
};

static gosi_timers *domain(gos_timer *t) { return t->realm ? gosi_realm_timers(t->realm) : &gosi_rt.timers; }

static void lock(gos_timer *t) {
  if (t->c)
    gosi_chan_lock(t->c);
  else
    gosi_lock_take(&t->lock);
}
static void unlock(gos_timer *t) {
  if (t->c)
    gosi_chan_unlock(t->c);
  else
    gosi_lock_drop(&t->lock);
}

static void fire_tick(gosi_m *m, gosi_timer *inner, uint32_t seq, gos_ns now) {
  gos_timer *t = (gos_timer *)inner;
  gosi_waiter *wake = NULL;
  gosi_chan_lock(t->c);
  /* A slow receiver drops ticks. */
  if (gosi_load(&inner->seq) == seq && (now > t->last || !t->ticks)) { /* else a held up thread, after a later tick */
    t->last = now;
    t->live = t->ticks;
    gosi_chan_try_send_locked(t->c, &now, &wake);
  }
  gosi_chan_unlock(t->c);
  if (wake) gosi_chan_ready(m, t->c, wake->g);
}

static void fire_func(gosi_m *m, gosi_timer *inner, uint32_t seq, gos_ns now) {
  gos_timer *t = (gos_timer *)inner;
  int e;
  (void)seq;
  if (t->realm)
    e = gos_realm_go(t->realm, NULL, 0, t->fn, t->arg, NULL);
  else
    e = gosi_spawn(m, NULL, t->fn, t->arg, NULL, NULL);
  if (!e) return;
  /* Full now, perhaps not in a moment: a call that was promised is not lost. It joins one of a reset meanwhile. */
  lock(t);
  if (gosi_load(&inner->slot) == TIMER_OFF) gosi_timer_add(domain(t), inner, now + 1000000, 0);
  unlock(t);
}

enum { BEHIND = 16 }; /* the ring's one time, and what aligns a timer */

static gos_timer *room_for_timer(gos_realm *realm, bool with_channel) {
  if (!with_channel) return gosi_alloc(sizeof(gos_timer));
  gos_chan *c = gosi_chan_new_with(realm, sizeof(gos_ns), 1, BEHIND - sizeof(gos_ns) + sizeof(gos_timer));
  if (!c) return NULL;
  gos_timer *t = (gos_timer *)(void *)(c->ring + BEHIND);
  t->c = c;
  c->ticks = t->live = true;
  return t;
}
static void give_room(gos_timer *t) {
  if (t->c)
    gos_chan_release(t->c);
  else
    gosi_free(t);
}

static gos_timer *timer_new(gos_realm *realm, gos_ns d, gos_ns period, void (*fn)(void *), void *arg) {
  gos_timer *t = room_for_timer(realm, !fn);
  if (!t) return NULL;
  t->realm = realm;
  t->ticks = period > 0;
  t->fn = fn;
  t->arg = arg;
  t->t.kind = TIMER_CALL;
  t->t.slot = TIMER_OFF;
  t->t.fire = fn ? fire_func : fire_tick;
  if (gosi_timer_add(domain(t), &t->t, gosi_deadline(d), period)) {
    give_room(t);
    return NULL;
  }
  return t;
}

static gos_timer *timer_enter(gos_ns d, gos_ns period, void (*fn)(void *), void *arg) {
  if (gosi_cannot_enter()) return NULL;
  gosi_m *m = gosi_enter();
  gos_timer *t = timer_new(NULL, d, period, fn, arg);
  gosi_leave_m(m);
  return t;
}

gos_timer *gos_timer_new(gos_ns d) { return timer_enter(d, 0, NULL, NULL); }
gos_timer *gos_ticker_new(gos_ns d) { return d > 0 ? timer_enter(d, d, NULL, NULL) : NULL; }
gos_timer *gos_after_func(gos_ns d, void (*f)(void *), void *arg) { return f ? timer_enter(d, 0, f, arg) : NULL; }
gos_timer *gos_realm_timer(gos_realm *r, gos_ns d, gos_ns period) { return timer_new(r, d, period, NULL, NULL); }
gos_timer *gos_realm_after_func(gos_realm *r, gos_ns d, void (*fn)(void *), void *arg) {
  return fn ? timer_new(r, d, 0, fn, arg) : NULL;
}

gos_chan *gos_timer_c(gos_timer *t) { return t ? t->c : NULL; }

/* Disarms t and, if when is a time, arms it again. 1: it was pending, or its tick unreceived. */
static int rearm(gos_timer *t, gos_ns when, gos_ns period) {
  int pending, e = GOS_OK;
  lock(t);
  pending = gosi_timer_remove(&t->t); /* first: a firing that starts before it has the old seq */
  if (t->c) pending = t->live;        /* a firing under way that will find itself stale has not fired */
  t->live = when != GOS_FOREVER;
  gosi_store(&t->t.seq, t->t.seq + 1); /* by nobody else; ordered by the timers' lock, or ours */
  if (t->c && t->c->count) {
    gosi_ring_out(t->c, NULL);
    pending = 1;
  }
  if (when != GOS_FOREVER && (e = gosi_timer_add(domain(t), &t->t, when, period))) t->live = false;
  unlock(t);
  return e ? e : pending;
}

int gos_timer_stop(gos_timer *t) {
  if (!t) return GOS_INVAL;
  gosi_m *m = gosi_enter();
  int r = rearm(t, GOS_FOREVER, 0);
  gosi_leave_m(m);
  return r;
}

int gos_timer_reset(gos_timer *t, gos_ns d) {
  if (!t || (t->ticks && d <= 0)) return GOS_INVAL;
  if (gosi_cannot_enter()) return GOS_NOMEM;
  gosi_m *m = gosi_enter();
  int r = rearm(t, gosi_deadline(d), t->ticks ? d : 0);
  gosi_leave_m(m);
  return r;
}

/* It is not armed: until nobody fires it any more. */
static void timer_end(gos_timer *t) {
  while (gosi_load_acquire(&t->t.firing)) gosi_pause(); /* a send that never waits is under way */
  gosi_hb_after(&t->t);
  if (t->fn) gosi_timer_remove(&t->t); /* a call that could not start had come back */
}
static void timer_drop(void *arg) { /* of gos_after: its channel ends */
  gos_timer *t = arg;
  gosi_timer_remove(&t->t);
  timer_end(t);
}

void gos_timer_free(gos_timer *t) {
  if (!t) return;
  gosi_m *m = gosi_enter();
  rearm(t, GOS_FOREVER, 0);
  timer_end(t);
  gosi_leave_m(m);
  give_room(t);
}

gos_chan *gos_after(gos_ns d) {
  gos_timer *t = gos_timer_new(d);
  if (!t) return NULL;
  t->c->on_free = timer_drop; /* the timer goes with its channel */
  t->c->on_free_u = t;
  return t->c;
}
