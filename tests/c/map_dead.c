/* Entries that are deleted while somebody has a hand on them: they stay where they are until that hand is gone, are
 * seen by nobody, and their keys are dropped once, then.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static gos_map *map;
static atomic_long keys, values, equals;
static uint64_t same_hash(void *u, const void *k, uint64_t seed) { return (void)u, (void)k, seed; } /* one chain */
static bool equal(void *u, const void *a, const void *b) {
  (void)u;
  equals++;
  return a == b;
}
static void *key_retain(void *u, const void *k) {
  (void)u;
  keys++;
  return (void *)(uintptr_t)k;
}
static void key_drop(void *u, void *k) { (void)u, (void)k, keys--; }
static void value_retain(void *u, void *v) { (void)u, (void)v, values++; }
static void value_drop(void *u, void *v) { (void)u, (void)v, values--; }

enum { N = 20 };
static char key[N];
static void fill(void) {
  gos_map_ops ops = {sizeof ops, NULL, same_hash, equal, key_retain, key_drop, value_retain, value_drop};
  CHECK((map = gos_map_new(&ops)));
  for (int i = 0; i < N; i++) {
    values++; /* handed over */
    CHECK_EQ(gos_map_store(map, &key[i], &key[i]), GOS_OK);
  }
  CHECK_EQ(keys, N);
}
static void empty(void) {
  gos_map_free(map);
  CHECK_EQ(keys, 0);
  CHECK_EQ(values, 0);
}

static long met;
static bool meets(const void *k, void *v, void *u) {
  CHECK(k == v && k != u); /* not the one that was deleted */
  met++;
  return true;
}
static bool deletes_and_looks(const void *k, void *v, void *u) {
  CHECK(k == v);
  long before = keys, left = (long)gos_map_len(map);
  CHECK_EQ(gos_map_delete(map, k), 1);
  CHECK_EQ(gos_map_delete(map, k), 0);
  CHECK_EQ(gos_map_load(map, k, NULL), 0);
  CHECK_EQ(keys, before); /* its key is still looked at: by us */
  CHECK_EQ((long)gos_map_len(map), left - 1);
  met = 0;
  gos_map_range(map, meets, (void *)(uintptr_t)k);
  CHECK_EQ(met, left - 1);
  ++*(int *)u;
  return true;
}
TEST(deleted_while_it_is_shown) {
  int shown = 0;
  fill();
  gos_map_range(map, deletes_and_looks, &shown);
  CHECK_EQ(shown, N);
  CHECK_EQ(gos_map_len(map), 0);
  CHECK_EQ(keys, 0);
  CHECK_EQ(values, 0);
  empty();
}

/* Deleted and stored again meanwhile: that is another entry, born later; the range that is under way does not show it. */
static bool replaces(const void *k, void *v, void *u) {
  (void)v;
  CHECK_EQ(gos_map_delete(map, k), 1);
  values++;
  CHECK_EQ(gos_map_load_or_store(map, k, (void *)(uintptr_t)k, NULL), 0);
  return ++*(int *)u < 100;
}
TEST(stored_again_while_it_is_shown) {
  int shown = 0;
  fill();
  gos_map_range(map, replaces, &shown);
  CHECK_EQ(shown, N);
  CHECK_EQ(gos_map_len(map), N);
  CHECK_EQ(keys, N);
  empty();
}

/* Cleared by others while it is shown. */
static bool yields(const void *k, void *v, void *u) {
  (void)k, (void)v;
  gos_gosched();
  ++*(int *)u;
  return true;
}
static void clears(void *arg) { (void)arg, gos_map_clear(map); }
TEST(cleared_while_it_is_shown) {
  for (int i = 0; i < 50; i++) {
    int shown = 0;
    fill();
    gos_g *g = spawn(clears, NULL);
    gos_map_range(map, yields, &shown);
    finish(g);
    CHECK(shown <= N);
    CHECK_EQ(gos_map_len(map), 0);
    CHECK_EQ(keys, 0);
    empty();
  }
}
