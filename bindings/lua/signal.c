/* Signals as values of channels, and as ends of contexts.
 *
 * The core sends numbers to a channel of its own kind; a goroutine of this state, the pump, hands
 * them on as names to the channel of Lua. What the pump has received is in w->sig before it runs,
 * so that stop() can deliver it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <signal.h>
#include <stdio.h>

#include "lgos.h"

struct gl_watch {
  struct gl_watch *next; /* in S->watches, until it is stopped */
  struct gl_arg a;
  gos_chan *ints, *out;
  int sig; /* received, not handed on yet; 0: none */
};
enum { ROOM = 64 }; /* there are no more signals, and several of one may become one */

static const struct {
  const char *name;
  int sig;
} names[] = {{"HUP", SIGHUP},   {"INT", SIGINT},     {"QUIT", SIGQUIT}, {"ILL", SIGILL},   {"TRAP", SIGTRAP},
             {"ABRT", SIGABRT}, {"BUS", SIGBUS},     {"FPE", SIGFPE},   {"KILL", SIGKILL}, {"USR1", SIGUSR1},
             {"SEGV", SIGSEGV}, {"USR2", SIGUSR2},   {"PIPE", SIGPIPE}, {"ALRM", SIGALRM}, {"TERM", SIGTERM},
             {"CHLD", SIGCHLD}, {"CONT", SIGCONT},   {"STOP", SIGSTOP}, {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN},
             {"TTOU", SIGTTOU}, {"URG", SIGURG},     {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM},
             {"PROF", SIGPROF}, {"WINCH", SIGWINCH}, {"IO", SIGIO},     {"SYS", SIGSYS}};
enum { NAMES = sizeof names / sizeof *names, MOST = 64 };

const char *gl_signal_name(int sig) {
  for (int i = 0; i < NAMES; i++)
    if (names[i].sig == sig) return names[i].name;
  return NULL;
}

static int signal_of(lua_State *L, int idx) {
  int is_int;
  lua_Integer n = lua_tointegerx(L, idx, &is_int);
  if (lua_type(L, idx) == LUA_TNUMBER && is_int && n > 0 && n <= MOST) return (int)n;
  const char *s = luaL_checkstring(L, idx);
  if (strncmp(s, "SIG", 3) == 0) s += 3;
  for (int i = 0; i < NAMES; i++)
    if (strcmp(names[i].name, s) == 0) return names[i].sig;
  return luaL_argerror(L, idx, lua_pushfstring(L, "'%s' is no signal", s));
}

/* The arguments from idx on. */
static int read_signals(lua_State *L, int idx, int sigs[MOST]) {
  int n = lua_gettop(L) - idx + 1;
  luaL_argcheck(L, n <= MOST, idx + MOST, "too many signals");
  for (int i = 0; i < n; i++) sigs[i] = signal_of(L, idx + i);
  return n;
}

static int refused(lua_State *L, int e) {
  if (e == GOS_INVAL) return luaL_error(L, "one of the signals cannot be caught");
  return luaL_error(L, "%s", gos_strerror(e));
}

/* ---- to channels -------------------------------------------------------------------------------- */

/* On the service thread, with the watch and the signal. */
static int send_name(lua_State *L) {
  struct gl *S = gl_here;
  struct gl_watch *w = lua_touserdata(L, 1);
  int sig = (int)lua_tointeger(L, 2);
  const char *name = gl_signal_name(sig);
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->vals); /* 3 */
  if (name)
    lua_pushstring(L, name);
  else
    lua_pushinteger(L, sig); /* a realtime signal */
  gl_value v = gl_encode(L, S, 3, 4, false);
  if (gos_chan_send_dl(w->out, &v, GOS_NOW) != GOS_OK) gl_drop(S, v); /* full or closed: it misses it */
  return 0;
}

static void hand_on(struct gl_watch *w, int sig) {
  lua_State *svc = w->a.S->svc;
  lua_pushcfunction(svc, send_name);
  lua_pushlightuserdata(svc, w);
  lua_pushinteger(svc, sig);
  if (lua_pcall(svc, 2, 0, 0) != LUA_OK) lua_pop(svc, 1); /* no memory: as if it were full */
}

/* These may wait for a lock of the core's: then others have run. */
static int start_signals(struct gl *S, gos_chan *c, const int *sigs, int n) {
  struct gl_go *me = S->cur;
  int e = gos_signal_notify(c, sigs, n);
  S->cur = me;
  return e;
}
static void stop_signals(struct gl *S, gos_chan *c) {
  struct gl_go *me = S->cur;
  gos_signal_stop(c);
  S->cur = me;
}

static void pump(void *arg) {
  struct gl_watch *w = (struct gl_watch *)((char *)arg - offsetof(struct gl_watch, a));
  struct gl *S = w->a.S;
  for (int e = GOS_OK; e != GOS_CLOSED;) {
    w->sig = 0;
    e = gos_chan_recv(w->ints, &w->sig);
    S->cur = &S->service;
    if (w->sig) hand_on(w, w->sig);
  }
  gos_chan_release(w->ints);
  gos_chan_release(w->out);
  free(w);
}

static struct gl_watch *find(struct gl *S, const gos_chan *c) {
  struct gl_watch *w = S->watches;
  while (w && w->out != c) w = w->next;
  return w;
}

/* It ends itself from here on. */
static void unlist(struct gl *S, struct gl_watch *w) {
  struct gl_watch **at = &S->watches;
  while (*at != w) at = &(*at)->next;
  *at = w->next;
  stop_signals(S, w->ints);
  gos_chan_close(w->ints);
}

static struct gl_watch *new_watch(lua_State *L, struct gl *S, gos_chan *out) {
  struct gl_watch *w = calloc(1, sizeof *w);
  if (!w) luaL_error(L, "not enough memory");
  w->a.S = S;
  w->ints = gos_chan_make(sizeof(int), ROOM);
  int e = w->ints ? gos_realm_go(S->realm, "signals", 0, pump, &w->a, NULL) : GOS_NOMEM;
  if (e < 0) {
    gos_chan_release(w->ints);
    free(w);
    luaL_error(L, "not enough memory");
  }
  w->out = gos_chan_retain(out);
  w->next = S->watches;
  S->watches = w;
  return w;
}

/* notify(ch, ...) */
static int notify(lua_State *L) {
  struct gl *S = gl_of(L);
  int sigs[MOST];
  struct gl_chan *ch = gl_check_chan(L, 1, GL_CAN_SEND);
  luaL_argcheck(L, ch->c && ch->holds == GL_VALUES, 1, "nil channel");
  int n = read_signals(L, 2, sigs);
  gl_self(L, S);
  struct gl_watch *w = find(S, ch->c);
  bool fresh = !w;
  if (fresh) w = new_watch(L, S, ch->c);
  int e = start_signals(S, w->ints, sigs, n);
  if (e < 0 && fresh) unlist(S, w);
  return e < 0 ? refused(L, e) : 0;
}

/* stop(ch): what came before is in it, nothing comes after. */
static int stop(lua_State *L) {
  struct gl *S = gl_of(L);
  struct gl_chan *ch = gl_check_chan(L, 1, GL_CAN_SEND);
  gl_self(L, S);
  struct gl_watch *w = ch->c ? find(S, ch->c) : NULL;
  if (!w) return 0;
  unlist(S, w);
  if (w->sig) hand_on(w, w->sig);
  w->sig = 0;
  for (int sig; gos_chan_recv_dl(w->ints, &sig, GOS_NOW) == GOS_OK;) hand_on(w, sig);
  return 0;
}

void gl_signals_end(struct gl *S) {
  while (S->watches) unlist(S, S->watches);
}

/* ---- to contexts --------------------------------------------------------------------------------- */

struct ending {
  gos_ctx *x;
  gos_chan *ints;
};

/* A goroutine of the core: it needs nothing of Lua. */
static void await(void *arg) {
  struct ending *w = arg;
  int sig = 0;
  gos_case cases[] = {GOS_RECV(w->ints, &sig), GOS_RECV(gos_ctx_done(w->x), NULL)};
  if (gos_select(cases, 2, GOS_FOREVER) == 0) gos_cancel(w->x, sig);
  gos_signal_stop(w->ints);
  gos_chan_release(w->ints);
  gos_ctx_release(w->x);
  free(w);
}

/* notify_context([parent,] ...) */
static int notify_context(lua_State *L) {
  int sigs[MOST];
  struct gl_ctx *p = gl_test(L, 1, GL_CTX);
  int n = read_signals(L, p ? 2 : 1, sigs);
  gl_self(L, gl_of(L));
  struct gl_ctx *c = gl_new_ctx(L, GL_CTX_SCOPE, p ? 1 : 0);
  gl_set_core(L, c, gos_with_cancel(p ? p->x : NULL));
  struct ending *w = malloc(sizeof *w);
  gos_chan *ints = w ? gos_chan_make(sizeof(int), 1) : NULL;
  int e = ints ? start_signals(gl_of(L), ints, sigs, n) : GOS_NOMEM;
  if (e == GOS_OK) {
    *w = (struct ending){gos_ctx_retain(c->x), ints};
    e = gos_go(await, w);
    if (e < 0) {
      stop_signals(gl_of(L), ints);
      gos_ctx_release(c->x);
    }
  }
  if (e < 0) {
    gos_chan_release(ints);
    free(w);
    return refused(L, e);
  }
  c->owned = true;
  return 1;
}

const luaL_Reg gl_signal_functions[] = {
    {"notify", notify}, {"stop", stop}, {"notify_context", notify_context}, {NULL, NULL}};
