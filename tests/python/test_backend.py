"""The two backends: which one there is, and what each of them has. The features of one that it lacks are pinned here."""
# SPDX-License-Identifier: Apache-2.0

import ast
import gc
import os
import sys
import threading
import time
import weakref
from pathlib import Path

import gossamer
import pytest
from gossamer import Canceled, Chan, ChanClosed, after_func, context, go, recv, select, send, sleep
from gossamer.sync import Cond, Mutex, WaitGroup

CFFI = gossamer.backend == "cffi"
CPYTHON = sys.implementation.name == "cpython"
PACKAGE = Path(gossamer.__file__).parent


def with_backend(program, backend, source):
    return program(source, env={**os.environ, "GOSSAMER_BACKEND": backend})


# ---- the choice -----------------------------------------------------------------------------------
@pytest.mark.skipif(not CPYTHON, reason="there is one here")
@pytest.mark.parametrize(("given", "chosen"), [("", "c"), ("c", "c"), ("cffi", "cffi")])
def test_the_environment_chooses(program, given, chosen):
    pytest.importorskip("_cffi_backend")
    r = with_backend(program, given, "import gossamer; print(gossamer.backend, gossamer.runtime.goid())")
    assert r.out == f"{chosen} 1\n", r


def test_an_unknown_one_is_an_error(program):
    r = with_backend(program, "rust", "import gossamer")
    assert r.code == 1 and "GOSSAMER_BACKEND must be 'c' or 'cffi', not 'rust'" in r.err, r


def test_it_is_what_it_says():
    module = sys.modules["gossamer._gossamer"]
    assert gossamer.backend in ("c", "cffi")
    assert module.__name__ == ("gossamer._backend_cffi" if CFFI else "gossamer._gossamer")
    assert type(gossamer.backend_features) is frozenset


# ---- what each has --------------------------------------------------------------------------------
C_ONLY = {
    "closed-at-exit",
    "deadlock-report",
    "free-after-func",
    "goroutines-in-user-space",
    "native",
    "prompt-signals",
    "scheduler-stats",
    "seeded-switches",
    "slow-report",
}
BOTH = {"ambient-context", "identity", "readable", "signals", "stack-size"}


def test_features():
    expected = BOTH if CFFI else BOTH | C_ONLY
    if sys.version_info >= (3, 11):
        expected = expected | {"awaiting"}
    assert gossamer.backend_features == expected


@pytest.mark.skipif(not CFFI, reason="nothing is left out")
def test_what_is_left_out_says_so():
    gossamer.runtime.set_slow(None)
    with pytest.raises(NotImplementedError, match="backend_features"):
        gossamer.runtime.set_slow(1.0)


def test_the_features_are_documented():
    text = (Path(__file__).parents[2] / "docs/python/backends.md").read_text(encoding="utf-8")
    for name in BOTH | C_ONLY | {"awaiting"}:
        assert f"`{name}`" in text, name


def stub_names():
    """What gossamer/_gossamer.pyi declares, with the methods of its classes."""
    tree = ast.parse((PACKAGE / "_gossamer.pyi").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.AnnAssign):
            yield node.target.id, None
        elif isinstance(node, ast.FunctionDef):
            yield node.name, None
        elif isinstance(node, ast.ClassDef):
            yield node.name, None
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    yield node.name, inner.name


# Bases that only the stubs have, and what only one of them needs.
NOT_THERE = {"_HasFileno", "_NoCopy", "_Chan", "_Clock", "_Lock", "_Go", "_Hold", "_collector"}
NOT_THERE |= {"_race_start", "_race_stop", "_race_instruction"}


@pytest.mark.skipif(not CFFI, reason="stubtest compares the C extension")
def test_the_names_are_those_of_the_c_extension():
    module = sys.modules["gossamer._gossamer"]
    missing = []
    for name, method in stub_names():
        if name in NOT_THERE:
            continue
        there = getattr(module, name, None)
        if there is None or (method and not hasattr(there, method)):
            missing.append(f"{name}.{method}" if method else name)
    assert not missing


# ---- what only a backend of threads could get wrong -------------------------------------------------
def test_identity_is_kept():
    ch, thing = Chan(1), object()
    ch.send(thing)
    assert ch.recv() is thing


def test_what_nobody_received_goes_with_the_channel():
    class Thing:
        pass

    thing = Thing()
    ref = weakref.ref(thing)
    ch = Chan(3)
    ch.send(thing)
    if CFFI:  # the collector sees a cycle through the channel
        ch.send(ch)
        thing.ch = ch
    del ch, thing
    gc.collect()
    gc.collect()
    assert ref() is None


def test_values_that_were_not_sent_are_not_kept():
    class Thing:
        pass

    thing = Thing()
    ref = weakref.ref(thing)
    ch = Chan()
    assert not ch.try_send(thing)
    with pytest.raises(TimeoutError):
        ch.send(thing, timeout=0.001)
    assert select(send(ch, thing), gossamer.default) is gossamer.default
    ch.close()
    with pytest.raises(ChanClosed):
        ch.send(thing)
    del thing
    gc.collect()
    assert ref() is None


def test_interrupt_and_context_at_once(parked):
    """One of them ends this wait; the interrupt is not lost, whichever it was."""
    for _ in range(100):
        out = Chan(2)

        def work(ctx, out=out):
            for _ in range(2):
                try:
                    sleep(1000, ctx=ctx)
                except KeyError:
                    out.send("interrupt")
                    return
                except Canceled as e:
                    out.send(e.ctx is ctx)
                    ctx = context.background()

        c = context.with_cancel()
        g = parked(work, c)
        go(c.cancel)
        g.interrupt(KeyError)
        g.join()
        got = [out.recv() for _ in range(len(out))]
        assert got in (["interrupt"], [True, "interrupt"])


def test_many_threads_share_everything():
    """A channel, a mutex and a condition under 16 goroutines; nothing is lost."""
    ch, mu, cond, wg = Chan(3), Mutex(), Cond(), WaitGroup()
    total, turns = 0, 0

    def produce(k):
        nonlocal turns
        for i in range(200):
            ch.send(k * 1000 + i)
        with cond:
            turns += 1
            cond.broadcast()

    def consume():
        nonlocal total
        for v in ch:
            with mu:
                total += v

    producers = [wg.go(produce, k) for k in range(8)]
    consumers = [go(consume) for _ in range(8)]
    with cond:
        while turns < 8:
            cond.wait()
    wg.wait()
    ch.close()
    for g in producers + consumers:
        g.join()
    assert total == sum(k * 1000 + i for k in range(8) for i in range(200))


def test_after_func_stop_and_reset():
    ran = Chan(10)
    t = after_func(1000, ran.send, 1)
    assert t.stop() and not t.stop()
    assert not t.reset(0.001)
    assert ran.recv() == 1
    assert not t.stop() and not t.reset(1000) and t.reset(0.001)
    assert ran.recv() == 1 and ran.try_recv(None) is None


def test_ctrl_c_reaches_main(program):
    r = program("""
        import os, signal, threading
        from gossamer import *
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try: Chan().recv()
        except KeyboardInterrupt: print("main")
    """)
    assert r.out == "main\n", r


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forks_child_ends(program):
    r = program("""
        import os, warnings
        warnings.simplefilter("ignore")
        from gossamer import *
        def leaves(): return os.fork()
        pid = go(leaves).join()
        print(os.waitpid(pid, 0)[1])
    """)
    assert r.out == "0\n", r


def test_threads_of_the_programs_own():
    ch, out = Chan(), []
    t = threading.Thread(target=lambda: out.append((gossamer.runtime.goid(), ch.recv())))
    t.start()
    ch.send(1)
    t.join()
    assert out == [(0, 1)]


def test_monotonic_time():
    before = time.monotonic()
    now = recv(gossamer.after(0))
    assert select(now) is now and before - 0.001 <= now.value <= time.monotonic() + 0.001
