"""Where the cffi backend differs: backend_cffi.txt, applied when these tests run with it.

A line is "differs TEST: reason" (it fails, and has to: a test that passes is off the list) or "skip TEST: reason" (it
would hang, or is about something else). TEST is a file of this directory, or FILE::TEST; a test with parameters
is named without them, and then all of them differ. "py39" instead of "differs" or "skip" is a test that needs a newer Python than 3.9.
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
            found = re.fullmatch(r"(differs|skip|py39) (\S+): (.+)", line)
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
        if line is None or (line.kind == "py39" and sys.version_info >= (3, 11)):
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
