"""Which backend there is: the C extension, or the same by cffi where no C extension can be used.

GOSSAMER_BACKEND=c or cffi chooses; else the C extension, and cffi on PyPy. The other modules import the one
that was chosen as gossamer._gossamer.
"""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import sys

__all__ = ["backend", "backend_features"]

# What the C extension has. See docs/python/backends.md.
_all = frozenset(
    {
        "ambient-context",
        "awaiting",
        "deadlock-report",
        "fork",
        "goroutines-in-user-space",
        "identity",
        "native",
        "no-lost-values",
        "pending-after-funcs-are-free",
        "readable",
        "signals",
        "slow-report",
        "stack-size",
        "weak-exit-report",
    }
)


def _chosen() -> str:
    name = os.environ.get("GOSSAMER_BACKEND", "")
    if name not in ("", "c", "cffi"):
        raise ImportError(f"GOSSAMER_BACKEND must be 'c' or 'cffi', not {name!r}")
    return name or ("c" if sys.implementation.name == "cpython" else "cffi")


def _use(name: str) -> frozenset[str]:
    if name == "c":
        return _all
    from . import _backend_cffi

    sys.modules["gossamer._gossamer"] = _backend_cffi
    return _backend_cffi.features


backend = _chosen()
backend_features = _use(backend)
