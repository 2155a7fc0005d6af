// ctest: timeout=180
/* Pool: nothing is lost, nothing is given out twice, what is not needed goes.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <pthread.h>

enum { POOLED = 1, OUT = 2 };
struct item {
  atomic_int state;
  long plain; /* ThreadSanitizer: a put is seen by the get */
};
static atomic_long made, dropped;
static gos_pool *pool;

static void *make(void *arg) {
  CHECK(arg == &made);
  struct item *i = calloc(1, sizeof *i);
  i->state = OUT;
  atomic_fetch_add(&made, 1);
  return i;
}
static void drop(void *p) {
  CHECK_EQ(((struct item *)p)->state, POOLED);
  atomic_fetch_add(&dropped, 1);
  free(p);
}
static struct item *get(void) {
  struct item *i = gos_pool_get(pool);
  CHECK(i);
  int was = atomic_exchange(&i->state, OUT);
  CHECK(was == POOLED || i->plain == 0);
  i->plain++;
  return i;
}
static void put(struct item *i) {
  CHECK_EQ(atomic_exchange(&i->state, POOLED), OUT);
  gos_pool_put(pool, i);
}
static void begin(void) { pool = gos_pool_new(make, drop, &made); }
static void end(void) {
  gos_pool_free(pool);
  CHECK_EQ(made, dropped);
}

TEST(get_gives_what_was_put) {
  int a, b;
  pool = gos_pool_new(NULL, NULL, NULL);
  CHECK(!gos_pool_get(pool));
  gos_pool_put(pool, &a), gos_pool_put(pool, &b), gos_pool_put(pool, NULL);
  void *x = gos_pool_get(pool), *y = gos_pool_get(pool);
  CHECK((x == &a && y == &b) || (x == &b && y == &a));
  CHECK(!gos_pool_get(pool));
  gos_pool_put(pool, &a);
  gos_pool_free(pool);
  gos_pool_free(NULL), gos_pool_put(NULL, &a);
  CHECK(!gos_pool_get(NULL));
}

static void *makes_nothing(void *arg) { return *(int *)arg += 1, NULL; }

TEST(make_is_called_when_empty) {
  int calls = 0;
  pool = gos_pool_new(makes_nothing, NULL, &calls);
  CHECK(!gos_pool_get(pool));
  CHECK(!gos_pool_get(pool));
  CHECK_EQ(calls, 2);
  gos_pool_free(pool);
  begin();
  struct item *i = get(), *j = get();
  CHECK_EQ(made, 2);
  put(i);
  CHECK(get() == i);
  CHECK_EQ(made, 2);
  put(i), put(j);
  end();
}

/* Many go in and come out again: the pool has room for all that are needed again and again. */
TEST(a_burst_is_kept) {
  enum { N = 3000 };
  struct item *all[N];
  begin();
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < N; i++) all[i] = get();
    for (int i = 0; i < N; i++) put(all[i]);
  }
  CHECK_EQ(made, N);
  CHECK_EQ(dropped, 0);
  end();
}

/* Nobody needs them any more: they go while others come and go. */
TEST(the_rest_of_a_burst_is_dropped) {
  enum { N = 1000 };
  struct item *all[N];
  begin();
  for (int i = 0; i < N; i++) all[i] = get();
  for (int i = 0; i < N; i++) put(all[i]);
  CHECK_EQ(made, N);
  for (long i = 0; dropped < N - 64; i++) {
    CHECK(i < 10000000);
    put(get());
  }
  CHECK_EQ(made, N);
  end();
}

struct ring { /* items that wait between goroutines, and ops that may yield */
  struct item *kept[8];
};
static void uses(void *arg) {
  struct ring r = {{0}};
  uint64_t x = (uint64_t)(uintptr_t)arg * 0x9E3779B97F4A7C15u + 1;
  for (long i = scaled(20000); i; i--) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    struct item **at = &r.kept[x % 8];
    if (*at)
      put(*at), *at = NULL;
    else
      *at = get();
    if (x >> 59 == 0) gos_gosched();
  }
  for (int i = 0; i < 8; i++)
    if (r.kept[i]) put(r.kept[i]);
}
static void *uses_thread(void *arg) { return uses(arg), NULL; }

static void stress(int goroutines, int threads, bool change) {
  gos_g *g[16];
  pthread_t t[4];
  begin();
  for (int i = 0; i < goroutines; i++) g[i] = spawn(uses, (void *)(intptr_t)i);
  for (int i = 0; i < threads; i++) CHECK_EQ(pthread_create(&t[i], NULL, uses_thread, (void *)(intptr_t)(i + 50)), 0);
  for (int n = 0; change && n < 200; n++) gos_gomaxprocs(1 + n % 5), gos_gosched();
  for (int i = 0; i < goroutines; i++) finish(g[i]);
  for (int i = 0; i < threads; i++) CHECK_EQ(pthread_join(t[i], NULL), 0);
  CHECK(made <= 8 * (goroutines + threads) + dropped + 600);
  end();
}

TEST(goroutines) { stress(16, 0, false); }
TEST(threads) { stress(0, 4, false); }
TEST(goroutines_and_threads) { stress(8, 3, false); }
TEST(gomaxprocs_changes) { stress(8, 2, true); }

/* One side puts, the other gets: the items reach it. */
static gos_chan *to;
static void returns_them(void *arg) {
  (void)arg;
  struct item *i;
  gos_chan_range(to, &i) put(i);
}
static void *returns_them_thread(void *arg) { return returns_them(arg), NULL; }

TEST(items_reach_the_other_side) {
  enum { N = 20000 };
  pthread_t t;
  begin();
  to = gos_chan_make(sizeof(struct item *), 4);
  CHECK_EQ(pthread_create(&t, NULL, returns_them_thread, NULL), 0);
  for (long n = scaled(N); n; n--) {
    struct item *i = get();
    CHECK_EQ(gos_chan_send(to, &i), GOS_OK);
  }
  gos_chan_close(to);
  pthread_join(t, NULL);
  CHECK(made < 400);
  gos_chan_release(to);
  end();
}

/* make and drop may use the pool, and wait. */
static gos_pool *other;
static void *make_by_pool(void *arg) {
  (void)arg;
  gos_gosched();
  struct item *i = gos_pool_get(other);
  gos_pool_put(other, i);
  return make(&made);
}
static void drop_slowly(void *p) { gos_gosched(), drop(p); }

TEST(callbacks_are_free_to_do_what_they_want) {
  begin();
  other = pool;
  gos_pool *mine = gos_pool_new(make_by_pool, drop_slowly, NULL);
  struct item *all[200];
  all[0] = gos_pool_get(other);
  all[0]->state = POOLED;
  gos_pool_put(other, all[0]);
  for (int i = 0; i < 200; i++) all[i] = gos_pool_get(mine);
  for (int i = 0; i < 200; i++) {
    all[i]->state = POOLED;
    gos_pool_put(mine, all[i]);
  }
  gos_pool_free(mine);
  CHECK_EQ(dropped, 200);
  end();
}
