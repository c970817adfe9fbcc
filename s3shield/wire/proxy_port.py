"""Listening where balancers connect that speak the PROXY protocol.

The header is looked at in the kernel's buffer and only what belongs to it is taken out. So
the socket is handed on as if the client had connected itself: to TLS or to the channel, to
uvloop's transports or to Twisted's, none of which knows of it but for `getPeer`.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any, Final

import attrs
from twisted.internet import tcp, unix
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IProtocolFactory,
    IReadDescriptor,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from s3shield.wire.listen import host_of, twisted_factory, uv_loop, uv_options, uv_transport
from s3shield.wire.proxy_header import BadProxyHeaderError, read_proxy_header
from s3shield.wire.tls import ServerTls
from s3shield.wire.transport import UvTransport, peer_text

__all__ = ["ProxyRules", "listen_proxied"]

_log = Logger()

_ACCEPTS: Final = 64
"""Connections accepted before others have a turn."""
_PEEK: Final = 4096
_PAUSE: Final = 1.0
"""Seconds without accepting when there are no descriptors; and between two lines of a kind."""
_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Address = IPv4Address | IPv6Address
Serve = Callable[[socket.socket, Any, Address | None], None]
"""Serves a socket of a client. Its address as the kernel has it; as the header has it."""


@attrs.frozen
class ProxyRules:
    """trusts: whether an address may say whose connections it brings (`set_real_ip_from`).

    timeout: seconds for a header. replaces: whether clients have the addresses in the
    headers from then on (`real_ip_header = proxy_protocol`).
    """

    trusts: Callable[[bytes], bool]
    timeout: float = 60.0
    replaces: bool = True


def listen_proxied(
    reactor: Any,
    sock: socket.socket,
    factory: IProtocolFactory,
    rules: ProxyRules,
    tls: ServerTls | None = None,
    *,
    on_twisted: bool = False,
) -> IListeningPort:
    """Serve `factory` behind PROXY headers on a listening socket; take the socket over.

    Else as `listen_socket`; on_twisted: on Twisted's transports, on any reactor. Raises
    `CertificateError`.
    """
    loop = None if on_twisted else uv_loop(reactor)
    serve = _on_twisted(reactor, factory, tls) if loop is None else _on_uv(loop, factory, tls)
    port = ProxyPort(reactor, sock, factory, rules, serve)
    port.startListening()
    return port


def _on_uv(loop: Any, factory: IProtocolFactory, tls: ServerTls | None) -> Serve:
    secure = uv_options(tls)
    http2 = tls is not None and tls.http2

    def serve(sock: socket.socket, _: Any, client: Address | None) -> None:
        def made() -> UvTransport:
            transport = uv_transport(factory, http2=http2, kind=_UvClient)
            transport.client_address = client
            return transport

        making = loop.create_task(loop.connect_accepted_socket(made, sock, **secure))
        # A handshake that fails is the client's affair; uvloop has closed the connection.
        Deferred.fromFuture(making).addErrback(_unless_lost)

    return serve


def _unless_lost(why: Failure) -> None:
    why.trap(OSError)  # type: ignore[no-untyped-call]  # Twisted's


def _on_twisted(reactor: Any, factory: IProtocolFactory, tls: ServerTls | None) -> Serve:
    factory = twisted_factory(factory, tls)

    def serve(sock: socket.socket, address: Any, client: Address | None) -> None:
        protocol = factory.buildProtocol(None)  # type: ignore[arg-type]  # none of ours asks
        assert protocol is not None
        kind = _UnixServer if sock.family == socket.AF_UNIX else _TcpServer
        transport = kind(sock, protocol, address, None, 0, reactor)  # type: ignore[arg-type]  # no port: as tcp.Client
        transport.client_address = client
        protocol.makeConnection(transport)

    return serve


class _UvClient(UvTransport):
    """Ours, for a client that is not the one who connected."""

    __slots__ = ("client_address",)
    client_address: Address | None

    def getPeer(self) -> Any:
        return self.client_address or super().getPeer()


class _TcpServer(tcp.Server):
    """As `_UvClient`."""

    client_address: Address | None = None

    def getPeer(self) -> Any:
        return self.client_address or super().getPeer()  # type: ignore[no-untyped-call]


class _UnixServer(unix.Server):
    """As `_UvClient`."""

    client_address: Address | None = None

    def getPeer(self) -> Any:
        return self.client_address or super().getPeer()  # type: ignore[no-untyped-call]


@implementer(IListeningPort, IReadDescriptor)
class ProxyPort:
    """A listening socket, and the connections on it whose header has not come yet."""

    def __init__(
        self,
        reactor: Any,
        sock: socket.socket,
        factory: IProtocolFactory,
        rules: ProxyRules,
        serve: Serve,
    ) -> None:
        self.reactor = reactor
        self.rules = rules
        self.serve = serve
        self._sock = sock
        self._factory = factory
        self._host = host_of(sock)
        self._waiting: set[_Waiting] = set()
        self._listening = False
        self._pause: IDelayedCall | None = None
        self._told: dict[str, tuple[float, int]] = {}

    def startListening(self) -> None:
        """See `IListeningPort`."""
        self._factory.doStart()
        self._listening = True
        self.reactor.addReader(self)

    def stopListening(self) -> Deferred[None]:
        """See `IListeningPort`. Those whose header has not come are no clients yet: they go."""
        if self._listening:
            self._listening = False
            if self._pause is not None:
                self._pause.cancel()
                self._pause = None
            self.reactor.removeReader(self)
            self._sock.close()
            for each in tuple(self._waiting):
                each.end()
            self._factory.doStop()
        return succeed(None)

    def getHost(self) -> IAddress:
        """See `IListeningPort`."""
        return self._host

    def fileno(self) -> int:
        """See `IReadDescriptor`."""
        return self._sock.fileno()

    def logPrefix(self) -> str:
        """See `ILoggingContext`."""
        return "PROXY"

    def connectionLost(self, reason: Failure) -> None:
        """See `IReadDescriptor`: the reactor is closing."""
        self.stopListening()

    def doRead(self) -> None:
        """Accept who is there."""
        for _ in range(_ACCEPTS):
            try:
                sock, address = self._sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self.tell("no room", "a client is turned away: {why}", why=error.strerror)
                    self.reactor.removeReader(self)
                    self._pause = self.reactor.callLater(_PAUSE, self._go_on)
                    return
                continue  # it was gone before it was accepted
            self._accepted(sock, address)

    def _go_on(self) -> None:
        self._pause = None
        self.reactor.addReader(self)

    def _accepted(self, sock: socket.socket, address: Any) -> None:
        sock.setblocking(False)
        sender = b"unix:" if sock.family == socket.AF_UNIX else peer_text(_address(*address[:2]))
        if not self.rules.trusts(sender):
            sock.close()
            text = "a connection from {sender} is refused: it is not in set_real_ip_from"
            self.tell("stranger", text, sender=sender.decode("ascii"))
            return
        waiting = _Waiting(self, sock, address, sender)
        self._waiting.add(waiting)
        waiting.begin()

    def ended(self, waiting: _Waiting) -> None:
        """Called when a connection waits no more."""
        self._waiting.discard(waiting)

    def tell(self, kind: str, text: str, **values: object) -> None:
        """Log a warning; of one kind once a second, so that nobody fills the disk with them."""
        now = self.reactor.seconds()
        last, more = self._told.get(kind, (now - _PAUSE, 0))
        if now - last < _PAUSE:
            self._told[kind] = (last, more + 1)
            return
        self._told[kind] = (now, 0)
        again = " (and {more} more before)" if more else ""
        _log.warn("{where}: " + text + again, where=_shown(self._host), more=more, **values)


@implementer(IReadDescriptor)
class _Waiting:
    """A connection whose header has not come yet."""

    def __init__(self, port: ProxyPort, sock: socket.socket, address: Any, sender: bytes) -> None:
        self._port = port
        self._sock = sock
        self._address = address
        self._sender = sender.decode("ascii")
        self._header = b""
        self._timer: IDelayedCall | None = None

    def begin(self) -> None:
        """Read; most headers are there already."""
        if self._read():
            return
        self._timer = self._port.reactor.callLater(self._port.rules.timeout, self._late)
        self._port.reactor.addReader(self)

    def fileno(self) -> int:
        """See `IReadDescriptor`."""
        return self._sock.fileno()

    def logPrefix(self) -> str:
        """See `ILoggingContext`."""
        return "PROXY"

    def doRead(self) -> None:
        """Read what has come."""
        self._read()

    def connectionLost(self, reason: Failure) -> None:
        """See `IReadDescriptor`."""
        self.end()

    def _read(self) -> bool:
        """Return whether the connection waits no more."""
        try:
            seen = self._sock.recv(_PEEK, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            self.end()
            return True
        if not seen:
            if self._header:
                self._bad("it ends early")
            else:
                self.end()  # a look whether somebody listens here
            return True
        try:
            header = read_proxy_header(self._header + seen)
        except BadProxyHeaderError as error:
            self._bad(str(error))
            return True
        if header is None:
            # All of it is the header's: out of the kernel's buffer, or it would be seen again.
            self._header += self._sock.recv(len(seen))
            return False
        self._sock.recv(header.length - len(self._header))
        client = None
        if header.source is not None and self._port.rules.replaces:
            client = _address(*header.source)
        self._leave()
        self._port.serve(self._sock, self._address, client)
        return True

    def _late(self) -> None:
        self._timer = None
        self._bad("it has not come in time")

    def _bad(self, why: str) -> None:
        self._port.tell("bad", "a PROXY header of {sender}: {why}", sender=self._sender, why=why)
        self.end()

    def end(self) -> None:
        """Close it."""
        self._leave()
        self._sock.close()

    def _leave(self) -> None:
        self._port.reactor.removeReader(self)
        self._port.ended(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _address(host: str, port: int) -> Address:
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, port)


def _shown(address: IAddress) -> str:
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    if isinstance(address, IPv4Address):
        return f"{address.host}:{address.port}"
    return "unix socket"
