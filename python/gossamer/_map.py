"""Go's sync.Map, as a MutableMapping."""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import ItemsView, Iterator, MutableMapping, ValuesView
from typing import Any, TypeVar, cast, overload

from ._gossamer import _Map

_K = TypeVar("_K")
_V = TypeVar("_V")
_D = TypeVar("_D")
_none: Any = object()


class _Items(ItemsView[_K, _V]):
    def __init__(self, of: Map[_K, _V]) -> None:
        super().__init__(of)
        self._of = of

    def __iter__(self) -> Iterator[tuple[_K, _V]]:
        return iter(self._of._pairs())


class _Values(ValuesView[_V]):
    def __init__(self, of: Map[Any, _V]) -> None:
        super().__init__(of)
        self._of = of

    def __iter__(self) -> Iterator[_V]:
        return iter([v for _, v in self._of._pairs()])


class Map(_Map[_K, _V], MutableMapping[_K, _V]):  # type: ignore[misc]
    """Map()

    A mapping for many goroutines and threads: every method is one step, and iteration goes over the
    keys of the moment it began, whatever happens meanwhile. Keys are hashed and compared as in a dict.
    Go: sync.Map.
    """

    __slots__ = ()

    def __iter__(self) -> Iterator[_K]:
        return iter([k for k, _ in self._pairs()])

    def items(self) -> ItemsView[_K, _V]:
        """Its (key, value) pairs; iteration gives those of the moment it began."""
        return _Items(self)

    def values(self) -> ValuesView[_V]:
        """Its values; iteration gives those of the moment it began."""
        return _Values(self)

    @overload
    def pop(self, key: _K) -> _V: ...
    @overload
    def pop(self, key: _K, default: _V | _D) -> _V | _D: ...
    def pop(self, key: _K, default: Any = _none) -> Any:
        """load_and_delete(key), or default; without one KeyError."""
        value, was_there = self.load_and_delete(key)
        if was_there:
            return value
        if default is _none:
            raise KeyError(key)
        return default

    def popitem(self) -> tuple[_K, _V]:
        """Deletes some key and returns it with its value; KeyError when there is none."""
        while pairs := self._pairs():
            for key, _ in reversed(pairs):
                value, was_there = self.load_and_delete(key)
                if was_there:
                    return key, cast(_V, value)
        raise KeyError("popitem(): the map is empty")

    def setdefault(self, key: _K, default: Any = None) -> Any:
        """load_or_store(key, default), the value only."""
        return self.load_or_store(key, default)[0]

    def __repr__(self) -> str:
        return f"Map({dict(self._pairs())!r})"
