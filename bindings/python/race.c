/* Seeded switches, for tests: while they are on, a goroutine may let the others run between any two instructions of the
 * code that is watched. gossamer/_race.py has the part that is written in Python.
 *
 * Always true: where the next switch comes depends on the seed and on what watched code has run since, on no clock and
 * no address. So nothing is counted in threads that are no goroutines, nor in finalizers that the collector runs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

bool race_on;
static struct {
  uint64_t random; /* xorshift64* */
  uint32_t every;  /* instructions, on average */
  uint32_t left;   /* until the next switch */
  int tid;         /* of the thread that came to the last one; also read by the monitor */
  PyObject *watched;
} race;

static uint32_t below(uint32_t n) {
  race.random ^= race.random >> 12;
  race.random ^= race.random << 25;
  race.random ^= race.random >> 27;
  return (uint32_t)(((race.random * 0x2545F4914F6CDD1Dull >> 32) * n) >> 32);
}

/* Most are short, as it takes two close together to step between a read and a write; some are long, so that somebody
   else gets far meanwhile. */
static uint32_t slice(void) { return 1 + below(1 + below(4 * race.every)); }

static void instruction(void) {
  struct state *st = realm_state();
  if (!race_on || !st || (st->kind != MAIN && st->kind != FIBER) || realm_gone() || realm_collects()) return;
  if (--race.left) return;
  race.left = slice();
  __atomic_store_n(&race.tid, (int)syscall(SYS_gettid), __ATOMIC_RELAXED);
  gos_gosched();
}

/* ---- 3.11: a trace function; from 3.12 on sys.monitoring calls race_instruction() ------------------------------ */
/* 1 yes, 0 no, -1 with an exception. */
static int is_watched(PyObject *file) {
  PyObject *r = PyObject_CallOneArg(race.watched, file);
  int is = r ? PyObject_IsTrue(r) : -1;
  Py_XDECREF(r);
  return is;
}

static int trace(PyObject *self, PyFrameObject *frame, int what, PyObject *arg) {
  (void)self, (void)arg;
  if (!race_on) return 0;
  if (what == PyTrace_OPCODE) instruction();
  if (what != PyTrace_CALL) return 0;
  PyCodeObject *code = PyFrame_GetCode(frame);
  int is = is_watched(code->co_filename);
  Py_DECREF(code);
  if (is <= 0) return is;
  PyObject *f = (PyObject *)frame;
  int e = PyObject_SetAttrString(f, "f_trace_lines", Py_False);
  return e < 0 ? e : PyObject_SetAttrString(f, "f_trace_opcodes", Py_True);
}

void race_begin(void) {
  if (!compat_monitors) PyEval_SetTrace(trace, NULL);
}

static PyObject *race_instruction(PyObject *self, PyObject *const *args, Py_ssize_t nargs) {
  (void)self, (void)args, (void)nargs;
  instruction();
  Py_RETURN_NONE;
}

/* ---- the monitor's question ------------------------------------------------------------------------------------ */
/* A thread that only waits for a CPU, or writes to a pipe, must not lose its goroutines to another one: the switches
   would come elsewhere the next time. So there is no hurry. */
enum { BLOCKED = 20 * 1000 * 1000, COMPUTES = 1000 * 1000 * 1000 };
static bool thread_blocked(void) {
  char path[64], line[256] = "", *p;
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", __atomic_load_n(&race.tid, __ATOMIC_RELAXED));
  FILE *f = fopen(path, "re");
  bool read = f && fgets(line, sizeof line, f);
  if (f) fclose(f);
  return !read || !(p = strrchr(line, ')')) || !p[1] || p[2] != 'R';
}

bool race_stuck(bool gil_free, gos_ns age) {
  static gos_ns since, last; /* ages: blocked at every look from then on */
  if (age < last || !gil_free || !thread_blocked()) since = age;
  last = age;
  if (gil_free) return age - since >= BLOCKED;
  return age >= COMPUTES; /* code that is not watched waits for others, in a loop */
}

/* ---- on and off ------------------------------------------------------------------------------ */
static PyObject *race_start(PyObject *self, PyObject *args) {
  (void)self;
  unsigned long long seed;
  unsigned every;
  PyObject *watched;
  if (!PyArg_ParseTuple(args, "KIO:_race_start", &seed, &every, &watched) || realm_enter() < 0) return NULL;
  if (every < 1 || every > 1000 * 1000) return PyErr_Format(PyExc_ValueError, "every must be 1 to 1,000,000");
  Py_XSETREF(race.watched, Py_NewRef(watched));
  race.random = (seed + 1) * 0x9E3779B97F4A7C15ull | 1;
  race.every = every;
  race.left = slice();
  gos_realm_seed(realm, seed);
  race_on = true;
  race_begin();
  Py_RETURN_NONE;
}

static PyObject *race_stop(PyObject *self, PyObject *ignored) {
  (void)self, (void)ignored;
  race_on = false;
  if (!compat_monitors) PyEval_SetTrace(NULL, NULL);
  Py_RETURN_NONE;
}

PyMethodDef race_methods[] = {
    {"_race_start", race_start, METH_VARARGS, NULL},
    {"_race_stop", race_stop, METH_NOARGS, NULL},
    {"_race_instruction", METHOD(race_instruction), METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};
