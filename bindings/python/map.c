/* Map: a dict for many goroutines, whose compound operations are one step.
 *
 * Not the core's map: keys want Python's hash and ==, which may raise and may themselves
 * wait, and the collector has to see what is inside. So it is a dict from keys to cells. The lookup of
 * a cell may run Python code; what is then done to the cell does not, and is the step.
 *
 * Always true:
 *   an empty cell is a deleted key; storing fills the cell of its key, so that it stays the one cell of that key
 *   a cell that holds a value is in `cells`
 *   whoever has looked something up looks again if `cells` is another dict by then: empty cells are cleared
 *   away by making a new one
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <stddef.h>

typedef struct {
  PyObject_HEAD PyObject *cells; /* key -> cell */
  Py_ssize_t live, spare;        /* cells with a value; that many empty ones and spare may be there */
  uint64_t changes;              /* cells added or filled */
  PyObject *weak;
} map;

enum { FEW = 16 };

static PyObject *map_new(PyTypeObject *type, PyObject *args, PyObject *kw) {
  if (PyTuple_GET_SIZE(args) || (kw && PyDict_GET_SIZE(kw)))
    return PyErr_Format(PyExc_TypeError, "Map takes no arguments");
  PyObject *cells = PyDict_New();
  map *m = cells ? (map *)type->tp_alloc(type, 0) : NULL;
  if (!m) {
    Py_XDECREF(cells);
    return NULL;
  }
  m->cells = cells;
  m->spare = FEW;
  return (PyObject *)m;
}

static int map_traverse(map *m, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(m));
  Py_VISIT(m->cells);
  return 0;
}
static int map_gc_clear(map *m) {
  m->live = 0;
  if (m->cells) PyDict_Clear(m->cells);
  return 0;
}
static void map_dealloc(map *m) {
  PyTypeObject *type = Py_TYPE(m);
  PyObject_GC_UnTrack(m);
  if (m->weak) PyObject_ClearWeakRefs((PyObject *)m);
  Py_XDECREF(m->cells);
  type->tp_free(m);
  Py_DECREF(type);
}

/* ---- cells --------------------------------------------------------------------------------- */
/* The key's cell: a new reference. NULL without exception: it has none, and make is false. */
static PyObject *cell_of(map *m, PyObject *key, bool make) {
  PyObject *fresh = NULL, *cell;
  bool same;
  do {
    PyObject *cells = Py_NewRef(m->cells);
    Py_ssize_t n = PyDict_GET_SIZE(cells);
    cell = Py_XNewRef(fresh ? PyDict_SetDefault(cells, key, fresh) : PyDict_GetItemWithError(cells, key));
    same = cells == m->cells;
    if (same && PyDict_GET_SIZE(cells) != n) m->changes++;
    Py_DECREF(cells);
    if (!cell && PyErr_Occurred()) break;
    if (!cell && make) {
      if (!(fresh = PyCell_New(NULL))) break;
      same = false;
    }
    if (!same) Py_CLEAR(cell);
  } while (!same);
  Py_XDECREF(fresh);
  return cell;
}

/* The value that was in the cell: a reference for the caller to give or to drop. */
static PyObject *exchange(map *m, PyObject *cell, PyObject *value) {
  PyObject *old = PyCell_GET(cell);
  PyCell_SET(cell, Py_XNewRef(value));
  m->live += (value != NULL) - (old != NULL);
  if (value && !old) m->changes++;
  return old;
}

/* Another dict, without the empty cells. Hashing keys may run code: then it may be for nothing. */
static void clear_away(map *m) {
  PyObject *type, *error, *tb, *key, *cell;
  Py_ssize_t at = 0;
  uint64_t changes = m->changes;
  PyErr_Fetch(&type, &error, &tb);
  PyObject *old = Py_NewRef(m->cells), *fresh = PyDict_New();
  bool ok = fresh != NULL;
  while (ok && PyDict_Next(old, &at, &key, &cell)) {
    if (!PyCell_GET(cell)) continue;
    Py_INCREF(key);
    Py_INCREF(cell);
    ok = PyDict_SetItem(fresh, key, cell) == 0 && m->cells == old && m->changes == changes;
    Py_DECREF(key);
    Py_DECREF(cell);
  }
  if (ok && m->cells == old && m->changes == changes) {
    m->cells = fresh;
    fresh = old; /* to be dropped, the map's reference to it */
    m->spare = FEW;
  } else {
    m->spare = PyDict_GET_SIZE(m->cells) + FEW; /* not again with the next delete */
  }
  PyErr_Clear();
  PyErr_Restore(type, error, tb);
  Py_XDECREF(fresh);
  Py_DECREF(old);
}

/* The cell has been emptied; gives back what was asked for. */
static PyObject *after_delete(map *m, PyObject *cell, PyObject *result) {
  Py_DECREF(cell);
  if (PyDict_GET_SIZE(m->cells) - m->live > m->live + m->spare) clear_away(m);
  return result;
}

/* (value, loaded): takes over value; NULL: (None, False). */
static PyObject *pair(PyObject *value, bool loaded) {
  PyObject *t = PyTuple_Pack(2, value ? value : Py_None, loaded ? Py_True : Py_False);
  Py_XDECREF(value);
  return t;
}

static PyObject *value_of(map *m, PyObject *key) {
  PyObject *cell = cell_of(m, key, false);
  PyObject *v = cell ? Py_XNewRef(PyCell_GET(cell)) : NULL;
  Py_XDECREF(cell);
  return v;
}

/* ---- operations ------------------------------------------------------------------------------- */
static bool takes(const char *fn, Py_ssize_t nargs, Py_ssize_t n) {
  if (nargs == n) return true;
  PyErr_Format(PyExc_TypeError, "%s() takes %zd arguments but %zd were given", fn, n, nargs);
  return false;
}

static PyObject *map_load(map *m, PyObject *key) {
  PyObject *v = value_of(m, key);
  return !v && PyErr_Occurred() ? NULL : pair(v, v != NULL);
}

static PyObject *map_swap(map *m, PyObject *const *args, Py_ssize_t nargs) {
  PyObject *cell = takes("swap", nargs, 2) ? cell_of(m, args[0], true) : NULL;
  if (!cell) return NULL;
  PyObject *old = exchange(m, cell, args[1]);
  Py_DECREF(cell);
  return pair(old, old != NULL);
}

static int put(map *m, PyObject *key, PyObject *value) {
  PyObject *cell = cell_of(m, key, true);
  if (!cell) return -1;
  PyObject *old = exchange(m, cell, value);
  Py_DECREF(cell);
  Py_XDECREF(old);
  return 0;
}
static PyObject *map_store(map *m, PyObject *const *args, Py_ssize_t nargs) {
  if (!takes("store", nargs, 2) || put(m, args[0], args[1]) < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *map_load_or_store(map *m, PyObject *const *args, Py_ssize_t nargs) {
  PyObject *cell = takes("load_or_store", nargs, 2) ? cell_of(m, args[0], true) : NULL;
  if (!cell) return NULL;
  PyObject *v = Py_XNewRef(PyCell_GET(cell));
  if (!v) exchange(m, cell, args[1]);
  Py_DECREF(cell);
  return pair(v ? v : Py_NewRef(args[1]), v != NULL);
}

/* What was there: NULL without exception for nothing. */
static PyObject *take_out(map *m, PyObject *key) {
  PyObject *cell = cell_of(m, key, false);
  return cell ? after_delete(m, cell, exchange(m, cell, NULL)) : NULL;
}
static PyObject *map_load_and_delete(map *m, PyObject *key) {
  PyObject *v = take_out(m, key);
  return !v && PyErr_Occurred() ? NULL : pair(v, v != NULL);
}
static PyObject *map_delete(map *m, PyObject *key) {
  PyObject *v = take_out(m, key);
  if (!v && PyErr_Occurred()) return NULL;
  Py_XDECREF(v);
  Py_RETURN_NONE;
}

/* If the key's value equals old, value (NULL: none) takes its place. -1: an exception. */
static int replace(map *m, PyObject *key, PyObject *old, PyObject *value) {
  for (;;) {
    PyObject *cell = cell_of(m, key, false);
    PyObject *v = cell ? Py_XNewRef(PyCell_GET(cell)) : NULL;
    int equal = v ? PyObject_RichCompareBool(v, old, Py_EQ) : PyErr_Occurred() ? -1 : 0;
    bool still = equal == 1 && PyCell_GET(cell) == v; /* == may have run code */
    if (still) Py_DECREF(exchange(m, cell, value));   /* v lives on for now: runs no code */
    if (still && !value)
      after_delete(m, cell, NULL);
    else
      Py_XDECREF(cell);
    Py_XDECREF(v);
    if (still || equal != 1) return equal;
  }
}
static PyObject *map_compare_and_swap(map *m, PyObject *const *args, Py_ssize_t nargs) {
  int e = takes("compare_and_swap", nargs, 3) ? replace(m, args[0], args[1], args[2]) : -1;
  return e < 0 ? NULL : PyBool_FromLong(e);
}
static PyObject *map_compare_and_delete(map *m, PyObject *const *args, Py_ssize_t nargs) {
  int e = takes("compare_and_delete", nargs, 2) ? replace(m, args[0], args[1], NULL) : -1;
  return e < 0 ? NULL : PyBool_FromLong(e);
}

static PyObject *map_clear(map *m, PyObject *ignored) {
  (void)ignored;
  PyObject *fresh = PyDict_New(), *values = NULL, *key, *cell;
  Py_ssize_t n, at = 0, i = 0;
  if (!fresh) return NULL;
  do {
    n = m->live;
    Py_XSETREF(values, PyList_New(n));
    if (!values) {
      Py_DECREF(fresh);
      return NULL;
    }
  } while (m->live != n); /* making the list may have run the collector, and finalizers */
  /* From here on one step. The values go when all are out. */
  while (i < n && PyDict_Next(m->cells, &at, &key, &cell)) {
    PyObject *v = PyCell_GET(cell);
    if (v) PyList_SET_ITEM(values, i++, v);
    PyCell_SET(cell, NULL);
  }
  PyObject *old = m->cells;
  m->cells = fresh;
  m->live = 0;
  m->spare = FEW;
  Py_DECREF(old);
  Py_DECREF(values);
  Py_RETURN_NONE;
}

/* [(key, value), ...] of one moment. */
static PyObject *map_pairs(map *m, PyObject *ignored) {
  (void)ignored;
  PyObject *all = PyDict_Items(m->cells);
  if (!all) return NULL;
  Py_ssize_t n = PyList_GET_SIZE(all), k = 0;
  for (Py_ssize_t i = 0; i < n; i++) {
    PyObject *item = PyList_GET_ITEM(all, i), *cell = PyTuple_GET_ITEM(item, 1), *v = Py_XNewRef(PyCell_GET(cell));
    PyTuple_SET_ITEM(item, 1, v ? v : Py_NewRef(Py_None));
    Py_DECREF(cell); /* not the last one: the dict has it */
    PyList_SET_ITEM(all, i, PyList_GET_ITEM(all, k));
    PyList_SET_ITEM(all, k, item);
    k += v != NULL;
  }
  if (PyList_SetSlice(all, k, n, NULL) < 0) Py_CLEAR(all);
  return all;
}

static PyObject *map_range(map *m, PyObject *fn) {
  PyObject *all = map_pairs(m, NULL);
  if (!all) return NULL;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(all); i++) {
    PyObject *item = PyList_GET_ITEM(all, i), *key = PyTuple_GET_ITEM(item, 0), *v = value_of(m, key);
    if (!v && PyErr_Occurred()) break;
    if (!v) continue; /* deleted meanwhile */
    PyObject *args[] = {key, v}, *go_on = PyObject_Vectorcall(fn, args, 2, NULL);
    Py_DECREF(v);
    Py_XDECREF(go_on);
    if (!go_on || go_on == Py_False) break;
  }
  Py_DECREF(all);
  if (PyErr_Occurred()) return NULL;
  Py_RETURN_NONE;
}

/* ---- as a mapping ------------------------------------------------------------------------------- */
static Py_ssize_t map_len(map *m) { return m->live; }
static int map_bool(map *m) { return m->live > 0; }

static PyObject *map_getitem(map *m, PyObject *key) {
  PyObject *v = value_of(m, key);
  if (!v && !PyErr_Occurred()) PyErr_SetObject(PyExc_KeyError, key);
  return v;
}
static int map_setitem(map *m, PyObject *key, PyObject *value) {
  if (value) return put(m, key, value);
  PyObject *v = take_out(m, key);
  if (!v && !PyErr_Occurred()) PyErr_SetObject(PyExc_KeyError, key);
  Py_XDECREF(v);
  return v ? 0 : -1;
}
static int map_contains(map *m, PyObject *key) {
  PyObject *v = value_of(m, key);
  Py_XDECREF(v);
  return v ? 1 : PyErr_Occurred() ? -1 : 0;
}
static PyObject *map_get(map *m, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  Py_ssize_t nkw = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
  if (nargs < 1 || nargs + nkw > 2)
    return PyErr_Format(PyExc_TypeError, "get() takes a key and a default, but %zd arguments were given", nargs + nkw);
  if (nkw && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, 0), "default"))
    return PyErr_Format(PyExc_TypeError, "get() got an unexpected keyword argument %R", PyTuple_GET_ITEM(kwnames, 0));
  PyObject *v = value_of(m, args[0]);
  return v || PyErr_Occurred() ? v : Py_NewRef(nargs + nkw == 2 ? args[1] : Py_None);
}

/* ---- module ------------------------------------------------------------------------------ */
static PyMethodDef methods[] = {
    {"load", METHOD(map_load), METH_O, "load($self, k, /)\n--\n\n(value, True), or (None, False). Go: Map.Load."},
    {"store", METHOD(map_store), METH_FASTCALL, "store($self, k, v, /)\n--\n\nSets the value. Go: Map.Store."},
    {"swap", METHOD(map_swap), METH_FASTCALL,
     "swap($self, k, v, /)\n--\n\nSets the value; (the one before, True), or (None, False). Go: Map.Swap."},
    {"load_or_store", METHOD(map_load_or_store), METH_FASTCALL,
     "load_or_store($self, k, v, /)\n--\n\n(the value there is, True), or stores v: (v, False). Go: Map.LoadOrStore."},
    {"load_and_delete", METHOD(map_load_and_delete), METH_O,
     "load_and_delete($self, k, /)\n--\n\nDeletes k; (its value, True), or (None, False). Go: Map.LoadAndDelete."},
    {"delete", METHOD(map_delete), METH_O, "delete($self, k, /)\n--\n\nDeletes k if it is there. Go: Map.Delete."},
    {"compare_and_swap", METHOD(map_compare_and_swap), METH_FASTCALL,
     "compare_and_swap($self, k, old, new, /)\n--\n\nSets the value to new if it equals old (==); says whether it did. "
     "Go: Map.CompareAndSwap."},
    {"compare_and_delete", METHOD(map_compare_and_delete), METH_FASTCALL,
     "compare_and_delete($self, k, old, /)\n--\n\nDeletes k if its value equals old (==); says whether it did. "
     "Go: Map.CompareAndDelete."},
    {"range", METHOD(map_range), METH_O,
     "range($self, fn, /)\n--\n\nCalls fn(key, value) for every key until it returns False. No key comes twice; what "
     "is stored or\ndeleted meanwhile may come or not. fn may do anything with the map. Go: Map.Range."},
    {"clear", METHOD(map_clear), METH_NOARGS, "clear($self, /)\n--\n\nDeletes all keys, in one step. Go: Map.Clear."},
    {"get", METHOD(map_get), METH_FASTCALL | METH_KEYWORDS,
     "get($self, k, /, default=None)\n--\n\nThe value, or default."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {"_pairs", METHOD(map_pairs), METH_NOARGS, NULL},
    REFUSE_COPY,
    {NULL, NULL, 0, NULL},
};
static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(map, weak), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_new, map_new},           {Py_tp_dealloc, map_dealloc},   {Py_tp_traverse, map_traverse},
    {Py_tp_clear, map_gc_clear},    {Py_tp_methods, methods},       {Py_tp_members, members},
    {Py_mp_length, map_len},        {Py_mp_subscript, map_getitem}, {Py_mp_ass_subscript, map_setitem},
    {Py_sq_contains, map_contains}, {Py_nb_bool, map_bool},         {0, NULL},
};
static PyType_Spec spec = {"gossamer._gossamer._Map", sizeof(map), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
                           slots};

int map_init(PyObject *m) { return add_type(m, &spec, NULL) ? 0 : -1; }
