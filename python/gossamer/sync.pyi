# SPDX-License-Identifier: Apache-2.0
from ._gossamer import Cond as Cond
from ._gossamer import Locker as Locker
from ._gossamer import Mutex as Mutex
from ._gossamer import Once as Once
from ._gossamer import RWMutex as RWMutex
from ._gossamer import WaitGroup as WaitGroup

__all__ = ["Cond", "Locker", "Mutex", "Once", "RWMutex", "WaitGroup"]
