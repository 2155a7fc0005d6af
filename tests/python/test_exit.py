"""The program's end with goroutines in every state: clean and prompt."""
# SPDX-License-Identifier: Apache-2.0

import subprocess
import sys

import pytest

STATES = {
    "parked": "go(Chan().recv)",
    "sleeping": "go(sleep, 1000)",
    "spinning": "go(spin)",
    "three spinning": "go(spin); go(spin); go(spin)",
    "blocked": "go(time.sleep, 1000)",
    "reading": "go(os.read, os.pipe()[0], 1)",
    "locked": "lk = threading.Lock(); lk.acquire(); go(lk.acquire)",
    "sqlite": "go(database)",
    "chatting": "a, b = Chan(), Chan(); go(chat, a, b); go(chat, b, a); go(a.send, 1)",
    "with handlers": "go(careful)",
    "in a ticker": "go(list, Ticker(0.001))",
    "timers pending": "keep = [after(1000), Timer(0.001), after_func(1000, len), Ticker(0.001)]",
    "many": "[go(Chan().recv) for _ in range(5000)]; [go(time.sleep, 100) for _ in range(20)]; go(spin)",
    "never started": "go(len, 'x')",
    "thread in a wait": "threading.Thread(target=Chan().recv, daemon=True).start()",
    "held handle": "g = go(lambda: 1 / 0)",
}

PROLOGUE = """
import atexit, os, sqlite3, sys, threading, time
from gossamer import *
def spin():
    while True: pass
def database():
    while True: sqlite3.connect(":memory:").execute("select 1")
def chat(a, b):
    while True: b.send(a.recv())
def careful():
    try:
        with open(os.devnull): Chan().recv()
    finally:
        print("never")
"""


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise KeyError('x')"], ids=["return", "exit", "raise"])
def test_exit(program, state, end):
    r = program(f"{PROLOGUE}\n{STATES[state]}\nsleep(0.05)\nprint('end', flush=True)\n{end}\n", timeout=60)
    assert r.out == "end\n", r
    assert r.code == {"": 0, "sys.exit(3)": 3}.get(end, 1), r
    for word in ("Fatal", "Segmentation", "core dumped", "gossamer:"):
        assert word not in r.err, r


@pytest.mark.parametrize("state", STATES)
def test_exit_at_once(program, state):
    r = program(f"{PROLOGUE}\n{STATES[state]}\nprint('end')", timeout=60)
    assert r.out == "end\n" and r.code == 0, r


def test_import_alone(program):
    r = program(
        """
        import threading, gossamer, os
        print(threading.active_count(), len(os.listdir("/proc/self/task")))
        """
    )
    assert r.out == "1 1\n" and r.code == 0, r


def test_atexit_handlers_still_have_goroutines(program):
    r = program(
        """
        import atexit, gossamer
        @atexit.register
        def last():
            ch = gossamer.Chan()
            gossamer.go(ch.send, 1)
            print(ch.recv())
        gossamer.go(len, "")
        """
    )
    assert r.out == "1\n" and r.code == 0, r


def test_use_after_the_end(program):
    r = program(
        """
        import atexit
        ch = None
        def last():
            try: ch.recv()
            except RuntimeError as e: print(e)
        atexit.register(last)
        import gossamer
        ch = gossamer.Chan()
        """
    )
    assert "closed" in r.out and r.code == 0, r


def test_finalizers_at_the_end_may_do_what_does_not_wait(program):
    r = program(
        """
        from gossamer import *
        ch, other = Chan(3), Chan(1)
        class D:
            def __del__(self):
                print(ch.try_send(1), ch.try_recv(), other.close(), len(ch))
                try: ch.recv()
                except RuntimeError: print("closed")
        go(other.recv_ok)
        go(list, other)
        sleep(0.01)
        d = D(); d.me = d
        """
    )
    assert r.out == "True 1 True 0\nclosed\n" and r.code == 0, r


def test_main_ends_on_another_thread(program):
    r = program(
        """
        import time, threading
        from gossamer import *
        def spin():
            while True: pass
        for _ in range(3):
            go(spin); go(time.sleep, 1000)
            sleep(0.02)
        print(threading.current_thread() is threading.main_thread())
        """,
        timeout=60,
    )
    assert r.out == "True\n" and r.code == 0, r


def test_module_globals_hold_everything(program):
    r = program(
        """
        from gossamer import *
        class D:
            def __del__(self): ch.close()
        ch = Chan(3); ch.send(D()); ch.send(ch)
        d = D(); d.me = d
        g = go(ch.recv); case = recv(ch); t = Ticker(0.01); wg = WaitGroup(); mu = Mutex(); mu.lock()
        view = ch.receiver(); done = g.done
        sleep(0.01)
        """
    )
    assert r.code == 0 and "Fatal" not in r.err, r


def test_fork_keeps_the_running_goroutine(program):
    r = program(
        """
        import os, sys, time, warnings
        warnings.simplefilter("ignore")
        from gossamer import *
        from gossamer import context, sync
        ch = Chan(3)
        ch.send("kept")
        gone = [go(Chan().recv) for _ in range(5)]
        late = after_func(0, print, "never")
        def work():
            out, wg = Chan(), sync.WaitGroup()
            for i in range(10):
                wg.go(lambda i=i: (sleep(0.001), out.send(i)))
            assert sorted(out.recv() for _ in range(10)) == list(range(10))
            wg.wait()
            try:
                with context.with_timeout(0.01): Chan().recv()
            except TimeoutError: pass
            try: gone[0].join(timeout=5)
            except RuntimeError as e: assert str(e) == f"goroutine {gone[0].id} stayed in the parent process", e
            assert gone[0].status == "dead" and runtime.num_goroutine() == 1
            assert [g.id for g in runtime.goroutines()] == [runtime.goid()]
            assert ch.try_recv() == "kept" and ch.try_recv("empty") == "empty"
            ch.send("kept")
            slept, summed = go(time.sleep, 0.01), go(lambda: sum(range(300_000)))
            slept.join(), summed.join()
        def status(pid): return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        def forks():
            pid = os.fork()
            if not pid:
                work()
                pid = os.fork()
                if not pid:
                    work()
                    os._exit(3)
                os._exit(4 + status(pid))
            return status(pid)
        def asleep():
            pid = os.fork()
            if not pid:
                try: Chan().recv()
                except Deadlock: os._exit(5)
            return status(pid)
        print(go(forks).join(), forks(), go(asleep).join(), asleep())
        pid = os.fork()
        if pid == 0:
            sys.exit(5)
        print(status(pid), go(lambda: 6).join())
        print(status(go(os.fork).join() or sys.exit()), ch.recv())
        def fails():
            if os.fork(): return
            raise KeyError("in the child")
        go(fails).join()
        print(status(-1))
        """,
        timeout=60,
    )
    assert r.out == "never\n7 7 5 5\n5 6\n0 kept\n1\n" and r.code == 0, r
    assert r.err.count("unhandled exception") == 1 and "KeyError: 'in the child'" in r.err, r


def test_fork_on_a_thread_that_is_no_goroutine(program):
    r = program(
        """
        import os, threading, warnings
        warnings.simplefilter("ignore")
        from gossamer import *
        go(lambda: 1).join()
        def forks():
            pid = os.fork()
            if not pid:
                try: Chan().recv(timeout=1)
                except RuntimeError as e: os._exit(7 if "forked by a thread" in str(e) else 8)
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        t = threading.Thread(target=forks)
        t.start()
        t.join()
        """,
        timeout=30,
    )
    assert r.out == "7\n" and r.code == 0, r


def test_subprocess_and_multiprocessing(program):
    r = program(
        """
        import multiprocessing as mp, subprocess, sys, warnings
        warnings.simplefilter("ignore")
        from gossamer import *
        def run(i):
            return int(subprocess.run([sys.executable, "-c", f"print({i})"], capture_output=True).stdout)
        def through_a_channel(v):
            ch = Chan()
            go(ch.send, v)
            return ch.recv()
        def pool():
            with mp.get_context("fork").Pool(2) as p: return p.map(through_a_channel, [-1, -2])
        if __name__ == "__main__":
            gs = [go(run, i) for i in range(3)]
            print([g.join() for g in gs], go(pool).join(), pool())
        """,
        timeout=50,
    )
    assert r.out == "[0, 1, 2] [-1, -2] [-1, -2]\n", r


def test_dev_mode_lists_who_is_left():
    source = "from gossamer import *\ng = go.using(name='stuck')(Chan().recv)\nsleep(0.001)\ngo(int).join()"
    for options, lines in ([], 0), (["-X", "dev"], 2):
        r = subprocess.run([sys.executable, *options, "-c", source], capture_output=True, text=True, check=True)
        assert len(r.stderr.splitlines()) == lines, r
    assert "1 goroutine abandoned at exit:\n  <Goroutine " in r.stderr
    assert "[stuck], waiting (chan receive), created at <string>:2 in <module>>" in r.stderr
