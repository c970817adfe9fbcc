"""Origins that lie: a right answer, an error or a cut connection; never wrong bytes, nor kept."""

from __future__ import annotations

import os

from .harness import Got, Scenario, answer, raw, sleep, until

FRESH = {"Cache-Control": "max-age=100"}
GOOD = answer(body=b"good", headers=FRESH)
LARGE = os.urandom(150_000)


def head(*lines: str) -> bytes:
    """A 200's head that allows storing."""
    return "\r\n".join(["HTTP/1.1 200 OK", "Cache-Control: max-age=100", *lines, "", ""]).encode()


class LyingOriginTests(Scenario):
    def refused(self, got: Got, what: object) -> None:
        """An error of ours, or a connection that was cut."""
        self.assertTrue(got.status in (0, 502, 504) or not got.whole, (what, got))

    async def lie_then_good(self, path: str, lie: bytes, *, close: bool = True) -> Got:
        """Ask once for a lie and once for the truth, which must come from the origin."""
        self.origin.answers[path] = raw(lie, close=close)
        first = await self.get(path)
        self.origin.answers[path] = GOOD
        second = await self.get(path)
        self.assertEqual(("MISS", b"good"), (second.cache, second.body), lie[:200])
        return first

    async def test_too_long_a_length(self) -> None:
        """Less comes than was promised: short, and too long to be held back."""
        await self.shield()
        for number, body in enumerate((b"", b"abc", LARGE)):
            lie = head(f"Content-Length: {len(body) + 1}") + body
            self.refused(await self.lie_then_good(f"/{number}", lie), number)

    async def test_too_short_a_length(self) -> None:
        """What comes after the promised bytes belongs to nothing: never to the next answer."""
        wrong = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        self.origin.answers["/a"] = raw(head("Content-Length: 3") + b"abc" + wrong)
        self.origin.answers["/b"] = GOOD
        await self.shield()
        for _ in range(2):
            got = await self.get("/a")
            self.assertEqual((200, b"abc"), (got.status, got.body))
            self.assertEqual(b"good", (await self.get("/b")).body)

    async def test_framing_that_contradicts_itself(self) -> None:
        """Two lengths, no number, a coding nobody asked for, both kinds of framing."""
        await self.shield()
        for number, lines in enumerate(
            (
                ("Content-Length: 3", "Content-Length: 4"),
                ("Content-Length: 3, 4",),
                ("Content-Length: -3",),
                ("Content-Length: 0x3",),
                ("Content-Length: 3 3",),
                ("Transfer-Encoding: gzip, chunked",),
                ("Transfer-Encoding: identity, chunked",),
            )
        ):
            lie = head(*lines) + b"3\r\nabc\r\n0\r\n\r\n"
            self.refused(await self.lie_then_good(f"/{number}", lie), lines)

    async def test_bad_chunks(self) -> None:
        """Sizes that are none, chunks without an end, a last chunk that is missing."""
        await self.shield()
        for number, body in enumerate(
            (
                b"zz\r\nabc\r\n0\r\n\r\n",
                b"3\r\nabcd\r\n0\r\n\r\n",
                b"-3\r\nabc\r\n0\r\n\r\n",
                b"fffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
                b"3\r\nabc\r\n",
                b"3\r\nabc\r\n0\r\n",
            )
        ):
            lie = head("Transfer-Encoding: chunked") + body
            self.refused(await self.lie_then_good(f"/{number}", lie), body)

    async def test_no_http(self) -> None:
        """What is no response at all."""
        await self.shield()
        for number, lie in enumerate(
            (
                b"hello\r\n\r\n",
                b"HTTP/1.1 2000 OK\r\n\r\n",
                b"HTTP/1.1 abc\r\n\r\n",
                b"SSH-2.0-OpenSSH\r\n",
                b"\0" * 100,
                b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
            )
        ):
            self.refused(await self.lie_then_good(f"/{number}", lie), lie)

    async def test_heads_of_many_bytes(self) -> None:
        """Up to 64 KiB of fields are read and stored whole; more is refused."""
        long = "x" * 30_000
        self.origin.answers["/a"] = answer(headers={**FRESH, "X-A": long, "X-B": long})
        await self.shield()
        for cache in ("MISS", "HIT"):
            got = await self.get("/a")
            self.assertEqual((200, cache), (got.status, got.cache))
            self.assertEqual((long, long), (got.headers["x-a"], got.headers["x-b"]))
        lie = head(f"X: {'x' * 70_000}", "Content-Length: 2") + b"no"
        self.assertEqual(502, (await self.lie_then_good("/b", lie)).status)
        endless = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000
        self.assertEqual(502, (await self.lie_then_good("/c", endless, close=False)).status)

    async def test_not_modified_without_being_asked(self) -> None:
        """A 304 that nothing was asked about is no answer, not even to a client's condition."""
        lie = b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n'
        await self.shield()
        self.assertEqual(502, (await self.lie_then_good("/a", lie)).status)
        self.origin.answers["/b"] = raw(lie)
        self.assertEqual(502, (await self.get("/b", if_none_match='"1"')).status)

    async def test_tags_that_flap(self) -> None:
        """A tag that changes each time; a 304 about another tag than was asked about."""
        count = iter(range(100))

        def flap(connection, asked) -> None:
            number = next(count)
            fields = {"ETag": f'"{number}"', "Cache-Control": "max-age=0"}
            if number % 3 == 2:
                answer(304, b"", fields)(connection, asked)
            else:
                answer(body=b"body %d" % number, headers=fields)(connection, asked)

        self.origin.answers["/a"] = flap
        await self.shield()
        for _ in range(12):
            got = await self.get("/a")
            self.assertEqual(200, got.status)
            self.assertEqual(b"body " + got.headers["etag"].strip('"').encode(), got.body)

    async def test_cut_anywhere(self) -> None:
        """Head and body cut at each byte: only the whole is believed, and only that stored."""
        await self.shield()
        for name, whole in (
            ("length", head("Content-Length: 5") + b"hello"),
            ("chunks", head("Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n"),
        ):
            for at in range(len(whole)):
                got = await self.lie_then_good(f"/{name}/{at}", whole[:at])
                self.refused(got, (name, at))
            self.origin.answers[f"/{name}"] = raw(whole, close=True)
            seen = [await self.get(f"/{name}") for _ in range(2)]
            self.assertEqual([b"hello", b"hello"], [got.body for got in seen])

    async def test_reset_anywhere(self) -> None:
        """The same with a reset instead of an orderly end, in a body of some size."""
        await self.shield()
        whole = head(f"Content-Length: {len(LARGE)}") + LARGE
        for at in (0, 1, 16, 17, 50, 80, 100, 32_768, 65_536, 131_072, len(whole) - 1):
            path = f"/{at}"
            self.origin.answers[path] = raw(whole[:at], abort=True)
            got = await self.get(path)
            self.refused(got, at)
            self.assertTrue(got.status in (0, 502) or LARGE.startswith(got.body), at)
            self.origin.answers[path] = GOOD
            self.assertEqual(b"good", (await self.get(path)).body)

    async def test_endless_body(self) -> None:
        """An endless body to a client that leaves is not fetched on once it cannot be stored."""
        connections = []

        async def endless(connection, asked) -> None:
            connections.append(connection)
            connection.send(head("Transfer-Encoding: chunked"))
            while not connection.gone:
                if not connection.paused:
                    connection.send(b"4000\r\n" + bytes(0x4000) + b"\r\n")
                await sleep(0.001)

        self.origin.answers["/a"] = endless
        await self.shield("max_object_size = 1m")
        client = await self.connect()
        client.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: len(client.buffer) > 100_000, "some of it")
        client.transport.abortConnection()
        await until(lambda: connections[0].gone, "the fetch to end")
        await self.until_idle()
        self.origin.answers["/a"] = GOOD
        self.assertEqual(("MISS", b"good"), ((got := await self.get("/a")).cache, got.body))

    async def test_answers_before_the_question(self) -> None:
        """Bytes on an idle connection answer nothing."""

        def early(connection, asked) -> None:
            answer(body=b"first", headers=FRESH)(connection, asked)
            answer(body=b"evil", headers=FRESH)(connection, asked)

        self.origin.answers["/a"] = early
        self.origin.answers["/b"] = GOOD
        await self.shield()
        self.assertEqual(b"first", (await self.get("/a")).body)
        self.assertEqual(b"good", (await self.get("/b")).body)
