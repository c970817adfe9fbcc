"""Where a request is answered: one `[location:]`.

`serve` is the hit path: one synchronous run from the request to the write, no Deferred,
no coroutine. What it cannot answer at once becomes a `Transaction` and goes to a
`Flight` or a `Relay`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from twisted.logger import Logger

from s3shield.policy import (
    HIT,
    CachePolicy,
    CacheStatus,
    Decision,
    EntryFlag,
    Fetch,
    Fields,
    GatewayTimeout,
    Hit,
    NoStoreReason,
    OriginFailure,
    Request,
    ResponseHead,
    Revalidate,
    ServeStale,
    decide,
    parse_range,
    stale_while_updating,
)
from s3shield.routing import Route
from s3shield.wire import Downstream, Octets, Receiver

from .answer import SELECTIVE
from .bodies import NO_BODIES, Bodies
from .change import Change
from .flight import Flight
from .heads import HeadRelay, as_get
from .joining import enter, join, launch
from .matching import wanted
from .origin import Call, Origin
from .purging import PurgeMethod
from .range_flight import RangeFlight
from .relay import Relay
from .rules import PLAIN, Rules, Uses
from .sparse import give_sparse
from .stored import give_stored, read_now, selected
from .transaction import Surroundings, Transaction
from .zone import VARIANTS, Zone

if TYPE_CHECKING:
    from s3shield.store import Entry

    from .change import Invalidation

__all__ = ["Location"]

_COLLECTED: Final = 32 * 1024
"""Bytes up to which an answer goes out in one write where there is no zone to say."""
_NO_END: Final = 1 << 60
_HIT: Final = CacheStatus.HIT
_FROM_HEAD: Final = int(EntryFlag.FROM_HEAD)


class Location:
    """One location: its policy, its zone (None: `proxy_cache = off`), its origin.

    pattern: str, as in the configuration, for the log. keep_filling: go on storing when
    all clients have left (`fetch_on_abort = keep`). purge_method: `purge_allow`, may be set.
    """

    log = Logger()
    zone: Zone
    largest: int
    purge_method: PurgeMethod | None = None

    def __init__(
        self,
        pattern: str,
        policy: CachePolicy,
        zone: Zone | None,
        origin: Origin,
        around: Surroundings,
        *,
        keep_filling: bool,
        rules: Rules = PLAIN,
        bodies: Bodies = NO_BODIES,
    ) -> None:
        self.pattern = pattern
        self.policy = policy
        self.around = around
        self.keep_filling = keep_filling
        self._zone = zone
        self.inline_limit = _COLLECTED if zone is None else zone.inline_limit
        self._origin = origin
        self.bodies = bodies
        self.invalidation: Invalidation | None = None
        self.rules = rules
        self._uses = Uses() if policy.min_uses > 1 else None
        self._methods = frozenset(name for name in (b"GET", b"HEAD") if policy.takes(name))
        self._allow = ((b"Allow", policy.allow),)
        name = policy.cache_status_header
        # What a hit's head ends with, for an age.
        self._hit_tail = b"Age: %d\r\n" + (
            b"%b: HIT\r\n" % name.replace(b"%", b"%%") if name else b""
        )
        self._clock = around.clock
        self._monotonic = around.monotonic
        self._log = around.log
        self._over = around.over
        if zone is not None:
            self.zone = zone
            most = policy.max_object_size
            self.largest = zone.largest if most is None else min(most, zone.largest)
            self._get = zone.store.get
            self._touch = zone.store.touch
            self._open_body = zone.store.open_body

    def serve(self, request: Request, route: Route, downstream: Downstream) -> None:
        """Answer `request` now, or see to it that it will be answered."""
        if request.method not in self._methods:
            self.other_method(self.transaction(request, route, downstream))
            return
        if self._zone is None:
            self._relay(self.transaction(request, route, downstream), NoStoreReason.CACHE_OFF)
            return
        now = self._clock()
        policy = self.policy
        entry = self._get(route.digest, route.key_text)
        if entry is not None and entry.flags & VARIANTS:
            entry = self.zone.variant(entry, route, request, policy)
        decision = decide(request, entry, now, policy)
        if decision is HIT:
            assert entry is not None
            self._touch(entry.digest, now)
            # Says what Transaction would, without the object.
            status, head = entry.status, entry.head
            body: Octets | None = entry.body
            if not SELECTIVE.isdisjoint(request.headers):
                status, head, body = selected(
                    request, entry, self.policy, self._open_body, self._over
                )
            elif body is None:
                size = 0 if request.method == b"HEAD" else entry.size
                body = read_now(entry, 0, size, self._open_body, self._over)
            elif request.method == b"HEAD":
                body = b""
            if body is not None:
                age = now - entry.born
                downstream.reply(head + self._hit_tail % (age if age > 0.0 else 0), body)
                size = len(body)
                self._log(
                    (
                        request.peer,
                        now,
                        request,
                        status,
                        size,
                        _HIT,
                        None,
                        self._monotonic() - request.started,
                        None,
                        0,
                        self.pattern,
                        route.key_text,
                        size,
                    )
                )
                return
            self.give_entry(self.transaction(request, route, downstream), entry, CacheStatus.HIT)
            return
        self.resolve(self.transaction(request, route, downstream), entry, decision)

    def resolve(self, transaction: Transaction, entry: Entry | None, decision: Decision) -> None:
        """Do what was decided about a request that is no hit."""
        request, route = transaction.request, transaction.route
        match decision:
            case ServeStale(_, refresh):
                assert entry is not None
                flight = None
                if refresh and route.digest not in self.zone.flights:
                    flight = RangeFlight(self, as_get(request), route, entry, [], joinable=True)
                    if not enter(self, flight):
                        flight = None  # another worker does it
                refreshing = flight is None and route.digest in self.zone.flights
                status = CacheStatus.UPDATING if refreshing else CacheStatus.STALE
                self.give_entry(transaction, entry, status)
                if flight is not None:
                    flight.begin()
            case Revalidate() | Fetch():
                if (
                    entry is not None
                    and route.digest in self.zone.flights
                    and stale_while_updating(entry, self.around.clock())
                ):
                    self.give_entry(transaction, entry, CacheStatus.UPDATING)
                else:
                    self._fetch(transaction, entry)
            case GatewayTimeout():
                transaction.refuse(504)
            case Hit():
                raise AssertionError(decision)  # there is one Hit, and it was dealt with
            case _:
                assert_never(decision)

    def other_method(self, transaction: Transaction) -> None:
        """Pass a method that is neither GET nor HEAD on; or it is a purge, or refused."""
        if self.takes(transaction.request.method):
            status = self.bodies.refusal(transaction.request, transaction.route)
            if status:
                transaction.refuse(status)
                return
            transaction.reason = NoStoreReason.METHOD
            Change(self, transaction).begin()
        elif transaction.request.method == b"PURGE" and self.purge_method is not None:
            self.purge_method.answer(transaction)
        else:
            transaction.refuse(405, self._allow)

    # What transactions, flights and relays use

    def transaction(self, request: Request, route: Route, downstream: Downstream) -> Transaction:
        """Return the record of a request that is not answered at once."""
        return Transaction(
            self.around,
            request,
            route,
            downstream,
            location=self.pattern,
            policy=self.policy,
        )

    def ask(
        self, method: bytes, request: Request, route: Route, extra: Fields, receiver: Receiver
    ) -> Call:
        """Send a request to the origin; S3's errors are understood on the way back."""
        return self._origin.ask(method, request, route, extra, receiver, self.policy)

    def trouble(self, route: Route, failure: OriginFailure) -> None:
        """Log what went wrong between us and the origin."""
        self.log.error(
            "{origin}: {kind}: {detail} (for {key})",
            origin=self._origin.name,
            kind=failure.kind.name.lower(),
            detail=failure.detail,
            key=route.key_text.decode("utf-8", "backslashreplace"),
        )

    def launch(self, flight: Flight) -> None:
        """Let a flight begin, and others find it; or its clients wait for another worker's."""
        if self.zone.claiming is not None:
            launch(self, flight)
            return
        if flight.joinable:
            self.zone.flights[flight.digest] = flight
        flight.begin()

    def lead_again(self, waiting: list[Transaction], *, attempt: int) -> None:
        """Let the first of `waiting` lead a flight for all of them, about nothing stored."""
        if waiting:
            request, route = waiting[0].request, waiting[0].route
            joinable = route.digest not in self.zone.flights
            self.launch(
                RangeFlight(
                    self,
                    request,
                    route,
                    None,
                    waiting,
                    joinable=joinable,
                    attempt=attempt,
                    again=True,
                )
            )

    def fetch_alone(self, transaction: Transaction) -> None:
        """Fetch for one client that must not wait for others."""
        transaction.collapsed = None
        if transaction.cache_status is not CacheStatus.BYPASS:
            transaction.cache_status = CacheStatus.MISS
        if transaction.request.method == b"HEAD":
            transaction.reason = NoStoreReason.HEAD_ONLY
            HeadRelay(self, transaction).begin()
            return
        self.launch(
            RangeFlight(
                self, transaction.request, transaction.route, None, [transaction], joinable=False
            )
        )

    def fetch_anew(self, transaction: Transaction) -> None:
        """Fetch for a client whom the cache could not serve after all."""
        transaction.cached = False
        transaction.held = transaction.age = None
        self._fetch(transaction, None)

    def pass_on(self, transaction: Transaction, reason: NoStoreReason) -> None:
        """Let the client have the origin's own answer to its Range, stored nowhere."""
        transaction.collapsed = None
        if transaction.cache_status is not CacheStatus.BYPASS:
            transaction.cache_status = CacheStatus.MISS
        if self._wants_part(transaction.request):
            self._relay(transaction, reason)
        else:
            self.fetch_alone(transaction)

    def beside(self, policy: CachePolicy) -> Location:
        """Return a location of the same origin and zone, for questions of our own."""
        return Location(
            self.pattern,
            policy,
            self._zone,
            self._origin,
            self.around,
            keep_filling=self.keep_filling,
            rules=self.rules,
        )

    def takes(self, method: bytes) -> bool:
        """Tell whether requests with this method are not refused."""
        return self.policy.takes(method)

    def changed(self, request: Request, head: ResponseHead) -> None:
        """A request that is not safe was answered: forget what that makes invalid."""
        if self.invalidation is not None:
            self.invalidation.apply(request, head, self._origin.name)

    def forget(self, route: Route) -> None:
        """What is stored for a key is not valid any more, nor what is on its way."""
        if self._zone is not None:
            self._zone.invalidate(route, self.around.clock())

    def remember_unstored(self, route: Route) -> None:
        """Requests for this key do not queue for a while."""
        self.zone.mark_unstored(route, self.around.clock() + self.policy.hit_for_miss)

    def give_entry(self, transaction: Transaction, entry: Entry, status: CacheStatus) -> None:
        """Answer from a stored entry."""
        transaction.cache_status = status
        transaction.age = max(0, int(self.around.clock() - entry.born))
        if entry.blob is not None and not entry.complete:
            give_sparse(self, transaction, entry)
            return
        give_stored(self, transaction, entry)

    # Misses

    def _wants_part(self, request: Request) -> bool:
        return wanted(request, self.zone.store.block_shift, self.policy.max_ranges) is not None

    def _relay(self, transaction: Transaction, reason: NoStoreReason) -> None:
        transaction.reason = reason
        Relay(self, transaction).begin()

    def _fetch(self, transaction: Transaction, entry: Entry | None) -> None:
        request, route = transaction.request, transaction.route
        if entry is not None and entry.flags & _FROM_HEAD and request.method == b"GET":
            entry = None  # there is no body in it
        transaction.cache_status = CacheStatus.MISS if entry is None else CacheStatus.EXPIRED
        if request.method == b"HEAD":
            transaction.reason = NoStoreReason.HEAD_ONLY
            HeadRelay(self, transaction).begin()
            return
        value = request.headers.get(b"range")
        limit = self.policy.max_range_offset
        if value is not None and limit is not None and entry is None:
            # Of a body without end: a suffix is far off, as nginx sees it.
            ranges = parse_range(value, _NO_END, self.policy.max_ranges)
            if isinstance(ranges, list) and min(ranges)[0] >= limit:
                self._relay(transaction, NoStoreReason.RANGE_OFFSET)
                return
        uses = self._uses
        if uses is not None and entry is None and uses.count(route.digest) < self.policy.min_uses:
            transaction.refusal = transaction.refusal or NoStoreReason.MIN_USES
        zone, rules, now = self.zone, self.rules, self.around.clock()
        unstored = zone.is_unstored(route, now)
        if (unstored or transaction.refusal is not None) and self._wants_part(request):
            self._relay(transaction, transaction.refusal or NoStoreReason.PARTIAL_CONTENT)
            return
        if transaction.refusal is not None or not rules.lock:
            self.launch(RangeFlight(self, request, route, entry, [transaction], joinable=False))
            return
        flight = zone.flight(route)
        if flight is not None and flight.joinable:
            if rules.lock_age is not None and now - flight.since >= rules.lock_age:
                flight = None  # one more may try, and is the one to join from now on
            elif join(self, flight, transaction):
                return
        joinable = flight is None and not unstored
        self.launch(RangeFlight(self, request, route, entry, [transaction], joinable=joinable))
