"""The benchmark has all its rows, takes its options, and counts and judges rightly.

Nothing is timed and no server started here.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from bench.every_row import TABLE
from bench.objects import KINDS, Doubt, body_of, make, whole
from bench.report import Result, as_json, block, summary
from bench.rows import ROWS, Bench, Goal, Measure, Row, Target, run_row
from bench.sides import Options
from bench.table import measure, parse
from bench.wrk import Run, answers_right

TARGETS: Final = {
    "hit-1k": (Goal.RATIO, 1.25),
    "hit-1k-million": (Goal.RATIO, 1.25),
    "hit-64k": (Goal.RATIO, 1.2),
    "hit-1m": (Goal.RATIO, 1.4),
    "hit-16m": (Goal.RATIO, 1.4),
    "range-64k": (Goal.RATIO, 1.0),
    "not-modified": (Goal.RATIO, 0.8),
    "tls-1k": (Goal.RATIO, 0.9),
    "tls-1m": (Goal.RATIO, 1.1),
    "tls-new": (Goal.RATIO, 0.8),
    "miss-1k": (Goal.RATIO, 1.2),
    "miss-1m": (Goal.RATIO, 1.0),
    "mixed": (Goal.RATIO, 1.2),
    "workers-2": (Goal.RATIO, 1.25),
    "p99-busy": (Goal.LATENCY, 1.0),
    "idle-10k": (Goal.LIMIT, 150),
    "rss-million": (Goal.LIMIT, 100),
    "start-million": (Goal.LIMIT, 1000),
    "fairness": (Goal.SHOWN, 0.0),
}


class RowTests(SynchronousTestCase):
    """The registry."""

    def test_every_row_has_its_target(self) -> None:
        """The table has each row that was promised, with the target that was promised."""
        found = {name: (row.target.goal, row.target.value) for name, row in TABLE.items()}
        self.assertEqual(TARGETS, found)

    def test_no_row_is_forgotten(self) -> None:
        """A row that is registered stands in the table."""
        self.assertEqual(set(ROWS), set(TABLE))

    def test_the_page_explains_every_row(self) -> None:
        """docs/benchmarks.rst names each of them."""
        page = (Path(__file__).parents[2] / "docs" / "benchmarks.rst").read_text()
        self.assertEqual([], [name for name in TABLE if f"``{name}``" not in page])

    def test_targets(self) -> None:
        """More is better for ratios of rates, less for latencies and limits."""
        for target, figure, ratio, met in (
            (Target(Goal.RATIO, 1.25), 5.0, 1.25, True),
            (Target(Goal.RATIO, 1.25), 5.0, 1.24, False),
            (Target(Goal.RATIO, 1.25), 5.0, None, None),
            (Target(Goal.LATENCY, 1.0), 5.0, 1.0, True),
            (Target(Goal.LATENCY, 1.0), 5.0, 1.1, False),
            (Target(Goal.LIMIT, 150), 150.0, 9.0, True),
            (Target(Goal.LIMIT, 150), 150.1, 0.1, False),
            (Target(Goal.SHOWN), 1.0, 1.0, None),
        ):
            self.assertEqual(met, target.met(figure, ratio), f"{target} {figure} {ratio}")


class OptionTests(SynchronousTestCase):
    """The command line."""

    def names(self, *arguments: str) -> list[str]:
        """Return the rows that are chosen."""
        return [row.name for row in parse(list(arguments)).chosen]

    def test_rows_that_take_long_are_left_out(self) -> None:
        """Without options all rows but the explicit ones run; --all runs them too."""
        plain = self.names()
        self.assertEqual(list(TABLE), self.names("--all"))
        self.assertEqual({name for name in TABLE if "million" in name}, set(TABLE) - set(plain))

    def test_rows_are_picked(self) -> None:
        """Named rows run, explicit ones as well, in the table's order."""
        self.assertEqual(["hit-1k", "start-million"], self.names("--rows", "start-million,hit-1k,"))

    def test_mistakes(self) -> None:
        """A row that does not exist and numbers that make no sense are refused with advice."""
        for arguments, said in (
            (["--rows", "hit-2k"], "no row hit-2k; there are hit-1k"),
            (["--rounds", "0"], "at least 1"),
            (["--nginx-log", "off"], "plain"),
        ):
            error = io.StringIO()
            with contextlib.redirect_stderr(error), self.assertRaises(SystemExit) as caught:
                parse(arguments)
            self.assertEqual(2, caught.exception.code)
            self.assertIn(said, error.getvalue())


class Body(io.BytesIO):
    """A response as `whole` reads it."""


class ObjectTests(SynchronousTestCase):
    """The objects and their comparison."""

    @given(st.sampled_from(["obj", "o64k", "o1m", "large"]), st.data())
    @settings(deadline=None, max_examples=60)
    def test_parts_of_a_body(self, name: str, data: st.DataObject) -> None:
        """A part that is computed alone is the part of the whole."""
        kind = KINDS[name]
        most = min(kind.size(1), 300_000)
        first = data.draw(st.integers(0, most - 1))
        length = data.draw(st.integers(1, most - first))
        whole_body = body_of(kind, 1, 0, most)
        self.assertEqual(most, len(whole_body))
        self.assertEqual(whole_body[first : first + length], body_of(kind, 1, first, length))

    def test_what_differs_is_seen(self) -> None:
        """Another object's body, a short one, and a changed byte are not the object's."""
        kind = KINDS["o1m"]
        right = body_of(kind, 3)
        for body, same in (
            (right, True),
            (right[:-1], False),
            (right + b"x", False),
            (body_of(kind, 4), False),
            (right[:700_000] + b"\0" + right[700_001:], False),
        ):
            self.assertEqual(same, whole(Body(body), kind, 3))  # type: ignore[arg-type]

    def test_files(self) -> None:
        """All numbers are written, with one modification time, so that tags are alike."""
        kind = attrs.evolve(KINDS["obj"], count=3)
        with TemporaryDirectory() as directory:
            make(Path(directory), kind)
            files = sorted((Path(directory) / "obj").iterdir())
            self.assertEqual(["1", "2", "3"], [path.name for path in files])
            self.assertEqual(body_of(kind, 2), files[1].read_bytes())
            self.assertEqual(1, len({path.stat().st_mtime for path in files}))


@attrs.define
class Logged:
    """A side, as far as `answers_right` knows it."""

    answers: Counter[tuple[int, int]]
    name: str = "nginx"

    def logged(self, at_least: int) -> Counter[tuple[int, int]]:
        """Return what the log says."""
        return self.answers


class AnswerTests(SynchronousTestCase):
    """All answers of a run are looked at."""

    def test_right_and_wrong(self) -> None:
        """As many right answers as requests; a few that were cut at the end are let pass."""
        for answers, doubt in (
            ({(200, 1024): 100}, False),
            ({(200, 1024): 101, (200, 512): 4}, False),
            ({(200, 1024): 100, (200, 512): 5}, True),
            ({(200, 1024): 99, (404, 9): 1}, True),
        ):
            side = Logged(Counter(answers))
            if doubt:
                with self.assertRaises(Doubt):
                    answers_right(side, 100, {(200, 1024)}, 4)  # type: ignore[arg-type]
            else:
                answers_right(side, 100, {(200, 1024)}, 4)  # type: ignore[arg-type]


class RunTests(SynchronousTestCase):
    """One row, from its runs to its line."""

    def bench(self, rounds: int) -> Bench:
        """Return a bench that starts nothing."""
        return Bench(Options(rounds=rounds, state=Path()), say=lambda _: None)

    def row(self, figures: Mapping[str, list[float]], seen: list[str], doubt: str = "") -> Row:
        """Return a row whose sides measure these figures; what happens goes into `seen`."""

        def side(name: str, number: int) -> Run:
            seen.append(f"{name} {number}")
            return Run(figure=figures[name][number], cpu_us=1e6 / figures[name][number])

        def rehearsal(_bench: Bench) -> Iterator[Mapping[str, Measure]]:
            yield {name: lambda number, name=name: side(name, number) for name in figures}  # type: ignore[misc]
            seen.append("checked")
            if doubt:
                raise Doubt(doubt)

        return Row("some", "some work", "req/s", Target(Goal.RATIO, 1.2), rehearsal)

    def test_turns(self) -> None:
        """Sides take turns, in the other order every second round, after a run to warm up."""
        seen: list[str] = []
        row = self.row({"nginx": [10, 20, 99], "s3shield": [30, 40, 99]}, seen)
        runs = run_row(self.bench(2), row)
        order = "nginx -1, s3shield -1, nginx 0, s3shield 0, s3shield 1, nginx 1, checked"
        self.assertEqual(order.split(", "), seen)
        self.assertEqual([30, 40], [run.figure for run in runs["s3shield"]])

    def test_verdict(self) -> None:
        """Medians make the ratio; block, table and JSON say the same."""
        row = self.row({"nginx": [10, 20, 12], "s3shield": [18, 15, 99]}, [])
        result = measure(self.bench(3), row)
        self.assertEqual((18 / 12, True), (result.ratio, result.met))
        self.assertIn("ratio 1.50, by CPU 1.50; target >= 1.2 x: met", block(result))
        self.assertIn("1.50    1.50  >= 1.2 x  met", summary([result]))
        (found,) = json.loads(as_json({"when": "now"}, [result]))["rows"]
        self.assertEqual(
            (1.5, True, 3), (found["ratio"], found["met"], len(found["runs"]["nginx"]))
        )

    def test_missed(self) -> None:
        """A missed target is said, and when the processor time alone would reach it, that too."""
        runs = {
            "nginx": [Run(figure=10, cpu_us=20)],
            "s3shield": [Run(figure=11, cpu_us=10, generator=0.95)],
        }
        result = Result(TABLE["hit-1k"], runs)
        self.assertEqual("missed (met by CPU)", result.verdict)
        self.assertIn("at its own limit", block(result))
        self.assertIn("missed (met by CPU)*", summary([result]))

    def test_doubt(self) -> None:
        """A row whose answers were wrong has no figures, but the reason."""
        row = self.row({"nginx": [1] * 3, "s3shield": [1] * 3}, [], doubt="/obj/7 was /obj/8")
        result = measure(self.bench(2), row)
        self.assertEqual((None, "doubt"), (result.ratio, result.verdict))
        self.assertIn("STOPPED: /obj/7 was /obj/8", block(result))
        self.assertIn("doubt", summary([result]))
