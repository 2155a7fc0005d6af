"""threading.Thread beside goroutines: every primitive works for both."""
# SPDX-License-Identifier: Apache-2.0

import concurrent.futures
import threading
import time

import pytest
from gossamer import Canceled, Chan, WaitGroup, WouldBlock, after, go, recv, runtime, select, send, sleep


def in_thread(fn, *args):
    """Starts fn in a thread; returns a function that waits for its result as a goroutine does."""
    box = Chan(1)

    def run():
        try:
            box.send((fn(*args), None))
        except BaseException as e:  # noqa: BLE001  handed on
            box.send((None, e))

    threading.Thread(target=run, daemon=True).start()

    def result():
        value, error = box.recv(timeout=60)
        if error:
            raise error
        return value

    return result


def test_thread_and_goroutine_talk():
    a, b = Chan(), Chan(2)

    def echo():
        for v in a:
            b.send(v)
        b.close()

    wait = in_thread(echo)
    go(lambda: [a.send(i) for i in range(500)] and None or a.close())
    assert list(b) == list(range(500))
    wait()


def test_every_operation_from_a_thread(parked):
    def all_of_them():
        ch = Chan(1)
        ch.send(1)
        assert not ch.try_send(2) and ch.recv() == 1
        with pytest.raises(WouldBlock):
            ch.try_recv()
        with pytest.raises(TimeoutError):
            ch.recv(timeout=0.005)
        assert go(lambda: 5).join() == 5
        assert select(recv(ch), timeout=0.005) is None
        s = send(ch, 3)
        assert select(s) is s
        assert select(recv(ch)).value == 3
        assert select(recv(after(0.002))).ok
        t = time.monotonic()
        sleep(0.01)
        assert time.monotonic() - t >= 0.01
        wg = WaitGroup()
        wg.go(sleep, 0.002)
        wg.wait()
        assert runtime.goid() == 0
        runtime.gosched()
        g = go(Chan().recv)
        g.interrupt()
        with pytest.raises(Canceled):
            g.join()
        ch.close()
        assert list(ch) == []
        return "all"

    assert in_thread(all_of_them)() == "all"


def test_threads_wait_without_the_gil():
    ch = Chan()
    waits = [in_thread(ch.recv) for _ in range(10)]
    n = 0
    for i in range(100_000):
        n += i
    for i in range(10):
        ch.send(i)
    assert sorted(w() for w in waits) == list(range(10))


def test_many_threads_many_goroutines():
    ch, out = Chan(4), Chan(4)

    def work():
        for v in ch:
            out.send(v + 1)

    waits = [in_thread(work) for _ in range(8)]
    gs = [go(work) for _ in range(8)]
    go(lambda: [ch.send(i) for i in range(4000)] and None or ch.close())
    assert sorted(out.recv() for _ in range(4000)) == list(range(1, 4001))
    for w in waits:
        w()
    for g in gs:
        g.join()


def test_threads_come_and_go():
    ch = Chan()
    for i in range(100):
        t = threading.Thread(target=ch.send, args=(i,))
        t.start()
        assert ch.recv() == i
        t.join()


def test_thread_started_by_a_goroutine():
    def f():
        r = []
        t = threading.Thread(target=lambda: r.append(runtime.goid()))
        t.start()
        t.join()
        return r

    assert go(f).join() == [0]


def test_executors_in_goroutines():
    def f():
        with concurrent.futures.ThreadPoolExecutor(2) as ex:
            return list(ex.map(lambda x: x * x, range(5)))

    gs = [go(f) for _ in range(3)]
    assert [g.join() for g in gs] == [[0, 1, 4, 9, 16]] * 3


def test_select_across_threads():
    a, b = Chan(), Chan()
    wait = in_thread(lambda: [select(recv(a), recv(b)).value for _ in range(200)])
    for i in range(200):
        (a if i % 2 else b).send(i)
    assert sorted(wait()) == list(range(200))


def test_first_use_in_a_thread(program):
    r = program(
        """
        import threading
        import gossamer
        from gossamer import *
        out = []
        def first():
            ch = Chan()
            out.append(go(lambda: 7).join())
            go(ch.send, 1)
            out.append(ch.recv())
            out.append(ch)
            go(late, ch)
        def late(ch):
            sleep(0.05)
            ch.send("after the thread's end")
        t = threading.Thread(target=first); t.start(); t.join()
        print(out[:2], out[2].recv(), go(lambda: 8).join())
        """,
        timeout=30,
    )
    assert r.out == "[7, 1] after the thread's end 8\n" and r.code == 0, r


def test_two_threads_race_for_the_first_use(program):
    r = program(
        """
        import threading
        from gossamer import *
        out = []
        ts = [threading.Thread(target=lambda: out.append(go(lambda: 1).join())) for _ in range(8)]
        for t in ts: t.start()
        for t in ts: t.join()
        print(out == [1] * 8)
        """,
        timeout=30,
    )
    assert r.out == "True\n" and r.code == 0, r
