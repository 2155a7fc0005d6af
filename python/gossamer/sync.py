"""Go's sync package: WaitGroup, Mutex, Once."""
# SPDX-License-Identifier: Apache-2.0

from ._gossamer import Mutex, Once, WaitGroup

__all__ = ["Mutex", "Once", "WaitGroup"]
