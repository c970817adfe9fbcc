"""HTTP-date: RFC 9110 5.6.7 with the liberties and strictness of RFC 9111 4.2."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import format_date, parse_date

from .values import NOW

EXAMPLE = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT


class ParseDate(SynchronousTestCase):
    def test_three_forms(self) -> None:
        """RFC 9110 5.6.7: the preferred form and both obsolete ones are read."""
        for text in (
            b"Sun, 06 Nov 1994 08:49:37 GMT",
            b"Sunday, 06-Nov-94 08:49:37 GMT",
            b"Sun Nov  6 08:49:37 1994",
            b"  Sun, 06 Nov 1994 08:49:37 GMT\t",
        ):
            self.assertEqual(parse_date(text, NOW), EXAMPLE, text)

    def test_case_does_not_matter(self) -> None:
        """RFC 9111 4.2: a cache should match dates case-insensitively."""
        for text in (
            b"SUN, 06 NOV 1994 08:49:37 GMT",
            b"sun, 06 nov 1994 08:49:37 gmt",
            b"sunday, 06-NOV-94 08:49:37 Gmt",
            b"sun NOV  6 08:49:37 1994",
        ):
            self.assertEqual(parse_date(text, NOW), EXAMPLE, text)

    def test_not_dates(self) -> None:
        """RFC 9110 5.6.7 grammar; RFC 9111 4.2: zones other than GMT are invalid."""
        for text in (
            b"",
            b"0",
            b"-1",
            b"784111777",
            b"Sun, 06 Nov 1994 08:49:37",
            b"Sun, 06 Nov 1994 08:49:37 UTC",
            b"Sun, 06 Nov 1994 08:49:37 EST",
            b"Sun, 06 Nov 1994 08:49:37 +0000",
            b"Sun, 06 Nov 1994 08:49:37 GMT+1",
            b"Sun, 6 Nov 1994 08:49:37 GMT",
            b"Sun, 06 Nov 94 08:49:37 GMT",
            b"Sun 06 Nov 1994 08:49:37 GMT",
            b"Sun,06 Nov 1994 08:49:37 GMT",
            b"Sun, 06  Nov 1994 08:49:37 GMT",
            b"Sun, 06-Nov-1994 08:49:37 GMT",
            b"Sun, 06 Nov 1994 8:49:37 GMT",
            b"Sun, 06 Nov 1994 08:49 GMT",
            b"Sun, 06 Nov 1994 08.49.37 GMT",
            b"Son, 06 Nov 1994 08:49:37 GMT",
            b"Sun, 06 Okt 1994 08:49:37 GMT",
            b"Sun, 31 Feb 1994 08:49:37 GMT",
            b"Sun, 00 Nov 1994 08:49:37 GMT",
            b"Sun, 06 Nov 1994 24:00:00 GMT",
            b"Sun, 06 Nov 1994 08:60:37 GMT",
            b"Sun, 06 Nov 1994 08:49:61 GMT",
            b"Sun, 06 Nov 0000 08:49:37 GMT",
            b"Sunday, 06 Nov 94 08:49:37 GMT",
            b"Sun, 06-Nov-94 08:49:37 GMT",
            b"Sun Nov 06  08:49:37 1994",
            b"Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
            b'"Sun, 06 Nov 1994 08:49:37 GMT"',
        ):
            self.assertIsNone(parse_date(text, NOW), text)

    def test_leap_second_and_day(self) -> None:
        """RFC 9110 5.6.7 allows second 60; 29 February exists in leap years only."""
        self.assertEqual(parse_date(b"Sat, 31 Dec 2016 23:59:60 GMT", NOW), 1483228800)
        self.assertIsNotNone(parse_date(b"Thu, 29 Feb 2024 00:00:00 GMT", NOW))
        self.assertIsNone(parse_date(b"Wed, 29 Feb 2023 00:00:00 GMT", NOW))

    def test_two_digit_years(self) -> None:
        """RFC 9110 5.6.7: more than 50 years ahead means the past century's."""
        for year, full in (
            (b"23", 2023),
            (b"70", 2070),
            (b"74", 1974),
            (b"94", 1994),
            (b"00", 2000),
        ):
            found = parse_date(b"Sunday, 06-Nov-" + year + b" 08:49:37 GMT", NOW)
            expected = parse_date(b"Sun, 06 Nov %d 08:49:37 GMT" % full, NOW)
            self.assertEqual(found, expected, year)

    def test_two_digit_year_at_the_turn_of_a_century(self) -> None:
        """RFC 9110 5.6.7: in 2099 the year 05 is 2105, not 2005."""
        now = parse_date(b"Thu, 01 Jan 2099 00:00:00 GMT", NOW)
        expected = parse_date(b"Fri, 06 Nov 2105 08:49:37 GMT", NOW)
        self.assertEqual(parse_date(b"Friday, 06-Nov-05 08:49:37 GMT", float(now or 0)), expected)

    def test_extremes(self) -> None:
        """RFC 9111 5.3 dates far outside 32 bits are dates."""
        self.assertEqual(parse_date(b"Thu, 01 Jan 1970 00:00:00 GMT", NOW), 0)
        self.assertGreater(parse_date(b"Fri, 31 Dec 9999 23:59:59 GMT", NOW) or 0, 2**37)
        self.assertLess(parse_date(b"Mon, 01 Jan 0001 00:00:00 GMT", NOW) or 0, 0)

    @settings(max_examples=200, deadline=None)
    @given(st.integers(-62135596800, 253402300799))
    def test_round_trip(self, second: int) -> None:
        """What `format_date` writes is read as the same second."""
        self.assertEqual(parse_date(format_date(second), NOW), second)

    @settings(max_examples=200, deadline=None)
    @given(
        st.binary(max_size=60) | st.text("SunNov ,-:0123456789GMTday", max_size=40).map(str.encode)
    )
    def test_total(self, value: bytes) -> None:
        """No bytes make it raise."""
        found = parse_date(value, NOW)
        self.assertTrue(found is None or isinstance(found, int))

    def test_format_clamps(self) -> None:
        """A second outside the years 1 to 9999 still has a form."""
        self.assertIn(b" 9999 ", format_date(10**15))
        self.assertIn(b" 0001 ", format_date(-(10**15)))
