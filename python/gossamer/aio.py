"""Goroutines and asyncio, both ways.

From a goroutine: run(coro), and awaiting(aw) as a case of select(). From a coroutine: wrap(fn), 'await
goroutine', 'await ch.arecv()', 'async for v in ch'. run() and awaiting() share one event loop, which lives
in a goroutine of its own from the first use on; asyncio.run() in a goroutine makes one for that goroutine.
"""
# SPDX-License-Identifier: Apache-2.0

import asyncio
import atexit
import concurrent.futures
import contextvars
import functools
import inspect
import os
import selectors
import sys
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, cast

from ._gossamer import (
    Canceled,
    Case,
    Chan,
    Goroutine,
    Mutex,
    _awaiting,
    background,
    go,
    readable,
    recv,
    select,
)
from ._late import internal
from .runtime import lock_os_thread

__all__ = ["awaiting", "run", "wrap"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class _Selector(selectors.EpollSelector):
    """Parks the loop's goroutine where epoll_wait() would block its thread. While no file but the loop's own
    pipe is watched only this program can wake it: it waits for a channel then, so that a deadlock is seen.
    Greenlets, in which SQLAlchemy for one runs what its coroutines call, belong to a thread: where there may be
    some the loop stays on its own."""

    def __init__(self) -> None:
        super().__init__()
        self._stays = False
        self._ready = readable(self.fileno())
        self._called: Chan[None] = Chan(1)
        self._woken = recv(self._called)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > 0:
            if not self._stays and "greenlet" in sys.modules:
                self._stays = True
                lock_os_thread()
            select(self._woken if len(self.get_map()) == 1 else self._ready, timeout=timeout)
        return super().select(0)

    def wake(self) -> None:
        self._called.try_send(None)


class _Loop(asyncio.SelectorEventLoop):
    ended = False  # its tasks are cancelled because of that

    def __init__(self) -> None:
        self._wake = (selector := _Selector()).wake
        super().__init__(selector)

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = super().call_soon_threadsafe(callback, *args, context=context)  # the pipe first, then the channel
        self._wake()
        return handle


_mutex = Mutex()
_loop: _Loop | None = None
_server: Goroutine[None] | None = None


def _of_coroutine(error: BaseException) -> bool:
    return any(f.f_code.co_flags & inspect.CO_COROUTINE for f, _ in traceback.walk_tb(error.__traceback__))


def _run_forever(loop: _Loop) -> None:
    """Until it is told to stop. asyncio lets KeyboardInterrupt and SystemExit of a task end its loop as well,
    which is others' loop, too: whoever waits for the task gets them."""
    while True:
        try:
            return loop.run_forever()
        except (KeyboardInterrupt, SystemExit) as error:
            if not _of_coroutine(error):
                raise


def _serve(loop: _Loop) -> None:
    global _loop, _server
    try:
        _run_forever(loop)
    finally:  # told to stop, or interrupted: whoever waits for a task must hear of its end
        if _loop is loop:  # not in a child that it forked
            _loop = _server = None
        loop.ended = True
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:  # gather() of none would ask for the thread's event loop
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _shared_loop() -> _Loop:
    global _loop, _server
    with _mutex:
        if _loop is None:
            _loop = _Loop()
            _server = go.using(name="asyncio", vars=contextvars.Context())(_serve, _loop)
            internal.add(_server)
        return _loop


@atexit.register
def _stop() -> None:
    loop, server = _loop, _server
    if loop is not None and server is not None:
        loop.call_soon_threadsafe(loop.stop)
        try:
            server.join(timeout=1)
        except BaseException:  # the program ends anyway
            pass


def _in_child() -> None:
    """The loop's goroutine stayed in the parent, which has the same epoll: the loop is left as it is."""
    global _mutex, _loop, _server
    _mutex, _loop, _server = Mutex(), None, None


os.register_at_fork(after_in_child=_in_child)


async def _await(aw: Awaitable[_T]) -> _T:
    return await aw


class _Outcome:
    """What became of an awaitable, once done is closed."""

    __slots__ = ("_cancelled", "_task", "done")

    def __init__(self) -> None:
        self.done: Chan[None] = Chan()
        self._task: Any = None  # of asyncio, or of concurrent.futures
        self._cancelled = False

    def watch(self, task: Any) -> None:
        self._task = task
        if self._cancelled:
            task.cancel()
        task.add_done_callback(lambda _: self.done.close())

    def start(self, aw: Awaitable[Any], loop: asyncio.AbstractEventLoop) -> None:
        """Runs aw on the loop, with the caller's contextvars."""
        coro = aw if asyncio.iscoroutine(aw) else _await(aw)
        vars = contextvars.copy_context()
        loop.call_soon_threadsafe(lambda: self.watch(loop.create_task(coro, context=vars)))

    def cancel(self) -> None:
        """On the loop."""
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()

    def result(self) -> Any:
        return self._task.result()

    def exception(self) -> BaseException | None:
        if self._task.cancelled():
            return asyncio.CancelledError()
        return cast("BaseException | None", self._task.exception())


def run(coro: Awaitable[_T]) -> _T:
    """Runs the coroutine, or awaits what else can be awaited, on the shared event loop; only this goroutine
    waits. Its result, or its exception. When the wait is interrupted the coroutine is cancelled, and its end
    waited for. Not for coroutines (RuntimeError): those await."""
    if asyncio._get_running_loop() is not None:
        if asyncio.iscoroutine(coro):
            coro.close()
        raise RuntimeError("aio.run() cannot be called from a coroutine: await it")
    outcome = _Outcome()
    loop = _shared_loop()
    outcome.start(coro, loop)
    try:
        outcome.done.recv_ok()
    except BaseException:
        loop.call_soon_threadsafe(outcome.cancel)
        outcome.done.recv_ok(ctx=background())  # the ambient one may be what has ended
        outcome.exception()  # seen, whatever it is
        raise
    if loop.ended and isinstance(outcome.exception(), asyncio.CancelledError):
        raise Canceled("the event loop has ended")
    return cast(_T, outcome.result())


def wrap(fn: Callable[_P, _T]) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """An async function that runs fn in a goroutine of its own: fn may call whatever blocks. Cancelling the
    task interrupts the goroutine."""

    @functools.wraps(fn)
    async def call(*a: _P.args, **k: _P.kwargs) -> _T:
        g = go(fn, *a, **k)
        try:
            return await g
        except asyncio.CancelledError:
            g.interrupt()
            raise

    return call


def awaiting(aw: "Awaitable[_T] | concurrent.futures.Future[_T]") -> Case[_T]:
    """A case for select(): the coroutine, future or other awaitable is done. It starts at once: a future or
    task on the event loop it belongs to, others on the shared one. value is its result, or raises its
    exception; once done the case is always ready."""
    outcome = _Outcome()
    if isinstance(aw, concurrent.futures.Future):
        outcome.watch(aw)
    elif asyncio.isfuture(aw):
        aw.get_loop().call_soon_threadsafe(outcome.watch, aw)
    elif isinstance(aw, Awaitable):
        outcome.start(aw, _shared_loop())
    else:
        raise TypeError(f"awaiting() needs an awaitable, not {type(aw).__name__}")
    return cast("Case[_T]", _awaiting(aw, outcome, outcome.done))
