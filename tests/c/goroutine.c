// ctest: timeout=120
/* Starting, naming, joining, ending and interrupting goroutines.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static atomic_long ran;

static void count(void *arg) { atomic_fetch_add(&ran, (long)(intptr_t)arg); }

TEST(go_runs_each_once) {
  long n = scaled(2000);
  for (long i = 0; i < n; i++) CHECK_EQ(gos_go(count, (void *)1), GOS_OK);
  while (atomic_load(&ran) < n) gos_gosched();
  for (int i = 0; i < 100; i++) gos_gosched();
  CHECK_EQ(ran, n);
}

TEST(go_without_function_is_refused) {
  int e = 0;
  CHECK_EQ(gos_go(NULL, NULL), GOS_INVAL);
  CHECK(!gos_go_opts(NULL, NULL, NULL, &e));
  CHECK_EQ(e, GOS_INVAL);
}

static void tree(void *arg) {
  intptr_t depth = (intptr_t)arg;
  atomic_fetch_add(&ran, 1);
  if (!depth) return;
  gos_g *left = spawn(tree, (void *)(depth - 1)), *right = spawn(tree, (void *)(depth - 1));
  finish(left);
  finish(right);
}

TEST(go_from_goroutines) {
  tree((void *)8);
  CHECK_EQ(ran, 511);
}

static void set_flag(void *arg) { *(int *)arg = 1; }

TEST(join_sees_what_the_goroutine_wrote) {
  for (long i = scaled(2000); i; i--) {
    int flag = 0; /* plain memory: join orders it */
    finish(spawn(set_flag, &flag));
    CHECK_EQ(flag, 1);
  }
}

static void recv_one(void *c) { gos_chan_recv(c, NULL); }

TEST(join_deadlines) {
  gos_chan *c = gos_chan_make(0, 0);
  gos_g *g = spawn(recv_one, c);
  CHECK_EQ(gos_join(g, GOS_NOW), GOS_WOULDBLOCK);
  gos_ns until = gos_now() + 5 * MS;
  CHECK_EQ(gos_join(g, until), GOS_TIMEDOUT);
  CHECK(gos_now() >= until);
  CHECK_EQ(gos_chan_send(c, NULL), GOS_OK);
  CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
  CHECK_EQ(gos_join(g, GOS_NOW), GOS_OK); /* again, and at once */
  gos_release(g);
  gos_chan_release(c);
}

static void join_other(void *g) { CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK); }

TEST(join_by_many) {
  gos_chan *c = gos_chan_make(0, 0);
  gos_g *g = spawn(recv_one, c), *joiner[20];
  for (int i = 0; i < 20; i++) joiner[i] = spawn(join_other, g);
  CHECK_EQ(gos_chan_close(c), GOS_OK);
  for (int i = 0; i < 20; i++) finish(joiner[i]);
  finish(g);
  gos_chan_release(c);
}

TEST(done_is_a_channel_closed_at_the_end) {
  gos_chan *c = gos_chan_make(0, 0);
  gos_g *g = spawn(recv_one, c);
  gos_chan *done = gos_done(g);
  CHECK(done);
  CHECK(gos_done(g) == done);
  CHECK_EQ(gos_chan_recv_dl(done, NULL, GOS_NOW), GOS_WOULDBLOCK);
  gos_case cs[] = {GOS_RECV(done, NULL), GOS_SEND(c, NULL)};
  CHECK_EQ(gos_select(cs, 2, GOS_FOREVER), 1);
  CHECK_EQ(gos_select(cs, 1, GOS_FOREVER), 0);
  CHECK_EQ(cs[0].ok, 0);
  CHECK_EQ(gos_chan_recv(done, NULL), GOS_CLOSED);
  finish(g);
  gos_chan_release(c);
}

TEST(done_of_one_that_ended) {
  gos_g *g = spawn(count, 0);
  CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
  CHECK_EQ(gos_chan_recv(gos_done(g), NULL), GOS_CLOSED);
  gos_release(g);
}

TEST(release_before_the_end) {
  gos_chan *c = gos_chan_make(0, 0);
  gos_g *g = spawn(recv_one, c);
  gos_release(g);
  CHECK_EQ(gos_chan_send(c, NULL), GOS_OK);
  gos_release(NULL);
  while (gos_num_goroutine() > 1) gos_gosched();
  gos_chan_release(c);
}

static void note_id(void *arg) { *(uint64_t *)arg = gos_goid(); }

TEST(numbers_are_never_used_twice) {
  uint64_t id[200] = {gos_goid()};
  CHECK(id[0] > 0);
  for (int i = 1; i < 200; i++) {
    finish(spawn(note_id, &id[i]));
    for (int k = 0; k < i; k++) CHECK(id[i] != id[k]);
  }
}

TEST(num_goroutine_counts_main) {
  gos_chan *c = gos_chan_make(0, 0);
  CHECK_EQ(gos_num_goroutine(), 1);
  gos_g *a = spawn(recv_one, c), *b = spawn(recv_one, c);
  CHECK_EQ(gos_num_goroutine(), 3);
  gos_chan_close(c);
  finish(a);
  finish(b);
  CHECK_EQ(gos_num_goroutine(), 1);
  gos_chan_release(c);
}

TEST(name_is_copied) {
  char name[16] = "reader";
  gos_chan *c = gos_chan_make(0, 0);
  gos_g *g = gos_go_opts(&(gos_go_options){.size = sizeof(gos_go_options), .name = name}, recv_one, c, NULL);
  CHECK(g);
  memset(name, 'x', sizeof name - 1);
  gos_info i;
  CHECK_EQ(gos_info_get(g, &i, sizeof i), GOS_OK);
  CHECK(!strcmp(i.name, "reader"));
  gos_chan_close(c);
  finish(g);
  gos_chan_release(c);
}

TEST(name_too_long_is_cut) {
  char name[500];
  memset(name, 'n', sizeof name - 1);
  name[sizeof name - 1] = 0;
  gos_g *g = gos_go_opts(&(gos_go_options){.size = sizeof(gos_go_options), .name = name}, count, 0, NULL);
  CHECK(g);
  gos_info i;
  CHECK_EQ(gos_info_get(g, &i, sizeof i), GOS_OK);
  CHECK(strlen(i.name) > 10 && strlen(i.name) < sizeof i.name);
  finish(g);
}

static __attribute__((noinline)) int use_stack(int kib) {
  volatile char page[1024];
  memset((char *)page, kib, sizeof page);
  return kib ? use_stack(kib - 1) + page[kib % 1024] : 0;
}
static void deep(void *arg) { use_stack((int)(intptr_t)arg); }

TEST(stack_of_the_size_asked_for) {
  gos_g *g = gos_go_opts(&(gos_go_options){.size = sizeof(gos_go_options), .stack = 8 << 20}, deep, (void *)3000, NULL);
  CHECK(g);
  finish(g);
  finish(spawn(deep, (void *)(intptr_t)8)); /* and the usual one serves again */
}

TEST(stack_of_absurd_size) {
  int e = 0;
  CHECK(!gos_go_opts(&(gos_go_options){.size = sizeof(gos_go_options), .stack = SIZE_MAX / 2}, count, 0, &e));
  CHECK(e == GOS_NOMEM || e == GOS_INVAL);
}

static char order[16];
static atomic_int order_n;
static void note(void *c) { order[order_n++] = (char)(intptr_t)c; }
static void with_defers(void *leave) {
  CHECK_EQ(gos_defer(note, (void *)'1'), GOS_OK);
  CHECK_EQ(gos_defer(note, (void *)'2'), GOS_OK);
  note((void *)'0');
  if (leave) gos_goexit();
  note((void *)'-');
}

TEST(defer_last_one_first) {
  finish(spawn(with_defers, NULL));
  CHECK(!strcmp(order, "0-21"));
}

TEST(goexit_runs_the_deferred) {
  finish(spawn(with_defers, (void *)1));
  CHECK(!strcmp(order, "021"));
}

static void defer_again(void *arg) { (void)arg, note((void *)'a'), gos_defer(note, (void *)'b'); }
static void defer_in_defer(void *arg) { (void)arg, gos_defer(note, (void *)'c'), gos_defer(defer_again, NULL); }

TEST(defer_inside_a_deferred_call) {
  finish(spawn(defer_in_defer, NULL));
  CHECK(!strcmp(order, "abc"));
}

static void defer_blocks(void *c) {
  CHECK_EQ(gos_chan_recv(c, NULL), GOS_OK);
  note((void *)'d');
}
static void exit_later(void *c) { gos_defer(defer_blocks, c), gos_goexit(); }

TEST(deferred_call_may_block) {
  gos_chan *c = gos_chan_make(0, 0);
  gos_g *g = spawn(exit_later, c);
  until_parked(g, "chan receive");
  CHECK_EQ(gos_chan_send(c, NULL), GOS_OK);
  finish(g);
  CHECK_EQ(order[0], 'd');
  gos_chan_release(c);
}

TEST(goexit_ends_many) {
  for (long i = scaled(1000); i; i--) finish(spawn(with_defers, (void *)1)), order_n = 0;
  CHECK_EQ(gos_num_goroutine(), 1);
}
