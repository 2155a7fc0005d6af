// ctest: timeout=60
/* What is promised about fairness, by counting: no clock decides whether a test passes.
 *   - select chooses evenly among the ready cases, whatever their number and place;
 *   - a goroutine that is ready runs although others spin, yield to each other, or call in without end;
 *   - a timer or deadline is never early.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "test.h"

/* ---- select: chi-square against even choice ------------------------------------------------ */
/* Beyond this a fair choice goes once in 10^9, by degrees of freedom: the test is run often. */
static const double too_much[] = {0, 37.32, 41.45, 44.84, 47.88, 50.69, 53.34, 55.87};

static void check_even(const long *count, int n, long draws) {
  double expected = (double)draws / n, chi = 0;
  for (int i = 0; i < n; i++) chi += (count[i] - expected) * (count[i] - expected) / expected;
  if (chi > too_much[n - 1]) {
    for (int i = 0; i < n; i++) fprintf(stderr, "case %d: %ld of %ld\n", i, count[i], draws);
    test_fail(__FILE__, __LINE__, "%d cases: chi-square %.1f, more than %.1f", n, chi, too_much[n - 1]);
  }
}

/* All of n cases are ready; between them are some that are not, which must not shift the choice. */
static void even_among(int n, int gaps) {
  enum { MOST = 12 };
  gos_chan *full[MOST], *empty = gos_chan_make(sizeof(int), 1);
  gos_case cs[MOST];
  int v[MOST], place[MOST], k = 0;
  long count[MOST] = {0}, draws = scaled(40000);
  for (int i = 0; i < n; i++) {
    if (i < gaps) cs[k++] = (gos_case)GOS_RECV(empty, NULL); /* never ready */
    full[i] = gos_chan_make(sizeof(int), 1);
    place[k] = i, v[k] = i;
    cs[k] = i % 2 ? (gos_case)GOS_RECV(full[i], &v[k]) : (gos_case)GOS_SEND(full[i], &v[k]);
    if (i % 2) CHECK_EQ(gos_chan_send(full[i], &i), GOS_OK);
    k++;
  }
  for (long d = 0; d < draws; d++) {
    int won = gos_select(cs, k, GOS_FOREVER);
    CHECK(won >= 0 && won < k);
    int i = place[won], x;
    count[i]++;
    CHECK_EQ(i % 2 ? gos_chan_send(full[i], &i) : gos_chan_recv(full[i], &x), GOS_OK); /* ready again */
  }
  check_even(count, n, draws);
  for (int i = 0; i < n; i++) gos_chan_release(full[i]);
  gos_chan_release(empty);
}
TEST(select_is_even) {
  for (int n = 2; n <= 8; n++) even_among(n, 0);
}
TEST(select_is_even_beside_cases_that_are_not_ready) {
  even_among(2, 1), even_among(3, 2), even_among(5, 1), even_among(6, 4);
}

/* The same channel in several cases: each of them counts. */
TEST(select_is_even_among_cases_of_one_channel) {
  gos_chan *c = gos_chan_make(sizeof(int), 1);
  int v[3], x;
  gos_case cs[] = {GOS_SEND(c, &v[0]), GOS_SEND(c, &v[1]), GOS_SEND(c, &v[2])};
  long count[3] = {0}, draws = scaled(40000);
  for (long d = 0; d < draws; d++) {
    int won = gos_select(cs, 3, GOS_NOW);
    CHECK(won >= 0 && won < 3);
    count[won]++;
    CHECK_EQ(gos_chan_recv(c, &x), GOS_OK);
  }
  check_even(count, 3, draws);
  gos_chan_release(c);
}

/* ---- nobody who is ready waits for ever ------------------------------------------------------ */
static atomic_bool stop;
static atomic_long turns[16], spun;
static void take_turns(void *arg) {
  while (!stop) atomic_fetch_add((atomic_long *)arg, 1), gos_gosched();
}
static void spin(void *arg) { /* calls nothing at all */
  (void)arg;
  while (!stop) atomic_fetch_add(&spun, 1);
}
static void *until_all_have_had(long n, int goroutines) {
  for (int i = 0; i < goroutines; i++)
    while (turns[i] < n) gos_gosched();
  stop = true;
  return NULL;
}

static uint64_t handoffs(void) {
  gos_stats s;
  CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
  return s.handoffs;
}
/* Goroutines that yield share the Ps: while the slowest gets its turns no other gets more than its share
   many times over. Only counted where one P makes the order certain, and where the system let its thread run: else
   another thread had it meanwhile, for as long as the first one waited for a CPU. */
TEST(yields_are_shared) {
  enum { N = 8 };
  gos_g *g[N];
  uint64_t before = handoffs();
  for (int i = 0; i < N; i++) g[i] = spawn(take_turns, &turns[i]);
  until_all_have_had(scaled(1000), N);
  long least = turns[0], most = turns[0];
  for (int i = 0; i < N; i++) least = turns[i] < least ? turns[i] : least, most = turns[i] > most ? turns[i] : most;
  for (int i = 0; i < N; i++) finish(g[i]);
#ifdef GOS_HARD /* more of them than the run queue holds: those in the global queue come at every 64th pick */
  long bound = 64 * N * (least + 1);
#else
  long bound = least + least / 4 + 64;
#endif
  if (test_procs == 1 && handoffs() == before) CHECK(most <= bound);
}

/* As many goroutines that never call in as there are Ps: the others run all the same. */
TEST(spinners_starve_nobody) {
  enum { N = 3 };
  gos_g *g[N], *spinner[4];
  for (int i = 0; i < test_procs; i++) spinner[i] = spawn(spin, NULL);
  for (int i = 0; i < N; i++) g[i] = spawn(take_turns, &turns[i]);
  until_all_have_had(scaled(20), N);
  for (int i = 0; i < N; i++) finish(g[i]);
  for (int i = 0; i < test_procs; i++) finish(spinner[i]);
}

/* Two that ready each other for ever use runnext, which comes before the queue. */
static gos_chan *ping, *pong;
static void echo(void *arg) {
  int v;
  (void)arg;
  while (gos_chan_recv(ping, &v) == GOS_OK && gos_chan_send(pong, &v) == GOS_OK) {}
}
static void serve(void *arg) {
  int v = 0;
  (void)arg;
  while (!stop && gos_chan_send(ping, &v) == GOS_OK && gos_chan_recv(pong, &v) == GOS_OK) {}
  gos_chan_close(ping);
}
TEST(ping_pong_starves_nobody) {
  enum { N = 3 };
  gos_g *g[N];
  ping = gos_chan_make(sizeof(int), 0), pong = gos_chan_make(sizeof(int), 0);
  gos_g *a = spawn(echo, NULL), *b = spawn(serve, NULL);
  for (int i = 0; i < N; i++) g[i] = spawn(take_turns, &turns[i]);
  until_all_have_had(scaled(500), N);
  for (int i = 0; i < N; i++) finish(g[i]);
  finish(b), finish(a);
}

/* One that calls in without end, and always with success, is inside at nearly every look of the monitor. */
static void call_in(void *arg) {
  gos_chan *c = arg;
  int v = 0;
  while (!stop) CHECK(gos_chan_send(c, &v) == GOS_OK && gos_chan_recv(c, &v) == GOS_OK);
}
TEST(busy_callers_starve_nobody) {
  enum { N = 3 };
  gos_g *g[N], *caller[4];
  gos_chan *c[4];
  for (int i = 0; i < test_procs; i++) caller[i] = spawn(call_in, c[i] = gos_chan_make(sizeof(int), 1));
  for (int i = 0; i < N; i++) g[i] = spawn(take_turns, &turns[i]);
  until_all_have_had(5, N);
  for (int i = 0; i < N; i++) finish(g[i]);
  for (int i = 0; i < test_procs; i++) finish(caller[i]), gos_chan_release(c[i]);
}

/* A mutex that is taken again at once lets the one who waits have it: it starves for a millisecond at most, then is
   handed over. */
static gos_mutex mu;
static void grab(void *arg) {
  (void)arg;
  while (!stop) {
    gos_mutex_lock(&mu);
    gos_gosched();
    gos_mutex_unlock(&mu);
  }
}
TEST(a_mutex_is_handed_over) {
  gos_g *a = spawn(grab, NULL), *b = spawn(grab, NULL);
  for (int i = 0; i < scaled(20); i++) {
    gos_mutex_lock(&mu);
    gos_mutex_unlock(&mu);
    gos_gosched();
  }
  stop = true;
  finish(a), finish(b);
}

/* ---- never early ---------------------------------------------------------------------------------- */
static void check_times(void *arg) {
  unsigned rng = (unsigned)(intptr_t)arg;
  gos_chan *never = gos_chan_make(sizeof(int), 0);
  gos_timer *t = gos_timer_new(GOS_FOREVER);
  CHECK(never && t);
  for (int i = 0; i < scaled(60); i++) {
    gos_ns d = rand_r(&rng) % 400000, at = gos_now() + d, tick = 0;
    gos_case cs[] = {GOS_RECV(never, NULL), GOS_RECV(NULL, NULL)};
    switch (i % 5) {
    case 0: CHECK_EQ(gos_sleep(d), GOS_OK); break;
    case 1: CHECK_EQ(gos_chan_recv_dl(never, NULL, at), GOS_TIMEDOUT); break;
    case 2: CHECK_EQ(gos_select(cs, 2, at), GOS_TIMEDOUT); break;
    case 3:
      gos_timer_reset(t, d);
      CHECK_EQ(gos_chan_recv(gos_timer_c(t), &tick), GOS_OK);
      CHECK(tick >= at);
      break;
    default: {
      gos_chan *c = gos_after(d);
      CHECK_EQ(gos_chan_recv(c, &tick), GOS_OK);
      CHECK(tick >= at);
      gos_chan_release(c);
    }
    }
    CHECK(gos_now() >= at);
  }
  gos_timer_free(t);
  gos_chan_release(never);
}
TEST(timers_are_never_early) {
  enum { N = 20 };
  gos_g *g[N];
  for (intptr_t i = 0; i < N; i++) g[i] = spawn(check_times, (void *)(i + 1));
  for (int i = 0; i < N; i++) finish(g[i]);
}
