/* RWMutex with its reader's side, and Cond, which waits with any of the locks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <stddef.h>

/* ---- RWMutex --------------------------------------------------------------------------------- */
typedef struct {
  PyObject_HEAD gos_rwmutex rw;
  PyObject *weak;
} rwmutex;
/* Its reader's side as a lock. */
typedef struct {
  PyObject_HEAD rwmutex *of;
  PyObject *weak;
} locker;
static PyTypeObject *RWMutex_type, *Locker_type;

typedef int lock_fn(gos_rwmutex *, gos_ns);

static int take(rwmutex *m, lock_fn *lock, struct wait *w) {
  int e;
  WAIT(e, w, until, lock(&m->rw, until));
  if (UNLIKELY(e < 0)) {
    wait_failed(e, w, "lock timed out");
    return -1;
  }
  wait_done(w);
  return 0;
}

static PyObject *take_call(rwmutex *m, lock_fn *lock, const char *fn, PyObject *const *args, Py_ssize_t nargs,
                           PyObject *kwnames) {
  struct wait w;
  wait_init(&w, GOS_FOREVER);
  if (UNLIKELY(realm_enter() < 0)) return NULL;
  if (UNLIKELY(nargs || kwnames) && read_wait(fn, args, nargs, kwnames, 0, &w) < 0) return NULL;
  if (take(m, lock, &w) < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *give(rwmutex *m, int (*unlock)(gos_rwmutex *), const char *what) {
  if (UNLIKELY(realm_enter() < 0)) return NULL;
  int e = unlock(&m->rw);
  if (UNLIKELY(e < 0)) return raise_code(e, what);
  Py_RETURN_NONE;
}

static PyObject *enter(PyObject *self, rwmutex *m, lock_fn *lock) {
  struct wait w;
  wait_init(&w, GOS_FOREVER);
  return UNLIKELY(realm_enter() < 0) || take(m, lock, &w) < 0 ? NULL : Py_NewRef(self);
}

static PyObject *rw_lock(rwmutex *m, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  return take_call(m, gos_rwmutex_lock_dl, "lock", args, nargs, kwnames);
}
static PyObject *rw_rlock(rwmutex *m, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  return take_call(m, gos_rwmutex_rlock_dl, "rlock", args, nargs, kwnames);
}
static PyObject *rw_try_lock(rwmutex *m, PyObject *ignored) {
  (void)ignored;
  if (UNLIKELY(realm_enter() < 0)) return NULL;
  return PyBool_FromLong(gos_rwmutex_trylock(&m->rw) == GOS_OK);
}
static PyObject *rw_try_rlock(rwmutex *m, PyObject *ignored) {
  (void)ignored;
  if (UNLIKELY(realm_enter() < 0)) return NULL;
  return PyBool_FromLong(gos_rwmutex_tryrlock(&m->rw) == GOS_OK);
}
static PyObject *rw_unlock(rwmutex *m, PyObject *ignored) {
  (void)ignored;
  return give(m, gos_rwmutex_unlock, "unlock of unlocked RWMutex");
}
static PyObject *rw_runlock(rwmutex *m, PyObject *ignored) {
  (void)ignored;
  return give(m, gos_rwmutex_runlock, "runlock of unlocked RWMutex");
}
static PyObject *rw_enter(rwmutex *m, PyObject *ignored) {
  (void)ignored;
  return enter((PyObject *)m, m, gos_rwmutex_lock_dl);
}
static PyObject *rw_exit(rwmutex *m, PyObject *const *args, Py_ssize_t nargs) {
  (void)args, (void)nargs;
  return rw_unlock(m, NULL);
}
static PyObject *get_reader(rwmutex *m, void *u) {
  (void)u;
  locker *l = (locker *)Locker_type->tp_alloc(Locker_type, 0);
  if (l) l->of = (rwmutex *)Py_NewRef(m);
  return (PyObject *)l;
}

static PyObject *locker_lock(locker *l, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  return take_call(l->of, gos_rwmutex_rlock_dl, "lock", args, nargs, kwnames);
}
static PyObject *locker_try_lock(locker *l, PyObject *ignored) { return rw_try_rlock(l->of, ignored); }
static PyObject *locker_unlock(locker *l, PyObject *ignored) { return rw_runlock(l->of, ignored); }
static PyObject *locker_enter(locker *l, PyObject *ignored) {
  (void)ignored;
  return enter((PyObject *)l, l->of, gos_rwmutex_rlock_dl);
}
static PyObject *locker_exit(locker *l, PyObject *const *args, Py_ssize_t nargs) {
  (void)args, (void)nargs;
  return rw_runlock(l->of, NULL);
}

/* ---- Cond --------------------------------------------------------------------------------------- */
typedef struct {
  PyObject_HEAD gos_cond cond;
  PyObject *lock; /* a Mutex, an RWMutex or its reader */
  PyObject *weak;
} cond;
static PyTypeObject *Cond_type;

static int lock_until(PyObject *lock, gos_ns until) {
  gos_mutex *mu = mutex_core(lock);
  if (mu) return gos_mutex_lock_dl(mu, until);
  if (Py_IS_TYPE(lock, RWMutex_type)) return gos_rwmutex_lock_dl(&((rwmutex *)lock)->rw, until);
  return gos_rwmutex_rlock_dl(&((locker *)lock)->of->rw, until);
}
static int unlock(PyObject *lock) {
  gos_mutex *mu = mutex_core(lock);
  if (mu) return gos_mutex_unlock(mu);
  if (Py_IS_TYPE(lock, RWMutex_type)) return gos_rwmutex_unlock(&((rwmutex *)lock)->rw);
  return gos_rwmutex_runlock(&((locker *)lock)->of->rw);
}

/* Whatever comes meanwhile waits until the lock is held: signals' exceptions, the last one of which is raised,
   and interrupts. Only with a deadlock it is not held. */
static int relock(PyObject *lock) {
  PyObject *error = NULL;
  bool interrupted = false;
  int e;
  for (;;) {
    gos_ns until = LIKELY(!realm_sliced) ? GOS_FOREVER : realm_slice(GOS_FOREVER);
    e = lock_until(lock, until);
    if (e == GOS_CANCELED) {
      interrupted = true;
      continue;
    }
    if (e != GOS_AGAIN && (e != GOS_TIMEDOUT || until == GOS_FOREVER)) break;
    if (compat_run_signals() < 0) Py_XSETREF(error, compat_take_exception());
  }
  if (interrupted && gos_self()) gos_interrupt(gos_self());
  if (e < 0) {
    Py_XDECREF(error);
    raise_code(e, "lock");
    return -1;
  }
  if (!error) return 0;
  PyErr_SetObject((PyObject *)Py_TYPE(error), error);
  Py_DECREF(error);
  return -1;
}

/* An exception of the wait is raised even if locking again raised too, which is its context then. */
static void merge_errors(PyObject *first) {
  if (!PyErr_Occurred()) {
    PyErr_SetObject((PyObject *)Py_TYPE(first), first);
  } else {
    PyObject *later = compat_take_exception();
    PyException_SetContext(later, Py_NewRef(first));
    PyErr_SetObject((PyObject *)Py_TYPE(later), later);
    Py_DECREF(later);
  }
  Py_DECREF(first);
}

/* w is done in every case. */
static int wait_once(cond *c, struct wait *w) {
  gos_cond_place place;
  int e;
  gos_cond_enter(&c->cond, &place);
  if (unlock(c->lock) < 0) {
    if (gos_cond_leave(&c->cond, &place)) gos_cond_signal(&c->cond);
    wait_done(w);
    PyErr_SetString(PyExc_RuntimeError, "Cond.wait() without holding its lock");
    return -1;
  }
  WAIT(e, w, until, gos_cond_sleep(&c->cond, &place, until));
  if (gos_cond_leave(&c->cond, &place)) {
    if (e == GOS_TIMEDOUT || e == GOS_WOULDBLOCK)
      e = GOS_OK;
    else if (e < 0)
      gos_cond_signal(&c->cond); /* for somebody else */
  }
  if (e == GOS_OK) {
    wait_done(w);
    return relock(c->lock);
  }
  wait_failed(e, w, "wait timed out");
  PyObject *error = compat_take_exception();
  relock(c->lock);
  merge_errors(error);
  return -1;
}

static PyObject *cond_wait(cond *c, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  struct wait w;
  wait_init(&w, GOS_FOREVER);
  if (UNLIKELY(realm_enter() < 0)) return NULL;
  if (UNLIKELY(nargs || kwnames) && read_wait("wait", args, nargs, kwnames, 0, &w) < 0) return NULL;
  if (wait_once(c, &w) < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *cond_wait_for(cond *c, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  struct wait w;
  wait_init(&w, GOS_FOREVER);
  if (realm_enter() < 0 || read_wait("wait_for", args, nargs, kwnames, 1, &w) < 0) return NULL;
  context *ctx = w.ctx;
  PyObject *done = NULL;
  for (;;) {
    Py_XSETREF(done, PyObject_CallNoArgs(args[0]));
    int yes = done ? PyObject_IsTrue(done) : -1;
    if (yes > 0) break;
    struct wait once = {.deadline = w.deadline, .ctx = (context *)Py_XNewRef((PyObject *)ctx), .given = w.given};
    if (yes < 0 || wait_once(c, &once) < 0) {
      Py_CLEAR(done);
      break;
    }
  }
  wait_done(&w);
  return done;
}

static PyObject *cond_signal(cond *c, PyObject *ignored) {
  (void)ignored;
  if (realm_enter() < 0) return NULL;
  gos_cond_signal(&c->cond);
  Py_RETURN_NONE;
}
static PyObject *cond_broadcast(cond *c, PyObject *ignored) {
  (void)ignored;
  if (realm_enter() < 0) return NULL;
  gos_cond_broadcast(&c->cond);
  Py_RETURN_NONE;
}

static PyObject *cond_enter(cond *c, PyObject *ignored) {
  (void)ignored;
  struct wait w;
  int e;
  wait_init(&w, GOS_FOREVER);
  if (realm_enter() < 0) return NULL;
  WAIT(e, &w, until, lock_until(c->lock, until));
  if (e < 0) return wait_failed(e, &w, "lock timed out");
  wait_done(&w);
  return Py_NewRef(c);
}
static PyObject *cond_exit(cond *c, PyObject *const *args, Py_ssize_t nargs) {
  (void)args, (void)nargs;
  if (realm_enter() < 0) return NULL;
  int e = unlock(c->lock);
  if (e < 0) return raise_code(e, "unlock of unlocked lock");
  Py_RETURN_NONE;
}

static PyObject *cond_new(PyTypeObject *type, PyObject *args, PyObject *kw) {
  static char *words[] = {"lock", NULL};
  PyObject *lock = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "|O:Cond", words, &lock)) return NULL;
  if (lock != Py_None && !mutex_core(lock) && !Py_IS_TYPE(lock, RWMutex_type) && !Py_IS_TYPE(lock, Locker_type))
    return PyErr_Format(PyExc_TypeError, "Cond() needs a Mutex, an RWMutex or its reader, not %.100s",
                        Py_TYPE(lock)->tp_name);
  cond *c = (cond *)type->tp_alloc(type, 0);
  if (!c || (c->lock = lock == Py_None ? mutex_new() : Py_NewRef(lock))) return (PyObject *)c;
  Py_DECREF(c);
  return NULL;
}

/* ---- module ---------------------------------------------------------------------------------------- */
static PyObject *rw_new(PyTypeObject *type, PyObject *args, PyObject *kw) {
  if (PyTuple_GET_SIZE(args) || (kw && PyDict_GET_SIZE(kw)))
    return PyErr_Format(PyExc_TypeError, "%s takes no arguments", type->tp_name);
  return type->tp_alloc(type, 0);
}

/* None of them can be part of a cycle: they hold only one another. */
#define DEALLOC(name, held)                                                                                            \
  static void name##_dealloc(name *o) {                                                                                \
    PyTypeObject *type = Py_TYPE(o);                                                                                   \
    if (o->weak) PyObject_ClearWeakRefs((PyObject *)o);                                                                \
    Py_XDECREF(held);                                                                                                  \
    type->tp_free(o);                                                                                                  \
    Py_DECREF(type);                                                                                                   \
  }                                                                                                                    \
  static PyMemberDef name##_members[] = {{"__weaklistoffset__", T_PYSSIZET, offsetof(name, weak), READONLY, NULL},     \
                                         {NULL, 0, 0, 0, NULL}}
DEALLOC(rwmutex, (PyObject *)NULL);
DEALLOC(locker, o->of);
DEALLOC(cond, o->lock);

#define OBEYS "timeout in seconds raises TimeoutError;\nobeys ctx, or else the ambient context. "
static PyMethodDef rwmutex_methods[] = {
    {"lock", METHOD(rw_lock), METH_FASTCALL | METH_KEYWORDS,
     "lock($self, timeout=None, *, ctx=None)\n--\n\nWaits until it is nobody's, for writing. " OBEYS
     "Go: RWMutex.Lock."},
    {"try_lock", METHOD(rw_try_lock), METH_NOARGS,
     "try_lock($self, /)\n--\n\nLocks for writing if that needs no waiting; says whether it did."},
    {"unlock", METHOD(rw_unlock), METH_NOARGS,
     "unlock($self, /)\n--\n\nEnds writing. RuntimeError when it is not locked for writing. Go: RWMutex.Unlock."},
    {"rlock", METHOD(rw_rlock), METH_FASTCALL | METH_KEYWORDS,
     "rlock($self, timeout=None, *, ctx=None)\n--\n\nWaits until nobody writes or waits to write, for reading beside "
     "others. " OBEYS "Go: RWMutex.RLock."},
    {"try_rlock", METHOD(rw_try_rlock), METH_NOARGS,
     "try_rlock($self, /)\n--\n\nLocks for reading if that needs no waiting; says whether it did."},
    {"runlock", METHOD(rw_runlock), METH_NOARGS,
     "runlock($self, /)\n--\n\nEnds reading. RuntimeError when it is not locked for reading. Go: RWMutex.RUnlock."},
    {"__enter__", METHOD(rw_enter), METH_NOARGS, NULL},
    {"__exit__", METHOD(rw_exit), METH_FASTCALL, NULL},
    REFUSE_COPY,
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef rwmutex_getset[] = {
    {"reader", (getter)get_reader, NULL,
     "Its reader's side as a lock: lock() is rlock(), unlock() is runlock(); 'with rw.reader:'. Go: RWMutex.RLocker.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMethodDef locker_methods[] = {
    {"lock", METHOD(locker_lock), METH_FASTCALL | METH_KEYWORDS,
     "lock($self, timeout=None, *, ctx=None)\n--\n\nThe rlock() of its RWMutex."},
    {"try_lock", METHOD(locker_try_lock), METH_NOARGS, "try_lock($self, /)\n--\n\nThe try_rlock() of its RWMutex."},
    {"unlock", METHOD(locker_unlock), METH_NOARGS, "unlock($self, /)\n--\n\nThe runlock() of its RWMutex."},
    {"__enter__", METHOD(locker_enter), METH_NOARGS, NULL},
    {"__exit__", METHOD(locker_exit), METH_FASTCALL, NULL},
    REFUSE_COPY,
    {NULL, NULL, 0, NULL},
};
static PyMethodDef cond_methods[] = {
    {"wait", METHOD(cond_wait), METH_FASTCALL | METH_KEYWORDS,
     "wait($self, timeout=None, *, ctx=None)\n--\n\nUnlocks, waits for a signal, and locks again, also when it "
     "raises. " OBEYS
     "RuntimeError when the\nlock is not held. Look at what you wait for in a loop, or use wait_for(). Go: Cond.Wait."},
    {"wait_for", METHOD(cond_wait_for), METH_FASTCALL | METH_KEYWORDS,
     "wait_for($self, pred, /, timeout=None, *, ctx=None)\n--\n\nwait() until pred() is true, which is called with the "
     "lock held; its value. timeout is for all of it."},
    {"signal", METHOD(cond_signal), METH_NOARGS,
     "signal($self, /)\n--\n\nWakes the one that has waited longest. The lock may be held, but need not be. Go: "
     "Cond.Signal."},
    {"broadcast", METHOD(cond_broadcast), METH_NOARGS,
     "broadcast($self, /)\n--\n\nWakes all that wait now. Go: Cond.Broadcast."},
    {"__enter__", METHOD(cond_enter), METH_NOARGS, NULL},
    {"__exit__", METHOD(cond_exit), METH_FASTCALL, NULL},
    REFUSE_COPY,
    {NULL, NULL, 0, NULL},
};
static PyObject *get_lock(cond *c, void *u) {
  (void)u;
  return Py_NewRef(c->lock);
}
static PyGetSetDef cond_getset[] = {
    {"lock", (getter)get_lock, NULL, "What it waits with. Go: Cond.L.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

#define FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE)
static PyType_Slot rwmutex_slots[] = {
    {Py_tp_new, rw_new},
    {Py_tp_dealloc, rwmutex_dealloc},
    {Py_tp_methods, rwmutex_methods},
    {Py_tp_getset, rwmutex_getset},
    {Py_tp_members, rwmutex_members},
    {Py_tp_doc, "RWMutex()\n--\n\n"
                "Many readers or one writer. 'with rw:' holds it for writing, 'with rw.reader:' for reading. A writer\n"
                "that waits keeps new readers out: do not read-lock twice. Go: sync.RWMutex."},
    {0, NULL},
};
static PyType_Spec rwmutex_spec = {"gossamer.sync.RWMutex", sizeof(rwmutex), 0, FLAGS, rwmutex_slots};
static PyType_Slot locker_slots[] = {
    {Py_tp_dealloc, locker_dealloc},
    {Py_tp_methods, locker_methods},
    {Py_tp_members, locker_members},
    {Py_tp_doc, "The reader's side of an RWMutex, from RWMutex.reader. Go: sync.Locker."},
    {0, NULL},
};
static PyType_Spec locker_spec = {"gossamer.sync.Locker", sizeof(locker), 0, FLAGS | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                  locker_slots};
static PyType_Slot cond_slots[] = {
    {Py_tp_new, cond_new},
    {Py_tp_dealloc, cond_dealloc},
    {Py_tp_methods, cond_methods},
    {Py_tp_getset, cond_getset},
    {Py_tp_members, cond_members},
    {Py_tp_doc, "Cond(lock=None)\n--\n\n"
                "Waits for a signal with a lock given up meanwhile: a Mutex (a new one for None), an RWMutex, or its\n"
                "reader. 'with cond:' holds the lock. Go: sync.Cond."},
    {0, NULL},
};
static PyType_Spec cond_spec = {"gossamer.sync.Cond", sizeof(cond), 0, FLAGS, cond_slots};

int lock_init(PyObject *m) {
  RWMutex_type = add_type(m, &rwmutex_spec, NULL);
  Locker_type = add_type(m, &locker_spec, NULL);
  Cond_type = add_type(m, &cond_spec, NULL);
  return RWMutex_type && Locker_type && Cond_type ? 0 : -1;
}
