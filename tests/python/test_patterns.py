"""gossamer.patterns and gossamer.logging."""
# SPDX-License-Identifier: Apache-2.0

import itertools
import logging as stdlib_logging
import threading

import pytest
from gossamer import (
    Canceled,
    Chan,
    ChanClosed,
    Error,
    WouldBlock,
    context,
    errgroup,
    go,
    logging,
    patterns,
    select,
    sleep,
)
from gossamer import recv as receives
from gossamer.patterns import (
    SKIP,
    CircuitBreaker,
    CircuitOpen,
    ConnPool,
    HealthChecker,
    Item,
    JobQueue,
    Pool,
    PubSub,
    ResourcePool,
    Ring,
    RoundRobin,
    TokenBucket,
    Weighted,
    bridge,
    fan_out,
    generate,
    merge,
    stage,
    tee,
)

pytestmark = pytest.mark.goroutine(leakcheck=True)


def fail(*_):
    raise ValueError("on purpose")


def error_of(g):
    g.done.recv_ok()
    return g.exception()


# ---- streams ---------------------------------------------------------------------------------------------
def test_generate_and_stage():
    assert list(generate("abc")) == ["a", "b", "c"]
    assert list(generate([])) == []
    assert list(stage(str.upper, generate("abc"))) == ["A", "B", "C"]
    assert sorted(stage(abs, generate(range(-50, 50)), 4)) == sorted(map(abs, range(-50, 50)))
    assert list(stage(lambda n: n if n % 2 else SKIP, generate(range(6)))) == [1, 3, 5]


def test_streams_cannot_be_sent_to():
    ch = generate("a")
    assert not hasattr(ch, "send")
    assert list(ch) == ["a"]


def test_items_carry_errors():
    halves = stage(lambda n: 10 // n, generate([Item(n) for n in (1, 0, 5)]))
    got = list(stage(lambda n: n + 1 if n < 11 else SKIP, stage(lambda n: n + 1, halves)))
    assert got[0].value == 0 and isinstance(got[0].error, ZeroDivisionError)
    assert got[1:] == [Item(4)]
    assert list(stage(lambda n: Item(n, None), generate([Item(1)]))) == [Item(1)]


def test_fan_out_and_merge():
    outs = fan_out(generate(range(100)), 3, lambda n: n * n)
    assert len(outs) == 3
    assert sorted(merge(*outs)) == [n * n for n in range(100)]
    assert list(merge()) == []


def test_tee_in_any_order():
    a, b, c = tee(generate(range(20)), 3)
    for n in range(20):
        for ch in ((a, b, c), (c, b, a), (b, c, a))[n % 3]:
            assert ch.recv() == n
    assert list(a) == list(b) == list(c) == []


def test_bridge():
    assert list(bridge(generate([generate("ab"), generate(""), generate("c")]))) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "make",
    [
        lambda ctx: generate(itertools.count(), ctx=ctx),
        lambda ctx: stage(abs, generate(itertools.count(), ctx=ctx), 3, ctx=ctx),
        lambda ctx: merge(*fan_out(generate(itertools.count(), ctx=ctx), 3, abs, ctx=ctx), ctx=ctx),
        lambda ctx: tee(generate(itertools.count(), ctx=ctx), ctx=ctx)[0],
        lambda ctx: bridge(generate(iter(lambda: generate("a"), None), ctx=ctx), ctx=ctx),
    ],
)
def test_streams_end_with_their_context(make):
    ctx = context.with_cancel()
    ch = make(ctx)
    ch.recv()
    ctx.cancel()
    for _ in ch:  # what had been taken from the input may still come
        pass


def test_streams_end_with_the_ambient_context():
    with context.with_cancel():
        ch = stage(abs, generate(itertools.count()))
        assert ch.recv() == 0
    for _ in ch:
        pass


def test_members_of_a_group():
    seen = []
    with pytest.raises(ValueError, match="on purpose"), errgroup.Group() as g:
        numbers = generate(itertools.count(), go=g.go)
        for v in stage(lambda n: n if n < 3 else fail(), numbers, go=g.go):
            seen.append(v)
        g.ctx.done.recv_ok(ctx=context.background())
    assert seen == [0, 1, 2]


def test_nothing_waits_for_one_that_could_not_start():
    starts, first, second = iter([go, fail]), Chan(), Chan()
    with pytest.raises(ValueError):
        merge(first, second, go=lambda *a: next(starts)(*a))
    first.close()
    ctx = context.with_cancel()
    ctx.cancel()
    assert list(generate("a", ctx=ctx)) == []


@pytest.mark.parametrize("make", [lambda: stage(abs, Chan(), 0), lambda: fan_out(Chan(), 0, abs), lambda: tee(Chan(), 0)])
def test_streams_need_a_goroutine(make):
    with pytest.raises(ValueError, match="needs a"):
        make()


# ---- senders that do not wait ------------------------------------------------------------------------------
def test_ring():
    with Ring(2) as r:
        assert [r.send(n) for n in range(4)] == [True, True, False, False]
        assert (len(r), r.cap, r.dropped, r.closed) == (2, 2, 2, False) and r
        assert r.recv() == 2
        assert select(c := receives(r.receiver())) is c and c.value == 3
        with pytest.raises(TimeoutError):
            r.recv(0.001)
        assert len(r) == 0 and r
    with pytest.raises(ChanClosed):
        r.send(1)
    assert list(r) == [] and r.closed and not r.close()
    with pytest.raises(ValueError, match="room"):
        Ring(0)


def test_ring_with_many_senders():
    r = Ring(4)
    for g in [go(lambda: [r.send(n) for n in range(200)]) for _ in range(4)]:
        g.join()
    r.close()
    assert len(list(r)) == 4 and r.dropped == 796


def test_pubsub():
    with PubSub() as p:
        a, b, other = p.subscribe("x", 2), p.subscribe("x"), p.subscribe("y")
        assert [p.publish("x", n) for n in range(3)] == [2, 2, 1]
        assert (a.dropped, b.dropped, a.topic) == (1, 0, "x")
        assert b.recv() == 0 and b.close() and not b.close()
        assert p.publish("x", 3) == 0 and p.publish("nobody", 1) == 0
        assert list(b) == [1, 2]
    assert list(a) == [0, 1] and list(other) == []
    assert p._topics == {}
    for late in (lambda: p.publish("x", 1), lambda: p.subscribe("x")):
        with pytest.raises(ChanClosed):
            late()


# ---- pools ---------------------------------------------------------------------------------------------------
def counting(most, inside):
    lock = threading.Lock()

    def work():
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        sleep(0.001)
        with lock:
            inside[0] -= 1

    return work


def test_pool_runs_so_many_at_once():
    most, inside = [0], [0]
    with Pool(3) as pool:
        work = counting(most, inside)
        gs = [pool.submit(work) for _ in range(20)]
    assert all(error_of(g) is None for g in gs) and most == [3]
    with pytest.raises(Error, match="the Pool is closed"):
        pool.submit(int)


def test_pool_waits_for_a_place():
    gate = Chan()
    with Pool(1, queue=1) as pool:
        first, second = pool.submit(gate.recv), pool.submit(pow, 2, 5)
        with pytest.raises(TimeoutError), context.with_timeout(0.001):
            pool.submit(int)
        gate.send("go")
        assert (first.join(), second.join(), pool.submit(int).join()) == ("go", 32, 0)


def test_pool_keeps_the_order():
    order = []
    with Pool(1) as pool:
        for n in range(50):
            pool.submit(order.append, n)
    assert order == list(range(50))


def test_pool_tries_again():
    calls = []

    def flaky(n):
        calls.append(n)
        if len(calls) < n:
            fail()
        return "done"

    with Pool(1, retry=2) as pool:
        assert pool.submit(flaky, 3).join() == "done"
        calls.clear()
        with pytest.raises(ValueError):
            pool.submit(flaky, 4).join()
        assert calls == [4] * 3


def test_pool_cancels_what_is_left(settle):
    pool = Pool(1)
    running, waiting = pool.submit(Chan().recv), pool.submit(int)
    settle(running, waiting)
    pool.close(drain=False)
    assert isinstance(error_of(running), Canceled) and isinstance(error_of(waiting), Canceled)
    with pytest.raises(KeyError), Pool(1) as pool:
        g = pool.submit(Chan().recv)
        raise KeyError
    assert isinstance(error_of(g), Canceled)


def test_pool_forgets_those_that_give_up(settle):
    gate = Chan()
    with Pool(1) as pool:
        first = pool.submit(gate.recv)
        settle(first)
        for _ in range(20):
            gs = [pool.submit(int) for _ in range(10)]
            settle(*gs)
            for g in gs:
                g.interrupt()
            assert all(isinstance(error_of(g), Canceled) for g in gs)
        assert pool._turns.waiting == 0 and len(pool._turns._heap) < 50
        last = pool.submit(pow, 2, 5)
        gate.send("go")
        assert (first.join(), last.join()) == ("go", 32)
    assert (pool._turns.free, pool._turns.waiting) == (1, 0)


def test_pool_ends_with_its_context():
    ctx = context.with_cancel()
    pool = Pool(1, ctx=ctx)
    g = pool.submit(Chan().recv)
    ctx.cancel()
    assert isinstance(error_of(g), Canceled)
    pool.close()


@pytest.mark.parametrize("bad", [{"n": 0}, {"n": 1, "queue": -1}, {"n": 1, "retry": -1}])
def test_pool_refuses(bad):
    with pytest.raises(ValueError):
        Pool(**bad)


def test_pool_needs_a_callable():
    with Pool(1, queue=0) as pool:
        for _ in range(2):  # the place is given back
            with pytest.raises(TypeError, match="callable"):
                pool.submit(3)


def test_jobs_by_urgency(settle):
    gate, order = Chan(), []
    with JobQueue({"wait": gate.recv, "note": order.append}, workers=1, cap=4) as q:
        first = q.submit("wait")
        gs = [q.submit("note", n, priority=p) for n, p in enumerate([0, 5, 0, 5])]
        with pytest.raises(WouldBlock, match="full"):
            q.submit("note", 9, priority=9)
        settle(first)
        gate.send(None)
        for g in gs:
            g.join()
        assert order == [1, 3, 0, 2]
        with pytest.raises(ValueError, match="no handler for 'other'"):
            q.submit("other")
        with pytest.raises(TypeError):
            q.submit("note").join()
        assert q.submit("note", 7).join() is None
    with pytest.raises(Error, match="closed"):
        q.submit("note", 1)


def test_jobs_canceled(settle):
    q = JobQueue({"wait": Chan().recv}, workers=1)
    gs = [q.submit("wait") for _ in range(3)]
    settle(*gs)
    assert gs[1].interrupt()
    assert isinstance(error_of(gs[1]), Canceled)
    q.close(drain=False)
    assert all(isinstance(error_of(g), Canceled) for g in gs)
    assert (q._turns.free, q._turns.waiting) == (1, 0)


def test_resource_pool():
    pool = ResourcePool("ab")
    assert len(pool) == 2 and pool
    with pool.hold() as x, pool.hold(1) as y:
        assert {x, y} == {"a", "b"} and len(pool) == 0
        with pytest.raises(WouldBlock):
            pool.try_acquire()
        with pytest.raises(TimeoutError):
            pool.acquire(0.001)
    with pytest.raises(ValueError, match="more than there are"):
        pool.release("c")
    x = pool.acquire()
    assert pool.close() and pool.acquire() in ("a", "b")
    for late in (pool.acquire, lambda: pool.release(x)):
        with pytest.raises(ChanClosed):
            late()


class Conn:
    made, ended = 0, 0

    def __init__(self):
        type(self).made += 1

    def end(self):
        type(self).ended += 1


@pytest.fixture
def conn():
    Conn.made = Conn.ended = 0
    return Conn


def test_conn_pool(conn):
    with ConnPool(conn, 2, close=conn.end) as pool:
        a = pool.get()
        with pool.hold() as b:
            assert b is not a and len(pool) == 2
            with pytest.raises(TimeoutError):
                pool.get(0.001)
        assert pool.get(1) is b
        pool.put(a)
        pool.put(b, broken=True)
        assert (conn.made, conn.ended, len(pool)) == (2, 1, 1)
        with pytest.raises(ValueError, match="in use"):
            pool.put(a)
        with pytest.raises(KeyError), pool.hold() as c:
            raise KeyError
        assert c is a and (conn.ended, len(pool)) == (2, 0) and pool
        kept = pool.get()
        pool.put(pool.get())
    assert conn.ended == 3
    pool.put(kept)
    assert conn.ended == conn.made == 4
    with pytest.raises(ChanClosed):
        pool.get()


@pytest.mark.parametrize("limit", ["max_idle", "max_age"])
def test_conn_pool_ends_old_ones(conn, limit):
    pool = ConnPool(conn, 1, close=conn.end, **{limit: 0.001})
    a = pool.get()
    pool.put(a)
    sleep(0.002)
    b = pool.get()
    assert b is not a and (conn.made, conn.ended) == (2, 1)
    pool.put(b)
    pool.close()
    assert conn.ended == 2


def test_conn_pool_that_cannot_connect():
    pool = ConnPool(fail, 1)
    for _ in range(2):  # the place is given back
        with pytest.raises(ValueError, match="on purpose"):
            pool.get(1)
    with pytest.raises(ValueError, match="room"):
        ConnPool(fail, 0)


# ---- balance --------------------------------------------------------------------------------------------------
def test_round_robin():
    r = RoundRobin("abc")
    assert [r.next() for _ in range(4)] + list(itertools.islice(r, 3)) == list("abcabca")
    with pytest.raises(ValueError):
        RoundRobin([])


def test_weighted():
    w = Weighted({"big": 3, "small": 1})
    taken = [w.acquire() for _ in range(4)]
    assert sorted(taken) == ["big"] * 3 + ["small"] and taken[:2] == ["big", "small"]
    with pytest.raises(TimeoutError):
        w.acquire(0.001)
    w.release("small")
    with w.hold() as item:
        assert item == "small" and w.in_use("big") == 3
    assert w.in_use("small") == 0
    for bad in ("small", "unknown"):
        with pytest.raises(ValueError, match="not in use"):
            w.release(bad)
    for bad in ({}, {"a": 0}):
        with pytest.raises(ValueError, match="positive"):
            Weighted(bad)


# ---- guards ---------------------------------------------------------------------------------------------------
def test_token_bucket():
    t = TokenBucket(0.001, 2)
    t.take()
    assert t.try_take() and not t.try_take() and t.tokens < 1
    with pytest.raises(TimeoutError):
        t.take(1, 0.001)
    with pytest.raises(ValueError):
        t.take(3)
    TokenBucket(100000, 1).take(timeout=1)


def test_breaker_opens_and_closes():
    b = CircuitBreaker(2, 0.02)
    assert b.call(max, 1, 2) == 2
    for state in ("closed", "open"):
        with pytest.raises(ValueError):
            b.call(fail)
        assert b.state == state
    with pytest.raises(CircuitOpen, match="open for another") as e:
        b.call(int)
    assert 0 < e.value.seconds <= 0.02
    sleep(0.03)
    assert b.state == "half-open"
    with pytest.raises(ValueError):
        b.call(fail)
    assert b.state == "open"
    sleep(0.03)
    assert b.call(int) == 0 and b.state == "closed"
    with pytest.raises(ValueError):
        b.call(fail)
    assert b.call(int) == 0  # in a row: it begins anew
    with pytest.raises(ValueError):
        b.call(fail)
    assert b.state == "closed"


def test_breaker_lets_one_try(parked):
    b, gate = CircuitBreaker(1, 0), Chan()
    with pytest.raises(ValueError):
        b.call(fail)
    trial = parked(b.call, gate.recv)
    with pytest.raises(CircuitOpen):
        b.call(int)
    gate.send("well")
    assert trial.join() == "well" and b.state == "closed"


def test_breaker_forgets_calls_of_an_earlier_state(parked):
    b, gate = CircuitBreaker(1, 0), Chan()

    def late():
        gate.recv()
        fail()

    g = parked(b.call, late)
    with pytest.raises(ValueError):
        b.call(fail)
    assert b.call(int) == 0 and b.state == "closed"
    gate.send(None)
    assert isinstance(error_of(g), ValueError) and b.state == "closed"


def test_breaker_counts_failures_only(parked):
    b = CircuitBreaker(1, 60, errors=KeyError)
    with pytest.raises(ValueError):
        b.call(fail)
    g = parked(b.call, Chan().recv)
    g.interrupt()
    assert isinstance(error_of(g), Canceled) and b.state == "closed"
    for bad in ({"threshold": 0}, {"timeout": -1}, {"trials": 0}, {"timeout": float("nan")}):
        with pytest.raises(ValueError):
            CircuitBreaker(**bad)


def test_health():
    gate = Chan()
    h = HealthChecker({"well": int, "ill": fail, "hangs": gate.recv}, timeout=0.02)
    assert not h.healthy and h.status == {}
    found = h.run()
    assert found["well"].ok and found["well"].error is None and found["well"].seconds >= 0
    assert isinstance(found["ill"].error, ValueError) and isinstance(found["hangs"].error, TimeoutError)
    assert h.status == found and not h.healthy
    assert isinstance(h.run()["hangs"].error, TimeoutError)
    gate.send(None)  # to the one that hung all the time: it was not started again
    with pytest.raises(TimeoutError):
        gate.send(None, 0.001)
    for bad in ({"interval": 0}, {"timeout": 0}):
        with pytest.raises(ValueError):
            HealthChecker({}, **bad)


def test_health_now_and_then():
    runs = Chan()
    h = HealthChecker({"a": lambda: runs.send(None)}, interval=0.001, timeout=5)
    with h:
        with pytest.raises(RuntimeError, match="already"):
            h.start()
        for _ in range(3):
            runs.recv()
        go(list, runs)  # the rest
    assert h.healthy
    runs.close()
    h.stop()


# ---- logging --------------------------------------------------------------------------------------------------
def test_goroutine_in_log_records():
    records = []
    handler = stdlib_logging.Handler()
    handler.emit = lambda r: records.append(handler.format(r))
    handler.setFormatter(stdlib_logging.Formatter("%(goroutine)s %(message)s"))
    log = stdlib_logging.Logger("patterns", stdlib_logging.INFO)
    log.addHandler(handler)
    before = stdlib_logging.getLogRecordFactory()
    logging.install()
    try:
        logging.install()
        log.info("main")
        g = go(log.info, "another")
        g.join()
        t = threading.Thread(target=log.info, args=("thread",))
        t.start()
        t.join()
    finally:
        logging.uninstall()
    logging.uninstall()
    assert stdlib_logging.getLogRecordFactory() is before
    assert records == ["1 main", f"{g.id} another", "0 thread"]


def test_all_names():
    assert set(patterns.__all__) == {n for n in vars(patterns) if not n.startswith(("_", "@"))}
