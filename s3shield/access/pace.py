"""How fast a response goes: what `limit_rate` and `limit_rate_after` allow."""

from __future__ import annotations

__all__ = ["Pace"]

_AHEAD = 1.0
"""Seconds' worth that may go at once, as at nginx's beginning of a response."""
_ROUNDING = 1e-6
_STEPS = 8
"""Pieces into which a second's worth is cut."""


class Pace:
    """The pace of one response. Times are monotonic seconds.

    rate: bytes each second. after: bytes before it counts. In any time of t seconds no more
    than `rate * (t + 1)` bytes go: what a client did not take in time it does not get all
    at once.
    """

    __slots__ = ("_free", "_paid", "_rate", "step")

    def __init__(self, rate: int, after: int = 0) -> None:
        self._rate = rate
        self._free = after
        self._paid: float | None = None  # up to when what was sent is paid for
        self.step = max(rate // _STEPS, 1)
        """Bytes that are worth waiting for."""

    def ready(self, now: float) -> int:
        """Return how many bytes may go at `now`."""
        earliest = now - _AHEAD
        if self._paid is None or self._paid < earliest:
            self._paid = earliest
        return self._free + max(int((now - self._paid) * self._rate + _ROUNDING), 0)

    def sent(self, size: int) -> None:
        """So many bytes went, no more than were `ready`."""
        free = min(size, self._free)
        self._free -= free
        if self._paid is not None:
            self._paid += (size - free) / self._rate

    def wait(self, now: float, size: int) -> float:
        """Return the seconds until `size` bytes, at most a second's worth, may go."""
        if self._paid is None:
            return 0.0
        return max(self._paid + (size - self._free) / self._rate - now, 0.0)
