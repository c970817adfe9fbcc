"""A stored body with gaps: what is there is read, what is not is fetched, once.

Theory of operation. One `Sparse` stands for one incomplete body file in this process. A
request's bytes are read in order by a `reading.Reader` whose source is a `View`: from
the file where a block is there, from a `Gap`'s fill where it is on its way; where
neither is, the view begins a gap that ends at the next block that is there, or at what
the reader needs. Gaps are shared: a reader follows a running one, unless that has far to
go before it comes to what the reader needs; then another one begins there. What another
worker is filling is a `DistantGap`: no byte is asked for by two workers.

The response's head goes out when its first byte is known to be right: stored, or in an
answer of the origin's whose validators fit. When the representation has changed, the
entry goes; a client whose head is not out is served anew, once; others are cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from s3shield.policy import (
    CacheStatus,
    ContentRange,
    NoStoreReason,
    OriginFailure,
    RunningDigest,
)

from .ahead import STRETCH, sequential_stretch, stretches
from .answer import Answer, Representation
from .distant import DistantGap
from .gap import Gap
from .matching import DEEP
from .transaction import Transaction
from .view import View, Whose

if TYPE_CHECKING:
    from s3shield.store import Entry, SparseBody

    from .claiming import Claiming
    from .location import Location
    from .origin import Call

__all__ = ["WORTH", "Sparse", "give_sparse"]

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
    more is fetched ahead. blob: bytes, the body's id. alone: its entry is gone, so that
    other workers and this one learn nothing of each other.
    """

    def __init__(
        self, location: Location, body: SparseBody, primary: bytes, *, ranges: bool = True
    ) -> None:
        self.primary = primary
        self.location = location
        self.body = body
        self.ranges = ranges
        self.broken = self.faltered = self.alone = False
        self.gaps: list[Gap | DistantGap] = []
        self._views: list[View] = []
        self._opening = 0
        assert body.entry.blob is not None
        self.blob = body.entry.blob
        location.zone.sparse[self.blob] = self

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
        self,
        call: Call,
        part: ContentRange,
        whose: Whose,
        check: RunningDigest | None,
        *,
        deep: bool,
    ) -> Gap:
        """Begin with a call under way, which brings `part`. check: of the whole body, if it is.

        deep: see `Gap`.
        """
        assert part.start is not None
        assert part.end is not None
        gap = Gap(self, part.start, part.end, *whose, check=check, deep=deep)
        claiming = self._claiming(part.end - part.start)
        if claiming is not None:
            start = self.body.blocks.start_of(part.start) if deep else part.start
            claiming.fill(gap, claiming.enter_span(self, start, part.end)[1])
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
        transaction.held = count = self.body.held()
        held, total = count(spans), sum([end - start for start, end in spans])
        transaction.cached = held == total
        if transaction.cache_status is CacheStatus.HIT:
            if not held:
                transaction.cache_status = CacheStatus.MISS
            elif held < total:
                transaction.cache_status = CacheStatus.PARTIAL
        read_on = len(spans) == 1 and transaction.request.method == b"GET"
        self.resume(transaction, plan, spans[0] if read_on else None)

    def resume(
        self, transaction: Transaction, plan: Answer, read: tuple[int, int] | None = None
    ) -> None:
        """Go on with a client whose head is not out. read: the one range it wants."""
        if self.broken:
            self.restart(transaction)
            return
        blocks = self.body.blocks
        start, end = plan.spans(blocks.size)[0]
        whose = (transaction.request, transaction.route)
        there = self.body.run_end(start) > start
        gap = None if there else self.gap_at(start, end, whose)
        if read is not None:
            self._read_on(read, whose)
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

    def filled(self, gap: Gap | DistantGap) -> None:
        """A gap is over, one way or the other."""
        if gap in self.gaps:
            self.gaps.remove(gap)
        claiming = self.location.zone.claiming
        if claiming is not None and isinstance(gap, Gap):
            claiming.filled(gap)
        self.run_ahead()
        self._idle()

    def rest_of(self, gap: Gap) -> Gap | None:
        """Return what brings the beginning of the block inside which `gap` began.

        None where nothing is missing, or nothing is to be had.
        """
        blocks = self.body.blocks
        start = blocks.start_of(gap.start)
        unwanted = not gap.deep or self.broken or self.faltered or not self.ranges
        if self.body.run_end(start) >= gap.start or unwanted:
            return None
        for other in self.gaps:
            if isinstance(other, Gap) and not other.over and other.start <= start < other.stop:
                return other
        begun = self._launch(start, gap.start, gap.whose)
        return begun if isinstance(begun, Gap) else None

    # What views call

    def gap_at(self, position: int, end: int | None, whose: Whose) -> Gap | DistantGap | None:
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
        ahead, blob = self.location.rules.read_ahead, self.blob
        if not ahead or not self._may_run_ahead():
            return
        ended = self.location.zone.reads.get(blob)
        self.location.zone.reads.put(blob, span[1])
        if ended == span[0]:
            found = sequential_stretch(self.body.blocks, self._running(), span[1], ahead)
            if found is not None:
                self._launch(*found, whose)

    # Inside

    def _covering(self, position: int) -> Gap | DistantGap | None:
        far = _NEAR << self.body.blocks.shift
        for gap in self.gaps:
            near = not self.ranges or position - gap.arrived <= far
            if not gap.over and near and gap.brings(position):
                return gap
        return None

    def _begin(self, position: int, end: int, whose: Whose) -> Gap | DistantGap:
        blocks = self.body.blocks
        start = blocks.start_of(position)
        if self.location.rules.range_connections > 1:
            end = min(end, start + (STRETCH << blocks.shift))
        stop = blocks.gap_end(start, end)
        running = [gap for gap in self.gaps if not gap.over]
        deep = self._deep(position, start)
        if deep or self.body.run_end(start) >= position:
            start = position
        stop = min([stop, *[gap.start for gap in running if start < gap.start]])
        for gap in running:
            within = gap.arrived < start < gap.stop
            if within and (stop >= gap.stop or stop - start >= _LONG << blocks.shift):
                gap.shorten(start)
        return self._launch(start, stop, whose, deep=deep)

    def _deep(self, position: int, start: int) -> bool:
        """Whether to ask from the very position on (`matching.at_once`); start: of its block.

        Not where part of the block is there or on its way: each would ask for another part.
        """
        if position - start <= DEEP or not self.ranges or not self.keeps(0):
            return False
        end = start + (1 << self.body.blocks.shift)
        touched = any(gap.start < end and start < gap.stop for gap in self.gaps if not gap.over)
        return not touched and not self.body.has_part(start)

    def _begins_block_of_ours(self, start: int) -> bool:
        blocks = self.body.blocks
        return any(
            gap.deep and not gap.over and blocks.start_of(gap.start) <= start < gap.start
            for gap in self.gaps
        )

    def _may_run_ahead(self) -> bool:
        kept = self.keeps(STRETCH << self.body.blocks.shift)
        return kept and self.ranges and not (self.broken or self.faltered)

    def _running(self) -> list[tuple[int, int]]:
        """What is on its way, in whole blocks: who begins inside one sees to the rest of it."""
        shift = self.body.blocks.shift
        return [
            (gap.start >> shift << shift, -(-gap.stop >> shift) << shift)
            for gap in self.gaps
            if not gap.over
        ]

    def _launch(
        self, start: int, stop: int, whose: Whose, *, deep: bool = False
    ) -> Gap | DistantGap:
        claiming, claim = self._claiming(stop - start), None
        if self._begins_block_of_ours(start):
            claiming = None  # whoever began inside the block has claimed all of it
        if claiming is not None:
            first = self.body.blocks.start_of(start) if deep else start
            ours, claim = claiming.enter_span(self, first, stop)
            if not ours:
                distant = DistantGap(self, claim)
                self.gaps.append(distant)
                claiming.wait_for(distant)
                return distant
            stop = self.body.blocks.gap_end(start, claim.stop)
        gap = Gap(self, start, stop, *whose, deep=deep)
        if claiming is not None and claim is not None:
            claiming.fill(gap, claim)
        self.gaps.append(gap)
        gap.begin()
        return gap

    def _claiming(self, length: int) -> Claiming | None:
        """Return where a gap of that length is claimed; None: nobody else would learn of it."""
        return self.location.zone.claiming if self.keeps(length) and not self.alone else None

    def refresh(self) -> bool:
        """Learn what other workers have noted; tell whether there still is an entry to note in."""
        known = self.body.entry
        entry = self.location.zone.store.get(known.digest, known.key)
        if entry is None or entry.blob != self.blob:
            return False
        self.body.learn(entry)
        return True

    def _idle(self) -> None:
        if not (self.gaps or self._views or self._opening):
            self._forget()
            self.body.close()

    def _forget(self) -> None:
        registry = self.location.zone.sparse
        if registry.get(self.blob) is self:
            del registry[self.blob]


def give_sparse(location: Location, transaction: Transaction, entry: Entry) -> None:
    """Answer from an incomplete entry."""
    assert entry.blob is not None
    zone = location.zone
    sparse = zone.sparse.get(entry.blob)
    if sparse is None:
        sparse = Sparse(location, zone.store.sparse.open(entry), transaction.route.digest)
    sparse.give(transaction, entry, Representation(entry, entry.head, entry.size))
