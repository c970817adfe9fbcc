"""Reloads of the real daemon, with clients that would notice."""

from __future__ import annotations

import argparse
import io
import signal
import socket
from pathlib import Path
from unittest.mock import ANY

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from s3shield.cli.command import Console
from s3shield.cli.reload import run
from tests.ops.test_daemon import Running
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

    options = ""

    def config_text(self, *parts: str) -> str:
        """Add our options of the daemon."""
        text = super().config_text(*parts)
        return text.replace("[s3shield]\n", f"[s3shield]\n{self.options}\n")

    @property
    def ini(self) -> Path:
        """The configuration file."""
        return self.daemon.folder / "s3shield.ini"

    async def reload(self, *changes: tuple[str, str]) -> None:
        """Change the file, reload, wait until it has been done."""
        self.change(*changes)
        before = self.count("reloaded: ")
        self.daemon.process.send_signal(signal.SIGHUP)
        await deferToThread(self.daemon.until, "reloaded: ", before + 1)

    def change(self, *changes: tuple[str, str]) -> None:
        """Replace text in the configuration file."""
        text = self.ini.read_text()
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        self.ini.write_text(text)

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

    async def command(self) -> tuple[int, str, str]:
        """Run `s3shield reload`; return its exit status and what it prints."""
        out, err = io.StringIO(), io.StringIO()
        console = Console(io.StringIO(), out, err, {}, 0.0)
        words = argparse.Namespace(config=str(self.ini), pid=None)
        status = await deferToThread(run, words, console)
        return status, out.getvalue(), err.getvalue()

    async def test_refused(self) -> None:
        """What cannot be served by changes nothing, and is said; then all is well again."""
        pid_file = Path(self.mktemp()).absolute()
        self.options = f"pid_file = {pid_file}"
        await self.shield()
        port, load = self.port, Load(self)
        self.addCleanup(load.stop)
        workers = self.daemon.workers()
        blocked = Path(self.mktemp()).absolute()
        (blocked / "index").mkdir(parents=True)
        (blocked / "index" / "data.mdb").write_text("no index")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            number = taken.getsockname()[1]
            for old, new, said in (
                ("max_size = 1g", "max_szie = 1g", "did you mean .max_size.?"),
                (f":{port}", f":{port}\n    127.0.0.1:{number}", "something else listens there"),
                ("[location:/]", f"[cache:b]\npath = {blocked}\n[location:/]", r"\[cache:b\] path"),
                ("workers = 2", "workers = 0", "this takes a restart"),
            ):
                self.change((old, new))
                status, out, err = await self.command()
                self.assertEqual((status, out), (1, ""))
                self.assertRegex(err, said)
                self.change((new, old))
                await load.more(10)
        self.assertEqual(self.count("reloaded: "), 0)
        first = [pid for pid in self.daemon.workers() if pid in workers]
        self.assertEqual(first, workers)
        status, out, err = await self.command()
        self.assertEqual((status, err), (0, ""))
        self.assertIn(f"reloaded: listening on 127.0.0.1:{port}, 2 workers", out)
        await load.end()
        self.daemon.process.terminate()
        self.assertEqual(await deferToThread(self.daemon.process.wait, 90), 0)
        self.assertEqual(await self.command(), (1, "", ANY))
        self.assertFalse(Path(f"{pid_file}.reload").exists())

    async def test_activated(self) -> None:
        """One worker becomes two; the daemon is stopped and started on a socket that stays."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        listening = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.addCleanup(listening.close)
        self.port = listening.getsockname()[1]
        text = self.config_text("", "", "").replace("127.0.0.1:0", "systemd:0")
        (self.folder / "s3shield.ini").write_text(text.replace("workers = 0", "workers = 1"))
        self.start_daemon(listening)
        await deferToThread(self.daemon.until, "ready: listening on systemd:0, 1 worker")
        load = Load(self)
        self.addCleanup(load.stop)
        await load.more(20)
        await self.reload(("workers = 1", "workers = 2"))
        self.assertEqual(self.count("reloaded: listening on systemd:0, 2 workers"), 1)
        await load.more(20)
        self.daemon.process.terminate()
        self.assertEqual(await deferToThread(self.daemon.process.wait, 90), 0)
        self.start_daemon(listening)
        await load.more(20)
        # Several in a row are at least one, at most two; a stop in the midst of it is a stop.
        for _ in range(5):
            self.daemon.process.send_signal(signal.SIGHUP)
        await deferToThread(self.daemon.until, "reloaded: ")
        self.daemon.process.send_signal(signal.SIGHUP)
        await load.more(5)
        await load.end()
        self.daemon.process.terminate()
        self.assertEqual(await deferToThread(self.daemon.process.wait, 90), 0)
        self.daemon.all_gone()
        self.assertIn(self.count("reloaded: "), (1, 2, 3))
        self.assertEqual([line for line in self.daemon.lines if "Traceback" in line], [])

    def start_daemon(self, listening: socket.socket) -> None:
        """Start it on an inherited socket."""
        self.daemon = Running(self.folder, "-c", "s3shield.ini", activated=listening)
        self.addCleanup(self.daemon.clean)
