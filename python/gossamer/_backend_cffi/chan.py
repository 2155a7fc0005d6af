"""Channels and their one-way views.

What goes through the core is a number; the objects are in a table of their channel's, and leave it with the number.
So the collector sees them, and a channel that is dropped takes what nobody received with it.
"""
# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors

from __future__ import annotations

import itertools
import operator
import sys
from types import GenericAlias

from .core import CLOSED, INVAL, NOW, NULL, OK, WOULDBLOCK, ffi, lib
from .errors import NoCopy, error_of, final
from .wait import Call, deadline_of, failed, obeyed, wait

OBJECTS, TIMES, NOTHING = range(3)
SEND_CLOSED = "send on closed channel"
RECV_CLOSED = "receive on closed channel"
_none = object()

numbers = itertools.count(1)


def new_core(size: int, cap: int):
    """A channel of the core's, or MemoryError."""
    c = lib.gos_chan_make(size, cap)
    if c == NULL:
        raise error_of(-6, "channel")
    return ffi.gc(c, lib.gos_chan_release)


class _Chan(NoCopy):
    # _c: the core's, NULL for the nil channel; _objects: number -> object; _owner: what _c is part of
    __slots__ = ("__weakref__", "_c", "_kind", "_name", "_objects", "_owner")

    def __new__(cls, *args, **kwargs):
        raise TypeError(f"cannot create '{cls.__module__}.{cls.__name__}' instances")

    __class_getitem__ = classmethod(GenericAlias)

    @property
    def cap(self):
        """Values it can hold; 0: sender and receiver meet. Go: cap(ch)."""
        return lib.gos_chan_cap(self._c)

    @property
    def closed(self):
        """True once it is closed; values may still be inside."""
        return lib.gos_chan_closed(self._c)

    @property
    def name(self):
        """The name it was given, or None."""
        return self._name

    def __len__(self):
        return lib.gos_chan_len(self._c)

    def __bool__(self):
        return True

    def __repr__(self):
        kind = type(self).__name__
        if self._c == NULL:
            return f"<{kind} nil>"
        name = f" {self._name}" if self._name else ""
        at = int(ffi.cast("uintptr_t", self._c))
        return f"<{kind}{name} at {at:#x}, {len(self)} of {self.cap}{', closed' if self.closed else ''}>"

    def _value(self, slot):
        if self._kind == OBJECTS:
            return self._objects.pop(slot[0])
        return slot[0] / 1e9 if self._kind == TIMES else None


def view(cls, c, kind, objects=None, name=None, owner=None):
    self = object.__new__(cls)
    self._c, self._kind, self._objects, self._name, self._owner = c, kind, objects, name, owner
    return self


class SendChan(_Chan):
    """The sending end of a channel: send, try_send, close. From Chan.sender(). Go: chan<- T."""

    __slots__ = ()

    def send(self, v, /, timeout=None, *, ctx=None):
        """Waits until v is received or buffered. timeout in seconds (None: for ever) raises TimeoutError.
        A closed channel raises ChanClosed. Obeys ctx, or else the ambient context: raises its Canceled or
        DeadlineExceeded. v stays with the caller when this raises. Go: ch <- v."""
        deadline, ctx = deadline_of(timeout), obeyed(ctx, "send")
        e = self._send(v, deadline, ctx)
        if e != OK:
            raise failed(e, ctx, SEND_CLOSED if e == CLOSED else "send timed out")

    def try_send(self, v, /):
        """Sends v if that needs no waiting; says whether it did. A closed channel raises
        ChanClosed. Go: select with default."""
        e = self._send(v, NOW, None)
        if e not in (OK, WOULDBLOCK):
            raise error_of(e, SEND_CLOSED)
        return e == OK

    def _send(self, v, deadline, ctx):
        n = next(numbers)
        call = Call(lib.gos_chan_send_dl, lib.gos_chan_send_ctx, self._c, ffi.new("uint64_t *", n))
        self._objects[n] = v
        try:
            return wait(deadline, ctx, call)
        finally:
            if call.gave != OK:
                del self._objects[n]

    def close(self):
        """No more values; those inside can still be received. True for the call that closed it,
        False for a later one. The nil channel raises ValueError. Go: close(ch), which panics the second time."""
        e = lib.gos_chan_close(self._c)
        if e == INVAL:
            raise error_of(e, "close of nil channel")
        return e == OK

    def asend(self, v, /):
        """send() for asyncio: 'await ch.asend(v)'. A task that is cancelled has not sent."""
        from .._async import asend

        return asend(self, v)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class RecvChan(_Chan):
    """The receiving end of a channel: recv, recv_ok, try_recv, iteration. From Chan.receiver(). Go: <-chan T."""

    __slots__ = ()

    def recv(self, timeout=None, *, ctx=None):
        """Waits for a value. timeout in seconds (None: for ever) raises TimeoutError; a channel that is closed
        and drained raises ChanClosed. Obeys ctx, or else the ambient context: raises its Canceled or
        DeadlineExceeded. Go: v := <-ch."""
        deadline, ctx = deadline_of(timeout), obeyed(ctx, "recv")
        e, v = self._recv(deadline, ctx)
        if e != OK:
            raise failed(e, ctx, RECV_CLOSED if e == CLOSED else "recv timed out")
        return v

    def recv_ok(self, timeout=None, *, ctx=None):
        """(value, True), or (None, False) when the channel is closed and drained. Otherwise as recv().
        Go: v, ok := <-ch."""
        deadline, ctx = deadline_of(timeout), obeyed(ctx, "recv_ok")
        e, v = self._recv(deadline, ctx)
        if e not in (OK, CLOSED):
            raise failed(e, ctx, "recv timed out")
        return v, e == OK

    def try_recv(self, default=_none):
        """A value if one is ready, else default; without default WouldBlock is raised. A channel that is closed
        and drained raises ChanClosed. Go: select with default."""
        e, v = self._recv(NOW, None)
        if e == OK:
            return v
        if e == WOULDBLOCK and default is not _none:
            return default
        raise error_of(e, RECV_CLOSED if e == CLOSED else "nothing to receive")

    def _recv(self, deadline, ctx):
        slot = ffi.new("uint64_t *")
        call = Call(lib.gos_chan_recv_dl, lib.gos_chan_recv_ctx, self._c, slot)
        try:
            e = wait(deadline, ctx, call)
        except BaseException:  # of a signal handler; what came just then goes with it
            if call.gave == OK:
                self._value(slot)
            raise
        return e, self._value(slot) if e == OK else None

    def arecv(self):
        """recv() for asyncio: 'await ch.arecv()'; 'async for v in ch' ends when it is closed and
        drained. A task that is cancelled has received nothing."""
        from .._async import arecv

        return arecv(self)

    def __iter__(self):
        return self

    def __next__(self):
        ctx = obeyed(None, "recv")
        e, v = self._recv(deadline_of(None), ctx)
        if e == OK:
            return v
        if e == CLOSED:
            raise StopIteration
        raise failed(e, ctx, "recv")

    def __aiter__(self):
        return self

    def __anext__(self):
        from .._async import anext

        return anext(self)


class Chan(SendChan, RecvChan):
    """Chan(cap=0, *, name=None)

    A channel for cap values; 0 makes sender and receiver meet. Every goroutine and every thread may
    use it. A negative capacity raises ValueError. Iteration ends when it is closed and drained;
    'with ch:' closes it at the end. Always true, also when empty. Go: make(chan T, cap).
    """

    __slots__ = ()

    def __new__(cls, cap=0, *, name=None):
        cap = _check_capacity(cap)
        if name is not None and not isinstance(name, str):
            raise TypeError("channel name must be a str or None")
        return view(cls, new_core(8, cap), OBJECTS, {}, name)

    def sender(self):
        """A view that can only send and close. Go: chan<- T."""
        return view(SendChan, self._c, self._kind, self._objects, self._name)

    def receiver(self):
        """A view that can only receive. Go: <-chan T."""
        return view(RecvChan, self._c, self._kind, self._objects, self._name)


def _check_capacity(cap):
    if not hasattr(type(cap), "__index__") or isinstance(cap, bool):
        raise TypeError(f"channel capacity must be an int, not {type(cap).__name__}")
    cap = operator.index(cap)
    if cap < 0 and cap >= -sys.maxsize:
        raise ValueError("channel capacity must not be negative")
    if not 0 <= cap <= sys.maxsize // 8:
        raise ValueError("channel capacity out of range")
    return cap


for _type in (SendChan, RecvChan):
    _type.__module__ = "gossamer"
final("gossamer")(Chan)
nil_chan = view(Chan, NULL, OBJECTS, {})


def chan_of(source):
    """The channel of a select case's source: a Timer, a Goroutine, ..."""
    if isinstance(source, RecvChan):
        return source
    from .context import Context
    from .go import Goroutine
    from .time import Ticker, Timer

    if isinstance(source, (Goroutine, Context)):
        return source.done
    if isinstance(source, (Timer, Ticker)):
        return source.C
    raise TypeError(
        f"cannot receive from {type(source).__name__}: a RecvChan, Timer, Ticker, Goroutine or Context is needed"
    )
