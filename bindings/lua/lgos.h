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

#if LUA_VERSION_NUM != 504
#error "gossamer: this binding is for Lua 5.4"
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
  GL_WORK,
  GL_CONN,
  GL_PIPE,
  GL_FILE,
  GL_PACKET,
  GL_LISTENER,
  GL_PROCESS,
  GL_NO_PREEMPT,
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
 * wait group. */
struct gl_go {
  const char *type; /* GL_GO's mark */
  struct gl_arg a;
  gos_g *h;      /* NULL: given back, it has ended and nobody is inside gos_join(h) */
  lua_State *L;  /* NULL: ended */
  lua_State *at; /* the state whose call waits: L, or a coroutine that L resumed */
  uint64_t id;
  gos_waitgroup *wg;         /* counts it; NULL: none */
  char *text;                /* the report of its error, until that has been seen */
  gos_ns died;               /* when it failed */
  struct gl_go *prev, *next; /* in gl.live, then perhaps gl.unseen */
  int slot;                  /* its anchor */
  int nresults;              /* more than 1: user value 1 is a table of them */
  int joiners;               /* goroutines inside gos_join(h) */
  bool failed, unseen, labelled, interrupted, on_panic;
  int no_preempt; /* depth of no_preempt() */
};

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
  struct gl_arg reaper_arg;
  gos_timer *reaper; /* reports errors nobody joined in time */
  enum { GL_PANIC_REPORT, GL_PANIC_CRASH, GL_PANIC_CALL } on_panic;
  int panic_fn;               /* slot of its function */
  lua_Hook hook;              /* of mainL, when main began to wait */
  struct gl_preempt *preempt; /* NULL: goroutines are never preempted */
  /* the value table: slots 1..nslots exist; next[] links the free ones */
  int vals; /* its key in the registry */
  int *next, nslots, nfree, free;
};

#define GL_VALS lua_upvalueindex(2)
static inline struct gl *gl_of(lua_State *L) { return lua_touserdata(L, lua_upvalueindex(1)); }

/* ---- values.c: a Lua value as 8 bytes, and the table that anchors what does not fit -------- */
typedef uint64_t gl_value;
/* Makes n slots free. May raise an error, so call it before anything that must not be undone;
   the slots are then taken without an error. vals: where the value table is on L. */
void gl_reserve(lua_State *L, struct gl *S, int vals, int n);
int gl_anchor(lua_State *L, struct gl *S, int vals); /* pops a value into a reserved slot */
void gl_unanchor(struct gl *S, int slot);            /* no error, on any stack of the realm's thread */
/* The value at idx, not nil. Reserves a slot itself if it needs one; reserved: the caller has. */
gl_value gl_encode(lua_State *L, struct gl *S, int vals, int idx, bool reserved);
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
void gl_set_site(lua_State *L, struct gl_arg *a); /* the caller of the running C function */

/* Before a call that may wait: notes where the goroutine waits, and makes the deadline GOS_NOW
   where waiting is not allowed (finalizers). Check this before a waiter is queued. */
struct gl_go *gl_enter(lua_State *L, struct gl *S, gos_ns *deadline);
/* After GOS_AGAIN: lets the interpreter's signal handler raise its error, if it has one.
   false: the error is on the stack. */
bool gl_signals(lua_State *L, struct gl *S);
/* Every call that may switch goroutines stands in a GL_WAIT: it keeps S->cur right. */
#define GL_WAIT(L, S, me, e, call)                                                                                     \
  do {                                                                                                                 \
    (e) = (call);                                                                                                      \
    (S)->cur = (me);                                                                                                   \
  } while ((e) == GOS_AGAIN && gl_signals((L), (S)))

/* ---- go.c ---------------------------------------------------------------------------------- */
/* Starts the function and its n arguments on the top of the stack (left there) and pushes the
   handle. extras: index of the table of extras, 0: none. wg: index of a wait group, 0: none. */
struct gl_go *gl_spawn(lua_State *L, int n, const char *name, size_t stack, int extras, int wg);
void gl_report_all(struct gl *S); /* every error nobody has seen goes to stderr */
void gl_reap(void *arg);          /* reports errors that were not joined in time */
void gl_go_start_failed(void *arg);
void gl_go_free_all(struct gl *S);                 /* gives back the handles of those that have not ended */
void gl_push_go(lua_State *L, struct gl_go *g);    /* its handle; only while it is anchored */
void gl_link(struct gl_go *ring, struct gl_go *g); /* as the last one */

/* ---- chan.c -------------------------------------------------------------------------------- */
struct gl_chan *gl_check_chan(lua_State *L, int idx, int can);
struct gl_chan *gl_new_chan(lua_State *L, int can, int holds, int nuv); /* pushes it, still nil */
/* Pushes what a receive gave: a value, or nil and why. */
int gl_received(lua_State *L, struct gl *S, struct gl_go *me, const struct gl_chan *ch, gl_value v, int e, bool now);

/* ---- time.c --------------------------------------------------------------------------------- */
void gl_timer_start_failed(void *arg);

/* ---- errors.c ------------------------------------------------------------------------------- */
/* nil and a word for an expected outcome; an error for the rest. now: the caller asked not to wait. */
int gl_failed(lua_State *L, struct gl *S, struct gl_go *me, int code, bool now);
gos_ns gl_deadline_of(lua_State *L, int idx);
static inline gos_ns gl_deadline(lua_State *L, int idx) { /* from seconds, or nil for GOS_FOREVER */
  return lua_type(L, idx) <= LUA_TNIL ? GOS_FOREVER : gl_deadline_of(L, idx);
}
gos_ns gl_duration(lua_State *L, int idx); /* seconds; at most GL_AGES */
#define GL_AGES ((gos_ns)1 << 62)
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
/* Runs it and waits. GOS_OK: run has returned. Else it may run still, or never. */
int gl_work_do(lua_State *L, struct gl *S, struct gl_go *me, struct gl_work *w, gos_ns dl);
/* Gives up the work of the userdata at idx before the collector does. */
void gl_work_done(lua_State *L, int idx);

/* ---- io.c: file descriptors, and the errors of what the system does ------------------------------ */
/* nil, message, code for the system's errors; gl_failed for the rest. what: begins the message; NULL. */
int gl_io_failed(lua_State *L, struct gl *S, struct gl_go *me, int64_t e, bool now, const char *what);
/* nil, message, code of an errno. */
int gl_sys_failed(lua_State *L, int err, const char *what);
int gl_check_fd(lua_State *L, int idx); /* an integer, a file of the io library, or an object with a fd */

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

/* ---- module.c: what each file binds --------------------------------------------------------- */
struct gl_class {
  enum gl_type type;
  const char *name;
  const luaL_Reg *methods, *meta;
};
extern const luaL_Reg gl_realm_functions[], gl_go_functions[], gl_chan_functions[], gl_select_functions[],
    gl_sync_functions[], gl_time_functions[];
extern const luaL_Reg gl_work_functions[], gl_io_functions[], gl_hook_functions[], gl_preempt_functions[];
extern const luaL_Reg gl_net_functions[], gl_file_functions[], gl_process_functions[]; /* gos.net, gos.file, ... */
extern const struct gl_class gl_go_classes[], gl_chan_classes[], gl_select_classes[], gl_sync_classes[],
    gl_time_classes[];
extern const struct gl_class gl_work_classes[], gl_stream_classes[], gl_net_classes[], gl_process_classes[];
extern const struct gl_class gl_preempt_classes[];

#pragma GCC visibility pop
#endif
