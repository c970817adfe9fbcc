"""The runner's arithmetic: what CI believes about the tests depends on these few lines."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.__main__ import ONCE, TWICE, Failures, Tally, modules_of, read_closing


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


class PartsTests(SynchronousTestCase):
    """What CI runs where."""

    def test_nothing_is_left_out(self) -> None:
        """Each file of tests is in one of the parts `every` and `once`, and in one alone."""
        top = Path(__file__).resolve().parent
        parts = [modules_of("every"), modules_of("once")]
        for path in top.rglob("test_*.py"):
            first = path.relative_to(top).parts[0].removesuffix(".py")
            owners = [part for part in parts if f"tests.{first}" in part]
            self.assertEqual(1, len(owners), path)

    def test_all_are_there(self) -> None:
        """What the runner names exists; what a reactor may change runs on every Python."""
        top = Path(__file__).resolve().parent
        for name in (*ONCE, *TWICE):
            path = top / name.removeprefix("tests.")
            self.assertTrue(path.is_dir() or path.with_suffix(".py").is_file(), name)
        self.assertLessEqual({*TWICE}, {*modules_of("every")})


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
