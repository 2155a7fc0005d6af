"""Where a goroutine was started, in the words of its language, read from outside."""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from ._elf import Image, Names, name_of, names
from ._memory import Changed, Mapping, Memory

__all__ = ["CSites", "Layout", "LuaSites", "PythonSites", "python_line", "read_layout"]

Layout = dict[str, int]
_LINES = 512  # of a layout
_TEXT = 1 << 16  # characters of a path or a name; bytes of a table of lines


def read_layout(memory: Memory, at: int) -> Layout:
    """A gos_layout[] as a dictionary."""
    found: Layout = {}
    for i in range(_LINES):
        name = memory.read(at + 32 * i, 24).partition(b"\0")[0]
        if not name:
            return found
        found[name.decode(errors="replace")] = memory.number(at + 32 * i + 24)
    raise Changed("layout")


# ---- Lua ---------------------------------------------------------------------------------------
class LuaSites:
    """What bindings/lua keeps with a goroutine."""

    def __init__(self, memory: Memory, layout: Layout) -> None:
        self._memory, self._o = memory, layout

    def site(self, arg: int) -> str:
        line = self._memory.small(arg + self._o["arg.line"])
        if line <= 0:
            return ""
        text = self._memory.text(arg + self._o["arg.src"], self._o["arg.src_size"])
        return f"{text.decode(errors='replace')}:{line}"


# ---- Python -------------------------------------------------------------------------------------
class PythonSites:
    """The code object and the instruction, which bindings/python keeps: a file, a line and a function."""

    def __init__(self, memory: Memory, layout: Layout) -> None:
        self._memory, self._o = memory, layout
        self._known: dict[tuple[int, int], str] = {}

    def site(self, arg: int) -> str:
        o, number = self._o, self._memory.number
        kind = number(arg + o["object.type"])
        for what in ("go", "timer", "after"):
            if number(o[f"{what}.type"]) == kind:
                code, lasti = number(arg + o[f"{what}.code"]), self._memory.small(arg + o[f"{what}.lasti"])
                if (code, lasti) not in self._known:
                    self._known[code, lasti] = self._place(code, lasti) if code else ""
                return self._known[code, lasti]
        raise Changed("type")

    def _place(self, code: int, lasti: int) -> str:
        o, memory = self._o, self._memory
        file, name, table = (memory.number(code + o[f"code.{field}"]) for field in ("file", "name", "lines"))
        length = memory.number(table + o["bytes.length"])
        if length > _TEXT:
            raise Changed("lines")
        line = python_line(memory.read(table + o["bytes.text"], length), memory.small(code + o["code.first"]), lasti)
        return f"{self._string(file)}:{line} in {self._string(name)}"

    def _string(self, at: int) -> str:
        o, memory = self._o, self._memory
        length, state = memory.number(at + o["str.length"]), memory.small(at + o["str.state"])
        if length > _TEXT or not state & o["str.compact"]:
            raise Changed("str")
        if state & o["str.ascii"]:
            return memory.read(at + o["str.ascii_text"], length).decode("ascii", "replace")
        width = (state & o["str.kind"]) // (o["str.kind"] & -o["str.kind"])
        encoding = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}.get(width)
        if encoding is None:
            raise Changed("str")
        return memory.read(at + o["str.text"], length * width).decode(encoding, "replace")


def python_line(table: bytes, first: int, lasti: int) -> int:
    """The line of an instruction, from co_linetable and co_firstlineno (3.11 and later)."""
    line, covered, at = first, 0, 0
    while at < len(table) and covered <= lasti:
        entry = table[at]
        line += _delta(entry >> 3 & 15, table, at + 1)
        covered += 2 * ((entry & 7) + 1)
        at += 1
        while at < len(table) and not table[at] & 0x80:
            at += 1
    return line


def _delta(form: int, table: bytes, at: int) -> int:
    """By how many lines an entry is further down than the one before."""
    if 10 <= form <= 12:
        return form - 10
    if form not in (13, 14):
        return 0
    value = shift = 0
    while at < len(table):
        value |= (table[at] & 63) << shift
        if not table[at] & 64:
            break
        shift += 6
        at += 1
    return -(value >> 1) if value & 1 else value >> 1


# ---- C ----------------------------------------------------------------------------------------------
class CSites:
    """Addresses in words: main+0x2c, or the file and how far from its beginning."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._known: dict[int, str] = {}
        self._files: dict[Mapping, tuple[int, Names]] = {}

    def site(self, address: int) -> str:
        if address not in self._known:
            self._known[address] = self._name(address)
        return self._known[address]

    def _name(self, address: int) -> str:
        here = self._memory.mapping(address)
        start = here and next((m for m in self._memory.mappings if m.inode == here.inode and m.path == here.path), None)
        if not start or not start.inode or start.offset:
            return hex(address)
        if start not in self._files:
            try:
                self._files[start] = Image(self._memory, start).bias, names(self._memory.pid, start)
            except Changed:
                self._files[start] = start.lo, []
        bias, found = self._files[start]
        name = name_of(found, address - bias)
        return f"{name[0]}+{name[1]:#x}" if name else f"{start.file}+{address - bias:#x}"
