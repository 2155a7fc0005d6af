/* Waiting for file descriptors. L4. SPDX-License-Identifier: Apache-2.0 */
#include "netpoll/netpoll.h"
#include <errno.h>
#include <poll.h>
#include <unistd.h>

/* ---- the table: by fd number, chunks that are never freed ------------------------------- */
enum { CHUNK = GOSI_EXPLORE ? 8 : 256, CHUNKS = GOSI_EXPLORE ? 1 : 1 << 16 }; /* 16,777,216 numbers */
static gosi_fd *chunks[CHUNKS];
static uint32_t nchunks; /* those beyond are empty */

static NOINLINE gosi_fd *new_chunk(gosi_fd **at) {
  gosi_fd *c = gosi_alloc_aligned(CHUNK * sizeof *c);
  if (!c) return NULL;
  uint32_t i = (uint32_t)(at - chunks), n = gosi_load(&nchunks);
  while (n <= i && !gosi_cas(&nchunks, n, i + 1)) n = gosi_load(&nchunks);
  if (gosi_cas(at, (gosi_fd *)NULL, c)) return c;
  gosi_free(c); /* another thread was faster */
  return gosi_load_acquire(at);
}

gosi_fd *gosi_fd_of(int fd, int *err) {
  if (unlikely(fd < 0 || fd >= CHUNK * CHUNKS)) {
    *err = fd < 0 ? GOS_SYS(EBADF) : GOS_NOMEM;
    return NULL;
  }
  gosi_fd *c = gosi_load_acquire(&chunks[fd / CHUNK]);
  if (unlikely(!c) && !(c = new_chunk(&chunks[fd / CHUNK]))) {
    *err = GOS_NOMEM;
    return NULL;
  }
  return &c[fd % CHUNK];
}

/* ---- events ----------------------------------------------------------------------------------- */
/* Claims who waits for bits, or everybody when the fd is given up; under the lock. */
static gos_g **claim_waiters(gosi_fd *d, unsigned bits, bool given_up, gos_g **tail) {
  for (gosi_waiter *w = d->q.head, *next; w; w = next) {
    next = w->next;
    if (!given_up && !(w->events & bits)) continue;
    gosi_waitq_remove(&d->q, w);
    if (!gosi_claim(w)) continue;
    w->ok = !given_up;
    w->events &= (uint8_t)bits;
    w->g->fired = w;
    *tail = w->g;
    tail = &w->g->next;
  }
  return tail;
}

struct polled {
  gos_g *ready, **tail;
  bool signals;
};

static void event(void *u, uint64_t tag, unsigned bits) {
  struct polled *p = u;
  gosi_fd *d = &gosi_load_acquire(&chunks[(uint32_t)tag / CHUNK])[(uint32_t)tag % CHUNK];
  gosi_lock_take(&d->lock);
  if (d->gen == (uint32_t)(tag >> 32)) { /* else of the number's last life */
    p->signals |= (d->flags & FD_SIGNALS) != 0;
    if (bits & GOSI_POLL_ODD) gosi_store(&d->flags, d->flags | FD_ODD);
    gosi_store_release(&d->seq, d->seq + 1); /* pairs with gosi_fdwait_note */
    p->tail = claim_waiters(d, bits, false, p->tail);
  }
  gosi_lock_drop(&d->lock);
}

static uint32_t looking; /* somebody looks without waiting: another one would find nothing new */

static gos_g *poll_events(gos_ns until, int *why) {
  struct polled p = {.tail = &p.ready};
  if (until == 0) {
    if (gosi_load(&looking) || gosi_exchange(&looking, 1u)) return NULL;
    gosi_os_poll(0, event, &p);
    gosi_store_release(&looking, 0u);
  } else {
    *why = gosi_os_poll(until, event, &p);
  }
  if (p.signals) p.tail = gosi_signal_dispatch(p.tail);
  *p.tail = NULL;
  return p.ready;
}

static bool each_fd(bool (*f)(gosi_fd *d)) {
  bool any = false;
  for (uint32_t i = 0; i < gosi_load_acquire(&nchunks) && !any; i++) {
    gosi_fd *c = gosi_load_acquire(&chunks[i]);
    for (int k = 0; c && k < CHUNK && !any; k++) any = f(&c[k]);
  }
  return any;
}
static bool waited_for(gosi_fd *d) { return gosi_load(&d->q.head) || (gosi_load(&d->flags) & FD_WAITED); }
static bool anybody_waits(void) { return each_fd(waited_for); }

static bool reset(gosi_fd *d) {
  d->lock.word = 0;
  d->q = (gosi_waitq){NULL, NULL};
  d->flags &= ~(unsigned)(FD_WATCHED | FD_SIGNALS | FD_WAITED);
  d->seq++;
  return false;
}
static void after_fork(void) {
  looking = 0;
  gosi_os_poll_after_fork();
  each_fd(reset);
  gosi_signal_after_fork();
}

__attribute__((constructor)) static void install(void) {
  gosi_rt.netpoll = (gosi_netpoll){poll_events, gosi_os_poll_break, anybody_waits, after_fork};
}

/* ---- waiting ------------------------------------------------------------------------------------ */
int gosi_fdwait_begin(gosi_fdwait *f, int fd, int events) {
  int err = GOS_OK;
  if (events < 1 || events > (GOS_READ | GOS_WRITE)) return GOS_INVAL;
  f->d = gosi_fd_of(fd, &err);
  if (!f->d) return err;
  f->fd = fd;
  f->events = (uint8_t)events;
  f->gen = gosi_load_acquire(&f->d->gen); /* pairs with the store in give_up */
  gosi_fdwait_note(f);
  return GOS_OK;
}

static NOINLINE int system_poll(struct pollfd *p, int n) {
  int k;
  do {
    k = poll(p, (nfds_t)n, 0);
  } while (k < 0 && errno == EINTR);
  return k < 0 ? (errno == ENOMEM ? GOS_NOMEM : GOS_SYS(errno)) : k;
}

bool gosi_fdwait_gone(const gosi_fdwait *f) {
  return gosi_load_acquire(&f->d->gen) != f->gen; /* pairs with the store in give_up */
}

int gosi_fdwait_look(gosi_fdwait *f, int n) {
  enum { SOME = 16 };
  int ready = 0;
  for (int from = 0; from < n; from += SOME) {
    struct pollfd p[SOME];
    int k = n - from < SOME ? n - from : SOME;
    for (int i = 0; i < k; i++) {
      int e = f[from + i].events;
      p[i] = (struct pollfd){f[from + i].fd, (short)((e & GOS_READ ? POLLIN : 0) | (e & GOS_WRITE ? POLLOUT : 0)), 0};
    }
    int e = system_poll(p, k);
    if (e < 0) return e;
    for (int i = 0; i < k; i++) {
      int r = p[i].revents;
      gosi_fdwait *w = &f[from + i];
      if (gosi_fdwait_gone(w)) return GOS_CLOSED;
      if (r & POLLNVAL) return GOS_SYS(EBADF);
      if (r & (POLLERR | POLLHUP)) r |= POLLIN | POLLOUT; /* the read or write will say why */
      w->found = (uint8_t)(((r & POLLIN ? GOS_READ : 0) | (r & POLLOUT ? GOS_WRITE : 0)) & w->events);
      ready += w->found != 0;
    }
  }
  return ready;
}

int gosi_fdwait_watch(gosi_fdwait *f) {
  gosi_fd *d = f->d;
  uint32_t flags = gosi_load(&d->flags);
  if ((flags & (FD_OURS | FD_WATCHED)) == (FD_OURS | FD_WATCHED)) return GOS_OK;
  gosi_solo_end(); /* the thread that sleeps in the poller ends waits without having a P */
  int e = gosi_os_poll_open();
  if (e) return e;
  e = gosi_os_poll_watch(f->fd, (uint64_t)f->gen << 32 | (uint32_t)f->fd, flags & FD_WATCHED);
  if (e == GOS_SYS(EPERM)) return 1;
  if (e) return gosi_fdwait_gone(f) ? GOS_CLOSED : e == GOS_SYS(ENOMEM) ? GOS_NOMEM : e;
  if (flags & FD_WATCHED) return GOS_OK;
  gosi_lock_take(&d->lock);
  bool first = d->gen == f->gen && !(d->flags & FD_WATCHED);
  if (first) gosi_store(&d->flags, d->flags | FD_WATCHED);
  gosi_lock_drop(&d->lock);
  if (first) gosi_add(&gosi_rt.nfds, 1u);
  return GOS_OK;
}

bool gosi_fdwait_queue(gosi_fdwait *f, gosi_waiter *w) {
  gosi_fd *d = f->d;
  w->events = f->events;
  gosi_lock_take(&d->lock);
  bool same = d->gen == f->gen && d->seq == f->seq;
  if (same) gosi_waitq_put(&d->q, w);
  gosi_lock_drop(&d->lock);
  return same;
}

void gosi_fdwait_unqueue(gosi_fdwait *f, gosi_waiter *w) {
  gosi_lock_take(&f->d->lock);
  gosi_waitq_remove(&f->d->q, w);
  gosi_lock_drop(&f->d->lock);
}

/* Where every wait for one fd sleeps. */
int gosi_fdwait_park(gosi_fdwait *f, gos_ns deadline) {
  if (gosi_cannot_enter()) return GOS_NOMEM;
  gosi_m *m = gosi_enter();
  gos_g *g = m->cur;
  gosi_fd *d = f->d;
  gosi_waiter *w = &g->w;
  w->g = g;
  w->events = f->events;
  w->mode = gosi_claim_mode(g, deadline);
  gosi_lock_take(&d->lock);
  if (d->gen != f->gen || d->seq != f->seq) {
    int e = d->gen != f->gen ? GOS_CLOSED : GOS_OK;
    gosi_lock_drop(&d->lock);
    gosi_leave_m(m);
    return e;
  }
  gosi_prepare(m, g, WAIT_IO);
  gosi_waitq_put(&d->q, w);
  bool sleep = gosi_arm(w, deadline);
  gosi_lock_drop(&d->lock);
  if (sleep) gosi_park(m);
  int e = w->mode == CLAIM_NONE ? GOS_OK : gosi_disarm(g, deadline);
  if (e) gosi_fdwait_unqueue(f, w);
  gosi_leave();
  return e ? e : w->ok ? GOS_OK : GOS_CLOSED;
}

int gos_fd_wait(int fd, int events, gos_ns deadline) {
  gosi_fdwait f;
  int e = gosi_fdwait_begin(&f, fd, events);
  while (e == GOS_OK) {
    gosi_fdwait_note(&f);
    if ((e = gosi_fdwait_look(&f, 1))) return e < 0 ? e : f.found;
    if (deadline == GOS_NOW) return GOS_WOULDBLOCK;
    if ((e = gosi_fdwait_watch(&f))) return e < 0 ? e : events;
    e = gosi_fdwait_park(&f, deadline);
  }
  return e;
}

/* ---- the end of a number's life --------------------------------------------------------------------- */
static void give_up(gosi_fd *d, unsigned flags) {
  gos_g *woken = NULL;
  gosi_lock_take(&d->lock);
  bool watched = d->flags & FD_WATCHED;
  gosi_store_release(&d->gen, d->gen + 1); /* pairs with the load in gosi_fdwait_begin */
  gosi_store_release(&d->seq, d->seq + 1);
  gosi_store(&d->flags, flags);
  *claim_waiters(d, 0, true, &woken) = NULL;
  gosi_lock_drop(&d->lock);
  if (watched) gosi_sub(&gosi_rt.nfds, 1u);
  if (!woken) return; /* always so in a fork's child, where the runtime may not be entered yet */
  gosi_m *m = gosi_enter();
  gosi_ready_list(m, woken);
  gosi_leave_m(m);
}

int gosi_fd_adopt(int fd, unsigned flags) {
  int err = GOS_OK;
  gosi_fd *d = gosi_fd_of(fd, &err);
  if (d) give_up(d, flags | FD_OURS);
  return err;
}

int gos_fd_forget(int fd) {
  int err = GOS_OK;
  gosi_fd *d = gosi_fd_of(fd, &err);
  if (!d) return err;
  if (gosi_load(&d->flags) & FD_WATCHED) gosi_os_poll_unwatch(fd);
  give_up(d, 0);
  return GOS_OK;
}

static NOINLINE int system_close(int fd) { return close(fd) == 0 || errno == EINTR ? GOS_OK : GOS_SYS(errno); }

int gos_close(int fd) {
  int e = gos_fd_forget(fd);
  if (e && e != GOS_NOMEM) return e;
  return system_close(fd);
}
