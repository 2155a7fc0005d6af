"""Where the cffi backend differs: backend_cffi.txt, applied when these tests run with it.

A line is "differs TEST: reason" (it fails, and has to: a test that passes is off the list), "skip TEST: reason" (it
would hang, or its outcome is up to the system, or it is about something else) or "pypy TEST: reason" (left out on
PyPy only). TEST is a file of this directory, or FILE::TEST, without parameters. Every test that is named has to exist.
"""
# SPDX-License-Identifier: Apache-2.0

import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).parent
LIST = HERE / "backend_cffi.txt"


class Line(NamedTuple):
    kind: str
    test: str
    reason: str


def read(text):
    lines = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            found = re.fullmatch(r"(differs|skip|pypy) (\S+): (.+)", line)
            if not found:
                raise pytest.UsageError(f"{LIST.name}: cannot read {line!r}")
            lines.append(Line(*found.groups()))
    return lines


def name_of(item):
    """FILE::TEST, without parameters."""
    return re.sub(r"\[.*", "", item.nodeid.rpartition("/")[2])


def pytest_collection_modifyitems(config, items):
    lines = {line.test: line for line in read(LIST.read_text(encoding="utf-8"))}
    names, files = set(), set()
    for item in items:
        name = name_of(item)
        file = name.partition("::")[0]
        names.add(name)
        files.add(file)
        line = lines.get(name) or lines.get(file)
        if line is None or (line.kind == "pypy" and sys.implementation.name != "pypy"):
            continue
        if line.kind == "differs":
            item.add_marker(pytest.mark.xfail(strict=True, reason=line.reason))
        else:
            item.add_marker(pytest.mark.skip(reason=line.reason))
    unknown = [t for t in lines if not (HERE / t.partition("::")[0]).is_file()]
    whole = not any("::" in arg for arg in config.args) and not config.option.keyword and not getattr(config.option, "lf", False)
    if whole:  # a file was collected with all its tests, or not at all
        unknown += [t for t in lines if "::" in t and t.partition("::")[0] in files and t not in names]
    if unknown:
        raise pytest.UsageError(f"{LIST.name} names tests that are not there: {', '.join(sorted(unknown))}")
