"""What HTTP/2's door refuses, and floods: over real TLS, and alike with HTTP/1.1's by the same code."""

from __future__ import annotations

import resource

from h2.errors import ErrorCodes
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from s3shield.wire.channel_factory import ChannelFactory
from s3shield.wire.http2_frames import Bucket, FloodError, FrameCount
from s3shield.wire.http2_head import Malformed, check_trailers, fields_of, request_of
from s3shield.wire.request_head import HeadReader, Refused

from . import http2_client as h2c
from .http2_client import frame
from .serving import OnTwisted, OnUvloop, OrderedSite, answer
from .test_http2 import Over2

M, S, P, A = b":method", b":scheme", b":path", b":authority"
GET = [(M, b"GET"), (S, b"https"), (P, b"/"), (A, b"a.example")]


def but(name, value):
    """Return a GET's fields with another value of `name`; None: without it."""
    changed = [(n, value if n == name else v) for n, v in GET]
    return [pair for pair in changed if pair[1] is not None]


MALFORMED = [
    ("no method", but(M, None)),
    ("no scheme", but(S, None)),
    ("no path", but(P, None)),
    ("two methods", [(M, b"GET"), *GET]),
    ("two paths", [*GET, (P, b"/b")]),
    ("two authorities", [*GET, (A, b"a.example")]),
    ("after a field", [*GET[:3], (b"x", b"y"), GET[3]]),
    ("after a cookie", [*GET[:3], (b"cookie", b"y"), GET[3]]),
    ("of a response", [*GET, (b":status", b"200")]),
    ("unknown", [*GET, (b":protocol", b"websocket")]),
    ("method that is no token", but(M, b"GET /x HTTP/1.1\r\nX:")),
    ("empty method", but(M, b"")),
    ("capitals", [*GET, (b"X-Y", b"z")]),
    ("empty name", [*GET, (b"", b"z")]),
    ("colon in a name", [*GET, (b"a:b", b"z")]),
    ("space in a name", [*GET, (b"a b", b"z")]),
    ("LF in a name", [*GET, (b"a\nb", b"z")]),
    ("LF in a value", [*GET, (b"a", b"b\nc")]),
    ("CR in a value", [*GET, (b"a", b"b\rc")]),
    ("CRLF and a field in a value", [*GET, (b"a", b"b\r\nhost: c")]),
    ("NUL in a value", [*GET, (b"a", b"b\0c")]),
    ("LF in a path", but(P, b"/a\nb")),
    ("CRLF in an authority", but(A, b"a\r\nx: y")),
    ("space before a value", [*GET, (b"a", b" b")]),
    ("tab after a value", [*GET, (b"a", b"b\t")]),
    ("connection", [*GET, (b"connection", b"close")]),
    ("keep-alive", [*GET, (b"keep-alive", b"1")]),
    ("proxy-connection", [*GET, (b"proxy-connection", b"close")]),
    ("transfer-encoding", [*GET, (b"transfer-encoding", b"chunked")]),
    ("upgrade", [*GET, (b"upgrade", b"h2c")]),
    ("te", [*GET, (b"te", b"trailers, gzip")]),
]
REFUSED = [
    (400, "Host of another name", [*GET, (b"host", b"b.example")]),
    (400, "Host of another port", [*GET, (b"host", b"a.example:1")]),
    (400, "two Hosts", [*GET[:3], (b"host", b"a"), (b"host", b"a")]),
    (400, "no host at all", but(A, None)),
    (400, "empty authority", but(A, b"")),
    (400, "user in the authority", but(A, b"u@a.example")),
    (400, "path in the authority", but(A, b"a.example/b")),
    (400, "list of authorities", but(A, b"a, b")),
    (400, "another scheme", but(S, b"ftp")),
    (400, "empty path", but(P, b"")),
    (400, "path without a slash", but(P, b"a/b")),
    (400, "absolute form", but(P, b"https://a.example/b")),
    (400, "asterisk", but(P, b"*")),
    (400, "fragment", but(P, b"/a#b")),
    (400, "space in the path", but(P, b"/a HTTP/1.1")),
    (400, "DEL in the path", but(P, b"/a\x7f")),
    (400, "bare non-ASCII in the path", but(P, b"/\xc3\xa9")),
    (400, "HTTP/2's own method", but(M, b"PRI")),
    (405, "CONNECT", [(M, b"CONNECT"), (A, b"a.example:443")]),
    (405, "CONNECT with all", but(M, b"CONNECT")),
    (414, "long path", but(P, b"/" + b"a" * 8192)),
    (431, "many fields", [*GET, *[(b"x%d" % at, b"") for at in range(100)]]),
    (431, "much in the fields", [*GET, *[(b"x%d" % at, b"y" * 4000) for at in range(9)]]),
    (431, "the same field often", [*GET, *[(b"x", b"y")] * 120]),
]


def judged(fields):
    """Return what becomes of a request."""
    reader = HeadReader(b"peer", b"https")
    try:
        return request_of(fields, reader, 1.0)
    except Refused as refused:
        return refused.status
    except Malformed:
        return "malformed"


def over_http1(target, host):
    """Return what becomes of the same over HTTP/1.1."""
    reader = HeadReader(b"peer", b"https")
    head = b"GET %b HTTP/1.1\r\nhost: %b\r\n\r\n" % (target, host)
    try:
        reader.check_size(head)
        return reader.read(head, 1.0)
    except Refused as refused:
        return refused.status


class JudgingTests(SynchronousTestCase):
    def test_malformed(self):
        """What is no request of HTTP/2's (RFC 9113 sections 8.2 and 8.3)."""
        for why, fields in MALFORMED:
            self.assertEqual(judged(fields), "malformed", why)

    def test_refused(self):
        """What is one, and is refused."""
        for status, why, fields in REFUSED:
            self.assertEqual(judged(fields), status, why)

    def test_taken(self):
        """What is a request."""
        request = judged([*but(A, None), (b"host", b"A.example:8443"), (b"te", b"trailers")])
        self.assertEqual((request.host, request.version), (b"a.example", (2, 0)))
        self.assertEqual(judged([*GET, (b"host", b"A.EXAMPLE")]).host, b"a.example")
        asterisk = judged([(M, b"OPTIONS"), (S, b"https"), (P, b"*"), (A, b"a")])
        self.assertEqual(asterisk.target, b"*")
        crumbs = judged([*GET, *[(b"cookie", b"c%d=1" % at) for at in range(150)]])
        self.assertEqual(crumbs.headers[b"cookie"].count(b"; "), 149)
        self.assertEqual(judged([*GET, (b"x", b"1"), (b"x", b"2")]).headers[b"x"], b"1, 2")
        self.assertEqual(judged(but(M, b"BREW")).method, b"BREW")

    @settings(deadline=None, max_examples=200)
    @given(
        st.one_of(st.binary(max_size=12), st.text("/.%25ab;?*#\\ \t", max_size=12).map(str.encode)),
        st.one_of(st.binary(max_size=8), st.text("aA.:[]1@%- ,/", max_size=8).map(str.encode)),
    )
    def test_alike(self, tail, host):
        """Whatever target and host: both doors refuse it, or both make the same of it."""
        target = b"/" + tail
        two = judged([(M, b"GET"), (S, b"https"), (P, target), (A, host)])
        one = over_http1(target, host)
        if isinstance(two, (int, str)):
            if two == "malformed":
                # Blanks around a host, and line ends: HTTP/1.1 reads them as its own.
                self.assertRegex(target + b"\0" + host, rb"[\0\r\n]|\A[ \t]|[ \t]\Z|\0[ \t]")
            else:
                self.assertEqual(two, one)
        else:
            for name in ("target", "path", "query", "host", "headers", "method"):
                self.assertEqual(getattr(two, name), getattr(one, name))

    @settings(deadline=None, max_examples=200)
    @given(st.lists(st.tuples(st.binary(max_size=6), st.binary(max_size=10)), max_size=5))
    def test_any_fields(self, more):
        """Whatever fields: a request, a refusal or a malformed one, and never one more field."""
        got = judged([*GET, *more])
        if not isinstance(got, (int, str)):
            names = {name for name, _ in more} | {b"host"}
            self.assertLessEqual(set(got.headers), names)
            self.assertEqual(got.target, b"/")

    def test_trailers(self):
        """No pseudo-fields in trailers."""
        check_trailers([(b"x", b"y")])
        for bad in ((P, b"/"), (b"X", b"y"), (b"x", b"a\nb"), (b"connection", b"x")):
            with self.assertRaises(Malformed):
                check_trailers([bad])

    def test_fields_of(self):
        """A response's head as HTTP/2 has it."""
        head = b"HTTP/1.1 404 Not Found\r\nContent-Type: a: b\r\nConnection: x\r\nA:\r\n"
        self.assertEqual(
            fields_of(head), [(b":status", b"404"), (b"content-type", b"a: b"), (b"a", b"")]
        )


class CountingTests(SynchronousTestCase):
    @settings(deadline=None, max_examples=50)
    @given(st.data())
    def test_however_cut(self, data):
        """Frames are the same however they were cut into packets."""
        kinds = st.tuples(
            st.sampled_from([0, 1, 4, 6]), st.sampled_from([0, 4]), st.integers(0, 300)
        )
        frames = data.draw(st.lists(kinds, max_size=10))
        text = h2c.PREFACE + b"".join(frame(k, f, 1, bytes(n)) for k, f, n in frames)
        whole, cut = FrameCount(24, Bucket(50, 0)), FrameCount(24, Bucket(50, 0))
        whole.add(text, 0.0)
        at = 0
        while at < len(text):
            size = data.draw(st.integers(1, 40))
            cut.add(text[at : at + size], 0.0)
            at += size
        self.assertEqual((whole.block, whole.bucket), (cut.block, cut.bucket))

    def test_bucket(self):
        """It empties, fills with time and with what is given, and no further than it goes."""
        bucket = Bucket(2, 1)
        self.assertEqual([bucket.take(0.0) for _ in range(3)], [True, True, False])
        self.assertTrue(bucket.take(2.0))
        bucket.give(100)
        self.assertEqual([bucket.take(2.0) for _ in range(3)], [True, True, False])

    def test_long_frame(self):
        """A frame that is too long is refused by its head."""
        with self.assertRaises(FloodError) as caught:
            FrameCount(0, Bucket(9, 0)).add(frame(0, 0, 1)[3:] and b"\xff\xff\xff\0\0\0\0\0\1", 0.0)
        self.assertEqual(caught.exception.code, ErrorCodes.FRAME_SIZE_ERROR)


class Attacks(Over2):
    """Over real sockets."""

    async def watched(self, **how):
        """Return a client; `self.told` has what the log says of HTTP/2 from now on."""
        if self.tls is None:
            globalLogPublisher.addObserver(self.observe)
            self.addCleanup(globalLogPublisher.removeObserver, self.observe)
        self.told = []
        return await self.client(**how)

    def observe(self, event):
        """See what the log says."""
        if "HTTP/2" in (event.get("log_format") or ""):
            self.told.append(event["why"])

    async def calmed(self, client, code=ErrorCodes.ENHANCE_YOUR_CALM):
        """The connection ends with a GOAWAY of `code`, one line in the log, nothing left."""
        self.assertEqual(await self.ended(client), code)
        await self.nobody()
        self.assertEqual(len(self.told), 1, self.told)
        client = await self.client()
        self.assertTrue((await client.get("/x")).whole)
        client.hang_up()
        await self.nobody()

    async def test_malformed(self):
        """Each resets its stream, the connection goes on, the access log has a line."""
        client = await self.client()
        for why, fields in MALFORMED:
            got = await client.answer(client.ask(fields=fields))
            self.assertEqual(got.reset, ErrorCodes.PROTOCOL_ERROR, why)
        self.assertEqual(self.site.requests, [])
        self.assertEqual([status for _, status, _ in self.rejected], [400] * len(MALFORMED))
        self.assertTrue((await client.get("/x")).whole)

    async def test_refused(self):
        """Each is answered, the connection goes on, the access log has a line."""
        client = await self.client()
        for status, why, fields in REFUSED:
            got = await client.answer(client.ask(fields=fields))
            self.assertEqual((got.status, got.whole), (status, True), why)
        self.assertEqual(self.site.requests, [])
        self.assertEqual(len(self.rejected), len(REFUSED))
        self.assertEqual(self.rejected[0], (b"127.0.0.1", 400, b"GET / HTTP/2.0"))
        got = await client.answer(client.ask("nothing", "HEAD"))
        self.assertEqual((got.status, bytes(got.body), got.whole), (400, b"", True))
        self.assertTrue((await client.get("/x")).whole)

    async def test_many_refusals(self):
        """Who goes on asking for nonsense is told to calm down: the log is not his to fill."""
        client = await self.watched()
        for _ in range(150):
            if client.gone or client.goodbyes:
                break
            client.raw(client.head_frame(2 * len(self.rejected) + 1, "nothing"))
            await self.turn()
        await self.ended(client)
        self.assertLessEqual(len(self.rejected), 110)

    async def test_wrong_length(self):
        """A Content-Length that is not DATA's ends the connection (RFC 9113 section 8.1.1)."""
        for sent in (b"ab", b"abcdef"):
            client = await self.watched()
            number = client.ask("/late", more=[(b"content-length", b"4")], end=False)
            client.raw(frame(h2c.DATA, h2c.END_STREAM, number, sent))
            await self.calmed(client, ErrorCodes.PROTOCOL_ERROR)
        for told in (b"+4", b"4, 4", b"4_0", b"\xb2", b""):
            client = await self.watched()
            client.ask("/late", more=[(b"content-length", told)])
            await self.calmed(client, ErrorCodes.PROTOCOL_ERROR)

    async def test_rapid_reset(self):
        """CVE-2023-44487: streams that are asked for and reset at once end the connection."""
        client = await self.watched()
        number = 1
        while not client.gone and number < 200_000:
            pieces = []
            for _ in range(100):
                pieces += [client.head_frame(number, "/late"), frame(h2c.RST, 0, number, bytes(4))]
                number += 2
            client.raw(*pieces)
            await self.turn()
        await self.calmed(client)
        self.assertLess(len(self.site.requests), 3000)

    async def test_resets_of_ours(self):
        """The same where the client makes us reset: a window that overflows."""
        client = await self.watched()
        number = 1
        while not client.gone and number < 200_000:
            pieces = []
            for _ in range(50):
                update = frame(h2c.WINDOW, 0, number, b"\x7f\xff\xff\xff")
                pieces += [client.head_frame(number, "/late", end=False), update]
                number += 2
            client.raw(*pieces)
            await self.turn()
        await self.calmed(client)

    async def flood(self, client, *pieces):
        """Send `pieces` again and again, until the connection ends."""
        for _ in range(2000):
            if client.gone:
                break
            client.raw(b"".join(pieces) * 20)
            await self.turn()
        self.assertTrue(client.gone)

    async def test_floods(self):
        """Frames that bring nothing end the connection, whichever they are."""
        setting = b"\0\4\0\0\xff\xff"
        for piece in (
            frame(h2c.PING, 0, 0, b"12345678"),
            frame(h2c.SETTINGS, 0, 0, setting),
            frame(h2c.SETTINGS, 0, 0),
            frame(h2c.PRIORITY, 0, 1, b"\0\0\0\3\1"),
            frame(h2c.WINDOW, 0, 0, b"\0\0\0\1"),
            frame(0xB, 0, 0, b"unknown"),
        ):
            client = await self.watched()
            await self.flood(client, piece)
            await self.calmed(client)
        client = await self.watched()
        await self.flood(client, frame(h2c.DATA, 0, client.ask("/late", "PUT", end=False)))
        await self.calmed(client)

    async def test_deaf_flood(self):
        """PING whose answers nobody reads: neither memory nor a queue grows."""
        client = await self.watched()
        client.transport.pauseProducing()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(300):
            client.raw(frame(h2c.PING, 0, 0, b"12345678") * 100)
            await self.turn()
        self.assertLess(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, 64 << 10)
        client.transport.resumeProducing()
        await self.calmed(client)

    async def test_continuations(self):
        """Fields without end: many CONTINUATION frames, empty ones, large ones."""
        for payload in (b"", b"x", bytes(16_000)):
            client = await self.watched()
            client.raw(frame(h2c.HEADERS, 0, 1, b"\x82"))
            client.raw(*[frame(h2c.CONTINUATION, 0, 1, payload) for _ in range(20)])
            await self.calmed(client)

    async def test_fields_that_unfold(self):
        """A small block that unfolds to a large one (an HPACK bomb) ends the connection."""
        client = await self.watched()
        value = b"y" * 4000
        client.conn.encoder.encode([(b"x", value)])
        # An entry of the table of 4 KiB, and then a byte for each time it is meant.
        literal = b"\x40\x01x\x7f\xa1\x1e" + value
        block = b"\x82\x84\x87" + literal + b"\xbe" * 5000
        client.raw(frame(h2c.HEADERS, 5, 1, block))
        await self.calmed(client)

    async def test_table_of_a_client(self):
        """However large a table for compression a client allows, ours stays small."""
        client = await self.client()
        client.conn.update_settings({1: 1 << 31 - 1})
        client.flush()
        await client.get("/x")
        channel = await self.channel()
        for at in range(50):
            number = client.ask(f"/late{at}")
            await self.site.asked(at + 2)
            self.site.late[-1].reply(b"HTTP/1.1 200 OK\r\nX-%d: %b\r\n" % (at, b"z" * 1000), b"")
            self.assertEqual((await client.answer(number)).status, 200)
        self.assertLessEqual(channel._state.encoder.header_table._current_size, 4096)

    async def test_too_many_streams(self):
        """More streams than we said end the connection."""
        client = await self.watched()
        client.raw(*[client.head_frame(2 * at + 1, "/late") for at in range(200)])
        await self.ended(client)
        self.assertLessEqual(len(self.site.requests), 128)
        await self.nobody()

    async def test_window_games(self):
        """Windows that overflow, open by nothing, or are a byte wide."""
        for piece, code in (
            (frame(h2c.WINDOW, 0, 0, b"\x7f\xff\xff\xff"), ErrorCodes.FLOW_CONTROL_ERROR),
            (frame(h2c.WINDOW, 0, 0, bytes(4)), ErrorCodes.PROTOCOL_ERROR),
            (frame(h2c.SETTINGS, 0, 0, b"\0\4\xff\xff\xff\xff"), ErrorCodes.FLOW_CONTROL_ERROR),
        ):
            client = await self.watched()
            client.raw(piece)
            await self.calmed(client, code)
        client = await self.watched(greedy=False, window=0)
        number = client.ask("/late")
        while not self.site.late:
            await self.turn()
        self.site.late[-1].reply(b"HTTP/1.1 200 OK\r\n", bytes(1 << 20))
        for _ in range(1000):
            if client.gone:
                break
            for _ in range(20):
                client.conn.increment_flow_control_window(1, number)
            client.flush()
            await self.turn()
        await self.calmed(client)

    async def test_nonsense(self):
        """What is no HTTP/2 at all."""
        for text, code in (
            (frame(h2c.HEADERS, 5, 2, b"\x82"), ErrorCodes.PROTOCOL_ERROR),
            (frame(h2c.HEADERS, 5, 1, b"\xff\xff\xff\xff\xff\xff\xff"), None),
            (frame(h2c.DATA, 0, 0, b"x"), ErrorCodes.PROTOCOL_ERROR),
            (frame(h2c.DATA, 0, 7, b"x"), None),
            (frame(h2c.CONTINUATION, 4, 1, b"x"), None),
            (frame(h2c.SETTINGS, 0, 0, b"x"), ErrorCodes.FRAME_SIZE_ERROR),
            (frame(h2c.PRIORITY, 0, 3, b"\0\0\0\3\1"), ErrorCodes.PROTOCOL_ERROR),
            (frame(5, 4, 1, b"\0\0\0\2\x82"), ErrorCodes.PROTOCOL_ERROR),
            (b"\xff" * 100, ErrorCodes.FRAME_SIZE_ERROR),
        ):
            client = await self.watched()
            client.raw(text)
            ended = await self.ended(client)
            self.assertIn(ended, (code,) if code is not None else tuple(ErrorCodes)[1:])
            self.assertEqual(len(self.told), 1)
        plain = await h2c.connect_plain(self.port.getHost().port, [b"h2"])
        plain.transport.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await plain.until(lambda client: client.gone)
        await self.nobody()
        self.assertEqual(self.site.requests, [])


class AnyFramesTests(SynchronousTestCase):
    @settings(deadline=None, max_examples=30)
    @given(
        st.lists(
            st.tuples(
                st.integers(0, 12), st.integers(0, 255), st.integers(0, 5), st.binary(max_size=40)
            )
        )
    )
    def test_any_frames(self, frames):
        """Whatever frames come to a channel without a socket: nothing is raised, an end is one."""
        site, clock = OrderedSite(), Clock()
        channel = ChannelFactory(site, clock, monotonic=clock.seconds).channel_for("h2")
        transport = StringTransport()
        transport.abortConnection = transport.loseConnection
        channel.makeConnection(transport)
        channel.dataReceived(h2c.PREFACE + frame(h2c.SETTINGS, 0, 0))
        for kind, flags, number, payload in frames:
            channel.dataReceived(frame(kind, flags, number, payload))
        for late in site.late:
            answer(late)
        channel.connectionLost()
        self.assertEqual(channel._streams, {})


class AttacksOnUvloop(OnUvloop, Attacks, TestCase):
    pass


class AttacksOnTwisted(OnTwisted, Attacks, TestCase):
    pass
