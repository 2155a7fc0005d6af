/* Slabs, guards, credits. L2. SPDX-License-Identifier: Apache-2.0 */
#include "stack/stack.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "base/atomic.h"
#include "os/os.h"
#include "stack/freeze.h"
#include "stack/slab.h"

/* Address space asked for at once: enough for few mappings, little enough for ulimit -v. */
enum { SLAB_MIN_STACKS = 16, SLABS_MAX = GOSI_EXPLORE ? 16 : 8192 };
static const size_t SLAB_MAX_BYTES = (size_t)8 << 30;
/* Tops are shifted by up to 7 lines so that hot frames do not share cache sets (threadring
   24 -> 12 ns in the prototype). */
enum { COLOURS = 8, COLOUR_STEP = 128 };

gosi_slab gosi_slabs[SLABS_MAX];
int gosi_nslabs;
static pthread_mutex_t slab_lock = PTHREAD_MUTEX_INITIALIZER;

/* Mutexes, not spin locks: madvise and mmap happen under them. */
static struct pool {
  pthread_mutex_t lock;
  gosi_fiber *free;        /* used before, last in first out */
  gosi_slab *stock, *last; /* never used ones are taken from stock on, guards are set in last */
  size_t guarded, credits_out, reserved;
} pools[STACK_CLASS_MAX + 1];
static int caches;

__attribute__((constructor)) static void pools_init(void) {
  for (size_t i = 0; i < COUNT(pools); i++) pthread_mutex_init(&pools[i].lock, NULL);
}
void gosi_stack_after_fork(void) {
  pools_init();
  pthread_mutex_init(&slab_lock, NULL);
}

void gosi_stack_new_cache(void) { gosi_add(&caches, 1); }

void gosi_stack_drop_cache(void) { gosi_sub(&caches, 1); }

int gosi_stack_class(size_t bytes) {
  for (int c = STACK_CLASS_MIN; c <= STACK_CLASS_MAX; c++)
    if (bytes <= (size_t)1 << c) return c;
  return -1;
}

size_t gosi_stack_guard_size(unsigned cls) {
  size_t g = ((size_t)1 << cls) / 16;
  return g < GOSI_PAGE ? GOSI_PAGE : g > 16 * GOSI_PAGE ? 16 * GOSI_PAGE : g;
}

static gosi_slab *slab_note(char *lo, char *hi, unsigned cls) {
  gosi_slab *s = NULL;
  pthread_mutex_lock(&slab_lock);
  if (gosi_nslabs < SLABS_MAX) {
    s = &gosi_slabs[gosi_nslabs];
    *s = (gosi_slab){.lo = lo, .hi = hi, .cls = cls, .next = lo, .ready = lo};
    gosi_store_release(&gosi_nslabs, gosi_nslabs + 1); /* pairs with the load in gosi_slab_of */
  }
  pthread_mutex_unlock(&slab_lock);
  return s;
}

/* More address space for p: as much as it already has, less when that much is not to be had. */
static bool reserve_locked(struct pool *p, unsigned cls) {
  size_t one = (size_t)1 << cls, n = p->reserved;
  if (n < SLAB_MIN_STACKS * one) n = SLAB_MIN_STACKS * one;
  if (n > SLAB_MAX_BYTES) n = SLAB_MAX_BYTES > one ? SLAB_MAX_BYTES : one;
  for (; n >= one; n = n / 2 / one * one) {
    char *page = gosi_os_reserve(GOSI_PAGE + n), *lo = page + GOSI_PAGE;
    if (!page) continue;
    gosi_slab *s = slab_note(lo, lo + n, cls);
    if (!s) {
      gosi_os_unmap(page, GOSI_PAGE + n);
      return false;
    }
    if (p->last)
      p->last->newer = s;
    else
      p->stock = s;
    p->last = s;
    p->reserved += n;
    return true;
  }
  return false;
}

gosi_fiber *gosi_stack_lay(char *lo, unsigned cls, gosi_fiber *out) {
  char *f = lo + ((size_t)1 << cls) - ((sizeof(gosi_fiber) + 63) / 64) * 64;
  *out = (gosi_fiber){
      .lo = lo + gosi_stack_guard_size(cls), .top = f - ((uintptr_t)lo >> cls) % COLOURS * COLOUR_STEP, .cls = cls};
  return (gosi_fiber *)f;
}

static gosi_fiber *fiber_at(char *lo, unsigned cls) {
  gosi_fiber laid, *f = gosi_stack_lay(lo, cls, &laid);
  *f = laid;
  GOSI_STACK_BORN(f->lo, f->top);
  return f;
}

static bool guard_one_locked(struct pool *p, unsigned cls) {
  if ((!p->last || p->last->ready == p->last->hi) && !reserve_locked(p, cls)) return false;
  if (gosi_os_guard(p->last->ready, gosi_stack_guard_size(cls))) return false;
  p->last->ready += (size_t)1 << cls;
  p->guarded++;
  return true;
}

/* A guarded one that was never used; NULL: none. */
static char *take_new_locked(struct pool *p, unsigned cls) {
  while (p->stock && p->stock->next == p->stock->ready) {
    if (!p->stock->newer) return NULL;
    p->stock = p->stock->newer;
  }
  if (!p->stock) return NULL;
  char *lo = p->stock->next;
  p->stock->next += (size_t)1 << cls;
  return lo;
}

int gosi_stack_take_credits(unsigned cls, int want) {
  struct pool *p = &pools[cls];
  pthread_mutex_lock(&p->lock);
  size_t reserve = (size_t)gosi_load(&caches) * STACK_CACHE_MAX;
  while (p->guarded < p->credits_out + (size_t)want + reserve && guard_one_locked(p, cls)) {}
  int n = p->guarded > p->credits_out + reserve ? (int)(p->guarded - p->credits_out - reserve) : 0;
  if (n > want) n = want;
  p->credits_out += (size_t)n;
  pthread_mutex_unlock(&p->lock);
  return n;
}

bool gosi_stack_add_caches(unsigned cls, int n) {
  struct pool *p = &pools[cls];
  pthread_mutex_lock(&p->lock);
  size_t reserve = (size_t)(gosi_add(&caches, n) + n) * STACK_CACHE_MAX;
  bool enough = p->credits_out == 0; /* else the first credit taken sees to it */
  while (!enough && !(enough = p->guarded >= p->credits_out + reserve) && guard_one_locked(p, cls)) {}
  if (!enough) gosi_sub(&caches, n);
  pthread_mutex_unlock(&p->lock);
  return enough;
}

void gosi_stack_give_credits(unsigned cls, int n) {
  struct pool *p = &pools[cls];
  pthread_mutex_lock(&p->lock);
  p->credits_out -= (size_t)n;
  pthread_mutex_unlock(&p->lock);
}

gosi_fiber *gosi_stack_get(unsigned cls) {
  struct pool *p = &pools[cls];
  pthread_mutex_lock(&p->lock);
  gosi_fiber *f = p->free;
  if (f) {
    p->free = f->next;
  } else {
    char *lo = take_new_locked(p, cls);
    if (!lo && guard_one_locked(p, cls)) lo = take_new_locked(p, cls);
    if (!lo) gosi_fatal("a stack credit without a stack");
    f = fiber_at(lo, cls);
  }
  pthread_mutex_unlock(&p->lock);
  f->next = NULL;
  return f;
}

void gosi_stack_put(gosi_fiber *f) {
  struct pool *p = &pools[f->cls];
  pthread_mutex_lock(&p->lock);
  f->next = p->free;
  p->free = f;
  pthread_mutex_unlock(&p->lock);
}

void gosi_stack_raise(gosi_fiber *f) {
  gosi_fiber laid;
  gosi_stack_lay(f->lo - gosi_stack_guard_size(f->cls), f->cls, &laid);
  f->top = laid.top;
}

/* The page with the header stays: it is what links them. */
int gosi_stack_discard(void) {
  int n = 0;
  for (unsigned c = STACK_CLASS_MIN; c <= STACK_CLASS_MAX; c++) {
    pthread_mutex_lock(&pools[c].lock);
    for (gosi_fiber *f = pools[c].free; f; f = f->next, n++) {
      char *end = (char *)((uintptr_t)f & ~(uintptr_t)(GOSI_PAGE - 1));
      if (end > f->lo) gosi_os_discard(f->lo, (size_t)(end - f->lo));
    }
    pthread_mutex_unlock(&pools[c].lock);
  }
  return n;
}

void gosi_stack_stats(size_t *stacks, size_t *bytes) {
  *stacks = *bytes = 0;
  for (unsigned c = STACK_CLASS_MIN; c <= STACK_CLASS_MAX; c++) {
    pthread_mutex_lock(&pools[c].lock);
    *stacks += pools[c].guarded;
    *bytes += pools[c].reserved;
    pthread_mutex_unlock(&pools[c].lock);
  }
}

/* ---- overflow ------------------------------------------------------------------ */
static struct sigaction before[2];
static size_t (*describe_stack)(const char *lo, char *buf, size_t n);

gosi_slab *gosi_slab_of(const char *a) {
  static int last; /* where it was found; most often the next one is there too */
  int n = gosi_load_acquire(&gosi_nslabs), i = gosi_load(&last); /* pairs with the store in slab_note */
  if (i < n && a >= gosi_slabs[i].lo && a < gosi_slabs[i].hi) return &gosi_slabs[i];
  for (i = 0; i < n; i++) {
    if (a < gosi_slabs[i].lo || a >= gosi_slabs[i].hi) continue;
    gosi_store(&last, i);
    return &gosi_slabs[i];
  }
  return NULL;
}

/* The lowest usable byte of the stack whose guard holds a; NULL: a is in no guard. */
static char *overflown(char *a, size_t *size) {
  gosi_slab *s = gosi_slab_of(a);
  if (!s) return NULL;
  size_t off = (size_t)(a - s->lo) % (*size = (size_t)1 << s->cls), guard = gosi_stack_guard_size(s->cls);
  return off < guard ? a - off + guard : NULL;
}

static void on_fault(int sig, siginfo_t *si, void *uc) {
  size_t size;
  if (gosi_stack_fault(si, uc)) return;
  char *lo = overflown(si->si_addr, &size);
  if (lo) {
    char who[400] = "", line[640];
    if (describe_stack) describe_stack(lo, who, sizeof who);
    int n = snprintf(line, sizeof line, "gossamer: stack overflow in %s (%zu KiB of stack)\n",
                     who[0] ? who : "a goroutine", size / 1024);
    gosi_write_all(2, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
  }
  struct sigaction *old = &before[sig == SIGBUS];
  if (!lo && (old->sa_flags & SA_SIGINFO) && old->sa_sigaction) {
    old->sa_sigaction(sig, si, uc);
  } else if (!lo && old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN) {
    old->sa_handler(sig);
  } else {
    signal(sig, SIG_DFL); /* the access is repeated and ends the process as it would have */
  }
}

bool gosi_stack_watched(void) {
  struct sigaction now = {.sa_flags = 0};
  sigaction(SIGSEGV, NULL, &now);
  return (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_fault;
}

void gosi_stack_watch(size_t (*describe)(const char *lo, char *buf, size_t n)) {
  describe_stack = describe;
  struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigemptyset(&sa.sa_mask);
  sigaction(SIGSEGV, &sa, &before[0]);
  sigaction(SIGBUS, &sa, &before[1]);
}
