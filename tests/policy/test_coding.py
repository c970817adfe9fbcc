"""Content codings: who gets which form, and what its head says (RFC 9110 8.4, 12.5.3)."""

from __future__ import annotations

import re

import attrs
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import (
    CODINGS,
    Compression,
    EntryMeta,
    Request,
    chosen_coding,
    coded_etag,
    coded_head,
    is_codable,
    negotiated,
    parse_stored_head,
    varied_head,
)

ALL = (b"br", b"zstd", b"gzip")
TEXT = Compression(codings=ALL, types=frozenset({b"text/html", b"image/*"}), min_length=100)


def head(*lines: bytes, status: int = 200) -> bytes:
    """Return a wire head."""
    return b"".join([b"HTTP/1.1 %d OK\r\n" % status, *[line + b"\r\n" for line in lines]])


class NegotiationTests(SynchronousTestCase):
    """Accept-Encoding."""

    def test_table(self) -> None:
        """What clients send, and what the weights and `*` of RFC 9110 12.5.3 make of it."""
        for value, coding in (
            (None, None),
            (b"", None),
            (b" , ,", None),
            (b"identity", None),
            (b"deflate, compress", None),
            (b"gzip", b"gzip"),
            (b"GZip", b"gzip"),
            (b"x-gzip", b"gzip"),
            (b"gzip, deflate, br, zstd", b"br"),
            (b"gzip, deflate", b"gzip"),
            (b"gzip;q=1.0, br;q=0.9", b"gzip"),
            (b"gzip;q=0.2, br;q=0.1, zstd;q=0.3", b"zstd"),
            (b"gzip ; q=0.5,br;q=0.4", b"gzip"),
            (b"br;q=0, gzip", b"gzip"),
            (b"gzip;q=0", None),
            (b"gzip;q=0.000", None),
            (b"gzip;q=0.001", b"gzip"),
            (b"*", b"br"),
            (b"*;q=0", None),
            (b"identity;q=1, *;q=0", None),
            (b"br;q=0, *", b"zstd"),
            (b"gzip, *;q=0", b"gzip"),
            (b"*;q=0.5, gzip;q=1", b"gzip"),
            (b"identity;q=0.5, gzip;q=0.4", None),
            (b"identity;q=0.5, gzip;q=0.5", b"gzip"),
            (b"identity;q=0", None),  # nothing else is acceptable: what there is, is sent
            (b"identity;q=0, gzip;q=0.1", b"gzip"),
            (b"*;q=0.5, gzip;q=0.4, br;q=0, zstd;q=0", None),
            (b"gzip;q=2", None),
            (b"gzip;q=-1", None),
            (b"gzip;q=0.1234", None),
            (b"gzip;q=", None),
            (b"gzip;q", None),
            (b"gzip;level=9", None),
            (b"gzip;q=0.5;x=1", None),
            (b"gzip;q=abc, br;q=0.1", b"br"),
            (b"gzip;q=0, gzip", b"gzip"),
            (b'"gzip"', None),
            (b"gzipp", None),
        ):
            self.assertEqual(coding, negotiated(value, ALL), value)

    def test_offered(self) -> None:
        """Only what is offered is sent, and where all is equal the order of the offer decides."""
        self.assertEqual(b"gzip", negotiated(b"br, zstd, gzip", (b"gzip",)))
        self.assertEqual(b"gzip", negotiated(b"br, gzip", (b"gzip", b"br")))
        self.assertIsNone(negotiated(b"br", (b"gzip",)))
        self.assertIsNone(negotiated(b"*", ()))

    @given(st.binary(max_size=60))
    @example(b"gzip;q=1;;,")
    @settings(deadline=None, max_examples=150)
    def test_any_bytes(self, value: bytes) -> None:
        """Whatever is sent, nothing is raised, and what is chosen was named or meant."""
        coding = negotiated(value, ALL)
        if coding is not None:
            self.assertIn(coding, ALL)
            self.assertTrue(coding in value.lower() or b"*" in value, value)

    @given(
        st.dictionaries(
            st.sampled_from([*CODINGS, b"identity", b"*", b"deflate"]), st.integers(0, 1000)
        )
    )
    @settings(deadline=None, max_examples=150)
    def test_weights(self, weights: dict[bytes, int]) -> None:
        """The best weight wins in whatever order they are sent; weight 0 never is."""
        members = [b"%b;q=%d.%03d" % (name, w // 1000, w % 1000) for name, w in weights.items()]
        found = negotiated(b",".join(members), ALL)
        members.reverse()
        self.assertEqual(found, negotiated(b" , ".join(members), ALL))
        rest = weights.get(b"*", 0)
        identity = weights.get(b"identity", rest)
        if found is None:
            self.assertTrue(
                all(not weights.get(c, rest) or weights.get(c, rest) < identity for c in ALL)
            )
        else:
            weight = weights.get(found, rest)
            self.assertGreater(weight, 0)
            self.assertEqual(weight, max([identity, *[weights.get(c, rest) for c in ALL]]))

    def test_bytes_of_identity(self) -> None:
        """What compares strongly, or wants a part, is answered from the identity form."""
        meta = EntryMeta(status=200, born=1, response_time=1, fresh_until=9, etag=b'"a"')
        for fields, coding in (
            ({}, b"gzip"),
            ({b"if-none-match": b'W/"a-gzip"'}, b"gzip"),
            ({b"if-modified-since": b"x"}, b"gzip"),
            ({b"if-match": b'"a"'}, None),
            ({b"range": b"bytes=0-1"}, None),
            ({b"range": b"bytes=0-1", b"if-range": b' "a"'}, None),
            ({b"range": b"bytes=0-1", b"if-range": b'"b"'}, b"gzip"),
            ({b"range": b"bytes=0-1", b"if-range": b'W/"a-gzip"'}, b"gzip"),
            ({b"range": b"bytes=0-1", b"if-range": b"Mon, 02 Nov 2026 00:00:00 GMT"}, b"gzip"),
        ):
            request = Request(b"GET", b"/", {b"accept-encoding": b"gzip", **fields})
            self.assertEqual(coding, chosen_coding(request, meta, ALL), fields)
        request = Request(b"HEAD", b"/", {b"accept-encoding": b"gzip", b"range": b"bytes=0-1"})
        self.assertEqual(b"gzip", chosen_coding(request, meta, ALL))  # it has no ranges


class CodableTests(SynchronousTestCase):
    """Which responses have coded forms."""

    def test_table(self) -> None:
        """200, a listed type, long enough, no coding of its own, no `no-transform`."""
        kind, long = b"Content-Type: text/html", b"Content-Length: 100"
        for lines, codable in (
            ((kind, long), True),
            ((kind,), True),
            ((b"content-type:TEXT/HTML ; charset=x", long), True),
            ((b"Content-Type: image/svg+xml", long), True),
            ((b"Content-Type: text/htmlx", long), False),
            ((b"Content-Type: text", long), False),
            ((b"Content-Type: ", long), False),
            ((long,), False),
            ((kind, b"Content-Length: 99"), False),
            ((kind, long, b"Content-Encoding: gzip"), False),
            ((kind, long, b"content-encoding: aws-chunked"), False),
            ((kind, long, b"Content-Encoding:"), True),
            ((kind, long, b"Cache-Control: public, No-Transform"), False),
            ((kind, long, b"Cache-Control: public", b"Cache-Control: no-transform"), False),
            ((kind, long, b'Cache-Control: x="no-transform"'), True),
        ):
            self.assertEqual(codable, is_codable(head(*lines), TEXT), lines)
        for status in (203, 206, 301, 404, 500):
            self.assertFalse(is_codable(head(kind, long, status=status), TEXT))
        part = head(kind, b"Content-Length: 5", b"Content-Range: bytes 0-4/200", status=206)
        self.assertTrue(is_codable(part, TEXT, part=True))
        everything = attrs.evolve(TEXT, types=frozenset({b"*"}))
        self.assertTrue(is_codable(head(b"Content-Type: x/y"), everything))


class HeadTests(SynchronousTestCase):
    """What heads say."""

    def test_vary(self) -> None:
        """Accept-Encoding is said once, in one line, besides what the origin says."""
        for lines, value in (
            ((), [b"Accept-Encoding"]),
            ((b"Vary: Origin",), [b"Origin, Accept-Encoding"]),
            ((b"vary: origin , X", b"VARY: Y"), [b"origin, X, Y, Accept-Encoding"]),
            ((b"Vary: accept-ENCODING",), [b"accept-ENCODING"]),
            ((b"Vary: *",), [b"*"]),
        ):
            wire = varied_head(head(b"A: 1", *lines, b"B: 2"))
            found = parse_stored_head(wire)
            self.assertEqual(value, found.get_all(b"vary"))
            self.assertEqual((b"1", b"2"), (found.get(b"a"), found.get(b"b")))
            self.assertEqual(wire, varied_head(wire))

    def test_etag(self) -> None:
        """Weak, and another one for each coding; what is no entity tag is none."""
        for etag, coded in (
            (b'"a"', b'W/"a-br"'),
            (b'W/"a"', b'W/"a-br"'),
            (b'""', b'W/"-br"'),
            (b'"\xe9,!"', b'W/"\xe9,!-br"'),
            (b"bare", b""),
            (b'"a', b""),
            (b'"a b"', b""),
            (b"", b""),
        ):
            self.assertEqual(coded, coded_etag(etag, b"br"), etag)
        self.assertEqual(3, len({coded_etag(b'"a"', coding) for coding in CODINGS}))

    def test_coded(self) -> None:
        """What is about the identity form's bytes goes, all else stays."""
        gone = (
            *(b"Content-Length: 100", b"Content-MD5: x", b"Digest: x", b"content-digest: x"),
            *(b"Repr-Digest: x", b"Accept-Ranges: bytes", b"X-Amz-Checksum-Sha256: x"),
            b"x-amz-checksum-type: x",
        )
        kept = (b"Content-Type: text/html", b"Date: d", b"Last-Modified: l", b"x-amz-meta-a: b")
        wire = head(*kept, *gone, b'ETag: "a"', b"Via: 1.1 s3shield")
        found = parse_stored_head(coded_head(wire, b"br", 7))
        self.assertEqual(
            {
                **{n.lower(): v for n, _, v in [line.partition(b": ") for line in kept]},
                b"via": b"1.1 s3shield",
                b"vary": b"Accept-Encoding",
                b"etag": b'W/"a-br"',
                b"content-encoding": b"br",
                b"content-length": b"7",
            },
            {name.lower(): value for name, value in found.fields},
        )
        self.assertIsNone(parse_stored_head(coded_head(wire, b"br", None)).get(b"content-length"))
        twice = coded_head(head(b'ETag: "a"', b'ETag: "b"'), b"br", None)
        self.assertIsNone(parse_stored_head(twice).get(b"etag"))
        self.assertEqual([], re.findall(rb"[^\r]\n|\r[^\n]", wire))
