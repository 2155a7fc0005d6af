"""Go's sync package: WaitGroup, Mutex, RWMutex, Cond, Once and the functions that go with it, Pool, Map."""
# SPDX-License-Identifier: Apache-2.0

from ._gossamer import Cond, Locker, Mutex, Once, Pool, RWMutex, WaitGroup
from ._map import Map
from ._once import once_func, once_value, once_values

__all__ = [
    "Cond",
    "Locker",
    "Map",
    "Mutex",
    "Once",
    "Pool",
    "RWMutex",
    "WaitGroup",
    "once_func",
    "once_value",
    "once_values",
]
