"""python -m gossamer lint: mistakes with goroutines that can be seen in the source."""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import argparse
import os
import sys
import tokenize
from collections.abc import Iterator

from .._lint import RULES, Finding, check

HELP = "find mistakes with goroutines in source files"


def _codes(text: str) -> tuple[str, ...]:
    codes = tuple(c.strip().upper() for c in text.split(",") if c.strip())
    for c in codes:
        if not any(rule.startswith(c) for rule in RULES):
            raise argparse.ArgumentTypeError(f"there is no rule {c}")
    return codes


def configure(parser: argparse.ArgumentParser) -> None:
    """The files and which rules."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(["rules:", *(f"  {code}  {says}" for code, says in RULES.items())])
    parser.add_argument("paths", nargs="+", metavar="FILE|DIR", help="of a folder, all .py files below it")
    parser.add_argument("--select", type=_codes, default=("GOS",), metavar="CODES",
                        help="only these, by their beginnings")  # fmt: skip
    parser.add_argument("--ignore", type=_codes, default=(), metavar="CODES", help="all but these")


def _is_program(folder: str) -> bool:
    """Not hidden, not cached, not a virtual environment."""
    name = os.path.basename(folder)
    return not name.startswith(".") and name != "__pycache__" and not os.path.exists(os.path.join(folder, "pyvenv.cfg"))


def _files(path: str) -> Iterator[str]:
    if not os.path.isdir(path):
        yield path
        return
    for folder, inner, files in os.walk(path):
        inner[:] = sorted(d for d in inner if _is_program(os.path.join(folder, d)))
        yield from (os.path.join(folder, f) for f in sorted(files) if f.endswith(".py"))


def _findings(path: str) -> list[Finding]:
    with tokenize.open(path) as f:  # in the encoding that it names
        return check(f.read(), path)


def _why(error: Exception) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f"line {error.lineno}: {error.msg}"
    return str(getattr(error, "strerror", None) or error)


def run(args: argparse.Namespace) -> int:
    """1 when something was found, or could not be read."""
    status = 0
    for path in dict.fromkeys(f for p in args.paths for f in _files(p)):
        try:
            found = _findings(path)
        except (OSError, SyntaxError, ValueError, RecursionError) as e:
            print(f"python -m gossamer: {path}: {_why(e)}", file=sys.stderr)
            status = 1
            continue
        for line, column, code, message in found:
            if code.startswith(args.select) and not (args.ignore and code.startswith(args.ignore)):
                print(f"{path}:{line}:{column}: {code} {message}")
                status = 1
    return status
