"""What to fetch ahead of a reader of a body with gaps. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from s3shield.store import Blocks

__all__ = ["STRETCH", "sequential_stretch", "stretches"]

STRETCH: Final = 8
"""Blocks that one connection of several is asked for at a time."""

Span = tuple[int, int]
"""Half-open, in bytes; begins at a block's start."""


def stretches(
    blocks: Blocks, running: Sequence[Span], position: int, end: int, connections: int
) -> list[Span]:
    """Return what to ask for, each on a connection of its own, for a reader at `position`.

    running: what is on its way. end: up to where the reader reads. connections: how many
    there may be in all (`range_connections`). What is ahead of the reader stays bounded:
    nothing begins more than so many stretches after it.
    """
    stretch = STRETCH << blocks.shift
    at = blocks.start_of(position)
    limit = min(end, at + connections * stretch)  # of starts: none is cut short by it
    found: list[Span] = []
    while len(running) + len(found) < connections and at < limit:
        missing = _missing(blocks, running, at, limit)
        if missing is None:
            break
        begun = [start for start, _ in running if start > missing]
        stop = min([blocks.gap_end(missing, min(end, missing + stretch)), *begun])
        found.append((missing, stop))
        at = stop
    return found


def sequential_stretch(
    blocks: Blocks, running: Sequence[Span], position: int, ahead: int
) -> Span | None:
    """Return what to fetch for one who has read up to `position` and will go on, or None.

    ahead: bytes (`read_ahead`). Nothing while half of them are there or on their way: then
    many short reads make few requests.
    """
    limit = min(blocks.size, position + ahead)
    missing = _missing(blocks, running, blocks.start_of(position), limit)
    if missing is None or missing >= position + ahead // 2:
        return None
    begun = [start for start, _ in running if start > missing]
    return missing, min([blocks.gap_end(missing, limit), *begun])


def _missing(blocks: Blocks, running: Sequence[Span], at: int, limit: int) -> int | None:
    """Return the first block's start from `at` on that is neither there nor on its way."""
    while at < limit:
        covering = [stop for start, stop in running if start <= at < stop]
        if covering:
            at = max(covering)
        elif blocks.has(at >> blocks.shift):
            at = blocks.start_of(at) + (1 << blocks.shift)
        else:
            return at
    return None
