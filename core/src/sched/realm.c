/* Realms: run queue, threads, hand-off. L3.
 *
 * The host's lock guards the queue. The owner is the thread that runs it. A goroutine that
 * blocks or hogs keeps the owner's thread; the monitor then sends another thread, which takes
 * the host's lock, looks again, and is the owner from there on. The stuck goroutine goes on as
 * a plain thread until its next wait, and its thread then sleeps in the realm's loop.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sched/realm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOME_LOOP_STACK = 64 * 1024, THREAD_STACK = 256 * 1024, MIN_AGE = 50000 };

gosi_timers *gosi_realm_timers(gos_realm *r) { return &r->timers; }
gosi_gcache *gosi_realm_cache(gos_realm *r) { return &r->gs; }
bool gosi_realm_knows_threads(gos_realm *r) { return r->host.alone != NULL; }
static void *state_of(gos_g *g) { return g->fiber ? g->fiber->host : g->realm->host.main_state; }
static void host_swap(gos_realm *r, void *from, void *to) {
  if (r->host.swap && from != to) r->host.swap(r->host.u, from, to);
}

/* ---- the queue ------------------------------------------------------------------------ */
ALWAYS_INLINE void queue_put(gos_realm *r, gos_g *g) {
  g->next = NULL;
  if (r->tail)
    r->tail->next = g;
  else
    r->head = g;
  r->tail = g;
  gosi_store(&r->nrun, r->nrun + 1);
}

static NOINLINE void take_inbox(gos_realm *r) {
  gos_g *l = gosi_exchange(&r->inbox, (gos_g *)NULL), *first = NULL;
  while (l) { /* it is last in, first out: turn it round */
    gos_g *n = l->next;
    l->next = first;
    first = l;
    l = n;
  }
  while (first) {
    gos_g *n = first->next;
    queue_put(r, first);
    first = n;
  }
}

ALWAYS_INLINE gos_g *queue_take(gos_realm *r, gosi_m *m) {
  if (unlikely(gosi_load(&gosi_rt.nfds)) && ((r->tick & 63) == 0 || !r->head)) gosi_poll_now(m);
  if (unlikely(gosi_load(&r->inbox) != NULL)) take_inbox(r);
  if (unlikely(gosi_load(&r->timers.next) != GOS_FOREVER) && ((++r->polled & 15) == 0 || !r->head))
    gosi_timers_run(m, &r->timers, gosi_os_now());
  gos_g *g = r->head;
  if (g) {
    if (!(r->head = g->next)) r->tail = NULL;
    gosi_store(&r->nrun, r->nrun - 1);
  }
  return g;
}

static bool has_work(gos_realm *r) { return gosi_load(&r->nrun) > 0 || gosi_load(&r->inbox); }

static void wake_owner(gos_realm *r) {
  if (gosi_load(&r->idle) == REALM_IDLE && gosi_cas(&r->idle, (uint32_t)REALM_IDLE, (uint32_t)REALM_WAKING))
    gosi_m_wake(gosi_load(&r->owner));
}

void gosi_ready_home(gosi_m *m, gos_g *g) {
  (void)m;
  if (unlikely(g->flags & GF_FOREIGN)) {
    gosi_store(&g->status, (uint8_t)G_RUNNABLE);
    gosi_foreign_ready(g);
    return;
  }
  gosi_store(&g->status, (uint8_t)G_RUNNABLE); /* the monitor looks at main's */
  queue_put(g->realm, g);
  if (unlikely(gosi_load(&g->realm->idle))) wake_owner(g->realm);
  gosi_sysmon_nudge();
}

void gosi_realm_ready(gos_g *g) {
  gos_realm *r = g->realm;
  gos_g *h;
  gosi_add(&r->visitors, 1u); /* g may run at once, and its realm end: not before we are gone */
  do {
    h = gosi_load(&r->inbox);
    g->next = h;
  } while (!gosi_cas(&r->inbox, h, g)); /* pairs with the exchange in take_inbox */
  gosi_fence();                         /* pairs with the one in realm_sleep: it sees g, or we see idle */
  wake_owner(r);
  gosi_sub(&r->visitors, 1u);
  gosi_sysmon_nudge();
}

/* ---- running ---------------------------------------------------------------------------- */
static void realm_g_main(void *arg);

/* The host may have lowered its top. */
static void put_fiber(gosi_fiber *f) {
  gosi_stack_raise(f);
  gosi_stack_put(f);
}

/* A stack with host state; NULL: no memory. */
static gosi_fiber *fiber_for(gos_realm *r, gos_g *g) {
  gosi_fiber *f = r->stacks;
  if (f && g->cls == r->cls) {
    r->stacks = f->next;
    return f;
  }
  f = gosi_stack_get(g->cls);
  if (r->host.fiber_new && !(f->host = r->host.fiber_new(r->host.u, f->lo, &f->top))) {
    put_fiber(f);
    return NULL;
  }
  return f;
}

static void drop_fiber(gos_realm *r, gosi_fiber *f) {
  if (r->host.fiber_free) r->host.fiber_free(r->host.u, f->host);
  put_fiber(f);
}

/* Each of those that the realm keeps. */
static void drop_fibers(gos_realm *r, bool host_has_them) {
  for (gosi_fiber *f; (f = r->stacks);) {
    r->stacks = f->next;
    host_has_them ? drop_fiber(r, f) : put_fiber(f);
  }
}
void gosi_realm_forget_stacks(gos_realm *r) { drop_fibers(r, false); }

/* The credit of a goroutine whose stack was of class cls. */
static void credit_back(gos_realm *r, unsigned cls) {
  if (cls == r->cls)
    r->credits++;
  else
    gosi_stack_give_credits(cls, 1);
}

static void fiber_back(gos_realm *r, gosi_fiber *f) {
  if (f->cls == r->cls) {
    f->next = r->stacks;
    r->stacks = f;
  } else {
    drop_fiber(r, f);
  }
  credit_back(r, f->cls);
}

static void could_not_start(gos_realm *r, gosi_m *m, gos_g *g) {
  credit_back(r, g->cls);
  gosi_store(&r->ended, r->ended + 1);
  if (r->host.start_failed) r->host.start_failed(r->host.u, g->arg);
  gosi_g_finish(m, &r->gs, g);
}

/* g's first fiber, ready to run; NULL: g has been told that it cannot start. */
static gosi_fiber *fresh_fiber(gos_realm *r, gosi_m *m, gos_g *g) {
  gosi_fiber *f = fiber_for(r, g);
  if (f)
    gosi_context_make(&g->ctx, f->lo, f->top, realm_g_main, g);
  else
    could_not_start(r, m, g);
  return f;
}
static bool give_fiber(gos_realm *r, gosi_m *m, gos_g *g) {
  gosi_fiber *f = fresh_fiber(r, m, g);
  gosi_store(&g->fiber, f); /* a dump may be looking */
  return f != NULL;
}

/* Leaves from, whose host state is from_state, for g. False: g could not start. */
static bool run_on(gos_realm *r, gosi_m *m, gosi_context *from, void *from_state, gos_g *g) {
  if (unlikely(!g->fiber && g != r->main) && !give_fiber(r, m, g)) return false;
  gosi_context_settle(&g->ctx);
  void *state = state_of(g);
  gosi_store(&r->cur, g);
  gosi_store(&r->cur_state, state);
  gosi_store(&r->tick, r->tick + 1);
  gosi_store(&g->status, (uint8_t)G_RUNNING);
  m->cur = g;
  if (g == r->main) gosi_store(&r->main_m, m);
  host_swap(r, from_state, state);
  gosi_context_switch(from, &g->ctx, false);
  return true;
}

static void to_loop(gos_realm *r, gosi_m *m, gos_g *g) {
  m->cur = NULL;
  host_swap(r, state_of(g), m->host);
  gosi_context_switch(&g->ctx, &m->g0, false);
}

/* Main prefers its own thread: thread-local data, and libraries that insist on it. */
ALWAYS_INLINE bool wants_home(gos_realm *r, gosi_m *m, gos_g *g) {
  return g == r->main && m != r->home && gosi_load(&r->home->in_list);
}

/* Where goroutines are locked to threads: those run nothing else, and elsewhere nothing runs that is locked. */
static NOINLINE bool wrong_thread(gos_realm *r, gosi_m *m, gos_g *g) {
  if (g->flags & GF_LOCKED) return g->m != m;
  return m->locked || (wants_home(r, m, g) && !r->home->locked);
}

ALWAYS_INLINE bool elsewhere(gos_realm *r, gosi_m *m, gos_g *g) {
  return unlikely(r->locks) ? wrong_thread(r, m, g) : wants_home(r, m, g);
}

static void park(gos_realm *r, gosi_m *m, gos_g *g) {
  while (gosi_load(&r->owner) == m) {
    gos_g *n = queue_take(r, m);
    if (n == g) { /* readied already */
      gosi_store(&r->tick, r->tick + 1);
      gosi_store(&g->status, (uint8_t)G_RUNNING);
      return;
    }
    if (!n) break;
    if (unlikely(elsewhere(r, m, n))) {
      m->next_g = n;
      break;
    }
    if (likely(run_on(r, m, &g->ctx, state_of(g), n))) return;
  }
  to_loop(r, m, g);
}

static bool yield(gos_realm *r, gosi_m *m, gos_g *g) {
  if (gosi_load(&r->owner) != m) { /* back to the others, through the queue */
    gosi_ready_home(m, g);
    to_loop(r, m, g);
    return true;
  }
  gos_g *n;
  do {
    if (!(n = queue_take(r, m))) return false;
    if (unlikely(elsewhere(r, m, n))) {
      queue_put(r, g);
      m->next_g = n;
      to_loop(r, m, g);
      return true;
    }
    if (!n->fiber && n != r->main && !give_fiber(r, m, n)) n = NULL;
  } while (!n);
  queue_put(r, g);
  run_on(r, m, &g->ctx, state_of(g), n);
  return true;
}

/* Locks g to its thread for a wait where the host asks for it. */
ALWAYS_INLINE bool tie(gos_realm *r, gosi_m *m, gos_g *g) {
  if (!r->host.tied || (g->flags & GF_LOCKED) || likely(!r->host.tied(r->host.u, state_of(g)))) return false;
  return gosi_realm_lock(m, g);
}

void gosi_realm_park(gosi_m *m) {
  gos_g *g = m->cur;
  bool tied = tie(g->realm, m, g);
  park(g->realm, m, g);
  if (unlikely(tied)) gosi_realm_unlock(g->m, g);
}

bool gosi_realm_yield(gosi_m *m, gos_g *g) {
  bool tied = tie(g->realm, m, g), switched = yield(g->realm, m, g);
  if (unlikely(tied)) gosi_realm_unlock(g->m, g);
  return switched;
}

/* On its own stack, with the host's lock. */
static gosi_fiber *finish(gos_realm *r, gosi_m *m, gos_g *g) {
  gosi_fiber *f = g->fiber;
  gosi_store(&g->fiber, (gosi_fiber *)NULL);
  if (unlikely(g->flags & GF_LOCKED)) gosi_realm_unlock(m, g);
  gosi_store(&r->ended, r->ended + 1);
  gosi_g_finish(m, &r->gs, g);
  return f;
}

static _Noreturn void leave_for_good(gos_realm *r, gosi_m *m, gosi_fiber *f, gosi_context *ctx, gos_g *next) {
  void *from = f ? f->host : r->host.main_state;
  if (next && (next->fiber || next == r->main) && f && f->cls == r->cls && !GOSI_TSAN && !GOSI_ASAN &&
      !elsewhere(r, m, next)) {
    fiber_back(r, f); /* only this thread can take it, after it has left it */
    run_on(r, m, &m->junk, from, next);
  }
  m->cur = NULL;
  m->next_g = next;
  m->dead = f;
  m->dead_ctx = *ctx;
  host_swap(r, from, m->host);
  gosi_context_switch(&m->junk, &m->g0, true);
  gosi_fatal("a dead goroutine ran");
}

static void realm_g_main(void *arg) {
  gos_g *g = arg;
  gosi_context_entered(&g->ctx);
  for (;;) {
    gosi_g_run(g);
    gosi_m *m = gosi_self_m();
    gos_realm *r = g->realm;
    gosi_context ctx = g->ctx;
    gosi_fiber *f = finish(r, m, g);
    gos_g *n = gosi_load(&r->owner) == m ? queue_take(r, m) : NULL;
    bool pass_on =
        n && !n->fiber && n->cls == f->cls && !elsewhere(r, m, n) && n != r->main && !GOSI_TSAN && !GOSI_ASAN;
    if (!pass_on) leave_for_good(r, m, f, &ctx, n);
    /* The next one is fresh: it goes on with this stack and host state. */
    credit_back(r, f->cls);
    gosi_store(&n->fiber, f);
    gosi_store(&r->cur, n);
    gosi_store(&r->tick, r->tick + 1);
    gosi_store(&n->status, (uint8_t)G_RUNNING);
    m->cur = n;
    g = n;
  }
}

void gosi_realm_end(gosi_m *m, gos_g *g) {
  gos_realm *r = g->realm;
  gosi_context ctx = g->ctx;
  gosi_fiber *f = finish(r, m, g);
  leave_for_good(r, m, f, &ctx, NULL);
}

/* ---- the loop of a realm's thread --------------------------------------------------------------- */
static void remove_idle_locked(gos_realm *r, gosi_m *m) {
  if (!m->in_list) return;
  gosi_m **at = &r->idle_ms;
  while (*at != m) at = &(*at)->link;
  *at = m->link;
  gosi_store(&m->in_list, false);
}

/* Ends main's wait so that it runs host code. [host] */
static void kick_main(gos_realm *r, int why) {
  gos_g *g = r->main;
  if (gosi_load(&g->status) != G_WAITING || !gosi_cas(&g->claim, 0u, 1u)) return;
  g->result = why;
  gosi_ready_home(NULL, g);
}

static void report_deadlock(gos_realm *r) {
  if (gosi_load(&r->main->status) != G_WAITING) return;
  if (r->host.alone && !r->host.alone(r->host.u)) return;
  if (!gosi_deadlock_stands(r)) return; /* after that: what a thread that has just gone did is seen */
  size_t n;
  char *text = gosi_dump_text("all goroutines are asleep - deadlock!\n", &n);
  free(r->deadlock);
  r->deadlock = text;
  kick_main(r, GOS_DEADLOCK);
}

static void do_tasks(gos_realm *r, gosi_m *m) {
  uint32_t task = gosi_exchange(&m->task, 0u);
  bool due = gosi_load(&r->timers.next) <= gosi_os_now();
  if (task & M_TAKE) {
    gosi_store(&r->handing, 0u);
    if (r->tick == m->task_tick && (has_work(r) || due) && !gosi_load(&r->idle) && r->owner != m) {
      gosi_store(&r->owner, m);
      gosi_store(&r->tick, r->tick + 1);
      gosi_store(&r->handoffs, r->handoffs + 1);
    }
  }
  if (task & M_DEADLOCK) report_deadlock(r);
  if (task & M_KICK) gosi_store(&r->kicking, 0u);
  if ((task & M_KICK) || (r->host.pending && r->host.pending(r->host.u))) kick_main(r, GOS_AGAIN);
  /* The owner sleeps, there is work, and this thread is awake: no need to wake the other. (Taking what was given would
     leave that goroutine to a thread that waits for the host's lock, and main might never let that go: it yields to an
     empty queue.) */
  uint32_t idle = gosi_load(&r->idle);
  if (r->owner != m && idle && idle != REALM_GIVEN && has_work(r)) gosi_store(&r->owner, m);
  if (r->owner == m) gosi_store_seq(&r->idle, (uint32_t)REALM_BUSY);
}

static _Noreturn void sleep_for_ever(void) {
  uint32_t never = 0;
  for (;;) gosi_os_wait(&never, 0, GOS_FOREVER);
}

static void count_thread(gos_realm *r, int d) {
  gosi_add(&r->nms, d);
  gosi_add(&r->awake, d);
  gosi_lock_take(&gosi_rt.lock);
  gosi_rt.nthreads += d;
  gosi_lock_drop(&gosi_rt.lock);
}

/* Some 20 us of looking for what another realm's thread may be about to ready: to be woken takes longer,
   and costs the waker more. Only a thread that serves nobody else may, and it goes on as long as it pays. */
static bool spin(gos_realm *r) {
  enum { LOOKS = 400, PAYS = 8, SELDOM = 16 };
  if (!(r->host.flags & GOS_HOST_PINNED) || !gosi_rt.many_cpus) return false;
  if (!r->spins && ++r->sleeps % SELDOM) return false;
  for (int i = 0; i < LOOKS; i++) {
    if (gosi_load(&r->inbox)) {
      r->spins = PAYS;
      return true;
    }
    if (unlikely((i & 63) == 63 && gosi_load(&r->timers.next) <= gosi_os_now())) return true;
    gosi_pause();
  }
  if (r->spins) r->spins--;
  return false;
}

enum { POLL_REST = 500000 }; /* ns: what an event may wait while a goroutine blocks or computes */

static bool any_of(gos_realm *r, const gos_g *list) {
  for (; list; list = list->next)
    if (list->realm == r) return true;
  return false;
}

/* m slept in the poller and has been woken for `ready`. True: the owner, m or another thread, sleeps, and nobody else will
   wake it: m goes on in its place. Else, if another thread is the owner, it runs and looks at the poller itself: *rest
   tells m to leave that to it for a moment. To be woken for every event as well costs half of the time of two CPUs. */
static bool goes_on(gos_realm *r, gosi_m *m, const gos_g *ready, bool *rest) {
  *rest = false;
  if (!any_of(r, ready)) return false;
  bool owner = gosi_load(&r->owner) == m;
  if ((owner || !m->locked) && gosi_cas(&r->idle, (uint32_t)REALM_IDLE, (uint32_t)REALM_WAKING)) return true;
  *rest = !owner;
  return false;
}

static void realm_sleep(gos_realm *r, gosi_m *m) {
  gos_ns until = GOS_FOREVER;
  bool owner = gosi_load(&r->owner) == m;
  if (owner) {
    if (gosi_load(&gosi_rt.nrealms) > 1 && spin(r)) return;
    gosi_sysmon_start(); /* a fork's child has none yet, and nobody else would tell a deadlock */
    gosi_store(&r->cur, (gos_g *)NULL);
    gosi_store(&r->tick, r->tick + 1);
    gosi_store_seq(&r->idle, (uint32_t)REALM_IDLE);
    gosi_fence(); /* pairs with the one in gosi_realm_ready */
    if (gosi_load_seq(&r->inbox)) {
      gosi_store_seq(&r->idle, (uint32_t)REALM_BUSY);
      return;
    }
    until = gosi_load(&r->timers.next);
  }
  gosi_lock_take(&r->lock);
  m->link = r->idle_ms;
  r->idle_ms = m;
  gosi_store(&m->in_list, true);
  gosi_lock_drop(&r->lock);
  if (r->host.detach) r->host.detach(r->host.u, m->host);
  gosi_sub(&r->awake, 1);
  bool look = false;
  while (!gosi_load_acquire(&m->wake) && !look) {
    gos_g *ready;
    int e = gosi_m_wait(m, until, &ready);
    if (e == GOS_TIMEDOUT || e == GOS_AGAIN) look = true;
    if (!ready) continue;
    bool rest;
    look |= goes_on(r, m, ready, &rest);
    gosi_ready_list(m, ready);
    if (rest) gosi_os_wait(&m->wake, 0, gosi_os_now() + POLL_REST);
  }
  gosi_add(&r->awake, 1);
  gosi_lock_take(&r->lock);
  remove_idle_locked(r, m);
  gosi_lock_drop(&r->lock);
  gosi_store(&m->wake, 0u);
  gosi_sysmon_nudge();
  if (gosi_load_acquire(&r->closed)) sleep_for_ever();
  if (r->host.attach) r->host.attach(r->host.u, m->host);
  if (gosi_load_acquire(&r->closed)) {
    if (r->host.detach) r->host.detach(r->host.u, m->host);
    sleep_for_ever();
  }
  do_tasks(r, m);
}

static void give_queue(gos_realm *r, gosi_m *to, gos_g *g) {
  to->next_g = g;
  gosi_store(&r->owner, to);
  gosi_store_seq(&r->idle, (uint32_t)REALM_GIVEN);
}

/* Gives the queue to the home thread, to run main there. False: it is not asleep any more. */
static bool send_home(gos_realm *r, gos_g *g) {
  gosi_lock_take(&r->lock);
  bool there = r->home->in_list;
  if (there) remove_idle_locked(r, r->home);
  gosi_lock_drop(&r->lock);
  if (!there) return false;
  give_queue(r, r->home, g);
  gosi_m_wake(r->home);
  return true;
}

/* Gives the queue to the thread that g is locked to. It does not run: it sleeps, or has been woken and is about to
   take the host's lock, and then finds g. */
static void send_locked(gos_realm *r, gos_g *g) {
  gosi_m *to = g->m;
  gosi_lock_take(&r->lock);
  bool there = to->in_list;
  if (there) remove_idle_locked(r, to);
  gosi_lock_drop(&r->lock);
  give_queue(r, to, g);
  if (there) gosi_m_wake(to);
}

static void *thread_main(void *arg);

/* A thread for g, with host state. NULL: none can be had. */
static gosi_m *new_thread_for(gos_realm *r, gos_g *g) {
  if (gosi_load(&r->nms) >= gosi_load(&gosi_rt.maxthreads)) return NULL;
  gosi_m *m = gosi_m_new();
  void *state = m && r->host.thread_new ? r->host.thread_new(r->host.u) : NULL;
  if (!m || (r->host.thread_new && !state)) {
    gosi_free(m);
    return NULL;
  }
  m->realm = r;
  m->host = state;
  m->next_g = g;
  count_thread(r, 1);
  if (gosi_os_thread(thread_main, m, THREAD_STACK) == GOS_OK) return m;
  count_thread(r, -1);
  gosi_free(m);
  return NULL;
}

/* g's thread is not this one, which is locked to another goroutine: gives the queue to one that is not. */
static bool send_off(gos_realm *r, gos_g *g) {
  gosi_lock_take(&r->lock);
  gosi_m *m = r->idle_ms;
  while (m && m->locked) m = m->link;
  if (m) remove_idle_locked(r, m);
  gosi_lock_drop(&r->lock);
  bool wake = m != NULL;
  if (!m && !(m = new_thread_for(r, g))) return false; /* then it runs here: better than not at all */
  give_queue(r, m, g);
  if (wake) gosi_m_wake(m);
  return true;
}

/* False: g is to run here after all. */
static bool send_elsewhere(gos_realm *r, gosi_m *m, gos_g *g) {
  if (g->flags & GF_LOCKED) {
    send_locked(r, g);
    return true;
  }
  return m->locked ? send_off(r, g) : send_home(r, g);
}

void gosi_realm_loop(gosi_m *m) {
  gos_realm *r = m->realm;
  for (;;) {
    if (m->dead) {
      gosi_context_free(&m->dead_ctx);
      fiber_back(r, m->dead);
      m->dead = NULL;
    }
    gos_g *g = m->next_g;
    m->next_g = NULL;
    if (!g && gosi_load(&r->owner) == m) g = queue_take(r, m);
    if (!g)
      realm_sleep(r, m);
    else if (!elsewhere(r, m, g) || !send_elsewhere(r, m, g))
      run_on(r, m, &m->g0, m->host, g);
  }
}

static void *thread_main(void *arg) {
  gosi_m *m = arg;
  gos_realm *r = m->realm;
  gosi_tls_m = m;
  gosi_os_name_thread("gossamer-realm");
  gosi_store(&m->tid, gosi_os_tid());
  gosi_os_users_signals(); /* goroutines start programs, which inherit the mask */
  gosi_os_alt_stack();
  gosi_context_adopt(&m->g0);
  if (!m->host && r->host.thread_new && !(m->host = r->host.thread_new(r->host.u))) {
    gosi_store(&r->handing, 0u);
    count_thread(r, -1);
    gosi_tls_m = NULL;
    gosi_free(m);
    return NULL;
  }
  if (gosi_load_acquire(&r->closed)) sleep_for_ever();
  if (r->host.attach) r->host.attach(r->host.u, m->host);
  if (gosi_load_acquire(&r->closed)) {
    if (r->host.detach) r->host.detach(r->host.u, m->host);
    sleep_for_ever();
  }
  do_tasks(r, m);
  gosi_realm_loop(m);
  return NULL;
}

static void home_main(void *arg) {
  gosi_m *m = arg;
  gosi_context_entered(&m->g0);
  if (m->realm)
    gosi_realm_loop(m);
  else
    gosi_loop(m);
}

/* The calling thread's own loop gets a stack: the thread's is main's. */
char *gosi_home_context(gosi_m *m, size_t *n) {
  if (GOSI_ASAN || GOSI_TSAN) *n *= 4;
  size_t size = *n;
  char *lo = gosi_os_reserve(size);
  if (!lo) return NULL;
  if (gosi_os_guard(lo, GOSI_PAGE)) {
    gosi_os_unmap(lo, size);
    return NULL;
  }
  GOSI_STACK_BORN(lo + GOSI_PAGE, lo + size);
  gosi_context_make(&m->g0, lo + GOSI_PAGE, lo + size, home_main, m);
  return lo;
}

/* ---- the monitor's part ---------------------------------------------------------------------------- */
/* A thread for the task: one that sleeps, else a new one. Not the owner, which is stuck. */
static bool send_thread(gos_realm *r, uint32_t task) {
  gosi_lock_take(&r->lock);
  gosi_m *m = r->idle_ms;
  while (m && m->locked && (task & M_TAKE)) m = m->link; /* it would have to give the queue away again */
  if (m) remove_idle_locked(r, m);
  gosi_lock_drop(&r->lock);
  if (m) {
    m->task_tick = r->seen_tick;
    gosi_or(&m->task, task);
    gosi_m_wake(m);
    return true;
  }
  if (r->host.flags & GOS_HOST_PINNED) return false; /* no other thread may ever serve it */
  if (gosi_load(&r->nms) >= gosi_load(&gosi_rt.maxthreads) || !(m = gosi_m_new())) return false;
  m->realm = r;
  m->task = task;
  m->task_tick = r->seen_tick;
  count_thread(r, 1);
  if (gosi_os_thread(thread_main, m, THREAD_STACK) == GOS_OK) return true;
  count_thread(r, -1);
  gosi_free(m);
  return false;
}

/* A pinned realm's thread is busy: main comes next in its queue, as after gos_interrupt(). */
static void kick_from_outside(gos_g *main_g) {
  if (!gosi_cas(&main_g->claim, 0u, 1u)) return;
  main_g->result = GOS_AGAIN;
  gosi_store(&main_g->status, (uint8_t)G_RUNNABLE);
  gosi_realm_ready(main_g);
}

/* Main is in a system call that the signal did not end: it came to another thread, the one the realm began on, or just
   before the call. */
static void reach_main(gos_realm *r, gos_ns now) {
  enum { AGAIN = 5000000 };
  gosi_m *m = gosi_load(&r->main_m);
  if (now - r->reached < AGAIN || !r->host.pending(r->host.u)) return;
  if (!gosi_os_thread_blocked(gosi_load(&m->tid))) return; /* it computes, and will look */
  r->reached = now;
  gosi_os_interrupt(gosi_load(&m->tid));
}

static bool look_at(gos_realm *r, gos_ns now) {
  gos_g *main_g = r->main;
  if (r->host.pending && gosi_load(&main_g->status) == G_RUNNING) reach_main(r, now);
  if (r->host.pending && gosi_load(&main_g->status) == G_WAITING && !gosi_load(&r->kicking) &&
      r->host.pending(r->host.u)) {
    gosi_store(&r->kicking, 1u);
    if (!send_thread(r, M_KICK)) {
      gosi_store(&r->kicking, 0u);
      if (r->host.flags & GOS_HOST_PINNED) kick_from_outside(main_g);
    }
  }
  uint32_t tick = gosi_load(&r->tick);
  if (tick != r->seen_tick || gosi_load(&r->idle)) {
    r->seen_tick = tick;
    r->seen_since = now;
    return !gosi_load(&r->idle) && has_work(r);
  }
  bool due = gosi_load(&r->timers.next) <= now;
  if (!has_work(r) && !due) return false;
  bool pinned = r->host.flags & GOS_HOST_PINNED;
  if ((pinned && !r->host.stuck) || gosi_load(&r->handing)) return false;
  gos_g *g = gosi_load(&r->cur);
  gos_ns age = now - r->seen_since;
  if (!g || age < MIN_AGE) return !pinned;
  if (pinned) { /* it is told, and may see to it that its goroutine lets go; there is no hurry */
    r->host.stuck(r->host.u, gosi_load(&r->cur_state), age);
    return false;
  }
  if (r->host.stuck && !r->host.stuck(r->host.u, gosi_load(&r->cur_state), age)) return true;
  gosi_store(&r->handing, 1u);
  if (!send_thread(r, M_TAKE)) gosi_store(&r->handing, 0u);
  return true;
}

static bool watch(gos_realm *r, gos_ns now, gos_ns *next) {
  bool hot = false;
  if (gosi_load_acquire(&r->closed)) return false;
  gosi_store_seq(&r->watched, 1u); /* pairs with leave_alone */
  gosi_fence();
  if (!gosi_load_seq(&r->closed)) {
    gos_ns due = gosi_load(&r->timers.next);
    if (due > now && due < *next) *next = due;
    hot = look_at(r, now);
  }
  gosi_store_release(&r->watched, 0u);
  return hot;
}

void gosi_realm_timer_first(gosi_timers *ts) {
  gos_realm *r = (gos_realm *)((char *)ts - offsetof(gos_realm, timers));
  wake_owner(r); /* it sleeps until a later time */
}

bool gosi_realm_watch(gos_ns now, gos_ns *next) {
  bool hot = false;
  *next = GOS_FOREVER;
  for (gos_realm *r = gosi_load_acquire(&gosi_rt.realms); r; r = r->link) hot |= watch(r, now, next);
  return hot;
}

static bool asleep(gos_realm *r) {
  return gosi_load(&r->idle) == REALM_IDLE && !gosi_load(&r->awake) && !gosi_load(&r->inbox);
}

bool gosi_realms_asleep(void) {
  for (gos_realm *r = gosi_load_acquire(&gosi_rt.realms); r; r = r->link)
    if (!gosi_load_acquire(&r->closed) && !asleep(r)) return false;
  return true;
}

/* The one that reports has one thread awake. */
static bool quiet(gos_realm *r, bool reports) {
  if (gosi_load(&r->timers.next) != GOS_FOREVER) return false;
  return reports ? gosi_load(&r->awake) == 1 && !has_work(r) : asleep(r);
}
bool gosi_realms_quiet(const gos_realm *reporting) {
  for (gos_realm *r = gosi_load_acquire(&gosi_rt.realms); r; r = r->link)
    if (!gosi_load_acquire(&r->closed) && !quiet(r, r == reporting)) return false;
  return true;
}

bool gosi_realm_ask_deadlock(void) {
  gos_realm *r = gosi_load_acquire(&gosi_rt.main)->realm;
  if (!r || gosi_load_acquire(&r->closed)) return false;
  send_thread(r, M_DEADLOCK);
  return true;
}

uint64_t gosi_realm_ticks(void) {
  uint64_t n = 0;
  for (gos_realm *r = gosi_load_acquire(&gosi_rt.realms); r; r = r->link) n += gosi_load(&r->tick);
  return n;
}

uint64_t gosi_realm_count(uint64_t *created, uint64_t *switches, uint64_t *handoffs) {
  uint64_t live = 0;
  for (gos_realm *r = gosi_load_acquire(&gosi_rt.realms); r; r = r->link) {
    if (gosi_load_acquire(&r->closed) == REALM_ENDED) continue;
    uint64_t started = gosi_load(&r->created) - gosi_load(&r->ended), not_yet = gosi_load(&r->promised);
    live += started > not_yet ? started - not_yet : 0; /* they may change meanwhile */
    live += gosi_load(&r->main->status) != G_DEAD;
    *created += 1 + gosi_load(&r->created);
    *switches += gosi_load(&r->tick);
    *handoffs += gosi_load(&r->handoffs);
  }
  return live;
}

size_t gosi_realm_site(gos_g *g, char *buf, size_t n) {
  gos_realm *r = g->realm;
  if (r->host.site && g->arg && !gosi_load(&r->closed)) r->host.site(r->host.u, g->arg, buf, n);
  return strlen(buf);
}

/* ---- the binding's side -------------------------------------------------------------------------------- */
static void set(int *err, int e) {
  if (err) *err = e;
}

/* One that has ended, to be taken over, or a new one. */
static gos_realm *take_spare(void) {
  gosi_lock_take(&gosi_rt.lock);
  gos_realm *r = gosi_rt.spare_realms;
  if (r) gosi_rt.spare_realms = r->spare;
  gosi_lock_drop(&gosi_rt.lock);
  if (r) return r;
  r = gosi_alloc_aligned(sizeof *r);
  if (r) r->closed = REALM_ENDED;
  return r;
}
static void put_spare(gos_realm *r) {
  gosi_lock_take(&gosi_rt.lock);
  r->spare = gosi_rt.spare_realms;
  gosi_rt.spare_realms = r;
  gosi_lock_drop(&gosi_rt.lock);
}

/* The monitor reads some of it at any time. */
static void fill_in(gos_realm *r, const gos_host *h, unsigned cls, gosi_m *m, gos_g *g) {
  r->host = *h;
  r->cls = cls;
  gosi_timers_init(&r->timers);
  r->main = g;
  r->home = m;
  gosi_store(&r->main_m, m);
  gosi_store(&r->owner, m);
  gosi_store(&r->nms, 1);
  gosi_store(&r->awake, 1);
  gosi_store(&r->cur, g);
  gosi_store(&r->cur_state, h->main_state);
  gosi_store(&r->idle, (uint32_t)REALM_BUSY);
  gosi_store(&r->created, (uint64_t)0);
  gosi_store(&r->ended, (uint64_t)0);
}

static void drop_stacks(gos_realm *r) {
  drop_fibers(r, true);
  if (r->credits) gosi_stack_give_credits(r->cls, r->credits);
  r->credits = 0;
  gosi_stack_drop_cache();
}

/* The closed realm of which the running goroutine was the main one. NULL: there is none, or it is open. */
static gos_realm *closed_home(const gosi_m *m) {
  gos_realm *r = m ? m->realm : NULL;
  return r && m == r->home && m->cur == r->main && gosi_load(&r->closed) == REALM_CLOSED ? r : NULL;
}

/* Its thread has another realm now. Its goroutines may still stand in queues, so it stays, with the thread's part in it. */
static void leave_behind(gos_realm *r) {
  if (!r->host.fiber_free) drop_stacks(r); /* else the host, which is gone, has a part in them */
  gosi_store(&r->main->status, (uint8_t)G_DEAD);
}

gos_realm *gos_realm_new(const gos_host *h, int *err) {
  int e = GOS_OK;
  if (!h || h->size != sizeof *h) return set(err, GOS_INVAL), NULL;
  gosi_m *before = gosi_tls_m;
  gos_realm *old = closed_home(before);
  if (before && !before->foreign && !old) return set(err, GOS_PERM), NULL;
  int cls = gosi_stack_class(h->stack ? h->stack : 256 * 1024);
  if (cls < 0) return set(err, GOS_INVAL), NULL;
  if (gosi_load_acquire(&gosi_rt.started) != 2 && !gosi_runtime_start(NULL, false, &e)) return set(err, e), NULL;
  gosi_solo_end();
  gos_realm *r = take_spare();
  gosi_m *m = before && !old ? before : gosi_m_new();
  gos_g *g = gosi_g_new(NULL);
  size_t size = HOME_LOOP_STACK * 4;
  /* All that may fail comes first: a thread that used C channels before stays the foreign one it is. */
  char *lo = r && m && g ? gosi_home_context(m, &size) : NULL;
  void *state = lo && h->thread_new ? h->thread_new(h->u) : NULL;
  if (!lo || (h->thread_new && !state)) {
    if (lo) gosi_os_unmap(lo, size);
    if (g) gosi_g_unref(NULL, g);
    if (m != before) gosi_free(m);
    if (r && r->listed)
      put_spare(r);
    else
      gosi_free(r);
    return set(err, GOS_NOMEM), NULL;
  }
  fill_in(r, h, (unsigned)cls, m, g);
  r->home_stack = lo;
  r->home_stack_size = size;
  bool was_foreign = m->foreign;
  m->foreign = false;
  gosi_store(&g->realm, r);
  gosi_store(&g->flags, (uint8_t)GF_MAIN);
  gosi_store(&g->id, gosi_g_next_id(NULL));
  gosi_store(&g->refs, 2u);
  gosi_store(&g->status, (uint8_t)G_RUNNING);
  m->realm = r;
  m->host = state;
  m->is_home = true;
  gosi_store(&m->tid, gosi_os_tid());
  m->cur = g;
  gosi_context_adopt(&g->ctx);
  gosi_tls_m = m;
  gosi_os_alt_stack();
  gosi_stack_new_cache();
  gosi_lock_take(&gosi_rt.lock);
  if (!gosi_rt.main || (old && gosi_rt.main == old->main)) gosi_store_release(&gosi_rt.main, g);
  if (was_foreign) /* not before others see that its realm runs: it would count for nothing */
    gosi_rt.nforeign--;
  else if (!old)
    gosi_rt.nthreads++;
  gosi_add(&gosi_rt.nrealms, 1);
  gosi_store_release(&r->closed, (uint32_t)REALM_OPEN);
  if (!r->listed) {
    r->listed = true;
    r->link = gosi_rt.realms;
    gosi_store_release(&gosi_rt.realms, r); /* pairs with the loads above */
  }
  gosi_lock_drop(&gosi_rt.lock);
  if (old) leave_behind(old);
  gosi_sysmon_start();
  return r;
}

/* The monitor, and threads that have just readied a goroutine of it, are not looking at r any more. */
static void leave_alone(gos_realm *r) {
  gosi_fence(); /* pairs with the one in watch: it sees that r is closed, or we see it there */
  while (gosi_load_acquire(&r->watched) || gosi_load_acquire(&r->visitors)) gosi_os_nap(1000);
}

void gos_realm_close(gos_realm *r) {
  gosi_store_seq(&r->closed, (uint32_t)REALM_CLOSED);
  leave_alone(r);
}

int gos_realm_end(gos_realm *r) {
  gosi_m *m = gosi_tls_m;
  gos_g *g = r->main;
  if (!m || m != r->home || m->cur != g || g == gosi_rt.main || gosi_load(&r->nms) != 1) return GOS_PERM;
  if (gosi_load(&r->created) != gosi_load(&r->ended) || gosi_load(&r->timers.n)) return GOS_PERM;
  if (m->foreign_g) { /* first: a thread that counts for nothing would let others look asleep for good */
    gosi_lock_take(&gosi_rt.lock);
    gosi_rt.nforeign++;
    gosi_lock_drop(&gosi_rt.lock);
  }
  gos_realm_close(r);
  drop_stacks(r);
  gosi_gcache_empty(&r->gs);
  free(r->timers.heap);
  r->timers.heap = NULL;
  free(r->deadlock);
  r->deadlock = NULL;
  gosi_g_finish(m, NULL, g);
  gosi_g_unref(NULL, g); /* the binding's, of gos_realm_main() */
  gosi_context_free(&m->g0);
  GOSI_STACK_GONE(r->home_stack, r->home_stack_size);
  gosi_os_unmap(r->home_stack, r->home_stack_size);
  m->realm = NULL;
  m->host = NULL;
  m->is_home = false;
  m->cur = m->foreign_g;
  m->foreign = m->foreign_g != NULL;
  if (!m->foreign) {
    gosi_os_alt_stack_free();
    gosi_lock_take(&gosi_rt.lock);
    gosi_rt.nthreads--;
    gosi_lock_drop(&gosi_rt.lock);
    gosi_tls_m = NULL;
    gosi_free(m);
  }
  gosi_sub(&gosi_rt.nrealms, 1);
  gosi_store_release(&r->closed, (uint32_t)REALM_ENDED);
  put_spare(r);
  return GOS_OK;
}

int gos_realm_enter(gos_realm *r, void *state) {
  gosi_m *m = gosi_tls_m;
  if (!m && !(m = gosi_foreign_attach())) return GOS_NOMEM;
  if (m->realm == r) {
    if (m->foreign) m->host = state;
    return GOS_OK;
  }
  if (!m->foreign || m->realm) return GOS_PERM;
  m->realm = r;
  gosi_store(&m->foreign_g->realm, r);
  m->host = state;
  return GOS_OK;
}

/* A goroutine that is in no queue yet. */
static int fresh_g(gos_realm *r, const char *name, size_t stack, void (*fn)(void *), void *arg, gos_g **out) {
  unsigned cls = r->cls;
  if (!fn) return GOS_INVAL;
  gosi_sysmon_start(); /* a fork's child has none yet */
  if (stack) {
    int c = gosi_stack_class(stack);
    if (c < 0) return GOS_INVAL;
    cls = (unsigned)c;
  }
  if (cls != r->cls) {
    if (!gosi_stack_take_credits(cls, 1)) return GOS_NOMEM;
  } else if (unlikely(r->credits == 0) && !(r->credits = gosi_stack_take_credits(cls, STACK_CREDITS))) {
    return GOS_NOMEM;
  }
  gos_g *g = gosi_g_new(&r->gs);
  gosi_extra *x = g && name ? gosi_g_extra(g) : NULL;
  gosi_m *m = gosi_tls_m;
  bool labels = m && m->cur && (m->cur->flags & GF_LABELS);
  if (unlikely(!g || (name && !x) || (labels && !gosi_labels_inherit(m->cur, g)))) {
    if (g) gosi_g_unref(&r->gs, g);
    if (cls != r->cls) gosi_stack_give_credits(cls, 1);
    return GOS_NOMEM;
  }
  if (cls == r->cls) r->credits--;
  if (x) snprintf(x->name, sizeof x->name, "%s", name);
  gosi_store(&g->realm, r);
  g->fn = fn;
  g->arg = arg;
  g->cls = (uint8_t)cls;
  gosi_store(&g->site, NULL);
  gosi_store(&g->creator, m && m->cur ? m->cur->id : 0);
  gosi_store(&g->id, gosi_g_next_id(&r->ids));
  gosi_store(&r->created, r->created + 1);
  gosi_store(&g->ctx.sp, NULL);
  *out = g;
  return GOS_OK;
}

int gos_realm_go(gos_realm *r, const char *name, size_t stack, void (*fn)(void *), void *arg, gos_g **out) {
  gos_g *g;
  int e = fresh_g(r, name, stack, fn, arg, &g);
  if (e) return e;
  if (out) {
    gosi_store(&g->refs, 2u);
    *out = g;
  }
  gosi_ready_home(gosi_tls_m, g);
  return GOS_OK;
}

int gos_realm_free_stacks(gos_realm *r) {
  drop_fibers(r, true);
  return gosi_stack_discard();
}
void gos_realm_seed(gos_realm *r, uint64_t seed) {
  (void)r; /* whose lock is held */
  gosi_store(&gosi_rt.seed, seed);
  gosi_store(&gosi_rt.seeded, true);
  gosi_tls_m->rand = gosi_rand_state(seed, 0);
}
int gos_free_stacks(void) { return gosi_stack_discard(); }
gos_g *gosi_realm_promise(gos_realm *r, void (*fn)(void *), void *arg) {
  gos_g *g;
  if (fresh_g(r, NULL, 0, fn, arg, &g)) return NULL;
  gosi_add(&r->promised, UINT64_C(1));
  return g;
}
void gosi_realm_keep(gosi_m *m, gos_g *g) {
  gosi_sub(&g->realm->promised, UINT64_C(1));
  gosi_ready(m, g);
}
void gosi_realm_take_back(gos_g *g) {
  gos_realm *r = g->realm;
  gosi_sub(&r->promised, UINT64_C(1));
  gosi_store(&r->ended, r->ended + 1);
  credit_back(r, g->cls);
  gosi_g_unref(&r->gs, g);
}

gos_g *gos_self(void) {
  gosi_m *m = gosi_tls_m;
  return m && m->cur && !(m->cur->flags & GF_FOREIGN) ? m->cur : NULL;
}
gos_g *gos_caller(void) {
  gosi_m *m = gosi_enter();
  gos_g *g = gos_g_retain(m->cur);
  gosi_leave_m(m);
  return g;
}
gos_g *gos_realm_main(gos_realm *r) { return r->main; }
void *gos_g_arg(gos_g *g) { return gosi_load(&g->flags) & (GF_MAIN | GF_FOREIGN) ? NULL : g->arg; }
uint64_t gos_g_id(gos_g *g) { return g->id; }
int gos_g_alive(gos_g *g) {
  uint8_t s = gosi_load_acquire(&g->status); /* pairs with the store in gosi_g_finish */
  return s != G_DEAD && s != G_FREE;
}
gos_g *gos_g_retain(gos_g *g) {
  gosi_add(&g->refs, 1u);
  return g;
}
const char *gos_realm_deadlock(gos_realm *r) { return r->deadlock ? r->deadlock : gos_strerror(GOS_DEADLOCK); }
