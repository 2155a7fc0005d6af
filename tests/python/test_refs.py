"""500 rounds of every call of the API leave no object behind, and no call is left out."""
# SPDX-License-Identifier: Apache-2.0

import asyncio
import gc
import inspect
import os
import signal as signals
import sys

import gossamer
import pytest
from gossamer import (
    Canceled,
    Chan,
    ChanClosed,
    Deadlock,
    Mutex,
    Once,
    RecvChan,
    SendChan,
    Ticker,
    Timer,
    WaitGroup,
    aio,
    atomic,
    context,
    default,
    errgroup,
    go,
    leakcheck,
    logging,
    nil_chan,
    patterns,
    rate,
    runtime,
    semaphore,
    singleflight,
    sync,
)
from gossamer import signal as gsignal

ROUNDS, WARM, MOST = 500, 50, 100


def raises(error, fn, *args, **kwargs):
    try:
        fn(*args, **kwargs)
    except error:
        return
    raise AssertionError(f"no {error}")


def full():
    ch = Chan(1)
    ch.send(object())
    return ch


def closed():
    ch = Chan()
    ch.close()
    return ch


def fails(*_):
    raise KeyError(object())


# ---- a round of each: "module.Class.method" or "module.function"; what it does right, and what it refuses ----------
TABLE = {}


def one(*names):
    def add(fn):
        for name in names:
            TABLE[name] = fn
        return fn

    return add


@one("Chan", "Chan.cap", "Chan.closed", "Chan.name", "SendChan.cap", "RecvChan.cap")
def _():
    ch = Chan(2, name="x" * 20)
    assert (ch.cap, ch.closed, ch.name, len(ch), bool(ch)) == (2, False, "x" * 20, 0, True)
    repr(ch), Chan[int]
    raises(TypeError, Chan, "x")
    raises(ValueError, Chan, -1)
    raises((MemoryError, ValueError), Chan, 1 << 60)
    import copy

    raises(TypeError, copy.copy, ch)


@one("Chan.send", "SendChan.send", "Chan.recv", "RecvChan.recv")
def _():
    ch = Chan()
    g = go(ch.sender().send, object())
    ch.receiver().recv()
    g.join()
    g = go(ch.recv)
    ch.send(object(), timeout=60)
    g.join()
    raises(TimeoutError, ch.recv, timeout=0)
    raises(TimeoutError, ch.send, object(), timeout=0.0001)
    raises(ChanClosed, closed().send, object())
    raises(ChanClosed, closed().recv)
    raises(TypeError, ch.send)
    raises(TypeError, ch.recv, "x")
    full()  # what nobody receives


@one("Chan.recv_ok", "RecvChan.recv_ok", "SendChan.closed", "RecvChan.closed", "SendChan.name", "RecvChan.name")
def _():
    full().recv_ok()
    assert closed().receiver().recv_ok(timeout=1) == (None, False)
    assert closed().sender().closed and closed().receiver().closed
    Chan().sender().name, Chan().receiver().name


@one("Chan.try_send", "SendChan.try_send", "Chan.try_recv", "RecvChan.try_recv")
def _():
    ch = Chan(1)
    assert ch.try_send(object()) and not ch.sender().try_send(object())
    ch.receiver().try_recv()
    assert ch.try_recv(None) is None
    raises(gossamer.WouldBlock, ch.try_recv)


@one("Chan.close", "SendChan.close")
def _():
    ch = Chan()
    waiting = [go(ch.recv_ok) for _ in range(3)]
    sending = go(Chan().send, object())
    runtime.gosched()
    assert ch.sender().close() and not ch.close()
    for g in waiting:
        g.join()
    sending.interrupt()
    raises(Canceled, sending.join)
    with Chan() as ch:
        pass
    raises(ValueError, nil_chan.close)


@one("Chan.asend", "SendChan.asend", "Chan.arecv", "RecvChan.arecv")
def _():
    async def work():
        ch = Chan()
        t = asyncio.ensure_future(ch.sender().asend(object()))
        await ch.receiver().arecv()
        await t
        t = asyncio.ensure_future(ch.arecv())
        await asyncio.sleep(0)
        t.cancel()
        await asyncio.gather(t, return_exceptions=True)
        g = go(ch.send, object())
        await ch.arecv()
        await g
        ch.close()
        async for _ in ch:
            pass

    asyncio.run(work())


@one("Chan.sender", "Chan.receiver", "SendChan", "RecvChan")
def _():
    ch = Chan()
    s, r = ch.sender(), ch.receiver()
    repr(s), repr(r)
    raises(TypeError, SendChan)
    raises(TypeError, RecvChan)
    go(lambda: [s.send(object()), s.close()])
    assert len(list(r)) == 1


@one("Case", "Case.index", "Case.value", "Case.ok", "Case.chan", "recv", "send", "default", "select")
def _():
    ch, other = full(), Chan()
    a, b, c = gossamer.recv(ch), gossamer.send(other, object()), gossamer.recv(nil_chan)
    assert gossamer.select(a, b, c, None) is a
    a.index, a.value, a.ok, a.chan, repr(a), repr(b)
    assert gossamer.select(a, b, default) is default
    assert gossamer.select(a, b, timeout=0) is None
    assert gossamer.select(a, b, timeout=0.0001, ordered=True) is None
    g = go(other.recv)
    assert gossamer.select(a, b) is b
    g.join()
    raises(TypeError, gossamer.select, 5)
    raises(TypeError, gossamer.recv, 5)
    raises(TypeError, gossamer.send, other)
    raises(ChanClosed, gossamer.select, gossamer.send(closed(), object()))
    g = go(gossamer.select, a, b)
    runtime.gosched()
    g.interrupt()
    raises(Canceled, g.join)


@one("readable", "writable")
def _():
    r, w = os.pipe()
    try:
        assert gossamer.select(gossamer.readable(r), timeout=0.0001) is None
        assert gossamer.select(gossamer.writable(w), gossamer.readable(r)).index == 0
    finally:
        os.close(r), os.close(w)
    raises((TypeError, ValueError), gossamer.readable, "x")


@one("awaiting", "aio.awaiting", "aio.run")
def _():
    async def work(x):
        await asyncio.sleep(0)
        return x

    async def wrong():
        raise KeyError(object())

    case = gossamer.awaiting(work(object()))
    gossamer.select(case).value
    aio.run(work(object()))
    raises(KeyError, aio.run, wrong())
    raises(TypeError, aio.awaiting, 5)


@one("aio.wrap")
def _():
    async def work():
        raises_in = aio.wrap(fails)
        try:
            await raises_in()
        except KeyError:
            pass
        await aio.wrap(object)()

    asyncio.run(work())


@one("go", "Goroutine", "Goroutine.join", "Goroutine.id", "Goroutine.name", "Goroutine.labels", "Goroutine.creator")
def _():
    g = go.using(name="n" * 30, labels={"a" * 20: "b" * 20}, stack_size=1 << 18)(lambda *a, **k: (a, k), object(), k=[])
    g.id, g.name, g.labels, g.creator, repr(g)
    g.join()
    g.join(1)
    g = go(fails)
    raises(KeyError, g.join)
    raises(KeyError, g.join)
    raises(TypeError, go)
    raises(TypeError, go, 5)
    raises(TypeError, go.using(name="x"), None)
    raises(TypeError, go.using, name=5)
    raises(TypeError, go.using, labels={1: 2})
    raises(ValueError, go.using, stack_size=-5)
    go(len)
    go(lambda: None)
    runtime.set_panic("report", lambda g, e: None)
    try:
        go(fails)
        for _ in range(3):
            runtime.gosched()
    finally:
        runtime.set_panic("report")


@one("Goroutine.site", "Goroutine.done", "Goroutine.status", "Goroutine.wait_reason", "Goroutine.stack")
def _():
    ch = Chan()
    g = go(ch.recv)
    runtime.gosched()
    g.site, g.status, g.wait_reason, g.stack(), g.done, g.done
    raises(TimeoutError, g.join, timeout=0.0001)
    ch.send(object())
    g.done.recv_ok()
    g.status, g.stack()


@one("Goroutine.interrupt", "Goroutine.exception")
def _():
    g = go(Chan().recv)
    runtime.gosched()
    assert g.interrupt(ZeroDivisionError)
    g.done.recv_ok()
    assert isinstance(g.exception(), ZeroDivisionError) and not g.interrupt()
    raises(TypeError, g.interrupt, 5)
    raises(ZeroDivisionError, g.join)


@one("sleep", "after", "tick")
def _():
    gossamer.sleep(0.0001)
    gossamer.after(0.0001).recv()
    gossamer.after(1000)
    gossamer.tick(0.0001).recv()
    raises(TypeError, gossamer.sleep, "x")
    raises(ValueError, gossamer.after, float("nan"))
    raises(ValueError, gossamer.tick, 0)


@one("after_func", "Timer", "Timer.C", "Timer.stop", "Timer.reset")
def _():
    ch = Chan(1)
    t = gossamer.after_func(0, ch.send, object())
    ch.recv()
    assert not t.stop()
    t = gossamer.after_func(1000, fails, object())
    assert t.stop()
    t = Timer(1000)
    t.reset(0.0001)
    t.C.recv()
    t.stop(), repr(t)
    Timer(1000)
    raises(TypeError, gossamer.after_func, 1, 5)
    raises(ValueError, Timer, float("nan"))


@one("Ticker", "Ticker.C", "Ticker.stop", "Ticker.reset")
def _():
    with Ticker(1000) as t:
        t.reset(0.0001)
        next(iter(t))
        t.C.recv()
    t.stop()
    raises(ValueError, Ticker, 0)
    Ticker(1000)


@one("WaitGroup", "WaitGroup.add", "WaitGroup.done", "WaitGroup.wait", "WaitGroup.go")
def _():
    wg = WaitGroup()
    wg.add(2)
    wg.go(object)
    wg.done(), wg.done()
    wg.wait(), wg.wait(1)
    raises(ValueError, wg.done)
    wg.add()
    raises(TimeoutError, wg.wait, 0.0001)
    raises(TypeError, wg.go, 5)
    wg.done()


@one("Mutex", "Mutex.lock", "Mutex.try_lock", "Mutex.unlock")
def _():
    mu = Mutex()
    with mu:
        assert not mu.try_lock()
        raises(TimeoutError, mu.lock, 0.0001)
        g = go(mu.lock)
        runtime.gosched()
    g.join()
    mu.unlock()
    raises(RuntimeError, mu.unlock)


@one("sync.RWMutex", "sync.RWMutex.lock", "sync.RWMutex.try_lock", "sync.RWMutex.unlock", "sync.RWMutex.rlock")
@one("sync.RWMutex.try_rlock", "sync.RWMutex.runlock", "sync.RWMutex.reader")
@one("sync.Locker", "sync.Locker.lock", "sync.Locker.try_lock", "sync.Locker.unlock")
def _():
    rw = sync.RWMutex()
    with rw:
        assert not rw.try_rlock() and not rw.try_lock()
        raises(TimeoutError, rw.rlock, 0.0001)
    with rw.reader as r:
        assert rw.reader.try_lock() and rw.try_rlock()
        r.unlock(), rw.runlock()
        rw.rlock(), rw.runlock()
    raises(RuntimeError, rw.runlock)
    raises(RuntimeError, rw.unlock)
    rw.lock(), rw.unlock(), rw.reader.lock(), rw.reader.unlock()


@one("sync.Cond", "sync.Cond.lock", "sync.Cond.wait", "sync.Cond.wait_for", "sync.Cond.signal", "sync.Cond.broadcast")
def _():
    c, ready = sync.Cond(), []

    def wait():
        with c:
            c.wait_for(lambda: ready)

    gs = [go(wait) for _ in range(3)]
    runtime.gosched()
    with c:
        ready.append(1)
        c.signal(), c.broadcast()
    for g in gs:
        g.join()
    with c.lock:
        raises(TimeoutError, c.wait, 0.0001)
    raises(RuntimeError, c.wait)
    raises(TypeError, sync.Cond, 5)


@one("Once", "Once.do", "sync.once_func", "sync.once_value", "sync.once_values")
def _():
    once = Once()
    once.do(object), once.do(object)
    raises(KeyError, Once().do, fails)
    f, v = sync.once_func(lambda: None), sync.once_value(object)
    f(), f()
    assert v() is v() and sync.once_values(lambda: (1, 2))() == (1, 2)
    w = sync.once_value(fails)
    raises(KeyError, w)
    raises(KeyError, w)


@one("sync.Pool", "sync.Pool.get", "sync.Pool.put")
def _():
    p = sync.Pool(object)
    x = p.get()
    p.put(x), p.put(object()), p.get(), len(p), bool(p)
    raises(KeyError, sync.Pool(fails).get)
    raises(TypeError, sync.Pool, 5)


MAP = "load store load_or_store load_and_delete delete swap compare_and_swap compare_and_delete range clear get keys"
MAP += " values items pop popitem setdefault update"


@one("sync.Map", *(f"sync.Map.{name}" for name in MAP.split()))
def _():
    m = sync.Map()
    k, v, w = object(), object(), object()
    m.store(k, v), m.load(k), m.load_or_store(k, w), m.load_or_store(w, w), m.swap(k, w), m.compare_and_swap(k, w, v)
    m.compare_and_delete(k, w), m.load_and_delete(w), m.delete(5), m.get(k), m.get(5, object()), m.setdefault(7, object())
    m.range(lambda k, v: True), list(m), list(m.keys()), list(m.values()), list(m.items()), len(m), repr(m), k in m
    m[9] = object()
    m.pop(9), m.pop(9, None), m.update({1: object()}), m.popitem(), m.clear()
    raises(KeyError, lambda: m[k])
    raises(TypeError, m.store, [], 1)
    raises(KeyError, m.popitem)
    m.store(1, m)  # left to the collector


@one("atomic.Int", *(f"atomic.Int.{n}" for n in "load store add swap compare_and_swap and_ or_".split()))
@one("atomic.Bool", *(f"atomic.Bool.{n}" for n in "load store swap compare_and_swap".split()))
@one("atomic.Ref", *(f"atomic.Ref.{n}" for n in "load store swap compare_and_swap".split()))
def _():
    n = atomic.Int(1 << 40)
    n.load(), n.store(1 << 41), n.add(1 << 42), n.swap(1 << 43), n.compare_and_swap(1 << 43, 1 << 44), n.and_(1 << 45)
    n.or_(1 << 46)
    raises(TypeError, n.store, "x")
    n.store(1 << 70)  # wraps round
    b = atomic.Bool()
    b.load(), b.store(True), b.swap(False), b.compare_and_swap(False, True)
    r, x = atomic.Ref(object()), object()
    r.load(), r.store(x), r.swap(x), r.compare_and_swap(x, object()), r.store(r)


@one("context.background", "context.todo", "context.current", "context.Context", "context.with_cancel")
@one(*(f"context.Context.{n}" for n in "done deadline err cause value cancel".split()))
@one("context.with_timeout", "context.with_deadline", "context.with_value", "context.with_grace")
@one("context.without_cancel", "context.merge", "context.after_func")
def _():
    context.background(), context.todo(), context.current()
    with context.with_cancel() as c:
        kids = [
            context.with_timeout(1000, c),
            context.with_deadline(1e12, c, cause=KeyError(object())),
            context.with_value(object(), object(), c),
            context.with_grace(0.0001, c),
            context.without_cancel(c),
            context.merge(c, context.with_cancel()),
        ]
        ran = Chan(1)
        stop, other = context.after_func(c, lambda: ran.send(1)), context.after_func(c, fails)
        assert other()
        for k in kids:
            k.done, k.deadline, k.err(), k.cause(), k.value(5), repr(k)
        c.cancel(KeyError(object()))
        ran.recv(ctx=context.background())
        stop()
        kids[3].done.recv_ok(ctx=context.background())
        for k in kids:
            k.err(), k.cause()
        raises(Canceled, Chan().recv)
    raises(Canceled, Chan().recv, ctx=kids[0])
    try:
        with context.with_timeout(0.0001):
            Chan().recv()
    except TimeoutError:
        pass
    raises(TypeError, context.merge, 5, 6)
    raises(TypeError, context.Context)


@one("errgroup.Group", "errgroup.map", *(f"errgroup.Group.{n}" for n in "go try_go set_limit wait".split()))
def _():
    with errgroup.Group(2) as g:
        g.go(object), g.go(object), g.go(object), g.try_go(object)
    g.set_limit(5), g.wait()
    g = errgroup.Group(errors="all")
    g.go(fails), g.go(fails)
    raises(ExceptionGroup, g.wait)
    g = errgroup.Group()
    g.go(fails), g.go(gossamer.sleep, 1000)
    raises(KeyError, g.wait)
    assert errgroup.map(abs, [-1, -2], limit=1) == [1, 2]
    raises(KeyError, errgroup.map, fails, [1, 2])
    raises(TypeError, g.go, 5)


@one("semaphore.Weighted", *(f"semaphore.Weighted.{n}" for n in "acquire try_acquire release hold".split()))
def _():
    s = semaphore.Weighted(2)
    s.acquire(), s.try_acquire(1), s.try_acquire(1)
    raises(TimeoutError, s.acquire, 1, 0.0001)
    s.release(2)
    with s.hold(2):
        pass
    raises(TimeoutError, s.acquire, 3, timeout=0.0001)
    raises((ValueError, RuntimeError), s.release, 5)


@one("singleflight.Group", "singleflight.Result", *(f"singleflight.Group.{n}" for n in "do do_chan forget".split()))
def _():
    f = singleflight.Group()
    f.do("key", object), f.do_chan("key", object).recv(), f.forget("key")
    raises(KeyError, f.do, "key", fails)
    f.do_chan("key", fails).recv()
    raises(TypeError, f.do, [], object)


@one("logging.install", "logging.uninstall")
def _():
    logging.install(), logging.install(), logging.uninstall()


@one(*(f"patterns.{n}" for n in "SKIP Item bridge fan_out generate merge stage tee".split()))
@one("patterns.Item.error")
def _():
    chs = patterns.fan_out(patterns.generate([patterns.Item(1), patterns.Item(0), 1]), 2, lambda n: 1 // n)
    a, b = patterns.tee(patterns.stage(lambda v: v, patterns.bridge(patterns.generate([patterns.merge(*chs)]))))
    for _ in a:
        b.recv()


def members(name, names):
    return [f"patterns.{name}", *(f"patterns.{name}.{n}" for n in names.split())]


@one(*members("Ring", "cap close closed dropped receiver recv send"))
@one(*members("PubSub", "close publish subscribe"), *members("Subscription", "close closed dropped receiver recv"))
def _():
    with patterns.Ring(1) as r:
        r.send(object()), r.send(object()), r.recv(), r.dropped, r.cap, r.closed, r.receiver(), len(r)
    with patterns.PubSub() as p:
        s = p.subscribe("x", 1)
        p.publish("x", object()), p.publish("x", object()), s.recv(), s.dropped, s.closed, s.receiver()
        s.close(), p.subscribe("y")
    raises(ChanClosed, p.publish, "x", 1)


@one(*members("Pool", "close submit"), *members("JobQueue", "close submit"))
@one(*members("ResourcePool", "acquire close hold release try_acquire"), *members("ConnPool", "close get hold put"))
def _():
    with patterns.Pool(1, queue=1, retry=1) as pool:
        pool.submit(object).join(), raises(KeyError, pool.submit(fails).join)
    with patterns.JobQueue({"x": object, "y": fails}, workers=1) as q:
        q.submit("x"), q.submit("x", priority=1), raises(KeyError, q.submit("y").join), raises(ValueError, q.submit, "z")
    things = patterns.ResourcePool([object()])
    with things.hold() as x:
        raises(gossamer.WouldBlock, things.try_acquire)
    things.release(things.acquire()), raises(ValueError, things.release, x), things.close()
    with patterns.ConnPool(object, 2) as conns, conns.hold():
        conns.put(conns.get(), broken=True)


@one(*members("RoundRobin", "next"), *members("Weighted", "acquire hold in_use release"))
@one(*members("TokenBucket", "take tokens try_take"), *members("CircuitBreaker", "call state"))
@one(*members("HealthChecker", "healthy run start status stop"), "patterns.Health")
def _():
    patterns.RoundRobin([1]).next()
    w = patterns.Weighted({"a": 1, "b": 2})
    with w.hold() as item:
        w.release(w.acquire()), w.in_use(item)
    t = patterns.TokenBucket(1e6, 2)
    t.take(), t.try_take(), t.tokens
    b = patterns.CircuitBreaker(1, 1000)
    b.call(object), raises(KeyError, b.call, fails), raises(patterns.CircuitOpen, b.call, object), b.state
    h = patterns.HealthChecker({"a": object, "b": fails})
    h.run(), h.healthy, h.status, h.start(), h.stop()


@one("rate.Limiter", "rate.every", "rate.Reservation", "rate.inf")
@one(*(f"rate.Limiter.{n}" for n in "limit burst tokens allow reserve wait set_limit set_burst".split()))
@one(*(f"rate.Reservation.{n}" for n in "ok delay cancel".split()))
def _():
    lim = rate.Limiter(rate.every(0.00001), 5)
    lim.allow(), lim.wait(), lim.set_limit(1e6), lim.set_burst(7), lim.limit, lim.burst, lim.tokens
    r = lim.reserve(2)
    r.ok, r.delay(), r.cancel()
    raises(ValueError, lim.wait, 100)
    raises(TypeError, rate.Limiter, "x", 1)


@one("signal.notify", "signal.stop", "signal.ignore", "signal.reset", "signal.ignored", "signal.notify_context")
@one("signal.Signaled")
def _():
    ch = Chan(1)
    gsignal.notify(ch, signals.SIGUSR1)
    os.kill(os.getpid(), signals.SIGUSR1)
    ch.recv()
    gsignal.stop(ch)
    with gsignal.notify_context(signals.SIGUSR1) as c:
        os.kill(os.getpid(), signals.SIGUSR1)
        c.done.recv_ok(ctx=context.background())
        c.cause()
    gsignal.ignore(signals.SIGUSR2), gsignal.ignored(signals.SIGUSR2), gsignal.reset(signals.SIGUSR2)
    gsignal.reset(signals.SIGUSR1)
    raises(TypeError, gsignal.notify, 5)


@one("runtime.Stats", "runtime.stats", "runtime.stack", "runtime.goroutines", "runtime.goid", "runtime.num_goroutine")
@one("runtime.num_cpu", "runtime.gomaxprocs", "runtime.gosched", "runtime.set_max_threads", "runtime.free_stacks")
@one("runtime.set_panic", "runtime.set_slow", "runtime.lock_os_thread", "runtime.unlock_os_thread", "runtime.goexit")
def _():
    runtime.stats(), runtime.stack(), runtime.stack(all=True), runtime.goroutines(), runtime.goid()
    runtime.num_goroutine(), runtime.num_cpu(), runtime.gomaxprocs(), runtime.gosched()
    runtime.set_max_threads(runtime.set_max_threads(10000))
    runtime.set_panic("report", fails), runtime.set_panic("report")
    runtime.set_slow(1000, fails), runtime.set_slow(None)
    with runtime.lock_os_thread():
        pass
    runtime.lock_os_thread(), runtime.unlock_os_thread()
    go(runtime.goexit).join()
    raises(ValueError, runtime.set_panic, "x")


@one("leakcheck.Leak", "leakcheck.find", "leakcheck.check", "leakcheck.scope")
def _():
    g = go(Chan().recv)
    leakcheck.find()
    raises(leakcheck.Leak, leakcheck.check, 0)
    try:
        with leakcheck.scope(0):
            h = go(Chan().recv)
    except leakcheck.Leak:
        pass
    g.interrupt(), h.interrupt()
    g.done.recv_ok(), h.done.recv_ok()


@one("nil_chan")
def _():
    raises(TimeoutError, nil_chan.recv, timeout=0)
    raises(TimeoutError, nil_chan.send, object(), timeout=0)
    assert nil_chan.try_recv(None) is None and not nil_chan.try_send(object())


# ---- none is left out ------------------------------------------------------------------------------------------
ELSEWHERE = {
    "runtime.shutdown",  # test_shutdown below: it would end what other tests have left
    "runtime.Stats.count",  # tuple's
    "runtime.Stats.index",
    "backend",  # values
    "backend_features",
    "get_include",  # files
    "get_library",
}


def public():
    names, seen = {}, set()
    modules = [gossamer, aio, atomic, context, errgroup, leakcheck, logging, patterns, rate, runtime, semaphore, gsignal]
    modules += [singleflight, sync]
    for module in modules:
        prefix = "" if module is gossamer else module.__name__.removeprefix("gossamer.") + "."
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.ismodule(value) or (inspect.isclass(value) and issubclass(value, BaseException)):
                continue
            if inspect.isclass(value):
                if value in seen:
                    continue
                seen.add(value)
                for member in dir(value):
                    if not member.startswith("_"):
                        names[f"{prefix}{name}.{member}"] = None
            names[prefix + name] = value
    # of runtime.Stats and singleflight.Result only the fields' names are new
    fields = {f"runtime.Stats.{f}" for f in runtime.Stats._fields}
    return {n for n in names if n not in fields and not n.startswith("singleflight.Result.")}


def test_none_is_left_out():
    assert public() - set(TABLE) - ELSEWHERE - {Deadlock.__name__} == set()


# ---- they leave nothing -----------------------------------------------------------------------------------------
def count(goroutines):
    while runtime.num_goroutine() > goroutines:
        runtime.gosched()
    for _ in range(3):
        gc.collect()
    total = sys.gettotalrefcount() if hasattr(sys, "gettotalrefcount") else 0
    return sys.getallocatedblocks(), len(gc.get_objects()), total


FUNCTIONS = {id(fn): (names, fn) for fn in TABLE.values() for names in [[n for n in TABLE if TABLE[n] is fn]]}


@pytest.mark.parametrize("fn", [fn for _, fn in FUNCTIONS.values()], ids=[names[0] for names, _ in FUNCTIONS.values()])
def test_nothing_is_left(fn):
    go(len, "").join()
    for _ in range(WARM):
        fn()
    goroutines = runtime.num_goroutine()
    grown = []
    for _ in range(4):  # what is kept for use again grows at first; a leak grows each time
        before = count(goroutines)
        for _ in range(ROUNDS):
            fn()
        grown.append([b - a for a, b in zip(before, count(goroutines), strict=True)])
        if max(grown[-1]) < MOST:
            return
    raise AssertionError(f"blocks, objects, references: {grown}")


def test_shutdown(program):
    r = program(
        """
        import gc, sys
        from gossamer import *
        def round():
            gs = [go(Chan().recv) for _ in range(3)]
            runtime.gosched()
            assert runtime.shutdown() and runtime.num_goroutine() == 1
        for _ in range(50): round()
        gc.collect(); before = sys.getallocatedblocks()
        for _ in range(500): round()
        gc.collect(); print(sys.getallocatedblocks() - before < 100)
        """
    )
    assert r.out == "True\n" and r.code == 0, r
