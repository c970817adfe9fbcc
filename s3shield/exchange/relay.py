"""A response that goes to one client and nowhere else: no store, no company.

For locations with `proxy_cache = off`, HEAD requests that no entry answers, ranges past
`proxy_cache_max_range_offset`. The client's preconditions and Range go along, and the
origin's 206, 304, 412 or 416 come back. The client sets the pace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from s3shield.policy import Fields, OriginFailure, ResponseHead, content_length, stored_head

if TYPE_CHECKING:
    from .location import Location
    from .origin import Call
    from .transaction import Transaction

__all__ = ["Relay"]

_PASSED: Final = {
    b"range": b"Range",
    b"if-range": b"If-Range",
    b"if-match": b"If-Match",
    b"if-none-match": b"If-None-Match",
    b"if-modified-since": b"If-Modified-Since",
    b"if-unmodified-since": b"If-Unmodified-Since",
}


@implementer(IPushProducer)
class Relay:
    """A `wire.Receiver` of one origin call, and the producer of one response."""

    __slots__ = ("_call", "_chunks", "_gone", "_head", "_location", "_sent", "_status", "_to")

    def __init__(self, location: Location, to: Transaction) -> None:
        self._location = location
        self._to = to
        self._call: Call | None = None
        self._head = b""
        self._status = 0
        self._sent = 0
        self._chunks: list[bytes] | None = []
        self._gone = False

    def begin(self) -> None:
        """Ask the origin what the client asked."""
        request = self._to.request
        self._to.origin_started = self._location.around.monotonic()
        self._to.watch(self._left)
        if self._gone:
            return
        extra: Fields = tuple(
            (name, request.headers[key]) for key, name in _PASSED.items() if key in request.headers
        )
        self._call = self._location.ask(request.method, request, self._to.route, extra, self)
        self._call.interim = self._to.inform

    def _left(self) -> bool:
        if self._gone or self._chunks is None:
            return False  # `stopProducing` says so
        self._gone = True
        if self._call is not None:
            self._call.cancel()
        return True

    # wire.Receiver

    def origin_head(self, head: ResponseHead, length: int | None) -> None:
        """Start the answer, unless it is so short that it goes out in one write."""
        location, to = self._location, self._to
        to.origin_status = self._status = head.status
        bodiless = to.request.method == b"HEAD" or head.status in (204, 304)
        told = stored_head(
            head,
            location.policy,
            length=content_length(head) if bodiless else length,
            now=location.around.clock(),
            keep_age=True,
        )
        self._head = to.told(told)
        if bodiless or (length is not None and length <= location.inline_limit):
            return
        self._chunks = None
        to.start(self._head, length, self)

    def origin_data(self, data: bytes) -> None:
        """Hand the bytes on."""
        if self._to.request.method == b"HEAD":
            return  # a text of ours about an error
        self._sent += len(data)
        if self._chunks is not None:
            self._chunks.append(data)
        elif not self._gone:
            self._to.downstream.write(data)

    def origin_end(self) -> None:
        """The answer is whole."""
        if self._gone:
            return
        if self._chunks is None:
            self._to.downstream.finish()
        else:
            self._to.downstream.reply(self._head + self._to.tail(), b"".join(self._chunks))
        self._to.log(self._status, self._sent)

    def origin_failed(self, failure: OriginFailure) -> None:
        """Tell the client, or cut what was begun."""
        if self._gone:
            return
        if not failure.status:
            self._location.trouble(self._to.route, failure)
        if self._chunks is None:
            self._to.downstream.abort()
            self._to.log(self._status, self._sent)
        else:
            self._to.refuse(failure.gateway_status)

    # IPushProducer

    def pauseProducing(self) -> None:
        """The client's socket is full."""
        if self._call is not None and not self._gone:
            self._call.pause()

    def resumeProducing(self) -> None:
        """The client's socket has room again."""
        if self._call is not None and not self._gone:
            self._call.resume()

    def stopProducing(self) -> None:
        """The client is gone."""
        if not self._gone:
            self._gone = True
            if self._call is not None:
                self._call.cancel()
            self._to.log(self._status, self._sent)
