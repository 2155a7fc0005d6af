# SPDX-License-Identifier: Apache-2.0
# Threads and queue.Queue(1), the least capacity there is.
from queue import Queue
from threading import Lock, Thread
from time import sleep
from urllib.request import urlopen

from bench import Echo, SlowServer

SCALE = {
    "pingpong": 0.2, "stream": 0.2, "spawn_join": 0.1, "fan": 0.1, "pipeline": 0.1, "parked": 0.1, "sleepers": 0.1,
}  # fmt: skip


def started(*threads):
    for t in threads:
        t.start()
    return threads


def pingpong(n, watch):
    ping, pong = Queue(1), Queue(1)

    def ponger():
        while True:
            pong.put(ping.get())

    started(Thread(target=ponger, daemon=True))
    watch.start()
    for i in range(n // 2):
        ping.put(i)
        pong.get()
    watch.stop()


def through(cap, n, watch):
    queue = Queue(cap)

    def producer():
        for i in range(n):
            queue.put(i)

    watch.start()
    started(Thread(target=producer))
    for _ in range(n):
        queue.get()
    watch.stop()


def stream(n, watch):
    through(1, n, watch)


def buffered(n, watch):
    through(100, n, watch)


def nothing():
    pass


def spawn_join(n, watch):
    watch.start()
    for _ in range(n // 1000):
        for t in started(*[Thread(target=nothing) for _ in range(1000)]):
            t.join()
    watch.stop()


def fan(n, watch):
    jobs, results = Queue(1), Queue(1)

    def worker():
        while True:
            results.put(jobs.get() + 1)

    def producer():
        for i in range(n):
            jobs.put(i)

    started(*[Thread(target=worker, daemon=True) for _ in range(100)])
    watch.start()
    started(Thread(target=producer))
    for _ in range(n):
        results.get()
    watch.stop()


def pipeline(n, watch):
    def stage(source, to):
        while True:
            to.put(source.get())

    first = source = Queue(1)
    for _ in range(100):
        to = Queue(1)
        started(Thread(target=stage, args=(source, to), daemon=True))
        source = to

    def producer():
        for i in range(n):
            first.put(i)

    watch.start()
    started(Thread(target=producer))
    for _ in range(n):
        source.get()
    watch.stop()


def mutex(n, watch):
    mu, total = Lock(), 0

    def adds():
        nonlocal total
        for _ in range(n // 100):
            with mu:
                total += 1

    watch.start()
    for t in started(*[Thread(target=adds) for _ in range(100)]):
        t.join()
    watch.stop()
    assert total == n // 100 * 100


def sleepers(n, watch):
    watch.start()
    for t in started(*[Thread(target=sleep, args=((i % 100 + 1) / 1000,)) for i in range(n)]):
        t.join()
    watch.stop()


def parked(n, watch):
    queue = Queue(1)
    watch.start()
    started(*[Thread(target=queue.get, daemon=True) for _ in range(n)])
    watch.stop()


def echo(connections, n, watch):
    load = Echo(connections, n)

    def serve(conn):
        while data := conn.recv(512):
            conn.sendall(data)

    started(*[Thread(target=serve, args=(conn,), daemon=True) for conn in load.accept_all()])
    load.ready()
    watch.start()
    load.run()
    watch.stop()
    load.end()


def echo_100(n, watch):
    echo(100, n, watch)


def echo_1000(n, watch):
    echo(1000, n, watch)


def http_200(n, watch):
    with SlowServer() as url:

        def get():
            with urlopen(url) as answer:
                assert answer.read() == b"ok"

        watch.start()
        for t in started(*[Thread(target=get) for _ in range(n)]):
            t.join()
        watch.stop()
