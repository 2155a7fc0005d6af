/* Goroutines: start, join, done, names, stacks of several sizes, deferred calls, ends.
 * SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"

enum { MANY = 100, DEEP = 20 };
static atomic_int ran;

static void counts(void *arg) { (void)arg, atomic_fetch_add(&ran, 1); }
static void uses_stack(void *arg) {
  volatile char deep[8192];
  for (size_t i = 0; i < sizeof deep; i += 512) deep[i] = (char)i;
  counts(arg);
}

/* A system call that reads a page tells without a signal whether it can be read. */
static int ends[2];
static bool readable(const char *p) {
  char c;
  return write(ends[1], p, 1) == 1 && read(ends[0], &c, 1) == 1;
}
/* Below its stack, however it came about, is what cannot be read. */
static void has_a_guard(void *arg) {
  enum { PAGE = 4096, STACK = 32768 };
  char here, *p = &here;
  int n = 0;
  while (n <= STACK / PAGE && readable(p)) p -= PAGE, n++;
  CHECK(n <= STACK / PAGE);
  counts(arg);
}
static void guarded(void) {
  gos_go_options o = {.size = sizeof o, .stack = 32768};
  int e, started = 0;
  CHECK_EQ(pipe(ends), 0);
  ran = 0;
  for (int i = 0; i < DEEP; i++) {
    gos_g *g = gos_go_opts(&o, has_a_guard, NULL, &e);
    started += WORKED(e);
    gos_release(g);
  }
  settle();
  CHECK_EQ(ran, started);
  close(ends[0]), close(ends[1]);
}

static void plain(void) {
  int started = 0;
  ran = 0;
  for (int i = 0; i < MANY; i++) started += WORKED(gos_go(counts, NULL));
  settle();
  CHECK_EQ(ran, started);
}

static void with_handles(void) {
  gos_g *g[DEEP];
  int started = 0;
  ran = 0;
  for (int i = 0; i < DEEP; i++) {
    gos_go_options o = {.size = sizeof o, .name = i % 2 ? "worker" : NULL, .stack = i % 3 ? 0 : (size_t)32768 << i % 6};
    int e = 7;
    g[i] = gos_go_opts(&o, uses_stack, NULL, &e);
    CHECK_EQ(g[i] != NULL, e == GOS_OK);
    started += WORKED(e);
  }
  for (int i = 0; i < DEEP; i++) {
    if (!g[i]) continue;
    gos_chan *done = gos_done(g[i]);
    if (GOT(done)) CHECK_EQ(gos_chan_recv(done, NULL), GOS_CLOSED);
    CHECK_EQ(gos_join(g[i], GOS_FOREVER), GOS_OK);
    gos_info info;
    CHECK_EQ(gos_info_get(g[i], &info, sizeof info), GOS_OK);
    CHECK(!strcmp(info.status, "dead"));
    gos_release(g[i]);
  }
  CHECK_EQ(ran, started);
}

struct order {
  int deferred, undone;
  bool wrong;
};
static struct order order;
static void undo(void *arg) {
  if ((int)(intptr_t)arg != order.deferred - order.undone - 1) order.wrong = true;
  order.undone++;
}
static void defers_and_leaves(void *arg) {
  for (int i = 0; i < DEEP; i++) order.deferred += WORKED(gos_defer(undo, (void *)(intptr_t)order.deferred));
  if (arg) gos_goexit();
}
static void deep_defer(bool leaves) {
  order = (struct order){0};
  int e;
  gos_g *g = gos_go_opts(NULL, defers_and_leaves, leaves ? &order : NULL, &e);
  if (!WORKED(e)) return;
  CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
  gos_release(g);
  CHECK_EQ(order.undone, order.deferred);
  CHECK(!order.wrong);
}

static void waits(void *arg) { gos_chan_recv(arg, NULL), counts(NULL); }
/* Some wait with a deadline, some are interrupted. */
static void ends_of_waits(void) {
  gos_chan *c = gos_chan_make(0, 0);
  if (!GOT(c)) return;
  int e, started = 0;
  ran = 0;
  gos_g *g = gos_go_opts(NULL, waits, c, &e);
  if (WORKED(e)) {
    started++;
    e = gos_join(g, gos_now() + MS / 10);
    if (e != GOS_TIMEDOUT) WORKED(e == GOS_OK ? GOS_INVAL : e);
    CHECK_EQ(gos_interrupt(g), GOS_OK);
    CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
    CHECK_EQ(gos_interrupt(g), GOS_CLOSED);
    gos_release(g);
  }
  CHECK_EQ(ran, started);
  gos_chan_release(c);
}

static int sees(const gos_info *i, void *u) {
  CHECK(i->status[0]);
  return ++*(int *)u, 0;
}
static void looks(void) {
  int n = 0;
  CHECK_EQ(gos_foreach(sees, &n), 0);
  CHECK(n >= 1);
  FILE *f = tmpfile();
  CHECK(f);
  WORKED(gos_dump(fileno(f), 0));
  fclose(f);
  gos_stats s;
  CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
  CHECK(s.goroutines >= 1);
}

static void *counts_blocking(void *arg) { return usleep(1), counts(arg), arg; }
static void blocks(void *arg) {
  void *r = NULL;
  CHECK_EQ(gos_blocking(counts_blocking, arg, &r), GOS_OK);
  CHECK(r == arg);
}
static void blocking_calls(void) {
  int started = 0, x;
  ran = 0;
  for (int i = 0; i < 8; i++) started += WORKED(gos_go(blocks, &x));
  settle();
  CHECK_EQ(ran, started);
}

static atomic_bool free_at_last;
static atomic_int blocked;
static void blocks_unannounced(void *arg) {
  blocked++;
  while (!free_at_last && !faults_fired()) usleep(100); /* fired: there may be no thread for the others */
  counts(arg);
}
/* More goroutines than Ps block without saying so: only the monitor can let the others go on, main too. */
static void hand_off(void) {
  int started = 0;
  free_at_last = false;
  ran = blocked = 0;
  for (int i = 0; i < 3; i++) started += WORKED(gos_go(blocks_unannounced, NULL));
  while (blocked < started) gos_gosched();
  free_at_last = true;
  settle();
  CHECK_EQ(ran, started);
}

void workload(void) {
  plain();
  hand_off();
  with_handles();
  guarded();
  deep_defer(false);
  deep_defer(true);
  ends_of_waits();
  blocking_calls();
  looks();
  CHECK(gos_num_cpu() >= 1);
  int before = gos_gomaxprocs(3);
  if (!WORKED(before)) return;
  CHECK_EQ(before, 2);
  plain();
  CHECK_EQ(gos_gomaxprocs(2), 3);
}
