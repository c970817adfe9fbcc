"""Access rules before buckets, where dots and odd slashes are parts of a key, and in regexes."""

from __future__ import annotations

from typing import Any, Final

from .harness import Scenario, answer
from .test_access import ELSEWHERE, FIELDS, METHODS, SAME_PATH

BUCKET: Final = """
[bucket:b]
aws_s3_bucket = private
aws_endpoint = http://localhost:{port}
aws_addressing = path
aws_sign = off

[location:{pattern}]
bucket = b
proxy_cache = main
methods = GET HEAD PUT DELETE
purge_allow = 127.0.0.1
{rules}

[location:/]
bucket = b
proxy_cache = main
"""


class BucketTests(Scenario):
    """Whatever key is asked for by whatever way: what is below the rule never is."""

    def config_text(self, location: str, cache: str, more: str) -> str:
        """The scenario's, with `more` in place of its location."""
        return (
            super()
            .config_text(location, cache, more)
            .replace(
                f"[location:/]\norigin = http://127.0.0.1:{self.origin.number}\n",
                f"[location:/none]\norigin = http://127.0.0.1:{self.origin.number}\n",
                1,
            )
        )

    async def gated(self, pattern: str, rules: str = "deny = all") -> None:
        """Serve a bucket in which everything is there."""

        def everything(connection: Any, asked: Any) -> None:
            said = b"secret" if "/private/intern/" in asked.target else b"open"
            answer(body=said)(connection, asked)

        self.origin.reply = lambda asked: everything
        text = BUCKET.format(port=self.origin.number, pattern=pattern, rules=rules)
        await self.shield(more=text)

    async def attempts(self) -> None:
        """Try all of them."""
        for target in SAME_PATH:
            got = await self.get(target)
            self.assertIn(got.status, (400, 403), target)
        for target in ELSEWHERE:
            got = await self.get(target)
            self.assertNotIn(b"secret", got.body, target)
        for fields in FIELDS:
            self.assertIn((await self.get("/intern/a", **fields)).status, (400, 403), fields)
        for method in METHODS:
            self.assertIn((await self.get("/intern/a", method)).status, (400, 403), method)
        asked = [x for x in self.origin.targets() if x.startswith("/private/intern/")]
        self.assertEqual([], asked)

    async def test_prefix(self) -> None:
        """A location with a path."""
        await self.gated("/intern/")
        await self.attempts()

    async def test_regex(self) -> None:
        """A regex, which is tried on the decoded path too."""
        await self.gated("~ ^/intern/")
        await self.attempts()

    async def test_any_case(self) -> None:
        """A regex that minds no case keeps out of other spellings as well."""
        await self.gated("~* ^/intern/")
        for target in ("/INTERN/a", "/Intern/a", "/%49ntern/a", *SAME_PATH):
            self.assertIn((await self.get(target)).status, (400, 403), target)

    async def test_links(self) -> None:
        """Nor is a rule of links got round by what the bucket's query lets through."""
        await self.gated("/intern/", "signed_link_key = 0123456789abcdef\nquery = pass")
        await self.attempts()
        for query in ("versionId=1", "link_signature", "link_signature=&link_expires=9999999999"):
            self.assertEqual(403, (await self.get(f"/intern/a?{query}")).status, query)
