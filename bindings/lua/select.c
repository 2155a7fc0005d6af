/* select{...}: the cases of a table, told to the core as an array.
 *
 * A case is a channel (receive from it), a case object of recv() or send(), or false: no case.
 * A case object's user values: 1 the channel or what has the file descriptor, 2 the handler, 3 the value to send.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "message.h"

enum { CHANNEL = 1, HANDLER = 2, VALUE = 3 };
enum { ON_STACK = 8, MOST = 65536 };
enum { FD = 3 };                             /* gos_case.op of GOS_FD, without its events */
enum { DEFAULT = 2, TIMEOUT, ORDERED, CTX }; /* where select's options are on its stack */

struct gl_case {
  const char *type; /* GL_CASE's mark */
  struct gl_chan *ch;
  int op; /* of gos_case */
  int fd; /* of readable() and writable() */
};

/* A handler that cannot be called would be noticed only when the value has been received: too late for it. */
static int new_case(lua_State *L, int op, struct gl_chan *ch, int handler, int value) {
  if (!lua_isnil(L, handler) && !gl_callable(L, handler)) luaL_typeerror(L, handler, "function");
  struct gl_case *cs = lua_newuserdatauv(L, sizeof *cs, 3);
  *cs = (struct gl_case){&gl_mark[GL_CASE], ch, op, -1};
  lua_rawgeti(L, GL_VALS, GL_CASE);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, CHANNEL);
  if (!lua_isnil(L, handler)) {
    lua_pushvalue(L, handler);
    lua_setiuservalue(L, -2, HANDLER);
  }
  if (value) {
    lua_pushvalue(L, value);
    lua_setiuservalue(L, -2, VALUE);
  }
  return 1;
}

/* recv(ch [, fn]) */
static int recv_case(lua_State *L) {
  struct gl_chan *ch = gl_check_chan(L, 1, GL_CAN_RECV);
  lua_settop(L, 2);
  return new_case(L, 1, ch, 2, 0);
}

/* send(ch, v [, fn]) */
static int send_case(lua_State *L) {
  struct gl_chan *ch = gl_check_chan(L, 1, GL_CAN_SEND);
  if (lua_isnoneornil(L, 2)) return luaL_argerror(L, 2, "cannot send nil (use gos.null)");
  lua_settop(L, 3);
  return new_case(L, 2, ch, 3, 2);
}

static int fd_case(lua_State *L, int events) {
  int fd = gl_check_fd(L, 1);
  lua_settop(L, 2);
  new_case(L, FD + events, NULL, 2, 0);
  ((struct gl_case *)lua_touserdata(L, -1))->fd = fd;
  return 1;
}

/* readable(fd [, fn]), writable(fd [, fn]) */
static int readable_case(lua_State *L) { return fd_case(L, GOS_READ); }
static int writable_case(lua_State *L) { return fd_case(L, GOS_WRITE); }

/* What select works on: the core's cases, a value for each, and what holds them. */
struct sel {
  int n;
  gos_case *cases;
  gl_value *values;
  struct gl_chan **chans;
  int sends;
};

static int bad_case(lua_State *L, int i, const char *why) {
  return luaL_argerror(L, 1, lua_pushfstring(L, "case %d: %s", i, why));
}

/* Reads case i of the table at 1 from the top of the stack; pops it. */
static void read_case(lua_State *L, struct sel *s, int i) {
  gos_case *c = &s->cases[i];
  *c = (gos_case){.v = &s->values[i]};
  struct gl_case *cs = NULL;
  if ((s->chans[i] = gl_test(L, -1, GL_CHAN))) {
    c->op = 1;
    if (!(s->chans[i]->can & GL_CAN_RECV)) bad_case(L, i + 1, "cannot receive from a send-only channel");
  } else if ((cs = gl_test(L, -1, GL_CASE))) {
    s->chans[i] = cs->ch;
    c->op = cs->op;
    s->sends += cs->op == 2;
  } else if (lua_toboolean(L, -1) || lua_isnil(L, -1)) {
    bad_case(L, i + 1, lua_pushfstring(L, "channel, case or false expected, got %s", luaL_typename(L, -1)));
  }
  if (s->chans[i])
    c->c = s->chans[i]->c;
  else if (c->op > FD)
    c->c = (gos_chan *)(intptr_t)cs->fd;
  lua_pop(L, 1);
}

/* Positions up to the last case must not be nil: how many there are would be a matter of chance. */
static int bad_hole(lua_State *L) {
  int i = 1;
  for (; lua_rawgeti(L, 1, i) != LUA_TNIL; i++) lua_pop(L, 1);
  return bad_case(L, i, "channel, case or false expected, got nil");
}

static void drop_values(struct gl *S, struct sel *s, int but) {
  for (int i = 0; i < s->n && s->sends; i++)
    if (s->cases[i].op == 2 && i != but) gl_drop(S, s->values[i]);
}

/* Puts the values to send into their slots, or messages. */
static void read_values(lua_State *L, struct gl *S, struct sel *s) {
  char why[GL_WHY];
  for (int i = 0; i < s->n; i++) {
    if (s->cases[i].op != 2) continue;
    lua_rawgeti(L, 1, i + 1);
    lua_getiuservalue(L, -1, VALUE);
    if (!gl_encode_reserved(L, S, GL_VALS, lua_gettop(L), s->cases[i].c, &s->values[i], why)) {
      s->n = i;
      drop_values(S, s, -1);
      luaL_error(L, "case %d: cannot send %s", i + 1, why);
    }
    lua_pop(L, 2);
  }
}

/* Room for n cases: that of the caller, or a userdata left on the stack. */
static void get_room(lua_State *L, struct sel *s, int n) {
  char *p = lua_newuserdatauv(L, (sizeof *s->cases + sizeof *s->values + sizeof *s->chans) * (size_t)n, 0);
  s->cases = (gos_case *)p;
  s->values = (gl_value *)(s->cases + n);
  s->chans = (struct gl_chan **)(s->values + n);
}

/* Calls the handler of case i, if it has one, with the two results on the top of the stack. */
static void call_handler(lua_State *L, int i) {
  int top = lua_gettop(L);
  lua_rawgeti(L, 1, i + 1);
  if (!gl_test(L, -1, GL_CASE) || lua_getiuservalue(L, -1, HANDLER) == LUA_TNIL) {
    lua_settop(L, top);
    return;
  }
  lua_pushvalue(L, top - 1);
  lua_pushvalue(L, top);
  lua_call(L, 2, 0);
  lua_settop(L, top);
}

static int fired(lua_State *L, struct gl *S, struct gl_go *me, struct sel *s, int i) {
  int e = s->cases[i].op == 1 && !s->cases[i].ok ? GOS_CLOSED : GOS_OK;
  lua_pushinteger(L, i + 1);
  if (s->cases[i].op == 1)
    gl_received(L, S, me, s->chans[i], s->values[i], e, true);
  else
    lua_pushboolean(L, 1);
  if (e == GOS_OK) lua_pushnil(L);
  call_handler(L, i);
  return 3;
}

/* A file descriptor of a case was closed meanwhile: the case fires, with "closed". false: none was. */
static bool fd_closed(lua_State *L, const struct sel *s) {
  for (int i = 0; i < s->n; i++) {
    if (s->cases[i].op <= FD || s->cases[i].ok != -1) continue;
    lua_pushinteger(L, i + 1);
    lua_pushnil(L);
    lua_pushliteral(L, "closed");
    call_handler(L, i);
    return true;
  }
  return false;
}

/* The default case: a function is called. */
static int chosen_default(lua_State *L) {
  if (!lua_isboolean(L, DEFAULT)) {
    lua_pushvalue(L, DEFAULT);
    lua_call(L, 0, 0);
  }
  lua_pushliteral(L, "default");
  return 1;
}

/* Puts the option below the top, whose value is on it, where it belongs; pops the value. */
static void read_option(lua_State *L) {
  static const char *const names[] = {"default", "timeout", "ordered", "ctx"};
  const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
  int i = 0;
  while (i <= CTX - DEFAULT && strcmp(name, names[i]) != 0) i++;
  if (i > CTX - DEFAULT) luaL_argerror(L, 1, lua_pushfstring(L, "unknown option '%s'", luaL_tolstring(L, -2, NULL)));
  lua_replace(L, DEFAULT + i);
}

/* Reads all that the table at 1 has, in one pass: asked for one by one, a misspelt option would be ignored. */
static void read_table(lua_State *L, struct sel *s) {
  int seen = 0;
  for (lua_pushnil(L); lua_next(L, 1);) {
    lua_Integer i = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
    if (i > s->n) bad_hole(L);
    if (i < 1) {
      read_option(L);
    } else {
      read_case(L, s, (int)i - 1);
      seen++;
    }
  }
  if (seen < s->n) bad_hole(L);
}

static void check_options(lua_State *L) {
  if (!gl_test(L, CTX, GL_CTX) && !lua_isnil(L, CTX)) luaL_argerror(L, 1, "ctx: context expected");
  if (lua_type(L, DEFAULT) > LUA_TBOOLEAN && !gl_callable(L, DEFAULT))
    luaL_argerror(L, 1, "default: function or true expected");
  if (!lua_isnil(L, TIMEOUT) &&
      (lua_type(L, TIMEOUT) != LUA_TNUMBER || lua_tonumber(L, TIMEOUT) != lua_tonumber(L, TIMEOUT)))
    luaL_argerror(L, 1, "timeout: seconds expected");
}

static int select_(lua_State *L) {
  struct gl *S = gl_of(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_settop(L, CTX); /* options that are not there */
  lua_Unsigned n = lua_rawlen(L, 1);
  luaL_argcheck(L, n <= MOST, 1, "too many cases");
  gos_case cases[ON_STACK];
  gl_value values[ON_STACK];
  struct gl_chan *chans[ON_STACK];
  struct sel s = {.n = (int)n, .cases = cases, .values = values, .chans = chans};
  if (n > ON_STACK) get_room(L, &s, (int)n);
  read_table(L, &s);
  check_options(L);
  struct gl_ctx *c = gl_test(L, CTX, GL_CTX);
  gos_ns dl = lua_toboolean(L, DEFAULT) ? GOS_NOW : gl_deadline(L, TIMEOUT);
  bool now = dl == GOS_NOW;
  struct gl_go *me = gl_enter(L, S, &dl);
  if (c) gl_also_obey(L, me, c->x);
  if (s.sends) {
    gl_reserve(L, S, GL_VALS, s.sends);
    read_values(L, S, &s);
  }
  int i;
  GL_WAIT(L, S, me, i, (lua_toboolean(L, ORDERED) ? gos_select_ordered : gos_select)(s.cases, s.n, dl));
  drop_values(S, &s, i);
  if (i >= 0) return fired(L, S, me, &s, i);
  if (i == GOS_CLOSED && fd_closed(L, &s)) return 3;
  if (i == GOS_CLOSED) return luaL_error(L, "send on closed channel");
  if (i == GOS_WOULDBLOCK && lua_toboolean(L, DEFAULT)) return chosen_default(L);
  gl_failed(L, S, me, i, now); /* nil, why: the word alone is select's result */
  return 1;
}

const luaL_Reg gl_select_functions[] = {{"select", select_},         {"recv", recv_case},         {"send", send_case},
                                        {"readable", readable_case}, {"writable", writable_case}, {NULL, NULL}};

static const luaL_Reg none[] = {{NULL, NULL}};
const struct gl_class gl_select_classes[] = {{GL_CASE, "gossamer.case", none, none}, {0}};
