"""rate.Limiter: the core's bucket of tokens."""
# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors

from __future__ import annotations

import math

from .core import CANCELED, FOREVER, INVAL, NULL, OK, TIMEDOUT, ffi, lib
from .errors import NoCopy, error_of, final
from .wait import ENDED, Call, deadline_of, failed, obeyed, wait

_INT_MAX = (1 << 31) - 1


def _read_limit(limit):
    if isinstance(limit, (str, bytes, bytearray)):
        raise TypeError(f"must be real number, not {type(limit).__name__}")
    limit = float(limit)
    if not limit >= 0:
        raise ValueError("a rate must not be negative or NaN")
    return limit


def _read_count(n):
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"an int is needed, not {type(n).__name__}")
    if n < 0:
        raise ValueError("a number of tokens must not be negative")
    return min(n, _INT_MAX)


@final("gossamer.rate", made_by_call=False)
class Reservation(NoCopy):
    """Tokens promised by Limiter.reserve(): wait delay() seconds, then go ahead. Go: rate.Reservation."""

    __slots__ = ("_limiter", "_r")

    @property
    def ok(self):
        """False: it can never happen, it is more than the burst. Go: Reservation.OK."""
        return bool(self._r.ok)

    def delay(self):
        """Seconds until it may happen; inf: never. Go: Reservation.Delay."""
        if not self._r.ok or self._r.at == FOREVER:
            return math.inf
        return max(0.0, (self._r.at - lib.gos_now()) / 1e9)

    def cancel(self):
        """It will not happen: gives the tokens back that no later reservation has built upon. Go:
        Reservation.Cancel."""
        lib.gos_reservation_cancel(self._r)


@final("gossamer.rate")
class Limiter(NoCopy):
    """Limiter(limit, burst)

    Events at limit a second (rate.inf: no limit; rate.every(d): one every d seconds), at most burst at a
    time: a bucket of burst tokens, full at first. For goroutines and threads. Go: rate.Limiter.
    """

    __slots__ = ("__weakref__", "_l")

    def __init__(self, limit, burst):
        x = lib.gos_limiter_new(_read_limit(limit), _read_count(burst))
        if x == NULL:
            raise error_of(-6, "limiter")
        self._l = ffi.gc(x, lib.gos_limiter_free)

    @property
    def limit(self):
        """Tokens a second."""
        return lib.gos_limiter_limit(self._l)

    @property
    def burst(self):
        """The most tokens there are at a time."""
        return lib.gos_limiter_burst(self._l)

    @property
    def tokens(self):
        """Those there are now; negative: promised to reservations. Go: Tokens."""
        return lib.gos_limiter_tokens(self._l)

    def allow(self, n=1, /):
        """Takes n tokens if they are there; says whether it did. Go: AllowN."""
        return lib.gos_limiter_allow(self._l, _read_count(n)) == 1

    def reserve(self, n=1, /):
        """Takes n tokens for when they will be there: see Reservation. Go: ReserveN."""
        r = object.__new__(Reservation)
        r._limiter, r._r = self, ffi.new("gos_reservation *")
        lib.gos_limiter_reserve(self._l, _read_count(n), r._r)
        return r

    def wait(self, n=1, /, timeout=None, *, ctx=None):
        """Waits until n tokens are there and takes them. TimeoutError at once when that would be later than timeout
        (seconds) from now or the deadline of ctx; ValueError when n is more than the burst. Then, and when it is
        interrupted, no token was taken. Go: WaitN."""
        n, deadline, ctx = _read_count(n), deadline_of(timeout), obeyed(ctx, "wait")
        if ctx is not None and lib.gos_ctx_err(ctx._x) and lib.gos_limiter_wait_ctx(self._l, n, ctx._x) != INVAL:
            raise failed(ENDED, ctx, "wait")  # it takes nothing; what was given back too late would be lost
        r = self.reserve(n)
        if not r.ok:
            raise ValueError(f"{n} tokens are more than the limiter's burst")
        e = TIMEDOUT
        try:
            e = self._sleep(r._r.at, deadline, ctx)
        finally:
            if e != OK:
                r.cancel()
        if e != OK:
            raise failed(e, ctx, "wait would exceed the timeout")

    @staticmethod
    def _sleep(at, deadline, ctx):
        if ctx is not None:
            if lib.gos_ctx_err(ctx._x):
                return ENDED
            t = ffi.new("gos_ns *")
            lib.gos_ctx_deadline(ctx._x, t)
            deadline = min(deadline, t[0])
        if at <= lib.gos_now():
            return OK
        if at > deadline:
            return TIMEDOUT
        e = wait(at, ctx, Call(lib.gos_chan_recv_dl, lib.gos_chan_recv_ctx, NULL, NULL), "sleep")
        return e if e in (CANCELED, ENDED) else OK

    def set_limit(self, limit, /):
        """From now on so many tokens a second. Go: SetLimit."""
        lib.gos_limiter_set_limit(self._l, _read_limit(limit))

    def set_burst(self, burst, /):
        """From now on at most so many at a time. Go: SetBurst."""
        lib.gos_limiter_set_burst(self._l, _read_count(burst))
