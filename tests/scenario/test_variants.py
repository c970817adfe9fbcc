"""Several responses of one URL: which is asked about, which answers, how many are kept."""

from __future__ import annotations

from typing import Any

from .harness import Scenario, answer, sleep, until

FRESH = {"Vary": "Accept-Language", "Cache-Control": "max-age=100"}


class VariantScenario(Scenario):
    """An origin with a page in German and in English; all else is shown the German one."""

    def setUp(self) -> None:
        super().setUp()
        self.origin.answers["/a"] = self.page
        self.tagged = True
        self.held: list[Any] = []
        self.holding = False

    def page(self, connection: Any, asked: Any) -> None:
        """Answer in a language that there is; 304 when the client has that page."""
        if self.holding:
            self.held.append((connection, asked))
            return
        wanted = asked.headers.get("accept-language", "")
        language = wanted if wanted in ("de", "en") else "de"
        tag = f'"{language}"'
        if tag in asked.headers.get("if-none-match", ""):
            fields = {**FRESH, "ETag": tag} if self.tagged else FRESH
            answer(304, b"", fields)(connection, asked)
        else:
            answer(body=language.encode(), headers={**FRESH, "ETag": tag})(connection, asked)

    async def languages(self, *wanted: str) -> list[tuple[str | None, bytes]]:
        """Ask in each language; return X-Cache-Status and body."""
        seen = [await self.get("/a", accept_language=each) for each in wanted]
        return [(got.cache, got.body) for got in seen]


class SelectionTests(VariantScenario):
    """RFC 9111 sections 4.1, 4.3.1 and 4.3.4: none of the stored ones is selected."""

    async def test_304_names_the_one(self) -> None:
        """All stored tags are offered, and the one that the 304 names answers."""
        await self.shield()
        await self.languages("de", "en")
        self.assertEqual(
            [("REVALIDATED", b"de"), ("HIT", b"de"), ("HIT", b"en")],
            await self.languages("fr", "de", "en"),
        )
        asked = self.origin.asked[-1].headers
        self.assertEqual('"de", "en"', asked["if-none-match"])
        self.assertNotIn("if-modified-since", asked)

    async def test_none_fits(self) -> None:
        """An answer that is none of the stored ones is stored as one more."""
        await self.shield()
        await self.languages("de")
        self.assertEqual([("MISS", b"en"), ("HIT", b"en")], await self.languages("en", "en"))

    async def test_304_names_none(self) -> None:
        """A 304 that does not say which is of no use: the whole is asked for, once."""
        self.tagged = False
        await self.shield()
        await self.languages("de", "en")
        self.assertEqual([("MISS", b"de")], await self.languages("fr"))
        self.assertNotIn("if-none-match", self.origin.asked[-1].headers)
        self.assertEqual(4, len(self.origin.asked))

    async def test_not_asked_when_told_not_to(self) -> None:
        """`proxy_cache_revalidate = off` sends no conditions here either."""
        await self.shield("proxy_cache_revalidate = off")
        await self.languages("de")
        self.assertEqual([("MISS", b"de")], await self.languages("fr"))
        self.assertNotIn("if-none-match", self.origin.asked[-1].headers)

    async def test_who_waits_selects_too(self) -> None:
        """The 304 to one language's request answers nobody who asked in another one."""
        await self.shield()
        await self.languages("de")
        self.holding = True
        clients = [await self.connect(), await self.connect()]
        head = b"GET /a HTTP/1.1\r\nHost: h\r\nAccept-Language: %b\r\n\r\n"
        clients[0].send(head % b"fr")
        await until(lambda: self.held, "the first request")
        clients[1].send(head % b"en")
        await sleep(0.05)
        self.holding = False
        while self.held:
            self.page(*self.held.pop())
        self.assertEqual([b"de", b"en"], [(await each.take()).body for each in clients])


class LimitTests(VariantScenario):
    """`max_variants`."""

    async def test_oldest_goes(self) -> None:
        """One more than allowed: the one not stored for longest is asked for again."""
        self.origin.answers["/a"] = lambda connection, asked: answer(
            body=asked.headers["accept-language"].encode(), headers=FRESH
        )(connection, asked)
        await self.shield("max_variants = 2")
        seen = await self.languages("de", "en", "fr", "en", "fr", "de", "fr")
        self.assertEqual(
            ["MISS", "MISS", "MISS", "HIT", "HIT", "MISS", "HIT"], [s for s, _ in seen]
        )

    async def test_purge_takes_all(self) -> None:
        """A purged URL offers no variant any more."""
        await self.shield("purge_allow = 127.0.0.1")
        await self.languages("de", "en")
        self.assertEqual(200, (await self.get("/a", "PURGE")).status)
        self.assertEqual([("MISS", b"de")], await self.languages("fr"))
        self.assertNotIn("if-none-match", self.origin.asked[-1].headers)

    async def test_invalidation_takes_all(self) -> None:
        """So does one that an unsafe request has changed."""
        await self.shield()
        await self.languages("de", "en")
        self.origin.answers["/a"] = [answer(201), self.page]
        await self.get("/a", "POST")
        self.assertEqual([("MISS", b"de")], await self.languages("fr"))
        self.assertNotIn("if-none-match", self.origin.asked[-1].headers)


class AcceptEncodingTests(Scenario):
    """RFC 9111 4.1: what means the same selects the same; `normalize_accept_encoding`."""

    async def bodies(self, *wanted: str | None) -> list[tuple[str | None, str]]:
        """Ask with each Accept-Encoding; return X-Cache-Status and what the origin had seen."""

        def page(connection: Any, asked: Any) -> None:
            seen = asked.headers.get("accept-encoding", "nothing")
            fields = {"Vary": "Accept-Encoding", "Cache-Control": "max-age=100"}
            answer(body=seen.encode(), headers=fields)(connection, asked)

        self.origin.answers["/a"] = page
        found = []
        for value in wanted:
            fields = {} if value is None else {"accept_encoding": value}
            got = await self.get("/a", **fields)
            found.append((got.cache, got.body.decode()))
        return found

    async def test_as_it_is(self) -> None:
        """Without the option: case, blanks, order and `q=1` mean nothing, all else does."""
        await self.shield()
        self.assertEqual(
            [
                ("MISS", "gzip, br"),
                ("HIT", "gzip, br"),
                ("HIT", "gzip, br"),
                ("MISS", "gzip, br, deflate"),
                ("MISS", "nothing"),
            ],
            await self.bodies("gzip, br", "br,GZIP", "gzip;q=1.0 , br", "gzip, br, deflate", None),
        )

    async def test_normalised(self) -> None:
        """With it: only the codings that matter, both to the origin and for the selection."""
        await self.shield("normalize_accept_encoding = on")
        self.assertEqual(
            [
                ("MISS", "br, gzip"),
                ("HIT", "br, gzip"),
                ("MISS", "gzip"),
                ("HIT", "gzip"),
                ("MISS", "identity"),
                ("HIT", "identity"),
            ],
            await self.bodies(
                "gzip, br", "br;q=0.5, deflate, gzip", "x-gzip", "gzip, br;q=0", "deflate", None
            ),
        )
