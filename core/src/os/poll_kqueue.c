/* The poller on the BSDs and macOS: kqueue, interrupted by a user event. L1.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/event.h>
#include <time.h>
#include <unistd.h>
#include "base/atomic.h"
#include "os/os.h"

enum { BATCH = GOSI_HARD ? 2 : 64, BREAK = 1 };

static int queue_plus_1; /* 0: none */

/* kqueues are not inherited by a fork's child, but nothing closes them over an exec. */
int gosi_os_poll_open(void) {
  if (likely(gosi_load_acquire(&queue_plus_1) != 0)) return GOS_OK;
  int q = kqueue(), why = errno;
  if (q < 0) return GOS_SYS(why);
  struct kevent k;
  EV_SET(&k, BREAK, EVFILT_USER, EV_ADD, 0, 0, NULL); /* level-triggered: cleared by the thread that waits */
  if (fcntl(q, F_SETFD, FD_CLOEXEC) < 0 || kevent(q, &k, 1, NULL, 0, NULL) < 0) {
    why = errno;
    close(q);
    return GOS_SYS(why);
  }
  if (!gosi_cas(&queue_plus_1, 0, q + 1)) close(q); /* another thread was faster */
  return GOS_OK;
}

void gosi_os_poll_after_fork(void) { gosi_store(&queue_plus_1, 0); }

/* EV_ADD of a known filter changes its tag, and tells at once what is ready. */
int gosi_os_poll_watch(int fd, uint64_t tag, bool known) {
  (void)known;
  struct kevent k[2];
  int q = gosi_load_acquire(&queue_plus_1) - 1;
  EV_SET(&k[0], fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, (void *)(uintptr_t)tag);
  EV_SET(&k[1], fd, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, (void *)(uintptr_t)tag);
  if (kevent(q, &k[0], 1, NULL, 0, NULL) < 0) return GOS_SYS(errno == EINVAL ? EPERM : errno);
  if (kevent(q, &k[1], 1, NULL, 0, NULL) == 0) return GOS_OK;
  return errno == EINVAL || errno == EPIPE ? GOS_OK : GOS_SYS(errno); /* the read end of a pipe */
}

void gosi_os_poll_unwatch(int fd) {
  struct kevent k[2];
  int q = gosi_load_acquire(&queue_plus_1) - 1;
  if (q < 0) return;
  EV_SET(&k[0], fd, EVFILT_READ, EV_DELETE, 0, 0, NULL);
  EV_SET(&k[1], fd, EVFILT_WRITE, EV_DELETE, 0, 0, NULL);
  kevent(q, &k[0], 1, NULL, 0, NULL);
  kevent(q, &k[1], 1, NULL, 0, NULL);
}

static void trigger(int q, unsigned short flags, unsigned fflags) {
  struct kevent k;
  EV_SET(&k, BREAK, EVFILT_USER, flags, fflags, 0, NULL);
  kevent(q, &k, 1, NULL, 0, NULL);
}

void gosi_os_poll_break(void) {
  int saved = errno, q = gosi_load_acquire(&queue_plus_1) - 1;
  if (q >= 0) trigger(q, 0, NOTE_TRIGGER);
  errno = saved;
}

static void tell(int q, struct kevent *k, int n, bool waited, void (*f)(void *, uint64_t, unsigned), void *u) {
  for (int i = 0; i < n; i++) {
    if (k[i].filter == EVFILT_USER) {
      if (!waited) continue;
      trigger(q, EV_DELETE, 0); /* and armed anew, not triggered */
      trigger(q, EV_ADD, 0);
      continue;
    }
    unsigned bits = k[i].filter == EVFILT_READ ? GOSI_POLL_READ : GOSI_POLL_WRITE;
    if (k[i].flags & (EV_EOF | EV_ERROR)) bits = GOSI_POLL_READ | GOSI_POLL_WRITE | GOSI_POLL_ODD;
    f(u, (uint64_t)(uintptr_t)k[i].udata, bits);
  }
}

static NOINLINE int sleep_in(int q, gos_ns until, void (*f)(void *, uint64_t, unsigned), void *u) {
  struct kevent k[BATCH];
  struct timespec t, *pt = NULL;
  if (until != GOS_FOREVER) {
    gos_ns left = until - gosi_os_now();
    if (left < 0) left = 0;
    t.tv_sec = left / 1000000000;
    t.tv_nsec = left % 1000000000;
    pt = &t;
  }
  int n = kevent(q, NULL, 0, k, BATCH, pt);
  if (n < 0) return errno == EINTR ? GOS_AGAIN : GOS_OK;
  tell(q, k, n, true, f, u);
  return n == 0 && until <= gosi_os_now() ? GOS_TIMEDOUT : GOS_OK;
}

int gosi_os_poll(gos_ns until, void (*f)(void *u, uint64_t tag, unsigned bits), void *u) {
  static struct kevent k[BATCH];
  static const struct timespec now = {0, 0};
  int q = gosi_load_acquire(&queue_plus_1) - 1;
  if (q < 0) return GOS_OK;
  if (until) return sleep_in(q, until, f, u);
  tell(q, k, kevent(q, NULL, 0, k, BATCH, &now), false, f, u);
  return GOS_OK;
}
