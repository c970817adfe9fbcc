"""A real listening socket, raw clients and a site to order, for the server's tests."""

from collections.abc import Callable

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.internet.task import Clock, deferLater
from zope.interface import implementer

from s3shield.wire.channel_factory import ChannelFactory
from s3shield.wire.listen import bind, listen_socket, listen_twisted, uv_loop
from s3shield.wire.transport import unsent_bytes


@implementer(IHalfCloseableProtocol)
class RawClient(Protocol):
    """Sends bytes as they are and keeps what comes back."""

    def __init__(self):
        self._pieces = []
        self.size = 0  # bytes received
        self.eof = False  # the server has sent its last byte
        self.gone = False
        self.reason = None
        self._waiting = []

    def send(self, *pieces: bytes):
        """Write each piece."""
        for piece in pieces:
            self.transport.write(piece)

    def until(self, reached: Callable[["RawClient"], bool]):
        """Fire when `reached(self)` is true."""
        done = Deferred()
        self._waiting.append((reached, done))
        self._check()
        return done

    def ended(self):
        """Fire with all bytes when the server has sent its last one."""
        return self.until(lambda client: client.eof).addCallback(lambda _: self.received)

    def holds(self, text: bytes, times: int = 1):
        """Fire when `text` has been received `times` times."""
        return self.until(lambda client: client.received.count(text) >= times)

    @property
    def received(self):
        """All bytes so far."""
        self._pieces = [b"".join(self._pieces)]
        return self._pieces[0]

    def dataReceived(self, data):
        """Keep it."""
        self._pieces.append(data)
        self.size += len(data)
        self._check()

    def readConnectionLost(self):
        """Note the end."""
        self.eof = True
        self._check()

    def writeConnectionLost(self):
        """Nothing to note."""

    def connectionLost(self, reason):
        """Note the end and why."""
        self.eof = self.gone = True
        self.reason = reason
        self._check()

    def _check(self):
        for waiting in list(self._waiting):
            reached, done = waiting
            if waiting in self._waiting and reached(self):
                self._waiting.remove(waiting)
                done.callback(self)


class Connector(ClientFactory):
    noisy = False

    def __init__(self):
        self.made = Deferred()

    def buildProtocol(self, addr):
        """Return the client."""
        client = RawClient()
        client.connectionMade = lambda: self.made.callback(client)
        return client

    def clientConnectionFailed(self, connector, reason):
        """Fail `made`."""
        self.made.errback(reason)


class Source:
    """A producer that counts what it is told."""

    def __init__(self):
        self.paused = self.resumed = self.stopped = 0
        self.when_resumed = lambda: None

    def pauseProducing(self):
        """Count it."""
        self.paused += 1

    def resumeProducing(self):
        """Count it, and let the test act."""
        self.resumed += 1
        self.when_resumed()

    def stopProducing(self):
        """Count it."""
        self.stopped += 1


class OrderedSite:
    """Answers `METHOD path` at once; paths that begin with /late are kept for the test."""

    def __init__(self):
        self.requests = []
        self.late = []
        self._waiting = []

    def __call__(self, request, downstream):
        """Note the request and answer it."""
        self.requests.append(request)
        if request.path.startswith(b"/fail"):
            raise ZeroDivisionError
        if request.path.startswith(b"/late"):
            self.late.append(downstream)
        else:
            answer(downstream, request.method + b" " + request.path)
        for done in list(self._waiting):
            number, fire = done
            if len(self.requests) >= number:
                self._waiting.remove(done)
                reactor.callLater(0, fire.callback, None)  # not inside the site's call

    def asked(self, number):
        """Fire when `number` requests have come."""
        done = Deferred()
        if len(self.requests) >= number:
            done.callback(None)
        else:
            self._waiting.append((number, done))
        return done


def head_of(length, status=b"200 OK"):
    """Return a response head as the exchange makes it."""
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n" % (status, length)


def answer(downstream, body=b"ok"):
    """Reply with `body`."""
    downstream.reply(head_of(len(body)), body)


class Serving:
    """Mixin for TestCase: `serve()` and `connect()`, all ended when the test is."""

    timeout = 20
    tls = None

    def setUp(self):
        """Make what each test needs."""
        self.clock = Clock()
        self.site = OrderedSite()
        self.rejected = []
        self.clients = []
        self.factory = ChannelFactory(
            self._to_site,
            self.clock,
            monotonic=self.clock.seconds,
            rejected=lambda *what: self.rejected.append(what),
        )

    def _to_site(self, request, downstream):
        self.site(request, downstream)  # tests put their own there

    async def serve(self, listen="127.0.0.1:0"):
        """Listen."""
        self.port = await self.listen(bind(listen))
        self.addCleanup(self._end)
        return self.port

    async def connect(self):
        """Return a connected client."""
        made = Connector()
        host = self.port.getHost()
        if hasattr(host, "port"):
            reactor.connectTCP(host.host, host.port, made)
        else:
            reactor.connectUNIX(host.name, made)
        client = await made.made
        self.clients.append(client)
        return client

    async def ask(self, *pieces):
        """Connect, send, and return all that comes until the server closes."""
        client = await self.connect()
        client.send(*pieces)
        return await client.ended()

    def turn(self):
        """Fire after one turn of the event loop."""
        return deferLater(reactor, 0.001)

    async def channel(self):
        """Return the one channel there is, when it is there."""
        while not self.factory._channels:
            await self.turn()
        (channel,) = self.factory._channels
        return channel

    async def settled(self):
        """Return when the one channel sends nothing more: the kernel's buffers are full."""
        channel = await self.channel()
        before, still = -1, 0
        while still < 20:
            await self.turn()
            unsent = unsent_bytes(channel.transport)
            still = still + 1 if unsent == before else 0
            before = unsent

    async def seen(self, channel, number):
        """Return when `number` bytes are pending in `channel`."""
        while len(channel._backlog) < number:
            await self.turn()

    async def nobody(self):
        """Return when no connection is open."""
        while self.factory.connections:
            await self.turn()

    def tick(self, seconds):
        """Let time pass, second by second."""
        while seconds > 0:
            self.clock.advance(min(1, seconds))
            seconds -= 1

    async def _end(self):
        await maybeDeferred(self.port.stopListening)
        for client in self.clients:
            if not client.gone:
                client.transport.abortConnection()
                await client.until(lambda client: client.gone)
        for channel in list(self.factory._channels):
            channel.cut()
        await self.factory.drain()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class OnUvloop(Serving):
    """On uvloop's own transports."""

    if uv_loop(reactor) is None:
        skip = "the reactor is not on uvloop"

    def listen(self, sock):
        """Serve the factory on `sock`."""
        return listen_socket(reactor, sock, self.factory, self.tls)


class OnTwisted(Serving):
    """On the transports of whichever reactor runs the tests."""

    async def listen(self, sock):
        """Serve the factory on `sock`."""
        return listen_twisted(reactor, sock, self.factory, self.tls)
