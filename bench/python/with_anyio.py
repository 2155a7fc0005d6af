# SPDX-License-Identifier: Apache-2.0
# anyio on asyncio.
from urllib.request import urlopen

import anyio
import anyio.to_thread

from bench import SlowServer

SCALE = {"pingpong": 0.5, "stream": 0.5, "buffered": 0.5, "fan": 0.5, "pipeline": 0.5, "spawn_join": 0.5}


def channel(cap):
    return anyio.create_memory_object_stream(cap)


def pingpong(n, watch):
    async def main():
        (ping_in, ping_out), (pong_in, pong_out) = channel(0), channel(0)

        async def ponger():
            async for v in ping_out:
                await pong_in.send(v)

        async with anyio.create_task_group() as group:
            group.start_soon(ponger)
            watch.start()
            for i in range(n // 2):
                await ping_in.send(i)
                await pong_out.receive()
            watch.stop()
            ping_in.close()

    anyio.run(main)


def through(cap, n, watch):
    async def main():
        to, source = channel(cap)

        async def producer():
            with to:
                for i in range(n):
                    await to.send(i)

        watch.start()
        async with anyio.create_task_group() as group:
            group.start_soon(producer)
            async for _ in source:
                pass
        watch.stop()

    anyio.run(main)


def stream(n, watch):
    through(0, n, watch)


def buffered(n, watch):
    through(100, n, watch)


def spawn_join(n, watch):
    async def nothing():
        pass

    async def main():
        watch.start()
        for _ in range(n // 1000):
            async with anyio.create_task_group() as group:
                for _ in range(1000):
                    group.start_soon(nothing)
        watch.stop()

    anyio.run(main)


def fan(n, watch):
    async def main():
        (jobs, source), (to, results) = channel(0), channel(0)

        async def worker():
            async for v in source:
                await to.send(v + 1)

        async def producer():
            with jobs:
                for i in range(n):
                    await jobs.send(i)

        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(worker)
            watch.start()
            group.start_soon(producer)
            for _ in range(n):
                await results.receive()
            watch.stop()

    anyio.run(main)


def pipeline(n, watch):
    async def main():
        async def stage(source, to):
            with to:
                async for v in source:
                    await to.send(v)

        first, source = channel(0)
        async with anyio.create_task_group() as group:
            for _ in range(100):
                to, following = channel(0)
                group.start_soon(stage, source, to)
                source = following

            async def producer():
                with first:
                    for i in range(n):
                        await first.send(i)

            watch.start()
            group.start_soon(producer)
            async for _ in source:
                pass
            watch.stop()

    anyio.run(main)


def mutex(n, watch):
    async def main():
        mu, total = anyio.Lock(), 0

        async def adds():
            nonlocal total
            for _ in range(n // 100):
                async with mu:
                    total += 1

        watch.start()
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(adds)
        watch.stop()
        assert total == n // 100 * 100

    anyio.run(main)


def sleepers(n, watch):
    async def main():
        watch.start()
        async with anyio.create_task_group() as group:
            for i in range(n):
                group.start_soon(anyio.sleep, (i % 100 + 1) / 1000)
        watch.stop()

    anyio.run(main)


def parked(n, watch):
    async def main():
        _to, source = channel(0)
        async with anyio.create_task_group() as group:
            watch.start()
            for _ in range(n):
                group.start_soon(source.receive)
            await anyio.wait_all_tasks_blocked()
            watch.stop()
            group.cancel_scope.cancel()

    anyio.run(main)


def http_200(n, watch):
    def get(url):
        with urlopen(url) as answer:
            assert answer.read() == b"ok"

    async def main(url):
        limiter = anyio.CapacityLimiter(n)

        async def one():
            await anyio.to_thread.run_sync(get, url, limiter=limiter)

        watch.start()
        async with anyio.create_task_group() as group:
            for _ in range(n):
                group.start_soon(one)
        watch.stop()

    with SlowServer() as url:
        anyio.run(main, url)
