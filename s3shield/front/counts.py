"""What `limit_req` and `limit_conn` count by key, alike for all worker processes.

Theory of operation. One piece of memory of a fixed size, which all workers map: the
parent makes it, and it lives as long as that. Two tables lie in it, each of sets of 8
places; the digest of a key says which set. A place of the first is a bucket, see
`access.leaky`; of the second, how many requests are under way, in all and for each process in
a column of its own, so that what a process that was killed has left behind can be told from
the rest: who takes its column next takes that back. A lock on one byte of the file
guards it for a few microseconds at a time; the kernel lets go of it when a process dies.

Nothing here grows. In a set without room the bucket that is the first to be empty gives
way, mostly one that is empty already: a flood of new keys costs old ones their memory of
a few requests. Of requests under way none is forgotten: a key for which there is no place
is over its limit, as in nginx.

Time is the monotonic clock's, which all processes of a machine share.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Final

from s3shield.access import Bucket, Leak, pour

__all__ = ["Counts", "digests"]

WAYS: Final = 8
SETS: Final = 16_384
"""Sets of buckets: 131,072 keys."""
CONN_SETS: Final = 2_048
"""Sets of counts: 16,384 keys with requests under way."""
COLUMNS: Final = 128
"""Processes that may count, old and new ones during a reload together."""

_PIDS: Final = struct.Struct(f"<{COLUMNS}Q")
_PID: Final = struct.Struct("<Q")
_PLACE: Final = struct.Struct("<16sqqq")  # digest, last, excess, when it is empty
_BUCKETS: Final = struct.Struct("<" + "16sqqq" * WAYS)
_TOTAL: Final = struct.Struct("<16sI")
_COUNT: Final = struct.Struct("<H")
_COLUMNS: Final = struct.Struct(f"<{COLUMNS}H")
_CONN_SIZE: Final = _TOTAL.size + COLUMNS * _COUNT.size
_FIRST: Final = 4096
_SECOND: Final = _FIRST + SETS * _BUCKETS.size
_SIZE: Final = _SECOND + CONN_SETS * WAYS * _CONN_SIZE
_MOST: Final = 65_535


def digests(what: bytes) -> Callable[[bytes], bytes]:
    """Return what makes of a key the 16 bytes by which it is known.

    what: which lines count it together.
    """
    begun = blake2b(digest_size=16, key=blake2b(what, digest_size=32).digest())

    def digest(key: bytes) -> bytes:
        made = begun.copy()
        made.update(key)
        return made.digest()

    return digest


class Counts:
    """The counts, as one process has them.

    file: descriptor of the parent's memory; None: no other process counts. It stays the
    caller's, open for as long as this is used. Raises OSError.
    """

    def __init__(self, file: int | None = None) -> None:
        self._file = file
        self._own = _TOTAL.size  # where in a place this process counts
        if file is None:
            self._memory = mmap.mmap(-1, _SIZE)
            return
        self._lock()
        try:
            if os.fstat(file).st_size < _SIZE:
                os.ftruncate(file, _SIZE)
            self._memory = mmap.mmap(file, _SIZE)
            self._own += self._take_column() * _COUNT.size
        finally:
            self._unlock()

    # limit_req

    def pour(self, asked: Sequence[tuple[bytes, Leak]], now: int) -> tuple[int, int]:
        """Count a request at millisecond `now`: (milliseconds to wait or REFUSED, by which).

        asked: digest and numbers of each limit that it is under.
        """
        self._lock()
        try:
            places = [self._bucket(key) for key, _ in asked]
            wait, which, after = pour(
                [(each[1], place[1]) for each, place in zip(asked, places, strict=True)], now
            )
            for (key, leak), (at, _), (last, excess) in zip(asked, places, after, strict=False):
                # From then on a request finds what the first one of a key does.
                empty = last + (excess + 1000) * 1000 // leak.rate
                _PLACE.pack_into(self._memory, at, key, last, excess, empty)
        finally:
            self._unlock()
        return wait, which

    def _bucket(self, key: bytes) -> tuple[int, Bucket | None]:
        """Return the offset of a key's place and what is in it; None: it was another's."""
        base = _FIRST + int.from_bytes(key[:4], "little") % SETS * _BUCKETS.size
        row = _BUCKETS.unpack_from(self._memory, base)
        for way in range(WAYS):
            if row[way * 4] == key:
                return base + way * _PLACE.size, (row[way * 4 + 1], row[way * 4 + 2])
        # One that nobody has taken was empty at 0.
        way = min(range(WAYS), key=lambda way: row[way * 4 + 3])
        return base + way * _PLACE.size, None

    # limit_conn

    def enter(self, key: bytes, most: int) -> int:
        """Count one more request of a key under way; 0: there are `most` already.

        Returns the place where it is counted, for `leave`: it stays where it is meanwhile.
        """
        memory, free = self._memory, 0
        base = _SECOND + int.from_bytes(key[:4], "little") % CONN_SETS * WAYS * _CONN_SIZE
        self._lock()
        try:
            for place in range(base, base + WAYS * _CONN_SIZE, _CONN_SIZE):
                known, total = _TOTAL.unpack_from(memory, place)
                if known == key:
                    return self._add(place, key, total) if total < most else 0
                if not total and not free:
                    free = place
            return self._add(free, key, 0) if free else 0
        finally:
            self._unlock()

    def leave(self, place: int) -> None:
        """A request that `enter` counted is over."""
        at = place + self._own
        self._lock()
        try:
            key, total = _TOTAL.unpack_from(self._memory, place)
            (own,) = _COUNT.unpack_from(self._memory, at)
            if own:
                _COUNT.pack_into(self._memory, at, own - 1)
                _TOTAL.pack_into(self._memory, place, key, max(total - 1, 0))
        finally:
            self._unlock()

    def under_way(self, key: bytes) -> int:
        """Return how many requests of a key there are, in all processes."""
        base = _SECOND + int.from_bytes(key[:4], "little") % CONN_SETS * WAYS * _CONN_SIZE
        places = range(base, base + WAYS * _CONN_SIZE, _CONN_SIZE)
        rows = [_TOTAL.unpack_from(self._memory, place) for place in places]
        return sum(total for known, total in rows if known == key)

    def _add(self, place: int, key: bytes, total: int) -> int:
        at = place + self._own
        (own,) = _COUNT.unpack_from(self._memory, at)
        if own >= _MOST:
            return 0
        _COUNT.pack_into(self._memory, at, own + 1)
        _TOTAL.pack_into(self._memory, place, key, total + 1)
        return place

    # Processes

    def _lock(self) -> None:
        if self._file is not None:
            fcntl.lockf(self._file, fcntl.LOCK_EX, 1)

    def _unlock(self) -> None:
        if self._file is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1)

    def _take_column(self) -> int:
        """Return the column of this process; a new one begins with naught."""
        mine = os.getpid()
        pids = _PIDS.unpack_from(self._memory, 0)
        if mine in pids:
            return pids.index(mine)  # another configuration of the same process counts there
        for column, pid in enumerate(pids):
            if not pid or not _lives(pid):
                _PID.pack_into(self._memory, column * _PID.size, mine)
                if pid:
                    self._clear(column)
                return column
        raise OSError(f"limits count for {COLUMNS} processes at most")

    def _clear(self, column: int) -> None:
        """Take back what a process that is gone had under way."""
        memory = self._memory
        for place in range(_SECOND, _SIZE, _CONN_SIZE):
            key, total = _TOTAL.unpack_from(memory, place)
            if total:
                at = place + _TOTAL.size + column * _COUNT.size
                _COUNT.pack_into(memory, at, 0)
                # Not what it was less theirs: they may have died between the one and the other.
                counts = _COLUMNS.unpack_from(memory, place + _TOTAL.size)
                _TOTAL.pack_into(memory, place, key, sum(counts))


def _lives(pid: int) -> bool:
    """Tell whether a process of this user runs."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False  # gone, or a later one of somebody else
    return True
