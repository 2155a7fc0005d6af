"""What other libraries of this kind had to learn, asked of this one: tracing, garbage, exceptions, C++, fairness."""
# SPDX-License-Identifier: Apache-2.0

import concurrent.futures
import ctypes
import gc
import shutil
import subprocess
import sys
import threading
import time
import weakref

import pytest
from gossamer import (
    Canceled,
    Chan,
    ChanClosed,
    Ticker,
    after_func,
    context,
    go,
    recv,
    runtime,
    select,
    semaphore,
    sleep,
)


# ---- tracing belongs to the goroutine ----------------------------------------------------------------------------
def traced(seen, install, ch):
    def tracer(frame, event, arg):
        seen.append(frame.f_code.co_name)
        return tracer

    def inner():
        ch.recv()
        return 1

    install(tracer)
    inner()
    ch.recv()
    inner()
    install(None)


@pytest.mark.parametrize("install", [sys.settrace, sys.setprofile], ids=["settrace", "setprofile"])
def test_tracing_is_the_goroutines_own(parked, install):
    def unseen():
        return runtime.gosched()

    before = sys.gettrace(), sys.getprofile()
    ch, seen = Chan(), []
    g = parked(traced, seen, install, ch)
    for _ in range(3):
        unseen()
        go(unseen).join()
        assert (sys.gettrace(), sys.getprofile()) == before
        ch.send(1)
    g.join()
    assert "inner" in seen and "unseen" not in seen


def test_tracing_ends_with_the_goroutine():
    def leaves_it():
        sys.settrace(lambda *_: None)
        sys.setprofile(lambda *_: None)

    go(leaves_it).join()
    for _ in range(5):  # the stack and its thread state are used again
        assert go(lambda: (sys.gettrace(), sys.getprofile())).join() == (None, None)


def test_trace_function_may_wait(parked):
    ch, events = Chan(), []

    def tracer(frame, event, arg):
        if frame.f_code.co_name == "inner":
            ch.recv()
            events.append(event)
        return tracer

    def inner():
        return 5

    def work():
        sys.settrace(tracer)
        try:
            return inner()
        finally:
            sys.settrace(None)

    g = parked(work)
    while g.status != "dead":
        ch.try_send(1)
        runtime.gosched()
    assert g.join() == 5 and events == ["call", "line", "return"]


# ---- garbage ---------------------------------------------------------------------------------------------------
def test_values_in_channels_stay_alive():
    class Value:
        pass

    ch, alive = Chan(100), weakref.WeakSet()
    senders = []
    for _ in range(100):
        v = Value()
        v.me = v
        alive.add(v)
        ch.send(v)
    for _ in range(100):
        v = Value()
        v.me = v
        alive.add(v)
        senders.append(go(ch.send, v))
    v = None
    runtime.gosched()
    gc.collect()
    assert len(alive) == 200
    for _ in range(200):
        assert ch.recv().me
    for g in senders:
        g.join()
    del g, senders
    gc.collect()
    assert len(alive) == 0


def test_cycle_through_a_suspended_generator_is_collected(parked):
    class Value:
        pass

    ch, refs = Chan(), []

    def generator(me, value):
        yield
        yield me, value

    def work():
        v = Value()
        holder = []
        it = generator(holder, v)
        holder += [it, v]
        next(it)
        refs.append(weakref.ref(v))
        ch.recv()

    g = parked(work)
    gc.collect()
    assert refs[0]() is not None
    ch.send(1)
    g.join()
    gc.collect()
    assert refs[0]() is None


def test_what_a_parked_goroutine_holds_goes_when_it_is_interrupted(parked):
    class Value:
        pass

    def work():
        v = Value()
        refs.append(weakref.ref(v))
        Chan().recv()

    refs = []
    g = parked(work)
    gc.collect()
    assert refs[0]() is not None
    g.interrupt()
    with pytest.raises(Canceled):
        g.join()
    del g
    gc.collect()
    assert refs[0]() is None


def test_weak_references_to_goroutines(parked):
    ch, gone = Chan(), []
    g = parked(ch.recv)
    ref = weakref.ref(g, gone.append)
    del g
    gc.collect()
    assert ref() is not None  # it lives as long as it runs
    ch.send(1)
    while ref() is not None:
        runtime.gosched()
    assert gone == [ref]


# ---- exceptions --------------------------------------------------------------------------------------------------
def test_errors_in_error_handling_keep_their_order():
    def first():
        raise KeyError(1)

    def work(i):
        try:
            try:
                try:
                    first()
                finally:
                    sleep(0.0001 * (i % 3))
                    raise ValueError(2)
            except ValueError:
                runtime.gosched()
                raise IndexError(3)  # noqa: B904
        finally:
            runtime.gosched()
            raise OSError(4)

    for g in [go(work, i) for i in range(20)]:
        with pytest.raises(OSError) as e:
            g.join()
        chain, x = [], e.value
        while x is not None:
            chain.append(type(x))
            x = x.__context__
        assert chain == [OSError, IndexError, ValueError, KeyError]


def test_exception_being_handled_is_not_the_others():
    def work(i):
        try:
            raise KeyError(i)
        except KeyError as e:
            for _ in range(10):
                runtime.gosched()
                assert sys.exc_info()[1] is e
                try:
                    raise ValueError(i)
                except ValueError as f:
                    runtime.gosched()
                    assert f.__context__ is e
        assert sys.exc_info()[1] is None

    for g in [go(work, i) for i in range(20)]:
        g.join()


def test_nested_timeouts_end_the_right_frame():
    def work(outer, inner):
        try:
            with context.with_timeout(outer):
                try:
                    with context.with_timeout(inner):
                        Chan().recv()
                except TimeoutError:
                    return "inner"
        except TimeoutError:
            return "outer"

    gs = [go(work, 100, 0.001), go(work, 0.001, 100)]
    assert [g.join() for g in gs] == ["inner", "outer"]


def test_an_error_in_a_timers_function_stops_no_other():
    seen = Chan(10)
    runtime.set_panic("report", lambda g, e: seen.send(type(e)))
    try:
        after_func(0.001, lambda: 1 / 0)
        after_func(0.002, seen.send, "second")
        assert {seen.recv(timeout=60), seen.recv(timeout=60)} == {ZeroDivisionError, "second"}
    finally:
        runtime.set_panic("report")


# ---- fairness ----------------------------------------------------------------------------------------------------
def test_receivers_take_turns(settle):
    """None gets two while another waits (a channel's waiters are served in order)."""
    ch, order = Chan(), []

    def take(i):
        for _ in ch:
            order.append(i)

    gs = []
    for i in range(5):
        gs.append(go(take, i))
        settle(*gs)
    for _ in range(50):
        ch.send(1)
        settle(*gs)
    ch.close()
    for g in gs:
        g.join()
    assert order == list(range(5)) * 10


def test_locks_pass_to_the_first_waiter(settle):
    sem, order = semaphore.Weighted(1), []
    sem.acquire()

    def work(i):
        sem.acquire()
        order.append(i)
        sem.release()

    gs = []
    for i in range(10):
        gs.append(go(work, i))
        settle(*gs)
    sem.release()
    for g in gs:
        g.join()
    assert order == list(range(10))


def test_a_pair_beside_a_hog_gets_its_share():
    stop, a, b = [], Chan(), Chan()

    def hog():
        while not stop:
            pass

    def ping():
        for v in a:
            b.send(v)

    hogs, g = [go(hog) for _ in range(2)], go(ping)
    for i in range(50):
        a.send(i)
        assert b.recv() == i
    a.close()
    g.join()
    stop.append(1)
    for h in hogs:
        h.join()


def test_a_ticker_ticks_beside_a_pair_that_never_stops():
    stop, a, b = [], Chan(), Chan()

    def chat(x, y):
        try:
            while not stop:
                y.send(x.recv())
        except ChanClosed:
            pass

    gs = [go(chat, a, b), go(chat, b, a)]
    go(a.send, 1)
    with Ticker(0.001) as t:
        for _ in range(10):
            t.C.recv(timeout=60)
    stop.append(1)
    a.close(), b.close()
    for g in gs:
        assert g.done.recv_ok() == (None, False)
        g.exception()


# ---- threads and work given away -----------------------------------------------------------------------------------
def test_queued_work_is_cancelled_and_running_work_is_not():
    held = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        started = threading.Event()
        running = pool.submit(lambda: (started.set(), held.wait(60)))
        queued = pool.submit(len, "abc")
        waiting = go(queued.result)
        started.wait(60)
        assert queued.cancel() and not running.cancel()
        with pytest.raises(concurrent.futures.CancelledError):
            waiting.join()
        held.set()
        assert go(running.result).join() == (None, True)


def test_a_signal_handlers_wait_inside_a_wait(program):
    r = program(
        """
        import os, signal, time
        from gossamer import *
        ch, order = Chan(), []
        def handler(*_):
            order.append("in")
            sleep(0.001)
            order.append(go(lambda: "goroutine").join())
        signal.signal(signal.SIGUSR1, handler)
        def kick():
            for i in range(3):
                os.kill(os.getpid(), signal.SIGUSR1)
                while order.count("goroutine") <= i: time.sleep(0.001)
            ch.send("end")
        go(kick)
        print(select(recv(ch)).value, order)
        """
    )
    assert r.out == "end " + repr(["in", "goroutine"] * 3) + "\n", r


# ---- C++ -----------------------------------------------------------------------------------------------------------
CPP = """
#include <stdexcept>
#include <string>
struct Guard { int *n; Guard(int *n) : n(n) { ++*n; } ~Guard() { --*n; } };
static void deep(int depth, int (*call)(int), int *alive) {
  Guard g(alive);
  if (depth) return deep(depth - 1, call, alive);
  if (call(depth)) throw std::runtime_error("from below");
}
/* Calls back, where the goroutine may wait and go on on another thread; then throws through what is on the stack. */
extern "C" int around(int depth, int (*call)(int)) {
  int alive = 0, caught = 0;
  try {
    deep(depth, call, &alive);
  } catch (const std::exception &e) {
    caught = call(1) && std::string(e.what()) == "from below";
  }
  return alive == 0 ? caught : -1;
}
"""


@pytest.mark.skipif(not shutil.which("g++"), reason="no g++")
def test_cpp_exceptions_pass_through_a_goroutines_stack(tmp_path):
    source, library = tmp_path / "around.cpp", tmp_path / "around.so"
    source.write_text(CPP)
    subprocess.run(["g++", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    around = ctypes.CDLL(str(library)).around
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
    around.argtypes = [ctypes.c_int, callback]

    def work(i):
        def call(_):
            for _ in range(3):
                runtime.gosched()
            if i % 2:
                time.sleep(0.0005)
            return 1

        return [around(depth, callback(call)) for depth in (0, 5, 50)]

    assert [g.join() for g in [go(work, i) for i in range(20)]] == [[1, 1, 1]] * 20


def test_select_inside_callbacks_of_c(settle):
    """A goroutine parked below C frames, many at a time, woken in another order."""
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    gates = [Chan() for _ in range(10)]

    def work(i):
        def cmp(x, y):
            select(recv(gates[i]))
            return x[0] - y[0]

        a = (ctypes.c_int * 3)(3, 2, 1)
        ctypes.CDLL(None).qsort(a, 3, 4, compare(cmp))
        return list(a)

    gs = [go(work, i) for i in range(10)]
    settle(*gs)
    for i in (9, 0, 8, 1, 7, 2, 6, 3, 5, 4):
        gates[i].close()
        assert gs[i].join() == [1, 2, 3]
