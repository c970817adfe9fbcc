"""Clients that leave at every stage: no flight, no call, no file and no timer stays behind."""

from __future__ import annotations

import os
from typing import Any

from .attack import FOR_LONG, Attack
from .harness import Client, answer, reactor, sleep, until

LARGE = os.urandom(12_000_000)
REST = bytes(200_000)  # more than a cancelled call would read to keep its connection
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n"


class LeavingTests(Attack):
    """location: what each stage is tried under; stored or not, kept or cancelled."""

    def setUp(self) -> None:
        super().setUp()
        self.held: list[Any] = []

    def hold(self, connection: Any, asked: Any) -> None:
        """Say nothing, and remember the connection."""
        self.held.append(connection)

    async def leave(self, client: Client) -> None:
        """Reset the client's connection."""
        client.transport.abortConnection()
        await until(lambda: client.ended, "the client to leave")

    def body_files(self) -> list[str]:
        """Return the body files that this process has open, deleted ones too."""
        found = []
        for name in os.listdir("/proc/self/fd"):
            try:
                path = os.readlink(f"/proc/self/fd/{name}")
            except OSError:
                continue
            if path.startswith(self.cache_path) and ("/blobs/" in path or "/filling/" in path):
                found.append(path)
        return found

    async def start_one(self, target: bytes = b"/a", extra: bytes = b"") -> Client:
        client = await self.connect()
        client.send(b"GET %b HTTP/1.1\r\nHost: h\r\n%b\r\n" % (target, extra))
        return client

    async def asked(self, times: int = 1) -> None:
        await until(lambda: len(self.held) >= times, "the question to the origin")

    async def gone(self, number: int = 0) -> None:
        """Wait until the origin has lost a connection that it held."""
        connection = self.held[number]
        await until(lambda: connection.gone, "the call to be cancelled")

    async def test_before_the_head_of_a_relay(self) -> None:
        """Nothing is stored for anybody: the question is taken back at once."""
        self.origin.answers["/a"] = self.hold
        await self.shield("proxy_cache = off")
        client = await self.start_one()
        await self.asked()
        await self.leave(client)
        await self.gone()
        self.assertEqual([499], [line["status"] for line in self.logged()])

    async def test_before_the_head_cancelled(self) -> None:
        """fetch_on_abort = cancel: the question is taken back when the last one leaves."""
        self.origin.answers["/a"] = self.hold
        await self.shield("fetch_on_abort = cancel")
        clients = [await self.start_one() for _ in range(3)]
        await self.asked()
        await sleep(0.05)
        for client in clients[:2]:
            await self.leave(client)
        await sleep(0.05)
        self.assertFalse(self.held[0].gone)
        self.assertEqual(1, self.serving.flights())
        await self.leave(clients[2])
        await self.gone()
        self.assertEqual(0, self.serving.flights())
        self.assertEqual([499] * 3, [line["status"] for line in self.logged()])

    async def test_before_the_head_kept(self) -> None:
        """fetch_on_abort = keep: the answer is stored for the next one."""
        self.origin.answers["/a"] = self.hold
        await self.shield()
        client = await self.start_one()
        await self.asked()
        await self.leave(client)
        await sleep(0.05)
        self.assertEqual(1, self.serving.flights())
        answer(body=b"kept", headers=FOR_LONG)(self.held[0], self.origin.asked[0])
        await until(lambda: not self.serving.flights(), "the fetch to end")
        got = await self.get("/a")
        self.assertEqual(("HIT", b"kept"), (got.cache, got.body))
        self.assertEqual([499, 200], [line["status"] for line in self.logged()])

    async def test_the_rest_is_served_when_one_leaves(self) -> None:
        """Also under cancel, also the leader: who still waits gets all of it."""
        self.origin.answers["/a"] = self.hold
        for number, option in enumerate(("keep", "cancel")):
            await self.shield(f"fetch_on_abort = {option}")
            target = f"/a{number}"
            self.origin.answers[target] = self.hold
            clients = [await self.start_one(target.encode()) for _ in range(3)]
            await self.asked(number + 1)
            await sleep(0.05)
            await self.leave(clients[0])
            body = LARGE[:300_000]
            answer(body=body, headers=FOR_LONG)(self.held[number], self.origin.asked[number])
            for client in clients[1:]:
                self.assertEqual(body, (await client.take()).body)
            self.assertEqual(number + 1, len(self.origin.asked))
            await self.stop()

    async def test_leaving_under_cancel_with_a_range_that_is_done(self) -> None:
        """A reader whose range has been served does not end the fetch of the others."""
        self.origin.answers["/a"] = self.hold
        await self.shield("fetch_on_abort = cancel")
        short = await self.start_one(extra=b"Range: bytes=0-9\r\n")
        await self.asked()
        whole = await self.start_one()
        await sleep(0.05)
        body = LARGE[:300_000]
        fields = b"Cache-Control: max-age=100\r\n"
        self.held[0].send(HEAD % (len(body), fields) + body[:100_000])
        self.assertEqual(body[:10], (await short.take()).body)
        await self.leave(short)
        self.held[0].send(body[100_000:])
        self.assertEqual(body, (await whole.take()).body)

    async def stages(self, fields: bytes, location: str, *, stored: bool) -> None:
        """Leave in the middle of a body, and while not reading it."""
        self.origin.answers["/a"] = self.hold
        await self.shield(location)
        for number, paused in enumerate((False, True)):
            client = await self.start_one()
            await self.asked(number + 1)
            if paused:
                client.transport.pauseProducing()
            connection = self.held[number]
            connection.send(HEAD % (len(LARGE) + len(REST), fields))
            connection.send(LARGE)
            if paused:
                await sleep(0.2)
            else:
                await until(lambda client=client: len(client.buffer) > 100_000, "some of it")
            await self.leave(client)
            if stored:
                connection.send(REST)
                await until(lambda: not self.serving.flights(), "the body to be stored")
                got = await self.get("/a")
                self.assertEqual("HIT", got.cache)
                self.assertTrue(got.body == LARGE + REST)
                self.assertEqual(number + 1, len(self.origin.asked))
                return
            await self.gone(number)
            self.assertEqual(0, self.serving.flights())
        await until(lambda: not self.body_files(), "body files to be closed")
        left = [name for _, _, names in os.walk(self.cache_path + "/filling") for name in names]
        self.assertEqual([], left)

    async def test_mid_body_not_stored(self) -> None:
        """The call is cancelled."""
        await self.stages(b"Cache-Control: no-store\r\n", "", stored=False)

    async def test_mid_body_relay(self) -> None:
        """The call is cancelled."""
        await self.stages(b"", "proxy_cache = off", stored=False)

    async def test_mid_body_cancelled(self) -> None:
        """The call is cancelled, what was written is deleted."""
        await self.stages(b"Cache-Control: max-age=9\r\n", "fetch_on_abort = cancel", stored=False)

    async def test_mid_body_kept(self) -> None:
        """The body is stored to its end."""
        await self.stages(b"Cache-Control: max-age=9\r\n", "", stored=True)

    async def test_from_a_stored_body(self) -> None:
        """A hit that is not read to its end closes its file."""
        self.origin.answers["/a"] = answer(body=LARGE, headers=FOR_LONG)
        await self.shield()
        await self.get("/a")
        before = len(self.body_files())
        for _ in range(5):
            client = await self.start_one()
            client.transport.pauseProducing()
            await sleep(0.02)
            await self.leave(client)
        self.assertLessEqual(len(self.body_files()), max(before, 1))
        await until(lambda: len(self.logged()) == 6, "each one's line in the log")
        self.assertEqual({200}, {line["status"] for line in self.logged()})
        sent = [line["body_bytes_sent"] for line in self.logged()]
        self.assertEqual([len(LARGE)], [size for size in sent if size == len(LARGE)])

    async def test_no_timer_stays(self) -> None:
        """After everything has left and ended, the loop has no more to do than before."""
        self.origin.answers["/a"] = self.hold
        await self.shield("fetch_on_abort = cancel\nproxy_cache_lock_timeout = 30s")
        await self.get("/none")
        await sleep(0.3)  # the access log's own timer
        before = len(reactor.getDelayedCalls())
        clients = [await self.start_one() for _ in range(4)]
        await self.asked()
        for client in clients:
            await self.leave(client)
        await self.gone()
        await until(
            lambda: len(reactor.getDelayedCalls()) <= before + 1, "the timers to be cancelled"
        )
