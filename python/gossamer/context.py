"""Go's context package: what may be given up together, deadlines and values."""
# SPDX-License-Identifier: Apache-2.0

from ._gossamer import (
    Canceled,
    Context,
    DeadlineExceeded,
    background,
    current,
    merge,
    todo,
    with_cancel,
    with_deadline,
    with_grace,
    with_timeout,
    with_value,
    without_cancel,
)
from ._gossamer import _context_after_func as after_func

__all__ = [
    "Canceled",
    "Context",
    "DeadlineExceeded",
    "after_func",
    "background",
    "current",
    "merge",
    "todo",
    "with_cancel",
    "with_deadline",
    "with_grace",
    "with_timeout",
    "with_value",
    "without_cancel",
]
