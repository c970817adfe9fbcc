"""The example of docs/uploads.rst, running; and the second door, where bodies come whole."""

from __future__ import annotations

import hashlib
import textwrap
from pathlib import Path
from typing import Final

from twisted.web.server import Site as WebSite

from s3shield.exchange import Tree

from .harness import reactor
from .test_bucket_uploads import SECRET, BucketScenario
from .test_uploads import ALL, BODY, SIZE_AND_SUM, UploadScenario, put

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "uploads.rst"
FILM: Final = b"film" * 400_000


def example() -> str:
    """Return the page's configuration."""
    _, _, text = PAGE.read_text(encoding="utf-8").partition(".. code-block:: ini\n\n")
    block, _, _ = text.partition("\n\nThen ")
    return textwrap.dedent(block)


class GuideTests(BucketScenario):
    """What the page says curl does, in its configuration: only places are the test's."""

    def config_text(self, location: str, cache: str, more: str) -> str:
        text, here = example(), f"http://localhost:{self.origin.number}"
        for theirs, ours in (
            ("127.0.0.1:8080", "127.0.0.1:0\nworkers = 0"),
            ("/var/cache/s3shield", self.cache_path),
            ("eu-west-1", f"us-east-1\naws_endpoint = {here}\naws_addressing = path"),
            ("proxy_cache = main", f"proxy_cache = main\nproxy_cache_valid = 1h\n{location}"),
        ):
            assert theirs in text, theirs
            text = text.replace(theirs, ours)
        assert SECRET in text
        return text

    async def test_put_and_delete(self) -> None:
        """The file replaces the object and its stored copy; DELETE makes that invalid as well."""
        await self.shield()
        self.origin.answers["/film.mp4"] = self.origin.answers["/a"]
        hashed = f"x-amz-content-sha256: {hashlib.sha256(FILM).hexdigest()}"
        await self.get("/film.mp4")
        self.assertEqual("HIT", (await self.get("/film.mp4")).cache)
        head = put(
            f"Content-Length: {len(FILM)}", "Expect: 100-continue", hashed, target="/film.mp4"
        )
        client = await self.connect()
        client.send(head)
        await self.hears(client, b"100 Continue\r\n\r\n")
        self.assertEqual(201, (await self.put(b"", FILM, client)).status)
        seen = [await self.get("/film.mp4") for _ in range(2)]
        self.assertEqual([("MISS", b"1"), ("HIT", b"1")], [(got.cache, got.body) for got in seen])
        await self.get("/film.mp4", "DELETE")
        got = await self.get("/film.mp4")
        self.assertEqual(("MISS", b"2"), (got.cache, got.body))
        self.assertEqual([], self.origin.wrong)

    async def test_what_is_not_named(self) -> None:
        """POST is 405; a body without a hash over 1 MiB is 413 where the endpoint has no TLS."""
        await self.shield()
        self.assertEqual(405, (await self.put(put("Content-Length: 1", method="POST"))).status)
        self.assertEqual(413, (await self.put(put(f"Content-Length: {len(FILM)}"))).status)
        self.assertEqual([], self.origin.asked)

    async def test_in_parts(self) -> None:
        """An upload in parts, where the location passes what it needs."""
        await self.shield("query = allow uploads uploadId partNumber")
        part = put("Content-Length: 300000", target="/film.mp4?partNumber=1&uploadId=x")
        self.assertEqual(200, (await self.put(part, BODY)).status)
        self.assertIn("partNumber=1&uploadId=x", self.origin.asked[-1].target)
        self.assertEqual([], self.origin.wrong)


class SecondDoorTests(UploadScenario):
    """A site of twisted.web gathers bodies; the same limits hold."""

    async def door(self, location: str) -> None:
        """Serve the tree on a port of its own; requests go there from now on."""
        await self.shield(location)
        assert self.serving is not None
        (factory,) = self.serving._factories
        site = WebSite(Tree(factory.site, reactor.seconds), reactor=reactor)
        site.noisy = False
        port = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.port = port.getHost().port

    async def test_body(self) -> None:
        """A long body arrives, with its length, and invalidates; one over the limit is 413."""
        await self.door(f"{ALL.rpartition(' ')[0]} 300k")
        await self.stored()
        self.assertEqual(201, (await self.put(put("Content-Length: 300000"), BODY)).status)
        self.assertEqual(SIZE_AND_SUM, self.origin.bodies[-1])
        self.assertEqual("300000", self.origin.asked[-1].headers["content-length"])
        self.assertEqual("MISS", (await self.get("/a")).cache)
        asked = len(self.origin.asked)
        got = await self.put(put("Content-Length: 307201"), BODY + b"x" * 7201)
        self.assertEqual((413, asked), (got.status, len(self.origin.asked)))


class SecondDoorBucketTests(BucketScenario, SecondDoorTests):
    """The same to a bucket: what comes whole is hashed whole."""

    async def test_body(self) -> None:
        """See above; and what must not be sent is refused here, too."""
        await super().test_body()
        for target, status in (("/a?acl", 501), ("/a", 411)):
            self.assertEqual(status, (await self.put(put(target=target))).status)
        self.assertEqual([], self.origin.wrong)
