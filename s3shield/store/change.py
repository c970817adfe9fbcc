"""What one write transaction does to the sub-databases of the index."""

from __future__ import annotations

from typing import Final

import attrs
import lmdb

from .record import Entry, RecordError
from .rows import ATIME, LRU, NOTHING, TOTALS, WEIGHT, Totals, Weight, text_row, weigh

__all__ = ["DATABASES", "Change", "Databases", "Row", "read_totals"]

_TOTALS_ROW: Final = b"totals"
DATABASES: Final = ("meta", "entries", "keys", "lru", "atime", "tags", "trash")


@attrs.frozen(eq=False)
class Databases:
    """The sub-databases; what is in them stands in `rows` (trash: blob id -> digest)."""

    meta: lmdb._Database
    entries: lmdb._Database
    keys: lmdb._Database
    lru: lmdb._Database
    atime: lmdb._Database
    tags: lmdb._Database
    trash: lmdb._Database


@attrs.define(eq=False)
class Row:
    """One change on its way to the index. entry: what to store, or None to remove it.

    minute: of the change. ident: bytes, 16, of this change in the `recent` environment,
    or None when it is not there. turn: its place in the queue.
    """

    digest: bytes
    entry: Entry | None
    minute: int
    ident: bytes | None = None
    turn: int = 0

    @property
    def memory(self) -> int:
        """Bytes that it holds until it is committed."""
        return 256 if self.entry is None else 256 + self.entry.memory


def read_totals(txn: lmdb.Transaction[bytes], dbs: Databases) -> Totals:
    """Return what the index holds as of this transaction."""
    packed = txn.get(_TOTALS_ROW, db=dbs.meta)
    return Totals(0, 0) if packed is None else Totals(*TOTALS.unpack(packed))


class Change:
    """One write transaction, and what it does to the totals.

    freed: (digest, blob id) of the body files that nothing names any more.
    """

    def __init__(self, txn: lmdb.Transaction[bytes], dbs: Databases) -> None:
        self.txn = txn
        self.freed: list[tuple[bytes, bytes]] = []
        self._dbs = dbs
        self._before = read_totals(txn, dbs)
        self._size, self._entries = self._before

    def finish(self) -> None:
        """Write the totals."""
        if (self._size, self._entries) != self._before:
            packed = TOTALS.pack(max(0, self._size), max(0, self._entries))
            self.txn.put(_TOTALS_ROW, packed, db=self._dbs.meta)

    def put(self, entry: Entry, minute: int) -> None:
        """Store `entry` in place of what has its digest."""
        txn, dbs, digest = self.txn, self._dbs, entry.digest
        raw = entry.raw
        weight = weigh(len(raw), entry.on_disk)
        old = self._old(digest)
        self._unweigh(digest)
        if old is not None:
            self._unlist(old, entry)
        packed = WEIGHT.pack(*weight)
        txn.put(digest, raw, db=dbs.entries)
        txn.put(digest, ATIME.pack(minute, *weight), db=dbs.atime)
        txn.put(LRU.pack(minute, digest), packed, db=dbs.lru)
        if old is None or old.key != entry.key:
            txn.put(text_row(entry.key, digest), b"", db=dbs.keys)
        for tag in entry.tags:
            txn.put(text_row(tag, digest), b"", db=dbs.tags)
        self._size += weight.size
        self._entries += 1

    def remove(self, digest: bytes) -> Weight:
        """Remove what has `digest`; return its weight."""
        old = self._old(digest)
        if old is not None:
            self._unlist(old, None)
        self.txn.delete(digest, db=self._dbs.entries)
        return self._unweigh(digest)

    def touch(self, digest: bytes, minute: int) -> None:
        """Move the entry's LRU row to `minute`."""
        txn, dbs = self.txn, self._dbs
        row = txn.get(digest, db=dbs.atime)
        if row is None:
            return
        before, size, disk = ATIME.unpack(row)
        if before < minute:
            txn.delete(LRU.pack(before, digest), db=dbs.lru)
            txn.put(LRU.pack(minute, digest), WEIGHT.pack(size, disk), db=dbs.lru)
            txn.put(digest, ATIME.pack(minute, size, disk), db=dbs.atime)

    def _old(self, digest: bytes) -> Entry | None:
        raw = self.txn.get(digest, db=self._dbs.entries)
        if raw is None:
            return None
        try:
            return Entry(raw, digest)
        except RecordError:
            return None

    def _unweigh(self, digest: bytes) -> Weight:
        row = self.txn.pop(digest, db=self._dbs.atime)
        if row is None:
            return NOTHING
        minute, size, disk = ATIME.unpack(row)
        self.txn.delete(LRU.pack(minute, digest), db=self._dbs.lru)
        self._size -= size
        self._entries -= 1
        return Weight(size, disk)

    def _unlist(self, old: Entry, new: Entry | None) -> None:
        """Remove the rows that lead to `old`, but those that `new` has as well."""
        txn, dbs, digest = self.txn, self._dbs, old.digest
        if new is None or new.key != old.key:
            txn.delete(text_row(old.key, digest), db=dbs.keys)
        for tag in old.tags:
            txn.delete(text_row(tag, digest), db=dbs.tags)
        if old.blob is not None and (new is None or new.blob != old.blob):
            # Remembered until it is deleted, in case we are killed before.
            txn.put(old.blob, digest, db=dbs.trash)
            self.freed.append((digest, old.blob))
