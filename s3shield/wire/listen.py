"""Listening sockets: binding them, and serving on them with whichever reactor runs.

Binding and serving are apart because the parent process binds and the workers serve.
"""

from __future__ import annotations

import errno
import functools
import os
import re
import socket
import stat
import sys
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import uvloop
from twisted.internet import tcp, unix
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from s3shield.wire.negotiation import Negotiating
from s3shield.wire.tls import ServerTls, TwistedTls
from s3shield.wire.transport import UvTransport

__all__ = ["BindError", "UvPort", "bind", "listen_socket", "uv_loop"]

BACKLOG: Final = 511
"""Connections the kernel holds until they are accepted; nginx's default."""

_TCP = re.compile(r"(?:(?P<host>\[[0-9A-Fa-f:.%a-z]*\]|[^\[\]:]*):)?(?P<port>[0-9]{1,5})")

_Uv = TypeVar("_Uv", bound=UvTransport)


class BindError(OSError):
    """A socket could not be bound; the text, also as `strerror`, says which and why."""

    def __str__(self) -> str:
        return self.strerror or "cannot listen"


def bind(listen: str, *, reuse_port: bool = False, backlog: int = BACKLOG) -> socket.socket:
    """Return a listening socket on `listen`.

    listen: `host:port`, `port` (every IPv4 address), `[v6]:port` (IPv6 alone, also on
    `[::]`, as nginx's ipv6only=on), or `unix:/path`. A unix socket left behind by a
    process that is gone is replaced. reuse_port: let other processes bind it too.
    Raises `BindError`; `ValueError` for what is none of these.
    """
    if listen.startswith("unix:"):
        return _bind_unix(listen, backlog)
    match = _TCP.fullmatch(listen)
    if match is None or int(match["port"]) > 65535:
        raise ValueError(f"{listen!r} is not host:port, [v6]:port, port or unix:/path")
    host = match["host"] or "0.0.0.0"
    wanted = socket.AF_INET6 if host.startswith("[") else socket.AF_UNSPEC
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            "0.0.0.0" if host == "*" else host.strip("[]"),
            int(match["port"]),
            wanted,
            socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )[0]
        sock = socket.socket(family, kind, number)
    except OSError as error:
        raise BindError(error.errno, f"cannot listen on {listen}: {error.strerror}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        _begin(sock, backlog)
    except OSError as error:
        sock.close()
        raise _bind_error(listen, error) from error
    return sock


def _begin(sock: socket.socket, backlog: int) -> None:
    sock.listen(backlog)
    sock.setblocking(False)


def _bind_error(listen: str, error: OSError) -> BindError:
    why = error.strerror or str(error)
    if error.errno == errno.EADDRINUSE:
        why = "something else listens there already"
    elif error.errno == errno.EADDRNOTAVAIL:
        why = "this machine has no such address"
    elif error.errno == errno.EACCES:
        why = "no permission (ports below 1024 need privileges)"
    return BindError(error.errno, f"cannot listen on {listen}: {why}")


def _bind_unix(listen: str, backlog: int) -> socket.socket:
    path = listen.removeprefix("unix:")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        sock.bind(path)
        # As nginx: the directory says who may connect.
        Path(path).chmod(0o666)
        _begin(sock, backlog)
    except OSError as error:
        sock.close()
        raise _bind_error(listen, error) from error
    return sock


def _remove_stale(path: str) -> None:
    """Unlink the socket at `path` if nobody answers on it.

    Raises `OSError` (EADDRINUSE) if somebody does, or if it is something else.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    in_use = OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    if not stat.S_ISSOCK(mode):
        raise in_use
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
    raise in_use


def uv_loop(reactor: object) -> Any | None:
    """Return the uvloop event loop that `reactor` runs on, or None."""
    # Twisted has no public name for its asyncio reactor's loop.
    loop = getattr(reactor, "_asyncioEventloop", None)
    return loop if isinstance(loop, uvloop.Loop) else None


def listen_socket(
    reactor: Any,
    sock: socket.socket,
    factory: IProtocolFactory,
    tls: ServerTls | None = None,
) -> Deferred[IListeningPort]:
    """Serve `factory` on a listening socket; take the socket over.

    On uvloop's own transports where the reactor runs on uvloop, else on Twisted's.
    Fires with the port: `getHost()`, and `stopListening()`, which leaves connections
    alone. The path of a unix socket stays: it is the binding process's.
    Fails with what loading `tls` raises.
    """
    loop = uv_loop(reactor)
    if loop is None:
        return maybeDeferred(listen_twisted, reactor, sock, factory, tls)
    return Deferred.fromCoroutine(_listen_uv(loop, sock, factory, tls))


def listen_twisted(
    reactor: Any,
    sock: socket.socket,
    factory: IProtocolFactory,
    tls: ServerTls | None = None,
) -> IListeningPort:
    """Serve on Twisted's own transports, on any reactor; else as `listen_socket`."""
    factory = twisted_factory(factory, tls)
    if sock.family == socket.AF_UNIX:
        port = _UnixPort(sock, factory, reactor)
        port.startListening()
        return port
    with sock:
        adopted: IListeningPort = reactor.adoptStreamPort(sock.fileno(), sock.family, factory)
    return adopted


def twisted_factory(factory: IProtocolFactory, tls: ServerTls | None) -> IProtocolFactory:
    """Return what makes protocols for Twisted's transports. Raises `CertificateError`."""
    if tls is None:
        return factory
    if tls.http2 or tls.client_ca is not None or tls.told:
        factory = Negotiating(factory)
    return TLSMemoryBIOFactory(TwistedTls(tls), False, factory)


class _UnixPort(unix.Port):
    """Twisted's, on a socket that belongs to another process: its path is let be."""

    def __init__(self, sock: socket.socket, factory: IProtocolFactory, reactor: Any) -> None:
        super().__init__(sock.getsockname(), factory, reactor=reactor)
        self.socket = sock
        self.fileno = sock.fileno  # type: ignore[method-assign]  # as Twisted does

    def startListening(self) -> None:
        self.factory.doStart()  # type: ignore[union-attr]  # it was given
        self.connected = True
        self.numberAccepts = 100
        self.startReading()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure) -> None:
        tcp.Port.connectionLost(self, reason)  # type: ignore[no-untyped-call]


def uv_options(tls: ServerTls | None) -> dict[str, Any]:
    """Return what uvloop is told of TLS. Raises `CertificateError`."""
    if tls is None:
        return {}
    return {"ssl": tls.ssl_context(), "ssl_handshake_timeout": tls.handshake_timeout}


def uv_transport(factory: IProtocolFactory, *, http2: bool, kind: type[_Uv]) -> _Uv:
    """Return what uvloop runs an accepted connection with. http2: whether it was offered."""
    # The peer is not known yet; none of our factories asks.
    protocol = factory.buildProtocol(None)  # type: ignore[arg-type]
    assert protocol is not None
    return kind(protocol, agreed=cast(Any, factory).channel_for if http2 else None)


def host_of(sock: socket.socket) -> IAddress:
    """Return the address of a listening socket."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return UNIXAddress(name)
    return (IPv6Address if sock.family == socket.AF_INET6 else IPv4Address)("TCP", *name)


async def _listen_uv(
    loop: Any,
    sock: socket.socket,
    factory: IProtocolFactory,
    tls: ServerTls | None,
) -> IListeningPort:
    create: Any = loop.create_server
    if sock.family == socket.AF_UNIX:
        create = loop.create_unix_server
        if sys.version_info >= (3, 13):
            # The path is the parent's: a worker that ends must not take it away.
            create = functools.partial(create, cleanup_socket=False)
    secure = uv_options(tls)
    port = UvPort(loop, sock, factory, http2=tls is not None and tls.http2)
    await Deferred.fromFuture(
        loop.create_task(create(port.connection, sock=sock, backlog=BACKLOG, **secure)),
    ).addCallback(port.started)
    return port


@implementer(IListeningPort)
class UvPort:
    """A listening socket on uvloop, as `listen_socket` makes it."""

    def __init__(
        self, loop: Any, sock: socket.socket, factory: IProtocolFactory, *, http2: bool = False
    ) -> None:
        self._loop = loop
        self._factory = factory
        self._http2 = http2
        self._server: Any = None
        self._host = host_of(sock)

    def connection(self) -> UvTransport:
        """Return what uvloop runs an accepted connection with."""
        return uv_transport(self._factory, http2=self._http2, kind=UvTransport)

    def started(self, server: Any) -> None:
        """Called with uvloop's server when it is listening."""
        self._server = server
        self._factory.doStart()

    def startListening(self) -> None:
        """See `IListeningPort`; it has been done."""

    def stopListening(self) -> Deferred[None]:
        """See `IListeningPort`. Fires when the socket is closed."""
        if self._server is None:
            return succeed(None)
        server, self._server = self._server, None
        server.close()
        self._factory.doStop()
        done: Deferred[None] = Deferred()
        # libuv closes the descriptor in the turn of the loop after this one.
        self._loop.call_later(0, done.callback, None)
        return done

    def getHost(self) -> IAddress:
        """See `IListeningPort`."""
        return self._host
