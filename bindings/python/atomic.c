/* Int, Bool and Ref: values that change in one step.
 *
 * The GIL makes a step of what runs no Python code and gives up no reference before its
 * end: arguments are brought into shape before, what was replaced is dropped after.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <stddef.h>

typedef struct {
  PyObject_HEAD PyObject *value; /* Int: of exactly that type, so that arithmetic runs no code of the user's */
  PyObject *weak;
} atomic;

static PyTypeObject *Int_type, *Bool_type;

/* The argument as this kind of atomic keeps it: a new reference. */
static PyObject *shaped(PyTypeObject *type, PyObject *v) {
  if (type == Int_type) {
    if (LIKELY(PyLong_CheckExact(v))) return Py_NewRef(v);
    if (PyLong_Check(v)) return PyObject_CallOneArg((PyObject *)&PyLong_Type, v);
    return PyErr_Format(PyExc_TypeError, "an int is needed, not %.100s", Py_TYPE(v)->tp_name);
  }
  if (type == Bool_type && !PyBool_Check(v))
    return PyErr_Format(PyExc_TypeError, "a bool is needed, not %.100s", Py_TYPE(v)->tp_name);
  return Py_NewRef(v);
}

static PyObject *atomic_new(PyTypeObject *type, PyObject *args, PyObject *kw) {
  static char *names[] = {"value", NULL};
  PyObject *v = type == Int_type ? NULL : type == Bool_type ? Py_False : Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "|O", names, &v)) return NULL;
  v = v ? shaped(type, v) : PyLong_FromLong(0);
  atomic *a = v ? (atomic *)type->tp_alloc(type, 0) : NULL;
  if (a)
    a->value = v;
  else
    Py_XDECREF(v);
  return (PyObject *)a;
}

static int atomic_traverse(atomic *a, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(a));
  Py_VISIT(a->value);
  return 0;
}
/* None, not NULL: a finalizer in the same cycle may still look. */
static int atomic_clear(atomic *a) {
  Py_XSETREF(a->value, Py_NewRef(Py_None));
  return 0;
}
static void atomic_dealloc(atomic *a) {
  PyTypeObject *type = Py_TYPE(a);
  if (PyType_IS_GC(type)) PyObject_GC_UnTrack(a);
  if (a->weak) PyObject_ClearWeakRefs((PyObject *)a);
  Py_XDECREF(a->value);
  type->tp_free(a);
  Py_DECREF(type);
}

static PyObject *atomic_repr(atomic *a) {
  const char *type = strrchr(Py_TYPE(a)->tp_name, '.') + 1;
  int e = Py_ReprEnter((PyObject *)a);
  if (e) return e < 0 ? NULL : PyUnicode_FromFormat("%s(...)", type);
  PyObject *v = Py_NewRef(a->value), *r = PyUnicode_FromFormat("%s(%R)", type, v);
  Py_DECREF(v);
  Py_ReprLeave((PyObject *)a);
  return r;
}

static PyObject *load(atomic *a, PyObject *ignored) {
  (void)ignored;
  return Py_NewRef(a->value);
}

static PyObject *swap(atomic *a, PyObject *arg) {
  PyObject *v = shaped(Py_TYPE(a), arg), *old = a->value;
  if (!v) return NULL;
  old = a->value; /* shaped() may have run code */
  a->value = v;
  return old;
}

static PyObject *store(atomic *a, PyObject *arg) {
  PyObject *old = swap(a, arg);
  if (!old) return NULL;
  Py_DECREF(old);
  Py_RETURN_NONE;
}

/* Int by value, the others by identity: there is one True, and a Ref is a pointer. */
static bool same(atomic *a, PyObject *old) {
  return a->value == old || (Py_TYPE(a) == Int_type && PyObject_RichCompareBool(a->value, old, Py_EQ) == 1);
}

static PyObject *compare_and_swap(atomic *a, PyObject *const *args, Py_ssize_t nargs) {
  if (nargs != 2)
    return PyErr_Format(PyExc_TypeError, "compare_and_swap() takes 2 arguments (old, new) but %zd were given", nargs);
  PyObject *old = shaped(Py_TYPE(a), args[0]), *v = old ? shaped(Py_TYPE(a), args[1]) : NULL;
  if (!v) {
    Py_XDECREF(old);
    return NULL;
  }
  bool yes = same(a, old);
  if (yes) {
    PyObject *was = a->value;
    a->value = v;
    v = was;
  }
  Py_DECREF(v);
  Py_DECREF(old);
  return PyBool_FromLong(yes);
}

/* value = op(value, arg): the new value, or the one before. */
static PyObject *change(atomic *a, PyObject *arg, binaryfunc op, bool give_new) {
  PyObject *d = shaped(Int_type, arg), *v = d ? op(a->value, d) : NULL;
  Py_XDECREF(d);
  if (!v) return NULL;
  PyObject *old = a->value;
  a->value = v;
  if (!give_new) return old;
  Py_INCREF(v);
  Py_DECREF(old);
  return v;
}
static PyObject *int_add(atomic *a, PyObject *arg) { return change(a, arg, PyNumber_Add, true); }
static PyObject *int_and(atomic *a, PyObject *arg) { return change(a, arg, PyNumber_And, false); }
static PyObject *int_or(atomic *a, PyObject *arg) { return change(a, arg, PyNumber_Or, false); }

/* ---- module ------------------------------------------------------------------------------ */
#define COMMON(by)                                                                                                     \
  {"load", METHOD(load), METH_NOARGS, "load($self, /)\n--\n\nThe value."},                                             \
      {"store", METHOD(store), METH_O, "store($self, v, /)\n--\n\nSets the value."},                                   \
      {"swap", METHOD(swap), METH_O, "swap($self, v, /)\n--\n\nSets the value; the one before."}, {                    \
    "compare_and_swap", METHOD(compare_and_swap), METH_FASTCALL,                                                       \
        "compare_and_swap($self, old, new, /)\n--\n\nSets the value to new if it " by " old; says whether it did."     \
  }
static PyMethodDef int_methods[] = {
    COMMON("equals"),
    {"add", METHOD(int_add), METH_O, "add($self, d, /)\n--\n\nAdds d; the new value. Go: atomic.Int64.Add."},
    {"and_", METHOD(int_and), METH_O, "and_($self, mask, /)\n--\n\nvalue & mask; the value before. Go: And."},
    {"or_", METHOD(int_or), METH_O, "or_($self, mask, /)\n--\n\nvalue | mask; the value before. Go: Or."},
    REFUSE_COPY,
    {NULL, NULL, 0, NULL},
};
static PyMethodDef bool_methods[] = {COMMON("is"), REFUSE_COPY, {NULL, NULL, 0, NULL}};
static PyMethodDef ref_methods[] = {
    COMMON("is (the very object)"),
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    REFUSE_COPY,
    {NULL, NULL, 0, NULL},
};
static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(atomic, weak), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
#define SLOTS(methods, doc)                                                                                            \
  {Py_tp_new, atomic_new}, {Py_tp_dealloc, atomic_dealloc}, {Py_tp_repr, atomic_repr}, {Py_tp_methods, methods},       \
      {Py_tp_members, members}, {                                                                                      \
    Py_tp_doc, doc                                                                                                     \
  }
static PyType_Slot int_slots[] = {
    SLOTS(int_methods, "Int(value=0)\n--\n\nAn int that goroutines and threads change in one step. It has no size: it "
                       "does not wrap around.\nGo: atomic.Int64."),
    {0, NULL},
};
static int bool_bool(atomic *a) { return a->value == Py_True; }

static PyType_Slot bool_slots[] = {
    SLOTS(bool_methods,
          "Bool(value=False)\n--\n\nA bool that goroutines and threads change in one step. Go: atomic.Bool."),
    {Py_nb_bool, bool_bool},
    {0, NULL},
};
static PyType_Slot ref_slots[] = {
    SLOTS(ref_methods, "Ref(value=None)\n--\n\nA reference to any object, which goroutines and threads change in one "
                       "step. Go: atomic.Pointer,\natomic.Value."),
    {Py_tp_traverse, atomic_traverse},
    {Py_tp_clear, atomic_clear},
    {0, NULL},
};
#define FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE)
static PyType_Spec int_spec = {"gossamer.atomic.Int", sizeof(atomic), 0, FLAGS, int_slots};
static PyType_Spec bool_spec = {"gossamer.atomic.Bool", sizeof(atomic), 0, FLAGS, bool_slots};
static PyType_Spec ref_spec = {"gossamer.atomic.Ref", sizeof(atomic), 0, FLAGS | Py_TPFLAGS_HAVE_GC, ref_slots};

int atomic_init(PyObject *m) {
  Int_type = add_type(m, &int_spec, NULL);
  Bool_type = add_type(m, &bool_spec, NULL);
  return Int_type && Bool_type && add_type(m, &ref_spec, NULL) ? 0 : -1;
}
