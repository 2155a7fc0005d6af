"""The goroutine in log records.

    gossamer.logging.install()
    logging.basicConfig(format="%(asctime)s %(goroutine)s %(message)s")

%(goroutine)s is what runtime.goid() says: 1 is main, 0 a thread that is no goroutine. %(thread)d needs no installation: it
is a number of the goroutine's own as well, though not the same one.
"""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from . import runtime

__all__ = ["install", "uninstall"]

_before: Callable[..., Any] | None = None


def _record(*args: Any, **kwargs: Any) -> Any:
    record = (_before or logging.LogRecord)(*args, **kwargs)
    record.goroutine = runtime.goid()
    return record


def install() -> None:
    """From now on every log record has an attribute goroutine. Keeps the record factory there was; more than once does
    nothing more."""
    global _before
    if logging.getLogRecordFactory() is not _record:
        _before = logging.getLogRecordFactory()
        logging.setLogRecordFactory(_record)


def uninstall() -> None:
    """The record factory there was before install(), unless somebody has set another one since."""
    if logging.getLogRecordFactory() is _record:
        logging.setLogRecordFactory(_before or logging.LogRecord)
