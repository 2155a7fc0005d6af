/* Isolates: functions that run in Lua states of their own, each on a thread of its own.
 *
 * In the state that started it an isolate is a goroutine like any other, which waits for the isolate's
 * end and then returns its results or raises its error: so join, done, names, reports of errors
 * nobody joined, errgroups and <close> need nothing of their own. In its own state the function runs
 * as a goroutine too, beside main, which is the thread's: it starts the function, waits for it, and
 * closes the state. What goes in and comes out are messages.
 *
 * An isolate's state ends when its function does: its other goroutines vanish, as Go's do with main.
 * The isolate itself belongs to nobody and goes on when the state that started it has ended.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>

#include "message.h"

int luaopen_gossamer_native(lua_State *L);

struct gl_isolate {
  uint32_t refs;        /* its thread's, and that of the object in the goroutine that waits */
  pthread_mutex_t lock; /* guards all down to why; held by its creator until it may begin */
  bool go;              /* false: there will be nobody to wait for it */
  gos_g *target;        /* the goroutine of its function, while it runs */
  bool interrupted;     /* before target was there */
  bool over;            /* it has ended */
  struct gl_msg *why;   /* what the interrupted call raises */
  char *path, *cpath, *name;
  size_t most, used;           /* bytes of its state: the limit, and what it has; its own thread's */
  struct gl_msg *needs, *call; /* modules; the function and its arguments */
  struct gl_msg *result;       /* results, or an error and its traceback */
  bool failed;
  gos_chan *done; /* closed at the end */
};

/* In the goroutine that waits: keeps the isolate for it. */
struct holder {
  const char *type; /* GL_ISOLATE's mark */
  struct gl_isolate *iso;
};

_Thread_local struct gl_isolate *gl_isolate_here;

static void release(struct gl_isolate *iso) {
  if (!iso || __atomic_sub_fetch(&iso->refs, 1, __ATOMIC_ACQ_REL)) return;
  gl_msg_free(iso->why);
  gl_msg_free(iso->needs);
  gl_msg_free(iso->call);
  gl_msg_free(iso->result);
  gos_chan_release(iso->done);
  free(iso->path);
  free(iso->cpath);
  free(iso->name);
  pthread_mutex_destroy(&iso->lock);
  free(iso);
}

static struct gl_msg *take(struct gl_msg **from) {
  struct gl_msg *m = *from;
  *from = NULL;
  return m;
}

/* Pushes f with the two upvalues that functions of ours have. */
static void push_ours(lua_State *L, lua_CFunction f) {
  lua_pushlightuserdata(L, gl_here);
  lua_rawgeti(L, LUA_REGISTRYINDEX, gl_here->vals);
  lua_pushcclosure(L, f, 2);
}

/* ---- in the new state --------------------------------------------------------------------------- */

static void set_package_field(lua_State *L, const char *k, const char *v) {
  if (!v) return;
  lua_getglobal(L, "package");
  lua_pushstring(L, v);
  lua_setfield(L, -2, k);
  lua_pop(L, 1);
}

/* (isolate): the goroutine of the function. */
static int body(lua_State *L) {
  struct gl *S = gl_of(L);
  struct gl_isolate *iso = S->iso;
  lua_settop(L, 0);
  int n = iso->needs ? gl_unpack(L, S, take(&iso->needs)) : 0;
  for (int i = 1; i <= n; i++) {
    lua_getglobal(L, "require");
    lua_pushvalue(L, i);
    lua_call(L, 1, 0);
  }
  lua_settop(L, 0);
  n = gl_unpack(L, S, take(&iso->call));
  lua_call(L, n - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static void set_target(struct gl_isolate *iso, gos_g *h) {
  pthread_mutex_lock(&iso->lock);
  gos_g *was = iso->target;
  iso->target = h ? gos_g_retain(h) : NULL;
  iso->over = !h;
  if (h && iso->interrupted) gos_interrupt(h);
  pthread_mutex_unlock(&iso->lock);
  if (was) gos_release(was);
}

/* The values from idx to the top are the outcome; if they cannot be sent, that is. */
static void keep_result(lua_State *L, struct gl *S, int idx, bool failed) {
  struct gl_isolate *iso = S->iso;
  char why[GL_WHY];
  iso->failed = failed;
  iso->result = gl_pack(L, S, idx, lua_gettop(L) - idx + 1, GL_ROOT_RESULT, why);
  if (iso->result) return;
  iso->failed = true;
  if (failed)
    luaL_tolstring(L, idx, NULL); /* the error itself is what cannot */
  else
    lua_pushfstring(L, "cannot send %s", why);
  if (failed && lua_type(L, idx + 1) == LUA_TSTRING)
    lua_pushvalue(L, idx + 1);
  else
    lua_pushnil(L);
  iso->result = gl_pack(L, S, lua_gettop(L) - 1, 2, GL_ROOT_RESULT, why);
}

/* The state's main: starts the function, waits, keeps its outcome. */
static int run_main(lua_State *L) {
  struct gl *S = gl_of(L);
  struct gl_isolate *iso = S->iso;
  lua_settop(L, 0);
  push_ours(L, body);
  struct gl_go *g = gl_spawn(L, 0, iso->name, 0, 0, 0);
  set_target(iso, g->h);
  lua_getfield(L, 2, "join");
  lua_pushvalue(L, 2);
  lua_call(L, 1, LUA_MULTRET); /* from 3 on: true and results, or nil, error, traceback */
  set_target(iso, NULL);
  keep_result(L, S, 4, !lua_toboolean(L, 3));
  return 0;
}

/* The state's allocator, with its limit. */
static void *allocate(void *u, void *p, size_t old, size_t size) {
  struct gl_isolate *iso = u;
  if (!p) old = 0;
  if (!size) {
    free(p);
    iso->used -= old;
    return NULL;
  }
  if (size > old && size - old > iso->most - iso->used) return NULL;
  void *q = realloc(p, size);
  if (q) iso->used += size - old;
  return q;
}

/* A state whose memory comes from here. Its first blocks came from malloc, as all of ours do. */
static lua_State *new_state(struct gl_isolate *iso) {
  lua_State *L = luaL_newstate();
  if (!L) return NULL;
  iso->used = (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
  if (iso->most < iso->used) {
    lua_close(L);
    return NULL;
  }
  lua_setallocf(L, allocate, iso);
  return L;
}

static int open_state(lua_State *L) {
  struct gl_isolate *iso = lua_touserdata(L, 1);
  luaL_openlibs(L);
  gl_replace_programs(L);
  set_package_field(L, "path", iso->path);
  set_package_field(L, "cpath", iso->cpath);
  luaL_requiref(L, "gossamer.native", luaopen_gossamer_native, 0);
  push_ours(L, run_main);
  lua_call(L, 0, 0);
  return 0;
}

static void run(struct gl_isolate *iso) {
  gl_isolate_here = iso;
  lua_State *L = new_state(iso);
  const char *error = "not enough memory";
  int status = LUA_ERRMEM;
  if (L) {
    lua_pushcfunction(L, open_state);
    lua_pushlightuserdata(L, iso);
    status = lua_pcall(L, 1, 0, 0);
    if (status != LUA_OK && lua_type(L, -1) == LUA_TSTRING) error = lua_tostring(L, -1);
  }
  if (status != LUA_OK && !iso->result) { /* it did not even begin, or its outcome had no room */
    iso->failed = true;
    iso->result = gl_msg_text(error, strlen(error));
  }
  if (!L) return;
  iso->most = SIZE_MAX; /* its end is no longer the function's doing */
  if (gl_here) gl_end_others(gl_here);
  lua_close(L);
}

static void thread_main(void *arg) {
  struct gl_isolate *iso = arg;
  pthread_mutex_lock(&iso->lock);
  bool go = iso->go;
  pthread_mutex_unlock(&iso->lock);
  if (go) {
    run(iso);
    gos_chan_close(iso->done);
  }
  release(iso);
}

/* ---- in the state that starts it ------------------------------------------------------------------ */

static int holder_gc(lua_State *L) {
  struct holder *h = lua_touserdata(L, 1);
  release(h->iso);
  h->iso = NULL;
  return 0;
}

/* Takes the isolate's error from the top, its traceback below it. */
static int raise_error(lua_State *L, struct gl *S, struct gl_isolate *iso) {
  lua_settop(L, 1);
  if (!iso->result) return luaL_error(L, "not enough memory");
  gl_unpack(L, S, take(&iso->result)); /* 2: error, perhaps 3: traceback */
  lua_settop(L, 3);
  gl_push_go(L, S->cur);
  lua_pushvalue(L, 3);
  gl_set_extra(L, 4, "remote");
  lua_settop(L, 2);
  return lua_error(L);
}

/* (holder): the goroutine that waits. */
static int wait_for_end(lua_State *L) {
  struct gl *S = gl_of(L);
  struct gl_isolate *iso = ((struct holder *)lua_touserdata(L, 1))->iso;
  int e;
  do {
    gos_ns dl = GOS_FOREVER;
    struct gl_go *me = gl_enter(L, S, &dl);
    GL_WAIT(L, S, me, e, gos_chan_recv_dl(iso->done, NULL, dl));
    if (e != GOS_CLOSED && e != GOS_CANCELED) return gl_failed(L, S, me, e, false);
    if (e == GOS_CANCELED && S->ending) return gl_failed(L, S, me, e, false);
    if (e == GOS_CANCELED) gl_isolate_interrupt(L, iso);
  } while (e == GOS_CANCELED);
  if (iso->failed) return raise_error(L, S, iso);
  return gl_unpack(L, S, take(&iso->result));
}

int gl_isolate_interrupt(lua_State *L, struct gl_isolate *iso) {
  struct gl *S = gl_here;
  char why[GL_WHY];
  struct gl_msg *m = NULL, *old;
  if (!lua_isnoneornil(L, 2) && !(m = gl_pack(L, S, 2, 1, GL_ROOT_MSG, why)))
    return luaL_error(L, "cannot send %s", why);
  pthread_mutex_lock(&iso->lock);
  old = iso->why;
  iso->why = m;
  iso->interrupted = true;
  bool over = iso->over;
  if (iso->target) gos_interrupt(iso->target);
  pthread_mutex_unlock(&iso->lock);
  gl_msg_free(old);
  lua_pushboolean(L, !over);
  return 1;
}

bool gl_isolate_push_interrupt(lua_State *L, struct gl *S, struct gl_go *me) {
  struct gl_isolate *iso = S->iso;
  pthread_mutex_lock(&iso->lock);
  struct gl_msg *m = me->h == iso->target ? take(&iso->why) : NULL;
  pthread_mutex_unlock(&iso->lock);
  return m && gl_unpack(L, S, m) == 1;
}

static char *package_field(lua_State *L, const char *k) {
  char *copy = NULL;
  int top = lua_gettop(L);
  if (lua_getglobal(L, "package") == LUA_TTABLE && lua_getfield(L, -1, k) == LUA_TSTRING &&
      !(copy = strdup(lua_tostring(L, -1))))
    luaL_error(L, "not enough memory");
  lua_settop(L, top);
  return copy;
}

/* require={"mod", ...} of the table at 1, as a message. */
static void read_needs(lua_State *L, struct gl *S, struct gl_isolate *iso) {
  char why[GL_WHY];
  int top = lua_gettop(L);
  if (lua_getfield(L, 1, "require") != LUA_TNIL) {
    luaL_argcheck(L, lua_istable(L, -1), 1, "require: table of names expected");
    lua_Unsigned n = lua_rawlen(L, -1);
    luaL_checkstack(L, n < INT32_MAX / 2 ? (int)n + 4 : INT32_MAX / 2, "too many modules");
    for (lua_Unsigned i = 1; i <= n; i++)
      luaL_argcheck(L, lua_rawgeti(L, top + 1, (lua_Integer)i) == LUA_TSTRING, 1, "require: table of names expected");
    if (!(iso->needs = gl_pack(L, S, top + 2, (int)n, GL_ROOT_MSG, why))) luaL_error(L, "not enough memory");
  }
  lua_settop(L, top);
}

/* memory= of the table at 1. */
static void read_limit(lua_State *L, struct gl_isolate *iso) {
  int is_int = 1;
  lua_Integer most = lua_getfield(L, 1, "memory") == LUA_TNIL ? LUA_MAXINTEGER : lua_tointegerx(L, -1, &is_int);
  luaL_argcheck(L, is_int && most > 0, 1, "memory: number of bytes expected");
  iso->most = (size_t)most;
  lua_pop(L, 1);
}

static struct gl_isolate *new_isolate(lua_State *L) {
  struct holder *h = lua_newuserdatauv(L, sizeof *h, 0);
  *h = (struct holder){&gl_mark[GL_ISOLATE], NULL};
  lua_rawgeti(L, GL_VALS, GL_ISOLATE);
  lua_setmetatable(L, -2);
  struct gl_isolate *iso = calloc(1, sizeof *iso);
  if (!iso) luaL_error(L, "not enough memory");
  h->iso = iso;
  iso->refs = 1;
  iso->most = SIZE_MAX;
  pthread_mutex_init(&iso->lock, NULL);
  return iso;
}

/* (holder, extras): starts the goroutine that waits. */
static int spawn(lua_State *L) {
  struct holder *h = lua_touserdata(L, 1);
  bool named = lua_istable(L, 2) && lua_getfield(L, 2, "name") == LUA_TSTRING;
  const char *name = named ? lua_tostring(L, -1) : NULL;
  int extras = lua_istable(L, 2) ? 2 : 0;
  push_ours(L, wait_for_end);
  lua_pushvalue(L, 1);
  gl_spawn(L, 1, name, 0, extras, 0)->iso = h->iso;
  return 1;
}

/* Starts the thread, and then the goroutine: only what can be undone comes before what may fail. The
   holder and the extras are on the top. */
static int start(lua_State *L, struct gl_isolate *iso) {
  push_ours(L, spawn);
  lua_insert(L, -3);
  pthread_mutex_lock(&iso->lock);
  iso->refs = 2;
  int e = gos_host_thread(iso->name ? iso->name : "gossamer-lua", 0, thread_main, iso);
  if (e != GOS_OK) {
    iso->refs = 1;
    pthread_mutex_unlock(&iso->lock);
    return luaL_error(L, "isolate: cannot start a thread: %s", gos_strerror(e));
  }
  int status = lua_pcall(L, 2, 1, 0);
  iso->go = status == LUA_OK;
  pthread_mutex_unlock(&iso->lock);
  return status == LUA_OK ? 1 : lua_error(L);
}

/* isolate(f, ...) or isolate{f, ..., require=, name=, labels=, memory=} */
static int isolate(lua_State *L) {
  static const char *const options[] = {"require", "name", "labels", "memory", NULL};
  struct gl *S = gl_of(L);
  char why[GL_WHY];
  struct gl_go *me = gl_self(L, S);
  bool table = lua_istable(L, 1);
  int n = lua_gettop(L), first = 1;
  if (!table) luaL_checktype(L, 1, LUA_TFUNCTION);
  luaL_checkstack(L, 16, NULL);
  if (table) gl_check_options(L, options);
  struct gl_isolate *iso = new_isolate(L);
  int holder = lua_gettop(L);
  if (table) {
    gl_push_extras(L, me);
    read_needs(L, S, iso);
    read_limit(L, iso);
    lua_Unsigned len = lua_rawlen(L, 1);
    luaL_checkstack(L, len < INT32_MAX / 2 ? (int)len + 8 : INT32_MAX / 2, "too many arguments");
    first = holder + 2;
    n = (int)len;
    for (lua_Unsigned i = 1; i <= len; i++) lua_rawgeti(L, 1, (lua_Integer)i);
    luaL_argcheck(L, n > 0 && lua_isfunction(L, first), 1, "the table's first element must be a function");
    lua_getfield(L, holder + 1, "name");
    if (lua_isstring(L, -1) && !(iso->name = strdup(lua_tostring(L, -1)))) return luaL_error(L, "not enough memory");
  }
  iso->path = package_field(L, "path");
  iso->cpath = package_field(L, "cpath");
  iso->done = gos_chan_make(0, 0);
  if (!iso->done) return luaL_error(L, "not enough memory");
  if (!(iso->call = gl_pack(L, S, first, n, GL_ROOT_CALL, why))) return luaL_error(L, "isolate: cannot send %s", why);
  lua_pushvalue(L, holder);
  if (table)
    lua_pushvalue(L, holder + 1);
  else
    lua_pushnil(L);
  return start(L, iso);
}

const luaL_Reg gl_isolate_functions[] = {{"isolate", isolate}, {NULL, NULL}};

static const luaL_Reg none[] = {{NULL, NULL}};
static const luaL_Reg meta[] = {{"__gc", holder_gc}, {NULL, NULL}};
const struct gl_class gl_isolate_classes[] = {{GL_ISOLATE, "gossamer.isolate", none, meta}, {0}};
