/* host.h - for language bindings: realms.
 *
 * A realm is the place where one language's goroutines run: one per Python
 * interpreter, one per Lua global state. It has one run queue and at most one
 * owner thread at a time. What belongs to a realm (its run queue, its confined
 * channels, its timers) is guarded by the host's own lock (the GIL; a Lua state
 * has only one thread, so none is needed): functions marked [lock] must be
 * called with it held, and are then free of atomics.
 *
 * A goroutine runs on a fiber: a C stack plus the host's state for it (a
 * PyThreadState). Fibers are made when a goroutine first runs, and reused.
 *
 * A goroutine that blocks or hogs (its realm's owner thread made no switch while
 * others are runnable) keeps its OS thread; another thread takes the host's lock
 * and becomes the owner. The stuck goroutine goes on as a plain thread until its
 * next wait, then queues like any other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef GOSSAMER_HOST_H
#define GOSSAMER_HOST_H

#include "../gossamer.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct gos_realm gos_realm;

/* A table that tells those who look at this process from outside (python -m gossamer ps, a debugger) where in its memory
   they find what: one line an offset, size, constant or address. The last one's name is "". */
typedef struct gos_layout {
  char name[24];
  uint64_t value;
} gos_layout;
/* The library's own: the goroutines, and what is known of each. Here for its symbol, which stays when the library is
   stripped. Names and their meaning are those of the tools that come with it. */
extern const gos_layout gos_debug_layout[];

enum {
  GOS_HOST_PINNED = 1 /* the realm never leaves its home thread (Lua): no hand-off */
};

/* All callbacks get u. "state" is what fiber_new or thread_new returned, or
   main_state for the main goroutine. Unset callbacks are skipped. */
typedef struct gos_host {
  uint32_t size; /* sizeof(gos_host) */
  unsigned flags;
  const char *language;
  void *u;
  size_t stack;     /* bytes of address space for a goroutine's C stack */
  void *main_state; /* host state of the calling thread, which becomes the main goroutine */
  /* A state for the realm's loop on a thread. Called with the lock held for the home
     thread by gos_realm_new, and without it on each further thread before its first
     attach. NULL: that thread cannot serve. */
  void *(*thread_new)(void *u);
  void (*attach)(void *u, void *state); /* take the host's lock as state; may wait */
  void (*detach)(void *u, void *state); /* give it up */
  /* [lock] A state for the stack [lo, *hi). It may lower *hi: what is above stays the host's, until fiber_free.
     That is on the page that a goroutine touches anyway. NULL: no memory. */
  void *(*fiber_new)(void *u, char *lo, char **hi);
  /* [lock]; stuck() may still be reading it: pool, not free(). Not called in a fork's child for those from before. */
  void (*fiber_free)(void *u, void *state);
  /* [lock] The running state is from; make it to. Called on from's stack, before the switch. */
  void (*swap)(void *u, void *from, void *to);
  /* No lock; from the monitor. Goroutine state has been running for age ns while others
     are runnable: is it time for another thread to take over? 0: not yet. 1: yes.
     Of a pinned realm it is only told so, every 10 ms or so. */
  int (*stuck)(void *u, void *state, gos_ns age);
  /* No lock, any thread: does the host want the main goroutine to look at its signals? */
  int (*pending)(void *u);
  /* [lock] Is there no thread outside the runtime that could still wake a goroutine of
     this realm? (Deadlock check.) Unset: the process's other threads are counted. */
  int (*alone)(void *u);
  /* [lock] The goroutine could not start for lack of memory: give its arg an error. fn will not run. Called
     while another is about to sleep: without giving up the lock, and without anything that might. */
  void (*start_failed)(void *u, void *arg);
  /* [lock] Writes "file:line" of the place that created the goroutine with this arg. */
  void (*site)(void *u, void *arg, char *buf, size_t n);
  /* [lock] The running goroutine, with this state, is about to wait. Is there code on its stack that has left something
     with the thread? Then it is locked to the thread for this wait. Not asked for one that is locked; not for pinned realms. */
  int (*tied)(void *u, void *state);
  /* How to read from outside what site() would tell, in the language's own words; it stays for ever. NULL: nobody can. */
  const gos_layout *layout;
} gos_host;

/* [lock] Makes the calling thread the realm's home thread and its main goroutine. It may have been that of
   another realm which its main goroutine has closed: that one's goroutines stay parked for ever.
   NULL and *err: GOS_NOMEM, GOS_SYS(errno), or GOS_PERM when this thread already runs
   goroutines of another realm, or of C. */
gos_realm *gos_realm_new(const gos_host *h, int *err);
/* [lock] Before the host's lock and states go away: no further hand-off, no monitor
   callback; parked goroutines stay parked for ever. Threads of the realm that are idle
   never take the lock again. */
void gos_realm_close(gos_realm *r);
/* [lock] On its home thread, by its main goroutine, which ends with it: gives back all that the realm has,
   and makes the thread again what it was before gos_realm_new(). GOS_PERM: it still has goroutines, timers or
   further threads, or its main goroutine is the process's; nothing changed. */
int gos_realm_end(gos_realm *r);
/* A thread that calls fn(arg), for a further realm: fn may make it by gos_realm_new() and has to end it.
   From this call on the thread counts as running where a deadlock is looked for. name is cut to 15 bytes;
   stack 0: 1 MiB. GOS_OK, GOS_NOMEM, GOS_SYS(EAGAIN): too many threads; fn will not run. */
int gos_host_thread(const char *name, size_t stack, void (*fn)(void *), void *arg);
/* [lock] The calling thread may use the realm: it is one of its goroutines, or becomes a
   foreign thread of it with this host state (used for attach/detach while it waits). */
int gos_realm_enter(gos_realm *r, void *state);
/* [lock] A goroutine of the realm. *out is a handle to gos_release(). name may be NULL;
   stack 0: the realm's size. GOS_NOMEM: nothing was started, arg stays the caller's. */
int gos_realm_go(gos_realm *r, const char *name, size_t stack, void (*fn)(void *), void *arg, gos_g **out);
/* fn(arg) with the signal mask of the thread that started the runtime, whose own threads take no signals (but for
   those of a realm that is not pinned: they have that mask).
   For calls that start programs, which inherit it. fn must not wait for anything of the runtime. */
void gos_with_users_signals(void (*fn)(void *arg), void *arg);
/* The running goroutine (borrowed), or NULL on a foreign thread or before any use. */
gos_g *gos_self(void);
/* cdef: begin */
/* The same, or on a foreign thread that thread: a handle to gos_release(). gos_interrupt() ends the thread's waits
   and gos_info_get() tells of them as of a goroutine's; there is no joining it. */
gos_g *gos_caller(void);
/* cdef: end */
gos_g *gos_realm_main(gos_realm *r);
/* What was given as arg, for a goroutine of a realm; NULL for its main goroutine. */
void *gos_g_arg(gos_g *g);
uint64_t gos_g_id(gos_g *g);
int gos_g_alive(gos_g *g); /* 0: it has ended */
/* A few values of the binding's own with every goroutine; they start as NULL, are not inherited, and are
   forgotten when it ends. gos_g_local_key(): a key for this process, or GOS_NOMEM when all are given out.
   get: NULL also for a bad key. set: GOS_OK, GOS_INVAL, GOS_NOMEM. On a foreign thread: that thread's. */
enum { GOS_G_LOCALS = 4 };
int gos_g_local_key(void);
void *gos_g_local_get(int key);
int gos_g_local_set(int key, void *value);
/* [lock] gos_free_stacks(), with those that the realm keeps. Returns how many. */
int gos_realm_free_stacks(gos_realm *r);
/* [lock] From here on the choices of the calling thread, and of threads that are yet to come, are this seed's. */
void gos_realm_seed(gos_realm *r, uint64_t seed);
/* [lock] A handle more on g. */
gos_g *gos_g_retain(gos_g *g);
/* [lock] A channel confined to the realm: no lock of its own, 8-byte elements unless
   said otherwise. All gos_chan_* and gos_select work on it, under the host's lock. */
gos_chan *gos_realm_chan(gos_realm *r, size_t elem, size_t cap);
/* [lock] Is it confined to a realm? */
bool gos_chan_confined(gos_chan *c);
/* [lock] Calls f for each value in a confined channel and of each goroutine that waits to send one: f may
   change it in place. Stops when f gives something else than 0, which is the result. */
int gos_chan_each(gos_chan *c, int (*f)(void *u, void *elem), void *u);
/* [lock] The same for the values in the channel alone. f must not use the channel. */
int gos_chan_buffered(gos_chan *c, int (*f)(void *u, void *elem), void *u);
/* [lock] The channel is not confined any more: from here on any goroutine or thread may use it. Who waits
   for it goes on waiting. GOS_OK; GOS_PERM: it is a timer's. */
int gos_chan_share(gos_chan *c);
/* [lock] Timers of the realm, fired by its owner under the host's lock. period 0: once.
   The channel is confined, its elements are gos_ns. */
gos_timer *gos_realm_timer(gos_realm *r, gos_ns d, gos_ns period);
/* [lock] fn(arg) runs as a goroutine of the realm; should it fail to start, start_failed(arg). */
gos_timer *gos_realm_after_func(gos_realm *r, gos_ns d, void (*fn)(void *), void *arg);
/* [lock] As gos_ctx_after_func(): fn(arg) runs as a goroutine of the realm once x has ended, whoever ends it
   and on whatever thread; should it fail to start, start_failed(arg). The goroutine is set aside now, so
   there is nothing that could fail later. *stop keeps x alive; it is to be given to gos_ctx_stop() once,
   with the lock: 1 if fn will not run, so arg is the caller's again; else, from fn itself for example, 0.
   GOS_OK, GOS_INVAL (fn or stop is NULL), GOS_NOMEM. */
int gos_realm_ctx_after_func(gos_realm *r, gos_ctx *x, void (*fn)(void *), void *arg, void **stop);
/* [lock] The report of the deadlock that a wait of main just returned as GOS_DEADLOCK; valid
   until the next one. */
const char *gos_realm_deadlock(gos_realm *r);

/* gos_cond_wait() in steps, for a host that has to do something of its own between two sleeps, or takes its
   locks in its own way: enter, unlock, sleep as often as needed, leave, lock. From enter to leave no signal
   is missed, also between two sleeps; one that came just as a sleep ended otherwise may wake another too. */
typedef struct gos_cond_place {
  void *internal[6];
} gos_cond_place;
void gos_cond_enter(gos_cond *c, gos_cond_place *p);
/* GOS_OK: signalled. Else as gos_cond_wait_dl(), without its lock; the place stays. */
int gos_cond_sleep(gos_cond *c, gos_cond_place *p, gos_ns deadline);
/* 1: it was signalled, perhaps after the last sleep: who has no use for that passes it on (gos_cond_signal). */
int gos_cond_leave(gos_cond *c, gos_cond_place *p);

/* Contexts that carry a host's objects. drop is called once, without locks, on the thread that
   gives up the last reference, which need not hold the host's lock. NULL: nothing to drop. */
/* As gos_cancel(), with an object beside the cause. It is x's in every case: had x ended before,
   or cannot be cancelled, or is there no memory to keep it, it is dropped at once. */
void gos_cancel_with(gos_ctx *x, int cause, void *data, void (*drop)(void *data));
/* The object that came with x's cause, or NULL. Borrowed: lives as long as any context that ended
   through it; those below share it. */
void *gos_ctx_cause_data(gos_ctx *x);
/* As gos_with_value(). With NULL as result val stays the caller's. */
gos_ctx *gos_with_value_drop(gos_ctx *p, const void *key, void *val, void (*drop)(void *val));
/* cdef: begin */
/* The context that ended first and so ended x: x itself or one above it. Borrowed, as long as x lives.
   NULL: x has not ended. */
gos_ctx *gos_ctx_origin(gos_ctx *x);
/* cdef: end */
/* Any call that waits, with or without a deadline, obeys a context too if it stands between these two:
   begin, one call, end, on the same goroutine or thread. Nothing else of the runtime in between. */
typedef struct gos_ctx_wait {
  void *internal[5];
} gos_ctx_wait;
/* GOS_OK: make the call, then end. Else why x had ended before: neither of them. */
int gos_ctx_wait_begin(gos_ctx_wait *w, gos_ctx *x);
/* *e: what the call gave. True: it was x that ended it, and *e is now why. */
bool gos_ctx_wait_end(gos_ctx_wait *w, int *e);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
