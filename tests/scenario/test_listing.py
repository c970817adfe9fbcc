"""`autoindex`: listings of a bucket, asked for, believed and shown with care."""

from __future__ import annotations

import json
import re
import time
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, quote_plus, unquote_to_bytes, urljoin, urlsplit

from .checking import CheckingOrigin
from .harness import BucketScenario, answer

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ON = "autoindex = on"


def document(
    prefix: str = "",
    keys: list[tuple[str, str, str]] | None = None,
    folders: list[str] | None = None,
    token: str = "",
) -> bytes:
    """What S3 says. keys: (key, size, date), not yet encoded."""

    def text(key: str) -> str:
        return quote_plus(key, safe="/")

    rows = "".join(
        f"<Contents><Key>{text(key)}</Key><LastModified>{when}</LastModified>"
        f"<ETag>&quot;e&quot;</ETag><Size>{size}</Size></Contents>"
        for key, size, when in keys or []
    )
    rows += "".join(
        f"<CommonPrefixes><Prefix>{text(each)}</Prefix></CommonPrefixes>" for each in folders or []
    )
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>private</Name>'
        f"<Prefix>{text(prefix)}</Prefix><EncodingType>url</EncodingType>"
        f"<IsTruncated>{'true' if token else 'false'}</IsTruncated>{more}{rows}</ListBucketResult>"
    ).encode()


class Links(HTMLParser):
    """What a page shows and leads to, as a browser reads it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.tags: set[str] = set()
        self._open = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag == "a":
            self.links.append((dict(attrs)["href"], ""))
            self._open = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            href, text = self.links[-1]
            self.links[-1] = (href, text + data)


class Listed(BucketScenario):
    """A bucket that is listed."""

    def lists(self, *answers: Any) -> None:
        """Let the bucket answer each question for a listing with the next of these bytes."""
        left = list(answers)

        def reply(asked: Any) -> Any:
            if "list-type=2" not in asked.target:
                return answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return answer(200, left.pop(0) if len(left) > 1 else left[0])

        self.origin.reply = reply  # type: ignore[method-assign]


class ListingTests(Listed):
    """What a listing shows."""

    async def test_page(self) -> None:
        """Folders, then files with size and date; cached for a while, HEAD and 304 as of any page."""
        self.lists(
            document(
                "docs/",
                [
                    ("docs/", "0", "2026-11-01T00:00:00.000Z"),
                    ("docs/a b.txt", "1536", "2026-11-02T03:04:05.000Z"),
                ],
                ["docs/sub/"],
            )
        )
        await self.shield(ON)
        got = await self.get("/docs/")
        page = got.body.decode()
        self.assertEqual((200, "MISS"), (got.status, got.cache))
        self.assertEqual("text/html; charset=utf-8", got.headers["content-type"])
        self.assertEqual(
            [("../", "../"), ("./sub/", "sub/"), ("./a%20b.txt", "a b.txt")], Links(page).links
        )
        self.assertIn('title="1536 bytes">1.5 KiB<', page)
        self.assertIn('<time datetime="2026-11-02T03:04:05Z">2026-11-02 03:04</time>', page)
        self.assertIn("<caption>1 folder and 1 file. ", page)
        self.assertIn("default-src 'none'", got.headers["content-security-policy"])
        head = await self.get("/docs/", "HEAD")
        self.assertEqual((200, "HIT"), (head.status, head.cache))
        self.assertEqual(str(len(got.body)), head.headers["content-length"])
        same = await self.get("/docs/", if_none_match=got.headers["etag"])
        self.assertEqual(304, same.status)
        self.assertEqual(1, len(self.origin.targets()))
        query = parse_qs(urlsplit(self.origin.targets()[0]).query)
        self.assertEqual(["docs/"], query["prefix"])
        self.assertEqual((["/"], ["url"]), (query["delimiter"], query["encoding-type"]))
        lines = [(x["request_uri"], x["status"], x["body_bytes_sent"]) for x in self.logged()]
        self.assertEqual(
            [("/docs/", 200, len(got.body)), ("/docs/", 200, 0), ("/docs/", 304, 0)], lines
        )

    async def test_not_stored(self) -> None:
        """`autoindex_valid = 0` asks each time; other objects are stored as ever."""
        self.lists(document(keys=[("a", "1", "")]))
        await self.shield(f"{ON}\nautoindex_valid = 0\nproxy_cache_valid = 200 1h")
        await self.get("/")
        self.assertEqual("MISS", (await self.get("/")).cache)
        self.assertEqual(2, len(self.origin.targets()))

    async def test_json(self) -> None:
        """Names, types, times and sizes as nginx has them."""
        self.lists(
            document(keys=[('"q"\u00fc.txt', "7", "2026-11-02T03:04:05.000Z")], folders=["d/"])
        )
        await self.shield(f"{ON}\nautoindex_format = json")
        got = await self.get("/")
        self.assertEqual("application/json; charset=utf-8", got.headers["content-type"])
        self.assertEqual(
            [
                {"name": "d", "type": "directory"},
                {
                    "name": '"q"\u00fc.txt',
                    "type": "file",
                    "mtime": "Mon, 02 Nov 2026 03:04:05 GMT",
                    "size": 7,
                },
            ],
            json.loads(got.body),
        )

    async def test_pages(self) -> None:
        """A token leads on, as one parameter that means nothing to clients; the last page has none."""
        self.lists(
            document(keys=[("a", "1", "")], token="1/k+Y=="), document(keys=[("b", "1", "")])
        )
        await self.shield(ON)
        first = await self.get("/")
        (href,) = [href for href, text in Links(first.body.decode()).links if "Next" in text]
        self.assertEqual(f'<{href}>; rel="next"', first.headers["link"])
        second = await self.get(urljoin("/", href))
        self.assertIn(b">b<", second.body)
        self.assertNotIn("link", second.headers)
        asked = parse_qs(urlsplit(self.origin.targets()[1]).query)
        self.assertEqual(["1/k+Y=="], asked["continuation-token"])
        await self.get(urljoin("/", href))
        self.assertEqual(2, len(self.origin.targets()))

    async def test_bad_tokens(self) -> None:
        """What is no token of ours is refused, and never asked for."""
        self.lists(document())
        await self.shield(ON)
        for token in ("%00", "!", "AA", "A" * 7000, "%E2%82%AC", "Cg"):
            self.assertEqual(400, (await self.get(f"/?page={token}")).status, token)
        self.assertEqual([], self.origin.targets())

    async def test_empty(self) -> None:
        """A bucket without keys is an empty page; a directory without keys is not there."""
        self.lists(document())
        await self.shield(ON)
        root = await self.get("/")
        self.assertEqual(200, root.status)
        self.assertIn(b"Nothing here", root.body)
        self.assertEqual(404, (await self.get("/none/")).status)

    async def test_any_names(self) -> None:
        """Each name is shown, escaped, and its link leads to its key, whatever is in it."""
        names = [
            "<script>alert(1)",
            '"><img src=x onerror=alert(1)>',
            "javascript:alert(1)",
            "a&amp;b;'`",
            "..hidden",
            "?q=1#f",
            "100%25+1 x",
            "\u202egnp.exe",
            "tab\there\nline\r",
            "\u00fc\U0001f600",
            "//evil.test"[2:] + ":80",
            "\\evil",
        ]
        self.lists(document("d/", [(f"d/{name}", "1", "") for name in names], ["d/../", "d//"]))
        await self.shield(ON)
        got = await self.get("/d/")
        page = Links(got.body.decode())
        self.assertFalse({"script", "img"} & page.tags)
        keys = set()
        self.assertIn(".//", [href for href, _ in page.links])  # /d//, in a browser
        for href, _ in page.links[2:]:
            url = urlsplit(urljoin("http://shield.test/d/", href))
            self.assertEqual(("http", "shield.test", ""), (url.scheme, url.netloc, url.query))
            self.assertTrue(href.startswith("./"), href)
            keys.add(unquote_to_bytes(url.path).decode())
        self.assertEqual({f"/d/{name}" for name in names}, keys)
        self.assertIn(b"<bdi>../</bdi></th>", got.body)  # shown, but no link: it would lead up
        self.assertNotIn("\u202e", got.body.decode())

    async def test_names_in_the_path(self) -> None:
        """The path itself is text of the client's, and is escaped as well."""
        self.lists(document("<b>/", [("<b>/x", "1", "")]))
        await self.shield(ON)
        got = await self.get("/%3Cb%3E/")
        self.assertIn(b"&lt;b&gt;/", got.body)
        self.assertNotIn(b"<b>", got.body)

    async def test_index_goes_first(self) -> None:
        """An index document stands in the place of the listing."""
        lists = document("a/", [("a/x", "1", "")])

        def reply(asked: Any) -> Any:
            if "list-type=2" in asked.target:
                return answer(200, lists)
            there = asked.target == "/private/b/index.html"
            return answer(200, b"index") if there else answer(404)

        self.origin.reply = reply  # type: ignore[method-assign]
        await self.shield(
            f"{ON}\nindex = index.html\nproxy_cache_valid = 404 1m\nslash_redirect = on"
        )
        self.assertEqual(b"index", (await self.get("/b/")).body)
        self.assertIn(b"Index of", (await self.get("/a/")).body)
        self.assertEqual("/a/", (await self.get("/a")).headers["location"])

    async def test_rewritten(self) -> None:
        """Links lead to what is listed where the keys begin otherwise than the paths."""
        self.lists(document("pub/x/", [("pub/x/f", "1", "")]))
        await self.shield(f"{ON}\nrewrite = ^/(.*)$ /pub/$1")
        got = await self.get("/x/")
        self.assertIn(("./f", "f"), Links(got.body.decode()).links)
        self.assertEqual(["pub/x/"], parse_qs(urlsplit(self.origin.targets()[0]).query)["prefix"])

    async def test_refused_by_the_bucket(self) -> None:
        """A bucket that lets nobody list is answered so; nothing of S3's own text is shown."""
        denied = answer(403, b"<Error><Code>AccessDenied</Code><HostId>h</HostId></Error>")
        self.origin.reply = lambda asked: denied  # type: ignore[method-assign]
        await self.shield(ON)
        got = await self.get("/")
        self.assertEqual(403, got.status)
        self.assertNotIn(b"HostId", got.body)

    async def test_pages_of_errors(self) -> None:
        """`error_page` is for listings too."""

        def reply(asked: Any) -> Any:
            there = asked.target == "/private/404.html"
            return answer(200, b"page" if there else document())

        self.origin.reply = reply  # type: ignore[method-assign]
        await self.shield(f"{ON}\nerror_page = 404 /404.html")
        got = await self.get("/none/")
        self.assertEqual((404, b"page"), (got.status, got.body))

    async def test_purged(self) -> None:
        """A purge of the path as a prefix takes the listing along."""
        self.lists(document("d/", [("d/a", "1", "")]))
        await self.shield(ON)
        await self.get("/d/")
        self.assertEqual("HIT", (await self.get("/d/")).cache)
        assert self.serving is not None
        await self.serving._purger().prefix("/d/")
        self.assertEqual("MISS", (await self.get("/d/")).cache)

    async def test_closed(self) -> None:
        """Nobody who may not come in sees a listing, a stored one neither."""
        self.lists(document())
        await self.shield(f"{ON}\ndeny = all")
        self.assertEqual(403, (await self.get("/")).status)
        self.assertEqual([], self.origin.targets())


class LyingTests(Listed):
    """Buckets that lie, and documents that attack."""

    async def test_bad_documents(self) -> None:
        """What is no listing is a 502 with a line in the error log, at once and at no cost."""
        bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
        outside = b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
        root = b"<ListBucketResult>%b</ListBucketResult>"
        for each in (
            b"",
            b"hello",
            b"<html></html>",
            root[:-5],
            bomb + root % b"<Contents><Key>&b;</Key></Contents>",
            outside + root % b"<Contents><Key>&f;</Key></Contents>",
            root % b"<Contents><Key>&unknown;</Key></Contents>",
            root % (b"<Contents><Key>x</Key></Contents>" * 2100),
            root % (b"<a/>" * 60_000),
            root % (b"<a>" * 50 + b"</a>" * 50),
            root % (b"<Contents><Key>" + b"x" * 20_000 + b"</Key></Contents>"),
            b" " * (5 << 20) + root,
            root % b"<Contents><Key>\xff\xfe</Key></Contents>",
        ):
            self.lists(each)
            if self.serving is None:
                await self.shield(f"{ON}\nautoindex_valid = 0")
            self.assertEqual(502, (await self.get("/")).status, each[:80])

    async def test_lies(self) -> None:
        """Keys from elsewhere, sizes and dates that are none, a token that leads to itself."""
        lies = document(
            "d/",
            [
                ("other/secret", "1", ""),
                ("d/deep/er", "1", ""),
                ("d/ok", "-5", "yesterday"),
                ("d/ok", "7", "2026-11-02T03:04:05.000Z"),
                ("d/huge", "9" * 30, "9999-99-99T00:00:00Z"),
                ("d/slash/", "1", ""),
            ],
            ["other/", "d/deep", "d/x/y/", ""],
            token="same",
        )
        self.lists(lies)
        await self.shield(ON)
        got = await self.get("/d/")
        names = [text for _, text in Links(got.body.decode()).links]
        self.assertEqual(["../", "ok", "huge", "Next page"], names)
        href = Links(got.body.decode()).links[-1][0]
        again = await self.get(urljoin("/d/", href))
        self.assertEqual(200, again.status)
        self.assertNotIn(b"Next page", again.body)

    async def test_cut_off(self) -> None:
        """A document that ends early is no listing, and is not stored as one."""
        whole = document(keys=[("a", "1", "")])

        def reply(asked: Any) -> Any:
            def write(connection: Any, _: Any) -> None:
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(whole) + 99)
                connection.send(head + whole)
                connection.transport.unregisterProducer()
                connection.transport.loseConnection()

            return write

        self.origin.reply = reply  # type: ignore[method-assign]
        await self.shield(ON)
        self.assertEqual(502, (await self.get("/")).status)


class SignedTests(BucketScenario):
    """The question is signed as any other."""

    def make_origin(self) -> Any:
        """Return a bucket that checks signatures."""
        return CheckingOrigin(SECRET, "us-east-1", time.time)

    def config_text(self, location: str, cache: str, more: str) -> str:
        """With the secret that the bucket knows."""
        text = super().config_text(location, cache, more)
        return re.sub(
            r"aws_signing_key = .*\naws_key_scope = .*",
            f"aws_secret_key = {SECRET}\naws_region = us-east-1",
            text,
        )

    async def test_signed(self) -> None:
        """S3 takes the signature of a listing, and of its further pages, for any prefix."""

        def reply(asked: Any) -> Any:
            _, why = self.origin.check(asked)
            if why:
                self.origin.wrong.append(why)
                return answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
            query = parse_qs(urlsplit(asked.target).query)
            prefix = query["prefix"][0] if "prefix" in query else ""
            more = "" if "continuation-token" in query else "t/+ =".replace(" ", "")
            return answer(200, document(prefix, [(f"{prefix}k", "1", "")], token=more))

        self.origin.reply = reply
        await self.shield(ON)
        for target in ("/", "/a%20b/%C3%BC+'(1)/"):
            got = await self.get(target)
            self.assertEqual(200, got.status)
            href = Links(got.body.decode()).links[-1][0]
            self.assertEqual(200, (await self.get(target + href)).status)
        self.assertEqual([], self.origin.wrong)
