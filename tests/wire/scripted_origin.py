"""An origin that says exactly the bytes it is told to, for tests of whoever talks to one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger

__all__ = [
    "ABORT",
    "CLOSE",
    "HANG",
    "READ",
    "ScriptedConnection",
    "ScriptedOrigin",
    "Wait",
    "chunked",
    "response",
]


class _Word:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


READ = _Word("READ")
"""Wait until one more whole request head has come."""
CLOSE = _Word("CLOSE")
"""Close the connection in good order, after what was sent."""
ABORT = _Word("ABORT")
"""Reset the connection."""
HANG = _Word("HANG")
"""Do nothing more, and leave the connection open."""


@attrs.frozen
class Wait:
    """Wait until the Deferred that `event` returns has fired."""

    event: Callable[[], Deferred]


Action = bytes | _Word | Wait


def response(body: bytes = b"", *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """Return a whole response with a Content-Length."""
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*chunks: bytes, trailer: bytes = b"") -> bytes:
    """Return a whole response with chunked body."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks)
    return (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + body
        + b"0\r\n"
        + trailer
        + b"\r\n"
    )


class ScriptedConnection(Protocol):
    """One connection: does the actions of its script in order.

    requests: the heads that came. lost: a Deferred that fires when it is gone.
    """

    def __init__(self, origin: ScriptedOrigin, script: Sequence[Action]) -> None:
        self.origin = origin
        self.script = list(script)
        self.buffer = b""
        self.requests: list[bytes] = []
        self.open = False
        self.lost: Deferred[None] = Deferred()
        self._waiting = False

    def connectionMade(self) -> None:
        """Begin the script."""
        self.open = True
        self.transport.setTcpNoDelay(True)
        self.origin.connections.append(self)
        self._go()

    def dataReceived(self, data: bytes) -> None:
        """Collect, and go on with the script."""
        self.buffer += data
        self._go()

    def connectionLost(self, reason) -> None:
        """Tell who waits for it."""
        self.open = False
        self.lost.callback(None)
        self.origin._gone()

    def write(self, data: bytes) -> None:
        """Send out of script."""
        self.transport.write(data)

    def close(self) -> None:
        """Close out of script."""
        self.transport.loseConnection()

    def _go(self) -> None:
        while self.script and self.open and not self._waiting:
            action = self.script[0]
            if action is READ:
                head, end, rest = self.buffer.partition(b"\r\n\r\n")
                if not end:
                    return
                self.buffer = rest
                self.requests.append(head + end)
                self.origin.requests.append(head + end)
            elif action is HANG:
                return
            del self.script[0]
            if isinstance(action, bytes):
                self.transport.write(action)
            elif isinstance(action, Wait):
                self._waiting = True
                action.event().addCallback(self._on)
            elif action is CLOSE:
                self.transport.loseConnection()
            elif action is ABORT:
                self.transport.abortConnection()

    def _on(self, result: object) -> object:
        self._waiting = False
        self._go()
        return result


class ScriptedOrigin(Factory):
    """Listens on 127.0.0.1; each new connection takes the next script, the last for ever.

    requests: every head, in order of arrival. connections: all there were. port: int.
    context: a CertificateOptions to speak TLS.
    """

    noisy = False
    log = Logger()

    def __init__(self, *scripts: Sequence[Action], context: object = None) -> None:
        self._scripts = list(scripts)
        self.requests: list[bytes] = []
        self.connections: list[ScriptedConnection] = []
        self._all_gone: list[Deferred] = []
        if context is None:
            self._listening = reactor.listenTCP(0, self, interface="127.0.0.1")
        else:
            self._listening = reactor.listenSSL(0, self, context, interface="127.0.0.1")
        self.port = self._listening.getHost().port

    def buildProtocol(self, addr: object) -> ScriptedConnection:
        """Give the next script to a new connection."""
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        return ScriptedConnection(self, script)

    def gone(self) -> Deferred:
        """Return a Deferred that fires when no connection is open."""
        done: Deferred = Deferred()
        self._all_gone.append(done)
        self._gone()
        return done

    def _gone(self) -> None:
        if not any(each.open for each in self.connections):
            waiting, self._all_gone = self._all_gone, []
            for each in waiting:
                each.callback(None)

    async def refuse(self) -> None:
        """Stop listening: a new connection is refused from now on."""
        listening, self._listening = self._listening, None
        if listening is not None:
            await maybeDeferred(listening.stopListening)

    async def stop(self) -> None:
        """Stop listening and drop what is open."""
        await self.refuse()
        for each in self.connections:
            if each.open:
                each.transport.abortConnection()
        await self.gone()
