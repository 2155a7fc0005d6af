"""runtime.set_slow: who computes for long is told of; who waits or blocks is not."""
# SPDX-License-Identifier: Apache-2.0

import pytest
from gossamer import runtime

PROLOGUE = """
import os, sys, threading, time
from gossamer import *
seen = []
def hook(g, seconds): seen.append((g.name, seconds >= 0.05))
def compute(until):
    while not until(): pass
"""


@pytest.mark.parametrize("how", ["compute(lambda: seen)", "go.using(name='main')(compute, lambda: seen).join()"])
def test_who_computes(program, how):
    r = program(
        PROLOGUE
        + f"""
runtime.set_slow(0.05, hook)
{how}
print(seen)
runtime.set_slow(None)
"""
    )
    assert r.out == "[('main', True)]\n" and r.code == 0, r


def test_to_stderr(program):
    r = program(
        PROLOGUE
        + """
runtime.set_slow(0.02)
fd = os.dup(2)
r, w = os.pipe()
sys.stderr = os.fdopen(w, "w", buffering=1)
def slowly():
    end = time.thread_time() + 1
    while time.thread_time() < end: pass
go.using(name="hog")(slowly).join()
print(os.read(r, 100000).decode())
"""
    )
    assert "has computed for" in r.out and "[hog]" in r.out and "in slowly" in r.out, r


def test_who_waits_or_blocks_does_not(program):
    r = program(
        PROLOGUE
        + """
runtime.set_slow(0.02, hook)
gs = [go(sleep, 0.2), go(time.sleep, 0.2), go(Chan().recv, 0.2)]
for g in gs: g.exception() if g is gs[2] else g.join()
time.sleep(0.2)
print(seen)
""",
    )
    assert r.out == "[]\n", r


def test_deadlocks_are_still_seen(program):
    r = program(
        PROLOGUE
        + """
runtime.set_slow(0.02, hook)
try: Chan().recv()
except Deadlock: print("deadlock")
runtime.set_slow(1)
runtime.set_slow(None)
"""
    )
    assert r.out == "deadlock\n" and r.code == 0, r


def test_off_is_off(program):
    """The thread that looks may start when it is over."""
    r = program(
        PROLOGUE
        + """
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
for _ in range(100):
    runtime.set_slow(10, hook)
    runtime.set_slow(None)
end = time.thread_time() + 0.3
compute(lambda: time.thread_time() > end)
print(seen)
"""
    )
    assert r.out == "[]\n" and not r.err, r


@pytest.mark.parametrize("bad", [("x",), (-1,), (0,), (1, 2), ()])
def test_bad_arguments(bad):
    with pytest.raises((TypeError, ValueError)):
        runtime.set_slow(*bad)
