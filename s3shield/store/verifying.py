"""Reads all that is stored and compares it with its checksums, beside a running daemon or not.

Each entry is looked at as it is in the index; what a daemon replaces or removes meanwhile
is not damage, so what looks damaged is looked up once more. Blocks, for any thread but an
event loop's.
"""

from __future__ import annotations

import contextlib
import os
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import attrs

from .blocks import Blocks
from .change import Row
from .errors import StoreError
from .files import Bodies, BodyFileGoneError
from .index import Index
from .owners import living, locked
from .place import Place
from .record import Entry, RecordError
from .selector import Selector

__all__ = ["Damage", "Report", "Verifying"]

_BATCH: Final = 256
_PIECE: Final = 1 << 20
_MAP: Final = 1 << 26
"""Address space to begin with: LMDB takes what the index has when that is more."""
_SETTLED: Final = 600.0
"""Seconds after which a file that no entry names was not just written by a daemon."""


@attrs.frozen
class Damage:
    """One entry that cannot be used. key: bytes, its cache key. reason: str, for a person."""

    digest: bytes
    key: bytes
    reason: str
    raw: bytes = attrs.field(repr=False)


@attrs.define
class Report:
    """What was found. entries, files: looked at. size: bytes read. orphans: files without entry."""

    entries: int = 0
    files: int = 0
    size: int = 0
    damaged: list[Damage] = attrs.field(factory=list)
    orphans: list[Path] = attrs.field(factory=list)


class Verifying:
    """The cache in `path`. wall: epoch seconds. progress: called with (done, all) bytes.

    Raises StoreError when there is no cache, or it cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        wall: Callable[[], float] = time.time,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        if not (path / "index" / "data.mdb").exists():
            raise StoreError(f"there is no cache in {path}")
        self.path = path
        self.report = Report()
        self._wall = wall
        self._progress = progress
        self._bodies = Bodies(path, bytes(8))
        self._done = 0

    def run(self) -> Report:
        """Look at everything."""
        index = Index(self.path / "index", _MAP)
        try:
            total = index.totals().size
            named: set[bytes] = set()
            for digest, raw in self._records(index):
                self.report.entries += 1
                damage = self._examine(digest, raw, named)
                if damage is not None and index.get(digest) == raw:
                    self.report.damaged.append(damage)
                self._advance(len(raw), total)
            named.update(blob for _, blob in index.trash())
        finally:
            index.close()
        self.report.orphans += self._orphans(named)
        self._advance(0, self._done)
        return self.report

    def repair(self) -> None:
        """Remove what `run` has found: it will be fetched again when it is asked for."""
        shared = (self.path / "recent").exists()
        place = Place(self.path, map_size=_MAP, shared=shared)
        try:
            index = place.index
            still = [each for each in self.report.damaged if index.get(each.digest) == each.raw]
            rows = [Row(each.digest, None, 0) for each in still]
            freed = index.apply(lambda: rows)
            for digest, blob in freed:
                place.bodies.delete(digest, blob)
            index.apply(list, (), [blob for _, blob in freed])
        finally:
            place.close()
        for file in self.report.orphans:
            file.unlink(missing_ok=True)

    def _records(self, index: Index) -> Iterator[tuple[bytes, bytes]]:
        """Yield all records."""
        resume = None
        while True:
            batch, resume = index.records(Selector("all"), resume, _BATCH)
            yield from batch
            if resume is None:
                return

    def _advance(self, size: int, total: int) -> None:
        self._done += size
        if self._progress is not None:
            self._progress(min(self._done, total), total)

    def _examine(self, digest: bytes, raw: bytes, named: set[bytes]) -> Damage | None:
        try:
            entry = Entry(raw, digest)
        except RecordError as error:
            return Damage(digest, b"", str(error), raw)
        if entry.blob is None:
            if entry.size != len(entry.body or b""):
                return Damage(digest, entry.key, "its body is not as long as it says", raw)
            return None
        named.add(entry.blob)
        self.report.files += 1
        try:
            fd = self._bodies.open(digest, entry.blob, entry.size)
        except BodyFileGoneError:
            return Damage(digest, entry.key, "its file is gone, or has another size", raw)
        except OSError as error:
            return Damage(digest, entry.key, error.strerror or "its file cannot be opened", raw)
        try:
            wrong = self._wrong_blocks(fd, entry)
        except OSError as error:
            return Damage(digest, entry.key, error.strerror or "its file cannot be read", raw)
        finally:
            os.close(fd)
        if not wrong:
            return None
        count = f"block {wrong[0]} differs" if len(wrong) == 1 else f"{len(wrong)} blocks differ"
        return Damage(digest, entry.key, count, raw)

    def _wrong_blocks(self, fd: int, entry: Entry) -> list[int]:
        """Return the blocks that are there and are not what was written. Raises OSError."""
        shift, wrong = entry.block_shift, []
        sums = entry.checksums
        there = None if entry.complete else Blocks(entry.size, shift, entry.blocks)
        for block, wanted in enumerate(sums):
            if there is not None and not there.has(block):
                continue
            at, end, found = block << shift, min(entry.size, (block + 1) << shift), 0
            while at < end and (piece := os.pread(fd, min(_PIECE, end - at), at)):
                found = zlib.crc32(piece, found)
                at += len(piece)
                self.report.size += len(piece)
                self._done += len(piece)
            if found != wanted or at < end:
                wrong.append(block)
        return wrong

    def _orphans(self, named: set[bytes]) -> Iterator[Path]:
        """Yield body files that no entry names, of processes that are no more."""
        settled = self._wall() - _SETTLED
        with locked(self.path):
            alive = living(self.path)
        for folder in ("blobs", "filling"):
            for file in (self.path / folder).rglob("*"):
                with contextlib.suppress(ValueError, FileNotFoundError):  # not ours; gone by now
                    blob = bytes.fromhex(file.name.rpartition("-")[2])
                    found = file.stat()
                    old = found.st_mtime < settled
                    nobodys = len(blob) == 16 and blob not in named and blob[8:] not in alive
                    if nobodys and old and file.is_file():
                        yield file
