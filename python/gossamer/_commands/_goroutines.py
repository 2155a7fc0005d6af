"""The goroutines of a running process, read from its memory: what gos_dump() would tell, and nothing of it is asked.

The library says by gos_debug_layout where everything is, so this serves other builds of it as well. Goroutines come and
go meanwhile: each one is read until it was the same before and after, and all of them are not a picture of one moment.
"""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from ._elf import Image, machine
from ._memory import Changed, Memory, Refused
from ._sites import CSites, Layout, LuaSites, PythonSites, read_layout

__all__ = ["Goroutine", "goroutines"]

_SYMBOL = "gos_debug_layout"
_TRIES = 50  # for a goroutine that changes each time
_LABELS = 1 << 16  # bytes
_SITES: dict[str, type[PythonSites] | type[LuaSites]] = {"Python": PythonSites, "lua": LuaSites}


@dataclass
class Goroutine:
    id: int  # 0: a thread of the program that waits in a call
    name: str
    status: str
    wait_reason: str | None
    waited: float | None  # seconds, roughly; None: not known, or it does not wait
    main: bool
    locked: bool
    frozen: bool
    language: str
    creator: int  # 0: none
    created: str  # the place; "": not known
    labels: dict[str, str] = field(default_factory=dict)
    thread: int | None = None  # of id 0


def goroutines(pid: int) -> list[Goroutine]:
    """By number; threads come last. Refused says why not."""
    with Memory(pid) as memory:
        try:
            tables = [read_layout(memory, at) for at in _layouts(memory)]
            found = [g for o in tables for g in _Reader(memory, o)]
        except KeyError as e:
            raise Refused(f"the libgossamer of process {pid} is another version: its layout lacks {e}") from None
        except Changed:
            if not memory.alive():
                raise Refused(f"process {pid} has ended") from None
            raise Refused(f"process {pid} changes too fast, or its memory is damaged") from None
    return sorted(found, key=lambda g: (not g.id, g.id, g.thread or 0))


# ---- the library ----------------------------------------------------------------------------------------
def _layouts(memory: Memory) -> list[int]:
    own = _own_machine(memory.pid)
    found, old = [], None
    for mapping in memory.mappings:
        if mapping.offset or not mapping.path.startswith("/"):
            continue
        ours = mapping.file.startswith("libgossamer")
        try:
            image = Image(memory, mapping)
            at = image.address(_SYMBOL)
        except Changed:
            continue
        except Refused as e:
            if ours:
                raise Refused(f"{mapping.path} of process {memory.pid} is {e}") from None
            continue
        if at is None:
            old = mapping.path if ours else old
        elif own not in (None, image.machine):
            raise Refused(f"process {memory.pid} is an emulator that runs {mapping.path}: ps cannot look through it")
        else:
            found.append(at)
    if not found:
        raise Refused(
            f"{old} of process {memory.pid} is too old to tell of its goroutines: it has no {_SYMBOL}"
            if old
            else f"process {memory.pid} has no gossamer: no libgossamer.so is loaded there"
        )
    return found


def _own_machine(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/exe", "rb") as f:
            return machine(f.read(20))
    except OSError:
        return None
    except Refused as e:
        raise Refused(f"process {pid} is {e}") from None


# ---- its goroutines -------------------------------------------------------------------------------------
class _Reader:
    """What a library of a process knows."""

    def __init__(self, memory: Memory, o: Layout) -> None:
        self.memory, self.o = memory, o
        if not (1 <= o["chunk.count"] <= 4096 and 64 <= o["g.size"] <= 4096 and o["reason.count"] <= 256):
            raise Changed("layout")
        pointers = memory.read(o["reasons"], 8 * o["reason.count"])
        self.reasons = [self.text(p) if p else "" for (p,) in struct.iter_unpack("<Q", pointers)]
        self.slabs = list(self._slabs())
        self.realms: dict[int, tuple[str, PythonSites | LuaSites | None]] = {}
        self.c_sites = CSites(memory)
        self.statuses = {o[f"status.{word}"]: word for word in ("free", "runnable", "running", "waiting", "dead")}
        self.now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) if _same_clock(memory.pid) else None

    def text(self, at: int) -> str:
        return self.memory.text(at, 64).decode(errors="replace")

    def __iter__(self) -> Iterator[Goroutine]:
        """Their memory comes in chunks, which the library never gives back; new ones are put first."""
        o = self.o
        at, size = self.memory.number(o["chunks"]), o["chunk.g"] + o["chunk.count"] * o["g.size"]
        seen = set()
        while at:
            if at in seen:
                raise Changed("chunks")
            seen.add(at)
            chunk = self.memory.read(at, size)
            for i in range(o["chunk.count"]):
                start = o["chunk.g"] + i * o["g.size"]
                g = self.settled(at + start, chunk[start : start + o["g.size"]])
                if g:
                    yield g
            (at,) = struct.unpack_from("<Q", chunk, o["chunk.next"])

    # ---- one goroutine
    def settled(self, at: int, block: bytes) -> Goroutine | None:
        """None: there is none, or it was always another."""
        for _ in range(_TRIES):
            if not self.listed(block):
                return None
            try:
                g = self.goroutine(block)
            except Changed:
                g = None
            after = self.memory.read(at, len(block))
            if g and self.listed(after) and self.identity(after) == self.identity(block):
                return g
            block = after
        return None

    def word(self, block: bytes, name: str) -> int:
        value: int = struct.unpack_from("<Q", block, self.o[name])[0]
        return value

    def flag(self, block: bytes, name: str) -> bool:
        return bool(block[self.o["g.flags"]] & self.o[f"flag.{name}"])

    def listed(self, block: bytes) -> bool:
        """A thread of the program only while it waits; else it is no business of the library."""
        status = self.statuses.get(block[self.o["g.status"]])
        return status == "waiting" if self.flag(block, "foreign") else status in ("runnable", "running", "waiting")

    def identity(self, block: bytes) -> tuple[int, ...]:
        return tuple(self.word(block, f"g.{name}") for name in ("id", "creator", "realm", "site"))

    def goroutine(self, block: bytes) -> Goroutine:
        o = self.o
        status, reason, since = block[o["g.status"]], block[o["g.reason"]], self.word(block, "g.since")
        waits = status == o["status.waiting"]
        foreign, main = self.flag(block, "foreign"), self.flag(block, "main")
        known = waits and self.now is not None and 0 < since < 1 << 63
        language, sites = self.realm(self.word(block, "g.realm"))
        extra = self.word(block, "g.extra")
        name = self.memory.read(extra + o["extra.name"], o["extra.name_size"]).partition(b"\0")[0] if extra else b""
        return Goroutine(
            id=0 if foreign else self.word(block, "g.id"),
            name=name.decode(errors="replace"),
            status=self.statuses[status],
            wait_reason=self.reasons[reason if reason < len(self.reasons) else 0] if waits else None,
            waited=max(0, (self.now or 0) - since) / 1e9 if known else None,
            main=main,
            locked=self.flag(block, "locked"),
            frozen=self.frozen(self.word(block, "g.fiber")),
            language=language or "C",
            creator=0 if foreign else self.word(block, "g.creator"),
            created="" if foreign or main else self.created(block, language, sites),
            labels=self.labels(self.memory.number(extra + o["extra.labels"])) if extra else {},
            thread=self.memory.small(self.word(block, "g.m") + o["m.tid"]) if foreign else None,
        )

    def labels(self, at: int) -> dict[str, str]:
        if not at:
            return {}
        n = self.memory.number(at + self.o["labels.n"])
        text = self.memory.read(at + self.o["labels.text"], n) if n <= _LABELS else b"?"
        words = text.decode(errors="replace").split("\0")
        if words.pop() or len(words) % 2:
            raise Changed("labels")
        return dict(zip(words[::2], words[1::2]))

    # ---- where it was started
    def realm(self, at: int) -> tuple[str, PythonSites | LuaSites | None]:
        """Its language ("": C's own), and who tells its places."""
        if not at:
            return "", None
        if at not in self.realms:
            o, read = self.o, self.memory
            language = self.text(read.number(at + o["realm.language"]))
            layout, kind = read.number(at + o["realm.layout"]), _SITES.get(language)
            open_ = not read.small(at + o["realm.closed"])
            self.realms[at] = language, kind(read, read_layout(read, layout)) if kind and layout and open_ else None
        return self.realms[at]

    def created(self, block: bytes, language: str, sites: PythonSites | LuaSites | None) -> str:
        site, arg = self.word(block, "g.site"), self.word(block, "g.arg")
        if not language:
            return self.c_sites.site(site) if site else ""
        try:
            return sites.site(arg) if sites and arg else ""
        except Changed:  # what the realm had is gone
            return ""

    # ---- frozen stacks: core/src/stack/freeze.h
    def _slabs(self) -> Iterator[tuple[int, int, int, int]]:
        o, read = self.o, self.memory
        for i in range(min(read.small(o["nslabs"]), 1 << 16)):
            block = read.read(o["slabs"] + i * o["slab.size"], o["slab.size"])
            lo, hi, cells = (self.word(block, f"slab.{name}") for name in ("lo", "hi", "cells"))
            if cells:
                yield lo, hi, cells, block[o["slab.cls"]]

    def frozen(self, fiber: int) -> bool:
        for lo, hi, cells, cls in self.slabs:
            if lo <= fiber < hi:
                cell = self.memory.number(cells + 8 * (fiber - lo >> cls))
                return bool(cell) and not cell & 7
        return False


def _same_clock(pid: int) -> bool:
    """Not in another time namespace."""
    try:
        return os.stat(f"/proc/{pid}/ns/time").st_ino == os.stat("/proc/self/ns/time").st_ino
    except OSError:
        return True
