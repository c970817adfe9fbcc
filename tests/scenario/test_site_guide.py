"""docs/site.rst: each configuration there does what the page says."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any, Final

from s3shield.config import load

from .harness import Scenario, answer
from .test_listing import document

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "site.rst"
_BLOCK: Final = re.compile(r"^\.\. code-block:: ini\n\n((?:[ ]{4}.*\n|\n)+)", re.MULTILINE)
DENIED: Final = b"<Error><Code>AccessDenied</Code></Error>"


class GuideTests(Scenario):
    """The ini blocks, in order: a site in a bucket, an application, listings."""

    async def block(self, number: int) -> None:
        """Serve a block of the page, at a free port, with this test's origin."""
        blocks = [textwrap.dedent(each) for each in _BLOCK.findall(PAGE.read_text())]
        self.assertEqual(3, len(blocks))
        text = blocks[number].replace("/var/cache/s3shield", self.cache_path)
        here = f"http://127.0.0.1:{self.origin.number}"
        text = re.sub(r"https://s3\.[a-z0-9.-]+|http://127\.0\.0\.1:9000", here, text)
        path = Path(self.mktemp())
        path.write_text(f"[s3shield]\nlisten = 127.0.0.1:0\n{text}")
        await self.start(load(str(path)))

    def holds(self, bucket: str, **objects: bytes) -> None:
        """Let a bucket without ListBucket hold these objects; `_` stands for a slash."""
        there = {f"/{bucket}/{name.replace('_', '/')}.html": body for name, body in objects.items()}

        def reply(asked: Any) -> Any:
            body = there.get(asked.target)
            return answer(403, DENIED) if body is None else answer(200, body)

        self.origin.reply = reply  # type: ignore[method-assign]

    async def test_site(self) -> None:
        """Index documents, the redirect to them, and the page for what is missing."""
        objects = {"index": b"home", "docs_index": b"docs", "404": b"gone", "50x": b"sorry"}
        self.holds("my-site", **objects)
        await self.block(0)
        self.assertEqual(b"home", (await self.get("/")).body)
        self.assertEqual("/docs/", (await self.get("/docs")).headers["location"])
        self.assertEqual(b"docs", (await self.get("/docs/")).body)
        for target in ("/none", "/none/"):
            got = await self.get(target)
            self.assertEqual((404, b"gone"), (got.status, got.body))

    async def test_application(self) -> None:
        """Objects that are there, the application for all else."""
        self.origin.answers["/app.js"] = answer(200, b"script")
        self.origin.answers["/index.html"] = answer(200, b"app")
        await self.block(1)
        for target, body in (("/app.js", b"script"), ("/", b"app"), ("/a/b?c", b"app")):
            self.assertEqual(body, (await self.get(target)).body, target)

    async def test_listing(self) -> None:
        """What is below a path, under the keys' own beginning."""
        body = document("public/", [("public/a.txt", "1", "")], ["public/sub/"])
        self.origin.reply = lambda asked: answer(200, body)  # type: ignore[method-assign]
        await self.block(2)
        got = await self.get("/pub/")
        for link in (b'<a href="./sub/">', b'<a href="./a.txt">'):
            self.assertIn(link, got.body)
        self.assertEqual("HIT", (await self.get("/pub/")).cache)
        self.assertIn("prefix=public%2F", self.origin.targets()[0])
