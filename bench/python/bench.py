#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One workload on one library: python bench.py PEER WORKLOAD [N], or PEER --list

Peers are the with_PEER.py beside this file. A peer's function takes the number of operations and a
Stopwatch, and calls start() and stop() around them. Prints a line: WORKLOAD VALUE OPS UNIT. A workload
that a peer has nothing for is not in its file.

    pingpong    two tasks hand a value to and fro over two channels of no capacity, or the least there
                is; an operation is one hand-off, so two make a round
    stream      a producer and a consumer on such a channel; an operation is a message
    buffered    the same with room for 100
    spawn_join  tasks that do nothing, started and waited for in batches; an operation is a task
    select_2    a producer a channel, a consumer that takes what comes first from any of 2 channels;
    select_8    of 8; an operation is a message
    fan         one to 100 workers to one; an operation is a message through a worker
    pipeline    100 stages; an operation is a message through all
    mutex       100 tasks that lock, add and unlock; an operation is one of these
    sleepers    10,000 tasks that sleep 1 to 100 ms: the CPU time of each
    parked      tasks that wait on a channel; the value is the bytes of memory each of them takes
    echo_100    a TCP server that sends back what 100 connections send: its CPU time a request; the load
    echo_1000   comes from another process; 1,000 connections
    http_200    200 urllib requests at once to a server that takes 50 ms for each: until all are done
"""

import importlib
import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKLOADS = {  # how many operations, what is measured
    "pingpong": (100_000, "ns"),
    "stream": (100_000, "ns"),
    "buffered": (200_000, "ns"),
    "spawn_join": (100_000, "ns"),
    "select_2": (50_000, "ns"),
    "select_8": (20_000, "ns"),
    "fan": (50_000, "ns"),
    "pipeline": (1_000, "ns"),
    "mutex": (200_000, "ns"),
    "sleepers": (10_000, "ns of CPU"),
    "parked": (20_000, "bytes"),
    "echo_100": (50_000, "ns of CPU"),
    "echo_1000": (50_000, "ns of CPU"),
    "http_200": (200, "ms"),
}


def memory() -> int:
    """Bytes in memory, page tables included."""
    status = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in status)
    return sum(int(fields[name].split()[0]) for name in ("VmRSS", "VmPTE")) * 1024


class Stopwatch:
    spent = bytes = cpu = 0

    def start(self) -> None:
        self.before = memory()
        self.cpu_before = time.process_time()
        self.began = time.perf_counter()

    def stop(self) -> None:
        self.spent = time.perf_counter() - self.began
        self.cpu = time.process_time() - self.cpu_before
        self.bytes = memory() - self.before


class Echo:
    """The load of the echo workloads: a program that connects to a listening socket, so many times, and once
    before to say when: ready() returns when all are connected, run() when all requests are answered."""

    def __init__(self, connections: int, requests: int) -> None:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        port = self.listener.getsockname()[1]
        client = os.environ["GOSSAMER_ECHO_CLIENT"]
        self.client = subprocess.Popen([client, str(port), str(connections), str(requests)])
        self.control = self.listener.accept()[0]
        self.connections = connections

    def accept_all(self) -> list[socket.socket]:
        return [self.listener.accept()[0] for _ in range(self.connections)]

    def ready(self) -> None:
        self.control.recv(1)

    def run(self) -> None:
        self.control.send(b".")
        self.control.recv(1)

    def end(self) -> None:
        self.control.send(b".")
        self.client.wait()


class SlowServer:
    """with SlowServer() as url: an HTTP server in a process of its own that answers after 50 ms."""

    def __enter__(self) -> str:
        self.process = subprocess.Popen([sys.executable, HERE / "slow_server.py"], stdout=subprocess.PIPE)
        return f"http://127.0.0.1:{int(self.process.stdout.readline())}/"

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()


def main(peer: str, workload: str, n: str = "") -> None:
    module = importlib.import_module(f"with_{peer}")
    if workload == "--list":
        print(*(w for w in WORKLOADS if hasattr(module, w)))
        return
    most, unit = WORKLOADS[workload]
    ops = int(n) if n else int(most * module.SCALE.get(workload, 1))
    watch = Stopwatch()
    getattr(module, workload)(ops, watch)
    value = {
        "ns": watch.spent / ops * 1e9,
        "ns of CPU": watch.cpu / ops * 1e9,
        "bytes": watch.bytes / ops,
        "ms": watch.spent * 1e3,
    }
    print(f"{workload} {value[unit]:.2f} {ops} {unit}", flush=True)
    os._exit(0)  # whatever is still parked


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: bench.py PEER {WORKLOAD [N] | --list}")
    main(*sys.argv[1:])
