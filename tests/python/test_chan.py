"""Channels: each operation, closing, views, bad input, no value lost."""
# SPDX-License-Identifier: Apache-2.0

import copy
import gc
import math
import pickle
import sys
import weakref

import pytest
from gossamer import Chan, ChanClosed, RecvChan, SendChan, WouldBlock, go, nil_chan, recv, send, sleep, sync


class Thing:
    pass


def test_unbuffered_sender_waits_for_receiver(parked, settle):
    ch = Chan()
    g = parked(ch.send, 7)
    assert (g.status, g.wait_reason) == ("waiting", "chan send")
    assert ch.recv() == 7
    settle(g)
    assert g.status == "dead" and g.join() is None


def test_unbuffered_receiver_waits_for_sender(parked):
    ch = Chan()
    g = parked(ch.recv)
    assert g.wait_reason == "chan receive"
    ch.send(9)
    assert g.join() == 9


def test_buffered_is_first_in_first_out(parked):
    ch = Chan(2)
    ch.send(1)
    ch.send(2)
    assert (len(ch), ch.cap) == (2, 2)
    g = parked(ch.send, 3)
    assert g.wait_reason == "chan send"
    assert [ch.recv() for _ in range(3)] == [1, 2, 3]
    g.join()


def test_waiters_are_served_in_order(parked):
    ch = Chan()
    gs = [parked(ch.recv) for _ in range(10)]
    for i in range(10):
        ch.send(i)
    assert [g.join() for g in gs] == list(range(10))


def test_identity_is_kept():
    ch = Chan(1)
    x = Thing()
    ch.send(x)
    assert ch.recv() is x


def test_none_is_a_value():
    ch = Chan(1)
    ch.send(None)
    assert ch.recv_ok() == (None, True)


def test_close_drains_then_ends():
    ch = Chan(2)
    ch.send(5)
    assert ch.closed is False
    assert ch.close() is True
    assert ch.close() is False
    assert ch.closed is True
    assert ch.recv() == 5
    assert ch.recv_ok() == (None, False)
    with pytest.raises(ChanClosed, match="receive on closed channel"):
        ch.recv()
    with pytest.raises(ChanClosed, match="send on closed channel"):
        ch.send(1)
    with pytest.raises(ChanClosed):
        ch.try_send(1)
    with pytest.raises(ChanClosed):
        ch.try_recv()
    assert list(ch) == []


def test_close_wakes_receivers_and_senders(parked):
    ch, full = Chan(), Chan()
    a, b, s = parked(ch.recv_ok), parked(ch.recv), parked(full.send, 1)
    ch.close()
    full.close()
    assert a.join() == (None, False)
    with pytest.raises(ChanClosed):
        b.join()
    with pytest.raises(ChanClosed, match="send on closed channel"):
        s.join()


def test_iteration_and_with():
    ch = Chan(1)

    def produce():
        with ch:
            for i in range(100):
                ch.send(i)

    go(produce)
    assert list(ch) == list(range(100))
    assert ch.closed
    with pytest.raises(StopIteration):
        next(ch)


def test_with_does_not_hide_exceptions():
    ch = Chan()
    with pytest.raises(KeyError), ch:
        raise KeyError
    assert ch.closed


def test_try(parked):
    ch = Chan()
    assert ch.try_send(1) is False
    with pytest.raises(WouldBlock):
        ch.try_recv()
    assert ch.try_recv(None) is None
    assert ch.try_recv(default=3) == 3
    g = parked(ch.recv)
    assert ch.try_send(4) is True
    assert g.join() == 4
    parked(ch.send, 5)
    assert ch.try_recv() == 5


@pytest.mark.parametrize("t", [0, -1, 0.01, -math.inf])
def test_timeout(t):
    ch = Chan()
    with pytest.raises(TimeoutError):
        ch.recv(timeout=t)
    with pytest.raises(TimeoutError):
        ch.recv_ok(t)
    with pytest.raises(TimeoutError):
        ch.send(1, timeout=t)
    ready = Chan(1)
    ready.send(1, timeout=t)
    assert ready.recv(timeout=t) == 1


def test_infinite_timeout(parked):
    ch = Chan()
    g = parked(lambda: ch.recv(timeout=math.inf))
    assert g.wait_reason == "chan receive"
    ch.send(1, timeout=1e300)
    assert g.join(timeout=10**400) == 1


def test_views():
    ch = Chan(1)
    s, r = ch.sender(), ch.receiver()
    assert isinstance(s, SendChan) and isinstance(r, RecvChan)
    assert isinstance(ch, SendChan) and isinstance(ch, RecvChan)
    assert not isinstance(s, RecvChan) and not isinstance(r, SendChan)
    s.send(1)
    assert len(s) == len(r) == 1 and s.cap == r.cap == 1
    assert r.recv() == 1
    for name in ("recv", "recv_ok", "try_recv", "__iter__"):
        assert not hasattr(s, name)
    for name in ("send", "try_send", "close", "__enter__"):
        assert not hasattr(r, name)
    with pytest.raises(TypeError):
        iter(s)
    with s:
        pass
    assert r.closed


def test_views_keep_the_channel():
    ch = Chan(1)
    r = ch.receiver()
    ch.send(3)
    del ch
    gc.collect()
    assert r.recv() == 3


def test_view_of_view_types_cannot_be_made():
    for t in (SendChan, RecvChan):
        with pytest.raises(TypeError):
            t()


def test_nil_channel(parked):
    assert (len(nil_chan), nil_chan.cap, nil_chan.closed) == (0, 0, False)
    assert parked(nil_chan.recv).wait_reason == "chan receive (nil chan)"
    assert parked(nil_chan.send, 1).wait_reason == "chan send (nil chan)"
    assert nil_chan.try_send(1) is False
    assert nil_chan.try_recv(0) == 0
    with pytest.raises(TimeoutError):
        nil_chan.recv(timeout=0.001)
    with pytest.raises(ValueError, match="close of nil channel"):
        nil_chan.close()


def test_always_true():
    ch = Chan(1)
    assert ch and ch.sender() and ch.receiver() and nil_chan
    assert len(ch) == 0


def test_generic_and_name():
    ch = Chan[int](3)
    assert ch.cap == 3 and type(ch) is Chan
    assert Chan(name="jobs").name == "jobs" and Chan().name is None
    assert "jobs" in repr(Chan(2, name="jobs")) and "0 of 2" in repr(Chan(2))
    assert RecvChan[int] and SendChan[str]


@pytest.mark.parametrize("bad", [-1, -(10**30), 10**30, sys.maxsize])
def test_capacity_out_of_range(bad):
    with pytest.raises(ValueError):
        Chan(bad)


def test_capacity_beyond_memory():
    with pytest.raises((MemoryError, ValueError)):
        Chan(sys.maxsize // 16)


def test_values_are_no_keywords():
    for call in (lambda: Chan().send(v=1), lambda: sync.Cond().wait_for(pred=int), lambda: sleep(d=1)):
        with pytest.raises(TypeError, match="keyword argument"):
            call()


def test_capacity_by_index():
    class Three:
        def __index__(self):
            return 3

    assert Chan(Three()).cap == 3


@pytest.mark.parametrize("bad", [True, "3", 1.0, None, [1]])
def test_capacity_of_wrong_type(bad):
    with pytest.raises(TypeError):
        Chan(bad)


@pytest.mark.parametrize("bad", ["1", [], object()])
def test_timeout_of_wrong_type(bad):
    ch = Chan()
    for call in (ch.recv, ch.recv_ok, lambda timeout: ch.send(1, timeout)):
        with pytest.raises(TypeError):
            call(timeout=bad)


def test_nan_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        Chan().recv(math.nan)


def test_arguments():
    ch = Chan(1)
    for call in (
        lambda: ch.send(),
        lambda: ch.send(1, 2, 3),
        lambda: ch.send(1, when=2),
        lambda: ch.recv(1, 2),
        lambda: ch.recv(what=1),
        lambda: ch.recv(ctx=1),
        lambda: ch.recv(1, timeout=1),
        lambda: ch.try_send(),
        lambda: ch.try_recv(1, 2),
        lambda: ch.try_recv(other=2),
        lambda: Chan(1, 2),
        lambda: Chan(name=3),
    ):
        with pytest.raises(TypeError):
            call()
    assert len(ch) == 0
    ch.send(1, ctx=None)
    assert ch.recv(ctx=None) == 1


def test_not_copied_not_pickled():
    ch = Chan()
    for f in (copy.copy, copy.deepcopy, pickle.dumps):
        for c in (ch, ch.sender(), ch.receiver(), recv(ch), send(ch, 1)):
            with pytest.raises(TypeError, match="multiprocessing"):
                f(c)


def test_failed_send_keeps_the_value_with_the_caller():
    ch = Chan()
    x = Thing()
    before = sys.getrefcount(x)
    for call in (lambda: ch.send(x, timeout=0.001), lambda: ch.try_send(x)):
        try:
            call()
        except TimeoutError:
            pass
        assert sys.getrefcount(x) == before
    ch.close()
    with pytest.raises(ChanClosed):
        ch.send(x)
    assert sys.getrefcount(x) == before


def test_values_left_inside_are_dropped_with_the_channel():
    ch = Chan(3)
    refs = []
    for _ in range(3):
        x = Thing()
        refs.append(weakref.ref(x))
        ch.send(x)
    del x
    assert all(r() is not None for r in refs)
    del ch
    gc.collect()
    assert [r() for r in refs] == [None] * 3


def test_weak_reference():
    ch = Chan()
    r = weakref.ref(ch)
    assert r() is ch
    del ch
    gc.collect()
    assert r() is None


def test_many_to_many():
    ch, out = Chan(3), Chan()

    def produce(k):
        for i in range(200):
            ch.send(k * 1000 + i)

    def consume():
        for v in ch:
            out.send(v)

    makers = [go(produce, k) for k in range(10)]
    takers = [go(consume) for _ in range(10)]

    def finish():
        for g in makers:
            g.join()
        ch.close()
        for g in takers:
            g.join()
        out.close()

    go(finish)
    got = list(out)
    assert sorted(got) == sorted(k * 1000 + i for k in range(10) for i in range(200))
    for k in range(10):
        mine = [v for v in got if v // 1000 == k]
        assert len(mine) == 200


def test_channel_of_channels():
    requests = Chan()

    def serve():
        for reply in requests:
            reply.send("pong")

    go(serve)
    reply = Chan()
    requests.send(reply)
    assert reply.recv() == "pong"
    requests.close()


def test_prime_sieve():
    def generate(ch):
        n = 2
        while True:
            ch.send(n)
            n += 1

    def keep(src, dst, prime):
        for i in src:
            if i % prime:
                dst.send(i)

    ch = Chan()
    go(generate, ch)
    primes = []
    for _ in range(30):
        primes.append(ch.recv())
        nxt = Chan()
        go(keep, ch, nxt, primes[-1])
        ch = nxt
    assert primes[-1] == 113


def test_finalizer_may_use_channels():
    seen = Chan(10)

    class Tells:
        def __del__(self):
            seen.try_send(1)

    for _ in range(5):
        Tells()
    x = Tells()
    x.me = x
    del x
    gc.collect()
    assert len(seen) == 6


def test_no_references_leak(parked):
    ch = Chan()
    x = Thing()
    before = sys.getrefcount(x)
    for _ in range(300):
        g = go(ch.send, x)
        assert ch.recv() is x
        g.join()
        with pytest.raises(TimeoutError):
            ch.send(x, timeout=0)
        ch.try_recv(None)
    del g
    assert sys.getrefcount(x) == before
