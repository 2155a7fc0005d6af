/* Contexts that end while something is under way: waits of every kind, functions, other ends.
 * SPDX-License-Identifier: Apache-2.0 */
#include "team.h"

/* ---- a context whose end is on its way, from a foreign thread, a goroutine or the clock ----------- */
enum { CAUSE = 7 };
static gos_ctx *ctx; /* what the waits obey */
static struct ending {
  gos_ctx *top; /* what ends */
  int thread;   /* 0: none */
  gos_g *g;
} the_end;

static void cancels(void *x) {
  if (ex_roll(2)) gos_gosched();
  gos_cancel(x, CAUSE);
}
static void will_end(void) {
  uint32_t how = ex_roll(4);
  gos_ctx *top = how == 0 ? gos_with_timeout(NULL, ex_roll(20000)) : gos_with_cancel(NULL);
  the_end.top = top;
  uint32_t below = ex_roll(4);
  ctx = below == 0   ? gos_with_cancel(top)
        : below == 1 ? gos_with_timeout(top, 100000000)
        : below == 2 ? gos_with_value(top, &the_end, NULL)
                     : gos_ctx_retain(top);
  if (how == 1 || how == 2) the_end.thread = ex_thread(cancels, top);
  if (how == 3) the_end.g = ex_go(cancels, top);
}
/* It ends now at the latest. */
static void has_ended(void) {
  if (ex_roll(2)) gos_cancel(the_end.top, CAUSE);
  if (the_end.thread) ex_join(the_end.thread);
  if (the_end.g) ex_finish(the_end.g);
  gos_cancel(the_end.top, CAUSE);
  int e = gos_ctx_err(ctx);
  CHECK(e == GOS_CANCELED || e == GOS_TIMEDOUT);
  CHECK_EQ(gos_ctx_cause(ctx), e == GOS_CANCELED ? CAUSE : e);
}
static void let_go(void) { gos_ctx_release(ctx), gos_ctx_release(the_end.top); }
/* Was the wait for ctx given up? Then it has ended, for the reason given. */
static bool gave_up(int e) {
  if (e >= 0) return false;
  CHECK(e == GOS_CANCELED || e == GOS_TIMEDOUT);
  CHECK_EQ(e, gos_ctx_err(ctx));
  return true;
}

/* ---- channels: a value is either here or there ------------------------------------------------------- */
static gos_chan *c, *d;
static int sent, received;

static void sends(void *u) {
  (void)u;
  for (int i = 0, v = 1; i < 3; i++) sent += !gave_up(gos_chan_send_ctx(c, &v, ctx));
}
static void receives(void *u) {
  (void)u;
  for (int i = 0, v; i < 3; i++) received += !gave_up(gos_chan_recv_ctx(c, &v, ctx));
}
static void count_rest(gos_chan *ch) {
  int v;
  while (gos_chan_recv_dl(ch, &v, GOS_NOW) == GOS_OK) received++;
  CHECK_EQ(sent, received);
  CHECK_EQ(gos_chan_recv_dl(ch, &v, GOS_NOW), GOS_WOULDBLOCK); /* nobody stands in a queue any more */
  if (gos_chan_cap(ch) == 0) CHECK_EQ(gos_chan_send_dl(ch, &v, GOS_NOW), GOS_WOULDBLOCK);
  gos_chan_release(ch);
}
SCENARIO(ctx_chan, 3, 0) {
  team t = {0};
  c = gos_chan_make(sizeof(int), ex_roll(2));
  will_end();
  team_go(&t, sends, NULL), team_go(&t, receives, NULL);
  ex_roll(2) ? sends(NULL) : receives(NULL);
  has_ended();
  team_wait(&t);
  count_rest(c);
  let_go();
}

static void sends_outside(void *u) {
  int v = 1;
  (void)u;
  sent += !gave_up(gos_chan_send_ctx(c, &v, ctx));
}
SCENARIO(ctx_chan_foreign, 2, 0) {
  team t = {0};
  c = gos_chan_make(sizeof(int), 0);
  will_end();
  int x = ex_thread(sends_outside, NULL), y = ex_thread(sends_outside, NULL);
  team_go(&t, receives, NULL);
  has_ended();
  ex_join(x), ex_join(y); /* a thread that waits here keeps its P */
  team_wait(&t);
  count_rest(c);
  let_go();
}

static void selects(void *u) {
  for (int i = 0; i < 2; i++) {
    int in = 1, out;
    gos_case k[] = {GOS_RECV(u ? c : d, &out), GOS_SEND(u ? d : c, &in)};
    int e = ex_roll(2) ? gos_select_ctx(k, 2, ctx) : gos_select_ordered_ctx(k, 2, ctx);
    if (gave_up(e)) continue;
    CHECK(e == 0 || e == 1);
    received += e == 0, sent += e == 1;
  }
}
SCENARIO(ctx_select, 3, 0) {
  team t = {0};
  c = gos_chan_make(sizeof(int), 0), d = gos_chan_make(sizeof(int), 0);
  will_end();
  for (int i = 0; i < 3; i++) team_go(&t, selects, i % 2 ? &t : NULL);
  has_ended();
  team_wait(&t);
  count_rest(c), count_rest(d);
  let_go();
}

/* ---- an end that comes too late for its wait does not reach the next one --------------------------------- */
static void waits_then_waits(void *other) {
  int v = 0, e = gos_chan_recv_ctx(c, &v, ctx);
  received += !gave_up(e);
  CHECK_EQ(gos_chan_recv_ctx(d, &v, other), GOS_OK);
  CHECK_EQ(v, 2);
}
SCENARIO(ctx_late_end, 2, 0) {
  int v = 1;
  gos_ctx *other = ex_roll(2) ? gos_with_cancel(NULL) : NULL;
  c = gos_chan_make(sizeof(int), 0), d = gos_chan_make(sizeof(int), 0);
  will_end();
  gos_g *g = ex_go(waits_then_waits, other);
  if (ex_roll(2)) gos_gosched();
  sent += gos_chan_send_dl(c, &v, ex_roll(2) ? GOS_NOW : gos_now() + ex_roll(5000)) == GOS_OK;
  has_ended();
  v = 2;
  CHECK_EQ(gos_chan_send(d, &v), GOS_OK);
  ex_finish(g);
  CHECK_EQ(sent, received);
  gos_ctx_release(other);
  let_go();
}

/* An interrupt and an end: two waits, so that whichever is not used up by the first ends the second. */
static int given_up;
static void waits_for_both(void *u) {
  (void)u;
  for (int v; given_up < 2; given_up++) {
    int e = gos_chan_recv_ctx(c, &v, ctx);
    CHECK(e == GOS_CANCELED || (e == GOS_TIMEDOUT && gos_ctx_err(ctx) == e));
  }
}
SCENARIO(ctx_interrupt, 2, 0) {
  c = gos_chan_make(sizeof(int), 0);
  will_end();
  gos_g *g = ex_go(waits_for_both, NULL);
  int e = gos_interrupt(g);
  CHECK(e == GOS_OK || (e == GOS_CLOSED && given_up == 2));
  has_ended();
  ex_finish(g);
  CHECK_EQ(given_up, 2);
  let_go();
}

/* ---- locks ------------------------------------------------------------------------------------------------ */
static gos_mutex mu;
static int inside, entered;
static void locks(void *u) {
  (void)u;
  for (int i = 0; i < 2; i++) {
    if (gave_up(gos_mutex_lock_ctx(&mu, ctx))) continue;
    CHECK_EQ(inside++, 0);
    ex_roll(2) ? ex_point() : gos_gosched();
    CHECK_EQ(--inside, 0);
    entered++;
    CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
  }
}
SCENARIO(ctx_mutex, 3, 0) {
  team t = {0};
  will_end();
  for (int i = 0; i < 3; i++) team_go(&t, locks, NULL);
  if (ex_roll(2)) {
    gos_mutex_lock(&mu);
    gos_gosched();
    CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
  }
  has_ended();
  team_wait(&t);
  CHECK_EQ(gos_mutex_trylock(&mu), GOS_OK);
  let_go();
}

static gos_rwmutex rw;
static void reads_or_writes(void *u) {
  for (int i = 0; i < 2; i++) {
    bool reads = ex_roll(2), patient = u && ex_roll(2);
    gos_ctx *x = patient ? NULL : ctx;
    int e = reads ? gos_rwmutex_rlock_ctx(&rw, x) : gos_rwmutex_lock_ctx(&rw, x);
    if (patient) CHECK_EQ(e, GOS_OK);
    if (gave_up(e)) continue;
    CHECK(reads ? inside >= 0 : inside == 0);
    inside += reads ? 1 : -10;
    ex_roll(2) ? ex_point() : gos_gosched();
    inside -= reads ? 1 : -10;
    CHECK(reads ? inside >= 0 : inside == 0);
    CHECK_EQ(reads ? gos_rwmutex_runlock(&rw) : gos_rwmutex_unlock(&rw), GOS_OK);
  }
}
SCENARIO(ctx_rwmutex, 3, 0) {
  team t = {0};
  will_end();
  for (int i = 0; i < 4; i++) team_go(&t, reads_or_writes, i % 2 ? &t : NULL);
  has_ended();
  team_wait(&t);
  CHECK_EQ(gos_rwmutex_trylock(&rw), GOS_OK);
  let_go();
}

/* Every token has its signal; who gives up takes none along, so the patient one sees them all. */
static gos_cond cond;
static int tokens, left;
static bool with_rw;
static void lock_tokens(void) { with_rw ? gos_rwmutex_lock(&rw) : gos_mutex_lock(&mu); }
static void unlock_tokens(void) { CHECK_EQ(with_rw ? gos_rwmutex_unlock(&rw) : gos_mutex_unlock(&mu), GOS_OK); }
static int wait_tokens(gos_ctx *x) {
  int e = with_rw ? gos_cond_wait_rw_ctx(&cond, &rw, x) : gos_cond_wait_ctx(&cond, &mu, x);
  CHECK_EQ(inside, 0);
  return e;
}
static void takes_tokens(void *u) {
  bool stop = false;
  lock_tokens();
  while (left > 0 && !stop) {
    if (tokens)
      tokens--, left--;
    else
      stop = gave_up(wait_tokens(u ? ctx : NULL));
  }
  bool last = left == 0;
  unlock_tokens();
  if (last) gos_cond_broadcast(&cond); /* not else: that would make up for a lost signal */
}
SCENARIO(ctx_cond, 3, 0) {
  team t = {0};
  with_rw = ex_roll(2);
  left = 3;
  will_end();
  team_go(&t, takes_tokens, NULL);
  for (int i = 0; i < 2; i++) team_go(&t, takes_tokens, &t);
  for (int i = 0; i < 3; i++) {
    lock_tokens();
    tokens++;
    inside++;
    ex_point();
    inside--;
    unlock_tokens();
    gos_cond_signal(&cond);
  }
  has_ended();
  team_wait(&t);
  CHECK_EQ(left, 0);
  let_go();
}

/* ---- groups, once, joins, sleeps ---------------------------------------------------------------------------- */
static gos_waitgroup wg;
static int done;
static void part(void *u) {
  (void)u;
  if (ex_roll(2)) gos_gosched();
  done++;
}
static void waits_for_group(void *u) {
  (void)u;
  if (!gave_up(gos_waitgroup_wait_ctx(&wg, ctx))) CHECK_EQ(done, 2);
}
SCENARIO(ctx_waitgroup, 3, 0) {
  team t = {0};
  will_end();
  for (int i = 0; i < 2; i++) CHECK_EQ(gos_waitgroup_go(&wg, part, NULL), GOS_OK);
  for (int i = 0; i < 2; i++) team_go(&t, waits_for_group, NULL);
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
  has_ended();
  team_wait(&t);
  let_go();
}

static gos_once once;
static void makes(void *u) {
  (void)u;
  done++;
  gos_sleep(ex_roll(3000)); /* ends for no context */
  ex_point();
  done++;
}
static void user(void *u) {
  (void)u;
  int e = gos_once_do_ctx(&once, makes, NULL, ctx);
  if (!gave_up(e)) CHECK_EQ(done, 2);
}
SCENARIO(ctx_once, 3, 0) {
  team t = {0};
  will_end();
  for (int i = 0; i < 3; i++) team_go(&t, user, NULL);
  has_ended();
  team_wait(&t);
  CHECK(done == 0 || done == 2);
  let_go();
}

static void sleeper(void *u) {
  gos_ns d = ex_roll(20000), t0 = gos_now();
  int e = u ? gos_join_ctx(u, ctx) : gos_sleep_ctx(d, ctx);
  if (!gave_up(e) && !u) CHECK(gos_now() >= t0 + d);
}
SCENARIO(ctx_sleep_join, 3, 0) {
  will_end();
  gos_g *g = ex_go(sleeper, NULL), *h = ex_go(sleeper, g), *i = ex_go(sleeper, g);
  has_ended();
  ex_finish(h), ex_finish(i), ex_finish(g);
  let_go();
}

static gos_errgroup *group;
static int started, promised;
static int member(void *u) {
  started++;
  if (ex_roll(2)) gos_gosched();
  return u ? 5 : 0;
}
static void adds(void *u) {
  for (int i = 0; i < 2; i++) {
    int e = gos_errgroup_go_ctx(group, member, u, ctx);
    promised += !gave_up(e);
  }
  int e = gos_errgroup_wait_ctx(group, ctx);
  CHECK(e == GOS_OK || e == 5 || gave_up(e));
}
SCENARIO(ctx_errgroup, 3, EX_THREADS) {
  team t = {0};
  CHECK(group = gos_errgroup_new(NULL));
  CHECK_EQ(gos_errgroup_set_limit(group, 1), GOS_OK);
  will_end();
  bool fails = ex_roll(2);
  for (int i = 0; i < 2; i++) team_go(&t, adds, fails ? &t : NULL);
  has_ended();
  team_wait(&t);
  CHECK_EQ(gos_errgroup_wait(group), fails && started ? 5 : GOS_OK);
  CHECK_EQ(started, promised);
  CHECK_EQ(gos_ctx_err(gos_errgroup_ctx(group)), GOS_CANCELED);
  gos_errgroup_free(group);
  let_go();
}

static gos_flight *flight;
static int flies(void *u, void **val) {
  if (ex_roll(2)) gos_sleep(ex_roll(3000));
  ex_point();
  return *val = u, 5;
}
static void asks(void *u) {
  void *val = NULL;
  int e = gos_flight_do_ctx(flight, "key", flies, u, &val, NULL, ctx);
  if (e == 5) {
    CHECK(val != NULL);
    received++;
  } else {
    CHECK(gave_up(e) && !val);
  }
}
SCENARIO(ctx_flight, 3, 0) {
  team t = {0};
  CHECK(flight = gos_flight_new());
  will_end();
  for (int i = 0; i < 3; i++) team_go(&t, asks, &t);
  has_ended();
  team_wait(&t);
  gos_flight_free(flight); /* nothing runs any more, and nothing else keeps it */
  let_go();
}

/* ---- a semaphore: first come, first served, and those who give up are not in the way ------------------------- */
static gos_sem *sem;
static int turn;
static void small(void *u) {
  int64_t n = 1 + (int64_t)(uintptr_t)u;
  CHECK_EQ(gos_sem_acquire(sem, n), GOS_OK);
  CHECK((inside += (int)n) <= 3);
  ex_point();
  inside -= (int)n;
  CHECK_EQ(gos_sem_release(sem, n), GOS_OK);
}
static void big(void *u) {
  (void)u;
  if (gave_up(gos_sem_acquire_ctx(sem, 3, ctx))) return;
  CHECK_EQ(inside, 0);
  ex_point();
  CHECK_EQ(gos_sem_release(sem, 3), GOS_OK);
}
SCENARIO(ctx_semaphore, 3, 0) {
  team t = {0};
  CHECK(sem = gos_sem_new(3));
  CHECK_EQ(gos_sem_acquire(sem, 1), GOS_OK); /* held to the end: big ones can only give up */
  bool held = ex_roll(2);
  if (!held) CHECK_EQ(gos_sem_release(sem, 1), GOS_OK);
  will_end();
  team_go(&t, big, NULL), team_go(&t, small, (void *)1), team_go(&t, big, NULL), team_go(&t, small, NULL);
  has_ended();
  team_wait(&t);
  if (held) CHECK_EQ(gos_sem_release(sem, 1), GOS_OK);
  CHECK_EQ(gos_sem_try_acquire(sem, 3), GOS_OK);
  let_go();
}

static int order[3];
static void in_turn(void *u) {
  int me = (int)(intptr_t)u;
  gos_ctx *x = me == 1 ? ctx : NULL;
  int e = gos_sem_acquire_ctx(sem, me == 1 ? 2 : 1, x);
  if (me == 1 && gave_up(e)) return;
  CHECK_EQ(e, GOS_OK);
  order[turn++] = me;
  CHECK_EQ(gos_sem_release(sem, me == 1 ? 2 : 1), GOS_OK);
}
static void until_queued(gos_g *g) {
  for (gos_info i; gos_info_get(g, &i, sizeof i) == GOS_OK && strcmp(i.status, "waiting") && gos_g_alive(g);)
    gos_gosched(), ex_spin();
}
SCENARIO(ctx_semaphore_fifo, 2, 0) {
  gos_g *g[3];
  CHECK(sem = gos_sem_new(2));
  CHECK_EQ(gos_sem_acquire(sem, 2), GOS_OK);
  will_end();
  for (intptr_t i = 0; i < 3; i++) {
    g[i] = ex_go(in_turn, (void *)i);
    until_queued(g[i]);
  }
  CHECK_EQ(gos_sem_release(sem, 2), GOS_OK);
  for (int i = 0; i < 3; i++) ex_finish(g[i]);
  CHECK(turn >= 2);
  CHECK(turn == 3 ? order[0] == 0 || order[0] == 1 || order[0] == 2 : order[0] != 1 && order[1] != 1);
  has_ended();
  let_go();
}

/* ---- functions: each is either stopped or runs, once ------------------------------------------------------------ */
enum { FUNCS = 4 };
static int ran[FUNCS], stopped[FUNCS];
static void *handle[FUNCS];
static void runs(void *u) { ++*(int *)u; }
static void stops(void *u) {
  for (int i = (int)(intptr_t)u; i < FUNCS; i += 2) {
    stopped[i] = gos_ctx_stop(handle[i]);
    if (ex_roll(2)) gos_gosched();
  }
}
static void stops_outside(void *u) { stops(u); }
SCENARIO(ctx_after_func, 3, EX_THREADS) {
  team t = {0};
  will_end();
  for (int i = 0; i < FUNCS; i++) CHECK_EQ(gos_ctx_after_func(ctx, runs, &ran[i], &handle[i]), GOS_OK);
  int th = ex_thread(stops_outside, (void *)1);
  team_go(&t, stops, (void *)0);
  ex_join(th);
  has_ended();
  team_wait(&t);
  for (int i = 0; i < FUNCS; i++)
    while (ran[i] + stopped[i] == 0) gos_gosched(), ex_spin();
  for (int i = 0; i < FUNCS; i++) CHECK_EQ(ran[i] + stopped[i], 1);
  let_go();
}

/* ---- ends that meet ---------------------------------------------------------------------------------------------- */
static gos_ctx *a, *b, *m, *below;
static void cancels_a(void *u) { (void)u, gos_cancel(a, 1); }
static void cancels_b(void *u) { (void)u, gos_cancel(b, 2); }
static void waits_for_m(void *u) {
  (void)u;
  CHECK_EQ(gos_chan_recv(gos_ctx_done(m), NULL), GOS_CLOSED);
  CHECK_EQ(gos_ctx_err(m), GOS_CANCELED);
  int cause = gos_ctx_cause(m);
  CHECK(cause == 1 || cause == 2);
  CHECK_EQ(gos_ctx_cause(m), cause);
}
SCENARIO(ctx_merge, 3, 0) {
  team t = {0};
  gos_ctx *top = gos_with_cancel(NULL);
  a = gos_with_cancel(top), b = ex_roll(2) ? gos_with_cancel(a) : gos_with_cancel(top);
  m = gos_merge(a, b);
  below = gos_with_cancel(m);
  team_go(&t, waits_for_m, NULL);
  int th = ex_thread(cancels_b, NULL);
  if (ex_roll(2)) team_go(&t, cancels_a, NULL);
  if (ex_roll(2)) {
    gos_cancel(a, 1);
    CHECK_EQ(gos_ctx_err(below), GOS_CANCELED); /* all below have ended */
  }
  team_wait(&t);
  ex_join(th);
  CHECK_EQ(gos_ctx_cause(below), gos_ctx_cause(m));
  CHECK_EQ(gos_ctx_err(top), GOS_OK);
  gos_ctx_release(below), gos_ctx_release(a), gos_ctx_release(b), gos_ctx_release(m), gos_ctx_release(top);
}

/* Children come and go while it ends, and are given up by whoever is last. */
static void makes_children(void *u) {
  (void)u;
  for (int i = 0; i < 2; i++) {
    uint32_t how = ex_roll(4);
    gos_ctx *x = how == 0   ? gos_with_cancel(ctx)
                 : how == 1 ? gos_with_timeout(ctx, ex_roll(5000))
                 : how == 2 ? gos_with_grace(ctx, ex_roll(5000))
                            : gos_merge(ctx, gos_background());
    gos_ctx *y = gos_with_cancel(x);
    if (ex_roll(2)) gos_cancel(x, 3);
    gos_chan *closed = ex_roll(2) ? gos_ctx_done(y) : NULL;
    if (gos_ctx_err(y) && closed) CHECK(gos_chan_closed(closed));
    gos_ctx_release(x);
    gos_ctx_release(y);
  }
}
SCENARIO(ctx_children, 3, 0) {
  team t = {0};
  will_end();
  for (int i = 0; i < 2; i++) team_go(&t, makes_children, NULL);
  int th = ex_thread(makes_children, NULL);
  makes_children(NULL);
  ex_join(th);
  has_ended();
  team_wait(&t);
  let_go();
}

static void grace_waits(void *u) {
  (void)u;
  gos_ns t0 = gos_now();
  CHECK_EQ(gos_chan_recv(gos_ctx_done(below), NULL), GOS_CLOSED);
  CHECK(gos_ctx_err(ctx) && gos_now() >= t0);
}
SCENARIO(ctx_grace, 2, EX_THREADS) {
  will_end();
  below = gos_with_grace(ctx, 1 + ex_roll(10000));
  CHECK(below != NULL);
  gos_g *g = ex_go(grace_waits, NULL);
  int e = gos_chan_recv_dl(gos_ctx_done(below), NULL, gos_now() + ex_roll(20000));
  CHECK(e == GOS_CLOSED || e == GOS_TIMEDOUT);
  gos_cancel(the_end.top, CAUSE);
  ex_finish(g);
  CHECK_EQ(gos_ctx_err(below), gos_ctx_err(ctx));
  gos_ctx_release(below);
  has_ended();
  let_go();
}

/* Timers of contexts that are given up in time: by one who may lose its P meanwhile. */
static void gives_up(void *u) {
  (void)u;
  for (int i = 0; i < 4; i++) {
    gos_ctx *x = gos_with_timeout(NULL, ex_roll(4000)), *y = gos_with_timeout(NULL, ex_roll(8000));
    if (ex_roll(2)) gos_sleep(ex_roll(2000));
    if (ex_roll(2)) gos_gosched();
    gos_ctx_release(x);
    gos_ctx_release(y);
  }
}
SCENARIO(ctx_timers, 1, EX_SYSMON) {
  team t = {0};
  for (int i = 0; i < 3; i++) team_go(&t, gives_up, NULL);
  gives_up(NULL);
  team_wait(&t);
}

/* ---- file descriptors -------------------------------------------------------------------------------------------- */
static void waits_for_fd(void *u) {
  int e = gos_fd_wait_ctx((int)(intptr_t)u, GOS_READ, ctx);
  if (!gave_up(e)) CHECK_EQ(e, GOS_READ);
}
SCENARIO(ctx_fd, 2, EX_SYSMON) {
  team t = {0};
  will_end();
  for (intptr_t fd = 0; fd < 3; fd++) team_go(&t, waits_for_fd, (void *)(fd / 2));
  if (ex_roll(2)) ex_fd_ready(0, GOS_READ);
  if (ex_roll(2)) gos_gosched();
  has_ended();
  team_wait(&t);
  let_go();
}
