/* binding.h - what the files of the Python binding share.
 *
 * A call has three beats: read the arguments, call the core, translate the result.
 * All of it runs under the GIL, which is the realm's lock. After a call that may
 * block, the caller may be on another OS thread: nothing thread-local is kept over it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef GOSSAMER_PY_BINDING_H
#define GOSSAMER_PY_BINDING_H

#define PY_SSIZE_T_CLEAN
#include "compat.h"
#include "identity.h"
#include <gossamer/host.h>
#include <string.h>
#include <structmember.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define METHOD(f) ((PyCFunction)(void (*)(void))(f))
/* A wait's result beside the core's codes: a Python exception is set. */
enum { RAISED = -99, ENDED = -98 /* by a context */ };

typedef struct goroutine goroutine;
typedef struct context context;

/* ---- realm.c: the interpreter as a realm -------------------------------------- */
/* What the core calls a host state: a goroutine's stack, a thread's loop, the main
   goroutine, or a thread of the program that uses the realm. Never unmapped: the
   monitor reads them without a lock. */
struct state {
  PyThreadState *ts;      /* current when this was last left */
  PyThreadState *root;    /* its own */
  unsigned long number;   /* of a fiber, its thread state's thread_id: tells it from a thread's */
  char *base;             /* where on its C stack Python code begins */
  unsigned long identity; /* what pthread_self() gives here; 0: the OS thread's own */
  goroutine *g;           /* what runs here, borrowed from the scheduler; NULL: main, loops, threads */
  enum { MAIN, FIBER, LOOP, THREAD } kind;
  uint64_t ambient_of; /* the ambient context, borrowed, as long as the thread state's context_ver is this */
  context *ambient;
  gos_ns since;     /* while set_slow() is on: running since; 0: not running */
  pthread_t thread; /* and where */
  gos_ns slow_seen, slow_reported, slow_at, slow_cpu;
  struct state *next;
};
extern __thread struct state *state_here __attribute__((tls_model("initial-exec")));
extern gos_realm *realm;

/* -1 with an exception when this thread cannot use the realm. First use makes the
   calling thread the main goroutine, or a thread of an existing realm. */
int realm_enter_slow(void);
static inline int realm_enter(void) { return LIKELY(state_here != NULL) ? 0 : realm_enter_slow(); }
/* The same for what never waits: finalizers may still do that while the program ends. */
int realm_enter_late(void);
static inline int realm_enter_now(void) { return LIKELY(state_here != NULL) ? 0 : realm_enter_late(); }
/* The running state, read anew: safe after a call that may have switched threads. */
struct state *realm_state(void);
/* True once the realm is closed, or lost by fork. */
bool realm_gone(void);
/* Is this a finalizer that the collector runs? What would wait raises there (see realm_slice). */
bool realm_collects(void);
struct state *realm_main_state(void);
int realm_init(PyObject *module);
/* A thread_id that makes a thread state one of the binding's own. */
unsigned long realm_thread_number(void);
extern PyMethodDef realm_methods[];

/* ---- tied.c --------------------------------------------------------------------------------- */
/* Has code that keeps something with the thread a frame on this stack, below base? */
bool tied(char *base);

/* Where the wait may end early to look at signals, or must not begin; else the deadline itself. */
extern bool realm_sliced;
gos_ns realm_slice(gos_ns deadline);
int realm_signals(int code, gos_ns slice, gos_ns deadline);

/* ---- wait.c: what a call that waits obeys --------------------------------------------------- */
/* From (timeout=, ctx=) and the ambient context. Set up by wait_init(), read_wait(); ended by wait_done() or
   wait_failed(), always. */
struct wait {
  gos_ns deadline;
  context *ctx; /* a reference; NULL: none */
  bool given;   /* ctx= was: the ambient one does not count */
  bool tried;   /* what could be done without waiting has been; set it at first for a call that always waits */
  gos_ctx_wait place;
};
static inline void wait_init(struct wait *w, gos_ns deadline) {
  w->deadline = deadline;
  w->ctx = NULL;
  w->given = w->tried = false;
}
/* (..., timeout=None, *, ctx=None) into w: timeout is positional argument number first. */
int read_wait(const char *fn, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, Py_ssize_t first,
              struct wait *w);
/* Only the keywords, timeout= if so said. */
int read_waits(const char *fn, PyObject *const *values, PyObject *kwnames, bool timeout, struct wait *w);
/* Only one of them. */
int read_ctx(const char *fn, PyObject *o, struct wait *w);
int read_keyword(const char *fn, PyObject *name, PyObject *value, bool timeout, struct wait *w);
/* A context has been made ambient, ever. */
extern bool wait_ambient;
bool wait_obeys(struct wait *w);
bool wait_begin(struct wait *w, gos_ns *until, int *e);
bool wait_end(struct wait *w, gos_ns until, int *e);
/* e = call, with the deadline until for one wait; repeated while the core only asks to look at signals. Gives
   the core's codes, RAISED, or ENDED. A call of the core costs nothing more where there is no context. */
#define WAIT(e, w, until, call)                                                                                        \
  do {                                                                                                                 \
    gos_ns until;                                                                                                      \
    if (UNLIKELY((w)->given || wait_ambient) && wait_obeys(w)) {                                                       \
      while (wait_begin(w, &until, &(e))) {                                                                            \
        (e) = (call);                                                                                                  \
        if (wait_end(w, until, &(e))) break;                                                                           \
      }                                                                                                                \
      break;                                                                                                           \
    }                                                                                                                  \
    do {                                                                                                               \
      until = LIKELY(!realm_sliced) ? (w)->deadline : realm_slice((w)->deadline);                                      \
      (e) = (call);                                                                                                    \
      if (LIKELY((e) != GOS_AGAIN && until == (w)->deadline)) break;                                                   \
      (e) = realm_signals((e), until, (w)->deadline);                                                                  \
    } while ((e) == GOS_AGAIN);                                                                                        \
  } while (0)
/* The same for a call that does not wait. */
#define TRY(e, call)                                                                                                   \
  do (e) = (call);                                                                                                     \
  while ((e) == GOS_AGAIN && ((e) = realm_signals((e), GOS_NOW, GOS_NOW)) == GOS_AGAIN)
static inline void wait_done(struct wait *w) {
  if (UNLIKELY(w->ctx != NULL)) Py_CLEAR(w->ctx);
}
/* wait_done(), and the exception for a code: the context's for ENDED; a timeout for GOS_WOULDBLOCK too. NULL. */
PyObject *wait_failed(int e, struct wait *w, const char *what);
/* A sleep, the call of a WAIT whose deadline is at. */
int sleep_until(gos_ns at, gos_ns until);

/* ---- context.c ---------------------------------------------------------------------------------- */
extern PyTypeObject *Context_type;
/* The ambient context of what runs here; borrowed, NULL: none. */
context *context_ambient(void);
/* NULL for one that never ends. */
gos_ctx *context_core(context *c);
/* Raises why c has ended. NULL. */
PyObject *context_raise(context *c);
/* Takes over x: a context of the core's own as an object. parent may be NULL. */
PyObject *context_wrap(gos_ctx *x, context *parent);
PyObject *context_done(PyObject *c);
/* Is this the exception of a context that ended? */
bool context_raised(PyObject *error);
/* The core's goroutine for an after_func() could not start; where that was asked for. */
extern PyTypeObject *AfterFunc_type;
void after_func_start_failed(PyObject *o);
void after_func_site(PyObject *o, char *buf, size_t n);
int context_init(PyObject *module);
extern PyMethodDef context_methods[];

/* ---- errors.c ------------------------------------------------------------------- */
extern PyObject *err_Error, *err_ChanClosed, *err_WouldBlock, *err_Deadlock, *err_Canceled, *err_DeadlineExceeded;
int errors_init(PyObject *module);
/* Sets the exception for a code of the core; what says which operation, for the message. NULL. */
PyObject *raise_code(int code, const char *what);
/* With the core's report; head instead of its first line, unless NULL. */
PyObject *raise_deadlock(const char *head);

/* ---- time.c ----------------------------------------------------------------------- */
/* Seconds to nanoseconds, saturating; -1 for NaN and what is no number. */
int read_seconds(PyObject *o, gos_ns *ns);
/* timeout= (None: for ever) to a deadline. */
int read_timeout(PyObject *o, gos_ns *deadline);
int time_init(PyObject *module);
extern PyMethodDef time_methods[];

/* ---- chan.c ------------------------------------------------------------------------- */
/* What a channel's elements are: 8 bytes, but for NATIVE, whose elements are what elem says. */
enum chan_kind { OBJECTS, TIMES, NOTHING, NATIVE };
typedef struct elem elem;
typedef struct chan {
  PyObject_HEAD gos_chan *ch; /* NULL: the nil channel */
  enum chan_kind kind;
  elem *elem;      /* of NATIVE */
  struct chan *of; /* the channel that it is a view of; NULL: it is none */
  PyObject *name;  /* or NULL */
  void *owner;     /* what ch is part of, given to drop at the end */
  void (*drop)(void *owner);
  PyObject *weak;
} chan;
extern PyTypeObject *Chan_type, *SendChan_type, *RecvChan_type;
extern PyMethodDef chan_methods[];
/* Takes over owner; on failure drops it. */
chan *chan_alloc(PyTypeObject *type, gos_chan *ch, enum chan_kind kind, void *owner, void (*drop)(void *));
void chan_drop(void *ch);
int chan_capacity(PyObject *o, size_t *cap);
int chan_name(PyObject *o); /* -1: it cannot be a name */
/* A receive-only view. Takes over owner; on failure drops it. */
PyObject *chan_view(gos_chan *ch, enum chan_kind kind, void *owner, void (*drop)(void *));
/* The object for an element that was received (of NATIVE, the object itself): a new reference. */
PyObject *chan_value(const chan *c, void *slot);
/* The channel of a select case's source (Timer, Goroutine, ...), borrowed or new: always a new reference. */
PyObject *chan_of(PyObject *source);
int chan_init(PyObject *module);

/* ---- go.c ------------------------------------------------------------------------------ */
extern PyTypeObject *Goroutine_type;
/* Starts fn(*args) as a goroutine of the realm. wg: its done() is called at the end, or NULL. */
PyObject *go_spawn(PyObject *fn, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, PyObject *wg);
/* The body of a goroutine that has no object yet (a timer's function): runs fn(*args) in a copy of
   context (or NULL); code and lasti: where it was asked for. */
void go_run(PyObject *fn, PyObject *args, PyObject *context, PyObject *code, int lasti);
/* The running goroutine has begun to work for its group, which knows its exception. */
void go_member_began(void);
/* [no Python code runs] A room's list of members whose exception nobody has collected. While g is in it the group may
   still be waited for, so it is reported only at exit. False: there is nothing to collect. */
bool go_member_joins(PyObject *g, PyObject *next);
PyObject *go_member_next(PyObject *g);
void go_member_leaves(PyObject *g, bool collected);
PyObject *go_done(PyObject *g);
void go_site_of(PyObject *code, int lasti, char *buf, size_t n);
/* Reports what nobody collected; at exit. */
void go_report_all(void);
/* In a fork's child: the others are gone, mine is the main goroutine. NULL: that of before. Memory only. */
void go_after_fork(goroutine *mine);
/* "goroutine 7 [name]: unhandled exception (created ...)" */
PyObject *go_headline(PyObject *g);
/* The goroutine that was to report late exceptions could not start. */
void go_grace_failed(void);
/* The goroutine could not start: it ends with MemoryError. */
void go_start_failed(PyObject *g);
/* A function's goroutine could not start: told by the next go(), which drops the reference to owner. */
struct unstarted {
  struct unstarted *next;
  PyObject *owner, *fn;
  int times; /* 0: none to be told */
};
void go_unstarted(struct unstarted *u, PyObject *owner, PyObject *fn);
void go_site(PyObject *g, char *buf, size_t n);
/* Where an object that is a goroutine's argument keeps what go_site_of() is given. */
struct site_at {
  PyTypeObject **type;
  size_t code, lasti;
};
extern const struct site_at go_site_at, timer_site_at, after_func_site_at;
/* layout.c: the way there, for those outside the process. */
const gos_layout *layout_table(void);
/* The exception type that interrupt() wants raised in the running goroutine: borrowed, or NULL. */
PyObject *go_interrupt_type(void);
/* A copy of the creator's context for a new goroutine; *context NULL when it is empty. */
int go_copy_context(PyObject **context);
int go_init(PyObject *module);
extern PyMethodDef go_methods[];

/* A Goroutine for one of C: keeps fn and keep alive, and says that it was created at where. go_native_started() when it
   has begun, h being its handle; go_native_ended() when its function has returned: takes over error (NULL: none). */
PyObject *go_native(PyObject *fn, PyObject *keep, PyObject *name, PyFrameObject *where);
void go_native_started(PyObject *g, gos_g *h);
void go_native_ended(PyObject *g, PyObject *error);

PyObject *go_list(void);
/* What it runs or waits on; NULL: it has not begun, or has ended. */
struct state *go_state(PyObject *g);

/* ---- native.c: channels and goroutines of C -------------------------------------------------- */
/* As the core's calls, with the object in place of the element: after GOS_OK the receiver has a reference more and the
   sender one less. w NULL: without waiting. RAISED: it cannot be converted, and nothing has happened. */
int native_send(chan *c, PyObject *v, struct wait *w);
int native_recv(chan *c, PyObject **v, struct wait *w);
/* For select: memory for an element, with v in it unless that is NULL; it is to be freed, with what is in it or without.
   NULL: an exception. */
void *native_slot(chan *c, PyObject *v);
void native_slot_free(chan *c, void *slot, bool with_element);
/* The object for the element in it, which is taken out. */
PyObject *native_value(chan *c, void *slot);
/* What C gave up or ended without the GIL becomes so for Python. Any Python code may run; exceptions stay. */
void native_settle(void);
void native_settle_failed(void);
int native_init(PyObject *module);
extern PyMethodDef native_methods[];

/* ---- slow.c: set_slow() ------------------------------------------------------------------------ */
extern bool slow_watched;
static inline void slow_begins(struct state *st) {
  st->since = gos_now();
  st->thread = (pthread_t)identity_real();
}
extern PyMethodDef slow_methods[];

/* ---- trace.c: threading.settrace(), setprofile() --------------------------------------------- */
extern bool trace_asked;
/* For a goroutine that begins, on its thread state. May run Python code; leaves no exception. */
void trace_begin(void);
int trace_init(PyObject *module);

/* ---- race.c: switches that a seed chooses ----------------------------------------------------- */
extern bool race_on;
/* For a goroutine that begins, on its thread state. */
void race_begin(void);
/* No lock. While race_on: instead of the answer of the realm's host. */
bool race_stuck(bool gil_free, gos_ns age);
extern PyMethodDef race_methods[];

/* ---- report.c: what becomes of an exception that nobody collects ---------------------------- */
/* May run Python code; leaves no exception. */
void report_exception(PyObject *g, PyObject *error);
/* Lets the others end the reports they are at, for a second at most. */
void report_finish(void);
extern PyMethodDef report_methods[];

/* ---- bridge.c ------------------------------------------------------------------------------- */
/* module.name(a, b), of what is written in Python; b may be NULL. */
PyObject *call_python(const char *module, const char *name, PyObject *a, PyObject *b);

/* ---- select.c, sync.c, runtime.c ----------------------------------------------------------- */
int select_init(PyObject *module);
extern PyMethodDef select_methods[];
int atomic_init(PyObject *module);
int pool_init(PyObject *module);
int map_init(PyObject *module);
int once_init(PyObject *module);
int rate_init(PyObject *module);
int sync_init(PyObject *module);
gos_mutex *mutex_core(PyObject *o); /* NULL: it is no Mutex */
PyObject *mutex_new(void);
void waitgroup_done(PyObject *wg);
extern PyMethodDef signal_methods[];
int signal_init(PyObject *module);
/* [no Python code runs] May a signal run a handler that wakes somebody? */
bool signal_handled(void);
extern PyMethodDef runtime_methods[];
/* group.c: g's wg, which may be a group's room, has one less. False: it is none. */
bool room_left(PyObject *room, PyObject *g, PyObject *error, bool began);
int group_init(PyObject *module);
/* lock.c, semaphore.c */
int lock_init(PyObject *module);
int semaphore_init(PyObject *module);
/* time.c */
extern PyTypeObject *Timer_type;
void timer_start_failed(PyObject *t);
void timer_site(PyObject *t, char *buf, size_t n);
PyObject *timer_chan(PyObject *t); /* new reference; NULL without exception: t is neither Timer nor Ticker */

/* Adds a type made from spec to the module; base may be NULL. */
PyTypeObject *add_type(PyObject *module, PyType_Spec *spec, PyObject *bases);
/* __reduce_ex__, __copy__ and __deepcopy__ of what cannot leave the process or be doubled. */
PyObject *refuse_copy(PyObject *self, PyObject *ignored);
#define REFUSE_COPY                                                                                                    \
  {"__reduce_ex__", refuse_copy, METH_O, NULL}, {"__copy__", refuse_copy, METH_NOARGS, NULL}, {                        \
    "__deepcopy__", refuse_copy, METH_O, NULL                                                                          \
  }

#endif
