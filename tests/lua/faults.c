/* As host.c, with an allocator for Lua that fails when it is told to: lua_faults SCRIPT
 * fail_at(n, for_ever): the n-th allocation from here fails, and if asked for all that come after it.
 * fail_stop(): no longer; has one failed?
 * SPDX-License-Identifier: Apache-2.0 */
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

int luaopen_gossamer_native(lua_State *L);

static long long left = -1; /* allocations that still succeed; -1: all */
static bool for_ever, failed;

static void *allocate(void *u, void *p, size_t old, size_t size) {
  (void)u;
  if (size == 0) {
    free(p);
    return NULL;
  }
  if (left >= 0 && size > (p ? old : 0)) { /* Lua relies on it that shrinking never fails */
    if (left == 0) {
      failed = true;
      if (!for_ever) left = -1;
      return NULL;
    }
    left--;
  }
  return realloc(p, size);
}

static int fail_at(lua_State *L) {
  left = luaL_checkinteger(L, 1);
  for_ever = lua_toboolean(L, 2);
  failed = false;
  return 0;
}

static int fail_stop(lua_State *L) {
  left = -1;
  lua_pushboolean(L, failed);
  return 1;
}

int main(int argc, char **argv) {
  lua_State *L = argc > 1 ? lua_newstate(allocate, NULL) : NULL;
  if (!L) return 2;
  luaL_openlibs(L);
  luaL_requiref(L, "gossamer.native", luaopen_gossamer_native, 0);
  lua_register(L, "fail_at", fail_at);
  lua_register(L, "fail_stop", fail_stop);
  lua_settop(L, 0);
  int status = luaL_loadfile(L, argv[1]);
  if (status == LUA_OK) status = lua_pcall(L, 0, 0, 0);
  if (status != LUA_OK) fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return status == LUA_OK ? 0 : 1;
}
