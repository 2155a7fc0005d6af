"""The pytest plugin, in pytest processes of their own."""
# SPDX-License-Identifier: Apache-2.0

import importlib.metadata
import re
import subprocess
import sys
import textwrap

import gossamer
import pytest

installed = any(e.value == "gossamer.pytest_plugin" for e in importlib.metadata.entry_points(group="pytest11"))
PLUGIN = [] if installed else ["-p", "gossamer.pytest_plugin"]


@pytest.fixture
def run(tmp_path):
    def run(source, *args, ini=""):
        (tmp_path / "pytest.ini").write_text(f"[pytest]\naddopts = --strict-markers\n{textwrap.dedent(ini)}")
        (tmp_path / "test_it.py").write_text("import pytest, time\nfrom gossamer import *\n" + textwrap.dedent(source))
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *PLUGIN, *args, str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            cwd=tmp_path,
        )
        return done.stdout + done.stderr

    return run


def test_passing_tests_pass(run):
    out = run(
        """
        @pytest.mark.goroutine(timeout=60)
        @pytest.mark.parametrize("n", [1, 2])
        def test_one(n, tmp_path):
            assert go(lambda: n).join() == n
        class TestIt:
            def test_two(self, leakcheck):
                go(sleep, 0.001)
        """
    )
    assert "3 passed" in out, out


def test_deadlock(run):
    out = run(
        """
        def test_it():
            go.using(name="stuck")(Chan().send, 1)
            Chan().recv()
        def test_next(): go(len, "").join()
        """
    )
    assert "1 failed, 1 passed" in out and "Deadlock" in out and "[stuck] (chan send)" in out, out
    assert "Captured goroutines call" in out and "in test_it" in out, out


@pytest.mark.parametrize("how", ["Chan().recv()", "time.sleep(1000)", "[None for _ in iter(int, 1)]"])
def test_timeout(run, how):
    out = run(
        f"""
        @pytest.mark.goroutine(timeout=0.2)
        def test_it():
            g = go.using(name="other")(sleep, 1000)
            {how}
        def test_next(): go(len, "").join()
        """
    )
    assert "1 failed, 1 passed" in out and "timeout: longer than 0.2 s" in out, out
    assert "[other] (sleep)" in out and "in test_it" in out, out


def test_timeout_for_all(run):
    out = run("def test_it(): sleep(1000)", ini="gossamer_timeout = 0.2")
    assert "1 failed" in out and "timeout: longer than 0.2 s" in out, out


LEAKS = """
def leaks(): go.using(name="leaky")(Chan().recv)
def test_plain(): leaks()
def test_fixture(leakcheck): leaks()
@pytest.mark.goroutine
def test_mark(): leaks()
@pytest.mark.goroutine(leakcheck=False)
def test_not(): leaks()
"""


def test_leaks(run):
    out = run(LEAKS)
    assert "2 failed, 2 passed" in out and out.count("1 goroutine left behind") >= 2 and "[leaky]" in out, out
    out = run(LEAKS, ini="gossamer_leakcheck = true")
    assert "3 failed, 1 passed" in out, out


UNCOLLECTED = """
def boom(): raise ValueError("mine")
def test_it():
    g = go(boom)
    g.done.recv_ok()
def test_collected():
    with pytest.raises(ValueError): go(boom).join()
"""


def test_uncollected_exceptions(run):
    out = run(UNCOLLECTED)
    assert "1 failed, 1 passed" in out and "UncollectedError" in out and "ValueError: mine" in out, out
    out = run(UNCOLLECTED, ini="gossamer_panic = report")
    assert "2 passed" in out, out
    out = run(UNCOLLECTED, ini="gossamer_panic = x")
    assert "must be 'fail' or 'report'" in out, out


def test_the_tests_own_failure_comes_first(run):
    out = run(
        """
        @pytest.mark.goroutine(timeout=60)
        def test_it():
            go(Chan().recv)
            go(lambda: 1 / 0)
            assert 1 == 2
        """
    )
    assert "1 failed" in out and "assert 1 == 2" in out and "left behind" not in out, out


def test_bad_marks(run):
    out = run("@pytest.mark.goroutine(5)\ndef test_it(): pass")
    assert "takes timeout=" in out, out


def test_ctx(run):
    out = run(
        """
        seen = []
        def test_one(ctx):
            seen.append(ctx)
            assert ctx.err() is None
        def test_two():
            assert seen[0].err() is not None
        """
    )
    assert "2 passed" in out, out


def test_async_tests_are_left_alone(run):
    out = run(
        """
        async def test_it(): pass
        """
    )
    assert "1 passed" not in out, out  # no plugin for those here


SEEDS = """
counter = 0
def work():
    global counter
    for _ in range(20): counter += 1
@pytest.mark.seed(*range(12))
@pytest.mark.parametrize("n", [2, 3])
def test_it(n):
    global counter
    counter = 0
    for g in [go(work) for _ in range(n)]: g.join()
    assert counter == 20 * n
@pytest.mark.seed(4, every=3, all=True)
@pytest.mark.goroutine(timeout=60)
def test_which(gossamer_seed): assert gossamer_seed == 4
def test_none(gossamer_seed): assert gossamer_seed is None
"""


@pytest.mark.skipif(gossamer.backend != "c", reason="goroutines are threads")
def test_seeds(run):
    out = run(SEEDS, "-rA")
    failed = re.findall(r"FAILED test_it.py::test_it\[(.+?)\]", out)
    assert 12 <= len(failed) < 24 and "PASSED test_it.py::test_which[seed=4]" in out and "error" not in out, out
    for name in failed:
        seed = re.search(r"seed=(\d+)", name)[1]
        assert re.search(rf"race seed {seed}: pytest 'test_it.py::test_it\[{re.escape(name)}\]'", out), out
    again = run(SEEDS, "-rA")
    assert re.findall(r"FAILED (\S+)", again) == re.findall(r"FAILED (\S+)", out)


@pytest.mark.parametrize("mark", ["seed", "seed()", "seed('x')", "seed(-1)", "seed(1, what=2)"])
def test_bad_seeds(run, mark):
    out = run(f"@pytest.mark.{mark}\ndef test_it(): pass")
    assert "mark seed takes numbers" in out and "passed" not in out, out


@pytest.mark.skipif(gossamer.backend != "cffi", reason="it is there")
def test_no_seeds_here(run):
    out = run("@pytest.mark.seed(1)\ndef test_it(): pass", "-rs")
    assert "1 skipped" in out and "backend" in out, out


@pytest.mark.skipif(gossamer.backend != "c" or sys.version_info >= (3, 12), reason="sys.monitoring is there")
def test_seeds_beside_a_tracer(run):
    out = run(
        """
        import sys
        @pytest.fixture
        def tracer():
            sys.settrace(lambda *a: None)
            yield
            sys.settrace(None)
        @pytest.mark.seed(1)
        def test_it(tracer): pass
        """,
        "-rs",
    )
    assert "1 skipped" in out and "sys.settrace()" in out, out
