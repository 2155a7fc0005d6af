"""So many at a time: of functions, of resources, of connections, of jobs (gossamer.patterns)."""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Lock  # a Mutex would obey a context that has ended
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._gossamer import (
    Chan,
    ChanClosed,
    Context,
    Error,
    Goroutine,
    WaitGroup,
    Weighted,
    WouldBlock,
    _set_ambient,
    background,
    with_cancel,
)
from ._late import Closing

if TYPE_CHECKING:
    from types import TracebackType
    from typing import ParamSpec, Self

    _P = ParamSpec("_P")

_T = TypeVar("_T")


class _Turns:
    """n at a time, the most urgent of the others next; the owner's lock is held. The channel of a turn is closed when it
    has come, or is given up before: then nobody else looks at it."""

    def __init__(self, n: int) -> None:
        self.free, self.waiting = n, 0
        self._heap: list[tuple[float, int, Chan[None]]] = []
        self._numbers = itertools.count()

    def take(self, priority: float) -> Chan[None]:
        """Among equals, who took one first."""
        turn: Chan[None] = Chan()
        if self.free > 0:
            self.free -= 1
            turn.close()
        else:
            self.waiting += 1
            heapq.heappush(self._heap, (-priority, next(self._numbers), turn))
        return turn

    def give_up(self, turn: Chan[None]) -> None:
        """Its place among those who wait, or its turn, which the most urgent one gets."""
        if turn.closed:
            while self._heap:
                if self._end_wait(heapq.heappop(self._heap)[2]):
                    return
            self.free += 1
            return
        self._end_wait(turn)
        if len(self._heap) > 2 * self.waiting + 16:
            self._heap = [w for w in self._heap if not w[2].closed]
            heapq.heapify(self._heap)

    def _end_wait(self, turn: Chan[None]) -> bool:
        if not turn.close():
            return False
        self.waiting -= 1
        return True


class _Work:
    """Goroutines of one owner, n at a time, below a context of its own, who accepts no more once it is closed."""

    def __init__(self, n: int, ctx: Context | None) -> None:
        self._lock = Lock()
        self._ctx = with_cancel(ctx)
        self._all = WaitGroup()
        self._turns = _Turns(n)
        self._closed = False

    def _start(self, fn: Callable[..., Any], *args: Any, priority: float = 0) -> Goroutine[Any]:
        """fn(*args) when it is its turn; with the lock held."""
        turn = self._turns.take(priority)
        try:
            return self._all.go(self._run, turn, fn, args)
        except BaseException:
            self._turns.give_up(turn)
            raise

    def _run(self, turn: Chan[None], fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        _set_ambient(self._ctx)  # of this goroutine, to its end
        try:
            turn.recv_ok()
            return fn(*args)
        finally:
            with self._lock:
                self._turns.give_up(turn)
            self._left()

    def _left(self) -> None:
        """One has ended."""

    def _check(self) -> None:
        if self._closed:
            raise Error(f"the {type(self).__name__} is closed")

    def close(self, drain: bool = True) -> None:
        """Accepts no more, and waits for what it has; drain=False cancels that first."""
        with self._lock:
            self._closed = True
        if not drain:
            self._ctx.cancel()
        try:
            self._all.wait(ctx=None if drain else background())
        finally:
            self._ctx.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(drain=value is None)


class Pool(_Work):
    """At most n functions at a time, in the order of their submit(); queue more may wait for their turn (None: any
    number). One that fails is called again, retry times. `with` ends with close(), and cancels what is left after an
    exception."""

    def __init__(self, n: int, *, queue: int | None = None, retry: int = 0, ctx: Context | None = None) -> None:
        if n < 1 or retry < 0 or (queue is not None and queue < 0):
            raise ValueError("a pool runs one function at least; queue and retry are not negative")
        super().__init__(n, ctx)
        self._places = None if queue is None else Weighted(n + queue)
        self._retry = retry

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Goroutine[_T]:
        """fn(*args, **kwargs) in a goroutine, once it is its turn: join() it. Waits while the queue is full."""
        if not callable(fn):
            raise TypeError(f"submit() needs a callable, not {type(fn).__name__}")
        if self._places is not None:
            self._places.acquire()
        try:
            with self._lock:
                self._check()
                return self._start(self._try, fn, args, kwargs)
        except BaseException:
            self._left()
            raise

    def _left(self) -> None:
        if self._places is not None:
            self._places.release()

    def _try(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for _ in range(self._retry):
            try:
                return fn(*args, **kwargs)
            except Exception:
                continue
        return fn(*args, **kwargs)


class JobQueue(_Work):
    """Jobs by kind, for which handlers has the functions; the most urgent first, workers at a time, cap waiting."""

    def __init__(
        self,
        handlers: Mapping[Hashable, Callable[..., Any]],
        *,
        workers: int = 4,
        cap: int = 100,
        ctx: Context | None = None,
    ) -> None:
        if workers < 1 or cap < 0:
            raise ValueError("a queue has a worker at least, and cap is not negative")
        super().__init__(workers, ctx)
        self._handlers, self._cap = dict(handlers), cap

    def submit(self, kind: Hashable, /, *args: Any, priority: float = 0, **kwargs: Any) -> Goroutine[Any]:
        """handlers[kind](*args, **kwargs) in a goroutine, once it is its turn: join() it. WouldBlock: the queue is
        full. A higher priority comes first; among equals, who came first."""
        if kind not in self._handlers:
            raise ValueError(f"no handler for {kind!r}")
        with self._lock:
            self._check()
            if not self._turns.free and self._turns.waiting >= self._cap:
                raise WouldBlock("the JobQueue is full")
            return self._start(partial(self._handlers[kind], **kwargs), *args, priority=priority)


class ResourcePool(Generic[_T]):
    """Things of which each is used by one goroutine at a time."""

    def __init__(self, items: Iterable[_T]) -> None:
        things = list(items)
        self._free: Chan[_T] = Chan(len(things))
        for x in things:
            self._free.send(x)

    def acquire(self, timeout: float | None = None, *, ctx: Context | None = None) -> _T:
        """One that is free; waits for it. ChanClosed: the pool is closed, and none is left."""
        return self._free.recv(timeout, ctx=ctx)

    def try_acquire(self) -> _T:
        """WouldBlock: none is free."""
        return self._free.try_recv()

    def release(self, x: _T) -> None:
        """ValueError: more than there are. ChanClosed: the pool is closed, it stays with the caller."""
        if not self._free.try_send(x):
            raise ValueError("released more than there are")

    @contextmanager
    def hold(self, timeout: float | None = None, *, ctx: Context | None = None) -> Iterator[_T]:
        """`with pool.hold() as x:`"""
        x = self.acquire(timeout, ctx=ctx)
        try:
            yield x
        finally:
            self.release(x)

    def close(self) -> bool:
        """Those that are free can still be acquired, to do away with them."""
        return self._free.close()

    def __len__(self) -> int:
        """How many are free."""
        return len(self._free)

    def __bool__(self) -> bool:
        return True


@dataclass
class _Conn:
    conn: Any
    created: float = field(default_factory=monotonic)
    used: float = field(default_factory=monotonic)


def _nothing(conn: object) -> None:
    """For connections that need no end."""


class ConnPool(Closing, Generic[_T]):
    """At most size connections, made by connect() when they are needed, and used again. close(conn) ends one: at
    close(), when it came back broken, or when it was idle, or old, for longer than max_idle and max_age seconds."""

    def __init__(
        self,
        connect: Callable[[], _T],
        size: int,
        *,
        close: Callable[[_T], object] = _nothing,
        max_idle: float | None = None,
        max_age: float | None = None,
    ) -> None:
        if size < 1:
            raise ValueError("a pool has room for a connection at least")
        self._connect, self._end = connect, close
        self._max_idle, self._max_age = max_idle, max_age
        self._places = Weighted(size)
        self._lock = Lock()
        self._idle: list[_Conn] = []  # the one used last at the end
        self._used: dict[int, _Conn] = {}
        self._closed = False

    def get(self, timeout: float | None = None, *, ctx: Context | None = None) -> _T:
        """One that is idle, or a new one; waits while size are in use. What connect() raises is passed on."""
        self._places.acquire(1, timeout, ctx=ctx)
        try:
            c = self._take() or _Conn(self._connect())
        except BaseException:
            self._places.release()
            raise
        with self._lock:
            self._used[id(c.conn)] = c
        conn: _T = c.conn
        return conn

    def put(self, conn: _T, broken: bool = False) -> None:
        """Back from who got it. ValueError: it is not in use."""
        with self._lock:
            c = self._used.pop(id(conn), None)
            if c is None:
                raise ValueError("the connection is not one in use")
            c.used = monotonic()
            keep = not (broken or self._closed or self._expired(c))
            if keep:
                self._idle.append(c)
        try:
            if not keep:
                self._end(conn)
        finally:
            self._places.release()

    @contextmanager
    def hold(self, timeout: float | None = None, *, ctx: Context | None = None) -> Iterator[_T]:
        """`with pool.hold() as conn:`; after an exception it counts as broken."""
        conn = self.get(timeout, ctx=ctx)
        broken = True
        try:
            yield conn
            broken = False
        finally:
            self.put(conn, broken)

    def _expired(self, c: _Conn) -> bool:
        now = monotonic()
        return (self._max_idle is not None and now - c.used > self._max_idle) or (
            self._max_age is not None and now - c.created > self._max_age
        )

    def _take(self) -> _Conn | None:
        """The idle one used last, if it may still be used; those that may not are ended."""
        with self._lock:
            if self._closed:
                raise ChanClosed("the ConnPool is closed")
            kept: list[_Conn] = []
            old: list[_Conn] = []
            for c in self._idle:
                (old if self._expired(c) else kept).append(c)
            self._idle = kept
            last = kept.pop() if kept else None
        for o in old:
            self._end(o.conn)
        return last

    def close(self) -> None:
        """Ends the idle ones now, the others when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for c in idle:
            self._end(c.conn)

    def __len__(self) -> int:
        """How many there are, idle or in use."""
        with self._lock:
            return len(self._idle) + len(self._used)

    def __bool__(self) -> bool:
        return True
