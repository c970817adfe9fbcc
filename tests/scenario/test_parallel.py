"""`range_connections` and `read_ahead`: several requests for one body, its bytes in order."""

from __future__ import annotations

from typing import Any

from .harness import Asked, Client, OriginConnection, answer, sleep, until
from .test_sparse import BLOCK, GONE, SIZE, Object, SparseScenario, virtual

STRETCH = 8 * BLOCK


class ParallelTests(SparseScenario):
    """`range_connections`."""

    async def together_or_not_at_all(self, connections: int, **changes: Any) -> Object:
        """No answer sends a byte before so many requests are under way."""
        found = await self.begin(f"range_connections = {connections}", **changes)
        found.hold = lambda start: until(
            lambda: len(found.spans) >= connections, f"{connections} requests"
        )
        return found

    async def test_whole(self) -> None:
        """One client's GET is three requests at once; the origin sends each byte once."""
        found = await self.together_or_not_at_all(3)
        got = await self.get("/a")
        self.assertEqual((200, "MISS", virtual(0, SIZE, 1)), (got.status, got.cache, got.body))
        spans = [(0, STRETCH), (STRETCH, 2 * STRETCH), (2 * STRETCH, SIZE)]
        self.assertEqual((spans, SIZE), (sorted(found.spans), found.bytes_sent))
        again = await self.get("/a")
        self.assertEqual(("HIT", got.body), (again.cache, again.body))
        self.assertEqual([None, '"v1"', '"v1"'], [a.headers.get("if-match") for a in self.asked()])

    def asked(self) -> list[Asked]:
        """The requests that the origin has seen."""
        return self.origin.asked

    async def test_long_range(self) -> None:
        """So is a long range, and a range of a body of which a part is there."""
        found = await self.together_or_not_at_all(2)
        start, end = BLOCK + 5, SIZE - 7
        got = await self.range(start, end - 1)
        self.assertEqual((206, virtual(start, end, 1)), (got.status, got.body))
        self.assertEqual((BLOCK, BLOCK + STRETCH), found.spans[0])
        self.assertEqual(SIZE - BLOCK, found.bytes_sent)

    async def test_more_than_connections(self) -> None:
        """No more of them at any time than there may be; the window moves with the reader."""
        under_way, most = set(), 0

        async def hold(start: int) -> None:
            nonlocal most
            under_way.add(start // STRETCH)
            most = max(most, len(under_way))
            await sleep(0.002)
            if start % STRETCH >= STRETCH - BLOCK or start >= 64 * BLOCK:
                under_way.discard(start // STRETCH)

        size = 64 * BLOCK + 99
        found = await self.begin("range_connections = 3", size=size, piece=BLOCK, hold=hold)
        self.assertEqual(virtual(0, size, 1), (await self.get("/a")).body)
        self.assertEqual((size, 9), (found.bytes_sent, len(found.spans)))
        self.assertLessEqual(most, 3)
        self.assertGreater(most, 1)

    async def test_slow_client(self) -> None:
        """A client that does not read has no more fetched than what connections may be ahead."""
        size = 200 * BLOCK
        found = await self.begin("range_connections = 2", size=size)
        client = await self.connect()
        client.transport.pauseProducing()
        client.send(b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        await until(lambda: found.bytes_sent >= 2 * STRETCH, "two stretches")
        await until(lambda: not any(s.gaps for s in self.sparse()), "the fetches to end")
        self.assertLess(found.bytes_sent, size)
        client.transport.resumeProducing()
        self.assertEqual(virtual(0, size, 1), (await client.take()).body)
        self.assertEqual(size, found.bytes_sent)

    def sparse(self) -> list[Any]:
        """The bodies with gaps that are in use."""
        assert self.serving is not None
        return [each for zone in self.serving._zones.values() for each in zone.sparse.values()]

    async def test_shared(self) -> None:
        """Clients at the same body share all of its requests."""
        found = await self.together_or_not_at_all(3)
        clients: list[Client] = [await self.connect() for _ in range(10)]
        for number, client in enumerate(clients):
            client.send(b"GET /a HTTP/1.1\r\nHost: h\r\nRange: bytes=%d-\r\n\r\n" % number)
        for number, client in enumerate(clients):
            self.assertEqual(virtual(number, SIZE, 1), (await client.take()).body)
        self.assertEqual(SIZE, found.bytes_sent)

    async def test_one_is_cut(self) -> None:
        """One of the requests breaks off: asked for again, and the client sees nothing of it."""
        found = await self.begin("range_connections = 3")
        self.origin.answers["/a"] = [found, GONE, found]
        self.assertEqual(virtual(0, SIZE, 1), (await self.get("/a")).body)
        self.assertEqual(SIZE, found.bytes_sent)

    async def test_small_and_empty(self) -> None:
        """What is short comes with the first request; what is empty is asked for as a whole."""
        for size, status, requests in ((BLOCK // 2, 200, 1), (3 * BLOCK, 200, 1), (0, 200, 2)):
            found = await self.begin("range_connections = 3", size=size)
            for cache in ("MISS", "HIT"):
                got = await self.get("/a")
                self.assertEqual((status, cache), (got.status, got.cache), size)
                self.assertEqual(virtual(0, size, 1), got.body)
            self.assertEqual(requests, len(self.origin.asked), size)
            self.assertEqual(str(size), got.headers["content-length"])
            self.assertNotIn("content-range", got.headers)
            self.assertEqual(size, found.bytes_sent)
            self.origin.asked.clear()
            await self.stop()
            self.cache_path = self.mktemp()

    async def test_origin_without_ranges(self) -> None:
        """An origin that knows none sends the whole, once."""
        found = await self.begin("range_connections = 3", ranges=False)
        self.assertEqual(virtual(0, SIZE, 1), (await self.get("/a")).body)
        self.assertEqual((SIZE, 1), (found.bytes_sent, len(self.origin.asked)))

    async def test_without_validator(self) -> None:
        """Parts that nothing tells from another version's are not put together."""
        found = await self.begin("range_connections = 3", etag=False)
        got = await self.get("/a")
        self.assertEqual((200, virtual(0, SIZE, 1)), (got.status, got.body))
        self.assertEqual((0, SIZE), found.spans[-1])

    async def test_all_leave(self) -> None:
        """With `cancel` none of them goes on when nobody reads."""
        gate: list[bool] = []
        held: list[int] = []

        async def hold(start: int) -> None:
            held.append(start)
            await until(lambda: gate or start % STRETCH < 1000, "the gate")
            held.remove(start)

        options = "range_connections = 3\nfetch_on_abort = cancel"
        found = await self.begin(options, piece=1000, hold=hold)
        client = await self.connect()
        client.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: len(found.spans) == 3 and len(client.buffer) > 500, "three requests")
        client.transport.abortConnection()
        await until(lambda: not self.serving.flights() and not self.sparse(), "the fetches to end")
        gate.append(True)
        await until(lambda: not held, "the origin to see it")

    async def test_refused_midway(self) -> None:
        """The origin fails the others for good: the client is cut, and nobody asks for ever."""
        found = await self.begin("range_connections = 3")

        def first_only(connection: OriginConnection, asked: Asked) -> Any:
            if asked.headers.get("range", "").startswith("bytes=0-"):
                return found(connection, asked)
            return answer(503, b"busy")(connection, asked)

        self.origin.answers["/a"] = first_only
        got = await self.get("/a")
        self.assertFalse(got.whole)
        self.assertEqual(virtual(0, len(got.body), 1), got.body)
        self.assertLess(len(self.origin.asked), 8)


class ReadAheadTests(SparseScenario):
    """`read_ahead`."""

    async def test_sequential(self) -> None:
        """A range that begins where the last one ended has what comes next fetched."""
        found = await self.begin("read_ahead = 256k")  # four blocks
        await self.range(0, BLOCK - 1)
        self.assertEqual([(0, BLOCK)], found.spans)
        await self.range(BLOCK, 2 * BLOCK - 1)
        self.assertEqual({(BLOCK, 2 * BLOCK), (2 * BLOCK, 6 * BLOCK)}, set(found.spans[1:]))
        got = await self.range(2 * BLOCK, 3 * BLOCK - 1)
        self.assertEqual(("HIT", virtual(2 * BLOCK, 3 * BLOCK, 1)), (got.cache, got.body))
        self.assertEqual(3, len(found.spans))  # more than half of it is still there
        await self.range(3 * BLOCK, 4 * BLOCK - 1)
        await self.range(4 * BLOCK, 5 * BLOCK - 1)
        self.assertEqual((6 * BLOCK, 9 * BLOCK), found.spans[-1])
        self.assertEqual(4, len(found.spans))

    async def test_to_the_end(self) -> None:
        """Nothing is asked for beyond the end."""
        found = await self.begin("read_ahead = 64m")
        await self.range(0, BLOCK - 1)
        await self.range(BLOCK, 2 * BLOCK - 1)
        self.assertEqual((2 * BLOCK, SIZE), found.spans[-1])
        got = await self.range(2 * BLOCK, SIZE - 1)
        self.assertEqual(("HIT", virtual(2 * BLOCK, SIZE, 1)), (got.cache, got.body))
        self.assertEqual(SIZE, found.bytes_sent)

    async def test_at_random(self) -> None:
        """Who jumps about has nothing fetched for him."""
        found = await self.begin("read_ahead = 256k")
        for block in (0, 5, 3, 9):
            await self.range(block * BLOCK, (block + 1) * BLOCK - 1)
        self.assertEqual(4 * BLOCK, found.bytes_sent)
