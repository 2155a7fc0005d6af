"""Go's golang.org/x/sync/semaphore: a weighted semaphore."""
# SPDX-License-Identifier: Apache-2.0

from ._gossamer import Weighted

__all__ = ["Weighted"]
