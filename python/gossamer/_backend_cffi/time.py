"""Sleep, timers and tickers (Go 1.23 rules).

A timer that calls a function has a thread that waits for its tick, while it is armed: what the core's timers call
themselves runs on a stack that is no Python thread's.
"""
# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors

from __future__ import annotations

import contextvars
import threading

from .chan import TIMES, Chan, RecvChan, nil_chan, view
from .core import NOW, NULL, OK, TIMEDOUT, WOULDBLOCK, ffi, lib
from .errors import NoCopy, error_of, final
from .go import run_here, site_here, start_thread
from .wait import Call, deadline_after, failed, nanoseconds, obeyed, wait


def sleep(d, /, *, ctx=None):
    """Lets at least d seconds pass; at once for d <= 0, for ever for inf. Obeys ctx, or else the
    ambient context: raises its Canceled or DeadlineExceeded. Go: time.Sleep."""
    deadline, ctx = deadline_after(nanoseconds(d)), obeyed(ctx, "sleep")
    call = Call(lib.gos_chan_recv_dl, lib.gos_chan_recv_ctx, NULL, NULL)  # the nil channel: nothing ever comes
    e = wait(deadline, ctx, call, "sleep")
    if e not in (OK, TIMEDOUT) and not (e == WOULDBLOCK and deadline == NOW):
        raise failed(e, ctx, "sleep")


def _core(t):
    if t == NULL:
        raise error_of(-6, "timer")
    return ffi.gc(t, lib.gos_timer_free)


def _channel(t):
    return view(RecvChan, lib.gos_timer_c(t), TIMES, owner=t)


def _period(d):
    ns = nanoseconds(d)
    if ns <= 0:
        raise ValueError("the interval of a ticker must be positive")
    return ns


def after(d, /):
    """A channel that gives the time (of time.monotonic()) once, d seconds from now. Go: time.After."""
    return _channel(_core(lib.gos_timer_new(nanoseconds(d))))


def tick(d, /):
    """A channel that gives the time every d seconds; a slow receiver misses ticks. Go: time.Tick."""
    return _channel(_core(lib.gos_ticker_new(_period(d))))


class _Clock(NoCopy):
    __slots__ = ("__weakref__", "_c", "_t")

    @property
    def C(self):
        """The channel that gives the time (of time.monotonic()) when it fires. Go: Timer.C."""
        return self._c


@final("gossamer")
class Timer(_Clock):
    """Timer(d)

    Gives the time on its channel C once, d seconds from now. Go: time.NewTimer.
    """

    __slots__ = ("_func",)

    def __new__(cls, d):
        self = object.__new__(cls)
        self._t = _core(lib.gos_timer_new(nanoseconds(d)))
        self._c, self._func = _channel(self._t), None
        return self

    def stop(self):
        """True if that kept it from firing. No stale tick is left. Go: Timer.Stop."""
        if self._func is None:
            return lib.gos_timer_stop(self._t) == 1
        return self._func.stop(self._t)

    def reset(self, d, /):
        """Fires d seconds from now instead; True if it had not fired yet. Go: Timer.Reset."""
        ns = nanoseconds(d)
        e = lib.gos_timer_reset(self._t, ns) if self._func is None else self._func.reset(self._t, ns)
        if e < 0:
            raise error_of(e, "reset")
        return e == 1


def _fire(box, ticks, quit):
    """On a thread of its own. quit first: a timer stopped and armed again has another one for its next tick."""
    from .select import recv, select

    if select(recv(quit), tick := recv(ticks), ordered=True) is tick:
        fn, args, vars, site = box.pop()
        del tick, ticks, quit
        run_here(fn, args, vars, site)


class _Func:
    """What an after_func() calls, and the thread that will: there is one exactly while the timer is armed.
    It finds the call in a box, which stop() empties: the thread may end later, and keeps nothing alive."""

    __slots__ = ("_box", "_call", "_lock", "_quit", "_ticks")

    def __init__(self, t, fn, args):
        self._call = fn, args, contextvars.copy_context(), site_here()
        self._lock = threading.RLock()
        self._ticks = _channel(t)
        self.start()

    def start(self):
        self._box, self._quit = [self._call], Chan()
        start_thread(_fire, self._box, self._ticks, self._quit, name="after_func")

    def stop(self, t):
        with self._lock:
            pending = lib.gos_timer_stop(t) == 1
            if pending:
                self._box.clear()
                self._quit.close()
            return pending

    def reset(self, t, ns):
        with self._lock:
            e = lib.gos_timer_reset(t, ns)
            if e == 0:
                self.start()
            return e


def after_func(d, fn=None, /, *args):
    """after_func(d, fn, /, *args)

    Runs fn(*args) in a goroutine of its own, d seconds from now, unless the Timer it
    returns is stopped before. Go: time.AfterFunc."""
    if fn is None:
        raise TypeError("after_func() needs a duration and a callable")
    if not callable(fn):
        raise TypeError(f"after_func() needs a callable, not {type(fn).__name__}")
    self = object.__new__(Timer)
    self._t = _core(lib.gos_timer_new(nanoseconds(d)))
    self._c, self._func = view(RecvChan, nil_chan._c, TIMES), _Func(self._t, fn, args)
    return self


@final("gossamer")
class Ticker(_Clock):
    """Ticker(d)

    Gives the time on its channel C every d seconds; a slow receiver misses ticks. Iteration gives
    them for ever; 'with Ticker(d) as t:' stops it. d <= 0 raises ValueError. Go: time.NewTicker.
    """

    __slots__ = ()

    def __new__(cls, d):
        self = object.__new__(cls)
        self._t = _core(lib.gos_ticker_new(_period(d)))
        self._c = _channel(self._t)
        return self

    def stop(self):
        """No more ticks; its channel is not closed. Go: Ticker.Stop."""
        lib.gos_timer_stop(self._t)

    def reset(self, d, /):
        """Ticks every d seconds from now on. Go: Ticker.Reset."""
        e = lib.gos_timer_reset(self._t, _period(d))
        if e < 0:
            raise error_of(e, "reset")

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._c)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()
