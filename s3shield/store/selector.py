"""What a purge names, and the log by which processes hear of each other's purges.

What is fetched while a purge is made must not be stored when it arrives. So whoever
fetches notes the *fence*, the size of the log, when it begins, and stores only what no
purge since then has named. To compare two sizes costs one system call.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Literal

import attrs
import lmdb

from s3shield.policy import NEVER, EntryFlag

from .change import Databases
from .record import Entry, refreshed
from .rows import TEXT_LIMIT

__all__ = ["PurgeLog", "Selector", "is_response", "select", "softened"]

Kind = Literal["key", "prefix", "tag", "all"]
_KINDS: Final[tuple[Kind, ...]] = ("key", "prefix", "tag", "all")
_ROW: Final = struct.Struct("<IB")
_MARKS: Final = int(EntryFlag.VARIANTS | EntryFlag.HIT_FOR_MISS | EntryFlag.CODED)


@attrs.frozen
class Selector:
    """Which entries of a store are meant.

    text: bytes: a cache key's (with all its variants), or the beginning of keys, or a tag.
    """

    kind: Kind
    text: bytes = b""

    def matches(self, key: bytes, tags: Iterable[bytes]) -> bool:
        """Tell whether an entry with this key text and these tags is meant."""
        if self.kind == "key":
            return key == self.text or key.startswith(self.text + b"\0")
        if self.kind == "prefix":
            return key.startswith(self.text)
        return self.kind == "all" or self.text in tags


class PurgeLog:
    """The purges in the file at `path`: rows of length (u32), kind (u8) and text.

    anew: nobody else has it: begin an empty one. Raises OSError.
    """

    def __init__(self, path: Path, *, anew: bool) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._handle = os.open(path, flags | (os.O_TRUNC if anew else 0), 0o600)

    def close(self) -> None:
        """Let go of the file."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def fence(self) -> int:
        """Return what stands for now in `names`."""
        return 0 if self._handle < 0 else os.fstat(self._handle).st_size

    def add(self, selector: Selector) -> None:
        """Let every process know. Raises OSError."""
        row = _ROW.pack(len(selector.text), _KINDS.index(selector.kind)) + selector.text
        if os.write(self._handle, row) < len(row):
            # Half a row names everything, see `_rows`, but the next one must begin well.
            raise OSError("the log of purges is cut short")

    def names(self, fence: int, key: bytes, tags: Iterable[bytes]) -> bool:
        """Tell whether a purge since `fence` means an entry with this key and these tags."""
        size = self.fence()
        if size == fence:
            return False
        if size < fence:
            return True  # another log: nobody knows what happened meanwhile
        tail = os.pread(self._handle, size - fence, fence)
        return any(selector.matches(key, tags) for selector in _rows(tail))


def _rows(data: bytes) -> Iterator[Selector]:
    at = 0
    while at < len(data):
        start = at + _ROW.size
        if start > len(data):
            break
        length, kind = _ROW.unpack_from(data, at)
        at = start + length
        if at > len(data) or kind >= len(_KINDS):
            break
        yield Selector(_KINDS[kind], data[start:at])
    else:
        return
    yield Selector("all")  # what cannot be read may mean anything


def is_response(entry: Entry) -> bool:
    """Tell a response from a mark, and from a coded form of one."""
    return not entry.flags & _MARKS


def softened(entry: Entry) -> Entry:
    """Return the entry stale at once: to be validated, or to stand in for an error."""
    meta = attrs.evolve(entry.meta, fresh_until=NEVER, swr_until=NEVER)
    return Entry(refreshed(entry, meta, entry.head), entry.digest)


def select(
    txn: lmdb.Transaction[bytes],
    dbs: Databases,
    selector: Selector,
    resume: bytes | None,
    limit: int,
) -> tuple[list[bytes], bytes | None]:
    """Return digests that `selector` may mean, and the row to resume at (None: the end).

    Texts longer than their rows are not told apart here: see the entry itself.
    """
    prefix = selector.text[:TEXT_LIMIT]
    if selector.kind in ("key", "tag"):
        prefix += b"\0"
    db = dbs.tags if selector.kind == "tag" else dbs.keys
    if selector.kind == "all":
        db = dbs.entries
    digests: list[bytes] = []
    start = resume or prefix
    with txn.cursor(db) as cursor:
        if not (cursor.set_range(start) if start else cursor.first()):
            return digests, None
        for row in cursor.iternext(keys=True, values=False):
            if not row.startswith(prefix):
                break
            if len(digests) == limit:
                return digests, bytes(row)
            digests.append(row[-16:])
    return digests, None
