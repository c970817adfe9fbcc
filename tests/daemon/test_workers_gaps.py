"""Large objects and several workers: each block is fetched once, whichever worker asks."""

from __future__ import annotations

import os
import signal
from typing import Any

from twisted.internet.defer import Deferred

from tests.scenario.harness import Client, until
from tests.scenario.test_sparse import BLOCK, SIZE, Object, virtual

from .workers import Workers

HALF = 10
"""Blocks that have come when a `Paused` origin waits."""


class Paused(Object):
    """An object of which the origin sends ten blocks, then nothing until `go_on`."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(piece=BLOCK, hold=self._pause, **fields)
        self._going = False
        self._waiting: list[Deferred[None]] = []

    async def _pause(self, offset: int) -> None:
        if offset >= HALF * BLOCK and not self._going:
            self._waiting.append(Deferred())
            await self._waiting[-1]

    def go_on(self) -> None:
        """Send the rest."""
        self._going = True
        for each in self._waiting:
            each.callback(None)


class GapTests(Workers):
    async def begin(
        self, target: Paused, location: str = "", *, whole: bool = True
    ) -> tuple[list[Client], list[Client]]:
        """Let a client of worker 0 ask for /a, of which ten blocks come; return others of both.

        whole: if not, nobody asks yet, and blocks are of 1 MiB.
        """
        await self.shield(location, "block_size = 64k" if whole else "")
        here, there = await self.on(0, 2), await self.on(1, 3)
        self.origin.answers["/a"] = target
        if not whole:
            return here, there
        self.send(here[0], "/a")
        await until(lambda: len(here[0].buffer) >= HALF * BLOCK, "the first half")
        return here, there

    async def both(self, count: int) -> list[Client]:
        """Return so many connections to each worker, by turns."""
        pairs = zip(await self.on(0, count), await self.on(1, count), strict=True)
        return [client for pair in pairs for client in pair]

    async def whole(self, *clients: Client) -> None:
        """All of them get all of it."""
        for client in clients:
            self.assertEqual((await client.take()).body, virtual(0, SIZE, 1))

    async def test_cold_object(self) -> None:
        """Clients of both workers ask for a cold object: the origin sends it once, no byte more."""
        target = Paused()
        here, there = await self.begin(target)
        for client in (*here[1:], *there):
            self.send(client, "/a")
        await until(lambda: all(len(c.buffer) >= 8 * BLOCK for c in there), "what there is")
        target.go_on()
        await self.whole(*here, *there)
        self.assertEqual((target.spans, target.bytes_sent), ([(0, SIZE)], SIZE))

    async def test_deep_inside_a_block(self) -> None:
        """Both workers' clients want other bytes of one cold block: it is sent once, in two parts."""
        block = 1 << 20
        target = Paused(size=6 * block)
        here, there = await self.begin(target, whole=False)
        first = 2 * block + 300_000
        ranges = [(first, first + 100), (2 * block, 2 * block + 100), (first + 9, 3 * block)]
        clients = [here[0], there[0], there[1]]
        for client, (start, end) in zip(clients, ranges, strict=True):
            self.send(client, "/a", range=f"bytes={start}-{end - 1}")
            await self.until_asked("/a")
        await self.probe(here[1])
        target.go_on()
        for client, (start, end) in zip(clients, ranges, strict=True):
            self.assertEqual((await client.take()).body, virtual(start, end, 1))
        self.assertEqual([(first, 3 * block), (2 * block, first)], target.spans)

    async def test_at_once(self) -> None:
        """So they do before there is any answer."""
        target = Object()
        await self.shield("", "block_size = 64k")
        clients = await self.both(3)
        self.origin.answers["/a"] = target
        for client in clients:
            self.send(client, "/a")
        await self.whole(*clients)
        self.assertEqual((target.spans, target.bytes_sent), ([(0, SIZE)], SIZE))

    async def test_cold_range(self) -> None:
        """A range of a cold object is fetched once for clients of both workers."""
        target = Object()
        await self.shield("", "block_size = 64k")
        clients = await self.both(3)
        self.origin.answers["/a"] = target
        start, end = 5 * BLOCK + 7, 9 * BLOCK + 100
        for client in clients:
            self.send(client, "/a", range=f"bytes={start}-{end - 1}")
        for client in clients:
            got = await client.take()
            self.assertEqual((got.status, got.body), (206, virtual(start, end, 1)))
        self.assertEqual(target.spans, [(5 * BLOCK, 10 * BLOCK)])

    async def test_range_that_is_on_its_way(self) -> None:
        """A range that another worker's gap will soon bring is waited for."""
        target = Paused()
        here, there = await self.begin(target)
        start, end = 12 * BLOCK + 5, 13 * BLOCK
        self.send(there[0], "/a", range=f"bytes={start}-{end - 1}")
        await self.probe(there[1])
        target.go_on()
        self.assertEqual((await there[0].take()).body, virtual(start, end, 1))
        await self.whole(here[0])
        self.assertEqual(target.spans, [(0, SIZE)])

    async def test_range_far_ahead(self) -> None:
        """One that lies far ahead is not; the other worker's gap ends where it begins."""
        size = 40 * BLOCK
        target = Paused(size=size)
        here, there = await self.begin(target)
        start = 30 * BLOCK
        self.send(there[0], "/a", range=f"bytes={start}-")
        await until(lambda: len(target.spans) == 2, "a request of its own")
        self.assertEqual(target.spans[1], (start, size))
        target.go_on()
        self.assertEqual((await there[0].take()).body, virtual(start, size, 1))
        self.assertEqual((await here[0].take()).body, virtual(0, size, 1))

    async def test_killed(self) -> None:
        """The worker that fetches is killed: clients of the other go on from where they are."""
        target = Paused()
        _, there = await self.begin(target)
        for client in there:
            self.send(client, "/a")
        await until(lambda: all(len(c.buffer) >= 8 * BLOCK for c in there), "what there is")
        os.kill(self.pids[0], signal.SIGKILL)
        await until(lambda: len(target.spans) == 2, "another request")
        target.go_on()
        await self.whole(*there)
        self.assertGreaterEqual(target.spans[1][0], 8 * BLOCK)
        self.assertEqual(len(target.spans), 2)

    async def test_left(self) -> None:
        """Its only client leaves, and it stops: clients of the other worker see no end."""
        target = Paused()
        here, there = await self.begin(target, "fetch_on_abort = cancel")
        self.send(there[0], "/a")
        await until(lambda: len(there[0].buffer) >= 8 * BLOCK, "what there is")
        here[0].transport.abortConnection()
        await until(lambda: len(target.spans) == 2, "another request")
        target.go_on()
        await self.whole(there[0])
        self.assertGreaterEqual(target.spans[1][0], 8 * BLOCK)

    async def test_purged(self) -> None:
        """The object is purged: who has begun to read it in another worker goes on alone."""
        target = Paused()
        here, there = await self.begin(target, "purge_allow = 127.0.0.1")
        self.send(there[0], "/a")
        await until(lambda: len(there[0].buffer) >= 8 * BLOCK, "what there is")
        self.assertEqual((await self.ask(there[1], "/a", "PURGE")).status, 200)
        await until(lambda: len(target.spans) == 2, "another request")
        target.go_on()
        await self.whole(here[0], there[0])

    async def test_several_connections(self) -> None:
        """range_connections: readers of both workers, and no block is asked for twice."""
        target = Object()
        await self.shield("range_connections = 3", "block_size = 64k")
        clients = await self.both(2)
        self.origin.answers["/a"] = target
        for client in clients:
            self.send(client, "/a")
        await self.whole(*clients)
        self.assertEqual(sum(end - start for start, end in target.spans), SIZE)
