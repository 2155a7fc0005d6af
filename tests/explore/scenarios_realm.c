/* A host language's goroutines: inbox, hand-off. SPDX-License-Identifier: Apache-2.0 */
#include "team.h"

typedef struct place {
  uint32_t lock;
  int inside;
} place;
static place here, there;
static int fibers;
static gos_realm *realm;
static gos_chan *c, *confined;
static int nsent, nreceived;

static place *place_of(void *u) { return u ? u : &here; }
static void *host_thread_new(void *u) { return place_of(u); }
static void host_attach(void *u, void *s) {
  place *p = place_of(u);
  (void)s;
  ex_mutex_lock(&p->lock);
  CHECK_EQ(p->inside++, 0);
}
static void host_detach(void *u, void *s) {
  place *p = place_of(u);
  (void)s;
  CHECK_EQ(--p->inside, 0);
  ex_mutex_unlock(&p->lock);
}
static void *host_fiber_new(void *u, char *lo, char **hi) {
  (void)u, (void)hi;
  fibers++;
  return lo;
}
static void host_swap(void *u, void *from, void *to) {
  (void)from, (void)to;
  CHECK_EQ(place_of(u)->inside, 1);
}
/* Threads that the runtime has not seen may help. */
static int strangers;
static int host_alone(void *u) { return (void)u, strangers == 0; }
static int host_stuck(void *u, void *s, gos_ns age) {
  (void)u, (void)s;
  return age > 100000;
}

/* Of the thread that calls. u: NULL, or its place; then no other thread serves it. */
static gos_realm *new_realm(void *u) {
  gos_host h = {.size = sizeof h,
                .language = "test",
                .flags = u ? GOS_HOST_PINNED : 0,
                .stack = 65536,
                .u = u,
                .main_state = place_of(u),
                .thread_new = host_thread_new,
                .attach = host_attach,
                .detach = host_detach,
                .fiber_new = host_fiber_new,
                .swap = host_swap,
                .stuck = host_stuck,
                .alone = host_alone};
  int e = GOS_OK;
  host_attach(u, NULL);
  gos_realm *r = gos_realm_new(&h, &e);
  CHECK_EQ(e, GOS_OK);
  return r;
}
static void set_up(void) {
  realm = new_realm(NULL);
  confined = gos_realm_chan(realm, sizeof(int), 0);
  c = gos_chan_make(sizeof(int), 0);
}
static void tear_down(void) {
  gos_realm_close(realm);
  host_detach(NULL, NULL);
}
static void realm_go(void (*fn)(void *), void *arg) { CHECK_EQ(gos_realm_go(realm, NULL, 0, fn, arg, NULL), GOS_OK); }
static void tell_main(void) {
  int v = 1;
  CHECK_EQ(gos_chan_send(confined, &v), GOS_OK);
}
static void wait_for(int n) {
  for (int v; n-- > 0;) CHECK_EQ(gos_chan_recv(confined, &v), GOS_OK);
}

/* ---- readied from outside, without the host's lock, while the owner goes to sleep ------------------- */
static void taker(void *u) {
  int v = 0, e = gos_chan_recv_dl(c, &v, u ? gos_now() + ex_roll(20000) : GOS_FOREVER);
  CHECK(e == GOS_OK || (u && e == GOS_TIMEDOUT));
  nreceived += e == GOS_OK;
  tell_main();
}
static void giver(void *u) {
  (void)u;
  int v = 9, e = gos_chan_send(c, &v);
  CHECK(e == GOS_OK || e == GOS_CLOSED);
  nsent += e == GOS_OK;
}
SCENARIO(realm_inbox, 1, EX_BARE | EX_THREADS) {
  set_up();
  realm_go(taker, NULL);
  realm_go(taker, (void *)(intptr_t)ex_roll(2));
  int x = ex_thread(giver, NULL), y = ex_thread(giver, NULL);
  wait_for(2);
  CHECK_EQ(gos_chan_close(c), GOS_OK); /* a giver too many */
  host_detach(NULL, NULL);
  ex_join(x), ex_join(y);
  host_attach(NULL, NULL);
  CHECK_EQ(nsent, nreceived);
  tear_down();
}

/* ---- a goroutine that blocks: another thread becomes the owner -------------------------------------------- */
static uint32_t opened;
static void realm_blocker(void *u) {
  (void)u;
  host_detach(NULL, NULL); /* as a language does around a system call */
  while (!opened) ex_wait(&opened, 0, GOS_FOREVER);
  host_attach(NULL, NULL);
  tell_main();
}
static void realm_opener(void *u) {
  (void)u;
  if (ex_roll(2)) gos_gosched();
  opened = 1;
  ex_wake(&opened);
  ex_wake(&opened);
  tell_main();
}
SCENARIO(realm_handoff, 1, EX_BARE | EX_SYSMON) {
  set_up();
  realm_go(realm_blocker, NULL);
  if (ex_roll(2))
    realm_go(realm_blocker, NULL), realm_go(realm_opener, NULL), wait_for(3);
  else
    realm_go(realm_opener, NULL), wait_for(2);
  if (ex_roll(2)) gos_sleep(ex_roll(20000));
  realm_go(realm_opener, NULL);
  wait_for(1);
  tear_down();
}

/* ---- two realms' worth of threads, and C's own: values to and fro ---------------------------------------------- */
static void realm_timer_user(void *u) {
  (void)u;
  gos_ns d = ex_roll(30000), t0 = gos_now();
  CHECK_EQ(gos_sleep(d), GOS_OK);
  CHECK(gos_now() >= t0 + d);
  tell_main();
}
SCENARIO(realm_timers, 1, EX_BARE | EX_THREADS) {
  set_up();
  for (int i = 0; i < 2; i++) realm_go(realm_timer_user, NULL);
  int x = ex_thread(giver, NULL);
  realm_go(taker, NULL);
  wait_for(3);
  CHECK_EQ(gos_chan_close(c), GOS_OK); /* a giver too many */
  host_detach(NULL, NULL);
  ex_join(x);
  host_attach(NULL, NULL);
  CHECK_EQ(nsent, nreceived);
  tear_down();
}

/* ---- functions after a context's end: stopped or run, once, by whomever it is ended ------------------------ */
enum { FUNCS = 3 };
static struct func {
  void *stop; /* NULL: given back */
  int ran, stopped;
} funcs[FUNCS];
static int give_back(struct func *f) {
  void *stop = f->stop;
  f->stop = NULL;
  return gos_ctx_stop(stop);
}
static void func_runs(void *u) {
  struct func *f = u;
  CHECK_EQ(here.inside, 1);
  if (f->stop) CHECK_EQ(give_back(f), 0);
  f->ran++;
  tell_main();
}
static void cancels_outside(void *u) { gos_cancel(u, 7); }
static void cancels_inside(void *u) {
  if (ex_roll(2)) gos_gosched();
  gos_cancel(u, 8);
  tell_main();
}
SCENARIO(realm_ctx_func, 1, EX_BARE | EX_THREADS) {
  set_up();
  gos_ctx *top = gos_with_cancel(NULL), *x = gos_with_cancel(top);
  int to_come = 0, thread = ex_roll(4) ? ex_thread(cancels_outside, top) : 0;
  for (int i = 0; i < FUNCS; i++)
    CHECK_EQ(gos_realm_ctx_after_func(realm, x, func_runs, &funcs[i], &funcs[i].stop), GOS_OK);
  if (!thread || ex_roll(2)) realm_go(cancels_inside, x), to_come++;
  if (ex_roll(2)) gos_gosched();
  for (int i = 0; i < FUNCS; i++) {
    struct func *f = &funcs[i];
    f->stopped = f->stop && ex_roll(2) ? give_back(f) : 0;
    to_come += !f->stopped; /* also one that has run: main has not heard of it yet */
  }
  gos_ctx_release(x);
  wait_for(to_come);
  for (int i = 0; i < FUNCS; i++) CHECK_EQ(funcs[i].ran + funcs[i].stopped, 1);
  host_detach(NULL, NULL);
  if (thread) ex_join(thread);
  host_attach(NULL, NULL);
  gos_ctx_release(top);
  tear_down();
}

/* ---- file descriptors: whichever of the realm's threads sleeps in the poller, nobody waits for ever ------------ */
enum { FILES = 2, READS = 3 };
static int nread;
static void realm_reader(void *u) {
  int fd = (int)(intptr_t)u;
  for (int i = 0; i < READS; i++) {
    CHECK_EQ(gos_fd_wait(fd, GOS_READ, GOS_FOREVER), GOS_READ);
    ex_fd_ready(fd, 0); /* read: nothing is left */
    nread++;
    if (ex_roll(4) == 0) gos_gosched();
  }
  tell_main();
}
static void feeds_files(void *u) {
  (void)u;
  for (int n = 0; n < FILES * READS;) {
    int before = n;
    for (int fd = 0; fd < FILES; fd++) ex_fd_ready(fd, GOS_READ);
    while ((n = nread) == before) ex_spin();
  }
}
SCENARIO(realm_fd, 1, EX_BARE | EX_SYSMON) {
  set_up();
  for (int fd = 0; fd < FILES; fd++) realm_go(realm_reader, (void *)(intptr_t)fd);
  realm_go(realm_blocker, NULL);
  int thread = ex_thread(feeds_files, NULL);
  if (ex_roll(2))
    realm_go(realm_blocker, NULL), realm_go(realm_opener, NULL), wait_for(3 + FILES);
  else
    realm_go(realm_opener, NULL), wait_for(2 + FILES);
  CHECK_EQ(nread, FILES * READS);
  host_detach(NULL, NULL);
  ex_join(thread);
  host_attach(NULL, NULL);
  tear_down();
}

/* ---- a deadlock? One that was looked at is woken by one that was not, which then sleeps itself; or by a thread that nobody
   has seen, which then goes; and where a realm begins or ends ----------------------------------------------------------- */
void gosi_deadlock_check(void);
enum { QUESTIONS = 3, LOOKS = 8 };
static gos_chan *answers, *done;
static bool answered;
static void answers_all(void *u) {
  int v;
  gos_realm *r = new_realm(u);
  while (gos_chan_recv(c, &v) == GOS_OK) CHECK_EQ(gos_chan_send(answers, &v), GOS_OK);
  CHECK_EQ(gos_realm_end(r), GOS_OK);
  host_detach(u, NULL);
  answered = true;
}
static void asks(void) {
  for (int i = 0, v; i < QUESTIONS; i++) {
    CHECK_EQ(gos_sleep(ex_roll(20000)), GOS_OK);
    CHECK_EQ(gos_chan_send(c, &i), GOS_OK);
    CHECK_EQ(gos_chan_recv(answers, &v), GOS_OK);
    CHECK_EQ(v, i);
  }
  CHECK_EQ(gos_chan_close(c), GOS_OK);
}
static void closes_and_goes(void *u) {
  (void)u;
  CHECK_EQ(gos_chan_close(done), GOS_OK);
  strangers--;
}
static void waits_for_a_stranger(void *u) {
  uint32_t never = 0;
  (void)u;
  CHECK_EQ(gos_chan_recv(done, NULL), GOS_CLOSED);
  host_detach(NULL, NULL);
  ex_wait(&never, 0, gos_now() + 20000);
  host_attach(NULL, NULL);
  tell_main();
}
/* What the monitor does when it has seen nobody run for a while. */
static void looks(void *u) {
  (void)u;
  for (int i = 0; i < LOOKS; i++) gosi_deadlock_check();
}
SCENARIO(realm_no_deadlock, 1, EX_BARE | EX_THREADS) {
  set_up();
  answers = gos_chan_make(sizeof(int), 0), done = gos_chan_make(sizeof(int), 0);
  CHECK_EQ(gos_host_thread("there", 0, answers_all, &there), GOS_OK);
  strangers = 1;
  int x = ex_onlooker(looks, NULL), y = ex_thread(closes_and_goes, NULL);
  realm_go(waits_for_a_stranger, NULL);
  wait_for(1);
  asks();
  host_detach(NULL, NULL);
  while (!answered) ex_spin();
  ex_join(x), ex_join(y);
  host_attach(NULL, NULL);
  tear_down();
}
/* Main is C's: the report comes at once. */
static void asks_in_a_realm(void *u) {
  gos_realm *r = new_realm(u);
  asks();
  CHECK_EQ(gos_realm_end(r), GOS_OK);
  host_detach(u, NULL);
  CHECK_EQ(gos_chan_close(done), GOS_OK);
}
SCENARIO(realms_no_deadlock, 2, EX_THREADS) {
  c = gos_chan_make(sizeof(int), 0), answers = gos_chan_make(sizeof(int), 0), done = gos_chan_make(sizeof(int), 0);
  CHECK_EQ(gos_host_thread("there", 0, answers_all, &there), GOS_OK);
  CHECK_EQ(gos_host_thread("here", 0, asks_in_a_realm, &here), GOS_OK);
  int x = ex_onlooker(looks, NULL);
  CHECK_EQ(gos_chan_recv(done, NULL), GOS_CLOSED);
  while (!answered) ex_spin();
  ex_join(x);
}
