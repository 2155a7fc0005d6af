"""Exceptions, and the one table that turns the core's codes into them."""
# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors

from __future__ import annotations

import os

from .core import CLOSED, INVAL, NOMEM, PERM, TIMEDOUT, WOULDBLOCK


class Error(Exception):
    """What gossamer's own exceptions derive from."""


class ChanClosed(Error):
    """send() on a closed channel, or recv() on one that is closed and drained."""


class WouldBlock(Error):
    """try_recv() found nothing and had no default."""


class Deadlock(Error):
    """All goroutines are asleep; raised in the main goroutine.

    report: every goroutine with its wait reason and where it was created.
    """

    report = ""


class Canceled(BaseException):
    """A wait was ended by Goroutine.interrupt() or a context. Not an Exception, so that
    'except Exception' does not swallow it.

    ctx: the context that the wait obeyed, None for an interrupt; cause: the exception
    given to cancel(), or None.
    """

    ctx = None
    cause = None


class DeadlineExceeded(Canceled):
    """A context's deadline passed. Timeouts raise the builtin TimeoutError."""


for _type in (Error, ChanClosed, WouldBlock, Deadlock, Canceled, DeadlineExceeded):
    _type.__module__ = "gossamer"

_types = {
    TIMEDOUT: TimeoutError,
    WOULDBLOCK: WouldBlock,
    CLOSED: ChanClosed,
    INVAL: ValueError,
    PERM: RuntimeError,
}


def error_of(code: int, what: str) -> BaseException:
    """The exception for a code of the core; what says which operation, for the message."""
    if code == NOMEM:
        return MemoryError(f"{what}: out of memory, address space or guard pages")
    if code <= -1001:
        return OSError(-1000 - code, os.strerror(-1000 - code))
    return _types.get(code, Error)(what)


class NoCopy:
    """What cannot leave the process or be doubled."""

    __slots__ = ()

    def __reduce_ex__(self, protocol):
        raise TypeError(
            f"{type(self).__module__}.{type(self).__name__} belongs to this process and cannot be copied or pickled; "
            "use multiprocessing or sockets"
        )

    def __copy__(self):
        self.__reduce_ex__(2)

    def __deepcopy__(self, memo):
        self.__reduce_ex__(2)


def final(module: str, *, made_by_call: bool = True):
    """A class of the public module so named: no subclasses, as the C types; perhaps not made by calling it."""

    def init_subclass(cls, **kwargs):
        raise TypeError(f"type '{cls.__mro__[1].__module__}.{cls.__mro__[1].__name__}' is not an acceptable base type")

    def new(cls, *args, **kwargs):
        raise TypeError(f"cannot create '{cls.__module__}.{cls.__name__}' instances")

    def decorate(cls):
        cls.__module__ = module
        cls.__init_subclass__ = classmethod(init_subclass)
        if not made_by_call:
            cls.__new__ = staticmethod(new)
        return cls

    return decorate
