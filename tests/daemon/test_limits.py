"""Limits of the real daemon with two workers: one count, whichever of them is asked."""

from __future__ import annotations

import os
import signal
from typing import Any

from tests.scenario.harness import answer, until

from .workers import STORED, Workers


class LimitTests(Workers):
    """One daemon for all of it: to start one takes long."""

    async def test_one_count(self) -> None:
        """Both workers count the same bucket and the same requests under way.

        What a worker that was killed had under way is not counted any more when another
        one has taken its place.
        """
        held: list[Any] = []
        self.origin.answers["/a"] = answer(headers=STORED)
        self.origin.answers["/held"] = lambda connection, asked: held.append(connection)
        await self.shield(
            "limit_req = $http_x_key rate=1r/m burst=3 nodelay\n"
            "limit_conn = $http_x_conn 1\nlimit_conn_status = 429\nproxy_cache_lock = off"
        )
        (first,), (second,) = await self.on(0), await self.on(1)
        found = [
            (await self.ask(client, "/a", x_key="k")).status
            for client in (first, second, first, second, first, second)
        ]
        self.assertEqual([200] * 4 + [503] * 2, found)
        self.send(first, "/held", x_conn="c")
        await self.until_asked("/held")
        self.assertEqual(429, (await self.ask(second, "/a", x_conn="c")).status)
        self.assertEqual(200, (await self.ask(second, "/a", x_conn="other")).status)
        os.kill(self.pids[0], signal.SIGKILL)
        await until(lambda: first.ended, "the worker to be gone")
        await until(self.came_again, "another worker")
        self.assertEqual(200, (await self.ask(second, "/a", x_conn="c")).status)

    def came_again(self) -> bool:
        """Whether a third worker is ready."""
        return str(self.daemon.lines).count("is ready, pid") >= 3
