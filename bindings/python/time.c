/* Durations, sleep, timers and tickers (Go 1.23 rules).
 *
 * A timer that calls a function keeps its object alive while it is armed: arming takes a
 * reference, and the stop() that disarmed it or the end of its function gives it back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <math.h>

/* ---- reading arguments ---------------------------------------------------------------- */
int read_seconds(PyObject *o, gos_ns *ns) {
  double d = PyFloat_AsDouble(o);
  if (d == -1.0 && PyErr_Occurred()) {
    if (!PyLong_Check(o) || !PyErr_ExceptionMatches(PyExc_OverflowError)) return -1;
    PyErr_Clear(); /* an int beyond any double: for ever, or long ago */
    int sign = PyObject_RichCompareBool(o, Py_False, Py_LT);
    if (sign < 0) return -1;
    d = sign ? -INFINITY : INFINITY;
  }
  if (isnan(d)) {
    PyErr_SetString(PyExc_ValueError, "a duration must not be NaN");
    return -1;
  }
  d = ceil(d * 1e9); /* never early */
  *ns = d >= 9.2e18 ? GOS_FOREVER : d <= -9.2e18 ? -GOS_FOREVER : (gos_ns)d;
  return 0;
}

static gos_ns deadline_after(gos_ns d) {
  if (d <= 0) return GOS_NOW;
  gos_ns now = gos_now();
  return d >= GOS_FOREVER - now ? GOS_FOREVER : now + d;
}

int read_timeout(PyObject *o, gos_ns *deadline) {
  gos_ns d = GOS_FOREVER;
  if (o == Py_None)
    *deadline = GOS_FOREVER;
  else if (read_seconds(o, &d) < 0)
    return -1;
  else
    *deadline = deadline_after(d);
  return 0;
}

/* ---- sleep -------------------------------------------------------------------------------- */
static PyObject *time_sleep(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  (void)self;
  gos_ns d;
  int e;
  struct wait w;
  wait_init(&w, GOS_FOREVER);
  if (nargs < 1 && kwnames) return PyErr_Format(PyExc_TypeError, "sleep() takes no keyword argument but ctx");
  if (nargs != 1) return PyErr_Format(PyExc_TypeError, "sleep() takes 1 positional argument but %zd were given", nargs);
  if (read_seconds(args[0], &d) < 0 || realm_enter() < 0) return NULL;
  if (kwnames && read_waits("sleep", args + 1, kwnames, false, &w) < 0) return NULL;
  w.deadline = d > 0 ? deadline_after(d) : GOS_NOW;
  w.tried = true;
  WAIT(e, &w, until, sleep_until(w.deadline, until));
  if (e < 0) return wait_failed(e, &w, "sleep");
  wait_done(&w);
  Py_RETURN_NONE;
}

/* ---- timers ---------------------------------------------------------------------------------- */
/* Shared by the object and its channel's view, which must not hold one another. */
struct clock {
  gos_timer *t;
  int refs;
};

typedef struct {
  PyObject_HEAD struct clock *clock;
  PyObject *c;                          /* the view; NULL: not asked for yet */
  PyObject *fn, *args, *context, *code; /* fn NULL: it sends on its channel */
  int lasti;
  struct unstarted unstarted;
  PyObject *weak;
} timer;

PyTypeObject *Timer_type;
static PyTypeObject *Ticker_type;

static void clock_drop(void *owner) {
  struct clock *k = owner;
  if (--k->refs) return;
  gos_timer_free(k->t);
  PyMem_Free(k);
}

static struct clock *clock_new(gos_timer *t) {
  struct clock *k = t ? PyMem_Malloc(sizeof *k) : NULL;
  if (!k) {
    if (t) gos_timer_free(t);
    raise_code(GOS_NOMEM, "timer");
    return NULL;
  }
  *k = (struct clock){t, 1};
  return k;
}

static PyObject *clock_view(struct clock *k) {
  k->refs++;
  return chan_view(gos_timer_c(k->t), TIMES, k, clock_drop);
}

static timer *timer_alloc(PyTypeObject *type, struct clock *k) {
  timer *t = k ? (timer *)type->tp_alloc(type, 0) : NULL;
  if (t)
    t->clock = k;
  else if (k)
    clock_drop(k);
  return t;
}

static int timer_traverse(timer *t, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(t));
  Py_VISIT(t->fn);
  Py_VISIT(t->args);
  Py_VISIT(t->context);
  return 0;
}
static int timer_clear(timer *t) {
  Py_CLEAR(t->fn);
  Py_CLEAR(t->args);
  Py_CLEAR(t->context);
  return 0;
}
static void timer_dealloc(timer *t) {
  PyTypeObject *type = Py_TYPE(t);
  PyObject_GC_UnTrack(t);
  if (t->weak) PyObject_ClearWeakRefs((PyObject *)t);
  timer_clear(t);
  Py_XDECREF(t->c);
  Py_XDECREF(t->code);
  if (t->clock) clock_drop(t->clock);
  type->tp_free(t);
  Py_DECREF(type);
}

static int read_duration(const char *fn, PyObject *args, PyObject *kw, gos_ns *d) {
  static char *names[] = {"d", NULL};
  char format[32];
  PyObject *o;
  snprintf(format, sizeof format, "O:%s", fn);
  return PyArg_ParseTupleAndKeywords(args, kw, format, names, &o) && read_seconds(o, d) == 0 ? 0 : -1;
}

static int check_period(gos_ns d) {
  if (d > 0) return 0;
  PyErr_SetString(PyExc_ValueError, "the interval of a ticker must be positive");
  return -1;
}

static PyObject *timer_new(PyTypeObject *type, PyObject *args, PyObject *kw) {
  gos_ns d;
  if (read_duration("Timer", args, kw, &d) < 0 || realm_enter() < 0) return NULL;
  return (PyObject *)timer_alloc(type, clock_new(gos_realm_timer(realm, d, 0)));
}

static PyObject *ticker_new(PyTypeObject *type, PyObject *args, PyObject *kw) {
  gos_ns d;
  if (read_duration("Ticker", args, kw, &d) < 0 || check_period(d) < 0 || realm_enter() < 0) return NULL;
  return (PyObject *)timer_alloc(type, clock_new(gos_realm_timer(realm, d, d)));
}

static PyObject *get_c(timer *t, void *u) {
  (void)u;
  if (!t->c) t->c = t->fn ? chan_view(NULL, TIMES, NULL, NULL) : clock_view(t->clock);
  return Py_XNewRef(t->c);
}

PyObject *timer_chan(PyObject *o) {
  return PyObject_TypeCheck(o, Timer_type) || PyObject_TypeCheck(o, Ticker_type) ? get_c((timer *)o, NULL) : NULL;
}

static PyObject *timer_stop(timer *t, PyObject *ignored) {
  (void)ignored;
  if (realm_enter() < 0) return NULL;
  int pending = gos_timer_stop(t->clock->t);
  if (pending < 0) return raise_code(pending, "stop");
  if (pending && t->fn) Py_DECREF(t);
  return PyBool_FromLong(pending);
}

static int rearm(timer *t, gos_ns d) {
  if (realm_enter() < 0) return -1;
  int pending = gos_timer_reset(t->clock->t, d);
  if (pending < 0) {
    raise_code(pending, "reset");
    return -1;
  }
  if (!pending && t->fn) Py_INCREF(t);
  return pending;
}

static PyObject *timer_reset(timer *t, PyObject *arg) {
  gos_ns d;
  if (read_seconds(arg, &d) < 0) return NULL;
  int pending = rearm(t, d);
  return pending < 0 ? NULL : PyBool_FromLong(pending);
}

static PyObject *ticker_stop(timer *t, PyObject *args) {
  PyObject *r = timer_stop(t, args);
  Py_XDECREF(r);
  return r ? Py_NewRef(Py_None) : NULL;
}

static PyObject *ticker_reset(timer *t, PyObject *arg) {
  gos_ns d;
  if (read_seconds(arg, &d) < 0 || check_period(d) < 0 || rearm(t, d) < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *ticker_enter(timer *t, PyObject *ignored) {
  (void)ignored;
  return Py_NewRef(t);
}
static PyObject *ticker_next(timer *t) {
  PyObject *c = get_c(t, NULL);
  PyObject *v = c ? Py_TYPE(c)->tp_iternext(c) : NULL;
  Py_XDECREF(c);
  return v;
}

static PyObject *after_or_tick(PyObject *arg, bool every) {
  gos_ns d;
  if (read_seconds(arg, &d) < 0 || (every && check_period(d) < 0) || realm_enter() < 0) return NULL;
  struct clock *k = clock_new(gos_realm_timer(realm, d, every ? d : 0));
  return k ? chan_view(gos_timer_c(k->t), TIMES, k, clock_drop) : NULL;
}
static PyObject *time_after(PyObject *self, PyObject *arg) {
  (void)self;
  return after_or_tick(arg, false);
}
static PyObject *time_tick(PyObject *self, PyObject *arg) {
  (void)self;
  return after_or_tick(arg, true);
}

/* ---- functions that run later ------------------------------------------------------------------- */
static void fire(void *arg) {
  timer *t = arg;
  PyObject *fn = Py_NewRef(t->fn), *args = Py_NewRef(t->args);
  go_run(fn, args, t->context, t->code, t->lasti);
  Py_DECREF(fn);
  Py_DECREF(args);
  Py_DECREF(t);
}

void timer_start_failed(PyObject *o) {
  timer *t = (timer *)o;
  go_unstarted(&t->unstarted, o, t->fn);
}

const struct site_at timer_site_at = {&Timer_type, offsetof(timer, code), offsetof(timer, lasti)};
void timer_site(PyObject *o, char *buf, size_t n) { go_site_of(((timer *)o)->code, ((timer *)o)->lasti, buf, n); }

static PyObject *time_after_func(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
  (void)self;
  gos_ns d;
  if (nargs < 2) return PyErr_Format(PyExc_TypeError, "after_func() needs a duration and a callable");
  if (!PyCallable_Check(args[1]))
    return PyErr_Format(PyExc_TypeError, "after_func() needs a callable, not %.100s", Py_TYPE(args[1])->tp_name);
  if (read_seconds(args[0], &d) < 0 || realm_enter() < 0) return NULL;
  timer *t = (timer *)Timer_type->tp_alloc(Timer_type, 0);
  if (!t) return NULL;
  t->fn = Py_NewRef(args[1]);
  t->code = Py_XNewRef((PyObject *)compat_where(PyThreadState_Get(), &t->lasti));
  t->args = PyTuple_New(nargs - 2);
  if (!t->args || go_copy_context(&t->context) < 0) goto fail;
  for (Py_ssize_t i = 2; i < nargs; i++) PyTuple_SET_ITEM(t->args, i - 2, Py_NewRef(args[i]));
  t->clock = clock_new(gos_realm_after_func(realm, d, fire, Py_NewRef(t)));
  if (t->clock) return (PyObject *)t;
  Py_DECREF(t);
fail:
  Py_DECREF(t);
  return NULL;
}

/* ---- module ---------------------------------------------------------------------------------------- */
PyMethodDef time_methods[] = {
    {"sleep", METHOD(time_sleep), METH_FASTCALL | METH_KEYWORDS,
     "sleep(d, /, *, ctx=None)\n--\n\nLets at least d seconds pass; at once for d <= 0, for ever for inf. Obeys ctx, "
     "or else the\nambient context: raises its Canceled or DeadlineExceeded. Go: time.Sleep."},
    {"after", time_after, METH_O,
     "after(d, /)\n--\n\nA channel that gives the time (of time.monotonic()) once, d seconds from now. Go: "
     "time.After."},
    {"tick", time_tick, METH_O,
     "tick(d, /)\n--\n\nA channel that gives the time every d seconds; a slow receiver misses ticks. Go: time.Tick."},
    {"after_func", METHOD(time_after_func), METH_FASTCALL,
     "after_func(d, fn, /, *args)\n--\n\nRuns fn(*args) in a goroutine of its own, d seconds from now, unless the "
     "Timer it\n"
     "returns is stopped before. Go: time.AfterFunc."},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef timer_methods[] = {
    {"stop", METHOD(timer_stop), METH_NOARGS,
     "stop($self, /)\n--\n\nTrue if that kept it from firing. No stale tick is left. Go: Timer.Stop."},
    {"reset", METHOD(timer_reset), METH_O,
     "reset($self, d, /)\n--\n\nFires d seconds from now instead; True if it had not fired yet. Go: Timer.Reset."},
    REFUSE_COPY,
    {NULL, NULL, 0, NULL},
};
static PyMethodDef ticker_methods[] = {
    {"stop", METHOD(ticker_stop), METH_NOARGS,
     "stop($self, /)\n--\n\nNo more ticks; its channel is not closed. Go: Ticker.Stop."},
    {"reset", METHOD(ticker_reset), METH_O,
     "reset($self, d, /)\n--\n\nTicks every d seconds from now on. Go: Ticker.Reset."},
    {"__enter__", METHOD(ticker_enter), METH_NOARGS, NULL},
    {"__exit__", METHOD(ticker_stop), METH_VARARGS, NULL},
    REFUSE_COPY,
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef getset[] = {
    {"C", (getter)get_c, NULL, "The channel that gives the time (of time.monotonic()) when it fires. Go: Timer.C.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(timer, weak), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
#define COMMON                                                                                                         \
  {Py_tp_dealloc, timer_dealloc}, {Py_tp_traverse, timer_traverse}, {Py_tp_clear, timer_clear},                        \
      {Py_tp_getset, getset}, {                                                                                        \
    Py_tp_members, members                                                                                             \
  }
#define FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE)
static PyType_Slot timer_slots[] = {
    COMMON,
    {Py_tp_new, timer_new},
    {Py_tp_methods, timer_methods},
    {Py_tp_doc, "Timer(d)\n--\n\nGives the time on its channel C once, d seconds from now. Go: time.NewTimer."},
    {0, NULL},
};
static PyType_Spec timer_spec = {"gossamer.Timer", sizeof(timer), 0, FLAGS, timer_slots};
static PyType_Slot ticker_slots[] = {
    COMMON,
    {Py_tp_new, ticker_new},
    {Py_tp_methods, ticker_methods},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, ticker_next},
    {Py_tp_doc,
     "Ticker(d)\n--\n\nGives the time on its channel C every d seconds; a slow receiver misses ticks. Iteration gives\n"
     "them for ever; 'with Ticker(d) as t:' stops it. d <= 0 raises ValueError. Go: time.NewTicker."},
    {0, NULL},
};
static PyType_Spec ticker_spec = {"gossamer.Ticker", sizeof(timer), 0, FLAGS, ticker_slots};

int time_init(PyObject *m) {
  Timer_type = add_type(m, &timer_spec, NULL);
  Ticker_type = add_type(m, &ticker_spec, NULL);
  return Timer_type && Ticker_type ? 0 : -1;
}
