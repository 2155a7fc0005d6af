"""libgossamer by cffi: the library, its constants, and the thread on which its runtime begins.

Always true:
  Python's threads are foreign threads of the core: they keep their OS thread, and sleep in it
  the core's main goroutine is a thread of its own, which sleeps for good
  a timer is pending that never fires: the core, which cannot know of threads that wait for each other in Python,
  reports no deadlock
"""
# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors

from __future__ import annotations

import os
import threading

from .._cdef import ffi, version

NULL = ffi.NULL
OK, CLOSED, TIMEDOUT, CANCELED, WOULDBLOCK, INVAL, NOMEM, PERM = 0, -1, -2, -3, -4, -5, -6, -7
NOW, FOREVER = 0, (1 << 63) - 1
_AGES = 1 << 62

__version__ = version


def library_file() -> str:
    name = "libgossamer.so.0"
    beside = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), name)
    return beside if os.path.exists(beside) else name


lib = ffi.dlopen(library_file())
if lib.gos_abi_version() != lib.GOS_ABI:
    raise ImportError(f"libgossamer has ABI {lib.gos_abi_version()}, this module needs {lib.GOS_ABI}")


_pending = None


def keep_quiet() -> None:
    """Before a wait: no deadlock is reported."""
    global _pending
    if _pending is None:
        _pending = lib.gos_timer_new(_AGES)


def _in_child() -> None:
    """A fork's child has no timers. None is made until somebody waits: most children only exec."""
    global _pending
    _pending = None


def _begin(begun: threading.Event) -> None:
    lib.gos_init(NULL)
    keep_quiet()
    begun.set()
    while True:
        lib.gos_sleep(_AGES)


def _start() -> None:
    begun = threading.Event()
    threading.Thread(target=_begin, args=(begun,), name="gossamer", daemon=True).start()
    begun.wait()


_start()
os.register_at_fork(after_in_child=_in_child)
