"""The real daemon under load while a bucket dies, hangs or forbids everything: no GET fails."""

from __future__ import annotations

from typing import Any

from tests.scenario.harness import KEY, Origin, raw
from tests.scenario.test_replicas import ranged, s3

from .workers import Workers

SIZES = (2_000, 20_000, 300_000)
BODY = bytes(range(251)) * 1_200
CLIENTS = 12
EACH = 10


class Taken(Workers):
    """Two workers, a bucket and its replica, which both have every object."""

    def setUp(self) -> None:
        """Start the second origin."""
        super().setUp()
        self.replica = Origin()
        self.addCleanup(self.replica.stop)
        for origin in (self.origin, self.replica):
            origin.reply = self.give  # type: ignore[method-assign]

    def give(self, asked: Any) -> Any:
        """Return an object's answer: its size is in its name."""
        if asked.target.endswith("/probe"):
            return raw(
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nprobe",
                close=True,
            )
        return ranged(BODY[: int(asked.target.split("-")[1])], '"one"')

    def config_text(self, location: str, cache: str, more: str) -> str:
        """The scenario's, with two buckets in the origin's place."""
        text = super().config_text(location, cache, more)
        text = text.replace(f"origin = http://127.0.0.1:{self.origin.number}", "bucket = b")
        for name, number, extra in (
            ("b", self.origin.number, "replica = us\nreplica_on = 403\nreplica_timeout = 300ms"),
            ("us", self.replica.number, ""),
        ):
            text += f"""
[bucket:{name}]
aws_s3_bucket = {name}
aws_endpoint = http://127.0.0.1:{number}
aws_access_key = AKIAIOSFODNN7EXAMPLE
aws_signing_key = {KEY}
aws_key_scope = 20261124/us-east-1/s3/aws4_request
{extra}
"""
        return text

    async def client(self, name: str) -> None:
        """Ask for one new object after the other; each is there, and whole."""
        for number in range(EACH):
            size = SIZES[number % len(SIZES)]
            got = await self.get(f"/{name}.{number}-{size}")
            self.assertEqual((200, True), (got.status, got.whole))
            self.assertTrue(got.body == BODY[:size])
            if number == 2 and not self.struck:
                self.struck = True
                self.strike()

    async def under_load(self, strike: Any) -> None:
        """Let clients come while `strike` is called; the replica takes over."""
        self.struck, self.strike = False, strike
        await self.shield("proxy_cache_valid = 200 1m")
        await self.together(*[self.client(f"c{number}") for number in range(CLIENTS)])
        self.assertTrue(self.struck)
        self.assertTrue(self.replica.asked)
        self.daemon.until("it is asked last from now on")

    async def test_killed(self) -> None:
        """All its connections are reset, some in the middle of an answer, and new ones refused."""

        def kill() -> None:
            self.origin.port.stopListening()
            for connection in tuple(self.origin.open):
                connection.transport.abortConnection()

        await self.under_load(kill)

    async def test_hangs(self) -> None:
        """It takes requests and says nothing any more."""

        def hang() -> None:
            self.origin.reply = lambda asked: raw()  # type: ignore[method-assign]

        await self.under_load(hang)

    async def test_forbids(self) -> None:
        """It answers 403 to everything."""

        def forbid() -> None:
            self.origin.reply = lambda asked: s3(403, "AccessDenied")  # type: ignore[method-assign]

        await self.under_load(forbid)
