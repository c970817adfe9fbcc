"""What is said about a hold of the event loop, and how often."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.ops.stall import (
    LOOP_ITSELF,
    Culprit,
    Frame,
    Pause,
    Spent,
    StallNotes,
    collecting,
    culprit,
    held,
)

ROOT = "/srv/lib/python3.11/site-packages/s3shield/"
TWISTED = "/srv/lib/python3.11/site-packages/twisted/internet/"

RUN = Frame(f"{TWISTED}asyncioreactor.py", 254, "run")
WORKER = Frame(f"{ROOT}ops/worker.py", 114, "run")
UNDER = (RUN, WORKER)
FLUSH = Frame(f"{ROOT}store/commits.py", 120, "flush")
SERVE = Frame(f"{ROOT}exchange/location.py", 88, "serve")
WAIT = Frame("/usr/lib/python3.11/threading.py", 327, "wait")
FIRED = Frame(f"{TWISTED}defer.py", 701, "_runCallbacks")


class Words(SynchronousTestCase):
    """A stack as text."""

    def test_stacks(self) -> None:
        """Ours, the innermost first; others only where they are innermost, or alone."""
        deep = [Frame(f"{ROOT}a.py", at, f"f{at}") for at in range(9)]
        for stack, text in (
            ([FLUSH, SERVE], "store/commits.py:120 flush < exchange/location.py:88 serve"),
            ([FLUSH, FIRED, SERVE], "store/commits.py:120 flush < exchange/location.py:88 serve"),
            ([WAIT, FLUSH], "threading.py:327 wait < store/commits.py:120 flush"),
            ([FIRED], "twisted/internet/defer.py:701 _runCallbacks"),
            ([Frame("<string>", 3, "<module>")], "<string>:3 <module>"),
            (deep, " < ".join(f"a.py:{at} f{at}" for at in range(6))),
            ([WAIT] * 9, " < ".join(["threading.py:327 wait"] * 6)),
            ([], LOOP_ITSELF),
        ):
            self.assertEqual(culprit([*stack, *UNDER], UNDER, ROOT).text, text)

    def test_under(self) -> None:
        """The loop's own calls are not told, whichever line they are at; calls above them are."""
        moved = Frame(RUN.file, 260, RUN.name)
        for stack, text in (
            ([moved, WORKER], LOOP_ITSELF),
            ([SERVE, moved, WORKER], "exchange/location.py:88 serve"),
            # A loop that turns another way than it did for the beat.
            ([FLUSH, FIRED, WORKER], "store/commits.py:120 flush"),
            ([FLUSH], "store/commits.py:120 flush"),
        ):
            self.assertEqual(culprit(stack, UNDER, ROOT).text, text)
        self.assertIn("ops/worker.py:114 run", culprit([FLUSH, *UNDER], (), ROOT).text)

    def test_places(self) -> None:
        """A function is one place, whatever line, whatever it called, whoever called it."""

        def place(*stack):
            return culprit([*stack, *UNDER], UNDER, ROOT).place

        other = Frame(FLUSH.file, 7, FLUSH.name)
        self.assertEqual(place(FLUSH, SERVE), place(other))
        self.assertEqual(place(FLUSH), place(WAIT, FLUSH))
        different = {place(FLUSH), place(SERVE), place(WAIT), place(FIRED), place()}
        self.assertEqual(len(different), 5)

    def test_collections(self) -> None:
        """A collection is named with its generation, and is no hold of the code around it."""
        pause = Pause(10.0, 10.5, 2)
        self.assertEqual(collecting(pause).text, "garbage collection, generation 2")
        self.assertNotEqual(collecting(pause).place, collecting(Pause(0, 1, 1)).place)
        for start, end, left in (
            (10.0, 10.5, 0.0),
            (9.5, 11.0, 1.0),
            (10.25, 11.0, 0.5),
            (9.0, 10.25, 1.0),
            (8.0, 9.0, 1.0),
            (11.0, 12.0, 1.0),
        ):
            self.assertEqual(held(start, end, [pause]), left, (start, end))
        self.assertEqual(held(9.0, 12.0, [pause, Pause(11.0, 11.25, 0)]), 2.25)


class Ration(SynchronousTestCase):
    """One line a second for a place."""

    def test_counts(self) -> None:
        """The first is told at once; the rest of its second is counted and told after it."""
        notes = StallNotes()
        flush, serve = Culprit("commits.py:120 flush", "a"), Culprit("location.py:88 serve", "b")
        later = Culprit("commits.py:121 flush", "a")
        steps = [
            (0.0, flush, 0.038, ["event loop held for 38 ms: commits.py:120 flush"]),
            (0.1, flush, 0.040, []),
            (0.2, serve, 0.006, ["event loop held for 6 ms: location.py:88 serve"]),
            (0.9, later, 0.020, []),
            (0.9, None, 0, []),
            (
                1.0,
                flush,
                0.007,
                [
                    "event loop held 2 times more, for up to 40 ms: commits.py:121 flush",
                    "event loop held for 7 ms: commits.py:120 flush",
                ],
            ),
            (1.5, flush, 0.009, []),
            (1.9, None, 0, []),
            (2.5, None, 0, ["event loop held once more, for up to 9 ms: commits.py:120 flush"]),
            (9.0, None, 0, []),
        ]
        for now, what, seconds, lines in steps:
            told = notes.due(now)
            if what is not None:
                told += notes.note(what, seconds, now)
            self.assertEqual(told, lines, now)

    def test_work(self) -> None:
        """Where it is known, it is told how much of a hold was work, never more than all of it."""
        for computing, queued, end in (
            (0.003, None, " (3 ms of it computing)"),
            (0.5, None, " (38 ms of it computing)"),
            (0.0, 0.0, " (0 ms of it computing)"),
            (0.003, 0.009, " (3 ms of it computing, 9 ms without a processor)"),
            (None, 0.5, " (38 ms without a processor)"),
            (None, None, ""),
        ):
            told = StallNotes().note(Culprit("x", "x"), 0.038, 0.0, Spent(computing, queued))
            self.assertEqual(told, [f"event loop held for 38 ms: x{end}"])

    def test_rest(self) -> None:
        """What is not told at the end is told then, once."""
        notes = StallNotes()
        for _ in range(3):
            notes.note(Culprit("x", "x"), 0.25, 0.0)
        notes.note(Culprit("y", "y"), 0.25, 0.0)
        self.assertEqual(notes.rest(), ["event loop held 2 times more, for up to 250 ms: x"])
        self.assertEqual(notes.rest(), [])

    @settings(deadline=None, max_examples=200)
    @given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2000)), max_size=60))
    def test_none_is_lost(self, holds) -> None:
        """Every hold is told or counted; no place has two lines of its own in a second."""
        notes, now, lines, first = StallNotes(), 0.0, [], {}
        for place, after in holds:
            now += after / 1000
            lines += notes.due(now)
            told = notes.note(Culprit(place, place), 0.01, now)
            for _ in told:
                self.assertGreaterEqual(now - first.get(place, -1.0), 1.0)
                first[place] = now
            lines += told
        lines += notes.rest()
        counts = [
            1 if " for 10 ms" in line else 1 if " once " in line else int(line.split()[3])
            for line in lines
        ]
        self.assertEqual(sum(counts), len(holds))
