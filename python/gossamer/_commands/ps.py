"""python -m gossamer ps PID: the goroutines of a running process."""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from dataclasses import asdict

from ._goroutines import Goroutine, goroutines
from ._memory import Refused

HELP = "list the goroutines of a running process"
_MINUTE = 60


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Lists the goroutines of a running process, Python, Lua or C: number, name, what each does or waits for and "
        "for how many minutes, its labels, and where it was started. The process is not stopped, and nothing is "
        "asked of it."
    )
    parser.add_argument("pid", metavar="PID", type=_pid)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--fold", action="store_true", help="one line, with their count, for those that are alike")
    form.add_argument("--json", action="store_true", help="for programs")


def _pid(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1 << 31:
        raise argparse.ArgumentTypeError(f"not a process's number: {text!r}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    found = goroutines(args.pid)
    if not found:
        raise Refused(f"process {args.pid} has no goroutines: gossamer is loaded there, and was not used yet")
    text = _json(args.pid, found) if args.json else _table(_folded(found) if args.fold else _lines(found))
    try:
        print(text, flush=True)
    except BrokenPipeError:  # who reads it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


# ---- lines ---------------------------------------------------------------------------------------------
def _lines(found: list[Goroutine]) -> list[list[str]]:
    head = ["ID", "NAME", "STATE", "LABELS", "CREATED"]
    return [head, *([str(g.id or "-"), _name(g), _state(g, g.waited), _labels(g), _created(g)] for g in found)]


def _folded(found: list[Goroutine]) -> list[list[str]]:
    """The most frequent first; of a number of waits the longest."""
    count: Counter[tuple[str, str, str, str]] = Counter()
    longest: dict[tuple[str, str, str, str], Goroutine] = {}
    for g in found:
        same = _name(g), _state(g, None), _labels(g), _created(g)
        count[same] += 1
        longest[same] = max(longest.get(same, g), g, key=lambda g: g.waited or 0)
    rows = [["COUNT", "NAME", "STATE", "LABELS", "CREATED"]]
    for same, n in count.most_common():
        rows.append([str(n), same[0], _state(longest[same], longest[same].waited), *same[2:]])
    return rows


def _table(rows: list[list[str]]) -> str:
    """The first column to the right, as ps does; the last one as long as it is."""
    rows = [[_plain(cell) or "-" for cell in row] for row in rows]
    first, *widths = (max(map(len, column)) for column in zip(*rows))
    widths[-1] = 0
    return "\n".join(
        f"{row[0]:>{first}}  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row[1:], widths))
        for row in rows
    )


def _plain(text: str) -> str:
    """On one line, and nothing that a terminal obeys."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _name(g: Goroutine) -> str:
    return g.name or ("(main)" if g.main else "")


def _state(g: Goroutine, waited: float | None) -> str:
    """The words of gos_dump()."""
    minutes = int((waited or 0) // _MINUTE)
    parts = [
        g.wait_reason or g.status,
        f"{minutes} minutes" if minutes else "",
        f"thread {g.thread}" if g.thread else "",
        "locked to thread" if g.locked else "",
        "frozen" if g.frozen else "",
    ]
    return ", ".join(filter(None, parts))


def _labels(g: Goroutine) -> str:
    return ", ".join(f'{key}:"{value}"' for key, value in g.labels.items())


def _created(g: Goroutine) -> str:
    by = f"by {g.creator}" if g.creator else ""
    return " ".join(filter(None, (by, f"at {g.created}" if g.created else "")))


# ---- for programs --------------------------------------------------------------------------------------
def _json(pid: int, found: list[Goroutine]) -> str:
    return json.dumps({"pid": pid, "goroutines": [asdict(g) for g in found]}, indent=2)
