# SPDX-License-Identifier: Apache-2.0
# asyncio on uvloop's event loop.
import uvloop
import with_asyncio
from with_asyncio import SCALE, parked, pingpong, spawn_join, stream

__all__ = ["SCALE", "parked", "pingpong", "spawn_join", "stream"]
with_asyncio.run = uvloop.run
