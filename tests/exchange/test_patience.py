"""How long a bucket in trouble is waited for, how often it is asked, what is said of it."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange.patience import Budget, Seldom, is_passing, pause


class PauseTests(SynchronousTestCase):
    def test_doubles(self) -> None:
        """At most 0.1, 0.2 and 0.4 seconds; there is no fourth time."""
        for tries, most in enumerate((0.1, 0.2, 0.4)):
            self.assertAlmostEqual(most, pause(tries, 0.0, lambda: 1.0) or 0.0)
            self.assertEqual(0.0, pause(tries, 0.0, lambda: 0.0))
        self.assertIsNone(pause(3, 0.0, lambda: 0.0))

    def test_retry_after(self) -> None:
        """Seconds are waited for where the time allows; a date is not, nor is nonsense."""
        for value, wait in (
            (b"0", 0.0),
            (b"2", 2.0),
            (b"5", 5.0),
            (b"6", None),
            (b"9" * 400, None),
            (b"Tue, 24 Nov 2026 00:00:00 GMT", 0.0),
            (b"-1", 0.0),
            (b"", 0.0),
        ):
            self.assertEqual(wait, pause(0, 0.0, lambda: 0.0, value), value)

    @settings(deadline=None, max_examples=200)
    @given(st.integers(0, 5), st.floats(0, 100), st.integers(0, 2**32), st.binary(max_size=8))
    def test_bounds(self, tries: int, spent: float, seed: int, retry_after: bytes) -> None:
        """The next try is never in the past, nor begins after five seconds."""
        wait = pause(tries, spent, random.Random(seed).random, retry_after)
        if wait is not None:
            self.assertTrue(wait >= 0 and spent + wait <= 5.0 and tries < 3)

    def test_passing(self) -> None:
        """Overload and S3's own faults pass; refusals do not."""
        for status, code in (
            (503, "SlowDown"),
            (500, "InternalError"),
            (503, ""),
            (502, ""),
            (504, ""),
            (429, ""),
            (400, "RequestLimitExceeded"),
        ):
            self.assertTrue(is_passing(status, code), (status, code))
        for status, code in (
            (403, "AccessDenied"),
            (404, "NoSuchKey"),
            (501, "NotImplemented"),
            (400, "ExpiredToken"),
            (301, "PermanentRedirect"),
        ):
            self.assertFalse(is_passing(status, code), (status, code))


class BudgetTests(SynchronousTestCase):
    def test_burst_and_rate(self) -> None:
        """So many at once, then so many a second, however long it was idle."""
        budget = Budget(5, 2.0)
        self.assertEqual([True] * 5 + [False], [budget.take(100.0) for _ in range(6)])
        self.assertEqual([True, False], [budget.take(100.5) for _ in range(2)])
        self.assertEqual([True] * 5 + [False], [budget.take(9999.0) for _ in range(6)])

    @settings(deadline=None, max_examples=100)
    @given(st.lists(st.floats(0, 3), max_size=100))
    def test_never_more(self, gaps: list[float]) -> None:
        """In any stretch of time: no more than the burst and the rate together."""
        budget, now, taken = Budget(5, 2.0), 0.0, 0
        for gap in gaps:
            now += gap
            taken += budget.take(now)
            self.assertLessEqual(taken, 5 + 2.0 * now + 1e-6)


class SeldomTests(SynchronousTestCase):
    def test_once_a_minute(self) -> None:
        """The first passes, the next ones are counted until a minute is over; kinds are apart."""
        seldom = Seldom()
        self.assertEqual(0, seldom.passes("a", 0.0))
        self.assertEqual([None, None], [seldom.passes("a", t) for t in (1.0, 59.9)])
        self.assertEqual(0, seldom.passes("b", 1.0))
        self.assertEqual(2, seldom.passes("a", 60.0))
        self.assertIsNone(seldom.passes("a", 61.0))

    def test_bounded(self) -> None:
        """An origin that makes up codes without end does not fill the memory."""
        seldom = Seldom()
        for number in range(1000):
            seldom.passes(str(number), 0.0)
        self.assertLessEqual(len(seldom._kinds), 128)
