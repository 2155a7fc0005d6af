"""The stub of gossamer.native."""
# SPDX-License-Identifier: Apache-2.0

import subprocess
import sys

RIGHT = """
from gossamer import Goroutine, RecvChan, SendChan, context, get_include, get_library, native, recv, select, send
from typing import Any, assert_type

ints = native.Chan(native.int64, 3, name="ints")
assert_type(ints.recv(timeout=1), int)
assert_type(ints.try_recv(None), int | None)
ints.send(3)
ints.send(True, ctx=context.background())
floats = native.Chan(native.float32)
floats.send(3)
assert_type(floats.recv_ok(), tuple[float | None, bool])
pairs = native.Chan(native.struct("qq"))
pairs.send((1, 2))
assert_type(pairs.recv(), tuple[Any, ...])
data = native.Chan(native.buffer)
data.send(b"abc")
data.send(bytearray(3))
assert_type(data.recv(), memoryview)
rx: RecvChan[int] = ints.receiver()
tx: SendChan[int] = ints.sender()
r = recv(data)
if select(r, send(ints, 4), timeout=1) is r:
    assert_type(r.value, memoryview)
for n in ints:
    assert_type(n, int)
g = native.go(123, (ints, 5, None), name="c", stack_size=1 << 20)
assert_type(g, Goroutine[None])
assert_type(ints.pointer, int)
assert_type(get_include() + get_library(), str)
error: type[Exception] = native.Panic
def stage(numbers: native.Chan[int, int]) -> None: ...
"""
WRONG = [
    "native.Chan(native.int64).send('x')",
    "native.Chan(native.int64).send(1.5)",
    "native.Chan(native.buffer).send('x')",
    "native.Chan(native.struct('q')).send(1)",
    "native.Chan(3)",
    "native.Chan(native.int64, '3')",
    "native.Elem()(3)",
    "native.Chan(native.int64).sender().recv()",
    "x: str = native.Chan(native.int64).recv()",
    "native.go()",
    "native.go(1, name=3)",
]


def errors(path, source):
    path.write_text(source)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(path)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    return done, {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}


def test_right_program(tmp_path):
    done, _ = errors(tmp_path / "right.py", RIGHT)
    assert done.returncode == 0, done.stdout


def test_wrong_programs(tmp_path):
    done, lines = errors(tmp_path / "wrong.py", "from gossamer import native\n" + "\n".join(WRONG) + "\n")
    assert lines == set(range(2, 2 + len(WRONG))), done.stdout
