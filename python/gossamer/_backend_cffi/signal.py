"""Signals: the core's channel of numbers, for gossamer/signal.py, which gives them to Python's channels."""
# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors

from __future__ import annotations

import _thread

from .chan import SendChan, new_core
from .core import FOREVER, NULL, OK, ffi, lib
from .errors import error_of
from .wait import Call, failed, wait

_SIGNALS = 64
_numbers = []  # the channel, once there is one


def _read(sigs):
    sigs = [int(s) for s in sigs]
    for s in sigs:
        if not 1 <= s <= _SIGNALS:
            raise ValueError(f"signal number {s} out of range")
    return ffi.new("int[]", sigs), len(sigs)


def _done(e):
    if e < 0:
        raise error_of(e, "a signal that cannot be caught")


def _channel():
    if not _numbers:
        _numbers.append(new_core(ffi.sizeof("int"), _SIGNALS))
    return _numbers[0]


def _signal_watch(sigs, /):
    if sigs:
        _done(lib.gos_signal_notify(_channel(), *_read(sigs)))


def _signal_unwatch(sigs, /):
    if sigs and _numbers:
        _done(lib.gos_signal_stop_some(_channel(), *_read(sigs)))


def _signal_ignore(sigs, /):
    if sigs:
        _done(lib.gos_signal_ignore(*_read(sigs)))


def _signal_reset(sigs, /):
    if sigs:
        _done(lib.gos_signal_reset(*_read(sigs)))


def _signal_ignored(sig, /):
    e = lib.gos_signal_ignored(sig) if 1 <= sig <= _SIGNALS else -5
    if e < 0:
        raise error_of(e, "no such signal")
    return e == 1


def _signal_next():
    sig = ffi.new("int *")
    e = wait(FOREVER, None, Call(lib.gos_chan_recv_dl, lib.gos_chan_recv_ctx, _channel(), sig))
    if e != OK:
        raise failed(e, None, "signals")
    return sig[0]


def _signal_trip(sig, /):
    """As if it had come to Python's own handler, which main will run."""
    _thread.interrupt_main(sig)


def _signal_after_fork():
    """In a fork's child nobody receives: signals do what they did before."""
    if _numbers:
        lib.gos_signal_reset(NULL, 0)


def _signal_channel(ch, /):
    if not isinstance(ch, SendChan):
        raise TypeError(f"a channel to send on is needed, not {type(ch).__name__}")
    if ch._c == NULL:
        raise ValueError("the nil channel gets no signals")
    return int(ffi.cast("uintptr_t", ch._c))
