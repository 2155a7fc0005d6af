# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Literal, ParamSpec, Self, TypeVar

from ._gossamer import Context, Goroutine, _NoCopy

__all__ = ["Group", "map"]

_T = TypeVar("_T")
_R = TypeVar("_R")
_P = ParamSpec("_P")

class Group(_NoCopy):
    ctx: Context
    def __init__(
        self,
        limit: int | None = None,
        *,
        errors: Literal["first", "all"] = "first",
        parent: Context | None = None,
    ) -> None: ...
    def go(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Goroutine[_T]: ...
    def try_go(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Goroutine[_T] | None: ...
    def set_limit(self, n: int | None) -> None: ...
    def wait(self, timeout: float | None = None, *, ctx: Context | None = None) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        type: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool: ...

def map(fn: Callable[[_T], _R], it: Iterable[_T], *, limit: int | None = None) -> list[_R]: ...
