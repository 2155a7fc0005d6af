// ctest: timeout=120
/* select: choice, default, deadline, nil and closed channels, several cases on one channel.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static gos_chan *chan(size_t cap) {
  gos_chan *c = gos_chan_make(sizeof(long), cap);
  CHECK(c);
  return c;
}
static gos_chan *with(long v) {
  gos_chan *c = chan(1);
  CHECK_EQ(gos_chan_send(c, &v), GOS_OK);
  return c;
}

TEST(default_when_nothing_is_ready) {
  gos_chan *a = chan(0), *b = with(1);
  long v = 77;
  gos_case cs[] = {GOS_RECV(a, &v), GOS_SEND(a, &v), GOS_SEND(b, &v), GOS_RECV(NULL, &v)};
  CHECK_EQ(gos_select(cs, 4, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_select_ordered(cs, 4, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(v, 77);
  gos_chan_release(a), gos_chan_release(b);
}

TEST(only_the_chosen_case_stores) {
  gos_chan *a = with(1), *b = with(2), *none = chan(0);
  for (int i = 0; i < 100; i++) {
    long va = -1, vb = -1, vn = -1;
    gos_case cs[] = {GOS_RECV(a, &va), GOS_RECV(none, &vn), GOS_RECV(b, &vb)};
    int k = gos_select(cs, 3, GOS_FOREVER);
    CHECK(k == 0 || k == 2);
    CHECK_EQ(va, k == 0 ? 1 : -1);
    CHECK_EQ(vb, k == 2 ? 2 : -1);
    CHECK_EQ(vn, -1);
    CHECK_EQ(cs[k].ok, 1);
    CHECK_EQ(gos_chan_send(k ? b : a, k ? &vb : &va), GOS_OK);
  }
  gos_chan_release(a), gos_chan_release(b), gos_chan_release(none);
}

TEST(only_the_chosen_case_sends) {
  gos_chan *c[3] = {chan(1), chan(1), chan(1)};
  long v[3] = {10, 11, 12}, out;
  for (int i = 0; i < 100; i++) {
    gos_case cs[] = {GOS_SEND(c[0], v), GOS_SEND(c[1], v + 1), GOS_SEND(c[2], v + 2)};
    int k = gos_select(cs, 3, GOS_NOW);
    for (int j = 0; j < 3; j++) CHECK_EQ(gos_chan_len(c[j]), j == k);
    CHECK_EQ(gos_chan_recv(c[k], &out), GOS_OK);
    CHECK_EQ(out, v[k]);
  }
  for (int i = 0; i < 3; i++) gos_chan_release(c[i]);
}

/* Ready cases are chosen evenly: five standard deviations either way, the seed is fixed. */
static void check_even(const long *hits, int n, long total) {
  double mean = (double)total / n, spread = mean * (n - 1) / n;
  for (int i = 0; i < n; i++)
    if ((hits[i] - mean) * (hits[i] - mean) > 25 * spread)
      test_fail(__FILE__, __LINE__, "case %d of %d: %ld of %ld", i, n, hits[i], total);
}

static void choose_among(int n, long total) {
  gos_case cs[64];
  long hits[64] = {0}, v;
  for (int i = 0; i < n; i++) cs[i] = (gos_case)GOS_RECV(with(i), &v);
  for (long t = 0; t < total; t++) {
    int k = gos_select(cs, n, t % 2 ? GOS_NOW : GOS_FOREVER);
    CHECK_EQ(v, k);
    hits[k]++;
    CHECK_EQ(gos_chan_send(cs[k].c, &v), GOS_OK);
  }
  check_even(hits, n, total);
  for (int i = 0; i < n; i++) gos_chan_release(cs[i].c);
}

TEST_RAW(choice_is_even) {
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 1, .seed = 20240229}), GOS_OK);
  static const int counts[] = {2, 3, 4, 7, 10, 64};
  for (int i = 0; i < 6; i++) choose_among(counts[i], scaled(60000) + 1000);
}

TEST_RAW(same_channel_twice_is_even) {
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 1, .seed = 7}), GOS_OK);
  gos_chan *c = chan(1);
  long hits[2] = {0}, total = scaled(20000) + 1000, v;
  for (long i = 0; i < total; i++) {
    gos_case cs[] = {GOS_SEND(c, &(long){0}), GOS_SEND(c, &(long){1})};
    int k = gos_select(cs, 2, GOS_FOREVER);
    CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
    CHECK_EQ(v, k);
    hits[k]++;
  }
  check_even(hits, 2, total);
  gos_chan_release(c);
}

TEST(ordered_takes_the_first_ready) {
  gos_chan *a = chan(0), *b = with(1), *c = with(2);
  long v = 0;
  gos_case cs[] = {GOS_RECV(a, &v), {0}, GOS_RECV(b, &v), GOS_RECV(c, &v)};
  for (int i = 0; i < 200; i++) {
    CHECK_EQ(gos_select_ordered(cs, 4, i % 2 ? GOS_NOW : GOS_FOREVER), 2);
    CHECK_EQ(gos_chan_send(b, &v), GOS_OK);
  }
  CHECK_EQ(gos_select_ordered(cs, 4, GOS_FOREVER), 2);
  CHECK_EQ(gos_select_ordered(cs, 4, GOS_FOREVER), 3);
  CHECK_EQ(v, 2);
  gos_chan_release(a), gos_chan_release(b), gos_chan_release(c);
}

TEST(deadline) {
  gos_chan *c = chan(0);
  long v = 5;
  gos_case cs[] = {GOS_RECV(c, &v), GOS_RECV(NULL, &v), GOS_SEND(NULL, &v), {0}};
  for (int i = 0; i < 10; i++) {
    gos_ns until = gos_now() + i * MS / 2;
    CHECK_EQ(i % 2 ? gos_select(cs, 4, until) : gos_select_ordered(cs, 4, until), GOS_TIMEDOUT);
    CHECK(gos_now() >= until);
  }
  CHECK_EQ(gos_select(NULL, 0, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_select(NULL, 0, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_chan_send_dl(c, &v, GOS_NOW), GOS_WOULDBLOCK); /* it left the queue */
  CHECK_EQ(v, 5);
  gos_chan_release(c);
}

TEST(bad_arguments) {
  long v;
  gos_case bad = {99, NULL, &v, 0};
  CHECK_EQ(gos_select(&bad, 1, GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_select(&bad, -1, GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_select(NULL, 3, GOS_NOW), GOS_INVAL);
}

TEST(send_on_closed) {
  gos_chan *open = chan(0), *shut = chan(4);
  gos_chan_close(shut);
  long v = 8;
  gos_case cs[] = {GOS_RECV(open, &v), GOS_SEND(shut, &v)};
  CHECK_EQ(gos_select(cs, 2, GOS_NOW), GOS_CLOSED);
  CHECK_EQ(cs[1].ok, -1);
  CHECK_EQ(cs[0].ok, 0);
  CHECK_EQ(gos_select(cs, 2, GOS_FOREVER), GOS_CLOSED);
  CHECK_EQ(gos_select_ordered(cs, 2, GOS_FOREVER), GOS_CLOSED);
  CHECK_EQ(v, 8);
  gos_chan_release(open), gos_chan_release(shut);
}

TEST(receive_from_closed) {
  gos_chan *open = chan(0), *shut = chan(4);
  gos_chan_close(shut);
  long v = 8;
  gos_case cs[] = {GOS_RECV(open, NULL), GOS_RECV(shut, &v)};
  CHECK_EQ(gos_select(cs, 2, GOS_FOREVER), 1);
  CHECK_EQ(cs[1].ok, 0);
  CHECK_EQ(v, 0);
  gos_chan_release(open), gos_chan_release(shut);
}

struct sel {
  gos_case *cs;
  int n, got;
  gos_ns dl;
};
static void selects(void *arg) {
  struct sel *s = arg;
  s->got = gos_select(s->cs, s->n, s->dl);
}

TEST(close_ends_a_waiting_select) {
  gos_chan *a = chan(0), *b = chan(0);
  long v = 3;
  for (int round = 0; round < 2; round++) {
    gos_case cs[] = {GOS_RECV(a, &v), GOS_SEND(b, &v)};
    struct sel s = {cs, 2, 0, GOS_FOREVER};
    gos_g *g = spawn(selects, &s);
    until_parked(g, "select");
    gos_chan_close(round ? a : b);
    finish(g);
    CHECK_EQ(s.got, round ? 0 : GOS_CLOSED);
    CHECK_EQ(cs[!round].ok, round ? 0 : -1);
    if (!round) gos_chan_release(b), b = chan(0);
  }
  CHECK_EQ(v, 0); /* zeroed by the closed receive */
  gos_chan_release(a), gos_chan_release(b);
}

TEST(waits_then_wakes_on_either) {
  gos_chan *c[2] = {chan(0), chan(0)};
  for (long i = 0; i < 20; i++) {
    long v = -1, w = -1;
    gos_case cs[] = {GOS_RECV(c[0], &v), GOS_RECV(c[1], &w)};
    struct sel s = {cs, 2, -1, i % 3 ? GOS_FOREVER : gos_now() + 3600000 * MS};
    gos_g *g = spawn(selects, &s);
    until_parked(g, "select");
    CHECK_EQ(gos_chan_send(c[i % 2], &i), GOS_OK);
    finish(g);
    CHECK_EQ(s.got, i % 2);
    CHECK_EQ(cs[s.got].ok, 1);
    CHECK_EQ(i % 2 ? w : v, i);
    CHECK_EQ(i % 2 ? v : w, -1);
    CHECK_EQ(gos_chan_send_dl(c[!(i % 2)], &v, GOS_NOW), GOS_WOULDBLOCK);
  }
  gos_chan_release(c[0]), gos_chan_release(c[1]);
}

TEST(send_and_receive_on_one_channel_never_pair) {
  gos_chan *c = chan(0);
  long in = 4, out = 9;
  gos_case cs[] = {GOS_SEND(c, &in), GOS_RECV(c, &out)};
  CHECK_EQ(gos_select(cs, 2, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_select(cs, 2, gos_now() + 2 * MS), GOS_TIMEDOUT);
  struct sel s = {cs, 2, -1, GOS_FOREVER};
  gos_g *g = spawn(selects, &s);
  until_parked(g, "select");
  CHECK_EQ(gos_chan_send(c, &(long){6}), GOS_OK); /* each end pairs with somebody else */
  finish(g);
  CHECK_EQ(s.got, 1);
  CHECK_EQ(out, 6);
  g = spawn(selects, &s);
  until_parked(g, "select");
  CHECK_EQ(gos_chan_recv(c, &out), GOS_OK);
  finish(g);
  CHECK_EQ(s.got, 0);
  CHECK_EQ(out, 4);
  gos_chan_release(c);
}

TEST(two_selects_with_both_ends_pair_with_each_other) {
  gos_chan *c = chan(0);
  for (long i = scaled(500); i; i--) {
    long in[2] = {1, 2}, out[2] = {0, 0};
    gos_case a[] = {GOS_SEND(c, &in[0]), GOS_RECV(c, &out[0])}, b[] = {GOS_SEND(c, &in[1]), GOS_RECV(c, &out[1])};
    struct sel s[2] = {{a, 2, -1, GOS_FOREVER}, {b, 2, -1, GOS_FOREVER}};
    gos_g *g = spawn(selects, &s[0]), *h = spawn(selects, &s[1]);
    finish(g);
    finish(h);
    CHECK_EQ(s[0].got + s[1].got, 1);
    int receiver = s[1].got;
    CHECK_EQ(out[receiver], in[!receiver]);
    CHECK_EQ(out[!receiver], 0);
  }
  gos_chan_release(c);
}

/* Selects that lock the same channels in opposite orders do not lock each other up. */
static void crosswise(void *arg) {
  gos_chan **c = arg;
  for (long i = scaled(3000); i; i--) {
    long v;
    gos_case cs[] = {GOS_RECV(c[0], &v), GOS_RECV(c[1], &v), GOS_SEND(c[0], &i), GOS_SEND(c[1], &i)};
    if (gos_select(cs, 4, gos_now() + 10 * MS) < 0) return; /* nobody is left */
  }
}

TEST(opposite_orders) {
  gos_chan *c[3] = {chan(0), chan(0)};
  c[2] = c[0];
  gos_g *g[4];
  for (int i = 0; i < 4; i++) g[i] = spawn(crosswise, c + i % 2);
  for (int i = 0; i < 4; i++) finish(g[i]);
  gos_chan_release(c[0]), gos_chan_release(c[1]);
}

enum { MANY = 200 };
static void sends_all(void *arg) {
  gos_chan **c = arg;
  for (long i = 0; i < MANY; i++) {
    long at = i * 77 % MANY;
    CHECK_EQ(gos_chan_send(c[at], &at), GOS_OK);
  }
}

TEST(many_cases) {
  gos_chan *c[MANY];
  gos_case cs[MANY];
  long v[MANY], seen[MANY] = {0};
  for (int i = 0; i < MANY; i++) c[i] = chan(0), cs[i] = (gos_case)GOS_RECV(c[i], &v[i]);
  gos_g *g = spawn(sends_all, c);
  for (int i = 0; i < MANY; i++) {
    int k = gos_select(cs, MANY, GOS_FOREVER);
    CHECK_EQ(v[k], k);
    seen[k]++;
  }
  for (int i = 0; i < MANY; i++) CHECK_EQ(seen[i], 1);
  finish(g);
  for (int i = 0; i < MANY; i++) gos_chan_release(c[i]);
}

static void many_in_goroutine(void *arg) { (void)arg, many_cases(); }
TEST(many_cases_on_a_small_stack) { finish(spawn(many_in_goroutine, NULL)); }

/* Few cases have their places on the stack, more elsewhere: every number on both sides of that, ready and waited for. */
static void sends_to(void *c) {
  long v = 5;
  CHECK_EQ(gos_chan_send(c, &v), GOS_OK);
}
TEST(every_number_of_cases) {
  enum { MOST = 40 };
  gos_chan *c[MOST];
  gos_case cs[MOST];
  long v[MOST] = {0};
  for (int i = 0; i < MOST; i++) c[i] = chan(0), cs[i] = (gos_case)GOS_RECV(c[i], &v[i]);
  for (int n = 1; n <= MOST; n++) {
    gos_g *g = spawn(sends_to, c[n - 1]);
    CHECK_EQ(gos_select(cs, n, GOS_FOREVER), n - 1);
    finish(g);
    CHECK_EQ(gos_select(cs, n, gos_now() + 1), GOS_TIMEDOUT);
    g = spawn(sends_to, c[n / 2]);
    until_parked(g, "chan send");
    CHECK_EQ(gos_select(cs, n, GOS_FOREVER), n / 2);
    finish(g);
    CHECK(v[n - 1] == 5 && v[n / 2] == 5 && cs[n - 1].ok == 1);
    v[n - 1] = v[n / 2] = 0;
  }
  for (int i = 0; i < MOST; i++) gos_chan_release(c[i]);
}

TEST(no_case_at_all) {
  struct sel s = {NULL, 0, 0, GOS_FOREVER};
  gos_g *g = spawn(selects, &s);
  until_parked(g, "select (no cases)");
  gos_interrupt(g);
  finish(g);
  CHECK_EQ(s.got, GOS_CANCELED);
}

/* One value, many selects: exactly one gets it. */
static atomic_int winners;
static void contends(void *arg) {
  gos_chan **c = arg;
  gos_case cs[] = {GOS_RECV(c[0], NULL), GOS_RECV(c[1], NULL)};
  if (gos_select(cs, 2, GOS_FOREVER) == 0 && cs[0].ok) winners++;
}

TEST(one_value_has_one_winner) {
  for (long r = scaled(100); r; r--) {
    gos_chan *c[2] = {chan(0), chan(0)};
    gos_g *g[10];
    for (int i = 0; i < 10; i++) g[i] = spawn(contends, c);
    CHECK_EQ(gos_chan_send(c[0], &r), GOS_OK);
    gos_chan_close(c[1]);
    for (int i = 0; i < 10; i++) finish(g[i]);
    CHECK_EQ(winners, 1);
    winners = 0;
    gos_chan_release(c[0]), gos_chan_release(c[1]);
  }
}
