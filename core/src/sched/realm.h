/* A realm: one host language's goroutines. L3.
 * Guards: [host] the host's lock; [lock] r->lock; [any] atomic.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_REALM_H
#define GOSI_REALM_H

#include "sched/sched.h"

/* GIVEN: the owner has a goroutine in hand and is on its way, so nobody takes the queue in its place. */
enum { REALM_BUSY, REALM_IDLE, REALM_WAKING, REALM_GIVEN };
/* Of closed. An ended one keeps its place in the list of all, which is read without a lock, until a new
   realm takes it over. */
enum { REALM_OPEN, REALM_CLOSED, REALM_ENDED };

struct gos_realm {
  gos_host host;
  gos_realm *link, *spare;
  bool listed;
  gos_g *main;
  gosi_m *home;       /* the thread it began on */
  gosi_m *main_m;     /* [host] writes, [any] reads: where main runs, or ran last */
  gosi_m *owner;      /* [host] writes, [any] reads: the thread that runs the queue */
  gos_g *head, *tail; /* [host] the run queue */
  int nrun;           /* [host] writes, [any] reads */
  gos_g *inbox;       /* [any] readied without the host's lock, last first */
  gosi_gcache gs;     /* [host] */
  gosi_ids ids;       /* [host] */
  gosi_fiber *stacks; /* [host] with host state */
  int credits;        /* [host] */
  unsigned cls;
  uint32_t spins, sleeps; /* [host] see spin() */
  uint32_t tick;          /* [host] writes, [any] reads: switches */
  uint32_t polled;
  uint32_t idle;   /* [any] REALM_*: does the owner sleep */
  gos_g *cur;      /* [any] what the owner runs, */
  void *cur_state; /* [any] and its host state */
  gosi_timers timers;
  char *home_stack; /* of the home thread's loop */
  size_t home_stack_size;
  gosi_lock lock;
  gosi_m *idle_ms;    /* [lock] threads asleep, the owner among them */
  int nms;            /* [lock] */
  int awake;          /* [any] threads not asleep */
  int locks;          /* [host] goroutines locked to a thread */
  uint32_t handing;   /* [any] a thread is on its way to take over */
  uint32_t kicking;   /* [any] a thread is on its way to kick main */
  uint32_t closed;    /* [any] REALM_OPEN, ... */
  uint32_t visitors;  /* [any] threads inside gosi_realm_ready */
  uint32_t watched;   /* [any] the monitor is looking at it */
  char *deadlock;     /* [host] the last report */
  uint32_t seen_tick; /* the monitor's */
  gos_ns seen_since;
  gos_ns reached; /* when main's thread was last sent a signal */
  uint64_t handoffs, created, ended;
  uint64_t promised; /* [any] of those created, not started yet: gosi_realm_promise */
};

/* [host] Locks g to its thread m. False: that is another's, and g runs here only for want of a thread. */
bool gosi_realm_lock(gosi_m *m, gos_g *g);
/* [host] g is locked to its thread m, and is no longer. */
void gosi_realm_unlock(gosi_m *m, gos_g *g);
/* In a fork's child: the host has lost the states of the fibers that it keeps. */
void gosi_realm_forget_stacks(gos_realm *r);

#endif
