"""What may be asked of one bucket about an answer of another one's."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange.versions import bound, strongly

DATE = b"Tue, 24 Nov 2026 00:00:00 GMT"


class VersionTests(SynchronousTestCase):
    """Fields of ours, before and after."""

    def test_strongly(self) -> None:
        """A strong ETag identifies bytes everywhere; a date or a weak ETag does not."""
        part = (b"Range", b"bytes=0-9")
        for extra, wanted in (
            ((), ()),
            ((part,), (part,)),
            (((b"If-Modified-Since", DATE),), ()),
            (
                ((b"If-None-Match", b'"a"'), (b"If-Modified-Since", DATE)),
                ((b"If-None-Match", b'"a"'),),
            ),
            (((b"If-None-Match", b'"a", "b"'),), ((b"If-None-Match", b'"a", "b"'),)),
            (((b"If-None-Match", b"*"),), ((b"If-None-Match", b"*"),)),
            (((b"If-None-Match", b'W/"a"'),), ()),
            (((b"If-None-Match", b'"b", W/"a"'),), ()),
            (((b"If-Match", b'"a"'), part), ((b"If-Match", b'"a"'), part)),
            ((part, (b"If-Range", b'"a"')), (part, (b"If-Range", b'"a"'))),
            ((part, (b"If-Range", DATE)), ()),
            ((part, (b"If-Range", b'W/"a"')), ()),
        ):
            self.assertEqual(wanted, strongly(extra), extra)

    def test_bound(self) -> None:
        """More of what only a date identifies stays where it is."""
        dated, tagged = (b"If-Unmodified-Since", DATE), (b"If-Match", b'"a"')
        for extra, wanted in (
            ((), False),
            ((dated,), True),
            ((tagged,), False),
            ((tagged, dated), False),
        ):
            self.assertEqual(wanted, bound(extra), extra)
