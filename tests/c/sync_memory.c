// ctest: timeout=120
// ctest: not-in=address,thread,undefined
/* Pool and Map when memory runs out, at the first allocation, the second, ...: an error or a dropped
 * item, nothing lost. The sanitizers have allocators of their own.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_memalign(size_t align, size_t size);
static long left = -1; /* so many may succeed; -1: all. Only this thread allocates. */
static bool refused(void) { return left == 0 || (left > 0 && left-- == 0); }
__attribute__((visibility("default"))) void *calloc(size_t n, size_t size) {
  return refused() ? NULL : __libc_calloc(n, size);
}
__attribute__((visibility("default"))) int posix_memalign(void **p, size_t align, size_t size) {
  return refused() || !(*p = __libc_memalign(align, size)) ? 12 : 0;
}

enum { N = 200 };
static long made, dropped;
static void *make(void *arg) {
  (void)arg;
  made++;
  return malloc(8);
}
static void drop(void *p) {
  dropped++;
  free(p);
}

TEST(pool) {
  void *all[N];
  for (int ok = 0; ok < 40; ok++) {
    made = dropped = 0;
    left = ok;
    gos_pool *pool = gos_pool_new(make, drop, NULL);
    CHECK_EQ(pool == NULL, ok == 0);
    for (int round = 0; pool && round < 2; round++) {
      for (int i = 0; i < N; i++) CHECK((all[i] = gos_pool_get(pool)));
      for (int i = 0; i < N; i++) gos_pool_put(pool, all[i]);
    }
    left = -1;
    for (int i = 0; pool && i < N; i++) gos_pool_put(pool, gos_pool_get(pool)); /* and on it goes */
    gos_pool_free(pool);
    CHECK_EQ(made, dropped);
  }
}

/* Keys and values that are counted. */
static void *key_copy(void *u, const void *key) {
  (void)u;
  long *k = calloc(1, sizeof *k);
  if (k) *k = *(const long *)key, made++;
  return k;
}
static uint64_t hash(void *u, const void *key, uint64_t seed) {
  (void)u;
  return (uint64_t) * (const long *)key + seed;
}
static bool equal(void *u, const void *a, const void *b) {
  (void)u;
  return *(const long *)a == *(const long *)b;
}
static void key_drop(void *u, void *key) {
  (void)u;
  drop(key);
}
static long values;
static void value_drop(void *u, void *value) {
  (void)u;
  (void)value;
  values--;
}

TEST(map) {
  const gos_map_ops ops = {.size = sizeof ops,
                           .hash = hash,
                           .equal = equal,
                           .key_retain = key_copy,
                           .key_drop = key_drop,
                           .value_drop = value_drop};
  for (int ok = 0; ok < 120; ok++) {
    made = dropped = values = 0;
    left = ok;
    gos_map *m = gos_map_new(&ops);
    CHECK_EQ(m == NULL, ok == 0);
    size_t stored = 0;
    for (long k = 0; m && k < N; k++) {
      void *out;
      int e = k % 3 == 0   ? gos_map_store(m, &k, &values)
              : k % 3 == 1 ? gos_map_swap(m, &k, &values, NULL)
                           : gos_map_load_or_store(m, &k, &values, &out);
      CHECK(e == GOS_OK || e == GOS_NOMEM);
      CHECK_EQ(gos_map_load(m, &k, NULL), e == GOS_OK);
      values += e == GOS_OK;
      stored += e == GOS_OK;
    }
    CHECK_EQ(gos_map_len(m), stored);
    CHECK(ok > 100 || stored < N);
    left = -1;
    for (long k = 0; m && k < N; k++) {
      int was = gos_map_load(m, &k, NULL);
      CHECK_EQ(gos_map_swap(m, &k, &values, NULL), was);
      values++;
    }
    CHECK_EQ(gos_map_len(m), m ? N : 0);
    gos_map_free(m);
    CHECK_EQ(made, dropped);
    CHECK_EQ(values, 0);
  }
}
