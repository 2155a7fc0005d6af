/* Signals as values of channels. L4.
 *
 * The handler sets a bit and writes to a pipe; the poller's next look finds the pipe readable, and
 * whoever looks sends the numbers to the channels. So nothing but the handler's few instructions
 * runs in signal context, and it may come on any thread and stack.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include "chan/chan.h"
#include "netpoll/netpoll.h"

enum { SIGNALS = 64 };
enum disposition { ASIDE, TAKEN, IGNORED };

typedef struct watcher {
  struct watcher *next;
  gos_chan *c;
  uint64_t set;
} watcher;

static gos_mutex control; /* guards dispositions and the pipe, and changes of watchers */
static uint8_t disposition[SIGNALS + 1];
static struct sigaction before[SIGNALS + 1]; /* what was there, of those not ASIDE */
static gosi_lock lock;                       /* guards watchers, and sends to their channels */
static watcher *watchers;

static uint64_t pending; /* [any] arrived, not sent yet */
static int pipe_in = -1, pipe_out = -1;

static uint64_t bit(int sig) { return UINT64_C(1) << (sig - 1); }

/* ---- the way of a signal -------------------------------------------------------------------- */
static void tell_poller(void) {
  int fd = gosi_load(&pipe_out);
  if (fd >= 0 && write(fd, "", 1) < 0) return; /* full: it has been told */
}

static void handler(int sig) {
  int saved = errno;
  if (!(gosi_or(&pending, bit(sig)) & bit(sig))) tell_poller();
  errno = saved;
}

/* Under the lock: a channel that has been stopped gets nothing any more. */
static gos_g **send_locked(gos_chan *c, int sig, gos_g **tail) {
  gosi_waiter *wake = NULL;
  gosi_lock_take(&c->lock);
  gosi_chan_try_send_locked(c, &sig, &wake);
  gosi_lock_drop(&c->lock);
  if (!wake) return tail;
  *tail = wake->g;
  return &wake->g->next;
}

gos_g **gosi_signal_dispatch(gos_g **tail) {
  char drop[256];
  int fd = gosi_load(&pipe_in);
  if (fd >= 0 && read(fd, drop, sizeof drop) < 0) drop[0] = 0; /* empty: another look was faster */
  gosi_lock_take(&lock);
  uint64_t came = gosi_exchange(&pending, (uint64_t)0); /* pairs with the one in handler */
  for (int sig = 1; came; sig++, came >>= 1)
    for (watcher *w = came & 1 ? watchers : NULL; w; w = w->next)
      if (w->set & bit(sig)) tail = send_locked(w->c, sig, tail);
  gosi_lock_drop(&lock);
  return tail;
}

/* ---- dispositions; under control --------------------------------------------------------------- */
static NOINLINE int open_pipe(void) {
  int p[2], err = GOS_OK;
  if (pipe_in >= 0) return GOS_OK;
  if (pipe2(p, O_CLOEXEC | O_NONBLOCK)) return GOS_SYS(errno);
  gosi_fdwait f;
  err = gosi_fd_adopt(p[0], FD_SIGNALS);
  if (!err) err = gosi_fdwait_begin(&f, p[0], GOS_READ);
  if (!err) err = gosi_fdwait_watch(&f);
  if (err) {
    gos_close(p[0]);
    close(p[1]);
    return err;
  }
  gosi_store(&pipe_in, p[0]);
  gosi_store(&pipe_out, p[1]);
  return GOS_OK;
}

/* The pipe stays: a handler may be about to write to it. It no longer counts as something that may happen. */
static void pipe_counts(bool yes) {
  int err;
  gosi_fd *d = gosi_fd_of(pipe_in, &err);
  if (!d) return;
  gosi_lock_take(&d->lock);
  gosi_store(&d->flags, yes ? d->flags | FD_WAITED : d->flags & ~(unsigned)FD_WAITED);
  gosi_lock_drop(&d->lock);
}

static bool is(const struct sigaction *a, void (*h)(int)) { return !(a->sa_flags & SA_SIGINFO) && a->sa_handler == h; }
static bool in_place(int sig, void (*h)(int)) {
  struct sigaction now;
  return sigaction(sig, NULL, &now) == 0 && is(&now, h);
}
static void (*ours(enum disposition how))(int) { return how == TAKEN ? handler : SIG_IGN; }

/* What others put there, before or meanwhile, is kept for put_back. */
static NOINLINE int take(int sig, enum disposition how) {
  struct sigaction a = {.sa_flags = SA_ONSTACK | SA_RESTART}, old;
  enum disposition was = disposition[sig];
  if (was == how && in_place(sig, ours(how))) return GOS_OK;
  a.sa_handler = ours(how);
  if (sigaction(sig, &a, &old)) return GOS_SYS(errno);
  if (was == ASIDE || !is(&old, ours(was))) before[sig] = old;
  disposition[sig] = (uint8_t)how;
  return GOS_OK;
}

/* What was there before comes back, unless somebody else has replaced ours meanwhile. */
static void put_back(int sig) {
  if (disposition[sig] == ASIDE) return;
  if (in_place(sig, ours(disposition[sig]))) sigaction(sig, &before[sig], NULL);
  disposition[sig] = ASIDE;
}

static uint64_t wanted(void) {
  uint64_t all = 0;
  gosi_lock_take(&lock);
  for (watcher *w = watchers; w; w = w->next) all |= w->set;
  gosi_lock_drop(&lock);
  return all;
}

/* Handlers that nobody wants any more go. */
static void tidy(void) {
  uint64_t all = wanted();
  for (int sig = 1; sig <= SIGNALS; sig++)
    if (disposition[sig] == TAKEN && !(all & bit(sig))) put_back(sig);
  if (!all && pipe_in >= 0) pipe_counts(false);
}

/* ---- arguments ------------------------------------------------------------------------------------ */
static bool tells_of_a_fault(int sig) {
  return sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL || sig == SIGTRAP || sig == SIGSYS;
}
static bool can_be_caught(int sig) {
  struct sigaction a;
  return sig >= 1 && sig <= SIGNALS && sig != SIGKILL && sig != SIGSTOP && !tells_of_a_fault(sig) &&
         sigaction(sig, NULL, &a) == 0; /* the C library keeps some for itself */
}

/* n = 0: all that can be caught. */
static int read_set(const int *sigs, int n, uint64_t *set) {
  *set = 0;
  if (n < 0 || (n && !sigs)) return GOS_INVAL;
  for (int sig = 1; n == 0 && sig <= SIGNALS; sig++)
    if (can_be_caught(sig)) *set |= bit(sig);
  for (int i = 0; i < n; i++) {
    if (!can_be_caught(sigs[i])) return GOS_INVAL;
    *set |= bit(sigs[i]);
  }
  return GOS_OK;
}

/* ---- the watchers ------------------------------------------------------------------------------------ */
/* Takes set away from c's watcher, or from all; those left with none are unlinked and freed. */
static void unwatch(gos_chan *c, uint64_t set) {
  watcher *gone = NULL;
  gosi_lock_take(&lock);
  for (watcher **at = &watchers, *w; (w = *at);) {
    if (!c || w->c == c) w->set &= ~set;
    if (w->set) {
      at = &w->next;
      continue;
    }
    *at = w->next;
    w->next = gone;
    gone = w;
  }
  gosi_lock_drop(&lock);
  while (gone) {
    watcher *w = gone;
    gone = w->next;
    gos_chan_release(w->c);
    gosi_free(w);
  }
}

static int watch(gos_chan *c, uint64_t set) {
  watcher *fresh = gosi_alloc(sizeof *fresh), *w;
  if (!fresh) return GOS_NOMEM;
  gosi_lock_take(&lock);
  for (w = watchers; w && w->c != c;) w = w->next;
  if (w) {
    w->set |= set;
  } else {
    *fresh = (watcher){watchers, gos_chan_retain(c), set};
    watchers = fresh;
  }
  gosi_lock_drop(&lock);
  if (w) gosi_free(fresh);
  return GOS_OK;
}

static uint64_t set_of(gos_chan *c) {
  gosi_lock_take(&lock);
  watcher *w = watchers;
  while (w && w->c != c) w = w->next;
  uint64_t set = w ? w->set : 0;
  gosi_lock_drop(&lock);
  return set;
}

/* What arrived until now is sent before anything changes. */
static void flush(void) {
  gosi_m *m = gosi_enter();
  gos_g *woken = NULL;
  *gosi_signal_dispatch(&woken) = NULL;
  if (woken) gosi_ready_list(m, woken);
  gosi_leave_m(m);
}

int gos_signal_notify(gos_chan *c, const int *sigs, int n) {
  uint64_t set;
  int e = c && !c->home && c->elem == sizeof(int) ? read_set(sigs, n, &set) : GOS_INVAL;
  if (e) return e;
  if (gosi_cannot_enter()) return GOS_NOMEM;
  gosi_solo_end(); /* as in gosi_fdwait_watch */
  gos_mutex_lock(&control);
  uint64_t had = set_of(c);
  e = open_pipe();
  if (!e) e = watch(c, set);
  if (!e) pipe_counts(true);
  for (int sig = 1; !e && sig <= SIGNALS; sig++)
    if (set & bit(sig)) e = take(sig, TAKEN);
  if (e) {
    unwatch(c, set & ~had);
    tidy();
  }
  gos_mutex_unlock(&control);
  return e;
}

static int stop(gos_chan *c, uint64_t set) {
  gos_mutex_lock(&control);
  flush();
  unwatch(c, set);
  tidy();
  gos_mutex_unlock(&control);
  return GOS_OK;
}

int gos_signal_stop(gos_chan *c) { return c ? stop(c, UINT64_MAX) : GOS_INVAL; }

int gos_signal_stop_some(gos_chan *c, const int *sigs, int n) {
  uint64_t set;
  int e = c ? read_set(sigs, n, &set) : GOS_INVAL;
  return e ? e : stop(c, set);
}

int gos_signal_ignore(const int *sigs, int n) {
  uint64_t set;
  int e = read_set(sigs, n, &set);
  if (e) return e;
  gos_mutex_lock(&control);
  for (int sig = 1; !e && sig <= SIGNALS; sig++)
    if (set & bit(sig)) e = take(sig, IGNORED);
  flush();
  unwatch(NULL, set);
  tidy();
  gos_mutex_unlock(&control);
  return e;
}

int gos_signal_reset(const int *sigs, int n) {
  uint64_t set;
  int e = read_set(sigs, n, &set);
  if (e) return e;
  gos_mutex_lock(&control);
  flush();
  unwatch(NULL, set);
  for (int sig = 1; sig <= SIGNALS; sig++)
    if (set & bit(sig)) put_back(sig);
  tidy();
  gos_mutex_unlock(&control);
  return GOS_OK;
}

int gos_signal_ignored(int sig) {
  struct sigaction now;
  if (sig < 1 || sig > SIGNALS || sigaction(sig, NULL, &now)) return GOS_INVAL;
  return in_place(sig, SIG_IGN);
}

/* The pipe is the parent's as well: the child's signals need one of their own. */
void gosi_signal_after_fork(void) {
  int in = pipe_in;
  control = (gos_mutex){0};
  lock.word = 0;
  if (in < 0) return;
  close(in);
  close(pipe_out);
  pipe_in = -1;
  gosi_store(&pipe_out, -1);
  if (watchers && open_pipe() == GOS_OK) pipe_counts(true);
  if (gosi_load(&pending)) tell_poller();
}
