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
 * may keep, must not be carried over such a call.
 *
 * The first call that starts something, waits or may wait turns the calling thread into the main goroutine, unless
 * gos_init() was called before (making a channel, gos_goid() and counts do not). Where that is not the process's first
 * thread, the goroutine stays on it, as after gos_lock_os_thread(), so that the thread may end. The first call of a
 * foreign thread may give GOS_NOMEM, whatever it is; one that gives no error waits for the memory, and ends the process
 * when none comes for seconds.
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
typedef struct gos_pool gos_pool;
typedef struct gos_map gos_map;
typedef struct gos_ctx gos_ctx;
typedef struct gos_errgroup gos_errgroup;
typedef struct gos_sem gos_sem;
typedef struct gos_flight gos_flight;
typedef struct gos_limiter gos_limiter;

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
  GOS_AGAIN = -9,      /* bindings only: the host must look at its signals and call again */
  GOS_NOHOST = -10     /* gossamer/net.h: there is no host of that name */
};
const char *gos_strerror(int code);
int gos_abi_version(void);

/* ---- runtime ------------------------------------------------------------ */
typedef struct gos_config {
  uint32_t size;                           /* sizeof(gos_config) */
  int maxprocs;                            /* 0: the GOMAXPROCS variable, else the CPUs this process may use */
  int maxthreads;                          /* 0: 10,000, as Go */
  size_t stack;                            /* bytes of address space for a goroutine's stack; 0: 64 KiB */
  uint64_t seed;                           /* of the choices of select and the scheduler; 0: GOSSAMER_SEED, or none */
  unsigned flags;                          /* GOS_DUMP_ON_SIGQUIT or 0 */
  void (*on_panic)(const char *report);    /* NULL: print the report, exit 2 */
  void (*on_deadlock)(const char *report); /* NULL: print the report, exit 2; else main's wait gives GOS_DEADLOCK, and
                                              one that gives no errors goes on, to be reported again */
} gos_config;

typedef struct gos_go_options {
  uint32_t size;    /* sizeof(gos_go_options) */
  const char *name; /* copied; NULL: none */
  size_t stack;     /* bytes; 0: the configured size */
} gos_go_options;

/* gos_config.flags. SIGQUIT (Ctrl-\) prints every goroutine and exits 2, as Go does without asking. The variable
   GOSSAMER_SIGQUIT=1 asks for it too. GOSSAMER_DEBUG=schedtrace=MS prints a line of figures every MS
   milliseconds, with scheddetail=1 the processors and goroutines as well. GOSSAMER_SEED=N: see gos_config.seed. Set-uid
   programs ignore all three. */
enum { GOS_DUMP_ON_SIGQUIT = 1, GOS_FREEZE = 2 };
/* GOS_FREEZE, or GOSSAMER_FREEZE=1 in the environment: a C goroutine that has waited for a second is frozen. Its stack
   shrinks to the bytes that live, and comes back, at the same place, before it runs or when anybody touches it.
   Not for programs in which a system call reads or writes the stack of a goroutine that waits: docs/freeze.md says
   what this asks of a program. GOSSAMER_FREEZE=age=MS: after that many milliseconds. gos_init() gives GOS_SYS(ENOTSUP)
   where it cannot be done: Linux before 6.13, AddressSanitizer, ThreadSanitizer; the variable is ignored there. */

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
/* [g] In a deferred call: is it a panic that ends the goroutine? 1: it was one; its text (of several the last one's),
   cut to n bytes with the 0 at its end, is in buf, and it is over: what else is deferred runs, then the goroutine ends
   without a report. 0: no. buf may be NULL. Go: recover, but the goroutine ends all the same. */
int gos_recover(char *buf, size_t n);
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
/* Gives the memory of stacks that no goroutine uses back to the system, but for the few that every
   processor keeps at hand. Returns how many stacks. It is done now, on this thread: some 1 us a stack.
   Go: debug.FreeOSMemory. */
int gos_free_stacks(void);
/* From here on the running goroutine runs on this OS thread only, and the thread runs nothing else,
   until as many gos_unlock_os_thread() calls. A goroutine that ends while locked ends its thread (the
   main goroutine's sleeps instead); one of a binding only lets go of it, and where no thread can be
   had for the others of that binding they do run on this one. To keep main on its thread: call it
   before anything that waits; where that is not the process's first thread, it stays there anyway.
   GOS_OK; nothing to do on foreign threads. Go: runtime.LockOSThread, UnlockOSThread. */
int gos_lock_os_thread(void);
int gos_unlock_os_thread(void); /* GOS_OK, also where it was not locked */
/* Freezes the goroutines that have waited for age nanoseconds, 0: all that wait, whether or not GOS_FREEZE is set.
   How many; GOS_INVAL, GOS_SYS(ENOTSUP), or GOS_PERM: the handler of SIGSEGV is not the runtime's any more. */
int gos_freeze(gos_ns age);
/* 0: the running goroutine is not to be frozen from here on: it lends its stack to a system call of another. 1: it may
   be. As it was before. */
int gos_freezable(int on);
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
/* The same codes; GOS_CLOSED zeroes *out. out may be NULL: the value is dropped; as it was received, it does not go to
   the destructor. */
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
   gos_signal_reset(), again if somebody else took them meanwhile; no other function of this library does that. As in Go, no deadlock is reported
   while a channel waits for signals. c is retained. Several arrivals may become one. A signal for the process finds
   its way: kill(getpid(), sig). raise() is for the calling thread, and those of the runtime, where goroutines run,
   take no signals but those of faults: there it waits until gos_with_users_signals() (host.h).
   GOS_INVAL: c is NULL or confined to a realm, or its elements are not int, or a signal cannot be
   caught; nothing changed. GOS_NOMEM, GOS_SYS(errno). Go: signal.Notify. */
int gos_signal_notify(gos_chan *c, const int *sigs, int n);
/* c gets no more signals once this returns; those that came before are in it, where there was room. */
int gos_signal_stop(gos_chan *c);
/* The same for these signals only (n = 0: all). */
int gos_signal_stop_some(gos_chan *c, const int *sigs, int n);
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

/* Many readers or one writer. A writer that waits keeps new readers out, so a goroutine must not
   read-lock again what it holds for reading; readers that waited go in before the next writer.
   Like a mutex it has no owner: any goroutine or thread may unlock it. Go: sync.RWMutex. */
typedef struct gos_rwmutex {
  uint32_t s;
} gos_rwmutex;
void gos_rwmutex_lock(gos_rwmutex *rw); /* goes on waiting over gos_interrupt() */
/* GOS_OK, GOS_TIMEDOUT, GOS_WOULDBLOCK, GOS_CANCELED. Who gives up leaves no trace: readers that
   waited for this writer go on. */
int gos_rwmutex_lock_dl(gos_rwmutex *rw, gos_ns deadline);
int gos_rwmutex_trylock(gos_rwmutex *rw); /* GOS_OK or GOS_WOULDBLOCK */
int gos_rwmutex_unlock(gos_rwmutex *rw);  /* GOS_PERM: not locked for writing; nothing changed */
void gos_rwmutex_rlock(gos_rwmutex *rw);  /* goes on waiting over gos_interrupt() */
int gos_rwmutex_rlock_dl(gos_rwmutex *rw, gos_ns deadline);
int gos_rwmutex_tryrlock(gos_rwmutex *rw);
int gos_rwmutex_runlock(gos_rwmutex *rw); /* GOS_PERM: not locked for reading; nothing changed */

/* Waiters are woken in the order in which they came. Go: sync.Cond. */
typedef struct gos_cond {
  uint32_t n;
} gos_cond;
/* Unlocks mu, waits for a signal, locks mu again. GOS_OK: signalled. GOS_TIMEDOUT, GOS_CANCELED,
   GOS_WOULDBLOCK (for GOS_NOW; mu was not even unlocked): not, and no signal was used up. Whatever
   it gives mu is held again, but for GOS_PERM: mu was not locked, nothing happened; and perhaps for
   GOS_DEADLOCK: who holds it may be asleep for ever. */
int gos_cond_wait(gos_cond *c, gos_mutex *mu);
int gos_cond_wait_dl(gos_cond *c, gos_mutex *mu, gos_ns deadline);
/* The same with a read-write lock held for writing, or (_r) for reading. */
int gos_cond_wait_rw(gos_cond *c, gos_rwmutex *rw, gos_ns deadline);
int gos_cond_wait_r(gos_cond *c, gos_rwmutex *rw, gos_ns deadline);
/* Wakes one, or all of those that wait now. The lock may be held, but need not be. */
void gos_cond_signal(gos_cond *c);
void gos_cond_broadcast(gos_cond *c);

typedef struct gos_once {
  uint32_t done;
  gos_mutex mu;
} gos_once;
/* fn(arg) for the first caller only; all callers return after it. fn that leaves by gos_goexit or
   gos_panic counts as done. Called for the same Once from inside fn it waits for ever. */
void gos_once_do(gos_once *o, void (*fn)(void *), void *arg);
/* The same, but waits for another caller's fn only so long: GOS_OK: it has been done. GOS_TIMEDOUT,
   GOS_WOULDBLOCK, GOS_CANCELED: it is still being done. A call that is the first runs fn in any case. */
int gos_once_do_dl(gos_once *o, void (*fn)(void *), void *arg, gos_ns deadline);

/* ---- pool: things that are made again more dearly than kept -------------------------- */
/* make (may be NULL) gives a new item, drop (may be NULL) ends one; both are called with no lock held,
   on the goroutine that called in, and may do anything, but free the pool. NULL: no memory. Every P
   keeps a few dozen items; of those beyond, whatever was in excess while the rest went out and came
   back twice over is dropped by later puts; a pool that nobody uses keeps what it has. Go: sync.Pool. */
gos_pool *gos_pool_new(void *(*make)(void *arg), void (*drop)(void *item), void *arg);
/* Drops all items in it. Nobody else may be using it. */
void gos_pool_free(gos_pool *pool);
/* Any item, which is the caller's from here on. NULL only if there is none and no make, or make gave NULL. */
void *gos_pool_get(gos_pool *pool);
/* The item is the pool's; it may be dropped at once (no memory). NULL is ignored. */
void gos_pool_put(gos_pool *pool, void *item);

/* ---- map: for many goroutines ---------------------------------------------------------- */
/* All optional; all get u. hash and equal decide what is one key: with neither, pointers are compared;
   equal needs hash. Two keys that are the same pointer are equal without being asked. value_retain runs
   under a lock of the map: it only counts (no waiting, no call into this map). All others run with no
   lock held, on the goroutine that called in, and may do anything, but free the map. */
typedef struct gos_map_ops {
  uint32_t size; /* sizeof(gos_map_ops) */
  void *u;
  uint64_t (*hash)(void *u, const void *key, uint64_t seed); /* equal keys, equal hashes; seed: this map's own */
  bool (*equal)(void *u, const void *a, const void *b);      /* a is a key of the map's */
  /* What the map keeps as its key: a copy, or the key with a reference more. NULL: no memory. Also
     called for keys that turn out to be there already: those are dropped again. Unset: the pointer. */
  void *(*key_retain)(void *u, const void *key);
  void (*key_drop)(void *u, void *key);
  void (*value_retain)(void *u, void *value);
  void (*value_drop)(void *u, void *value);
} gos_map_ops;
/* Who owns a value: a call that stores it hands the caller's reference over to the map, a call that does
   not leaves it with the caller. Every value a call gives comes with a reference that is the caller's:
   one that stays in the map is retained for it, one that leaves the map comes with the map's. Values that
   leave the map and are not given to anybody are dropped. Without value_retain a loaded value is a bare
   pointer, which lives as long as nobody has it dropped. Pointers for values given may be NULL.
   NULL: no memory, ops->size is wrong, or equal without hash. Go: sync.Map. */
gos_map *gos_map_new(const gos_map_ops *ops);
/* Drops all keys and values. Nobody else may be using it. */
void gos_map_free(gos_map *m);
/* 1: found. 0: not; *value is NULL. All of them give GOS_INVAL for a NULL map. */
int gos_map_load(gos_map *m, const void *key, void **value);
int gos_map_store(gos_map *m, const void *key, void *value); /* GOS_OK, GOS_NOMEM */
/* 1: there was one, *actual is it. 0: stored, *actual is value. GOS_NOMEM. */
int gos_map_load_or_store(gos_map *m, const void *key, void *value, void **actual);
int gos_map_load_and_delete(gos_map *m, const void *key, void **value); /* 1: there was one, *value. 0: not */
int gos_map_delete(gos_map *m, const void *key);                        /* 1: there was one. 0: not */
/* Stores. 1: there was one before, *old. 0: not. GOS_NOMEM. */
int gos_map_swap(gos_map *m, const void *key, void *value, void **old);
/* 1: the value was the pointer old; it has been replaced (and dropped). 0: it was not, or there was none. */
int gos_map_compare_and_swap(gos_map *m, const void *key, void *old, void *value);
int gos_map_compare_and_delete(gos_map *m, const void *key, void *old);
/* Calls f for every key until it returns false; with no lock held: f may do anything with the map. Both
   pointers are borrowed: they live until f returns (the value only if there is a value_retain).
   As in Go no key comes twice, one that stays in the map throughout comes, and the value is one that the
   key had at some time during the call; it is no snapshot of one moment. */
void gos_map_range(gos_map *m, bool (*f)(const void *key, void *value, void *u), void *u);
/* Deletes all entries that are there when it comes to them. Not one step: other calls happen between. */
void gos_map_clear(gos_map *m);
size_t gos_map_len(gos_map *m); /* exact only while nobody stores or deletes */

/* ---- context ------------------------------------------------------------------
   What may be given up together. All calls are thread-safe; a context is counted: every call that
   returns a gos_ctx * gives a reference (NULL: no memory), a child keeps its parent alive, and a
   NULL parent stands for the background. */
/* Never ends, has no values. Not counted: retain and release do nothing. Go: context.Background. */
gos_ctx *gos_background(void);
/* Ends when its parent does, or by gos_cancel(). Go: context.WithCancel. One that is released
   without having ended leaves its parent and is forgotten, as an unreachable one is in Go. */
gos_ctx *gos_with_cancel(gos_ctx *p);
/* Also ends, with GOS_TIMEDOUT, when d has passed or t has come (then it is born ended). The
   timer goes with the context. Go: context.WithTimeout, WithDeadline. */
gos_ctx *gos_with_timeout(gos_ctx *p, gos_ns d);
gos_ctx *gos_with_deadline(gos_ctx *p, gos_ns t);
/* The same context with a value more. The key is compared by address; NULL is refused (NULL). It
   cannot be cancelled by itself: cancel the one it was made from. Go: context.WithValue. */
gos_ctx *gos_with_value(gos_ctx *p, const void *key, void *val);
/* Its values without its end: never ends. Go: context.WithoutCancel. */
gos_ctx *gos_without_cancel(gos_ctx *p);
/* For cleaning up: ends d after its parent has ended, with the parent's error and cause; at once
   if there is no memory for a timer then. */
gos_ctx *gos_with_grace(gos_ctx *p, gos_ns d);
/* Ends when a or b does, with the error and cause of that one; values of a, then of b; the earlier
   deadline. NULL also when more than 64 are merged into one another. */
gos_ctx *gos_merge(gos_ctx *a, gos_ctx *b);
gos_ctx *gos_ctx_retain(gos_ctx *x);
void gos_ctx_release(gos_ctx *x);
/* Ends x and all below it; when it returns they have ended. The first cause stays: any int, 0
   stands for GOS_CANCELED. Nothing happens to one that cannot be cancelled (background, with_value,
   without_cancel). Go: CancelFunc, CancelCauseFunc. */
void gos_cancel(gos_ctx *x, int cause);
/* Closed when x has ended; elements of 0 bytes. Borrowed: lives as long as x (or retain it). NULL,
   the nil channel, for one that never ends. With no memory for a channel, x ends, with the cause
   GOS_NOMEM: a wait for it must not last for ever. Go: ctx.Done(). */
gos_chan *gos_ctx_done(gos_ctx *x);
/* GOS_OK until it has ended, then GOS_CANCELED or GOS_TIMEDOUT. Go: ctx.Err(). */
int gos_ctx_err(gos_ctx *x);
/* GOS_OK until it has ended, then what was given to gos_cancel(), or GOS_TIMEDOUT. Go: context.Cause. */
int gos_ctx_cause(gos_ctx *x);
/* The value of the nearest key, or NULL. Go: ctx.Value(). */
void *gos_ctx_value(gos_ctx *x, const void *key);
/* 1 and the time at which x will end at the latest in *t, or 0 and GOS_FOREVER. Go: ctx.Deadline(). */
int gos_ctx_deadline(gos_ctx *x, gos_ns *t);
/* f(a) in a goroutine of its own once x has ended (at once if it has). GOS_OK, GOS_INVAL, GOS_NOMEM;
   a call that was promised is made as soon as there is memory. Until f has started or is stopped
   it keeps x alive, so on one that nobody ends it stays for good. *stop, if stop is given, is a
   handle to be given to gos_ctx_stop() once, sooner or later; it keeps x alive too. Go:
   context.AfterFunc. */
int gos_ctx_after_func(gos_ctx *x, void (*f)(void *), void *a, void **stop);
/* 1: f will not run; 0: it has started. Frees the handle in either case. */
int gos_ctx_stop(void *stop);
/* The blocking calls obeying a context: GOS_CANCELED when it was cancelled, GOS_TIMEDOUT when its
   deadline passed, and nothing was sent, received, taken or locked. One that had ended before wins over
   what could be done at once. NULL, the background: the plain call. Those of groups, semaphores and so on
   stand beside their plain forms below, those of sockets in gossamer/net.h. */
int gos_chan_send_ctx(gos_chan *c, const void *v, gos_ctx *x);
int gos_chan_recv_ctx(gos_chan *c, void *out, gos_ctx *x);
int gos_select_ctx(gos_case *cases, int n, gos_ctx *x);
int gos_select_ordered_ctx(gos_case *cases, int n, gos_ctx *x);
int gos_sleep_ctx(gos_ns d, gos_ctx *x);
int gos_join_ctx(gos_g *g, gos_ctx *x);
int gos_fd_wait_ctx(int fd, int events, gos_ctx *x);
int gos_mutex_lock_ctx(gos_mutex *mu, gos_ctx *x);
int gos_rwmutex_lock_ctx(gos_rwmutex *rw, gos_ctx *x);
int gos_rwmutex_rlock_ctx(gos_rwmutex *rw, gos_ctx *x);
int gos_waitgroup_wait_ctx(gos_waitgroup *wg, gos_ctx *x);
/* Whatever they give the lock is held again; to get it back they wait, whether the context has ended or not. */
int gos_cond_wait_ctx(gos_cond *c, gos_mutex *mu, gos_ctx *x);
int gos_cond_wait_rw_ctx(gos_cond *c, gos_rwmutex *rw, gos_ctx *x);
int gos_cond_wait_r_ctx(gos_cond *c, gos_rwmutex *rw, gos_ctx *x);
int gos_once_do_ctx(gos_once *o, void (*fn)(void *), void *arg, gos_ctx *x); /* fn itself does not obey it */
/* A context that also ends when one of the signals comes (n = 0: any), with GOS_CANCELED and the signal's
   number as its cause. Until it is given to gos_cancel() or released, the signals are caught as by
   gos_signal_notify(), also after it has ended: cancel it then, for a second Ctrl-C to work as usual.
   NULL, and *err (if given) why, as from gos_signal_notify(). Go: signal.NotifyContext. */
gos_ctx *gos_signal_ctx(gos_ctx *p, const int *sigs, int n, int *err);

/* ---- errgroup: goroutines that work on one thing. Go: golang.org/x/sync/errgroup ----------- */
/* With a context of its own below parent (NULL: the background), which the first error and the end
   of wait cancel. NULL: no memory. Thread-safe. */
gos_errgroup *gos_errgroup_new(gos_ctx *parent);
/* Cancels the context. Goroutines that still run go on; what they need of the group stays. */
void gos_errgroup_free(gos_errgroup *g);
/* Runs fn(arg) in a goroutine; a result other than 0 is an error, and the first one becomes the
   cause of the context's end. Waits while as many run as the limit allows (GOS_CANCELED: by
   gos_interrupt()). One that leaves through gos_goexit() counts as without error. GOS_OK; or
   GOS_NOMEM, GOS_INVAL, and fn does not run. */
int gos_errgroup_go(gos_errgroup *g, int (*fn)(void *), void *arg);
int gos_errgroup_go_ctx(gos_errgroup *g, int (*fn)(void *), void *arg, gos_ctx *x);
/* The same, but GOS_WOULDBLOCK instead of waiting. */
int gos_errgroup_try_go(gos_errgroup *g, int (*fn)(void *), void *arg);
/* At most n at once; below 0: no limit; 0: none can start. GOS_PERM while goroutines run. */
int gos_errgroup_set_limit(gos_errgroup *g, int n);
/* Waits until all have ended, cancels the context, returns the first error or GOS_OK. The wait
   itself may give GOS_CANCELED (gos_interrupt), GOS_TIMEDOUT, GOS_WOULDBLOCK: the context goes on. */
int gos_errgroup_wait(gos_errgroup *g);
int gos_errgroup_wait_dl(gos_errgroup *g, gos_ns deadline);
int gos_errgroup_wait_ctx(gos_errgroup *g, gos_ctx *x); /* x, not the group's own context, which wait ends */
gos_ctx *gos_errgroup_ctx(gos_errgroup *g);             /* borrowed */
/* How many errors there have been, and the first n of them, in the order in which they came. */
int gos_errgroup_errors(gos_errgroup *g, int *out, int n);

/* ---- weighted semaphore. Go: golang.org/x/sync/semaphore ------------------------------------ */
gos_sem *gos_sem_new(int64_t n); /* NULL: no memory, or n < 0 */
void gos_sem_free(gos_sem *s);   /* nobody may be waiting */
/* Takes n; strictly in the order of the calls, so a big request is not starved by small ones. More
   than the size is never to be had: it waits until it is given up. GOS_OK, GOS_CANCELED,
   GOS_TIMEDOUT, GOS_WOULDBLOCK, GOS_INVAL (n < 0). */
int gos_sem_acquire(gos_sem *s, int64_t n);
int gos_sem_acquire_dl(gos_sem *s, int64_t n, gos_ns deadline);
int gos_sem_acquire_ctx(gos_sem *s, int64_t n, gos_ctx *x);
int gos_sem_try_acquire(gos_sem *s, int64_t n); /* GOS_OK or GOS_WOULDBLOCK; not past those who wait */
int gos_sem_release(gos_sem *s, int64_t n);     /* GOS_PERM: more than is held; nothing changed */

/* ---- single flight: what many ask for at once is done once. Go: x/sync/singleflight --------- */
struct gos_flight_result {
  int err;
  void *val;
  int shared; /* others got it as well */
};
gos_flight *gos_flight_new(void);
void gos_flight_free(gos_flight *f); /* calls that still run end as usual */
/* Returns what fn returned, and in *val what it stored there. While a call of the same key runs, it
   waits for that one's result instead (GOS_CANCELED: by gos_interrupt()). If fn leaves through
   gos_goexit(), the others get GOS_CANCELED and NULL. The key is copied. val, shared may be NULL.
   GOS_NOMEM, GOS_INVAL: fn did not run. */
int gos_flight_do(gos_flight *f, const char *key, int (*fn)(void *arg, void **val), void *arg, void **val, int *shared);
/* The same; the wait for another's call obeys x, an fn that runs does not. */
int gos_flight_do_ctx(gos_flight *f, const char *key, int (*fn)(void *arg, void **val), void *arg, void **val,
                      int *shared, gos_ctx *x);
/* The same, fn in a goroutine of its own: a channel that will give one struct gos_flight_result; to
   be released. NULL: no memory, or an argument is NULL. */
gos_chan *gos_flight_do_chan(gos_flight *f, const char *key, int (*fn)(void *arg, void **val), void *arg);
/* The next call of this key runs its fn, even if another still runs. */
void gos_flight_forget(gos_flight *f, const char *key);

/* ---- rate limiter: a bucket of tokens. Go: golang.org/x/time/rate ---------------------------- */
typedef struct gos_reservation {
  int ok;    /* 0: never, n is more than the burst */
  int n;     /* tokens taken; 0 once given back */
  gos_ns at; /* when it may happen; GOS_FOREVER: the limit is 0 */
  gos_limiter *limiter;
  double limit; /* as it was */
} gos_reservation;
/* per_second tokens a second (HUGE_VAL: no limit), at most burst at a time; full at first. NULL: no
   memory, or not a number. Thread-safe. */
gos_limiter *gos_limiter_new(double per_second, int burst);
void gos_limiter_free(gos_limiter *l);
int gos_limiter_allow(gos_limiter *l, int n); /* 1: n may happen now, 0: not */
/* Takes n tokens for r->at, however late that is. GOS_OK, or GOS_INVAL: more than the burst. */
int gos_limiter_reserve(gos_limiter *l, int n, gos_reservation *r);
/* It will not happen: gives the tokens back that no later reservation has built upon. r is not
   thread-safe, and its limiter must still be there. */
void gos_reservation_cancel(gos_reservation *r);
/* Waits until n may happen. GOS_OK; GOS_INVAL: more than the burst; GOS_TIMEDOUT at once when the
   deadline would pass before (GOS_WOULDBLOCK for GOS_NOW); GOS_CANCELED. Then no token was taken. */
int gos_limiter_wait(gos_limiter *l, int n);
int gos_limiter_wait_dl(gos_limiter *l, int n, gos_ns deadline);
int gos_limiter_wait_ctx(gos_limiter *l, int n, gos_ctx *x);
int gos_limiter_set_limit(gos_limiter *l, double per_second);
int gos_limiter_set_burst(gos_limiter *l, int burst);
double gos_limiter_limit(gos_limiter *l);
int gos_limiter_burst(gos_limiter *l);
double gos_limiter_tokens(gos_limiter *l); /* now; negative: promised to reservations */

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
/* GOS_DUMP_ON_SIGQUIT, from now on. */
void gos_dump_on_sigquit(void);

typedef struct gos_stats {
  uint32_t size;
  int goroutines, threads, idle_threads, procs;
  uint64_t created, switches_out, steals, handoffs, parks, wakes;
  size_t stacks, stack_bytes;            /* stacks carved, and their address space */
  int max_threads, idle_procs, spinning; /* threads that look for work */
  int runqueue;                          /* in the global queue; those of the processors are not counted */
  int timers;                            /* pending, of C goroutines: sleeps and deadlines too */
  int64_t frozen, frozen_bytes;          /* stacks that are frozen, and what is kept of them */
  uint64_t thawed, trapped;              /* ever; of these, because another goroutine touched the stack */
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

#include "gossamer/inline.h" /* the uncontended lock and unlock, without a call; GOS_NO_INLINE: as a call */

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
