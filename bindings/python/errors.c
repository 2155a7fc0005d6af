/* Exceptions, and the one table that turns the core's codes into them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <errno.h>

PyObject *err_Error, *err_ChanClosed, *err_WouldBlock, *err_Deadlock, *err_Canceled, *err_DeadlineExceeded;

PyObject *raise_deadlock(const char *head) {
  const char *report = gos_realm_deadlock(realm), *rest = head ? strchr(report, '\n') : report;
  PyObject *text = PyUnicode_FromFormat("%s%s", head ? head : "", rest ? rest : "");
  PyObject *e = text ? PyObject_CallOneArg(err_Deadlock, text) : NULL;
  if (e && PyObject_SetAttrString(e, "report", text) == 0) PyErr_SetObject(err_Deadlock, e);
  Py_XDECREF(e);
  Py_XDECREF(text);
  return NULL;
}

/* interrupt() names the type. For contexts see context_raise(). */
static PyObject *raise_canceled(void) {
  PyObject *type = go_interrupt_type();
  if (type)
    PyErr_SetNone(type);
  else
    PyErr_SetString(err_Canceled, "interrupted");
  return NULL;
}

PyObject *raise_code(int code, const char *what) {
  PyObject *type;
  switch (code) {
  case RAISED: return NULL;
  case GOS_NOMEM: return PyErr_Format(PyExc_MemoryError, "%s: out of memory, address space or guard pages", what);
  case GOS_DEADLOCK: return raise_deadlock(NULL);
  case GOS_CANCELED: return raise_canceled();
  case GOS_TIMEDOUT: PyErr_SetString(PyExc_TimeoutError, what); return NULL;
  case GOS_WOULDBLOCK: type = err_WouldBlock; break;
  case GOS_CLOSED: type = err_ChanClosed; break;
  case GOS_INVAL: type = PyExc_ValueError; break;
  case GOS_PERM: type = PyExc_RuntimeError; break;
  default:
    if (code <= GOS_SYS(1)) {
      errno = -1000 - code;
      return PyErr_SetFromErrno(PyExc_OSError);
    }
    type = err_Error;
  }
  PyErr_SetString(type, what);
  return NULL;
}

static PyObject *add_error(PyObject *module, const char *name, const char *doc, PyObject *base, PyObject *dict) {
  PyObject *e = PyErr_NewExceptionWithDoc(name, doc, base, dict);
  if (!e || PyModule_AddObjectRef(module, strchr(name, '.') + 1, e) < 0) return NULL;
  return e;
}

int errors_init(PyObject *m) {
  PyObject *report = Py_BuildValue("{s:s}", "report", ""),
           *ctx = Py_BuildValue("{s:O,s:O}", "ctx", Py_None, "cause", Py_None);
  if (!report || !ctx) return -1;
  err_Error = add_error(m, "gossamer.Error", "What gossamer's own exceptions derive from.", NULL, NULL);
  if (!err_Error) return -1;
  err_ChanClosed =
      add_error(m, "gossamer.ChanClosed", "send() on a closed channel, or recv() on one that is closed and drained.",
                err_Error, NULL);
  err_WouldBlock = add_error(m, "gossamer.WouldBlock", "try_recv() found nothing and had no default.", err_Error, NULL);
  err_Deadlock = add_error(m, "gossamer.Deadlock",
                           "All goroutines are asleep; raised in the main goroutine.\n\n"
                           "report: every goroutine with its wait reason and where it was created.",
                           err_Error, report);
  err_Canceled = add_error(m, "gossamer.Canceled",
                           "A wait was ended by Goroutine.interrupt() or a context. Not an Exception, so that\n"
                           "'except Exception' does not swallow it.\n\n"
                           "ctx: the context that the wait obeyed, None for an interrupt; cause: the exception\n"
                           "given to cancel(), or None.",
                           PyExc_BaseException, ctx);
  if (!err_Canceled) return -1;
  err_DeadlineExceeded =
      add_error(m, "gossamer.DeadlineExceeded", "A context's deadline passed. Timeouts raise the builtin TimeoutError.",
                err_Canceled, NULL);
  Py_DECREF(report);
  Py_DECREF(ctx);
  return err_ChanClosed && err_WouldBlock && err_Deadlock && err_DeadlineExceeded ? 0 : -1;
}
