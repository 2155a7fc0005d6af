/* The interpreter as a realm: what the core calls to switch, attach and watch.
 *
 * Always true:
 *   state_here is what runs on this OS thread; it is set by every swap and attach
 *   a goroutine's thread state is current exactly while state_here is its state
 *   the main goroutine has the home thread's identity wherever it runs
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

/* Address space of a goroutine's C stack; only touched pages take memory. As much as a thread has: libraries count on
   that (OpenBLAS has frames of 528 KiB, several below one another), and the deepest C recursion that CPython's own
   limits allow fits (3.12+ by compat_ts_stack). */
enum { STACK = 8 << 20 };
/* Of these, at the top, for the frames of Python functions: with what a waiting goroutine has on its C stack
   (1,400 bytes in recv, 2,500 in select, up to 900 more so that stacks do not share cache lines) it is one page. */
enum { FRAMES = 1024 };

__thread struct state *state_here __attribute__((tls_model("initial-exec")));
gos_realm *realm;
bool realm_sliced;
static bool home_slices;         /* main waits beside the home thread, in slices */
static struct state *collecting; /* runs the collector, and finalizers it calls */

static struct {
  PyInterpreterState *interp;
  struct state first, *main;    /* main: the first, or in a fork's child what forked */
  struct state *kept;           /* that, until the child's first use of the runtime */
  struct state *spare;          /* states of freed fibers; GIL */
  struct state *volatile loops; /* pushed to without the GIL, never shrinks */
  int leaving;                  /* threads that are giving up the GIL */
  pthread_key_t ending;         /* frees the state of a thread that ends */
  bool identities, warned, closed, forked, main_handles_signals;
} rt;

__attribute__((noinline)) struct state *realm_state(void) {
  __asm__ volatile("" ::: "memory");
  return state_here;
}

static __attribute__((noinline)) void here(struct state *st) {
  state_here = st;
  identity_override = st->identity;
}

/* ---- the core's view -------------------------------------------------------------- */
static void *host_thread_new(void *u) {
  (void)u;
  struct state *st = calloc(1, sizeof *st);
  if (!st) return NULL;
  st->kind = LOOP;
  st->ts = st->root = compat_ts_new(rt.interp);
  if (!st->ts) {
    free(st);
    return NULL;
  }
  st->next = __atomic_load_n(&rt.loops, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(&rt.loops, &st->next, st, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {}
  return st;
}

static void host_attach(void *u, void *state) {
  (void)u;
  struct state *st = state;
  PyEval_RestoreThread(st->ts);
  if (st->kind != THREAD) compat_bind(st->ts);
#if PY_VERSION_HEX >= 0x030C0000
  if (compat.raw && *compat_current() != st->ts)
    Py_FatalError("gossamer: CPython's current thread state is elsewhere on this thread");
#endif
  here(st);
}

static void host_detach(void *u, void *state) {
  (void)u;
  struct state *st = state;
  /* 3.13 looks at the thread state once more when the GIL is free already, and another thread may end the interpreter. */
  __atomic_fetch_add(&rt.leaving, 1, __ATOMIC_RELAXED);
  st->ts = PyEval_SaveThread();
  __atomic_fetch_sub(&rt.leaving, 1, __ATOMIC_RELEASE);
}
/* With the GIL. Who has given it up needs nothing but a CPU to get out of there. */
static void wait_for_leavers(void) {
  while (__atomic_load_n(&rt.leaving, __ATOMIC_ACQUIRE)) sched_yield();
}

static void *host_fiber_new(void *u, char *lo, char **hi) {
  (void)u;
  struct state *st = rt.spare;
  if (st)
    rt.spare = st->next;
  else if (!(st = malloc(sizeof *st)))
    return NULL;
  *st = (struct state){.kind = FIBER, .ts = compat_ts_new(rt.interp), .number = identity_new()};
  if (!st->ts || !st->number) {
    if (st->ts) compat_ts_free(st->ts);
    identity_free(st->number);
    st->next = rt.spare;
    rt.spare = st;
    return NULL;
  }
  st->root = st->ts;
  st->ts->thread_id = st->number;
  st->identity = rt.identities ? st->number : 0;
  *hi -= FRAMES + (uintptr_t)*hi % sizeof(void *);
  compat_ts_frames(st->ts, *hi, FRAMES);
  compat_ts_stack(st->ts, lo, *hi);
  return st;
}

static void host_fiber_free(void *u, void *state) {
  (void)u;
  struct state *st = state;
  compat_ts_free(st->root);
  st->ts = st->root = NULL;
  identity_free(st->number);
  st->next = rt.spare;
  rt.spare = st;
}

static void host_swap(void *u, void *from, void *to) {
  (void)u;
  struct state *f = from, *t = to;
  f->ts = compat_swap(t->ts);
  state_here = t;
  identity_override = t->identity;
  if (UNLIKELY(slow_watched)) {
    f->since = 0;
    slow_begins(t);
  }
#if PY_VERSION_HEX < 0x030D0000
  /* One flag for all threads before 3.13, computed for whoever last took the GIL: main has to look. */
  if (t->kind == MAIN && compat.signals && *compat.signals) *compat.breaker = 1;
#endif
}

/* From fields readable without the GIL: a free GIL means a blocking call, this state at work
   a CPU hog; anybody else at work may only delay it for a while. A hog keeps the GIL for the interpreter's 5 ms more
   once the thread that is sent asks for it: with 2 ms before, the others go on within 10. */
static int host_stuck(void *u, void *state, gos_ns age) {
  (void)u;
  struct state *st = state;
  if (UNLIKELY(race_on) && compat.locked && (!*compat.locked || compat_attached(st->ts)))
    return race_stuck(!*compat.locked, age);
  if (compat.locked && !*compat.locked) return age >= 200 * 1000;
  if (compat.locked && compat_attached(st->ts)) return age >= 2 * 1000 * 1000;
  return age >= 10 * 1000 * 1000;
}

static int host_pending(void *u) {
  (void)u;
  return rt.main_handles_signals && compat_signal_waits(rt.main->root);
}

unsigned long realm_thread_number(void) { return identity_new(); }

static bool is_ours(PyThreadState *ts) {
  if (ts == rt.main->root || identity_is_ours(ts->thread_id)) return true;
  for (struct state *l = __atomic_load_n(&rt.loops, __ATOMIC_ACQUIRE); l; l = l->next)
    if (l->root == ts) return true;
  return false;
}

static int host_alone(void *u) {
  if (home_slices || compat_threads(rt.interp) > 0 || host_pending(u)) return 0; /* a signal that main has not seen */
  for (PyThreadState *ts = PyInterpreterState_ThreadHead(rt.interp); ts; ts = PyThreadState_Next(ts))
    if (!is_ours(ts)) return 0;
  return !signal_handled();
}

static int host_tied(void *u, void *state) {
  (void)u;
  return tied(((struct state *)state)->base);
}

static void host_start_failed(void *u, void *arg) {
  (void)u;
  PyObject *o = arg;
  if (!o) {
    go_grace_failed();
    native_settle_failed();
  } else if (Py_IS_TYPE(o, Goroutine_type))
    go_start_failed(o);
  else if (Py_IS_TYPE(o, AfterFunc_type))
    after_func_start_failed(o);
  else
    timer_start_failed(o);
}

static void host_site(void *u, void *arg, char *buf, size_t n) {
  (void)u;
  PyObject *o = arg;
  if (!o)
    snprintf(buf, n, "%s", "");
  else if (Py_IS_TYPE(o, Goroutine_type))
    go_site(o, buf, n);
  else if (Py_IS_TYPE(o, AfterFunc_type))
    after_func_site(o, buf, n);
  else
    timer_site(o, buf, n);
}

/* ---- entering ------------------------------------------------------------------------ */
static int start_here(void) {
  bool moves = compat.raw && rt.identities;
  gos_host h = {
      .size = sizeof h,
      .language = "Python",
      .stack = STACK,
      .main_state = &rt.first,
      /* Without the raw swap the GIL is open for a moment in each switch, and without identities main must
       not leave its thread: then only the home thread runs goroutines. */
      .flags = moves ? 0 : GOS_HOST_PINNED,
      .thread_new = host_thread_new,
      .attach = host_attach,
      .detach = host_detach,
      .fiber_new = host_fiber_new,
      .fiber_free = host_fiber_free,
      .swap = host_swap,
      .stuck = host_stuck,
      .pending = host_pending,
      .alone = host_alone,
      .start_failed = host_start_failed,
      .site = host_site,
      .tied = moves ? host_tied : NULL,
      .layout = layout_table(),
  };
  PyThreadState *ts = PyThreadState_Get();
  rt.first = (struct state){.kind = MAIN, .ts = ts, .root = ts, .identity = identity_real()};
  char *inner;
  compat_loops(ts, &inner, &rt.first.base);
  rt.main = &rt.first;
  rt.main_handles_signals = compat_on_main_thread();
  int e = GOS_OK;
  realm = gos_realm_new(&h, &e);
  if (!realm) return e;
  here(&rt.first);
  return GOS_OK;
}

/* First use on a thread that will end before the program: goroutines must outlive it, so a
   thread of their own becomes home, and its main goroutine waits for ever. */
struct home {
  sem_t ready;
  int code;
};

static void *home_thread(void *u) {
  struct home *home = u;
  PyThreadState *ts = compat_ts_new(rt.interp);
  if (!ts) {
    home->code = GOS_NOMEM;
    sem_post(&home->ready);
    return NULL;
  }
  PyEval_RestoreThread(ts);
  realm_sliced = home_slices = true;
  home->code = start_here();
  bool ok = home->code == GOS_OK;
  sem_post(&home->ready);
  while (ok) gos_chan_recv(NULL, NULL);
  realm_sliced = home_slices = false;
  PyThreadState_Clear(ts);
  PyThreadState_DeleteCurrent();
  return NULL;
}

static int start_home(void) {
  struct home home = {.code = GOS_OK};
  pthread_t t;
  sigset_t all, old;
  if (sem_init(&home.ready, 0, 0)) return GOS_SYS(errno);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  int e = pthread_create(&t, NULL, home_thread, &home);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (e)
    home.code = GOS_SYS(e);
  else {
    pthread_detach(t);
    Py_BEGIN_ALLOW_THREADS while (sem_wait(&home.ready) && errno == EINTR) {}
    Py_END_ALLOW_THREADS
  }
  sem_destroy(&home.ready);
  return home.code;
}

static int start(void) {
  static bool starting;
  while (starting) { /* another thread is at it, in start_home() */
    Py_BEGIN_ALLOW_THREADS sched_yield();
    Py_END_ALLOW_THREADS
  }
  if (realm) return 0;
  starting = true;
  int e = compat_on_main_thread() ? start_here() : start_home();
  starting = false;
  if (e == GOS_OK) return 0;
  raise_code(e, "starting the runtime");
  return -1;
}

static int enter_as_thread(void) {
  struct state *st = calloc(1, sizeof *st);
  if (!st) {
    PyErr_NoMemory();
    return -1;
  }
  st->kind = THREAD;
  st->ts = st->root = PyThreadState_Get();
  int e = gos_realm_enter(realm, st);
  if (e < 0) {
    free(st);
    raise_code(e, "entering the runtime");
    return -1;
  }
  pthread_setspecific(rt.ending, st);
  here(st);
  return 0;
}

struct state *realm_main_state(void) {
  return rt.main;
}
bool realm_gone(void) { return rt.closed || rt.forked; }

/* The child's first use: what forked is its main goroutine, and needs a loop to leave its thread to. CPython has
   deleted all other thread states; of the loops only this thread's will be used again. */
static int revive(void) {
  PyThreadState *ts = compat_ts_new(rt.interp);
  if (!ts) {
    PyErr_NoMemory();
    return -1;
  }
  for (struct state *l = rt.loops; l; l = l->next) l->ts = l->root = ts;
  here(rt.kept);
  rt.kept = NULL;
  return 0;
}

int realm_enter_slow(void) {
  if (rt.forked) {
    PyErr_SetString(PyExc_RuntimeError, "gossamer: this process was forked by a thread that is no goroutine");
    return -1;
  }
  if (rt.kept && compat_on_main_thread()) return revive();
  if (rt.closed) {
    PyErr_SetString(PyExc_RuntimeError, "the program is ending: gossamer is closed");
    return -1;
  }
  if (!realm && start() < 0) return -1;
  return state_here ? 0 : enter_as_thread();
}

int realm_enter_late(void) { return rt.closed && !rt.forked ? 0 : realm_enter_slow(); }

/* ---- signals ---------------------------------------------------------------------------- */
/* Python's main thread, where it is not the main goroutine, waits in slices to see signals. */
gos_ns realm_slice(gos_ns deadline) {
  if (UNLIKELY(collecting != NULL) && collecting == realm_state()) return GOS_NOW;
  if (!home_slices) return deadline;
  if (!compat_on_main_thread()) return deadline;
  gos_ns slice = gos_now() + 50 * 1000 * 1000;
  return slice < deadline ? slice : deadline;
}

int realm_signals(int code, gos_ns slice, gos_ns deadline) {
  if (UNLIKELY(collecting != NULL) && slice == GOS_NOW && deadline != GOS_NOW && collecting == realm_state()) {
    if (code != GOS_WOULDBLOCK && code != GOS_TIMEDOUT && code != GOS_AGAIN) return code;
    PyErr_SetString(PyExc_RuntimeError, "a finalizer that the garbage collector runs cannot wait");
    return RAISED;
  }
  bool slice_over = slice != deadline && (code == GOS_TIMEDOUT || code == GOS_WOULDBLOCK);
  if (code != GOS_AGAIN && !slice_over) return code;
  return compat_run_signals() < 0 ? RAISED : GOS_AGAIN;
}

/* ---- the collector --------------------------------------------------------------------------- */
bool realm_collects(void) { return collecting && collecting == realm_state(); }

/* From gc.callbacks. The collector is off until its run has ended: a finalizer must not wait there for others. */
static PyObject *collector(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
  (void)self;
  bool starts = nargs && PyUnicode_Check(args[0]) && PyUnicode_CompareWithASCIIString(args[0], "start") == 0;
  collecting = starts ? state_here : NULL;
  realm_sliced = home_slices || collecting;
  Py_RETURN_NONE;
}

static int watch_collector(PyObject *module) {
  PyObject *gc = PyImport_ImportModule("gc"), *list = gc ? PyObject_GetAttrString(gc, "callbacks") : NULL;
  PyObject *fn = list ? PyObject_GetAttrString(module, "_collector") : NULL;
  int e = fn ? PyList_Append(list, fn) : -1;
  Py_XDECREF(gc);
  Py_XDECREF(list);
  Py_XDECREF(fn);
  return e;
}

/* ---- the end -------------------------------------------------------------------------------- */
static PyObject *close_realm(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  if (!realm || realm_gone() || rt.kept) Py_RETURN_NONE;
  native_settle();
  go_report_all();
  report_finish();
  rt.closed = true;
  gos_realm_close(realm);
  wait_for_leavers();
  state_here = NULL;
  Py_RETURN_NONE;
}

/* In the child, before CPython does its part: memory only. */
static void after_fork(void) {
  rt.leaving = 0;
  if (!realm || rt.closed) return;
  struct state *me = state_here ? state_here : rt.kept;
  state_here = NULL; /* the identity stays: locks that are held know their owner by it */
  rt.forked |= !me || me->kind == THREAD;
  if (rt.forked) return;
  me->kind = MAIN;
  rt.main = rt.kept = me;
  rt.main_handles_signals = true;
  realm_sliced = home_slices = false;
  collecting = NULL;
  for (struct state *l = rt.loops; l; l = l->next) l->ts = l->root = NULL;
  go_after_fork(me->g);
}

PyMethodDef realm_methods[] = {
    {"_collector", METHOD(collector), METH_FASTCALL, NULL},
    {"_close", close_realm, METH_NOARGS, "Before the interpreter ends: goroutines stop where they are."},
    {NULL, NULL, 0, NULL},
};

int realm_init(PyObject *module) {
  rt.interp = PyInterpreterState_Get();
  if (watch_collector(module) < 0) return -1;
  /* Whoever imports threading first is the main thread to it: that must be no goroutine. */
  PyObject *threading = PyImport_ImportModule("threading");
  if (!threading) return -1;
  Py_DECREF(threading);
  const char *why = NULL;
  if (compat_init(&why) < 0) {
    if (PyErr_Occurred()) return -1;
    if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1,
                         "gossamer: %s; goroutines switch more slowly and a blocking call stops them all", why) < 0)
      return -1;
  }
  compat_frames_init();
  rt.identities = identity_install();
  if (!rt.identities && PyErr_WarnEx(PyExc_RuntimeWarning,
                                     "gossamer: goroutines have no thread identity in this build of CPython: "
                                     "threading.RLock, sqlite3 and threading.get_ident() take them for one thread, "
                                     "and a blocking call stops them all",
                                     1) < 0)
    return -1;
  if (pthread_key_create(&rt.ending, free) || pthread_atfork(NULL, NULL, after_fork)) {
    PyErr_NoMemory();
    return -1;
  }
  return 0;
}
