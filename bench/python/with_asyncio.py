# SPDX-License-Identifier: Apache-2.0
# asyncio has no channel without capacity: Queue(1) is the least.
import asyncio

SCALE = {}
run = asyncio.run


def pingpong(n, watch):
    async def main():
        ping, pong = asyncio.Queue(1), asyncio.Queue(1)

        async def ponger():
            while True:
                await pong.put(await ping.get())

        async def pinger():
            for i in range(n // 2):
                await ping.put(i)
                await pong.get()

        task = asyncio.create_task(ponger())
        watch.start()
        await asyncio.create_task(pinger())
        watch.stop()
        task.cancel()

    run(main())


def stream(n, watch):
    async def main():
        queue = asyncio.Queue(1)

        async def producer():
            for i in range(n):
                await queue.put(i)

        async def consumer():
            for _ in range(n):
                await queue.get()

        watch.start()
        await asyncio.gather(producer(), consumer())
        watch.stop()

    run(main())


def spawn_join(n, watch):
    async def nothing():
        pass

    async def main():
        watch.start()
        for _ in range(n // 1000):
            await asyncio.gather(*[asyncio.create_task(nothing()) for _ in range(1000)])
        watch.stop()

    run(main())


def parked(n, watch):
    async def main():
        queue = asyncio.Queue(1)
        watch.start()
        tasks = [asyncio.create_task(queue.get()) for _ in range(n)]
        await asyncio.sleep(0)
        watch.stop()
        for task in tasks:
            task.cancel()

    run(main())
