"""Go's sync/atomic: values that goroutines and threads change in one step."""
# SPDX-License-Identifier: Apache-2.0

from ._gossamer import Bool, Int, Ref

__all__ = ["Bool", "Int", "Ref"]
