"""Go's goroutines, channels and select for Python.

    from gossamer import go, Chan

    ch = Chan()
    go(ch.send, 42)
    print(ch.recv())

There is nothing to start: the first use makes the calling thread the main goroutine, and the
others end with it. Goroutines may call any blocking function; only the one that blocks waits.
Durations are float seconds.
"""
# SPDX-License-Identifier: Apache-2.0

from . import _supported as _supported  # first: it says what is wrong where nothing else could

# isort: split
# The other modules import the backend that it chooses.
from ._backend import backend as backend
from ._backend import backend_features as backend_features

# isort: split
from . import atomic as atomic
from . import context, errgroup, runtime, semaphore, sync
from . import leakcheck as leakcheck
from . import rate as rate
from . import signal as signal
from . import singleflight as singleflight
from ._gossamer import (
    Canceled,
    Case,
    Chan,
    ChanClosed,
    DeadlineExceeded,
    Deadlock,
    Error,
    Goroutine,
    Mutex,
    Once,
    RecvChan,
    SendChan,
    Ticker,
    Timer,
    WaitGroup,
    WouldBlock,
    after,
    after_func,
    default,
    go,
    nil_chan,
    readable,
    recv,
    select,
    send,
    sleep,
    tick,
    writable,
)
from ._gossamer import (
    __version__ as __version__,
)
from ._installed import get_include, get_library
from ._late import awaiting

if backend == "c":
    from . import native as native


def __getattr__(name: str) -> object:
    if name in ("aio", "logging", "patterns"):  # when they are used: what they import takes its time
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Canceled",
    "Case",
    "Chan",
    "ChanClosed",
    "DeadlineExceeded",
    "Deadlock",
    "Error",
    "Goroutine",
    "Mutex",
    "Once",
    "RecvChan",
    "SendChan",
    "Ticker",
    "Timer",
    "WaitGroup",
    "WouldBlock",
    "after",
    "after_func",
    "awaiting",
    "backend",
    "backend_features",
    "context",
    "default",
    "errgroup",
    "get_include",
    "get_library",
    "go",
    "nil_chan",
    "readable",
    "recv",
    "runtime",
    "select",
    "semaphore",
    "send",
    "sleep",
    "sync",
    "tick",
    "writable",
]
