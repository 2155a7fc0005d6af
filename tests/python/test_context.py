"""Contexts: how they end, what obeys them, the ambient one."""
# SPDX-License-Identifier: Apache-2.0

import contextvars
import copy
import gc
import math
import pickle
import sys
import threading
import time
import traceback
import weakref

import pytest
from gossamer import (
    Canceled,
    Chan,
    DeadlineExceeded,
    Mutex,
    WaitGroup,
    context,
    default,
    go,
    nil_chan,
    recv,
    runtime,
    select,
    send,
    sleep,
)

LONG = 3600
SHORT = 0.001


@pytest.fixture(autouse=True)
def nothing_left(settle):
    """No test leaves a goroutine or an ambient context behind."""
    before = runtime.num_goroutine()
    yield
    assert context.current() is context.background()
    while runtime.num_goroutine() > before:
        runtime.gosched()


def ended(ctx):
    """Waits until ctx has ended, obeying nothing else."""
    ctx.done.recv_ok(ctx=context.background())
    return ctx.err()


# ---- how they end ------------------------------------------------------------------------------


def test_background():
    for c in (context.background(), context.todo(), context.without_cancel(context.with_cancel())):
        c.cancel(ValueError())
        assert c.err() is None and c.cause() is None and c.deadline is None
        with pytest.raises(TimeoutError):
            c.done.recv(timeout=0)
    assert context.background() is context.background() is not context.todo()


def test_cancel():
    c = context.with_cancel()
    assert c.err() is None and c.cause() is None and not c.done.closed
    c.cancel()
    c.cancel(ValueError("too late"))
    err = c.err()
    assert type(err) is Canceled and err.ctx is c and err.cause is None and str(err) == "context canceled"
    assert type(c.cause()) is Canceled
    assert c.done.closed and c.done.recv_ok() == (None, False)
    assert c.err() is not err, "each has a traceback of its own"


def test_cause_reaches_all_below():
    top = context.with_cancel()
    kid = context.with_value("k", 1, context.with_cancel(top))
    grandkid = context.with_timeout(LONG, kid)
    why = ValueError("why")
    top.cancel(why)
    for c in (top, kid, grandkid):
        assert c.cause() is why and c.err().cause is why and c.err().__cause__ is why and c.err().ctx is c
        assert type(c.err()) is Canceled


def test_own_cause_stays():
    top = context.with_cancel()
    kid = context.with_cancel(top)
    one, two = ValueError(1), ValueError(2)
    kid.cancel(one)
    top.cancel(two)
    assert kid.cause() is one and top.cause() is two
    late = context.with_cancel(top)
    assert late.cause() is two


def test_siblings_and_parents_go_on():
    top = context.with_cancel()
    a, b = context.with_cancel(top), context.with_cancel(top)
    a.cancel()
    assert a.err() and not b.err() and not top.err()


def test_timeout():
    why = OSError("slow")
    c = context.with_timeout(SHORT, cause=why)
    assert c.deadline <= time.monotonic() + SHORT
    err = ended(c)
    assert type(err) is DeadlineExceeded and c.cause() is why and err.cause is why
    assert time.monotonic() >= c.deadline
    assert context.with_cancel(c).cause() is why
    c = context.with_timeout(LONG, cause=why)
    c.cancel()
    assert type(c.err()) is Canceled and type(c.cause()) is Canceled


def test_deadline():
    t = time.monotonic() + LONG
    c = context.with_deadline(t)
    assert abs(c.deadline - t) < 1e-3 and c.err() is None
    assert context.with_timeout(2 * LONG, c).deadline == c.deadline, "the earlier one"
    assert isinstance(context.with_deadline(time.monotonic() - 1).err(), DeadlineExceeded)
    assert isinstance(context.with_timeout(0).err(), DeadlineExceeded)
    assert isinstance(context.with_timeout(-1).err(), DeadlineExceeded)
    assert context.with_timeout(math.inf).deadline is None
    c.cancel()


def test_value():
    a = context.with_value("a", 1)
    b = context.with_value(("b",), 2, context.with_cancel(a))
    c = context.without_cancel(context.with_value("a", 3, b))
    assert (a.value("a"), b.value("a"), c.value("a"), c.value(tuple(["b"]))) == (1, 1, 3, 2)
    assert a.value("x") is None and a.value("x", 7) == 7 and a.value(key="x", default=8) == 8
    assert context.background().value("a") is None

    class Bad:
        def __eq__(self, other):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        b.value(Bad())
    with pytest.raises(TypeError, match="not None"):
        context.with_value(None, 1)
    top = context.with_cancel()
    v = context.with_value("a", 1, top)
    v.cancel()
    assert not top.err()
    top.cancel()
    assert v.err()


def test_grace():
    top = context.with_cancel()
    c = context.with_grace(LONG, top)
    quick = context.with_grace(0, top)
    why = ValueError()
    top.cancel(why)
    assert not c.err() and quick.cause() is why
    c.cancel()
    assert type(c.err()) is Canceled and c.cause() is not why
    short = context.with_grace(SHORT, top)
    assert type(ended(short)) is Canceled and short.cause() is why
    assert context.with_grace(LONG).err() is None


def test_merge():
    a, b = context.with_value("k", 1, context.with_cancel()), context.with_value("k", 2, context.with_timeout(LONG))
    b = context.with_value("l", 3, context.with_cancel(b))
    c = context.merge(a, b)
    assert (c.value("k"), c.value("l"), c.value("m")) == (1, 3, None) and c.deadline == b.deadline
    why = ValueError()
    context.merge(a, b).cancel()
    assert not c.err()
    assert not context.merge(a, a).err()
    kid = context.with_cancel(c)
    cancel = context.with_cancel(b)
    cancel.cancel()
    assert not c.err()
    second = context.with_cancel()
    c = context.merge(context.with_cancel(), second)
    kid = context.with_cancel(c)
    second.cancel(why)
    assert c.cause() is why and kid.cause() is why and type(kid.err()) is Canceled
    for _ in range(63):
        c = context.merge(c, a)
    assert c.cause() is why
    with pytest.raises(ValueError, match="64"):
        context.merge(c, a)


def test_bad_input():
    for make in (
        lambda: context.with_cancel(1),
        lambda: context.with_timeout("1"),
        lambda: context.with_timeout(1, 2),
        lambda: context.with_timeout(1, cause=ValueError),
        lambda: context.with_timeout(),
        lambda: context.with_deadline(None),
        lambda: context.merge(context.background(), None),
        lambda: context.with_cancel().cancel("why"),
        lambda: context.Context(),
        lambda: context.after_func(context.background(), None),
        lambda: context.after_func(None, print),
        lambda: sleep(0, ctx=1),
        lambda: sleep(0, timeout=1),
        lambda: Chan(1).send(1, ctx=3),
        lambda: Chan(1).send(1, ctx=context.background(), nope=3),
        lambda: select(default, ctx=3),
        lambda: select(default, ctx=context.background(), nope=3),
        lambda: go(int).join(ctx="x"),
        lambda: copy.copy(context.background()),
        lambda: pickle.dumps(context.with_cancel()),
    ):
        with pytest.raises(TypeError):
            make()
    with pytest.raises(ValueError):
        context.with_timeout(math.nan)


# ---- what obeys them ------------------------------------------------------------------------------

locked = Mutex()
locked.lock()
counted = WaitGroup()
counted.add()
full = Chan(1)
full.send(0)
forever = go(nil_chan.recv)

waits = {
    "send": lambda **k: full.send(1, **k),
    "send_unbuffered": lambda **k: Chan().send(1, **k),
    "recv": lambda **k: Chan().recv(**k),
    "recv_nil": lambda **k: nil_chan.recv(**k),
    "recv_ok": lambda **k: Chan().recv_ok(**k),
    "select": lambda **k: select(recv(Chan()), send(full, 2), **k),
    "select_one": lambda **k: select(recv(Chan()), **k),
    "select_none": lambda **k: select(**k),
    "select_ordered": lambda **k: select(recv(Chan()), send(full, 2), ordered=True, **k),
    "sleep": lambda **k: sleep(LONG, **k),
    "sleep_inf": lambda **k: sleep(math.inf, **k),
    "join": lambda **k: forever.join(**k),
    "lock": lambda **k: locked.lock(**k),
    "wait": lambda **k: counted.wait(**k),
}
every_wait = pytest.mark.parametrize("wait", waits.values(), ids=waits)


@every_wait
def test_cancel_ends_wait(wait, parked):
    c = context.with_cancel()
    g = parked(lambda: wait(ctx=c))
    assert g.status == "waiting"
    why = ValueError()
    c.cancel(why)
    with pytest.raises(Canceled) as e:
        g.join()
    assert e.value.ctx is c and e.value.cause is why


@every_wait
def test_cancel_ends_wait_of_main(wait):
    c = context.with_cancel()
    go(c.cancel)
    with pytest.raises(Canceled):
        wait(ctx=c)


@every_wait
def test_deadline_ends_wait(wait):
    c = context.with_timeout(SHORT)
    with pytest.raises(DeadlineExceeded) as e:
        wait(ctx=c)
    assert e.value.ctx is c


@every_wait
def test_ended_before(wait):
    c = context.with_cancel()
    c.cancel()
    with pytest.raises(Canceled):
        wait(ctx=c)
    with c, pytest.raises(Canceled):
        wait()


@every_wait
def test_ambient(wait, parked):
    c = context.with_cancel()
    with c:
        g = parked(lambda: wait())
        d = parked(lambda: wait(ctx=context.background()))
    with pytest.raises(Canceled) as e:
        g.join()
    assert e.value.ctx is c
    assert d.status == "waiting", "an explicit one wins"
    d.interrupt(KeyError)
    with pytest.raises(KeyError):
        d.join()


@every_wait
def test_timeout_beside_context(wait):
    if wait in (waits["sleep"], waits["sleep_inf"]):
        return
    c = context.with_cancel()
    for timeout in (0, SHORT):
        for k in ({"ctx": c}, {}):
            with context.with_value("k", 1, c):
                try:
                    assert wait(timeout=timeout, **k) is None  # select
                except TimeoutError:
                    pass


@every_wait
def test_interrupt_beside_context(wait, parked):
    c = context.with_cancel()
    g = parked(lambda: wait(ctx=c))
    g.interrupt(KeyError)
    with pytest.raises(KeyError):
        g.join()
    assert not c.err()


@every_wait
def test_in_a_thread(wait):
    seen = []

    def work(c):
        try:
            wait(ctx=c)
        except Canceled as e:
            seen.append(e)

    c = context.with_cancel()
    t = threading.Thread(target=work, args=(c,))
    t.start()
    c.cancel()
    t.join()
    d = context.with_timeout(SHORT)
    t = threading.Thread(target=work, args=(d,))
    t.start()
    t.join()
    assert [type(e) for e in seen] == [Canceled, DeadlineExceeded] and seen[0].ctx is c


def test_cancel_from_a_thread(parked):
    c = context.with_cancel()
    g = parked(lambda: Chan().recv(ctx=c))
    t = threading.Thread(target=c.cancel)
    t.start()
    with pytest.raises(Canceled):
        g.join()
    t.join()


def test_iteration_obeys_ambient(parked):
    c = context.with_cancel()
    with c:
        g = parked(lambda: list(Chan()))
    assert isinstance(g.exception(), Canceled) or g.status != "dead"
    with pytest.raises(Canceled):
        g.join()


def test_ended_wins_over_ready():
    c = context.with_cancel()
    c.cancel()
    ch = Chan(1)
    with pytest.raises(Canceled):
        ch.send(1, ctx=c)
    assert len(ch) == 0
    ch.send(1)
    with pytest.raises(Canceled):
        ch.recv(ctx=c)
    with pytest.raises(Canceled):
        ch.recv(timeout=0, ctx=c)
    with pytest.raises(Canceled):
        select(default, ctx=c)
    g = go(int)
    g.join()
    with pytest.raises(Canceled):
        g.join(ctx=c)
    mu = Mutex()
    with pytest.raises(Canceled):
        mu.lock(ctx=c)
    assert mu.try_lock() and len(ch) == 1
    with c:
        assert ch.try_recv() == 1 and ch.try_send(2) and ch.close(), "what does not wait asks nobody"


def test_ready_with_context():
    c, ch = context.with_cancel(), Chan(1)
    for _ in range(3):
        ch.send(1, ctx=c)
        assert ch.recv(ctx=c) == 1
        assert select(send(ch, 2), ctx=c).ok
        assert select(recv(ch), ctx=c, timeout=0).value == 2
        assert select(recv(ch), default, ctx=c) is default
        assert select(recv(ch), ctx=c, timeout=0) is None
    sleep(0, ctx=c)


def test_context_as_case():
    c, ch = context.with_cancel(), Chan()
    done = recv(c)
    assert select(done, default) is default
    go(c.cancel)
    assert select(done, recv(ch)) is done and not done.ok and done.value is None and done.chan is c
    assert select(recv(context.background()), timeout=SHORT) is None


def test_no_value_is_lost():
    """Whatever a cancellation races with: what was received was sent, what was not sent is still there."""
    total = 0
    for i in range(300):
        c, ch, got = context.with_cancel(), Chan(i % 3), []

        def receive(c=c, ch=ch, got=got):
            while True:
                got.append(ch.recv(ctx=c))

        def produce(c=c, ch=ch):
            sent = 0
            try:
                while True:
                    if sent % 2:
                        ch.send(object(), ctx=c)
                    else:
                        select(send(ch, object()), ctx=c)
                    sent += 1
            except Canceled:
                return sent

        rs, ps = [go(receive) for _ in range(2)], [go(produce) for _ in range(2)]
        for _ in range(i % 17):
            runtime.gosched()
        t = threading.Thread(target=c.cancel) if i % 10 == 0 else None
        if t:
            t.start()
        else:
            c.cancel()
        sent = sum(p.join() for p in ps)
        for r in rs:
            assert isinstance(pytest.raises(Canceled, r.join).value, Canceled)
        if t:
            t.join()
        assert len(got) + len(ch) == sent
        total += sent
    assert total


# ---- the ambient one ----------------------------------------------------------------------------------


def test_with():
    with context.with_cancel() as a:
        assert context.current() is a
        with context.with_value("k", 1) as b:
            assert context.current() is b and context.current().value("k") == 1
            assert context.with_cancel() is not b and context.with_cancel().value("k") == 1
            with context.background() as c:
                assert context.current() is c and c.value("k") is None
        assert context.current() is a and not a.err()
    assert context.current() is context.background() and type(a.err()) is Canceled


def test_with_swallows_its_own():
    with context.with_cancel() as c:
        c.cancel(ValueError())
        Chan().recv()
        pytest.fail("not reached")
    with context.with_timeout(LONG) as c:
        c.cancel()
        sleep(LONG)
    with context.with_cancel() as outer:
        with context.with_cancel():
            outer.cancel()
            sleep(LONG)
        pytest.fail("the inner one is not its cause")
    with context.with_cancel() as c:
        raise_it = go(sleep, LONG)
        c.cancel()
        raise_it.join()


def test_with_leaves_others_alone():
    c = context.with_cancel()
    c.cancel()
    with pytest.raises(Canceled) as e, context.with_cancel():
        sleep(LONG, ctx=c)
    assert e.value.ctx is c
    with pytest.raises(Canceled), context.with_cancel() as d:
        d.cancel()
        raise Canceled("mine")
    with pytest.raises(ZeroDivisionError), context.with_cancel() as d:
        d.cancel()
        1 / 0  # noqa: B018
    with pytest.raises(DeadlineExceeded), context.with_cancel():
        sleep(LONG, ctx=context.with_timeout(0))


def test_with_timeout_raises_timeout_error():
    why = OSError("slow")
    with pytest.raises(TimeoutError) as e, context.with_timeout(SHORT, cause=why) as c:
        Chan().recv()
    assert isinstance(e.value.__cause__, DeadlineExceeded) and e.value.__cause__.cause is why
    assert e.value.__cause__.ctx is c
    with pytest.raises(TimeoutError), context.with_deadline(time.monotonic()), context.with_cancel():
        sleep(LONG)
    with pytest.raises(TimeoutError, match="outer"):
        try:
            with context.with_timeout(SHORT), context.with_timeout(LONG):
                sleep(LONG)
        except TimeoutError as e:
            raise TimeoutError("outer") from e
    with context.with_timeout(0):
        pass  # nobody waited


def test_traceback_stays():
    def deep():
        sleep(LONG)

    try:
        with context.with_timeout(SHORT):
            deep()
    except TimeoutError as e:
        text = "".join(traceback.format_exception(e))
    assert "in deep" in text and "direct cause" in text


def test_children_inherit(parked):
    with context.with_cancel() as c:
        g = go(lambda: (context.current(), go(context.current).join()))
        assert g.join() == (c, c)
        alone = go.using(vars=contextvars.Context())(context.current)
        assert alone.join() is context.background()
    assert go(context.current).join() is context.background()
    kid = go(lambda: context.with_cancel().__enter__())
    kid.join()
    assert context.current() is context.background()


def test_ambient_follows_contextvars():
    var = contextvars.ContextVar("var")
    with context.with_cancel() as c:
        inside = contextvars.copy_context()
        var.set(1)
        assert context.current() is c
    assert context.current() is context.background()
    assert inside.run(context.current) is c
    with pytest.raises(Canceled):
        inside.run(sleep, LONG)
    assert context.current() is context.background()
    assert contextvars.Context().run(context.current) is context.background()


def test_threads_have_their_own():
    seen = []
    with context.with_cancel() as c:
        t = threading.Thread(target=lambda: seen.append(context.current()))
        t.start()
        t.join()
    assert seen == [context.background()] or seen == [c]  # CPython decides whether threads inherit contextvars


def test_one_context_entered_by_many(parked):
    c = context.with_cancel()
    ch = Chan()

    def work():
        with c:
            ch.recv(ctx=context.background())
        return context.current()

    gs = [parked(work) for _ in range(5)]
    with c, c:
        pass
    for _ in gs:
        ch.send(None)
    assert {g.join() for g in gs} == {context.background()} and c.err()
    with pytest.raises(RuntimeError, match="has not entered"):
        c.__exit__(None, None, None)


def test_inherited_end_is_not_reported(program):
    r = program("""
        from gossamer import *
        from gossamer import context
        with context.with_cancel():
            gs = [go(Chan().recv) for i in range(3)]
            go(lambda: sleep(3600))
            gosched = [runtime.gosched() for i in range(10)]
        g = go(lambda: 1 / 0)
        for i in range(10): runtime.gosched()
    """)
    assert r.code == 0 and "Canceled" not in r.err and "ZeroDivisionError" in r.err, r


def test_deadlock_is_still_found(program):
    r = program("""
        from gossamer import *
        from gossamer import context
        c = context.with_cancel()
        stop = context.after_func(c, print)
        with c:
            Chan().recv()
    """)
    assert r.code == 1 and "Deadlock" in r.err, r
    r = program("""
        from gossamer import *
        from gossamer import context
        with context.with_timeout(0.05):
            Chan().recv()
    """)
    assert r.code == 1 and "TimeoutError" in r.err and "Deadlock" not in r.err, r


# ---- functions at the end ----------------------------------------------------------------------------------


def test_after_func():
    c, ran = context.with_cancel(), Chan(10)
    var = contextvars.ContextVar("var", default=0)
    var.set(5)
    n = runtime.num_goroutine()
    stop = context.after_func(c, lambda: ran.send((var.get(), context.current())))
    stopped = context.after_func(ctx=c, fn=lambda: ran.send("never"))
    assert runtime.num_goroutine() == n and stopped() and not stopped()
    c.cancel()
    assert ran.recv() == (5, context.background())
    assert not stop()
    stop = context.after_func(c, lambda: ran.send("at once"))
    assert ran.recv() == "at once" and not stop()
    stop = context.after_func(context.with_timeout(SHORT), lambda: ran.send("timer"))
    assert ran.recv() == "timer" and not stop()
    stop = context.after_func(context.background(), print)
    assert stop() and not stop()
    with pytest.raises(TypeError):
        stop(1)
    with context.with_cancel() as c:
        context.after_func(c, lambda: (sleep(SHORT), ran.send("cleaned up")))
    assert ran.recv() == "cleaned up"


def test_after_func_is_let_go():
    class Big:
        def run(self):
            pass

    big = Big()
    ref = weakref.ref(big)
    stop = context.after_func(context.with_cancel(), big.run)
    del big
    gc.collect()
    assert ref() and stop()
    del stop
    gc.collect()
    assert ref() is None


def test_after_func_many(settle):
    c, ran = context.with_cancel(), []
    stops = [context.after_func(c, lambda i=i: ran.append(i)) for i in range(2000)]
    assert sum(stop() for stop in stops[::2]) == 1000
    threading.Thread(target=c.cancel).start()
    while len(ran) < 1000:
        runtime.gosched()
    assert sorted(ran) == list(range(1, 2000, 2))


def test_after_func_reports(program):
    r = program("""
        from gossamer import *
        from gossamer import context
        def explode(): 1 / 0
        c = context.with_cancel()
        context.after_func(c, explode)
        c.cancel()
        while runtime.num_goroutine() > 1: runtime.gosched()
    """)
    assert "ZeroDivisionError" in r.err and "<string>:6" in r.err, r


# ---- memory -------------------------------------------------------------------------------------------------


class Why(Exception):
    pass


def refs(*objects):
    return [weakref.ref(o) for o in objects]


def test_cycles_are_collected():
    def cycle():
        c = context.with_timeout(LONG)
        kid = context.with_value("c", c, c)
        try:
            c.cancel(Why())
            sleep(1, ctx=kid)
        except Canceled as e:
            e.cause.about = (e, kid, c)
            return refs(c, kid, e.cause)

    all_refs = [r for _ in range(50) for r in cycle()]
    gc.collect()
    assert not any(r() for r in all_refs)


def test_cause_that_names_its_context():
    c = context.with_cancel()
    why = Why()
    why.ctx = c
    c.cancel(why)
    with c:
        pass
    r = refs(c, why)
    del c, why
    gc.collect()
    assert not any(x() for x in r)


def test_dropped_contexts_leave_nothing():
    top = context.with_cancel()
    for _ in range(3):
        many = [context.with_timeout(LONG, top) for _ in range(5000)]
        many += [context.with_cancel(many[-1]).done for _ in range(100)]
        del many
    top.cancel()


def test_long_chains():
    c = top = context.with_cancel()
    for i in range(20000):
        c = context.with_value(i, i, c) if i % 2 else context.with_cancel(c)
    assert c.value(1) == 1 and c.value(-1) is None
    why = ValueError()
    top.cancel(why)
    assert c.cause() is why
    del c, top
    gc.collect()


def test_thousands():
    top = context.with_cancel()
    gs = [go(lambda c: c.done.recv_ok(), context.with_timeout(LONG + i, top)) for i in range(3000)]
    gs += [go(sleep, LONG, ctx=context.with_cancel(top)) for _ in range(3000)]
    runtime.gosched()
    top.cancel()
    for g in gs[:3000]:
        assert g.join() == (None, False)
    for g in gs[3000:]:
        with pytest.raises(Canceled):
            g.join()


def test_done_outlives_its_context():
    top = context.with_cancel()
    done = context.with_cancel(top).done
    gc.collect()
    top.cancel()
    assert done.recv_ok() == (None, False)


def test_no_references_leak():
    c, ch = context.with_cancel(), Chan(1)
    v = object()

    def once():
        ch.send(v, ctx=c)
        ch.recv(ctx=c)
        with context.background():
            ch.send(v)
            ch.recv()
        for _ in range(2):
            with pytest.raises(TimeoutError):
                ch.recv(timeout=0, ctx=c)
        select(recv(ch), default, ctx=c)
        with pytest.raises(TypeError):
            ch.send(v, ctx=c, nope=1)

    once()
    before = sys.getrefcount(c), sys.getrefcount(v)
    for _ in range(50):
        once()
    assert (sys.getrefcount(c), sys.getrefcount(v)) == before
    c.cancel()
    for _ in range(50):
        with pytest.raises(Canceled):
            ch.send(v, ctx=c)
    gc.collect()
    assert (sys.getrefcount(c), sys.getrefcount(v)) == before


# ---- signals and fork -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["ctx=c", "", "timeout=100, ctx=c"])
def test_keyboard_interrupt(program, how):
    r = program(f"""
        import os, signal, threading
        from gossamer import *
        from gossamer import context
        c = context.with_timeout(100)
        def interrupt():
            os.kill(os.getpid(), signal.SIGINT)
        ch = Chan()
        with context.with_cancel(c):
            for i in range(20):
                g = go(interrupt)
                try:
                    ch.recv({how})
                except KeyboardInterrupt:
                    g.join()
        print("fine", c.err())
    """)
    assert r.code == 0 and r.out.strip() == "fine None", r


def test_signal_handler_that_waits(program):
    """A handler that waits, with a context of its own, leaves the wait it came into in order."""
    r = program("""
        import os, signal
        from gossamer import *
        from gossamer import context
        inner = context.with_timeout(100)
        def handler(*a):
            c = context.with_timeout(0.01)
            try:
                Chan().recv(ctx=c)
            except DeadlineExceeded:
                print("handled")
        signal.signal(signal.SIGUSR1, handler)
        c = context.with_cancel()
        def later():
            os.kill(os.getpid(), signal.SIGUSR1)
            sleep(0.1)
            c.cancel()
        go(later)
        try:
            Chan().recv(ctx=c)
        except Canceled as e:
            print("canceled", e.ctx is c)
    """)
    assert r.out.split() == ["handled", "canceled", "True"], r


def test_first_use_on_a_thread(program):
    r = program("""
        import threading
        from gossamer import *
        from gossamer import context
        def work():
            try:
                with context.with_timeout(0.01):
                    Chan().recv()
            except TimeoutError:
                print("thread")
        t = threading.Thread(target=work); t.start(); t.join()
        try:
            Chan().recv(ctx=context.with_timeout(0.2))
        except DeadlineExceeded:
            print("main")
    """)
    assert r.out.split() == ["thread", "main"], r


def test_fork(program):
    r = program("""
        import gc, os, sys
        from gossamer import *
        from gossamer import context
        c = context.with_timeout(100)
        keep = [context.with_timeout(100, c) for i in range(1000)]
        d = c.done
        with context.with_cancel(c):
            pid = os.fork()
            if pid == 0:
                c.cancel()
                print("child", type(keep[0].err()).__name__, flush=True)
                del keep, c, d
                gc.collect()
                os._exit(0)
            os.waitpid(pid, 0)
            c.cancel()
        print("parent", type(keep[0].err()).__name__)
    """)
    assert r.code == 0 and r.out.splitlines() == ["child Canceled", "parent Canceled"], r


def test_exit_with_waiters(program):
    r = program("""
        from gossamer import *
        from gossamer import context
        c = context.with_timeout(100)
        for i in range(100):
            go(Chan().recv, ctx=c)
        context.after_func(c, print)
        d = context.with_timeout(0.001)
        runtime.gosched()
    """)
    assert r.code == 0 and not r.err, r


def test_merges_of_the_same_are_searched_once():
    x = y = context.with_value("k", 1)
    for _ in range(60):
        x, y = context.merge(x, y), context.merge(y, x)
    assert x.value("none") is None and x.value("k") == y.value("k") == 1
    v = context.with_value("w", 2)
    assert context.merge(context.merge(x, x), v).value("w") == 2
