"""Fields that the operator adds and hides: on hits and misses, errors and refusals."""

from __future__ import annotations

from .harness import BucketScenario, Scenario, answer

ADD = (
    "add_header = X-Found yes\nadd_header = X-All yes always\nproxy_hide_header = x-hidden server\n"
    "proxy_cache_valid =\n    200 301 1h\n    404 1m"
)


class AddHeaderTests(Scenario):
    """`add_header`, `always`, `proxy_hide_header`."""

    async def test_hits_and_misses(self) -> None:
        """What is found has both, fetched or stored, whole, in part, by HEAD; hidden is hidden."""
        fields = {"X-Hidden": "1", "Server": "secret", "ETag": '"a"'}
        self.origin.answers["/a"] = answer(200, b"0123456789", fields)
        self.origin.answers["/long"] = answer(200, b"x" * 300_000, fields)
        self.origin.answers["/moved"] = answer(301, b"", {"Location": "/a", "Server": "secret"})
        await self.shield(ADD)
        for got in (
            await self.get("/a"),
            await self.get("/a"),
            await self.get("/a", range="bytes=1-2"),
            await self.get("/a", "HEAD"),
            await self.get("/long"),
            await self.get("/long"),
            await self.get("/moved"),
            await self.get("/moved"),
        ):
            self.assertEqual(("yes", "yes"), (got.headers["x-found"], got.headers["x-all"]))
            self.assertEqual(1, [name for name, _ in got.lines].count("x-all"))
            self.assertNotIn("x-hidden", got.headers)
            self.assertNotIn("server", got.headers)

    async def test_errors(self) -> None:
        """Errors, of the origin or ours, stored or not, have only what is added always."""
        self.origin.answers["/none"] = answer(404, b"none", {"X-Hidden": "1"})
        self.origin.answers["/fails"] = answer(500, b"none", {"X-Hidden": "1"})
        self.origin.answers["/a"] = answer(200, b"0123456789")
        await self.shield(f"{ADD}\nmethods = GET HEAD")
        await self.get("/a")
        for status, got in (
            (404, await self.get("/none")),
            (404, await self.get("/none")),
            (404, await self.get("/none", "HEAD")),
            (500, await self.get("/fails")),
            (416, await self.get("/a", range="bytes=99-")),
            (405, await self.get("/a", "DELETE")),
        ):
            self.assertEqual((status, "yes"), (got.status, got.headers["x-all"]))
            self.assertNotIn("x-found", got.headers)
            self.assertNotIn("x-hidden", got.headers)

    async def test_origin_down(self) -> None:
        """So has the answer when nobody is there."""
        await self.shield(f"{ADD}\nallow = 127.0.0.1\ndeny = all")
        await self.origin.stop()
        got = await self.get("/a")
        self.assertEqual((502, "yes"), (got.status, got.headers["x-all"]))

    async def test_refused(self) -> None:
        """So have refusals, and redirects to a slash."""
        self.origin.answers["/docs/index.html"] = answer(200, b"index")
        more = f"[location:/private/]\norigin = http://127.0.0.1:{self.origin.number}\n"
        await self.shield(
            f"{ADD}\nindex = index.html\nslash_redirect = on",
            more=f"{more}deny = all\nadd_header = X-All yes always\nadd_header = X-Found yes",
        )
        got = await self.get("/private/x")
        self.assertEqual((403, "yes"), (got.status, got.headers["x-all"]))
        self.assertNotIn("x-found", got.headers)
        got = await self.get("/docs")
        self.assertEqual((301, "yes"), (got.status, got.headers["x-found"]))


class BucketTests(BucketScenario):
    """A bucket's errors are told in our words, and have the fields all the same."""

    async def test_error(self) -> None:
        """404 of a bucket, stored and not, and its 403."""
        missing = answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        self.origin.reply = lambda asked: missing  # type: ignore[method-assign]
        await self.shield(ADD)
        for cache in ("MISS", "HIT"):
            got = await self.get("/x")
            self.assertEqual((404, cache, "yes"), (got.status, got.cache, got.headers["x-all"]))


class SecurityTests(Scenario):
    """`security_headers`."""

    async def test_everywhere(self) -> None:
        """Each answer has each field once; the origin's own goes before; HSTS needs TLS."""
        own = {"Content-Security-Policy": "default-src *", "ETag": '"a"'}
        self.origin.answers["/own"] = answer(200, b"own", own)
        self.origin.answers["/long"] = answer(200, b"x" * 300_000)
        self.origin.answers["/404.html"] = answer(200, b"page")
        await self.shield(f"{ADD}\nsecurity_headers = strict\nerror_page = 404 /404.html")
        for _ in range(2):
            got = await self.get("/own")
            self.assertEqual("default-src *", got.headers["content-security-policy"])
            self.assertEqual("nosniff", got.headers["x-content-type-options"])
        for got in (
            await self.get("/long"),
            await self.get("/long"),
            await self.get("/none"),
            await self.get("/own", "HEAD"),
        ):
            names = [name for name, _ in got.lines]
            for name in ("x-content-type-options", "x-frame-options", "permissions-policy"):
                self.assertEqual(1, names.count(name), name)
            self.assertNotIn("strict-transport-security", names)
        same = await self.get("/own", if_none_match='"a"')
        self.assertEqual(304, same.status)
        self.assertNotIn("content-security-policy", same.headers)
