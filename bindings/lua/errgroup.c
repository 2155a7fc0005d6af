/* Errgroup: goroutines that work on one thing, with a context that the first error ends.
 *
 * A goroutine has failed if its function raised an error, or returned nil and an error. The group has
 * room for the errors of all that run before they start: noting one cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lgos.h"

enum { CONTEXT = 1, ERRORS = 2 }; /* user values; ERRORS[1..nerrors] are errors, false up to room */

struct group {
  const char *type; /* GL_GROUP's mark */
  gos_waitgroup wg;
  gos_sem *limit; /* NULL: none */
  int running;    /* or waiting for the limit */
  int nerrors, room;
  bool all;
};

static struct group *check_group(lua_State *L) { return gl_check(L, 1, GL_GROUP, "errgroup"); }

/* n < 0: none */
static void set_limit(lua_State *L, struct group *grp, lua_Integer n) {
  gos_sem *s = n < 0 ? NULL : gos_sem_new(n);
  if (n >= 0 && !s) luaL_error(L, "not enough memory");
  gos_sem_free(grp->limit);
  grp->limit = s;
}

/* limit=, of the table of options, at idx. */
static lua_Integer opt_limit(lua_State *L, int idx) {
  int is_int;
  lua_Integer n = lua_tointegerx(L, idx, &is_int);
  luaL_argcheck(L, is_int || lua_isnil(L, idx), 1, "limit: integer expected");
  return is_int ? n : -1;
}

/* errgroup{limit=, errors="first"|"all", parent=} */
static int errgroup(lua_State *L) {
  static const char *const options[] = {"limit", "errors", "parent", NULL};
  gl_self(L, gl_of(L));
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    lua_newtable(L);
    lua_replace(L, 1);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  gl_check_options(L, options);
  lua_getfield(L, 1, "parent"); /* 2 */
  struct gl_ctx *p = lua_isnil(L, 2) ? NULL : gl_test(L, 2, GL_CTX);
  luaL_argcheck(L, p || lua_isnil(L, 2), 1, "parent: context expected");
  lua_getfield(L, 1, "limit");  /* 3 */
  lua_getfield(L, 1, "errors"); /* 4 */
  const char *errors = lua_isnil(L, 4) ? "first" : lua_tostring(L, 4);
  bool all = errors && strcmp(errors, "all") == 0;
  luaL_argcheck(L, all || (errors && strcmp(errors, "first") == 0), 1, "errors: \"first\" or \"all\" expected");
  lua_Integer limit = opt_limit(L, 3);
  struct group *grp = gl_new_object(L, GL_GROUP, sizeof *grp, 2);
  grp->all = all;
  set_limit(L, grp, limit);
  struct gl_ctx *c = gl_new_ctx(L, GL_CTX_SCOPE, 2);
  gl_set_core(L, c, gos_with_cancel(p ? p->x : NULL));
  lua_setiuservalue(L, 5, CONTEXT);
  lua_newtable(L);
  lua_setiuservalue(L, 5, ERRORS);
  return 1;
}

/* ---- starting --------------------------------------------------------------------------------- */

static void make_room(lua_State *L, struct group *grp) {
  if (grp->room > grp->nerrors + grp->running) return;
  lua_getiuservalue(L, 1, ERRORS);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, grp->room + 1);
  lua_pop(L, 1);
  grp->room++;
}

/* On svc: its error, if it has failed, above its handle on the top. */
static bool push_error(lua_State *svc, const struct gl_go *g) {
  if (!g->failed && g->nresults < 2) return false;
  lua_getiuservalue(svc, -1, GL_GO_RESULT); /* the error, or the table of results */
  if (g->failed) return true;
  bool error = lua_rawgeti(svc, -1, 1) == LUA_TNIL && lua_rawgeti(svc, -2, 2) != LUA_TNIL;
  if (!error) return false;
  lua_replace(svc, -3);
  lua_pop(svc, 1);
  return true;
}

static void let_go(struct group *grp) {
  grp->running--;
  if (grp->limit) gos_sem_release(grp->limit, 1);
}

/* The end of a goroutine; its handle is on the top of svc. Nothing here allocates. */
static bool ended(struct gl_go *g, lua_State *svc) {
  struct group *grp = g->owner;
  int handle = lua_gettop(svc);
  if (push_error(svc, g)) {
    int error = lua_gettop(svc);
    lua_getiuservalue(svc, handle, GL_GO_OWNER);
    lua_getiuservalue(svc, -1, ERRORS);
    lua_pushvalue(svc, error);
    lua_rawseti(svc, -2, ++grp->nerrors);
    lua_getiuservalue(svc, error + 1, CONTEXT);
    gl_cancel(svc, -1, error);
  }
  lua_settop(svc, handle);
  let_go(grp);
  gos_waitgroup_done(&grp->wg);
  return true;
}

/* (group, f, ...): pushes the handle */
static int start(lua_State *L) {
  struct group *grp = check_group(L);
  struct gl_go *g = gl_spawn(L, lua_gettop(L) - 2, NULL, 0, 0, 1);
  g->owner = grp;
  g->ended = ended;
  gos_waitgroup_add(&grp->wg, 1); /* it has not run yet */
  return 1;
}

static int group_start(lua_State *L, gos_ns dl) {
  struct gl *S = gl_of(L);
  struct group *grp = check_group(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  bool now = dl == GOS_NOW;
  make_room(L, grp);
  gl_push_function(L, start, 0);
  lua_insert(L, 1);
  lua_pushvalue(L, 2); /* the group stays on the stack */
  lua_insert(L, 1);
  struct gl_go *me = gl_enter(L, S, &dl);
  grp->running++;
  if (grp->limit) {
    int e;
    GL_WAIT(L, S, me, e, gos_sem_acquire_dl(grp->limit, 1, dl));
    if (e != GOS_OK) {
      grp->running--;
      return gl_failed(L, S, me, e, now);
    }
  }
  if (lua_pcall(L, lua_gettop(L) - 2, 1, 0) != LUA_OK) {
    let_go(grp);
    return lua_error(L);
  }
  return 1;
}

/* go(f, ...): waits while as many run as the limit allows. */
static int group_go(lua_State *L) { return group_start(L, GOS_FOREVER); }

/* try_go(f, ...): the handle, or nil where go() would wait. */
static int group_try_go(lua_State *L) {
  if (group_start(L, GOS_NOW) > 1) lua_pushnil(L);
  return 1;
}

static int group_set_limit(lua_State *L) {
  struct group *grp = check_group(L);
  gl_self(L, gl_of(L));
  lua_Integer n = luaL_checkinteger(L, 2);
  if (grp->running > 0) return luaL_error(L, "set_limit: %d goroutines of the errgroup are running", grp->running);
  set_limit(L, grp, n);
  return 0;
}

/* ---- the end ----------------------------------------------------------------------------------- */

static void cancel(lua_State *L, int cause) {
  lua_getiuservalue(L, 1, CONTEXT);
  gl_cancel(L, -1, cause);
  lua_pop(L, 1);
}

/* Pushes the first error, or a table of them. */
static void push_errors(lua_State *L, struct group *grp) {
  lua_getiuservalue(L, 1, ERRORS);
  if (!grp->all) {
    lua_rawgeti(L, -1, 1);
    return;
  }
  lua_createtable(L, grp->nerrors, 0);
  for (int i = 1; i <= grp->nerrors; i++) {
    lua_rawgeti(L, -2, i);
    lua_rawseti(L, -2, i);
  }
}

/* wait([t]): true; or nil and the error, or why it has not been waited for. */
static int group_wait(lua_State *L) {
  struct gl *S = gl_of(L);
  struct group *grp = check_group(L);
  gos_ns dl = gl_deadline(L, 2);
  bool now = dl == GOS_NOW;
  struct gl_go *me = gl_enter(L, S, &dl);
  int e;
  GL_WAIT(L, S, me, e, gos_waitgroup_wait_dl(&grp->wg, dl));
  if (e != GOS_OK) return gl_failed(L, S, me, e, now);
  cancel(L, 0);
  if (grp->nerrors == 0) {
    lua_pushboolean(L, 1);
    return 1;
  }
  push_errors(L, grp);
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

/* The end of a scope: waits, and raises the error. Where the scope ends by one, that is the cause
   of the others' end. */
static int group_close(lua_State *L) {
  struct gl *S = gl_of(L);
  struct group *grp = check_group(L);
  lua_settop(L, 2);
  bool failing = !lua_isnil(L, 2);
  if (failing) cancel(L, 2);
  gos_ns dl = GOS_FOREVER;
  struct gl_go *me = gl_enter(L, S, &dl);
  int e;
  GL_WAIT(L, S, me, e, gos_waitgroup_wait_dl(&grp->wg, dl));
  if (e != GOS_OK) {
    gl_failed(L, S, me, e, false);
    return luaL_error(L, "%s", lua_tostring(L, -1));
  }
  cancel(L, 0);
  if (failing || grp->nerrors == 0) return 0;
  push_errors(L, grp);
  return lua_error(L);
}

static int group_ctx(lua_State *L) {
  check_group(L);
  lua_getiuservalue(L, 1, CONTEXT);
  return 1;
}

static int group_gc(lua_State *L) {
  struct group *grp = lua_touserdata(L, 1);
  gos_sem_free(grp->limit);
  grp->limit = NULL;
  return 0;
}

const luaL_Reg gl_errgroup_functions[] = {{"errgroup", errgroup}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"go", group_go},     {"try_go", group_try_go}, {"set_limit", group_set_limit},
                                   {"wait", group_wait}, {"ctx", group_ctx},       {NULL, NULL}};
static const luaL_Reg meta[] = {{"__close", group_close}, {"__gc", group_gc}, {NULL, NULL}};
const struct gl_class gl_errgroup_classes[] = {{GL_GROUP, "gossamer.errgroup", methods, meta}, {0}};
