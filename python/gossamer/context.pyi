# SPDX-License-Identifier: Apache-2.0
from ._gossamer import Canceled as Canceled
from ._gossamer import Context as Context
from ._gossamer import DeadlineExceeded as DeadlineExceeded
from ._gossamer import _context_after_func as after_func
from ._gossamer import background as background
from ._gossamer import current as current
from ._gossamer import merge as merge
from ._gossamer import todo as todo
from ._gossamer import with_cancel as with_cancel
from ._gossamer import with_deadline as with_deadline
from ._gossamer import with_grace as with_grace
from ._gossamer import with_timeout as with_timeout
from ._gossamer import with_value as with_value
from ._gossamer import without_cancel as without_cancel

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
