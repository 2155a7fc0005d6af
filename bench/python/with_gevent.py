# SPDX-License-Identifier: Apache-2.0
import gevent
from gevent.queue import Channel

SCALE = {"spawn_join": 1}


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


def stream(n, watch):
    ch = Channel()

    def producer():
        for i in range(n):
            ch.put(i)

    def consumer():
        for _ in range(n):
            ch.get()

    watch.start()
    gevent.joinall([gevent.spawn(producer), gevent.spawn(consumer)])
    watch.stop()


def nothing():
    pass


def spawn_join(n, watch):
    watch.start()
    for _ in range(n // 1000):
        gevent.joinall([gevent.spawn(nothing) for _ in range(1000)])
    watch.stop()


def parked(n, watch):
    ch = Channel()
    watch.start()
    waiters = [gevent.spawn(ch.get) for _ in range(n)]
    gevent.sleep(0)
    gevent.sleep(0)
    watch.stop()
    assert len(waiters) == n == len(ch.getters)
