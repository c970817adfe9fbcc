"""An HTTP/2 client over real TLS: well-behaved by itself, and with raw frames at will."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

import attrs
from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.settings import SettingCodes, Settings
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import CertificateOptions

from s3shield.wire.tls import Certificate, ServerTls

from .certificates import Authority

reactor: Any = _reactor

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CALM: Final = ErrorCodes.ENHANCE_YOUR_CALM

DATA, HEADERS, PRIORITY, RST, SETTINGS = range(5)
PING, GOAWAY, WINDOW, CONTINUATION = range(6, 10)
END_STREAM, END_HEADERS = 0x1, 0x4

Fields = Iterable[tuple[bytes, bytes]]


@cache
def server_tls() -> ServerTls:
    """Return TLS for a server that speaks HTTP/2, its certificate made for this run."""
    path = str(Path(mkdtemp("s3shield-h2")) / "server")
    return ServerTls([((), Certificate([Authority().files(path, "127.0.0.1")], http2=True))])


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame as it is sent (RFC 9113 section 4.1)."""
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


@attrs.define
class Reply:
    """What came on one stream. reset: the code of an RST_STREAM. interim: 1xx statuses."""

    status: int = 0
    headers: dict[str, str] = attrs.Factory(dict)
    body: bytearray = attrs.Factory(bytearray)
    ended: bool = False
    reset: int | None = None
    interim: list[int] = attrs.Factory(list)

    @property
    def over(self) -> bool:
        """Whether nothing more comes."""
        return self.ended or self.reset is not None

    @property
    def whole(self) -> bool:
        """Whether it came to its end."""
        return self.ended and self.reset in (None, 0)

    @property
    def cache(self) -> str | None:
        """X-Cache-Status."""
        return self.headers.get("x-cache-status")


class H2Client(Protocol):
    """One connection.

    mute: answer nothing by itself. resets: (stream, code) of each RST_STREAM.
    greedy: give back at once what a body takes of the windows. goodbyes: (code, last stream)
    of each GOAWAY. window: SETTINGS_INITIAL_WINDOW_SIZE, if another than HTTP/2's.
    """

    def __init__(self, *, greedy: bool = True, window: int | None = None) -> None:
        self.greedy = greedy
        self.window = window
        self.replies: dict[int, Reply] = {}
        self.goodbyes: list[tuple[int, int]] = []
        self.resets: list[tuple[int, int]] = []
        self.gone = self.mute = False
        self.settings = 0
        self._pending = b""
        self.pings = 0
        self.conn = H2Connection(
            H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self._waiting: list[tuple[Callable[[Any], Any], Deferred[None]]] = []

    @property
    def agreed(self) -> Any:
        """What ALPN chose."""
        return self.transport.negotiatedProtocol

    def connectionMade(self) -> None:
        """Say hello."""
        values = {SettingCodes.ENABLE_PUSH: 0}
        if self.window is not None:
            values[SettingCodes.INITIAL_WINDOW_SIZE] = self.window
        self.conn.local_settings = Settings(client=True, initial_values=values)
        self.conn.initiate_connection()
        self.flush()

    def flush(self) -> None:
        """Send what h2 has to say."""
        self.transport.write(self.conn.data_to_send())

    def raw(self, *pieces: bytes) -> None:
        """Send bytes as they are."""
        self.transport.write(b"".join(pieces))

    def fields(
        self, target: str = "/", method: str = "GET", authority: str | None = "shield.test"
    ) -> list[tuple[bytes, bytes]]:
        """Return the pseudo-fields of a request."""
        pairs = [(":method", method), (":scheme", "https"), (":path", target)]
        if authority is not None:
            pairs.append((":authority", authority))
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]

    def ask(
        self,
        target: str = "/",
        method: str = "GET",
        more: Fields = (),
        *,
        fields: Fields | None = None,
        end: bool = True,
    ) -> int:
        """Send a request's head; return its stream."""
        number = self.conn.get_next_available_stream_id()
        self.replies[number] = Reply()
        head = [*(self.fields(target, method) if fields is None else fields), *more]
        self.conn.send_headers(number, head, end_stream=end)
        self.flush()
        return number

    def block(self, fields: Fields) -> bytes:
        """Return fields, compressed."""
        return self.conn.encoder.encode(list(fields))

    def head_frame(self, number: int, target: str = "/", *, end: bool = True) -> bytes:
        """Return the HEADERS of a request that our own h2 knows nothing of."""
        flags = END_HEADERS | (END_STREAM if end else 0)
        return frame(HEADERS, flags, number, self.block(self.fields(target)))

    async def get(self, target: str = "/", method: str = "GET", **headers: str) -> Reply:
        """Ask and wait for the whole answer. if_none_match=... -> if-none-match: ..."""
        more = [(k.replace("_", "-").encode(), v.encode("latin-1")) for k, v in headers.items()]
        return await self.answer(self.ask(target, method, more))

    async def answer(self, number: int) -> Reply:
        """Return what came on a stream when it is over, or the connection is."""
        reply = self.replies[number]
        await self.until(lambda _: reply.over or self.gone)
        return reply

    def send(self, number: int, data: bytes, *, end: bool = False) -> None:
        """Send a piece of a body, within the windows."""
        self.conn.send_data(number, data, end_stream=end)
        self.flush()

    async def upload(self, number: int, body: bytes) -> None:
        """Send a body as the windows allow it, until there is an answer."""
        reply, at = self.replies[number], 0
        while at < len(body):
            await self.until(
                lambda _: reply.over or self.conn.local_flow_control_window(number) > 0
            )
            if reply.over:
                return
            size = min(self.conn.local_flow_control_window(number), 16384)
            self.send(number, body[at : at + size], end=at + size >= len(body))
            at += size

    def until(self, reached: Callable[[Any], Any]) -> Deferred[None]:
        """Fire when `reached(self)` is true."""
        return _until(self, reached)

    def hang_up(self) -> None:
        """Leave without a word."""
        if not self.gone:
            self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Note what came, a frame at a time: h2 forgets what it had to say at a GOAWAY."""
        self._pending += data
        while len(self._pending) >= 9:
            size = 9 + int.from_bytes(self._pending[:3], "big")
            if len(self._pending) < size:
                break
            one, self._pending = self._pending[:size], self._pending[size:]
            number = int.from_bytes(one[5:9], "big")
            if one[3] == GOAWAY:
                # h2 takes it for the end; it is the end of new streams.
                last, code = struct.unpack("!II", one[9:17])
                self.goodbyes.append((code, last))
                continue
            if number and number not in self.replies:
                continue  # of a raw request
            for event in self.conn.receive_data(one):
                self._note(event)
            if not self.mute:
                self.flush()
        _check(self)

    def connectionLost(self, reason: Any = None) -> None:
        """Note the end."""
        self.gone = True
        _check(self)

    def _note(self, event: Any) -> None:
        reply = self.replies.get(getattr(event, "stream_id", None) or 0, Reply())
        if isinstance(event, events.ResponseReceived):
            for name, value in event.headers or ():
                if name == b":status":
                    reply.status = int(value)
                else:
                    reply.headers[name.decode()] = value.decode("latin-1")
        elif isinstance(event, events.InformationalResponseReceived):
            reply.interim += [int(v) for n, v in event.headers or () if n == b":status"]
        elif isinstance(event, events.DataReceived):
            reply.body += event.data or b""
            if self.greedy and event.flow_controlled_length:
                self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, events.StreamEnded):
            reply.ended = True
        elif isinstance(event, events.StreamReset):
            reply.reset = int(event.error_code)
            self.resets.append((event.stream_id, int(event.error_code)))
        elif isinstance(event, events.RemoteSettingsChanged):
            self.settings += 1
        elif isinstance(event, events.PingReceived):
            self.pings += 1


def _until(client: Any, reached: Callable[[Any], Any]) -> Deferred[None]:
    done: Deferred[None] = Deferred()
    done.addTimeout(60, reactor)
    client._waiting.append((reached, done))
    _check(client)
    return done


def _check(client: Any) -> None:
    for waiting in list(client._waiting):
        reached, done = waiting
        if waiting in client._waiting and reached(client):
            client._waiting.remove(waiting)
            done.callback(None)


class Plain(Protocol):
    """Keeps what comes."""

    def __init__(self) -> None:
        self.received = b""
        self.gone = False
        self._waiting: list[tuple[Callable[[Any], Any], Deferred[None]]] = []

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.received += data
        _check(self)

    def connectionLost(self, reason: Any = None) -> None:
        """Note the end."""
        self.gone = True
        _check(self)

    def until(self, reached: Callable[[Any], Any]) -> Deferred[None]:
        """Fire when `reached(self)` is true."""
        return _until(self, reached)


async def connect_plain(port: int, offered: list[bytes] | None) -> Any:
    """Return a connection over TLS that offers what it is told to, and says nothing itself."""
    options = CertificateOptions(acceptableProtocols=offered)
    return await connectProtocol(SSL4ClientEndpoint(reactor, "127.0.0.1", port, options), Plain())


async def connect(host: str, port: int, shown: Any = None, **how: Any) -> H2Client:
    """Return a client that is connected, its handshake done and the server's settings there.

    shown: the client's certificate, as CertificateOptions takes it.
    """
    options = CertificateOptions(acceptableProtocols=[b"h2", b"http/1.1"], **(shown or {}))
    client = await connectProtocol(
        SSL4ClientEndpoint(reactor, host, port, options), H2Client(**how)
    )
    await client.until(lambda client: client.settings or client.gone)
    return client
