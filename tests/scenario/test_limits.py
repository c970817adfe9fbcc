"""`limit_req`, `limit_conn` and `limit_rate` over sockets."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from s3shield.front.counts import digests

from .attack import FOR_LONG
from .harness import Client, Scenario, answer, reactor, until
from .test_http2 import Http2Scenario
from .test_uploads import ALL, BODY, GOES_ON, UploadScenario, put

LARGE = os.urandom(12_000_000)
SLOW = "rate=1r/m"
"""A rate that lets nothing more in while a test runs."""


class LimitsTests(Scenario):
    """Helpers of all of them."""

    def setUp(self) -> None:
        super().setUp()
        self.held: list[Any] = []

    def hold(self, connection: Any, asked: Any) -> None:
        """Say nothing, and remember the connection."""
        self.held.append(connection)

    async def ask(self, target: bytes = b"/a", extra: bytes = b"") -> Client:
        """Send a request and do not wait for the answer."""
        client = await self.connect()
        client.send(b"GET %b HTTP/1.1\r\nHost: h\r\n%b\r\n" % (target, extra))
        return client

    async def leave(self, client: Client) -> None:
        """Reset the client's connection."""
        client.transport.abortConnection()
        await until(lambda: client.ended, "the client to leave")

    def under_way(self) -> int:
        """How many requests of this host, and with these k, are counted."""
        counts: Any = self.serving._front._limits._counts
        keys = [
            *((b"conn  $binary_remote_addr", b"127.0.0.1"), (b"conn  $remote_addr", b"127.0.0.1")),
            *((b"conn  $arg_k", b"1"), (b"conn  $arg_k", b"2")),
        ]
        return sum(counts.under_way(digests(what)(key)) for what, key in keys)


class RequestTests(LimitsTests):
    """`limit_req`."""

    async def test_refused(self) -> None:
        """Over the burst 503, on hits and misses alike, and logged; other keys go on."""
        self.origin.answers["/a"] = answer(headers=FOR_LONG)
        await self.shield(f"limit_req = $http_x_key {SLOW} burst=1 nodelay")
        got = [await self.get("/a", x_key="one") for _ in range(4)]
        self.assertEqual([200, 200, 503, 503], [each.status for each in got])
        self.assertEqual(["MISS", "HIT"], [each.cache for each in got[:2]])
        self.assertEqual(200, (await self.get("/a", x_key="two")).status)
        self.assertEqual([200] * 9, [(await self.get("/a")).status for _ in range(9)])
        self.assertEqual(1, len(self.origin.asked))
        self.assertEqual(2, [line["status"] for line in self.logged()].count(503))

    async def test_status_and_several(self) -> None:
        """`limit_req_status`; any of several lines refuses; one zone holds for two locations."""
        for target in ("/a", "/a?k=1", "/a?k=2", "/b/c"):
            self.origin.answers[target] = answer(headers=FOR_LONG)
        await self.shield(
            f"limit_req = $remote_addr {SLOW} burst=2 nodelay\n"
            f"limit_req = $arg_k {SLOW}\nlimit_req_status = 429",
            more=f"""
[location:/b]
origin = http://127.0.0.1:{self.origin.number}
limit_req = $remote_addr {SLOW} burst=2 nodelay
""",
        )
        found = [
            (await self.get(target)).status
            for target in ("/a?k=1", "/a?k=1", "/a?k=2", "/b/c", "/a", "/b/c")
        ]
        # The second counts for nobody.
        self.assertEqual([200, 429, 200, 200, 429, 503], found)

    async def test_once_for_each_request(self) -> None:
        """An index and a page of an error are the same request, and counted once, as in nginx."""
        self.origin.answers["/d/index.html"] = answer(body=b"index", headers=FOR_LONG)
        self.origin.answers["/busy.html"] = answer(body=b"busy", headers=FOR_LONG)
        await self.shield(
            f"limit_req = $remote_addr {SLOW} burst=1 nodelay\nlimit_conn = $remote_addr 1\n"
            "index = index.html\nerror_page = 503 /busy.html"
        )
        got = [await self.get("/d/") for _ in range(4)]
        self.assertEqual([200, 200, 503, 503], [each.status for each in got])
        self.assertEqual([b"index"] * 2 + [b"busy"] * 2, [each.body for each in got])
        self.assertEqual(0, self.under_way())

    async def test_dry_run(self) -> None:
        """Nothing is refused and nothing waits."""
        self.origin.answers["/a"] = answer(headers=FOR_LONG)
        await self.shield(f"limit_req = $remote_addr {SLOW} burst=1\nlimit_req_dry_run = on")
        self.assertEqual([200] * 5, [(await self.get("/a")).status for _ in range(5)])

    async def test_waiting(self) -> None:
        """A burst without nodelay is served one after the other, all of it."""
        self.origin.answers["/a"] = answer(headers=FOR_LONG)
        await self.shield("limit_req = $remote_addr rate=20r/s burst=3")
        got = await self.together(*[self.get("/a") for _ in range(4)])
        self.assertEqual([200] * 4, [each.status for each in got])

    async def test_client_that_leaves_while_it_waits(self) -> None:
        """Its request is dropped and logged as 499; the origin never hears of it."""
        self.origin.answers["/a"] = answer(headers=FOR_LONG)
        await self.shield(f"limit_req = $remote_addr {SLOW} burst=9")
        self.assertEqual(200, (await self.get("/a")).status)
        clients = [await self.ask(b"/b") for _ in range(3)]
        await until(lambda: len(self.waiting()) == 3, "the requests to wait")
        for client in clients:
            await self.leave(client)
        await until(lambda: not self.waiting(), "the timers to go")
        self.assertEqual([200, 499, 499, 499], [line["status"] for line in self.logged()])
        self.assertEqual(["/a"], self.origin.targets())

    def waiting(self) -> list[Any]:
        """The timers of requests that wait."""
        return [
            each
            for each in reactor.getDelayedCalls()
            if getattr(each.func, "__qualname__", "") == "_Delayed._go_on"
        ]


class ConnectionTests(LimitsTests):
    """`limit_conn`."""

    async def held_request(self, count: int = 1) -> Client:
        client = await self.ask(b"/held%d" % count)
        await until(lambda: len(self.held) >= count, "the question to the origin")
        return client

    async def test_every_ending(self) -> None:
        """A request counts until it is answered, cut off, or left; then the next may come."""
        for number in range(1, 6):
            self.origin.answers[f"/held{number}"] = self.hold
        self.origin.answers["/a"] = answer(headers=FOR_LONG)
        await self.shield("limit_conn = $binary_remote_addr 1\nfetch_on_abort = cancel")
        self.assertEqual(200, (await self.get("/a")).status)
        self.assertEqual(0, self.under_way())
        # Answered
        client = await self.held_request(1)
        self.assertEqual([503, 503], [(await self.get("/a")).status for _ in range(2)])
        self.held[0].send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        self.assertEqual(b"ok", (await client.take()).body)
        self.assertEqual(0, self.under_way())
        # The same connection, kept alive, counts again, and is left
        client.send(b"GET /held2 HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: len(self.held) == 2, "the question to the origin")
        self.assertEqual((1, 503), (self.under_way(), (await self.get("/a")).status))
        await self.leave(client)
        await until(lambda: not self.under_way(), "the count to go")
        # Left in the middle of the answer
        client = await self.held_request(3)
        self.held[2].send(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n" + bytes(60_000))
        await until(lambda: b"\r\n\r\n" in client.buffer, "the head")
        self.assertEqual(503, (await self.get("/a")).status)
        await self.leave(client)
        await until(lambda: not self.under_way(), "the count to go")
        # Cut off by the origin, before the head and in the answer
        client = await self.held_request(4)
        self.held[3].transport.abortConnection()
        await until(lambda: len(self.held) == 5 or client.buffer or client.ended, "502 or again")
        for connection in self.held[4:]:
            connection.transport.abortConnection()
        self.assertEqual(502, (await client.take()).status)
        self.assertEqual(0, self.under_way())
        self.held[:] = self.held[:4]
        client = await self.held_request(5)
        self.held[4].send(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n" + bytes(60_000))
        await until(lambda: b"\r\n\r\n" in client.buffer, "the head")
        self.held[4].transport.abortConnection()
        self.assertFalse((await client.take()).whole)
        await until(lambda: not self.under_way(), "the count to go")
        self.assertEqual(200, (await self.get("/a")).status)

    async def test_slow_reader(self) -> None:
        """Who does not read what he asked for counts for as long, on a hit and on a miss."""
        self.origin.answers["/large"] = answer(body=LARGE, headers=FOR_LONG)
        self.origin.answers["/a"] = answer(headers=FOR_LONG)
        await self.shield("limit_conn = $binary_remote_addr 1\nlimit_conn_status = 429")
        for _ in range(2):
            client = await self.connect()
            client.transport.pauseProducing()
            client.send(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n")
            await until(self.under_way, "the request to count")
            self.assertEqual([429] * 5, [(await self.get("/a")).status for _ in range(5)])
            client.transport.resumeProducing()
            self.assertEqual(LARGE, (await client.take()).body)
            await until(lambda: not self.under_way(), "the count to go")
            await self.until_idle()
        self.assertEqual(200, (await self.get("/a")).status)

    async def test_several_and_dry_run(self) -> None:
        """All lines hold, one that refuses leaves no other counted; a dry run refuses none."""
        self.origin.answers["/held1?k=1"] = self.origin.answers["/held2?k=2"] = self.hold
        self.origin.answers["/a"] = answer(headers=FOR_LONG)
        await self.shield(
            "limit_conn = $remote_addr 3\nlimit_conn = $arg_k 1",
            more=f"""
[location:/dry]
origin = http://127.0.0.1:{self.origin.number}
limit_conn = $arg_k 1
limit_conn_dry_run = on
""",
        )
        self.origin.answers["/dry?k=1"] = answer()
        await self.ask(b"/held1?k=1")
        await self.ask(b"/held2?k=2")
        await until(lambda: len(self.held) == 2, "both questions")
        self.assertEqual(4, self.under_way())
        self.assertEqual(503, (await self.get("/a?k=1")).status)
        self.assertEqual(4, self.under_way())
        self.assertEqual(200, (await self.get("/dry?k=1")).status)
        self.assertEqual(200, (await self.get("/a")).status)
        for connection in self.held:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await until(lambda: not self.under_way(), "the counts to go")


class RateTests(LimitsTests):
    """`limit_rate`."""

    async def test_bodies(self) -> None:
        """Paced answers have the bytes that others have: misses, hits, ranges, HEAD, chunks."""
        small, large = LARGE[:190_000], LARGE[:600_000]
        self.origin.answers["/s"] = answer(body=small, headers={"ETag": '"s"', **FOR_LONG})
        self.origin.answers["/l"] = answer(body=large, headers={"ETag": '"l"', **FOR_LONG})

        def chunked(connection: Any, asked: Any) -> None:
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            connection.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(small), small))

        self.origin.answers["/c"] = chunked
        await self.shield("limit_rate = 150k\nlimit_rate_after = 400k")
        for body in (small, large):
            target = "/s" if body is small else "/l"
            self.assertEqual(body, (await self.get(target)).body)
        await self.until_idle()
        wanted = [
            ("/s", {}, small),
            ("/l", {}, large),
            ("/l", {"range": "bytes=1000-"}, large[1000:]),
            ("/l", {"range": "bytes=10-19"}, large[10:20]),
            ("/c", {}, small),
        ]
        got = await self.together(*[self.get(target, **extra) for target, extra, _ in wanted])
        for each, (target, extra, body) in zip(got, wanted, strict=True):
            self.assertEqual(body, each.body, (target, extra))
        head = await self.get("/l", "HEAD")
        self.assertEqual((200, "600000"), (head.status, head.headers["content-length"]))
        self.assertEqual(304, (await self.get("/l", if_none_match='"l"')).status)

    async def test_reply_is_paced(self) -> None:
        """A hit that would go in one write counts as under way until its time; leaving ends it."""
        self.origin.answers["/s"] = answer(body=LARGE[:20_000], headers=FOR_LONG)
        await self.shield("limit_rate = 100\nlimit_conn = $binary_remote_addr 1")
        miss = await self.ask(b"/s")
        await until(lambda: len(miss.buffer) > 100, "the first bytes")
        self.assertEqual(503, (await self.get("/s")).status)
        await self.leave(miss)
        await until(lambda: not self.under_way(), "the count to go")
        hit = await self.ask(b"/s")
        await until(lambda: b"X-Cache-Status: HIT" in hit.buffer, "the head")
        self.assertEqual((1, 503), (self.under_way(), (await self.get("/s")).status))
        await self.leave(hit)
        await until(lambda: not self.under_way(), "the count to go")


class UploadTests(UploadScenario):
    """Uploads to a location with limits and without a gate."""

    async def test_before_the_body(self) -> None:
        """Over the limit the head is refused and no body asked for; under it all arrives."""
        await self.shield(f"{ALL}\nlimit_req = $http_x_key {SLOW}")
        for size in (5, 60_000, 300_000):
            fields = (f"Content-Length: {size}", "Expect: 100-continue", f"X-Key: {size}")
            client = await self.connect()
            client.send(put(*fields))
            while b"\r\n\r\n" not in client.buffer and await client.more():
                pass
            self.assertTrue(client.buffer.startswith(GOES_ON), size)
            client.send(BODY[:size])
            self.assertEqual(201, (await client.take()).status)
            known = hashlib.sha256(BODY[:size]).hexdigest()
            self.assertEqual((size, known), self.origin.bodies[-1])
            client = await self.connect()
            client.send(put(*fields))
            self.assertEqual(503, (await client.take()).status)
            self.assertNotIn(GOES_ON, client.buffer)
        self.assertEqual(3, len(self.origin.asked))


class Http2Tests(Http2Scenario):
    """Streams are requests."""

    async def test_streams(self) -> None:
        """Each counts, one whose window is closed too, and goes at its own pace."""
        body = LARGE[:150_000]
        self.origin.answers["/s"] = answer(body=body, headers=FOR_LONG)
        await self.shield(
            "limit_conn = $remote_addr 2\nlimit_rate = 100k\nlimit_rate_after = 30k\n"
            "limit_req = $http_x_key rate=1r/m\ncors_origin = https://a.example"
        )
        client = await self.client()
        self.assertEqual(body, (await client.get("/s")).body)
        slow = await self.client(greedy=False, window=1000)
        streams = [slow.ask("/s") for _ in range(3)]
        refused = await slow.answer(streams[2])
        self.assertEqual(503, refused.status)
        self.assertEqual(503, (await client.get("/s")).status)
        await slow.until(lambda _: all(len(slow.replies[each].body) for each in streams[:2]))
        self.assertEqual(503, (await client.get("/s", origin="https://a.example")).status)
        slow.hang_up()
        await until(lambda: slow.gone, "the slow client to go")
        counts: Any = self.serving._front._limits._counts
        known = digests(b"conn  $remote_addr")(b"127.0.0.1")
        await until(lambda: not counts.under_way(known), "the counts to go")
        streams = [client.ask("/s") for _ in range(2)]
        for each in streams:
            self.assertEqual(body, (await client.answer(each)).body)
        got = [await client.get("/s", "HEAD", x_key="k", origin="https://a.example") for _ in "12"]
        self.assertEqual([200, 503], [each.status for each in got])
        for each in got:
            self.assertEqual("https://a.example", each.headers["access-control-allow-origin"])
