/* compat.h - everything that depends on the version of CPython.
 *
 * compat.c is the only file that includes CPython's internal headers. What it finds
 * is checked when the module is imported: a build whose fields stand elsewhere falls
 * back to the public API (and to goroutines that stay on one thread), with a warning.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef GOSSAMER_PY_COMPAT_H
#define GOSSAMER_PY_COMPAT_H

#include <Python.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#if PY_VERSION_HEX < 0x030B0000
#error "gossamer needs CPython 3.11 or newer"
#endif
#if PY_VERSION_HEX >= 0x03100000
#error "gossamer knows CPython 3.11 to 3.15; this version is not supported yet"
#endif
#ifdef Py_GIL_DISABLED
#error "gossamer moves goroutines between threads under the GIL: free-threaded builds are not supported"
#endif

/* Is what PyGILState_Ensure() looks at a thread-local word, beside the current thread state? Else a key has it. */
#define COMPAT_GILSTATE_WORD (PY_VERSION_HEX >= 0x030F0000)

extern struct compat {
#if COMPAT_GILSTATE_WORD
  ptrdiff_t gilstate; /* offset of what PyGILState_Ensure() looks at from the thread pointer */
#else
  pthread_key_t gilstate; /* the key PyGILState_Ensure() looks at */
  ptrdiff_t slot;         /* offset of its value on a thread that has one, from the thread pointer; 0: unknown */
#endif
  bool raw;                        /* thread states may be swapped without dropping the GIL */
  ptrdiff_t current;               /* 3.12+: offset of CPython's current thread state from the thread pointer */
  PyThreadState *volatile *global; /* 3.11: the current thread state */
  PyThreadState *volatile *holder; /* who held the GIL last; NULL: unknown */
  const volatile int *locked;      /* is the GIL taken? NULL: unknown */
  PyObject *watched;               /* see compat_watch() */
#if PY_VERSION_HEX >= 0x030C0000
  bool changed;
#else
  uint64_t version;
#endif
  volatile int *signals, *breaker; /* 3.11, 3.12: a signal waits; look at the flags soon. NULL: unknown */
} compat;

/* Finds and checks all of the above. On failure *why says what is missing; with an
   exception set the import must fail. The GIL may be released meanwhile. */
int compat_init(const char **why);
bool compat_on_main_thread(void);

/* A thread state for no particular thread. Unlike PyThreadState_New() it leaves the calling
   thread's PyGILState alone, unless that has none yet. NULL: no memory. */
PyThreadState *compat_ts_new(PyInterpreterState *interp);
void compat_ts_free(PyThreadState *ts);
/* Bounds C recursion so that it ends in RecursionError before this stack does. */
void compat_ts_stack(PyThreadState *ts, char *lo, char *hi);
/* Calls of Python functions keep their frames in a data stack, apart from the C stack: by default 16 KiB from
   the system, one page of which is always touched. These bytes serve first, until ts is freed, which leaves them
   alone. For a state that has not run yet; compat_frames_init() was called. */
void compat_ts_frames(PyThreadState *ts, char *at, size_t bytes);
void compat_frames_init(void);
/* Forgets what one goroutine left behind (locals, context, tracing) before the next one. */
void compat_ts_reset(PyThreadState *ts);

/* Watches a dictionary that lives for ever; the only one. */
void compat_watch(PyObject *dict);
/* Has it been changed since the last compat_watched()? Before the first: yes. */
static inline bool compat_watched_changed(void) {
#if PY_VERSION_HEX >= 0x030C0000
  return compat.changed;
#else
  return ((PyDictObject *)compat.watched)->ma_version_tag != compat.version;
#endif
}
/* The same, and notes that it has been seen. */
bool compat_watched(void);

/* Is there sys.monitoring? Else code is watched by a trace function. */
#if PY_VERSION_HEX >= 0x030C0000
enum { compat_monitors = true };
#else
enum { compat_monitors = false };
#endif

/* Threads that the threading module started and that still live. */
long compat_threads(PyInterpreterState *interp);
/* The innermost and the outermost run of the interpreter's loop, by addresses in their frames on the C stack; NULL: none
   runs. Who Python code was called by in C, and what that called, is between them. */
void compat_loops(PyThreadState *ts, char **inner, char **outer);
/* Before the first compat_where(): finds out where this package is. -1 with an exception. */
int compat_where_init(void);
/* The innermost Python code being run by ts that is not of this package, and its position in it; NULL: none.
   Borrowed. */
PyCodeObject *compat_where(PyThreadState *ts, int *lasti);
/* Runs the handlers of arrived signals; -1 with an exception. Main goroutine only. */
int compat_run_signals(void);
/* The exception being raised, with its traceback, no longer raised. */
PyObject *compat_take_exception(void);

static inline bool compat_signal_waits(PyThreadState *main_ts) {
#if PY_VERSION_HEX >= 0x030D0000
  return __atomic_load_n(&main_ts->eval_breaker, __ATOMIC_RELAXED) & 2; /* _PY_SIGNALS_PENDING_BIT */
#else
  (void)main_ts;
  return compat.signals && *compat.signals;
#endif
}

/* Is ts running Python now? Reads no memory of ts; needs no GIL. */
static inline bool compat_attached(PyThreadState *ts) {
#if PY_VERSION_HEX >= 0x030C0000
  return *compat.locked && *compat.holder == ts;
#else
  return _PyThreadState_UncheckedGet() == ts;
#endif
}

/* A word of this thread's own that is not ours. Never kept over a switch. */
static inline PyThreadState *volatile *compat_word(ptrdiff_t offset) {
  char *tp;
#if defined(__x86_64__)
  __asm__ volatile("mov %%fs:0, %0" : "=r"(tp));
#elif defined(__aarch64__)
  __asm__ volatile("mrs %0, tpidr_el0" : "=r"(tp));
#else
  tp = __builtin_thread_pointer();
#endif
  return (PyThreadState *volatile *)(tp + offset);
}
/* CPython's current thread state; where compat.raw is set. */
static inline PyThreadState *volatile *compat_current(void) {
#if PY_VERSION_HEX >= 0x030C0000
  return compat_word(compat.current);
#else
  return compat.global;
#endif
}

/* PyThreadState_Get(), of which each goroutine that starts needs two. */
static inline PyThreadState *compat_ts(void) {
  return __builtin_expect(compat.raw, 1) ? *compat_current() : PyThreadState_Get();
}

/* What PyGILState_Ensure() finds on this thread: a key's value, or a thread-local word. */
static inline void compat_bind(PyThreadState *ts) {
#if COMPAT_GILSTATE_WORD
  *compat_word(compat.gilstate) = ts;
#else
  pthread_setspecific(compat.gilstate, ts);
#endif
}
static inline PyThreadState *compat_bound(void) {
#if COMPAT_GILSTATE_WORD
  return *compat_word(compat.gilstate);
#else
  return pthread_getspecific(compat.gilstate);
#endif
}

/* 3.13+: does ts hold the GIL? A field of its own since 3.14. */
static inline void compat_holds_gil(PyThreadState *ts, int holds) {
#if PY_VERSION_HEX >= 0x030E0000
  ts->holds_gil = holds;
#elif PY_VERSION_HEX >= 0x030D0000
  ts->_status.holds_gil = holds;
#else
  (void)ts, (void)holds;
#endif
}

/* The same where this thread has been bound before. Where the value is known to stand that is one store. */
static inline void compat_rebind(PyThreadState *ts) {
#if !COMPAT_GILSTATE_WORD
  if (__builtin_expect(compat.slot != 0, 1)) {
    *compat_word(compat.slot) = ts;
    return;
  }
#endif
  compat_bind(ts);
}

/* Makes to the current thread state and gives the one that was. The GIL is kept where
   compat.raw is set: the public call of 3.12 and later drops and retakes it, which beside
   a busy thread costs 80 us instead of 3 ns. PyGILState follows, or PyGILState_Ensure()
   in a goroutine would wait for the GIL that the goroutine itself holds. */
static inline PyThreadState *compat_swap(PyThreadState *to) {
  PyThreadState *from;
  if (__builtin_expect(compat.raw, 1)) {
    PyThreadState *volatile *current = compat_current();
    from = *current;
#if PY_VERSION_HEX >= 0x030C0000
    from->_status.active = 0;
#if PY_VERSION_HEX >= 0x030D0000
    from->state = 0; /* _Py_THREAD_DETACHED */
    compat_holds_gil(from, 0);
    to->state = 1; /* _Py_THREAD_ATTACHED */
    compat_holds_gil(to, 1);
#endif
    to->_status.active = 1;
    to->_status.bound_gilstate = 1;
    *compat.holder = to;
#endif
    *current = to;
#if PY_VERSION_HEX >= 0x030D0000
    /* The bits above the events say which instrumentation (sys.settrace(), sys.monitoring) is in force. CPython sets
       them for whoever runs and whoever takes the GIL; code does not start under stale ones, but tries for ever. */
    uintptr_t stale = (from->eval_breaker ^ to->eval_breaker) & ~(uintptr_t)0xff;
    if (__builtin_expect(stale != 0, 0)) __atomic_xor_fetch(&to->eval_breaker, stale, __ATOMIC_RELAXED);
    /* A request to drop the GIL is put to its holder. A stale one must not stay with to: nobody
       would be there to take the GIL, and dropping it waits for a taker. */
    if (to->eval_breaker & 1) __atomic_and_fetch(&to->eval_breaker, ~(uintptr_t)1, __ATOMIC_RELAXED);
    if (from->eval_breaker & 1) {
      __atomic_and_fetch(&from->eval_breaker, ~(uintptr_t)1, __ATOMIC_RELAXED);
      __atomic_or_fetch(&to->eval_breaker, 1, __ATOMIC_RELAXED);
    }
#endif
  } else {
    from = PyThreadState_Swap(to);
  }
  compat_rebind(to);
  return from;
}

#endif
