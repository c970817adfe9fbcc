"""A bucket that takes temporary credentials only, and a source that gives them."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import attrs
import botocore.utils
from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.logger import formatEvent, globalLogPublisher

from s3shield.ops import credential_watch
from tests.ops.sources import Double, container, environment

from .checking import CheckingOrigin
from .harness import Answer, Asked, Client, Scenario, answer, until

__all__ = ["Credentials"]


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
