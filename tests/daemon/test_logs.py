"""The access log of two workers at full load, moved away in the midst."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Final

from twisted.internet.defer import ensureDeferred, gatherResults

from tests.scenario.harness import Client, answer, until

from .workers import STORED, Workers

CLIENTS: Final = 16
EACH: Final = 60
LONG: Final = "x" * 6_000
"""Longer than what a pipe takes in one piece, and than a page."""


class RotationTests(Workers):
    """One daemon; what it wrote is read back as JSON."""

    def config_text(self, location: str, cache: str, more: str) -> str:
        """The scenario's, with an access log."""
        text = super().config_text(location, cache, more)
        return text.replace("workers = 0\n", f"workers = 0\naccess_log = {self.log_file} json\n")

    async def test_at_full_load(self) -> None:
        """Every request has one whole line, in the file that was moved or in the new one."""
        self.log_file = Path(self.mktemp()).absolute()
        moved = self.log_file.with_suffix(".1")
        target = f"/a?{LONG}"
        self.origin.answers[target] = answer(headers=STORED)
        await self.shield()
        clients = [*await self.on(0, CLIENTS // 2), *await self.on(1, CLIENTS // 2)]
        answered: list[int] = []

        async def load(number: int, client: Client) -> None:
            for turn in range(EACH):
                got = await self.ask(client, target, user_agent=f"{number}-{turn}")
                answered.append(got.status)

        loading = gatherResults(
            [ensureDeferred(load(number, client)) for number, client in enumerate(clients)]
        )
        await until(lambda: len(answered) > CLIENTS * EACH // 3, "a third of the load")
        self.log_file.rename(moved)
        os.kill(self.daemon.process.pid, signal.SIGUSR1)
        await until(self.log_file.exists, "a new file")
        await loading
        self.assertEqual([200] * CLIENTS * EACH, answered)
        for client in clients:
            client.transport.abortConnection()
        self.assertEqual(0, self.daemon.end())
        parts = [
            [json.loads(line) for line in file.read_text("utf-8").splitlines()]
            for file in (moved, self.log_file)
        ]
        said = [line for part in parts for line in part if line["request_uri"] == target]
        self.assertEqual(
            sorted(f"{number}-{turn}" for number in range(CLIENTS) for turn in range(EACH)),
            sorted(line["http_user_agent"] for line in said),
        )
