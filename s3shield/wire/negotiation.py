"""Which protocol a client speaks, on Twisted's TLS: known when the handshake is over.

On uvloop it is known when the connection is made (`UvTransport`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from twisted.internet.interfaces import IAddress, IHandshakeListener, IProtocolFactory
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from s3shield.wire.channel_factory import ChannelFactory

__all__ = ["Negotiating"]


class Negotiating(ServerFactory):
    """Makes what waits for a handshake, before a channel of `channels`, a ChannelFactory."""

    noisy = False

    def __init__(self, channels: IProtocolFactory) -> None:
        self._channels = cast("ChannelFactory", channels)

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """See `IProtocolFactory`."""
        return _Waiting(self._channels)


@implementer(IHandshakeListener)
class _Waiting(Protocol):
    """Stands on a TLS connection until its handshake is over, then gives its place up."""

    transport: Any  # Twisted's TLSMemoryBIOProtocol

    def __init__(self, channels: ChannelFactory) -> None:
        self._channels = channels

    def connectionMade(self) -> None:
        """See `IProtocol`."""
        channels = self._channels
        channels.channel_made(self)
        channels.deadlines.watch(self, channels.monotonic() + channels.client_header_timeout)

    def handshakeCompleted(self) -> None:
        """See `IHandshakeListener`."""
        transport = self.transport
        agreed = transport.negotiatedProtocol
        channel: Any = self._channels.channel_for(agreed.decode("ascii") if agreed else None)
        transport.wrappedProtocol = channel
        channel.makeConnection(transport)
        self._leave()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """See `IProtocol`."""
        self._leave()

    def drain(self) -> None:
        """See the factory: the channel that comes hears of it."""

    def cut(self) -> None:
        """Drop the connection now."""
        self.transport.abortConnection()

    def look(self, now: float) -> float | None:
        """Drop a client that is too slow with its handshake; see `Timed`."""
        self.cut()
        return None

    def _leave(self) -> None:
        self._channels.deadlines.forget(self)
        self._channels.channel_lost(self)
