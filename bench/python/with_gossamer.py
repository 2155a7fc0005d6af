# SPDX-License-Identifier: Apache-2.0
from gossamer import Chan, go

SCALE = {"pingpong": 20, "stream": 20, "spawn_join": 10, "parked": 5}


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


def stream(n, watch):
    ch = Chan()

    def producer():
        with ch:
            for i in range(n):
                ch.send(i)

    watch.start()
    go(producer)
    for _ in ch:
        pass
    watch.stop()


def nothing():
    pass


def spawn_join(n, watch):
    watch.start()
    for _ in range(n // 1000):
        for g in [go(nothing) for _ in range(1000)]:
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
