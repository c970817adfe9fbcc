"""What the attacks share: raw clients, an origin that echoes, two buckets."""

from __future__ import annotations

from typing import Any

from twisted.logger import globalLogPublisher

from .harness import Client, Got, Scenario, answer

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEXAMPLETOKEN//////////"
FOR_LONG = {"Cache-Control": "max-age=100"}


def echo(connection: Any, asked: Any) -> None:
    """Answer with the target that was asked for: who gets whose object is seen at once."""
    answer(body=asked.target.encode(), headers=FOR_LONG)(connection, asked)


class Attack(Scenario):
    """A scenario with a client that sends bytes as they are."""

    async def say(self, *pieces: bytes, end: bool = True) -> list[Got]:
        """Send `pieces` on one connection; return all responses until it is closed."""
        client = await self.connect()
        for piece in pieces:
            client.send(piece)
        return await self.hear(client)

    async def hear(self, client: Client) -> list[Got]:
        """Read responses until the connection is closed."""
        seen: list[Got] = []
        while True:
            while not client.buffer:
                if not await client.more():
                    return seen
            seen.append(await client.take())

    def nothing_left(self) -> None:
        """No flight, no origin connection with a call on it, no body file kept open."""
        serving = self.serving
        assert serving is not None
        self.assertEqual(0, serving.flights())

    def echoing(self) -> None:
        """Let the origin answer every target with its own name."""
        self.origin.reply = lambda asked: echo  # type: ignore[method-assign]

    def watch_log(self) -> list[str]:
        """Return the list that all log messages from now on go to."""
        seen: list[str] = []

        def observe(event: Any) -> None:
            if event.get("log_format"):
                seen.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return seen


class BucketAttack(Attack):
    """Two buckets behind one daemon, path-style; a secret and a token."""

    sign = "v4"

    def config_text(self, location: str, cache: str, more: str) -> str:
        text = super().config_text(location, cache, more)
        plain = f"origin = http://127.0.0.1:{self.origin.number}"
        token = f"aws_session_token = {TOKEN}" if self.sign.startswith("v4") else ""
        bucket = f"""
[bucket:{{name}}]
aws_s3_bucket = {{name}}
aws_endpoint = http://127.0.0.1:{self.origin.number}
aws_addressing = path
aws_region = eu-central-1
aws_sign = {self.sign}
aws_access_key = AKIAIOSFODNN7EXAMPLE
aws_secret_key = {SECRET}
{token}
"""
        more = "[location:/other/]\nbucket = other\nrewrite = ^/other/(.*)$ /$1\n"
        more += "proxy_cache = main\nproxy_cache_valid = 200 404 1m\n"
        both = bucket.format(name="public") + bucket.format(name="other")
        return text.replace(plain, "bucket = public") + more + both

    def paths(self) -> list[str]:
        """Return the paths that the origin was asked for."""
        return [target.partition("?")[0] for target in self.origin.targets()]
