"""`autoindex`: what a path that ends in a slash holds, asked of the bucket.

Theory of operation. The bucket is asked for a page of keys (ListObjectsV2 with `/` as delimiter)
by a location beside the one that is listed: the same bucket, keys, zone and replicas, and a
lifetime of its own. So a listing is signed, cached, collapsed and served stale like an object.
What is stored is S3's document; the page made of it is remembered by its digest.

In the cache it has a key that no request of a client has: below the path, so that a purge of
the path takes it along.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger

from s3shield.exchange import reason_phrase
from s3shield.policy import (
    InnerRequest,
    Request,
    TTLRow,
    TTLTable,
    added_fields,
    listed_tags,
    weak_match,
)
from s3shield.routing import BadTargetError, Route, decode_path, parse_query
from s3shield.signing import Query, encode_key
from s3shield.wire import Downstream, Octets

from .directory import is_directory
from .inner import READS, path_of, status_of
from .listing_page import CONTENT_POLICY, decode_token, encode_token, html_page, json_page
from .listing_xml import MAX_DOCUMENT, BadListingError, read_listing
from .passing import Passing

if TYPE_CHECKING:
    from s3shield.exchange import Location, Serve

    from .phase import Ground

__all__ = ["Listings"]

_PAGE: Final = b"page"
"""The parameter that leads to a further page."""
_PAGES: Final = 64
_PAGE_BYTES: Final = 16 << 20


@attrs.frozen
class _Page:
    """A page that was made. token: leads to the next; exists: whether there is such a directory."""

    body: bytes
    tag: bytes
    token: bytes
    exists: bool


class Listings:
    """Gives the listings of all locations that have them; remembers the pages made lately."""

    log = Logger()

    def __init__(self) -> None:
        self._pages: OrderedDict[bytes, _Page] = OrderedDict()
        self._bytes = 0

    def phase(self, ground: Ground, serve: Serve) -> Serve:
        """List what a path that ends in a slash holds, where the location says so."""
        site = ground.config.site
        if not site.autoindex:
            return serve
        policy = ground.location.policy
        rows = (TTLRow(frozenset({200}), site.autoindex_valid), *policy.valid.rows)
        beside = ground.location.beside(
            attrs.evolve(policy, valid=TTLTable(rows), valid_force=True, min_uses=1)
        )

        def serve_listing(request: Request, route: Route, downstream: Downstream) -> None:
            if request.method not in READS or not is_directory(request, route):
                serve(request, route, downstream)
                return
            _Question(self, ground, beside, request, route, downstream).ask()

        return serve_listing

    def page(
        self, document: bytes, prefix: bytes, path: bytes, how: tuple[str, bool, bytes]
    ) -> _Page:
        """Return the page of a document. how: format, whether to link up, token that led here.

        Raises BadListingError.
        """
        digest = hashlib.blake2b(document, digest_size=16)
        digest.update(b"\0".join((prefix, path, repr(how).encode())))
        key = digest.digest()
        page = self._pages.get(key)
        if page is not None:
            self._pages.move_to_end(key)
            return page
        listing = read_listing(document, prefix)
        form, up, token = how
        if listing.token == token:
            listing = attrs.evolve(listing, token=b"")  # it would lead round and round
        if form == "json":
            body = json_page(listing)
        else:
            body = html_page(listing, path, up=up, first=not token)
        tag = hashlib.blake2b(body, digest_size=12).hexdigest().encode("ascii")
        exists = listing.exists or bool(token)
        page = self._pages[key] = _Page(body, b'W/"%b"' % tag, listing.token, exists)
        self._bytes += len(body)
        while len(self._pages) > _PAGES or (self._bytes > _PAGE_BYTES and len(self._pages) > 1):
            self._bytes -= len(self._pages.popitem(last=False)[1].body)
        return page


class _Question:
    """One request for a listing."""

    def __init__(
        self,
        listings: Listings,
        ground: Ground,
        beside: Location,
        request: Request,
        route: Route,
        downstream: Downstream,
    ) -> None:
        self._listings = listings
        self._ground = ground
        self._beside = beside
        self._request = request
        self._route = route
        self._downstream = downstream
        self._prefix = route.key[1:]
        self._token = b""

    def ask(self) -> None:
        """Ask the bucket."""
        token = self._token_of(self._request)
        if token is None:
            self._refuse(400)
            return
        self._token = token
        pairs: Query = (
            (b"delimiter", b"/"),
            (b"encoding-type", b"url"),
            (b"list-type", b"2"),
            (b"max-keys", b"1000"),
            (b"prefix", self._prefix),
        )
        if token:
            pairs += ((b"continuation-token", token),)
        origin = self._ground.config.origin_name.encode("utf-8")
        text = b"%b|%b||list|%b" % (origin, encode_key(self._route.key), token)
        digest = hashlib.blake2b(text, digest_size=16).digest()
        route = attrs.evolve(self._route, key=b"/", query=pairs, key_text=text, digest=digest)
        # Nothing of the client's is part of the question: it is asked once for all.
        inner = InnerRequest(self._request, None, {})
        inner.method = b"GET"
        soon = self._ground.location.around.call_soon
        whole = _Whole(self._downstream, inner, partial(self._answered, inner), soon)
        self._beside.serve(inner, route, whole)

    def _token_of(self, request: Request) -> bytes | None:
        """Return the token in the query, empty for the first page; None: it is none of ours."""
        try:
            pairs = parse_query(path_of(request)[1])
        except BadTargetError:
            return None
        for name, value in pairs:
            if name == _PAGE and value:
                return decode_token(value)
        return b""

    def _answered(self, inner: InnerRequest, head: bytes, document: bytes | None) -> None:
        """Answer with what the bucket said. document: None for one that was cut or too long."""
        status = status_of(head) if head else 502
        if status != 200:
            # A token that the bucket does not know is the client's mistake.
            self._refuse(status)
            return
        path = decode_path(path_of(self._request)[0])
        pattern = self._ground.config.pattern
        up = path not in (b"/", pattern.encoded)
        how = (self._ground.config.site.autoindex_format, up, self._token)
        page = self._page(document, path, how)
        if page is None:
            self._refuse(502)
            return
        if not page.exists and self._prefix:
            self._refuse(404)
            return
        self._give(inner, head, page)

    def _page(
        self, document: bytes | None, path: bytes, how: tuple[str, bool, bytes]
    ) -> _Page | None:
        problem = "it is too long, or was cut off"
        if document is not None:
            try:
                return self._listings.page(document, self._prefix, path, how)
            except BadListingError as why:
                problem = str(why)
        self._listings.log.error(
            "{origin}: the listing of {prefix} cannot be shown: {problem}",
            origin=self._ground.config.origin_name,
            prefix=encode_key(self._route.key).decode("ascii"),
            problem=problem,
        )
        return None

    def _give(self, inner: InnerRequest, head: bytes, page: _Page) -> None:
        request, policy = self._request, self._ground.location.policy
        match = request.headers.get(b"if-none-match")
        unchanged = match is not None and (
            match.strip() == b"*" or any(weak_match(tag, page.tag) for tag in listed_tags(match))
        )
        status = 304 if unchanged else 200
        now = self._ground.location.around.clock()
        fields = [
            (b"Server", b"s3shield"),
            (b"Date", formatdate(now, usegmt=True).encode("ascii")),
            (b"ETag", page.tag),
        ]
        if not unchanged:
            kind = self._ground.config.site.autoindex_format
            text = b"application/json" if kind == "json" else b"text/html"
            fields += [
                (b"Content-Type", text + b"; charset=utf-8"),
                (b"Content-Length", b"%d" % len(page.body)),
                (b"X-Content-Type-Options", b"nosniff"),
                (b"Content-Security-Policy", CONTENT_POLICY),
            ]
            if page.token:
                link = b'<?page=%b>; rel="next"' % encode_token(page.token).encode("ascii")
                fields.append((b"Link", link))
        fields += added_fields(status, policy)
        lines = [b"HTTP/1.1 %d %b\r\n" % (status, reason_phrase(status))]
        lines += [b"%b: %b\r\n" % field for field in fields]
        name = re.escape(policy.cache_status_header)
        if name:
            lines += re.findall(rb"(?im)^%b:[^\n]*\n" % name, head)
        body = b"" if unchanged or request.method == b"HEAD" else page.body
        self._downstream.reply(b"".join(lines), body)
        record = inner.record
        if record is not None:
            # The document's record, with what was made of it.
            cached = len(body) if record[-1] else 0
            seconds = float(record[7])  # the page's is one write, whatever the document's was
            shown = (*record[:2], request, status, len(body), *record[5:7], seconds)
            shown += (*record[8:-1], cached)
            self._ground.location.around.log(shown)

    def _refuse(self, status: int) -> None:
        self._ground.refuse(self._request, self._route, self._downstream, status)


class _Whole(Passing):
    """Gathers one answer, whole, and tells `take` when its record is there too.

    take: called once with head and body; the body None when it was cut, or is too long.
    """

    __slots__ = ("_body", "_call_soon", "_head", "_over", "_producer", "_request", "_size", "_take")

    def __init__(
        self,
        inner: Downstream,
        request: InnerRequest,
        take: Callable[[bytes, bytes | None], None],
        call_soon: Callable[[Callable[[], None]], object],
    ) -> None:
        super().__init__(inner)
        self._request = request
        self._take = take
        self._call_soon = call_soon
        self._head = b""
        self._body: list[bytes] = []
        self._size = 0
        self._producer: IPushProducer | None = None
        self._over = False

    def reply(self, head: bytes, body: Octets) -> None:
        """See `Downstream.reply`."""
        self._request.quiet = True
        self._head = head
        self._end(bytes(body))

    def start(self, head: bytes, length: int | None, producer: IPushProducer) -> None:
        """See `Downstream.start`."""
        self._request.quiet = True
        self._head = head
        self._producer = producer

    def write(self, data: bytes | memoryview) -> None:
        """See `Downstream.write`."""
        if self._over:
            return
        self._body.append(bytes(data))
        self._size += len(data)
        if self._size > MAX_DOCUMENT:
            producer = self._producer
            self._end(None)
            if producer is not None:
                producer.stopProducing()

    def finish(self) -> None:
        """See `Downstream.finish`."""
        self._end(b"".join(self._body))

    def abort(self) -> None:
        """See `Downstream.abort`."""
        self._request.quiet = True
        self._end(None)

    def inform(self, head: bytes) -> None:
        """See `Downstream.inform`: it is not about the listing."""

    def _end(self, body: bytes | None) -> None:
        if not self._over:
            self._over = True
            self._body = []
            self._producer, take, self._take = None, self._take, _taken
            self._call_soon(partial(take, self._head, body))


def _taken(_head: bytes, _body: bytes | None) -> None:
    """It has been."""
