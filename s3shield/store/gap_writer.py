"""Bytes of one gap of a sparse body on their way into the file, in a thread."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from s3shield.policy import RunningDigest

from .bodies import LOW_MARK
from .files import BodyFile
from .writing import write_pieces

if TYPE_CHECKING:
    from .sparse import BlockShelf, SparseBody

__all__ = ["GapWriter"]

_BATCH: Final = 4 << 20


class GapWriter:
    """See the module's text: what `bodies.BodyWriter` is for a whole.

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
        self._over = self._ended = self._told = False
        self._jobs = 0  # blocks being summed that got whole from parts
        self._ending: list[Deferred[None]] = []
        blocks = body.blocks
        self._sums = _Sums(start, blocks.size, blocks.shift, check)
        # Begun inside a block: the rest of that block is a part of it.
        self._part = None if start == blocks.start_of(start) else start
        self._part_end = min(blocks.size, blocks.start_of(start) + (1 << blocks.shift))
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
        if self._over and not self._busy and not self._jobs:
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
        while self._queue and size < _BATCH:
            pieces.append(self._queue.popleft())
            size += len(pieces[-1])
        self._busy = True
        work: Deferred[Any] = self._body.together(
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
        part = self._part
        if part is not None and self.written >= self._part_end:
            self._part = None
            self._tell(part, self._part_end)
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
        if not self._told:
            self._told = True
            start = self._body.blocks.start_of(self.written) if self._part is None else self._part
            if start < self.written < self._body.blocks.size and self.failed is None:
                self._tell(start, self.written)
        if self._jobs:
            return  # again when they are done
        if not self._ended:
            self._ended = True
            self._body.writer_ended()
        ending, self._ending = self._ending, []
        for done in ending:
            done.callback(None)

    def _tell(self, start: int, end: int) -> None:
        """A part of a block is written that has a beginning or an end elsewhere."""
        summing = self._body.add_part(start, end)
        if summing is not None:
            self._jobs += 1
            summing.addBoth(self._summed)

    def _summed(self, _result: object) -> None:
        self._jobs -= 1
        if self._over and not self._busy:
            self._end()


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
    write_pieces(fd, offset, pieces)
    done: list[tuple[int, int]] = []
    for piece in pieces:
        sums.feed(piece, done)
    return done
