"""Clients that wait for another worker's fetch, when it is over."""

from __future__ import annotations

from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange.elsewhere import Elsewhere
from s3shield.store import Claim, Outcome


class Waiter:
    """A transaction that waits."""

    rounds = 0

    def __init__(self, name: str) -> None:
        self.name = name

    def watch(self, gone) -> None:
        """Keep what is to be called when the client leaves."""
        self.leave = gone

    def wait_no_longer(self) -> None:
        """Have no timer."""


class HandOutTests(SynchronousTestCase):
    """Many see further in several turns of the loop."""

    def wait(self, outcome: Outcome | None) -> None:
        """Let five wait, and the loop be busy after every second of them."""
        self.told, self.soon, asked = [], [], iter(range(100))
        around = SimpleNamespace(
            clock=lambda: 5.0,
            over=lambda: next(asked) % 3 == 2,
            call_soon=self.soon.append,
        )
        location = SimpleNamespace(
            around=around,
            zone=SimpleNamespace(flights={}, mark_unstored=lambda *_: None),
            pass_on=lambda waiter, _reason: self.told.append(waiter.name),
        )
        claim = Claim(ident=b"i" * 16, time=1.0)
        elsewhere = Elsewhere(location, SimpleNamespace(digest=b"d"), None, claim)
        elsewhere._serve = lambda waiter, _since: self.told.append(waiter.name)
        self.waiters = {name: Waiter(name) for name in "abcde"}
        for waiter in self.waiters.values():
            self.assertTrue(elsewhere.join(waiter))
        over = None if outcome is None else Claim(ident=b"i" * 16, time=1.0, outcome=outcome)
        elsewhere.over(over)

    def test_turns(self) -> None:
        """Each goes on once, in the order in which they came; who has left does not."""
        for outcome in (None, Outcome.ALONE):
            self.wait(outcome)
            self.assertEqual(self.told, ["a", "b"])
            self.assertFalse(self.waiters["b"].leave())
            self.assertTrue(self.waiters["d"].leave())
            while self.soon:
                self.soon.pop()()
            self.assertEqual(self.told, ["a", "b", "c", "e"])
