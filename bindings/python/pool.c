/* Pool: things that are made again more dearly than kept.
 *
 * Not the core's pool: that one keeps a few items with every P so that they need no lock, but
 * here the GIL is that lock already; and the collector has to see the items, which often refer
 * to the pool they came from.
 *
 * What is not needed goes: a generation lasts twice as many puts as there are items; those
 * that lay there all through it are dropped by its last put.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <stddef.h>

enum { GENERATION = 64 }; /* puts, at least */

typedef struct {
  PyObject_HEAD PyObject *make;
  PyObject **items; /* a stack: the last one put is the first one got */
  Py_ssize_t n, size;
  Py_ssize_t low, puts; /* the least n of this generation, and its length until now */
  PyObject *weak;
} pool;

static PyObject *pool_new(PyTypeObject *type, PyObject *args, PyObject *kw) {
  static char *names[] = {"new", NULL};
  PyObject *make;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "O:Pool", names, &make)) return NULL;
  if (!PyCallable_Check(make))
    return PyErr_Format(PyExc_TypeError, "Pool() needs a callable, not %.100s", Py_TYPE(make)->tp_name);
  pool *p = (pool *)type->tp_alloc(type, 0);
  if (p) p->make = Py_NewRef(make);
  return (PyObject *)p;
}

static int pool_traverse(pool *p, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(p));
  Py_VISIT(p->make);
  for (Py_ssize_t i = 0; i < p->n; i++) Py_VISIT(p->items[i]);
  return 0;
}
static int pool_clear(pool *p) {
  Py_CLEAR(p->make);
  while (p->n) {
    PyObject *item = p->items[--p->n];
    Py_DECREF(item); /* may run code that uses the pool */
  }
  return 0;
}
static void pool_dealloc(pool *p) {
  PyTypeObject *type = Py_TYPE(p);
  PyObject_GC_UnTrack(p);
  if (p->weak) PyObject_ClearWeakRefs((PyObject *)p);
  pool_clear(p);
  PyMem_Free(p->items);
  type->tp_free(p);
  Py_DECREF(type);
}

static PyObject *pool_get(pool *p, PyObject *ignored) {
  (void)ignored;
  if (p->n) {
    PyObject *item = p->items[--p->n];
    if (p->n < p->low) p->low = p->n;
    return item;
  }
  p->low = 0;
  if (!p->make) return PyErr_Format(PyExc_RuntimeError, "the pool is being collected");
  PyObject *make = Py_NewRef(p->make), *item = PyObject_CallNoArgs(make);
  Py_DECREF(make);
  return item;
}

/* The lowest ones have lain there longest. At most a few at a time: a put must not take long. */
static void drop_unused(pool *p) {
  enum { AT_ONCE = 16 };
  PyObject *gone[AT_ONCE];
  Py_ssize_t n = p->low < AT_ONCE ? p->low : AT_ONCE;
  memcpy(gone, p->items, n * sizeof *gone);
  memmove(p->items, p->items + n, (p->n - n) * sizeof *gone);
  p->n -= n;
  p->low -= n;
  if (!p->low) {
    p->low = p->n;
    p->puts = 0;
  }
  for (Py_ssize_t i = 0; i < n; i++) Py_DECREF(gone[i]);
}

static PyObject *pool_put(pool *p, PyObject *item) {
  if (p->n == p->size) {
    Py_ssize_t size = p->size ? 2 * p->size : 8;
    PyObject **items = PyMem_Realloc(p->items, size * sizeof *items);
    if (!items) Py_RETURN_NONE; /* no memory: the item is not kept, which a pool may do */
    p->items = items;
    p->size = size;
  }
  p->items[p->n++] = Py_NewRef(item);
  p->puts++;
  if (p->puts > GENERATION && p->puts > 2 * p->n) drop_unused(p);
  Py_RETURN_NONE;
}

static Py_ssize_t pool_len(pool *p) { return p->n; }

static PyObject *pool_repr(pool *p) { return PyUnicode_FromFormat("<Pool, %zd kept>", p->n); }
static int pool_bool(pool *p) {
  (void)p;
  return 1;
}

/* ---- module ------------------------------------------------------------------------------ */
static PyMethodDef methods[] = {
    {"get", METHOD(pool_get), METH_NOARGS,
     "get($self, /)\n--\n\nAn item that was put, or else a new one: new(). It is the caller's. Go: Pool.Get."},
    {"put", METHOD(pool_put), METH_O,
     "put($self, x, /)\n--\n\nKeeps x for a later get(). Items that no get() needed for a while are dropped. Go: "
     "Pool.Put."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    REFUSE_COPY,
    {NULL, NULL, 0, NULL},
};
static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(pool, weak), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_new, pool_new},
    {Py_tp_dealloc, pool_dealloc},
    {Py_tp_traverse, pool_traverse},
    {Py_tp_clear, pool_clear},
    {Py_tp_repr, pool_repr},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_mp_length, pool_len},
    {Py_nb_bool, pool_bool},
    {Py_tp_doc, "Pool(new)\n--\n\nKeeps things for the next one who needs such a thing; new() makes them. len() is how "
                "many it keeps.\nFor goroutines and threads. Go: sync.Pool."},
    {0, NULL},
};
static PyType_Spec spec = {"gossamer.sync.Pool", sizeof(pool), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE, slots};

int pool_init(PyObject *m) { return add_type(m, &spec, NULL) ? 0 : -1; }
