"""Where a response goes: the one interface between the exchange and whoever asked.

Implemented by the HTTP/1.1 channel's `Response` and by `RequestDownstream`, which
wraps any twisted.web request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IPushProducer

from s3shield.policy import Request

__all__ = ["Downstream", "Octets", "Site"]

Octets = bytes | bytearray | memoryview


class Downstream(Protocol):
    """Where exactly one response goes.

    Either `reply`, or `start`, any number of `write`s and `finish`, and any number of
    `inform`s before. Once the response
    has ended, or its client has gone, every call is ignored: a source need not know.
    """

    def reply(self, head: bytes, body: Octets) -> None:
        """Send a whole response with one write.

        head: the status line and the fields, each with its CRLF, without the blank
        line; it says Content-Length where the status has one. body: empty for HEAD; the
        buffer must not change afterwards; what is not `bytes` is sent without a copy.
        Connection is this side's to add, Date and everything else the caller's.
        """

    def inform(self, head: bytes) -> None:
        """Send an interim response (1xx), before `reply` or `start`; where it cannot, not.

        head: as `reply`'s. The client is one that speaks HTTP/1.1 (RFC 9110 section 15.2).
        """

    def start(self, head: bytes, length: int | None, producer: IPushProducer) -> None:
        """Send the head now; the body follows by `write`.

        length: bytes to come, and the head says so in Content-Length. None: not
        known; this side adds chunked framing, or ends an HTTP/1.0 body by closing.
        producer: paused while the client is slower than its source, told
        `stopProducing` when the client has gone.
        """

    def write(self, data: bytes | memoryview) -> None:
        """Send a piece of the body. The buffer must not change afterwards."""

    def finish(self) -> None:
        """End the body. Fewer bytes than `start` promised is an `abort`."""

    def abort(self) -> None:
        """Cut the connection: a short body never ends as if it were whole."""

    def on_gone(self, gone: Callable[[], None]) -> None:
        """Call `gone` once if the client leaves before the response has ended.

        For whoever has no producer here yet, such as a request that waits for its
        origin. Called at once if the client has gone already.
        """


Site = Callable[[Request, Downstream], None]
"""What answers requests: called synchronously with each request's head."""
