"""Ranges of bytes (RFC 9110 section 14)."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import (
    UNSATISFIABLE,
    CachePolicy,
    ContentRange,
    ResponseHead,
    multipart,
    parse_content_range,
    parse_range,
    partial_head,
    select_ranges,
    unsatisfiable_head,
    whole_head,
)

from .values import DEFAULT, entry, request

HEAD = (
    b"HTTP/1.1 200 OK\r\nDate: d\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n"
    b'ETag: "a"\r\nX-Content-Length: 7\r\nVia: 1.1 x\r\n'
)


class ParseRange(SynchronousTestCase):
    def test_of_a_thousand(self) -> None:
        """RFC 9110 14.1.2, 14.2: clamped, dropped, refused or ignored."""
        for value, expected in (
            (b"bytes=0-0", [(0, 1)]),
            (b"bytes=0-499", [(0, 500)]),
            (b"bytes=500-", [(500, 1000)]),
            (b"bytes=-300", [(700, 1000)]),
            (b"bytes=-5000", [(0, 1000)]),
            (b"bytes=999-", [(999, 1000)]),
            (b"bytes=0-99999", [(0, 1000)]),
            (b"BYTES=0-1", [(0, 2)]),
            (b" bytes = 0-1 ", [(0, 2)]),
            (b"bytes=0-1,10-11", [(0, 2), (10, 12)]),
            (b"bytes=10-11 ,\t0-1", [(10, 12), (0, 2)]),
            (b"bytes=,0-1,,", [(0, 2)]),
            (b"bytes=0-1, -2", [(0, 2), (998, 1000)]),
            (b"bytes=0-1, 2000-3000", [(0, 2)]),
            (b"bytes=0-1, -0", [(0, 2)]),
            (b"bytes=00000000000000000000-00000000000000000000001", [(0, 2)]),
            (b"bytes=0-" + b"9" * 9000, [(0, 1000)]),
            (b"bytes=-" + b"9" * 9000, [(0, 1000)]),
            (b"bytes=1000-", UNSATISFIABLE),
            (b"bytes=1000-1000", UNSATISFIABLE),
            (b"bytes=" + b"9" * 9000 + b"-", UNSATISFIABLE),
            (b"bytes=-0", UNSATISFIABLE),
            (b"bytes=5000-, -0", UNSATISFIABLE),
            (b"", None),
            (b"bytes", None),
            (b"bytes=", None),
            (b"bytes=,", None),
            (b"bytes=-", None),
            (b"bytes=5-4", None),
            (b"bytes=0-1, 5-4", None),
            (b"bytes=0--1", None),
            (b"bytes=-1-2", None),
            (b"bytes=a-b", None),
            (b"bytes=0x0-1", None),
            (b"bytes=0-1;2-3", None),
            (b"bytes=0 - 1", None),
            (b"bytes=1", None),
            (b"bytes=+1-2", None),
            (b"bytes 0-1", None),
            (b"bytes:0-1", None),
            (b"items=0-1", None),
            (b"xbytes=0-1", None),
            (b"bytes=\xb2-", None),
        ):
            self.assertEqual(parse_range(value, 1000), expected, value[:50])

    def test_of_nothing(self) -> None:
        """RFC 9110 14.1.2: no octet of an empty representation can be asked for."""
        self.assertEqual(parse_range(b"bytes=0-", 0), UNSATISFIABLE)
        self.assertEqual(parse_range(b"bytes=-0", 0), UNSATISFIABLE)
        self.assertIsNone(parse_range(b"bytes=-5", 0))

    def test_overlaps(self) -> None:
        """RFC 9110 14.2: overlapping ranges are merged, adjacent ones are not."""
        for value, expected in (
            (b"bytes=0-499,400-999", [(0, 1000)]),
            (b"bytes=0-9,0-9,0-9", [(0, 10)]),
            (b"bytes=0-9,10-19", [(0, 10), (10, 20)]),
            (b"bytes=50-59,0-9,55-99", [(50, 100), (0, 10)]),
            (b"bytes=0-,0-,0-,0-", [(0, 1000)]),
            (b"bytes=0-999,5-6", [(0, 1000)]),
        ):
            self.assertEqual(parse_range(value, 1000), expected, value)

    def test_too_many(self) -> None:
        """`max_ranges`: a request for more is answered in full."""
        value = b"bytes=" + b",".join(b"%d-%d" % (n * 3, n * 3) for n in range(32))
        self.assertEqual(len(parse_range(value, 1000) or ()), 32)
        self.assertIsNone(parse_range(value + b",500-501", 1000))
        self.assertIsNone(parse_range(b"bytes=0-1,3-4", 1000, max_ranges=1))

    @settings(max_examples=200, deadline=None)
    @given(
        st.binary(max_size=40) | st.text("0123456789-, \t", max_size=30).map(str.encode),
        st.integers(0, 5000),
    )
    def test_total(self, value: bytes, size: int) -> None:
        """No bytes make it raise; what comes out lies within the body, apart, not empty."""
        for text in (value, b"bytes=" + value):
            found = parse_range(text, size)
            if isinstance(found, list):
                ordered = sorted(found)
                self.assertTrue(ordered)
                for start, end in ordered:
                    self.assertTrue(0 <= start < end <= size)
                for one, other in itertools.pairwise(ordered):
                    self.assertLessEqual(one[1], other[0])

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(0, 60), st.none() | st.integers(0, 60)), min_size=1, max_size=6
        ),
        st.integers(1, 50),
    )
    def test_the_octets_asked_for(self, pairs, size: int) -> None:
        """Exactly the octets that the ranges name, each once."""
        pairs = [(a, b if b is None or b >= a else a) for a, b in pairs]
        value = b"bytes=" + b",".join(
            b"%d-%s" % (a, b"" if b is None else b"%d" % b) for a, b in pairs
        )
        expected = {n for a, b in pairs for n in range(a, size if b is None else min(b + 1, size))}
        found = parse_range(value, size)
        if not expected:
            self.assertIs(found, UNSATISFIABLE)
        else:
            octets = [n for start, end in found for n in range(start, end)]
            self.assertEqual(sorted(octets), sorted(expected))


class SelectRanges(SynchronousTestCase):
    def test_when_a_range_counts(self) -> None:
        """RFC 9110 14.2: GET, of a 200, with an If-Range that holds."""
        for asked, meta, expected in (
            (request(range="bytes=0-1"), entry(), [(0, 2)]),
            (request(), entry(), None),
            (request("HEAD", range="bytes=0-1"), entry(), None),
            (request(range="bytes=0-1"), entry(status=404), None),
            (request(range="bytes=0-1", if_range='"v1"'), entry(), [(0, 2)]),
            (request(range="bytes=0-1", if_range='"v2"'), entry(), None),
            (request(range="bytes=99-", if_range='"v2"'), entry(), None),
            (request(range="bytes=99-"), entry(), UNSATISFIABLE),
        ):
            self.assertEqual(select_ranges(asked, meta, 10, DEFAULT), expected, asked.headers)
        few = CachePolicy(max_ranges=1)
        self.assertIsNone(select_ranges(request(range="bytes=0-1,3-4"), entry(), 10, few))


class ContentRanges(SynchronousTestCase):
    def test_values(self) -> None:
        """RFC 9110 14.4: whole, of unknown size, unsatisfied; anything else is invalid."""
        for value, expected in (
            (b"bytes 0-4/10", ContentRange(0, 5, 10)),
            (b" Bytes  9-9/10 ", ContentRange(9, 10, 10)),
            (b"bytes 0-4/*", ContentRange(0, 5, None)),
            (b"bytes */10", ContentRange(None, None, 10)),
            (None, None),
            (b"", None),
            (b"bytes */*", None),
            (b"bytes 4-0/10", None),
            (b"bytes 5-4/10", None),
            (b"bytes 0-10/10", None),
            (b"bytes 0-4", None),
            (b"bytes=0-4/10", None),
            (b"bytes 0-4/10, bytes 5-6/10", None),
            (b"items 0-4/10", None),
            (b"bytes -4/10", None),
            (b"bytes 0-4/x", None),
            (b"bytes 0-" + b"9" * 5000 + b"/*", None),
        ):
            self.assertEqual(parse_content_range(value), expected, value)

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=40) | st.text("bytes 0123456789-/*", max_size=30).map(str.encode))
    def test_total(self, value: bytes) -> None:
        """No bytes make it raise."""
        parse_content_range(value)


class Heads(SynchronousTestCase):
    def test_partial(self) -> None:
        """RFC 9110 15.3.7: the 200's fields, with the part's range and length."""
        self.assertEqual(
            partial_head(HEAD, 2, 5, 10),
            b"HTTP/1.1 206 Partial Content\r\nDate: d\r\nContent-Type: text/plain\r\n"
            b'ETag: "a"\r\nX-Content-Length: 7\r\nVia: 1.1 x\r\n'
            b"Content-Range: bytes 2-4/10\r\nContent-Length: 3\r\n",
        )

    def test_unsatisfiable(self) -> None:
        """RFC 9110 15.5.17: the size in Content-Range; nothing of the representation's."""
        self.assertEqual(
            unsatisfiable_head(HEAD, 10),
            b"HTTP/1.1 416 Range Not Satisfiable\r\nDate: d\r\nVia: 1.1 x\r\n"
            b"Content-Range: bytes */10\r\nContent-Length: 0\r\n",
        )

    def test_whole(self) -> None:
        """The 200 behind a 206: other fields stay, the part's framing goes."""
        part = ResponseHead(
            206,
            b"Partial Content",
            ((b"Content-Range", b"bytes 0-1/9"), (b"content-length", b"2"), (b"ETag", b'"a"')),
        )
        self.assertEqual(whole_head(part), ResponseHead(200, b"OK", ((b"ETag", b'"a"'),)))

    def test_multipart(self) -> None:
        """RFC 9110 14.6: parts with their own type and range; the length adds up."""
        body = b"0123456789"
        ranges = [(0, 2), (5, 9)]
        plan = multipart(HEAD, ranges, 10, b"XYZ")
        sent = b"".join(
            part + body[start:end] for part, (start, end) in zip(plan.parts, ranges, strict=True)
        )
        sent += plan.tail
        self.assertEqual(
            sent,
            b"\r\n--XYZ\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01"
            b"\r\n--XYZ\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-8/10\r\n\r\n5678"
            b"\r\n--XYZ--\r\n",
        )
        self.assertIn(b"\r\nContent-Type: multipart/byteranges; boundary=XYZ\r\n", plan.head)
        self.assertIn(b"\r\nContent-Length: %d\r\n" % len(sent), plan.head)
        self.assertNotIn(b"\r\nContent-Range:", plan.head)
        self.assertEqual(plan.head.count(b"Content-Type:"), 1)

    def test_boundary(self) -> None:
        """Without one given: the same for the same answer, another for another."""
        plans = [multipart(HEAD, ranges, 10) for ranges in ([(0, 2), (5, 9)], [(0, 2), (5, 8)])]
        self.assertEqual(plans[0], multipart(HEAD, [(0, 2), (5, 9)], 10))
        self.assertNotEqual(plans[0].tail, plans[1].tail)
