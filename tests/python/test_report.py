"""What becomes of exceptions that nobody collects, and of goroutines that are told to end."""
# SPDX-License-Identifier: Apache-2.0

import gc
import traceback
import weakref

import pytest
from gossamer import Canceled, Chan, DeadlineExceeded, go, nil_chan, runtime, sleep


def boom(*args):
    raise ValueError("boom", *args)


@pytest.fixture
def hooked():
    """What the hook was called with."""
    seen = []
    runtime.set_panic("report", lambda g, e: seen.append((g, e)))
    yield seen
    runtime.set_panic("report")


def until(ready):
    while not ready():
        sleep(0.001)


def test_hook_gets_the_goroutine_and_the_exception(hooked, capsys):
    go.using(name="w")(boom, 1)
    until(lambda: hooked)
    (g, e), *rest = hooked
    assert g.name == "w" and g.status == "dead" and g.exception() is e and e.args == ("boom", 1) and not rest
    assert capsys.readouterr().err == ""
    hooked.clear()
    del g, e, rest
    gc.collect()
    assert not hooked


def test_dropped_handle(hooked):
    g = go(boom)
    g.done.recv_ok()
    assert not hooked
    del g
    assert len(hooked) == 1


def test_handle_in_garbage(hooked):
    box = []
    box.append((box, go(boom)))
    box[0][1].done.recv_ok()
    del box
    gc.collect()
    assert len(hooked) == 1
    hooked.clear()
    gc.collect()
    for _ in range(600):  # objects are reused: the next ones are reported just as well
        go(len, "").join()
    box = []
    box.append((box, go(boom)))
    box[0][1].done.recv_ok()
    del box
    gc.collect()
    assert len(hooked) == 1


def test_held_and_not_joined_for_a_second(hooked):
    g = go(boom)
    until(lambda: hooked)
    assert len(hooked) == 1 and hooked[0][0] is g
    with pytest.raises(ValueError):  # it may still be collected
        g.join()
    hooked.clear()
    del g
    gc.collect()
    assert not hooked


def test_collected_in_time(hooked):
    g, late = go(boom), go(boom, "late")
    with pytest.raises(ValueError):
        g.join()
    until(lambda: hooked)
    assert len(hooked) == 1 and hooked[0][0] is late
    late.exception()


def test_joined_while_it_dies(hooked, parked):
    ch = Chan()

    def work():
        ch.recv()
        boom()

    g = go(work)
    j = parked(g.join)
    del g
    ch.send(1)
    with pytest.raises(ValueError):
        j.join()
    gc.collect()
    assert not hooked


def test_asked_to_end(hooked, parked):
    def interrupted(*exc):
        g = parked(nil_chan.recv)
        g.interrupt(*exc)
        until(lambda: g.status == "dead")

    interrupted()
    interrupted(SystemExit)

    def leaves():
        raise SystemExit(3)

    go(leaves).done.recv_ok()
    gc.collect()
    assert not hooked
    interrupted(DeadlineExceeded)
    assert len(hooked) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_hook_that_fails(capsys):
    runtime.set_panic("report", lambda g, e: 1 / 0)
    try:
        g = go(boom, "the first")
        g.done.recv_ok()
        del g
    finally:
        runtime.set_panic("report")
    assert "the first" in capsys.readouterr().err


def test_hook_may_use_channels(hooked):
    ch = Chan(1)
    runtime.set_panic("report", lambda g, e: (sleep(0.001), ch.send(g.id)))
    go(boom)
    assert ch.recv(timeout=60) > 1


def test_hook_leaves_nothing_to_the_next_goroutine():
    import threading

    local = threading.local()
    done = Chan(1)

    def hook(g, e):
        local.x = 1
        done.send(None)

    runtime.set_panic("report", hook)
    try:
        for _ in range(10):
            go(boom)
            done.recv()
            assert go(lambda: hasattr(local, "x")).join() is False
    finally:
        runtime.set_panic("report")


@pytest.mark.parametrize("bad", [("x",), (1,), ("report", 3), ()])
def test_bad_policy(bad):
    with pytest.raises((TypeError, ValueError)):
        runtime.set_panic(*bad)


def test_crash(program):
    r = program(
        """
        import atexit
        from gossamer import *
        runtime.set_panic("crash")
        atexit.register(print, "never")
        idle = go.using(name="idle")(Chan().recv)
        def boom():
            while runtime.goroutines()[0].wait_reason != "sleep" or not idle.wait_reason: runtime.gosched()
            raise ValueError("the end")
        go(boom)
        print("so far")
        sleep(1000)
        """
    )
    assert r.code == 2 and r.out == "so far\n", r
    for text in ("unhandled exception", "ValueError: the end", "goroutine 1 [main] (sleep)", "[idle] (chan receive)"):
        assert text in r.err, r


def test_crash_spares_what_is_collected(program):
    r = program(
        """
        from gossamer import *
        runtime.set_panic("crash")
        g = go(lambda: 1 / 0)
        try: g.join()
        except ZeroDivisionError: print("joined")
        """
    )
    assert r.code == 0 and r.out == "joined\n" and r.err == "", r


def test_crash_in_a_hook(program):
    r = program(
        """
        from gossamer import *
        runtime.set_panic("crash", lambda g, e: print("hook", type(e).__name__))
        go(lambda: 1 / 0)
        sleep(1000)
        """
    )
    assert r.code == 2 and r.out == "hook ZeroDivisionError\n" and "ZeroDivision" not in r.err, r


def test_at_exit_with_a_hook(program):
    r = program(
        """
        from gossamer import *
        runtime.set_panic("report", lambda g, e: print("late", e))
        def boom(): raise ValueError("x")
        g = go(boom)
        sleep(0.01)
        """
    )
    assert r.code == 0 and r.out == "late x\n", r


# ---- goexit -------------------------------------------------------------------------------------
def test_goexit(hooked):
    seen = []

    def inner():
        try:
            runtime.goexit()
        except Exception:
            seen.append("swallowed")
        finally:
            seen.append("finally")

    def work():
        with Chan() as ch:
            seen.append(ch)
            inner()
        seen.append("not reached")

    g = go(work)
    assert g.join() is None and g.exception() is None
    assert seen[1:] == ["finally"] and seen[0].closed
    del g
    assert not hooked


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_goexit_in_a_thread():
    import threading

    seen = []
    t = threading.Thread(target=lambda: (runtime.goexit(), seen.append(1)))
    t.start()
    t.join()
    assert not seen


def test_goexit_of_main(program):
    r = program(
        """
        from gossamer import *
        def work(): sleep(0.05); print("done")
        go(work)
        try: runtime.goexit()
        except Deadlock as e: print("deadlock", "Goexit" in e.report)
        """
    )
    assert r.out == "done\ndeadlock True\n", r


# ---- stack --------------------------------------------------------------------------------------
def test_stack(parked):
    def deep(ch):
        ch.recv()

    ch = Chan()
    g = parked(deep, ch)
    s = g.stack()
    assert isinstance(s, traceback.StackSummary) and s[-1].name == "deep" and s[-1].line == "ch.recv()"
    ch.send(1)
    g.join()
    assert list(g.stack()) == []
    fresh = go(len, "")
    assert list(fresh.stack()) == []
    fresh.join()
    main = runtime.goroutines()[0]
    assert main.stack()[-1].name == "test_stack"
    assert go(lambda: main.stack()[-1].name).join() == "test_stack"


def test_stack_does_not_keep_the_frames(parked):
    class Thing:
        pass

    def work(ch):
        t = Thing()
        refs.append(weakref.ref(t))
        ch.recv()

    refs, ch = [], Chan()
    g = parked(work, ch)
    s = g.stack()
    ch.send(1)
    g.join()
    assert s and refs[0]() is None


def test_canceled_error_is_still_joined(parked):
    g = parked(nil_chan.recv)
    g.interrupt()
    with pytest.raises(Canceled):
        g.join()
