"""select: cases are objects, and the very case that fired is the result."""
# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors

from __future__ import annotations

import errno
import os
from types import GenericAlias

from .chan import SendChan, chan_of, numbers
from .core import CLOSED, NOW, TIMEDOUT, WOULDBLOCK, ffi, lib
from .errors import NoCopy, error_of, final
from .wait import Call, deadline_of, failed, obeyed, wait

# Those of gos_case.op, and two of our own.
NO_CASE, RECV, SEND, READ, WRITE, DEFAULT, AWAIT = 0, 1, 2, 4, 5, 100, 101
_names = {RECV: "recv", SEND: "send", READ: "readable", WRITE: "writable", AWAIT: "awaiting"}


@final("gossamer", made_by_call=False)
class Case(NoCopy):
    """A case of select(), made by recv(), send(), readable(), writable() or awaiting()."""

    # _c: the channel; _source: what the user named; _value: to send, or received; of AWAIT, the future
    __slots__ = ("_c", "_index", "_ok", "_op", "_source", "_value")
    __class_getitem__ = classmethod(GenericAlias)

    @property
    def value(self):
        """What a receive case received last; None if the channel was closed. Of awaiting(): the result, or its
        exception is raised."""
        if self._op == AWAIT and self._index >= 0:
            return self._value.result()
        return self._value if self._op == RECV else None

    @property
    def ok(self):
        """False: a closed channel fired it (or nothing has yet), or what was awaited raised."""
        return self._ok

    @property
    def index(self):
        """Its position among the arguments of the select() that it last won; -1: none."""
        return self._index

    @property
    def chan(self):
        """What was given to recv(), send(), readable(), ...; None for default."""
        return self._source

    def __repr__(self):
        return "<Case default>" if self._op == DEFAULT else f"<Case {_names[self._op]} {self._source!r}>"

    def _fired(self, index, ok, slot):
        self._index = index
        if self._op == AWAIT:
            self._ok = self._value.exception() is None
            return
        self._ok = self._op != RECV or ok > 0
        if self._op == RECV:
            self._value = self._c._value(slot) if self._ok else None


def _case(op, c=None, source=None, value=None):
    k = object.__new__(Case)
    k._op, k._c, k._source, k._value, k._index, k._ok = op, c, source, value, -1, False
    return k


def recv(source, /):
    """A case for select(): receive from a RecvChan, a Timer, a Ticker, or wait for the end of
    a Goroutine or a Context. May be used again and again."""
    return _case(RECV, chan_of(source), source)


def send(ch, v, /):
    """A case for select(): send v on ch. May be used again and again."""
    if not isinstance(ch, SendChan):
        raise TypeError(f"cannot send to {type(ch).__name__}: a SendChan is needed")
    return _case(SEND, ch, ch, v)


def _descriptor(file):
    if not isinstance(file, int):
        fileno = getattr(file, "fileno", None)
        if fileno is None:
            raise TypeError("argument must be an int, or have a fileno() method.")
        file = fileno()
        if not isinstance(file, int):
            raise TypeError("fileno() returned a non-integer")
    if file < 0:
        raise ValueError(f"file descriptor cannot be a negative integer ({file})")
    return int(file)


def readable(fd, /):
    """A case for select(): the file (an int or what has fileno(): a socket, a pipe, ...) can be read, or is at
    its end. May be used again and again. A file that is not open raises ValueError or OSError."""
    _descriptor(fd)
    return _case(READ, None, fd)


def writable(fd, /):
    """A case for select(): the file (an int or what has fileno()) can be written to. May be used again and
    again. A file that is not open raises ValueError or OSError."""
    _descriptor(fd)
    return _case(WRITE, None, fd)


def _awaiting(aw, future, c, /):
    return _case(AWAIT, c, aw, future)


default = _case(DEFAULT)


class _Run:
    """One call of select()."""

    def __init__(self, args):
        if len(args) > 65536:
            raise ValueError("select() takes at most 65536 cases")
        self.args = args
        self.cases = ffi.new("gos_case[]", len(args))
        self.slots = ffi.new("uint64_t[]", len(args))
        self.otherwise = None
        self.sent = {}  # index -> number
        for i, k in enumerate(args):
            if k is not None and k is not False:
                self._add(i, k)

    def _add(self, i, k):
        if type(k) is not Case:
            raise TypeError(f"select() takes cases (recv, send, default) and None, not {type(k).__name__}")
        if k._op == DEFAULT:
            self.otherwise = i
            return
        out = self.cases[i]
        if k._op in (READ, WRITE):  # each time: it may have been closed, and its number reused
            out.c = ffi.cast("gos_chan *", _descriptor(k._source))
        else:
            out.c = k._c._c
            out.v = self.slots + i
        out.op = RECV if k._op == AWAIT else k._op
        if k._op == SEND:
            self.slots[i] = self.sent[i] = next(numbers)

    def go(self, deadline, ctx, ordered):
        plain = lib.gos_select_ordered if ordered else lib.gos_select
        with_ctx = lib.gos_select_ordered_ctx if ordered else lib.gos_select_ctx
        call = Call(plain, with_ctx, self.cases, len(self.args))
        for i, n in self.sent.items():
            self.args[i]._c._objects[n] = self.args[i]._value
        try:
            return wait(deadline, ctx, call)
        except BaseException:  # of a signal handler; what was received just then goes with it
            fired = call.gave
            if fired is not None and fired >= 0:
                self.fired(fired)
            raise
        finally:
            for i, n in self.sent.items():
                if i != call.gave:
                    del self.args[i]._c._objects[n]

    def fired(self, i):
        k = self.args[i]
        k._fired(i, self.cases[i].ok, self.slots + i)
        return k

    def closed(self):
        """A channel that was to be sent on, or a file, was closed."""
        if any(c.op > 3 and c.ok == CLOSED for c in self.cases):
            return OSError(errno.EBADF, os.strerror(errno.EBADF))
        return error_of(CLOSED, "send on closed channel")




def select(*cases, timeout=None, ctx=None, ordered=False):
    """Waits until one of the cases can go on, does it, and returns that very case; of several ready ones it
    takes any with equal chance, or the first if ordered. default is taken when none is ready. None when
    timeout (seconds) passed. Obeys ctx, or else the ambient context: raises its Canceled or
    DeadlineExceeded. None and False among the cases are no case. Go: select."""
    deadline, ctx = deadline_of(timeout), obeyed(ctx, "select")
    run = _Run(cases)
    if run.otherwise is not None:
        deadline = NOW
    e = run.go(deadline, ctx, ordered)
    if e >= 0:
        return run.fired(e)
    if e == CLOSED:
        raise run.closed()
    if e not in (WOULDBLOCK, TIMEDOUT):
        raise failed(e, ctx, "select")
    if run.otherwise is None:
        return None
    default._ok, default._index = True, run.otherwise
    return default
