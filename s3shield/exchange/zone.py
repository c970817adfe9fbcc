"""One cache in this process: its store, and the flights that are filling it.

Keys and variants become digests here; nothing else in the exchange knows how an entry
is addressed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from s3shield.policy import (
    NEVER,
    CachePolicy,
    EntryFlag,
    EntryMeta,
    Request,
    variant_key,
)
from s3shield.routing import Route
from s3shield.store import BodyWriter, Entry, Store

if TYPE_CHECKING:
    from .flight import Flight

__all__ = ["Zone"]

_MOST_MARKS: Final = 65536
"""Hit-for-miss marks remembered; past it all are forgotten, which only costs queueing."""


class Zone:
    """See the module's text.

    store: `store.Store`. inline_limit, largest: bytes; a body past the first goes to a
    file, past the second is not stored.
    """

    __slots__ = ("_unstored", "flights", "inline_limit", "largest", "store")

    def __init__(self, store: Store, *, inline_limit: int, largest: int) -> None:
        self.store = store
        self.inline_limit = inline_limit
        self.largest = largest
        self.flights: dict[bytes, Flight] = {}
        self._unstored: dict[bytes, float] = {}

    def lookup(self, route: Route, request: Request, policy: CachePolicy) -> Entry | None:
        """Return the entry that `request` selects (RFC 9111 section 4.1), or None."""
        entry = self.store.get(route.digest, route.key_text)
        if entry is None or not entry.flags & EntryFlag.VARIANTS:
            return entry
        digest, key = _variant(route, tuple(entry.head.split(b",")), request, policy)
        return self.store.get(digest, key)

    def keep(
        self,
        route: Route,
        request: Request,
        policy: CachePolicy,
        meta: EntryMeta,
        head: bytes,
        body: bytes,
        vary: tuple[bytes, ...] | None,
    ) -> None:
        """Store a response whose body fits in the index."""
        digest, key = self._address(route, request, policy, meta, vary)
        self.store.put(digest, key, meta, head, body)

    def keep_file(
        self,
        route: Route,
        request: Request,
        policy: CachePolicy,
        meta: EntryMeta,
        head: bytes,
        writer: BodyWriter,
        vary: tuple[bytes, ...] | None,
        done: Callable[[], None],
    ) -> None:
        """Store a response whose body is in a file; `done` when a lookup can find it."""
        digest, key = self._address(route, request, policy, meta, vary)
        writer.commit(digest, key, meta, head, done)

    def drop(self, entry: Entry) -> None:
        """Forget an entry whose body is gone."""
        self.store.remove(entry.digest)

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

    def _address(
        self,
        route: Route,
        request: Request,
        policy: CachePolicy,
        meta: EntryMeta,
        vary: tuple[bytes, ...] | None,
    ) -> tuple[bytes, bytes]:
        """Return where the response goes; note the selecting header names if it varies."""
        self._unstored.pop(route.digest, None)
        if not vary:
            return route.digest, route.key_text
        names = b",".join(vary)
        primary = self.store.get(route.digest, route.key_text)
        if primary is None or not primary.flags & EntryFlag.VARIANTS or primary.head != names:
            mark = EntryMeta(
                status=meta.status,
                born=meta.born,
                response_time=meta.response_time,
                fresh_until=NEVER,
                flags=int(EntryFlag.VARIANTS),
            )
            self.store.put(route.digest, route.key_text, mark, names, b"")
        return _variant(route, vary, request, policy)


def _variant(
    route: Route, names: tuple[bytes, ...], request: Request, policy: CachePolicy
) -> tuple[bytes, bytes]:
    key = route.key_text + b"\0" + variant_key(names, request, policy)
    return hashlib.blake2b(key, digest_size=16).digest(), key
