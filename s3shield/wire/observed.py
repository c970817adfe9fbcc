"""What was sent to a client, noted for an access log that wants to know.

A `Site` before another one: only where a format names `$bytes_sent` or `$sent_http_NAME`.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IPushProducer

from s3shield.policy import Request, RequestNotes
from s3shield.wire.downstream import Downstream, Octets, Site

__all__ = ["Observing"]

_CRLF = b"\r\n"


class Observing:
    """Gives each request notes, and has what it is answered noted there."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.body_plan: Any = getattr(site, "body_plan", None)

    def __call__(self, request: Request, downstream: Downstream) -> None:
        """Answer `request`, or see to it that it will be answered."""
        request.notes = notes = RequestNotes()
        self._site(request, _Observed(downstream, notes))


class _Observed:
    """A `Downstream` that counts what goes by. Over HTTP/2 it counts as HTTP/1.1 would send it."""

    __slots__ = ("_chunked", "_inner", "_notes", "_state")

    def __init__(self, inner: Downstream, notes: RequestNotes) -> None:
        self._inner = inner
        self._notes = notes
        self._state = self._chunked = False

    def reply(self, head: bytes, body: Octets) -> None:
        """See `Downstream.reply`."""
        if not self._state:
            self._state = True
            notes = self._notes
            notes.head = head
            notes.sent += len(head) + len(getattr(self._inner, "tail", _CRLF)) + len(body)
        self._inner.reply(head, body)

    def inform(self, head: bytes) -> None:
        """See `Downstream.inform`."""
        self._notes.sent += len(head) + len(_CRLF)
        self._inner.inform(head)

    def start(self, head: bytes, length: int | None, producer: IPushProducer) -> None:
        """See `Downstream.start`."""
        notes, inner = self._notes, self._inner
        self._state = True
        notes.head = head
        inner.start(head, length, producer)
        self._chunked = length is None and getattr(inner, "chunked", False)
        notes.sent += len(head) + len(getattr(inner, "tail", _CRLF))
        if self._chunked:
            notes.sent += len(b"Transfer-Encoding: chunked\r\n")

    def write(self, data: bytes | memoryview) -> None:
        """See `Downstream.write`."""
        size = len(data)
        self._notes.sent += size
        if self._chunked and size:
            self._notes.sent += len(b"%x" % size) + 2 * len(_CRLF)
        self._inner.write(data)

    def finish(self) -> None:
        """See `Downstream.finish`."""
        if self._chunked:
            self._notes.sent += len(b"0\r\n\r\n")
        self._inner.finish()

    def abort(self) -> None:
        """See `Downstream.abort`."""
        self._inner.abort()

    def on_gone(self, gone: Any) -> None:
        """See `Downstream.on_gone`."""
        self._inner.on_gone(gone)
