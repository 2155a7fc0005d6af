"""Int, Bool and Ref: values that change in one step."""
# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors

from __future__ import annotations

import reprlib
import threading
from types import GenericAlias

from .errors import NoCopy, final


class _Atomic(NoCopy):
    __slots__ = ("__weakref__", "_lock", "_value")

    def __init__(self, value):
        self._lock = threading.RLock()  # a signal handler may come while it is held
        self._value = self._shaped(value)

    def load(self):
        """The value."""
        return self._value

    def store(self, v, /):
        """Sets the value."""
        self.swap(v)

    def swap(self, v, /):
        """Sets the value; the one before."""
        v = self._shaped(v)
        with self._lock:
            old, self._value = self._value, v
        return old

    def compare_and_swap(self, old, new, /):
        """Sets the value to new if it is old (an Int: equals it); says whether it did."""
        old, new = self._shaped(old), self._shaped(new)
        with self._lock:
            before = self._value
            if not self._same(before, old):
                return False
            self._value = new
        return True

    @staticmethod
    def _same(a, b):
        return a is b

    @staticmethod
    def _shaped(v):
        return v

    @reprlib.recursive_repr(fillvalue="Ref(...)")
    def __repr__(self):
        return f"{type(self).__name__}({self._value!r})"


@final("gossamer.atomic")
class Int(_Atomic):
    """Int(value=0)

    An int that goroutines and threads change in one step. It has no size: it does not wrap around.
    Go: atomic.Int64.
    """

    __slots__ = ()

    def __init__(self, value=0):
        _Atomic.__init__(self, value)

    @staticmethod
    def _same(a, b):
        return a == b

    @staticmethod
    def _shaped(v):
        if not isinstance(v, int):
            raise TypeError(f"an int is needed, not {type(v).__name__}")
        return v if type(v) is int else int(v)

    def add(self, d, /):
        """Adds d; the new value. Go: atomic.Int64.Add."""
        d = self._shaped(d)
        with self._lock:
            self._value = v = self._value + d
        return v

    def and_(self, mask, /):
        """value & mask; the value before. Go: And."""
        mask = self._shaped(mask)
        with self._lock:
            old, self._value = self._value, self._value & mask
        return old

    def or_(self, mask, /):
        """value | mask; the value before. Go: Or."""
        mask = self._shaped(mask)
        with self._lock:
            old, self._value = self._value, self._value | mask
        return old


@final("gossamer.atomic")
class Bool(_Atomic):
    """Bool(value=False)

    A bool that goroutines and threads change in one step. Go: atomic.Bool.
    """

    __slots__ = ()

    def __init__(self, value=False):
        _Atomic.__init__(self, value)

    @staticmethod
    def _shaped(v):
        if not isinstance(v, bool):
            raise TypeError(f"a bool is needed, not {type(v).__name__}")
        return v

    def __bool__(self):
        return self._value


@final("gossamer.atomic")
class Ref(_Atomic):
    """Ref(value=None)

    A reference to any object, which goroutines and threads change in one step. Go: atomic.Pointer,
    atomic.Value.
    """

    __slots__ = ()
    __class_getitem__ = classmethod(GenericAlias)

    def __init__(self, value=None):
        _Atomic.__init__(self, value)
