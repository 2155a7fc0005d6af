"""Goroutines: starting, results, exceptions, handles, options."""
# SPDX-License-Identifier: Apache-2.0

import contextvars
import copy
import functools
import gc
import pickle
import sys
import weakref

import pytest
from gossamer import Canceled, Chan, Goroutine, go, nil_chan, recv, runtime, select, sleep


def boom(*args):
    raise ValueError("boom", *args)


@pytest.fixture
def stderr(capsys):
    """stderr(): what was written there since the last call."""
    return lambda: capsys.readouterr().err


def test_arguments_and_result():
    def f(*args, **kwargs):
        return args, kwargs

    assert go(f).join() == ((), {})
    assert go(f, 1, 2, a=3).join() == ((1, 2), {"a": 3})
    assert go(f, *range(20), **{f"k{i}": i for i in range(20)}).join() == (
        tuple(range(20)),
        {f"k{i}": i for i in range(20)},
    )


def test_any_callable():
    class C:
        def __call__(self, x):
            return x + 1

        def method(self, x):
            return x + 2

        @classmethod
        def klass(cls, x):
            return x + 3

    assert go(C(), 1).join() == 2
    assert go(C().method, 1).join() == 3
    assert go(C.klass, 1).join() == 4
    assert go(len, "abc").join() == 3
    assert go(functools.partial(pow, 2), 5).join() == 32
    assert go(dict, a=1).join() == {"a": 1}
    assert go(int).join() == 0


def test_arguments_are_evaluated_by_the_caller():
    gs = [go(lambda i: i, i) for i in range(5)]
    assert [g.join() for g in gs] == [0, 1, 2, 3, 4]


def test_decorator():
    ch = Chan(2)

    @go
    def first():
        ch.send(1)

    @go.using(name="second")
    def second():
        ch.send(2)

    assert isinstance(first, Goroutine) and second.name == "second"
    assert sorted([ch.recv(), ch.recv()]) == [1, 2]


@pytest.mark.parametrize("bad", [None, 1, "f", [len]])
def test_not_callable(bad):
    with pytest.raises(TypeError, match="callable"):
        go(bad)
    with pytest.raises(TypeError):
        go()
    with pytest.raises(TypeError):
        go.using(name="x")(bad)


def test_wrong_arguments_are_the_goroutines_error():
    g = go(lambda x: x)
    with pytest.raises(TypeError):
        g.join()


def test_join_raises_what_the_goroutine_raised(stderr):
    g = go(boom, 1)
    with pytest.raises(ValueError, match="boom") as caught:
        g.join()
    assert [t.name for t in caught.traceback][-1] == "boom"
    with pytest.raises(ValueError):  # any number of times
        g.join()
    assert g.exception() is caught.value
    del g, caught
    gc.collect()
    assert stderr() == ""


def test_exception_collects(stderr):
    g = go(boom)
    g.done.recv_ok()
    assert isinstance(g.exception(), ValueError)
    del g
    gc.collect()
    assert stderr() == ""
    assert go(len, "").exception() is None


def test_reported_at_death_without_handle(stderr):
    last, text = "ValueError: ('boom', 'unheld')\n", ""
    go(boom, "unheld")
    while last not in text:
        runtime.gosched()
        text += stderr()
    assert text.count(last) == 1
    assert "unhandled exception" in text and "Traceback" in text
    assert "test_go.py" in text and "in test_reported_at_death_without_handle" in text


def test_reported_when_the_handle_is_dropped(stderr):
    g = go.using(name="worker")(boom, "held")
    while g.status != "dead":
        runtime.gosched()
    assert stderr() == ""
    del g
    gc.collect()
    text = stderr()
    assert text.count("boom', 'held'") == 1 and "[worker]" in text


def test_reported_once_at_exit(program):
    r = program(
        """
        from gossamer import go, sleep
        def boom(): raise ValueError("kept to the end")
        g = go(boom)
        sleep(0.01)
        """
    )
    assert r.code == 0 and r.err.count("ValueError: kept to the end") == 1, r


@pytest.mark.parametrize("exc", [SystemExit, KeyboardInterrupt, GeneratorExit, Canceled])
def test_base_exceptions_belong_to_the_goroutine(exc):
    def f():
        raise exc("mine")

    g = go(f)
    with pytest.raises(exc):
        g.join()


def test_exception_state_is_per_goroutine():
    def f(odd):
        try:
            try:
                if odd:
                    raise ZeroDivisionError
            except ZeroDivisionError as e:
                runtime.gosched()
                assert sys.exc_info()[1] is e
                raise KeyError("x") from e
        except KeyError as k:
            runtime.gosched()
            assert isinstance(k.__cause__, ZeroDivisionError)
            return "caught"
        runtime.gosched()
        assert sys.exc_info() == (None, None, None)
        return "none"

    gs = [go(f, i % 2) for i in range(50)]
    assert [g.join() for g in gs] == ["none", "caught"] * 25


def test_join_timeout(parked):
    g = parked(nil_chan.recv)
    for t in (0, -1, 0.01):
        with pytest.raises(TimeoutError):
            g.join(timeout=t)
    with pytest.raises(TypeError):
        g.join("1")
    with pytest.raises(TypeError):
        g.join(ctx=1)
    g.interrupt()
    with pytest.raises(Canceled):
        g.join()


def test_join_by_many(parked):
    ch = Chan()
    g = parked(ch.recv)
    joiners = [parked(g.join) for _ in range(10)]
    ch.send(5)
    assert [j.join() for j in joiners] == [5] * 10


def test_cannot_join_itself():
    ch = Chan()

    def f():
        return ch.recv().join()

    g = go(f)
    ch.send(g)
    with pytest.raises(RuntimeError, match="itself"):
        g.join()


def test_done_channel(parked):
    ch = Chan()
    g = parked(ch.recv)
    assert g.done is g.done and not g.done.closed
    assert select(recv(g.done), timeout=0) is None
    ch.send(1)
    g.join()
    assert g.done.recv_ok() == (None, False)
    case = select(recv(g))
    assert case.ok is False and case.chan is g


def test_attributes(parked):
    g = parked(nil_chan.recv)
    assert isinstance(g.id, int) and g.id != runtime.goid()
    assert g.creator == runtime.goid()
    assert (g.status, g.wait_reason) == ("waiting", "chan receive (nil chan)")
    assert g.name == "" and dict(g.labels) == {}
    assert "conftest.py" in g.site
    text = repr(g)
    assert f"Goroutine {g.id}" in text and "chan receive (nil chan)" in text
    with pytest.raises(AttributeError):
        g.name = "x"
    with pytest.raises(TypeError):
        g.labels["a"] = "b"
    with pytest.raises(TypeError):
        Goroutine()
    assert Goroutine[int]


def test_ids_are_never_reused():
    ids = [go(runtime.goid).join() for _ in range(100)]
    assert len(set(ids)) == 100 and ids == sorted(ids)


def test_using():
    def child():
        g = go.using(labels={"b": "2", "c": "3"})(lambda: None)
        g.join()
        return dict(g.labels)

    g = go.using(name="n", labels={"a": "1", "b": "1"}, stack_size=256 * 1024)(child)
    assert g.name == "n" and dict(g.labels) == {"a": "1", "b": "1"}
    assert g.join() == {"a": "1", "b": "2", "c": "3"}


def test_using_adds_to_using():
    both = go.using(name="n", labels={"a": "1", "b": "1"}).using(labels={"b": "2"})
    ctx = contextvars.copy_context()
    for start in (both, both.using(stack_size=1 << 20), both.using(), both.using(vars=ctx)):
        g = start(lambda: 5)
        assert g.name == "n" and dict(g.labels) == {"a": "1", "b": "2"} and g.join() == 5
    assert both.using(name="m")(int).name == "m" and go(int).name == ""
    v = contextvars.ContextVar("v", default=0)
    ctx.run(v.set, 77)
    assert go.using(vars=ctx).using(name="n")(v.get).join() == 77


@pytest.mark.parametrize(
    ("kwargs", "error"),
    [
        ({"name": 1}, TypeError),
        ({"labels": 1}, TypeError),
        ({"labels": {"a": 1}}, TypeError),
        ({"labels": {1: "a"}}, TypeError),
        ({"stack_size": "big"}, TypeError),
        ({"stack_size": True}, TypeError),
        ({"stack_size": 0}, ValueError),
        ({"stack_size": -1}, ValueError),
        ({"stack_size": 1 << 62}, ValueError),
        ({"stack_size": 10**30}, ValueError),
        ({"vars": 1}, TypeError),
        ({"what": 1}, TypeError),
    ],
)
def test_using_bad_options(kwargs, error):
    with pytest.raises(error):
        go.using(**kwargs)(len, "")


def test_stack_size_out_of_range():
    with pytest.raises(ValueError, match="stack_size"):
        go.using(stack_size=1 << 62)(len, "")


def test_contextvars_are_copied():
    v = contextvars.ContextVar("v", default=0)
    v.set(1)

    def f(i):
        assert v.get() == 1
        v.set(i)
        runtime.gosched()
        assert v.get() == i
        return go(v.get).join()

    gs = [go(f, i) for i in range(2, 20)]
    assert [g.join() for g in gs] == list(range(2, 20))
    assert v.get() == 1
    ctx = contextvars.copy_context()
    ctx.run(v.set, 77)
    assert go.using(vars=ctx)(v.get).join() == 77


def test_threading_local_and_context_do_not_leak_to_the_next_goroutine():
    import threading

    local = threading.local()
    v = contextvars.ContextVar("v2")

    def leave():
        local.x = 1
        v.set(1)

    def look():
        return hasattr(local, "x"), v.get(None)

    for _ in range(10):
        go(leave).join()
        assert go(look).join() == (False, None)


def test_interrupt(parked):
    g = parked(nil_chan.recv)
    assert g.interrupt() is True
    with pytest.raises(Canceled):
        g.join()
    assert g.interrupt() is False

    class Stop(Exception):
        pass

    def work():
        try:
            sleep(1000)
        except Stop:
            return "stopped"

    g = parked(work)
    g.interrupt(Stop)
    assert g.join() == "stopped"
    with pytest.raises(TypeError):
        g.interrupt(1)
    with pytest.raises(TypeError):
        g.interrupt(Stop, 2)


def test_canceled_is_no_exception():
    assert not issubclass(Canceled, Exception) and Canceled.ctx is None and Canceled.cause is None


def test_not_copied_not_pickled():
    g = go(len, "")
    for f in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="multiprocessing"):
            f(g)


def test_arguments_are_released_at_the_end():
    class Thing:
        pass

    x = Thing()
    r = weakref.ref(x)
    g = go(lambda a, *, k: None, x, k=x)
    g.join()
    del x
    assert r() is None


def test_cycle_through_the_handle_is_collected():
    class Thing:
        pass

    def f(t):
        return t

    for _ in range(100):
        t = Thing()
        r = weakref.ref(t)
        t.g = go(f, t)
        while t.g.status != "dead":
            runtime.gosched()
        t.g.join()  # whatever ran it has let go of it
        w = weakref.ref(t.g)
        del t
        gc.collect()
        assert r() is None and w() is None


def test_nested_and_recursive():
    def fib(n):
        if n < 2:
            return n
        a, b = go(fib, n - 1), go(fib, n - 2)
        return a.join() + b.join()

    assert go(fib, 12).join() == 144


def test_generators_cross_goroutines():
    def gen(n):
        for i in range(n):
            runtime.gosched()
            yield i

    gs = [go(lambda n: sum(gen(n)), n) for n in range(30)]
    assert [g.join() for g in gs] == [sum(range(n)) for n in range(30)]
    g = gen(5)
    assert go(next, g).join() == 0
    assert go(list, g).join() == [1, 2, 3, 4]


def test_recursion_ends_in_an_exception():
    def deep(n):
        return deep(n + 1)

    with pytest.raises(RecursionError):
        go(deep, 0).join()
    assert go(lambda: 1).join() == 1


def test_no_objects_leak():
    def rounds(n):
        for i in range(n):
            go(lambda x: x, i).join()
            try:
                go(boom).join()
            except ValueError:
                pass
            go.using(name="a", labels={"k": "v"})(len, "x").join()

    rounds(100)
    gc.collect()
    before = len(gc.get_objects())
    rounds(300)
    gc.collect()
    assert abs(len(gc.get_objects()) - before) < 50
