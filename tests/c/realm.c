// ctest: timeout=120
/* Realms: a host language's goroutines, with a host that checks what it is asked (host.h).
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "host.h"

static gos_realm *start(void) {
  int e = 7;
  gos_realm *r = host_start(0, &e);
  CHECK(r);
  CHECK_EQ(e, 7); /* left alone */
  return r;
}
static gos_g *go(void (*fn)(void *), void *arg) {
  gos_g *g = NULL;
  CHECK_EQ(gos_realm_go(host.realm, NULL, 0, fn, arg, &g), GOS_OK);
  CHECK(g);
  return g;
}
static void parked(gos_g *g, const char *reason) {
  gos_info i;
  while (gos_info_get(g, &i, sizeof i), strcmp(i.status, "waiting") || strcmp(i.wait_reason, reason)) gos_gosched();
}

static atomic_int ran;
static void counts(void *arg) { (void)arg, ran++; }

TEST_RAW(goroutines_run_one_at_a_time) {
  start();
  gos_g *g[300];
  for (int i = 0; i < 300; i++) g[i] = go(counts, &ran);
  CHECK_EQ(ran, 0); /* nothing runs before main lets go */
  CHECK_EQ(gos_num_goroutine(), 301);
  for (int i = 0; i < 300; i++) finish(g[i]);
  CHECK_EQ(ran, 300);
  CHECK_EQ(gos_num_goroutine(), 1);
  CHECK(host.fibers <= 2); /* the stack of one that ends goes to the next */
}

static void tells(void *arg) {
  gos_g *me = gos_self();
  CHECK(me && gos_g_arg(me) == arg);
  CHECK_EQ(gos_g_id(me), gos_goid());
  CHECK(gos_g_alive(me));
  host_state *s = host.cur;
  CHECK((char *)&me >= s->lo && (char *)&me < s->hi);
  ran++;
}

TEST_RAW(handles) {
  start();
  gos_g *g = NULL;
  CHECK(gos_self() == gos_realm_main(host.realm));
  CHECK(!gos_g_arg(gos_self()));
  CHECK_EQ(gos_realm_go(host.realm, "named", 1 << 20, tells, &ran, &g), GOS_OK);
  CHECK(gos_g_retain(g) == g);
  gos_info i;
  CHECK_EQ(gos_info_get(g, &i, sizeof i), GOS_OK);
  CHECK_HAS(i.name, "named");
  CHECK_HAS(i.site, "script:12");
  CHECK_EQ(i.creator, gos_goid());
  finish(g);
  CHECK(!gos_g_alive(g));
  gos_release(g);
  CHECK_EQ(ran, 1);
  for (int k = 0; k < 3 && !host.freed; k++) finish(go(counts, NULL));
  CHECK_EQ(host.freed, 1); /* a stack of another size does not go into the cache */
}

TEST_RAW(errors) {
  int e = 0;
  gos_host bad = {.size = 3};
  CHECK(!gos_realm_new(NULL, &e));
  CHECK_EQ(e, GOS_INVAL);
  CHECK(!gos_realm_new(&bad, &e));
  CHECK_EQ(e, GOS_INVAL);
  bad = (gos_host){.size = sizeof bad, .stack = SIZE_MAX};
  CHECK(!gos_realm_new(&bad, NULL));
  start();
  CHECK(!gos_realm_new(&host.vt, &e)); /* this thread has one */
  CHECK_EQ(e, GOS_PERM);
  CHECK_EQ(gos_realm_go(host.realm, NULL, 0, NULL, NULL, NULL), GOS_INVAL);
  CHECK_EQ(gos_realm_go(host.realm, NULL, SIZE_MAX, counts, NULL, NULL), GOS_INVAL);
  CHECK_EQ(gos_realm_enter(host.realm, NULL), GOS_OK); /* it is in */
  CHECK_EQ(gos_init(NULL), GOS_PERM);
  CHECK(!gos_realm_after_func(host.realm, 0, NULL, NULL));
}

/* ---- confined channels ------------------------------------------------------------------------- */
static gos_chan *c, *d;
static void sends_ten(void *arg) {
  for (long v = 1; v <= 10; v++) CHECK_EQ(gos_chan_send(arg, &v), GOS_OK);
  CHECK_EQ(gos_chan_close(arg), GOS_OK);
}
static void confined_stream(size_t cap) {
  long v, sum = 0;
  c = gos_realm_chan(host.realm, sizeof v, cap);
  gos_g *g = go(sends_ten, c);
  gos_chan_range(c, &v) sum += v;
  CHECK_EQ(sum, 55);
  finish(g);
  gos_chan_release(c);
}
TEST_RAW(confined_channels) {
  start();
  confined_stream(0);
  confined_stream(3);
  confined_stream(100);
}

static void receives(void *arg) {
  long v = 9;
  CHECK_EQ(gos_chan_recv(arg, &v), GOS_CLOSED);
  CHECK_EQ(v, 0);
  ran++;
}
TEST_RAW(close_wakes_all) {
  start();
  gos_g *g[5];
  c = gos_realm_chan(host.realm, sizeof(long), 0);
  for (int i = 0; i < 5; i++) g[i] = go(receives, c);
  for (int i = 0; i < 5; i++) parked(g[i], "chan receive");
  CHECK_EQ(gos_chan_close(c), GOS_OK);
  CHECK_EQ(gos_chan_close(c), GOS_CLOSED);
  for (int i = 0; i < 5; i++) finish(g[i]);
  CHECK_EQ(ran, 5);
  gos_chan_release(c);
}

TEST_RAW(deadlines) {
  start();
  long v = 3;
  c = gos_realm_chan(host.realm, sizeof v, 0);
  CHECK_EQ(gos_chan_recv_dl(c, &v, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_chan_send_dl(c, &v, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_chan_recv_dl(c, &v, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_sleep(MS), GOS_OK);
  gos_case cs[] = {GOS_RECV(c, &v), GOS_SEND(c, &v)};
  CHECK_EQ(gos_select(cs, 2, gos_now() + MS), GOS_TIMEDOUT);
  gos_chan_release(c);
}

static void selects(void *arg) {
  long v = 0;
  (void)arg;
  for (int i = 0; i < 20; i++) {
    gos_case cs[] = {GOS_RECV(c, &v), GOS_RECV(d, &v)};
    int k = gos_select(cs, 2, GOS_FOREVER);
    CHECK(k == 0 || k == 1);
    CHECK_EQ(v % 2, k);
    ran++;
  }
}
/* Both kinds of channel in one select. */
TEST_RAW(select_over_confined_and_shared) {
  start();
  c = gos_realm_chan(host.realm, sizeof(long), 0), d = gos_chan_make(sizeof(long), 0);
  for (int both = 0; both < 2; both++) {
    if (both) d = gos_realm_chan(host.realm, sizeof(long), 0);
    gos_g *g = go(selects, NULL);
    for (long v = 0; v < 20; v++) CHECK_EQ(gos_chan_send(v % 2 ? d : c, &v), GOS_OK);
    finish(g);
    gos_chan_release(d);
  }
  CHECK_EQ(ran, 40);
  gos_chan_release(c);
}

static void waits_for_ever(void *arg) {
  CHECK_EQ(gos_chan_recv(arg, NULL), GOS_CANCELED);
  ran++;
}
TEST_RAW(interrupts) {
  start();
  c = gos_realm_chan(host.realm, sizeof(long), 0);
  gos_g *g = go(waits_for_ever, c);
  parked(g, "chan receive");
  CHECK_EQ(gos_interrupt(g), GOS_OK);
  finish(g);
  g = go(waits_for_ever, c);
  CHECK_EQ(gos_interrupt(g), GOS_OK); /* before it waits */
  finish(g);
  CHECK_EQ(ran, 2);
  CHECK_EQ(gos_chan_send_dl(c, &(long){1}, GOS_NOW), GOS_WOULDBLOCK);
  gos_chan_release(c);
}

/* ---- timers ------------------------------------------------------------------------------------- */
TEST_RAW(timers) {
  start();
  gos_ns at = 0, last = 0;
  gos_timer *t = gos_realm_timer(host.realm, MS, 0);
  CHECK_EQ(gos_chan_recv(gos_timer_c(t), &at), GOS_OK);
  CHECK_EQ(gos_timer_reset(t, 3600000 * MS), 0);
  CHECK_EQ(gos_timer_stop(t), 1);
  gos_timer_free(t);
  t = gos_realm_timer(host.realm, MS, MS);
  for (int i = 0; i < 3; i++, last = at) {
    CHECK_EQ(gos_chan_recv(gos_timer_c(t), &at), GOS_OK);
    CHECK(at > last);
  }
  gos_timer_free(t);
  t = gos_realm_after_func(host.realm, MS, counts, &ran);
  while (!ran) gos_sleep(MS / 10);
  gos_timer_free(t);
  CHECK_EQ(ran, 1);
}

/* ---- threads ------------------------------------------------------------------------------------- */
static atomic_bool stop;
static void blocks_in_host(void *arg) {
  host_state *s = host_release();
  while (!stop) usleep(100);
  host_attach(&host, s);
  CHECK_EQ(gos_chan_send(arg, &(long){1}), GOS_OK);
  ran++;
}
static void steps(void *arg) {
  for (int i = 0; i < 10; i++) gos_gosched(), ran++;
  (void)arg;
}
/* One goroutine blocks with the lock given up: another thread runs the rest, main as well. */
TEST_RAW(hand_off_from_one_that_blocks) {
  start();
  c = gos_realm_chan(host.realm, sizeof(long), 1);
  gos_g *b = go(blocks_in_host, c), *g = go(steps, NULL);
  finish(g);
  CHECK_EQ(ran, 10);
  stop = true;
  finish(b);
  CHECK_EQ(ran, 11);
  gos_stats s;
  CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
  CHECK(s.handoffs >= 1);
  gos_chan_release(c);
}

static void spins(void *arg) {
  (void)arg;
  while (!stop) { /* computes: lets others have the lock now and then, as an interpreter does */
    host_state *s = host_release();
    sched_yield();
    host_attach(&host, s);
  }
  gos_gosched(); /* by now its thread does not own the realm */
  ran++;
}
TEST_RAW(hand_off_from_a_hog) {
  start();
  gos_g *h = go(spins, NULL), *g = go(steps, NULL);
  finish(g);
  stop = true;
  finish(h);
  CHECK_EQ(ran, 11);
}

/* Main blocks; its goroutines run on another thread, and main comes back to its own. (Of pthread_self() the compiler
   believes that it always is the same.) */
TEST_RAW(main_blocks_in_host) {
  start();
  pid_t home = gettid();
  for (int i = 0; i < 5; i++) {
    ran = 0;
    gos_g *g = go(steps, NULL);
    host_state *s = host_release();
    while (ran < 10) usleep(100);
    host_attach(&host, s);
    finish(g);
    CHECK_EQ(gos_sleep(MS / 2), GOS_OK);
    CHECK_EQ(gettid(), home);
  }
}

static void *thread_sends(void *arg) {
  for (long v = 1; v <= 200; v++) CHECK_EQ(gos_chan_send(arg, &v), GOS_OK);
  return arg;
}
/* Threads outside ready the realm's goroutines through its inbox. */
TEST_RAW(woken_from_outside) {
  start();
  pthread_t t[3];
  long sum = 0, v;
  host.not_alone = true;
  c = gos_chan_make(sizeof v, 0);
  for (int i = 0; i < 3; i++) CHECK_EQ(pthread_create(&t[i], NULL, thread_sends, c), 0);
  for (int i = 0; i < 600; i++, sum += v) CHECK_EQ(gos_chan_recv(c, &v), GOS_OK);
  CHECK_EQ(sum, 3 * 200 * 201 / 2);
  for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
  gos_chan_release(c);
}

static gos_mutex mu;
static gos_chan *empty;
static void *member(void *arg) {
  host_state me = {.h = &host};
  long v = 0, got = 0;
  host_attach(&host, &me);
  CHECK_EQ(gos_realm_enter(host.realm, &me), GOS_OK);
  CHECK_EQ(gos_realm_enter(host.realm, &me), GOS_OK);
  CHECK(!gos_self());
  while (gos_chan_recv(c, &v) == GOS_OK) got += v;
  gos_mutex_lock(&mu);
  ran += (int)got;
  gos_mutex_unlock(&mu);
  CHECK_EQ(gos_chan_recv_dl(empty, &v, gos_now() + MS), GOS_TIMEDOUT);
  CHECK_EQ(gos_chan_send(d, &got), GOS_OK);
  CHECK_EQ(gos_sleep(MS / 10), GOS_OK);
  host_detach(&host, &me);
  return arg;
}
/* Threads of the host that wait on its channels give the lock up meanwhile. */
TEST_RAW(threads_of_the_host) {
  start();
  pthread_t t[3];
  long sum = 0, v;
  c = gos_realm_chan(host.realm, sizeof v, 0), d = gos_realm_chan(host.realm, sizeof v, 0);
  empty = gos_realm_chan(host.realm, sizeof v, 0);
  host.not_alone = true;
  for (int i = 0; i < 3; i++) CHECK_EQ(pthread_create(&t[i], NULL, member, NULL), 0);
  for (v = 1; v <= 100; v++) CHECK_EQ(gos_chan_send(c, &v), GOS_OK);
  CHECK_EQ(gos_chan_close(c), GOS_OK);
  CHECK_EQ(gos_sleep(5 * MS), GOS_OK);
  for (int i = 0; i < 3; i++, sum += v) CHECK_EQ(gos_chan_recv(d, &v), GOS_OK);
  CHECK_EQ(sum, 5050);
  CHECK_EQ(ran, 5050);
  host_state *s = host_release();
  for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
  host_attach(&host, s);
  gos_chan_release(c), gos_chan_release(d), gos_chan_release(empty);
}

static void *not_member(void *arg) {
  gos_chan *x = gos_chan_make(0, 1);
  CHECK_EQ(gos_chan_send(x, NULL), GOS_OK);
  gos_chan_release(x);
  return arg;
}
static void locks(void *arg) {
  for (int i = 0; i < 50; i++) {
    gos_mutex_lock(&mu);
    ran++;
    gos_gosched();
    gos_mutex_unlock(&mu);
  }
  gos_waitgroup_done(arg);
}
TEST_RAW(locks_among_its_goroutines) {
  start();
  gos_waitgroup wg = {0};
  pthread_t t;
  CHECK_EQ(pthread_create(&t, NULL, not_member, NULL), 0);
  CHECK_EQ(gos_waitgroup_add(&wg, 4), GOS_OK);
  for (int i = 0; i < 4; i++) gos_release(go(locks, &wg));
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
  CHECK_EQ(ran, 200);
  host_state *s = host_release();
  pthread_join(t, NULL);
  host_attach(&host, s);
}

static void *late_realm(void *arg) {
  CHECK_EQ(gos_goid(), 0);
  gos_chan *x = gos_chan_make(0, 1);
  CHECK_EQ(gos_chan_send(x, NULL), GOS_OK); /* a foreign thread so far */
  gos_chan_release(x);
  start();
  CHECK(gos_goid() > 0);
  finish(go(steps, NULL));
  CHECK_EQ(ran, 10);
  gos_realm_close(host.realm);
  host_release();
  _exit(0);
  return arg;
}
TEST_RAW(foreign_thread_gets_a_realm) {
  CHECK_EQ(gos_init(NULL), GOS_OK);
  pthread_t t;
  CHECK_EQ(pthread_create(&t, NULL, late_realm, NULL), 0);
  pthread_join(t, NULL);
}

/* ---- ends -------------------------------------------------------------------------------------------- */
static void undo(void *arg) { *(int *)arg += 1; }
static void leaves(void *arg) {
  CHECK_EQ(gos_defer(undo, arg), GOS_OK);
  CHECK_EQ(gos_defer(undo, arg), GOS_OK);
  gos_goexit();
}
TEST_RAW(goexit_runs_the_deferred) {
  start();
  int undone = 0;
  gos_g *g[20];
  for (int i = 0; i < 20; i++) g[i] = go(leaves, &undone);
  gos_chan *done = gos_done(g[0]);
  CHECK_EQ(gos_chan_recv(done, NULL), GOS_CLOSED);
  for (int i = 0; i < 20; i++) finish(g[i]);
  CHECK_EQ(undone, 40);
}

TEST_RAW(start_that_fails_is_told) {
  start();
  gos_g *g[3];
  host.no_fibers = true;
  for (int i = 0; i < 3; i++) g[i] = go(counts, NULL);
  gos_gosched();
  for (int i = 0; i < 3; i++) finish(g[i]);
  CHECK_EQ(ran, 0);
  CHECK_EQ(host.failed_starts, 3);
  host.no_fibers = false;
  finish(go(counts, NULL));
  CHECK_EQ(ran, 1);
}

/* The host cannot make a state for another thread: the blocked goroutine keeps the realm to itself. */
static void *frees(void *arg) {
  while (!host.asked_stuck) usleep(100);
  usleep(5000); /* time for a thread that must not come */
  stop = true;
  return arg;
}
TEST_RAW(no_thread_for_a_hand_off) {
  start();
  pthread_t t;
  host.no_threads = true;
  CHECK_EQ(pthread_create(&t, NULL, frees, NULL), 0);
  gos_g *b = go(blocks_in_host, c = gos_realm_chan(host.realm, sizeof(long), 1)), *g = go(steps, NULL);
  finish(b), finish(g);
  CHECK_EQ(ran, 11);
  CHECK_EQ(host.threads, 1); /* home's */
  pthread_join(t, NULL);
  gos_chan_release(c);
}

TEST_RAW(deadlock_is_told_to_main) {
  start();
  c = gos_realm_chan(host.realm, sizeof(long), 0);
  for (int i = 0; i < 2; i++) {
    CHECK_EQ(gos_chan_recv(c, NULL), GOS_DEADLOCK);
    CHECK_HAS(gos_realm_deadlock(host.realm), "all goroutines are asleep - deadlock!");
    CHECK_HAS(gos_realm_deadlock(host.realm), "goroutine 1 [chan receive]:");
  }
  finish(go(counts, NULL));
  gos_chan_release(c);
}

static void *signals(void *arg) {
  gos_info i;
  while (gos_info_get(gos_realm_main(host.realm), &i, sizeof i), strcmp(i.status, "waiting")) usleep(100);
  host.signal = true;
  return arg;
}
static void signal_in(unsigned flags) {
  pthread_t t;
  int e;
  CHECK(host_start(flags, &e));
  host.not_alone = true;
  c = gos_realm_chan(host.realm, sizeof(long), 0);
  CHECK_EQ(pthread_create(&t, NULL, signals, NULL), 0);
  CHECK_EQ(gos_chan_recv(c, NULL), GOS_AGAIN);
  host.signal = false;
  pthread_join(t, NULL);
  gos_chan_release(c);
}
TEST_RAW(signal_wakes_main) { signal_in(0); }
TEST_RAW(signal_wakes_main_of_a_pinned_realm) { signal_in(GOS_HOST_PINNED); }

static void yields(void *arg) {
  (void)arg;
  while (!stop) gos_gosched();
}
TEST_RAW(signal_reaches_main_of_a_busy_realm) {
  pthread_t t;
  int e;
  CHECK(host_start(GOS_HOST_PINNED, &e));
  c = gos_realm_chan(host.realm, sizeof(long), 0);
  gos_g *g = go(yields, NULL);
  CHECK_EQ(pthread_create(&t, NULL, signals, NULL), 0);
  CHECK_EQ(gos_chan_recv(c, NULL), GOS_AGAIN);
  host.signal = false;
  stop = true;
  finish(g);
  pthread_join(t, NULL);
  gos_chan_release(c);
}

/* The monitor ends main's wait while a goroutine hands it a value: one of them does. */
static void counts_up(void *arg) {
  for (long v = 0; !stop; v++) CHECK_EQ(gos_chan_send(arg, &v), GOS_OK);
  CHECK_EQ(gos_chan_close(arg), GOS_OK);
}
TEST_RAW(signals_while_values_come) {
  int e;
  long v, want = 0, signals = 0;
  CHECK(host_start(GOS_HOST_PINNED, &e));
  c = gos_realm_chan(host.realm, sizeof v, 0);
  gos_g *g = go(counts_up, c);
  host.signal = true;
  while ((e = gos_chan_recv(c, &v)) != GOS_CLOSED) {
    if (e == GOS_OK) {
      CHECK_EQ(v, want++);
    } else {
      CHECK_EQ(e, GOS_AGAIN);
      if (++signals == scaled(100)) stop = true;
    }
  }
  host.signal = false;
  finish(g);
  gos_chan_release(c);
}

/* A pinned realm's hog is not moved, but its host is told. */
static void hogs_until_told(void *arg) {
  (void)arg;
  while (!host.asked_stuck) {}
}
TEST_RAW(pinned_realm_is_told_of_a_hog) {
  int e;
  CHECK(host_start(GOS_HOST_PINNED, &e));
  gos_g *g = go(hogs_until_told, NULL), *other = go(counts, NULL);
  finish(g);
  finish(other);
  CHECK_EQ(ran, 1);
  CHECK_EQ(host.threads, 1);
  gos_realm_close(host.realm);
  int asked = host.asked_stuck;
  usleep(30000);
  CHECK_EQ(host.asked_stuck, asked);
  _exit(0);
}

TEST_RAW(closed_realm_is_left_alone) {
  start();
  stop = false;
  c = gos_realm_chan(host.realm, sizeof(long), 1);
  gos_release(go(blocks_in_host, c)); /* makes a second thread */
  finish(go(steps, NULL));
  gos_realm_close(host.realm);
  host_release();
  stop = true;
  gos_stats s;
  CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
  char text[1 << 12] = "";
  FILE *f = tmpfile();
  CHECK_EQ(gos_dump(fileno(f), 0), GOS_OK);
  CHECK(pread(fileno(f), text, sizeof text - 1, 0) > 0);
  CHECK_HAS(text, "goroutine 1");
  _exit(0);
}
