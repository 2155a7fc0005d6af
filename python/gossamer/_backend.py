"""Which backend there is: the C extension, or the same by cffi where no C extension can be used.

GOSSAMER_BACKEND=c or cffi chooses; else the C extension, and cffi on PyPy. The other modules import the one
that was chosen as gossamer._gossamer.
"""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import sys

__all__ = ["backend", "backend_features"]

# What the C extension has; docs/python/backends.md says what each of them means.
_all = frozenset(
    {
        "ambient-context",
        "closed-at-exit",
        "deadlock-report",
        "free-after-func",
        "goroutines-in-user-space",
        "identity",
        "native",
        "prompt-signals",
        "readable",
        "scheduler-stats",
        "seeded-switches",
        "signals",
        "slow-report",
        "stack-size",
    }
)
_python311 = frozenset({"awaiting"}) if sys.version_info >= (3, 11) else frozenset()


def _chosen() -> str:
    name = os.environ.get("GOSSAMER_BACKEND", "")
    if name not in ("", "c", "cffi"):
        raise ImportError(f"GOSSAMER_BACKEND must be 'c' or 'cffi', not {name!r}")
    return name or ("c" if sys.implementation.name == "cpython" else "cffi")


def _use(name: str) -> frozenset[str]:
    if name == "c":
        return _all | _python311
    from . import _backend_cffi

    sys.modules["gossamer._gossamer"] = _backend_cffi
    return _backend_cffi.features | _python311


backend = _chosen()
backend_features = _use(backend)
