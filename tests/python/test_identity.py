"""Each goroutine is somebody of its own to CPython: locks, imports, sqlite3, logging, ..."""
# SPDX-License-Identifier: Apache-2.0

import ctypes
import io
import logging
import signal
import sqlite3
import sys
import threading
import time

import pytest
from gossamer import Chan, go, runtime, sleep


def migrate():
    """Makes it likely that the caller goes on on another thread."""
    go(time.sleep, 0.002)
    runtime.gosched()
    time.sleep(0.002)
    sleep(0.001)


def test_get_ident(parked):
    main = threading.get_ident()
    assert main == threading.main_thread().ident
    ch = Chan()
    gs = [parked(lambda: (threading.get_ident(), ch.recv(), threading.get_ident())) for _ in range(20)]
    for _ in gs:
        ch.send(None)
    ids = [g.join() for g in gs]
    assert all(a == b for a, _, b in ids)
    assert len({a for a, _, _ in ids}) == 20 and main not in {a for a, _, _ in ids}
    assert threading.get_ident() == main


def test_identity_survives_a_move():
    def f():
        before = threading.get_ident()
        for _ in range(10):
            migrate()
            assert threading.get_ident() == before
        return before

    gs = [go(f) for _ in range(5)]
    assert len({g.join() for g in gs}) == 5
    assert threading.current_thread() is threading.main_thread()


def test_main_stays_main():
    for _ in range(10):
        go(time.sleep, 0.005)
        sleep(0.001)
        assert threading.current_thread() is threading.main_thread()
        assert signal.signal(signal.SIGUSR2, signal.SIG_DFL) == signal.SIG_DFL


def test_threads_keep_theirs():
    seen = []

    def f():
        seen.append(threading.get_ident() == threading.current_thread().ident)
        ch.recv()
        seen.append(threading.get_ident() == threading.current_thread().ident)

    ch = Chan()
    t = threading.Thread(target=f)
    t.start()
    ch.send(1)
    t.join()
    assert seen == [True, True]


@pytest.mark.parametrize("pause", [runtime.gosched, migrate, lambda: time.sleep(0.001)])
def test_rlock_excludes_other_goroutines(pause):
    lock, log = threading.RLock(), []

    def f(i):
        with lock, lock:
            log.append(i)
            pause()
            log.append(i)

    gs = [go(f, i) for i in range(6)]
    for g in gs:
        g.join()
    assert log[::2] == log[1::2]


def test_rlock_belongs_to_the_goroutine(parked):
    lock = threading.RLock()
    ch = Chan()

    def hold():
        lock.acquire()
        ch.recv()
        migrate()
        lock.release()
        return True

    g = parked(hold)
    assert lock.acquire(blocking=False) is False
    with pytest.raises(RuntimeError):
        lock.release()
    ch.send(1)
    assert g.join()
    assert lock.acquire(blocking=False)
    lock.release()


def test_lock_and_condition():
    cond, items, got = threading.Condition(), [], []

    def take():
        with cond:
            while not items:
                cond.wait()
            got.append(items.pop())

    gs = [go(take) for _ in range(5)]
    for i in range(5):
        sleep(0.001)
        with cond:
            items.append(i)
            cond.notify()
    for g in gs:
        g.join()
    assert sorted(got) == list(range(5))


def test_threading_local_is_per_goroutine():
    local = threading.local()

    def f(i):
        assert not hasattr(local, "x")
        local.x = i
        migrate()
        return local.x

    gs = [go(f, i) for i in range(10)]
    assert [g.join() for g in gs] == list(range(10))


def test_sqlite3():
    db = sqlite3.connect(":memory:")
    with pytest.raises(sqlite3.ProgrammingError, match="thread"):
        go(db.execute, "select 1").join()

    def f(i):
        db = sqlite3.connect(":memory:")
        db.execute("create table t(a)")
        for k in range(5):
            migrate()
            db.execute("insert into t values(?)", (k * i,))
        return db.execute("select sum(a) from t").fetchone()[0]

    gs = [go(f, i) for i in range(5)]
    assert [g.join() for g in gs] == [10 * i for i in range(5)]


def test_import(program):
    r = program(
        """
        import sys
        from gossamer import *
        names = ["csv", "calendar", "plistlib", "xml.dom.minidom", "email.mime.text", "csv", "calendar", "unittest.mock", "csv"]
        gs = [go(lambda n=n: __import__(n).__name__) for n in names]
        print([g.join() for g in gs] == [n.split(".")[0] for n in names])
        """
    )
    assert r.out == "True\n", r


def test_import_beside_a_slow_import(program, tmp_path):
    (tmp_path / "slow_module.py").write_text("import builtins; builtins.go_on.wait(50); x = 1\n")
    r = program(
        f"""
        import builtins, sys, threading
        sys.path.insert(0, {str(tmp_path)!r})
        from gossamer import *
        order, builtins.go_on = [], threading.Event()
        def imp(): import slow_module; order.append(slow_module.x)
        gs = [go(imp) for _ in range(5)]
        go(lambda: (order.append("other"), builtins.go_on.set())).join()
        for g in gs: g.join()
        print(order)
        """
    )
    assert r.out == "['other', 1, 1, 1, 1, 1]\n", r


def test_logging():
    stream = io.StringIO()
    log = logging.getLogger("gossamer.test")
    log.setLevel(logging.INFO)
    log.propagate = False
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(thread)d %(message)s"))
    log.addHandler(handler)

    def f(i):
        for k in range(20):
            log.info("%d-%d", i, k)
            runtime.gosched()
        return threading.get_ident()

    gs = [go(f, i) for i in range(10)]
    ids = {g.join() for g in gs}
    log.removeHandler(handler)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 200 and {int(x.split()[0]) for x in lines} == ids
    assert sorted(x.split()[1] for x in lines) == sorted(f"{i}-{k}" for i in range(10) for k in range(20))


def test_io_locks(tmp_path):
    # bytes: the text layer above them is not safe for threads either (cpython#119506)
    with open(tmp_path / "f", "wb") as f:
        gs = [go(lambda i=i: [f.write(b"%d %s\n" % (i, b"x" * 100)) for _ in range(200)]) for i in range(10)]
        for g in gs:
            g.join()
    lines = (tmp_path / "f").read_text().splitlines()
    assert len(lines) == 2000 and all(x.endswith("x" * 100) for x in lines)


def test_signal_only_in_main():
    with pytest.raises(ValueError, match="main thread"):
        go(signal.signal, signal.SIGUSR2, signal.SIG_DFL).join()


def test_current_frames(parked):
    ch, ids = Chan(), []

    def f():
        ids.append(threading.get_ident())
        ch.recv()

    gs = [parked(f) for _ in range(5)]
    frames = sys._current_frames()
    assert all(frames[i].f_code is f.__code__ for i in ids) and threading.get_ident() in frames
    ch.close()
    for g in gs:
        assert g.done.recv_ok() == (None, False)
        assert g.exception() is not None


def test_identity_is_no_thread_to_the_system():
    with pytest.raises(OSError):
        go(lambda: signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)).join()


def test_gilstate_in_callbacks():
    """C code that comes back through PyGILState_Ensure, with and without the GIL, and parks there."""
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))

    def f(lib, seed, pause):
        n = 30
        a = (ctypes.c_int * n)(*[(i * 7919 + seed) % 101 for i in range(n)])

        def cmp(x, y):
            pause()
            return x[0] - y[0]

        lib.qsort(a, n, 4, compare(cmp))
        return list(a) == sorted(a)

    for lib in (ctypes.CDLL(None), ctypes.PyDLL(None)):
        for pause in (runtime.gosched, lambda: time.sleep(0.0003)):
            gs = [go(f, lib, s, pause) for s in range(4)]
            assert all(g.join() for g in gs)


def test_asyncio_in_goroutines():
    import asyncio

    async def work(i):
        await asyncio.sleep(0.01)
        return i

    gs = [go(lambda i=i: asyncio.run(work(i))) for i in range(5)]
    assert [g.join() for g in gs] == list(range(5))


def test_decimal_contexts():
    import decimal

    def f(p):
        with decimal.localcontext(prec=p):
            runtime.gosched()
            return len(str(decimal.Decimal(1) / 3)) - 2

    gs = [go(f, p) for p in (5, 9, 13)]
    assert [g.join() for g in gs] == [5, 9, 13]
    assert go(lambda: decimal.getcontext().prec).join() == 28
