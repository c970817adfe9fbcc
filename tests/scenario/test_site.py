"""The manners of a site: index documents, fallbacks, pages of errors, redirects to a slash."""

from __future__ import annotations

from typing import Any

from .harness import BucketScenario, Scenario, answer, raw, until
from .test_http2 import Http2Scenario

VALID = "proxy_cache_valid =\n    200 1h\n    404 1m"


class IndexTests(Scenario):
    """`index`."""

    async def test_answers_a_slash(self) -> None:
        """A path that ends in a slash is answered with its index document; it is cached as such."""
        self.origin.answers["/docs/index.html?a=1"] = answer(200, b"index")
        self.origin.answers["/docs/index.html"] = answer(200, b"index")
        await self.shield(f"index = index.html\n{VALID}")
        first = await self.get("/docs/?a=1")
        second = await self.get("/docs/index.html?a=1")
        self.assertEqual((200, b"index", "MISS"), (first.status, first.body, first.cache))
        self.assertEqual("HIT", second.cache)
        self.assertEqual(["/docs/index.html?a=1"], self.origin.targets())

    async def test_logged_once_as_asked(self) -> None:
        """The access log has one line for each request, with the path that the client named."""
        self.origin.answers["/a/index.htm"] = answer(200, b"index")
        await self.shield(f"index = index.html index.htm\n{VALID}")
        await self.get("/a/")
        lines = [(each["request_uri"], each["status"]) for each in self.logged()]
        self.assertEqual([("/a/", 200)], lines)

    async def test_several_names(self) -> None:
        """Names are tried in order; what the last one is answered is the answer."""
        self.origin.answers["/a/index.htm"] = answer(200, b"second")
        await self.shield(f"index = index.html index.htm /none.html\n{VALID}")
        self.assertEqual(b"second", (await self.get("/a/")).body)
        self.assertEqual(404, (await self.get("/b/")).status)
        await self.get("/b/")
        asked = ["/a/index.html", "/a/index.htm", "/b/index.html", "/b/index.htm", "/none.html"]
        self.assertEqual(asked, self.origin.targets())

    async def test_conditions_and_ranges_are_about_the_index(self) -> None:
        """HEAD, If-None-Match and Range of the request are answered about the index document."""
        page = answer(200, b"0123456789", {"ETag": '"x"', "Accept-Ranges": "bytes"})
        self.origin.answers["/index.htm"] = page
        await self.shield(f"index = index.html index.htm\n{VALID}")
        await self.get("/")
        part = await self.get("/", range="bytes=2-4")
        self.assertEqual((206, b"234"), (part.status, part.body))
        self.assertEqual(304, (await self.get("/", if_none_match='"x"')).status)
        head = await self.get("/", "HEAD")
        self.assertEqual((200, "10"), (head.status, head.headers["content-length"]))
        self.assertEqual(["/index.html", "/index.htm"], self.origin.targets())

    async def test_other_methods(self) -> None:
        """Only GET and HEAD are led to an index document."""
        self.origin.answers["/docs/"] = answer(200, b"posted")
        await self.shield("index = index.html")
        self.assertEqual(b"posted", (await self.get("/docs/", "POST", content_length="0")).body)

    async def test_rules_of_the_index_hold(self) -> None:
        """Where the index document lies in a location that refuses, so does the slash."""
        self.origin.answers["/docs/index.html"] = answer(200, b"secret")
        more = f"""
[location:~ /index\\.html$]
origin = http://127.0.0.1:{self.origin.number}
deny = all
"""
        await self.shield("index = index.html", more=more)
        self.assertEqual(403, (await self.get("/docs/")).status)
        self.assertEqual([], self.origin.targets())

    async def test_circle(self) -> None:
        """Index documents that lead back are followed ten times at most."""
        more = f"""
[location:~ html$]
origin = http://127.0.0.1:{self.origin.number}
error_page = 404 = /b/
index = a.html
[location:/b/]
origin = http://127.0.0.1:{self.origin.number}
index = a.html
"""
        await self.shield("index = a.html", more=more)
        self.assertEqual(404, (await self.get("/b/")).status)
        self.assertLess(len(self.origin.targets()), 12)


class SlashTests(Scenario):
    """`slash_redirect`."""

    async def test_redirect(self) -> None:
        """What is missing, but has an index document below it, is led to the slash."""
        self.origin.answers["/docs/index.html"] = answer(200, b"index")
        await self.shield(f"index = index.html\nslash_redirect = on\n{VALID}")
        got = await self.get("/docs?a=1&b=%2F")
        self.assertEqual((301, "/docs/?a=1&b=%2F"), (got.status, got.headers["location"]))

    async def test_missing(self) -> None:
        """What has no index document either is answered as it was, and both are remembered."""
        self.origin.answers["/none"] = answer(404, b"the origin's words", {"X-A": "1"})
        await self.shield(f"index = index.html\nslash_redirect = on\n{VALID}")
        for _ in range(2):
            got = await self.get("/none")
            self.assertEqual((404, b"the origin's words"), (got.status, got.body))
        self.assertEqual("HIT", got.cache)
        self.assertEqual(2, len(self.origin.targets()))
        self.assertEqual([404, 404], [each["status"] for each in self.logged()])

    async def test_there(self) -> None:
        """What is there costs no further request."""
        self.origin.answers["/docs"] = answer(200, b"object")
        await self.shield("index = index.html\nslash_redirect = on")
        self.assertEqual(b"object", (await self.get("/docs")).body)
        self.assertEqual(["/docs"], self.origin.targets())

    async def test_never_to_another_host(self) -> None:
        """No path makes a Location that a browser takes for another host's."""
        self.origin.reply = lambda asked: answer(  # type: ignore[method-assign]
            200 if asked.target.endswith("index.html") else 404
        )
        await self.shield("index = index.html\nslash_redirect = on")
        for target in (
            "//evil.test",
            "/%2Fevil.test",
            "/%2fevil.test/x",
            "///evil.test",
            "/\\evil.test",
            "/%5Cevil.test",
            "/%5c%5cevil.test",
            "/x%0d%0aX:1",
            "http://evil.test/x",
        ):
            got = await self.get(target)
            location = got.headers.get("location", "/x")
            self.assertRegex(location, r"^/[^/\\]", target)
            self.assertNotIn("\\", location)
            self.assertNotIn("x", dict(got.lines))


class TryFilesTests(Scenario):
    """`try_files`."""

    async def test_spa(self) -> None:
        """What is not there is answered with the application; its absence is cached."""
        self.origin.answers["/app.js"] = answer(200, b"script")
        self.origin.answers["/index.html"] = answer(200, b"app", {"ETag": '"v"'})
        await self.shield(f"index = index.html\ntry_files = $uri $uri/ /index.html\n{VALID}")
        self.assertEqual(b"script", (await self.get("/app.js")).body)
        first = await self.get("/users/7?tab=1")
        self.assertEqual((200, b"app"), (first.status, first.body))
        asked = len(self.origin.targets())
        again = await self.get("/users/7?tab=1")
        self.assertEqual((b"app", "HIT"), (again.body, again.cache))
        head = await self.get("/users/7?tab=1", "HEAD")
        self.assertEqual((200, "3"), (head.status, head.headers["content-length"]))
        self.assertEqual(304, (await self.get("/users/7?tab=1", if_none_match='"v"')).status)
        part = await self.get("/users/7?tab=1", range="bytes=1-")
        self.assertEqual((206, b"pp"), (part.status, part.body))
        self.assertEqual(asked, len(self.origin.targets()))
        self.assertEqual(7 - 1, len(self.logged()))

    async def test_code(self) -> None:
        """`=404` ends it, and so does any other code."""
        self.origin.answers["/a.html"] = answer(200, b"page")
        await self.shield("try_files = $uri $uri.html =410")
        self.assertEqual(b"page", (await self.get("/a")).body)
        self.assertEqual(410, (await self.get("/b")).status)
        self.assertEqual(["/a", "/a.html", "/b", "/b.html"], self.origin.targets())

    async def test_directory(self) -> None:
        """`$uri/` leads to the slash, and the slash is answered with its index document."""
        self.origin.answers["/docs/index.html"] = answer(200, b"index")
        self.origin.answers["/app.html"] = answer(200, b"app")
        await self.shield(f"index = index.html\ntry_files = $uri $uri/ /app.html\n{VALID}")
        got = await self.get("/docs")
        self.assertEqual((301, "/docs/"), (got.status, got.headers["location"]))
        self.assertEqual(b"index", (await self.get("/docs/")).body)
        self.assertEqual(b"app", (await self.get("/other/")).body)
        self.assertEqual(b"app", (await self.get("//docs")).body)

    async def test_missing_fallback(self) -> None:
        """A fallback that is missing itself is 404, and is asked for once."""
        await self.shield("try_files = $uri /index.html")
        self.assertEqual(404, (await self.get("/x")).status)
        self.assertEqual(["/x", "/index.html"], self.origin.targets())

    async def test_failures_are_not_absence(self) -> None:
        """An origin that fails is no reason to give something else."""
        self.origin.answers["/x"] = answer(500, b"trouble")
        self.origin.answers["/index.html"] = answer(200, b"app")
        await self.shield("try_files = $uri /index.html")
        self.assertEqual(500, (await self.get("/x")).status)

    async def test_parameters(self) -> None:
        """The last one has the parameters that it says, the others those of the request."""
        self.origin.answers["/app?x=1&a%20b"] = answer(200, b"app")
        await self.shield("try_files = $uri /s$uri /app?x=1&$args")
        self.assertEqual(b"app", (await self.get("/a%20b?a%20b")).body)
        self.assertEqual(
            ["/a%20b?a%20b", "/s/a%20b?a%20b", "/app?x=1&a%20b"], self.origin.targets()
        )


class ErrorPageTests(Scenario):
    """`error_page`."""

    PAGES = (
        "error_page = 404 /404.html\nerror_page = 403 =200 /home.html\n"
        f"error_page = 500 502 503 504 /50x.html\n{VALID}"
    )

    def pages(self, **more: Any) -> None:
        """Let the origin have the pages."""
        fields = {"ETag": '"p"', "Last-Modified": "Tue, 24 Nov 2026 00:00:00 GMT"}
        self.origin.answers["/404.html"] = answer(200, b"not here", fields)
        self.origin.answers["/home.html"] = answer(200, b"home", fields)
        self.origin.answers["/50x.html"] = answer(200, b"sorry", fields)

    async def test_page(self) -> None:
        """The page has the status of the error, no validators, and comes from the cache."""
        self.pages()
        await self.shield(self.PAGES)
        for cache in ("MISS", "HIT"):
            got = await self.get("/none")
            self.assertEqual((404, b"not here", cache), (got.status, got.body, got.cache))
            self.assertNotIn("etag", got.headers)
            self.assertNotIn("last-modified", got.headers)
        self.assertEqual(["/none", "/404.html"], self.origin.targets())
        lines = [
            (each["request_uri"], each["status"], each["body_bytes_sent"]) for each in self.logged()
        ]
        self.assertEqual([("/none", 404, 8)] * 2, lines)

    async def test_head(self) -> None:
        """HEAD is told of the page what GET is."""
        self.pages()
        await self.shield(self.PAGES)
        got = await self.get("/none", "HEAD")
        self.assertEqual((404, "8"), (got.status, got.headers["content-length"]))

    async def test_other_status(self) -> None:
        """`=200` gives another status; the page's validators go with it."""
        self.pages()
        self.origin.answers["/x"] = answer(403, b"no")
        await self.shield(self.PAGES)
        got = await self.get("/x")
        self.assertEqual((200, b"home", '"p"'), (got.status, got.body, got.headers["etag"]))

    async def test_own_status(self) -> None:
        """`=` alone gives the status of what is asked for instead, whatever that is."""
        self.origin.answers["/elsewhere"] = answer(302, b"", {"Location": "/y"})
        await self.shield("error_page = 404 = /elsewhere")
        got = await self.get("/none")
        self.assertEqual((302, "/y"), (got.status, got.headers["location"]))

    async def test_conditions_are_dropped(self) -> None:
        """Conditions and ranges are about what was asked for, never about the page."""
        self.pages()
        await self.shield(self.PAGES)
        for fields in (
            {"if_none_match": '"p"'},
            {"if_modified_since": "Tue, 24 Nov 2026 00:00:00 GMT"},
            {"range": "bytes=0-1"},
            {"range": "bytes=99-"},
            {"if_match": '"other"'},
        ):
            got = await self.get("/none", **fields)
            self.assertEqual((404, b"not here"), (got.status, got.body), str(fields))

    async def test_origin_down(self) -> None:
        """An origin that fails is answered with a page that is stored."""
        self.pages()
        self.origin.answers["/x"] = [answer(503, b"busy", {"Retry-After": "7"})]
        await self.shield(self.PAGES)
        await self.get("/50x.html")
        got = await self.get("/x")
        self.assertEqual((503, b"sorry", "7"), (got.status, got.body, got.headers["retry-after"]))
        await self.origin.stop()
        got = await self.get("/y")
        self.assertEqual((502, b"sorry", "HIT"), (got.status, got.body, got.cache))

    async def test_no_page(self) -> None:
        """Where the page is missing too the error is told as it was; nothing goes in a circle."""
        self.origin.answers["/x"] = answer(503, b"busy", {"X-Own": "1"})
        await self.shield(self.PAGES)
        got = await self.get("/x")
        self.assertEqual((503, b"busy", "1"), (got.status, got.body, got.headers["x-own"]))
        self.assertEqual(404, (await self.get("/none")).status)
        self.assertEqual(["/x", "/50x.html", "/none", "/404.html"], self.origin.targets())
        self.assertEqual([503, 404], [each["status"] for each in self.logged()])

    async def test_page_without_a_body(self) -> None:
        """What is no 200 is no page: a 204 shown as 404 would have no end."""
        self.origin.answers["/404.html"] = answer(204)
        await self.shield(self.PAGES)
        got = await self.get("/none")
        self.assertEqual((404, b"no such thing", True), (got.status, got.body, got.whole))

    async def test_long_errors(self) -> None:
        """A long body of an error is not waited for, and not mixed with the page."""
        self.pages()
        self.origin.answers["/none"] = answer(404, b"x" * 300_000)
        await self.shield(self.PAGES)
        got = await self.get("/none")
        self.assertEqual((404, b"not here"), (got.status, got.body))
        self.assertEqual(1, len(self.logged()))

    async def test_long_page(self) -> None:
        """A long page comes whole."""
        self.origin.answers["/404.html"] = answer(200, b"x" * 300_000)
        await self.shield(self.PAGES)
        for _ in range(2):
            got = await self.get("/none")
            self.assertEqual((404, 300_000, True), (got.status, len(got.body), got.whole))
        self.assertEqual([404, 404], [each["status"] for each in self.logged()])

    async def test_with_index(self) -> None:
        """The page of a missing index document is asked for once."""
        self.pages()
        await self.shield(f"index = a.html b.html\n{self.PAGES}")
        self.assertEqual(b"not here", (await self.get("/d/")).body)
        self.assertEqual(["/d/a.html", "/d/b.html", "/404.html"], self.origin.targets())

    async def test_refusals_of_ours(self) -> None:
        """A refusal of ours has its page, and keeps the fields that belong to it."""
        self.pages()
        more = f"""
[location:/private/]
origin = http://127.0.0.1:{self.origin.number}
deny = all
error_page = 403 /403.html
"""
        self.origin.answers["/403.html"] = answer(200, b"go away")
        await self.shield(self.PAGES, more=more)
        got = await self.get("/private/x")
        self.assertEqual((403, b"go away"), (got.status, got.body))
        self.assertEqual(["/403.html"], self.origin.targets())

    async def test_a_page_behind_the_same_rule(self) -> None:
        """A page that lies behind the rule that refused is refused as well: no circle."""
        await self.shield("deny = all\nerror_page = 403 /403.html")
        self.assertEqual(403, (await self.get("/x")).status)
        self.assertEqual([], self.origin.targets())


class LeavingTests(Scenario):
    """Clients that leave while something is asked for in their place."""

    async def test_left(self) -> None:
        """One line of the log, 499, and nothing more is asked for."""
        self.origin.answers["/x"] = raw()  # it does not answer
        await self.shield("try_files = $uri /app.html\nerror_page = 404 /404.html")
        client = await self.connect()
        client.send(b"GET /x HTTP/1.1\r\nHost: shield.test\r\n\r\n")
        await until(self.origin.targets, "the origin to be asked")
        client.transport.abortConnection()
        await until(self.logged, "the client's leaving to be told")
        self.assertEqual([("/x", 499)], [(x["request_uri"], x["status"]) for x in self.logged()])
        self.assertEqual(["/x"], self.origin.targets())

    async def test_left_a_page(self) -> None:
        """The same while the page of an error is asked for."""
        self.origin.answers["/404.html"] = raw()
        await self.shield("error_page = 404 /404.html")
        client = await self.connect()
        client.send(b"GET /x HTTP/1.1\r\nHost: shield.test\r\n\r\n")
        await until(lambda: len(self.origin.targets()) == 2, "the page to be asked for")
        client.transport.abortConnection()
        await until(self.logged, "the client's leaving to be told")
        self.assertEqual([("/x", 499)], [(x["request_uri"], x["status"]) for x in self.logged()])


class ClosedTests(Scenario):
    """What is closed stays closed, however a site is asked for it."""

    async def test_attempts(self) -> None:
        """No index, fallback, page or redirect gives what another location refuses."""
        self.origin.reply = lambda asked: (  # type: ignore[method-assign]
            answer(200, b"secret") if asked.target.startswith("/private") else answer(404, b"none")
        )
        more = f"""
[location:^~ /private/]
origin = http://127.0.0.1:{self.origin.number}
deny = all
"""
        await self.shield(
            "index = index.html /private/i.html\nslash_redirect = on\n"
            "error_page = 404 /private/404.html\nerror_page = 403 =200 /private/403.html\n"
            f"try_files = $uri $uri/ /private$uri /private/app.html\n{VALID}",
            more=more,
        )
        for target in (
            "/x",
            "/x/",
            "/",
            "/private/",
            "/private/x",
            "/%70rivate/x",
            "/private%2Fx",
            "/x?/private/x",
            "http://other.test/private/x",
        ):
            for method, fields in (
                ("GET", {}),
                ("HEAD", {}),
                ("GET", {"range": "bytes=0-1"}),
                ("GET", {"if_none_match": '"x"'}),
            ):
                got = await self.get(target, method, **fields)
                self.assertIn(got.status, (403, 404), target)
                self.assertNotIn(b"secret", got.body, target)
        asked = self.origin.targets()
        self.assertEqual([], [each for each in asked if each.startswith("/private")])


class Http2Tests(Http2Scenario):
    """All of it over HTTP/2 as over HTTP/1.1."""

    async def test_as_http1(self) -> None:
        """Index, fallback, page, redirect: the same answers, from the origin and the cache."""
        self.origin.answers["/docs/index.html"] = answer(200, b"x" * 300_000, {"ETag": '"i"'})
        self.origin.answers["/app/index.html"] = answer(200, b"app")
        self.origin.answers["/404.html"] = answer(200, b"page")
        await self.shield(
            "index = index.htm index.html\nslash_redirect = on\nerror_page = 404 /404.html\n"
            f"security_headers = basic\n{VALID}",
            more=f"[location:/app/]\norigin = http://127.0.0.1:{self.origin.number}\n"
            "proxy_cache = main\ntry_files = $uri /app/index.html\n",
        )
        client = await self.client()
        for target, status, size in (
            ("/docs/", 200, 300_000),
            ("/docs", 301, None),
            ("/none", 404, 4),
            ("/app/route", 200, 3),
        ):
            for _ in range(2):
                two = await client.get(target)
                one = await self.get(target)
                self.assertEqual((status, status), (one.status, two.status), target)
                self.assertTrue(one.whole and two.whole, target)
                self.assertEqual(one.body, bytes(two.body), target)
                if size is not None:
                    self.assertEqual(size, len(two.body), target)
                self.assertEqual(one.headers.get("location"), two.headers.get("location"))
            hsts = "strict-transport-security"
            own = not target.startswith("/app/")
            self.assertEqual((own, own), (hsts in one.headers, hsts in two.headers), target)
        part = await client.get("/docs/", range="bytes=5-9")
        self.assertEqual((206, b"xxxxx"), (part.status, bytes(part.body)))
        self.assertEqual(304, (await client.get("/docs/", if_none_match='"i"')).status)
        head = await client.get("/none", "HEAD")
        self.assertEqual((404, "4"), (head.status, head.headers["content-length"]))
        shown = {(x["request_uri"], x["status"]) for x in self.logged()}
        self.assertIn(("/docs/", 206), shown)
        self.assertFalse([uri for uri, _ in shown if uri.endswith(".html")])


class BucketTests(BucketScenario):
    """What S3 says of keys that are not there."""

    async def test_forbidden_is_missing(self) -> None:
        """Without ListBucket S3 says 403 for a missing key: missing where missing_403 says so."""
        denied = answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        self.origin.reply = lambda asked: (  # type: ignore[method-assign]
            answer(200, b"app") if asked.target == "/private/index.html" else denied
        )
        await self.shield(f"missing_403 = 404\ntry_files = $uri $uri/ /index.html\n{VALID}")
        self.assertEqual(b"app", (await self.get("/x")).body)

    async def test_forbidden_is_forbidden(self) -> None:
        """Left alone, a 403 is no absence."""
        denied = answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        self.origin.answers["/private/x"] = denied
        await self.shield("try_files = $uri /index.html")
        self.assertEqual(403, (await self.get("/x")).status)
