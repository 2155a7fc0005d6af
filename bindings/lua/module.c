/* luaopen_gossamer_native: binds what the other files list, once per Lua state.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "message.h"

static const char key; /* of the module's table in the registry */

/* Adds functions to the table on the top, with the two upvalues that each of them has. */
static void bind(lua_State *L, struct gl *S, const luaL_Reg *functions) {
  lua_pushlightuserdata(L, S);
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->vals);
  luaL_setfuncs(L, functions, 2);
}

/* __gc of every class. Anybody can take a metatable and give it to a table, or call what is in it: what a goroutine is
   inside of must stay. Upvalues: see bind_finalizer. */
static int collect(lua_State *L) {
  const struct gl_class *c = lua_touserdata(L, lua_upvalueindex(3));
  gl_check(L, 1, c->type, c->name);
  if (!gl_in_finalizer(L)) return luaL_error(L, "__gc is for the collector to call");
  return ((const luaL_Reg *)lua_touserdata(L, lua_upvalueindex(4)))->func(L);
}

static void bind_finalizer(lua_State *L, struct gl *S, const struct gl_class *c) {
  for (const luaL_Reg *f = c->meta; f->name; f++) {
    if (strcmp(f->name, "__gc") != 0) continue;
    lua_pushlightuserdata(L, S);
    lua_rawgeti(L, LUA_REGISTRYINDEX, S->vals);
    lua_pushlightuserdata(L, (void *)(uintptr_t)c);
    lua_pushlightuserdata(L, (void *)(uintptr_t)f);
    lua_pushcclosure(L, collect, 4);
    lua_setfield(L, -2, f->name);
  }
}

/* The metatable of a type: its methods as __index, unless it has an __index of its own. */
static void add_class(lua_State *L, struct gl *S, const struct gl_class *c) {
  lua_createtable(L, 0, 8);
  lua_createtable(L, 0, 8);
  bind(L, S, c->methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "methods");
  lua_setfield(L, -2, "__index");
  bind(L, S, c->meta);
  bind_finalizer(L, S, c);
  lua_pushstring(L, c->name);
  lua_setfield(L, -2, "__name");
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->vals);
  lua_insert(L, -2);
  lua_rawseti(L, -2, c->type);
  lua_pop(L, 1);
}

/* Of the userdata on the top. */
static void set_class(lua_State *L, struct gl *S, enum gl_type type) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->vals);
  lua_rawgeti(L, -1, type);
  lua_setmetatable(L, -3);
  lua_pop(L, 1);
}

static int null_tostring(lua_State *L) {
  lua_pushliteral(L, "null");
  return 1;
}

/* gos.null, which stands for nil in channels. */
static void push_null(lua_State *L, struct gl *S) {
  S->null = lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, null_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushliteral(L, "gossamer.null");
  lua_setfield(L, -2, "__name");
  lua_setmetatable(L, -2);
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->vals);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, GL_NULL);
  lua_pop(L, 1);
}

static void push_nilchan(lua_State *L, struct gl *S) {
  struct gl_chan *ch = lua_newuserdatauv(L, sizeof *ch, 0);
  *ch = (struct gl_chan){.type = &gl_mark[GL_CHAN], .S = S, .can = GL_CAN_RECV | GL_CAN_SEND};
  set_class(L, S, GL_CHAN);
}

__attribute__((visibility("default"))) int luaopen_gossamer_native(lua_State *L) {
  static const luaL_Reg *const functions[] = {
      gl_realm_functions,   gl_go_functions,       gl_chan_functions,      gl_select_functions, gl_sync_functions,
      gl_time_functions,    gl_context_functions,  gl_rwmutex_functions,   gl_cond_functions,   gl_pool_functions,
      gl_map_functions,     gl_errgroup_functions, gl_semaphore_functions, gl_flight_functions, gl_limiter_functions,
      gl_signal_functions,  gl_work_functions,     gl_io_functions,        gl_hook_functions,   gl_isolate_functions,
      gl_preempt_functions, gl_buffer_functions};
  static const struct gl_class *const classes[] = {
      gl_go_classes,      gl_chan_classes,     gl_select_classes,    gl_sync_classes,    gl_time_classes,
      gl_context_classes, gl_rwmutex_classes,  gl_cond_classes,      gl_pool_classes,    gl_map_classes,
      gl_atomic_classes,  gl_errgroup_classes, gl_semaphore_classes, gl_flight_classes,  gl_limiter_classes,
      gl_work_classes,    gl_stream_classes,   gl_net_classes,       gl_process_classes, gl_isolate_classes,
      gl_preempt_classes, gl_buffer_classes};
  static const struct {
    const char *name;
    const luaL_Reg *functions;
  } parts[] = {{"atomic", gl_atomic_functions},
               {"net", gl_net_functions},
               {"file", gl_file_functions},
               {"process", gl_process_functions}};
  static const struct gl_share *const shares[] = {gl_sync_shares, gl_atomic_shares, gl_context_shares,
                                                  gl_buffer_shares};
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TTABLE) return 1;
  luaL_checkversion(L);
  struct gl *S = gl_open(L);
  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
    for (const struct gl_class *c = classes[i]; c->name; c++) add_class(L, S, c);
  for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
    for (const struct gl_share *sh = shares[i]; sh->size; sh++) S->share[sh->type] = sh;
  gl_push_go(L, S->main); /* older than its class */
  set_class(L, S, GL_GO);
  lua_pop(L, 1);
  lua_createtable(L, 0, 48);
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) bind(L, S, functions[i]);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    lua_createtable(L, 0, 8);
    bind(L, S, parts[i].functions);
    lua_setfield(L, -2, parts[i].name);
  }
  lua_pushliteral(L, GOS_VERSION);
  lua_setfield(L, -2, "_VERSION");
  push_null(L, S);
  lua_setfield(L, -2, "null");
  push_nilchan(L, S);
  lua_setfield(L, -2, "nilchan");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
  return 1;
}
