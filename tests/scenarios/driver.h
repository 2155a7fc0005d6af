/* What the files of the C driver share: the world of a scenario, and how a step tells what it gave.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCENARIOS_DRIVER_H
#define SCENARIOS_DRIVER_H

#include <gossamer.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 32, LINE = 256, OUTPUT = 8192, WORDS = 8 };
#define MS ((gos_ns)1000000)

/* What a list of steps gave so far. */
struct flow {
  char out[OUTPUT];
  size_t n;
  char failed[LINE]; /* main's: the message of the step that failed; there the list ends */
  bool goroutine;    /* in one a failure is a gos_panic() */
  int error;         /* of a body: what `error` said, and `give` */
  int64_t value;
};

/* Steps that something else starts: a timer, a group, ... As arg of run_body() they run in a flow of
   their own. Bodies live until the world is cleared. */
struct body {
  struct body *next;
  struct flow *into; /* NULL: own */
  struct flow own;
  char steps[LINE];
};
struct body *body_new(const char *steps, struct flow *into);
void run_body(void *body);
void run_steps(struct flow *f, const char *steps, const char *separator);

enum kind {
  CHAN,
  MUTEX,
  RWMUTEX,
  WAITGROUP,
  COND,
  ONCE,
  POOL,
  MAP,
  VAR,
  CONTEXT,
  ON_END,
  TIMER,
  TICKER,
  GROUP,
  SEMAPHORE,
  FLIGHT,
  LIMITER,
  RESERVATION
};
/* What a channel carries. */
enum element { NUMBER, TIME, NOTHING, SIGNAL, CHANNEL, RESULT };
struct object {
  char name[NAME];
  enum kind kind;
  enum element element;
  gos_chan *c;                   /* also a timer's; held */
  void *p;                       /* what kind says */
  void *with;                    /* a condition's lock */
  void (*stop)(struct object *); /* before the goroutines end: starts no more of them */
  void (*drop)(struct object *); /* after that */
};
struct object *declare(const char *name, enum kind kind, void *p);
struct object *find(const char *name, enum kind kind);
/* Of either kind. */
struct object *find_lock(const char *name);
struct object *find_timer(const char *name);
/* A channel, or what has one. */
struct object *find_chan(const char *name);
void drop_memory(struct object *o); /* free(o->p) */
gos_g *find_goroutine(const char *name);

__attribute__((format(printf, 2, 3))) void say(struct flow *f, const char *fmt, ...);
void say_bool(struct flow *f, bool yes);
/* A number, or nil. */
void say_value(struct flow *f, bool any, int64_t v);
/* The step is a panic in Go, with this text. */
void fail(struct flow *f, const char *text);
/* The words of a result code. on_ok NULL: none. on_closed, on_perm: Go's panic for this step. */
void result(struct flow *f, int e, const char *on_ok, const char *on_closed);
/* As result(), but the words canceled and deadline for the end of a context. */
void result_ctx(struct flow *f, int e, const char *on_ok, const char *on_closed);
/* The words of a receive that gave e and this element. */
void received(struct flow *f, const struct object *o, int e, const int64_t *v);
gos_ns deadline(const char *ms);
/* A step in the midst of another one came on: settle() looks again. */
void moved(void);
_Noreturn void stop(const char *what, const char *detail);

/* A verb's words, itself among them; with body the last one is the rest of the step, and may be empty. */
struct verb {
  const char *verb;
  void (*fn)(struct flow *f, char **w);
  int words;
  bool body;
};
extern const struct verb chan_verbs[], select_verbs[], life_verbs[], sync_verbs[], map_verbs[], ctx_verbs[],
    time_verbs[], group_verbs[], limiter_verbs[], signal_verbs[];
/* Words of a text, which is cut up. */
int split(char *s, char **w);
/* The signal's name, or number; 0: none. */
const char *signal_name(int sig);

#endif
