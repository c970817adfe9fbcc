"""Interim responses (RFC 9110 section 15.2): a proxy passes them on."""

from __future__ import annotations

from .harness import BucketScenario, Client, Scenario, raw

HINTS = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n"
)
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nCache-Control: max-age=1000\r\n\r\nhello"
PASSED = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nVia: 1.1 s3shield\r\n\r\n"


async def ask(client: Client, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    """Return all that comes back, up to the end of the connection."""
    client.send(b"%b /a HTTP/%b\r\nHost: h\r\nConnection: close\r\n\r\n" % (method, version))
    while await client.more():
        pass
    return client.buffer


class InterimTests(Scenario):
    async def test_miss_and_hit(self) -> None:
        """It goes before the answer that it came before, and is not stored."""
        self.origin.answers["/a"] = raw(HINTS + HINTS + WHOLE)
        await self.shield()
        first = await ask(await self.connect())
        self.assertTrue(first.startswith(PASSED + PASSED + b"HTTP/1.1 200 OK\r\n"), first)
        self.assertTrue(first.endswith(b"hello"))
        second = await ask(await self.connect())
        self.assertTrue(second.startswith(b"HTTP/1.1 200 OK\r\n"), second)
        self.assertEqual(1, len(self.origin.asked))

    async def test_before_the_answer(self) -> None:
        """It goes at once, and the connection serves the next request as well."""
        held = []
        self.origin.answers["/a"] = lambda connection, asked: held.append(connection)
        await self.shield()
        client = await self.connect()
        client.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        while not held:
            await self.get("/other")
        held[0].send(HINTS)
        while len(client.buffer) < len(PASSED):
            self.assertTrue(await client.more())
        self.assertEqual(PASSED, client.buffer)
        held[0].send(WHOLE)
        self.assertEqual(b"hello", (await client.take()).body)
        client.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertEqual("HIT", (await client.take()).cache)

    async def test_other_methods(self) -> None:
        """Relayed requests have theirs as well."""
        self.origin.answers["/a"] = raw(HINTS + WHOLE)
        await self.shield()
        got = await ask(await self.connect(), b"POST")
        self.assertTrue(got.startswith(PASSED + b"HTTP/1.1 200 OK\r\n"), got)

    async def test_no_cache(self) -> None:
        """So have those of a location that stores nothing."""
        self.origin.answers["/a"] = raw(HINTS + WHOLE)
        await self.shield("proxy_cache = off")
        got = await ask(await self.connect())
        self.assertTrue(got.startswith(PASSED + b"HTTP/1.1 200 OK\r\n"), got)

    async def test_not_for_everybody(self) -> None:
        """HTTP/1.0 knows none (MUST NOT), and a 100 is what we asked for ourselves, or nobody."""
        self.origin.answers["/a"] = raw(b"HTTP/1.1 100 Continue\r\n\r\n" + HINTS + WHOLE)
        await self.shield("proxy_cache = off")
        got = await ask(await self.connect(), version=b"1.0")
        self.assertTrue(got.startswith(b"HTTP/1.1 200 OK\r\n"), got)
        got = await ask(await self.connect())
        self.assertTrue(got.startswith(PASSED + b"HTTP/1.1 200 OK\r\n"), got)


class BucketTests(BucketScenario):
    async def test_bucket(self) -> None:
        """What a bucket says in between is not meant for the client."""
        self.origin.answers["/private/a"] = raw(HINTS + WHOLE)
        await self.shield()
        got = await ask(await self.connect())
        self.assertTrue(got.startswith(b"HTTP/1.1 200 OK\r\n"), got)
