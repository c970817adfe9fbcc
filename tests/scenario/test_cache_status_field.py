"""`Cache-Status` (RFC 9211): on every answer, true to what was done."""

from __future__ import annotations

from .harness import Got, Scenario, answer, raw

ON = "cache_status = on"


def said(got: Got) -> str:
    """The field without the digits of its ttl."""
    return got.headers.get("cache-status", "").partition("; ttl")[0]


class CacheStatusFieldTests(Scenario):
    async def test_off_by_default(self) -> None:
        """Nothing is said unless it is asked for."""
        self.origin.answers["/a"] = answer()
        await self.shield()
        self.assertNotIn("cache-status", (await self.get("/a")).headers)

    async def test_miss_hit_and_what_came_before(self) -> None:
        """A stored miss, then a hit; an origin's own member stays in front of ours."""
        fields = {"Cache-Control": "max-age=100", "Cache-Status": "inner; hit"}
        self.origin.answers["/a"] = answer(headers=fields)
        await self.shield(ON)
        first, second = await self.get("/a"), await self.get("/a")
        self.assertEqual(
            "inner; hit, s3shield; fwd=miss; fwd-status=200; stored; ttl=100",
            first.headers["cache-status"].replace("ttl=99", "ttl=100"),
        )
        self.assertEqual("inner; hit, s3shield; hit", said(second))
        self.assertEqual("HIT", second.cache)
        self.assertEqual("s3shield; hit", said(await self.get("/a", "HEAD"))[-13:])
        ranged = await self.get("/a", range="bytes=0-1")
        self.assertEqual((206, b"he"), (ranged.status, ranged.body))
        self.assertEqual("inner; hit, s3shield; hit", said(ranged))

    async def test_name_and_reason(self) -> None:
        """The name is the operator's; a response that is not stored says why."""
        self.origin.answers["/a"] = answer(headers={"Cache-Control": "no-store"})
        await self.shield(f"{ON}\ncache_status_name = edge")
        self.assertEqual(
            "edge; fwd=miss; fwd-status=200; detail=no-store",
            (await self.get("/a")).headers["cache-status"],
        )

    async def test_stale(self) -> None:
        """Revalidated, replaced, and stale because the origin failed."""
        stale = {"ETag": '"1"', "Cache-Control": "max-age=0"}
        self.origin.answers["/a"] = [
            answer(headers=stale),
            answer(304, b"", stale),
            answer(headers={**stale, "ETag": '"2"'}),
            raw(b"", close=True),
        ]
        await self.shield(ON)
        seen = [said(await self.get("/a")) for _ in range(4)]
        self.assertEqual("s3shield; fwd=miss; fwd-status=200; stored", seen[0])
        self.assertEqual("s3shield; fwd=stale; fwd-status=304", seen[1])
        self.assertEqual("s3shield; fwd=stale; fwd-status=200; stored", seen[2])
        self.assertTrue(seen[3].startswith("s3shield; hit"), seen[3])

    async def test_collapsed(self) -> None:
        """Who shared another's fetch was forwarded, collapsed."""

        async def slowly(connection, asked) -> None:
            await self.until_waiting(3)
            answer(headers={"Cache-Control": "max-age=100"})(connection, asked)

        self.origin.answers["/a"] = slowly
        await self.shield(ON)
        seen = sorted(said(got) for got in await self.together(*[self.get("/a") for _ in range(3)]))
        self.assertEqual(
            ["s3shield; fwd=miss; fwd-status=200; collapsed"] * 2
            + ["s3shield; fwd=miss; fwd-status=200; stored"],
            seen,
        )

    async def test_refused_off_and_failed(self) -> None:
        """405, a location without a cache, an origin that is not there."""
        self.origin.answers["/a"] = answer()
        self.origin.answers["/cut"] = raw(b"", close=True)
        more = f"""
[location:/off]
origin = http://127.0.0.1:{self.origin.number}
proxy_cache = off
cache_status = on
"""
        await self.shield(f"{ON}\nmethods = GET HEAD", more=more)
        self.assertEqual("s3shield", said(await self.get("/a", "DELETE")))
        self.assertEqual(
            "s3shield; fwd=bypass; fwd-status=404; detail=cache-off", said(await self.get("/off"))
        )
        self.assertEqual("s3shield; fwd=miss; detail=origin-error", said(await self.get("/cut")))
