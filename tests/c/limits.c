// ctest: timeout=180
/* Memory and threads run out: a clear error, nothing is lost, nothing aborts.
 * The sanitizers map terabytes of their own, so the limits are not for them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include <pthread.h>
#include <sys/resource.h>

static bool sanitized(void) {
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
  return true;
#else
  return TEST_TSAN;
#endif
}

static bool limit(int what, rlim_t n) { /* false: an emulator, which takes the limit and ignores it */
  struct rlimit is;
  CHECK_EQ(setrlimit(what, &(struct rlimit){n, n}), 0);
  CHECK_EQ(getrlimit(what, &is), 0);
  return is.rlim_cur == n;
}
static rlim_t address_space(void) {
  unsigned long pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  CHECK(f && fscanf(f, "%lu", &pages) == 1);
  fclose(f);
  return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static gos_chan *gate;
static atomic_long woken;
static void waits(void *arg) { (void)arg, gos_chan_recv(gate, NULL), atomic_fetch_add(&woken, 1); }

/* Starts goroutines until there is no room; all that were started still work, and so do new ones. */
static void until_full(void) {
  gate = gos_chan_make(0, 0);
  long n = 0;
  int e;
  while ((e = gos_go(waits, NULL)) == GOS_OK && n < 10000000) {
    n++;
    if (n % 64 == 0) gos_gosched(); /* they take their stacks */
  }
  CHECK_EQ(e, GOS_NOMEM);
  CHECK(n > 0);
  e = 0;
  for (int i = 0; i < 3; i++) {
    gos_g *g = gos_go_opts(&(gos_go_options){.size = sizeof(gos_go_options), .stack = 1 << 20}, waits, NULL, &e);
    CHECK(!g);
    CHECK_EQ(e, GOS_NOMEM);
  }
  CHECK_EQ(gos_chan_close(gate), GOS_OK);
  while (woken < n) gos_gosched();
  while (gos_num_goroutine() > 1) gos_gosched();
  CHECK_EQ(gos_go(waits, NULL), GOS_OK);
  while (woken < n + 1) gos_gosched();
}

TEST(address_space_runs_out) {
  if (sanitized() || !limit(RLIMIT_AS, address_space() + ((rlim_t)64 << 20))) return;
  until_full();
}

TEST_RAW(address_space_too_small_from_the_start) {
  if (sanitized() || !limit(RLIMIT_AS, address_space() + ((rlim_t)2 << 20))) return;
  int e = gos_init(NULL);
  if (e != GOS_OK) CHECK_EQ(gos_init(NULL), e); /* an error, and the same again */
  if (e == GOS_OK) e = gos_go(waits, NULL);
  CHECK(e == GOS_OK || e == GOS_NOMEM);
  _exit(0); /* glibc's own list of fork handlers breaks in exit() once it had no memory */
}

TEST(channels_run_out_of_memory) {
  if (sanitized() || !limit(RLIMIT_AS, address_space() + ((rlim_t)32 << 20))) return;
  gos_chan *c[64];
  int n = 0;
  while (n < 64 && (c[n] = gos_chan_make(1024, 4096))) n++;
  CHECK(n > 0 && n < 64);
  CHECK_EQ(gos_chan_send(c[0], (char[1024]){1}), GOS_OK);
  while (n) gos_chan_release(c[--n]);
  gos_chan *again = gos_chan_make(1024, 4096);
  CHECK(again);
  gos_chan_release(again);
}

static void hold_turn(void *arg) { atomic_fetch_add((atomic_long *)arg, 1), usleep(2000); }

static void *nothing(void *arg) { return arg; }

/* No further thread can be had: the runtime goes on with those it has. RLIMIT_NPROC does not bind
   root, so the test becomes somebody else. */
TEST_RAW(threads_run_out) {
  if (getuid() == 0) CHECK_EQ(setuid(65534), 0);
  limit(RLIMIT_NPROC, 1);
  pthread_t t;
  if (!pthread_create(&t, NULL, nothing, NULL)) {
    pthread_join(t, NULL);
    return; /* the limit does not bind here (qemu, containers) */
  }
  int e = gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 4});
  if (e != GOS_OK) {
    CHECK(e <= GOS_SYS(0) || e == GOS_NOMEM);
    return;
  }
  atomic_long n = 0;
  gos_g *g[20];
  for (int i = 0; i < 20; i++) g[i] = spawn(hold_turn, &n);
  for (int i = 0; i < 20; i++) finish(g[i]);
  CHECK_EQ(n, 20);
  CHECK_EQ(gos_sleep(2 * MS), GOS_OK);
  _exit(0); /* LeakSanitizer would want a thread too */
}

/* maxthreads bounds the threads even when everybody blocks. */
TEST_RAW(maxthreads) {
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 2, .maxthreads = 8}), GOS_OK);
  atomic_long n = 0;
  gos_g *g[100];
  for (int i = 0; i < 100; i++) g[i] = spawn(hold_turn, &n);
  gos_stats s = {.size = sizeof s};
  while (n < 100) {
    CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
    CHECK(s.threads <= 8 + 2); /* and the monitor */
    gos_gosched();
  }
  for (int i = 0; i < 100; i++) finish(g[i]);
}

/* Guard pages must not use up the maps a process may have: 65,530 on a stock Linux. */
TEST_RAW(more_goroutines_than_maps) {
  long n = scaled_live(100000);
  gate = gos_chan_make(0, 0);
  for (long i = 0; i < n; i++) CHECK_EQ(gos_go(waits, NULL), GOS_OK);
  CHECK_EQ(gos_num_goroutine(), n + 1);
  gos_chan_close(gate);
  while (woken < n) gos_gosched();
}
