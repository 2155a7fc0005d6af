# SPDX-License-Identifier: Apache-2.0
from contextlib import AbstractContextManager
from traceback import StackSummary
from types import FrameType
from typing import Any, NamedTuple

from ._gossamer import Goroutine
from ._gossamer import free_stacks as free_stacks
from ._gossamer import goexit as goexit
from ._gossamer import goid as goid
from ._gossamer import gomaxprocs as gomaxprocs
from ._gossamer import goroutines as goroutines
from ._gossamer import gosched as gosched
from ._gossamer import num_cpu as num_cpu
from ._gossamer import num_goroutine as num_goroutine
from ._gossamer import set_max_threads as set_max_threads
from ._gossamer import set_panic as set_panic
from ._gossamer import set_slow as set_slow
from ._gossamer import unlock_os_thread as unlock_os_thread

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
    max_threads: int

def lock_os_thread() -> AbstractContextManager[None]: ...
def _describe(g: Goroutine[Any], frame: FrameType | None) -> str: ...
def _summary(frame: FrameType | None) -> StackSummary: ...
def _report_slow(g: Goroutine[Any], seconds: float) -> None: ...
def stats() -> Stats: ...
def stack(all: bool = False) -> str: ...
def shutdown(timeout: float | None = None) -> bool: ...
