"""runtime: goroutines locked to their thread; threads and stacks."""
# SPDX-License-Identifier: Apache-2.0

import threading
import time

import pytest
from gossamer import Chan, go, runtime, sleep

tid = threading.get_native_id


def test_stays_on_its_thread_and_alone_there():
    echo, back = Chan(), Chan()
    others = set()

    def answer():
        for v in echo:
            others.add(tid())
            back.send(v)

    def locked():
        with runtime.lock_os_thread():
            me = tid()
            for i in range(100):
                echo.send(i)
                assert back.recv() == i and tid() == me
                runtime.gosched()
                assert tid() == me
                if i % 20 == 0:
                    sleep(0.001)
                    assert tid() == me
                    time.sleep(0.001)
                    assert tid() == me
            assert me not in others
        return me

    a = go(answer)
    go(locked).join()
    echo.close()
    a.join()


def test_main():
    me = tid()
    with runtime.lock_os_thread():
        assert go(tid).join() != me
        assert tid() == me
        sleep(0.001)
        assert tid() == me
    assert [go(tid).join() for _ in range(3)]


def test_nests_and_many():
    def locked():
        with runtime.lock_os_thread():
            runtime.lock_os_thread()
            me = tid()
            runtime.unlock_os_thread()
            for _ in range(20):
                runtime.gosched()
                assert tid() == me
            return me

    gs = [go(locked) for _ in range(8)]
    for g in gs:
        g.join()
    runtime.unlock_os_thread()  # was not locked


def test_ends_locked():
    def leaves():
        runtime.lock_os_thread()
        sleep(0.001)

    for _ in range(5):
        go(leaves).join()
    assert sum(g.join() for g in [go(int, "1") for _ in range(100)]) == 100


def test_in_a_thread():
    seen = []
    t = threading.Thread(target=lambda: seen.append(runtime.lock_os_thread().__exit__(None, None, None)))
    t.start()
    t.join()
    assert seen == [None]


def test_locked_beside_spinners():
    stop = False

    def spin():
        while not stop:
            pass

    def locked():
        with runtime.lock_os_thread():
            me = tid()
            for _ in range(5):
                sleep(0.001)
                assert tid() == me

    s = go(spin)
    try:
        go(locked).join()
    finally:
        stop = True
    s.join()


def test_exit_with_locked_goroutines(program):
    r = program(
        """
        from gossamer import *
        import time
        def f(fn, *a):
            runtime.lock_os_thread()
            fn(*a)
        go(f, Chan().recv); go(f, sleep, 1000); go(f, time.sleep, 1000)
        runtime.lock_os_thread()
        sleep(0.02)
        print("end")
        """
    )
    assert r.out == "end\n" and r.code == 0, r


def test_set_max_threads():
    n = runtime.set_max_threads(50)
    assert n >= 1 and runtime.set_max_threads(n) == 50 and runtime.stats().max_threads == n
    for bad in (0, -1):
        with pytest.raises(ValueError):
            runtime.set_max_threads(bad)
    for bad in ("1", None, True, 1.0):
        with pytest.raises(TypeError):
            runtime.set_max_threads(bad)


def test_free_stacks():
    def deep(n):
        return n if n == 0 else deep(n - 1)

    for _ in range(3):
        ch = Chan()
        gs = [go(ch.recv_ok) for _ in range(200)]
        runtime.gosched()
        ch.close()
        for g in gs:
            g.join()
        assert runtime.free_stacks() >= 100
        assert go(deep, 50).join() == 0
