"""asyncio's side of channels and goroutines: what their C part calls."""
# SPDX-License-Identifier: Apache-2.0

import asyncio
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from ._gossamer import ChanClosed, Goroutine, RecvChan, SendChan, go

_T = TypeVar("_T")
_none: Any = object()


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _tell(future: "asyncio.Future[None]") -> None:
    try:
        future.get_loop().call_soon_threadsafe(_wake, future)
    except RuntimeError:  # the loop is closed: nobody waits there
        pass


async def _until_done(g: Goroutine[_T]) -> _T:
    if g.status != "dead":
        future = asyncio.get_running_loop().create_future()
        helper = go.using(name="await")(_when_closed, g.done, future)
        try:
            await future
        except asyncio.CancelledError:
            helper.interrupt()
            raise
    return g.join()


def _when_closed(done: RecvChan[None], future: "asyncio.Future[None]") -> None:
    done.recv_ok()
    _tell(future)


def await_goroutine(g: Goroutine[_T]) -> Generator[Any, Any, _T]:
    """Goroutine.__await__()"""
    asyncio.get_running_loop()  # RuntimeError now, not at the first step
    return _until_done(g).__await__()


async def _on_channel(fn: Callable[..., _T], *a: Any) -> _T:
    """fn(*a), which waits for a channel, in a goroutine. A task that is cancelled when it is too late to
    undo that gets its result, and its cancellation with its next await: no value is lost."""
    future = asyncio.get_running_loop().create_future()

    def work() -> _T:
        try:
            return fn(*a)
        finally:
            _tell(future)

    g = go(work)
    try:
        await future
    except asyncio.CancelledError:
        g.interrupt()
        try:
            result = g.join()  # at once: its only wait has ended
        except BaseException:
            pass
        else:
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
                task.cancel()
            return result
        raise
    return g.join()


async def arecv(ch: RecvChan[_T]) -> _T:
    """RecvChan.arecv()"""
    value = ch.try_recv(_none)
    if value is not _none:
        return value
    return await _on_channel(ch.recv)


async def anext(ch: RecvChan[_T]) -> _T:
    """RecvChan.__anext__()"""
    try:
        return await arecv(ch)
    except ChanClosed:
        raise StopAsyncIteration from None


async def asend(ch: SendChan[_T], v: _T) -> None:
    """SendChan.asend()"""
    if not ch.try_send(v):
        await _on_channel(ch.send, v)
