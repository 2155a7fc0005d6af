"""pytest and goroutines: dumps for tests that hang, and no goroutine's failure goes unseen.

A test fails
- with the stacks of all goroutines when it is a deadlock, or takes longer than its timeout;
- when an exception in a goroutine was collected by nobody;
- when goroutines that it started are left behind, if that is asked for.

Marks:     @pytest.mark.goroutine(timeout=SECONDS, leakcheck=True)
           @pytest.mark.seed(N, ..., every=K, all=False): a test for each seed, which chooses the switches between
           goroutines, as `python -m gossamer run --race-seed N` does
Fixtures:  gossamer_seed (that seed; None without the mark),
           leakcheck (the test is checked; the module gossamer.leakcheck), ctx (a Context that ends with the test)
Settings:  gossamer_timeout = SECONDS, gossamer_leakcheck = true: for all tests;
           gossamer_panic = fail | report: what an uncollected exception is
"""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import contextlib
import functools
import inspect
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType, ModuleType
from typing import Any

import pytest

from . import _race, runtime
from . import leakcheck as _leakcheck
from ._gossamer import Context, Deadlock, Goroutine, _get_panic, background, with_cancel


class UncollectedError(AssertionError):
    """An exception in a goroutine that nobody collected; it is the cause of this one."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("gossamer_timeout", "seconds after which a test fails with all stacks", default="")
    parser.addini("gossamer_leakcheck", "check every test for goroutines left behind", "bool", default=False)
    parser.addini("gossamer_panic", "an uncollected exception in a goroutine: fail, or report", default="fail")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "goroutine(timeout=None, leakcheck=True): fails with all stacks after timeout seconds, "
        "and when goroutines are left behind",
    )
    config.addinivalue_line(
        "markers",
        "seed(*numbers, every=None, all=False): a test for each number, which chooses the switches between goroutines",
    )
    if config.getini("gossamer_panic") not in ("fail", "report"):
        raise pytest.UsageError("gossamer_panic must be 'fail' or 'report'")


@pytest.fixture(name="leakcheck")
def _leakcheck_fixture() -> ModuleType:
    """The test fails when goroutines it started are left behind. The module gossamer.leakcheck."""
    return _leakcheck


@pytest.fixture
def ctx() -> Iterator[Context]:
    """A context.Context that is cancelled when the test has ended."""
    c = with_cancel(background())
    try:
        yield c
    finally:
        c.cancel()


@pytest.fixture
def gossamer_seed(request: pytest.FixtureRequest) -> int | None:
    """The seed that chooses the switches of this test; None where none does."""
    seed: int | None = getattr(request, "param", None)
    return seed


def _seed_mark(item: Any) -> pytest.Mark | None:
    mark: pytest.Mark | None = item.get_closest_marker("seed")
    if mark is None:
        return None
    numbers = all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 1 << 64 for n in mark.args)
    if not mark.args or not numbers or set(mark.kwargs) - {"every", "all"}:
        raise pytest.UsageError("mark seed takes numbers, every= and all=: seed(3) or seed(*range(20))")
    return mark


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = _seed_mark(metafunc.definition)
    if mark is None:
        return
    if "gossamer_seed" not in metafunc.fixturenames:
        metafunc.fixturenames.append("gossamer_seed")
    ids = [f"seed={n}" for n in mark.args]
    metafunc.parametrize("gossamer_seed", mark.args, ids=ids, indirect=True)


class _Settings:
    def __init__(self, item: pytest.Function) -> None:
        mark = item.get_closest_marker("goroutine")
        given = mark.kwargs if mark else {}
        if mark and (mark.args or set(given) - {"timeout", "leakcheck"}):
            raise pytest.UsageError("mark goroutine takes timeout= and leakcheck= only")
        default = item.config.getini("gossamer_timeout")
        self.timeout: float | None = given.get("timeout", float(default) if default else None)
        self.leakcheck: bool = given.get(
            "leakcheck", mark is not None or bool(item.config.getini("gossamer_leakcheck"))
        )
        self.leakcheck = self.leakcheck or "leakcheck" in item.fixturenames
        seeds = _seed_mark(item)
        self.seed: Any = item.callspec.params["gossamer_seed"] if seeds else None
        self.switches: dict[str, Any] = dict(seeds.kwargs) if seeds else {}
        self.fail: bool = item.config.getini("gossamer_panic") == "fail"


@contextlib.contextmanager
def _no_uncollected() -> Iterator[None]:
    seen: list[tuple[Goroutine[Any], BaseException]] = []
    before = _get_panic()
    runtime.set_panic("report", lambda g, error: seen.append((g, error)))
    try:
        yield
    finally:
        runtime.set_panic(*before)
    if seen:
        names = ", ".join(f"goroutine {g.id} (created at {g.site}): {type(e).__name__}" for g, e in seen)
        raise UncollectedError(names) from seen[0][1]


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """SIGALRM reaches main wherever it is: parked, computing, or in a system call."""

    def too_long(signum: int, frame: FrameType | None) -> None:
        pytest.fail(f"timeout: longer than {seconds} s\n\n{runtime.stack(all=True)}", pytrace=False)

    handler = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)


@contextlib.contextmanager
def _switches(item: pytest.Function, settings: _Settings) -> Iterator[None]:
    seed, every, everything = settings.seed, settings.switches.get("every"), settings.switches.get("all", False)
    if seed is None:
        yield
        return
    try:
        seeded = _race.seeded(seed, every=every, everything=everything)
        with seeded:
            yield
    except _race.Unavailable as e:
        pytest.skip(f"mark seed: {e}")
    except BaseException:
        item.add_report_section("call", "seed", f"race seed {seed}: pytest {item.nodeid!r}")
        raise


@contextlib.contextmanager
def _guard(item: pytest.Function, settings: _Settings) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        if settings.fail:
            stack.enter_context(_no_uncollected())
        if settings.leakcheck:
            stack.enter_context(_leakcheck.scope())
        if settings.timeout is not None and threading.current_thread() is threading.main_thread():
            stack.enter_context(_time_limit(settings.timeout))
        stack.enter_context(_switches(item, settings))
        try:
            yield
        except Deadlock:
            item.add_report_section("call", "goroutines", runtime.stack(all=True))
            raise


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    test: Callable[..., Any] = pyfuncitem.obj
    if inspect.iscoroutinefunction(test):
        yield
        return
    settings = _Settings(pyfuncitem)

    @functools.wraps(test)
    def guarded(*a: Any, **k: Any) -> Any:
        with _guard(pyfuncitem, settings):
            return test(*a, **k)

    pyfuncitem.obj = guarded
    try:
        yield
    finally:
        pyfuncitem.obj = test
