/* Goroutines: memory, numbers, ends, descriptions. L3. SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include "sched/realm.h"
#include "sched/sched.h"
#include "stack/slab.h"

const char *const gosi_reason_text[WAIT_REASONS] = {
    [WAIT_SEND] = "chan send",
    [WAIT_RECV] = "chan receive",
    [WAIT_SEND_NIL] = "chan send (nil chan)",
    [WAIT_RECV_NIL] = "chan receive (nil chan)",
    [WAIT_SELECT] = "select",
    [WAIT_SELECT_NONE] = "select (no cases)",
    [WAIT_SLEEP] = "sleep",
    [WAIT_MUTEX] = "sync.Mutex.Lock",
    [WAIT_WAITGROUP] = "sync.WaitGroup.Wait",
    [WAIT_RWMUTEX_LOCK] = "sync.RWMutex.Lock",
    [WAIT_RWMUTEX_RLOCK] = "sync.RWMutex.RLock",
    [WAIT_COND] = "sync.Cond.Wait",
    [WAIT_JOIN] = "join",
    [WAIT_ONCE] = "sync.Once.Do",
    [WAIT_SEMAPHORE] = "semaphore.Acquire",
    [WAIT_IO] = "IO wait",
};

/* Gs come in chunks that are never freed, so that a dump can look at any of them at any time.
   Between the caches they travel in batches, so that the lock is taken once for many. */
enum { CHUNK = GOSI_HARD ? 4 : 32, BATCH = GOSI_HARD ? 4 : 256, ID_BATCH = 64 };
_Static_assert(CHUNK <= BATCH, "a cache that begins with more than a batch never gives one away");
typedef struct chunk {
  struct chunk *next;
  gos_g g[CHUNK];
} chunk;
extern chunk *gosi_g_chunks;
chunk *gosi_g_chunks;       /* a debugger looks for it, too */
static gosi_lock free_lock; /* guards the two lists */
static gos_g *free_ones;    /* linked by next */
static gos_g *free_batches; /* the first ones of them, linked by fired */

static void put_batch(gos_g *first) {
  gosi_lock_take(&free_lock);
  first->fired = (gosi_waiter *)free_batches;
  free_batches = first;
  gosi_lock_drop(&free_lock);
}
static gos_g *take_batch(void) {
  gosi_lock_take(&free_lock);
  gos_g *first = free_batches;
  if (first) free_batches = (gos_g *)first->fired;
  gosi_lock_drop(&free_lock);
  return first;
}
static void put_one(gos_g *g) {
  gosi_lock_take(&free_lock);
  g->next = free_ones;
  free_ones = g;
  gosi_lock_drop(&free_lock);
}
static gos_g *take_one(void) {
  gosi_lock_take(&free_lock);
  gos_g *g = free_ones;
  if (!g && (g = free_batches)) free_batches = (gos_g *)g->fired; /* the rest of it becomes single ones */
  if (g) free_ones = g->next;
  gosi_lock_drop(&free_lock);
  return g;
}

static gos_g *new_chunk(void) {
  chunk *k = gosi_alloc_aligned(sizeof *k);
  if (!k) return NULL;
  for (int i = 0; i < CHUNK; i++) {
    k->g[i].claim = 1;
    k->g[i].w.g = &k->g[i];
    k->g[i].next = i + 1 < CHUNK ? &k->g[i + 1] : NULL;
  }
  chunk *old;
  do {
    old = gosi_load_acquire(&gosi_g_chunks);
    k->next = old;
  } while (!gosi_cas(&gosi_g_chunks, old, k)); /* pairs with the load in gosi_g_visit */
  return k->g;
}

/* c is empty: its batch, another's, or fresh ones. */
static NOINLINE gos_g *refill(gosi_gcache *c) {
  gos_g *g = c->batch;
  c->batch = NULL;
  c->n = BATCH;
  if (g || (g = take_batch())) return g;
  c->n = 1;
  if ((g = take_one())) {
    g->next = NULL;
    return g;
  }
  c->n = CHUNK;
  return new_chunk();
}

static NOINLINE gos_g *new_uncached(void) {
  gos_g *g = take_one();
  if (g || !(g = new_chunk())) return g;
  for (gos_g *x = g->next, *next; x; x = next) {
    next = x->next;
    put_one(x);
  }
  return g;
}

gos_g *gosi_g_new(gosi_gcache *c) {
  gos_g *g;
  if (likely(c)) {
    g = c->head;
    if (unlikely(!g) && !(g = refill(c))) return NULL;
    if ((c->head = g->next)) __builtin_prefetch(c->head, 1);
    c->n--;
  } else if (!(g = new_uncached())) {
    return NULL;
  }
  gosi_hb_after(g);
  gosi_store(&g->fiber, (gosi_fiber *)NULL);
  g->defers = NULL;                         /* a foreign thread may have ended inside frames */
  gosi_store(&g->realm, (gos_realm *)NULL); /* a dump may be looking, here and below */
  gosi_store(&g->flags, (uint8_t)0);
  g->interrupted = 0;
  gosi_store(&g->refs, 1u);
  return g;
}

static void g_free(gosi_gcache *c, gos_g *g) {
  gosi_hb_after(g);
  gosi_hb_before(g);
  gosi_extra *x = g->extra; /* its memory stays with the G: a dump may be reading the name */
  if (x) {
    if (x->on_end) x->on_end(x->done, true);
    gosi_store(&x->name[0], (char)0);
    x->on_end = NULL;
    x->done = NULL;
    x->panics = NULL;
    memset(x->local, 0, sizeof x->local);
    if (unlikely(x->labels != NULL)) gosi_labels_forget(x);
  }
  gosi_store(&g->status, (uint8_t)G_FREE);
  if (!c) {
    put_one(g);
    return;
  }
  if (unlikely(c->n == BATCH)) {
    if (c->batch) put_batch(c->batch);
    c->batch = c->head;
    c->head = NULL;
    c->n = 0;
  }
  g->next = c->head;
  c->head = g;
  c->n++;
}

void gosi_gcache_empty(gosi_gcache *c) {
  if (c->batch) put_batch(c->batch);
  for (gos_g *g = c->head, *next; g; g = next) {
    next = g->next;
    put_one(g);
  }
  *c = (gosi_gcache){NULL, NULL, 0};
}

void gosi_g_unref(gosi_gcache *c, gos_g *g) {
  gosi_hb_before(g);
  if (gosi_load_acquire(&g->refs) == 1 || gosi_sub(&g->refs, 1u) == 1) g_free(c, g);
}

uint64_t gosi_g_next_id(gosi_ids *of) {
  if (!of) return gosi_add(&gosi_rt.next_id, 1) + 1;
  if (of->next == of->end) {
    of->next = gosi_add(&gosi_rt.next_id, ID_BATCH) + 1;
    of->end = of->next + ID_BATCH;
  }
  return of->next++;
}

gosi_extra *gosi_g_extra(gos_g *g) {
  gosi_extra *x = gosi_load_acquire(&g->extra);
  if (x) {
    gosi_hb_after(x);
    return x;
  }
  x = gosi_alloc(sizeof *x);
  if (!x) return NULL;
  gosi_hb_before(x);
  if (gosi_cas(&g->extra, (gosi_extra *)NULL, x)) return x;
  gosi_free(x); /* another thread was faster */
  x = gosi_load_acquire(&g->extra);
  gosi_hb_after(x);
  return x;
}

void gosi_g_run_defers(gos_g *g) {
  for (gosi_defer *d; (d = g->defers);) {
    gosi_defer call = *d;
    g->defers = d->next;
    if (!d->framed) gosi_free(d); /* the call may end the goroutine */
    call.fn(call.arg);
  }
}

void gosi_g_run(gos_g *g) {
  g->fn(g->arg);
  if (unlikely(g->defers)) gosi_g_run_defers(g);
}

void gosi_g_finish(gosi_m *m, gosi_gcache *c, gos_g *g) {
  bool alone = gosi_load_acquire(&g->refs) == 1; /* before the look for a done channel: no handle, so none can come */
  gosi_extra *x = gosi_load_acquire(&g->extra);
  if (likely(alone && !(x && x->on_end))) {
    g_free(c, g);
    return;
  }
  gosi_lock_take(&g->lock);
  gosi_hb_after(&g->lock);
  gosi_hb_before(g);
  gosi_store_release(&g->status, (uint8_t)G_DEAD);
  gos_g *woken = NULL, **tail = &woken;
  for (gosi_waiter *w; (w = g->joiners.head);) {
    gosi_waitq_remove(&g->joiners, w);
    if (!gosi_claim(w)) continue;
    *tail = w->g;
    tail = &w->g->next;
  }
  *tail = NULL;
  x = gosi_load_acquire(&g->extra);
  gos_chan *done = x ? x->done : NULL;
  void (*on_end)(gos_chan *, bool) = done ? x->on_end : NULL; /* a gos_done() from here on sees G_DEAD */
  gosi_lock_drop(&g->lock);
  while (woken && g->realm && woken->realm == g->realm) { /* the host's lock is held */
    gos_g *j = woken;
    woken = j->next;
    gosi_ready_home(m, j);
  }
  if (woken) gosi_ready_list(m, woken);
  if (on_end) on_end(done, false);
  gosi_g_unref(c, g);
}

void gosi_g_after_fork(void) { free_lock.word = 0; }

/* Names and values: see gos_debug_layout. Offsets in bytes, sizes, constants, and addresses. */
#define AT(name, type, field)                                                                                          \
  { name, offsetof(type, field) }
#define ADDRESS(name, of)                                                                                              \
  { name, (uintptr_t) & (of) }
const gos_layout gos_debug_layout[] = {
    ADDRESS("chunks", gosi_g_chunks),
    ADDRESS("reasons", gosi_reason_text),
    ADDRESS("slabs", gosi_slabs),
    ADDRESS("nslabs", gosi_nslabs),
    {"reason.count", WAIT_REASONS},
    {"status.free", G_FREE},
    {"status.runnable", G_RUNNABLE},
    {"status.running", G_RUNNING},
    {"status.waiting", G_WAITING},
    {"status.dead", G_DEAD},
    {"flag.main", GF_MAIN},
    {"flag.foreign", GF_FOREIGN},
    {"flag.locked", GF_LOCKED},
    {"chunk.count", CHUNK},
    AT("chunk.next", chunk, next),
    AT("chunk.g", chunk, g),
    {"g.size", sizeof(gos_g)},
    AT("g.id", gos_g, id),
    AT("g.creator", gos_g, creator),
    AT("g.status", gos_g, status),
    AT("g.reason", gos_g, reason),
    AT("g.flags", gos_g, flags),
    AT("g.sp", gos_g, ctx.sp),
    AT("g.m", gos_g, m),
    AT("g.arg", gos_g, arg),
    AT("g.since", gos_g, since),
    AT("g.site", gos_g, site),
    AT("g.realm", gos_g, realm),
    AT("g.fiber", gos_g, fiber),
    AT("g.extra", gos_g, extra),
    AT("m.tid", gosi_m, tid),
    AT("realm.language", gos_realm, host.language),
    AT("realm.layout", gos_realm, host.layout),
    AT("realm.closed", gos_realm, closed),
    AT("fiber.lo", gosi_fiber, lo),
    AT("fiber.top", gosi_fiber, top),
    {"slab.size", sizeof(gosi_slab)},
    AT("slab.lo", gosi_slab, lo),
    AT("slab.hi", gosi_slab, hi),
    AT("slab.cls", gosi_slab, cls),
    AT("slab.cells", gosi_slab, cells),
    AT("ice.bytes", gosi_ice, bytes),
    {"extra.name_size", sizeof(((gosi_extra *)0)->name)},
    AT("extra.name", gosi_extra, name),
    AT("extra.labels", gosi_extra, labels),
    AT("labels.n", gosi_labels, n),
    AT("labels.text", gosi_labels, text),
    {"", 0},
};

/* ---- descriptions --------------------------------------------------------------- */
const char *gosi_g_site(gos_g *g, char *buf, size_t n) {
  Dl_info i;
  void *pc;
  buf[0] = 0;
  if (gosi_load(&g->realm) && !(gosi_load(&g->flags) & (GF_FOREIGN | GF_MAIN))) {
    gosi_realm_site(g, buf, n);
  } else if ((pc = gosi_load(&g->site)) && dladdr(pc, &i) && i.dli_fname) {
    if (i.dli_sname)
      snprintf(buf, n, "%s+0x%zx", i.dli_sname, (size_t)((char *)pc - (char *)i.dli_saddr));
    else
      snprintf(buf, n, "%s+0x%zx", i.dli_fname, (size_t)((char *)pc - (char *)i.dli_fbase));
  }
  return buf;
}

/* " (name)", or nothing. The goroutine may be another one by now: every byte is read atomically. */
static const char *name_of(gos_g *g, char *buf) {
  gosi_extra *x = gosi_load_acquire(&g->extra);
  size_t k = 2, i = 0;
  buf[0] = 0;
  if (!x || !gosi_load(&x->name[0])) return buf;
  memcpy(buf, " (", 2);
  for (; i + 1 < sizeof x->name && (buf[k] = gosi_load(&x->name[i])); i++) k++;
  memcpy(buf + k, ")", 2);
  return buf;
}

/* Its site as "BEFORE SITE in goroutine N AFTER", or nothing. */
static int add_site(gos_g *g, char *buf, size_t n, const char *before, const char *after) {
  char site[192];
  unsigned long long creator = gosi_load(&g->creator);
  if (!gosi_g_site(g, site, sizeof site)[0]) return 0;
  if (creator) return snprintf(buf, n, "%screated by %s in goroutine %llu%s", before, site, creator, after);
  return snprintf(buf, n, "%screated by %s%s", before, site, after);
}

size_t gosi_g_describe(gos_g *g, char *buf, size_t n) {
  char name[80];
  int k = snprintf(buf, n, "goroutine %llu%s", (unsigned long long)gosi_load(&g->id), name_of(g, name));
  if (k > 0 && (size_t)k < n) k += add_site(g, buf + k, n - (size_t)k, ", ", "");
  return (size_t)k < n ? (size_t)k : n - 1;
}

size_t gosi_g_headline(gos_g *g, const char *state, char *buf, size_t n) {
  char name[80], labels[192];
  bool labelled = gosi_labels_text(g, labels, sizeof labels) > 0;
  int k = snprintf(buf, n, "goroutine %llu%s [%s]%s%s%s:\n", (unsigned long long)gosi_load(&g->id), name_of(g, name),
                   state, labelled ? " {" : "", labelled ? labels : "", labelled ? "}" : "");
  if (k > 0 && (size_t)k < n) k += add_site(g, buf + k, n - (size_t)k, "\t", "\n");
  return (size_t)k < n ? (size_t)k : n - 1;
}

bool gosi_g_visit_next(const void **at, void (*f)(gos_g *g, void *u), void *u) {
  chunk *k = *at ? (chunk *)(uintptr_t)*at : gosi_load_acquire(&gosi_g_chunks);
  for (int i = 0; k && i < CHUNK; i++)
    if (gosi_load_acquire(&k->g[i].status) != G_FREE) f(&k->g[i], u);
  return k && (*at = k->next);
}

void gosi_g_visit(void (*f)(gos_g *g, void *u), void *u) {
  for (chunk *k = gosi_load_acquire(&gosi_g_chunks); k; k = k->next)
    for (int i = 0; i < CHUNK; i++)
      if (gosi_load_acquire(&k->g[i].status) != G_FREE) f(&k->g[i], u);
}
