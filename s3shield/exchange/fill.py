"""A body arriving from the origin: to the store, and to every reader at its own offset.

Theory of operation. Bytes come in at the live edge (`received`). A reader that has kept
up gets them there and then (`Reader.offer`). One that lags reads, in this order, from
the body file (offsets below `BodyWriter.written`) or from the *window*, the chunks in
memory that are not in the file yet. What the window holds depends on where the body
goes:

* kept in memory (`keep` and short): all of it, until it ends or outgrows the inline limit;
* kept in a file: what the writer thread has not written yet, at most about BACKLOG;
* not kept, or no longer because the disk refused: what the slowest reader lacks, at most
  about WINDOW.

The last bytes of a body that goes to a file are held back until `end`: by then the index
names the file, so a client that asks again finds it, whichever worker it meets.

Past those bounds the origin is paused. So memory is bounded, a slow reader of a stored
body never slows the others, and a reader of a body that is not stored sets the origin's
pace.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred

from .reading import Piece, Reader, SourceState, read_file

if TYPE_CHECKING:
    from s3shield.store import BodyFile, BodyWriter, GapWriter

__all__ = ["BACKLOG", "WINDOW", "Fill"]

WINDOW = 1 << 20
"""Bytes held for readers that lag behind a body that is in no file."""
BACKLOG = 4 << 20
"""Bytes waiting to be written to the body file."""


class Tap(Protocol):
    """The flow of bytes from the origin: `wire.OriginCall`."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def cancel(self) -> None: ...


class Fill:
    """One arriving body, or a part of one. A `Source` for its readers.

    tap: what to pause. start: offset of the first byte to come. length: bytes to
    come, None when not known; stop: offset at which they end. inline_limit: bytes
    up to which a kept body stays in memory.
    new_body: Callable that opens a body file, or None when the body is not kept.
    arrived: offset up to which bytes came; received: up to which readers may have them.
    abandoned: called when the last reader has left a body that is still arriving.
    """

    __slots__ = (
        "_abandoned",
        "_file",
        "_inline_limit",
        "_kept",
        "_new_body",
        "_paused",
        "_tap",
        "_window",
        "arrived",
        "readers",
        "received",
        "start",
        "state",
        "stop",
        "writer",
    )

    def __init__(
        self,
        tap: Tap,
        *,
        length: int | None,
        inline_limit: int,
        new_body: Callable[[], BodyWriter | GapWriter] | None,
        abandoned: Callable[[], None],
        start: int = 0,
    ) -> None:
        self.start = self.received = start
        self.state = SourceState.ARRIVING
        self.readers: list[Reader] = []
        self.writer: BodyWriter | GapWriter | None = None
        self.arrived = start
        self.stop = None if length is None else start + length
        self._tap = tap
        self._inline_limit = inline_limit
        self._new_body = new_body
        self._abandoned = abandoned
        self._window: deque[tuple[int, bytes]] = deque()
        self._kept = 0  # bytes in the window
        self._paused = False
        self._file: BodyFile | None = None

    # What the flight calls

    @property
    def keeps(self) -> bool:
        """Whether the body is still going to the store."""
        return self._new_body is not None and (self.writer is None or self.writer.failed is None)

    @property
    def in_memory(self) -> bytes | None:
        """The whole body so far, when it is kept and never went to a file."""
        if self._new_body is None or self.writer is not None:
            return None
        return b"".join([chunk for _, chunk in self._window])

    def keep_no_longer(self) -> None:
        """The rest is for the readers only (too large, cut short, no room)."""
        if self.writer is not None:
            if self.readers:
                self._open_file()  # before its name goes: some may lag behind
            self.writer.abort()
            if self._file is None:
                self.writer = None  # what it has written cannot be read: the window has it
        self._new_body = None
        self._trim()

    def data(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        offset = self.arrived
        self.arrived = offset + len(data)
        if self._new_body is not None:
            self._window.append((offset, data))
            self._kept += len(data)
            if self.writer is not None:
                self.writer.write(data)
            elif self.arrived > self._inline_limit:
                self._spill()
            if self.arrived == self.stop and self.writer is not None:
                return
        self.received = self.arrived
        lagging = False
        for reader in tuple(self.readers):
            reader.offer(offset, data)
            lagging = lagging or reader.lags
        if self._new_body is None and lagging:
            self._window.append((offset, data))
            self._kept += len(data)
        if self._window:
            self._trim()

    def end(self) -> None:
        """The body is whole."""
        self.state = SourceState.COMPLETE
        self.received = self.arrived
        self._wake()

    def fail(self) -> None:
        """The rest will not come: readers get what is there, then their connection is cut."""
        self.state = SourceState.BROKEN
        self._wake()

    def retap(self, tap: Tap) -> None:
        """The bytes go on coming from another call."""
        self._tap = tap
        if self._paused:
            tap.pause()

    def join(self, reader: Reader) -> None:
        """`reader` follows from its own position on."""
        if not reader.finished:  # its client may be gone already
            self.readers.append(reader)
            reader.advance()

    # Source

    def read(self, position: int, size: int) -> Piece | Deferred[bytes]:
        """From the window, else from the body file."""
        if self._window and position >= self._window[0][0]:
            for offset, chunk in self._window:
                skip = position - offset
                if skip < len(chunk):
                    if skip == 0 and len(chunk) <= size:
                        return chunk
                    return memoryview(chunk)[skip : skip + size]
        if self.writer is None:
            return b""
        file = self._open_file()
        readable = self.writer.written - position
        if file is None or readable <= 0:
            return b""
        return read_file(file, position, min(size, readable))

    def caught_up(self) -> None:
        """What a reader lacked is not needed any more; the origin may go on."""
        self._trim()

    def left(self, reader: Reader) -> None:
        """One reader fewer: what only it needed can go."""
        if reader in self.readers:
            self.readers.remove(reader)
        self._trim()
        if not self.readers:
            if self.state is SourceState.ARRIVING:
                self._abandoned()
            else:
                self.release()

    def release(self) -> None:
        """Nobody reads any more: let go of memory and file, and of the writer's calls."""
        if self.writer is None:
            self._window.clear()
            self._kept = 0
        else:
            self.writer.on_drain = self.writer.on_error = None
        if self._file is not None:
            self._file.close()
            self._file = None

    # Inside

    def _open_file(self) -> BodyFile | None:
        if self._file is None and self.writer is not None:
            self._file = self.writer.reader()
        return self._file

    def _spill(self) -> None:
        """Too large for the index: what was kept goes to a body file."""
        assert self._new_body is not None
        writer = self.writer = self._new_body()
        writer.on_drain = self._trim
        writer.on_error = self._writer_failed
        for _, chunk in self._window:
            writer.write(chunk)

    def _writer_failed(self) -> None:
        self._new_body = None
        self._trim()

    def _wake(self) -> None:
        for reader in tuple(self.readers):
            reader.advance()
        if not self.readers:
            self.release()

    def _trim(self) -> None:
        """Drop the chunks that nobody needs any more; pause or resume the origin."""
        window = self._window
        if self._new_body is not None:
            if self.writer is None:
                return  # short so far: all of it is kept
            floor = self.writer.written
            waiting, limit = self.writer.backlog, BACKLOG
        else:
            floor = min((r.position for r in self.readers if r.lags), default=self.received)
            if self.writer is not None:
                floor = max(floor, self.writer.written)
            waiting, limit = self._kept, WINDOW
        while window and window[0][0] + len(window[0][1]) <= floor:
            self._kept -= len(window.popleft()[1])
        if self._new_body is None:
            waiting = self._kept
        if waiting > limit:
            if not self._paused and self.state is SourceState.ARRIVING:
                self._paused = True
                self._tap.pause()
        elif self._paused:
            self._paused = False
            self._tap.resume()
