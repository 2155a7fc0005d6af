#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One workload on one library: python bench.py PEER WORKLOAD [N]

Peers are the with_PEER.py beside this file. A peer's function takes the number of operations and a
Stopwatch, and calls start() and stop() around them. Prints a line: WORKLOAD VALUE OPS UNIT.

    pingpong    two tasks hand a value to and fro over two channels of no capacity, or the least there
                is; an operation is one hand-off, so two make a round
    stream      a producer and a consumer on such a channel; an operation is a message
    spawn_join  tasks that do nothing, started and waited for in batches; an operation is a task
    parked      tasks that wait on a channel; the value is the bytes of memory each of them takes
"""

import importlib
import os
import sys
import time
from pathlib import Path

HOW_MANY = {"pingpong": 100_000, "stream": 100_000, "spawn_join": 100_000, "parked": 20_000}


def memory() -> int:
    """Bytes in memory, page tables included."""
    status = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in status)
    return sum(int(fields[name].split()[0]) for name in ("VmRSS", "VmPTE")) * 1024


class Stopwatch:
    spent = bytes = 0

    def start(self) -> None:
        self.before = memory()
        self.began = time.perf_counter()

    def stop(self) -> None:
        self.spent = time.perf_counter() - self.began
        self.bytes = memory() - self.before


def main(peer: str, workload: str, n: str = "") -> None:
    module = importlib.import_module(f"with_{peer}")
    ops = int(n) if n else int(HOW_MANY[workload] * module.SCALE.get(workload, 1))
    watch = Stopwatch()
    getattr(module, workload)(ops, watch)
    if workload == "parked":
        print(f"{workload} {watch.bytes / ops:.2f} {ops} bytes", flush=True)
    else:
        print(f"{workload} {watch.spent / ops * 1e9:.2f} {ops} ns", flush=True)
    os._exit(0)  # whatever is still parked


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: bench.py PEER WORKLOAD [N]")
    main(*sys.argv[1:])
