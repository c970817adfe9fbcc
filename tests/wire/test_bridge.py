"""The door through twisted.web: any of its sites serves what the channel serves."""

from types import SimpleNamespace

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from s3shield.wire.bridge import RequestDownstream, request_from
from s3shield.wire.listen import listen_twisted
from tests.wire.serving import Serving, Source, answer, head_of


class Bridged(Resource):
    """Every request goes to `test.site`."""

    isLeaf = True

    def __init__(self, test):
        super().__init__()
        self.test = test

    def render(self, request):
        """Hand it to the site."""
        self.test.site(request_from(request, 1.5), RequestDownstream(request))
        return NOT_DONE_YET


class BridgeTests(Serving, TestCase):
    """Real sockets and twisted.web's own HTTP/1.1."""

    timeout = 20

    async def listen(self, sock):
        """Serve the factory on `sock`."""
        web = Site(Bridged(self), reactor=reactor, timeout=None)
        web.noisy = False
        return listen_twisted(reactor, sock, web)

    async def late(self, *more, version=b"HTTP/1.1"):
        """Return a client and the downstream of its request."""
        await self.serve()
        client = await self.connect()
        client.send(b"GET /late %b\r\nHost: a\r\n\r\n" % version, *more)
        await self.site.asked(1)
        return client, self.site.late[0]

    async def test_request(self):
        """The same attributes as the channel's requests have."""
        await self.serve()
        client = await self.connect()
        client.send(
            b"GET /a%20b?x=1 HTTP/1.1\r\nHost: A.Example.:80\r\nX-One: 1\r\nx-one: 2\r\n"
            b"Cookie: a=b\r\nCookie: c=d\r\nETag: x\r\n\r\n"
        )
        await client.holds(b"GET /a%20b")
        (request,) = self.site.requests
        self.assertEqual((request.method, request.target), (b"GET", b"/a%20b?x=1"))
        self.assertEqual((request.path, request.query), (b"/a%20b", b"x=1"))
        self.assertEqual((request.host, request.peer), (b"a.example", b"127.0.0.1"))
        self.assertEqual((request.version, request.scheme), ((1, 1), b"http"))
        self.assertEqual(request.started, 1.5)
        self.assertEqual(request.headers[b"x-one"], b"1, 2")
        self.assertEqual(request.headers[b"cookie"], b"a=b; c=d")
        self.assertEqual(set(request.headers), {b"host", b"x-one", b"cookie", b"etag"})

    async def test_reply(self):
        """Status, reason, fields (repeated ones too) and body as given, nothing made up."""
        client, down = await self.late()
        down.reply(
            b"HTTP/1.1 404 Not Here\r\nContent-Length: 3\r\nX-A: 1\r\nX-A: 2\r\nServer: us\r\n",
            b"abc",
        )
        await client.holds(b"\r\n\r\nabc")
        top, _, _ = client.received.partition(b"\r\n\r\n")
        status, *fields = top.split(b"\r\n")
        self.assertEqual(status, b"HTTP/1.1 404 Not Here")
        fields = [field for field in fields if not field.startswith(b"Date: ")]
        self.assertEqual(
            sorted(fields), [b"Content-Length: 3", b"Server: us", b"X-A: 1", b"X-A: 2"]
        )

    async def test_head(self):
        """The answer to HEAD has its length and no body; the connection goes on."""
        await self.serve()
        self.site = lambda _, down: down.reply(head_of(100), b"")
        client = await self.connect()
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
        await client.holds(b"\r\n\r\n", 2)
        self.assertEqual(client.received.count(b"HTTP/1.1 200 OK"), 2)
        self.assertEqual(client.received.count(b"Content-Length: 100"), 2)

    async def test_not_modified(self):
        """A 304 has neither body nor framing."""
        client, down = await self.late()
        down.reply(b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n', b"")
        await client.holds(b"\r\n\r\n")
        self.assertNotIn(b"Transfer-Encoding", client.received)
        self.assertNotIn(b"Content-Type", client.received)

    async def test_stream(self):
        """Pieces with a length, and late calls that do nothing."""
        client, down = await self.late()
        down.start(head_of(6), 6, Source())
        await client.holds(b"\r\n\r\n")
        down.write(b"abc")
        down.write(memoryview(b"def"))
        down.finish()
        late = Source()
        down.write(b"WRONG")
        answer(down, b"WRONG")
        down.start(head_of(1), 1, late)
        down.finish()
        down.abort()
        self.assertEqual(late.stopped, 1)
        client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.holds(b"GET /next")
        self.assertIn(b"\r\n\r\nabcdefHTTP/1.1 200", client.received)

    async def test_chunked(self):
        """Without a length twisted.web chunks."""
        client, down = await self.late()
        down.start(b"HTTP/1.1 200 OK\r\n", None, Source())
        down.write(b"abc")
        down.finish()
        await client.holds(b"3\r\nabc\r\n0\r\n\r\n")
        self.assertEqual(client.received.count(b"Transfer-Encoding: chunked"), 1)

    async def test_backpressure(self):
        """The producer is paused by a slow client and resumed as it reads."""
        client, down = await self.late()
        client.transport.pauseProducing()
        source = Source()
        size = 32 << 20
        down.start(head_of(size), size, source)
        down.write(b"x" * size)
        while not source.paused:
            await self.turn()
        client.transport.resumeProducing()
        while not source.resumed:
            await self.turn()
        down.finish()
        await client.until(lambda client: client.size > size)

    async def test_cut(self):
        """Abort, too few and too many bytes: the body stays short."""
        await self.serve()
        for end in ("abort", "few", "many"):
            client = await self.connect()
            client.send(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
            await self.site.asked(len(self.site.requests) + 1)
            down = self.site.late[-1]
            down.start(head_of(6), 6, Source())
            down.write(b"abc")
            await client.holds(b"abc")
            if end == "abort":
                down.abort()
            elif end == "few":
                down.finish()
            else:
                down.write(b"defg")
            got = await client.ended()
            self.assertTrue(got.endswith(b"\r\n\r\nabc"), end)

    async def test_client_leaves(self):
        """The producer is stopped and whoever waits is told; later calls do nothing."""
        client, down = await self.late()
        source, gone = Source(), []
        down.on_gone(lambda: gone.append(1))
        down.start(head_of(6), 6, source)
        client.transport.abortConnection()
        while not source.stopped:
            await self.turn()
        down.write(b"abc")
        down.finish()
        down.abort()
        down.on_gone(lambda: gone.append(2))
        late = Source()
        down.start(head_of(6), 6, late)
        self.assertEqual((source.stopped, late.stopped, gone), (1, 1, [1, 2]))


class RequestFromTests(SynchronousTestCase):
    def test_version_and_host(self):
        """HTTP/1.0 is told apart; HTTP/2 counts as 1.1; a host that is none is empty."""
        for proto, version in [(b"HTTP/1.0", (1, 0)), (b"HTTP/1.1", (1, 1)), (b"HTTP/2", (1, 1))]:
            irequest = SimpleNamespace(
                method=b"GET",
                uri=b"/",
                clientproto=proto,
                requestHeaders=Headers({b"Host": [b"a/b"]}),
                getClientAddress=lambda: None,
                isSecure=lambda: True,
            )
            request = request_from(irequest, 0.0)
            self.assertEqual((request.version, request.host), (version, b""))
            self.assertEqual((request.peer, request.scheme), (b"unix:", b"https"))
