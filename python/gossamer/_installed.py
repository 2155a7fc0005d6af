"""Where the package's header and library are, for builds against them."""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os

from ._gossamer import _native_library

__all__ = ["get_include", "get_library"]


def get_include() -> str:
    """The directory of gossamer.h, for the compiler."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "include")


def get_library() -> str:
    """The libgossamer that this process runs, to be linked with: a file."""
    return os.path.abspath(_native_library())
