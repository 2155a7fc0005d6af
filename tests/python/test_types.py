"""The stubs: mypy --strict accepts right programs and refuses wrong ones; they match the module."""
# SPDX-License-Identifier: Apache-2.0

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

RIGHT = """
from gossamer import *
from gossamer import runtime, sync
from typing import assert_type

ch: Chan[int] = Chan(3)
ch2 = Chan[str]()
ch.send(1, timeout=2)
assert_type(ch.recv(), int)
assert_type(ch.recv_ok(), tuple[int | None, bool])
assert_type(ch.try_recv(None), int | None)

def add(a: int, b: int = 2) -> str:
    return ""

g = go(add, 1, b=3)
assert_type(g.join(), str)

@go
def later() -> int:
    return 3

assert_type(later, Goroutine[int])
r = recv(ch)
c = select(r, send(ch2, "x"), default, None, timeout=1)
if c is r:
    assert_type(r.value, int)
for v in ch:
    assert_type(v, int)
tx: SendChan[int] = ch.sender()
rx: RecvChan[object] = ch.receiver()
with tx:
    pass
assert_type(sync.WaitGroup().go(add, 1), Goroutine[str])
with Ticker(1) as t:
    assert_type(next(t), float)
assert_type(after_func(1.0, add, 3).stop(), bool)
assert_type(runtime.stats().goroutines, int)
go.using(name="a", labels={"k": "v"})(add, 1)
"""
WRONG = [
    "Chan[int]().send('x')",
    "Chan[int]().sender().recv()",
    "Chan[int]().receiver().send(1)",
    "go(len)",
    "go(len, 'x', 'y')",
    "Chan('3')",
    "recv(3)",
    "send(Chan[int]().receiver(), 1)",
    "sleep('1')",
    "x: Chan[str] = Chan[int]()",
    "SendChan[int]().close(1)",
    "go.using(what=1)",
]

BACKEND = str(Path(__file__).with_name("stubtest_backend.txt"))


def mypy(path):
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(path)],
        capture_output=True,
        check=False,
        text=True,
    )


def test_right_program(tmp_path):
    (tmp_path / "right.py").write_text(RIGHT)
    r = mypy(tmp_path / "right.py")
    assert r.returncode == 0, r.stdout


def test_wrong_programs(tmp_path):
    (tmp_path / "wrong.py").write_text("from gossamer import *\n" + "\n".join(WRONG) + "\n")
    r = mypy(tmp_path / "wrong.py")
    lines = {int(x.split(":")[1]) for x in r.stdout.splitlines() if ": error:" in x}
    assert lines == set(range(2, 2 + len(WRONG))), r.stdout


def test_stubs_match_the_module():
    r = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "gossamer", "--ignore-unused-allowlist", "--allowlist", BACKEND],
        capture_output=True,
        check=False,
        text=True,
    )
    assert r.returncode == 0, r.stdout
