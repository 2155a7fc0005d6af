/* Steps of locks, conditions, Once, Pool and Map. SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

static void *zeroed(size_t n) {
  void *p = calloc(1, n);
  return p ? p : (stop("no memory for", "an object"), NULL);
}
static void make(const char *name, enum kind kind, size_t n) { declare(name, kind, zeroed(n))->drop = drop_memory; }
static void s_mutex(struct flow *f, char **w) { (void)f, make(w[1], MUTEX, sizeof(gos_mutex)); }
static void s_rwmutex(struct flow *f, char **w) { (void)f, make(w[1], RWMUTEX, sizeof(gos_rwmutex)); }
static void s_wg(struct flow *f, char **w) { (void)f, make(w[1], WAITGROUP, sizeof(gos_waitgroup)); }
static void s_once(struct flow *f, char **w) { (void)f, make(w[1], ONCE, sizeof(gos_once)); }
static void s_var(struct flow *f, char **w) { (void)f, make(w[1], VAR, sizeof(int64_t)); }

/* ---- locks: a mutex, or a read-write mutex for writing ------------------------- */
static void *mutex(const char *name) { return find(name, MUTEX)->p; }
static void *rw(const char *name) { return find(name, RWMUTEX)->p; }
static bool is_rw(const char *name) { return find_lock(name)->kind == RWMUTEX; }
static void s_lock(struct flow *f, char **w) {
  int e = is_rw(w[1]) ? gos_rwmutex_lock_dl(rw(w[1]), GOS_FOREVER) : gos_mutex_lock_dl(mutex(w[1]), GOS_FOREVER);
  result(f, e, NULL, NULL);
}
static void s_unlock(struct flow *f, char **w) {
  result(f, is_rw(w[1]) ? gos_rwmutex_unlock(rw(w[1])) : gos_mutex_unlock(mutex(w[1])), NULL, NULL);
}
static void s_trylock(struct flow *f, char **w) {
  result(f, is_rw(w[1]) ? gos_rwmutex_trylock(rw(w[1])) : gos_mutex_trylock(mutex(w[1])), "true", NULL);
}
static void s_rlock(struct flow *f, char **w) { result(f, gos_rwmutex_rlock_dl(rw(w[1]), GOS_FOREVER), NULL, NULL); }
static void s_runlock(struct flow *f, char **w) { result(f, gos_rwmutex_runlock(rw(w[1])), NULL, NULL); }
static void s_tryrlock(struct flow *f, char **w) { result(f, gos_rwmutex_tryrlock(rw(w[1])), "true", NULL); }

/* ---- a variable that only its lock guards ---------------------------------------- */
static int64_t *var(const char *name) { return find(name, VAR)->p; }
static void s_set(struct flow *f, char **w) { (void)f, *var(w[1]) = atoll(w[2]); }
static void s_inc(struct flow *f, char **w) { (void)f, ++*var(w[1]); }
static void s_get(struct flow *f, char **w) { say(f, "%lld", (long long)*var(w[1])); }

/* ---- WaitGroup ------------------------------------------------------------------- */
static gos_waitgroup *wg(const char *name) { return find(name, WAITGROUP)->p; }
static void counted(struct flow *f, int e) {
  if (e == GOS_INVAL)
    fail(f, "sync: negative WaitGroup counter");
  else
    result(f, e, NULL, NULL);
}
static void s_add(struct flow *f, char **w) { counted(f, gos_waitgroup_add(wg(w[1]), atoll(w[2]))); }
static void s_done(struct flow *f, char **w) { counted(f, gos_waitgroup_done(wg(w[1]))); }
static void s_wait(struct flow *f, char **w) { result(f, gos_waitgroup_wait(wg(w[1])), NULL, NULL); }
static void s_wg_go(struct flow *f, char **w) {
  result(f, gos_waitgroup_go(wg(w[1]), run_body, body_new(w[2], NULL)), NULL, NULL);
}

/* ---- Cond: its lock is a mutex or a read-write mutex ------------------------------ */
static void s_cond(struct flow *f, char **w) {
  (void)f;
  void *with = find_lock(w[2]);
  make(w[1], COND, sizeof(gos_cond));
  find(w[1], COND)->with = with;
}
static void s_cond_wait(struct flow *f, char **w) {
  struct object *k = find(w[1], COND), *l = k->with;
  result(f, l->kind == RWMUTEX ? gos_cond_wait_rw(k->p, l->p, GOS_FOREVER) : gos_cond_wait(k->p, l->p), NULL, NULL);
}
static void s_signal(struct flow *f, char **w) { (void)f, gos_cond_signal(find(w[1], COND)->p); }
static void s_broadcast(struct flow *f, char **w) { (void)f, gos_cond_broadcast(find(w[1], COND)->p); }

static void s_do(struct flow *f, char **w) { gos_once_do(find(w[1], ONCE)->p, run_body, body_new(w[2], f)); }

/* ---- Pool of numbers: an item is a number a pointer wide, and never 0 -------------- */
static void *pool_make(void *v) { return v; }
static void drop_pool(struct object *o) { gos_pool_free(o->p); }
static void *item(const char *number) { return (void *)(intptr_t)atoll(number); }
static void s_pool(struct flow *f, char **w) {
  bool none = !strcmp(w[2], "nil");
  (void)f;
  declare(w[1], POOL, gos_pool_new(none ? NULL : pool_make, NULL, none ? NULL : item(w[2])))->drop = drop_pool;
}
static void s_pool_get(struct flow *f, char **w) {
  void *v = gos_pool_get(find(w[1], POOL)->p);
  say_value(f, v, (intptr_t)v);
}
static void s_pool_put(struct flow *f, char **w) { (void)f, gos_pool_put(find(w[1], POOL)->p, item(w[2])); }

const struct verb sync_verbs[] = {
    {"mutex", s_mutex, 2, false},
    {"rwmutex", s_rwmutex, 2, false},
    {"wg", s_wg, 2, false},
    {"once", s_once, 2, false},
    {"var", s_var, 2, false},
    {"cond", s_cond, 3, false},
    {"lock", s_lock, 2, false},
    {"unlock", s_unlock, 2, false},
    {"trylock", s_trylock, 2, false},
    {"rlock", s_rlock, 2, false},
    {"runlock", s_runlock, 2, false},
    {"tryrlock", s_tryrlock, 2, false},
    {"set", s_set, 3, false},
    {"inc", s_inc, 2, false},
    {"get", s_get, 2, false},
    {"add", s_add, 3, false},
    {"done", s_done, 2, false},
    {"wait", s_wait, 2, false},
    {"wg_go", s_wg_go, 3, true},
    {"cond_wait", s_cond_wait, 2, false},
    {"signal", s_signal, 2, false},
    {"broadcast", s_broadcast, 2, false},
    {"do", s_do, 3, true},
    {"pool", s_pool, 3, false},
    {"pool_get", s_pool_get, 2, false},
    {"pool_put", s_pool_put, 3, false},
    {NULL, NULL, 0, false},
};

/* ---- Map from numbers to numbers, both as pointers ----------------------------------- */
static gos_map *map(const char *name) { return find(name, MAP)->p; }
static void drop_map(struct object *o) { gos_map_free(o->p); }
static void s_map(struct flow *f, char **w) { (void)f, declare(w[1], MAP, gos_map_new(NULL))->drop = drop_map; }
static void found(struct flow *f, int there, void *v) {
  say_value(f, there == 1, (intptr_t)v), say_bool(f, there == 1);
}
static void s_load(struct flow *f, char **w) {
  void *v = NULL;
  int there = gos_map_load(map(w[1]), item(w[2]), &v);
  found(f, there, v);
}
static void s_store(struct flow *f, char **w) {
  result(f, gos_map_store(map(w[1]), item(w[2]), item(w[3])), NULL, NULL);
}
static void s_load_or_store(struct flow *f, char **w) {
  void *v = NULL;
  int there = gos_map_load_or_store(map(w[1]), item(w[2]), item(w[3]), &v);
  say_value(f, true, there == 1 ? (intptr_t)v : atoll(w[3])), say_bool(f, there == 1);
}
static void s_load_and_delete(struct flow *f, char **w) {
  void *v = NULL;
  int there = gos_map_load_and_delete(map(w[1]), item(w[2]), &v);
  found(f, there, v);
}
static void s_delete(struct flow *f, char **w) { (void)f, gos_map_delete(map(w[1]), item(w[2])); }
static void s_swap(struct flow *f, char **w) {
  void *v = NULL;
  int there = gos_map_swap(map(w[1]), item(w[2]), item(w[3]), &v);
  found(f, there, v);
}
static void s_cas(struct flow *f, char **w) {
  say_bool(f, gos_map_compare_and_swap(map(w[1]), item(w[2]), item(w[3]), item(w[4])) == 1);
}
static void s_cad(struct flow *f, char **w) {
  say_bool(f, gos_map_compare_and_delete(map(w[1]), item(w[2]), item(w[3])) == 1);
}
static void s_clear(struct flow *f, char **w) { (void)f, gos_map_clear(map(w[1])); }

enum { PAIRS = 64 };
struct pairs {
  intptr_t k[PAIRS], v[PAIRS];
  int n, limit;
  struct flow *f;
  const char *body;
};
static bool collect(const void *k, void *v, void *u) {
  struct pairs *p = u;
  if (p->n == PAIRS) stop("too many", "pairs");
  int at = p->n++;
  for (; at > 0 && p->k[at - 1] > (intptr_t)k; at--) p->k[at] = p->k[at - 1], p->v[at] = p->v[at - 1];
  p->k[at] = (intptr_t)k, p->v[at] = (intptr_t)v;
  return true;
}
static void s_pairs(struct flow *f, char **w) {
  struct pairs p = {.n = 0};
  gos_map_range(map(w[1]), collect, &p);
  for (int i = 0; i < p.n; i++) say(f, "%lld=%lld", (long long)p.k[i], (long long)p.v[i]);
}
static bool each(const void *k, void *v, void *u) {
  struct pairs *p = u;
  (void)k, (void)v;
  if (*p->body) run_steps(p->f, p->body, "&");
  return ++p->n < p->limit;
}
static void s_each(struct flow *f, char **w) {
  struct pairs p = {.limit = atoi(w[1]), .f = f, .body = w[3]};
  gos_map_range(map(w[2]), each, &p);
  say(f, "%d", p.n);
}

const struct verb map_verbs[] = {
    {"map", s_map, 2, false},
    {"load", s_load, 3, false},
    {"store", s_store, 4, false},
    {"load_or_store", s_load_or_store, 4, false},
    {"load_and_delete", s_load_and_delete, 3, false},
    {"delete", s_delete, 3, false},
    {"swap", s_swap, 4, false},
    {"compare_and_swap", s_cas, 5, false},
    {"compare_and_delete", s_cad, 4, false},
    {"clear", s_clear, 2, false},
    {"pairs", s_pairs, 2, false},
    {"each", s_each, 4, true},
    {NULL, NULL, 0, false},
};
