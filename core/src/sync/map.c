/* Map. L4.
 *
 * The high bits of a key's hash choose a stripe, which has a lock, the low bits a chain in it. Never
 * under a lock: memory, and the user's hash, equal, key_retain, key_drop and value_drop. So equal is
 * called on a pinned entry: one that stays in its chain, in its place, and keeps its key, though it may
 * be dead (deleted) by the time the lock is back. Newcomers go to the end of their chain: a walk that
 * was interrupted for equal meets them, so what it has not found at the end is not there.
 *
 * A stripe grows a few chains at a time; an entry is in the old table if its chain has not been moved.
 * Entries that live or are pinned are also in a list in the order of their birth, for range: it goes up to
 * the entries that were there when it came to the stripe, and so meets no key twice.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include "base/lock.h"
#include "os/os.h"
#include "sched/sched.h"

enum { MOST = 6, FIRST = GOSI_HARD ? 1 : 8, MOVES = 4, BATCH = 32 };

typedef struct entry {
  struct entry *next; /* in its chain; among garbage */
  struct entry *older, *newer;
  uint64_t hash, born;
  void *key, *value;
  uint32_t pins;
  bool dead; /* the value is gone */
} entry;

typedef struct table {
  uint64_t mask;
  entry *chain[];
} table;

typedef struct stripe {
  gosi_lock lock; /* guards all below */
  size_t count;   /* also read without it */
  table *now, *old;
  uint64_t moved; /* chains of old */
  entry *first, *last;
  uint64_t births;
} __attribute__((aligned(CACHE_LINE))) stripe;

struct gos_map {
  gos_map_ops ops;
  uint64_t seed;
  int log, n; /* of stripes: four for each CPU, roughly */
  stripe s[];
};

/* What an operation leaves to do once the lock is dropped. */
typedef struct after {
  entry *garbage; /* by next: keys to be dropped */
  table *done;
  entry *fresh; /* memory with a key of the map's own, for an insertion; what is left of it */
  table *room;
} after;

/* ---- hashes ----------------------------------------------------------------------------------- */
static uint64_t mix(uint64_t x) { /* every bit of x moves every bit of the result */
  x ^= x >> 32;
  x *= 0xD6E8FEB86659FD93ull;
  x ^= x >> 32;
  x *= 0xD6E8FEB86659FD93ull;
  return x ^ x >> 32;
}
static uint64_t hash_of(const gos_map *m, const void *key) {
  return mix(m->ops.hash ? m->ops.hash(m->ops.u, key, m->seed) ^ m->seed : (uint64_t)(uintptr_t)key ^ m->seed);
}
static stripe *stripe_of(gos_map *m, uint64_t h) { return &m->s[h >> (64 - m->log)]; }

/* ---- tables --------------------------------------------------------------------------------------- */
static table *table_new(uint64_t n) {
  table *t = gosi_alloc(sizeof *t + n * sizeof(entry *));
  if (t) t->mask = n - 1;
  return t;
}

/* Where the chain of h begins; NULL: there is no table yet. */
static entry **chain_of(stripe *s, uint64_t h) {
  table *t = s->old && (h & s->old->mask) >= s->moved ? s->old : s->now;
  return t ? &t->chain[h & t->mask] : NULL;
}

/* Some chains of the old table go to the new one, their order kept. */
static void move_some(stripe *s, after *a) {
  for (int i = 0; s->old && i < MOVES; i++) {
    entry *e = s->old->chain[s->moved], **tail[2];
    for (uint64_t k = 0; k < 2; k++) tail[k] = &s->now->chain[s->moved + k * (s->old->mask + 1)];
    for (; e; e = e->next) {
      entry ***t = &tail[(e->hash & (s->old->mask + 1)) != 0];
      **t = e;
      *t = &e->next;
    }
    *tail[0] = *tail[1] = NULL;
    if (++s->moved <= s->old->mask) continue;
    a->done = s->old;
    s->old = NULL;
  }
}

/* ---- entries ------------------------------------------------------------------------------------------ */
static void unlink_entry(stripe *s, entry *e, after *a) {
  entry **at = chain_of(s, e->hash);
  while (*at != e) at = &(*at)->next;
  *at = e->next;
  *(e->older ? &e->older->newer : &s->first) = e->newer;
  *(e->newer ? &e->newer->older : &s->last) = e->older;
  e->next = a->garbage;
  a->garbage = e;
}

static void unpin(stripe *s, entry *e, after *a) {
  if (--e->pins == 0 && e->dead) unlink_entry(s, e, a);
}

/* The value is the caller's. */
static void *kill_entry(stripe *s, entry *e, after *a) {
  e->dead = true;
  gosi_store(&s->count, s->count - 1);
  if (!e->pins) unlink_entry(s, e, a);
  return e->value;
}

/* Drops the lock while it asks equal about e. */
static bool same_key(gos_map *m, stripe *s, entry *e, const void *key) {
  if (e->key == key) return true;
  if (!m->ops.equal) return false;
  e->pins++;
  gosi_lock_drop(&s->lock);
  bool same = m->ops.equal(m->ops.u, e->key, key);
  gosi_lock_take(&s->lock);
  return same;
}

/* The living entry of key, or NULL: under the lock, and true as long as it is not dropped. */
static entry *find(gos_map *m, stripe *s, uint64_t h, const void *key, after *a) {
  entry **at = chain_of(s, h), *found = NULL;
  for (entry *e = at ? *at : NULL, *next; e && !found; e = next) {
    bool asked = e->key != key && m->ops.equal && e->hash == h && !e->dead;
    bool same = e->hash == h && !e->dead && same_key(m, s, e, key);
    if (same && !e->dead) found = e;
    next = e->next;
    if (asked) unpin(s, e, a);
  }
  return found;
}

/* At the end of its chain, see above. The value is the map's. */
static void insert(stripe *s, uint64_t h, void *value, after *a) {
  entry *e = a->fresh, **at;
  a->fresh = NULL;
  if (!s->now) {
    s->now = a->room;
    a->room = NULL;
  }
  e->hash = h;
  e->value = value;
  e->born = s->births++;
  for (at = chain_of(s, h); *at;) at = &(*at)->next;
  *at = e;
  e->older = s->last;
  *(s->last ? &s->last->newer : &s->first) = e;
  s->last = e;
  gosi_store(&s->count, s->count + 1);
  move_some(s, a);
}

/* ---- an operation ------------------------------------------------------------------------------------------ */
static entry *begin(gos_map *m, stripe *s, uint64_t h, const void *key, after *a) {
  gosi_lock_take(&s->lock);
  return find(m, s, h, key, a);
}

static void drop_key(gos_map *m, entry *e) {
  if (m->ops.key_drop) m->ops.key_drop(m->ops.u, e->key);
  gosi_free(e);
}

static void end(gos_map *m, stripe *s, after *a) {
  gosi_lock_drop(&s->lock);
  gosi_free(a->done);
  gosi_free(a->room);
  if (a->fresh) drop_key(m, a->fresh);
  for (entry *e; (e = a->garbage);) {
    a->garbage = e->next;
    drop_key(m, e);
  }
}

static void drop_value(gos_map *m, void *v) {
  if (m->ops.value_drop) m->ops.value_drop(m->ops.u, v);
}

static bool full(stripe *s) { return s->now && !s->old && s->count > s->now->mask; }

/* More chains, when there are more entries than chains; without memory the chains get longer. */
static void grow(stripe *s) {
  gosi_lock_take(&s->lock);
  uint64_t n = full(s) ? 2 * (s->now->mask + 1) : 0;
  gosi_lock_drop(&s->lock);
  table *t = n ? table_new(n) : NULL;
  if (!t) return;
  gosi_lock_take(&s->lock);
  if (full(s) && s->now->mask < t->mask) {
    s->old = s->now;
    s->now = t;
    s->moved = 0;
    t = NULL;
  }
  gosi_lock_drop(&s->lock);
  gosi_free(t);
}

/* What an insertion of key may need; false: no memory. */
static bool prepare(gos_map *m, const void *key, bool room, after *a) {
  a->fresh = gosi_alloc(sizeof *a->fresh);
  if (room) a->room = table_new(FIRST);
  if (!a->fresh) return false;
  a->fresh->key = m->ops.key_retain ? m->ops.key_retain(m->ops.u, key) : (void *)(uintptr_t)key;
  if (m->ops.key_retain && !a->fresh->key) {
    gosi_free(a->fresh);
    a->fresh = NULL;
    return false;
  }
  return true;
}

/* The entry of key, under the stripe's lock. NULL: there was none; *e is GOS_OK if there is one now,
   with this value, else GOS_NOMEM. */
static entry *find_or_insert(gos_map *m, stripe *s, uint64_t h, const void *key, void *value, after *a, int *e) {
  entry *x = begin(m, s, h, key, a);
  *e = GOS_OK;
  if (x) return x;
  bool room = !s->now;
  gosi_lock_drop(&s->lock);
  bool ready = prepare(m, key, room, a);
  x = begin(m, s, h, key, a);
  if (x) return x;
  if (ready && (s->now || a->room))
    insert(s, h, value, a);
  else
    *e = GOS_NOMEM;
  return NULL;
}

static void *retained(gos_map *m, void *v) {
  if (m->ops.value_retain) m->ops.value_retain(m->ops.u, v);
  return v;
}

/* ---- the public calls ------------------------------------------------------------------------------------------ */
gos_map *gos_map_new(const gos_map_ops *ops) {
  if (ops && (ops->size != sizeof *ops || (ops->equal && !ops->hash))) return NULL;
  int log = 2;
  while (!GOSI_HARD && log < MOST && 1 << log < 4 * gosi_os_cpus()) log++;
  gos_map *m = gosi_alloc_aligned(sizeof *m + (sizeof(stripe) << log));
  if (!m) return NULL;
  m->log = log;
  m->n = 1 << log;
  if (ops) m->ops = *ops;
  m->seed = gosi_seed_next();
  return m;
}

int gos_map_load(gos_map *m, const void *key, void **value) {
  if (value) *value = NULL;
  if (!m) return GOS_INVAL;
  after a = {0};
  uint64_t h = hash_of(m, key);
  stripe *s = stripe_of(m, h);
  entry *e = begin(m, s, h, key, &a);
  if (e && value) *value = retained(m, e->value);
  end(m, s, &a);
  return e != NULL;
}

/* *old: the value that was there, if it gives 1. */
static int swap(gos_map *m, const void *key, void *value, void **old) {
  after a = {0};
  int err;
  uint64_t h = hash_of(m, key);
  stripe *s = stripe_of(m, h);
  entry *e = find_or_insert(m, s, h, key, value, &a, &err);
  if (e) {
    *old = e->value;
    e->value = value;
  }
  bool more = full(s);
  end(m, s, &a);
  if (more) grow(s);
  return e ? 1 : err;
}

int gos_map_swap(gos_map *m, const void *key, void *value, void **old) {
  if (old) *old = NULL;
  if (!m) return GOS_INVAL;
  void *was = NULL;
  int e = swap(m, key, value, &was);
  if (e == 1 && old)
    *old = was;
  else if (e == 1)
    drop_value(m, was);
  return e;
}

int gos_map_store(gos_map *m, const void *key, void *value) {
  int e = gos_map_swap(m, key, value, NULL);
  return e > 0 ? GOS_OK : e;
}

int gos_map_load_or_store(gos_map *m, const void *key, void *value, void **actual) {
  if (actual) *actual = NULL;
  if (!m) return GOS_INVAL;
  after a = {0};
  int err;
  uint64_t h = hash_of(m, key);
  stripe *s = stripe_of(m, h);
  entry *e = find_or_insert(m, s, h, key, value, &a, &err);
  if (actual && !err) *actual = retained(m, e ? e->value : value);
  bool more = full(s);
  end(m, s, &a);
  if (more) grow(s);
  return e ? 1 : err;
}

/* Takes the entry out if there is one and, where old is given, its value is *old. */
static int take(gos_map *m, const void *key, void *const *old, void **value) {
  after a = {0};
  uint64_t h = hash_of(m, key);
  stripe *s = stripe_of(m, h);
  entry *e = begin(m, s, h, key, &a);
  if (e && old && e->value != *old) e = NULL;
  if (e) *value = kill_entry(s, e, &a);
  end(m, s, &a);
  return e != NULL;
}

int gos_map_load_and_delete(gos_map *m, const void *key, void **value) {
  if (value) *value = NULL;
  if (!m) return GOS_INVAL;
  void *was = NULL;
  int found = take(m, key, NULL, &was);
  if (found && value)
    *value = was;
  else if (found)
    drop_value(m, was);
  return found;
}

int gos_map_delete(gos_map *m, const void *key) { return gos_map_load_and_delete(m, key, NULL); }

int gos_map_compare_and_delete(gos_map *m, const void *key, void *old) {
  if (!m) return GOS_INVAL;
  void *was = NULL;
  int found = take(m, key, &old, &was);
  if (found) drop_value(m, was);
  return found;
}

int gos_map_compare_and_swap(gos_map *m, const void *key, void *old, void *value) {
  if (!m) return GOS_INVAL;
  after a = {0};
  uint64_t h = hash_of(m, key);
  stripe *s = stripe_of(m, h);
  entry *e = begin(m, s, h, key, &a);
  bool same = e && e->value == old;
  if (same) e->value = value;
  end(m, s, &a);
  if (same) drop_value(m, old);
  return same;
}

/* Calls f for the entries of a stripe; false: f has had enough. */
static bool range_stripe(gos_map *m, stripe *s, bool (*f)(const void *, void *, void *), void *u) {
  bool go_on = true;
  after a = {0};
  gosi_lock_take(&s->lock);
  uint64_t births = s->births;
  for (entry *e = s->first, *next; e && e->born < births && go_on; e = next) {
    if (!e->dead) {
      void *value = retained(m, e->value);
      e->pins++;
      gosi_lock_drop(&s->lock);
      go_on = f(e->key, value, u);
      if (m->ops.value_retain) drop_value(m, value);
      gosi_lock_take(&s->lock);
      next = e->newer;
      unpin(s, e, &a);
    } else {
      next = e->newer;
    }
  }
  end(m, s, &a);
  return go_on;
}

void gos_map_range(gos_map *m, bool (*f)(const void *key, void *value, void *u), void *u) {
  if (!m || !f) return;
  for (int i = 0; i < m->n && range_stripe(m, &m->s[i], f, u); i++) {}
}

/* Deletes up to BATCH entries born before births; false: there are no more. */
static bool clear_some(gos_map *m, stripe *s, uint64_t births) {
  after a = {0};
  void *values[BATCH];
  int n = 0;
  gosi_lock_take(&s->lock);
  for (entry *e = s->first, *next; e && e->born < births && n < BATCH; e = next) {
    next = e->newer;
    if (!e->dead) values[n++] = kill_entry(s, e, &a);
  }
  end(m, s, &a);
  for (int i = 0; i < n; i++) drop_value(m, values[i]);
  return n == BATCH;
}

void gos_map_clear(gos_map *m) {
  for (int i = 0; m && i < m->n; i++) {
    stripe *s = &m->s[i];
    gosi_lock_take(&s->lock);
    uint64_t births = s->births;
    gosi_lock_drop(&s->lock);
    while (clear_some(m, s, births)) {}
  }
}

size_t gos_map_len(gos_map *m) {
  size_t n = 0;
  for (int i = 0; m && i < m->n; i++) n += gosi_load(&m->s[i].count);
  return n;
}

void gos_map_free(gos_map *m) {
  if (!m) return;
  gos_map_clear(m);
  for (int i = 0; i < m->n; i++) {
    gosi_free(m->s[i].now);
    gosi_free(m->s[i].old);
  }
  gosi_free(m);
}
