"""Bodies that the site wants: their framing, their pace, and how they end, over real sockets."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase, TestCase

from s3shield.wire import BodyPlan, StreamedRequest
from s3shield.wire.request_body import BodyReader
from s3shield.wire.request_head import UNKNOWN_LENGTH, Refused
from tests.wire.serving import OnTwisted, OnUvloop, answer
from tests.wire.test_bad_requests import SMUGGLING
from tests.wire.test_server import get, statuses

LIMIT = 100 << 20
GATHER = 64
LARGE = bytes(range(256)) * 40_000


def chunks(body, sizes):
    """Return `body` in chunks of `sizes`, the last of which repeats, with trailers."""
    text, at, sizes = b"", 0, list(sizes)
    while at < len(body):
        size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
        piece = body[at : at + size]
        text += b'%x ;a="b"\r\n%b\r\n' % (len(piece), piece)
        at += size
    return text + b"000\r\nTrailer: one\r\nTwo: 2\r\n\r\n"


class Taker:
    """Takes a body; pauses after each piece when told to."""

    def __init__(self, upload, *, pausing=False):
        self.upload = upload
        self.pausing = pausing
        self.pieces = []
        self.ends = 0

    @property
    def body(self):
        """What came so far."""
        return b"".join(self.pieces)

    def upload_data(self, data):
        """See `UploadSink`."""
        self.pieces.append(data)
        if self.pausing:
            self.upload.pause()

    def upload_end(self):
        """See `UploadSink`."""
        self.ends += 1


class Uploads:
    """What is true on both transports."""

    async def streaming(self, *fields, body=b"", version=b"HTTP/1.1", **how):
        """Send a PUT; return client, request, its response and a taker, not begun yet."""
        self.factory.body_plan = lambda request: BodyPlan(LIMIT, GATHER)
        await self.serve()
        client = await self.connect()
        client.send(get(b"/late", *fields, method=b"PUT", version=version) + body)
        await self.site.asked(1)
        (request,), (response,) = self.site.requests, self.site.late
        self.assertIsInstance(request, StreamedRequest)
        return client, request.upload, response, Taker(request.upload, **how)

    async def taken(self, taker, size):
        """Return when so many bytes have come."""
        while len(taker.body) < size:
            await self.turn()

    async def test_whole(self):
        """All bytes in order, then the end, then the connection's next request."""
        for fields, text in (
            ((b"Content-Length: %d" % len(LARGE),), LARGE),
            ((b"Transfer-Encoding: chunked",), chunks(LARGE, [70_000, 1, 2, 300_000])),
        ):
            client, upload, response, taker = await self.streaming(*fields, body=text)
            self.assertFalse(upload.whole)
            upload.begin(taker)
            await self.taken(taker, len(LARGE))
            while not taker.ends:
                await self.turn()
            self.assertTrue(upload.whole)
            self.assertTrue(taker.body == LARGE)
            client.send(get(b"/next"))
            answer(response, b"taken")
            await client.holds(b"GET /next")
            self.assertEqual([b"HTTP/1.1 200 OK"] * 2, statuses(client.received))
            self.assertNotIn(b"close", client.received)
            await self._end()
            self.setUp()

    async def test_nothing_before_it_begins(self):
        """What nobody takes is not read: no more than one read is held."""
        client, upload, response, taker = await self.streaming(
            b"Content-Length: %d" % len(LARGE), body=LARGE
        )
        channel = await self.channel()
        while channel._reading:
            await self.turn()
        self.assertLess(len(channel._backlog), 1 << 20)
        upload.begin(taker)
        await self.taken(taker, len(LARGE))
        answer(response)
        await client.holds(b"ok")

    async def test_pause(self):
        """While the taker has paused no byte comes; in the end all have."""
        client, upload, response, taker = await self.streaming(
            b"Content-Length: %d" % len(LARGE), body=LARGE, pausing=True
        )
        upload.begin(taker)
        channel = await self.channel()
        while not taker.ends:
            before = len(taker.pieces)
            upload.resume()
            while len(taker.pieces) == before and not taker.ends:
                await self.turn()
            self.assertLess(len(channel._backlog), 1 << 20)
        self.assertTrue(taker.body == LARGE)
        answer(response)
        await client.holds(b"ok")

    async def test_slow_client(self):
        """60 seconds for each piece, then 408; the site answers, and the connection ends."""
        client, upload, response, taker = await self.streaming(b"Content-Length: 1000", body=b"a")
        told = []
        upload.refused = told.append
        upload.begin(taker)
        await self.taken(taker, 1)
        for count in (2, 3):
            self.tick(50)
            client.send(b"b")
            await self.taken(taker, count)
        self.assertEqual([], told)
        self.tick(63)
        self.assertEqual([408], told)
        answer(response, b"too late")
        got = await client.ended()
        self.assertIn(b"\r\nConnection: close\r\n", got)
        self.assertEqual(0, taker.ends)

    async def test_slow_taker(self):
        """While it is the taker who waits, the client has all the time there is."""
        client, upload, response, taker = await self.streaming(
            b"Content-Length: 1000", body=b"a", pausing=True
        )
        upload.refused = self.fail
        self.tick(300)
        upload.begin(taker)
        await self.taken(taker, 1)
        self.tick(300)
        upload.resume()
        client.send(b"b" * 999)
        await self.taken(taker, 1000)
        self.tick(300)
        answer(response)
        await client.holds(b"ok")

    async def test_early_answer(self):
        """An answer before the end says close; what still comes is dropped, not served."""
        for begun in (False, True):
            client, upload, response, taker = await self.streaming(
                b"Content-Length: 1000", body=b"a" * 100
            )
            if begun:
                upload.begin(taker)
                await self.taken(taker, 100)
            answer(response, b"enough")
            client.send(b"a" * 900 + get(b"/2"))
            got = await client.ended()
            self.assertEqual([b"HTTP/1.1 200 OK"], statuses(got))
            self.assertIn(b"\r\nConnection: close\r\n", got)
            self.assertEqual(1, len(self.site.requests))
            await self._end()
            self.setUp()

    async def test_bad_chunks(self):
        """What is no chunk, or too much, is told once; nothing behind it is a request."""
        for bad, status in (
            (b"x\r\n", 400),
            (b"5;\0\r\n", 400),
            (b"0x5\r\n", 400),
            (b"+5\r\n", 400),
            (b"-5\r\n", 400),
            (b" 5\r\n", 400),
            (b"5 5\r\n", 400),
            (b"\r\n", 400),
            (b"5\n", 400),
            (b"3\r\nabcd\r\n", 400),
            (b"1000000000000000\r\n", 400),
            (b"fffffffffffffff\r\n", 413),
            (b"0\r\nA: b\nC: d\r\n\r\n", 400),
            (b"5;" + b"x" * 5000, 400),
        ):
            body = b"%x\r\n%b\r\n" % (100, b"a" * 100)
            client, upload, response, taker = await self.streaming(
                b"Transfer-Encoding: chunked", body=body
            )
            told = []
            upload.refused = told.append
            upload.begin(taker)
            await self.taken(taker, 100)
            client.send(bad + get(b"/2") * 3)
            while not told:
                await self.turn()
            self.assertEqual([status], told, bad)
            answer(response)
            got = await client.ended()
            self.assertEqual(1, len(statuses(got)), bad)
            self.assertEqual((0, 1), (taker.ends, len(self.site.requests)), bad)
            await self._end()
            self.setUp()

    async def test_old_client(self):
        """HTTP/1.0: kept when it asks for that, and never told to go on."""
        client, upload, response, taker = await self.streaming(
            b"Content-Length: 100",
            b"Connection: keep-alive",
            b"Expect: 100-continue",
            version=b"HTTP/1.0",
        )
        upload.begin(taker)
        client.send(b"a" * 100)
        await self.taken(taker, 100)
        answer(response)
        await client.holds(b"ok")
        self.assertTrue(client.received.startswith(b"HTTP/1.1 200"), client.received)
        self.assertIn(b"Connection: keep-alive", client.received)
        client.send(get(b"/2"))
        await client.holds(b"GET /2")

    async def test_close_is_kept(self):
        """A client that wants the connection closed after its upload has it closed."""
        client, upload, response, taker = await self.streaming(
            b"Content-Length: 100", b"Connection: close", body=b"a" * 100
        )
        upload.begin(taker)
        await self.taken(taker, 100)
        answer(response)
        self.assertIn(b"\r\nConnection: close\r\n", await client.ended())

    async def test_draining(self):
        """A server that ends lets an upload come to its end, then closes."""
        client, upload, response, taker = await self.streaming(b"Content-Length: 100")
        upload.begin(taker)
        drained = self.factory.drain()
        client.send(b"a" * 100)
        await self.taken(taker, 100)
        answer(response)
        self.assertIn(b"\r\nConnection: close\r\n", await client.ended())
        await drained

    async def test_site_fails(self):
        """A site that raises: 500, and the body is not read as requests."""
        self.factory.body_plan = lambda request: BodyPlan(LIMIT, GATHER)
        await self.serve()
        text = get(b"/fail", b"Content-Length: 1000", method=b"PUT") + get(b"/2") * 50
        got = await self.ask(text)
        self.assertEqual([b"HTTP/1.1 500 Internal Server Error"], statuses(got))
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    async def test_beyond(self):
        """Where a longer body may not be streamed it is refused with the plan's status."""
        self.factory.body_plan = lambda request: BodyPlan(LIMIT, GATHER, 411)
        await self.serve()
        for fields, body in (
            ((b"Content-Length: 65",), b""),
            ((b"Transfer-Encoding: chunked",), b"41\r\n" + b"a" * 65),
        ):
            got = await self.ask(get(b"/a", *fields, method=b"PUT") + body)
            self.assertEqual([b"HTTP/1.1 411 Length Required"], statuses(got))
        client = await self.connect()
        text = b"40\r\n" + b"a" * 64 + b"\r\n0\r\n\r\n"
        client.send(get(b"/a", b"Transfer-Encoding: chunked", method=b"PUT") + text)
        await client.holds(b"PUT /a")
        self.assertEqual([b"a" * 64], [request.body for request in self.site.requests])

    async def test_smuggling(self):
        """An ambiguous length is refused where bodies are wanted, too."""
        self.factory.body_plan = lambda request: BodyPlan(LIMIT, GATHER)
        await self.serve()
        for status, what, fields in SMUGGLING:
            got = await self.ask(get(b"/a", *fields, method=b"POST") + b"0\r\n\r\n" + get(b"/2"))
            self.assertTrue(got.startswith(b"HTTP/1.1 %d " % status), (what, got[:80]))
            self.assertEqual(1, len(statuses(got)), what)
        self.assertEqual([], self.site.requests)


class UploadsOnUvloop(OnUvloop, Uploads, TestCase):
    """On uvloop's own transports."""


class UploadsOnTwisted(OnTwisted, Uploads, TestCase):
    """On Twisted's transports."""


class ReaderTests(SynchronousTestCase):
    """The reader alone: a body means the same however it is cut."""

    @settings(deadline=None, max_examples=200)
    @given(
        st.binary(max_size=60),
        st.lists(st.integers(1, 20), min_size=1, max_size=5),
        st.lists(st.integers(1, 9), min_size=1, max_size=9),
        st.booleans(),
    )
    def test_cuts(self, body, sizes, cuts, chunked):
        """Any cut into chunks and packets gives the body, and leaves what follows."""
        text = chunks(body, sizes) if chunked else body
        reader = BodyReader(UNKNOWN_LENGTH if chunked else len(body), 60)
        pending, taken, at, whole = bytearray(), b"", 0, False
        wire = text + b"GET /"
        while not whole:
            cut = cuts.pop(0) if len(cuts) > 1 else cuts[0]
            piece, at = wire[at : at + cut], at + cut
            if not pending and reader.passes(piece):
                taken += piece
                continue
            pending += piece
            whole = reader.feed(pending)
            taken += reader.take()
        self.assertEqual((body, b"GET /"), (taken, bytes(pending) + wire[at:]))
        self.assertEqual(0, reader.held)

    def test_extensions(self):
        """Some are read over; a body that is nearly nothing else is refused."""
        chunk = b"1;%b\r\na\r\n"
        reader = BodyReader(UNKNOWN_LENGTH, 1000)
        reader.feed(bytearray(chunk % (b"x" * 4000) * 8))
        self.assertEqual(b"a" * 8, reader.take())
        with self.assertRaises(Refused):
            reader.feed(bytearray(chunk % (b"x" * 4000)))
        reader = BodyReader(UNKNOWN_LENGTH, 1000)
        reader.feed(bytearray(chunk % b"name=value" * 1000))
        self.assertEqual(b"a" * 1000, reader.take())

    def test_limit(self):
        """One byte too many is refused before it is read."""
        with self.assertRaises(Refused):
            BodyReader(11, 10)
        reader = BodyReader(UNKNOWN_LENGTH, 10)
        with self.assertRaises(Refused) as caught:
            reader.feed(bytearray(b"5\r\nabcde\r\n6\r\n"))
        self.assertEqual(413, caught.exception.status)
