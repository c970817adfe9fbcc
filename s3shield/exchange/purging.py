"""Purging as clients and operators see it: by URL, by prefix, by tag, all.

A store knows keys; which keys a URL has is a matter of routing, so it is done here.
"""

from __future__ import annotations

import ipaddress
import json
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from email.utils import formatdate
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from s3shield.policy import Request, ResponseHead
from s3shield.routing import RoutingTable
from s3shield.store import Selector, Store

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from .transaction import Transaction
    from .zone import Zone

__all__ = [
    "Network",
    "PurgeMethod",
    "Purger",
    "Watch",
    "prefix_selectors",
    "purge_tags",
    "url_selector",
]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SPACED: Final = frozenset({b"surrogate-key", b"x-amz-meta-surrogate-key"})
_MOST_TAGS: Final = 1000
_AT_ONCE: Final = 50
"""Purges begun in one turn of the event loop: a millisecond's worth."""
_KEPT: Final = "".join(map(chr, range(0x21, 0x7F)))
"""Characters of a URL that stay; all others are percent-encoded."""


def purge_tags(head: ResponseHead) -> tuple[bytes, ...]:
    """Return the tags in `Surrogate-Key`, `x-amz-meta-surrogate-key` and `Cache-Tag`.

    Keys have spaces between them (Fastly), Cache-Tag commas (Cloudflare). The first
    thousand count.
    """
    found: dict[bytes, None] = {}
    for name, value in head.fields:
        lower = name.lower()
        if lower in _SPACED:
            found.update(dict.fromkeys(value.split()))
        elif lower == b"cache-tag":
            found.update(dict.fromkeys([tag.strip() for tag in value.split(b",")]))
    found.pop(b"", None)
    return tuple(found)[:_MOST_TAGS]


class Watch:
    """Whether something has been purged since it was asked for.

    since: the store's fence at that time. tags: known once the head has come. claim: that it
    is asked for under, empty without one.
    """

    __slots__ = ("_key", "_store", "claim", "since", "tags")

    def __init__(self, store: Store, key: bytes) -> None:
        self._store = store
        self._key = key
        self.since = store.fence()
        self.tags: tuple[bytes, ...] = ()
        self.claim = b""

    def see(self, head: ResponseHead) -> ResponseHead:
        """Take note of the response's tags; return the head."""
        self.tags = purge_tags(head)
        return head

    @property
    def purged(self) -> bool:
        """Whether whoever asks from now on must not get it."""
        return self._store.purged(self.since, self._key, self.tags)


class Purger:
    """Purges in all caches of one configuration.

    table: where requests go. zones: of each location in order, None without a cache. dry:
    nothing is purged, only counted.
    Deferreds fire with the number of responses when it is in force in every process; they
    fail with StoreError.
    """

    def __init__(
        self, table: RoutingTable, zones: Sequence[Zone | None], *, dry: bool = False
    ) -> None:
        self._table = table
        self._zones = zones
        self._dry = dry

    def dry(self) -> Purger:
        """Return one that only counts."""
        return Purger(self._table, self._zones, dry=True)

    def url(self, url: str, *, host: str = "", soft: bool = False) -> Deferred[int]:
        """Purge a URL: all its variants. host: for a URL that is only a path.

        Raises ValueError, BadTargetError among them, for what is no URL.
        """
        found = url_selector(self._table, url, host)
        return self._purge([] if found is None else [found], soft)

    def prefix(self, url: str, *, host: str = "", soft: bool = False) -> Deferred[int]:
        """Purge all whose URLs begin so; else as `url`."""
        return self._purge(prefix_selectors(self._table, url, host), soft)

    def key(self, key: str, *, soft: bool = False) -> Deferred[int]:
        """Purge a cache key, as the access log has it, with its variants, in every cache."""
        selector = Selector("key", key.encode("utf-8", "surrogateescape"))
        return _purge([(zone, selector) for zone in self._all()], soft, self._dry)

    def tags(self, tags: Iterable[bytes], *, soft: bool = False) -> Deferred[int]:
        """Purge all that has one of `tags`, in every cache."""
        wanted = list(dict.fromkeys(tags))
        return _purge(
            [(zone, Selector("tag", tag)) for zone in self._all() for tag in wanted],
            soft,
            self._dry,
        )

    def everything(self, *, soft: bool = False) -> Deferred[int]:
        """Purge every cache."""
        return _purge([(zone, Selector("all")) for zone in self._all()], soft, self._dry)

    def _purge(self, wanted: Iterable[tuple[int, Selector]], soft: bool) -> Deferred[int]:
        return _purge([(self._zones[number], each) for number, each in wanted], soft, self._dry)

    def _all(self) -> list[Zone]:
        return list({id(zone): zone for zone in self._zones if zone is not None}.values())


def url_selector(table: RoutingTable, url: str, host: str = "") -> tuple[int, Selector] | None:
    """Return the number of the location that takes a URL, and what names it in the cache.

    None when no location takes it. Raises ValueError as `Purger.url` does.
    """
    authority, path, query = _split(url, host)
    target = path if query is None else b"%b?%b" % (path, query)
    scheme = b"https" if url[:6].lower() == "https:" else b"http"
    fields = {b"host": authority}
    route = table.route(Request(b"GET", target, fields, host=authority, scheme=scheme))
    return None if route is None else (route.number, Selector("key", route.key_text))


def prefix_selectors(table: RoutingTable, url: str, host: str = "") -> list[tuple[int, Selector]]:
    """Return the same for all URLs that begin so; there may be several locations."""
    authority, path, query = _split(url, host)
    if query is not None:
        raise ValueError("a prefix has no query")
    return [(number, Selector("prefix", text)) for number, text in table.under(authority, path)]


def _purge(
    wanted: Iterable[tuple[Zone | None, Selector]], soft: bool, dry: bool = False
) -> Deferred[int]:
    purges = {(id(zone), selector): (zone, selector) for zone, selector in wanted if zone}
    left = deque(purges.values())
    return Deferred.fromCoroutine(_in_groups(left, soft, dry)).addErrback(_unwrapped)


async def _in_groups(left: deque[tuple[Zone, Selector]], soft: bool, dry: bool) -> int:
    """Purge all that is left, a group after the other; return how much went."""
    count = 0
    while left:
        group = [left.popleft() for _ in range(min(_AT_ONCE, len(left)))]
        purging = [zone.store.purge(selector, soft=soft, dry=dry) for zone, selector in group]
        count += sum(await gatherResults(purging, consumeErrors=True))
    return count


def _unwrapped(failure: Failure) -> Failure:
    """Return what a FirstError is about."""
    inner: Failure = getattr(failure.value, "subFailure", failure)
    return inner


def _split(url: str, host: str) -> tuple[bytes, bytes, bytes | None]:
    """Return host without port, raw path and raw query. Raises ValueError."""
    text = quote(url.partition("#")[0], safe=_KEPT)
    scheme, mark, rest = text.partition("://")
    if mark and scheme.lower() in ("http", "https"):
        authority, slash, tail = rest.partition("/")
        authority, question, more = authority.partition("?")
        text = f"/{question}{more}{slash}{tail}" if question else f"/{tail}"
        host = authority.rpartition("@")[2]
    elif not text.startswith("/"):
        raise ValueError("a URL begins with http://, https:// or /")
    path, mark, query = text.partition("?")
    name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return (
        name.lower().encode("utf-8"),
        path.encode("ascii"),
        query.encode("ascii") if mark else None,
    )


@attrs.frozen
class PurgeMethod:
    """The method PURGE of one location.

    allowed: networks of clients that may. zone: None without a cache. clock: epoch seconds.
    """

    log = Logger()

    allowed: tuple[Network, ...]
    zone: Zone | None
    clock: Callable[[], float]

    def answer(self, transaction: Transaction) -> None:
        """Purge the URL, or what the tags in `Surrogate-Key` name, and say how much it was.

        `Fastly-Soft-Purge: 1` makes it stale instead. 403 for others.
        """
        request = transaction.request
        if not self._may(request):
            transaction.refuse(403)
            return
        soft = request.headers.get(b"fastly-soft-purge") == b"1"
        tags = request.headers.get(b"surrogate-key", b"").replace(b",", b" ").split()
        selectors = [Selector("tag", tag) for tag in tags]
        if not tags:
            selectors = [Selector("key", transaction.route.key_text)]

        def failed(failure: Failure) -> None:
            self.log.error("PURGE: {why}", why=failure.getErrorMessage())
            transaction.refuse(503)

        _purge([(self.zone, selector) for selector in selectors], soft).addCallbacks(
            lambda count: self._done(transaction, count), failed
        )

    def _may(self, request: Request) -> bool:
        try:
            peer = ipaddress.ip_address(request.peer.decode("ascii"))
        except ValueError:
            return False  # a unix socket
        return any(peer in network for network in self.allowed)

    def _done(self, transaction: Transaction, count: int) -> None:
        body = json.dumps({"purged": count}).encode("ascii") + b"\n"
        date = formatdate(self.clock(), usegmt=True).encode("ascii")
        head = (
            b"HTTP/1.1 200 OK\r\nServer: s3shield\r\nDate: %b\r\nCache-Control: no-store\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n"
        ) % (date, len(body))
        transaction.downstream.reply(head, body)
        transaction.log(200, len(body))
