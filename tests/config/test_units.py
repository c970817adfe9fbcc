"""nginx's times and sizes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import units
from s3shield.config.errors import BadValueError, nearest


class Units(SynchronousTestCase):
    def test_times(self):
        """Units descend and compose; a bare number is seconds; a month is 30 days."""
        for text, millis in (
            ("0", 0),
            ("30", 30_000),
            ("30s", 30_000),
            ("500ms", 500),
            ("1h30m", 5_400_000),
            ("1d 12h", 129_600_000),
            ("1y 2M 3w", (365 + 60 + 21) * 86_400_000),
            ("1m30", 90_000),
            ("1s500ms", 1500),
        ):
            self.assertEqual(units.parse_millis(text), millis, text)

    def test_not_times(self):
        """What nginx refuses, too."""
        for text in ("", " ", "x", "5x", "30m1h", "1s1s", "-1", "1.5s", "1 2", "1ms1s", "9" * 13):
            with self.assertRaises(BadValueError, msg=text):
                units.parse_millis(text)

    def test_whole_seconds(self):
        """Milliseconds are refused where seconds are required."""
        self.assertEqual(units.parse_seconds("1h"), 3600)
        with self.assertRaises(BadValueError) as caught:
            units.parse_seconds("500ms")
        self.assertIn("without ms", str(caught.exception))

    def test_sizes(self):
        """Both cases of each unit."""
        for text, size in (("0", 0), ("512", 512), ("64k", 65_536), ("64K", 65_536)):
            self.assertEqual(units.parse_size(text), size)
        self.assertEqual(units.parse_size("10G"), 10 << 30)
        for text in ("", "k", "1kb", "1.5m", "-1", "1 k", "9" * 19, "9999999999999999g"):
            with self.assertRaises(BadValueError, msg=text):
                units.parse_size(text)

    @settings(deadline=None, max_examples=200)
    @given(st.integers(0, 10**10))
    def test_written_again(self, number):
        """What is written is read as the same."""
        self.assertEqual(units.parse_size(units.format_size(number)), number)
        millis = number % (86_400_000 * 400)
        self.assertEqual(units.parse_millis(units.format_seconds(millis / 1000)), millis)

    def test_nearest(self):
        """The name that was probably meant, whatever its case."""
        self.assertEqual(
            nearest("proxy_cache_valdi", ["proxy_cache_valid", "path"]), "proxy_cache_valid"
        )
        self.assertEqual(nearest("vary", ["Vary", "Expires"]), "Vary")
        self.assertIsNone(nearest("zzz", ["path"]))
