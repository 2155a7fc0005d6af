// ctest: timeout=600
/* Random operations by goroutines and threads at once, with these invariants:
 *   - every value that a send took is received once, or given to the destructor once; none other ever is;
 *   - one receiver sees one sender's values on one slot in the order they were sent;
 *   - what a mutex guards adds up; a once runs once; a stopped function never runs, another one once; what was
 *     deferred runs before join returns; everybody ends.
 * random [--seed N] [--ops N | --total N]: the seed is printed, and fixes what every worker does; --ops is for each
 * worker, --total for all of them at 1, 2 and 4 Ps together. For every commit 570,000 (57,000 under ThreadSanitizer);
 * before a release tools that look on are worth more:
 *   build/tsan/tests/stress/random --total 5000000     build/tsan-nosync/tests/stress/random --total 5000000
 *   build/asan/tests/stress/random --total 20000000    build/ubsan/tests/stress/random --total 20000000
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define main test_main
#include "../c/test.h"
#undef main
#include <pthread.h>
#include <time.h>

enum { SLOTS = 6, GOROUTINES = 16, THREADS = 3, WORKERS = GOROUTINES + THREADS, CASES = 6 };

typedef struct {
  uint32_t sender, seq;
} value;
static struct {
  gos_mutex mu;
  gos_chan *c;
} slot[SLOTS];

struct worker {
  uint32_t id, seq;
  uint64_t rng;
  _Atomic(gos_g *) g;                   /* NULL for a thread */
  uint32_t last[SLOTS][WORKERS];        /* the latest value seen, +1 */
  _Atomic unsigned char *taken, *given; /* by seq: sends that succeeded; values that came out */
};
static struct worker worker[WORKERS];
static uint64_t seed;
static long ops;
static atomic_long progress, dropped, received, canceled;
static atomic_int live;
static gos_mutex count_mu;
static long counted;
static atomic_long count_wanted;

static uint32_t roll(struct worker *w, uint32_t n) { /* splitmix64 */
  uint64_t z = w->rng += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (uint32_t)((z ^ z >> 31) % n);
}

static void out(const value *v) {
  CHECK(v->sender < WORKERS && v->seq < (uint32_t)ops * 2);
  CHECK_EQ(atomic_fetch_add(&worker[v->sender].given[v->seq], 1), 0);
}
static void drop(void *elem) { out(elem), atomic_fetch_add(&dropped, 1); }

static gos_chan *new_chan(struct worker *w) {
  gos_chan *c = gos_chan_make(sizeof(value), roll(w, 2) ? 0 : roll(w, 5));
  CHECK(c);
  gos_chan_set_dtor(c, drop);
  return c;
}

/* The slot's channel, with a reference of the caller's own. */
static gos_chan *hold(int at) {
  gos_mutex_lock(&slot[at].mu);
  gos_chan *c = gos_chan_retain(slot[at].c);
  gos_mutex_unlock(&slot[at].mu);
  return c;
}

static void replace(struct worker *w, int at) {
  gos_chan *fresh = new_chan(w);
  gos_mutex_lock(&slot[at].mu);
  gos_chan *old = slot[at].c;
  slot[at].c = fresh;
  gos_mutex_unlock(&slot[at].mu);
  CHECK_EQ(gos_chan_close(old), GOS_OK);
  CHECK_EQ(gos_chan_close(old), GOS_CLOSED);
  gos_chan_release(old);
}

static gos_ns some_deadline(struct worker *w) {
  uint32_t k = roll(w, 10);
  return k < 4 ? GOS_NOW : k < 7 ? gos_now() + roll(w, 300000) : GOS_FOREVER;
}

static void check_code(int e) {
  CHECK(e == GOS_OK || e == GOS_CLOSED || e == GOS_TIMEDOUT || e == GOS_WOULDBLOCK || e == GOS_CANCELED);
  if (e == GOS_CANCELED) atomic_fetch_add(&canceled, 1);
}

static value make_value(struct worker *w) { return (value){w->id, w->seq++}; }
static void took(struct worker *w, const value *v) { atomic_store(&w->taken[v->seq], 1); }
static void got(struct worker *w, int at, const value *v) {
  out(v);
  CHECK(v->seq + 1 > w->last[at][v->sender]);
  w->last[at][v->sender] = v->seq + 1;
  atomic_fetch_add(&received, 1);
}

static void op_send(struct worker *w) {
  gos_chan *c = hold((int)roll(w, SLOTS));
  value v = make_value(w), kept = v;
  int e = gos_chan_send_dl(c, &v, some_deadline(w));
  check_code(e);
  CHECK(!memcmp(&v, &kept, sizeof v));
  if (e == GOS_OK) took(w, &v);
  gos_chan_release(c);
}

static void op_recv(struct worker *w) {
  int at = (int)roll(w, SLOTS);
  gos_chan *c = hold(at);
  value v = {99, 99};
  int e = gos_chan_recv_dl(c, &v, some_deadline(w));
  check_code(e);
  if (e == GOS_OK) got(w, at, &v);
  if (e == GOS_CLOSED) CHECK_EQ(v.sender + v.seq, 0);
  gos_chan_release(c);
}

static void op_select(struct worker *w) {
  gos_case cs[CASES];
  value v[CASES];
  int at[CASES], n = 1 + (int)roll(w, CASES);
  bool possible = false, sent = false; /* one value may be offered once only: its number tells the order */
  for (int i = 0; i < n; i++) {
    uint32_t kind = roll(w, 10);
    at[i] = (int)roll(w, SLOTS);
    cs[i] = (gos_case){kind < 5 ? 1 : kind < 9 && !sent ? 2 : 0, roll(w, 12) ? hold(at[i]) : NULL, &v[i], 0};
    if (cs[i].op == 2) sent = true, v[i] = make_value(w);
    if (cs[i].op && cs[i].c) possible = true;
  }
  gos_ns dl = possible ? some_deadline(w) : gos_now() + roll(w, 300000);
  int k = roll(w, 4) ? gos_select(cs, n, dl) : gos_select_ordered(cs, n, dl);
  CHECK(k < n);
  if (k < 0)
    check_code(k);
  else if (cs[k].op == 2)
    took(w, &v[k]);
  else if (cs[k].ok)
    got(w, at[k], &v[k]);
  for (int i = 0; i < n; i++) gos_chan_release(cs[i].c);
}

static void op_count(struct worker *w) {
  int e = roll(w, 3) ? (gos_mutex_lock(&count_mu), GOS_OK) : gos_mutex_lock_dl(&count_mu, some_deadline(w));
  check_code(e);
  if (e != GOS_OK) return;
  atomic_fetch_add(&count_wanted, 1);
  counted++;
  if (!roll(w, 8)) gos_gosched();
  CHECK_EQ(gos_mutex_unlock(&count_mu), GOS_OK);
}

static void child(void *arg) { atomic_fetch_add((atomic_int *)arg, 1), gos_gosched(); }

static void op_spawn(struct worker *w) {
  atomic_int ran = 0;
  gos_waitgroup wg = {0};
  int n = 1 + (int)roll(w, 4);
  for (int i = 0; i < n; i++) CHECK_EQ(gos_waitgroup_go(&wg, child, &ran), GOS_OK);
  while (gos_waitgroup_wait_dl(&wg, some_deadline(w)) != GOS_OK) gos_gosched();
  CHECK_EQ(ran, n);
}

static void op_timer(struct worker *w) {
  gos_timer *t = gos_timer_new(roll(w, 200000));
  gos_case cs[] = {GOS_RECV(gos_timer_c(t), NULL), GOS_RECV(NULL, NULL)};
  int k = gos_select(cs, 2, some_deadline(w));
  check_code(k == 0 ? GOS_OK : k);
  gos_timer_stop(t);
  CHECK_EQ(gos_chan_recv_dl(gos_timer_c(t), NULL, GOS_NOW), GOS_WOULDBLOCK);
  gos_timer_free(t);
}

/* A timer that is stopped, set again, and heard at most once for each time it was set. */
static void op_reset(struct worker *w) {
  gos_ns v = 0, d = roll(w, 100000), earliest = gos_now() + d;
  gos_timer *t = gos_timer_new(d);
  CHECK(t);
  for (uint32_t i = roll(w, 3); i-- > 0;) {
    d = roll(w, 100000);
    earliest = gos_now() + d;
    int was = gos_timer_reset(t, d);
    CHECK(was == 0 || was == 1);
  }
  int e = gos_chan_recv_dl(gos_timer_c(t), &v, roll(w, 2) ? GOS_FOREVER : gos_now() + roll(w, 100000));
  check_code(e);
  if (e == GOS_OK) {
    CHECK(v >= earliest && v <= gos_now());
    CHECK_EQ(gos_timer_stop(t), 0);
  }
  CHECK(gos_timer_stop(t) >= 0);
  CHECK_EQ(gos_chan_recv_dl(gos_timer_c(t), NULL, GOS_NOW), GOS_WOULDBLOCK);
  gos_timer_free(t);
}

static void op_ticker(struct worker *w) {
  gos_ns last = 0, v;
  gos_timer *t = gos_ticker_new(1 + roll(w, 50000));
  CHECK(t);
  for (uint32_t i = roll(w, 4); i-- > 0;) {
    int e = gos_chan_recv_dl(gos_timer_c(t), &v, some_deadline(w));
    check_code(e);
    if (e == GOS_OK) {
      CHECK(v > last && v <= gos_now());
      last = v;
    }
  }
  CHECK_EQ(gos_timer_stop(t), 1);
  gos_timer_free(t);
}

/* Reference counted: the call may come after its worker has gone on. */
struct call {
  atomic_int calls, refs;
};
static void call_drop(struct call *c) {
  if (atomic_fetch_sub(&c->refs, 1) == 1) free(c);
}
static void call_count(void *arg) {
  struct call *c = arg;
  CHECK_EQ(atomic_fetch_add(&c->calls, 1), 0);
  call_drop(c);
}
static void op_after_func(struct worker *w) {
  struct call *c = calloc(1, sizeof *c);
  CHECK(c);
  c->refs = 2;
  gos_timer *t = gos_after_func(roll(w, 100000), call_count, c);
  CHECK(t);
  if (roll(w, 2)) gos_sleep(roll(w, 100000));
  if (gos_timer_stop(t) == 1) {
    CHECK_EQ(c->calls, 0);
    call_drop(c);
  }
  gos_timer_free(t);
  call_drop(c);
}

/* A goroutine with deferred calls, ended in one of three ways; joined, or its done channel watched. */
struct life {
  uint32_t how;
  atomic_int deferred;
};
static void deferred_call(void *arg) { atomic_fetch_add(&((struct life *)arg)->deferred, 1); }
static void *blocking_call(void *arg) { return sched_yield(), arg; }
static void live_once(void *arg) {
  struct life *l = arg;
  void *back = NULL;
  CHECK_EQ(gos_defer(deferred_call, l), GOS_OK);
  CHECK_EQ(gos_defer(deferred_call, l), GOS_OK);
  if (l->how == 1) {
    CHECK_EQ(gos_blocking(blocking_call, l, &back), GOS_OK);
    CHECK(back == l);
  }
  if (l->how == 2) gos_goexit();
  if (l->how == 3) gos_entersyscall(), sched_yield(), gos_exitsyscall();
  if (l->how == 4) gos_chan_recv(NULL, NULL); /* until it is interrupted */
}
static void op_join(struct worker *w) {
  struct life l = {.how = roll(w, 5)};
  int e;
  gos_g *g = gos_go_opts(&(gos_go_options){.size = sizeof(gos_go_options), .name = roll(w, 2) ? "life" : NULL},
                         live_once, &l, &e);
  CHECK(g && e == GOS_OK);
  if (l.how == 4) CHECK_EQ(gos_interrupt(g), GOS_OK);
  if (roll(w, 3) == 0) {
    gos_chan *done = gos_done(g);
    CHECK(done);
    while ((e = gos_chan_recv_dl(done, NULL, some_deadline(w))) != GOS_CLOSED) check_code(e);
  }
  while ((e = gos_join(g, some_deadline(w))) != GOS_OK) check_code(e);
  CHECK_EQ(l.deferred, 2);
  CHECK_EQ(gos_interrupt(g), GOS_CLOSED);
  gos_release(g);
}

/* Whoever finds the round's once not done yet does it; the last one begins another round. */
static struct round {
  gos_once once;
  int runs;
} rounds[64];
static void run_round(void *arg) { gos_gosched(), ((struct round *)arg)->runs++; }
static void op_once(struct worker *w) {
  struct round *r = &rounds[roll(w, 64)];
  gos_once_do(&r->once, run_round, r);
  CHECK_EQ(r->runs, 1);
}

static gos_mutex tried;
static long tries_won;
static atomic_long tries_wanted;
static void op_trylock(struct worker *w) {
  (void)w;
  int e = gos_mutex_trylock(&tried);
  CHECK(e == GOS_OK || e == GOS_WOULDBLOCK);
  if (e) return;
  tries_won++;
  atomic_fetch_add(&tries_wanted, 1);
  CHECK_EQ(gos_mutex_unlock(&tried), GOS_OK);
}

static void op_interrupt(struct worker *w) {
  gos_g *g = atomic_load(&worker[roll(w, GOROUTINES)].g);
  if (!g) return; /* not started yet */
  int e = gos_interrupt(g);
  CHECK(e == GOS_OK || e == GOS_CLOSED);
}

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
static void (*const rare_op[])(struct worker *) = {op_reset, op_ticker, op_after_func, op_join, op_once, op_trylock};
static void step(struct worker *w) {
  uint32_t k = roll(w, 100);
  if (k < 30)
    op_send(w);
  else if (k < 60)
    op_recv(w);
  else if (k < 84)
    op_select(w);
  else if (k < 90)
    op_count(w);
  else if (k < 92)
    op_spawn(w);
  else if (k < 94)
    op_timer(w);
  else if (k < 95)
    replace(w, (int)roll(w, SLOTS));
  else if (k < 96)
    op_interrupt(w);
  else if (k < 97)
    rare_op[roll(w, COUNT_OF(rare_op))](w);
  else if (k < 98)
    gos_sleep(roll(w, 100000));
  else
    gos_gosched();
  atomic_fetch_add(&progress, 1);
}

static void work(void *arg) {
  struct worker *w = arg;
  for (long i = 0; i < ops; i++) step(w);
  atomic_fetch_sub(&live, 1);
}
static void *work_thread(void *arg) { return work(arg), NULL; }

/* While somebody works: whoever waits for ever is freed by closing channels. */
static void keep_moving(struct worker *w) {
  for (long before = -1; live;) {
    gos_sleep(MS / 4);
    long now = progress;
    if (now == before)
      for (int i = 0; i < SLOTS; i++) replace(w, i);
    before = now;
  }
}

static void check_end(void) {
  long taken = 0, given = 0;
  for (int i = 0; i < SLOTS; i++) gos_chan_close(slot[i].c), gos_chan_release(slot[i].c);
  for (int i = 0; i < WORKERS; i++)
    for (uint32_t s = 0; s < worker[i].seq; s++) {
      if (worker[i].taken[s] != worker[i].given[s])
        test_fail(__FILE__, __LINE__, "value %u of worker %d: sent %d times, came out %d times", s, i,
                  worker[i].taken[s], worker[i].given[s]);
      taken += worker[i].taken[s], given += worker[i].given[s];
    }
  CHECK_EQ(given, received + dropped);
  CHECK_EQ(counted, count_wanted);
  CHECK_EQ(tries_won, tries_wanted);
  printf("  %ld values: %ld received, %ld dropped; %ld waits interrupted\n", taken, (long)received, (long)dropped,
         (long)canceled);
}

static void set_up(struct worker *w, uint32_t id) {
  w->id = id;
  w->rng = seed * 1000003 + id;
  w->taken = calloc((size_t)ops * 2, 1), w->given = calloc((size_t)ops * 2, 1);
  CHECK(w->taken && w->given);
}

TEST(random_operations) {
  pthread_t thread[THREADS];
  struct worker janitor = {.rng = ~seed};
  live = WORKERS;
  for (uint32_t i = 0; i < WORKERS; i++) set_up(&worker[i], i);
  for (int i = 0; i < SLOTS; i++) slot[i].c = new_chan(&janitor);
  for (int i = 0; i < GOROUTINES; i++) worker[i].g = spawn(work, &worker[i]);
  for (int i = 0; i < THREADS; i++) CHECK_EQ(pthread_create(&thread[i], NULL, work_thread, &worker[GOROUTINES + i]), 0);
  keep_moving(&janitor);
  for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
  for (int i = 0; i < GOROUTINES; i++) finish(worker[i].g);
  check_end();
  for (int i = 0; i < WORKERS; i++) free((void *)worker[i].taken), free((void *)worker[i].given);
}

int main(int argc, char **argv) {
  seed = (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
  ops = scaled(10000);
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!strcmp(argv[i], "--seed"))
      seed = strtoull(argv[i + 1], NULL, 0);
    else if (!strcmp(argv[i], "--ops"))
      ops = atol(argv[i + 1]);
    else if (!strcmp(argv[i], "--total"))
      ops = atol(argv[i + 1]) / (3 * WORKERS) + 1;
    else
      return fprintf(stderr, "usage: %s [--seed N] [--ops N | --total N]\n", argv[0]), 2;
  }
  printf("--seed %llu --ops %ld\n", (unsigned long long)seed, ops);
  return test_main(1, argv);
}
