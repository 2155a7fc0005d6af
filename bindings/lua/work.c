/* Hand-off: a Lua state has one thread, so what blocks is done by another one, as a goroutine of the
 * core, while the goroutine that asked for it waits.
 *
 * Work is owned twice: by the goroutine of the core, and by a userdata on the asking goroutine's stack.
 * So it may outlive a wait that was interrupted, and no error of Lua's leaks it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lgos.h"

enum { STACK = 512 * 1024 }; /* what the C library's resolver and Lua's libraries are content with */

struct box {
  const char *type; /* GL_WORK's mark */
  struct gl_work *w;
};

static void drop(struct gl_work *w) {
  if (__atomic_sub_fetch(&w->refs, 1, __ATOMIC_ACQ_REL)) return;
  if (w->free) w->free(w);
  free(w);
}

void *gl_work_alloc(size_t size, void (*run)(struct gl_work *), void (*free)(struct gl_work *)) {
  struct gl_work *w = calloc(1, size);
  if (w) *w = (struct gl_work){.run = run, .free = free, .refs = 1};
  return w;
}

void gl_work_end(struct gl_work *w) {
  if (w->g) gos_release(w->g);
  w->g = NULL; /* the caller's; the goroutine itself does not look at it */
  drop(w);
}

void *gl_work_new(lua_State *L, size_t size, void (*run)(struct gl_work *), void (*free)(struct gl_work *)) {
  struct box *b = lua_newuserdatauv(L, sizeof *b, 0);
  *b = (struct box){&gl_mark[GL_WORK], NULL};
  lua_rawgeti(L, GL_VALS, GL_WORK);
  lua_setmetatable(L, -2);
  b->w = gl_work_alloc(size, run, free);
  if (!b->w) luaL_error(L, "not enough memory");
  return b->w;
}

static void done(struct box *b) {
  struct gl_work *w = b->w;
  b->w = NULL;
  if (w) gl_work_end(w);
}

void gl_work_done(lua_State *L, int idx) { done(lua_touserdata(L, idx)); }

static int work_gc(lua_State *L) {
  done(lua_touserdata(L, 1));
  return 0;
}

static void *call(void *arg) {
  struct gl_work *w = arg;
  w->run(w);
  return NULL;
}

static void worker(void *arg) {
  gos_blocking(call, arg, NULL);
  drop(arg);
}

int gl_work_start(struct gl_work *w) {
  gos_go_options o = {.size = sizeof o, .name = "lua work", .stack = STACK};
  int e = GOS_OK;
  w->refs = 2; /* nobody else knows it yet */
  w->g = gos_go_opts(&o, worker, w, &e);
  if (!w->g) {
    w->refs = 1;
    return e;
  }
  return GOS_OK;
}

/* Was the goroutine interrupted before? Then this is the wait that ends, before anything has been done. */
static int interrupted_before(lua_State *L, struct gl *S, struct gl_go *me) {
  enum { LONG_AGO = 1 };
  int e;
  GL_WAIT(L, S, me, e, gos_chan_recv_dl(NULL, NULL, LONG_AGO));
  return e == GOS_TIMEDOUT ? GOS_OK : e;
}

int gl_work_do(lua_State *L, struct gl *S, struct gl_go *me, struct gl_work *w, gos_ns dl) {
  if (dl == GOS_NOW) return GOS_WOULDBLOCK;
  int e = gl_ended_before(L, me);
  if (e) return e;
  if (dl <= gos_now()) return GOS_TIMEDOUT;
  if ((e = interrupted_before(L, S, me))) return e;
  e = gl_work_start(w);
  if (e == GOS_OK) GL_WAIT(L, S, me, e, gos_join(w->g, dl));
  return e;
}

/* ---- blocking(f, ...): a C function in a Lua state of its own ------------------------------------ */

struct blocking {
  struct gl_work w;
  lua_State *T;
  lua_CFunction f;
  int n, status;
};

static void call_function(void *arg) {
  struct blocking *b = arg;
  b->status = lua_pcall(b->T, b->n, LUA_MULTRET, 0);
}
static void run_function(struct gl_work *w) { gos_with_users_signals(call_function, w); /* it may start programs */ }

static void free_function(struct gl_work *w) {
  struct blocking *b = (struct blocking *)w;
  if (b->T) lua_close(b->T);
}

/* Pushes the value of another state that is at idx there. false: it has no meaning here. */
static bool copy(lua_State *to, lua_State *from, int idx) {
  size_t n;
  const char *s;
  switch (lua_type(from, idx)) {
  case LUA_TNIL: lua_pushnil(to); return true;
  case LUA_TBOOLEAN: lua_pushboolean(to, lua_toboolean(from, idx)); return true;
  case LUA_TLIGHTUSERDATA: lua_pushlightuserdata(to, lua_touserdata(from, idx)); return true;
  case LUA_TNUMBER:
    if (lua_isinteger(from, idx))
      lua_pushinteger(to, lua_tointeger(from, idx));
    else
      lua_pushnumber(to, lua_tonumber(from, idx));
    return true;
  case LUA_TSTRING:
    s = lua_tolstring(from, idx, &n);
    lua_pushlstring(to, s, n);
    return true;
  default: return false;
  }
}

/* In the new state: the function and the arguments of the other, which are fit to be copied. */
static int copy_arguments(lua_State *T) {
  struct blocking *b = lua_touserdata(T, 1);
  lua_State *L = lua_touserdata(T, 2);
  luaL_checkstack(T, b->n + LUA_MINSTACK, "too many arguments");
  lua_settop(T, 0);
  lua_pushcfunction(T, b->f);
  for (int i = 0; i < b->n; i++) copy(T, L, 2 + i);
  return b->n + 1;
}

static int results(lua_State *L, struct blocking *b) {
  lua_State *T = b->T;
  if (b->status != LUA_OK) {
    if (!copy(L, T, -1)) lua_pushfstring(L, "(error object is a %s value)", luaL_typename(T, -1));
    return lua_error(L);
  }
  int n = lua_gettop(T);
  luaL_checkstack(L, n + 1, "too many results");
  for (int i = 1; i <= n; i++)
    if (!copy(L, T, i))
      return luaL_error(L, "blocking: result %d: a %s cannot come from another thread", i, luaL_typename(T, i));
  return n;
}

static int blocking(lua_State *L) {
  struct gl *S = gl_of(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  luaL_argcheck(L, lua_iscfunction(L, 1), 1, "a C function is needed: Lua code runs in its state's own thread");
  luaL_argcheck(L, !lua_getupvalue(L, 1, 1), 1, "a C function with upvalues cannot run in another thread");
  int n = lua_gettop(L) - 1;
  for (int i = 2; i <= n + 1; i++) {
    int t = lua_type(L, i);
    if (t == LUA_TTABLE || t == LUA_TFUNCTION || t == LUA_TTHREAD || t == LUA_TUSERDATA)
      return luaL_argerror(L, i, lua_pushfstring(L, "a %s cannot go to another thread", lua_typename(L, t)));
  }
  gos_ns dl = GOS_FOREVER;
  struct gl_go *me = gl_enter(L, S, &dl);
  struct blocking *b = gl_work_new(L, sizeof *b, run_function, free_function);
  b->f = lua_tocfunction(L, 1);
  b->n = n;
  if (!(b->T = luaL_newstate())) return luaL_error(L, "not enough memory");
  lua_pushcfunction(b->T, copy_arguments);
  lua_pushlightuserdata(b->T, b);
  lua_pushlightuserdata(b->T, L);
  if (lua_pcall(b->T, 2, LUA_MULTRET, 0) != LUA_OK) return luaL_error(L, "%s", lua_tostring(b->T, -1));
  int e = gl_work_do(L, S, me, &b->w, dl);
  if (e != GOS_OK) return gl_failed(L, S, me, e, false);
  int k = results(L, b);
  gl_work_done(L, n + 2);
  return k;
}

const luaL_Reg gl_work_functions[] = {{"blocking", blocking}, {NULL, NULL}};

static const luaL_Reg none[] = {{NULL, NULL}};
static const luaL_Reg meta[] = {{"__gc", work_gc}, {NULL, NULL}};
const struct gl_class gl_work_classes[] = {{GL_WORK, "gossamer.work", none, meta}, {0}};
