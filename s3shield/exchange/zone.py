"""One cache in this process: its store, and the flights that are filling it.

Keys and variants become digests here; nothing else in the exchange knows how an entry
is addressed.
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred, succeed

from s3shield.policy import (
    CODINGS,
    NEVER,
    CachePolicy,
    EntryFlag,
    EntryMeta,
    Request,
    RunningDigest,
    StoredResponse,
    variant_key,
)
from s3shield.routing import Route
from s3shield.store import BodyWriter, Entry, SparseBody, Store

from .purging import Watch

if TYPE_CHECKING:
    from .claiming import Claiming
    from .elsewhere import Joinable
    from .sparse import Sparse

__all__ = ["VARIANTS", "Place", "Zone", "coded_address"]

Place = tuple[bytes, bytes, tuple[Route, bytes, int] | None, Watch | None]
"""Where a response goes, and what may forbid it.

(digest, key text, None or (route, comma-separated selecting names, most variants) of a
variant, watch).
"""

VARIANTS: Final = int(EntryFlag.VARIANTS)  # arithmetic on an IntFlag costs a microsecond
_NO_BODY: Final = int(EntryFlag.FROM_HEAD | EntryFlag.WITHDRAWN)
_SALT: Final = 8
"""Bytes that a mark's body begins with; the digests of the variants follow. See `invalidate`."""
_UNSALTED: Final = bytes(_SALT)
_DIGEST: Final = 16
_MOST_READS: Final = 4096
_MOST_MARKS: Final = 65536
"""Hit-for-miss marks remembered; past it all are forgotten, which only costs queueing."""


def _listed(mark: Entry) -> list[bytes]:
    """Return the digests of the variants that a mark leads to, the latest stored last."""
    body = mark.body or b""
    return [body[at : at + _DIGEST] for at in range(_SALT, len(body), _DIGEST)]


@lru_cache(4096)
def coded_address(digest: bytes, key: bytes, coding: bytes) -> tuple[bytes, bytes]:
    """Return digest and key text of the coded form of the entry with these."""
    form = hashlib.blake2b(digest + coding, digest_size=_DIGEST).digest()
    return form, b"%b\0%b" % (key, coding)


class Reads:
    """Where the last range of a body ended, for those read lately: blob id -> offset."""

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self._ends: dict[bytes, int] = {}

    def get(self, blob: bytes) -> int | None:
        """Return the offset, or None."""
        return self._ends.get(blob)

    def put(self, blob: bytes, end: int) -> None:
        """Note it."""
        ends = self._ends
        ends.pop(blob, None)
        if len(ends) >= _MOST_READS:
            del ends[next(iter(ends))]
        ends[blob] = end


def _primary(place: Place) -> bytes:
    return place[0] if place[2] is None else place[2][0].digest


class Zone:
    """See the module's text.

    store: `store.Store`. inline_limit, largest: bytes; a body past the first goes to a
    file, past the second is not stored. claiming: where other workers use the store too.
    """

    __slots__ = (
        "_changed",
        "_settling",
        "_unstored",
        "_waiting",
        "claiming",
        "flights",
        "inline_limit",
        "largest",
        "reads",
        "sparse",
        "store",
    )

    def __init__(
        self,
        store: Store,
        *,
        inline_limit: int,
        largest: int,
        claiming: Claiming | None = None,
    ) -> None:
        self.store = store
        self.inline_limit = inline_limit
        self.largest = largest
        self.claiming = claiming
        self.flights: dict[bytes, Joinable] = {}
        self.sparse: dict[bytes, Sparse] = {}
        self.reads = Reads()
        self._settling = 0
        self._waiting: list[Deferred[None]] = []
        self._changed: dict[bytes, float] = {}  # when keys were last invalidated
        self._unstored: dict[bytes, float] = {}

    def lookup(self, route: Route, request: Request, policy: CachePolicy) -> Entry | None:
        """Return the entry that `request` selects (RFC 9111 section 4.1), or None."""
        entry = self.store.get(route.digest, route.key_text)
        if entry is None or not entry.flags & VARIANTS:
            return entry
        return self.variant(entry, route, request, policy)

    def variant(
        self, mark: Entry, route: Route, request: Request, policy: CachePolicy
    ) -> Entry | None:
        """Return the entry that `request` selects of those that `mark` (VARIANTS) leads to."""
        names = tuple(mark.head.split(b","))
        self.store.touch(mark.digest)
        return self.store.get(*self.place(route, request, policy, names)[:2])

    def place(
        self,
        route: Route,
        request: Request,
        policy: CachePolicy,
        names: tuple[bytes, ...],
        watch: Watch | None = None,
    ) -> Place:
        """Return where the response that `request` selects by `names` belongs.

        watch: of whoever asked for it.
        """
        if not names:
            return route.digest, route.key_text, None, watch
        mark = self.store.get(route.digest, route.key_text)
        salted = mark is not None and mark.flags & VARIANTS and mark.body
        salt = salted[:_SALT] if salted else _UNSALTED
        key = b"%b\0%b\0%b" % (route.key_text, variant_key(request, names, policy), salt)
        digest = hashlib.blake2b(key, digest_size=_DIGEST).digest()
        return digest, key, (route, b",".join(names), policy.max_variants), watch

    def variants(self, route: Route) -> tuple[tuple[bytes, ...], list[Entry]]:
        """Return the selecting names of a key that has variants, and the responses stored."""
        mark = self.store.get(route.digest, route.key_text)
        if mark is None or not mark.flags & VARIANTS:
            return (), []
        below = route.key_text + b"\0"
        found = [self.store.get(digest, None) for digest in _listed(mark)]
        return tuple(mark.head.split(b",")), [
            each
            for each in found
            if each is not None and each.key.startswith(below) and not each.flags & _NO_BODY
        ]

    def keep(self, place: Place, meta: EntryMeta, head: bytes, body: bytes) -> None:
        """Store a response whose body fits in the index."""
        digest, key, _, watch = place
        if self._outdated(place, meta):
            return
        tags, since = (watch.tags, watch.since) if watch is not None else ((), None)
        self._prepare(place, meta)
        self.store.put(digest, key, meta, head, body, tags, since)
        if self.claiming is not None:
            self._look_again(place)

    def new_body(
        self, place: Place, length: int | None, check: RunningDigest | None = None
    ) -> BodyWriter:
        """Open a file for a body. length: bytes to come, None when not known."""
        watch = place[3]
        since = None if watch is None else watch.since
        return self.store.create_body(place[0], length, since, check)

    def keep_file(
        self, place: Place, meta: EntryMeta, head: bytes, writer: BodyWriter
    ) -> Deferred[Entry | None]:
        """Store a response whose body is in a file; fires when a lookup can find it."""
        if self._outdated(place, meta):
            writer.abort()
            return succeed(None)
        self._prepare(place, meta)
        watch = place[3]

        def stored(entry: Entry | None) -> Entry | None:
            self._look_again(place)
            return entry

        tags = () if watch is None else watch.tags
        return writer.commit(place[1], meta, head, tags=tags).addCallback(stored)

    def flight(self, route: Route) -> Joinable | None:
        """Return the flight for this key, if what it brings has not been purged meanwhile."""
        flight = self.flights.get(route.digest)
        if flight is not None and flight.watch.purged:
            flight.joinable = False
            del self.flights[route.digest]
            return None
        return flight

    def new_sparse(self, place: Place, meta: EntryMeta, head: bytes, size: int) -> SparseBody:
        """Begin a body that comes in pieces; lookups find it when its file is there."""
        digest, key, _, watch = place
        tags, since = (watch.tags, watch.since) if watch is not None else ((), None)
        body = self.store.sparse.create(digest, key, meta, head, size, tags, since)
        if self._outdated(place, meta):
            body.lost = True
        else:
            self._prepare(place, meta)
        return body

    def settling(self, written: Deferred[None]) -> None:
        """Something is on its way to the disk that nobody else waits for."""
        self._settling += 1
        written.addBoth(self._written)

    def settled(self) -> Deferred[None]:
        """Return what fires when all of it is there."""
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        self._settling += 1
        self._written(None)
        return done

    def _written(self, _result: object) -> None:
        self._settling -= 1
        if not self._settling:
            waiting, self._waiting = self._waiting, []
            for done in waiting:
                done.callback(None)

    def drop(self, entry: Entry) -> None:
        """Forget an entry whose body is gone."""
        self.store.remove(entry.digest)

    def invalidate(self, route: Route, now: float) -> None:
        """Forget all variants of a key, and do not store what was answered before `now`."""
        if len(self._changed) >= _MOST_MARKS:
            self._changed.clear()
        self._changed[route.digest] = now
        if self.claiming is not None:
            self.claiming.void(route)
        flight = self.flights.pop(route.digest, None)
        if flight is not None:
            flight.joinable = False
        for sparse in [each for each in self.sparse.values() if each.primary == route.digest]:
            sparse.changed()
        mark = self.store.get(route.digest, route.key_text)
        if mark is not None and mark.flags & VARIANTS:
            # Variants are found by way of the mark: another salt in it, other variants.
            self._mark(route, mark, mark.head, os.urandom(_SALT))
        elif mark is not None:
            self.store.remove(route.digest)
            for coding in CODINGS:
                form, key = coded_address(mark.digest, mark.key, coding)
                if self.store.get(form, key) is not None:
                    self.store.remove(form)

    def _outdated(self, place: Place, meta: EntryMeta) -> bool:
        if self.claiming is not None and self._void(place):
            return True
        if not self._changed:
            return False
        return meta.response_time <= self._changed.get(_primary(place), NEVER)

    def _void(self, place: Place) -> bool:
        """Whether another worker has invalidated what is on its way here."""
        claiming, watch = self.claiming, place[3]
        if claiming is None or watch is None or not watch.claim:
            return False
        return claiming.is_void(_primary(place), watch.claim)

    def _look_again(self, place: Place) -> None:
        """Another may have invalidated it between our looking and our storing."""
        if self._void(place):
            self.store.remove(place[0])

    def mark_unstored(self, route: Route, until: float) -> None:
        """Remember that this key is not cacheable for now (hit-for-miss)."""
        if len(self._unstored) >= _MOST_MARKS:
            self._unstored.clear()
        self._unstored[route.digest] = until

    def is_unstored(self, route: Route, now: float) -> bool:
        """Whether requests for this key had better not wait for one another."""
        until = self._unstored.get(route.digest)
        if until is None:
            return False
        if until > now:
            return True
        del self._unstored[route.digest]
        return False

    def _prepare(self, place: Place, meta: EntryMeta) -> None:
        """Note the variant and the selecting names where lookups begin; forget marks."""
        primary = place[2]
        if primary is None:
            self._unstored.pop(place[0], None)
            return
        route, names, most = primary
        self._unstored.pop(route.digest, None)
        mark = self.store.get(route.digest, route.key_text)
        if mark is None or not mark.flags & VARIANTS:
            self._mark(route, meta, names, _UNSALTED + place[0])
            return
        listed = _listed(mark)
        if place[0] in listed and mark.head == names:
            return
        listed = [each for each in listed if each != place[0]]
        if len(listed) >= most:
            listed = [each for each in listed if self.store.get(each, None) is not None]
        while len(listed) >= most:
            self.store.remove(listed.pop(0))  # the one that has not been stored for longest
        salt = (mark.body or _UNSALTED)[:_SALT]
        self._mark(route, meta, names, b"".join((salt, *listed, place[0])))

    def _mark(self, route: Route, like: StoredResponse, names: bytes, body: bytes) -> None:
        mark = EntryMeta(
            status=like.status,
            born=like.born,
            response_time=like.response_time,
            fresh_until=NEVER,
            flags=VARIANTS,
        )
        self.store.put(route.digest, route.key_text, mark, names, body)
