/* Heap and wheel. L3. SPDX-License-Identifier: Apache-2.0 */
#include "sched/timers.h"
#include <stdlib.h>
#include <string.h>
#include "sched/sched.h"

/* GRAIN: 2^20 ns. All 63 bits of a time are 20 + 8 levels of 6. */
enum { ARY = 4, BATCH = 64, GRAIN = 20, BITS = 6 };

void gosi_timers_init(gosi_timers *ts) {
  memset(ts, 0, sizeof *ts);
  ts->next = GOS_FOREVER;
}

gos_ns gosi_deadline(gos_ns d) {
  gos_ns now = gosi_os_now();
  if (d <= 0) return now;
  return d > INT64_MAX - now ? GOS_FOREVER : now + d;
}

/* ---- the heap ------------------------------------------------------------------------------ */
static void place(gosi_timers *ts, int i, gosi_timer_at e) {
  ts->heap[i] = e;
  gosi_store(&e.t->slot, i);
}
static void up(gosi_timers *ts, int i, gosi_timer_at e) {
  for (int q; i > 0 && ts->heap[q = (i - 1) / ARY].when > e.when; i = q) place(ts, i, ts->heap[q]);
  place(ts, i, e);
}
static void down(gosi_timers *ts, int i, gosi_timer_at e) {
  for (;;) {
    int first = i * ARY + 1, end = first + ARY, least = first;
    if (first >= ts->nheap) break;
    if (end > ts->nheap) end = ts->nheap;
    for (int j = first + 1; j < end; j++)
      if (ts->heap[j].when < ts->heap[least].when) least = j;
    if (ts->heap[least].when >= e.when) break;
    place(ts, i, ts->heap[least]);
    i = least;
  }
  place(ts, i, e);
}
static void heap_in(gosi_timers *ts, gosi_timer *t) { up(ts, ts->nheap++, (gosi_timer_at){t->when, t}); }
static void heap_out(gosi_timers *ts, gosi_timer *t) {
  int i = t->slot;
  gosi_timer_at last = ts->heap[--ts->nheap];
  if (last.t == t) return;
  if (i > 0 && ts->heap[(i - 1) / ARY].when > last.when)
    up(ts, i, last);
  else
    down(ts, i, last);
}

/* ---- the wheel ------------------------------------------------------------------------------- */
static uint64_t grain_of(gos_ns when) { return when > 0 ? (uint64_t)when >> GRAIN : 0; }

/* The level is the highest digit, in base 64, where its grain and base differ. */
static void wheel_in(gosi_timers *ts, gosi_timer *t, uint64_t grain) {
  uint64_t differ = grain ^ ts->base;
  int level = differ ? (63 - __builtin_clzll(differ)) / BITS : 0;
  unsigned b = (unsigned)(grain >> (level * BITS)) % TIMER_BUCKETS;
  t->level = (uint8_t)level;
  t->bucket = (uint8_t)b;
  t->prev = NULL;
  t->next = ts->wheel[level][b].first;
  if (t->next) t->next->prev = t;
  if (!t->next || t->when < ts->wheel[level][b].least) ts->wheel[level][b].least = t->when;
  ts->wheel[level][b].first = t;
  ts->used[level] |= UINT64_C(1) << b;
  gosi_store(&t->slot, TIMER_IN_WHEEL);
}
static void wheel_out(gosi_timers *ts, gosi_timer *t) {
  if (t->next) t->next->prev = t->prev;
  if (t->prev)
    t->prev->next = t->next;
  else if (!(ts->wheel[t->level][t->bucket].first = t->next))
    ts->used[t->level] &= ~(UINT64_C(1) << t->bucket);
}

static void in(gosi_timers *ts, gosi_timer *t) {
  uint64_t grain = grain_of(t->when);
  if (grain < ts->base)
    heap_in(ts, t);
  else
    wheel_in(ts, t, grain);
}

/* The first bucket that is used, and the grain it begins with. False: none. */
static bool first_bucket(gosi_timers *ts, int *level, unsigned *b, uint64_t *grain) {
  for (int l = 0; l < TIMER_LEVELS; l++) {
    unsigned digit = (unsigned)(ts->base >> (l * BITS)) % TIMER_BUCKETS;
    uint64_t later = ts->used[l] >> digit << digit;
    if (!later) continue;
    *level = l;
    *b = (unsigned)__builtin_ctzll(later);
    *grain = ((ts->base >> (l * BITS)) - digit + *b) << (l * BITS);
    return true;
  }
  return false;
}

/* Its timers go where they belong by now. */
static void empty(gosi_timers *ts, int level, unsigned b) {
  gosi_timer *t = ts->wheel[level][b].first;
  ts->wheel[level][b].first = NULL;
  ts->used[level] &= ~(UINT64_C(1) << b);
  for (gosi_timer *next; t; t = next) {
    next = t->next;
    in(ts, t);
  }
}

/* Everything due before grain `to` goes to the heap; what comes near goes down. */
static void advance(gosi_timers *ts, uint64_t to) {
  int level;
  unsigned b;
  uint64_t begin;
  while (ts->base < to && first_bucket(ts, &level, &b, &begin) && begin < to) {
    if (begin > ts->base) ts->base = begin;
    if (level == 0) ts->base++;
    empty(ts, level, b);
  }
  if (ts->base < to) ts->base = to;
  /* A bucket that base has come to is no longer where its timers belong. */
  while (first_bucket(ts, &level, &b, &begin) && level > 0 && begin <= ts->base) empty(ts, level, b);
}

static void note_next(gosi_timers *ts) {
  int level;
  unsigned b;
  uint64_t begin;
  gos_ns next = GOS_FOREVER;
  if (ts->nheap)
    next = ts->heap[0].when;
  else if (ts->n && first_bucket(ts, &level, &b, &begin)) /* none at all is soon seen */
    next = ts->wheel[level][b].least;
  gosi_store(&ts->next, next);
}

/* ---- arming ------------------------------------------------------------------------------------- */
static void take_out_locked(gosi_timers *ts, gosi_timer *t) {
  if (t->slot >= 0)
    heap_out(ts, t);
  else
    wheel_out(ts, t);
  gosi_store(&t->slot, TIMER_OFF);
  ts->n--;
}

static bool grow_locked(gosi_timers *ts) {
  int cap = ts->cap ? ts->cap * 2 : 64;
  gosi_timer_at *h = realloc(ts->heap, (size_t)cap * sizeof *h);
  if (!h) return false;
  ts->heap = h;
  ts->cap = cap;
  return true;
}

int gosi_timer_add(gosi_timers *ts, gosi_timer *t, gos_ns when, gos_ns period) {
  gosi_hb_before(t);
  gosi_guard_take(&ts->lock);
  if (ts->n == ts->cap && !grow_locked(ts)) {
    gosi_guard_drop(&ts->lock);
    return GOS_NOMEM;
  }
  ts->n++;
  t->home = ts;
  t->when = when;
  if (t->kind == TIMER_CALL) t->period = period;
  in(ts, t);
  bool first = when < ts->next;
  if (first) gosi_store(&ts->next, when);
  gosi_guard_drop(&ts->lock);
  if (first && ts == &gosi_rt.timers)
    gosi_timers_changed(when);
  else if (first)
    gosi_realm_timer_first(ts);
  return GOS_OK;
}

bool gosi_timer_remove(gosi_timer *t) {
  gosi_timers *ts = t->home;
  if (!ts) return false;
  gosi_guard_take(&ts->lock);
  bool armed = t->slot != TIMER_OFF;
  if (armed) {
    bool first = t->when <= ts->next;
    take_out_locked(ts, t);
    if (first) note_next(ts);
  }
  gosi_guard_drop(&ts->lock);
  return armed;
}

void gosi_timers_forget(gosi_timers *ts) {
  for (int i = 0; i < ts->nheap; i++) ts->heap[i].t->slot = TIMER_OFF;
  for (int l = 0; l < TIMER_LEVELS; l++)
    for (int b = 0; b < TIMER_BUCKETS; b++)
      for (gosi_timer *t = ts->wheel[l][b].first; t; t = t->next) t->slot = TIMER_OFF;
  gosi_timer_at *heap = ts->heap;
  int cap = ts->cap;
  gosi_timers_init(ts);
  ts->heap = heap;
  ts->cap = cap;
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
    gosi_guard_take(&ts->lock);
    advance(ts, grain_of(now) + 1);
    while (ts->nheap && ts->heap[0].when <= now && n < BATCH) {
      gosi_timer *t = ts->heap[0].t;
      take_out_locked(ts, t);
      any = true;
      if (t->kind == TIMER_WAIT) {
        gos_g *g = t->g;
        if (!gosi_guard_cas(&g->claim, 0u, 1u)) continue;
        g->result = GOS_TIMEDOUT;
        *tail = g;
        tail = &g->next;
        continue;
      }
      if (t->period > 0) {
        t->when = next_tick(t, now);
        ts->n++;
        in(ts, t);
      }
      gosi_add(&t->firing, 1);
      call[n].t = t;
      call[n++].seq = gosi_load(&t->seq);
    }
    more = ts->nheap && ts->heap[0].when <= now;
    note_next(ts);
    gosi_guard_drop(&ts->lock);
    *tail = NULL;
    if (ready) gosi_ready_list(m, ready);
    gos_g *parks = m->cur; /* it happens to look at the timers: what they start is not its child */
    m->cur = NULL;
    for (int i = 0; i < n; i++) {
      gosi_hb_after(call[i].t);
      call[i].t->fire(m, call[i].t, call[i].seq, now);
      gosi_hb_before(call[i].t);
      gosi_sub(&call[i].t->firing, 1);
    }
    m->cur = parks;
  }
  return any;
}
