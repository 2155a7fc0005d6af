"""The second backend: the same names as the C extension, by cffi, over OS threads. See docs/python/backends.md.

It stands in for gossamer._gossamer, under that name, where _backend.py chooses it. A goroutine is a thread of
Python's, which calls the core as any foreign thread may; cffi lets go of the GIL around each call. Its types are those
of _gossamer.pyi, which stands for both; the files here are not checked by mypy.
"""
# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors

from __future__ import annotations

import atexit as _atexit

from .atomic import Bool, Int, Ref
from .chan import Chan, RecvChan, SendChan, nil_chan
from .context import (
    Context,
    _adopt,
    _context_after_func,
    _origin,
    _reset_ambient,
    _set_ambient,
    background,
    current,
    merge,
    todo,
    with_cancel,
    with_deadline,
    with_grace,
    with_timeout,
    with_value,
    without_cancel,
)
from .core import __version__
from .core import library_file as _native_library
from .errors import Canceled, ChanClosed, DeadlineExceeded, Deadlock, Error, WouldBlock
from .go import Goroutine, _Goexit, _set_labels, go, goexit, goroutines
from .go import report_all as _close
from .map import Pool, _Map
from .rate import Limiter, Reservation
from .report import _get_panic, set_panic
from .runtime import (
    _lock_os_thread,
    _stats,
    free_stacks,
    goid,
    gomaxprocs,
    gosched,
    num_cpu,
    num_goroutine,
    set_max_threads,
    set_slow,
    unlock_os_thread,
)
from .select import Case, _awaiting, default, readable, recv, select, send, writable
from .semaphore import Weighted, _Hold, _Room
from .signal import (
    _signal_after_fork,
    _signal_channel,
    _signal_ignore,
    _signal_ignored,
    _signal_next,
    _signal_reset,
    _signal_trip,
    _signal_unwatch,
    _signal_watch,
)
from .sync import Cond, Locker, Mutex, Once, RWMutex, WaitGroup, _OnceCall
from .time import Ticker, Timer, after, after_func, sleep, tick

features = frozenset({"ambient-context", "identity", "readable", "signals", "stack-size"})

_atexit.register(_close)
