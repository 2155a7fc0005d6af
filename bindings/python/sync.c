/* WaitGroup, Mutex and Once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <stddef.h>

/* ---- WaitGroup -------------------------------------------------------------------------- */
typedef struct {
  PyObject_HEAD gos_waitgroup wg;
  PyObject *weak;
} waitgroup;

static PyObject *wg_add_n(waitgroup *w, int64_t n) {
  if (realm_enter() < 0) return NULL;
  int e = gos_waitgroup_add(&w->wg, n);
  if (e < 0) return raise_code(e, "negative WaitGroup counter");
  Py_RETURN_NONE;
}

static PyObject *wg_add(waitgroup *w, PyObject *const *args, Py_ssize_t nargs) {
  if (nargs > 1) return PyErr_Format(PyExc_TypeError, "add() takes at most 1 argument");
  long long n = 1;
  if (nargs) {
    if (!PyLong_Check(args[0]))
      return PyErr_Format(PyExc_TypeError, "add() needs an int, not %.100s", Py_TYPE(args[0])->tp_name);
    n = PyLong_AsLongLong(args[0]);
    if (n == -1 && PyErr_Occurred()) return NULL;
  }
  return wg_add_n(w, n);
}

static PyObject *wg_done(waitgroup *w, PyObject *ignored) {
  (void)ignored;
  return wg_add_n(w, -1);
}

void waitgroup_done(PyObject *o) { gos_waitgroup_done(&((waitgroup *)o)->wg); }

static PyObject *wg_wait(waitgroup *w, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  struct wait wait;
  wait_init(&wait, GOS_FOREVER);
  if (realm_enter() < 0) return NULL;
  if ((nargs || kwnames) && read_wait("wait", args, nargs, kwnames, 0, &wait) < 0) return NULL;
  int e;
  WAIT(e, &wait, until, gos_waitgroup_wait_dl(&w->wg, until));
  if (e < 0) return wait_failed(e, &wait, "wait timed out");
  wait_done(&wait);
  Py_RETURN_NONE;
}

static PyObject *wg_go(waitgroup *w, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  if (nargs < 1) return PyErr_Format(PyExc_TypeError, "go() needs a callable as its first argument");
  PyObject *r = wg_add_n(w, 1);
  if (!r) return NULL;
  Py_DECREF(r);
  PyObject *g = go_spawn(args[0], args + 1, nargs - 1, kwnames, (PyObject *)w);
  if (!g) gos_waitgroup_done(&w->wg);
  return g;
}

/* ---- Mutex --------------------------------------------------------------------------------- */
typedef struct {
  PyObject_HEAD gos_mutex mu;
  PyObject *weak;
} mutex;

static PyTypeObject *Mutex_type;
gos_mutex *mutex_core(PyObject *o) { return Py_IS_TYPE(o, Mutex_type) ? &((mutex *)o)->mu : NULL; }
PyObject *mutex_new(void) { return Mutex_type->tp_alloc(Mutex_type, 0); }

static int mutex_take(gos_mutex *mu, struct wait *w) {
  int e;
  WAIT(e, w, until, gos_mutex_lock_dl(mu, until));
  if (UNLIKELY(e < 0)) {
    wait_failed(e, w, "lock timed out");
    return -1;
  }
  wait_done(w);
  return 0;
}
static int mutex_take_forever(gos_mutex *mu) {
  struct wait w;
  wait_init(&w, GOS_FOREVER);
  return mutex_take(mu, &w);
}

static PyObject *mutex_lock(mutex *m, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  struct wait w;
  wait_init(&w, GOS_FOREVER);
  if (UNLIKELY(realm_enter() < 0)) return NULL;
  if (UNLIKELY(nargs || kwnames) && read_wait("lock", args, nargs, kwnames, 0, &w) < 0) return NULL;
  if (mutex_take(&m->mu, &w) < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *mutex_try_lock(mutex *m, PyObject *ignored) {
  (void)ignored;
  if (UNLIKELY(realm_enter() < 0)) return NULL;
  return PyBool_FromLong(gos_mutex_trylock(&m->mu) == GOS_OK);
}

static PyObject *mutex_unlock(mutex *m, PyObject *ignored) {
  (void)ignored;
  if (UNLIKELY(realm_enter() < 0)) return NULL;
  int e = gos_mutex_unlock(&m->mu);
  if (UNLIKELY(e < 0)) return raise_code(e, "unlock of unlocked mutex");
  Py_RETURN_NONE;
}

static PyObject *mutex_enter(mutex *m, PyObject *ignored) {
  (void)ignored;
  if (UNLIKELY(realm_enter() < 0) || mutex_take_forever(&m->mu) < 0) return NULL;
  return Py_NewRef(m);
}
static PyObject *mutex_exit(mutex *m, PyObject *const *args, Py_ssize_t nargs) {
  (void)args, (void)nargs;
  return mutex_unlock(m, NULL);
}

/* ---- Once -------------------------------------------------------------------------------------- */
/* gos_once_do() waits for nothing but its function; here the wait must be open to signals and
   the deadlock report, so the core's mutex is taken directly. */
typedef struct {
  PyObject_HEAD gos_once once;
  PyObject *weak;
} once;

static PyObject *once_do(once *o, PyObject *fn) {
  if (o->once.done) Py_RETURN_NONE;
  if (!PyCallable_Check(fn))
    return PyErr_Format(PyExc_TypeError, "do() needs a callable, not %.100s", Py_TYPE(fn)->tp_name);
  if (realm_enter() < 0 || mutex_take_forever(&o->once.mu) < 0) return NULL;
  PyObject *r = o->once.done ? Py_NewRef(Py_None) : PyObject_CallNoArgs(fn);
  o->once.done = 1; /* also when fn raised, as Go has it for a panic */
  gos_mutex_unlock(&o->once.mu);
  if (!r) return NULL;
  Py_DECREF(r);
  Py_RETURN_NONE;
}

/* ---- module -------------------------------------------------------------------------------------- */
/* The three objects differ only in the size of what stands before weak. */
#define PLAIN_DEALLOC(name)                                                                                            \
  static void name##_dealloc(name *o) {                                                                                \
    PyTypeObject *type = Py_TYPE(o);                                                                                   \
    if (o->weak) PyObject_ClearWeakRefs((PyObject *)o);                                                                \
    type->tp_free(o);                                                                                                  \
    Py_DECREF(type);                                                                                                   \
  }                                                                                                                    \
  static PyMemberDef name##_members[] = {{"__weaklistoffset__", T_PYSSIZET, offsetof(name, weak), READONLY, NULL},     \
                                         {NULL, 0, 0, 0, NULL}}
PLAIN_DEALLOC(waitgroup);
PLAIN_DEALLOC(mutex);
PLAIN_DEALLOC(once);

/* No arguments; nothing to set up but zero. */
static PyObject *plain_new(PyTypeObject *type, PyObject *args, PyObject *kw) {
  if (PyTuple_GET_SIZE(args) || (kw && PyDict_GET_SIZE(kw)))
    return PyErr_Format(PyExc_TypeError, "%s takes no arguments", type->tp_name);
  return type->tp_alloc(type, 0);
}

static PyMethodDef waitgroup_methods[] = {
    {"add", METHOD(wg_add), METH_FASTCALL,
     "add($self, n=1, /)\n--\n\nAdds n to the counter; below zero raises ValueError and changes nothing. Go: "
     "WaitGroup.Add."},
    {"done", METHOD(wg_done), METH_NOARGS, "done($self, /)\n--\n\nadd(-1)."},
    {"wait", METHOD(wg_wait), METH_FASTCALL | METH_KEYWORDS,
     "wait($self, timeout=None, *, ctx=None)\n--\n\nWaits until the counter is zero. timeout in seconds raises "
     "TimeoutError;\nobeys ctx, or else the ambient context. Go: WaitGroup.Wait."},
    {"go", METHOD(wg_go), METH_FASTCALL | METH_KEYWORDS,
     "go($self, fn, /, *args, **kwargs)\n--\n\nadd(), and a goroutine that calls done() at its end. Go: WaitGroup.Go."},
    REFUSE_COPY,
    {NULL, NULL, 0, NULL},
};
static PyMethodDef mutex_methods[] = {
    {"lock", METHOD(mutex_lock), METH_FASTCALL | METH_KEYWORDS,
     "lock($self, timeout=None, *, ctx=None)\n--\n\nWaits for the mutex. timeout in seconds raises TimeoutError; "
     "obeys ctx, or else\nthe ambient context. It has no owner: a\n"
     "second lock() by the same goroutine waits for ever. Go: Mutex.Lock."},
    {"try_lock", METHOD(mutex_try_lock), METH_NOARGS,
     "try_lock($self, /)\n--\n\nLocks if that needs no waiting; says whether it did."},
    {"unlock", METHOD(mutex_unlock), METH_NOARGS,
     "unlock($self, /)\n--\n\nAny goroutine may unlock it. RuntimeError when it is not locked."},
    {"__enter__", METHOD(mutex_enter), METH_NOARGS, NULL},
    {"__exit__", METHOD(mutex_exit), METH_FASTCALL, NULL},
    REFUSE_COPY,
    {NULL, NULL, 0, NULL},
};
static PyMethodDef once_methods[] = {
    {"do", METHOD(once_do), METH_O,
     "do($self, fn, /)\n--\n\nCalls fn() the first time; later calls wait until that has returned, and do nothing. An "
     "exception\n"
     "of fn goes to the first caller only. Go: Once.Do."},
    REFUSE_COPY,
    {NULL, NULL, 0, NULL},
};
#define TYPE(name, title, doc)                                                                                         \
  static PyType_Slot name##_slots[] = {                                                                                \
      {Py_tp_new, plain_new},          {Py_tp_dealloc, name##_dealloc},     {Py_tp_methods, name##_methods},           \
      {Py_tp_members, name##_members}, {Py_tp_doc, title "()\n--\n\n" doc}, {0, NULL}};                                \
  static PyType_Spec name##_spec = {"gossamer.sync." title, sizeof(name), 0,                                           \
                                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, name##_slots}
TYPE(waitgroup, "WaitGroup", "Waits for a number of goroutines to end. Go: sync.WaitGroup.");
TYPE(mutex, "Mutex", "A lock that parks goroutines; 'with mu:' holds it. Go: sync.Mutex.");
TYPE(once, "Once", "Runs a function once. Go: sync.Once.");

int sync_init(PyObject *m) {
  return add_type(m, &waitgroup_spec, NULL) && (Mutex_type = add_type(m, &mutex_spec, NULL)) &&
                 add_type(m, &once_spec, NULL)
             ? 0
             : -1;
}
