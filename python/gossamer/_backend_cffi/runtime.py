"""Go's runtime package, as far as it means something where every goroutine is a thread."""
# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors

from __future__ import annotations

from .core import ffi, lib
from .errors import error_of
from .go import _ending, _live, created
from .wait import running


def gosched():
    """Lets other goroutines run. Go: runtime.Gosched."""
    lib.gos_gosched()


def goid():
    """The running goroutine's number; 0 in a thread that is none."""
    g = running()
    return g._id if g is not None else 0


def num_goroutine():
    """How many have not ended. Go: runtime.NumGoroutine."""
    return len(_live) + len(_ending) + 1


def num_cpu():
    """CPUs this process may use. Go: runtime.NumCPU."""
    return lib.gos_num_cpu()


def _int(n, fn):
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"{fn}() needs an int, not {type(n).__name__}")
    return n


def gomaxprocs(n=0, /):
    """Goroutines of C that may run at once; n > 0 sets it. The value before. Python's
    goroutines share one GIL. Go: runtime.GOMAXPROCS."""
    e = lib.gos_gomaxprocs(max(0, min(_int(n, "gomaxprocs"), 65536)))
    if e < 0:
        raise error_of(e, "gomaxprocs: other threads already run goroutines")
    return e


def _lock_os_thread():
    """Nothing to do: every goroutine has a thread of its own."""


def unlock_os_thread():
    """Undoes one lock_os_thread(); nothing where there was none. Go: runtime.UnlockOSThread."""


def set_max_threads(n, /):
    """The most OS threads that the core makes; the limit before. Those of this backend's goroutines do not count.
    Go: debug.SetMaxThreads."""
    if _int(n, "set_max_threads") <= 0:
        raise ValueError("the limit must be positive")
    return lib.gos_set_max_threads(min(n, (1 << 31) - 1))


def free_stacks():
    """Gives the memory of stacks that no goroutine uses back to the system; how many stacks. Go: debug.FreeOSMemory."""
    return lib.gos_free_stacks()


_names = (
    "threads",
    "idle_threads",
    "procs",
    "switches_out",
    "steals",
    "handoffs",
    "parks",
    "wakes",
    "stacks",
    "stack_bytes",
    "max_threads",
)


def _stats():
    s = ffi.new("gos_stats *")
    s.size = ffi.sizeof("gos_stats")
    e = lib.gos_stats_get(s, s.size)
    if e < 0:
        raise error_of(e, "stats")
    return {name: getattr(s, name) for name in _names} | {"goroutines": num_goroutine(), "created": created()}


def set_slow(seconds, hook=None):
    """Not in this backend, where no goroutine keeps others from running: seconds other than None raise
    NotImplementedError."""
    if seconds is not None:
        raise NotImplementedError("set_slow() is not in this backend: see gossamer.backend_features")
