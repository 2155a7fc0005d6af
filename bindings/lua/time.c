/* Sleep, timers and tickers.
 *
 * A timer that calls a function is anchored while a call is to come; others live as long as
 * something refers to them or to their channel.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>

#include "lgos.h"

enum { CHANNEL = 1 }; /* user value of a timer; those of a function's timer: GL_CALL_* */

struct timer {
  const char *type; /* GL_TIMER's mark */
  struct gl_arg a;  /* of a function's timer */
  gos_timer *t;
  bool ticker, calls;
  int slot; /* the anchor of a function's timer while calls are to come */
  int to_come;
};

static struct timer *timer_of(void *arg) { return (struct timer *)((char *)arg - offsetof(struct timer, a)); }

static struct timer *check_timer(lua_State *L) { return gl_check(L, 1, GL_TIMER, "timer"); }

static gos_ns period(lua_State *L, int idx) {
  gos_ns d = gl_duration(L, idx);
  luaL_argcheck(L, d > 0, idx, "non-positive interval for a ticker");
  return d;
}

static gos_timer *new_core_timer(lua_State *L, struct gl *S, gos_ns d, bool repeat) {
  gl_begin(L, S);
  gos_timer *t = gos_realm_timer(S->realm, d, repeat ? d : 0);
  if (!t) luaL_error(L, "not enough memory for a timer");
  return t;
}

/* sleep(s [, t]): t ends it early. */
static int sleep_(lua_State *L) {
  struct gl *S = gl_of(L);
  gos_ns d = gl_duration(L, 1), dl = gl_deadline(L, 2);
  bool now = dl == GOS_NOW;
  struct gl_go *me = gl_enter(L, S, &dl);
  int e = gl_ended_before(L, me);
  if (e == GOS_OK && d > 0) {
    if (dl == GOS_NOW) return gl_failed(L, S, me, GOS_WOULDBLOCK, now);
    gos_ns until = gos_now() + d;
    bool early = dl < until;
    if (early) until = dl;
    GL_WAIT(L, S, me, e, gos_sleep(until - gos_now()));
    if (e == GOS_OK && early) e = GOS_TIMEDOUT;
  }
  return gl_done_waiting(L, S, me, e, now);
}

static int now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)gos_now() / 1e9);
  return 1;
}

/* A receive-only channel that owns its timer. */
static int timer_channel(lua_State *L, gos_ns d, bool repeat) {
  struct gl *S = gl_of(L);
  gl_self(L, S);
  struct gl_chan *ch = gl_new_chan(L, GL_CAN_RECV, GL_TIMES, 0);
  ch->t = new_core_timer(L, S, d, repeat);
  ch->c = gos_chan_retain(gos_timer_c(ch->t));
  return 1;
}

static int after(lua_State *L) { return timer_channel(L, gl_duration(L, 1), false); }
static int tick(lua_State *L) { return timer_channel(L, period(L, 1), true); }

static struct timer *new_timer(lua_State *L) {
  struct timer *t = memset(lua_newuserdatauv(L, sizeof *t, 2), 0, sizeof *t);
  lua_rawgeti(L, GL_VALS, GL_TIMER);
  lua_setmetatable(L, -2);
  t->type = &gl_mark[GL_TIMER];
  t->a.S = gl_of(L);
  t->a.kind = GL_TIMER;
  return t;
}

/* A timer with a channel, each keeping the other alive. */
static int timer_with_channel(lua_State *L, gos_ns d, bool ticker) {
  struct gl *S = gl_of(L);
  gl_self(L, S);
  struct timer *t = new_timer(L);
  int idx = lua_gettop(L);
  t->ticker = ticker;
  struct gl_chan *ch = gl_new_chan(L, GL_CAN_RECV, GL_TIMES, 1);
  t->t = new_core_timer(L, S, d, ticker);
  ch->c = gos_chan_retain(gos_timer_c(t->t));
  lua_pushvalue(L, idx);
  lua_setiuservalue(L, -2, 1);
  lua_setiuservalue(L, idx, CHANNEL);
  return 1;
}

static int timer(lua_State *L) { return timer_with_channel(L, gl_duration(L, 1), false); }
static int ticker(lua_State *L) { return timer_with_channel(L, period(L, 1), true); }

/* ---- a function's timer ------------------------------------------------------------------------ */

static void end_call(struct timer *t) {
  if (--t->to_come == 0) {
    gl_unanchor(t->a.S, t->slot);
    t->slot = 0;
  }
}

void gl_set_arguments(lua_State *L, int idx, int n) {
  if (n == 0) return;
  int first = lua_gettop(L) - n + 1;
  luaL_checkstack(L, 3, NULL);
  lua_createtable(L, n, 1);
  lua_insert(L, first);
  lua_pushinteger(L, n);
  lua_setfield(L, first, "n");
  for (int i = n; i > 0; i--) lua_rawseti(L, first, i);
  lua_setiuservalue(L, idx, GL_CALL_ARGUMENTS);
}

/* On the service thread, with a gl_arg as light userdata and the userdata that has the function. */
static int start_call(lua_State *L) {
  const struct gl_arg *a = lua_touserdata(L, 1);
  lua_getiuservalue(L, 2, GL_CALL_FUNCTION);
  int n = 0;
  if (lua_getiuservalue(L, 2, GL_CALL_ARGUMENTS) == LUA_TTABLE) {
    lua_getfield(L, 4, "n");
    n = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    luaL_checkstack(L, n, "too many arguments");
    for (int i = 1; i <= n; i++) lua_rawgeti(L, 4, i);
    lua_remove(L, 4);
  } else {
    lua_pop(L, 1);
  }
  struct gl_go *g = gl_spawn(L, n, NULL, 0, 0, 0);
  g->a.line = a->line;
  memcpy(g->a.src, a->src, sizeof g->a.src);
  return 0;
}

static int with_upvalues(lua_State *L) { /* start_call */
  struct gl *S = ((struct gl_arg *)lua_touserdata(L, 1))->S;
  int slot = (int)lua_tointeger(L, 2);
  lua_settop(L, 1);
  lua_pushlightuserdata(L, S);
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->vals);
  lua_rawgeti(L, 3, slot);
  lua_insert(L, 2);
  lua_pushcclosure(L, start_call, 2);
  lua_insert(L, 1);
  lua_call(L, 2, 0);
  return 0;
}

void gl_start_call(struct gl_arg *a, int slot, const char *what) {
  lua_State *svc = a->S->svc;
  a->S->cur = &a->S->service;
  if (a->S->ending) return;
  lua_pushcfunction(svc, with_upvalues);
  lua_pushlightuserdata(svc, a);
  lua_pushinteger(svc, slot);
  if (lua_pcall(svc, 2, 0, 0) == LUA_OK) return;
  fprintf(stderr, "gossamer: %s: %s\n", what, lua_tostring(svc, -1));
  lua_pop(svc, 1);
}

static void fire(void *arg) {
  struct timer *t = timer_of(arg);
  t->a.S->cur = &t->a.S->service;
  if (t->a.S->ending) return;
  gl_start_call(&t->a, t->slot, "after_func");
  end_call(t);
}

void gl_timer_start_failed(void *arg) {
  struct timer *t = timer_of(arg);
  if (t->a.kind != GL_TIMER) return; /* the reaper; the next error arms it again */
  fprintf(stderr, "gossamer: after_func: not enough memory\n");
  end_call(t);
}

/* after_func(s, f, ...) */
static int after_func(lua_State *L) {
  struct gl *S = gl_of(L);
  gos_ns d = gl_duration(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  gl_self(L, S);
  gl_begin(L, S);
  int n = lua_gettop(L) - 2;
  struct timer *t = new_timer(L);
  int idx = 3;
  lua_insert(L, idx);
  gl_set_arguments(L, idx, n);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, idx, GL_CALL_FUNCTION);
  t->calls = true;
  gl_set_site(L, &t->a);
  gl_reserve(L, S, GL_VALS, 1);
  t->t = gos_realm_after_func(S->realm, d, fire, &t->a);
  if (!t->t) return luaL_error(L, "not enough memory for a timer");
  lua_pushvalue(L, idx);
  t->slot = gl_anchor(L, S, GL_VALS);
  t->to_come++;
  return 1;
}

/* ---- methods of timers and tickers ------------------------------------------------------------- */

static int timer_stop(lua_State *L) {
  struct timer *t = check_timer(L);
  gl_self(L, gl_of(L));
  bool pending = gos_timer_stop(t->t) == 1;
  if (t->calls && pending) end_call(t);
  lua_pushboolean(L, pending);
  return 1;
}

static int timer_reset(lua_State *L) {
  struct gl *S = gl_of(L);
  struct timer *t = check_timer(L);
  gos_ns d = t->ticker ? period(L, 2) : gl_duration(L, 2);
  gl_self(L, S);
  if (t->calls && !t->slot) {
    gl_reserve(L, S, GL_VALS, 1);
    lua_pushvalue(L, 1);
    t->slot = gl_anchor(L, S, GL_VALS);
  }
  bool pending = gos_timer_reset(t->t, d) == 1;
  if (t->calls && !pending) t->to_come++;
  lua_pushboolean(L, pending);
  return 1;
}

/* Of after_func there is no C: nil. */
static int timer_index(lua_State *L) { return gl_index(L, "C", check_timer(L)->calls ? 0 : CHANNEL); }

static int timer_gc(lua_State *L) {
  struct timer *t = lua_touserdata(L, 1);
  if (gl_of(L)->realm && t->t) gos_timer_free(t->t);
  t->t = NULL;
  return 0;
}

const luaL_Reg gl_time_functions[] = {{"sleep", sleep_}, {"now", now},       {"after", after},           {"tick", tick},
                                      {"timer", timer},  {"ticker", ticker}, {"after_func", after_func}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"stop", timer_stop}, {"reset", timer_reset}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__index", timer_index}, {"__close", timer_stop}, {"__gc", timer_gc}, {NULL, NULL}};
const struct gl_class gl_time_classes[] = {{GL_TIMER, "gossamer.timer", methods, meta}, {0}};
