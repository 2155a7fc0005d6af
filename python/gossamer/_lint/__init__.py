"""What can be seen to be wrong about goroutines in one file: the rules of `python -m gossamer lint`.

A file that does not import gossamer is right. What cannot be decided from the file alone is taken to be right.
"""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from . import contexts, goroutines, locks
from .source import Source

__all__ = ["RULES", "Finding", "check"]

_PARTS = (goroutines, contexts, locks)
RULES = {rule.code: rule.says for part in _PARTS for rule in part.RULES}
_NOQA = re.compile(r"#\s*noqa(?P<codes>:[\s,]*[A-Z]+\d+(?:[\s,]+[A-Z]+\d+)*)?", re.I)


class Finding(NamedTuple):
    """Of one place; column from 1."""

    line: int
    column: int
    code: str
    message: str


def _allowed(line: str, code: str) -> bool:
    found = _NOQA.search(line)
    if not found:
        return False
    return not found["codes"] or code in re.split(r"[\s,:]+", found["codes"].upper())


def check(text: str, path: str = "<string>") -> list[Finding]:
    """SyntaxError or ValueError when it is no Python program."""
    source = Source(ast.parse(text, path))
    if not source.uses_gossamer:
        return []
    lines = text.splitlines()
    found = {
        Finding(node.lineno, node.col_offset + 1, rule.code, message)
        for part in _PARTS
        for rule in part.RULES
        for node, message in rule.find(source)
        if not _allowed(lines[node.lineno - 1], rule.code)
    }
    return sorted(found)
