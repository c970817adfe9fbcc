"""RFC 9111 by the wire, with default options in front of a plain origin.

Each table is of responses, and whether the next request is answered from the store. The
rules themselves are tested in tests/policy; here it is that everything between the two
sockets keeps them. docs/rfc9111.rst names the tests for each requirement.
"""

from __future__ import annotations

import time
from email.utils import formatdate, parsedate_to_datetime
from typing import Any, Final

from .harness import Got, Scenario, answer, raw, until

HOUR: Final = "max-age=3600"
AGO: Final = "Tue, 01 Mar 2022 12:00:00 GMT"

Case = tuple[dict[str, str], bool]
"""Fields of a response, and whether it answers the next request."""


def date(offset: float) -> str:
    """An HTTP date, `offset` seconds from now."""
    return formatdate(time.time() + offset, usegmt=True)


def control(value: str, **fields: str) -> dict[str, str]:
    """Fields with this Cache-Control."""
    return {"Cache-Control": value, **{k.replace("_", "-"): v for k, v in fields.items()}}


class Rfc(Scenario):
    """Asks twice for each response of a table."""

    async def setUpShield(self) -> None:
        """Start it, once a test."""
        if self.serving is None:
            await self.shield()
            self.number = 0

    async def twice(self, fields: dict[str, str], status: int = 200, **asked: str) -> list[Got]:
        """Both answers to the same request."""
        await self.setUpShield()
        self.number += 1
        path = f"/{self.number}"
        body = b"" if status in (204, 205) else b"body %d" % self.number
        self.origin.answers[path] = answer(status, body, fields)
        return [await self.get(path, **asked) for _ in range(2)]

    async def compare(self, cases: list[Case], **asked: str) -> None:
        """Each response is passed on, and reused or not."""
        for fields, fresh in cases:
            seen = await self.twice(fields, **asked)
            self.assertEqual([200, 200], [got.status for got in seen], fields)
            self.assertEqual(seen[0].body, seen[1].body, fields)
            self.assertEqual(fresh, seen[1].cache == "HIT", fields)


class FreshnessTests(Rfc):
    """Sections 4.2 and 5.2.2."""

    async def test_max_age(self) -> None:
        """5.2.2.1, 4.2.1: delta-seconds, quoted as well; what is none makes stale."""
        await self.compare(
            [
                (control(HOUR), True),
                (control("MAX-AGE=3600"), True),
                (control('max-age="3600"'), True),
                (control(", ,max-age=3600,,"), True),
                (control("max-age=0"), False),
                (control("max-age='3600'"), False),
                (control("max-age =3600"), False),
                (control("max-age= 3600"), False),
                (control("max-age=-1"), False),
                (control("max-age=1.5"), False),
                (control("max-age=a3600"), False),
                (control("max-age=3600a"), False),
                (control("max-age=abc", Expires=date(1000)), False),
            ]
        )

    async def test_several_lines(self) -> None:
        """RFC 9110 5.3, 5.6: several lines are one list; a quote that never ends hides nothing."""
        await self.setUpShield()
        for lines, fresh in (
            (("Cache-Control: max-age=3600", "Cache-Control: no-store"), False),
            (("Cache-Control: no-store", "Cache-Control: max-age=3600"), False),
            (("Cache-Control: foo", "Cache-Control: max-age=3600"), True),
            (('Cache-Control: foo="bar', 'Cache-Control: no-store", max-age=3600'), True),
            (('Cache-Control: max-age=3600, foo="bar, no-store',), False),
            (('Cache-Control: max-age=3600, foo="bar',), True),
            (("Cache-Control:\tmax-age=3600 \t",), True),
            (("cAcHe-CoNtRoL:max-age=3600",), True),
            (("Cache-Control: max-age=3600", "Expires: 0", "Expires: 0"), True),
            (("Cache-Control: max-age=3600", "Age: 0", "Age: 7200"), True),
            (("Cache-Control: max-age=3600", "Age: 7200", "Age: 0"), False),
            (("Cache-Control: max-age=3600", "Vary: Foo", "Vary: *"), False),
            (("Cache-Control: max-age=3600", "Vary:"), True),
            ((f"Expires: {date(100)}", f"Expires: {date(900)}"), False),
            (("CDN-Cache-Control: max-age=3600", "CDN-Cache-Control: no-store"), False),
            (("CDN-Cache-Control: max-age=3600", "CDN-Cache-Control: max-age=0"), False),
        ):
            self.number += 1
            path = f"/{self.number}"
            head = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n" + "".join(f"{x}\r\n" for x in lines)
            self.origin.answers[path] = raw(head.encode() + b"\r\nx")
            await self.get(path)
            self.assertEqual(fresh, (await self.get(path)).cache == "HIT", lines)

    async def test_delta_seconds_overflow(self) -> None:
        """1.2.2: what is larger than we can count is very long, not very short."""
        for value in (2**31, 2**63, 10**30):
            await self.compare([(control(f"max-age={value}"), True)])

    async def test_repeated(self) -> None:
        """4.2.1: of several values the first, or none: never the longer one."""
        await self.compare(
            [
                (control("max-age=3600, max-age=3600"), True),
                (control("max-age=0, max-age=3600"), False),
                (control("s-maxage=0, s-maxage=3600"), False),
            ]
        )

    async def test_precedence(self) -> None:
        """4.2.1: s-maxage, then max-age, then Expires."""
        await self.compare(
            [
                (control("max-age=0, s-maxage=3600"), True),
                (control("s-maxage=0, max-age=3600"), False),
                (control("s-maxage=3600", Expires=date(-1000)), True),
                (control(HOUR, Expires=date(-1000)), True),
                (control("max-age=0", Expires=date(1000)), False),
            ]
        )

    async def test_extensions(self) -> None:
        """5.2.3: directives that nobody knows are nothing, whatever they quote."""
        await self.compare(
            [
                (control("foo=bar, max-age=3600"), True),
                (control('foo="bar, max-age=0", max-age=3600'), True),
                (control('foo="no-store", max-age=3600'), True),
                (control("no-transform, immutable, max-age=3600"), True),
            ]
        )

    async def test_expires(self) -> None:
        """5.3: an HTTP date, and what is none has passed already."""
        await self.compare(
            [
                ({"Expires": date(3600)}, True),
                ({"Expires": date(3600), "Date": date(0)}, True),
                ({"Expires": "Thu, 18 Aug 2050 02:01:18 GMT"}, True),
                ({"Expires": date(-3600)}, False),
                ({"Expires": date(100), "Date": date(200)}, False),
                ({"Expires": date(5000), "Date": date(5000)}, False),
                ({"Expires": "0"}, False),
                ({"Expires": "-1"}, False),
                ({"Expires": "tomorrow"}, False),
                ({"Expires": "Thu, 18 Aug 2050 2:01:18 GMT"}, False),
                ({"Expires": "Thu, 18 Aug 2050 02:01:18"}, False),
                ({"Expires": "Thu, 18 Aug 2050 02:01:18 UTC"}, False),
                ({"Expires": "Thu, 18-Aug-50 02:01:18 GMT"}, False),
            ]
        )

    async def test_obsolete_dates(self) -> None:
        """RFC 9110 5.6.7: the two obsolete forms are read too."""
        soon = time.gmtime(time.time() + 3600)
        await self.compare(
            [
                ({"Expires": time.strftime("%A, %d-%b-%y %H:%M:%S GMT", soon)}, True),
                ({"Expires": time.asctime(soon)}, True),
            ]
        )

    async def test_heuristic(self) -> None:
        """4.2.2: from Last-Modified, only for statuses that allow it, and not with nothing."""
        old = {"Last-Modified": AGO}
        await self.compare(
            [
                (old, True),
                ({"Last-Modified": date(-1)}, False),
                ({"Last-Modified": date(100_000)}, False),
                ({}, False),
                (control("public"), False),
            ]
        )
        for status in (203, 204, 300, 301, 308, 404, 405, 410, 414, 501):
            self.assertEqual("HIT", (await self.twice(old, status))[1].cache, status)
        for status in (201, 202, 302, 303, 307, 400, 403, 418, 500, 502, 503, 504):
            self.assertEqual("MISS", (await self.twice(old, status))[1].cache, status)

    async def test_age(self) -> None:
        """4.2.3, 5.1: what has aged before counts; of a list the first, of nonsense nothing."""
        for value, fresh in (
            *(("0", True), ("3000", True), ("3600", False), ("3601", False)),
            *(("7200, 0", False), ("0, 7200", True), ("99999999999999999999", False)),
            *(("-7200", True), ("7200.0", True), ("abc", True), ("a7200", True), ("", True)),
        ):
            await self.compare([(control(HOUR, Age=value), fresh)])

    async def test_apparent_age(self) -> None:
        """4.2.3: the Date counts as well, unless it is no date or in the future."""
        await self.compare(
            [
                (control(HOUR, Date=date(-7200)), False),
                (control(HOUR, Date=date(-1800)), True),
                (control(HOUR, Date=date(-10), Age="3600"), False),
                (control(HOUR, Date=date(7200)), True),
                (control(HOUR, Date="foo"), True),
            ]
        )

    async def test_date_is_told(self) -> None:
        """RFC 9110 6.6.1: the origin's Date; where there is none, or nonsense, when it came."""
        for said in (date(-50), "junk", None):
            before = int(time.time())
            seen = await self.twice(control(HOUR, **({"Date": said} if said else {})))
            for got in seen:
                told = got.headers["date"]
                if said is not None and said != "junk":
                    self.assertEqual(said, told)
                else:
                    self.assertGreaterEqual(parsedate_to_datetime(told).timestamp(), before)
            self.assertEqual(seen[0].headers["date"], seen[1].headers["date"])

    async def test_age_is_told(self) -> None:
        """4, 5.1: what comes from the store says its age, with what it had before."""
        first, second = await self.twice(control(HOUR, Age="100"))
        self.assertEqual("100", first.headers["age"])
        self.assertIn(int(second.headers["age"]), (100, 101, 102))

    async def test_pragma(self) -> None:
        """5.4: in a response it means nothing."""
        await self.compare([(control(HOUR, Pragma="no-cache"), True)])

    async def test_targeted(self) -> None:
        """RFC 9213: CDN-Cache-Control rules alone where it is valid and not empty."""

        def targeted(value: str, **fields: str) -> dict[str, str]:
            return {"CDN-Cache-Control": value, **control("max-age=0", **fields)}

        fresh = {"Cache-Control": HOUR}
        await self.compare(
            [
                (targeted(HOUR), True),
                (targeted("max-age=3600;a=b"), True),
                (targeted(HOUR, Expires=date(-100)), True),
                ({"CDN-Cache-Control": HOUR, "Cache-Control": "no-store"}, True),
                ({"CDN-Cache-Control": "max-age=0", **fresh}, False),
                ({"CDN-Cache-Control": "max-age=0", "Cache-Control": "s-maxage=3600"}, False),
                ({"CDN-Cache-Control": "no-store", **fresh}, False),
                ({"CDN-Cache-Control": "private", **fresh}, False),
                ({"CDN-Cache-Control": "no-cache, max-age=3600"}, False),
                ({"CDN-Cache-Control": "max-age=abc=", **fresh}, True),
                ({"CDN-Cache-Control": "", **fresh}, True),
            ]
        )


class StoringTests(Rfc):
    """Section 3."""

    async def test_forbidden(self) -> None:
        """3, 5.2.2.5, 5.2.2.7, 5.2.2.4: no-store, private; no-cache is asked about each time."""
        await self.compare(
            [
                (control("no-store, max-age=3600"), False),
                (control("No-StoRe, max-age=3600"), False),
                (control("private, max-age=3600"), False),
                (control("no-cache, max-age=3600"), False),
                (control('private="x-a", max-age=3600'), True),
                (control("must-revalidate, max-age=3600"), True),
                (control("proxy-revalidate, max-age=3600"), True),
            ]
        )

    async def test_named_fields(self) -> None:
        """5.2.2.4, 5.2.2.7: fields that no-cache or private name are not given to others."""
        for directive in ("no-cache", "private"):
            first, second = await self.twice(
                control(f'{directive}="X-A", {HOUR}', X_A="1", X_B="2")
            )
            self.assertEqual(("1", "2"), (first.headers["x-a"], first.headers["x-b"]))
            self.assertEqual((None, "2"), (second.headers.get("x-a"), second.headers["x-b"]))

    async def test_must_understand(self) -> None:
        """5.2.2.3: with a status that is understood it overrides no-store, with others it forbids."""
        understood = control(f"no-store, must-understand, {HOUR}")
        await self.compare([(understood, True)])
        for fields in (understood, control(f"must-understand, {HOUR}")):
            self.assertEqual("MISS", (await self.twice(fields, 299))[1].cache)

    async def test_statuses(self) -> None:
        """3, RFC 9110 15.1: every final status with a lifetime is stored, known or not."""
        for status in (
            *(200, 201, 202, 203, 204, 207, 226, 299, 300, 301, 302, 303, 305, 307, 308),
            *(400, 402, 403, 404, 405, 406, 408, 409, 410, 411, 412, 413, 414, 415, 417, 418, 421),
            *(422, 423, 424, 425, 426, 451, 499, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510),
            599,
        ):
            first, second = await self.twice(control(HOUR), status)
            self.assertEqual((status, "HIT"), (second.status, second.cache), status)
            self.assertEqual((status, first.body), (first.status, second.body))

    async def test_statuses_never_stored(self) -> None:
        """RFC 6585: 428, 429, 431, 511 must not be; a 416 is one request's own."""
        for status in (416, 428, 429, 431, 511):
            self.assertEqual("MISS", (await self.twice(control(HOUR), status))[1].cache, status)

    async def test_authorization(self) -> None:
        """3.5: only with public, s-maxage or must-revalidate."""
        await self.compare(
            [
                (control(HOUR), False),
                (control("public, max-age=3600"), True),
                (control("s-maxage=3600"), True),
                (control("must-revalidate, max-age=3600"), True),
            ],
            authorization="Bearer x",
        )

    async def test_connection_fields(self) -> None:
        """3.1: neither what Connection names nor the connection's own is stored or passed on."""
        names = ("X-Hop", "Keep-Alive", "Proxy-Authenticate", "TE", "Upgrade", "Proxy-Connection")
        fields = dict.fromkeys(names, "x")
        seen = await self.twice(control(HOUR, Connection="X-Hop", X_Kept="k", **fields))
        for got in seen:
            self.assertEqual("k", got.headers["x-kept"])
            for name in names:
                self.assertNotIn(name.lower(), got.headers)

    async def test_unknown_fields(self) -> None:
        """3.1: all other fields are stored, also those that nobody knows, repeated ones too."""
        seen = await self.twice(control(HOUR, Foo="1", Link="</a>", Warning="199 - x"))
        for got in seen:
            values = [got.headers[name] for name in ("foo", "link", "warning")]
            self.assertEqual(["1", "</a>", "199 - x"], values)

    async def test_incomplete(self) -> None:
        """3.3: a body that was cut short is not stored as whole, nor ended as if it were."""
        await self.setUpShield()
        head = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\nContent-Length: 100000\r\n\r\n"
        self.origin.answers["/cut"] = [raw(head + b"x" * 50_000, close=True), answer(body=b"whole")]
        self.assertFalse((await self.get("/cut")).whole)
        self.assertEqual(b"whole", (await self.get("/cut")).body)

    async def test_until_close(self) -> None:
        """3.3: a body that ends with its connection is whole, when that ends in good order."""
        await self.setUpShield()
        head = b"HTTP/1.%d 200 OK\r\nCache-Control: max-age=3600\r\n\r\nbody"
        for version in (0, 1):
            self.origin.answers[f"/{version}"] = raw(head % version, close=True)
            seen = [await self.get(f"/{version}") for _ in range(2)]
            self.assertEqual([b"body"] * 2, [got.body for got in seen])
            self.assertEqual("HIT", seen[1].cache)


class SelectionTests(Rfc):
    """Section 4.1."""

    async def test_star(self) -> None:
        """`*` never matches, wherever it stands."""
        for value in ("*", "Foo, *", "*, Foo"):
            await self.compare([(control(HOUR, Vary=value), False)])

    async def test_match(self) -> None:
        """Equal fields, absent ones too; blanks apart; names in any case; several lines are one."""
        fields = control(HOUR, Vary="Foo, BAR")
        for one, other, same in (
            ({}, {}, True),
            ({"foo": "1"}, {"foo": "1"}, True),
            ({"foo": "1", "bar": "2"}, {"bar": "2", "foo": "1"}, True),
            ({"foo": "1"}, {"foo": "2"}, False),
            ({"foo": "1"}, {}, False),
            ({}, {"bar": "1"}, False),
            ({"foo": "1, 2"}, {"foo": "1,2"}, True),
            ({"foo": "1", "baz": "1"}, {"foo": "1", "baz": "2"}, True),
        ):
            await self.setUpShield()
            self.number += 1
            self.origin.answers[f"/{self.number}"] = answer(headers=fields)
            await self.get(f"/{self.number}", **one)
            got = await self.get(f"/{self.number}", **other)
            self.assertEqual(same, got.cache == "HIT", (one, other))

    async def test_vary_that_changes(self) -> None:
        """4.1: the Vary of what is stored selects it; one without any is for everybody."""
        await self.setUpShield()
        self.origin.answers["/v"] = [
            answer(body=b"1", headers=control(HOUR, Vary="Foo")),
            answer(body=b"2", headers=control(HOUR)),
        ]
        seen = [await self.get("/v", foo=foo) for foo in ("1", "2", "1", "3")]
        self.assertEqual([b"1", b"2", b"2", b"2"], [got.body for got in seen])

    async def test_several_variants(self) -> None:
        """4.1: each is kept, absent and empty fields apart; order matters where it may."""
        await self.setUpShield()
        answers = [answer(body=b"%d" % n, headers=control(HOUR, Vary="Foo")) for n in range(6)]
        self.origin.answers["/w"] = list(answers)
        asked: list[dict[str, str]] = [{"foo": "1"}, {"foo": "2"}, {}, {"foo": ""}]
        asked += [{"foo": "1, 2"}, {"foo": "2, 1"}]
        for status in ("MISS", "HIT"):
            for number, fields in enumerate(asked):
                got = await self.get("/w", **fields)
                self.assertEqual((status, b"%d" % number), (got.cache, got.body), fields)


class ValidationTests(Rfc):
    """Section 4.3."""

    async def stale(self, *answers: tuple[int, dict[str, str]], requests: int = 3) -> list[Got]:
        """What clients get of a response that is stale at once, and what comes after it."""
        await self.setUpShield()
        self.origin.asked.clear()
        self.number += 1
        path = f"/{self.number}"
        self.origin.answers[path] = [
            answer(status, b"" if status == 304 else b"%d" % number, fields)
            for number, (status, fields) in enumerate(answers)
        ]
        return [await self.get(path) for _ in range(requests)]

    async def test_validators(self) -> None:
        """4.3.1: the entity tag as it was sent, weak or not; Last-Modified; both."""
        for fields in (
            {"ETag": '"a"'},
            {"ETag": 'W/"a"'},
            {"Last-Modified": AGO},
            {"ETag": '"a"', "Last-Modified": AGO},
        ):
            seen = await self.stale(
                (200, control("max-age=0") | fields), (304, control(HOUR) | fields)
            )
            self.assertEqual(["MISS", "REVALIDATED", "HIT"], [got.cache for got in seen], fields)
            asked = self.origin.asked[1].headers
            self.assertEqual(fields.get("ETag"), asked.get("if-none-match"))
            self.assertEqual(fields.get("Last-Modified"), asked.get("if-modified-since"))

    async def test_not_modified_updates(self) -> None:
        """3.2, 4.3.4: a 304's fields replace the stored ones, but for those of the bytes."""
        seen = await self.stale(
            (200, control("max-age=0", ETag='"a"', X_Old="1", X_Kept="k", Content_Type="text/a")),
            (
                304,
                control(
                    HOUR,
                    ETag='"a"',
                    X_Old="2",
                    X_New="n",
                    Content_Type="text/b",
                    Content_Encoding="gzip",
                    Content_Length="999",
                ),
            ),
        )
        for got in seen[1:]:
            values = [got.headers.get(name) for name in ("x-old", "x-new", "x-kept")]
            self.assertEqual(["2", "n", "k"], values)
            self.assertEqual((b"0", "1"), (got.body, got.headers["content-length"]))
            self.assertEqual("text/b", got.headers["content-type"])
            self.assertNotIn("content-encoding", got.headers)

    async def test_vary_of_the_validation(self) -> None:
        """4.1, 3.2: a Vary that a 304 brings selects from then on, whoever else waits for it."""
        await self.setUpShield()
        fields = {"ETag": '"a"'}
        for vary, status in (("Foo", "HIT"), ("*", "MISS")):
            held: list[Any] = []
            fresh = answer(body=b"2", headers=control(HOUR, Vary=vary, ETag='"b"'))
            path = f"/{vary}"
            self.origin.answers[path] = [
                answer(body=b"1", headers=control("max-age=0") | fields),
                lambda connection, asked, held=held: held.append((connection, asked)),
                fresh,
            ]
            await self.get(path, foo="1")
            clients = [await self.connect() for _ in range(2)]
            for number, client in enumerate(clients, 1):
                lines = f"Host: h\r\nFoo: {number}\r\n\r\n"
                client.send(f"GET {path} HTTP/1.1\r\n{lines}".encode())
                await until(lambda held=held: held, "the first to be asked for")
            await self.get("/other")  # by now the second has been read
            answer(304, b"", control(HOUR, Vary=vary) | fields)(*held[0])
            first, second = [await client.take() for client in clients]
            self.assertEqual((b"1", "REVALIDATED"), (first.body, first.cache))
            self.assertEqual(b"2", second.body)
            got = await self.get(path, foo="2")
            self.assertEqual((b"2", status), (got.body, got.cache))

    async def test_vary_of_a_head(self) -> None:
        """4.3.5: so does one that a HEAD's answer brings."""
        await self.setUpShield()
        fields = {"ETag": '"a"'}
        self.origin.answers["/h"] = [
            answer(headers=control("max-age=0") | fields),
            answer(headers=control(HOUR, Vary="Foo") | fields),
        ]
        await self.get("/h", foo="1")
        await self.get("/h", "HEAD", foo="1")
        self.assertEqual("MISS", (await self.get("/h", foo="2")).cache)

    async def test_first_tag(self) -> None:
        """4.3.4: a 304 with the stored Last-Modified is about it, though the tag is new."""
        dated = {"Last-Modified": AGO}
        seen = await self.stale(
            (200, control("max-age=0") | dated), (304, control(HOUR, ETag='"a"') | dated)
        )
        self.assertEqual(["MISS", "REVALIDATED", "HIT"], [got.cache for got in seen])
        self.assertEqual('"a"', seen[2].headers["etag"])

    async def test_replaced(self) -> None:
        """4.3.3: a whole answer takes the place of what was stored."""
        seen = await self.stale((200, control("max-age=0", ETag='"a"')), (200, control(HOUR)))
        self.assertEqual([b"0", b"1", b"1"], [got.body for got in seen])
        self.assertEqual(["MISS", "EXPIRED", "HIT"], [got.cache for got in seen])

    async def test_server_error(self) -> None:
        """4.3.3: a 5xx is no answer to the question: what is stored stays, to be asked about."""
        seen = await self.stale(
            (200, control("no-cache", ETag='"a"')),
            (500, {}),
            (304, control("no-cache", ETag='"a"')),
        )
        self.assertEqual([200, 500, 200], [got.status for got in seen])
        self.assertEqual((b"0", "REVALIDATED"), (seen[2].body, seen[2].cache))

    async def test_conditional_requests(self) -> None:
        """4.3.2: what is stored answers If-None-Match, and without it If-Modified-Since."""
        await self.setUpShield()
        fields = control(HOUR, ETag='"a"', Last_Modified=AGO, Vary="Foo", Expires=date(100))
        self.origin.answers["/c"] = answer(headers=fields)
        await self.get("/c")
        later, earlier = "Wed, 02 Mar 2022 12:00:00 GMT", "Mon, 28 Feb 2022 12:00:00 GMT"
        for condition, status in (
            ({"if_none_match": '"a"'}, 304),
            ({"if_none_match": 'W/"a"'}, 304),
            ({"if_none_match": '"b", "a"'}, 304),
            ({"if_none_match": "*"}, 304),
            ({"if_none_match": "a"}, 200),
            ({"if_none_match": '"b"'}, 200),
            ({"if_modified_since": AGO}, 304),
            ({"if_modified_since": later}, 304),
            ({"if_modified_since": earlier}, 200),
            ({"if_modified_since": "junk"}, 200),
            ({"if_none_match": '"b"', "if_modified_since": later}, 200),
            ({"if_none_match": '"a"', "if_modified_since": earlier}, 304),
        ):
            got = await self.get("/c", **condition)
            self.assertEqual((status, "HIT"), (got.status, got.cache), condition)
            for name in ("etag", "cache-control", "date", "vary", "expires", "age"):
                self.assertIn(name, got.headers)
        self.assertEqual(1, len(self.origin.asked))

    async def test_head(self) -> None:
        """4.3.5: a stored GET answers a HEAD; a HEAD's answer brings a stale GET up to date."""
        await self.setUpShield()
        self.origin.answers["/h"] = [
            answer(headers=control("max-age=0", ETag='"a"')),
            answer(headers=control(HOUR, ETag='"a"', X_New="n")),
        ]
        await self.get("/h")
        self.assertEqual(200, (await self.get("/h", "HEAD")).status)
        self.assertEqual("HEAD", self.origin.asked[-1].method)
        got = await self.get("/h")
        self.assertEqual(("HIT", b"hello", "n"), (got.cache, got.body, got.headers["x-new"]))
        self.assertEqual("HIT", (await self.get("/h", "HEAD")).cache)


class StaleTests(Rfc):
    """Section 4.2.4, and RFC 5861."""

    async def failing(self, directives: str, *failures: object) -> Got:
        """What the second client gets, when the origin has begun to fail."""
        await self.setUpShield()
        self.number += 1
        path = f"/{self.number}"
        stored = answer(headers=control(directives, ETag='"a"'))
        self.origin.answers[path] = [stored, *failures]
        await self.get(path)
        return await self.get(path)

    async def test_forbidden(self) -> None:
        """5.2.2.2, 5.2.2.8, 5.2.2.10: 504, not a stale response, when the origin is not there."""
        for directive in ("must-revalidate", "proxy-revalidate", "s-maxage=0", "no-cache"):
            got = await self.failing(f"max-age=0, {directive}", raw(b"", close=True))
            self.assertEqual(504, got.status, directive)
            got = await self.failing(f"max-age=0, {directive}", answer(503))
            self.assertEqual(503, got.status, directive)

    async def test_origin_gone(self) -> None:
        """4.2.4: without that a stale one may be sent when the origin cannot be reached."""
        got = await self.failing("max-age=0", raw(b"", close=True))
        self.assertEqual((200, "STALE"), (got.status, got.cache))

    async def test_stale_if_error(self) -> None:
        """RFC 5861 4: while it lasts, and no longer."""
        for seconds, status in ((100, 200), (0, 503)):
            got = await self.failing(f"max-age=0, stale-if-error={seconds}", answer(503))
            self.assertEqual(status, got.status, seconds)

    async def test_stale_while_revalidate(self) -> None:
        """RFC 5861 3: the stale one at once, and one request for a new one behind it."""
        got = await self.failing(
            "max-age=0, stale-while-revalidate=100", answer(headers=control(HOUR))
        )
        self.assertEqual((200, "STALE"), (got.status, got.cache))
        await self.until_idle()
        self.assertEqual("HIT", (await self.get(f"/{self.number}")).cache)
        self.assertEqual(2, len(self.origin.asked))

    async def test_only_if_cached(self) -> None:
        """5.2.1.7: 504 when nothing is stored; the origin is not asked."""
        await self.setUpShield()
        got = await self.get("/o", cache_control="only-if-cached")
        self.assertEqual((504, []), (got.status, self.origin.asked))


class RequestDirectiveTests(Rfc):
    """Section 5.2.1, which a cache MAY obey."""

    async def compare_requests(self, cases: list[tuple[str, str]]) -> None:
        """What X-Cache-Status is with each Cache-Control; what is stored is 100 of 200 s old."""
        for number, (directives, status) in enumerate(cases):
            fields = control("max-age=200", ETag='"a"', Age="100")
            self.origin.answers[f"/{number}"] = [
                answer(headers=fields),
                answer(304, b"", fields),
            ]
            await self.get(f"/{number}")
            got = await self.get(f"/{number}", cache_control=directives)
            self.assertEqual((200, status), (got.status, got.cache), directives)

    async def test_obeyed(self) -> None:
        """With `client_revalidate`: no-cache, max-age, min-fresh, max-stale, no-store."""
        await self.shield("client_revalidate = on")
        await self.compare_requests(
            [
                ("no-cache", "REVALIDATED"),
                ("max-age=0", "REVALIDATED"),
                ("max-age=50", "REVALIDATED"),
                ("max-age=150", "HIT"),
                ("min-fresh=50", "HIT"),
                ("min-fresh=150", "REVALIDATED"),
                ("max-stale", "HIT"),
                ("only-if-cached", "HIT"),
                ("no-store", "HIT"),
                ("foo, bar=baz", "HIT"),
            ]
        )
        for directives, stored in (("no-store", False), ("max-age=5", True)):
            path = f"/{directives}"
            self.origin.answers[path] = answer(headers=control(HOUR))
            await self.get(path, cache_control=directives)
            self.assertEqual(stored, (await self.get(path)).cache == "HIT", directives)
        self.origin.answers["/s"] = answer(headers=control("max-age=10", Age="20", ETag='"a"'))
        await self.get("/s")
        for directives, status in (("max-stale=5", "EXPIRED"), ("max-stale=1000", "STALE")):
            got = await self.get("/s", cache_control=directives)
            self.assertEqual(status, got.cache, directives)
        got = await self.get("/3", pragma="no-cache")
        self.assertEqual("REVALIDATED", got.cache)

    async def test_not_obeyed(self) -> None:
        """Without it what is fresh answers, whatever the client says: see the docs."""
        await self.shield()
        await self.compare_requests(
            [(directives, "HIT") for directives in ("no-cache", "max-age=0", "min-fresh=1000")]
        )


class InvalidationTests(Rfc):
    """Section 4.4."""

    async def changed(self, method: str, status: int, **fields: str) -> bool:
        """Whether a stored response is gone after this."""
        await self.setUpShield()
        self.number += 1
        path = f"/{self.number}"
        said = {name.replace("_", "-"): value for name, value in fields.items()}
        fresh = answer(headers=control(HOUR))
        self.origin.answers[path] = [fresh, answer(status, b"", said), fresh]
        await self.get(path)
        await self.get(path, method)
        return (await self.get(path)).cache != "HIT"

    async def test_unsafe(self) -> None:
        """A success of a method that is unsafe, or that nobody knows; not of a safe one."""
        for method in ("POST", "PUT", "DELETE", "PATCH", "BREW"):
            self.assertTrue(await self.changed(method, 200), method)
        for method in ("OPTIONS", "HEAD"):
            self.assertFalse(await self.changed(method, 200), method)

    async def test_only_success(self) -> None:
        """2xx and 3xx change something; errors do not."""
        for status in (200, 201, 204, 301, 302, 303):
            self.assertTrue(await self.changed("POST", status), status)
        for status in (400, 403, 404, 409, 500, 503):
            self.assertFalse(await self.changed("POST", status), status)

    async def test_named_resources(self) -> None:
        """Location and Content-Location as well, of the same origin."""
        await self.setUpShield()
        own = f"http://127.0.0.1:{self.origin.number}"
        for field in ("Location", "Content-Location"):
            for value, gone in (("/n", True), (f"{own}/n", True), ("http://other.test/n", False)):
                self.origin.answers["/n"] = answer(headers=control(HOUR))
                self.origin.answers["/p"] = answer(201, b"", {field: value})
                await self.get("/n")
                await self.get("/p", "POST")
                self.assertEqual(gone, (await self.get("/n")).cache != "HIT", (field, value))


class RangeTests(Rfc):
    """Section 3.4 and RFC 9110 section 14."""

    async def test_from_the_whole(self) -> None:
        """A stored response answers ranges; If-Range is obeyed; nonsense is the whole."""
        await self.setUpShield()
        fields = control(HOUR, ETag='"a"', Last_Modified=AGO)
        self.origin.answers["/r"] = answer(body=b"0123456789", headers=fields)
        await self.get("/r")
        for asked, status, body in (
            ({"range": "bytes=1-2"}, 206, b"12"),
            ({"range": "bytes=-2"}, 206, b"89"),
            ({"range": "bytes=7-"}, 206, b"789"),
            ({"range": "bytes=7-99"}, 206, b"789"),
            ({"range": "lines=1-2"}, 200, b"0123456789"),
            ({"range": "bytes=2-1"}, 200, b"0123456789"),
            ({"range": "bytes=1-2", "if_range": '"a"'}, 206, b"12"),
            ({"range": "bytes=1-2", "if_range": '"b"'}, 200, b"0123456789"),
            ({"range": "bytes=1-2", "if_range": 'W/"a"'}, 200, b"0123456789"),
            ({"range": "bytes=1-2", "if_range": AGO}, 206, b"12"),
        ):
            got = await self.get("/r", **asked)
            self.assertEqual((status, body, "HIT"), (got.status, got.body, got.cache), asked)
        got = await self.get("/r", range="bytes=10-")
        self.assertEqual((416, "bytes */10"), (got.status, got.headers["content-range"]))
        self.assertEqual(1, len(self.origin.asked))

    async def test_conditions_come_first(self) -> None:
        """RFC 9110 13.2.2: a range is of what the conditions leave; If-Match is not for a cache."""
        await self.setUpShield()
        self.origin.answers["/c"] = answer(body=b"0123456789", headers=control(HOUR, ETag='"a"'))
        await self.get("/c")
        for asked, status, body in (
            ({"if_none_match": '"a"'}, 304, b""),
            ({"if_none_match": '"b"'}, 206, b"12"),
            ({"if_none_match": '"a"', "if_range": '"b"'}, 304, b""),
            ({"if_match": '"b"'}, 206, b"12"),
        ):
            got = await self.get("/c", range="bytes=1-2", **asked)
            self.assertEqual((status, body), (got.status, got.body), asked)
        self.assertEqual(1, len(self.origin.asked))

    async def test_small_parts(self) -> None:
        """3.4: a part without a whole block is the client's answer, and nobody else's.

        The origin is asked once for it, and for the whole by who wants the whole.
        """
        await self.setUpShield()
        for number, fields in enumerate(
            (control(HOUR), control(HOUR, ETag='"a"'), control("no-store"), {"Last-Modified": AGO})
        ):
            for asked, where, piece in (
                ("bytes=0-4", "0-4", b"01234"),
                ("bytes=1-2", "0-4", b"01234"),
                ("bytes=-5", "5-9", b"56789"),
            ):
                path = f"/{number}{asked}"
                self.origin.answers[path] = [
                    answer(206, piece, {**fields, "Content-Range": f"bytes {where}/10"}),
                    answer(body=b"0123456789", headers=fields),
                ]
                before = len(self.origin.asked)
                got = await self.get(path, range=asked)
                first, end = (5, 10) if where == "5-9" else (int(asked[6]), int(asked[8]) + 1)
                self.assertEqual((206, b"0123456789"[first:end]), (got.status, got.body), path)
                self.assertEqual(f"bytes {first}-{end - 1}/10", got.headers["content-range"])
                self.assertEqual(1, len(self.origin.asked) - before, path)
                got = await self.get(path)
                self.assertEqual((200, b"0123456789"), (got.status, got.body), path)

    async def test_parts_that_do_not_cover(self) -> None:
        """What the origin's part lacks it is asked for; several ranges are the origin's own."""
        await self.setUpShield()
        several = {"Content-Type": "multipart/byteranges; boundary=x"}
        for asked, first in (
            ("bytes=0-7", answer(206, b"01234", {"Content-Range": "bytes 0-4/10"})),
            ("bytes=0-1,3-4", answer(206, b"--x--", several)),
        ):
            self.origin.answers[f"/{asked}"] = [first, answer(206, b"own")]
            got = await self.get(f"/{asked}", range=asked)
            self.assertEqual((206, b"own"), (got.status, got.body))
            self.assertEqual(asked, self.origin.asked[-1].headers["range"])
