"""leakcheck: goroutines left behind."""
# SPDX-License-Identifier: Apache-2.0

import pytest
from gossamer import Chan, after_func, go, leakcheck, nil_chan, runtime, sleep
from gossamer import signal as gsignal


@pytest.fixture(autouse=True)
def left_behind():
    """Other tests may have left some."""
    for g in leakcheck.find():
        g.interrupt()
        g.done.recv_ok()
    yield
    for g in leakcheck.find():
        g.interrupt()
        g.done.recv_ok()


def test_find(parked):
    assert leakcheck.find() == []
    g = parked(nil_chan.recv)
    assert leakcheck.find() == [g]
    assert go(leakcheck.find).join() == [g]
    g.interrupt()
    g.done.recv_ok()
    assert leakcheck.find() == []


def test_check(parked):
    leakcheck.check()
    g = parked(nil_chan.recv)
    with pytest.raises(leakcheck.Leak, match=r"1 goroutine left behind") as e:
        leakcheck.check(timeout=0.001)
    assert e.value.goroutines == [g] and f"goroutine {g.id} (chan receive (nil chan))" in str(e.value)
    assert "created by goroutine 1 at" in str(e.value)


def test_check_waits_for_those_that_end():
    go(sleep, 0.01)
    leakcheck.check(timeout=60)


def test_scope(parked):
    before = parked(nil_chan.recv)
    with leakcheck.scope():
        go(len, "").join()
        go(sleep, 0.001)
    with pytest.raises(leakcheck.Leak) as e, leakcheck.scope(timeout=0.01):
        g = parked(nil_chan.recv)
    assert e.value.goroutines == [g]
    assert before not in e.value.goroutines
    with leakcheck.scope(timeout=0.01):  # the others are not its business
        pass


def test_scope_follows_what_goroutines_start():
    def start():
        go(start_more)

    def start_more():
        go(nil_chan.recv)

    with pytest.raises(leakcheck.Leak, match="1 goroutine left"), leakcheck.scope(timeout=0.05):
        go(start)
        while runtime.num_goroutine() > 2:
            runtime.gosched()


def test_scopes_nest_and_do_not_mix():
    with pytest.raises(leakcheck.Leak, match="2 goroutines"), leakcheck.scope(timeout=0.001):
        with pytest.raises(leakcheck.Leak, match="1 goroutine left"), leakcheck.scope(timeout=0.001):
            go(nil_chan.recv)
        go(nil_chan.recv)

    def mine(ch):
        with leakcheck.scope():
            go(ch.recv)
            ch.send(1)

    for g in [go(mine, Chan()) for _ in range(5)]:
        g.join()


def test_labels_come_back():
    def work():
        with leakcheck.scope():
            inner = dict(go(lambda: None).labels)
        return inner, dict(go(lambda: None).labels)

    inner, outer = go.using(labels={"a": "b"})(work).join()
    assert inner["a"] == "b" and len(inner) == 2 and outer == {"a": "b"}


def test_exceptions_pass():
    with pytest.raises(ZeroDivisionError), leakcheck.scope(timeout=0):
        go(nil_chan.recv)
        raise ZeroDivisionError


def test_the_packages_own_do_not_count(parked):
    import asyncio

    from gossamer import aio

    aio.run(asyncio.sleep(0))
    ch = Chan(1)
    gsignal.notify(ch, gsignal._signal.SIGUSR1)
    try:
        assert leakcheck.find() == []
    finally:
        gsignal.stop(ch)


def test_timers_functions_are_found(settle):
    ch = Chan()
    after_func(0, ch.recv)
    while not leakcheck.find():
        sleep(0.001)
    ch.send(1)
    leakcheck.check(timeout=60)
