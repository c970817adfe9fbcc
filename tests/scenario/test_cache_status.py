"""What X-Cache-Status says, and what the origin was asked, moment by moment."""

from __future__ import annotations

from .harness import Scenario, answer, raw, until


class CacheStatusTests(Scenario):
    async def test_miss_then_hit(self) -> None:
        """The second request is answered from the store: byte for byte, without the origin."""
        self.origin.answers["/a"] = answer(body=b"one", headers={"ETag": '"1"', "X-Own": "y"})
        await self.shield("proxy_cache_valid = 200 1m")
        first, second = await self.get("/a"), await self.get("/a")
        self.assertEqual(["MISS", "HIT"], [first.cache, second.cache])
        self.assertEqual([b"one", b"one"], [first.body, second.body])
        self.assertEqual(['"1"', "y"], [second.headers["etag"], second.headers["x-own"]])
        self.assertEqual("0", second.headers["age"])
        self.assertEqual(["/a"], self.origin.targets())

    async def test_stale_entry_is_revalidated(self) -> None:
        """A stale entry is asked about with its own validators; a 304 makes it fresh."""
        fresh = {"ETag": '"v"', "Cache-Control": "max-age=0"}
        self.origin.answers["/a"] = [
            answer(body=b"one", headers=fresh),
            answer(304, b"", {"ETag": '"v"', "Cache-Control": "max-age=100"}),
        ]
        await self.shield()
        seen = [await self.get("/a") for _ in range(3)]
        self.assertEqual(["MISS", "REVALIDATED", "HIT"], [got.cache for got in seen])
        self.assertEqual([b"one"] * 3, [got.body for got in seen])
        self.assertEqual("max-age=100", seen[2].headers["cache-control"])
        self.assertEqual('"v"', self.origin.asked[1].headers["if-none-match"])
        self.assertEqual(2, len(self.origin.asked))

    async def test_stale_entry_is_replaced(self) -> None:
        """A 200 to the revalidation replaces the entry: EXPIRED."""
        stale = {"ETag": '"1"', "Cache-Control": "max-age=0"}
        self.origin.answers["/a"] = [
            answer(body=b"one", headers=stale),
            answer(body=b"two", headers={"ETag": '"2"', "Cache-Control": "max-age=100"}),
        ]
        await self.shield()
        seen = [await self.get("/a") for _ in range(3)]
        self.assertEqual(["MISS", "EXPIRED", "HIT"], [got.cache for got in seen])
        self.assertEqual([b"one", b"two", b"two"], [got.body for got in seen])

    async def test_stale_stands_in_for_a_broken_origin(self) -> None:
        """5xx and a cut connection: the stale body answers, and the entry stays."""
        self.origin.answers["/a"] = [
            answer(body=b"one", headers={"ETag": '"1"', "Cache-Control": "max-age=0"}),
            answer(503, b"down"),
            raw(b"HTTP/1.1 2", close=True),
            answer(304, b"", {"Cache-Control": "max-age=100"}),
        ]
        await self.shield()
        seen = [await self.get("/a") for _ in range(4)]
        self.assertEqual(["MISS", "STALE", "STALE", "REVALIDATED"], [g.cache for g in seen])
        self.assertEqual([b"one"] * 4, [got.body for got in seen])

    async def test_must_revalidate_is_never_served_stale(self) -> None:
        """RFC 9111 5.2.2.2: with must-revalidate, a broken origin is an error."""
        headers = {"ETag": '"1"', "Cache-Control": "max-age=0, must-revalidate"}
        self.origin.answers["/a"] = [answer(body=b"one", headers=headers), raw(abort=True)]
        await self.shield()
        await self.get("/a")
        self.assertEqual(504, (await self.get("/a")).status)

    async def test_stale_while_revalidate(self) -> None:
        """One request starts the refresh (STALE), the next sees it under way (UPDATING)."""
        swr = {"ETag": '"1"', "Cache-Control": "max-age=0, stale-while-revalidate=60"}
        release = []
        self.origin.answers["/a"] = [
            answer(body=b"one", headers=swr),
            lambda connection, asked: release.append(connection),
        ]
        await self.shield()
        self.assertEqual("MISS", (await self.get("/a")).cache)
        self.assertEqual("STALE", (await self.get("/a")).cache)
        self.assertEqual("UPDATING", (await self.get("/a")).cache)
        await until(lambda: release, "the background refresh")
        answer(body=b"two", headers={"Cache-Control": "max-age=100"})(
            release[0], self.origin.asked[1]
        )
        await until(lambda: not self.serving.flights(), "the refresh to land")
        last = await self.get("/a")
        self.assertEqual(("HIT", b"two"), (last.cache, last.body))
        self.assertEqual(2, len(self.origin.asked))

    async def test_errors_are_cached_by_the_ttl_table(self) -> None:
        """proxy_cache_valid decides for a 404 too, and a cached error is a HIT."""
        await self.shield("proxy_cache_valid = 404 1m")
        seen = [await self.get("/none"), await self.get("/none")]
        self.assertEqual([404, 404], [got.status for got in seen])
        self.assertEqual(["MISS", "HIT"], [got.cache for got in seen])

    async def test_no_store_is_not_stored(self) -> None:
        """no-store is passed through each time, and the log says why."""
        self.origin.answers["/a"] = answer(headers={"Cache-Control": "no-store"})
        await self.shield()
        seen = [await self.get("/a"), await self.get("/a")]
        self.assertEqual(["MISS", "MISS"], [got.cache for got in seen])
        self.assertEqual(["no-store"] * 2, [line["cache_reason"] for line in self.logged()])

    async def test_cache_off(self) -> None:
        """proxy_cache = off signs and streams only: no status, conditions go to the origin."""
        self.origin.answers["/a"] = answer(304, b"", {"ETag": '"1"'})
        await self.shield("proxy_cache = off")
        got = await self.get("/a", if_none_match='"1"')
        self.assertEqual((304, None), (got.status, got.cache))
        self.assertEqual('"1"', self.origin.asked[0].headers["if-none-match"])

    async def test_variants(self) -> None:
        """Vary: each selecting header value has its own entry (RFC 9111 4.1)."""

        def by_language(connection, asked) -> None:
            language = asked.headers.get("accept-language", "none")
            fields = {"Vary": "Accept-Language", "Cache-Control": "max-age=100"}
            answer(body=language.encode(), headers=fields)(connection, asked)

        self.origin.answers["/a"] = by_language
        await self.shield()
        seen = [
            await self.get("/a", accept_language=language) for language in ("de", "fr", "de", "fr")
        ]
        self.assertEqual([b"de", b"fr", b"de", b"fr"], [got.body for got in seen])
        self.assertEqual(["MISS", "MISS", "HIT", "HIT"], [got.cache for got in seen])
