"""A store in numbers."""

from __future__ import annotations

import attrs

__all__ = ["Stats"]


@attrs.frozen(kw_only=True)
class Stats:
    """What the store holds and does.

    entries, size: committed, by all processes; size in bytes, body files included.
    pending, pending_size: changes of this process not yet committed, and their bytes.
    commits, dropped: groups committed and changes dropped since it was opened.
    open_files: body files kept open. map_size, map_used: bytes of the index's map.
    era: unclean stops of the operating system so far.
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
