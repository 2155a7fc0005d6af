"""Debuggers, coverage, profilers, faulthandler, and what is interactive work with goroutines.

Nothing waits for time to pass: a goroutine proves that it runs by answering on a pipe, or by what it prints.
"""
# SPDX-License-Identifier: Apache-2.0

import cProfile
import json
import os
import pstats
import pty
import select
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from gossamer import Chan, go, runtime, sleep

LIMIT = 60  # seconds: what is broken fails after it


class Session:
    """A process with a terminal of its own, or with pipes, and a second pipe on which a goroutine answers."""

    def __init__(self, *args, terminal=True, env=()):
        self.out = b""
        self.ask_r, self.ask = os.pipe()
        self.answer, self.answer_w = os.pipe()
        if terminal:
            self.fd, theirs = pty.openpty()
            streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        else:
            self.fd, out = os.pipe()
            streams = {"stdin": subprocess.PIPE, "stdout": out, "stderr": out}
            theirs = out
        self.process = subprocess.Popen(
            [sys.executable, *args],
            pass_fds=(self.ask_r, self.answer_w),
            start_new_session=True,
            env={**os.environ, "ASK": str(self.ask_r), "ANSWER": str(self.answer_w), "PYTHONUNBUFFERED": "1", **dict(env)},
            **streams,
        )
        self.input = self.fd if terminal else self.process.stdin.fileno()
        for fd in (theirs, self.ask_r, self.answer_w):
            os.close(fd)

    def _read(self, fd):
        ready, _, _ = select.select([fd], [], [], LIMIT)
        try:
            data = os.read(fd, 65536) if ready else b""
        except OSError:  # the other end of a terminal is gone
            data = b""
        if not data:
            pytest.fail(f"nothing more after:\n{self.text}", pytrace=False)
        return data

    @property
    def text(self):
        return self.out.decode(errors="replace")

    def expect(self, text):
        """Reads until text has come; what follows it is looked at by the next expect()."""
        while text.encode() not in self.out:
            self.out += self._read(self.fd)
        self.out = self.out.split(text.encode(), 1)[1]

    def type(self, line):
        os.write(self.input, line.encode() + b"\n")

    def others_run(self):
        """A goroutine answers, whatever the rest of the program waits for."""
        os.write(self.ask, b"?")
        assert self._read(self.answer) == b"!"

    def end(self, code=0):
        assert self.process.wait(LIMIT) == code, self.text

    def close(self):
        self.process.kill()
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()
        for fd in (self.fd, self.ask, self.answer):
            os.close(fd)


@pytest.fixture
def session():
    open = []

    def start(*args, **kwargs):
        open.append(Session(*args, **kwargs))
        return open[-1]

    yield start
    for s in open:
        s.close()


ANSWER = """
import os
from gossamer import *
def answer():
    while os.read(int(os.environ["ASK"]), 1):
        os.write(int(os.environ["ANSWER"]), b"!")
"""

# ---- pdb


DEBUGGED = (
    ANSWER
    + """
go(answer)
def inner(x):
    return x * 2
def work(x):
    breakpoint()
    y = inner(x)
    return y + 1
g = go.using(name="work")(work, 20)
print("joined", g.join())
"""
)


@pytest.mark.parametrize("terminal", [True, False])
def test_breakpoint_in_a_goroutine(session, tmp_path, terminal):
    script = tmp_path / "script.py"
    script.write_text(DEBUGGED)
    s = session(str(script), terminal=terminal)
    s.expect("(Pdb)")
    s.others_run()
    s.type("p x + 100")
    s.expect("120")
    s.type("where")
    s.expect("work()")
    s.type("break inner")
    s.expect("Breakpoint 1")
    s.type("continue")
    s.expect("inner()")
    s.others_run()
    s.type("up")
    s.type("p 'frame', sorted(locals())")
    s.expect("('frame', ['x'])")
    s.type("clear 1")
    s.type("return")
    s.expect("->40")
    s.type("continue")
    s.expect("joined 41")
    s.end()


def test_breakpoint_in_main_while_goroutines_run(session):
    s = session("-c", ANSWER + "go(answer)\nch = Chan()\ngo(ch.send, 7)\nbreakpoint()\nprint('end')\n")
    s.expect("(Pdb)")
    s.others_run()
    s.type("p 'got', ch.recv()")
    s.expect("('got', 7)")
    s.others_run()
    s.type("continue")
    s.end()


def test_post_mortem_of_a_goroutine(session):
    s = session(
        "-c",
        "import pdb\nfrom gossamer import go\ndef f(n): return 1 / n\n"
        "try: go(f, 0).join()\nexcept ZeroDivisionError as e: pdb.post_mortem(e.__traceback__)\n",
    )
    s.expect("(Pdb)")
    s.type("p 'n is', n")
    s.expect("('n is', 0)")
    s.type("quit")
    s.end()


# ---- sys.settrace, sys.setprofile, threading.settrace


@pytest.mark.parametrize("set, get", [(sys.settrace, sys.gettrace), (sys.setprofile, sys.getprofile)])
def test_tracing_is_each_goroutines_own(set, get, settle):
    seen, ch = [], Chan()

    def traced(frame, event, arg):
        if event == "call":
            seen.append((runtime.goid(), frame.f_code.co_name))

    def callee():
        pass

    def work(trace):
        if trace:
            set(traced)
        ch.recv()
        callee()
        mine = get()
        set(None)
        return mine

    before = get()
    yes, no = go(work, True), go(work, False)
    settle(yes, no)
    callee()
    ch.send(None)
    ch.send(None)
    assert (yes.join(), no.join()) == (traced, None)
    assert (yes.id, "callee") in seen and {g for g, _ in seen} == {yes.id}
    assert get() is before
    assert go(get).join() is None  # also where the stack is used again


@pytest.mark.parametrize("kind", ["trace", "profile"])
def test_tracing_of_new_threads_is_that_of_new_goroutines(kind):
    set, get = getattr(threading, f"set{kind}"), getattr(threading, f"get{kind}")
    mine = getattr(sys, f"get{kind}")
    names = set_of_names = []

    def hook(frame, event, arg):
        if event == "call":
            names.append(frame.f_code.co_name)

    def child():
        return mine()

    def parent():
        return go(child).join(), mine()

    before = get()
    set(hook)
    try:
        assert go(parent).join() == (hook, hook)
    finally:
        set(before)
    assert {"parent", "child"} <= {*set_of_names}
    assert go(child).join() is before


def test_a_tracer_that_fails_is_reported(program):
    r = program(
        """
        import sys, threading
        from gossamer import go
        def bad(frame, event, arg): raise ValueError("bad tracer")
        threading.settrace(bad)
        try: go(lambda: 1).join()
        except ValueError as e: print(e)
        threading.settrace(None)
        print(go(lambda: 2).join())
        """
    )
    assert r.code == 0 and r.out == "bad tracer\n2\n", r


# ---- coverage


COVERED = """
from gossamer import Chan, go

def child(n):
    square = n * n          # line 5
    ch.send(square)
    if n > 100:
        never = 1           # line 8
    return square

def parent():
    gs = [go(child, n) for n in range(3)]
    for g in gs:
        g.join()            # line 14

ch = Chan(3)
go(parent).join()
print(ch.recv() + ch.recv() + ch.recv())
"""
cores = ["ctrace", "pytrace"] + (["sysmon"] if sys.version_info >= (3, 12) else [])


@pytest.mark.parametrize("core", cores)
def test_coverage_sees_goroutines(tmp_path, core):
    pytest.importorskip("coverage")
    script = tmp_path / "script.py"
    script.write_text(COVERED)

    def coverage(*args):
        return subprocess.run(
            [sys.executable, "-m", "coverage", *args],
            env={**os.environ, "COVERAGE_CORE": core, "COVERAGE_FILE": str(tmp_path / "data")},
            capture_output=True,
            text=True,
            check=True,
            timeout=LIMIT,
            cwd=tmp_path,
        )

    run = coverage("run", "script.py")
    assert run.stdout == "5\n", run
    coverage("json", "-o", "out.json")
    lines = json.loads((tmp_path / "out.json").read_text())["files"]["script.py"]
    assert lines["missing_lines"] == [8], (lines, run.stderr)


# ---- cProfile


def calls(profile, name):
    stats = pstats.Stats(profile).stats
    return sum(n for (_, _, f), (_, n, _, _, _) in stats.items() if f == name)


def leaf():
    return 1


def branch(n):
    for _ in range(n):
        leaf()
        sleep(0)
    return n


def test_profile_in_a_goroutine():
    def work():
        profile = cProfile.Profile()
        with profile:
            branch(5)
        return profile

    profile = go(work).join()
    assert (calls(profile, "branch"), calls(profile, "leaf")) == (1, 5)


def test_profile_in_main_beside_goroutines(settle):
    stop = []

    def other():
        while not stop:
            sleep(0)

    g = go(other)
    settle()
    profile = cProfile.Profile()
    with profile:
        branch(7)
    stop.append(1)
    g.join()
    assert (calls(profile, "branch"), calls(profile, "leaf")) == (1, 7)


def test_profile_begun_and_ended_in_different_goroutines():
    profile = cProfile.Profile()

    def begin():
        profile.enable()
        leaf()

    go(begin).join()
    profile.disable()
    go(leaf).join()
    pstats.Stats(profile)  # whatever it counted, it can be read


def test_profiled_program(program, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from gossamer import go, sleep\ndef f(n):\n    sleep(0)\n    return n\n"
        "print(sum(g.join() for g in [go(f, n) for n in range(50)]), f(1))\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "cProfile", str(script)], capture_output=True, text=True, timeout=LIMIT, check=True
    )
    assert done.stdout.startswith("1225 1\n") and "(f)" in done.stdout, done


# ---- faulthandler


def test_dump_traceback_shows_goroutines(program):
    r = program(
        """
        import faulthandler, sys
        from gossamer import *
        ch = Chan()
        def parked_here(): ch.recv()
        def main_here():
            gs = [go(parked_here) for _ in range(3)]
            while any(g.status != "waiting" for g in gs): runtime.gosched()
            faulthandler.dump_traceback(sys.stdout, all_threads=True)
            go(faulthandler.dump_traceback, sys.stdout, all_threads=True).join()
        main_here()
        """
    )
    assert r.code == 0 and r.out.count("in parked_here") == 6 and r.out.count("in main_here") == 2, r


FATAL = """
import ctypes, faulthandler, os, signal, sys
from gossamer import *
faulthandler.enable()
def waiting(): Chan().recv()
def fatal():
    {}
for _ in range(3): go(waiting)
go(fatal).join()
"""


@pytest.mark.parametrize(
    "how, sig",
    [
        ("ctypes.string_at(0)", signal.SIGSEGV),
        ("os.abort()", signal.SIGABRT),
        ("ctypes.pythonapi.Py_FatalError(b'mine')", signal.SIGABRT),
        ("os.kill(os.getpid(), signal.SIGBUS)", signal.SIGBUS),
    ],
)
def test_a_fatal_signal_in_a_goroutine(program, how, sig):
    r = program(FATAL.format(how))
    assert r.code == -sig, r
    assert "in fatal" in r.err and r.err.count("in waiting") == 3, r


def test_dump_traceback_later(program):
    r = program(
        """
        import faulthandler, sys
        from gossamer import *
        def waiting(): Chan().recv()
        go(waiting)
        faulthandler.dump_traceback_later(0.05, exit=True)
        go(sleep, 3600).join()
        """
    )
    assert r.code == 1 and "in waiting" in r.err, r


# ---- interactive


def test_input_lets_the_others_run(session):
    s = session("-c", ANSWER + "go(answer)\nprint('read', input('> '))\nprint('read', go(input, '# ').join())")
    for prompt in ("> ", "# "):
        s.expect(prompt)
        s.others_run()
        s.type("xy")
        s.expect("read xy")
    s.end()


@pytest.mark.parametrize("basic", ["", "1"])
@pytest.mark.parametrize("terminal", [True, False])
def test_the_interpreter(session, terminal, basic):
    if not terminal and not basic:
        pytest.skip("one and the same")
    s = session("-q", "-i", "-c", ANSWER, terminal=terminal, env={"PYTHON_BASIC_REPL": basic, "TERM": "xterm"})
    s.expect(">>>")
    s.type("g = go(answer); ch = Chan()")
    s.expect(">>>")
    s.others_run()
    s.type("print('status', g.status); h = go(lambda: ch.recv() + 'y' * 3)")
    s.expect("status ")
    s.others_run()
    s.type("ch.send('x' * 3)")
    s.type("print(h.join())")
    s.expect("xxxyyy")
    s.type("Chan().recv(timeout=0.01)")
    s.expect("TimeoutError")
    s.others_run()
    s.type("exit()")
    s.end()


def test_code_interact(session):
    s = session("-c", ANSWER + "import code\ngo(answer)\ngo(code.interact, local={'n': 6}, banner='', exitmsg='').join()")
    s.expect(">>>")
    s.others_run()
    s.type("print('n' * n)")
    s.expect("nnnnnn")
    s.others_run()
    s.expect(">>>")  # before it the terminal may take the character for its own
    os.write(s.input, b"\x04")  # the end of the file
    s.end()


def test_ctrl_c_at_the_prompt(session):
    s = session("-q", "-i", "-c", ANSWER, env={"PYTHON_BASIC_REPL": "1"})
    s.expect(">>>")
    s.type("g = go(answer)")
    s.expect(">>>")
    s.type("print('as' + 'leep'); sleep(3600)")
    s.expect("asleep")
    s.others_run()
    os.kill(s.process.pid, signal.SIGINT)
    s.expect("KeyboardInterrupt")
    s.expect(">>>")
    s.type("print('still ' + 'here')")
    s.expect("still here")
    s.others_run()
    s.type("exit()")
    s.end(-signal.SIGINT if sys.version_info >= (3, 14) else 0)  # without gossamer, too


# ---- Jupyter


@pytest.fixture
def kernel():
    pytest.importorskip("ipykernel")
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", startup_timeout=LIMIT)
    try:
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def cell(client, source):
    """Runs it; what it printed."""
    out = []

    def hook(message):
        content = message["content"]
        if message["msg_type"] == "stream":
            out.append(content["text"])
        if message["msg_type"] == "error":
            out.append("\n".join(content["traceback"]))

    reply = client.execute_interactive(textwrap.dedent(source), timeout=LIMIT, output_hook=hook)
    assert reply["content"]["status"] == "ok", "".join(out)
    return "".join(out)


def test_a_notebook(kernel, tmp_path):
    """The goroutine of the first cell goes on while the kernel is idle, and is joined in the second."""
    mark = tmp_path / "mark"
    cell(
        kernel,
        f"""
        import os, time
        from gossamer import *
        def work():
            sleep(0.01)
            os.mkfifo({str(mark)!r})
            with open({str(mark)!r}) as f:       # blocks until the test has written
                return f.read()
        g = go(work)
        """,
    )
    end = time.monotonic() + LIMIT
    while not mark.exists() and time.monotonic() < end:
        time.sleep(0.01)
    mark.write_text("from outside")
    assert cell(kernel, "print(g.join())") == "from outside\n"


def test_a_notebook_with_asyncio_and_a_deadlock(kernel):
    source = """
    import asyncio
    from gossamer import *
    async def f(n):
        await asyncio.sleep(0.001)
        return n
    print(go(asyncio.run, f(1)).join(), await go(lambda: 2), await f(3))
    """
    assert cell(kernel, source) == "1 2 3\n"
    source = """
    ch = Chan()
    try: ch.recv(timeout=0.01)
    except TimeoutError: print("nothing came")
    go(ch.send, 5)
    print(ch.recv())
    """
    assert cell(kernel, source) == "nothing came\n5\n"


# ---- where it cannot work


def test_a_free_threaded_build_is_refused(program):
    r = program("import sys\nsys.abiflags = 't'\ntry: import gossamer\nexcept ImportError as e: print(e)")
    assert r.code == 0 and "free-threaded build of Python" in r.out, r
