"""The numbers of a real daemon with two workers: whoever is asked, they are those of all."""

from __future__ import annotations

import http.client
import json
import os
import signal
from typing import Any

from twisted.internet.threads import deferToThread

from tests.ports import free_port
from tests.scenario.harness import answer, sleep

from .workers import STORED, Workers


class MetricsTests(Workers):
    """One daemon for all of it: to start one takes long."""

    def config_text(self, location: str, cache: str, more: str) -> str:
        """Add the admin listener."""
        self.admin = free_port()
        text = super().config_text(location, cache, more)
        return text.replace("workers = 0", f"workers = 0\nadmin_listen = 127.0.0.1:{self.admin}")

    async def told(self) -> Any:
        """What some worker tells; None from one that has just been ended."""

        def work() -> Any:
            connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=20)
            try:
                connection.request("GET", "/status.json")
                return json.loads(connection.getresponse().read())
            except (OSError, http.client.HTTPException):
                return None
            finally:
                connection.close()

        return await deferToThread(work)

    async def until_told(self, what: Any, wanted: float) -> Any:
        """Ask until `what` of the answer is `wanted`; return the answer."""
        found = None
        for _ in range(600):
            said = await self.told()
            found = None if said is None else what(said)
            if found == wanted:
                return said
            await sleep(0.05)
        raise AssertionError(f"not {wanted}, but {found}")

    async def test_summed(self) -> None:
        """Both workers' requests are one sum, which outlives a killed worker and a reload.

        Restarts and reloads are counted. The workers are those that live.
        """
        self.origin.answers["/a"] = answer(headers=STORED)
        await self.shield()
        (first,), (second,) = await self.on(0), await self.on(1)
        for client in (first, second, first, second):
            self.assertEqual(200, (await self.ask(client, "/a")).status)
        # Those and what `Workers` asks for to know who has which connection.
        asked = 4 + 1 + 2 * 2

        def requests(said: Any) -> float:
            return sum(each["value"] for each in said["metrics"]["s3shield_requests_total"])

        def of(name: str) -> Any:
            return lambda said: sum(each["value"] for each in said["metrics"][name])

        said = await self.until_told(requests, asked)
        self.assertEqual(set(self.pids), {each["pid"] for each in said["workers"]})
        self.assertEqual(asked, sum(each["requests"] for each in said["workers"]))
        self.assertEqual(2, of("s3shield_workers")(said))

        os.kill(self.pids[0], signal.SIGKILL)
        said = await self.until_told(of("s3shield_worker_restarts_total"), 1)
        said = await self.until_told(of("s3shield_workers"), 2)
        self.assertEqual(asked, requests(said))
        self.assertEqual([0, 1], [each["worker"] for each in said["workers"]])

        os.kill(self.daemon.process.pid, signal.SIGHUP)
        said = await self.until_told(of("s3shield_reloads_total"), 1)
        self.assertEqual(asked, requests(said))
        for client in (first, second):
            client.transport.abortConnection()
        said = await self.until_told(of("s3shield_workers"), 2)
        self.assertFalse(set(self.pids) & {each["pid"] for each in said["workers"]})
