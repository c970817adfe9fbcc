"""A flight that asks for no more of a large object than its first client wants.

Asked for whole blocks, the origin answers with a part (206): the body is stored block by
block from then on (`sparse.Sparse`), and the flight's call fills its first gap. A body
that comes whole is stored like that too when it is long: an interrupted fetch leaves
whole blocks, and who wants a part far ahead need not wait for it. Parts that cannot be
stored are not taken: the client they were fetched for gets what it wants of a short one,
and everybody else the origin's own answer to the own Range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from s3shield.policy import (
    ContentRange,
    FailureKind,
    NoStoreReason,
    OriginFailure,
    Request,
    ResponseHead,
    parse_content_range,
)
from s3shield.store import Outcome

from .ahead import STRETCH
from .failing import FIRST
from .flight import Flight
from .gap import Gap
from .matching import at_once, beginning, combinable, of_length, wanted, whole_of
from .part import cut, is_several
from .sparse import WORTH, Sparse
from .transaction import Transaction

if TYPE_CHECKING:
    from s3shield.routing import Route
    from s3shield.store import Entry

    from .location import Location

__all__ = ["RangeFlight"]

_NO_LIMIT: Final = 1 << 62
_SHORT: Final = 1 << 20
"""Bytes of a part that may be collected in memory, however large the blocks are."""


class RangeFlight(Flight):
    """See the module's text, and `Flight`. whole: ask for the whole all the same."""

    def __init__(
        self,
        location: Location,
        request: Request,
        route: Route,
        entry: Entry | None,
        waiting: list[Transaction],
        *,
        joinable: bool,
        attempt: int = FIRST,
        again: bool = False,
        whole: bool = False,
    ) -> None:
        super().__init__(
            location,
            request,
            route,
            entry,
            waiting,
            joinable=joinable,
            attempt=attempt,
            again=again,
        )
        shift, most = location.zone.store.block_shift, location.policy.max_ranges
        self._wanted = None if whole else wanted(request, shift, most)
        self._invited = False  # a Range that is not the client's
        if location.rules.range_connections > 1 and waiting and not whole:
            self._invited = self._wanted is None
            self._wanted = beginning(self._wanted, STRETCH << shift)
        if self._wanted is not None:
            self._wanted = at_once(self._wanted)
            self._extra = ((b"Range", self._wanted.value),)
        self._part_given: ContentRange | None = None
        self._sparse: Sparse | None = None
        self._gap: Gap | None = None
        self._short = min(1 << shift, _SHORT)  # a part up to this is not asked for twice
        self._cut = False  # such a part is collected for the leader

    def join(self, transaction: Transaction) -> bool:
        """Let one more client have what this flight brings; False when it cannot."""
        if self._sparse is None:
            return super().join(transaction)
        if not self._selects_the_same(transaction.request):
            return False
        assert self._what is not None
        return self._sparse.join(transaction, self._what)

    # What the origin call calls

    def origin_head(self, head: ResponseHead, length: int | None) -> None:
        """Decide what becomes of the response."""
        if head.status == 416 and self._invited:
            self._relaunch_whole()  # it is empty
            return
        if head.status != 206 or self._wanted is None:
            super().origin_head(head, length)
            return
        waiting = tuple(self._company)
        part = parse_content_range(head.get(b"content-range"))
        if part is not None and part.start is not None and part.size is None:
            self._pass_on(NoStoreReason.PARTIAL_CONTENT, personal=False)
        elif part is None and is_several(head, self._request):
            self._pass_on(NoStoreReason.PARTIAL_CONTENT, personal=True)
        elif part is None or not self._wanted.fits(part) or not of_length(part, length):
            self.origin_failed(OriginFailure(FailureKind.INVALID, "a part that was not asked for"))
        elif length == part.size:  # it is all of it
            super().origin_head(whole_of(head, part), length)
        else:
            self._part_given, self._largest = part, _NO_LIMIT
            super().origin_head(whole_of(head, part), part.size)
        for transaction in waiting:
            transaction.origin_status = head.status

    def origin_data(self, data: bytes) -> None:
        """Take body bytes."""
        if self._gap is not None:
            self._gap.origin_data(data)
        else:
            super().origin_data(data)

    def origin_end(self) -> None:
        """The response is whole."""
        if self._gap is not None:
            self._gap.origin_end()
        else:
            super().origin_end()

    def origin_failed(self, failure: OriginFailure) -> None:
        """No response, or not the whole of it."""
        if self._gap is not None:
            gap = self._gap
            if not (gap.over or gap.again(failure)):
                self._company.note(NoStoreReason.TRUNCATED)
                gap.end_with(failure)
        else:
            super().origin_failed(failure)

    # Steps

    def _take_body(self, length: int | None) -> None:
        what, part = self._what, self._part_given
        assert what is not None
        if self._over:
            return  # passed on
        safe = combinable(what.meta, dated=not self.location.rules.strong_only)
        if self._cut:
            self._chunks = []
        elif part is not None and self._is_short() and (part.size or 0) <= self._short:
            self._meta = None  # it has no whole block, though the origin was asked for one
            self._cut_for_leader(NoStoreReason.PARTIAL_CONTENT, personal=False)
            self._chunks = []
        elif part is not None and not safe:
            self._relaunch_whole()
        elif part is not None:
            self._go_sparse(part)
        elif self._meta is not None and safe and self._long(length):
            self._go_sparse(ContentRange(0, length, length))
        else:
            super()._take_body(length)

    def _is_short(self) -> bool:
        part = self._part_given
        if part is None or part.start is None or part.end is None or not self._company:
            return False
        return part.end - part.start <= self._short

    def _end_short(self, body: bytes) -> None:
        if not self._cut:
            super()._end_short(body)
            return
        self._close()
        assert self._what is not None
        assert self._part_given is not None
        for transaction in self._company.take():
            plan = transaction.settle(self._what)
            if plan is None:
                continue
            piece = cut(plan, self._part_given)
            if piece is None:
                self.location.pass_on(transaction, NoStoreReason.PARTIAL_CONTENT)
            else:
                transaction.reply(piece, body)

    def _long(self, length: int | None) -> bool:
        return (length or 0) >= WORTH << self._zone.store.block_shift

    def _go_sparse(self, part: ContentRange) -> None:
        """The body is stored block by block, whichever part of it is on its way."""
        size, what = self._length, self._what
        assert self._call is not None
        assert self._meta is not None
        assert what is not None
        assert size is not None
        body = self._zone.new_sparse(self._place(), self._meta, self._head_to_keep(size), size)
        # A whole answer to a request for a part: an origin that knows no ranges.
        ranges = self._wanted is None or self._part_given is not None
        sparse = self._sparse = Sparse(self.location, body, self.digest, ranges=ranges)
        check = self._check if part.start == 0 and part.end == size else None
        whose, asked = (self._request, self.route), self._wanted
        deep = asked is not None and part.start == asked.start and not asked.suffix
        gap = self._gap = sparse.adopt(self._call, part, whose, check, deep=deep)
        waiting = self._company.take()
        for transaction in waiting:
            sparse.give(transaction, body.entry, what, fresh=True)
        if waiting:
            gap.idle()
        body.when_open(self._part)  # from then on they find the entry

    def _relaunch_whole(self) -> None:
        """No part of it is of use."""
        self._close()
        waiting = self._company.take()
        if waiting:
            first = waiting[0]
            flight = RangeFlight(
                self.location,
                first.request,
                first.route,
                None,
                waiting,
                joinable=self.digest not in self._zone.flights,
                attempt=self._attempt,
                whole=True,
            )
            self.location.launch(flight)

    def _go_unstored(self, reason: NoStoreReason, *, personal: bool) -> None:
        if self._is_short():
            self._cut_for_leader(reason, personal=personal)
            return
        if self._part_given is not None:
            self._pass_on(reason, personal=personal)
            return
        # That a range lies beyond the end says nothing about the key.
        beyond = self._wanted is not None and self._head is not None and self._head.status == 416
        super()._go_unstored(reason, personal=personal or beyond)

    def _cut_for_leader(self, reason: NoStoreReason, *, personal: bool) -> None:
        """A short part that is not stored: whom it was fetched for gets what it wants of it."""
        self._cut = True
        self._company.note(reason)
        self._not_stored(personal=personal)
        leader = self._company.leader
        rest = self._company.part(lambda each: each is leader)
        self._part()
        for transaction in rest:
            self.location.pass_on(transaction, reason)

    def _not_stored(self, *, personal: bool) -> None:
        self.outcome = Outcome.ALONE if personal else Outcome.UNSTORED, b""
        if not personal:
            if self._entry is not None:
                self._zone.drop(self._entry)
            self.location.remember_unstored(self.route)

    def _pass_on(self, reason: NoStoreReason, *, personal: bool) -> None:
        """A part that is not stored: each gets the origin's own answer to its Range."""
        self._close()
        self._not_stored(personal=personal)
        waiting = self._company.take()
        for transaction in waiting:
            self.location.pass_on(transaction, reason)
