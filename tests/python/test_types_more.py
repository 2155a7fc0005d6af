"""The stubs of atomic, sync, rate, singleflight, signal, leakcheck, aio, runtime and patterns."""
# SPDX-License-Identifier: Apache-2.0

import subprocess
import sys

import pytest

pytest.importorskip("mypy")

RIGHT = """
import asyncio
import signal as _signal
from collections.abc import MutableMapping
from traceback import StackSummary
from typing import assert_type

from gossamer import Case, Chan, Goroutine, RecvChan, aio, awaiting, go, leakcheck, patterns, rate, readable, runtime
from gossamer import select, signal, singleflight, writable
from gossamer.atomic import Bool, Int, Ref
from gossamer.context import Context
from gossamer.sync import Map, Pool, once_func, once_value, once_values

assert_type(Int(3).add(1), int)
assert_type(Bool().swap(True), bool)
assert_type(Ref("x").load(), str)
p = Pool(bytearray)
assert_type(p.get(), bytearray)
p.put(bytearray())
m: Map[str, int] = Map()
mm: MutableMapping[str, int] = m
assert_type(m.load("a"), tuple[int | None, bool])
assert_type(m.load_or_store("a", 1), tuple[int, bool])
assert_type(m["a"], int)
assert_type(m.get("a"), int | None)
assert_type(m.get("a", "x"), int | str)
for k, v in m.items():
    assert_type(v, int)

@once_value
def config() -> dict[str, int]:
    return {}

assert_type(config(), dict[str, int])
assert_type(once_values(lambda: (1, "a"))(), tuple[int, str])
assert_type(once_func(config)(), None)
assert_type(rate.Limiter(rate.every(1), 3).reserve().delay(), float)

group = singleflight.Group()
assert_type(group.do("k", int, "3"), tuple[int, bool])
assert_type(group.do_chan("k", int, "3"), RecvChan[singleflight.Result[int]])

ch: Chan[int] = Chan(3)
signal.notify(ch.sender(), _signal.SIGINT)
assert_type(signal.notify_context(_signal.SIGINT), Context)

async def add(a: int, b: int) -> int:
    return a + b

assert_type(aio.run(add(1, 2)), int)
assert_type(awaiting(add(1, 2)), Case[int])
c = select(readable(0), writable(1), awaiting(add(1, 2)), timeout=0)

@aio.wrap
def blocks(a: int) -> str:
    return ""

async def main() -> None:
    assert_type(await blocks(1), str)
    assert_type(await go(len, ""), int)
    assert_type(await ch.arecv(), int)
    await ch.asend(1)
    async for v in ch:
        assert_type(v, int)

g = go(len, "")
assert_type(g.stack(), StackSummary)
with runtime.lock_os_thread():
    pass

def hook(g: Goroutine[object], e: BaseException) -> None: ...

runtime.set_panic("crash", hook)
runtime.set_slow(0.1)
runtime.set_slow(None)
with leakcheck.scope():
    pass
assert_type(leakcheck.find()[0].id, int)

ints = patterns.generate([1, 2])
assert_type(ints, RecvChan[int])
assert_type(patterns.merge(*patterns.tee(ints)), RecvChan[int])
assert_type(patterns.Pool(1).submit(int, "3"), Goroutine[int])
assert_type(patterns.Ring[str](1).recv(), str)
assert_type(patterns.RoundRobin("ab").next(), str)
assert_type(patterns.Weighted({1: 2}).acquire(), int)
assert_type(patterns.CircuitBreaker().call(int, "3"), int)
with patterns.ResourcePool([1]).hold() as n, patterns.ConnPool(lambda: "", 1).hold() as s:
    assert_type(n, int)
    assert_type(s, str)
"""
WRONG = [
    "Int('x')",
    "Bool(3)",
    "Pool(3)",
    "Map[str, int]().store(1, 1)",
    "once_value(len)",
    "rate.Limiter('x', 3)",
    "singleflight.Group().do('k', int, [])",
    "signal.notify(Chan[int]().receiver())",
    "awaiting(3)",
    "readable('x')",
    "runtime.set_panic('ignore')",
    "aio.wrap(3)",
    "patterns.generate(3)",
    "patterns.Pool(1).submit(int, [])",
    "patterns.Ring[int](1).send('x')",
    "patterns.Weighted([1])",
]


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
    head = RIGHT.split("assert_type(Int(3)")[0]
    n = head.count("\n")
    (tmp_path / "wrong.py").write_text(head + "\n".join(WRONG) + "\n")
    r = mypy(tmp_path / "wrong.py")
    lines = {int(x.split(":")[1]) for x in r.stdout.splitlines() if ": error:" in x}
    assert lines == set(range(n + 1, n + 1 + len(WRONG))), r.stdout
