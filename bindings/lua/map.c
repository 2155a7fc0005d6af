/* Map: a Lua table whose compound operations are one step each. It belongs to one state, in which
 * nothing happens at the same time; that a table does not do by itself what is asked here is that
 * a goroutine may wait between its reading and its writing, and that a loop over a table ends
 * with an error when another goroutine adds to it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lgos.h"

enum { TABLE = 1 }; /* user value */

struct map {
  const char *type; /* GL_MAP's mark */
  lua_Integer n;    /* entries */
};

/* The arguments are the map and n more; pushes the map's table. */
static struct map *check_map(lua_State *L, int n) {
  struct map *m = gl_check(L, 1, GL_MAP, "map");
  gl_self(L, gl_of(L));
  lua_settop(L, n + 1);
  lua_getiuservalue(L, 1, TABLE);
  return m;
}

static void check_key(lua_State *L) {
  luaL_argcheck(L, !lua_isnil(L, 2), 2, "nil key");
  luaL_argcheck(L, lua_rawequal(L, 2, 2), 2, "NaN key");
}

static void check_value(lua_State *L, int idx) {
  luaL_argcheck(L, !lua_isnil(L, idx), idx, "nil cannot be stored (use gos.null)");
}

static bool push_value(lua_State *L, int table) {
  lua_pushvalue(L, 2);
  return lua_rawget(L, table) != LUA_TNIL;
}

/* The value at idx, or nil, becomes that of the key; found: there was one. */
static void set(lua_State *L, struct map *m, int table, int idx, bool found) {
  lua_pushvalue(L, 2);
  if (idx)
    lua_pushvalue(L, idx);
  else
    lua_pushnil(L);
  lua_rawset(L, table);
  m->n += (idx != 0) - found;
}

static int map(lua_State *L) {
  gl_self(L, gl_of(L));
  gl_new_object(L, GL_MAP, sizeof(struct map), 1);
  lua_newtable(L);
  lua_setiuservalue(L, -2, TABLE);
  return 1;
}

/* load(k): v, true, or nil, false */
static int map_load(lua_State *L) {
  check_map(L, 1);
  lua_pushboolean(L, push_value(L, 3));
  return 2;
}

static int map_store(lua_State *L) {
  struct map *m = check_map(L, 2);
  check_key(L);
  check_value(L, 3);
  set(L, m, 4, 3, push_value(L, 4));
  return 0;
}

/* load_or_store(k, v): what is there now, and whether it was there before */
static int map_load_or_store(lua_State *L) {
  struct map *m = check_map(L, 2);
  check_key(L);
  check_value(L, 3);
  bool found = push_value(L, 4);
  if (!found) {
    set(L, m, 4, 3, false);
    lua_pushvalue(L, 3);
  }
  lua_pushboolean(L, found);
  return 2;
}

static int map_load_and_delete(lua_State *L) {
  struct map *m = check_map(L, 1);
  bool found = push_value(L, 3);
  if (found) set(L, m, 3, 0, true);
  lua_pushboolean(L, found);
  return 2;
}

static int map_delete(lua_State *L) {
  map_load_and_delete(L);
  return 1; /* whether it was there */
}

/* swap(k, v): what was there before, and whether there was something */
static int map_swap(lua_State *L) {
  struct map *m = check_map(L, 2);
  check_key(L);
  check_value(L, 3);
  bool found = push_value(L, 4);
  set(L, m, 4, 3, found);
  lua_pushboolean(L, found);
  return 2;
}

static int map_compare_and_swap(lua_State *L) {
  struct map *m = check_map(L, 3);
  check_key(L);
  check_value(L, 4);
  bool equal = push_value(L, 5) && lua_rawequal(L, -1, 3);
  if (equal) set(L, m, 5, 4, true);
  lua_pushboolean(L, equal);
  return 1;
}

static int map_compare_and_delete(lua_State *L) {
  struct map *m = check_map(L, 2);
  bool equal = push_value(L, 4) && lua_rawequal(L, -1, 3);
  if (equal) set(L, m, 4, 0, true);
  lua_pushboolean(L, equal);
  return 1;
}

/* range(f): the keys there are now, with the values they have when it comes to them. */
static int map_range(lua_State *L) {
  struct map *m = check_map(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_createtable(L, m->n < INT32_MAX ? (int)m->n : 0, 0); /* 4 */
  lua_Integer n = 0;
  for (lua_pushnil(L); lua_next(L, 3);) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, 4, ++n);
  }
  for (lua_Integer i = 1; i <= n; i++) {
    lua_settop(L, 4);
    lua_pushvalue(L, 2);
    lua_rawgeti(L, 4, i);
    lua_pushvalue(L, -1);
    lua_getiuservalue(L, 1, TABLE); /* not that of the beginning: clear() makes a new one */
    lua_insert(L, -2);
    if (lua_rawget(L, -2) == LUA_TNIL) continue; /* deleted meanwhile */
    lua_remove(L, -2);
    lua_call(L, 2, 1);
    if (lua_isboolean(L, -1) && !lua_toboolean(L, -1)) break;
  }
  return 0;
}

static int map_clear(lua_State *L) {
  struct map *m = check_map(L, 0);
  lua_newtable(L);
  lua_setiuservalue(L, 1, TABLE);
  m->n = 0;
  return 0;
}

static int map_len(lua_State *L) {
  struct map *m = gl_check(L, 1, GL_MAP, "map");
  lua_pushinteger(L, m->n);
  return 1;
}

const luaL_Reg gl_map_functions[] = {{"map", map}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"load", map_load},
                                   {"store", map_store},
                                   {"load_or_store", map_load_or_store},
                                   {"load_and_delete", map_load_and_delete},
                                   {"delete", map_delete},
                                   {"swap", map_swap},
                                   {"compare_and_swap", map_compare_and_swap},
                                   {"compare_and_delete", map_compare_and_delete},
                                   {"range", map_range},
                                   {"clear", map_clear},
                                   {NULL, NULL}};
static const luaL_Reg meta[] = {{"__len", map_len}, {NULL, NULL}};
const struct gl_class gl_map_classes[] = {{GL_MAP, "gossamer.map", methods, meta}, {0}};
