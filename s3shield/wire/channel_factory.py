"""What all client connections have in common: site, timeouts, counters, draining."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import ServerFactory

from s3shield.policy import Request
from s3shield.wire.body_channel import BodyChannel
from s3shield.wire.client_certificate import peer_of
from s3shield.wire.deadlines import Deadlines
from s3shield.wire.downstream import Site
from s3shield.wire.http2 import Http2Channel
from s3shield.wire.server import ServerChannel
from s3shield.wire.upload import BodyPlan

__all__ = ["ChannelFactory"]

_A_TURN: Final = 0.02
"""Seconds in which the event loop looks at every socket once at least."""


class _Open(Protocol):
    """A client connection, as the factory knows it."""

    def drain(self) -> None:
        """Close as soon as nothing is under way."""

    def cut(self) -> None:
        """Drop the connection now, with whatever is unsent."""


class ChannelFactory(ServerFactory):
    """Makes the channels of any number of listening sockets.

    site: answers every request. clock: arms timeouts; monotonic: seconds that never go
    back. keepalive_timeout, client_header_timeout, send_timeout: seconds, nginx's
    directives of these names. rejected(peer, status, line): told about each request
    that was refused before it had become one, for the access log; line is what
    there was of the request line. client_ca, told: see `peer_of`.
    """

    noisy = False

    def __init__(
        self,
        site: Site,
        clock: IReactorTime,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        keepalive_timeout: float = 75.0,
        client_header_timeout: float = 60.0,
        send_timeout: float = 60.0,
        rejected: Callable[[bytes, int, bytes], None] | None = None,
        client_ca: str | None = None,
        told: bool = False,
    ) -> None:
        self.site = site
        # What the site wants of a request's body, if anything: of sites that want any.
        self.body_plan: Callable[[Request], BodyPlan | None] | None = getattr(
            site, "body_plan", None
        )
        self.monotonic = monotonic
        self.keepalive_timeout = keepalive_timeout
        self.client_header_timeout = client_header_timeout
        self.send_timeout = send_timeout
        self.rejected = rejected
        self.client_ca = client_ca
        self.told = told
        self.deadlines = Deadlines(clock, monotonic)
        self.draining = False
        self.grace = 0.0
        self._clock = clock
        self._sweep: IDelayedCall | None = None
        self.requests = 0
        self._channels: set[_Open] = set()
        self._drained: list[Deferred[None]] = []

    @property
    def connections(self) -> int:
        """How many client connections are open."""
        return len(self._channels)

    def buildProtocol(  # type: ignore[override]  # ours have no use for Twisted's `factory`
        self,
        addr: IAddress | None,
    ) -> ServerChannel:
        """See `IProtocolFactory`."""
        return ServerChannel(self) if self.body_plan is None else BodyChannel(self)

    def channel_for(self, agreed: str | None) -> ServerChannel | Http2Channel:
        """Return a channel for what a client and we have agreed on by ALPN (RFC 7301)."""
        return Http2Channel(self) if agreed == "h2" else self.buildProtocol(None)

    def peer_of(self, transport: Any) -> bytes:
        """Return `Request.peer` of a connection, for the channel on it."""
        return peer_of(transport, self.client_ca, told=self.told)

    def drain(self, grace: float = 0.0) -> Deferred[None]:
        """Close idle connections and, after their response, the others.

        grace: seconds for which a connection must have been idle from now on, so that no
        client has a request on its way, see `leaving`; 0: not at all. Fires when none is left.
        What connects later is served once, with a grace, or else closed.
        """
        self.draining = True
        self.grace = grace
        done: Deferred[None] = Deferred()
        self._drained.append(done)
        for channel in list(self._channels):
            channel.drain()
        self._sweep_later(grace)
        self._check_drained()
        return done

    def _sweep_later(self, seconds: float) -> None:
        if self.draining and self.grace and self._sweep is None:
            self._sweep = self._clock.callLater(seconds, self._look_first)

    def _look_first(self) -> None:
        # Timers come before sockets in a turn of the loop: after a busy one, or one in which the
        # process had to wait, a request may lie there that has not been read.
        self._sweep = self._clock.callLater(_A_TURN, self._close_idle)

    def _close_idle(self) -> None:
        self._sweep = None
        since = self.monotonic() - self.grace
        for channel in list(self._channels):
            if isinstance(channel, ServerChannel):  # HTTP/2 has a better way to say it
                channel.close_if_idle(since)
        if self._channels:
            self._sweep_later(self.grace / 4)

    def abort(self) -> None:
        """Cut every connection, whatever is under way on it."""
        for channel in list(self._channels):
            channel.cut()

    def channel_made(self, channel: _Open) -> None:
        """Called by each channel when its connection is made."""
        self._channels.add(channel)
        self._sweep_later(self.grace)

    def channel_lost(self, channel: _Open) -> None:
        """Called by each channel when its connection is no more."""
        self._channels.discard(channel)
        self._check_drained()

    def _check_drained(self) -> None:
        if self.draining and not self._channels:
            if self._sweep is not None:
                self._sweep.cancel()
                self._sweep = None
            waiting, self._drained = self._drained, []
            for done in waiting:
                done.callback(None)
