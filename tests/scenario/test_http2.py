"""HTTP/2 over TLS in front of the real exchange: as HTTP/1.1, and at each stream's own pace."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from h2.errors import ErrorCodes
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ClientEndpoint, connectProtocol

from tests.wire import http2_client as h2c
from tests.wire.certificates import Authority

from .attack import FOR_LONG
from .harness import Client, Got, Scenario, answer, reactor, until
from .taking import TakingOrigin
from .test_access import ELSEWHERE, SAME_PATH

LARGE = os.urandom(3_000_000)


class Http2Scenario(Scenario):
    """`port` speaks TLS, and HTTP/2 by ALPN. daemon: more options of `[s3shield]`."""

    daemon = ""

    def make_origin(self) -> Any:
        """Return one that reads bodies."""
        return TakingOrigin()

    def config_text(self, location: str, cache: str, more: str) -> str:
        """The scenario's, with TLS."""
        certificate, key = Authority().files(os.path.abspath(self.mktemp()), "shield.test")
        text = super().config_text(location, cache, more)
        return text.replace(
            "listen = 127.0.0.1:0",
            f"listen = 127.0.0.1:0 tls\ntls_certificate = {certificate}\n"
            f"tls_certificate_key = {key}\n{self.daemon}",
        )

    async def client(self, **how: Any) -> h2c.H2Client:
        """Return a client that speaks HTTP/2."""
        client = await h2c.connect("127.0.0.1", self.port, **how)
        self.addCleanup(self.left, client)
        return client

    async def left(self, client: h2c.H2Client) -> None:
        """See a client off."""
        client.hang_up()
        await until(lambda: client.gone, "the client's own connection to end")

    async def connect(self) -> Client:
        """Return a client that speaks HTTP/1.1, over TLS."""
        endpoint = SSL4ClientEndpoint(reactor, "127.0.0.1", self.port, ssl.CertificateOptions())
        client = await connectProtocol(endpoint, Client())
        self.addCleanup(self._hang_up, client)
        return client


class ServingTests(Http2Scenario):
    async def test_as_http1(self) -> None:
        """Status, fields and bytes are HTTP/1.1's, from the origin and from the cache."""
        fields = {"ETag": '"v1"', "Last-Modified": "Tue, 24 Nov 2026 10:00:00 GMT", **FOR_LONG}
        self.origin.answers["/a"] = answer(body=LARGE[:5000], headers=fields)
        self.origin.answers["/l"] = answer(body=LARGE, headers=fields)
        await self.shield("cache_status = on\nmethods = GET HEAD")
        client = await self.client()
        for target in ("/a", "/l"):
            got = await client.get(target)
            self.assertEqual(("MISS", True), (got.cache, got.whole))
        for target, method, headers in (
            ("/a", "GET", {}),
            ("/l", "GET", {}),
            ("/a", "HEAD", {}),
            ("/l", "GET", {"range": "bytes=100-299"}),
            ("/l", "GET", {"range": "bytes=0-9,1000-1009,-5"}),
            ("/l", "GET", {"range": "bytes=9000000-"}),
            ("/a", "GET", {"if_none_match": '"v1"'}),
            ("/a", "GET", {"if_modified_since": "Tue, 24 Nov 2026 11:00:00 GMT"}),
            ("/none", "GET", {}),
            ("/a", "DELETE", {}),
            ("/a", "BREW", {}),
            ("/%zz", "GET", {}),
        ):
            two = await client.get(target, method, **headers)
            one: Got = await self.get(target, method, **headers)
            where = f"{method} {target} {headers}"
            self.assertEqual((one.status, True), (two.status, two.whole), where)
            for each in (one, two):
                for name in ("connection", "age", "date", "x-cache-status", "cache-status"):
                    each.headers.pop(name, None)
            if "multipart" not in one.headers.get("content-type", ""):
                self.assertEqual(one.headers, two.headers, where)
                self.assertTrue(one.body == bytes(two.body), where)
            self.assertEqual(len(one.body), len(two.body), where)
        self.assertEqual("HIT", (await client.get("/a")).cache)

    async def test_log(self) -> None:
        """The access log has each request with its protocol, the refused ones, too."""
        self.origin.answers["/a"] = answer(body=b"abc", headers=FOR_LONG)
        await self.shield()
        client = await self.client()
        await client.get("/a")
        await client.answer(client.ask("nothing"))
        names = ("request_uri", "server_protocol", "status", "body_bytes_sent")
        seen = [tuple(line[name] for name in names) for line in self.logged()]
        refused = ("GET nothing HTTP/2.0", None, 400, 0)
        self.assertEqual([("/a", "HTTP/2.0", 200, 3), refused], seen)

    async def test_off(self) -> None:
        """`http2 = off`: HTTP/1.1 alone."""
        self.origin.answers["/a"] = answer(body=b"abc")
        self.daemon = "http2 = off"
        await self.shield()
        client = await h2c.connect_plain(self.port, [b"h2", b"http/1.1"])
        client.transport.write(b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        await client.until(lambda client: client.gone)
        self.assertTrue(client.received.startswith(b"HTTP/1.1 200 "))

    async def test_collapsed(self) -> None:
        """A hundred streams that ask for the same at once ask the origin once."""
        held: list[Any] = []
        self.origin.answers["/a"] = lambda connection, asked: held.append(connection)
        await self.shield()
        client = await self.client()
        numbers = [client.ask("/a") for _ in range(100)]
        await until(lambda: held, "the question")
        await self.until_waiting(99)
        answer(body=LARGE[:200_000], headers=FOR_LONG)(held[0], self.origin.asked[0])
        for number in numbers:
            got = await client.answer(number)
            self.assertTrue(bytes(got.body) == LARGE[:200_000])
        self.assertEqual(1, len(self.origin.asked))

    async def test_rules(self) -> None:
        """No target leads past an access rule, nor does another :authority or method."""
        self.origin.reply = lambda asked: answer(body=b"secret", headers=FOR_LONG)  # type: ignore[method-assign]
        rule = f"""
[location:/intern/]
origin = http://127.0.0.1:{self.origin.number}
proxy_cache = main
deny = all
"""
        await self.shield(more=rule)
        client = await self.client()
        for target in SAME_PATH:
            for method in ("GET", "HEAD"):
                got = await client.answer(client.ask(fields=client.fields(target, method)))
                self.assertIn(got.status, (400, 403), target)
                self.assertNotIn(b"secret", got.body)
        for more in ([(b"range", b"bytes=0-1")], [(b"if-none-match", b"*")]):
            got = await client.answer(client.ask("/intern/a", more=more))
            self.assertEqual(403, got.status)
        other = client.fields("/intern/a", authority="shield.test.:443")
        self.assertEqual(403, (await client.answer(client.ask(fields=other))).status)
        self.assertEqual([], self.origin.asked)
        for target in ELSEWHERE:  # as over HTTP/1.1, they are other names
            one, two = await self.get(target), await client.get(target)
            self.assertEqual(one.status, two.status, target)

    async def test_client_certificate(self) -> None:
        """`tls_client_ca` holds over HTTP/2 as well: 400 without a certificate."""
        self.origin.answers["/a"] = answer(body=b"abc", headers=FOR_LONG)
        authority = Authority("Clients")
        path = os.path.abspath(self.mktemp())
        with open(path, "wb") as file:
            file.write(authority.pem)
        self.daemon = f"tls_client_ca = {path}"
        await self.shield()
        self.assertEqual(400, (await (await self.client()).get("/a")).status)
        own = authority.server("client")
        shown = {"certificate": own.certificate, "privateKey": own.privateKey}
        got = await (await self.client(shown=shown)).get("/a")
        self.assertEqual((200, b"abc"), (got.status, bytes(got.body)))


class PaceTests(Http2Scenario):
    async def test_slow_stream(self) -> None:
        """A stream that nobody reads holds its origin back, and no other stream."""
        sent: list[Any] = []

        def endless(connection: Any, asked: Any) -> None:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            sent.append(connection)

            def more() -> None:
                if not connection.gone and connection.origin.sent < 100_000_000:
                    if not connection.paused:
                        connection.send(bytes(100_000))
                    reactor.callLater(0, more)

            more()

        self.origin.answers["/l"] = endless
        self.origin.answers["/a"] = answer(body=b"abc", headers=FOR_LONG)
        await self.shield("proxy_cache = off")
        client = await self.client(greedy=False)
        number = client.ask("/l")
        await until(lambda: sent and sent[0].paused, "the origin to be paused")
        self.assertLess(self.origin.sent, 30_000_000)
        await client.until(lambda client: len(client.replies[number].body) == 65_535)
        # The connection's window is shut, not the stream's alone.
        client.conn.increment_flow_control_window(1000)
        client.flush()
        self.assertEqual(b"abc", bytes((await client.get("/a")).body))
        client.conn.reset_stream(number, 8)
        client.flush()
        await until(lambda: sent[0].gone, "the call to be cancelled")

    async def test_leaving(self) -> None:
        """A stream that is reset is a client that leaves: the call to the origin is cancelled."""
        held: list[Any] = []
        self.origin.answers["/a"] = lambda connection, asked: held.append(connection)
        await self.shield("proxy_cache = off")
        client = await self.client()
        client.conn.reset_stream(client.ask("/a"), 8)
        number = client.ask("/a")
        await until(lambda: held, "the question")
        client.conn.reset_stream(number, 8)
        client.flush()
        await until(lambda: held[0].gone, "the call to be cancelled")
        self.assertEqual([499], [line["status"] for line in self.logged()])

    async def test_cut(self) -> None:
        """A body that breaks off resets the stream alone."""

        def broken(connection: Any, asked: Any) -> None:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + LARGE[:400_000])
            connection.transport.unregisterProducer()
            connection.transport.loseConnection()

        self.origin.answers["/l"] = broken
        self.origin.answers["/a"] = answer(body=b"abc", headers=FOR_LONG)
        await self.shield()
        client = await self.client()
        got = await client.get("/l")
        self.assertEqual((ErrorCodes.INTERNAL_ERROR, False), (got.reset, got.ended))
        self.assertTrue((await client.get("/a")).whole)

    async def test_stop(self) -> None:
        """A stop says GOAWAY and lets streams end."""
        held: list[Any] = []
        self.origin.answers["/a"] = lambda connection, asked: held.append(connection)
        await self.shield()
        client = await self.client()
        number = client.ask("/a")
        await until(lambda: held, "the question")
        assert self.serving is not None
        stopping = self.serving.stop(30.0)
        await client.until(lambda client: len(client.goodbyes) == 2)
        answer(body=LARGE, headers=FOR_LONG)(held[0], self.origin.asked[0])
        got = await client.answer(number)
        self.assertTrue(got.whole)
        await stopping
        self.serving = None
        self.access_log.close()


class UploadTests(Http2Scenario):
    async def test_slow_origin(self) -> None:
        """A body waits for a slow origin, a window's worth of it here, and is whole in the end."""
        held: list[Any] = []

        def began(connection: Any) -> None:
            if connection.asked.method == "PUT":
                connection.transport.pauseProducing()
                held.append(connection)

        self.origin.answers["/a"] = answer(201, b"done")
        self.origin.began = began
        await self.shield("methods = GET HEAD PUT\nclient_max_body_size = 0")
        client, body = await self.client(), LARGE * 5
        number = client.ask("/a", "PUT", [(b"content-length", b"%d" % len(body))], end=False)
        sending = Deferred.fromCoroutine(client.upload(number, body))
        await until(lambda: held, "the origin")
        got = await client.get("/none")
        self.assertEqual(404, got.status)
        await until(lambda: not client.conn.local_flow_control_window(number), "the pause")
        self.assertFalse(sending.called)
        held[0].transport.resumeProducing()
        await sending
        self.assertEqual(201, (await client.answer(number)).status)
        digest = hashlib.sha256(body).hexdigest()
        self.assertEqual((len(body), digest), self.origin.bodies[-1])

    async def test_short_and_too_long(self) -> None:
        """Without a length, gathered, too large; a body of a GET is of no interest."""
        self.origin.answers["/a"] = answer(201, b"done")
        await self.shield("methods = GET HEAD PUT\nclient_max_body_size = 200k")
        client = await self.client()
        for size in (10, 150_000):
            number = client.ask("/a", "PUT", end=False)
            await client.upload(number, LARGE[:size])
            self.assertEqual(201, (await client.answer(number)).status)
            digest = hashlib.sha256(LARGE[:size]).hexdigest()
            self.assertEqual((size, digest), self.origin.bodies[-1])
        number = client.ask("/a", "PUT", [(b"content-length", b"300000")], end=False)
        self.assertEqual(413, (await client.answer(number)).status)
        number = client.ask("/a", "PUT", end=False)
        await client.upload(number, LARGE[:300_000])
        self.assertEqual(413, (await client.answer(number)).status)
        self.origin.answers["/b"] = answer(body=b"abc", headers=FOR_LONG)
        number = client.ask("/b", end=False)
        client.send(number, b"x" * 100, end=True)
        got = await client.answer(number)
        self.assertEqual((200, b"abc"), (got.status, bytes(got.body)))
        self.assertEqual(2, len([asked for asked in self.origin.bodies if asked[0]]))
