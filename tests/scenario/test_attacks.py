"""What clients and origins try, and what must not come of it.

Each case is a short story over real sockets: who sends what, and what nobody gets to see.
"""

from __future__ import annotations

import os

from .attack import FOR_LONG, Attack
from .harness import answer, raw

LARGE = os.urandom(400_000)


class SmugglingTests(Attack):
    """RFC 9112 section 11.2: one connection, one opinion about where requests end."""

    async def test_contradictory_framing_is_refused(self) -> None:
        """Each is answered 400 once, the connection closes, and nothing is forwarded."""
        self.echoing()
        await self.shield()
        smuggled = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
        chunked = b"0\r\n\r\n" + smuggled
        for name, fields in {
            "CL.TE": b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
            "TE.CL": b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
            "TE.TE, unknown coding last": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
            "TE with an unknown coding": b"Transfer-Encoding: xchunked\r\n",
            "TE, vertical tab": b"Transfer-Encoding: \x0bchunked\r\n",
            "TE, space before colon": b"Transfer-Encoding : chunked\r\n",
            "TE folded": b"Transfer-Encoding:\r\n chunked\r\n",
            "field folded": b"X-A: b\r\n Content-Length: 40\r\n",
            "two lengths": b"Content-Length: 0\r\nContent-Length: 40\r\n",
            "list of lengths": b"Content-Length: 0, 40\r\n",
            "signed length": b"Content-Length: +40\r\n",
            "hexadecimal length": b"Content-Length: 0x28\r\n",
            "huge length": b"Content-Length: 99999999999999999999999\r\n",
            "bare LF": b"X-A: b\nContent-Length: 40\r\n",
            "bare CR": b"X-A: b\rContent-Length: 40\r\n",
            "NUL": b"X-A: b\0\r\n",
            "no name": b": b\r\n",
            "two Hosts": b"Host: other\r\n",
        }.items():
            head = b"GET /a HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n"
            seen = await self.say(head + chunked)
            self.assertEqual([400], [got.status for got in seen], name)
            self.assertEqual([], self.origin.asked, name)

    async def test_bare_line_feeds_are_refused(self) -> None:
        """A head that ends with bare LF is none; what follows is not read as a request."""
        await self.shield()
        seen = await self.say(b"GET /a HTTP/1.1\nHost: h\n\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertEqual([400], [got.status for got in seen])
        self.assertEqual([], self.origin.asked)

    async def test_a_body_is_not_the_next_request(self) -> None:
        """GET with a Content-Length body: the body is dropped, the request after it served."""
        self.echoing()
        await self.shield()
        body = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
        seen = await self.say(
            b"GET /one HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body,
            b"GET /two HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        )
        self.assertEqual([b"/one", b"/two"], [got.body for got in seen])
        self.assertEqual(["/one", "/two"], self.origin.targets())
        self.assertNotIn("content-length", self.origin.asked[0].headers)

    async def test_a_chunked_body_ends_the_connection(self) -> None:
        """GET with chunks: answered, never forwarded with them, nothing read after them."""
        self.echoing()
        await self.shield()
        seen = await self.say(
            b"GET /one HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            b"GET /two HTTP/1.1\r\nHost: h\r\n\r\n",
        )
        self.assertEqual([b"/one"], [got.body for got in seen])
        self.assertNotIn("transfer-encoding", self.origin.asked[0].headers)
        self.assertEqual(["/one"], self.origin.targets())

    async def test_nothing_is_served_after_a_refusal(self) -> None:
        """A pipelined request behind one that was refused by the wire is dropped."""
        self.echoing()
        await self.shield()
        seen = await self.say(b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertEqual([400], [got.status for got in seen])
        self.assertEqual([], self.origin.asked)

    async def test_a_refused_target_keeps_the_order(self) -> None:
        """Behind a 400 of routing, whose end is known, the next answer is the next request's."""
        self.echoing()
        await self.shield("methods = GET")
        seen = await self.say(
            b"GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n"
            b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nGET"
            b"GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        )
        self.assertEqual([400, 405, 200], [got.status for got in seen])
        self.assertEqual(["/b"], self.origin.targets())

    async def test_head_has_no_body_whatever_is_asked(self) -> None:
        """HEAD with Range or conditions, of stored and absent things: never a byte of body."""
        self.origin.answers["/a"] = answer(body=b"0123456789", headers={"ETag": '"e"', **FOR_LONG})
        self.origin.answers["/l"] = answer(body=LARGE, headers={"ETag": '"e"', **FOR_LONG})
        await self.shield()
        for _ in range(2):
            for target in (b"/a", b"/l", b"/none", b"/%zz"):
                for field in (
                    b"X: y",
                    b"Range: bytes=2-4",
                    b"Range: bytes=99999999-",
                    b"If-None-Match: *",
                    b"If-Match: nothing",
                ):
                    client = await self.connect()
                    head = b"HEAD %b HTTP/1.1\r\nHost: h\r\n%b\r\nConnection: close\r\n\r\n"
                    client.send(head % (target, field))
                    got = await client.take(head_only=True)
                    while await client.more():
                        pass
                    self.assertEqual(b"", client.buffer, (target, field, got.status))
            await self.get("/a")
            await self.get("/l")


class OriginFramingTests(Attack):
    """What an origin says of where its answer ends is judged as strictly."""

    async def test_contradictory_answers_are_not_believed(self) -> None:
        """Neither passed on as whole nor stored, and what follows is no answer to anybody."""
        bad = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\n"
        evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nCache-Control: max-age=99\r\n\r\nEVIL"
        cases = {
            "CL and TE": bad + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "two lengths": bad + b"Content-Length: 3\r\nContent-Length: 0\r\n\r\nabc",
            "unknown coding": bad + b"Transfer-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
            "bare CR": bad + b"X-A: b\rSet-Cookie: c\r\nContent-Length: 3\r\n\r\nabc",
            "folded": bad + b"X-A: b\r\n c\r\nContent-Length: 3\r\n\r\nabc",
            "not HTTP": b"ICY 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        }
        for number, data in enumerate(cases.values()):
            self.origin.answers[f"/{number}"] = [raw(data + evil, close=True), answer(body=b"good")]
        self.origin.answers["/next"] = answer(body=b"next")
        await self.shield()
        for number, name in enumerate(cases):
            first = await self.get(f"/{number}")
            self.assertNotIn(b"EVIL", first.body, name)
            self.assertNotIn("set-cookie", first.headers, name)
            self.assertEqual(b"next", (await self.get("/next")).body, name)
            again = await self.get(f"/{number}")
            self.assertEqual(("MISS", b"good"), (again.cache, again.body), name)

    async def test_a_second_answer_is_nobodys(self) -> None:
        """Bytes behind a whole answer spoil the connection, never the next request."""
        evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nCache-Control: max-age=99\r\n\r\nEVIL"
        self.origin.answers["/a"] = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + evil)
        self.origin.answers["/b"] = answer(body=b"good")
        await self.shield()
        self.assertEqual(b"ok", (await self.get("/a")).body)
        self.assertEqual(b"good", (await self.get("/b")).body)

    async def test_values_are_not_heads(self) -> None:
        """A field value that only looks like line breaks reaches clients as one value."""
        value = "a%0d%0aSet-Cookie: c"
        self.origin.answers["/a"] = answer(headers={"X-Own": value, **FOR_LONG})
        await self.shield()
        for _ in range(2):
            got = await self.get("/a")
            self.assertEqual(value, got.headers["x-own"])
            self.assertNotIn("set-cookie", got.headers)

    async def test_the_origin_does_not_say_hit(self) -> None:
        """X-Cache-Status and Age of a hit are this cache's word alone."""
        fields = {"X-Cache-Status": "FORGED", "Age": "5", "Cache-Control": "max-age=100"}
        self.origin.answers["/a"] = answer(headers=fields)
        await self.shield()
        await self.get("/a")
        got = await self.get("/a")
        self.assertEqual("HIT", got.cache)
        self.assertEqual(1, [name for name, _ in got.lines].count("age"))
