// ctest: timeout=60
// ctest: internal
/* Single flight: one call for many who ask at once.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <pthread.h>
#include "errgroup/siphash.h"

static gos_flight *fl;
static gos_chan *gate;
static atomic_long calls, got, shares;

static int answers(void *arg, void **val) {
  atomic_fetch_add(&calls, 1);
  *val = arg;
  return 0;
}
static int fails(void *arg, void **val) { return answers(arg, val), -7; }
static int answers_late(void *arg, void **val) {
  gos_chan_recv(gate, NULL);
  return answers(arg, val);
}
static int leaves(void *arg, void **val) {
  answers(arg, val);
  gos_chan_recv(gate, NULL);
  gos_goexit();
  return 1;
}

TEST(alone) {
  void *val = NULL;
  int shared = 9;
  fl = gos_flight_new();
  CHECK_EQ(gos_flight_do(fl, "key", answers, "v", &val, &shared), GOS_OK);
  CHECK(!strcmp(val, "v"));
  CHECK_EQ(shared, 0);
  CHECK_EQ(gos_flight_do(fl, "key", fails, "w", &val, &shared), -7);
  CHECK(!strcmp(val, "w"));
  CHECK_EQ(gos_flight_do(fl, "", answers, NULL, NULL, NULL), GOS_OK);
  CHECK_EQ(calls, 3);
  CHECK_EQ(gos_flight_do(fl, NULL, answers, NULL, NULL, NULL), GOS_INVAL);
  CHECK_EQ(gos_flight_do(fl, "key", NULL, NULL, NULL, NULL), GOS_INVAL);
  CHECK(!gos_flight_do_chan(fl, NULL, answers, NULL));
  gos_flight_forget(fl, "nothing");
  gos_flight_free(fl);
  gos_flight_free(NULL);
}

static void asks(void *key) {
  void *val = NULL;
  int shared = 0;
  CHECK_EQ(gos_flight_do(fl, key, answers_late, key, &val, &shared), GOS_OK);
  CHECK(!strcmp(val, key));
  atomic_fetch_add(&got, 1);
  atomic_fetch_add(&shares, shared);
}
static void *asks_outside(void *key) { return asks(key), NULL; }

TEST(many_ask_at_once) {
  gos_g *g[20];
  pthread_t t;
  fl = gos_flight_new();
  gate = gos_chan_make(0, 0);
  for (int i = 0; i < 20; i++) {
    g[i] = spawn(asks, i % 2 ? "odd" : "even");
    until_parked(g[i], i < 2 ? "chan receive" : "sync.WaitGroup.Wait");
  }
  CHECK_EQ(pthread_create(&t, NULL, asks_outside, "outside"), 0);
  for (int i = 0; i < 3; i++) CHECK_EQ(gos_chan_send(gate, NULL), GOS_OK);
  for (int i = 0; i < 20; i++) finish(g[i]);
  pthread_join(t, NULL);
  CHECK_EQ(calls, 3);
  CHECK_EQ(got, 21);
  CHECK_EQ(shares, 20);
  gos_flight_free(fl);
}

TEST(by_channel) {
  struct gos_flight_result r;
  fl = gos_flight_new();
  gate = gos_chan_make(0, 0);
  gos_chan *c[4];
  for (int i = 0; i < 4; i++) CHECK((c[i] = gos_flight_do_chan(fl, "key", answers_late, "v")));
  CHECK_EQ(gos_chan_cap(c[0]), 1);
  gos_chan_release(c[3]); /* one that nobody looks at */
  CHECK_EQ(gos_chan_recv_dl(c[0], &r, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_chan_send(gate, NULL), GOS_OK);
  for (int i = 0; i < 3; i++) {
    CHECK_EQ(gos_chan_recv(c[i], &r), GOS_OK);
    CHECK_EQ(r.err, 0);
    CHECK(!strcmp(r.val, "v"));
    CHECK_EQ(r.shared, 1);
    gos_chan_release(c[i]);
  }
  CHECK_EQ(calls, 1);
  c[0] = gos_flight_do_chan(fl, "key", fails, "w");
  CHECK_EQ(gos_chan_recv(c[0], &r), GOS_OK);
  CHECK_EQ(r.err, -7);
  CHECK_EQ(r.shared, 0);
  gos_chan_release(c[0]);
  gos_flight_free(fl);
}

TEST(forgotten) {
  void *val;
  fl = gos_flight_new();
  gate = gos_chan_make(0, 0);
  gos_chan *c = gos_flight_do_chan(fl, "key", answers_late, "old");
  gos_flight_forget(fl, "key");
  CHECK_EQ(gos_flight_do(fl, "key", answers, "new", &val, NULL), GOS_OK);
  CHECK(!strcmp(val, "new"));
  gos_flight_forget(fl, "key");
  gos_chan_send(gate, NULL);
  struct gos_flight_result r;
  CHECK_EQ(gos_chan_recv(c, &r), GOS_OK);
  CHECK(!strcmp(r.val, "old"));
  gos_chan_release(c);
  gos_flight_free(fl);
}

TEST(freed_while_a_call_runs) {
  fl = gos_flight_new();
  gate = gos_chan_make(0, 0);
  gos_chan *c = gos_flight_do_chan(fl, "key", answers_late, "v");
  gos_flight_free(fl);
  gos_chan_send(gate, NULL);
  CHECK_EQ(gos_chan_recv(c, NULL), GOS_OK);
  gos_chan_release(c);
}

/* fn leaves its goroutine: those who wait are told. */
static void leads(void *arg) {
  gos_flight_do(fl, "key", leaves, arg, NULL, NULL);
  CHECK(!"came back");
}
static void *leads_outside(void *arg) { return leads(arg), NULL; }
static void follows(void *arg) {
  void *val = arg;
  CHECK_EQ(gos_flight_do(fl, "key", leaves, arg, &val, NULL), GOS_CANCELED);
  CHECK(!val);
}

TEST(left_by_goexit) {
  for (int how = 0; how < 3; how++) {
    pthread_t t;
    gos_g *leader = NULL, *g[3];
    fl = gos_flight_new();
    gate = gos_chan_make(0, 0);
    gos_chan *c = how == 0 ? gos_flight_do_chan(fl, "key", leaves, NULL) : NULL;
    if (how == 1) leader = spawn(leads, NULL), until_parked(leader, "chan receive");
    if (how == 2) CHECK_EQ(pthread_create(&t, NULL, leads_outside, NULL), 0);
    while (calls <= how * 2) gos_gosched();
    for (int i = 0; i < 3; i++) g[i] = spawn(follows, NULL), until_parked(g[i], "sync.WaitGroup.Wait");
    gos_chan *also = gos_flight_do_chan(fl, "key", leaves, NULL);
    CHECK_EQ(gos_chan_send(gate, NULL), GOS_OK);
    struct gos_flight_result r = {0};
    if (c) CHECK_EQ(gos_chan_recv(c, &r), GOS_OK);
    if (c) CHECK_EQ(r.err, GOS_CANCELED);
    CHECK_EQ(gos_chan_recv(also, &r), GOS_OK);
    CHECK_EQ(r.err, GOS_CANCELED);
    for (int i = 0; i < 3; i++) finish(g[i]);
    if (leader) finish(leader);
    if (how == 2) pthread_join(t, NULL);
    CHECK_EQ(gos_flight_do(fl, "key", answers, NULL, NULL, NULL), GOS_OK); /* the key is free again */
    gos_chan_release(c);
    gos_chan_release(also);
    gos_flight_free(fl);
  }
}

static void is_interrupted(void *arg) { CHECK_EQ(gos_flight_do(fl, "key", answers, arg, NULL, NULL), GOS_CANCELED); }
TEST(a_follower_is_interrupted) {
  fl = gos_flight_new();
  gate = gos_chan_make(0, 0);
  gos_chan *c = gos_flight_do_chan(fl, "key", answers_late, "v");
  gos_g *g = spawn(is_interrupted, NULL);
  until_parked(g, "sync.WaitGroup.Wait");
  gos_interrupt(g);
  finish(g);
  gos_chan_send(gate, NULL);
  CHECK_EQ(gos_chan_recv(c, NULL), GOS_OK);
  gos_chan_release(c);
  gos_flight_free(fl);
}

/* Many keys from many goroutines; the table grows and shrinks. */
static atomic_long active[64];
static int counts(void *arg, void **val) {
  atomic_long *n = arg;
  CHECK_EQ(atomic_fetch_add(n, 1), 0); /* never twice at once */
  gos_gosched();
  atomic_fetch_sub(n, 1);
  *val = arg;
  return 0;
}
static void many_keys(void *arg) {
  for (long i = scaled(300); i; i--) {
    long k = (i * 31 + (intptr_t)arg) % 64;
    char key[32];
    void *val;
    snprintf(key, sizeof key, "key number %ld", k);
    if (i % 4) {
      CHECK_EQ(gos_flight_do(fl, key, counts, &active[k], &val, NULL), GOS_OK);
      CHECK(val == &active[k]);
      continue;
    }
    struct gos_flight_result r;
    gos_chan *c = gos_flight_do_chan(fl, key, counts, &active[k]);
    CHECK_EQ(gos_chan_recv(c, &r), GOS_OK);
    CHECK(r.val == &active[k]);
    gos_chan_release(c);
  }
}
TEST(many_keys_at_once) {
  gos_g *g[20];
  fl = gos_flight_new();
  for (intptr_t i = 0; i < 20; i++) g[i] = spawn(many_keys, (void *)i);
  for (int i = 0; i < 20; i++) finish(g[i]);
  gos_flight_free(fl);
}

/* The vectors are those one gets from the definition: key 00..0f, message 00, 00 01, ... */
TEST_RAW(the_hash) {
  const uint64_t key[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
  unsigned char msg[64];
  uint64_t seen[64];
  for (int i = 0; i < 64; i++) msg[i] = (unsigned char)i;
  CHECK_EQ(gosi_siphash(key, msg, 0), 0xabac0158050fc4dcu);
  CHECK_EQ(gosi_siphash(key, msg, 1), 0xc9f49bf37d57ca93u);
  for (size_t n = 0; n < 64; n++) {
    seen[n] = gosi_siphash(key, msg, n);
    for (size_t k = 0; k < n; k++) CHECK(seen[k] != seen[n]);
    const uint64_t other[2] = {key[0] + 1, key[1]};
    CHECK(gosi_siphash(other, msg, n) != seen[n]);
  }
}
