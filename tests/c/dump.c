// ctest: timeout=60
/* The scheduler's trace, the figures it shows, and the settings of both.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include "test.h"

static char trace[1 << 16];
/* Everything that goes to stderr from here on. */
static int keep_stderr(void) {
  char name[] = "/tmp/gossamer-dump-XXXXXX";
  int fd = mkstemp(name);
  CHECK(fd >= 0);
  unlink(name);
  CHECK_EQ(dup2(fd, 2), 2);
  return fd;
}
static const char *until_written(int fd, const char *what) {
  for (;; gos_sleep(MS)) {
    ssize_t n = pread(fd, trace, sizeof trace - 1, 0);
    trace[n > 0 ? n : 0] = 0;
    if (strstr(trace, what)) return trace;
  }
}

static void waits(void *c) { gos_chan_recv(c, NULL); }
static void locked(void *c) { gos_lock_os_thread(), gos_chan_recv(c, NULL); }

TEST_RAW(schedtrace) {
  int procs = 0, at = 0;
  setenv("GOSSAMER_DEBUG", "schedtrace=2", 1);
  int fd = keep_stderr();
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 3}), GOS_OK);
  until_written(fd, "]\n");
  CHECK(sscanf(trace, "SCHED %*dms: gomaxprocs=%d idleprocs=%n", &procs, &at) == 1 && at > 0);
  CHECK_EQ(procs, 3);
  CHECK_HAS(trace, " threads=");
  CHECK_HAS(trace, " spinningthreads=");
  CHECK_HAS(trace, " idlethreads=");
  CHECK_HAS(trace, " runqueue=0 ");
  CHECK_HAS(trace, " timers=");
  gos_gomaxprocs(1);
  until_written(fd, "gomaxprocs=1 ");
}

TEST_RAW(scheddetail) {
  setenv("GOSSAMER_DEBUG", "scheddetail=1,schedtrace=2", 1);
  int fd = keep_stderr();
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 2}), GOS_OK);
  gos_chan *c = gos_chan_make(0, 0);
  gos_g *a = spawn(waits, c), *b = spawn(locked, c);
  until_parked(a, "chan receive"), until_parked(b, "chan receive");
  until_written(fd, "  G2: status=waiting(chan receive)\n");
  until_written(fd, "  G3: status=waiting(chan receive) locked\n");
  until_written(fd, "  P1: status=");
  gos_chan_close(c);
  finish(a), finish(b);
}

TEST_RAW(no_trace_unless_asked) {
  setenv("GOSSAMER_DEBUG", "schedtrace=0,nonsense,=,schedtrace", 1);
  int fd = keep_stderr();
  CHECK_EQ(gos_init(NULL), GOS_OK);
  CHECK_EQ(gos_sleep(30 * MS), GOS_OK);
  CHECK_EQ(lseek(fd, 0, SEEK_END), 0);
}

TEST(figures) {
  gos_stats s;
  gos_chan *c = gos_chan_make(0, 0);
  gos_g *g[5];
  for (int i = 0; i < 5; i++) g[i] = spawn(waits, c), until_parked(g[i], "chan receive");
  gos_timer *t[3];
  for (int i = 0; i < 3; i++) CHECK((t[i] = gos_timer_new(3600000 * MS)));
  CHECK_EQ(gos_stats_get(&s, sizeof s), GOS_OK);
  CHECK_EQ(s.goroutines, 6);
  CHECK_EQ(s.timers, 3);
  CHECK_EQ(s.max_threads, 10000);
  CHECK(s.idle_procs >= 0 && s.idle_procs < test_procs);
  CHECK(s.spinning >= 0 && s.spinning <= 1);
  CHECK_EQ(s.runqueue, 0);
  for (int i = 0; i < 3; i++) gos_timer_free(t[i]);
  gos_chan_close(c);
  for (int i = 0; i < 5; i++) finish(g[i]);
}

TEST_RAW(flags) {
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .flags = 1u << 31}), GOS_INVAL);
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .flags = GOS_DUMP_ON_SIGQUIT}), GOS_OK);
  CHECK_EQ(gos_dump(2, 1), GOS_INVAL);
}

/* A fork's child that has no monitor dies of the signal as others do. (ThreadSanitizer keeps signals back.) */
TEST_RAW(sigquit_in_a_forks_child) {
  if (TEST_TSAN) return;
  CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .flags = GOS_DUMP_ON_SIGQUIT}), GOS_OK);
  pid_t pid = fork();
  if (pid == 0)
    for (;;) kill(getpid(), SIGQUIT), pause();
  int st = 0;
  CHECK_EQ(waitpid(pid, &st, 0), pid);
  CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGQUIT);
}
