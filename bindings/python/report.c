/* What becomes of an exception that nobody collects: runtime.set_panic().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <unistd.h>

static PyObject *hook; /* NULL: stderr */
static bool crash;

static void print(PyObject *g, PyObject *error) {
  PyObject *head = go_headline(g), *tb = PyException_GetTraceback(error);
  PySys_FormatStderr("%V\n", head, "a goroutine: unhandled exception");
  PyErr_Display((PyObject *)Py_TYPE(error), error, tb);
  PyErr_Clear();
  Py_XDECREF(head);
  Py_XDECREF(tb);
}

/* False: there is none, or it failed. */
static bool call_hook(PyObject *g, PyObject *error) {
  PyObject *h = Py_XNewRef(hook), *args[] = {g, error};
  if (!h) return false;
  PyObject *r = PyObject_Vectorcall(h, args, 2, NULL);
  if (!r) PyErr_WriteUnraisable(h);
  Py_DECREF(h);
  Py_XDECREF(r);
  return r;
}

static void flush(const char *name) {
  PyObject *f = PySys_GetObject(name), *r = f && f != Py_None ? PyObject_CallMethod(f, "flush", NULL) : NULL;
  Py_XDECREF(r);
  PyErr_Clear();
}

/* As Go ends: all stacks, exit code 2, and nobody's clean-up runs. */
static _Noreturn void end_program(void) {
  PyObject *text = call_python("gossamer.runtime", "stack", Py_True, NULL);
  if (text) PySys_FormatStderr("\n%U", text);
  PyErr_Clear();
  flush("stdout");
  flush("stderr");
  _exit(2);
}

static int under_way; /* reports that wait for the hook, or for stderr */

void report_exception(PyObject *g, PyObject *error) {
  under_way++;
  if (!call_hook(g, error)) print(g, error);
  if (crash) end_program();
  under_way--;
}

void report_finish(void) {
  enum { STEP = 1000 * 1000, PATIENCE = 1000 * STEP };
  if (!under_way || realm_enter() < 0) {
    PyErr_Clear();
    return;
  }
  for (gos_ns end = gos_now() + PATIENCE; under_way && gos_now() < end;) gos_sleep(STEP);
}

static PyObject *set_panic(PyObject *self, PyObject *args, PyObject *kw) {
  static char *names[] = {"policy", "hook", NULL};
  const char *policy;
  PyObject *h = Py_None;
  (void)self;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "s|O:set_panic", names, &policy, &h)) return NULL;
  if (strcmp(policy, "report") && strcmp(policy, "crash"))
    return PyErr_Format(PyExc_ValueError, "the policy must be 'report' or 'crash', not '%.100s'", policy);
  if (h != Py_None && !PyCallable_Check(h))
    return PyErr_Format(PyExc_TypeError, "the hook must be a callable or None, not %.100s", Py_TYPE(h)->tp_name);
  crash = policy[0] == 'c';
  PyObject *old = hook;
  hook = h == Py_None ? NULL : Py_NewRef(h);
  Py_XDECREF(old);
  Py_RETURN_NONE;
}

/* (policy, hook), as set_panic() takes them. */
static PyObject *get_panic(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  return Py_BuildValue("(sO)", crash ? "crash" : "report", hook ? hook : Py_None);
}

PyMethodDef report_methods[] = {
    {"_get_panic", get_panic, METH_NOARGS, NULL},
    {"set_panic", METHOD(set_panic), METH_VARARGS | METH_KEYWORDS,
     "set_panic(policy, hook=None)\n--\n\nWhat becomes of an exception in a goroutine that nobody collects (see "
     "Goroutine). policy 'report', the\ndefault: the program goes on; 'crash', as in Go: it ends with exit code 2 and "
     "all "
     "stacks on stderr.\nhook(goroutine, exception) is called instead of the report to stderr."},
    {NULL, NULL, 0, NULL},
};
