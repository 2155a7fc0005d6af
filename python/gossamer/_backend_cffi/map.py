"""Map and Pool: a dict and a stack, a step at a time."""
# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors

from __future__ import annotations

import threading
from types import GenericAlias

from .errors import NoCopy, final

_none = object()


def _same(a, b):
    return a is b or (a is not _none and bool(a == b))


class _Map(NoCopy):
    """The base of gossamer.sync.Map. A lock is held while keys are hashed and compared."""

    __slots__ = ("__weakref__", "_items", "_lock")
    __class_getitem__ = classmethod(GenericAlias)

    def __new__(cls, *args, **kwargs):
        if args or kwargs:
            raise TypeError("Map takes no arguments")
        self = object.__new__(cls)
        self._items, self._lock = {}, threading.RLock()
        return self

    def load(self, k, /):
        """(value, True), or (None, False). Go: Map.Load."""
        with self._lock:
            v = self._items.get(k, _none)
        return (None, False) if v is _none else (v, True)

    def get(self, k, /, default=None):
        """The value, or default."""
        with self._lock:
            return self._items.get(k, default)

    def store(self, k, v, /):
        """Sets the value. Go: Map.Store."""
        self.swap(k, v)

    def swap(self, k, v, /):
        """Sets the value; (the one before, True), or (None, False). Go: Map.Swap."""
        with self._lock:
            old = self._items.get(k, _none)
            self._items[k] = v
        return (None, False) if old is _none else (old, True)

    def load_or_store(self, k, v, /):
        """(the value there, True), or v is stored: (v, False). Go: Map.LoadOrStore."""
        with self._lock:
            old = self._items.setdefault(k, _none)
            if old is _none:
                self._items[k] = v
        return (v, False) if old is _none else (old, True)

    def load_and_delete(self, k, /):
        """Deletes the key; (its value, True), or (None, False). Go: Map.LoadAndDelete."""
        with self._lock:
            old = self._items.pop(k, _none)
        return (None, False) if old is _none else (old, True)

    def delete(self, k, /):
        """Deletes the key, if it is there. Go: Map.Delete."""
        self.load_and_delete(k)

    def compare_and_swap(self, k, old, new, /):
        """Sets the value to new if it equals old; says whether it did. Go: Map.CompareAndSwap."""
        with self._lock:
            same = _same(self._items.get(k, _none), old)
            if same:
                self._items[k] = new
        return same

    def compare_and_delete(self, k, old, /):
        """Deletes the key if its value equals old; says whether it did. Go: Map.CompareAndDelete."""
        with self._lock:
            same = _same(self._items.get(k, _none), old)
            gone = self._items.pop(k) if same else None
        del gone
        return same

    def range(self, fn, /):
        """Calls fn(key, value) for every key until it returns False. Go: Map.Range."""
        if not callable(fn):
            raise TypeError(f"range() needs a callable, not {type(fn).__name__}")
        for k, _ in self._pairs():
            v, there = self.load(k)
            if there:
                more = fn(k, v)
                if more is not None and not more:
                    return

    def clear(self):
        """Deletes all. Go: Map.Clear."""
        with self._lock:
            old, self._items = self._items, {}
        del old

    def _pairs(self):
        with self._lock:
            return list(self._items.items())

    def __len__(self):
        return len(self._items)

    def __bool__(self):
        return len(self._items) > 0

    def __contains__(self, k):
        return self.load(k)[1]

    def __getitem__(self, k):
        v, there = self.load(k)
        if not there:
            raise KeyError(k)
        return v

    def __setitem__(self, k, v):
        self.swap(k, v)

    def __delitem__(self, k):
        if not self.load_and_delete(k)[1]:
            raise KeyError(k)


@final("gossamer.sync")
class Pool(NoCopy):
    """Pool(new)

    Things that are made again more dearly than kept: get() gives any of them, or new(). Those that are not needed
    for long are dropped. Go: sync.Pool.
    """

    # A generation lasts twice as many puts as there are items; those that lay there all through it go.
    _GENERATION = 64
    __slots__ = ("__weakref__", "_items", "_lock", "_low", "_new", "_puts")
    __class_getitem__ = classmethod(GenericAlias)

    def __init__(self, new):
        if not callable(new):
            raise TypeError(f"Pool() needs a callable, not {type(new).__name__}")
        self._new, self._items, self._lock = new, [], threading.RLock()
        self._low = self._puts = 0

    def get(self):
        """One that was put, or new(). Go: Pool.Get."""
        with self._lock:
            if self._items:
                item = self._items.pop()
                self._low = min(self._low, len(self._items))
                return item
        return self._new()

    def put(self, x, /):
        """It is the pool's from here on. Go: Pool.Put."""
        with self._lock:
            self._items.append(x)
            self._puts += 1
            gone = self._end_generation() if self._puts >= max(self._GENERATION, 2 * len(self._items)) else ()
        del gone

    def _end_generation(self):
        gone = self._items[: self._low]
        del self._items[: self._low]
        self._low, self._puts = len(self._items), 0
        return gone

    def __repr__(self):
        return f"<Pool at {id(self):#x}, {len(self)} kept>"

    def __len__(self):
        return len(self._items)

    def __bool__(self):
        return True
