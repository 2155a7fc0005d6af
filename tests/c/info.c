// ctest: timeout=60
/* What is told about goroutines: info, foreach, dump, stats.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static gos_chan *c;
static gos_mutex mu;
static gos_waitgroup wg;
static atomic_bool stop;

static void w_recv(void *a) { (void)a, gos_chan_recv(c, NULL); }
static void w_send(void *a) { (void)a, gos_chan_send(c, &(long){1}); }
static void w_nil_recv(void *a) { (void)a, gos_chan_recv(NULL, NULL); }
static void w_nil_send(void *a) { (void)a, gos_chan_send(NULL, NULL); }
static void w_select(void *a) {
  (void)a, gos_select((gos_case[]){GOS_RECV(NULL, NULL), GOS_RECV(c, NULL)}, 2, GOS_FOREVER);
}
static void w_none(void *a) { (void)a, gos_select(NULL, 0, GOS_FOREVER); }
static void w_sleep(void *a) { (void)a, gos_sleep(3600000 * MS); }
static void w_lock(void *a) { (void)a, gos_mutex_lock_dl(&mu, GOS_FOREVER); }
static void w_wait(void *a) { (void)a, gos_waitgroup_wait(&wg); }

static const struct {
  void (*fn)(void *);
  const char *reason;
} kinds[] = {
    {w_recv, "chan receive"},    {w_nil_recv, "chan receive (nil chan)"}, {w_nil_send, "chan send (nil chan)"},
    {w_select, "select"},        {w_none, "select (no cases)"},           {w_sleep, "sleep"},
    {w_lock, "sync.Mutex.Lock"}, {w_wait, "sync.WaitGroup.Wait"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void start_all(gos_g *g[KINDS]) {
  c = gos_chan_make(sizeof(long), 0);
  gos_mutex_lock(&mu), gos_waitgroup_add(&wg, 1);
  for (int i = 0; i < KINDS; i++) g[i] = spawn(kinds[i].fn, NULL), until_parked(g[i], kinds[i].reason);
}

TEST(reasons_are_gos_words) {
  gos_g *g[KINDS];
  gos_info i;
  start_all(g);
  for (int k = 0; k < KINDS; k++) {
    CHECK_EQ(gos_info_get(g[k], &i, sizeof i), GOS_OK);
    CHECK(i.since > 0 && i.since <= gos_now());
    CHECK_EQ(i.creator, gos_goid());
    CHECK(i.id > gos_goid());
    CHECK(*i.site);
    gos_interrupt(g[k]);
    finish(g[k]);
  }
  gos_g *s = spawn(w_send, NULL);
  until_parked(s, "chan send");
  CHECK_EQ(gos_chan_recv(c, NULL), GOS_OK);
  finish(s);
}

static void spins(void *a) {
  (void)a;
  while (!stop)
    ;
}

TEST(running_and_dead) {
  gos_info i;
  gos_g *g = spawn(spins, NULL);
  do {
    gos_gosched();
    CHECK_EQ(gos_info_get(g, &i, sizeof i), GOS_OK);
    CHECK(!strcmp(i.status, "running") || !strcmp(i.status, "runnable"));
    CHECK(!i.wait_reason);
  } while (strcmp(i.status, "running"));
  stop = true;
  CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
  CHECK_EQ(gos_info_get(g, &i, sizeof i), GOS_OK);
  CHECK(!strcmp(i.status, "dead"));
  CHECK(!i.wait_reason);
  CHECK_EQ(i.since, 0);
  gos_release(g);
}

struct seen {
  int waiting, total;
  uint64_t me;
  int stop_at;
};
static int see(const gos_info *i, void *u) {
  struct seen *s = u;
  s->waiting += !strcmp(i->status, "waiting");
  s->me |= i->id == gos_goid();
  return ++s->total == s->stop_at ? 33 : 0;
}

TEST(foreach_sees_every_goroutine) {
  gos_g *g[KINDS];
  start_all(g);
  struct seen s = {0}, t = {.stop_at = 2};
  CHECK_EQ(gos_foreach(see, &s), 0);
  CHECK_EQ(s.total, KINDS + 1);
  CHECK_EQ(s.waiting, KINDS);
  CHECK_EQ(gos_foreach(see, &t), 33);
  CHECK_EQ(t.total, 2);
  for (int k = 0; k < KINDS; k++) gos_interrupt(g[k]), finish(g[k]);
  s = (struct seen){0};
  gos_foreach(see, &s);
  CHECK_EQ(s.total, 1);
  gos_chan_release(c);
}

static char text[1 << 16];
static void dump(void) {
  FILE *f = tmpfile();
  CHECK(f);
  CHECK_EQ(gos_dump(fileno(f), 0), GOS_OK);
  rewind(f);
  text[fread(text, 1, sizeof text - 1, f)] = 0;
  fclose(f);
}

TEST(dump_tells_number_reason_creator_name) {
  gos_g *g[KINDS], *named;
  gos_info i;
  char line[300];
  start_all(g);
  named = gos_go_opts(&(gos_go_options){.size = sizeof(gos_go_options), .name = "the reader"}, w_recv, NULL, NULL);
  until_parked(named, "chan receive");
  dump();
  for (int k = 0; k < KINDS; k++) {
    CHECK_EQ(gos_info_get(g[k], &i, sizeof i), GOS_OK);
    snprintf(line, sizeof line, "goroutine %llu [%s", (unsigned long long)i.id, kinds[k].reason);
    CHECK_HAS(text, line);
    CHECK_HAS(text, i.site);
  }
  CHECK_HAS(text, "the reader");
  CHECK_HAS(text, "created by");
  snprintf(line, sizeof line, "in goroutine %llu", (unsigned long long)gos_goid());
  CHECK_HAS(text, line);
  for (int k = 0; k < KINDS; k++) gos_interrupt(g[k]), finish(g[k]);
  gos_chan_close(c);
  finish(named);
}

TEST(dump_to_a_bad_descriptor) { CHECK(gos_dump(-1, 0) < 0); }

/* Looking while everything moves. */
static void moves(void *arg) {
  (void)arg;
  for (long i = scaled(3000); i; i--) gos_chan_send(c, &i), i % 7 || gos_go(w_recv, NULL);
}

TEST(looking_at_a_busy_runtime) {
  c = gos_chan_make(sizeof(long), 1);
  gos_g *a = spawn(moves, NULL);
  struct seen s = {0};
  while (gos_join(a, GOS_NOW) == GOS_WOULDBLOCK) {
    gos_foreach(see, &s);
    gos_chan_recv_dl(c, NULL, gos_now() + MS);
    if (s.total % 64 == 0) dump();
  }
  gos_release(a);
  gos_chan_close(c);
  while (gos_num_goroutine() > 1) gos_gosched();
  CHECK(s.total > 0);
}

TEST(stats) {
  gos_stats s = {0};
  CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
  CHECK_EQ(s.goroutines, 1);
  CHECK(s.threads >= 1);
  CHECK_EQ(s.procs, test_procs);
  uint64_t made = s.created;
  stop = true;
  for (int i = 0; i < 10; i++) finish(spawn(spins, NULL));
  CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
  CHECK_EQ(s.created, made + 10);
}

TEST(info_of_nothing) {
  gos_info i;
  CHECK_EQ(gos_info_get(NULL, &i, sizeof i), GOS_INVAL);
  stop = true;
  gos_g *g = spawn(spins, NULL);
  CHECK_EQ(gos_info_get(g, NULL, sizeof i), GOS_INVAL);
  finish(g);
}
