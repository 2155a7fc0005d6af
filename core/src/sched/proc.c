/* Who runs next, and on which thread. L3.
 *
 * A wake of another thread costs 50 microseconds on a busy two-core machine, more than 200
 * channel operations, so it has to be worth it: queue length x mean slice > the cost,
 * raised while channel locks are contended. What is not worth a wake is run by the thread
 * that queued it; should that thread get stuck, the monitor gives its P to another.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include "sched/sched.h"
#include "stack/freeze.h"

_Static_assert(offsetof(gosi_m, realm) == 24 || GOSI_TSAN || GOSI_ASAN, "asm/amd64.S");
gosi_runtime gosi_rt;
__thread gosi_m *gosi_tls_m __attribute__((tls_model("initial-exec")));

NOINLINE gosi_m *gosi_self_m(void) {
  gosi_m *m = gosi_tls_m;
  __asm__ volatile("" : "+r"(m)::"memory");
  return m;
}

/* In gosi_ticks(): some 50 and 5 microseconds at 2-3 GHz. */
enum { WAKE_COST = 130000, STEAL_COST = 13000, SPIN_NS = 20000, M_STACK = 64 * 1024 };

/* ---- the global queue ------------------------------------------------------------------ */
static void global_put_locked(gos_g *first, gos_g *last, int n) {
  last->next = NULL;
  if (gosi_rt.global_tail)
    gosi_rt.global_tail->next = first;
  else
    gosi_rt.global_head = first;
  gosi_rt.global_tail = last;
  gosi_store(&gosi_rt.nglobal, gosi_rt.nglobal + n);
}
static gos_g *global_take_locked(void) {
  gos_g *g = gosi_rt.global_head;
  if (!g) return NULL;
  if (!(gosi_rt.global_head = g->next)) gosi_rt.global_tail = NULL;
  gosi_store(&gosi_rt.nglobal, gosi_rt.nglobal - 1);
  return g;
}

/* ---- the ring ------------------------------------------------------------------------------ */
ALWAYS_INLINE uint32_t ring_length(gosi_p *p) { return gosi_load(&p->tail) - gosi_load(&p->head); }

/* The ring is full: half of it and g go to the global queue, under one lock. */
static NOINLINE void ring_spill(gosi_p *p, gos_g *g) {
  uint32_t h = gosi_load_acquire(&p->head), n = (p->tail - h) / 2;
  gos_g *first = g, *last = g;
  int count = 1;
  if (n > 0 && n <= RING / 2) {
    gos_g *batch[RING / 2 + 1];
    for (uint32_t i = 0; i < n; i++) batch[i] = gosi_load(&p->ring[(h + i) % RING]);
    if (gosi_cas(&p->head, h, h + n)) {
      for (uint32_t i = 0; i + 1 < n; i++) batch[i]->next = batch[i + 1];
      batch[n - 1]->next = g;
      first = batch[0];
      count += (int)n;
    }
  }
  gosi_global_put(first, last, count);
}
ALWAYS_INLINE void ring_put(gosi_p *p, gos_g *g) {
  uint32_t t = p->tail;
  if (unlikely(t - gosi_load_acquire(&p->head) >= RING)) {
    ring_spill(p, g);
    return;
  }
  gosi_store(&p->ring[t % RING], g);
  gosi_store_release(&p->tail, t + 1); /* pairs with the acquire in steal */
}
/* Of a long queue woken at once every G and stack is cold: the one after the next is fetched now, and the
   stack of the next. Gs are never freed, stacks never unmapped. */
ALWAYS_INLINE void fetch_ahead(gosi_p *p, uint32_t h) {
  if (gosi_load(&p->tail) - h < 3) return;
  __builtin_prefetch(gosi_load(&p->ring[(h + 2) % RING]), 1);
  gos_g *next = gosi_load(&p->ring[(h + 1) % RING]);
  char *sp = gosi_load(&next->ctx.sp);
  __builtin_prefetch(sp, 1);
  __builtin_prefetch(sp + 64, 1);
}
ALWAYS_INLINE gos_g *ring_get(gosi_p *p) {
  for (;;) {
    uint32_t h = gosi_load_acquire(&p->head);
    if (p->tail == h) return NULL;
    gos_g *g = gosi_load(&p->ring[h % RING]);
    if (!gosi_guard_cas(&p->head, h, h + 1)) continue; /* a thief was faster */
    fetch_ahead(p, h);
    return g;
  }
}
/* Half of from's ring, rounded up, into to's; one of them is returned. */
static gos_g *steal(gosi_p *from, gosi_p *to) {
  for (;;) {
    uint32_t h = gosi_load_acquire(&from->head), t = gosi_load_acquire(&from->tail), n = t - h;
    if (n == 0) return NULL;
    if (n > RING) continue; /* h and t are of different moments */
    n -= n / 2;
    uint32_t tt = to->tail;
    for (uint32_t i = 0; i < n; i++) gosi_store(&to->ring[(tt + i) % RING], gosi_load(&from->ring[(h + i) % RING]));
    if (!gosi_cas(&from->head, h, h + n)) continue;
    gos_g *g = to->ring[(tt + --n) % RING];
    if (n) gosi_store_release(&to->tail, tt + n);
    gosi_store(&to->steals, to->steals + 1);
    return g;
  }
}

/* ---- the pile ------------------------------------------------------------------------------- */
ALWAYS_INLINE uint32_t pile_length(gosi_p *p) { return gosi_load(&p->top) - gosi_load(&p->bottom); }
static gos_g *pile_oldest(gosi_p *p) {
  uint32_t b = p->bottom;
  if (b == p->top) return NULL;
  gosi_store(&p->bottom, b + 1);
  return p->pile[b % PILE];
}
/* The older half goes where others can take it. */
static NOINLINE void pile_share(gosi_p *p) {
  for (uint32_t n = (pile_length(p) + 1) / 2; n; n--) ring_put(p, pile_oldest(p));
}
ALWAYS_INLINE void pile_put(gosi_p *p, gos_g *g) {
  if (unlikely(pile_length(p) >= PILE)) pile_share(p);
  p->pile[p->top % PILE] = g;
  gosi_store(&p->top, p->top + 1);
}
ALWAYS_INLINE gos_g *pile_get(gosi_p *p) {
  uint32_t t = p->top;
  if (t == p->bottom) return NULL;
  gosi_store(&p->top, t - 1);
  return p->pile[(t - 1) % PILE];
}

ALWAYS_INLINE bool worth_waking(gosi_p *p) {
  if (GOSI_HARD) return true;
  return (ring_length(p) + pile_length(p)) * p->slice > WAKE_COST * (1 + p->contention);
}
ALWAYS_INLINE bool worth_stealing(gosi_p *p) {
  if (GOSI_HARD) return ring_length(p) > 0;
  return ring_length(p) * gosi_load(&p->slice) > STEAL_COST;
}
static NOINLINE void share_work(gosi_p *p) {
  if (pile_length(p)) pile_share(p);
  if (!gosi_load(&gosi_rt.nspinning)) gosi_wake_p();
}
ALWAYS_INLINE void wake_if_worth(gosi_p *p) {
  if (unlikely((gosi_load(&gosi_rt.nidle_ps) || gosi_load(&gosi_rt.nspinning)) && worth_waking(p))) share_work(p);
}

uint64_t gosi_p_ticks(void) {
  uint64_t n = 0;
  for (int i = 0; i < gosi_load_acquire(&gosi_rt.nps); i++) n += gosi_load(&gosi_rt.ps[i].tick);
  return n;
}
bool gosi_p_has_work(gosi_p *p) { return gosi_load(&p->runnext) || pile_length(p) || ring_length(p); }

/* ---- choosing -------------------------------------------------------------------------------- */
/* The 64th pick, or no one readied lately: other queues, timers, statistics. */
static NOINLINE gos_g *pick_slow(gosi_m *m, gosi_p *p, uint32_t tick) {
  gos_g *g = NULL;
  if ((tick & 63) == 0) {
    uint64_t t = gosi_ticks();
    gosi_store(&p->slice, (t - p->slice_start) >> 6); /* mean, switching included */
    p->slice_start = t;
    p->contention -= (p->contention + 7) / 8;
    if (unlikely(p->id >= gosi_load(&gosi_rt.nprocs))) return NULL; /* gomaxprocs was lowered */
    if (gosi_load(&gosi_rt.nglobal)) {
      gosi_lock_take(&gosi_rt.lock);
      g = global_take_locked();
      gosi_lock_drop(&gosi_rt.lock);
      if (g) return g;
    }
    /* A long queue is not made longer: who is readied now would wait behind it. */
    if (gosi_load(&gosi_rt.nfds) && (ring_length(p) < 64 || (tick & 1023) == 0)) gosi_poll_now(m);
  }
  if (gosi_load(&gosi_rt.timers.next) != GOS_FOREVER && ((++p->polled & 15) == 0 || ring_length(p) == 0))
    gosi_timers_run(m, &gosi_rt.timers, gosi_os_now());
  if ((g = ring_get(p))) return g;
  if ((g = pile_oldest(p))) return g;
  g = p->runnext;
  gosi_store(&p->runnext, (gos_g *)NULL);
  return g;
}
/* runnext and the top of the pile may not starve the others: look there every 64th time. */
ALWAYS_INLINE gos_g *pick_near(gosi_p *p) { /* NULL: pick_slow is next */
  gos_g *g = p->runnext;
  uint32_t tick = p->tick + 1;
  gosi_store(&p->tick, tick);
  if (unlikely(!(tick & 63))) return NULL;
  if (unlikely(!g)) return pile_get(p);
  gosi_store(&p->runnext, (gos_g *)NULL);
  return g;
}
ALWAYS_INLINE gos_g *pick(gosi_m *m, gosi_p *p) {
  gos_g *g = pick_near(p);
  return likely(g) ? g : pick_slow(m, p, p->tick);
}

static gos_g *global_batch(gosi_p *p) {
  if (!gosi_load(&gosi_rt.nglobal)) return NULL;
  gosi_lock_take(&gosi_rt.lock);
  int n = gosi_rt.nglobal / gosi_rt.nprocs + 1;
  if (n > RING / 2) n = RING / 2;
  gos_g *first = global_take_locked(), *more[RING / 2];
  int k = 0;
  while (first && k < n - 1 && (more[k] = global_take_locked())) k++;
  gosi_lock_drop(&gosi_rt.lock);
  for (int i = 0; i < k; i++) ring_put(p, more[i]);
  return first;
}

static gos_g *steal_any(gosi_m *m, gosi_p *p) {
  int n = gosi_load(&gosi_rt.nprocs);
  uint32_t start = gosi_rand_below(&m->rand, (uint32_t)n);
  for (int i = 0; i < n; i++) {
    gosi_p *from = &gosi_rt.ps[(start + (uint32_t)i) % (uint32_t)n];
    gos_g *g;
    if (from != p && worth_stealing(from) && (g = steal(from, p))) return g;
  }
  return NULL;
}

static gos_g *look_everywhere(gosi_m *m, gosi_p *p) {
  gos_g *g = pick(m, p);
  if (!g) g = global_batch(p);
  if (!g && gosi_load(&gosi_rt.nfds)) {
    gosi_poll_now(m);
    g = ring_get(p);
  }
  if (!g && gosi_load(&gosi_rt.nprocs) > 1) g = steal_any(m, p);
  return g;
}

static void stop_spinning(gosi_m *m, bool found) {
  m->spinning = false;
  gosi_sub(&gosi_rt.nspinning, 1);
  if (found) wake_if_worth(m->p);
}

/* Others run and may soon make work: cheaper to look for it a little than to sleep. */
static gos_g *spin_for_work(gosi_m *m, gosi_p *p) {
  if (!m->spinning) {
    if (gosi_load(&gosi_rt.nprocs) - gosi_load(&gosi_rt.nidle_ps) < 2) return NULL;
    if (!gosi_cas(&gosi_rt.nspinning, 0, 1)) return NULL;
    m->spinning = true;
  }
  gos_ns end = gosi_os_now() + SPIN_NS;
  gos_g *g;
  do {
    for (int i = 0; i < 8; i++) gosi_pause();
    g = look_everywhere(m, p);
  } while (!g && gosi_os_now() < end);
  return g;
}

static gos_g *take_runnext(gosi_p *p) {
  gos_g *g = p->runnext;
  gosi_store(&p->runnext, (gos_g *)NULL);
  return g;
}

static gos_g *take_any(gosi_p *p) {
  gos_g *g = ring_get(p);
  if (!g) g = pile_oldest(p);
  return g ? g : take_runnext(p);
}

static void drain_to_global(gosi_p *p) {
  for (gos_g *g; (g = take_any(p));) gosi_global_put(g, g, 1);
}

static void p_idle_locked(gosi_p *p) {
  gosi_store(&p->m, (gosi_m *)NULL);
  p->state = P_RETIRED;
  if (p->id >= gosi_rt.nprocs) return;
  p->state = P_IDLE;
  p->link = gosi_rt.idle_ps;
  gosi_rt.idle_ps = p;
  gosi_store(&gosi_rt.nidle_ps, gosi_rt.nidle_ps + 1);
}
static gosi_p *p_take_locked(void) {
  gosi_p *p = gosi_rt.idle_ps;
  if (!p) return NULL;
  gosi_rt.idle_ps = p->link;
  gosi_store(&gosi_rt.nidle_ps, gosi_rt.nidle_ps - 1);
  p->state = P_TAKEN;
  return p;
}
static void own(gosi_m *m, gosi_p *p) {
  m->p = p;
  gosi_store_release(&p->m, m); /* pairs with the monitor's look */
}

void gosi_p_idle_locked(gosi_p *p) { p_idle_locked(p); }
gosi_p *gosi_p_take_locked(void) { return p_take_locked(); }
void gosi_p_own(gosi_m *m, gosi_p *p) { own(m, p); }
void gosi_p_put(gosi_p *p, gos_g *g) { ring_put(p, g); }
void gosi_p_drain(gosi_p *p) { drain_to_global(p); }
bool gosi_global_remove_locked(gos_g *g) {
  gos_g *before = NULL;
  for (gos_g *x = gosi_rt.global_head; x; before = x, x = x->next) {
    if (x != g) continue;
    *(before ? &before->next : &gosi_rt.global_head) = g->next;
    if (!g->next) gosi_rt.global_tail = before;
    gosi_store(&gosi_rt.nglobal, gosi_rt.nglobal - 1);
    return true;
  }
  return false;
}

/* Something for m to run; NULL: m has no P any more. */
static gos_g *find(gosi_m *m) {
  gosi_p *p = m->p;
  for (;;) {
    if (unlikely(p->id >= gosi_load(&gosi_rt.nprocs))) {
      if (m->spinning) stop_spinning(m, false);
      m->p = NULL;
      gosi_p_retire(p);
      return NULL;
    }
    gos_g *g = look_everywhere(m, p);
    if (!g) g = spin_for_work(m, p);
    if (g) {
      if (m->spinning) stop_spinning(m, true);
      return g;
    }
    if (m->spinning) stop_spinning(m, false);
    gosi_lock_take(&gosi_rt.lock);
    if (gosi_rt.nglobal || p->id >= gosi_rt.nprocs) { /* came between the look and the lock */
      gosi_lock_drop(&gosi_rt.lock);
      continue;
    }
    m->p = NULL;
    p_idle_locked(p);
    gosi_lock_drop(&gosi_rt.lock);
    return NULL;
  }
}

/* ---- threads --------------------------------------------------------------------------------------- */
static void m_remove_locked(gosi_m *m) {
  gosi_m **at = &gosi_rt.idle_ms;
  while (*at != m) at = &(*at)->link;
  *at = m->link;
  m->in_list = false;
  gosi_rt.nidle_ms--;
  if (gosi_rt.keeper == m) {
    gosi_rt.keeper = NULL;
    gosi_rt.keeper_when = GOS_FOREVER;
  }
}

static void m_wake(gosi_m *m) {
  gosi_count(&gosi_rt.wakes);
  gosi_m_wake(m);
}

/* A sleeping thread comes up without a P, and goes to sleep again: in the poller. */
void gosi_m_nudge(void) {
  gosi_lock_take(&gosi_rt.lock);
  gosi_m *m = gosi_rt.idle_ms;
  if (m) m_remove_locked(m);
  gosi_lock_drop(&gosi_rt.lock);
  if (m) m_wake(m);
}

/* m has no P: sleeps until it is given one, a timer is due that no other thread watches, or a file
   descriptor is ready. */
static void m_sleep(gosi_m *m) {
  gosi_sysmon_start(); /* a fork's child has none yet, and nobody else would tell a deadlock */
  gosi_lock_take(&gosi_rt.lock);
  if (gosi_rt.nglobal && gosi_rt.idle_ps) {
    own(m, p_take_locked());
    gosi_lock_drop(&gosi_rt.lock);
    return;
  }
  m->in_list = true;
  m->link = gosi_rt.idle_ms;
  gosi_rt.idle_ms = m;
  gosi_rt.nidle_ms++;
  gos_ns until = GOS_FOREVER, due = gosi_load(&gosi_rt.timers.next);
  if (gosi_rt.idle_ps && due < gosi_rt.keeper_when) { /* else a thread with a P looks at the timers */
    gosi_rt.keeper = m;
    gosi_rt.keeper_when = until = due;
  }
  gosi_lock_drop(&gosi_rt.lock);
  while (!gosi_load_acquire(&m->wake)) {
    gos_g *ready;
    if (gosi_m_wait(m, until, &ready) != GOS_TIMEDOUT && !ready) continue;
    gosi_lock_take(&gosi_rt.lock);
    bool given = !m->in_list; /* being woken as well */
    if (!given) {
      m_remove_locked(m);
      gosi_p *p = p_take_locked();
      if (p) own(m, p); /* else all Ps run, and their threads look at the timers */
    }
    gosi_lock_drop(&gosi_rt.lock);
    while (given && !gosi_load_acquire(&m->wake)) gosi_os_wait(&m->wake, 0, GOS_FOREVER);
    gosi_store(&m->wake, 0u);
    gosi_sysmon_nudge();
    if (ready) gosi_ready_list(m, ready);
    return;
  }
  gosi_store(&m->wake, 0u);
  gosi_sysmon_nudge();
}

static void *m_main(void *arg) {
  gosi_m *m = arg;
  gosi_tls_m = m;
  gosi_store(&m->tid, gosi_os_tid());
  gosi_os_name_thread("gossamer");
  gosi_os_precise_timers();
  gosi_os_alt_stack();
  gosi_context_adopt(&m->g0);
  gosi_loop(m);
  gosi_os_alt_stack_free();
  return NULL;
}

gosi_m *gosi_m_new(void) {
  gosi_m *m = gosi_alloc_aligned(sizeof *m);
  if (!m) return NULL;
  m->in_rt = M_INSIDE;  /* from birth: one that has not started yet must not lose its P */
  static uint64_t made; /* no address: the same choices again with the same seed */
  m->rand = gosi_rand_state(gosi_load(&gosi_rt.seed), gosi_add(&made, UINT64_C(1)));
  return m;
}

/* A thread for p: a sleeping one, else a new one. The caller took p out of every list. */
static bool m_for(gosi_p *p, bool spinning) {
  gosi_lock_take(&gosi_rt.lock);
  gosi_m *m = gosi_rt.idle_ms;
  gosi_m *self = gosi_tls_m;
  bool may = !(self && self->pinned) || !gosi_sysmon_runs();
  bool fresh = !m && may && gosi_rt.nms < gosi_rt.maxthreads;
  gosi_m *spare = fresh ? gosi_rt.spare_m : NULL;
  if (m) m_remove_locked(m);
  if (fresh) {
    if (spare) gosi_rt.spare_m = spare->link;
    gosi_rt.nms++;
    gosi_rt.nthreads++;
  }
  gosi_lock_drop(&gosi_rt.lock);
  if (fresh && (spare || (spare = gosi_m_new()))) {
    own(spare, p);
    spare->spinning = spinning;
    if (gosi_os_thread(m_main, spare, M_STACK) == GOS_OK) return true;
    spare->p = NULL;
  }
  if (m) {
    own(m, p);
    m->spinning = spinning;
    m_wake(m);
    return true;
  }
  /* No thread to be had. Those that there are look into the global queue when they return. */
  for (gos_g *g; (g = take_any(p));) {
    gosi_lock_take(&gosi_rt.lock);
    global_put_locked(g, g, 1);
    gosi_lock_drop(&gosi_rt.lock);
  }
  gosi_lock_take(&gosi_rt.lock);
  if (fresh) {
    gosi_rt.nms--;
    gosi_rt.nthreads--;
    if (spare) { /* not freed: the monitor may be looking at it */
      spare->link = gosi_rt.spare_m;
      gosi_rt.spare_m = spare;
    }
  }
  m = gosi_rt.idle_ms; /* since the first look one may have gone to sleep that saw no idle P: nobody else wakes it */
  if (m)
    m_remove_locked(m);
  else
    p_idle_locked(p);
  gosi_lock_drop(&gosi_rt.lock);
  if (!m) {
    if (!may) gosi_sysmon_wake(); /* it finds the idle P and what waits */
    return false;
  }
  own(m, p);
  m->spinning = spinning;
  m_wake(m);
  return true;
}

bool gosi_handoff(gosi_p *p) {
  gosi_count(&gosi_rt.handoffs);
  return m_for(p, false);
}

NOINLINE void gosi_wake_p(void) {
  if (!gosi_load(&gosi_rt.nidle_ps) || !gosi_cas(&gosi_rt.nspinning, 0, 1)) return;
  gosi_lock_take(&gosi_rt.lock);
  gosi_p *p = p_take_locked();
  gosi_lock_drop(&gosi_rt.lock);
  if (!p || !m_for(p, true)) gosi_sub(&gosi_rt.nspinning, 1);
}

void gosi_global_put(gos_g *first, gos_g *last, int n) {
  gosi_lock_take(&gosi_rt.lock);
  global_put_locked(first, last, n);
  gosi_p *p = gosi_load(&gosi_rt.nspinning) ? NULL : p_take_locked();
  gosi_lock_drop(&gosi_rt.lock);
  if (p) m_for(p, false);
  gosi_sysmon_nudge();
}

void gosi_timers_changed(gos_ns when) {
  gosi_m *m = gosi_tls_m;
  if (m && m->p) return; /* this thread looks at the timers before it sleeps */
  gosi_lock_take(&gosi_rt.lock);
  gosi_p *p = when < gosi_rt.keeper_when ? p_take_locked() : NULL;
  gosi_lock_drop(&gosi_rt.lock);
  if (p) m_for(p, false);
}

/* The P was taken while m was in user code. Another one if there is, else queue and wait. */
NOINLINE void gosi_reclaim(gosi_m *m) {
  gosi_lock_take(&gosi_rt.lock);
  if (!gosi_load(&m->lost)) { /* the monitor found m inside and left it its P */
    gosi_lock_drop(&gosi_rt.lock);
    return;
  }
  gosi_store(&m->lost, 0u);
  gosi_p *p = p_take_locked();
  if (p) own(m, p);
  gosi_lock_drop(&gosi_rt.lock);
  if (p) return;
  gos_g *g = m->cur;
  gosi_store(&g->ctx.sp, NULL);
  gosi_store(&g->status, (uint8_t)G_RUNNABLE);
  m->cur = NULL;
  gosi_global_put(g, g, 1);
  gosi_context_jump(&g->ctx, &m->g0);
}

/* ---- running ------------------------------------------------------------------------------------------ */
static void g_main(void *arg);

static gosi_fiber *stack_for(gosi_p *p, unsigned cls) {
  gosi_fiber *f = p->stacks;
  if (unlikely(cls != gosi_rt.cls) || !f) return gosi_stack_get(cls);
  p->stacks = f->next;
  p->nstacks--;
  return f;
}

static void stack_back(gosi_p *p, gosi_fiber *f) {
  if (f->cls != gosi_rt.cls) {
    gosi_stack_put(f);
    gosi_stack_give_credits(f->cls, 1);
    return;
  }
  f->next = p->stacks;
  p->stacks = f;
  p->credits++;
  if (++p->nstacks > STACK_CACHE_MAX) { /* f itself may still be in use: pass on the one below */
    gosi_fiber *old = f->next;
    f->next = old->next;
    p->nstacks--;
    gosi_stack_put(old);
  }
  if (unlikely(p->credits > 4 * STACK_CREDITS)) {
    gosi_stack_give_credits(gosi_rt.cls, 2 * STACK_CREDITS);
    p->credits -= 2 * STACK_CREDITS;
  }
}

/* True: not on this thread. */
static NOINLINE bool execute_slow(gosi_m *m, gosi_context *from, gos_g *g) {
  if (gosi_load(&g->flags) & GF_COLD) {
    gosi_stack_thaw(g->fiber);
    gosi_and(&g->flags, (uint8_t)~GF_COLD);
  }
  if (!(g->flags & GF_LOCKED) || g->m == m) return false;
  m->cur = NULL;
  if (from == &m->g0) {
    gosi_locked_give(m, g);
  } else { /* the P must not go before this thread has left from */
    m->next_g = g;
    gosi_context_jump(from, &m->g0);
  }
  return true;
}

void gosi_execute(gosi_m *m, gosi_context *from, gos_g *g) {
  if (unlikely(gosi_load(&g->flags) & (GF_LOCKED | GF_COLD)) && execute_slow(m, from, g)) return;
  m->cur = g;
  gosi_store(&g->status, (uint8_t)G_RUNNING);
  if (unlikely(!g->fiber && !(g->flags & GF_MAIN))) {
    gosi_store(&g->fiber, stack_for(m->p, g->cls));
    gosi_context_make(&g->ctx, g->fiber->lo, g->fiber->top, g_main, g);
  } else if (unlikely(!gosi_load_acquire(&g->ctx.sp)) && from != &m->g0 && from != &m->junk) {
    /* Its old thread has not left it yet, and may be waiting for us to leave from: leave first. */
    gosi_store(&g->status, (uint8_t)G_RUNNABLE);
    m->cur = NULL;
    m->next_g = g;
    gosi_context_jump(from, &m->g0);
    return;
  } else {
    gosi_context_settle(&g->ctx);
  }
  gosi_context_jump(from, &g->ctx);
}

void gosi_loop(gosi_m *m) {
  for (;;) {
    if (m->dead) {
      gosi_context_free(&m->dead_ctx);
      stack_back(m->p, m->dead);
      m->dead = NULL;
    }
    gos_g *g = m->next_g;
    m->next_g = NULL;
    if (unlikely(m->pinned) && !(g = gosi_pinned_next(m))) return;
    if (!g && !m->p)
      m_sleep(m);
    else if (g || (g = find(m)))
      gosi_execute(m, &m->g0, g);
  }
}

static NOINLINE void park_oddly(gosi_m *m, gos_g *g) {
  if (g->flags & GF_FOREIGN) {
    gosi_foreign_park(m);
  } else if (g->realm) {
    gosi_realm_park(m);
  } else { /* locked: this thread runs no other */
    m->cur = NULL;
    gosi_context_jump(&g->ctx, &m->g0);
  }
}
static NOINLINE void park_for(gosi_m *m, gos_g *g, gos_g *n) {
  if (!n) n = pick_slow(m, m->p, m->p->tick);
  if (n == g) { /* readied already */
    gosi_store(&g->status, (uint8_t)G_RUNNING);
  } else if (n) {
    gosi_execute(m, &g->ctx, n);
  } else {
    m->cur = NULL;
    gosi_context_jump(&g->ctx, &m->g0);
  }
}
/* The usual case on its own, without a call: no register is saved twice. */
ALWAYS_INLINE void park(gosi_m *m, gos_g *g) {
  if (unlikely(g->flags & (GF_FOREIGN | GF_LOCKED)) || unlikely(g->realm != NULL)) {
    park_oddly(m, g);
    return;
  }
  gos_g *n = pick_near(m->p);
  if (unlikely(!n || n == g || !n->fiber || !gosi_load_acquire(&n->ctx.sp)) ||
      unlikely(gosi_load(&n->flags) & (GF_LOCKED | GF_COLD))) {
    park_for(m, g, n);
    return;
  }
  m->cur = n;
  gosi_store(&n->status, (uint8_t)G_RUNNING);
  gosi_context_jump(&g->ctx, &n->ctx);
}
void gosi_park(gosi_m *m) {
  gos_g *g = m->cur;
  park(m, g);
  gosi_hb_after(g);
}

ALWAYS_INLINE void ready_local(gosi_p *p, gos_g *g) {
  gos_g *old = p->runnext;
  gosi_store(&p->runnext, g);
  if (old) {
    pile_put(p, old);
    wake_if_worth(p);
  }
  gosi_sysmon_nudge();
}

void gosi_ready(gosi_m *m, gos_g *g) {
  gosi_hb_before(g);
  gosi_store(&g->status, (uint8_t)G_RUNNABLE);
  if (unlikely(gosi_load(&g->flags) & GF_FOREIGN)) /* its host may be tying it to its thread */
    gosi_foreign_ready(g);
  else if (unlikely(g->realm != NULL))
    gosi_realm_ready(g);
  else if (likely(m->p))
    ready_local(m->p, g);
  else
    gosi_global_put(g, g, 1);
}

void gosi_ready_list(gosi_m *m, gos_g *list) {
  while (list) {
    gos_g *g = list;
    list = g->next;
    if (!m->p || g->realm || (gosi_load(&g->flags) & GF_FOREIGN)) {
      gosi_ready(m, g);
      continue;
    }
    gosi_hb_before(g);
    gosi_store(&g->status, (uint8_t)G_RUNNABLE);
    ring_put(m->p, g);
  }
  if (m->p) wake_if_worth(m->p);
  gosi_sysmon_nudge();
}

/* To the end of the queue; false: nobody else wants to run. */
static bool yield_to_others(gosi_m *m, gos_g *g) {
  gosi_p *p = m->p;
  if (unlikely(g->flags & GF_LOCKED)) return gosi_locked_yield(m, g);
  gos_g *n = pick(m, p);
  if (!n && unlikely(p->id >= gosi_load(&gosi_rt.nprocs))) {
    gosi_global_put(g, g, 1);
    m->cur = NULL;
    gosi_context_jump(&g->ctx, &m->g0);
    return true;
  }
  if (!n && !(n = global_batch(p))) return false;
  if (n == g) return false;
  ring_put(p, g);
  gosi_execute(m, &g->ctx, n);
  return true;
}

void gosi_yield(gosi_m *m, gos_g *g) {
  gosi_store(&g->ctx.sp, NULL);
  gosi_store(&g->status, (uint8_t)G_RUNNABLE);
  bool switched = g->realm ? gosi_realm_yield(m, g) : yield_to_others(m, g);
  if (!switched) gosi_store(&g->status, (uint8_t)G_RUNNING);
}

/* ---- beginning and end ------------------------------------------------------------------------------------ */
int gosi_spawn(gosi_m *m, const gos_go_options *o, void (*fn)(void *), void *arg, void *site, gos_g **out) {
  gosi_sysmon_start(); /* a fork's child has none yet */
  gosi_p *p = m->p;
  unsigned cls = gosi_rt.cls;
  if (o && o->stack) {
    int c = gosi_stack_class(o->stack);
    if (c < 0) return GOS_INVAL;
    cls = (unsigned)c;
  }
  if (!p || cls != gosi_rt.cls) {
    if (!gosi_stack_take_credits(cls, 1)) return GOS_NOMEM;
  } else if (unlikely(p->credits == 0) && !(p->credits = gosi_stack_take_credits(cls, STACK_CREDITS))) {
    return GOS_NOMEM;
  }
  gos_g *g = gosi_g_new(p ? &p->gs : NULL), *me = m->cur;
  gosi_extra *x = g && o && o->name ? gosi_g_extra(g) : NULL;
  if (unlikely(!g || (o && o->name && !x) || (me && (me->flags & GF_LABELS) && !gosi_labels_inherit(me, g)))) {
    if (g) gosi_g_unref(NULL, g);
    if (!p || cls != gosi_rt.cls) gosi_stack_give_credits(cls, 1);
    return GOS_NOMEM;
  }
  if (p && cls == gosi_rt.cls) p->credits--;
  if (x) {
    size_t i = 0;
    for (; o->name[i] && i + 1 < sizeof x->name; i++) gosi_store(&x->name[i], o->name[i]);
    gosi_store(&x->name[i], (char)0);
  }
  g->fn = fn;
  g->arg = arg;
  g->cls = (uint8_t)cls;
  gosi_store(&g->site, site);
  gosi_store(&g->creator, me && !(me->flags & GF_FOREIGN) ? me->id : 0);
  gosi_store(&g->id, gosi_g_next_id(p ? &p->ids : NULL));
  if (out) {
    gosi_store(&g->refs, 2u);
    *out = g;
  }
  gosi_hb_before(g);
  gosi_store(&g->ctx.sp, NULL);
  gosi_store(&g->status, (uint8_t)G_RUNNABLE);
  if (likely(p)) {
    gosi_store(&p->created, p->created + 1);
    ready_local(p, g);
  } else {
    gosi_add(&gosi_rt.foreign_created, 1);
    gosi_global_put(g, g, 1);
  }
  return GOS_OK;
}

/* The stack of the goroutine that just ended goes to the next one straight away where that
   is fresh, without a switch; not under the sanitizers, which must see two stacks. */
#define PASS_STACK_ON (!GOSI_TSAN && !GOSI_ASAN)

/* g has ended and is finished with; its stack f is the one this runs on. */
static _Noreturn void leave_for_good(gosi_m *m, gosi_fiber *f, gosi_context *ctx, gos_g *next) {
  m->cur = NULL;
  if (PASS_STACK_ON && next && next->fiber && f && f->cls == gosi_rt.cls) {
    stack_back(m->p, f); /* nobody else can take it before this thread is off it */
    gosi_execute(m, &m->junk, next);
  }
  m->next_g = next;
  m->dead = f;
  m->dead_ctx = *ctx;
  gosi_context_switch(&m->junk, &m->g0, true);
  gosi_fatal("a dead goroutine ran");
}

static void g_main(void *arg) {
  gos_g *g = arg;
  gosi_context_entered(&g->ctx);
  for (;;) {
    gosi_hb_after(g);
    gosi_hb_after(g->fiber); /* who had the stack before */
    gosi_leave();
    gosi_g_run(g);
    gosi_m *m = gosi_enter();
    if (unlikely(m->pinned)) gosi_end(m, g);
    gosi_p *p = m->p;
    gosi_fiber *f = g->fiber;
    gosi_context ctx = g->ctx;
    gosi_store(&g->fiber, (gosi_fiber *)NULL);
    gosi_store_release(&p->ended, p->ended + 1); /* pairs with the load in gos_stats_get */
    gosi_g_finish(m, &p->gs, g);
    gosi_hb_before(f);
    gos_g *n = PASS_STACK_ON ? pick(m, p) : NULL;
    if (!(likely(n) && !n->fiber && !(n->flags & GF_MAIN) && n->cls == f->cls)) leave_for_good(m, f, &ctx, n);
    if (f->cls == gosi_rt.cls) {
      p->credits++;
      if (unlikely(p->credits > 4 * STACK_CREDITS)) {
        gosi_stack_give_credits(gosi_rt.cls, 2 * STACK_CREDITS);
        p->credits -= 2 * STACK_CREDITS;
      }
    } else {
      gosi_stack_give_credits(f->cls, 1);
    }
    gosi_store(&n->fiber, f);
    m->cur = n;
    gosi_store(&n->status, (uint8_t)G_RUNNING);
    g = n;
  }
}

void gosi_end(gosi_m *m, gos_g *g) {
  if (g->realm) gosi_realm_end(m, g);
  if (m->pinned) gosi_locked_end(m, g);
  gosi_p *p = m->p;
  gosi_fiber *f = g->fiber;
  gosi_context ctx = g->ctx;
  gosi_store(&g->fiber, (gosi_fiber *)NULL);
  gosi_store_release(&p->ended, p->ended + 1);
  gosi_g_finish(m, &p->gs, g);
  if (f) gosi_hb_before(f);
  leave_for_good(m, f, &ctx, NULL);
}

/* ---- waits that can end early -------------------------------------------------------------------------------- */
bool gosi_arm_slow(gos_g *g, gos_ns deadline) {
  if (g->flags & GF_FOREIGN) g->timer.when = deadline;
  bool fine = gosi_arm_claim(g);
  if (deadline != GOS_FOREVER && !(g->flags & GF_FOREIGN)) {
    g->timer.kind = TIMER_WAIT;
    g->timer.g = g;
    int e = gosi_timer_add(gosi_timers_of(g), &g->timer, deadline, 0);
    if (e) {
      if (!gosi_cas(&g->claim, 0u, 1u)) return true;
      g->result = e;
      g->status = G_RUNNING;
      return false;
    }
  }
  return fine || gosi_arm_interrupted(g, deadline);
}

bool gosi_arm_interrupted(gos_g *g, gos_ns deadline) {
  uint8_t *why = gosi_load_seq(&g->ended) ? &g->ended : gosi_load_seq(&g->interrupted) ? &g->interrupted : NULL;
  if (!why) return true;
  bool interrupt = why == &g->interrupted;
  if (interrupt) gosi_lock_take(&gosi_rt.interrupts); /* whoever set it may just end this wait himself */
  bool mine = gosi_load(why) && gosi_cas(&g->claim, 0u, 1u);
  if (mine) gosi_store(why, (uint8_t)0);
  if (interrupt) gosi_lock_drop(&gosi_rt.interrupts);
  if (!mine) return true;
  g->result = why == &g->ended ? GOSI_ENDED : GOS_CANCELED;
  if (deadline != GOS_FOREVER && !(g->flags & GF_FOREIGN)) gosi_timer_remove(&g->timer);
  gosi_store(&g->status, (uint8_t)G_RUNNING);
  return false;
}

int gosi_disarm(gos_g *g, gos_ns deadline) {
  /* Always under the timers' lock: a timer that is just being fired must not claim the next wait. */
  if (deadline != GOS_FOREVER && !(g->flags & GF_FOREIGN)) gosi_timer_remove(&g->timer);
  return g->result;
}
