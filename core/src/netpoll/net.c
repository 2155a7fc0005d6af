/* Reading, writing, accepting: try, and wait where the system says EAGAIN. L4.
 *
 * errno's address is not kept over a wait: every system call has a function of its own that gives
 * -errno.
 * SPDX-License-Identifier: Apache-2.0 */
#include "gossamer/net.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "netpoll/netpoll.h"
#include "stack/freeze.h"

_Static_assert(sizeof((gos_addr *)0)->data == sizeof(struct sockaddr_storage), "gos_addr holds any address");

/* ---- system calls --------------------------------------------------------------------------- */
/* The buffer may be on the frozen stack of another goroutine, which the kernel cannot thaw. */
enum { FAULTS = 100 };
static NOINLINE bool again(int *faults, const void *buf) {
  int e = errno;
  bool yes = e == EINTR || (e == EFAULT && ++*faults < FAULTS && gosi_stack_touch(buf));
  errno = e;
  return yes;
}
#define RETRIED(call, buf)                                                                                             \
  ssize_t r;                                                                                                           \
  int faults = 0;                                                                                                      \
  do {                                                                                                                 \
    r = (call);                                                                                                        \
  } while (r < 0 && again(&faults, buf));                                                                              \
  return r < 0 ? (errno == EWOULDBLOCK ? -EAGAIN : -errno) : r

/* The frequent ones are made inside the runtime: they do not block, and a thread that loses its CPU in one
   is not stuck. */
static NOINLINE int64_t sys_recv(int fd, void *buf, size_t n) {
  if (gosi_cannot_enter()) return -ENOMEM;
  gosi_m *m = gosi_enter();
  ssize_t r;
  int faults = 0;
  do {
    r = recv(fd, buf, n, MSG_DONTWAIT);
  } while (r < 0 && again(&faults, buf));
  int why = r < 0 ? errno : 0;
  gosi_leave_m(m);
  return r < 0 ? (why == EWOULDBLOCK ? -EAGAIN : -why) : r;
}
static NOINLINE int64_t sys_send(int fd, const void *buf, size_t n) {
  if (gosi_cannot_enter()) return -ENOMEM;
  gosi_m *m = gosi_enter();
  ssize_t r;
  int faults = 0;
  do {
    r = send(fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (r < 0 && again(&faults, buf));
  int why = r < 0 ? errno : 0;
  gosi_leave_m(m);
  return r < 0 ? (why == EWOULDBLOCK ? -EAGAIN : -why) : r;
}
static NOINLINE int64_t sys_read(int fd, void *buf, size_t n) { RETRIED(read(fd, buf, n), buf); }
static NOINLINE int64_t sys_accept(int fd) { RETRIED(accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), NULL); }
static NOINLINE int64_t sys_recvfrom(int fd, void *buf, size_t n, gos_addr *from) {
  socklen_t len = sizeof from->data;
  ssize_t r;
  int faults = 0;
  do {
    gosi_stack_touch(buf); /* before: a datagram that cannot be delivered is lost */
    if (from) gosi_stack_touch(from);
    r = recvfrom(fd, buf, n, MSG_DONTWAIT, from ? (struct sockaddr *)(void *)from->data : NULL, from ? &len : NULL);
  } while (r < 0 && again(&faults, buf));
  if (r >= 0 && from) from->len = len;
  return r < 0 ? (errno == EWOULDBLOCK ? -EAGAIN : -errno) : r;
}
static NOINLINE int64_t sys_sendto(int fd, const void *buf, size_t n, const gos_addr *to) {
  RETRIED(sendto(fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL, to ? (const struct sockaddr *)(const void *)to->data : NULL,
                 to ? to->len : 0),
          buf);
}
static NOINLINE int sys_flags(int fd) { return fcntl(fd, F_GETFL); }

/* write() has no flag against SIGPIPE: it is held back, and taken out if this call has raised it. */
static NOINLINE int64_t sys_write(int fd, const void *buf, size_t n) {
  sigset_t pipe_only, old, waiting;
  sigemptyset(&pipe_only);
  sigaddset(&pipe_only, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_only, &old);
  ssize_t r;
  int faults = 0;
  do {
    r = write(fd, buf, n);
  } while (r < 0 && again(&faults, buf));
  int why = errno;
  if (r < 0 && why == EPIPE && !sigismember(&old, SIGPIPE) && sigpending(&waiting) == 0 &&
      sigismember(&waiting, SIGPIPE)) {
    static const struct timespec now = {0, 0};
    sigtimedwait(&pipe_only, NULL, &now);
  }
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return r < 0 ? (why == EWOULDBLOCK ? -EAGAIN : -why) : r;
}

/* ---- waits ------------------------------------------------------------------------------------- */
static int wait_once(gosi_fdwait *f, gos_ns deadline) {
  if (!(gosi_load(&f->d->flags) & FD_OURS)) {
    int e = gos_fd_wait(f->fd, f->events, deadline);
    return e < 0 ? e : GOS_OK;
  }
  if (deadline == GOS_NOW) return GOS_WOULDBLOCK;
  int e = gosi_fdwait_watch(f);
  if (e) return e < 0 ? e : GOS_OK;
  return gosi_fdwait_park(f, deadline);
}

/* After an EAGAIN. GOS_OK: try again. An fd that was closed after the event that ended the wait, but before
   the goroutine ran, may be another's by now. */
static int wait_more(gosi_fdwait *f, gos_ns deadline) {
  int e = wait_once(f, deadline);
  return e == GOS_OK && gosi_fdwait_gone(f) ? GOS_CLOSED : e;
}

/* ---- reading -------------------------------------------------------------------------------------- */
/* Files, terminals, other people's pipes: in whatever mode they are. */
static NOINLINE int64_t read_file(int fd, void *buf, size_t n, gos_ns deadline) {
  int flags = sys_flags(fd);
  if (flags < 0) return GOS_SYS(EBADF);
  for (;;) {
    int64_t r = flags & O_NONBLOCK ? sys_read(fd, buf, n) : -EAGAIN;
    if (r >= 0) return r;
    if (r != -EAGAIN) return GOS_SYS((int)-r);
    int e = gos_fd_wait(fd, GOS_READ, deadline);
    if (e < 0) return e;
    if (flags & O_NONBLOCK) continue;
    r = sys_read(fd, buf, n);
    return r < 0 ? GOS_SYS((int)-r) : r;
  }
}

int64_t gos_read(int fd, void *buf, size_t n, gos_ns deadline) {
  gosi_fdwait f;
  int e = gosi_fdwait_begin(&f, fd, GOS_READ);
  if (e || n == 0) return e;
  if (n > SSIZE_MAX) n = SSIZE_MAX;
  gosi_fd *d = f.d;
  uint32_t flags = gosi_load(&d->flags);
  bool file = (flags & FD_OURS) && !(flags & FD_SOCKET);
  for (;; gosi_fdwait_note(&f)) {
    /* Emptied by an earlier read, and nothing has come since: the read would be for nothing. */
    bool dry = gosi_load(&d->dry) == f.seq + 1 && (gosi_load(&d->flags) & (FD_STREAM | FD_ODD)) == FD_STREAM &&
               deadline != GOS_NOW;
    if (!dry) {
      int64_t r = file ? sys_read(fd, buf, n) : sys_recv(fd, buf, n);
      if (r > 0 && (size_t)r < n && (flags & FD_STREAM)) gosi_store(&d->dry, f.seq + 1);
      if (r >= 0) return r;
      if (r == -ENOTSOCK && !file) return read_file(fd, buf, n, deadline);
      if (r != -EAGAIN) return GOS_SYS((int)-r);
    }
    if ((e = wait_more(&f, deadline))) return e;
  }
}

int64_t gos_recvfrom(int fd, void *buf, size_t n, gos_addr *from, gos_ns deadline) {
  gosi_fdwait f;
  int e = gosi_fdwait_begin(&f, fd, GOS_READ);
  for (; e == GOS_OK; e = wait_more(&f, deadline)) {
    gosi_fdwait_note(&f);
    int64_t r = sys_recvfrom(fd, buf, n, from);
    if (r >= 0) return r;
    if (r != -EAGAIN) return GOS_SYS((int)-r);
  }
  return e;
}

int gos_accept(int fd, gos_ns deadline) {
  gosi_fdwait f;
  int e = gosi_fdwait_begin(&f, fd, GOS_READ);
  if (e) return e;
  uint32_t flags = gosi_load(&f.d->flags);
  bool ours = flags & FD_OURS; /* else it may be one that blocks */
  for (;;) {
    gosi_fdwait_note(&f);
    if (!ours && (e = wait_more(&f, deadline))) return e;
    int64_t r = sys_accept(fd);
    if (r == -ECONNABORTED) continue;
    if (r == -EAGAIN) {
      if (ours && (e = wait_more(&f, deadline))) return e;
      continue;
    }
    if (r < 0) return GOS_SYS((int)-r);
    e = gosi_fd_adopt((int)r, FD_SOCKET | (ours ? flags & FD_STREAM : 0u));
    if (e) close((int)r);
    return e ? e : (int)r;
  }
}

/* ---- writing ----------------------------------------------------------------------------------------- */
/* What may be written at once to a file that blocks, without blocking once it is ready. */
static size_t blocking_part(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) ? SSIZE_MAX : PIPE_BUF;
}

static NOINLINE int64_t write_file(int fd, const char *p, size_t n, gos_ns deadline) {
  int flags = sys_flags(fd);
  if (flags < 0) return GOS_SYS(EBADF);
  bool blocks = !(flags & O_NONBLOCK);
  size_t done = 0, part = blocks ? blocking_part(fd) : SSIZE_MAX;
  bool ready = false;
  while (done < n) {
    int64_t r = blocks && !ready ? -EAGAIN : sys_write(fd, p + done, n - done < part ? n - done : part);
    ready = false;
    if (r >= 0) {
      done += (size_t)r;
      continue;
    }
    int e = r == -EAGAIN ? gos_fd_wait(fd, GOS_WRITE, deadline) : GOS_SYS((int)-r);
    if (e < 0) return done ? (int64_t)done : e;
    ready = true;
  }
  return (int64_t)done;
}

int64_t gos_write(int fd, const void *buf, size_t n, gos_ns deadline) {
  gosi_fdwait f;
  const char *p = buf;
  size_t done = 0;
  int e = gosi_fdwait_begin(&f, fd, GOS_WRITE);
  if (e) return e;
  if (n > SSIZE_MAX) return GOS_INVAL;
  uint32_t flags = gosi_load(&f.d->flags);
  bool file = (flags & FD_OURS) && !(flags & FD_SOCKET);
  while (done < n) {
    int64_t r = file ? sys_write(fd, p + done, n - done) : sys_send(fd, p + done, n - done);
    if (likely(r >= 0)) {
      done += (size_t)r;
      continue;
    }
    if (r == -ENOTSOCK && !file) return write_file(fd, p, n, deadline);
    e = r == -EAGAIN ? wait_more(&f, deadline) : GOS_SYS((int)-r);
    if (e) return done ? (int64_t)done : e;
    gosi_fdwait_note(&f);
  }
  return (int64_t)done;
}

int64_t gos_sendto(int fd, const void *buf, size_t n, const gos_addr *to, gos_ns deadline) {
  gosi_fdwait f;
  int e = gosi_fdwait_begin(&f, fd, GOS_WRITE);
  for (; e == GOS_OK; e = wait_more(&f, deadline)) {
    gosi_fdwait_note(&f);
    int64_t r = sys_sendto(fd, buf, n, to);
    if (r >= 0) return r;
    if (r != -EAGAIN) return GOS_SYS((int)-r);
  }
  return e;
}

int gos_shutdown(int fd, int how) {
  static const int hows[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};
  if (how < 0 || how > 2) return GOS_INVAL;
  return shutdown(fd, hows[how]) == 0 ? GOS_OK : GOS_SYS(errno);
}
