"""Which entries make room: a plan, no deed. Pure.

nginx's rules: least recently used first while the cache is larger than `max_size` or
the disk has less than `min_free`; and whatever nobody used for `inactive`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from .rows import LruRow, minute_of

__all__ = ["STEP", "TARGET", "Budget", "Limits", "budget", "plan"]

TARGET: Final = 0.98
"""Part of `max_size` that is left once it has been exceeded, so as not to start at every store."""
STEP: Final = 256
"""Entries removed in one transaction."""


@attrs.frozen(kw_only=True)
class Limits:
    """How large a store may become.

    max_size: int, bytes, or None for no limit. min_free: int, bytes to leave free on the
    file system. inactive: float, seconds without use after which an entry goes, or None.
    """

    max_size: int | None = None
    min_free: int = 0
    inactive: float | None = None


@attrs.frozen(kw_only=True)
class Budget:
    """What has to go.

    size: int, bytes in all. disk: int, bytes of body files among them. before: int, the
    minute; entries last used in an earlier one go in any case (0: none do).
    """

    size: int = 0
    disk: int = 0
    before: int = 0

    def less(self, size: int, disk: int) -> Budget:
        """Return what is left to go after `size` and `disk` bytes went."""
        return attrs.evolve(self, size=max(0, self.size - size), disk=max(0, self.disk - disk))


def budget(total: int, free: int, now: float, limits: Limits) -> Budget:
    """Return what has to go from a store of `total` bytes on a disk with `free` left."""
    size = 0
    if limits.max_size is not None and total > limits.max_size:
        size = total - int(limits.max_size * TARGET)
    before = 0
    if limits.inactive is not None:
        before = max(0, minute_of(now - limits.inactive))
    return Budget(size=size, disk=max(0, limits.min_free - free), before=before)


def plan(rows: Iterable[LruRow], wanted: Budget, limit: int = STEP) -> list[LruRow]:
    """Return the rows to remove, at most `limit`, of `rows` in LRU order.

    Only body files give bytes back to the disk: the index's file never shrinks, so
    entries without one stay when it is the disk that is short.
    """
    chosen: list[LruRow] = []
    size = disk = 0
    for row in rows:
        if len(chosen) >= limit:
            break
        inactive = row.minute < wanted.before
        short = size < wanted.size or (disk < wanted.disk and row.weight.disk)
        if inactive or short:
            chosen.append(row)
            size += row.weight.size
            disk += row.weight.disk
        elif size >= wanted.size and disk >= wanted.disk:
            break  # the rows to come are younger still
    return chosen
