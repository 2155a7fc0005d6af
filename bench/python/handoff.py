#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How soon the others go on beside a goroutine that does not let go, and what idling costs.

    python handoff.py [--rounds N] [--idle SECONDS] [--json]

Each line of the first part: N times a goroutine is made ready, and the running one goes into a blocking call of 20 ms,
or computes for 40 ms; measured is the time from there until the other one runs. "ticks" is how late sleep(5 ms) is,
over and over, beside one that blocks or computes all the time.

    blocked          time.sleep
    blocked, socket  recv with a timeout
    hog              a loop in Python
    hog in C         hashing, which lets the GIL go
    ticks ...        sleep(0.005) beside it

The second part is the CPU time of the whole process, as a share of one core, while nothing happens: with 1,000 parked
goroutines; with 1,000 asleep for a minute; with one in a blocking call.
"""

import argparse
import hashlib
import json
import socket
import statistics
import sys
import time

from gossamer import Chan, go, sleep

BLOCK, HOG, TICK = 0.02, 0.04, 0.005
DATA = bytes(1 << 20)


def blocked():
    time.sleep(BLOCK)


pair = socket.socketpair()


def blocked_socket():
    pair[0].settimeout(BLOCK)
    try:
        pair[0].recv(1)
    except TimeoutError:
        pass


def hog():
    end = time.perf_counter() + HOG
    while time.perf_counter() < end:
        pass


def hog_in_c():
    end = time.perf_counter() + HOG
    while time.perf_counter() < end:
        hashlib.sha256(DATA).digest()


def beside(what, rounds):
    """Seconds until a ready goroutine runs, once main does what."""
    late = []

    def other():
        late.append(time.perf_counter() - began)

    for _ in range(rounds):
        g = go(other)
        began = time.perf_counter()
        what()
        g.join()
        sleep(0.001)
    return late


def ticks(what, rounds):
    """Seconds that sleep() is late while another goroutine does what all the time."""
    stop, late = Chan(), []

    def other():
        while not stop.closed:
            what()

    g = go(other)
    for _ in range(rounds):
        began = time.perf_counter()
        sleep(TICK)
        late.append(time.perf_counter() - began - TICK)
    stop.close()
    g.join()
    return late


def share(seconds):
    """CPU time per second of main's sleep."""
    sleep(1)  # what went on before has calmed down
    before, began = time.process_time(), time.perf_counter()
    sleep(seconds)
    return (time.process_time() - before) / (time.perf_counter() - began)


def idle(seconds):
    yield "nothing else", share(seconds)
    ch = Chan()
    parked = [go(ch.recv_ok) for _ in range(1000)]
    yield "1,000 parked", share(seconds)
    ch.close()
    for g in parked:
        g.join()
    asleep = [go(sleep, 60) for _ in range(1000)]
    yield "1,000 asleep", share(seconds)
    for g in asleep:
        g.interrupt()
    for g in asleep:
        g.done.recv_ok()
    g = go(time.sleep, seconds + 1.5)
    yield "one in a blocking call", share(seconds)
    g.join()


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--rounds", type=int, default=300)
    p.add_argument("--idle", type=float, default=5)
    p.add_argument("--json", action="store_true")
    args = p.parse_args()
    kinds = {"blocked": blocked, "blocked, socket": blocked_socket, "hog": hog, "hog in C": hog_in_c}
    late = {name: beside(fn, args.rounds) for name, fn in kinds.items()}
    late |= {f"ticks, {name}": ticks(fn, args.rounds) for name, fn in kinds.items()}
    idling = dict(idle(args.idle))
    if args.json:
        json.dump({"python": sys.version.split()[0], "late": late, "idle": idling}, sys.stdout)
        return
    print(f"Python {sys.version.split()[0]}, {args.rounds} rounds; milliseconds")
    print(f"{'':24}{'p50':>8} {'p99':>8} {'most':>8}")
    for name, values in late.items():
        ms = sorted(v * 1000 for v in values)
        p99 = ms[min(len(ms) - 1, int(len(ms) * 0.99))]
        print(f"{name:24}{statistics.median(ms):8.2f} {p99:8.2f} {ms[-1]:8.2f}")
    print(f"\nCPU time while idle, {args.idle:.0f} s; % of a core")
    for name, value in idling.items():
        print(f"{name:24}{value * 100:8.2f}")


if __name__ == "__main__":
    main()
