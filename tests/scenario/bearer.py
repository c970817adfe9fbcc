"""A location whose clients need a token, and what is said about that."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from twisted.logger import formatEvent, globalLogPublisher

from tests.access.issuer import Signer, jwk_set, signer

from .harness import Got, Scenario, answer

__all__ = ["Bearer"]


class Bearer(Scenario):
    """`/` needs a token of `self.issuer`; `/keys` of the origin has its key.

    events: what the error log would have, `level: text`.
    """

    def setUp(self) -> None:
        """Have an issuer."""
        super().setUp()
        self.issuer = signer("ES256", "one")
        self.key_path = Path(self.mktemp()).absolute()
        self.key_path.write_bytes(jwk_set(self.issuer))
        self.keys_are(jwk_set(self.issuer))
        self.origin.answers["/a"] = answer(headers={"Cache-Control": "max-age=60"})
        self.events: list[str] = []

        def observe(event: Any) -> None:
            if event.get("log_format") and event["log_namespace"].startswith("s3shield"):
                self.events.append(f"{event['log_level'].name}: {formatEvent(event)}")

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def keys_are(self, data: bytes) -> None:
        """Let this be the key set at `/keys`."""
        self.origin.answers["/keys"] = answer(body=data)

    async def by_file(self, more: str = "") -> None:
        """Begin with a key file."""
        await self.shield(f'auth_jwt = "media"\nauth_jwt_key_file = {self.key_path}\n{more}')

    async def by_url(self, more: str = "") -> None:
        """Begin with the keys at `/keys`."""
        url = f"http://127.0.0.1:{self.origin.number}/keys"
        await self.shield(f'auth_jwt = "media"\nauth_jwt_key_request = {url}\n{more}')

    def token(self, issuer: Signer | None = None, **claims: Any) -> str:
        """Return a token that is good for an hour."""
        payload = {"exp": int(time.time()) + 3600, **claims}
        return (issuer or self.issuer).token(payload).decode()

    async def bring(self, token: str | None, target: str = "/a", **headers: str) -> Got:
        """Ask for `target` with a token."""
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        return await self.get(target, **headers)

    def told(self, word: str) -> list[str]:
        """Return the events with `word` in them."""
        return [each for each in self.events if word in each]

    def fetches(self) -> int:
        """How often the keys were asked for."""
        return self.origin.targets().count("/keys")
