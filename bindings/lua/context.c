/* Contexts.
 *
 * The tree of what may end together is the core's. The tree of the userdata, each keeping the ones it
 * was made from alive, is Lua's: values and causes hang there, so that the collector sees them, a cause
 * that refers to its own context included. They belong to the state in which they were given.
 *
 * A value's userdata has the gos_ctx of the one above it: the core has no part in looking for it.
 *
 * A function of after_func is anchored until it has started or is stopped, as the core keeps its
 * context alive that long.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>

#include "message.h"

/* User values. KEY and VALUE are those of with_value, OTHER that of merge. */
enum { PARENT = 1, OTHER = 2, KEY = 2, CAUSE = 3, VALUE = 3 };

struct gl_ctx *gl_check_ctx(lua_State *L, int idx) {
  return gl_check(L, idx, GL_CTX, "context");
}

struct gl_ctx *gl_opt_ctx(lua_State *L, int idx) {
  return lua_isnoneornil(L, idx) ? NULL : gl_check_ctx(L, idx);
}

static gos_ctx *core_of(const struct gl_ctx *c) { return c ? c->x : NULL; }

struct gl_ctx *gl_new_ctx(lua_State *L, int kind, int parent) {
  bool below = parent && lua_type(L, parent) > LUA_TNIL; /* asked now: the index may be the next to be pushed */
  struct gl_ctx *c = gl_new_object(L, GL_CTX, sizeof *c, 3);
  c->kind = (uint8_t)kind;
  if (below) {
    lua_pushvalue(L, parent);
    lua_setiuservalue(L, -2, PARENT);
  }
  return c;
}

void gl_set_core(lua_State *L, struct gl_ctx *c, gos_ctx *x) {
  if (!x) luaL_error(L, "not enough memory for a context");
  c->x = x;
}

/* ---- the way up --------------------------------------------------------------------------------- */

/* What is looked for: the value of the key at an index, or the one whose end began everything. */
struct search {
  int key;
  gos_ctx *origin;
  int seen; /* index of the table of the merged ones that have been searched, or of a nil */
};

static bool matches(lua_State *L, const struct search *s, const struct gl_ctx *c) {
  if (s->origin) return c->x == s->origin && c->kind >= GL_CTX_SCOPE;
  if (c->kind != GL_CTX_VALUE) return false;
  lua_getiuservalue(L, -1, KEY);
  bool equal = lua_rawequal(L, -1, s->key);
  lua_pop(L, 1);
  return equal;
}

static bool seen_before(lua_State *L, const struct search *s) {
  if (lua_isnil(L, s->seen)) {
    lua_newtable(L);
    lua_replace(L, s->seen);
  }
  lua_pushvalue(L, -1);
  bool seen = lua_rawget(L, s->seen) != LUA_TNIL;
  lua_pop(L, 1);
  lua_pushvalue(L, -1);
  lua_pushboolean(L, 1);
  lua_rawset(L, s->seen);
  return seen;
}

/* From the one on the top, which it replaces by the one found, or by anything. Merged ones: first the
   one, then the other. It calls itself as deeply as they are merged, which the core bounds. */
static bool find(lua_State *L, const struct search *s) {
  for (struct gl_ctx *c; (c = lua_touserdata(L, -1));) {
    if (matches(L, s, c)) return true;
    if (c->kind == GL_CTX_MERGE) {
      if (seen_before(L, s)) return false;
      luaL_checkstack(L, 6, NULL);
      lua_getiuservalue(L, -1, PARENT);
      bool found = find(L, s);
      if (found) lua_replace(L, -2);
      if (found) return true;
      lua_pop(L, 1);
    }
    lua_getiuservalue(L, -1, c->kind == GL_CTX_MERGE ? OTHER : PARENT);
    lua_replace(L, -2);
  }
  return false;
}

/* ---- making ----------------------------------------------------------------------------------------- */

static struct gl_ctx *parent_of(lua_State *L, int idx) {
  gl_self(L, gl_of(L));
  return gl_opt_ctx(L, idx);
}

static int background(lua_State *L) {
  gl_self(L, gl_of(L));
  if (lua_rawgeti(L, GL_VALS, GL_BACKGROUND) == LUA_TUSERDATA) return 1;
  struct gl_ctx *c = gl_new_ctx(L, GL_CTX_BARE, 0);
  gl_set_core(L, c, gos_background());
  lua_pushvalue(L, -1);
  lua_rawseti(L, GL_VALS, GL_BACKGROUND);
  return 1;
}

static int with_cancel(lua_State *L) {
  gos_ctx *p = core_of(parent_of(L, 1));
  struct gl_ctx *c = gl_new_ctx(L, GL_CTX_SCOPE, 1);
  gl_set_core(L, c, gos_with_cancel(p));
  return 1;
}

/* The cause at idx, should it be its deadline that ends it. */
static int with_cause(lua_State *L, int idx) {
  if (lua_isnoneornil(L, idx)) return 1;
  lua_pushvalue(L, idx);
  lua_setiuservalue(L, -2, CAUSE);
  return 1;
}

/* with_timeout(s [, parent [, cause]]) */
static int with_timeout(lua_State *L) {
  gos_ns d = gl_duration(L, 1);
  gos_ctx *p = core_of(parent_of(L, 2));
  lua_settop(L, 3);
  struct gl_ctx *c = gl_new_ctx(L, GL_CTX_SCOPE, 2);
  gl_set_core(L, c, d == GL_AGES ? gos_with_cancel(p) : gos_with_timeout(p, d));
  return with_cause(L, 3);
}

/* with_deadline(t [, parent [, cause]]): t on the clock of now(). */
static int with_deadline(lua_State *L) {
  gos_ns t = gl_duration(L, 1);
  gos_ctx *p = core_of(parent_of(L, 2));
  lua_settop(L, 3);
  struct gl_ctx *c = gl_new_ctx(L, GL_CTX_SCOPE, 2);
  gl_set_core(L, c, gos_with_deadline(p, t == GL_AGES ? GOS_FOREVER : t));
  return with_cause(L, 3);
}

/* with_value(k, v [, parent]) */
static int with_value(lua_State *L) {
  struct gl_ctx *p = parent_of(L, 3);
  luaL_argcheck(L, !lua_isnoneornil(L, 1), 1, "nil key");
  lua_settop(L, 3);
  struct gl_ctx *c = gl_new_ctx(L, GL_CTX_VALUE, 3);
  gl_set_core(L, c, gos_ctx_retain(p ? p->x : gos_background()));
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 4, KEY);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 4, VALUE);
  return 1;
}

/* with_grace(s [, parent]) */
static int with_grace(lua_State *L) {
  gos_ns d = gl_duration(L, 1);
  gos_ctx *p = core_of(parent_of(L, 2));
  struct gl_ctx *c = gl_new_ctx(L, GL_CTX_SCOPE, 2);
  gl_set_core(L, c, gos_with_grace(p, d));
  return 1;
}

static int without_cancel(lua_State *L) {
  gos_ctx *p = core_of(parent_of(L, 1));
  struct gl_ctx *c = gl_new_ctx(L, GL_CTX_BARE, 1);
  gl_set_core(L, c, gos_without_cancel(p));
  return 1;
}

static int merge(lua_State *L) {
  gl_self(L, gl_of(L));
  struct gl_ctx *a = gl_check_ctx(L, 1), *b = gl_check_ctx(L, 2);
  struct gl_ctx *c = gl_new_ctx(L, GL_CTX_MERGE, 1);
  c->x = gos_merge(a->x, b->x);
  if (!c->x) return luaL_error(L, "merge: not enough memory, or too many contexts merged into one another");
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, OTHER);
  return 1;
}

/* ---- asking ------------------------------------------------------------------------------------------ */

static const char *word(int e) {
  return e == GOS_CANCELED ? "canceled" : e == GOS_TIMEDOUT ? "deadline exceeded" : e ? gos_strerror(e) : NULL;
}

static int ctx_err(lua_State *L) {
  lua_pushstring(L, word(gos_ctx_err(gl_check_ctx(L, 1)->x))); /* NULL gives nil */
  return 1;
}

static int ctx_cause(lua_State *L) {
  gos_ctx *x = gl_check_ctx(L, 1)->x;
  lua_settop(L, 1);
  lua_pushnil(L);
  struct search s = {.origin = gos_ctx_origin(x), .seen = 2};
  if (!s.origin) return 1;
  int code = gos_ctx_cause(x);
  lua_pushvalue(L, 1);
  if (find(L, &s)) {
    if (lua_getiuservalue(L, -1, CAUSE) != LUA_TNIL) return 1;
    lua_pop(L, 1);
    if (((struct gl_ctx *)lua_touserdata(L, -1))->owned && code > 0) {
      lua_pushfstring(L, "signal: %s", gl_signal_name(code));
      return 1;
    }
  }
  lua_pushstring(L, word(code));
  return 1;
}

static int ctx_value(lua_State *L) {
  gl_check_ctx(L, 1);
  lua_settop(L, 2);
  lua_pushnil(L);
  lua_pushvalue(L, 1);
  if (!lua_isnil(L, 2) && find(L, &(struct search){.key = 2, .seen = 3}))
    lua_getiuservalue(L, -1, VALUE);
  else
    lua_pushnil(L);
  return 1;
}

static int ctx_deadline(lua_State *L) {
  gos_ns t;
  if (gos_ctx_deadline(gl_check_ctx(L, 1)->x, &t))
    lua_pushnumber(L, (lua_Number)t / 1e9);
  else
    lua_pushnil(L);
  return 1;
}

/* The channel keeps its context alive, whose end closes it. */
static int ctx_done(lua_State *L) {
  gl_self(L, gl_of(L));
  gos_chan *c = gos_ctx_done(gl_check_ctx(L, 1)->x);
  struct gl_chan *ch = gl_new_chan(L, GL_CAN_RECV, GL_NOTHING, 1);
  if (c) ch->c = gos_chan_retain(c);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

/* ---- ending -------------------------------------------------------------------------------------------- */

void gl_cancel(lua_State *L, int idx, int cause) {
  struct gl_ctx *c = lua_touserdata(L, idx);
  if (c->kind < GL_CTX_SCOPE || gos_ctx_err(c->x)) return; /* the first cause stays */
  idx = lua_absindex(L, idx);
  gos_cancel(c->x, 0);
  if (gos_ctx_err(c->x) != GOS_CANCELED) return; /* its deadline came between */
  if (cause)
    lua_pushvalue(L, cause);
  else
    lua_pushnil(L);
  lua_setiuservalue(L, idx, CAUSE);
}

static int ctx_cancel(lua_State *L) {
  gl_check_ctx(L, 1);
  gl_self(L, gl_of(L));
  lua_settop(L, 2);
  gl_cancel(L, 1, 2);
  return 0;
}

static int ctx_close(lua_State *L) {
  gl_check_ctx(L, 1);
  gl_self(L, gl_of(L));
  gl_cancel(L, 1, 0);
  return 0;
}

static int ctx_gc(lua_State *L) {
  struct gl_ctx *c = lua_touserdata(L, 1);
  if (c->owned) gos_cancel(c->x, 0);
  gos_ctx_release(c->x);
  c->x = NULL; /* as the background, to whoever still knows it */
  c->kind = GL_CTX_BARE;
  c->owned = false;
  return 0;
}

static int ctx_tostring(lua_State *L) {
  struct gl_ctx *c = gl_check_ctx(L, 1);
  const char *why = word(gos_ctx_err(c->x));
  if (why)
    lua_pushfstring(L, "context: %p (%s)", (void *)c, why);
  else
    lua_pushfstring(L, "context: %p", (void *)c);
  return 1;
}

/* ---- functions that run at the end ------------------------------------------------------------------------ */

struct after {
  const char *type; /* GL_AFTER's mark */
  struct gl_arg a;
  void *stop; /* NULL: given back */
  int slot;   /* its anchor, while the function is to come; 0: none */
};
enum { CONTEXT = 3 }; /* user value of it, beside GL_CALL_* */

static struct after *after_of(void *arg) { return (struct after *)((char *)arg - offsetof(struct after, a)); }

static bool give_back(struct after *t) {
  bool stopped = t->stop && gos_ctx_stop(t->stop) == 1;
  t->stop = NULL;
  return stopped;
}

static void done_with(struct after *t) {
  give_back(t);
  if (t->slot) gl_unanchor(t->a.S, t->slot);
  t->slot = 0;
}

static void fire(void *arg) {
  struct after *t = after_of(arg);
  gl_start_call(&t->a, t->slot, "after_func");
  done_with(t);
}

void gl_after_start_failed(void *arg) {
  fprintf(stderr, "gossamer: after_func: not enough memory\n");
  done_with(after_of(arg));
}

static int stop(lua_State *L) {
  struct after *t = lua_touserdata(L, lua_upvalueindex(3));
  gl_self(L, gl_of(L));
  bool stopped = give_back(t);
  if (stopped) done_with(t);
  lua_pushboolean(L, stopped);
  return 1;
}

/* c:after_func(f, ...) */
static int ctx_after_func(lua_State *L) {
  struct gl *S = gl_of(L);
  struct gl_ctx *c = gl_check_ctx(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  gl_self(L, S);
  int n = lua_gettop(L) - 2;
  struct after *t = gl_new_object(L, GL_AFTER, sizeof *t, 3);
  t->a = (struct gl_arg){.S = S, .kind = GL_AFTER};
  gl_set_site(L, &t->a);
  lua_insert(L, 3);
  gl_set_arguments(L, 3, n);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 3, GL_CALL_FUNCTION);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 3, CONTEXT);
  lua_pushvalue(L, 3);
  gl_push_function(L, stop, 1); /* 4 */
  bool ends = gos_ctx_done(c->x) != NULL;
  gl_reserve(L, S, GL_VALS, 1);
  int e = gos_realm_ctx_after_func(S->realm, c->x, fire, &t->a, &t->stop);
  if (e < 0) return luaL_error(L, "after_func: %s", gos_strerror(e));
  if (ends) { /* else it will never run */
    lua_pushvalue(L, 3);
    t->slot = gl_anchor(L, S, GL_VALS);
  }
  return 1;
}

static int after_gc(lua_State *L) {
  struct after *t = lua_touserdata(L, 1);
  if (t->a.S->realm) give_back(t);
  return 0;
}

const luaL_Reg gl_context_functions[] = {{"background", background},
                                         {"with_cancel", with_cancel},
                                         {"with_timeout", with_timeout},
                                         {"with_deadline", with_deadline},
                                         {"with_value", with_value},
                                         {"with_grace", with_grace},
                                         {"without_cancel", without_cancel},
                                         {"merge", merge},
                                         {NULL, NULL}};

static const luaL_Reg methods[] = {
    {"done", ctx_done},         {"err", ctx_err},       {"cause", ctx_cause},           {"value", ctx_value},
    {"deadline", ctx_deadline}, {"cancel", ctx_cancel}, {"after_func", ctx_after_func}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__close", ctx_close}, {"__gc", ctx_gc}, {"__tostring", ctx_tostring}, {NULL, NULL}};
static const luaL_Reg none[] = {{NULL, NULL}};
static const luaL_Reg after_meta[] = {{"__gc", after_gc}, {NULL, NULL}};
/* Another state gets the context without what hangs at its userdata: values, and causes that are no words. */
static void retain(void *p) { gos_ctx_retain(p); }
static void release(void *p) { gos_ctx_release(p); }
const struct gl_share gl_context_shares[] = {{GL_CTX, sizeof(struct gl_ctx), retain, release, NULL}, {0}};

const struct gl_class gl_context_classes[] = {
    {GL_CTX, "gossamer.context", methods, meta}, {GL_AFTER, "gossamer.after_func", none, after_meta}, {0}};
