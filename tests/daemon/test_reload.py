"""Reloads of the real daemon, with clients that would notice."""

from __future__ import annotations

import signal
from pathlib import Path

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.ports import free_port
from tests.scenario.harness import Client, answer, until

from .workers import STORED, Workers

HALF = b"x" * 200_000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\nCache-Control: max-age=1000\r\n\r\n"


class Load:
    """Clients that ask without a pause, each on a connection that is kept.

    A connection that ends when the last answer did not say so is a failure.
    """

    def __init__(self, case: Workers, clients: int = 4) -> None:
        self.case = case
        self.answers = 0
        self.failures: list[str] = []
        self._stop = False
        self._running = [Deferred.fromCoroutine(self._one(number)) for number in range(clients)]

    async def _one(self, number: int) -> None:
        case, client, count = self.case, None, 0
        while not self._stop:
            client = client or await case.connect()
            target = "/hit" if count % 4 else f"/miss/{number}/{count}"
            got = await case.ask(client, target)
            count += 1
            if got.status != 200 or got.body != b"hello":
                self.failures.append(f"{target}: {got}")
                return
            self.answers += 1
            if got.headers.get("connection") == "close":
                await until(lambda client=client: client.ended, "the server to close")
                client = None

    async def more(self, count: int) -> None:
        """Wait for so many further answers."""
        wanted = self.answers + count
        await until(lambda: self.failures or self.answers >= wanted, "answers under load")
        self.case.assertEqual(self.failures, [])

    def stop(self) -> None:
        """Ask no more."""
        self._stop = True

    async def end(self) -> None:
        """Stop, and complain of what went wrong."""
        self.stop()
        for running in self._running:
            await running
        self.case.assertEqual(self.failures, [])


class ReloadTests(Workers):
    """One daemon for each, several reloads."""

    def setUp(self) -> None:
        """Let the origin answer every path."""
        super().setUp()
        known = self.origin.reply
        self.origin.reply = lambda asked: (
            known(asked) if asked.target in self.origin.answers else answer(200, b"hello", STORED)
        )

    async def reload(self, *changes: tuple[str, str]) -> None:
        """Change the file, reload, wait until it has been done."""
        self.change(*changes)
        before = self.count("reloaded: ")
        self.daemon.process.send_signal(signal.SIGHUP)
        await deferToThread(self.daemon.until, "reloaded: ", before + 1)

    def change(self, *changes: tuple[str, str]) -> None:
        """Replace text in the configuration file."""
        path = Path(self.daemon.folder, "s3shield.ini")
        text = path.read_text()
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        path.write_text(text)

    def count(self, words: str) -> int:
        """How many lines of the log have these words."""
        return sum(words in line for line in self.daemon.lines)

    async def test_reloads(self) -> None:
        """Under load: listeners come and go, a download finishes, nobody sees an error."""
        other = free_port()
        await self.shield("add_header = X-Generation one")
        port = self.port
        load = Load(self)
        self.addCleanup(load.stop)
        await load.more(50)
        downloads: list[Client] = []

        def begin(connection, asked) -> None:
            connection.send(HEAD + HALF)
            downloads.append(connection)

        self.origin.answers["/slow"] = begin
        slow = await self.connect()
        self.send(slow, "/slow")
        await until(lambda: b"xxx" in slow.buffer, "the first bytes")
        await self.reload(
            ("X-Generation one", "X-Generation two"),
            (f"listen = 127.0.0.1:{port}", f"listen = 127.0.0.1:{port}\n    127.0.0.1:{other}"),
        )
        await load.more(50)
        self.port = other
        self.assertEqual((await self.get("/new")).headers["x-generation"], "two")
        self.port = port
        await self.reload((f"\n    127.0.0.1:{other}", ""))
        await load.more(50)
        self.port = other
        with self.assertRaises(error.ConnectionRefusedError):
            await self.connect()
        self.port = port
        downloads[0].send(HALF)
        got = await slow.take()
        self.assertEqual((got.body, got.headers["x-generation"]), (HALF * 2, "one"))
        await load.end()
