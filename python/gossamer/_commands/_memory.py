"""The memory of another process, read while it runs.

Nothing in it can be relied upon: it changes meanwhile. What is not there any more is Changed, and loops have ends.
"""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import NamedTuple

__all__ = ["Changed", "Mapping", "Memory", "Refused"]

_LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) \S+ (\d+) *(.*)")


class Refused(RuntimeError):
    """Why nothing can be told of a process."""


class Changed(Exception):
    """What was to be read is not there, or makes no sense (any more)."""


class Mapping(NamedTuple):
    """A line of /proc/PID/maps."""

    lo: int
    hi: int
    offset: int
    inode: int
    path: str

    @property
    def file(self) -> str:
        return os.path.basename(self.path.removesuffix(" (deleted)"))


class Memory:
    """mappings: what files lie where, when it was opened."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        try:
            maps = Path(f"/proc/{pid}/maps").read_text(errors="surrogateescape")
            if not maps:
                raise Refused(f"process {pid} has no memory: it has ended, or is the kernel's")
            self._fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, ProcessLookupError):
            raise Refused(_absent(pid)) from None
        except PermissionError:
            raise Refused(_forbidden(pid)) from None
        found = map(_LINE.fullmatch, maps.splitlines())
        self.mappings = [
            Mapping(int(m[1], 16), int(m[2], 16), int(m[3], 16), int(m[4]), m[5]) for m in found if m is not None
        ]

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._fd)

    def read(self, at: int, n: int) -> bytes:
        try:
            data = os.pread(self._fd, n, at)
        except (OSError, OverflowError):
            raise Changed(hex(at)) from None
        if len(data) < n:
            raise Changed(hex(at))
        return data

    def number(self, at: int) -> int:
        value: int = struct.unpack("<Q", self.read(at, 8))[0]
        return value

    def small(self, at: int) -> int:
        """A signed one of 4 bytes."""
        value: int = struct.unpack("<i", self.read(at, 4))[0]
        return value

    def text(self, at: int, most: int) -> bytes:
        """What stands there to its 0; in pieces, as the next page may not be there."""
        found = b""
        while len(found) < most:
            found += self.read(at + len(found), min(most - len(found), 64 - (at + len(found)) % 64))
            if 0 in found:
                return found.partition(b"\0")[0]
        raise Changed(hex(at))

    def mapping(self, at: int) -> Mapping | None:
        return next((m for m in self.mappings if m.lo <= at < m.hi), None)

    def alive(self) -> bool:
        """Has it not ended since?"""
        try:
            return bool(Path(f"/proc/{self.pid}/maps").read_bytes())
        except OSError:
            return False


def _absent(pid: int) -> str:
    if not os.path.exists("/proc/self/maps"):
        return "ps reads /proc, which is not there: it needs Linux"
    return f"there is no process {pid}"


def _scope() -> str:
    try:
        return Path("/proc/sys/kernel/yama/ptrace_scope").read_text().strip()
    except OSError:
        return "0"


def _forbidden(pid: int) -> str:
    why = f"not permitted to read process {pid}: it takes root, or its user"
    if _scope() in ("1", "2"):
        why += ", and the user only where /proc/sys/kernel/yama/ptrace_scope is 0: try sudo"
    elif _scope() == "3":
        return f"{why}; /proc/sys/kernel/yama/ptrace_scope is 3, which forbids it until the machine restarts"
    return f"{why} (in a container: --cap-add=SYS_PTRACE)"
