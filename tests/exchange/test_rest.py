"""The rest of an answer that broke off: what is asked, and what fits."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange.rest import Rest
from s3shield.policy import ResponseHead

TAG = (b"ETag", b'"a"')


def head(status: int, *fields: tuple[bytes, bytes]) -> ResponseHead:
    """Return a head."""
    return ResponseHead(status, b"", fields)


def part(start: int, end: int, size: int) -> tuple[bytes, bytes]:
    """Return a Content-Range of [start, end)."""
    return b"Content-Range", b"bytes %d-%d/%d" % (start, end - 1, size)


class RestTests(SynchronousTestCase):
    """Tables of heads."""

    def test_of(self) -> None:
        """What has a length and a strong ETag can go on."""
        for answer, length, got, wanted in (
            (head(200, TAG), 100, 40, (40, 100, 100)),
            (head(206, TAG, part(10, 60, 100)), 50, 20, (30, 60, 100)),
            (head(200, TAG), None, 40, None),
            (head(200, TAG), 100, 100, None),
            (head(200, (b"ETag", b'W/"a"')), 100, 40, None),
            (head(200), 100, 40, None),
            (head(206, TAG), 50, 20, None),
            (head(206, TAG, part(10, 60, 100)), 49, 20, None),
            (head(206, TAG, (b"Content-Range", b"bytes 10-59/*")), 50, 20, None),
            (head(404, TAG), 100, 40, None),
        ):
            rest = Rest.of(answer, length, got)
            found = None if rest is None else (rest.start, rest.end, rest.size)
            self.assertEqual(wanted, found, (answer, length, got))

    def test_fields(self) -> None:
        """Its own Range and If-Match, in the place of all other conditions."""
        conditions = [
            (name, b"x") for name in (b"Range", b"If-Range", b"If-None-Match", b"If-Match")
        ]
        rest = Rest(b'"a"', 40, 100, 100)
        self.assertEqual(
            ((b"X", b"y"), (b"Range", b"bytes=40-99"), (b"If-Match", b'"a"')),
            rest.fields((*conditions, (b"X", b"y"), (b"If-Unmodified-Since", b"x"))),
        )

    def test_fits(self) -> None:
        """Just this part, of just this version."""
        rest = Rest(b'"a"', 40, 100, 120)
        for answer, length, wanted in (
            (head(206, TAG, part(40, 100, 120)), 60, True),
            (head(206, TAG, part(40, 100, 120)), None, False),
            (head(206, TAG, part(40, 99, 120)), 59, False),
            (head(206, TAG, part(41, 100, 120)), 59, False),
            (head(206, TAG, part(40, 100, 121)), 60, False),
            (head(206, (b"ETag", b'"b"'), part(40, 100, 120)), 60, False),
            (head(206, part(40, 100, 120)), 60, False),
            (head(200, TAG, part(40, 100, 120)), 60, False),
            (head(412, TAG), 0, False),
        ):
            self.assertEqual(wanted, rest.fits(answer, length), (answer, length))

    @settings(deadline=None, max_examples=100)
    @given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 50), st.data())
    def test_all_of_it(self, before, length, after, data) -> None:
        """However often it breaks off, the pieces are the whole, each byte once."""
        size = before + length + after
        whole = size == length
        first = head(200, TAG) if whole else head(206, TAG, part(before, before + length, size))
        got = 0
        while got < length:
            rest = Rest.of(first, length, got)
            assert rest is not None
            self.assertEqual((before + got, before + length), (rest.start, rest.end))
            self.assertTrue(
                rest.fits(head(206, TAG, part(rest.start, rest.end, size)), length - got)
            )
            got += data.draw(st.integers(1, length - got))
        self.assertIsNone(Rest.of(first, length, got))
