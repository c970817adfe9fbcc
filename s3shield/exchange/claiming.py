"""No two workers ask the origin for the same: one of them claims it, the others wait.

Theory of operation. A flight that others may join claims its key before it begins (see
`store.claims`). Where another worker has claimed it, an `Elsewhere` stands in the flight's
place: clients wait there as they would for a flight, and it looks every few milliseconds
at what became of the claim. A flight that is over gives its claim back one turn of the
event loop later, when all that it stored can be found, and several flights at once.
So it is with the gaps of sparse bodies, which are claimed as spans; there a `DistantGap`
looks, and lets its readers have what has come so far.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

from s3shield.store import Claim, Claims, Outcome, Span, span_key, span_stop

from .elsewhere import Elsewhere

if TYPE_CHECKING:
    from s3shield.routing import Route

    from .distant import DistantGap
    from .flight import Flight
    from .gap import Gap
    from .location import Location
    from .sparse import Sparse
    from .transaction import Timer

__all__ = ["Claiming"]

_LOOK: Final = 0.004
"""Seconds between looks at the fetches of others that clients wait for."""
_LOOK_FOR_BLOCKS: Final = 0.012
"""The same, for blocks of a body."""
_LOOK_AFTER: Final = 0.05
"""Seconds between looks at whether another has taken over the end of a gap of ours."""
_ALIVE: Final = 0.5
"""Seconds for which a process that lived is taken to live."""
_NEAR: Final = 8
"""Blocks that a reader waits for another's gap to bring, rather than begin one inside it."""
_LONG: Final = 64
"""Blocks from which on one inside it is worth a request more for its rest."""
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
        self._waiting: dict[Elsewhere, None] = {}
        self._distant: dict[DistantGap, None] = {}
        self._filling: dict[Gap, Span] = {}
        self._seen: dict[bytes, float] = {}  # when a process was last seen alive, by its mark
        self._looking: Timer | None = None
        self._look_at = 0.0
        self._ended: list[Flight] = []
        self._filled: list[tuple[bytes, bytes]] = []  # key, ident
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

        flight.watch.claim, found = self._claims.take(flight.digest, now, flight.watch.since, over)
        if found is None:
            return True
        if found.outcome is Outcome.UNSTORED:
            zone.mark_unstored(route, found.time)
            return False
        flight.watch.since = found.fence
        elsewhere = Elsewhere(location, route, flight.watch, found)
        zone.flights[flight.digest] = elsewhere
        self._waiting[elsewhere] = None
        self._look_in(_LOOK)
        return False

    def void(self, route: Route) -> None:
        """What is being fetched for a key, in whichever worker, is not valid any more."""
        self._claims.void(route.digest)

    def is_void(self, route_digest: bytes, claim: bytes) -> bool:
        """Tell whether what was fetched under a claim is not, as far as other workers say."""
        return self._claims.is_void(route_digest, claim)

    def leave(self, flight: Flight) -> None:
        """The flight is over: its claim goes when all that it has stored can be found."""
        if not flight.watch.claim or self._closed:
            return
        self._ended.append(flight)
        self._give_soon()

    def enter_span(self, sparse: Sparse, start: int, stop: int) -> tuple[bool, Span]:
        """Claim [start, stop) of a body: return whether it is ours, and how much of it.

        What others have brought meanwhile is known afterwards. If it is not ours: the span
        of another's gap, or of none when there is nothing left to be fetched.
        """
        blocks = sparse.body.blocks

        def near(begun: int, _stop: int) -> bool:
            return not sparse.ranges or start - blocks.held_from(begun) <= _NEAR << blocks.shift

        span, worth = (start, stop), _LONG << blocks.shift
        sparse.refresh()
        ident, found = self._claims.take_span(sparse.blob, span, self._clock(), near, worth)
        if not ident:
            return not found.ident, found
        sparse.refresh()  # whoever had it may have given it back just before
        if blocks.has(start >> blocks.shift):
            self._claims.end([(span_key(sparse.blob, start), ident, None)])
            return False, found
        return True, found

    def fill(self, gap: Gap, claim: Span) -> None:
        """A gap of ours begins; claim: as `enter_span` gave it."""
        if claim.ident:
            gap.claim = self._filling[gap] = claim
            self._look_in(_LOOK_AFTER)

    def filled(self, gap: Gap) -> None:
        """A gap of ours is over: its claim goes when all that it brought is noted."""
        claim = self._filling.pop(gap, None)
        if claim is not None:
            pair = gap.key, claim.ident
            gap.settled().addBoth(lambda _: self._settled(pair))

    def wait_for(self, gap: DistantGap) -> None:
        """Look what another worker's gap brings."""
        self._distant[gap] = None
        self._look_in(_LOOK_FOR_BLOCKS)

    # Inside

    def _settled(self, filled: tuple[bytes, bytes]) -> None:
        if not self._closed:
            self._filled.append(filled)
            self._give_soon()

    def _give_soon(self) -> None:
        if self._giving is None:
            self._giving = self._call_later(0, self._give)

    def _give(self) -> None:
        self._giving = None
        ended, self._ended = self._ended, []
        now = self._clock()
        rows: list[tuple[bytes, bytes, Claim | None]] = [(*each, None) for each in self._filled]
        self._filled.clear()
        while self._notes and self._notes[0][0] <= now:
            _, key, ident = heappop(self._notes)
            rows.append((key, ident, None))
        for flight in ended:
            left = self._left(flight, now)
            rows.append((flight.digest, flight.watch.claim, left))
            if left is not None:
                heappush(self._notes, (left.time, flight.digest, flight.watch.claim))
        self._claims.end(rows)

    def _left(self, flight: Flight, now: float) -> Claim | None:
        if flight.outcome is None:
            return None
        outcome, note = flight.outcome
        until = now + _TOLD
        if outcome is Outcome.UNSTORED:
            until = now + flight.location.policy.hit_for_miss
        return Claim(ident=flight.watch.claim, outcome=outcome, time=until, note=note)

    def _look_in(self, seconds: float) -> None:
        """See to it that it looks that soon, or sooner."""
        due = self._clock() + seconds
        if self._closed or (self._looking is not None and self._look_at <= due):
            return
        if self._looking is not None:
            self._looking.cancel()
        self._look_at = due
        self._looking = self._call_later(seconds, self._look)

    def _look(self) -> None:
        self._looking = None
        for gap in [each for each in self._distant if each.over]:
            del self._distant[gap]
        waiting, distant, filling = list(self._waiting), list(self._distant), list(self._filling)
        keys = [each.digest for each in waiting]
        keys += [each.key for each in distant] + [each.key for each in filling]
        found = self._claims.look(keys)
        over: list[Callable[[], None]] = []
        for each in waiting:
            claim = self._standing(each.digest, each.ident, found)
            if claim is None or claim.outcome is not Outcome.HELD:
                del self._waiting[each]
                void = claim is None or claim.outcome is Outcome.VOID
                over.append(partial(each.over, None if void else claim))
        for gap in distant:
            claim = self._standing(gap.key, gap.ident, found)
            if claim is None:
                del self._distant[gap]
            over.append(partial(gap.look, claim))
        over += [partial(self._look_after, each, found.get(each.key)) for each in filling]
        if self._waiting:
            self._look_in(_LOOK)
        elif self._distant:
            self._look_in(_LOOK_FOR_BLOCKS)
        elif self._filling:
            self._look_in(_LOOK_AFTER)
        for tell in over:
            tell()

    def _standing(self, key: bytes, ident: bytes, found: dict[bytes, Claim]) -> Claim | None:
        """Return the claim if it is still that one, and its owner lives or has ended it."""
        claim = found.get(key)
        if claim is None or claim.ident != ident:
            return None
        if claim.outcome is Outcome.HELD and not self._is_living(claim):
            self._claims.end([(key, ident, None)])
            return None
        return claim

    def _is_living(self, claim: Claim) -> bool:
        mark, now = claim.ident[:8], self._clock()
        if 0.0 <= now - self._seen.get(mark, 0.0) < _ALIVE:
            return True
        self._seen.pop(mark, None)
        if not self._claims.is_living(claim):
            return False
        self._seen[mark] = now
        return True

    def _look_after(self, gap: Gap, claim: Claim | None) -> None:
        if gap.fill is not None and not gap.fill.keeps:
            self.filled(gap)  # nobody learns of what it brings
        elif claim is not None and gap.claim is not None and claim.ident == gap.claim.ident:
            stop = span_stop(claim)
            if gap.arrived < stop < gap.stop:
                gap.shorten(stop)
