/* select: cases are objects, and the very case that fired is the result.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <errno.h>

/* Those of gos_case.op, and two of our own. */
enum { NO_CASE = 0, RECV = 1, SEND = 2, READ = 3 + GOS_READ, WRITE = 3 + GOS_WRITE, DEFAULT = 100, AWAIT };

typedef struct case_object {
  PyObject_HEAD int op;
  bool ok;
  Py_ssize_t index;         /* of its last firing; -1: never */
  chan *c;                  /* NULL for default and for files */
  PyObject *source;         /* what the user named: c itself, a Timer, a file, ... */
  PyObject *value;          /* to send, or received (NULL: nothing yet); of AWAIT, the future */
  struct case_object *next; /* in the free list */
} case_object;

static PyTypeObject *Case_type;
static case_object *default_case, *spare;
static int nspare;
enum { SPARE_MAX = 64, ON_STACK = 8 };

static int case_traverse(case_object *k, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(k));
  Py_VISIT(k->source);
  Py_VISIT(k->c);
  Py_VISIT(k->value);
  return 0;
}
static int case_clear(case_object *k) {
  k->op = NO_CASE; /* a finalizer in the same cycle may still select with it */
  Py_CLEAR(k->source);
  Py_CLEAR(k->value);
  return 0;
}
static void case_dealloc(case_object *k) {
  PyObject_GC_UnTrack(k);
  Py_CLEAR(k->c);
  case_clear(k);
  if (nspare < SPARE_MAX) {
    k->next = spare;
    spare = k;
    nspare++;
  } else
    PyObject_GC_Del(k);
  Py_DECREF(Case_type);
}

/* Takes over c. */
static PyObject *case_new(int op, PyObject *c, PyObject *source, PyObject *value) {
  case_object *k = spare;
  if (k) {
    spare = k->next;
    nspare--;
    PyObject_Init((PyObject *)k, Case_type);
  } else if (!(k = PyObject_GC_New(case_object, Case_type))) {
    Py_XDECREF(c);
    return NULL;
  }
  k->op = op;
  k->ok = false;
  k->index = -1;
  k->c = (chan *)c;
  k->source = Py_XNewRef(source);
  k->value = Py_XNewRef(value);
  PyObject_GC_Track(k);
  return (PyObject *)k;
}

static PyObject *make_recv(PyObject *self, PyObject *source) {
  (void)self;
  PyObject *c = chan_of(source);
  return c ? case_new(RECV, c, source, NULL) : NULL;
}

static PyObject *make_send(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
  (void)self;
  if (nargs != 2)
    return PyErr_Format(PyExc_TypeError, "send() takes 2 arguments (channel, value) but %zd were given", nargs);
  if (!PyObject_TypeCheck(args[0], SendChan_type))
    return PyErr_Format(PyExc_TypeError, "cannot send to %.100s: a SendChan is needed", Py_TYPE(args[0])->tp_name);
  return case_new(SEND, Py_NewRef(args[0]), args[0], args[1]);
}

static PyObject *make_fd(int op, PyObject *file) {
  int fd = PyObject_AsFileDescriptor(file);
  return fd < 0 ? NULL : case_new(op, NULL, file, NULL);
}
static PyObject *make_readable(PyObject *self, PyObject *file) {
  (void)self;
  return make_fd(READ, file);
}
static PyObject *make_writable(PyObject *self, PyObject *file) {
  (void)self;
  return make_fd(WRITE, file);
}

/* (awaitable, future, channel): the future is done when the channel is closed. */
static PyObject *make_awaiting(PyObject *self, PyObject *args) {
  (void)self;
  PyObject *aw, *future, *c;
  if (!PyArg_ParseTuple(args, "OOO!", &aw, &future, RecvChan_type, &c)) return NULL;
  return case_new(AWAIT, Py_NewRef(c), aw, future);
}

static PyObject *get_value(case_object *k, void *u) {
  (void)u;
  if (k->op == AWAIT && k->index >= 0) return PyObject_CallMethod(k->value, "result", NULL);
  return Py_NewRef(k->op == RECV && k->value ? k->value : Py_None);
}
static PyObject *get_ok(case_object *k, void *u) {
  (void)u;
  return PyBool_FromLong(k->ok);
}
static PyObject *get_index(case_object *k, void *u) {
  (void)u;
  return PyLong_FromSsize_t(k->index);
}
static PyObject *get_chan(case_object *k, void *u) {
  (void)u;
  return Py_NewRef(k->source ? k->source : Py_None);
}

static PyObject *case_repr(case_object *k) {
  if (k->op == DEFAULT) return PyUnicode_FromString("<Case default>");
  const char *what = k->op == RECV    ? "recv"
                     : k->op == SEND  ? "send"
                     : k->op == READ  ? "readable"
                     : k->op == WRITE ? "writable"
                                      : "awaiting";
  return PyUnicode_FromFormat("<Case %s %R>", what, k->source ? k->source : Py_None);
}

/* ---- select -------------------------------------------------------------------------------- */
struct run {
  PyObject *const *args;
  Py_ssize_t n;
  gos_case *cases;
  PyObject **slots;
  struct wait wait;
  bool ordered, natives;
  case_object *otherwise; /* default, if it is among the cases */
  Py_ssize_t otherwise_at;
};

/* ordered= is its own; the others are those of every wait. */
static int read_options(struct run *r, PyObject *const *values, PyObject *kwnames) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(kwnames); i++) {
    PyObject *name = PyTuple_GET_ITEM(kwnames, i);
    if (PyUnicode_CompareWithASCIIString(name, "ordered")) {
      if (read_keyword("select", name, values[i], true, &r->wait) < 0) return -1;
      continue;
    }
    int yes = PyObject_IsTrue(values[i]);
    if (yes < 0) {
      wait_done(&r->wait);
      return -1;
    }
    r->ordered = yes;
  }
  return 0;
}

static bool is_native(struct run *r, Py_ssize_t i) {
  return (r->cases[i].op == RECV || r->cases[i].op == SEND) && ((case_object *)r->args[i])->c->kind == NATIVE;
}
/* What was to be sent and was not, or what was received, is in it no more. */
static void free_natives(struct run *r, Py_ssize_t fired) {
  for (Py_ssize_t i = 0; i < r->n; i++)
    if (is_native(r, i))
      native_slot_free(((case_object *)r->args[i])->c, r->cases[i].v, r->cases[i].op == SEND && i != fired);
}

static int read_cases(struct run *r) {
  for (Py_ssize_t i = 0; i < r->n; i++) r->cases[i] = (gos_case){.op = NO_CASE};
  for (Py_ssize_t i = 0; i < r->n; i++) {
    PyObject *o = r->args[i];
    gos_case *out = &r->cases[i];
    if (o == Py_None || o == Py_False) continue;
    if (!Py_IS_TYPE(o, Case_type)) {
      PyErr_Format(PyExc_TypeError, "select() takes cases (recv, send, default) and None, not %.100s",
                   Py_TYPE(o)->tp_name);
      return -1;
    }
    case_object *k = (case_object *)o;
    if (k->op == NO_CASE) continue;
    if (k->op == DEFAULT) {
      r->otherwise = k;
      r->wait.deadline = GOS_NOW;
      r->otherwise_at = i;
      continue;
    }
    if (k->op == READ || k->op == WRITE) {
      int fd = PyObject_AsFileDescriptor(k->source); /* each time: it may have been closed, and its number reused */
      if (fd < 0) return -1;
      *out = (gos_case){.op = k->op, .c = (gos_chan *)(intptr_t)fd};
      continue;
    }
    if (UNLIKELY(k->c->kind == NATIVE)) {
      void *slot = native_slot(k->c, k->op == SEND ? k->value : NULL);
      if (!slot) return -1;
      r->natives = true;
      r->slots[i] = NULL;
      *out = (gos_case){.op = k->op, .c = k->c->ch, .v = slot};
      continue;
    }
    r->slots[i] = k->value; /* for a send; a receive overwrites it */
    *out = (gos_case){.op = k->op == AWAIT ? RECV : k->op, .c = k->c->ch, .v = &r->slots[i]};
  }
  return 0;
}

/* What is sent belongs to the receiver if its case fires. */
static void hold_values(struct run *r) {
  for (Py_ssize_t i = 0; i < r->n; i++)
    if (r->cases[i].op == SEND) Py_XINCREF(r->slots[i]);
}
static void drop_values(struct run *r, Py_ssize_t fired) {
  for (Py_ssize_t i = 0; i < r->n; i++)
    if (r->cases[i].op == SEND && i != fired) Py_XDECREF(r->slots[i]);
}

static PyObject *fired(struct run *r, Py_ssize_t i) {
  case_object *k = (case_object *)r->args[i];
  k->index = i;
  if (k->op == AWAIT) {
    PyObject *error = PyObject_CallMethod(k->value, "exception", NULL);
    if (!error) return NULL;
    k->ok = error == Py_None;
    Py_DECREF(error);
    return Py_NewRef(k);
  }
  k->ok = k->op != RECV || r->cases[i].ok > 0;
  if (k->op == RECV) {
    if (UNLIKELY(k->ok && is_native(r, i))) r->slots[i] = native_value(k->c, r->cases[i].v);
    PyObject *v = k->ok ? chan_value(k->c, &r->slots[i]) : NULL;
    if (k->ok && !v) return NULL;
    Py_XSETREF(k->value, v);
  }
  return Py_NewRef(k);
}

/* A channel that was to be sent on, or a file, was closed. */
static PyObject *closed(struct run *r) {
  for (Py_ssize_t i = 0; i < r->n; i++)
    if (r->cases[i].op > 3 && r->cases[i].ok == GOS_CLOSED) return raise_code(GOS_SYS(EBADF), "select");
  return raise_code(GOS_CLOSED, "send on closed channel");
}

static PyObject *outcome(struct run *r, int e) {
  if (LIKELY(e >= 0)) return fired(r, e);
  if (e == GOS_CLOSED) return closed(r);
  if (e != GOS_WOULDBLOCK && e != GOS_TIMEDOUT) return wait_failed(e, &r->wait, "select");
  if (!r->otherwise) Py_RETURN_NONE;
  r->otherwise->ok = true;
  r->otherwise->index = r->otherwise_at;
  return Py_NewRef(r->otherwise);
}

static PyObject *run(struct run *r) {
  if (read_cases(r) < 0) {
    if (r->natives) free_natives(r, -1);
    return NULL;
  }
  hold_values(r);
  int e;
  if (r->ordered)
    WAIT(e, &r->wait, until, gos_select_ordered(r->cases, (int)r->n, until));
  else
    WAIT(e, &r->wait, until, gos_select(r->cases, (int)r->n, until));
  drop_values(r, e);
  PyObject *result = outcome(r, e);
  if (UNLIKELY(r->natives)) {
    free_natives(r, e);
    native_settle();
  }
  return result;
}

static PyObject *select_select(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  (void)self;
  struct run r;
  r.args = args;
  r.n = nargs;
  r.ordered = r.natives = false;
  r.otherwise = NULL;
  wait_init(&r.wait, GOS_FOREVER);
  if (UNLIKELY(realm_enter() < 0)) return NULL;
  if (UNLIKELY(nargs > 65536)) return PyErr_Format(PyExc_ValueError, "select() takes at most 65536 cases");
  if (kwnames && read_options(&r, args + nargs, kwnames) < 0) return NULL;
  if (LIKELY(nargs <= ON_STACK)) {
    gos_case cases[ON_STACK];
    PyObject *slots[ON_STACK];
    r.cases = cases;
    r.slots = slots;
    PyObject *result = run(&r);
    wait_done(&r.wait);
    return result;
  }
  r.cases = PyMem_New(gos_case, nargs);
  r.slots = PyMem_New(PyObject *, nargs);
  PyObject *result = r.cases && r.slots ? run(&r) : PyErr_NoMemory();
  PyMem_Free(r.cases);
  PyMem_Free(r.slots);
  wait_done(&r.wait);
  return result;
}

/* ---- module ------------------------------------------------------------------------------------ */
PyMethodDef select_methods[] = {
    {"recv", make_recv, METH_O,
     "recv(source, /)\n--\n\nA case for select(): receive from a RecvChan, a Timer, a Ticker, or wait for the "
     "end of\na Goroutine or a Context. "
     "May be used again and again."},
    {"send", METHOD(make_send), METH_FASTCALL,
     "send(ch, v, /)\n--\n\nA case for select(): send v on ch. May be used again and again."},
    {"readable", make_readable, METH_O,
     "readable(fd, /)\n--\n\nA case for select(): the file (an int or what has fileno(): a socket, a pipe, ...) can be "
     "read, or is at\nits end. May be used again and again. A file that is not open raises ValueError or OSError."},
    {"writable", make_writable, METH_O,
     "writable(fd, /)\n--\n\nA case for select(): the file (an int or what has fileno()) can be written to. May be "
     "used "
     "again and\nagain. A file that is not open raises ValueError or OSError."},
    {"_awaiting", make_awaiting, METH_VARARGS, NULL},
    {"select", METHOD(select_select), METH_FASTCALL | METH_KEYWORDS,
     "select(*cases, timeout=None, ctx=None, ordered=False)\n--\n\n"
     "Waits until one of the cases can go on, does it, and returns that very case; of several ready ones it\n"
     "takes any with equal chance, or the first if ordered. default is taken when none is ready. None when\n"
     "timeout (seconds) passed. Obeys ctx, or else the ambient context: raises its Canceled or\n"
     "DeadlineExceeded. None and False among the cases are no case. Go: select."},
    {NULL, NULL, 0, NULL},
};
static PyMethodDef methods[] = {
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    REFUSE_COPY,
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef getset[] = {
    {"value", (getter)get_value, NULL,
     "What a receive case received last; None if the channel was closed. Of awaiting(): the result, or its "
     "exception is raised.",
     NULL},
    {"ok", (getter)get_ok, NULL, "False: a closed channel fired it (or nothing has yet), or what was awaited raised.",
     NULL},
    {"index", (getter)get_index, NULL, "Its position among the arguments of the select() that it last won; -1: none.",
     NULL},
    {"chan", (getter)get_chan, NULL, "What was given to recv(), send(), readable(), ...; None for default.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_dealloc, case_dealloc},
    {Py_tp_traverse, case_traverse},
    {Py_tp_clear, case_clear},
    {Py_tp_repr, case_repr},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {Py_tp_doc, "A case of select(), made by recv(), send(), readable(), writable() or awaiting()."},
    {0, NULL},
};
static PyType_Spec spec = {
    "gossamer.Case", sizeof(case_object), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

int select_init(PyObject *m) {
  if (!(Case_type = add_type(m, &spec, NULL))) return -1;
  default_case = (case_object *)case_new(DEFAULT, NULL, NULL, NULL);
  if (!default_case) return -1;
  int e = PyModule_AddObjectRef(m, "default", (PyObject *)default_case);
  Py_DECREF(default_case);
  return e;
}
