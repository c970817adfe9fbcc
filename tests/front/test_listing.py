"""`front.listing_xml`, `front.listing_page`: any document, any name."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.front.listing_page import decode_token, encode_token, html_page, json_page
from s3shield.front.listing_xml import BadListingError, Listed, Listing, read_listing

NAMES = st.binary(min_size=1, max_size=40).filter(lambda name: b"/" not in name)
NASTY = st.sampled_from(
    [
        b"<b>",
        b'"',
        b"'",
        b"&",
        b"&lt;",
        b"javascript:",
        b"..",
        b".",
        b"\r\n",
        b"\xff",
        b"#?%",
        b"]]>",
    ]
)
KEYS = st.lists(st.one_of(NAMES, NASTY), min_size=1, max_size=3).map(b"".join)


class Read(HTMLParser):
    """The tags and links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href"]


class PageTests(SynchronousTestCase):
    """Pages of names."""

    @given(st.lists(KEYS, max_size=4, unique=True), st.booleans(), KEYS)
    @settings(deadline=None, max_examples=150)
    def test_any_names(self, names: list[bytes], directories: bool, path: bytes) -> None:
        """Whatever a name is, the page has the same tags, and a link below it for each."""
        shown = tuple(Listed(name + b"/" if directories else name) for name in names)
        text = html_page(Listing(shown, exists=True), b"/" + path, up=False, first=True).decode()
        page = Read(text)
        linked = [each.name for each in shown if each.name.rstrip(b"/") not in (b".", b"..")]
        self.assertEqual(
            [b"./" + name for name in linked], [unquote_to_bytes(x) for x in page.links]
        )
        plain = tuple(Listed(b"n/" if directories else b"n") for _ in linked)
        same = html_page(Listing(plain, exists=True), b"/", up=False, first=True).decode()
        expected = sorted(
            Read(same).tags + ["tr", "th", "bdi", "td", "td"] * (len(shown) - len(linked))
        )
        self.assertEqual(expected, sorted(page.tags))
        found = json.loads(json_page(Listing(shown, exists=True)))
        self.assertEqual(
            [name.decode("utf-8", "replace") for name in names], [x["name"] for x in found]
        )

    @given(st.text("".join(map(chr, range(0x21, 0x7F))), min_size=1, max_size=200))
    @settings(deadline=None, max_examples=100)
    def test_tokens(self, text: str) -> None:
        """A token comes back as it was, through letters that mean nothing in a query."""
        token = text.encode()
        self.assertRegex(encode_token(token), r"\A[A-Za-z0-9_-]+\Z")
        self.assertEqual(token, decode_token(encode_token(token).encode()))


class DocumentTests(SynchronousTestCase):
    """Documents."""

    @given(st.lists(KEYS, max_size=5, unique=True), KEYS)
    @settings(deadline=None, max_examples=100)
    def test_any_keys(self, names: list[bytes], prefix: bytes) -> None:
        """Keys of any bytes are read as they are; those from elsewhere are not."""
        prefix += b"/"
        rows = "".join(
            f"<Contents><Key>{quote_from_bytes(key)}</Key></Contents>"
            for name in names
            for key in (prefix + name, b"other/" + name)
        )
        document = (
            f"<ListBucketResult><EncodingType>url</EncodingType>{rows}</ListBucketResult>".encode()
        )
        listing = read_listing(document, prefix)
        expected = names
        if prefix == b"other/":
            expected = list(dict.fromkeys(names))
        self.assertEqual(expected, [each.name for each in listing.names])

    @given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
    @settings(deadline=None, max_examples=150)
    def test_anything(self, document: bytes) -> None:
        """What is no listing is refused in one way, whatever it is."""
        for each in (document, b"<ListBucketResult>" + document):
            with self.assertRaises(BadListingError):
                read_listing(each, b"")
