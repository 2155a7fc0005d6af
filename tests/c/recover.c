/* gos_recover(). SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

/* ---- a goroutine, and what it leaves for the end --------------------------------------------- */
enum { DEFERS = 3 };
struct run {
  void (*defers[DEFERS])(void *); /* the last one is called first */
  const char *panics;             /* its text, unless it ends in another way */
  bool leaves;                    /* by goexit */
};
static void runs(void *arg) {
  const struct run *r = arg;
  for (int i = 0; i < DEFERS && r->defers[i]; i++) gos_defer(r->defers[i], NULL);
  if (r->panics) gos_panic("%s", r->panics);
  if (r->leaves) gos_goexit();
}

static char text[64], few[5];
static int found, second, after;
static void run(struct run r) {
  found = second = 7;
  finish(spawn(runs, &r));
}

static void recovers(void *arg) {
  (void)arg;
  found = gos_recover(text, sizeof text);
}
static void recovers_again(void *arg) {
  (void)arg;
  second = gos_recover(NULL, 0);
}
static void recovers_few(void *arg) {
  (void)arg;
  gos_recover(few, sizeof few);
}
static void counts(void *arg) {
  (void)arg;
  after++;
}
static void panics_again(void *arg) {
  (void)arg;
  gos_panic("second, of %d", 2);
}

/* ---- tests ------------------------------------------------------------------------------------- */
/* Without it the program would exit 2. */
TEST(recover_ends_a_panic) {
  run((struct run){{counts, recovers}, .panics = "lost keys"});
  CHECK_EQ(found, 1);
  CHECK(!strcmp(text, "lost keys"));
  CHECK_EQ(after, 1);
}

TEST(recover_finds_no_panic) {
  run((struct run){{recovers}});
  CHECK_EQ(found, 0);
  run((struct run){{recovers}, .leaves = true});
  CHECK_EQ(found, 0);
  CHECK_EQ(gos_recover(text, sizeof text), 0);
}

TEST(recover_once) {
  run((struct run){{recovers_again, recovers}, .panics = "once"});
  CHECK_EQ(found, 1);
  CHECK_EQ(second, 0);
}

/* As in Go: the first was given up when the second came. */
TEST(recover_gives_the_last_of_several) {
  run((struct run){{recovers, panics_again}, .panics = "first"});
  CHECK_EQ(found, 1);
  CHECK(!strcmp(text, "second, of 2"));
}

TEST(recover_then_another_panic) {
  run((struct run){{recovers, panics_again, recovers_again}, .panics = "first"});
  CHECK_EQ(second, 1);
  CHECK_EQ(found, 1);
  CHECK(!strcmp(text, "second, of 2"));
}

TEST(recover_cuts_the_text) {
  run((struct run){{recovers_few}, .panics = "0123456789"});
  CHECK(!strcmp(few, "0123"));
}

TEST(recover_many) {
  for (long i = scaled(1000); i; i--) run((struct run){{counts, recovers}, .panics = "lost keys"});
  CHECK_EQ(gos_num_goroutine(), 1);
}
