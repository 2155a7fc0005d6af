/* Go's runtime package: looking at the scheduler.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"

static PyObject *runtime_gosched(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  if (UNLIKELY(realm_enter() < 0)) return NULL;
  gos_gosched();
  Py_RETURN_NONE;
}

static PyObject *runtime_goid(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  if (realm_enter() < 0) return NULL;
  return PyLong_FromUnsignedLongLong(gos_goid());
}

static PyObject *runtime_num_goroutine(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  if (realm_enter() < 0) return NULL;
  return PyLong_FromLong(gos_num_goroutine());
}

static PyObject *runtime_num_cpu(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  return PyLong_FromLong(gos_num_cpu());
}

static PyObject *runtime_gomaxprocs(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
  (void)self;
  int n = 0;
  if (nargs > 1) return PyErr_Format(PyExc_TypeError, "gomaxprocs() takes at most 1 argument");
  if (nargs) {
    if (!PyLong_Check(args[0]) || PyBool_Check(args[0]))
      return PyErr_Format(PyExc_TypeError, "gomaxprocs() needs an int, not %.100s", Py_TYPE(args[0])->tp_name);
    long v = PyLong_AsLong(args[0]);
    if (v == -1 && PyErr_Occurred()) return NULL;
    n = v > 65536 ? 65536 : v < 0 ? 0 : (int)v;
  }
  if (realm_enter() < 0) return NULL;
  int e = gos_gomaxprocs(n);
  if (e < 0) return raise_code(e, "gomaxprocs: other threads already run goroutines");
  return PyLong_FromLong(e);
}

static PyObject *runtime_stats(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  if (realm_enter() < 0) return NULL;
  gos_stats s = {.size = sizeof s};
  int e = gos_stats_get(&s, sizeof s);
  if (e < 0) return raise_code(e, "stats");
  return Py_BuildValue("{s:i,s:i,s:i,s:i,s:K,s:K,s:K,s:K,s:K,s:K,s:n,s:n}", "goroutines", s.goroutines, "threads",
                       s.threads, "idle_threads", s.idle_threads, "procs", s.procs, "created",
                       (unsigned long long)s.created, "switches_out", (unsigned long long)s.switches_out, "steals",
                       (unsigned long long)s.steals, "handoffs", (unsigned long long)s.handoffs, "parks",
                       (unsigned long long)s.parks, "wakes", (unsigned long long)s.wakes, "stacks",
                       (Py_ssize_t)s.stacks, "stack_bytes", (Py_ssize_t)s.stack_bytes);
}

PyMethodDef runtime_methods[] = {
    {"gosched", runtime_gosched, METH_NOARGS, "gosched()\n--\n\nLets other goroutines run. Go: runtime.Gosched."},
    {"goid", runtime_goid, METH_NOARGS, "goid()\n--\n\nThe running goroutine's number; 0 in a thread that is none."},
    {"num_goroutine", runtime_num_goroutine, METH_NOARGS,
     "num_goroutine()\n--\n\nHow many have not ended. Go: runtime.NumGoroutine."},
    {"num_cpu", runtime_num_cpu, METH_NOARGS, "num_cpu()\n--\n\nCPUs this process may use. Go: runtime.NumCPU."},
    {"gomaxprocs", METHOD(runtime_gomaxprocs), METH_FASTCALL,
     "gomaxprocs(n=0, /)\n--\n\nGoroutines of C that may run at once; n > 0 sets it. The value before. Python's "
     "goroutines share one GIL.\n"
     "RuntimeError when it cannot change any more. Go: runtime.GOMAXPROCS."},
    {"_stats", runtime_stats, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
