"""Writes the declarations of the core for cffi: build.py gossamer.h host.h OUTPUT.py

What stands between the marks "cdef: begin" and "cdef: end" of the headers becomes a Python file for cffi's ABI mode:
no compiler is needed, and no parser when it is imported. See docs/decisions/0011-a-second-backend.md.
"""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
import sys
from pathlib import Path

import cffi

MODULE = "gossamer._cdef"


def marked(text: str) -> str:
    """What stands between the marks, without comments: cffi needs none."""
    parts = re.findall(r"/\* cdef: begin \*/(.*?)/\* cdef: end \*/", text, re.S)
    return re.sub(r"/\*.*?\*/", "", "\n".join(parts), flags=re.S)


def constant(name: str, text: str) -> str:
    found = re.search(rf"^#define {name} (.+)$", text, re.M)
    if not found:
        raise SystemExit(f"build.py: no {name}")
    return found.group(1)


def main(headers: list[str], output: str) -> None:
    texts = [Path(header).read_text(encoding="utf-8") for header in headers]
    ffi = cffi.FFI()
    ffi.cdef("\n".join(map(marked, texts)))
    ffi.cdef(f"#define GOS_ABI {constant('GOS_ABI', texts[0])}")
    ffi.set_source(MODULE, None)
    ffi.emit_python_code(output)
    with open(output, "a", encoding="utf-8") as out:
        out.write(f"version = {constant('GOS_VERSION', texts[0])}\n# mypy: ignore-errors\n")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(sys.argv[1:-1], sys.argv[-1])
