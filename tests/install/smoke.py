"""An installed wheel in an environment of its own: is all there, and does it work? Run with -W error."""
# SPDX-License-Identifier: Apache-2.0

import importlib.metadata
import pathlib
import threading
import time

import gossamer
from gossamer import Chan, context, default, errgroup, go, recv, runtime, select, sleep, sync

package = pathlib.Path(gossamer.__file__).parent
assert "site-packages" in package.parts, package
names = {p.name for p in package.iterdir()}
assert {"py.typed", "__init__.pyi", "_gossamer.pyi", "libgossamer.so.0"} <= names, names
dist = importlib.metadata.distribution("gossamer")
assert dist.version == gossamer.__version__ and not [r for r in dist.requires or () if "extra" not in r]
outside = {p.parts[0] for p in dist.files or ()} - {"gossamer", f"gossamer-{dist.version}.dist-info"}
assert not outside, outside


def blocked(lock: threading.Lock) -> int:
    with lock:  # of threading's: its thread waits, the others go on
        return threading.get_ident()


lock, ch = threading.Lock(), Chan[int]()
with lock:
    g = go(blocked, lock)
    go(ch.send, 1)
    assert ch.recv() == 1 and select(recv(g), default) is default
assert g.join() != threading.get_ident()

try:
    with context.with_timeout(0.01):
        sleep(60)
    raise AssertionError("the deadline passed unseen")
except TimeoutError:
    pass

mu, total = sync.Mutex(), 0


def add(n: int) -> None:
    global total
    with mu:
        before = total
        time.sleep(0)
        total = before + n


errgroup.map(add, range(100))
assert total == 4950
assert runtime.shutdown(10)
print("gossamer", gossamer.__version__)
