/* Read-write mutex, and its view as a lock for reading.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lgos.h"

enum { VIEW = 1, WHOLE = 1 }; /* user value of the mutex, made when asked for; of the view */

struct rwmutex {
  const char *type; /* GL_RWMUTEX's mark */
  gos_rwmutex rw;
};
struct rlocker {
  const char *type; /* GL_RLOCKER's mark */
  gos_rwmutex *rw;
};

/* A method's first argument is either: what is meant is the method's business. */
static gos_rwmutex *check(lua_State *L) {
  struct rwmutex *m = gl_test(L, 1, GL_RWMUTEX);
  if (m) return &m->rw;
  struct rlocker *r = gl_check(L, 1, GL_RLOCKER, "rwmutex");
  return r->rw;
}

gos_rwmutex *gl_test_rwmutex(lua_State *L, int idx, bool *reader) {
  struct rwmutex *m = gl_test(L, idx, GL_RWMUTEX);
  struct rlocker *r = m ? NULL : gl_test(L, idx, GL_RLOCKER);
  *reader = r != NULL;
  return m ? &m->rw : r ? r->rw : NULL;
}

static int rwmutex(lua_State *L) {
  gl_new_object(L, GL_RWMUTEX, sizeof(struct rwmutex), 1);
  return 1;
}

static int lock_with(lua_State *L, int (*lock)(gos_rwmutex *, gos_ns)) {
  struct gl *S = gl_of(L);
  gos_rwmutex *rw = check(L);
  gos_ns dl = gl_deadline(L, 2);
  bool now = dl == GOS_NOW;
  struct gl_go *me = gl_enter(L, S, &dl);
  int e;
  GL_WAIT(L, S, me, e, lock(rw, dl));
  return gl_done_waiting(L, S, me, e, now);
}

static int lock(lua_State *L) { return lock_with(L, gos_rwmutex_lock_dl); }
static int rlock(lua_State *L) { return lock_with(L, gos_rwmutex_rlock_dl); }

static int try_lock(lua_State *L) {
  gos_rwmutex *rw = check(L);
  gl_self(L, gl_of(L));
  lua_pushboolean(L, gos_rwmutex_trylock(rw) == GOS_OK);
  return 1;
}

static int try_rlock(lua_State *L) {
  gos_rwmutex *rw = check(L);
  gl_self(L, gl_of(L));
  lua_pushboolean(L, gos_rwmutex_tryrlock(rw) == GOS_OK);
  return 1;
}

static int unlock(lua_State *L) {
  gos_rwmutex *rw = check(L);
  gl_self(L, gl_of(L));
  if (gos_rwmutex_unlock(rw) != GOS_OK) return luaL_error(L, "unlock of unlocked RWMutex");
  return 0;
}

static int runlock(lua_State *L) {
  gos_rwmutex *rw = check(L);
  gl_self(L, gl_of(L));
  if (gos_rwmutex_runlock(rw) != GOS_OK) return luaL_error(L, "runlock of unlocked RWMutex");
  return 0;
}

/* Pushes the view of the mutex at 1. */
static int reader(lua_State *L) {
  struct rwmutex *m = gl_check(L, 1, GL_RWMUTEX, "rwmutex");
  if (lua_getiuservalue(L, 1, VIEW) == LUA_TUSERDATA) return 1;
  lua_pop(L, 1);
  struct rlocker *r = gl_new_object(L, GL_RLOCKER, sizeof *r, 1);
  r->rw = &m->rw;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, WHOLE);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, VIEW);
  return 1;
}

/* local _ <close> = rw:guard(): what is locked is what unlocks at the end of the scope. */
static int guard(lua_State *L) {
  int n = lock(L);
  if (n > 1) return n;
  lua_pushvalue(L, 1);
  return 1;
}

static int rguard(lua_State *L) {
  lua_settop(L, 2);
  reader(L); /* before it is locked: it may fail */
  int n = rlock(L);
  if (n > 1) return n;
  lua_pushvalue(L, 3);
  return 1;
}

static int view_guard(lua_State *L) {
  int n = rlock(L);
  if (n > 1) return n;
  lua_pushvalue(L, 1);
  return 1;
}

const luaL_Reg gl_rwmutex_functions[] = {{"rwmutex", rwmutex}, {NULL, NULL}};

static const luaL_Reg methods[] = {
    {"lock", lock},       {"try_lock", try_lock}, {"unlock", unlock}, {"rlock", rlock},   {"try_rlock", try_rlock},
    {"runlock", runlock}, {"guard", guard},       {"rguard", rguard}, {"reader", reader}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__close", unlock}, {NULL, NULL}};
static const luaL_Reg view_methods[] = {
    {"lock", rlock}, {"try_lock", try_rlock}, {"unlock", runlock}, {"guard", view_guard}, {NULL, NULL}};
static const luaL_Reg view_meta[] = {{"__close", runlock}, {NULL, NULL}};
const struct gl_class gl_rwmutex_classes[] = {
    {GL_RWMUTEX, "gossamer.rwmutex", methods, meta}, {GL_RLOCKER, "gossamer.rlocker", view_methods, view_meta}, {0}};
