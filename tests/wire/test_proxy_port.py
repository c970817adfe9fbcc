"""Listening behind PROXY headers, with TLS and without, on both kinds of transport."""

from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate as TrustedCertificate
from twisted.internet.ssl import optionsForClientTLS, trustRootFromCertificates
from twisted.logger import globalLogPublisher
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase

from s3shield.wire.proxy_port import ProxyRules, listen_proxied
from s3shield.wire.tls import Certificate, ServerTls
from tests.wire.certificates import Authority
from tests.wire.serving import OnTwisted, OnUvloop, RawClient

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
V1 = b"PROXY TCP4 192.0.2.1 10.0.0.1 12345 80\r\n"
V2 = (
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x27"
    + bytes.fromhex("20010db8000000000000000000000001")
    + bytes(16)
    + b"\x30\x39\0\x50"
    + b"\x04\0\0"
)


class Proxied:
    """A port for `self.trusted` addresses."""

    trusted = (b"127.0.0.1", b"unix:")
    limit = 60.0
    replaces = True

    async def listen(self, sock):
        """Serve the factory on `sock`."""
        rules = ProxyRules(lambda peer: peer in self.trusted, self.limit, self.replaces)
        return listen_proxied(
            reactor, sock, self.factory, rules, self.tls, on_twisted=isinstance(self, OnTwisted)
        )

    def watch_log(self):
        """Return the list that warnings from now on go to."""
        seen = []

        def observe(event):
            if event["log_level"].name != "info":
                seen.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return seen

    def peers(self):
        """Return the addresses of those who have asked."""
        return [request.peer for request in self.site.requests]

    async def test_header_and_request(self):
        """Both in one piece, or the request later: the client is who the header says."""
        await self.serve()
        for pieces in ((V1 + GET,), (V2 + GET + GET,), (V1, GET)):
            client = await self.connect()
            client.send(pieces[0])
            for piece in pieces[1:]:
                await self.channel_of(len(self.clients))
                client.send(piece)
            await client.holds(b"GET /x", b"".join(pieces).count(GET))
        self.assertEqual(self.peers(), [b"192.0.2.1", b"2001:db8::1", b"2001:db8::1", b"192.0.2.1"])

    async def channel_of(self, count):
        """Return when so many clients are connected."""
        while self.factory.connections < count:
            await self.turn()

    async def test_byte_by_byte(self):
        """A header in pieces is put together, and nothing behind it is lost."""
        await self.serve()
        client = await self.connect()
        client.transport.setTcpNoDelay(True)
        for at in range(len(V2)):
            client.send(V2[at : at + 1])
            if at % 9 == 0:
                await self.turn()
        client.send(GET)
        await client.holds(b"GET /x")
        self.assertEqual(self.peers(), [b"2001:db8::1"])

    async def test_own_connection(self):
        """The balancer's own requests have its own address; and so have all without `replaces`."""
        await self.serve()
        client = await self.connect()
        client.send(b"PROXY UNKNOWN\r\n" + GET)
        await client.holds(b"GET /x")
        self.assertEqual(self.peers(), [b"127.0.0.1"])

    async def test_not_replaced(self):
        """Another field says who the client is: the header is read and that is all."""
        self.replaces = False
        await self.serve()
        client = await self.connect()
        client.send(V1 + GET)
        await client.holds(b"GET /x")
        self.assertEqual(self.peers(), [b"127.0.0.1"])

    async def test_unix(self):
        """On a unix socket."""
        await self.serve("unix:" + self.mktemp())
        client = await self.connect()
        client.send(V1 + GET)
        await client.holds(b"GET /x")
        self.assertEqual(self.peers(), [b"192.0.2.1"])

    async def test_stranger(self):
        """Who is not trusted is refused before a byte is read; a flood is one line a second."""
        self.trusted = ()
        seen = self.watch_log()
        await self.serve()
        for _ in range(20):
            client = await self.connect()
            await client.ended()
        self.assertEqual(self.peers(), [])
        self.assertLess(len(seen), 20)
        self.assertRegex(
            seen[0],
            r"^127\.0\.0\.1:\d+: a connection from 127\.0\.0\.1 is refused: it is not in "
            r"set_real_ip_from$",
        )

    async def test_bad(self):
        """No header, a broken one, one that is cut off: the end, and a line that says why."""
        await self.serve()
        for data, words in (
            (GET, "what comes is no PROXY header"),
            (b"PROXY TCP4 nonsense\r\n" + GET, "has not the right words"),
            (b"PROXY UNKNOWN " + b"x" * 200, "too long"),
        ):
            seen = self.watch_log()
            self.port._told.clear()
            client = await self.connect()
            client.send(data)
            await client.ended()
            self.assertEqual(len(seen), 1, seen)
            self.assertIn(": a PROXY header of 127.0.0.1: ", seen[0])
            self.assertIn(words, seen[0])
        self.assertEqual((self.peers(), self.factory.connections), ([], 0))

    async def test_half(self):
        """Half a header and then nothing: it ends with the time that a head may take."""
        self.limit = 0.05
        seen = self.watch_log()
        await self.serve()
        for data in (b"", V1[:20], V2[:20]):
            client = await self.connect()
            client.send(data)
            await client.ended()
        self.assertIn("it has not come in time", seen[0])
        self.assertEqual((self.peers(), self.port._waiting), ([], set()))

    async def test_gone_early(self):
        """A client that ends in the middle is told of, one that only looks in is not."""
        seen = self.watch_log()
        await self.serve()
        for data in (b"", V1[:20]):
            client = await self.connect()
            client.send(data)
            client.transport.loseWriteConnection()
            await client.ended()
        self.assertEqual(len(seen), 1, seen)
        self.assertIn("it ends early", seen[0])

    async def test_stopped(self):
        """At a stop those whose header has not come go; those who are served stay."""
        await self.serve()
        waiting, served = await self.connect(), await self.connect()
        waiting.send(V1[:20])
        served.send(V1 + GET)
        await served.holds(b"GET /x")
        while not self.port._waiting:
            await self.turn()
        await self.port.stopListening()
        await waiting.ended()
        served.send(GET)
        await served.holds(b"GET /x", 2)

    async def serve_tls(self, **options):
        """Listen with TLS behind the header."""
        self.authority = Authority()
        pair = self.authority.files(self.mktemp(), "a.test")
        self.tls = ServerTls([((), Certificate([pair]))], **options)
        await self.serve()

    async def test_tls(self):
        """The header in front of the handshake, in one segment with its first bytes."""
        await self.serve_tls()
        trust = trustRootFromCertificates([TrustedCertificate.loadPEM(self.authority.pem)])
        client = await self.connect()
        inner = RawClient()
        secured = TLSMemoryBIOFactory(
            optionsForClientTLS("a.test", trustRoot=trust), True, Factory.forProtocol(lambda: inner)
        )
        wrapped = secured.buildProtocol(None)
        transport = client.transport
        first, transport.write = transport.write, lambda data: first(V1 + data)
        transport.protocol = wrapped
        wrapped.makeConnection(transport)
        transport.write = first
        inner.send(GET)
        await inner.holds(b"GET /x")
        self.assertEqual(self.peers(), [b"192.0.2.1"])
        self.assertEqual(self.site.requests[0].scheme, b"https")
        transport.abortConnection()
        await inner.until(lambda client: client.gone)
        client.gone = True

    async def test_no_tls(self):
        """Who speaks no TLS behind the header is let go of without a fuss."""
        seen = self.watch_log()
        await self.serve_tls()
        client = await self.connect()
        client.send(V1 + GET)
        await client.ended()
        self.assertEqual((self.peers(), seen), ([], []))


class ProxiedOnUvloop(Proxied, OnUvloop, TestCase):
    pass


class ProxiedOnTwisted(Proxied, OnTwisted, TestCase):
    pass
