"""leakcheck: goroutines left behind."""
# SPDX-License-Identifier: Apache-2.0

import pytest
from gossamer import Chan, after_func, go, leakcheck, nil_chan, runtime, sleep
from gossamer import signal as gsignal


@pytest.fixture
def found():
    """found(): what find() gives beside those that other tests left."""
    before = set(leakcheck.find())
    yield lambda: [g for g in leakcheck.find() if g not in before]
    for g in leakcheck.find():
        if g not in before:
            g.interrupt()
            g.done.recv_ok()


def test_find(parked, found):
    assert found() == []
    g = parked(nil_chan.recv)
    assert found() == [g]
    assert go(found).join() == [g]
    g.interrupt()
    g.done.recv_ok()
    assert found() == []


def test_check(program):
    r = program(
        """
        from gossamer import go, leakcheck, nil_chan, sleep
        leakcheck.check()
        go(sleep, 0.01)
        leakcheck.check(timeout=60)
        g = go(nil_chan.recv)
        try:
            leakcheck.check(timeout=0.01)
        except leakcheck.Leak as e:
            print(e.goroutines == [g])
            print(e)
        """
    )
    assert r.out.startswith("True\n1 goroutine left behind") and "(chan receive (nil chan))" in r.out, r
    assert "created by goroutine 1 at" in r.out, r


def test_scope(parked, found):
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


def test_scope_follows_what_goroutines_start(found):
    def start():
        go(start_more)

    def start_more():
        go(nil_chan.recv)

    with pytest.raises(leakcheck.Leak, match="1 goroutine left"), leakcheck.scope(timeout=0.05):
        go(start)
        while [g.wait_reason for g in found()] != ["chan receive (nil chan)"]:
            runtime.gosched()


def test_scopes_nest_and_do_not_mix(found):
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


def test_exceptions_pass(found):
    with pytest.raises(ZeroDivisionError), leakcheck.scope(timeout=0):
        go(nil_chan.recv)
        raise ZeroDivisionError


def test_the_packages_own_do_not_count(found):
    import asyncio

    from gossamer import aio

    aio.run(asyncio.sleep(0))
    ch = Chan(1)
    gsignal.notify(ch, gsignal._signal.SIGUSR1)
    try:
        assert found() == []
    finally:
        gsignal.stop(ch)


def test_timers_functions_are_found(found):
    ch = Chan()
    after_func(0, ch.recv)
    while not found():
        sleep(0.001)
    ch.send(1)
    while found():
        sleep(0.001)
