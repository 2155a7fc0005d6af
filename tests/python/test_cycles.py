"""Whatever keeps values lets the collector see them: a cycle through it goes once nobody else has a part of it."""

import gc
import sys
import weakref

import pytest
from gossamer import Chan, after_func, atomic, context, errgroup, go, recv, select, send, singleflight, sync


class Thing:
    def method(self):
        return self

    def fail(self):
        raise ValueError(self)


def full(thing):
    ch = Chan(2)
    ch.send(thing)
    ch.send(thing)
    return ch


def wrapped(thing):
    """Not the ring's first place, and past its end."""
    ch = Chan(3)
    for x in (1, 2, thing, thing):
        ch.send(x)
        if x in (1, 2):
            ch.recv()
    return ch


def kept_in(kind, keep):
    def make(thing):
        holder = kind()
        keep(holder, thing)
        return holder

    return make


def ended(start):
    def make(thing):
        g = start(thing)
        try:
            g.join()
        except ValueError:
            pass
        return g

    return make


def stopped(thing):
    t = after_func(1000, thing.method)
    assert t.stop()
    return t


def fired(thing):
    done = Chan()
    t = after_func(0, lambda: (thing, done.close()))
    done.recv_ok()
    return t


def canceled(thing):
    c = context.with_cancel()
    cause = ValueError()
    cause.thing = thing
    c.cancel(cause)
    return c


def stop_function(thing):
    stop = context.after_func(context.with_cancel(), thing.method)
    assert stop()
    return stop


def called(thing):
    value = sync.once_value(thing.method)
    assert value() is thing
    return value


def flight(thing):
    g = singleflight.Group()
    assert g.do(thing, thing.method) == (thing, False)
    return g


def group(thing):
    g = errgroup.Group()
    g.go(thing.fail)
    with pytest.raises(ValueError):
        g.wait()
    return g


HOLDERS = {
    "Chan": full,
    "Chan, wrapped": wrapped,
    "SendChan": lambda t: full(t).sender(),
    "RecvChan": lambda t: full(t).receiver(),
    "Chan in a Chan": lambda t: full(full(t)),
    "Chan and views": lambda t: [(ch := full(t)), ch.sender(), ch.receiver(), ch.sender()],
    "send case": lambda t: send(Chan(), t),
    "recv case": lambda t: recv(full(t)),
    "Goroutine, arguments": ended(lambda t: go(id, t)),
    "Goroutine, result": ended(lambda t: go(t.method)),
    "Goroutine, exception": ended(lambda t: go(t.fail)),
    "Goroutine, contextvars": ended(lambda t: go(lambda: t)),
    "Timer, stopped": stopped,
    "Timer, fired": fired,
    "context, value": lambda t: context.with_value("key", t),
    "context, key": lambda t: context.with_value(t, 1),
    "context, cause": canceled,
    "context, below": lambda t: context.with_cancel(context.with_value("key", t)),
    "after_func": stop_function,
    "Map": kept_in(sync.Map, lambda m, t: m.store("key", t)),
    "Map, key": kept_in(sync.Map, lambda m, t: m.store(t, 1)),
    "Pool": kept_in(lambda: sync.Pool(Thing), lambda p, t: p.put(t)),
    "Pool, new": lambda t: sync.Pool(t.method),
    "Ref": atomic.Ref,
    "once_func": lambda t: sync.once_func(t.method),
    "once_value": called,
    "singleflight": flight,
    "errgroup": group,
}


@pytest.mark.parametrize("make", HOLDERS.values(), ids=HOLDERS.keys())
def test_a_cycle_goes(make):
    thing = Thing()
    thing.holder = make(thing)
    ref = weakref.ref(thing)
    del thing
    gc.collect()
    assert ref() is None


@pytest.mark.parametrize("make", HOLDERS.values(), ids=HOLDERS.keys())
def test_what_is_in_use_stays(make):
    thing = Thing()
    thing.holder = make(thing)
    for _ in range(3):
        gc.collect()
    holder = thing.holder
    assert thing.method() is thing
    del thing
    gc.collect()
    assert holder is not None


def test_a_channel_keeps_its_values():
    values = [Thing(), Thing()]
    refs = [weakref.ref(v) for v in values]
    ch = Chan(2)
    for v in values:
        v.ch = ch
        ch.send(v)
    del v, values
    out = ch.receiver()
    del ch  # the view holds it
    gc.collect()
    assert len(out) == 2 and all(r() for r in refs)
    assert out.recv() is refs[0]() and out.recv() is refs[1]()
    gc.collect()
    assert not any(r() for r in refs)


def test_what_a_goroutine_waits_to_send_stays(parked):
    thing = Thing()
    thing.ch = Chan()
    ref = weakref.ref(thing)
    g = parked(thing.ch.send, thing)
    k = parked(select, send(thing.ch, thing))
    out = thing.ch.receiver()
    del thing
    gc.collect()
    assert out.recv() is ref() and out.recv() is ref()
    g.join(), k.join()
    del g, k, out
    gc.collect()
    assert ref() is None


def test_the_collector_sees_each_value_once():
    thing = Thing()
    ch = full(thing)
    views = [ch.sender(), ch.receiver()]
    assert gc.get_referents(ch).count(thing) == 2
    for v in views:
        assert gc.is_tracked(v) and thing not in gc.get_referents(v) and ch in gc.get_referents(v)


def test_values_that_go_may_use_their_channel():
    seen = []

    class Loud:
        def __del__(self):
            seen.append((self.ch.try_recv(None) is not None, len(self.ch), self.ch.try_send(1)))

    ch = Chan(3)
    for _ in range(2):
        v = Loud()
        v.ch = ch
        ch.send(v)
    del v, ch
    gc.collect()
    gc.collect()
    assert len(seen) == 2


def test_channels_inside_one_another_go_without_recursion():
    inner = Chan(1)
    for _ in range(100_000):
        outer = Chan(1)
        outer.send(inner)
        inner = outer
    ref = weakref.ref(inner)
    del inner, outer
    assert ref() is None


@pytest.mark.skipif(sys.implementation.name == "pypy", reason="counts references")
def test_a_cleared_channel_has_counted_right():
    thing, other = Thing(), object()
    count = sys.getrefcount(other)
    thing.ch = Chan(3)
    thing.ch.send(thing), thing.ch.send(other), thing.ch.send(other)
    assert sys.getrefcount(other) == count + 2
    del thing
    gc.collect()
    assert sys.getrefcount(other) == count
