"""The real daemon as a unit of systemd's: what it says of itself, and when."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
from pathlib import Path

from twisted.internet.threads import deferToThread

from tests.scenario.harness import raw, until

from .workers import Workers

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


class NotifyTests(Workers):
    """One daemon, from its start to its end."""

    def setUp(self) -> None:
        """Listen, as systemd does."""
        super().setUp()
        folder = tempfile.mkdtemp()  # trial's own is too long a path for a socket
        self.addCleanup(shutil.rmtree, folder)
        path = str(Path(folder) / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.bind(path)
        self.socket.setblocking(False)
        for name, value in (("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", "400000")):
            os.environ[name] = value
            self.addCleanup(os.environ.pop, name, None)

    def read(self) -> list[str]:
        """Return the lines that have come since the last time."""
        lines: list[str] = []
        while True:
            try:
                lines += self.socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return lines

    async def until_told(self, word: str) -> list[str]:
        """Wait for a line; return all that came."""
        lines: list[str] = []
        await until(lambda: word in (lines.extend(self.read()) or lines), f"{word} for systemd")
        return lines

    def status(self, lines: list[str]) -> str:
        """Return the last status; signs of life may have come after it."""
        return [line for line in lines if line.startswith("STATUS=")][-1]

    async def test_life(self) -> None:
        """Ready when all serve, signs of life while all are well, reloads, and the end."""
        await self.shield()
        lines = await self.until_told("WATCHDOG=1")
        self.assertEqual(lines[0], "READY=1")
        self.assertIn(f"STATUS=listening on 127.0.0.1:{self.port}, 2 workers", lines)

        os.kill(self.pids[1], signal.SIGSTOP)
        silent = f"pid {self.pids[1]}, does not answer"
        await deferToThread(self.daemon.until, silent)
        self.read()
        seen = sum(silent in line for line in self.daemon.lines)
        await deferToThread(self.daemon.until, silent, seen + 2)
        self.assertNotIn("WATCHDOG=1", self.read())
        os.kill(self.pids[1], signal.SIGCONT)
        await self.until_told("WATCHDOG=1")

        ini = self.daemon.folder / "s3shield.ini"
        good = ini.read_text()
        ini.write_text(good.replace("max_size", "max_szie"))
        self.daemon.process.send_signal(signal.SIGHUP)
        lines = await self.until_told("READY=1")
        self.assertIn("RELOADING=1", lines)
        refused = r"STATUS=.*2 workers; the last reload was refused: .*max_szie"
        self.assertRegex(self.status(lines), refused)
        ini.write_text(good)
        self.daemon.process.send_signal(signal.SIGHUP)
        lines = await self.until_told("READY=1")
        self.assertIn("RELOADING=1", lines)
        self.assertRegex(self.status(lines), r"STATUS=listening on \S+, 2 workers$")
        self.origin.answers["/a"] = raw(HELLO, close=True)
        self.assertEqual((await self.get("/a")).body, b"hello")

        self.daemon.process.terminate()
        self.assertEqual(await deferToThread(self.daemon.process.wait, 90), 0)
        self.assertIn("STOPPING=1", self.read())
