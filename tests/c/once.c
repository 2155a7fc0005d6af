// ctest: timeout=120
/* Once: one run, everybody returns after it, whichever way fn is left.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <pthread.h>

static gos_once once;
static long made; /* plain: whoever returns has seen it */
static atomic_long deferred, reports;
static gos_chan *gate;

static void make(void *arg) { (void)arg, made++; }
static void make_late(void *arg) { (void)arg, gos_chan_recv(gate, NULL), made++; }
static void needs(void *arg) {
  gos_once_do(&once, make, arg);
  CHECK_EQ(made, 1);
}
static void needs_late(void *arg) {
  gos_once_do(&once, make_late, arg);
  CHECK_EQ(made, 1);
}
static void *needs_thread(void *arg) { return needs(arg), NULL; }
static void never(void *arg) {
  (void)arg;
  CHECK(!"run a second time");
}
static void is_done(void) {
  gos_once_do(&once, never, NULL);
  CHECK_EQ(gos_mutex_trylock(&once.mu), GOS_OK);
  CHECK_EQ(gos_mutex_unlock(&once.mu), GOS_OK);
}

TEST(once_among_ten) {
  for (long r = scaled(100); r; r--) {
    gos_g *g[10];
    pthread_t t;
    memset(&once, 0, sizeof once), made = 0;
    CHECK_EQ(pthread_create(&t, NULL, needs_thread, NULL), 0);
    for (int i = 0; i < 10; i++) g[i] = spawn(needs, NULL);
    for (int i = 0; i < 10; i++) finish(g[i]);
    pthread_join(t, NULL);
    is_done();
  }
}

TEST(others_wait_for_the_first) {
  gate = gos_chan_make(0, 0);
  gos_g *a = spawn(needs_late, NULL), *b[5];
  until_parked(a, "chan receive");
  for (int i = 0; i < 5; i++) b[i] = spawn(needs_late, NULL), until_parked(b[i], "sync.Mutex.Lock");
  CHECK_EQ(gos_chan_send(gate, NULL), GOS_OK);
  finish(a);
  for (int i = 0; i < 5; i++) finish(b[i]);
  is_done();
}

/* The goroutine leaves fn for good: done, unlocked, and its other deferred calls run in their order. */
static void first_deferred(void *arg) { CHECK_EQ(atomic_fetch_add(&deferred, 1), (long)(intptr_t)arg); }
static void exits(void *arg) {
  (void)arg, made++;
  CHECK_EQ(gos_defer(first_deferred, (void *)0), GOS_OK);
  gos_goexit();
}
static void exits_in_once(void *arg) {
  CHECK_EQ(gos_defer(first_deferred, (void *)1), GOS_OK);
  gos_once_do(&once, exits, arg);
  CHECK(!"not reached");
}

TEST(goexit_in_fn) {
  finish(spawn(exits_in_once, NULL));
  CHECK_EQ(deferred, 2);
  CHECK_EQ(made, 1);
  is_done();
}

static void exits_late(void *arg) { make_late(arg), gos_goexit(); }
static void runs_exits_late(void *arg) { gos_once_do(&once, exits_late, arg); }

TEST(goexit_lets_the_waiting_go_on) {
  gate = gos_chan_make(0, 0);
  gos_g *a = spawn(runs_exits_late, NULL), *b[5];
  until_parked(a, "chan receive");
  for (int i = 0; i < 5; i++) b[i] = spawn(needs, NULL), until_parked(b[i], "sync.Mutex.Lock");
  CHECK_EQ(gos_chan_send(gate, NULL), GOS_OK);
  finish(a);
  for (int i = 0; i < 5; i++) finish(b[i]);
  is_done();
}

/* A deferred call made inside fn belongs to the goroutine: it runs at its end, not before. */
static void defers(void *arg) {
  (void)arg, made++;
  CHECK_EQ(gos_defer(first_deferred, (void *)0), GOS_OK);
}
static void defers_in_once(void *arg) {
  CHECK_EQ(gos_defer(first_deferred, (void *)1), GOS_OK);
  gos_once_do(&once, defers, arg);
  CHECK_EQ(deferred, 0);
  is_done();
}

TEST(defer_in_fn) {
  finish(spawn(defers_in_once, NULL));
  CHECK_EQ(deferred, 2);
}

/* One Once inside another. */
static gos_once outer;
static void makes_inner(void *arg) { gos_once_do(&once, make, arg); }
static void leaves_inner(void *arg) { gos_once_do(&once, exits, arg); }
static void runs_outer(void *arg) { gos_once_do(&outer, (void (*)(void *))(uintptr_t)arg, NULL); }

TEST(nested) {
  gos_once_do(&outer, makes_inner, NULL);
  gos_once_do(&outer, never, NULL);
  is_done();
  memset(&once, 0, sizeof once), memset(&outer, 0, sizeof outer);
  finish(spawn(runs_outer, (void *)(uintptr_t)leaves_inner));
  gos_once_do(&outer, never, NULL);
  is_done();
}

static void reports_panic(const char *report) {
  CHECK_HAS(report, "panic: no");
  atomic_fetch_add(&reports, 1);
}
static void panics(void *arg) { (void)arg, made++, gos_panic("no"); }
static void panics_in_once(void *arg) { gos_once_do(&once, panics, arg); }
static void *panics_thread(void *arg) { return panics_in_once(arg), NULL; }

TEST_RAW(panic_in_fn) {
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .on_panic = reports_panic}), GOS_OK);
  finish(spawn(panics_in_once, NULL));
  is_done();
  finish(spawn(needs, NULL));
  memset(&once, 0, sizeof once);
  pthread_t t;
  CHECK_EQ(pthread_create(&t, NULL, panics_thread, NULL), 0);
  CHECK_EQ(pthread_join(t, NULL), 0);
  is_done();
  CHECK_EQ(reports, 2);
}

/* A thread that ends inside fn on its own account leaves the Once locked, but harms nobody else. */
static void ends_thread(void *arg) { (void)arg, pthread_exit(NULL); }
static void *ends_in_once(void *arg) { return gos_once_do(arg, ends_thread, NULL), NULL; }

TEST(pthread_exit_in_fn) {
  static gos_once lost;
  pthread_t t;
  CHECK_EQ(pthread_create(&t, NULL, ends_in_once, &lost), 0);
  CHECK_EQ(pthread_join(t, NULL), 0);
  for (int i = 0; i < 40; i++) finish(spawn(needs, NULL)); /* some of them in the thread's old G */
  is_done();
}

/* Called again from inside fn it waits for ever, as in Go. */
static void calls_again(void *arg) { gos_once_do(&once, make, arg); }
static void calls(void *arg) { gos_once_do(&once, calls_again, arg); }

TEST(from_inside_it_waits) {
  gos_g *g = spawn(calls, NULL);
  until_parked(g, "sync.Mutex.Lock");
  for (int i = 0; i < 50; i++) gos_gosched();
  CHECK_EQ(gos_join(g, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(made, 0);
}
