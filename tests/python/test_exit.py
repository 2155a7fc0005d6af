"""The program's end with goroutines in every state: clean and prompt."""
# SPDX-License-Identifier: Apache-2.0

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
        import os, sys, warnings
        warnings.simplefilter("ignore")
        from gossamer import *
        def child():
            pid = os.fork()
            if pid == 0:
                try: Chan().recv(timeout=1)
                except RuntimeError as e: os._exit(7 if "fork" in str(e) else 8)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        go(Chan().recv)
        print(go(child).join(), child())
        pid = os.fork()
        if pid == 0:
            sys.exit(5)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), go(lambda: 6).join())
        def leaves():
            return os.fork()
        pid = go(leaves).join()
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """,
        timeout=30,
    )
    assert r.out == "7 7\n5 6\n0\n" and r.code == 0, r


def test_subprocess_and_multiprocessing(program):
    r = program(
        """
        import multiprocessing as mp, subprocess, sys, warnings
        warnings.simplefilter("ignore")
        from gossamer import *
        def run(i):
            return int(subprocess.run([sys.executable, "-c", f"print({i})"], capture_output=True).stdout)
        def pool():
            with mp.get_context("fork").Pool(2) as p: return p.map(abs, [-1, -2])
        if __name__ == "__main__":
            gs = [go(run, i) for i in range(3)]
            print([g.join() for g in gs], go(pool).join())
        """,
        timeout=50,
    )
    assert r.out == "[0, 1, 2] [1, 2]\n", r
