/* Calls of what is written in Python; the module is imported when it is first needed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"

PyObject *call_python(const char *module, const char *name, PyObject *a, PyObject *b) {
  PyObject *m = PyImport_ImportModule(module);
  PyObject *fn = m ? PyObject_GetAttrString(m, name) : NULL, *args[] = {a, b};
  PyObject *r = fn ? PyObject_Vectorcall(fn, args, b ? 2 : 1, NULL) : NULL;
  Py_XDECREF(fn);
  Py_XDECREF(m);
  return r;
}
