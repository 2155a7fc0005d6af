/* os.execute and io.popen of an isolate: its thread takes no signals, which a program started there must not
 * inherit, or nothing but SIGKILL would end it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lgos.h"

/* Those of the process's one Lua library; the same in all states. */
static lua_CFunction real_execute, real_popen;
_Thread_local bool gl_must_not_park;

struct call {
  lua_State *L;
  int status;
};

static void call(void *arg) { /* an error must not leap over the signal mask */
  struct call *c = arg;
  c->status = lua_pcall(c->L, lua_gettop(c->L) - 1, LUA_MULTRET, 0);
}

static int start(lua_State *L, lua_CFunction *f) {
  lua_CFunction real = __atomic_load_n(f, __ATOMIC_RELAXED);
  if (gl_hooked()) return real(L); /* hook() sees to it, and parks */
  struct call c = {.L = L};
  lua_pushcfunction(L, real);
  lua_insert(L, 1);
  gl_must_not_park = true; /* hook() may come into force just now */
  gos_with_users_signals(call, &c);
  gl_must_not_park = false;
  return c.status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

static int execute(lua_State *L) {
  luaL_optstring(L, 1, NULL);
  return start(L, &real_execute);
}

static int popen_(lua_State *L) {
  luaL_checkstring(L, 1);
  return start(L, &real_popen);
}

static void replace(lua_State *L, const char *library, const char *name, lua_CFunction *real, lua_CFunction ours) {
  int top = lua_gettop(L);
  lua_CFunction f = NULL;
  if (lua_getglobal(L, library) == LUA_TTABLE && lua_getfield(L, -1, name) == LUA_TFUNCTION) f = lua_tocfunction(L, -1);
  if (f) {
    __atomic_store_n(real, f, __ATOMIC_RELAXED);
    lua_pushcfunction(L, ours);
    lua_setfield(L, top + 1, name);
  }
  lua_settop(L, top);
}

void gl_replace_programs(lua_State *L) {
  replace(L, "os", "execute", &real_execute, execute);
  replace(L, "io", "popen", &real_popen, popen_);
}
