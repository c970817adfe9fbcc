"""The entries that were read lately, as objects: not to be read and taken apart each time.

Not a cache of its own: the index asks for one with the number of its present snapshot,
and one that was read from another snapshot is none.
"""

from __future__ import annotations

from collections.abc import MutableSequence
from typing import Final

from .record import Entry

__all__ = ["Lately"]

_MEMORY: Final = 8 << 20


class Lately:
    """Two generations of entries: those read since the younger began, and those before.

    latest: `[0]` is the index's last write transaction, as of this instant; see `latest`.
    young, old: digest -> Entry. A new generation begins when the younger holds `limit`
    bytes, and what the older has is forgotten, used or not: to move what is used costs more
    than to read it again now and then. For one thread.
    """

    __slots__ = ("_limit", "_memory", "latest", "old", "young")

    def __init__(self, latest: MutableSequence[int] | memoryview, limit: int = _MEMORY) -> None:
        self.latest = latest
        self.young: dict[bytes, Entry] = {}
        self.old: dict[bytes, Entry] = {}
        self._limit = limit
        self._memory = 0  # of the younger

    def add(self, entry: Entry) -> None:
        """Note that `entry` was read, in place of what has its digest."""
        memory = self._memory + entry.memory
        replaced = self.young.get(entry.digest)
        if replaced is not None:
            memory -= replaced.memory
        if memory > self._limit:
            self.old, self.young, memory = self.young, {}, entry.memory
        self.young[entry.digest] = entry
        self._memory = memory
