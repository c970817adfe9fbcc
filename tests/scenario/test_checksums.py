"""Bodies that are not what a bucket's heads announce: never stored, never whole at a client."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from .harness import BucketScenario, answer, raw

SMALL = b"a small body"
MIDDLE = os.urandom(300_000)
LARGE = os.urandom(5_000_000)
FRESH = {"Cache-Control": "max-age=100"}


def tag(body: bytes) -> str:
    """The ETag of an object uploaded in one piece."""
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def damaged(body: bytes) -> bytes:
    """One bit in the middle is another."""
    at = len(body) // 2
    return body[:at] + bytes((body[at] ^ 1,)) + body[at + 1 :]


class ChecksumTests(BucketScenario):
    """`verify_checksums`, by the ETag, on each way a body takes."""

    async def fetch(self, body: bytes, *, location: str = "", **fields: str) -> list[Any]:
        """Ask twice for an object that the bucket has with this body."""
        said = {"ETag": tag(body), **FRESH, **fields}
        self.origin.answers["/private/a"] = [answer(body=self.sent, headers=said)]
        await self.shield(location)
        return [await self.get("/a"), await self.get("/a")]

    async def test_right(self) -> None:
        """What is as announced is stored, on each of the ways."""
        for body in (b"", SMALL, MIDDLE, LARGE):
            self.sent = body
            seen = await self.fetch(body)
            self.assertEqual([body, body], [got.body for got in seen])
            self.assertEqual(["MISS", "HIT"], [got.cache for got in seen], len(body))
            await self.stop()
            self.cache_path = self.mktemp()

    async def test_short(self) -> None:
        """Collected before it is sent: 502, the reason in the log, asked for again."""
        self.sent = damaged(SMALL)
        seen = await self.fetch(SMALL)
        self.assertEqual([502, 502], [got.status for got in seen])
        self.assertEqual(2, len(self.origin.asked))
        self.assertEqual("integrity", self.logged()[0]["cache_reason"])

    async def test_long(self) -> None:
        """In a file: the client's connection is cut before the end; nothing is stored."""
        for body in (MIDDLE, LARGE):
            self.sent = damaged(body)
            seen = await self.fetch(body)
            for got in seen:
                self.assertEqual(
                    (200, "MISS", False), (got.status, got.cache, got.whole), len(body)
                )
                self.assertTrue(self.sent.startswith(got.body))
            await self.stop()
            self.cache_path = self.mktemp()

    async def test_stale_stands_in(self) -> None:
        """A damaged answer is a failure of the origin: what is stored answers, and stays."""
        good = {"ETag": tag(SMALL), "Cache-Control": "max-age=0"}
        self.origin.answers["/private/a"] = [
            answer(body=SMALL, headers=good),
            answer(body=b"damaged", headers={**good, "ETag": tag(b"another")}),
        ]
        await self.shield()
        seen = [await self.get("/a") for _ in range(3)]
        self.assertEqual(["MISS", "STALE", "STALE"], [got.cache for got in seen])
        self.assertEqual({SMALL}, {got.body for got in seen})

    async def test_length_unknown(self) -> None:
        """A chunked body in memory: cut, not ended, and not stored."""
        chunk = damaged(SMALL)
        head = f"HTTP/1.1 200 OK\r\nETag: {tag(SMALL)}\r\nCache-Control: max-age=9\r\n".encode()
        body = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(chunk), chunk)
        self.origin.answers["/private/a"] = raw(head + body)
        await self.shield()
        for times in (1, 2):
            got = await self.get("/a")
            # Where the head is still in the transport's buffer it goes with the connection.
            self.assertIn((got.cache, got.whole), (("MISS", False), (None, False)))
            self.assertEqual(times, len(self.origin.asked))

    async def test_off(self) -> None:
        """`verify_checksums = off`, for stores whose ETags are 32 hex digits and no MD5."""
        self.sent = damaged(SMALL)
        seen = await self.fetch(SMALL, location="verify_checksums = off")
        self.assertEqual(["MISS", "HIT"], [got.cache for got in seen])

    async def test_encrypted(self) -> None:
        """With KMS the ETag is no MD5."""
        self.sent = damaged(SMALL)
        fields = {"x-amz-server-side-encryption": "aws:kms"}
        seen = await self.fetch(SMALL, **fields)
        self.assertEqual(["MISS", "HIT"], [got.cache for got in seen])
