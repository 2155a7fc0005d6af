/* Channels and goroutines that Python shares with C.
 *
 * A native channel is an ordinary one of the core's, for all threads: what Python sends is converted to an element
 * before the call, what it receives after it. A native goroutine is one of C on the ordinary Ps: it never has the GIL.
 *
 * What C gives up (bytes it was sent) or ends without the GIL goes into `given`, a stack that everybody may push to.
 * native_settle(), under the GIL, does to it what only Python may do. It is called
 *   by every operation of Python on a native channel, after it: what C did before it sent, it has done
 *   by a goroutine of the realm's, which a bell starts when much is waiting, or a goroutine has ended
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <dlfcn.h>
#include <float.h>
#include <gossamer/buffer.h>
#include <math.h>
#include <pthread.h>
#include <stddef.h>

static PyTypeObject *Elem_type, *NativeChan_type, *Bytes_type;
static PyObject *err_Panic;

/* ---- what C gives back --------------------------------------------------------------------- */
struct later {
  struct later *next;
  void (*fn)(struct later *);
};
/* Pending bytes at which the bell rings, and what each item counts beside its own. */
enum { RING_AT = 1 << 20, ITEM = 4096 };

static struct later *given;   /* pushed to without the GIL */
static size_t weight;         /* of given, roughly */
static struct later *settled; /* GIL: taken from given, not done yet */
/* A context whose end starts ring_main() as a goroutine of the realm. Whoever takes it away ends it. */
static gos_ctx *bell;
static bool hung; /* GIL: there is a bell, or its goroutine will hang it up again */
static void *stop;

static void ring_main(void *arg);

/* -1: no memory; then what is given waits for the next call of Python's. */
static int hang_bell(void) {
  if (hung || realm_gone()) return 0;
  gos_ctx *x = gos_with_cancel(NULL);
  if (!x) return -1;
  if (gos_realm_ctx_after_func(realm, x, ring_main, NULL, &stop) < 0) {
    gos_ctx_release(x);
    return -1;
  }
  hung = true;
  __atomic_store_n(&bell, x, __ATOMIC_SEQ_CST); /* pairs with the exchange in give() */
  return 0;
}

/* No GIL. Who finds no bell knows that its goroutine has not hung it up yet, and settles after that. */
static void give(struct later *l, size_t bytes) {
  l->next = __atomic_load_n(&given, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(&given, &l->next, l, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {}
  size_t w = __atomic_add_fetch(&weight, ITEM + bytes, __ATOMIC_RELAXED);
  if (w < RING_AT || !__atomic_load_n(&bell, __ATOMIC_SEQ_CST)) return;
  gos_ctx *x = __atomic_exchange_n(&bell, NULL, __ATOMIC_SEQ_CST);
  if (!x) return;
  gos_cancel(x, 0);
  gos_ctx_release(x);
}

/* One at a time: Python code may run in each of them, and another goroutine go on with the rest. */
static void settle(void) {
  if (UNLIKELY(!hung) && state_here) hang_bell(); /* a fork's child, or there was no memory */
  __atomic_store_n(&weight, 0, __ATOMIC_RELAXED);
  struct later *l = __atomic_exchange_n(&given, NULL, __ATOMIC_SEQ_CST); /* pairs with the exchange in give() */
  while (l) {                                                            /* the last one first: turn it round */
    struct later *next = l->next;
    l->next = settled;
    settled = l;
    l = next;
  }
  while ((l = settled)) {
    settled = l->next;
    l->fn(l);
  }
}

void native_settle(void) {
  if (LIKELY(!__atomic_load_n(&given, __ATOMIC_ACQUIRE) && !settled)) return;
  PyObject *type, *value, *tb;
  PyErr_Fetch(&type, &value, &tb);
  settle();
  PyErr_Restore(type, value, tb);
}

static void ring_main(void *arg) {
  (void)arg;
  gos_ctx_stop(stop);
  hung = false;
  hang_bell(); /* before: what is given from here on is seen below, or rings again */
  native_settle();
  compat_ts_reset(realm_state()->root);
}

/* The goroutine could not start. */
void native_settle_failed(void) {
  if (__atomic_load_n(&bell, __ATOMIC_RELAXED)) return;
  hung = false;
}

/* The bell's goroutine is gone. */
static void after_fork(void) {
  __atomic_store_n(&bell, NULL, __ATOMIC_RELAXED);
  hung = false;
}

/* ---- elements ---------------------------------------------------------------------------------- */
struct elem {
  PyObject_HEAD const char *name; /* NULL: a struct */
  size_t size;
  int (*pack)(elem *t, PyObject *v, void *slot); /* -1: an exception, and nothing is in slot */
  PyObject *(*unpack)(elem *t, void *slot);      /* the element is gone, whatever comes of it */
  void (*drop)(void *slot);                      /* NULL: nothing to do. Without the GIL too */
  PyObject *format;                              /* of a struct: its struct.Struct */
};

static bool fits(PyObject *n, size_t bits, bool is_signed, uint64_t *out) {
  int over;
  long long x = PyLong_AsLongLongAndOverflow(n, &over);
  *out = (uint64_t)x;
  if (over > 0 && !is_signed && bits == 64) {
    *out = PyLong_AsUnsignedLongLong(n);
    if (!PyErr_Occurred()) return true;
    PyErr_Clear();
    return false;
  }
  if (over) return false;
  if (is_signed) return bits == 64 || x >> (bits - 1) == (x < 0 ? -1 : 0);
  return x >= 0 && (bits == 64 || x >> bits == 0);
}

static int pack_int(elem *t, PyObject *v, uint64_t *out) {
  PyObject *n = PyNumber_Index(v);
  if (!n) return -1;
  bool ok = fits(n, 8 * t->size, *t->name == 'i', out);
  Py_DECREF(n);
  if (ok) return 0;
  PyErr_Format(PyExc_OverflowError, "int out of range for %s", t->name);
  return -1;
}
static int pack_int32(elem *t, PyObject *v, void *slot) {
  uint64_t n;
  if (pack_int(t, v, &n) < 0) return -1;
  *(uint32_t *)slot = (uint32_t)n;
  return 0;
}
static int pack_int64(elem *t, PyObject *v, void *slot) { return pack_int(t, v, slot); }
static PyObject *unpack_int32(elem *t, void *slot) {
  (void)t;
  return PyLong_FromLong(*(int32_t *)slot);
}
static PyObject *unpack_uint32(elem *t, void *slot) {
  (void)t;
  return PyLong_FromUnsignedLong(*(uint32_t *)slot);
}
static PyObject *unpack_int64(elem *t, void *slot) {
  (void)t;
  return PyLong_FromLongLong(*(int64_t *)slot);
}
static PyObject *unpack_uint64(elem *t, void *slot) {
  (void)t;
  return PyLong_FromUnsignedLongLong(*(uint64_t *)slot);
}

static int pack_float64(elem *t, PyObject *v, void *slot) {
  (void)t;
  double d = PyFloat_AsDouble(v);
  if (d == -1 && PyErr_Occurred()) return -1;
  *(double *)slot = d;
  return 0;
}
static int pack_float32(elem *t, PyObject *v, void *slot) {
  double d;
  if (pack_float64(t, v, &d) < 0) return -1;
  *(float *)slot = (float)d;
  if (!isinf(*(float *)slot) || isinf(d)) return 0;
  PyErr_SetString(PyExc_OverflowError, "float out of range for float32");
  return -1;
}
static PyObject *unpack_float32(elem *t, void *slot) {
  (void)t;
  return PyFloat_FromDouble(*(float *)slot);
}
static PyObject *unpack_float64(elem *t, void *slot) {
  (void)t;
  return PyFloat_FromDouble(*(double *)slot);
}

static int pack_struct(elem *t, PyObject *v, void *slot) {
  if (!PyTuple_Check(v) && !PyList_Check(v)) {
    PyErr_Format(PyExc_TypeError, "a struct is sent as a tuple of its fields, not as %.100s", Py_TYPE(v)->tp_name);
    return -1;
  }
  PyObject *pack = PyObject_GetAttrString(t->format, "pack"), *fields = pack ? PySequence_Tuple(v) : NULL;
  PyObject *bytes = fields ? PyObject_Call(pack, fields, NULL) : NULL;
  Py_XDECREF(pack);
  Py_XDECREF(fields);
  if (!bytes) return -1;
  memcpy(slot, PyBytes_AS_STRING(bytes), t->size);
  Py_DECREF(bytes);
  return 0;
}
static PyObject *unpack_struct(elem *t, void *slot) {
  PyObject *bytes = PyBytes_FromStringAndSize(slot, (Py_ssize_t)t->size);
  PyObject *fields = bytes ? PyObject_CallMethod(t->format, "unpack", "O", bytes) : NULL;
  Py_XDECREF(bytes);
  return fields;
}

/* ---- buffers: Python's own in C's hands, and the other way round --------------------------------- */
struct lent {
  struct later later;
  Py_buffer view;
};

static void take_back(struct later *l) {
  struct lent *lent = (struct lent *)l;
  PyBuffer_Release(&lent->view);
  PyMem_RawFree(lent);
}
static void give_back(void *owner) {
  struct lent *lent = owner;
  give(&lent->later, (size_t)lent->view.len);
}

static int pack_buffer(elem *t, PyObject *v, void *slot) {
  (void)t;
  struct lent *lent = PyMem_RawMalloc(sizeof *lent);
  if (!lent) {
    PyErr_NoMemory();
    return -1;
  }
  if (PyObject_GetBuffer(v, &lent->view, PyBUF_SIMPLE) < 0) {
    PyMem_RawFree(lent);
    return -1;
  }
  lent->later.fn = take_back;
  *(gos_buffer *)slot = (gos_buffer){lent->view.buf, (size_t)lent->view.len, give_back, lent};
  return 0;
}

/* What a memoryview that was received looks at. */
typedef struct {
  PyObject_HEAD gos_buffer b;
} bytes_object;

static PyObject *unpack_buffer(elem *t, void *slot) {
  (void)t;
  gos_buffer b = *(gos_buffer *)slot;
  bool wrong = b.len > PY_SSIZE_T_MAX || (b.len && !b.data);
  if (wrong) PyErr_SetString(PyExc_ValueError, "C sent a buffer without data, or one that is too long");
  bytes_object *o = wrong ? NULL : PyObject_New(bytes_object, Bytes_type);
  if (!o) {
    gos_buffer_release(&b);
    return NULL;
  }
  o->b = b;
  PyObject *view = PyMemoryView_FromObject((PyObject *)o);
  Py_DECREF(o);
  return view;
}

static void bytes_dealloc(bytes_object *o) {
  PyTypeObject *type = Py_TYPE(o);
  if (o->b.release == give_back)
    take_back(o->b.owner); /* it is Python's, and this is under the GIL */
  else
    gos_buffer_release(&o->b);
  PyObject_Free(o);
  Py_DECREF(type);
}

static int bytes_view(bytes_object *o, Py_buffer *view, int flags) {
  return PyBuffer_FillInfo(view, (PyObject *)o, o->b.len ? (void *)(uintptr_t)o->b.data : "", (Py_ssize_t)o->b.len, 1,
                           flags);
}

static PyType_Slot bytes_slots[] = {{Py_tp_dealloc, bytes_dealloc}, {Py_bf_getbuffer, bytes_view}, {0, NULL}};
static PyType_Spec bytes_spec = {"gossamer.native._Bytes", sizeof(bytes_object), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                 bytes_slots};

/* ---- the kinds of elements ------------------------------------------------------------------------- */
static const struct kind {
  const char *name;
  size_t size;
  int (*pack)(elem *, PyObject *, void *);
  PyObject *(*unpack)(elem *, void *);
  void (*drop)(void *);
} kinds[] = {
    {"int32", 4, pack_int32, unpack_int32, NULL},
    {"uint32", 4, pack_int32, unpack_uint32, NULL},
    {"int64", 8, pack_int64, unpack_int64, NULL},
    {"uint64", 8, pack_int64, unpack_uint64, NULL},
    {"float32", 4, pack_float32, unpack_float32, NULL},
    {"float64", 8, pack_float64, unpack_float64, NULL},
    {"buffer", sizeof(gos_buffer), pack_buffer, unpack_buffer, gos_buffer_drop},
};
static const struct kind struct_kind = {NULL, 0, pack_struct, unpack_struct, NULL};

static elem *elem_new(const struct kind *k) {
  elem *t = PyObject_New(elem, Elem_type);
  if (!t) return NULL;
  t->name = k->name;
  t->size = k->size;
  t->pack = k->pack;
  t->unpack = k->unpack;
  t->drop = k->drop;
  t->format = NULL;
  return t;
}

static void elem_dealloc(elem *t) {
  PyTypeObject *type = Py_TYPE(t);
  Py_XDECREF(t->format);
  PyObject_Free(t);
  Py_DECREF(type);
}

static PyObject *elem_repr(elem *t) {
  if (t->name) return PyUnicode_FromFormat("native.%s", t->name);
  PyObject *format = PyObject_GetAttrString(t->format, "format");
  PyObject *r = format ? PyUnicode_FromFormat("native.struct(%R)", format) : NULL;
  Py_XDECREF(format);
  return r;
}

static PyObject *get_size(elem *t, void *u) {
  (void)u;
  return PyLong_FromSize_t(t->size);
}

static PyObject *native_struct(PyObject *self, PyObject *arg) {
  (void)self;
  PyObject *module = PyImport_ImportModule("struct");
  PyObject *format = module ? PyObject_CallMethod(module, "Struct", "O", arg) : NULL;
  PyObject *size = format ? PyObject_GetAttrString(format, "size") : NULL;
  elem *t = size ? elem_new(&struct_kind) : NULL;
  if (t) {
    t->size = PyLong_AsSize_t(size);
    t->format = Py_NewRef(format);
  }
  Py_XDECREF(module);
  Py_XDECREF(format);
  Py_XDECREF(size);
  return (PyObject *)t;
}

/* ---- sending and receiving ------------------------------------------------------------------------------ */
/* Most elements fit on the stack. */
union slot {
  char bytes[64];
  max_align_t align;
};
static void *slot_for(elem *t, union slot *small) {
  if (LIKELY(t->size <= sizeof *small)) return small;
  void *p = PyMem_Malloc(t->size);
  return p ? p : PyErr_NoMemory();
}
static void slot_done(void *slot, union slot *small) {
  if (UNLIKELY(slot != small)) PyMem_Free(slot);
}

/* What pack() made; under the GIL. */
static void unsent(elem *t, void *slot) {
  if (t->pack == pack_buffer) take_back(((gos_buffer *)slot)->owner);
}

int native_send(chan *c, PyObject *v, struct wait *w) {
  union slot small;
  elem *t = c->elem;
  int e = RAISED;
  void *slot = slot_for(t, &small);
  if (!slot) return e;
  if (LIKELY(t->pack(t, v, slot) == 0)) {
    if (w)
      WAIT(e, w, until, gos_chan_send_dl(c->ch, slot, until));
    else
      TRY(e, gos_chan_send_dl(c->ch, slot, GOS_NOW));
    if (e != GOS_OK) unsent(t, slot);
  }
  slot_done(slot, &small);
  native_settle();
  if (LIKELY(e == GOS_OK)) Py_DECREF(v);
  return e;
}

int native_recv(chan *c, PyObject **v, struct wait *w) {
  union slot small;
  elem *t = c->elem;
  int e = RAISED;
  void *slot = slot_for(t, &small);
  if (!slot) return e;
  if (w)
    WAIT(e, w, until, gos_chan_recv_dl(c->ch, slot, until));
  else
    TRY(e, gos_chan_recv_dl(c->ch, slot, GOS_NOW));
  if (LIKELY(e == GOS_OK) && !(*v = t->unpack(t, slot))) e = RAISED;
  slot_done(slot, &small);
  native_settle();
  return e;
}

void *native_slot(chan *c, PyObject *v) {
  elem *t = c->elem;
  void *slot = PyMem_Malloc(t->size);
  if (!slot) return PyErr_NoMemory();
  if (!v || t->pack(t, v, slot) == 0) return slot;
  PyMem_Free(slot);
  return NULL;
}

void native_slot_free(chan *c, void *slot, bool with_element) {
  if (with_element) unsent(c->elem, slot);
  PyMem_Free(slot);
}

PyObject *native_value(chan *c, void *slot) { return c->elem->unpack(c->elem, slot); }

/* ---- native.Chan -------------------------------------------------------------------------------------------- */
static PyObject *native_chan_new(PyTypeObject *type, PyObject *args, PyObject *kw) {
  static char *names[] = {"elem", "cap", "name", NULL};
  PyObject *elem_arg, *cap_arg = NULL, *name = Py_None;
  size_t cap = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "O|O$O:Chan", names, &elem_arg, &cap_arg, &name)) return NULL;
  if (!Py_IS_TYPE(elem_arg, Elem_type))
    return PyErr_Format(PyExc_TypeError, "a native channel needs to know its elements (native.int64, ...), not %.100s",
                        Py_TYPE(elem_arg)->tp_name);
  if ((cap_arg && chan_capacity(cap_arg, &cap) < 0) || chan_name(name) < 0) return NULL;
  elem *t = (elem *)elem_arg;
  if (t->size && cap > PY_SSIZE_T_MAX / t->size) return PyErr_Format(PyExc_ValueError, "channel capacity out of range");
  if (realm_enter() < 0) return NULL;
  gos_chan *ch = hang_bell() < 0 ? NULL : gos_chan_make(t->size, cap);
  if (!ch) return raise_code(GOS_NOMEM, "channel");
  if (t->drop) gos_chan_set_dtor(ch, t->drop);
  chan *c = chan_alloc(type, ch, NATIVE, ch, chan_drop);
  if (!c) return NULL;
  c->elem = (elem *)Py_NewRef(elem_arg);
  if (name != Py_None) c->name = Py_NewRef(name);
  return (PyObject *)c;
}

static PyObject *get_pointer(chan *c, void *u) {
  (void)u;
  return PyLong_FromVoidPtr(c->ch);
}
static PyObject *get_elem(chan *c, void *u) {
  (void)u;
  return Py_NewRef((PyObject *)c->elem);
}

/* ---- goroutines of C --------------------------------------------------------------------------------------------- */
struct job {
  struct later later;
  void (*fn)(void *);
  void *arg;
  PyObject *handle; /* of the reference that the scheduler has to it */
  bool panicked, no_memory;
  char panic[1024];
  uintptr_t words[]; /* what arg points to, if it was a tuple */
};

/* The exception of a goroutine that panicked, with no Python code on the way: the collector is off. */
static PyObject *panic_of(struct job *job) {
  PyObject *text = PyUnicode_DecodeUTF8(job->panic, (Py_ssize_t)strlen(job->panic), "replace");
  if (text) PyErr_SetObject(err_Panic, text);
  Py_XDECREF(text);
  return compat_take_exception();
}
static PyObject *error_of(struct job *job) {
  if (!job->panicked && !job->no_memory) return NULL;
  int collects = PyGC_Disable();
  if (job->no_memory) PyErr_NoMemory();
  PyObject *error = job->no_memory ? compat_take_exception() : panic_of(job);
  if (collects) PyGC_Enable();
  return error;
}

static void job_over(struct later *l) {
  struct job *job = (struct job *)l;
  PyObject *handle = job->handle, *error = error_of(job);
  PyMem_RawFree(job);
  go_native_ended(handle, error);
}

/* However it ended. The last that it does, but for the core's own end of it. */
static void job_ends(void *arg) {
  struct job *job = arg;
  job->panicked = gos_recover(job->panic, sizeof job->panic);
  give(&job->later, RING_AT);
}

static void job_main(void *arg) {
  struct job *job = arg;
  if (gos_defer(job_ends, job) == GOS_OK) {
    job->fn(job->arg); /* job may be gone */
    return;
  }
  job->no_memory = true;
  job_ends(job);
}

/* What C gets for a part of arg: -1 with an exception. */
static int read_word(PyObject *o, uintptr_t *word) {
  *word = 0;
  if (o == Py_None) return 0;
  if (PyLong_Check(o)) {
    uint64_t n;
    if (fits(o, 64, false, &n) || fits(o, 64, true, &n)) {
      *word = (uintptr_t)n;
      return 0;
    }
    PyErr_SetString(PyExc_OverflowError, "int out of range for a C word");
    return -1;
  }
  if (Py_IS_TYPE(o, Context_type)) {
    *word = (uintptr_t)context_core((context *)o);
    return 0;
  }
  if (PyObject_TypeCheck(o, SendChan_type) || PyObject_TypeCheck(o, RecvChan_type)) {
    *word = (uintptr_t)((chan *)o)->ch;
    if (((chan *)o)->kind == NATIVE) return 0;
    PyErr_SetString(PyExc_TypeError, "this channel carries Python objects: C needs a native.Chan");
    return -1;
  }
  PyErr_Format(PyExc_TypeError,
               "C needs an int, a native.Chan, a Context, None, an address or a buffer, or a tuple of the first four, "
               "not %.100s",
               Py_TYPE(o)->tp_name);
  return -1;
}

/* The address of a buffer's bytes, which stay where they are as long as *hold lives. */
static int read_buffer(PyObject *o, void **address, PyObject **hold) {
  Py_buffer view;
  if (!(*hold = PyMemoryView_FromObject(o))) return -1;
  if (PyObject_GetBuffer(*hold, &view, PyBUF_SIMPLE) < 0) return -1;
  *address = view.buf;
  PyBuffer_Release(&view);
  return 0;
}

static int read_arg(struct job *job, PyObject *arg, PyObject **hold) {
  if (PyTuple_Check(arg)) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(arg); i++)
      if (read_word(PyTuple_GET_ITEM(arg, i), &job->words[i]) < 0) return -1;
    job->arg = job->words;
    return 0;
  }
  if (PyObject_CheckBuffer(arg)) return read_buffer(arg, &job->arg, hold);
  uintptr_t word;
  if (read_word(arg, &word) < 0) return -1;
  job->arg = (void *)word;
  return 0;
}

static int start(struct job *job, PyObject *fn, PyObject *keep, PyObject *name, Py_ssize_t stack,
                 PyFrameObject *where) {
  int e;
  gos_go_options options = {.size = sizeof options, .name = PyUnicode_AsUTF8(name), .stack = (size_t)stack};
  if (!options.name || !(job->handle = go_native(fn, keep, name, where))) return -1;
  gos_g *h = gos_go_opts(&options, job_main, job, &e);
  if (h) {
    go_native_started(job->handle, h);
    return 0;
  }
  Py_DECREF(job->handle);
  raise_code(e, e == GOS_INVAL ? "stack_size out of range" : "starting a goroutine");
  return -1;
}

/* (fn, its address, arg, what C gets for it, name, stack, the frame that asked for it) */
static PyObject *native_go(PyObject *self, PyObject *args) {
  (void)self;
  PyObject *fn, *address, *source, *arg, *name, *where, *hold = NULL, *keep = NULL;
  Py_ssize_t stack;
  if (!PyArg_ParseTuple(args, "OO!OOO!nO!", &fn, &PyLong_Type, &address, &source, &arg, &PyUnicode_Type, &name, &stack,
                        &PyFrame_Type, &where))
    return NULL;
  void *code = PyLong_AsVoidPtr(address);
  if (!code) return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "the function is a null pointer");
  if (stack <= 0) return PyErr_Format(PyExc_ValueError, "stack_size out of range");
  if (realm_enter() < 0) return NULL;
  if (hang_bell() < 0) return raise_code(GOS_NOMEM, "starting a goroutine");
  size_t words = PyTuple_Check(arg) ? (size_t)PyTuple_GET_SIZE(arg) : 0;
  struct job *job = PyMem_RawCalloc(1, sizeof *job + words * sizeof *job->words);
  if (!job) return PyErr_NoMemory();
  job->later.fn = job_over;
  job->fn = (void (*)(void *))code;
  int e = read_arg(job, arg, &hold);
  if (e == 0 && !(keep = PyTuple_Pack(3, source, arg, hold ? hold : Py_None))) e = -1;
  if (e == 0) e = start(job, fn, keep, name, stack, (PyFrameObject *)where);
  PyObject *handle = e == 0 ? job->handle : NULL;
  Py_XDECREF(hold);
  Py_XDECREF(keep);
  if (e) PyMem_RawFree(job);
  return handle;
}

/* ---- module ------------------------------------------------------------------------------------------------------------- */
static PyObject *native_library(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  Dl_info info;
  if (!dladdr((void *)(uintptr_t)gos_abi_version, &info) || !info.dli_fname)
    return PyErr_Format(PyExc_RuntimeError, "the linker does not tell where libgossamer is");
  return PyUnicode_DecodeFSDefault(info.dli_fname);
}

PyMethodDef native_methods[] = {
    {"_native_struct", native_struct, METH_O, NULL},
    {"_native_go", native_go, METH_VARARGS, NULL},
    {"_native_library", native_library, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyMethodDef elem_methods[] = {
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef elem_getset[] = {
    {"size", (getter)get_size, NULL, "Bytes of an element.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot elem_slots[] = {
    {Py_tp_dealloc, elem_dealloc},
    {Py_tp_repr, elem_repr},
    {Py_tp_methods, elem_methods},
    {Py_tp_getset, elem_getset},
    {Py_tp_doc, "What the elements of a native channel are: int64, float64, buffer, ... or from struct()."},
    {0, NULL},
};
static PyType_Spec elem_spec = {"gossamer.native.Elem", sizeof(elem), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                elem_slots};
static PyGetSetDef chan_getset[] = {
    {"pointer", (getter)get_pointer, NULL,
     "The address of its gos_chan, for C: good as long as the channel lives, or C retains it.", NULL},
    {"elem", (getter)get_elem, NULL, "What its elements are.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot chan_slots[] = {
    {Py_tp_new, native_chan_new},
    {Py_tp_methods, chan_methods},
    {Py_tp_getset, chan_getset},
    {Py_tp_doc, "Chan(elem, cap=0, *, name=None)\n--\n\n"
                "A channel that C has too: its elements are C values, copied in and out. What cannot be one raises\n"
                "(OverflowError, TypeError, struct.error) before anything is sent. Otherwise as gossamer.Chan.\n"
                "Go: make(chan T, cap). C: gos_chan_make(elem.size, cap)."},
    {0, NULL},
};
static PyType_Spec chan_spec = {"gossamer.native.Chan", sizeof(chan), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                                chan_slots};

static int add_elems(PyObject *m) {
  char name[32];
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    elem *t = elem_new(&kinds[i]);
    snprintf(name, sizeof name, "_native_%s", kinds[i].name);
    int e = t ? PyModule_AddObjectRef(m, name, (PyObject *)t) : -1;
    Py_XDECREF((PyObject *)t);
    if (e < 0) return -1;
  }
  return 0;
}

int native_init(PyObject *m) {
  if (!(Elem_type = add_type(NULL, &elem_spec, NULL)) || !(Bytes_type = add_type(NULL, &bytes_spec, NULL))) return -1;
  PyObject *both = PyTuple_Pack(2, SendChan_type, RecvChan_type);
  if (!both) return -1;
  NativeChan_type = add_type(NULL, &chan_spec, both);
  Py_DECREF(both);
  err_Panic = PyErr_NewExceptionWithDoc("gossamer.native.Panic",
                                        "A goroutine of C called gos_panic(); the text is its.", err_Error, NULL);
  if (!NativeChan_type || !err_Panic || add_elems(m) < 0) return -1;
  if (PyModule_AddObjectRef(m, "_NativeElem", (PyObject *)Elem_type) < 0 ||
      PyModule_AddObjectRef(m, "_NativeChan", (PyObject *)NativeChan_type) < 0 ||
      PyModule_AddObjectRef(m, "_NativePanic", err_Panic) < 0 || PyModule_AddIntConstant(m, "_abi", GOS_ABI) < 0)
    return -1;
  if (!pthread_atfork(NULL, NULL, after_fork)) return 0;
  PyErr_NoMemory();
  return -1;
}
