"""The HTTP/1.1 server: one protocol per client connection.

A request that arrives whole, which is nearly every one, is read, answered by the
site and written in one run of `dataReceived`. Everything unusual (pieces of heads,
pipelining, bodies, answers that come later, slow clients) goes through `_more` and
`_advance`. RFC 9112; the limits and timeouts are nginx's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer, ISSLTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from s3shield.policy import Request
from s3shield.wire.answer import plain_answer
from s3shield.wire.backlog import Backlog
from s3shield.wire.deadlines import Progress
from s3shield.wire.leaving import Leaving
from s3shield.wire.request_head import CLOSE, LINE_LIMIT, HeadReader, Refused
from s3shield.wire.response import DONE, Response
from s3shield.wire.transport import UvTransport, reset_on_close, unsent_bytes

if TYPE_CHECKING:
    from s3shield.wire.channel_factory import ChannelFactory

__all__ = ["ServerChannel"]

_END: Final = b"\r\n\r\n"
_CRLF: Final = b"\r\n"

PENDING_LIMIT: Final = 16 * 1024
"""Bytes of further requests read while a response is under way."""
LINGER: Final = 5.0
"""Seconds for a client to read its answer while what it still sends is dropped."""


@implementer(IPushProducer, IHalfCloseableProtocol)
class ServerChannel(Leaving):
    """One client connection.

    Towards its transport it is a producer for the connection's whole life, so that a
    slow reader stops the next request as well as the source of the current response.
    """

    factory: ChannelFactory
    transport: Any  # uvloop's by way of `UvTransport`, or any of Twisted's
    write: Callable[[bytes], None]
    _reader: HeadReader

    def __init__(self, factory: ChannelFactory) -> None:
        self.factory = factory
        self.lost = False
        # What ends the next response's head.
        self.tail = _CRLF
        self._site = factory.site
        self._monotonic = factory.monotonic
        # False only between requests, when one that comes whole may be served at once.
        self._busy = False
        self._response: Response | None = None
        self._backlog = Backlog()
        self._old = False  # the current request is HTTP/1.0
        self._last = False  # close when the current response has ended
        self._linger = False  # and the client may still be sending
        self._ended = False  # nothing will be read or answered any more
        self._eof = False
        self._congested = False
        self._reading = True
        self._sent = 0  # bytes of bodies, for telling progress
        self._flow = Progress()
        self._head_since = 0.0
        self._until = 0.0

    # Twisted's side.

    def connectionMade(self) -> None:
        """See `IProtocol`."""
        factory = self.factory
        transport = self.transport
        secure = (
            transport.secure
            if isinstance(transport, UvTransport)
            else ISSLTransport.providedBy(transport)
        )
        self._secure = secure
        self.write = transport.write
        self.plain_bytes = not isinstance(transport, UvTransport)
        self._reader = HeadReader(factory.peer_of(transport), b"https" if secure else b"http")
        self._read = self._reader.read
        if not secure and not isinstance(transport, UvTransport):
            set_no_delay = getattr(transport, "setTcpNoDelay", None)
            if set_no_delay is not None:
                set_no_delay(True)
        transport.registerProducer(self, True)
        self._since = self._made = self._monotonic()
        factory.channel_made(self)
        factory.deadlines.watch(self, self._since + factory.client_header_timeout)
        if factory.draining:
            self.drain()

    def dataReceived(self, data: bytes) -> None:
        """See `IProtocol`."""
        if self._busy or data.find(_END) != (size := len(data)) - 4 or size > LINE_LIMIT:
            self._more(data)
            return
        self._since = now = self._monotonic()
        try:
            request = self._read(data, now)
        except Refused as refused:
            if data.startswith(_CRLF):
                self._reader.renew()
                self._more(data)  # an empty line in front
            else:
                self._refuse(refused, data)
            return
        if self._reader.special is not None:
            self._dispatch_special(request)
            self._advance()
            return
        self.factory.requests += 1
        response = Response(self)
        try:
            self._site(request, response)
        except Exception:
            response.site_failed()
        if response.state != DONE:
            self._wait_for(response)
        elif self._busy:
            self._response = None
            self._advance()

    def readConnectionLost(self) -> None:
        """The client has sent its last byte, but may be reading yet."""
        self._eof = True
        if self._ended:
            self.transport.loseConnection()
        elif self._response is None and not self._congested:
            self._close()

    def writeConnectionLost(self) -> None:
        """Our own half-close, when lingering, has been done."""

    def connectionLost(self, reason: Failure | None = None) -> None:
        """See `IProtocol`."""
        self.lost = True
        self._ended = self._busy = True
        self._backlog.clear()
        self._reader.close()
        factory = self.factory
        factory.deadlines.forget(self)
        factory.channel_lost(self)
        response, self._response = self._response, None
        if response is not None:
            response.client_gone()

    def pauseProducing(self) -> None:
        """The transport holds more than the client has taken."""
        self._congested = self._busy = True
        if self._response is not None:
            self._response.pause()
        else:
            self._look_soon()

    def resumeProducing(self) -> None:
        """The client has caught up."""
        self._congested = False
        if self._response is not None:
            self._response.resume()
        elif not self._ended:
            self._advance()

    def stopProducing(self) -> None:
        """The transport is gone; `connectionLost` follows and says so to all."""

    # The response's side.

    def send(self, data: bytes | memoryview) -> None:
        """Write a piece of a response that does not end with this call."""
        self._sent += len(data)
        if self.plain_bytes and not isinstance(data, bytes):
            data = bytes(data)
        self.write(data)  # type: ignore[arg-type]  # uvloop takes any buffer

    def response_started(self, response: Response, head: bytes, length: int | None) -> bool:
        """Send the head of a response whose body follows; return whether it is chunked."""
        self._response = response
        self._busy = True
        chunked = False
        if length is None:
            if self._old:
                self._last = True
                self.tail = CLOSE
            else:
                chunked = True
                head += b"Transfer-Encoding: chunked\r\n"
        self.send(head + self.tail)
        if self._congested:
            response.pause()
        return chunked

    def response_ended(self) -> None:
        """Go on: the response that the site had left open has ended."""
        self._response = None
        self._since = self._monotonic()
        self._advance()

    def cut(self, *, reset: bool = False) -> None:
        """Drop the connection now, with whatever is unsent.

        reset: with a TCP reset even if the client has nothing unread.
        """
        self._ended = self._busy = True
        if reset:
            reset_on_close(self.transport)
        self.transport.unregisterProducer()
        self.transport.abortConnection()

    # The factory's side.

    def look(self, now: float) -> float | None:
        """Act on deadlines that have passed; see `Timed`."""
        factory = self.factory
        unsent = unsent_bytes(self.transport)
        if unsent:
            # Bytes leave the buffer, or a further request was answered into it.
            if self._flow.idle((self._sent - unsent, self._since), now) >= factory.send_timeout:
                self.cut()
                return None
            return now + factory.send_timeout / 6
        self._flow.rest()
        if self._ended:
            if now >= self._until:
                self.cut()
                return None
            return self._until
        if self._response is not None:
            return now + factory.send_timeout / 6
        backlog = self._backlog
        if backlog.partial or backlog.body:
            until = self._head_since + factory.client_header_timeout
            if now < until:
                return until
            if backlog.partial:
                self._refuse(Refused(408, "the head took too long"), bytes(backlog))
            else:
                self._close()
            return self._until
        timeout = factory.keepalive_timeout
        if self._since == self._made:
            timeout = factory.client_header_timeout
        until = self._since + timeout
        if now >= until:
            self._close()
            return self._until
        return until

    # Requests that are not served in one run.

    def _more(self, data: bytes) -> None:
        if self._ended:
            return
        self._backlog.add(data)
        if self._response is None and not self._congested:
            self._advance()
        elif self._reading and len(self._backlog) > PENDING_LIMIT:
            self._reading = False
            self.transport.pauseProducing()

    def _advance(self) -> None:
        """Serve what is pending until a response is waited for or bytes are."""
        while self._response is None and not self._ended and not self._congested:
            if self._last:
                self._close()
                return
            backlog = self._backlog
            backlog.drop_body()
            begun = backlog.partial
            try:
                head = backlog.next_head(self._reader)
            except Refused as refused:
                self._refuse(refused, backlog.refused)
                return
            if head is None:
                if backlog.partial and not begun:
                    self._head_since = now = self._monotonic()
                    self.factory.deadlines.watch(self, now + self.factory.client_header_timeout)
                self._await_bytes()
                return
            self._serve(head)

    def _await_bytes(self) -> None:
        """Nothing to do until more bytes come."""
        if self._eof:
            self._close()
            return
        self._old = False
        self.tail = _CRLF
        self._busy = self.factory.draining or bool(self._backlog or self._backlog.body)
        self._resume_reading()

    def _resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self.transport.resumeProducing()

    def _serve(self, head: bytes) -> None:
        self._since = now = self._monotonic()
        try:
            request = self._read(head, now)
        except Refused as refused:
            self._refuse(refused, head)
            return
        self._dispatch_special(request)

    def _dispatch_special(self, request: Request) -> None:
        framing = self._reader.special
        self._last = self.factory.draining
        if framing is None:
            self._old = False
            self.tail = CLOSE if self._last else _CRLF
        else:
            self._old = framing.old
            self._last = self._last or framing.close
            self.tail = CLOSE if self._last else framing.tail
            if framing.body:
                if framing.close:
                    self._linger = True
                else:
                    self._head_since = self._since
                    self._backlog.body = framing.body
                    self._backlog.drop_body()
        self.factory.requests += 1
        response = Response(self)
        try:
            self._site(request, response)
        except Exception:
            response.site_failed()
        if response.state != DONE:
            self._wait_for(response)
        else:
            self._response = None

    def _wait_for(self, response: Response) -> None:
        """The site has returned; the response, or its end, will come later."""
        self._busy = True
        self._response = response
        response.wait()
        self._look_soon()

    def _look_soon(self) -> None:
        """Have the client's progress looked at from now on."""
        factory = self.factory
        factory.deadlines.watch(self, self._since + factory.send_timeout / 6)

    # Ends.

    def _refuse(self, refused: Refused, head: bytes) -> None:
        """Answer what cannot be served, and close."""
        status = refused.status
        rejected = self.factory.rejected
        if rejected is not None:
            line = head.split(b"\n", 1)[0].rstrip(b"\r")
            rejected(self._reader.peer, status, line[:LINE_LIMIT])
        answer, body = plain_answer(status)
        self.write(b"".join((answer, CLOSE, body)))
        self._linger = True
        self._close()

    def _close(self) -> None:
        """Close when what was written has been sent."""
        self._ended = self._busy = True
        self._backlog.clear()
        transport = self.transport
        transport.unregisterProducer()
        now = self._monotonic()
        if (self._linger or self._backlog.body) and not self._eof:
            # Closing with bytes unread would reset the connection, and the reset may
            # overtake the answer (RFC 9112 section 9.6).
            self._until = now + LINGER
            if not self._secure:
                transport.loseWriteConnection()
            self._resume_reading()
        else:
            self._until = now + self.factory.send_timeout
            transport.loseConnection()
        if not self.lost:
            self.factory.deadlines.watch(self, self._until)
