// ctest: timeout=60
/* What programs build from channels again and again: collecting, merging, filtering, a value that only one
 * holds, a sender that learns that nobody reads on, a generator, a coroutine that is suspended and resumed.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static gos_chan *chan(size_t cap) {
  gos_chan *c = gos_chan_make(sizeof(long), cap);
  CHECK(c);
  return c;
}

/* A stream from..to, then the end. */
struct stream {
  gos_chan *c;
  long from, to;
};
static void streams(void *arg) {
  struct stream *s = arg;
  for (long v = s->from; v < s->to; v++) CHECK_EQ(gos_chan_send(s->c, &v), GOS_OK);
  CHECK_EQ(gos_chan_close(s->c), GOS_OK);
}

/* All that comes, until the end. */
static long read_all(gos_chan *c, long *into, long room) {
  long n = 0, v;
  gos_chan_range(c, &v) {
    CHECK(n < room);
    into[n++] = v;
  }
  return n;
}

TEST(read_all_gives_everything_in_order) {
  static long got[1000];
  for (size_t cap = 0; cap < 20; cap = cap * 3 + 1) {
    struct stream s = {chan(cap), 5, 505};
    gos_g *g = spawn(streams, &s);
    CHECK_EQ(read_all(s.c, got, 1000), 500);
    for (long i = 0; i < 500; i++) CHECK_EQ(got[i], 5 + i);
    CHECK_EQ(read_all(s.c, got, 1000), 0); /* the end stays the end */
    finish(g);
    gos_chan_release(s.c);
  }
}

/* One stream of two: whoever is ready is next, and each keeps its own order; the end comes after both ends. */
struct merge {
  gos_chan *in[2], *out;
};
static void merges(void *arg) {
  struct merge *m = arg;
  gos_chan *a = m->in[0], *b = m->in[1];
  while (a || b) {
    long v;
    gos_case k[] = {GOS_RECV(a, &v), GOS_RECV(b, &v)};
    int i = gos_select(k, 2, GOS_FOREVER);
    CHECK(i == 0 || i == 1);
    if (k[i].ok)
      CHECK_EQ(gos_chan_send(m->out, &v), GOS_OK);
    else
      *(i ? &b : &a) = NULL;
  }
  gos_chan_close(m->out);
}

TEST(a_merge_keeps_the_order_of_each) {
  enum { N = 700 };
  static long got[2 * N];
  struct stream s[2] = {{chan(0), 0, N}, {chan(3), 1000, 1000 + N / 2}};
  struct merge m = {{s[0].c, s[1].c}, chan(1)};
  gos_g *g[3] = {spawn(streams, &s[0]), spawn(merges, &m), spawn(streams, &s[1])};
  CHECK_EQ(read_all(m.out, got, 2 * N), N + N / 2);
  for (long i = 0, a = 0, b = 1000; i < N + N / 2; i++) CHECK_EQ(got[i], got[i] < 1000 ? a++ : b++);
  for (int i = 0; i < 3; i++) finish(g[i]);
  gos_chan_release(m.out), gos_chan_release(s[0].c), gos_chan_release(s[1].c);
}

struct filter {
  gos_chan *in, *out;
  bool (*keeps)(long v);
};
static void filters(void *arg) {
  struct filter *f = arg;
  long v;
  gos_chan_range(f->in, &v) if (f->keeps(v)) CHECK_EQ(gos_chan_send(f->out, &v), GOS_OK);
  gos_chan_close(f->out);
}
static bool odd(long v) { return v % 2; }
static bool of_three(long v) { return v % 3 == 0; }

TEST(filters_in_a_row) {
  static long got[200];
  struct stream s = {chan(0), 0, 600};
  struct filter f = {s.c, chan(2), odd}, h = {f.out, chan(0), of_three};
  gos_g *g[3] = {spawn(filters, &h), spawn(filters, &f), spawn(streams, &s)};
  CHECK_EQ(read_all(h.out, got, 200), 100);
  for (long i = 0; i < 100; i++) CHECK_EQ(got[i], 6 * i + 3);
  for (int i = 0; i < 3; i++) finish(g[i]);
  gos_chan_release(s.c), gos_chan_release(f.out), gos_chan_release(h.out);
}

/* A sink takes what comes until the end or until it is told to stop: then the senders are told. */
struct sink {
  gos_chan *c, *told;
  gos_ctx *x;
  int why;
};
static void sinks(void *arg) {
  struct sink *s = arg;
  while ((s->why = gos_chan_recv_ctx(s->c, NULL, s->x)) == GOS_OK) {}
  gos_chan_close(s->told);
}
static void sends_until_told(void *arg) {
  struct sink *s = arg;
  for (long v = 0;; v++) {
    gos_case k[] = {GOS_RECV(s->told, NULL), GOS_SEND(s->c, &v)};
    int i = gos_select(k, 2, GOS_FOREVER);
    CHECK(i >= 0);
    if (i == 0) return;
  }
}
TEST(a_sink_that_is_called_off) {
  struct sink s = {chan(0), gos_chan_make(0, 0), gos_with_cancel(NULL), 0};
  gos_g *g[4] = {spawn(sinks, &s), spawn(sends_until_told, &s), spawn(sends_until_told, &s),
                 spawn(sends_until_told, &s)};
  for (int i = 0; i < 200; i++) gos_gosched();
  gos_cancel(s.x, 0);
  for (int i = 0; i < 4; i++) finish(g[i]);
  CHECK_EQ(s.why, GOS_CANCELED);
  gos_ctx_release(s.x), gos_chan_release(s.c), gos_chan_release(s.told);
}
TEST(a_sink_until_the_end) {
  struct sink s = {chan(4), gos_chan_make(0, 0), NULL, 0};
  struct stream all = {s.c, 0, 300};
  gos_g *g = spawn(sinks, &s), *h = spawn(streams, &all);
  CHECK_EQ(gos_chan_recv(s.told, NULL), GOS_CLOSED);
  CHECK_EQ(s.why, GOS_CLOSED);
  finish(g), finish(h);
  gos_chan_release(s.c), gos_chan_release(s.told);
}

/* A value that only one has at a time lives in a channel of one. */
struct account {
  long balance, moves;
};
static gos_chan *held;
static void moves(void *arg) {
  struct account *a;
  for (long i = scaled(500); i; i--) {
    CHECK_EQ(gos_chan_recv(held, &a), GOS_OK);
    long was = a->balance;
    if (i % 7 == 0) gos_gosched(); /* nobody else comes by, however long it takes */
    a->balance = was + (long)(intptr_t)arg;
    a->moves++;
    CHECK_EQ(gos_chan_send(held, &a), GOS_OK);
  }
}
TEST(a_value_that_only_one_holds) {
  enum { N = 6 };
  struct account account = {100, 0}, *a = &account;
  gos_g *g[N];
  held = gos_chan_make(sizeof a, 1);
  CHECK_EQ(gos_chan_send(held, &a), GOS_OK);
  for (intptr_t i = 0; i < N; i++) g[i] = spawn(moves, (void *)(i % 2 ? i : -i - 1));
  for (int i = 0; i < N; i++) finish(g[i]);
  CHECK_EQ(gos_chan_recv_dl(held, &a, GOS_NOW), GOS_OK);
  CHECK(a == &account);
  CHECK_EQ(account.moves, N * scaled(500));
  CHECK_EQ(account.balance, 100 + scaled(500) * (1 + 3 + 5 - 1 - 3 - 5));
  gos_chan_release(held);
}

/* Whoever ranges may stop in the middle; the sender then learns it instead of waiting for ever. */
struct ranger {
  gos_chan *c, *left;
  long sent;
};
static void sends_while_read(void *arg) {
  struct ranger *r = arg;
  for (long v = 0;; v++) {
    gos_case k[] = {GOS_SEND(r->c, &v), GOS_RECV(r->left, NULL)};
    if (gos_select(k, 2, GOS_FOREVER) == 1) break;
    r->sent++;
  }
  gos_chan_close(r->c);
}
TEST(a_range_that_is_left) {
  for (size_t cap = 0; cap < 5; cap += 4) {
    struct ranger r = {chan(cap), gos_chan_make(0, 0), 0};
    gos_g *g = spawn(sends_while_read, &r);
    long v, seen = 0;
    gos_chan_range(r.c, &v) {
      CHECK_EQ(v, seen++);
      if (seen == 10) break;
    }
    gos_chan_close(r.left);
    finish(g);
    CHECK(r.sent >= 10 && r.sent <= 10 + (long)cap);
    gos_chan_release(r.c), gos_chan_release(r.left);
  }
}

/* A generator: it runs one step for each value that is asked for, and ends when nobody will ask any more. */
struct generator {
  gos_chan *ask, *give;
  long steps;
};
static void fibonacci(void *arg) {
  struct generator *f = arg;
  long a = 0, b = 1;
  while (gos_chan_recv(f->ask, NULL) == GOS_OK) {
    f->steps++;
    CHECK_EQ(gos_chan_send(f->give, &a), GOS_OK);
    long next = a + b;
    a = b;
    b = next;
  }
}
TEST(a_generator) {
  static const long want[] = {0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89};
  struct generator f = {gos_chan_make(0, 0), chan(0), 0};
  gos_g *g = spawn(fibonacci, &f);
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
    long v = -1;
    until_parked(g, "chan receive"); /* it works only when asked */
    CHECK_EQ(f.steps, (long)i);
    CHECK_EQ(gos_chan_send(f.ask, NULL), GOS_OK);
    CHECK_EQ(gos_chan_recv(f.give, &v), GOS_OK);
    CHECK_EQ(v, want[i]);
  }
  gos_chan_close(f.ask);
  finish(g);
  gos_chan_release(f.ask), gos_chan_release(f.give);
}

/* Suspended and resumed from outside, as often as one likes, in any order among several. */
struct coroutine {
  gos_chan *resume;
  atomic_int step;
};
static void steps(void *arg) {
  struct coroutine *c = arg;
  for (int i = 0; i < 5; i++) {
    CHECK_EQ(gos_chan_recv(c->resume, NULL), GOS_OK);
    c->step++;
  }
}
TEST(suspended_and_resumed) {
  enum { N = 4 };
  static const int order[] = {2, 0, 2, 1, 3, 3, 0, 2, 1, 1, 0, 2, 3, 0, 1, 3, 2, 0, 3, 1};
  struct coroutine c[N];
  gos_g *g[N];
  int want[N] = {0};
  for (int i = 0; i < N; i++) {
    c[i].resume = gos_chan_make(0, 0);
    c[i].step = 0;
    g[i] = spawn(steps, &c[i]);
  }
  for (size_t k = 0; k < sizeof order / sizeof *order; k++) {
    int i = order[k];
    until_parked(g[i], "chan receive");
    CHECK_EQ(gos_chan_send(c[i].resume, NULL), GOS_OK);
    while (c[i].step <= want[i]) gos_gosched();
    want[i]++;
    for (int j = 0; j < N; j++) CHECK_EQ(c[j].step, want[j]); /* the others have not moved */
  }
  for (int i = 0; i < N; i++) finish(g[i]), gos_chan_release(c[i].resume);
}

/* The three ways to look at a closed channel, of every kind of channel, always the same. */
TEST(every_way_to_look_at_a_closed_channel) {
  for (size_t cap = 0; cap <= 3; cap++) {
    gos_chan *c = chan(cap);
    for (long v = 1; v <= (long)cap; v++) CHECK_EQ(gos_chan_send(c, &v), GOS_OK);
    CHECK_EQ(gos_chan_close(c), GOS_OK);
    for (long v, i = 1; i <= (long)cap; i++) { /* what was inside is not lost */
      gos_case k = GOS_RECV(c, &v);
      int e = i % 3 == 0   ? gos_chan_recv(c, &v)
              : i % 3 == 1 ? gos_chan_recv_dl(c, &v, GOS_NOW)
                           : gos_select(&k, 1, GOS_FOREVER);
      CHECK_EQ(e, GOS_OK);
      CHECK_EQ(v, i);
    }
    for (int i = 0; i < 9; i++) {
      long v = 77, x = 8;
      gos_case k[] = {GOS_RECV(c, &v)}, s[] = {GOS_SEND(c, &x)};
      if (i % 3 < 2) {
        CHECK_EQ(i % 3 ? gos_chan_recv(c, &v) : gos_chan_recv_dl(c, &v, GOS_NOW), GOS_CLOSED);
      } else {
        CHECK_EQ(gos_select(k, 1, i < 5 ? GOS_NOW : GOS_FOREVER), 0);
        CHECK_EQ(k[0].ok, 0);
      }
      CHECK_EQ(v, 0);
      CHECK_EQ(i % 2 ? gos_chan_send(c, &x) : gos_select(s, 1, i < 5 ? GOS_NOW : GOS_FOREVER), GOS_CLOSED);
      CHECK_EQ(x, 8);
      CHECK_EQ(gos_chan_close(c), GOS_CLOSED);
    }
    gos_chan_release(c);
  }
}
