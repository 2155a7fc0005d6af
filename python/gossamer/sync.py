"""Go's sync package: WaitGroup, Mutex, RWMutex, Cond, Once."""
# SPDX-License-Identifier: Apache-2.0

from ._gossamer import Cond, Locker, Mutex, Once, RWMutex, WaitGroup

__all__ = ["Cond", "Locker", "Mutex", "Once", "RWMutex", "WaitGroup"]
