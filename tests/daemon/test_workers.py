"""Collapsed forwarding across worker processes: one of them asks, the others wait for it."""

from __future__ import annotations

import os
import signal

from tests.scenario.harness import OriginConnection, answer, raw, sleep, until

from .workers import STORED, Workers

BODY = os.urandom(300_000)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: max-age=1000\r\n\r\n"
STALE_WHILE = {"Cache-Control": "max-age=0, stale-while-revalidate=1000", "ETag": '"1"'}


class CollapsingTests(Workers):
    """`first` has been asked the origin by worker 0 when worker 1 gets the same request."""

    async def held(self, target: str, **headers: str):
        """Let three clients of each worker ask for `target`; return them, and the origin's side.

        The origin has one request, from worker 0, and has not answered yet.
        """
        connections: list[OriginConnection] = []

        def hold(connection, asked) -> None:
            connections.append(connection)

        before = self.asked_for(target)
        self.origin.answers[target] = hold
        here, there = await self.on(0, 3), await self.on(1, 4)
        probe = there.pop()
        self.send(here[0], target, **headers)
        await self.until_asked(target, before + 1)
        for client in here[1:] + there:
            self.send(client, target, **headers)
        await self.probe(probe)
        self.assertEqual(self.asked_for(target), before + 1)
        return here, there, connections

    async def test_short_body(self) -> None:
        """Six clients of two workers ask the origin once; one of them is the miss."""
        await self.shield()
        here, there, origin = await self.held("/a")
        answer(200, b"hello", STORED)(origin[0], self.origin.asked[-1])
        got = [await client.take() for client in here + there]
        self.assertEqual([each.body for each in got], [b"hello"] * 6)
        self.assertEqual([each.cache for each in got], ["MISS"] + ["HIT"] * 5)
        self.assertEqual(self.asked_for("/a"), 1)

    async def test_no_length(self) -> None:
        """A long body without a length is waited for, and read from the store."""
        await self.shield()
        here, there, origin = await self.held("/a")
        origin[0].send(CHUNKED)
        for at in range(0, len(BODY), 50_000):
            origin[0].send(b"%x\r\n%b\r\n" % (50_000, BODY[at : at + 50_000]))
        origin[0].send(b"0\r\n\r\n")
        got = [await client.take() for client in here + there]
        self.assertEqual([each.body for each in got], [BODY] * 6)
        self.assertEqual(self.asked_for("/a"), 1)

    async def test_revalidation(self) -> None:
        """One 304 answers the clients of both workers, though it is stale at once."""
        fields = {"Cache-Control": "no-cache", "ETag": '"1"'}
        self.origin.answers["/a"] = answer(200, b"hello", fields)
        await self.shield()
        await self.get("/a")
        here, there, origin = await self.held("/a")
        self.assertEqual(self.origin.asked[-1].headers["if-none-match"], '"1"')
        answer(304, b"", fields)(origin[0], self.origin.asked[-1])
        got = [await client.take() for client in here + there]
        self.assertEqual([each.body for each in got], [b"hello"] * 6)
        self.assertEqual([each.cache for each in got], ["REVALIDATED"] + ["HIT"] * 5)
        self.assertEqual(self.asked_for("/a"), 2)

    async def test_cache_status(self) -> None:
        """The field of RFC 9211 says that the answer was fetched for another one."""
        await self.shield("cache_status = on")
        _, there, origin = await self.held("/a")
        answer(200, b"hello", STORED)(origin[0], self.origin.asked[-1])
        got = await there[0].take()
        self.assertIn("collapsed", got.headers["cache-status"])

    async def test_not_stored(self) -> None:
        """What is not stored makes nobody queue: all ask, at once, then and later."""
        await self.shield()
        here, there, origin = await self.held("/a")
        private = answer(200, b"hello", {"Cache-Control": "no-store"})
        private(origin[0], self.origin.asked[-1])
        self.assertEqual((await here[0].take()).cache, "MISS")
        await self.until_asked("/a", 6)
        for connection in origin[1:]:
            private(connection, self.origin.asked[-1])
        got = [await client.take() for client in here[1:] + there]
        self.assertEqual([each.cache for each in got], ["MISS"] * 5)
        for client in here + there:
            self.send(client, "/a")
        await self.until_asked("/a", 12)
        for connection in origin[6:]:
            private(connection, self.origin.asked[-1])
        for client in here + there:
            self.assertEqual((await client.take()).body, b"hello")

    async def test_for_one_alone(self) -> None:
        """An answer that only the leader's request keeps from the store: the others ask, all."""
        await self.shield()
        here, there, origin = await self.held("/a", authorization="Basic eDp5")
        own = answer(200, b"hello", STORED)
        own(origin[0], self.origin.asked[-1])
        await self.until_asked("/a", 6)
        for connection in origin[1:]:
            own(connection, self.origin.asked[-1])
        for client in here + there:
            self.assertEqual((await client.take()).body, b"hello")

    async def test_failure(self) -> None:
        """The origin fails: one client is told, ONE asks again, and that is for all."""
        await self.shield()
        here, there, origin = await self.held("/a")
        origin[0].transport.abortConnection()
        await self.until_asked("/a", 2)
        self.assertEqual((await here[0].take()).status, 502)
        answer(200, b"hello", STORED)(origin[1], self.origin.asked[-1])
        for client in here[1:] + there:
            self.assertEqual((await client.take()).body, b"hello")
        self.assertEqual(self.asked_for("/a"), 2)

    async def test_failure_twice(self) -> None:
        """It fails again: then everybody is told, whichever worker they have."""
        await self.shield()
        here, there, origin = await self.held("/a")
        origin[0].transport.abortConnection()
        await self.until_asked("/a", 2)
        origin[1].transport.abortConnection()
        for client in here + there:
            self.assertEqual((await client.take()).status, 502)
        self.assertEqual(self.asked_for("/a"), 2)

    async def test_failure_with_a_stale_entry(self) -> None:
        """What is stale stands in for the origin's failure in both workers."""
        fields = {"Cache-Control": "max-age=0, stale-if-error=1000", "ETag": '"1"'}
        self.origin.answers["/a"] = answer(200, b"old", fields)
        await self.shield("proxy_cache_background_update = off")
        await self.get("/a")
        here, there, origin = await self.held("/a")
        raw(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")(origin[0], self.origin.asked[-1])
        got = [await client.take() for client in here + there]
        self.assertEqual([each.body for each in got], [b"old"] * 6)
        self.assertEqual([each.cache for each in got], ["STALE"] * 6)
        self.assertEqual(self.asked_for("/a"), 2)

    async def test_killed(self) -> None:
        """The worker that asks is killed: ONE client of the other one asks, for all there."""
        await self.shield()
        _, there, origin = await self.held("/a")
        os.kill(self.pids[0], signal.SIGKILL)
        await self.until_asked("/a", 2)
        answer(200, b"hello", STORED)(origin[1], self.origin.asked[-1])
        got = [await client.take() for client in there]
        self.assertEqual([each.body for each in got], [b"hello"] * 3)
        self.assertEqual(self.asked_for("/a"), 2)

    async def test_killed_in_the_middle(self) -> None:
        """It is killed while the body comes: nobody of the other worker's sees an error."""
        await self.shield()
        here, there, origin = await self.held("/a")
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\nCache-Control: max-age=1000\r\n\r\n"
        origin[0].send(head + BODY[:200_000])
        await until(lambda: len(here[0].buffer) > 100_000, "some of it")
        os.kill(self.pids[0], signal.SIGKILL)
        await self.until_asked("/a", 2)
        origin[1].send(head + BODY)
        got = [await client.take() for client in there]
        self.assertEqual([each.body for each in got], [BODY] * 3)

    async def test_background_refresh(self) -> None:
        """At most one refresh: a worker that finds another's at it begins none."""
        self.origin.answers["/a"] = answer(200, b"hello", STALE_WHILE)
        await self.shield()
        await self.get("/a")
        self.origin.answers["/a"] = raw(b"")
        (here,), (there,) = await self.on(0), await self.on(1)
        self.assertEqual((await self.ask(here, "/a")).cache, "STALE")
        await self.until_asked("/a", 2)
        for client in (there, here, there):
            self.assertEqual((await self.ask(client, "/a")).cache, "UPDATING")
        self.assertEqual(self.asked_for("/a"), 2)

    async def test_lock_timeout(self) -> None:
        """proxy_cache_lock_timeout: who has waited so long for another worker goes alone."""
        await self.shield("proxy_cache_lock_timeout = 50ms")
        (here,), (there,) = await self.on(0), await self.on(1)
        self.origin.answers["/a"] = [raw(b""), answer(200, b"hello", STORED)]
        self.send(here, "/a")
        await self.until_asked("/a")
        self.assertEqual((await self.ask(there, "/a")).body, b"hello")

    async def test_lock_age(self) -> None:
        """proxy_cache_lock_age: a newcomer takes over what another worker has had too long."""
        await self.shield("proxy_cache_lock_age = 1ms")
        (here,), (there,) = await self.on(0), await self.on(1)
        self.origin.answers["/a"] = [raw(b""), answer(200, b"hello", STORED)]
        self.send(here, "/a")
        await self.until_asked("/a")
        await sleep(0.01)
        self.assertEqual((await self.ask(there, "/a")).body, b"hello")

    async def test_purge(self) -> None:
        """After a purge nobody waits for what was asked before it, in either worker."""
        await self.shield("purge_allow = 127.0.0.1")
        (here,), (there,) = await self.on(0), await self.on(1)
        self.origin.answers["/a"] = [raw(b""), answer(200, b"new", STORED)]
        self.send(here, "/a")
        await self.until_asked("/a")
        self.assertEqual((await self.ask(there, "/a", "PURGE")).status, 200)
        got = await self.ask(there, "/a")
        self.assertEqual((got.body, got.cache), (b"new", "MISS"))

    async def test_invalidated(self) -> None:
        """What an unsafe request to one worker makes invalid the other one does not store."""
        await self.shield()
        (here,), (there, other) = await self.on(0), await self.on(1, 2)
        connections: list[OriginConnection] = []

        def answer_later(connection, asked) -> None:
            connections.append(connection)
            if asked.method == "POST":
                answer(200, b"done")(connection, asked)

        self.origin.answers["/a"] = answer_later
        self.send(here, "/a")
        await self.until_asked("/a")
        self.send(other, "/a")
        await self.probe(there)
        self.assertEqual((await self.ask(there, "/a", "POST", content_length="0")).body, b"done")
        await self.until_asked("/a", 3)  # who waited for what is not valid any more asks anew
        answer(200, b"new", STORED)(connections[2], self.origin.asked[-1])
        self.assertEqual((await other.take()).body, b"new")
        answer(200, b"old", STORED)(connections[0], self.origin.asked[0])
        self.assertEqual((await here.take()).body, b"old")
        got = [await self.ask(client, "/a") for client in (here, there)]
        self.assertEqual([(each.body, each.cache) for each in got], [(b"new", "HIT")] * 2)

    async def test_invalidated_file(self) -> None:
        """Neither a body that goes to a file."""
        await self.shield()
        (here,), (there,) = await self.on(0), await self.on(1)
        connections: list[OriginConnection] = []
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\nCache-Control: max-age=1000\r\n\r\n"

        def half(connection, asked) -> None:
            connections.append(connection)
            connection.send(head + BODY[:200_000])

        self.origin.answers["/a"] = half
        self.send(here, "/a")
        await until(lambda: len(here.buffer) > 150_000, "some of it")
        self.origin.answers["/a"] = [answer(200, b"done"), answer(200, b"new", STORED)]
        self.assertEqual((await self.ask(there, "/a", "POST", content_length="0")).body, b"done")
        connections[0].send(BODY[200_000:])
        self.assertEqual((await here.take()).body, BODY)
        self.assertEqual((await self.ask(here, "/a")).body, b"new")

    async def test_leaving(self) -> None:
        """A client that waits for another worker and leaves is not missed."""
        await self.shield()
        _, there, origin = await self.held("/a")
        there[0].transport.abortConnection()
        await until(lambda: there[0].ended, "it to be gone")
        answer(200, b"hello", STORED)(origin[0], self.origin.asked[-1])
        for client in there[1:]:
            self.assertEqual((await client.take()).body, b"hello")
        self.assertEqual(self.asked_for("/a"), 1)
