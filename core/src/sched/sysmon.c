/* The monitor: a thread that takes Ps and realms from threads that do not let go, and finds
 * deadlocks. L3.
 *
 * How often it looks: every 50 us while someone runs and others wait behind him; every 0.5 ms
 * while that was so lately; every 10 ms while anything runs; not at all when nothing does.
 * Whatever makes work then wakes it (gosi_sysmon_nudge), at most once every few ms, as it
 * stays up for a while.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sched/sched.h"

enum {
  HOT = 50000,
  WARM = 500000,
  COOL = 10000000,
  HOT_LOOKS = 40,
  WARM_LOOKS = 40,
  IDLE_LOOKS = 10,
  STUCK_AGE = 40000,
  HOG_AGE = 10000000
};
static const gos_ns recheck_alone = 250000000; /* a deadlock that other threads may still resolve */

uint32_t gosi_sysmon_asleep; /* futex: 1 while it sleeps for long */
gos_ns gosi_coarse;
static uint32_t running;

NOINLINE void gosi_sysmon_wake(void) {
  if (gosi_exchange(&gosi_sysmon_asleep, 0u)) gosi_os_wake(&gosi_sysmon_asleep);
}

/* The P of a thread that stays in user code while work waits behind it goes to another. The
   flag, the barrier, the look: either the thread sees lost at its next entry, or we see it
   inside and leave it its P. */
static bool retake(gosi_p *p, gosi_m *m) {
  gosi_lock_take(&gosi_rt.lock);
  if (gosi_load_acquire(&p->m) != m || gosi_load(&m->lost)) { /* it gave the P away itself: lost is not ours to clear */
    gosi_lock_drop(&gosi_rt.lock);
    return false;
  }
  gosi_store_seq(&m->lost, 1u);
  if (!gosi_rt.fences) gosi_os_barrier_all();
  if (gosi_load_seq(&m->in_rt) & 1) {
    gosi_store(&m->lost, 0u);
    gosi_lock_drop(&gosi_rt.lock);
    return false;
  }
  m->p = NULL;
  gosi_store(&p->m, (gosi_m *)NULL);
  gosi_lock_drop(&gosi_rt.lock);
  gosi_handoff(p);
  return true;
}

/* True: someone waits behind a running thread. */
static bool watch_p(gosi_p *p, gos_ns now) {
  gosi_m *m = gosi_load_acquire(&p->m); /* pairs with own() */
  if (!m) return false;
  uint32_t tick = gosi_load(&p->tick), visits = gosi_load(&m->in_rt);
  bool work = gosi_p_has_work(p) || gosi_load(&gosi_rt.nglobal) || gosi_load(&gosi_rt.timers.next) <= now;
  if (tick != p->seen_tick) {
    p->seen_tick = tick;
    p->seen_since = now;
  }
  if (visits != p->seen_visits || tick != p->seen_tick) p->visit_since = now;
  p->seen_visits = visits;
  if (!work) return false;
  /* Away from the runtime: blocked or computing. Coming back often without letting anybody
     else run (a loop that creates goroutines): a hog only after Go's time slice. */
  bool stuck = now - p->visit_since >= STUCK_AGE || now - p->seen_since >= HOG_AGE;
  if (stuck && !(visits & 1) && retake(p, m)) p->seen_since = p->visit_since = now;
  return true;
}

/* Work that its owner did not think worth a wake, but has not reached since the last look. */
static void spread(void) {
  if (!gosi_load(&gosi_rt.nidle_ps)) return;
  bool waiting = gosi_load(&gosi_rt.nglobal) > 0;
  for (int i = 0; i < gosi_load(&gosi_rt.nprocs) && !waiting; i++) {
    gosi_p *p = &gosi_rt.ps[i];
    waiting = gosi_load(&p->tail) - gosi_load(&p->head) > 1;
  }
  if (waiting) gosi_wake_p();
}

static bool someone_runs(void) {
  gosi_lock_take(&gosi_rt.lock);
  bool any = gosi_rt.nidle_ms < gosi_rt.nms || gosi_rt.nforeign > 0;
  gosi_lock_drop(&gosi_rt.lock);
  return any || !gosi_realms_quiet();
}

static void sleep_long(gos_ns until) {
  gosi_store_seq(&gosi_sysmon_asleep, 1u);
  gosi_fence();
  gosi_os_wait(&gosi_sysmon_asleep, 1, until);
  gosi_store_seq(&gosi_sysmon_asleep, 0u);
}

static void *sysmon_main(void *arg) {
  (void)arg;
  int cold = HOT_LOOKS, idle = 0;
  gos_ns next_spread = 0;
  gosi_os_name_thread("gossamer-sysmon");
  gosi_os_precise_timers();
  for (;;) {
    gos_ns now = gosi_os_now();
    gosi_store(&gosi_coarse, now);
    bool hot = false;
    for (int i = 0; i < gosi_load(&gosi_rt.nprocs); i++) hot |= watch_p(&gosi_rt.ps[i], now);
    hot |= gosi_realm_watch(now);
    if (now >= next_spread) {
      spread();
      next_spread = now + WARM;
    }
    if (hot) {
      cold = cold > 0 ? cold - 1 : 0; /* a program that only switches is looked at less often */
      gosi_os_nap(cold > 0 ? HOT : HOT * 4);
      idle = 0;
      continue;
    }
    if (cold < HOT_LOOKS + WARM_LOOKS) {
      cold++;
      gosi_os_nap(cold < HOT_LOOKS ? HOT : WARM);
      continue;
    }
    if (someone_runs()) {
      gos_ns until = now + COOL, due = gosi_load(&gosi_rt.timers.next);
      sleep_long(due > now && due < until ? due : until);
      if (gosi_load(&gosi_rt.timers.next) <= gosi_os_now()) cold = HOT_LOOKS;
      idle = 0;
    } else if (++idle < IDLE_LOOKS) {
      gosi_os_nap(COOL / 10);
    } else {
      gosi_deadlock_check();
      sleep_long(gosi_load(&gosi_rt.timers.next) == GOS_FOREVER ? now + recheck_alone * (idle < 40 ? 1 : 8)
                                                                : GOS_FOREVER);
    }
    if (!gosi_load(&gosi_sysmon_asleep) && someone_runs()) cold = cold > HOT_LOOKS ? HOT_LOOKS : cold;
  }
  return NULL;
}

void gosi_sysmon_after_fork(void) { running = gosi_sysmon_asleep = 0; }

void gosi_sysmon_start(void) {
  if (likely(gosi_load(&running)) || gosi_exchange(&running, 1u)) return;
  gosi_store(&gosi_coarse, gosi_os_now());
  gosi_lock_take(&gosi_rt.lock);
  gosi_rt.nthreads++;
  gosi_lock_drop(&gosi_rt.lock);
  if (gosi_os_thread(sysmon_main, NULL, 64 * 1024) == GOS_OK) return;
  /* No thread to be had: the program runs on without hand-off and deadlock reports. */
  gosi_lock_take(&gosi_rt.lock);
  gosi_rt.nthreads--;
  gosi_lock_drop(&gosi_rt.lock);
}
