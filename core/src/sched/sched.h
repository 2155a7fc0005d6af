/* The scheduler: G (goroutine), M (OS thread), P (the right to run goroutines). L3.
 *
 * Always true:
 *   - a G is in exactly one place: running on an M, in one run queue, waiting (reachable
 *     from what it waits for), or dead
 *   - a P has at most one M; an M runs goroutines of no realm only while it has a P
 *   - g->ctx.sp is 0 from the moment g prepares to wait until its M has left its stack;
 *     whoever continues g waits for that (gosi_context_settle)
 *   - an M that is inside the runtime (in_rt) keeps its P; one that is in user code may
 *     lose it to the monitor and learns so at its next entry (lost)
 *
 * Realms (a host language's goroutines) have a queue and threads of their own: realm.c.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_SCHED_H
#define GOSI_SCHED_H

#include "asm/switch.h"
#include "base/lock.h"
#include "base/rand.h"
#include "gossamer/host.h"
#include "os/os.h"
#include "sched/timers.h"
#include "stack/stack.h"

typedef struct gosi_m gosi_m;
extern gos_ns gosi_coarse; /* the time of the monitor's last look */
typedef struct gosi_p gosi_p;
typedef struct gosi_waiter gosi_waiter;

/* ---- waiting ------------------------------------------------------------------- */
/* Wait reasons in Go's words; the text table is in g.c. */
enum gosi_reason {
  WAIT_NONE,
  WAIT_SEND,
  WAIT_RECV,
  WAIT_SEND_NIL,
  WAIT_RECV_NIL,
  WAIT_SELECT,
  WAIT_SELECT_NONE,
  WAIT_SLEEP,
  WAIT_MUTEX,
  WAIT_WAITGROUP,
  WAIT_RWMUTEX_LOCK,
  WAIT_RWMUTEX_RLOCK,
  WAIT_COND,
  WAIT_JOIN,
  WAIT_ONCE,
  WAIT_SEMAPHORE,
  WAIT_IO,
  WAIT_REASONS
};

/* Who may end a wait, and how they agree that only one does. */
enum gosi_claim_mode {
  CLAIM_NONE,  /* only the holder of the queue's lock: being dequeued is the claim */
  CLAIM_PLAIN, /* several, but all under the host's lock; not for main, which the monitor may kick */
  CLAIM_ATOMIC
};

/* One goroutine's place in one queue. Lives on the waiting goroutine's stack or in the G. */
struct gosi_waiter {
  gosi_waiter *next, *prev;
  gos_g *g;
  void *elem; /* where the value goes or comes from */
  union {
    gos_chan *c;
    const void *key; /* parking lot */
  };
  int index;    /* which select case */
  uint8_t mode; /* enum gosi_claim_mode */
  bool queued;
  bool ok;        /* false: woken by close */
  uint8_t events; /* of a file descriptor: waited for; then found */
};

typedef struct gosi_waitq {
  gosi_waiter *head, *tail;
} gosi_waitq;

ALWAYS_INLINE void gosi_waitq_put(gosi_waitq *q, gosi_waiter *w) {
  w->next = NULL;
  w->prev = q->tail;
  w->queued = true;
  if (q->tail)
    q->tail->next = w;
  else
    gosi_store(&q->head, w); /* select's default looks at it without the lock */
  q->tail = w;
}
ALWAYS_INLINE void gosi_waitq_remove(gosi_waitq *q, gosi_waiter *w) {
  if (!w->queued) return;
  w->queued = false;
  if (w->prev)
    w->prev->next = w->next;
  else
    gosi_store(&q->head, w->next);
  if (w->next)
    w->next->prev = w->prev;
  else
    q->tail = w->prev;
}

/* ---- G ----------------------------------------------------------------------------- */
enum gosi_status { G_FREE, G_RUNNABLE, G_RUNNING, G_WAITING, G_DEAD };
enum {
  GF_MAIN = 1, /* these two are fixed before the G is seen by others */
  GF_FOREIGN = 2,
  GF_OBEYS = 4,   /* these are its own: its next wait may be ended by a context, from any thread */
  GF_LOCKED = 8,  /* to g->m */
  GF_LABELS = 16, /* it has some, which those it starts inherit */
  GF_COLD = 32,   /* its stack may be frozen: gosi_stack_thaw before it continues. See freeze.c */
  GF_STAYS = 64   /* it is not to be frozen; its own */
};
/* The result of a wait that a context ended; never leaves the library. */
enum { GOSI_ENDED = -90 };
/* The same: what the wait began with has changed, it has to begin anew. Only for select. */
enum { GOSI_RETRY = -91 };

typedef struct gosi_defer {
  struct gosi_defer *next;
  void (*fn)(void *);
  void *arg;
  bool framed; /* lives on the goroutine's stack: gosi_defer_push */
} gosi_defer;

/* A set of labels: see labels.c. */
typedef struct gosi_labels {
  uint32_t refs;
  size_t n;    /* bytes in text */
  char text[]; /* key, value, key, value, ... each ended by 0; sorted by key */
} gosi_labels;
typedef struct gosi_panic gosi_panic;

/* What few goroutines need. */
typedef struct gosi_extra {
  char name[64];
  gosi_labels *labels; /* see labels.c */
  void *local[GOS_G_LOCALS];
  gosi_panic *panics; /* the panics in progress, the last one first */
  gos_chan *done;
  void (*on_end)(gos_chan *done, bool forget); /* closes it, or gives it up */
} gosi_extra;

/* Laid out by use, a cache line each: what a start, a run and an end need; who it is; its waits. */
struct gos_g {
  gosi_context ctx;
  gos_g *next; /* run queue or free list */
  union {
    void (*fn)(void *);
    gosi_m *m; /* foreign, or locked to it (it runs then, and fn has been read): its thread */
  };
  void *arg;
  gosi_fiber *fiber;
  gos_realm *realm; /* whose goroutine it is; NULL: C's own */
  uint8_t status, reason, flags, cls;
  uint32_t refs;  /* one for running, one a handle */
  uint32_t claim; /* 0 while a claimable wait may be ended */
  int result;     /* why the wait ended: GOS_OK, GOS_TIMEDOUT, GOS_CANCELED, ... */

  uint64_t id, creator;
  void *site; /* return address of the gos_go call */
  gosi_extra *extra;
  gosi_defer *defers;
  gosi_waitq joiners;
  gosi_lock lock;      /* guards joiners and the step to G_DEAD */
  uint8_t interrupted; /* gos_interrupt came between two waits */
  uint8_t ended;       /* the context it obeys ended between two waits */

  gosi_waiter w; /* for waits on a single queue; w.g is the goroutine itself, always */
  gosi_waiter *fired;
  gos_ns since; /* roughly, when it began to wait */

  gosi_timer timer; /* of a wait with a deadline */
} __attribute__((aligned(CACHE_LINE)));

/* Free Gs: n at head, and a batch that waits to be used or given back. */
typedef struct gosi_gcache {
  gos_g *head, *batch;
  int n;
} gosi_gcache;

/* Numbers set aside, so that a shared counter is not touched for each goroutine. */
typedef struct gosi_ids {
  uint64_t next, end;
} gosi_ids;

/* ---- P --------------------------------------------------------------------------------- */
enum { RING = GOSI_HARD ? 4 : 256, PILE = RING };

enum gosi_p_state {
  P_RETIRED, /* beyond GOMAXPROCS, or not begun yet: caches empty */
  P_IDLE,    /* in the idle list */
  P_TAKEN    /* a thread has it, or is about to */
};

struct gosi_p {
  gos_g *runnext; /* runs next: the one just readied */
  /* Whom runnext was taken from, the latest on top: what was just touched is still in the cache, and a
     tree of goroutines is walked depth first. Only the P's thread comes here; the oldest go to the ring
     when others are looking for work. Oldest at pile[bottom % PILE], free at pile[top % PILE]. */
  uint32_t bottom, top;
  uint32_t head, tail; /* ring: the owner moves tail, takers move head by CAS */
  gos_g *pile[PILE];
  gos_g *ring[RING];
  gosi_gcache gs;
  gosi_fiber *stacks;
  int nstacks, credits;
  uint32_t tick; /* switches; the monitor watches it */
  uint32_t polled;
  gosi_ids ids;
  uint64_t slice_start, slice, contention; /* for the worth of a wake: see wake.h */
  int id;
  gosi_m *m;
  gosi_p *link;       /* idle list */
  uint8_t state;      /* enum gosi_p_state, under the runtime's lock */
  bool has_cache;     /* at the start: stacks are set aside for its cache */
  uint32_t seen_tick; /* the monitor's, here and below */
  gosi_m *seen_m;
  gos_ns seen_since, visit_since;
  gos_ns tick_cpu, visit_cpu; /* seen_m's CPU clock then, -1: not read yet */
  gos_ns off_cpu;             /* what it said when seen_m was seen waiting for a CPU */
  bool blocking;              /* its last thread was found blocked */
  uint64_t created, ended, steals;
} __attribute__((aligned(CACHE_LINE)));

/* ---- M --------------------------------------------------------------------------------- */
/* Of in_rt. The monitor turns M_LEFT into M_AWAY, and so sees who came by since its last look. Constants,
   as a counter would make each call wait for the one before: store, load, add, store. */
enum { M_AWAY, M_INSIDE, M_LEFT };
enum { M_LOCKED = 1, M_ENDING = 2 };
enum { M_TAKE = 1, M_KICK = 2, M_DEADLOCK = 4 }; /* what a realm's thread was woken for */

struct gosi_m {
  uint32_t in_rt, lost; /* see gosi_enter */
  gosi_p *p;
  gos_g *cur;
  gos_realm *realm; /* serves this realm, or foreign thread of it; its place is known to asm/ */
  int tid;          /* 0: has not started yet */
  uint64_t rand;
  gosi_context g0;   /* the thread's own loop */
  gosi_context junk; /* where a dying goroutine is saved */
  gosi_fiber *dead;  /* stack of the goroutine that just ended, left for the loop to free */
  gosi_context dead_ctx;
  uint32_t wake; /* futex: 1 = woken */
  bool in_list, spinning, foreign, is_home;
  uint8_t pinned; /* M_LOCKED, M_ENDING: see lockthread.c */
  bool bound;     /* its main goroutine is locked to it for good: the thread is to return from where it was started */
  int locks;      /* gos_lock_os_thread(), so many times */
  gos_g *locked;  /* the goroutine it runs, and no other */
  gosi_p *handed; /* the P for it, under the runtime's lock */
  gosi_m *link;   /* idle list */
  void *host;     /* host state of its loop (foreign: of the thread) */
  uint32_t task;  /* M_* */
  uint32_t task_tick;
  gos_g *next_g; /* realm: run this one first */
  gos_g *foreign_g;
} __attribute__((aligned(CACHE_LINE)));

/* ---- the runtime ------------------------------------------------------------------------ */
typedef struct gosi_netpoll {
  /* Goroutines whose waits are over, claimed, linked by ->next. until 0: without waiting;
     else sleeps in the poller until that time, and *why is as from gosi_os_wait. */
  gos_g *(*poll)(gos_ns until, int *why);
  void (*interrupt)(void);  /* ends that sleep */
  bool (*waits)(void);      /* may something still happen: does anybody wait for one? */
  void (*after_fork)(void); /* in the child */
} gosi_netpoll;

typedef struct gosi_runtime {
  uint32_t started; /* 0 no, 1 being started, 2 yes */
  int nprocs, maxthreads;
  int nps;      /* Ps that ever were: the most nprocs has been */
  unsigned cls; /* default stack class */
  uint64_t seed;
  bool seeded; /* by the program or GOSSAMER_SEED: what is chosen is the same in each run */
  void (*on_panic)(const char *);
  void (*on_deadlock)(const char *);
  bool fences; /* no membarrier: entries need a fence of their own */
  gos_g *main;
  gosi_p *ps; /* PS_MAX of them */
  uint64_t next_id;
  gosi_lock interrupts; /* guards a goroutine's step from being interrupted to the end of a wait; the last one taken */

  gosi_lock lock; /* guards all below */
  gos_g *global_head, *global_tail;
  int nglobal; /* also read without the lock */
  gosi_p *idle_ps;
  int nidle_ps; /* also read without the lock */
  gosi_m *idle_ms;
  gosi_m *spare_m; /* of a thread that could not be made */
  int nidle_ms;
  int nms;            /* threads that run goroutines of no realm */
  int nthreads;       /* all threads the runtime knows: its own and attached ones */
  gos_ns keeper_when; /* when the sleeping thread that watches the timers wakes */
  gosi_m *keeper;

  int nspinning;
  gosi_timers timers;
  gos_realm *realms;       /* append-only list */
  gos_realm *spare_realms; /* those of them that have ended */
  int nrealms;             /* those that have not ended */
  bool many_cpus;
  int nforeign; /* attached foreign threads that are not asleep in the runtime */
  int ndue;     /* foreign threads that wait with a deadline: they will be awake by themselves */
  uint64_t handoffs, wakes;
  uint64_t foreign_created, foreign_ended;

  /* Filled in by netpoll/ before nfds leaves 0; see poll.c. */
  gosi_netpoll netpoll;
  uint32_t nfds;  /* file descriptors being watched */
  uint32_t polls; /* looks at them, roughly */
  gosi_m *poller; /* the thread that sleeps in the poller */
} gosi_runtime;

enum { PS_MAX = GOSI_EXPLORE ? 4 : 1024 };
extern gosi_runtime gosi_rt;

/* ---- entering and leaving the runtime ------------------------------------------------------ */
extern __thread gosi_m *gosi_tls_m __attribute__((tls_model("initial-exec")));
/* Never inlined: a thread-local address must not be kept over a switch. */
gosi_m *gosi_self_m(void);
gosi_m *gosi_attach(void);
void gosi_reclaim(gosi_m *m);
bool gosi_attach_fails(void);

/* Every public function that touches shared state begins with this and ends with
   gosi_leave. The store and the load are ordered for the monitor by its membarrier. */
SCHED_INLINE gosi_m *gosi_enter(void) {
#if defined(__x86_64__)
  gosi_m *m = gosi_tls_m; /* one load relative to %fs: nothing for the compiler to keep */
#else
  gosi_m *m = gosi_self_m();
#endif
  if (unlikely(!m)) m = gosi_attach();
#if GOSI_TSAN
  gosi_store_seq(&m->in_rt, (uint32_t)M_INSIDE);
  if (gosi_load_seq(&m->lost)) {
#else
  gosi_store(&m->in_rt, (uint32_t)M_INSIDE);
  gosi_compiler_barrier();
  if (unlikely(gosi_rt.fences)) gosi_fence();
  if (unlikely(gosi_load(&m->lost))) {
#endif
    gosi_reclaim(m);
    m = gosi_self_m();
  }
  return m;
}
/* The same for a fast path without calls, so that nothing has to be saved for them: NULL where gosi_enter
   has more to do; call that then. */
ALWAYS_INLINE gosi_m *gosi_enter_fast(void) {
#if GOSI_TSAN || !defined(__x86_64__)
  return NULL;
#else
  gosi_m *m = gosi_tls_m;
  if (unlikely(!m || gosi_rt.fences)) return NULL;
  gosi_store(&m->in_rt, (uint32_t)M_INSIDE);
  gosi_compiler_barrier();
  return unlikely(gosi_load(&m->lost)) ? NULL : m;
#endif
}
/* Is this a thread's first call, without the memory that takes? gosi_enter() would wait for it, and give up the
   process after some seconds: a call that can say so asks before. */
SCHED_INLINE bool gosi_cannot_enter(void) { return unlikely(!gosi_tls_m) && gosi_attach_fails(); }
SCHED_INLINE void gosi_leave_m(gosi_m *m) {
#if GOSI_TSAN
  gosi_store_seq(&m->in_rt, (uint32_t)M_LEFT);
#else
  gosi_compiler_barrier();
  gosi_store_release(&m->in_rt, (uint32_t)M_LEFT);
#endif
}
/* gosi_self_m after anything that may have switched. */
ALWAYS_INLINE gosi_m *gosi_self_again(void) {
#if defined(__x86_64__) && !GOSI_NOSYNC && !GOSI_EXPLORE
  gosi_m *m; /* read anew, whatever the compiler knows of it */
  __asm__ volatile("movq gosi_tls_m@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0" : "=r"(m)::"memory");
  return m;
#else
  return gosi_self_m();
#endif
}
/* After anything that may have switched. */
ALWAYS_INLINE void gosi_leave(void) { gosi_leave_m(gosi_self_again()); }

/* Orders what other threads do between a plain store and a load, as their own fence would. */
ALWAYS_INLINE void gosi_rt_barrier(void) {
  if (unlikely(gosi_rt.fences))
    gosi_fence();
  else
    gosi_os_barrier_all();
}

/* ---- alone ------------------------------------------------------------------------------------ */
extern uint32_t gosi_solo; /* solo.c: only the thread with the P is inside */
void gosi_solo_end(void);  /* somebody else will come in; call it without a lock */

/* For what is only touched inside the runtime. */
ALWAYS_INLINE void gosi_guard_take(gosi_lock *l) {
  if (!gosi_load(&gosi_solo)) gosi_lock_take(l);
}
ALWAYS_INLINE bool gosi_guard_try(gosi_lock *l) {
  return gosi_load(&gosi_solo) || likely(!__atomic_exchange_n(&l->word, 1, __ATOMIC_ACQUIRE));
}
ALWAYS_INLINE void gosi_guard_drop(gosi_lock *l) {
  if (!gosi_load(&gosi_solo)) gosi_lock_drop(l);
}
ALWAYS_INLINE bool gosi_guard_cas(uint32_t *p, uint32_t old, uint32_t new) {
  if (!gosi_load(&gosi_solo)) return gosi_cas(p, old, new);
  if (gosi_load(p) != old) return false;
  gosi_store(p, new);
  return true;
}

/* ---- park and ready ------------------------------------------------------------------------- */
/* g is about to wait: before it is queued, or after it while what guards the queue is held. Nobody may ready
   it before that is dropped. */
SCHED_INLINE void gosi_prepare(gosi_m *m, gos_g *g, unsigned reason);
/* Waits; on return the thread may be another one. What was armed for the wait (timer,
   queue place) is the caller's to undo. */
void gosi_park(gosi_m *m);
JUMPS_BACK void gosi_yield(gosi_m *m, gos_g *g);
/* g's wait is over (the caller has claimed it). Call without locks. */
void gosi_ready(gosi_m *m, gos_g *g);
/* The same for a goroutine of the realm whose host lock the caller holds. */
void gosi_ready_home(gosi_m *m, gos_g *g);
/* Many at once, linked by ->next: a close, a broadcast. */
void gosi_ready_list(gosi_m *m, gos_g *list);

ALWAYS_INLINE bool gosi_claim(gosi_waiter *w) {
  if (w->mode == CLAIM_NONE) return true;
  if (w->mode == CLAIM_PLAIN) {
    if (w->g->claim) return false;
    w->g->claim = 1;
    return true;
  }
  return gosi_load(&w->g->claim) == 0 && gosi_guard_cas(&w->g->claim, 0u, 1u);
}

/* Arms the wait of w's goroutine: it may be interrupted or time out. deadline GOS_FOREVER: no
   timer. False: it was interrupted before, or there is no memory; its result is set and it
   must not park. Call after queueing, before the queue's lock is dropped. */
ALWAYS_INLINE bool gosi_arm(gosi_waiter *w, gos_ns deadline);
bool gosi_arm_slow(gos_g *g, gos_ns deadline);
bool gosi_arm_interrupted(gos_g *g, gos_ns deadline);
/* After the wait; GOS_OK or why it ended. */
int gosi_disarm(gos_g *g, gos_ns deadline);
/* How a wait of g has to be claimed, unless on a confined channel. */
ALWAYS_INLINE uint8_t gosi_claim_mode(gos_g *g, gos_ns deadline) {
  return deadline != GOS_FOREVER || gosi_load(&g->refs) > 1 || (g->flags & (GF_MAIN | GF_FOREIGN | GF_OBEYS))
             ? CLAIM_ATOMIC
             : CLAIM_NONE;
}

/* From here on g may be claimed. False: it was interrupted before, or its context has ended. The store and the
   load are ordered for gos_interrupt by its barrier, for a context's end by a fence here: one sees the other. */
ALWAYS_INLINE bool gosi_arm_claim(gos_g *g) {
#if GOSI_TSAN
  gosi_store_seq(&g->claim, 0u);
  return likely(!gosi_load_seq(&g->interrupted) && !gosi_load_seq(&g->ended));
#else
  gosi_store_release(&g->claim, 0u);
  gosi_compiler_barrier();
  if (unlikely(gosi_rt.fences || (g->flags & GF_OBEYS))) {
    gosi_fence();
    if (gosi_load(&g->ended)) return false;
  }
  return likely(!gosi_load(&g->interrupted));
#endif
}
ALWAYS_INLINE bool gosi_arm(gosi_waiter *w, gos_ns deadline) {
  if (w->mode == CLAIM_NONE) return true;
  if (deadline != GOS_FOREVER || (w->g->flags & GF_FOREIGN)) return gosi_arm_slow(w->g, deadline);
  return gosi_arm_claim(w->g) || gosi_arm_interrupted(w->g, deadline);
}

SCHED_INLINE void gosi_prepare(gosi_m *m, gos_g *g, unsigned reason) {
  (void)m;
  gosi_store(&g->ctx.sp, NULL);
  g->result = GOS_OK;
  g->fired = NULL;
  gosi_store(&g->since, gosi_load(&gosi_coarse));
  gosi_store(&g->reason, (uint8_t)reason);
  gosi_store_release(&g->status, (uint8_t)G_WAITING);
}

/* ---- inside sched/ ------------------------------------------------------------------------------ */
/* g.c */
gos_g *gosi_g_new(gosi_gcache *c); /* NULL: no memory; c NULL: from no cache */
void gosi_g_unref(gosi_gcache *c, gos_g *g);
void gosi_g_finish(gosi_m *m, gosi_gcache *c, gos_g *g); /* dead: joiners woken, its own reference gone */
uint64_t gosi_g_next_id(gosi_ids *of);                   /* of NULL: none are set aside */
gosi_extra *gosi_g_extra(gos_g *g);
void gosi_g_run(gos_g *g); /* fn, then the deferred calls */
void gosi_g_run_defers(gos_g *g);
/* fn(arg) runs should the goroutine (or foreign thread) leave by gos_goexit or gos_panic before d
   is popped. d is on the caller's stack: no memory needed, it cannot fail. */
void gosi_defer_push(gosi_defer *d, void (*fn)(void *), void *arg);
void gosi_defer_pop(gosi_defer *d);
/* "goroutine 7 (name) [running]:\n\tcreated by ... in goroutine 1\n" */
size_t gosi_g_headline(gos_g *g, const char *state, char *buf, size_t n);
size_t gosi_g_describe(gos_g *g, char *buf, size_t n); /* "goroutine 7 (name), created by ..." */
void gosi_g_visit(void (*f)(gos_g *g, void *u), void *u);
/* Some of them at a time: *at is NULL at first, and moves on. False: those were the last. */
bool gosi_g_visit_next(const void **at, void (*f)(gos_g *g, void *u), void *u);
const char *gosi_g_site(gos_g *g, char *buf, size_t n);
void gosi_gcache_empty(gosi_gcache *c);
extern const char *const gosi_reason_text[WAIT_REASONS];

/* proc.c */
void gosi_execute(gosi_m *m, gosi_context *from, gos_g *g); /* leave from, continue g */
void gosi_loop(gosi_m *m);
void gosi_global_put(gos_g *first, gos_g *last, int n);
void gosi_wake_p(void); /* let an idle P run, if there is one */
void gosi_m_nudge(void);
bool gosi_handoff(gosi_p *p); /* p has no M: give it one; false: no thread to be had */
gosi_m *gosi_m_new(void);
bool gosi_p_has_work(gosi_p *p);
void gosi_timers_changed(gos_ns when); /* a timer earlier than all others was added by a thread without a P */
void gosi_end(gosi_m *m, gos_g *g);    /* the running goroutine has ended; does not return */
int gosi_spawn(gosi_m *m, const gos_go_options *o, void (*fn)(void *), void *arg, void *site, gos_g **out);
void gosi_p_idle_locked(gosi_p *p); /* nobody has p any more; with the runtime's lock, as the next */
gosi_p *gosi_p_take_locked(void);
void gosi_p_own(gosi_m *m, gosi_p *p);
void gosi_p_put(gosi_p *p, gos_g *g); /* by its owner */
void gosi_p_drain(gosi_p *p);         /* its queue goes to the global one */
uint64_t gosi_p_ticks(void);          /* the switches of all Ps */
bool gosi_global_remove_locked(gos_g *g);

/* procs.c */
void gosi_p_retire(gosi_p *p); /* the caller has p, which is beyond nprocs and has no M */
void gosi_procs_after_fork(void);

/* labels.c */
bool gosi_labels_inherit(gos_g *from, gos_g *to); /* false: no memory. from has GF_LABELS, to is not started yet */
void gosi_labels_forget(gosi_extra *x);           /* its goroutine has ended */
/* key:"value", ... as a text; what does not fit is left out. */
size_t gosi_labels_text(gos_g *g, char *buf, size_t n);
void gosi_labels_after_fork(void);

/* lockthread.c */
void gosi_lock_for_good(gosi_m *m, gos_g *g); /* the main goroutine g to m, whose thread may return at any time */
gos_g *gosi_pinned_next(gosi_m *m);           /* m->pinned: its goroutine, and a P; NULL: the thread is to end */
void gosi_locked_give(gosi_m *m, gos_g *g);   /* g's thread gets m's P; on m's own loop */
bool gosi_locked_yield(gosi_m *m, gos_g *g);  /* as yield_to_others */
void gosi_locked_end(gosi_m *m, gos_g *g);    /* g has ended without unlocking */

/* realm.c */
void gosi_realm_park(gosi_m *m);
bool gosi_realm_yield(gosi_m *m, gos_g *g);
bool gosi_realm_knows_threads(gos_realm *r); /* it has alone() */
void gosi_realm_ready(gos_g *g);
void gosi_realm_loop(gosi_m *m);
/* The monitor's look at all realms. True: something is runnable or stuck, look again soon. next: when the next of their
   timers is due, of those that are not yet. */
bool gosi_realm_watch(gos_ns now, gos_ns *next);
bool gosi_realms_asleep(void); /* nothing runs in any; timers may be pending */
/* Nothing runs, nothing is due, in any; but for the calling thread if it belongs to `reporting`. */
bool gosi_realms_quiet(const gos_realm *reporting);
bool gosi_realm_ask_deadlock(void);       /* main belongs to a realm: that realm looks into it; false: it does not */
void gosi_realm_end(gosi_m *m, gos_g *g); /* as gosi_end, for a realm's goroutine */
gosi_timers *gosi_realm_timers(gos_realm *r);
gosi_gcache *gosi_realm_cache(gos_realm *r);
/* [lock] A goroutine of the realm that does not run yet. NULL: no memory. */
gos_g *gosi_realm_promise(gos_realm *r, void (*fn)(void *), void *arg);
void gosi_realm_keep(gosi_m *m, gos_g *g); /* it runs now; from any thread, and cannot fail */
void gosi_realm_take_back(gos_g *g);       /* [lock] it will not */
uint64_t gosi_realm_ticks(void);           /* of all realms: the same twice, and none of them has switched */
uint64_t gosi_realm_count(uint64_t *created, uint64_t *switches, uint64_t *handoffs);
size_t gosi_realm_site(gos_g *g, char *buf, size_t n);

void gosi_realm_timer_first(gosi_timers *ts);
/* A stack of *n bytes (then: of how many) for m's loop; NULL: no memory. */
char *gosi_home_context(gosi_m *m, size_t *n);

/* runtime.c */
/* Starts the runtime once; with_p: the calling thread becomes C's main goroutine. False and
   *err: it could not. */
bool gosi_runtime_start(const gos_config *cfg, bool with_p, int *err);
/* A seed for what chooses by itself: random, or the next one of the seed that was given. */
uint64_t gosi_seed_next(void);

/* Set by debug/, where it was asked for: the monitor calls look with the time, and again at the latest when it
   says; asked makes it do so now. start is told gos_config.flags. */
extern gos_ns (*gosi_debug_look)(gos_ns now);
extern uint32_t gosi_debug_asked;
extern void (*gosi_debug_start)(unsigned flags);

/* sysmon.c */
extern uint32_t gosi_sysmon_asleep;
void gosi_sysmon_start(void);
bool gosi_sysmon_runs(void);
void gosi_sysmon_wake(void);
/* Something became runnable: the monitor must not sleep through a hog. */
ALWAYS_INLINE void gosi_sysmon_nudge(void) {
  if (unlikely(gosi_load(&gosi_sysmon_asleep))) gosi_sysmon_wake();
}

/* fork.c, and what it asks of others */
void gosi_fork_watch(void);
void gosi_g_after_fork(void);
void gosi_sysmon_after_fork(void);
extern void (*gosi_lot_after_fork)(void); /* set by sync/ */

/* foreign.c */
void gosi_foreign_park(gosi_m *m);
void gosi_foreign_ready(gos_g *g);
gosi_m *gosi_foreign_attach(void);

/* poll.c */
/* Readies those whose file descriptors have become ready. */
void gosi_poll_now(gosi_m *m);
/* Sleeps until m->wake is set, a signal, or the deadline, as gosi_os_wait does; watches the file
   descriptors meanwhile if nobody else does. *ready: goroutines for the caller to ready. */
int gosi_m_wait(gosi_m *m, gos_ns until, gos_g **ready);
/* Sets m->wake and ends its gosi_m_wait. */
void gosi_m_wake(gosi_m *m);
void gosi_poll_sysmon(gos_ns now);
bool gosi_poll_vacant(void); /* somebody waits, and no thread sleeps in the poller */

/* deadlock.c */
void gosi_deadlock_check(void);
bool gosi_deadlock_stands(gos_realm *r); /* [host] what the last check found; on the thread of r that reports it */
/* Set by debug/, if that is linked in: head and every goroutine, malloc'ed. */
extern char *(*gosi_dump_text)(const char *head, size_t *n);

/* The timer domain of the running goroutine. */
ALWAYS_INLINE gosi_timers *gosi_timers_of(gos_g *g) {
  return g->realm && !(g->flags & GF_FOREIGN) ? gosi_realm_timers(g->realm) : &gosi_rt.timers;
}

#endif
