// ctest: timeout=120
/* The calls of locks, groups and sockets that obey a context; those of channels are in ctx_wait.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <errno.h>
#include <gossamer/net.h>
#include <pthread.h>

static const gos_ns hour = 3600000 * MS;
static gos_ctx *ctx;

/* ---- calls that wait for ever ------------------------------------------------------------------ */
static gos_rwmutex written, read_locked;
static gos_mutex mu;
static gos_rwmutex rw, rr;
static gos_cond cond;
static gos_once once;
static gos_chan *empty, *gate;
static gos_errgroup *group;
static gos_sem *sem;
static gos_flight *flight;
static gos_limiter *limiter;
static int quiet[2], packets[2], fill[2], listener, deaf;
static char address[64];

static void never(void *arg) {
  (void)arg;
  CHECK(!"this must not run");
}
static int never_err(void *arg) { return never(arg), 1; }
static int never_val(void *arg, void **val) { return (void)val, never(arg), 1; }

static int64_t do_lock(void) { return gos_rwmutex_lock_ctx(&written, ctx); }
static int64_t do_drain(void) { return gos_rwmutex_lock_ctx(&read_locked, ctx); }
static int64_t do_rlock(void) { return gos_rwmutex_rlock_ctx(&written, ctx); }
static int64_t do_cond(void) {
  gos_mutex_lock(&mu);
  int e = gos_cond_wait_ctx(&cond, &mu, ctx);
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
  return e;
}
static int64_t do_cond_rw(void) {
  gos_rwmutex_lock(&rw);
  int e = gos_cond_wait_rw_ctx(&cond, &rw, ctx);
  CHECK_EQ(gos_rwmutex_unlock(&rw), GOS_OK);
  return e;
}
static int64_t do_cond_r(void) {
  gos_rwmutex_rlock(&rr);
  int e = gos_cond_wait_r_ctx(&cond, &rr, ctx);
  CHECK_EQ(gos_rwmutex_runlock(&rr), GOS_OK);
  return e;
}
static int64_t do_once(void) { return gos_once_do_ctx(&once, never, NULL, ctx); }
static int64_t do_ordered(void) { return gos_select_ordered_ctx((gos_case[]){GOS_RECV(empty, NULL)}, 1, ctx); }
static int64_t do_group_go(void) { return gos_errgroup_go_ctx(group, never_err, NULL, ctx); }
static int64_t do_group_wait(void) { return gos_errgroup_wait_ctx(group, ctx); }
static int64_t do_sem(void) { return gos_sem_acquire_ctx(sem, 1, ctx); }
static int64_t do_flight(void) { return gos_flight_do_ctx(flight, "key", never_val, NULL, NULL, NULL, ctx); }
static int64_t do_limiter(void) {
  gos_ns t;
  if (gos_ctx_deadline(ctx, &t)) return gos_sleep_ctx(hour, ctx); /* at once, and that is tested elsewhere */
  return gos_limiter_wait_ctx(limiter, 1, ctx);
}
static int64_t do_fd(void) { return gos_fd_wait_ctx(quiet[0], GOS_READ, ctx); }
static int64_t do_read(void) { return gos_read_ctx(quiet[0], &(char){0}, 1, ctx); }
static int64_t do_recvfrom(void) { return gos_recvfrom_ctx(packets[0], &(char){0}, 1, NULL, ctx); }
static int64_t do_write(void) { return gos_write_ctx(fill[1], &(char){7}, 1, ctx); }
static int64_t do_sendto(void) { return gos_sendto_ctx(packets[0], &(char){7}, 1, NULL, ctx); }
static int64_t do_accept(void) { return gos_accept_ctx(listener, ctx); }
static int64_t do_dial(void) { return gos_dial_ctx("tcp", address, ctx); }
static int64_t (*const calls[])(void) = {
    do_lock, do_drain,  do_rlock,   do_cond, do_cond_rw, do_cond_r,   do_once,  do_ordered, do_group_go, do_group_wait,
    do_sem,  do_flight, do_limiter, do_fd,   do_read,    do_recvfrom, do_write, do_sendto,  do_accept,   do_dial,
};
enum { CALLS = sizeof calls / sizeof *calls };

static int until_open(void *arg) { return (void)arg, gos_chan_recv(gate, NULL), 0; }
static void until_open_once(void *arg) { until_open(arg); }
static int until_open_val(void *arg, void **val) { return *val = NULL, until_open(arg); }
static void runs_once(void *arg) { (void)arg, gos_once_do(&once, until_open_once, NULL); }
static void runs_flight(void *arg) { (void)arg, gos_flight_do(flight, "key", until_open_val, NULL, NULL, NULL); }

/* Connects until nobody answers any more: the queue of a listener that never accepts is full. */
static void fill_deaf(void) {
  CHECK((deaf = gos_listen("tcp4", "127.0.0.1:0", 1)) >= 0);
  snprintf(address, sizeof address, "127.0.0.1:%d", gos_local_port(deaf));
  while (gos_dial("tcp", address, gos_now() + 20 * MS) >= 0) {}
}
static gos_g *busy[3];
static void set_up(void) {
  empty = gos_chan_make(0, 0), gate = gos_chan_make(0, 0);
  gos_rwmutex_lock(&written), gos_rwmutex_rlock(&read_locked);
  CHECK((group = gos_errgroup_new(NULL)) && (sem = gos_sem_new(1)) && (flight = gos_flight_new()));
  CHECK(limiter = gos_limiter_new(1e-6, 1));
  CHECK_EQ(gos_limiter_wait(limiter, 1), GOS_OK);
  CHECK_EQ(gos_sem_acquire(sem, 1), GOS_OK);
  CHECK_EQ(gos_errgroup_set_limit(group, 1), GOS_OK);
  CHECK_EQ(gos_errgroup_go(group, until_open, NULL), GOS_OK);
  busy[0] = spawn(runs_once, NULL), until_parked(busy[0], "chan receive");
  busy[1] = spawn(runs_flight, NULL), until_parked(busy[1], "chan receive");
  CHECK_EQ(gos_pipe(quiet), GOS_OK);
  CHECK_EQ(gos_pipe(fill), GOS_OK);
  CHECK_EQ(gos_socketpair("unixgram", packets), GOS_OK);
  while (gos_write(fill[1], &(char){1}, 1, GOS_NOW) == 1) {}
  while (gos_sendto(packets[0], &(char){1}, 1, NULL, GOS_NOW) == 1) {}
  CHECK((listener = gos_listen("tcp4", "127.0.0.1:0", 0)) >= 0);
  fill_deaf();
}
static void tear_down(void) {
  gos_chan_close(gate);
  finish(busy[0]), finish(busy[1]);
  CHECK_EQ(gos_errgroup_wait(group), GOS_OK);
  CHECK_EQ(gos_rwmutex_unlock(&written), GOS_OK);
  CHECK_EQ(gos_rwmutex_runlock(&read_locked), GOS_OK);
  CHECK_EQ(gos_rwmutex_trylock(&written), GOS_OK); /* nobody has it, and nobody stands in the way */
  CHECK_EQ(gos_rwmutex_trylock(&read_locked), GOS_OK);
  CHECK_EQ(gos_sem_release(sem, 1), GOS_OK);
  CHECK_EQ(gos_sem_try_acquire(sem, 1), GOS_OK);
  gos_errgroup_free(group), gos_sem_free(sem), gos_flight_free(flight), gos_limiter_free(limiter);
}

static void nothing_was_done(void) {
  CHECK_EQ(gos_rwmutex_tryrlock(&read_locked), GOS_OK); /* no writer is in its way */
  CHECK_EQ(gos_rwmutex_runlock(&read_locked), GOS_OK);
  CHECK_EQ(gos_chan_send_dl(empty, NULL, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_read(quiet[0], &(char){0}, 1, GOS_NOW), GOS_WOULDBLOCK);
  CHECK(gos_limiter_tokens(limiter) > -0.5);
}
static void until_waiting(gos_g *g) {
  gos_info i;
  while (gos_info_get(g, &i, sizeof i), strcmp(i.status, "waiting")) gos_gosched(), sched_yield();
}
static int wanted;
static void run_call(void *at) { CHECK_EQ(calls[(intptr_t)at](), wanted); }

TEST(a_cancel_ends_each) {
  set_up();
  wanted = GOS_CANCELED;
  for (intptr_t at = 0; at < CALLS; at++) {
    gos_ctx *p = gos_with_cancel(NULL);
    ctx = at % 2 ? gos_with_timeout(p, hour) : gos_with_cancel(p);
    if (calls[at] == do_limiter) gos_ctx_release(ctx), ctx = gos_ctx_retain(p);
    gos_g *g = spawn(run_call, (void *)at);
    until_waiting(g);
    gos_cancel(p, 77);
    finish(g);
    nothing_was_done();
    gos_ctx_release(p), gos_ctx_release(ctx);
  }
  tear_down();
}

TEST(a_deadline_ends_each) {
  set_up();
  wanted = GOS_TIMEDOUT;
  for (intptr_t at = 0; at < CALLS; at++) {
    gos_ctx *p = gos_with_timeout(NULL, MS / 2);
    ctx = gos_with_cancel(p);
    finish(spawn(run_call, (void *)at));
    gos_ctx_release(p), gos_ctx_release(ctx);
    ctx = gos_with_timeout(NULL, MS / 2); /* in the main goroutine */
    run_call((void *)at);
    nothing_was_done();
    gos_ctx_release(ctx);
  }
  tear_down();
}

TEST(an_interrupt_is_not_the_contexts) {
  set_up();
  wanted = GOS_CANCELED;
  for (intptr_t at = 0; at < CALLS; at++) {
    ctx = gos_with_cancel(NULL);
    gos_g *g = spawn(run_call, (void *)at);
    until_waiting(g);
    gos_interrupt(g);
    finish(g);
    CHECK_EQ(gos_ctx_err(ctx), GOS_OK);
    gos_ctx_release(ctx);
  }
  nothing_was_done();
  tear_down();
}

static void *call_in_a_thread(void *at) { return run_call(at), NULL; }
TEST(foreign_threads) {
  set_up();
  for (int how = 0; how < 2; how++) {
    pthread_t t[CALLS];
    wanted = how ? GOS_TIMEDOUT : GOS_CANCELED;
    ctx = how ? gos_with_timeout(NULL, MS) : gos_with_cancel(NULL);
    for (intptr_t at = 0; at < CALLS; at++) CHECK_EQ(pthread_create(&t[at], NULL, call_in_a_thread, (void *)at), 0);
    if (!how) gos_gosched(), gos_cancel(ctx, 0);
    for (int at = 0; at < CALLS; at++) pthread_join(t[at], NULL);
    gos_ctx_release(ctx);
  }
  nothing_was_done();
  tear_down();
}

/* ---- one that has ended wins; one that has not does not matter ------------------------------------- */
static void counts(void *arg) { ++*(int *)arg; }
static int counts_err(void *arg) { return counts(arg), 0; }
static int counts_val(void *arg, void **val) { return *val = arg, counts(arg), 5; }

TEST(could_be_done_at_once) {
  gos_ctx *ended = gos_with_cancel(NULL), *xs[] = {ended, NULL, gos_background(), gos_with_timeout(NULL, hour)};
  gos_cancel(ended, 1);
  for (int i = 0; i < 4; i++) {
    int n = 0, p[2], q[2], e = i ? GOS_OK : GOS_CANCELED, ok = !e;
    void *val = NULL;
    char b[4] = "abc";
    gos_ctx *x = xs[i];
    gos_rwmutex l = {0};
    gos_once o = {0};
    gos_errgroup *g = gos_errgroup_new(NULL);
    gos_sem *s = gos_sem_new(1);
    gos_flight *f = gos_flight_new();
    gos_chan *full = gos_chan_make(0, 1);
    gos_chan_send(full, NULL);
    CHECK_EQ(gos_rwmutex_lock_ctx(&l, x), e);
    CHECK_EQ(gos_rwmutex_unlock(&l), ok ? GOS_OK : GOS_PERM);
    CHECK_EQ(gos_rwmutex_rlock_ctx(&l, x), e);
    CHECK_EQ(gos_rwmutex_runlock(&l), ok ? GOS_OK : GOS_PERM);
    CHECK_EQ(gos_once_do_ctx(&o, counts, &n, x), e);
    CHECK_EQ(n, ok);
    CHECK_EQ(gos_once_do_dl(&o, counts, &n, GOS_NOW), GOS_OK);
    CHECK_EQ(gos_once_do_ctx(&o, counts, &n, x), e);
    CHECK_EQ(n, 1);
    CHECK_EQ(gos_errgroup_go_ctx(g, counts_err, &n, x), e);
    CHECK_EQ(gos_errgroup_wait(g), GOS_OK);
    CHECK_EQ(n, 1 + ok);
    CHECK_EQ(gos_errgroup_wait_ctx(g, x), e);
    CHECK_EQ(gos_sem_acquire_ctx(s, 1, x), e);
    CHECK_EQ(gos_sem_try_acquire(s, 1), ok ? GOS_WOULDBLOCK : GOS_OK);
    CHECK_EQ(gos_flight_do_ctx(f, "k", counts_val, &n, &val, NULL, x), ok ? 5 : e);
    CHECK(val == (ok ? &n : NULL));
    CHECK_EQ(gos_select_ordered_ctx((gos_case[]){GOS_RECV(NULL, NULL), GOS_RECV(full, NULL)}, 2, x), ok ? 1 : e);
    CHECK_EQ(gos_pipe(p), GOS_OK);
    CHECK_EQ(gos_fd_wait_ctx(p[1], GOS_WRITE, x), ok ? GOS_WRITE : e);
    CHECK_EQ(gos_write_ctx(p[1], b, 3, x), ok ? 3 : e);
    CHECK_EQ(gos_write_ctx(p[1], b, 0, x), e);
    if (!ok) CHECK_EQ(gos_write(p[1], b, 3, GOS_NOW), 3);
    CHECK_EQ(gos_read_ctx(p[0], b, 4, x), ok ? 3 : e);
    CHECK_EQ(gos_socketpair("unixgram", q), GOS_OK);
    CHECK_EQ(gos_sendto_ctx(q[0], b, 2, NULL, x), ok ? 2 : e);
    if (!ok) CHECK_EQ(gos_sendto(q[0], b, 2, NULL, GOS_NOW), 2);
    CHECK_EQ(gos_recvfrom_ctx(q[1], b, 4, NULL, x), ok ? 2 : e);
    gos_addr a;
    CHECK_EQ(gos_resolve_ctx("tcp", "127.0.0.1:80", &a, x), e);
    int server = gos_listen("tcp4", "127.0.0.1:0", 0);
    char at[64];
    snprintf(at, sizeof at, "127.0.0.1:%d", gos_local_port(server));
    int c = gos_dial_ctx("tcp", at, x);
    CHECK(ok ? c >= 0 : c == e);
    int d = ok ? gos_accept_ctx(server, x) : e;
    CHECK(ok ? d >= 0 : d == e);
    CHECK_EQ(gos_accept_ctx(-1, x), ok ? GOS_SYS(EBADF) : e);
    CHECK_EQ(gos_dial_ctx("nonsense", "x", x), ok ? GOS_INVAL : e);
    int fds[] = {p[0], p[1], q[0], q[1], server, c, d};
    for (int k = 0; k < 7; k++)
      if (fds[k] >= 0) gos_close(fds[k]);
    gos_errgroup_free(g), gos_sem_free(s), gos_flight_free(f), gos_chan_release(full);
  }
  CHECK_EQ(gos_errgroup_wait_ctx(NULL, NULL), GOS_INVAL);
  CHECK_EQ(gos_errgroup_go_ctx(NULL, counts_err, NULL, NULL), GOS_INVAL);
  gos_ctx_release(ended), gos_ctx_release(xs[3]);
}

/* What runs inside such a call does not obey its context. */
static void ends_it_and_waits(void *arg) {
  gos_ctx *x = arg;
  gos_cancel(x, 0);
  CHECK_EQ(gos_sleep(1), GOS_OK);
  CHECK_EQ(gos_chan_recv_dl(empty, NULL, gos_now() + 1), GOS_TIMEDOUT);
}
static int ends_and_waits(void *arg, void **val) { return ends_it_and_waits(arg), *val = arg, 3; }
TEST(the_work_itself_does_not_obey) {
  gos_once o = {0};
  void *val = NULL;
  empty = gos_chan_make(0, 0);
  gos_flight *f = gos_flight_new();
  gos_ctx *x = gos_with_cancel(NULL), *y = gos_with_cancel(NULL);
  CHECK_EQ(gos_once_do_ctx(&o, ends_it_and_waits, x, x), GOS_OK);
  CHECK_EQ(gos_flight_do_ctx(f, "k", ends_and_waits, y, &val, NULL, y), 3);
  CHECK(val == y);
  CHECK_EQ(gos_ctx_err(x), GOS_CANCELED);
  gos_flight_free(f), gos_ctx_release(x), gos_ctx_release(y);
}

/* ---- races: nothing is lost ------------------------------------------------------------------------ */
static gos_rwmutex races;
static long plain;
static atomic_long inside, entered;
static void locks_some(void *arg) {
  for (int i = 0; i < 100; i++) {
    bool reads = ((intptr_t)arg + i) % 3;
    gos_ctx *x = i % 7 ? gos_with_timeout(ctx, i % 7 * 700) : gos_with_cancel(ctx);
    int e = reads ? gos_rwmutex_rlock_ctx(&races, x) : gos_rwmutex_lock_ctx(&races, x);
    CHECK(e == GOS_OK || e == GOS_TIMEDOUT || e == GOS_CANCELED);
    if (!e) {
      long others = atomic_fetch_add(&inside, reads ? 1 : 1000);
      CHECK(reads ? others < 1000 : others == 0);
      if (!reads) plain++;
      if (i % 8 == 0) gos_gosched();
      atomic_fetch_sub(&inside, reads ? 1 : 1000);
      CHECK_EQ(reads ? gos_rwmutex_runlock(&races) : gos_rwmutex_unlock(&races), GOS_OK);
      entered++;
    }
    gos_ctx_release(x);
  }
}
static void *locks_outside(void *arg) { return locks_some(arg), NULL; }
TEST(read_write_locks) {
  for (long round = scaled(20); round; round--) {
    pthread_t t;
    gos_g *g[9];
    ctx = gos_with_cancel(NULL);
    for (intptr_t i = 0; i < 9; i++) g[i] = spawn(locks_some, (void *)i);
    CHECK_EQ(pthread_create(&t, NULL, locks_outside, (void *)9), 0);
    if (round % 2 == 0) gos_sleep(MS / 4), gos_cancel(ctx, 0);
    for (int i = 0; i < 9; i++) finish(g[i]);
    pthread_join(t, NULL);
    CHECK_EQ(gos_rwmutex_trylock(&races), GOS_OK);
    CHECK_EQ(gos_rwmutex_unlock(&races), GOS_OK);
    gos_ctx_release(ctx);
  }
  CHECK(entered > 0);
}

/* Every token has a signal, and those who give up do not take one with them. */
static gos_mutex tokens_mu;
static gos_rwmutex tokens_rw;
static long tokens, taken, total;
static int kind; /* of the lock */
static void lock_tokens(void) { kind ? gos_rwmutex_lock(&tokens_rw) : gos_mutex_lock(&tokens_mu); }
static void unlock_tokens(void) {
  CHECK_EQ(kind ? gos_rwmutex_unlock(&tokens_rw) : gos_mutex_unlock(&tokens_mu), GOS_OK);
}
static int wait_tokens(gos_ctx *x) {
  return kind ? gos_cond_wait_rw_ctx(&cond, &tokens_rw, x) : gos_cond_wait_ctx(&cond, &tokens_mu, x);
}
static void impatient(void *arg) {
  for (int i = 0; i < 30; i++) {
    gos_ctx *x = (i + (intptr_t)arg) % 2 ? gos_with_timeout(ctx, i * 300) : gos_with_cancel(ctx);
    int e = GOS_OK;
    lock_tokens();
    while (!tokens && !e && taken < total) e = wait_tokens(x);
    /* Signalled, and the token is left to others: so is the signal. */
    if (tokens && !e) tokens--, taken++;
    if (taken == total) gos_cond_broadcast(&cond);
    unlock_tokens();
    CHECK(e == GOS_OK || e == GOS_TIMEDOUT || e == GOS_CANCELED);
    gos_ctx_release(x);
  }
}
static void patient(void *arg) {
  (void)arg;
  lock_tokens();
  while (taken < total) {
    if (tokens)
      tokens--, taken++;
    else
      CHECK_EQ(wait_tokens(NULL), GOS_OK);
  }
  unlock_tokens();
  gos_cond_broadcast(&cond);
}
TEST(signals_of_a_cond) {
  for (long round = scaled(60); round; round--) {
    gos_g *g[6];
    kind = round % 2;
    tokens = taken = 0, total = 100;
    ctx = gos_with_cancel(NULL);
    for (intptr_t i = 0; i < 6; i++) g[i] = spawn(i % 3 ? impatient : patient, (void *)i);
    for (int i = 0; i < total; i++) {
      lock_tokens();
      tokens++;
      unlock_tokens();
      gos_cond_signal(&cond);
      if (i % 10 == 0) gos_gosched();
      if (i == 70) gos_cancel(ctx, 0);
    }
    for (int i = 0; i < 6; i++) finish(g[i]);
    CHECK_EQ(taken, total);
    gos_ctx_release(ctx);
  }
}

/* The end comes while somebody else has the lock: the wait is over when it is free again. */
static atomic_bool back;
static void waits_with_lock(void *arg) {
  (void)arg;
  gos_mutex_lock(&mu);
  CHECK_EQ(gos_cond_wait_ctx(&cond, &mu, ctx), GOS_CANCELED);
  back = true;
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
}
TEST(a_cond_locks_again_whatever_happens) {
  ctx = gos_with_cancel(NULL);
  gos_g *g = spawn(waits_with_lock, NULL);
  until_parked(g, "sync.Cond.Wait");
  gos_mutex_lock(&mu);
  gos_cancel(ctx, 0);
  until_parked(g, "sync.Mutex.Lock");
  CHECK(!back);
  CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
  finish(g);
  gos_ctx_release(ctx);
}

static void patient_sem(void *arg) {
  CHECK_EQ(gos_sem_acquire(sem, (intptr_t)arg), GOS_OK);
  CHECK_EQ(gos_sem_release(sem, (intptr_t)arg), GOS_OK);
}
static void impatient_sem(void *arg) {
  for (int i = 0; i < 30; i++) {
    gos_ctx *x = gos_with_timeout(ctx, i % 5 * 500);
    int e = gos_sem_acquire_ctx(sem, (intptr_t)arg, x);
    CHECK(e == GOS_OK || e == GOS_TIMEDOUT || e == GOS_CANCELED);
    if (!e && i % 4 == 0) gos_gosched();
    if (!e) CHECK_EQ(gos_sem_release(sem, (intptr_t)arg), GOS_OK);
    gos_ctx_release(x);
  }
}
TEST(a_semaphore) {
  CHECK(sem = gos_sem_new(5));
  for (long round = scaled(60); round; round--) {
    gos_g *g[10];
    ctx = gos_with_cancel(NULL);
    for (intptr_t i = 0; i < 10; i++) g[i] = spawn(i % 2 ? impatient_sem : patient_sem, (void *)(i % 5 + 1));
    if (round % 2) gos_gosched(), gos_cancel(ctx, 0);
    for (int i = 0; i < 10; i++) finish(g[i]);
    CHECK_EQ(gos_sem_try_acquire(sem, 5), GOS_OK); /* all of it is there */
    CHECK_EQ(gos_sem_release(sem, 5), GOS_OK);
    gos_ctx_release(ctx);
  }
  gos_sem_free(sem);
}

static atomic_long started, promised;
static int member(void *arg) {
  started++;
  if ((intptr_t)arg % 3 == 0) gos_gosched();
  return 0;
}
static void adds_members(void *arg) {
  for (intptr_t i = 0; i < 30; i++) {
    gos_ctx *x = gos_with_timeout(ctx, i % 5 * 500);
    int e = gos_errgroup_go_ctx(group, member, (void *)(i + (intptr_t)arg), x);
    CHECK(e == GOS_OK || e == GOS_TIMEDOUT || e == GOS_CANCELED);
    promised += e == GOS_OK;
    if (i % 4 == 0) e = gos_errgroup_wait_ctx(group, x);
    gos_ctx_release(x);
  }
}
TEST(a_group) {
  for (long round = scaled(60); round; round--) {
    gos_g *g[5];
    CHECK(group = gos_errgroup_new(NULL));
    CHECK_EQ(gos_errgroup_set_limit(group, 2), GOS_OK);
    ctx = gos_with_cancel(NULL);
    for (intptr_t i = 0; i < 5; i++) g[i] = spawn(adds_members, (void *)i);
    if (round % 2) gos_sleep(MS / 8), gos_cancel(ctx, 0);
    for (int i = 0; i < 5; i++) finish(g[i]);
    CHECK_EQ(gos_errgroup_wait(group), GOS_OK);
    CHECK_EQ(started, promised);
    gos_errgroup_free(group), gos_ctx_release(ctx);
  }
}

static atomic_long runs, results;
static int shared_work(void *arg, void **val) {
  runs++;
  gos_gosched();
  return *val = arg, 9;
}
static void asks(void *arg) {
  for (int i = 0; i < 30; i++) {
    void *val = NULL;
    gos_ctx *x = gos_with_timeout(ctx, i % 5 * 500);
    int e = gos_flight_do_ctx(flight, "k", shared_work, arg, &val, NULL, x);
    CHECK(e == 9 ? val != NULL : (e == GOS_TIMEDOUT || e == GOS_CANCELED) && !val);
    results += e == 9;
    gos_ctx_release(x);
  }
}
TEST(single_flight) {
  CHECK(flight = gos_flight_new());
  for (long round = scaled(60); round; round--) {
    gos_g *g[5];
    ctx = gos_with_cancel(NULL);
    for (intptr_t i = 0; i < 5; i++) g[i] = spawn(asks, (void *)(i + 1));
    if (round % 2) gos_sleep(MS / 8), gos_cancel(ctx, 0);
    for (int i = 0; i < 5; i++) finish(g[i]);
    gos_ctx_release(ctx);
  }
  CHECK(runs <= results);
  gos_flight_free(flight);
}

/* ---- bytes and connections ---------------------------------------------------------------------------- */
enum { BYTES = 300000 };
static int ends[2];
static void writes_all(void *arg) {
  static unsigned char data[BYTES];
  (void)arg;
  for (int i = 0; i < BYTES; i++) data[i] = (unsigned char)(i * 7 + i / 256);
  for (int64_t at = 0, k = 0; at < BYTES; k++) {
    gos_ctx *x = k % 2 ? gos_with_timeout(NULL, k % 11 * 1000) : gos_with_cancel(NULL);
    int64_t size = BYTES - at < 50000 ? BYTES - at : 50000, n = gos_write_ctx(ends[1], data + at, (size_t)size, x);
    CHECK((n > 0 && n <= size) || n == GOS_TIMEDOUT);
    if (k % 2 == 0) CHECK_EQ(n, size);
    if (n > 0) at += n;
    gos_ctx_release(x);
  }
  gos_close(ends[1]);
}
static void bytes_arrive(void) {
  static unsigned char buf[7000];
  gos_g *g = spawn(writes_all, NULL);
  int64_t at = 0;
  for (int k = 0;; k++) {
    gos_ctx *x = gos_with_timeout(NULL, k % 7 * 1000);
    int64_t n = gos_read_ctx(ends[0], buf, sizeof buf, x);
    gos_ctx_release(x);
    if (n == 0) break;
    if (n == GOS_TIMEDOUT) gos_gosched();
    CHECK(n > 0 || n == GOS_TIMEDOUT);
    for (int64_t i = 0; i < n; i++, at++) CHECK_EQ(buf[i], (unsigned char)(at * 7 + at / 256));
  }
  CHECK_EQ(at, BYTES);
  finish(g);
  gos_close(ends[0]);
}
TEST(bytes) {
  CHECK_EQ(gos_pipe(ends), GOS_OK);
  bytes_arrive();
  CHECK_EQ(gos_socketpair("unix", ends), GOS_OK);
  bytes_arrive();
  CHECK_EQ(pipe(ends), 0); /* not ours: they block */
  bytes_arrive();
}

static atomic_int connected;
static void connects(void *arg) {
  for (int i = 0; i < 10; i++) {
    gos_ctx *x = gos_with_timeout(NULL, hour);
    int fd = gos_dial_ctx("tcp", arg, x);
    CHECK(fd >= 0);
    connected++;
    CHECK_EQ(gos_read_ctx(fd, &(char){0}, 1, x), 1);
    gos_close(fd);
    gos_ctx_release(x);
  }
}
TEST(connections) {
  gos_g *g[4];
  CHECK((listener = gos_listen("tcp4", "127.0.0.1:0", 0)) >= 0);
  snprintf(address, sizeof address, "127.0.0.1:%d", gos_local_port(listener));
  for (int i = 0; i < 4; i++) g[i] = spawn(connects, address);
  for (int n = 0, k = 0; n < 40; k++) {
    gos_ctx *x = gos_with_timeout(NULL, k % 9 * 1000);
    int fd = gos_accept_ctx(listener, x);
    CHECK(fd >= 0 || fd == GOS_TIMEDOUT);
    if (fd >= 0) {
      n++;
      CHECK_EQ(gos_write_ctx(fd, "x", 1, NULL), 1);
      gos_close(fd);
    } else {
      gos_gosched();
    }
    gos_ctx_release(x);
  }
  for (int i = 0; i < 4; i++) finish(g[i]);
  CHECK_EQ(connected, 40);
  gos_close(listener);
}

/* ---- a Once that waits no longer than it is told --------------------------------------------------------- */
TEST(a_once_with_a_deadline) {
  int n = 0;
  gate = gos_chan_make(0, 0);
  gos_g *g = spawn(runs_once, NULL);
  until_parked(g, "chan receive");
  CHECK_EQ(gos_once_do_dl(&once, counts, &n, GOS_NOW), GOS_WOULDBLOCK);
  CHECK_EQ(gos_once_do_dl(&once, counts, &n, gos_now() + 1), GOS_TIMEDOUT);
  gos_chan_close(gate);
  CHECK_EQ(gos_once_do_dl(&once, counts, &n, GOS_FOREVER), GOS_OK);
  CHECK_EQ(n, 0);
  finish(g);
}
