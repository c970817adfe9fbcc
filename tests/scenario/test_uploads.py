"""Bodies that are longer than what is gathered: streamed, and how that can end."""

from __future__ import annotations

import hashlib
import os
from typing import Any, Final

from s3shield.wire.transport import unsent_bytes

from .harness import Client, Got, Scenario, answer, raw, until
from .taking import TakingOrigin
from .test_garbage import Garbage

ALL: Final = "methods = GET HEAD POST PUT DELETE\nclient_max_body_size = 100m"
BODY: Final = os.urandom(300_000)
SIZE_AND_SUM: Final = (len(BODY), hashlib.sha256(BODY).hexdigest())
GOES_ON: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


def put(*fields: str, target: str = "/a", method: str = "PUT") -> bytes:
    """Return a request's head."""
    lines = "".join(f"{field}\r\n" for field in ("Host: h", *fields))
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode()


def in_chunks(body: bytes, size: int) -> bytes:
    """Return a body in chunks of `size` bytes, with extensions and a trailer."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join([b"%x;x=y\r\n%b\r\n" % (len(p), p) for p in pieces]) + b"0\r\nT: t\r\n\r\n"


class UploadScenario(Scenario):
    """An origin that takes bodies; what it is asked for is fresh and counts its PUTs."""

    def make_origin(self) -> Any:
        return TakingOrigin()

    def setUp(self) -> None:
        super().setUp()
        self.version = 0

        def versioned(connection: Any, asked: Any) -> None:
            if asked.method == "GET":
                fields = {"Cache-Control": "max-age=100"}
                answer(body=b"%d" % self.version, headers=fields)(connection, asked)
            else:
                self.version += 1
                answer(201, b"done")(connection, asked)

        self.origin.answers["/a"] = versioned

    def answer_early(self, status: int = 403) -> None:
        """Let PUTs be answered when their head is there."""

        def began(connection: Any) -> None:
            if connection.asked.method == "PUT":
                answer(status, b"not that")(connection, connection.asked)

        self.origin.began = began

    async def stored(self) -> None:
        """Have /a in the cache."""
        self.assertEqual(["MISS", "HIT"], [(await self.get("/a")).cache for _ in range(2)])

    async def still_stored(self) -> None:
        """The cache has /a yet, as it was."""
        got = await self.get("/a")
        self.assertEqual(("HIT", b"0"), (got.cache, got.body))

    async def put(self, head: bytes, body: bytes = b"", client: Client | None = None) -> Got:
        """Send both; return the answer."""
        client = client or await self.connect()
        client.send(head)
        client.send(body)
        return await client.take()

    async def begun(self, size: int = 70_000) -> Client:
        """Return a client some bytes of whose body have come to the origin."""
        client = await self.connect()
        client.send(put("Content-Length: 300000") + BODY[:size])
        await until(lambda: self.taken() >= size, "the first bytes")
        return client

    async def hears(self, client: Client, text: bytes | None = None) -> bytes:
        """Return all bytes that came when `text` is among them; None: when it has ended."""
        if text is None:
            await until(lambda: client.ended, "the end")
        else:
            await until(lambda: text in client.buffer, f"{text!r}")
        return client.buffer

    def taken(self) -> int:
        """Return how many bytes of a body the origin has."""
        return max([connection.taken for connection in self.origin.open], default=0)


class UploadTests(UploadScenario):
    async def test_length_is_kept(self) -> None:
        """A long body goes on with its length; the stored object is asked for anew after it."""
        await self.shield(ALL)
        await self.stored()
        client = await self.connect()
        got = await self.put(put("Content-Length: 300000"), BODY, client)
        self.assertEqual((201, b"done", None), (got.status, got.body, got.cache))
        self.assertEqual(SIZE_AND_SUM, self.origin.bodies[-1])
        asked = self.origin.asked[-1].headers
        self.assertEqual("300000", asked["content-length"])
        self.assertNotIn("transfer-encoding", asked)
        client.send(put(method="GET"))  # the connection goes on
        again = await client.take()
        self.assertEqual(("MISS", b"1"), (again.cache, again.body))
        self.assertEqual([200, 200, 201, 200], [x["status"] for x in self.logged()])

    async def test_chunks(self) -> None:
        """A long body in chunks goes on in chunks; what follows it is the next request."""
        for size in (17, 5000, 80_000, 300_000):
            await self.shield(ALL)
            client = await self.connect()
            client.send(put("Transfer-Encoding: chunked") + in_chunks(BODY, size))
            client.send(put(method="GET"))
            self.assertEqual([201, 200], [(await client.take()).status for _ in range(2)])
            asked = self.origin.asked[-2].headers
            self.assertEqual("chunked", asked["transfer-encoding"])
            self.assertNotIn("content-length", asked)
            self.assertEqual(SIZE_AND_SUM, self.origin.bodies[-2])
            await self.stop()

    async def test_short_chunks_get_a_length(self) -> None:
        """A short body in chunks is gathered and its length told."""
        await self.shield(ALL)
        body = BODY[:60_000]
        got = await self.put(put("Transfer-Encoding: chunked"), in_chunks(body, 999))
        self.assertEqual(201, got.status)
        self.assertEqual([(60_000, hashlib.sha256(body).hexdigest())], self.origin.bodies)
        self.assertEqual("60000", self.origin.asked[0].headers["content-length"])

    async def test_slow_origin(self) -> None:
        """Where the origin takes nothing the client is not read: memory does not grow."""
        self.origin.began = lambda connection: connection.transport.pauseProducing()
        await self.shield(ALL)
        body = BODY * 200
        client = await self.connect()
        client.send(put(f"Content-Length: {len(body)}") + body)
        assert self.serving is not None
        (factory,) = self.serving._factories
        (pool,) = self.serving._origins._pools.values()
        await until(lambda: pool._open, "the origin's connection")
        (channel,), (there,) = factory._channels, pool._open
        await until(lambda: not channel._reading, "the client to be paused")
        held = len(channel._backlog) + unsent_bytes(there.transport)
        self.assertLess(held, 2 << 20)
        self.assertGreater(unsent_bytes(client.transport), 0)
        self.origin.began = lambda connection: None
        for connection in self.origin.open:
            connection.transport.resumeProducing()
        self.assertEqual(201, (await client.take()).status)
        wanted = (len(body), hashlib.sha256(body).hexdigest())
        self.assertEqual([wanted], self.origin.bodies)

    async def test_no_limit(self) -> None:
        """`client_max_body_size = 0` is no limit, as in nginx."""
        await self.shield("client_max_body_size = 0")
        body = BODY * 10
        self.assertEqual(201, (await self.put(put(f"Content-Length: {len(body)}"), body)).status)
        self.assertEqual(201, (await self.put(put("Content-Length: 10"), body[:10])).status)
        self.assertEqual([len(body), 10], [size for size, _ in self.origin.bodies])

    async def test_connections_are_used_up(self) -> None:
        """With no connection to spare an upload takes the place of an idle one."""
        await self.shield(f"{ALL}\norigin_connections = 1")
        await self.stored()
        for _ in range(2):
            self.assertEqual(201, (await self.put(put("Content-Length: 300000"), BODY)).status)
        self.assertEqual("MISS", (await self.get("/a")).cache)


class EndTests(UploadScenario):
    """How it can end before it is whole."""

    async def test_early_answer(self) -> None:
        """The origin's early answer is passed on; both connections end."""
        self.answer_early()
        await self.shield(ALL)
        await self.stored()
        client = await self.connect()
        client.send(put("Content-Length: 300000") + BODY[:100_000])
        got = await client.take()
        self.assertEqual((403, b"not that"), (got.status, got.body))
        self.assertEqual("close", got.headers["connection"])
        client.send(BODY[100_000:] + put(method="GET"))
        await until(lambda: client.ended, "the end")
        self.assertEqual(b"", client.buffer)
        await until(lambda: not self.uploading(), "the origin's connection to end")
        await self.still_stored()
        self.assertEqual([], [x for x in self.origin.bodies if x[0]])

    def uploading(self) -> list[Any]:
        """Return the origin's connections that wait for more of a body."""
        return [each for each in self.origin.open if each.asked is not None]

    async def test_client_leaves(self) -> None:
        """The origin never sees an end; nothing is invalid; the log says 499."""
        await self.shield(ALL)
        await self.stored()
        for leave in ("abortConnection", "loseConnection"):
            client = await self.begun()
            getattr(client.transport, leave)()
            await until(lambda: not self.uploading(), "the origin's connection to end")
        await self.still_stored()
        self.assertEqual(2, [x["status"] for x in self.logged()].count(499))
        self.assertEqual(0, self.version)

    async def test_client_sends_its_last_byte_too_early(self) -> None:
        """A body cut short by a half-close is not whole either, in chunks or not."""
        await self.shield(ALL)
        await self.stored()
        first = await self.begun()
        second = await self.connect()
        head = put("Transfer-Encoding: chunked")
        second.send(head + in_chunks(BODY, 9000)[: -len(b"0\r\nT: t\r\n\r\n")])
        await until(lambda: len(self.uploading()) == 2, "both")
        for client in (first, second):
            client.transport.loseWriteConnection()
        await until(lambda: first.ended and second.ended, "the end")
        await until(lambda: not self.uploading(), "the origin's connections to end")
        await self.still_stored()
        self.assertEqual(0, self.version)

    async def test_client_leaves_after_the_last_byte(self) -> None:
        """What was sent whole is heard of to its end: the object is asked for anew."""
        self.origin.answers["/b"] = lambda connection, asked: late.append((connection, asked))
        late: list[Any] = []
        await self.shield(ALL)
        await self.stored()
        client = await self.connect()
        client.send(put("Content-Length: 300000", target="/b") + BODY)
        await until(lambda: late, "the whole body")
        client.transport.abortConnection()
        await until(lambda: client.ended, "the client to go")
        answer(201, b"", {"Location": "/a"})(*late[0])
        await until(lambda: len(self.logged()) == 3, "the end")
        self.assertEqual(201, self.logged()[-1]["status"])
        self.assertEqual("MISS", (await self.get("/a")).cache)

    async def test_origin_leaves(self) -> None:
        """502, and it is not sent again."""
        await self.shield(ALL)
        await self.stored()
        for how in ("loseConnection", "abortConnection"):
            client = await self.begun()
            for connection in self.uploading():
                connection.transport.unregisterProducer()
                getattr(connection.transport, how)()
            got = await client.take()
            self.assertEqual((502, "close"), (got.status, got.headers["connection"]))
            client.transport.abortConnection()
        self.assertEqual(["PUT"] * 2, [x.method for x in self.origin.asked if x.method == "PUT"])
        await self.still_stored()

    async def test_no_origin(self) -> None:
        """502 before a byte is read; who asked whether to go on is not told to."""
        await self.shield(ALL)
        await self.origin.port.stopListening()
        client = await self.connect()
        client.send(put("Content-Length: 300000", "Expect: 100-continue"))
        await self.hears(client)
        self.assertTrue(client.buffer.startswith(b"HTTP/1.1 502"), client.buffer)

    async def test_origin_answers_nothing(self) -> None:
        """504 when the whole body is there, and no sooner: a slow client is another matter."""
        self.origin.answers["/a"] = raw()
        await self.shield(f"{ALL}\norigin_read_timeout = 1s")
        got = await self.put(put("Content-Length: 300000"), BODY)
        self.assertEqual(504, got.status)

    async def test_origin_leaves_after_the_last_byte(self) -> None:
        """Nobody knows what it did with the whole body: 502, and /a is asked for anew."""
        versioned = self.origin.answers["/a"]
        await self.shield(ALL)
        for size in (300_000, 10):
            self.origin.answers["/a"] = versioned
            await self.get("/a")
            self.assertEqual("HIT", (await self.get("/a")).cache)
            self.origin.answers["/a"] = raw(abort=True)
            got = await self.put(put(f"Content-Length: {size}", method="POST"), BODY[:size])
            self.assertEqual(502, got.status)
        self.origin.answers["/a"] = versioned
        self.assertEqual("MISS", (await self.get("/a")).cache)

    async def test_bad_chunks(self) -> None:
        """400 in the middle of a body: the origin never sees an end of it."""
        await self.shield(ALL)
        await self.stored()
        good = in_chunks(BODY, 100_000)[:250_000]
        for bad in (b"zz\r\n", b"\r\n-1\r\n", b"\r\n1\nx\r\n"):
            whole = in_chunks(BODY[:100_000], 100_000)[:-14]
            got = await self.put(put("Transfer-Encoding: chunked"), whole + bad + good)
            self.assertEqual((400, "close"), (got.status, got.headers["connection"]), bad)
            await until(lambda: not self.uploading(), "the origin's connection to end")
        await self.still_stored()
        self.assertEqual(0, self.version)

    async def test_too_large(self) -> None:
        """413 in the middle of chunks; by the length before anything is sent, and no 100."""
        await self.shield(f"{ALL.rpartition(' ')[0]} 200k")
        got = await self.put(put("Transfer-Encoding: chunked"), in_chunks(BODY, 10_000))
        self.assertEqual((413, "close"), (got.status, got.headers["connection"]))
        await until(lambda: not self.uploading(), "the origin's connection to end")
        asked = len(self.origin.asked)
        client = await self.connect()
        client.send(put("Content-Length: 204801", "Expect: 100-continue"))
        await until(lambda: client.ended, "the end")
        self.assertTrue(client.buffer.startswith(b"HTTP/1.1 413"), client.buffer)
        self.assertEqual(asked, len(self.origin.asked))


class ExpectTests(UploadScenario):
    async def test_go_on(self) -> None:
        """The word to go on comes when the origin is there; the body then goes along."""
        await self.shield(ALL)
        for expected in ("100-continue", "100-Continue"):
            client = await self.connect()
            client.send(put("Content-Length: 300000", f"Expect: {expected}"))
            self.assertEqual(GOES_ON, await self.hears(client, b"\r\n\r\n"))
            self.assertEqual(b"PUT /a", self.origin.asked[-1].head[:6])
            self.assertNotIn("expect", self.origin.asked[-1].headers)
            self.assertEqual(201, (await self.put(BODY, client=client)).status)
            client.send(put(method="GET"))
            self.assertEqual(200, (await client.take()).status)
        self.assertEqual(2, self.origin.bodies.count(SIZE_AND_SUM))

    async def test_not_told(self) -> None:
        """Who does not wait is not told; nor who is refused: 405, 417."""
        await self.shield(ALL)
        client = await self.connect()
        client.send(put("Content-Length: 300000", "Expect: 100-continue") + BODY)
        await self.hears(client, b"done")
        self.assertTrue(client.buffer.startswith(b"HTTP/1.1 201"), client.buffer[:99])
        for head, status in (
            (put("Content-Length: 9", "Expect: 100-continue", method="PATCH"), b"405"),
            (put("Content-Length: 9", "Expect: 200-ok"), b"417"),
        ):
            client = await self.connect()
            client.send(head)
            await self.hears(client)
            self.assertTrue(client.buffer.startswith(b"HTTP/1.1 " + status), client.buffer)
        self.assertEqual(1, len(self.origin.asked))

    async def test_answer_instead(self) -> None:
        """An origin that says no at once: the client hears it without having sent a byte."""
        self.answer_early(401)
        await self.shield(ALL)
        client = await self.connect()
        client.send(put("Content-Length: 300000", "Expect: 100-continue"))
        got = await client.take()
        self.assertEqual((401, "close"), (got.status, got.headers["connection"]))
        await until(lambda: client.ended, "the end")


class GarbageTests(Garbage):
    """The same care as for GETs; a cycle would keep a body's last piece."""

    early = False

    def make_origin(self) -> Any:
        return TakingOrigin()

    async def get(self, target: str, method: str = "PUT", **headers: str) -> Got:
        client = await self.connect()
        client.send(put("Content-Length: 300000", target=target))
        client.send(BODY[:100_000] if self.early else BODY)
        got = await client.take()
        client.transport.loseConnection()
        await until(lambda: client.ended, "the end")
        return got

    async def test_whole(self) -> None:
        """A body that arrives."""
        await self.shield(ALL)
        await self.leaves_nothing(self.answers(2))

    async def test_early_answer(self) -> None:
        """A body that nobody waits for."""
        self.early = True
        await self.shield(ALL)
        self.origin.began = lambda each: answer(403)(each, each.asked)
        await self.leaves_nothing(self.answers(2))
