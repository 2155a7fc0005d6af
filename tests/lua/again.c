/* Several Lua states on one thread, one after another: each is closed with goroutines that never end.
 * SPDX-License-Identifier: Apache-2.0 */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

int luaopen_gossamer_native(lua_State *L);

static const char first[] = "local gos = require 'gossamer.native'\n"
                            "local ch, never = gos.chan(), gos.chan()\n"
                            "gos.go(function() never:recv() end)\n"
                            "gos.go(function() for i = 1, 3 do ch:send(i) end ch:close() end)\n"
                            "gos.after_func(3600, print)\n"
                            "local sum = 0\n"
                            "for v in ch do sum = sum + v end\n"
                            "gos.sleep(0.001)\n"
                            "assert(sum == 6 and select(2, gos.go(function() return 7 end):join()) == 7)\n"
                            "gos.gosched()\n";
static const char deadlock[] = "local gos = require 'gossamer.native'\n"
                               "local ok, err = pcall(function() gos.chan():recv() end)\n"
                               "assert(not ok and tostring(err):find('deadlock'), err)\n";
static const char refused[] =
    "local ok, err = pcall(require, 'gossamer.native')\n"
    "assert(not ok and err:find('goroutines of another state, which is not closed yet'), err)\n";

static lua_State *open_state(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_gossamer_native);
  lua_setfield(L, -2, "gossamer.native");
  lua_settop(L, 0);
  return L;
}

static int says(lua_State *L, const char *code) {
  if (luaL_dostring(L, code) == LUA_OK) return 0;
  fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
  return 1;
}

int main(void) {
  int bad = 0;
  for (int i = 0; i < 5; i++) {
    lua_State *L = open_state(), *second = open_state();
    bad += says(L, first);
    bad += says(second, refused);
    lua_close(second);
    bad += says(L, first);
    lua_close(L);
    bad += says(L = open_state(), deadlock);
    lua_close(L);
  }
  return bad != 0;
}
