// ctest: timeout=120
/* The right to a stack, and the stack, come back: however goroutines come and go, no more stacks are made than what
 * lives at once asks for. SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

static const size_t sizes[] = {0, 16 << 10, 256 << 10, 1 << 20};
enum { SIZES = sizeof sizes / sizeof *sizes, KEPT = 400 /* rights that a P may keep for itself */ };

#define CHECK_MOST(n, most)                                                                                            \
  do {                                                                                                                 \
    size_t n_ = (n), most_ = (most);                                                                                   \
    if (n_ > most_) test_fail(__FILE__, __LINE__, "%zu stacks are more than %zu", n_, most_);                          \
  } while (0)
static size_t stacks(void) {
  gos_stats s;
  CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
  return s.stacks;
}
static size_t most_procs(void) { return test_procs > 4 ? (size_t)test_procs : 4; } /* of all tests here */
static gos_g *sized(size_t size, void (*fn)(void *), void *arg) {
  int e = 0;
  gos_g *g = gos_go_opts(&(gos_go_options){.size = sizeof(gos_go_options), .stack = size}, fn, arg, &e);
  CHECK_EQ(e, GOS_OK);
  return g;
}
static void nothing(void *u) { (void)u; }
static void waits(void *gate) { CHECK_EQ(gos_chan_recv(gate, NULL), GOS_CLOSED); }

/* n at once; waiting for each other, or each over at once. */
static void burst(size_t size, int n, bool wait) {
  static gos_g *g[200];
  gos_chan *gate = gos_chan_make(0, 0);
  for (int i = 0; i < n; i++) g[i] = sized(size, wait ? waits : nothing, gate);
  for (int i = 0; i < n && wait; i++) until_parked(g[i], "chan receive");
  gos_chan_close(gate);
  for (int i = 0; i < n; i++) finish(g[i]);
  gos_chan_release(gate);
}

TEST(one_after_another) {
  for (int k = 0; k < SIZES; k++) {
    burst(sizes[k], 1, false);
    size_t before = stacks();
    for (int i = 0; i < 2500; i++) burst(sizes[k], 1, i % 2);
    CHECK_MOST(stacks(), before + KEPT * most_procs());
  }
}

TEST(many_at_once) {
  for (int k = 0; k < SIZES; k++) {
    burst(sizes[k], 200, true);
    size_t before = stacks();
    for (int i = 0; i < 20; i++) burst(sizes[k], 200, i % 2);
    CHECK_MOST(stacks(), before + KEPT * most_procs());
  }
}

/* Each is on a P of its own and takes rights for it; then all Ps but one go. */
static atomic_int met;
static void meets(void *all) {
  met++;
  while (met < (int)(intptr_t)all) {}
  finish(spawn(nothing, NULL));
}
TEST(a_p_that_goes_gives_its_rights_back) {
  enum { PS = 4, ROUNDS = 60 };
  gos_g *g[PS];
  size_t before = 0;
  for (int r = 0; r < ROUNDS; r++) {
    if (r == 1) before = stacks();
    gos_gomaxprocs(PS);
    met = 0;
    for (int i = 0; i < PS; i++) g[i] = spawn(meets, (void *)(intptr_t)PS);
    for (int i = 0; i < PS; i++) finish(g[i]);
    gos_gomaxprocs(1);
  }
  CHECK_MOST(stacks(), before + KEPT * most_procs());
}

TEST(while_gomaxprocs_changes) {
  burst(0, 200, true);
  gos_gomaxprocs(4);
  burst(0, 200, true);
  size_t before = stacks();
  for (int i = 0; i < 200; i++) {
    CHECK(gos_gomaxprocs(1 + i % 4) > 0);
    burst(0, 50, i % 3);
  }
  CHECK_MOST(stacks(), before + KEPT * most_procs());
}
