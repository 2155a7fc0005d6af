"""Go's sync package: WaitGroup, Mutex, Once and the functions that go with it, Pool, Map."""
# SPDX-License-Identifier: Apache-2.0

from ._gossamer import Mutex, Once, Pool, WaitGroup
from ._map import Map
from ._once import once_func, once_value, once_values

__all__ = ["Map", "Mutex", "Once", "Pool", "WaitGroup", "once_func", "once_value", "once_values"]
