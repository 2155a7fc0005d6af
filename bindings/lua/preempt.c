/* Preemption, for those who ask for it: a goroutine that computes for long lets others run.
 *
 * The monitor sees that the realm's thread makes no switch while others could run, and that it uses its CPU.
 * It sends that thread a signal, whose handler sets a hook on the running goroutine: the one thing that
 * lua_sethook() may be used for there. The hook is called before the next instruction, removes itself, and
 * yields. So nothing is paid while nobody computes for long, and a C function is never cut in two.
 *
 * Left alone are goroutines with a hook of their own (debuggers, coverage), finalizers, and what runs in a
 * coroutine: the handler cannot know which.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "lgos.h"

enum { SIGNAL = SIGURG, SLICE = 10000000 }; /* as in Go: a signal nobody uses, and its time slice */

struct gl_preempt {
  bool on;          /* [atomic] */
  bool asked;       /* [atomic] the signal is on its way */
  gos_ns slice;     /* [atomic] */
  pthread_t thread; /* fixed from here */
  clockid_t clock;  /* CPU time of the thread */
  gos_ns cpu, at;   /* the monitor's: what the clock said, and when */
};

static pthread_mutex_t control = PTHREAD_MUTEX_INITIALIZER; /* guards the handler's presence */
static int users;
static struct sigaction before;

static void yield_hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  struct gl *S = gl_here;
  lua_sethook(L, NULL, 0, 0);
  if (!S || !S->realm || lua_gc(L, LUA_GCISRUNNING) < 0) return;
  struct gl_go *me = S->cur;
  if (me->no_preempt || me == &S->service || gl_above_main(S, L)) return;
  me->at = L;
  if (me == S->main) gl_main_waits(S);
  gos_gosched();
  S->cur = me;
  if (S->ending && me != S->main) gl_vanish(S, me); /* not even the instruction that comes now */
}

static void handler(int sig, siginfo_t *info, void *context) {
  int err = errno;
  struct gl *S = gl_here;
  struct gl_preempt *p = S && S->realm ? S->preempt : NULL;
  if (p && __atomic_exchange_n(&p->asked, false, __ATOMIC_RELAXED)) {
    lua_State *L = S->cur->L;
    if (L && !S->cur->no_preempt && !lua_gethook(L)) lua_sethook(L, yield_hook, LUA_MASKCOUNT, 1);
  } else if (before.sa_flags & SA_SIGINFO) {
    before.sa_sigaction(sig, info, context);
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(sig);
  }
  errno = err;
}

/* Since the last look, has the thread computed rather than waited? */
static bool computes(struct gl_preempt *p) {
  struct timespec t;
  if (clock_gettime(p->clock, &t)) return true;
  gos_ns cpu = (gos_ns)t.tv_sec * 1000000000 + t.tv_nsec, now = gos_now();
  bool much = cpu - p->cpu >= (now - p->at) / 4;
  p->cpu = cpu;
  p->at = now;
  return much;
}

int gl_preempt_stuck(void *u, void *state, gos_ns age) {
  struct gl_preempt *p = __atomic_load_n(&((struct gl *)u)->preempt, __ATOMIC_ACQUIRE);
  (void)state;
  if (!p || !__atomic_load_n(&p->on, __ATOMIC_ACQUIRE)) return 0;
  bool due = computes(p) && age >= __atomic_load_n(&p->slice, __ATOMIC_RELAXED);
  if (due && !__atomic_exchange_n(&p->asked, true, __ATOMIC_RELAXED)) pthread_kill(p->thread, SIGNAL);
  return 0;
}

static int use_signal(void) {
  int e = 0;
  pthread_mutex_lock(&control);
  if (users++ == 0) {
    struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    struct sigaction now;
    sigemptyset(&a.sa_mask);
    if (sigaction(SIGNAL, NULL, &now)) {
      e = errno;
    } else if (now.sa_sigaction != handler) { /* ours stays where there was none before */
      before = now;
      if (sigaction(SIGNAL, &a, NULL)) e = errno;
    }
    if (e) users--;
  }
  pthread_mutex_unlock(&control);
  return e;
}

/* One that is still on its way finds a handler: ours stays unless the one before was somebody's. */
static void leave_signal(void) {
  pthread_mutex_lock(&control);
  struct sigaction now;
  bool others = (before.sa_flags & SA_SIGINFO) || (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN);
  if (--users == 0 && others && sigaction(SIGNAL, NULL, &now) == 0 && now.sa_sigaction == handler)
    sigaction(SIGNAL, &before, NULL);
  pthread_mutex_unlock(&control);
}

static void turn_off(struct gl_preempt *p) {
  if (p && __atomic_exchange_n(&p->on, false, __ATOMIC_ACQ_REL)) leave_signal();
}

void gl_preempt_end(struct gl *S) { /* the monitor does not look at it any more */
  struct gl_preempt *p = S->preempt;
  turn_off(p);
  S->preempt = NULL; /* first: the signal may still come */
  free(p);
}

static struct gl_preempt *turn_on(lua_State *L, struct gl *S) {
  struct gl_preempt *p = S->preempt;
  if (!p) {
    if (!(p = calloc(1, sizeof *p))) luaL_error(L, "not enough memory");
    p->thread = pthread_self();
    sigset_t own; /* an isolate's thread has all signals blocked */
    sigemptyset(&own);
    sigaddset(&own, SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &own, NULL);
    if (pthread_getcpuclockid(p->thread, &p->clock)) p->clock = -1;
    __atomic_store_n(&S->preempt, p, __ATOMIC_RELEASE); /* pairs with the load in gl_preempt_stuck */
  }
  if (p->on) return p;
  sigset_t set; /* the runtime's threads, which isolates run on, take no signals */
  sigemptyset(&set);
  sigaddset(&set, SIGNAL);
  int e = pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  if (!e) e = use_signal();
  if (e) luaL_error(L, "preempt: %s", gos_strerror(GOS_SYS(e)));
  __atomic_store_n(&p->on, true, __ATOMIC_RELEASE);
  return p;
}

/* preempt(false | true | seconds): what was before, false or seconds. */
static int preempt(lua_State *L) {
  struct gl *S = gl_of(L);
  gos_ns slice = SLICE;
  if (lua_type(L, 1) == LUA_TNUMBER) {
    slice = gl_duration(L, 1);
    luaL_argcheck(L, slice > 0, 1, "non-positive time slice");
  } else if (!lua_isnoneornil(L, 1)) {
    luaL_checktype(L, 1, LUA_TBOOLEAN);
  }
  gl_self(L, S);
  struct gl_preempt *p = S->preempt;
  bool was = p && p->on;
  gos_ns slice_was = was ? p->slice : 0;
  if (lua_toboolean(L, 1)) {
    p = turn_on(L, S);
    __atomic_store_n(&p->slice, slice, __ATOMIC_RELAXED);
  } else if (!lua_isnoneornil(L, 1)) {
    turn_off(p);
  }
  if (was)
    lua_pushnumber(L, (lua_Number)slice_was / 1e9);
  else
    lua_pushboolean(L, 0);
  return 1;
}

/* ---- no_preempt(f, ...) ------------------------------------------------------------------------------- */

/* Ends the goroutine's abstention when the call is left, in whatever way. */
struct guard {
  const char *type; /* GL_NO_PREEMPT's mark */
  struct gl_go *g;  /* user value 1 is its handle */
};

static int guard_close(lua_State *L) {
  struct guard *d = lua_touserdata(L, 1);
  d->g->no_preempt--;
  return 0;
}

static int after_call(lua_State *L, int status, lua_KContext k) {
  (void)status, (void)k;
  return lua_gettop(L) - 1;
}

static int no_preempt(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  struct gl_go *me = gl_self(L, gl_of(L));
  struct guard *d = lua_newuserdatauv(L, sizeof *d, 1);
  *d = (struct guard){&gl_mark[GL_NO_PREEMPT], me};
  if (me->slot) {
    gl_push_go(L, me);
    lua_setiuservalue(L, -2, 1);
  }
  lua_rawgeti(L, GL_VALS, GL_NO_PREEMPT);
  lua_setmetatable(L, -2);
  lua_insert(L, 1);
  me->no_preempt++;
  lua_toclose(L, 1);
  lua_callk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, after_call);
  return after_call(L, LUA_OK, 0);
}

const luaL_Reg gl_preempt_functions[] = {{"preempt", preempt}, {"no_preempt", no_preempt}, {NULL, NULL}};

static const luaL_Reg none[] = {{NULL, NULL}};
static const luaL_Reg meta[] = {{"__close", guard_close}, {NULL, NULL}};
const struct gl_class gl_preempt_classes[] = {{GL_NO_PREEMPT, "gossamer.no_preempt", none, meta}, {0}};
