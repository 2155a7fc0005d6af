// ctest: timeout=120
/* Several realms at once, each pinned to a thread of its own, and channels that become shared (host.h).
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <gossamer/host.h>

static int alone(void *u) {
  (void)u;
  return 1;
}
static gos_realm *realm(void) {
  int e = GOS_OK;
  gos_host h = {.size = sizeof h, .flags = GOS_HOST_PINNED, .language = "test", .alone = alone};
  gos_realm *r = gos_realm_new(&h, &e);
  CHECK_EQ(e, GOS_OK);
  CHECK(r);
  return r;
}
static gos_g *go(gos_realm *r, void (*fn)(void *), void *arg) {
  gos_g *g = NULL;
  CHECK_EQ(gos_realm_go(r, NULL, 0, fn, arg, &g), GOS_OK);
  return g;
}
static void ended(gos_g *g) {
  CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
  gos_release(g);
}
static void parked(gos_g *g) {
  gos_info i;
  while (gos_info_get(g, &i, sizeof i), strcmp(i.status, "waiting") && strcmp(i.status, "dead")) gos_gosched();
}
static void thread(void (*fn)(void *), void *arg) { CHECK_EQ(gos_host_thread("t", 0, fn, arg), GOS_OK); }

static gos_chan *in, *out, *done;

/* ---- threads ------------------------------------------------------------------------- */
static void nothing(void *arg) { (void)arg; }
static void lives(void *arg) {
  gos_realm *r = realm();
  gos_g *g[8];
  for (int i = 0; i < 8; i++) g[i] = go(r, nothing, NULL);
  CHECK_EQ(gos_realm_end(r), GOS_PERM); /* they have not run */
  for (int i = 0; i < 8; i++) ended(g[i]);
  gos_timer *t = gos_realm_timer(r, 3600 * 1000 * MS, 0);
  CHECK_EQ(gos_realm_end(r), GOS_PERM);
  gos_timer_free(t);
  CHECK_EQ(gos_realm_end(r), GOS_OK);
  CHECK_EQ(gos_goid(), 0); /* a foreign thread again */
  CHECK_EQ(gos_chan_send(done, &arg), GOS_OK);
}

TEST_RAW(realms_come_and_go) {
  gos_realm *r = realm();
  CHECK_EQ(gos_realm_end(r), GOS_PERM); /* the process's main goroutine is its */
  done = gos_chan_make(sizeof(void *), 0);
  void *v;
  size_t stacks = 0;
  for (int i = 0; i < 500; i++) {
    thread(lives, NULL);
    if (i % 2) thread(lives, NULL);
    for (int k = 0; k <= i % 2; k++) CHECK_EQ(gos_chan_recv(done, &v), GOS_OK);
    gos_stats s = {.size = sizeof s};
    CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
    if (i == 50) stacks = s.stacks;
    if (i > 50) CHECK(s.stacks <= stacks + 256);
  }
  CHECK_EQ(gos_num_goroutine(), 1);
  gos_chan_release(done);
}

static void twice(void *arg) {
  for (int i = 0; i < 3; i++) {
    gos_realm *r = realm();
    gos_realm *second = gos_realm_new(&(gos_host){.size = sizeof(gos_host)}, NULL);
    CHECK(!second);
    ended(go(r, nothing, NULL));
    CHECK_EQ(gos_realm_end(r), GOS_OK);
  }
  CHECK_EQ(gos_chan_send(done, &arg), GOS_OK);
}
TEST_RAW(a_thread_may_have_one_after_another) {
  realm();
  done = gos_chan_make(sizeof(void *), 0);
  thread(twice, NULL);
  void *v;
  CHECK_EQ(gos_chan_recv(done, &v), GOS_OK);
  CHECK_EQ(gos_host_thread("t", 0, NULL, NULL), GOS_INVAL);
}

/* Not all of its goroutines have ended, and it is the process's first one. */
static void waits(void *arg) {
  uint64_t v;
  gos_chan_recv(arg, &v);
  CHECK(false);
}
TEST_RAW(a_thread_may_have_one_after_one_that_was_closed) {
  gos_chan *never = gos_chan_make(8, 0);
  for (int i = 0; i < 5; i++) {
    gos_realm *r = realm();
    CHECK(!gos_realm_new(&(gos_host){.size = sizeof(gos_host)}, NULL)); /* it is open */
    gos_chan *own = gos_realm_chan(r, 8, 0);
    parked(go(r, waits, never)), parked(go(r, waits, own));
    ended(go(r, nothing, NULL));
    CHECK_EQ(gos_num_goroutine(), 1 + 2 * (i + 1));
    CHECK_EQ(gos_chan_recv(never, NULL), GOS_DEADLOCK); /* of this main goroutine, too */
    CHECK(gos_realm_timer(r, 3600 * 1000 * MS, 0));
    gos_realm_close(r);
  }
  gos_realm *r = realm();
  uint64_t v = 1;
  CHECK_EQ(gos_chan_send_dl(never, &v, GOS_NOW), GOS_OK); /* to one that never takes it, as if its thread had gone */
  ended(go(r, nothing, NULL));
}

/* ---- no false deadlock ------------------------------------------------------------------ */
static void late(void *arg) {
  usleep(30000); /* the monitor looks, and sees nobody run */
  gos_realm *r = realm();
  ended(go(r, nothing, NULL));
  CHECK_EQ(gos_realm_end(r), GOS_OK);
  usleep(30000);
  CHECK_EQ(gos_chan_send(done, &arg), GOS_OK);
}
TEST_RAW(a_thread_that_starts_or_ends_is_no_deadlock) {
  realm();
  done = gos_chan_make(sizeof(void *), 0);
  void *v;
  for (int i = 0; i < 3; i++) {
    thread(late, NULL);
    CHECK_EQ(gos_chan_recv(done, &v), GOS_OK);
  }
}

static void echoes(void *arg) {
  (void)arg;
  gos_realm *r = realm();
  uint64_t v;
  while (gos_chan_recv(in, &v) == GOS_OK) CHECK_EQ(gos_chan_send(out, &v), GOS_OK);
  CHECK_EQ(gos_realm_end(r), GOS_OK);
  CHECK_EQ(gos_chan_close(done), GOS_OK);
}
TEST_RAW(ping_pong_between_realms) {
  realm();
  in = gos_chan_make(8, 0), out = gos_chan_make(8, 0), done = gos_chan_make(8, 0);
  thread(echoes, NULL);
  for (uint64_t i = 0, v; i < 3000; i++) {
    CHECK_EQ(gos_chan_send(in, &i), GOS_OK);
    CHECK_EQ(gos_chan_recv(out, &v), GOS_OK);
    CHECK_EQ(v, i);
  }
  CHECK_EQ(gos_chan_recv(out, NULL), GOS_DEADLOCK); /* both wait for the other */
  gos_chan_close(in);
  CHECK_EQ(gos_chan_recv(done, NULL), GOS_CLOSED);
}

/* ---- a confined channel becomes shared ---------------------------------------------------- */
static int collect(void *u, void *elem) {
  uint64_t *at = u, v;
  memcpy(&v, elem, 8);
  at[++at[0]] = v;
  v += 100;
  memcpy(elem, &v, 8);
  return 0;
}
static int adds(void *u, void *elem) {
  uint64_t v;
  memcpy(&v, elem, 8);
  *(uint64_t *)u += v;
  return 0;
}
static int stops(void *u, void *elem) {
  (void)elem;
  return ++*(int *)u == 2 ? 7 : 0;
}
static gos_chan *c, *other;
static uint64_t got[4];
static void sends(void *arg) {
  uint64_t v = (uint64_t)(uintptr_t)arg;
  CHECK_EQ(gos_chan_send(c, &v), GOS_OK);
}
static void sends_or_not(void *arg) {
  uint64_t v = (uint64_t)(uintptr_t)arg, w = 0;
  gos_case k[] = {GOS_SEND(c, &v), GOS_RECV(other, &w), GOS_RECV(c, &w)};
  k[2].op = 0;
  int i = gos_select(k, 3, GOS_FOREVER);
  CHECK(i == 0 || i == 1);
  if (i == 0) CHECK_EQ(v, (uintptr_t)arg + 100); /* it was changed while it waited */
}
static void receives(void *arg) {
  uint64_t i = (uint64_t)(uintptr_t)arg;
  CHECK_EQ(gos_chan_recv(c, &got[i]), GOS_OK);
}
static void receives_either(void *arg) {
  uint64_t i = (uint64_t)(uintptr_t)arg, w = 0;
  gos_case k[] = {GOS_RECV(other, &w), GOS_RECV(c, &got[i])};
  CHECK_EQ(gos_select(k, 2, GOS_FOREVER), 1);
}
static void drains(void *arg) {
  uint64_t v, n = (uint64_t)(uintptr_t)arg, sum = 0;
  gos_realm *r = realm();
  for (uint64_t i = 0; i < n; i++) {
    CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
    sum += v;
  }
  CHECK_EQ(gos_realm_end(r), GOS_OK);
  CHECK_EQ(gos_chan_send(done, &sum), GOS_OK);
}
static void fills(void *arg) {
  gos_realm *r = realm();
  for (uint64_t i = 1; i <= (uintptr_t)arg; i++) CHECK_EQ(gos_chan_send(c, &i), GOS_OK);
  CHECK_EQ(gos_realm_end(r), GOS_OK);
  CHECK_EQ(gos_chan_send(done, &arg), GOS_OK);
}

TEST_RAW(share_with_values_and_senders) {
  gos_realm *r = realm();
  c = gos_realm_chan(r, 8, 2), other = gos_realm_chan(r, 8, 0), done = gos_chan_make(8, 0);
  CHECK(gos_chan_confined(c));
  CHECK(!gos_chan_confined(done));
  CHECK(!gos_chan_confined(NULL));
  gos_g *g[6];
  for (uintptr_t i = 0; i < 6; i++) parked((g[i] = go(r, i == 3 || i == 5 ? sends_or_not : sends, (void *)(i + 1))));
  int calls = 0;
  CHECK_EQ(gos_chan_each(c, stops, &calls), 7);
  uint64_t seen[8] = {0}, inside = 0;
  CHECK_EQ(gos_chan_buffered(c, adds, &inside), 0); /* the others wait */
  CHECK_EQ(inside, 1 + 2);
  CHECK_EQ(gos_chan_each(c, collect, seen), 0);
  CHECK_EQ(seen[0], 6);
  for (uint64_t i = 1; i <= 6; i++) CHECK_EQ(seen[i], i);
  CHECK_EQ(gos_chan_share(c), GOS_OK);
  CHECK_EQ(gos_chan_share(c), GOS_OK);
  CHECK(!gos_chan_confined(c));
  CHECK_EQ(gos_chan_each(c, stops, &calls), 0); /* no confined one */
  CHECK_EQ(gos_chan_buffered(c, stops, &calls), 0);
  thread(drains, (void *)6);
  uint64_t sum;
  CHECK_EQ(gos_chan_recv(done, &sum), GOS_OK);
  CHECK_EQ(sum, 21 + 600);
  for (int i = 0; i < 6; i++) ended(g[i]);
  gos_chan_release(c);
}

TEST_RAW(share_with_receivers) {
  gos_realm *r = realm();
  c = gos_realm_chan(r, 8, 0), other = gos_realm_chan(r, 8, 0), done = gos_chan_make(8, 0);
  gos_g *g[4];
  for (uintptr_t i = 0; i < 4; i++) parked((g[i] = go(r, i % 2 ? receives_either : receives, (void *)i)));
  CHECK_EQ(gos_chan_share(c), GOS_OK);
  thread(fills, (void *)4);
  for (int i = 0; i < 4; i++) ended(g[i]);
  CHECK_EQ(got[0] + got[1] + got[2] + got[3], 10);
  CHECK_EQ(gos_chan_recv(done, NULL), GOS_OK);
}

TEST_RAW(a_select_goes_on_after_its_channel_is_shared) { /* by the other, still confined channel, or its deadline */
  gos_realm *r = realm();
  c = gos_realm_chan(r, 8, 0), other = gos_realm_chan(r, 8, 0);
  gos_g *g = go(r, sends_or_not, (void *)1);
  parked(g);
  CHECK_EQ(gos_chan_share(c), GOS_OK);
  uint64_t v = 5;
  CHECK_EQ(gos_chan_send(other, &v), GOS_OK);
  ended(g);
  gos_case k[] = {GOS_RECV(c, &v), GOS_RECV(other, &v)};
  CHECK_EQ(gos_select(k, 2, gos_now() + MS), GOS_TIMEDOUT);
}

TEST_RAW(a_timers_channel_stays) {
  gos_realm *r = realm();
  gos_timer *t = gos_realm_timer(r, MS, 0);
  CHECK_EQ(gos_chan_share(gos_timer_c(t)), GOS_PERM);
  CHECK_EQ(gos_chan_share(NULL), GOS_OK);
  gos_timer_free(t);
}

/* Goroutines of three realms on one channel that began as one realm's own. */
static void churn(void *arg) {
  gos_chan *ch = arg;
  uint64_t v;
  for (int i = 0; i < 300; i++) {
    v = 1;
    gos_case k[] = {GOS_SEND(ch, &v), GOS_RECV(ch, &v)};
    int e = gos_select(k, 2, gos_now() + (i % 7) * MS / 10);
    CHECK(e == 0 || e == 1 || e == GOS_TIMEDOUT);
  }
}
static void churns(void *arg) {
  gos_realm *r = realm();
  gos_g *g[10];
  for (int i = 0; i < 10; i++) g[i] = go(r, churn, arg);
  for (int i = 0; i < 10; i++) ended(g[i]);
  CHECK_EQ(gos_realm_end(r), GOS_OK);
  CHECK_EQ(gos_chan_send(done, &arg), GOS_OK);
}
TEST_RAW(many_share_one) {
  gos_realm *r = realm();
  gos_chan *ch = gos_realm_chan(r, 8, 0);
  done = gos_chan_make(8, 0);
  gos_g *g[10];
  for (int i = 0; i < 10; i++) g[i] = go(r, churn, ch);
  gos_gosched();
  CHECK_EQ(gos_chan_share(ch), GOS_OK);
  thread(churns, ch);
  thread(churns, ch);
  for (int i = 0; i < 10; i++) ended(g[i]);
  for (int i = 0; i < 2; i++) CHECK_EQ(gos_chan_recv(done, NULL), GOS_OK);
  gos_chan_release(ch);
}
