# SPDX-License-Identifier: Apache-2.0
from . import aio as aio
from . import atomic as atomic
from . import context as context
from . import errgroup as errgroup
from . import leakcheck as leakcheck
from . import logging as logging
from . import native as native
from . import patterns as patterns
from . import rate as rate
from . import runtime as runtime
from . import semaphore as semaphore
from . import signal as signal
from . import singleflight as singleflight
from . import sync as sync
from ._backend import backend as backend
from ._backend import backend_features as backend_features
from ._gossamer import Canceled as Canceled
from ._gossamer import Case as Case
from ._gossamer import Chan as Chan
from ._gossamer import ChanClosed as ChanClosed
from ._gossamer import DeadlineExceeded as DeadlineExceeded
from ._gossamer import Deadlock as Deadlock
from ._gossamer import Error as Error
from ._gossamer import Goroutine as Goroutine
from ._gossamer import Mutex as Mutex
from ._gossamer import Once as Once
from ._gossamer import RecvChan as RecvChan
from ._gossamer import SendChan as SendChan
from ._gossamer import Ticker as Ticker
from ._gossamer import Timer as Timer
from ._gossamer import WaitGroup as WaitGroup
from ._gossamer import WouldBlock as WouldBlock
from ._gossamer import __version__ as __version__
from ._gossamer import after as after
from ._gossamer import after_func as after_func
from ._gossamer import default as default
from ._gossamer import go as go
from ._gossamer import nil_chan as nil_chan
from ._gossamer import readable as readable
from ._gossamer import recv as recv
from ._gossamer import select as select
from ._gossamer import send as send
from ._gossamer import sleep as sleep
from ._gossamer import tick as tick
from ._gossamer import writable as writable
from ._late import awaiting as awaiting
from .native import get_include as get_include
from .native import get_library as get_library

__all__ = [
    "Canceled",
    "Case",
    "Chan",
    "ChanClosed",
    "DeadlineExceeded",
    "Deadlock",
    "Error",
    "Goroutine",
    "Mutex",
    "Once",
    "RecvChan",
    "SendChan",
    "Ticker",
    "Timer",
    "WaitGroup",
    "WouldBlock",
    "after",
    "after_func",
    "awaiting",
    "backend",
    "backend_features",
    "context",
    "default",
    "errgroup",
    "get_include",
    "get_library",
    "go",
    "nil_chan",
    "readable",
    "recv",
    "runtime",
    "select",
    "semaphore",
    "send",
    "sleep",
    "sync",
    "tick",
    "writable",
]
