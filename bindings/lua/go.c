/* Goroutines: a core goroutine whose C stack runs a Lua thread of its own by lua_pcall.
 *
 * Because the C stack is parked and not the Lua thread, a goroutine may wait wherever Lua calls
 * back: in comparators, gsub functions, metamethods, iterators, pcall, require, coroutines.
 *
 * A goroutine's Lua thread is never used for a second one: programs key tables by
 * coroutine.running().
 *
 * An error that nobody joins is reported once: a second after the goroutine's end, before a
 * deadlock's report, or at the end of the program. A handle in gl.unseen is still anchored.
 *
 * Nothing here raises an error on a goroutine's thread outside of its lua_pcall.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>

#include "lgos.h"

enum { GRACE = 1000000000 }; /* ns for a join to come */

void gl_link(struct gl_go *ring, struct gl_go *g) {
  g->next = ring;
  g->prev = ring->prev;
  g->prev->next = g;
  ring->prev = g;
}

static void unlink_go(struct gl_go *g) {
  g->prev->next = g->next;
  g->next->prev = g->prev;
}

void gl_push_go(lua_State *L, struct gl_go *g) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, g->a.S->vals);
  lua_rawgeti(L, -1, g->slot);
  lua_remove(L, -2);
}

static struct gl_go *go_of(void *arg) { return (struct gl_go *)((char *)arg - offsetof(struct gl_go, a)); }

static struct gl_go *check_go(lua_State *L, int idx) { return gl_check(L, idx, GL_GO, "goroutine"); }

/* ---- extras: what few goroutines have ------------------------------------------------------ */

/* Pops a value: handle's extras[k]. */
void gl_set_extra(lua_State *L, int handle, const char *k) {
  handle = lua_absindex(L, handle);
  if (lua_getiuservalue(L, handle, GL_GO_EXTRAS) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, handle, GL_GO_EXTRAS);
  }
  lua_insert(L, -2);
  lua_setfield(L, -2, k);
  lua_pop(L, 1);
}

static int push_extra(lua_State *L, int handle, const char *k) {
  if (lua_getiuservalue(L, handle, GL_GO_EXTRAS) != LUA_TTABLE) return LUA_TNIL; /* the nil stays */
  int type = lua_getfield(L, -1, k);
  lua_remove(L, -2);
  return type;
}

/* ---- tracebacks ------------------------------------------------------------------------------ */

/* Of a goroutine that has not ended. */
static void push_traceback(lua_State *L, struct gl_go *g) {
  bool running = gl_self(L, g->a.S) == g;
  lua_State *at = running ? L : g->at;
  if (at == g->L || !at) {
    luaL_traceback(L, g->L, NULL, running);
    return;
  }
  luaL_traceback(L, at, NULL, running);
  lua_pushliteral(L, "\nin a coroutine of the goroutine's own thread\n");
  luaL_traceback(L, g->L, NULL, 0);
  lua_concat(L, 3);
}

/* ---- errors that nobody has joined ------------------------------------------------------------ */

static void see(struct gl_go *g) {
  if (!g->unseen) return;
  struct gl *S = g->a.S;
  g->unseen = false;
  unlink_go(g);
  if (S->unseen.next == &S->unseen && S->reaper) gos_timer_stop(S->reaper);
  free(g->text);
  g->text = NULL;
  gl_unanchor(S, g->slot);
}

static void print(const struct gl_go *g) {
  if (g->text)
    fprintf(stderr, "%s\n", g->text);
  else
    fprintf(stderr, "gossamer: goroutine %llu: not enough memory\n", (unsigned long long)g->id);
  fflush(stderr);
}

void gl_report_all(struct gl *S) {
  while (S->unseen.next != &S->unseen) {
    print(S->unseen.next);
    see(S->unseen.next);
  }
}

/* (handle): the function given to on_panic, in a goroutine of its own. */
static int start_panic_fn(lua_State *L) {
  struct gl *S = gl_of(L);
  lua_settop(L, 1);
  lua_rawgeti(L, GL_VALS, S->panic_fn);
  lua_getiuservalue(L, 1, GL_GO_RESULT);
  push_extra(L, 1, "traceback");
  lua_pushvalue(L, 1);
  gl_spawn(L, 3, "on_panic", 0, 0, 0)->on_panic = true;
  return 0;
}

static int with_upvalues(lua_State *L) { /* start_panic_fn, on the service thread */
  struct gl *S = gl_here;
  lua_pushlightuserdata(L, S);
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->vals);
  lua_pushcclosure(L, start_panic_fn, 2);
  gl_push_go(L, lua_touserdata(L, 1));
  lua_call(L, 1, 0);
  return 0;
}

static void report(struct gl_go *g) {
  lua_State *svc = g->a.S->svc;
  bool called = false;
  if (g->a.S->on_panic == GL_PANIC_CALL && !g->on_panic) {
    lua_pushcfunction(svc, with_upvalues);
    lua_pushlightuserdata(svc, g);
    called = lua_pcall(svc, 1, 0, 0) == LUA_OK;
    if (!called) lua_pop(svc, 1);
  }
  if (!called) print(g);
  see(g);
}

static void arm_reaper(struct gl *S, gos_ns d) {
  if (S->reaper)
    gos_timer_reset(S->reaper, d);
  else
    S->reaper = gos_realm_after_func(S->realm, d, gl_reap, &S->reaper_arg);
}

void gl_reap(void *arg) {
  struct gl *S = ((struct gl_arg *)arg)->S;
  S->cur = &S->service;
  while (!S->ending && S->unseen.next != &S->unseen) {
    gos_ns left = S->unseen.next->died + GRACE - gos_now();
    if (left > 0) {
      arm_reaper(S, left);
      return;
    }
    report(S->unseen.next);
  }
}

/* ---- the life of a goroutine ------------------------------------------------------------------ */

/* The message handler of a goroutine's lua_pcall: keeps the traceback, and the report's text. */
static int keep_traceback(lua_State *L) {
  struct gl_go *g = gl_here->cur;
  gos_info info;
  if (gos_info_get(g->h, &info, sizeof info) != GOS_OK) memset(&info, 0, sizeof info);
  lua_settop(L, 1);
  gl_push_go(L, g);
  if (!g->iso || push_extra(L, 2, "remote") != LUA_TSTRING) { /* that of the isolate tells more */
    lua_settop(L, 2);
    luaL_traceback(L, L, NULL, 1);
  }
  lua_pushvalue(L, -1);
  gl_set_extra(L, 2, "traceback");
  const char *traceback = lua_tostring(L, 3);
  lua_pushvalue(L, 1); /* a copy: lua_tostring makes a number a string */
  const char *message = lua_tostring(L, -1);
  if (!message && luaL_callmeta(L, 1, "__tostring")) message = lua_tostring(L, -1);
  if (!message) message = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  lua_pushfstring(L, "gossamer: goroutine %I%s%s: %s\n%s\ncreated by goroutine %I", (lua_Integer)g->id,
                  *info.name ? " " : "", info.name, message, traceback, (lua_Integer)info.creator);
  if (g->a.line) {
    lua_pushfstring(L, " at %s:%d", g->a.src, g->a.line);
    lua_concat(L, 2);
  }
  free(g->text);
  g->text = strdup(lua_tostring(L, -1));
  lua_settop(L, 1);
  return 1;
}

static int pack(lua_State *L) {
  int n = lua_gettop(L);
  lua_createtable(L, n, 0);
  lua_insert(L, 1);
  for (int i = n; i > 0; i--) lua_rawseti(L, 1, i);
  return 1;
}

static void give_back(struct gl_go *g) {
  gos_release(g->h);
  g->h = NULL;
}

static void crash(struct gl_go *g) {
  print(g);
  fflush(NULL);
  gos_dump(2, 0);
  exit(2);
}

static void fail(struct gl_go *g) {
  struct gl *S = g->a.S;
  g->unseen = true;
  g->died = gos_now();
  gl_link(&S->unseen, g);
  if (S->on_panic == GL_PANIC_CRASH && !g->joiners) crash(g);
  if (S->unseen.next == g) arm_reaper(S, GRACE);
}

/* The end. L's stack is one value more, then the results; with a bad status the error is on top. */
static void end(struct gl_go *g, lua_State *L, int status) {
  struct gl *S = g->a.S;
  lua_State *svc = S->svc;
  g->nresults = lua_gettop(L) - 1;
  if (status == LUA_OK && g->nresults > 1) {
    if (lua_checkstack(L, 1)) {
      lua_pushcfunction(L, pack);
      lua_insert(L, 2);
      status = lua_pcall(L, g->nresults, 1, 0);
    } else {
      status = LUA_ERRMEM;
    }
  }
  g->L = g->at = NULL;
  unlink_go(g);
  lua_rawgeti(svc, LUA_REGISTRYINDEX, S->vals);
  lua_rawgeti(svc, -1, g->slot);
  if (status != LUA_OK || g->nresults > 0)
    lua_xmove(L, svc, 1);
  else
    lua_pushnil(svc);
  lua_settop(L, 0);                         /* a dead coroutine to whoever still knows it */
  lua_setiuservalue(svc, -2, GL_GO_RESULT); /* L may be collected from here on */
  g->failed = status != LUA_OK;
  bool seen = g->ended && g->ended(g, svc);
  if (seen || status == LUA_OK || status == LUA_ERRMEM) { /* else of an error inside it: load catches its reader's */
    free(g->text);
    g->text = NULL;
  }
  lua_settop(svc, -3);
  if (g->failed && !seen)
    fail(g);
  else
    gl_unanchor(S, g->slot);
  if (!g->joiners) give_back(g);
}

/* Tells the core the labels that go{...} gave; it hands them on by itself to those that are started. Nothing
   here allocates in Lua: the strings exist. Should the core have no memory, its dumps lack them. */
static void tell_labels(struct gl_go *g) {
  lua_State *svc = g->a.S->svc;
  int top = lua_gettop(svc);
  gl_push_go(svc, g);
  if (push_extra(svc, -1, "labels") == LUA_TTABLE)
    for (lua_pushnil(svc); lua_next(svc, -2); lua_pop(svc, 1))
      gos_set_label(lua_tostring(svc, -2), lua_tostring(svc, -1));
  lua_settop(svc, top);
}

static void run(void *arg) {
  struct gl_go *g = go_of(arg);
  lua_State *L = g->L;
  g->a.S->cur = g;
  if (g->a.S->ending) gl_vanish(g->a.S, g);
  if (g->told) tell_labels(g);
  end(g, L, lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 1));
}

void gl_go_start_failed(void *arg) {
  struct gl_go *g = go_of(arg);
  lua_State *L = g->L;
  lua_settop(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, g->a.S->vals);
  lua_rawgeti(L, -1, GL_NOMEM);
  end(g, L, LUA_ERRMEM);
}

/* ---- the end of a state while others go on --------------------------------------------------- */

_Noreturn void gl_vanish(struct gl *S, struct gl_go *me) {
  me->L = me->at = NULL;
  unlink_go(me);
  if (me->ended) {
    lua_rawgeti(S->svc, LUA_REGISTRYINDEX, S->vals);
    lua_rawgeti(S->svc, -1, me->slot);
    me->ended(me, S->svc);
    lua_pop(S->svc, 2);
  }
  gl_link(&S->gone, me);
  gos_goexit();
  abort();
}

/* Where its wait was not interrupted but had just succeeded: before the next step of Lua code. */
static void vanish_hook(lua_State *L, lua_Debug *ar) {
  (void)L, (void)ar;
  gl_vanish(gl_here, gl_here->cur);
}

static void hook(lua_State *L) {
  if (L) lua_sethook(L, vanish_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

/* Each leaves what it waits for by itself: a channel that others use must not know it any more. */
void gl_end_others(struct gl *S) {
  struct gl_go *g;
  S->ending = true;
  while ((g = S->live.next == S->main ? S->main->next : S->live.next) != &S->live) {
    gos_g *h = gos_g_retain(g->h);
    hook(g->L);
    hook(g->at);
    gos_interrupt(h);
    gos_join(h, GOS_FOREVER);
    S->cur = S->main;
    gos_release(h);
  }
  while ((g = S->gone.next) != &S->gone) {
    unlink_go(g);
    give_back(g);
  }
  for (int i = 0; i < 3; i++) gos_gosched(); /* timers' functions that are just being started */
  S->cur = S->main;
}

/* They never run again. The interrupt takes them out of what they wait for in the core, which may
   outlive this state, or whose address may be given to something else. */
void gl_go_abandon_all(struct gl *S) {
  for (struct gl_go *g = S->live.next; g != &S->live; g = g->next) {
    if (g == S->main) continue;
    gos_interrupt(g->h);
    gos_release(g->h);
  }
  if (S->reaper) gos_timer_free(S->reaper);
  S->reaper = NULL;
}

/* Labels of the running goroutine go on to the ones it starts. */
static void inherit_labels(lua_State *L, struct gl_go *me, int handle) {
  handle = lua_absindex(L, handle);
  gl_push_go(L, me);
  push_extra(L, -1, "labels");
  gl_set_extra(L, handle, "labels");
  lua_pop(L, 1);
}

struct gl_go *gl_spawn(lua_State *L, int n, const char *name, size_t stack, int extras, int owner) {
  struct gl *S = gl_of(L);
  struct gl_go *me = gl_self(L, S);
  gl_begin(L, S);
  int fn = lua_gettop(L) - n;
  luaL_checkstack(L, n + 8, "too many arguments");
  struct gl_go *g = memset(lua_newuserdatauv(L, sizeof *g, owner ? 3 : 2), 0, sizeof *g);
  int handle = fn + n + 1;
  lua_rawgeti(L, GL_VALS, GL_GO);
  lua_setmetatable(L, handle);
  if (extras) {
    lua_pushvalue(L, extras);
    lua_setiuservalue(L, handle, GL_GO_EXTRAS);
  } else if (me->labelled) {
    inherit_labels(L, me, handle);
  }
  if (owner) {
    lua_pushvalue(L, owner);
    lua_setiuservalue(L, handle, GL_GO_OWNER);
  }
  g->type = &gl_mark[GL_GO];
  g->a.S = S;
  g->a.kind = GL_GO;
  gl_set_site(L, &g->a);
  g->labelled = me->labelled || extras;
  g->told = extras != 0;
  g->L = g->at = lua_newthread(L);
  if (n + 2 > LUA_MINSTACK && !lua_checkstack(g->L, n + 2)) luaL_error(L, "too many arguments");
  gl_reserve(L, S, GL_VALS, 1); /* after all that may run a finalizer, which may take a slot */
  int e = gos_realm_go(S->realm, name, stack, run, &g->a, &g->h);
  if (e < 0) luaL_error(L, e == GOS_NOMEM ? "not enough memory for a goroutine" : "go: %s", gos_strerror(e));
  /* From here on nothing fails; the goroutine does not run before this thread waits. */
  lua_setiuservalue(L, handle, GL_GO_RESULT);
  lua_pushvalue(L, handle);
  g->slot = gl_anchor(L, S, GL_VALS);
  g->id = gos_g_id(g->h);
  gl_link(&S->live, g);
  lua_pushcfunction(g->L, keep_traceback);
  for (int i = 0; i <= n; i++) lua_pushvalue(L, fn + i);
  lua_xmove(L, g->L, n + 1);
  return g;
}

void gl_push_function(lua_State *L, lua_CFunction f, int n) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, GL_VALS);
  lua_rotate(L, -(n + 2), 2);
  lua_pushcclosure(L, f, n + 2);
}

/* ---- bound functions -------------------------------------------------------------------------- */

/* Copies the strings of a table at from, which must hold nothing else, into one at to. */
static void copy_labels(lua_State *L, int from, int to) {
  luaL_argcheck(L, lua_istable(L, from), 1, "labels: table expected");
  for (lua_pushnil(L); lua_next(L, from);) {
    luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING, 1,
                  "labels: names and values must be strings");
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, to);
  }
}

void gl_push_extras(lua_State *L, struct gl_go *me) {
  int extras = lua_gettop(L) + 1, labels = extras + 1, from = extras + 2;
  lua_createtable(L, 0, 2);
  lua_createtable(L, 0, 4);
  if (me->labelled) {
    gl_push_go(L, me);
    if (push_extra(L, -1, "labels") == LUA_TTABLE) copy_labels(L, from + 1, labels);
    lua_settop(L, labels);
  }
  if (lua_getfield(L, 1, "labels") != LUA_TNIL) copy_labels(L, from, labels);
  lua_settop(L, labels);
  lua_setfield(L, extras, "labels");
  int type = lua_getfield(L, 1, "name");
  luaL_argcheck(L, type == LUA_TNIL || type == LUA_TSTRING, 1, "name: string expected");
  lua_setfield(L, extras, "name");
}

/* go{f, ..., name=, labels=, stack=} */
static int go_table(lua_State *L) {
  static const char *const options[] = {"name", "labels", "stack", NULL};
  gl_check_options(L, options);
  lua_settop(L, 1);
  gl_push_extras(L, gl_self(L, gl_of(L))); /* 2 */
  lua_getfield(L, 2, "name");              /* 3 */
  int is_int = 1;
  lua_Integer stack = lua_getfield(L, 1, "stack") == LUA_TNIL ? 0 : lua_tointegerx(L, 4, &is_int);
  luaL_argcheck(L, is_int && stack >= 0 && stack <= (lua_Integer)1 << 40, 1, "stack: number of bytes expected");
  lua_Unsigned n = lua_rawlen(L, 1);
  luaL_checkstack(L, n < INT32_MAX ? (int)n : INT32_MAX, "too many arguments");
  for (lua_Unsigned i = 1; i <= n; i++) lua_rawgeti(L, 1, (lua_Integer)i);
  luaL_argcheck(L, n > 0 && gl_callable(L, 5), 1, "the table's first element must be a function");
  gl_spawn(L, (int)n - 1, lua_tostring(L, 3), (size_t)stack, 2, 0);
  return 1;
}

static int go(lua_State *L) {
  if (!gl_callable(L, 1)) {
    if (lua_istable(L, 1)) return go_table(L);
    return luaL_typeerror(L, 1, "function");
  }
  gl_spawn(L, lua_gettop(L) - 1, NULL, 0, 0, 0);
  return 1;
}

/* Waits for the end of g. 0, or the number of results pushed to say why it has not been waited for. */
static int wait_for(lua_State *L, struct gl_go *g, gos_ns deadline) {
  struct gl *S = gl_of(L);
  bool now = deadline == GOS_NOW;
  int n = gl_refused(L, S, deadline);
  if (n) return n;
  if (g->L) {
    int e;
    struct gl_go *me = gl_enter(L, S, &deadline);
    if (g == me) return luaL_error(L, "a goroutine cannot join itself");
    g->joiners++;
    GL_WAIT(L, S, me, e, gos_join(g->h, deadline));
    g->joiners--;
    if (S->ending && me != S->main) gl_vanish(S, me);
    /* It may have ended since; but what interrupted the wait, Ctrl-C say, must not be lost. */
    if (g->L || e == GOS_AGAIN || e == GOS_CANCELED) return gl_failed(L, S, me, e, now);
  }
  if (!g->joiners && g->h) give_back(g);
  return 0;
}

/* Pushes nil, the error and its traceback of the handle at 1, which failed. */
static int push_failure(lua_State *L, struct gl_go *g) {
  see(g);
  lua_pushnil(L);
  lua_getiuservalue(L, 1, GL_GO_RESULT);
  push_extra(L, 1, "traceback");
  return 3;
}

static int go_join(lua_State *L) {
  struct gl_go *g = check_go(L, 1);
  int n = wait_for(L, g, gl_deadline(L, 2));
  if (n) return n;
  if (g->failed) return push_failure(L, g);
  lua_settop(L, 1);
  lua_pushboolean(L, 1);
  if (g->nresults == 0) return 1;
  lua_getiuservalue(L, 1, GL_GO_RESULT);
  if (g->nresults == 1) return 2;
  luaL_checkstack(L, g->nresults, "too many results");
  for (int i = 1; i <= g->nresults; i++) lua_rawgeti(L, 3, i);
  lua_remove(L, 3);
  return 1 + g->nresults;
}

/* The end of a scope: waits, and raises the goroutine's error. Where another error is already
   on its way, it is reported. */
static int go_close(lua_State *L) {
  struct gl_go *g = check_go(L, 1);
  bool failing = !lua_isnoneornil(L, 2);
  int n = wait_for(L, g, GOS_FOREVER);
  if (n) return luaL_error(L, "%s", lua_tostring(L, -1));
  if (!g->failed) return 0;
  if (failing) {
    if (g->unseen) report(g);
    return 0;
  }
  push_failure(L, g);
  lua_pop(L, 1);
  return lua_error(L);
}

/* The handle keeps it: one that has ended has no other trace of the channel that was given before. */
static int go_done(lua_State *L) {
  struct gl_go *g = check_go(L, 1);
  if (push_extra(L, 1, "done") == LUA_TUSERDATA) return 1;
  struct gl_chan *ch = gl_new_chan(L, GL_CAN_RECV, GL_NOTHING, 0);
  if (g->h) {
    gos_chan *c = gos_done(g->h);
    if (!c) return luaL_error(L, "not enough memory");
    ch->h = gos_g_retain(g->h); /* the channel lives as long as a handle */
    ch->c = gos_chan_retain(c);
  } else {
    ch->c = gos_realm_chan(g->a.S->realm, sizeof(gl_value), 0);
    if (!ch->c) return luaL_error(L, "not enough memory");
    gos_chan_close(ch->c);
  }
  lua_pushvalue(L, -1);
  gl_set_extra(L, 1, "done");
  return 1;
}

static int go_interrupt(lua_State *L) {
  struct gl_go *g = check_go(L, 1);
  if (!g->L) {
    lua_pushboolean(L, 0);
    return 1;
  }
  if (g->iso) return gl_isolate_interrupt(L, g->iso);
  if (!lua_isnoneornil(L, 2)) {
    lua_settop(L, 2);
    gl_set_extra(L, 1, "interrupt");
    g->interrupted = true;
  }
  lua_pushboolean(L, gos_interrupt(g->h) == GOS_OK);
  return 1;
}

static int go_id(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_go(L, 1)->id);
  return 1;
}

static int go_name(lua_State *L) {
  check_go(L, 1);
  push_extra(L, 1, "name");
  return 1;
}

static int go_labels(lua_State *L) {
  check_go(L, 1);
  lua_settop(L, 1);
  lua_newtable(L);
  if (push_extra(L, 1, "labels") == LUA_TTABLE) copy_labels(L, 3, 2);
  lua_settop(L, 2);
  return 1;
}

static int go_status(lua_State *L) {
  struct gl_go *g = check_go(L, 1);
  gos_info info = {.status = "dead"};
  if (g->L) gos_info_get(g->h, &info, sizeof info);
  lua_pushstring(L, info.status);
  lua_pushstring(L, info.wait_reason); /* NULL gives nil */
  return 2;
}

static int go_traceback(lua_State *L) {
  struct gl_go *g = check_go(L, 1);
  if (g->L)
    push_traceback(L, g);
  else if (g->failed)
    push_extra(L, 1, "traceback");
  else
    lua_pushnil(L);
  return 1;
}

static int go_tostring(lua_State *L) {
  struct gl_go *g = check_go(L, 1);
  if (push_extra(L, 1, "name") == LUA_TSTRING)
    lua_pushfstring(L, "goroutine: %I (%s)", (lua_Integer)g->id, lua_tostring(L, -1));
  else
    lua_pushfstring(L, "goroutine: %I", (lua_Integer)g->id);
  return 1;
}

static int goid(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)gos_goid());
  return 1;
}

/* Go's words: the other goroutines go on; when none is left, that is a deadlock. */
static int goexit_main(lua_State *L, struct gl *S) {
  int e;
  do {
    gos_ns dl = GOS_FOREVER;
    struct gl_go *me = gl_enter(L, S, &dl);
    GL_WAIT(L, S, me, e, gos_chan_recv_dl(NULL, NULL, dl));
  } while (e == GOS_CANCELED);
  if (e != GOS_DEADLOCK) return gl_failed(L, S, S->main, e, false);
  gl_report_all(S);
  return luaL_error(L, "no goroutines (main called goexit) - deadlock!\n%s", gos_realm_deadlock(S->realm));
}

/* Closes what is to be closed, on the calling coroutine and on the goroutine's own thread, and
   ends it without a way back: no pcall can catch it. */
static int goexit(lua_State *L) {
  struct gl *S = gl_of(L);
  struct gl_go *me = gl_self(L, S);
  gos_ns dl = GOS_FOREVER;
  gl_enter(L, S, &dl);
  if (dl == GOS_NOW || me == &S->service) return gl_not_here(L, "end a goroutine");
  if (me == S->main) return goexit_main(L, S);
  lua_State *own = me->L;
  int inner = L == own ? LUA_OK : lua_resetthread(L);
  int status = lua_resetthread(own);
  if (status == LUA_OK && inner != LUA_OK) {
    lua_xmove(L, own, 1);
    status = inner;
  }
  lua_pushnil(own);
  lua_insert(own, 1);
  end(me, own, status);
  gos_goexit();
  return 0;
}

static void add_stack(lua_State *L, luaL_Buffer *b, struct gl_go *g) {
  gos_info info = {.status = "running"};
  gos_info_get(g->h, &info, sizeof info);
  lua_pushfstring(L, "goroutine %I%s%s [%s]:\n", (lua_Integer)g->id, *info.name ? " " : "", info.name,
                  info.wait_reason ? info.wait_reason : info.status);
  luaL_addvalue(b);
  push_traceback(L, g);
  luaL_addvalue(b);
  if (g->a.line) {
    lua_pushfstring(L, "\ncreated by goroutine %I at %s:%d", (lua_Integer)info.creator, g->a.src, g->a.line);
    luaL_addvalue(b);
  }
  luaL_addchar(b, '\n');
}

static int stack(lua_State *L) {
  struct gl *S = gl_of(L);
  struct gl_go *me = gl_self(L, S);
  if (me == &S->service) me = S->main;
  bool all = lua_toboolean(L, 1);
  lua_settop(L, 0);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  add_stack(L, &b, me);
  for (struct gl_go *g = S->live.next; all && g != &S->live; g = g->next) {
    if (g == me) continue;
    luaL_addchar(&b, '\n');
    add_stack(L, &b, g);
  }
  luaL_pushresult(&b);
  return 1;
}

static int goroutines(lua_State *L) {
  struct gl *S = gl_of(L);
  lua_Integer n = 0;
  lua_newtable(L);
  for (struct gl_go *g = S->live.next; g != &S->live; g = g->next) {
    lua_rawgeti(L, GL_VALS, g->slot);
    lua_rawseti(L, 1, ++n);
  }
  return 1;
}

static int on_panic(lua_State *L) {
  struct gl *S = gl_of(L);
  static const char *const names[] = {"report", "crash", NULL};
  if (!lua_isfunction(L, 1)) {
    S->on_panic = luaL_checkoption(L, 1, NULL, names) ? GL_PANIC_CRASH : GL_PANIC_REPORT;
    return 0;
  }
  gl_reserve(L, S, GL_VALS, 1);
  if (S->panic_fn) gl_unanchor(S, S->panic_fn);
  lua_settop(L, 1);
  S->panic_fn = gl_anchor(L, S, GL_VALS);
  S->on_panic = GL_PANIC_CALL;
  return 0;
}

const luaL_Reg gl_go_functions[] = {{"go", go},       {"goexit", goexit},         {"goid", goid},
                                    {"stack", stack}, {"goroutines", goroutines}, {"on_panic", on_panic},
                                    {NULL, NULL}};

static const luaL_Reg methods[] = {
    {"join", go_join},     {"done", go_done},           {"interrupt", go_interrupt}, {"id", go_id}, {"name", go_name},
    {"status", go_status}, {"traceback", go_traceback}, {"labels", go_labels},       {NULL, NULL}};
static const luaL_Reg meta[] = {{"__close", go_close}, {"__tostring", go_tostring}, {NULL, NULL}};
const struct gl_class gl_go_classes[] = {{GL_GO, "gossamer.goroutine", methods, meta}, {0}};
