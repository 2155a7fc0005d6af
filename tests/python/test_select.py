"""select: choice, default, timeout, reuse, sources, bad input."""
# SPDX-License-Identifier: Apache-2.0

import gc
import sys
import weakref

import pytest
from gossamer import (
    Chan,
    ChanClosed,
    Ticker,
    Timer,
    after,
    default,
    go,
    nil_chan,
    recv,
    select,
    send,
)


def test_returns_the_case_that_fired():
    a, b = Chan(1), Chan(1)
    b.send(4)
    ra, rb = recv(a), recv(b)
    c = select(ra, rb)
    assert c is rb and (c.value, c.ok, c.index) == (4, True, 1) and c.chan is b
    assert ra.value is None and ra.ok is False and ra.index == -1


def test_send_case():
    ch = Chan(1)
    s = send(ch, "x")
    assert select(s) is s and s.value is None and s.chan is ch and s.ok is True
    assert ch.recv() == "x"


def test_default():
    ch = Chan()
    assert select(recv(ch), default) is default
    assert select(default) is default
    assert default.chan is None and "default" in repr(default)
    full = Chan(1)
    full.send(1)
    r = recv(full)
    assert select(r, default) is r


def test_timeout():
    ch = Chan()
    r = recv(ch)
    for t in (0, -1, 0.005):
        assert select(r, timeout=t) is None
    assert select(timeout=0.001) is None
    ch2 = Chan(1)
    ch2.send(1)
    r2 = recv(ch2)
    assert select(r2, timeout=0) is r2


def test_parks_then_wakes(parked):
    a, b = Chan(), Chan()
    ra, rb = recv(a), recv(b)
    g = parked(select, ra, rb)
    assert g.wait_reason == "select"
    b.send(6)
    assert g.join() is rb and rb.value == 6
    g = parked(select, ra, send(b, 7))
    assert b.recv() == 7
    assert g.join().chan is b


def test_no_cases_waits_for_ever(parked):
    assert parked(select).wait_reason == "select (no cases)"
    assert parked(select, None, False).wait_reason.startswith("select")


def test_none_is_no_case():
    ch = Chan(1)
    ch.send(1)
    r = recv(ch)
    assert select(None, False, r).index == 2
    assert select(None, default) is default


def test_nil_channel_is_never_taken():
    b = Chan(1)
    b.send(4)
    assert select(send(nil_chan, 1), recv(nil_chan), recv(b)).value == 4
    assert select(recv(nil_chan), default) is default


def test_closed_channels():
    c = Chan()
    c.close()
    k = select(recv(c))
    assert (k.value, k.ok, k.index) == (None, False, 0)
    with pytest.raises(ChanClosed, match="send on closed channel"):
        select(send(c, 1), default)
    v = Chan(1)
    v.send(3)
    r = recv(v)
    assert select(r).value == 3
    v.close()
    assert select(r) is r and r.value is None and r.ok is False


def test_close_wakes(parked):
    a, b = Chan(), Chan()
    g = parked(select, recv(a), recv(b))
    a.close()
    assert g.join().chan is a
    g = parked(select, send(b, 1))
    b.close()
    with pytest.raises(ChanClosed):
        g.join()


def test_choice_is_fair():
    chans = [Chan(1) for _ in range(4)]
    cases = [recv(c) for c in chans]
    won = [0] * 4
    for c in chans:
        c.send(0)
    for _ in range(4000):
        k = select(*cases)
        won[k.index] += 1
        k.chan.send(0)
    assert all(800 < n < 1200 for n in won), won


def test_ordered():
    chans = [Chan(1) for _ in range(3)]
    for c in chans:
        c.send(0)
    cases = [recv(c) for c in chans]
    for _ in range(50):
        assert select(*cases, ordered=True) is cases[0]
        chans[0].send(0)
    assert select(*cases, default, ordered=True) is cases[0]


def test_same_channel_both_ways_does_not_meet_itself():
    ch = Chan()
    assert select(send(ch, 1), recv(ch), timeout=0.005) is None
    assert select(send(ch, 1), recv(ch), default) is default


def test_same_channel_twice():
    ch = Chan(1)
    ch.send(1)
    a, b = recv(ch), recv(ch)
    assert select(a, b) in (a, b) and len(ch) == 0


def test_cases_are_reusable():
    ch = Chan(1)
    r, s = recv(ch), send(ch, 5)
    for _ in range(10):
        assert select(s) is s
        assert select(r).value == 5


def test_many_cases():
    chans = [Chan(1) for _ in range(300)]
    cases = [recv(c) for c in chans]
    chans[217].send("x")
    k = select(*cases)
    assert (k.index, k.value) == (217, "x")


def test_sources(parked):
    t = Timer(0)
    k = select(recv(t))
    assert k.chan is t and isinstance(k.value, float)
    with Ticker(0.001) as tick:
        assert isinstance(select(recv(tick)).value, float)
    assert select(recv(after(0))).ok
    g = go(lambda: 1)
    k = recv(g)
    assert select(k) is k and k.ok is False and g.join() == 1
    assert select(recv(Chan(1).receiver()), default) is default


def test_wrong_direction_and_types():
    ch = Chan()
    with pytest.raises(TypeError, match="receive"):
        recv(ch.sender())
    with pytest.raises(TypeError, match="send"):
        send(ch.receiver(), 1)
    for bad in (1, "x", None, object()):
        with pytest.raises(TypeError):
            recv(bad)
        with pytest.raises(TypeError):
            send(bad, 1)
    for call in (
        lambda: select(ch),
        lambda: select(1),
        lambda: select(True),
        lambda: select(recv(ch), timeout="x"),
        lambda: select(recv(ch), ctx=1),
        lambda: select(recv(ch), what=1),
        lambda: send(ch),
        lambda: recv(),
    ):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(ValueError):
        select(recv(ch), timeout=float("nan"))


def test_values_are_not_lost_nor_leaked(parked):
    class Thing:
        pass

    x = Thing()
    full, other = Chan(1), Chan(1)
    full.send(0)
    before = sys.getrefcount(x)
    s = send(full, x)
    for _ in range(100):
        assert select(s, timeout=0) is None
        assert select(s, default) is default
        other.send(1)
        assert select(s, recv(other)).value == 1
    del s
    assert sys.getrefcount(x) == before


def test_losing_cases_leave_no_waiter(parked):
    a, b = Chan(), Chan()
    for i in range(50):
        g = parked(select, recv(a), recv(b))
        b.send(i)
        g.join()
    assert a.try_send(1) is False


def test_case_cycle_is_collected():
    class Thing:
        pass

    t = Thing()
    ch = Chan(1)
    ch.send(t)
    k = recv(ch)
    select(k)
    t.case = k
    r = weakref.ref(t)
    del t, k
    gc.collect()
    assert r() is None


def test_two_selects_meet():
    a, b = Chan(), Chan()
    n = 2000
    got = []

    def one():
        for i in range(n):
            select(send(a, i), send(b, i))

    g = go(one)
    for _ in range(n):
        got.append(select(recv(a), recv(b)).value)
    g.join()
    assert got == list(range(n))
