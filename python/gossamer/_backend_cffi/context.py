"""Contexts: the core's, as objects that also carry what the core cannot: Python's values and causes.

Always true:
  an object keeps those it was made from alive, so the one in which an end began is found upwards
  the ambient context is the value of one contextvar
"""
# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors

from __future__ import annotations

import contextvars

from .chan import NOTHING, RecvChan, nil_chan, view
from .core import CANCELED, NULL, TIMEDOUT, ffi, lib
from .errors import Canceled, DeadlineExceeded, NoCopy, error_of, final
from .go import member_began, run_here, site_here, start_thread
from .wait import ambient, nanoseconds

_MERGES = 64  # inside one another, as in the core


@final("gossamer.context", made_by_call=False)
class Context(NoCopy):
    """What may be given up together; made by with_cancel() and its like. Every call that waits takes ctx=.

    'with ctx:' makes it the ambient context: calls without ctx= obey it, goroutines started inside inherit
    it. Leaving cancels it; a Canceled that this context caused ends there, a DeadlineExceeded becomes
    TimeoutError. Leave in the reverse order of entering: no yield inside, in a generator. Go: context.Context.
    """

    __slots__ = (
        "__weakref__",
        "_cause",
        "_done",
        "_ends",
        "_key",
        "_kind",
        "_merges",
        "_other",
        "_parent",
        "_timeout_cause",
        "_tokens",
        "_value",
        "_x",
    )

    @property
    def done(self):
        """Closed when it has ended. Go: ctx.Done."""
        if self._done is None:
            c = lib.gos_ctx_done(self._x) if self._ends else NULL
            self._done = view(RecvChan, c, NOTHING, owner=self._x) if c != NULL else _never
        return self._done

    @property
    def deadline(self):
        """When it ends at the latest, in seconds of time.monotonic(); None: no such time. Go: ctx.Deadline."""
        t = ffi.new("gos_ns *")
        return t[0] / 1e9 if lib.gos_ctx_deadline(self._x, t) else None

    def err(self):
        """None until it has ended, then a new Canceled or DeadlineExceeded. Go: ctx.Err."""
        return self._error() if lib.gos_ctx_err(self._x) else None

    def cause(self):
        """None until it has ended, then the exception given as cause, or else that of err().
        Go: context.Cause."""
        e = lib.gos_ctx_err(self._x)
        return (self._given_cause(e) or self._error()) if e else None

    def value(self, key, default=None):
        """The value of the nearest with_value() with an equal key. Go: ctx.Value."""
        later, searched, c = [], set(), self
        while True:
            while c is not None:
                if c._kind == "with_value" and c._key == key:
                    return c._value
                if c._kind == "merge":
                    if id(c) in searched:
                        break
                    searched.add(id(c))
                    later.append(c._other)
                c = c._parent
            if not later:
                return default
            c = later.pop()

    def cancel(self, cause=None):
        """Ends it and all made from it: their done channels close, waits that obey them raise Canceled.
        The first end stays. Nothing happens to background(), with_value(), without_cancel(). Go: CancelCauseFunc."""
        self._end(_checked_cause(cause))

    def __enter__(self):
        self._tokens.append(ambient.set(self))
        return self

    def __exit__(self, type=None, value=None, traceback=None):
        left = self._leave()
        own = isinstance(value, Canceled) and _origin(value) is self
        self._end(None)
        if not left:
            raise RuntimeError("this goroutine has not entered the context with 'with'")
        if own and isinstance(value, DeadlineExceeded):
            raise TimeoutError("context deadline exceeded") from value
        return own

    def _leave(self):
        """Several goroutines may be in it: the last token that fits the running one's contextvars."""
        for i in reversed(range(len(self._tokens))):
            try:
                ambient.reset(self._tokens[i])
            except (ValueError, RuntimeError):
                continue
            del self._tokens[i]
            return True
        return False

    def _end(self, cause):
        """The first cause stays. One that cannot be cancelled stays as it is."""
        if self._kind == "with_value" or lib.gos_ctx_err(self._x):
            return
        if cause is not None and self._cause is None:
            self._cause = cause  # before: who sees the end must find it
        lib.gos_cancel(self._x, 0)
        # The deadline or a parent may have come first, on another thread.
        if self._cause is cause and (lib.gos_ctx_origin(self._x) != self._x or lib.gos_ctx_err(self._x) != CANCELED):
            self._cause = None

    def _began(self):
        """Where its end began: it or one above it. None: it has not ended."""
        o, c = lib.gos_ctx_origin(self._x), self
        while o != NULL and c is not None:
            if c._x == o and c._kind != "with_value":
                return c
            through = c._parent is not None and lib.gos_ctx_origin(c._parent._x) == o
            c = c._parent if through else c._other if c._other and lib.gos_ctx_origin(c._other._x) == o else None
        return None

    def _given_cause(self, e):
        o = self._began()
        return None if o is None else o._timeout_cause if e == TIMEDOUT else o._cause

    def _error(self):
        """A new exception each time: it collects the traceback of one raise."""
        e = lib.gos_ctx_err(self._x)
        late = e == TIMEDOUT
        error = DeadlineExceeded("context deadline exceeded") if late else Canceled("context canceled")
        error.ctx = self
        cause = self._given_cause(e)
        if cause is not None:
            error.cause = error.__cause__ = cause
        return error

    def __repr__(self):
        e = lib.gos_ctx_err(self._x)
        end = "" if not e else ", deadline exceeded" if e == TIMEDOUT else ", canceled"
        return f"<Context {self._kind} at {id(self):#x}{end}>"


_never = view(RecvChan, nil_chan._c, NOTHING)


def _make(kind, x, parent, ends=True, other=None):
    if x == NULL:
        raise error_of(-6, "context")
    c = object.__new__(Context)
    c._kind, c._x, c._parent, c._ends, c._other = kind, x, parent, ends, other
    c._merges = parent._merges if parent is not None else 0
    c._key = c._value = c._cause = c._timeout_cause = c._done = None
    c._tokens = []
    return c


def _own(x):
    return x if x == NULL else ffi.gc(x, lib.gos_ctx_release)


_background = _make("background", lib.gos_background(), None, False)
_todo = _make("todo", lib.gos_background(), None, False)


def _checked_cause(cause):
    if cause is not None and not isinstance(cause, BaseException):
        raise TypeError(f"cause must be an exception or None, not {type(cause).__name__}")
    return cause


def _checked_parent(parent):
    if parent is None:
        return current()
    if type(parent) is not Context:
        raise TypeError(f"parent must be a Context or None, not {type(parent).__name__}")
    return parent


def background():
    """The context that never ends and has no values. Go: context.Background."""
    return _background


def todo():
    """Like background(), for a place that does not know yet which one to use. Go: context.TODO."""
    return _todo


def current():
    """The ambient context: that of the innermost 'with ctx:' around here, or around the go() that
    started this goroutine; background() if there is none."""
    return ambient.get(None) or _background


def with_cancel(parent=None):
    """A context that ends when its parent does (None: current()), or by cancel().
    Go: context.WithCancelCause."""
    p = _checked_parent(parent)
    return _make("with_cancel", _own(lib.gos_with_cancel(p._x)), p)


def _timed(kind, fn, t, parent, cause):
    ns, cause, p = nanoseconds(t), _checked_cause(cause), _checked_parent(parent)
    c = _make(kind, _own(fn(p._x, ns)), p)
    c._timeout_cause = cause
    return c


def with_timeout(d, parent=None, cause=None):
    """A context that also ends d seconds from now, with DeadlineExceeded and cause.
    Go: context.WithTimeoutCause."""
    return _timed("with_timeout", lib.gos_with_timeout, d, parent, cause)


def with_deadline(t, parent=None, cause=None):
    """A context that also ends at t, in seconds of time.monotonic(), with DeadlineExceeded
    and cause. Go: context.WithDeadlineCause."""
    return _timed("with_deadline", lib.gos_with_deadline, t, parent, cause)


def with_grace(d, parent=None):
    """A context for cleaning up: ends d seconds after its parent has ended, in the same way."""
    ns, p = nanoseconds(d), _checked_parent(parent)
    return _make("with_grace", _own(lib.gos_with_grace(p._x, ns)), p)


def with_value(key, value, parent=None):
    """The same context with a value more. It cannot be cancelled by itself.
    Go: context.WithValue."""
    if key is None:
        raise TypeError("with_value() needs a key that is not None")
    p = _checked_parent(parent)
    c = _make("with_value", _own(lib.gos_ctx_retain(p._x)), p, p._ends)
    c._key, c._value = key, value
    return c


def without_cancel(parent=None):
    """The shield: its parent's values without its end. Go: context.WithoutCancel."""
    p = _checked_parent(parent)
    return _make("without_cancel", _own(lib.gos_without_cancel(p._x)), p, False)


def merge(a, b, /):
    """A context that ends when a or b does, in the same way; values of a, then of b."""
    for c in (a, b):
        if type(c) is not Context:
            raise TypeError(f"merge() needs Contexts, not {type(c).__name__}")
    merges = max(a._merges, b._merges) + 1
    if merges > _MERGES:
        raise ValueError(f"more than {_MERGES} contexts merged into one another")
    c = _make("merge", _own(lib.gos_merge(a._x, b._x)), a, True, b)
    c._merges = merges
    return c


# ---- functions that run at the end ---------------------------------------------------------------
class _AfterFunc:
    """What stops an after_func(): a call says whether it did."""

    __slots__ = ("__weakref__", "_fn", "_site", "_stop", "_vars", "_waits", "_x")

    def __call__(self):
        try:
            del self._waits[0]  # in one step: it, or the thread
        except IndexError:
            return False
        self._fn = self._vars = None
        self._stop.close()
        return True

    def _run(self):
        from .select import recv, select

        end, stop = recv(self._x), recv(self._stop)
        if select(end, stop, ordered=True) is stop:
            return
        fn, vars, site = self._fn, self._vars, self._site
        try:
            del self._waits[0]
        except IndexError:
            return
        self._fn = self._vars = None
        del self, end, stop
        run_here(fn, (), vars, site)


def _context_after_func(ctx, fn):
    """after_func(ctx, fn)

    Runs fn() in a goroutine of its own once ctx has ended, without an ambient context. Returns a function
    that says whether it kept fn from running. Go: context.AfterFunc."""
    from .chan import Chan

    if type(ctx) is not Context:
        raise TypeError(f"after_func() needs a Context, not {type(ctx).__name__}")
    if not callable(fn):
        raise TypeError(f"after_func() needs a callable, not {type(fn).__name__}")
    a = _AfterFunc()
    a._fn, a._x, a._site, a._stop, a._waits = fn, ctx, site_here(), Chan(), [True]
    a._vars = contextvars.copy_context()
    a._vars.run(ambient.set, None)
    if ctx._ends:
        start_thread(a._run, name="after_func")
    return a


_context_after_func.__name__ = _context_after_func.__qualname__ = "after_func"


# ---- for errgroup.py --------------------------------------------------------------------------------
def _set_ambient(ctx, /):
    """Makes it ambient; a token for _reset_ambient()."""
    if type(ctx) is not Context:
        raise TypeError("a Context is needed")
    return ambient.set(ctx)


def _reset_ambient(token, /):
    ambient.reset(token)


def _adopt(ctx, /):
    """Makes it ambient for good, and the running goroutine a member of the group that has begun."""
    _set_ambient(ctx)
    member_began()


def _origin(ended, /):
    """The context in which the end of a context or its exception began, or None."""
    c = ended if type(ended) is Context else getattr(ended, "ctx", None) if isinstance(ended, Canceled) else None
    return c._began() if type(c) is Context else None
