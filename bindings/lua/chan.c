/* Channels, and their directional views: several userdata may share one core channel.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lgos.h"

static struct gl_chan **seen_at(struct gl *S, const void *ch) { return &S->seen[(uintptr_t)ch / 64 % GL_SEEN]; }

static NOINLINE struct gl_chan *check_chan(lua_State *L, int idx, int can) {
  struct gl_chan *ch = gl_check(L, idx, GL_CHAN, "channel");
  if (!(ch->can & can))
    luaL_argerror(L, idx,
                  can == GL_CAN_SEND ? "cannot send to or close a receive-only channel"
                                     : "cannot receive from a send-only channel");
  if (gl_here == ch->S) *seen_at(ch->S, ch) = ch;
  return ch;
}

/* An address among those seen is a channel that lives: chan_gc() takes it out. That saves the call of lua_rawlen(),
   without which a userdata of others must not be looked into. */
static inline struct gl_chan *known_chan(lua_State *L, int idx, int can) {
  struct gl_chan *ch = lua_touserdata(L, idx);
  struct gl *S = gl_here;
  if (__builtin_expect(ch && S && *seen_at(S, ch) == ch && ch->can & can, 1)) return ch;
  return check_chan(L, idx, can);
}
struct gl_chan *gl_check_chan(lua_State *L, int idx, int can) {
  return known_chan(L, idx, can);
}

struct gl_chan *gl_new_chan(lua_State *L, int can, int holds, int nuv) {
  struct gl_chan *ch = lua_newuserdatauv(L, sizeof *ch, nuv);
  *ch = (struct gl_chan){.type = &gl_mark[GL_CHAN], .S = gl_of(L), .can = (uint8_t)can, .holds = (uint8_t)holds};
  lua_rawgeti(L, GL_VALS, GL_CHAN);
  lua_setmetatable(L, -2);
  return ch;
}

static inline int push(lua_State *L, struct gl *S, const struct gl_chan *ch, gl_value v) {
  if (ch->holds == GL_VALUES)
    gl_push(L, S, GL_VALS, v);
  else
    lua_pushnumber(L, (lua_Number)(gos_ns)v / 1e9);
  return 1;
}

int gl_received(lua_State *L, struct gl *S, struct gl_go *me, const struct gl_chan *ch, gl_value v, int e, bool now) {
  return e == GOS_OK ? push(L, S, ch, v) : gl_failed(L, S, me, e, now);
}

/* chan([cap [, name]]) */
static int chan(lua_State *L) {
  struct gl *S = gl_of(L);
  lua_Integer cap = luaL_optinteger(L, 1, 0);
  luaL_argcheck(L, cap >= 0, 1, "negative capacity");
  bool named = luaL_optstring(L, 2, NULL) != NULL;
  gl_self(L, S);
  struct gl_chan *ch = gl_new_chan(L, GL_CAN_RECV | GL_CAN_SEND, GL_VALUES, named);
  ch->c = gos_realm_chan(S->realm, sizeof(gl_value), (size_t)cap);
  if (!ch->c) return luaL_error(L, "not enough memory for a channel of capacity %I", cap);
  gos_chan_set_dtor(ch->c, gl_drop_elem);
  if (named) {
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1);
  }
  return 1;
}

/* May a call without t, which may have ended, be tried without gl_enter(), which a wait needs? When this was true
   gl_enter() raises no error. */
static inline bool at_once(struct gl *S) { return S->thread == __builtin_thread_pointer() && !S->ending; }

static int chan_send(lua_State *L) {
  struct gl_chan *ch = known_chan(L, 1, GL_CAN_SEND);
  struct gl *S = ch->S;
  gl_value v;
  int e;
  bool tried = lua_gettop(L) <= 2 && at_once(S);
  if (tried) {
    v = gl_encode(L, S, GL_VALS, 2, ch->c);
    if (gos_chan_send_dl(ch->c, &v, GOS_NOW) == GOS_OK) {
      lua_pushboolean(L, 1);
      return 1;
    }
  }
  gos_ns dl = tried ? GOS_FOREVER : gl_deadline(L, 3);
  bool now = dl == GOS_NOW;
  struct gl_go *me = gl_enter(L, S, &dl);
  if (!tried) v = gl_encode(L, S, GL_VALS, 2, ch->c);
  GL_WAIT(L, S, me, e, gos_chan_send_dl(ch->c, &v, dl));
  if (e == GOS_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  gl_drop(S, v);
  if (e == GOS_CLOSED) return luaL_error(L, "send on closed channel");
  return gl_failed(L, S, me, e, now);
}

static int chan_try_send(lua_State *L) {
  struct gl_chan *ch = known_chan(L, 1, GL_CAN_SEND);
  struct gl *S = ch->S;
  gl_self(L, S);
  gl_value v = gl_encode(L, S, GL_VALS, 2, ch->c);
  int e = gos_chan_send_dl(ch->c, &v, GOS_NOW);
  if (e != GOS_OK) gl_drop(S, v);
  if (e == GOS_CLOSED) return luaL_error(L, "send on closed channel");
  if (e != GOS_OK && e != GOS_WOULDBLOCK) return gl_failed(L, S, S->main, e, true);
  lua_pushboolean(L, e == GOS_OK);
  return 1;
}

static NOINLINE int wait_to_recv(lua_State *L, struct gl_chan *ch, gos_ns dl) {
  struct gl *S = ch->S;
  bool now = dl == GOS_NOW;
  struct gl_go *me = gl_enter(L, S, &dl);
  gl_value v;
  int e;
  GL_WAIT(L, S, me, e, gos_chan_recv_dl(ch->c, &v, dl));
  return gl_received(L, S, me, ch, v, e, now);
}

static int chan_recv(lua_State *L) {
  struct gl_chan *ch = known_chan(L, 1, GL_CAN_RECV);
  gl_value v;
  bool timed = lua_gettop(L) > 1;
  if (!timed && at_once(ch->S) && gos_chan_recv_dl(ch->c, &v, GOS_NOW) == GOS_OK) return push(L, ch->S, ch, v);
  return wait_to_recv(L, ch, timed ? gl_deadline(L, 2) : GOS_FOREVER);
}

static int chan_try_recv(lua_State *L) {
  struct gl_chan *ch = known_chan(L, 1, GL_CAN_RECV);
  struct gl *S = ch->S;
  struct gl_go *me = gl_self(L, S);
  gl_value v;
  int e = gos_chan_recv_dl(ch->c, &v, GOS_NOW);
  if (e != GOS_WOULDBLOCK) return gl_received(L, S, me, ch, v, e, true);
  lua_pushnil(L);
  lua_pushliteral(L, "empty");
  return 2;
}

/* for v in ch do: only the channel's close may end the loop silently. */
static int chan_iterate(lua_State *L) {
  struct gl_chan *ch = known_chan(L, 1, GL_CAN_RECV);
  gl_value v;
  if (at_once(ch->S) && gos_chan_recv_dl(ch->c, &v, GOS_NOW) == GOS_OK) return push(L, ch->S, ch, v);
  int n = wait_to_recv(L, ch, GOS_FOREVER);
  if (n == 2 && strcmp(lua_tostring(L, -1), "closed") != 0) return luaL_error(L, "%s", lua_tostring(L, -1));
  return n;
}

static int chan_close(lua_State *L) {
  struct gl_chan *ch = known_chan(L, 1, GL_CAN_SEND);
  struct gl *S = ch->S;
  gl_self(L, S);
  if (!ch->c) return luaL_error(L, "close of nil channel");
  lua_pushboolean(L, gos_chan_close(ch->c) == GOS_OK);
  return 1;
}

static int chan_len(lua_State *L) {
  struct gl_chan *ch = gl_check_chan(L, 1, GL_CAN_RECV | GL_CAN_SEND);
  lua_pushinteger(L, (lua_Integer)gos_chan_len(ch->c));
  return 1;
}

static int chan_cap(lua_State *L) {
  struct gl_chan *ch = gl_check_chan(L, 1, GL_CAN_RECV | GL_CAN_SEND);
  lua_pushinteger(L, (lua_Integer)gos_chan_cap(ch->c));
  return 1;
}

static int chan_closed(lua_State *L) {
  struct gl_chan *ch = gl_check_chan(L, 1, GL_CAN_RECV | GL_CAN_SEND);
  lua_pushboolean(L, gos_chan_closed(ch->c));
  return 1;
}

/* A view that can do less; the whole channel is its user value. */
static int view(lua_State *L, int can) {
  struct gl_chan *ch = gl_check_chan(L, 1, can);
  struct gl_chan *v = gl_new_chan(L, can, ch->holds, 1);
  if (ch->c) v->c = gos_chan_retain(ch->c);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

static int chan_sender(lua_State *L) { return view(L, GL_CAN_SEND); }
static int chan_receiver(lua_State *L) { return view(L, GL_CAN_RECV); }

static int chan_gc(lua_State *L) {
  struct gl_chan *ch = lua_touserdata(L, 1);
  if (*seen_at(ch->S, ch) == ch) *seen_at(ch->S, ch) = NULL;
  if (!ch->S->realm) return 0;
  if (ch->t) gos_timer_free(ch->t);
  if (ch->c) gos_chan_release(ch->c);
  if (ch->h) gos_release(ch->h);
  ch->t = NULL;
  ch->c = NULL;
  ch->h = NULL;
  return 0;
}

static int chan_eq(lua_State *L) { /* two that came to this state at different times */
  struct gl_chan *a = gl_test(L, 1, GL_CHAN), *b = gl_test(L, 2, GL_CHAN);
  lua_pushboolean(L, a && b && a->c == b->c && a->can == b->can);
  return 1;
}

static int chan_tostring(lua_State *L) {
  struct gl_chan *ch = gl_check_chan(L, 1, GL_CAN_RECV | GL_CAN_SEND);
  static const char *const kinds[] = {"", "receive-only channel", "send-only channel", "channel"};
  if (!ch->c)
    lua_pushliteral(L, "channel: nil");
  else if (lua_getiuservalue(L, 1, 1) == LUA_TSTRING)
    lua_pushfstring(L, "%s: %p (%s)", kinds[ch->can], (void *)ch->c, lua_tostring(L, -1));
  else
    lua_pushfstring(L, "%s: %p", kinds[ch->can], (void *)ch->c);
  return 1;
}

const luaL_Reg gl_chan_functions[] = {{"chan", chan}, {NULL, NULL}};

static const luaL_Reg methods[] = {
    {"send", chan_send},         {"recv", chan_recv}, {"try_send", chan_try_send}, {"try_recv", chan_try_recv},
    {"close", chan_close},       {"cap", chan_cap},   {"closed", chan_closed},     {"sender", chan_sender},
    {"receiver", chan_receiver}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__len", chan_len}, {"__call", chan_iterate},      {"__close", chan_close},
                                {"__gc", chan_gc},   {"__tostring", chan_tostring}, {"__eq", chan_eq},
                                {NULL, NULL}};
const struct gl_class gl_chan_classes[] = {{GL_CHAN, "gossamer.channel", methods, meta}, {0}};
