"""Go's runtime package: the scheduler's numbers, stacks, shutdown."""
# SPDX-License-Identifier: Apache-2.0

import time
from typing import NamedTuple

from ._gossamer import (
    Canceled,
    _stats,
    goid,
    gomaxprocs,
    goroutines,
    gosched,
    num_cpu,
    num_goroutine,
)

__all__ = [
    "Stats",
    "goid",
    "gomaxprocs",
    "goroutines",
    "gosched",
    "num_cpu",
    "num_goroutine",
    "shutdown",
    "stack",
    "stats",
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


def stats() -> Stats:
    """The scheduler's counters at this moment."""
    return Stats(**_stats())


def _describe(g, frame) -> str:
    import traceback  # not needed until now

    state = g.wait_reason or g.status
    name = f" [{g.name}]" if g.name else ""
    lines = [f"goroutine {g.id}{name} ({state}):\n"]
    lines += traceback.format_stack(frame) if frame is not None else []
    if g.site:
        lines.append(f"  created by goroutine {g.creator} at {g.site}\n")
    return "".join(lines)


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
        except TimeoutError:
            if g.status != "dead":
                return False
        except Canceled:
            pass
        except BaseException:  # what it raised is its own affair; join() has collected it
            if g.status != "dead":  # not its exception: this wait was interrupted
                raise
    return True
