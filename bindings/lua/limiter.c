/* Rate limiter and its reservations.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lgos.h"

enum { LIMITER = 1 }; /* user value of a reservation */

struct limiter {
  const char *type; /* GL_LIMITER's mark */
  gos_limiter *l;
};
struct reservation {
  const char *type; /* GL_RESERVATION's mark */
  gos_reservation r;
};

static gos_limiter *check(lua_State *L) {
  struct limiter *l = gl_check(L, 1, GL_LIMITER, "limiter");
  if (!l->l) luaL_error(L, "the limiter has been collected");
  return l->l;
}

static int number_of(lua_State *L, int idx) {
  lua_Integer n = luaL_optinteger(L, idx, 1);
  luaL_argcheck(L, n >= 0 && n <= INT32_MAX, idx, "out of range");
  return (int)n;
}

static lua_Number rate(lua_State *L, int idx) {
  lua_Number r = luaL_checknumber(L, idx);
  luaL_argcheck(L, r >= 0, idx, "rate: number of events a second expected");
  return r;
}

static int burst_of(lua_State *L, int idx) {
  lua_Integer n = luaL_checkinteger(L, idx);
  luaL_argcheck(L, n >= 0 && n <= INT32_MAX, idx, "burst: out of range");
  return (int)n;
}

/* limiter(rate, burst) */
static int limiter(lua_State *L) {
  lua_Number r = rate(L, 1);
  int burst = burst_of(L, 2);
  gl_self(L, gl_of(L));
  struct limiter *l = gl_new_object(L, GL_LIMITER, sizeof *l, 0);
  l->l = gos_limiter_new(r, burst);
  return l->l ? 1 : luaL_error(L, "not enough memory");
}

static int allow(lua_State *L) {
  gos_limiter *l = check(L);
  lua_pushboolean(L, gos_limiter_allow(l, number_of(L, 2)) == 1);
  return 1;
}

static int too_many(lua_State *L, gos_limiter *l, int n) {
  return luaL_error(L, "%d events are more than the limiter's burst of %d", n, gos_limiter_burst(l));
}

/* wait([n [, t]]): nil, "timeout" at once if it would come too late. */
static int wait(lua_State *L) {
  struct gl *S = gl_of(L);
  gos_limiter *l = check(L);
  int n = number_of(L, 2), e;
  gos_ns dl = gl_deadline(L, 3);
  bool now = dl == GOS_NOW;
  struct gl_go *me = gl_enter(L, S, &dl);
  bool obeys = dl == GOS_FOREVER && me->ctx;
  if (obeys) gos_ctx_deadline(me->ctx, &dl);
  GL_WAIT(L, S, me, e, gos_limiter_wait_dl(l, n, dl));
  if (e != GOS_OK && obeys && me->by_ctx) e = gos_limiter_wait_ctx(l, n, me->ctx); /* ended, but more than the burst? */
  if (e == GOS_INVAL) return too_many(L, l, n);
  return gl_done_waiting(L, S, me, e, now);
}

/* reserve([n]) */
static int reserve(lua_State *L) {
  gos_limiter *l = check(L);
  int n = number_of(L, 2);
  struct reservation *r = gl_new_object(L, GL_RESERVATION, sizeof *r, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, LIMITER);
  gos_limiter_reserve(l, n, &r->r);
  return 1;
}

static int get_limit(lua_State *L) {
  lua_pushnumber(L, gos_limiter_limit(check(L)));
  return 1;
}
static int get_burst(lua_State *L) {
  lua_pushinteger(L, gos_limiter_burst(check(L)));
  return 1;
}
static int tokens(lua_State *L) {
  lua_pushnumber(L, gos_limiter_tokens(check(L)));
  return 1;
}
static int set_limit(lua_State *L) {
  gos_limiter *l = check(L);
  gos_limiter_set_limit(l, rate(L, 2));
  return 0;
}
static int set_burst(lua_State *L) {
  gos_limiter *l = check(L);
  gos_limiter_set_burst(l, burst_of(L, 2));
  return 0;
}

static int limiter_gc(lua_State *L) {
  struct limiter *l = lua_touserdata(L, 1);
  if (l->l) gos_limiter_free(l->l);
  l->l = NULL;
  return 0;
}

/* ---- reservations -------------------------------------------------------------------------------- */

static gos_reservation *check_reservation(lua_State *L) {
  return &((struct reservation *)gl_check(L, 1, GL_RESERVATION, "reservation"))->r;
}

static int ok(lua_State *L) {
  lua_pushboolean(L, check_reservation(L)->ok);
  return 1;
}

/* delay(): seconds from now; 0: now, math.huge: never. */
static int delay(lua_State *L) {
  gos_reservation *r = check_reservation(L);
  gos_ns left = r->at - gos_now();
  if (!r->ok || r->at == GOS_FOREVER)
    lua_pushnumber(L, HUGE_VAL);
  else
    lua_pushnumber(L, left > 0 ? (lua_Number)left / 1e9 : 0);
  return 1;
}

static int cancel(lua_State *L) {
  gos_reservation *r = check_reservation(L);
  lua_getiuservalue(L, 1, LIMITER);
  struct limiter *l = lua_touserdata(L, -1);
  if (l && l->l) gos_reservation_cancel(r);
  return 0;
}

const luaL_Reg gl_limiter_functions[] = {{"limiter", limiter}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"allow", allow},         {"wait", wait},           {"reserve", reserve},
                                   {"limit", get_limit},     {"burst", get_burst},     {"tokens", tokens},
                                   {"set_limit", set_limit}, {"set_burst", set_burst}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__gc", limiter_gc}, {NULL, NULL}};
static const luaL_Reg reservation_methods[] = {{"ok", ok}, {"delay", delay}, {"cancel", cancel}, {NULL, NULL}};
static const luaL_Reg none[] = {{NULL, NULL}};
const struct gl_class gl_limiter_classes[] = {{GL_LIMITER, "gossamer.limiter", methods, meta},
                                              {GL_RESERVATION, "gossamer.reservation", reservation_methods, none},
                                              {0}};
