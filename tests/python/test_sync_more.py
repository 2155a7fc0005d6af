"""sync: once_func and its kin, Pool, Map."""
# SPDX-License-Identifier: Apache-2.0

import collections.abc
import copy
import gc
import pickle
import traceback
import weakref

import pytest
from gossamer import Chan, go, runtime
from gossamer.sync import Map, Pool, once_func, once_value, once_values


# ---- once ---------------------------------------------------------------------------------------
def test_once_func():
    calls = []

    @once_func
    def setup():
        """Docs."""
        calls.append(1)
        return 5

    assert setup() is None and setup() is None and calls == [1]
    assert setup.__name__ == "setup" and setup.__doc__ == "Docs." and setup.__wrapped__
    assert "done" in repr(setup)


def test_once_value_and_values():
    made = []
    f = once_value(lambda: made.append(1) or [1])
    assert f() is f() and made == [1]
    g = once_values(lambda: (1, "a"))
    a, b = g()
    assert (a, b) == (1, "a") and g() is g()


def test_once_value_waits_for_the_first_call(settle):
    ch, made = Chan(), []

    def make():
        made.append(1)
        return ch.recv()

    f = once_value(make)
    gs = [go(f) for _ in range(5)]
    settle(*gs)
    assert made == [1]
    ch.send("x")
    assert [g.join() for g in gs] == ["x"] * 5 and f() == "x"


def test_once_repeats_the_exception_with_the_first_traceback():
    calls = []

    def boom():
        calls.append(1)
        raise ValueError("boom")

    for once in (once_func, once_value, once_values):
        f = once(boom)
        depth = []
        for _ in range(3):
            with pytest.raises(ValueError, match="boom") as e:
                f()
            depth.append(len(traceback.extract_tb(e.value.__traceback__)))
            assert e.traceback[-1].name == "boom"
        assert depth[0] == depth[1] == depth[2]
    assert len(calls) == 3


def test_once_lets_go_of_the_function():
    class Thing:
        pass

    t = Thing()
    w = weakref.ref(t)
    f = once_value(lambda t=t: 1)
    del f.__wrapped__
    del t
    f()
    gc.collect()
    assert w() is None


def test_once_wrong_use():
    for once in (once_func, once_value, once_values):
        with pytest.raises(TypeError):
            once(3)
        with pytest.raises(TypeError):
            once(lambda: 1)(1)
        with pytest.raises(TypeError):
            once(lambda: 1)(a=1)


def test_once_within_itself_is_a_deadlock(program):
    r = program(
        """
        from gossamer import Deadlock
        from gossamer.sync import once_value
        f = once_value(lambda: f())
        try: f()
        except Deadlock: print("deadlock")
        """
    )
    assert r.out == "deadlock\n", r


# ---- Pool ---------------------------------------------------------------------------------------
def test_pool():
    made = []
    p = Pool(lambda: made.append(1) or bytearray(10))
    a = p.get()
    p.put(a)
    assert len(p) == 1 and p.get() is a and len(p) == 0 and made == [1]
    assert p.get() is not a and made == [1, 1]
    assert bool(p) and Pool[bytes] and "kept" in repr(p)
    with pytest.raises(TypeError):
        Pool(1)
    with pytest.raises(TypeError):
        Pool()


def test_pool_drops_what_is_not_needed():
    p = Pool(object)
    for x in [object() for _ in range(1000)]:
        p.put(x)
    del x
    for _ in range(10000):
        p.put(p.get())
    assert len(p) <= 2


def test_pool_keeps_what_is_needed():
    made = []
    p = Pool(lambda: made.append(1) or object())
    for _ in range(1000):
        xs = [p.get() for _ in range(20)]
        for x in xs:
            p.put(x)
    assert len(made) == 20


def test_pool_items_that_know_their_pool_are_collected():
    class Conn:
        def __init__(self, pool):
            self.pool = pool

    p = Pool(lambda: None)
    c = Conn(p)
    p.put(c)
    w = weakref.ref(c)
    del p, c
    gc.collect()
    assert w() is None


def test_pool_errors_of_new():
    p = Pool(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        p.get()


# ---- Map ----------------------------------------------------------------------------------------
def test_map_operations():
    m = Map()
    assert m.load("a") == (None, False) and not m and len(m) == 0
    m.store("a", 1)
    assert m.load("a") == (1, True) and m and len(m) == 1
    assert m.load_or_store("a", 2) == (1, True) and m.load_or_store("b", 2) == (2, False)
    assert m.swap("a", 3) == (1, True) and m.swap("c", None) == (None, False)
    assert m.load("c") == (None, True)
    assert m.load_and_delete("c") == (None, True) and m.load_and_delete("c") == (None, False)
    assert m.delete("zzz") is None
    assert not m.compare_and_swap("a", 1, 9) and not m.compare_and_swap("zzz", None, 9)
    assert m.compare_and_swap("a", 3, 9) and m.load("a") == (9, True)
    assert not m.compare_and_delete("a", 3) and m.compare_and_delete("a", 9) and "a" not in m
    m.clear()
    assert len(m) == 0 and m.load("b") == (None, False)
    with pytest.raises(TypeError, match="unhashable"):
        m.store([], 1)
    with pytest.raises(TypeError):
        m.store(1)


def test_map_compares_values_by_equality():
    m = Map()
    m.store(1, [1, 2])
    assert m.compare_and_swap(1, [1, 2], "x") and m.compare_and_delete(1, "x")


def test_map_is_a_mutable_mapping():
    m = Map()
    assert isinstance(m, collections.abc.MutableMapping) and Map[str, int]
    m.update({"a": 1, "b": 2}, c=3)
    assert m["a"] == 1 and dict(m) == {"a": 1, "b": 2, "c": 3} and m == {"a": 1, "b": 2, "c": 3}
    assert list(m) == list(m.keys()) == ["a", "b", "c"] and list(m.values()) == [1, 2, 3]
    assert list(m.items()) == [("a", 1), ("b", 2), ("c", 3)] and ("a", 1) in m.items()
    assert m.get("zzz") is None and m.get("zzz", 5) == 5 and m.get("a", 5) == 1
    assert m.get("zzz", default=5) == 5 and m.get("a", default=5) == 1
    for bad in (lambda: m.get(), lambda: m.get("a", 1, 2), lambda: m.get("a", 1, default=2), lambda: m.get("a", v=1)):
        with pytest.raises(TypeError):
            bad()
    assert m.pop("a") == 1 and m.pop("a", 7) == 7 and m.setdefault("b", 9) == 2 and m.setdefault("d", 9) == 9
    with pytest.raises(KeyError):
        m.pop("a")
    with pytest.raises(KeyError, match="a"):
        m["a"]
    with pytest.raises(KeyError):
        del m["a"]
    del m["b"]
    assert m.popitem() == ("d", 9) and repr(m) == "Map({'c': 3})"
    assert m.popitem() and not m
    with pytest.raises(KeyError):
        m.popitem()


def test_map_range():
    m = Map()
    m.update({i: -i for i in range(10)})
    seen = []
    m.range(lambda k, v: seen.append((k, v)))  # None goes on
    assert seen == [(i, -i) for i in range(10)]
    seen = []
    m.range(lambda k, v: seen.append(k) or len(seen) < 3)
    assert seen == [0, 1, 2]
    m.range(lambda k, v: m.delete(k))
    assert not m
    m.update({1: 1, 2: 2})
    seen = []
    m.range(lambda k, v: (seen.append(k), m.clear()))
    assert seen == [1]
    m.store(1, 1)
    with pytest.raises(ZeroDivisionError):
        m.range(lambda k, v: 1 / 0)


def test_map_iteration_while_it_changes():
    m = Map()
    m.update({i: i for i in range(100)})
    for k, v in m.items():
        m.delete(k)
        m.store(k + 1000, v)
    assert sorted(m) == list(range(1000, 1100))


def test_map_deleted_keys_go():
    class Key:
        pass

    m = Map()
    keys = [Key() for _ in range(1000)]
    refs = [weakref.ref(k) for k in keys]
    for k in keys:
        m.store(k, 1)
    while keys:
        m.delete(keys.pop())
        k = None
    gc.collect()
    assert sum(r() is not None for r in refs) < 50 and len(m) == 0


def test_map_is_collected():
    class Thing:
        pass

    m = Map()
    t = Thing()
    t.m = m
    m.store(t, t)
    w = weakref.ref(t)
    del t, m
    gc.collect()
    assert w() is None


def test_map_values_may_use_it_when_they_go():
    m = Map()

    class D:
        def __del__(self):
            m.store("gone", m.pop("gone", 0) + 1)

    for act in (lambda: m.store(1, 2), lambda: m.delete(1), m.clear, lambda: m.swap(1, 2)):
        m.store(1, D())
        m.store(2, D())
        act()
        m.clear()
    m.clear()
    assert set(m) <= {"gone"}


class Parking:
    """A key whose hash and == let other goroutines run."""

    def __init__(self, n):
        self.n = n

    def __hash__(self):
        runtime.gosched()
        return self.n % 3

    def __eq__(self, other):
        runtime.gosched()
        return self.n == other.n


def test_map_operations_are_one_step_even_if_keys_wait():
    m, n = Map(), 12
    for i in range(6):
        m.store(Parking(i), 0)

    def count():
        for i in range(30):
            key = Parking(i % 6)
            while True:
                v, ok = m.load(key)
                if ok and m.compare_and_swap(key, v, v + 1):
                    break

    def disturb():
        for i in range(60):
            m.load_or_store(Parking(100 + i % 7), i)
            m.delete(Parking(100 + (i + 3) % 7))

    gs = [go(count) for _ in range(n)] + [go(disturb) for _ in range(4)]
    for g in gs:
        g.join()
    assert [m.load(Parking(i))[0] for i in range(6)] == [5 * n] * 6


def test_map_load_or_store_has_one_winner():
    for _ in range(20):
        m = Map()
        gs = [go(m.load_or_store, Parking(1), i) for i in range(10)]
        got = [g.join() for g in gs]
        assert len({v for v, _ in got}) == 1 and sum(not loaded for _, loaded in got) == 1


def test_map_takes_out_once():
    m = Map()
    for _ in range(20):
        m.store(Parking(1), "x")
        gs = [go(m.load_and_delete, Parking(1)) for _ in range(8)]
        assert sorted(g.join()[1] for g in gs) == [False] * 7 + [True]


def test_map_errors_of_keys():
    class Bad:
        def __hash__(self):
            return 1

        def __eq__(self, other):
            raise ZeroDivisionError

    m = Map()
    m.store(Bad(), 1)
    for call in (lambda: m.load(Bad()), lambda: m.store(Bad(), 2), lambda: m.delete(Bad()), lambda: Bad() in m):
        with pytest.raises(ZeroDivisionError):
            call()
    assert len(m) == 1


def test_not_copied():
    for x in (Map(), Pool(list), once_func(list)):
        for f in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="multiprocessing"):
                f(x)
        assert weakref.ref(x)() is x
