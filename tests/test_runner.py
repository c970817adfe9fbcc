"""The runner's arithmetic: what CI believes about the tests depends on these few lines."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.__main__ import Failures, Tally, read_closing


class ClosingTests(SynchronousTestCase):
    """trial's closing line, read."""

    def test_closing_lines(self) -> None:
        """Each kind of result is counted as passed, failed or skipped."""
        cases = [
            ("PASSED (successes=12)\n", Tally(12, 0, 0)),
            ("PASSED (skips=2, successes=12)", Tally(12, 0, 2)),
            ("PASSED (skips=1, expectedFailures=1, successes=3)", Tally(4, 0, 1)),
            ("FAILED (failures=1, errors=2, successes=8)", Tally(8, 3, 0)),
            ("FAILED (unexpectedSuccesses=1)", Tally(0, 1, 0)),
            ("FAILED (skips=1, failures=1)", Tally(0, 1, 1)),
            ("PASSED", Tally(0, 0, 0)),
        ]
        for line, tally in cases:
            self.assertEqual(tally, read_closing(line), line)

    def test_other_lines(self) -> None:
        """A line that only looks like one, or that a test printed, is not one."""
        for line in ("Ran 12 tests in 0.1s", "  test_x ... PASSED", "PASSEDX (successes=1)", ""):
            self.assertIsNone(read_closing(line), line)

    def test_sum(self) -> None:
        """The runs of both reactors add up."""
        total = Tally(1, 2, 3) + Tally(10, 20, 30)
        self.assertEqual("11 passed, 22 failed, 33 skipped", str(total))


class FailuresTests(SynchronousTestCase):
    """What went wrong, said again at the end."""

    def test_accounts(self) -> None:
        """The accounts of failures and errors are kept, whole; all else is not."""
        rule, end = "=" * 79 + "\n", "-" * 79 + "\n"
        kept = ["[FAIL]\nTraceback\n  at x\n\ntests.a.B.test_c\n", "[ERROR]\nboom\n\ntests.d\n"]
        output = ["tests.a\n  test_c ... [FAIL]\n", rule, "[SKIPPED]\nnot here\n", rule, kept[0]]
        output += [rule, kept[1], end, "Ran 3 tests in 1.0s\n"]
        failures = Failures()
        for line in "".join(output).splitlines(keepends=True):
            failures.feed(line)
        self.assertEqual(failures.text, "".join(kept))
