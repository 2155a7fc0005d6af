"""Raises ImportError where the package cannot work, before its C part fails with less of a reason."""
# SPDX-License-Identifier: Apache-2.0

import sys

if "t" in getattr(sys, "abiflags", ""):
    raise ImportError(
        "gossamer moves goroutines between threads under the GIL, and this is a free-threaded build of Python "
        f"{sys.version_info[0]}.{sys.version_info[1]}: use an ordinary one"
    )
