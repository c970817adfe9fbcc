"""`cors_*` over sockets: whatever a location answers, a browser may read it, or may not."""

from __future__ import annotations

import os
from typing import Final

from .attack import FOR_LONG
from .harness import Got, Scenario, answer

LARGE: Final = os.urandom(300_000)
OURS: Final = "https://a.example"
THEIRS: Final = {
    "Access-Control-Allow-Origin": "*",
    "access-control-allow-credentials": "true",
    "ACCESS-CONTROL-EXPOSE-HEADERS": "X-Secret",
}


class CorsTests(Scenario):
    """See the module's text."""

    def allowed(self, got: Got) -> tuple[str | None, str | None]:
        """What a browser looks at."""
        headers = got.headers
        return headers.get("access-control-allow-origin"), headers.get("vary")

    async def test_every_kind_of_answer(self) -> None:
        """Misses, hits, 304, ranges, 416, HEAD, errors and refusals; the origin's are replaced."""
        fields = {"ETag": '"e"', **THEIRS, **FOR_LONG}
        self.origin.answers["/s"] = answer(headers=fields)
        self.origin.answers["/l"] = answer(body=LARGE, headers=fields)
        self.origin.answers["/v"] = answer(headers={"Vary": "Origin, Accept", **FOR_LONG})
        await self.shield(
            f"cors_origin = {OURS} https://*.b.example\ncors_expose_headers = ETag\n"
            "limit_req = $arg_limited rate=1r/m\nmethods = GET HEAD"
        )
        for target in ("/s", "/l"):
            for method, extra, status in (
                ("GET", {}, 200),
                ("GET", {}, 200),
                ("GET", {"if_none_match": '"e"'}, 304),
                ("GET", {"range": "bytes=1-2"}, 206),
                ("GET", {"range": "bytes=1-2,4-4"}, 206),
                ("GET", {"range": "bytes=999999-"}, 416),
                ("HEAD", {}, 200),
                ("POST", {}, 405),
                ("OPTIONS", {}, 405),
            ):
                got = await self.get(target, method, origin=OURS, **extra)
                case = (target, method, extra)
                self.assertEqual(status, got.status, case)
                self.assertEqual((OURS, "Origin"), self.allowed(got), case)
                self.assertEqual("ETag", got.headers["access-control-expose-headers"], case)
                self.assertNotIn("access-control-allow-credentials", got.headers, case)
        for origin in ("https://evil.test", "null", "https://b.example", "", "https://A.example"):
            got = await self.get("/s", origin=origin)
            self.assertEqual((None, "Origin"), self.allowed(got), origin)
            self.assertNotIn("access-control", str(got.headers))
        self.assertEqual((None, "Origin"), self.allowed(await self.get("/s")))
        got = await self.get("/missing", origin="https://x.b.example")
        self.assertEqual((404, "https://x.b.example"), (got.status, self.allowed(got)[0]))
        got = await self.get("/v", origin=OURS)
        self.assertEqual(1, got.headers["vary"].lower().count("origin"))
        for status in (404, 503):
            got = await self.get("/limited?limited=1", origin=OURS)
            self.assertEqual((status, OURS), (got.status, self.allowed(got)[0]))

    async def test_pages_of_errors(self) -> None:
        """A page from a location that says nothing of CORS can be read all the same."""
        self.origin.answers["/pages/404.html"] = answer(body=b"page", headers={**THEIRS})
        self.origin.answers["/a"] = answer(404, b"none")
        await self.shield(
            f"cors_origin = {OURS}\nerror_page = 404 /pages/404.html\n"
            "error_page = 503 /pages/404.html\nlimit_req = $arg_k rate=1r/m",
            more=f"[location:/pages/]\norigin = http://127.0.0.1:{self.origin.number}\n",
        )
        for target, status in (("/a", 404), ("/a?k=1", 404), ("/a?k=1", 503)):
            got = await self.get(target, origin=OURS)
            self.assertEqual((status, b"page"), (got.status, got.body))
            self.assertEqual((OURS, "Origin"), self.allowed(got))

    async def test_preflight(self) -> None:
        """Answered before limits, access and origin; logged; nothing for who is not listed."""
        await self.shield(
            f"cors_origin = {OURS}\ncors_methods = GET PUT\ncors_headers = *\n"
            "cors_credentials = on\ncors_max_age = 10m\n"
            "limit_conn = $remote_addr 1\nlimit_req = $remote_addr rate=1r/m\ndeny = all"
        )
        ask = {"access_control_request_method": "PUT", "access_control_request_headers": "x-a"}
        for _ in range(3):
            got = await self.get("/a", "OPTIONS", origin=OURS, **ask)
            self.assertEqual((204, b""), (got.status, got.body))
            self.assertEqual(
                {
                    "access-control-allow-origin": OURS,
                    "access-control-allow-credentials": "true",
                    "access-control-allow-methods": "GET, PUT",
                    "access-control-allow-headers": "x-a",
                    "access-control-max-age": "600",
                    "vary": "Origin, Access-Control-Request-Headers",
                },
                {
                    name: value
                    for name, value in got.headers.items()
                    if name not in ("date", "server", "connection")
                },
            )
        got = await self.get("/a", "OPTIONS", origin="https://evil.test", **ask)
        self.assertEqual((204, None), (got.status, self.allowed(got)[0]))
        got = await self.get("/a", origin=OURS)
        self.assertEqual((403, OURS), (got.status, self.allowed(got)[0]))
        self.assertEqual("true", got.headers["access-control-allow-credentials"])
        self.assertEqual([204] * 4 + [403], [line["status"] for line in self.logged()])
        self.assertEqual([], self.origin.asked)

    async def test_star(self) -> None:
        """Everybody may read; nothing is reflected, and caches need not tell origins apart."""
        self.origin.answers["/a"] = answer(headers={**THEIRS, **FOR_LONG})
        await self.shield("cors_origin = *")
        for origin in ({}, {"origin": OURS}, {"origin": "null"}):
            got = await self.get("/a", **origin)
            self.assertEqual(("*", None), self.allowed(got))
            self.assertEqual(1, str(got.lines).count("access-control"))

    async def test_without(self) -> None:
        """A location that says nothing of it passes on what its origin says."""
        self.origin.answers["/a"] = answer(headers={**THEIRS, **FOR_LONG})
        await self.shield()
        self.assertEqual("*", self.allowed(await self.get("/a"))[0])
        ask = {"access_control_request_method": "PUT"}
        self.origin.answers["/b"] = answer(200, b"theirs")
        self.assertEqual(b"theirs", (await self.get("/b", "OPTIONS", origin=OURS, **ask)).body)
