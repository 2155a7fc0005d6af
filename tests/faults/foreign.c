/* Threads that are not the runtime's call in: to begin with, and each for the first time.
 * SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"

enum { THREADS = 3, VALUES = 20 };
static gos_chan *c, *back;
static gos_mutex mu;
static long counted;
static atomic_int threads_done;

static void *sends(void *arg) {
  for (long v = 1; v <= VALUES; v++) {
    int e;
    while ((e = gos_chan_send(c, &v)) == GOS_NOMEM && v == 1) sched_yield(); /* its first call: nothing has happened */
    CHECK_EQ(e, GOS_OK);
    gos_mutex_lock(&mu);
    counted++;
    gos_mutex_unlock(&mu);
  }
  (void)WORKED(gos_sleep(MS / 20));
  return arg;
}
static void sums(void *arg) {
  long v, sum = 0;
  (void)arg;
  for (int i = 0; i < THREADS * VALUES; i++) {
    CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
    sum += v;
  }
  CHECK_EQ(gos_chan_send(back, &sum), GOS_OK);
}

/* A thread's first call needs memory: it must come back some time. */
static void wait_for(long *sum) {
  int e;
  while ((e = gos_chan_recv_dl(back, sum, gos_now() + 20 * MS)) != GOS_OK) {
    if (e != GOS_TIMEDOUT) WORKED(e);
    if (faults_fired()) faults_end();
  }
}

static void *starts_goroutines(void *arg) {
  gos_g *g[4];
  for (int i = 0; i < 4; i++) {
    int e;
    g[i] = gos_go_opts(NULL, (void (*)(void *))gos_chan_release, NULL, &e);
    (void)WORKED(e);
  }
  for (int i = 0; i < 4; i++) {
    if (!g[i]) continue;
    CHECK_EQ(gos_join(g[i], GOS_FOREVER), GOS_OK);
    gos_release(g[i]);
  }
  threads_done = 1;
  return arg;
}

void workload(void) {
  pthread_t t[THREADS];
  long sum = 0;
  c = gos_chan_make(sizeof(long), 1), back = gos_chan_make(sizeof(long), 0);
  counted = 0;
  int e;
  gos_g *g = GOT(c) && GOT(back) ? gos_go_opts(NULL, sums, NULL, &e) : NULL;
  if (g) {
    for (int i = 0; i < THREADS; i++) CHECK_EQ(faults_thread(&t[i], sends, NULL), 0);
    wait_for(&sum);
    for (int i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
    CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
    gos_release(g);
    CHECK_EQ(sum, THREADS * VALUES * (VALUES + 1) / 2);
    CHECK_EQ(counted, THREADS * VALUES);
  }
  gos_chan_release(c), gos_chan_release(back);
  threads_done = 0;
  CHECK_EQ(faults_thread(&t[0], starts_goroutines, NULL), 0);
  for (gos_ns begin = gos_now(); !threads_done;) { /* this goroutine's thread may be the only one there is */
    gos_gosched();
    if (faults_fired() && gos_now() > begin + 20 * MS) faults_end();
  }
  pthread_join(t[0], NULL);
}
