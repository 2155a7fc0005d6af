// ctest: timeout=120
// ctest: internal
/* The timers' heap and wheel under a clock of our own, against a list: nothing early, late or lost.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "sched/sched.h"

#define ts gosi_rt.timers /* the runtime is not started: nobody else is there */
enum { GRAIN = 20, BITS = 6 };
static gos_ns clock_now;
static gosi_m runs; /* the timers, as a thread does */

enum { N = 2000 };
static struct one {
  gosi_timer t;
  gos_ns due;    /* 0: off */
  gos_ns period; /* 0: once */
  int fired;
} all[N];

static void fire(gosi_m *m, gosi_timer *t, uint32_t seq, gos_ns now) {
  struct one *o = (struct one *)(void *)t;
  (void)m, (void)seq;
  CHECK(o->due && o->due <= now);
  o->fired++;
  o->due = o->period ? o->due + ((now - o->due) / o->period + 1) * o->period : 0;
}

static gos_ns first_due(void) {
  gos_ns first = GOS_FOREVER;
  for (int i = 0; i < N; i++)
    if (all[i].due && all[i].due < first) first = all[i].due;
  return first;
}

static uint64_t seed = 88172645463325252ull;
static uint64_t rnd(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  return seed ^= seed << 17;
}
/* Anything from nanoseconds to centuries, small ones as likely as large ones. */
static gos_ns some_time(int bits) { return (gos_ns)(rnd() >> (63 - rnd() % (unsigned)bits)); }

static void arm(struct one *o, gos_ns d) {
  gos_ns when = d > GOS_FOREVER - 1 - clock_now ? GOS_FOREVER - 1 : clock_now + d;
  if (!when) when = 1;
  o->due = when;
  o->period = rnd() % 8 ? 0 : some_time(40) + 1;
  o->t.kind = TIMER_CALL;
  o->t.fire = fire;
  CHECK_EQ(gosi_timer_add(&ts, &o->t, when, o->period), GOS_OK);
}

static void run(gos_ns to) {
  clock_now = to;
  gosi_timers_run(&runs, &ts, to);
  CHECK(first_due() > to);
}

static void against_a_list(int bits, long steps) {
  gosi_timers_init(&ts);
  clock_now = some_time(bits);
  for (int i = 0; i < N; i++) all[i] = (struct one){.t.slot = TIMER_OFF};
  for (long i = 0; i < steps; i++) {
    struct one *o = &all[rnd() % N];
    switch (rnd() % 8) {
    case 0: /* time passes; sometimes to the very moment that was promised */
      if (rnd() % 2 && ts.next < GOS_FOREVER && ts.next > clock_now)
        run(ts.next);
      else if (clock_now < GOS_FOREVER / 2)
        run(clock_now + some_time(bits));
      break;
    case 1:
    case 2:
      CHECK_EQ(gosi_timer_remove(&o->t), o->due != 0);
      o->due = 0;
      break;
    default:
      if (!o->due) arm(o, some_time(bits));
    }
    CHECK(ts.next <= first_due());
    CHECK((ts.n == 0) == (first_due() == GOS_FOREVER));
    if (!ts.n) CHECK_EQ(ts.next, GOS_FOREVER);
  }
  for (int i = 0; i < N; i++) { /* the periodic ones would fire for ever */
    if (!all[i].period) continue;
    gosi_timer_remove(&all[i].t);
    all[i].due = 0;
  }
  for (int guard = 0; ts.n && guard < 100000; guard++) run(ts.next > clock_now ? ts.next : clock_now);
  CHECK_EQ(ts.n, 0);
  CHECK_EQ(ts.next, GOS_FOREVER);
  CHECK_EQ(first_due(), GOS_FOREVER);
  free(ts.heap);
}

TEST_RAW(short_times) { against_a_list(24, scaled(200000)); }
TEST_RAW(times_of_seconds) { against_a_list(32, scaled(200000)); }
TEST_RAW(times_of_days) { against_a_list(48, scaled(200000)); }
TEST_RAW(times_of_centuries) { against_a_list(62, scaled(200000)); }

/* base stands at the end of a ring of each level, and timers are due on both sides. */
TEST_RAW(ends_of_rings) {
  for (int level = 0; level < 6; level++) {
    for (gos_ns d = -3; d <= 3; d++) {
      gosi_timers_init(&ts);
      for (int i = 0; i < N; i++) all[i] = (struct one){.t.slot = TIMER_OFF};
      gos_ns end = INT64_C(5) << (GRAIN + BITS * (level + 1)), grain = INT64_C(1) << GRAIN;
      clock_now = end + d * grain - 1;
      gosi_timers_run(&runs, &ts, clock_now);
      for (int i = 0; i < 40; i++) {
        all[i].t.kind = TIMER_CALL;
        all[i].t.fire = fire;
        all[i].due = clock_now + 1 + i * grain / 4;
        CHECK_EQ(gosi_timer_add(&ts, &all[i].t, all[i].due, 0), GOS_OK);
      }
      while (ts.n) run(ts.next);
      for (int i = 0; i < 40; i++) CHECK_EQ(all[i].fired, 1);
      free(ts.heap);
    }
  }
}

TEST_RAW(forgotten_ones_are_off) {
  gosi_timers_init(&ts);
  clock_now = 1;
  for (int i = 0; i < 100; i++) arm(&all[i], some_time(60));
  gosi_timers_run(&runs, &ts, clock_now);
  gosi_timers_forget(&ts);
  for (int i = 0; i < 100; i++) CHECK(!gosi_timer_remove(&all[i].t));
  CHECK_EQ(ts.n, 0);
}
