"""A fetch that another worker is doing, and the clients of this one that wait for it.

It stands in the flight's place in `Zone.flights`. What the fetch has stored is in the
store, so when it is over each client is served from there; where nothing is, one of them
leads a flight and the rest join that.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from s3shield.policy import HIT, CacheStatus, EntryFlag, NoStoreReason, decide
from s3shield.store import Claim, Outcome

from .failing import SECOND, give_stale, refuse, unpacked

if TYPE_CHECKING:
    from s3shield.routing import Route

    from .location import Location
    from .purging import Watch
    from .transaction import Transaction

__all__ = ["Elsewhere", "Joinable"]

_NO_BODY: Final = int(EntryFlag.FROM_HEAD | EntryFlag.WITHDRAWN)
_MOST_ROUNDS: Final = 4
"""How often a client waits for other workers before it fetches for itself."""


class Joinable(Protocol):
    """What is in `Zone.flights`: a fetch that others may wait for.

    joinable: whether they may. since: epoch seconds. watch: tells whether it is purged.
    """

    joinable: bool
    since: float
    watch: Watch

    def join(self, transaction: Transaction) -> bool:
        """Let one more client have what it brings; False when it cannot."""

    def part_with(self, transaction: Transaction) -> bool:
        """Let a waiter go its own way; False when it is answered, or waits elsewhere."""

    def waiting(self) -> int:
        """Return how many clients wait, for whom the origin is asked included."""


class Elsewhere:
    """See the module's text. A `Joinable`.

    claim: the other worker's. watch: of its fence.
    """

    def __init__(self, location: Location, route: Route, watch: Watch, claim: Claim) -> None:
        self.joinable = True
        self.since = claim.time
        self.watch = watch
        self.digest = route.digest
        self.ident = claim.ident
        self._location = location
        self._route = route
        self._waiting: dict[Transaction, float] = {}  # since when

    def join(self, transaction: Transaction) -> bool:
        """Let one more client wait; not one that has waited too often."""
        if transaction.rounds >= _MOST_ROUNDS:
            return False
        self._waiting[transaction] = self._location.around.clock()
        transaction.watch(partial(self.part_with, transaction))
        return True

    def part_with(self, transaction: Transaction) -> bool:
        """Let a waiter go its own way, or home; False when it does not wait here."""
        return self._waiting.pop(transaction, None) is not None

    def waiting(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def over(self, claim: Claim | None) -> None:
        """The fetch is over. claim: what is known of it."""
        self.joinable = False
        location, flights = self._location, self._location.zone.flights
        if flights.get(self.digest) is self:
            del flights[self.digest]
        for transaction in self._waiting:
            transaction.wait_no_longer()
        outcome = Outcome.HELD if claim is None else claim.outcome
        if claim is not None and outcome is Outcome.UNSTORED:
            location.zone.mark_unstored(self._route, claim.time)
        if claim is not None and outcome is Outcome.FAILED:
            waiting, self._waiting = self._waiting, {}
            self._failed(list(waiting), claim.note)
            return
        self._hand_out(stored=outcome is Outcome.HELD)

    def _hand_out(self, *, stored: bool) -> None:
        """Let each see further: some in later turns where they are many; they may leave first."""
        location, around = self._location, self._location.around
        while self._waiting:
            if around.over():
                around.call_soon(partial(self._hand_out, stored=stored))
                return
            transaction = next(iter(self._waiting))
            since = self._waiting.pop(transaction)
            if stored:
                self._serve(transaction, since)
            else:
                location.pass_on(transaction, NoStoreReason.PARTIAL_CONTENT)

    def _serve(self, transaction: Transaction, since: float) -> None:
        """Answer from what is stored by now, or see further."""
        location, request = self._location, transaction.request
        transaction.rounds += 1
        entry = location.zone.lookup(transaction.route, request, location.policy)
        decision = decide(request, entry, location.around.clock(), location.policy)
        # What came since then was fetched for it too (RFC 9111 section 4), stale or not.
        meant = entry is not None and entry.response_time >= since and not entry.flags & _NO_BODY
        if entry is not None and (meant or decision is HIT):
            location.zone.store.touch(entry.digest)
            location.give_entry(transaction, entry, CacheStatus.HIT)
        else:
            transaction.collapsed = None
            location.resolve(transaction, entry, decision)

    def _failed(self, waiting: list[Transaction], note: bytes) -> None:
        location = self._location
        failure, attempt = unpacked(note)
        rest = []
        for transaction in waiting:
            entry = location.zone.lookup(transaction.route, transaction.request, location.policy)
            if entry is not None and entry.flags & _NO_BODY:
                entry = None
            if not give_stale(location, [transaction], entry, failure):
                rest.append((transaction, entry))
        if attempt == SECOND:
            for transaction, entry in rest:
                refuse(location, transaction, entry, failure)
        else:
            location.lead_again([transaction for transaction, _ in rest], attempt=SECOND)
