/* Signals: the core's channel of numbers, for gossamer/signal.py, which gives them to Python's channels.
 *
 * One channel of the core's takes all signals that any Python channel wants; a goroutine receives from it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"

static gos_chan *numbers;
static PyObject *getsignal, *partial_type;

enum { SIGNALS = 64 };
struct set {
  int n, sigs[SIGNALS];
};

/* A sequence of ints. */
static int read_signals(PyObject *o, struct set *set) {
  PyObject *all = PySequence_Fast(o, "signals must be a sequence");
  set->n = 0;
  if (!all) return -1;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(all) && !PyErr_Occurred(); i++) {
    long sig = PyLong_AsLong(PySequence_Fast_GET_ITEM(all, i));
    if (sig == -1 && PyErr_Occurred()) break;
    if (set->n == SIGNALS || sig < 1 || sig > SIGNALS)
      PyErr_Format(PyExc_ValueError, "signal number %ld out of range", sig);
    else
      set->sigs[set->n++] = (int)sig;
  }
  Py_DECREF(all);
  return PyErr_Occurred() ? -1 : 0;
}

static PyObject *done(int e) {
  if (e < 0) return raise_code(e, "a signal that cannot be caught");
  Py_RETURN_NONE;
}

/* No signals are no signals here, not all of them as in the core. */
static PyObject *call(PyObject *arg, int (*f)(const int *, int)) {
  struct set set;
  if (read_signals(arg, &set) < 0 || realm_enter() < 0) return NULL;
  return done(set.n ? f(set.sigs, set.n) : GOS_OK);
}

static int watch(const int *sigs, int n) {
  if (!numbers && !(numbers = gos_chan_make(sizeof(int), SIGNALS))) return GOS_NOMEM;
  return gos_signal_notify(numbers, sigs, n);
}
static int unwatch(const int *sigs, int n) { return numbers ? gos_signal_stop_some(numbers, sigs, n) : GOS_OK; }

static PyObject *signal_watch(PyObject *self, PyObject *arg) {
  (void)self;
  return call(arg, watch);
}
static PyObject *signal_unwatch(PyObject *self, PyObject *arg) {
  (void)self;
  return call(arg, unwatch);
}
static PyObject *signal_ignore(PyObject *self, PyObject *arg) {
  (void)self;
  return call(arg, gos_signal_ignore);
}
static PyObject *signal_reset(PyObject *self, PyObject *arg) {
  (void)self;
  return call(arg, gos_signal_reset);
}

static PyObject *signal_ignored(PyObject *self, PyObject *arg) {
  (void)self;
  long sig = PyLong_AsLong(arg);
  if (sig == -1 && PyErr_Occurred()) return NULL;
  int e = sig < 1 || sig > SIGNALS ? GOS_INVAL : gos_signal_ignored((int)sig);
  return e < 0 ? raise_code(e, "no such signal") : PyBool_FromLong(e);
}

static PyObject *signal_next(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  int e, sig;
  struct wait w;
  wait_init(&w, GOS_FOREVER);
  w.given = true; /* no context */
  if (realm_enter() < 0) return NULL;
  WAIT(e, &w, until, gos_chan_recv_dl(numbers, &sig, until));
  return e < 0 ? raise_code(e, "signals") : PyLong_FromLong(sig);
}

/* As if it had come to Python's own handler, which main will run. */
static PyObject *signal_trip(PyObject *self, PyObject *arg) {
  (void)self;
  long sig = PyLong_AsLong(arg);
  if (sig == -1 && PyErr_Occurred()) return NULL;
  PyErr_SetInterruptEx((int)sig);
  Py_RETURN_NONE;
}

/* ---- Python's own handlers --------------------------------------------------------- */
/* The name of the module it was defined in, borrowed, or NULL. Its kinds are looked at one by one: an attribute of
   somebody else's object could be Python code. */
static PyObject *module_of(PyObject *handler) {
  PyObject *f = handler;
  if (Py_IS_TYPE(f, (PyTypeObject *)partial_type)) {
    f = PyObject_GetAttrString(f, "func");
    if (!f) PyErr_Clear();
    Py_XDECREF(f); /* the partial keeps it */
  }
  if (f && PyMethod_Check(f)) f = PyMethod_GET_FUNCTION(f);
  if (f && PyFunction_Check(f)) return PyFunction_GetModule(f);
  return f && PyCFunction_Check(f) ? ((PyCFunctionObject *)f)->m_module : NULL;
}

/* Those of the modules that only raise in the main goroutine: whoever waits for them waits in vain. */
static bool wakes(PyObject *handler) {
  static const char *const raising[] = {"_signal", "asyncio.runners", "gossamer.pytest_plugin", "pytest_timeout"};
  if (!PyCallable_Check(handler)) return false;
  PyObject *module = module_of(handler);
  for (size_t i = 0; module && i < sizeof raising / sizeof *raising; i++)
    if (PyUnicode_Check(module) && PyUnicode_CompareWithASCIIString(module, raising[i]) == 0) return false;
  return true;
}

bool signal_handled(void) {
  bool found = false;
  for (int sig = 1; sig <= SIGNALS && !found; sig++) {
    PyObject *number = PyLong_FromLong(sig), *handler = number ? PyObject_CallOneArg(getsignal, number) : NULL;
    found = handler && wakes(handler);
    if (!handler) PyErr_Clear();
    Py_XDECREF(handler);
    Py_XDECREF(number);
  }
  return found;
}

int signal_init(PyObject *m) {
  (void)m;
  PyObject *of = PyImport_ImportModule("_signal"), *functools = of ? PyImport_ImportModule("functools") : NULL;
  getsignal = of ? PyObject_GetAttrString(of, "getsignal") : NULL;
  partial_type = functools ? PyObject_GetAttrString(functools, "partial") : NULL;
  Py_XDECREF(of);
  Py_XDECREF(functools);
  return getsignal && partial_type ? 0 : -1;
}

/* In a fork's child nobody receives: signals do what they did before. */
static PyObject *signal_after_fork(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  if (numbers) gos_signal_reset(NULL, 0);
  Py_RETURN_NONE;
}

static PyObject *signal_channel(PyObject *self, PyObject *arg) {
  (void)self;
  if (!PyObject_TypeCheck(arg, SendChan_type))
    return PyErr_Format(PyExc_TypeError, "a channel to send on is needed, not %.100s", Py_TYPE(arg)->tp_name);
  gos_chan *c = ((chan *)arg)->ch;
  return c ? PyLong_FromVoidPtr(c) : PyErr_Format(PyExc_ValueError, "the nil channel gets no signals");
}

PyMethodDef signal_methods[] = {
    {"_signal_watch", signal_watch, METH_O, NULL},     {"_signal_unwatch", signal_unwatch, METH_O, NULL},
    {"_signal_ignore", signal_ignore, METH_O, NULL},   {"_signal_reset", signal_reset, METH_O, NULL},
    {"_signal_ignored", signal_ignored, METH_O, NULL}, {"_signal_next", signal_next, METH_NOARGS, NULL},
    {"_signal_trip", signal_trip, METH_O, NULL},       {"_signal_after_fork", signal_after_fork, METH_NOARGS, NULL},
    {"_signal_channel", signal_channel, METH_O, NULL}, {NULL, NULL, 0, NULL},
};
