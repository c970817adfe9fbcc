"""One client reading one body at its own pace, wherever the body comes from.

A `Reader` is the push producer of one response. It copies from a `Source`: a body
file of the store (`StoredSource`) or a body still arriving (`fill.Fill`). Knows no
HTTP, no cache: offsets, bytes and backpressure only.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

if TYPE_CHECKING:
    from .answer import Part

__all__ = [
    "CHUNK",
    "Piece",
    "Reader",
    "Sink",
    "Source",
    "SourceState",
    "StoredSource",
    "never",
    "read_file",
]

CHUNK = 256 * 1024
"""Bytes moved per step; measured as the best with uvloop's transports."""
TURN = 4 * CHUNK
"""Bytes after which a reader lets other connections have the event loop."""

Piece = bytes | memoryview


class SourceState(enum.Enum):
    """Whether more is to come."""

    ARRIVING = 1
    COMPLETE = 2
    BROKEN = 3
    """No more will come, and what is there is not the whole."""


class Source(Protocol):
    """Where a reader's bytes come from."""

    @property
    def received(self) -> int:
        """Bytes that exist so far: offsets below it can be read."""

    @property
    def state(self) -> SourceState:
        """Whether more is to come."""

    def read(self, position: int, size: int) -> Piece | Deferred[bytes]:
        """Return 1 to `size` bytes at `position` < `received`, at once or later.

        An empty piece, or a failed Deferred, says that they cannot be had.
        """

    def caught_up(self) -> None:
        """A reader that lagged has everything that is there."""

    def left(self, reader: Reader) -> None:
        """`reader` is done, or its client is gone."""


class Sink(Protocol):
    """Where a reader's bytes go: a client's response (`wire.Downstream`), or what reads on."""

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""

    def finish(self) -> None:
        """That was all of it."""

    def abort(self) -> None:
        """The rest will not come."""


class StoredFile(Protocol):
    """The part of the store's body file that reading needs."""

    def read_now(self, offset: int, size: int) -> Piece | bytearray | None: ...
    def read(self, offset: int, size: int) -> Deferred[bytes]: ...
    def close(self) -> None: ...


def read_file(file: StoredFile, position: int, size: int) -> Piece | Deferred[bytes]:
    """From the page cache now, from the disk later."""
    piece = file.read_now(position, size)
    return memoryview(piece) if piece else file.read(position, size)


class StoredSource:
    """A whole stored body in its file."""

    __slots__ = ("_file", "received", "state")

    def __init__(self, file: StoredFile, size: int) -> None:
        self._file = file
        self.received = size
        self.state = SourceState.COMPLETE

    def read(self, position: int, size: int) -> Piece | Deferred[bytes]:
        """From the page cache now, from the disk later."""
        return read_file(self._file, position, size)

    def caught_up(self) -> None:
        """All of it is there from the start."""

    def left(self, reader: Reader) -> None:
        """The one reader of this source is done."""
        self._file.close()


def never() -> bool:
    """No end to a turn."""
    return False


Done = Callable[[int, bool], None]
"""Called once with (bytes written, whether all of them): for the log."""


def _told(_written: int, _whole: bool) -> None:
    """It has been called."""


@implementer(IPushProducer)
class Reader:
    """Copies `[position, end)` of a source to a downstream, as fast as that takes it.

    end: int, or None for "all there will be". call_soon: Callable that runs its
    argument in a later turn of the event loop. done: see `Done`. rest, tail: further
    ranges, each with what goes before it, and what goes after the last. over: tells whether
    readers have had the event loop for long enough. spans: what has been sent, complete
    once it is done.
    """

    __slots__ = (
        "_call_soon",
        "_done",
        "_downstream",
        "_over",
        "_paused",
        "_reading",
        "_rest",
        "_scheduled",
        "_start",
        "_tail",
        "_texts",
        "end",
        "finished",
        "position",
        "source",
        "spans",
    )

    def __init__(
        self,
        source: Source,
        downstream: Sink,
        start: int,
        end: int | None,
        call_soon: Callable[[Callable[[], None]], object],
        done: Done,
        rest: Sequence[Part] = (),
        tail: bytes = b"",
        over: Callable[[], bool] = never,
    ) -> None:
        self.source = source
        self.position = self._start = start
        self.end = end
        self.finished = False
        self._downstream = downstream
        self._call_soon = call_soon
        self._over = over
        self._done = done
        self._paused = False
        self._reading = False
        self._scheduled = False
        self._rest = list(reversed(rest))
        self._tail = tail
        self._texts = 0  # bytes written that are not the body's
        self.spans: list[tuple[int, int]] = []

    # What the source calls

    def offer(self, offset: int, data: bytes) -> None:
        """New bytes at `offset` have arrived: a reader that has kept up takes them."""
        skip = self.position - offset
        if self._paused or self._reading or skip < 0 or skip >= len(data) or self.finished:
            return
        if self._over():
            self._later()  # it lags from here on
            return
        take = len(data) if self.end is None else min(len(data), self.end - offset)
        if skip == 0 and take == len(data):
            self._write(data)
        else:
            self._write(memoryview(data)[skip:take])
        if self.finished or self.end is None or self.position < self.end:
            return
        if not self._go_on():
            self._finish()

    def advance(self) -> None:
        """Copy as much as source and client allow."""
        written = 0
        while not self._paused and not self._reading and not self.finished:
            if self.end is not None and self.position >= self.end and not self._go_on():
                self._finish()
                return
            available = self.source.received - self.position
            if available <= 0:
                if self.source.state is SourceState.COMPLETE:
                    self._finish()
                elif self.source.state is SourceState.BROKEN:
                    self.cut()
                else:
                    self.source.caught_up()
                return
            if written >= TURN or self._over():
                self._later()
                return
            size = available if self.end is None else min(available, self.end - self.position)
            piece = self.source.read(self.position, min(size, CHUNK))
            if isinstance(piece, Deferred):
                self._reading = True
                piece.addCallbacks(self._read_later, self._read_failed)
            elif piece:
                written += len(piece)
                self._write(piece)
            else:
                self.cut()

    def cut(self) -> None:
        """What was promised cannot be had: never end a short body as if it were whole."""
        if not self.finished:
            self._leave(whole=False)
            self._downstream.abort()

    # What the transport calls

    def pauseProducing(self) -> None:
        """The client's socket is full."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The client's socket has room again."""
        if self._paused:
            self._paused = False
            # In a turn of its own: a transport may call this from inside our write.
            self._later()

    def stopProducing(self) -> None:
        """The client is gone."""
        if not self.finished:
            self._leave(whole=False)

    # Inside

    @property
    def lags(self) -> bool:
        """Whether it still needs bytes below what has been received."""
        return not self.finished and self.position < self.source.received

    def _later(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        self.advance()

    def _write(self, piece: Piece) -> None:
        self.position += len(piece)
        self._downstream.write(piece)

    def _read_later(self, piece: Piece) -> None:
        self._reading = False
        if self.finished:
            return
        if piece:
            self._write(piece)
            self.advance()
        else:
            self.cut()

    def _read_failed(self, _failure: object) -> None:
        self._reading = False
        self.cut()

    def say(self, text: bytes) -> None:
        """Write what is not the body's."""
        self._texts += len(text)
        self._downstream.write(text)

    def _go_on(self) -> bool:
        """Begin with the next range; False when there is none."""
        if not self._rest:
            return False
        self.spans.append((self._start, self.position))
        lead, self.position, self.end = self._rest.pop()
        self._start = self.position
        self.say(lead)
        # Not from inside `offer`, where there may be more of the chunk at hand.
        self._later()
        return True

    def _finish(self) -> None:
        if self._tail:
            self.say(self._tail)
        self._leave(whole=True)
        self._downstream.finish()

    def _leave(self, *, whole: bool) -> None:
        self.finished = True
        self.source.left(self)
        self.spans.append((self._start, self.position))
        done, self._done = self._done, _told  # what it knows knows this reader
        done(self._texts + sum([end - start for start, end in self.spans]), whole)
