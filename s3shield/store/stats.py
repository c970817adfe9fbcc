"""A store in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs
import lmdb

from .index import IndexClosedError
from .rows import Totals

if TYPE_CHECKING:
    from .committing import Committing
    from .place import Place

__all__ = ["Stats", "collect"]


@attrs.frozen(kw_only=True)
class Stats:
    """What the store holds and does.

    entries, size: committed, by all processes; size in bytes, body files included.
    pending, pending_size: changes of this process not yet committed, and their bytes.
    commits, dropped: groups committed and changes dropped since it was opened.
    open_files: body files kept open. map_size, map_used: bytes of the index's map.
    era: unclean stops of the operating system so far. evicted: entries that this process removed
    to make room, by reason: inactive, size (max_size), disk (min_free), full (the disk itself).
    """

    entries: int
    size: int
    pending: int
    pending_size: int
    commits: int
    dropped: int
    open_files: int
    map_size: int
    map_used: int
    era: int
    evicted: Mapping[str, int]


def collect(place: Place, committing: Committing, pending: int, open_files: int) -> Stats:
    """Count. pending: changes not committed. open_files: body files kept open."""
    try:
        totals = place.index.totals()
    except (lmdb.Error, IndexClosedError):
        totals = Totals(0, 0)
    map_size, map_used = place.index.space()
    return Stats(
        entries=totals.entries,
        size=totals.size,
        pending=pending,
        pending_size=committing.commits.memory,
        commits=committing.done,
        dropped=committing.dropped,
        open_files=open_files,
        map_size=map_size,
        map_used=map_used,
        era=place.era,
        evicted=dict(committing.evicted),
    )
