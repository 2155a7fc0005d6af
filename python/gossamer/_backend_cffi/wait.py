"""What a call that waits obeys: its timeout, its context or the ambient one, interrupts, and, in main, signals.

Always true:
  what has to be given back after a call (a place in a queue, a context) is given back by that call of the core's:
  Python's signal handlers run between two calls, and may raise there
  main waits in slices, between which its signal handlers run; every other thread sleeps until it is woken
  an interrupt is an attribute of its goroutine; the core's own only wakes it
"""
# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors

from __future__ import annotations

import gc
import math
import os
import threading
from contextvars import ContextVar

from .core import CANCELED, FOREVER, NOMEM, NOW, NULL, TIMEDOUT, WOULDBLOCK, keep_quiet, lib
from .errors import Canceled, error_of

SLICE = 50_000_000
ENDED = -98  # by a context

ambient = ContextVar("gossamer.context")
here = threading.local()  # g: the Goroutine that runs on this thread


def _find_main() -> None:
    global _main
    _main = threading.main_thread().ident


_find_main()
os.register_at_fork(after_in_child=_find_main)


_collector_on = None  # the thread that runs the collector, and the finalizers it calls; CPython only


def _collects(phase, info) -> None:
    global _collector_on
    _collector_on = threading.get_ident() if phase == "start" else None


if hasattr(gc, "callbacks"):
    gc.callbacks.append(_collects)


def nanoseconds(d) -> int:
    """Seconds to nanoseconds, saturating. Never early."""
    if isinstance(d, (str, bytes, bytearray)):
        raise TypeError(f"must be real number, not {type(d).__name__}")
    try:
        x = float(d)
    except OverflowError:  # an int beyond any double: for ever, or long ago
        x = math.inf if d > 0 else -math.inf
    if x != x:
        raise ValueError("a duration must not be NaN")
    x *= 1e9
    return FOREVER if x >= 9.2e18 else -FOREVER if x <= -9.2e18 else math.ceil(x)


def deadline_after(ns: int) -> int:
    if ns <= 0:
        return NOW
    now = lib.gos_now()
    return FOREVER if ns >= FOREVER - now else now + ns


def deadline_of(timeout) -> int:
    return FOREVER if timeout is None else deadline_after(nanoseconds(timeout))


def obeyed(ctx, fn: str):
    """The context that a call with this ctx= obeys; None: none that could end."""
    if ctx is None:
        ctx = ambient.get(None)
    else:
        from .context import Context

        if type(ctx) is not Context:
            raise TypeError(f"{fn}(): ctx must be a Context or None, not {type(ctx).__name__}")
    return ctx if ctx is not None and ctx._ends else None


def running():
    """The Goroutine that calls; None in a thread that is none."""
    try:
        return here.g
    except AttributeError:
        from .go import main

        here.g = main if _in_main() else None
        return here.g


class Call:
    """A call of the core's that may wait: plain(*args, deadline), or with_ctx(*args, context)."""

    __slots__ = ("_args", "_plain", "_result", "_with_ctx")

    def __init__(self, plain, with_ctx, *args):
        self._plain = plain
        self._with_ctx = with_ctx
        self._args = tuple((a,) for a in args)
        self._result = []

    def _make(self, fn, last):
        # map() and extend() run no bytecode between them: no signal handler can come between the call and the
        # place where its result is kept.
        self._result.clear()
        self._result.extend(map(fn, *self._args, (last,)))
        return self._result[0]

    def until(self, deadline):
        return self._make(self._plain, deadline)

    def obeying(self, x):
        return self._make(self._with_ctx, x)

    @property
    def gave(self):
        """What the last one gave, also when a signal handler raised right after it; None: there was none."""
        return self._result[0] if self._result else None


def _once(until, ctx, call):
    if ctx is None:
        return call.until(until)
    if until == FOREVER:
        e = call.obeying(ctx._x)
    else:
        x = lib.gos_with_deadline(ctx._x, until)
        if x == NULL:
            return NOMEM
        try:
            e = call.obeying(x)
        finally:
            lib.gos_ctx_release(x)
    return ENDED if e in (CANCELED, TIMEDOUT) and lib.gos_ctx_err(ctx._x) else e


def _in_main():
    return threading.get_ident() == _main


def slice(deadline):
    """For one call of the core's: no later than that."""
    return min(deadline, lib.gos_now() + SLICE) if deadline != NOW and _in_main() else deadline


def wait(deadline, ctx, call, reason=None):
    """The call, until it is done. Gives the core's codes, or ENDED."""
    if ctx is not None and lib.gos_ctx_err(ctx._x):
        return ENDED  # wins over what could be done at once
    me = running()
    if _collector_on == threading.get_ident():
        e = call.until(NOW)
        if e == WOULDBLOCK and deadline != NOW:
            raise RuntimeError("a finalizer that the garbage collector runs cannot wait")
        return e
    if deadline != NOW:
        keep_quiet()
    if ctx is not None or deadline == NOW:
        e = call.until(NOW)
        if e != WOULDBLOCK or deadline == NOW:
            return e
    if me is not None:
        me._begin_wait(reason)
    try:
        while me is None or me._interrupted is None:
            until = slice(deadline)
            e = _once(until, ctx, call)
            if e == CANCELED or (e in (TIMEDOUT, WOULDBLOCK) and until != deadline):
                continue
            return e
        e = call.until(NOW)  # what can be done at once is no wait to be ended
        return CANCELED if e == WOULDBLOCK else e
    finally:
        if me is not None:
            me._reason = None


def failed(e, ctx, what) -> BaseException:
    """The exception for what wait() gave; a timeout for WOULDBLOCK too."""
    if e == ENDED:
        return ctx._error()
    if e == CANCELED:
        return _interrupt()
    return error_of(TIMEDOUT if e == WOULDBLOCK else e, what)


def _interrupt() -> BaseException:
    me = running()
    kind, me._interrupted = me._interrupted, None
    return (kind or Canceled)()
