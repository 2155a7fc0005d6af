/* Where CPython keeps what goroutines need, version by version.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define Py_BUILD_CORE 1
#include "compat.h"
#include "internal/pycore_ceval.h"
#include "internal/pycore_frame.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_pystate.h"
#include "internal/pycore_runtime.h"
#if PY_VERSION_HEX >= 0x030E0000
#include "internal/pycore_interpframe.h"
#include "internal/pycore_tstate.h"
#endif
#include <link.h>

struct compat compat;

/* The GIL is one for all interpreters in 3.11; since 3.12 each interpreter may have its own. */
static struct _gil_runtime_state *gil(PyInterpreterState *interp) {
#if PY_VERSION_HEX >= 0x030C0000
  return interp->ceval.gil;
#else
  (void)interp;
  return &_PyRuntime.ceval.gil;
#endif
}

#if !COMPAT_GILSTATE_WORD
/* The key moved out of a sub-structure in 3.12. */
static bool find_gilstate(PyThreadState *ts) {
#if PY_VERSION_HEX >= 0x030C0000
  compat.gilstate = _PyRuntime.autoTSSkey._key;
#else
  compat.gilstate = _PyRuntime.gilstate.autoTSSkey._key;
#endif
  return compat_bound() == ts;
}

/* Where this thread keeps the value of the key; 0: not found. glibc has the first 32 of a thread in the block that
   begins at the thread pointer; a value there counts once pthread_setspecific() has given the thread any. */
static ptrdiff_t find_slot(PyThreadState *ts) {
#if defined(__x86_64__) && defined(__GLIBC__)
  enum { FROM = 512, TO = 2048 };                  /* inside of that block in every version */
  PyThreadState *other = (PyThreadState *)&compat; /* nobody runs it */
  for (ptrdiff_t at = FROM; at < TO; at += (ptrdiff_t)sizeof(void *)) {
    if (*compat_word(at) != ts) continue;
    compat_bind(other);
    bool follows = *compat_word(at) == other;
    compat_bind(ts);
    if (!follows || *compat_word(at) != ts) continue;
    *compat_word(at) = other;
    bool leads = compat_bound() == other;
    *compat_word(at) = ts;
    if (leads) return at;
  }
#else
  (void)ts;
#endif
  return 0;
}
#endif

bool compat_on_main_thread(void) { return PyThread_get_thread_ident() == _PyRuntime.main_thread; }

/* True when the GIL's fields stand where the headers of the build say. */
static bool find_gil(PyThreadState *ts) {
  struct _gil_runtime_state *g = gil(ts->interp);
  compat.locked = (const volatile int *)&g->locked;
  compat.holder = (PyThreadState *volatile *)&g->last_holder;
#if PY_VERSION_HEX < 0x030D0000
  compat.signals = (volatile int *)&_PyRuntime.ceval.signals_pending;
  compat.breaker = (volatile int *)&ts->interp->ceval.eval_breaker;
#endif
  if (*compat.locked == 1 && *compat.holder == ts && g->interval >= 1 && g->interval <= 1000000000) return true;
  compat.locked = NULL;
  compat.holder = NULL;
  compat.signals = compat.breaker = NULL;
  return false;
}

/* Are the words at the same offset on another thread? Not so for a CPython that was loaded late. */
struct tls_check {
  PyInterpreterState *interp;
  bool same;
};

static bool words_hold(PyThreadState *ts) {
#if !COMPAT_GILSTATE_WORD
  if (compat.slot && *compat_word(compat.slot) != ts) return false;
#endif
  return *compat_current() == ts && compat_bound() == ts;
}

static void *check_thread(void *u) {
  struct tls_check *c = u;
  PyThreadState *ts = compat_ts_new(c->interp);
  if (!ts) return NULL;
  PyEval_RestoreThread(ts);
  c->same = words_hold(ts);
  PyThreadState_Clear(ts);
  PyThreadState_DeleteCurrent();
  return NULL;
}

static bool same_everywhere(PyInterpreterState *interp) {
  struct tls_check c = {interp, false};
  pthread_t t;
  if (pthread_create(&t, NULL, check_thread, &c)) return true; /* no further thread: nothing to be wrong on */
  Py_BEGIN_ALLOW_THREADS pthread_join(t, NULL);
  Py_END_ALLOW_THREADS return c.same;
}

#if PY_VERSION_HEX >= 0x030C0000
/* 3.12+ keep the current thread state in a hidden thread-local variable. It is the one word of
   a thread-local block that holds it, loses it with the GIL and gets it back. */
struct tls_search {
  char *tp;
  PyThreadState *ts;
  bool stays; /* look for the one that keeps it instead: 3.15's PyGILState */
  ptrdiff_t offset;
  int found;
};

static bool is_it(const struct tls_search *s, void *word) {
  void *volatile *w = word;
  PyEval_SaveThread();
  bool stays = *w == s->ts, gone = *w == NULL;
  PyEval_RestoreThread(s->ts);
  return (s->stays ? stays : gone) && *w == s->ts;
}

static int search_object(struct dl_phdr_info *info, size_t size, void *u) {
  struct tls_search *s = u;
  char *block = size >= sizeof *info ? info->dlpi_tls_data : NULL;
  if (!block) return 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    if (info->dlpi_phdr[i].p_type != PT_TLS) continue;
    for (size_t o = 0; o + sizeof(void *) <= info->dlpi_phdr[i].p_memsz; o += sizeof(void *)) {
      ptrdiff_t offset = block + o - s->tp;
      if (offset < -65536 || offset > 65536 || *(void **)(block + o) != s->ts) continue;
      if (is_it(s, block + o)) s->offset = offset, s->found++;
    }
  }
  return 0;
}

static bool find_word(PyThreadState *ts, bool stays, ptrdiff_t *offset) {
  struct tls_search s = {(char *)compat_word(0), ts, stays, 0, 0};
  dl_iterate_phdr(search_object, &s);
  *offset = s.offset;
  return s.found == 1;
}

static bool find_current(PyThreadState *ts) { return find_word(ts, false, &compat.current); }

#if COMPAT_GILSTATE_WORD
static bool find_gilstate(PyThreadState *ts) { return find_word(ts, true, &compat.gilstate); }
#endif
#else
static bool find_current(PyThreadState *ts) {
  compat.global = (PyThreadState *volatile *)&_PyRuntime.gilstate.tstate_current;
  return *compat.global == ts;
}
#endif

/* There and back again: does everything that asks for the current thread state see the swap? */
static bool swap_works(PyThreadState *ts) {
  PyThreadState *other = compat_ts_new(ts->interp);
  if (!other) return false;
  bool there = compat_swap(other) == ts && PyThreadState_Get() == other && PyGILState_GetThisThreadState() == other &&
               PyGILState_Check();
  PyThreadState *held = PyEval_SaveThread();
  PyEval_RestoreThread(held);
  there = there && held == other && PyThreadState_Get() == other;
  bool back = compat_swap(ts) == other && PyThreadState_Get() == ts && PyGILState_GetThisThreadState() == ts;
  held = PyEval_SaveThread();
  PyEval_RestoreThread(held);
  back = back && held == ts;
  compat_ts_free(other);
  return there && back;
}

int compat_init(const char **why) {
  PyThreadState *ts = PyThreadState_Get();
  *why = NULL;
  if (ts != PyGILState_GetThisThreadState() || !find_gilstate(ts)) {
    PyErr_SetString(PyExc_ImportError, "gossamer: this build of CPython keeps PyGILState elsewhere");
    return -1;
  }
#if !COMPAT_GILSTATE_WORD
  compat.slot = find_slot(ts);
#endif
  if (!find_gil(ts))
    *why = "the GIL's fields are not where they should be";
  else if (!find_current(ts) || !same_everywhere(ts->interp))
    *why = "the current thread state was not found";
  else {
    compat.raw = true;
    if (swap_works(ts)) return 0;
    *why = "swapping thread states failed its test";
  }
  compat.raw = false;
#if !COMPAT_GILSTATE_WORD
  compat.slot = 0;
#endif
  return -1;
}

/* PyThreadState_New() of 3.11 crashes where it should return NULL: this is what it consists of. */
static PyThreadState *ts_new(PyInterpreterState *interp) {
#if PY_VERSION_HEX >= 0x030C0000
  return PyThreadState_New(interp);
#else
  PyThreadState *ts = _PyThreadState_Prealloc(interp);
  if (ts) _PyThreadState_SetCurrent(ts);
  return ts;
#endif
}

PyThreadState *compat_ts_new(PyInterpreterState *interp) {
  PyThreadState *mine = compat_bound(), *ts = ts_new(interp);
  if (!ts) return NULL;
  if (mine) compat_bind(mine);
#if PY_VERSION_HEX >= 0x030C0000
  ts->_status.bound_gilstate = 1; /* whoever makes it current keeps PyGILState in step (compat_swap) */
#endif
  return ts;
}

void compat_ts_free(PyThreadState *ts) {
#if PY_VERSION_HEX >= 0x030C0000
  ts->_status.bound_gilstate = 0; /* else deletion clears the calling thread's own PyGILState */
#endif
  PyThreadState_Clear(ts);
#if PY_VERSION_HEX >= 0x030D0000
  /* A thread that waits for the GIL may be about to mark the last holder, ts: let it finish. */
  struct _gil_runtime_state *g = gil(ts->interp);
  if (compat.raw) pthread_mutex_lock(&g->mutex), pthread_mutex_unlock(&g->mutex);
#endif
  PyThreadState_Delete(ts);
}

#if PY_VERSION_HEX >= 0x030E0000
/* 3.14 compares the stack pointer with bounds, which it takes from the thread where nobody sets them. 3.14.0 has no call
   for that; its fields stand before any that moved since. */
extern int PyUnstable_ThreadState_SetStackProtection(PyThreadState *, void *, size_t) __attribute__((weak));

void compat_ts_stack(PyThreadState *ts, char *lo, char *hi) {
  if (PyUnstable_ThreadState_SetStackProtection) {
    if (PyUnstable_ThreadState_SetStackProtection(ts, lo, (size_t)(hi - lo)) == 0) return;
    PyErr_Clear(); /* smaller than it likes */
  }
  _PyThreadStateImpl *t = (_PyThreadStateImpl *)ts;
  uintptr_t margin = (uintptr_t)(hi - lo) < 4 * 16384 ? (uintptr_t)(hi - lo) / 4 : 16384;
  t->c_stack_top = (uintptr_t)hi;
  t->c_stack_hard_limit = (uintptr_t)lo + margin;
  t->c_stack_soft_limit = (uintptr_t)lo + 2 * margin;
}
#else
/* 3.12 and 3.13 count C recursion apart; one unit has been seen to take up to 1,700 bytes
   (sorted() calling __lt__ calling sorted()). 3.11 has only the limit of Python recursion, within
   which that same case takes 2.5 MiB; all others that were tried stay below 1 MiB. */
void compat_ts_stack(PyThreadState *ts, char *lo, char *hi) {
#if PY_VERSION_HEX >= 0x030C0000
  size_t stack = (size_t)(hi - lo);
  int limit = stack / 2000 < 1000000 ? (int)(stack / 2000) : 1000000;
  if (ts->c_recursion_remaining > limit) ts->c_recursion_remaining = limit;
#else
  (void)ts, (void)lo, (void)hi;
#endif
}
#endif

/* ---- data stacks ------------------------------------------------------------------------
 * CPython adds and frees a chunk of CHUNK bytes whenever the calls of a thread cross the end of one, by mmap and munmap:
 * 4 to 10 us for each call in a loop that happens to do so. So a few are kept. The arena allocator is what
 * it gets them from; arenas for objects are far larger. */
enum { CHUNK = 16384, KEPT = 64 };
static struct {
  PyObjectArenaAllocator from; /* who really allocates */
  void *kept[KEPT];
  int n;
  bool busy; /* interpreters with a GIL of their own may come at once; who finds it busy does without */
} chunks;

static void *chunk_alloc(void *ctx, size_t size) {
  (void)ctx;
  void *p = NULL;
  if (size == CHUNK && !__atomic_test_and_set(&chunks.busy, __ATOMIC_ACQUIRE)) {
    if (chunks.n) p = chunks.kept[--chunks.n];
    __atomic_clear(&chunks.busy, __ATOMIC_RELEASE);
  }
  return p ? p : chunks.from.alloc(chunks.from.ctx, size);
}

static void chunk_free(void *ctx, void *p, size_t size) {
  (void)ctx;
  if (size < CHUNK) return; /* of compat_ts_frames */
  if (size == CHUNK && !__atomic_test_and_set(&chunks.busy, __ATOMIC_ACQUIRE)) {
    if (chunks.n < KEPT) chunks.kept[chunks.n++] = p, p = NULL;
    __atomic_clear(&chunks.busy, __ATOMIC_RELEASE);
  }
  if (p) chunks.from.free(chunks.from.ctx, p, size);
}

void compat_frames_init(void) {
  PyObject_GetArenaAllocator(&chunks.from);
  PyObject_SetArenaAllocator(&(PyObjectArenaAllocator){NULL, chunk_alloc, chunk_free});
}

void compat_ts_frames(PyThreadState *ts, char *at, size_t bytes) {
  if (ts->datastack_chunk) return;
  _PyStackChunk *c = (_PyStackChunk *)at;
  *c = (_PyStackChunk){.previous = NULL, .size = bytes, .top = 0};
  ts->datastack_chunk = c;
  ts->datastack_top = &c->data[1]; /* the first word stays free: so CPython knows the chunk it must not drop */
  ts->datastack_limit = (PyObject **)(at + bytes);
}

void compat_ts_reset(PyThreadState *ts) {
  if (ts->c_tracefunc) PyEval_SetTrace(NULL, NULL);
  if (ts->c_profilefunc) PyEval_SetProfile(NULL, NULL);
#if PY_VERSION_HEX >= 0x030D0000
  if (ts->threading_local_key) { /* 3.13: threading.local hangs on these instead of dict */
    Py_CLEAR(ts->threading_local_key);
    Py_CLEAR(ts->threading_local_sentinel);
  }
#endif
  if (ts->dict) Py_CLEAR(ts->dict);
  if (ts->context) {
    Py_CLEAR(ts->context);
    ts->context_ver++;
  }
  if (ts->async_exc) Py_CLEAR(ts->async_exc);
  if (ts->async_gen_firstiter) Py_CLEAR(ts->async_gen_firstiter);
  if (ts->async_gen_finalizer) Py_CLEAR(ts->async_gen_finalizer);
  ts->coroutine_origin_tracking_depth = 0;
}

#if PY_VERSION_HEX >= 0x030C0000
static bool unwatched; /* it may have changed at any time */

static int note_change(PyDict_WatchEvent event, PyObject *dict, PyObject *key, PyObject *value) {
  (void)event, (void)dict, (void)key, (void)value;
  compat.changed = true; /* is about to be: who looks comes later */
  return 0;
}

void compat_watch(PyObject *dict) {
  int watcher = PyDict_AddWatcher(note_change);
  compat.watched = dict;
  compat.changed = true;
  unwatched = watcher < 0 || PyDict_Watch(watcher, dict) < 0; /* there may be 8 in a process */
  PyErr_Clear();
}

bool compat_watched(void) {
  bool changed = compat.changed;
  compat.changed = unwatched;
  return changed;
}
#else
void compat_watch(PyObject *dict) { compat.watched = dict; }

bool compat_watched(void) {
  bool changed = compat_watched_changed();
  compat.version = ((PyDictObject *)compat.watched)->ma_version_tag;
  return changed;
}
#endif

long compat_threads(PyInterpreterState *interp) { return (long)interp->threads.count; }

void compat_loops(PyThreadState *ts, char **inner, char **outer) {
  *inner = *outer = NULL;
#if PY_VERSION_HEX >= 0x030D0000
#if PY_VERSION_HEX >= 0x030E0000
  enum { ENTRY = FRAME_OWNED_BY_INTERPRETER };
#else
  enum { ENTRY = FRAME_OWNED_BY_CSTACK };
#endif
  _PyInterpreterFrame *last = NULL;
#if PY_VERSION_HEX >= 0x030F0000
  last = ts->base_frame; /* is part of the thread state */
#endif
  for (_PyInterpreterFrame *f = ts->current_frame; f && f != last; f = f->previous) {
    if (f->owner != ENTRY) continue;
    if (!*inner) *inner = (char *)f;
    *outer = (char *)f;
  }
#else
  if (!ts->cframe->previous) return;
  *inner = (char *)ts->cframe;
  for (_PyCFrame *c = ts->cframe; c->previous; c = c->previous) *outer = (char *)c;
#endif
}

static PyCodeObject *code_of(_PyInterpreterFrame *f) {
#if PY_VERSION_HEX >= 0x030D0000
  return _PyFrame_GetCode(f);
#else
  return f->f_code;
#endif
}

static PyObject *package; /* its directory */

static bool in_package(_PyInterpreterFrame *f) {
  PyObject *file = code_of(f)->co_filename;
  Py_ssize_t n = package ? PyUnicode_GET_LENGTH(package) : 0;
  return n > 0 && PyUnicode_GET_LENGTH(file) > n && PyUnicode_KIND(file) == PyUnicode_KIND(package) &&
         memcmp(PyUnicode_DATA(file), PyUnicode_DATA(package), (size_t)n * PyUnicode_KIND(file)) == 0;
}

int compat_where_init(void) {
  PyObject *m = PyImport_ImportModule("gossamer"), *file = m ? PyObject_GetAttrString(m, "__file__") : NULL;
  Py_XDECREF(m);
  if (!file) return -1;
  Py_ssize_t slash = PyUnicode_FindChar(file, '/', 0, PyUnicode_GET_LENGTH(file), -1);
  package = PyUnicode_Substring(file, 0, slash + 1);
  Py_DECREF(file);
  return package ? 0 : -1;
}

PyCodeObject *compat_where(PyThreadState *ts, int *lasti) {
#if PY_VERSION_HEX >= 0x030D0000
  _PyInterpreterFrame *f = ts->current_frame; /* 3.13 did away with the C frame */
#else
  _PyInterpreterFrame *f = ts->cframe->current_frame;
#endif
  while (f && (_PyFrame_IsIncomplete(f) || in_package(f))) f = f->previous; /* also skips 3.12's entry frames */
  if (!f) return NULL;
  *lasti = _PyInterpreterFrame_LASTI(f) * (int)sizeof(_Py_CODEUNIT);
  return code_of(f);
}

/* PyErr_CheckSignals() runs the handlers but leaves the flag that asks for it. */
int compat_run_signals(void) {
  if (!compat_on_main_thread()) return 0;
#if PY_VERSION_HEX >= 0x030D0000
  PyThreadState *ts = PyThreadState_Get();
  __atomic_and_fetch(&ts->eval_breaker, ~(uintptr_t)_PY_SIGNALS_PENDING_BIT, __ATOMIC_RELAXED);
#else
  if (compat.signals) *compat.signals = 0;
#endif
  if (PyErr_CheckSignals() == 0) return 0;
    /* Another signal may wait behind the one that raised. */
#if PY_VERSION_HEX >= 0x030D0000
  __atomic_or_fetch(&ts->eval_breaker, _PY_SIGNALS_PENDING_BIT, __ATOMIC_RELAXED);
#else
  if (compat.signals) *compat.signals = 1, *compat.breaker = 1;
#endif
  return -1;
}

PyObject *compat_take_exception(void) {
#if PY_VERSION_HEX >= 0x030C0000
  return PyErr_GetRaisedException();
#else
  PyObject *type, *value, *tb;
  PyErr_Fetch(&type, &value, &tb);
  PyErr_NormalizeException(&type, &value, &tb);
  if (tb) PyException_SetTraceback(value, tb);
  Py_XDECREF(type);
  Py_XDECREF(tb);
  return value;
#endif
}
