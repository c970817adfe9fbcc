"""Readers of bodies share a slice of each turn of the event loop."""

from __future__ import annotations

from functools import partial

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange.turns import SLICE, Turns

STEP = SLICE / 3.5
"""What a piece takes here: four of them use up a slice."""


class TurnTests(SynchronousTestCase):
    """A loop of which the test makes the turns."""

    def setUp(self) -> None:
        """Begin with nothing to do."""
        self.clock = Clock()
        self.clock.advance(1000)
        self.soon = []
        self.turns = Turns(self.soon.append, self.clock.seconds)
        self.copied = []

    def copy(self, name: str, pieces: int) -> None:
        """Be a reader: copy pieces until the turn is over."""
        while pieces:
            if self.turns.over():
                self.turns.later(partial(self.copy, name, pieces))
                return
            self.copied.append(name)
            self.clock.advance(STEP)
            pieces -= 1

    def turn(self) -> str:
        """Let the loop turn once; return what was copied since the last time."""
        soon, self.soon[:] = list(self.soon), []
        for each in soon:
            each()
        copied, self.copied = "".join(self.copied), []
        return copied

    def test_shared(self) -> None:
        """Who comes after the slice waits; turns go round; nobody is forgotten."""
        for name in "abc":
            self.copy(name, 5)
        self.assertEqual(self.copied, ["a"] * 4)
        self.copied.clear()
        self.assertEqual([self.turn() for _ in range(4)], ["abbb", "cccc", "bbc", ""])
        self.assertEqual(self.soon, [])

    def test_order(self) -> None:
        """What waits longest goes first, also before what has just come."""
        for name in "abcdefgh":
            self.turns.later(partial(self.copy, name, 1))
        self.assertEqual(self.turn(), "abcd")
        self.copy("x", 1)
        self.assertEqual(self.turn(), "efgh")
        self.assertEqual(self.turn(), "x")

    def test_quiet(self) -> None:
        """One that finds the loop at rest waits for nothing, and asks for no turn."""
        for _ in range(3):
            self.copy("a", 4)
            self.clock.advance(SLICE * 2)
        self.assertEqual((len(self.copied), self.soon), (12, []))

    def test_again(self) -> None:
        """Who asks while there is room has it in the same turn; none is made for nobody."""

        def again() -> None:
            self.copied.append("a")
            if len(self.copied) < 3:
                self.turns.later(again)

        self.turns.later(again)
        self.assertEqual((self.turn(), self.soon), ("aaa", []))

    def test_a_long_piece(self) -> None:
        """One piece that takes more than a slice is one a turn."""
        for name in "abc":
            self.turns.later(lambda name=name: (self.copied.append(name), self.clock.advance(1)))
        self.assertEqual([self.turn() for _ in range(3)], ["a", "b", "c"])
        self.assertEqual(self.soon, [])

    def test_failure(self) -> None:
        """One that raises takes nobody's turn away."""

        def broken() -> None:
            raise ValueError

        self.turns.later(broken)
        self.turns.later(partial(self.copy, "a", 1))
        with self.assertRaises(ValueError):
            self.turn()
        self.assertEqual(self.turn(), "a")
