"""One request to the origin for one cache key, and all the clients that wait for it.

Theory of operation. The first request for a key that is not usable starts a flight and
leads it; later ones for the same key join (RFC 9111 section 4, "collapse requests").
When the head arrives, `policy.admit` says whether it is stored:

* stored, short: collected, committed to the index, and each waiter answered in one write;
* stored, long: a `Fill` tees it to the body file and to the waiters;
* not stored: the leader streams it, the others each fetch for themselves; a mark keeps the
  next ones from queueing (hit-for-miss), unless it was for the leader's sake;
* 304 to our own validators: the entry is freshened, and answers all;
* failure before anything was sent: a stale entry answers where policy lets it; else the
  leader is told, and ONE waiter leads a second, last flight for the rest.

After a head is out, a failure cuts the connection: a short body never ends as if whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from s3shield.policy import (
    CacheStatus,
    EntryMeta,
    FailureKind,
    Fields,
    NoStoreReason,
    OriginFailure,
    Request,
    ResponseHead,
    RunningDigest,
    body_digest,
    parse_stored_head,
    same_variant,
    selecting_names,
    stored_head,
)
from s3shield.store import BodyWriter, Outcome

from .answer import Representation
from .company import Company
from .failing import FIRST, SECOND, give_stale, packed, refuse
from .fill import Fill
from .purging import Watch
from .refresh import NOTHING_ASKED, Question
from .transaction import Transaction
from .verdict import examine, failing, judge
from .zone import Place

if TYPE_CHECKING:
    from s3shield.routing import Route
    from s3shield.store import Entry

    from .location import Location
    from .origin import Call

__all__ = ["Flight"]

_NOTHING: Final[Fields] = ()


class Flight:
    """See the module's text. A `wire.Receiver` of one origin call.

    location: where it belongs. request, route: whose fetch it is. entry: the stale entry
    that is asked about, or None. waiting: the transactions to answer, the leader first;
    empty for a background refresh. joinable: whether others may join. again: a 304 was of no
    use before. outcome: what to tell of it to other workers whose clients wait. part_with,
    waiting: see `Company`.
    """

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
    ) -> None:
        self.location = location
        self._zone = location.zone
        self.watch = Watch(location.zone.store, route.key_text)
        self._request = request
        self.route = route
        self._entry = entry
        self._question = NOTHING_ASKED
        self._company = Company(waiting, self._abandoned)
        self.part_with, self.waiting = self._company.part_with, self._company.__len__
        self.digest = route.digest
        self.joinable = joinable
        self._attempt = attempt
        self._again = again
        self._call: Call | None = None
        self._head: ResponseHead | None = None
        self._length: int | None = None
        self._meta: EntryMeta | None = None  # set when the response is to be stored
        self._vary: tuple[bytes, ...] | None = None  # known once the head is in, at the latest
        self._what: Representation | None = None
        self._chunks: list[bytes] | None = None  # a short body, collected
        self._fill: Fill | None = None  # a long one, passing through
        self._refusal = waiting[0].refusal if waiting else None
        self._withheld: frozenset[bytes] = frozenset()
        self._check: RunningDigest | None = None
        self._over = False
        self.outcome: tuple[Outcome, bytes] | None = None
        self.since = self._response_time = 0.0
        self._largest, self._extra = location.largest, _NOTHING

    # What the location calls

    @property
    def entry(self) -> Entry | None:
        """The stale entry that is asked about."""
        return self._entry

    def surrender(self) -> list[Transaction]:
        """It will not begin: return who would have waited."""
        self.joinable = False
        return self._company.take()

    def begin(self) -> None:
        """Ask the origin."""
        location = self.location
        self.since = location.around.clock()
        self._company.set_out(location.around.monotonic())
        if self._over:
            return
        extra = self._extra
        if location.policy.revalidate:
            self._ask_about()
            extra = (*self._question.fields, *extra)
        self._call = location.ask(b"GET", self._request, self.route, extra, self)
        self._call.interim = self._company.inform

    def _ask_about(self) -> None:
        """Ask about the stale entry; else which of the variants will do."""
        if self._entry is not None:
            self._question = Question.about(self._entry)
        elif not self._again:
            self._vary, variants = self._zone.variants(self.route)
            self._question = Question.among(variants)

    def join(self, transaction: Transaction) -> bool:
        """Let one more client have what this flight brings; False when it cannot."""
        if not self._selects_the_same(transaction.request):
            return False
        if self._fill is not None:
            if not self._fill.keeps:
                return False
            self._give_stream(transaction)
            return True
        self._company.add(transaction)
        return True

    # What the origin call calls

    def origin_head(self, head: ResponseHead, length: int | None) -> None:
        """Decide what becomes of the response."""
        location, policy = self.location, self.location.policy
        self._response_time = now = location.around.clock()
        self._head = self.watch.see(head)
        for transaction in self._company:
            transaction.origin_status = head.status
        if head.status == 304:
            if not self._question:
                self.origin_failed(OriginFailure(FailureKind.INVALID, "a 304 nobody asked for"))
            return  # answered at its end, so that the connection is free again
        failure = failing(self._request, self._entry, head, now, policy)
        if failure is not None:
            self.origin_failed(failure)
            return
        self._length = length
        verdict = judge(self._request, head, length, (self.since, now), policy, self._largest)
        reason = self._refusal or verdict.reason
        if reason is not None:
            self._go_unstored(reason, personal=self._refusal is not None or verdict.personal)
        else:
            self._meta = verdict.meta
            self._vary, self._withheld = verdict.vary, verdict.withheld
            digest = body_digest(head) if policy.is_bucket and policy.verify_checksums else None
            self._check = None if digest is None else digest.running()
            self._part_with_other_variants()
        # What goes out now keeps an Age of the origin's (RFC 9111 section 5.1).
        sent = stored_head(head, policy, length=length, now=now, keep_age=True)
        home = self._place()[:2] if reason is None else None
        self._what = Representation(verdict.meta, sent, length, reason is None, home)
        self._take_body(length)

    def _take_body(self, length: int | None) -> None:
        if length is not None and length <= self._zone.inline_limit:
            self._chunks = []
        else:
            self._start_fill()

    def origin_data(self, data: bytes) -> None:
        """Take body bytes."""
        if self._chunks is not None:
            self._chunks.append(data)
        elif self._fill is not None:
            if self._meta is not None and not self._fill.keeps:
                self._meta = None
                self._company.note(NoStoreReason.NO_ROOM)
            self._fill.data(data)
            if self._meta is not None and self._fill.arrived > self._largest:
                self._meta = None
                self._company.note(NoStoreReason.TOO_LARGE)
                self._fill.keep_no_longer()
                if not self._fill.readers:
                    self._abandoned()

    def origin_end(self) -> None:
        """The response is whole: store it, and answer who still waits."""
        if self._over:
            return
        if self._chunks is not None:
            self._end_short(b"".join(self._chunks))
        elif self._fill is not None:
            self._end_long(self._fill)
        else:
            self._end_not_modified()

    def origin_failed(self, failure: OriginFailure) -> None:
        """No response, or not the whole of it."""
        location = self.location
        if self._over:
            return
        fill = self._close()
        if fill is not None:
            location.trouble(self.route, failure)
            self._company.note(failure.reason(begun=True))
            fill.keep_no_longer()
            fill.fail()
            return
        self.outcome = Outcome.FAILED, packed(failure, self._attempt)
        if not failure.status:
            location.trouble(self.route, failure)
        waiting = self._company.take()
        if give_stale(location, waiting, self._entry, failure):
            return
        told = waiting if self._attempt == SECOND else waiting[:1]
        for transaction in told:
            refuse(location, transaction, self._entry, failure)
        location.lead_again(waiting[len(told) :], attempt=SECOND)

    # Ends

    def _end_short(self, body: bytes) -> None:
        if failure := examine(self._check, body):
            self.origin_failed(failure)
            return
        self._close()
        what = self._what
        assert what is not None
        if self._meta is not None:
            self._zone.keep(self._place(), self._meta, self._head_to_keep(len(body)), body)
        self._company.hand_out(self.location.around, lambda _, each: each.give(what, body))

    def _end_long(self, fill: Fill) -> None:
        if self._meta is not None and fill.keeps:
            head = self._head_to_keep(fill.arrived)
            body = fill.in_memory
            if body is not None:
                if failure := examine(self._check, body):
                    self.origin_failed(failure)
                    return
                self._zone.keep(self._place(), self._meta, head, body)
            elif isinstance(fill.writer, BodyWriter):
                # Until the index names the file, newcomers are served from here.
                stored = self._zone.keep_file(self._place(), self._meta, head, fill.writer)
                stored.addCallback(lambda _entry: self._landed(fill))
                return
        self._landed(fill)

    def _landed(self, fill: Fill) -> None:
        writer = fill.writer
        if isinstance(writer, BodyWriter) and writer.wrong and (bad := examine(self._check)):
            self.origin_failed(bad)
            return
        if writer is not None and writer.failed is not None:
            self._company.note(NoStoreReason.NO_ROOM)
        self._close()
        fill.end()

    def _place(self) -> Place:
        """Where in the zone the response goes."""
        request, policy = self._request, self.location.policy
        return self._zone.place(self.route, request, policy, self._vary or (), self.watch)

    def _head_to_keep(self, length: int) -> bytes:
        assert self._head is not None
        policy, now = self.location.policy, self._response_time
        return stored_head(self._head, policy, length=length, now=now, withheld=self._withheld)

    def _end_not_modified(self) -> None:
        self._close()
        assert self._head is not None
        location, since = self.location, self.watch.since
        times, store = (self.since, self._response_time), self._zone.store
        fresh = self._question.answered(self._head, times, location.policy, store, since)
        if fresh is None:
            location.lead_again(self._company.take(), attempt=self._attempt)
            return
        self._vary = selecting_names(parse_stored_head(fresh.head), location.policy)
        self._part_with_other_variants()

        def give(number: int, transaction: Transaction) -> None:
            status = CacheStatus.HIT if number else CacheStatus.REVALIDATED
            location.give_entry(transaction, fresh, status)

        self._company.hand_out(location.around, give)

    def _start_fill(self) -> None:
        assert self._call is not None
        self._fill = Fill(
            self._call,
            length=self._length,
            inline_limit=self._zone.inline_limit,
            new_body=None
            if self._meta is None
            else lambda: self._zone.new_body(self._place(), self._length, self._check),
            abandoned=self._abandoned,
        )
        for transaction in self._company.take():
            self._give_stream(transaction)
        if self._meta is None and not self._fill.readers:
            self._abandoned()  # a 304 or a 412 was all they wanted

    def _give_stream(self, transaction: Transaction) -> None:
        assert self._fill is not None
        assert self._what is not None
        plan = transaction.settle(self._what)
        if plan is not None:
            self._fill.join(transaction.stream(plan, self._fill))

    def _go_unstored(self, reason: NoStoreReason, *, personal: bool) -> None:
        """Only the leader gets this response; the others fetch for themselves."""
        self._company.note(reason)
        self.outcome = Outcome.ALONE if personal else Outcome.UNSTORED, b""
        if not personal:
            failed = self._head is not None and self._head.status >= 500
            if self._entry is not None and not failed:  # RFC 9111 4.3.3: it may yet be right
                self._zone.drop(self._entry)
            self.location.remember_unstored(self.route)
        # The leader may have left, or be no client at all: it is not known by its place.
        leader = self._company.leader
        rest = self._company.part(lambda each: each is leader)
        self._part()
        for transaction in rest:
            self.location.fetch_alone(transaction)

    def _part_with_other_variants(self) -> None:
        """Waiters that selected another variant than the leader fetch their own."""
        for each in self._company.part(lambda each: self._same_variant(each.request)):
            self.location.fetch_alone(each)

    def _same_variant(self, request: Request) -> bool:
        return same_variant(request, self._request, self._vary or (), self.location.policy)

    def _selects_the_same(self, request: Request) -> bool:
        """Whether `request` may have what comes, or what a 304 or a failure leaves."""
        entry = self.entry
        if entry is not None and entry.digest != self.digest:  # one variant of several
            found = self._zone.lookup(self.route, request, self.location.policy)
            if found is None or found.digest != entry.digest:
                return False
        return not self._vary or self._same_variant(request)

    def _abandoned(self) -> None:
        """Nobody reads any more: go on for the store's sake, or stop."""
        storable = self._meta is not None or self._what is None  # as far as is known
        kept = self.location.keep_filling or self._company.leader is None
        if self._over or (storable and kept):
            return
        fill = self._close()
        if fill is not None:
            fill.keep_no_longer()
            fill.fail()

    def _close(self) -> Fill | None:
        """It is over. Let go of all that knows it, so that no cycle is left; return the fill."""
        self._over = True
        call, self._call = self._call, None
        if call is not None:
            call.cancel()  # which does nothing when it has ended
        self._company.settled()
        self._part()
        fill, self._fill = self._fill, None
        return fill

    def _part(self) -> None:
        """Nobody can join any more."""
        self.joinable = False
        if self._zone.flights.get(self.digest) is self:
            del self._zone.flights[self.digest]
        if self.watch.claim and self._zone.claiming is not None:
            self._zone.claiming.leave(self)
