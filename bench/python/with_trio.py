# SPDX-License-Identifier: Apache-2.0
import trio
import trio.testing

SCALE = {"pingpong": 0.5, "stream": 0.5}


def pingpong(n, watch):
    async def main():
        (ping_in, ping_out), (pong_in, pong_out) = trio.open_memory_channel(0), trio.open_memory_channel(0)

        async def ponger():
            async for v in ping_out:
                await pong_in.send(v)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ponger)
            watch.start()
            for i in range(n // 2):
                await ping_in.send(i)
                await pong_out.receive()
            watch.stop()
            ping_in.close()

    trio.run(main)


def stream(n, watch):
    async def main():
        to, source = trio.open_memory_channel(0)

        async def producer():
            with to:
                for i in range(n):
                    await to.send(i)

        watch.start()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(producer)
            async for _ in source:
                pass
        watch.stop()

    trio.run(main)


def spawn_join(n, watch):
    async def nothing():
        pass

    async def main():
        watch.start()
        for _ in range(n // 1000):
            async with trio.open_nursery() as nursery:
                for _ in range(1000):
                    nursery.start_soon(nothing)
        watch.stop()

    trio.run(main)


def parked(n, watch):
    async def main():
        _to, source = trio.open_memory_channel(0)
        async with trio.open_nursery() as nursery:
            watch.start()
            for _ in range(n):
                nursery.start_soon(source.receive)
            await trio.testing.wait_all_tasks_blocked()
            watch.stop()
            nursery.cancel_scope.cancel()

    trio.run(main)
