"""What the origin may say: framing, heads without bodies, and everything cut short."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import FailureKind
from s3shield.wire.origin_call import OriginCall
from s3shield.wire.origin_connection import OriginConnection
from s3shield.wire.origin_framing import HEAD_LIMIT
from tests.wire.origin_fixture import GET, PoolCase, Recorder
from tests.wire.scripted_origin import CLOSE, HANG, READ, chunked, response


class Owner:
    """A pool of one connection, without sockets."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.now = 0.0
        self.receiver = Recorder()
        self.call = OriginCall(self, GET, self.receiver, 0.0, without_body=False, idempotent=True)

    def seconds(self) -> float:
        """Return one second more at each call."""
        self.now += 1
        return self.now

    def connected(self, connection: OriginConnection) -> None:
        """See ConnectionOwner."""
        self.told.append("connected")

    def opened(self, connection: OriginConnection) -> None:
        """See ConnectionOwner."""
        connection.send(self.call, self.now)

    def answered(self, connection: OriginConnection) -> None:
        """See ConnectionOwner."""
        self.told.append("answered")

    def freed(self, connection: OriginConnection, now: float) -> None:
        """See ConnectionOwner."""
        self.told.append("freed")

    def spent(self, connection: OriginConnection) -> None:
        """See ConnectionOwner."""
        self.told.append("spent")

    def lost(self, connection: OriginConnection, reason: Failure) -> None:
        """See ConnectionOwner."""
        self.told.append("lost")

    def retry(self, call: OriginCall) -> None:
        """See ConnectionOwner."""
        self.told.append("retry")

    def forget(self, call: OriginCall) -> None:
        """See OriginPool."""
        call.connection.forget(call)


class ParsingCase(SynchronousTestCase):
    """Feeds a connection by hand."""

    def connect(self, *, without_body: bool = False) -> tuple[OriginConnection, Owner]:
        """Return a connection that has sent its request, and its owner."""
        owner = Owner()
        owner.call.without_body = without_body
        connection = OriginConnection(owner, owner.call, secure=False)
        transport: Any = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.7", 80))
        transport.abortConnection = lambda: None
        connection.makeConnection(transport)
        self.assertEqual(transport.value(), GET)
        return connection, owner

    def feed(
        self,
        wire: bytes,
        *,
        step: int = 0,
        end: Exception | None = None,
        without_body: bool = False,
    ) -> tuple[Recorder, bool]:
        """Return what the receiver got and whether the connection is free again."""
        connection, owner = self.connect(without_body=without_body)
        step = step or len(wire)
        for start in range(0, len(wire), step or 1):
            if connection.closing:
                break
            connection.dataReceived(wire[start : start + step])
        if end is not None:
            connection.connectionLost(Failure(end))
        self.assertLessEqual(
            len([each for each in owner.receiver.told if each in {"end", "failed"}]), 1
        )
        return owner.receiver, "freed" in owner.told and "spent" not in owner.told


WHOLE = {
    "length": (response(b"abcdef", b'ETag: "x"'), b"abcdef", 6),
    "empty": (response(), b"", 0),
    "chunked": (chunked(b"ab", b"cdef"), b"abcdef", None),
    "trailer": (chunked(b"ab", b"cdef", trailer=b"X-Sum: 1\r\n"), b"abcdef", None),
    "interim": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + response(b"abc"),
        b"abc",
        3,
    ),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", b"x", 1),
}


class WholeTests(ParsingCase):
    def test_however_it_arrives(self) -> None:
        """A whole response is the same in one piece or byte by byte, and the connection is free."""
        for name, (wire, body, length) in WHOLE.items():
            for step in (0, 1, 2, 7):
                got, free = self.feed(wire, step=step)
                self.assertEqual(
                    (got.head.status, got.body, got.length), (200, body, length), (name, step)
                )
                self.assertEqual(got.told[-1], "end", name)
                self.assertTrue(free, name)

    def test_every_truncation(self) -> None:
        """Cut anywhere, cleanly or not, a framed response fails: never an end, never a hang."""
        for name, (wire, body, _) in WHOLE.items():
            for cut in range(len(wire)):
                for end in (ConnectionDone(), ConnectionLost()):
                    got, free = self.feed(wire[:cut], end=end)
                    self.assertEqual(got.told[-1:], ["failed"], (name, cut))
                    self.assertIs(got.failure.kind, FailureKind.CUT)
                    self.assertEqual(got.failure.before_head, got.head is None)
                    self.assertFalse(free)
                    self.assertTrue(body.startswith(got.body))

    @given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.integers(1, 60))
    @settings(deadline=None, max_examples=100)
    def test_any_chunks(self, chunks: list[bytes], step: int) -> None:
        """Chunk and read boundaries never show in the body."""
        got, free = self.feed(chunked(*chunks), step=step)
        self.assertEqual((got.body, got.told[-1], free), (b"".join(chunks), "end", True))

    def test_the_head_as_sent(self) -> None:
        """Status, reason and fields arrive as the origin sent them, order and case kept."""
        fields = (b"x-Amz-Id-2: a b", b'ETag: "1"', b"X-Twice: 1", b"x-twice: 2", b"Empty:")
        for step in (0, 1):
            got, _ = self.feed(response(b"", *fields, status=b"206 Partial Content"), step=step)
            self.assertEqual((got.head.status, got.head.reason), (206, b"Partial Content"))
            self.assertEqual(
                got.head.fields,
                (
                    (b"Content-Length", b"0"),
                    (b"x-Amz-Id-2", b"a b"),
                    (b"ETag", b'"1"'),
                    (b"X-Twice", b"1"),
                    (b"x-twice", b"2"),
                    (b"Empty", b""),
                ),
            )

    def test_until_close(self) -> None:
        """Without a length the body ends with the connection, if that ends in good order."""
        wire = b"HTTP/1.1 200 OK\r\nETag: x\r\n\r\nabc"
        got, _ = self.feed(wire)
        self.assertEqual((got.told, got.length), (["head", "data"], None))
        got, free = self.feed(wire, end=ConnectionDone())
        self.assertEqual((got.body, got.told[-1], free), (b"abc", "end", False))
        got, _ = self.feed(wire, end=ConnectionLost())
        self.assertEqual(got.told[-1], "failed")
        self.assertFalse(got.failure.before_head)

    def test_chunked_in_old_http(self) -> None:
        """HTTP/1.0 has no chunked; what uses it all the same is read once (RFC 9112 6.1)."""
        wire = chunked(b"abc").replace(b"HTTP/1.1", b"HTTP/1.0")
        got, free = self.feed(wire)
        self.assertEqual((got.body, got.told[-1], free), (b"abc", "end", False))

    def test_surplus(self) -> None:
        """Bytes after a whole response, even half a head, cost the connection, not the response."""
        for whole in (response(b"abc"), chunked(b"abc")):
            for surplus in (
                b"H",
                b"HTTP/1.1 200 OK\r\nX: ",
                b"HTTP/1.1 204 No\r\n\r\n",
                b"x",
                response(b"y"),
            ):
                got, free = self.feed(whole + surplus)
                self.assertEqual((got.body, got.told[-1], free), (b"abc", "end", False), surplus)

    def test_surplus_in_the_next_read(self) -> None:
        """The same when it comes by itself, with nobody waiting."""
        connection, owner = self.connect()
        connection.dataReceived(response(b"abc"))
        connection.dataReceived(b"\r\n")
        self.assertEqual(owner.told[-2:], ["freed", "spent"])


class BodylessTests(ParsingCase):
    def test_head(self) -> None:
        """An answer to HEAD ends with its head, whatever its framing fields promise."""
        for fields in (
            b"Content-Length: 12345",
            b"Content-Length: 0",
            b"Transfer-Encoding: chunked",
            b"ETag: x",
        ):
            wire = b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n"
            for step in (0, 1, 3):
                got, free = self.feed(wire, step=step, without_body=True)
                self.assertEqual((got.told, got.length), (["head", "end"], 0), (fields, step))
                self.assertTrue(free, fields)

    def test_head_that_closes(self) -> None:
        """`Connection: close` and HTTP/1.0 are honoured without a body, too."""
        for wire, kept in (
            (b"HTTP/1.1 200 OK\r\nConnection: x, close\r\n\r\n", False),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n", False),
            (b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n", False),
            (b"HTTP/1.0 200 OK\r\nETag: x\r\n\r\n", False),
            (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", True),
        ):
            got, free = self.feed(wire, without_body=True)
            self.assertEqual((got.told, free), (["head", "end"], kept), wire)

    def test_head_with_a_body(self) -> None:
        """Bytes after a HEAD answer are not the next answer: the connection is given up."""
        for wire in (response(b"abc"), chunked(b"abc"), chunked(), b"HTTP/1.1 200 OK\r\n\r\nabc\n"):
            got, free = self.feed(wire, without_body=True)
            self.assertEqual((got.told, got.body, free), (["head", "end"], b"", False), wire)

    def test_statuses_without_body(self) -> None:
        """204 and 304 have no body, even with a Content-Length."""
        for status in (b"204 No Content", b"304 Not Modified"):
            for field in (b"Content-Length: 7", b"Transfer-Encoding: chunked", b"ETag: x"):
                wire = b"HTTP/1.1 " + status + b"\r\n" + field + b"\r\n\r\n"
                got, free = self.feed(wire)
                self.assertEqual((got.told, got.length, free), (["head", "end"], 0, True), wire)


class InvalidTests(ParsingCase):
    def test_refused(self) -> None:
        """What is not HTTP, or could be read in two ways, is INVALID before its head."""
        ok = b"HTTP/1.1 200 OK\r\n"
        for wire in (
            b"garbage\r\n\r\n",
            b"SSH-2.0-OpenSSH\r\n",
            b"\x15\x03\x01\x00\x02\x02\x46",
            ok + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
            ok + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
            ok + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            ok + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
            ok + b"Content-Length: 3, 3\r\n\r\nabc",
            ok + b"Content-Length: -3\r\n\r\nabc",
            ok + b"Content-Length: 0x3\r\n\r\nabc",
            ok + b"Content-Length: 99999999999999999999\r\n\r\nabc",
            ok + b"A: b\r\n c\r\nContent-Length: 3\r\n\r\nabc",
            ok + b"Content-Length : 3\r\n\r\nabc",
            ok + b"A: b\x00c\r\nContent-Length: 3\r\n\r\nabc",
            ok + b"no colon\r\n\r\n",
            b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
            b"HTTP/1.1 99 Low\r\n\r\n",
            b"HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/2.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            b"HTTP/0.9 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            ok + b"Transfer-Encoding: gzip\r\n\r\nabc",
            ok + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            ok + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            ok + b"Transfer-Encoding: identity\r\n\r\nabc",
        ):
            for step in (0, 1):
                got, free = self.feed(wire, step=step)
                self.assertEqual(got.told, ["failed"], wire)
                self.assertIs(got.failure.kind, FailureKind.INVALID, wire)
                self.assertTrue(got.failure.before_head)
                self.assertIn("192.0.2.7:80 sent an invalid response: ", got.failure.detail)
                self.assertLess(len(got.failure.detail), 160)
                self.assertFalse(free)

    def test_broken_chunks(self) -> None:
        """Wrong chunk framing is INVALID after the head; what came before it stands."""
        start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
        for rest in (b"x\r\n", b"3\ndef", b"3\r\ndefg\r\n", b"fffffffffffffffff\r\n", b"-1\r\n"):
            for step in (0, 1):
                got, _ = self.feed(start + rest, step=step)
                self.assertEqual(
                    (got.head.status, got.body[:3], got.told[-1]), (200, b"abc", "failed")
                )
                self.assertIs(got.failure.kind, FailureKind.INVALID)
                self.assertFalse(got.failure.before_head)

    def test_endless_heads(self) -> None:
        """A header block over 64 KiB is INVALID, in one read or many; so are endless 1xx."""
        big = b"HTTP/1.1 200 OK\r\n" + b"X: %b\r\n" % (b"y" * 1000) * 70
        for wire in (
            big,
            big + b"\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * (HEAD_LIMIT + 10000),
            b"HTTP/1.1 100 Continue\r\n\r\n" * 4000,
        ):
            for step in (0, 16384):
                got, _ = self.feed(wire, step=step)
                self.assertEqual(got.told, ["failed"])
                self.assertIs(got.failure.kind, FailureKind.INVALID)
                self.assertIn("64 KiB", got.failure.detail)

    def test_big_heads_that_fit(self) -> None:
        """A head under the limit is taken, even when the body comes in the same read."""
        fields = [b"X: " + b"y" * 1000] * 60
        body = bytes(200_000)
        got, free = self.feed(response(body, *fields))
        self.assertEqual((len(got.body), got.told[-1], free), (200_000, "end", True))

    def test_endless_trailers(self) -> None:
        """Trailers and chunk extensions cannot grow without end."""
        start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3"
        for rest in (b"\r\nabc\r\n0\r\n" + b"X: y\r\n" * 20000, b";" + b"x" * 100_000):
            got, _ = self.feed(start + rest, step=8192)
            self.assertIs(got.failure.kind, FailureKind.INVALID)
            self.assertFalse(got.failure.before_head)

    def test_much_body_in_small_pieces(self) -> None:
        """The limit is for headers: a long body of tiny chunks is no header."""
        got, free = self.feed(chunked(*[b"x"] * 30000), step=5000)
        self.assertEqual((len(got.body), got.told[-1], free), (30000, "end", True))


class WireTests(PoolCase):
    """The same over sockets, where the end is the kernel's."""

    async def test_cut_short(self) -> None:
        """A closed socket in the middle of a body is a cut, and says where."""
        origin = self.origin([READ, response(b"abcdef")[:-2], CLOSE])
        got = await self.get(self.pool(origin))
        self.assertEqual((got.body, got.told[-1]), (b"abcd", "failed"))
        self.assertIs(got.failure.kind, FailureKind.CUT)
        self.assertIn("after 4 bytes of 6", got.failure.detail)
        self.assertFalse(got.failure.before_head)

    async def test_until_close(self) -> None:
        """A body without a length ends where the connection is closed."""
        origin = self.origin([READ, b"HTTP/1.1 200 OK\r\n\r\nabc", CLOSE])
        got = await self.get(self.pool(origin))
        self.assertEqual((got.body, got.length, got.told[-1]), (b"abc", None, "end"))

    async def test_head_and_then_get(self) -> None:
        """After a HEAD the connection serves a GET; no body is awaited between."""
        origin = self.origin(
            [READ, b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", READ, response(b"abc"), HANG]
        )
        pool = self.pool(origin)
        self.assertEqual((await self.get(pool, b"HEAD")).told, ["head", "end"])
        self.assertEqual((await self.get(pool)).body, b"abc")
        self.assertEqual(len(origin.connections), 1)

    async def test_a_large_body(self) -> None:
        """Many reads make one body."""
        body = bytes(range(256)) * 40_000
        origin = self.origin([READ, response(body)])
        got = await self.get(self.pool(origin))
        self.assertEqual(got.body, body)
