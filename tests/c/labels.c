// ctest: timeout=60
/* Names, labels, goroutine-local values; deferred calls that exit and panic.
 * SPDX-License-Identifier: Apache-2.0 */
#include <gossamer/host.h>
#include "test.h"

static gos_chan *gate;
static gos_info info(gos_g *g) {
  gos_info i;
  CHECK_EQ(gos_info_get(g, &i, sizeof i), GOS_OK);
  return i;
}
#define CHECK_IS(a, b)                                                                                                 \
  do {                                                                                                                 \
    const char *a_ = (a), *b_ = (b);                                                                                   \
    if (!a_ || strcmp(a_, b_)) test_fail(__FILE__, __LINE__, "%s is %s, not %s", #a, a_ ? a_ : "NULL", b_);            \
  } while (0)

static void names_itself(void *arg) {
  CHECK_EQ(gos_set_name("first"), GOS_OK);
  CHECK_EQ(gos_set_name(arg), GOS_OK);
  gos_chan_recv(gate, NULL);
  CHECK_EQ(gos_set_name(NULL), GOS_OK);
  gos_chan_recv(gate, NULL);
}
TEST(name) {
  gate = gos_chan_make(0, 0);
  gos_g *g = spawn(names_itself, "reader");
  until_parked(g, "chan receive");
  CHECK_IS(info(g).name, "reader");
  gos_chan_send(gate, NULL);
  until_parked(g, "chan receive");
  CHECK_IS(info(g).name, "");
  gos_chan_close(gate);
  finish(g);
  char longer[200];
  memset(longer, 'n', sizeof longer);
  longer[199] = 0;
  CHECK_EQ(gos_set_name(longer), GOS_OK);
  CHECK_EQ(strlen(info(gos_self()).name), 63);
}

TEST(labels_change) {
  CHECK(!gos_label("a"));
  CHECK_EQ(gos_set_label("b", "2"), GOS_OK);
  CHECK_EQ(gos_set_label("c", "3"), GOS_OK);
  CHECK_EQ(gos_set_label("a", "1"), GOS_OK);
  CHECK_IS(info(gos_self()).labels, "a:\"1\", b:\"2\", c:\"3\"");
  CHECK_EQ(gos_set_label("b", "zwei"), GOS_OK);
  CHECK_IS(gos_label("a"), "1");
  CHECK_IS(gos_label("b"), "zwei");
  CHECK_IS(gos_label("c"), "3");
  CHECK_EQ(gos_set_label("b", NULL), GOS_OK);
  CHECK_EQ(gos_set_label("x", NULL), GOS_OK);
  CHECK(!gos_label("b"));
  CHECK_IS(info(gos_self()).labels, "a:\"1\", c:\"3\"");
  CHECK_EQ(gos_set_label("c", ""), GOS_OK);
  CHECK_IS(gos_label("c"), "");
  CHECK_EQ(gos_set_label("a", NULL), GOS_OK);
  CHECK_EQ(gos_set_label("c", NULL), GOS_OK);
  CHECK_IS(info(gos_self()).labels, "");
  CHECK(!gos_label("c"));
  CHECK_EQ(gos_set_label(NULL, "v"), GOS_INVAL);
  CHECK_EQ(gos_set_label("", "v"), GOS_INVAL);
  CHECK(!gos_label(NULL));
}

TEST(labels_that_are_long) {
  static char big[5000];
  memset(big, 'v', sizeof big - 1);
  CHECK_EQ(gos_set_label("a", "1"), GOS_OK);
  CHECK_EQ(gos_set_label("big", big), GOS_OK);
  CHECK_EQ(gos_set_label("z", "9"), GOS_OK);
  CHECK_IS(gos_label("big"), big);
  CHECK_IS(info(gos_self()).labels, "a:\"1\", z:\"9\"");
}

static void grandchild(void *arg) {
  (void)arg;
  CHECK_IS(gos_label("job"), "7");
  CHECK_IS(gos_label("step"), "child");
}
static void child(void *arg) {
  (void)arg;
  CHECK_IS(gos_label("job"), "7");
  CHECK_EQ(gos_set_label("step", "child"), GOS_OK);
  finish(spawn(grandchild, NULL));
  CHECK_EQ(gos_chan_recv(gate, NULL), GOS_CLOSED);
  CHECK_IS(gos_label("job"), "7"); /* whatever its creator does */
}
static void unlabelled(void *arg) {
  (void)arg;
  CHECK(!gos_label("job"));
  CHECK(!gos_label("step"));
}
TEST(labels_are_inherited) {
  gate = gos_chan_make(0, 0);
  CHECK_EQ(gos_set_label("job", "7"), GOS_OK);
  gos_g *g = spawn(child, NULL);
  until_parked(g, "chan receive");
  CHECK_IS(info(g).labels, "job:\"7\", step:\"child\"");
  CHECK(!gos_label("step"));
  CHECK_EQ(gos_set_label("job", NULL), GOS_OK);
  finish(spawn(unlabelled, NULL));
  gos_chan_close(gate);
  finish(g);
  for (int i = 0; i < 100; i++) finish(spawn(unlabelled, NULL)); /* no trace on a G used again */
}

static void has_no_labels(void *arg) {
  CHECK_IS(info(gos_self()).labels, "");
  gos_chan_send(arg, NULL);
}
static void is_an_orphan(void *arg) {
  CHECK_EQ(info(gos_self()).creator, 0);
  has_no_labels(arg);
}
static void yields(void *arg) {
  while (gos_chan_recv_dl(arg, NULL, GOS_NOW) == GOS_WOULDBLOCK) gos_gosched();
}
TEST(what_a_timer_starts_inherits_nothing) {
  gos_chan *ran = gos_chan_make(0, 0), *stop = gos_chan_make(0, 0);
  CHECK_EQ(gos_set_label("job", "7"), GOS_OK);
  gos_g *g = spawn(yields, stop); /* it looks at the timers now and then, and so does who waits */
  for (int i = 0; i < 20; i++) {
    gos_timer *t = gos_after_func(100000, is_an_orphan, ran);
    CHECK_EQ(gos_set_label("job", NULL), GOS_OK);
    gos_ctx *x = gos_with_timeout(NULL, 100000);
    CHECK_EQ(gos_ctx_after_func(x, has_no_labels, ran, NULL), GOS_OK); /* at once, if it has ended by now */
    CHECK_EQ(gos_set_label("job", "7"), GOS_OK);
    CHECK_EQ(gos_chan_recv(ran, NULL), GOS_OK);
    CHECK_EQ(gos_chan_recv(ran, NULL), GOS_OK);
    gos_timer_free(t);
    gos_ctx_release(x);
  }
  gos_chan_close(stop);
  finish(g);
  gos_chan_release(ran);
  gos_chan_release(stop);
}

static void relabels(void *arg) {
  char v[32];
  for (long i = 0; i < scaled(3000); i++) {
    snprintf(v, sizeof v, "%ld", i);
    CHECK_EQ(gos_set_label("i", v), GOS_OK);
    CHECK_EQ(gos_set_name(v), GOS_OK);
    CHECK_IS(gos_label("i"), v);
    if (i % 8 == 0) CHECK_EQ(gos_go(unlabelled, NULL), GOS_OK);
    if (i % 16 == 0) CHECK_EQ(gos_set_label("i", NULL), GOS_OK);
  }
  (void)arg;
}
static int looks(const gos_info *i, void *n) { return *(long *)n += (long)strlen(i->labels), 0; }
TEST(dumps_while_labels_change) {
  gos_g *g[4];
  long n = 0;
  for (int i = 0; i < 4; i++) g[i] = spawn(relabels, NULL);
  for (int i = 0; i < 4; i++)
    while (gos_join(g[i], GOS_NOW) == GOS_WOULDBLOCK) gos_foreach(looks, &n), gos_gosched();
  for (int i = 0; i < 4; i++) gos_release(g[i]);
  while (gos_num_goroutine() > 1) gos_gosched();
}

TEST(dump_shows_them) {
  char *text = calloc(1, 4096);
  CHECK_EQ(gos_set_label("job", "7"), GOS_OK);
  CHECK_EQ(gos_set_name("boss"), GOS_OK);
  FILE *f = tmpfile();
  CHECK_EQ(gos_dump(fileno(f), 0), GOS_OK);
  rewind(f);
  CHECK(fread(text, 1, 4095, f) > 0);
  CHECK_HAS(text, " (boss) [running] {job:\"7\"}:\n");
  fclose(f);
  free(text);
}

static int key[2];
static void has_none(void *arg) {
  for (int i = 0; i < 2; i++) CHECK(!gos_g_local_get(key[i]));
  CHECK_EQ(gos_g_local_set(key[1], arg), GOS_OK);
  gos_gosched();
  CHECK(gos_g_local_get(key[1]) == arg);
}
TEST(locals) {
  for (int i = 0; i < 2; i++) CHECK((key[i] = gos_g_local_key()) >= 0);
  CHECK(key[0] != key[1]);
  for (int i = 2; i < GOS_G_LOCALS; i++) CHECK(gos_g_local_key() >= 0);
  CHECK_EQ(gos_g_local_key(), GOS_NOMEM);
  CHECK_EQ(gos_g_local_set(key[0], &gate), GOS_OK);
  for (long i = 0; i < 200; i++) finish(spawn(has_none, &key[i % 2]));
  CHECK(gos_g_local_get(key[0]) == &gate);
  CHECK(!gos_g_local_get(key[1]));
  CHECK(!gos_g_local_get(-1));
  CHECK(!gos_g_local_get(GOS_G_LOCALS));
  CHECK_EQ(gos_g_local_set(GOS_G_LOCALS, NULL), GOS_INVAL);
}

/* ---- deferred calls ------------------------------------------------------------ */
static char order[64], reported[4096];
static void note(void *c) { order[strlen(order)] = (char)(intptr_t)c; }
static void keep_report(const char *report) { note((void *)'!'), snprintf(reported, sizeof reported, "%s", report); }
static void exits(void *c) { note(c), gos_goexit(); }
static void panics(void *c) { note(c), gos_panic("in %c", (char)(intptr_t)c); }
static void start_with_hook(void) {
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .on_panic = keep_report}), GOS_OK);
}

static void goexit_inside(void *arg) {
  (void)arg;
  gos_defer(note, (void *)'1'), gos_defer(exits, (void *)'2'), gos_defer(note, (void *)'3');
}
TEST(goexit_in_a_deferred_call_runs_the_others) {
  finish(spawn(goexit_inside, NULL));
  CHECK_IS(order, "321");
}

static void panic_inside(void *arg) {
  gos_defer(note, (void *)'1'), gos_defer(panics, (void *)'2'), gos_defer(note, (void *)'3');
  if (arg) gos_panic("first %d", 1);
}
TEST_RAW(panic_in_a_deferred_call) {
  start_with_hook();
  finish(spawn(panic_inside, NULL));
  CHECK_IS(order, "321!");
  CHECK_HAS(reported, "panic: in 2\n\ngoroutine ");
}
TEST_RAW(panic_in_a_deferred_call_of_a_panic) {
  start_with_hook();
  finish(spawn(panic_inside, (void *)1));
  CHECK_IS(order, "321!"); /* the deferred ones first, one report */
  CHECK_HAS(reported, "panic: first 1\n\tpanic: in 2\n\ngoroutine ");
}

static void goexit_in_panic(void *arg) {
  (void)arg;
  gos_defer(note, (void *)'1'), gos_defer(exits, (void *)'2');
  gos_panic("never told");
}
TEST_RAW(goexit_in_a_deferred_call_ends_the_panic) {
  start_with_hook();
  finish(spawn(goexit_in_panic, NULL));
  CHECK_IS(order, "21");
  CHECK_IS(reported, "");
}

static atomic_int runs;
static void panics_again(void *arg) {
  (void)arg;
  runs++;
  gos_panic("again");
}
static void exits_again(void *arg) {
  (void)arg;
  runs++;
  gos_goexit();
}
static void many(void *arg) {
  for (int i = 0; i < 50; i++) gos_defer(arg ? panics_again : exits_again, NULL);
}
TEST_RAW(many_that_end_it) {
  start_with_hook();
  finish(spawn(many, NULL));
  CHECK_EQ(runs, 50);
  finish(spawn(many, (void *)1));
  CHECK_EQ(runs, 100);
  CHECK_HAS(reported, "panic: again\n\tpanic: again\n\tpanic: again\n");
}

static void long_text(void *arg) { gos_panic("%s end", (char *)arg); }
TEST_RAW(long_panic) {
  start_with_hook();
  static char text[3000];
  memset(text, 'x', sizeof text - 1);
  finish(spawn(long_text, text));
  CHECK_HAS(reported, "xxxx end\n\ngoroutine ");
}

static void interrupted(void *arg) {
  (void)arg;
  CHECK_EQ(gos_chan_recv(NULL, NULL), GOS_CANCELED);
  note((void *)'1'), gos_defer(note, (void *)'2');
}
TEST(interrupt_then_deferred) {
  gos_g *g = spawn(interrupted, NULL);
  until_parked(g, "chan receive (nil chan)");
  CHECK_EQ(gos_interrupt(g), GOS_OK);
  finish(g);
  CHECK_IS(order, "12");
}
