"""`access.pace`: bytes each second."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.access import Pace


class PaceTests(SynchronousTestCase):
    """See `Pace`."""

    def test_beginning(self) -> None:
        """What is free and one second's worth may go at once."""
        pace = Pace(1000, 500)
        self.assertEqual(1500, pace.ready(7.0))
        pace.sent(1500)
        self.assertEqual(0, pace.ready(7.0))
        self.assertEqual(250, pace.ready(7.25))
        self.assertAlmostEqual(0.125, pace.wait(7.0, 125))

    def test_no_catching_up(self) -> None:
        """Who took nothing for an hour gets one second's worth at once, not an hour's."""
        pace = Pace(1000)
        pace.sent(pace.ready(0.0))
        self.assertEqual(1000, pace.ready(3600.0))

    @settings(max_examples=150, deadline=None)
    @given(
        st.integers(1, 10_000_000),
        st.integers(0, 100_000),
        st.lists(st.tuples(st.floats(0, 5), st.floats(0, 1)), min_size=1, max_size=40),
    )
    def test_never_faster(self, rate: int, after: int, steps: list[tuple[float, float]]) -> None:
        """However it is asked, no span of time has more than its seconds and one more."""
        pace = Pace(rate, after)
        now, sent = 100.0, 0
        times: list[tuple[float, int, int]] = []
        for gap, share in steps:
            now += gap
            size = int(pace.ready(now) * share)
            pace.sent(size)
            times.append((now, sent, sent + size))
            sent += size
        for begin, before, _ in times:
            for end, _, total in times:
                if end >= begin:
                    most = rate * (end - begin + 1) + after
                    self.assertLessEqual(total - before, most * (1 + 1e-9) + 2)

    @settings(max_examples=100, deadline=None)
    @given(st.integers(1, 10_000_000), st.floats(0, 1000))
    def test_waits_just_long_enough(self, rate: int, now: float) -> None:
        """After the wait a step may go, but for what a clock rounds away; before it, not."""
        pace = Pace(rate)
        pace.sent(pace.ready(now))
        wait = pace.wait(now, pace.step)
        self.assertGreaterEqual(pace.ready(now + wait * 1.001 + 1e-6), pace.step)
        self.assertLess(pace.ready(now + wait * 0.5), pace.step)
