/* gossamer.h - Go's concurrency model for C programs.
 *
 * C11. Every function may be called from goroutines and from foreign threads
 * unless it is marked [g] (goroutines only). Results: 0 (GOS_OK) or a positive
 * value is success, a negative one an error code; errno is never part of the
 * API. A value handed to a send that fails stays with the caller.
 *
 * Durations and deadlines are int64 nanoseconds on the monotonic clock
 * (gos_now()). A goroutine may continue on another thread after any call that
 * waits: pointers to thread-local variables, and errno, whose address the compiler
 * may keep, must not be carried over such a call. The first call into the library turns the calling thread into
 * the main goroutine, unless gos_init() was called before.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef GOSSAMER_H
#define GOSSAMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#error "gossamer: Windows is not supported yet"
#endif
#pragma GCC visibility push(default)

#define GOS_VERSION "0.1.0"
/* Raised whenever a public struct or the meaning of a call changes. */
#define GOS_ABI 1

/* cdef: begin */
typedef int64_t gos_ns;
typedef struct gos_g gos_g;
typedef struct gos_chan gos_chan;
typedef struct gos_timer gos_timer;

/* Error codes. gos_strerror() gives their text, in Go's words where Go has them. */
enum {
  GOS_OK = 0,
  GOS_CLOSED = -1,     /* the channel is closed (recv: and drained) */
  GOS_TIMEDOUT = -2,   /* the deadline passed */
  GOS_CANCELED = -3,   /* gos_interrupt() or a context ended the wait */
  GOS_WOULDBLOCK = -4, /* GOS_NOW was asked for and nothing was ready */
  GOS_INVAL = -5,      /* an argument is out of range */
  GOS_NOMEM = -6,      /* memory, address space or the guard page budget is used up */
  GOS_PERM = -7,       /* not allowed here (e.g. unlock of an unlocked mutex) */
  GOS_DEADLOCK = -8,   /* all goroutines are asleep; given to the main goroutine */
  GOS_AGAIN = -9       /* bindings only: the host must look at its signals and call again */
};
const char *gos_strerror(int code);
int gos_abi_version(void);

/* ---- runtime ------------------------------------------------------------ */
typedef struct gos_config {
  uint32_t size;                           /* sizeof(gos_config) */
  int maxprocs;                            /* 0: the GOMAXPROCS variable, else the CPUs this process may use */
  int maxthreads;                          /* 0: 10,000, as Go */
  size_t stack;                            /* bytes of address space for a goroutine's stack; 0: 64 KiB */
  uint64_t seed;                           /* of select's and the scheduler's choices; 0: from the system */
  unsigned flags;                          /* 0 */
  void (*on_panic)(const char *report);    /* NULL: print the report, exit 2 */
  void (*on_deadlock)(const char *report); /* NULL: print the report, exit 2; else main's wait gives GOS_DEADLOCK */
} gos_config;

typedef struct gos_go_options {
  uint32_t size;    /* sizeof(gos_go_options) */
  const char *name; /* copied; NULL: none */
  size_t stack;     /* bytes; 0: the configured size */
} gos_go_options;

/* Starts the runtime, the calling thread being its main goroutine. NULL: all defaults.
   A second call gives GOS_PERM. Go: the runtime's own start. */
int gos_init(const gos_config *cfg);
/* gos_init(NULL) where still needed, then fn(argc, argv) as the main goroutine. The others
   end with it, as in Go. Returns fn's result. */
int gos_main(int (*fn)(int, char **), int argc, char **argv);
/* Starts fn(arg) as a goroutine. Keeps no handle: the cheap way. Go: go fn(arg). */
int gos_go(void (*fn)(void *), void *arg);
/* The same with options (NULL: defaults) and a handle for join, done and interrupt. The
   handle is the caller's: gos_release() it. On failure NULL, and *err (if given) the code. */
gos_g *gos_go_opts(const gos_go_options *o, void (*fn)(void *), void *arg, int *err);
/* Waits until g has ended. GOS_OK, GOS_TIMEDOUT, GOS_WOULDBLOCK, GOS_CANCELED. */
int gos_join(gos_g *g, gos_ns deadline);
void gos_release(gos_g *g);
/* A channel that is closed when g ends; lives as long as the handle. NULL: no memory. */
gos_chan *gos_done(gos_g *g);
/* Ends g's current wait, or its next one, with GOS_CANCELED. GOS_OK, or GOS_CLOSED when g has ended. */
int gos_interrupt(gos_g *g);
/* Lets other goroutines run. Go: runtime.Gosched. */
void gos_gosched(void);
/* [g] Ends the running goroutine. Go: runtime.Goexit, without the deferred calls of frames:
   use gos_defer. */
void gos_goexit(void);
/* [g] Runs fn(arg) when the goroutine ends, last one first. */
int gos_defer(void (*fn)(void *), void *arg);
/* Reports "panic: ..." with the goroutine and where it was created, and exits 2, unless
   gos_config.on_panic is set: then only the goroutine ends. */
void gos_panic(const char *fmt, ...);
/* The running goroutine's number; 0 on a foreign thread. Numbers are never used twice. */
uint64_t gos_goid(void);
int gos_num_goroutine(void);
/* CPUs this process may use: affinity mask and cgroup quota respected. */
int gos_num_cpu(void);
/* The number of goroutines that may be inside the runtime at once; n > 0 is refused with
   GOS_PERM once another thread runs goroutines (a later release lifts this). */
int gos_gomaxprocs(int n);
gos_ns gos_now(void);
/* GOS_OK after d nanoseconds (at once for d <= 0), or GOS_CANCELED. Go: time.Sleep. */
int gos_sleep(gos_ns d);
/* [g] Around a call that may block for long: the other goroutines go on at once. Optional: the
   runtime notices an unannounced blocking call by itself after some 100 microseconds. */
void gos_entersyscall(void);
void gos_exitsyscall(void);
/* *ret = fn(arg) with the announcement around it. */
int gos_blocking(void *(*fn)(void *), void *arg, void **ret);

/* ---- channels: elements are copied by size ------------------------------- */
/* NULL when out of memory or elem * cap is out of range. Go: make(chan T, cap). Thread-safe;
   a NULL channel is Go's nil channel: send and receive block for ever, close gives GOS_INVAL. */
gos_chan *gos_chan_make(size_t elem, size_t cap);
gos_chan *gos_chan_retain(gos_chan *c);
/* Frees the channel with its last reference; values still inside go to the destructor. */
void gos_chan_release(gos_chan *c);
/* GOS_OK, GOS_CLOSED, GOS_CANCELED; with a deadline also GOS_TIMEDOUT, or GOS_WOULDBLOCK for GOS_NOW. */
int gos_chan_send(gos_chan *c, const void *v);
int gos_chan_send_dl(gos_chan *c, const void *v, gos_ns deadline);
/* The same codes; GOS_CLOSED zeroes *out. out may be NULL: the value is dropped. */
int gos_chan_recv(gos_chan *c, void *out);
int gos_chan_recv_dl(gos_chan *c, void *out, gos_ns deadline);
/* GOS_OK for the call that closed it, GOS_CLOSED for a later one, GOS_INVAL for NULL. */
int gos_chan_close(gos_chan *c);
size_t gos_chan_len(gos_chan *c);
size_t gos_chan_cap(gos_chan *c);
bool gos_chan_closed(gos_chan *c);
/* Called for every value that nobody received, when the channel is freed. */
void gos_chan_set_dtor(gos_chan *c, void (*dtor)(void *elem));

/* ---- file descriptors: gossamer/net.h has sockets on top of this ------------- */
enum { GOS_READ = 1, GOS_WRITE = 2 };
/* Waits until fd is ready for one of events (GOS_READ, GOS_WRITE or both); the ready ones are the
   result. Level-triggered, as poll(2): an fd that is ready now gives its mask at once, one that never
   makes a caller wait (a regular file) always; a hang-up or an error makes all of events ready. Any fd
   will do, whoever made it, in whatever mode; any number of goroutines and threads may wait for one.
   GOS_TIMEDOUT, GOS_WOULDBLOCK (GOS_NOW), GOS_CANCELED, GOS_CLOSED (gos_close or gos_fd_forget
   meanwhile), GOS_INVAL, GOS_NOMEM, GOS_SYS(EBADF) and what else the system's poller says. */
int gos_fd_wait(int fd, int events, gos_ns deadline);
/* Before fd is closed by other means than gos_close(): ends the waits for it with GOS_CLOSED. */
int gos_fd_forget(int fd);
/* gos_fd_forget and close. GOS_OK or GOS_SYS(errno). */
int gos_close(int fd);

/* ---- signals ------------------------------------------------------------------ */
/* Sends the number of each of these signals that arrives to c, whose elements are int, without ever
   waiting: a full channel misses it. n = 0: all that can be caught, but for those that tell of a fault
   of the program. A channel may be given several times, which adds up, and a signal may have several
   channels. The signals' handlers are taken over until the last gos_signal_stop() or
   gos_signal_reset(); no other function of this library does that. As in Go, no deadlock is reported
   while a channel waits for signals. c is retained. Several arrivals may become one.
   GOS_INVAL: c is NULL or confined to a realm, or its elements are not int, or a signal cannot be
   caught; nothing changed. GOS_NOMEM, GOS_SYS(errno). Go: signal.Notify. */
int gos_signal_notify(gos_chan *c, const int *sigs, int n);
/* c gets no more signals once this returns; those that came before are in it, where there was room. */
int gos_signal_stop(gos_chan *c);
/* The signals (n = 0: all) are ignored from now on; channels do not get them any more. */
int gos_signal_ignore(const int *sigs, int n);
/* Undoes gos_signal_notify and gos_signal_ignore for these signals (n = 0: all). */
int gos_signal_reset(const int *sigs, int n);
/* 1: sig is ignored by this process, 0: it is not. GOS_INVAL. */
int gos_signal_ignored(int sig);

/* ---- select --------------------------------------------------------------- */
/* op 1: receive into v; op 2: send from v; op 0: no case. ok: false when a closed channel fired.
   op 3 + events: file descriptor (intptr_t)c is ready (GOS_FD); ok: its ready mask, as from gos_fd_wait. */
typedef struct gos_case {
  int op;
  gos_chan *c;
  void *v;
  int ok;
} gos_case;
/* The index of the case that fired, chosen evenly among the ready ones; else GOS_TIMEDOUT,
   GOS_WOULDBLOCK (= default, for GOS_NOW), GOS_CANCELED, GOS_CLOSED (send on a closed channel,
   or a file descriptor closed meanwhile; that case has ok = -1), GOS_INVAL, GOS_NOMEM,
   GOS_SYS(errno) (a file descriptor is not open). */
int gos_select(gos_case *cases, int n, gos_ns deadline);
/* The same, but the first ready case in order wins. */
int gos_select_ordered(gos_case *cases, int n, gos_ns deadline);

/* ---- time (Go 1.23 rules: no stale tick after stop or reset) ---------------- */
/* A timer's channel gives the gos_ns at which it fired. */
gos_timer *gos_timer_new(gos_ns d);
gos_timer *gos_ticker_new(gos_ns d);                               /* NULL also for d <= 0 */
gos_timer *gos_after_func(gos_ns d, void (*f)(void *), void *arg); /* f runs in its own goroutine */
gos_chan *gos_timer_c(gos_timer *t);
/* 1: it was pending, 0: it had fired or was stopped. */
int gos_timer_stop(gos_timer *t);
int gos_timer_reset(gos_timer *t, gos_ns d);
void gos_timer_free(gos_timer *t); /* stops it */
/* A channel that gives the time once, d from now; release it. */
gos_chan *gos_after(gos_ns d);

/* ---- sync: the zero value is ready ------------------------------------------ */
typedef struct gos_mutex {
  uint32_t s, since;
} gos_mutex;
void gos_mutex_lock(gos_mutex *mu);                    /* goes on waiting over gos_interrupt() */
int gos_mutex_lock_dl(gos_mutex *mu, gos_ns deadline); /* GOS_OK, GOS_TIMEDOUT, GOS_WOULDBLOCK, GOS_CANCELED */
int gos_mutex_trylock(gos_mutex *mu);                  /* GOS_OK or GOS_WOULDBLOCK */
int gos_mutex_unlock(gos_mutex *mu);                   /* GOS_PERM: it was not locked */

typedef struct gos_waitgroup {
  int64_t n;
} gos_waitgroup;
int gos_waitgroup_add(gos_waitgroup *wg, int64_t n); /* GOS_INVAL: negative counter; nothing changed */
int gos_waitgroup_done(gos_waitgroup *wg);
int gos_waitgroup_wait(gos_waitgroup *wg);
int gos_waitgroup_wait_dl(gos_waitgroup *wg, gos_ns deadline);
int gos_waitgroup_go(gos_waitgroup *wg, void (*fn)(void *), void *arg);

typedef struct gos_once {
  uint32_t done;
  gos_mutex mu;
} gos_once;
void gos_once_do(gos_once *o, void (*fn)(void *), void *arg);

/* ---- looking at it ------------------------------------------------------------ */
typedef struct gos_info {
  uint64_t id, creator;    /* creator: the goroutine that started it, 0: a foreign thread */
  const char *status;      /* "runnable", "running", "waiting", "dead" */
  const char *wait_reason; /* Go's words: "chan receive", "select", ...; NULL unless waiting */
  gos_ns since;            /* waiting since; 0 unless waiting */
  char name[64];
  char site[192]; /* where it was created */
} gos_info;
/* What is true of g at this moment. size = sizeof(gos_info). */
int gos_info_get(gos_g *g, gos_info *out, size_t size);
/* Calls f for every goroutine until it returns non-zero; f must not block. Returns f's last result. */
int gos_foreach(int (*f)(const gos_info *info, void *u), void *u);
/* Writes every goroutine with its state, wait reason and creation site. flags: 0. */
int gos_dump(int fd, unsigned flags);

typedef struct gos_stats {
  uint32_t size;
  int goroutines, threads, idle_threads, procs;
  uint64_t created, switches_out, steals, handoffs, parks, wakes;
  size_t stacks, stack_bytes; /* stacks carved, and their address space */
} gos_stats;
int gos_stats_get(gos_stats *s, size_t size);
/* cdef: end */

#define GOS_FOREVER INT64_MAX /* deadline */
#define GOS_NOW 0             /* deadline: do not block */
/* A system error carries its errno. */
#define GOS_SYS(e) (-1000 - (e))
#define GOS_RECV(c, out)                                                                                               \
  { 1, (c), (out), 0 }
#define GOS_SEND(c, in)                                                                                                \
  { 2, (c), (void *)(in), 0 }
#define GOS_FD(fd, ev)                                                                                                 \
  { 3 + (ev), (gos_chan *)(intptr_t)(fd), 0, 0 }
#define gos_chan_range(c, ptr) while (gos_chan_recv((c), (ptr)) == GOS_OK)

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
