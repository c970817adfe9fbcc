"""No two workers ask the origin for the same key: one of them claims it, the others wait.

Theory of operation. A flight that others may join claims its key before it begins (see
`store.claims`). Where another worker has claimed it, an `Elsewhere` stands in the flight's
place: clients wait there as they would for a flight, and it looks every few milliseconds
at what became of the claim. A flight that is over gives its claim back one turn of the
event loop later, when all that it stored can be found, and several flights at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

from s3shield.store import Claim, Claims, Outcome

from .elsewhere import Elsewhere

if TYPE_CHECKING:
    from .flight import Flight
    from .location import Location
    from .transaction import Timer

__all__ = ["Claiming"]

_LOOK: Final = 0.004
"""Seconds between looks at what others have claimed."""
_ALIVE: Final = 125
"""Looks between two at whether the others live."""
_TOLD: Final = 1.0
"""Seconds for which a failure is worth knowing: for those who wait now."""


class Claiming:
    """See the module's text. One per zone that several workers share.

    call_later: as `Surroundings`'s. clock: epoch seconds.
    """

    def __init__(
        self,
        claims: Claims,
        *,
        call_later: Callable[[float, Callable[[], None]], Timer],
        clock: Callable[[], float],
    ) -> None:
        self._claims = claims
        self._call_later = call_later
        self._clock = clock
        self._waiting: dict[Elsewhere, int] = {}  # how often each has been looked after
        self._looking: Timer | None = None
        self._ended: list[Flight] = []
        self._giving: Timer | None = None
        self._notes: list[tuple[float, bytes, bytes]] = []  # until when, key, ident
        self._closed = False

    def close(self) -> None:
        """Give back what is over, and look no more."""
        self._closed = True
        if self._giving is not None:
            self._giving.cancel()
            self._give()
        if self._looking is not None:
            self._looking.cancel()

    def enter(self, location: Location, flight: Flight, lock_age: float | None) -> bool:
        """Claim the flight's key; else have an `Elsewhere` take its place among the flights.

        lock_age: seconds after which another's fetch is not waited for.
        """
        zone, route, now = location.zone, flight.route, self._clock()

        def over(claim: Claim) -> bool:
            old = lock_age is not None and now - claim.time >= lock_age
            return old or zone.store.purged(claim.fence, route.key_text)

        flight.claim, found = self._claims.take(flight.digest, now, flight.watch.since, over)
        if found is None:
            return True
        if found.outcome is Outcome.UNSTORED:
            zone.mark_unstored(route, found.time)
            return False
        flight.watch.since = found.fence
        elsewhere = Elsewhere(location, route, flight.watch, found)
        zone.flights[flight.digest] = elsewhere
        self._waiting[elsewhere] = 0
        if self._looking is None and not self._closed:
            self._looking = self._call_later(_LOOK, self._look)
        return False

    def leave(self, flight: Flight) -> None:
        """The flight is over: its claim goes when all that it has stored can be found."""
        if not flight.claim or self._closed:
            return
        self._ended.append(flight)
        if self._giving is None:
            self._giving = self._call_later(0, self._give)

    # Inside

    def _give(self) -> None:
        self._giving = None
        ended, self._ended = self._ended, []
        now = self._clock()
        rows: list[tuple[bytes, bytes, Claim | None]] = []
        while self._notes and self._notes[0][0] <= now:
            _, key, ident = heappop(self._notes)
            rows.append((key, ident, None))
        for flight in ended:
            left = self._left(flight, now)
            rows.append((flight.digest, flight.claim, left))
            if left is not None:
                heappush(self._notes, (left.time, flight.digest, flight.claim))
        self._claims.end(rows)

    def _left(self, flight: Flight, now: float) -> Claim | None:
        if flight.outcome is None:
            return None
        outcome, note = flight.outcome
        until = now + _TOLD
        if outcome is Outcome.UNSTORED:
            until = now + flight.location.policy.hit_for_miss
        return Claim(ident=flight.claim, outcome=outcome, time=until, note=note)

    def _look(self) -> None:
        found = self._claims.look([each.digest for each in self._waiting])
        over: list[Callable[[], None]] = []
        for each, looks in list(self._waiting.items()):
            claim = found.get(each.digest)
            same = claim is not None and claim.ident == each.ident
            if same and claim is not None and claim.outcome is Outcome.HELD:
                self._waiting[each] = looks + 1
                if looks % _ALIVE or self._claims.is_living(claim):
                    continue
                self._claims.end([(each.digest, each.ident, None)])
                claim = None
            del self._waiting[each]
            over.append(partial(each.over, claim if same else None))
        self._looking = None
        if self._waiting:
            self._looking = self._call_later(_LOOK, self._look)
        for tell in over:
            tell()
