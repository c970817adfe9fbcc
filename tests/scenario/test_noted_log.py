"""What the access log tells only where its format asks: bytes, fields and times of answers."""

from __future__ import annotations

from typing import Any

from s3shield.ops import AccessLog
from s3shield.service import Serving
from s3shield.wire import Observing, bind

from .harness import BucketScenario, Scenario, answer, raw, reactor

FORMAT = (
    "$request_method $request_uri|$bytes_sent|$sent_http_content_type|$sent_http_x_cache_status|"
    "$upstream_connect_time|$upstream_header_time|$http2|$ssl_protocol"
)
LONG = b"x" * 100_000


class LogScenario(Scenario):
    """A log of `form`."""

    form = ""

    async def start(self, config: Any, **more: Any) -> None:
        """Serve with a log of this format."""
        self.access_log = AccessLog(self.log_path, self.form, reactor=reactor)
        self.serving = Serving(
            reactor, config, shared=False, access_log=self.access_log, log=self.log, **more
        )
        sockets = [(listen, bind(listen.text)) for listen in config.listens]
        self.port = sockets[0][1].getsockname()[1]
        await self.serving.start(sockets)
        self.addCleanup(self.stop)

    def lines(self) -> list[list[str]]:
        """Return the values of each line so far."""
        self.access_log.flush()
        with open(self.log_path, encoding="utf-8") as file:
            return [line.rstrip("\n").split("|") for line in file]


class NotedScenario(LogScenario):
    """One format with all of them."""

    form = FORMAT

    async def sent(self, request: bytes) -> int:
        """Return how many bytes come, all told, for a request after which the server closes."""
        client = await self.connect()
        client.send(request)
        while await client.more():
            pass
        return len(client.buffer)

    async def test_bytes(self) -> None:
        """Every byte that the client got is counted: heads, chunks, whatever the answer is."""
        text = {"Cache-Control": "max-age=100", "Content-Type": "text/plain"}
        self.origin.answers["/a"] = answer(200, b"x" * 1000, text)
        self.origin.answers["/l"] = answer(200, LONG, text)
        chunks = b"".join(b"%x\r\n%b\r\n" % (40_000, b"y" * 40_000) for _ in range(3))
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.origin.answers["/c"] = raw(head + chunks + b"0\r\n\r\n")
        await self.shield()
        close = b"Host: a\r\nConnection: close\r\n\r\n"
        requests = [
            b"GET /a HTTP/1.1\r\n" + close,
            b"GET /a HTTP/1.1\r\n" + close,
            b"HEAD /a HTTP/1.1\r\n" + close,
            b"GET /a HTTP/1.1\r\nRange: bytes=3-7\r\n" + close,
            b"GET /a HTTP/1.0\r\n\r\n",
            b"GET /l HTTP/1.1\r\n" + close,
            b"GET /l HTTP/1.1\r\n" + close,
            b"GET /c?1 HTTP/1.1\r\n" + close,
            b"GET /c HTTP/1.1\r\n" + close,
            b"GET /c?2 HTTP/1.0\r\n\r\n",
            b"PUT /a HTTP/1.1\r\nContent-Length: 0\r\n" + close,
        ]
        self.origin.answers["/c?1"] = self.origin.answers["/c?2"] = self.origin.answers["/c"]
        sent = [await self.sent(request) for request in requests]
        lines = self.lines()
        self.assertEqual([str(size) for size in sent], [line[1] for line in lines])
        self.assertEqual(["text/plain", "MISS"], lines[0][2:4])
        self.assertEqual(["text/plain", "HIT"], lines[1][2:4])
        self.assertEqual({("", "-")}, {tuple(line[6:]) for line in lines})

    async def test_times_of_origins(self) -> None:
        """A new connection takes its time, a kept one none; a hit asked nobody."""
        self.origin.answers["/a"] = answer(200, b"x", {"Cache-Control": "max-age=100"})
        self.origin.answers["/b"] = self.origin.answers["/a"]
        await self.shield()
        for target in ("/a", "/b", "/a"):
            await self.get(target)
        first, kept, hit = [line[4:6] for line in self.lines()]
        for value in (*first, *kept):
            self.assertRegex(value, r"^\d+\.\d{3}$")
        self.assertEqual("0.000", kept[0])
        self.assertEqual(["-", "-"], hit)


class PlainScenario(LogScenario):
    """A format that names none of it."""

    form = "$request_uri $status"

    async def test_nothing_is_noted(self) -> None:
        """There is nothing before the site, and no pool notes anything."""
        await self.shield()
        assert self.serving is not None
        (factory,) = self.serving._factories
        self.assertNotIsInstance(factory.site, Observing)
        self.assertFalse(factory.told)
        self.assertFalse(any(pool.noted for pool in self.serving._origins.pools))


class BucketNotedScenario(BucketScenario, LogScenario):
    """The same of a bucket."""

    form = FORMAT

    async def test_times_of_buckets(self) -> None:
        """A bucket's answers have their times, and errors that are told in our words as well."""
        self.origin.answers["/private/a"] = answer(200, b"x" * 10)
        self.origin.answers["/private/gone"] = answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        await self.shield()
        for target in ("/a", "/gone"):
            await self.get(target)
        for line in self.lines():
            self.assertRegex(line[4], r"^\d+\.\d{3}$")
            self.assertRegex(line[5], r"^\d+\.\d{3}$")
