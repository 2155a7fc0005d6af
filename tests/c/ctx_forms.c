// ctest: timeout=60
/* Every call that obeys a context, in each of the cases there are: no context, one that never ends, one that lives
 * while the call can be done at once, one that ended before. What is not done leaves no trace. The waits themselves are
 * in ctx_wait.c and ctx_calls.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <gossamer/net.h>

static struct {
  gos_chan *c;
  gos_mutex mu;
  gos_rwmutex rw;
  gos_waitgroup wg;
  gos_cond cond;
  gos_once once;
  gos_sem *sem;
  gos_errgroup *group;
  gos_flight *flight;
  gos_limiter *limiter;
  int p[2], s[2], l;
  char address[64];
  int ran;
} w;

static void counts(void *arg) { (void)arg, w.ran++; }
static int counts_err(void *arg) { return counts(arg), 0; }
static int counts_val(void *arg, void **val) { return *val = arg, counts(arg), 0; }
static void ends(void *arg) { (void)arg; }

/* Each does its call so that it can be done at once, takes back what it did, and gives the call's result. */
static int64_t send(gos_ctx *x) {
  int e = gos_chan_send_ctx(w.c, &(int){4}, x);
  CHECK_EQ(gos_chan_len(w.c), e == GOS_OK);
  if (!e) CHECK_EQ(gos_chan_recv(w.c, NULL), GOS_OK);
  return e;
}
static int64_t receive(gos_ctx *x) {
  int v = 0;
  CHECK_EQ(gos_chan_send(w.c, &(int){9}), GOS_OK);
  int e = gos_chan_recv_ctx(w.c, &v, x);
  CHECK_EQ(v, e == GOS_OK ? 9 : 0);
  if (e) CHECK_EQ(gos_chan_recv(w.c, NULL), GOS_OK);
  return e;
}
static int64_t select_one(gos_ctx *x, int (*f)(gos_case *, int, gos_ctx *)) {
  int v = 0;
  gos_case k[] = {GOS_RECV(NULL, NULL), GOS_RECV(w.c, &v)};
  CHECK_EQ(gos_chan_send(w.c, &(int){6}), GOS_OK);
  int e = f(k, 2, x);
  if (e < 0) {
    CHECK_EQ(gos_chan_recv(w.c, NULL), GOS_OK);
    return e;
  }
  CHECK_EQ(e, 1);
  CHECK_EQ(v, 6);
  return GOS_OK;
}
static int64_t select_any(gos_ctx *x) { return select_one(x, gos_select_ctx); }
static int64_t select_ordered(gos_ctx *x) { return select_one(x, gos_select_ordered_ctx); }
static int64_t sleeps(gos_ctx *x) { return gos_sleep_ctx(1, x); }
static int64_t join(gos_ctx *x) {
  gos_g *g = spawn(ends, NULL);
  CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
  int e = gos_join_ctx(g, x);
  gos_release(g);
  return e;
}
static int64_t fd_wait(gos_ctx *x) {
  int e = gos_fd_wait_ctx(w.p[1], GOS_WRITE, x);
  return e == GOS_WRITE ? GOS_OK : e;
}
static int64_t lock(gos_ctx *x) {
  int e = gos_mutex_lock_ctx(&w.mu, x);
  CHECK_EQ(gos_mutex_unlock(&w.mu), e ? GOS_PERM : GOS_OK);
  return e;
}
static int64_t write_lock(gos_ctx *x) {
  int e = gos_rwmutex_lock_ctx(&w.rw, x);
  CHECK_EQ(gos_rwmutex_unlock(&w.rw), e ? GOS_PERM : GOS_OK);
  return e;
}
static int64_t read_lock(gos_ctx *x) {
  int e = gos_rwmutex_rlock_ctx(&w.rw, x);
  CHECK_EQ(gos_rwmutex_runlock(&w.rw), e ? GOS_PERM : GOS_OK);
  return e;
}
static int64_t group_of_none(gos_ctx *x) { return gos_waitgroup_wait_ctx(&w.wg, x); }
static int64_t once(gos_ctx *x) {
  w.once = (gos_once){0};
  int before = w.ran, e = gos_once_do_ctx(&w.once, counts, NULL, x);
  CHECK_EQ(w.ran, before + (e == GOS_OK));
  return e;
}
static int64_t semaphore(gos_ctx *x) {
  int e = gos_sem_acquire_ctx(w.sem, 2, x);
  CHECK_EQ(gos_sem_release(w.sem, 2), e ? GOS_PERM : GOS_OK);
  return e;
}
static int64_t group_go(gos_ctx *x) {
  int before = w.ran, e = gos_errgroup_go_ctx(w.group, counts_err, NULL, x);
  CHECK_EQ(gos_errgroup_wait(w.group), GOS_OK);
  CHECK_EQ(w.ran, before + (e == GOS_OK));
  return e;
}
static int64_t group_wait(gos_ctx *x) { return gos_errgroup_wait_ctx(w.group, x); }
static int64_t flight(gos_ctx *x) {
  void *val = NULL;
  int before = w.ran, e = gos_flight_do_ctx(w.flight, "key", counts_val, &w, &val, NULL, x);
  CHECK_EQ(w.ran, before + (e == GOS_OK));
  CHECK(val == (e ? NULL : &w));
  return e;
}
static int64_t limiter(gos_ctx *x) { return gos_limiter_wait_ctx(w.limiter, 1, x); }
static int64_t reads(gos_ctx *x) {
  char byte = 0;
  CHECK_EQ(gos_write(w.p[1], "r", 1, GOS_FOREVER), 1);
  int64_t n = gos_read_ctx(w.p[0], &byte, 1, x);
  CHECK_EQ(byte, n == 1 ? 'r' : 0);
  if (n < 0) CHECK_EQ(gos_read(w.p[0], &byte, 1, GOS_FOREVER), 1);
  return n == 1 ? GOS_OK : n;
}
static int64_t writes(gos_ctx *x) {
  char byte = 0;
  int64_t n = gos_write_ctx(w.p[1], "w", 1, x);
  CHECK_EQ(gos_read(w.p[0], &byte, 1, GOS_NOW), n == 1 ? 1 : GOS_WOULDBLOCK);
  return n == 1 ? GOS_OK : n;
}
static int64_t receives_from(gos_ctx *x) {
  char byte = 0;
  CHECK_EQ(gos_sendto(w.s[0], "p", 1, NULL, GOS_FOREVER), 1);
  int64_t n = gos_recvfrom_ctx(w.s[1], &byte, 1, NULL, x);
  if (n < 0) CHECK_EQ(gos_recvfrom(w.s[1], &byte, 1, NULL, GOS_FOREVER), 1);
  return n == 1 ? GOS_OK : n;
}
static int64_t sends_to(gos_ctx *x) {
  char byte;
  int64_t n = gos_sendto_ctx(w.s[0], "q", 1, NULL, x);
  CHECK_EQ(gos_recvfrom(w.s[1], &byte, 1, NULL, GOS_NOW), n == 1 ? 1 : GOS_WOULDBLOCK);
  return n == 1 ? GOS_OK : n;
}
static int64_t dials(gos_ctx *x) {
  int fd = gos_dial_ctx("tcp", w.address, x);
  if (fd < 0) return fd;
  int in = gos_accept(w.l, GOS_FOREVER);
  CHECK(in >= 0);
  gos_close(fd), gos_close(in);
  return GOS_OK;
}
static int64_t accepts(gos_ctx *x) {
  int fd = gos_dial("tcp", w.address, GOS_FOREVER), in = gos_accept_ctx(w.l, x), e = in < 0 ? in : GOS_OK;
  CHECK(fd >= 0);
  if (in < 0) CHECK((in = gos_accept(w.l, GOS_FOREVER)) >= 0);
  gos_close(fd), gos_close(in);
  return e;
}
static int64_t resolves(gos_ctx *x) {
  gos_addr a;
  return gos_resolve_ctx("tcp", "127.0.0.1:80", &a, x);
}
static int64_t (*const calls[])(gos_ctx *) = {
    send,       receive,   select_any,    select_ordered, sleeps,    join,     fd_wait,    lock,
    write_lock, read_lock, group_of_none, once,           semaphore, group_go, group_wait, flight,
    limiter,    reads,     writes,        receives_from,  sends_to,  dials,    accepts,    resolves};
enum { CALLS = sizeof calls / sizeof *calls };

static void set_up(void) {
  w.c = gos_chan_make(sizeof(int), 1);
  w.sem = gos_sem_new(2);
  w.group = gos_errgroup_new(NULL);
  w.flight = gos_flight_new();
  w.limiter = gos_limiter_new(1e9, 1000);
  CHECK_EQ(gos_pipe(w.p), GOS_OK);
  CHECK_EQ(gos_socketpair("unixgram", w.s), GOS_OK);
  CHECK((w.l = gos_listen("tcp", "127.0.0.1:0", 0)) >= 0);
  snprintf(w.address, sizeof w.address, "127.0.0.1:%d", gos_local_port(w.l));
}
static void take_down(void) {
  gos_chan_release(w.c), gos_sem_free(w.sem), gos_errgroup_free(w.group), gos_flight_free(w.flight);
  gos_limiter_free(w.limiter);
  for (int i = 0; i < 2; i++) gos_close(w.p[i]), gos_close(w.s[i]);
  gos_close(w.l);
}
static void each_gives(gos_ctx *x, int want) {
  for (int i = 0; i < CALLS; i++) {
    int64_t e = calls[i](x);
    if (e != want) test_fail(__FILE__, __LINE__, "call %d gave %lld, not %d", i, (long long)e, want);
  }
}

TEST(without_a_context) {
  set_up();
  each_gives(NULL, GOS_OK);
  each_gives(gos_background(), GOS_OK);
  gos_ctx *x = gos_with_value(NULL, &w, "v"), *y = gos_without_cancel(x);
  each_gives(x, GOS_OK);
  each_gives(y, GOS_OK);
  gos_ctx_release(x), gos_ctx_release(y);
  take_down();
}

TEST(under_one_that_lives) {
  set_up();
  gos_ctx *x = gos_with_cancel(NULL), *y = gos_with_timeout(x, 3600000 * MS), *z = gos_with_value(y, &w, "v");
  each_gives(x, GOS_OK);
  each_gives(y, GOS_OK);
  each_gives(z, GOS_OK);
  CHECK_EQ(gos_ctx_err(z), GOS_OK);
  gos_ctx_release(x), gos_ctx_release(y), gos_ctx_release(z);
  take_down();
}

TEST(under_one_that_has_ended) {
  set_up();
  gos_ctx *x = gos_with_cancel(NULL), *y = gos_with_value(x, &w, "v"), *z = gos_with_timeout(NULL, -1);
  gos_cancel(x, 77);
  each_gives(x, GOS_CANCELED);
  each_gives(y, GOS_CANCELED);
  each_gives(z, GOS_TIMEDOUT);
  each_gives(NULL, GOS_OK); /* nothing was left behind */
  gos_ctx_release(x), gos_ctx_release(y), gos_ctx_release(z);
  take_down();
}

/* A condition is waited for, whatever else could be done at once. */
static void signals(void *arg) {
  gos_mutex_lock(&w.mu);
  gos_cond_signal(arg);
  CHECK_EQ(gos_mutex_unlock(&w.mu), GOS_OK);
}
static void signals_rw(void *arg) {
  gos_rwmutex_lock(&w.rw);
  gos_cond_signal(arg);
  CHECK_EQ(gos_rwmutex_unlock(&w.rw), GOS_OK);
}
TEST(conditions) {
  gos_ctx *live = gos_with_cancel(NULL), *all[] = {NULL, gos_background(), live};
  for (int i = 0; i < 3; i++) {
    CHECK_EQ(gos_cond_wait_ctx(&w.cond, &w.mu, all[i]), GOS_PERM); /* not locked */
    CHECK_EQ(gos_cond_wait_rw_ctx(&w.cond, &w.rw, all[i]), GOS_PERM);
    CHECK_EQ(gos_cond_wait_r_ctx(&w.cond, &w.rw, all[i]), GOS_PERM);
    gos_mutex_lock(&w.mu);
    gos_g *g = spawn(signals, &w.cond);
    CHECK_EQ(gos_cond_wait_ctx(&w.cond, &w.mu, all[i]), GOS_OK);
    CHECK_EQ(gos_mutex_unlock(&w.mu), GOS_OK);
    finish(g);
    gos_rwmutex_lock(&w.rw);
    g = spawn(signals_rw, &w.cond);
    CHECK_EQ(gos_cond_wait_rw_ctx(&w.cond, &w.rw, all[i]), GOS_OK);
    CHECK_EQ(gos_rwmutex_unlock(&w.rw), GOS_OK);
    finish(g);
    gos_rwmutex_rlock(&w.rw);
    g = spawn(signals_rw, &w.cond);
    CHECK_EQ(gos_cond_wait_r_ctx(&w.cond, &w.rw, all[i]), GOS_OK);
    CHECK_EQ(gos_rwmutex_runlock(&w.rw), GOS_OK);
    finish(g);
  }
  gos_cancel(live, 0);
  gos_mutex_lock(&w.mu);
  CHECK_EQ(gos_cond_wait_ctx(&w.cond, &w.mu, live), GOS_CANCELED);
  CHECK_EQ(gos_mutex_unlock(&w.mu), GOS_OK);
  gos_rwmutex_rlock(&w.rw);
  CHECK_EQ(gos_cond_wait_r_ctx(&w.cond, &w.rw, live), GOS_CANCELED);
  CHECK_EQ(gos_rwmutex_runlock(&w.rw), GOS_OK);
  gos_rwmutex_lock(&w.rw);
  CHECK_EQ(gos_cond_wait_rw_ctx(&w.cond, &w.rw, live), GOS_CANCELED);
  CHECK_EQ(gos_rwmutex_unlock(&w.rw), GOS_OK);
  gos_ctx_release(live);
}
