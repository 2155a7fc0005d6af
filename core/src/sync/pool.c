/* Pool. L4.
 *
 * Items travel in magazines of ROUNDS. A P fills and empties its loaded one, which only the thread
 * that is inside the runtime with this P touches: no atomics. Full ones go to the P's spare place, which
 * anybody may empty by an exchange, and from there to the overflow, which has a lock. Threads without
 * a P share one cache, under a lock of its own. Lock order: outside, then overflow. Memory is never
 * taken under a lock, and the user's functions are called outside the runtime.
 *
 * What is not needed goes, as Go's pools lose items to the collector: a generation lasts as many visits
 * to the overflow as would empty and fill it twice; magazines that were in excess in all of it are
 * dropped during the next, one a visit.
 * SPDX-License-Identifier: Apache-2.0 */
#include "sched/sched.h"

enum { ROUNDS = GOSI_HARD ? 2 : 16, GENERATION = 64, BLANKS = 16, VISIT = GOSI_HARD ? 8 : 256 };

typedef struct magazine {
  struct magazine *next;
  uint32_t n;
  void *item[ROUNDS];
} magazine;

typedef struct cache {
  magazine *loaded; /* the owner's, as all but spare */
  magazine *blank;  /* empty; saves the way to the overflow where gets and puts take turns */
  magazine *spare;  /* full, or NULL; anybody's, by exchange */
  uint32_t puts;
} __attribute__((aligned(CACHE_LINE))) cache;

struct gos_pool {
  void *(*make)(void *arg);
  void (*drop)(void *item);
  void *arg;
  uint32_t ncaches; /* no cache beyond this */
  gosi_lock outside_lock;
  gosi_lock lock; /* guards the overflow: */
  magazine *full, *blanks;
  uint32_t nfull; /* also read without the lock */
  uint32_t nblanks, low, doomed, visits;
  cache *caches[PS_MAX]; /* each set once, by its P */
  cache outside;
};

gos_pool *gos_pool_new(void *(*make)(void *arg), void (*drop)(void *item), void *arg) {
  gos_pool *pool = gosi_alloc_aligned(sizeof *pool);
  if (!pool) return NULL;
  pool->make = make;
  pool->drop = drop;
  pool->arg = arg;
  return pool;
}

/* ---- the overflow --------------------------------------------------------------------------- */
static magazine *pop_full(gos_pool *pool) {
  magazine *g = pool->full;
  if (!g) return NULL;
  pool->full = g->next;
  gosi_store(&pool->nfull, pool->nfull - 1);
  if (pool->low > pool->nfull) pool->low = pool->nfull;
  return g;
}

static magazine *overflow_take(gos_pool *pool) {
  if (!gosi_load(&pool->nfull)) return NULL;
  gosi_lock_take(&pool->lock);
  pool->visits++;
  magazine *g = pop_full(pool);
  gosi_lock_drop(&pool->lock);
  return g;
}

/* Brings a full magazine, or NULL. Gives one whose time has come, for drop_items. */
static magazine *overflow_visit(gos_pool *pool, magazine *g) {
  gosi_lock_take(&pool->lock);
  if (g) {
    g->next = pool->full;
    pool->full = g;
    gosi_store(&pool->nfull, pool->nfull + 1);
  }
  if (++pool->visits >= GENERATION && pool->visits >= 4 * pool->nfull) {
    pool->doomed = pool->low;
    pool->low = pool->nfull;
    pool->visits = 0;
  }
  magazine *old = NULL;
  if (pool->doomed) {
    pool->doomed--;
    old = pop_full(pool);
  }
  gosi_lock_drop(&pool->lock);
  return old;
}

static magazine *blank_get(gos_pool *pool) {
  gosi_lock_take(&pool->lock);
  magazine *g = pool->blanks;
  if (g) {
    pool->blanks = g->next;
    pool->nblanks--;
  }
  gosi_lock_drop(&pool->lock);
  return g ? g : gosi_alloc(sizeof *g);
}

static void blank_put(gos_pool *pool, magazine *g) {
  gosi_lock_take(&pool->lock);
  bool keep = pool->nblanks < BLANKS;
  if (keep) {
    g->next = pool->blanks;
    pool->blanks = g;
    pool->nblanks++;
  }
  gosi_lock_drop(&pool->lock);
  if (!keep) gosi_free(g);
}

/* Outside the runtime and every lock. */
static void drop_items(gos_pool *pool, magazine *g) {
  if (!g) return;
  while (g->n) {
    void *item = g->item[--g->n];
    if (pool->drop) pool->drop(item);
  }
  gosi_free(g);
}

/* ---- caches ----------------------------------------------------------------------------------- */
static magazine *take_spare(cache *c) {
  return c && gosi_load(&c->spare) ? gosi_exchange(&c->spare, (magazine *)NULL) : NULL;
}

static magazine *find_full(gos_pool *pool, cache *c) {
  magazine *g = take_spare(c);
  if (!g) g = overflow_take(pool);
  for (uint32_t i = 0, n = gosi_load(&pool->ncaches); !g && i < n; i++)
    g = take_spare(gosi_load_acquire(&pool->caches[i]));
  return g ? g : take_spare(&pool->outside);
}

ALWAYS_INLINE void *pop(cache *c) {
  magazine *g = c->loaded;
  return likely(g && g->n) ? g->item[--g->n] : NULL;
}
ALWAYS_INLINE bool push(cache *c, void *item) {
  magazine *g = c->loaded;
  if (unlikely(!g || g->n == ROUNDS)) return false;
  g->item[g->n++] = item;
  return true;
}

/* pop() found nothing. *over: an empty magazine too many. */
static void *pop_slow(gos_pool *pool, cache *c, magazine **over) {
  magazine *g = find_full(pool, c);
  if (!g) return NULL;
  *over = c->blank;
  c->blank = c->loaded;
  c->loaded = g;
  return pop(c);
}

/* push() found no room: blank becomes the loaded one. Gives what is to be dropped. */
static magazine *push_slow(gos_pool *pool, cache *c, void *item, magazine *blank) {
  magazine *g = c->loaded, *old = NULL;
  if (g) g = gosi_exchange(&c->spare, g); /* pairs with take_spare */
  if (g) old = overflow_visit(pool, g);
  c->loaded = blank;
  push(c, item);
  return old;
}

/* This P's, or NULL: no memory. */
static NOINLINE cache *cache_new(gos_pool *pool, gosi_p *p) {
  cache *c = gosi_alloc_aligned(sizeof *c);
  if (!c) return NULL;
  gosi_store_release(&pool->caches[p->id], c); /* pairs with the load in find_full */
  for (uint32_t n; (n = gosi_load(&pool->ncaches)) <= (uint32_t)p->id;)
    gosi_cas(&pool->ncaches, n, (uint32_t)p->id + 1);
  return c;
}
ALWAYS_INLINE cache *cache_of(gos_pool *pool, gosi_p *p) {
  cache *c = gosi_load(&pool->caches[p->id]);
  return likely(c != NULL) ? c : cache_new(pool, p);
}

/* ---- get ----------------------------------------------------------------------------------------- */
static void *get_outside(gos_pool *pool) {
  magazine *over = NULL;
  gosi_lock_take(&pool->outside_lock);
  void *item = pop(&pool->outside);
  if (!item) item = pop_slow(pool, &pool->outside, &over);
  gosi_lock_drop(&pool->outside_lock);
  if (over) blank_put(pool, over);
  return item;
}

static NOINLINE void *get_slow(gos_pool *pool, cache *c) {
  magazine *over = NULL;
  void *item = c ? pop_slow(pool, c, &over) : get_outside(pool);
  if (over) blank_put(pool, over);
  gosi_leave();
  return item || !pool->make ? item : pool->make(pool->arg);
}

void *gos_pool_get(gos_pool *pool) {
  if (!pool) return NULL;
  gosi_m *m = gosi_enter();
  cache *c = likely(m->p != NULL) ? cache_of(pool, m->p) : NULL;
  void *item = likely(c != NULL) ? pop(c) : NULL;
  if (unlikely(!item)) return get_slow(pool, c);
  gosi_leave_m(m);
  return item;
}

/* ---- put ------------------------------------------------------------------------------------------ */
static bool put_outside(gos_pool *pool, void *item, magazine **old) {
  magazine *blank = NULL;
  gosi_lock_take(&pool->outside_lock);
  bool done = push(&pool->outside, item);
  if (done && ++pool->outside.puts % VISIT == 0) *old = overflow_visit(pool, NULL);
  gosi_lock_drop(&pool->outside_lock);
  if (done) return true;
  if (!(blank = blank_get(pool))) return false;
  gosi_lock_take(&pool->outside_lock);
  done = push(&pool->outside, item); /* others were here */
  if (!done) *old = push_slow(pool, &pool->outside, item, blank);
  gosi_lock_drop(&pool->outside_lock);
  if (done) blank_put(pool, blank);
  return true;
}

static bool put_cached(gos_pool *pool, cache *c, void *item, magazine **old) {
  if (push(c, item)) { /* it was time for a visit */
    *old = overflow_visit(pool, NULL);
    return true;
  }
  magazine *blank = c->blank ? c->blank : blank_get(pool);
  c->blank = NULL;
  if (!blank) return false;
  *old = push_slow(pool, c, item, blank);
  return true;
}

static NOINLINE void put_slow(gos_pool *pool, cache *c, void *item) {
  magazine *old = NULL;
  bool kept = c ? put_cached(pool, c, item, &old) : put_outside(pool, item, &old);
  gosi_leave();
  drop_items(pool, old);
  if (!kept && pool->drop) pool->drop(item);
}

void gos_pool_put(gos_pool *pool, void *item) {
  if (!pool || !item) return;
  gosi_m *m = gosi_enter();
  cache *c = likely(m->p != NULL) ? cache_of(pool, m->p) : NULL;
  if (unlikely(!c || ++c->puts % VISIT == 0 || !push(c, item))) {
    put_slow(pool, c, item);
    return;
  }
  gosi_leave_m(m);
}

/* ---- the end ---------------------------------------------------------------------------------------- */
static void drop_cache(gos_pool *pool, cache *c) {
  drop_items(pool, c->loaded);
  drop_items(pool, c->blank);
  drop_items(pool, take_spare(c));
}

void gos_pool_free(gos_pool *pool) {
  if (!pool) return;
  for (uint32_t i = 0; i < pool->ncaches; i++) {
    if (!pool->caches[i]) continue;
    drop_cache(pool, pool->caches[i]);
    gosi_free(pool->caches[i]);
  }
  drop_cache(pool, &pool->outside);
  for (magazine *g; (g = pop_full(pool));) drop_items(pool, g);
  for (magazine *g; (g = pool->blanks);) {
    pool->blanks = g->next;
    gosi_free(g);
  }
  gosi_free(pool);
}
