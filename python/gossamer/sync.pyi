# SPDX-License-Identifier: Apache-2.0
from ._gossamer import Mutex as Mutex
from ._gossamer import Once as Once
from ._gossamer import WaitGroup as WaitGroup

__all__ = ["Mutex", "Once", "WaitGroup"]
