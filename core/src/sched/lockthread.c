/* Goroutines locked to their thread. L3.
 *
 * While one is locked, its thread (m->pinned) runs nothing else: whenever the goroutine waits, the thread gives its
 * P away and sleeps. Another thread that comes to run the goroutine hands over the P it has, and looks for another.
 * Such a thread starts no others: a new one would begin with whatever the goroutine did to its own (namespaces,
 * capabilities); the monitor does it instead.
 *
 * A realm's goroutines have no P to hand over but the realm's queue: see send_elsewhere in realm.c. There a locked
 * goroutine's end only unlocks its thread: threads have host state, and stay.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sched/realm.h"
#include "sched/sched.h"

bool gosi_realm_lock(gosi_m *m, gos_g *g) {
  if (m->locked == g) {
    m->locks++;
    return true;
  }
  if (m->locked) return false;
  m->locks = 1;
  m->locked = g;
  g->m = m;
  gosi_store(&g->flags, (uint8_t)(g->flags | GF_LOCKED));
  g->realm->locks++;
  return true;
}
void gosi_realm_unlock(gosi_m *m, gos_g *g) {
  m->locks = 0;
  m->locked = NULL;
  gosi_store(&g->flags, (uint8_t)(g->flags & ~GF_LOCKED));
  g->realm->locks--;
}

static void lock(gosi_m *m, gos_g *g) {
  m->pinned = M_LOCKED;
  m->locked = g;
  g->m = m;
  gosi_store(&g->flags, (uint8_t)(g->flags | GF_LOCKED));
}
void gosi_lock_for_good(gosi_m *m, gos_g *g) {
  m->bound = true;
  lock(m, g);
}

int gos_lock_os_thread(void) {
  if (gosi_cannot_enter()) return GOS_NOMEM;
  gosi_m *m = gosi_enter();
  gos_g *g = m->cur;
  if (g->flags & GF_FOREIGN) {
    /* It is its thread. */
  } else if (g->realm) {
    if (!(g->realm->host.flags & GOS_HOST_PINNED)) gosi_realm_lock(m, g);
  } else if (m->locks++ == 0 && !m->bound) {
    lock(m, g);
  }
  gosi_leave_m(m);
  return GOS_OK;
}

int gos_unlock_os_thread(void) {
  gosi_m *m = gosi_enter();
  gos_g *g = m->cur;
  if ((g->flags & GF_LOCKED) && m->locks && --m->locks == 0 && !m->bound) {
    if (g->realm) {
      gosi_realm_unlock(m, g);
    } else {
      m->pinned = 0;
      m->locked = NULL;
      gosi_store(&g->flags, (uint8_t)(g->flags & ~GF_LOCKED));
    }
  }
  gosi_leave_m(m);
  return GOS_OK;
}

void gosi_locked_end(gosi_m *m, gos_g *g) {
  m->pinned = M_ENDING;
  m->locked = NULL;
  m->locks = 0;
  gosi_store(&g->flags, (uint8_t)(g->flags & ~GF_LOCKED));
}

bool gosi_locked_yield(gosi_m *m, gos_g *g) {
  gosi_p *p = m->p;
  if (gosi_load(&gosi_rt.timers.next) != GOS_FOREVER) gosi_timers_run(m, &gosi_rt.timers, gosi_os_now());
  if (!gosi_p_has_work(p) && !gosi_load(&gosi_rt.nglobal) && p->id < gosi_load(&gosi_rt.nprocs)) return false;
  gosi_p_put(p, g);
  m->cur = NULL;
  gosi_context_switch(&g->ctx, &m->g0, false);
  return true;
}

static void not_asleep_locked(gosi_m *m) {
  if (!m->in_list) return;
  m->in_list = false;
  gosi_rt.nidle_ms--;
  if (gosi_rt.keeper != m) return;
  gosi_rt.keeper = NULL;
  gosi_rt.keeper_when = GOS_FOREVER;
}

void gosi_locked_give(gosi_m *m, gos_g *g) {
  gosi_m *its = g->m;
  gosi_p *p = m->p;
  m->p = NULL;
  gosi_lock_take(&gosi_rt.lock);
  gosi_store(&p->m, (gosi_m *)NULL);
  not_asleep_locked(its);
  its->handed = p;
  gosi_lock_drop(&gosi_rt.lock);
  gosi_count(&gosi_rt.wakes);
  gosi_store_release(&its->wake, 1u); /* pairs with the load in sleep_until_handed */
  gosi_os_wake(&its->wake);
}

/* To whoever has use for it. True: m's own goroutine was next anyway. */
static bool give_p_away(gosi_m *m) {
  gosi_p *p = m->p;
  if (m->locked && gosi_load(&p->runnext) == m->locked) {
    gosi_store(&p->runnext, (gos_g *)NULL);
    return true;
  }
  m->p = NULL;
  gosi_lock_take(&gosi_rt.lock);
  gosi_store(&p->m, (gosi_m *)NULL);
  bool retires = p->id >= gosi_rt.nprocs, use = gosi_p_has_work(p) || gosi_rt.nglobal;
  /* Who went to sleep while this thread had a P left the timers to it. */
  if (m->pinned == M_ENDING && gosi_load(&gosi_rt.timers.next) != GOS_FOREVER) use = true;
  if (!use && !retires) gosi_p_idle_locked(p);
  gosi_lock_drop(&gosi_rt.lock);
  if (retires)
    gosi_p_retire(p);
  else if (use)
    gosi_handoff(p);
  return false;
}

/* Where no other thread can be had, m's goroutine may stand in the global queue with nobody to hand it over. */
static bool fetch_locked(gosi_m *m) {
  if (!gosi_rt.idle_ps || !gosi_global_remove_locked(m->locked)) return false;
  gosi_p_own(m, gosi_p_take_locked());
  return true;
}

/* True: m has a P, for its goroutine. False: one, to look at the timers with. */
static bool sleep_until_handed(gosi_m *m) {
  gos_ns until = GOS_FOREVER, due = gosi_load(&gosi_rt.timers.next);
  gosi_lock_take(&gosi_rt.lock);
  if (!m->handed) {
    if (fetch_locked(m)) {
      gosi_lock_drop(&gosi_rt.lock);
      return true;
    }
    m->in_list = true;
    gosi_rt.nidle_ms++;
    if (due < gosi_rt.keeper_when) {
      gosi_rt.keeper = m;
      gosi_rt.keeper_when = until = due;
    }
  }
  gosi_lock_drop(&gosi_rt.lock);
  while (!gosi_load_acquire(&m->wake)) {
    if (gosi_os_wait(&m->wake, 0, until) != GOS_TIMEDOUT) continue;
    until = GOS_FOREVER;
    gosi_lock_take(&gosi_rt.lock);
    gosi_p *p = m->handed ? NULL : gosi_p_take_locked();
    if (p) {
      not_asleep_locked(m);
      gosi_p_own(m, p);
    } else if (gosi_rt.keeper == m) { /* all Ps run, and their threads look at the timers */
      gosi_rt.keeper = NULL;
      gosi_rt.keeper_when = GOS_FOREVER;
    }
    gosi_lock_drop(&gosi_rt.lock);
    gosi_sysmon_nudge();
    if (p) return false;
  }
  gosi_store(&m->wake, 0u);
  gosi_lock_take(&gosi_rt.lock);
  gosi_p_own(m, m->handed);
  m->handed = NULL;
  gosi_lock_drop(&gosi_rt.lock);
  gosi_sysmon_nudge();
  return true;
}

/* The goroutine ended while it was locked: so does the thread, and what the goroutine did to it. */
static void end_thread(gosi_m *m) {
  gosi_lock_take(&gosi_rt.lock);
  gosi_rt.nms--;
  if (m->is_home) { /* the process would end with it, or be a zombie: it sleeps, as in Go */
    gosi_lock_drop(&gosi_rt.lock);
    uint32_t never = 0;
    for (;;) gosi_os_wait(&never, 0, GOS_FOREVER);
  }
  gosi_rt.nthreads--;
  gosi_tls_m = NULL; /* destructors of thread-local data may call in: on a foreign thread, then */
  m->pinned = 0;
  gosi_store(&m->tid, 0);
  m->cur = NULL;
  m->link = gosi_rt.spare_m; /* not freed: the monitor may be looking at it */
  gosi_rt.spare_m = m;
  gosi_lock_drop(&gosi_rt.lock);
}

gos_g *gosi_pinned_next(gosi_m *m) {
  for (;;) {
    if (m->p && give_p_away(m)) break;
    if (m->pinned == M_ENDING) {
      end_thread(m);
      return NULL;
    }
    if (sleep_until_handed(m)) break;
    gosi_timers_run(m, &gosi_rt.timers, gosi_os_now());
  }
  return m->locked;
}
