/* A realm: its start, its goroutines, its timers, its hand-off to other threads.
 * SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"
#include "host.h"

enum { MANY = 70, TIMERS = 80 };
static atomic_int ran;
static void counts(void *arg) { (void)arg, ran++; }

int setup(void) {
  int e = GOS_OK;
  host.not_alone = true;
  return host_start(0, &e) ? GOS_OK : e;
}

static void many(void) {
  gos_g *g[MANY];
  int started = 0;
  ran = 0;
  for (int i = 0; i < MANY; i++) {
    g[i] = NULL;
    started += WORKED(gos_realm_go(host.realm, i % 2 ? "named" : NULL, i % 5 ? 0 : 1 << 20, counts, &ran, &g[i]));
  }
  for (int i = 0; i < MANY; i++) {
    if (!g[i]) continue;
    gos_chan *done = gos_done(g[i]);
    if (GOT(done)) CHECK_EQ(gos_chan_recv(done, NULL), GOS_CLOSED);
    CHECK_EQ(gos_join(g[i], GOS_FOREVER), GOS_OK);
    gos_release(g[i]);
  }
  CHECK_EQ(ran, started);
}

static void sends(void *arg) {
  for (long v = 1; v <= 20; v++) CHECK_EQ(gos_chan_send(arg, &v), GOS_OK);
  gos_chan_close(arg);
}
static void channels(void) {
  gos_chan *c = gos_realm_chan(host.realm, sizeof(long), 1);
  gos_g *g = NULL;
  long v, sum = 0;
  if (GOT(c) && WORKED(gos_realm_go(host.realm, NULL, 0, sends, c, &g))) {
    while (gos_chan_recv(c, &v) == GOS_OK) sum += v;
    CHECK_EQ(sum, 210);
    CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
    gos_release(g);
  }
  gos_chan_release(c);
}

static void timers(void) {
  gos_timer *t[TIMERS];
  int promised = 0;
  ran = 0;
  for (int i = 0; i < TIMERS; i++) {
    t[i] = i % 2 ? gos_realm_timer(host.realm, MS / 10, 0) : gos_realm_after_func(host.realm, MS / 10, counts, &ran);
    if (GOT(t[i]) && i % 2 == 0) promised++;
  }
  for (int i = 1; i < TIMERS; i += 2)
    if (t[i]) CHECK_EQ(gos_chan_recv(gos_timer_c(t[i]), NULL), GOS_OK);
  gos_ns give_up = gos_now() + 10 * MS;
  while (ran < promised && !(faults_fired() && gos_now() > give_up)) gos_gosched();
  for (int i = 0; i < TIMERS; i++) gos_timer_free(t[i]);
  while (gos_num_goroutine() > 1) gos_gosched();
  if (!faults_fired()) CHECK_EQ(ran, promised);
}

/* While one blocks, another thread takes over; where there is none the others wait for it. */
static atomic_int blocked;
static void blocks(void *arg) {
  (void)arg;
  blocked = 1; /* before the other may run */
  host_state *s = host_release();
  while (blocked && !faults_fired()) usleep(100);
  host_attach(&host, s);
  ran++;
}
static void frees(void *arg) {
  (void)arg;
  blocked = 0;
  ran++;
}
static void hand_off(void) {
  gos_g *g[2] = {0};
  int started = 0;
  ran = blocked = 0;
  started += WORKED(gos_realm_go(host.realm, NULL, 0, blocks, NULL, &g[0])); /* fired: does not block */
  started += WORKED(gos_realm_go(host.realm, NULL, 0, frees, NULL, &g[1]));
  for (int i = 0; i < 2; i++) {
    if (!g[i]) continue;
    CHECK_EQ(gos_join(g[i], GOS_FOREVER), GOS_OK);
    gos_release(g[i]);
  }
  CHECK_EQ(ran, started);
}

void workload(void) {
  many();
  channels();
  timers();
  hand_off();
}
