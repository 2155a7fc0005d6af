// ctest: not-in=arm64
// ctest: timeout=120
// ctest: args=8
/* Soak: a mixture of everything for as long as asked: SECONDS (a release: 600).
 * Generations of goroutines use channels, select, timers, locks, handles, stacks of several sizes, threads and
 * blocking calls, and end. The memory in use in the last third may not be above that in the second by more
 * than 1 % + 256 KiB; at the end open files and goroutines are as many as at the start, and every timer that
 * was armed has fired or been stopped.
 * (Under qemu-user the memory measured is that of the emulator.)
 * SPDX-License-Identifier: Apache-2.0 */
#define main test_main
#include "test.h"
#undef main
#include <dirent.h>
#include <pthread.h>

enum { WORKERS = 24, VALUES = 40 };
static gos_chan *c, *unbuffered;
static gos_mutex mu;
static gos_waitgroup wg;
static long counted, generations;
static atomic_long armed, fired, stopped, sent, received, locked;
static int seconds = 8;

static uint32_t roll(uint64_t *s, uint32_t n) {
  *s = *s * 6364136223846793005ull + 1442695040888963407ull;
  return (uint32_t)(*s >> 33) % n;
}

static void fires(void *arg) {
  fired++;
  CHECK_EQ(gos_chan_close(arg), GOS_OK);
}

static void timers(uint64_t *s) {
  gos_timer *t = gos_timer_new(roll(s, 400000));
  CHECK(t);
  armed++;
  if (roll(s, 2)) {
    CHECK_EQ(gos_chan_recv(gos_timer_c(t), NULL), GOS_OK);
    fired++;
  } else {
    gos_timer_stop(t);
    CHECK_EQ(gos_chan_recv_dl(gos_timer_c(t), NULL, GOS_NOW), GOS_WOULDBLOCK);
    stopped++;
  }
  gos_timer_free(t);
  gos_chan *called = gos_chan_make(0, 0);
  t = gos_after_func(roll(s, 200000), fires, called);
  CHECK(t);
  armed++;
  if (roll(s, 2) && gos_timer_stop(t) == 1)
    stopped++;
  else
    CHECK_EQ(gos_chan_recv(called, NULL), GOS_CLOSED); /* a lost call waits here for ever */
  gos_timer_free(t);
  gos_chan_release(called);
  t = gos_ticker_new(50000);
  for (int i = 0; i < 3; i++) CHECK_EQ(gos_chan_recv(gos_timer_c(t), NULL), GOS_OK);
  gos_timer_free(t);
  gos_chan *after = gos_after(roll(s, 100000));
  if (roll(s, 2)) CHECK_EQ(gos_chan_recv(after, NULL), GOS_OK);
  gos_chan_release(after);
}

static void passes_values(uint64_t *s) {
  for (long i = 0, v = 0; i < VALUES; i++) {
    gos_case cs[] = {GOS_SEND(c, &i), GOS_RECV(unbuffered, &v), GOS_SEND(unbuffered, &i), GOS_RECV(c, &v)};
    gos_ns deadline = roll(s, 4) ? gos_now() + 100000 : GOS_NOW;
    int k = roll(s, 2) ? gos_select(cs, 4, deadline) : gos_select_ordered(cs, 4, deadline);
    if (k == 0 || k == 2) sent++;
    if (k == 1 || k == 3) received++;
    CHECK(k >= 0 || k == GOS_WOULDBLOCK || k == GOS_TIMEDOUT);
  }
}

static void locks(uint64_t *s) {
  for (int i = 0; i < VALUES; i++) {
    if (roll(s, 3))
      gos_mutex_lock(&mu);
    else if (gos_mutex_lock_dl(&mu, gos_now() + 50000) != GOS_OK)
      continue;
    counted++;
    locked++;
    if (roll(s, 8) == 0) gos_gosched();
    CHECK_EQ(gos_mutex_unlock(&mu), GOS_OK);
  }
}

static void *blocks(void *arg) { return usleep(50), arg; }
static void leaves(void *arg) {
  (void)arg;
  CHECK_EQ(gos_defer((void (*)(void *))gos_chan_release, gos_chan_make(8, 8)), GOS_OK);
  gos_goexit();
}
static void waits(void *arg) { gos_chan_recv(arg, NULL); }

static void handles(uint64_t *s) {
  gos_go_options o = {.size = sizeof o, .name = "soak", .stack = (size_t)16384 << roll(s, 4)};
  gos_chan *never = gos_chan_make(0, 0);
  gos_g *g = gos_go_opts(&o, leaves, NULL, NULL), *w = gos_go_opts(NULL, waits, never, NULL);
  CHECK(g && w);
  CHECK_EQ(gos_chan_recv(gos_done(g), NULL), GOS_CLOSED);
  finish(g);
  if (roll(s, 2))
    gos_interrupt(w);
  else
    gos_chan_close(never);
  finish(w);
  gos_chan_release(never);
  void *r;
  CHECK_EQ(gos_blocking(blocks, s, &r), GOS_OK);
}

static void works(void *arg) {
  uint64_t s = (uint64_t)(uintptr_t)arg * 7919 + (uint64_t)generations;
  switch (roll(&s, 5)) {
  case 0: timers(&s); break;
  case 1: locks(&s); break;
  case 2: handles(&s); break;
  default: passes_values(&s);
  }
}

static void *thread(void *arg) {
  works(arg);
  CHECK_EQ(gos_sleep(20000), GOS_OK);
  return arg;
}

static void generation(void) {
  pthread_t t[2];
  for (long i = 1; i <= WORKERS; i++) CHECK_EQ(gos_waitgroup_go(&wg, works, (void *)i), GOS_OK);
  bool threads = generations % 16 == 0;
  for (long i = 0; threads && i < 2; i++) CHECK_EQ(pthread_create(&t[i], NULL, thread, (void *)(i + 100)), 0);
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
  for (int i = 0; threads && i < 2; i++) pthread_join(t[i], NULL);
  for (long v; gos_chan_recv_dl(c, &v, GOS_NOW) == GOS_OK;) received++;
  generations++;
}

static long resident(void) { /* KiB */
  long pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  CHECK(f && fscanf(f, "%*d %ld", &pages) == 1);
  fclose(f);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}
static int open_files(void) {
  DIR *d = opendir("/proc/self/fd");
  int n = 0;
  while (d && readdir(d)) n++;
  if (d) closedir(d);
  return n;
}

static long soak_for(gos_ns d) { /* the most memory in use meanwhile */
  long most = 0;
  for (gos_ns end = gos_now() + d; gos_now() < end;) {
    generation();
    long now = resident();
    if (now > most) most = now;
  }
  return most;
}

TEST_RAW(soak) {
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 2}), GOS_OK);
  c = gos_chan_make(sizeof(long), 8), unbuffered = gos_chan_make(sizeof(long), 0);
  int files = open_files(), goroutines = gos_num_goroutine();
  gos_ns third = (gos_ns)seconds * 1000 * MS / 3;
  long first = soak_for(third), second = soak_for(third), last = soak_for(third);
  while (gos_num_goroutine() > goroutines) gos_gosched();
  printf("  %ld generations; %ld, %ld, %ld KiB; %ld values, %ld timers\n", generations, first, second, last,
         (long)received, (long)armed);
  CHECK_EQ(fired + stopped, armed);
  CHECK_EQ(sent, received);
  CHECK_EQ(counted, locked);
  CHECK_EQ(open_files(), files);
  /* Room for a few threads more than before, which a busy machine may bring: 128 bytes lost in a generation, which
     makes some 200 operations, would be more. The sanitizers keep memory for themselves, and AddressSanitizer
     knows of leaks. */
  if (!TEST_TSAN && !TEST_ASAN) CHECK(last <= second + second / 100 + 1024);
}

int main(int argc, char **argv) {
  if (argc > 1) seconds = atoi(argv[1]);
  char limit[16];
  snprintf(limit, sizeof limit, "%d", seconds + 60);
  setenv("GOSSAMER_TEST_TIMEOUT", limit, 1);
  return test_main(1, argv);
}
