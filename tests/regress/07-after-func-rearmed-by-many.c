// ctest: timeout=60
/* gos_timer_reset and gos_timer_stop of one gos_after_func timer by several at once: it was armed twice, and its place
 * among the timers was lost. Once it is stopped nothing is pending, and other timers fire.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <pthread.h>

static gos_timer *timer;
static atomic_long calls;
static void call(void *arg) { (void)arg, atomic_fetch_add(&calls, 1); }

static void rearms(void *arg) {
  unsigned x = (unsigned)(intptr_t)arg;
  for (long i = scaled(20000); i; i--) {
    x = x * 1664525 + 1013904223;
    int e =
        x >> 31 ? gos_timer_reset(timer, x >> 30 & 1 ? 3600000 * MS : (gos_ns)(x >> 16 & 4095)) : gos_timer_stop(timer);
    CHECK(e == 0 || e == 1);
    if (x >> 28 == 3) gos_gosched();
  }
}
static void *rearms_outside(void *arg) { return rearms(arg), NULL; }

TEST(nothing_stays_behind) {
  gos_g *g[4];
  pthread_t t[2];
  gos_stats s;
  CHECK((timer = gos_after_func(3600000 * MS, call, NULL)));
  for (intptr_t i = 0; i < 4; i++) g[i] = spawn(rearms, (void *)(i + 1));
  for (intptr_t i = 0; i < 2; i++) CHECK_EQ(pthread_create(&t[i], NULL, rearms_outside, (void *)(i + 9)), 0);
  for (int i = 0; i < 4; i++) finish(g[i]);
  for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
  gos_timer_stop(timer);
  CHECK_EQ(gos_timer_stop(timer), 0);
  CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
  CHECK_EQ(s.timers, 0);
  while (gos_num_goroutine() > 1) gos_gosched();
  long before = calls;
  CHECK_EQ(gos_timer_reset(timer, 0), 0);
  while (calls == before) gos_gosched();
  CHECK_EQ(gos_sleep(MS / 10), GOS_OK);
  CHECK_EQ(calls, before + 1);
  gos_timer_free(timer);
}
