"""What phases have of the process that they are in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

__all__ = ["Process"]


@attrs.frozen
class Process:
    """What phases have of their process.

    reactor: the running one. clock: wall time, seconds since the epoch; monotonic: for
    durations. memory: descriptor of what all worker processes share, see `counts`; None: there
    is but this process.
    """

    reactor: Any
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    memory: int | None = None
