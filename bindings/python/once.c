/* What once_func(), once_value() and once_values() return: a callable that calls once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <stddef.h>

typedef struct {
  PyObject_HEAD vectorcallfunc call;
  gos_mutex mu; /* held while fn runs */
  PyObject *fn; /* NULL: it has been called */
  PyObject *value, *error, *traceback;
  PyObject *dict, *weak;
  bool gives; /* the value; else None */
} once_call;

static PyObject *outcome(once_call *o) {
  if (LIKELY(!o->error)) return Py_NewRef(o->value);
  /* With the first call's traceback each time: it must not grow from call to call. */
  PyErr_Restore(Py_NewRef(Py_TYPE(o->error)), Py_NewRef(o->error), Py_XNewRef(o->traceback));
  return NULL;
}

static void run(once_call *o) {
  PyObject *fn = Py_NewRef(o->fn), *value = PyObject_CallNoArgs(fn);
  if (!value) {
    o->error = compat_take_exception();
    o->traceback = PyException_GetTraceback(o->error);
  }
  o->value = value && !o->gives ? Py_NewRef(Py_None) : Py_XNewRef(value);
  Py_CLEAR(o->fn); /* and what it holds: it is never needed again */
  gos_mutex_unlock(&o->mu);
  Py_XDECREF(value);
  Py_DECREF(fn);
}

static PyObject *call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
  once_call *o = (once_call *)callable;
  (void)args;
  if (UNLIKELY(PyVectorcall_NARGS(nargsf) || (kwnames && PyTuple_GET_SIZE(kwnames))))
    return PyErr_Format(PyExc_TypeError, "a function that is called once takes no arguments");
  if (LIKELY(!o->fn)) return outcome(o);
  if (realm_enter() < 0) return NULL;
  int e;
  struct wait w;
  wait_init(&w, GOS_FOREVER);
  WAIT(e, &w, until, gos_mutex_lock_dl(&o->mu, until));
  if (e < 0) return wait_failed(e, &w, "once");
  wait_done(&w);
  if (o->fn)
    run(o);
  else
    gos_mutex_unlock(&o->mu);
  return outcome(o);
}

static PyObject *once_new(PyTypeObject *type, PyObject *args, PyObject *kw) {
  static char *names[] = {"fn", "gives", NULL};
  PyObject *fn;
  int gives;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "Op:_OnceCall", names, &fn, &gives)) return NULL;
  if (!PyCallable_Check(fn))
    return PyErr_Format(PyExc_TypeError, "a callable is needed, not %.100s", Py_TYPE(fn)->tp_name);
  once_call *o = (once_call *)type->tp_alloc(type, 0);
  if (!o) return NULL;
  o->call = call;
  o->fn = Py_NewRef(fn);
  o->gives = gives;
  return (PyObject *)o;
}

static int once_traverse(once_call *o, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(o));
  Py_VISIT(o->fn);
  Py_VISIT(o->value);
  Py_VISIT(o->error);
  Py_VISIT(o->traceback);
  Py_VISIT(o->dict);
  return 0;
}
/* A finalizer in the same cycle may still call it. */
static int once_clear(once_call *o) {
  if (!o->error) Py_XSETREF(o->value, Py_NewRef(Py_None));
  Py_CLEAR(o->fn);
  Py_CLEAR(o->traceback);
  Py_CLEAR(o->dict);
  return 0;
}
static void once_dealloc(once_call *o) {
  PyTypeObject *type = Py_TYPE(o);
  PyObject_GC_UnTrack(o);
  if (o->weak) PyObject_ClearWeakRefs((PyObject *)o);
  once_clear(o);
  Py_XDECREF(o->value);
  Py_XDECREF(o->error);
  type->tp_free(o);
  Py_DECREF(type);
}

static PyObject *once_repr(once_call *o) {
  return PyUnicode_FromFormat("<function called once, %s>", o->fn ? "not yet" : o->error ? "failed" : "done");
}

static PyMethodDef methods[] = {REFUSE_COPY, {NULL, NULL, 0, NULL}};
static PyGetSetDef getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(once_call, call), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(once_call, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(once_call, weak), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_new, once_new},           {Py_tp_dealloc, once_dealloc},
    {Py_tp_traverse, once_traverse}, {Py_tp_clear, once_clear},
    {Py_tp_call, PyVectorcall_Call}, {Py_tp_repr, once_repr},
    {Py_tp_methods, methods},        {Py_tp_members, members},
    {Py_tp_getset, getset},          {0, NULL},
};
static PyType_Spec spec = {
    "gossamer._gossamer._OnceCall", sizeof(once_call), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_VECTORCALL, slots};

int once_init(PyObject *m) { return add_type(m, &spec, NULL) ? 0 : -1; }
