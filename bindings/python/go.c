/* Goroutines: starting them, their results, and what becomes of their exceptions.
 *
 * Always true of a Goroutine object:
 *   while it has not ended, the scheduler holds one reference and it is in `live`
 *   an exception that nobody has looked at is in `uncollected` until it is reported
 *   result and error are set before ended, and ended before the core wakes the joiners
 *   the collector knows it only when it has ended with something that may refer back to it: until
 *   then the scheduler's reference would keep it anyway, and whatever it refers to
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <stddef.h>
#include <unistd.h>

struct goroutine {
  PyObject_VAR_HEAD struct goroutine *prev, *next; /* in live or uncollected; next also in the free list */
  gos_g *h;
  struct state *state; /* while it runs or waits */
  PyObject *fn, *kwnames;
  PyObject *result, *error;
  PyObject *context, *labels, *name, *interrupt, *done, *wg; /* each may be NULL */
  PyObject *code;                                            /* where it was created */
  PyObject *weak;
  uint64_t creator;
  gos_ns died; /* with an exception */
  int lasti;
  int joiners; /* in join(): they will collect */
  bool ended, collected, is_main;
  bool began;  /* as member of an errgroup */
  bool member; /* of the list of its group's room; args[0] is the next one */
  bool behind; /* it stayed in the process that forked */
  bool orphan; /* its last reference is that of uncollected */
  bool shown;  /* to the collector */
  Py_ssize_t nargs;
  PyObject *args[1]; /* [0] is the callee's to use (later: see member); then arguments, then keyword values */
};

PyTypeObject *Goroutine_type;
static PyTypeObject *Go_type;
static struct goroutine live = {.prev = &live, .next = &live},
                        uncollected = {.prev = &uncollected, .next = &uncollected};
static goroutine *main_object;
static bool orphans;
static struct unstarted *unstarted; /* functions for later; the last one first */
static PyObject *goexit_type, *unstarted_error;

#define UNSTARTED "the goroutine could not start: no memory for its stack"

static void list_add(goroutine *head, goroutine *g) {
  g->prev = head->prev;
  g->next = head;
  head->prev->next = g;
  head->prev = g;
}
static void list_remove(goroutine *g) {
  g->prev->next = g->next;
  g->next->prev = g->prev;
  g->prev = g->next = NULL;
}

/* ---- memory ----------------------------------------------------------------------- */
/* Of a spare one all between prev and args is 0 but for next: goroutine_dealloc leaves it so. */
enum { SLOTS = 5, SPARE_MAX = 1024 };
static goroutine *spare;
static int nspare;

static goroutine *goroutine_alloc(Py_ssize_t slots) {
  goroutine *g;
  if (LIKELY(slots <= SLOTS) && spare) {
    g = spare;
    spare = g->next;
    nspare--;
    g->next = NULL;
    PyObject_InitVar((PyVarObject *)g, Goroutine_type, SLOTS);
  } else {
    g = PyObject_GC_NewVar(goroutine, Goroutine_type, slots > SLOTS ? slots : SLOTS);
    if (!g) return NULL;
    memset((char *)g + offsetof(goroutine, prev), 0, offsetof(goroutine, args) - offsetof(goroutine, prev));
  }
  return g;
}

static void drop_call(goroutine *g) {
  Py_CLEAR(g->fn);
  Py_ssize_t n = g->nargs + (g->kwnames ? PyTuple_GET_SIZE(g->kwnames) : 0);
  g->nargs = 0;
  Py_CLEAR(g->kwnames);
  for (Py_ssize_t i = 1; i <= n; i++) Py_DECREF(g->args[i]);
}

/* The collector's view begins. What it was called with is gone by now. */
static void show(goroutine *g) {
  g->shown = g->error || g->interrupt || (g->result && PyObject_IS_GC(g->result));
  if (g->shown) PyObject_GC_Track(g);
}

static int goroutine_traverse(goroutine *g, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(g));
  Py_VISIT(g->result);
  Py_VISIT(g->error);
  Py_VISIT(g->labels);
  Py_VISIT(g->interrupt);
  return 0;
}

static void report(goroutine *g);
static bool to_be_reported(goroutine *g) { return g->ended && g->error && !g->collected; }

/* Nobody can ask for the exception any more. The hook may bring the object back to life. */
static void goroutine_finalize(goroutine *g) {
  if (to_be_reported(g)) report(g);
}

static int goroutine_clear(goroutine *g) {
  drop_call(g);
  Py_CLEAR(g->result);
  Py_CLEAR(g->error);
  Py_CLEAR(g->context);
  Py_CLEAR(g->labels);
  Py_CLEAR(g->interrupt);
  Py_CLEAR(g->wg);
  return 0;
}

/* What is no reference, or none any more. */
static void forget(goroutine *g) {
  g->h = NULL;
  g->state = NULL;
  g->creator = 0;
  g->died = 0;
  g->lasti = g->joiners = 0;
  g->ended = g->collected = g->began = g->member = g->is_main = g->behind = g->orphan = g->shown = false;
}

static void goroutine_dealloc(goroutine *g) {
  if (UNLIKELY(to_be_reported(g)) && PyObject_CallFinalizerFromDealloc((PyObject *)g) < 0) return;
  if (UNLIKELY(g->shown)) PyObject_GC_UnTrack(g);
  if (UNLIKELY(g->weak != NULL)) PyObject_ClearWeakRefs((PyObject *)g);
  goroutine_clear(g);
  if (g->next) list_remove(g);
  Py_CLEAR(g->name);
  Py_CLEAR(g->done);
  Py_CLEAR(g->code);
  if (g->h) gos_release(g->h);
  /* One that was finalized bears a mark that keeps it from being finalized again. */
  bool marked = g->shown && PyObject_GC_IsFinalized((PyObject *)g);
  if (LIKELY(Py_SIZE(g) == SLOTS && nspare < SPARE_MAX && !marked)) {
    forget(g);
    g->next = spare;
    spare = g;
    nspare++;
  } else
    PyObject_GC_Del(g);
  Py_DECREF(Goroutine_type);
}

/* ---- where, and reports --------------------------------------------------------------- */
void go_site_of(PyObject *code, int lasti, char *buf, size_t n) {
  if (n) *buf = 0;
  if (!code || !PyGILState_Check()) return; /* a stack overflowed in C code that had released the GIL */
  PyObject *type, *value, *tb;              /* asked for at any moment: an exception being raised stays */
  PyErr_Fetch(&type, &value, &tb);
  PyCodeObject *co = (PyCodeObject *)code;
  const char *file = PyUnicode_AsUTF8(co->co_filename), *name = file ? PyUnicode_AsUTF8(co->co_qualname) : NULL;
  if (name) snprintf(buf, n, "%s:%d in %s", file, PyCode_Addr2Line(co, lasti), name);
  PyErr_Restore(type, value, tb);
}

const struct site_at go_site_at = {&Goroutine_type, offsetof(goroutine, code), offsetof(goroutine, lasti)};
void go_site(PyObject *o, char *buf, size_t n) { go_site_of(((goroutine *)o)->code, ((goroutine *)o)->lasti, buf, n); }

/* Once. */
static void report(goroutine *g) {
  if (g->next) list_remove(g);
  if (!to_be_reported(g)) return;
  g->collected = true;
  PyObject *type, *value, *tb;
  PyErr_Fetch(&type, &value, &tb);
  report_exception((PyObject *)g, g->error);
  PyErr_Restore(type, value, tb);
}

PyObject *go_headline(PyObject *o) {
  goroutine *g = (goroutine *)o;
  char site[512], by[48] = "";
  go_site(o, site, sizeof site);
  if (g->creator) snprintf(by, sizeof by, " by goroutine %llu", (unsigned long long)g->creator);
  return PyUnicode_FromFormat("goroutine %llu%s%V%s: unhandled exception (created%s%s%s)",
                              (unsigned long long)gos_g_id(g->h), g->name ? " [" : "", g->name, "", g->name ? "]" : "",
                              by, *site ? " at " : "", site);
}

/* It could not start, and there it could not be done: what it was called with goes, and the list's reference. */
static void adopt(goroutine *g) {
  g->orphan = false;
  drop_call(g);
  Py_CLEAR(g->wg);
  Py_DECREF(g);
}

/* Those that died before then; not those whose joiner has not come to run since, unless it never will (GOS_FOREVER).
   What is left: when the next one's time comes, GOS_FOREVER: none. */
static gos_ns report_older(gos_ns than) {
  enum { LATER = 100 * 1000 * 1000 };
  gos_ns left = GOS_FOREVER;
  goroutine *next;
  for (goroutine *g = uncollected.next; g != &uncollected; g = next) {
    next = g->next;
    if (g->member && than != GOS_FOREVER) continue;
    if (g->died > than) return g->died < left ? g->died : left;
    if (g->joiners && than != GOS_FOREVER) {
      left = than + LATER;
      continue;
    }
    Py_INCREF(g);
    if (g->orphan) adopt(g);
    report(g);
    Py_DECREF(g);
    next = uncollected.next; /* Python code has run */
  }
  return left;
}
static void report_functions(void) {
  for (struct unstarted *u; (u = unstarted);) {
    int times = u->times;
    unstarted = u->next;
    u->times = 0;
    for (PyObject *owner = u->owner; times > 0; times--) {
      PyErr_SetString(PyExc_MemoryError, "the goroutine of after_func() could not start: no memory for its stack");
      PyErr_WriteUnraisable(u->fn);
      Py_DECREF(owner);
    }
  }
}
void go_report_all(void) {
  report_functions();
  report_older(GOS_FOREVER);
}

/* An exception whose handle is held may still be collected, for a second; then it is reported all the same. */
enum { GRACE = 1000 * 1000 * 1000 };
static gos_timer *grace;
static bool grace_runs;

static void grace_start(gos_ns d);
static void grace_over(void *arg) {
  (void)arg;
  grace_runs = false;
  gos_ns next = report_older(gos_now() - GRACE);
  if (next != GOS_FOREVER) grace_start(next + GRACE - gos_now());
}
static void grace_start(gos_ns d) {
  if (grace_runs) return;
  if (grace)
    grace_runs = gos_timer_reset(grace, d) >= 0;
  else
    grace_runs = (grace = gos_realm_after_func(realm, d, grace_over, NULL)) != NULL;
}
void go_after_fork(goroutine *mine) {
  for (goroutine *g = live.next, *next; g != &live; g = next) {
    next = g->next;
    list_remove(g); /* the scheduler's reference is gone with it */
    if (g == mine) continue;
    g->state = NULL;
    g->ended = g->behind = true;
  }
  for (goroutine *g = uncollected.next; g != &uncollected; g = g->next) g->collected = true; /* the parent reports it */
  grace_runs = false;
  if (!mine) return;
  mine->is_main = true;
  main_object = mine;
}
void go_grace_failed(void) { grace_runs = false; }

static void collected(goroutine *g) {
  g->collected = true;
  if (g->ended && g->next) list_remove(g);
  if (UNLIKELY(g->orphan)) adopt(g); /* whoever asks has another reference */
}

/* ---- members of an errgroup, whose room has a list of those that failed ------------------- */
void go_member_began(void) {
  struct state *st = realm_state();
  if (st && st->g) st->g->began = true;
}

bool go_member_joins(PyObject *o, PyObject *next) {
  goroutine *g = (goroutine *)o;
  if (g->collected) return false;
  g->member = true;
  g->args[0] = next;
  return true;
}

PyObject *go_member_next(PyObject *o) { return ((goroutine *)o)->args[0]; }

void go_member_leaves(PyObject *o, bool seen) {
  goroutine *g = (goroutine *)o;
  g->member = false;
  if (seen) collected(g);
  if (!to_be_reported(g)) return;
  list_remove(g); /* who holds the handle has a second from now */
  g->died = gos_now();
  list_add(&uncollected, g);
  grace_start(GRACE);
}

/* ---- a goroutine's life ------------------------------------------------------------------ */
/* The ways in which a goroutine ends because it was told to, or said so itself, are no news. */
static bool asked_for(PyObject *error) {
  return PyErr_GivenExceptionMatches(error, PyExc_SystemExit) ||
         (PyErr_GivenExceptionMatches(error, err_Canceled) &&
          !PyErr_GivenExceptionMatches(error, err_DeadlineExceeded));
}

/* Takes over result and error, and the scheduler's reference. Its waiters wake after this. */
static void end(goroutine *g, PyObject *result, PyObject *error) {
  PyObject *wg = g->wg;
  g->wg = NULL;
  g->result = result;
  g->error = error;
  g->state = NULL;
  list_remove(g);
  g->ended = true;
  show(g);
  if (UNLIKELY(error != NULL)) {
    g->collected = asked_for(error) || context_raised(error);
    g->died = gos_now();
    if (!g->collected) list_add(&uncollected, g);
  }
  bool grouped = wg && room_left(wg, (PyObject *)g, error, g->began);
  if (UNLIKELY(error != NULL) && !grouped) {
    if (!g->collected && Py_REFCNT(g) > 1) grace_start(GRACE);
    if (Py_REFCNT(g) == 1) report(g); /* nobody holds a handle */
  }
  if (wg) {
    if (!grouped) waitgroup_done(wg);
    Py_DECREF(wg);
  }
  Py_DECREF(g);
}

static void run(goroutine *g, struct state *st) {
  PyThreadState *ts = st->root;
  g->state = st;
  st->g = g;
  st->base = __builtin_frame_address(0);
  if (UNLIKELY(slow_watched)) slow_begins(st); /* the stack may have been passed on without a switch */
  if (g->context) {
    Py_XSETREF(ts->context, g->context);
    ts->context_ver++;
    g->context = NULL;
  }
  if (UNLIKELY(trace_asked || compat_watched_changed())) trace_begin();
  if (UNLIKELY(race_on)) race_begin();
  PyObject *result =
      PyObject_Vectorcall(g->fn, g->args + 1, (size_t)g->nargs | PY_VECTORCALL_ARGUMENTS_OFFSET, g->kwnames);
  if (UNLIKELY(!result) && PyErr_ExceptionMatches(goexit_type)) {
    PyErr_Clear();
    result = Py_NewRef(Py_None);
  }
  PyObject *error = result ? NULL : compat_take_exception();
  drop_call(g);
  compat_ts_reset(ts);
  if (UNLIKELY(st->kind == MAIN || (realm_gone() && !state_here))) { /* in the child of a fork() here: its end */
    g->error = error;
    g->ended = true;
    report(g);
    exit(error ? 1 : 0);
  }
  st->g = NULL;
  end(g, result, error);
  if (UNLIKELY(error != NULL)) compat_ts_reset(ts); /* the report may have left something behind */
}

static void entry(void *arg) { run(arg, realm_state()); }

/* With labels that it did not inherit: the core's dumps have them too. Not those that no text can be made of. */
static void labelled_entry(void *arg) {
  PyObject *key, *value;
  Py_ssize_t i = 0;
  while (PyDict_Next(((goroutine *)arg)->labels, &i, &key, &value)) {
    const char *k = PyUnicode_AsUTF8(key), *v = k ? PyUnicode_AsUTF8(value) : NULL;
    if (!v || gos_set_label(k, v) != GOS_OK) PyErr_Clear();
  }
  entry(arg);
}

/* Called from within the scheduler, where a goroutine is half asleep: no Python code may run, so nothing is created and
   nothing freed (either may run the collector). The rest comes with who asks, or with the next go(). */
void go_start_failed(PyObject *o) {
  goroutine *g = (goroutine *)o;
  g->error = Py_NewRef(unstarted_error);
  g->died = gos_now();
  g->ended = true;
  list_remove(g);
  show(g);
  list_add(&uncollected, g);
  g->orphan = orphans = true;
  if (!g->wg) return;
  if (!room_left(g->wg, o, g->error, false)) waitgroup_done(g->wg);
}
void go_unstarted(struct unstarted *u, PyObject *owner, PyObject *fn) {
  if (u->times++ > 0) return; /* a timer, reset and due again before anybody was told */
  u->next = unstarted;
  u->owner = owner;
  u->fn = fn;
  unstarted = u;
  orphans = true;
}

int go_copy_context(PyObject **context) {
  *context = NULL;
  PyThreadState *ts = compat_ts();
  if (!ts->context || PyObject_Size(ts->context) == 0) return 0;
  return (*context = PyContext_CopyCurrent()) ? 0 : -1;
}

struct options {
  PyObject *name, *labels, *vars; /* each may be NULL */
  size_t stack;
};

static void inherit(goroutine *g) {
  PyThreadState *ts = compat_ts();
  g->code = Py_XNewRef((PyObject *)compat_where(ts, &g->lasti));
  goroutine *parent = state_here->g;
  g->creator = gos_goid();
  if (UNLIKELY(parent != NULL && parent->labels)) g->labels = Py_NewRef(parent->labels);
}

static int apply(goroutine *g, const struct options *o) {
  g->name = Py_XNewRef(o->name);
  if (o->vars) Py_XSETREF(g->context, PyContext_Copy(o->vars));
  if (o->vars && !g->context) return -1;
  if (!o->labels) return 0;
  if (!g->labels) {
    g->labels = Py_NewRef(o->labels);
    return 0;
  }
  PyObject *merged = PyDict_Copy(g->labels);
  Py_XSETREF(g->labels, merged);
  return merged ? PyDict_Update(merged, o->labels) : -1;
}

static void report_orphans(void) {
  orphans = false;
  report_functions();
  for (goroutine *g = uncollected.next; g != &uncollected; g = g->next) {
    if (!g->orphan) continue;
    grace_start(GRACE);
    adopt(g); /* the finalizer reports it, unless a handle is held */
    g = &uncollected;
  }
}

static PyObject *spawn(const struct options *o, PyObject *fn, PyObject *const *args, Py_ssize_t nargs,
                       PyObject *kwnames, PyObject *wg) {
  if (UNLIKELY(!PyCallable_Check(fn)))
    return PyErr_Format(PyExc_TypeError, "a goroutine needs a callable, not %.100s", Py_TYPE(fn)->tp_name);
  if (UNLIKELY(realm_enter() < 0)) return NULL;
  if (UNLIKELY(orphans)) report_orphans();
  Py_ssize_t n = nargs + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0);
  goroutine *g = goroutine_alloc(n + 1);
  if (!g) return NULL;
  g->fn = Py_NewRef(fn);
  g->kwnames = Py_XNewRef(kwnames);
  g->nargs = nargs;
  for (Py_ssize_t i = 0; i < n; i++) g->args[i + 1] = Py_NewRef(args[i]);
  g->wg = Py_XNewRef(wg);
  inherit(g);
  if (go_copy_context(&g->context) < 0 || (o && apply(g, o) < 0)) goto fail;
  const char *name = NULL;
  if (o && o->name && !(name = PyUnicode_AsUTF8(o->name))) goto fail;
  list_add(&live, g);
  Py_INCREF(g); /* the scheduler's */
  int e = gos_realm_go(realm, name, o ? o->stack : 0, o && o->labels ? labelled_entry : entry, g, &g->h);
  if (LIKELY(e == GOS_OK)) return (PyObject *)g;
  list_remove(g);
  Py_DECREF(g);
  raise_code(e, e == GOS_INVAL ? "stack_size out of range" : "starting a goroutine");
fail:
  Py_DECREF(g);
  return NULL;
}

PyObject *go_spawn(PyObject *fn, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, PyObject *wg) {
  return spawn(NULL, fn, args, nargs, kwnames, wg);
}

void go_run(PyObject *fn, PyObject *args, PyObject *context, PyObject *code, int lasti) {
  Py_ssize_t n = PyTuple_GET_SIZE(args);
  goroutine *g = goroutine_alloc(n + 1);
  if (!g || (context && !(context = PyContext_Copy(context)))) {
    Py_XDECREF(g);
    PyErr_WriteUnraisable(fn);
    return;
  }
  g->fn = Py_NewRef(fn);
  g->nargs = n;
  for (Py_ssize_t i = 0; i < n; i++) g->args[i + 1] = Py_NewRef(PyTuple_GET_ITEM(args, i));
  g->context = context;
  g->code = Py_XNewRef(code);
  g->lasti = lasti;
  g->h = gos_g_retain(gos_self());
  list_add(&live, g);
  run(g, realm_state());
}

/* ---- goroutines of C, which have a handle here ------------------------------------------------ */
PyObject *go_native(PyObject *fn, PyObject *keep, PyObject *name, PyFrameObject *where) {
  if (UNLIKELY(orphans)) report_orphans();
  goroutine *g = goroutine_alloc(2);
  if (!g) return NULL;
  g->fn = Py_NewRef(fn);
  g->nargs = 1;
  g->args[1] = Py_NewRef(keep);
  g->name = Py_NewRef(name);
  inherit(g);
  Py_XSETREF(g->code, (PyObject *)PyFrame_GetCode(where));
  g->lasti = PyFrame_GetLasti(where);
  return (PyObject *)g;
}

void go_native_started(PyObject *o, gos_g *h) {
  goroutine *g = (goroutine *)Py_NewRef(o); /* the scheduler's */
  g->h = h;
  list_add(&live, g);
}

/* No Python code runs before it counts as ended. */
void go_native_ended(PyObject *o, PyObject *error) {
  goroutine *g = (goroutine *)o;
  if (UNLIKELY(g->behind)) { /* it had ended before the fork, and nobody had seen it */
    Py_XDECREF(error);
    return;
  }
  PyObject *fn = g->fn, *keep = g->args[1];
  g->fn = NULL;
  g->nargs = 0;
  end(g, error ? NULL : Py_NewRef(Py_None), error);
  Py_DECREF(fn);
  Py_DECREF(keep);
}

/* ---- handles -------------------------------------------------------------------------------- */
PyObject *go_interrupt_type(void) {
  struct state *st = realm_state();
  return st && st->g ? st->g->interrupt : NULL;
}

static PyObject *outcome(goroutine *g) {
  if (UNLIKELY(g->behind))
    return PyErr_Format(PyExc_RuntimeError, "goroutine %llu stayed in the parent process",
                        (unsigned long long)gos_g_id(g->h));
  if (LIKELY(!g->error)) return Py_NewRef(g->result ? g->result : Py_None);
  collected(g);
  if (UNLIKELY(g->error == unstarted_error)) return PyErr_Format(PyExc_MemoryError, "%s", UNSTARTED); /* one's own */
  PyErr_SetObject((PyObject *)Py_TYPE(g->error), g->error);
  return NULL;
}

static PyObject *goroutine_join(goroutine *g, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  struct wait w;
  wait_init(&w, GOS_FOREVER);
  if (UNLIKELY(!g->ended && realm_enter() < 0)) return NULL;
  if (UNLIKELY(state_here && state_here->g == g))
    return PyErr_Format(PyExc_RuntimeError, "a goroutine cannot join itself");
  if (UNLIKELY(nargs || kwnames) && read_wait("join", args, nargs, kwnames, 0, &w) < 0) return NULL;
  int e = GOS_OK;
  g->joiners++;
  if (!g->ended || (state_here && (w.given || wait_ambient))) WAIT(e, &w, until, gos_join(g->h, until));
  g->joiners--;
  if (UNLIKELY(e < 0)) return wait_failed(e, &w, "join timed out");
  wait_done(&w);
  if (UNLIKELY(!g->ended)) native_settle();
  return outcome(g);
}

static PyObject *goroutine_exception(goroutine *g, PyObject *ignored) {
  (void)ignored;
  if (!g->ended) native_settle();
  if (!g->error) Py_RETURN_NONE;
  collected(g);
  return Py_NewRef(g->error);
}

static PyObject *goroutine_interrupt(goroutine *g, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  PyObject *type = err_Canceled;
  Py_ssize_t n = nargs + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0);
  if (n > 1 || (kwnames && n && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, 0), "exc")))
    return PyErr_Format(PyExc_TypeError, "interrupt() takes one argument: exc");
  if (n) type = args[0];
  if (!PyExceptionClass_Check(type)) return PyErr_Format(PyExc_TypeError, "interrupt() needs an exception class");
  if (realm_enter() < 0) return NULL;
  if (g->ended) Py_RETURN_FALSE;
  Py_XSETREF(g->interrupt, Py_NewRef(type));
  int e = gos_interrupt(g->h);
  if (e < 0 && e != GOS_CLOSED) return raise_code(e, "interrupt");
  return PyBool_FromLong(e == GOS_OK);
}

PyObject *go_done(PyObject *o) {
  goroutine *g = (goroutine *)o;
  if (g->done) return Py_NewRef(g->done);
  if (realm_enter() < 0) return NULL;
  gos_chan *ch = gos_done(g->h);
  if (!ch) return raise_code(GOS_NOMEM, "channel");
  g->done = chan_view(ch, NOTHING, gos_g_retain(g->h), (void (*)(void *))gos_release);
  return Py_XNewRef(g->done);
}

static PyObject *get_done(goroutine *g, void *u) {
  (void)u;
  return go_done((PyObject *)g);
}
static PyObject *get_id(goroutine *g, void *u) {
  (void)u;
  return PyLong_FromUnsignedLongLong(gos_g_id(g->h));
}
static PyObject *get_creator(goroutine *g, void *u) {
  (void)u;
  return PyLong_FromUnsignedLongLong(g->creator);
}
static PyObject *get_name(goroutine *g, void *u) {
  (void)u;
  return g->name ? Py_NewRef(g->name) : PyUnicode_FromString("");
}

static PyObject *get_labels(goroutine *g, void *u) {
  (void)u;
  PyObject *d = g->labels ? Py_NewRef(g->labels) : PyDict_New();
  PyObject *proxy = d ? PyDictProxy_New(d) : NULL;
  Py_XDECREF(d);
  return proxy;
}

static PyObject *get_site(goroutine *g, void *u) {
  (void)u;
  char site[512];
  go_site((PyObject *)g, site, sizeof site);
  return PyUnicode_DecodeUTF8(site, (Py_ssize_t)strlen(site), "replace");
}

static gos_info info_of(goroutine *g) {
  gos_info info = {.status = "dead"};
  if (!g->ended && g->h) gos_info_get(g->h, &info, sizeof info);
  return info;
}
static PyObject *get_status(goroutine *g, void *u) {
  (void)u;
  return PyUnicode_FromString(info_of(g).status);
}
static PyObject *get_wait_reason(goroutine *g, void *u) {
  (void)u;
  const char *reason = info_of(g).wait_reason;
  if (!reason) Py_RETURN_NONE;
  return PyUnicode_FromString(reason);
}

/* The Python frame it stands in; None when it has not started or has ended. */
static PyObject *get_frame(goroutine *g, void *u) {
  (void)u;
  PyThreadState *ts = g->is_main ? realm_main_state()->root : g->state ? g->state->root : NULL;
  PyObject *f = ts ? (PyObject *)PyThreadState_GetFrame(ts) : NULL;
  return f ? f : Py_NewRef(Py_None);
}

static PyObject *goroutine_stack(goroutine *g, PyObject *ignored) {
  PyObject *frame = get_frame(g, NULL), *r = frame ? call_python("gossamer.runtime", "_summary", frame, NULL) : NULL;
  (void)ignored;
  Py_XDECREF(frame);
  return r;
}

static PyObject *goroutine_await(goroutine *g) {
  return call_python("gossamer._async", "await_goroutine", (PyObject *)g, NULL);
}

static PyObject *goroutine_repr(goroutine *g) {
  char site[512];
  gos_info info = info_of(g);
  go_site((PyObject *)g, site, sizeof site);
  return PyUnicode_FromFormat("<Goroutine %llu%s%V%s, %s%s%s%s%s%s>", (unsigned long long)gos_g_id(g->h),
                              g->name ? " [" : "", g->name, "", g->name ? "]" : "", info.status,
                              info.wait_reason ? " (" : "", info.wait_reason ? info.wait_reason : "",
                              info.wait_reason ? ")" : "", *site ? ", created at " : "", site);
}

/* ---- go and go.using ------------------------------------------------------------------------- */
typedef struct {
  PyObject_HEAD vectorcallfunc call;
  struct options o;
  bool plain;
} go_object;

static PyObject *go_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
  go_object *go = (go_object *)callable;
  Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
  if (UNLIKELY(nargs < 1)) return PyErr_Format(PyExc_TypeError, "go() needs a callable as its first argument");
  return spawn(go->plain ? NULL : &go->o, args[0], args + 1, nargs - 1, kwnames, NULL);
}

static void go_dealloc(go_object *go) {
  PyTypeObject *type = Py_TYPE(go);
  Py_XDECREF(go->o.name);
  Py_XDECREF(go->o.labels);
  Py_XDECREF(go->o.vars);
  type->tp_free(go);
  Py_DECREF(type);
}

static go_object *go_alloc(void) {
  go_object *go = (go_object *)Go_type->tp_alloc(Go_type, 0);
  if (go) go->call = go_call;
  return go;
}

/* Those of before, which may be NULL, and these. */
static int read_labels(PyObject *o, PyObject *before, PyObject **labels) {
  PyObject *d = before ? PyDict_Copy(before) : PyDict_New(), *key, *value;
  Py_ssize_t at = 0;
  if (!d || PyDict_Update(d, o) < 0) {
    if (PyErr_ExceptionMatches(PyExc_AttributeError)) /* no keys() */
      PyErr_Format(PyExc_TypeError, "labels must be a mapping, not %.100s", Py_TYPE(o)->tp_name);
    goto fail;
  }
  while (PyDict_Next(d, &at, &key, &value))
    if (!PyUnicode_Check(key) || !PyUnicode_Check(value)) {
      PyErr_SetString(PyExc_TypeError, "labels must map str to str");
      goto fail;
    }
  *labels = d;
  return 0;
fail:
  Py_XDECREF(d);
  return -1;
}

static int read_stack(PyObject *o, size_t *stack) {
  if (!PyLong_Check(o) || PyBool_Check(o)) {
    PyErr_Format(PyExc_TypeError, "stack_size must be an int of bytes, not %.100s", Py_TYPE(o)->tp_name);
    return -1;
  }
  Py_ssize_t n = PyLong_AsSsize_t(o);
  if (n > 0) {
    *stack = (size_t)n;
    return 0;
  }
  if (n != -1 || !PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_OverflowError))
    PyErr_SetString(PyExc_ValueError, "stack_size out of range");
  return -1;
}

static PyObject *go_using(PyObject *self, PyObject *args, PyObject *kw) {
  const struct options *before = &((go_object *)self)->o;
  static char *names[] = {"name", "labels", "stack_size", "vars", NULL};
  PyObject *name = Py_None, *labels = Py_None, *stack = Py_None, *vars = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "|OOOO:using", names, &name, &labels, &stack, &vars)) return NULL;
  if (name != Py_None && !PyUnicode_Check(name)) return PyErr_Format(PyExc_TypeError, "name must be a str or None");
  if (vars != Py_None && !PyContext_CheckExact(vars))
    return PyErr_Format(PyExc_TypeError, "vars must be a contextvars.Context or None");
  go_object *go = go_alloc();
  if (!go) return NULL;
  go->o.name = Py_XNewRef(name != Py_None ? name : before->name);
  go->o.vars = Py_XNewRef(vars != Py_None ? vars : before->vars);
  go->o.stack = before->stack;
  if (labels == Py_None) go->o.labels = Py_XNewRef(before->labels);
  if ((labels != Py_None && read_labels(labels, before->labels, &go->o.labels) < 0) ||
      (stack != Py_None && read_stack(stack, &go->o.stack) < 0)) {
    Py_DECREF(go);
    return NULL;
  }
  return (PyObject *)go;
}

/* ---- module ------------------------------------------------------------------------------------- */
static PyObject *main_goroutine(void) {
  if (!main_object) {
    goroutine *g = goroutine_alloc(1);
    if (!g) return NULL;
    g->h = gos_g_retain(gos_realm_main(realm));
    g->is_main = true;
    g->name = PyUnicode_FromString("main");
    realm_main_state()->g = main_object = g; /* kept for good */
  }
  return Py_NewRef(main_object);
}

struct state *go_state(PyObject *o) {
  goroutine *g = (goroutine *)o;
  return g->is_main ? realm_main_state() : g->state;
}

PyObject *go_list(void) {
  PyObject *all = PyList_New(0), *first = main_goroutine();
  if (!all || !first || PyList_Append(all, first) < 0) goto fail;
  for (goroutine *g = live.next; g != &live; g = g->next)
    if (PyList_Append(all, (PyObject *)g) < 0) goto fail;
  Py_DECREF(first);
  return all;
fail:
  Py_XDECREF(first);
  Py_XDECREF(all);
  return NULL;
}

/* Labels for the running goroutine and those it starts from here on; those it had. A thread has none. */
static PyObject *set_labels(PyObject *self, PyObject *labels) {
  (void)self;
  if (!PyDict_Check(labels)) return PyErr_Format(PyExc_TypeError, "labels must be a dict");
  if (realm_enter() < 0) return NULL;
  if (state_here->kind == MAIN && !state_here->g) Py_XDECREF(main_goroutine());
  goroutine *g = state_here->g;
  PyObject *copy = g ? PyDict_Copy(labels) : NULL;
  if (!copy) return PyErr_Occurred() ? NULL : PyDict_New();
  PyObject *old = g->labels;
  g->labels = copy;
  return old ? old : PyDict_New();
}

/* Go's words: the other goroutines go on; when none is left, that is a deadlock. */
static PyObject *goexit_main(void) {
  int e;
  struct wait w;
  wait_init(&w, GOS_FOREVER);
  w.given = true; /* no context */
  do WAIT(e, &w, until, gos_chan_recv_dl(NULL, NULL, until));
  while (e == GOS_CANCELED);
  return e == GOS_DEADLOCK ? raise_deadlock("no goroutines (main called runtime.Goexit) - deadlock!")
                           : raise_code(e, "goexit");
}

static PyObject *go_exit(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  if (realm_enter() < 0) return NULL;
  if (state_here->kind == MAIN) return goexit_main();
  PyErr_SetNone(state_here->kind == THREAD ? PyExc_SystemExit : goexit_type);
  return NULL;
}

static PyObject *list_goroutines(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  return realm_enter() < 0 ? NULL : go_list();
}

PyMethodDef go_methods[] = {
    {"_set_labels", set_labels, METH_O, NULL},
    {"goexit", go_exit, METH_NOARGS,
     "goexit()\n--\n\nEnds the running goroutine: it unwinds, finally and with do their work, and it returns None to "
     "those who\njoin it. In the main goroutine it waits until the others have ended, and raises Deadlock then. "
     "Go: runtime.Goexit."},
    {"goroutines", list_goroutines, METH_NOARGS, "goroutines()\n--\n\nThe goroutines that have not ended, main first."},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef methods[] = {
    {"join", METHOD(goroutine_join), METH_FASTCALL | METH_KEYWORDS,
     "join($self, timeout=None, *, ctx=None)\n--\n\n"
     "Waits until it has ended; its result, or its exception raised again. timeout in seconds (None: for\n"
     "ever) raises TimeoutError. Obeys ctx, or else the ambient context: raises its Canceled or\n"
     "DeadlineExceeded. May be called by any goroutine or thread, any number of times."},
    {"exception", METHOD(goroutine_exception), METH_NOARGS,
     "exception($self, /)\n--\n\nThe exception it ended with; None when it returned, or has not ended. Does not wait."},
    {"interrupt", METHOD(goroutine_interrupt), METH_FASTCALL | METH_KEYWORDS,
     "interrupt($self, exc=...)\n--\n\n"
     "Ends its current wait, or its next one, by raising exc (Canceled) there. False when it has ended already."},
    {"stack", METHOD(goroutine_stack), METH_NOARGS,
     "stack($self, /)\n--\n\nIts Python frames, outermost first, as a traceback.StackSummary; empty before it begins "
     "and "
     "after it has\nended."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    REFUSE_COPY,
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef getset[] = {
    {"id", (getter)get_id, NULL, "Its number; never used twice.", NULL},
    {"name", (getter)get_name, NULL, "From go.using(name=), else ''.", NULL},
    {"labels", (getter)get_labels, NULL, "From go.using(labels=), with those of its creator.", NULL},
    {"creator", (getter)get_creator, NULL, "The number of the goroutine that started it; 0: a thread.", NULL},
    {"site", (getter)get_site, NULL, "Where it was started: 'file:line in function'.", NULL},
    {"done", (getter)get_done, NULL, "A channel that is closed when it has ended.", NULL},
    {"status", (getter)get_status, NULL, "'runnable', 'running', 'waiting' or 'dead'.", NULL},
    {"wait_reason", (getter)get_wait_reason, NULL, "What it waits for, in Go's words; None unless it waits.", NULL},
    {"_frame", (getter)get_frame, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(goroutine, weak), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_dealloc, goroutine_dealloc},
    {Py_tp_traverse, goroutine_traverse},
    {Py_tp_clear, goroutine_clear},
    {Py_tp_finalize, goroutine_finalize},
    {Py_am_await, goroutine_await},
    {Py_tp_repr, goroutine_repr},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {Py_tp_members, members},
    {Py_tp_doc,
     "A goroutine, as go() returns it. Keeping it is optional: dropping it leaves the goroutine running.\n\n"
     "An exception that nobody collects (join, await, exception) is reported once, to stderr unless\n"
     "runtime.set_panic() says otherwise: when the goroutine ends if no handle is held, else when the handle is\n"
     "dropped, a second after the end, or when the program ends. SystemExit, Canceled and what a context that\n"
     "ended raised are not reported."},
    {0, NULL},
};
static PyType_Spec spec = {
    "gossamer.Goroutine", offsetof(goroutine, args), sizeof(PyObject *),
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

static PyMethodDef using_methods[] = {
    {"using", METHOD(go_using), METH_VARARGS | METH_KEYWORDS,
     "using($self, name=None, labels=None, stack_size=None, vars=None)\n--\n\n"
     "go with options: go.using(name='reader')(fn, *args). labels: str to str, inherited by the goroutines it\n"
     "starts; stack_size: bytes of C stack; vars: the contextvars.Context to run in a copy of. using() of the\n"
     "result adds to these options."},
    {NULL, NULL, 0, NULL},
};
static PyMemberDef using_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(go_object, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot using_slots[] = {
    {Py_tp_dealloc, go_dealloc},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_methods, using_methods},
    {Py_tp_members, using_members},
    {Py_tp_doc,
     "go(fn, /, *args, **kwargs)\n--\n\n"
     "Starts fn(*args, **kwargs) as a goroutine and returns its Goroutine. It runs in a copy of the creator's\n"
     "contextvars. As a decorator, @go starts the function. No memory raises MemoryError. Go: go fn(args)."},
    {0, NULL},
};
static PyType_Spec using_spec = {"gossamer._gossamer._Go", sizeof(go_object), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION |
                                     Py_TPFLAGS_HAVE_VECTORCALL,
                                 using_slots};

int go_init(PyObject *m) {
  unstarted_error = PyObject_CallFunction(PyExc_MemoryError, "s", UNSTARTED);
  if (!unstarted_error || compat_where_init() < 0) return -1;
  goexit_type = PyErr_NewException("gossamer._gossamer._Goexit", PyExc_BaseException, NULL);
  if (!goexit_type || PyModule_AddObjectRef(m, "_Goexit", goexit_type) < 0) return -1;
  if (!(Goroutine_type = add_type(m, &spec, NULL)) || !(Go_type = add_type(NULL, &using_spec, NULL))) return -1;
  go_object *go = go_alloc();
  if (!go) return -1;
  go->plain = true;
  int e = PyModule_AddObjectRef(m, "go", (PyObject *)go);
  Py_DECREF(go);
  return e;
}
