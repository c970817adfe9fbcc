"""HEAD: what its answer does to a stored GET (RFC 9111 4.3.5), and what it leaves itself."""

from __future__ import annotations

from .harness import Scenario, answer

STALE = {"ETag": '"1"', "Cache-Control": "max-age=0", "X-Kept": "yes"}
FRESH = {"ETag": '"1"', "Cache-Control": "max-age=100"}


class HeadTests(Scenario):
    async def test_a_head_updates_the_stored_get(self) -> None:
        """The 200 to a HEAD makes the stored GET fresh, with its fields; the rest stays."""
        self.origin.answers["/a"] = [
            answer(body=b"one", headers=STALE),
            answer(body=b"one", headers={**FRESH, "X-New": "1"}),
        ]
        await self.shield()
        await self.get("/a")
        head = await self.get("/a", "HEAD")
        self.assertEqual(("REVALIDATED", "yes"), (head.cache, head.headers["x-kept"]))
        got = await self.get("/a")
        self.assertEqual(("HIT", b"one"), (got.cache, got.body))
        self.assertEqual(("yes", "1"), (got.headers["x-kept"], got.headers["x-new"]))
        self.assertEqual(["GET", "HEAD"], [asked.method for asked in self.origin.asked])

    async def test_a_head_that_contradicts_makes_it_stale(self) -> None:
        """Another tag or length: the stored GET is not used without asking any more."""
        for name, changed in (
            ("tag", answer(body=b"one", headers={"ETag": '"2"'})),
            ("length", answer(body=b"longer", headers={"ETag": '"1"'})),
        ):
            path = f"/{name}"
            self.origin.answers[path] = [
                answer(body=b"one", headers={**STALE, "Cache-Control": "max-age=0"}),
                changed,
                answer(body=b"two", headers={"ETag": '"2"', "Cache-Control": "max-age=100"}),
            ]
        await self.shield()
        for path in ("/tag", "/length"):
            seen = [await self.get(path), await self.get(path, "HEAD"), await self.get(path)]
            self.assertEqual(["MISS", "EXPIRED", "EXPIRED"], [got.cache for got in seen], path)
            self.assertEqual(b"two", seen[2].body)

    async def test_a_head_is_kept_for_heads(self) -> None:
        """With nothing stored a HEAD is stored for the next HEAD, never for a GET."""
        self.origin.answers["/a"] = answer(body=b"one", headers=FRESH)
        await self.shield()
        heads = [await self.get("/a", "HEAD") for _ in range(2)]
        self.assertEqual(["MISS", "HIT"], [got.cache for got in heads])
        self.assertEqual(["3", "3"], [got.headers["content-length"] for got in heads])
        gets = [await self.get("/a") for _ in range(2)]
        self.assertEqual(
            [("MISS", b"one"), ("HIT", b"one")], [(got.cache, got.body) for got in gets]
        )
        self.assertEqual(["HEAD", "GET"], [asked.method for asked in self.origin.asked])
        self.assertEqual("HIT", (await self.get("/a", "HEAD")).cache)

    async def test_a_stale_head_gives_no_validators_to_a_get(self) -> None:
        """A 304 about a stored HEAD would leave a GET without a body: never asked for."""
        self.origin.answers["/a"] = answer(body=b"one", headers=STALE)
        await self.shield()
        await self.get("/a", "HEAD")
        got = await self.get("/a")
        self.assertEqual(("MISS", b"one"), (got.cache, got.body))
        self.assertNotIn("if-none-match", self.origin.asked[1].headers)

    async def test_a_refresh_that_a_head_starts_serves_gets(self) -> None:
        """A HEAD answered stale starts a GET in the background, which is stored as one."""
        self.origin.answers["/a"] = [
            answer(body=b"one", headers={"Cache-Control": "max-age=0, stale-while-revalidate=60"}),
            answer(body=b"two", headers={"Cache-Control": "max-age=100"}),
        ]
        await self.shield()
        await self.get("/a")
        self.assertEqual("STALE", (await self.get("/a", "HEAD")).cache)
        await self.until_idle()
        got = await self.get("/a")
        self.assertEqual(("HIT", b"two"), (got.cache, got.body))
