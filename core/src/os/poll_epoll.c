/* The poller on Linux: epoll, and an eventfd that interrupts it. L1.
 *
 * The eventfd stays readable until the thread that waits has read it: a look by another thread
 * does not swallow the interruption.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/atomic.h"
#include "os/os.h"

enum { BATCH = GOSI_HARD ? 2 : 128 };
static const uint64_t break_tag = UINT64_MAX;
static const uint32_t watched = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;

/* Both descriptors in one word, so that they appear together: 0, or the eventfd << 32 | the epoll fd. */
static uint64_t both;
static int epoll_of(uint64_t b) { return (int)(uint32_t)b; }
static int event_of(uint64_t b) { return (int)(b >> 32); }

int gosi_os_poll_open(void) {
  if (likely(gosi_load_acquire(&both) != 0)) return GOS_OK;
  int ep = epoll_create1(EPOLL_CLOEXEC), ev = ep < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct epoll_event e = {.events = EPOLLIN, .data.u64 = break_tag};
  if (ev >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e) == 0) {
    if (gosi_cas(&both, (uint64_t)0, (uint64_t)(uint32_t)ev << 32 | (uint32_t)ep)) return GOS_OK;
    close(ev); /* another thread was faster */
    close(ep);
    return GOS_OK;
  }
  int why = errno;
  if (ev >= 0) close(ev);
  if (ep >= 0) close(ep);
  return GOS_SYS(why);
}

void gosi_os_poll_after_fork(void) {
  uint64_t b = gosi_load(&both);
  if (!b) return;
  close(event_of(b));
  close(epoll_of(b)); /* the parent's registrations stay: they are reached through its own descriptor */
  gosi_store(&both, (uint64_t)0);
}

int gosi_os_poll_watch(int fd, uint64_t tag, bool known) {
  struct epoll_event e = {.events = watched, .data.u64 = tag};
  int ep = epoll_of(gosi_load_acquire(&both));
  int first = known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, then = known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (epoll_ctl(ep, first, fd, &e) == 0) return GOS_OK;
  if (errno != ENOENT && errno != EEXIST) return GOS_SYS(errno);
  return epoll_ctl(ep, then, fd, &e) == 0 || errno == EEXIST ? GOS_OK : GOS_SYS(errno);
}

void gosi_os_poll_unwatch(int fd) {
  struct epoll_event unused = {0};
  uint64_t b = gosi_load_acquire(&both);
  if (b) epoll_ctl(epoll_of(b), EPOLL_CTL_DEL, fd, &unused);
}

void gosi_os_poll_break(void) {
  uint64_t one = 1, b = gosi_load_acquire(&both);
  int saved = errno;
  if (b && write(event_of(b), &one, sizeof one) < 0) errno = saved; /* full: it is readable */
}

static int wait_until(int ep, struct epoll_event *e, int n, gos_ns until) {
  if (until == 0 || until == GOS_FOREVER) return epoll_wait(ep, e, n, until ? -1 : 0);
  gos_ns left = until - gosi_os_now();
  if (left < 0) left = 0;
#ifdef SYS_epoll_pwait2
  static bool absent = GOSI_TSAN; /* before Linux 5.11; ThreadSanitizer does not know it */
  if (!gosi_load(&absent)) {
    struct timespec t = {left / 1000000000, left % 1000000000};
    int k = (int)syscall(SYS_epoll_pwait2, ep, e, n, &t, NULL, 0);
    if (k >= 0 || (errno != ENOSYS && errno != EPERM)) return k;
    gosi_store(&absent, true);
  }
#endif
  gos_ns ms = (left + 999999) / 1000000;
  return epoll_wait(ep, e, n, ms > 1000000 ? 1000000 : (int)ms);
}

static void tell(int ev, struct epoll_event *e, int n, bool waited, void (*f)(void *, uint64_t, unsigned), void *u) {
  for (int i = 0; i < n; i++) {
    uint32_t k = e[i].events;
    uint64_t count;
    if (e[i].data.u64 == break_tag) {
      if (waited && read(ev, &count, sizeof count) < 0) continue;
      continue;
    }
    f(u, e[i].data.u64,
      (k & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR) ? GOSI_POLL_READ : 0u) |
          (k & (EPOLLOUT | EPOLLHUP | EPOLLERR) ? GOSI_POLL_WRITE : 0u) |
          (k & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR) ? GOSI_POLL_ODD : 0u));
  }
}

/* Its own function: the events are too much for a goroutine's stack, on which the other look is made. */
static NOINLINE int sleep_in(uint64_t b, gos_ns until, void (*f)(void *, uint64_t, unsigned), void *u) {
  struct epoll_event e[BATCH];
  int n = wait_until(epoll_of(b), e, BATCH, until);
  if (n < 0 && errno == EINTR) return GOS_AGAIN;
  tell(event_of(b), e, n, true, f, u);
  return n == 0 && until <= gosi_os_now() ? GOS_TIMEDOUT : GOS_OK;
}

int gosi_os_poll(gos_ns until, void (*f)(void *u, uint64_t tag, unsigned bits), void *u) {
  static struct epoll_event e[BATCH];
  uint64_t b = gosi_load_acquire(&both);
  if (!b) return GOS_OK;
  if (until) return sleep_in(b, until, f, u);
  tell(event_of(b), e, wait_until(epoll_of(b), e, BATCH, 0), false, f, u);
  return GOS_OK;
}
