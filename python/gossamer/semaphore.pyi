# SPDX-License-Identifier: Apache-2.0
from ._gossamer import Weighted as Weighted

__all__ = ["Weighted"]
