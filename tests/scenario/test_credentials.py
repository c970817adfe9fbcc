"""Credentials from a source, on real sockets: at the start, under load, and when it fails."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import attrs
import botocore.utils
from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.logger import formatEvent, globalLogPublisher

from s3shield.ops import credential_watch
from tests.daemon.workers import Workers
from tests.ops.sources import Double, container, environment

from .checking import CheckingOrigin
from .harness import Answer, Asked, Client, Scenario, answer, until

__all__: list[str] = []


class TokenOrigin(CheckingOrigin):
    """Takes what the double gave: ASIA1 with s3cr3t1 and t0ken1, and so on.

    oldest: number of the first that has not expired. used: numbers, in order.
    """

    def __init__(self) -> None:
        super().__init__("", "r", time.time)
        self.oldest = 1
        self.used: list[int] = []
        self.expired = 0

    def reply(self, asked: Asked) -> Answer:
        """Check which it is and whether it is good still; then as any bucket."""
        found = re.search(r"Credential=ASIA(\d+)/", asked.headers.get("authorization", ""))
        if found is None:
            self.wrong.append(f"unsigned: {asked.target}")
            return answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        number = int(found[1])
        self.used.append(number)
        if number < self.oldest:
            self.expired += 1
            return answer(400, b"<Error><Code>ExpiredToken</Code></Error>")
        if asked.headers["x-amz-security-token"] != f"t0ken{number}":
            self.wrong.append("the token")
        self.secret = f"s3cr3t{number}"
        named = asked.headers["authorization"].replace(found[0], "Credential=AKIAIOSFODNN7EXAMPLE/")
        return super().reply(attrs.evolve(asked, headers={**asked.headers, "authorization": named}))


class Credentials(Scenario):
    """A bucket whose credentials come from a pod's endpoint."""

    source = "ecs"

    def setUp(self) -> None:
        super().setUp()
        self.double: Double = container()
        self.addCleanup(self.double.stop)
        token = Path(self.mktemp()).absolute()
        token.write_text("pod-t0ken")
        environment(
            self,
            AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{self.double.url}/v1/credentials",
            AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(token),
        )
        self.patch(botocore.utils.ContainerMetadataFetcher, "SLEEP_TIME", 0)
        self.patch(botocore.utils.ContainerMetadataFetcher, "TIMEOUT_SECONDS", 60)
        self.patch(credential_watch, "PATIENCE", 60.0)
        self.events: list[str] = []

        def observe(event: Any) -> None:
            if event.get("log_format"):
                self.events.append(f"{event['log_level'].name}: {formatEvent(event)}")

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def make_origin(self) -> TokenOrigin:
        """One that knows what the double gives."""
        return TokenOrigin()

    def config_text(self, location: str, cache: str, more: str) -> str:
        """The scenario's, with the bucket in the origin's place."""
        text = super().config_text(location, cache, more)
        return (
            text.replace(f"origin = http://127.0.0.1:{self.origin.number}", "bucket = media")
            + f"""
[bucket:media]
aws_s3_bucket = private
aws_endpoint = http://127.0.0.1:{self.origin.number}
aws_region = r
aws_credentials = {self.source}
"""
        )

    async def load(self, client: Client, answers: list[int]) -> None:
        """Ask for one thing after the other until it is enough."""
        number = id(answers)
        while not self.enough:
            client.send(
                f"GET /{number}/{len(answers)} HTTP/1.1\r\nHost: shield.test\r\n\r\n".encode()
            )
            got = await client.take()
            answers.append(got.status)
            if not got.whole:
                return

    def begin_load(self, clients: list[Client]) -> Any:
        """Let all of them ask; fires when it was enough. answers: statuses, by client."""
        self.enough = False
        self.answers: list[list[int]] = [[] for _ in clients]
        return gatherResults(
            [ensureDeferred(self.load(*each)) for each in zip(clients, self.answers, strict=True)],
            consumeErrors=True,
        )

    async def more(self, count: int) -> None:
        """Let each client have so many answers more."""
        wanted = [len(each) + count for each in self.answers]
        await until(
            lambda: all(len(a) >= w for a, w in zip(self.answers, wanted, strict=True)),
            f"{count} answers for each client",
        )

    def nothing_told(self, lines: list[str]) -> None:
        """No secret and no token is in a log."""
        for line in lines:
            self.assertNotIn("s3cr3t", line)
            self.assertNotIn("t0ken", line)


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
        await until(lambda: asked and self.serving._buckets["media"].waiting, "the request to wait")
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
        for fault in faults:
            self.events.clear()
            self.double.fault = lambda *_words, said=fault: said
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
        self.assertIn("warn: bucket media: the credentials are not renewed", str(self.events))
        self.assertEqual((await self.get("/kept")).cache, "HIT")
        self.double.number = 2
        self.double.fault = None
        await until(lambda: "ASIA2" in str(self.events), "the new ones")
        self.assertEqual((await self.get("/new")).status, 200)
        self.assertEqual(self.origin.wrong, [])
        self.nothing_told(self.events)


class UnderLoad(Credentials, Workers):
    """The real daemon, two workers, and a file of credentials that somebody replaces."""

    source = "file"

    def replace(self, number: int) -> None:
        """Put others there."""
        new = self.file.with_suffix(".new")
        new.write_text(
            f"[default]\naws_access_key_id = ASIA{number}\n"
            f"aws_secret_access_key = s3cr3t{number}\naws_session_token = t0ken{number}\n"
        )
        new.replace(self.file)

    async def test_rotation(self) -> None:
        """Replaced, and the old ones refused, while both workers are busy: no request fails."""
        self.file = Path(self.mktemp()).absolute()
        environment(self, AWS_SHARED_CREDENTIALS_FILE=str(self.file))
        self.replace(1)
        await self.shield("proxy_cache = off")
        await until(
            lambda: str(self.daemon.lines).count("ASIA1 from the shared files") == 2, "both"
        )
        running = self.begin_load([*await self.on(0, 2), *await self.on(1, 2)])
        await self.more(20)
        for number in (2, 3):
            self.replace(number)
            self.origin.oldest = number
            await self.more(20)
        self.enough = True
        await running
        self.assertEqual({status for each in self.answers for status in each}, {200})
        self.assertEqual((self.origin.used[-1], self.origin.wrong), (3, []))
        self.assertGreater(self.origin.expired, 0)
        self.assertEqual(str(self.daemon.lines).count("ASIA3 from the shared files"), 2)
        self.nothing_told(self.daemon.lines)
