"""One HTTP/1.1 connection to the origin: a request out, a response in, and again.

RFC 9112, client side. llhttp parses; what it does not know (that HEAD has no body, that
trailers are nobody's business, that responses may be interim, where a body without a
length ends) is here. The same class runs over uvloop's transports and over Twisted's.
"""

from __future__ import annotations

import contextlib
from typing import Final, cast

from httptools import HttpParserCallbackError, HttpParserError, HttpResponseParser
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener, ISystemHandle, ITCPTransport
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from s3shield.policy import FailureKind, OriginFailure, ResponseHead

from .origin_call import DRAIN_LIMIT, ConnectionOwner, OriginCall
from .origin_dial import join_host_port
from .origin_framing import HEAD_LIMIT, RefusedError, persists, read_framing

__all__ = ["OriginConnection"]

CLOSE_GRACE: Final = 5.0
"""Seconds that a peer may take to agree to an orderly close."""

_log = Logger()


def _text(reason: object) -> str:
    """Return an error as one short line."""
    return str(reason).strip().splitlines()[0][:200] if str(reason).strip() else "no reason given"


@implementer(IHandshakeListener)
class OriginConnection(TwistedProtocol):
    """A connection of one pool.

    owner: the pool. intended: the call it was opened for. secure: bool, whether to wait
    for a TLS handshake. born: float, monotonic second it became usable. expires: float,
    monotonic second after which it must not be used again (kept by the owner); once
    `closing`, the second at which patience ends. refusal: str, why the peer's
    certificate was refused, or empty. announced: float or None, the seconds that the
    last response's `Keep-Alive: timeout=` promised.
    """

    def __init__(self, owner: ConnectionOwner, intended: OriginCall, *, secure: bool) -> None:
        self._owner = owner
        self.intended = intended
        self._secure = secure
        self._seconds = owner.seconds
        self.born = 0.0
        self.expires = 0.0
        self.address = ""
        self.refusal = ""
        self.ready = False
        self.closing = False
        self.gone = False
        self.served = 0
        self.announced: float | None = None
        self.heard = 0.0
        self._call: OriginCall | None = None
        self._parser = HttpResponseParser(self)
        self._fields: list[tuple[bytes, bytes]] = []
        self._reason = b""
        self._fed = 0
        self._received = 0
        self._length: int | None = None
        self._begun = False
        self._in_body = False
        self._interim = False
        self._keep = False
        self._complete = False
        self._until_close = False

    # -- for the pool

    @property
    def busy(self) -> bool:
        """Whether a response is awaited or being read."""
        return self._call is not None

    def send(self, call: OriginCall, now: float) -> None:
        """Write `call`'s request at monotonic second `now`."""
        self._call = call
        self.heard = now
        self._fed = 0
        self._begun = self._in_body = self._complete = False
        call.connection = self
        call.address = self.address
        if self.served:
            call.reused = True
        self.served += 1
        cast("ITCPTransport", self.transport).write(call.head)
        if call.paused:
            self.pause()
        if call.upload is not None:
            call.upload.begin(self)

    def pause(self) -> None:
        """Stop reading."""
        if not self.closing:
            self.transport.pauseProducing()  # type: ignore[union-attr]  # every stream has it

    def resume(self) -> None:
        """Read on; the read timeout starts anew."""
        self.heard = self._seconds()
        if not self.closing:
            self.transport.resumeProducing()  # type: ignore[union-attr]  # every stream has it

    def close(self) -> None:
        """Close an idle connection in good order."""
        if not self.closing:
            self.closing = True
            self.expires = self._seconds() + CLOSE_GRACE
            self._owner.spent(self)
            cast("ITCPTransport", self.transport).loseConnection()

    def abort(self) -> None:
        """Close at once, whatever is going on; the call hears nothing of it from here."""
        self._call = None
        if not self.closing:
            self.closing = True
            self._owner.spent(self)
        if self.transport is not None and not self.gone:
            cast("ITCPTransport", self.transport).abortConnection()

    def give_up(self, failure: OriginFailure) -> None:
        """Close and end the call with `failure`."""
        call = self._call
        self.abort()
        if call is not None:
            call.fail(failure)

    def forget(self, call: OriginCall) -> None:
        """Go on without the asker: read the little that is missing, or close."""
        if call is not self._call or self._complete:
            return
        if (
            self._in_body
            and self._keep
            and self._length is not None
            and self._length - self._received <= DRAIN_LIMIT
        ):
            call.resume()
        else:
            self.abort()

    def silent_too_long(self, now: float, read_timeout: float) -> bool:
        """Whether the origin owes us a byte for longer than `read_timeout` seconds."""
        call = self._call
        if call is None or call.paused or (call.upload is not None and call.upload.awaits_client):
            return False
        return now - self.heard >= read_timeout

    def tls_handle(self) -> object:
        """Return the OpenSSL connection under a secure connection."""
        return cast("ISystemHandle", self.transport).getHandle()

    @property
    def before_head(self) -> bool:
        """Whether the call that is running has had no head yet."""
        return not self._in_body

    # -- from the transport

    def connectionMade(self) -> None:
        """Note the address; without TLS the connection is usable now."""
        peer = cast("ITCPTransport", self.transport).getPeer()
        self.address = join_host_port(getattr(peer, "host", ""), getattr(peer, "port", 0))
        self._owner.connected(self)
        with contextlib.suppress(AttributeError):  # uvloop's connections are so from the start
            cast("ITCPTransport", self.transport).setTcpNoDelay(True)
        if self.closing:
            cast("ITCPTransport", self.transport).abortConnection()
        elif not self._secure:
            self._usable()

    def handshakeCompleted(self) -> None:
        """Be usable: the peer has shown the right certificate."""
        self._usable()

    def _usable(self) -> None:
        if not self.closing:
            self.ready = True
            self.born = self._seconds()
            self._owner.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Parse, hand on, and be free again when the response is whole."""
        call = self._call
        if call is None:
            # Nobody asked, so nothing that comes now can be the answer to the next request.
            if not self.closing:
                self.close()
            return
        self.heard = now = self._seconds()
        if not self._begun:
            self._begun = True
            call.first_byte_time = now - call.started
        # Outside a body's data this only grows: heads, chunk extensions, trailers.
        self._fed += len(data)
        error: HttpParserError | None = None
        try:
            self._parser.feed_data(data)
        except HttpParserError as caught:  # HttpParserUpgrade is one of them
            error = caught
        if self._call is not call:
            return  # cancelled, and closed with it
        if self._complete:
            self._finish(call, data, error, now)
        elif error is not None:
            self._not_believed(error)
        elif self._fed > HEAD_LIMIT:
            self.give_up(
                OriginFailure(
                    FailureKind.INVALID,
                    f"more than {HEAD_LIMIT // 1024} KiB of header or trailer",
                    before_head=not self._in_body,
                )
            )

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End what was going on: well only where the end is the framing."""
        self.gone = True
        call = self._call
        self._call = None
        clean = isinstance(reason.value, ConnectionDone)
        again = (
            call is not None
            and call.reused
            and call.idempotent
            and not (self._begun or call.retried or call.done)
        )
        if again and call is not None:
            # First of all, so that nobody in the queue takes the place that is free now.
            self._owner.retry(call)
        if not self.closing:
            self.closing = True
            self._owner.spent(self)
        self._owner.lost(self, reason)
        if call is None or again:
            return
        if self._in_body and self._until_close and clean:
            self._end(call)
        else:
            call.fail(self._cut(clean))

    # -- from the parser

    def on_message_begin(self) -> None:
        """Notice bytes after the end of the response: they belong to nobody's request."""
        if self._complete:
            self._keep = False

    def on_status(self, reason: bytes) -> None:
        """Collect the reason phrase, which may come in pieces."""
        self._reason = self._reason + reason if self._reason else reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a field; a trailer ends up here as well and is dropped later."""
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Understand the framing and hand on the head."""
        call = self._call
        if call is None or self._complete:
            return
        parser = self._parser
        status = parser.get_status_code()
        fields = tuple(self._fields)
        self._fields = []
        reason, self._reason = self._reason, b""
        if self._fed > HEAD_LIMIT and (
            sum(len(name) + len(value) + 4 for name, value in fields) > HEAD_LIMIT
        ):
            raise RefusedError(f"more than {HEAD_LIMIT // 1024} KiB of header")
        if not 200 <= status <= 599:
            if not 102 <= status <= 199 and status != 100:
                raise RefusedError(f"status {status}")
            self._interim = True
            call.hear(ResponseHead(status, reason, fields))
            return
        length, chunked, self.announced = read_framing(fields)
        keep = parser.should_keep_alive()
        if not keep and not parser.get_http_version().startswith("1."):
            raise RefusedError(f"HTTP version {parser.get_http_version()}")
        self._in_body = True
        self._received = 0
        self._until_close = False
        if call.without_body:
            self._complete = True
            # llhttp takes a head without framing for a body until close, so it says no.
            keep = keep or (
                length is None and not chunked and persists(parser.get_http_version(), fields)
            )
            length = 0
        elif status in {204, 304}:
            length = 0
        elif length is None and not chunked:
            self._until_close = True
        self._keep = call.sent() and keep
        self._length = length
        call.header_time = self.heard - call.started
        call.receiver.origin_head(ResponseHead(status, reason, fields), length)

    def on_body(self, data: bytes) -> None:
        """Hand on a piece of the body."""
        call = self._call
        if call is None or self._complete:
            self._keep = False
            return
        self._fed = 0
        self._received += len(data)
        call.receiver.origin_data(data)

    def on_message_complete(self) -> None:
        """Note the end; it is told once the parser is out of the way."""
        if self._interim:
            self._interim = False
        else:
            self._complete = True

    # -- within

    def _finish(
        self, call: OriginCall, data: bytes, error: HttpParserError | None, now: float
    ) -> None:
        """Be free, then tell the receiver, who may ask again at once."""
        if isinstance(error, HttpParserCallbackError) and not call.done:
            # The receiver's own fault, while it took a head that is all there is.
            self._not_believed(error)
            return
        keep = self._keep and error is None
        if call.without_body:
            # What follows the head on the wire must be nothing, and the parser has to
            # forget the body it expects.
            keep = keep and data.endswith(b"\n") and data.find(b"\r\n\r\n") in {-1, len(data) - 4}
            self._parser = HttpResponseParser(self)
        self._call = None
        if self._fields:
            self._fields = []
        if call.paused:
            self.resume()
        if self.served == 1:
            self._owner.answered(self)
        if not keep:
            self.close()
        elif not self.closing:
            self._owner.freed(self, now)
        self._end(call)

    def _cut(self, clean: bool) -> OriginFailure:
        """Return the failure of a call whose connection ended too early."""
        how = "closed the connection" if clean else "broke the connection"
        where = "before answering"
        if self._in_body:
            where = f"after {self._received} bytes"
            if self._length is not None:
                where += f" of {self._length}"
        elif self._begun:
            where = "in the middle of its header"
        detail = f"{self.address} {how} {where}"
        return OriginFailure(FailureKind.CUT, detail, before_head=not self._in_body)

    def _end(self, call: OriginCall) -> None:
        if call.done:
            return
        call.done = True
        call.connection = None
        try:
            call.part().origin_end()
        except Exception:
            _log.failure("A receiver of an origin response failed at its end")

    def _not_believed(self, error: Exception) -> None:
        """Close on an answer that is no HTTP, or on a receiver's exception."""
        cause = error.__context__ if isinstance(error, HttpParserCallbackError) else None
        if cause is None or isinstance(cause, RefusedError):
            failure = OriginFailure(
                FailureKind.INVALID,
                f"{self.address} sent an invalid response: {_text(cause or error)}",
                before_head=not self._in_body,
            )
        else:
            why = Failure(cause)  # type: ignore[no-untyped-call]  # Twisted's
            _log.failure("A receiver of an origin response failed", why)
            failure = OriginFailure(
                FailureKind.CUT, "the receiver failed", before_head=not self._in_body
            )
        self.give_up(failure)
