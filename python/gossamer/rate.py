"""Go's golang.org/x/time/rate: so many events a second, so many at a time."""
# SPDX-License-Identifier: Apache-2.0

from math import inf

from ._gossamer import Limiter, Reservation

__all__ = ["Limiter", "Reservation", "every", "inf"]


def every(d: float) -> float:
    """The rate of one event every d seconds; inf for d <= 0. Go: rate.Every."""
    if d != d:
        raise ValueError("a duration must not be NaN")
    return 1 / d if d > 0 else inf
