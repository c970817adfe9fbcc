"""Credentials from a source, on real sockets: at the start, under load, and when it fails."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import ensureDeferred

from s3shield.ops import credential_watch
from tests.ops.sources import FAR, Double, moment

from .harness import until
from .tokens import Credentials


class OneProcess(Credentials):
    """The service in this process."""

    async def test_ahead_of_the_end(self) -> None:
        """They are renewed under load before they end, in the background: none is refused."""
        self.patch(credential_watch, "renew_in", lambda *_words: 0.1)
        right = self.double.answer

        def next_one(double: Double, *words: Any) -> tuple[int, str]:
            double.number += 1
            return right(double, *words)

        self.double.fault = next_one
        await self.shield("proxy_cache = off")
        running = self.begin_load([await self.connect() for _ in range(3)])
        await until(lambda: len(set(self.origin.used)) >= 3, "three credentials")
        await self.more(5)
        self.enough = True
        await running
        self.assertEqual({status for each in self.answers for status in each}, {200})
        self.assertEqual((self.origin.expired, self.origin.wrong), (0, []))
        self.assertEqual(self.origin.used, sorted(self.origin.used))
        self.nothing_told(self.events)

    async def test_before_they_are_there(self) -> None:
        """A request at the start waits for the first look, and goes to the bucket signed."""
        right = self.double.answer
        asked: list[str] = []

        def slow(double: Double, *words: Any) -> tuple[int, str]:
            asked.append("")
            double.go_on.wait(60)
            return right(double, *words)

        self.double.fault = slow
        await self.shield()
        waiting = ensureDeferred(self.get("/a"))
        await until(
            lambda: asked and self.serving._origins._buckets["media"].waiting, "the request to wait"
        )
        self.assertEqual(self.origin.asked, [])
        self.double.go_on.set()
        got = await waiting
        self.assertEqual((got.status, got.body), (200, b"/private/a"))
        self.assertEqual(self.origin.wrong, [])

    async def test_too_slow(self) -> None:
        """A source that does not answer: the wait is bounded, nothing is sent, then all is well."""
        self.patch(credential_watch, "PATIENCE", 0.2)
        right = self.double.answer

        def slow(double: Double, *words: Any) -> tuple[int, str]:
            double.go_on.wait(60)
            return right(double, *words)

        self.double.fault = slow
        await self.shield()
        for _ in range(3):
            self.assertEqual((await self.get("/a")).status, 502)
        self.assertEqual(self.origin.asked, [])
        self.double.go_on.set()
        await until(lambda: not self.serving.credentials.lacks("media"), "the credentials")
        self.assertEqual((await self.get("/a")).status, 200)

    async def test_faults(self) -> None:
        """Error pages, lies and what has expired: 502 with a line that says what to do, unsent."""
        keys = {"AccessKeyId": "ASIA1", "SecretAccessKey": "s3cr3t1", "Token": "t0ken1"}
        faults = [
            (500, "<html>s3cr3t1</html>"),
            (200, "{"),
            (200, json.dumps({**keys, "Expiration": "2001-01-01T00:00:00Z"})),
        ]
        for fault in [*faults, None]:
            self.events.clear()
            self.double.fault = lambda *_words, said=fault: said
            if fault is None:
                self.double.stop()  # nobody listens
            await self.shield()
            self.assertEqual((await self.get("/a")).status, 502)
            self.assertEqual(self.origin.asked, [])
            (line,) = [
                each for each in self.events if "there are no credentials to sign with" in each
            ]
            self.assertTrue(line.startswith("error: bucket media: "), line)
            self.assertIn("look at the role of the task", line)
            self.nothing_told(self.events)
            await self.stop()

    async def test_source_goes_down(self) -> None:
        """What is in use goes on; when S3 refuses it, what is stored is served; then it is mended."""
        await self.shield("proxy_cache_valid = 200 1h")
        self.assertEqual((await self.get("/kept")).status, 200)
        self.double.fault = lambda *_words: (503, "down")
        self.assertEqual((await self.get("/other")).status, 200)
        self.origin.oldest = 2
        self.assertEqual((await self.get("/new")).status, 502)
        (line,) = [each for each in self.events if "the credentials are not renewed" in each]
        self.assertEqual(
            line.replace(moment(FAR), "WHEN"),
            "warn: bucket media: the credentials are not renewed, those in use are good until WHEN: "
            "Error when retrieving credentials from container-role: Error retrieving metadata: "
            "Received non 200 response 503: look at the role of the task, or at the pod identity "
            "association and its agent",
        )
        self.assertEqual((await self.get("/kept")).cache, "HIT")
        self.double.number = 2
        self.double.fault = None
        await until(lambda: "ASIA2" in str(self.events), "the new ones")
        self.assertEqual((await self.get("/new")).status, 200)
        self.assertEqual(self.origin.wrong, [])
        self.nothing_told(self.events)
