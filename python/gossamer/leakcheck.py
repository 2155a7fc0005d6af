"""Which goroutines were left behind.

    with leakcheck.scope():
        serve_and_stop()        # raises Leak if goroutines it started, or they started, still live

A goroutine that waits for what nobody will ever send costs memory for as long as the program runs. In tests: the
pytest plugin has a fixture and a mark for it.
"""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import atexit
import contextlib
import itertools
import sys
import time
from collections.abc import Iterator
from typing import Any

from . import runtime
from ._gossamer import Goroutine, _set_labels
from ._late import internal

__all__ = ["Leak", "check", "find", "scope"]

_LABEL = "gossamer.leakcheck"
_numbers = itertools.count(1)


class Leak(AssertionError):
    """Goroutines were left behind.

    goroutines: which. The text has their stacks, and where they were started.
    """

    goroutines: list[Goroutine[Any]]

    def __init__(self, goroutines: list[Goroutine[Any]]) -> None:
        n = len(goroutines)
        stacks = "\n".join(runtime._describe(g, g._frame) for g in goroutines)
        super().__init__(f"{n} goroutine{'s' * (n > 1)} left behind:\n\n{stacks}")
        self.goroutines = goroutines


def _others(label: str | None) -> list[Goroutine[Any]]:
    me = runtime.goid()
    return [
        g
        for g in runtime.goroutines()
        if g.id not in (1, me) and g not in internal and (label is None or label in g.labels.get(_LABEL, "").split())
    ]


def _wait(label: str | None, timeout: float) -> list[Goroutine[Any]]:
    """Those that are left when timeout seconds have passed; none as soon as there is none."""
    end = time.monotonic() + timeout
    while left := _others(label):
        try:
            left[0].done.recv_ok(timeout=end - time.monotonic())
        except TimeoutError:
            return _others(label)
    return []


def find() -> list[Goroutine[Any]]:
    """The goroutines that have not ended, but for main, the calling one and the package's own."""
    return _others(None)


def check(timeout: float = 1) -> None:
    """Gives all other goroutines that many seconds to end, and raises Leak if some have not. (Those that wait for an
    event which is yet to come count as well: use scope() beside servers and the like.)"""
    left = _wait(None, timeout)
    if left:
        raise Leak(left)


@contextlib.contextmanager
def scope(timeout: float = 1) -> Iterator[None]:
    """With it: at the end the goroutines that were started inside, by the running goroutine or by others that were
    started inside, have that many seconds to end; Leak is raised if some have not. When the body raises, that
    exception goes on and nothing is checked."""
    label = str(next(_numbers))
    before = _set_labels({})
    outer = before.get(_LABEL)
    _set_labels({**before, _LABEL: f"{outer} {label}" if outer else label})
    try:
        yield
    finally:
        _set_labels(before)
    left = _wait(label, timeout)
    if left:
        raise Leak(left)


def _at_exit() -> None:
    """In Python's development mode: those that end because main does, as in Go, where nobody learns of it."""
    if left := _others(None):
        n = len(left)
        print(f"gossamer: {n} goroutine{'s' * (n > 1)} abandoned at exit:", *left, sep="\n  ", file=sys.stderr)


if sys.flags.dev_mode:
    atexit.register(_at_exit)
