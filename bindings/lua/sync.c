/* Mutex, wait group and once, around the core's. The first two are counted and outlive their
 * userdata, as several states may share one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "message.h"

struct counted {
  uint32_t refs;
  union {
    gos_mutex mu;
    gos_waitgroup wg;
  };
};
struct mutex { /* or wait group */
  const char *type;
  struct counted *c;
};
struct once {
  const char *type;
  gos_mutex mu;
  bool done;
};
struct once_guard {
  const char *type;
  struct once *o;
};

void *gl_new_object(lua_State *L, enum gl_type type, size_t size, int nuv) {
  const char **p = memset(lua_newuserdatauv(L, size, nuv), 0, size);
  *p = &gl_mark[type];
  lua_rawgeti(L, GL_VALS, type);
  lua_setmetatable(L, -2);
  return p;
}

int gl_index(lua_State *L, const char *field, int uv) {
  const char *k = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(k, field) == 0) {
    lua_getiuservalue(L, 1, uv);
    return 1;
  }
  lua_getmetatable(L, 1);
  lua_getfield(L, -1, "methods");
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  return 1;
}

int gl_done_waiting(lua_State *L, struct gl *S, struct gl_go *me, int e, bool now) {
  if (e != GOS_OK) return gl_failed(L, S, me, e, now);
  lua_pushboolean(L, 1);
  return 1;
}

static void retain(void *p) { __atomic_add_fetch(&((struct counted *)p)->refs, 1, __ATOMIC_RELAXED); }
static void release(void *p) {
  struct counted *c = p;
  if (c && __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) == 0) free(c);
}

static struct counted *new_counted(lua_State *L, enum gl_type type) {
  struct mutex *m = gl_new_object(L, type, sizeof *m, 0);
  m->c = calloc(1, sizeof *m->c);
  if (!m->c) luaL_error(L, "not enough memory");
  m->c->refs = 1;
  return m->c;
}

static struct counted *check_counted(lua_State *L, enum gl_type type, const char *what) {
  struct mutex *m = gl_check(L, 1, type, what);
  if (__builtin_expect(!m->c, 0)) luaL_error(L, "the %s has been collected", what);
  return m->c;
}

static int counted_gc(lua_State *L) {
  struct mutex *m = lua_touserdata(L, 1);
  release(m->c);
  m->c = NULL;
  return 0;
}

const struct gl_share gl_sync_shares[] = {{GL_MUTEX, sizeof(struct mutex), retain, release, NULL},
                                          {GL_WAITGROUP, sizeof(struct mutex), retain, release, NULL},
                                          {0}};

/* ---- mutex ------------------------------------------------------------------------------------ */

gos_mutex *gl_test_mutex(lua_State *L, int idx) {
  struct mutex *m = gl_test(L, idx, GL_MUTEX);
  return m && m->c ? &m->c->mu : NULL;
}

static gos_mutex *check_mutex(lua_State *L) { return &check_counted(L, GL_MUTEX, "mutex")->mu; }

gos_mutex *gl_new_mutex(lua_State *L) { return &new_counted(L, GL_MUTEX)->mu; }

static int mutex(lua_State *L) {
  gl_new_mutex(L);
  return 1;
}

static int mutex_lock(lua_State *L) {
  struct gl *S = gl_of(L);
  gos_mutex *mu = check_mutex(L);
  gos_ns dl = gl_deadline(L, 2);
  bool now = dl == GOS_NOW;
  struct gl_go *me = gl_enter(L, S, &dl);
  int e;
  GL_WAIT(L, S, me, e, gos_mutex_lock_dl(mu, dl));
  return gl_done_waiting(L, S, me, e, now);
}

static int mutex_try_lock(lua_State *L) {
  gos_mutex *mu = check_mutex(L);
  gl_self(L, gl_of(L));
  lua_pushboolean(L, gos_mutex_trylock(mu) == GOS_OK);
  return 1;
}

static int mutex_unlock(lua_State *L) {
  gos_mutex *mu = check_mutex(L);
  gl_self(L, gl_of(L));
  if (gos_mutex_unlock(mu) != GOS_OK) return luaL_error(L, "unlock of unlocked mutex");
  return 0;
}

/* local _ <close> = mu:guard(): the mutex itself is what unlocks at the end of the scope. */
static int mutex_guard(lua_State *L) {
  int n = mutex_lock(L);
  if (n > 1) return n;
  lua_pushvalue(L, 1);
  return 1;
}

/* ---- wait group ------------------------------------------------------------------------------- */

static gos_waitgroup *check_waitgroup(lua_State *L) { return &check_counted(L, GL_WAITGROUP, "wait group")->wg; }

static int waitgroup(lua_State *L) {
  new_counted(L, GL_WAITGROUP);
  return 1;
}

static int add(lua_State *L, gos_waitgroup *wg, lua_Integer n) {
  gl_self(L, gl_of(L));
  int e = gos_waitgroup_add(wg, n);
  if (e == GOS_INVAL) return luaL_error(L, n < 0 ? "negative WaitGroup counter" : "WaitGroup counter out of range");
  if (e < 0) return luaL_error(L, "%s", gos_strerror(e));
  return 0;
}

static int waitgroup_add(lua_State *L) {
  gos_waitgroup *wg = check_waitgroup(L);
  return add(L, wg, luaL_optinteger(L, 2, 1));
}

static int waitgroup_done(lua_State *L) { return add(L, check_waitgroup(L), -1); }

static int waitgroup_wait(lua_State *L) {
  struct gl *S = gl_of(L);
  gos_waitgroup *wg = check_waitgroup(L);
  gos_ns dl = gl_deadline(L, 2);
  bool now = dl == GOS_NOW;
  struct gl_go *me = gl_enter(L, S, &dl);
  int e;
  GL_WAIT(L, S, me, e, gos_waitgroup_wait_dl(wg, dl));
  return gl_done_waiting(L, S, me, e, now);
}

static bool ended(struct gl_go *g, lua_State *svc) {
  (void)svc;
  gos_waitgroup_done(g->owner);
  return false;
}

/* wg:go(f, ...): counted from here to its end. */
static int waitgroup_go(lua_State *L) {
  gos_waitgroup *wg = check_waitgroup(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  struct gl_go *g = gl_spawn(L, lua_gettop(L) - 2, NULL, 0, 0, 1);
  int e = gos_waitgroup_add(wg, 1); /* it has not run yet */
  if (e < 0) return luaL_error(L, "WaitGroup counter out of range");
  g->owner = wg;
  g->ended = ended;
  return 1;
}

/* ---- once ------------------------------------------------------------------------------------- */

static int once(lua_State *L) {
  gl_new_object(L, GL_ONCE, sizeof(struct once), 0);
  return 1;
}

/* once:do_(f): the first call runs f, the others wait until it has ended, with an error or not.
   A guard is closed at the end, so that an error keeps its traceback and goexit is seen too. */
static int once_do(lua_State *L) {
  struct gl *S = gl_of(L);
  struct once *o = gl_check(L, 1, GL_ONCE, "once");
  luaL_checktype(L, 2, LUA_TFUNCTION);
  if (o->done) return 0;
  lua_settop(L, 2);
  struct once_guard *guard = gl_new_object(L, GL_ONCE_GUARD, sizeof *guard, 0);
  struct gl_go *me;
  int e;
  do {
    gos_ns dl = GOS_FOREVER;
    me = gl_enter(L, S, &dl);
    GL_WAIT(L, S, me, e, gos_mutex_lock_dl(&o->mu, dl));
  } while (e == GOS_CANCELED && !S->ending);
  if (e != GOS_OK) return gl_failed(L, S, me, e, false);
  guard->o = o;
  lua_toclose(L, 3);
  if (!o->done) {
    lua_pushvalue(L, 2);
    lua_call(L, 0, 0);
  }
  return 0;
}

static int once_guard_close(lua_State *L) {
  struct once_guard *guard = gl_check(L, 1, GL_ONCE_GUARD, "once");
  guard->o->done = true;
  gos_mutex_unlock(&guard->o->mu);
  return 0;
}

const luaL_Reg gl_sync_functions[] = {{"mutex", mutex}, {"waitgroup", waitgroup}, {"once", once}, {NULL, NULL}};

static const luaL_Reg mutex_methods[] = {
    {"lock", mutex_lock}, {"try_lock", mutex_try_lock}, {"unlock", mutex_unlock}, {"guard", mutex_guard}, {NULL, NULL}};
static const luaL_Reg mutex_meta[] = {{"__close", mutex_unlock}, {"__gc", counted_gc}, {NULL, NULL}};
static const luaL_Reg waitgroup_methods[] = {
    {"add", waitgroup_add}, {"done", waitgroup_done}, {"wait", waitgroup_wait}, {"go", waitgroup_go}, {NULL, NULL}};
static const luaL_Reg waitgroup_meta[] = {{"__gc", counted_gc}, {NULL, NULL}};
static const luaL_Reg once_methods[] = {{"do_", once_do}, {NULL, NULL}};
static const luaL_Reg once_guard_meta[] = {{"__close", once_guard_close}, {NULL, NULL}};
static const luaL_Reg none[] = {{NULL, NULL}};
const struct gl_class gl_sync_classes[] = {{GL_MUTEX, "gossamer.mutex", mutex_methods, mutex_meta},
                                           {GL_WAITGROUP, "gossamer.waitgroup", waitgroup_methods, waitgroup_meta},
                                           {GL_ONCE, "gossamer.once", once_methods, none},
                                           {GL_ONCE_GUARD, "gossamer.once_guard", none, once_guard_meta},
                                           {0}};
