"""From a host name to a connected transport: every address, without waiting for the slow.

RFC 8305 ("happy eyeballs"): families alternate, the next address is tried when one
fails or when it has not answered after `ATTEMPT_DELAY`, and the first to connect wins.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from typing import Any, Final, Protocol

import uvloop
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IResolutionReceiver,
)
from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from .transport import UvTransport

__all__ = ["ATTEMPT_DELAY", "Dialing", "dial", "failure_text", "join_host_port"]

ATTEMPT_DELAY: Final = 0.25
"""Seconds that one address may keep the next one waiting (RFC 8305 section 5)."""


class Dialing(Protocol):
    """An attempt that is under way."""

    def cancel(self) -> None:
        """Give it up; nothing is told any more."""


class _Connector(Protocol):
    def stopConnecting(self) -> None: ...


def join_host_port(host: str, port: int) -> str:
    """Return `host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def failure_text(reason: BaseException | None) -> str:
    """Return why connecting failed, in the operating system's words where it has some."""
    if isinstance(reason, ConnectError):
        number = reason.osError if isinstance(reason.osError, int) else None
    else:
        number = reason.errno if isinstance(reason, OSError) else None
    if number:
        return os.strerror(number).lower()
    return (str(reason) or type(reason).__name__).splitlines()[0][:200].rstrip(".").lower()


def dial(
    reactor: Any, host: str, port: int, factory: IProtocolFactory, failed: Callable[[str], None]
) -> Dialing:
    """Connect a protocol of `factory` to TCP `host`:`port`, whatever address answers.

    reactor: IReactorTCP, IReactorTime, IReactorPluggableNameResolver. factory: its
    `buildProtocol` is called once, with the address that won. failed: called with one
    line of text when there is no connection, and never before this has returned.
    """
    race = _Race(reactor, host, port, factory, failed)
    if isIPAddress(host):
        race.start([IPv4Address("TCP", host, port)])
    elif isIPv6Address(host):
        race.start([IPv6Address("TCP", host, port)])
    else:
        reactor.nameResolver.resolveHostName(
            _Addresses(race), host, port, [IPv4Address, IPv6Address], "TCP"
        )
    return race


def _interleave(addresses: Sequence[IAddress]) -> list[IAddress]:
    """Alternate the families, the resolver's first choice first."""
    first = [each for each in addresses if type(each) is type(addresses[0])]
    other = [each for each in addresses if type(each) is not type(addresses[0])]
    return [each for each in chain(*zip_longest(first, other)) if each is not None]


@implementer(IResolutionReceiver)
class _Addresses:
    """Collects what the resolver finds."""

    def __init__(self, race: _Race) -> None:
        self._race = race
        self._found: list[IAddress] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        pass

    def addressResolved(self, address: IAddress) -> None:
        self._found.append(address)

    def resolutionComplete(self) -> None:
        self._race.start(_interleave(self._found))


class _Race:
    """All attempts for one connection."""

    def __init__(
        self,
        reactor: Any,
        host: str,
        port: int,
        factory: IProtocolFactory,
        failed: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._host = host
        self._port = port
        self._factory = factory
        self._failed = failed
        self._left: list[IAddress] = []
        self._running: dict[_Attempt, _Connector] = {}
        self._problems: list[str] = []
        self._timer: IDelayedCall | None = None
        self._over = False

    def start(self, addresses: list[IAddress]) -> None:
        """Try `addresses` in this order."""
        if self._over:
            return
        if not addresses:
            self._problems.append(f"{self._host}: no address found for this name")
        self._left = addresses
        # In a turn of its own: a refusal can be known at once.
        self._timer = self._reactor.callLater(0, self._next)

    def _next(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if self._left:
            address = self._left.pop(0)
            if self._left:
                self._timer = self._reactor.callLater(ATTEMPT_DELAY, self._next)
            _connect(self._reactor, address, _Attempt(self, address))
        elif not self._running:
            self._over = True
            self._failed("; ".join(dict.fromkeys(self._problems)))

    def began(self, attempt: _Attempt, connector: _Connector) -> None:
        """Know how to stop `attempt`."""
        self._running[attempt] = connector

    def won(self, attempt: _Attempt, address: IAddress | None) -> IProtocol | None:
        """Return the protocol for the first to connect, None to the rest."""
        self._running.pop(attempt, None)
        if self._over:
            return None
        self.cancel()
        attempt.won = True
        return self._factory.buildProtocol(address)  # type: ignore[arg-type]  # Factory says None

    def lost(self, attempt: _Attempt, reason: Failure) -> None:
        """Note why, and go to the next address without delay."""
        self._running.pop(attempt, None)
        where = join_host_port(attempt.address.host, self._port)
        self._problems.append(f"{where}: {failure_text(reason.value)}")
        if attempt.won:
            self._failed(self._problems[-1])
        elif not self._over:
            self._next()

    def cancel(self) -> None:
        """Stop everything that has not connected."""
        self._over = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        for connector in list(self._running.values()):
            connector.stopConnecting()
        self._running.clear()


class _Attempt(ClientFactory):
    """One address tried. won: whether it is the one that connected first."""

    noisy = False

    def __init__(self, race: _Race, address: Any) -> None:
        self._race = race
        self.address = address
        self.won = False

    def startedConnecting(self, connector: Any) -> None:
        self._race.began(self, connector)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self._race.won(self, addr)

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self._race.lost(self, reason)


def _connect(reactor: Any, address: Any, attempt: _Attempt) -> None:
    """Connect by the quickest way this reactor has."""
    loop = getattr(reactor, "_asyncioEventloop", None)
    if isinstance(loop, uvloop.Loop):
        _UvConnector(loop, address, attempt)
    else:
        # The race and its owner watch the clock; this limit is only not to be the first.
        reactor.connectTCP(address.host, address.port, attempt, timeout=3600)


class _UvConnector:
    """Connects over uvloop's own transport, which Twisted's asyncio reactor does not use."""

    def __init__(self, loop: asyncio.AbstractEventLoop, address: Any, attempt: _Attempt) -> None:
        self._attempt = attempt
        self._address = address
        attempt.startedConnecting(self)
        self._task = loop.create_task(self._connect(loop))

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> None:
        address = self._address
        family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as problem:
            self._failed(problem)
            return
        try:
            sock.setblocking(False)
            # `create_connection` alone makes the protocol before it connects: too early
            # to know whether this attempt wins.
            await loop.sock_connect(sock, (address.host, address.port))
            protocol = self._attempt.buildProtocol(address)
            if protocol is None:
                sock.close()
            else:
                try:
                    await loop.create_connection(
                        lambda: UvTransport(protocol, reads_out=True), sock=sock
                    )
                finally:
                    # The descriptor is libuv's from the moment it was handed over, and
                    # may be closed already: a second close would hit whoever has its number.
                    sock.detach()
        except OSError as problem:
            sock.close()
            self._failed(problem)
        except BaseException:
            sock.close()
            raise

    def _failed(self, problem: OSError) -> None:
        reason = Failure(problem)  # type: ignore[no-untyped-call]  # Twisted's
        self._attempt.clientConnectionFailed(self, reason)

    def stopConnecting(self) -> None:
        self._task.cancel()
