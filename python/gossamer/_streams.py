"""Channels that goroutines fill (gossamer.patterns)."""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from . import atomic
from ._gossamer import Chan, Context, RecvChan, _set_ambient, go, select, send

_T = TypeVar("_T")
_Start = Callable[..., object]


class _Skip(enum.Enum):
    SKIP = "SKIP"


SKIP = _Skip.SKIP
"""What a stage's function returns to leave a value out."""


@dataclass(frozen=True)
class Item(Generic[_T]):
    """A value on its way through stages, or what went wrong with it: then later stages pass it on as it is."""

    value: _T
    error: Exception | None = None


def _fill(outs: Sequence[Chan[Any]], works: Sequence[Callable[[], None]], ctx: Context | None, start: _Start) -> None:
    """Each of works in a goroutine; after the last one outs are closed."""
    left = atomic.Int(len(works))

    def ended(n: int = 1) -> None:
        if left.add(-n) == 0:
            for out in outs:
                out.close()

    def run(work: Callable[[], None]) -> None:
        try:
            if ctx is not None:
                _set_ambient(ctx)  # of this goroutine, to its end
            work()
        finally:
            ended()

    started = 0
    try:
        for work in works:
            start(run, work)
            started += 1
    finally:
        if started < len(works) or not works:
            ended(len(works) - started)


def _send_all(values: Iterable[_T], out: Chan[_T]) -> None:
    for v in values:
        out.send(v)


def generate(values: Iterable[_T], *, ctx: Context | None = None, go: _Start = go) -> RecvChan[_T]:
    """A channel of values, each taken when there is a receiver for it."""
    out: Chan[_T] = Chan()
    _fill([out], [partial(_send_all, values, out)], ctx, go)
    return out.receiver()


def _apply(f: Callable[[Any], Any], v: Any) -> Any:
    if not isinstance(v, Item):
        return f(v)
    if v.error is not None:
        return v
    try:
        r = f(v.value)
    except Exception as e:
        return Item(v.value, e)
    return r if r is SKIP or isinstance(r, Item) else Item(r)


def stage(
    f: Callable[[Any], Any], ch: RecvChan[Any], n: int = 1, *, ctx: Context | None = None, go: _Start = go
) -> RecvChan[Any]:
    """f of each value of ch, by n goroutines; with more than one in any order. Values for which f returns SKIP are left
    out. Of an Item f gets the value, and an exception becomes its error; one with an error is passed on untouched."""
    if n < 1:
        raise ValueError("a stage needs a goroutine")
    out: Chan[Any] = Chan()

    def work() -> None:
        for v in ch:
            r = _apply(f, v)
            if r is not SKIP:
                out.send(r)

    _fill([out], [work] * n, ctx, go)
    return out.receiver()


def fan_out(
    ch: RecvChan[Any], n: int, f: Callable[[Any], Any], *, ctx: Context | None = None, go: _Start = go
) -> list[RecvChan[Any]]:
    """n stages that share the values of ch: each has a goroutine and a channel of its own, for merge()."""
    if n < 1:
        raise ValueError("fan_out() needs a goroutine")
    return [stage(f, ch, ctx=ctx, go=go) for _ in range(n)]


def merge(*chs: RecvChan[_T], ctx: Context | None = None, go: _Start = go) -> RecvChan[_T]:
    """What comes from any of chs, as it comes; closed when all of them are."""
    out: Chan[_T] = Chan()
    _fill([out], [partial(_send_all, ch, out) for ch in chs], ctx, go)
    return out.receiver()


def tee(ch: RecvChan[_T], n: int = 2, *, ctx: Context | None = None, go: _Start = go) -> list[RecvChan[_T]]:
    """n channels with all values of ch each. The next value is taken when every channel's receiver has got the last one,
    in whatever order: one that stops receiving stops all."""
    if n < 1:
        raise ValueError("tee() needs a channel")
    outs: list[Chan[_T]] = [Chan() for _ in range(n)]

    def work() -> None:
        for v in ch:
            cases = [send(out, v) for out in outs]
            while cases:
                fired = select(*cases)
                cases = [c for c in cases if c is not fired]

    _fill(outs, [work], ctx, go)
    return [out.receiver() for out in outs]


def bridge(chs: RecvChan[RecvChan[_T]], *, ctx: Context | None = None, go: _Start = go) -> RecvChan[_T]:
    """The values of the channels that chs gives, one channel after the other."""
    out: Chan[_T] = Chan()

    def work() -> None:
        for ch in chs:
            _send_all(ch, out)

    _fill([out], [work], ctx, go)
    return out.receiver()
