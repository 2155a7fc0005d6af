/* Tracing: what threading.settrace() and threading.setprofile() ask for new threads holds for goroutines too.
 * Coverage tools and debuggers hang on these two.
 *
 * Always true: hooks holds what threading had when its names were last seen to change.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"

bool trace_asked;
static PyObject *threading;
static struct {
  const char *get, *set; /* of threading, of sys */
  PyObject *fn;          /* NULL: none */
} hooks[] = {{"gettrace", "settrace", NULL}, {"getprofile", "setprofile", NULL}};
enum { HOOKS = sizeof hooks / sizeof *hooks };

static void look(void) {
  trace_asked = false;
  for (int i = 0; i < HOOKS; i++) {
    PyObject *fn = PyObject_CallMethod(threading, hooks[i].get, NULL);
    if (!fn) PyErr_WriteUnraisable(threading);
    if (fn == Py_None) Py_CLEAR(fn);
    Py_XSETREF(hooks[i].fn, fn);
    trace_asked = trace_asked || fn;
  }
}

/* As a new thread of threading does it, before its function. */
void trace_begin(void) {
  if (compat_watched()) look();
  for (int i = 0; trace_asked && i < HOOKS; i++) {
    PyObject *set = hooks[i].fn ? PySys_GetObject(hooks[i].set) : NULL;
    if (!set) continue;
    PyObject *fn = Py_NewRef(hooks[i].fn), *r = PyObject_CallOneArg(set, fn);
    if (!r) PyErr_WriteUnraisable(fn);
    Py_DECREF(fn);
    Py_XDECREF(r);
  }
}

int trace_init(PyObject *module) {
  (void)module;
  threading = PyImport_ImportModule("threading");
  if (!threading) return -1;
  compat_watch(PyModule_GetDict(threading));
  return 0;
}
