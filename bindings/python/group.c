/* What errgroup.py stands on: the goroutines of a group, counted and limited.
 *
 * A goroutine's place is given back when it has ended, by C alone: also by one that could not even start.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"

typedef struct {
  PyObject_HEAD gos_waitgroup wg;
  gos_sem *places;              /* NULL: no limit */
  Py_ssize_t running, entering; /* with a place; waiting for one */
  PyObject *failed;             /* the error of the first that could not start */
  PyObject *lost;               /* members whose exception no wait() has seen, linked by go.c; each a reference */
} room;
static PyTypeObject *Room_type;

static int room_traverse(room *r, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(r));
  Py_VISIT(r->failed);
  for (PyObject *g = r->lost; g; g = go_member_next(g)) Py_VISIT(g);
  return 0;
}
/* Python code may run: the report of one that nobody else holds. */
static void let_go(room *r, bool seen) {
  for (PyObject *g; (g = r->lost);) {
    r->lost = go_member_next(g);
    go_member_leaves(g, seen);
    Py_DECREF(g);
  }
}
static int room_clear(room *r) {
  Py_CLEAR(r->failed);
  let_go(r, false);
  return 0;
}
static void room_dealloc(room *r) {
  PyTypeObject *type = Py_TYPE(r);
  PyObject_GC_UnTrack(r);
  room_clear(r);
  if (r->places) gos_sem_free(r->places);
  type->tp_free(r);
  Py_DECREF(type);
}

static void give_place(room *r) {
  r->running--;
  if (r->places) gos_sem_release(r->places, 1);
  gos_waitgroup_done(&r->wg);
}

bool room_left(PyObject *o, PyObject *g, PyObject *error, bool began) {
  if (!Py_IS_TYPE(o, Room_type)) return false;
  room *r = (room *)o;
  if (error && !began && !r->failed) r->failed = Py_NewRef(error);
  if (error && go_member_joins(g, r->lost)) r->lost = Py_NewRef(g);
  give_place(r);
  return true;
}

/* It has a place. */
static PyObject *spawn(room *r, PyObject *const *args, Py_ssize_t nargs) {
  r->running++;
  gos_waitgroup_add(&r->wg, 1);
  PyObject *g = go_spawn(args[0], args + 1, nargs - 1, NULL, (PyObject *)r);
  if (!g) give_place(r);
  return g;
}

static PyObject *room_go(room *r, PyObject *const *args, Py_ssize_t nargs) {
  struct wait w;
  int e = GOS_OK;
  wait_init(&w, GOS_FOREVER);
  if (nargs < 1) return PyErr_Format(PyExc_TypeError, "go() needs a callable as its first argument");
  if (realm_enter() < 0) return NULL;
  if (r->places) {
    r->entering++;
    WAIT(e, &w, until, gos_sem_acquire_dl(r->places, 1, until));
    r->entering--;
    if (e < 0) return wait_failed(e, &w, "go timed out");
    wait_done(&w);
  }
  return spawn(r, args, nargs);
}

static PyObject *room_try_go(room *r, PyObject *const *args, Py_ssize_t nargs) {
  if (nargs < 1) return PyErr_Format(PyExc_TypeError, "try_go() needs a callable as its first argument");
  if (realm_enter() < 0) return NULL;
  if (r->places && gos_sem_try_acquire(r->places, 1) < 0) Py_RETURN_NONE;
  return spawn(r, args, nargs);
}

static PyObject *room_wait(room *r, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  struct wait w;
  int e;
  wait_init(&w, GOS_FOREVER);
  if (realm_enter() < 0) return NULL;
  if ((nargs || kwnames) && read_wait("wait", args, nargs, kwnames, 0, &w) < 0) return NULL;
  WAIT(e, &w, until, gos_waitgroup_wait_dl(&r->wg, until));
  if (e < 0) return wait_failed(e, &w, "wait timed out");
  wait_done(&w);
  let_go(r, true);
  return Py_NewRef(r->failed ? r->failed : Py_None);
}

static PyObject *room_set_limit(room *r, PyObject *limit) {
  long long n = -1;
  if (limit != Py_None) {
    if (!PyLong_Check(limit))
      return PyErr_Format(PyExc_TypeError, "limit must be an int or None, not %.100s", Py_TYPE(limit)->tp_name);
    n = PyLong_AsLongLong(limit);
    if (n == -1 && PyErr_Occurred()) return NULL;
  }
  if (r->running || r->entering)
    return PyErr_Format(PyExc_RuntimeError, "the limit cannot change while goroutines of the group run");
  gos_sem *places = n < 0 ? NULL : gos_sem_new(n);
  if (n >= 0 && !places) return raise_code(GOS_NOMEM, "limit");
  if (r->places) gos_sem_free(r->places);
  r->places = places;
  Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"go", METHOD(room_go), METH_FASTCALL, "Waits for a place, then starts fn(*args)."},
    {"try_go", METHOD(room_try_go), METH_FASTCALL, "The same, but None instead of waiting."},
    {"wait", METHOD(room_wait), METH_FASTCALL | METH_KEYWORDS,
     "Until all have ended. The exception of the first one that could not start, or None."},
    {"set_limit", METHOD(room_set_limit), METH_O, "So many at a time; None or negative: no limit."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_dealloc, room_dealloc}, {Py_tp_traverse, room_traverse},           {Py_tp_clear, room_clear},
    {Py_tp_methods, methods},      {Py_tp_doc, "The goroutines of a group."}, {0, NULL},
};
static PyType_Spec spec = {"gossamer._gossamer._Room", sizeof(room), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE, slots};

int group_init(PyObject *m) { return (Room_type = add_type(m, &spec, NULL)) ? 0 : -1; }
