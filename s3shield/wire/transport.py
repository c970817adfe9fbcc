"""Twisted's transport interfaces over uvloop's own transports.

Twisted's asyncio reactor watches file descriptors through `add_reader` and does the
reading and writing in Python; uvloop's transports do it in libuv. This adapter lets
a Twisted protocol sit on one. Nothing stands between the two while data flows:
`data_received` is the protocol's `dataReceived`, `write` is uvloop's.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IProducer,
    IProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["UvTransport", "peer_text", "reset_on_close", "unsent_bytes"]

_log = Logger()

_LAST_WORDS: Final = 16
_LAST_PIECE: Final = 16 * 1024
"""Bytes and pieces that are read from a connection that is broken already."""

WRITE_BUFFER: Final = 256 * 1024
"""Bytes unsent above which the producer is paused; it resumes below a quarter."""


@implementer(ITCPTransport, IConsumer)
class UvTransport(asyncio.Protocol):
    """Gives `protocol` a transport on a connection of uvloop's.

    Made by the protocol factory of `loop.create_server` or `loop.create_connection`
    (and their unix forms): `create_connection(lambda: UvTransport(protocol), ...)`.
    secure: whether there is TLS on it. Callers may bind `write` once and keep it.

    reads_out: give `protocol` what had come when the connection broke. libuv closes on a
    failed write, though the peer's last words may wait in the kernel: a server that
    answers before the end of a body and closes (RFC 9112 section 9.6).

    agreed: called with what TLS agreed on by ALPN, returns the protocol to use instead.
    """

    __slots__ = (
        "_aborted",
        "_agreed",
        "_paused",
        "_producer",
        "_protocol",
        "_reads_out",
        "_transport",
        "connected",
        "data_received",
        "disconnecting",
        "secure",
        "write",
        "writeSequence",
    )

    write: Callable[[bytes], None]
    writeSequence: Callable[[Iterable[bytes]], None]

    def __init__(
        self,
        protocol: IProtocol,
        *,
        reads_out: bool = False,
        agreed: Callable[[str | None], IProtocol] | None = None,
    ) -> None:
        self._protocol = protocol
        self._agreed = agreed
        self._reads_out = reads_out
        # uvloop looks this up once, before `connection_made`.
        self.data_received = protocol.dataReceived  # type: ignore[method-assign]
        self._producer: IPushProducer | None = None
        self._paused = False
        self._aborted = False
        self.connected = False
        self.disconnecting = False
        self.secure = False

    # asyncio's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = inner = cast(asyncio.Transport, transport)
        self.write = inner.write
        self.writeSequence = inner.writelines
        self.secure = inner.get_extra_info("sslcontext") is not None
        self.connected = True
        agreed, self._agreed = self._agreed, None
        tls = inner.get_extra_info("ssl_object")
        if agreed is not None and tls is not None:
            self._protocol = protocol = agreed(tls.selected_alpn_protocol())
            self.data_received = protocol.dataReceived  # type: ignore[method-assign]
        inner.set_write_buffer_limits(high=WRITE_BUFFER)
        try:
            self._protocol.makeConnection(self)
        except Exception:
            # uvloop would log it and keep a connection that nobody serves.
            _log.failure("a protocol failed when its connection was made")
            self.abortConnection()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.connected = False
        self.write = self.writeSequence = _discard
        if exc is not None and self._reads_out and not self._aborted:
            last = _last_words(self._transport)
            if last:
                self._protocol.dataReceived(last)
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        reason: Exception
        if self._aborted:
            reason = ConnectionAborted()
        elif exc is None:
            reason = ConnectionDone()
        else:
            reason = ConnectionLost(str(exc))
            reason.__cause__ = exc
        self._protocol.connectionLost(Failure(reason))  # type: ignore[no-untyped-call]
        # The protocol knows this object: without a cycle both are freed at once.
        del self._protocol, self.data_received

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`: a protocol that can do without reading may write on."""
        if self.secure or not IHalfCloseableProtocol.providedBy(self._protocol):
            return False
        self._protocol.readConnectionLost()
        return True

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._paused = True
        if self._producer is not None:
            self._producer.pauseProducing()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._paused = False
        if self._producer is not None:
            self._producer.resumeProducing()

    # Twisted's side.

    def write_buffer_size(self) -> int:
        """Return how many bytes written have not gone to the kernel."""
        return self._transport.get_write_buffer_size() if self.connected else 0

    def loseConnection(self) -> None:
        """Close when all is written and no producer is registered."""
        if not self.connected or self.disconnecting:
            return
        self.disconnecting = True
        if self._producer is None:
            self._transport.close()

    def loseWriteConnection(self) -> None:
        """Send no more after what was written; go on reading. Not with TLS."""
        if self.connected and not self.disconnecting and self._transport.can_write_eof():
            self._transport.write_eof()

    def abortConnection(self) -> None:
        """Close now; what was written and not sent is lost."""
        if self.connected and not self._aborted:
            self._aborted = self.disconnecting = True
            self._transport.abort()

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """See `IConsumer`; push producers only."""
        if not streaming:
            raise ValueError("pull producers are not for this transport")
        producer = cast(IPushProducer, producer)
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        if not self.connected:
            producer.stopProducing()
            return
        self._producer = producer
        if self._paused:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """See `IConsumer`."""
        self._producer = None
        if self.connected and self.disconnecting and not self._aborted:
            self._transport.close()

    def pauseProducing(self) -> None:
        """Read no more for now."""
        if self.connected:
            self._transport.pause_reading()

    def resumeProducing(self) -> None:
        """Read again."""
        if self.connected and not self.disconnecting:
            self._transport.resume_reading()

    def stopProducing(self) -> None:
        """See `IProducer`."""
        self.loseConnection()

    def getPeer(self) -> Any:
        """See `ITransport`."""
        return self._address("peername")

    def getHost(self) -> Any:
        """See `ITransport`."""
        return self._address("sockname")

    def tls(self) -> Any:
        """Return the `ssl.SSLObject`; None without TLS."""
        return self._transport.get_extra_info("ssl_object")

    def peer_certificate(self) -> bytes | None:
        """Return the certificate (DER) that a client has shown, verified; None without any."""
        tls = self.tls()
        return None if tls is None else cast(bytes | None, tls.getpeercert(True))

    def _address(self, which: str) -> Any:
        name = self._transport.get_extra_info(which)
        if isinstance(name, tuple):
            return (IPv4Address if len(name) == 2 else IPv6Address)("TCP", *name)
        return UNIXAddress(name or None)

    def getTcpNoDelay(self) -> bool:
        """See `ITCPTransport`."""
        return bool(self._socket().getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """See `ITCPTransport`. On by itself: uvloop sets it."""
        if self._socket().family != socket.AF_UNIX:  # which never delays
            self._socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, enabled)

    def getTcpKeepAlive(self) -> bool:
        """See `ITCPTransport`."""
        return bool(self._socket().getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """See `ITCPTransport`."""
        self._socket().setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, enabled)

    def _socket(self) -> socket.socket:
        return cast(socket.socket, self._transport.get_extra_info("socket"))

    def reset_on_close(self) -> None:
        """Let the close that comes be a reset, which no reader takes for an end."""
        if self.connected:
            _reset_on_close(self._socket())


def _last_words(transport: asyncio.Transport) -> bytes:
    """Return what can be read from a broken connection: libuv has not closed it yet."""
    pieces: list[bytes] = []
    inner = transport.get_extra_info("socket")
    if inner is None:
        return b""
    with contextlib.suppress(OSError), inner.dup() as sock:
        sock.setblocking(False)
        while len(pieces) < _LAST_WORDS and (piece := sock.recv(_LAST_PIECE)):
            pieces.append(piece)
    return b"".join(pieces)


def _discard(_data: object) -> None:
    """Stand in for `write` on a connection that is no more."""


def _reset_on_close(sock: socket.socket) -> None:
    # l_onoff = 1, l_linger = 0: close() sends RST (POSIX SO_LINGER)
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def reset_on_close(transport: Any) -> None:
    """Let closing `transport`, ours or Twisted's, send a TCP reset."""
    if isinstance(transport, UvTransport):
        transport.reset_on_close()
        return
    descriptor = _descriptor(transport)
    if descriptor is not None:
        _reset_on_close(descriptor.socket)  # type: ignore[attr-defined]  # tcp.Connection's


def _descriptor(transport: Any) -> FileDescriptor | None:
    """Find Twisted's own transport under any wrapping protocols, such as TLS."""
    while transport is not None and not isinstance(transport, FileDescriptor):
        transport = getattr(transport, "transport", None)
    return transport


def unsent_bytes(transport: Any) -> int:
    """Return how many bytes written to `transport`, ours or Twisted's, are unsent."""
    if isinstance(transport, UvTransport):
        return transport.write_buffer_size()
    descriptor = _descriptor(transport)
    if descriptor is None:
        return 0
    # Twisted has no public name for this.
    waiting: int = descriptor._tempDataLen  # noqa: SLF001
    return len(descriptor.dataBuffer) - descriptor.offset + waiting


def peer_text(address: object) -> bytes:
    """Return a client's address as the access log shows it.

    IPv4 clients of a dual-stack socket look as elsewhere; `unix:` for unix sockets,
    whose clients have no address.
    """
    if isinstance(address, IPv4Address | IPv6Address):
        return address.host.removeprefix("::ffff:").encode("ascii")
    return b"unix:"
