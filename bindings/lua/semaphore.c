/* Weighted semaphore.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lgos.h"

struct semaphore {
  const char *type; /* GL_SEMAPHORE's mark */
  gos_sem *s;
};

static gos_sem *check(lua_State *L) {
  struct semaphore *s = gl_check(L, 1, GL_SEMAPHORE, "semaphore");
  if (!s->s) luaL_error(L, "the semaphore has been collected");
  return s->s;
}

static lua_Integer weight(lua_State *L) {
  lua_Integer n = luaL_optinteger(L, 2, 1);
  luaL_argcheck(L, n >= 0, 2, "negative weight");
  return n;
}

static int semaphore(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0, 1, "negative size");
  gl_self(L, gl_of(L));
  struct semaphore *s = gl_new_object(L, GL_SEMAPHORE, sizeof *s, 0);
  s->s = gos_sem_new(n);
  return s->s ? 1 : luaL_error(L, "not enough memory");
}

/* acquire([n [, t]]) */
static int acquire(lua_State *L) {
  struct gl *S = gl_of(L);
  gos_sem *s = check(L);
  lua_Integer n = weight(L);
  gos_ns dl = gl_deadline(L, 3);
  bool now = dl == GOS_NOW;
  struct gl_go *me = gl_enter(L, S, &dl);
  int e;
  GL_WAIT(L, S, me, e, gos_sem_acquire_dl(s, n, dl));
  return gl_done_waiting(L, S, me, e, now);
}

static int try_acquire(lua_State *L) {
  gos_sem *s = check(L);
  lua_Integer n = weight(L);
  gl_self(L, gl_of(L));
  lua_pushboolean(L, gos_sem_try_acquire(s, n) == GOS_OK);
  return 1;
}

static int release(lua_State *L) {
  gos_sem *s = check(L);
  lua_Integer n = weight(L);
  gl_self(L, gl_of(L));
  if (gos_sem_release(s, n) == GOS_OK) return 0;
  return luaL_error(L, "semaphore: released more than held");
}

static int gc(lua_State *L) {
  struct semaphore *s = lua_touserdata(L, 1);
  gos_sem_free(s->s); /* who still waits at the state's end never looks at it again */
  s->s = NULL;
  return 0;
}

const luaL_Reg gl_semaphore_functions[] = {{"semaphore", semaphore}, {NULL, NULL}};

static const luaL_Reg methods[] = {
    {"acquire", acquire}, {"try_acquire", try_acquire}, {"release", release}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__gc", gc}, {NULL, NULL}};
const struct gl_class gl_semaphore_classes[] = {{GL_SEMAPHORE, "gossamer.semaphore", methods, meta}, {0}};
