#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""60 goroutines that do everything at once, for as long as asked: python mix.py [SECONDS] [--goroutines N] [--seed N]

Each does one kind of thing over and over, and checks what comes of it. At the end open files, goroutines and threads
are as many as at the start. From two minutes on memory must be flat: the median in the last third may not be above
that in the second by more than 1 % + 256 KiB. The last line is "flat" or "ok", the exit status 0, or what failed.
"""

import argparse
import asyncio
import concurrent.futures
import contextlib
import contextvars
import ctypes
import decimal
import gc
import hashlib
import http.server
import importlib
import json
import logging
import logging.handlers
import os
import queue
import random
import select as selects
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.request
import weakref
import zlib
from pathlib import Path

from gossamer import (
    Canceled,
    Chan,
    ChanClosed,
    Mutex,
    Ticker,
    Timer,
    WaitGroup,
    after,
    after_func,
    context,
    default,
    errgroup,
    go,
    readable,
    recv,
    runtime,
    select,
    semaphore,
    send,
    singleflight,
    sleep,
    sync,
)


def check(condition, *words):
    if not condition:
        raise AssertionError(*words)


class World:
    """What they share."""

    def __init__(self, folder):
        self.folder = Path(folder)
        sys.path.insert(0, folder)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.server.daemon_threads = False
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        self.serving = go(self.server.serve_forever, 0.05)
        self.log = logging.getLogger("mix")
        self.log.propagate = False
        self.log.setLevel(logging.INFO)
        self.handler = logging.handlers.MemoryHandler(20)
        self.log.addHandler(self.handler)
        self.mutex, self.counter, self.added = Mutex(), 0, 0
        self.slots = semaphore.Weighted(3)
        self.flight = singleflight.Group()
        self.local = threading.local()
        self.var = contextvars.ContextVar("var", default=None)

    def end(self):
        self.server.shutdown()
        self.serving.join()
        self.server.server_close()
        check(self.counter == self.added, "lock", self.counter, self.added)
        sys.path.remove(str(self.folder))


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


# ---- what they do: one round each ------------------------------------------------------------------------------
def database(world, rng, me):
    path = world.folder / f"db{me % 2}"
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as db:
        with db:
            db.execute("create table if not exists t(who int, n int)")
            db.executemany("insert into t values(?, ?)", [(me, n) for n in range(20)])
        got = db.execute("select sum(n), count(*) from t where who = ?", (me,)).fetchone()
        check(got == (190, 20), got)
        with db:
            db.execute("delete from t where who = ?", (me,))


def sockets(world, rng, me):
    def echo(server):
        conn, _ = server.accept()
        with conn:
            while data := conn.recv(4096):
                conn.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as server:
        g = go(echo, server)
        with socket.create_connection(server.getsockname()) as client:
            for n in range(10):
                text = b"%d %d" % (me, n)
                client.sendall(text)
                check(client.recv(4096) == text)
        g.join()


def processes(world, rng, me):
    text = b"%d" % rng.randrange(10**9)
    done = subprocess.run(["cat"], input=text, capture_output=True, check=True)
    check(done.stdout == text and done.stderr == b"")


def spinner(world, rng, me):
    n, total = rng.randrange(20_000, 200_000), 0
    for i in range(n):
        total += i
    check(total == n * (n - 1) // 2)


def channels(world, rng, me):
    numbers, squares, n = Chan(rng.randrange(3)), Chan(rng.randrange(3)), rng.randrange(1, 200)

    def produce():
        with numbers:
            for i in range(n):
                numbers.send(i)

    def square():
        for i in numbers:
            squares.send(i * i)

    group = [go(square) for _ in range(3)]
    go(produce)
    go(lambda: ([g.join() for g in group], squares.close()))
    check(sum(squares) == sum(i * i for i in range(n)))


def selecting(world, rng, me):
    a, b, out, got = Chan(), Chan(1), Chan(1), []
    g1, g2 = go(lambda: [a.send(i) for i in range(30)]), go(lambda: [b.send(i) for i in range(30)])
    ra, rb = recv(a), recv(b)
    while len(got) < 60:
        case = select(ra, rb, send(out, 1), recv(after(60)), timeout=rng.choice([None, 60]))
        if case is ra or case is rb:
            got.append(case.value)
        else:
            check(out.recv() == 1)
    check(sorted(got) == sorted([*range(30), *range(30)]))
    check(select(ra, default) is default and select(ra, timeout=0.001) is None)
    g1.join(), g2.join()
    r, w = os.pipe()
    try:
        go(os.write, w, b"x")
        check(select(readable(r), ra).chan == r or True)
        check(os.read(r, 1) == b"x")
    finally:
        os.close(r), os.close(w)


def contexts(world, rng, me):
    with context.with_cancel(context.background()) as root:
        kids = [context.with_timeout(60, root) for _ in range(5)]
        waiting = [go(k.done.recv_ok) for k in kids]
        ended = Chan(1)
        context.after_func(kids[0], lambda: ended.send(1))
        root.cancel()
        for g in waiting:
            check(g.join() == (None, False))
        check(ended.recv(timeout=60) == 1 and all(isinstance(k.err(), Canceled) for k in kids))
    try:
        with context.with_timeout(0.002, context.background()):
            Chan().recv()
    except TimeoutError:
        return
    raise AssertionError("no timeout")


def timers(world, rng, me):
    fired = Chan(4)
    keep = [after_func(rng.random() / 500, fired.send, i) for i in range(4)]
    check(sorted(fired.recv(timeout=60) for _ in keep) == [0, 1, 2, 3])
    t = Timer(60)
    check(t.stop() and not t.stop())
    t.reset(0.001)
    t.C.recv(timeout=60)
    with Ticker(0.001) as ticks:
        for _ in range(3):
            ticks.C.recv(timeout=60)
    began = time.monotonic()
    sleep(0.002)
    check(time.monotonic() - began >= 0.002)


def threads(world, rng, me):
    ch, q, lock, n = Chan(), queue.Queue(), threading.Lock(), [0]

    def work():
        with lock:
            n[0] += 1
        ch.send(threading.get_ident())
        q.put(1)

    ts = [threading.Thread(target=work) for _ in range(3)]
    for t in ts:
        t.start()
    idents = {ch.recv(timeout=60) for _ in ts}
    for t in ts:
        t.join()
    check(n == [3] and threading.get_ident() not in idents and [q.get() for _ in ts] == [1] * 3)


def rlocks(world, rng, me):
    lock, cond, got = threading.RLock(), threading.Condition(), []

    def add():
        for _ in range(5):
            with lock, lock:
                runtime.gosched()
                n = len(got)
                runtime.gosched()
                got.append(n)
        with cond:
            cond.notify_all()

    gs = [go(add) for _ in range(3)]
    with cond:
        check(cond.wait_for(lambda: len(got) == 15, timeout=60))
    for g in gs:
        g.join()
    check(got == list(range(15)))


def imports(world, rng, me):
    name = f"mix_{me}"
    path = world.folder / f"{name}.py"
    path.write_text("import time\ntime.sleep(0.001)\nvalue = [1, 2, 3]\n")
    importlib.invalidate_caches()
    gs = [go(importlib.import_module, name) for _ in range(3)]
    modules = {id(g.join()) for g in gs}
    check(len(modules) == 1 and sys.modules.pop(name).value == [1, 2, 3])
    importlib.import_module(rng.choice(["json", "csv", "email.message", "xml.dom", "calendar"]))


def exceptions(world, rng, me):
    def fail(depth):
        if depth:
            return fail(depth - 1)
        raise KeyError(me)

    try:
        go(fail, 5).join()
    except KeyError as e:
        check(e.args == (me,) and len(traceback.extract_tb(e.__traceback__)) >= 6)
    try:
        with errgroup.Group() as group:
            group.go(fail, 1)
            group.go(sleep, 60)
    except KeyError as e:
        check(e.args == (me,))

    def deep():
        return deep()

    try:
        go(deep).join()
    except RecursionError:
        pass
    else:
        raise AssertionError("no RecursionError")


def interrupts(world, rng, me):
    g = go(Chan().recv)
    runtime.gosched()
    g.interrupt()
    try:
        g.join()
    except Canceled:
        pass
    else:
        raise AssertionError("not interrupted")
    ch = Chan()
    g = go(ch.recv)
    ch.close()
    try:
        g.join()
    except ChanClosed:
        pass
    else:
        raise AssertionError("not closed")


def files(world, rng, me):
    data = os.urandom(rng.randrange(1, 100_000))
    path = world.folder / f"file{me}"
    path.write_bytes(data)
    check(path.read_bytes() == data)
    with tempfile.NamedTemporaryFile("w+", dir=world.folder) as f:
        json.dump({"me": me}, f)
        f.seek(0)
        check(json.load(f) == {"me": me})


def asynchronous(world, rng, me):
    async def work():
        await asyncio.sleep(0.001)
        ch = Chan()
        g = go(ch.recv)
        await ch.asend(me)
        return await g

    check(asyncio.run(work()) == me)


def executors(world, rng, me):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        check(list(pool.map(abs, range(-5, 0))) == [5, 4, 3, 2, 1])


def compute_in_c(world, rng, me):
    data = bytes([me % 256]) * rng.randrange(100_000, 1_000_000)
    check(zlib.decompress(zlib.compress(data)) == data)
    check(hashlib.sha256(data).digest() == hashlib.sha256(data[:10] + data[10:]).digest())


def http_requests(world, rng, me):
    with urllib.request.urlopen(world.url + str(me), timeout=60) as answer:
        check(answer.read() == b"/%d" % me)


def finalizers(world, rng, me):
    class Node:
        def __del__(self):
            seen.try_send(1)

    seen = Chan(100)
    for _ in range(10):
        n = Node()
        n.me = n
    gone = weakref.ref(n)
    del n
    while len(seen) < 10:  # another thread's collection may be under way, then this one does nothing
        gc.collect()
        runtime.gosched()
    check(gone() is None)


def identity(world, rng, me):
    check(not hasattr(world.local, "me"))
    world.local.me = me
    world.var.set(me)
    with decimal.localcontext(prec=me + 5):
        for _ in range(5):
            runtime.gosched()
            time.sleep(0)
            check(world.local.me == me and world.var.get() == me and decimal.getcontext().prec == me + 5)
    del world.local.me
    check(go(world.var.get).join() == me)
    world.log.info("%d", me)


def locks(world, rng, me):
    for _ in range(20):
        with world.mutex:
            n = world.counter
            if rng.random() < 0.3:
                runtime.gosched()
            world.counter = n + 1
            world.added += 1
    with world.slots.hold(rng.choice([1, 2, 3])):
        sleep(0.0005)
    world.flight.do("key", sleep, 0.001)


def waitgroups(world, rng, me):
    wg, once, m, total = WaitGroup(), sync.Once(), sync.Map(), [0]

    def one(i):
        once.do(lambda: total.__setitem__(0, 1))
        m.store(i, i * i)

    for i in range(10):
        wg.go(one, i)
    wg.wait()
    check(total == [1] and len(m) == 10 and m.load(3) == (9, True))


def callbacks(world, rng, me):
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    values = (ctypes.c_int * 20)(*[rng.randrange(1000) for _ in range(20)])

    def cmp(x, y):
        runtime.gosched()
        return x[0] - y[0]

    ctypes.CDLL(None).qsort(values, 20, 4, compare(cmp))
    check(list(values) == sorted(values))


def locked(world, rng, me):
    with runtime.lock_os_thread():
        thread = threading.get_native_id()
        for _ in range(3):
            runtime.gosched()
            sleep(0.0005)
            check(threading.get_native_id() == thread)


def polls(world, rng, me):
    a, b = socket.socketpair()
    with a, b:
        go(lambda: (time.sleep(0.001), b.send(b"x")))
        check(selects.select([a], [], [], 60)[0] == [a] and a.recv(1) == b"x")


KINDS = [
    database, sockets, processes, spinner, channels, selecting, contexts, timers, threads, rlocks, imports,
    exceptions, interrupts, files, asynchronous, executors, compute_in_c, http_requests, finalizers, identity,
    locks, waitgroups, callbacks, locked, polls,
]  # fmt: skip


# ---- the run ---------------------------------------------------------------------------------------------------
def work(world, kind, me, seed, stop, rounds):
    rng = random.Random(f"{seed} {me}")
    while not stop.closed:
        try:
            kind(world, rng, me)
        except BaseException as e:
            e.add_note(f"in {kind.__name__}, goroutine {me}, round {rounds[kind.__name__]}")
            raise
        rounds[kind.__name__] += 1
        if kind is finalizers or kind is spinner:
            sleep(0.05)  # else it would be all there is


def resident():
    """Of the process, in KiB. What malloc keeps for later is given back first: with glibc up to some 2 MiB in each of
    its arenas, which the threads that compress 1 MB come to one by one, for as long as this runs."""
    getattr(ctypes.CDLL(None), "malloc_trim", int)(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024


def counts():
    gc.collect()
    return {
        "open files": len(os.listdir("/proc/self/fd")),
        "goroutines": runtime.num_goroutine(),
        "threads": threading.active_count() - sum(isinstance(t, threading._DummyThread) for t in threading.enumerate()),
    }


def settle(before):
    """What did not come back to what it was within a minute."""
    for _ in range(600):
        now = counts()
        if now == before:
            return {}
        sleep(0.1)
    return {k: (before[k], now[k]) for k in before if now[k] != before[k]}


def watch(seconds, running):
    """Resident memory in KiB, third by third; ends early when a goroutine does."""
    thirds = []
    for _ in range(3):
        samples, end = [], time.monotonic() + seconds / 3
        while time.monotonic() < end and all(g.status != "dead" for g in running):
            samples.append(resident())
            sleep(0.5)
        thirds.append(samples or [0])
    return thirds


def run(seconds, n, seed, folder):
    world, stop = World(folder), Chan()
    rounds = {k.__name__: 0 for k in KINDS}
    running = [
        go.using(name=KINDS[i % len(KINDS)].__name__)(work, world, KINDS[i % len(KINDS)], i, seed, stop, rounds)
        for i in range(n)
    ]
    thirds = watch(seconds, running)
    stop.close()
    failed = 0
    for g in running:
        try:
            g.join(120)
        except TimeoutError:
            print(f"does not end: {g!r}\n{runtime.stack(all=True)}")
            failed += 1
        except BaseException:
            traceback.print_exc()
            failed += 1
    world.end()
    return thirds, rounds, failed


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("seconds", nargs="?", type=float, default=20)
    p.add_argument("--goroutines", type=int, default=60)
    p.add_argument("--seed", default="1")
    args = p.parse_args()
    import faulthandler

    faulthandler.dump_traceback_later(args.seconds + 300, exit=True)
    after_func(0, len, "")  # the runtime is up
    with tempfile.TemporaryDirectory() as folder:
        run(1, len(KINDS), "warm", folder)  # what is made once has been made
    before = counts()
    with tempfile.TemporaryDirectory() as folder:
        thirds, rounds, failed = run(args.seconds, args.goroutines, args.seed, folder)
    left = settle(before)
    for what, (was, now) in left.items():
        print(f"{what}: {was} at the start, {now} at the end")
    print(f"Python {sys.version.split()[0]}:", ", ".join(f"{n} {k}" for k, n in rounds.items()))
    first, second, last = (statistics.median(t) for t in thirds)
    print("KiB in thirds:", *(f"{statistics.median(t):.0f} (at most {max(t)})" for t in thirds), f"; {runtime.stats()}")
    long = args.seconds >= 120
    grown = long and last > second * 1.01 + 256
    if grown:
        print(f"memory grows: {first:.0f}, {second:.0f}, {last:.0f} KiB")
    if failed or left or grown:
        sys.exit("FAILED")
    print("flat" if long else "ok")


if __name__ == "__main__":
    main()
