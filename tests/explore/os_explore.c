/* What the runtime asks of the operating system, answered by the explorer.
 * SPDX-License-Identifier: Apache-2.0 */
#include "os/os.h"
#include "explore.h"
#include "netpoll/netpoll.h"
#include "os/pages.h"
#include <poll.h>
#include <signal.h>

void gosi_os_init(void) {}
gos_ns gosi_os_now(void) { return ex_now(); }
gos_ns gosi_os_coarse(void) { return ex_now(); }
uint64_t gosi_os_random(void) { return ex_roll(UINT32_MAX) | 1; }
int gosi_os_cpus(void) { return 2; }
int gosi_os_thread_count(void) { return ex_thread_count(); }
bool gosi_os_secure(void) { return true; }

char *gosi_os_reserve(size_t n) { return ex_reserve(n); }
void gosi_os_unmap(char *p, size_t n) { (void)p, (void)n; }
int gosi_os_guard(char *p, size_t n) {
  (void)p, (void)n;
  return GOS_OK;
}
void gosi_os_discard(char *p, size_t n) { (void)p, (void)n; }

int gosi_os_wait(uint32_t *word, uint32_t seen, gos_ns deadline) { return ex_wait(word, seen, deadline); }
void gosi_os_wake(uint32_t *word) { ex_wake(word); }
void gosi_os_nap(gos_ns d) { ex_nap(d); }

int gosi_os_thread(void *(*fn)(void *), void *arg, size_t stack) {
  (void)stack;
  return ex_core_thread(fn, arg);
}
void gosi_os_stack_bounds(char **lo, char **hi) { *lo = *hi = NULL; }
void gosi_os_name_thread(const char *name) { (void)name; }
void gosi_os_precise_timers(void) {}
bool gosi_os_barrier_all(void) {
  ex_point(); /* interleavings are sequentially consistent: only its place matters */
  return true;
}
void gosi_os_alt_stack(void) {}
void gosi_os_alt_stack_free(void) {}
void gosi_os_users_signals(void) {}
bool gosi_os_interrupt(int tid) { return (void)tid, false; }
int gosi_os_tid(void) { return 1; }
bool gosi_os_first_thread(void) { return true; }
/* A thread runs all the time, or has no clock: what the monitor then does differs. */
gos_ns gosi_os_thread_cpu(int tid) {
  (void)tid;
  return ex_roll(4) ? ex_now() : -1;
}
bool gosi_os_thread_blocked(int tid) {
  (void)tid;
  return ex_roll(2);
}

/* ---- pages that are given back and come again ------------------------------------------------------- */
/* Of the first ones that were reserved; now and then one of the calls fails. */
enum { PAGES = 2048, OPEN = 0, FORBIDDEN = 1, DROPPED = 2, POISON = 0xdd };
static uint8_t page[PAGES];

static void set_pages(const char *p, size_t n, int from, int to) {
  size_t first = ex_page_number(p);
  if (first + n / GOSI_PAGE > PAGES) ex_fail("more than %d pages of stacks", PAGES);
  for (size_t i = first; i < first + n / GOSI_PAGE; i++)
    if (from < 0 || page[i] == from) page[i] = (uint8_t)to;
}
static bool fails(void) { return ex_roll(32) == 0; }

bool ex_page_closed(const void *p, bool writes) {
  size_t i = ex_page_number(p);
  return i < PAGES && page[i] >= (writes ? FORBIDDEN : DROPPED);
}
const char *gosi_pages_trouble(void) { return NULL; }
char *gosi_pages_twin(char *p, size_t n) {
  (void)p;
  return fails() ? NULL : ex_reserve(n);
}
bool gosi_pages_forbid(char *p, size_t n) {
  ex_point();
  if (fails()) return false;
  if (ex_stack_in_use(p, p + n)) ex_fail("a stack is frozen while a thread runs on it");
  set_pages(p, n, OPEN, FORBIDDEN);
  return true;
}
bool gosi_pages_allow(char *p, size_t n) {
  ex_point();
  set_pages(p, n, FORBIDDEN, OPEN);
  return true;
}
bool gosi_pages_drop(char *p, size_t n) {
  ex_point();
  memset(p, POISON, n);
  set_pages(p, n, -1, DROPPED);
  return !fails();
}
bool gosi_pages_guard(char *p, size_t n) {
  (void)p, (void)n;
  return !fails();
}
bool gosi_pages_move(char *twin, char *to, size_t n) {
  ex_point();
  if (fails()) return false;
  if (ex_stack_in_use(to, to + n)) ex_fail("a stack is put into place while a thread runs on it");
  memcpy(to, twin, n);
  set_pages(to, n, -1, OPEN);
  memset(twin, POISON, n);
  return true;
}
void gosi_pages_open(char *p, size_t n) {
  ex_point();
  memset(p, 0, n);
  set_pages(p, n, -1, OPEN);
}
const void *gosi_pages_fault_pc(const void *uc) { return uc; }

/* Only whose handler a fault ends in is ever asked. */
static struct sigaction of_faults;
int ex_sigaction(int sig, const struct sigaction *now, struct sigaction *old);
int ex_sigaction(int sig, const struct sigaction *now, struct sigaction *old) {
  if (sig != SIGSEGV) return 0;
  if (old) *old = of_faults;
  if (now) of_faults = *now;
  return 0;
}

/* ---- file descriptors: edges of both directions, told once ------------------------------------ */
enum { FILES = 8 };
static struct {
  bool watched;
  uint64_t tag;
  unsigned ready, edges;
} file[FILES];
static uint32_t poll_word; /* 1: there may be something to tell the one that waits */
static bool broken_off;

void ex_fd_ready(int fd, unsigned bits) {
  ex_point();
  unsigned fresh = bits & ~file[fd].ready;
  file[fd].ready = bits;
  if (!file[fd].watched || !fresh) return;
  file[fd].edges |= fresh;
  poll_word = 1;
  ex_wake(&poll_word);
}
int __wrap_poll(struct pollfd *p, nfds_t n, int ms);
int __wrap_poll(struct pollfd *p, nfds_t n, int ms) {
  (void)ms;
  int ready = 0;
  ex_point();
  for (nfds_t i = 0; i < n; i++) {
    unsigned r = file[p[i].fd].ready;
    p[i].revents = (short)(((r & GOS_READ ? POLLIN : 0) | (r & GOS_WRITE ? POLLOUT : 0)) & p[i].events);
    ready += p[i].revents != 0;
  }
  return ready;
}
int ex_close(int fd);
int ex_close(int fd) {
  ex_point();
  file[fd].watched = false;
  file[fd].ready = file[fd].edges = 0;
  return 0;
}
int gosi_os_poll_open(void) { return GOS_OK; }
void gosi_os_poll_after_fork(void) {}
int gosi_os_poll_watch(int fd, uint64_t tag, bool known) {
  (void)known;
  ex_point();
  file[fd].watched = true;
  file[fd].tag = tag;
  file[fd].edges = file[fd].ready;
  if (file[fd].ready) {
    poll_word = 1;
    ex_wake(&poll_word);
  }
  return GOS_OK;
}
void gosi_os_poll_unwatch(int fd) {
  ex_point();
  file[fd].watched = false;
}
void gosi_os_poll_break(void) {
  ex_point();
  broken_off = true;
  poll_word = 1;
  ex_wake(&poll_word);
}
static int tell(void (*f)(void *u, uint64_t tag, unsigned bits), void *u) {
  struct {
    uint64_t tag;
    unsigned bits;
  } event[FILES];
  int n = 0;
  for (int i = 0; i < FILES; i++) {
    if (!file[i].watched || !file[i].edges) continue;
    event[n].tag = file[i].tag;
    event[n++].bits = file[i].edges;
    file[i].edges = 0;
  }
  for (int i = 0; i < n; i++) f(u, event[i].tag, event[i].bits);
  return n;
}
int gosi_os_poll(gos_ns until, void (*f)(void *u, uint64_t tag, unsigned bits), void *u) {
  ex_point();
  if (until == 0) return tell(f, u), GOS_OK;
  int why = GOS_OK;
  if (!broken_off) why = ex_wait(&poll_word, 0, until);
  ex_point();
  poll_word = 0;
  broken_off = false;
  return tell(f, u) ? GOS_OK : why;
}
gos_g **gosi_signal_dispatch(gos_g **tail) { return tail; }
void gosi_signal_after_fork(void) {}
