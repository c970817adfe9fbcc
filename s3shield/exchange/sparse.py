"""A stored body with gaps: what is there is read, what is not is fetched, once.

Theory of operation. One `Sparse` stands for one incomplete body file in this process. A
request's bytes are read in order by a `reading.Reader` whose source is a `View`: from
the file where a block is there, from a `Gap`'s fill where it is on its way; where
neither is, the view begins a gap that ends at the next block that is there, or at what
the reader needs. Gaps are shared: a reader follows a running one, unless that has far to
go before it comes to what the reader needs; then another one begins there.

The response's head goes out when its first byte is known to be right: stored, or in an
answer of the origin's whose validators fit. When the representation has changed, the
entry goes; a client whose head is not out is served anew, once; others are cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred

from s3shield.policy import (
    CacheStatus,
    ContentRange,
    NoStoreReason,
    OriginFailure,
    Request,
    RunningDigest,
)

from .ahead import STRETCH, sequential_stretch, stretches
from .answer import Answer, Representation
from .fill import Fill
from .gap import Gap
from .reading import Piece, Reader, SourceState, read_file
from .transaction import Transaction

if TYPE_CHECKING:
    from s3shield.routing import Route
    from s3shield.store import Entry, SparseBody
    from s3shield.wire import OriginCall

    from .location import Location

__all__ = ["WORTH", "Sparse", "View", "give_sparse"]

WORTH: Final = 4
"""Blocks from which on a body that is fetched whole is stored block by block."""
_NEAR: Final = 8
"""Blocks that a reader waits for a running gap to bring, rather than begin another one."""
_LONG: Final = 64
"""Blocks from which on a new gap inside a running one is worth a request more for its rest."""


class Sparse:
    """See the module's text.

    location: whose origin is asked. body: store.SparseBody. primary: digest of the key,
    whichever the variant. ranges: whether the origin is thought to know ranges. broken:
    the origin has another representation by now. faltered: a fetch has failed; nothing
    more is fetched ahead.
    """

    def __init__(
        self, location: Location, body: SparseBody, primary: bytes, *, ranges: bool = True
    ) -> None:
        self.primary = primary
        self.location = location
        self.body = body
        self.ranges = ranges
        self.broken = self.faltered = False
        self.gaps: list[Gap] = []
        self._views: list[View] = []
        self._opening = 0
        assert body.entry.blob is not None
        self._blob = body.entry.blob
        location.zone.sparse[self._blob] = self

    def give(
        self, transaction: Transaction, entry: Entry, what: Representation, *, fresh: bool = False
    ) -> None:
        """Answer from `what`; entry: the latest that is known. fresh: just begun."""
        if fresh:
            self._give(transaction, what)
            return
        self._opening += 1

        def opened() -> None:
            self._opening -= 1
            if self.body.failed:
                self._idle()
                self.location.fetch_anew(transaction)
            else:
                self.body.learn(entry)
                self._give(transaction, what)

        self.body.when_open(opened)

    def join(self, transaction: Transaction, what: Representation) -> bool:
        """Serve one more client before lookups find the entry; False when it has changed."""
        if self.broken:
            return False
        self.give(transaction, self.body.entry, what, fresh=True)
        return True

    def adopt(
        self, call: OriginCall, part: ContentRange, whose: Whose, check: RunningDigest | None
    ) -> Gap:
        """Begin with a call under way, which brings `part`. check: of the whole body, if it is."""
        assert part.start is not None
        assert part.end is not None
        gap = Gap(self, part.start, part.end, *whose, check=check)
        self.gaps.append(gap)
        gap.adopt(call, part.end)
        return gap

    def _give(self, transaction: Transaction, what: Representation) -> None:
        if self.broken:
            self.restart(transaction)
            return
        plan = transaction.settle(what)
        if plan is None:
            self._idle()
            return
        blocks = self.body.blocks
        spans = plan.spans(blocks.size)
        held, total = blocks.held(spans), sum([end - start for start, end in spans])
        transaction.cached = held == total
        transaction.held = blocks.copy().held
        if transaction.cache_status is CacheStatus.HIT:
            if not held:
                transaction.cache_status = CacheStatus.MISS
            elif held < total:
                transaction.cache_status = CacheStatus.PARTIAL
        start, end = spans[0]
        whose = (transaction.request, transaction.route)
        there = blocks.has(start >> blocks.shift)
        gap = None if there else self.gap_at(start, end, whose)
        if len(spans) == 1 and transaction.request.method == b"GET":
            self._read_on(spans[0], whose)
        if gap is not None and transaction.origin_started is None:
            transaction.origin_started = self.location.around.monotonic()
        if gap is not None and gap.fill is None:
            gap.wait(transaction, plan)
        else:
            self.stream(transaction, plan)

    # What gaps call

    def stream(self, transaction: Transaction, plan: Answer) -> None:
        """Start an answer whose first byte is known to be right."""
        view = View(self, (transaction.request, transaction.route))
        self._views.append(view)
        view.reader = reader = transaction.stream(plan, view)
        if not reader.finished:
            reader.advance()
        self.run_ahead()

    def keeps(self, length: int) -> bool:
        """Tell whether a gap of `length` bytes is stored."""
        return not self.body.failed and length <= self.location.zone.largest

    def refused(self, transaction: Transaction, failure: OriginFailure) -> None:
        """The origin failed before anything was sent."""
        transaction.reason = NoStoreReason.ORIGIN_ERROR
        transaction.age = None
        transaction.refuse(failure.gateway_status)

    def changed(self) -> None:
        """The origin has another representation: what is stored is of no use any more."""
        if not self.broken:
            self.broken = True
            self.location.zone.store.sparse.gone(self.body.entry)
            self.body.lost = True
            self._forget()

    def restart(self, transaction: Transaction) -> None:
        """Serve a client anew, once."""
        if transaction.restarted:
            transaction.age = None
            transaction.refuse(502)
            return
        transaction.restarted = True
        self.location.fetch_anew(transaction)
        self._idle()

    def filled(self, gap: Gap) -> None:
        """A gap is over, one way or the other."""
        if gap in self.gaps:
            self.gaps.remove(gap)
        self.run_ahead()
        self._idle()

    # What views call

    def gap_at(self, position: int, end: int | None, whose: Whose) -> Gap | None:
        """Return the gap that brings `position`; None when nothing can."""
        gap = self._covering(position)
        if gap is None and not self.broken:
            gap = self._begin(position, self.body.blocks.size if end is None else end, whose)
        return gap

    def left(self, view: View) -> None:
        """A view is not used any more."""
        self._views.remove(view)
        if not self._views:
            for gap in tuple(self.gaps):
                gap.idle()
        self._idle()

    def run_ahead(self) -> None:
        """Have several connections fetch what readers will need next."""
        connections = self.location.rules.range_connections
        if connections == 1 or not self._may_run_ahead():
            return
        blocks = self.body.blocks
        for view in tuple(self._views):
            reader = view.reader
            if reader is not None and not reader.finished:
                end = blocks.size if reader.end is None else reader.end
                for span in stretches(blocks, self._running(), reader.position, end, connections):
                    self._launch(*span, view.whose)

    def _read_on(self, span: tuple[int, int], whose: Whose) -> None:
        """Fetch what a client will ask for next who reads one range after the other."""
        ahead, blob = self.location.rules.read_ahead, self._blob
        if not ahead or not self._may_run_ahead():
            return
        ended = self.location.zone.reads.get(blob)
        self.location.zone.reads.put(blob, span[1])
        if ended == span[0]:
            found = sequential_stretch(self.body.blocks, self._running(), span[1], ahead)
            if found is not None:
                self._launch(*found, whose)

    # Inside

    def _covering(self, position: int) -> Gap | None:
        far = _NEAR << self.body.blocks.shift
        for gap in self.gaps:
            near = not self.ranges or position - gap.arrived <= far
            if not gap.over and near and gap.brings(position):
                return gap
        return None

    def _begin(self, position: int, end: int, whose: Whose) -> Gap:
        blocks = self.body.blocks
        start = blocks.start_of(position)
        if self.location.rules.range_connections > 1:
            end = min(end, start + (STRETCH << blocks.shift))
        stop = blocks.gap_end(start, end)
        running = [gap for gap in self.gaps if not gap.over]
        stop = min([stop, *[gap.start for gap in running if start < gap.start]])
        for gap in running:
            within = gap.arrived < start < gap.stop
            if within and (stop >= gap.stop or stop - start >= _LONG << blocks.shift):
                gap.shorten(start)
        return self._launch(start, stop, whose)

    def _may_run_ahead(self) -> bool:
        kept = self.keeps(STRETCH << self.body.blocks.shift)
        return kept and self.ranges and not (self.broken or self.faltered)

    def _running(self) -> list[tuple[int, int]]:
        return [(gap.start, gap.stop) for gap in self.gaps if not gap.over]

    def _launch(self, start: int, stop: int, whose: Whose) -> Gap:
        gap = Gap(self, start, stop, *whose)
        self.gaps.append(gap)
        gap.begin()
        return gap

    def _idle(self) -> None:
        if not (self.gaps or self._views or self._opening):
            self._forget()
            self.body.close()

    def _forget(self) -> None:
        registry = self.location.zone.sparse
        if registry.get(self._blob) is self:
            del registry[self._blob]


def give_sparse(location: Location, transaction: Transaction, entry: Entry) -> None:
    """Answer from an incomplete entry."""
    assert entry.blob is not None
    zone = location.zone
    sparse = zone.sparse.get(entry.blob)
    if sparse is None:
        sparse = Sparse(location, zone.store.sparse.open(entry), transaction.route.digest)
    sparse.give(transaction, entry, Representation(entry, entry.head, entry.size))


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
        self._gap: Gap | None = None
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

    # Source

    @property
    def received(self) -> int:
        """Offset up to which the reader can go on."""
        if self.reader is None:
            return 0
        position, fill = self.reader.position, self._fill
        if fill is not None and fill.start <= position < fill.received:
            return fill.received
        return self._sparse.body.blocks.run_end(position)

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
        readable = min(size, body.blocks.run_end(position) - position)
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
        elif self._gap is not None and not self._gap.over:
            return  # its head is awaited
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
