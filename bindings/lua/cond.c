/* Condition variable.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lgos.h"

enum { LOCK = 1 }; /* user value: what it was made with */

struct cond {
  const char *type; /* GL_COND's mark */
  gos_cond c;
  gos_mutex *mu;   /* one of these two */
  gos_rwmutex *rw; /* held for writing, or if reader is set for reading */
  bool reader;
};

static struct cond *check_cond(lua_State *L) { return gl_check(L, 1, GL_COND, "cond"); }

/* cond([mu]): without mu it has a mutex of its own, cond.L. */
static int cond(lua_State *L) {
  bool reader = false;
  gl_self(L, gl_of(L));
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    gl_new_mutex(L);
  }
  gos_mutex *mu = gl_test_mutex(L, 1);
  gos_rwmutex *rw = mu ? NULL : gl_test_rwmutex(L, 1, &reader);
  if (!mu && !rw) return luaL_typeerror(L, 1, "mutex or rwmutex");
  struct cond *c = gl_new_object(L, GL_COND, sizeof *c, 1);
  c->mu = mu;
  c->rw = rw;
  c->reader = reader;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, LOCK);
  return 1;
}

static int wait_core(struct cond *c, gos_ns dl) {
  if (c->mu) return gos_cond_wait_dl(&c->c, c->mu, dl);
  return c->reader ? gos_cond_wait_r(&c->c, c->rw, dl) : gos_cond_wait_rw(&c->c, c->rw, dl);
}

/* A wait that a signal handler broke into is not begun again, as what it waited for may have happened
   in between: it returns as if it had been signalled. */
static int cond_wait(lua_State *L) {
  struct gl *S = gl_of(L);
  struct cond *c = check_cond(L);
  gos_ns dl = gl_deadline(L, 2);
  bool now = dl == GOS_NOW;
  struct gl_go *me = gl_enter(L, S, &dl);
  int e;
  GL_TRY(L, S, me, e, wait_core(c, dl));
  if (e == GOS_AGAIN && gl_signals(L, S)) e = GOS_OK;
  if (e == GOS_PERM) return luaL_error(L, "cond: wait without holding the lock");
  return gl_done_waiting(L, S, me, e, now);
}

static int cond_signal(lua_State *L) {
  struct cond *c = check_cond(L);
  gl_self(L, gl_of(L));
  gos_cond_signal(&c->c);
  return 0;
}

static int cond_broadcast(lua_State *L) {
  struct cond *c = check_cond(L);
  gl_self(L, gl_of(L));
  gos_cond_broadcast(&c->c);
  return 0;
}

/* cond.L, or a method. */
static int cond_index(lua_State *L) {
  check_cond(L);
  const char *k = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(k, "L") == 0) {
    lua_getiuservalue(L, 1, LOCK);
    return 1;
  }
  lua_getmetatable(L, 1);
  lua_getfield(L, -1, "methods");
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  return 1;
}

const luaL_Reg gl_cond_functions[] = {{"cond", cond}, {NULL, NULL}};

static const luaL_Reg methods[] = {
    {"wait", cond_wait}, {"signal", cond_signal}, {"broadcast", cond_broadcast}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__index", cond_index}, {NULL, NULL}};
const struct gl_class gl_cond_classes[] = {{GL_COND, "gossamer.cond", methods, meta}, {0}};
