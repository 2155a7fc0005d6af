"""python -m gossamer bench: how fast is it here? A few figures, with asyncio's beside them."""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
from collections.abc import Awaitable, Callable
from timeit import default_timer
from typing import NamedTuple

import gossamer
from gossamer import Chan, go, recv, runtime, select
from gossamer.sync import Mutex

HELP = "measure goroutines, channels and locks on this machine, beside asyncio"
_ROUNDS = 5
_LEAST = 0.05  # seconds that a round is to take
_BUFFER, _SHARERS, _AT_ONCE = 100, 100, 1000

Theirs = Callable[[int], Awaitable[float]]


class Work(NamedTuple):
    """ours(n) and theirs(n) do it n times, or a few less, and return how many nanoseconds each took."""

    name: str  # in docs/benchmarks.md
    what: str
    ours: Callable[[int], float]
    theirs: Theirs


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Nanoseconds an operation, the median of some rounds, and asyncio's for the same. Read the ratios: absolute "
        "figures are the machine's, and depend on what else it does."
    )
    parser.add_argument("--only", metavar="NAME", choices=[w.name for w in WORK], help=", ".join(w.name for w in WORK))
    parser.add_argument("--rounds", metavar="N", type=_positive, default=_ROUNDS, help=f"{_ROUNDS} if not given")


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"not a positive number: {text!r}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    print(
        f"gossamer {gossamer.__version__}, backend {gossamer.backend}; "
        f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}, {os.cpu_count()} CPUs"
    )
    print(_line("", "ns per operation", "gossamer", "asyncio", "ratio"), flush=True)
    for work in WORK:
        if args.only in (None, work.name):
            ours, theirs = measure(work, args.rounds)
            print(_line(work.name, work.what, _number(ours), _number(theirs), f"{ours / theirs:.3g}"), flush=True)
    return 0


def _line(name: str, what: str, ours: str, theirs: str, ratio: str) -> str:
    return f"{name:<12}{what:<34}{ours:>10}{theirs:>10}{ratio:>9}"


def _number(ns: float) -> str:
    return f"{ns:,.0f}" if ns >= 100 else f"{ns:.1f}"


# ---- measuring -------------------------------------------------------------------------------------------
def measure(work: Work, rounds: int) -> tuple[float, float]:
    """Ours and theirs, a round each in turn: what else the machine does hits both."""

    def theirs(n: int) -> float:
        return asyncio.run(_awaited(work.theirs, n))

    ours_n, theirs_n = _enough(work.ours), _enough(theirs)
    pairs = [(work.ours(ours_n), theirs(theirs_n)) for _ in range(rounds)]
    ours_ns, theirs_ns = zip(*pairs)
    return statistics.median(ours_ns), statistics.median(theirs_ns)


async def _awaited(fn: Theirs, n: int) -> float:
    return await fn(n)


def _enough(fn: Callable[[int], float]) -> int:
    """How many times take long enough to be measured; what was tried has warmed it up."""
    n = _AT_ONCE
    while (took := fn(n) * n * 1e-9) < _LEAST / 4:
        n *= 4
    return max(_AT_ONCE, int(n * _LEAST / took))


class _Watch:
    def __init__(self) -> None:
        self._start = default_timer()

    def each(self, n: int) -> float:
        return (default_timer() - self._start) * 1e9 / n


# ---- the work ----------------------------------------------------------------------------------------------
def _yield(n: int) -> float:
    """Two take turns."""

    def turns() -> None:
        for _ in range(n // 2):
            runtime.gosched()

    watch = _Watch()
    other = go(turns)
    turns()
    other.join()
    return watch.each(n)


async def _yield_asyncio(n: int) -> float:
    async def turns() -> None:
        for _ in range(n // 2):
            await asyncio.sleep(0)

    watch = _Watch()
    await asyncio.gather(turns(), turns())
    return watch.each(n)


def _nothing() -> None:
    pass


async def _nothing_asyncio() -> None:
    pass


def _spawn_join(n: int) -> float:
    watch = _Watch()
    for _ in range(n // _AT_ONCE):
        for g in [go(_nothing) for _ in range(_AT_ONCE)]:
            g.join()
    return watch.each(n // _AT_ONCE * _AT_ONCE)


async def _spawn_join_asyncio(n: int) -> float:
    watch = _Watch()
    for _ in range(n // _AT_ONCE):
        for task in [asyncio.create_task(_nothing_asyncio()) for _ in range(_AT_ONCE)]:
            await task
    return watch.each(n // _AT_ONCE * _AT_ONCE)


def _through(cap: int) -> Callable[[int], float]:
    """One sends, the other receives."""

    def work(n: int) -> float:
        ch: Chan[int] = Chan(cap)

        def sender() -> None:
            for i in range(n):
                ch.send(i)

        watch = _Watch()
        go(sender)
        for _ in range(n):
            ch.recv()
        return watch.each(n)

    return work


def _through_asyncio(cap: int) -> Theirs:
    async def work(n: int) -> float:
        queue: asyncio.Queue[int] = asyncio.Queue(cap)

        async def sender() -> None:
            for i in range(n):
                await queue.put(i)

        watch = _Watch()
        task = asyncio.create_task(sender())
        for _ in range(n):
            await queue.get()
        await task
        return watch.each(n)

    return work


def _ping_pong(n: int) -> float:
    """Each message one way is one."""
    there: Chan[int] = Chan()
    back: Chan[int] = Chan()

    def answers() -> None:
        for v in there:
            back.send(v)

    go(answers)
    watch = _Watch()
    for i in range(n // 2):
        there.send(i)
        back.recv()
    each = watch.each(n)
    there.close()
    return each


async def _ping_pong_asyncio(n: int) -> float:
    there: asyncio.Queue[int] = asyncio.Queue(1)
    back: asyncio.Queue[int] = asyncio.Queue(1)

    async def answers() -> None:
        for _ in range(n // 2):
            await back.put(await there.get())

    task = asyncio.create_task(answers())
    watch = _Watch()
    for i in range(n // 2):
        await there.put(i)
        await back.get()
    each = watch.each(n)
    await task
    return each


def _select(n: int) -> float:
    """Two send, whoever can; one selects."""
    channels: list[Chan[int]] = [Chan(), Chan()]

    def sender(ch: Chan[int]) -> None:
        for i in range(n // 2):
            ch.send(i)

    a, b = map(recv, channels)
    watch = _Watch()
    for ch in channels:
        go(sender, ch)
    for _ in range(n // 2 * 2):
        select(a, b)
    return watch.each(n)


async def _select_asyncio(n: int) -> float:
    queues: list[asyncio.Queue[int]] = [asyncio.Queue(1), asyncio.Queue(1)]

    async def sender(queue: asyncio.Queue[int]) -> None:
        for i in range(n // 2):
            await queue.put(i)

    watch = _Watch()
    senders = [asyncio.create_task(sender(queue)) for queue in queues]
    gets = {asyncio.create_task(queue.get()): queue for queue in queues}
    left = n // 2 * 2
    while left > 0:
        done, _ = await asyncio.wait(gets, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            queue = gets.pop(task)
            gets[asyncio.create_task(queue.get())] = queue
            left -= 1
    each = watch.each(n)
    for task in gets:
        task.cancel()
    await asyncio.gather(*senders)
    return each


def _mutex(n: int) -> float:
    mu = Mutex()

    def works() -> None:
        for _ in range(n // _SHARERS):
            with mu:
                pass

    watch = _Watch()
    for g in [go(works) for _ in range(_SHARERS)]:
        g.join()
    return watch.each(n // _SHARERS * _SHARERS)


async def _mutex_asyncio(n: int) -> float:
    lock = asyncio.Lock()

    async def works() -> None:
        for _ in range(n // _SHARERS):
            async with lock:
                pass

    watch = _Watch()
    await asyncio.gather(*[works() for _ in range(_SHARERS)])
    return watch.each(n // _SHARERS * _SHARERS)


WORK = (
    Work("yield", "two take turns", _yield, _yield_asyncio),
    Work("spawn_join", "1,000 start and are joined", _spawn_join, _spawn_join_asyncio),
    Work("stream", "unbuffered channel", _through(0), _through_asyncio(1)),
    Work("buffered", f"channel with room for {_BUFFER}", _through(_BUFFER), _through_asyncio(_BUFFER)),
    Work("pingpong", "a message to and fro", _ping_pong, _ping_pong_asyncio),
    Work("select_2", "select of two channels", _select, _select_asyncio),
    Work("mutex", f"lock and unlock, {_SHARERS} goroutines", _mutex, _mutex_asyncio),
)
