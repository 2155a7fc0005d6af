/* gos_recover(). SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static char text[64];
static int found, after;

static void recovers(void *arg) {
  (void)arg;
  found = gos_recover(text, sizeof text);
}
static void counts(void *arg) {
  (void)arg;
  after++;
}

static void panics(void *arg) {
  gos_defer(counts, NULL);
  gos_defer(recovers, NULL);
  gos_panic("lost %d of %s", 3, (char *)arg);
}

/* Without it the program would exit 2. */
TEST(recover_ends_a_panic) {
  finish(spawn(panics, "keys"));
  CHECK_EQ(found, 1);
  CHECK(!strcmp(text, "lost 3 of keys"));
  CHECK_EQ(after, 1);
}

static void returns(void *arg) {
  gos_defer(recovers, NULL);
  if (arg) gos_goexit();
}

TEST(recover_finds_no_panic) {
  found = 7;
  finish(spawn(returns, NULL));
  CHECK_EQ(found, 0);
  found = 7;
  finish(spawn(returns, text));
  CHECK_EQ(found, 0);
  CHECK_EQ(gos_recover(text, sizeof text), 0);
}

static int second;
static void recovers_again(void *arg) {
  (void)arg;
  second = gos_recover(NULL, 0);
}
static void recovers_twice(void *arg) {
  (void)arg;
  gos_defer(recovers_again, NULL);
  gos_defer(recovers, NULL);
  gos_panic("once");
}

TEST(recover_once) {
  second = 7;
  finish(spawn(recovers_twice, NULL));
  CHECK_EQ(found, 1);
  CHECK_EQ(second, 0);
}

static void panics_again(void *arg) {
  (void)arg;
  gos_panic("second");
}
static void panics_in_a_deferred_call(void *arg) {
  (void)arg;
  gos_defer(recovers, NULL);
  gos_defer(panics_again, NULL);
  gos_panic("first");
}

/* As in Go: the first was given up when the second came. */
TEST(recover_gives_the_last_of_several) {
  finish(spawn(panics_in_a_deferred_call, NULL));
  CHECK_EQ(found, 1);
  CHECK(!strcmp(text, "second"));
}

static void panics_after_recover(void *arg) {
  (void)arg;
  gos_defer(recovers, NULL);
  gos_defer(panics_again, NULL);
  gos_defer(recovers_again, NULL);
  gos_panic("first");
}

TEST(recover_then_another_panic) {
  second = 7;
  finish(spawn(panics_after_recover, NULL));
  CHECK_EQ(second, 1);
  CHECK_EQ(found, 1);
  CHECK(!strcmp(text, "second"));
}

static char few[5];
static void recovers_few(void *arg) {
  (void)arg;
  gos_recover(few, sizeof few);
}
static void panics_at_length(void *arg) {
  (void)arg;
  gos_defer(recovers_few, NULL);
  gos_panic("%s", "0123456789");
}

TEST(recover_cuts_the_text) {
  finish(spawn(panics_at_length, NULL));
  CHECK(!strcmp(few, "0123"));
}

TEST(recover_many) {
  for (long i = scaled(1000); i; i--) finish(spawn(panics, "keys"));
  CHECK_EQ(gos_num_goroutine(), 1);
}
