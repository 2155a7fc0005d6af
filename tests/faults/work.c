/* What is built on top: groups, single flight, limiters, semaphores, maps, pools, names and labels.
 * SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"

enum { MANY = 30 };
static atomic_int ran;

/* ---- an error group: what could not start is told, what started is waited for ------------------- */
static int fails_or_not(void *arg) {
  gos_gosched();
  ran++;
  return (int)(intptr_t)arg;
}
static void groups(void) {
  gos_errgroup *g = gos_errgroup_new(NULL);
  if (!GOT(g)) return;
  int started = 0, errors = 0, list[MANY];
  ran = 0;
  CHECK_EQ(gos_errgroup_set_limit(g, 4), GOS_OK);
  for (int i = 0; i < MANY; i++) {
    int e = gos_errgroup_go(g, fails_or_not, (void *)(intptr_t)(i % 3));
    if (!WORKED(e)) continue;
    started++;
    errors += i % 3 != 0;
  }
  int e = gos_errgroup_wait(g);
  CHECK_EQ(e != 0, errors > 0);
  CHECK_EQ(ran, started);
  CHECK_EQ(gos_errgroup_errors(g, list, MANY), errors); /* not one of them is lost */
  gos_errgroup_free(g);
}

/* ---- single flight: who asked gets a result, or an error -------------------------------------------- */
static int makes(void *arg, void **val) {
  gos_gosched();
  *val = arg;
  return 7;
}
static gos_flight *flight;
static void asks(void *arg) {
  void *val = NULL;
  char key[16];
  snprintf(key, sizeof key, "key %d", (int)(intptr_t)arg % 5);
  int e = gos_flight_do(flight, key, makes, key, &val, NULL);
  if (WORKED(e)) {
    CHECK_EQ(e, 7);
    CHECK(val);
  }
  ran++;
}
static void flights(void) {
  if (!GOT(flight = gos_flight_new())) return;
  int started = 0;
  ran = 0;
  for (intptr_t i = 0; i < MANY; i++) started += WORKED(gos_go(asks, (void *)i));
  settle();
  CHECK_EQ(ran, started);
  for (int i = 0; i < MANY; i++) { /* more keys at once than the table begins with */
    char key[16];
    struct gos_flight_result r = {0, NULL, 0};
    snprintf(key, sizeof key, "chan %d", i);
    gos_chan *c = gos_flight_do_chan(flight, key, makes, &ran);
    if (!GOT(c)) continue;
    CHECK_EQ(gos_chan_recv(c, &r), GOS_OK);
    if (WORKED(r.err)) CHECK(r.err == 7 && r.val == &ran);
    gos_chan_release(c);
  }
  settle();
  gos_flight_free(flight);
}

/* ---- limiter and semaphore: giving up takes nothing ---------------------------------------------------- */
static void turns(void) {
  gos_limiter *l = gos_limiter_new(1000000, 10);
  if (GOT(l)) {
    for (int i = 0; i < 20; i++) (void)WORKED(gos_limiter_wait(l, 1));
    CHECK(gos_limiter_tokens(l) <= 10);
    gos_limiter_free(l);
  }
  gos_sem *s = gos_sem_new(2);
  if (!GOT(s)) return;
  CHECK_EQ(gos_sem_acquire(s, 2), GOS_OK);
  int e = gos_sem_acquire_dl(s, 1, gos_now() + MS / 20);
  if (e != GOS_TIMEDOUT) (void)WORKED(e == GOS_OK ? GOS_INVAL : e);
  CHECK_EQ(gos_sem_release(s, 2), GOS_OK);
  CHECK_EQ(gos_sem_try_acquire(s, 2), GOS_OK);
  gos_sem_free(s);
}

/* ---- a map of counted keys and values -------------------------------------------------------------------- */
static int keys, values;
static uint64_t hash(void *u, const void *key, uint64_t seed) { return (void)u, (uint64_t)(uintptr_t)key * seed; }
static bool equal(void *u, const void *a, const void *b) { return (void)u, a == b; }
static void *key_retain(void *u, const void *key) { return (void)u, keys++, (void *)(uintptr_t)key; }
static void key_drop(void *u, void *key) { (void)u, (void)key, keys--; }
static void value_retain(void *u, void *v) { (void)u, (void)v, values++; }
static void value_drop(void *u, void *v) { (void)u, (void)v, values--; }

static void maps(void) {
  enum { N = 300 };
  static bool there[N + 1];
  gos_map_ops ops = {sizeof ops, NULL, hash, equal, key_retain, key_drop, value_retain, value_drop};
  gos_map *m = gos_map_new(&ops);
  if (!GOT(m)) return;
  keys = values = 0;
  for (intptr_t i = 1; i <= N; i++) {
    values++; /* ours; the map's if it takes it */
    int e = gos_map_store(m, (void *)i, &values);
    if (!(there[i] = WORKED(e))) values--;
  }
  size_t n = 0;
  for (intptr_t i = 1; i <= N; i++) {
    void *v;
    CHECK_EQ(gos_map_load(m, (void *)i, &v), there[i]);
    if (there[i]) {
      CHECK(v == &values);
      values--;
    }
    n += there[i];
  }
  CHECK_EQ(gos_map_len(m), n);
  for (intptr_t i = 1; i <= N; i += 2) CHECK_EQ(gos_map_delete(m, (void *)i), there[i]);
  gos_map_free(m);
  CHECK_EQ(keys, 0);
  CHECK_EQ(values, 0);
}

/* ---- a pool of counted items ----------------------------------------------------------------------------------- */
static int items;
static void *make(void *arg) { return (void)arg, items++, (void *)(uintptr_t)(items + 1); }
static void drop(void *item) { (void)item, items--; }
static void pools(void) {
  enum { N = 200 };
  void *out[N];
  items = 0;
  gos_pool *p = gos_pool_new(make, drop, NULL);
  if (!GOT(p)) return;
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < N; i++) CHECK(out[i] = gos_pool_get(p));
    for (int i = 0; i < N; i++) gos_pool_put(p, out[i]);
  }
  gos_pool_free(p);
  CHECK_EQ(items, 0);
}

/* ---- names and labels: as they were, or as they should be --------------------------------------------------------- */
static void labelled(void *arg) {
  const char *v = gos_label("who");
  CHECK(v && !strcmp(v, "parent")); /* inherited, or it would not have started */
  if (WORKED(gos_set_label("who", "child"))) {
    CHECK(!strcmp(gos_label("who"), "child"));
  } else {
    CHECK(!strcmp(gos_label("who"), "parent"));
  }
  if (WORKED(gos_set_label("more", arg))) CHECK(!strcmp(gos_label("more"), arg));
  CHECK_EQ(gos_set_label("none", NULL), GOS_OK); /* there is none to take away */
  (void)WORKED(gos_set_name(arg));
  ran++;
}
static void labels(void *arg) {
  int started = 0;
  ran = 0;
  if (!WORKED(gos_set_label("who", "parent"))) return;
  for (int i = 0; i < 5; i++) started += WORKED(gos_go(labelled, arg));
  while (ran < started) gos_gosched();
  CHECK(!strcmp(gos_label("who"), "parent"));
}

/* ---- a panic, with a report and what was deferred ------------------------------------------------------------------ */
static int panics;
static void counts(void *arg) { (void)arg, ran++; }
static void on_panic(const char *report) {
  CHECK(!strncmp(report, "panic: ", 7));
  panics++;
}
static void gives_up(void *arg) {
  int deferred = WORKED(gos_defer(counts, NULL));
  *(int *)arg = deferred;
  gos_panic("%s and %d", "no more", deferred);
}
static void panic(void) {
  int e, deferred = 0;
  ran = panics = 0;
  gos_g *g = gos_go_opts(NULL, gives_up, &deferred, &e);
  if (!WORKED(e)) return;
  CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
  gos_release(g);
  CHECK_EQ(ran, deferred);
  CHECK_EQ(panics, 1);
}

int setup(void) { return gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 2, .on_panic = on_panic}); }

void workload(void) {
  groups();
  flights();
  turns();
  maps();
  pools();
  int e;
  gos_g *g = gos_go_opts(NULL, labels, "a name", &e);
  if (WORKED(e)) {
    CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
    gos_release(g);
  }
  settle();
  panic();
}
