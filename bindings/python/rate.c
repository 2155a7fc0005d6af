/* rate.Limiter: the core's bucket of tokens.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <stddef.h>

typedef struct {
  PyObject_HEAD gos_limiter *l;
  PyObject *weak;
} limiter;

typedef struct {
  PyObject_HEAD gos_reservation r;
  limiter *limiter;
} reservation;

static PyTypeObject *Reservation_type;

static int read_limit(PyObject *o, double *limit) {
  *limit = PyFloat_AsDouble(o);
  if (*limit == -1.0 && PyErr_Occurred()) return -1;
  if (*limit >= 0) return 0;
  PyErr_SetString(PyExc_ValueError, "a rate must not be negative or NaN");
  return -1;
}

/* A number of tokens; the core counts them in ints. */
static int read_count(PyObject *o, int *n) {
  if (!PyLong_Check(o) || PyBool_Check(o)) {
    PyErr_Format(PyExc_TypeError, "an int is needed, not %.100s", Py_TYPE(o)->tp_name);
    return -1;
  }
  int over;
  long long v = PyLong_AsLongLongAndOverflow(o, &over);
  if (v == -1 && PyErr_Occurred()) return -1;
  if (over < 0 || v < 0) {
    PyErr_SetString(PyExc_ValueError, "a number of tokens must not be negative");
    return -1;
  }
  *n = over || v > INT_MAX ? INT_MAX : (int)v;
  return 0;
}
static int read_n(const char *fn, PyObject *const *args, Py_ssize_t nargs, int *n) {
  *n = 1;
  if (nargs <= 1) return nargs ? read_count(args[0], n) : 0;
  PyErr_Format(PyExc_TypeError, "%s() takes at most 1 argument but %zd were given", fn, nargs);
  return -1;
}

static PyObject *limiter_new(PyTypeObject *type, PyObject *args, PyObject *kw) {
  static char *names[] = {"limit", "burst", NULL};
  PyObject *limit_arg, *burst_arg;
  double limit;
  int burst;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "OO:Limiter", names, &limit_arg, &burst_arg) ||
      read_limit(limit_arg, &limit) < 0 || read_count(burst_arg, &burst) < 0)
    return NULL;
  limiter *l = (limiter *)type->tp_alloc(type, 0);
  if (l && !(l->l = gos_limiter_new(limit, burst))) {
    Py_DECREF(l);
    return raise_code(GOS_NOMEM, "limiter");
  }
  return (PyObject *)l;
}

static void limiter_dealloc(limiter *l) {
  PyTypeObject *type = Py_TYPE(l);
  if (l->weak) PyObject_ClearWeakRefs((PyObject *)l);
  gos_limiter_free(l->l);
  type->tp_free(l);
  Py_DECREF(type);
}

static PyObject *limiter_allow(limiter *l, PyObject *const *args, Py_ssize_t nargs) {
  int n;
  return read_n("allow", args, nargs, &n) < 0 ? NULL : PyBool_FromLong(gos_limiter_allow(l->l, n));
}

static PyObject *limiter_reserve(limiter *l, PyObject *const *args, Py_ssize_t nargs) {
  int n;
  if (read_n("reserve", args, nargs, &n) < 0) return NULL;
  reservation *r = (reservation *)Reservation_type->tp_alloc(Reservation_type, 0);
  if (!r) return NULL;
  r->limiter = (limiter *)Py_NewRef(l);
  gos_limiter_reserve(l->l, n, &r->r);
  return (PyObject *)r;
}

/* As gos_limiter_wait_dl(), which may not be called anew after each look at signals: the place in the
   queue would be lost. So the tokens are reserved, and given back when the wait ends early. */
static int limiter_take(gos_limiter *l, int n, struct wait *w) {
  gos_reservation r;
  gos_ns latest = w->deadline, until_ctx = GOS_FOREVER;
  gos_ctx *x = wait_obeys(w) ? context_core(w->ctx) : NULL;
  if (x && gos_ctx_err(x)) /* it takes nothing; what was given back too late would be lost */
    return gos_limiter_wait_ctx(l, n, x) == GOS_INVAL ? GOS_INVAL : ENDED;
  if (x) gos_ctx_deadline(x, &until_ctx);
  if (until_ctx < latest) latest = until_ctx;
  int e = gos_limiter_reserve(l, n, &r);
  if (e < 0) return e;
  gos_ns at = r.at;
  if (at > gos_now() && at > latest && !(w->ctx && gos_ctx_err(context_core(w->ctx)))) {
    e = GOS_TIMEDOUT;
  } else {
    w->deadline = at;
    w->tried = true; /* it waits, or there is nothing to wait for */
    WAIT(e, w, until, sleep_until(at, until));
  }
  if (e < 0) gos_reservation_cancel(&r);
  return e;
}

static PyObject *limiter_wait(limiter *l, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  int n = 1;
  struct wait w;
  wait_init(&w, GOS_FOREVER);
  if (nargs && read_count(args[0], &n) < 0) return NULL;
  if ((nargs > 1 || kwnames) && read_wait("wait", args, nargs, kwnames, nargs ? 1 : 0, &w) < 0) return NULL;
  if (realm_enter() < 0) {
    wait_done(&w);
    return NULL;
  }
  int e = limiter_take(l->l, n, &w);
  if (e == GOS_INVAL) PyErr_Format(PyExc_ValueError, "%d tokens are more than the limiter's burst", n);
  if (e < 0) return wait_failed(e == GOS_INVAL ? RAISED : e, &w, "wait would exceed the timeout");
  wait_done(&w);
  Py_RETURN_NONE;
}

static PyObject *limiter_set_limit(limiter *l, PyObject *arg) {
  double limit;
  if (read_limit(arg, &limit) < 0) return NULL;
  gos_limiter_set_limit(l->l, limit);
  Py_RETURN_NONE;
}
static PyObject *limiter_set_burst(limiter *l, PyObject *arg) {
  int burst;
  if (read_count(arg, &burst) < 0) return NULL;
  gos_limiter_set_burst(l->l, burst);
  Py_RETURN_NONE;
}
static PyObject *get_limit(limiter *l, void *u) {
  (void)u;
  return PyFloat_FromDouble(gos_limiter_limit(l->l));
}
static PyObject *get_burst(limiter *l, void *u) {
  (void)u;
  return PyLong_FromLong(gos_limiter_burst(l->l));
}
static PyObject *get_tokens(limiter *l, void *u) {
  (void)u;
  return PyFloat_FromDouble(gos_limiter_tokens(l->l));
}

/* ---- reservations ----------------------------------------------------------------------------- */
static void reservation_dealloc(reservation *r) {
  PyTypeObject *type = Py_TYPE(r);
  Py_XDECREF(r->limiter);
  type->tp_free(r);
  Py_DECREF(type);
}
static PyObject *get_ok(reservation *r, void *u) {
  (void)u;
  return PyBool_FromLong(r->r.ok);
}
static PyObject *reservation_delay(reservation *r, PyObject *ignored) {
  (void)ignored;
  gos_ns d = r->r.at - gos_now();
  if (!r->r.ok || r->r.at == GOS_FOREVER) return PyFloat_FromDouble(Py_HUGE_VAL);
  return PyFloat_FromDouble(d > 0 ? (double)d / 1e9 : 0.0);
}
static PyObject *reservation_cancel(reservation *r, PyObject *ignored) {
  (void)ignored;
  gos_reservation_cancel(&r->r);
  Py_RETURN_NONE;
}

/* ---- module ------------------------------------------------------------------------------ */
static PyMethodDef methods[] = {
    {"allow", METHOD(limiter_allow), METH_FASTCALL,
     "allow($self, n=1, /)\n--\n\nTakes n tokens if they are there; says whether it did. Go: AllowN."},
    {"reserve", METHOD(limiter_reserve), METH_FASTCALL,
     "reserve($self, n=1, /)\n--\n\nTakes n tokens for when they will be there: see Reservation. Go: ReserveN."},
    {"wait", METHOD(limiter_wait), METH_FASTCALL | METH_KEYWORDS,
     "wait($self, n=1, /, timeout=None, *, ctx=None)\n--\n\nWaits until n tokens are there and takes them. "
     "TimeoutError "
     "at once when that would be later than timeout\n(seconds) from now or the deadline of ctx; ValueError when n is "
     "more than the burst. "
     "Then, "
     "and when it is interrupted, no token was\ntaken. Go: WaitN."},
    {"set_limit", METHOD(limiter_set_limit), METH_O,
     "set_limit($self, limit, /)\n--\n\nFrom now on so many tokens a second. Go: SetLimit."},
    {"set_burst", METHOD(limiter_set_burst), METH_O,
     "set_burst($self, burst, /)\n--\n\nFrom now on at most so many at a time. Go: SetBurst."},
    REFUSE_COPY,
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef getset[] = {
    {"limit", (getter)get_limit, NULL, "Tokens a second.", NULL},
    {"burst", (getter)get_burst, NULL, "The most tokens there are at a time.", NULL},
    {"tokens", (getter)get_tokens, NULL, "Those there are now; negative: promised to reservations. Go: Tokens.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(limiter, weak), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_new, limiter_new},
    {Py_tp_dealloc, limiter_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {Py_tp_members, members},
    {Py_tp_doc, "Limiter(limit, burst)\n--\n\nEvents at limit a second (rate.inf: no limit; rate.every(d): one every d "
                "seconds), at most burst at a\ntime: a bucket of burst tokens, full at first. For goroutines and "
                "threads. Go: rate.Limiter."},
    {0, NULL},
};
static PyType_Spec spec = {"gossamer.rate.Limiter", sizeof(limiter), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                           slots};

static PyMethodDef reservation_methods[] = {
    {"delay", METHOD(reservation_delay), METH_NOARGS,
     "delay($self, /)\n--\n\nSeconds until it may happen; inf: never. Go: Reservation.Delay."},
    {"cancel", METHOD(reservation_cancel), METH_NOARGS,
     "cancel($self, /)\n--\n\nIt will not happen: gives the tokens back that no later reservation has built upon. Go: "
     "Reservation.Cancel."},
    REFUSE_COPY,
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef reservation_getset[] = {
    {"ok", (getter)get_ok, NULL, "False: it can never happen, it is more than the burst. Go: Reservation.OK.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot reservation_slots[] = {
    {Py_tp_dealloc, reservation_dealloc},
    {Py_tp_methods, reservation_methods},
    {Py_tp_getset, reservation_getset},
    {Py_tp_doc, "Tokens promised by Limiter.reserve(): wait delay() seconds, then go ahead. Go: rate.Reservation."},
    {0, NULL},
};
static PyType_Spec reservation_spec = {
    "gossamer.rate.Reservation", sizeof(reservation), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, reservation_slots};

int rate_init(PyObject *m) {
  if (!add_type(m, &spec, NULL)) return -1;
  return (Reservation_type = add_type(m, &reservation_spec, NULL)) ? 0 : -1;
}
