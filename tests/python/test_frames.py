"""The frames of Python functions: first on the goroutine's own stack, then in chunks of the interpreter's."""
# SPDX-License-Identifier: Apache-2.0

import gc
import sys

from gossamer import Chan, go, runtime


def deep(n, ch):
    local = n * 3
    if n:
        return deep(n - 1, ch) + local
    return local + ch.recv()


def test_depths_beside_each_other():
    depths = [0, 1, 2, 3, 4, 5, 6, 7, 8, 20, 80, 200, 300]
    ch = Chan()
    gs = [go(deep, d, ch) for d in depths * 3]
    for _ in gs:
        ch.send(1)
    assert [g.join() for g in gs] == [3 * d * (d + 1) // 2 + 1 for d in depths * 3]


def test_up_and_down_around_a_chunks_end():
    def walk(n):
        return 1 + walk(n - 1) if n else 0

    def work():
        total = 0
        for i in range(2000):
            total += walk(i % 12)
            if i % 100 == 0:
                runtime.gosched()
        return total

    gs = [go(work) for _ in range(20)]
    assert {g.join() for g in gs} == {sum(i % 12 for i in range(2000))}


def test_frames_outlive_their_goroutine():
    def inner(x):
        kept = x, sys._getframe()
        raise ValueError(kept)

    def outer(x):
        mine = [x] * 3
        inner(x)
        return mine

    def caught(i):
        try:
            outer(i)
        except ValueError as e:
            return e

    errors = [g.join() for g in [go(caught, i) for i in range(50)]]
    for g in [go(deep, 6, c) for c in [Chan(1)] if not c.send(1)]:
        g.join()  # others use the same stacks meanwhile
    gc.collect()
    for i, e in enumerate(errors):
        x, frame = e.args[0]
        assert x == i and frame.f_locals["x"] == i
        assert frame.f_back.f_locals["mine"] == [i] * 3


def test_generators_and_recursion_limits_inside():
    def walk(n):
        if n:
            yield from walk(n - 1)
        yield n

    def too_deep():
        return too_deep()

    def work():
        try:
            too_deep()
        except RecursionError:
            return list(walk(30))

    assert [g.join() for g in [go(work) for _ in range(3)]] == [list(range(31))] * 3


def test_a_parked_goroutine_takes_little(program):
    r = program(
        """
        from gossamer import *
        def rss():
            return int(open("/proc/self/statm").read().split()[1]) * 4096
        ch = Chan()
        def waits(): ch.recv()
        def start(n):
            gs = [go(waits) for _ in range(n)]
            while gs[-1].status != "waiting": runtime.gosched()
            return gs
        first = start(1000)
        before = rss()
        more = start(10_000)
        print((rss() - before) // len(more))
        ch.close()
        """
    )
    assert r.code == 0 and 4000 < int(r.out) < 6144, r


def test_fork_exit_and_the_frames_of_others(program):
    r = program(
        """
        import os
        from gossamer import *
        ch = Chan()
        def deep(n): return deep(n - 1) if n else ch.recv()
        gs = [go(deep, n) for n in (0, 3, 9, 150)]
        while any(g.status != "waiting" for g in gs): runtime.gosched()
        def forks():
            pid = os.fork()
            if not pid:
                print(go(lambda: "child").join(), flush=True)
                os._exit(7)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(go(forks).join(), flush=True)
        ch.send("value")
        """
    )
    assert r.code == 0 and r.out == "child\n7\n", r
