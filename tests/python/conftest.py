"""A time limit for every test, and a helper that runs a program of its own."""
# SPDX-License-Identifier: Apache-2.0

import faulthandler
import os
import subprocess
import sys
import textwrap

import gossamer
import pytest
from gossamer import go, runtime

if gossamer.backend == "cffi":
    from backend_cffi import pytest_collection_modifyitems as pytest_collection_modifyitems

LIMIT = float(os.environ.get("GOSSAMER_TEST_TIMEOUT", "120"))
_stderr = os.dup(2)  # pytest captures descriptor 2


@pytest.fixture(autouse=True)
def time_limit():
    faulthandler.dump_traceback_later(LIMIT, exit=True, file=_stderr)
    yield
    faulthandler.cancel_dump_traceback_later()


class Result:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def __repr__(self):
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


@pytest.fixture
def program():
    """program(source, ...): the source as a script in a new process."""

    def run(source, *args, timeout=LIMIT / 2, **kwargs):
        done = subprocess.run(
            [sys.executable, "-u", "-X", "faulthandler", "-c", textwrap.dedent(source), *args],
            capture_output=True,
            check=False,
            text=True,
            timeout=timeout,
            **kwargs,
        )
        return Result(done)

    return run


def _settled(g):
    return g.status in ("waiting", "dead")


@pytest.fixture
def settle():
    """settle(*goroutines): lets the others run until each of these waits or has ended."""

    def wait(*gs):
        while not all(_settled(g) for g in gs):
            runtime.gosched()

    return wait


@pytest.fixture
def parked(settle):
    """parked(fn, *args): a goroutine that has run as far as it can."""

    def start(fn, *args):
        g = go(fn, *args)
        settle(g)
        return g

    return start
