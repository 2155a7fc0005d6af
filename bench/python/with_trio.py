# SPDX-License-Identifier: Apache-2.0
from urllib.request import urlopen

import trio
import trio.testing

from bench import Echo, SlowServer

SCALE = {"pingpong": 0.5, "stream": 0.5, "buffered": 0.5, "select_2": 0.1, "select_8": 0.1, "fan": 0.5, "pipeline": 0.5}


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


def through(cap, n, watch):
    async def main():
        to, source = trio.open_memory_channel(cap)

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
            async with trio.open_nursery() as nursery:
                for _ in range(1000):
                    nursery.start_soon(nothing)
        watch.stop()

    trio.run(main)


def from_any(k, n, watch):
    async def main():
        channels = [trio.open_memory_channel(0) for _ in range(k)]
        got = 0

        async def producer(to):
            for i in range(n // k):
                await to.send(i)

        async def first_of_all():  # the first to receive cancels the others
            async def receive(source):
                nonlocal got
                await source.receive()
                got += 1
                race.cancel_scope.cancel()

            async with trio.open_nursery() as race:
                for _, source in channels:
                    race.start_soon(receive, source)

        async with trio.open_nursery() as nursery:
            for to, _ in channels:
                nursery.start_soon(producer, to)
            watch.start()
            while got < n // k * k:
                await first_of_all()
            watch.stop()

    trio.run(main)


def select_2(n, watch):
    from_any(2, n, watch)


def select_8(n, watch):
    from_any(8, n, watch)


def fan(n, watch):
    async def main():
        (jobs, source), (to, results) = trio.open_memory_channel(0), trio.open_memory_channel(0)

        async def worker():
            async for v in source:
                await to.send(v + 1)

        async def producer():
            with jobs:
                for i in range(n):
                    await jobs.send(i)

        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(worker)
            watch.start()
            nursery.start_soon(producer)
            for _ in range(n):
                await results.receive()
            watch.stop()

    trio.run(main)


def pipeline(n, watch):
    async def main():
        async def stage(source, to):
            with to:
                async for v in source:
                    await to.send(v)

        first, source = trio.open_memory_channel(0)
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                to, following = trio.open_memory_channel(0)
                nursery.start_soon(stage, source, to)
                source = following

            async def producer():
                with first:
                    for i in range(n):
                        await first.send(i)

            watch.start()
            nursery.start_soon(producer)
            async for _ in source:
                pass
            watch.stop()

    trio.run(main)


def mutex(n, watch):
    async def main():
        mu, total = trio.Lock(), 0

        async def adds():
            nonlocal total
            for _ in range(n // 100):
                async with mu:
                    total += 1

        watch.start()
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(adds)
        watch.stop()
        assert total == n // 100 * 100

    trio.run(main)


def sleepers(n, watch):
    async def main():
        watch.start()
        async with trio.open_nursery() as nursery:
            for i in range(n):
                nursery.start_soon(trio.sleep, (i % 100 + 1) / 1000)
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


def echo(connections, n, watch):
    load = Echo(connections, n)

    async def serve(conn):
        while data := await conn.recv(512):
            await conn.send(data)

    async def main():
        control = trio.socket.from_stdlib_socket(load.control)
        async with trio.open_nursery() as nursery:
            for conn in load.accept_all():
                conn.setblocking(False)
                nursery.start_soon(serve, trio.socket.from_stdlib_socket(conn))
            await control.recv(1)
            watch.start()
            await control.send(b".")
            await control.recv(1)
            watch.stop()
            await control.send(b".")

    trio.run(main)


def echo_100(n, watch):
    echo(100, n, watch)


def echo_1000(n, watch):
    echo(1000, n, watch)


def http_200(n, watch):
    def get(url):
        with urlopen(url) as answer:
            assert answer.read() == b"ok"

    async def main(url):
        limiter = trio.CapacityLimiter(n)
        watch.start()
        async with trio.open_nursery() as nursery:
            for _ in range(n):
                nursery.start_soon(lambda: trio.to_thread.run_sync(get, url, limiter=limiter))
        watch.stop()

    with SlowServer() as url:
        trio.run(main, url)
