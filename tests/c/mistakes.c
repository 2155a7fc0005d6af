// ctest: timeout=60
/* A caller's mistakes: a clear error, nothing changes, and nothing breaks. Every public call that takes a pointer gets
 * none, every number one that is out of range.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <errno.h>
#include <gossamer/host.h>
#include <gossamer/net.h>
#include <math.h>
#include <pthread.h>
#include <sys/socket.h>

static void body(void *arg) { (void)arg; }
static int returns(void *arg) { return (int)(intptr_t)arg; }
static int makes(void *arg, void **val) { return *val = arg, 0; }

/* ---- goroutines --------------------------------------------------------------------------------- */
TEST(goroutines) {
  int e = 1, before = gos_num_goroutine();
  void *ret = &e;
  CHECK_EQ(gos_go(NULL, NULL), GOS_INVAL);
  CHECK(!gos_go_opts(NULL, NULL, NULL, &e));
  CHECK_EQ(e, GOS_INVAL);
  CHECK(!gos_go_opts(&(gos_go_options){.size = sizeof(gos_go_options) - 1}, body, NULL, &e));
  CHECK_EQ(e, GOS_INVAL);
  CHECK(!gos_go_opts(&(gos_go_options){.size = sizeof(gos_go_options), .stack = SIZE_MAX}, body, NULL, NULL));
  CHECK_EQ(gos_join(NULL, GOS_FOREVER), GOS_INVAL);
  CHECK_EQ(gos_join_ctx(NULL, NULL), GOS_INVAL);
  CHECK_EQ(gos_interrupt(NULL), GOS_INVAL);
  CHECK(!gos_done(NULL));
  gos_release(NULL);
  CHECK_EQ(gos_defer(NULL, NULL), GOS_INVAL);
  CHECK_EQ(gos_blocking(NULL, NULL, &ret), GOS_INVAL);
  CHECK(ret == &e);
  CHECK_EQ(gos_set_label(NULL, "v"), GOS_INVAL);
  CHECK_EQ(gos_set_label("", "v"), GOS_INVAL);
  CHECK(!gos_label(NULL));
  CHECK(!gos_label("never set"));
  CHECK_EQ(gos_set_label("never set", NULL), GOS_OK);
  CHECK_EQ(gos_set_name(NULL), GOS_OK);
  CHECK_EQ(gos_set_name(""), GOS_OK);
  CHECK_EQ(gos_main(NULL, 0, NULL), GOS_INVAL);
  CHECK_EQ(gos_init(NULL), GOS_PERM);
  CHECK_EQ(gos_gomaxprocs(0), test_procs);
  CHECK_EQ(gos_gomaxprocs(-7), test_procs);
  int threads = gos_set_max_threads(0);
  CHECK(threads > 0);
  CHECK_EQ(gos_set_max_threads(-1), threads);
  CHECK_EQ(gos_freeze(-1), GOS_INVAL);
  CHECK_EQ(gos_unlock_os_thread(), GOS_OK);
  CHECK_EQ(gos_num_goroutine(), before);
}

TEST(looking) {
  gos_info i;
  gos_stats s;
  gos_g *g = spawn(body, NULL);
  CHECK_EQ(gos_info_get(NULL, &i, sizeof i), GOS_INVAL);
  CHECK_EQ(gos_info_get(g, NULL, sizeof i), GOS_INVAL);
  CHECK_EQ(gos_info_get(g, &i, sizeof i - 1), GOS_INVAL);
  CHECK_EQ(gos_foreach(NULL, NULL), GOS_INVAL);
  CHECK_EQ(gos_stats_get(NULL, sizeof s), GOS_INVAL);
  CHECK_EQ(gos_stats_get(&s, sizeof s + 8), GOS_INVAL);
  CHECK_EQ(gos_dump(1, 77), GOS_INVAL);
  CHECK_EQ(gos_dump(-1, 0), GOS_SYS(EBADF));
  CHECK_HAS(gos_strerror(12345), "unknown");
  CHECK_HAS(gos_strerror(-999), "unknown");
  CHECK(strlen(gos_strerror(GOS_SYS(ENOENT))) > 0);
  CHECK_HAS(gos_strerror(GOS_SYS(4000)), "unknown"); /* of no system */
  CHECK_HAS(gos_strerror(INT32_MIN), "unknown");
  finish(g);
}

/* Before anything was started: nothing to see, and looking starts nothing. */
TEST_RAW(looking_before_the_start) {
  gos_stats s;
  CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
  CHECK_EQ(s.goroutines, 0);
  CHECK_EQ(s.threads, 0);
  CHECK_EQ(gos_goid(), 0);
  CHECK(!gos_self());
  CHECK(!gos_g_local_get(0));
  CHECK_EQ(gos_num_goroutine(), 0);
}

/* What goroutines only may do, on a thread that is none. */
static void *foreign(void *arg) {
  CHECK_EQ(gos_defer(body, arg), GOS_PERM);
  CHECK_EQ(gos_goid(), 0);
  CHECK(!gos_self());
  CHECK_EQ(gos_lock_os_thread(), GOS_OK);
  CHECK_EQ(gos_unlock_os_thread(), GOS_OK);
  gos_gosched();
  CHECK_EQ(gos_sleep(-1), GOS_OK);
  return arg;
}
TEST(on_a_foreign_thread) {
  pthread_t t;
  CHECK_EQ(pthread_create(&t, NULL, foreign, NULL), 0);
  pthread_join(t, NULL);
}

/* ---- channels, select, time ------------------------------------------------------------------------ */
TEST(channels) {
  CHECK_EQ(gos_chan_close(NULL), GOS_INVAL);
  gos_chan_set_dtor(NULL, body);
  gos_chan_release(NULL);
  CHECK(!gos_chan_retain(NULL));
  CHECK(!gos_chan_make(SIZE_MAX, 2));
  CHECK(!gos_chan_make(2, SIZE_MAX));
  CHECK(!gos_chan_make((size_t)1 << 40, (size_t)1 << 40));
  CHECK(!gos_chan_confined(NULL));
  CHECK_EQ(gos_chan_each(NULL, NULL, NULL), 0);
  CHECK_EQ(gos_chan_buffered(NULL, NULL, NULL), 0);
  gos_chan *c = gos_chan_make(4, 1);
  CHECK_EQ(gos_chan_each(c, NULL, NULL), 0); /* not confined: nothing to walk */
  gos_chan_release(c);
}

TEST(selects) {
  gos_case k[2] = {GOS_RECV(NULL, NULL), {77, NULL, NULL, 0}};
  CHECK_EQ(gos_select(NULL, 1, GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_select(k, -1, GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_select(k, 1 << 20, GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_select(k, 2, GOS_NOW), GOS_INVAL);
  k[1].op = -1;
  CHECK_EQ(gos_select(k, 2, GOS_FOREVER), GOS_INVAL);
  k[1].op = 3; /* a file descriptor, for nothing */
  CHECK_EQ(gos_select_ordered(k, 2, GOS_FOREVER), GOS_INVAL);
  CHECK_EQ(gos_select(k, 1, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_select(NULL, 0, GOS_NOW), GOS_WOULDBLOCK);
  gos_case none = {0, NULL, NULL, 0};
  CHECK_EQ(gos_select(&none, 1, GOS_NOW), GOS_WOULDBLOCK);
  gos_case fd = GOS_FD(-1, GOS_READ);
  CHECK_EQ(gos_select(&fd, 1, GOS_NOW), GOS_SYS(EBADF));
  gos_case many[12];
  for (int i = 0; i < 12; i++) many[i] = (gos_case)GOS_FD(i == 7 ? 1000000 : 0, GOS_WRITE);
  CHECK_EQ(gos_select(many, 12, gos_now() + MS), GOS_SYS(EBADF));
}

TEST(timers) {
  CHECK(!gos_ticker_new(0));
  CHECK(!gos_ticker_new(INT64_MIN));
  CHECK(!gos_after_func(1, NULL, NULL));
  CHECK(!gos_timer_c(NULL));
  CHECK_EQ(gos_timer_stop(NULL), GOS_INVAL);
  CHECK_EQ(gos_timer_reset(NULL, 1), GOS_INVAL);
  gos_timer_free(NULL);
  gos_timer *t = gos_ticker_new(3600000 * MS);
  CHECK_EQ(gos_timer_reset(t, 0), GOS_INVAL);
  CHECK_EQ(gos_timer_reset(t, -MS), GOS_INVAL);
  CHECK_EQ(gos_timer_stop(t), 1); /* it was still pending */
  gos_timer_free(t);
  CHECK_EQ(gos_sleep(INT64_MIN), GOS_OK);
}

/* ---- sync --------------------------------------------------------------------------------------------- */
TEST(locks) {
  gos_mutex mu = {0, 0};
  gos_rwmutex rw = {0};
  gos_waitgroup wg = {0};
  gos_cond c = {0};
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_PERM);
  CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_PERM);
  CHECK_EQ(gos_rwmutex_runlock(&rw), GOS_PERM);
  CHECK_EQ(gos_cond_wait(&c, &mu), GOS_PERM);
  CHECK_EQ(gos_cond_wait_rw(&c, &rw, GOS_FOREVER), GOS_PERM);
  CHECK_EQ(gos_cond_wait_r(&c, &rw, GOS_FOREVER), GOS_PERM);
  CHECK_EQ(gos_waitgroup_go(&wg, NULL, NULL), GOS_INVAL);
  CHECK_EQ(gos_waitgroup_add(&wg, INT64_MAX), GOS_INVAL);
  CHECK_EQ(gos_waitgroup_add(&wg, INT64_MIN), GOS_INVAL);
  CHECK_EQ(gos_waitgroup_done(&wg), GOS_INVAL);
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
  CHECK_EQ(gos_mutex_trylock(&mu), GOS_OK); /* as if nothing had happened */
  CHECK_EQ(gos_rwmutex_trylock(&rw), GOS_OK);
  CHECK_EQ(gos_cond_wait_r(&c, &rw, GOS_FOREVER), GOS_PERM); /* held, but not for reading */
  CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_OK);
}

static uint64_t hash(void *u, const void *k, uint64_t seed) { return (void)u, (void)k, seed; }
static bool equal(void *u, const void *a, const void *b) { return (void)u, a == b; }
TEST(maps_and_pools) {
  gos_map_ops ops = {.size = sizeof ops - 1, .hash = hash, .equal = equal};
  void *v = &ops;
  CHECK(!gos_map_new(&ops));
  ops.size = sizeof ops, ops.hash = NULL;
  CHECK(!gos_map_new(&ops));
  CHECK_EQ(gos_map_load(NULL, "k", &v), GOS_INVAL);
  CHECK(!v);
  CHECK_EQ(gos_map_load(NULL, "k", NULL), GOS_INVAL);
  CHECK_EQ(gos_map_store(NULL, "k", "v"), GOS_INVAL);
  CHECK_EQ(gos_map_load_or_store(NULL, "k", "v", &v), GOS_INVAL);
  CHECK_EQ(gos_map_load_and_delete(NULL, "k", &v), GOS_INVAL);
  CHECK_EQ(gos_map_delete(NULL, "k"), GOS_INVAL);
  CHECK_EQ(gos_map_swap(NULL, "k", "v", &v), GOS_INVAL);
  CHECK_EQ(gos_map_compare_and_swap(NULL, "k", "v", "w"), GOS_INVAL);
  CHECK_EQ(gos_map_compare_and_delete(NULL, "k", "v"), GOS_INVAL);
  gos_map_range(NULL, NULL, NULL);
  gos_map_clear(NULL);
  CHECK_EQ(gos_map_len(NULL), 0);
  gos_map_free(NULL);
  gos_map *m = gos_map_new(NULL);
  gos_map_range(m, NULL, NULL);
  CHECK_EQ(gos_map_load_or_store(m, &ops, "v", NULL), 0); /* what is there is not asked for */
  CHECK_EQ(gos_map_load_or_store(m, &ops, "w", NULL), 1);
  gos_map_free(m);
  CHECK(!gos_pool_get(NULL));
  gos_pool_put(NULL, &v);
  gos_pool_free(NULL);
  gos_pool *p = gos_pool_new(NULL, NULL, NULL);
  gos_pool_put(p, NULL);
  CHECK(!gos_pool_get(p));
  gos_pool_free(p);
}

/* ---- what is built on top --------------------------------------------------------------------------------- */
TEST(groups_and_semaphores) {
  int errs[2] = {5, 5};
  CHECK_EQ(gos_errgroup_go(NULL, returns, NULL), GOS_INVAL);
  CHECK_EQ(gos_errgroup_try_go(NULL, returns, NULL), GOS_INVAL);
  CHECK_EQ(gos_errgroup_go_ctx(NULL, returns, NULL, NULL), GOS_INVAL);
  CHECK_EQ(gos_errgroup_set_limit(NULL, 1), GOS_INVAL);
  CHECK_EQ(gos_errgroup_wait(NULL), GOS_INVAL);
  CHECK_EQ(gos_errgroup_wait_dl(NULL, GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_errgroup_wait_ctx(NULL, NULL), GOS_INVAL);
  CHECK_EQ(gos_errgroup_errors(NULL, errs, 2), 0);
  CHECK_EQ(errs[0], 5);
  CHECK(!gos_errgroup_ctx(NULL));
  gos_errgroup_free(NULL);
  gos_errgroup *g = gos_errgroup_new(NULL);
  CHECK_EQ(gos_errgroup_try_go(g, NULL, NULL), GOS_INVAL);
  CHECK_EQ(gos_errgroup_wait(g), GOS_OK);
  gos_errgroup_free(g);
  CHECK(!gos_sem_new(-1));
  CHECK_EQ(gos_sem_acquire(NULL, 1), GOS_INVAL);
  CHECK_EQ(gos_sem_acquire_dl(NULL, 1, GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_sem_acquire_ctx(NULL, 1, NULL), GOS_INVAL);
  CHECK_EQ(gos_sem_try_acquire(NULL, 1), GOS_INVAL);
  CHECK_EQ(gos_sem_release(NULL, 1), GOS_INVAL);
  gos_sem_free(NULL);
}

TEST(flights) {
  void *val = &val;
  gos_flight *f = gos_flight_new();
  CHECK_EQ(gos_flight_do(NULL, "k", makes, NULL, &val, NULL), GOS_INVAL);
  CHECK_EQ(gos_flight_do(f, NULL, makes, NULL, &val, NULL), GOS_INVAL);
  CHECK_EQ(gos_flight_do(f, "k", NULL, NULL, &val, NULL), GOS_INVAL);
  CHECK_EQ(gos_flight_do_ctx(f, "k", NULL, NULL, NULL, NULL, NULL), GOS_INVAL);
  CHECK(!gos_flight_do_chan(NULL, "k", makes, NULL));
  CHECK(!gos_flight_do_chan(f, NULL, makes, NULL));
  CHECK(!gos_flight_do_chan(f, "k", NULL, NULL));
  gos_flight_forget(NULL, "k");
  gos_flight_forget(f, NULL);
  gos_flight_forget(f, "never asked for");
  CHECK_EQ(gos_flight_do(f, "k", makes, f, NULL, NULL), 0); /* nobody wants the value */
  gos_flight_free(f);
  gos_flight_free(NULL);
}

TEST(limiters) {
  gos_reservation r = {0};
  CHECK(!gos_limiter_new(NAN, 1));
  CHECK_EQ(gos_limiter_allow(NULL, 1), 0);
  CHECK_EQ(gos_limiter_reserve(NULL, 1, &r), GOS_INVAL);
  CHECK_EQ(gos_limiter_wait(NULL, 1), GOS_INVAL);
  CHECK_EQ(gos_limiter_wait_ctx(NULL, 1, NULL), GOS_INVAL);
  CHECK_EQ(gos_limiter_set_limit(NULL, 1), GOS_INVAL);
  CHECK_EQ(gos_limiter_set_burst(NULL, 1), GOS_INVAL);
  CHECK(gos_limiter_limit(NULL) == 0);
  CHECK_EQ(gos_limiter_burst(NULL), 0);
  CHECK(gos_limiter_tokens(NULL) == 0);
  gos_reservation_cancel(NULL);
  gos_reservation_cancel(&r); /* never made */
  gos_limiter_free(NULL);
  gos_limiter *l = gos_limiter_new(10, -3); /* no burst: nothing may happen */
  CHECK_EQ(gos_limiter_burst(l), 0);
  CHECK_EQ(gos_limiter_allow(l, 1), 0);
  CHECK_EQ(gos_limiter_allow(l, -1), 0);
  CHECK_EQ(gos_limiter_reserve(l, -1, &r), GOS_INVAL);
  CHECK_EQ(gos_limiter_reserve(l, 1, NULL), GOS_INVAL);
  CHECK_EQ(gos_limiter_wait(l, -1), GOS_INVAL);
  CHECK_EQ(gos_limiter_wait(l, 1), GOS_INVAL); /* more than the burst */
  CHECK_EQ(gos_limiter_set_limit(l, NAN), GOS_INVAL);
  CHECK(gos_limiter_limit(l) == 10);
  CHECK_EQ(gos_limiter_set_burst(l, -5), GOS_OK);
  CHECK_EQ(gos_limiter_burst(l), 0);
  gos_limiter_free(l);
}

TEST(contexts) {
  gos_ns t = 5;
  void *stop = NULL;
  CHECK(!gos_with_value(NULL, NULL, "v"));
  CHECK_EQ(gos_ctx_err(NULL), GOS_OK);
  CHECK_EQ(gos_ctx_cause(NULL), GOS_OK);
  CHECK(!gos_ctx_cause_data(NULL));
  CHECK(!gos_ctx_origin(NULL));
  CHECK(!gos_ctx_done(NULL));
  CHECK(!gos_ctx_value(NULL, "k"));
  CHECK_EQ(gos_ctx_deadline(NULL, &t), 0);
  CHECK_EQ(t, GOS_FOREVER);
  CHECK_EQ(gos_ctx_deadline(NULL, NULL), 0);
  CHECK(!gos_ctx_retain(NULL));
  gos_ctx_release(NULL);
  gos_cancel(NULL, 3);
  gos_cancel(gos_background(), 3);
  CHECK_EQ(gos_ctx_err(gos_background()), GOS_OK);
  CHECK_EQ(gos_ctx_after_func(gos_background(), NULL, NULL, &stop), GOS_INVAL);
  gos_ctx *x = gos_with_cancel(NULL), *y = gos_without_cancel(NULL), *z = gos_merge(NULL, x);
  gos_cancel(y, 1); /* no scope of its own */
  CHECK_EQ(gos_ctx_err(y), GOS_OK);
  CHECK_EQ(gos_ctx_after_func(x, NULL, NULL, &stop), GOS_INVAL);
  CHECK(!gos_signal_ctx(x, (int[]){SIGKILL}, 1, NULL)); /* cannot be caught, and nobody asks why */
  gos_cancel(x, 4);
  CHECK_EQ(gos_ctx_cause(z), 4);
  gos_ctx_release(x), gos_ctx_release(y), gos_ctx_release(z);
}

/* ---- file descriptors and names ------------------------------------------------------------------------------ */
TEST(descriptors) {
  char byte = 0;
  gos_addr a = {0};
  int p[2], closed;
  CHECK_EQ(gos_pipe(p), GOS_OK);
  closed = p[1];
  CHECK_EQ(gos_close(closed), GOS_OK);
  CHECK_EQ(gos_fd_wait(p[0], 0, GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_fd_wait(p[0], 4, GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_fd_wait(-1, GOS_READ, GOS_NOW), GOS_SYS(EBADF));
  CHECK_EQ(gos_fd_wait(INT32_MAX, GOS_READ, GOS_NOW), GOS_NOMEM); /* no table is that long */
  CHECK_EQ(gos_fd_wait(closed, GOS_READ, GOS_FOREVER), GOS_SYS(EBADF));
  CHECK_EQ(gos_fd_forget(-1), GOS_SYS(EBADF));
  CHECK_EQ(gos_close(-1), GOS_SYS(EBADF));
  CHECK_EQ(gos_close(closed), GOS_SYS(EBADF));
  CHECK_EQ(gos_close(INT32_MAX), GOS_SYS(EBADF));
  CHECK_EQ(gos_read(-1, &byte, 1, GOS_FOREVER), GOS_SYS(EBADF));
  CHECK_EQ(gos_read(closed, &byte, 1, GOS_FOREVER), GOS_SYS(EBADF));
  CHECK_EQ(gos_write(closed, &byte, 1, GOS_FOREVER), GOS_SYS(EBADF));
  CHECK_EQ(gos_write(p[0], &byte, SIZE_MAX, GOS_FOREVER), GOS_INVAL);
  CHECK_EQ(gos_write(p[0], &byte, 1, GOS_FOREVER), GOS_SYS(EBADF)); /* the end to read from */
  CHECK_EQ(gos_read(p[0], &byte, 0, GOS_FOREVER), 0);
  CHECK_EQ(gos_recvfrom(p[0], &byte, 1, NULL, GOS_NOW), GOS_SYS(ENOTSOCK));
  CHECK_EQ(gos_sendto(p[0], &byte, 1, NULL, GOS_NOW), GOS_SYS(ENOTSOCK));
  CHECK_EQ(gos_accept(p[0], GOS_NOW), GOS_SYS(ENOTSOCK));
  CHECK_EQ(gos_accept(-1, GOS_NOW), GOS_SYS(EBADF));
  CHECK_EQ(gos_shutdown(p[0], 3), GOS_INVAL);
  CHECK_EQ(gos_shutdown(p[0], -1), GOS_INVAL);
  CHECK_EQ(gos_shutdown(p[0], 0), GOS_SYS(ENOTSOCK));
  CHECK_EQ(gos_local_addr(p[0], &a), GOS_SYS(ENOTSOCK));
  CHECK_EQ(gos_peer_addr(p[0], NULL), GOS_INVAL);
  CHECK_EQ(gos_local_port(p[0]), GOS_SYS(ENOTSOCK));
  CHECK_EQ(gos_pipe(NULL), GOS_INVAL);
  CHECK_EQ(gos_socketpair("tcp", p), GOS_INVAL);
  CHECK_EQ(gos_socketpair("nothing", p), GOS_INVAL);
  CHECK_EQ(gos_socketpair("unix", NULL), GOS_INVAL);
  CHECK_EQ(gos_close(p[0]), GOS_OK);
}

TEST(addresses) {
  static const char *const bad[] = {"no port", "::1:80", "[::1]80", "[::1:80", "host:not a number"};
  char longest[400], buf[64], tiny[4];
  gos_addr a;
  int s[2];
  memset(longest, 'x', sizeof longest - 1);
  longest[sizeof longest - 1] = 0;
  for (int i = 0; i < 5; i++) {
    CHECK(gos_dial("tcp", bad[i], gos_now() + 1000 * MS) < 0);
    CHECK(gos_listen("tcp", bad[i], 0) < 0);
  }
  memcpy(longest + 300, ":80", 4);
  CHECK_EQ(gos_dial("tcp", longest, GOS_NOW), GOS_INVAL); /* a host of 300 letters */
  memcpy(longest + 1, ":", 1);
  CHECK_EQ(gos_dial("tcp", longest, GOS_NOW), GOS_INVAL); /* two colons, no brackets */
  memset(longest, '1', 200), longest[0] = ':', longest[200] = 0;
  CHECK_EQ(gos_listen("tcp", longest, 0), GOS_INVAL); /* a port of 199 digits */
  CHECK_EQ(gos_dial(NULL, "localhost:1", GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_dial("tcp5", "localhost:1", GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_dial("tcp", NULL, GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_dial("unix", "", GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_dial("unix", longest, GOS_NOW), GOS_INVAL); /* longer than a path may be */
  CHECK_EQ(gos_dial("unix", "/there/is/nothing", GOS_NOW), GOS_SYS(ENOENT));
  CHECK_EQ(gos_listen("tcp", "127.0.0.1:0", -1), GOS_INVAL);
  CHECK_EQ(gos_listen("nothing", "127.0.0.1:0", 0), GOS_INVAL);
  CHECK_EQ(gos_listen("unix", NULL, 0), GOS_INVAL);
  CHECK_EQ(gos_listen("unix", "", 0), GOS_INVAL);
  CHECK_EQ(gos_lookup("tcp", NULL, &a, 1, GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_lookup("tcp", "localhost:80", NULL, 1, GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_lookup("tcp", "localhost:80", &a, 0, GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_lookup("unix", "/a/path", &a, 1, GOS_NOW), 1);
  CHECK_EQ(gos_lookup("unix", "", &a, 1, GOS_NOW), GOS_INVAL);
  CHECK_EQ(gos_resolve("tcp", "[::1]:443", &a, GOS_NOW), GOS_OK);
  CHECK_EQ(gos_addr_text(&a, buf, sizeof buf), 9);
  CHECK(!strcmp(buf, "[::1]:443"));
  CHECK_EQ(gos_addr_text(&a, tiny, sizeof tiny), GOS_INVAL);
  CHECK_EQ(gos_addr_text(NULL, buf, sizeof buf), GOS_INVAL);
  CHECK_EQ(gos_addr_text(&a, NULL, sizeof buf), GOS_INVAL);
  a.len = 4000;
  CHECK_EQ(gos_addr_text(&a, buf, sizeof buf), GOS_INVAL);
  memset(&a, 0, sizeof a);
  a.len = 16; /* of no family */
  CHECK_EQ(gos_addr_text(&a, buf, sizeof buf), GOS_INVAL);
  a.len = 0;
  CHECK_EQ(gos_addr_text(&a, buf, sizeof buf), GOS_INVAL);
  CHECK_EQ(gos_resolve("unix", "/some/path", &a, GOS_NOW), GOS_OK);
  CHECK_EQ(gos_addr_text(&a, buf, sizeof buf), 10);
  CHECK(!strcmp(buf, "/some/path"));
  CHECK_EQ(gos_resolve("unix", "@abstract", &a, GOS_NOW), GOS_OK);
  CHECK_EQ(gos_addr_text(&a, buf, sizeof buf), 9);
  CHECK(!strcmp(buf, "@abstract"));
  CHECK_EQ(gos_socketpair("unix", s), GOS_OK); /* has no name */
  CHECK_EQ(gos_local_addr(s[0], &a), GOS_OK);
  CHECK_EQ(gos_addr_text(&a, buf, sizeof buf), 0);
  CHECK_EQ(gos_local_port(s[0]), GOS_INVAL);
  gos_close(s[0]), gos_close(s[1]);
}

TEST(signals) {
  int bad[] = {0, -1, 65, SIGKILL, SIGSTOP, SIGSEGV}, fine = SIGUSR1;
  gos_chan *c = gos_chan_make(sizeof(int), 1), *wide = gos_chan_make(8, 1);
  for (int i = 0; i < 6; i++) {
    CHECK_EQ(gos_signal_notify(c, &bad[i], 1), GOS_INVAL);
    CHECK_EQ(gos_signal_stop_some(c, &bad[i], 1), GOS_INVAL);
    CHECK_EQ(gos_signal_ignore(&bad[i], 1), GOS_INVAL);
    CHECK_EQ(gos_signal_reset(&bad[i], 1), GOS_INVAL);
    if (bad[i] < 1 || bad[i] > 64) CHECK_EQ(gos_signal_ignored(bad[i]), GOS_INVAL);
  }
  CHECK_EQ(gos_signal_notify(NULL, &fine, 1), GOS_INVAL);
  CHECK_EQ(gos_signal_notify(wide, &fine, 1), GOS_INVAL);
  CHECK_EQ(gos_signal_notify(c, NULL, 1), GOS_INVAL);
  CHECK_EQ(gos_signal_notify(c, &fine, -1), GOS_INVAL);
  CHECK_EQ(gos_signal_stop(NULL), GOS_INVAL);
  CHECK_EQ(gos_signal_stop_some(NULL, &fine, 1), GOS_INVAL);
  CHECK_EQ(gos_signal_stop(c), GOS_OK); /* never notified */
  CHECK(signal(SIGUSR1, SIG_DFL) == SIG_DFL);
  gos_chan_release(c), gos_chan_release(wide);
}

/* ---- for bindings --------------------------------------------------------------------------------------------- */
TEST(host) {
  int e = 0;
  gos_host h = {.size = sizeof h - 1};
  CHECK(!gos_realm_new(NULL, &e));
  CHECK_EQ(e, GOS_INVAL);
  CHECK(!gos_realm_new(&h, NULL));
  h.size = sizeof h;
  CHECK(!gos_realm_new(&h, &e)); /* this thread already runs goroutines of C's own */
  CHECK_EQ(e, GOS_PERM);
  CHECK_EQ(gos_host_thread("t", 0, NULL, NULL), GOS_INVAL);
  CHECK_EQ(gos_g_local_set(-1, &e), GOS_INVAL);
  CHECK_EQ(gos_g_local_set(GOS_G_LOCALS, &e), GOS_INVAL);
  CHECK(!gos_g_local_get(-1));
  CHECK(!gos_g_local_get(GOS_G_LOCALS));
  CHECK_EQ(gos_g_local_set(0, NULL), GOS_OK); /* it has none, and needs no memory to have none */
  CHECK(!gos_g_local_get(0));
  gos_ctx *x = gos_with_cancel(NULL);
  void *stop;
  CHECK_EQ(gos_realm_ctx_after_func(NULL, x, NULL, NULL, &stop), GOS_INVAL);
  CHECK_EQ(gos_realm_ctx_after_func(NULL, x, body, NULL, NULL), GOS_INVAL);
  CHECK(!gos_realm_after_func(NULL, 1, NULL, NULL));
  gos_ctx_release(x);
}

TEST_RAW(a_stack_for_a_realm_that_is_too_large) {
  int e = 0;
  CHECK(!gos_realm_new(&(gos_host){.size = sizeof(gos_host), .stack = SIZE_MAX}, &e));
  CHECK_EQ(e, GOS_INVAL);
}
