#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The most frequent words of all files below a directory.

    walk --paths--> read (a pool) --chunks--> count (a pool) --tables--> merge
      \\               \\
       +---------------+------reports-----> watch (the main goroutine)

What travels through a channel belongs to its receiver: a path, a chunk, a
table. Nothing is shared, so nothing is locked. Every stage ends when the
channel it reads from is closed and drained, and closes the one it writes to.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from string import ascii_letters
from typing import NamedTuple

from gossamer import Chan, RecvChan, SendChan, Ticker, go, nil_chan, recv, select
from gossamer.runtime import num_cpu
from gossamer.sync import WaitGroup

BLOCK = 64 * 1024
MAX_TOP, MAX_WORKERS = 1_000_000_000, 1000
TICK, BAR = 0.1, 30  # seconds between two pictures of the bar, and its width
ALL_FINE, SOME_UNREADABLE, BAD_USAGE = 0, 1, 2

LETTERS = ascii_letters.encode()
# Every letter becomes its lower case, every other byte a space.
TO_WORDS = bytes(b | 0x20 if b in LETTERS else 0x20 for b in range(256))


class Report(NamedTuple):
    """What happened since the last one."""

    found: int = 0
    files: int = 0
    bytes: int = 0
    unreadable: str | None = None  # "path: reason"


class Totals:
    found = files = bytes = unreadable = 0


def unreadable(path: str, err: OSError) -> Report:
    return Report(unreadable=f"{path}: {err.strerror}")


# ---- the goroutines ---------------------------------------------------------
def walk(tree: str, paths: SendChan[str], reports: SendChan[Report]) -> None:
    """Sends every regular file below the tree. Symbolic links are not followed."""
    later = [tree]
    while later:
        path = later.pop()
        try:
            with os.scandir(path) as entries:
                for e in entries:
                    if e.is_dir(follow_symlinks=False):
                        later.append(e.path)
                    elif e.is_file(follow_symlinks=False):
                        reports.send(Report(found=1))
                        paths.send(e.path)
        except OSError as err:
            reports.send(unreadable(path, err))
    paths.close()


def read_file(path: str, chunks: SendChan[bytes]) -> int:
    """Sends a file's content in chunks that end where a word ends: the word a block breaks
    off in goes to the front of the next one. Gives the number of bytes."""
    size, head = 0, []  # head: the parts of the word broken off
    with open(path, "rb", buffering=0) as file:
        while block := file.read(BLOCK):
            size += len(block)
            cut = len(block.rstrip(LETTERS))
            if cut:
                chunks.send(b"".join((*head, block[:cut])))
                head = []
            head.append(block[cut:])
    if any(head):
        chunks.send(b"".join(head))
    return size


def read_files(paths: RecvChan[str], chunks: SendChan[bytes], reports: SendChan[Report]) -> None:
    for path in paths:
        try:
            reports.send(Report(files=1, bytes=read_file(path, chunks)))
        except OSError as err:
            reports.send(unreadable(path, err))


def count(chunks: RecvChan[bytes], tables: SendChan[Counter[bytes]]) -> None:
    """Counts into a table of its own, and sends it once there are no more chunks."""
    words: Counter[bytes] = Counter()
    for chunk in chunks:
        words.update(chunk.translate(TO_WORDS).split())
    tables.send(words)


def merge(tables: RecvChan[Counter[bytes]]) -> list[tuple[bytes, int]]:
    words: Counter[bytes] = Counter()
    for part in tables:
        words.update(part)
    return sorted(words.items(), key=lambda item: (-item[1], item[0]))


def close_after(wg: WaitGroup, *chans: SendChan) -> None:
    """Nobody sends any more once the whole pool has ended."""
    wg.wait()
    for ch in chans:
        ch.close()


# ---- what the user sees -----------------------------------------------------
def draw(t: Totals) -> None:
    seen = t.files + t.unreadable
    full = seen * BAR // t.found if seen < t.found else BAR if t.found else 0
    bar = "#" * full + "-" * (BAR - full)
    sys.stderr.write(f"\r\x1b[K[{bar}] {t.files}/{t.found} files, {t.bytes / 1e6:.1f} MB")
    sys.stderr.flush()


def watch(reports: RecvChan[Report]) -> Totals:
    """Adds up the reports until there are no more. A terminal also gets a bar, redrawn at every
    tick; otherwise the ticker's case is a nil channel, which never fires."""
    t = Totals()
    ticker = Ticker(TICK) if sys.stderr.isatty() else None
    report, tick = recv(reports), recv(ticker.C if ticker else nil_chan)
    while True:
        if select(report, tick) is tick:
            draw(t)
            continue
        if not report.ok:
            break
        r = report.value
        t.found += r.found
        t.files += r.files
        t.bytes += r.bytes
        if r.unreadable is not None:
            t.unreadable += 1
            print("\r\x1b[K" if ticker else "", r.unreadable, sep="", file=sys.stderr)
    if ticker:
        draw(t)
        print(file=sys.stderr)
        ticker.stop()
    return t


def show(words: list[tuple[bytes, int]], top: int, t: Totals) -> None:
    for word, n in words[:top]:
        print(f"{n:7} {word.decode()}")
    print(f"\nfiles: {t.files}\nbytes: {t.bytes}\nunreadable: {t.unreadable}", flush=True)


def whole_number(most: int):
    def number(text: str) -> int:
        if text.isascii() and text.isdigit() and 1 <= int(text) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {most}, not '{text:.60}'")

    return number


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="wordcount",
        allow_abbrev=False,
        description="Prints the most frequent words of all regular files below TREE. "
        "A word is a run of ASCII letters; case does not count.",
        epilog="Exit status: 0 all fine, 1 something could not be read, 2 wrong usage.",
    )
    parser.add_argument("--top", metavar="N", type=whole_number(MAX_TOP), default=10,
                        help="how many words to print (default: 10)")  # fmt: skip
    parser.add_argument("--workers", metavar="N", type=whole_number(MAX_WORKERS), default=4 * num_cpu(),
                        help="how many files to read at a time (default: 4 for each CPU)")  # fmt: skip
    parser.add_argument("tree", metavar="TREE", help="a directory")
    options = parser.parse_args(argv)
    try:
        os.scandir(options.tree).close()
    except OSError as err:
        parser.error(f"{options.tree}: {err.strerror}")
    return options


def main(argv: list[str]) -> int:
    o = parse(argv)
    paths: Chan[str] = Chan(256)
    chunks: Chan[bytes] = Chan(o.workers)
    tables: Chan[Counter[bytes]] = Chan()
    reports: Chan[Report] = Chan(256)
    readers, counters = WaitGroup(), WaitGroup()

    go(walk, o.tree, paths, reports)
    for _ in range(o.workers):
        readers.go(read_files, paths, chunks, reports)
    for _ in range(num_cpu()):
        counters.go(count, chunks, tables)
    go(close_after, readers, chunks, reports)
    go(close_after, counters, tables)
    merger = go(merge, tables)

    t = watch(reports)
    show(merger.join(), o.top, t)
    return SOME_UNREADABLE if t.unreadable else ALL_FINE


if __name__ == "__main__":
    try:
        status = main(sys.argv[1:])
    except KeyboardInterrupt:
        status = 130  # as a shell reports it
    except OSError as err:
        print(f"wordcount: standard output: {err.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left is written at the end, in vain
        status = BAD_USAGE
    sys.exit(status)
