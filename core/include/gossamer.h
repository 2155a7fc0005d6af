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
  unsigned flags;                          /* GOS_DUMP_ON_SIGQUIT or 0 */
  void (*on_panic)(const char *report);    /* NULL: print the report, exit 2 */
  void (*on_deadlock)(const char *report); /* NULL: print the report, exit 2; else main's wait gives GOS_DEADLOCK */
} gos_config;

typedef struct gos_go_options {
  uint32_t size;    /* sizeof(gos_go_options) */
  const char *name; /* copied; NULL: none */
  size_t stack;     /* bytes; 0: the configured size */
} gos_go_options;

/* gos_config.flags. SIGQUIT (Ctrl-\) prints every goroutine and exits 2, as Go does without asking. The variable
   GOSSAMER_SIGQUIT=1 asks for it too. GOSSAMER_DEBUG=schedtrace=MS prints a line of figures every MS
   milliseconds, with scheddetail=1 the processors and goroutines as well. Set-uid programs ignore both. */
enum { GOS_DUMP_ON_SIGQUIT = 1 };

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
/* [g] Runs fn(arg) when the goroutine ends (it returns, gos_goexit(), gos_panic()), last one first; fn may
   itself wait, defer, exit and panic. GOS_OK; GOS_INVAL, GOS_NOMEM, GOS_PERM on a foreign thread: fn will
   not run. Go: defer, but of the goroutine, not the function. */
int gos_defer(void (*fn)(void *), void *arg);
/* Runs what is deferred, then reports "panic: ..." with the goroutine and where it was created, and exits 2,
   unless gos_config.on_panic is set: then only the goroutine ends. A panic in a deferred call is
   reported below the first one; gos_goexit() in one ends the panic without a report, as in Go. */
void gos_panic(const char *fmt, ...);
/* Names the running goroutine in dumps and reports; copied, cut to 63 bytes; NULL: no name. GOS_OK, GOS_NOMEM. */
int gos_set_name(const char *name);
/* Labels of the running goroutine: dumps show them, goroutines it starts from here on have them too.
   Both are copied; the value NULL removes the label. GOS_OK, GOS_INVAL (no key), GOS_NOMEM: nothing
   changed. Go: pprof.SetGoroutineLabels, Labels. */
int gos_set_label(const char *key, const char *value);
/* The value, until this goroutine next changes its labels; NULL: it has no such label. */
const char *gos_label(const char *key);
/* The running goroutine's number; 0 on a foreign thread. Numbers are never used twice. */
uint64_t gos_goid(void);
int gos_num_goroutine(void);
/* CPUs this process may use: affinity mask and cgroup quota respected. */
int gos_num_cpu(void);
/* The number of goroutines that may be inside the runtime at once. n > 0 sets it, at any time and from
   any thread: at most 1,024, more than there are CPUs if you like; the world is not stopped, a goroutine
   that runs on a processor too many goes on elsewhere at its next call. Returns the number before, or
   GOS_NOMEM: nothing changed. Go: runtime.GOMAXPROCS. */
int gos_gomaxprocs(int n);
/* The most threads the runtime makes for goroutines; n > 0 sets it. Returns the limit before. Where it
   is reached work goes on with the threads there are (Go's debug.SetMaxThreads ends the program). */
int gos_set_max_threads(int n);
/* From here on the running goroutine runs on this OS thread only, and the thread runs nothing else,
   until as many gos_unlock_os_thread() calls. A goroutine that ends while locked ends its thread (the
   process's first thread sleeps instead). To keep main on the first thread: call it before anything
   that waits. GOS_OK; GOS_PERM for a goroutine of a binding whose goroutines change threads. Nothing
   to do, so GOS_OK, on foreign threads. Go: runtime.LockOSThread, UnlockOSThread. */
int gos_lock_os_thread(void);
int gos_unlock_os_thread(void); /* GOS_OK, also where it was not locked */
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

/* ---- select --------------------------------------------------------------- */
/* op 1: receive into v; op 2: send from v; op 0: no case. ok: false when a closed channel fired. */
typedef struct gos_case {
  int op;
  gos_chan *c;
  void *v;
  int ok;
} gos_case;
/* The index of the case that fired, chosen evenly among the ready ones; else GOS_TIMEDOUT,
   GOS_WOULDBLOCK (= default, for GOS_NOW), GOS_CANCELED, GOS_CLOSED (send on a closed channel;
   that case has ok = -1), GOS_INVAL, GOS_NOMEM. */
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
  char site[192];   /* where it was created */
  char labels[192]; /* key:"value", ... sorted; those that do not fit are left out */
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
  size_t stacks, stack_bytes;            /* stacks carved, and their address space */
  int max_threads, idle_procs, spinning; /* threads that look for work */
  int runqueue;                          /* in the global queue; those of the processors are not counted */
  int timers;                            /* pending, of C goroutines: sleeps and deadlines too */
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
#define gos_chan_range(c, ptr) while (gos_chan_recv((c), (ptr)) == GOS_OK)

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
