/* Contexts: the tree of what may be given up together. L5.
 *
 * A scope is a context that can end by itself (made by with_cancel, with_deadline, with_grace,
 * merge). Values and the background only point to the nearest scope above them, or to none.
 * What waits for a scope's end stands in its list: scopes below it, functions, goroutines.
 *
 * Always true:
 *   - err, once set, never changes; who sets it ends all that is in the list
 *   - nothing enters the list of a scope that has ended
 *   - a scope in a list is not freed: it leaves the list first, under that list's lock
 *   - a scope below keeps those above it alive, so origin outlives all that ended through it
 * Lock order: a scope before those below it; scopes before timers. Under a scope's lock nothing
 * is readied, started, closed or called: that waits until it is dropped.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSI_CONTEXT_H
#define GOSI_CONTEXT_H

#include "gossamer/host.h"
#include "sched/sched.h"

typedef struct gosi_scope gosi_scope;

enum gosi_ctx_kind { CTX_BACKGROUND, CTX_VALUE, CTX_BARE, CTX_CANCEL, CTX_DEADLINE, CTX_GRACE, CTX_MERGE, CTX_FED };

struct gos_ctx {
  uint32_t refs;
  uint8_t kind;
  uint8_t merges;    /* merges on the longest way up: bounds the search for a value */
  gos_ctx *parent;   /* kept alive; values are looked for there */
  gosi_scope *scope; /* the nearest one, itself perhaps; NULL: never ends */
};

/* ---- lists --------------------------------------------------------------------------- */
enum gosi_ctx_place_kind { PLACE_CHILD, PLACE_SECOND, PLACE_GRACE, PLACE_FUNC, PLACE_WAIT };

/* A place in a scope's list. */
typedef struct gosi_ctx_place {
  struct gosi_ctx_place *next, **at; /* at NULL: in none; set to that last of all */
  uint8_t kind;
} gosi_ctx_place;

/* What came with a cause. */
typedef struct gosi_ctx_data {
  void *data;
  void (*drop)(void *data);
} gosi_ctx_data;

/* At most 120 bytes: larger pieces glibc's free() merges and gives back, which nearly doubles the price. */
struct gosi_scope {
  gos_ctx x;
  gosi_lock lock;        /* guards what follows, up to the list */
  int err;               /* GOS_OK: not ended; also read without the lock, then acquire */
  gosi_scope *origin;    /* where the end began: has the cause. Fixed by err, as is ended_at */
  gosi_ctx_place *first; /* the list; also looked at without the lock */
  gosi_ctx_place place;  /* guarded by the lock of the list it is in */
  gos_chan *done;        /* made when asked for */
  gosi_scope *work;      /* of whoever ends it: the ones still to do */
  bool fresh;            /* likewise: done and the timer are still to do */
  uint8_t busy;          /* it and those below are being ended: not to be freed */
  uint8_t starting;      /* its grace is being started: not to be freed */
  uint8_t armed;         /* its timer has been set */
  int cause;
  gos_ns deadline; /* the earliest, those above included; GOS_FOREVER: none */
  gos_ns ended_at;
  gosi_ctx_data *data; /* with the cause; dropped when it is freed */
};

/* A scope with a deadline or a grace. */
typedef struct gosi_timed {
  gosi_scope s;
  gos_ns grace;
  gosi_timer timer;
} gosi_timed;

typedef struct gosi_merged {
  gosi_scope s;
  gos_ctx *other; /* the second parent */
  gosi_ctx_place second;
  uint64_t searched; /* [any] by which search for a value last: gos_ctx_value */
} gosi_merged;

/* A scope that ends when something comes through c. */
typedef struct gosi_fed {
  gosi_scope s;
  gos_chan *c;
  void (*stop)(gos_chan *c); /* nothing needs to come any more; may be called several times */
} gosi_fed;

/* context.c */
/* A child of p. stop(c) is called when it is cancelled by gos_cancel() and when it is freed; it has a
   reference to c. NULL: no memory. */
gos_ctx *gosi_ctx_fed(gos_ctx *p, gos_chan *c, void (*stop)(gos_chan *c));

/* list.c */
/* GOS_OK: n is in the list of s. Else why s had ended; n is in no list. */
int gosi_ctx_join(gosi_scope *s, gosi_ctx_place *n);
/* Takes n out of the list of s. False: it was in it no more. */
bool gosi_ctx_part(gosi_scope *s, gosi_ctx_place *n);
/* A step of a wait for another thread that is inside the runtime and never waits itself. */
void gosi_ctx_relax(unsigned *n);

ALWAYS_INLINE void gosi_ctx_take_out(gosi_ctx_place *n) { /* under the list's lock */
  gosi_store(n->at, n->next);
  if (n->next) gosi_store(&n->next->at, n->at);
}
ALWAYS_INLINE void gosi_ctx_forget(gosi_ctx_place *n) { gosi_store_release(&n->at, (gosi_ctx_place **)NULL); }

/* end.c */
/* Ends s and everything below it, unless it has ended. origin NULL: it began here, for this cause. */
bool gosi_ctx_end(gosi_m *m, gosi_scope *s, int err, gosi_scope *origin, int cause, gosi_ctx_data *data);
/* s, which is in no hurry to be told, has ended as the one above it did. For a new scope. */
void gosi_ctx_end_as(gosi_scope *s, gosi_scope *above);
/* Sets the timer of c. GOS_NOMEM: there is none. */
int gosi_ctx_arm(gosi_timed *c, gos_ns when);
void gosi_ctx_disarm(gosi_scope *s); /* inside the runtime, as gosi_ctx_arm and gosi_ctx_end */
/* Returns when nobody is at work on s any more. It is in no list. */
void gosi_ctx_settle(gosi_scope *s);

/* func.c */
/* Also those that could not start before. */
void gosi_ctx_start_funcs(gosi_m *m, gosi_ctx_place *funcs);

/* ---- waits that obey a context ----------------------------------------------------------
 * Any wait of the runtime obeys one, without knowing of it: between begin and end, the running
 * goroutine stands in the context's list, and its next wait is ended when the context ends, as
 * gos_interrupt() would, through the same claim. What the wait must do is what it does anyway:
 * take its claim mode from gosi_claim_mode(), arm, and hand on what gosi_disarm() says. So a
 * blocking call with a deadline has a _ctx form in one line of waits.c. No memory is needed. */
typedef struct gosi_ctx_wait {
  gosi_ctx_place place;
  gos_g *g;
  gosi_scope *scope;
} gosi_ctx_wait;

/* GOS_OK, or why x has ended: then there is nothing to end. x can end. */
int gosi_ctx_wait_begin(gosi_ctx_wait *w, gos_ctx *x);
/* r: what the wait returned. The same, or why the context ended, if that ended the wait. */
int64_t gosi_ctx_wait_end(gosi_ctx_wait *w, int64_t r);

ALWAYS_INLINE bool gosi_ctx_can_end(const gos_ctx *x) { return x && x->scope; }
/* Of one that can end: GOS_OK, GOS_CANCELED, GOS_TIMEDOUT. */
ALWAYS_INLINE int gosi_ctx_ended(const gos_ctx *x) { return gosi_load_acquire(&x->scope->err); }

/* The body of a _ctx form. call is the form with a deadline, which it finds in dl: first it is
   asked not to wait, so that a call that need not wait costs what it costs without a context.
   Not for a call that runs the user's code or does a part of its work: the first asking must be
   without consequences, and the context is for the waits of this call alone. */
#define GOSI_CTX_OBEY(x, call)                                                                                         \
  gosi_ctx_wait w_;                                                                                                    \
  gos_ns dl = GOS_FOREVER;                                                                                             \
  if (!gosi_ctx_can_end(x)) return call;                                                                               \
  dl = GOS_NOW;                                                                                                        \
  int e_ = gosi_ctx_ended(x);                                                                                          \
  if (e_) return e_;                                                                                                   \
  __typeof__(call) r_ = call;                                                                                          \
  if (r_ != GOS_WOULDBLOCK) return r_;                                                                                 \
  if ((e_ = gosi_ctx_wait_begin(&w_, x))) return e_;                                                                   \
  dl = GOS_FOREVER;                                                                                                    \
  r_ = call;                                                                                                           \
  return (__typeof__(call))gosi_ctx_wait_end(&w_, r_)

#endif
