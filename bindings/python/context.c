/* Contexts: the core's, as objects that also carry what the core cannot: Python's values and causes.
 *
 * Always true:
 *   an object keeps those it was made from alive, so the one in which an end began is found upwards
 *   values and causes belong to objects only, so the garbage collector sees all cycles through them
 *   the ambient context is the value of one contextvar; each state remembers what it last was
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <stddef.h>

enum kind { BACKGROUND, TODO, CANCEL, TIMEOUT, DEADLINE, VALUE, GRACE, BARE, MERGE, FOREIGN };
static const char *const names[] = {
    [BACKGROUND] = "background",
    [TODO] = "todo",
    [CANCEL] = "with_cancel",
    [TIMEOUT] = "with_timeout",
    [DEADLINE] = "with_deadline",
    [VALUE] = "with_value",
    [GRACE] = "with_grace",
    [BARE] = "without_cancel",
    [MERGE] = "merge",
    [FOREIGN] = "context",
};
enum { MERGES = 64 }; /* inside one another, as in the core */

struct context {
  PyObject_HEAD enum kind kind;
  bool ends; /* it may: by itself, or one above it */
  unsigned merges;
  gos_ctx *x;
  context *parent, *other;         /* NULL: none */
  uint64_t searched;               /* of a MERGE: by which search for a value last */
  PyObject *key, *value;           /* of a VALUE */
  PyObject *cause, *timeout_cause; /* given to cancel(); for when the deadline passes */
  PyObject *done;                  /* the view of its channel, once asked for */
  PyObject *tokens;                /* of the with statements it is in */
  PyObject *weak;
};

PyTypeObject *Context_type;
static context *background, *todo;
static PyObject *ambient_var;

/* ---- memory ---------------------------------------------------------------------------- */
/* Takes over x, which may be NULL: no memory. */
static context *context_new(enum kind kind, gos_ctx *x, context *parent, bool ends) {
  if (!x) {
    raise_code(GOS_NOMEM, "context");
    return NULL;
  }
  context *c = (context *)Context_type->tp_alloc(Context_type, 0);
  if (!c) {
    gos_ctx_release(x);
    return NULL;
  }
  c->kind = kind;
  c->x = x;
  c->ends = ends;
  c->parent = (context *)Py_XNewRef((PyObject *)parent);
  c->merges = parent ? parent->merges : 0;
  return c;
}

PyObject *context_wrap(gos_ctx *x, context *parent) { return (PyObject *)context_new(FOREIGN, x, parent, true); }

static int context_traverse(context *c, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(c));
  Py_VISIT(c->parent);
  Py_VISIT(c->other);
  Py_VISIT(c->key);
  Py_VISIT(c->value);
  Py_VISIT(c->cause);
  Py_VISIT(c->timeout_cause);
  Py_VISIT(c->tokens);
  return 0;
}
/* Not the parents: they make no cycle by themselves, and what is left of the object still asks them. */
static int context_clear(context *c) {
  Py_CLEAR(c->key);
  Py_CLEAR(c->value);
  Py_CLEAR(c->cause);
  Py_CLEAR(c->timeout_cause);
  Py_CLEAR(c->tokens);
  return 0;
}
static void context_dealloc(context *c) {
  PyTypeObject *type = Py_TYPE(c);
  PyObject_GC_UnTrack(c);
  Py_TRASHCAN_BEGIN(c, context_dealloc);
  if (c->weak) PyObject_ClearWeakRefs((PyObject *)c);
  context_clear(c);
  Py_XDECREF(c->done);
  if (!realm_gone()) gos_ctx_release(c->x); /* in a fork's child its locks may be taken for ever */
  Py_XDECREF(c->other);
  Py_XDECREF(c->parent);
  type->tp_free(c);
  Py_DECREF(type);
  Py_TRASHCAN_END
}

/* ---- the ambient one --------------------------------------------------------------------- */
context *context_ambient(void) {
  if (!wait_ambient) return NULL;
  struct state *st = realm_state();
  PyThreadState *ts = PyThreadState_Get();
  if (st && st->ambient_of == ts->context_ver) return st->ambient;
  PyObject *c = NULL;
  if (PyContextVar_Get(ambient_var, NULL, &c) < 0) PyErr_Clear();
  Py_XDECREF(c); /* the contextvars hold it */
  if (st) {
    st->ambient_of = ts->context_ver;
    st->ambient = (context *)c;
  }
  return (context *)c;
}

static void forget_ambient(void) {
  struct state *st = realm_state();
  if (st) st->ambient_of = 0; /* no context_ver is */
}

/* Borrowed. */
static context *current(void) {
  context *c = context_ambient();
  return c ? c : background;
}

/* ---- how it ended -------------------------------------------------------------------------- */
gos_ctx *context_core(context *c) { return c->ends ? c->x : NULL; }

/* Where the end of c began: c or one above it; borrowed. NULL: it has not ended, or not in an object. */
static context *origin(context *c) {
  gos_ctx *o = gos_ctx_origin(c->x);
  while (o && c) {
    if (c->x == o && c->kind != VALUE) return c;
    bool through = c->parent && gos_ctx_origin(c->parent->x) == o;
    c = through ? c->parent : c->other && gos_ctx_origin(c->other->x) == o ? c->other : NULL;
  }
  return NULL;
}

/* Borrowed; NULL: none was given. */
static PyObject *given_cause(context *c, int err) {
  context *o = origin(c);
  return !o ? NULL : err == GOS_TIMEDOUT ? o->timeout_cause : o->cause;
}

/* A new exception each time: it collects the traceback of one raise. */
static PyObject *error_of(context *c, int err) {
  bool late = err == GOS_TIMEDOUT;
  PyObject *cause = given_cause(c, err);
  PyObject *e = PyObject_CallFunction(late ? err_DeadlineExceeded : err_Canceled, "s",
                                      late ? "context deadline exceeded" : "context canceled");
  if (!e) return NULL;
  if (PyObject_SetAttrString(e, "ctx", (PyObject *)c) < 0 || (cause && PyObject_SetAttrString(e, "cause", cause) < 0)) {
    Py_DECREF(e);
    return NULL;
  }
  if (cause) PyException_SetCause(e, Py_NewRef(cause));
  return e;
}

PyObject *context_raise(context *c) {
  PyObject *e = error_of(c, gos_ctx_err(c->x));
  if (e) PyErr_SetObject((PyObject *)Py_TYPE(e), e);
  Py_XDECREF(e);
  return NULL;
}

/* The context an exception is of; a new reference, NULL: none. */
static PyObject *context_of(PyObject *error) {
  if (!PyErr_GivenExceptionMatches(error, err_Canceled)) return NULL;
  PyObject *c = PyObject_GetAttrString(error, "ctx");
  if (!c) PyErr_Clear();
  if (c && !Py_IS_TYPE(c, Context_type)) Py_CLEAR(c);
  return c;
}

bool context_raised(PyObject *error) {
  PyObject *c = context_of(error);
  Py_XDECREF(c);
  return c != NULL;
}

/* ---- its methods ------------------------------------------------------------------------------ */
static PyObject *context_err(context *c, PyObject *ignored) {
  (void)ignored;
  if (realm_enter_now() < 0) return NULL;
  int e = gos_ctx_err(c->x);
  if (!e) Py_RETURN_NONE;
  return error_of(c, e);
}

static PyObject *context_cause(context *c, PyObject *ignored) {
  (void)ignored;
  if (realm_enter_now() < 0) return NULL;
  int e = gos_ctx_err(c->x);
  if (!e) Py_RETURN_NONE;
  PyObject *cause = given_cause(c, e);
  return cause ? Py_NewRef(cause) : error_of(c, e);
}

/* Borrowed; NULL without exception: there is none. As gos_ctx_value(): each merge is searched once, but for searches
   that an == begins. */
static PyObject *find_value(context *c, PyObject *key) {
  static uint64_t searches;
  uint64_t mine = ++searches;
  context *later[MERGES];
  for (int n = 0;;) {
    for (; c; c = c->parent) {
      if (c->kind == VALUE && c->key) {
        int same = PyObject_RichCompareBool(c->key, key, Py_EQ);
        if (same) return same < 0 ? NULL : c->value;
      }
      if (c->kind != MERGE) continue;
      if (c->searched == mine) break;
      c->searched = mine;
      later[n++] = c->other;
    }
    if (n == 0) return NULL;
    c = later[--n];
  }
}

static PyObject *context_value(context *c, PyObject *args, PyObject *kw) {
  static char *words[] = {"key", "default", NULL};
  PyObject *key, *otherwise = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "O|O:value", words, &key, &otherwise)) return NULL;
  PyObject *v = find_value(c, key);
  if (!v && PyErr_Occurred()) return NULL;
  return Py_NewRef(v ? v : otherwise);
}

static int read_cause(PyObject *o, PyObject **cause) {
  if (o != Py_None && !PyExceptionInstance_Check(o)) {
    PyErr_Format(PyExc_TypeError, "cause must be an exception or None, not %.100s", Py_TYPE(o)->tp_name);
    return -1;
  }
  *cause = o == Py_None ? NULL : o;
  return 0;
}

/* The first cause stays. One that cannot be cancelled stays as it is. */
static void end_it(context *c, PyObject *cause) {
  if (c->kind == VALUE || gos_ctx_err(c->x)) return;
  gos_cancel(c->x, 0);
  /* The deadline or a parent may have come first, on another thread. */
  if (cause && !c->cause && gos_ctx_origin(c->x) == c->x && gos_ctx_err(c->x) == GOS_CANCELED)
    c->cause = Py_NewRef(cause);
}

static PyObject *context_cancel(context *c, PyObject *args, PyObject *kw) {
  static char *words[] = {"cause", NULL};
  PyObject *o = Py_None, *cause;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "|O:cancel", words, &o) || read_cause(o, &cause) < 0) return NULL;
  if (realm_enter_now() < 0) return NULL;
  end_it(c, cause);
  Py_RETURN_NONE;
}

static void drop_core(void *x) {
  if (!realm_gone()) gos_ctx_release(x);
}

PyObject *context_done(PyObject *o) {
  context *c = (context *)o;
  if (c->done) return Py_NewRef(c->done);
  if (realm_enter_now() < 0) return NULL;
  gos_chan *ch = c->ends ? gos_ctx_done(c->x) : NULL;
  PyObject *view = ch ? chan_view(ch, NOTHING, gos_ctx_retain(c->x), drop_core) : chan_view(NULL, NOTHING, NULL, NULL);
  return c->done = view ? Py_NewRef(view) : NULL, view;
}

static PyObject *get_done(context *c, void *u) {
  (void)u;
  return context_done((PyObject *)c);
}

static PyObject *get_deadline(context *c, void *u) {
  (void)u;
  gos_ns t;
  if (!gos_ctx_deadline(c->x, &t)) Py_RETURN_NONE;
  return PyFloat_FromDouble((double)t / 1e9);
}

static PyObject *context_repr(context *c) {
  int e = gos_ctx_err(c->x);
  return PyUnicode_FromFormat("<Context %s at %p%s%s>", names[c->kind], c, e ? ", " : "",
                              !e                  ? ""
                              : e == GOS_TIMEDOUT ? "deadline exceeded"
                                                  : "canceled");
}

/* CPython crashes where there is no memory for the token: it has to be there, after that for the first contextvars. */
static PyObject *make_ambient(PyObject *o) {
  if (!compat_ts()->context) {
    PyObject *copy = PyContext_CopyCurrent();
    if (!copy) return NULL;
    Py_DECREF(copy);
  }
  void *room = PyObject_Malloc((size_t)PyContextToken_Type.tp_basicsize + 2 * sizeof(void *)); /* and the collector's */
  if (!room) return PyErr_NoMemory();
  PyObject_Free(room);
  return PyContextVar_Set(ambient_var, o);
}

/* ---- with ----------------------------------------------------------------------------------------- */
static PyObject *context_enter(context *c, PyObject *ignored) {
  (void)ignored;
  if (realm_enter() < 0 || (!c->tokens && !(c->tokens = PyList_New(0)))) return NULL;
  PyObject *token = make_ambient((PyObject *)c);
  if (!token) return NULL;
  wait_ambient = true;
  forget_ambient();
  int e = PyList_Append(c->tokens, token);
  if (e < 0) PyContextVar_Reset(ambient_var, token);
  Py_DECREF(token);
  return e < 0 ? NULL : Py_NewRef(c);
}

/* Several goroutines may be in it: the last token that fits the running one's contextvars. */
static int leave(context *c) {
  forget_ambient();
  for (Py_ssize_t i = c->tokens ? PyList_GET_SIZE(c->tokens) : 0; i-- > 0;) {
    PyObject *token = Py_NewRef(PyList_GET_ITEM(c->tokens, i));
    int e = PyContextVar_Reset(ambient_var, token);
    if (e == 0) e = PyList_SetSlice(c->tokens, i, i + 1, NULL) < 0 ? -2 : 0;
    Py_DECREF(token);
    if (e == 0) return 0;
    if (e == -2 || !PyErr_ExceptionMatches(PyExc_ValueError)) return -1;
    PyErr_Clear();
  }
  PyErr_SetString(PyExc_RuntimeError, "this goroutine has not entered the context with 'with'");
  return -1;
}

static PyObject *timed_out(PyObject *error) {
  PyObject *e = PyObject_CallFunction(PyExc_TimeoutError, "s", "context deadline exceeded");
  if (!e) return NULL;
  PyException_SetCause(e, Py_NewRef(error));
  PyErr_SetObject(PyExc_TimeoutError, e);
  Py_DECREF(e);
  return NULL;
}

static PyObject *context_exit(context *c, PyObject *const *args, Py_ssize_t nargs) {
  PyObject *error = nargs > 1 && args[1] != Py_None ? args[1] : NULL;
  int left = leave(c);
  if (realm_enter_now() < 0) return NULL;
  PyObject *of = error ? context_of(error) : NULL;
  bool own = of && origin((context *)of) == c;
  Py_XDECREF(of);
  end_it(c, NULL);
  if (left < 0) return NULL;
  if (own && PyErr_GivenExceptionMatches(error, err_DeadlineExceeded)) return timed_out(error);
  return PyBool_FromLong(own);
}

/* ---- for errgroup.py ---------------------------------------------------------------------------------- */
static PyObject *set_ambient(PyObject *self, PyObject *o) {
  (void)self;
  if (!Py_IS_TYPE(o, Context_type)) return PyErr_Format(PyExc_TypeError, "a Context is needed");
  if (realm_enter() < 0) return NULL;
  PyObject *token = make_ambient(o);
  wait_ambient = true;
  forget_ambient();
  return token;
}
static PyObject *reset_ambient(PyObject *self, PyObject *token) {
  (void)self;
  forget_ambient();
  if (PyContextVar_Reset(ambient_var, token) < 0) return NULL;
  Py_RETURN_NONE;
}
static PyObject *adopt(PyObject *self, PyObject *o) {
  PyObject *token = set_ambient(self, o);
  if (!token) return NULL;
  Py_DECREF(token);
  go_member_began();
  Py_RETURN_NONE;
}
static PyObject *origin_of(PyObject *self, PyObject *o) {
  (void)self;
  PyObject *c = Py_IS_TYPE(o, Context_type) ? Py_NewRef(o) : context_of(o);
  PyObject *from = c ? (PyObject *)origin((context *)c) : NULL;
  PyObject *r = Py_NewRef(from ? from : Py_None);
  Py_XDECREF(c);
  return r;
}

/* ---- making ------------------------------------------------------------------------------------------ */
/* Borrowed; NULL with an exception. */
static context *read_parent(PyObject *o) {
  if (realm_enter() < 0) return NULL;
  if (o == Py_None) return current();
  if (Py_IS_TYPE(o, Context_type)) return (context *)o;
  PyErr_Format(PyExc_TypeError, "parent must be a Context or None, not %.100s", Py_TYPE(o)->tp_name);
  return NULL;
}

static PyObject *make_background(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  return Py_NewRef(background);
}
static PyObject *make_todo(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  return Py_NewRef(todo);
}
static PyObject *get_current(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  return Py_NewRef(current());
}

static PyObject *make_cancel(PyObject *self, PyObject *args, PyObject *kw) {
  (void)self;
  static char *words[] = {"parent", NULL};
  PyObject *parent = Py_None;
  context *p;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "|O:with_cancel", words, &parent) || !(p = read_parent(parent)))
    return NULL;
  return (PyObject *)context_new(CANCEL, gos_with_cancel(p->x), p, true);
}

static PyObject *make_timed(const char *format, char **words, enum kind kind, PyObject *args, PyObject *kw) {
  PyObject *when, *parent = Py_None, *o = Py_None, *cause;
  gos_ns t;
  context *p;
  if (!PyArg_ParseTupleAndKeywords(args, kw, format, words, &when, &parent, &o)) return NULL;
  if (read_seconds(when, &t) < 0 || read_cause(o, &cause) < 0 || !(p = read_parent(parent))) return NULL;
  context *c = context_new(kind, kind == TIMEOUT ? gos_with_timeout(p->x, t) : gos_with_deadline(p->x, t), p, true);
  if (c) c->timeout_cause = Py_XNewRef(cause);
  return (PyObject *)c;
}
static PyObject *make_timeout(PyObject *self, PyObject *args, PyObject *kw) {
  (void)self;
  static char *words[] = {"d", "parent", "cause", NULL};
  return make_timed("O|OO:with_timeout", words, TIMEOUT, args, kw);
}
static PyObject *make_deadline(PyObject *self, PyObject *args, PyObject *kw) {
  (void)self;
  static char *words[] = {"t", "parent", "cause", NULL};
  return make_timed("O|OO:with_deadline", words, DEADLINE, args, kw);
}

static PyObject *make_grace(PyObject *self, PyObject *args, PyObject *kw) {
  (void)self;
  static char *words[] = {"d", "parent", NULL};
  PyObject *d, *parent = Py_None;
  gos_ns ns;
  context *p;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "O|O:with_grace", words, &d, &parent)) return NULL;
  if (read_seconds(d, &ns) < 0 || !(p = read_parent(parent))) return NULL;
  return (PyObject *)context_new(GRACE, gos_with_grace(p->x, ns), p, true);
}

static PyObject *make_value(PyObject *self, PyObject *args, PyObject *kw) {
  (void)self;
  static char *words[] = {"key", "value", "parent", NULL};
  PyObject *key, *value, *parent = Py_None;
  context *p;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "OO|O:with_value", words, &key, &value, &parent)) return NULL;
  if (key == Py_None) return PyErr_Format(PyExc_TypeError, "with_value() needs a key that is not None");
  if (!(p = read_parent(parent))) return NULL;
  context *c = context_new(VALUE, gos_ctx_retain(p->x), p, p->ends);
  if (!c) return NULL;
  c->key = Py_NewRef(key);
  c->value = Py_NewRef(value);
  return (PyObject *)c;
}

static PyObject *make_bare(PyObject *self, PyObject *args, PyObject *kw) {
  (void)self;
  static char *words[] = {"parent", NULL};
  PyObject *parent = Py_None;
  context *p;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "|O:without_cancel", words, &parent) || !(p = read_parent(parent)))
    return NULL;
  return (PyObject *)context_new(BARE, gos_without_cancel(p->x), p, false);
}

static PyObject *make_merge(PyObject *self, PyObject *args) {
  (void)self;
  context *a, *b;
  if (!PyArg_ParseTuple(args, "O!O!:merge", Context_type, &a, Context_type, &b) || realm_enter() < 0) return NULL;
  unsigned merges = (a->merges > b->merges ? a->merges : b->merges) + 1;
  if (merges > MERGES) return PyErr_Format(PyExc_ValueError, "more than %d contexts merged into one another", MERGES);
  context *c = context_new(MERGE, gos_merge(a->x, b->x), a, true);
  if (!c) return NULL;
  c->other = (context *)Py_NewRef(b);
  c->merges = merges;
  return (PyObject *)c;
}

/* ---- functions that run at the end --------------------------------------------------------------------- */
/* What stops it. While it may run, the core holds a reference. */
typedef struct {
  PyObject_HEAD vectorcallfunc call;
  PyObject *fn, *vars, *code;
  int lasti;
  bool waits; /* neither started nor stopped */
  void *stop; /* the core's handle; NULL: given back, or its context never ends */
  struct unstarted unstarted;
} after;

PyTypeObject *AfterFunc_type;

static int after_traverse(after *a, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(a));
  Py_VISIT(a->fn);
  Py_VISIT(a->vars);
  return 0;
}
static int after_clear(after *a) {
  Py_CLEAR(a->fn);
  Py_CLEAR(a->vars);
  return 0;
}
static void after_dealloc(after *a) {
  PyTypeObject *type = Py_TYPE(a);
  PyObject_GC_UnTrack(a);
  after_clear(a);
  Py_XDECREF(a->code);
  type->tp_free(a);
  Py_DECREF(type);
}

/* False: it has started. */
static bool disarm(after *a) {
  void *stop = a->stop;
  bool waits = a->waits;
  a->stop = NULL;
  a->waits = false;
  if (!stop) return waits;
  if (!gos_ctx_stop(stop)) return false;
  Py_DECREF(a);
  return true;
}

static PyObject *after_call(PyObject *o, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
  (void)args;
  if (PyVectorcall_NARGS(nargsf) || (kwnames && PyTuple_GET_SIZE(kwnames)))
    return PyErr_Format(PyExc_TypeError, "the stop function of after_func() takes no arguments");
  if (realm_enter_now() < 0) return NULL;
  return PyBool_FromLong(disarm((after *)o));
}

static void run_after(void *arg) {
  after *a = arg;
  PyObject *none = PyTuple_New(0);
  disarm(a);
  if (none)
    go_run(a->fn, none, a->vars, a->code, a->lasti);
  else
    PyErr_WriteUnraisable(a->fn);
  Py_XDECREF(none);
  Py_DECREF(a);
}

void after_func_start_failed(PyObject *o) {
  after *a = (after *)o;
  disarm(a);
  go_unstarted(&a->unstarted, o, a->fn);
}

const struct site_at after_func_site_at = {&AfterFunc_type, offsetof(after, code), offsetof(after, lasti)};
void after_func_site(PyObject *o, char *buf, size_t n) { go_site_of(((after *)o)->code, ((after *)o)->lasti, buf, n); }

/* The caller's contextvars, without its ambient context: that has perhaps ended when they are used. */
static int vars_for_later(PyObject **vars) {
  if (go_copy_context(vars) < 0) return -1;
  if (!*vars || !context_ambient()) return 0;
  if (PyContext_Enter(*vars) < 0) return -1;
  PyObject *token = make_ambient((PyObject *)background);
  Py_XDECREF(token);
  return PyContext_Exit(*vars) < 0 || !token ? -1 : 0;
}

static PyObject *context_after_func(PyObject *self, PyObject *args, PyObject *kw) {
  (void)self;
  static char *words[] = {"ctx", "fn", NULL};
  context *c;
  PyObject *fn;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "O!O:after_func", words, Context_type, &c, &fn)) return NULL;
  if (!PyCallable_Check(fn))
    return PyErr_Format(PyExc_TypeError, "after_func() needs a callable, not %.100s", Py_TYPE(fn)->tp_name);
  if (realm_enter() < 0) return NULL;
  after *a = (after *)AfterFunc_type->tp_alloc(AfterFunc_type, 0);
  if (!a) return NULL;
  a->call = after_call;
  a->fn = Py_NewRef(fn);
  a->code = Py_XNewRef((PyObject *)compat_where(PyThreadState_Get(), &a->lasti));
  if (vars_for_later(&a->vars) < 0) goto fail;
  a->waits = true;
  if (!context_core(c)) return (PyObject *)a;
  int e = gos_realm_ctx_after_func(realm, c->x, run_after, Py_NewRef(a), &a->stop);
  if (!e) return (PyObject *)a;
  Py_DECREF(a);
  raise_code(e, "after_func");
fail:
  Py_DECREF(a);
  return NULL;
}

/* ---- module --------------------------------------------------------------------------------------------- */
PyMethodDef context_methods[] = {
    {"background", make_background, METH_NOARGS,
     "background()\n--\n\nThe context that never ends and has no values. Go: context.Background."},
    {"todo", make_todo, METH_NOARGS,
     "todo()\n--\n\nLike background(), for a place that does not know yet which one to use. Go: context.TODO."},
    {"current", get_current, METH_NOARGS,
     "current()\n--\n\nThe ambient context: that of the innermost 'with ctx:' around here, or around the go() that\n"
     "started this goroutine; background() if there is none."},
    {"with_cancel", METHOD(make_cancel), METH_VARARGS | METH_KEYWORDS,
     "with_cancel(parent=None)\n--\n\nA context that ends when its parent does (None: current()), or by cancel().\n"
     "Go: context.WithCancelCause."},
    {"with_timeout", METHOD(make_timeout), METH_VARARGS | METH_KEYWORDS,
     "with_timeout(d, parent=None, cause=None)\n--\n\nA context that also ends d seconds from now, with "
     "DeadlineExceeded and cause.\n"
     "Go: context.WithTimeoutCause."},
    {"with_deadline", METHOD(make_deadline), METH_VARARGS | METH_KEYWORDS,
     "with_deadline(t, parent=None, cause=None)\n--\n\nA context that also ends at t, in seconds of "
     "time.monotonic(), with DeadlineExceeded\n"
     "and cause. Go: context.WithDeadlineCause."},
    {"with_grace", METHOD(make_grace), METH_VARARGS | METH_KEYWORDS,
     "with_grace(d, parent=None)\n--\n\nA context for cleaning up: ends d seconds after its parent has ended, in the "
     "same way."},
    {"with_value", METHOD(make_value), METH_VARARGS | METH_KEYWORDS,
     "with_value(key, value, parent=None)\n--\n\nThe same context with a value more. It cannot be cancelled by "
     "itself.\n"
     "Go: context.WithValue."},
    {"without_cancel", METHOD(make_bare), METH_VARARGS | METH_KEYWORDS,
     "without_cancel(parent=None)\n--\n\nThe shield: its parent's values without its end. Go: context.WithoutCancel."},
    {"merge", make_merge, METH_VARARGS,
     "merge(a, b, /)\n--\n\nA context that ends when a or b does, in the same way; values of a, then of b."},
    {"_set_ambient", set_ambient, METH_O, "Makes it ambient; a token for _reset_ambient()."},
    {"_reset_ambient", reset_ambient, METH_O, NULL},
    {"_adopt", adopt, METH_O,
     "Makes it ambient for good, and the running goroutine a member of the group that has begun."},
    {"_origin", origin_of, METH_O, "The context in which the end of a context or its exception began, or None."},
    {NULL, NULL, 0, NULL},
};
static PyMethodDef after_func_def = {
    "after_func", METHOD(context_after_func), METH_VARARGS | METH_KEYWORDS,
    "after_func(ctx, fn)\n--\n\n"
    "Runs fn() in a goroutine of its own once ctx has ended, without an ambient context. Returns a function\n"
    "that says whether it kept fn from running. Go: context.AfterFunc."};

static PyMethodDef methods[] = {
    {"err", METHOD(context_err), METH_NOARGS,
     "err($self, /)\n--\n\nNone until it has ended, then a new Canceled or DeadlineExceeded. Go: ctx.Err."},
    {"cause", METHOD(context_cause), METH_NOARGS,
     "cause($self, /)\n--\n\nNone until it has ended, then the exception given as cause, or else that of err().\n"
     "Go: context.Cause."},
    {"value", METHOD(context_value), METH_VARARGS | METH_KEYWORDS,
     "value($self, key, default=None)\n--\n\nThe value of the nearest with_value() with an equal key. Go: ctx.Value."},
    {"cancel", METHOD(context_cancel), METH_VARARGS | METH_KEYWORDS,
     "cancel($self, cause=None)\n--\n\nEnds it and all made from it: their done channels close, waits that obey them "
     "raise Canceled.\n"
     "The first end stays. Nothing happens to background(), with_value(), without_cancel(). Go: CancelCauseFunc."},
    {"__enter__", METHOD(context_enter), METH_NOARGS, NULL},
    {"__exit__", METHOD(context_exit), METH_FASTCALL, NULL},
    REFUSE_COPY,
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef getset[] = {
    {"done", (getter)get_done, NULL, "A channel that is closed when it has ended. Go: ctx.Done.", NULL},
    {"deadline", (getter)get_deadline, NULL,
     "When it ends at the latest, in seconds of time.monotonic(); None: no deadline. Go: ctx.Deadline.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(context, weak), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_dealloc, context_dealloc},
    {Py_tp_traverse, context_traverse},
    {Py_tp_clear, context_clear},
    {Py_tp_repr, context_repr},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {Py_tp_members, members},
    {Py_tp_doc,
     "What may be given up together; made by with_cancel() and its like. Every call that waits takes ctx=.\n\n"
     "'with ctx:' makes it the ambient context: calls without ctx= obey it, goroutines started inside inherit\n"
     "it. Leaving cancels it; a Canceled that this context caused ends there, a DeadlineExceeded becomes\n"
     "TimeoutError. Leave in the reverse order of entering: no yield inside, in a generator. Go: context.Context."},
    {0, NULL},
};
#define FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION)
static PyType_Spec spec = {"gossamer.context.Context", sizeof(context), 0, FLAGS, slots};

static PyMemberDef after_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(after, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot after_slots[] = {
    {Py_tp_dealloc, after_dealloc},
    {Py_tp_traverse, after_traverse},
    {Py_tp_clear, after_clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, after_members},
    {Py_tp_doc, "What stops an after_func(): a call says whether it did."},
    {0, NULL},
};
static PyType_Spec after_spec = {"gossamer._gossamer._AfterFunc", sizeof(after), 0, FLAGS | Py_TPFLAGS_HAVE_VECTORCALL,
                                 after_slots};

int context_init(PyObject *m) {
  if (!(Context_type = add_type(m, &spec, NULL)) || !(AfterFunc_type = add_type(NULL, &after_spec, NULL))) return -1;
  if (!(background = context_new(BACKGROUND, gos_background(), NULL, false))) return -1;
  if (!(todo = context_new(TODO, gos_background(), NULL, false))) return -1;
  if (!(ambient_var = PyContextVar_New("gossamer.context", NULL))) return -1;
  PyObject *f = PyCFunction_New(&after_func_def, NULL);
  int e = f ? PyModule_AddObjectRef(m, "_context_after_func", f) : -1;
  Py_XDECREF(f);
  return e;
}
