"""atomic: one step at a time."""
# SPDX-License-Identifier: Apache-2.0

import copy
import gc
import pickle
import weakref

import pytest
from gossamer import go, runtime
from gossamer.atomic import Bool, Int, Ref


def test_int():
    a = Int()
    assert a.load() == 0 and Int(5).load() == Int(value=5).load() == 5
    a.store(3)
    assert a.swap(7) == 3 and a.add(2) == 9 and a.add(-10) == -1
    assert a.compare_and_swap(5, 6) is False and a.compare_and_swap(-1, 10**30) is True
    assert a.load() == 10**30 and a.add(1) == 10**30 + 1  # it has no size
    a.store(0b1100)
    assert a.and_(0b0110) == 0b1100 and a.or_(0b0001) == 0b0100 and a.load() == 0b0101
    assert repr(a) == "Int(5)"


def test_int_compares_values_that_are_not_the_same_object():
    a = Int(10**20)
    assert a.compare_and_swap(int("1" + "0" * 20), 1)


def test_int_of_a_subclass_runs_no_code_of_it():
    class Odd(int):
        def __add__(self, other):
            raise AssertionError

    a = Int(Odd(3))
    assert type(a.load()) is int and a.add(Odd(4)) == 7
    assert type(Int(True).load()) is int


@pytest.mark.parametrize("bad", ["1", 1.0, None, [1]])
def test_int_wants_ints(bad):
    a = Int(4)
    for call in (Int, a.store, a.swap, a.add, a.and_, a.or_):
        with pytest.raises(TypeError, match="int is needed"):
            call(bad)
    with pytest.raises(TypeError):
        a.compare_and_swap(4, bad)
    assert a.load() == 4
    with pytest.raises(TypeError):
        a.compare_and_swap(4)


def test_bool():
    b = Bool()
    assert b.load() is False and Bool(True).load() is True
    b.store(True)
    assert b.swap(False) is True
    assert not b.compare_and_swap(True, False) and b.compare_and_swap(False, True) and b.load()
    assert repr(b) == "Bool(True)"
    for bad in (1, None, "x"):
        with pytest.raises(TypeError, match="bool is needed"):
            b.store(bad)


def test_ref():
    x, y = [1], [1]
    r = Ref(x)
    assert r.load() is x and Ref().load() is None
    assert not r.compare_and_swap(y, x)  # equal, but not the same
    assert r.compare_and_swap(x, y) and r.swap(x) is y
    r.store(None)
    assert repr(r) == "Ref(None)" and Ref[int]
    r.store(r)
    assert repr(r) == "Ref(Ref(...))"


def test_ref_is_collected():
    class Thing:
        pass

    t = Thing()
    t.r = Ref(t)
    w = weakref.ref(t)
    del t
    gc.collect()
    assert w() is None


def test_old_values_may_use_the_ref_when_they_go():
    r = Ref()

    class D:
        def __del__(self):
            r.store("from __del__")

    r.store(D())
    r.store(1)
    assert r.load() == "from __del__"


def test_truth_of_a_bool():
    b = Bool()
    assert not b
    b.store(True)
    assert b


def test_many_goroutines():
    a, n = Int(), 50

    def count():
        for _ in range(100):
            a.add(1)
            runtime.gosched()

    for g in [go(count) for _ in range(n)]:
        g.join()
    assert a.load() == 100 * n


def test_not_copied():
    for x in (Int(), Bool(), Ref()):
        for f in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="multiprocessing"):
                f(x)
        assert weakref.ref(x)() is x
