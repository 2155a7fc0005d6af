/* Linux. L1. SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/atomic.h"
#include "gossamer/host.h"
#include "os/os.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13: a guard without a mapping of its own */
#endif

/* Without guard markers every guard splits a mapping, and vm.max_map_count (65,530 by
   default) ends them all; half is left for the rest of the process. */
enum { GUARD_BUDGET = 24000 };
static bool have_markers;
static int guards_by_mprotect;
static bool have_membarrier;

/* Does a guard marker really fault? Emulators accept any advice and do nothing; a system
   call that reads the page tells without a signal. */
static bool probe_markers(void) {
  int fds[2];
  bool works = false;
  char *p = mmap(NULL, GOSI_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return false;
  if (madvise(p, GOSI_PAGE, MADV_GUARD_INSTALL) == 0 && pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0) {
    works = write(fds[1], p, 1) < 0 && errno == EFAULT;
    close(fds[0]);
    close(fds[1]);
  }
  munmap(p, GOSI_PAGE);
  return works;
}

static sigset_t users_mask; /* of the thread that started the runtime */
void gosi_os_users_signals(void) { pthread_sigmask(SIG_SETMASK, &users_mask, NULL); }
void gos_with_users_signals(void (*fn)(void *), void *arg) {
  sigset_t old;
  pthread_sigmask(SIG_SETMASK, &users_mask, &old);
  fn(arg);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void nothing(int sig) { (void)sig; }

/* A signal that is ours, by the handler it has; 0: none is free. The monitor's. */
static int own_signal(void) {
  static int own;
  struct sigaction now, ours = {.sa_handler = nothing};
  if (own && sigaction(own, NULL, &now) == 0 && now.sa_handler == nothing) return own;
  for (own = SIGRTMAX - 1; own > SIGRTMIN; own--) {
    if (sigismember(&users_mask, own) || sigaction(own, NULL, &now) || now.sa_handler != SIG_DFL) continue;
    if (sigaction(own, &ours, NULL) == 0) return own;
  }
  return own = 0;
}

bool gosi_os_interrupt(int tid) {
  int sig = own_signal();
  return sig && syscall(SYS_tgkill, getpid(), tid, sig) == 0;
}

void gosi_os_init(void) {
  pthread_sigmask(SIG_SETMASK, NULL, &users_mask);
  have_markers = probe_markers();
#ifdef SYS_membarrier
  have_membarrier = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
#endif
}

static gos_ns read_clock(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}
gos_ns gosi_os_now(void) { return read_clock(CLOCK_MONOTONIC); }
gos_ns gosi_os_coarse(void) { return read_clock(CLOCK_MONOTONIC_COARSE); }

uint64_t gosi_os_random(void) {
  uint64_t r = 0;
  if (getrandom(&r, sizeof r, GRND_NONBLOCK) != sizeof r) r = (uint64_t)gosi_os_now() * 0x9E3779B97F4A7C15ull;
  return r | 1;
}

bool gosi_os_secure(void) { return getauxval(AT_SECURE) != 0; }

/* ---- CPUs ------------------------------------------------------------------- */
static bool read_text(const char *path, char *buf, size_t n) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t k = read(fd, buf, n - 1);
  close(fd);
  if (k < 0) return false;
  buf[k] = 0;
  return true;
}

/* Rounds a quota up to whole CPUs; no quota: a large number. */
static int cpus_of_quota(long quota, long period) {
  if (quota <= 0 || period <= 0) return 1 << 20;
  return (int)((quota + period - 1) / period);
}

/* The least limit on the way from the process's cgroup to the root (v2), or v1's cpu controller. */
static int cgroup_cpus(void) {
  char text[4096], path[4600], value[128], *save = NULL;
  int least = 1 << 20;
  if (!read_text("/proc/self/cgroup", text, sizeof text)) return least;
  for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
    char *kind = strchr(line, ':'), *dir = kind ? strchr(kind + 1, ':') : NULL;
    if (!dir) continue;
    *dir++ = 0;
    kind++;
    if (*kind == 0) {
      for (;;) {
        long quota, period;
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", strcmp(dir, "/") ? dir : "");
        if (read_text(path, value, sizeof value) && sscanf(value, "%ld %ld", &quota, &period) == 2) {
          int n = cpus_of_quota(quota, period);
          if (n < least) least = n;
        }
        char *slash = strrchr(dir, '/');
        if (!slash || dir[0] == 0 || !strcmp(dir, "/")) break;
        *slash = 0;
      }
    } else if (strstr(kind, "cpu") && !strstr(kind, "cpuset")) {
      char period[64];
      snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/cpu.cfs_quota_us", dir);
      if (!read_text(path, value, sizeof value)) continue;
      snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/cpu.cfs_period_us", dir);
      if (!read_text(path, period, sizeof period)) continue;
      int n = cpus_of_quota(atol(value), atol(period));
      if (n < least) least = n;
    }
  }
  return least;
}

int gosi_os_cpus(void) {
  cpu_set_t *set = NULL;
  int n = 0;
  for (size_t max = 1024; max <= 1 << 16 && n <= 0; max *= 2) { /* the kernel's mask may be wider than ours */
    set = CPU_ALLOC(max);
    if (!set) break;
    size_t size = CPU_ALLOC_SIZE(max);
    if (sched_getaffinity(0, size, set) == 0) n = CPU_COUNT_S(size, set);
    CPU_FREE(set);
  }
  int quota = cgroup_cpus();
  if (quota < n) n = quota;
  return n > 0 ? n : 1;
}

int gosi_os_thread_count(void) {
  char buf[1024], *p;
  if (!read_text("/proc/self/stat", buf, sizeof buf) || !(p = strrchr(buf, ')'))) return -1;
  int n = -1;
  /* After the name: state, then 16 numbers, then num_threads (field 20). */
  p += 2;
  for (int field = 3; field < 20 && p; field++) p = strchr(p + 1, ' ');
  if (p) n = atoi(p);
  return n > 0 ? n : -1; /* emulators give 0 */
}

int gosi_os_tid(void) { return (int)syscall(SYS_gettid); }
bool gosi_os_first_thread(void) { return gosi_os_tid() == getpid(); }

gos_ns gosi_os_thread_cpu(int tid) {
  struct timespec t;
  /* The kernel's number for a thread's clock: pthread_getcpuclockid() wants a pthread_t, which ends with its thread. */
  clockid_t clock = (clockid_t)((~(unsigned)tid << 3) | 6);
  return tid > 0 && clock_gettime(clock, &t) == 0 ? t.tv_sec * 1000000000LL + t.tv_nsec : -1;
}

bool gosi_os_thread_blocked(int tid) {
  char path[64], line[256], *p;
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
  /* "number (name) state ..." */
  return !read_text(path, line, sizeof line) || !(p = strrchr(line, ')')) || !p[1] || p[2] != 'R';
}

/* ---- memory ------------------------------------------------------------------ */
char *gosi_os_reserve(size_t n) {
  void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (p == MAP_FAILED) return NULL;
  madvise(p, n, MADV_NOHUGEPAGE); /* a huge page would commit many stacks at the first touch of one */
  return p;
}
void gosi_os_unmap(char *p, size_t n) { munmap(p, n); }
void gosi_os_discard(char *p, size_t n) { madvise(p, n, MADV_DONTNEED); }

int gosi_os_guard(char *p, size_t n) {
  if (gosi_load(&have_markers)) {
    if (madvise(p, n, MADV_GUARD_INSTALL) == 0) return GOS_OK;
    if (errno == ENOMEM) return GOS_NOMEM;
    gosi_store(&have_markers, false);
  }
  if (gosi_add(&guards_by_mprotect, 1) >= GUARD_BUDGET || mprotect(p, n, PROT_NONE)) {
    gosi_sub(&guards_by_mprotect, 1);
    return GOS_NOMEM;
  }
  return GOS_OK;
}

/* ---- sleeping ------------------------------------------------------------------ */
static int futex_wait(uint32_t *word, uint32_t seen, gos_ns deadline) {
  struct timespec t, *pt = NULL;
  if (deadline != GOS_FOREVER) {
    t.tv_sec = deadline / 1000000000;
    t.tv_nsec = deadline % 1000000000;
    pt = &t;
  }
  /* BITSET takes an absolute time on the monotonic clock. */
  if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, seen, pt, NULL, FUTEX_BITSET_MATCH_ANY) == 0) return GOS_OK;
  return errno == ETIMEDOUT ? GOS_TIMEDOUT : errno == EINTR ? GOS_AGAIN : GOS_OK;
}

int gosi_os_wait(uint32_t *word, uint32_t seen, gos_ns deadline) {
  enum { NOT_LONG = 20000000 };
  if (!GOSI_TSAN) return futex_wait(word, seen, deadline);
  /* ThreadSanitizer keeps signals until the next call that it knows, which the futex is not: look often. */
  gos_ns soon = gosi_os_now() + NOT_LONG;
  int e = futex_wait(word, seen, deadline < soon ? deadline : soon);
  gosi_os_nap(0);
  return e == GOS_TIMEDOUT && deadline > soon ? GOS_OK : e;
}
void gosi_os_wake(uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0); }

void gosi_os_nap(gos_ns d) {
  struct timespec t = {d / 1000000000, d % 1000000000};
  nanosleep(&t, NULL);
}

bool gosi_os_barrier_all(void) {
#ifdef SYS_membarrier
  if (have_membarrier) return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
#endif
  return false;
}

/* ---- threads -------------------------------------------------------------------- */
int gosi_os_thread(void *(*fn)(void *), void *arg, size_t stack) {
  pthread_attr_t at;
  pthread_t th;
  sigset_t block, old;
  sigfillset(&block);
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
  for (size_t i = 0; i < COUNT(faults); i++) sigdelset(&block, faults[i]);
  if (pthread_attr_init(&at)) return GOS_NOMEM;
  pthread_attr_setdetachstate(&at, PTHREAD_CREATE_DETACHED);
  if (GOSI_ASAN || GOSI_TSAN) stack *= 4;
  pthread_attr_setstacksize(&at, stack);
  pthread_sigmask(SIG_SETMASK, &block, &old);
  int e = pthread_create(&th, &at, fn, arg);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  pthread_attr_destroy(&at);
  return e ? GOS_SYS(e) : GOS_OK;
}

void gosi_os_stack_bounds(char **lo, char **hi) {
  pthread_attr_t at;
  void *base = NULL;
  size_t size = 0;
  if (pthread_getattr_np(pthread_self(), &at) == 0) {
    pthread_attr_getstack(&at, &base, &size);
    pthread_attr_destroy(&at);
  }
  *lo = base;
  *hi = (char *)base + size;
}

void gosi_os_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
void gosi_os_precise_timers(void) { prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0); }

enum { ALT_STACK = 32 * 1024 };
static __thread void *alt_stack __attribute__((tls_model("initial-exec")));

void gosi_os_alt_stack(void) {
  stack_t now;
  if (sigaltstack(NULL, &now) || !(now.ss_flags & SS_DISABLE)) return;
  void *p = mmap(NULL, ALT_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return;
  alt_stack = p;
  stack_t alt = {.ss_sp = p, .ss_size = ALT_STACK};
  sigaltstack(&alt, NULL);
}
void gosi_os_alt_stack_free(void) {
  stack_t none = {.ss_flags = SS_DISABLE};
  if (!alt_stack || sigaltstack(&none, NULL)) return;
  munmap(alt_stack, ALT_STACK);
  alt_stack = NULL;
}
