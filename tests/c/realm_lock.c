// ctest: timeout=120
/* A realm's goroutine that is locked to its thread runs there only, and nothing else of the realm runs there.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "host.h"
#include <sys/syscall.h>

static int tid(void) { return (int)syscall(SYS_gettid); }
static gos_chan *c, *d;
static atomic_int locked_tid, ran;

static void start(void) {
  CHECK(host_start(0, NULL));
  c = gos_realm_chan(host.realm, sizeof(long), 0);
  d = gos_realm_chan(host.realm, sizeof(long), 0);
}
static gos_g *go(void (*fn)(void *), void *arg) {
  gos_g *g = NULL;
  CHECK_EQ(gos_realm_go(host.realm, NULL, 0, fn, arg, &g), GOS_OK);
  return g;
}

static void answers(void *arg) {
  long v;
  (void)arg;
  gos_chan_range(c, &v) {
    CHECK(tid() != locked_tid);
    v++;
    CHECK_EQ(gos_chan_send(d, &v), GOS_OK);
  }
}
static void passes_by(void *arg) {
  (void)arg;
  for (int i = 0; i < 5; i++) {
    CHECK(tid() != locked_tid);
    gos_gosched();
  }
  ran++;
}

/* Everything that waits, from a locked goroutine. */
static void stays(void) {
  long v;
  int me = tid(), n = (int)scaled(200);
  ran = 0;
  locked_tid = me;
  gos_g *echo = go(answers, NULL);
  for (long i = 0; i < n; i++) {
    CHECK_EQ(gos_chan_send(c, &i), GOS_OK);
    CHECK_EQ(tid(), me);
    CHECK_EQ(gos_chan_recv(d, &v), GOS_OK);
    CHECK_EQ(v, i + 1);
    CHECK_EQ(tid(), me);
    if (i % 16 == 0) CHECK_EQ(gos_sleep(MS / 10), GOS_OK);
    CHECK_EQ(tid(), me);
    gos_release(go(passes_by, NULL));
    gos_gosched();
    CHECK_EQ(tid(), me);
  }
  CHECK_EQ(gos_chan_recv_dl(d, &v, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(tid(), me);
  while (ran < n) gos_gosched();
  CHECK_EQ(tid(), me);
  CHECK_EQ(gos_chan_close(c), GOS_OK);
  finish(echo);
  CHECK_EQ(tid(), me);
  locked_tid = 0;
}

TEST_RAW(main_stays) {
  start();
  CHECK_EQ(gos_lock_os_thread(), GOS_OK);
  stays();
  CHECK_EQ(gos_unlock_os_thread(), GOS_OK);
  CHECK_EQ(gos_unlock_os_thread(), GOS_OK); /* was not locked */
}

static void locks_and_stays(void *arg) {
  CHECK_EQ(gos_lock_os_thread(), GOS_OK);
  CHECK_EQ(gos_lock_os_thread(), GOS_OK);
  CHECK_EQ(gos_unlock_os_thread(), GOS_OK);
  stays();
  if (!arg) CHECK_EQ(gos_unlock_os_thread(), GOS_OK);
}
TEST_RAW(goroutine_stays) {
  start();
  finish(go(locks_and_stays, NULL));
}
/* The host says for each wait that it must stay. */
static void is_tied(void *arg) {
  (void)arg;
  host.tied = gos_self();
  stays();
  host.tied = NULL;
}
static void fresh_channel(void) {
  gos_chan_release(c);
  c = gos_realm_chan(host.realm, sizeof(long), 0);
}
TEST_RAW(tied) {
  start();
  is_tied(NULL);
  fresh_channel();
  finish(go(is_tied, NULL));
  fresh_channel();
  finish(go(locks_and_stays, NULL)); /* its thread is free again */
}
/* Its end lets go of the thread. */
TEST_RAW(ends_locked) {
  start();
  finish(go(locks_and_stays, &ran));
  locked_tid = 0;
  gos_g *g[20];
  ran = 0;
  for (int i = 0; i < 20; i++) g[i] = go(passes_by, NULL);
  for (int i = 0; i < 20; i++) finish(g[i]);
  CHECK_EQ(ran, 20);
}

/* Several, each on a thread of its own. */
enum { MANY = 6 };
static atomic_int tids[MANY];
static void has_its_own(void *arg) {
  int i = (int)(intptr_t)arg;
  CHECK_EQ(gos_lock_os_thread(), GOS_OK);
  tids[i] = tid();
  for (int k = 0; k < 50; k++) {
    if (k % 8 == 0)
      CHECK_EQ(gos_sleep(MS / 10), GOS_OK);
    else
      gos_gosched();
    CHECK_EQ(tid(), tids[i]);
    for (int j = 0; j < MANY; j++) CHECK(j == i || tids[j] != tids[i]);
  }
}
TEST_RAW(several) {
  start();
  gos_g *g[MANY];
  for (intptr_t i = 0; i < MANY; i++) g[i] = go(has_its_own, (void *)i);
  for (int i = 0; i < MANY; i++) gos_join(g[i], GOS_FOREVER);
  for (int i = 0; i < MANY; i++) gos_release(g[i]);
}

/* A locked one that blocks outside: the others go on. */
static void blocks_locked(void *arg) {
  (void)arg;
  CHECK_EQ(gos_lock_os_thread(), GOS_OK);
  int me = tid();
  locked_tid = me;
  for (int i = 0; i < 5; i++) {
    int before = ran;
    host_state *s = host_release();
    while (ran < before + 50) sched_yield();
    host_attach(&host, s);
    CHECK_EQ(tid(), me);
    gos_gosched();
    CHECK_EQ(tid(), me);
  }
  locked_tid = 0;
  ran = -1;
}
static void counts(void *arg) {
  (void)arg;
  while (ran >= 0) {
    ran++;
    host_state *s = host_release(); /* the one that comes back gets its turn */
    sched_yield();
    host_attach(&host, s);
    gos_gosched();
  }
}
TEST_RAW(blocks) {
  start();
  gos_g *g = go(blocks_locked, NULL), *h = go(counts, NULL);
  gos_join(g, GOS_FOREVER);
  ran = -1;
  finish(h);
  gos_release(g);
}

/* No thread for the others: they run on the locked one. */
static void anywhere(void *arg) {
  (void)arg;
  ran++;
}
TEST_RAW(no_threads) {
  start();
  host.no_threads = true;
  CHECK_EQ(gos_lock_os_thread(), GOS_OK);
  finish(go(anywhere, NULL));
  CHECK_EQ(ran, 1);
  host.no_threads = false;
  CHECK_EQ(gos_unlock_os_thread(), GOS_OK);
}
