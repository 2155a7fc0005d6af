"""python -m gossamer lint: each rule finds what it is for, and leaves alone what only looks like it."""
# SPDX-License-Identifier: Apache-2.0

import subprocess
import sys
from pathlib import Path

import gossamer
import pytest
from gossamer._lint import RULES, check

TOP = Path(__file__).parents[2]
IMPORTS = "import time\nimport gossamer\nfrom gossamer import go, sync, context, errgroup, Chan, recv, select, sleep\n"

BAD = {
    "GOS001": [
        "def f(): print(1)\ngo(f())",
        "def f(x): return [x]\nsync.WaitGroup().go(f(1))",
        "ch = Chan()\ngossamer.go(ch.send(1))",
        "go.using(name='x')(print('x'))",
        "def f():\n    go(time.sleep(1))",
    ],
    "GOS002": [
        "async def f(): pass\ngo(f)",
        "@go\nasync def f(): pass",
    ],
    "GOS003": [
        "for i in range(3):\n    go(lambda: print(i))",
        "for i, x in enumerate('ab'):\n    @go\n    def _(): print(x)",
        "for i in range(3):\n    def work():\n        print(i)\n    go(work)",
        "gs = [go(lambda: print(i)) for i in range(3)]",
        "def f(wg):\n    for i in range(3):\n        if i:\n            wg.go(lambda: print(i))\n    wg.wait()",
    ],
    "GOS004": [
        "go(print, 1)\ntime.sleep(1)",
        "def main():\n    for i in range(3):\n        go(print, i)\n    sleep(0.1)\n    print('done')",
        "if __name__ == '__main__':\n    @go\n    def f(): pass\n    time.sleep(1)",
    ],
    "GOS005": [
        "class A:\n    def __init__(self, ctx): self.ctx = ctx",
        "class A:\n    def f(self, c: context.Context):\n        self.c = c",
    ],
    "GOS006": [
        "def f(url, ctx): pass",
        "class A:\n    def f(self, url, c: context.Context, x=1): pass",
    ],
    "GOS007": [
        "def f(ctx):\n    return context.with_timeout(1, context.background())",
        "def f(c: context.Context):\n    @go\n    def g():\n        context.todo()",
    ],
    "GOS008": [
        "def f():\n    ctx = context.with_timeout(1)\n    go(print, ctx)",
        "def f():\n    c = context.with_cancel()\n    select(recv(c.done))\n    Chan().recv(ctx=c)",
    ],
    "GOS009": [
        "mu = sync.Mutex()\ndef f():\n    mu.lock()\n    print(1)\n    mu.unlock()",
        "class A:\n    def __init__(self): self.mu = gossamer.Mutex()\n"
        "    def f(self):\n        self.mu.lock()\n        self.mu.unlock()",
        "def f(rw: sync.RWMutex):\n    rw.rlock()\n    print(1)\n    rw.runlock()",
    ],
    "GOS010": [
        "wg = sync.WaitGroup()\ndef f():\n    wg.add()\n    try: print(1)\n    finally: wg.done()\ngo(f)\nwg.wait()",
    ],
    "GOS011": [
        "wg = sync.WaitGroup()\ndef f():\n    print(1)\n    wg.done()\nwg.add()\ngo(f)\nwg.wait()",
    ],
}

GOOD = {
    "GOS001": [
        "def f():\n    return lambda: 1\ngo(f())",
        "from functools import partial\ngo(partial(print, 1))",
        "from elsewhere import f\ngo(f())",
        "def f(): return g\ngo(f(), 1)",
        "@decorated\ndef f(): pass\ngo(f())",
        "go(print, f())",
        "class A:\n    def go(self, x): pass\ndef f(): return max\ngo(f(), 1)",
    ],
    "GOS002": ["async def f(): pass\ndef g(): pass\ngo(g)", "from gossamer import aio\nasync def f(): pass\ngo(aio.run, f())"],
    "GOS003": [
        "for i in range(3):\n    go(lambda i=i: print(i))",
        "for i in range(3):\n    go(print, i)",
        "for i in range(3):\n    go(lambda: print(i)).join()",
        "for i in range(3):\n    with errgroup.Group() as g:\n        g.go(lambda: print(i))",
        "def work():\n    for i in range(3): print(i)\nfor i in range(3):\n    go(work)",
        "for i in range(3):\n    def work(n): print(n)\n    go(work, i)",
        "while True:\n    x = 1\n    go(print, lambda: x)",
    ],
    "GOS004": [
        "g = go(print, 1)\ntime.sleep(1)\ng.join()",
        "ctx = context.with_cancel()\ngo(print, ctx)\ntime.sleep(1)\nctx.cancel()",
        "time.sleep(1)\ngo(print, 1).join()",
        "go(print, 1)\nwhile True:\n    time.sleep(1)",
        "def work():\n    go(print, 1)\n    time.sleep(1)",
    ],
    "GOS005": [
        "class A:\n    def __init__(self): self.ctx = context.with_cancel()",
        "class A:\n    def f(self, ctx):\n        mine = ctx\n        self.x = 1",
    ],
    "GOS006": [
        "def f(ctx, url): pass",
        "class A:\n    def f(self, ctx, url): pass",
        "def f(url, ctx=None): pass\ndef g(url, *, ctx): pass",
    ],
    "GOS007": ["def f():\n    return context.background()", "def f(ctx):\n    return context.without_cancel(ctx)"],
    "GOS008": [
        "def f():\n    with context.with_timeout(1) as ctx:\n        go(print, ctx)",
        "def f():\n    ctx = context.with_cancel()\n    with ctx: pass",
        "def f():\n    ctx = context.with_cancel()\n    ctx.cancel()",
        "def f():\n    ctx = context.with_cancel()\n    return ctx",
        "def f(self):\n    ctx = context.with_cancel()\n    self.ends = ctx.cancel\n    keep(ctx)",
        "ctx = context.with_cancel()",
    ],
    "GOS009": [
        "mu = sync.Mutex()\ndef f():\n    mu.lock()\n    try: print(1)\n    finally: mu.unlock()",
        "mu = sync.Mutex()\ndef f():\n    with mu: print(1)",
        "mu = sync.Mutex()\ndef f():\n    mu.lock()\ndef g():\n    mu.unlock()",
        "import threading\nmu = threading.Lock()\nmu.lock()\nmu.unlock()",
    ],
    "GOS010": [
        "wg = sync.WaitGroup()\ndef g():\n    try: print(1)\n    finally: wg.done()\ndef f():\n    wg.add()\n    go(g)\ngo(f)",
        "wg = sync.WaitGroup()\ndef f():\n    wg.add()\nf()",
    ],
    "GOS011": [
        "wg = sync.WaitGroup()\ndef f():\n    try: print(1)\n    finally: wg.done()\ngo(f)",
        "wg = sync.WaitGroup()\ndef f():\n    print(1)\nwg.go(f)",
        "q = queue.Queue()\ndef f():\n    print(1)\n    q.done()\ngo(f)",
    ],
}


def codes(text):
    return [f.code for f in check(IMPORTS + text)]


@pytest.mark.parametrize(("code", "text"), [(c, t) for c, texts in BAD.items() for t in texts])
def test_finds(code, text):
    assert code in codes(text)
    assert "GOS" not in "".join(f.code for f in check(text.replace("gossamer", "other")))  # no gossamer here


@pytest.mark.parametrize(("code", "text"), [(c, t) for c, texts in GOOD.items() for t in texts])
def test_leaves_alone(code, text):
    assert code not in codes(text)


def test_every_rule_has_both():
    assert set(BAD) == set(GOOD) == set(RULES)


@pytest.mark.parametrize(
    "text",
    [
        "from gossamer import *\ngo(print('x'))",
        "import gossamer as gos\ngos.go(print('x'))",
        "from gossamer import go as start\nstart(print('x'))",
        "import gossamer.sync\ngossamer.go(print('x'))",
    ],
)
def test_names(text):
    assert [f.code for f in check(text)] == ["GOS001"]


def test_noqa():
    line = "go(print('x'))"
    assert codes(line) == codes(line + "  # noqa: GOS002") == ["GOS001"]
    for comment in ("# noqa", "#NOQA: E501, gos001", "# noqa: GOS001 because"):
        assert codes(f"{line}  {comment}") == []


def lint(*args, cwd=None):
    command = [sys.executable, "-m", "gossamer", "lint", *map(str, args)]
    return subprocess.run(command, capture_output=True, check=False, text=True, cwd=cwd)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a.py").write_text(IMPORTS + "go(print('x'))\ngo(print, 1)\ntime.sleep(1)\n")
    for hidden in (".git", "__pycache__", "venv"):
        (tmp_path / hidden).mkdir()
        (tmp_path / hidden / "b.py").write_text(IMPORTS + "go(print('x'))\n")
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "c.txt").write_text("go(")
    return tmp_path


def test_command(files):
    r = lint(".", cwd=files)
    first, second = r.stdout.splitlines()
    assert r.returncode == 1 and r.stderr == ""
    assert first == "./a.py:4:4: GOS001 print() is called here, not in the goroutine: go(print, 'x')"
    assert second.startswith("./a.py:6:1: GOS004 a sleep does not wait for goroutines")
    assert lint("--select", "GOS004", "a.py", cwd=files).stdout.count("\n") == 1
    assert lint("--ignore", "gos001,GOS004", "a.py", cwd=files).returncode == 0
    assert lint("--select", "GOS9", "a.py", cwd=files).returncode == 2
    assert lint(cwd=files).returncode == 2
    (files / "a.py").write_text("go(print('x'))")
    assert lint("a.py", cwd=files).returncode == 0


def test_what_cannot_be_read(files):
    (files / "bad.py").write_text("import gossamer\nx = (\n")
    (files / "latin.py").write_bytes(b"x = '\xe9'\n")
    (files / "nul.py").write_bytes(b"x = 1\0\n")
    r = lint("bad.py", "latin.py", "nul.py", "nowhere.py", "a.py", cwd=files)
    lines = r.stderr.splitlines()
    assert r.returncode == 1 and r.stdout.count("a.py:") == 2
    assert [line.split(": ")[:2] for line in lines] == [
        ["python -m gossamer", name] for name in ("bad.py", "latin.py", "nul.py", "nowhere.py")
    ]
    assert "line 2: '(' was never closed" in lines[0] and "No such file" in lines[3]


@pytest.mark.parametrize("folder", [TOP / "examples", TOP / "python", Path(gossamer.__file__).parent])
def test_our_own(folder):
    r = lint(folder)
    assert (r.returncode, r.stdout, r.stderr) == (0, "", "")
