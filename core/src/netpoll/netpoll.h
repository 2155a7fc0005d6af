/* File descriptors that goroutines wait for. L4.
 *
 * Every fd number has a gosi_fd, found without a lock. An event of the poller raises its seq and
 * wakes whoever waits for it; a wait begins by noting seq, then looks whether the fd is ready, and
 * sleeps only if seq is still the same: so no wake is lost, and no state of readiness is kept that
 * could be stale.
 *
 * Two kinds:
 *   ours      made by net.c, and closed by gos_close(): watched once, for as long as they live
 *   any other may be closed and its number used again behind our back: the kernel is asked before
 *             each sleep to watch what now has this number
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_NETPOLL_H
#define GOSI_NETPOLL_H

#include "sched/sched.h"

enum {
  FD_OURS = 1,
  FD_WATCHED = 2, /* known to the poller; of fds that are not ours it may have forgotten it */
  FD_SOCKET = 4,
  FD_STREAM = 8,   /* a read that gives less than it asked for has emptied it, unless */
  FD_ODD = 16,     /* the other end has closed, or the like */
  FD_SIGNALS = 32, /* the signal handler's pipe; */
  FD_WAITED = 64   /* and somebody waits for signals */
};

typedef struct gosi_fd {
  gosi_lock lock; /* guards all below */
  uint32_t gen;   /* raised when the number is given up: earlier waits end. Also read without the lock */
  uint64_t seq;   /* events so far; also read without the lock */
  uint64_t dry;   /* [any] seq + 1 as it was before a read that emptied it; 0: none */
  uint32_t flags; /* FD_*; also read without the lock */
  gosi_waitq q;   /* w->events says for what */
} __attribute__((aligned(64))) gosi_fd;

/* NULL: fd is negative or out of range, or there is no memory; *err says which. */
gosi_fd *gosi_fd_of(int fd, int *err);

/* A wait for one of several events of one fd. */
typedef struct gosi_fdwait {
  gosi_fd *d;
  int fd;
  uint8_t events, found;
  uint32_t gen;
  uint64_t seq;
} gosi_fdwait;

/* Notes the fd as it is now; before the look at it. GOS_OK, GOS_INVAL, GOS_NOMEM, GOS_SYS(EBADF). */
int gosi_fdwait_begin(gosi_fdwait *f, int fd, int events);
ALWAYS_INLINE void gosi_fdwait_note(gosi_fdwait *f) { f->seq = gosi_load_acquire(&f->d->seq); }
/* gos_close() has ended the file since the wait began; its number may be another's. */
bool gosi_fdwait_gone(const gosi_fdwait *f);
/* Are they ready? One system call for all. The number of those that are (found), or an error; GOS_CLOSED: one is gone. */
int gosi_fdwait_look(gosi_fdwait *f, int n);
/* After the look: from here on events are told. GOS_OK, GOS_CLOSED: it is gone, GOS_SYS(errno), or 1: it is always
   ready. */
int gosi_fdwait_watch(gosi_fdwait *f);
/* Queues w; false: something has happened since gosi_fdwait_note. */
bool gosi_fdwait_queue(gosi_fdwait *f, gosi_waiter *w);
void gosi_fdwait_unqueue(gosi_fdwait *f, gosi_waiter *w);
/* Sleeps until there may be something new. GOS_OK, GOS_CLOSED, GOS_TIMEDOUT, GOS_CANCELED, GOS_NOMEM... */
int gosi_fdwait_park(gosi_fdwait *f, gos_ns deadline);

/* A new fd of ours; what is left of the number's last life ends. flags: FD_*. */
int gosi_fd_adopt(int fd, unsigned flags);

/* signal.c: the handler has written to its pipe. Adds whom the signals wake, claimed, to the list. */
gos_g **gosi_signal_dispatch(gos_g **tail);
void gosi_signal_after_fork(void);
#endif
