/* runtime.set_slow(): who computes for long without letting others run.
 *
 * While it is on, a state notes since when it has been running, and on which thread. A thread of its own looks
 * twice in the time that is allowed: who is still at the same run, and has used the CPU meanwhile, is slow. One
 * in a blocking call has used none.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "binding.h"
#include <signal.h>
#include <time.h>

bool slow_watched;
static struct {
  gos_ns limit;
  unsigned generation; /* of the thread that looks; a new set_slow() ends the one before */
  PyObject *hook;      /* NULL: stderr */
} slow;

static gos_ns cpu_of(struct state *st) {
  clockid_t clock;
  struct timespec t;
  if (pthread_getcpuclockid(st->thread, &clock) || clock_gettime(clock, &t)) return 0;
  return (gos_ns)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void report(PyObject *g, gos_ns age) {
  PyObject *h = Py_XNewRef(slow.hook), *seconds = PyFloat_FromDouble((double)age / 1e9);
  PyObject *args[] = {g, seconds}, *r = NULL;
  if (seconds)
    r = h ? PyObject_Vectorcall(h, args, 2, NULL) : call_python("gossamer.runtime", "_report_slow", g, seconds);
  if (!r) PyErr_WriteUnraisable(h);
  Py_XDECREF(r);
  Py_XDECREF(seconds);
  Py_XDECREF(h);
}

static void look_at(PyObject *g, gos_ns now) {
  struct state *st = go_state(g);
  if (!st || !st->since || now - st->since < slow.limit / 2 || st->slow_reported == st->since) return;
  if (st->slow_seen != st->since) { /* the first look at this run */
    st->slow_seen = st->since;
    st->slow_at = now;
    st->slow_cpu = cpu_of(st);
    return;
  }
  if (now - st->since < slow.limit || cpu_of(st) - st->slow_cpu < (now - st->slow_at) / 4) return;
  st->slow_reported = st->since;
  report(g, now - st->since);
}

static bool goes_on(unsigned generation) { return generation == slow.generation && !realm_gone(); }

static void look(unsigned generation) { /* a report runs Python, where all may change */
  PyObject *all = go_list();
  gos_ns now = gos_now();
  for (Py_ssize_t i = 0; all && i < PyList_GET_SIZE(all) && goes_on(generation); i++)
    look_at(PyList_GET_ITEM(all, i), now);
  Py_XDECREF(all);
  PyErr_Clear();
}

/* Which set_slow() the thread belongs to is told, not read: it may start when that one is over. */
struct watcher {
  PyThreadState *ts;
  unsigned generation;
  gos_ns nap;
};

static void *watch(void *arg) {
  struct watcher w = *(struct watcher *)arg;
  PyThreadState *ts = w.ts;
  free(arg);
  for (bool first = true;; first = false) {
    if (!first) nanosleep(&(struct timespec){w.nap / 1000000000, w.nap % 1000000000}, NULL);
    PyEval_RestoreThread(ts); /* does not come back while the program ends */
    if (!goes_on(w.generation)) break;
    look(w.generation);
    PyEval_SaveThread();
  }
  identity_free(ts->thread_id);
  PyThreadState_Clear(ts);
  PyThreadState_DeleteCurrent();
  return NULL;
}

static int start(void) {
  struct watcher *w = malloc(sizeof *w);
  PyThreadState *ts = w ? compat_ts_new(PyInterpreterState_Get()) : NULL;
  pthread_t t;
  if (!ts) {
    free(w);
    return GOS_NOMEM;
  }
  *w = (struct watcher){ts, slow.generation, slow.limit / 2};
  ts->thread_id = realm_thread_number(); /* to the deadlock check it is no thread of the program's */
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  int e = pthread_create(&t, NULL, watch, w);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (e) {
    identity_free(ts->thread_id);
    compat_ts_free(ts);
    free(w);
    return GOS_SYS(e);
  }
  pthread_detach(t);
  return GOS_OK;
}

static PyObject *set_slow(PyObject *self, PyObject *args, PyObject *kw) {
  static char *names[] = {"seconds", "hook", NULL};
  PyObject *seconds, *h = Py_None;
  gos_ns limit = 0;
  (void)self;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "O|O:set_slow", names, &seconds, &h)) return NULL;
  if (h != Py_None && !PyCallable_Check(h))
    return PyErr_Format(PyExc_TypeError, "the hook must be a callable or None, not %.100s", Py_TYPE(h)->tp_name);
  if (seconds != Py_None && read_seconds(seconds, &limit) < 0) return NULL;
  if (seconds != Py_None && limit < 1000000) return PyErr_Format(PyExc_ValueError, "less than a millisecond");
  if (realm_enter() < 0) return NULL;
  slow.generation++;
  slow.limit = limit;
  slow_watched = limit && limit != GOS_FOREVER;
  PyObject *old = slow.hook;
  slow.hook = h == Py_None ? NULL : Py_NewRef(h);
  Py_XDECREF(old);
  int e = slow_watched ? start() : GOS_OK;
  if (e < 0) {
    slow_watched = false;
    return raise_code(e, "set_slow");
  }
  if (slow_watched) slow_begins(realm_state());
  Py_RETURN_NONE;
}

PyMethodDef slow_methods[] = {
    {"set_slow", METHOD(set_slow), METH_VARARGS | METH_KEYWORDS,
     "set_slow(seconds, hook=None)\n--\n\nReports a goroutine that computes for longer than that without letting "
     "others "
     "run, once each time, with its\nstack, to stderr or to hook(goroutine, seconds), which runs on a thread of its "
     "own. "
     "A blocking call is no\ncomputation. Each switch costs some 50 ns while it is on; None turns it off."},
    {NULL, NULL, 0, NULL},
};
