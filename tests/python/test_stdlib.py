"""CPython's own tests inside a goroutine: the quick selection of tests/python/stdlib/run.py."""
# SPDX-License-Identifier: Apache-2.0

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("stdlib_run", Path(__file__).parent / "stdlib" / "run.py")
stdlib = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(stdlib)


@pytest.mark.skipif(not stdlib.exists("test_queue"), reason="this Python has no test package")
@pytest.mark.parametrize("name", stdlib.QUICK)
def test_as_outside(name):
    if not stdlib.exists(name):
        pytest.skip("not in this version")
    report = stdlib.Report(name, stdlib.QUICK[name], stdlib.read_listed())
    assert report.ok(), "\n".join(report.lines())


@pytest.mark.parametrize(
    ("versions", "version", "is_covered"),
    [
        ("3.12", (3, 12), True),
        ("3.12", (3, 13), False),
        ("3.12-", (3, 13), True),
        ("-3.12", (3, 13), False),
        ("3.11-3.12", (3, 11), True),
        ("3.11-3.12", (3, 13), False),
    ],
)
def test_versions(versions, version, is_covered):
    assert stdlib.covers(versions, version) is is_covered
