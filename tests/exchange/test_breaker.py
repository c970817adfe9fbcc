"""The circuit breaker: events and times in, whether to ask out."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange import Breaker, Leave

NO, YES, PROBE = Leave.NO, Leave.YES, Leave.PROBE


def breaker(*, random: float = 0.0, probing: bool = True, failures: int = 3) -> Breaker:
    """Open for 10 s, and up to 5 s more."""
    return Breaker(
        failures=failures, open_for=10.0, jitter=0.5, random=lambda: random, probing=probing
    )


class BreakerTests(SynchronousTestCase):
    """One story each."""

    def opened(self, **words) -> Breaker:
        """Return one that opened at the second 100."""
        made = breaker(**words)
        for last in (False, False, True):
            self.assertEqual(YES, made.leave(100.0))
            self.assertEqual(last, made.failed(YES, 100.0))
        return made

    def test_opens(self) -> None:
        """Three failures in a row, not three in all."""
        made = breaker()
        for _ in range(5):
            self.assertFalse(made.failed(made.leave(0.0), 0.0))
            self.assertFalse(made.failed(made.leave(0.0), 0.0))
            self.assertFalse(made.answered(made.leave(0.0)))
        self.assertFalse(made.is_open)
        made = self.opened()
        self.assertTrue(made.is_open)
        self.assertEqual(NO, made.leave(109.9))

    def test_jitter(self) -> None:
        """It stays open for half as long again at most."""
        for random, until in ((0.0, 110.0), (1.0, 115.0), (0.5, 112.5)):
            made = self.opened(random=random)
            self.assertEqual(NO, made.leave(until - 0.1))
            self.assertEqual(PROBE, made.leave(until))

    def test_one_probe(self) -> None:
        """Half open, one may go; answered, all may."""
        made = self.opened()
        self.assertEqual([PROBE, NO, NO], [made.leave(110.0 + n) for n in range(3)])
        self.assertTrue(made.answered(PROBE))
        self.assertEqual([YES, YES], [made.leave(113.0), made.leave(113.0)])
        self.assertFalse(made.failed(YES, 113.0))

    def test_probe_fails(self) -> None:
        """Then it is open for another while."""
        made = self.opened()
        self.assertEqual(PROBE, made.leave(110.0))
        self.assertTrue(made.failed(PROBE, 112.0))
        self.assertEqual(NO, made.leave(121.9))
        self.assertEqual(PROBE, made.leave(122.0))

    def test_probe_is_given_up(self) -> None:
        """Its client has left: the next one is the probe."""
        made = self.opened()
        self.assertEqual(PROBE, made.leave(110.0))
        made.unheard(PROBE)
        self.assertEqual(PROBE, made.leave(110.0))

    def test_late_answers(self) -> None:
        """What was sent before it opened neither closes it nor keeps it open."""
        made = self.opened()
        self.assertFalse(made.answered(YES))
        self.assertTrue(made.is_open)
        self.assertFalse(made.failed(YES, 109.0))
        made.unheard(YES)
        self.assertEqual(PROBE, made.leave(110.0))

    def test_no_probing(self) -> None:
        """Where a health object is asked for, no client's request is the probe."""
        made = self.opened(probing=False)
        self.assertEqual(NO, made.leave(1e9))
        self.assertEqual(PROBE, made.probe())
        self.assertTrue(made.failed(PROBE, 200.0))
        self.assertEqual(NO, made.leave(1e9))
        self.assertTrue(made.answered(made.probe()))
        self.assertEqual(YES, made.leave(1e9))
        self.assertEqual(YES, made.probe())

    @settings(deadline=None, max_examples=200)
    @given(
        st.lists(
            st.tuples(st.sampled_from(["answered", "failed", "unheard"]), st.floats(0.0, 6.0)),
            max_size=60,
        ),
        st.integers(1, 4),
    )
    def test_any_story(self, story, failures) -> None:
        """Closed all may go; open at most one; after the longest while one certainly may."""
        made = breaker(failures=failures)
        now, row = 0.0, 0
        for event, passed in story:
            now += passed
            was_open = made.is_open
            leave = made.leave(now)
            self.assertEqual(was_open, leave is not YES)
            if leave is NO:
                continue
            if leave is PROBE:
                self.assertEqual(NO, made.leave(now))
            if event == "unheard":
                made.unheard(leave)
                self.assertEqual(was_open, made.is_open)
            elif event == "answered":
                self.assertEqual(was_open, made.answered(leave))
                self.assertFalse(made.is_open)
                row = 0
            else:
                row += 1
                self.assertEqual(was_open or row >= failures, made.failed(leave, now))
                self.assertEqual(was_open or row >= failures, made.is_open)
        self.assertIsNot(NO, made.leave(now + 15.0))
