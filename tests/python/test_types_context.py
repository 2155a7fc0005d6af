"""mypy --strict on contexts, locks, groups and semaphores."""
# SPDX-License-Identifier: Apache-2.0

import pytest

pytest.importorskip("mypy")

from test_types import mypy  # noqa: E402

RIGHT = """
from gossamer import *
from gossamer import context, errgroup, semaphore, sync
from typing import assert_type

c = context.with_timeout(1.5, context.background(), ValueError())
assert_type(c.done, RecvChan[None])
assert_type(c.deadline, float | None)
assert_type(c.err(), Canceled | None)
assert_type(c.cause(), BaseException | None)
c.cancel()
c.cancel(cause=KeyError())
v = context.with_value("k", 1, parent=c).value("k", default=2)
with context.with_cancel() as d:
    assert_type(d, context.Context)
    assert_type(context.current(), context.Context)
stop = context.after_func(context.merge(c, d), lambda: 3)
assert_type(stop(), bool)
ch = Chan[int](1)
ch.send(1, 2.0, ctx=c)
assert_type(ch.recv(ctx=c), int)
assert_type(recv(c), Case[None])
select(recv(ch), ctx=c, timeout=1)
sleep(1, ctx=c)
go(int).join(ctx=c)
try:
    pass
except Canceled as e:
    assert_type(e.ctx, context.Context | None)
    assert_type(e.cause, BaseException | None)

rw = sync.RWMutex()
rw.rlock(timeout=1, ctx=c)
with rw.reader, rw, sync.Mutex():
    pass
cond = sync.Cond(rw.reader)
with cond as held:
    assert_type(held, sync.Cond)
    assert_type(cond.wait_for(lambda: "x", 1, ctx=c), str)
    cond.wait(ctx=c)

def work(x: int, *, y: str = "") -> bytes:
    return b""

g = errgroup.Group(3, errors="all", parent=c)
assert_type(g.go(work, 1, y="2"), Goroutine[bytes])
assert_type(g.try_go(work, 1), Goroutine[bytes] | None)
g.wait(1, ctx=c)
with errgroup.Group(limit=None) as h:
    h.set_limit(None)
    assert_type(h.ctx, context.Context)
assert_type(errgroup.map(str, [1, 2], limit=2), list[str])
sem = semaphore.Weighted(3)
sem.acquire(2, timeout=1, ctx=c)
assert_type(sem.try_acquire(), bool)
with sem.hold(2, ctx=c):
    sem.release(n=1)
"""
WRONG = [
    "context.with_timeout()",
    "context.with_timeout('1')",
    "context.Context().cancel('why')",
    "Chan[int]().recv(ctx=3)",
    "sleep(1, timeout=2)",
    "context.with_timeout(1, cause=ValueError)",
    "errgroup.Group().go(len, 3)",
    "errgroup.Group(errors='none')",
    "errgroup.map(len, [3])",
    "sync.Cond(sync.WaitGroup())",
    "semaphore.Weighted()",
    "semaphore.Weighted(1).acquire('x')",
    "sync.RWMutex().reader.runlock()",
]


def test_right_program(tmp_path):
    (tmp_path / "right.py").write_text(RIGHT)
    r = mypy(tmp_path / "right.py")
    assert r.returncode == 0, r.stdout


def test_wrong_programs(tmp_path):
    (tmp_path / "wrong.py").write_text(
        "from gossamer import *; from gossamer import context, errgroup, semaphore, sync\n" + "\n".join(WRONG) + "\n"
    )
    r = mypy(tmp_path / "wrong.py")
    lines = {int(x.split(":")[1]) for x in r.stdout.splitlines() if ": error:" in x}
    assert lines == set(range(2, 2 + len(WRONG))), r.stdout
