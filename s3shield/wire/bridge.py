"""From twisted.web's requests to ours, so that any twisted.web `Site` can serve a location.

The second door to the same core: HTTP/2, and sites that mix our locations with
resources of their own. Slower than the channel, never different.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from s3shield.policy import Request, RequestWithBody
from s3shield.wire.downstream import Octets
from s3shield.wire.request_head import host_name, without_named
from s3shield.wire.transport import peer_text

__all__ = ["RequestDownstream", "request_from"]

# Set by twisted.web before rendering; ours to keep where the head has none.
_KEPT: Final = frozenset({b"server", b"date"})


def request_from(irequest: Any, now: float, *, most: int = 0) -> Request:
    """Return what `irequest` asks for.

    irequest: `IRequest`. now: the monotonic second. most: bytes of its body that are
    wanted; of a longer one there is one more. A host that is none is empty; HTTP/2 counts
    as 1.1.
    """
    fields: dict[bytes, bytes] = {}
    for name, values in irequest.requestHeaders.getAllRawHeaders():
        lower = name.lower()
        fields[lower] = (b"; " if lower == b"cookie" else b", ").join(values)
    without_named(fields)
    version = (1, 0) if getattr(irequest, "clientproto", b"") == b"HTTP/1.0" else (1, 1)
    request = Request(
        irequest.method,
        irequest.uri,
        fields,
        version=version,
        host=host_name(fields.get(b"host", b"")) or b"",
        peer=peer_text(irequest.getClientAddress()),
        scheme=b"https" if irequest.isSecure() else b"http",
        started=now,
    )
    content = getattr(irequest, "content", None)
    if content is None or not most or request.method in (b"GET", b"HEAD"):
        return request
    content.seek(0)  # whoever chose the resource may have read it
    body = content.read(most + 1)
    return RequestWithBody(request, body) if body else request


class RequestDownstream:
    """A `Downstream` that is a twisted.web `IRequest`; see there for what each call means.

    `render` returns NOT_DONE_YET after having handed it to the site.
    """

    __slots__ = ("_done", "_gone", "_left", "_lost", "_producer", "_request", "_started")

    def __init__(self, irequest: Any) -> None:
        # Any: the interface leaves out much of what every implementation has.
        self._request = irequest
        irequest.defaultContentType = None
        self._done = self._lost = self._started = False
        self._left: int | None = None
        self._producer: _StopsOnce | None = None
        self._gone: Callable[[], None] | None = None
        irequest.notifyFinish().addErrback(self._client_gone)

    def reply(self, head: bytes, body: Octets) -> None:
        """See `Downstream.reply`."""
        if self._done or self._started:
            return
        self._done = True
        self._send_head(head)
        self._request.write(bytes(body))
        self._request.finish()

    def inform(self, head: bytes) -> None:
        """See `Downstream.inform`: twisted.web has no words for it."""

    def start(self, head: bytes, length: int | None, producer: IPushProducer) -> None:
        """See `Downstream.start`; twisted.web does the framing."""
        if self._done or self._started:
            producer.stopProducing()
            return
        self._started = True
        self._left = length
        self._send_head(head)
        self._request.write(b"")
        self._producer = once = _StopsOnce(producer)
        self._request.registerProducer(once, True)

    def write(self, data: bytes | memoryview) -> None:
        """See `Downstream.write`. More bytes than promised cut the connection."""
        if self._done or not self._started:
            return
        if self._left is not None:
            if len(data) > self._left:
                self.abort()
                return
            self._left -= len(data)
        self._request.write(bytes(data))

    def finish(self) -> None:
        """See `Downstream.finish`."""
        if self._done or not self._started:
            return
        if self._left:
            self.abort()
            return
        self._done = True
        self._producer = None
        self._request.unregisterProducer()
        self._request.finish()

    def abort(self) -> None:
        """See `Downstream.abort`. Only the one stream of an HTTP/2 connection."""
        if self._done:
            return
        self._done = True
        if self._producer is not None:
            self._producer = None
            self._request.unregisterProducer()
        channel = self._request.channel
        # HTTP/2's streams can be cut alone; HTTP/1.1's channel has no word for it.
        (channel if hasattr(channel, "abortConnection") else channel.transport).abortConnection()

    def on_gone(self, gone: Callable[[], None]) -> None:
        """See `Downstream.on_gone`."""
        if self._lost:
            gone()
        elif not self._done:
            self._gone = gone

    def _send_head(self, head: bytes) -> None:
        """Give twisted.web the status and the fields; it writes them with the first body."""
        status, *lines = head.split(b"\r\n")
        _, code, *reason = status.split(b" ", 2)
        self._request.setResponseCode(int(code), reason[0] if reason else b"")
        headers = self._request.responseHeaders
        fields: dict[bytes, list[bytes]] = {}
        for line in lines:
            name, mark, value = line.partition(b":")
            if mark:
                fields.setdefault(name, []).append(value.strip())
        for name in [name for name, _ in headers.getAllRawHeaders()]:
            if name.lower() not in _KEPT:
                headers.removeHeader(name)
        for name, values in fields.items():
            headers.setRawHeaders(name, values)

    def _client_gone(self, _reason: Failure) -> None:
        self._lost = True
        done, self._done = self._done, True
        producer, self._producer = self._producer, None
        gone, self._gone = self._gone, None
        if producer is not None:
            producer.stopProducing()
        if gone is not None and not done:
            gone()


@implementer(IPushProducer)
class _StopsOnce:
    """A producer that hears once that its client has gone: twisted.web tells it, or we."""

    def __init__(self, producer: IPushProducer) -> None:
        self._producer: IPushProducer | None = producer

    def pauseProducing(self) -> None:
        if self._producer is not None:
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        if self._producer is not None:
            self._producer.resumeProducing()

    def stopProducing(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
