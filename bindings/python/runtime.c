/* Go's runtime package: looking at the scheduler.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"

static PyObject *runtime_gosched(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  if (UNLIKELY(realm_enter() < 0)) return NULL;
  if (!realm_collects()) gos_gosched();
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

static PyObject *runtime_lock(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  if (realm_enter() < 0) return NULL;
  int e = gos_lock_os_thread();
  if (e < 0) return raise_code(e, "lock_os_thread");
  Py_RETURN_NONE;
}

static PyObject *runtime_unlock(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  if (realm_enter() < 0) return NULL;
  gos_unlock_os_thread();
  Py_RETURN_NONE;
}

static PyObject *runtime_set_max_threads(PyObject *self, PyObject *arg) {
  (void)self;
  if (!PyLong_Check(arg) || PyBool_Check(arg))
    return PyErr_Format(PyExc_TypeError, "set_max_threads() needs an int, not %.100s", Py_TYPE(arg)->tp_name);
  int over;
  long n = PyLong_AsLongAndOverflow(arg, &over);
  if (over < 0 || (!over && n <= 0)) return PyErr_Format(PyExc_ValueError, "the limit must be positive");
  if (realm_enter() < 0) return NULL;
  return PyLong_FromLong(gos_set_max_threads(over || n > INT_MAX ? INT_MAX : (int)n));
}

static PyObject *runtime_free_stacks(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  if (realm_enter() < 0) return NULL;
  return PyLong_FromLong(gos_realm_free_stacks(realm));
}

static PyObject *runtime_stats(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  if (realm_enter() < 0) return NULL;
  gos_stats s = {.size = sizeof s};
  int e = gos_stats_get(&s, sizeof s);
  if (e < 0) return raise_code(e, "stats");
  return Py_BuildValue("{s:i,s:i,s:i,s:i,s:K,s:K,s:K,s:K,s:K,s:K,s:n,s:n,s:i}", "goroutines", s.goroutines, "threads",
                       s.threads, "idle_threads", s.idle_threads, "procs", s.procs, "created",
                       (unsigned long long)s.created, "switches_out", (unsigned long long)s.switches_out, "steals",
                       (unsigned long long)s.steals, "handoffs", (unsigned long long)s.handoffs, "parks",
                       (unsigned long long)s.parks, "wakes", (unsigned long long)s.wakes, "stacks",
                       (Py_ssize_t)s.stacks, "stack_bytes", (Py_ssize_t)s.stack_bytes, "max_threads", s.max_threads);
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
    {"_lock_os_thread", runtime_lock, METH_NOARGS, NULL},
    {"unlock_os_thread", runtime_unlock, METH_NOARGS,
     "unlock_os_thread()\n--\n\nUndoes one lock_os_thread(); nothing where there was none. Go: "
     "runtime.UnlockOSThread."},
    {"set_max_threads", runtime_set_max_threads, METH_O,
     "set_max_threads(n, /)\n--\n\nThe most OS threads that are made for goroutines; the limit before. Where it is "
     "reached, "
     "goroutines in\nblocking calls keep the others waiting. Go: debug.SetMaxThreads."},
    {"free_stacks", runtime_free_stacks, METH_NOARGS,
     "free_stacks()\n--\n\nGives the memory of stacks that no goroutine uses back to the system; how many stacks. Go: "
     "debug.FreeOSMemory."},
    {"_stats", runtime_stats, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
