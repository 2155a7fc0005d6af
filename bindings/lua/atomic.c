/* Atomic integers and booleans. The cell is counted and outlives its userdata, as several states may
 * share one. All operations are sequentially consistent, as in Go.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "message.h"

#define SEQ __ATOMIC_SEQ_CST

void gl_cell_release(struct gl_cell *c) {
  if (c && __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) == 0) free(c);
}

struct gl_atomic *gl_new_atomic(lua_State *L, enum gl_type type, struct gl_cell *c) {
  struct gl_atomic *a = gl_new_object(L, type, sizeof *a, 0);
  if (!c && (c = malloc(sizeof *c))) *c = (struct gl_cell){.refs = 1};
  if (!c) luaL_error(L, "not enough memory");
  a->cell = c;
  return a;
}

static int atomic_gc(lua_State *L) {
  struct gl_atomic *a = lua_touserdata(L, 1);
  gl_cell_release(a->cell);
  a->cell = NULL;
  return 0;
}

static int64_t *cell(lua_State *L, enum gl_type type, const char *what) {
  struct gl_atomic *a = gl_check(L, 1, type, what);
  if (!a->cell) luaL_error(L, "the atomic has been collected");
  return &a->cell->v;
}

/* ---- int ------------------------------------------------------------------------------------ */

static int64_t *int_cell(lua_State *L) { return cell(L, GL_ATOMIC_INT, "atomic int"); }

static int push_int(lua_State *L, int64_t v) {
  lua_pushinteger(L, v);
  return 1;
}

static int new_int(lua_State *L) {
  lua_Integer v = luaL_optinteger(L, 1, 0);
  gl_new_atomic(L, GL_ATOMIC_INT, NULL)->cell->v = v;
  return 1;
}

static int int_load(lua_State *L) { return push_int(L, __atomic_load_n(int_cell(L), SEQ)); }
static int int_store(lua_State *L) {
  __atomic_store_n(int_cell(L), luaL_checkinteger(L, 2), SEQ);
  return 0;
}
/* add([d]): the value after it. Wraps around, as integers of Lua and Go do. */
static int int_add(lua_State *L) { return push_int(L, __atomic_add_fetch(int_cell(L), luaL_optinteger(L, 2, 1), SEQ)); }
static int int_swap(lua_State *L) {
  return push_int(L, __atomic_exchange_n(int_cell(L), luaL_checkinteger(L, 2), SEQ));
}
static int int_and(lua_State *L) { return push_int(L, __atomic_fetch_and(int_cell(L), luaL_checkinteger(L, 2), SEQ)); }
static int int_or(lua_State *L) { return push_int(L, __atomic_fetch_or(int_cell(L), luaL_checkinteger(L, 2), SEQ)); }

static int int_cas(lua_State *L) {
  int64_t *c = int_cell(L), old = luaL_checkinteger(L, 2), new = luaL_checkinteger(L, 3);
  lua_pushboolean(L, __atomic_compare_exchange_n(c, &old, new, false, SEQ, SEQ));
  return 1;
}

/* ---- bool ------------------------------------------------------------------------------------ */

static int64_t *bool_cell(lua_State *L) { return cell(L, GL_ATOMIC_BOOL, "atomic bool"); }

static int64_t check_bool(lua_State *L, int idx) {
  luaL_checktype(L, idx, LUA_TBOOLEAN);
  return lua_toboolean(L, idx);
}

static int push_bool(lua_State *L, int64_t v) {
  lua_pushboolean(L, v != 0);
  return 1;
}

static int new_bool(lua_State *L) {
  int64_t v = lua_isnoneornil(L, 1) ? 0 : check_bool(L, 1);
  gl_new_atomic(L, GL_ATOMIC_BOOL, NULL)->cell->v = v;
  return 1;
}

static int bool_load(lua_State *L) { return push_bool(L, __atomic_load_n(bool_cell(L), SEQ)); }
static int bool_store(lua_State *L) {
  __atomic_store_n(bool_cell(L), check_bool(L, 2), SEQ);
  return 0;
}
static int bool_swap(lua_State *L) { return push_bool(L, __atomic_exchange_n(bool_cell(L), check_bool(L, 2), SEQ)); }

static int bool_cas(lua_State *L) {
  int64_t *c = bool_cell(L), old = check_bool(L, 2), new = check_bool(L, 3);
  return push_bool(L, __atomic_compare_exchange_n(c, &old, new, false, SEQ, SEQ));
}

static void retain(void *p) { __atomic_add_fetch(&((struct gl_cell *)p)->refs, 1, __ATOMIC_RELAXED); }
static void release(void *p) { gl_cell_release(p); }
const struct gl_share gl_atomic_shares[] = {{GL_ATOMIC_INT, sizeof(struct gl_atomic), retain, release, NULL},
                                            {GL_ATOMIC_BOOL, sizeof(struct gl_atomic), retain, release, NULL},
                                            {0}};

const luaL_Reg gl_atomic_functions[] = {{"int", new_int}, {"bool", new_bool}, {NULL, NULL}};

static const luaL_Reg int_methods[] = {{"load", int_load}, {"store", int_store}, {"add", int_add}, {"swap", int_swap},
                                       {"cas", int_cas},   {"and_", int_and},    {"or_", int_or},  {NULL, NULL}};
static const luaL_Reg bool_methods[] = {
    {"load", bool_load}, {"store", bool_store}, {"swap", bool_swap}, {"cas", bool_cas}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__gc", atomic_gc}, {NULL, NULL}};
const struct gl_class gl_atomic_classes[] = {{GL_ATOMIC_INT, "gossamer.atomic.int", int_methods, meta},
                                             {GL_ATOMIC_BOOL, "gossamer.atomic.bool", bool_methods, meta},
                                             {0}};
