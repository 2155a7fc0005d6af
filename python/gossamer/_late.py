"""What is imported only when it is used."""
# SPDX-License-Identifier: Apache-2.0

from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from ._gossamer import Case

if TYPE_CHECKING:
    import concurrent.futures

_T = TypeVar("_T")


def awaiting(aw: "Awaitable[_T] | concurrent.futures.Future[_T]") -> Case[_T]:
    """A case for select(): the coroutine, future or other awaitable is done; see aio.awaiting()."""
    from . import aio

    return aio.awaiting(aw)
