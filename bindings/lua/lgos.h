/* lgos.h - what the files of the Lua binding share, grouped by the file that defines it.
 *
 * One struct gl per Lua state family (global state). It and everything it points to belong to
 * one OS thread, the realm's home thread: there are no locks here.
 *
 * Every bound C function has two upvalues: the struct gl (light userdata) and the table of
 * anchored values, so that neither needs a registry lookup.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LGOS_H
#define LGOS_H

#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <gossamer/host.h>

#if LUA_VERSION_NUM != 504 && LUA_VERSION_NUM != 505
#error "gossamer: this binding is for Lua 5.4 and 5.5"
#endif

#pragma GCC visibility push(hidden)

/* Slots of the value table with a fixed use: metatables of our types, gos.null, a message. */
enum gl_type {
  GL_CHAN = 1,
  GL_GO,
  GL_CASE,
  GL_TIMER,
  GL_MUTEX,
  GL_WAITGROUP,
  GL_ONCE,
  GL_ONCE_GUARD,
  GL_NULL,
  GL_NOMEM,
  GL_CTX,
  GL_BACKGROUND,
  GL_AFTER,
  GL_RWMUTEX,
  GL_RLOCKER,
  GL_COND,
  GL_POOL,
  GL_MAP,
  GL_ATOMIC_INT,
  GL_ATOMIC_BOOL,
  GL_GROUP,
  GL_SEMAPHORE,
  GL_FLIGHT,
  GL_FLIGHT_CALL,
  GL_LIMITER,
  GL_RESERVATION,
  GL_WORK,
  GL_CONN,
  GL_PIPE,
  GL_FILE,
  GL_PACKET,
  GL_LISTENER,
  GL_PROCESS,
  GL_ISOLATE,
  GL_NO_PREEMPT,
  GL_BUFFER,
  GL_FIXED
};

/* Every userdata of ours begins with the address of its type's mark, which no other userdata can
   contain: cheaper to check than a metatable. */
extern const char gl_mark[GL_FIXED];

/* What a goroutine of the realm, or a timer's function, is given as its argument. */
struct gl_arg {
  struct gl *S;
  int kind; /* GL_GO, GL_TIMER; 0: runtime code */
  int line; /* where it was created: line and chunk; 0: unknown */
  char src[LUA_IDSIZE];
};

/* A goroutine: the body of its handle, a full userdata. It is anchored in the value table until
 * it has ended and its error, if any, has been seen. User values: 1 its Lua thread, then its
 * result; 2 nil or a table of extras (name, labels, interrupt, traceback); 3, if there, its
 * owner: a wait group or an errgroup. */
struct gl_go {
  const char *type; /* GL_GO's mark */
  struct gl_arg a;
  gos_g *h;      /* NULL: given back, it has ended and nobody is inside gos_join(h) */
  lua_State *L;  /* NULL: ended */
  lua_State *at; /* the state whose call waits: L, or a coroutine that L resumed */
  uint64_t id;
  gos_ctx *ctx;                                   /* what the call that waits obeys; NULL: none. See gl_enter */
  void *owner;                                    /* the body of its owner; NULL: none */
  bool (*ended)(struct gl_go *g, lua_State *svc); /* tells its owner. true: that one has its error */
  struct gl_isolate *iso;    /* it waits for this one's end; NULL: it does not. An object on its stack has it */
  char *text;                /* the report of its error, until that has been seen */
  gos_ns died;               /* when it failed */
  struct gl_go *prev, *next; /* in gl.live, then perhaps gl.unseen */
  int slot;                  /* its anchor */
  int nresults;              /* more than 1: user value 1 is a table of them */
  int joiners;               /* goroutines inside gos_join(h) */
  bool failed, unseen, labelled, interrupted, on_panic;
  bool by_ctx;    /* its last wait was ended by ctx */
  bool told;      /* it has extras from its start, of which the core is to be told the labels */
  int no_preempt; /* depth of no_preempt() */
};

enum { GL_GO_RESULT = 1, GL_GO_EXTRAS = 2, GL_GO_OWNER = 3 };

struct gl_chan {
  const char *type; /* GL_CHAN's mark */
  struct gl *S;
  gos_chan *c;   /* NULL: the nil channel */
  gos_timer *t;  /* feeds it; NULL: none */
  gos_g *h;      /* of the goroutine whose end closes it; NULL: none */
  uint8_t can;   /* GL_CAN_RECV, GL_CAN_SEND */
  uint8_t holds; /* GL_VALUES, GL_TIMES, GL_NOTHING */
};
enum { GL_CAN_RECV = 1, GL_CAN_SEND = 2 };
enum { GL_VALUES, GL_TIMES, GL_NOTHING };

enum { GL_SEEN = 16 };

struct gl {
  gos_realm *realm;  /* NULL: closed */
  lua_State *mainL;  /* the state family's main thread */
  lua_State *svc;    /* a thread on which runtime code runs that belongs to no goroutine */
  const void *null;  /* gos.null */
  void *thread;      /* the home thread's thread pointer */
  struct gl_go *cur; /* the goroutine that runs: see GL_WAIT */
  struct gl_go *main;
  struct gl_go service; /* stands for runtime code in gl_self() */
  struct gl_go live;    /* ring of the goroutines that have not ended, main included */
  struct gl_go unseen;  /* ring of those that failed unseen, oldest first */
  struct gl_go gone;    /* ring of those that vanished */
  struct gl_arg reaper_arg;
  gos_timer *reaper; /* reports errors nobody joined in time */
  enum { GL_PANIC_REPORT, GL_PANIC_CRASH, GL_PANIC_CALL } on_panic;
  int panic_fn;               /* slot of its function */
  lua_Hook hook;              /* of mainL, when main began to wait */
  void *main_in;              /* what call of mainL's was running then */
  struct gl_watch *watches;   /* channels that signals are sent to */
  struct gl_preempt *preempt; /* NULL: goroutines are never preempted */
  /* the value table: slots 1..nslots exist; next[] links the free ones */
  int vals;                      /* its key in the registry */
  struct gl_chan *seen[GL_SEEN]; /* channels that gl_check_chan() has lately found to be ours, by address */
  int *next, nslots, nfree, free;
  /* messages to and from other states: pack.c, unpack.c */
  const struct gl_share *share[GL_FIXED];
  struct gl_scratch *scratch;
  struct gl_sharing *sharing;
  struct gl_msg *unpacking;
  struct gl_blocks *blocks;    /* msgmem.c's */
  size_t buffers, buffers_due; /* bytes that the state's buffers show; after how many more it is collected */
  struct gl_isolate *iso;      /* the state is its; NULL: a state that somebody else made */
  bool ending;                 /* goroutines but main end at their next step */
};

#define NOINLINE __attribute__((noinline))
#define GL_VALS lua_upvalueindex(2)
static inline struct gl *gl_of(lua_State *L) { return lua_touserdata(L, lua_upvalueindex(1)); }

/* ---- values.c: a Lua value as 8 bytes, and the table that anchors what does not fit -------- */
typedef uint64_t gl_value;
/* Makes n slots free. May raise an error, so call it before anything that must not be undone;
   the slots are then taken without an error. vals: where the value table is on L. */
void gl_reserve(lua_State *L, struct gl *S, int vals, int n);
int gl_anchor(lua_State *L, struct gl *S, int vals); /* pops a value into a reserved slot */
void gl_unanchor(struct gl *S, int slot);            /* no error, on any stack of the realm's thread */
/* The value at idx, an error for nil, for the channel c: in a slot, or packed for a channel that states share. */
gl_value gl_encode(lua_State *L, struct gl *S, int vals, int idx, gos_chan *c);
/* The same without an error: the caller has reserved a slot, why says what cannot be sent. */
bool gl_encode_reserved(lua_State *L, struct gl *S, int vals, int idx, gos_chan *c, gl_value *v, char *why);
void gl_push(lua_State *L, struct gl *S, int vals, gl_value v); /* pushes it and frees its slot */
void gl_drop(struct gl *S, gl_value v);                         /* nobody will push it */
void gl_drop_elem(void *elem);                                  /* the same, as a channel's dtor */

/* ---- realm.c ------------------------------------------------------------------------------- */
/* The state's struct gl; makes it and its realm on first use. */
struct gl *gl_open(lua_State *L);
void gl_wrong_thread(lua_State *L, struct gl *S);
/* The struct gl whose home is this thread. Signal handlers look at it: it never needs memory. */
extern _Thread_local struct gl *gl_here __attribute__((tls_model("initial-exec")));
/* The running goroutine; an error on a foreign thread or after the state's end. */
static inline struct gl_go *gl_self(lua_State *L, struct gl *S) {
  if (__builtin_expect(S->thread != __builtin_thread_pointer(), 0)) gl_wrong_thread(L, S);
  return S->cur;
}
static inline bool gl_in_finalizer(lua_State *L) { return lua_gc(L, LUA_GCISRUNNING) < 0; }
void gl_set_site(lua_State *L, struct gl_arg *a); /* the caller of the running C function */

/* Before a call that may wait, with what gl_deadline() gave: notes where the goroutine waits and
   which context it obeys, and makes the deadline GOS_NOW where waiting is not allowed
   (finalizers, and see gl_above_main). Check this before a waiter is queued. */
struct gl_go *gl_enter(lua_State *L, struct gl *S, gos_ns *deadline);
/* Main is about to wait; gl_enter() says so by itself. */
void gl_main_waits(struct gl *S);
/* Does the running goroutine stand on main's Lua thread, above the call in which main waits? A C library may call
   back on the thread that loaded it, and the state's end closes main's variables. Main must not go on before that has returned:
   it must not wait. L: the thread that runs; NULL: not known. */
bool gl_above_main(struct gl *S, lua_State *L);
/* Before something new begins. A state that ends begins nothing: its goroutines vanish, main gets an error. */
void gl_begin(lua_State *L, struct gl *S);
/* After it: the call obeys x beside its deadline. */
void gl_also_obey(lua_State *L, struct gl_go *me, gos_ctx *x);
/* The context's part in GL_TRY. GOS_OK: *x, unless NULL now, is obeyed until gl_obeyed(); else why
   it had ended before. */
int gl_obey(lua_State *L, struct gl_go *me, gos_ctx **x, gos_ctx_wait *w);
int64_t gl_obeyed(struct gl_go *me, gos_ctx_wait *w, int64_t e);
/* After gl_enter(), before what is done without a GL_WAIT: why the context had ended before; GOS_OK: it had not. */
int gl_ended_before(lua_State *L, struct gl_go *me);
int gl_refused_by_ctx(lua_State *L, struct gl *S, gos_ns deadline);
/* For a call that may have nothing to wait for, instead of gl_enter(): the number of results pushed where the
   deadline is a context that has ended, else 0. */
static inline int gl_refused(lua_State *L, struct gl *S, gos_ns deadline) {
  return __builtin_expect(deadline < 0, 0) ? gl_refused_by_ctx(L, S, deadline) : 0;
}
/* After GOS_AGAIN: lets the interpreter's signal handler raise its error, if it has one.
   false: the error is on the stack. */
bool gl_signals(lua_State *L, struct gl *S);
/* Every call that may switch goroutines stands in a GL_WAIT: it keeps S->cur right, and obeys the
   context that gl_enter() found in t. */
#define GL_WAIT(L, S, me, e, call)                                                                                     \
  do {                                                                                                                 \
    GL_TRY(L, S, me, e, call);                                                                                         \
  } while ((e) == GOS_AGAIN && gl_signals((L), (S)))
/* The same, but GOS_AGAIN is the caller's to see: for a wait that is not to be begun again. */
#define GL_TRY(L, S, me, e, call)                                                                                      \
  do {                                                                                                                 \
    gos_ctx_wait obey_;                                                                                                \
    gos_ctx *x_ = (me)->ctx;                                                                                           \
    int over_ = __builtin_expect(x_ != NULL, 0) ? gl_obey((L), (me), &x_, &obey_) : GOS_OK;                            \
    (e) = over_;                                                                                                       \
    if (over_) break;                                                                                                  \
    (e) = (call);                                                                                                      \
    (S)->cur = (me);                                                                                                   \
    if (__builtin_expect(x_ != NULL, 0)) (e) = (__typeof__(e))gl_obeyed((me), &obey_, (e));                            \
  } while (0)

/* ---- go.c ---------------------------------------------------------------------------------- */
/* Starts the function and its n arguments on the top of the stack (left there) and pushes the
   handle. extras: index of the table of extras, 0: none. owner: index of a userdata, 0: none; the
   caller then fills in g->owner and g->ended. */
struct gl_go *gl_spawn(lua_State *L, int n, const char *name, size_t stack, int extras, int owner);
/* Pops n values, pushes f as a function of the binding's: with the two upvalues, and those n after them. */
void gl_push_function(lua_State *L, lua_CFunction f, int n);
void gl_report_all(struct gl *S); /* every error nobody has seen goes to stderr */
void gl_reap(void *arg);          /* reports errors that were not joined in time */
void gl_go_start_failed(void *arg);
void gl_go_abandon_all(struct gl *S);                       /* those that have not ended: the state is being closed */
void gl_push_go(lua_State *L, struct gl_go *g);             /* its handle; only while it is anchored */
void gl_link(struct gl_go *ring, struct gl_go *g);          /* as the last one */
void gl_set_extra(lua_State *L, int handle, const char *k); /* pops a value */
/* Pushes the extras of go{...} or isolate{...}, whose table is at 1: the name, and its labels with those of me. */
void gl_push_extras(lua_State *L, struct gl_go *me);
/* The running goroutine is gone, without another step of Lua code: its state ends. */
_Noreturn void gl_vanish(struct gl *S, struct gl_go *me);
void gl_end_others(struct gl *S); /* by main: the state ends, all others vanish */

/* ---- chan.c -------------------------------------------------------------------------------- */
struct gl_chan *gl_check_chan(lua_State *L, int idx, int can);
struct gl_chan *gl_new_chan(lua_State *L, int can, int holds, int nuv); /* pushes it, still nil */
/* Pushes what a receive gave: a value, or nil and why. */
int gl_received(lua_State *L, struct gl *S, struct gl_go *me, const struct gl_chan *ch, gl_value v, int e, bool now);

/* ---- time.c --------------------------------------------------------------------------------- */
void gl_timer_start_failed(void *arg);
/* Pops n arguments into user value ARGUMENTS of the userdata at idx, for gl_start_call. */
enum { GL_CALL_FUNCTION = 1, GL_CALL_ARGUMENTS = 2 };
void gl_set_arguments(lua_State *L, int idx, int n);
/* As runtime code: starts that function of the userdata in the slot as a goroutine, created where a says. */
void gl_start_call(struct gl_arg *a, int slot, const char *what);

/* ---- sync.c --------------------------------------------------------------------------------- */
/* Pushes a zeroed object with nuv user values. */
void *gl_new_object(lua_State *L, enum gl_type type, size_t size, int nuv);
/* __index of a class with a field: pushes user value uv for that key, else the method of the key at 2. */
int gl_index(lua_State *L, const char *field, int uv);
int gl_done_waiting(lua_State *L, struct gl *S, struct gl_go *me, int e, bool now); /* pushes true, or nil and why */
gos_mutex *gl_new_mutex(lua_State *L);                                              /* pushes one */
gos_mutex *gl_test_mutex(lua_State *L, int idx);                                    /* NULL: it is none */

/* ---- context.c ------------------------------------------------------------------------------ */
/* A context as a userdata; see context.c. */
struct gl_ctx {
  const char *type; /* GL_CTX's mark */
  gos_ctx *x;
  uint8_t kind;
  bool owned; /* ends when it is collected */
};
enum { GL_CTX_BARE, GL_CTX_VALUE, GL_CTX_SCOPE, GL_CTX_MERGE }; /* from GL_CTX_SCOPE on: x can be cancelled */
struct gl_ctx *gl_check_ctx(lua_State *L, int idx);
struct gl_ctx *gl_opt_ctx(lua_State *L, int idx); /* NULL: none given */
/* Pushes one below the one at parent (0, nil, none: the background). */
struct gl_ctx *gl_new_ctx(lua_State *L, int kind, int parent);
void gl_set_core(lua_State *L, struct gl_ctx *c, gos_ctx *x); /* x: with its reference; NULL: no memory */
/* Cancels the one at idx; the cause at cause, if that is not 0, becomes its. No error, no allocation. */
void gl_cancel(lua_State *L, int idx, int cause);
void gl_after_start_failed(void *arg);

/* ---- rwmutex.c ------------------------------------------------------------------------------- */
gos_rwmutex *gl_test_rwmutex(lua_State *L, int idx, bool *reader); /* NULL: it is none */

/* ---- signal.c --------------------------------------------------------------------------------- */
void gl_signals_end(struct gl *S); /* the state is being closed */
const char *gl_signal_name(int sig);

/* ---- atomic.c: counted, so that states can share it -------------------------------------------- */
struct gl_cell {
  int refs;
  int64_t v;
};
struct gl_atomic {
  const char *type; /* the mark of GL_ATOMIC_INT or GL_ATOMIC_BOOL */
  struct gl_cell *cell;
};
void gl_cell_release(struct gl_cell *c);
/* Pushes one; the reference to c becomes its. c NULL: a new one. */
struct gl_atomic *gl_new_atomic(lua_State *L, enum gl_type type, struct gl_cell *c);

/* ---- buffer.c --------------------------------------------------------------------------------- */
/* The bytes of the buffer at idx; and of a string or a buffer there. They live as long as that value. */
char *gl_check_buffer(lua_State *L, int idx, size_t *n);
const char *gl_check_bytes(lua_State *L, int idx, size_t *n);

/* ---- isolate.c ------------------------------------------------------------------------------ */
extern _Thread_local struct gl_isolate *gl_isolate_here; /* whose thread this is, or NULL */
/* g:interrupt([err]) of the goroutine that waits for it. */
int gl_isolate_interrupt(lua_State *L, struct gl_isolate *iso);
/* Pushes the error with which the running state's function was interrupted, if there is one. */
bool gl_isolate_push_interrupt(lua_State *L, struct gl *S, struct gl_go *me);

/* ---- errors.c ------------------------------------------------------------------------------- */
/* Raises why the running goroutine cannot do that here: in a finalizer, or above main. */
int gl_not_here(lua_State *L, const char *what);
/* nil and a word for an expected outcome; an error for the rest. now: the caller asked not to wait. */
int gl_failed(lua_State *L, struct gl *S, struct gl_go *me, int code, bool now);
gos_ns gl_deadline_of(lua_State *L, int idx);
/* t, the last argument of a call that may wait: seconds, a context, or nil for GOS_FOREVER. A context
   is a negative number that gl_enter() understands: no deadline is one. */
static inline gos_ns gl_deadline(lua_State *L, int idx) {
  return lua_type(L, idx) <= LUA_TNIL ? GOS_FOREVER : gl_deadline_of(L, idx);
}
gos_ns gl_duration(lua_State *L, int idx); /* seconds; at most GL_AGES */
#define GL_AGES ((gos_ns)1 << 62)
bool gl_callable(lua_State *L, int idx); /* a function, or what has __call */
/* An error if the table of options at 1 has one that is not of those names: misspelt, it would be ignored. */
void gl_check_options(lua_State *L, const char *const *names);
/* The string at idx for a function of the system, which would see only what is before a zero in it. */
static inline const char *gl_check_text(lua_State *L, int idx, const char *what) {
  size_t n;
  const char *s = luaL_checklstring(L, idx, &n);
  if (memchr(s, 0, n)) luaL_argerror(L, idx, lua_pushfstring(L, "%s has no zeros", what));
  return s;
}
/* The userdata at idx, which must be of that type, or NULL. */
static inline void *gl_test(lua_State *L, int idx, enum gl_type type) {
  const char **p = lua_touserdata(L, idx);
  return p && lua_rawlen(L, idx) >= sizeof *p && *p == &gl_mark[type] ? p : NULL;
}
static inline void *gl_check(lua_State *L, int idx, enum gl_type type, const char *what) {
  void *p = gl_test(L, idx, type);
  if (__builtin_expect(!p, 0)) luaL_typeerror(L, idx, what);
  return p;
}

/* ---- preempt.c ------------------------------------------------------------------------------------ */
int gl_preempt_stuck(void *u, void *state, gos_ns age); /* of struct gos_host, for a pinned realm */
void gl_preempt_end(struct gl *S);                      /* the state is being closed */

/* ---- work.c: hand-off to other threads -------------------------------------------------------- */
/* What runs on another thread. Counted: the work goes on when the goroutine that asked for it has been
   interrupted, or its time is up. */
struct gl_work {
  void (*run)(struct gl_work *w);  /* may block; touches nothing of this Lua state */
  void (*free)(struct gl_work *w); /* what it holds, on any thread; the work itself is freed after it. NULL: nothing */
  gos_g *g;
  int refs;
};
/* Zeroed memory for it; to be given up by gl_work_end(). NULL: there is none. Raises no errors. */
void *gl_work_alloc(size_t size, void (*run)(struct gl_work *), void (*free)(struct gl_work *));
void gl_work_end(struct gl_work *w);
/* The same, owned by a userdata that it pushes. */
void *gl_work_new(lua_State *L, size_t size, void (*run)(struct gl_work *), void (*free)(struct gl_work *));
int gl_work_start(struct gl_work *w); /* gos_join(w->g) waits for its end. GOS_NOMEM: it will not run */
/* Runs it and waits, unless the time is up already. GOS_OK: run has returned. Else it may run still, or never. */
int gl_work_do(lua_State *L, struct gl *S, struct gl_go *me, struct gl_work *w, gos_ns dl);
/* Gives up the work of the userdata at idx before the collector does. */
void gl_work_done(lua_State *L, int idx);

/* ---- io.c: file descriptors, and the errors of what the system does ------------------------------ */
/* nil, message, code for the system's errors; gl_failed for the rest. what: begins the message; NULL. */
int gl_io_failed(lua_State *L, struct gl *S, struct gl_go *me, int64_t e, bool now, const char *what);
/* nil, message, code of an errno. */
int gl_sys_failed(lua_State *L, int err, const char *what);
int gl_check_fd(lua_State *L, int idx); /* an integer, a file of the io library, or an object with a fd */

/* ---- programs.c, hook.c: functions of the C library that wait --------------------------------------------- */
void gl_replace_programs(lua_State *L);     /* os.execute and io.popen of a state whose thread takes no signals */
extern _Thread_local bool gl_must_not_park; /* this thread's calls are not hook()'s now */
bool gl_hooked(void);                       /* hook() is in force */

/* ---- slots_elf.c: where the functions of other objects are called from ------------------------------ */
struct gl_slot {
  const char *name;
  void *ours, *theirs;
};
/* Makes the interpreter, and the modules that use Lua's functions, call ours instead of theirs, or theirs
   again. How many slots were changed; -1: not on this system, *why tells. */
int gl_slots_set(const struct gl_slot *slots, size_t n, bool ours, const char **why);

/* ---- stream.c: bytes from and to a socket, a pipe or a file ---------------------------------------- */
/* An open file: closed when nobody is at work on it any more. */
struct gl_file {
  int fd, refs;
};
struct gl_stream {
  const char *type;           /* the mark of GL_CONN, GL_PIPE or GL_FILE */
  int fd;                     /* -1: closed */
  struct gl_file *file;       /* of a file, which other threads read and write */
  unsigned turns;             /* see gl_turn */
  gos_mutex reading, writing; /* one goroutine at a time; a file has one position, hence reading only */
  char *buf;                  /* read ahead: [at, end); guarded by reading */
  size_t at, end, cap;
  gos_ns read_until, write_until; /* GOS_FOREVER: no deadline */
};
struct gl_stream *gl_new_stream(lua_State *L, enum gl_type type); /* pushes it, still closed */
void gl_stream_own(struct gl_stream *st, int fd);                 /* opens it: fd is its own from now on */
/* Lets the others run now and then: a goroutine whose socket is always ready would never wait. */
static inline void gl_turn(struct gl *S, struct gl_go *me, unsigned *turns, gos_ns dl) {
  if (++*turns % 64 || dl == GOS_NOW) return;
  gos_gosched();
  S->cur = me;
}
struct gl_stream *gl_test_stream(lua_State *L, int idx);
struct gl_stream *gl_check_stream(lua_State *L, int idx);
bool gl_stream_shut(struct gl_stream *st); /* closes it. false: it was closed */
/* gl_enter() for a call whose argument idx is t (0: it has none), and that also gives up at until. now: the
   caller asked not to wait. */
struct gl_go *gl_enter_until(lua_State *L, int idx, gos_ns until, gos_ns *dl, bool *now);
/* Has the deadline of set_deadline() passed? Then nothing begins, not even what could be done at once: as in Go. */
bool gl_passed(gos_ns until);

/* ---- module.c: what each file binds --------------------------------------------------------- */
struct gl_class {
  enum gl_type type;
  const char *name;
  const luaL_Reg *methods, *meta;
};
extern const luaL_Reg gl_realm_functions[], gl_go_functions[], gl_chan_functions[], gl_select_functions[],
    gl_sync_functions[], gl_time_functions[];
extern const luaL_Reg gl_context_functions[], gl_rwmutex_functions[], gl_cond_functions[], gl_pool_functions[],
    gl_map_functions[], gl_errgroup_functions[], gl_semaphore_functions[], gl_flight_functions[],
    gl_limiter_functions[], gl_signal_functions[];
extern const luaL_Reg gl_atomic_functions[]; /* gos.atomic */
extern const luaL_Reg gl_preempt_functions[];
extern const struct gl_class gl_go_classes[], gl_chan_classes[], gl_select_classes[], gl_sync_classes[],
    gl_time_classes[];
extern const struct gl_class gl_context_classes[], gl_rwmutex_classes[], gl_cond_classes[], gl_pool_classes[],
    gl_map_classes[], gl_atomic_classes[], gl_errgroup_classes[], gl_semaphore_classes[], gl_flight_classes[],
    gl_limiter_classes[];
extern const luaL_Reg gl_work_functions[], gl_io_functions[], gl_hook_functions[];
extern const luaL_Reg gl_net_functions[], gl_file_functions[], gl_process_functions[]; /* gos.net, gos.file, ... */
extern const struct gl_class gl_work_classes[], gl_stream_classes[], gl_net_classes[], gl_process_classes[];
extern const luaL_Reg gl_isolate_functions[];
extern const struct gl_class gl_isolate_classes[];
extern const struct gl_class gl_preempt_classes[];
extern const luaL_Reg gl_buffer_functions[];
extern const struct gl_class gl_buffer_classes[];

#pragma GCC visibility pop
#endif
