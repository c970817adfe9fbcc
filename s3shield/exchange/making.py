"""A coded form being made, of the identity form's bytes as they come.

Theory of operation. A `Making` reads the identity form as a client does: it stands where a
client's response stands, behind a `Reader`, whose source is a stored body, or one that is
still arriving from the origin. What it makes goes into a `Fill`, as an origin's body
does: to the store, and to all clients that want this form, each at its own speed. The
compressing is done in a thread, a piece after the other, so that the event loop is not
held. Memory is bounded: what waits to be compressed by `_AHEAD`, what is made by the
fill, which pauses us; paused, we pause the reader, and it the origin.

The first piece is flushed, so that a client has something to show early. A form whose
identity form breaks off is cut and stored nowhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred

from .encoders import Encoder, code
from .fill import Fill

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from s3shield.store import BodyWriter

    from .answer import Representation
    from .reading import Reader

__all__ = ["InThread", "Making"]

InThread = Callable[..., "Deferred[bytes]"]
"""Calls a function in a thread; fires with what it returns."""

_PIECE: Final = 128 * 1024
"""Bytes compressed in one go, or one chunk that is longer."""
_AHEAD: Final = 512 * 1024
"""Bytes that may wait to be compressed."""


class Making:
    """See the module's text. A `reading.Sink`, and a `fill.Tap`.

    coding: bytes. what: the identity form. stamp: `forms.stamp` of it; empty where it is not
    stored yet. since: the store's fence at the beginning. reader: brings the identity form.
    taken: bytes of it so far. keep: called with this when the form is whole; sees to it that
    it is stored and calls `landed`. deserted: tells, when all clients have left, whether
    to go on. trouble: called with what went wrong in the thread. done: fires at the end.
    """

    __slots__ = (
        "_begun",
        "_busy",
        "_call_soon",
        "_deserted",
        "_encoder",
        "_held",
        "_in_thread",
        "_keep",
        "_over",
        "_scheduled",
        "_size",
        "_trouble",
        "_waiting",
        "_whole",
        "coding",
        "done",
        "fill",
        "reader",
        "since",
        "stamp",
        "taken",
        "what",
    )

    def __init__(
        self,
        coding: bytes,
        what: Representation,
        stamp: bytes,
        since: int,
        *,
        encoder: Encoder,
        in_thread: InThread,
        call_soon: Callable[[Callable[[], None]], object],
        inline_limit: int,
        new_body: Callable[[], BodyWriter] | None,
        keep: Callable[[Making], None],
        deserted: Callable[[Making], bool],
        trouble: Callable[[str], None],
    ) -> None:
        self.coding = coding
        self.what = what
        self.stamp = stamp
        self.since = since
        self.reader: Reader | None = None
        self.taken = 0
        self.done: Deferred[None] = Deferred()
        self.fill = Fill(
            self,
            length=None,
            inline_limit=inline_limit,
            new_body=new_body,
            abandoned=self.abandoned,
        )
        self._encoder = encoder
        self._in_thread = in_thread
        self._call_soon = call_soon
        self._keep = keep
        self._deserted = deserted
        self._trouble = trouble
        self._waiting: deque[bytes | memoryview] = deque()
        self._size = 0  # bytes that wait
        self._begun = self._busy = self._scheduled = self._held = False
        self._whole = self._over = False

    @property
    def joinable(self) -> bool:
        """Whether a client that comes now can have all of it."""
        return not self._over and (self.fill.keeps or not self.fill.arrived)

    # reading.Sink: the identity form comes in

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the identity form."""
        if self._over:
            return
        self._waiting.append(data)
        self._size += len(data)
        self.taken += len(data)
        if self._size > _AHEAD and self.reader is not None:
            self.reader.pauseProducing()
        self._soon()

    def finish(self) -> None:
        """That was all of it."""
        self._whole = True
        self._soon()

    def abort(self) -> None:
        """The rest will not come."""
        self.stop()

    # fill.Tap: the coded form goes out

    def pause(self) -> None:
        """Nobody can take more for now."""
        self._held = True

    def resume(self) -> None:
        """Go on."""
        self._held = False
        self._soon()

    def cancel(self) -> None:
        """Nobody wants it."""
        self.stop()

    # What clients and their going do to it

    def abandoned(self) -> None:
        """All clients have left: go on for the store's sake, or stop."""
        if not (self._over or self._deserted(self)):
            self.stop()

    def look(self) -> None:
        """See whether anybody reads it: who began it may have gone already."""
        if not (self._over or self.fill.readers):
            self.abandoned()

    def stop(self) -> None:
        """It will not be whole: cut whoever reads it, and forget it."""
        if not self._over:
            self._over = True  # first: to give up a file may call `landed`
            self.fill.keep_no_longer()
            self.fill.fail()
            self._end()

    def landed(self) -> None:
        """It is stored, or will not be: clients get the end of it."""
        if not self._over:
            self._over = True
            self.fill.end()
            self._end()

    # Inside

    def _end(self) -> None:
        self._waiting.clear()
        reader, self.reader = self.reader, None
        if reader is not None:
            reader.stopProducing()  # which does nothing when it has ended
        self.done.callback(None)
        del self.fill  # which knows us: no cycle is left; its readers have it

    def _soon(self) -> None:
        """In a turn of its own: by then a short body is here to its end."""
        if not (self._busy or self._scheduled or self._held or self._over):
            self._scheduled = True
            self._call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        if self._busy or self._held or self._over:
            return
        pieces: list[bytes | memoryview] = []
        size = 0
        while self._waiting and size < _PIECE:
            pieces.append(self._waiting.popleft())
            size += len(pieces[-1])
        self._size -= size
        finish = self._whole and not self._waiting
        if not pieces and not finish:
            return
        flush, self._begun = not self._begun, True
        self._busy = True
        self._in_thread(code, self._encoder, pieces, flush=flush, finish=finish).addCallbacks(
            partial(self._made, finish=finish), self._broke
        )

    def _made(self, data: bytes, *, finish: bool) -> None:
        self._busy = False
        if self._over:
            return
        if data:
            self.fill.data(data)
        if finish:
            self._keep(self)
            return
        if self._size <= _AHEAD // 2 and self.reader is not None:
            self.reader.resumeProducing()
        self._soon()

    def _broke(self, failure: Failure) -> None:
        self._busy = False
        self._trouble(failure.getErrorMessage())
        self.stop()
