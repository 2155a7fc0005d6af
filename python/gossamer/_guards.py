"""What stands before a service: limits, breakers, checks of its health (gossamer.patterns)."""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock  # a Mutex would obey a context that has ended
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from ._gossamer import Canceled, Context, Error, Goroutine, Limiter, Ticker, background, go, with_cancel

if TYPE_CHECKING:
    from types import TracebackType
    from typing import ParamSpec, Self

    _P = ParamSpec("_P")

_T = TypeVar("_T")


class TokenBucket:
    """rate tokens a second come into it, and it holds burst; it begins full."""

    def __init__(self, rate: float, burst: int) -> None:
        self._limiter = Limiter(rate, burst)

    def take(self, n: int = 1, timeout: float | None = None, *, ctx: Context | None = None) -> None:
        """Waits until there are n. At once: ValueError when it never holds as many, TimeoutError when they would come
        too late."""
        self._limiter.wait(n, timeout, ctx=ctx)

    def try_take(self, n: int = 1) -> bool:
        return self._limiter.allow(n)

    @property
    def tokens(self) -> float:
        """Below 0: what those who wait have taken in advance."""
        return self._limiter.tokens


class CircuitOpen(Error):
    """The call was not made, as those before it have failed. seconds: until one is tried again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the circuit is open for another {max(seconds, 0):.3g} s")
        self.seconds = max(seconds, 0.0)


class CircuitBreaker:
    """After threshold failures in a row calls raise CircuitOpen for timeout seconds. Then it is half-open: trials calls at
    once are let through; the first that succeeds closes it, one that fails opens it again. errors says which exceptions
    are failures."""

    def __init__(
        self,
        threshold: int = 5,
        timeout: float = 30.0,
        *,
        trials: int = 1,
        errors: type[BaseException] | tuple[type[BaseException], ...] = Exception,
    ) -> None:
        if threshold < 1 or trials < 1 or not timeout >= 0:
            raise ValueError("threshold and trials are positive, and timeout is not negative")
        self._threshold, self._timeout, self._trials, self._errors = threshold, timeout, trials, errors
        self._lock = Lock()
        self._failures = self._trying = 0
        self._opened: float | None = None
        self._era = 0  # of its state: calls of an earlier one no longer count

    @property
    def state(self) -> str:
        """"closed", "open" or "half-open"."""
        with self._lock:
            if self._opened is None:
                return "closed"
            return "open" if monotonic() < self._opened + self._timeout else "half-open"

    def call(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """fn(*args, **kwargs), whose exceptions are passed on; or CircuitOpen."""
        era = self._enter()
        failed: bool | None = None  # it says nothing of the service
        try:
            r = fn(*args, **kwargs)
            failed = False
            return r
        except self._errors:
            failed = True
            raise
        finally:
            self._leave(era, failed)

    def _enter(self) -> int:
        with self._lock:
            if self._opened is not None:
                left = self._opened + self._timeout - monotonic()
                if left > 0 or self._trying >= self._trials:
                    raise CircuitOpen(left)
                self._trying += 1
            return self._era

    def _leave(self, era: int, failed: bool | None) -> None:
        with self._lock:
            if era != self._era:
                return
            if self._opened is not None:
                self._trying -= 1
            if failed:
                self._failures += 1
                if self._opened is not None or self._failures >= self._threshold:
                    self._change(monotonic())
            elif failed is False:
                self._failures = 0
                if self._opened is not None:
                    self._change(None)

    def _change(self, opened: float | None) -> None:
        self._opened, self._failures, self._trying = opened, 0, 0
        self._era += 1


@dataclass(frozen=True)
class Health:
    """What a check has found: it fails by raising error, TimeoutError if it takes too long."""

    ok: bool
    error: BaseException | None
    seconds: float


class HealthChecker:
    """Checks by name, each a function that raises when something is wrong, run at the same time: by run(), and every
    interval seconds between start() and stop(), or inside `with`. One that takes longer than timeout seconds has failed,
    and is not run again before it has ended."""

    def __init__(
        self, checks: Mapping[str, Callable[[], object]], *, interval: float = 30.0, timeout: float = 5.0
    ) -> None:
        if not interval > 0 or not timeout > 0:
            raise ValueError("interval and timeout are positive")
        self._checks = dict(checks)
        self._interval, self._timeout = interval, timeout
        self._lock = Lock()
        self._running: dict[str, Goroutine[Health]] = {}
        self._latest: dict[str, Health] = {}
        self._ctx: Context | None = None
        self._loop: Goroutine[None] | None = None

    @property
    def status(self) -> dict[str, Health]:
        """What was found last."""
        with self._lock:
            return dict(self._latest)

    @property
    def healthy(self) -> bool:
        """Every check was well when it was last run, and has been run."""
        status = self.status
        return all(name in status and status[name].ok for name in self._checks)

    def run(self) -> dict[str, Health]:
        """Runs all checks now."""
        began = monotonic()
        found = {name: self._result(g, began) for name, g in [(n, self._begin(n)) for n in self._checks]}
        with self._lock:
            self._latest = found
        return dict(found)

    def _begin(self, name: str) -> Goroutine[Health]:
        with self._lock:
            g = self._running.get(name)
            if g is None or g.status == "dead":
                g = self._running[name] = go(_measure, self._checks[name])
            return g

    def _result(self, g: Goroutine[Health], began: float) -> Health:
        try:
            return g.join(max(began + self._timeout - monotonic(), 0), ctx=background())
        except TimeoutError as e:
            return Health(False, e, monotonic() - began)

    def start(self) -> None:
        """Runs them now and then, until stop(). RuntimeError: it does so already."""
        with self._lock:
            if self._loop is not None:
                raise RuntimeError("the checks are run already")
            self._ctx = with_cancel(background())
            self._loop = go(self._keep, self._ctx)

    def _keep(self, ctx: Context) -> None:
        with Ticker(self._interval) as ticker:
            while not ctx.err():
                self.run()
                ticker.C.recv(ctx=ctx)

    def stop(self) -> None:
        """Waits for a run that has begun."""
        with self._lock:
            loop, self._loop, ctx = self._loop, None, self._ctx
        if loop is not None and ctx is not None:
            ctx.cancel()
            with suppress(Canceled):
                loop.join(ctx=background())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _measure(check: Callable[[], Any]) -> Health:
    began = monotonic()
    error: BaseException | None = Error("it ended its goroutine")
    try:
        check()
        error = None
    except BaseException as e:
        error = e
    return Health(error is None, error, monotonic() - began)
