"""Ranges that begin deep inside a block: their bytes first, then the rest of the block."""

from __future__ import annotations

from typing import Any

from s3shield.exchange import matching, sparse

from .harness import Asked, OriginConnection, answer, until
from .test_sparse import BLOCK, SIZE, Object, SparseScenario, virtual

FIRST = 3 * BLOCK + 5000


class DeepTests(SparseScenario):
    """Blocks are short here, and so is what counts as deep."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(matching, "DEEP", 1000)
        self.patch(sparse, "DEEP", 1000)

    async def check(self, status: str, first: int, end: int, version: int = 1) -> None:
        """One range, whole and right; status: one of these words."""
        got = await self.hasty_range(first, end - 1)
        self.assertEqual(206, got.status)
        self.assertIn(got.cache, status.split())
        self.assertEqual(virtual(first, end, version), got.body)

    async def fetched(self) -> None:
        """Wait for what is fetched in the background."""
        await until(lambda: not self.serving.flights(), "the rest of the block")

    async def test_rest_follows(self) -> None:
        """Two requests, no byte twice, and the block is there: after a restart too."""
        found = await self.begin()
        await self.check("MISS", FIRST, FIRST + 10)
        await self.fetched()
        self.assertEqual([(FIRST, 4 * BLOCK), (3 * BLOCK, FIRST)], found.spans)
        self.assertEqual('"v1"', self.origin.asked[1].headers["if-match"])
        await self.restart()
        await self.check("HIT", 3 * BLOCK, 4 * BLOCK)
        self.assertEqual(BLOCK, found.bytes_sent)

    async def test_gap_of_an_entry(self) -> None:
        """So it is where the object is known and another block of it is asked for."""
        found = await self.begin()
        await self.range(0, 5)
        await self.check("MISS", FIRST, 6 * BLOCK + 9)
        await self.fetched()
        self.assertEqual([(FIRST, 7 * BLOCK), (3 * BLOCK, FIRST)], found.spans[1:])
        await self.check("HIT", 3 * BLOCK, 7 * BLOCK)

    async def test_to_the_end_of_the_block(self) -> None:
        """Who has the last byte of a block and asks again finds it stored."""
        found = await self.begin()
        await self.check("MISS", FIRST, 4 * BLOCK)
        await self.check("HIT", 3 * BLOCK, 4 * BLOCK)
        await self.check("MISS", SIZE - 9, SIZE)  # the last block is a short one
        await self.check("HIT", SIZE - 1234, SIZE - 9)
        self.assertEqual(BLOCK + 1234, found.bytes_sent)

    async def test_many_in_one_block(self) -> None:
        """Clients of one cold block, all at once: each byte is fetched once."""
        found = await self.begin()
        await self.range(0, 5)
        places = [FIRST + 7000 * n % 60_000 for n in range(9)] + [3 * BLOCK + 10]
        await self.together(*[self.check("MISS HIT PARTIAL", at, at + 300) for at in places])
        await self.fetched()
        await self.check("HIT", 3 * BLOCK, 4 * BLOCK)
        self.assertEqual(2 * BLOCK, found.bytes_sent)

    async def test_rest_is_refused(self) -> None:
        """Without its beginning the block is not stored; the client has what it asked for."""
        found = await self.begin()
        self.origin.answers["/a"] = [found, answer(503, b"busy"), found]
        await self.check("MISS", FIRST, 4 * BLOCK)
        await self.fetched()
        await self.check("MISS", 3 * BLOCK, 4 * BLOCK)
        await self.check("HIT", 3 * BLOCK, 4 * BLOCK)

    async def test_rest_is_of_another_version(self) -> None:
        """Then the client has the old one's bytes, and the next one the new one's."""
        found = await self.begin()

        def change(connection: OriginConnection, asked: Asked) -> Any:
            found.version = 2
            return found(connection, asked)

        self.origin.answers["/a"] = [found, change]
        await self.check("MISS", FIRST, 4 * BLOCK)
        await self.fetched()
        await self.check("MISS", FIRST, FIRST + 10, version=2)
        await self.fetched()
        await self.check("HIT", 3 * BLOCK, 4 * BLOCK, version=2)

    async def test_client_leaves(self) -> None:
        """Whatever the client does, a block that has begun gets whole."""
        gate: list[bool] = []

        async def hold(at: int) -> None:
            await until(lambda: gate or at < FIRST + 1000, "the gate")

        found = await self.begin("fetch_on_abort = cancel", piece=1000, hold=hold)
        client = await self.connect()
        client.send(
            b"GET /a HTTP/1.1\r\nHost: h\r\nRange: bytes=%d-%d\r\n\r\n" % (FIRST, 4 * BLOCK)
        )
        await until(lambda: b"\r\n\r\n" in client.buffer, "the head")
        client.transport.abortConnection()
        gate.append(True)
        await self.fetched()
        self.assertLessEqual(found.bytes_sent, 2 * BLOCK)
        got = await self.get("/a")
        self.assertEqual(virtual(0, SIZE, 1), got.body)

    async def test_with_connections_and_read_ahead(self) -> None:
        """What is fetched ahead does not fetch such a block again."""
        options = "range_connections = 3\nread_ahead = 256k"
        found: Object = await self.begin(options)
        for first, end in ((FIRST, 20 * BLOCK), (BLOCK + 2000, BLOCK + 9000)):
            await self.check("MISS", first, end)
            await self.fetched()
        self.assertEqual(virtual(0, SIZE, 1), (await self.get("/a")).body)
        self.assertEqual(SIZE, found.bytes_sent)
