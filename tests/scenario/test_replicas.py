"""A bucket and its replica: who is asked when, and what clients get."""

from __future__ import annotations

from typing import Any

from twisted.logger import globalLogPublisher

from .harness import KEY, BucketScenario, Origin, answer, raw, until

BODY = bytes(range(256)) * 4096  # a mebibyte
TAG = {"ETag": '"one"'}
OTHER = {"ETag": '"two"'}


def s3(status: int, code: str):
    """S3's error document."""
    return answer(status, f"<Error><Code>{code}</Code></Error>".encode())


def ranged(body: bytes, tag: str, *, most: int | None = None):
    """An origin that knows ranges and If-Match. most: bytes after which it breaks off."""

    def write(connection: Any, asked: Any) -> None:
        match = asked.headers.get("if-match")
        if match is not None and match != tag:
            connection.send(b"HTTP/1.1 412 Changed\r\nContent-Length: 0\r\n\r\n")
            return
        value = asked.headers.get("range")
        start, end, status = 0, len(body), "200 OK"
        more = ""
        if value is not None:
            first, _, last = value.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or len(body)) + 1, len(body))
            status = "206 Partial Content"
            more = f"Content-Range: bytes {start}-{end - 1}/{len(body)}\r\n"
        head = f"HTTP/1.1 {status}\r\nContent-Length: {end - start}\r\nETag: {tag}\r\n{more}\r\n"
        connection.send(head.encode() + body[start:end][:most])
        if most is not None and most < end - start:
            connection.transport.unregisterProducer()
            connection.transport.loseConnection()

    return write


class ReplicaScenario(BucketScenario):
    """Two buckets, `b` and its replica `us`, which has a region and a key of its own."""

    def setUp(self) -> None:
        """Start the second origin."""
        super().setUp()
        self.replica = Origin()
        self.addCleanup(self.replica.stop)
        self.addCleanup(lambda: self.assertEqual([], self.replica.failures))
        self.bucket_options = ""
        self.events: list[str] = []

        def observe(event: Any) -> None:
            if event.get("log_format"):
                self.events.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def config_text(self, location: str, cache: str, more: str) -> str:
        """The bucket's, with a replica."""
        text = super().config_text(location, cache, more)
        return (
            text
            + f"""replica = us
{self.bucket_options}
[bucket:us]
aws_s3_bucket = copies
aws_endpoint = http://127.0.0.1:{self.replica.number}
aws_access_key = AKIDREPLICA
aws_signing_key = {KEY}
aws_key_scope = 20261124/us-west-2/s3/aws4_request
"""
        )

    async def shield(
        self, location: str = "proxy_cache_valid = 200 1m", cache: str = "", more: str = ""
    ) -> None:
        """Start it."""
        await super().shield(location, cache, more)

    def told(self, *words: str) -> list[str]:
        """The log's lines with all these words."""
        return [event for event in self.events if all(word in event for word in words)]

    @property
    def asked(self) -> tuple[int, int]:
        """How often each was."""
        return len(self.origin.asked), len(self.replica.asked)


class TriggerTests(ReplicaScenario):
    """What sends a request to the replica."""

    async def replaced(self, first: Any) -> Any:
        """Ask for what the first answers like this; the replica has it."""
        self.origin.answers["/private/a"] = first
        self.replica.answers["/copies/a"] = answer(200, b"copy", TAG)
        got = await self.get("/a")
        self.assertEqual((200, b"copy", "MISS"), (got.status, got.body, got.cache))
        return got

    async def test_no_trouble(self) -> None:
        """The replica is never asked."""
        self.origin.answers["/private/a"] = answer(200, b"own")
        await self.shield()
        self.assertEqual(b"own", (await self.get("/a")).body)
        self.assertEqual((1, 0), self.asked)

    async def test_refused(self) -> None:
        """Nobody listens: the replica answers, signed with its own key, region and bucket."""
        await self.shield()
        await self.origin.stop()
        await self.replaced(raw(b""))
        (asked,) = self.replica.asked
        self.assertIn("AKIDREPLICA/20261124/us-west-2/s3", asked.headers["authorization"])
        self.assertTrue(self.told("b: connect", "us is asked"), self.events)
        # It is the same key: the copy answers for the object.
        (line,) = self.logged()
        self.assertEqual(200, line["upstream_status"])
        self.assertEqual("HIT", (await self.get("/a")).cache)

    async def test_broken_off(self) -> None:
        """No answer, or a short one that is cut in the middle: nobody has seen a byte of it."""
        await self.shield()
        for pieces in (
            b"",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
            b"nonsense\r\n\r\n",
        ):
            await self.replaced(raw(pieces, close=True))
            assert self.serving is not None
            await self.stop()
            self.cache_path = self.mktemp()
            await self.shield()

    async def test_hangs(self) -> None:
        """No head within replica_timeout: the replica is asked, and the first one let go."""
        self.bucket_options = "replica_timeout = 50ms"
        await self.shield()
        await self.replaced(raw())
        self.assertTrue(self.told("timeout", "replica_timeout", "us is asked"), self.events)
        await until(lambda: not self.origin.open, "the first connection to be closed")

    async def test_errors(self) -> None:
        """5xx after one more try; S3 that refuses the key, or has no such bucket, at once."""
        for status, code, times in (
            (500, "InternalError", 2),
            (503, "SlowDown", 2),
            (501, "NotImplemented", 1),
            (403, "InvalidAccessKeyId", 1),
            (404, "NoSuchBucket", 1),
        ):
            await self.shield()
            before, _ = self.asked
            await self.replaced(s3(status, code))
            self.assertEqual(before + times, len(self.origin.asked), code)
            await self.stop()
            self.cache_path = self.mktemp()

    async def test_the_first_ones_word(self) -> None:
        """403, 404 and 400 are answers: the replica is not asked."""
        await self.shield()
        for status, code, seen in (
            (403, "AccessDenied", 403),
            (404, "NoSuchKey", 404),
            (400, "InvalidArgument", 502),
        ):
            self.origin.answers["/private/a"] = s3(status, code)
            self.assertEqual(seen, (await self.get("/a")).status)
        self.assertEqual((3, 0), self.asked)

    async def test_replica_on(self) -> None:
        """With replica_on they are asked about elsewhere, whatever missing_403 shows."""
        self.bucket_options = "replica_on = http_403 http_404"
        for status, code in ((403, "AccessDenied"), (404, "NoSuchKey")):
            await self.shield("proxy_cache_valid = 200 1m\nmissing_403 = 404")
            await self.replaced(s3(status, code))
            await self.stop()
            self.cache_path = self.mktemp()

    async def test_both_say_no(self) -> None:
        """The first one's word counts where the replica knows no better, or fails."""
        self.bucket_options = "replica_on = 403 404"
        await self.shield("")
        for first, other, status in (
            ((403, "AccessDenied"), (404, "NoSuchKey"), 403),
            ((404, "NoSuchKey"), (403, "AccessDenied"), 404),
            ((404, "NoSuchKey"), (500, "InternalError"), 404),
        ):
            self.origin.answers["/private/a"] = s3(*first)
            self.replica.answers["/copies/a"] = s3(*other)
            self.assertEqual(status, (await self.get("/a")).status)

    async def test_both_fail(self) -> None:
        """Then the client is told, and the next request asks both again."""
        await self.shield()
        self.origin.answers["/private/a"] = s3(500, "InternalError")
        self.replica.answers["/copies/a"] = s3(503, "SlowDown")
        self.assertEqual(503, (await self.get("/a")).status)
        await self.replaced(s3(500, "InternalError"))

    async def test_head(self) -> None:
        """A HEAD too."""
        await self.shield()
        await self.origin.stop()
        self.replica.answers["/copies/a"] = answer(200, b"copy", TAG)
        got = await self.get("/a", "HEAD")
        self.assertEqual((200, "4"), (got.status, got.headers["content-length"]))

    async def test_changes(self) -> None:
        """What changes an object is for the first bucket alone."""
        await self.shield("methods = GET HEAD DELETE OPTIONS")
        await self.origin.stop()
        for method in ("DELETE", "OPTIONS"):
            self.assertEqual(502, (await self.get("/a", method)).status)
        self.assertEqual([], self.replica.asked)


class SwitchTests(ReplicaScenario):
    """After three failures in a row the first one is left alone."""

    async def test_left_alone(self) -> None:
        """It is asked three times, not once more; the log tells of it once."""
        await self.shield()
        self.origin.answers = {f"/private/{n}": raw(b"", close=True) for n in range(8)}
        self.replica.answers = {f"/copies/{n}": answer(200, b"copy") for n in range(8)}
        for number in range(8):
            self.assertEqual(200, (await self.get(f"/{number}")).status)
        self.assertEqual(3, len({asked.target for asked in self.origin.asked}))
        self.assertEqual(8, len(self.replica.asked))
        (line,) = self.told("b: ", "asked last")
        self.assertIn("tried again in 1", line)

    async def test_forbidden_to_all(self) -> None:
        """A first one that answers 403 to what the replica gives is left alone too."""
        self.bucket_options = "replica_on = 403"
        await self.shield()
        self.origin.answers = {f"/private/{n}": s3(403, "AccessDenied") for n in range(6)}
        self.replica.answers = {f"/copies/{n}": answer(200, b"copy") for n in range(6)}
        for number in range(6):
            self.assertEqual(200, (await self.get(f"/{number}")).status)
        self.assertEqual((3, 6), self.asked)

    async def test_missing_objects(self) -> None:
        """Clients that ask for what is not there, or make no sense, do not switch it off."""
        self.bucket_options = "replica_on = 403 404"
        await self.shield("query = pass")
        for number in range(4):
            self.assertEqual(404, (await self.get(f"/{number}")).status)
        self.origin.reply = lambda asked: s3(400, "InvalidArgument")  # type: ignore[method-assign]
        for number in range(4):
            await self.get(f"/{number}?versionId=x")
        self.assertEqual([], self.told("asked last"))
        self.origin.reply = lambda asked: answer()  # type: ignore[method-assign]
        await self.get("/z")
        self.assertEqual("/private/z", self.origin.asked[-1].target)

    async def test_back(self) -> None:
        """When its time has come one request tries it; answered, all go there again."""
        await self.shield()
        self.origin.answers = {f"/private/{n}": raw(b"", close=True) for n in range(3)}
        self.replica.answers = {f"/copies/{n}": answer(200, b"copy") for n in range(3)}
        for number in range(3):
            await self.get(f"/{number}")
        assert self.serving is not None
        self.serving._origins._breakers["b"].until = 0.0
        self.origin.answers = {f"/private/{n}": answer(200, b"own") for n in (7, 8)}
        for number in (7, 8):
            self.assertEqual(b"own", (await self.get(f"/{number}")).body)
        self.assertEqual(1, len(self.told("b: it answers again")))


class VersionTests(ReplicaScenario):
    """Bytes of two versions are never put together."""

    async def test_gap_of_the_same(self) -> None:
        """A range is asked for at the replica by If-Match, and its bytes are the same ones."""
        self.origin.answers["/private/a"] = ranged(BODY, '"one"')
        self.replica.answers["/copies/a"] = ranged(BODY, '"one"')
        await self.shield(cache="block_size = 64k")
        first = await self.get("/a", range="bytes=0-9")
        self.assertEqual((206, BODY[:10]), (first.status, first.body))
        await self.origin.stop()
        got = await self.get("/a")
        self.assertEqual((200, True), (got.status, got.body == BODY))
        self.assertEqual('"one"', self.replica.asked[0].headers["if-match"])

    async def test_gap_of_another(self) -> None:
        """The replica has another version: the whole of that one, never half and half."""
        other = BODY[::-1]
        self.origin.answers["/private/a"] = ranged(BODY, '"one"')
        self.replica.answers["/copies/a"] = ranged(other, '"two"')
        await self.shield(cache="block_size = 64k")
        await self.get("/a", range="bytes=0-9")
        await self.origin.stop()
        # A client that has begun to get the first version gets no byte of the other one.
        got = await self.get("/a")
        self.assertFalse(got.whole)
        self.assertTrue(BODY.startswith(got.body))
        # One that has not gets the other one.
        got = await self.get("/a", range="bytes=500000-500009")
        self.assertEqual((206, '"two"'), (got.status, got.headers["etag"]))
        self.assertEqual(other[500_000:500_010], got.body)

    async def test_cut_in_the_middle(self) -> None:
        """The first one dies in a large body: the rest comes from the replica, by If-Match."""
        self.origin.answers["/private/a"] = [
            ranged(BODY, '"one"', most=100_000),
            raw(b"", close=True),
        ]
        self.replica.answers["/copies/a"] = ranged(BODY, '"one"')
        await self.shield(cache="block_size = 64k")
        got = await self.get("/a")
        self.assertEqual((200, True, True), (got.status, got.whole, got.body == BODY))
        self.assertEqual('"one"', self.replica.asked[0].headers["if-match"])

    async def test_a_middling_one_is_cut(self) -> None:
        """One that is not stored by blocks goes on as well, from the very byte; and is kept."""
        for body in (BODY, BODY[:100_100]):
            self.replica.asked.clear()
            self.origin.answers["/private/a"] = ranged(body, '"one"', most=100_000)
            self.replica.answers["/copies/a"] = ranged(body, '"one"')
            await self.shield()
            got = await self.get("/a")
            self.assertEqual((200, True, True), (got.status, got.whole, got.body == body))
            (asked,) = self.replica.asked
            self.assertEqual(f"bytes=100000-{len(body) - 1}", asked.headers["range"])
            self.assertEqual('"one"', asked.headers["if-match"])
            again = await self.get("/a")
            self.assertEqual(("HIT", True), (again.cache, again.body == body))
            await self.stop()
            self.cache_path = self.mktemp()

    async def test_a_part_is_cut(self) -> None:
        """A range that is passed through goes on too."""
        self.origin.answers["/private/a"] = ranged(BODY, '"one"', most=50_000)
        self.replica.answers["/copies/a"] = ranged(BODY, '"one"')
        await self.shield("proxy_cache = off")
        got = await self.get("/a", range="bytes=1000-200999")
        self.assertEqual((206, True), (got.status, got.body == BODY[1000:201_000]))
        self.assertEqual("bytes=51000-200999", self.replica.asked[0].headers["range"])

    async def test_cut_without_another(self) -> None:
        """No strong ETag, another version, or no ranges: cut, never mixed."""
        for first, other in (
            (ranged(BODY, 'W/"one"', most=100_000), ranged(BODY, 'W/"one"')),
            (ranged(BODY, '"one"', most=100_000), ranged(BODY, '"two"')),
            (ranged(BODY, '"one"', most=100_000), answer(200, BODY, TAG)),
            (ranged(BODY, '"one"', most=100_000), s3(404, "NoSuchKey")),
            (ranged(BODY, '"one"', most=100_000), raw(b"", close=True)),
        ):
            self.origin.answers["/private/a"] = first
            self.replica.answers["/copies/a"] = other
            await self.shield("proxy_cache = off")
            got = await self.get("/a")
            self.assertEqual((200, False), (got.status, got.whole))
            # The connection is reset: what the client has not read by then is lost.
            self.assertTrue(BODY[:100_000].startswith(got.body))
            await self.stop()

    async def test_cut_and_another_version(self) -> None:
        """And where that one has another version the client's answer ends short."""
        self.origin.answers["/private/a"] = [
            ranged(BODY, '"one"', most=100_000),
            raw(b"", close=True),
        ]
        self.replica.answers["/copies/a"] = ranged(BODY[::-1], '"two"')
        await self.shield(cache="block_size = 64k")
        got = await self.get("/a")
        self.assertFalse(got.whole)
        self.assertTrue(BODY.startswith(got.body))

    async def test_without_etag(self) -> None:
        """What only a date identifies is not put together of parts."""
        old = "Last-Modified: Tue, 24 Nov 2020 00:00:00 GMT\r\n"
        part = (
            b"HTTP/1.1 206 P\r\nContent-Length: 65536\r\nContent-Range: bytes 0-65535/%d\r\n%b\r\n"
        )
        whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n" % (len(BODY), old.encode())
        self.origin.answers["/private/a"] = [
            raw(part % (len(BODY), old.encode()) + BODY[:65536]),
            raw(whole + BODY),
        ]
        await self.shield(cache="block_size = 64k")
        got = await self.get("/a", range="bytes=0-9")
        self.assertEqual((206, BODY[:10]), (got.status, got.body))
        self.assertEqual(2, len(self.origin.asked))
        self.assertNotIn("range", self.origin.asked[1].headers)

    async def test_revalidation_of_the_same(self) -> None:
        """The replica's 304 to our strong ETag brings the stored one up to date."""
        self.origin.answers["/private/a"] = answer(
            200, b"own", {**TAG, "Cache-Control": "max-age=0"}
        )
        self.replica.answers["/copies/a"] = answer(304, b"", TAG)
        await self.shield("proxy_cache_revalidate = on")
        await self.get("/a")
        await self.origin.stop()
        got = await self.get("/a")
        self.assertEqual((200, b"own", "REVALIDATED"), (got.status, got.body, got.cache))
        self.assertEqual('"one"', self.replica.asked[0].headers["if-none-match"])

    async def test_revalidation_of_another(self) -> None:
        """The replica has another version: that is the whole answer, and is stored."""
        self.origin.answers["/private/a"] = answer(
            200, b"own", {**TAG, "Cache-Control": "max-age=0"}
        )
        self.replica.answers["/copies/a"] = answer(
            200, b"copy", {**OTHER, "Cache-Control": "max-age=9"}
        )
        await self.shield("proxy_cache_revalidate = on")
        await self.get("/a")
        await self.origin.stop()
        got = [await self.get("/a") for _ in range(2)]
        self.assertEqual([(b"copy", "EXPIRED"), (b"copy", "HIT")], [(g.body, g.cache) for g in got])

    async def test_revalidation_by_date(self) -> None:
        """A date says nothing about a copy: the whole is asked for."""
        dated = {"Last-Modified": "Tue, 24 Nov 2020 00:00:00 GMT", "Cache-Control": "max-age=0"}
        self.origin.answers["/private/a"] = answer(200, b"own", dated)
        self.replica.answers["/copies/a"] = answer(200, b"copy", dated)
        await self.shield("proxy_cache_revalidate = on")
        await self.get("/a")
        await self.origin.stop()
        self.assertEqual(b"copy", (await self.get("/a")).body)
        self.assertNotIn("if-modified-since", self.replica.asked[0].headers)


class HealthTests(ReplicaScenario):
    """The health object is asked for whether clients come or not."""

    def check(self, bucket: str = "b") -> None:
        """Ask for it now."""
        assert self.serving is not None
        (health,) = [each for each in self.serving._health if each._member.name == bucket]
        health.stop()
        health._ask()

    async def checked(self, bucket: str = "b") -> None:
        """Ask for it now, and wait for what comes of it."""
        assert self.serving is not None
        self.check(bucket)
        (health,) = [each for each in self.serving._health if each._member.name == bucket]
        await until(lambda: health._call is None, "the answer about the health object")

    async def test_signed(self) -> None:
        """It is a HEAD of the object, signed, and the first comes by itself."""
        self.bucket_options = "health = /up 10s"
        self.origin.answers["/private/up"] = answer(200, b"")
        await self.shield()
        await until(lambda: self.origin.asked, "the first question")
        (asked,) = self.origin.asked
        self.assertEqual(("HEAD", "/private/up"), (asked.method, asked.target))
        self.assertIn("AKIAIOSFODNN7EXAMPLE", asked.headers["authorization"])

    async def test_found_dead(self) -> None:
        """Three times not there, and no client has to find out; there again, all go back."""
        self.bucket_options = "health = /up 10s"
        self.origin.answers = {
            "/private/up": s3(404, "NoSuchKey"),
            "/private/a": answer(200, b"own"),
        }
        self.replica.answers["/copies/a"] = answer(200, b"copy")
        await self.shield("")
        for _ in range(3):
            await self.checked()
        self.assertEqual(b"copy", (await self.get("/a")).body)
        self.assertEqual(1, len(self.told("b: the health object /up is not there: answered 404")))
        self.assertEqual(1, len(self.told("b: ", "asked last", "its health object tells")))
        # No client's request is a try.
        assert self.serving is not None
        self.serving._origins._breakers["b"].until = 0.0
        self.assertEqual(b"copy", (await self.get("/a")).body)
        self.origin.answers["/private/up"] = answer(200, b"")
        await self.checked()
        self.assertEqual(b"own", (await self.get("/a")).body)
        self.assertTrue(self.told("b: the health object /up is there again"))
        self.assertTrue(self.told("b: it answers again"))

    async def test_hangs(self) -> None:
        """No answer within replica_timeout counts as none."""
        self.bucket_options = "health = /up 10s\nreplica_timeout = 50ms"
        self.origin.answers["/private/up"] = raw()
        await self.shield()
        await self.checked()
        self.assertTrue(self.told("b: the health object /up is not there: timeout: no answer"))

    async def test_the_end(self) -> None:
        """The service ends while it is asked for, and nothing is said about that."""
        self.bucket_options = "health = /up 10s"
        self.origin.answers["/private/up"] = raw()
        await self.shield()
        self.check()
        await until(lambda: self.origin.asked, "the question")
        await self.stop()
        self.assertEqual([], self.told("health"))

    async def test_without_replica(self) -> None:
        """A bucket without a replica may have one too: the log tells."""
        text = "health = /up 10s"
        made = ReplicaScenario.config_text
        self.config_text = lambda *args: made(self, *args).replace(  # type: ignore[method-assign]
            "replica = us\n", f"{text}\n"
        )
        self.origin.answers["/private/up"] = s3(403, "AccessDenied")
        await self.shield()
        for _ in range(4):
            await self.checked()
        self.assertEqual(1, len(self.told("b: the health object /up is not there: answered 403")))
        self.assertEqual([], self.told("asked last"))
