# SPDX-License-Identifier: Apache-2.0
from typing import NamedTuple

from ._gossamer import goid as goid
from ._gossamer import gomaxprocs as gomaxprocs
from ._gossamer import goroutines as goroutines
from ._gossamer import gosched as gosched
from ._gossamer import num_cpu as num_cpu
from ._gossamer import num_goroutine as num_goroutine

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
    goroutines: int
    threads: int
    idle_threads: int
    procs: int
    created: int
    switches_out: int
    steals: int
    handoffs: int
    parks: int
    wakes: int
    stacks: int
    stack_bytes: int

def stats() -> Stats: ...
def stack(all: bool = False) -> str: ...
def shutdown(timeout: float | None = None) -> bool: ...
