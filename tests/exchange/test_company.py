"""Those who wait for one flight, and how they get what it brought."""

from __future__ import annotations

from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange.company import Company


class Waiter:
    """A transaction of which only its leaving matters."""

    def __init__(self, name: str) -> None:
        self.name = name

    def watch(self, gone) -> None:
        """Keep what is to be called when the client leaves."""
        self.leave = gone


class HandOutTests(SynchronousTestCase):
    """Many are answered in several turns of the loop."""

    def setUp(self) -> None:
        """Let five wait; the loop is busy after every second of them."""
        self.told, self.deserted, self.soon = [], [], []
        waiting = [Waiter(name) for name in "abcde"]
        self.company = Company([], lambda: self.deserted.append(True))
        for each in waiting:
            self.company.add(each)
        self.waiters = {each.name: each for each in waiting}
        self.asked = 0
        self.around = SimpleNamespace(over=self.over, call_soon=self.soon.append)

    def over(self) -> bool:
        """Tell that two have been answered in this turn."""
        self.asked += 1
        return self.asked % 3 == 0

    def give(self, number: int, waiter: Waiter) -> None:
        """Answer one."""
        self.told.append((number, waiter.name))

    def turn(self) -> None:
        """Let the loop turn."""
        soon, self.soon[:] = list(self.soon), []
        for each in soon:
            each()

    def test_turns(self) -> None:
        """Each is answered once, in the order in which they came."""
        self.company.hand_out(self.around, self.give)
        counts = [len(self.told)]
        while self.soon:
            self.turn()
            counts.append(len(self.told))
        self.assertEqual(counts, [2, 4, 5])
        self.assertEqual(self.told, list(enumerate("abcde")))
        self.assertFalse(self.company)

    def test_leaving_between(self) -> None:
        """Who leaves before its turn was waiting still, and is not answered."""
        self.company.hand_out(self.around, self.give)
        self.assertFalse(self.waiters["a"].leave())
        self.assertTrue(self.waiters["d"].leave())
        self.turn()
        self.assertEqual(self.told, list(enumerate("abce")))
        self.assertEqual(self.deserted, [])

    def test_nobody_is_left(self) -> None:
        """When all the others leave there is nothing more to do."""
        self.company.hand_out(self.around, self.give)
        for name in "cde":
            self.waiters[name].leave()
        self.turn()
        self.assertEqual((self.told, self.soon), ([(0, "a"), (1, "b")], []))
        self.assertEqual(self.deserted, [True])
