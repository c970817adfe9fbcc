"""Bodies with gaps when things end early: a killed daemon, a purge, what cannot be kept."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from s3shield.store.index import Index
from tests.ops.test_daemon import Running
from tests.ports import free_port

from .harness import Asked, OriginConnection, until
from .test_sparse import BLOCK, GONE, SIZE, SparseScenario, virtual

SENT = 12 * BLOCK


class KilledTests(SparseScenario):
    """The real daemon, killed with a body half there."""

    async def shield(self, location: str = "", cache: str = "", more: str = "") -> None:
        """Start the daemon, on the cache of the one before."""
        self.port = free_port()
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        text = self.config_text(location, cache, more)
        text = text.replace("127.0.0.1:0\n", f"127.0.0.1:{self.port}\n")
        (folder / "s3shield.ini").write_text(text.replace("workers = 0", "workers = 1"))
        self.daemon = Running(folder, "-c", "s3shield.ini")
        self.addCleanup(self.daemon.clean)
        self.daemon.until("ready: listening on")

    def kill(self) -> None:
        """End parent and worker at once."""
        os.killpg(self.daemon.process.pid, signal.SIGKILL)
        self.daemon.all_gone()

    async def test_killed_half_way(self) -> None:
        """What was there before kill -9 is there after it, and right; the rest is fetched."""
        gate: list[bool] = []
        held: list[int] = []

        async def hold(at: int) -> None:
            if at >= SENT:
                held.append(at)
                await until(lambda: gate, "the gate")

        found = await self.begin(piece=BLOCK, hold=hold)
        client = await self.connect()
        client.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: held, "twelve blocks to be sent")
        index = Index(Path(self.cache_path) / "index", 1 << 30)
        self.addCleanup(index.close)
        await until(lambda: index.totals().size >= SENT, "the index to name them")
        self.kill()
        gate.append(True)
        await until(lambda: client.ended, "the client to notice")
        await self.shield(*self.options)
        self.origin.answers["/a"] = GONE
        got = await self.hasty_range(5, SENT - 1)
        self.assertEqual(("HIT", virtual(5, SENT, 1)), (got.cache, got.body))
        self.origin.answers["/a"] = found
        before = found.bytes_sent
        got = await self.get("/a")
        self.assertEqual(("PARTIAL", virtual(0, SIZE, 1)), (got.cache, got.body))
        self.assertEqual((SIZE - SENT, (SENT, SIZE)), (found.bytes_sent - before, found.spans[-1]))
        self.assertEqual("HIT", (await self.get("/a")).cache)


class PurgedTests(SparseScenario):
    """A purge while a body is on its way."""

    async def test_running_gap(self) -> None:
        """Who reads goes on with what was asked for; who comes later gets the new version."""
        for first in ("", "Range: bytes=70000-\r\n"):  # the first fetch, or a gap of its entry
            gate: list[bool] = []

            async def hold(at: int, gate: list[bool] = gate) -> None:
                await until(lambda: gate or not 3 * BLOCK <= at < 9 * BLOCK, "the gate")

            found = await self.begin(piece=BLOCK)
            if first:
                await self.range(0, 5)
            found.hold = hold
            reading = await self.connect()
            reading.send(b"GET /a HTTP/1.1\r\nHost: h\r\n%b\r\n" % first.encode())
            await until(lambda reading=reading: len(reading.buffer) > BLOCK, "the beginning")
            found.version, asked = 2, len(self.origin.asked)
            await self.serving._purger().url("http://shield.test/a")
            later = await self.connect()
            later.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
            await until(lambda asked=asked: len(self.origin.asked) > asked, "a request of its own")
            gate.append(True)
            start = 70_000 if first else 0
            self.assertEqual(virtual(start, SIZE, 1), (await reading.take()).body)
            self.assertEqual(virtual(0, SIZE, 2), (await later.take()).body)
            await self.until_idle()
            got = await self.get("/a")
            self.assertEqual(("HIT", virtual(0, SIZE, 2)), (got.cache, got.body))
            await self.stop()
            self.cache_path = os.path.abspath(self.mktemp())


class NotKeptTests(SparseScenario):
    """What an interrupted fetch leaves nothing of."""

    async def interrupted(self, size: int, tag: str) -> None:
        """Interrupt the fetch after two blocks and a half; all of it is asked for again."""
        found = await self.begin(size=size, etag=False)
        found.fields["ETag"] = tag

        def cut(connection: OriginConnection, asked: Asked) -> Any:
            head = f"HTTP/1.1 200 OK\r\nETag: {tag}\r\nCache-Control: max-age=99\r\n"
            connection.send(f"{head}Content-Length: {size}\r\n\r\n".encode())
            connection.send(virtual(0, 5 * BLOCK // 2, 1))
            connection.transport.unregisterProducer()
            connection.transport.loseConnection()

        self.origin.answers["/a"] = [cut, found]
        got = await self.get("/a")
        self.assertFalse(got.whole)
        self.assertEqual(0, self.stored())
        got = await self.get("/a")
        self.assertEqual(("MISS", virtual(0, size, 1)), (got.cache, got.body))
        self.assertEqual([(0, size)], found.spans)

    async def test_weak_validator(self) -> None:
        """A weak ETag does not tell whether the rest would be of the same version."""
        await self.interrupted(SIZE, 'W/"v1"')

    async def test_short(self) -> None:
        """A body of less than four blocks is fetched whole, or not at all."""
        await self.interrupted(3 * BLOCK, '"v1"')
