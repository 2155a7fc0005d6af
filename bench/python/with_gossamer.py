# SPDX-License-Identifier: Apache-2.0
from urllib.request import urlopen

from gossamer import Chan, go, readable, recv, select, sleep
from gossamer.sync import Mutex, WaitGroup

from bench import Echo, SlowServer

SCALE = {
    "pingpong": 20, "stream": 20, "buffered": 10, "spawn_join": 10, "select_2": 10, "select_8": 20,
    "fan": 10, "pipeline": 10, "mutex": 10, "parked": 5,
}  # fmt: skip


def pingpong(n, watch):
    ping, pong = Chan(), Chan()

    def ponger():
        for v in ping:
            pong.send(v)

    go(ponger)
    watch.start()
    for i in range(n // 2):
        ping.send(i)
        pong.recv()
    watch.stop()


def through(ch, n, watch):
    def producer():
        with ch:
            for i in range(n):
                ch.send(i)

    watch.start()
    go(producer)
    for _ in ch:
        pass
    watch.stop()


def stream(n, watch):
    through(Chan(), n, watch)


def buffered(n, watch):
    through(Chan(100), n, watch)


def nothing():
    pass


def spawn_join(n, watch):
    watch.start()
    for _ in range(n // 1000):
        for g in [go(nothing) for _ in range(1000)]:
            g.join()
    watch.stop()


def from_any(k, n, watch):
    channels = [Chan() for _ in range(k)]

    def producer(ch):
        for i in range(n // k):
            ch.send(i)

    cases = [recv(ch) for ch in channels]
    watch.start()
    for ch in channels:
        go(producer, ch)
    for _ in range(n // k * k):
        select(*cases)
    watch.stop()


def select_2(n, watch):
    from_any(2, n, watch)


def select_8(n, watch):
    from_any(8, n, watch)


def fan(n, watch):
    jobs, results = Chan(), Chan()

    def worker():
        for v in jobs:
            results.send(v + 1)

    def producer():
        with jobs:
            for i in range(n):
                jobs.send(i)

    for _ in range(100):
        go(worker)
    watch.start()
    go(producer)
    for _ in range(n):
        results.recv()
    watch.stop()


def pipeline(n, watch):
    def stage(source, to):
        with to:
            for v in source:
                to.send(v)

    first = source = Chan()
    for _ in range(100):
        to = Chan()
        go(stage, source, to)
        source = to

    def producer():
        with first:
            for i in range(n):
                first.send(i)

    watch.start()
    go(producer)
    for _ in source:
        pass
    watch.stop()


def mutex(n, watch):
    mu, wg, total = Mutex(), WaitGroup(), [0]

    def adds():
        for _ in range(n // 100):
            mu.lock()
            total[0] += 1
            mu.unlock()
        wg.done()

    wg.add(100)
    watch.start()
    for _ in range(100):
        go(adds)
    wg.wait()
    watch.stop()
    assert total[0] == n // 100 * 100


def sleepers(n, watch):
    watch.start()
    for g in [go(sleep, (i % 100 + 1) / 1000) for i in range(n)]:
        g.join()
    watch.stop()


def parked(n, watch):
    ch, ready = Chan(), Chan()

    def waiter():
        ready.send(None)
        ch.recv()

    watch.start()
    waiters = [go(waiter) for _ in range(n)]
    for _ in waiters:
        ready.recv()
    watch.stop()


def echo(connections, n, watch):
    load = Echo(connections, n)

    def serve(conn):
        case = readable(conn)
        while True:
            select(case)  # a client that has just been answered has not asked again yet
            data = conn.recv(512)
            if not data:
                return conn.close()
            conn.sendall(data)

    for conn in load.accept_all():
        go(serve, conn)
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
                return answer.read()

        watch.start()
        for g in [go(get) for _ in range(n)]:
            assert g.join() == b"ok"
        watch.stop()
