"""Uploads through twistd's daemon to S3 servers that check signatures, and what is read back."""

from __future__ import annotations

import hashlib
import http.client
import os
from typing import ClassVar, Final

from twisted.trial.unittest import SynchronousTestCase

from demo.daemon import Daemon, write_ini

from .test_demo import BUCKET, filled

BODY: Final = os.urandom(3 << 20)
HASH: Final = "x-amz-content-sha256"


def declared(body: bytes) -> dict[str, str]:
    """Return the field that declares the hash of `body`."""
    return {HASH: hashlib.sha256(body).hexdigest()}


class Uploads:
    """What is true of each server."""

    kind: ClassVar[str]

    def daemon(self, mode: str) -> None:
        """Run a daemon whose location takes PUT."""
        there = filled(self.kind)
        self.server = there.server
        directory = there.directory / f"uploads-{mode}"
        directory.mkdir()
        self.port = write_ini(directory, self.server, mode, BUCKET, workers=1)
        with (directory / "demo.ini").open("a", encoding="utf-8") as file:
            file.write("\nmethods = GET HEAD PUT\nclient_max_body_size = 10m\n")
        secret = None if mode.startswith("v4") else self.server.secret_key
        daemon = Daemon(directory, self.port, secret)
        self.addCleanup(daemon.kill)
        daemon.start()

    def ask(
        self, method: str, body: bytes | None = None, **fields: str
    ) -> tuple[int, str | None, bytes]:
        """Return status, X-Cache-Status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, "/up/loaded", body, headers=fields)
            response = connection.getresponse()
            return response.status, response.headers["X-Cache-Status"], response.read()
        finally:
            connection.close()

    def check(self, body: bytes, **fields: str) -> None:
        """Replace the object, which is in the cache; see it new from both sides."""
        status, cache, answered = self.ask("PUT", body, **fields)
        self.assertEqual((200, None), (status, cache), answered)
        self.assertEqual((200, "MISS", body), self.ask("GET"))
        self.assertEqual((200, "HIT", body), self.ask("GET"))
        mode = self.server.modes[0]
        self.assertEqual((200, body), self.server.get(f"/{BUCKET}/up/loaded", mode))

    def check_hashes(self) -> None:
        """Short bodies and gathered ones, with our hash; a streamed one with the client's."""
        self.daemon("v4")
        self.check(b"first", **{"Content-Type": "text/plain", "x-amz-meta-own": "a b"})
        head = self.server.client().head_object(Bucket=BUCKET, Key="up/loaded")
        self.assertEqual(({"own": "a b"}, "text/plain"), (head["Metadata"], head["ContentType"]))
        self.check(BODY[:300_000])
        self.check(BODY, **declared(BODY))
        self.check(b"")
        status, _, _ = self.ask("PUT", BODY)
        self.assertEqual(413, status)
        self.assertEqual((200, "HIT", b""), self.ask("GET"))


class SwiftTests(Uploads, SynchronousTestCase):
    """Swift compares the hash, too."""

    kind = "swift"

    def test_v4(self) -> None:
        """What is signed is what is sent; a body that is not what was declared changes nothing."""
        self.check_hashes()
        for size in (1000, 300_000):
            status, _, _ = self.ask("PUT", BODY[:size], **declared(b"another"))
            self.assertEqual(400, status)
            self.assertEqual((200, "HIT", b""), self.ask("GET"))

    def test_v2(self) -> None:
        """SigV2 signs no hash: any body is streamed."""
        self.daemon("v2")
        for body in (b"short", BODY):
            self.check(body, **{"Content-Type": "text/plain", "x-amz-meta-own": "a b"})


class MotoTests(Uploads, SynchronousTestCase):
    kind = "moto"

    def test_v4(self) -> None:
        """The same before another server."""
        self.check_hashes()
