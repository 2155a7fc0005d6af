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
  void (*attach)(void *u, void *state);            /* take the host's lock as state; may wait */
  void (*detach)(void *u, void *state);            /* give it up */
  void *(*fiber_new)(void *u, char *lo, char *hi); /* [lock] usable stack [lo, hi); NULL: no memory */
  void (*fiber_free)(void *u, void *state);        /* [lock]; stuck() may still be reading it: pool, not free() */
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
  /* [lock] The goroutine could not start for lack of memory: give its arg an error. fn will not run. */
  void (*start_failed)(void *u, void *arg);
  /* [lock] Writes "file:line" of the place that created the goroutine with this arg. */
  void (*site)(void *u, void *arg, char *buf, size_t n);
} gos_host;

/* [lock] Makes the calling thread the realm's home thread and its main goroutine.
   NULL and *err: GOS_NOMEM, GOS_SYS(errno), or GOS_PERM when this thread already runs
   goroutines of another realm. */
gos_realm *gos_realm_new(const gos_host *h, int *err);
/* [lock] Before the host's lock and states go away: no further hand-off, no monitor
   callback; parked goroutines stay parked for ever. Threads of the realm that are idle
   never take the lock again. */
void gos_realm_close(gos_realm *r);
/* [lock] The calling thread may use the realm: it is one of its goroutines, or becomes a
   foreign thread of it with this host state (used for attach/detach while it waits). */
int gos_realm_enter(gos_realm *r, void *state);
/* [lock] A goroutine of the realm. *out is a handle to gos_release(). name may be NULL;
   stack 0: the realm's size. GOS_NOMEM: nothing was started, arg stays the caller's. */
int gos_realm_go(gos_realm *r, const char *name, size_t stack, void (*fn)(void *), void *arg, gos_g **out);
/* The running goroutine (borrowed), or NULL on a foreign thread or before any use. */
gos_g *gos_self(void);
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
/* [lock] A handle more on g. */
gos_g *gos_g_retain(gos_g *g);
/* [lock] A channel confined to the realm: no lock of its own, 8-byte elements unless
   said otherwise. All gos_chan_* and gos_select work on it, under the host's lock. */
gos_chan *gos_realm_chan(gos_realm *r, size_t elem, size_t cap);
/* [lock] Timers of the realm, fired by its owner under the host's lock. period 0: once.
   The channel is confined, its elements are gos_ns. */
gos_timer *gos_realm_timer(gos_realm *r, gos_ns d, gos_ns period);
/* [lock] fn(arg) runs as a goroutine of the realm; should it fail to start, start_failed(arg). */
gos_timer *gos_realm_after_func(gos_realm *r, gos_ns d, void (*fn)(void *), void *arg);
/* [lock] The report of the deadlock that a wait of main just returned as GOS_DEADLOCK; valid
   until the next one. */
const char *gos_realm_deadlock(gos_realm *r);

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

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
