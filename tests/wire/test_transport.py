"""The adapter of uvloop's transports, at both ends of a connection."""

import socket

from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IHalfCloseableProtocol, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from s3shield.wire.listen import bind, uv_loop
from s3shield.wire.transport import UvTransport, peer_text, unsent_bytes
from tests.wire.serving import Source

LOOP = uv_loop(reactor)


class Peer(Protocol):
    """One end: keeps what happens to it."""

    def __init__(self):
        self.received = b""
        self.size = 0
        self.lost = Deferred()
        self.is_lost = False

    def dataReceived(self, data):
        """Keep it."""
        self.size += len(data)
        if len(self.received) < 1000:
            self.received += data

    def connectionLost(self, reason):
        """Note the end and why."""
        self.is_lost = True
        self.lost.callback([reason])


@implementer(IHalfCloseableProtocol)
class HalfPeer(Peer):
    """One end that can do without reading."""

    read_lost = False

    def readConnectionLost(self):
        """Note the end."""
        self.read_lost = True

    def writeConnectionLost(self):
        """Nothing to note."""


async def turns(until):
    """Return when `until()` is true."""
    while not until():
        await deferLater(reactor, 0.001)


class UvTransportTests(TestCase):
    if LOOP is None:
        skip = "the reactor is not on uvloop"
    timeout = 20

    async def pair(self, listen="127.0.0.1:0", ours=Peer, theirs=Peer):
        """Return two connected ends: the one that connected, and the one accepted."""
        accepted = []

        def accept():
            accepted.append(theirs())
            return UvTransport(accepted[0])

        sock = bind(listen)
        address = sock.getsockname()
        family = sock.family
        one = ours()
        if family == socket.AF_UNIX:
            server = await self.of(LOOP.create_unix_server(accept, sock=sock))
            await self.of(LOOP.create_unix_connection(lambda: UvTransport(one), address))
        else:
            server = await self.of(LOOP.create_server(accept, sock=sock))
            await self.of(LOOP.create_connection(lambda: UvTransport(one), *address[:2]))
        self.addCleanup(self.end, server, one, accepted)
        await turns(lambda: accepted and (accepted[0].connected or accepted[0].is_lost))
        return one, accepted[0]

    def of(self, coroutine):
        """Return the Deferred of a coroutine of asyncio's."""
        return Deferred.fromFuture(LOOP.create_task(coroutine))

    async def end(self, server, one, accepted):
        """Close it all."""
        server.close()
        for end in (one, *accepted):
            end.transport.abortConnection()  # does nothing where it has ended
        await turns(lambda: one.is_lost and all(end.is_lost for end in accepted))

    async def test_interfaces(self):
        """It is what Twisted's protocols expect."""
        one, _ = await self.pair()
        verifyObject(ITCPTransport, one.transport)
        verifyObject(IConsumer, one.transport)

    async def test_both_ways(self):
        """Bytes, sequences and buffers arrive in order."""
        one, two = await self.pair()
        one.transport.write(b"a")
        one.transport.writeSequence([b"b", b"c"])
        one.transport.write(memoryview(b"xdx")[1:2])
        two.transport.write(b"back")
        await turns(lambda: two.size == 4 and one.size == 4)
        self.assertEqual((two.received, one.received), (b"abcd", b"back"))

    async def test_addresses(self):
        """Peer and host, the same seen from both ends."""
        one, two = await self.pair()
        self.assertEqual(one.transport.getPeer(), two.transport.getHost())
        self.assertEqual(two.transport.getPeer(), one.transport.getHost())
        self.assertEqual(one.transport.getPeer().host, "127.0.0.1")

    async def test_ipv6(self):
        """IPv6 addresses."""
        one, two = await self.pair("[::1]:0")
        self.assertEqual(one.transport.getPeer(), two.transport.getHost())
        self.assertEqual(peer_text(two.transport.getPeer()), b"::1")

    async def test_unix(self):
        """Unix sockets, whose clients have no address."""
        one, two = await self.pair("unix:" + self.mktemp())
        one.transport.write(b"a")
        await turns(lambda: two.size)
        self.assertEqual(peer_text(two.transport.getPeer()), b"unix:")

    async def test_lose_connection(self):
        """What was written is sent; both ends are told of an orderly end."""
        one, two = await self.pair()
        one.transport.write(b"x" * (1 << 20))
        one.transport.loseConnection()
        one.transport.loseConnection()
        (await two.lost)[0].trap(ConnectionDone)
        (await one.lost)[0].trap(ConnectionDone)
        self.assertEqual(two.size, 1 << 20)

    async def test_lose_connection_waits_for_the_producer(self):
        """As Twisted's: closing waits until the producer is unregistered."""
        one, two = await self.pair()
        one.transport.registerProducer(Source(), True)
        one.transport.loseConnection()
        one.transport.write(b"late")
        await turns(lambda: two.size == 4)
        self.assertFalse(two.is_lost)
        one.transport.unregisterProducer()
        (await two.lost)[0].trap(ConnectionDone)

    async def test_abort(self):
        """Unsent bytes are dropped; our own protocol hears that it was aborted."""
        one, two = await self.pair()
        two.transport.pauseProducing()
        one.transport.write(b"x" * (32 << 20))
        one.transport.abortConnection()
        (await one.lost)[0].trap(ConnectionAborted)
        two.transport.resumeProducing()
        await two.lost
        self.assertLess(two.size, 32 << 20)

    async def test_reset(self):
        """A reset is a ConnectionLost, not an orderly end."""
        one, two = await self.pair()
        one.transport.reset_on_close()
        one.transport.abortConnection()
        (await two.lost)[0].trap(ConnectionLost)

    async def test_failing_protocol(self):
        """A protocol that fails when its connection is made is logged and loses it."""

        class Failing(Peer):
            def connectionMade(self):
                raise ZeroDivisionError

        one, two = await self.pair(theirs=Failing)
        (await two.lost)[0].trap(ConnectionAborted)
        (await one.lost)[0].trap(ConnectionDone)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_after_the_end(self):
        """Calls on a connection that is no more do nothing."""
        one, _ = await self.pair()
        transport = one.transport
        transport.abortConnection()
        await one.lost
        transport.write(b"x")
        transport.writeSequence([b"x"])
        transport.loseConnection()
        transport.loseWriteConnection()
        transport.abortConnection()
        transport.pauseProducing()
        transport.resumeProducing()
        transport.unregisterProducer()
        self.assertEqual(unsent_bytes(transport), 0)
        source = Source()
        transport.registerProducer(source, True)
        self.assertEqual(source.stopped, 1)

    async def test_producer(self):
        """It is paused above 256 KiB unsent, resumed as they drain, stopped at the end."""
        one, two = await self.pair()
        two.transport.pauseProducing()
        source = Source()
        one.transport.registerProducer(source, True)
        self.assertRaises(RuntimeError, one.transport.registerProducer, Source(), True)
        while not source.paused:
            one.transport.write(b"x" * 65536)
            await deferLater(reactor, 0)
        self.assertGreater(one.transport.write_buffer_size(), 256 * 1024)
        self.assertEqual(source.resumed, 0)
        two.transport.resumeProducing()
        await turns(lambda: source.resumed)
        self.assertLessEqual(one.transport.write_buffer_size(), 64 * 1024)
        one.transport.abortConnection()
        await one.lost
        self.assertEqual((source.paused, source.resumed, source.stopped), (1, 1, 1))

    async def test_late_producer(self):
        """A producer registered while the buffer is full is paused at once."""
        one, two = await self.pair()
        two.transport.pauseProducing()
        one.transport.write(b"x" * (32 << 20))
        source = Source()
        one.transport.registerProducer(source, True)
        self.assertEqual(source.paused, 1)

    async def test_pull_producers(self):
        """They are refused."""
        one, _ = await self.pair()
        self.assertRaises(ValueError, one.transport.registerProducer, Source(), False)

    async def test_half_close(self):
        """A protocol that can do without reading writes on; another is closed."""
        one, two = await self.pair(ours=HalfPeer, theirs=HalfPeer)
        one.transport.loseWriteConnection()
        await turns(lambda: two.read_lost)
        two.transport.write(b"still here")
        await turns(lambda: one.size == 10)
        two.transport.loseConnection()
        await two.lost
        plain, other = await self.pair(ours=HalfPeer)
        plain.transport.loseWriteConnection()
        (await other.lost)[0].trap(ConnectionDone)

    async def test_pause_reading(self):
        """A paused end receives nothing until it resumes."""
        one, two = await self.pair()
        two.transport.pauseProducing()
        two.transport.pauseProducing()
        one.transport.write(b"abc")
        for _ in range(10):
            await deferLater(reactor, 0.001)
        self.assertEqual(two.size, 0)
        two.transport.resumeProducing()
        two.transport.resumeProducing()
        await turns(lambda: two.size == 3)

    async def test_socket_options(self):
        """TCP_NODELAY is on by itself; both options can be set."""
        one, _ = await self.pair()
        transport = one.transport
        self.assertTrue(transport.getTcpNoDelay())
        transport.setTcpNoDelay(False)
        self.assertFalse(transport.getTcpNoDelay())
        self.assertFalse(transport.getTcpKeepAlive())
        transport.setTcpKeepAlive(True)
        self.assertTrue(transport.getTcpKeepAlive())


class PeerTextTests(SynchronousTestCase):
    def test_mapped(self):
        """An IPv4 client of a dual-stack socket looks like any IPv4 client."""
        for address, text in [
            (IPv4Address("TCP", "192.0.2.1", 1), b"192.0.2.1"),
            (IPv6Address("TCP", "::ffff:192.0.2.1", 1), b"192.0.2.1"),
            (IPv6Address("TCP", "2001:db8::1", 1), b"2001:db8::1"),
            (None, b"unix:"),
        ]:
            self.assertEqual(peer_text(address), text)
