/* Single flight: what several goroutines ask for at once is done once.
 *
 * A call is in its flight's table until it has ended or is forgotten. Its results are fixed before
 * its wait group opens.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lgos.h"

enum { CALLS = 1 };                                            /* user value of a flight: calls by key */
enum { VALUE = 1, ERROR = 2, FLIGHT = 3, KEY = 4, CHANS = 5 }; /* of a call */

struct flight {
  const char *type; /* GL_FLIGHT's mark */
};
struct call {
  const char *type; /* GL_FLIGHT_CALL's mark */
  gos_waitgroup wg;
  int others; /* that asked as well */
  bool returned, ended;
};

static void check_flight(lua_State *L) {
  gl_check(L, 1, GL_FLIGHT, "singleflight");
  gl_self(L, gl_of(L));
  luaL_argcheck(L, !lua_isnoneornil(L, 2) && lua_rawequal(L, 2, 2), 2, "key expected");
}

static int singleflight(lua_State *L) {
  gl_self(L, gl_of(L));
  gl_new_object(L, GL_FLIGHT, sizeof(struct flight), 1);
  lua_newtable(L);
  lua_setiuservalue(L, -2, CALLS);
  return 1;
}

/* Pushes the running call of the key at 2, or a nil and gives NULL. */
static struct call *find(lua_State *L) {
  lua_getiuservalue(L, 1, CALLS);
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  return lua_touserdata(L, -1);
}

/* Pushes a new one, which is not in the table yet. */
static struct call *new_call(lua_State *L) {
  struct call *c = gl_new_object(L, GL_FLIGHT_CALL, sizeof *c, 5);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, FLIGHT);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, KEY);
  gos_waitgroup_add(&c->wg, 1);
  return c;
}

/* The call on the top goes into the table. */
static void enlist(lua_State *L) {
  lua_getiuservalue(L, 1, CALLS);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* Pushes the result and false, or nil, the error and true, of the call at idx, which has ended. */
static bool push_outcome(lua_State *L, int idx, const struct call *c) {
  idx = lua_absindex(L, idx);
  lua_getiuservalue(L, idx, VALUE);
  if (!c->returned) /* the function left by goexit */
    lua_pushliteral(L, "canceled");
  else
    lua_getiuservalue(L, idx, ERROR);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return false;
  }
  lua_pushnil(L);
  lua_replace(L, -3);
  return true;
}

/* What do_ gives: v, shared; or nil, error. */
static int give(lua_State *L, int idx, const struct call *c) {
  if (!push_outcome(L, idx, c)) lua_pushboolean(L, c->others > 0);
  return 2;
}

/* Sends {val=, err=, shared=} to the channel at ch. */
static void send_outcome(lua_State *L, int call, const struct call *c, int ch) {
  struct gl *S = gl_of(L);
  lua_createtable(L, 0, 3);
  if (push_outcome(L, call, c)) lua_setfield(L, -3, "err");
  lua_setfield(L, -2, "val");
  lua_pushboolean(L, c->others > 0);
  lua_setfield(L, -2, "shared");
  gl_value v = gl_encode(L, S, GL_VALS, lua_gettop(L), false);
  if (gos_chan_send_dl(((struct gl_chan *)lua_touserdata(L, ch))->c, &v, GOS_NOW) != GOS_OK) gl_drop(S, v);
  lua_pop(L, 1);
}

/* __close of a call: its function has returned, raised an error or left. */
static int call_close(lua_State *L) {
  struct call *c = gl_check(L, 1, GL_FLIGHT_CALL, "singleflight call");
  gl_self(L, gl_of(L));
  if (c->ended) return 0;
  c->ended = true;
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, FLIGHT);
  lua_getiuservalue(L, 2, CALLS);
  lua_getiuservalue(L, 1, KEY);
  lua_pushvalue(L, 4);
  lua_rawget(L, 3);
  if (lua_touserdata(L, 5) == c) { /* not forgotten */
    lua_pushvalue(L, 4);
    lua_pushnil(L);
    lua_rawset(L, 3);
  }
  gos_waitgroup_done(&c->wg);
  if (lua_getiuservalue(L, 1, CHANS) != LUA_TTABLE) return 0;
  int chans = lua_gettop(L);
  for (lua_Integer i = 1; lua_rawgeti(L, chans, i) == LUA_TUSERDATA; i++) {
    send_outcome(L, 1, c, chans + 1);
    lua_settop(L, chans);
  }
  return 0;
}

/* Runs the function on the top for the call below it; both stay. */
static void run(lua_State *L, struct call *c) {
  int call = lua_gettop(L) - 1;
  lua_pushvalue(L, call);
  lua_toclose(L, -1);
  int guard = lua_gettop(L);
  lua_pushvalue(L, call + 1);
  if (lua_pcall(L, 0, 2, 0) == LUA_OK) {
    if (!lua_isnil(L, -2)) lua_pushnil(L); /* what follows a value is no error */
    lua_setiuservalue(L, call, ERROR);
    lua_settop(L, guard + 1);
    lua_setiuservalue(L, call, VALUE);
  } else {
    if (lua_isnil(L, -1)) lua_pushliteral(L, "nil");
    lua_setiuservalue(L, call, ERROR);
  }
  c->returned = true;
  lua_settop(L, guard - 1); /* closes it */
}

static int join(lua_State *L, struct call *c) {
  struct gl *S = gl_of(L);
  int call = lua_gettop(L);
  c->others++;
  gos_ns dl = gl_deadline(L, 4);
  bool now = dl == GOS_NOW;
  struct gl_go *me = gl_enter(L, S, &dl);
  int e;
  GL_WAIT(L, S, me, e, gos_waitgroup_wait_dl(&c->wg, dl));
  return e == GOS_OK ? give(L, call, c) : gl_failed(L, S, me, e, now);
}

/* do_(key, f [, t]): t bounds the wait for another's call. */
static int flight_do(lua_State *L) {
  check_flight(L);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  int n = gl_refused(L, gl_of(L), gl_deadline(L, 4));
  if (n) return n;
  lua_settop(L, 4);
  struct call *c = find(L);
  if (c) return join(L, c);
  c = new_call(L);
  enlist(L);
  lua_pushvalue(L, 3);
  run(L, c);
  lua_pop(L, 1);
  return give(L, -1, c);
}

static int run_alone(lua_State *L) { /* call, f */
  run(L, lua_touserdata(L, 1));
  return 0;
}

/* Adds the channel at ch to those that get the outcome of the call at call. */
static void listen(lua_State *L, int call, int ch) {
  if (lua_getiuservalue(L, call, CHANS) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, call, CHANS);
  }
  lua_pushvalue(L, ch);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
}

/* do_chan(key, f): a channel that will give {val=, err=, shared=}. */
static int flight_do_chan(lua_State *L) {
  struct gl *S = gl_of(L);
  check_flight(L);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_settop(L, 3);
  struct gl_chan *ch = gl_new_chan(L, GL_CAN_RECV | GL_CAN_SEND, GL_VALUES, 0); /* 4 */
  ch->c = gos_realm_chan(S->realm, sizeof(gl_value), 1);
  if (!ch->c) return luaL_error(L, "not enough memory for a channel");
  gos_chan_set_dtor(ch->c, gl_drop_elem);
  struct call *c = find(L); /* 5 */
  if (c) {
    listen(L, 5, 4);
    c->others++;
  } else {
    lua_settop(L, 4);
    new_call(L); /* 5 */
    listen(L, 5, 4);
    gl_push_function(L, run_alone, 0);
    lua_pushvalue(L, 5);
    lua_pushvalue(L, 3);
    gl_spawn(L, 2, NULL, 0, 0, 0);
    lua_settop(L, 5);
    enlist(L); /* last: a call that nobody runs must not be found */
  }
  ch->can = GL_CAN_RECV;
  lua_settop(L, 4);
  return 1;
}

/* forget(key): the next call of it runs its function, even if another still runs. */
static int flight_forget(lua_State *L) {
  check_flight(L);
  lua_settop(L, 2);
  lua_getiuservalue(L, 1, CALLS);
  lua_pushvalue(L, 2);
  lua_pushnil(L);
  lua_rawset(L, -3);
  return 0;
}

const luaL_Reg gl_flight_functions[] = {{"singleflight", singleflight}, {NULL, NULL}};

static const luaL_Reg methods[] = {
    {"do_", flight_do}, {"do_chan", flight_do_chan}, {"forget", flight_forget}, {NULL, NULL}};
static const luaL_Reg none[] = {{NULL, NULL}};
static const luaL_Reg call_meta[] = {{"__close", call_close}, {NULL, NULL}};
const struct gl_class gl_flight_classes[] = {{GL_FLIGHT, "gossamer.singleflight", methods, none},
                                             {GL_FLIGHT_CALL, "gossamer.singleflight.call", none, call_meta},
                                             {0}};
