"""The runtime module: numbers, stacks, shutdown."""
# SPDX-License-Identifier: Apache-2.0

import threading

import pytest
from gossamer import Chan, go, nil_chan, runtime, sleep


def test_numbers(parked):
    assert runtime.num_cpu() >= 1
    n = runtime.num_goroutine()
    g = parked(nil_chan.recv)
    assert runtime.num_goroutine() == n + 1
    g.interrupt()
    assert g.exception() is None
    while g.status != "dead":
        runtime.gosched()
    g.exception()
    assert runtime.num_goroutine() == n


def test_gomaxprocs():
    n = runtime.gomaxprocs()
    assert n >= 1 and runtime.gomaxprocs(0) == n
    for bad in ("2", 2.0, True, None):
        with pytest.raises(TypeError):
            runtime.gomaxprocs(bad)
    with pytest.raises(TypeError):
        runtime.gomaxprocs(1, 2)


def test_goid():
    assert runtime.goid() == 1
    assert go(runtime.goid).join() > 1
    seen = []
    t = threading.Thread(target=lambda: seen.append(runtime.goid()))
    t.start()
    t.join()
    assert seen == [0]


def test_goroutines(parked):
    g = parked(nil_chan.recv)
    all_ = runtime.goroutines()
    assert all_[0].id == 1 and all_[0].name == "main" and g in all_
    assert all_[0].status == "running"
    assert len({x.id for x in all_}) == len(all_)


def test_stack(parked):
    def deep(ch):
        ch.recv()

    ch = Chan()
    g = go.using(name="digger")(deep, ch)
    while g.status != "waiting":
        runtime.gosched()
    mine = runtime.stack()
    assert "goroutine 1 [main] (running)" in mine and "test_stack" in mine and "digger" not in mine
    everything = runtime.stack(all=True)
    assert f"goroutine {g.id} [digger] (chan receive)" in everything
    assert "in deep" in everything and "created by goroutine 1 at " in everything
    ch.send(1)
    assert "in inner" in go(lambda: inner()).join()


def inner():
    return runtime.stack()


def test_stats():
    before = runtime.stats()
    for _ in range(10):
        go(len, "").join()
    after = runtime.stats()
    assert after.goroutines == before.goroutines == runtime.num_goroutine()
    assert after.threads >= 1 and after.procs == runtime.gomaxprocs()
    assert after.switches_out > before.switches_out


def test_gosched_lets_others_run():
    n = [0, 0]

    def count(i):
        for _ in range(1000):
            n[i] += 1
            runtime.gosched()

    gs = [go(count, 0), go(count, 1)]
    for g in gs:
        g.join()
    assert n == [1000, 1000]


def test_shutdown(program):
    r = program(
        """
        from gossamer import Chan, go, runtime, sleep
        ended = []
        def work(i):
            try:
                Chan().recv() if i % 2 else sleep(1000)
            finally:
                ended.append(i)
        for i in range(10): go(work, i)
        sleep(0.01)
        print(runtime.shutdown(10), sorted(ended) == list(range(10)), runtime.num_goroutine())
        def stubborn():
            while True:
                try: sleep(1000)
                except BaseException: pass
        go(stubborn)
        sleep(0.01)
        print(runtime.shutdown(0.05))
        """
    )
    assert r.out.split() == ["True", "True", "1", "False"] and r.code == 0, r
    assert r.err == "", r


def test_settled_state_is_stable(parked):
    g = parked(sleep, 1000)
    sleep(0.005)
    assert (g.status, g.wait_reason) == ("waiting", "sleep")


def test_aio_is_there_when_it_is_used(program):
    r = program("""
        import sys, gossamer
        assert "gossamer.aio" not in sys.modules
        print(gossamer.aio.run.__name__, "gossamer.aio" in sys.modules, hasattr(gossamer, "nothing"))
    """)
    assert r.out == "run True False\n" and r.code == 0, r
