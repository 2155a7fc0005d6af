"""The weighted semaphore, and what errgroup.py stands on."""
# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors

from __future__ import annotations

import threading

from .core import NULL, OK, WOULDBLOCK, ffi, lib
from .errors import NoCopy, error_of, final
from .go import spawn
from .wait import Call, deadline_of, failed, obeyed, wait


def _read_n(n):
    if not isinstance(n, int):
        raise TypeError(f"n must be an int, not {type(n).__name__}")
    if n < 0:
        raise ValueError("n must not be negative")
    return n


def _new(n):
    s = lib.gos_sem_new(n)
    if s == NULL:
        raise error_of(-6, "semaphore")
    return ffi.gc(s, lib.gos_sem_free)


def _acquire(sem, n, timeout, ctx, what):
    deadline, ctx = deadline_of(timeout), obeyed(ctx, "acquire")
    call = Call(lib.gos_sem_acquire_dl, lib.gos_sem_acquire_ctx, sem, n)
    try:
        e = wait(deadline, ctx, call)
    except BaseException:  # of a signal handler, perhaps just after
        if call.gave == OK:
            lib.gos_sem_release(sem, n)
        raise
    if e < 0:
        raise failed(e, ctx, what)


@final("gossamer.semaphore")
class Weighted(NoCopy):
    """Weighted(n)

    A semaphore of size n. A big request is not starved by small ones. n < 0 raises ValueError.
    Go: golang.org/x/sync/semaphore.
    """

    __slots__ = ("__weakref__", "_sem")

    def __init__(self, n):
        self._sem = _new(_read_n(n))

    def acquire(self, n=1, timeout=None, *, ctx=None):
        """Takes n, strictly in the order of the calls. timeout in seconds raises TimeoutError; obeys ctx, or
        else the ambient context. More than the size is never to be had. Go: Weighted.Acquire."""
        _acquire(self._sem, _read_n(n), timeout, ctx, "acquire timed out")

    def try_acquire(self, n=1):
        """Takes n if that needs no waiting and nobody waits; says whether it did."""
        e = lib.gos_sem_try_acquire(self._sem, _read_n(n))
        if e < 0 and e != WOULDBLOCK:
            raise error_of(e, "try_acquire")
        return e == OK

    def release(self, n=1):
        """Gives n back. RuntimeError when that is more than is held. Go: Weighted.Release."""
        e = lib.gos_sem_release(self._sem, _read_n(n))
        if e < 0:
            raise error_of(e, "more released than is held")

    def hold(self, n=1, timeout=None, *, ctx=None):
        """'with sem.hold(n):' acquires n and releases it at the end."""
        h = object.__new__(_Hold)
        h._of, h._n, h._timeout, h._ctx = self, _read_n(n), timeout, ctx
        return h


@final("gossamer._gossamer", made_by_call=False)
class _Hold:
    """From Weighted.hold()."""

    __slots__ = ("_ctx", "_n", "_of", "_timeout")

    def __enter__(self):
        self._of.acquire(self._n, self._timeout, ctx=self._ctx)

    def __exit__(self, *exc):
        self._of.release(self._n)


class _Room:
    """The goroutines of a group, counted and limited."""

    def __init__(self):
        self._wg = ffi.new("gos_waitgroup *")
        self._places = None  # None: no limit
        self._busy = 0  # with a place, or waiting for one
        self._lock = threading.RLock()
        self._failed = None
        self.lost = []  # members whose exception no wait() has seen

    def _count(self, d):
        with self._lock:
            self._busy += d

    def go(self, fn=None, /, *args):
        """Waits for a place, then starts fn(*args)."""
        if fn is None:
            raise TypeError("go() needs a callable as its first argument")
        self._count(1)
        try:
            if self._places is not None:
                _acquire(self._places, 1, None, None, "go timed out")
        except BaseException:
            self._count(-1)
            raise
        return spawn(fn, args, {}, wg=self)

    def try_go(self, fn=None, /, *args):
        """The same, but None instead of waiting."""
        if fn is None:
            raise TypeError("try_go() needs a callable as its first argument")
        if self._places is not None and lib.gos_sem_try_acquire(self._places, 1) < 0:
            return None
        self._count(1)
        return spawn(fn, args, {}, wg=self)

    def _enter(self):
        lib.gos_waitgroup_add(self._wg, 1)

    def _left(self, error):
        if error is not None and self._failed is None:
            self._failed = error
        self._count(-1)
        if self._places is not None:
            lib.gos_sem_release(self._places, 1)
        lib.gos_waitgroup_done(self._wg)

    def wait(self, timeout=None, *, ctx=None):
        """Until all have ended. The exception of the first one that could not start, or None."""
        deadline, ctx = deadline_of(timeout), obeyed(ctx, "wait")
        e = wait(deadline, ctx, Call(lib.gos_waitgroup_wait_dl, lib.gos_waitgroup_wait_ctx, self._wg))
        if e < 0:
            raise failed(e, ctx, "wait timed out")
        while self.lost:
            self.lost.pop()._collect()
        return self._failed

    def set_limit(self, n, /):
        """So many at a time; None or negative: no limit."""
        if n is not None and not isinstance(n, int):
            raise TypeError(f"limit must be an int or None, not {type(n).__name__}")
        with self._lock:
            if self._busy:
                raise RuntimeError("the limit cannot change while goroutines of the group run")
            self._places = None if n is None or n < 0 else _new(n)
