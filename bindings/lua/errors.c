/* Error codes of the core into Lua: what a program expects is nil and a word, misuse an error.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lgos.h"

static int outcome(lua_State *L, const char *word) {
  lua_pushnil(L);
  lua_pushstring(L, word);
  return 2;
}

/* g:interrupt(err) makes the interrupted call raise err; without err it gives nil, "canceled". */
static int canceled(lua_State *L, struct gl *S, struct gl_go *me) {
  if (__builtin_expect(S->ending, 0) && me != S->main) gl_vanish(S, me);
  if (S->iso && gl_isolate_push_interrupt(L, S, me)) return lua_error(L);
  if (!me->interrupted || me->by_ctx) return outcome(L, "canceled");
  me->interrupted = false;
  gl_push_go(L, me);
  lua_getiuservalue(L, -1, 2);
  lua_getfield(L, -1, "interrupt");
  lua_pushnil(L);
  lua_setfield(L, -3, "interrupt");
  return lua_error(L);
}

int gl_not_here(lua_State *L, const char *what) {
  return luaL_error(L, "cannot %s %s", what,
                    gl_in_finalizer(L) ? "in a finalizer (__gc)"
                                       : "here: main's Lua thread runs another goroutine's call (a callback of a C "
                                         "library, or the end of the state)");
}

int gl_failed(lua_State *L, struct gl *S, struct gl_go *me, int code, bool now) {
  switch (code) {
  case GOS_CLOSED: return outcome(L, "closed");
  case GOS_TIMEDOUT: return outcome(L, "timeout");
  case GOS_CANCELED: return canceled(L, S, me);
  case GOS_WOULDBLOCK:
    if (now) return outcome(L, "timeout");
    return gl_not_here(L, "wait");
  case GOS_DEADLOCK:
    gl_report_all(S); /* the likely reason of the deadlock */
    return luaL_error(L, "%s", gos_realm_deadlock(S->realm));
  case GOS_AGAIN: return lua_error(L); /* what gl_signals left */
  case GOS_NOMEM: return luaL_error(L, "not enough memory");
  default: return luaL_error(L, "%s", gos_strerror(code));
  }
}

static lua_Number seconds(lua_State *L, int idx) {
  if (lua_type(L, idx) != LUA_TNUMBER) luaL_typeerror(L, idx, "seconds");
  lua_Number s = lua_tonumber(L, idx);
  luaL_argcheck(L, !isnan(s), idx, "seconds expected, got NaN");
  return s;
}

gos_ns gl_deadline_of(lua_State *L, int idx) {
  struct gl_ctx *c = gl_test(L, idx, GL_CTX);
  if (c) return -(gos_ns)((uintptr_t)c->x >> 3); /* contexts are aligned by 8 */
  if (lua_type(L, idx) != LUA_TNUMBER) luaL_typeerror(L, idx, "seconds or context");
  lua_Number ns = seconds(L, idx) * 1e9;
  if (ns <= 0) return GOS_NOW;
  if (ns >= (lua_Number)GL_AGES) return GOS_FOREVER;
  return gos_now() + (gos_ns)ceil(ns);
}

gos_ns gl_duration(lua_State *L, int idx) {
  lua_Number ns = seconds(L, idx) * 1e9;
  if (ns >= (lua_Number)GL_AGES) return GL_AGES;
  return ns <= -(lua_Number)GL_AGES ? -GL_AGES : (gos_ns)ceil(ns);
}

bool gl_callable(lua_State *L, int idx) {
  if (lua_isfunction(L, idx)) return true;
  if (luaL_getmetafield(L, idx, "__call") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

static bool is_one_of(const char *s, const char *const *names) {
  while (*names && strcmp(*names, s) != 0) names++;
  return *names != NULL;
}

void gl_check_options(lua_State *L, const char *const *names) {
  int top = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING && !is_one_of(lua_tostring(L, -2), names))
      luaL_argerror(L, 1, lua_pushfstring(L, "unknown option '%s'", lua_tostring(L, -2)));
  lua_settop(L, top);
}
