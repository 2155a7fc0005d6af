/* The weighted semaphore.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <stddef.h>

typedef struct {
  PyObject_HEAD gos_sem *sem;
  PyObject *weak;
} weighted;
/* What 'with sem.hold(n):' needs. */
typedef struct {
  PyObject_HEAD weighted *of;
  int64_t n;
  PyObject *timeout, *ctx;
} hold;
static PyTypeObject *Weighted_type, *Hold_type;

static int read_n(PyObject *o, int64_t *n) {
  if (!PyLong_Check(o)) {
    PyErr_Format(PyExc_TypeError, "n must be an int, not %.100s", Py_TYPE(o)->tp_name);
    return -1;
  }
  long long v = PyLong_AsLongLong(o);
  if (v == -1 && PyErr_Occurred()) return -1;
  if (v < 0) {
    PyErr_SetString(PyExc_ValueError, "n must not be negative");
    return -1;
  }
  *n = v;
  return 0;
}

/* The one optional argument n. */
static int read_only_n(const char *fn, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, int64_t *n) {
  Py_ssize_t all = nargs + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0);
  *n = 1;
  if (all > 1 || (kwnames && all && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, 0), "n"))) {
    PyErr_Format(PyExc_TypeError, "%s() takes at most one argument: n", fn);
    return -1;
  }
  return all ? read_n(args[0], n) : 0;
}

static PyObject *take(weighted *s, int64_t n, struct wait *w) {
  int e;
  WAIT(e, w, until, gos_sem_acquire_dl(s->sem, n, until));
  if (UNLIKELY(e < 0)) return wait_failed(e, w, "acquire timed out");
  wait_done(w);
  Py_RETURN_NONE;
}

/* (n=1, timeout=None, *, ctx=None) */
static int read_acquire(const char *fn, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, int64_t *n,
                        PyObject **timeout, PyObject **ctx) {
  *n = 1;
  *timeout = *ctx = Py_None;
  if (nargs > 2) {
    PyErr_Format(PyExc_TypeError, "%s() takes at most 2 positional arguments but %zd were given", fn, nargs);
    return -1;
  }
  if (nargs > 0 && read_n(args[0], n) < 0) return -1;
  if (nargs > 1) *timeout = args[1];
  for (Py_ssize_t i = 0; kwnames && i < PyTuple_GET_SIZE(kwnames); i++) {
    PyObject *name = PyTuple_GET_ITEM(kwnames, i), *value = args[nargs + i];
    if (nargs < 1 && PyUnicode_CompareWithASCIIString(name, "n") == 0) {
      if (read_n(value, n) < 0) return -1;
    } else if (nargs < 2 && PyUnicode_CompareWithASCIIString(name, "timeout") == 0) {
      *timeout = value;
    } else if (PyUnicode_CompareWithASCIIString(name, "ctx") == 0) {
      *ctx = value;
    } else {
      PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", fn, name);
      return -1;
    }
  }
  return 0;
}

static PyObject *acquire(weighted *s, int64_t n, PyObject *timeout, PyObject *ctx) {
  struct wait w;
  wait_init(&w, GOS_FOREVER);
  if (UNLIKELY(realm_enter() < 0)) return NULL;
  if (timeout != Py_None && read_timeout(timeout, &w.deadline) < 0) return NULL;
  if (ctx != Py_None && read_ctx("acquire", ctx, &w) < 0) return NULL;
  return take(s, n, &w);
}

static PyObject *weighted_acquire(weighted *s, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  int64_t n;
  PyObject *timeout, *ctx;
  if (read_acquire("acquire", args, nargs, kwnames, &n, &timeout, &ctx) < 0) return NULL;
  return acquire(s, n, timeout, ctx);
}

static PyObject *weighted_try_acquire(weighted *s, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  int64_t n;
  if (read_only_n("try_acquire", args, nargs, kwnames, &n) < 0 || realm_enter() < 0) return NULL;
  int e = gos_sem_try_acquire(s->sem, n);
  if (e < 0 && e != GOS_WOULDBLOCK) return raise_code(e, "try_acquire");
  return PyBool_FromLong(e == GOS_OK);
}

static PyObject *release(weighted *s, int64_t n) {
  if (realm_enter() < 0) return NULL;
  int e = gos_sem_release(s->sem, n);
  if (e < 0) return raise_code(e, "more released than is held");
  Py_RETURN_NONE;
}
static PyObject *weighted_release(weighted *s, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  int64_t n;
  if (read_only_n("release", args, nargs, kwnames, &n) < 0) return NULL;
  return release(s, n);
}

static PyObject *weighted_hold(weighted *s, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  int64_t n;
  PyObject *timeout, *ctx;
  if (read_acquire("hold", args, nargs, kwnames, &n, &timeout, &ctx) < 0) return NULL;
  hold *h = (hold *)Hold_type->tp_alloc(Hold_type, 0);
  if (!h) return NULL;
  h->of = (weighted *)Py_NewRef(s);
  h->n = n;
  h->timeout = Py_NewRef(timeout);
  h->ctx = Py_NewRef(ctx);
  return (PyObject *)h;
}
static PyObject *hold_enter(hold *h, PyObject *ignored) {
  (void)ignored;
  return acquire(h->of, h->n, h->timeout, h->ctx);
}
static PyObject *hold_exit(hold *h, PyObject *const *args, Py_ssize_t nargs) {
  (void)args, (void)nargs;
  return release(h->of, h->n);
}

/* ---- module ------------------------------------------------------------------------------------------ */
static PyObject *weighted_new(PyTypeObject *type, PyObject *args, PyObject *kw) {
  static char *words[] = {"n", NULL};
  PyObject *o;
  int64_t n;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "O:Weighted", words, &o) || read_n(o, &n) < 0) return NULL;
  weighted *s = (weighted *)type->tp_alloc(type, 0);
  if (!s || (s->sem = gos_sem_new(n))) return (PyObject *)s;
  Py_DECREF(s);
  return raise_code(GOS_NOMEM, "semaphore");
}
static void weighted_dealloc(weighted *s) {
  PyTypeObject *type = Py_TYPE(s);
  if (s->weak) PyObject_ClearWeakRefs((PyObject *)s);
  if (s->sem) gos_sem_free(s->sem);
  type->tp_free(s);
  Py_DECREF(type);
}
static int hold_traverse(hold *h, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(h));
  Py_VISIT(h->timeout);
  Py_VISIT(h->ctx);
  return 0;
}
static void hold_dealloc(hold *h) {
  PyTypeObject *type = Py_TYPE(h);
  PyObject_GC_UnTrack(h);
  Py_XDECREF(h->of);
  Py_XDECREF(h->timeout);
  Py_XDECREF(h->ctx);
  type->tp_free(h);
  Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"acquire", METHOD(weighted_acquire), METH_FASTCALL | METH_KEYWORDS,
     "acquire($self, n=1, timeout=None, *, ctx=None)\n--\n\nTakes n, strictly in the order of the calls. timeout in "
     "seconds raises TimeoutError; obeys ctx, or\n"
     "else the ambient context. More than the size is never to be had. Go: Weighted.Acquire."},
    {"try_acquire", METHOD(weighted_try_acquire), METH_FASTCALL | METH_KEYWORDS,
     "try_acquire($self, n=1)\n--\n\nTakes n if that needs no waiting and nobody waits; says whether it did."},
    {"release", METHOD(weighted_release), METH_FASTCALL | METH_KEYWORDS,
     "release($self, n=1)\n--\n\nGives n back. RuntimeError when that is more than is held. Go: Weighted.Release."},
    {"hold", METHOD(weighted_hold), METH_FASTCALL | METH_KEYWORDS,
     "hold($self, n=1, timeout=None, *, ctx=None)\n--\n\n'with sem.hold(n):' acquires n and releases it at the end."},
    REFUSE_COPY,
    {NULL, NULL, 0, NULL},
};
static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(weighted, weak), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_new, weighted_new},
    {Py_tp_dealloc, weighted_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_doc, "Weighted(n)\n--\n\n"
                "A semaphore of size n. A big request is not starved by small ones. n < 0 raises ValueError.\n"
                "Go: golang.org/x/sync/semaphore."},
    {0, NULL},
};
static PyType_Spec spec = {"gossamer.semaphore.Weighted", sizeof(weighted), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};

static PyMethodDef hold_methods[] = {
    {"__enter__", METHOD(hold_enter), METH_NOARGS, NULL},
    {"__exit__", METHOD(hold_exit), METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot hold_slots[] = {
    {Py_tp_dealloc, hold_dealloc},
    {Py_tp_traverse, hold_traverse},
    {Py_tp_methods, hold_methods},
    {Py_tp_doc, "From Weighted.hold()."},
    {0, NULL},
};
static PyType_Spec hold_spec = {
    "gossamer._gossamer._Hold", sizeof(hold), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, hold_slots};

int semaphore_init(PyObject *m) {
  Weighted_type = add_type(m, &spec, NULL);
  Hold_type = add_type(NULL, &hold_spec, NULL);
  return Weighted_type && Hold_type ? 0 : -1;
}
