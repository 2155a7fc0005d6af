"""Go's runtime package: the scheduler's numbers, stacks, shutdown."""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import time
from typing import NamedTuple

from ._gossamer import (
    _lock_os_thread,
    _stats,
    free_stacks,
    goexit,
    goid,
    gomaxprocs,
    goroutines,
    gosched,
    num_cpu,
    num_goroutine,
    set_max_threads,
    set_panic,
    set_slow,
    unlock_os_thread,
)

__all__ = [
    "Stats",
    "free_stacks",
    "goexit",
    "goid",
    "gomaxprocs",
    "goroutines",
    "gosched",
    "lock_os_thread",
    "num_cpu",
    "num_goroutine",
    "set_max_threads",
    "set_panic",
    "set_slow",
    "shutdown",
    "stack",
    "stats",
    "unlock_os_thread",
]


class Stats(NamedTuple):
    """What the scheduler has counted."""

    goroutines: int  # not ended
    threads: int  # OS threads of the runtime
    idle_threads: int
    procs: int  # GOMAXPROCS
    created: int  # goroutines, ever
    switches_out: int
    steals: int
    handoffs: int  # times another thread took over from a goroutine that blocked or computed
    parks: int
    wakes: int
    stacks: int  # C stacks made
    stack_bytes: int  # and their address space
    max_threads: int  # see set_max_threads()


def stats() -> Stats:
    """The scheduler's counters at this moment."""
    return Stats(**_stats())


class _Locked:
    __slots__ = ()

    def __enter__(self):
        return None

    def __exit__(self, *exc):
        unlock_os_thread()


def lock_os_thread():
    """Keeps the running goroutine on this OS thread, and all others off it, until unlock_os_thread() or the
    end of 'with lock_os_thread():'. Calls nest. For libraries that keep state with the thread; each switch
    then is one of OS threads, some microseconds. A goroutine that ends locked lets go of the thread.
    Go: runtime.LockOSThread."""
    _lock_os_thread()
    return _Locked()


def _summary(frame):
    import traceback  # not needed until now

    return traceback.StackSummary.from_list([]) if frame is None else traceback.extract_stack(frame)


def _describe(g, frame) -> str:
    import traceback  # not needed until now

    state = g.wait_reason or g.status
    name = f" [{g.name}]" if g.name else ""
    lines = [f"goroutine {g.id}{name} ({state}):\n"]
    lines += traceback.format_stack(frame) if frame is not None else []
    if g.site:
        lines.append(f"  created by goroutine {g.creator} at {g.site}\n")
    return "".join(lines)


def _report_slow(g, seconds):
    import sys

    text = _describe(g, g._frame)
    print(f"gossamer: has computed for {seconds:.3f} s without letting others run: {text}", file=sys.stderr)


def stack(all: bool = False) -> str:
    """The running goroutine's stack as text; with all, that of every goroutine. Go: runtime.Stack."""
    me = goid()
    return "\n".join(_describe(g, g._frame) for g in goroutines() if all or g.id == me)


def shutdown(timeout: float | None = None) -> bool:
    """Interrupts all other goroutines with Canceled and waits for them to end.

    True when all have ended; False when timeout (seconds; None: for ever) passed first.
    """
    me = goid()
    others = [g for g in goroutines() if g.id not in (1, me)]
    end = None if timeout is None else time.monotonic() + timeout
    for g in others:
        g.interrupt()
    for g in others:
        try:
            g.join(None if end is None else end - time.monotonic())
        except BaseException as e:
            if e is g.exception():  # what it raised is its own affair; join() has collected it
                continue
            if isinstance(e, TimeoutError) and g.status == "dead":
                continue
            if isinstance(e, TimeoutError):
                return False
            raise  # this wait was interrupted, perhaps just as g ended
    return True
