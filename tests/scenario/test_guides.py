"""Every example of ours in docs/from-nginx.rst and docs/from-apache.rst, running.

The endpoint is a scripted origin on this machine instead of Amazon's, asked by path, and
TLS towards clients is left out; all else is as it stands on the pages.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from s3shield.config import load

from .harness import Scenario, answer

DOCS = Path(__file__).resolve().parents[2] / "docs"
DAY = 1_772_064_000.0  # 2026-02-26 00:00:00 UTC, the day of the guide's key scope
KEY = "jcUxLpCwJR0mSxAnb6gcJ8dBw1+x+2TNMwABi0eLyLc=\n20260226/us-east-1/s3/aws4_request\n"
SCOPED = "Credential=AKIAIOSFODNN7EXAMPLE/20260226/{}/s3/aws4_request,"
WITH_SECRET = "Credential=ACCESS_KEY/20260226/eu-central-1/s3/aws4_request,"


class Guides(Scenario):
    """One page's examples. page: its name."""

    page = ""

    def example(self, number: int) -> str:
        """Return an example, with the origin in the place of Amazon."""
        text = (DOCS / self.page).read_text()
        blocks = re.findall(r"(?m)^\.\. code-block:: ini\n\n((?:[ ]{4}.*\n|\n)+)", text)
        self.assertEqual(self.examples, len(blocks))
        ini = textwrap.dedent(blocks[number])
        here = f"http://127.0.0.1:{self.origin.number}"
        ini = re.sub(r"(?m)^(aws_endpoint|listen|tls_\w+) = .*\n", "", ini)
        ini = re.sub(r"(?m)^path = .*", f"path = {self.cache_path}", ini)
        ini = re.sub(
            r"(?m)^(aws_s3_bucket = .*)", rf"\1\naws_endpoint = {here}\naws_addressing = path", ini
        )
        ini = ini.replace("origin = http://backend", f"origin = {here}")
        if "aws_region" not in ini and "aws_signing_key_file" not in ini:
            self.assertIn("aws_key_scope", ini)
        head = "" if "[s3shield]" in ini else "[s3shield]\n"
        return re.sub(
            r"\[s3shield\]\n", "[s3shield]\nlisten = 127.0.0.1:0\nworkers = 0\n", head + ini
        )

    async def begin(self, number: int) -> None:
        """Serve an example, on the day of its keys."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "media.key").touch(mode=0o600)
        (folder / "media.key").write_text(KEY)
        path = folder / "s3shield.ini"
        path.write_text(self.example(number))
        await self.start(load(str(path)), clock=lambda: DAY + 3600)

    async def fetch(self, target: str, asked: str, credential: str) -> str | None:
        """Ask for something, compare what the origin was asked for; return X-Cache-Status."""
        self.origin.answers[asked] = answer(200, b"it", {"ETag": '"1"'})
        got = await self.get(target)
        self.assertEqual((200, b"it"), (got.status, got.body))
        (request,) = self.origin.asked
        self.assertEqual(asked, request.target)
        authorization = request.headers.get("authorization", "")
        if credential:
            self.assertTrue(authorization.startswith("AWS4-HMAC-SHA256 "), authorization)
            self.assertIn(credential, authorization.replace(", ", ","))
        else:
            self.assertEqual("", authorization)
        return got.cache


class Nginx(Guides):
    """From nginx."""

    page = "from-nginx.rst"
    examples = 6
    key = SCOPED.format("us-east-1")

    async def test_basic(self) -> None:
        """The whole bucket, signed with the scoped key."""
        await self.begin(0)
        await self.fetch("/a/b.txt", "/my-private-bucket/a/b.txt", self.key)

    async def test_subpath(self) -> None:
        """/downloads without its prefix from the bucket; signed."""
        await self.begin(1)
        await self.fetch("/downloads/report.pdf", "/my-assets-bucket/report.pdf", self.key)

    async def test_subpath_else(self) -> None:
        """All else from the backend; unsigned."""
        await self.begin(1)
        await self.fetch("/about?x=1", "/about?x=1", "")

    async def test_endpoint(self) -> None:
        """Signed for the region of the key's scope."""
        await self.begin(2)
        await self.fetch("/china-assets/a.png", "/my-bucket/a.png", SCOPED.format("cn-north-1"))

    async def test_caching(self) -> None:
        """A miss, then a hit without S3; a 404 is kept as well."""
        await self.begin(3)
        self.assertEqual("MISS", await self.fetch("/x", "/my-private-bucket/x", self.key))
        self.assertEqual("HIT", (await self.get("/x")).cache)
        for status in ("MISS", "HIT"):
            got = await self.get("/absent")
            self.assertEqual((404, status), (got.status, got.cache))
        self.assertEqual(2, len(self.origin.asked))

    async def test_key_file(self) -> None:
        """The key from a file beside the configuration."""
        await self.begin(4)
        await self.fetch("/x", "/my-private-bucket/x", self.key)

    async def test_internal(self) -> None:
        """Who is not of the internal network is refused, and S3 not asked."""
        await self.begin(5)
        self.assertEqual(403, (await self.get("/internal-docs/x")).status)
        self.assertEqual([], self.origin.asked)


class Apache(Guides):
    """From Apache."""

    page = "from-apache.rst"
    examples = 4

    async def test_proxy(self) -> None:
        """The bucket, signed in the header with the secret."""
        await self.begin(0)
        await self.fetch("/video.ism", "/mybucket/video.ism", WITH_SECRET)

    async def test_virtual_host(self) -> None:
        """The same, for the Origin."""
        await self.begin(1)
        await self.fetch("/video.ismv", "/mybucket/video.ismv", WITH_SECRET)

    async def test_cached_for_the_origin(self) -> None:
        """With a cache, the Origin's second request asks S3 for nothing."""
        await self.begin(2)
        self.assertEqual("MISS", await self.fetch("/v.ismv", "/mybucket/v.ismv", WITH_SECRET))
        self.assertEqual("HIT", (await self.get("/v.ismv")).cache)
        self.assertEqual(1, len(self.origin.asked))

    async def test_legacy(self) -> None:
        """/s3/ without its prefix, signed in the query."""
        await self.begin(3)
        await self.get("/s3/example.ism")
        (request,) = self.origin.asked
        path, _, query = request.target.partition("?")
        self.assertEqual("/mybucket/example.ism", path)
        self.assertIn("X-Amz-Credential=ACCESS_KEY%2F20260226%2Feu-west-1%2Fs3", query)
        self.assertIn("X-Amz-Signature=", query)
        self.assertNotIn("authorization", request.headers)
