# SPDX-License-Identifier: Apache-2.0
# asyncio on uvloop's event loop.
import uvloop
import with_asyncio
from with_asyncio import *  # noqa: F403  every workload
from with_asyncio import SCALE as SCALE

with_asyncio.run = uvloop.run
