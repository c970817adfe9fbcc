"""What `limit_req` and `limit_conn` count by key, alike for all worker processes.

Theory of operation. One piece of memory of a fixed size, which all workers map: the
parent makes it, and it lives as long as that. Two tables lie in it, each of sets of 8
places; the digest of a key says which set. A place of the first is a bucket, see
`access.leaky`; of the second, how many requests are under way, for each process in a
column of its own, so that what a process that was killed has left behind can be told from
the rest: who takes its column next begins with naught. A lock on one byte of the file
guards it for a few microseconds at a time; the kernel lets go of it when a process dies.

Nothing here grows. In a set without room the bucket that is the first to be empty gives
way, mostly one that is empty already: a flood of new keys costs old ones their memory of
a few requests. Of requests under way none is forgotten: a key for which there is no place
is over its limit, as in nginx.

Time is the monotonic clock's, which all processes of a machine share.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Final

from s3shield.access import Bucket, Leak, pour

__all__ = ["Counts", "digest"]

WAYS: Final = 8
SETS: Final = 16_384
"""Sets of buckets: 131,072 keys."""
CONN_SETS: Final = 2_048
"""Sets of counts: 16,384 keys with requests under way."""
COLUMNS: Final = 128
"""Processes that may count, old and new ones during a reload together."""

_NONE: Final = bytes(16)
_PIDS: Final = struct.Struct(f"<{COLUMNS}Q")
_PID: Final = struct.Struct("<Q")
_PLACE: Final = struct.Struct("<16sqqq")  # digest, last, excess, when it is empty
_BUCKETS: Final = struct.Struct("<" + "16sqqq" * WAYS)
_COUNTS: Final = struct.Struct(f"<16s{COLUMNS}H")
_COUNT: Final = struct.Struct("<H")
_FIRST: Final = 4096
_SECOND: Final = _FIRST + SETS * _BUCKETS.size
_SIZE: Final = _SECOND + CONN_SETS * WAYS * _COUNTS.size
_MOST: Final = 65_535


def digest(what: bytes, key: bytes) -> bytes:
    """Return the 16 bytes by which a key is known. what: which lines count it together."""
    found = blake2b(key, digest_size=16, key=blake2b(what, digest_size=32).digest()).digest()
    return found if found != _NONE else b"\1" + found[1:]


class Counts:
    """The counts, as one process has them.

    file: descriptor of the parent's memory; None: no other process counts. It stays the
    caller's, open for as long as this is used. Raises OSError.
    """

    def __init__(self, file: int | None = None) -> None:
        self._file = file
        self._column = 0
        if file is None:
            self._memory = mmap.mmap(-1, _SIZE)
            return
        with self._locked():
            if os.fstat(file).st_size < _SIZE:
                os.ftruncate(file, _SIZE)
            self._memory = mmap.mmap(file, _SIZE)
            self._column = self._take_column()

    # limit_req

    def pour(self, asked: Sequence[tuple[bytes, Leak]], now: int) -> tuple[int, int]:
        """Count a request at millisecond `now`: (milliseconds to wait or REFUSED, by which).

        asked: digest and numbers of each limit that it is under.
        """
        with self._locked():
            places = [self._bucket(key, now) for key, _ in asked]
            found = zip(asked, places, strict=True)
            wait, which, after = pour([(leak, old) for (_, leak), (_, old) in found], now)
            for (key, leak), (at, _), (last, excess) in zip(asked, places, after, strict=False):
                empty = last + excess * 1000 // leak.rate
                _PLACE.pack_into(self._memory, at, key, last, excess, empty)
        return wait, which

    def _bucket(self, key: bytes, now: int) -> tuple[int, Bucket | None]:
        """Return the offset of a key's place and what is in it; None: it was another's."""
        base = _FIRST + int.from_bytes(key[:4], "little") % SETS * _BUCKETS.size
        row = _BUCKETS.unpack_from(self._memory, base)
        worst, earliest = 0, row[3]
        for way in range(WAYS):
            if row[way * 4] == key:
                return base + way * _PLACE.size, (row[way * 4 + 1], row[way * 4 + 2])
            empty = row[way * 4 + 3] if row[way * 4] != _NONE else -1
            if empty < earliest:
                worst, earliest = way, empty
        return base + worst * _PLACE.size, None

    # limit_conn

    def enter(self, key: bytes, most: int) -> bool:
        """Count one more request of a key under way; False: there are `most` already."""
        with self._locked():
            place, free = self._counts(key)
            if place is None:
                if free is None:
                    return False
                self._memory[free : free + 16] = key
                self._set(free, 1)
                return True
            counts = _COUNTS.unpack_from(self._memory, place)[1:]
            if sum(counts) >= most or counts[self._column] >= _MOST:
                return False
            self._set(place, counts[self._column] + 1)
            return True

    def leave(self, key: bytes) -> None:
        """A request that `enter` counted is over."""
        with self._locked():
            place, _ = self._counts(key)
            if place is not None:
                (count,) = _COUNT.unpack_from(self._memory, self._at(place))
                self._set(place, max(count - 1, 0))

    def under_way(self, key: bytes) -> int:
        """Return how many requests of a key there are, in all processes."""
        place, _ = self._counts(key)
        return 0 if place is None else sum(_COUNTS.unpack_from(self._memory, place)[1:])

    def _counts(self, key: bytes) -> tuple[int | None, int | None]:
        """Return the offset of a key's counts, and that of a place where nobody is counted."""
        memory = self._memory
        base = _SECOND + int.from_bytes(key[:4], "little") % CONN_SETS * WAYS * _COUNTS.size
        free = None
        for place in range(base, base + WAYS * _COUNTS.size, _COUNTS.size):
            if memory[place : place + 16] == key:
                return place, None
            if free is None and not any(memory[place + 16 : place + _COUNTS.size]):
                free = place
        return None, free

    def _at(self, place: int) -> int:
        return place + 16 + self._column * _COUNT.size

    def _set(self, place: int, count: int) -> None:
        _COUNT.pack_into(self._memory, self._at(place), count)

    # Processes

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if self._file is None:
            yield
            return
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1)
        try:
            yield
        finally:
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
                for place in range(_SECOND, _SIZE, _COUNTS.size) if pid else ():
                    _COUNT.pack_into(self._memory, place + 16 + column * _COUNT.size, 0)
                return column
        raise OSError(f"limits count for {COLUMNS} processes at most")


def _lives(pid: int) -> bool:
    """Tell whether a process of this user runs."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False  # gone, or a later one of somebody else
    return True
