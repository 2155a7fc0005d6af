/* gossamer._gossamer: the module, put together.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"

PyTypeObject *add_type(PyObject *module, PyType_Spec *spec, PyObject *bases) {
  PyObject *type = PyType_FromSpecWithBases(spec, bases);
  if (type && module && PyModule_AddType(module, (PyTypeObject *)type) < 0) Py_CLEAR(type);
  return (PyTypeObject *)type;
}

PyObject *refuse_copy(PyObject *self, PyObject *ignored) {
  (void)ignored;
  return PyErr_Format(PyExc_TypeError,
                      "%s belongs to this process and cannot be copied or pickled; use multiprocessing or sockets",
                      Py_TYPE(self)->tp_name);
}

/* The realm must be closed before thread states are cleared. Registered at import, so that
   handlers registered later, which run earlier, still find goroutines and channels working. */
static int close_at_exit(PyObject *module) {
  PyObject *atexit = PyImport_ImportModule("atexit"), *close = PyObject_GetAttrString(module, "_close");
  PyObject *r = atexit && close ? PyObject_CallMethod(atexit, "register", "O", close) : NULL;
  Py_XDECREF(atexit);
  Py_XDECREF(close);
  Py_XDECREF(r);
  return r ? 0 : -1;
}

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "gossamer._gossamer",
    .m_size = -1,
    .m_doc = "The C part of gossamer; use the names of the gossamer package.",
};

PyMODINIT_FUNC PyInit__gossamer(void) {
  if (gos_abi_version() != GOS_ABI) {
    return PyErr_Format(PyExc_ImportError, "libgossamer has ABI %d, this module needs %d", gos_abi_version(), GOS_ABI);
  }
  if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
    PyErr_SetString(PyExc_ImportError, "gossamer runs in the main interpreter only");
    return NULL;
  }
  PyObject *m = PyModule_Create(&definition);
  if (!m) return NULL;
  PyMethodDef *tables[] = {realm_methods,   go_methods,     report_methods, signal_methods,
                           slow_methods,    select_methods, time_methods,   context_methods,
                           runtime_methods, native_methods, race_methods};
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
    if (PyModule_AddFunctions(m, tables[i]) < 0) goto fail;
  int (*parts[])(PyObject *) = {realm_init, errors_init, chan_init,    go_init,    select_init,
                                time_init,  sync_init,   context_init, lock_init,  semaphore_init,
                                group_init, signal_init, atomic_init,  pool_init,  map_init,
                                once_init,  rate_init,   native_init,  trace_init, close_at_exit};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (parts[i](m) < 0) goto fail;
  if (PyModule_AddStringConstant(m, "__version__", GOS_VERSION) < 0) goto fail;
  return m;
fail:
  Py_DECREF(m);
  return NULL;
}
