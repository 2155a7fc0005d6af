# SPDX-License-Identifier: Apache-2.0
# asyncio has no channel without capacity: Queue(1) is the least.
import asyncio
from concurrent.futures import ThreadPoolExecutor
from urllib.request import urlopen

from bench import Echo, SlowServer

SCALE = {"select_8": 0.5}
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


def through(cap, n, watch):
    async def main():
        queue = asyncio.Queue(cap)

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


def stream(n, watch):
    through(1, n, watch)


def buffered(n, watch):
    through(100, n, watch)


def spawn_join(n, watch):
    async def nothing():
        pass

    async def main():
        watch.start()
        for _ in range(n // 1000):
            await asyncio.gather(*[asyncio.create_task(nothing()) for _ in range(1000)])
        watch.stop()

    run(main())


def from_any(k, n, watch):
    async def main():
        queues = [asyncio.Queue(1) for _ in range(k)]

        async def producer(queue):
            for i in range(n // k):
                await queue.put(i)

        producers = [asyncio.create_task(producer(q)) for q in queues]
        left = n // k * k
        watch.start()
        gets = {asyncio.create_task(q.get()): q for q in queues}
        while left:
            done, _ = await asyncio.wait(gets, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                queue = gets.pop(task)
                gets[asyncio.create_task(queue.get())] = queue
                left -= 1
        watch.stop()
        await asyncio.gather(*producers)
        for task in gets:
            task.cancel()

    run(main())


def select_2(n, watch):
    from_any(2, n, watch)


def select_8(n, watch):
    from_any(8, n, watch)


def fan(n, watch):
    async def main():
        jobs, results = asyncio.Queue(1), asyncio.Queue(1)

        async def worker():
            while True:
                await results.put(await jobs.get() + 1)

        async def producer():
            for i in range(n):
                await jobs.put(i)

        tasks = [asyncio.create_task(worker()) for _ in range(100)]
        watch.start()
        tasks.append(asyncio.create_task(producer()))
        for _ in range(n):
            await results.get()
        watch.stop()
        for task in tasks:
            task.cancel()

    run(main())


def pipeline(n, watch):
    async def main():
        async def stage(source, to):
            while True:
                await to.put(await source.get())

        first = source = asyncio.Queue(1)
        tasks = []
        for _ in range(100):
            to = asyncio.Queue(1)
            tasks.append(asyncio.create_task(stage(source, to)))
            source = to

        async def producer():
            for i in range(n):
                await first.put(i)

        watch.start()
        tasks.append(asyncio.create_task(producer()))
        for _ in range(n):
            await source.get()
        watch.stop()
        for task in tasks:
            task.cancel()

    run(main())


def mutex(n, watch):
    async def main():
        mu, total = asyncio.Lock(), 0

        async def adds():
            nonlocal total
            for _ in range(n // 100):
                async with mu:
                    total += 1

        watch.start()
        await asyncio.gather(*[adds() for _ in range(100)])
        watch.stop()
        assert total == n // 100 * 100

    run(main())


def sleepers(n, watch):
    async def main():
        watch.start()
        await asyncio.gather(*[asyncio.sleep((i % 100 + 1) / 1000) for i in range(n)])
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


class EchoProtocol(asyncio.Protocol):
    """The fastest way asyncio has; streams take twice as long."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


def echo(connections, n, watch):
    load = Echo(connections, n)

    async def main():
        loop = asyncio.get_running_loop()
        load.listener.setblocking(False)
        server = await loop.create_server(EchoProtocol, sock=load.listener)
        load.control.setblocking(False)
        await loop.sock_recv(load.control, 1)
        watch.start()
        await loop.sock_sendall(load.control, b".")
        await loop.sock_recv(load.control, 1)
        watch.stop()
        await loop.sock_sendall(load.control, b".")
        server.close()

    run(main())


def echo_100(n, watch):
    echo(100, n, watch)


def echo_1000(n, watch):
    echo(1000, n, watch)


def http_200(n, watch):
    def get(url):
        with urlopen(url) as answer:
            return answer.read()

    async def main(url):
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(n))  # its own choice would be 6 at once
        watch.start()
        for answer in await asyncio.gather(*[asyncio.to_thread(get, url) for _ in range(n)]):
            assert answer == b"ok"
        watch.stop()

    with SlowServer() as url:
        run(main(url))
