"""The API from finalizers: what does not wait works at any point, what would wait raises in the collector."""
# SPDX-License-Identifier: Apache-2.0

import gc

import pytest
from gossamer import Chan, default, go, recv, runtime, select, sleep
from gossamer.sync import Map, Mutex, Pool, WaitGroup


def collect(work):
    """Runs work() in a finalizer that the collector calls; its result or exception."""
    out = []

    class D:
        def __del__(self):
            try:
                out.append(work())
            except BaseException as e:
                out.append(e)

    d = D()
    d.me = d
    del d
    gc.collect()
    return out[0]


@pytest.fixture(params=["main", "goroutine"])
def in_collector(request):
    if request.param == "main":
        return collect
    return lambda work: go(collect, work).join()


def test_what_does_not_wait(in_collector):
    ch = Chan(2)
    assert in_collector(lambda: (ch.send(1), ch.try_send(2), ch.recv(), ch.try_recv(), ch.close())) == (
        None,
        True,
        1,
        2,
        True,
    )
    assert in_collector(lambda: select(recv(Chan()), default)) is default
    mu, m, p = Mutex(), Map(), Pool(list)
    assert in_collector(lambda: (mu.lock(), mu.unlock(), m.store(1, 2), m[1], p.put(p.get()), sleep(0))) == (
        None,
        None,
        None,
        2,
        None,
        None,
    )
    g = in_collector(lambda: go(int, "5"))
    assert g.join() == 5
    assert in_collector(g.join) == 5
    assert in_collector(runtime.gosched) is None
    assert in_collector(lambda: Chan().recv_ok if False else select(timeout=0)) is None


def test_what_would_wait_raises(in_collector):
    mu, wg, full = Mutex(), WaitGroup(), Chan(1)
    mu.lock()
    wg.add(1)
    full.send(1)
    stuck = go(Chan().recv)
    for work in (
        Chan().recv,
        Chan().recv_ok,
        lambda: next(Chan()),
        lambda: full.send(2),
        lambda: Chan().recv(timeout=1000),
        lambda: select(recv(Chan())),
        lambda: sleep(1000),
        mu.lock,
        wg.wait,
        stuck.join,
    ):
        e = in_collector(work)
        assert isinstance(e, RuntimeError) and "cannot wait" in str(e), (work, e)
    assert full.recv() == 1 and full.try_recv(None) is None
    stuck.interrupt()


def test_waiting_again_after_the_collector(in_collector):
    in_collector(Chan().recv)
    ch = Chan()
    go(ch.send, 1)
    assert ch.recv() == 1
    sleep(0.001)


def test_a_finalizer_outside_of_the_collector_may_wait():
    ch, out = Chan(), []

    class D:
        def __del__(self):
            out.append(ch.recv())

    d = D()
    go(ch.send, 1)
    del d
    assert out == [1]


def test_finalizers_everywhere():
    ch = Chan(1000)

    class D:
        def __init__(self):
            self.me = self

        def __del__(self):
            ch.try_send(1)
            ch.try_recv(None)
            go(len, "")

    def work():
        for _ in range(300):
            D()
            go(len, "").join()

    old = gc.get_threshold()
    gc.set_threshold(5)
    try:
        for g in [go(work) for _ in range(5)]:
            g.join()
    finally:
        gc.set_threshold(*old)
