/* Channels and their one-way views.
 *
 * Chan, SendChan and RecvChan share one layout and one set of functions; the types
 * differ in which of them they list. A channel of this realm carries references:
 * whoever receives takes over the one that the sender gave. Those in its buffer are
 * the Chan's, which its views hold: so the collector finds each of them once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <stddef.h>

PyTypeObject *Chan_type, *SendChan_type, *RecvChan_type;
static PyTypeObject *base_type;
static chan *nil_chan;

#define SEND_CLOSED "send on closed channel"
#define RECV_CLOSED "receive on closed channel"

static void drop_element(void *slot) { Py_DECREF(*(PyObject **)slot); }
void chan_drop(void *ch) { gos_chan_release(ch); }

chan *chan_alloc(PyTypeObject *type, gos_chan *ch, enum chan_kind kind, void *owner, void (*drop)(void *)) {
  chan *c = (chan *)type->tp_alloc(type, 0);
  if (!c) {
    if (drop) drop(owner);
    return NULL;
  }
  c->ch = ch;
  c->kind = kind;
  c->owner = owner;
  c->drop = drop;
  return c;
}

PyObject *chan_view(gos_chan *ch, enum chan_kind kind, void *owner, void (*drop)(void *)) {
  return (PyObject *)chan_alloc(RecvChan_type, ch, kind, owner, drop);
}

/* ---- the values inside, for the collector ------------------------------------------ */
static bool has_values(const chan *c) { return c->kind == OBJECTS && c->ch && !c->of; }

struct visit {
  visitproc visit;
  void *arg;
};
static int visit_element(void *u, void *slot) {
  struct visit *v = u;
  return v->visit(*(PyObject **)slot, v->arg);
}
/* The channel is confined, and the collector has the GIL: nobody changes it. */
static int chan_traverse(chan *c, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(c));
  Py_VISIT(c->of);
  return has_values(c) ? gos_chan_buffered(c->ch, visit_element, &(struct visit){visit, arg}) : 0;
}

struct taken {
  PyObject *list;
  Py_ssize_t n;
};
static int take_element(void *u, void *slot) {
  struct taken *t = u;
  PyList_SET_ITEM(t->list, t->n++, *(PyObject **)slot);
  *(PyObject **)slot = Py_NewRef(Py_None);
  return 0;
}
/* None takes their places: a finalizer in the same cycle may still receive. They go when all are out, for
   any code may run then. */
static int chan_clear(chan *c) {
  if (!has_values(c)) return 0;
  struct taken t = {PyList_New((Py_ssize_t)gos_chan_len(c->ch)), 0};
  if (t.list)
    gos_chan_buffered(c->ch, take_element, &t);
  else
    PyErr_Clear(); /* no memory: the next collection */
  Py_XDECREF(t.list);
  return 0;
}

static void chan_dealloc(chan *c) {
  PyTypeObject *type = Py_TYPE(c);
  PyObject_GC_UnTrack(c);
  Py_TRASHCAN_BEGIN(c, chan_dealloc); /* a channel in a channel in a channel */
  if (c->weak) PyObject_ClearWeakRefs((PyObject *)c);
  if (c->drop) c->drop(c->owner);
  Py_XDECREF((PyObject *)c->of);
  Py_XDECREF(c->name);
  Py_XDECREF((PyObject *)c->elem);
  type->tp_free(c);
  Py_DECREF(type);
  Py_TRASHCAN_END
}

/* ---- making ---------------------------------------------------------------------- */
int chan_capacity(PyObject *o, size_t *cap) {
  if (!PyIndex_Check(o) || PyBool_Check(o)) {
    PyErr_Format(PyExc_TypeError, "channel capacity must be an int, not %.100s", Py_TYPE(o)->tp_name);
    return -1;
  }
  Py_ssize_t n = PyNumber_AsSsize_t(o, PyExc_OverflowError);
  if (n == -1 && PyErr_Occurred()) {
    if (!PyErr_ExceptionMatches(PyExc_OverflowError)) return -1;
    PyErr_SetString(PyExc_ValueError, "channel capacity out of range");
    return -1;
  }
  if (n < 0) {
    PyErr_SetString(PyExc_ValueError, "channel capacity must not be negative");
    return -1;
  }
  *cap = (size_t)n;
  return 0;
}

int chan_name(PyObject *o) {
  if (o == Py_None || PyUnicode_Check(o)) return 0;
  PyErr_SetString(PyExc_TypeError, "channel name must be a str or None");
  return -1;
}

static PyObject *chan_new(PyTypeObject *type, PyObject *args, PyObject *kw) {
  static char *names[] = {"cap", "name", NULL};
  PyObject *cap_arg = NULL, *name = Py_None;
  size_t cap = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "|O$O:Chan", names, &cap_arg, &name)) return NULL;
  if ((cap_arg && chan_capacity(cap_arg, &cap) < 0) || chan_name(name) < 0) return NULL;
  if (cap > PY_SSIZE_T_MAX / sizeof(PyObject *)) return PyErr_Format(PyExc_ValueError, "channel capacity out of range");
  if (realm_enter() < 0) return NULL;
  gos_chan *ch = gos_realm_chan(realm, sizeof(PyObject *), cap);
  if (!ch) return raise_code(GOS_NOMEM, "channel");
  gos_chan_set_dtor(ch, drop_element);
  chan *c = chan_alloc(type, ch, OBJECTS, ch, chan_drop);
  if (c && name != Py_None) c->name = Py_NewRef(name);
  return (PyObject *)c;
}

static PyObject *view(chan *c, PyTypeObject *type) {
  chan *v = chan_alloc(type, c->ch, c->kind, NULL, NULL);
  if (!v) return NULL;
  v->of = (chan *)Py_NewRef((PyObject *)c);
  v->name = Py_XNewRef(c->name);
  v->elem = (elem *)Py_XNewRef((PyObject *)c->elem);
  return (PyObject *)v;
}
static PyObject *chan_sender(chan *c, PyObject *ignored) {
  (void)ignored;
  return view(c, SendChan_type);
}
static PyObject *chan_receiver(chan *c, PyObject *ignored) {
  (void)ignored;
  return view(c, RecvChan_type);
}

/* ---- sending ----------------------------------------------------------------------- */
static PyObject *chan_send(chan *c, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  struct wait w;
  wait_init(&w, GOS_FOREVER);
  if (UNLIKELY(realm_enter() < 0)) return NULL;
  if (UNLIKELY(nargs != 1 || kwnames) && read_wait("send", args, nargs, kwnames, 1, &w) < 0) return NULL;
  PyObject *v = Py_NewRef(args[0]);
  int e;
  if (UNLIKELY(c->kind == NATIVE))
    e = native_send(c, v, &w);
  else
    WAIT(e, &w, until, gos_chan_send_dl(c->ch, &v, until));
  if (LIKELY(e == GOS_OK)) {
    wait_done(&w);
    Py_RETURN_NONE;
  }
  Py_DECREF(v);
  return wait_failed(e, &w, e == GOS_CLOSED ? SEND_CLOSED : "send timed out");
}

static PyObject *chan_try_send(chan *c, PyObject *arg) {
  if (UNLIKELY(realm_enter_now() < 0)) return NULL;
  PyObject *v = Py_NewRef(arg);
  int e;
  if (UNLIKELY(c->kind == NATIVE))
    e = native_send(c, v, NULL);
  else
    TRY(e, gos_chan_send_dl(c->ch, &v, GOS_NOW));
  if (e == GOS_OK) Py_RETURN_TRUE;
  Py_DECREF(v);
  if (e == GOS_WOULDBLOCK) Py_RETURN_FALSE;
  return raise_code(e, SEND_CLOSED);
}

static PyObject *chan_close(chan *c, PyObject *ignored) {
  (void)ignored;
  if (realm_enter_now() < 0) return NULL;
  int e = gos_chan_close(c->ch);
  if (e < 0 && e != GOS_CLOSED) return raise_code(e, "close of nil channel");
  return PyBool_FromLong(e == GOS_OK); /* idempotent: False for a later close */
}

static PyObject *chan_asend(PyObject *c, PyObject *v) { return call_python("gossamer._async", "asend", c, v); }

static PyObject *chan_enter(chan *c, PyObject *ignored) {
  (void)ignored;
  return Py_NewRef(c);
}
static PyObject *chan_exit(chan *c, PyObject *ignored) {
  (void)ignored;
  PyObject *r = chan_close(c, NULL);
  if (!r) return NULL;
  Py_DECREF(r);
  Py_RETURN_NONE;
}

/* ---- receiving ------------------------------------------------------------------------ */
#define RECV(e, c, slot, w)                                                                                            \
  do {                                                                                                                 \
    if (UNLIKELY((c)->kind == NATIVE))                                                                                 \
      (e) = native_recv(c, slot, w);                                                                                   \
    else                                                                                                               \
      WAIT(e, w, until, gos_chan_recv_dl((c)->ch, slot, until));                                                       \
  } while (0)

PyObject *chan_value(const chan *c, void *slot) {
  if (LIKELY(c->kind == OBJECTS || c->kind == NATIVE)) return *(PyObject **)slot;
  if (c->kind == TIMES) return PyFloat_FromDouble((double)*(gos_ns *)slot / 1e9);
  Py_RETURN_NONE;
}

static PyObject *chan_recv(chan *c, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  struct wait w;
  wait_init(&w, GOS_FOREVER);
  if (UNLIKELY(realm_enter() < 0)) return NULL;
  if (UNLIKELY(nargs || kwnames) && read_wait("recv", args, nargs, kwnames, 0, &w) < 0) return NULL;
  PyObject *slot;
  int e;
  RECV(e, c, &slot, &w);
  if (UNLIKELY(e < 0)) return wait_failed(e, &w, e == GOS_CLOSED ? RECV_CLOSED : "recv timed out");
  wait_done(&w);
  return chan_value(c, &slot);
}

static PyObject *chan_recv_ok(chan *c, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  struct wait w;
  wait_init(&w, GOS_FOREVER);
  if (realm_enter() < 0) return NULL;
  if ((nargs || kwnames) && read_wait("recv_ok", args, nargs, kwnames, 0, &w) < 0) return NULL;
  PyObject *slot;
  int e;
  RECV(e, c, &slot, &w);
  if (e < 0 && e != GOS_CLOSED) return wait_failed(e, &w, "recv timed out");
  wait_done(&w);
  if (e == GOS_CLOSED) return PyTuple_Pack(2, Py_None, Py_False);
  PyObject *v = chan_value(c, &slot);
  PyObject *pair = v ? PyTuple_Pack(2, v, Py_True) : NULL;
  Py_XDECREF(v);
  return pair;
}

static PyObject *chan_try_recv(chan *c, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  PyObject *fallback = nargs == 1 && !kwnames ? args[0] : NULL;
  if (kwnames && nargs == 0 && PyTuple_GET_SIZE(kwnames) == 1 &&
      PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, 0), "default") == 0)
    fallback = args[0];
  if (!fallback && (nargs || kwnames))
    return PyErr_Format(PyExc_TypeError, "try_recv() takes at most one argument: default");
  if (UNLIKELY(realm_enter_now() < 0)) return NULL;
  PyObject *slot;
  int e;
  if (UNLIKELY(c->kind == NATIVE))
    e = native_recv(c, &slot, NULL);
  else
    TRY(e, gos_chan_recv_dl(c->ch, &slot, GOS_NOW));
  if (e == GOS_OK) return chan_value(c, &slot);
  if (e == GOS_WOULDBLOCK && fallback) return Py_NewRef(fallback);
  return raise_code(e, e == GOS_CLOSED ? RECV_CLOSED : "nothing to receive");
}

static PyObject *chan_next(chan *c) {
  struct wait w;
  wait_init(&w, GOS_FOREVER);
  if (UNLIKELY(realm_enter() < 0)) return NULL;
  PyObject *slot;
  int e;
  RECV(e, c, &slot, &w);
  if (UNLIKELY(e < 0 && e != GOS_CLOSED)) return wait_failed(e, &w, "recv");
  wait_done(&w);
  return LIKELY(e == GOS_OK) ? chan_value(c, &slot) : NULL;
}

static PyObject *chan_arecv(PyObject *c, PyObject *ignored) {
  (void)ignored;
  return call_python("gossamer._async", "arecv", c, NULL);
}
static PyObject *chan_anext(PyObject *c) { return call_python("gossamer._async", "anext", c, NULL); }

/* ---- looking at it ------------------------------------------------------------------------ */
static Py_ssize_t chan_len(chan *c) { return (Py_ssize_t)gos_chan_len(c->ch); }
static int chan_bool(chan *c) {
  (void)c;
  return 1;
}
static PyObject *get_cap(chan *c, void *u) {
  (void)u;
  return PyLong_FromSize_t(gos_chan_cap(c->ch));
}
static PyObject *get_closed(chan *c, void *u) {
  (void)u;
  return PyBool_FromLong(gos_chan_closed(c->ch));
}
static PyObject *get_name(chan *c, void *u) {
  (void)u;
  return Py_NewRef(c->name ? c->name : Py_None);
}

static PyObject *chan_repr(chan *c) {
  const char *type = strrchr(Py_TYPE(c)->tp_name, '.');
  type = type ? type + 1 : Py_TYPE(c)->tp_name;
  if (!c->ch) return PyUnicode_FromFormat("<%s nil>", type);
  return PyUnicode_FromFormat("<%s%s%V at %p, %zd of %zu%s>", type, c->name ? " " : "", c->name, "", c->ch, chan_len(c),
                              gos_chan_cap(c->ch), gos_chan_closed(c->ch) ? ", closed" : "");
}

PyObject *chan_of(PyObject *source) {
  if (PyObject_TypeCheck(source, RecvChan_type)) return Py_NewRef(source);
  if (Py_IS_TYPE(source, Goroutine_type)) return go_done(source);
  if (Py_IS_TYPE(source, Context_type)) return context_done(source);
  PyObject *c = timer_chan(source);
  if (c || PyErr_Occurred()) return c;
  return PyErr_Format(PyExc_TypeError,
                      "cannot receive from %.100s: a RecvChan, Timer, Ticker, Goroutine or Context is needed",
                      Py_TYPE(source)->tp_name);
}

/* ---- types ---------------------------------------------------------------------------------- */
#define SEND_METHODS                                                                                                   \
  {"send", METHOD(chan_send), METH_FASTCALL | METH_KEYWORDS,                                                           \
   "send($self, v, /, timeout=None, *, ctx=None)\n--\n\n"                                                              \
   "Waits until v is received or buffered. timeout in seconds (None: for ever) raises TimeoutError.\n"                 \
   "A closed channel raises ChanClosed. Obeys ctx, or else the ambient context: raises its Canceled or\n"              \
   "DeadlineExceeded. v stays with the caller when this raises. Go: ch <- v."},                                        \
      {"try_send", METHOD(chan_try_send), METH_O,                                                                      \
       "try_send($self, v, /)\n--\n\nSends v if that needs no waiting; says whether it did. A closed channel raises\n" \
       "ChanClosed. Go: select with default."},                                                                        \
      {"close", METHOD(chan_close), METH_NOARGS,                                                                       \
       "close($self, /)\n--\n\nNo more values; those inside can still be received. True for the call that closed "     \
       "it,\n"                                                                                                         \
       "False for a later one. The nil channel raises ValueError. Go: close(ch), which panics the second time."},      \
      {"asend", chan_asend, METH_O,                                                                                    \
       "asend($self, v, /)\n--\n\nsend() for asyncio: 'await ch.asend(v)'. A task that is cancelled has not sent."},   \
      {"__enter__", METHOD(chan_enter), METH_NOARGS, NULL}, {                                                          \
    "__exit__", METHOD(chan_exit), METH_VARARGS, NULL                                                                  \
  }
#define RECV_METHODS                                                                                                   \
  {"recv", METHOD(chan_recv), METH_FASTCALL | METH_KEYWORDS,                                                           \
   "recv($self, timeout=None, *, ctx=None)\n--\n\n"                                                                    \
   "Waits for a value. timeout in seconds (None: for ever) raises TimeoutError; a channel that is closed\n"            \
   "and drained raises ChanClosed. Obeys ctx, or else the ambient context: raises its Canceled or\n"                   \
   "DeadlineExceeded. Go: v := <-ch."},                                                                                \
      {"recv_ok", METHOD(chan_recv_ok), METH_FASTCALL | METH_KEYWORDS,                                                 \
       "recv_ok($self, timeout=None, *, ctx=None)\n--\n\n"                                                             \
       "(value, True), or (None, False) when the channel is closed and drained. Otherwise as recv().\n"                \
       "Go: v, ok := <-ch."},                                                                                          \
      {"arecv", chan_arecv, METH_NOARGS,                                                                               \
       "arecv($self, /)\n--\n\nrecv() for asyncio: 'await ch.arecv()'; 'async for v in ch' ends when it is closed "    \
       "and\n"                                                                                                         \
       "drained. A task that is cancelled has received nothing."},                                                     \
  {                                                                                                                    \
    "try_recv", METHOD(chan_try_recv), METH_FASTCALL | METH_KEYWORDS,                                                  \
        "try_recv($self, default=...)\n--\n\n"                                                                         \
        "A value if one is ready, else default; without default WouldBlock is raised. A channel that is closed\n"      \
        "and drained raises ChanClosed. Go: select with default."                                                      \
  }

static PyMethodDef send_methods[] = {SEND_METHODS, {NULL, NULL, 0, NULL}};
static PyMethodDef recv_methods[] = {RECV_METHODS, {NULL, NULL, 0, NULL}};
/* Chan lists them again: the interpreter's quick calls want methods of the exact type. */
PyMethodDef chan_methods[] = {
    SEND_METHODS,
    RECV_METHODS,
    {"sender", METHOD(chan_sender), METH_NOARGS,
     "sender($self, /)\n--\n\nA view that can only send and close. Go: chan<- T."},
    {"receiver", METHOD(chan_receiver), METH_NOARGS,
     "receiver($self, /)\n--\n\nA view that can only receive. Go: <-chan T."},
    {NULL, NULL, 0, NULL},
};
static PyMethodDef base_methods[] = {
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    REFUSE_COPY,
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef getset[] = {
    {"cap", (getter)get_cap, NULL, "Values it can hold; 0: sender and receiver meet. Go: cap(ch).", NULL},
    {"closed", (getter)get_closed, NULL, "True once it is closed; values may still be inside.", NULL},
    {"name", (getter)get_name, NULL, "The name it was given, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(chan, weak), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

#define FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE)
static PyType_Slot base_slots[] = {
    {Py_tp_dealloc, chan_dealloc}, {Py_tp_traverse, chan_traverse},
    {Py_tp_clear, chan_clear},     {Py_tp_repr, chan_repr},
    {Py_tp_methods, base_methods}, {Py_tp_getset, getset},
    {Py_tp_members, members},      {Py_mp_length, chan_len},
    {Py_nb_bool, chan_bool},       {0, NULL},
};
static PyType_Spec base_spec = {"gossamer._gossamer._Chan", sizeof(chan), 0,
                                FLAGS | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                base_slots}; /* the others inherit it, with what it needs */
static PyType_Slot send_slots[] = {
    {Py_tp_dealloc, chan_dealloc},
    {Py_tp_methods, send_methods},
    {Py_tp_doc, "The sending end of a channel: send, try_send, close. From Chan.sender(). Go: chan<- T."},
    {0, NULL},
};
static PyType_Spec send_spec = {"gossamer.SendChan", sizeof(chan), 0,
                                FLAGS | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, send_slots};
static PyType_Slot recv_slots[] = {
    {Py_tp_dealloc, chan_dealloc},
    {Py_tp_methods, recv_methods},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, chan_next},
    {Py_am_aiter, PyObject_SelfIter},
    {Py_am_anext, chan_anext},
    {Py_tp_doc,
     "The receiving end of a channel: recv, recv_ok, try_recv, iteration. From Chan.receiver(). Go: <-chan T."},
    {0, NULL},
};
static PyType_Spec recv_spec = {"gossamer.RecvChan", sizeof(chan), 0,
                                FLAGS | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, recv_slots};
static PyType_Slot chan_slots[] = {
    {Py_tp_new, chan_new},
    {Py_tp_dealloc, chan_dealloc},
    {Py_tp_methods, chan_methods},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, chan_next},
    {Py_am_aiter, PyObject_SelfIter},
    {Py_am_anext, chan_anext},
    {Py_tp_doc, "Chan(cap=0, *, name=None)\n--\n\n"
                "A channel for cap values; 0 makes sender and receiver meet. Every goroutine and every thread may\n"
                "use it. A negative capacity raises ValueError. Iteration ends when it is closed and drained;\n"
                "'with ch:' closes it at the end. Always true, also when empty. Go: make(chan T, cap)."},
    {0, NULL},
};
static PyType_Spec chan_spec = {"gossamer.Chan", sizeof(chan), 0, FLAGS, chan_slots};

int chan_init(PyObject *m) {
  if (!(base_type = add_type(NULL, &base_spec, NULL))) return -1;
  if (!(SendChan_type = add_type(m, &send_spec, (PyObject *)base_type))) return -1;
  if (!(RecvChan_type = add_type(m, &recv_spec, (PyObject *)base_type))) return -1;
  PyObject *both = PyTuple_Pack(2, SendChan_type, RecvChan_type);
  if (!both) return -1;
  Chan_type = add_type(m, &chan_spec, both);
  Py_DECREF(both);
  if (!Chan_type || !(nil_chan = chan_alloc(Chan_type, NULL, OBJECTS, NULL, NULL))) return -1;
  return PyModule_AddObjectRef(m, "nil_chan", (PyObject *)nil_chan);
}
