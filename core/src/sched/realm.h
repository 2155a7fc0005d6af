/* A realm: one host language's goroutines. L3.
 * Guards: [host] the host's lock; [lock] r->lock; [any] atomic.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_REALM_H
#define GOSI_REALM_H

#include "sched/sched.h"

enum { REALM_BUSY, REALM_IDLE, REALM_WAKING };

struct gos_realm {
  gos_host host;
  gos_realm *link;
  gos_g *main;
  gosi_m *home;       /* the thread it began on */
  gosi_m *owner;      /* [host] writes, [any] reads: the thread that runs the queue */
  gos_g *head, *tail; /* [host] the run queue */
  int nrun;           /* [host] writes, [any] reads */
  gos_g *inbox;       /* [any] readied without the host's lock, last first */
  gosi_gcache gs;     /* [host] */
  gosi_fiber *stacks; /* [host] with host state */
  int credits;        /* [host] */
  unsigned cls;
  uint32_t tick; /* [host] writes, [any] reads: switches */
  uint32_t polled;
  uint32_t idle;   /* [any] REALM_*: does the owner sleep */
  gos_g *cur;      /* [any] what the owner runs, */
  void *cur_state; /* [any] and its host state */
  gosi_timers timers;
  gosi_lock lock;
  gosi_m *idle_ms;    /* [lock] threads asleep, the owner among them */
  int nms;            /* [lock] */
  int awake;          /* [any] threads not asleep */
  uint32_t handing;   /* [any] a thread is on its way to take over */
  uint32_t kicking;   /* [any] a thread is on its way to kick main */
  uint32_t closed;    /* [any] */
  uint32_t watched;   /* [any] the monitor is in the host's callbacks, or about to be */
  char *deadlock;     /* [host] the last report */
  uint32_t seen_tick; /* the monitor's */
  gos_ns seen_since;
  uint64_t handoffs, created, ended;
};

#endif
