// ctest: timeout=60
/* A realm of a host that has next to nothing to say: callbacks that are not set are skipped. And realms that begin, end
 * and are closed where it is least convenient.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "host.h"

static gos_realm *realm;
static atomic_long ran;
static void counts(void *arg) { ran += arg ? *(long *)arg : 1; }
static gos_g *go(size_t stack, void (*fn)(void *), void *arg) {
  gos_g *g = NULL;
  CHECK_EQ(gos_realm_go(realm, NULL, stack, fn, arg, &g), GOS_OK);
  return g;
}
static void bare(void) {
  int e = 7;
  gos_host h = {.size = sizeof h, .flags = GOS_HOST_PINNED};
  CHECK((realm = gos_realm_new(&h, &e)));
}

static void leaves(void *arg) {
  CHECK_EQ(gos_defer(counts, arg), GOS_OK);
  gos_goexit();
}
static void echoes(void *arg) {
  long v;
  gos_chan **c = arg;
  while (gos_chan_recv(c[0], &v) == GOS_OK) CHECK_EQ(gos_chan_send(c[1], &(long){v + 1}), GOS_OK);
  CHECK_EQ(gos_chan_close(c[1]), GOS_OK);
}
TEST_RAW(nothing_but_goroutines) {
  long two = 2, v;
  bare();
  for (int i = 0; i < 40; i++)
    finish(go(i % 3 ? 0 : (size_t)32768 << i % 5, i % 2 ? leaves : counts, &two)); /* all sizes */
  CHECK_EQ(ran, 80);
  gos_chan *c[2] = {gos_realm_chan(realm, sizeof(long), 0), gos_realm_chan(realm, sizeof(long), 1)};
  gos_g *g = go(0, echoes, c);
  for (long i = 0; i < 100; i++) {
    CHECK_EQ(gos_chan_send(c[0], &i), GOS_OK);
    CHECK_EQ(gos_chan_recv(c[1], &v), GOS_OK);
    CHECK_EQ(v, i + 1);
  }
  CHECK(gos_g_arg(g) == c);
  gos_chan_close(c[0]);
  CHECK_EQ(gos_chan_recv(c[1], &v), GOS_CLOSED);
  finish(g);
  gos_chan_release(c[0]), gos_chan_release(c[1]);
  CHECK_EQ(gos_sleep(MS), GOS_OK);
  CHECK(gos_realm_free_stacks(realm) > 0);
  CHECK_EQ(gos_lock_os_thread(), GOS_OK); /* it never leaves its thread anyway */
  finish(go(0, counts, &two));
  CHECK_EQ(gos_unlock_os_thread(), GOS_OK);
  CHECK(!gos_g_arg(gos_realm_main(realm)));
  CHECK_EQ(gos_realm_end(realm), GOS_PERM); /* the process's own */
  gos_realm_close(realm);
}

/* It cannot say which threads are its own: they are counted. */
TEST_RAW(alone_without_being_asked) {
  if (TEST_TSAN || !test_counts_threads()) return; /* see init.c */
  bare();
  gos_chan *never = gos_realm_chan(realm, 8, 0);
  CHECK_HAS(gos_realm_deadlock(realm), "all goroutines are asleep"); /* none yet: the plain text */
  CHECK_EQ(gos_chan_recv(never, NULL), GOS_DEADLOCK);
  CHECK_HAS(gos_realm_deadlock(realm), "goroutine ");
  finish(go(0, counts, NULL)); /* life goes on */
  CHECK_EQ(gos_chan_recv(never, NULL), GOS_DEADLOCK);
  gos_chan_release(never);
}

/* A dump has nothing to say about where its goroutines came from. */
static void waits(void *arg) { gos_chan_recv(arg, NULL); }
TEST_RAW(no_site) {
  gos_info i;
  bare();
  gos_chan *c = gos_realm_chan(realm, 8, 0);
  gos_g *g = go(0, waits, c);
  do gos_gosched();
  while (gos_info_get(g, &i, sizeof i), strcmp(i.status, "waiting"));
  CHECK(!strcmp(i.wait_reason, "chan receive"));
  CHECK_EQ(i.site[0], 0);
  gos_chan_close(c);
  finish(g);
  gos_chan_release(c);
}

/* ---- on threads of one's own --------------------------------------------------------------------- */
static void refuses_to_end(void *arg) { CHECK_EQ(gos_realm_end(arg), GOS_PERM); }
static void *ends_anothers(void *arg) {
  CHECK_EQ(gos_realm_end(arg), GOS_PERM);
  return NULL;
}
static void *lives(void *arg) {
  pthread_t t;
  for (int i = 0; i < 3; i++) {
    gos_host h = {.size = sizeof h, .flags = GOS_HOST_PINNED};
    int e = 0;
    gos_realm *r = gos_realm_new(&h, &e);
    gos_g *g;
    CHECK(r);
    if (i == 2) CHECK_EQ(gos_chan_send(arg, NULL), GOS_OK); /* to a channel of C's */
    CHECK_EQ(gos_realm_go(r, "guest", 0, refuses_to_end, r, &g), GOS_OK);
    finish(g);
    CHECK_EQ(pthread_create(&t, NULL, ends_anothers, r), 0);
    pthread_join(t, NULL);
    CHECK_EQ(gos_realm_end(r), GOS_OK);
    CHECK(!gos_self());
  }
  return NULL;
}
TEST(realms_of_threads_that_never_called_in) {
  pthread_t t[3];
  gos_chan *c = gos_chan_make(0, 0);
  for (int i = 0; i < 3; i++) CHECK_EQ(pthread_create(&t[i], NULL, lives, c), 0);
  for (int i = 0; i < 3; i++) CHECK_EQ(gos_chan_recv(c, NULL), GOS_OK);
  for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
  CHECK_EQ(gos_num_goroutine(), 1);
  gos_chan_release(c);
}

/* Its home thread ends without a word, its realm only closed. */
static void *closes(void *arg) {
  int e;
  gos_realm *r = gos_realm_new(&(gos_host){.size = sizeof(gos_host), .flags = GOS_HOST_PINNED}, &e);
  CHECK(r);
  gos_realm_close(r);
  return arg;
}
TEST(a_thread_ends_with_its_realm_closed) {
  for (int i = 0; i < 5; i++) {
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, closes, NULL), 0);
    pthread_join(t, NULL);
  }
  finish(spawn(counts, NULL));
}

/* ---- closed while a thread is on its way to take over --------------------------------------------- */
static atomic_bool at_the_door;
static atomic_int came, left;
static void attach_late(void *u, void *state) {
  at_the_door = true;
  host_attach(u, state);
  came++;
}
static void detach_counted(void *u, void *state) {
  left++;
  host_detach(u, state);
}
static void never_runs(void *arg) { CHECK(arg == &came); /* it is not */ }
static atomic_int sends; /* so many threads the monitor may send, however slow the machine is */
static int stuck_while_any(void *u, void *state, gos_ns age) {
  (void)u, (void)state;
  return age > 0 && sends > 0 && sends-- > 0;
}
static void begin(void) {
  int e;
  host.main.h = &host;
  host_attach(&host, &host.main);
  host.vt = (gos_host){.size = sizeof(gos_host),
                       .u = &host,
                       .main_state = &host.main,
                       .thread_new = host_thread_new,
                       .attach = attach_late,
                       .detach = detach_counted,
                       .fiber_new = host_fiber_new,
                       .fiber_free = host_fiber_free,
                       .swap = host_swap,
                       .stuck = stuck_while_any};
  CHECK((realm = host.realm = gos_realm_new(&host.vt, &e)));
}
/* Main computes until the thread stands before the host's lock, closes the realm, and lets the lock go. */
static void close_at_the_door(void) {
  at_the_door = false;
  int before = left;
  sends = 1;
  gos_release(go(0, never_runs, NULL));
  while (!at_the_door) {}
  gos_realm_close(realm);
  host_state *s = host_release();
  while (left == before) sched_yield(); /* it has found the realm closed */
  CHECK(came > 0);
  host_attach(&host, s); /* the lock is free, and stays ours */
  usleep(2000);
  CHECK(host.cur == s);
  CHECK_EQ(left, before + 1);
  _exit(0);
}
TEST_RAW(closed_as_a_new_thread_comes) {
  begin();
  close_at_the_door();
}
TEST_RAW(closed_as_a_woken_thread_comes) {
  begin();
  sends = 1;
  gos_g *g = go(0, counts, NULL);
  host_state *s = host_release(); /* blocks without a word: another thread takes over */
  while (!ran) sched_yield();
  host_attach(&host, s);
  finish(g); /* main is back on its own thread, the other one sleeps */
  CHECK_EQ(host.threads, 2);
  close_at_the_door();
}

/* ---- a thread of the host waits, and the host has a signal for it ----------------------------------- */
static gos_chan *empty;
static atomic_int waiting;
static atomic_long seen;
static void handled(int sig) { (void)sig, seen++; }
static void *waits_as_a_guest(void *arg) {
  static host_state state;
  state.h = &host;
  host_attach(&host, &state);
  CHECK_EQ(gos_realm_enter(host.realm, &state), GOS_OK);
  CHECK_EQ(gos_realm_enter(host.realm, &state), GOS_OK); /* again: nothing new */
  waiting = 1;
  int e = gos_chan_recv(empty, NULL);
  CHECK_EQ(e, GOS_AGAIN);
  CHECK(host.cur == &state);
  host.signal = false;
  host_detach(&host, &state);
  waiting = 2;
  return arg;
}
TEST_RAW(a_signal_for_a_thread_of_the_host) {
  pthread_t t;
  int e;
  struct sigaction a = {.sa_handler = handled};
  sigaction(SIGUSR1, &a, NULL);
  CHECK(host_start(0, &e));
  host.not_alone = true;
  empty = gos_realm_chan(host.realm, 8, 0);
  CHECK_EQ(pthread_create(&t, NULL, waits_as_a_guest, NULL), 0);
  host_state *s = host_release();
  while (waiting < 1) sched_yield();
  while (waiting < 2) { /* a signal without news is none; with news it ends the wait */
    if (seen > 3) host.signal = true;
    pthread_kill(t, SIGUSR1);
    usleep(100);
  }
  pthread_join(t, NULL);
  host_attach(&host, s);
  gos_chan_release(empty);
}
