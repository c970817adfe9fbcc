"""One timer for many moving deadlines."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from s3shield.wire.deadlines import Deadlines


class Item:
    """Looked at; says when next."""

    def __init__(self, deadline):
        self.deadline = deadline
        self.looks = []

    def look(self, now):
        """Note it; say when to look again."""
        self.looks.append(now)
        return None if now >= self.deadline else self.deadline


class DeadlinesTests(SynchronousTestCase):
    def setUp(self):
        """Make what each test needs."""
        self.clock = Clock()
        self.deadlines = Deadlines(self.clock, self.clock.seconds)

    def test_moves(self):
        """A deadline that moved on is looked at when it was due, and when it is."""
        item = Item(5.0)
        self.deadlines.watch(item, 5.0)
        item.deadline = 9.5
        self.clock.pump([1] * 8)
        self.assertEqual(item.looks, [5.0])
        self.clock.pump([1] * 8)
        self.assertEqual(item.looks, [5.0, 10.0])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_earlier(self):
        """Watching again replaces the time, in either direction."""
        item = Item(0.0)
        self.deadlines.watch(item, 100.0)
        self.deadlines.watch(item, 3.0)
        self.clock.pump([1] * 10)
        self.assertEqual(item.looks, [3.0])

    def test_forget(self):
        """What is forgotten is not looked at, not even by a look in the same second."""
        one, two = Item(2.0), Item(2.0)

        def look(now):
            self.deadlines.forget(two if one.looks == [] else one)
            return Item.look(one, now)

        one.look = look
        two.look = lambda now: (self.deadlines.forget(one), Item.look(two, now))[1]
        self.deadlines.watch(one, 2.0)
        self.deadlines.watch(two, 2.0)
        self.deadlines.forget(Item(1.0))
        self.clock.pump([1] * 5)
        self.assertEqual(len(one.looks) + len(two.looks), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_timer(self):
        """However many are watched, one call is armed; none when none is."""
        items = [Item(50.0) for _ in range(100)]
        for number, item in enumerate(items):
            self.deadlines.watch(item, number % 7 + 1.0)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.pump([1] * 20)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        for item in items:
            self.deadlines.forget(item)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @settings(deadline=None, max_examples=100)
    @given(
        st.lists(st.tuples(st.floats(0.1, 50), st.floats(0.1, 100)), max_size=20),
        st.lists(st.floats(0.1, 20), max_size=10),
    )
    def test_never_early_and_never_lost(self, items, waits):
        """Each is looked at not before its time and, once a second has passed, surely."""
        clock = Clock()
        deadlines = Deadlines(clock, clock.seconds)
        watched = [(first, Item(first + more)) for first, more in items]
        for first, item in watched:
            deadlines.watch(item, first)
        for wait in waits:
            clock.advance(wait)
        for first, item in watched:
            self.assertTrue(all(look >= first for look in item.looks))
            if clock.seconds() > first + 21:
                self.assertTrue(item.looks)
        for _ in range(200):
            clock.advance(1)
        for _, item in watched:
            self.assertGreaterEqual(item.looks[-1], item.deadline)
        self.assertEqual(clock.getDelayedCalls(), [])
