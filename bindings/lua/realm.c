/* The realm of a Lua state family: made on first use, closed by the state's end.
 *
 * The realm is pinned: its goroutines all run on the thread that first used gossamer in this
 * state, which is also the only thread that may use the state from then on. That thread's
 * own stack is the main goroutine.
 *
 * lua_close() may run on any goroutine's stack (os.exit(code, true)); it calls the finalizer of
 * struct gl after those of all our other objects, because struct gl is older.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stddef.h>
#include <stdio.h>

#include "message.h"

enum { STACK = 512 * 1024 }; /* 200 nested C calls (LUAI_MAXCCALLS) of string.gsub need 384 KB */

static const char key; /* of struct gl in the registry */
_Thread_local struct gl *gl_here;
const char gl_mark[GL_FIXED];

static void site(void *u, void *arg, char *buf, size_t n) {
  (void)u;
  const struct gl_arg *a = arg;
  if (!n) return;
  buf[0] = 0;
  if (a && a->line) snprintf(buf, n, "%s:%d", a->src, a->line);
}

/* The same for ps, which reads it from outside. */
static const gos_layout layout[] = {
    {"arg.line", offsetof(struct gl_arg, line)},
    {"arg.src", offsetof(struct gl_arg, src)},
    {"arg.src_size", LUA_IDSIZE},
    {"", 0},
};

static int alone(void *u) { /* no other thread can reach a Lua state */
  (void)u;
  return 1;
}

/* A signal handler such as lua5.4's own sets a hook on the main thread: then main must run it. */
static int pending(void *u) {
  struct gl *S = u;
  lua_Hook hook = lua_gethook(S->mainL);
  return hook && hook != S->hook;
}

static int nothing(lua_State *L) {
  (void)L;
  return 0;
}

bool gl_signals(lua_State *L, struct gl *S) {
  S->hook = lua_gethook(S->mainL);
  if (L != S->mainL) return true; /* a coroutine of main: the hook runs when main goes on */
  gos_ctx *x = S->main->ctx;
  lua_pushcfunction(L, nothing); /* its call event runs the hook */
  bool ok = lua_pcall(L, 0, 0, 0) == LUA_OK;
  S->main->ctx = x; /* the hook may have waited too */
  return ok;
}

static void start_failed(void *u, void *arg) {
  (void)u;
  switch (((struct gl_arg *)arg)->kind) {
  case GL_GO: gl_go_start_failed(arg); break;
  case GL_AFTER: gl_after_start_failed(arg); break;
  default: gl_timer_start_failed(arg);
  }
}

static gos_realm *new_realm(struct gl *S, int *err) {
  return gos_realm_new(&(gos_host){.size = sizeof(gos_host),
                                   .flags = GOS_HOST_PINNED,
                                   .language = "lua",
                                   .u = S,
                                   .stack = STACK,
                                   .stuck = gl_preempt_stuck,
                                   .pending = pending,
                                   .alone = alone,
                                   .start_failed = start_failed,
                                   .site = site,
                                   .layout = layout},
                       err);
}

/* What a timer or a context of others has just started comes first: it sees that the state ends, and does nothing. */
static bool end_realm(struct gl *S) {
  enum { ROUNDS = 100 };
  int e = gos_realm_end(S->realm);
  for (int i = 0; e == GOS_PERM && i < ROUNDS; i++) {
    gos_gosched();
    S->cur = S->main;
    e = gos_realm_end(S->realm);
  }
  return e == GOS_OK;
}

static int close_state(lua_State *L) {
  struct gl *S = lua_touserdata(L, 1);
  if (S->realm) {
    gl_report_all(S);
    gl_signals_end(S);
    gl_go_abandon_all(S);
    if (!S->iso || !end_realm(S)) gos_realm_close(S->realm);
    gl_preempt_end(S);
    S->realm = NULL;
    S->thread = NULL;
    gl_here = NULL;
  }
  gl_messages_end(S);
  free(S->next);
  S->next = NULL;
  return 0;
}

static void at_exit(void) { /* exit() without lua_close() */
  if (gl_here) gl_report_all(gl_here);
}

static lua_State *main_thread(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *mainL = lua_tothread(L, -1);
  lua_pop(L, 1);
  return mainL;
}

/* A Lua thread for runtime code; nobody's hooks run there. */
static lua_State *new_service(lua_State *L) {
  lua_State *svc = lua_newthread(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &gl_here);
  lua_sethook(svc, NULL, 0, 0);
  if (!lua_checkstack(svc, LUA_MINSTACK)) luaL_error(L, "not enough memory");
  return svc;
}

/* The values' table with its fixed slots, which the classes will fill. */
static void new_values(lua_State *L, struct gl *S) {
  lua_createtable(L, 64, 0);
  gl_reserve(L, S, -1, 63);
  for (int i = 1; i < GL_FIXED; i++) {
    if (i == GL_NOMEM)
      lua_pushliteral(L, "not enough memory for the goroutine's stack");
    else
      lua_pushboolean(L, 0);
    gl_anchor(L, S, -2);
  }
  S->vals = luaL_ref(L, LUA_REGISTRYINDEX);
}

static struct gl_go *new_main(lua_State *L, struct gl *S) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->vals);
  struct gl_go *g = memset(lua_newuserdatauv(L, sizeof *g, 2), 0, sizeof *g);
  g->type = &gl_mark[GL_GO];
  g->a = (struct gl_arg){.S = S, .kind = GL_GO};
  g->L = g->at = S->mainL;
  gl_reserve(L, S, -2, 1);
  g->slot = gl_anchor(L, S, -2);
  lua_pop(L, 1);
  return g;
}

struct gl *gl_open(lua_State *L) {
  static uint32_t registered;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TUSERDATA) {
    struct gl *S = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return S;
  }
  if (gos_abi_version() != GOS_ABI)
    luaL_error(L, "gossamer: this module needs a libgossamer with ABI %d, but ABI %d is loaded", GOS_ABI,
               gos_abi_version());
  struct gl *S = memset(lua_newuserdatauv(L, sizeof *S, 0), 0, sizeof *S);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, close_state);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  S->live.prev = S->live.next = &S->live;
  S->unseen.prev = S->unseen.next = &S->unseen;
  S->gone.prev = S->gone.next = &S->gone;
  S->mainL = main_thread(L);
  S->svc = new_service(L);
  new_values(L, S);
  S->main = new_main(L, S);
  S->iso = gl_isolate_here;
  S->service.a = (struct gl_arg){.S = S};
  S->reaper_arg = S->service.a;
  int err;
  S->realm = new_realm(S, &err);
  if (!S->realm)
    luaL_error(L,
               err == GOS_PERM ? "gossamer: this thread already runs the goroutines of another state, which is not "
                                 "closed yet, or of C: a thread for each"
                               : "gossamer: %s",
               gos_strerror(err));
  S->main->h = gos_realm_main(S->realm);
  S->main->id = gos_g_id(S->main->h);
  gl_link(&S->live, S->main);
  S->cur = S->main;
  S->thread = __builtin_thread_pointer();
  gl_here = S;
  if (!__atomic_exchange_n(&registered, 1, __ATOMIC_RELAXED)) atexit(at_exit);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
  return S;
}

void gl_wrong_thread(lua_State *L, struct gl *S) {
  luaL_error(L, S->realm ? "gossamer: a Lua state belongs to the thread that first used it"
                         : "gossamer: the Lua state is being closed");
}

void gl_set_site(lua_State *L, struct gl_arg *a) {
  lua_Debug ar;
  a->line = 0;
  for (int level = 1; level < 4 && lua_getstack(L, level, &ar); level++) { /* past C and tail calls */
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0) continue;
    a->line = ar.currentline;
    memcpy(a->src, ar.short_src, sizeof a->src);
    return;
  }
}

struct gl_go *gl_enter(lua_State *L, struct gl *S, gos_ns *deadline) {
  struct gl_go *me = gl_self(L, S);
  gos_ctx *x = NULL;
  if (__builtin_expect(S->ending, 0) && me != S->main) gl_vanish(S, me);
  me->at = L;
  if (*deadline < 0) { /* see gl_deadline_of */
    x = (gos_ctx *)((uintptr_t) - *deadline << 3);
    *deadline = GOS_FOREVER;
  }
  if (gl_in_finalizer(L)) { /* whoever it interrupts may be about to wait: ctx is that one's */
    *deadline = GOS_NOW;
    return me;
  }
  me->ctx = x;
  me->by_ctx = false;
  if (me == S->main)
    gl_main_waits(S);
  else if (__builtin_expect(L != me->L, 0) && gl_above_main(S, L))
    *deadline = GOS_NOW;
  return me;
}

/* What runs on main's Lua thread. */
static void *call_of_main(struct gl *S) {
  lua_Debug ar;
  return lua_getstack(S->mainL, 0, &ar) ? (void *)ar.i_ci : NULL;
}

void gl_main_waits(struct gl *S) {
  S->hook = lua_gethook(S->mainL);
  S->main_in = call_of_main(S);
}

bool gl_above_main(struct gl *S, lua_State *L) {
  return S->cur != S->main && (L == S->mainL || call_of_main(S) != S->main_in);
}

void gl_begin(lua_State *L, struct gl *S) {
  if (__builtin_expect(!S->ending, 1)) return;
  if (S->cur != S->main && S->cur != &S->service && !gl_in_finalizer(L)) gl_vanish(S, S->cur);
  luaL_error(L, "gossamer: the Lua state is being closed");
}

void gl_also_obey(lua_State *L, struct gl_go *me, gos_ctx *x) {
  if (!gl_in_finalizer(L)) me->ctx = x;
}

int gl_obey(lua_State *L, struct gl_go *me, gos_ctx **x, gos_ctx_wait *w) {
  if (gl_in_finalizer(L)) {
    *x = NULL;
    return GOS_OK;
  }
  int e = gos_ctx_wait_begin(w, *x);
  me->by_ctx = e != GOS_OK;
  return e;
}

int64_t gl_obeyed(struct gl_go *me, gos_ctx_wait *w, int64_t e) {
  int why = e < 0 && e > INT32_MIN ? (int)e : GOS_OK;
  me->by_ctx = gos_ctx_wait_end(w, &why);
  return me->by_ctx ? why : e;
}

int gl_ended_before(lua_State *L, struct gl_go *me) {
  if (!me->ctx || gl_in_finalizer(L)) return GOS_OK;
  int e = gos_ctx_err(me->ctx);
  me->by_ctx = e != GOS_OK;
  return e;
}

int gl_refused_by_ctx(lua_State *L, struct gl *S, gos_ns deadline) {
  struct gl_go *me = gl_enter(L, S, &deadline);
  int e = gl_ended_before(L, me);
  return e ? gl_failed(L, S, me, e, false) : 0;
}

/* ---- bound functions ------------------------------------------------------------------------- */

static int gosched(lua_State *L) {
  struct gl *S = gl_of(L);
  gos_ns dl = GOS_FOREVER;
  struct gl_go *me = gl_enter(L, S, &dl);
  if (dl == GOS_FOREVER) gos_gosched(); /* a finalizer just goes on */
  S->cur = me;
  if (__builtin_expect(S->ending, 0) && me != S->main) gl_vanish(S, me);
  return 0;
}

static int num_goroutine(lua_State *L) {
  lua_pushinteger(L, gos_num_goroutine());
  return 1;
}

static int num_cpu(lua_State *L) {
  lua_pushinteger(L, gos_num_cpu());
  return 1;
}

static int gomaxprocs(lua_State *L) {
  lua_Integer n = luaL_optinteger(L, 1, 0);
  luaL_argcheck(L, n >= 0 && n <= INT32_MAX, 1, "out of range");
  int was = gos_gomaxprocs((int)n);
  if (was < 0) return luaL_error(L, "gomaxprocs: %s", gos_strerror(was));
  lua_pushinteger(L, was);
  return 1;
}

static int stats(lua_State *L) {
  struct gl *S = gl_of(L);
  gos_stats s = {.size = sizeof s};
  int e = gos_stats_get(&s, sizeof s);
  if (e < 0) return luaL_error(L, "%s", gos_strerror(e));
  const struct {
    const char *name;
    uint64_t n;
  } rows[] = {{"goroutines", (uint64_t)s.goroutines},
              {"threads", (uint64_t)s.threads},
              {"idle_threads", (uint64_t)s.idle_threads},
              {"procs", (uint64_t)s.procs},
              {"created", s.created},
              {"switches_out", s.switches_out},
              {"steals", s.steals},
              {"handoffs", s.handoffs},
              {"parks", s.parks},
              {"wakes", s.wakes},
              {"stacks", s.stacks},
              {"stack_bytes", s.stack_bytes},
              {"max_threads", (uint64_t)s.max_threads},
              {"idle_procs", (uint64_t)s.idle_procs},
              {"spinning", (uint64_t)s.spinning},
              {"runqueue", (uint64_t)s.runqueue},
              {"timers", (uint64_t)s.timers},
              {"frozen", (uint64_t)s.frozen},
              {"frozen_bytes", (uint64_t)s.frozen_bytes},
              {"thawed", s.thawed},
              {"trapped", s.trapped},
              {"anchored", (uint64_t)(S->nslots - S->nfree - GL_FIXED + 1)}};
  lua_createtable(L, 0, sizeof rows / sizeof *rows);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    lua_pushinteger(L, (lua_Integer)rows[i].n);
    lua_setfield(L, -2, rows[i].name);
  }
  return 1;
}

static int dump_on_sigquit(lua_State *L) {
  (void)L;
  gos_dump_on_sigquit();
  return 0;
}

/* All goroutines of a state run on its one thread for good: what is left to say is that it counts. */
static int lock_os_thread(lua_State *L) {
  gl_self(L, gl_of(L));
  int e = gos_lock_os_thread();
  return e < 0 ? luaL_error(L, "lock_os_thread: %s", gos_strerror(e)) : 0;
}

static int unlock_os_thread(lua_State *L) {
  gl_self(L, gl_of(L));
  gos_unlock_os_thread();
  return 0;
}

const luaL_Reg gl_realm_functions[] = {{"gosched", gosched},
                                       {"num_goroutine", num_goroutine},
                                       {"num_cpu", num_cpu},
                                       {"gomaxprocs", gomaxprocs},
                                       {"stats", stats},
                                       {"dump_on_sigquit", dump_on_sigquit},
                                       {"lock_os_thread", lock_os_thread},
                                       {"unlock_os_thread", unlock_os_thread},
                                       {NULL, NULL}};
