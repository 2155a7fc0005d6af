// ctest: not-in=thread,arm64
/* The child of a fork has none of its parent's timers, and the parent all of them.
 * (ThreadSanitizer and qemu-user allow no new threads in the child, and who sleeps there has a monitor.)
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

enum { N = 50 };
static const gos_ns hour = 3600000 * MS;
static gos_timer *timer[N], *func[N];

static int armed(void) {
  gos_stats s;
  CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
  return (int)s.timers;
}
static void sleeps(void *u) {
  (void)u;
  gos_sleep(hour);
}
static void never(void *u) {
  (void)u;
  CHECK(!"a function that was set for an hour later");
}
/* From an hour to a day and a half away. */
static gos_ns some_time(int i) { return hour + i * i * i * MS; }

static void in_child(void) {
  alarm(60);
  CHECK_EQ(armed(), 0);
  for (int i = 0; i < N; i++) CHECK_EQ(gos_timer_stop(func[i]), 0);
  CHECK_EQ(gos_sleep(MS), GOS_OK);
  gos_timer *mine = gos_timer_new(MS);
  CHECK_EQ(gos_chan_recv(gos_timer_c(mine), NULL), GOS_OK);
  CHECK_EQ(gos_timer_reset(func[0], hour), 0);
  CHECK_EQ(armed(), 1);
  _exit(0);
}

TEST(timers_stay_with_the_parent) {
  int st = -1;
  gos_g *g = spawn(sleeps, NULL);
  until_parked(g, "sleep");
  for (int i = 0; i < N; i++) {
    CHECK(timer[i] = gos_timer_new(some_time(i)));
    CHECK(func[i] = gos_after_func(some_time(i), never, NULL));
  }
  CHECK_EQ(armed(), 2 * N + 1);
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) in_child();
  CHECK_EQ(waitpid(pid, &st, 0), pid);
  CHECK_EQ(st, 0);
  CHECK_EQ(armed(), 2 * N + 1);
  for (int i = 0; i < N; i++) {
    CHECK_EQ(gos_timer_stop(timer[i]), 1);
    CHECK_EQ(gos_timer_stop(func[i]), 1);
  }
  CHECK_EQ(gos_interrupt(g), GOS_OK);
  finish(g);
}
