"""asyncio's side of channels and goroutines: what their C part calls."""
# SPDX-License-Identifier: Apache-2.0

import asyncio
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from ._gossamer import ChanClosed, Goroutine, RecvChan, SendChan, background, go

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


def _cancel_again(task: "asyncio.Task[Any]", count: int, why: tuple[Any, ...]) -> None:
    if task.cancelling() >= count:  # nobody took it back, as asyncio.timeout() does when it is left
        task.uncancel()
        task.cancel(*why)


async def _in_goroutine(name: str, fn: Callable[..., _T], *a: Any) -> _T:
    """fn(*a), which waits, in a goroutine that obeys the ambient context. A task that is cancelled when it is
    too late to undo that gets its result, and is cancelled in its next wait: nothing is lost."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def work() -> _T:
        try:
            return fn(*a)
        finally:
            _tell(future)

    g = go.using(name=name)(work)
    try:
        await future
    except asyncio.CancelledError as cancelled:
        g.interrupt()
        g.done.recv_ok(ctx=background())  # soon: its only wait has ended
        if g.exception() is not None:
            raise
        task = asyncio.current_task()
        if task is not None:  # later: if it returns in this step then it is done, and not cancelled
            loop.call_soon(_cancel_again, task, task.cancelling(), cancelled.args)
    return g.join(ctx=background())  # what has happened has, also when the context ends now


async def _until_done(g: Goroutine[_T]) -> _T:
    if g.status != "dead":
        await _in_goroutine("await", g.done.recv_ok)
    return g.join(ctx=background())


def await_goroutine(g: Goroutine[_T]) -> Generator[Any, Any, _T]:
    """Goroutine.__await__()"""
    asyncio.get_running_loop()  # RuntimeError now, not at the first step
    return _until_done(g).__await__()


async def arecv(ch: RecvChan[_T]) -> _T:
    """RecvChan.arecv()"""
    value = ch.try_recv(_none)
    if value is not _none:
        return value
    return await _in_goroutine("arecv", ch.recv)


async def anext(ch: RecvChan[_T]) -> _T:
    """RecvChan.__anext__()"""
    try:
        return await arecv(ch)
    except ChanClosed:
        raise StopAsyncIteration from None


async def asend(ch: SendChan[_T], v: _T) -> None:
    """SendChan.asend()"""
    if not ch.try_send(v):
        await _in_goroutine("asend", ch.send, v)
