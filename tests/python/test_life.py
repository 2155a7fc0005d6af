"""Ctrl-C, exits and the mixture of everything: what each commit runs of tests/python/stress."""
# SPDX-License-Identifier: Apache-2.0

import subprocess
import sys
from pathlib import Path

import pytest

STRESS = Path(__file__).parent / "stress"


def passes(script, *args, timeout=110):
    done = subprocess.run(
        [sys.executable, str(STRESS / script), *args],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stdout[-20_000:]


@pytest.mark.parametrize("seed", range(3))
def test_ctrl_c(seed):
    passes("life.py", "--interrupts", "20", "--seed", f"commit {seed}")


@pytest.mark.parametrize("seed", range(3))
def test_exits(seed):
    passes("life.py", "--exits", "20", "--seed", f"commit {seed}")


def test_mixture():
    passes("mix.py", "15", "--goroutines", "60")
