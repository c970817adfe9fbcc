"""Scenarios: a scripted origin, the real exchange on real sockets, a plain client.

A scenario is about twenty lines: what the origin says, what clients ask, what they get.
Everything is real but the origin's mind.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.trial.unittest import TestCase

from s3shield.config import load
from s3shield.ops import AccessLog
from s3shield.service import Serving
from s3shield.wire import bind

reactor: Any = _reactor


def sleep(seconds: float) -> Deferred[None]:
    """Let the event loop turn for `seconds`."""
    return deferLater(reactor, seconds, lambda: None)


async def until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> None:
    """Wait for `condition`; fail with `what` when it does not come true."""
    deadline = reactor.seconds() + seconds
    while not condition():
        if reactor.seconds() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for: {what}")
        await sleep(0.005)


# ---------------------------------------------------------------- the origin


@attrs.define
class Asked:
    """One request as the origin saw it."""

    method: str
    target: str
    headers: dict[str, str]
    head: bytes


Answer = Callable[["OriginConnection", Asked], Any]


def answer(
    status: int = 200, body: bytes = b"hello", headers: dict[str, str] | None = None
) -> Answer:
    """An ordinary answer with Content-Length, and Connection kept."""

    def write(connection: OriginConnection, asked: Asked) -> None:
        fields = {"Content-Length": str(len(body)), **(headers or {})}
        if status in (204, 304):
            fields.pop("Content-Length")
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        head = f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode("latin-1")
        connection.send(head + (b"" if asked.method == "HEAD" else body))

    return write


def raw(*pieces: bytes, close: bool = False, abort: bool = False) -> Answer:
    """Exactly these bytes, then nothing, the end, or a reset."""

    def write(connection: OriginConnection, asked: Asked) -> None:
        for piece in pieces:
            connection.send(piece)
        if abort:
            connection.transport.abortConnection()
        elif close:
            connection.transport.unregisterProducer()  # it would be waited for
            connection.transport.loseConnection()

    return write


class OriginConnection(Protocol):
    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.buffer = b""
        self.paused = False
        self.gone = False

    def connectionMade(self) -> None:
        self.origin.connections += 1
        self.origin.open.add(self)
        self.transport.registerProducer(self, True)

    def connectionLost(self, reason: Any = None) -> None:
        self.gone = True
        self.origin.open.discard(self)

    def dataReceived(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            method, target, _version = lines[0].split(" ")
            headers = {
                name.strip().lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:])
            }
            asked = Asked(method, target, headers, head)
            self.origin.asked.append(asked)
            result = self.origin.reply(asked)(self, asked)
            if result is not None:
                ensureDeferred(result).addErrback(self.origin.failed)

    def send(self, data: bytes) -> None:
        self.origin.sent += len(data)
        self.transport.write(data)

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        self.paused = False


class Origin:
    """A plain HTTP origin that says what the test tells it to.

    answers: path -> answer, or a list of answers used up in order (the last one stays).
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer | list[Answer]] = {}
        self.asked: list[Asked] = []
        self.connections = 0
        self.open: set[OriginConnection] = set()
        self.sent = 0
        self.failures: list[Any] = []
        factory = Factory.forProtocol(lambda: OriginConnection(self))
        factory.noisy = False
        self.port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.number = self.port.getHost().port

    def reply(self, asked: Asked) -> Answer:
        found = self.answers.get(asked.target, answer(404, b"no such thing"))
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found

    def failed(self, failure: Any) -> None:
        self.failures.append(failure)

    async def stop(self) -> None:
        """Leave no connection behind: a daemon that has been ended closes its own in its time."""
        await maybeDeferred(self.port.stopListening)
        for connection in tuple(self.open):
            connection.transport.abortConnection()
        await until(lambda: not self.open, "the origin's connections to end")

    def targets(self) -> list[str]:
        return [asked.target for asked in self.asked]


# ---------------------------------------------------------------- the client


@attrs.define
class Got:
    """A response. whole: the connection did not end before the body did."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool
    lines: list[tuple[str, str]]

    @property
    def cache(self) -> str | None:
        return self.headers.get("x-cache-status")


class Client(Protocol):
    """One connection. Reads bytes as they come; `take` reads one response."""

    def __init__(self) -> None:
        self.buffer = b""
        self.ended = False
        self._waiting: Deferred[None] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.buffer += data
        self._wake()

    def connectionLost(self, reason: Any = None) -> None:
        self.ended = True
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    async def more(self) -> bool:
        if self.ended:
            return False
        self._waiting = Deferred()
        self._waiting.addTimeout(90, reactor)
        await self._waiting
        return True

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    async def take(self, *, head_only: bool = False) -> Got:
        """Read one response; a body is never read past what its framing says.

        A connection that ends before the head is the status 0.
        """
        while True:
            while b"\r\n\r\n" not in self.buffer:
                if not await self.more():
                    return Got(0, {}, self.buffer, False, [])
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            first, *rest = head.decode("latin-1").split("\r\n")
            status = int(first.split(" ")[1])
            if status >= 200:
                break
        lines = [(n.strip().lower(), v.strip()) for n, _, v in (r.partition(":") for r in rest)]
        headers: dict[str, str] = {}
        for name, value in lines:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        if head_only or status in (204, 304):
            return Got(status, headers, b"", True, lines)
        if headers.get("transfer-encoding") == "chunked":
            body, whole = await self._chunked()
        elif "content-length" in headers:
            length = int(headers["content-length"])
            while len(self.buffer) < length and await self.more():
                pass
            body, self.buffer = self.buffer[:length], self.buffer[length:]
            whole = len(body) == length
        else:
            while await self.more():
                pass
            body, self.buffer, whole = self.buffer, b"", True
        return Got(status, headers, body, whole, lines)

    async def _chunked(self) -> tuple[bytes, bool]:
        body = b""
        while True:
            while b"\r\n" not in self.buffer:
                if not await self.more():
                    return body + self.buffer, False
            line, _, self.buffer = self.buffer.partition(b"\r\n")
            size = int(line, 16)
            while len(self.buffer) < size + 2:
                if not await self.more():
                    return body + self.buffer[:size], False
            body += self.buffer[:size]
            self.buffer = self.buffer[size + 2 :]
            if size == 0:
                return body, True


# ---------------------------------------------------------------- the scenario


class Scenario(TestCase):
    """A test with an origin and, once `shield` was called, s3shield in front of it.

    location_options: lines added to `[location:/]`. options: to `[s3shield]`.
    """

    timeout = 300
    log = Logger()

    def setUp(self) -> None:
        self.origin = self.make_origin()
        self.addCleanup(self.origin.stop)
        self.addCleanup(lambda: self.assertEqual([], self.origin.failures))
        self.cache_path = os.path.abspath(self.mktemp())
        self.log_path = os.path.abspath(self.mktemp())
        self.serving: Serving | None = None
        self.address = ""

    def make_origin(self) -> Any:
        """Return the scripted origin."""
        return Origin()

    def config_text(self, location: str, cache: str, more: str) -> str:
        def indent(text: str) -> str:
            return "\n".join(line.strip() if "=" in line else line for line in text.splitlines())

        return f"""
[s3shield]
listen = 127.0.0.1:0
workers = 0

[cache:main]
path = {self.cache_path}
max_size = 1g
{indent(cache)}

[location:/]
origin = http://127.0.0.1:{self.origin.number}
{indent(location)}
{"" if "proxy_cache =" in location else "proxy_cache = main"}
{more}
"""

    async def shield(self, location: str = "", cache: str = "", more: str = "") -> None:
        """Start s3shield in this process on real sockets; stopped by itself at the end."""
        path = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.config_text(location, cache, more))
        await self.start(load(path))

    async def start(self, config: Any, **more: Any) -> None:
        """Serve `config`. more: for `Serving`, a clock for instance."""
        self.access_log = AccessLog(self.log_path, "json", reactor=reactor)
        serving = Serving(
            reactor, config, shared=False, access_log=self.access_log, log=self.log, **more
        )
        self.serving = serving
        sockets = [(listen, bind(listen.text)) for listen in config.listens]
        self.port = sockets[0][1].getsockname()[1]
        await serving.start(sockets)
        self.addCleanup(self.stop)

    async def stop(self) -> None:
        serving, self.serving = self.serving, None
        if serving is not None:
            await serving.stop(5.0)
            self.access_log.close()

    async def connect(self) -> Client:
        client = await connectProtocol(
            TCP4ClientEndpoint(reactor, "127.0.0.1", self.port), Client()
        )
        self.addCleanup(self._hang_up, client)
        return client

    async def _hang_up(self, client: Client) -> None:
        if not client.ended:
            client.transport.abortConnection()
            await until(lambda: client.ended, "the client's own connection to end")

    async def get(self, target: str, method: str = "GET", **headers: str) -> Got:
        """One request on a connection of its own. if_none_match=... -> If-None-Match: ..."""
        client = await self.connect()
        fields = {"host": "shield.test", "connection": "close"}
        fields.update({name.replace("_", "-"): value for name, value in headers.items()})
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        client.send(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))
        return await client.take(head_only=method == "HEAD")

    async def together(self, *requests: Awaitable[Any]) -> list[Any]:
        """Run several coroutines at once."""
        return await gatherResults([ensureDeferred(r) for r in requests], consumeErrors=True)

    async def until_waiting(self, count: int) -> None:
        """Wait until so many clients wait for the heads of what is being fetched."""
        assert self.serving is not None
        zones = self.serving._zones.values()

        def waiting() -> int:
            return sum(len(list(f._company)) for zone in zones for f in zone.flights.values())

        await until(lambda: waiting() >= count, f"{count} clients to wait")

    async def until_idle(self) -> None:
        """Wait for the end of all fetches that others could join."""
        assert self.serving is not None
        serving = self.serving
        await until(lambda: not serving.flights(), "the fetches to end")

    def logged(self) -> list[dict[str, Any]]:
        """The access log so far."""
        self.access_log.flush()
        with open(self.log_path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]


KEY: Final = base64.b64encode(b"k" * 32).decode()
"""A scoped signing key."""


class BucketScenario(Scenario):
    """The origin is a bucket, `private`, asked by path; nobody checks the signatures."""

    def config_text(self, location: str, cache: str, more: str) -> str:
        """The scenario's, with a bucket in the origin's place."""
        text = super().config_text(location, cache, more)
        return (
            text.replace(f"origin = http://127.0.0.1:{self.origin.number}", "bucket = b")
            + f"""
[bucket:b]
aws_s3_bucket = private
aws_endpoint = http://127.0.0.1:{self.origin.number}
aws_access_key = AKIAIOSFODNN7EXAMPLE
aws_signing_key = {KEY}
aws_key_scope = 20261124/us-east-1/s3/aws4_request
"""
        )
