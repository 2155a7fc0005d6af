// ctest: timeout=240
/* Map: equal to a plain one under a lock, nothing lost or dropped twice, calls from inside range.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <pthread.h>

static gos_map *m;
static void *num(intptr_t n) { return (void *)n; }
static uint64_t next(uint64_t *x) { return *x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17; }

/* ---- counted keys and values, to see who drops what ---------------------------------------- */
struct counted {
  atomic_int refs;
  intptr_t n;
};
static atomic_long alive, bad_hash, may_yield, no_keys;
static struct counted *counted(intptr_t n) {
  struct counted *c = malloc(sizeof *c);
  c->refs = 1;
  c->n = n;
  atomic_fetch_add(&alive, 1);
  return c;
}
static void retain(void *u, void *p) {
  (void)u;
  if (p) CHECK(atomic_fetch_add(&((struct counted *)p)->refs, 1) > 0);
}
static void drop(void *u, void *p) {
  (void)u;
  if (!p) return;
  int was = atomic_fetch_sub(&((struct counted *)p)->refs, 1);
  CHECK(was > 0);
  if (was > 1) return;
  ((struct counted *)p)->n = -1;
  atomic_fetch_sub(&alive, 1);
  free(p);
}
static uint64_t hash(void *u, const void *key, uint64_t seed) {
  (void)u;
  (void)seed;
  return bad_hash ? 7 : (uint64_t)((const struct counted *)key)->n;
}
static bool equal(void *u, const void *a, const void *b) {
  (void)u;
  if (may_yield && ++may_yield % 16 == 0) gos_gosched(); /* a thread sleeps for it */
  CHECK(((const struct counted *)a)->n >= 0);            /* the map's own key lives */
  return ((const struct counted *)a)->n == ((const struct counted *)b)->n;
}
static void *key_copy(void *u, const void *key) {
  (void)u;
  return no_keys ? NULL : counted(((const struct counted *)key)->n);
}
static const gos_map_ops counting = {.size = sizeof(gos_map_ops),
                                     .hash = hash,
                                     .equal = equal,
                                     .key_retain = key_copy,
                                     .key_drop = drop,
                                     .value_retain = retain,
                                     .value_drop = drop};

/* ---- one goroutine: what each call gives ------------------------------------------------------- */
TEST(each_call) {
  void *v = &v;
  m = gos_map_new(NULL);
  CHECK_EQ(gos_map_load(m, num(1), &v), 0);
  CHECK(!v);
  CHECK_EQ(gos_map_store(m, num(1), num(10)), GOS_OK);
  CHECK_EQ(gos_map_load(m, num(1), &v), 1);
  CHECK(v == num(10));
  CHECK_EQ(gos_map_load(m, num(1), NULL), 1);
  CHECK_EQ(gos_map_load_or_store(m, num(1), num(11), &v), 1);
  CHECK(v == num(10));
  CHECK_EQ(gos_map_load_or_store(m, num(2), num(20), &v), 0);
  CHECK(v == num(20));
  CHECK_EQ(gos_map_len(m), 2);
  CHECK_EQ(gos_map_swap(m, num(2), num(21), &v), 1);
  CHECK(v == num(20));
  CHECK_EQ(gos_map_swap(m, num(3), num(30), &v), 0);
  CHECK(!v);
  CHECK_EQ(gos_map_compare_and_swap(m, num(3), num(31), num(32)), 0);
  CHECK_EQ(gos_map_compare_and_swap(m, num(3), num(30), num(31)), 1);
  CHECK_EQ(gos_map_compare_and_swap(m, num(4), NULL, num(40)), 0);
  CHECK_EQ(gos_map_compare_and_delete(m, num(3), num(30)), 0);
  CHECK_EQ(gos_map_compare_and_delete(m, num(3), num(31)), 1);
  CHECK_EQ(gos_map_compare_and_delete(m, num(3), num(31)), 0);
  CHECK_EQ(gos_map_load_and_delete(m, num(2), &v), 1);
  CHECK(v == num(21));
  CHECK_EQ(gos_map_load_and_delete(m, num(2), &v), 0);
  CHECK(!v);
  CHECK_EQ(gos_map_delete(m, num(1)), 1);
  CHECK_EQ(gos_map_delete(m, num(1)), 0);
  CHECK_EQ(gos_map_len(m), 0);
  CHECK_EQ(gos_map_store(m, NULL, NULL), GOS_OK); /* NULL is a key and a value like others */
  CHECK_EQ(gos_map_load(m, NULL, &v), 1);
  CHECK_EQ(gos_map_load_and_delete(m, NULL, &v), 1);
  gos_map_free(m);
}

static bool never(const void *key, void *value, void *u) {
  (void)key;
  (void)value;
  (void)u;
  CHECK(!"called");
  return true;
}

TEST(wrong_arguments) {
  void *v;
  CHECK(!gos_map_new(&(gos_map_ops){.size = 3}));
  CHECK(!gos_map_new(&(gos_map_ops){.size = sizeof(gos_map_ops), .equal = equal}));
  CHECK_EQ(gos_map_load(NULL, num(1), &v), GOS_INVAL);
  CHECK_EQ(gos_map_store(NULL, num(1), num(1)), GOS_INVAL);
  CHECK_EQ(gos_map_load_or_store(NULL, num(1), num(1), &v), GOS_INVAL);
  CHECK_EQ(gos_map_swap(NULL, num(1), num(1), &v), GOS_INVAL);
  CHECK_EQ(gos_map_load_and_delete(NULL, num(1), &v), GOS_INVAL);
  CHECK_EQ(gos_map_delete(NULL, num(1)), GOS_INVAL);
  CHECK_EQ(gos_map_compare_and_swap(NULL, num(1), num(1), num(1)), GOS_INVAL);
  CHECK_EQ(gos_map_compare_and_delete(NULL, num(1), num(1)), GOS_INVAL);
  gos_map_range(NULL, never, NULL), gos_map_clear(NULL), gos_map_free(NULL);
  CHECK_EQ(gos_map_len(NULL), 0);
  m = gos_map_new(NULL);
  gos_map_range(m, NULL, NULL), gos_map_range(m, never, NULL);
  gos_map_free(m);
}

/* ---- random calls, against an array ---------------------------------------------------------------- */
enum { KEYS = 300 };
static struct counted *model[KEYS];

static bool in_model(const void *key, void *value, void *u) {
  bool *seen = u;
  intptr_t k = ((const struct counted *)key)->n;
  CHECK(k >= 0 && k < KEYS && !seen[k]);
  CHECK(value == model[k]);
  return seen[k] = true;
}
static void same_as_model(void) {
  bool seen[KEYS] = {false};
  size_t n = 0;
  gos_map_range(m, in_model, seen);
  for (int i = 0; i < KEYS; i++) {
    CHECK_EQ(seen[i], model[i] != NULL);
    n += seen[i];
  }
  CHECK_EQ(gos_map_len(m), n);
}
TEST(random_calls_equal_an_array) {
  for (int bad = 0; bad < 2; bad++) {
    bad_hash = bad;
    for (uint64_t seed = 1; seed <= 3; seed++) {
      uint64_t x = seed * 0x9E3779B97F4A7C15u;
      m = gos_map_new(&counting);
      memset(model, 0, sizeof model);
      for (long ops = scaled(bad ? 5000 : 30000); ops; ops--) {
        struct counted k = {1, (intptr_t)(next(&x) % (bad ? 20 : KEYS))};
        struct counted *v = counted(k.n), *was = model[k.n];
        void *out = &x;
        bool kept = false;
        int r = (int)(next(&x) % 64);
        if (r < 10) {
          CHECK_EQ(gos_map_load(m, &k, &out), was != NULL);
          CHECK(out == was);
          drop(NULL, out);
        } else if (r < 20) {
          CHECK_EQ(gos_map_store(m, &k, v), GOS_OK);
          kept = true;
        } else if (r < 30) {
          CHECK_EQ(gos_map_load_or_store(m, &k, v, &out), was != NULL);
          CHECK(out == (was ? was : v));
          drop(NULL, out);
          kept = !was;
        } else if (r < 36) {
          CHECK_EQ(gos_map_load_and_delete(m, &k, &out), was != NULL);
          CHECK(out == was);
          drop(NULL, out);
          model[k.n] = NULL;
        } else if (r < 40) {
          CHECK_EQ(gos_map_delete(m, &k), was != NULL);
          model[k.n] = NULL;
        } else if (r < 46) {
          CHECK_EQ(gos_map_swap(m, &k, v, &out), was != NULL);
          CHECK(out == was);
          drop(NULL, out);
          kept = true;
        } else if (r < 52) {
          kept = was && r % 2;
          CHECK_EQ(gos_map_compare_and_swap(m, &k, r % 2 ? was : v, v), kept);
        } else if (r < 58) {
          bool gone = was && r % 2;
          CHECK_EQ(gos_map_compare_and_delete(m, &k, r % 2 ? was : v), gone);
          if (gone) model[k.n] = NULL;
        } else if (r == 63 && next(&x) % 64 == 0) {
          gos_map_clear(m);
          memset(model, 0, sizeof model);
        } else if (r == 62 && next(&x) % 16 == 0) {
          same_as_model();
        }
        if (kept)
          model[k.n] = v;
        else
          drop(NULL, v);
      }
      same_as_model();
      gos_map_free(m);
      CHECK_EQ(alive, 0);
    }
  }
}

/* ---- many at once ------------------------------------------------------------------------------------- */
static void mixes(void *arg) {
  uint64_t x = (uint64_t)(uintptr_t)arg * 0x9E3779B97F4A7C15u + 1;
  for (long i = scaled(8000); i; i--) {
    struct counted k = {1, (intptr_t)(next(&x) % 32)}, *v = counted(k.n);
    void *out = NULL;
    int r = (int)(next(&x) % 16);
    if (r < 6) {
      if (gos_map_load(m, &k, &out)) CHECK_EQ(((struct counted *)out)->n, k.n);
    } else if (r < 8) {
      CHECK_EQ(gos_map_store(m, &k, v), GOS_OK);
      v = NULL;
    } else if (r < 10) {
      if (gos_map_load_or_store(m, &k, v, &out) == 0) {
        CHECK(out == v);
        v = NULL;
      }
      CHECK_EQ(((struct counted *)out)->n, k.n);
    } else if (r < 12) {
      gos_map_load_and_delete(m, &k, &out);
    } else if (r < 13) {
      gos_map_swap(m, &k, v, &out);
      v = NULL;
    } else if (r < 14) {
      if (gos_map_load(m, &k, &out) && gos_map_compare_and_swap(m, &k, out, v)) v = NULL;
    } else if (r < 15) {
      if (gos_map_load(m, &k, &out)) gos_map_compare_and_delete(m, &k, out);
    } else if (i % 64 == 0) {
      gos_map_clear(m);
    }
    drop(NULL, out), drop(NULL, v);
    if (next(&x) % 64 == 0) gos_gosched();
  }
}
static void *mixes_thread(void *arg) { return mixes(arg), NULL; }

static void mix(int goroutines, int threads) {
  gos_g *g[12];
  pthread_t t[4];
  m = gos_map_new(&counting);
  for (int i = 0; i < goroutines; i++) g[i] = spawn(mixes, num(i));
  for (int i = 0; i < threads; i++) CHECK_EQ(pthread_create(&t[i], NULL, mixes_thread, num(i + 50)), 0);
  for (int i = 0; i < goroutines; i++) finish(g[i]);
  for (int i = 0; i < threads; i++) CHECK_EQ(pthread_join(t[i], NULL), 0);
  gos_map_free(m);
  CHECK_EQ(alive, 0);
}
TEST(goroutines_mix) { mix(12, 0); }
TEST(goroutines_and_threads_mix) { mix(6, 3); }
/* equal lets others run between the looks at a chain, in which all keys are. */
TEST(one_chain_and_an_equal_that_yields) {
  bad_hash = may_yield = 1;
  mix(8, 2);
}

/* Counters by compare_and_swap: no update is lost. Plain pointers. */
static void adds(void *arg) {
  for (long i = scaled(5000); i; i--) {
    intptr_t key = i % 10;
    for (void *v;;) {
      if (gos_map_load_or_store(m, num(key), num(1), &v) == 0 ||
          gos_map_compare_and_swap(m, num(key), v, num((intptr_t)v + 1)))
        break;
    }
  }
  (void)arg;
}
static bool sums(const void *key, void *value, void *u) {
  (void)key;
  *(long *)u += (long)(intptr_t)value;
  return true;
}

TEST(no_update_is_lost) {
  long sum = 0;
  gos_g *g[8];
  m = gos_map_new(NULL);
  for (int i = 0; i < 8; i++) g[i] = spawn(adds, NULL);
  for (int i = 0; i < 8; i++) finish(g[i]);
  gos_map_range(m, sums, &sum);
  CHECK_EQ(sum, 8 * scaled(5000));
  gos_map_free(m);
}

/* Of many that store one key only one does. */
static atomic_long stored, deleted;
static void stores_all(void *arg) {
  (void)arg;
  for (intptr_t i = 0; i < scaled(3000); i++) {
    void *v;
    if (gos_map_load_or_store(m, num(i), num(i + 1), &v) == 0) atomic_fetch_add(&stored, 1);
    CHECK(v == num(i + 1));
  }
}
static void deletes_all(void *arg) {
  (void)arg;
  for (intptr_t i = 0; i < scaled(3000); i++) atomic_fetch_add(&deleted, gos_map_delete(m, num(i)));
}

TEST(one_stores_one_deletes) {
  gos_g *g[8];
  m = gos_map_new(NULL);
  for (int i = 0; i < 8; i++) g[i] = spawn(stores_all, NULL);
  for (int i = 0; i < 8; i++) finish(g[i]);
  CHECK_EQ(stored, scaled(3000));
  CHECK_EQ(gos_map_len(m), scaled(3000));
  for (int i = 0; i < 8; i++) g[i] = spawn(deletes_all, NULL);
  for (int i = 0; i < 8; i++) finish(g[i]);
  CHECK_EQ(deleted, stored);
  CHECK_EQ(gos_map_len(m), 0);
  gos_map_free(m);
}

/* ---- range ------------------------------------------------------------------------------------------------ */
static atomic_bool enough;
static void changes(void *arg) {
  intptr_t mine = 1000 + 1000 * (intptr_t)arg;
  for (intptr_t i = 0; !enough; i++) {
    gos_map_store(m, num(mine + i % 500), num(i));
    gos_map_delete(m, num(mine + (i * 7) % 500));
    if (i % 64 == 0) gos_gosched();
  }
}
static bool sees(const void *key, void *value, void *u) {
  int *seen = u;
  intptr_t k = (intptr_t)key;
  CHECK_EQ(seen[k]++, 0);
  if (k < 1000) CHECK(value == num(k));
  return true;
}

/* Go's TestConcurrentRange: what stays is seen, and nothing twice, while others come and go. */
TEST(range_sees_what_stays_once) {
  m = gos_map_new(NULL);
  for (intptr_t i = 0; i < 1000; i++) gos_map_store(m, num(i), num(i));
  gos_g *g[3];
  for (intptr_t i = 0; i < 3; i++) g[i] = spawn(changes, num(i));
  for (long r = scaled(50); r; r--) {
    static int seen[5000];
    memset(seen, 0, sizeof seen);
    gos_map_range(m, sees, seen);
    for (int i = 0; i < 1000; i++) CHECK_EQ(seen[i], 1);
    gos_gosched();
  }
  enough = true;
  for (int i = 0; i < 3; i++) finish(g[i]);
  gos_map_free(m);
}

static bool counts_to(const void *key, void *value, void *u) {
  (void)key;
  (void)value;
  return --*(int *)u > 0;
}
static bool counts(const void *key, void *value, void *u) {
  (void)key;
  (void)value;
  ++*(int *)u;
  return true;
}

TEST(range_stops) {
  int n = 5;
  m = gos_map_new(NULL);
  for (intptr_t i = 0; i < 100; i++) gos_map_store(m, num(i), num(i));
  gos_map_range(m, counts_to, &n);
  CHECK_EQ(n, 0);
  gos_map_free(m);
}

/* Go's TestMapRangeNestedCall: every kind of call from inside. */
static bool calls_all(const void *key, void *value, void *u) {
  struct counted *k = (struct counted *)(uintptr_t)key, other = {1, 1000 + k->n}, *v = value;
  void *out;
  int n = 0;
  ++*(int *)u;
  CHECK_EQ(v->n, k->n);
  CHECK_EQ(gos_map_load(m, key, &out), 1);
  drop(NULL, out);
  CHECK_EQ(gos_map_store(m, &other, counted(other.n)), GOS_OK);
  CHECK_EQ(gos_map_load_or_store(m, &other, v, &out), 1); /* v is only borrowed: it must not be stored */
  drop(NULL, out);
  gos_map_range(m, counts, &n);
  CHECK(n > 0);
  CHECK_EQ(gos_map_load_and_delete(m, key, &out), 1); /* itself: key and value live until we return */
  drop(NULL, out);
  CHECK_EQ(gos_map_store(m, key, counted(k->n)), GOS_OK); /* again: not seen again */
  CHECK_EQ(gos_map_delete(m, key), 1);
  CHECK_EQ(v->n, k->n);
  CHECK_EQ(gos_map_compare_and_swap(m, &other, NULL, v), 0);
  CHECK_EQ(gos_map_delete(m, &other), 1);
  gos_gosched();
  return true;
}

TEST(range_nested_calls) {
  int n = 0;
  m = gos_map_new(&counting);
  for (intptr_t i = 0; i < 20; i++) CHECK_EQ(gos_map_store(m, &(struct counted){1, i}, counted(i)), GOS_OK);
  gos_map_range(m, calls_all, &n);
  CHECK_EQ(n, 20);
  CHECK_EQ(gos_map_len(m), 0);
  gos_map_free(m);
  CHECK_EQ(alive, 0);
}

static bool clears(const void *key, void *value, void *u) {
  (void)value;
  ++*(int *)u;
  gos_map_clear(m);
  CHECK(((const struct counted *)key)->n >= 0);
  CHECK_EQ(gos_map_len(m), 0);
  return true;
}

TEST(clear_inside_range) {
  int n = 0;
  m = gos_map_new(&counting);
  for (intptr_t i = 0; i < 200; i++) CHECK_EQ(gos_map_store(m, &(struct counted){1, i}, counted(i)), GOS_OK);
  gos_map_range(m, clears, &n);
  CHECK_EQ(n, 1);
  CHECK_EQ(gos_map_store(m, &(struct counted){1, 1}, counted(1)), GOS_OK);
  CHECK_EQ(gos_map_len(m), 1);
  gos_map_free(m);
  CHECK_EQ(alive, 0);
}

/* A key callback that has no memory: told, nothing stored, nothing lost. */
TEST(no_memory_for_a_key) {
  void *out;
  m = gos_map_new(&counting);
  no_keys = 1;
  struct counted k = {1, 1}, *v = counted(1);
  CHECK_EQ(gos_map_store(m, &k, v), GOS_NOMEM);
  CHECK_EQ(gos_map_swap(m, &k, v, &out), GOS_NOMEM);
  CHECK_EQ(gos_map_load_or_store(m, &k, v, &out), GOS_NOMEM);
  CHECK_EQ(v->refs, 1);
  CHECK_EQ(gos_map_len(m), 0);
  no_keys = 0;
  CHECK_EQ(gos_map_store(m, &k, v), GOS_OK);
  no_keys = 1; /* not needed where the key is there */
  CHECK_EQ(gos_map_store(m, &k, counted(2)), GOS_OK);
  gos_map_free(m);
  CHECK_EQ(alive, 0);
}

/* Many keys: the tables grow while others read. */
static void reads_all(void *arg) {
  (void)arg;
  for (intptr_t i = 0; !enough; i = (i + 1) % 20000) {
    void *v;
    if (gos_map_load(m, num(i * 64), &v)) CHECK(v == num(i));
    if (i % 256 == 0) gos_gosched();
  }
}

TEST(growth_beside_readers) {
  gos_g *g[2];
  m = gos_map_new(NULL);
  for (int i = 0; i < 2; i++) g[i] = spawn(reads_all, NULL);
  for (intptr_t i = 0; i < scaled(20000); i++) {
    CHECK_EQ(gos_map_store(m, num(i * 64), num(i)), GOS_OK);
    if (i % 512 == 0) gos_gosched();
  }
  for (intptr_t i = 0; i < scaled(20000); i++) {
    void *v;
    CHECK_EQ(gos_map_load(m, num(i * 64), &v), 1);
    CHECK(v == num(i));
  }
  enough = true;
  for (int i = 0; i < 2; i++) finish(g[i]);
  gos_map_free(m);
}
