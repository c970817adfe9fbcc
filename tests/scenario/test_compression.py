"""Coded forms over real sockets: made once, stored, and right for every kind of request."""

from __future__ import annotations

import random
import zlib
from pathlib import Path
from typing import Any

import brotli
import zstandard
from twisted.logger import Logger

from s3shield.exchange import forms as forms_module
from s3shield.exchange import making as making_module
from s3shield.policy import Request

from .harness import Got, Scenario, answer, raw, until

TEXT = b"".join(b"line %d of a text that goes on and on\n" % n for n in range(100))
LONG = b"".join(b"%d %d\n" % (n, n * n * 7919 % 1000003) for n in range(40_000))
HEADERS = {
    "Content-Type": "text/plain; charset=utf-8",
    "Cache-Control": "max-age=100",
    "ETag": '"one"',
    "Last-Modified": "Mon, 02 Nov 2026 00:00:00 GMT",
    "Accept-Ranges": "bytes",
}
HEAD_OF_LONG = (
    "HTTP/1.1 200 OK\r\n"
    + "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    + f"Content-Length: {len(LONG)}\r\n\r\n"
).encode()
CODINGS = ("gzip", "br", "zstd")


def decoded(coding: str | None, body: bytes) -> bytes:
    """Return what a client makes of a body."""
    if coding == "gzip":
        gzip = zlib.decompressobj(31)
        found = gzip.decompress(body)
        assert gzip.eof
        assert not gzip.unused_data
        return found
    if coding == "br":
        return bytes(brotli.decompress(body))
    if coding == "zstd":
        return bytes(zstandard.ZstdDecompressor().decompressobj().decompress(body))
    return body


def text_of(got: Got) -> bytes:
    """Return the text that came, whatever its coding."""
    return decoded(got.headers.get("content-encoding"), got.body)


class Gone:
    """A `Downstream` whose client has left."""

    def start(self, head: bytes, length: int | None, producer: Any) -> None:
        producer.stopProducing()

    def on_gone(self, gone: Any) -> None:
        gone()


class CompressionScenario(Scenario):
    """An origin with a text at /a, and a longer one at /long."""

    def setUp(self) -> None:
        super().setUp()
        self.origin.answers["/a"] = answer(body=TEXT, headers=HEADERS)
        self.origin.answers["/long"] = answer(body=LONG, headers=HEADERS)

    async def shield(self, location: str = "", cache: str = "", more: str = "") -> None:
        """Start with all three codings on, unless `location` has its own list."""
        if "compress =" not in location:
            location += "\ncompress = br zstd gzip"
        await super().shield(location, cache, more)

    async def stored(self, target: str, **headers: str) -> Got:
        """Get a form, and once more when it is stored."""
        await self.get(target, **headers)
        await self.until_made()
        return await self.get(target, **headers)

    def entry(self, target: str) -> tuple[Any, Any]:
        """Return the location, and what it has stored of a target."""
        assert self.serving is not None
        location: Any = self.serving._locations[0]
        request = Request(b"GET", target.encode(), host=b"shield.test")
        route = self.serving._config.routing().route(request)
        assert route is not None
        return location, location.zone.lookup(route, request, location.policy)

    async def until_made(self) -> None:
        """Wait for the end of all that is being made."""
        assert self.serving is not None
        compressing = self.serving._compression.compressing
        assert compressing is not None
        await until(lambda: not compressing.running, "the forms to be made")


class FormTests(CompressionScenario):
    """What is sent, and how it is said."""

    async def test_each_coding(self) -> None:
        """The first gets it as it is made, the next from the cache; the origin is asked once."""
        await self.shield()
        for target, text in (("/a", TEXT), ("/long", LONG)):
            for coding in CODINGS:
                first = await self.get(target, accept_encoding=coding)
                await self.until_made()
                second = await self.get(target, accept_encoding=coding)
                for got in (first, second):
                    self.assertEqual((200, True), (got.status, got.whole))
                    self.assertEqual(coding, got.headers["content-encoding"])
                    self.assertEqual(text, text_of(got))
                    self.assertEqual("Accept-Encoding", got.headers["vary"])
                    self.assertEqual(f'W/"one-{coding}"', got.headers["etag"])
                    self.assertNotIn("accept-ranges", got.headers)
                self.assertEqual("chunked", first.headers["transfer-encoding"])
                self.assertEqual(str(len(second.body)), second.headers["content-length"])
                self.assertEqual("HIT", second.cache)
                self.assertEqual(first.body, second.body)
                self.assertLess(len(second.body), len(text) // 2)
        self.assertEqual(["/a", "/long"], self.origin.targets())

    async def test_identity(self) -> None:
        """Who takes no coding gets what the origin sent, with Vary, from the same entry."""
        await self.shield()
        await self.stored("/a", accept_encoding="gzip")
        for value in ("identity", "gzip;q=0", "deflate", "gzip;q=0.5, identity"):
            got = await self.get("/a", accept_encoding=value)
            self.assertEqual((TEXT, "HIT"), (got.body, got.cache))
            self.assertEqual(
                ("Accept-Encoding", '"one"', "bytes"),
                tuple(got.headers[name] for name in ("vary", "etag", "accept-ranges")),
            )
            self.assertNotIn("content-encoding", got.headers)
        got = await self.get("/a")
        self.assertEqual((TEXT, "Accept-Encoding"), (got.body, got.headers["vary"]))

    async def test_left_alone(self) -> None:
        """What has a coding, may not be transformed, is short or of another type goes as it is."""
        await self.shield()
        coded = zlib.compress(TEXT)
        for target, body, more in (
            ("/coded", coded, {"Content-Encoding": "deflate"}),
            ("/kept", TEXT, {"Cache-Control": "max-age=9, no-transform"}),
            ("/short", b"short", {}),
            ("/video", TEXT, {"Content-Type": "video/mp4"}),
        ):
            headers = {**HEADERS, **more}
            self.origin.answers[target] = answer(body=body, headers=headers)
            for status in ("MISS", "HIT"):
                got = await self.get(target, accept_encoding="gzip, br")
                self.assertEqual(
                    (status, body, '"one"'), (got.cache, got.body, got.headers["etag"])
                )
                self.assertNotIn("vary", got.headers)
                self.assertEqual(more.get("Content-Encoding"), got.headers.get("content-encoding"))
        self.origin.answers["/gone"] = answer(404, TEXT, headers=HEADERS)
        got = await self.get("/gone", accept_encoding="gzip")
        self.assertEqual((404, TEXT), (got.status, got.body))

    async def test_digests_go(self) -> None:
        """A digest of the identity form's bytes is not said of others."""
        fields = {
            "Content-MD5": "x",
            "x-amz-checksum-crc32": "y",
            "Repr-Digest": "z",
            "Digest": "d",
        }
        self.origin.answers["/a"] = answer(body=TEXT, headers={**HEADERS, **fields})
        await self.shield()
        got = await self.stored("/a", accept_encoding="br")
        self.assertEqual(set(), {name.lower() for name in fields} & set(got.headers))
        plain = await self.get("/a")
        self.assertEqual("z", plain.headers["repr-digest"])

    async def test_vary_is_joined(self) -> None:
        """An origin's own Vary stays, and selects; each variant has its own forms."""
        fields = {**HEADERS, "Vary": "Accept-Language"}
        self.origin.answers["/a"] = lambda connection, asked: answer(
            body=asked.headers["accept-language"].encode() * 1000, headers=fields
        )(connection, asked)
        await self.shield()
        for _ in range(2):
            for language in ("de", "en"):
                got = await self.stored("/a", accept_encoding="gzip", accept_language=language)
                self.assertEqual(language.encode() * 1000, text_of(got))
                self.assertEqual("HIT", got.cache)
                self.assertEqual("Accept-Language, Accept-Encoding", got.headers["vary"])
        self.assertEqual(2, len(self.origin.asked))

    async def test_head(self) -> None:
        """A HEAD says what a GET would: before anything is stored, and after."""
        await self.shield()
        names = ("content-encoding", "etag", "vary", "content-length")
        before = await self.get("/a", "HEAD", accept_encoding="br")
        again = await self.get("/a", "HEAD", accept_encoding="br")
        got = await self.stored("/a", accept_encoding="br")
        after = await self.get("/a", "HEAD", accept_encoding="br")
        self.assertEqual("HIT", again.cache)
        for head in (before, again):
            self.assertEqual(
                ["br", 'W/"one-br"', "Accept-Encoding", None], [head.headers.get(n) for n in names]
            )
        self.assertEqual([got.headers.get(n) for n in names], [after.headers.get(n) for n in names])
        plain = await self.get("/a", "HEAD")
        self.assertEqual(
            [None, '"one"', "Accept-Encoding", str(len(TEXT))],
            [plain.headers.get(n) for n in names],
        )

    async def test_careful(self) -> None:
        """A location that looks at each request has the same forms."""
        await self.shield("cache_status = on")
        got = await self.stored("/a", accept_encoding="zstd")
        self.assertEqual(("HIT", TEXT), (got.cache, text_of(got)))
        self.assertIn("hit", got.headers["cache-status"])

    async def test_not_stored(self) -> None:
        """What may not be stored is compressed all the same, for its one client."""
        fields = {**HEADERS, "Cache-Control": "no-store"}
        self.origin.answers["/long"] = answer(body=LONG, headers=fields)
        await self.shield()
        for _ in range(2):
            got = await self.get("/long", accept_encoding="gzip")
            self.assertEqual(
                ("gzip", LONG, "MISS"), (got.headers["content-encoding"], text_of(got), got.cache)
            )
        self.assertEqual(2, len(self.origin.asked))


class ConditionTests(CompressionScenario):
    """RFC 9110 sections 13 and 14: each form has its own tag; bytes are the identity form's."""

    async def test_not_modified(self) -> None:
        """A 304 for the tag of just the form that would be sent, stored or not."""
        await self.shield()
        for coding in CODINGS:
            tag = f'W/"one-{coding}"'
            for step in ("made", "stored"):
                got = await self.get("/a", accept_encoding=coding, if_none_match=tag)
                self.assertEqual((304, tag), (got.status, got.headers["etag"]), step)
                self.assertEqual("Accept-Encoding", got.headers["vary"])
                await self.stored("/a", accept_encoding=coding)
            for other in ('"one"', 'W/"one-deflate"', '"two"'):
                got = await self.get("/a", accept_encoding=coding, if_none_match=other)
                self.assertEqual((200, TEXT), (got.status, text_of(got)))
            got = await self.get("/a", if_none_match=tag)
            self.assertEqual((200, TEXT), (got.status, got.body))
        got = await self.get("/a", if_none_match='"one"')
        self.assertEqual((304, '"one"'), (got.status, got.headers["etag"]))
        got = await self.get(
            "/a", accept_encoding="br", if_modified_since="Mon, 02 Nov 2026 00:00:00 GMT"
        )
        self.assertEqual(304, got.status)

    async def test_ranges_are_of_identity(self) -> None:
        """A Range is answered from the identity form, whatever the client takes."""
        await self.shield()
        for step in ("missing", "stored"):
            got = await self.get("/a", accept_encoding="gzip", range="bytes=5-9")
            self.assertEqual(
                (206, TEXT[5:10], '"one"'), (got.status, got.body, got.headers["etag"])
            )
            self.assertEqual(f"bytes 5-9/{len(TEXT)}", got.headers["content-range"])
            self.assertEqual("Accept-Encoding", got.headers["vary"], step)
            self.assertNotIn("content-encoding", got.headers)
            await self.stored("/a", accept_encoding="gzip")

    async def test_if_range(self) -> None:
        """Only the identity form's own tag makes a part; a date and a coded tag do not."""
        await self.shield()
        await self.stored("/a", accept_encoding="gzip")
        for value, status in (
            ('"one"', 206),
            ('W/"one-gzip"', 200),
            ('"one-gzip"', 200),
            ("Mon, 02 Nov 2026 00:00:00 GMT", 200),
        ):
            got = await self.get("/a", accept_encoding="gzip", range="bytes=0-3", if_range=value)
            self.assertEqual(status, got.status, value)
            self.assertEqual(TEXT if status == 200 else TEXT[:4], text_of(got))
        got = await self.get("/a", range="bytes=0-3", if_range=HEADERS["Last-Modified"])
        self.assertEqual((206, TEXT[:4]), (got.status, got.body))

    async def test_part_of_a_cold_object(self) -> None:
        """A part of a large object is still fetched alone; the rest comes when it is compressed."""
        body = LONG * 4

        def ranged(connection: Any, asked: Any) -> None:
            value = asked.headers.get("range")
            if value is None:
                answer(body=body, headers=HEADERS)(connection, asked)
                return
            first, _, last = value.removeprefix("bytes=").partition("-")
            start, end = int(first), min(len(body), int(last or len(body)) + 1)
            span = {"Content-Range": f"bytes {start}-{end - 1}/{len(body)}"}
            answer(206, body[start:end], {**HEADERS, **span})(connection, asked)

        self.origin.answers["/big"] = ranged
        await self.shield(cache="block_size = 64k")
        got = await self.get("/big", accept_encoding="br", range="bytes=200000-200009")
        self.assertEqual((206, body[200000:200010]), (got.status, got.body))
        got = await self.stored("/big", accept_encoding="br")
        self.assertEqual((200, body, "HIT"), (got.status, text_of(got), got.cache))
        self.assertLess(self.origin.sent, len(body) + 20_000)


class TogetherTests(CompressionScenario):
    """Forms live and die with their identity form."""

    async def test_changed_object(self) -> None:
        """A new object at the origin has new forms; the old ones are never sent again."""
        new = answer(body=TEXT.upper(), headers={**HEADERS, "ETag": '"two"'})
        self.origin.answers["/a"] = [
            answer(body=TEXT, headers={**HEADERS, "Cache-Control": "max-age=0"}),
            new,
        ]
        await self.shield()
        for coding in CODINGS:
            got = await self.get("/a", accept_encoding=coding)
            await self.until_made()
            got = await self.stored("/a", accept_encoding=coding)
            self.assertEqual(
                (TEXT.upper(), f'W/"two-{coding}"'), (text_of(got), got.headers["etag"])
            )

    async def test_same_tag_other_body(self) -> None:
        """Without a tag the body itself says whether a form is still of it."""
        bare = {"Content-Type": "text/css", "Cache-Control": "max-age=0"}
        fields = {**bare, "Last-Modified": HEADERS["Last-Modified"]}
        self.origin.answers["/a"] = [
            answer(body=TEXT, headers=fields),
            answer(body=TEXT.swapcase(), headers={**fields, "Cache-Control": "max-age=9"}),
        ]
        await self.shield()
        await self.get("/a", accept_encoding="gzip")
        await self.until_made()
        got = await self.stored("/a", accept_encoding="gzip")
        self.assertEqual(TEXT.swapcase(), text_of(got))
        self.assertNotIn("etag", got.headers)

    async def test_revalidated(self) -> None:
        """A 304 of the origin's, to the origin's own tag, goes for the forms as well."""
        stale = {**HEADERS, "Cache-Control": "max-age=0"}
        self.origin.answers["/long"] = [
            answer(body=LONG, headers=stale),
            answer(304, headers={**stale, "X-New": "yes"}),
        ]
        await self.shield()
        first = await self.get("/long", accept_encoding="br")
        await self.until_made()
        for tag, status in (("", 200), ('W/"one-br"', 304)):
            got = await self.get("/long", accept_encoding="br", if_none_match=tag)
            self.assertEqual((status, "REVALIDATED"), (got.status, got.cache))
            self.assertEqual('W/"one-br"', got.headers["etag"])
            if status == 200:
                self.assertEqual(str(len(first.body)), got.headers["content-length"])
                self.assertEqual((first.body, "yes"), (got.body, got.headers["x-new"]))
        self.assertEqual('"one"', self.origin.asked[-1].headers["if-none-match"])

    async def test_stale_on_error(self) -> None:
        """When the origin fails a stale object stands in, in the form that the client takes."""
        self.origin.answers["/a"] = [
            answer(body=TEXT, headers={**HEADERS, "Cache-Control": "max-age=0"}),
            answer(500),
        ]
        await self.shield()
        await self.get("/a", accept_encoding="zstd")
        await self.until_made()
        got = await self.get("/a", accept_encoding="zstd")
        self.assertEqual(("zstd", TEXT), (got.headers["content-encoding"], text_of(got)))
        self.assertEqual("STALE", got.cache)

    async def test_purge(self) -> None:
        """A purge by URL, by prefix and by tag takes the forms, and counts one object."""
        tagged = {**HEADERS, "Surrogate-Key": "texts"}
        self.origin.answers["/a"] = answer(body=TEXT, headers=tagged)
        await self.shield()
        assert self.serving is not None
        purger = self.serving._purger()
        store = self.serving._zones["main"].store
        for purge in (
            lambda: purger.url("/a"),
            lambda: purger.prefix("/"),
            lambda: purger.tags([b"texts"]),
        ):
            for coding in CODINGS:
                await self.stored("/a", accept_encoding=coding)
            store.flush()
            self.assertEqual(4, store.stats().entries)
            self.assertEqual(1, await purge())
            store.flush()
            self.assertEqual(0, store.stats().entries)

    async def test_upload(self) -> None:
        """What an upload replaces has no forms any more."""
        self.origin.answers["/a"] = [
            answer(body=TEXT, headers=HEADERS),
            answer(204),
            answer(body=TEXT.upper(), headers=HEADERS),  # with the tag that it had
        ]
        await self.shield()
        await self.get("/a", accept_encoding="gzip")
        await self.until_made()
        await self.get("/a", "PUT", content_length="0")
        self.assertEqual(TEXT.upper(), (await self.get("/a")).body)
        got = await self.stored("/a", accept_encoding="gzip")
        self.assertEqual((TEXT.upper(), "HIT"), (text_of(got), got.cache))

    async def test_lost_form(self) -> None:
        """A form whose file is gone is made again; the origin is not asked."""
        await self.shield(cache="inline_limit = 1k")
        await self.stored("/long", accept_encoding="gzip")
        location, entry = self.entry("/long")
        form = location.forms.find(entry, b"gzip")
        store = location.zone.store
        store.flush()
        store._open_files.shrink(0)
        (path,) = Path(self.cache_path, "blobs").rglob(f"{form.blob.hex()}*")
        path.unlink()
        got = await self.get("/long", accept_encoding="gzip")
        self.assertEqual((200, LONG, "HIT"), (got.status, text_of(got), got.cache))
        await self.until_made()
        self.assertNotEqual(form.blob, location.forms.find(entry, b"gzip").blob)
        self.assertEqual(1, len(self.origin.asked))

    async def test_purged_meanwhile(self) -> None:
        """A form of what was purged while it was made is not stored."""
        held: list[Any] = []

        def begin(connection: Any, asked: Any) -> None:
            held.append(connection)
            connection.send(HEAD_OF_LONG + LONG[:50_000])

        self.origin.answers["/long"] = begin
        await self.shield()
        assert self.serving is not None
        client = await self.connect()
        client.send(b"GET /long HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n")
        while b"\r\n\r\n" not in client.buffer:
            await client.more()
        await self.serving._purger().everything()
        held[0].send(LONG[50_000:])
        self.assertEqual(LONG, text_of(await client.take()))
        await self.until_made()
        store = self.serving._zones["main"].store
        store.flush()
        self.assertEqual(0, store.stats().entries)


class MakingTests(CompressionScenario):
    """While a form is being made."""

    async def test_crowd(self) -> None:
        """Many at once, of three codings and none: one request to the origin, one form each."""
        held: list[Any] = []
        self.origin.answers["/long"] = lambda *asked: held.append(asked)
        await self.shield()
        assert self.serving is not None
        forms = self.serving._locations[0].forms
        begun: list[bytes] = []
        begin = forms.begin

        def counted(what: Any, coding: bytes) -> Any:
            begun.append(coding)
            return begin(what, coding)

        forms.begin = counted

        async def release() -> None:
            await self.until_waiting(16)
            await until(lambda: held, "the origin to be asked")
            answer(body=LONG, headers=HEADERS)(*held[0])

        values = [*CODINGS, "identity"] * 4
        *got, _ = await self.together(
            *[self.get("/long", accept_encoding=value) for value in values], release()
        )
        for value, each in zip(values, got, strict=True):
            self.assertEqual(
                None if value == "identity" else value, each.headers.get("content-encoding")
            )
            self.assertEqual((LONG, True), (text_of(each), each.whole))
        self.assertEqual(1, len(self.origin.asked))
        self.assertEqual([b"br", b"gzip", b"zstd"], sorted(begun))

    async def test_first_bytes_early(self) -> None:
        """What the origin has sent so far can be read before it has sent the rest."""
        sent: list[Any] = []

        def begin(connection: Any, asked: Any) -> None:
            sent.append(connection)
            connection.send(HEAD_OF_LONG + LONG[:2000])

        self.origin.answers["/long"] = begin
        await self.shield()
        for coding in ("gzip", "br", "zstd"):
            self.assertEqual([], sent)
            client = await self.connect()
            client.send(
                b"GET /long HTTP/1.1\r\nHost: a\r\nAccept-Encoding: %b\r\n\r\n" % coding.encode()
            )
            early = b""
            while LONG[:2000] != early:
                self.assertTrue(await client.more())
                body = client.buffer.partition(b"\r\n\r\n")[2]
                early = self.early(coding, body)
            sent.pop().send(LONG[2000:])
            got = await client.take()
            self.assertEqual(LONG, text_of(got))
            await self.purge_all()

    def early(self, coding: str, body: bytes) -> bytes:
        """Return what can be read of the beginning of a chunked body."""
        size, _, rest = body.partition(b"\r\n")
        data = rest[: int(size, 16)] if size and b"\r\n" in body else b""
        if coding == "gzip":
            return zlib.decompressobj(31).decompress(data)
        if coding == "br":
            return bytes(brotli.Decompressor().process(data))
        return bytes(zstandard.ZstdDecompressor().decompressobj().decompress(data))

    async def purge_all(self) -> None:
        """Forget everything that is stored."""
        assert self.serving is not None
        await self.until_made()
        await self.until_idle()
        await self.serving._purger().everything()

    async def test_cut_by_the_origin(self) -> None:
        """A body that ends early cuts its clients, and leaves no form behind."""
        self.origin.answers["/long"] = [
            raw(HEAD_OF_LONG + LONG[:200_000], close=True),
            answer(body=LONG, headers=HEADERS),
        ]
        await self.shield()
        got = await self.get("/long", accept_encoding="gzip")
        self.assertEqual((200, False), (got.status, got.whole))
        await self.until_made()
        got = await self.stored("/long", accept_encoding="gzip")
        self.assertEqual((200, True, LONG), (got.status, got.whole, text_of(got)))
        self.assertEqual(str(len(got.body)), got.headers["content-length"])

    async def test_client_leaves(self) -> None:
        """A client that leaves in the middle: the form is made to its end, or not begun again."""
        held: list[Any] = []

        def begin(connection: Any, asked: Any) -> None:
            held.append(connection)
            connection.send(HEAD_OF_LONG + LONG[:50_000])

        self.origin.answers["/long"] = begin
        await self.shield()
        client = await self.connect()
        client.send(b"GET /long HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n")
        while b"\r\n\r\n" not in client.buffer:
            await client.more()
        client.transport.abortConnection()
        await until(lambda: client.ended, "the client to be gone")
        assert self.serving is not None
        running = self.serving._compression.compressing.running
        await until(lambda: all(not each.fill.readers for each in running), "the reader to be gone")
        self.assertEqual(1, len(running))
        held[0].send(LONG[50_000:])
        await self.until_made()
        got = await self.get("/long", accept_encoding="br")
        self.assertEqual(("HIT", LONG), (got.cache, text_of(got)))
        self.assertIn("content-length", got.headers)

    async def test_client_leaves_and_nobody_goes_on(self) -> None:
        """With `fetch_on_abort = cancel` the making ends with its last client."""
        hang = raw(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nCache-Control: max-age=9\r\n"
            b"Content-Length: 100000000\r\n\r\n" + b"x" * 50_000
        )
        self.origin.answers["/long"] = hang
        await self.shield("fetch_on_abort = cancel")
        client = await self.connect()
        client.send(b"GET /long HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n")
        while b"\r\n\r\n" not in client.buffer:
            await client.more()
        client.transport.abortConnection()
        await self.until_made()
        await until(lambda: not self.origin.open, "the origin to be let go")

    async def test_bounded(self) -> None:
        """A client that does not read stops a body that is not stored, all the way back."""
        size = 64 << 20
        noise = random.Random(6).randbytes(1 << 20)
        fields = {**HEADERS, "Cache-Control": "no-store", "Content-Length": str(size)}

        async def begin(connection: Any, asked: Any) -> None:
            lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            connection.send(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode())
            for _ in range(size >> 20):
                await until(lambda: not connection.paused or connection.gone, "room")
                connection.send(noise)

        self.origin.answers["/long"] = begin
        await self.shield("compress = zstd\nzstd_comp_level = 1")
        client = await self.connect()
        client.transport.pauseProducing()
        client.send(b"GET /long HTTP/1.1\r\nHost: a\r\nAccept-Encoding: zstd\r\n\r\n")
        assert self.serving is not None
        running = self.serving._compression.compressing.running
        await until(lambda: [True for each in running if each._held], "us to be stopped")
        await until(
            lambda: any(each.paused for each in self.origin.open), "the origin to be stopped"
        )
        (making,) = running
        self.assertLess(making._size, 2 << 20)
        self.assertLess(making.fill._kept, 4 << 20)
        self.assertLess(making.taken, size)
        client.transport.abortConnection()
        await self.until_made()

    async def test_too_many(self) -> None:
        """When enough is being made the object is sent as it is."""
        held: list[Any] = []

        def begin(connection: Any, asked: Any) -> None:
            held.append(connection)
            connection.send(HEAD_OF_LONG + LONG[:50_000])

        self.origin.answers["/held"] = begin
        await self.shield()
        self.patch(forms_module, "_ROOM", 0)  # for one, always, and for no other
        client = await self.connect()
        client.send(b"GET /held HTTP/1.1\r\nHost: a\r\nAccept-Encoding: zstd\r\n\r\n")
        while b"\r\n\r\n" not in client.buffer:
            await client.more()
        got = await self.get("/long", accept_encoding="gzip")
        self.assertEqual((LONG, "Accept-Encoding"), (got.body, got.headers["vary"]))
        self.assertNotIn("content-encoding", got.headers)
        held[0].send(LONG[50_000:])
        self.assertEqual(LONG, text_of(await client.take()))
        await self.until_made()
        got = await self.get("/long", accept_encoding="gzip")
        self.assertEqual(("gzip", LONG), (got.headers["content-encoding"], text_of(got)))

    async def test_encoder_fails(self) -> None:
        """A library that fails cuts the client, is told, and leaves nothing behind."""

        def broken(*_words: Any, **_options: Any) -> bytes:
            raise MemoryError("no memory for it")

        await self.shield()
        self.patch(making_module, "code", broken)
        told: list[str] = []
        self.serving._locations[0].forms.log = Logger(
            observer=lambda event: told.append(event["problem"])
        )
        got = await self.get("/a", accept_encoding="br")
        self.assertEqual((200, False), (got.status, got.whole))
        self.assertEqual(["no memory for it"], told)
        got = await self.get("/a", accept_encoding="identity")
        self.assertEqual((TEXT, "HIT"), (got.body, got.cache))

    async def test_stopped(self) -> None:
        """A service that ends does not wait for what would take long, and cuts it."""
        self.origin.answers["/long"] = raw(HEAD_OF_LONG + LONG[:50_000])
        await self.shield()
        client = await self.connect()
        client.send(b"GET /long HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n")
        while b"\r\n\r\n" not in client.buffer:
            await client.more()
        serving, self.serving = self.serving, None
        await serving.stop(0.01)
        self.assertEqual(set(), serving._compression.compressing.running)
        self.access_log.close()

    async def test_old_client(self) -> None:
        """A client of HTTP/1.0 gets a form without chunks while it is made."""
        await self.shield()
        for _ in range(2):
            client = await self.connect()
            client.send(b"GET /a HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
            got = await client.take()
            self.assertNotIn("transfer-encoding", got.headers)
            self.assertEqual(("gzip", TEXT), (got.headers["content-encoding"], text_of(got)))
            await self.until_made()

    async def test_gone_before_it_begins(self) -> None:
        """A client that is gone when its answer begins leaves nothing running for itself."""
        for option, kept in (("keep", True), ("cancel", False)):
            await self.shield(f"fetch_on_abort = {option}")
            await self.get("/long")
            location, entry = self.entry("/long")
            request = Request(b"GET", b"/long", {b"accept-encoding": b"br"}, host=b"shield.test")
            route = self.serving._config.routing().route(request)
            location.serve(request, route, Gone())
            await self.until_made()
            self.assertEqual(kept, location.forms.find(entry, b"br") is not None)
            await self.serving._purger().everything()
            await self.stop()
