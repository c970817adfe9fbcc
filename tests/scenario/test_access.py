"""Access rules cannot be got round: what is refused is refused however it is asked for."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from typing import Final

from s3shield.access import LinkTerms, sign_link

from .harness import Got, Scenario, answer

INTERN: Final = """
[location:/intern/]
origin = http://127.0.0.1:{port}
proxy_cache = main
proxy_cache_valid = any 1h
{rules}
"""
ANSWERS: Final = ("/intern/a", "/intern/", "/a")

SAME_PATH: Final = (
    "/intern/a",
    "/%69ntern/a",
    "/intern%2Fa",
    "/intern%2fa",
    "/%69%6E%74%65%72%6e/a",
    "/intern/./a",
    "/intern/a;x=1",
    "/intern/;/a",
    "/intern/a?x=/a",
    "/intern/a?",
    "/intern/a.",
    "/intern/a%20",
    "/intern/%2561",
    "/intern/%2e%2e/a",
    "/intern/x/../a",
    "/intern//a",
    "http://shield.test/intern/a",
    "HTTP://elsewhere.test/intern/a",
    "http://shield.test:8080/%69ntern/a",
)
"""Targets that lead into `/intern/`, in ways that one rule may see and another not."""
ELSEWHERE: Final = (
    "//intern/a",
    "/./intern/a",
    "/x/../intern/a",
    "/%2e/intern/a",
    "/%2fintern/a",
    "/;/intern/a",
    "/INTERN/a",
    "/intern./a",
    "/intern%20/a",
    "/intern;/a",
    "/intern%253B/a",
    "/%2569ntern/a",
    "/intern%252Fa",
    "/intern%5Ca",
    "\\intern\\a",
    "/intern",
)
"""Targets that do not: whoever answers, nothing of `/intern/` is in the answer."""
FIELDS: Final = (
    {"range": "bytes=0-3"},
    {"range": "bytes=0-0,2-2"},
    {"if_none_match": "*"},
    {"if_none_match": '"secret"'},
    {"if_modified_since": "Thu, 01 Jan 2026 00:00:00 GMT"},
    {"if_match": '"other"'},
    {"if_range": '"secret"', "range": "bytes=0-3"},
    {"cache_control": "only-if-cached"},
    {"cache_control": "no-cache"},
    {"x_forwarded_for": "127.0.0.1"},
    {"x_real_ip": "10.0.0.1"},
    {"forwarded": "for=10.0.0.1"},
    {"x_original_url": "/a"},
    {"x_rewrite_url": "/a"},
    {"x_http_method_override": "OPTIONS"},
    {"host": "elsewhere.test"},
    {"host": "SHIELD.test:99"},
    {"host": ""},
    {"authorization": "AWS4-HMAC-SHA256 Credential=x"},
    {"upgrade": "h2c", "connection": "upgrade"},
)
METHODS: Final = (
    *(
        "HEAD",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "OPTIONS",
        "PURGE",
        "TRACE",
        "get",
        "Get",
        "PROPFIND",
    ),
)


class RefusedTests(Scenario):
    """A table of attempts on a location that nobody may come in at."""

    async def gated(self, rules: str) -> None:
        """Serve `/intern/` behind `rules` and everything else openly."""
        for target in (*ANSWERS, *SAME_PATH, *ELSEWHERE):
            inside = target in SAME_PATH or target.startswith("/intern/")
            said = b"secret" if inside else b"open"
            self.origin.answers[target] = answer(body=said, headers={"ETag": '"secret"'})
        more = INTERN.format(port=self.origin.number, rules=rules)
        await self.shield(location="proxy_cache_valid = any 1h", more=more)

    def asked_inside(self) -> list[str]:
        """What of `/intern/` went to the origin."""
        return [target for target in self.origin.targets() if target in SAME_PATH]

    async def test_targets(self) -> None:
        """However the path is written, who leads to the location meets its rule."""
        await self.gated("deny = all")
        for target in SAME_PATH:
            got = await self.get(target)
            self.assertIn(got.status, (400, 403), target)
            self.assertNotIn(b"secret", got.body, target)
        for target in ELSEWHERE:
            got = await self.get(target)
            self.assertNotIn(b"secret", got.body, target)
        self.assertEqual([], self.asked_inside())

    async def test_fields(self) -> None:
        """Neither conditions, ranges, wishes about the cache nor tales about the client help."""
        await self.gated("deny = all")
        for fields in FIELDS:
            got = await self.get("/intern/a", **fields)
            self.assertIn(got.status, (400, 403), fields)
            self.assertNotIn("etag", got.headers, fields)
            self.assertNotIn("x-cache-status", got.headers, fields)
        self.assertEqual([], self.asked_inside())

    async def test_methods(self) -> None:
        """Every method meets the rule: nothing is changed, purged or told by one."""
        await self.gated("deny = all\npurge_allow = 127.0.0.1")
        for method in METHODS:
            got = await self.get("/intern/a", method)
            self.assertIn(got.status, (400, 403), method)
            self.assertNotIn("allow", got.headers, method)
        self.assertEqual([], self.asked_inside())

    async def test_cached(self) -> None:
        """What one location has stored another does not give to whom its rule keeps out."""
        for target in ANSWERS:
            self.origin.answers[target] = answer(body=b"secret")
        port = self.origin.number
        await self.shield(
            location="proxy_cache_valid = any 1h",
            more=INTERN.format(port=port, rules="deny = all")
            + f"[location:/open/]\norigin = http://127.0.0.1:{port}\nproxy_cache = main\n"
            "proxy_cache_valid = any 1h\nrewrite = ^/open/(.*) /intern/$1\n",
        )
        self.assertEqual(200, (await self.get("/open/a")).status)
        self.assertEqual("HIT", (await self.get("/open/a")).cache)
        for method in ("GET", "HEAD"):
            self.assertEqual(403, (await self.get("/intern/a", method)).status)

    async def test_pipelined(self) -> None:
        """Each request of a connection is asked anew, whatever came before it."""
        await self.gated("deny = all")
        client = await self.connect()
        lines = ("/a", "/intern/a", "/a", "/intern/a", "/a")
        client.send(b"".join(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % x.encode() for x in lines))
        got = [await client.take() for _ in lines]
        self.assertEqual([200, 403, 200, 403, 200], [each.status for each in got])
        self.assertEqual([], self.asked_inside())

    async def test_upload(self) -> None:
        """An upload is refused before its body is read, with or without Expect."""
        await self.gated("deny = all\nmethods = any")
        for expect in (b"", b"Expect: 100-continue\r\n"):
            client = await self.connect()
            client.send(
                b"PUT /intern/a HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n%b\r\n" % expect
            )
            while b"\r\n" not in client.buffer and await client.more():
                pass
            self.assertTrue(client.buffer.startswith(b"HTTP/1.1 403 "), client.buffer[:40])
        self.assertEqual([], self.asked_inside())

    async def test_logged(self) -> None:
        """The access log has the refusal."""
        await self.gated("deny = all")
        await self.get("/intern/a")
        self.assertEqual([403], [line["status"] for line in self.logged()])


USERS: Final = "ann:{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=\n"
"""Her password is "correct horse"."""


def basic(password: str = "correct horse", name: str = "ann") -> str:
    """The value of Authorization."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


class BasicTests(Scenario):
    """`auth_basic` before a cache."""

    async def gated(self, options: str = "") -> None:
        """Serve everything to those who are in the file."""
        path = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write(USERS)
        await self.shield(
            f'proxy_cache_valid = any 1h\nauth_basic = "members"\n'
            f"auth_basic_user_file = {os.path.abspath(path)}\n{options}"
        )

    async def test_stored_once_checked_always(self) -> None:
        """One answer serves all who may come in, and nobody else."""
        self.origin.answers["/a"] = answer(body=b"secret")
        await self.gated()
        self.assertEqual(401, (await self.get("/a")).status)
        first = await self.get("/a", authorization=basic())
        self.assertEqual((200, "MISS"), (first.status, first.cache))
        again = await self.get("/a", authorization=basic())
        self.assertEqual((200, "HIT", b"secret"), (again.status, again.cache, again.body))
        for value in (None, basic("guess"), basic("correct horse", "bob"), "Bearer x"):
            got = await self.get("/a", **({} if value is None else {"authorization": value}))
            self.assertEqual(401, got.status)
            self.assertEqual(
                'Basic realm="members", charset="UTF-8"', got.headers["www-authenticate"]
            )
            self.assertNotIn("x-cache-status", got.headers)
        self.assertEqual(["/a"], self.origin.targets())
        self.assertNotIn("authorization", self.origin.asked[0].headers)

    async def test_not_the_origins(self) -> None:
        """The origin never sees the password, whatever is asked, and Vary on it means nothing."""
        self.origin.answers["/a"] = answer(headers={"Vary": "Authorization"})
        await self.gated("methods = any")
        for method in ("GET", "POST", "DELETE", "OPTIONS"):
            await self.get("/a", method, authorization=basic())
        self.assertEqual(4, len(self.origin.asked))
        for asked in self.origin.asked:
            self.assertNotIn(b"uthorization", asked.head)
        await self.get("/a", authorization=basic())
        got = await self.get("/a", authorization=basic().replace("Basic", "basic"))
        self.assertEqual("HIT", got.cache)

    async def test_logged(self) -> None:
        """The log has the name, and no password."""
        await self.gated()
        await self.get("/a", authorization=basic("hunter2"))
        self.access_log.flush()
        with open(self.log_path, encoding="utf-8") as file:
            text = file.read()
        self.assertIn('"ann"', text)
        self.assertNotIn("hunter2", text)
        self.assertNotIn(basic("hunter2")[6:], text)

    async def test_flood(self) -> None:
        """Many at once who try passwords get 401 or 503; who is in is served all the while."""
        self.origin.answers["/a"] = answer(body=b"secret")
        await self.gated()
        self.assertEqual(200, (await self.get("/a", authorization=basic())).status)

        async def attempt(at: int) -> Got:
            return await self.get("/a", authorization=basic(f"guess {at}"))

        got = await self.together(
            *[attempt(at) for at in range(60)],
            *[self.get("/a", authorization=basic()) for _ in range(10)],
        )
        self.assertLessEqual({each.status for each in got[:60]}, {401, 503})
        for each in got[:60]:
            self.assertEqual(each.status == 503, "retry-after" in each.headers)
            self.assertNotIn(b"secret", each.body)
        self.assertEqual([200] * 10, [each.status for each in got[60:]])

    async def test_pipelined(self) -> None:
        """Each request brings its own credential: none is taken over from the one before."""
        self.origin.answers["/a"] = answer(body=b"secret")
        await self.gated()
        client = await self.connect()
        right = f"Authorization: {basic()}\r\n".encode()
        lines = (right, b"", right, b"Authorization: Basic x\r\n", right)
        client.send(b"".join(b"GET /a HTTP/1.1\r\nHost: x\r\n%b\r\n" % each for each in lines))
        got = [await client.take() for _ in lines]
        self.assertEqual([200, 401, 200, 401, 200], [each.status for each in got])

    async def test_any(self) -> None:
        """With `satisfy = any` an allowed address needs no password; else 401 goes before 403."""
        self.origin.answers["/a"] = answer(body=b"secret")
        await self.gated("satisfy = any\nallow = 127.0.0.1\ndeny = all")
        self.assertEqual(200, (await self.get("/a")).status)
        await self.stop()
        await self.gated("satisfy = any\ndeny = all")
        got = await self.get("/a")
        self.assertEqual(401, got.status)
        self.assertIn("www-authenticate", got.headers)
        self.assertEqual(200, (await self.get("/a", authorization=basic())).status)
        await self.stop()
        await self.gated("deny = all")
        self.assertEqual(403, (await self.get("/a", authorization=basic())).status)


class LinkTests(Scenario):
    """Links before a cache."""

    KEY: Final = "0123456789abcdef"

    def link(self, target: str, seconds: int = 600, **more: str) -> str:
        """A link of ours."""
        terms = LinkTerms(expires=int(time.time()) + seconds, **more)
        return sign_link(self.KEY.encode(), target.encode(), terms).decode()

    def hashed(self, path: str, seconds: int = 600) -> str:
        """One of nginx's."""
        end = int(time.time()) + seconds
        digest = hashlib.md5(f"{end}{path} hunter2".encode()).digest()
        text = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        return f"{path}?md5={text}&expires={end}"

    async def test_stored_once(self) -> None:
        """Links that differ are for one stored answer; nothing of them goes to the origin."""
        self.origin.answers["/a"] = answer(body=b"secret")
        self.origin.answers["/a?v=1"] = answer(body=b"other")
        await self.shield(f"proxy_cache_valid = any 1h\nsigned_link_key = {self.KEY}")
        got = [
            await self.get(self.link("/a", seconds, **more))
            for seconds, more in ((600, {}), (700, {}), (600, {"ip": "127.0.0.0/8"}))
        ]
        self.assertEqual(["MISS", "HIT", "HIT"], [each.cache for each in got])
        self.assertEqual(b"other", (await self.get(self.link("/a?v=1"))).body)
        self.assertEqual(["/a", "/a?v=1"], self.origin.targets())
        for target, status in (
            ("/a", 403),
            (self.link("/a", -1), 410),
            (self.link("/a", ip="192.0.2.1"), 403),
            (self.link("/a").replace("/a", "/b"), 403),
            (self.link("/a") + "&v=1", 403),
        ):
            for method in ("GET", "HEAD"):
                got_ = await self.get(target, method)
                self.assertEqual((status, None), (got_.status, got_.cache), target)
        self.assertEqual(403, (await self.get(self.link("/a"), "DELETE")).status)
        self.assertEqual(2, len(self.origin.asked))

    async def test_not_logged(self) -> None:
        """The access log has the names of the link's parameters, and no more of them."""
        await self.shield(f"signed_link_key = {self.KEY}")
        link = self.link("/a")
        await self.get(link)
        (line,) = self.logged()
        self.assertIn("link_expires=***&link_signature=***", str(line))
        self.assertNotIn(link.partition("link_signature=")[2], str(line))

    async def test_hashed(self) -> None:
        """Links of nginx, beside ours while a site goes over; each stored once."""
        self.origin.answers["/a"] = answer(body=b"secret")
        await self.shield(
            "proxy_cache_valid = any 1h\nsecure_link = $arg_md5,$arg_expires\n"
            f'secure_link_md5 = "$secure_link_expires$uri hunter2"\nsigned_link_key = {self.KEY}'
        )
        for target, status, cache in (
            (self.hashed("/a"), 200, "MISS"),
            (self.hashed("/a", 700), 200, "HIT"),
            (self.link("/a"), 200, "HIT"),
            (self.hashed("/a", -5), 410, None),
            (self.link("/a", -5), 410, None),
            (self.hashed("/a").replace("/a", "/b"), 403, None),
            ("/a", 403, None),
        ):
            got = await self.get(target)
            self.assertEqual((status, cache), (got.status, got.cache), target)
        self.assertEqual(["/a"], self.origin.targets())
