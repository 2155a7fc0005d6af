"""errgroup: one error gives all up."""
# SPDX-License-Identifier: Apache-2.0

import copy
import gc
import pickle
import sys
import traceback
import weakref

import pytest
from gossamer import Canceled, Chan, DeadlineExceeded, context, errgroup, go, runtime, sleep
from gossamer.errgroup import Group

LONG, SHORT = 3600, 0.001


def fail(e=None, after=()):
    for g in after:
        g.join()
    raise e or ValueError("failed")


def test_all_well():
    out = []
    with Group() as g:
        h = g.go(lambda x, *, y: (out.append(x), y)[1], 1, y=2)
        g.go(out.append, 3)
        assert context.current() is g.ctx
    assert sorted(out) == [1, 3] and h.join() == 2
    assert context.current() is context.background()
    assert isinstance(g.ctx.err(), Canceled), "as in Go"
    g = Group()
    g.go(out.append, 4)
    assert g.wait() is None and g.wait() is None and out[-1] == 4
    Group().wait()


def line_after(frame):
    return f"{__file__}:{frame.f_lineno + 1} in {frame.f_code.co_name}"


def test_members_are_created_where_the_group_is_used():
    group, sites = Group(), []
    here = line_after(sys._getframe())
    assert group.go(int).site == here
    group.wait()

    def work(_):
        sites.extend(g.site for g in runtime.goroutines() if g.id == runtime.goid())

    here = line_after(sys._getframe())
    errgroup.map(work, [0, 1], limit=1)
    assert sites == [here] * 2


def test_first_error():
    g = Group()
    sleeper = g.go(sleep, LONG)
    why = ValueError("why")
    g.go(fail, why)
    with pytest.raises(ValueError, match="why") as e:
        g.wait()
    assert e.value is why and g.ctx.cause() is why and not hasattr(why, "__notes__")
    assert isinstance(sleeper.exception(), Canceled) and sleeper.exception().ctx is g.ctx
    with pytest.raises(ValueError):
        g.wait()
    assert "in fail" in "".join(traceback.format_exception(why))


def test_goexit_is_no_error():
    g = Group(1)
    h = g.go(runtime.goexit)
    g.go(int)  # there is room again
    assert g.wait() is None and h.join() is None


def test_more_errors_are_noted():
    def stubborn(n):
        try:
            sleep(LONG)
        except Canceled:
            raise KeyError(n) from None

    for n, note in ((1, "1 more error in the group"), (2, "2 more errors in the group")):
        with pytest.raises(ValueError) as e, Group() as g:
            for i in range(n):
                g.go(stubborn, i)
            g.go(sleep, LONG)
            runtime.gosched()
            g.go(fail)
        assert e.value.__notes__ == [note]
        with pytest.raises(ValueError):
            g.wait()
        assert e.value.__notes__ == [note]


def test_all_errors():
    def late(e):
        try:
            sleep(LONG)
        finally:
            raise e

    with pytest.raises(ExceptionGroup) as e, Group(errors="all") as g:
        g.go(late, KeyError(1))
        g.go(late, OSError(2))
        g.go(sleep, LONG)
        runtime.gosched()
        g.go(fail)
    assert [type(x) for x in e.value.exceptions][0] is ValueError
    assert sorted(type(x).__name__ for x in e.value.exceptions) == ["KeyError", "OSError", "ValueError"]
    with pytest.raises(ExceptionGroup) as e, Group(errors="all") as g:
        g.go(fail)
    assert len(e.value.exceptions) == 1, "always a group"
    with pytest.raises(BaseExceptionGroup) as e, Group(errors="all") as g:
        g.go(fail, SystemExit(3))
    assert not isinstance(e.value, ExceptionGroup)
    with Group(errors="all") as g:
        g.go(int)
    with pytest.raises(ValueError, match="first"):
        Group(errors="some")


def test_error_of_the_body():
    with pytest.raises(ZeroDivisionError), Group() as g:
        h = g.go(sleep, LONG)
        1 / 0  # noqa: B018
    assert isinstance(h.exception(), Canceled) and isinstance(g.ctx.cause(), ZeroDivisionError)
    with pytest.raises(ExceptionGroup) as e, Group(errors="all") as g:
        g.go(sleep, LONG)
        fail()
    assert [type(x) for x in e.value.exceptions] == [ValueError]


def test_error_ends_the_body():
    with pytest.raises(ValueError) as e, Group() as g:
        g.go(fail)
        Chan().recv()
        pytest.fail("not reached")
    assert e.value.__context__ is None and e.value.__cause__ is None
    with pytest.raises(ValueError, match="failed"), Group(1) as g:
        g.go(fail)
        for _ in range(3):
            g.go(sleep, LONG)


def test_cancel():
    with Group() as g:
        gs = [g.go(sleep, LONG) for _ in range(3)]
        g.ctx.cancel()
        sleep(LONG)
    assert all(isinstance(h.exception(), Canceled) for h in gs)


def test_parent_ends():
    with context.with_cancel() as c:
        with Group() as g:
            h = g.go(sleep, LONG)
            c.cancel()
        pytest.fail("the group was canceled from above")
    assert h.exception().ctx is g.ctx
    with pytest.raises(TimeoutError), context.with_timeout(SHORT), Group() as g:
        sleep(LONG)
    top = context.with_cancel()
    g = Group(parent=top)
    g.go(sleep, LONG)
    runtime.gosched()
    why = OSError()
    top.cancel(why)
    with pytest.raises(Canceled) as e:
        g.wait()
    assert e.value.cause is why
    g = Group(parent=context.background())
    with context.with_cancel():
        h = g.go(sleep, LONG)
    assert not g.ctx.err()
    g.ctx.cancel()
    g.wait()
    assert isinstance(h.exception(), Canceled)


def test_deadline_of_ones_own_is_an_error():
    with pytest.raises(DeadlineExceeded), Group() as g:
        g.go(sleep, LONG, ctx=context.with_timeout(SHORT))
        g.go(sleep, LONG)
    with pytest.raises(TimeoutError), Group() as g:
        g.go(lambda: Chan().recv(timeout=SHORT))


def test_limit():
    inside = most = 0

    def work():
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        runtime.gosched()
        inside -= 1

    with Group(3) as g:
        for _ in range(20):
            g.go(work)
    assert most == 3
    g = Group(limit=1)
    gate = Chan()
    assert g.try_go(gate.recv) and g.try_go(work) is None
    with pytest.raises(RuntimeError, match="limit cannot change"):
        g.set_limit(2)
    with pytest.raises(TimeoutError), context.with_timeout(SHORT):
        g.go(work)
    gate.send(None)
    g.wait()
    for n in (2, None, -1):
        g.set_limit(n)
        assert g.try_go(work) is not None
        g.wait()
    g.set_limit(0)
    assert g.try_go(work) is None
    for bad in ("3", 1.5):
        with pytest.raises(TypeError, match="limit"):
            Group(bad)


def test_wait_with_timeout_and_context():
    g = Group()
    gate = Chan()
    g.go(gate.recv)
    for timeout in (0, SHORT):
        with pytest.raises(TimeoutError):
            g.wait(timeout)
    with pytest.raises(DeadlineExceeded):
        g.wait(ctx=context.with_timeout(SHORT))
    with pytest.raises(TimeoutError), context.with_timeout(SHORT):
        g.wait()
    assert not g.ctx.err(), "the work goes on"
    gate.send(1)
    g.wait()


def test_nobody_is_left_behind():
    """Leaving waits for all, although the surrounding context has ended."""
    done = []

    def slow():
        try:
            sleep(LONG)
        finally:
            sleep(5 * SHORT, ctx=context.background())
            done.append(1)

    with pytest.raises(TimeoutError), context.with_timeout(SHORT), Group() as g:
        g.go(slow)
        g.go(slow)
    assert done == [1, 1]


def test_not_copied():
    for f in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="make another"):
            f(Group())


def test_bad_callable():
    with Group() as g:
        for start in (g.go, g.try_go):
            with pytest.raises(TypeError, match="callable"):
                start(3)
        with pytest.raises(TypeError):
            g.go()


def test_errors_of_members_are_not_reported(program):
    r = program("""
        from gossamer.errgroup import Group
        try:
            with Group() as g:
                for i in range(3): g.go(lambda: 1 / 0)
        except ZeroDivisionError as e:
            print(e.__notes__)
    """)
    assert r.code == 0 and not r.err and r.out == "['2 more errors in the group']\n", r


LOST = {
    "group dropped": "g = Group(); ended(g.go(fail)); del g",
    "dropped, all errors": "g = Group(errors='all'); ended(g.go(fail)); del g",
    "dropped while it runs": "g, c = Group(), Chan(); g.go(lambda: c.recv_ok() and fail()); del g; c.close()",
    "handle dropped last": "g = Group(); h = g.go(fail); ended(h); del g, h",
    "group dropped last": "g = Group(); h = g.go(fail); ended(h); del h, g",
    "held": "g = Group(); ended(g.go(fail)); at_end = True",
    "go after wait": "g = Group(); g.wait(); ended(g.go(fail)); del g",
    "wait given up": """
g, c = Group(), Chan()
ended(g.go(fail))
h = g.go(lambda: c.recv_ok(ctx=context.background()))
try: g.wait(0.01)
except TimeoutError: pass
c.close(); ended(h); del g, h
""",
    "one left out by exception": "g = Group(); h = g.go(fail); ended(h); ended(g.go(fail)); h.exception(); del g, h",
}


@pytest.mark.parametrize("how", LOST)
def test_errors_nobody_waited_for_are_reported(program, how):
    """Once: when group and handle are gone, or at the end of the program."""
    r = program(
        f"""
import gc
from gossamer import *
from gossamer.errgroup import Group
at_end, reports = False, Chan(9)
runtime.set_panic("report", lambda g, e: (print("report", e), reports.send(e)))
def fail(): raise ValueError("lost")
def ended(g): g.done.recv_ok()
{LOST[how]}
gc.collect()
if not at_end: reports.recv(timeout=60)
print(len(reports), "more")
"""
    )
    out = ["0 more", "report lost"] if how == "held" else ["report lost", "0 more"]
    assert r.code == 0 and r.out.splitlines() == out, r


COLLECTED = {
    "wait": "g.wait()",
    "with": "g.__enter__(); g.__exit__(None, None, None)",
    "join": "h.join()",
    "exception": "raise h.exception()",
    "wait, go, wait": "g.wait()\nexcept ValueError: pass\ng.go(fail)\ntry: g.wait()",
    "join of one, wait": "h.join()\nexcept ValueError: pass\ng.go(fail); g.go(fail)\ntry: g.wait()",
}


@pytest.mark.parametrize("how", COLLECTED)
def test_errors_that_were_collected_are_not_reported(program, how):
    r = program(
        f"""
import gc
from gossamer import *
from gossamer.errgroup import Group
def fail(): raise ValueError("lost")
g = Group()
h = g.go(fail)
h.done.recv_ok()
try: {COLLECTED[how]}
except ValueError as e: print(e)
del g, h
gc.collect()
"""
    )
    assert r.code == 0 and not r.err and r.out == "lost\n", r


def test_nested_groups():
    with pytest.raises(ValueError), Group() as outer:

        def inner():
            with Group() as g:
                assert g.ctx.value("k") == 1
                g.go(sleep, LONG)
                g.go(fail)

        with context.with_value("k", 1):
            outer.go(sleep, LONG)
            with pytest.raises(ValueError):
                inner()
        outer.go(lambda: context.with_value("k", 1).__enter__() and inner())


def test_map():
    def square(x):
        for _ in range(x % 5):
            runtime.gosched()
        return x * x

    assert errgroup.map(square, range(50)) == [x * x for x in range(50)]
    assert errgroup.map(square, iter(range(50)), limit=3) == [x * x for x in range(50)]
    assert errgroup.map(square, []) == []
    assert errgroup.map(lambda x: None, [1, 2]) == [None, None]
    with pytest.raises(ZeroDivisionError):
        errgroup.map(lambda x: 1 / x, [1, 0, 2], limit=1)
    with pytest.raises(KeyError):
        errgroup.map(int, (x if x < 2 else {}[x] for x in range(5)))
    ch = Chan()
    go(lambda: [ch.send(x) for x in range(5)] and ch.close())
    assert errgroup.map(square, ch) == [0, 1, 4, 9, 16]
    with pytest.raises(ValueError):
        errgroup.map(lambda x: fail(), one_and_open())
    with pytest.raises(Canceled):
        errgroup.map(lambda x: context.current().cancel(), range(100), limit=1)
    with context.with_cancel() as c:
        errgroup.map(lambda x: c.cancel(), range(100), limit=1)
        pytest.fail("not reached")


def one_and_open():
    ch = Chan(1)
    ch.send(1)
    return ch


def test_keyboard_interrupt(program):
    r = program("""
        import os, signal
        from gossamer import *
        from gossamer.errgroup import Group
        def work():
            try:
                sleep(100)
            except Canceled as e:
                print("ended by", type(e.cause).__name__)
                raise KeyError
        try:
            with Group() as g:
                g.go(work)
                runtime.gosched()
                g.go(os.kill, os.getpid(), signal.SIGINT)
        except KeyboardInterrupt as e:
            print("KeyboardInterrupt", e.__notes__)
    """)
    assert r.out.splitlines() == ["ended by KeyboardInterrupt", "KeyboardInterrupt ['1 more error in the group']"], r


def test_no_memory_for_a_goroutine(program):
    """Those that could not start give their places back, and their MemoryError is the group's."""
    r = program(
        """
        import resource
        from gossamer import *
        from gossamer.errgroup import Group
        def limit(n): resource.setrlimit(resource.RLIMIT_AS, (n, resource.getrlimit(resource.RLIMIT_AS)[1]))
        ch, g = Chan(), Group(1_000_000)
        go(ch.send, 1); ch.recv()
        limit(2 << 30)
        n = 0
        try:
            while n < 1_000_000:
                g.go(ch.recv_ok)
                n += 1
        except MemoryError:
            pass
        runtime.gosched()
        limit(3 << 30)
        ch.close()
        try:
            g.wait(timeout=60)
            print("fine")
        except MemoryError as e:
            print("fine", e)
        g.set_limit(1)
        print(g.go(lambda: 5).join(), runtime.num_goroutine())
    """,
        timeout=100,
    )
    assert r.code == 0 and r.out.startswith("fine") and r.out.endswith("5 1\n"), r


def test_groups_go_away():
    class Why(Exception):
        pass

    def once():
        g = Group()
        g.go(fail, Why())
        g.go(sleep, LONG)
        try:
            g.wait()
        except Why as e:
            return weakref.ref(g), weakref.ref(e)

    refs = [r for _ in range(20) for r in once()]
    gc.collect()
    assert not any(r() for r in refs)
    n = runtime.num_goroutine()
    with Group(10) as g:
        for _ in range(1000):
            g.go(int)
    assert runtime.num_goroutine() == n
    before = sys.getrefcount(fail)
    for _ in range(10):
        with pytest.raises(ValueError), Group() as g:
            g.go(fail)
    del g
    gc.collect()
    assert sys.getrefcount(fail) == before
