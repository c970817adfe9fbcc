"""Writes in groups: each call's own result, in order, never more than two groups at a time."""

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from s3shield.store.together import Together


class Slow:
    """Threads that begin when they are told to."""

    def __init__(self):
        self.waiting = []

    def __call__(self, function, *args):
        done = Deferred()
        self.waiting.append((done, function, args))
        return done

    def step(self):
        """Let the oldest call run and end."""
        done, function, args = self.waiting.pop(0)
        done.callback(function(*args))


class TogetherTests(SynchronousTestCase):
    def setUp(self):
        """Nothing runs yet."""
        self.threads = Slow()
        self.together = Together(self.threads)
        self.order = []

    def call(self, name):
        """Ask for one call that notes when it ran."""
        return self.together(lambda: self.order.append(name) or name)

    def test_at_once(self):
        """With little to do nothing waits for others."""
        first, second = self.call(1), self.call(2)
        self.assertEqual(len(self.threads.waiting), 2)
        self.threads.step()
        self.assertEqual(self.successResultOf(first), 1)
        self.assertNoResult(second)
        self.threads.step()
        self.assertEqual(self.successResultOf(second), 2)

    def test_groups(self):
        """What comes while two are at work goes as one, in its order."""
        done = [self.call(number) for number in range(7)]
        self.assertEqual(len(self.threads.waiting), 2)
        self.threads.step()
        self.assertEqual(len(self.threads.waiting), 2)
        self.threads.step()
        self.threads.step()
        self.assertEqual(self.threads.waiting, [])
        self.assertEqual(self.order, list(range(7)))
        self.assertEqual([self.successResultOf(each) for each in done], list(range(7)))

    def test_failure(self):
        """One that fails does not touch the others of its group."""
        self.call(0), self.call(1)
        good = self.call("good")
        bad = self.together(lambda: 1 // 0)
        after = self.call("after")
        for _ in range(3):
            self.threads.step()
        self.assertEqual(self.successResultOf(good), "good")
        self.failureResultOf(bad, ZeroDivisionError)
        self.assertEqual(self.successResultOf(after), "after")

    def test_pool_fails(self):
        """When no thread can be had each call fails, and the next ones are tried."""
        first = self.call(0)
        self.threads.waiting.pop()[0].errback(Failure(RuntimeError("no threads")))
        self.failureResultOf(first, RuntimeError)
        again = self.call(1)
        self.threads.step()
        self.assertEqual(self.successResultOf(again), 1)

    def test_from_a_result(self):
        """A call that another's result asks for is not lost."""
        first = self.call(0)
        first.addCallback(lambda _: self.call("next"))
        self.threads.step()
        self.threads.step()
        self.assertEqual(self.successResultOf(first), "next")
