/* What a call that waits obeys: its timeout, and its context or the ambient one.
 *
 * The deadline goes to the core with each wait. A context stands beside the wait (gos_ctx_wait_begin), one wait
 * at a time: between two of them a signal handler may run, which waits itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"

bool wait_ambient;

/* ---- reading arguments ------------------------------------------------------------------ */
int read_ctx(const char *fn, PyObject *o, struct wait *w) {
  if (o == Py_None) return 0;
  if (!Py_IS_TYPE(o, Context_type)) {
    PyErr_Format(PyExc_TypeError, "%s(): ctx must be a Context or None, not %.100s", fn, Py_TYPE(o)->tp_name);
    return -1;
  }
  Py_XSETREF(w->ctx, (context *)Py_NewRef(o));
  w->given = true;
  return 0;
}

int read_keyword(const char *fn, PyObject *name, PyObject *value, bool timeout, struct wait *w) {
  int e = -1;
  if (timeout && PyUnicode_CompareWithASCIIString(name, "timeout") == 0)
    e = read_timeout(value, &w->deadline);
  else if (PyUnicode_CompareWithASCIIString(name, "ctx") == 0)
    e = read_ctx(fn, value, w);
  else
    PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", fn, name);
  if (e < 0) wait_done(w);
  return e;
}

int read_wait(const char *fn, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, Py_ssize_t first,
              struct wait *w) {
  if (nargs < first && kwnames) {
    PyErr_Format(PyExc_TypeError, "%s() takes no keyword arguments but timeout and ctx", fn);
    return -1;
  }
  if (nargs < first || nargs > first + 1) {
    PyErr_Format(PyExc_TypeError, "%s() takes %zd to %zd positional arguments but %zd were given", fn, first, first + 1,
                 nargs);
    return -1;
  }
  if (nargs == first + 1 && read_timeout(args[first], &w->deadline) < 0) return -1;
  return read_waits(fn, args + nargs, kwnames, nargs == first, w);
}

int read_waits(const char *fn, PyObject *const *values, PyObject *kwnames, bool timeout, struct wait *w) {
  for (Py_ssize_t i = 0; kwnames && i < PyTuple_GET_SIZE(kwnames); i++)
    if (read_keyword(fn, PyTuple_GET_ITEM(kwnames, i), values[i], timeout, w) < 0) return -1;
  return 0;
}

/* ---- waiting with a context ---------------------------------------------------------------- */
bool wait_obeys(struct wait *w) {
  if (!w->given && !w->ctx) w->ctx = (context *)Py_XNewRef((PyObject *)context_ambient());
  return w->ctx && context_core(w->ctx);
}

/* False: no call, *e is the result. A context that had ended wins over what could be done at once. */
bool wait_begin(struct wait *w, gos_ns *until, int *e) {
  gos_ctx *x = context_core(w->ctx);
  if (w->tried ? gos_ctx_wait_begin(&w->place, x) : gos_ctx_err(x)) {
    *e = ENDED;
    return false;
  }
  *until = !w->tried ? GOS_NOW : LIKELY(!realm_sliced) ? w->deadline : realm_slice(w->deadline);
  return true;
}

/* True: *e is the result. */
bool wait_end(struct wait *w, gos_ns until, int *e) {
  if (!w->tried) {
    if (*e != GOS_AGAIN && (*e != GOS_WOULDBLOCK || w->deadline == GOS_NOW)) return true;
    w->tried = *e == GOS_WOULDBLOCK;
    if (w->tried) return false;
  } else if (gos_ctx_wait_end(&w->place, e)) {
    *e = ENDED;
    return true;
  }
  if (LIKELY(*e != GOS_AGAIN && until == w->deadline)) return true;
  return (*e = realm_signals(*e, until, w->deadline)) != GOS_AGAIN;
}

int sleep_until(gos_ns at, gos_ns until) {
  gos_ns now = gos_now();
  if (at <= now) return GOS_OK;
  int e = gos_sleep(until == GOS_FOREVER ? GOS_FOREVER : until - now);
  return e == GOS_OK && until < at ? GOS_TIMEDOUT : e;
}

PyObject *wait_failed(int e, struct wait *w, const char *what) {
  if (e == ENDED)
    context_raise(w->ctx);
  else
    raise_code(e == GOS_WOULDBLOCK ? GOS_TIMEDOUT : e, what);
  wait_done(w);
  return NULL;
}
