"""Uploads to a bucket: what is signed, what goes along, and what must not be sent at all."""

from __future__ import annotations

import hashlib
import os
import time
from typing import Any, Final

from tests.wire.certificates import Authority

from .checking import CheckingOrigin
from .harness import Asked, answer, reactor, until
from .taking import Taking, TakingOrigin
from .test_uploads import ALL, BODY, SIZE_AND_SUM, UploadScenario, in_chunks, put

SECRET: Final = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # AWS's own example
DECLARED: Final = f"X-Amz-Content-Sha256: {SIZE_AND_SUM[1]}"


class CheckingTaking(CheckingOrigin, TakingOrigin):
    """Checks the signature of a request when its body is whole; a hash that was declared too."""

    def reply(self, asked: Asked) -> Any:
        """See `CheckingOrigin`."""
        said = asked.headers["x-amz-content-sha256"]
        if said != "UNSIGNED-PAYLOAD" and self.bodies[-1][1] != said:
            return answer(400, b"<Error><Code>XAmzContentSHA256Mismatch</Code></Error>")
        return super().reply(asked)


class BucketScenario(UploadScenario):
    """A bucket that checks what is signed. options: of `[bucket:b]`."""

    scheme = "http"
    options = ""

    def make_origin(self) -> Any:
        return CheckingTaking(SECRET, "us-east-1", time.time)

    def config_text(self, location: str, cache: str, more: str) -> str:
        """The scenario's, with a bucket in the origin's place."""
        text = super().config_text(location, cache, more)
        return (
            text.replace(f"origin = http://127.0.0.1:{self.origin.number}", "bucket = b")
            + f"""
[bucket:b]
aws_s3_bucket = private
aws_endpoint = {self.scheme}://localhost:{self.origin.number}
aws_addressing = path
aws_access_key = AKIAIOSFODNN7EXAMPLE
aws_secret_key = {SECRET}
aws_region = us-east-1
{self.options}
"""
        )


class SigningTests(BucketScenario):
    async def test_declared_hash(self) -> None:
        """A hash that the client declares is signed, and S3 compares; its length is kept."""
        await self.shield(ALL)
        await self.stored()
        got = await self.put(put("Content-Length: 300000", DECLARED), BODY)
        self.assertEqual((201, []), (got.status, self.origin.wrong))
        asked = self.origin.asked[-1].headers
        self.assertEqual(SIZE_AND_SUM[1], asked["x-amz-content-sha256"])
        self.assertEqual("300000", asked["content-length"])
        self.assertEqual(SIZE_AND_SUM, self.origin.bodies[-1])
        self.assertEqual("MISS", (await self.get("/a")).cache)

    async def test_declared_wrongly(self) -> None:
        """S3 finds the body changed: the client hears 400, long body or short; nothing changed."""
        await self.shield(ALL)
        await self.stored()
        for size in (300_000, 1000):
            head = put(f"Content-Length: {size}", DECLARED)
            self.assertEqual(400, (await self.put(head, b"x" * size)).status)
        await self.still_stored()

    async def test_not_declared(self) -> None:
        """Without TLS and hash a body is gathered and hashed up to 1 MiB, beyond it 413."""
        await self.shield(ALL)
        most = os.urandom(1 << 20)
        self.assertEqual(201, (await self.put(put("Content-Length: 1048576"), most)).status)
        said = self.origin.asked[-1].headers["x-amz-content-sha256"]
        self.assertEqual(hashlib.sha256(most).hexdigest(), said)
        got = await self.put(put("Content-Length: 1048577"))
        self.assertEqual((413, 1), (got.status, len(self.origin.asked)))

    async def test_chunks(self) -> None:
        """S3 is told the length of a body in chunks, which is gathered; of 1 MiB, beyond it 411."""
        await self.shield(ALL)
        head = put("Transfer-Encoding: chunked")
        self.assertEqual(201, (await self.put(head, in_chunks(BODY, 7000))).status)
        asked = self.origin.asked[-1].headers
        self.assertEqual("300000", asked["content-length"])
        self.assertNotIn("transfer-encoding", asked)
        self.assertEqual(SIZE_AND_SUM, self.origin.bodies[-1])
        for fields in (("Transfer-Encoding: chunked",), ("Transfer-Encoding: chunked", DECLARED)):
            got = await self.put(put(*fields), in_chunks(BODY * 4, 70_000))
            self.assertEqual((411, 1), (got.status, len(self.origin.asked)))

    async def test_fields(self) -> None:
        """What describes the content goes along; what is about rights, keys or storage does not."""
        await self.shield(ALL)
        passed = {
            "cache-control": "max-age=9",
            "content-disposition": "attachment",
            "content-encoding": "br",
            "content-language": "nl",
            "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==",
            "content-type": "text/css",
            "expires": "Thu, 01 Dec 2044 16:00:00 GMT",
            "if-match": '"x"',
            "if-none-match": "*",
            "x-amz-checksum-crc32": "AAAAAA==",
            "x-amz-meta-own": "a b",
        }
        kept = {
            "authorization": "AWS4-HMAC-SHA256 Credential=THEIRS",
            "cookie": "c=1",
            "x-amz-acl": "public-read",
            "x-amz-date": "20000101T000000Z",
            "x-amz-grant-read": "uri=everybody",
            "x-amz-security-token": "theirs",
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-storage-class": "GLACIER",
            "x-amz-tagging": "a=b",
            "x-amz-website-redirect-location": "/elsewhere",
            "x-forwarded-host": "evil",
            "x-own": "1",
        }
        fields = [f"{name}: {value}" for name, value in {**passed, **kept}.items()]
        got = await self.put(put("Content-Length: 300000", DECLARED, *fields), BODY)
        self.assertEqual((201, []), (got.status, self.origin.wrong))
        asked = self.origin.asked[-1].headers
        self.assertEqual(passed, {name: asked.get(name) for name in passed})
        self.assertEqual([], [name for name in kept if asked.get(name) == kept[name]])
        self.assertNotIn("x-amz-acl", asked)
        self.assertIn("x-amz-meta-own", asked["authorization"])

    async def test_refused(self) -> None:
        """What would do something else at S3 than the client meant is not sent; no 100 either."""
        await self.shield(ALL)
        await self.stored()
        long = ("Content-Length: 300000", DECLARED)
        for status, head in (
            (501, put(*long, target="/a?acl")),
            (501, put(*long, target="/a?partNumber=1&uploadId=x")),
            (501, put("Content-Length: 0", "X-Amz-Copy-Source: /private/b")),
            (501, put("Content-Length: 300000", "Content-Encoding: gzip,aws-chunked")),
            (501, put(long[0], "X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER")),
            (501, put(method="DELETE", target="/a?versionId=3")),
            (501, put(method="DELETE", target="/a?%74agging")),
            (400, put(long[0], "X-Amz-Content-Sha256: 12")),
            (400, put(long[0], f"{DECLARED}0")),
            (411, put()),
            (411, put(method="POST")),
            (413, put("Content-Length: 104857601", DECLARED)),
        ):
            for more in (b"", b"Expect: 100-continue\r\n"):
                client = await self.connect()
                client.send(head[:-2] + more + b"\r\n")
                await self.hears(client, b"\r\n\r\n")
                self.assertTrue(client.buffer.startswith(b"HTTP/1.1 %d" % status), (head, more))
        self.assertEqual(1, len(self.origin.asked))
        await self.still_stored()

    async def test_query_that_passes(self) -> None:
        """Where the location passes the query, S3 is asked for what it says."""
        await self.shield(f"{ALL}\nquery = allow uploadId partNumber")
        head = put("Content-Length: 300000", DECLARED, target="/a?partNumber=1&uploadId=x")
        self.assertEqual(200, (await self.put(head, BODY)).status)
        self.assertEqual([], self.origin.wrong)
        self.assertTrue(self.origin.asked[-1].target.endswith("/a?partNumber=1&uploadId=x"))

    async def test_error_early(self) -> None:
        """S3's early error is understood when its document is there; the client is told."""

        def began(connection: Any) -> None:
            document = b"<Error><Code>AccessDenied</Code></Error>"
            answer(403, document)(connection, connection.asked)

        await self.shield(ALL)
        await self.stored()
        self.origin.began = began
        got = await self.put(put("Content-Length: 300000", DECLARED), BODY[:100_000])
        self.assertEqual((403, "close"), (got.status, got.headers["connection"]))
        self.assertNotIn(b"<", got.body)
        await self.still_stored()


class TlsTests(BucketScenario):
    """Over TLS nobody needs a hash."""

    scheme = "https"

    def make_origin(self) -> Any:
        """Serve the origin with TLS as well; that is its port from now on."""
        origin = super().make_origin()
        authority = Authority()
        with open("ca.pem", "wb") as file:
            file.write(authority.pem)
        options, factory = authority.server("localhost"), origin.port.factory
        tls = reactor.listenSSL(0, factory, options, interface="127.0.0.1")
        self.addCleanup(tls.stopListening)
        origin.number = tls.getHost().port
        return origin

    async def test_unsigned_payload(self) -> None:
        """A long body is streamed as UNSIGNED-PAYLOAD, a short one hashed all the same."""
        await self.shield(f"{ALL}\norigin_ca = {os.path.abspath('ca.pem')}")
        await self.stored()
        long = BODY * 10
        got = await self.put(put(f"Content-Length: {len(long)}"), long)
        self.assertEqual((201, []), (got.status, self.origin.wrong))
        self.assertEqual("UNSIGNED-PAYLOAD", self.origin.asked[-1].headers["x-amz-content-sha256"])
        self.assertEqual((len(long), hashlib.sha256(long).hexdigest()), self.origin.bodies[-1])
        self.assertEqual(201, (await self.put(put("Content-Length: 1000"), BODY[:1000])).status)
        said = self.origin.asked[-1].headers["x-amz-content-sha256"]
        self.assertEqual(hashlib.sha256(BODY[:1000]).hexdigest(), said)
        self.assertEqual("MISS", (await self.get("/a")).cache)

    async def test_slow_origin(self) -> None:
        """TLS on the way: the client waits for the origin, and all arrives in the end."""
        waiting: list[Taking] = []

        def began(connection: Taking) -> None:
            connection.transport.pauseProducing()
            waiting.append(connection)

        self.origin.began = began
        await self.shield(f"{ALL}\norigin_ca = {os.path.abspath('ca.pem')}")
        body = BODY * 100
        client = await self.connect()
        client.send(put(f"Content-Length: {len(body)}") + body)
        assert self.serving is not None
        (factory,) = self.serving._factories
        await until(lambda: waiting and not next(iter(factory._channels))._reading, "the pause")
        waiting[0].transport.resumeProducing()
        self.assertEqual(201, (await client.take()).status)
        self.assertEqual(hashlib.sha256(body).hexdigest(), self.origin.bodies[-1][1])
