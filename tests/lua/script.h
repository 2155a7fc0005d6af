/* A Lua program inside of a C test, whose only argument is a C function. SPDX-License-Identifier: Apache-2.0 */
#ifndef LUA_SCRIPT_H
#define LUA_SCRIPT_H

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

int luaopen_gossamer_native(lua_State *L);

/* In a state of its own, where "gossamer.native" can be required. The exit status. */
static inline int run_script(const char *script, lua_CFunction f) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "gossamer.native", luaopen_gossamer_native, 0);
  lua_settop(L, 0);
  int status = luaL_loadstring(L, script);
  lua_pushcfunction(L, f);
  if (status == LUA_OK) status = lua_pcall(L, 1, 0, 0);
  if (status != LUA_OK) fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return status != LUA_OK;
}

#endif
