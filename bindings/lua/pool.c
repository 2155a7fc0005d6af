/* Pool: the core says which items are kept; they are in a table of the pool's own, so that the
 * collector sees an item that refers to its pool. The core's item is its reference in that table.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lgos.h"

enum { ITEMS = 1, NEW = 2 }; /* user values */

struct pool {
  const char *type; /* GL_POOL's mark */
  gos_pool *p;
  lua_State *L; /* whose call is running, with the table on its top; NULL: the pool is being collected */
};

static struct pool *check_pool(lua_State *L) { return gl_check(L, 1, GL_POOL, "pool"); }

static void drop(void *item);

static int pool(lua_State *L) {
  gl_self(L, gl_of(L));
  if (!lua_isnoneornil(L, 1)) luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  struct pool *p = gl_new_object(L, GL_POOL, sizeof *p, 2);
  lua_newtable(L);
  lua_setiuservalue(L, 2, ITEMS);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 2, NEW);
  p->p = gos_pool_new(NULL, drop, NULL);
  if (!p->p) return luaL_error(L, "not enough memory for a pool");
  return 1;
}

/* An item as the core knows it: the pool goes with it, as drop is told nothing else. */
struct item {
  struct pool *pool;
  int ref;
};

static void drop(void *item) {
  struct item *it = item;
  if (it->pool->L) luaL_unref(it->pool->L, -1, it->ref);
  free(it);
}

/* get(): an item that was put, or a new one. */
static int pool_get(lua_State *L) {
  struct pool *p = check_pool(L);
  gl_self(L, gl_of(L));
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, ITEMS);
  p->L = L;
  struct item *it = gos_pool_get(p->p);
  if (it) {
    lua_rawgeti(L, 2, it->ref);
    luaL_unref(L, 2, it->ref);
    free(it);
    return 1;
  }
  if (lua_getiuservalue(L, 1, NEW) == LUA_TNIL) return 1;
  lua_call(L, 0, 1);
  return 1;
}

static int pool_put(lua_State *L) {
  struct pool *p = check_pool(L);
  gl_self(L, gl_of(L));
  lua_settop(L, 2);
  luaL_argcheck(L, !lua_isnil(L, 2), 2, "nil cannot be put");
  lua_getiuservalue(L, 1, ITEMS);
  lua_insert(L, 2);
  int ref = luaL_ref(L, 2); /* the table is on the top */
  struct item *it = malloc(sizeof *it);
  if (!it) {
    luaL_unref(L, 2, ref);
    return 0; /* dropped at once */
  }
  *it = (struct item){p, ref};
  p->L = L;
  gos_pool_put(p->p, it);
  return 0;
}

static int pool_gc(lua_State *L) {
  struct pool *p = lua_touserdata(L, 1);
  p->L = NULL;
  if (p->p) gos_pool_free(p->p);
  p->p = NULL;
  return 0;
}

const luaL_Reg gl_pool_functions[] = {{"pool", pool}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"get", pool_get}, {"put", pool_put}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__gc", pool_gc}, {NULL, NULL}};
const struct gl_class gl_pool_classes[] = {{GL_POOL, "gossamer.pool", methods, meta}, {0}};
