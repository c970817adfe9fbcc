"""What is refused, how, and that none of it ever reaches the site."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase, TestCase

from s3shield.wire.request_head import HeadReader, Refused, host_name
from tests.wire.serving import OnTwisted, OnUvloop

HOST = b"Host: a.example\r\n"
OK = b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n"


def head(line=b"GET / HTTP/1.1", *fields):
    """Return a head of a request line and field lines."""
    return b"\r\n".join((line, *fields, b"", b""))


BAD = [
    (400, "garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    (400, "no version", b"GET /\r\n\r\n"),
    (400, "three words too many", head(b"GET / a HTTP/1.1", b"Host: a")),
    (400, "two spaces", head(b"GET  / HTTP/1.1", b"Host: a")),
    (400, "tab for a space", head(b"GET\t/ HTTP/1.1", b"Host: a")),
    (400, "space in front", head(b" GET / HTTP/1.1", b"Host: a")),
    (400, "control byte in the target", head(b"GET /\x01 HTTP/1.1", b"Host: a")),
    (400, "NUL in the target", head(b"GET /\0 HTTP/1.1", b"Host: a")),
    (400, "NUL in a value", head(b"GET / HTTP/1.1", b"Host: a", b"X: a\0b")),
    (400, "NUL in a name", head(b"GET / HTTP/1.1", b"Host: a", b"X\0: b")),
    (400, "raw non-ASCII target", head(b"GET /\xc3\xa9 HTTP/1.1", b"Host: a")),
    (400, "fragment", head(b"GET /a#b HTTP/1.1", b"Host: a")),
    (400, "relative target", head(b"GET a/b HTTP/1.1", b"Host: a")),
    (400, "asterisk without OPTIONS", head(b"GET * HTTP/1.1", b"Host: a")),
    (400, "absolute form of another scheme", head(b"GET ftp://a/b HTTP/1.1", b"Host: a")),
    (400, "absolute form with user", head(b"GET http://u@a/b HTTP/1.1", b"Host: a")),
    (400, "absolute form without host", head(b"GET http:///b HTTP/1.1", b"Host: a")),
    (400, "bare LF after the line", b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    (400, "bare LF after a field", b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
    (400, "bare LF everywhere", b"GET / HTTP/1.1\nHost: a\n\n"),
    (400, "bare LF in front", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, "bare CR in a value", b"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"),
    (400, "bare CR in the line", b"GET /\rHTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, "space before the colon", head(b"GET / HTTP/1.1", b"Host: a", b"X : b")),
    (400, "folded field", head(b"GET / HTTP/1.1", b"Host: a", b"X: b", b" c")),
    (400, "space before the first field", head(b"GET / HTTP/1.1", b" Host: a")),
    (400, "no colon", head(b"GET / HTTP/1.1", b"Host: a", b"X")),
    (400, "empty name", head(b"GET / HTTP/1.1", b"Host: a", b": b")),
    (400, "name that is no token", head(b"GET / HTTP/1.1", b"Host: a", b"X(y): b")),
    (400, "no Host", head(b"GET / HTTP/1.1", b"X: b")),
    (400, "empty Host", head(b"GET / HTTP/1.1", b"Host:")),
    (400, "two Hosts", head(b"GET / HTTP/1.1", b"Host: a", b"Host: b")),
    (400, "two equal Hosts", head(b"GET / HTTP/1.1", b"Host: a", b"hOST: a")),
    (400, "a list as Host", head(b"GET / HTTP/1.1", b"Host: a, b")),
    (400, "Host with a path", head(b"GET / HTTP/1.1", b"Host: a/b")),
    (400, "Host with user", head(b"GET / HTTP/1.1", b"Host: u@a")),
    (400, "Host with space", head(b"GET / HTTP/1.1", b"Host: a b")),
    (400, "Host with letters as port", head(b"GET / HTTP/1.1", b"Host: a:http")),
    (400, "invalid Host, HTTP/1.0", head(b"GET / HTTP/1.0", b"Host: a/b")),
    (400, "HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (400, "another protocol", head(b"GET / RTSP/1.0", b"Host: a")),
    (400, "another protocol's version", head(b"SOURCE / ICE/1.0", b"Host: a")),
    (400, "method that is no token", head(b"G(T / HTTP/1.1", b"Host: a")),
    (405, "CONNECT", head(b"CONNECT a:443 HTTP/1.1", b"Host: a:443")),
    (505, "HTTP/2.0", head(b"GET / HTTP/2.0", b"Host: a")),
    (505, "HTTP/3", head(b"GET / HTTP/3", b"Host: a")),
    (505, "HTTP/0.9", head(b"GET / HTTP/0.9", b"Host: a")),
    (505, "HTTP/1.10", head(b"GET / HTTP/1.10", b"Host: a")),
    (414, "request line over 8 KiB", head(b"GET /" + b"a" * 8192 + b" HTTP/1.1", b"Host: a")),
    (414, "endless request line", b"GET /" + b"a" * 20000),
    (431, "fields over 32 KiB", head(b"GET / HTTP/1.1", b"Host: a", b"X: " + b"a" * 33000)),
    (431, "endless fields", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40000),
    (431, "101 fields", head(b"GET / HTTP/1.1", b"Host: a", *(b"X%d: a" % n for n in range(100)))),
    (431, "101 equal fields", head(b"GET / HTTP/1.1", b"Host: a", *[b"X: a"] * 100)),
]

# Each is followed by a request that a laxer reader would see; it must not be served.
SMUGGLING = [
    (400, "both lengths", (b"Content-Length: 5", b"Transfer-Encoding: chunked")),
    (400, "both lengths, the other way", (b"Transfer-Encoding: chunked", b"Content-Length: 5")),
    (400, "two different lengths", (b"Content-Length: 5", b"Content-Length: 6")),
    (400, "two equal lengths", (b"Content-Length: 5", b"Content-Length: 5")),
    (400, "a list of lengths", (b"Content-Length: 5, 5",)),
    (400, "signed length", (b"Content-Length: +5",)),
    (400, "negative length", (b"Content-Length: -5",)),
    (400, "hexadecimal length", (b"Content-Length: 0x5",)),
    (400, "spaced length", (b"Content-Length: 5 5",)),
    (400, "empty length", (b"Content-Length:",)),
    (400, "overflowing length", (b"Content-Length: 18446744073709551621",)),
    (400, "space before the length's colon", (b"Content-Length : 5",)),
    (400, "space before the coding's colon", (b"Transfer-Encoding : chunked",)),
    (400, "folded coding", (b"Transfer-Encoding:", b" chunked")),
    (400, "unknown coding", (b"Transfer-Encoding: xchunked",)),
    (400, "identity", (b"Transfer-Encoding: identity",)),
    (400, "chunked not last", (b"Transfer-Encoding: chunked, gzip",)),
    (400, "chunked twice", (b"Transfer-Encoding: chunked, chunked",)),
    (400, "two codings, two lines", (b"Transfer-Encoding: chunked", b"Transfer-Encoding: x")),
    (400, "vertical tab in the coding", (b"Transfer-Encoding: \x0bchunked",)),
    (400, "name in quotes", (b'"Transfer-Encoding": chunked',)),
    (400, "line feed before the coding", (b"X: y\nTransfer-Encoding: chunked",)),
]


class BadRequests:
    """Real sockets: refused with a short answer, told to the log, then closed."""

    async def refused(self, status, what, *pieces):
        """Send it and check the one answer."""
        before = len(self.rejected)
        got = await self.ask(*pieces)
        self.assertTrue(got.startswith(b"HTTP/1.1 %d " % status), (what, got[:80]))
        self.assertEqual(got.count(b"HTTP/1.1 "), 1, what)
        top, _, body = got.partition(b"\r\n\r\n")
        self.assertIn(b"\r\nConnection: close", top)
        self.assertIn(b"\r\nContent-Type: text/plain", top)
        self.assertIn(b"\r\nContent-Length: %d\r\n" % len(body), top)
        self.assertEqual(self.site.requests, [], what)
        self.assertEqual([entry[:2] for entry in self.rejected[before:]], [(b"127.0.0.1", status)])

    async def test_refused(self):
        """Each malformed head gets its status and the connection is closed."""
        await self.serve()
        for status, what, text in BAD:
            await self.refused(status, what, text)

    async def test_smuggling(self):
        """An ambiguous body length is refused; what follows is not read as a request."""
        await self.serve()
        for status, what, fields in SMUGGLING:
            await self.refused(status, what, head(b"POST / HTTP/1.1", b"Host: a", *fields) + OK)

    async def test_chunked_in_http_1_0(self):
        """RFC 9112 6.1: Transfer-Encoding in HTTP/1.0 is faulty framing."""
        await self.serve()
        text = head(b"POST / HTTP/1.0", b"Host: a", b"Transfer-Encoding: chunked")
        await self.refused(400, "1.0", text + OK)

    async def test_log_line(self):
        """The log is told the request line, and nothing behind it."""
        await self.serve()
        await self.ask(b"GET /a%20b HTTP/4.0\r\nHost: a\r\nAuthorization: secret\r\n\r\n")
        self.assertEqual(self.rejected, [(b"127.0.0.1", 505, b"GET /a%20b HTTP/4.0")])

    async def test_bad_after_good(self):
        """A good request in front is answered first, then the refusal."""
        await self.serve()
        got = await self.ask(
            head(b"GET /1 HTTP/1.1", b"Host: a"), head(b"GET /2 HTTP/1.1"), OK
        )  # fmt: skip
        self.assertEqual([r.path for r in self.site.requests], [b"/1"])
        self.assertLess(got.index(b"GET /1"), got.index(b"HTTP/1.1 400"))
        self.assertEqual(got.count(b"HTTP/1.1 "), 2)

    async def test_allow_with_405(self):
        """RFC 9110 15.5.6: a 405 says what is allowed."""
        await self.serve()
        got = await self.ask(head(b"CONNECT a:443 HTTP/1.1", b"Host: a"))
        self.assertIn(b"\r\nAllow: GET, HEAD\r\n", got)

    async def test_early(self):
        """What cannot become a request any more is refused before its head is whole."""
        await self.serve()
        for status, text in [
            (400, b"\x16\x03\x01"),
            (400, b"GET / HTTP/1.1\nHost"),
            (400, b"GET / HTTP/1.1\r\nHost: a\nX"),
            (505, b"GET / HTTP/3.1\r\nHost: a\r\n"),
            (414, b"G" * 9000),
        ]:
            await self.refused(status, text[:20], text)

    async def test_answer_survives(self):
        """A client still sending when it is refused can read why (no reset)."""
        await self.serve()
        client = await self.connect()
        client.send(b"GET /" + b"a" * 300_000)
        await client.ended()
        self.assertTrue(client.received.startswith(b"HTTP/1.1 414 "))


class BadRequestsOnUvloop(OnUvloop, BadRequests, TestCase):
    pass


class BadRequestsOnTwisted(OnTwisted, BadRequests, TestCase):
    pass


def read_whole(text):
    """Return what reading a head at once gives: the status, or method and target."""
    reader = HeadReader(b"", b"http")
    try:
        reader.check_size(text)
        request = reader.read(text, 0.0)
    except Refused as refused:
        return refused.status
    return request.method, request.target, request.host, request.headers


def read_in_pieces(pieces):
    """Return the same for a head that comes in pieces."""
    reader = HeadReader(b"", b"http")
    so_far = bytearray()
    try:
        for piece in pieces[:-1]:
            so_far += piece
            reader.foresee(piece, so_far)
    except Refused as refused:
        return refused.status
    return read_whole(bytes(so_far) + pieces[-1])


class PiecesTests(SynchronousTestCase):
    """However a head is cut into packets, it means the same."""

    GOOD = (
        head(b"GET /a?b HTTP/1.1", b"Host: a"),
        head(b"BREW /pot HTTP/1.1", b"Host: a", b"X: y"),
        head(b"DESCRIBE / HTTP/1.1", b"Host: a"),
        head(b"get / HTTP/1.1", b"Host: a"),
        head(b"GET http://B:80/x HTTP/1.1", b"Host: a"),
        head(b"GET / HTTP/1.1", b"Host: a", b"Upgrade: h2c", b"Connection: Upgrade"),
    )

    def whole_heads(self):
        """Yield the heads of the tables that have an end."""
        yield from self.GOOD
        for _, _, text in BAD:
            if text.endswith(b"\r\n\r\n") and text.count(b"\r\n\r\n") == 1 and len(text) < 1000:
                yield text
        for _, _, fields in SMUGGLING:
            yield head(b"POST / HTTP/1.1", b"Host: a", *fields)

    def test_two_pieces(self):
        """Cut anywhere, a head is served or refused alike, with the same status."""
        for text in self.whole_heads():
            whole = read_whole(text)
            for at in range(1, len(text) - 1):
                self.assertEqual(read_in_pieces([text[:at], text[at:]]), whole, (at, text))

    def test_single_bytes(self):
        """The same, byte by byte."""
        for text in self.whole_heads():
            pieces = [text[at : at + 1] for at in range(len(text))]
            self.assertEqual(read_in_pieces(pieces), read_whole(text), text)

    def test_good_are_good(self):
        """The table above is not vacuous."""
        for text in self.GOOD:
            self.assertIsInstance(read_whole(text), tuple, text)

    @settings(deadline=None, max_examples=200)
    @given(
        st.text(alphabet="GETab/ ?#%:.\r\n\t\0é1HOSTP-host,", max_size=60),
        st.lists(st.integers(1, 60), max_size=4),
    )
    def test_any_text(self, text, cuts):
        """Any bytes give a request or a refusal, no other error, however cut."""
        data = b"GET /" + text.encode() + b" HTTP/1.1\r\nHost: a\r\n" + text.encode() + b"\r\n\r\n"
        data = data[: data.index(b"\r\n\r\n") + 4]
        whole = read_whole(data)
        places = [0, *sorted({cut for cut in cuts if cut < len(data) - 1}), len(data)]
        pieces = [data[a:b] for a, b in pairwise(places)]
        self.assertEqual(type(read_in_pieces(pieces)), type(whole))


class HostNameTests(SynchronousTestCase):
    def test_names(self):
        """Lower-case, without port and final dot; None for what is no host."""
        for value, name in [
            (b"A.Example", b"a.example"),
            (b"a.example:8080", b"a.example"),
            (b"a.example.", b"a.example"),
            (b"a.example.:80", b"a.example"),
            (b"a:", b"a"),
            (b"my_bucket", b"my_bucket"),
            (b"127.0.0.1:80", b"127.0.0.1"),
            (b"[::1]:80", b"[::1]"),
            (b"[FE80::1]", b"[fe80::1]"),
            (b"", None),
            (b":80", None),
            (b".", b"."),
            (b"::1", None),
            (b"[::1", None),
            (b"a:b", None),
            (b"a:123456", None),
            (b"a b", None),
            (b"a/b", None),
            (b"a?b", None),
            (b"a@b", None),
            (b"a\\b", None),
            (b"\xc3\xa9", None),
        ]:
            for _ in range(2):  # remembered names are the same
                self.assertEqual(host_name(value), name, value)
