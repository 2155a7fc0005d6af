"""Go's os/signal: signals as values of channels.

Beside Python's own signal module: a signal that is notified goes to the channels, and the handler that
signal.signal() set for it still runs, in the main goroutine; but SIGINT raises no KeyboardInterrupt while it is
notified, unless that is what your own handler does. signal.signal() after notify() takes the signal away from
the channels; the next notify() for it takes it back, and both get it.
"""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import contextvars
import os
import signal as _signal
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ._gossamer import (
    Chan,
    ChanClosed,
    Context,
    Error,
    Goroutine,
    Ref,
    SendChan,
    _signal_after_fork,
    _signal_channel,
    _signal_ignore,
    _signal_ignored,
    _signal_next,
    _signal_reset,
    _signal_trip,
    _signal_unwatch,
    _signal_watch,
    go,
    recv,
    select,
    with_cancel,
)
from ._late import internal

__all__ = ["Signaled", "ignore", "ignored", "notify", "notify_context", "reset", "stop"]

_faults = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS")
_catchable = frozenset(
    int(s)
    for s in _signal.valid_signals()
    if s not in (_signal.SIGKILL, _signal.SIGSTOP) and getattr(s, "name", "") not in _faults
)


class Signaled(Error):
    """Why a notify_context() ended.

    signal: which came.
    """

    signal: int

    def __init__(self, signal: int) -> None:
        super().__init__(f"{getattr(signal, 'name', signal)} received")
        self.signal = signal


class _Watch(NamedTuple):
    ch: SendChan[int]
    sigs: frozenset[int]


_Watches = Mapping[int, _Watch]  # by the channel's identity: its views are the same to stop()

# Never changed, only replaced: a handler of Python's may interrupt main in the middle of notify(), and call it too.
_watches: Ref[_Watches] = Ref({})
_pump: Ref[Goroutine[None] | None] = Ref(None)


def _set(sigs: Iterable[int]) -> frozenset[int]:
    wanted = frozenset(int(s) for s in sigs) or _catchable
    if not wanted <= _catchable:
        raise ValueError(f"not a signal that can be caught: {min(wanted - _catchable)}")
    return wanted


def _update(change: Callable[[dict[int, _Watch]], object]) -> frozenset[int]:
    """Makes the change; the signals that nobody wants any more."""
    while True:
        old = _watches.load()
        new = dict(old)
        change(new)
        if _watches.compare_and_swap(old, new):
            return _wanted(old) - _wanted(new)


def _wanted(watches: _Watches) -> frozenset[int]:
    return frozenset[int]().union(*[w.sigs for w in watches.values()])


def _run() -> None:
    while True:
        sig = _signal_next()
        try:
            number: int = _signal.Signals(sig)
        except ValueError:  # a real-time signal without a name
            number = sig
        for key, watch in _watches.load().items():
            if sig in watch.sigs:
                try:
                    watch.ch.try_send(number)
                except ChanClosed:
                    _forget(key)
        handler = _signal.getsignal(sig)
        if callable(handler) and handler is not _signal.default_int_handler:
            _signal_trip(sig)


def _start() -> None:
    while True:
        runs = _pump.load()
        if runs is not None and runs.status != "dead":
            return
        fresh = go.using(name="signal")(_run)
        internal.add(fresh)
        if _pump.compare_and_swap(runs, fresh):
            return
        fresh.interrupt()


def _release(sigs: frozenset[int]) -> None:
    while sigs:
        _signal_unwatch(tuple(sigs))
        sigs = sigs & _wanted(_watches.load())  # somebody came meanwhile
        _signal_watch(tuple(sigs))
        sigs = sigs - _wanted(_watches.load())
    if not _watches.load():
        runs = _pump.swap(None)
        if runs is not None:
            runs.interrupt()
        if _watches.load():
            _start()


def _forget(key: int) -> None:
    _release(_update(lambda watches: watches.pop(key, None)))


def notify(ch: SendChan[int], /, *sigs: int) -> None:
    """Sends the number (a signal.Signals) of each of these signals that arrives to ch, without ever waiting: a
    channel that is full, or unbuffered with nobody receiving, misses it. No signals: all that can be caught, but
    for those that tell of a fault of the program. Calls add up. ValueError: cannot be caught. Go: signal.Notify."""
    key, wanted = _signal_channel(ch), _set(sigs)

    def add(watches: dict[int, _Watch]) -> None:
        before = watches.get(key)
        watches[key] = _Watch(ch, wanted | before.sigs if before else wanted)

    _update(add)
    try:
        _signal_watch(tuple(wanted))
        _start()
    except BaseException:
        _forget(key)
        raise


def stop(ch: SendChan[int], /) -> None:
    """ch gets no more signals. Go: signal.Stop."""
    _forget(_signal_channel(ch))


def _without(sigs: frozenset[int]) -> Callable[[dict[int, _Watch]], object]:
    def change(watches: dict[int, _Watch]) -> None:
        for key, watch in list(watches.items()):
            if watch.sigs <= sigs:
                del watches[key]
            else:
                watches[key] = watch._replace(sigs=watch.sigs - sigs)

    return change


def ignore(*sigs: int) -> None:
    """These signals (none: all that can be caught) are ignored from now on. Go: signal.Ignore."""
    which = _set(sigs)
    _signal_ignore(tuple(which))
    _update(_without(which))
    _release(frozenset())


def ignored(sig: int, /) -> bool:
    """Is it ignored by this process? Go: signal.Ignored."""
    return _signal_ignored(sig)


def reset(*sigs: int) -> None:
    """Undoes notify() and ignore() for these signals (none: all). Go: signal.Reset."""
    which = _set(sigs)
    _signal_reset(tuple(which))
    _update(_without(which))
    _release(frozenset())


def notify_context(*sigs: int, parent: Context | None = None) -> Context:
    """A context that ends when one of these signals (none: all that can be caught) arrives, with a Signaled as
    its cause, or when its parent does. The signals are let go of when it has ended: cancel() it, or use
    'with'. Go: signal.NotifyContext."""
    ctx, ch = with_cancel(parent), Chan[int](1)

    def watch() -> None:
        came = recv(ch)
        try:
            if select(came, recv(ctx)) is came:
                ctx.cancel(Signaled(came.value))
        finally:
            stop(ch)

    notify(ch, *sigs)
    internal.add(go.using(name="signal context", vars=contextvars.Context())(watch))
    return ctx


def _in_child(*_: Any) -> None:
    _watches.store({})
    _pump.store(None)
    _signal_after_fork()


os.register_at_fork(after_in_child=_in_child)
