"""`access.leaky`: nginx's leaky bucket, by tables and against a model in fractions."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.access import REFUSED, Bucket, Leak, pour


def run(leak: Leak, times: list[int]) -> list[int]:
    """Return what becomes of requests of one key at these milliseconds."""
    bucket: Bucket | None = None
    waits = []
    for now in times:
        wait, _, after = pour([(leak, bucket)], now)
        bucket = after[0] if after else bucket
        waits.append(wait)
    return waits


class TableTests(SynchronousTestCase):
    """One limit."""

    def test_cases(self) -> None:
        """What nginx does with these requests, in milliseconds."""
        no = REFUSED
        cases: list[tuple[str, Leak, list[int], list[int]]] = [
            ("no burst: one each 100 ms", Leak(10_000), [0, 0, 99, 100, 200], [0, no, no, 0, 0]),
            ("a burst waits", Leak(10_000, 2000), [0, 0, 0, 0], [0, 100, 200, no]),
            ("nodelay", Leak(10_000, 2000, None), [0, 0, 0, 0, 100], [0, 0, 0, no, 0]),
            ("delay=1", Leak(10_000, 3000, 1000), [0, 0, 0, 0, 0], [0, 0, 100, 200, no]),
            ("refused ones pour nothing", Leak(10_000), [0, *[10] * 50, 100], [0, *[no] * 50, 0]),
            ("it runs out", Leak(10_000, 2000), [0, 0, 0, 10_000, 10_000], [0, 100, 200, 0, 100]),
            ("r/m is cut off", Leak(16), [0, 60_000, 62_500], [0, no, 0]),
            ("a clock that stands", Leak(1000, 1000), [5, 5, 4], [0, 1000, no]),
        ]
        for name, leak, times, wanted in cases:
            self.assertEqual(wanted, run(leak, times), name)

    def test_several(self) -> None:
        """The longest wait counts; when one refuses, none counts the request."""
        slow, fast = Leak(1000, 5000), Leak(10_000, 1000)
        none: Bucket | None = None
        self.assertEqual((0, 0, [(0, 0), (0, 0)]), pour([(slow, none), (fast, none)], 0))
        once: Bucket = (0, 0)
        self.assertEqual((1000, 1, [(0, 1000), (0, 1000)]), pour([(fast, once), (slow, once)], 0))
        self.assertEqual((REFUSED, 1, []), pour([(slow, once), (fast, (0, 1000))], 0))
        self.assertEqual((0, 0, []), pour([], 0))


class ModelTests(SynchronousTestCase):
    """Against a bucket in fractions, from which whole thousandths run out at each request."""

    @settings(max_examples=150, deadline=None)
    @given(
        st.integers(1, 50_000),
        st.integers(0, 5),
        st.none() | st.integers(0, 5),
        st.lists(st.integers(0, 400), min_size=1, max_size=60),
    )
    def test_model(self, rate: int, burst: int, delay: int | None, gaps: list[int]) -> None:
        """Each request of one key is let in, delayed and refused alike."""
        now, level, last = 0, Fraction(0), None
        times, wanted = [], []
        for gap in gaps:
            now += gap
            times.append(now)
            if last is None:
                last = now
                wanted.append(0)
                continue
            run_out = Fraction(int(Fraction(rate * (now - last), 1000)), 1000)
            found = max(level - run_out + 1, Fraction(0))
            if found > burst:
                wanted.append(REFUSED)
                continue
            level, last = found, now
            over = Fraction(0) if delay is None else max(found - delay, Fraction(0))
            wanted.append(int(over * 1000 * 1000 / rate))
        leak = Leak(rate, burst * 1000, None if delay is None else delay * 1000)
        self.assertEqual(wanted, run(leak, times))

    @settings(max_examples=100, deadline=None)
    @given(st.integers(1, 50), st.integers(0, 5), st.lists(st.integers(0, 400), max_size=40))
    def test_never_more(self, rate: int, burst: int, gaps: list[int]) -> None:
        """In no time at all more are let in than rate and burst say."""
        now, times = 0, []
        for gap in gaps:
            now += gap
            times.append(now)
        waits = run(Leak(rate * 1000, burst * 1000), times)
        taken = [when for when, wait in zip(times, waits, strict=True) if wait != REFUSED]
        for first, begin in enumerate(taken):
            for number, end in enumerate(taken[first:], 1):
                self.assertLessEqual(number, Fraction(rate * (end - begin), 1000) + burst + 1)
