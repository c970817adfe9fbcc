"""docs/access.rst: each configuration there does what the page says."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import textwrap
import time
from pathlib import Path
from typing import Final

from s3shield.access import LinkTerms, sign_link
from s3shield.config import load

from .harness import Scenario, answer

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "access.rst"
_BLOCK: Final = re.compile(r"^\.\. code-block:: ini\n\n((?:[ ]{4}.*\n|\n)+)", re.MULTILINE)


class GuideTests(Scenario):
    """The ini blocks, in order: addresses, passwords, links."""

    async def block(self, number: int, **changes: str) -> None:
        """Serve a block of the page, at a free port, with this test's origin."""
        blocks = [textwrap.dedent(each) for each in _BLOCK.findall(PAGE.read_text())]
        self.assertEqual(3, len(blocks))
        text = blocks[number].replace("127.0.0.1:8080", "127.0.0.1:0")
        text = text.replace(":9000", f":{self.origin.number}")
        for name, new in changes.items():
            old = {"network": "10.0.0.0/8", "users": "/etc/s3shield/users"}[name]
            self.assertIn(old, text)
            text = text.replace(old, new)
        path = Path(self.mktemp())
        path.write_text(text)
        for target in ("/a", "/intern/a", "/open/a", "/films/a", "/old/a"):
            self.origin.answers[target] = answer()
        await self.start(load(str(path)))

    async def status(self, target: str, **fields: str) -> int:
        """Return what a GET is answered."""
        return (await self.get(target, **fields)).status

    async def test_addresses(self) -> None:
        """Strangers stay out of `/intern/`, the network does not."""
        await self.block(0)
        self.assertEqual([200, 403], [await self.status(x) for x in ("/a", "/intern/a")])
        await self.stop()
        await self.block(0, network="127.0.0.0/8")
        self.assertEqual(200, await self.status("/intern/a"))

    async def test_passwords(self) -> None:
        """Users of the file come in, all others to `/open/` alone."""
        users = os.path.abspath(self.mktemp())
        await self.block(1, users=users)
        ann = "Basic " + base64.b64encode(b"ann:correct horse").decode()
        self.assertEqual(403, await self.status("/a", authorization=ann))  # no file yet
        Path(users).write_text("ann:{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=\n")
        self.assertEqual(200, await self.status("/a", authorization=ann))
        self.assertEqual([401, 200], [await self.status(x) for x in ("/a", "/open/a")])

    async def test_links(self) -> None:
        """Links of either key, and nginx's."""
        await self.block(2)
        terms = LinkTerms(expires=int(time.time()) + 60)
        for key in (b"Lnf9vP0mVbWQEzK2tYx8hg", b"the-key-of-last-month-16"):
            link = sign_link(key, b"/films/a", terms).decode()
            self.assertEqual(200, await self.status(link))
        end = terms.expires
        digest = hashlib.md5(f"{end}/old/a127.0.0.1 secret".encode()).digest()
        text = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        self.assertEqual(200, await self.status(f"/old/a?md5={text}&expires={end}"))
        self.assertEqual([403, 403], [await self.status(x) for x in ("/films/a", "/old/a")])
