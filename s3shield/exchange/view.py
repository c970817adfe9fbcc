"""A stored body with gaps as one reader sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from s3shield.policy import Request

from .reading import Piece, Reader, SourceState, read_file

if TYPE_CHECKING:
    from s3shield.routing import Route

    from .distant import DistantGap
    from .fill import Fill
    from .gap import Gap
    from .sparse import Sparse

__all__ = ["View", "Whose"]

Whose = tuple[Request, "Route"]
"""For whom a gap is asked for."""


class View:
    """A sparse body as one reader sees it. A `reading.Source`."""

    __slots__ = ("_cut", "_fill", "_gap", "_left", "_sparse", "reader", "whose")

    def __init__(self, sparse: Sparse, whose: Whose) -> None:
        self.reader: Reader | None = None
        self._sparse = sparse
        self.whose = whose
        self._fill: Fill | None = None
        self._gap: Gap | DistantGap | None = None
        self._cut = False
        self._left = False

    def follow(self, fill: Fill) -> None:
        """From now on `fill` brings what comes next."""
        if self._left or self.reader is None:
            return
        self._fill = fill
        fill.join(self.reader)

    def cut(self) -> None:
        """What comes next will not come."""
        self._cut = True
        if self.reader is not None:
            self.reader.advance()

    def go_on(self) -> None:
        """Something may have come."""
        if self.reader is not None and not self._left:
            self.reader.advance()

    # Source

    @property
    def received(self) -> int:
        """Offset up to which the reader can go on."""
        if self.reader is None:
            return 0
        position, fill = self.reader.position, self._fill
        if fill is not None and fill.start <= position < fill.received:
            return fill.received
        return self._sparse.body.run_end(position)

    @property
    def state(self) -> SourceState:
        """Never complete: a reader of a part knows its own end."""
        fill = self._fill
        if self._cut or (fill is not None and fill.state is SourceState.BROKEN):
            return SourceState.BROKEN
        return SourceState.ARRIVING

    def read(self, position: int, size: int) -> Piece | Deferred[bytes]:
        """From what is on its way, else from the file."""
        fill = self._fill
        if fill is not None and fill.start <= position < fill.received:
            piece = fill.read(position, size)
            if piece:
                return piece
        body = self._sparse.body
        readable = min(size, body.run_end(position) - position)
        if body.file is None or readable <= 0:
            return b""
        return read_file(body.file, position, readable)

    def caught_up(self) -> None:
        """The reader is at a gap."""
        reader, fill = self.reader, self._fill
        if reader is None or self._left:
            return
        position = reader.position
        if fill is not None:
            stop = fill.received if fill.state is SourceState.COMPLETE else fill.stop or 0
            if fill.start <= position < stop:
                fill.caught_up()
                return
            self._part(reader)
        elif self._gap is not None:
            if not self._gap.over and self._gap.brings(position):
                return  # its head is awaited, or its next block
            self._part(reader)
        gap = self._gap = self._sparse.gap_at(position, reader.end, self.whose)
        if gap is None:
            self._cut = True
            reader.advance()
        else:
            self._sparse.run_ahead()
            gap.take(self)  # it may have the reader run on, to other gaps

    def left(self, reader: Reader) -> None:
        """The reader is done, or its client gone."""
        if not self._left:
            self._left = True
            self._part(reader)
            self._sparse.left(self)

    def _part(self, reader: Reader) -> None:
        fill, self._fill = self._fill, None
        gap, self._gap = self._gap, None
        if fill is not None:
            fill.left(reader)
        elif gap is not None:
            gap.drop(self)
