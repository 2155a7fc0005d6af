/* Goroutines: memory, numbers, ends, descriptions. L3. SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include "sched/sched.h"

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
    [WAIT_JOIN] = "join",
    [WAIT_ONCE] = "sync.Once.Do",
};

/* Gs come in chunks that are never freed, so that a dump can look at any of them at any time. */
enum { CHUNK = 32, CACHE_KEEP = 1024, ID_BATCH = 64 };
typedef struct chunk {
  struct chunk *next;
  gos_g g[CHUNK];
} chunk;
static chunk *chunks;
static gosi_gcache shared;
static gosi_lock shared_lock;

static gos_g *from_shared(gosi_gcache *c) {
  gosi_lock_take(&shared_lock);
  gos_g *g = shared.head;
  for (int i = 0; c && i < CHUNK && g && g->next; i++) { /* some more for the cache */
    gos_g *x = g->next;
    g->next = x->next;
    x->next = c->head;
    c->head = x;
    c->n++;
    shared.n--;
  }
  if (g) {
    shared.head = g->next;
    shared.n--;
  }
  gosi_lock_drop(&shared_lock);
  return g;
}

static gos_g *from_chunk(gosi_gcache *c) {
  chunk *k = gosi_alloc_aligned(sizeof *k);
  if (!k) return NULL;
  for (int i = 1; i < CHUNK; i++) {
    k->g[i].claim = 1;
    if (c) {
      k->g[i].next = c->head;
      c->head = &k->g[i];
      c->n++;
    }
  }
  if (!c) {
    gosi_lock_take(&shared_lock);
    for (int i = 1; i < CHUNK; i++) {
      k->g[i].next = shared.head;
      shared.head = &k->g[i];
      shared.n++;
    }
    gosi_lock_drop(&shared_lock);
  }
  k->g[0].claim = 1;
  chunk *old;
  do {
    old = gosi_load_acquire(&chunks);
    k->next = old;
  } while (!gosi_cas(&chunks, old, k)); /* pairs with the load in gosi_g_visit */
  return &k->g[0];
}

gos_g *gosi_g_new(gosi_gcache *c) {
  gos_g *g = c ? c->head : NULL;
  if (likely(g)) {
    c->head = g->next;
    c->n--;
  } else if (!(g = from_shared(c)) && !(g = from_chunk(c))) {
    return NULL;
  }
  gosi_hb_after(g);
  g->fiber = NULL;
  gosi_store(&g->realm, (gos_realm *)NULL); /* a dump may be looking, here and below */
  gosi_store(&g->flags, (uint8_t)0);
  g->interrupted = 0;
  g->w.g = g;
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
  }
  gosi_store(&g->status, (uint8_t)G_FREE);
  if (c && c->n < CACHE_KEEP) {
    g->next = c->head;
    c->head = g;
    c->n++;
    return;
  }
  gosi_lock_take(&shared_lock);
  g->next = shared.head;
  shared.head = g;
  shared.n++;
  gosi_lock_drop(&shared_lock);
}

void gosi_g_unref(gosi_gcache *c, gos_g *g) {
  gosi_hb_before(g);
  if (gosi_load_acquire(&g->refs) == 1 || gosi_sub(&g->refs, 1u) == 1) g_free(c, g);
}

uint64_t gosi_g_next_id(gosi_p *p) {
  if (!p) return gosi_add(&gosi_rt.next_id, 1) + 1;
  if (p->id_next == p->id_end) {
    p->id_next = gosi_add(&gosi_rt.next_id, ID_BATCH) + 1;
    p->id_end = p->id_next + ID_BATCH;
  }
  return p->id_next++;
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
  return gosi_load_acquire(&g->extra);
}

void gosi_g_run_defers(gos_g *g) {
  gosi_extra *x = g->extra;
  while (x && x->defers) {
    gosi_defer *d = x->defers;
    x->defers = d->next;
    d->fn(d->arg);
    gosi_free(d);
  }
}

void gosi_g_run(gos_g *g) {
  g->fn(g->arg);
  if (unlikely(gosi_load_acquire(&g->extra))) gosi_g_run_defers(g);
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
  void (*on_end)(gos_chan *, bool) = x ? x->on_end : NULL; /* one that comes later sees G_DEAD, and closes itself */
  gosi_lock_drop(&g->lock);
  while (woken && g->realm && woken->realm == g->realm) { /* the host's lock is held */
    gos_g *j = woken;
    woken = j->next;
    gosi_ready_home(m, j);
  }
  if (woken) gosi_ready_list(m, woken);
  if (on_end) on_end(x->done, false);
  gosi_g_unref(c, g);
}

void gosi_g_after_fork(void) { shared_lock.word = 0; }

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

size_t gosi_g_describe(gos_g *g, char *buf, size_t n) {
  char site[192];
  gosi_extra *x = g->extra;
  gosi_g_site(g, site, sizeof site);
  int k = snprintf(buf, n, "goroutine %llu%s%s%s", (unsigned long long)gosi_load(&g->id), x && x->name[0] ? " (" : "",
                   x ? x->name : "", x && x->name[0] ? ")" : "");
  if (site[0] && k > 0 && (size_t)k < n) {
    k += snprintf(buf + k, n - (size_t)k, ", created by %s", site);
    if (g->creator && (size_t)k < n)
      k += snprintf(buf + k, n - (size_t)k, " in goroutine %llu", (unsigned long long)gosi_load(&g->creator));
  }
  return (size_t)k < n ? (size_t)k : n - 1;
}

size_t gosi_g_headline(gos_g *g, const char *state, char *buf, size_t n) {
  char site[192];
  gosi_extra *x = gosi_load_acquire(&g->extra);
  bool named = x && x->name[0];
  gosi_g_site(g, site, sizeof site);
  int k = snprintf(buf, n, "goroutine %llu%s%s%s [%s]:\n", (unsigned long long)gosi_load(&g->id), named ? " (" : "",
                   named ? x->name : "", named ? ")" : "", state);
  if (site[0] && g->creator)
    k += snprintf(buf + k, n - (size_t)k, "\tcreated by %s in goroutine %llu\n", site,
                  (unsigned long long)gosi_load(&g->creator));
  else if (site[0])
    k += snprintf(buf + k, n - (size_t)k, "\tcreated by %s\n", site);
  return (size_t)k < n ? (size_t)k : n - 1;
}

void gosi_g_visit(void (*f)(gos_g *g, void *u), void *u) {
  for (chunk *k = gosi_load_acquire(&chunks); k; k = k->next)
    for (int i = 0; i < CHUNK; i++)
      if (gosi_load_acquire(&k->g[i].status) != G_FREE) f(&k->g[i], u);
}
