# SPDX-License-Identifier: Apache-2.0
import gevent
from gevent.lock import Semaphore
from gevent.queue import Channel, Queue

from bench import Echo, SlowServer

SCALE = {"select_8": 0.5}


def pingpong(n, watch):
    ping, pong = Channel(), Channel()

    def ponger():
        while True:
            pong.put(ping.get())

    def pinger():
        for i in range(n // 2):
            ping.put(i)
            pong.get()

    gevent.spawn(ponger)
    watch.start()
    gevent.spawn(pinger).join()
    watch.stop()


def through(ch, n, watch):
    def producer():
        for i in range(n):
            ch.put(i)

    def consumer():
        for _ in range(n):
            ch.get()

    watch.start()
    gevent.joinall([gevent.spawn(producer), gevent.spawn(consumer)])
    watch.stop()


def stream(n, watch):
    through(Channel(), n, watch)


def buffered(n, watch):
    through(Queue(100), n, watch)


def nothing():
    pass


def spawn_join(n, watch):
    watch.start()
    for _ in range(n // 1000):
        gevent.joinall([gevent.spawn(nothing) for _ in range(1000)])
    watch.stop()


def from_any(k, n, watch):
    channels = [Channel() for _ in range(k)]

    def producer(ch):
        for i in range(n // k):
            ch.put(i)

    def consumer():
        left = n // k * k
        gets = {gevent.spawn(ch.get): ch for ch in channels}
        while left:
            for task in gevent.wait(list(gets), count=1):
                ch = gets.pop(task)
                gets[gevent.spawn(ch.get)] = ch
                left -= 1

    watch.start()
    for ch in channels:
        gevent.spawn(producer, ch)
    gevent.spawn(consumer).join()
    watch.stop()


def select_2(n, watch):
    from_any(2, n, watch)


def select_8(n, watch):
    from_any(8, n, watch)


def fan(n, watch):
    jobs, results = Channel(), Channel()

    def worker():
        while True:
            results.put(jobs.get() + 1)

    def producer():
        for i in range(n):
            jobs.put(i)

    def collector():
        for _ in range(n):
            results.get()

    for _ in range(100):
        gevent.spawn(worker)
    watch.start()
    gevent.spawn(producer)
    gevent.spawn(collector).join()
    watch.stop()


def pipeline(n, watch):
    def stage(source, to):
        while True:
            to.put(source.get())

    first = source = Channel()
    for _ in range(100):
        to = Channel()
        gevent.spawn(stage, source, to)
        source = to

    def producer():
        for i in range(n):
            first.put(i)

    def collector():
        for _ in range(n):
            source.get()

    watch.start()
    gevent.spawn(producer)
    gevent.spawn(collector).join()
    watch.stop()


def mutex(n, watch):
    mu, total = Semaphore(1), 0

    def adds():
        nonlocal total
        for _ in range(n // 100):
            with mu:
                total += 1

    watch.start()
    gevent.joinall([gevent.spawn(adds) for _ in range(100)])
    watch.stop()
    assert total == n // 100 * 100


def sleepers(n, watch):
    watch.start()
    gevent.joinall([gevent.spawn(gevent.sleep, (i % 100 + 1) / 1000) for i in range(n)])
    watch.stop()


def parked(n, watch):
    ch = Channel()
    watch.start()
    waiters = [gevent.spawn(ch.get) for _ in range(n)]
    gevent.sleep(0)
    gevent.sleep(0)
    watch.stop()
    assert len(waiters) == n == len(ch.getters)


def echo(connections, n, watch):
    from gevent.socket import socket

    load = Echo(connections, n)
    control = socket(fileno=load.control.detach())

    def serve(conn):
        while data := conn.recv(512):
            conn.sendall(data)

    for conn in load.accept_all():
        gevent.spawn(serve, socket(fileno=conn.detach()))
    control.recv(1)
    watch.start()
    control.send(b".")
    control.recv(1)
    watch.stop()
    control.send(b".")


def echo_100(n, watch):
    echo(100, n, watch)


def echo_1000(n, watch):
    echo(1000, n, watch)


def http_200(n, watch):
    with SlowServer() as url:
        from gevent import monkey

        monkey.patch_all()
        from urllib.request import urlopen

        def get():
            with urlopen(url) as answer:
                assert answer.read() == b"ok"

        watch.start()
        gevent.joinall([gevent.spawn(get) for _ in range(n)])
        watch.stop()
