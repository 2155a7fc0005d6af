"""Ctrl-C, exits and the mixture of everything: what each commit runs of tests/python/stress."""
# SPDX-License-Identifier: Apache-2.0

import subprocess
import sys
from pathlib import Path

import pytest

STRESS = Path(__file__).parent / "stress"


def passes(script, *args, timeout=110):
    done = subprocess.run(
        [sys.executable, str(STRESS / script), *args],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stdout[-20_000:]


@pytest.mark.parametrize("seed", range(3))
def test_ctrl_c(seed):
    passes("life.py", "--interrupts", "20", "--seed", f"commit {seed}")


@pytest.mark.parametrize("seed", range(3))
def test_exits(seed):
    passes("life.py", "--exits", "20", "--seed", f"commit {seed}")


def test_mixture():
    passes("mix.py", "15", "--goroutines", "60")


def test_main_blocked_on_another_thread_is_reached(program):
    """The system gives SIGINT to the thread the program began on, which is busy with something else."""
    r = program(
        """
        import os, signal, threading, time
        from gossamer import *
        def spin():
            while True: pass
        def kill():
            time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGINT)
        go(spin)
        for wait in (lambda: time.sleep(1000), lambda: threading.Lock().acquire() and os.read(os.pipe()[0], 1)):
            while threading.get_native_id() == os.getpid(): sleep(0.001)
            go(kill)
            try: wait()
            except KeyboardInterrupt: print("interrupted")
        """,
        timeout=60,
    )
    assert r.out == "interrupted\n" * 2 and r.code == 0, r


def test_programs_that_goroutines_start_take_signals(program):
    """Wherever the goroutine runs, its children begin with the signal mask of the program."""
    r = program(
        """
        import os, signal, subprocess, threading, time
        from gossamer import *
        def start(how):
            time.sleep(0.05)  # the others go on elsewhere
            if how == "run": return subprocess.run(["grep", "SigBlk", "/proc/self/status"], capture_output=True).stdout
            p = subprocess.Popen(["sleep", "1000"])
            p.terminate()
            return p.wait(), threading.get_native_id() == os.getpid()
        gs = [go(start, how) for how in ("run", "kill") * 3]
        ends = [g.join() for g in gs]
        print(set(ends[::2]), {code for code, _ in ends[1::2]}, False in {home for _, home in ends[1::2]})
        """
    )
    assert r.out == "{b'SigBlk:\\t0000000000000000\\n'} {-15} True\n", r


def test_a_report_that_has_begun_is_finished(program):
    r = program(
        """
        import time
        from gossamer import *
        began = Chan()
        def hook(g, e):
            began.send(1)
            time.sleep(0.1)
            print("reported", type(e).__name__)
        runtime.set_panic("report", hook)
        go(lambda: 1 // 0)
        began.recv()
        """
    )
    assert r.out == "reported ZeroDivisionError\n" and r.code == 0, r


def test_a_report_that_never_ends_does_not_keep_the_program(program):
    r = program(
        """
        from gossamer import *
        began = Chan()
        runtime.set_panic("report", lambda g, e: (began.send(1), Chan().recv()))
        go(lambda: 1 // 0)
        began.recv()
        print("end")
        """
    )
    assert r.out == "end\n" and r.code == 0, r


def test_shutdown_loses_no_signal(program):
    """A handler that raises just as a goroutine ends which shutdown() waits for."""
    r = program(
        """
        import os, signal
        from gossamer import *
        class Quit(BaseException): pass
        def handler(*_):
            raise Quit
        signal.signal(signal.SIGUSR1, handler)
        def work():
            try: Chan().recv()
            finally: os.kill(os.getpid(), signal.SIGUSR1)
        quits = 0
        for i in range(100):
            go(work)
            runtime.gosched()
            try:
                runtime.shutdown()
                for _ in range(3): runtime.gosched()
            except Quit:
                quits += 1
        print(quits)
        """
    )
    assert r.out == "100\n" and r.code == 0, r
