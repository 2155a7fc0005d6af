#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and the program's end, in every state: python life.py [--interrupts N] [--exits N] [-j N]

Each run is a program of its own, put together from what main waits for, what goroutines and threads do beside it,
and how it ends: by SIGINT at a random time, or by one of the many ways a program ends. It must end within 15
seconds (--patience), with the exit status, the output and the traceback that are its due, and say nothing else.

What a run consists of follows from --seed and its number: a failure prints the program and the command that runs
it again. The last line tells the counts: "N passed, N failed".
"""

import argparse
import collections
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PROLOGUE = """\
import asyncio, atexit, concurrent.futures, contextlib, fcntl, gc, hashlib, importlib, os, queue, select as selects
import selectors, signal, socket, sqlite3, subprocess, sys, tempfile, threading, time, warnings, weakref, zlib
warnings.simplefilter("ignore")
sys.path.insert(0, os.environ["LIFE_MODULES"])
import gossamer
from gossamer import *
from gossamer import aio, rate, singleflight
never = Chan()
r, w = os.pipe()
a, b = socket.socketpair()
server = socket.create_server(("127.0.0.1", 0))
held, held_r = threading.Lock(), threading.RLock()
held.acquire()
holds = Chan()
go(lambda: (held_r.acquire(), holds.send(1), holds.recv()))
holds.recv()
mu, rw, wg, sem = Mutex(), sync.RWMutex(), WaitGroup(), semaphore.Weighted(1)
mu.lock(); rw.lock(); wg.add(1); sem.acquire()
def say(*words): os.write(1, (" ".join(map(str, words)) + "\\n").encode())
def spin():
    while True: pass
def crunch():
    while True: hashlib.sha256(b"x" * 100000)
def sort():
    while True: sorted(range(20000), key=str)
def yields():
    while True: runtime.gosched()
def database():
    while True: sqlite3.connect(":memory:").execute("select 1").fetchone()
def chat(x, y):
    while True: y.send(x.recv())
def spawn():
    while True: [g.join() for g in [go(len, "") for _ in range(20)]]
def child():
    p = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    p.stdout.read()
def children():
    while True: subprocess.run(["true"])
def reads(sock):
    while True: sock.recv(1)
def timers():
    while True:
        Timer(0.01); t = after(0.0005); t.recv()
def raises():
    while True:
        try: raise KeyError("one of many")
        except KeyError: time.sleep(0)
def handles():
    try: never.recv()
    finally: say("a goroutine that main left behind went on")
def imports():
    for name in ("csv", "calendar", "plistlib", "email.mime.text", "xml.dom.minidom", "http.client", "json.tool"):
        importlib.import_module(name)
class Del:
    def __init__(self, fn): self.fn = fn
    def __del__(self): self.fn()
def drop(fn):
    d = Del(fn); del d
def cycle(fn):
    d = Del(fn); d.me = d
def generator():
    try:
        while True: yield never.recv()
    finally: pass
async def asleep(): await asyncio.sleep(1000)
async def asleep_ready():
    say("ready")
    await asyncio.sleep(1000)
def in_context():
    with context.with_timeout(1000): never.recv()
def grouped():
    group = errgroup.Group()
    group.go(sleep, 1000)
    group.wait()
def once_held():
    once, ch = sync.Once(), Chan()
    go(once.do, lambda: (ch.send(1), sleep(1000)))
    ch.recv()
    return once
def flown():
    group, ch = singleflight.Group(), Chan()
    go(group.do, "key", lambda: (ch.send(1), sleep(1000)))
    ch.recv()
    return group
def waits_cond():
    m = Mutex(); c = sync.Cond(m)
    with m: c.wait()
def thread_cond():
    c = threading.Condition()
    with c: c.wait()
def fails(): return 1 // 0
def thread(fn, *args): threading.Thread(target=fn, args=args, daemon=True).start()
"""

# What main waits for, inside a try.
WAITS = {
    "recv": "never.recv()",
    "send": "Chan().send(1)",
    "recv with timeout": "never.recv(timeout=1000)",
    "nil": "nil_chan.recv()",
    "iteration": "list(never)",
    "select": "select(recv(never), send(Chan(), 1))",
    "select fd": "select(recv(never), readable(r))",
    "select timeout": "select(recv(never), timeout=1000)",
    "sleep": "sleep(1000)",
    "join": "go(sleep, 1000).join()",
    "join a spinner": "go(spin).join()",
    "mutex": "mu.lock()",
    "rwmutex": "rw.rlock()",
    "waitgroup": "wg.wait()",
    "cond": "waits_cond()",
    "semaphore": "sem.acquire()",
    "once": "once_held().do(len)",
    "singleflight": "flown().do('key', len)",
    "limiter": "lim = rate.Limiter(0.0001, 1); lim.wait(); lim.wait()",
    "errgroup": "grouped()",
    "context": "in_context()",
    "done": "context.with_cancel().done.recv()",
    "ticker": "[None for _ in Ticker(0.001)]",
    "gosched": "yields()",
    "chat": "x, y = Chan(), Chan(); go(chat, x, y); x.send(1); chat(y, x)",
    "spawn": "spawn()",
    "generator": "next(generator())",
    "shutdown": "go(spin); runtime.shutdown()",
    "goexit": "go(sleep, 1000); runtime.goexit()",
    "locked": "runtime.lock_os_thread(); never.recv()",
    "aio": "aio.run(asleep_ready())",
    "asyncio": "asyncio.run(asleep_ready())",
    "time.sleep": "time.sleep(1000)",
    "lock": "held.acquire()",
    "lock with timeout": "held.acquire(timeout=1000)",
    "rlock": "held_r.acquire()",
    "event": "threading.Event().wait()",
    "condition": "thread_cond()",
    "queue": "queue.Queue().get()",
    "simple queue": "queue.SimpleQueue().get()",
    "future": "concurrent.futures.Future().result()",
    "thread": "t = threading.Thread(target=held.acquire, daemon=True); t.start(); t.join()",
    "socket": "a.recv(1)",
    "accept": "server.accept()",
    "accept with timeout": "server.settimeout(1000); server.accept()",
    "select.select": "selects.select([a], [], [])",
    "selectors": "s = selectors.DefaultSelector(); s.register(a, 1); s.select()",
    "poll": "selects.poll().poll()",
    "read": "os.read(r, 1)",
    "waitpid": "p = subprocess.Popen(['cat'], stdin=subprocess.PIPE); os.waitpid(p.pid, 0)",
    "subprocess": "p = subprocess.Popen(['cat'], stdin=subprocess.PIPE); p.wait()",
    "subprocess.run": "subprocess.run(['cat'], stdin=r, stdout=subprocess.PIPE)",
    "input": "input()",
    "pause": "signal.pause() or time.sleep(1000)",
    "import": "import life_sleeps",
    "spin": "spin()",
    "hash": "crunch()",
    "sort": "sort()",
    "sqlite": "database()",
    "in a callback": "sorted([1, 2], key=lambda _: never.recv())",
    "in an iterator": "sum(map(lambda _: time.sleep(1000), 'ab'))",
}

# What goroutines and threads do meanwhile. Those of QUIET leave a deadlock a deadlock.
QUIET = {
    "parked": "go(never.recv)",
    "parked in select": "go(select, recv(never), send(Chan(), 1))",
    "nil": "go(nil_chan.recv)",
    "many parked": "for _ in range(1000): go(never.recv)",
    "with a handler": "go(handles)",
    "held handle": "g = go(fails); g.done.recv_ok(); g.exception()",
    "never begun": "go(len, 'x')",
    "generator": "it = generator(); go(next, it)",
    "finalizer": "drop(lambda: None); cycle(lambda: None)",
    "finalizer waits": "cycle(lambda: never.try_recv(None))",
    "waits on mutex": "go(mu.lock)",
    "at exit": "atexit.register(lambda: go(len, '').join())",
    "weak": "weak = weakref.ref(go(never.recv), lambda _: None)",
    "global references": "keep = [never, mu, wg, go(never.recv), recv(never), gossamer]; keep.append(keep)",
}
OTHERS = QUIET | {
    "sleeping": "go(sleep, 1000)",
    "time.sleep": "for _ in range(3): go(time.sleep, 1000)",
    "spinning": "go(spin)",
    "two spinning": "go(spin); go(spin)",
    "hashing": "go(crunch)",
    "sorting": "go(sort)",
    "reading": "go(os.read, r, 1)",
    "lock": "go(held.acquire)",
    "rlock": "go(held_r.acquire)",
    "accepting": "go(server.accept)",
    "sqlite": "go(database)",
    "child": "go(child)",
    "children": "go(children)",
    "chatting": "x1, y1 = Chan(), Chan(); go(chat, x1, y1); go(chat, y1, x1); go(x1.send, 1)",
    "spawning": "go(spawn)",
    "timers": "go(timers)",
    "ticker": "go(list, Ticker(0.001))",
    "after_func": "keep_timers = [after_func(0.002 * i, len, '') for i in range(50)] + [after(1000)]",
    "exceptions": "go(raises)",
    "importing": "go(imports)",
    "importing for ever": "go(__import__, 'life_sleeps')",
    "asyncio": "go(asyncio.run, asleep())",
    "in a context": "go(in_context)",
    "group": "go(grouped)",
    "locked to a thread": "go(lambda: (runtime.lock_os_thread(), never.recv()))",
    "locked, sleeping": "go(lambda: (runtime.lock_os_thread(), time.sleep(1000)))",
    "finalizer blocks": "go(drop, lambda: time.sleep(1000))",
    "finalizer parks": "go(drop, lambda: never.recv())",
    "at exit waits": "atexit.register(lambda: (sleep(0.01), go(time.sleep, 0.01).join()))",
    "thread spins": "thread(spin)",
    "thread waits": "thread(never.recv)",
    "thread sleeps": "thread(time.sleep, 1000)",
    "thread uses channels": "x2, y2 = Chan(), Chan(); go(chat, x2, y2); thread(chat, y2, x2); go(x2.send, 1)",
    "thread that ends": "threading.Thread(target=sleep, args=(0.05,)).start()",
    "threads that end": "[threading.Thread(target=lambda: go(sleep, 0.01).join()).start() for _ in range(5)]",
    "executor": "ex = concurrent.futures.ThreadPoolExecutor(2); go(ex.submit(len, '').result)",
}

# How the program takes Ctrl-C: the code around the wait, exit status, what it prints after "ready". CAUGHT lets
# the program go on: the others and the runtime must be as before.
INTERRUPTS = {
    "uncaught": ("{wait}", -signal.SIGINT, ""),
    "caught": (
        """
try:
    {wait}
except KeyboardInterrupt:
    say("interrupted", threading.current_thread() is threading.main_thread())
say(go(lambda: 5).join())
""",
        0,
        "interrupted True\n5\n",
    ),
    "finally": (
        """
try:
    {wait}
finally:
    sleep(0.001)
    say(go(lambda: 5).join())
""",
        -signal.SIGINT,
        "5\n",
    ),
    "handler raises": (
        """
def handler(*_): raise Stop
class Stop(BaseException): pass
signal.signal(signal.SIGINT, handler)
try:
    {wait}
except Stop:
    say("stopped")
""",
        0,
        "stopped\n",
    ),
    "handler waits and exits": (
        """
def handler(*_):
    say(go(lambda: 6).join())
    sys.exit(9)
signal.signal(signal.SIGINT, handler)
{wait}
""",
        9,
        "6\n",
    ),
}

# How a program ends: code, exit status, what it prints after "ready", what standard error tells (None: nothing).
EXITS = {
    "end": ("say('end')", 0, "end\n", None),
    "exit": ("say('end'); sys.exit(3)", 3, "end\n", None),
    "exit with words": ("sys.exit('last words')", 1, "", "last words"),
    "raise": ("raise KeyError('x')", 1, "", "KeyError: 'x'"),
    "join raises": ("go(fails).join()", 1, "", "in fails"),
    "join exits": ("go(sys.exit, 5).join()", 5, "", None),
    "os._exit": ("os._exit(4)", 4, "", None),
    "goroutine os._exit": ("go(os._exit, 7).join()", 7, "", None),
    "uncollected": ("go(fails); sleep(0.001); say('end')", 0, "end\n", "ZeroDivisionError"),
    "uncollected, handle held": ("g1 = go(fails); sleep(0.001); say('end')", 0, "end\n", "ZeroDivisionError"),
    "terminated": ("os.kill(os.getpid(), signal.SIGTERM); sleep(1000)", -signal.SIGTERM, "", None),
    "exec": ("os.execv(sys.executable, [sys.executable, '-c', 'exit(6)'])", 6, "", None),
    "fork": (
        "pid = os.fork()\n    if pid == 0: sys.exit(8)\n    say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))",
        0,
        "8\n",
        None,
    ),
    "goroutine forks": (
        "def forks():\n        pid = os.fork()\n        return pid or os._exit(8)\n"
        "    say(os.waitstatus_to_exitcode(os.waitpid(go(forks).join(), 0)[1]))",
        0,
        "8\n",
        None,
    ),
    "recursion": ("def f(): f()\n    f()", 1, "", "RecursionError"),
    "finally waits": ("try: sys.exit(2)\n    finally: sleep(0.01); say(go(len, 'abc').join())", 2, "3\n", None),
    "close all": ("never.close(); say('end')", 0, "end\n", None),
    "in a context": ("with context.with_cancel(): say('end'); sys.exit(2)", 2, "end\n", None),
    "group": (
        "with errgroup.Group() as group: group.go(len, 'x'); group.go(fails)",
        1,
        "",
        "ZeroDivisionError",
    ),
    "after sleeping": ("time.sleep(0.02); say('end')", 0, "end\n", None),
    "after computing": ("for _ in range(300000): pass\n    say('end')", 0, "end\n", None),
    "thread exits": ("t = threading.Thread(target=sys.exit, args=(3,)); t.start(); t.join(); say('end')", 0, "end\n", None),
}
DEADLOCKS = {
    "recv": "never.recv()",
    "send": "Chan().send(1)",
    "select": "select(recv(never), send(Chan(), 1))",
    "join": "go(never.recv).join()",
    "mutex": "mu.lock()",
    "waitgroup": "wg.wait()",
    "goexit": "runtime.goexit()",
}
# Where these would have something to say, and may: ended goroutines tell it, and handlers run in a fork's child.
NOT_BESIDE = {
    "end by close all": set(OTHERS),
    "shutdown": {"with a handler", "finalizer parks", "finalizer blocks"},
    # (libsqlite takes a lock in the child that may have been held at the fork, with threads just as well)
    "end by fork": {"at exit", "at exit waits", "finalizer waits", "sqlite"},
    "end by goroutine forks": {"finalizer waits"},
}
BAD = ["Fatal Python error", "Segmentation fault", "gossamer: ", "SystemError", "Assertion", "core dumped"]


class Run:
    """A program, and what is to come of it."""

    def __init__(self, kind, seed, number):
        self.rng = random.Random(f"{seed} {kind} {number}")
        self.kind, self.number = kind, number
        self.early = self.killed_at = None
        self.codes, self.out, self.err = {0}, "ready\n", None
        others = OTHERS
        if kind == "exit":
            others = self.ends()
        else:
            self.interrupted()
        left_out = {n for title, out in NOT_BESIDE.items() if title in self.title for n in out}
        names = self.rng.sample(sorted(others), self.rng.choice([0, 1, 1, 2, 3, 5]))
        names = [n for n in names if n not in left_out]
        self.title += " beside " + (", ".join(names) or "nobody")
        beside = "\n".join(others[n] for n in names)
        self.text = f"{PROLOGUE}{beside}\n{self.body}"

    def interrupted(self):
        wait, how = self.rng.choice(sorted(WAITS)), self.rng.choice(sorted(INTERRUPTS))
        code, status, out = INTERRUPTS[how]
        self.title = f"Ctrl-C, {how}, in {wait}"
        lines = code.format(wait=WAITS[wait]).strip("\n")
        body = "\n".join("    " + line for line in lines.split("\n"))
        if "ready" not in body:  # it is said inside the try that is to catch it
            at = body.index(WAITS[wait])
            body = body[:at] + "say('ready'); " + body[at:]
        self.body = f"keep_awake = after(1000)\ndef main_part():\n{body}\nmain_part()\n"  # no deadlock
        self.killed_at = self.rng.choice([0, 0.001, self.rng.random() * 0.05, self.rng.random() * 0.5])
        self.early = self.rng.random() < 0.1
        self.codes, self.out = {status}, "ready\n" + out
        if status < 0:
            self.err = "KeyboardInterrupt"

    def ends(self):
        if self.rng.random() < 0.15:
            wait = self.rng.choice(sorted(DEADLOCKS))
            self.end = "deadlock"
            self.title = f"deadlock in {wait}"
            self.body = f"def main_part():\n    say('ready'); {DEADLOCKS[wait]}\nmain_part()\n"
            gone = "no goroutines (main called runtime.Goexit)"
            self.codes, self.err = {1}, gone if wait == "goexit" else "all goroutines are asleep"
            return QUIET
        self.end = self.rng.choice(sorted(EXITS))
        code, status, out, self.err = EXITS[self.end]
        self.title = f"end by {self.end}"
        self.body = f"def main_part():\n    say('ready')\n    {code}\nmain_part()\n"
        self.codes, self.out = {status}, "ready\n" + out
        return OTHERS

    def forgotten(self, code, err):
        """Python notes that main has ended by KeyboardInterrupt, and forgets it when another thread then runs the text of
        a program, as importing a module with a namedtuple does. With plain threads that is so, too."""
        return code == 1 and -signal.SIGINT in self.codes and "importing" in self.title and "\nKeyboardInterrupt\n" in err

    def wrong(self, code, out, err):
        """What is wrong with how it ended, or None."""
        if self.early and "Fatal Python error: init_" in err:
            return None  # Python itself was not up
        for word in BAD:
            if word in err:
                return f"standard error has {word!r}"
        if self.early:  # Ctrl-C came at any time, also before Python or the program was ready for it
            return None if code in {-signal.SIGINT, 0, 1, *self.codes} else f"exit status {code}"
        if code not in self.codes and not self.forgotten(code, err):
            return f"exit status {code}, not {self.codes}"
        if out != self.out:
            return f"output {out!r}, not {self.out!r}"
        if self.err is None and err:
            return "it said something"
        if self.err and (self.err not in err or (code == 1 and "last words" not in err and "in main_part" not in err)):
            return "the traceback is lost"
        if self.err == "KeyboardInterrupt" and not ("\nKeyboardInterrupt\n" in err and "in main_part" in err):
            return "the traceback is lost"
        if self.err == "ZeroDivisionError" and err.count("\nZeroDivisionError: ") != 1:
            return "not reported once"
        return None


def backtraces(pid):
    """Where its threads stand, and its children's, for one that hangs."""
    if not shutil.which("gdb"):
        return ""
    with contextlib.suppress(subprocess.SubprocessError, OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return "".join(map(backtraces, children)) + subprocess.run(
            ["gdb", "-p", str(pid), "-batch", "-ex", "set pagination off", "-ex", "thread apply all bt 25"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        ).stdout
    return ""


def ended(p, seconds):
    """Its exit status, or None."""
    try:
        return p.wait(max(0, seconds))
    except subprocess.TimeoutExpired:
        return None


def perform(run, modules, patience):
    """(what went wrong or None, the details, seconds)"""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as err:
        p = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-c", run.text],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=err,
            start_new_session=True,
            env={**os.environ, "LIFE_MODULES": modules},
        )
        out, hung = [], ""
        reader = threading.Thread(target=lambda: out.extend(iter(lambda: os.read(p.stdout.fileno(), 4096), b"")))
        reader.start()
        end = began + patience
        if run.killed_at is not None:
            if run.early:
                time.sleep(run.killed_at)
            while not run.early and b"ready\n" not in b"".join(out) and p.poll() is None and time.monotonic() < end:
                time.sleep(0.001)
            if not run.early:
                time.sleep(run.killed_at)
            end = time.monotonic() + patience
            with contextlib.suppress(ProcessLookupError):
                p.send_signal(signal.SIGINT)
        code = ended(p, end - time.monotonic())
        if code is None and run.early and b"Exception ignored in" in os.pread(err.fileno(), 1 << 20, 0):
            # it came in a finalizer, where Python swallows it
            p.send_signal(signal.SIGINT)
            code = ended(p, patience)
        if code is None:
            hung = backtraces(p.pid)
            p.send_signal(signal.SIGABRT)  # faulthandler tells where Python is
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(5)
            code = "no end"
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(p.pid, signal.SIGKILL)
        p.wait()
        p.stdin.close()
        reader.join()
        p.stdout.close()
        err.seek(0)
        text = err.read()
    wrong = f"no end after {patience} s" if code == "no end" else run.wrong(code, b"".join(out).decode(), text)
    details = f"exit status {code}\n--- output\n{b''.join(out).decode()}\n--- standard error\n{text}\n{hung}"
    return wrong, details, time.monotonic() - began


def report(run, wrong, details, args, keep):
    path = keep / f"{run.kind}-{args.seed}-{run.number}.py"
    path.write_text(run.text)
    print(f"FAILED {run.kind} {run.number}: {run.title}: {wrong}")
    print(f"  again: {sys.executable} {__file__} --seed {args.seed} --only {run.kind}:{run.number}   program: {path}")
    print("".join(f"  | {line}\n" for line in details.splitlines()), end="", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--interrupts", type=int, default=0)
    p.add_argument("--exits", type=int, default=0)
    p.add_argument("--seed", default="1")
    p.add_argument("--only", metavar="KIND:NUMBER", help="one run; its program is printed")
    p.add_argument("--patience", type=float, default=15)
    p.add_argument("-j", type=int, default=2)
    args = p.parse_args()
    runs = [Run("interrupt", args.seed, i) for i in range(args.interrupts)]
    runs += [Run("exit", args.seed, i) for i in range(args.exits)]
    if args.only:
        kind, number = args.only.split(":")
        runs = [Run(kind, args.seed, int(number))]
        print(runs[0].title, runs[0].text.removeprefix(PROLOGUE), sep="\n")
    counts, longest = collections.Counter(), (0.0, "")
    keep = Path(tempfile.gettempdir()) / "gossamer-life"
    keep.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as modules, ThreadPoolExecutor(args.j) as pool:
        Path(modules, "life_sleeps.py").write_text("import time\ntime.sleep(1000)\n")
        for run, (wrong, details, seconds) in zip(
            runs, pool.map(lambda r: perform(r, modules, args.patience), runs), strict=True
        ):
            counts["failed" if wrong else "passed"] += 1
            longest = max(longest, (seconds, run.title))
            if wrong:
                report(run, wrong, details, args, keep)
    print(f"Python {sys.version.split()[0]}; the longest took {longest[0]:.1f} s: {longest[1]}")
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    sys.exit(1 if counts["failed"] else 0)


if __name__ == "__main__":
    main()
