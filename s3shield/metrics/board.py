"""The memory in which all processes of a daemon keep its numbers.

Theory of operation. One file without a name, which the parent makes at the start and all
processes map; it outlives workers and reloads, and is gone with the last of them. In it are

* seats, one for each process: a JSON text of its own that it writes each second, gauges for
  the most part. A seat whose process is no more does not count, and is taken by another one;
* a table of totals, which counters and histograms are added to. It only grows: an entry
  says which series it is, how many numbers it has, and these. Readers need no lock: a number is
  changed in one piece, and the table's end moves when what lies before is written.

So a worker that dies takes nothing away from a counter, and what it leaves does not grow:
prometheus_client's own mode for several processes keeps files of every dead one, each to be read
at every scrape, finds its directory in the environment when it is imported, and writes to its
files at each increment.

A lock on one byte of the file guards additions. Who finds it taken tries again later: a
stopped process must not hold the others.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from .families import Key

__all__ = ["SEATS", "Board", "Seat", "VersionError"]

SEATS: Final = 128
"""Processes that may tell their numbers, old and new ones during a reload together."""

_MAGIC: Final = b"s3shld01"
_HEAD: Final = struct.Struct("<8sQ")  # magic, end of the table
_FIRST: Final = 4096
_SEAT: Final = struct.Struct("<QdII")  # pid, epoch seconds, length, CRC-32 of the text
_SEAT_SIZE: Final = 256 * 1024
_TABLE: Final = _FIRST + SEATS * _SEAT_SIZE
_SIZE: Final = _TABLE + 8 * 1024 * 1024
"""Most of it is never touched, and takes no memory."""
_ENTRY: Final = struct.Struct("<II")  # length of the name, numbers


class VersionError(Exception):
    """The memory has been laid out by another version of this program, before a reload."""


@attrs.frozen
class Seat:
    """What one process tells. number: small, for a label. written: epoch seconds."""

    number: int
    pid: int
    written: float
    text: bytes


class Board:
    """See the module's text.

    file: descriptor of the parent's memory; None: no other process has it. It stays the
    caller's, open for as long as this is used. Raises OSError, VersionError.
    """

    def __init__(self, file: int | None = None) -> None:
        self._file = file
        self._places: dict[Key, tuple[int, struct.Struct]] = {}
        self._read = _TABLE
        self._seat = -1
        self.lost = 0
        """Additions for which there was no room."""
        if file is None:
            self._memory = mmap.mmap(-1, _SIZE)
            _HEAD.pack_into(self._memory, 0, _MAGIC, _TABLE)
            return
        self._lock(wait=True)
        try:
            fresh = os.fstat(file).st_size < _SIZE
            if fresh:
                os.ftruncate(file, _SIZE)
            self._memory = mmap.mmap(file, _SIZE)
            if fresh:
                _HEAD.pack_into(self._memory, 0, _MAGIC, _TABLE)
        finally:
            self._unlock()
        if _HEAD.unpack_from(self._memory)[0] != _MAGIC:
            raise VersionError("the daemon's memory of numbers is another version's")

    # Totals

    def add(self, changes: Mapping[Key, Sequence[float]]) -> bool:
        """Add to series, new ones too; False: not now, nothing was, another process has the lock.

        A series has as many numbers as it was begun with; others are not added.
        """
        if not self._lock(wait=False):
            return False
        try:
            self._read_on()
            for key, values in changes.items():
                place = self._places.get(key)
                if place is None:
                    self._append(key, values)
                elif len(values) * 8 == place[1].size:
                    at, row = place
                    before = row.unpack_from(self._memory, at)
                    for index, value in enumerate(values):
                        if value:
                            struct.pack_into(
                                "<d", self._memory, at + 8 * index, before[index] + value
                            )
        finally:
            self._unlock()
        return True

    def totals(self) -> dict[Key, tuple[float, ...]]:
        """Return all series as they are now."""
        self._read_on()
        return {key: row.unpack_from(self._memory, at) for key, (at, row) in self._places.items()}

    def _append(self, key: Key, values: Sequence[float]) -> None:
        name = json.dumps(key).encode("ascii")
        name += b" " * (-len(name) % 8)
        row = struct.Struct(f"<{len(values)}d")
        begin = self._read
        end = begin + _ENTRY.size + len(name) + row.size
        if end > _SIZE:
            self.lost += 1
            return
        _ENTRY.pack_into(self._memory, begin, len(name), len(values))
        at = begin + _ENTRY.size + len(name)
        self._memory[begin + _ENTRY.size : at] = name
        row.pack_into(self._memory, at, *values)
        _HEAD.pack_into(self._memory, 0, _MAGIC, end)
        self._places[key] = at, row
        self._read = end

    def _read_on(self) -> None:
        """Learn of the series that others have begun."""
        end = _HEAD.unpack_from(self._memory)[1]
        while self._read < end:
            length, count = _ENTRY.unpack_from(self._memory, self._read)
            at = self._read + _ENTRY.size + length
            key = tuple(json.loads(self._memory[self._read + _ENTRY.size : at]))
            row = struct.Struct(f"<{count}d")
            self._places[key] = at, row
            self._read = at + row.size

    # Seats

    def sit(self) -> int:
        """Take a seat; return its number. Raises OSError when all are taken."""
        self._lock(wait=True)
        try:
            self._seat = self._free_seat()
            _SEAT.pack_into(self._memory, self._at(self._seat), os.getpid(), 0.0, 0, 0)
        finally:
            self._unlock()
        return self._seat

    def rise(self) -> None:
        """Give the seat up."""
        if self._seat >= 0:
            _SEAT.pack_into(self._memory, self._at(self._seat), 0, 0.0, 0, 0)
            self._seat = -1

    def tell(self, text: bytes, now: float) -> bool:
        """Write this process's text; False where it is too long. now: epoch seconds."""
        if len(text) > _SEAT_SIZE - _SEAT.size:
            return False
        at = self._at(self._seat)
        begin = at + _SEAT.size
        # A reader in between finds that the sum is wrong, and looks again.
        self._memory[begin : begin + len(text)] = text
        _SEAT.pack_into(self._memory, at, os.getpid(), now, len(text), zlib.crc32(text))
        return True

    def seats(self) -> list[Seat]:
        """Return what the living processes tell, by number."""
        found = [self._seat_at(number) for number in range(SEATS)]
        return [each for each in found if each is not None]

    def _seat_at(self, number: int) -> Seat | None:
        at = self._at(number)
        for _ in range(5):
            pid, written, length, crc = _SEAT.unpack_from(self._memory, at)
            if not pid or not length or length > _SEAT_SIZE:
                return None
            text = self._memory[at + _SEAT.size : at + _SEAT.size + length]
            if zlib.crc32(text) == crc:
                return Seat(number, pid, written, text) if _lives(pid) else None
        return None

    def _free_seat(self) -> int:
        pids = dict(self._pids())
        mine = [number for number, pid in pids.items() if pid == os.getpid()]
        free = mine or [number for number, pid in pids.items() if not pid or not _lives(pid)]
        if not free:
            raise OSError(f"metrics are for {SEATS} processes at most")
        return free[0]

    def _pids(self) -> Iterator[tuple[int, int]]:
        for number in range(SEATS):
            yield number, _SEAT.unpack_from(self._memory, self._at(number))[0]

    @staticmethod
    def _at(number: int) -> int:
        return _FIRST + number * _SEAT_SIZE

    # The lock

    def _lock(self, *, wait: bool) -> bool:
        if self._file is None:
            return True
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), 1)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def _unlock(self) -> None:
        if self._file is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1)


def _lives(pid: int) -> bool:
    """Tell whether a process of this user runs."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False  # gone, or a later one of somebody else
    return True
