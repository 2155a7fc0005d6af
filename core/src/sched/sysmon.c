/* The monitor: a thread that takes Ps and realms from threads that do not let go, and finds
 * deadlocks. L3.
 *
 * How often it looks: every 50 us while someone runs and others wait behind him, and every ms once
 * they have only taken turns for 10 ms; every 0.5 ms while that was so lately; every 10 ms while
 * anything runs; not at all when nothing does.
 * Whatever makes work then wakes it (gosi_sysmon_nudge), at most once every few ms, as it
 * stays up for a while.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sched/freeze.h"
#include "sched/sched.h"

enum {
  HOT = 50000,
  WARM = 500000,
  COOL = 10000000,
  CALM = 1000000,
  HOT_LOOKS = 40,
  CALM_LOOKS = 80,
  WARM_LOOKS = 40,
  IDLE_LOOKS = 10,
  STUCK_AGE = 40000,
  HOG_AGE = 10000000,
  CLOCK_AGE = 1000000
};
static const gos_ns recheck_alone = 250000000; /* a deadlock that other threads may still resolve */

uint32_t gosi_sysmon_asleep; /* futex: 1 while it sleeps for long */
gos_ns gosi_coarse;
gos_ns (*gosi_debug_look)(gos_ns now);
uint32_t gosi_debug_asked;
void (*gosi_debug_start)(unsigned flags);
static gos_ns debug_due = GOS_FOREVER, freeze_due = GOS_FOREVER;
static uint32_t running;
/* The monitor's own. */
static unsigned retakes;
static bool blocking; /* a P whose last thread was found blocked */

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
  if (gosi_load_seq(&m->in_rt) == M_INSIDE) {
    gosi_store(&m->lost, 0u);
    gosi_lock_drop(&gosi_rt.lock);
    return false;
  }
  gosi_store(&m->p, (gosi_p *)NULL);
  gosi_store(&p->m, (gosi_m *)NULL);
  gosi_lock_drop(&gosi_rt.lock);
  if (p->id < gosi_load(&gosi_rt.nprocs))
    gosi_handoff(p);
  else
    gosi_p_retire(p);
  return true;
}

/* Is m blocked in a call, rather than waiting for a CPU? What its CPU clock says is cheap: a thread that has not
   run since it was last seen waiting for a CPU still waits for one. */
static bool blocked(gosi_p *p, gosi_m *m, gos_ns cpu) {
  if (cpu == p->off_cpu) return false;
  if (gosi_os_thread_blocked(gosi_load(&m->tid))) return true;
  p->off_cpu = cpu;
  return false;
}

/* m is in user code and work waits. Away from the runtime for long: blocked, or computing. Coming back often
   without letting anybody else run (a loop that creates goroutines): a hog only after Go's time slice. The clock
   of the thread tells, not the wall's: one that the system does not let run is none of these, and a second
   thread would only make the queue for the CPUs longer. */
static bool stuck(gosi_p *p, gosi_m *m, gos_ns now, gos_ns cpu) {
  gos_ns away = now - p->visit_since, alone = now - p->seen_since;
  if (cpu < 0) return away >= STUCK_AGE || alone >= HOG_AGE; /* no such clock here */
  if (alone >= HOG_AGE && (cpu - p->tick_cpu >= HOG_AGE / 4 || alone >= 10 * HOG_AGE)) return true;
  if (away >= STUCK_AGE && cpu - p->visit_cpu >= STUCK_AGE) return true;
  if (away < STUCK_AGE && !p->blocking) return false;
  return p->blocking = blocked(p, m, cpu); /* where one blocked the next may well do so too: no need to wait and see */
}

/* True: someone waits behind a running thread. */
static bool watch_p(gosi_p *p, gos_ns now) {
  gosi_m *m = gosi_load_acquire(&p->m); /* pairs with own() */
  if (!m) return false;
  uint32_t where = gosi_load(&m->in_rt);
  if (p->id >= gosi_load(&gosi_rt.nprocs)) { /* it retires, but its thread has not looked yet */
    if (where != M_INSIDE) retake(p, m);
    return true;
  }
  uint32_t tick = gosi_load(&p->tick);
  bool work = gosi_p_has_work(p) || gosi_load(&gosi_rt.nglobal) || gosi_load(&gosi_rt.timers.next) <= now;
  if (tick != p->seen_tick || m != p->seen_m) {
    p->seen_since = now;
    p->tick_cpu = -1;
  }
  if (where != M_AWAY || tick != p->seen_tick || m != p->seen_m) {
    p->visit_since = now;
    p->visit_cpu = p->off_cpu = -1;
  }
  blocking |= p->blocking;
  p->seen_m = m;
  p->seen_tick = tick;
  if (where == M_LEFT) gosi_cas(&m->in_rt, (uint32_t)M_LEFT, (uint32_t)M_AWAY);
  /* Its CPU clock is read while work waits, and once for one that has been away for a while. */
  if (!work && (p->visit_cpu >= 0 || now - p->visit_since < CLOCK_AGE)) return false;
  gos_ns cpu = gosi_os_thread_cpu(gosi_load(&m->tid));
  if (p->visit_cpu < 0) p->visit_cpu = cpu;
  if (p->tick_cpu < 0) p->tick_cpu = cpu;
  if (work && where != M_INSIDE && stuck(p, m, now, cpu) && retake(p, m)) {
    p->seen_m = NULL;
    retakes++;
  }
  return work;
}

/* Nobody has a P, and of those who sleep nobody until a timer is due: the last one's thread has ended. */
static bool timers_unwatched(void) {
  if (gosi_load(&gosi_rt.timers.next) == GOS_FOREVER) return false;
  gosi_lock_take(&gosi_rt.lock);
  bool nobody = gosi_rt.nidle_ps == gosi_rt.nprocs && !gosi_rt.keeper;
  gosi_lock_drop(&gosi_rt.lock);
  return nobody;
}

/* Work that its owner did not think worth a wake, but has not reached since the last look. */
static void spread(void) {
  if (!gosi_load(&gosi_rt.nidle_ps)) return;
  bool waiting = gosi_load(&gosi_rt.nglobal) > 0 || timers_unwatched();
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
  return any || gosi_poll_vacant() || !gosi_realms_asleep(); /* realms look after their timers themselves */
}

/* True: it was woken. */
static bool sleep_long(gos_ns until) {
  gosi_store_seq(&gosi_sysmon_asleep, 1u);
  gosi_fence();
  if (until > debug_due) until = debug_due;
  if (until > freeze_due) until = freeze_due;
  if (!gosi_load_seq(&gosi_debug_asked)) gosi_os_wait(&gosi_sysmon_asleep, 1, until);
  return gosi_exchange(&gosi_sysmon_asleep, 0u) == 0;
}

/* Someone waits behind another. How long until the next look, when `calm` of them have found nobody stuck: each costs
   some 20 us of a CPU, of a server that always has work a sixth. realm: one of those who wait is a realm's. */
static gos_ns hot_nap(int calm, bool realm) {
  if (blocking || calm == 0) return HOT / 5;
  if (calm < HOT_LOOKS) return HOT;
  if (calm < CALM_LOOKS || realm) return HOT * 4;
  return gosi_load(&gosi_rt.nidle_ps) ? WARM : CALM; /* spread() */
}

static void *sysmon_main(void *arg) {
  (void)arg;
  int cold = HOT_LOOKS, calm = 0, idle = 0;
  gos_ns next_spread = 0, realms = GOS_FOREVER;
  gosi_os_name_thread("gossamer-sysmon");
  gosi_os_precise_timers();
  for (;;) {
    gos_ns now = gosi_os_now();
    gosi_store(&gosi_coarse, now);
    gos_ns (*debug_look)(gos_ns) = gosi_load_acquire(&gosi_debug_look);
    if (unlikely(debug_look != NULL)) debug_due = debug_look(now);
    bool hot = false, woken = true;
    unsigned before = retakes;
    blocking = false;
    for (int i = 0; i < gosi_load_acquire(&gosi_rt.nps); i++) hot |= watch_p(&gosi_rt.ps[i], now);
    bool realm = gosi_realm_watch(now, &realms);
    hot |= realm;
    if (gosi_load_acquire(&gosi_rt.nfds)) gosi_poll_sysmon(now);
    if (now >= next_spread) {
      spread();
      next_spread = now + WARM;
    }
    if (unlikely(gosi_freeze_age >= 0)) freeze_due = gosi_freeze_look(now, hot);
    if (hot) {
      calm = retakes != before ? 0 : calm < CALM_LOOKS ? calm + 1 : calm;
      cold = calm < HOT_LOOKS ? 0 : HOT_LOOKS;
      gosi_os_nap(hot_nap(calm, realm));
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
      if (due > now && due < until) until = due;
      woken = sleep_long(realms < until ? realms : until);
      if (gosi_load(&gosi_rt.timers.next) <= gosi_os_now()) cold = HOT_LOOKS;
      idle = 0;
    } else if (++idle < IDLE_LOOKS) {
      gosi_os_nap(COOL / 10);
    } else {
      gosi_deadlock_check();
      woken = sleep_long(gosi_load(&gosi_rt.timers.next) == GOS_FOREVER ? now + recheck_alone * (idle < 40 ? 1 : 8)
                                                                        : GOS_FOREVER);
    }
    if (woken && someone_runs()) {
      cold = cold > HOT_LOOKS ? HOT_LOOKS : cold;
      calm = 1;
    }
  }
  return NULL;
}

bool gosi_sysmon_runs(void) { return gosi_load(&running); }
void gosi_sysmon_after_fork(void) { running = gosi_sysmon_asleep = 0; }

void gosi_sysmon_start(void) {
  static gos_ns again; /* not before: every goroutine that is started asks */
  if (likely(gosi_load(&running))) return;
  gos_ns now = gosi_os_now();
  if (now < gosi_load(&again) || gosi_exchange(&running, 1u)) return;
  gosi_store(&gosi_coarse, now);
  gosi_lock_take(&gosi_rt.lock);
  gosi_rt.nthreads++;
  gosi_lock_drop(&gosi_rt.lock);
  if (gosi_os_thread(sysmon_main, NULL, 64 * 1024) == GOS_OK) return;
  /* No thread to be had: until there is, the program runs on without hand-off and deadlock reports. */
  gosi_lock_take(&gosi_rt.lock);
  gosi_rt.nthreads--;
  gosi_lock_drop(&gosi_rt.lock);
  gosi_store(&again, now + COOL);
  gosi_store(&running, 0u);
}
