"""A body on its way from the origin into its file."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from s3shield.policy import RunningDigest, StoredResponse

from .files import Bodies, BodyFile, Threads
from .record import Entry
from .writing import write_pieces

__all__ = ["LOW_MARK", "BodyWriter", "Shelf", "WrittenBody"]

LOW_MARK: Final = 1 << 20
"""Bytes of backlog at or below which `on_drain` is called."""
_BATCH: Final = 4 << 20


@attrs.frozen(kw_only=True)
class WrittenBody:
    """A whole body in its file. checksums: CRC-32 of each block of `1 << block_shift` bytes."""

    digest: bytes
    blob: bytes
    size: int
    block_shift: int
    checksums: Sequence[int]
    file: BodyFile


class Shelf(Protocol):
    """What a writer needs of the store."""

    def shelve(
        self,
        body: WrittenBody,
        key: bytes,
        meta: StoredResponse,
        head: bytes,
        tags: Iterable[bytes],
    ) -> Entry | None:
        """Make the body's entry visible; None when the store will not have it."""

    def writing_failed(self, error: BaseException) -> None:
        """A body could not be written."""


class _File:
    """The part that runs in threads: one call at a time, in order."""

    def __init__(
        self,
        bodies: Bodies,
        digest: bytes,
        blob: bytes,
        block_shift: int,
        check: RunningDigest | None,
    ) -> None:
        self.fd = -1
        self.check = check
        self.checksums: list[int] = []
        self._bodies = bodies
        self._digest = digest
        self._blob = blob
        self._block = 1 << block_shift
        self._written = 0
        self._room = 0  # bytes until the current block is full

    def append(self, pieces: Sequence[bytes]) -> None:
        if self.fd < 0:
            self.fd = self._bodies.create(self._digest, self._blob)
        write_pieces(self.fd, self._written, pieces)
        for piece in pieces:
            self._written += len(piece)
            self._sum(piece)
            if self.check is not None:
                self.check.update(piece)

    def _sum(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            if not self._room:
                self.checksums.append(0)
                self._room = self._block
            part = view[: self._room]
            self.checksums[-1] = zlib.crc32(part, self.checksums[-1])
            self._room -= len(part)
            view = view[len(part) :]

    def delete(self) -> None:
        self._bodies.delete(self._digest, self._blob)


class BodyWriter:
    """One body being written. Event loop's thread only; the disk is met in threads.

    threads: for readers. together: for writing, where a body may wait for others.

    written: int, bytes that can be read back. backlog: int, bytes given and not yet
    written. failed: Exception or None; a failed writer takes and drops everything. wrong: the
    whole was written and is not what `check` wants.
    on_drain: called when the backlog has fallen to LOW_MARK or less. on_error: called
    once, when the body cannot be written.
    """

    def __init__(
        self,
        shelf: Shelf,
        bodies: Bodies,
        threads: Threads,
        together: Threads,
        digest: bytes,
        blob: bytes,
        block_shift: int,
        expected: int | None,
        check: RunningDigest | None = None,
    ) -> None:
        self.written = 0
        self.backlog = 0
        self.failed: Exception | None = None
        self.wrong = False
        self.on_drain: Callable[[], None] | None = None
        self.on_error: Callable[[], None] | None = None
        self._shelf = shelf
        self._threads = threads
        self._together = together
        self._digest = digest
        self._blob = blob
        self._block_shift = block_shift
        self._expected = expected
        self._queue: deque[bytes] = deque()
        self._at = _File(bodies, digest, blob, block_shift, check)
        self._file: BodyFile | None = None
        self._busy = False
        self._over = False  # aborted, failed or committed
        self._ending: Callable[[], None] | None = None

    def write(self, data: bytes) -> None:
        """Take the next bytes; never blocks, never raises."""
        if self._over:
            return
        self._queue.append(data)
        self.backlog += len(data)
        if not self._busy:
            self._next()

    def commit(
        self, key: bytes, meta: StoredResponse, head: bytes, *, tags: Iterable[bytes] = ()
    ) -> Deferred[Entry | None]:
        """End the body; fires with its entry once every process can see it.

        None when it is not stored: it failed, was aborted, or is not as expected.
        """
        if self._over:
            return succeed(None)
        done: Deferred[Entry | None] = Deferred()
        self._ending = lambda: done.callback(self._shelve(key, meta, head, tags))
        if not self._busy:
            self._next()
        return done

    def abort(self) -> None:
        """Forget the body and delete the file; who reads it can go on."""
        if not self._over:
            self._give_up()
        self._release()

    def reader(self) -> BodyFile | None:
        """Return the file, held for the caller; None before the first byte is written."""
        return None if self._file is None else self._file.hold()

    def _next(self) -> None:
        """Write what waits, and when nothing does, end if we are to."""
        if not self._queue and self._ending is not None and self._file is not None:
            ending, self._ending = self._ending, None
            ending()
            return
        if not self._queue and self._ending is None:
            return
        pieces: list[bytes] = []
        size = 0
        while self._queue and size < _BATCH:
            pieces.append(self._queue.popleft())
            size += len(pieces[-1])
        self._busy = True
        self._together(self._at.append, pieces).addCallbacks(
            self._wrote, self._broke, callbackArgs=(size,)
        )

    def _wrote(self, _result: object, size: int) -> None:
        self._busy = False
        if self._file is None:
            self._file = BodyFile(self._at.fd, 0, self._threads)
        self.written += size
        self._file.size = self.written
        if self._over:  # aborted meanwhile
            self._delete()
            self._release()
            return
        self.backlog -= size
        self._next()
        if self.on_drain is not None and self.backlog <= LOW_MARK and not self._over:
            self.on_drain()

    def _broke(self, failure: Failure) -> None:
        self._busy = False
        if self._file is None and self._at.fd >= 0:
            self._file = BodyFile(self._at.fd, 0, self._threads)
        if self._over:
            self._delete()
            self._release()
            return
        error = failure.value
        self.failed = error = error if isinstance(error, Exception) else RuntimeError(str(error))
        # The file stays open: readers that lag still need what it has.
        self._give_up()
        self._shelf.writing_failed(error)
        if self.on_error is not None:
            self.on_error()

    def _shelve(
        self, key: bytes, meta: StoredResponse, head: bytes, tags: Iterable[bytes]
    ) -> Entry | None:
        file = self._file
        if file is None or self._over:
            return None
        entry = None
        check = self._at.check
        self.wrong = check is not None and not check.matches
        if not self.wrong and self._expected in (None, self.written):
            entry = self._shelf.shelve(
                WrittenBody(
                    digest=self._digest,
                    blob=self._blob,
                    size=self.written,
                    block_shift=self._block_shift,
                    checksums=self._at.checksums,
                    file=file,
                ),
                key,
                meta,
                head,
                tags,
            )
        if entry is None:
            self._give_up()
        self._over = True
        return entry

    def _give_up(self) -> None:
        self._over = True
        self._queue.clear()
        self.backlog = 0
        ending, self._ending = self._ending, None
        if ending is not None:
            ending()
        if not self._busy:
            self._delete()

    def _delete(self) -> None:
        if self._at.fd >= 0:
            # Should it fail, the name shows that we made it: the next start deletes it.
            self._together(self._at.delete).addErrback(lambda _: None)

    def _release(self) -> None:
        if self._file is not None and not self._busy:
            file, self._file = self._file, None
            file.close()
