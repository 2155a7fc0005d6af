/* The timer heap. L3. SPDX-License-Identifier: Apache-2.0 */
#include "sched/timers.h"
#include <stdlib.h>
#include "sched/sched.h"

enum { ARY = 4, BATCH = 64 };

void gosi_timers_init(gosi_timers *ts) { *ts = (gosi_timers){.next = GOS_FOREVER}; }

gos_ns gosi_deadline(gos_ns d) {
  gos_ns now = gosi_os_now();
  if (d <= 0) return now;
  return d > INT64_MAX - now ? GOS_FOREVER : now + d;
}

static void place(gosi_timers *ts, int i, gosi_timer *t) {
  ts->heap[i] = t;
  gosi_store(&t->slot, i);
}
static void up(gosi_timers *ts, int i, gosi_timer *t) {
  for (int q; i > 0 && ts->heap[q = (i - 1) / ARY]->when > t->when; i = q) place(ts, i, ts->heap[q]);
  place(ts, i, t);
}
static void down(gosi_timers *ts, int i, gosi_timer *t) {
  for (;;) {
    int first = i * ARY + 1, end = first + ARY, least = first;
    if (first >= ts->n) break;
    if (end > ts->n) end = ts->n;
    for (int j = first + 1; j < end; j++)
      if (ts->heap[j]->when < ts->heap[least]->when) least = j;
    if (ts->heap[least]->when >= t->when) break;
    place(ts, i, ts->heap[least]);
    i = least;
  }
  place(ts, i, t);
}
static void note_next(gosi_timers *ts) { gosi_store(&ts->next, ts->n ? ts->heap[0]->when : GOS_FOREVER); }

static void take_out_locked(gosi_timers *ts, gosi_timer *t) {
  int i = t->slot;
  gosi_store(&t->slot, -1);
  gosi_timer *last = ts->heap[--ts->n];
  if (last == t) return;
  if (i > 0 && ts->heap[(i - 1) / ARY]->when > last->when)
    up(ts, i, last);
  else
    down(ts, i, last);
}

static bool grow_locked(gosi_timers *ts) {
  int cap = ts->cap ? ts->cap * 2 : 64;
  gosi_timer **h = realloc(ts->heap, (size_t)cap * sizeof *h);
  if (!h) return false;
  ts->heap = h;
  ts->cap = cap;
  return true;
}

int gosi_timer_add(gosi_timers *ts, gosi_timer *t, gos_ns when, gos_ns period) {
  gosi_hb_before(t);
  gosi_lock_take(&ts->lock);
  if (ts->n == ts->cap && !grow_locked(ts)) {
    gosi_lock_drop(&ts->lock);
    return GOS_NOMEM;
  }
  t->home = ts;
  t->when = when;
  t->period = period;
  up(ts, ts->n++, t);
  bool first = t->slot == 0;
  note_next(ts);
  gosi_lock_drop(&ts->lock);
  if (first && ts == &gosi_rt.timers)
    gosi_timers_changed(when);
  else if (first)
    gosi_realm_timer_first(ts);
  return GOS_OK;
}

bool gosi_timer_remove(gosi_timer *t) {
  gosi_timers *ts = t->home;
  if (!ts) return false;
  gosi_lock_take(&ts->lock);
  bool armed = t->slot >= 0;
  if (armed) {
    take_out_locked(ts, t);
    note_next(ts);
  }
  gosi_lock_drop(&ts->lock);
  return armed;
}

/* The next tick after now, in step with the first one; ticks missed are dropped. */
static gos_ns next_tick(const gosi_timer *t, gos_ns now) {
  gos_ns late = now - t->when, step = late / t->period * t->period;
  return t->when > INT64_MAX - step - t->period ? GOS_FOREVER - 1 : t->when + step + t->period;
}

bool gosi_timers_run(gosi_m *m, gosi_timers *ts, gos_ns now) {
  bool any = false;
  if (gosi_load(&ts->next) > now) return false;
  for (bool more = true; more;) {
    gos_g *ready = NULL, **tail = &ready;
    struct {
      gosi_timer *t;
      uint32_t seq;
    } call[BATCH];
    int n = 0;
    gosi_lock_take(&ts->lock);
    while (ts->n && ts->heap[0]->when <= now && n < BATCH) {
      gosi_timer *t = ts->heap[0];
      take_out_locked(ts, t);
      any = true;
      if (t->kind == TIMER_WAIT) {
        gos_g *g = t->g;
        if (!gosi_cas(&g->claim, 0u, 1u)) continue;
        g->result = GOS_TIMEDOUT;
        *tail = g;
        tail = &g->next;
        continue;
      }
      if (t->period > 0) {
        t->when = next_tick(t, now);
        up(ts, ts->n++, t);
      }
      gosi_add(&t->firing, 1);
      call[n].t = t;
      call[n++].seq = gosi_load(&t->seq);
    }
    more = ts->n && ts->heap[0]->when <= now;
    note_next(ts);
    gosi_lock_drop(&ts->lock);
    *tail = NULL;
    if (ready) gosi_ready_list(m, ready);
    for (int i = 0; i < n; i++) {
      gosi_hb_after(call[i].t);
      call[i].t->fire(m, call[i].t, call[i].seq, now);
      gosi_hb_before(call[i].t);
      gosi_sub(&call[i].t->firing, 1);
    }
  }
  return any;
}
