"""nginx's conditions, keys, uses and locks, at the real thing."""

from __future__ import annotations

from .harness import Scenario, answer, sleep, until

FRESH = {"Cache-Control": "max-age=100"}


class ConditionTests(Scenario):
    def numbered(self, path: str = "/a") -> None:
        """Let the origin answer with 1, 2, 3..."""

        def write(connection, asked) -> None:
            answer(body=b"%d" % len(self.origin.asked), headers=FRESH)(connection, asked)

        self.origin.answers[path] = write

    async def test_bypass(self) -> None:
        """proxy_cache_bypass: not answered from the cache, yet stored; 0 and nothing are false."""
        self.numbered()
        await self.shield("proxy_cache_bypass = $http_x_fresh $cookie_fresh")
        seen = [
            await self.get("/a"),
            await self.get("/a", x_fresh="0"),
            await self.get("/a", x_fresh=""),
            await self.get("/a", x_fresh="1"),
            await self.get("/a"),
            await self.get("/a", cookie="a=b; fresh=yes"),
        ]
        self.assertEqual(
            ["MISS", "HIT", "HIT", "BYPASS", "HIT", "BYPASS"], [got.cache for got in seen]
        )
        self.assertEqual([b"1", b"1", b"1", b"2", b"2", b"3"], [got.body for got in seen])

    async def test_bypass_of_a_head(self) -> None:
        """A HEAD that bypasses is a HEAD at the origin."""
        self.numbered()
        self.origin.answers["/a?fresh=1"] = self.origin.answers["/a"]
        await self.shield("proxy_cache_bypass = $arg_fresh")
        await self.get("/a?fresh=1")
        self.assertEqual("BYPASS", (await self.get("/a?fresh=1", "HEAD")).cache)
        self.assertEqual("HEAD", self.origin.asked[-1].method)

    async def test_no_cache(self) -> None:
        """proxy_no_cache: the answer is not stored, and what is stored stays."""
        self.numbered()
        await self.shield("proxy_no_cache = $http_x_private\nproxy_cache_bypass = $http_x_private")
        seen = [
            await self.get("/a", x_private="1"),
            await self.get("/a"),
            await self.get("/a", x_private="1"),
            await self.get("/a"),
        ]
        self.assertEqual(["BYPASS", "MISS", "BYPASS", "HIT"], [got.cache for got in seen])
        self.assertEqual([b"1", b"2", b"3", b"2"], [got.body for got in seen])
        self.assertEqual("no-cache-condition", self.logged()[0]["cache_reason"])

    async def test_no_cache_alone(self) -> None:
        """A miss with proxy_no_cache alone is a miss; a hit is still a hit."""
        self.numbered()
        await self.shield("proxy_no_cache = $http_x_private")
        seen = [
            await self.get("/a", x_private="1"),
            await self.get("/a"),
            await self.get("/a", x_private="1"),
        ]
        self.assertEqual(["MISS", "MISS", "HIT"], [got.cache for got in seen])

    async def test_key(self) -> None:
        """proxy_cache_key decides what is the same: here a header, and not the query."""
        self.numbered()
        self.origin.answers["/a?x=1"] = self.origin.answers["/a"]
        await self.shield("proxy_cache_key = $uri|$http_x_tenant")
        seen = [
            await self.get("/a", x_tenant="one"),
            await self.get("/a", x_tenant="two"),
            await self.get("/a?x=1", x_tenant="one"),
            await self.get("/a", x_tenant="two"),
        ]
        self.assertEqual(["MISS", "MISS", "HIT", "HIT"], [got.cache for got in seen])
        self.assertEqual([b"1", b"2", b"1", b"2"], [got.body for got in seen])

    async def test_min_uses(self) -> None:
        """proxy_cache_min_uses: stored from the third request on."""
        self.numbered()
        await self.shield("proxy_cache_min_uses = 3")
        seen = [await self.get("/a") for _ in range(4)]
        self.assertEqual(["MISS", "MISS", "MISS", "HIT"], [got.cache for got in seen])
        self.assertEqual(["min-uses"] * 2, [line["cache_reason"] for line in self.logged()[:2]])

    async def test_lock_off(self) -> None:
        """proxy_cache_lock = off: each asks the origin."""

        async def slowly(connection, asked) -> None:
            await until(lambda: len(self.origin.asked) == 4, "all of them")
            answer(headers=FRESH)(connection, asked)

        self.origin.answers["/a"] = slowly
        await self.shield("proxy_cache_lock = off")
        seen = await self.together(*[self.get("/a") for _ in range(4)])
        self.assertEqual(["MISS"] * 4, [got.cache for got in seen])
        self.assertEqual(4, len(self.origin.asked))
        self.assertEqual("HIT", (await self.get("/a")).cache)

    async def test_lock_timeout(self) -> None:
        """Who waits too long asks the origin; the answer is not stored, the fetch goes on."""
        held = []
        self.origin.answers["/a"] = [
            lambda connection, asked: held.append((connection, asked)),
            answer(body=b"impatient", headers=FRESH),
        ]
        await self.shield("proxy_cache_lock_timeout = 50ms")
        first = await self.connect()
        first.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: held, "the fetch to begin")
        second = await self.get("/a")
        self.assertEqual(("MISS", b"impatient"), (second.cache, second.body))
        answer(body=b"patient", headers=FRESH)(*held[0])
        self.assertEqual(b"patient", (await first.take()).body)
        got = await self.get("/a")
        self.assertEqual(("HIT", b"patient"), (got.cache, got.body))
        self.assertEqual("lock-timeout", self.logged()[0]["cache_reason"])

    async def test_lock_timeout_not_reached(self) -> None:
        """A wait that ends in time leaves nothing behind."""

        async def slowly(connection, asked) -> None:
            await sleep(0.05)
            answer(headers=FRESH)(connection, asked)

        self.origin.answers["/a"] = slowly
        await self.shield("proxy_cache_lock_timeout = 60s")
        seen = await self.together(*[self.get("/a") for _ in range(3)])
        self.assertEqual(["HIT", "HIT", "MISS"], sorted(got.cache for got in seen))
        self.assertEqual(1, len(self.origin.asked))

    async def test_lock_age(self) -> None:
        """A fetch that takes too long gets company, and newcomers join the new one."""
        held = []
        self.origin.answers["/a"] = [
            lambda connection, asked: held.append((connection, asked)),
            answer(body=b"second", headers=FRESH),
        ]
        await self.shield("proxy_cache_lock_age = 1ms")
        first = await self.connect()
        first.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: held, "the fetch to begin")
        await sleep(0.01)
        self.assertEqual(b"second", (await self.get("/a")).body)
        self.assertEqual("HIT", (await self.get("/a")).cache)
        answer(body=b"first", headers=FRESH)(*held[0])
        self.assertEqual(b"first", (await first.take()).body)
