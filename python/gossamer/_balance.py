"""Who is next (gossamer.patterns)."""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock  # a Mutex would obey a context that has ended
from typing import Generic, TypeVar

from . import atomic
from ._gossamer import Context
from ._gossamer import Weighted as Semaphore

_T = TypeVar("_T")
_H = TypeVar("_H", bound=Hashable)


class RoundRobin(Generic[_T]):
    """One after the other, and from the beginning again."""

    def __init__(self, items: Iterable[_T]) -> None:
        self._items = list(items)
        if not self._items:
            raise ValueError("nothing to choose from")
        self._turn = atomic.Int(-1)

    def next(self) -> _T:
        return self._items[self._turn.add(1) % len(self._items)]

    def __iter__(self) -> Iterator[_T]:
        """Endless."""
        while True:
            yield self.next()


class Weighted(Generic[_H]):
    """Things with a weight, which is how many may use each at once: the one with the largest part of it free is next."""

    def __init__(self, weights: Mapping[_H, int]) -> None:
        if not weights or any(w < 1 for w in weights.values()):
            raise ValueError("weights are positive, and there is one")
        self._weights = dict(weights)
        self._used = dict.fromkeys(self._weights, 0)
        self._places = Semaphore(sum(self._weights.values()))
        self._lock = Lock()

    def acquire(self, timeout: float | None = None, *, ctx: Context | None = None) -> _H:
        """The next one; waits while all are used by as many as may."""
        self._places.acquire(1, timeout, ctx=ctx)
        with self._lock:
            item = max(self._weights, key=lambda i: 1 - self._used[i] / self._weights[i])
            self._used[item] += 1
        return item

    def release(self, item: _H) -> None:
        """ValueError: nobody has acquired it."""
        with self._lock:
            if not self._used.get(item):
                raise ValueError(f"{item!r} is not in use")
            self._used[item] -= 1
        self._places.release()

    @contextmanager
    def hold(self, timeout: float | None = None, *, ctx: Context | None = None) -> Iterator[_H]:
        """`with balancer.hold() as item:`"""
        item = self.acquire(timeout, ctx=ctx)
        try:
            yield item
        finally:
            self.release(item)

    def in_use(self, item: _H) -> int:
        """How many use it."""
        with self._lock:
            return self._used[item]
