"""Go's sync.OnceFunc, OnceValue and OnceValues."""
# SPDX-License-Identifier: Apache-2.0

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from ._gossamer import _OnceCall

_T = TypeVar("_T")
_Ts = TypeVar("_Ts", bound=tuple[Any, ...])


def once_func(fn: Callable[[], object]) -> Callable[[], None]:
    """A function that calls fn() the first time it is called; later calls wait until that has
    returned. If fn raised, every call raises that. Go: sync.OnceFunc."""
    return cast(Callable[[], None], functools.update_wrapper(_OnceCall(fn, False), fn))


def once_value(fn: Callable[[], _T]) -> Callable[[], _T]:
    """A function that calls fn() the first time it is called and returns its result, each time the same
    object. If fn raised, every call raises that. Go: sync.OnceValue."""
    return cast(Callable[[], _T], functools.update_wrapper(_OnceCall(fn, True), fn))


def once_values(fn: Callable[[], _Ts]) -> Callable[[], _Ts]:
    """once_value() of a function with several results, a tuple. Go: sync.OnceValues."""
    return once_value(fn)
