# SPDX-License-Identifier: Apache-2.0
# Threads and queue.Queue(1), the least capacity there is.
from queue import Queue
from threading import Thread

SCALE = {"pingpong": 0.2, "stream": 0.2, "spawn_join": 0.1, "parked": 0.1}


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


def stream(n, watch):
    queue = Queue(1)

    def producer():
        for i in range(n):
            queue.put(i)

    watch.start()
    started(Thread(target=producer))
    for _ in range(n):
        queue.get()
    watch.stop()


def nothing():
    pass


def spawn_join(n, watch):
    watch.start()
    for _ in range(n // 1000):
        for t in started(*[Thread(target=nothing) for _ in range(1000)]):
            t.join()
    watch.stop()


def parked(n, watch):
    queue = Queue(1)
    watch.start()
    started(*[Thread(target=queue.get, daemon=True) for _ in range(n)])
    watch.stop()
