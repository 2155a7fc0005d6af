// ctest: timeout=120
/* Small programs that every runtime of this kind is tried with.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static gos_chan *chan(size_t cap) { return gos_chan_make(sizeof(long), cap); }

/* Prime sieve: a chain of filters, one goroutine and channel per prime. */
struct filter {
  gos_chan *in, *out;
  long prime;
};
static void counts_from_two(void *arg) {
  for (long i = 2; gos_chan_send(arg, &i) == GOS_OK; i++)
    ;
}
static void filters(void *arg) {
  struct filter *f = arg;
  long v;
  gos_chan_range(f->in, &v) if (v % f->prime && gos_chan_send(f->out, &v) != GOS_OK) break;
  gos_chan_close(f->in);
}

TEST(prime_sieve) {
  enum { N = 60 };
  static const long last_of[] = {281}; /* the 60th prime */
  struct filter f[N];
  gos_g *g[N + 1];
  gos_chan *c = chan(0);
  g[N] = spawn(counts_from_two, c);
  for (int i = 0; i < N; i++) {
    f[i] = (struct filter){.in = c, .out = chan(0)};
    CHECK_EQ(gos_chan_recv(c, &f[i].prime), GOS_OK);
    g[i] = spawn(filters, &f[i]);
    c = f[i].out;
  }
  CHECK_EQ(f[N - 1].prime, last_of[0]);
  gos_chan_close(c); /* the end runs back up the chain */
  for (int i = N - 1; i >= 0; i--) finish(g[i]);
  finish(g[N]);
  for (int i = 0; i < N; i++) gos_chan_release(f[i].in);
  gos_chan_release(c);
}

/* Numbers whose only prime factors are 2, 3 and 5, by merging three streams. */
struct times {
  gos_chan *in, *out;
  long k;
};
static void multiplies(void *arg) {
  struct times *t = arg;
  long v;
  gos_chan_range(t->in, &v) if (gos_chan_send(t->out, &(long){v * t->k}) != GOS_OK) return;
}

static long least(const long *head) {
  long m = head[0];
  for (int i = 1; i < 3; i++)
    if (head[i] < m) m = head[i];
  return m;
}

static long next_smooth(long n) {
  for (long rest;;) {
    for (rest = ++n; rest % 2 == 0; rest /= 2)
      ;
    for (; rest % 3 == 0; rest /= 3)
      ;
    for (; rest % 5 == 0; rest /= 5)
      ;
    if (rest == 1) return n;
  }
}

TEST(merge_of_three_streams) {
  struct times t[3];
  gos_g *g[3];
  long head[3], v = 1;
  for (int i = 0; i < 3; i++) {
    t[i] = (struct times){chan(2000), chan(2000), (long[]){2, 3, 5}[i]};
    g[i] = spawn(multiplies, &t[i]);
    CHECK_EQ(gos_chan_send(t[i].in, &v), GOS_OK);
    CHECK_EQ(gos_chan_recv(t[i].out, &head[i]), GOS_OK);
  }
  for (long n = 0, want = next_smooth(1); n < 300; n++, want = next_smooth(want)) {
    CHECK_EQ((v = least(head)), want);
    for (int i = 0; i < 3; i++) CHECK_EQ(gos_chan_send(t[i].in, &v), GOS_OK);
    for (int i = 0; i < 3; i++)
      if (head[i] == v) CHECK_EQ(gos_chan_recv(t[i].out, &head[i]), GOS_OK);
  }
  for (int i = 0; i < 3; i++) {
    gos_chan_close(t[i].in);
    finish(g[i]);
    gos_chan_release(t[i].in), gos_chan_release(t[i].out);
  }
}

/* Each goroutine receives one value and starts the next: they are served in order. */
struct baton {
  gos_chan *c, *next;
  long want;
};
static void passes(void *arg) {
  struct baton *b = arg;
  long v;
  CHECK_EQ(gos_chan_recv(b->c, NULL), GOS_OK);
  CHECK_EQ(gos_chan_recv(b->next, &v), GOS_OK);
  CHECK_EQ(v, b->want);
  CHECK_EQ(gos_chan_send(b[1].c, NULL), GOS_OK);
}

TEST(chained_receivers_in_order) {
  enum { N = 10 };
  struct baton b[N + 1];
  gos_g *g[N];
  gos_chan *values = chan(N);
  for (int i = 0; i <= N; i++) b[i] = (struct baton){gos_chan_make(0, 0), values, i};
  for (int i = 0; i < N; i++) g[i] = spawn(passes, &b[i]);
  for (long i = 0; i < N; i++) CHECK_EQ(gos_chan_send(values, &i), GOS_OK);
  CHECK_EQ(gos_chan_send(b[0].c, NULL), GOS_OK);
  CHECK_EQ(gos_chan_recv(b[N].c, NULL), GOS_OK);
  for (int i = 0; i < N; i++) finish(g[i]);
  for (int i = 0; i <= N; i++) gos_chan_release(b[i].c);
  gos_chan_release(values);
}

/* Each of many values is seen exactly once. */
enum { VALUES = 5000 };
static atomic_int tally[VALUES];
static void tallies(void *c) {
  long v;
  gos_chan_range(c, &v) atomic_fetch_add(&tally[v], 1);
}
struct span {
  gos_chan *c;
  long from, to;
};
static void sends_span(void *arg) {
  struct span *s = arg;
  for (long i = s->from; i < s->to; i++) CHECK_EQ(gos_chan_send(s->c, &i), GOS_OK);
}

static void check_tally(size_t cap, int senders, int receivers) {
  gos_g *s[8], *r[8];
  struct span part[8];
  gos_chan *c = chan(cap);
  memset(tally, 0, sizeof tally);
  for (int i = 0; i < receivers; i++) r[i] = spawn(tallies, c);
  for (int i = 0; i < senders; i++) {
    part[i] = (struct span){c, VALUES * i / senders, VALUES * (i + 1) / senders};
    s[i] = spawn(sends_span, &part[i]);
  }
  for (int i = 0; i < senders; i++) finish(s[i]);
  gos_chan_close(c);
  for (int i = 0; i < receivers; i++) finish(r[i]);
  for (int i = 0; i < VALUES; i++) CHECK_EQ(tally[i], 1);
  gos_chan_release(c);
}

TEST(every_value_once) {
  for (size_t cap = 0; cap <= 100; cap = cap * 9 + 1)
    for (int n = 1; n <= 8; n *= 2) check_tally(cap, n, 9 - n > 8 ? 8 : 9 - n);
}

/* A case is switched off by making its channel nil. */
TEST(case_switched_off_by_nil) {
  gos_chan *a = chan(3), *b = chan(3), *none = NULL;
  long v, na = 0, nb = 0;
  for (long i = 0; i < 3; i++) gos_chan_send(a, &i), gos_chan_send(b, &i);
  gos_chan_close(a), gos_chan_close(b);
  for (gos_chan *ca = a, *cb = b; ca || cb;) {
    gos_case cs[] = {GOS_RECV(ca, &v), GOS_RECV(cb, &v)};
    int k = gos_select(cs, 2, GOS_FOREVER);
    CHECK(k == 0 || k == 1);
    if (!cs[k].ok)
      *(k ? &cb : &ca) = none;
    else
      *(k ? &nb : &na) += 1;
  }
  CHECK_EQ(na, 3);
  CHECK_EQ(nb, 3);
  gos_chan_release(a), gos_chan_release(b);
}

/* A buffered channel as a semaphore. */
static gos_chan *slots;
static atomic_int inside, most;
static void enters(void *arg) {
  (void)arg;
  CHECK_EQ(gos_chan_send(slots, NULL), GOS_OK);
  int now = atomic_fetch_add(&inside, 1) + 1, was = most;
  while (now > was && !atomic_compare_exchange_weak(&most, &was, now))
    ;
  gos_gosched();
  atomic_fetch_sub(&inside, 1);
  CHECK_EQ(gos_chan_recv(slots, NULL), GOS_OK);
}

TEST(channel_as_semaphore) {
  slots = gos_chan_make(0, 3);
  gos_waitgroup wg = {0};
  for (long i = scaled_live(1000); i; i--) CHECK_EQ(gos_waitgroup_go(&wg, enters, NULL), GOS_OK);
  gos_waitgroup_wait(&wg);
  CHECK(most <= 3);
  while (gos_num_goroutine() > 1) gos_gosched();
  gos_chan_release(slots);
}

/* A channel of one element as a lock over plain memory. */
static long guarded;
static void uses_token(void *c) {
  for (long i = scaled(1000); i; i--) {
    CHECK_EQ(gos_chan_recv(c, NULL), GOS_OK);
    guarded++;
    CHECK_EQ(gos_chan_send(c, NULL), GOS_OK);
  }
}

TEST(channel_as_lock) {
  gos_chan *c = gos_chan_make(0, 1);
  gos_g *g[8];
  gos_chan_send(c, NULL);
  for (int i = 0; i < 8; i++) g[i] = spawn(uses_token, c);
  for (int i = 0; i < 8; i++) finish(g[i]);
  CHECK_EQ(guarded, 8 * scaled(1000));
  gos_chan_release(c);
}

/* A ring of goroutines around which one token runs. */
struct link {
  gos_chan *in, *out;
};
static void relays(void *arg) {
  struct link *l = arg;
  long v;
  gos_chan_range(l->in, &v) {
    v--;
    if (gos_chan_send(l->out, &v) != GOS_OK || v <= 0) break;
  }
  gos_chan_close(l->out);
}

TEST(thread_ring) {
  enum { N = 503 };
  struct link l[N];
  gos_g *g[N];
  for (int i = 0; i < N; i++) l[i].in = chan(1);
  for (int i = 0; i < N; i++) l[i].out = l[(i + 1) % N].in;
  for (int i = 0; i < N; i++) g[i] = spawn(relays, &l[i]);
  CHECK_EQ(gos_chan_send(l[0].in, &(long){scaled(20000)}), GOS_OK);
  for (int i = 0; i < N; i++) finish(g[i]);
  for (int i = 0; i < N; i++) gos_chan_release(l[i].in);
}

/* Waiting for a group with a deadline, then sending the rest home. */
static void until_told(void *quit) { CHECK_EQ(gos_chan_recv(quit, NULL), GOS_CLOSED); }

TEST(group_with_deadline_and_cancel) {
  gos_chan *quit = gos_chan_make(0, 0);
  gos_waitgroup wg = {0};
  for (int i = 0; i < 20; i++) gos_waitgroup_go(&wg, until_told, quit);
  CHECK_EQ(gos_waitgroup_wait_dl(&wg, gos_now() + 3 * MS), GOS_TIMEDOUT);
  gos_chan_close(quit);
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
  while (gos_num_goroutine() > 1) gos_gosched();
  gos_chan_release(quit);
}

/* Stacks of goroutines that start goroutines: ten thousand leaves. */
static void skynet_send(struct span *s, long v) {
  gos_chan *c = s->c; /* our own reference; *s ends when its owner has the value */
  CHECK_EQ(gos_chan_send(c, &v), GOS_OK);
  gos_chan_release(c);
}
static void skynet(void *arg) {
  struct span *s = arg, part[10];
  long sum = 0, v, step = (s->to - s->from) / 10;
  if (!step) {
    skynet_send(s, s->from);
    return;
  }
  gos_chan *c = chan(0);
  for (long i = 0; i < 10; i++) {
    part[i] = (struct span){gos_chan_retain(c), s->from + i * step, s->from + (i + 1) * step};
    CHECK_EQ(gos_go(skynet, &part[i]), GOS_OK);
  }
  for (int i = 0; i < 10; i++, sum += v) CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
  gos_chan_release(c);
  skynet_send(s, sum);
}

TEST(skynet_of_ten_thousand) {
  long sum, n = TEST_TSAN || scaled(10) < 10 ? 1000 : 10000;
  gos_chan *c = chan(0);
  struct span all = {gos_chan_retain(c), 0, n};
  CHECK_EQ(gos_go(skynet, &all), GOS_OK);
  CHECK_EQ(gos_chan_recv(c, &sum), GOS_OK);
  CHECK_EQ(sum, n * (n - 1) / 2);
  gos_chan_release(c);
}
