/* Condition variable.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "lgos.h"

enum { LOCK = 1 }; /* user value: what it was made with */

struct cond {
  const char *type; /* GL_COND's mark */
  gos_cond c;
  gos_mutex *mu;   /* one of these two */
  gos_rwmutex *rw; /* held for writing, or if reader is set for reading */
  bool reader;
};

static struct cond *check_cond(lua_State *L) { return gl_check(L, 1, GL_COND, "cond"); }

/* cond([mu]): without mu it has a mutex of its own, cond.L. */
static int cond(lua_State *L) {
  bool reader = false;
  gl_self(L, gl_of(L));
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    gl_new_mutex(L);
  }
  gos_mutex *mu = gl_test_mutex(L, 1);
  gos_rwmutex *rw = mu ? NULL : gl_test_rwmutex(L, 1, &reader);
  if (!mu && !rw) return luaL_typeerror(L, 1, "mutex or rwmutex");
  struct cond *c = gl_new_object(L, GL_COND, sizeof *c, 1);
  c->mu = mu;
  c->rw = rw;
  c->reader = reader;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, LOCK);
  return 1;
}

static int lock(struct cond *c) {
  if (c->mu) return gos_mutex_lock_dl(c->mu, GOS_FOREVER);
  return c->reader ? gos_rwmutex_rlock_dl(c->rw, GOS_FOREVER) : gos_rwmutex_lock_dl(c->rw, GOS_FOREVER);
}

static int unlock(struct cond *c) {
  if (c->mu) return gos_mutex_unlock(c->mu);
  return c->reader ? gos_rwmutex_runlock(c->rw) : gos_rwmutex_unlock(c->rw);
}

/* Locks again, whatever happens but for a deadlock, which is then the result: interrupts are put off to the next
   wait. An error of the interpreter's signal handler is left on the stack. */
static int relock(lua_State *L, struct gl *S, struct gl_go *me, struct cond *c, bool *error) {
  bool interrupted = false;
  int e;
  me->ctx = NULL;
  do {
    GL_TRY(L, S, me, e, lock(c));
    if (e == GOS_AGAIN && !gl_signals(L, S)) {
      if (*error) lua_remove(L, -2);
      *error = true;
    }
    if (S->ending && me != S->main) gl_vanish(S, me);
    interrupted |= e == GOS_CANCELED;
  } while (e == GOS_AGAIN || e == GOS_CANCELED);
  if (interrupted) gos_interrupt(me->h);
  return e;
}

/* A wait that a signal handler broke into is not begun again, as what it waited for may have happened
   in between: it returns as if it had been signalled. From enter to leave nothing may raise an error. */
static int cond_wait(lua_State *L) {
  struct gl *S = gl_of(L);
  struct cond *c = check_cond(L);
  gos_ns dl = gl_deadline(L, 2);
  bool now = dl == GOS_NOW;
  struct gl_go *me = gl_enter(L, S, &dl);
  gos_cond_place place;
  int e;
  if (dl == GOS_NOW) return gl_failed(L, S, me, GOS_WOULDBLOCK, now);
  luaL_checkstack(L, 8, NULL);
  gos_cond_enter(&c->c, &place);
  if (unlock(c) != GOS_OK) {
    if (gos_cond_leave(&c->c, &place)) gos_cond_signal(&c->c);
    return luaL_error(L, "cond: wait without holding the lock");
  }
  GL_TRY(L, S, me, e, gos_cond_sleep(&c->c, &place, dl));
  bool by_ctx = me->by_ctx, signalled = gos_cond_leave(&c->c, &place);
  bool error = e == GOS_AGAIN && !gl_signals(L, S);
  if (e == GOS_AGAIN || signalled) e = GOS_OK;
  int locked = relock(L, S, me, c, &error);
  me->by_ctx = by_ctx;
  if (error) return lua_error(L);
  return gl_done_waiting(L, S, me, locked == GOS_OK ? e : locked, false);
}

static int cond_signal(lua_State *L) {
  struct cond *c = check_cond(L);
  gl_self(L, gl_of(L));
  gos_cond_signal(&c->c);
  return 0;
}

static int cond_broadcast(lua_State *L) {
  struct cond *c = check_cond(L);
  gl_self(L, gl_of(L));
  gos_cond_broadcast(&c->c);
  return 0;
}

static int cond_index(lua_State *L) {
  check_cond(L);
  return gl_index(L, "L", LOCK);
}

const luaL_Reg gl_cond_functions[] = {{"cond", cond}, {NULL, NULL}};

static const luaL_Reg methods[] = {
    {"wait", cond_wait}, {"signal", cond_signal}, {"broadcast", cond_broadcast}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__index", cond_index}, {NULL, NULL}};
const struct gl_class gl_cond_classes[] = {{GL_COND, "gossamer.cond", methods, meta}, {0}};
