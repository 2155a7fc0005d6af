/* Every raise of gomaxprocs set 32 stacks aside for the caches of the Ps it added, though they had theirs
 * already: a program that went to and fro used up its guards and its address space.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static void nothing(void *arg) { (void)arg; }

TEST(stacks_stay_the_same) {
  gos_stats s;
  size_t before = 0;
  for (int i = 0; i < 200; i++) {
    gos_gomaxprocs(4);
    /* More than a cache of credits at once: they have to be asked for. */
    for (int k = 0; k < 200; k++) CHECK_EQ(gos_go(nothing, NULL), GOS_OK);
    while (gos_num_goroutine() > 1) gos_gosched();
    gos_gomaxprocs(1);
    CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
    if (i == 20) before = s.stacks;
  }
  CHECK(s.stacks < before + 1000);
}
