"""The HTTP/2 server: one protocol per client connection, for the same site as HTTP/1.1's.

Theory of operation. `http2_receiving` makes requests of what comes, `http2_stream` is where
their responses go, `http2_sending` makes frames of those; here are the transport, the
deadlines and the draining. A transport that holds too much stops all sources and the reading,
too, so that a client which reads nothing costs its buffers and no more. Twisted's own
`H2Connection` is not used: a stream whose window is shut makes it spin. RFC 9113.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from h2.errors import ErrorCodes
from twisted.internet.interfaces import IPushProducer, ISSLTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from s3shield.wire.deadlines import Progress
from s3shield.wire.http2_receiving import Receiving
from s3shield.wire.http2_stream import Stream
from s3shield.wire.request_head import HeadReader, Refused
from s3shield.wire.transport import UvTransport, unsent_bytes

if TYPE_CHECKING:
    from s3shield.wire.channel_factory import ChannelFactory

__all__ = ["Http2Channel"]

CONNECTION_WINDOW: Final = 1024 * 1024
"""Bytes on their way on all streams of a connection together."""

_ALL: Final = 2**31 - 1
_SOON: Final = 1.0
_ACK_TIMEOUT: Final = 2.0


@implementer(IPushProducer)
class Http2Channel(Receiving):
    """One client connection."""

    def __init__(self, factory: ChannelFactory) -> None:
        super().__init__(factory)
        self._drain_since: float | None = None
        self._due = False  # to say GOAWAY when the client sends something, or soon
        self._flow = Progress()

    # Twisted's side.

    def connectionMade(self) -> None:
        """See `IProtocol`."""
        factory, transport = self.factory, self.transport
        secure = (
            transport.secure
            if isinstance(transport, UvTransport)
            else ISSLTransport.providedBy(transport)
        )
        self._reader = HeadReader(factory.peer_of(transport), b"https" if secure else b"http")
        self._since = self._made = self.now()
        transport.registerProducer(self, True)
        factory.channel_made(self)
        # A handshake may end when we stop serving already. Its first requests are on their way,
        # and many clients do not try again what a GOAWAY forbade them to send: not at once.
        patience = _ACK_TIMEOUT if factory.draining else factory.client_header_timeout
        factory.deadlines.watch(self, self._made + patience)
        self._state.initiate_connection()
        self._state.increment_flow_control_window(CONNECTION_WINDOW - 0xFFFF)
        self._put()

    def dataReceived(self, data: bytes) -> None:
        """See `IProtocol`."""
        if self._due:
            self.drain()
        super().dataReceived(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """See `IProtocol`."""
        self._ended = True
        self._reader.close()
        factory = self.factory
        factory.deadlines.forget(self)
        factory.channel_lost(self)
        self._leave_streams()

    def pauseProducing(self) -> None:
        """The transport holds more than the client has taken."""
        self.congested = True
        if not self._ended:
            self.transport.pauseProducing()
        for stream in list(self._streams.values()):
            stream.pause()
        self._look_soon()

    def resumeProducing(self) -> None:
        """The client has caught up."""
        self.congested = False
        if self._ended:
            return
        self.transport.resumeProducing()
        for stream in list(self._streams.values()):
            if stream.empty:
                stream.resume()
        self.flush()

    def stopProducing(self) -> None:
        """The transport is gone; `connectionLost` follows and says so to all."""

    # The factory's side.

    def drain(self) -> None:
        """Say that nothing new will be served, and close when the streams are done.

        First with a GOAWAY that excludes nothing: requests that are on their way are served,
        until an answer to our PING shows that the client has read it (RFC 9113 section 6.8).
        """
        if self._ended or self._drain_since is not None:
            return
        now = self.now()
        if not self._due and (self._streams or now - self._since < _SOON):
            # Together with the end of a response it would meet what the client asks for then,
            # and has not sent: some give that up. In front of responses it does not.
            self._due = True
            self.factory.deadlines.watch(self, now + _SOON)
            return
        self._drain_since = now
        # With one write: after a GOAWAY clients that are made with h2 bear no PING.
        self._state.ping(b"draining")
        self._say_goodbye(_ALL)
        self._looking = True
        self.factory.deadlines.watch(self, now + _ACK_TIMEOUT)

    def cut(self, *, reset: bool = False) -> None:
        """Drop the connection now, with whatever is unsent."""
        self._ended = True
        self.transport.unregisterProducer()
        self.transport.abortConnection()

    def look(self, now: float) -> float | None:
        """Act on deadlines that have passed; see `Timed`."""
        self._looking = False
        factory = self.factory
        unsent = unsent_bytes(self.transport)
        soon = now + min(factory.send_timeout, factory.client_header_timeout) / 6
        if unsent:
            if self._flow.idle(self._sent - unsent, now) >= factory.send_timeout:
                self.cut()
                return None
            self._looking = True
            return soon
        self._flow.rest()
        if self._ended:
            if now >= self._until:
                self.cut()
                return None
            return self._until
        for stream in list(self._streams.values()):
            self._look_at(stream, now)
        if factory.draining and self._drain_since is None:
            if now - self._made < _ACK_TIMEOUT and not self._due:
                return self._made + _ACK_TIMEOUT
            self._due = True
            self.drain()
        if self._drain_since is not None and self._last is None:
            if now - self._drain_since < _ACK_TIMEOUT:
                return self._drain_since + _ACK_TIMEOUT
            self._no_more()
        if self._block and now - self._block_since >= factory.client_header_timeout:
            self._fail(ErrorCodes.PROTOCOL_ERROR, "the fields took too long")
        if self._ended:
            return self._until
        if self._streams:
            self._looking = True
            return soon
        if self._block:
            return self._block_since + factory.client_header_timeout
        new = self._since == self._made
        timeout = factory.client_header_timeout if new else factory.keepalive_timeout
        until = self._since + timeout
        if now >= until:
            self._close()
            return self._until
        return until

    def _look_at(self, stream: Stream, now: float) -> None:
        factory, body = self.factory, stream.body
        if body is not None and not body.late:
            body.since = now  # it is not the client who is slow
        elif body is not None and now - body.since >= factory.client_header_timeout:
            self._refuse_body(stream, body, Refused(408, "the body took too long"))
        if not stream.waits:
            stream.flow.rest()
        elif stream.flow.idle(stream.sent, now) >= factory.send_timeout:
            self.cut_stream(stream, ErrorCodes.CANCEL)
            stream.client_gone()

    def _no_more(self) -> None:
        """Serve no stream that comes from now on."""
        self._last = self._state.highest_inbound_stream_id
        self._say_goodbye(self._last)
        self._leaving = True
        if not self._streams and not self._busy:
            self._close()

    def ping_answered(self) -> None:
        """The client has read our first GOAWAY, and nothing is on its way that has not come."""
        if self._drain_since is not None and self._last is None:
            self._no_more()
