"""A body file with gaps: blocks come in any order, and the index names the whole ones.

A `SparseBody` is what one process has of it. Other processes may write other blocks, or
the same ones: all write the same bytes, because all of them are of one representation.
What a process has noted, the others learn from the record (`SparseBody.learn`).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from s3shield.policy import RunningDigest

from .blocks import Blocks
from .files import Bodies, BodyFile, BodyFileGoneError, Threads
from .gap_writer import GapWriter
from .parts import Parts
from .record import Entry

__all__ = ["BlockShelf", "SparseBody"]

_CHECK: Final = 1 << 20
_MOST_UNNOTED: Final = 8
"""Blocks that are lost, at most, when the process is killed."""
_NOTE_AFTER: Final = 0.05
"""Seconds after which a block of a body that comes slowly is noted."""


class Timer(Protocol):
    """Something that will happen unless it is cancelled."""

    def cancel(self) -> None:
        """See that it does not."""


class BlockShelf(Protocol):
    """What a sparse body needs of the store."""

    def note_blocks(
        self, entry: Entry, blocks: Blocks, *, first: bool, since: int | None
    ) -> Entry | None:
        """Write the blocks to the record; None when the entry is no longer this body's.

        first: there is no record yet; then what was purged after `since` is not stored.
        """

    def gone(self, entry: Entry) -> None:
        """The body's file is not there."""

    def writing_failed(self, error: BaseException) -> None:
        """A body could not be written."""


class SparseBody:
    """A body file of which blocks are present. Event loop's thread only.

    entry: Entry, the last that is known. blocks: Blocks that can be read. file: BodyFile
    or None until it is open. failed: it could not be opened. lost: its entry is gone, or
    its file cannot be used: nothing is noted any more. fresh: the file is to be made.
    call_later: as a reactor's. threads, together: see `bodies.BodyWriter`.
    """

    def __init__(
        self,
        shelf: BlockShelf,
        bodies: Bodies,
        threads: Threads,
        together: Threads,
        entry: Entry,
        era: int,
        *,
        call_later: Callable[[float, Callable[[], None]], Timer],
        fresh: bool,
        since: int | None = None,
    ) -> None:
        self.entry = entry
        self.file: BodyFile | None = None
        self.lost = self.failed = False
        self.threads = threads
        self.together = together
        self.blocks = Blocks(entry.size, entry.block_shift)
        self._parts = Parts(entry.size, entry.block_shift)
        self._stored = Blocks(entry.size, entry.block_shift, b"" if fresh else entry.blocks)
        self._shelf = shelf
        self._bodies = bodies
        self._era = era
        self._first = fresh
        self._since = since
        self._waiting: list[Callable[[], None]] = []
        self._closed = False
        self._writers = 0
        self._call_later = call_later
        self._unnoted = 0
        self._timer: Timer | None = None
        threads(self._create if fresh else self._open).addCallbacks(self._opened, self._broke)

    # Opening

    def _blob(self) -> bytes:
        blob = self.entry.blob
        assert blob is not None
        return blob

    def _create(self) -> tuple[int, list[int]]:
        fd = self._bodies.create(self.entry.digest, self._blob())
        try:
            os.ftruncate(fd, self.entry.size)
        except BaseException:
            os.close(fd)
            raise
        return fd, []

    def _open(self) -> tuple[int, list[int]]:
        fd = self._bodies.open(self.entry.digest, self._blob(), self.entry.size, os.O_RDWR)
        bad = []
        if self.entry.era != self._era:
            stored = self._stored
            bad = [n for n in range(stored.count) if stored.has(n) and not _intact(fd, stored, n)]
        return fd, bad

    def _opened(self, found: tuple[int, list[int]]) -> None:
        fd, bad = found
        self.file = BodyFile(fd, self.entry.size, self.threads)
        for block in bad:
            self._stored.discard(block)
        self.blocks, self._stored = self._stored, self.blocks
        if self._first or self.entry.era != self._era:
            self._note()
        self._wake()
        self._let_go()

    def _broke(self, failure: Failure) -> None:
        self.lost = self.failed = True
        error = failure.value
        if isinstance(error, BodyFileGoneError):
            self._shelf.gone(self.entry)
        elif error is not None:
            self._shelf.writing_failed(error)
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each()

    def when_open(self, then: Callable[[], None]) -> None:
        """Call `then` when the file is open, or cannot be (`failed`): now, or later."""
        if self.file is not None or self.failed:
            then()
        else:
            self._waiting.append(then)

    # Blocks

    def add(self, blocks: Sequence[tuple[int, int]]) -> None:
        """Take (block, CRC-32) that are written; they are noted soon, at a gap's end at once.

        Each note writes the whole record, of 42 KB for 10 GiB.
        """
        for block, checksum in blocks:
            self.blocks.add(block, checksum)
            self._parts.pop(block)
        self._unnoted += len(blocks)
        if self._unnoted >= _MOST_UNNOTED:
            self._note()
        elif self._unnoted and self._timer is None:
            # No matter when the next one comes: an origin may stall for minutes.
            self._timer = self._call_later(_NOTE_AFTER, self._due)

    def add_part(self, start: int, end: int) -> Deferred[None] | None:
        """Take a part of a block that is written; when it makes the block whole, sum that.

        Fires when the block has been summed, and added. It can be read from now on.
        """
        file, block = self.file, start >> self.blocks.shift
        if file is None or self.blocks.has(block):
            return None
        self._parts.add(start, end)
        if not self._parts.whole(block):
            return None

        def summed(checksum: int) -> None:
            self.add([(block, checksum)])

        def failed(failure: Failure) -> None:
            self._parts.pop(block)
            self._shelf.writing_failed(failure.value or RuntimeError("unknown"))

        summing: Deferred[int] = self.threads(_sum, file.fileno(), self.blocks, block)
        return summing.addCallbacks(summed, failed)

    def has_part(self, position: int) -> bool:
        """Tell whether a part of the block that `position` is in is there."""
        return self._parts.has(position >> self.blocks.shift)

    def run_end(self, position: int) -> int:
        """Return up to where the bytes from `position` on can be read, some blocks ahead."""
        return self._parts.run_end(self.blocks.run_end(position), self.blocks)

    def held(self) -> Callable[[Iterable[tuple[int, int]]], int]:
        """Return what tells, for spans of the body, how many of their bytes are there now."""
        blocks, parts = self.blocks.copy(), self._parts.spans(self.blocks)

        def count(spans: Iterable[tuple[int, int]]) -> int:
            wanted = list(spans)
            more = [
                max(0, min(end, high) - max(start, low))
                for start, end in wanted
                for low, high in parts
            ]
            return blocks.held(wanted) + sum(more)

        return count

    def learn(self, entry: Entry) -> None:
        """Take over what another process has noted; `entry` is the latest of this body."""
        if entry.era != self._era:
            return  # from before an unclean stop: its blocks have been looked at since
        self.entry = entry
        if self.file is None:
            return
        if entry.complete:
            self.blocks.fill(entry.blocks)
        else:
            self.blocks.merge(entry.blocks)

    def _due(self) -> None:
        self._timer = None
        self._note()

    def _note(self) -> None:
        self._unnoted = 0
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if self.lost:
            return
        entry = self._shelf.note_blocks(
            self.entry, self.blocks, first=self._first, since=self._since
        )
        if entry is None:
            self.lost = True
        else:
            self._first = False
            self.entry = entry

    def writer(self, start: int, check: RunningDigest | None = None) -> GapWriter:
        """Return what writes the bytes from `start` on. check: is given them too, in order."""
        self._writers += 1
        return GapWriter(self, self._shelf, start, check)

    def writer_ended(self) -> None:
        """A writer has written all that it will."""
        if self._unnoted:
            self._note()
        self._writers -= 1
        self._let_go()

    def close(self) -> None:
        """Let go of the file, once writers are through."""
        self._closed = True
        self._let_go()

    def _let_go(self) -> None:
        if self._closed and not self._writers and self.file is not None:
            self.file.close()
            self.file = None
            if self._first:  # no record names it
                deleting = self.threads(self._bodies.delete, self.entry.digest, self._blob())
                deleting.addErrback(lambda _: None)


def _intact(fd: int, blocks: Blocks, block: int) -> bool:
    try:
        return _sum(fd, blocks, block) == blocks.sum(block)
    except EOFError:
        return False


def _sum(fd: int, blocks: Blocks, block: int) -> int:
    """Return a block's CRC-32. Raises OSError, EOFError."""
    at, end = block << blocks.shift, min(blocks.size, (block + 1) << blocks.shift)
    found = 0
    while at < end:
        piece = os.pread(fd, min(_CHECK, end - at), at)
        if not piece:
            raise EOFError
        found = zlib.crc32(piece, found)
        at += len(piece)
    return found
