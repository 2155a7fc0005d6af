/* The calls that can be made to fail, and the harness around a workload: see faults.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include "sched/sched.h"

/* What each kind's call gives when it fails. tests/CMakeLists.txt reads this list: a --wrap for each name,
   and for free. */
#define KINDS(K)                                                                                                       \
  K(malloc)                                                                                                            \
  K(calloc)                                                                                                            \
  K(realloc)                                                                                                           \
  K(posix_memalign)                                                                                                    \
  K(aligned_alloc)                                                                                                     \
  K(strdup)                                                                                                            \
  K(mmap)                                                                                                              \
  K(mprotect)                                                                                                          \
  K(madvise)                                                                                                           \
  K(mremap)                                                                                                            \
  K(pthread_create)                                                                                                    \
  K(pthread_attr_init)                                                                                                 \
  K(pipe2)                                                                                                             \
  K(open)                                                                                                              \
  K(eventfd)                                                                                                           \
  K(timerfd_create)                                                                                                    \
  K(epoll_create1)                                                                                                     \
  K(epoll_ctl)                                                                                                         \
  K(getrandom)                                                                                                         \
  K(sched_getaffinity)                                                                                                 \
  K(syscall) /* membarrier's registration; nothing else */
enum kind {
#define ONE(name) K_##name,
  KINDS(ONE)
#undef ONE
      NKINDS
};
static const char *const kind_name[] = {
#define ONE(name) #name,
    KINDS(ONE)
#undef ONE
};

/* Shared with the processes that run the workload. */
static struct run {
  int kind;
  long n; /* 0: no fault */
  bool ever;
  atomic_bool on;
  atomic_long calls, injected;
  long kept; /* blocks of memory that are there at the end of a run without a fault */
} * run;

bool faults_fired(void) { return run->on && run->injected > 0; }
void faults_end(void) { run->on = false; }

static bool fails(enum kind k) {
  if (!run || !run->on || run->kind != (int)k) return false;
  long c = atomic_fetch_add(&run->calls, 1) + 1;
  if (!run->n || !(c == run->n || (run->ever && c > run->n))) return false;
  atomic_fetch_add(&run->injected, 1);
  return true;
}

/* ---- memory -------------------------------------------------------------------------------- */
void *__real_malloc(size_t n);
void *__real_calloc(size_t k, size_t n);
void *__real_realloc(void *p, size_t n);
int __real_posix_memalign(void **p, size_t a, size_t n);
void *__real_aligned_alloc(size_t a, size_t n);
char *__real_strdup(const char *s);
void __real_free(void *p);

/* Every block the core has, but for what it never gives back: Gs and threads (posix_memalign), and what
   hangs on a G. */
enum { BLOCKS_MAX = 1 << 16 };
static struct block {
  void *p, *from;
  size_t size;
} blocks[BLOCKS_MAX];
static int nblocks;
static pthread_mutex_t blocks_lock = PTHREAD_MUTEX_INITIALIZER;

static void *note(void *p, size_t n, void *from) {
  if (!p || !run || n == sizeof(gosi_extra)) return p;
  pthread_mutex_lock(&blocks_lock);
  CHECK(nblocks < BLOCKS_MAX);
  blocks[nblocks++] = (struct block){p, from, n};
  pthread_mutex_unlock(&blocks_lock);
  return p;
}
static void forget(void *p) {
  pthread_mutex_lock(&blocks_lock);
  for (int i = nblocks; i-- > 0;)
    if (blocks[i].p == p) {
      blocks[i] = blocks[--nblocks];
      break;
    }
  pthread_mutex_unlock(&blocks_lock);
}

static void *no_memory(void) {
  errno = ENOMEM;
  return NULL;
}
#define CALLER __builtin_return_address(0)
void *__wrap_malloc(size_t n) { return fails(K_malloc) ? no_memory() : note(__real_malloc(n), n, CALLER); }
void *__wrap_calloc(size_t k, size_t n) {
  return fails(K_calloc) ? no_memory() : note(__real_calloc(k, n), k * n, CALLER);
}
void *__wrap_realloc(void *old, size_t n) {
  if (fails(K_realloc)) return no_memory();
  if (old) forget(old);
  return note(__real_realloc(old, n), n, CALLER);
}
int __wrap_posix_memalign(void **p, size_t a, size_t n) {
  return fails(K_posix_memalign) ? ENOMEM : __real_posix_memalign(p, a, n);
}
void *__wrap_aligned_alloc(size_t a, size_t n) {
  return fails(K_aligned_alloc) ? no_memory() : note(__real_aligned_alloc(a, n), n, CALLER);
}
char *__wrap_strdup(const char *s) {
  return fails(K_strdup) ? no_memory() : note(__real_strdup(s), strlen(s) + 1, CALLER);
}
void __wrap_free(void *p) {
  if (p) forget(p);
  __real_free(p);
}

/* ---- the system ---------------------------------------------------------------------------- */
static int gives(int e) {
  errno = e;
  return -1;
}
void *__real_mmap(void *p, size_t n, int prot, int flags, int fd, off_t at);
int __real_mprotect(void *p, size_t n, int prot);
int __real_madvise(void *p, size_t n, int advice);
void *__real_mremap(void *p, size_t old, size_t n, int flags, ...);
int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int __real_pthread_attr_init(pthread_attr_t *a);
int __real_pipe2(int *fds, int flags);
int __real_open(const char *path, int flags, ...);
int __real_eventfd(unsigned n, int flags);
int __real_timerfd_create(int clock, int flags);
int __real_epoll_create1(int flags);
int __real_epoll_ctl(int fd, int op, int on, struct epoll_event *e);
ssize_t __real_getrandom(void *p, size_t n, unsigned flags);
int __real_sched_getaffinity(pid_t pid, size_t n, cpu_set_t *set);
long __real_syscall(long what, ...);

void *__wrap_mmap(void *p, size_t n, int prot, int flags, int fd, off_t at) {
  if (fails(K_mmap)) return errno = ENOMEM, MAP_FAILED;
  return __real_mmap(p, n, prot, flags, fd, at);
}
int __wrap_mprotect(void *p, size_t n, int prot) {
  return fails(K_mprotect) ? gives(ENOMEM) : __real_mprotect(p, n, prot);
}
int __wrap_madvise(void *p, size_t n, int advice) {
  return fails(K_madvise) ? gives(run->n % 2 ? ENOMEM : EINVAL) : __real_madvise(p, n, advice);
}
void *__wrap_mremap(void *p, size_t old, size_t n, int flags, ...) {
  va_list ap;
  va_start(ap, flags);
  void *to = flags & MREMAP_FIXED ? va_arg(ap, void *) : NULL;
  va_end(ap);
  if (fails(K_mremap)) return errno = ENOMEM, MAP_FAILED;
  return __real_mremap(p, old, n, flags, to);
}
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg) {
  return fails(K_pthread_create) ? EAGAIN : __real_pthread_create(t, a, fn, arg);
}
int __wrap_pthread_attr_init(pthread_attr_t *a) {
  return fails(K_pthread_attr_init) ? ENOMEM : __real_pthread_attr_init(a);
}
int __wrap_pipe2(int *fds, int flags) { return fails(K_pipe2) ? gives(EMFILE) : __real_pipe2(fds, flags); }
int __wrap_open(const char *path, int flags, ...) {
  return fails(K_open) ? gives(EMFILE) : __real_open(path, flags, 0666);
}
int __wrap_eventfd(unsigned n, int flags) { return fails(K_eventfd) ? gives(EMFILE) : __real_eventfd(n, flags); }
int __wrap_timerfd_create(int clock, int flags) {
  return fails(K_timerfd_create) ? gives(EMFILE) : __real_timerfd_create(clock, flags);
}
int __wrap_epoll_create1(int flags) { return fails(K_epoll_create1) ? gives(EMFILE) : __real_epoll_create1(flags); }
int __wrap_epoll_ctl(int fd, int op, int on, struct epoll_event *e) {
  return op != EPOLL_CTL_DEL && fails(K_epoll_ctl) ? gives(ENOSPC) : __real_epoll_ctl(fd, op, on, e);
}
ssize_t __wrap_getrandom(void *p, size_t n, unsigned flags) {
  return fails(K_getrandom) ? gives(EAGAIN) : __real_getrandom(p, n, flags);
}
int __wrap_sched_getaffinity(pid_t pid, size_t n, cpu_set_t *set) {
  return fails(K_sched_getaffinity) ? gives(EINVAL) : __real_sched_getaffinity(pid, n, set);
}
long __wrap_syscall(long what, ...) {
  va_list ap;
  long a[6];
  va_start(ap, what);
  for (int i = 0; i < 6; i++) a[i] = va_arg(ap, long);
  va_end(ap);
  if (what == SYS_membarrier && a[0] == MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED && fails(K_syscall))
    return gives(ENOSYS);
  return __real_syscall(what, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- a run --------------------------------------------------------------------------------- */
int faults_thread(pthread_t *t, void *(*fn)(void *), void *arg) { return __real_pthread_create(t, NULL, fn, arg); }

void faults_failed(const char *file, int line, const char *fmt, ...) {
  char text[1024];
  int at = snprintf(text, 256, "%s:%d: ", file, line);
  va_list ap;
  va_start(ap, fmt);
  at += vsnprintf(text + at, sizeof text - (size_t)at - 1, fmt, ap);
  text[at++] = '\n';
  if (write(2, text, (size_t)at) < 0) _exit(4);
  _exit(1);
}

static void hangs(int sig) {
  signal(sig, SIG_DFL);
  alarm(5);
  run->on = false;
  (void)!write(2, "hangs:\n", 7);
  gos_dump(2, 0);
  _exit(3);
}

static int open_files(void) {
  DIR *d = opendir("/proc/self/fd");
  int n = 0;
  while (d && readdir(d)) n++;
  if (d) closedir(d);
  return n;
}

__attribute__((weak)) int setup(void) { return gos_init(&(gos_config){.size = sizeof(gos_config), .maxprocs = 2}); }
__attribute__((weak)) int files_kept(void) { return 0; }
__attribute__((weak)) int __lsan_do_recoverable_leak_check(void);

static int count_blocks(void) {
  pthread_mutex_lock(&blocks_lock);
  int n = nblocks;
  pthread_mutex_unlock(&blocks_lock);
  return n;
}

/* A goroutine is counted as ended before its thread has given back what it had. */
static void check_memory(bool reference) {
  for (int i = 0; !reference && count_blocks() > run->kept && i < 5000; i++) usleep(1000);
  pthread_mutex_lock(&blocks_lock);
  if (reference && nblocks > run->kept) run->kept = nblocks;
  if (nblocks > run->kept) {
    for (int i = 0; i < nblocks; i++)
      fprintf(stderr, "  %zu bytes, allocated near %p\n", blocks[i].size, blocks[i].from);
    faults_failed(__FILE__, __LINE__, "%d blocks of memory are left, %ld without a fault", nblocks, run->kept);
  }
  pthread_mutex_unlock(&blocks_lock);
  if (__lsan_do_recoverable_leak_check) CHECK(!__lsan_do_recoverable_leak_check());
}

static void one_run(void) {
  int files = open_files();
  run->calls = run->injected = 0;
  run->on = true;
  bool up = WORKED(setup());
  if (up) {
    workload();
    settle();
  }
  run->on = false;
  if (run->kind == K_pthread_create || run->kind == K_pthread_attr_init)
    usleep(20000); /* the monitor's thread is not tried for all the time */
  if (!up) CHECK_EQ(setup(), GOS_OK);
  for (int i = 0; i < 2; i++) {
    workload();
    settle();
  }
  files += files_kept();
  int open_now = open_files();
  for (int i = 0; open_now != files && i < 5000; i++) { /* the monitor has one of /proc for a moment */
    usleep(1000);
    open_now = open_files();
  }
  CHECK_EQ(open_now, files);
  check_memory(run->n == 0);
}

/* ---- the sweep ------------------------------------------------------------------------------- */
static int in_a_process(void) {
  fflush(NULL);
  pid_t pid = fork();
  if (!pid) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGALRM, hangs);
    alarm(30);
    one_run();
    _exit(0); /* exit() would run handlers whose registration may have failed */
  }
  int status = -1;
  waitpid(pid, &status, 0);
  return status;
}

static int sweep(int kind, bool ever, long most, long *runs) {
  int bad = 0, beyond = 0;
  for (long n = 1; beyond < 2 && (!most || n <= most); n++) {
    run->kind = kind, run->n = n, run->ever = ever;
    int status = in_a_process();
    ++*runs;
    if (status) {
      printf("FAIL GOSSAMER_FAULT=%s:%ld%s status=%#x\n", kind_name[kind], n, ever ? ":ever" : "", (unsigned)status);
      if (++bad == 5) break;
    }
    beyond = run->injected ? 0 : beyond + 1;
  }
  return bad;
}

static int by_hand(const char *spec) {
  char name[32] = "", ever[8] = "";
  if (sscanf(spec, "%31[a-z0-9_]:%ld:%7s", name, &run->n, ever) < 2) return fprintf(stderr, "KIND:N[:ever]\n"), 2;
  run->ever = !strcmp(ever, "ever");
  run->kept = 1 << 20; /* no comparison */
  for (run->kind = 0; run->kind < NKINDS && strcmp(kind_name[run->kind], name);) run->kind++;
  if (run->kind == NKINDS) return fprintf(stderr, "no call %s\n", name), 2;
  one_run();
  printf("%ld calls of %s, %ld failed\n", run->calls, name, run->injected);
  return 0;
}

int main(void) {
  const char *most = getenv("GOSSAMER_FAULTS"), *spec = getenv("GOSSAMER_FAULT");
  run = __real_mmap(NULL, sizeof *run, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if ((void *)run == MAP_FAILED) return 2;
  if (spec) return by_hand(spec);
  int bad = 0;
  long runs = 0;
  for (int i = 0; i < 5; i++) bad += in_a_process() != 0;
  for (int k = 0; k < NKINDS && !bad; k++)
    for (int ever = 0; ever < 2; ever++) {
      long before = runs;
      bad += sweep(k, ever, most ? atol(most) : 24, &runs);
      if (runs - before > 2) printf("%s%s: %ld runs\n", kind_name[k], ever ? " for ever" : "", runs - before);
    }
  printf("%ld runs, %d failed\n", runs, bad);
  return bad != 0;
}
