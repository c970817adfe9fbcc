"""Timeouts of many connections for the price of one timer.

A timer per connection that every request moves costs more than answering the
request from memory. Here a connection stands in a bucket, the second at which
someone must look at it again; only when that second comes is it asked what its
deadline is by now.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["Deadlines", "Progress", "Timed"]


class Timed(Protocol):
    """Something with a deadline that moves."""

    def look(self, now: float) -> float | None:
        """Act if the deadline has passed.

        Return the second at which to look again, or None for never.
        """


class Progress:
    """Tells how long something has stood still, looked at now and then."""

    __slots__ = ("_mark", "_moved")

    def __init__(self) -> None:
        self._mark: object = None
        self._moved = 0.0

    def idle(self, mark: object, now: float) -> float:
        """Return the seconds since `mark` was another one."""
        if mark != self._mark:
            self._mark = mark
            self._moved = now
        return now - self._moved

    def rest(self) -> None:
        """There is nothing that could move: the next look counts from its own time."""
        self._mark = None


class Deadlines:
    """Looks at each watched thing when its second has come.

    clock: arms the one timer, once a second while anything is watched. monotonic: the
    time in seconds, by which `watch` and `look` count. A deadline is noticed up to a
    second late, never early.
    """

    def __init__(self, clock: IReactorTime, monotonic: Callable[[], float]) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._buckets: dict[int, set[Timed]] = {}
        self._second: dict[Timed, int] = {}
        self._timer: IDelayedCall | None = None

    def watch(self, item: Timed, when: float) -> None:
        """Look at `item` at the second `when`, instead of when it was to be looked at."""
        second = math.ceil(when)
        before = self._second.get(item)
        if before == second:
            return
        if before is not None:
            self._leave(item, before)
        self._second[item] = second
        bucket = self._buckets.get(second)
        if bucket is None:
            bucket = self._buckets[second] = set()
        bucket.add(item)
        if self._timer is None:
            self._timer = self._clock.callLater(1, self._tick)

    def forget(self, item: Timed) -> None:
        """Do not look at `item` any more."""
        second = self._second.pop(item, None)
        if second is not None:
            self._leave(item, second)
        if not self._second and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _leave(self, item: Timed, second: int) -> None:
        bucket = self._buckets[second]
        bucket.discard(item)
        if not bucket:
            del self._buckets[second]

    def _tick(self) -> None:
        self._timer = None
        now = self._monotonic()
        due = sorted(second for second in self._buckets if second <= now)
        items = [item for second in due for item in self._buckets[second]]
        for item in items:
            if item not in self._second:
                continue  # forgotten by another one's look
            again = item.look(now)
            if again is None:
                self.forget(item)
            elif item in self._second:
                self.watch(item, max(again, now + 0.001))
        if self._second and self._timer is None:
            self._timer = self._clock.callLater(1, self._tick)
