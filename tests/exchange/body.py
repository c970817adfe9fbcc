"""Stand-ins for what a body passes through: tap, writer, file, client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

BODY = bytes(range(251)) * 400
"""100,400 bytes, no two near stretches alike."""


class Tap:
    """An origin call. paused: whether it was told to stop."""

    def __init__(self) -> None:
        self.paused = False
        self.cancelled = False

    def pause(self) -> None:
        assert not self.paused, "paused twice"
        self.paused = True

    def resume(self) -> None:
        assert self.paused, "resumed without pause"
        self.paused = False

    def cancel(self) -> None:
        self.cancelled = True


class File:
    """A body file. cold: nothing is in the page cache. held: how many users it has."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.cold = False
        self.held = 0
        self.reads: list[tuple[Deferred[bytes], bytes]] = []

    def read_now(self, offset: int, size: int) -> bytes | None:
        assert self.held > 0
        if self.cold:
            return None
        return BODY[offset : min(offset + size, self.writer.written)]

    def read(self, offset: int, size: int) -> Deferred[bytes]:
        assert self.held > 0
        reading: Deferred[bytes] = Deferred()
        self.reads.append((reading, BODY[offset : min(offset + size, self.writer.written)]))
        return reading

    def close(self) -> None:
        assert self.held > 0
        self.held -= 1


class Writer:
    """A `store.BodyWriter` whose disk works when the test says so, as the real one does."""

    LOW_MARK = 1000

    def __init__(self) -> None:
        self.written = self.backlog = 0
        self.failed: Exception | None = None
        self.on_drain: Callable[[], None] | None = None
        self.on_error: Callable[[], None] | None = None
        self.given = 0
        self.file = File(self)
        self.over = False
        self.batch = 0  # bytes being written
        self.exists = False
        self.released = False

    def write(self, data: bytes) -> None:
        if self.over:
            return
        assert data == BODY[self.given : self.given + len(data)]
        self.given += len(data)
        self.backlog += len(data)
        if not self.batch:
            self.batch = self.backlog

    def reader(self) -> File | None:
        if not self.exists or self.released:
            return None
        self.file.held += 1
        return self.file

    def abort(self) -> None:
        self.over = True
        self.backlog = 0
        if not self.batch:
            self.released = True

    # The disk

    def progress(self) -> None:
        """What was being written has been."""
        if not self.batch:
            return
        size, self.batch = self.batch, 0
        self.exists = True
        self.written += size
        if self.over:
            self.released = True
            return
        self.backlog -= size
        self.batch = self.backlog
        if self.on_drain is not None and self.backlog <= self.LOW_MARK:
            self.on_drain()

    def fail(self) -> None:
        """The disk refuses."""
        if self.over or not self.batch:
            return
        self.batch = 0
        self.failed = OSError("no room")
        self.over = True
        self.backlog = 0
        if self.on_error is not None:
            self.on_error()


class Client:
    """A `wire.Downstream` that remembers, and a transport that may be full."""

    def __init__(self) -> None:
        self.got = bytearray()
        self.ended = ""
        self.full_after: int | None = None
        self.producer: Any = None
        self.logged: list[tuple[int, bool]] = []

    def write(self, data: bytes | memoryview) -> None:
        assert not self.ended, "written to after the end"
        assert data, "an empty piece"
        self.got += data
        if self.full_after is not None and len(self.got) >= self.full_after:
            self.full_after = None
            self.producer.pauseProducing()

    def finish(self) -> None:
        assert not self.ended, "ended twice"
        self.ended = "finished"

    def abort(self) -> None:
        assert not self.ended, "ended twice"
        self.ended = "cut"

    def done(self, written: int, whole: bool) -> None:  # as `Reader` calls it
        self.logged.append((written, whole))
