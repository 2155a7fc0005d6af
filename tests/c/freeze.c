// ctest: timeout=600
// ctest: not-in=address,thread,arm64
/* Frozen goroutines: what lives on their stacks is still there, whoever looks, and they take little memory.
 * (Under a sanitizer and an emulator they are not frozen: freeze_refused.c.)
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <gossamer/net.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include "test.h"

static gos_stats stats(void) {
  gos_stats s;
  CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
  return s;
}
/* Returns when n are frozen, whatever keeps a thread from leaving a stack. */
static void freeze_all(long n) {
  while (stats().frozen < n) {
    CHECK(gos_freeze(0) >= 0);
    gos_gosched(), sched_yield();
  }
}
static bool here(void) {
  if (gos_freeze(0) != GOS_SYS(ENOTSUP)) return true;
  printf("  not on this system\n");
  return false;
}
static long lines(const char *path) {
  long n = 0;
  FILE *f = fopen(path, "r");
  CHECK(f);
  for (int c; (c = getc(f)) != EOF;) n += c == '\n';
  fclose(f);
  return n;
}

/* ---- whoever touches it ------------------------------------------------------------------------- */
enum { WORDS = 200 };
static long *lent[64];
static gos_chan *gate;
static void lends(void *at) {
  long mine[WORDS], i = (intptr_t)at;
  for (int k = 0; k < WORDS; k++) mine[k] = i * WORDS + k;
  lent[i] = mine;
  __asm__ volatile("" ::: "memory");
  CHECK_EQ(gos_chan_recv(gate, NULL), GOS_CLOSED);
  for (int k = 0; k < WORDS; k++) CHECK_EQ(mine[k], i * WORDS + k);
}
static gos_g *lender[64];
static void lend(int n) {
  gate = gos_chan_make(0, 0);
  for (intptr_t i = 0; i < n; i++) lender[i] = spawn(lends, (void *)i);
  for (int i = 0; i < n; i++) until_parked(lender[i], "chan receive");
}
static void take_back(int n) {
  gos_chan_close(gate);
  for (int i = 0; i < n; i++) finish(lender[i]);
  gos_chan_release(gate);
}

TEST(runs_again_where_it_was) {
  if (!here()) return;
  lend(64);
  freeze_all(64);
  CHECK(stats().frozen_bytes > 64 * WORDS * (long)sizeof(long));
  take_back(64);
  CHECK_EQ(stats().frozen, 0);
  CHECK_EQ(stats().frozen_bytes, 0);
  CHECK_EQ(stats().thawed, 64);
  CHECK_EQ(stats().trapped, 0);
}

/* A system call that reads a page tells without a signal whether it can be read. */
static bool readable(const char *p) {
  char c;
  int fd[2];
  CHECK_EQ(pipe(fd), 0);
  bool can = write(fd[1], p, 1) == 1;
  CHECK(can ? read(fd[0], &c, 1) == 1 : errno == EFAULT);
  close(fd[0]), close(fd[1]);
  return can;
}
static bool guarded(const char *p) {
  enum { PAGE = 4096, STACK = 65536 };
  for (int i = 0; i < STACK / PAGE; i++, p -= PAGE)
    if (!readable(p)) return true;
  return false;
}

/* A close wakes them one after another: neighbours thaw together, and have their guards between them again. */
TEST(guards_after_thawing_together) {
  if (!here()) return;
  lend(64);
  freeze_all(64);
  take_back(64);
  for (int i = 0; i < 64; i++) CHECK(guarded((char *)lent[i]));
}

TEST(others_read_and_write_it) {
  if (!here()) return;
  lend(64);
  for (int round = 0; round < 20; round++) {
    freeze_all(64);
    for (int i = round % 2; i < 64; i += 2) {
      lent[i][round] += 5;
      CHECK_EQ(lent[i][WORDS - 1], (i + 1) * WORDS - 1);
    }
    freeze_all(64);
    for (int i = round % 2; i < 64; i += 2) lent[i][round] -= 5;
  }
  CHECK(stats().trapped >= 20 * 64);
  take_back(64);
}

/* Each of many threads adds to its own words, at any moment of freezing and thawing: none is lost, none seen half. */
enum { ADDERS = 4, ADDS = 20000 };
static atomic_bool over;
static void *adds(void *at) {
  long me = (intptr_t)at;
  for (int k = 0; k < ADDS; k++) {
    long *p = lent[k % 8];
    CHECK_EQ(p[100], k % 8 * WORDS + 100);
    p[me]++;
  }
  for (int k = 0; k < ADDS; k++) {
    lent[k % 8][me]--;
    CHECK_EQ(lent[k % 8][WORDS - 1], (k % 8 + 1) * WORDS - 1);
  }
  return NULL;
}
static void *frosty(void *arg) {
  (void)arg;
  while (!atomic_load(&over)) CHECK(gos_freeze(0) >= 0);
  return NULL;
}
TEST(threads_at_once) {
  pthread_t t[ADDERS], cold;
  if (!here()) return;
  lend(8);
  freeze_all(8);
  CHECK_EQ(pthread_create(&cold, NULL, frosty, NULL), 0);
  for (intptr_t i = 0; i < ADDERS; i++) CHECK_EQ(pthread_create(&t[i], NULL, adds, (void *)i), 0);
  for (int i = 0; i < ADDERS; i++) pthread_join(t[i], NULL);
  over = true;
  pthread_join(cold, NULL);
  take_back(8);
  CHECK(stats().trapped > 0);
}

/* ---- every kind of wait --------------------------------------------------------------------------- */
static gos_chan *to, *from;
static gos_mutex mu;
static gos_rwmutex rw;
static gos_sem *sem;
static gos_waitgroup wg;
enum { ROUNDS = 300 };

static void waits_in_turn(void *arg) {
  long canary[50], v, round = 0;
  (void)arg;
  for (int i = 0; i < 50; i++) canary[i] = 1000 + i;
  __asm__ volatile("" ::"r"(canary) : "memory");
  for (; round < scaled(ROUNDS); round++) {
    CHECK_EQ(gos_chan_recv(to, &v), GOS_OK);
    CHECK_EQ(gos_chan_send(from, &v), GOS_OK);
    gos_case k[] = {GOS_RECV(to, &v), GOS_RECV(NULL, NULL), GOS_SEND(NULL, NULL)};
    CHECK_EQ(gos_select(k, 3, GOS_FOREVER), 0);
    CHECK_EQ(gos_select((gos_case[]){GOS_RECV(NULL, NULL), GOS_SEND(from, &v)}, 2, gos_now() + 3600000 * MS), 1);
    gos_case many[12] = {GOS_RECV(to, &v)};
    CHECK_EQ(gos_select(many, 12, GOS_FOREVER), 0);
    CHECK_EQ(gos_chan_send_dl(from, &v, gos_now() + 3600000 * MS), GOS_OK);
    CHECK_EQ(gos_chan_recv_dl(NULL, &v, gos_now() + MS / 4), GOS_TIMEDOUT);
    gos_mutex_lock(&mu), gos_gosched(), gos_mutex_unlock(&mu);
    gos_rwmutex_rlock(&rw), gos_gosched(), gos_rwmutex_runlock(&rw);
    gos_rwmutex_lock(&rw), gos_rwmutex_unlock(&rw);
    CHECK_EQ(gos_sem_acquire(sem, 2), GOS_OK);
    gos_gosched(), gos_sem_release(sem, 2);
    CHECK_EQ(gos_sleep(MS / 10), GOS_OK);
    for (int i = 0; i < 50; i++) CHECK_EQ(canary[i], 1000 + i);
  }
  gos_waitgroup_done(&wg);
}
static void answers(void *arg) {
  long v[50] = {0}, n = 3 * 4 * scaled(ROUNDS);
  (void)arg;
  for (v[40] = 0; v[40] < n; v[40]++) {
    CHECK_EQ(gos_chan_send(to, &v[40]), GOS_OK);
    CHECK_EQ(gos_chan_recv(from, &v[20]), GOS_OK);
  }
}
TEST(every_wait_while_it_freezes) {
  pthread_t cold;
  if (!here()) return;
  to = gos_chan_make(sizeof(long), 0), from = gos_chan_make(sizeof(long), 0);
  sem = gos_sem_new(3);
  gos_waitgroup_add(&wg, 4);
  gos_g *a = spawn(answers, NULL), *w[4];
  for (int i = 0; i < 4; i++) w[i] = spawn(waits_in_turn, NULL);
  CHECK_EQ(pthread_create(&cold, NULL, frosty, NULL), 0);
  CHECK_EQ(gos_waitgroup_wait(&wg), GOS_OK);
  finish(a);
  for (int i = 0; i < 4; i++) finish(w[i]);
  over = true;
  pthread_join(cold, NULL);
  CHECK(stats().thawed > 0);
  CHECK_EQ(stats().frozen, 0);
  gos_sem_free(sem);
}

static void is_told(void *arg) { CHECK_EQ(gos_chan_recv_dl(NULL, NULL, *(gos_ns *)arg), GOS_CANCELED); }
TEST(interrupt_and_join) {
  gos_ns deadline = GOS_FOREVER;
  if (!here()) return;
  gos_g *g = spawn(is_told, &deadline);
  until_parked(g, "chan receive (nil chan)");
  freeze_all(1);
  CHECK_EQ(gos_interrupt(g), GOS_OK);
  finish(g);
}

/* ---- stacks of any size ------------------------------------------------------------------------------ */
static atomic_int deep;
static __attribute__((noinline)) long goes_down(int n, volatile long *above) {
  volatile long mine[64];
  for (int i = 0; i < 64; i++) mine[i] = n * 64 + i;
  if (n == 0) {
    atomic_fetch_add(&deep, 1);
    CHECK_EQ(gos_chan_recv(gate, NULL), GOS_CLOSED);
  }
  long sum = n ? goes_down(n - 1, mine) : 0;
  for (int i = 0; i < 64; i++) CHECK_EQ(mine[i], n * 64 + i);
  return sum + above[0];
}
static void dives(void *levels) {
  volatile long top[1] = {1};
  goes_down(*(int *)levels, top);
}
TEST(deep_and_large) {
  static const size_t sizes[] = {16 << 10, 64 << 10, 256 << 10, 1 << 20, 8 << 20};
  static int levels[] = {3, 60, 300, 1000, 12000};
  if (!here()) return;
  gate = gos_chan_make(0, 0);
  gos_g *g[10];
  for (int i = 0; i < 10; i++)
    CHECK((g[i] = gos_go_opts(&(gos_go_options){.size = sizeof(gos_go_options), .stack = sizes[i / 2]}, dives,
                              &levels[i % 2 ? i / 2 : 0], NULL)));
  while (deep < 10) gos_gosched();
  for (int i = 0; i < 10; i++) until_parked(g[i], "chan receive");
  freeze_all(10);
  gos_chan_close(gate);
  for (int i = 0; i < 10; i++) finish(g[i]);
}

/* ---- who is not frozen ------------------------------------------------------------------------------- */
static int ends[2];
static char *area;
static void keeps(void *may) {
  char mine[256];
  memset(area = mine, 'k', sizeof mine);
  CHECK_EQ(gos_freezable(may != NULL), 1);
  CHECK_EQ(gos_freezable(may != NULL), may != NULL);
  gos_chan_recv(gate, NULL);
}
/* The kernel does not thaw: a goroutine that lends its stack to a system call of others says so. The runtime's own
   calls know. */
TEST(system_calls) {
  if (!here()) return;
  CHECK_EQ(pipe(ends), 0);
  for (int may = 0; may < 2; may++) {
    gate = gos_chan_make(0, 0);
    gos_g *g = spawn(keeps, may ? &ends : NULL);
    until_parked(g, "chan receive");
    if (may) freeze_all(1);
    CHECK_EQ(gos_freeze(0), 0);
    CHECK_EQ(write(ends[1], area, 16), may ? -1 : 16);
    if (may) CHECK_EQ(errno, EFAULT);
    CHECK_EQ(gos_write(ends[1], area, 16, GOS_FOREVER), 16);
    if (may) freeze_all(1);
    CHECK_EQ(gos_read(ends[0], area + 16, 16, GOS_FOREVER), 16);
    CHECK(area[16] == 'k' && area[31] == 'k');
    if (!may) CHECK_EQ(read(ends[0], area + 16, 16), 16);
    gos_chan_close(gate);
    finish(g);
  }
  int fd[2];
  gate = gos_chan_make(0, 0);
  gos_g *g = spawn(keeps, &ends);
  until_parked(g, "chan receive");
  CHECK_EQ(gos_socketpair("unixgram", fd), GOS_OK);
  freeze_all(1);
  CHECK_EQ(gos_sendto(fd[0], area, 8, NULL, GOS_FOREVER), 8);
  freeze_all(1);
  CHECK_EQ(gos_recvfrom(fd[1], area + 8, 8, NULL, GOS_FOREVER), 8);
  CHECK_EQ(area[15], 'k');
  gos_chan_close(gate);
  finish(g);
}

static void locked(void *arg) { gos_lock_os_thread(), gos_chan_recv(arg, NULL); }
TEST(not_main_not_locked_not_foreign) {
  if (!here()) return;
  gate = gos_chan_make(0, 0);
  gos_g *g = spawn(locked, gate);
  until_parked(g, "chan receive");
  CHECK_EQ(gos_freeze(0), 0);
  CHECK_EQ(gos_freeze(-1), GOS_INVAL);
  gos_chan_close(gate);
  finish(g);
}

/* ---- signals, fork, limits ------------------------------------------------------------------------------ */
static atomic_long seen, wrong;
static atomic_int inside;
static atomic_bool enough;
static void look_at_all(void) {
  int right = 0;
  for (int i = 0; i < 8; i++) right += lent[i][50] == i * WORDS + 50;
  atomic_fetch_add(right == 8 ? &seen : &wrong, 1);
}
static void looks(int sig) { /* on its own thread, beside the goroutine that ends it */
  (void)sig;
  atomic_fetch_add(&inside, 1);
  if (!atomic_load(&enough)) look_at_all();
  atomic_fetch_sub(&inside, 1);
}
TEST(from_a_signal_handler) {
  if (!here()) return;
  lend(8);
  struct sigaction sa = {.sa_handler = looks, .sa_flags = SA_RESTART};
  struct itimerval every = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
  sigaction(SIGALRM, &sa, NULL);
  setitimer(ITIMER_REAL, &every, NULL);
  while (atomic_load(&seen) + atomic_load(&wrong) < 400) CHECK(gos_freeze(0) >= 0);
  setitimer(ITIMER_REAL, &never, NULL);
  atomic_store(&enough, true);
  while (atomic_load(&inside)) gos_gosched();
  CHECK_EQ(atomic_load(&wrong), 0);
  take_back(8);
}

static void forks(void *arg) {
  int st = -1;
  (void)arg;
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    alarm(60);
    for (int i = 0; i < 8; i++) {
      CHECK_EQ(lent[i][50], i * WORDS + 50);
      lent[i][50] = -1;
    }
    gos_chan *old = gate;
    lend(16); /* it can freeze its own */
    freeze_all(16);
    for (int i = 0; i < 16; i += 2) CHECK_EQ(lent[i][7], i * WORDS + 7);
    take_back(16);
    gate = old;
    _exit(0);
  }
  CHECK_EQ(waitpid(pid, &st, 0), pid);
  CHECK_EQ(st, 0);
}
TEST(fork_with_frozen_ones) {
  pthread_t t, cold;
  if (!here()) return;
  lend(8);
  freeze_all(8);
  forks(NULL);
  CHECK_EQ(stats().frozen, 8);
  /* And at any moment of freezing and thawing. */
  CHECK_EQ(pthread_create(&cold, NULL, frosty, NULL), 0);
  CHECK_EQ(pthread_create(&t, NULL, adds, (void *)1), 0);
  for (int i = 0; i < 20; i++) {
    int st = -1;
    pid_t pid = fork();
    if (pid == 0) {
      alarm(60);
      for (int k = 0; k < 8; k++) CHECK_EQ(lent[k][50], k * WORDS + 50);
      _exit(0);
    }
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, 0);
  }
  pthread_join(t, NULL);
  over = true;
  pthread_join(cold, NULL);
  take_back(8);
}

TEST_RAW(no_mapping_is_left_behind) {
  CHECK_EQ(gos_init(NULL), GOS_OK);
  if (!here()) return;
  lend(64);
  freeze_all(64);
  for (int i = 0; i < 64; i++) lent[i][0] += 0;
  freeze_all(64);
  long before = lines("/proc/self/maps");
  for (int round = 0; round < 50; round++) {
    for (int i = 0; i < 64; i += 1 + round % 5) lent[i][0] += 0;
    freeze_all(64);
  }
  CHECK(lines("/proc/self/maps") <= before + 2);
  take_back(64);
}

/* The process has as many mappings as it may: what is frozen thaws all the same. */
TEST_RAW(no_mapping_to_be_had) {
  CHECK_EQ(gos_init(NULL), GOS_OK);
  if (!here()) return;
  lend(64);
  freeze_all(64);
  size_t n = 1 << 20;
  char *all = mmap(NULL, n * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(all != MAP_FAILED);
  for (size_t i = 0; i < n && mprotect(all + i * 4096, 4096, i % 2 ? PROT_READ : PROT_NONE) == 0; i++) {}
  for (int i = 0; i < 64; i += 2) CHECK_EQ(lent[i][9], i * WORDS + 9);
  CHECK(gos_freeze(0) >= 0);
  take_back(64);
  munmap(all, n * 4096);
}

static void own(int sig) { (void)sig, _exit(0); }
TEST_RAW(another_handler_of_the_signal) {
  setenv("GOSSAMER_FREEZE", "age=0", 1);
  CHECK_EQ(gos_init(NULL), GOS_OK);
  if (!here()) return;
  lend(8);
  while (stats().frozen < 8) gos_sleep(MS);
  signal(SIGSEGV, own);
  CHECK_EQ(gos_freeze(0), GOS_PERM);
  while (stats().frozen) gos_sleep(MS); /* the monitor has seen it, too */
  for (int i = 0; i < 8; i++) CHECK_EQ(lent[i][9], i * WORDS + 9);
  take_back(8);
}

/* ---- the monitor ---------------------------------------------------------------------------------------- */
TEST_RAW(by_itself) {
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .flags = GOS_FREEZE}), GOS_OK);
  lend(64);
  CHECK_EQ(gos_sleep(100 * MS), GOS_OK);
  while (stats().frozen < 64) gos_sleep(20 * MS);
  CHECK_EQ(lent[3][9], 3 * WORDS + 9);
  while (stats().frozen < 64) gos_sleep(20 * MS); /* again, a second later */
  FILE *f = tmpfile();
  char text[4096] = "";
  CHECK(f);
  CHECK_EQ(gos_dump(fileno(f), 0), GOS_OK);
  CHECK(pread(fileno(f), text, sizeof text - 1, 0) > 0);
  CHECK_HAS(text, " [chan receive, frozen]:");
  fclose(f);
  take_back(64);
}

/* ---- what it costs ----------------------------------------------------------------------------------------- */
static gos_ns cpu(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Every other one stays: the ones that are frozen have no neighbours to be frozen and thawed with. */
static void lends_or_stays(void *at) {
  gos_freezable((intptr_t)at % 2 == 0);
  lends(at);
}
TEST_RAW(prices_of_one) {
  long rounds = scaled(50), n = 0;
  gos_ns freezing = 0, trapping = 0;
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 1}), GOS_OK);
  if (!here()) return;
  gate = gos_chan_make(0, 0);
  for (intptr_t i = 0; i < 64; i++) until_parked(lender[i] = spawn(lends_or_stays, (void *)i), "chan receive");
  for (long r = 0; r < rounds; r++) {
    gos_ns t = cpu(), u;
    n += gos_freeze(0);
    u = cpu();
    for (int i = 0; i < 64; i += 2) CHECK_EQ(lent[i][3], i * WORDS + 3);
    trapping += cpu() - u;
    freezing += u - t;
  }
  CHECK(n > 0);
  freeze_all(32);
  gos_ns t = cpu();
  take_back(64);
  printf("  alone: %ld ns to freeze one, %ld to thaw it by a fault, %ld to wake, thaw and end it\n",
         (long)(freezing / n), (long)(trapping / n), (long)((cpu() - t) / 32));
}

/* ---- a million --------------------------------------------------------------------------------------------- */
static long resident(void) {
  long pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f || fscanf(f, "%*s %ld", &pages) != 1) pages = 0;
  if (f) fclose(f);
  return pages * sysconf(_SC_PAGESIZE);
}
static long page_tables(void) {
  long kib = 0;
  char line[128];
  FILE *f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f)) sscanf(line, "VmPTE: %ld", &kib);
  if (f) fclose(f);
  return kib * 1024;
}
static atomic_long entered, left;
static void waits(void *c) {
  atomic_fetch_add(&entered, 1);
  if (gos_chan_recv(c, NULL) == GOS_CLOSED) atomic_fetch_add(&left, 1);
}
/* All are frozen, some woken; the process ends with the others as they are. */
TEST_RAW(a_million) {
  long n = scaled_live(1000000), batch = 50000, some = n / 10;
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 2}), GOS_OK);
  if (!here()) return;
  alarm(500);
  gos_chan *never = gos_chan_make(0, 0);
  CHECK((gate = gos_chan_make(0, 0)) && never);
  long before = resident(), tables = page_tables();
  gos_ns froze = 0;
  for (long i = 0; i < n;) {
    for (long end = i + batch < n ? i + batch : n; i < end; i++)
      CHECK_EQ(gos_go(waits, i < some ? gate : never), GOS_OK);
    while (entered < i) gos_gosched();
    gos_ns t = cpu();
    freeze_all(i);
    froze += cpu() - t;
  }
  long each = (resident() - before) / n;
  printf("  %ld frozen: %ld bytes each, %ld kept of a stack; page tables %ld; %ld ns to freeze one\n", n, each,
         (long)(stats().frozen_bytes / n), (page_tables() - tables) / n, (long)(froze / n));
  fflush(stdout);
  if (n >= 100000) CHECK(each <= 700);
  gos_ns t = cpu();
  CHECK_EQ(gos_chan_close(gate), GOS_OK);
  while (left < some) gos_gosched();
  printf("  %ld woken in %ld ns each\n", some, (long)((cpu() - t) / some));
  CHECK(stats().frozen <= n - some);
}
