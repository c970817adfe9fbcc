"""Methods other than GET and HEAD: passed on with their bodies, and what they invalidate."""

from __future__ import annotations

import hashlib

from .harness import Client, Got, OriginConnection, Scenario, answer, until

FRESH = {"Cache-Control": "max-age=100"}
ALL = "methods = GET HEAD POST PUT DELETE"


class MethodScenario(Scenario):
    """An origin that reads bodies, and counts what changed it."""

    def setUp(self) -> None:
        super().setUp()
        self.bodies: list[bytes] = []
        self.version = 0

        def received(connection: OriginConnection, data: bytes) -> None:
            """Read bodies too: the harness's origin takes all that follows for heads."""
            connection.buffer += data
            while b"\r\n\r\n" in connection.buffer:
                head, _, rest = connection.buffer.partition(b"\r\n\r\n")
                length = 0
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                if len(rest) < length:
                    return
                connection.buffer = rest[length:]
                self.bodies.append(rest[:length])
                ask(connection, head)

        original = OriginConnection.dataReceived

        def ask(connection: OriginConnection, head: bytes) -> None:
            kept, connection.buffer = connection.buffer, b""
            original(connection, head + b"\r\n\r\n")
            connection.buffer = kept

        self.patch(OriginConnection, "dataReceived", received)

        def versioned(connection, asked) -> None:
            if asked.method in ("GET", "HEAD"):
                fields = {**FRESH, "Vary": "X-Kind"} if "vary" in asked.target else FRESH
                answer(body=b"%d" % self.version, headers=fields)(connection, asked)
            else:
                self.version += 1
                answer(201, b"done", self.said)(connection, asked)

        self.said: dict[str, str] = {}
        for path in ("/a", "/b", "/c", "/vary"):
            self.origin.answers[path] = versioned

    async def send(self, request: bytes, client: Client | None = None) -> Got:
        """Send these bytes; return the first response."""
        client = client or await self.connect()
        client.send(request)
        return await client.take()


class MethodTests(MethodScenario):
    async def test_post_with_a_body(self) -> None:
        """The body goes along, whole; the answer comes back, and says nothing of the cache."""
        await self.shield(ALL)
        got = await self.send(
            b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nX-Own: 1\r\n"
            b'If-Match: "1"\r\nContent-Type: text/plain\r\n\r\nhello'
        )
        self.assertEqual((201, b"done", None), (got.status, got.body, got.cache))
        asked = self.origin.asked[0]
        self.assertEqual([b"hello"], self.bodies)
        self.assertEqual("POST", asked.method)
        self.assertEqual(
            ["5", "1", '"1"', "text/plain"],
            [asked.headers[n] for n in ("content-length", "x-own", "if-match", "content-type")],
        )
        self.assertEqual("method", self.logged()[0]["cache_reason"])

    async def test_chunks_in_pieces_and_what_follows(self) -> None:
        """Chunks arrive byte by byte; the next request on the connection is understood."""
        await self.shield(ALL)
        client = await self.connect()
        request = (
            b"PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"
        )
        for at in range(len(request)):
            client.send(request[at : at + 1])
            if at % 16 == 0:
                await until(lambda: True, "a turn")
        self.assertEqual(201, (await client.take()).status)
        self.assertEqual([b"hello0123456789"], self.bodies)

    async def test_pipelined_after_a_body(self) -> None:
        """The bytes after a body are the next request."""
        await self.shield(ALL)
        client = await self.connect()
        client.send(
            b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
            b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
        )
        self.assertEqual([201, 200], [(await client.take()).status for _ in range(2)])
        self.assertEqual([b"hello", b""], self.bodies)

    async def test_expect(self) -> None:
        """Who asks whether to go on is told so."""
        await self.shield(ALL)
        client = await self.connect()
        client.send(
            b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        await until(lambda: b"100 Continue" in client.buffer, "the word to go on")
        client.send(b"hi")
        self.assertEqual(201, (await client.take()).status)
        self.assertEqual([b"hi"], self.bodies)

    async def test_too_large(self) -> None:
        """413 beyond client_max_body_size, said before the body or in it; nothing is asked."""
        await self.shield(f"{ALL}\nclient_max_body_size = 1k")
        said = await self.send(b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1025\r\n\r\n")
        found = await self.send(
            b"PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n401\r\n"
        )
        broken = await self.send(
            b"PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
        )
        self.assertEqual([413, 413, 400], [said.status, found.status, broken.status])
        self.assertEqual([], self.origin.asked)

    async def test_not_allowed(self) -> None:
        """What `methods` does not name is 405 as before, body and all."""
        await self.shield("methods = GET HEAD")
        got = await self.send(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
        self.assertEqual((405, "GET, HEAD"), (got.status, got.headers["allow"]))
        self.assertEqual([], self.origin.asked)

    async def test_plain_origin(self) -> None:
        """A plain origin is sent every method, also ones nobody knows, as by proxy_pass."""
        self.origin.answers["/x"] = answer(body=b"done")
        await self.shield()
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"):
            self.assertEqual(b"done", (await self.get("/x", method)).body, method)
        self.assertEqual(6, len(self.origin.asked))
        got = await self.get("/x", "TRACE")
        allowed = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
        self.assertEqual((405, allowed), (got.status, got.headers["allow"]))
        self.assertEqual(6, len(self.origin.asked))

    async def test_unknown_method_invalidates(self) -> None:
        """RFC 9111 section 4.4: a method of which nobody knows whether it is safe."""
        await self.shield()
        self.assertEqual(["MISS", "HIT"], [(await self.get("/a")).cache for _ in range(2)])
        await self.get("/a", "BREW")
        self.assertEqual("MISS", (await self.get("/a")).cache)

    async def test_success_invalidates(self) -> None:
        """Target, Location and Content-Location are asked for anew; others are not."""
        await self.shield(ALL)
        self.said = {"Location": "/b", "Content-Location": "http://elsewhere.test/c"}
        for path in ("/a", "/b", "/c"):
            await self.get(path)
        await self.get("/a", "DELETE")
        seen = [await self.get(path) for path in ("/a", "/b", "/c")]
        self.assertEqual(["MISS", "MISS", "HIT"], [got.cache for got in seen])
        self.assertEqual([b"1", b"1", b"0"], [got.body for got in seen])

    async def test_failure_invalidates_nothing(self) -> None:
        """A 4xx or 5xx changed nothing."""
        await self.shield(ALL)
        await self.get("/a")
        kept = self.origin.answers["/a"]
        self.origin.answers["/a"] = answer(500, b"no")
        self.assertEqual(500, (await self.get("/a", "POST")).status)
        self.origin.answers["/a"] = kept
        self.assertEqual("HIT", (await self.get("/a")).cache)

    async def test_all_variants_are_invalid(self) -> None:
        """No variant from before comes back when another is stored again."""
        await self.shield(ALL)
        for kind in ("x", "y"):
            await self.get("/vary", x_kind=kind)
        await self.get("/vary", "POST")
        seen = [await self.get("/vary", x_kind=kind) for kind in ("x", "y", "x", "y")]
        self.assertEqual(["MISS", "MISS", "HIT", "HIT"], [got.cache for got in seen])
        self.assertEqual([b"1"] * 4, [got.body for got in seen])


class BucketMethodTests(MethodScenario):
    """The same in front of a bucket, as far as it is another matter there."""

    def config_text(self, location: str, cache: str, more: str) -> str:
        """Put a bucket in the origin's place."""
        origin = f"http://127.0.0.1:{self.origin.number}"
        text = (
            super().config_text(location, cache, more).replace(f"origin = {origin}", "bucket = b")
        )
        return f"""{text}
[bucket:b]
aws_s3_bucket = private
aws_endpoint = {origin}
aws_access_key = AKIAIOSFODNN7EXAMPLE
aws_secret_key = wJalrXUtnFEMI
aws_region = us-east-1
"""

    async def test_post_with_a_body(self) -> None:
        """The body's hash and what describes it are signed; nothing else of the client's goes."""
        self.origin.answers["/private/a"] = answer(200, b"")
        await self.shield(ALL)
        got = await self.send(
            b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nX-Own: 1\r\n"
            b"If-None-Match: *\r\nContent-Type: text/plain\r\n\r\nhello"
        )
        self.assertEqual(200, got.status)
        asked = self.origin.asked[0].headers
        self.assertEqual([b"hello"], self.bodies)
        self.assertEqual(hashlib.sha256(b"hello").hexdigest(), asked["x-amz-content-sha256"])
        self.assertIn("SignedHeaders=content-type;", asked["authorization"])
        self.assertEqual(
            ["5", "*", None], [asked.get(n) for n in ("content-length", "if-none-match", "x-own")]
        )

    async def test_success_invalidates(self) -> None:
        """The object that was changed is asked for anew."""
        for path in ("/a", "/b"):
            self.origin.answers[f"/private{path}"] = answer(headers={**FRESH, "ETag": '"1"'})
        await self.shield(ALL)
        await self.get("/a")
        await self.get("/b")
        await self.get("/a", "DELETE")
        seen = [await self.get(path) for path in ("/a", "/b")]
        self.assertEqual(["MISS", "HIT"], [got.cache for got in seen])

    async def test_failure_invalidates_nothing(self) -> None:
        """An error of S3's changed nothing, and its document stays here."""
        self.origin.answers["/private/a"] = [answer(headers=FRESH), answer(403, b"<Error/>")]
        await self.shield(ALL)
        await self.get("/a")
        got = await self.get("/a", "DELETE")
        self.assertEqual(403, got.status)
        self.assertNotIn(b"<Error", got.body)
        self.assertEqual("HIT", (await self.get("/a")).cache)

    async def test_pipelined_after_a_body(self) -> None:
        """As for plain origins; S3's answers stand for the two."""
        self.origin.answers["/private/a"] = answer(200, b"")
        await self.shield(ALL)
        client = await self.connect()
        client.send(
            b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
            b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
        )
        self.assertEqual([200, 200], [(await client.take()).status for _ in range(2)])


class UnusedTests(Scenario):
    async def test_get_with_a_body(self) -> None:
        """A body on a GET is dropped, where other methods are taken too."""
        self.origin.answers["/a"] = answer(headers=FRESH)
        await self.shield(ALL)
        client = await self.connect()
        client.send(b"GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
        client.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        seen = [await client.take(), await client.take()]
        self.assertEqual(["MISS", "HIT"], [got.cache for got in seen])
