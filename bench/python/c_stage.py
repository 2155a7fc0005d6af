#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""C goroutines beside Python's, through gossamer.native: python c_stage.py [SCALE]

Compiles the C below and prints the medians of five rounds:

    ints       Python sends int64s, C sends each back: ns a message through C; no room, and room for 100
    buffers    bytes into C, which looks at one byte a page and gives them up: ns each; 100 bytes and 1 MB
    together   a stage of C and a stage of Python with the same work each: what it takes one after the other,
               what at the same time, and the ratio: 2 on two free cores, 1 where they share one
"""

import ctypes
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gossamer import go, native

SOURCE = r"""
#include <gossamer/buffer.h>
struct pipe { gos_chan *in, *out; };
void copy(void *arg) {
  struct pipe *p = arg;
  int64_t n;
  gos_chan_range(p->in, &n) gos_chan_send(p->out, &n);
  gos_chan_close(p->out);
}
void look(void *arg) {
  struct pipe *p = arg;
  gos_buffer b;
  int64_t sum = 0;
  gos_chan_range(p->in, &b) {
    for (size_t i = 0; i < b.len; i += 4096) sum += ((const char *)b.data)[i];
    gos_buffer_release(&b);
  }
  gos_chan_send(p->out, &sum);
  gos_chan_close(p->out);
}
/* Works n steps for each message. */
void work(void *arg) {
  struct { gos_chan *in, *out; intptr_t n; } *p = arg;
  int64_t x;
  gos_chan_range(p->in, &x) {
    for (intptr_t i = p->n; i; i--) x = x * 6364136223846793005 + 1442695040888963407;
    gos_chan_send(p->out, &x);
  }
  gos_chan_close(p->out);
}
"""


def compiled():
    folder = Path(tempfile.mkdtemp())
    source, library, options = folder / "stage.c", folder / "stage.so", native.build_options()
    source.write_text(SOURCE)
    include = [f"-I{d}" for d in options["include_dirs"]]
    command = ["cc", "-O1", "-shared", "-fPIC", *include, source, "-o", library, *options["extra_link_args"]]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(library))


def feed(ch, values):
    with ch:
        for v in values:
            ch.send(v)


def seconds(fn, *args):
    began = time.perf_counter()
    fn(*args)
    return time.perf_counter() - began


def ints(n, cap):
    a, b = native.Chan(native.int64, cap), native.Chan(native.int64, cap)
    native.go(lib.copy, (a, b))
    go(feed, a, range(n))
    assert sum(1 for _ in b) == n


def buffers(n, data):
    a, b = native.Chan(native.buffer, 100), native.Chan(native.int64)
    native.go(lib.look, (a, b))
    feed(a, (data for _ in range(n)))
    b.recv()


def c_stage(messages, steps):
    a, b = native.Chan(native.int64, messages), native.Chan(native.int64, messages)
    feed(a, range(messages))
    return native.go(lib.work, (a, b, steps))


def python_stage(n):
    x = 0
    for _ in range(n):
        x = (x * 25214903917 + 11) & 0xFFFFFFFFFFFF


def one_after_the_other(messages, steps, n):
    c_stage(messages, steps).join()
    python_stage(n)


def together(messages, steps, n):
    g = c_stage(messages, steps)
    python_stage(n)
    g.join()


def median(fn, *args):
    return statistics.median(seconds(fn, *args) for _ in range(5))


lib = compiled()
scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1
n = int(100_000 * scale)
for cap in (0, 100):
    print(f"ints, room for {cap:3}     {median(ints, n, cap) / n * 1e9:10.0f} ns a message")
for size, n in ((100, int(100_000 * scale)), (1_000_000, int(1_000 * scale))):
    print(f"buffers of {size:7} B {median(buffers, n, bytes(size)) / n * 1e9:10.0f} ns each")
messages, n = 100, int(3_000_000 * scale)
alone = median(python_stage, n)
steps = 100_000
steps = int(steps * alone / median(lambda: c_stage(messages, steps).join()))  # as much for C
apart, at_once = median(one_after_the_other, messages, steps, n), median(together, messages, steps, n)
print(f"one after the other   {apart * 1e3:10.0f} ms")
print(f"at the same time      {at_once * 1e3:10.0f} ms, {apart / at_once:.2f} times as fast")
