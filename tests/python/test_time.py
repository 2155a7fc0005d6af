"""sleep, after, tick, after_func, Timer, Ticker: never early, no stale ticks."""
# SPDX-License-Identifier: Apache-2.0

import copy
import gc
import math
import time
import weakref

import pytest
from gossamer import (
    Canceled,
    Chan,
    Ticker,
    Timer,
    after,
    after_func,
    default,
    go,
    nil_chan,
    recv,
    select,
    sleep,
    tick,
)


def elapsed(f, *args):
    t = time.monotonic()
    f(*args)
    return time.monotonic() - t


def test_sleep_is_never_early():
    for d in (0.001, 0.01, 0.05):
        assert elapsed(sleep, d) >= d


@pytest.mark.parametrize("d", [0, -1, -math.inf, False])
def test_sleep_at_once(d):
    sleep(d)


@pytest.mark.parametrize("d", [math.inf, 1e300, 10**400])
def test_sleep_for_ever(parked, d):
    g = parked(sleep, d)
    assert g.wait_reason == "sleep"
    g.interrupt()
    with pytest.raises(Canceled):
        g.join()


@pytest.mark.parametrize("f", [sleep, after, tick, Timer, Ticker, lambda d: after_func(d, len)])
def test_bad_durations(f):
    with pytest.raises(ValueError, match="NaN"):
        f(math.nan)
    for bad in ("1", None, [], object()):
        with pytest.raises(TypeError):
            f(bad)
    with pytest.raises(TypeError):
        f()


def test_sleeps_end_in_order():
    ch = Chan()

    def f(d):
        sleep(d)
        ch.send(d)

    for d in (0.06, 0.02, 0.04):
        go(f, d)
    assert [ch.recv() for _ in range(3)] == [0.02, 0.04, 0.06]


def test_thousands_of_sleepers():
    gs = [go(sleep, 0.001 * (i % 20)) for i in range(5000)]
    for g in gs:
        g.join()


def test_after():
    t = time.monotonic()
    at = after(0.02).recv()
    assert at >= t + 0.02 and abs(at - time.monotonic()) < 5


def test_timer_fires_once():
    t = Timer(0.005)
    assert t.C is t.C
    assert t.C.recv() > 0
    assert t.C.try_recv(None) is None
    assert t.stop() is False


def test_timer_stop_and_reset():
    t = Timer(1000)
    assert t.stop() is True and t.stop() is False
    assert t.reset(0.001) is False
    t.C.recv()
    t.reset(1000)
    assert t.reset(2000) is True
    assert t.stop() is True
    assert len(t.C) == 0


def test_no_stale_value_after_stop_or_reset():
    t = Timer(0)
    sleep(0.005)
    t.stop()
    assert t.C.try_recv(None) is None
    t = Timer(0)
    sleep(0.005)
    t.reset(1000)
    assert t.C.try_recv(None) is None


def test_timer_infinite():
    t = Timer(math.inf)
    assert t.stop() is True


def test_after_func():
    ch = Chan(10)
    t = after_func(0.001, ch.send, 5)
    assert ch.recv() == 5
    assert t.stop() is False
    assert t.reset(0.001) is False
    assert ch.recv() == 5
    stopped = after_func(1000, ch.send, 6)
    assert stopped.stop() is True and stopped.stop() is False
    assert select(recv(t.C), default) is default
    after_func(0, ch.send, 7)  # runs though nobody keeps the timer
    gc.collect()
    assert ch.recv() == 7
    with pytest.raises(TypeError):
        after_func(1, None)
    with pytest.raises(TypeError):
        after_func(1)


def test_after_func_runs_in_a_goroutine_of_its_own():
    ch = Chan()
    after_func(0.001, ch.send, 1)  # blocks until received
    sleep(0.02)
    assert ch.recv() == 1


def test_stopped_functions_are_released():
    class Thing:
        def f(self):
            pass

    x = Thing()
    r = weakref.ref(x)
    t = after_func(1000, x.f)
    t.stop()
    del x, t
    gc.collect()
    assert r() is None


def test_ticker():
    start = time.monotonic()
    with Ticker(0.005) as t:
        times = [t.C.recv() for _ in range(5)]
    assert times[-1] - start >= 0.025
    assert times == sorted(times)
    assert select(recv(t), timeout=0.02) is None


def test_ticker_iterates_and_drops_missed_ticks():
    t = Ticker(0.001)
    sleep(0.03)
    assert len(t.C) <= 1
    for n, at in enumerate(t):
        assert isinstance(at, float)
        if n == 3:
            break
    assert t.reset(0.002) is None
    next(t)
    assert t.stop() is None


@pytest.mark.parametrize("d", [0, -1])
def test_ticker_needs_a_positive_interval(d):
    for f in (Ticker, tick):
        with pytest.raises(ValueError, match="positive"):
            f(d)
    t = Ticker(1)
    with pytest.raises(ValueError):
        t.reset(d)


def test_tick():
    c = tick(0.002)
    assert c.recv() < c.recv()


def test_dropped_timers_are_collected():
    t = Ticker(0.001)
    r, c = weakref.ref(t), weakref.ref(t.C)
    del t
    gc.collect()
    assert r() is None and c() is None
    for _ in range(1000):
        after(1000)
    keep = Timer(1000).C  # the view alone keeps the timer
    assert keep.try_recv(0) == 0


def test_view_outlives_the_timer():
    c = Timer(0.005).C
    gc.collect()
    assert c.recv() > 0


def test_not_copied():
    with pytest.raises(TypeError):
        copy.copy(Timer(1))
    with pytest.raises(TypeError):
        copy.deepcopy(Ticker(1))


def test_timers_beside_busy_goroutines():
    stop = []

    def chatter(a, b):
        while not stop:
            a.send(1)
            b.recv()

    def answer(a, b):
        for _ in a:
            b.send(1)

    a, b = Chan(), Chan()
    g = go(chatter, a, b)
    go(answer, a, b)
    for _ in range(5):
        assert elapsed(sleep, 0.005) < 5
    stop.append(1)
    g.join()
    a.close()


def test_timeout_on_nil_channel():
    assert elapsed(lambda: pytest.raises(TimeoutError, nil_chan.recv, timeout=0.02)) >= 0.02
