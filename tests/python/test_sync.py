"""WaitGroup, Mutex, Once."""
# SPDX-License-Identifier: Apache-2.0

import copy
import pickle
import threading

import pytest
from gossamer import Canceled, Chan, Mutex, Once, WaitGroup, go, runtime, sleep, sync


def test_same_types():
    assert (sync.Mutex, sync.Once, sync.WaitGroup) == (Mutex, Once, WaitGroup)


def test_waitgroup(parked):
    wg = WaitGroup()
    wg.wait()
    wg.add(2)
    g = parked(wg.wait)
    assert g.status == "waiting"
    wg.done()
    assert g.status == "waiting"
    wg.done()
    assert g.join() is None
    wg.add()
    wg.done()
    wg.wait()


def test_waitgroup_go():
    wg, n = WaitGroup(), []

    def work(i, *, k):
        runtime.gosched()
        n.append(i + k)
        return i

    gs = [wg.go(work, i, k=1) for i in range(20)]
    wg.wait()
    assert sorted(n) == list(range(1, 21)) and gs[3].join() == 3


def test_waitgroup_go_counts_down_when_it_raises():
    wg = WaitGroup()
    g = wg.go(lambda: 1 / 0)
    wg.wait(timeout=10)
    assert isinstance(g.exception(), ZeroDivisionError)
    with pytest.raises(TypeError):
        wg.go(None)
    wg.wait(timeout=10)


def test_waitgroup_bad_input():
    wg = WaitGroup()
    for bad in (-1, -(2**62)):
        with pytest.raises(ValueError, match="negative WaitGroup counter"):
            wg.add(bad)
    with pytest.raises(ValueError):
        wg.done()
    wg.wait(timeout=0)
    for bad in ("1", 1.0, None):
        with pytest.raises(TypeError):
            wg.add(bad)
    with pytest.raises((OverflowError, ValueError)):
        wg.add(2**70)
    with pytest.raises(TypeError):
        WaitGroup(1)
    wg.add(1)
    with pytest.raises(TimeoutError):
        wg.wait(timeout=0.005)
    with pytest.raises(TimeoutError):
        wg.wait(0)
    with pytest.raises(TypeError):
        wg.wait(ctx=1)


def test_waitgroup_barrier_reused():
    wg, there = WaitGroup(), []
    for r in range(8):
        wg.add(16)
        for _ in range(16):
            go(lambda r=r: (there.append(r), wg.done()))
        wg.wait()
        assert there.count(r) == 16


def test_mutex_excludes():
    mu, n, inside = Mutex(), [0], [0]

    def work():
        for _ in range(200):
            with mu:
                inside[0] += 1
                assert inside[0] == 1
                v = n[0]
                runtime.gosched()
                n[0] = v + 1
                inside[0] -= 1

    gs = [go(work) for _ in range(10)]
    for g in gs:
        g.join()
    assert n == [2000]


def test_mutex_operations(parked):
    mu = Mutex()
    assert mu.lock() is None
    assert mu.try_lock() is False
    g = parked(mu.lock)
    assert g.wait_reason == "sync.Mutex.Lock"
    for t in (0, -1, 0.005):
        with pytest.raises(TimeoutError):
            mu.lock(timeout=t)
    mu.unlock()
    g.join()
    mu.unlock()
    assert mu.try_lock() is True
    mu.unlock()
    with pytest.raises(RuntimeError, match="unlock of unlocked mutex"):
        mu.unlock()
    with pytest.raises(TypeError):
        mu.lock("x")
    with pytest.raises(TypeError):
        mu.lock(ctx=3)
    with pytest.raises(TypeError):
        Mutex(1)


def test_mutex_released_by_an_exception():
    mu = Mutex()
    with pytest.raises(KeyError), mu:
        raise KeyError
    assert mu.try_lock()


def test_mutex_wait_can_be_interrupted(parked):
    mu = Mutex()
    mu.lock()
    g = parked(mu.lock)
    g.interrupt()
    with pytest.raises(Canceled):
        g.join()
    mu.unlock()
    assert mu.try_lock()


def test_mutex_between_threads_and_goroutines():
    mu, n = Mutex(), [0]

    def work():
        for _ in range(300):
            with mu:
                v = n[0]
                sleep(0) if v % 50 else runtime.gosched()
                n[0] = v + 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    gs = [go(work) for _ in range(3)]
    for t in threads:
        t.start()
    for g in gs:
        g.join()
    for t in threads:
        go(t.join).join()
    assert n == [1800]


def test_once(settle):
    once, calls, ch = Once(), [], Chan()

    def slow():
        calls.append(1)
        ch.recv()

    gs = [go(once.do, slow) for _ in range(10)]
    settle(*gs)
    assert calls == [1] and not any(g.status == "dead" for g in gs)
    ch.send(1)
    for g in gs:
        assert g.join() is None
    assert calls == [1]


def test_once_with_exception():
    once = Once()
    with pytest.raises(ZeroDivisionError):
        once.do(lambda: 1 / 0)
    once.do(lambda: 1 / 0)
    with pytest.raises(TypeError):
        Once().do(None)


def test_not_copied_not_pickled():
    for o in (WaitGroup(), Mutex(), Once()):
        for f in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError):
                f(o)
