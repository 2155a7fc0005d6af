/* Freezing and thawing of stacks. L2. SPDX-License-Identifier: Apache-2.0 */
#include "stack/freeze.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include "base/atomic.h"
#include "os/pages.h"
#include "stack/slab.h"

/* A cell: 0, one of these in the low bits, or the ice of a frozen stack. */
enum { MARKED = 1, FREEZING = 2, THAWED = 3, THAWING = 4, STATES = 7 };
/* THAWED: the other bits say when, in 2^20 ns. THAWING: they are the ice. */
enum { GRAIN = 20, STATE_BITS = 3 };
/* Pages that lie deeper below the stack pointer than this are given back without a guard: markers there would take
   more page tables than the stack takes memory. Neighbours no larger than this are frozen together. */
enum { GUARDED = 64 * 1024 };

/* Guards freezing. A handler takes no lock: what it has done with it leaves behind here. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static gosi_ice *molten;
static gosi_freeze_figures figures;

/* ---- places ------------------------------------------------------------------------------- */
typedef struct place {
  gosi_slab *slab;
  uintptr_t *cell;
  char *lo, *hi; /* usable bytes and header */
  gosi_fiber *f, header;
} place;

static bool place_of(const void *a, place *p) {
  gosi_slab *s = gosi_slab_of(a);
  uintptr_t *cells = s ? gosi_load_acquire(&s->cells) : NULL; /* pairs with the store in cells_for */
  if (!cells) return false;
  size_t i = (size_t)((const char *)a - s->lo) >> s->cls;
  char *lo = s->lo + (i << s->cls);
  p->slab = s;
  p->cell = &cells[i];
  p->lo = lo + gosi_stack_guard_size(s->cls);
  p->hi = lo + ((size_t)1 << s->cls);
  p->f = gosi_stack_lay(lo, s->cls, &p->header);
  return true;
}

static bool small(const gosi_slab *s) { return (size_t)1 << s->cls <= GUARDED; }

/* Where the guarded pages begin while it is frozen. */
static char *guarded_from(const place *p, const char *sp) {
  char *page = (char *)((uintptr_t)sp & ~(uintptr_t)(GOSI_PAGE - 1));
  return page - p->lo > GUARDED ? page - GUARDED : p->lo;
}

static void give_twin(gosi_slab *s) {
  s->twin = gosi_pages_twin(s->lo - GOSI_PAGE, (size_t)(s->hi - s->lo) + GOSI_PAGE);
  if (s->twin) s->twin += GOSI_PAGE;
}

static bool cells_for(gosi_slab *s) {
  if (s->cells) return true;
  size_t n = ((size_t)(s->hi - s->lo) >> s->cls) * sizeof *s->cells;
  n = (n + GOSI_PAGE - 1) / GOSI_PAGE * GOSI_PAGE;
  uintptr_t *cells = (uintptr_t *)(void *)gosi_os_reserve(n);
  if (cells) give_twin(s);
  if (!cells || !s->twin) {
    if (cells) gosi_os_unmap((char *)cells, n);
    return false;
  }
  gosi_store_release(&s->cells, cells); /* pairs with the load in place_of */
  return true;
}

static void free_all(gosi_ice *x) {
  for (gosi_ice *next; x; x = next) {
    next = x->next;
    gosi_free(x);
  }
}

/* ---- signals ------------------------------------------------------------------------------- */
/* A handler that touched the stack in question would wait for the thread it interrupted. */
static void hold_signals(sigset_t *old) {
  sigset_t all;
  sigfillset(&all);
  sigdelset(&all, SIGSEGV);
  sigdelset(&all, SIGBUS);
  pthread_sigmask(SIG_BLOCK, &all, old);
}
static void let_signals(const sigset_t *old) { pthread_sigmask(SIG_SETMASK, old, NULL); }

void gosi_freeze_lock(sigset_t *old) {
  hold_signals(old);
  pthread_mutex_lock(&lock);
  free_all(gosi_exchange(&molten, (gosi_ice *)NULL));
}
void gosi_freeze_unlock(const sigset_t *old) {
  pthread_mutex_unlock(&lock);
  let_signals(old);
}

const char *gosi_freeze_trouble(void) {
  static bool works; /* guarded by the lock */
  sigset_t old;
  gosi_freeze_lock(&old);
  const char *why = works ? NULL : gosi_pages_trouble();
  works = !why;
  gosi_freeze_unlock(&old);
  return why;
}

/* ---- freezing --------------------------------------------------------------------------------- */
static uintptr_t stamp(gos_ns t) { return (uintptr_t)(t >> GRAIN) << STATE_BITS | THAWED; }

bool gosi_stack_mark(gosi_cold *c, const gosi_fiber *f, char *sp, gos_ns since) {
  place p;
  gosi_slab *s = gosi_slab_of((const char *)f);
  if (!s || !cells_for(s) || !place_of(f, &p) || sp < p.lo || sp >= p.header.top) return false;
  uintptr_t v = gosi_load_acquire(p.cell);
  if (v && (v & STATES) != THAWED) return false;
  if (v && v > stamp(since)) return false;
  gosi_ice *x = gosi_alloc(sizeof *x + (size_t)(p.header.top - sp));
  if (!x) return false;
  x->n = (size_t)(p.header.top - sp);
  *c = (gosi_cold){.f = f, .sp = sp, .cell = p.cell, .was = v, .ice = x};
  if (gosi_cas(p.cell, v, (uintptr_t)MARKED)) return true;
  gosi_free(x); /* somebody touches it */
  return false;
}

void gosi_stack_unmark(gosi_cold *c) {
  gosi_cas(c->cell, (uintptr_t)MARKED, c->was);
  gosi_free(c->ice);
}

static void leave(gosi_ice **list, gosi_ice *x) {
  x->next = *list;
  *list = x;
}

static int by_address(const void *a, const void *b) {
  uintptr_t x = (uintptr_t)((const gosi_cold *)a)->f, y = (uintptr_t)((const gosi_cold *)b)->f;
  return (x > y) - (x < y);
}

/* Fills the stack in from its ice and puts it into place: others see nothing of it, or all. False: the process has as
   many mappings as it may, or there is no twin. */
static bool move_back(const place *p, const gosi_ice *x) {
  char *sp = p->header.top - x->n, *from = guarded_from(p, sp), *twin = p->slab->twin;
  if (!twin) return false;
  ptrdiff_t d = twin - p->slab->lo;
  memcpy(sp + d, x->bytes, x->n);
  memcpy((char *)p->f + d, &p->header, sizeof p->header);
  if (gosi_pages_move(from + d, from, (size_t)(p->hi - from))) return true;
  gosi_os_discard(from + d, (size_t)(p->hi - from));
  return false;
}
/* The same where it is: others could see a part of it, so only where there is no other way. */
static void fill_in(const place *p, const gosi_ice *x) {
  char *sp = p->header.top - x->n, *from = guarded_from(p, sp);
  gosi_pages_open(from, (size_t)(p->hi - from));
  memcpy(sp, x->bytes, x->n);
  *p->f = p->header;
}

/* What was begun with neighbours that may be read, not written, is undone. */
static void put_back(const gosi_cold *c, int n, char *lo, char *hi) {
  bool moved[GOSI_FREEZE_BATCH], all = true;
  place p;
  for (int i = 0; i < n; i++) all &= moved[i] = place_of(c[i].f, &p) && move_back(&p, c[i].ice);
  bool allowed = gosi_pages_allow(lo, (size_t)(hi - lo)); /* what has been moved may be written anyway */
  if (!all && !allowed) gosi_fatal("stacks that cannot be made writable again");
  for (int i = 0; i < n; i++)
    if (!moved[i] && place_of(c[i].f, &p)) fill_in(&p, c[i].ice);
}

/* Neighbours, all freezing. */
static bool freeze_run(gosi_cold *c, int n, gosi_ice **left) {
  place first, last;
  if (!place_of(c[0].f, &first) || !place_of(c[n - 1].f, &last)) gosi_fatal("a stack without a place");
  char *lo = guarded_from(&first, c[0].sp), *hi = last.hi;
  size_t all = (size_t)(hi - lo);
  if (lo > first.lo) gosi_os_discard(first.lo, (size_t)(lo - first.lo));
  bool fine = gosi_pages_forbid(lo, all);
  if (fine) {
    for (int i = 0; i < n; i++) memcpy(c[i].ice->bytes, c[i].sp, c[i].ice->n);
    fine = gosi_pages_drop(lo, all) && gosi_pages_allow(lo, all);
    if (!fine) put_back(c, n, lo, hi);
  }
  int64_t bytes = 0;
  for (int i = 0; i < n; i++) {
    bytes += (int64_t)(sizeof(gosi_ice) + c[i].ice->n);
    if (!fine) leave(left, c[i].ice);
  }
  if (fine) { /* before others can thaw them */
    gosi_add(&figures.bytes, bytes);
    gosi_add(&figures.now, n);
    gosi_add(&figures.frozen, (uint64_t)n);
  }
  for (int i = 0; i < n; i++) /* pairs with the loads in thaw */
    gosi_store_release(c[i].cell, fine ? (uintptr_t)c[i].ice : c[i].was);
  return fine;
}

int gosi_stack_freeze(gosi_cold *c, int n) {
  int kept = 0, frozen = 0;
  gosi_ice *left = NULL; /* freed at the end: nobody waits for malloc's lock while somebody waits for a stack */
  if (n > GOSI_FREEZE_BATCH) gosi_fatal("too many to freeze at once");
  qsort(c, (size_t)n, sizeof *c, by_address);
  for (int i = 0; i < n; i++) {
    if (gosi_cas(c[i].cell, (uintptr_t)MARKED, (uintptr_t)FREEZING))
      c[kept++] = c[i];
    else
      leave(&left, c[i].ice);
  }
  for (int i = 0, k; i < kept; i += k) {
    for (k = 1; i + k < kept && small(gosi_slab_of((const char *)c[i].f)) && c[i + k].cell == c[i].cell + k; k++) {}
    if (freeze_run(c + i, k, &left)) frozen += k;
  }
  free_all(left);
  return frozen;
}

/* ---- thawing -------------------------------------------------------------------------------------- */
static void wait_a_little(unsigned n) {
  if (n < 100)
    gosi_pause();
  else if (n < 1000)
    sched_yield();
  else
    gosi_os_nap(50000); /* who thaws or freezes it may be of lower priority */
}

/* The claim is v -> v | THAWING, with signals held. */
static bool claim(uintptr_t *cell, uintptr_t v) { return v && !(v & STATES) && gosi_cas(cell, v, v | THAWING); }

static void thawed(const place *p, const gosi_ice *x) {
  gosi_sub(&figures.bytes, (int64_t)(sizeof *x + x->n));
  gosi_sub(&figures.now, 1);
  gosi_add(&figures.thawed, 1u);
  gosi_store_release(p->cell, stamp(gosi_os_now())); /* pairs with the loads in thaw: it is all there */
}

static void thaw_claimed(const place *p, gosi_ice *x) {
  if (!move_back(p, x)) fill_in(p, x);
  thawed(p, x);
}

/* Moving a page costs more than filling it, so where many wake in the order of their stacks (a close does that) the
   next neighbours come along, twice as many as came just now, up to AHEAD. LATELY: in units of a stamp. */
enum { AHEAD = 16, LATELY = 8 };

/* How many next to p on that side have thawed just now. */
static int just_thawed(const place *p, ptrdiff_t step, uintptr_t since) {
  uintptr_t *cells = p->slab->cells, v;
  ptrdiff_t at = p->cell - cells + step, end = (p->slab->hi - p->slab->lo) >> p->slab->cls;
  int n = 0;
  for (; n < AHEAD / 2 && at >= 0 && at < end; n++, at += step)
    if (((v = gosi_load(&cells[at])) & STATES) != THAWED || v < since) break;
  return n;
}

/* How many to thaw, p included; negative: upwards come none, downwards do. */
static int window(const place *p) {
  if (!small(p->slab) || !p->slab->twin) return 1;
  uintptr_t since = stamp(gosi_os_now() - ((gos_ns)LATELY << GRAIN));
  int n = just_thawed(p, -1, since);
  if (n) return 2 * n;
  n = just_thawed(p, 1, since);
  return n ? -2 * n : 1;
}

/* The run is claimed; p[0] is the lowest. */
static bool move_run(const place *p, gosi_ice *const *x, int n) {
  ptrdiff_t d = p->slab->twin - p->slab->lo;
  char *lo = p[0].lo, *hi = p[n - 1].hi;
  bool fine = true;
  for (int i = 0; i < n && fine; i++) {
    memcpy(p[i].header.top - x[i]->n + d, x[i]->bytes, x[i]->n);
    memcpy((char *)p[i].f + d, &p[i].header, sizeof p[i].header);
    if (i > 0) fine = gosi_pages_guard(p[i - 1].hi + d, (size_t)(p[i].lo - p[i - 1].hi));
  }
  if (fine && gosi_pages_move(lo + d, lo, (size_t)(hi - lo))) return true;
  gosi_os_discard(lo + d, (size_t)(hi - lo)); /* the guards may stay: nothing else is ever put there */
  return false;
}

/* p has been claimed and is about to run; so are neighbours, perhaps. Frees the ice. */
static void thaw_ahead(const place *p, gosi_ice *x) {
  int n = window(p), up = n > 0, k = 1;
  place run[AHEAD];
  gosi_ice *ice[AHEAD] = {x};
  run[0] = *p;
  ptrdiff_t one = (ptrdiff_t)1 << p->slab->cls;
  for (; k < (up ? n : -n); k++) {
    char *at = p->lo + (up ? k : -k) * one;
    if (at < p->slab->lo || at >= p->slab->hi || !place_of(at, &run[k])) break;
    uintptr_t v = gosi_load_acquire(run[k].cell);
    if (!claim(run[k].cell, v)) break;
    ice[k] = (gosi_ice *)v;
  }
  for (int i = 0; !up && i < k / 2; i++) { /* the lowest first */
    place q = run[i];
    gosi_ice *y = ice[i];
    run[i] = run[k - 1 - i], ice[i] = ice[k - 1 - i];
    run[k - 1 - i] = q, ice[k - 1 - i] = y;
  }
  bool moved = k > 1 && move_run(run, ice, k);
  for (int i = 0; i < k; i++) {
    if (moved)
      thawed(&run[i], ice[i]);
    else
      thaw_claimed(&run[i], ice[i]);
    gosi_free(ice[i]);
  }
}

/* Returns when it is neither frozen nor on the way to it. continues: its goroutine is about to run. */
static void thaw(const place *p, bool continues) {
  for (unsigned n = 0;; n++) {
    uintptr_t v = gosi_load_acquire(p->cell);
    if (v == 0 || (v & STATES) == THAWED) return;
    if (v == MARKED) {
      if (!continues || gosi_cas(p->cell, v, (uintptr_t)0)) return;
      continue;
    }
    if (v & STATES) {
      wait_a_little(n);
      continue;
    }
    sigset_t old;
    gosi_ice *x = (gosi_ice *)v;
    hold_signals(&old);
    bool mine = claim(p->cell, v);
    if (mine && continues)
      thaw_ahead(p, x);
    else if (mine)
      thaw_claimed(p, x);
    let_signals(&old);
    if (!mine) continue;
    if (continues) return;
    gosi_add(&figures.trapped, 1u);
    gosi_ice *top = gosi_load(&molten);
    do {
      x->next = top;
    } while (!__atomic_compare_exchange_n(&molten, &top, x, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    return;
  }
}

void gosi_stack_thaw(const gosi_fiber *f) {
  place p;
  if (place_of(f, &p)) thaw(&p, true);
  if (gosi_load(&molten)) free_all(gosi_exchange(&molten, (gosi_ice *)NULL)); /* its own, perhaps */
}

bool gosi_stack_touch(const void *a) {
  place p;
  if (!gosi_load(&figures.frozen) || !place_of(a, &p)) return false;
  for (;;) {
    thaw(&p, false);
    uintptr_t v = gosi_load_acquire(p.cell);
    if ((v == 0 || v == MARKED || (v & STATES) == THAWED) && gosi_cas(p.cell, v, stamp(gosi_os_now()))) return true;
  }
}

void gosi_stack_thaw_all(void) {
  for (int i = 0; i < gosi_load_acquire(&gosi_nslabs); i++) {
    gosi_slab *s = &gosi_slabs[i];
    for (size_t k = 0; gosi_load_acquire(&s->cells) && k < (size_t)(s->hi - s->lo) >> s->cls; k++) {
      place p;
      uintptr_t v = gosi_load(&s->cells[k]);
      if (v && !(v & STATES) && place_of(s->lo + (k << s->cls), &p)) thaw(&p, false);
    }
  }
}

bool gosi_stack_frozen(const gosi_fiber *f) {
  place p;
  if (!f || !place_of(f, &p)) return false;
  uintptr_t v = gosi_load(p.cell);
  return v && !(v & STATES);
}

void gosi_freeze_figures_get(gosi_freeze_figures *out) {
  out->frozen = gosi_load(&figures.frozen);
  out->thawed = gosi_load(&figures.thawed);
  out->trapped = gosi_load(&figures.trapped);
  out->now = gosi_load(&figures.now);
  out->bytes = gosi_load(&figures.bytes);
}

/* In the usable part of a stack that can be frozen nothing else faults but the execution of what lies there: if it is
   not frozen it was so, or was being frozen, a moment ago. */
bool gosi_stack_fault(const siginfo_t *si, const void *uc) {
  place p;
  int e = errno;
  if (si->si_signo != SIGSEGV || si->si_code <= 0 || !place_of(si->si_addr, &p)) return false;
  if ((char *)si->si_addr < p.lo || gosi_pages_fault_pc(uc) == si->si_addr) return false;
  thaw(&p, false);
  errno = e;
  return true;
}

/* ---- fork ------------------------------------------------------------------------------------------- */
void gosi_freeze_before_fork(void) { pthread_mutex_lock(&lock); }

void gosi_freeze_after_fork(bool child) {
  if (!child) {
    pthread_mutex_unlock(&lock);
    return;
  }
  pthread_mutex_init(&lock, NULL);
  for (int i = 0; i < gosi_nslabs; i++) {
    gosi_slab *s = &gosi_slabs[i];
    if (!s->cells) continue;
    /* The copies of the slab and of its twin have nothing in common any more. */
    size_t n = (size_t)(s->hi - s->lo);
    if (s->twin) gosi_os_unmap(s->twin - GOSI_PAGE, n + GOSI_PAGE);
    give_twin(s);
    /* Those that another thread was about to thaw: the ice is whole. If they were in place already, no fault will
       ask for it. */
    for (size_t k = 0; k < n >> s->cls; k++)
      if ((s->cells[k] & STATES) == THAWING) s->cells[k] &= ~(uintptr_t)STATES;
  }
}
