"""Switches between goroutines that a seed chooses: `python -m gossamer run` and the pytest mark seed.

With it, a goroutine may let the others run between any two instructions of the program's own code. Neither the
standard library nor installed packages are watched, unless that is asked for, and never gossamer itself: a switch
comes there only where goroutines wait. One at a time: the scheduler is the process's.
"""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import contextlib
import functools
import os
import random
import site
import sys
import sysconfig
from collections.abc import Callable, Iterator
from types import CodeType

from ._backend import backend

__all__ = ["Unavailable", "check", "fresh_seed", "seeded"]

# Instructions from switch to switch, on average. Half of all lost updates need two switches close together; every
# fourth seed is for what needs somebody to get far between two steps of another.
OFTEN, RARELY = 6, 48


class Unavailable(RuntimeError):
    """Switches cannot be chosen here; the text says why."""


def fresh_seed() -> int:
    """Short enough to be typed."""
    return random.SystemRandom().randrange(1_000_000)


def _folders(everything: bool) -> tuple[str, ...]:
    """Where code is not the program's own."""
    own = [os.path.dirname(os.path.abspath(__file__))]
    if not everything:
        paths = sysconfig.get_paths()
        own += [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib") if name in paths]
        own += [*site.getsitepackages(), site.getusersitepackages(), os.path.dirname(os.__file__)]
    folders = {f(p) for p in own for f in (os.path.abspath, os.path.realpath)}
    return tuple(os.path.join(p, "") for p in folders)


def _watched(everything: bool) -> Callable[[str], bool]:
    folders = _folders(everything)

    @functools.cache
    def watched(file: str) -> bool:
        if file.startswith("<"):  # <string>, <stdin>, what a notebook runs; not <frozen ...>
            return not file.startswith("<frozen")
        return not os.path.abspath(file).startswith(folders)

    return watched


if sys.version_info >= (3, 12):
    _monitoring = sys.monitoring

    @contextlib.contextmanager
    def _instructions(watched: Callable[[str], bool]) -> Iterator[None]:
        """Each instruction of code that begins from here on tells the backend."""
        from ._gossamer import _race_instruction

        tool = next((n for n in (4, 3, 5, 2, 0, 1) if _monitoring.get_tool(n) is None), None)
        if tool is None:
            raise Unavailable("all tools of sys.monitoring are in use")
        events, seen = _monitoring.events, set[CodeType]()

        def begins(code: CodeType, offset: int) -> object:
            if watched(code.co_filename):
                seen.add(code)
                _monitoring.set_local_events(tool, code, events.INSTRUCTION)
            return _monitoring.DISABLE

        _monitoring.use_tool_id(tool, "gossamer")
        try:
            _monitoring.register_callback(tool, events.PY_START, begins)
            _monitoring.register_callback(tool, events.INSTRUCTION, _race_instruction)
            _monitoring.set_events(tool, events.PY_START)
            _monitoring.restart_events()  # what an earlier use has disabled
            yield
        finally:
            _monitoring.set_events(tool, 0)
            for code in seen:
                _monitoring.set_local_events(tool, code, 0)
            _monitoring.register_callback(tool, events.PY_START, None)
            _monitoring.register_callback(tool, events.INSTRUCTION, None)
            _monitoring.free_tool_id(tool)

else:

    @contextlib.contextmanager
    def _instructions(watched: Callable[[str], bool]) -> Iterator[None]:
        """The backend traces the goroutines."""
        if tracer := sys.gettrace():
            raise Unavailable(
                f"before Python 3.12 it needs sys.settrace(), which {type(tracer).__module__} uses: "
                "run it without coverage and debuggers"
            )
        yield


def check() -> None:
    """Raises Unavailable where seeded() would, but for other users of the interpreter's hooks."""
    if backend != "c":
        raise Unavailable(f"the {backend!r} backend runs goroutines as threads, which the system switches")


_busy = False


@contextlib.contextmanager
def seeded(seed: int, *, every: int | None = None, everything: bool = False) -> Iterator[None]:
    """With it: switches, and select's choices, are those of the seed. every: instructions from switch to switch, on
    average; None: as suits the seed. everything: the standard library and installed packages are watched, too."""
    global _busy
    check()
    from ._gossamer import _race_start, _race_stop

    if _busy:
        raise Unavailable("switches are chosen by a seed already")
    watched = _watched(everything)
    with _instructions(watched):
        _race_start(seed, every or (RARELY if seed % 4 == 3 else OFTEN), watched)
        _busy = True
        try:
            yield
        finally:
            _race_stop()
            _busy = False
