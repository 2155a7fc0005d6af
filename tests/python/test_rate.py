"""rate: Limiter and Reservation."""
# SPDX-License-Identifier: Apache-2.0

import copy
import math

import pytest
from gossamer import Canceled, context, go, rate
from gossamer.rate import Limiter, every, inf


def test_every():
    assert every(0.5) == 2.0 and every(0) == every(-1) == inf == math.inf and every(inf) == 0
    with pytest.raises(ValueError, match="NaN"):
        every(math.nan)


def test_burst_at_once_then_no_more():
    lim = Limiter(every(3600), 3)
    assert (lim.limit, lim.burst) == (1 / 3600, 3)
    assert [lim.allow() for _ in range(5)] == [True, True, True, False, False]
    assert lim.tokens < 1


def test_allow_n():
    lim = Limiter(every(3600), 5)
    assert not lim.allow(6) and lim.allow(4) and not lim.allow(2) and lim.allow(1) and lim.allow(0)


def test_reserve():
    lim = Limiter(every(3600), 1)
    first, second, never = lim.reserve(), lim.reserve(), lim.reserve(2)
    assert first.ok and first.delay() == 0.0
    assert second.ok and 3590 < second.delay() <= 3600
    assert not never.ok and never.delay() == inf
    assert lim.tokens < 0
    second.cancel()
    second.cancel()
    assert lim.tokens >= 0
    assert lim.reserve().delay() <= 3600


def test_no_limit():
    lim = Limiter(inf, 0)
    assert all(lim.allow(1000) for _ in range(10)) and lim.reserve(10**9).delay() == 0
    lim.wait(10)


def test_wait():
    lim = Limiter(1000, 1)
    for _ in range(5):
        lim.wait()
    lim.wait(1, timeout=60)
    lim.wait(1, 60)
    lim.wait(timeout=60)
    with pytest.raises(ValueError, match="burst"):
        lim.wait(2)


def test_wait_that_would_be_too_long_takes_nothing():
    lim = Limiter(every(3600), 1)
    lim.wait()
    tokens = lim.tokens
    for timeout in (0, 0.001, 10):
        with pytest.raises(TimeoutError):
            lim.wait(timeout=timeout)
    assert lim.tokens >= tokens


def test_interrupted_wait_gives_back(parked):
    lim = Limiter(every(3600), 1)
    lim.wait()
    g = parked(lim.wait)
    assert g.wait_reason == "sleep" and lim.tokens < 0
    g.interrupt()
    with pytest.raises(Canceled):
        g.join()
    assert lim.tokens >= 0


def test_zero_limit():
    lim = Limiter(0, 1)
    assert lim.allow() and not lim.allow() and lim.reserve().delay() == inf


def test_set():
    lim = Limiter(every(3600), 1)
    lim.wait()
    lim.set_burst(10)
    lim.set_limit(inf)
    assert lim.limit == inf and lim.burst == 10 and lim.allow(100)


@pytest.mark.parametrize("bad", [-1, math.nan, -math.inf])
def test_bad_rates(bad):
    with pytest.raises(ValueError):
        Limiter(bad, 1)
    with pytest.raises(ValueError):
        Limiter(1, 1).set_limit(bad)


def test_bad_arguments():
    lim = Limiter(1, 1)
    for call in (lim.allow, lim.reserve, lim.wait, lim.set_burst, lambda n: Limiter(1, n)):
        with pytest.raises(TypeError):
            call("1")
        with pytest.raises(ValueError):
            call(-1)
    for bad in ((), (1,), ("x", 1), (1, 1, 1)):
        with pytest.raises(TypeError):
            Limiter(*bad)
    with pytest.raises(TypeError):
        rate.Reservation()
    with pytest.raises(TypeError):
        copy.copy(lim)


def test_many_waiters():
    lim = Limiter(2000, 5)
    for g in [go(lim.wait) for _ in range(30)]:
        g.join()


def test_wait_and_signals(program):
    r = program(
        """
        import signal
        from gossamer.rate import Limiter
        lim = Limiter(20, 1)
        lim.wait()
        seen = []
        signal.signal(signal.SIGALRM, lambda *a: seen.append(1))
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        for _ in range(3): lim.wait()
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(len(seen) > 0)
        """
    )
    assert r.out == "True\n", r


def test_wait_obeys_contexts(parked):
    lim = Limiter(every(3600), 1)
    lim.wait()
    ctx = context.with_cancel()
    g = parked(lambda: lim.wait(ctx=ctx))
    assert lim.tokens < 0
    ctx.cancel()
    with pytest.raises(Canceled):
        g.join()
    assert lim.tokens >= 0
    with pytest.raises(Canceled):
        lim.wait(ctx=ctx)
    full = Limiter(0.001, 2)
    with pytest.raises(Canceled):
        full.wait(ctx=ctx)
    assert full.tokens == 2
    with pytest.raises(ValueError):
        full.wait(3, ctx=ctx)
    with pytest.raises(TimeoutError):  # at once: it would be later than that
        lim.wait(ctx=context.with_timeout(60))
    with pytest.raises(TypeError):
        lim.wait(ctx=1)
