/* The tests' harness. Each TEST runs in a process of its own, once for each number of Ps
 * ($GOSSAMER_TEST_PROCS, "1 2 4" unless set); a TEST_RAW runs once and starts the runtime itself.
 * `PROGRAM NAME` runs only the tests whose name contains NAME. CHECKs may fail on any thread or
 * goroutine; a test that hangs prints every goroutine and fails ($GOSSAMER_TEST_TIMEOUT seconds).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSSAMER_TEST_H
#define GOSSAMER_TEST_H
#include <gossamer.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __has_feature /* gcc says it with a macro of its own */
#define __has_feature(f) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define TEST_TSAN 1
#else
#define TEST_TSAN 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define TEST_ASAN 1
#else
#define TEST_ASAN 0
#endif
/* A deadlock is only reported where the threads can be counted: an emulator's /proc/self/stat says 0. */
__attribute__((unused)) static int test_counts_threads(void) {
  char line[1024] = "", *p;
  FILE *f = fopen("/proc/self/stat", "r");
  if (f) {
    p = fgets(line, sizeof line, f), fclose(f);
  }
  p = strrchr(line, ')'); /* then the state, and num_threads as the 18th word */
  for (int word = 1; p && word <= 18; word++) p = strchr(p + 1, ' ');
  return p && atoi(p) > 0;
}
#define MS ((gos_ns)1000000)
#define TEST_UNUSED __attribute__((unused)) static

struct test {
  const char *name;
  void (*fn)(void);
  bool raw;
  struct test *next;
};
static struct test *test_first, **test_last = &test_first;
TEST_UNUSED int test_procs; /* of the running TEST, 0 in a TEST_RAW */
#define TEST_ENTRY(id, raw)                                                                                            \
  static void id(void);                                                                                                \
  static struct test id##_test = {#id, id, raw, NULL};                                                                 \
  __attribute__((constructor)) static void id##_add(void) {                                                            \
    *test_last = &id##_test;                                                                                           \
    test_last = &id##_test.next;                                                                                       \
  }                                                                                                                    \
  static void id(void)
#define TEST(id) TEST_ENTRY(id, false)
#define TEST_RAW(id) TEST_ENTRY(id, true)
__attribute__((format(printf, 3, 4), noreturn)) TEST_UNUSED void test_fail(const char *file, int line, const char *fmt,
                                                                           ...) {
  char text[1024];
  int at = snprintf(text, 256, "%s:%d: ", file, line);
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text + at, sizeof text - (size_t)at - 1, fmt, ap);
  if (write(2, strcat(text, "\n"), strlen(text) + 1) < 0) _exit(4);
  _exit(1);
}
#define CHECK(c)                                                                                                       \
  do {                                                                                                                 \
    if (!(c)) test_fail(__FILE__, __LINE__, "CHECK(%s)", #c);                                                          \
  } while (0)
#define CHECK_EQ(a, b)                                                                                                 \
  do {                                                                                                                 \
    long long a_ = (long long)(a), b_ = (long long)(b);                                                                \
    if (a_ != b_) test_fail(__FILE__, __LINE__, "%s is %lld, not %s = %lld", #a, a_, #b, b_);                          \
  } while (0)
#define CHECK_HAS(s, part)                                                                                             \
  do {                                                                                                                 \
    const char *s_ = (s), *p_ = (part);                                                                                \
    if (!s_ || !strstr(s_, p_)) test_fail(__FILE__, __LINE__, "no \"%s\" in %s: %.700s", p_, #s, s_ ? s_ : "NULL");    \
  } while (0)

TEST_UNUSED long test_env(const char *name, long or) {
  const char *s = getenv(name);
  return s && *s ? atol(s) : or ;
}
/* n, more or less of it as $GOSSAMER_TEST_SCALE says, at least 1. */
TEST_UNUSED long scaled(long n) {
  const char *s = getenv("GOSSAMER_TEST_SCALE");
  double k = s && *s ? atof(s) : TEST_TSAN ? 0.1 : 1;
  return n * k < 1 ? 1 : (long)(n * k);
}
/* scaled(n) goroutines that live at once: gcc's ThreadSanitizer ends at some 6,000. */
TEST_UNUSED long scaled_live(long n) {
  long k = scaled(n);
  return TEST_TSAN && k > 5000 ? 5000 : k;
}
TEST_UNUSED gos_g *spawn(void (*fn)(void *), void *arg) {
  int e = 0;
  gos_g *g = gos_go_opts(NULL, fn, arg, &e);
  return g ? g : (test_fail(__FILE__, __LINE__, "gos_go_opts: %s", gos_strerror(e)), NULL);
}
TEST_UNUSED void finish(gos_g *g) {
  CHECK_EQ(gos_join(g, GOS_FOREVER), GOS_OK);
  gos_release(g);
}
/* Returns when g waits for this reason. */
TEST_UNUSED void until_parked(gos_g *g, const char *reason) {
  gos_info i;
  while (gos_info_get(g, &i, sizeof i), strcmp(i.status, "waiting") || strcmp(i.wait_reason, reason))
    gos_gosched(), sched_yield();
}

static void test_hangs(int sig) {
  signal(sig, SIG_DFL);
  alarm(5);
  (void)!write(2, "hangs:\n", 7);
  gos_dump(2, 0);
  _exit(3);
}
static int test_run(struct test *t, int procs) {
  printf("%s%s%.0d\n", t->name, procs ? " procs=" : "", procs), fflush(stdout);
  pid_t pid = fork();
  if (pid) {
    int st = -1;
    waitpid(pid, &st, 0);
    if (st) printf("FAIL %s procs=%d status=%#x\n", t->name, procs, st);
    return st != 0;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL), signal(SIGALRM, test_hangs),
      alarm((unsigned)test_env("GOSSAMER_TEST_TIMEOUT", 120));
  if ((test_procs = procs)) CHECK_EQ(gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = procs}), GOS_OK);
  t->fn(), exit(0);
}
int main(int argc, char **argv) {
  int bad = 0;
  const char *p = getenv("GOSSAMER_TEST_PROCS");
  for (struct test *t = test_first; t; t = t->next)
    if (argc < 2 || strstr(t->name, argv[1])) {
      char *s = (char *)(p && *p ? p : "1 2 4");
      if (t->raw)
        bad += test_run(t, 0);
      else
        for (long n; (n = strtol(s, &s, 10)) > 0;) bad += test_run(t, (int)n);
    }
  return bad != 0;
}
#endif
