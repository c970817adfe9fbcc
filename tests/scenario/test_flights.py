"""Collapsed forwarding, streaming, and origins that fail in the middle."""

from __future__ import annotations

import itertools
import os

from twisted.internet.defer import ensureDeferred

from .harness import Scenario, answer, raw, sleep, until

BODY = os.urandom(400_000)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nCache-Control: max-age=100\r\n\r\n" % len(BODY)


class FlightTests(Scenario):
    async def test_one_fetch_for_many(self) -> None:
        """Twenty clients at once ask the origin once, and all get all of it."""

        async def slowly(connection, asked) -> None:
            connection.send(HEAD)
            for at in range(0, len(BODY), 50_000):
                await sleep(0.01)
                connection.send(BODY[at : at + 50_000])

        self.origin.answers["/a"] = slowly
        await self.shield()
        seen = await self.together(*[self.get("/a") for _ in range(20)])
        self.assertEqual([BODY] * 20, [got.body for got in seen])
        self.assertEqual(1, len(self.origin.asked))
        self.assertEqual(1, [got.cache for got in seen].count("MISS"))

    async def test_one_a_turn(self) -> None:
        """Where the loop has no room for all of them at once, each gets the same in the end."""
        held = []

        def hold(connection, asked) -> None:
            held.append(connection)

        await self.shield()
        self.serving._around.over = itertools.cycle([False, True, True]).__next__
        fields = b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: %d\r\nCache-Control: max-age=%d\r\n\r\n'
        fresh = b'HTTP/1.1 304 Not Modified\r\nETag: "e"\r\n\r\n'
        for target, sent, body in (
            ("/short", fields % (5, 0) + b"hello", b"hello"),
            ("/short", fresh, b"hello"),
            ("/long", fields % (len(BODY), 100) + BODY, BODY),
        ):
            self.origin.answers[target] = hold
            asking = [ensureDeferred(self.get(target)) for _ in range(12)]
            await self.until_waiting(12)
            await until(lambda: held, "the origin to be asked")
            held.pop().send(sent)
            seen = await self.together(*asking)
            self.assertEqual([(200, body)] * 12, [(got.status, got.body) for got in seen], target)
            caches = sorted(got.cache for got in seen)
            self.assertEqual(caches[:11], ["HIT"] * 11, target)
            self.assertEqual([], held)

    async def test_waiters_stream_from_the_fill(self) -> None:
        """A late comer gets what has arrived before the fetch is over, then the rest."""
        held = []

        def half(connection, asked) -> None:
            connection.send(HEAD + BODY[:200_000])
            held.append(connection)

        self.origin.answers["/a"] = half
        await self.shield()
        early, late = await self.connect(), await self.connect()
        early.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: len(early.buffer) > 200_000, "the first half, early")
        late.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: len(late.buffer) > 200_000, "the first half, late")
        held[0].send(BODY[200_000:])
        self.assertEqual(BODY, (await late.take()).body)
        self.assertEqual(BODY, (await early.take()).body)
        self.assertEqual(1, len(self.origin.asked))

    async def test_range_waits_for_its_offset(self) -> None:
        """A range on a miss is cut out of the one fetch."""
        held = []

        def half(connection, asked) -> None:
            connection.send(HEAD + BODY[:200_000])
            held.append(connection)

        self.origin.answers["/a"] = half
        await self.shield()
        client = await self.connect()
        client.send(b"GET /a HTTP/1.1\r\nHost: h\r\nRange: bytes=150000-250000\r\n\r\n")
        await until(lambda: len(client.buffer) > 50_000, "the part that is there")
        held[0].send(BODY[200_000:])
        got = await client.take()
        self.assertEqual((206, BODY[150_000:250_001]), (got.status, got.body))

    async def test_cut_body_is_cut_and_not_stored(self) -> None:
        """A short body never ends as if it were whole, and never enters the cache."""
        self.origin.answers["/a"] = [
            raw(HEAD + BODY[:300_000], close=True),
            answer(body=BODY, headers={"Cache-Control": "max-age=100"}),
        ]
        await self.shield()
        first = await self.get("/a")
        self.assertFalse(first.whole)
        second = await self.get("/a")
        self.assertEqual(("MISS", BODY), (second.cache, second.body))

    async def test_cut_chunked_body_is_cut(self) -> None:
        """The same without a length: the last chunk is missing here too."""
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: max-age=9\r\n\r\n"
        self.origin.answers["/a"] = [raw(head + b"5\r\nhello\r\n", close=True), answer(body=b"ok")]
        await self.shield()
        self.assertFalse((await self.get("/a")).whole)
        self.assertEqual(b"ok", (await self.get("/a")).body)

    async def test_short_body_cut_is_an_error_status(self) -> None:
        """What was collected and never sent can still be told properly: 502."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nCache-Control: max-age=9\r\n\r\n"
        self.origin.answers["/a"] = [raw(head + b"hello", close=True), answer(body=b"ok")]
        await self.shield()
        self.assertEqual(502, (await self.get("/a")).status)
        self.assertEqual(b"ok", (await self.get("/a")).body)

    async def test_failure_hands_over_to_one(self) -> None:
        """The leader is told; one waiter asks again, for all the others."""

        async def late_failure(connection, asked) -> None:
            await self.until_waiting(8)
            connection.transport.abortConnection()

        self.origin.answers["/a"] = [
            late_failure,
            late_failure,  # the retry on a new connection is not counted as a hand-over
            answer(body=b"ok", headers={"Cache-Control": "max-age=100"}),
        ]
        self.origin.answers["/a"].pop(1)
        await self.shield()
        seen = await self.together(*[self.get("/a") for _ in range(8)])
        self.assertEqual([200] * 7 + [502], sorted(got.status for got in seen))
        self.assertEqual(2, len(self.origin.asked))

    async def test_uncacheable_answers_do_not_queue(self) -> None:
        """Waiters of a response that is not stored fetch for themselves, at the same time."""

        async def private(connection, asked) -> None:
            await sleep(0.1)
            answer(body=b"mine", headers={"Cache-Control": "private"})(connection, asked)

        self.origin.answers["/a"] = private
        await self.shield()
        started = self.serving is not None
        seen = await self.together(*[self.get("/a") for _ in range(5)])
        self.assertTrue(started)
        self.assertEqual([b"mine"] * 5, [got.body for got in seen])
        self.assertEqual(5, len(self.origin.asked))

    async def test_the_fetch_goes_on_when_the_client_leaves(self) -> None:
        """fetch_on_abort = keep: what was begun is stored for the next one."""
        held = []

        def half(connection, asked) -> None:
            connection.send(HEAD + BODY[:200_000])
            held.append(connection)

        self.origin.answers["/a"] = half
        await self.shield()
        client = await self.connect()
        client.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: len(client.buffer) > 200_000, "the first half")
        client.transport.abortConnection()
        await until(lambda: client.ended, "the client to leave")
        held[0].send(BODY[200_000:])
        await until(lambda: not self.serving.flights(), "the fetch to end")
        got = await self.get("/a")
        self.assertEqual(("HIT", BODY), (got.cache, got.body))

    async def test_a_slow_client_does_not_slow_the_store(self) -> None:
        """One client that reads nothing: the object is stored all the same, then read."""
        large = os.urandom(20_000_000)
        self.origin.answers["/a"] = answer(body=large, headers={"Cache-Control": "max-age=9"})
        await self.shield()
        slow = await self.connect()
        slow.transport.pauseProducing()
        slow.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: self.origin.asked, "the fetch to begin")
        await until(lambda: not self.serving.flights(), "the object to be stored")
        quick = await self.get("/a")
        self.assertEqual("HIT", quick.cache)
        self.assertTrue(quick.body == large)
        slow.transport.resumeProducing()
        self.assertTrue((await slow.take()).body == large)
        self.assertEqual(1, len(self.origin.asked))

    async def test_a_slow_client_slows_what_is_not_stored(self) -> None:
        """Without a store the client sets the pace: the origin's socket fills up."""
        large = bytes(24_000_000)
        connections = []

        def send(connection, asked) -> None:
            connections.append(connection)
            answer(body=large, headers={"Cache-Control": "no-store"})(connection, asked)

        self.origin.answers["/a"] = send
        await self.shield()
        client = await self.connect()
        client.transport.pauseProducing()
        client.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: connections, "the fetch to begin")
        await sleep(0.5)
        self.assertTrue(connections[0].paused, "the origin was read to the end")
        client.transport.resumeProducing()
        self.assertEqual(len(large), len((await client.take()).body))
