"""What one client does must not change what another one gets."""

from __future__ import annotations

import os
from typing import Any

from .attack import FOR_LONG, Attack
from .harness import answer, sleep, until

LARGE = os.urandom(300_000)


class PoisonTests(Attack):
    async def test_fields_that_are_in_no_key(self) -> None:
        """What makes an origin answer for another host, path or method stays behind."""

        def gullible(connection: Any, asked: Any) -> None:
            evil = any("evil" in value for value in asked.headers.values())
            answer(body=b"evil" if evil else b"good", headers=FOR_LONG)(connection, asked)

        self.origin.reply = lambda asked: gullible  # type: ignore[method-assign]
        await self.shield()
        for number, name in enumerate(
            (
                "X-Forwarded-Host",
                "X-Forwarded-Server",
                "X-Forwarded-Proto",
                "X-Forwarded-Scheme",
                "X-Forwarded-Port",
                "X-Forwarded-Prefix",
                "X-Forwarded-Path",
                "X-Forwarded-Uri",
                "Forwarded",
                "X-Host",
                "X-Original-Host",
                "X-Original-URL",
                "X-Original-URI",
                "X-Rewrite-URL",
                "X-Override-URL",
                "X-HTTP-Method",
                "X-HTTP-Method-Override",
                "X-Method-Override",
                "X-Amz-Website-Redirect-Location",
                "X-Amz-Security-Token",
                "Range",
                "If-Range",
                "If-None-Match",
                "If-Match",
                "If-Modified-Since",
                "Expect",
                "Upgrade",
                "TE",
                "Trailer",
                "Proxy-Authorization",
                "Proxy-Connection",
            )
        ):
            for headers in ({name: "evil"}, {}):
                got = await self.get(f"/{number}", **headers)
                self.assertEqual((200, b"good"), (got.status, got.body), name)

    async def test_connection_hides_nothing_from_vary(self) -> None:
        """A field that Connection names is not sent on, so it selects no variant either."""

        def by_language(connection: Any, asked: Any) -> None:
            fields = {"Vary": "Accept-Language", **FOR_LONG}
            body = asked.headers.get("accept-language", "none").encode()
            answer(body=body, headers=fields)(connection, asked)

        self.origin.answers["/a"] = by_language
        await self.shield()
        evil = await self.get("/a", accept_language="de", connection="close, Accept-Language")
        self.assertEqual(b"none", evil.body)
        self.assertEqual(b"de", (await self.get("/a", accept_language="de")).body)
        self.assertEqual(b"none", (await self.get("/a")).body)

    async def test_connection_cannot_remove_what_we_say(self) -> None:
        """Host and framing are ours, whatever Connection names; so is the cache's judgement."""
        self.origin.answers["/a"] = answer(headers=FOR_LONG)
        await self.shield()
        for number, name in enumerate(("Host", "Content-Length", "Via", "X-Forwarded-For")):
            got = await self.get(f"/a?{number}", connection=f"close, {name}")
            self.assertIn(got.status, (200, 404), name)
        self.assertEqual(4, len(self.origin.asked))
        for asked in self.origin.asked:
            self.assertEqual(f"127.0.0.1:{self.origin.number}", asked.headers["host"])
            self.assertIn("via", asked.headers)
            self.assertNotIn("content-length", asked.headers)

    async def test_one_clients_credentials_are_not_another_ones(self) -> None:
        """An answer to Authorization is not stored, nor shared with who waits beside it."""

        async def by_name(connection: Any, asked: Any) -> None:
            await sleep(0.05)
            who = asked.headers.get("authorization", "nobody")
            answer(body=who.encode(), headers=FOR_LONG)(connection, asked)

        self.origin.answers["/a"] = by_name
        await self.shield()
        names = ["Basic x", "Basic y", None, "Basic z", None]
        seen = await self.together(
            *[self.get("/a", **({"authorization": n} if n else {})) for n in names]
        )
        self.assertEqual([(n or "nobody").encode() for n in names], [got.body for got in seen])
        self.assertEqual(b"nobody", (await self.get("/a")).body)

    async def test_one_clients_credentials_do_not_unqueue_the_others(self) -> None:
        """An answer unstored for its asker's sake says nothing about the key."""

        async def slowly(connection: Any, asked: Any) -> None:
            await sleep(0.05)
            answer(headers=FOR_LONG)(connection, asked)

        self.origin.answers["/a"] = slowly
        await self.shield()
        await self.get("/a", authorization="Basic x")
        await self.together(*[self.get("/a") for _ in range(5)])
        self.assertEqual(2, len(self.origin.asked))

    async def test_a_refresh_for_one_is_not_private_for_another(self) -> None:
        """A private answer to a background refresh is nobody's who joined it."""
        held: list[Any] = []

        def hold(connection: Any, asked: Any) -> None:
            held.append((connection, asked))

        swr = {"ETag": '"1"', "Cache-Control": "max-age=0, stale-while-revalidate=1"}
        self.origin.answers["/a"] = [
            answer(body=b"old", headers=swr),
            hold,
            answer(body=b"for b", headers={"Cache-Control": "private"}),
        ]
        await self.shield()
        await self.get("/a")
        self.assertEqual("STALE", (await self.get("/a", cookie="me=a")).cache)
        await until(lambda: held, "the refresh")
        await sleep(1.1)  # the stale entry may not answer any more
        client = await self.connect()
        client.send(b"GET /a HTTP/1.1\r\nHost: h\r\nCookie: me=b\r\n\r\n")
        await sleep(0.05)
        answer(body=b"for a", headers={"Cache-Control": "private"})(*held[0])
        self.assertEqual(b"for b", (await client.take()).body)

    async def test_who_waits_never_gets_the_leaders_private_answer(self) -> None:
        """Also when the leader has left before the answer came."""
        held: list[Any] = []

        def hold(connection: Any, asked: Any) -> None:
            held.append((connection, asked))

        self.origin.answers["/a"] = [
            hold,
            answer(body=b"for b", headers={"Cache-Control": "private"}),
        ]
        await self.shield()
        one, two = await self.connect(), await self.connect()
        one.send(b"GET /a HTTP/1.1\r\nHost: h\r\nCookie: me=a\r\n\r\n")
        await until(lambda: held, "the question")
        two.send(b"GET /a HTTP/1.1\r\nHost: h\r\nCookie: me=b\r\n\r\n")
        await sleep(0.05)
        one.transport.abortConnection()
        await until(lambda: one.ended, "the leader to leave")
        await sleep(0.05)
        answer(body=b"for a", headers={"Cache-Control": "private"})(*held[0])
        self.assertEqual(b"for b", (await two.take()).body)

    async def test_revalidation_of_one_variant_is_not_anothers(self) -> None:
        """Who wants `fr` does not get the `de` that a 304 has just confirmed, or an error."""
        held: list[Any] = []

        def by_language(connection: Any, asked: Any) -> None:
            language = asked.headers.get("accept-language", "none")
            if asked.headers.get("if-none-match") == f'"{language}"':
                held.append((connection, asked))
                return
            fields = {
                "Vary": "Accept-Language",
                "ETag": f'"{language}"',
                "Cache-Control": "max-age=0",
            }
            answer(body=language.encode(), headers=fields)(connection, asked)

        head = b"GET %b HTTP/1.1\r\nHost: h\r\nAccept-Language: %b\r\n\r\n"
        for status, fields in ((304, {"ETag": '"de"', "Vary": "Accept-Language"}), (503, {})):
            target = f"/{status}"
            self.origin.answers[target] = by_language
            await self.shield()
            self.assertEqual(b"de", (await self.get(target, accept_language="de")).body)
            client, other = await self.connect(), await self.connect()
            client.send(head % (target.encode(), b"de"))
            await until(lambda: held, "the revalidation")
            other.send(head % (target.encode(), b"fr"))
            await sleep(0.05)
            answer(status, b"", fields)(*held.pop())
            self.assertEqual(b"de", (await client.take()).body)
            self.assertEqual(b"fr", (await other.take()).body, status)
            await self.stop()

    async def test_head_then_get(self) -> None:
        """A HEAD leaves nothing that would answer a GET; a GET's body stays whole after it."""
        self.origin.answers["/a"] = answer(body=LARGE, headers=FOR_LONG)
        await self.shield()
        for _ in range(2):
            self.assertEqual(
                str(len(LARGE)), (await self.get("/a", "HEAD")).headers["content-length"]
            )
        got = await self.get("/a")
        self.assertEqual(("MISS", LARGE), (got.cache, got.body))
        self.assertEqual(200, (await self.get("/a", "HEAD", range="bytes=0-1")).status)
        self.assertEqual(LARGE, (await self.get("/a")).body)

    async def test_head_and_get_at_once(self) -> None:
        """A HEAD beside a GET of the same key: neither gets the other's answer."""

        async def slowly(connection: Any, asked: Any) -> None:
            await sleep(0.05)
            answer(body=b"abc", headers=FOR_LONG)(connection, asked)

        self.origin.answers["/a"] = slowly
        await self.shield()
        seen = await self.together(
            *[self.get("/a", method) for method in ("HEAD", "GET", "HEAD", "GET")]
        )
        self.assertEqual([b"", b"abc", b"", b"abc"], [got.body for got in seen])
        self.assertEqual(["3"] * 4, [got.headers["content-length"] for got in seen])

    async def test_our_own_refusals_are_never_stored(self) -> None:
        """400, 405, 412, 416, 502 of one client are no answer to the next one."""
        self.origin.answers["/a"] = [
            answer(503, b"busy"),
            answer(body=b"0123456789", headers={"ETag": '"e"', **FOR_LONG}),
        ]
        await self.shield("methods = GET HEAD\nproxy_cache_valid = 400 405 412 416 502 1m")
        self.assertEqual(405, (await self.get("/a", "POST")).status)
        await self.get("/a")
        for field, value in (
            ("range", "bytes=100-"),
            ("range", "bytes=0-0"),
            ("if_none_match", "*"),
            ("range", "bytes=" + ",".join("0-9" for _ in range(1000))),
        ):
            await self.get("/a", **{field: value})
            got = await self.get("/a")
            self.assertEqual((200, b"0123456789"), (got.status, got.body))

    async def test_a_partial_answer_nobody_asked_for(self) -> None:
        """An origin that sends 206 or 416 to a GET of ours: never stored as the whole."""
        part = {"Content-Range": "bytes 0-2/10", **FOR_LONG}
        self.origin.answers["/a"] = [answer(206, b"012", part), answer(body=b"0123456789")]
        self.origin.answers["/b"] = [
            answer(416, b"", {"Content-Range": "bytes */10", **FOR_LONG}),
            answer(body=b"0123456789"),
        ]
        await self.shield("proxy_cache_valid = any 1m")
        for target in ("/a", "/b"):
            await self.get(target)
            self.assertEqual(b"0123456789", (await self.get(target)).body)

    async def test_too_large_without_a_length(self) -> None:
        """max_object_size holds for a body whose size only its end tells."""

        def chunked(connection: Any, asked: Any) -> None:
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: max-age=9\r\n"
            connection.send(head + b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(LARGE), LARGE))

        self.origin.answers["/a"] = chunked
        await self.shield("max_object_size = 100k")
        for _ in range(2):
            got = await self.get("/a")
            self.assertEqual(("MISS", LARGE), (got.cache, got.body))
        self.assertEqual(["too-large"] * 2, [line["cache_reason"] for line in self.logged()])

    async def test_two_zones_and_two_policies(self) -> None:
        """Locations with a cache each share nothing but the origin."""
        self.echoing()
        second = os.path.abspath(self.mktemp())
        more = f"""
[cache:second]
path = {second}
max_size = 1g
[location:~ ^/a$]
origin = http://127.0.0.1:{self.origin.number}
proxy_cache = second
[location:= /b]
origin = http://127.0.0.1:{self.origin.number}
proxy_cache = off
"""
        await self.shield(more=more)
        for target, caches in (
            ("/a", ["MISS", "HIT"]),
            ("/b", [None, None]),
            ("/c", ["MISS", "HIT"]),
        ):
            seen = [await self.get(target), await self.get(target)]
            self.assertEqual(caches, [got.cache for got in seen])
