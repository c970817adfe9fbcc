"""HEAD, conditions, ranges, refusals: what a client gets of what is there."""

from __future__ import annotations

import os

from .harness import Scenario, answer

LARGE = os.urandom(300_000)
DATE = "Mon, 23 Nov 2026 00:00:00 GMT"


class DeliveryTests(Scenario):
    async def both(self, body: bytes, **headers: str):
        """The same request as a miss and as a hit."""
        fields = {"ETag": '"e"', "Last-Modified": DATE, "Cache-Control": "max-age=100"}
        self.origin.answers["/a"] = answer(body=body, headers=fields)
        await self.shield()
        return await self.get("/a", **headers), await self.get("/a", **headers)

    async def test_range_of_a_short_body(self) -> None:
        """One range: 206 with Content-Range, on the miss and on the hit alike."""
        for got in await self.both(b"0123456789", range="bytes=2-4"):
            self.assertEqual((206, b"234"), (got.status, got.body))
            self.assertEqual("bytes 2-4/10", got.headers["content-range"])
            self.assertEqual("3", got.headers["content-length"])

    async def test_range_of_a_long_body(self) -> None:
        """The same where the body is in a file."""
        for got in await self.both(LARGE, range="bytes=100000-199999"):
            self.assertEqual(206, got.status)
            self.assertEqual(LARGE[100000:200000], got.body)

    async def test_long_body(self) -> None:
        """A body past the inline limit comes back whole, from the fill and from its file."""
        first, second = await self.both(LARGE)
        self.assertEqual([LARGE, LARGE], [first.body, second.body])
        self.assertEqual(["MISS", "HIT"], [first.cache, second.cache])

    async def test_threads(self) -> None:
        """The disk's threads are there before a body is: the loop never waits for one to start."""
        await self.shield()
        before = list(self.serving._threads.threads)
        self.assertEqual(8, len(before))
        self.origin.answers["/a"] = answer(body=LARGE, headers={"Cache-Control": "max-age=100"})
        await self.together(*[self.get("/a") for _ in range(4)])
        self.assertEqual(before, list(self.serving._threads.threads))

    async def test_body_file_at_once(self) -> None:
        """What is answered from a body file in one piece says what longer answers say."""
        body = LARGE[:100_000]
        await self.both(body)
        for headers, status, expected in (
            ({}, 200, body),
            ({"range": "bytes=10-59999"}, 206, body[10:60_000]),
            ({"range": "bytes=-70"}, 206, body[-70:]),
            ({"range": "bytes=99950-200000"}, 206, body[99_950:]),
            ({"range": "bytes=100000-"}, 416, None),
            ({"range": "bytes=5-4"}, 200, body),
            ({"if_none_match": '"e"'}, 304, b""),
            ({"if_none_match": '"f"', "range": "bytes=0-49"}, 206, body[:50]),
        ):
            got = await self.get("/a", **headers)
            self.assertEqual((status, "HIT"), (got.status, got.cache), headers)
            if expected is not None:
                self.assertTrue(got.body == expected, headers)
            if status == 206:
                start = body.index(expected)
                said = f"bytes {start}-{start + len(expected) - 1}/{len(body)}"
                self.assertEqual(said, got.headers["content-range"])
                self.assertEqual(str(len(expected)), got.headers["content-length"])
            head = await self.get("/a", "HEAD", **headers)
            self.assertEqual((304 if status == 304 else 200, b""), (head.status, head.body))
        several = await self.get("/a", range="bytes=0-9,50-59")
        self.assertEqual(206, several.status)
        self.assertIn(body[50:60], several.body)

    async def test_unsatisfiable_range(self) -> None:
        """416 says how long the body is."""
        for got in await self.both(b"0123456789", range="bytes=10-"):
            self.assertEqual((416, "bytes */10"), (got.status, got.headers["content-range"]))

    async def test_if_range(self) -> None:
        """A range of another version is not sent: the whole is."""
        for got in await self.both(b"0123456789", range="bytes=2-4", if_range='"other"'):
            self.assertEqual((200, b"0123456789"), (got.status, got.body))

    async def test_if_none_match(self) -> None:
        """304 when the client has it, with the validator and without a body."""
        for got in await self.both(b"0123456789", if_none_match='"x", "e"'):
            self.assertEqual((304, '"e"'), (got.status, got.headers["etag"]))
            self.assertNotIn("content-type", got.headers)

    async def test_if_modified_since(self) -> None:
        """304 by date, but If-None-Match goes first (RFC 9110 13.2.2)."""
        for got in await self.both(b"0123456789", if_modified_since=DATE):
            self.assertEqual(304, got.status)
        got = await self.get("/a", if_modified_since=DATE, if_none_match='"other"')
        self.assertEqual(200, got.status)

    async def test_if_match_is_not_the_caches(self) -> None:
        """If-Match is the origin's to judge, not a cache's (RFC 9111 4.3.2): the body comes."""
        for got in await self.both(b"0123456789", if_match='"other"'):
            self.assertEqual((200, b"0123456789"), (got.status, got.body))

    async def test_conditions_of_clients_stay_here(self) -> None:
        """Our own validators go to the origin, never the client's; nor its Range."""
        await self.both(b"0123456789", if_none_match='"q"', range="bytes=1-2")
        self.assertNotIn("if-none-match", self.origin.asked[0].headers)
        # A part is asked for in whole blocks.
        self.assertEqual("bytes=0-1048575", self.origin.asked[0].headers["range"])

    async def test_head_of_a_stored_get(self) -> None:
        """HEAD is answered from the stored GET: its head, no body."""
        await self.both(LARGE)
        got = await self.get("/a", "HEAD")
        self.assertEqual((200, "HIT"), (got.status, got.cache))
        self.assertEqual(str(len(LARGE)), got.headers["content-length"])
        self.assertEqual(1, len(self.origin.asked))

    async def test_head_on_a_miss(self) -> None:
        """A HEAD on a miss is a real HEAD, and leaves nothing that a GET could get."""
        self.origin.answers["/a"] = answer(body=b"abc", headers={"Cache-Control": "max-age=9"})
        await self.shield()
        got = await self.get("/a", "HEAD")
        self.assertEqual((200, "3"), (got.status, got.headers["content-length"]))
        self.assertEqual("HEAD", self.origin.asked[0].method)
        self.assertEqual(b"abc", (await self.get("/a")).body)

    async def test_other_methods(self) -> None:
        """405 with Allow, before anything is sent to the origin."""
        await self.shield("methods = GET HEAD")
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
            got = await self.get("/a", method)
            self.assertEqual((405, "GET, HEAD"), (got.status, got.headers["allow"]), method)
        self.assertEqual([], self.origin.asked)

    async def test_hop_by_hop_fields_stay_behind(self) -> None:
        """Fields named by Connection go neither up nor down (RFC 9110 7.6.1)."""
        fields = {"Connection": "X-Hop", "X-Hop": "1", "Keep-Alive": "timeout=5", "X-End": "2"}
        self.origin.answers["/a"] = answer(headers=fields)
        await self.shield()
        client = await self.connect()
        client.send(b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: X-Up\r\nX-Up: 1\r\nX-On: 2\r\n\r\n")
        got = await client.take()
        self.assertNotIn("x-hop", got.headers)
        self.assertNotIn("keep-alive", got.headers)
        self.assertEqual("2", got.headers["x-end"])
        self.assertNotIn("x-up", self.origin.asked[0].headers)
        self.assertEqual("2", self.origin.asked[0].headers["x-on"])

    async def test_chunked_origin(self) -> None:
        """A body of unknown length is streamed, stored, and has a length on the hit."""

        def chunked(connection, asked) -> None:
            head = (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: max-age=9\r\n\r\n"
            )
            connection.send(head + b"5\r\nhello\r\n" + b"6\r\n world\r\n0\r\n\r\n")

        self.origin.answers["/a"] = chunked
        await self.shield()
        first, second = await self.get("/a"), await self.get("/a")
        self.assertEqual([b"hello world"] * 2, [first.body, second.body])
        self.assertEqual(("HIT", "11"), (second.cache, second.headers["content-length"]))

    async def test_empty_body_and_204(self) -> None:
        """Nothing is something: an empty object and a 204 are stored and served."""
        self.origin.answers["/empty"] = answer(body=b"", headers={"Cache-Control": "max-age=9"})
        self.origin.answers["/204"] = answer(204, b"", {"Cache-Control": "max-age=9"})
        await self.shield()
        for target, status in (("/empty", 200), ("/204", 204)):
            seen = [await self.get(target), await self.get(target)]
            self.assertEqual([status] * 2, [got.status for got in seen])
            self.assertEqual(["MISS", "HIT"], [got.cache for got in seen])
        self.assertNotIn("content-length", seen[1].headers)
