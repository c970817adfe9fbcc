"""Ranges of large objects: just the blocks that are needed, each fetched once, never mixed."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import attrs

from s3shield.config import load
from s3shield.exchange import matching, sparse

from .harness import Asked, OriginConnection, Scenario, answer, raw, sleep, until

BLOCK = 64 * 1024
SIZE = 20 * BLOCK + 1234
GONE = raw(b"", close=True)
"""A connection that ends without an answer."""


def virtual(start: int, end: int, version: int) -> bytes:
    """Bytes [start, end) of an object as large as you like."""
    first = start // 16
    pieces = [b"%02d-%012x\n" % (version % 100, n) for n in range(first, (end + 15) // 16)]
    return b"".join(pieces)[start - 16 * first :][: end - start]


@attrs.define
class Object:
    """An object of an origin that knows ranges and conditions.

    body: of (start, end, version). hold: an answer's bytes are sent in pieces, and this
    is awaited before each. lie: gets (asked range, version), returns what goes wrong.
    """

    size: int = SIZE
    version: int = 1
    fields: dict[str, str] = attrs.field(factory=lambda: {"Cache-Control": "max-age=1000"})
    etag: bool = True
    modified: bool = False
    ranges: bool = True
    hold: Callable[[int], Any] | None = None
    piece: int = 1 << 20
    bytes_sent: int = 0
    spans: list[tuple[int, int]] = attrs.field(factory=list)

    def tag(self) -> str:
        return f'"v{self.version}"'

    def part(self, start: int, end: int) -> bytes:
        return virtual(start, end, self.version)

    async def __call__(self, connection: OriginConnection, asked: Asked) -> None:
        fields = {"Accept-Ranges": "bytes", "Date": formatdate(usegmt=True), **self.fields}
        if self.etag:
            fields["ETag"] = self.tag()
        if self.modified:
            fields["Last-Modified"] = f"Mon, 23 Nov 2020 00:00:{self.version:02} GMT"
        status, start, end = 200, 0, self.size
        if asked.headers.get("if-match", self.tag()) != self.tag():
            return answer(412, b"")(connection, asked)
        since = asked.headers.get("if-unmodified-since")
        if since is not None and since != fields["Last-Modified"]:
            return answer(412, b"")(connection, asked)
        if asked.headers.get("if-none-match") == self.tag():
            return answer(304, b"", fields)(connection, asked)
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", asked.headers.get("range", ""))
        if found and self.ranges:
            if found[1]:
                start = int(found[1])
                end = min(self.size, int(found[2]) + 1 if found[2] else self.size)
            else:
                start = max(0, self.size - int(found[2]))
            if start >= self.size:
                return answer(416, b"", {"Content-Range": f"bytes */{self.size}"})(
                    connection, asked
                )
            status = 206
            fields["Content-Range"] = f"bytes {start}-{end - 1}/{self.size}"
        fields["Content-Length"] = str(end - start)
        self.spans.append((start, end))
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        connection.send(f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode())
        version = self.version
        while start < end:
            if self.hold is not None:
                await self.hold(start)
            while connection.paused:
                await sleep(0.002)
            if not connection.transport.connected or connection.transport.disconnecting:
                return None
            stop = min(end, start + self.piece)
            connection.send(virtual(start, stop, version))
            self.bytes_sent += stop - start
            start = stop
        return None


class SparseScenario(Scenario):
    async def begin(self, location: str = "", cache: str = "", **changes: Any) -> Object:
        """Serve one object at /a, with short blocks."""
        found = Object(**changes)
        self.origin.answers["/a"] = found
        self.options = (location, f"block_size = 64k\n{cache}")
        await self.shield(*self.options)
        return found

    async def restart(self) -> None:
        await self.stop()
        path = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.config_text(*self.options, ""))
        await self.start(load(path))

    async def range(self, first: int | str, last: int | str = "", **headers: str):
        """One range; then the rest of its last block is waited for."""
        got = await self.hasty_range(first, last, **headers)
        await until(lambda: not self.serving.flights(), "the rest of the block")
        return got

    async def hasty_range(self, first: int | str, last: int | str = "", **headers: str):
        return await self.get("/a", range=f"bytes={first}-{last}", **headers)

    def stored(self) -> int:
        """Bytes that the cache has on its disk, by its own count."""
        (zone,) = self.serving._zones.values()
        zone.store.flush()
        return zone.store.stats().size // BLOCK


class RangeTests(SparseScenario):
    async def test_cold_range_far_inside(self) -> None:
        """At 5 GB of 10 GiB: two blocks at most, and a hit the second time."""
        found = Object(size=10 << 30)
        self.origin.answers["/a"] = found
        await self.shield()
        for status in ("MISS", "HIT"):
            got = await self.range(5_000_000_000, 5_000_000_999)
            self.assertEqual((206, status), (got.status, got.cache))
            self.assertEqual(
                f"bytes 5000000000-5000000999/{10 << 30}", got.headers["content-range"]
            )
            self.assertEqual(virtual(5_000_000_000, 5_000_001_000, 1), got.body)
            await until(lambda: not self.serving.flights(), "the rest of the block")
        # The bytes that are wanted come first, then the beginning of their block.
        first, end = 5_000_000_000, ((5_000_000_000 >> 20) + 1) << 20
        self.assertEqual([(first, end), (end - (1 << 20), first)], found.spans)
        self.assertEqual([0, 1000], [line["cached_bytes"] for line in self.logged()])

    async def test_then_the_whole_fetches_the_gaps(self) -> None:
        """Two ranges, then all of it: three gaps are fetched, nothing twice."""
        found = await self.begin()
        await self.range(3 * BLOCK + 5, 4 * BLOCK + 5)
        await self.range(10 * BLOCK, 10 * BLOCK + 9)
        got = await self.get("/a")
        self.assertEqual((200, "PARTIAL"), (got.status, got.cache))
        self.assertEqual(virtual(0, SIZE, 1), got.body)
        self.assertEqual(SIZE, found.bytes_sent)
        self.assertEqual(3 * BLOCK, self.logged()[-1]["cached_bytes"])
        spans = [(0, 3 * BLOCK), (5 * BLOCK, 10 * BLOCK), (11 * BLOCK, SIZE)]
        self.assertEqual(spans, found.spans[2:])
        self.assertEqual('"v1"', self.origin.asked[2].headers["if-match"])
        again = await self.get("/a")
        self.assertEqual(("HIT", got.body), (again.cache, again.body))

    async def test_partly_there(self) -> None:
        """PARTIAL where some came from the cache; the log says how much."""
        await self.begin()
        await self.range(0, 10)
        got = await self.range(BLOCK - 10, BLOCK + 9)
        self.assertEqual(("PARTIAL", virtual(BLOCK - 10, BLOCK + 10, 1)), (got.cache, got.body))
        self.assertEqual(10, self.logged()[-1]["cached_bytes"])

    async def test_suffix(self) -> None:
        """The end of an object of unknown size: from the origin's suffix, then stored."""
        found = await self.begin()
        for status in ("MISS", "HIT"):
            got = await self.range("", 2000)
            self.assertEqual((206, status), (got.status, got.cache))
            self.assertEqual(virtual(SIZE - 2000, SIZE, 1), got.body)
        self.assertEqual(1, len(self.origin.asked))
        self.assertLess(found.bytes_sent, 3 * BLOCK)

    async def test_open_end(self) -> None:
        """From somewhere to the end."""
        found = await self.begin()
        got = await self.range(18 * BLOCK + 7)
        self.assertEqual(virtual(18 * BLOCK + 7, SIZE, 1), got.body)
        self.assertEqual([(18 * BLOCK, SIZE)], found.spans)

    async def test_several_ranges(self) -> None:
        """multipart/byteranges on a miss, in part and on a hit: the same bytes."""
        found = await self.begin()
        ranges = [(5, 20), (7 * BLOCK - 3, 7 * BLOCK + 3), (2 * BLOCK, 2 * BLOCK + 1)]
        value = "bytes=" + ", ".join(f"{start}-{end}" for start, end in ranges)
        bodies = []
        for status in ("MISS", "HIT"):
            got = await self.get("/a", range=value)
            await until(lambda: not self.serving.flights(), "the rest of the blocks")
            self.assertEqual((206, status, True), (got.status, got.cache, got.whole))
            kind, _, boundary = got.headers["content-type"].partition("; boundary=")
            self.assertEqual("multipart/byteranges", kind)
            parts = got.body.split(b"\r\n--" + boundary.encode())
            self.assertEqual(b"--\r\n", parts[-1])
            for part, (start, end) in zip(parts[1:-1], ranges, strict=True):
                head, _, body = part.partition(b"\r\n\r\n")
                self.assertIn(b"bytes %d-%d/%d" % (start, end, SIZE), head)
                self.assertEqual(virtual(start, end + 1, 1), body)
            bodies.append(got.body)
        self.assertEqual(bodies[0], bodies[1])
        self.assertEqual(4 * BLOCK, found.bytes_sent)

    async def test_several_ranges_of_a_short_body(self) -> None:
        """And where all of it is in memory or in the index."""
        self.origin.answers["/a"] = answer(
            body=b"0123456789", headers={"Cache-Control": "max-age=9", "ETag": '"e"'}
        )
        await self.shield()
        for _ in range(2):
            got = await self.get("/a", range="bytes=1-2,8-")
            self.assertEqual((206, True), (got.status, got.whole))
            self.assertIn(b"\r\n\r\n12\r\n--", got.body)
            self.assertIn(b"\r\n\r\n89\r\n--", got.body)

    async def test_beyond_the_end(self) -> None:
        """416 with the size, cold and warm; the key can be cached all the same."""
        await self.begin()
        for _ in range(2):
            got = await self.range(SIZE, SIZE + 5)
            self.assertEqual((416, f"bytes */{SIZE}"), (got.status, got.headers["content-range"]))
            self.assertEqual(206, (await self.range(0, 5)).status)
        self.assertEqual("HIT", (await self.range(0, 5)).cache)

    async def test_small_object_is_whole_at_once(self) -> None:
        """A part that is all of it is stored as the whole."""
        found = await self.begin(size=5000)
        self.assertEqual(virtual(10, 21, 1), (await self.range(10, 20)).body)
        got = await self.get("/a")
        self.assertEqual(("HIT", virtual(0, 5000, 1)), (got.cache, got.body))
        self.assertEqual(5000, found.bytes_sent)

    async def test_conditions_and_if_range(self) -> None:
        """If-None-Match and If-Range are judged by what the part says of the whole."""
        await self.begin()
        got = await self.range(100, 200, if_none_match='"v1"')
        self.assertEqual(304, got.status)
        got = await self.range(2 * BLOCK, 2 * BLOCK + 9, if_range='"v1"')
        self.assertEqual((206, virtual(2 * BLOCK, 2 * BLOCK + 10, 1)), (got.status, got.body))
        got = await self.range(5 * BLOCK, 5 * BLOCK + 9, if_range='"v0"')
        self.assertEqual((200, virtual(0, SIZE, 1)), (got.status, got.body))

    async def test_head(self) -> None:
        """HEAD of an object of which a part is stored."""
        await self.begin()
        await self.range(100, 200)
        got = await self.get("/a", "HEAD")
        self.assertEqual(
            (200, "HIT", str(SIZE)), (got.status, got.cache, got.headers["content-length"])
        )

    async def test_last_modified_guards_too(self) -> None:
        """Without an ETag an old enough Last-Modified tells versions apart."""
        found = await self.begin(etag=False, modified=True)
        await self.range(0, 5)
        await self.range(5 * BLOCK, 5 * BLOCK + 5)
        self.assertIn("if-unmodified-since", self.origin.asked[1].headers)
        found.version = 2
        got = await self.range(9 * BLOCK, 9 * BLOCK + 5)
        self.assertEqual(virtual(9 * BLOCK, 9 * BLOCK + 6, 2), got.body)

    async def test_without_validator(self) -> None:
        """Parts that nothing can tell apart are not put together: the whole is fetched."""
        await self.begin(etag=False)
        for status in ("MISS", "HIT"):
            got = await self.range(5 * BLOCK, 5 * BLOCK + 5)
            self.assertEqual((206, status), (got.status, got.cache))
            self.assertEqual(virtual(5 * BLOCK, 5 * BLOCK + 6, 1), got.body)
        self.assertNotIn("range", self.origin.asked[1].headers)

    async def test_not_stored(self) -> None:
        """A part that may not be stored is given to whom it was for; then ranges are passed on."""
        found = await self.begin(fields={"Cache-Control": "no-store"})
        for _ in range(2):
            got = await self.range(BLOCK + 5, BLOCK + 9)
            self.assertEqual((206, virtual(BLOCK + 5, BLOCK + 10, 1)), (got.status, got.body))
        self.assertEqual([(BLOCK, 2 * BLOCK), (BLOCK + 5, BLOCK + 10)], found.spans)

    async def test_stale_part_is_revalidated(self) -> None:
        """A 304 makes the part fresh again; what is missing is fetched."""
        found = await self.begin(fields={"Cache-Control": "max-age=0"})
        await self.range(0, 5)
        got = await self.range(BLOCK, BLOCK + 5)
        self.assertEqual(("REVALIDATED", virtual(BLOCK, BLOCK + 6, 1)), (got.cache, got.body))
        found.version = 2
        got = await self.range(0, 5)
        self.assertEqual(("EXPIRED", virtual(0, 6, 2)), (got.cache, got.body))
        self.assertEqual([(0, BLOCK), (BLOCK, 2 * BLOCK), (0, BLOCK)], found.spans)


class SharingTests(SparseScenario):
    async def test_overlapping_ranges_share(self) -> None:
        """Ten at once, overlapping: each block is fetched once."""
        found = await self.begin(piece=BLOCK // 4, hold=lambda _at: sleep(0.002))
        ranges = [(n * BLOCK // 2, n * BLOCK // 2 + 2 * BLOCK) for n in range(10)]
        seen = await self.together(*[self.hasty_range(start, end - 1) for start, end in ranges])
        for got, (start, end) in zip(seen, ranges, strict=True):
            self.assertEqual((206, virtual(start, end, 1)), (got.status, got.body))
        self.assertLessEqual(found.bytes_sent, 7 * BLOCK)

    async def test_same_range_many_times(self) -> None:
        """Twenty clients of one cold range: one request."""
        found = await self.begin(piece=BLOCK // 4, hold=lambda _at: sleep(0.002))
        seen = await self.together(*[self.hasty_range(5 * BLOCK, 7 * BLOCK - 1) for _ in range(20)])
        self.assertEqual([virtual(5 * BLOCK, 7 * BLOCK, 1)] * 20, [got.body for got in seen])
        self.assertEqual([(5 * BLOCK, 7 * BLOCK)], found.spans)

    async def test_far_ahead_of_a_running_fetch(self) -> None:
        """A range far ahead does not wait for the whole that is on its way."""
        gate: list[bool] = []

        async def hold(at: int) -> None:
            while at >= BLOCK and at < 15 * BLOCK and not gate:
                await sleep(0.005)

        found = await self.begin(piece=BLOCK // 4, hold=hold)
        whole = await self.connect()
        whole.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: len(whole.buffer) > BLOCK // 2, "the beginning")
        got = await self.hasty_range(16 * BLOCK, 16 * BLOCK + 99)
        self.assertEqual(virtual(16 * BLOCK, 16 * BLOCK + 100, 1), got.body)
        gate.append(True)
        self.assertEqual(virtual(0, SIZE, 1), (await whole.take()).body)
        self.assertLessEqual(found.bytes_sent, SIZE + BLOCK)

    async def test_slow_reader(self) -> None:
        """One that reads late gets all of it, and holds nobody up."""
        await self.begin(size=200 * BLOCK)
        slow = await self.connect()
        slow.transport.pauseProducing()
        slow.send(b"GET /a HTTP/1.1\r\nHost: h\r\nRange: bytes=70000-\r\n\r\n")
        fast = await self.hasty_range(70_000)
        self.assertEqual(virtual(70_000, 200 * BLOCK, 1), fast.body)
        slow.transport.resumeProducing()
        self.assertEqual(fast.body, (await slow.take()).body)


class KeepingTests(SparseScenario):
    async def test_abort_keeps_blocks(self) -> None:
        """fetch_on_abort = cancel: the whole blocks that came are not fetched again."""
        gate: list[bool] = []

        async def hold(at: int) -> None:
            while at >= 5 * BLOCK + BLOCK // 2 and not gate:
                await sleep(0.005)

        found = await self.begin("fetch_on_abort = cancel", piece=BLOCK // 2, hold=hold)
        client = await self.connect()
        client.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: len(client.buffer) > 5 * BLOCK, "five blocks")
        client.transport.abortConnection()
        await until(lambda: not self.serving.flights(), "the fetch to end")
        gate.append(True)
        await until(lambda: self.stored() >= 5, "the blocks in the index")
        got = await self.get("/a")
        self.assertEqual(("PARTIAL", virtual(0, SIZE, 1)), (got.cache, got.body))
        self.assertEqual((5 * BLOCK, SIZE), found.spans[1])

    async def test_origin_cut_keeps_blocks(self) -> None:
        """The origin breaks off, again and again: the client is cut, the whole blocks stay."""
        found = await self.begin()

        def cut(connection: OriginConnection, asked: Asked) -> None:
            head = f'HTTP/1.1 200 OK\r\nETag: "v1"\r\nCache-Control: max-age=99\r\nContent-Length: {SIZE}\r\n\r\n'
            connection.send(head.encode() + virtual(0, 3 * BLOCK + 77, 1))
            connection.transport.unregisterProducer()
            connection.transport.loseConnection()

        self.origin.answers["/a"] = [cut, GONE, GONE, found]
        got = await self.get("/a")
        self.assertFalse(got.whole)
        self.assertEqual(virtual(0, len(got.body), 1), got.body)
        await until(lambda: self.stored() >= 3, "the blocks in the index")
        got = await self.get("/a")
        self.assertEqual((virtual(0, SIZE, 1), [(3 * BLOCK, SIZE)]), (got.body, found.spans))

    async def test_origin_cut_is_asked_on(self) -> None:
        """The origin breaks off once: the rest is asked for from there; the client sees nothing."""
        found = await self.begin()

        def cut(connection: OriginConnection, asked: Asked) -> None:
            head = f'HTTP/1.1 200 OK\r\nETag: "v1"\r\nCache-Control: max-age=99\r\nContent-Length: {SIZE}\r\n\r\n'
            connection.send(head.encode() + virtual(0, 3 * BLOCK + 77, 1))
            connection.transport.unregisterProducer()
            connection.transport.loseConnection()

        self.origin.answers["/a"] = [cut, GONE, found]
        got = await self.get("/a")
        self.assertEqual(virtual(0, SIZE, 1), got.body)
        self.assertEqual([(3 * BLOCK + 77, SIZE)], found.spans)
        self.assertEqual('"v1"', self.origin.asked[-1].headers["if-match"])
        self.assertEqual(("HIT", got.body), ((again := await self.get("/a")).cache, again.body))

    async def test_changed_where_it_was_cut(self) -> None:
        """The rest is of another version by then: the client is cut, never given both."""
        found = await self.begin(version=2)

        def cut(connection: OriginConnection, asked: Asked) -> None:
            head = f'HTTP/1.1 200 OK\r\nETag: "v1"\r\nCache-Control: max-age=99\r\nContent-Length: {SIZE}\r\n\r\n'
            connection.send(head.encode() + virtual(0, 3 * BLOCK + 77, 1))
            connection.transport.unregisterProducer()
            connection.transport.loseConnection()

        self.origin.answers["/a"] = [cut, found]
        got = await self.get("/a")
        self.assertFalse(got.whole)
        self.assertEqual(virtual(0, len(got.body), 1), got.body)
        self.assertEqual(virtual(0, SIZE, 2), (await self.get("/a")).body)

    async def test_restart_keeps_blocks(self) -> None:
        """What was there is there after a restart, and the rest is fetched."""
        found = await self.begin()
        await self.range(3 * BLOCK, 4 * BLOCK - 1)
        await self.restart()
        got = await self.range(3 * BLOCK, 4 * BLOCK - 1)
        self.assertEqual(("HIT", virtual(3 * BLOCK, 4 * BLOCK, 1)), (got.cache, got.body))
        self.assertEqual(virtual(0, SIZE, 1), (await self.get("/a")).body)
        self.assertEqual(SIZE, found.bytes_sent)
        await self.restart()
        self.assertEqual(virtual(0, SIZE, 1), (await self.get("/a")).body)
        self.assertEqual(SIZE, found.bytes_sent)

    async def test_file_deleted_under_us(self) -> None:
        """No file: the range is fetched again."""
        await self.begin()
        await self.range(0, 5)
        await self.restart()
        for folder, _, names in os.walk(os.path.join(self.cache_path, "blobs")):
            for name in names:
                os.unlink(os.path.join(folder, name))
        got = await self.range(0, 5)
        self.assertEqual(("MISS", virtual(0, 6, 1)), (got.cache, got.body))


class ChangeTests(SparseScenario):
    async def test_new_version(self) -> None:
        """412: what was stored goes, the client gets the new version, then it is cached."""
        found = await self.begin()
        await self.range(0, 5)
        found.version = 2
        got = await self.range(5 * BLOCK, 5 * BLOCK + 9)
        self.assertEqual((206, "MISS"), (got.status, got.cache))
        self.assertEqual(virtual(5 * BLOCK, 5 * BLOCK + 10, 2), got.body)
        self.assertEqual(virtual(0, 6, 2), (await self.range(0, 5)).body)
        self.assertEqual("HIT", (await self.range(0, 5)).cache)

    async def test_head_is_out(self) -> None:
        """A client that has bytes of the old version is cut, and never gets the new one's."""
        found = await self.begin()
        await self.range(0, 5)
        found.version = 2
        got = await self.get("/a")
        self.assertFalse(got.whole)
        self.assertEqual(virtual(0, len(got.body), 1), got.body)
        self.assertEqual(virtual(0, SIZE, 2), (await self.get("/a")).body)

    async def test_gone(self) -> None:
        """The object was deleted meanwhile: 404, and nothing is stored of it."""
        await self.begin()
        await self.range(0, 5)
        self.origin.answers["/a"] = answer(404, b"gone")
        self.assertEqual(404, (await self.range(5 * BLOCK, 5 * BLOCK + 9)).status)

    async def test_origin_down(self) -> None:
        """The gap cannot be had: 502 or 503, what is stored still answers."""
        found = await self.begin()
        await self.range(0, 5)
        self.origin.answers["/a"] = answer(503, b"down")
        self.assertIn((await self.range(5 * BLOCK, 5 * BLOCK + 9)).status, (502, 503))
        self.assertEqual("HIT", (await self.range(0, 5)).cache)
        self.origin.answers["/a"] = found
        self.assertEqual("MISS", (await self.range(5 * BLOCK, 5 * BLOCK + 9)).cache)


class LyingTests(SparseScenario):
    def part(self, start: int, end: int, of: int | str, body: bytes, **fields: str):
        lines = {
            "ETag": '"v1"',
            "Cache-Control": "max-age=1000",
            "Content-Range": f"bytes {start}-{end - 1}/{of}",
            **{name.replace("_", "-"): value for name, value in fields.items()},
        }
        return answer(206, body, lines)

    async def test_wrong_content_range(self) -> None:
        """Another part than was asked for: an error, nothing stored, cold and warm."""
        found = await self.begin()
        wrong = self.part(7 * BLOCK, 8 * BLOCK, SIZE, virtual(7 * BLOCK, 8 * BLOCK, 1))
        self.origin.answers["/a"] = wrong
        self.assertEqual(502, (await self.range(0, 5)).status)
        self.origin.answers["/a"] = [found, wrong, found]
        self.assertEqual(206, (await self.range(0, 5)).status)
        self.assertEqual(502, (await self.range(3 * BLOCK, 3 * BLOCK + 5)).status)
        got = await self.range(3 * BLOCK, 3 * BLOCK + 5)
        self.assertEqual(("MISS", virtual(3 * BLOCK, 3 * BLOCK + 6, 1)), (got.cache, got.body))
        got = await self.range(7 * BLOCK, 7 * BLOCK + 5)
        self.assertEqual("MISS", got.cache)

    async def test_length_that_contradicts(self) -> None:
        """Content-Length and Content-Range do not agree."""
        await self.begin()
        self.origin.answers["/a"] = self.part(0, BLOCK, SIZE, virtual(0, BLOCK - 7, 1))
        self.assertEqual(502, (await self.range(0, 5)).status)

    async def test_whole_instead_of_part(self) -> None:
        """200 to a range request: the whole body, cold and for a gap."""
        found = await self.begin(ranges=False)
        got = await self.range(5 * BLOCK, 5 * BLOCK + 9)
        self.assertEqual((206, virtual(5 * BLOCK, 5 * BLOCK + 10, 1)), (got.status, got.body))
        await until(lambda: not self.serving.flights(), "the whole")
        got = await self.get("/a")
        self.assertEqual(("HIT", virtual(0, SIZE, 1), 1), (got.cache, got.body, len(found.spans)))

    async def test_whole_instead_of_gap(self) -> None:
        """200 of the same version to a gap's request: all of it is taken."""
        found = await self.begin()
        await self.range(5 * BLOCK, 5 * BLOCK + 9)
        found.ranges = False
        got = await self.range(9 * BLOCK, 9 * BLOCK + 9)
        self.assertEqual((206, virtual(9 * BLOCK, 9 * BLOCK + 10, 1)), (got.status, got.body))
        await until(lambda: not self.serving.flights(), "the whole")
        got = await self.get("/a")
        self.assertEqual(("HIT", virtual(0, SIZE, 1), 2), (got.cache, got.body, len(found.spans)))

    async def test_other_version_in_the_part(self) -> None:
        """An origin without conditions: the ETag or the size in the 206 tells."""
        for other in ({"ETag": '"v9"'}, {}):
            with self.subTest(other=other):
                found = await self.begin()
                await self.range(0, 5)
                size = SIZE if other else SIZE + 1
                lie = self.part(
                    3 * BLOCK, 4 * BLOCK, size, virtual(3 * BLOCK, 4 * BLOCK, 9), **other
                )
                found.version = 9
                self.origin.answers["/a"] = [lie, found]
                got = await self.range(3 * BLOCK, 3 * BLOCK + 5)
                self.assertEqual(virtual(3 * BLOCK, 3 * BLOCK + 6, 9), got.body)
                self.assertEqual(virtual(0, 6, 9), (await self.range(0, 5)).body)
                await self.stop()
                self.cache_path = os.path.abspath(self.mktemp())

    async def test_short_part_is_asked_on(self) -> None:
        """An origin that sends less than asked, and says so, is asked for the rest."""
        found = await self.begin()
        first = self.part(3 * BLOCK, 3 * BLOCK + 100, SIZE, virtual(3 * BLOCK, 3 * BLOCK + 100, 1))
        self.origin.answers["/a"] = [found, first, found]
        await self.range(0, 5)
        got = await self.range(3 * BLOCK, 4 * BLOCK - 1)
        self.assertEqual(virtual(3 * BLOCK, 4 * BLOCK, 1), got.body)
        self.assertEqual("HIT", (await self.range(3 * BLOCK, 4 * BLOCK - 1)).cache)

    async def test_part_cut_short(self) -> None:
        """A connection that ends inside a part, always: the client is cut, the block not stored."""
        found = await self.begin()

        def cut(connection: OriginConnection, asked: Asked) -> None:
            whole = f"bytes {3 * BLOCK}-{4 * BLOCK - 1}/{SIZE}"
            head = f'HTTP/1.1 206 P\r\nETag: "v1"\r\nContent-Range: {whole}\r\nContent-Length: {BLOCK}\r\n\r\n'
            connection.send(head.encode() + virtual(3 * BLOCK, 3 * BLOCK + 500, 1))
            connection.transport.unregisterProducer()
            connection.transport.loseConnection()

        self.origin.answers["/a"] = [found, cut, GONE, GONE, found]
        await self.range(0, 5)
        got = await self.range(3 * BLOCK, 4 * BLOCK - 1)
        self.assertFalse(got.whole)
        self.assertEqual(virtual(3 * BLOCK, 3 * BLOCK + len(got.body), 1), got.body)
        got = await self.range(3 * BLOCK, 4 * BLOCK - 1)
        self.assertEqual(("MISS", virtual(3 * BLOCK, 4 * BLOCK, 1)), (got.cache, got.body))

    async def test_endless_part(self) -> None:
        """A chunked part that goes on beyond what it announced is not believed."""
        found = await self.begin()

        async def endless(connection: OriginConnection, asked: Asked) -> None:
            whole = f"bytes {3 * BLOCK}-{4 * BLOCK - 1}/{SIZE}"
            head = f'HTTP/1.1 206 P\r\nETag: "v1"\r\nContent-Range: {whole}\r\nTransfer-Encoding: chunked\r\n\r\n'
            connection.send(head.encode())
            for _ in range(100):
                if not connection.transport.connected:
                    return
                connection.send(b"8000\r\n" + bytes(0x8000) + b"\r\n")
                await sleep(0.001)

        self.origin.answers["/a"] = [found, endless, found]
        await self.range(0, 5)
        got = await self.range(3 * BLOCK, 6 * BLOCK - 1)
        self.assertFalse(got.whole)

    async def test_unknown_size(self) -> None:
        """Content-Range with `*`: passed on, not stored."""
        await self.begin()
        self.origin.answers["/a"] = self.part(0, 6, "*", b"abcdef")
        for _ in range(2):
            got = await self.range(0, 5)
            self.assertEqual((206, b"abcdef"), (got.status, got.body))
            self.assertEqual("bytes 0-5/*", got.headers["content-range"])
        self.assertEqual("bytes=0-5", self.origin.asked[-1].headers["range"])


class RandomTests(SparseScenario):
    """A model: a version and its bytes. Random ranges, changes, restarts and aborts."""

    timeout = 120

    async def walk(self, seed: int, steps: int) -> None:
        rng = random.Random(seed)
        found = await self.begin(
            rng.choice(["fetch_on_abort = cancel", ""]), piece=rng.choice([7000, BLOCK, 1 << 20])
        )
        versions = [1]
        for step in range(steps):
            what = rng.random()
            if what < 0.06:
                found.version += 1
                versions.append(found.version)
            elif what < 0.12:
                await self.restart()
            elif what < 0.2:
                client = await self.connect()
                start = rng.randrange(SIZE)
                client.send(b"GET /a HTTP/1.1\r\nHost: h\r\nRange: bytes=%d-\r\n\r\n" % start)
                await until(lambda client=client: client.buffer or client.ended, "something")
                client.transport.abortConnection()
            else:
                ranges = []
                for _ in range(rng.choice([1, 1, 1, 3])):
                    start = rng.randrange(SIZE)
                    ranges.append(
                        (start, min(SIZE, start + rng.choice([1, 900, BLOCK, 5 * BLOCK])))
                    )
                if rng.random() < 0.1:
                    ranges = [(0, SIZE)]
                seen = await self.together(*[self.hasty_range(a, b - 1) for a, b in ranges])
                for (start, end), got in zip(ranges, seen, strict=True):
                    where = f"seed {seed}, step {step}: {start}-{end} {got.status} {got.cache}"
                    self.assertIn(got.status, (206,), where)
                    allowed = [virtual(start, end, v)[: len(got.body)] for v in versions]
                    self.assertIn(got.body, allowed, where)
                    if not got.whole:
                        self.assertGreater(len(versions), 1, where)
        await until(lambda: not self.serving.flights(), "all fetches to end")
        got = await self.get("/a")
        if not got.whole:
            got = await self.get("/a")
        self.assertIn(got.body, [virtual(0, SIZE, v) for v in versions])

    async def test_walks(self) -> None:
        """No client ever gets bytes of two versions, or wrong ones."""
        for seed in range(8):
            if seed == 4:  # from here on nearly all fetches begin inside a block
                self.patch(matching, "DEEP", 1000)
                self.patch(sparse, "DEEP", 1000)
            await self.walk(seed, 60)
            await self.stop()
            self.cache_path = os.path.abspath(self.mktemp())
