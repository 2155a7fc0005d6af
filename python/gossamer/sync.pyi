# SPDX-License-Identifier: Apache-2.0
from ._gossamer import Cond as Cond
from ._gossamer import Locker as Locker
from ._gossamer import Mutex as Mutex
from ._gossamer import Once as Once
from ._gossamer import Pool as Pool
from ._gossamer import RWMutex as RWMutex
from ._gossamer import WaitGroup as WaitGroup
from ._map import Map as Map
from ._once import once_func as once_func
from ._once import once_value as once_value
from ._once import once_values as once_values

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
