"""What several modules share, and what is imported only when it is used."""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from ._gossamer import Case, Goroutine

if TYPE_CHECKING:
    import concurrent.futures
    from types import TracebackType
    from typing import Self

_T = TypeVar("_T")

# Goroutines of the package's own, which are nobody's leak.
internal: WeakSet[Goroutine[Any]] = WeakSet()


def awaiting(aw: Awaitable[_T] | concurrent.futures.Future[_T]) -> Case[_T]:
    """A case for select(): the coroutine, future or other awaitable is done; see aio.awaiting()."""
    from . import aio

    return aio.awaiting(aw)


class Closing:
    """`with x:` closes x at its end."""

    def close(self) -> object:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
