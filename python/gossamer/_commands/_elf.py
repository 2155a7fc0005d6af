"""ELF: symbols of a file that another process has in its memory.

A symbol that is exported is found in that memory, where the dynamic linker needs it too: whatever has become of the
file, whether it was stripped, and whatever root directory the process has. Other names stand in the file alone.
"""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import bisect
import mmap
import os
import struct
from collections.abc import Iterator

from ._memory import Changed, Mapping, Memory, Refused

__all__ = ["Image", "machine", "names"]

_LOAD, _DYNAMIC = 1, 2
_STRTAB, _SYMTAB, _GNU_HASH = 5, 6, 0x6FFFFEF5
_SECTION_SYMTAB, _SECTION_DYNSYM, _FUNCTION = 2, 11, 2
_PAGE = 4096
_MOST = 1 << 20  # of what a table may have, for loops to end


def machine(head: bytes) -> int | None:
    """Of a file that begins so; None: it is no ELF file. Refused where gossamer does not exist."""
    if head[:4] != b"\x7fELF" or len(head) < 20:
        return None
    if head[4] != 2 or head[5] != 1:
        raise Refused("a program of 32 bits, or big-endian: ps knows gossamer on 64 bits, little-endian, alone")
    return int.from_bytes(head[18:20], "little")


class Image:
    """What was loaded at a mapping of a file's beginning. Changed: it is no ELF file."""

    def __init__(self, memory: Memory, at: Mapping) -> None:
        self.memory, self.mapping = memory, at
        head = memory.read(at.lo, 64)
        found = machine(head)
        if found is None:
            raise Changed(at.path)
        self.machine = found
        segments = list(self._segments(head))
        loads = [address for kind, address in segments if kind == _LOAD]
        if not loads:
            raise Changed(at.path)
        self.bias = at.lo - min(loads) // _PAGE * _PAGE
        self._dynamic = next((self.bias + address for kind, address in segments if kind == _DYNAMIC), 0)

    def _segments(self, head: bytes) -> Iterator[tuple[int, int]]:
        (start,) = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        if not 56 <= size <= _PAGE or count > _PAGE // 56:
            raise Changed(self.mapping.path)
        table = self.memory.read(self.mapping.lo + start, size * count)
        for i in range(count):
            kind, _, _, address = struct.unpack_from("<IIQQ", table, i * size)
            yield kind, address

    def _tables(self) -> dict[int, int]:
        """Their addresses, by tag. Some dynamic linkers (glibc's) have put the real ones there, others offsets."""
        found: dict[int, int] = {}
        for i in range(_PAGE if self._dynamic else 0):
            tag, value = struct.unpack("<QQ", self.memory.read(self._dynamic + 16 * i, 16))
            if not tag:
                break
            found[tag] = value if value >= self.bias else value + self.bias
        return found

    def address(self, name: str) -> int | None:
        """Of a symbol it exports."""
        tables = self._tables()
        if not {_STRTAB, _SYMTAB, _GNU_HASH} <= tables.keys():
            return None
        word = name.encode()
        for i in self._candidates(tables[_GNU_HASH], word):
            text, _, section, value = struct.unpack("<IHHQ", self.memory.read(tables[_SYMTAB] + 24 * i, 16))
            if section and self.memory.read(tables[_STRTAB] + text, len(word) + 1) == word + b"\0":
                return self.bias + int(value)
        return None

    def _candidates(self, at: int, word: bytes) -> Iterator[int]:
        """Indices of symbols whose names have the word's hash."""
        read = self.memory.read
        h = 5381
        for c in word:
            h = (h * 33 + c) & 0xFFFFFFFF
        buckets, first, filters, _ = struct.unpack("<4I", read(at, 16))
        if not buckets:
            return
        at += 16 + 8 * filters
        (start,) = struct.unpack("<I", read(at + 4 * (h % buckets), 4))
        at += 4 * buckets
        for i in range(start, start + _MOST) if start >= max(first, 1) else ():
            (other,) = struct.unpack("<I", read(at + 4 * (i - first), 4))
            if other | 1 == h | 1:
                yield i
            if other & 1:
                return


Names = list[tuple[int, int, str]]  # of functions: address in the file, size, name; sorted


def names(pid: int, at: Mapping) -> Names:
    """Of the functions in the file that is mapped there; none when it cannot be read."""
    for path in (f"/proc/{pid}/map_files/{at.lo:x}-{at.hi:x}", f"/proc/{pid}/root{at.path}"):
        try:
            with open(path, "rb") as f:
                if os.fstat(f.fileno()).st_ino != at.inode:
                    continue  # another one has taken its place
                with mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    return _functions(data)
        except (OSError, ValueError, IndexError, OverflowError, struct.error, Refused):
            continue
    return []


def _functions(data: mmap.mmap) -> Names:
    if machine(data[:20]) is None:
        return []
    (start,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    sections = [struct.unpack_from("<IIQQQQII", data, start + i * size) for i in range(count)]
    for wanted in (_SECTION_SYMTAB, _SECTION_DYNSYM):  # the first has all, unless it was stripped
        for _, kind, _, _, offset, length, link, _ in sections:
            if kind == wanted:
                return sorted(_read(data, offset, length, sections[link][4] if link < count else 0))
    return []


def _read(data: mmap.mmap, offset: int, length: int, texts: int) -> Iterator[tuple[int, int, str]]:
    for text, info, _, section, value, size in struct.iter_unpack("<IBBHQQ", data[offset : offset + length // 24 * 24]):
        if info & 15 == _FUNCTION and section and text:
            end = data.find(b"\0", texts + text)
            yield value, size, data[texts + text : end].decode(errors="replace")


def name_of(found: Names, address: int) -> tuple[str, int] | None:
    """The function an address of the file lies in, and how far."""
    i = bisect.bisect_right(found, (address, _MOST << 40, ""))
    if not i:
        return None
    start, size, name = found[i - 1]
    return (name, address - start) if address < start + max(size, 1) else None
