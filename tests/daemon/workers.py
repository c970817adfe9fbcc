"""The real daemon with two workers, and connections of which one knows who has them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.ops.test_daemon import Running
from tests.ports import free_port
from tests.scenario.harness import Client, Got, Scenario, raw, until

__all__ = ["STORED", "Workers"]

PROBE = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n"
    b"Cache-Control: max-age=1000\r\n\r\nprobe"
)
STORED = {"Cache-Control": "max-age=1000"}


class Workers(Scenario):
    """A `Scenario` whose `shield` starts a daemon. pids: of the two workers."""

    async def shield(self, location: str = "", cache: str = "", more: str = "") -> None:
        """Start the daemon; ended by itself at the end."""
        self.port = free_port()
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        text = self.config_text(location, cache, more)
        text = text.replace("127.0.0.1:0\n", f"127.0.0.1:{self.port}\n")
        (folder / "s3shield.ini").write_text(text.replace("workers = 0", "workers = 2"))
        self.daemon = Running(folder, "-c", "s3shield.ini")
        self.addCleanup(self.daemon.clean)
        self.daemon.until("ready: listening on")
        self.pids = self.daemon.workers()
        self.assertEqual(len(set(self.pids)), 2)
        # Nobody has an old connection to the origin when a test begins.
        self.origin.answers["/probe"] = raw(PROBE, close=True)
        await self.get("/probe")

    async def on(self, worker: int, count: int = 1) -> list[Client]:
        """Return connections that the worker with that number has."""
        other = self.pids[1 - worker]
        os.kill(other, signal.SIGSTOP)
        try:
            clients = [await self.connect() for _ in range(count)]
            for client in clients:
                await self.probe(client)  # by now it has been accepted
        finally:
            os.kill(other, signal.SIGCONT)
        return clients

    async def probe(self, client: Client) -> None:
        """Have a hit; whatever was sent to the same worker before has been read by then."""
        for _ in range(2):
            self.assertEqual((await self.ask(client, "/probe")).body, b"probe")

    def send(self, client: Client, target: str, method: str = "GET", **headers: str) -> None:
        """Send a request. if_none_match=... -> If-None-Match: ..."""
        fields = {"host": "shield.test"}
        fields.update({name.replace("_", "-"): value for name, value in headers.items()})
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        client.send(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))

    async def ask(self, client: Client, target: str, method: str = "GET", **headers: str) -> Got:
        """One request on a connection that stays."""
        self.send(client, target, method, **headers)
        return await client.take()

    def asked_for(self, target: str) -> int:
        """How often the origin was asked for it."""
        return self.origin.targets().count(target)

    async def until_asked(self, target: str, times: int = 1) -> None:
        """Wait until the origin was."""
        await until(lambda: self.asked_for(target) >= times, f"{times} requests for {target}")
