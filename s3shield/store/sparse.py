"""A body file with gaps: blocks come in any order, and the index names the whole ones.

A `SparseBody` is what one process has of it. Other processes may write other blocks, or
the same ones: all write the same bytes, because all of them are of one representation.
What a process has noted, the others learn from the record (`SparseBody.learn`).
"""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from s3shield.policy import RunningDigest

from .blocks import Blocks
from .bodies import LOW_MARK
from .files import Bodies, BodyFile, BodyFileGoneError, Threads
from .record import Entry

__all__ = ["BlockShelf", "GapWriter", "SparseBody"]

_BATCH: Final = 4 << 20
_MAX_PIECES: Final = 512
_CHECK: Final = 1 << 20
_MOST_UNNOTED: Final = 8
"""Blocks that are lost, at most, when the process is killed."""
_NOTE_EVERY: Final = 0.1
"""Seconds between two notes of a body that comes slowly."""
_pwritev: Final = getattr(os, "pwritev", None)


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
    clock: seconds.
    """

    def __init__(
        self,
        shelf: BlockShelf,
        bodies: Bodies,
        threads: Threads,
        entry: Entry,
        era: int,
        *,
        clock: Callable[[], float],
        fresh: bool,
        since: int | None = None,
    ) -> None:
        self.entry = entry
        self.file: BodyFile | None = None
        self.lost = self.failed = False
        self.threads = threads
        self.blocks = Blocks(entry.size, entry.block_shift)
        self._stored = Blocks(entry.size, entry.block_shift, b"" if fresh else entry.blocks)
        self._shelf = shelf
        self._bodies = bodies
        self._era = era
        self._first = fresh
        self._since = since
        self._waiting: list[Callable[[], None]] = []
        self._closed = False
        self._writers = 0
        self._clock = clock
        self._unnoted = 0
        self._noted = 0.0
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
        self._unnoted += len(blocks)
        if self._unnoted >= _MOST_UNNOTED or (
            self._unnoted and self._clock() - self._noted >= _NOTE_EVERY
        ):
            self._note()

    def learn(self, entry: Entry) -> None:
        """Take over what another process has noted; `entry` is the latest of this body."""
        if entry.era != self._era:
            return  # from before an unclean stop: its blocks have been looked at since
        self.entry = entry
        if self.file is not None and not entry.complete:
            self.blocks.merge(entry.blocks)

    def _note(self) -> None:
        self._unnoted, self._noted = 0, self._clock()
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


class GapWriter:
    """Bytes of one gap on their way into the file: what `bodies.BodyWriter` is for a whole.

    written: int, offset up to which bytes can be read back. backlog, failed, on_drain,
    on_error: as a BodyWriter's.
    """

    def __init__(
        self, body: SparseBody, shelf: BlockShelf, start: int, check: RunningDigest | None = None
    ) -> None:
        self.written = start
        self.backlog = 0
        self.failed: Exception | None = None
        self.on_drain: Callable[[], None] | None = None
        self.on_error: Callable[[], None] | None = None
        self._body = body
        self._check = check
        self._shelf = shelf
        self._queue: deque[bytes] = deque()
        self._busy = True
        self._over = self._ended = False
        self._ending: list[Deferred[None]] = []
        self._sums = _Sums(start, body.blocks.size, body.blocks.shift, check)
        body.when_open(self._begin)

    def write(self, data: bytes) -> None:
        """Take the next bytes; never blocks, never raises."""
        if self._over:
            return
        self._queue.append(data)
        self.backlog += len(data)
        if not self._busy:
            self._next()

    def finish(self) -> Deferred[None]:
        """Take no more; fires when all that was given is written and noted, or dropped."""
        if not self._busy and not self._queue:
            self._end()
        if self._over and not self._busy:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._ending.append(done)
        return done

    def abort(self) -> None:
        """Drop what is not written yet; the whole blocks that are stay."""
        self._queue.clear()
        self.backlog = 0
        if not self._busy:
            self._end()
        self._over = True

    def reader(self) -> BodyFile | None:
        """Return the file, held for the caller; None before it is open."""
        file = self._body.file
        return None if file is None else file.hold()

    def _begin(self) -> None:
        self._busy = False
        if self._body.file is None:
            self._fail(OSError("the body file cannot be opened"))
            return
        self._next()

    def _next(self) -> None:
        if not self._queue:
            if self._ending or self._over:
                self._end()
            return
        file = self._body.file
        assert file is not None
        pieces: list[bytes] = []
        size = 0
        while self._queue and size < _BATCH and len(pieces) < _MAX_PIECES:
            pieces.append(self._queue.popleft())
            size += len(pieces[-1])
        self._busy = True
        work: Deferred[Any] = self._body.threads(
            _append, file.fileno(), self.written, pieces, self._sums
        )
        work.addCallbacks(self._wrote, self._broke, callbackArgs=(size,))

    def _wrote(self, blocks: list[tuple[int, int]], size: int) -> None:
        self._busy = False
        self.written += size
        self.backlog = max(0, self.backlog - size)
        check, last = self._check, self._body.blocks.count - 1
        if check is not None and blocks and blocks[-1][0] == last and not check.matches:
            blocks.pop()  # it is not what it should be: it never becomes whole
        self._body.add(blocks)
        self._next()
        if self.on_drain is not None and self.backlog <= LOW_MARK and not self._over:
            self.on_drain()

    def _broke(self, failure: Failure) -> None:
        self._busy = False
        error = failure.value
        self._shelf.writing_failed(error or RuntimeError("unknown"))
        self._fail(error if isinstance(error, Exception) else RuntimeError(str(error)))

    def _fail(self, error: Exception) -> None:
        self.failed = error
        self._queue.clear()
        self.backlog = 0
        over, self._over = self._over, True
        self._end()
        if self.on_error is not None and not over:
            self.on_error()

    def _end(self) -> None:
        """Nothing is being written any more."""
        self._over = True
        if not self._ended:
            self._ended = True
            self._body.writer_ended()
        ending, self._ending = self._ending, []
        for done in ending:
            done.callback(None)


class _Sums:
    """CRC-32 of each whole block among bytes from `start` on; for one thread at a time."""

    def __init__(self, start: int, size: int, shift: int, check: RunningDigest | None) -> None:
        self._check = check
        self._at = start
        self._size = size
        self._shift = shift
        self._sum = 0
        self._whole = start == start >> shift << shift

    def feed(self, piece: bytes, done: list[tuple[int, int]]) -> None:
        if self._check is not None:
            self._check.update(piece)
        view = memoryview(piece)
        while view:
            block = self._at >> self._shift
            end = min(self._size, (block + 1) << self._shift)
            part = view[: end - self._at]
            if not part:
                return  # beyond the body's end
            if self._whole:
                self._sum = zlib.crc32(part, self._sum)
            self._at += len(part)
            view = view[len(part) :]
            if self._at == end:
                if self._whole:
                    done.append((block, self._sum))
                self._sum, self._whole = 0, True


def _append(fd: int, offset: int, pieces: Sequence[bytes], sums: _Sums) -> list[tuple[int, int]]:
    """Write `pieces` at `offset`; return (block, CRC-32) of the blocks that got whole."""
    size = sum(map(len, pieces))
    wrote = 0 if _pwritev is None else _pwritev(fd, pieces, offset)
    if wrote < size:
        rest = memoryview(b"".join(pieces))[wrote:]
        while rest:
            some = os.pwrite(fd, rest, offset + wrote)
            wrote += some
            rest = rest[some:]
    done: list[tuple[int, int]] = []
    for piece in pieces:
        sums.feed(piece, done)
    return done


def _intact(fd: int, blocks: Blocks, block: int) -> bool:
    at, end = block << blocks.shift, min(blocks.size, (block + 1) << blocks.shift)
    found = 0
    while at < end:
        piece = os.pread(fd, min(_CHECK, end - at), at)
        if not piece:
            return False
        found = zlib.crc32(piece, found)
        at += len(piece)
    return found == blocks.sum(block)
