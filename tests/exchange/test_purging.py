"""Many purges at once: begun a group at a time."""

from types import SimpleNamespace

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange.purging import Purger
from s3shield.store import StoreError


class GroupTests(SynchronousTestCase):
    """A list of tags, however long, does not hold the event loop."""

    def setUp(self) -> None:
        """Make a store that purges when the test says so."""
        self.running: list[Deferred[int]] = []
        self.named: list[bytes] = []
        self.purger = Purger(None, [SimpleNamespace(store=self), None])

    def purge(self, selector, *, soft, dry):
        """Begin one, as a store."""
        self.assertEqual((soft, dry), (True, False))
        self.named.append(selector.text)
        self.running.append(Deferred())
        return self.running[-1]

    def test_groups(self) -> None:
        """Fifty are begun in a turn; all are in the end, and what went is summed up."""
        tags = [b"%d" % number for number in range(120)]
        done = self.purger.tags([*tags, *tags], soft=True)
        for group in (50, 50, 20):
            self.assertEqual(len(self.running), group)
            self.assertNoResult(done)
            running, self.running = self.running, []
            for each in running:
                each.callback(2)
        self.assertEqual((self.successResultOf(done), self.named), (240, tags))

    def test_failure(self) -> None:
        """The first that fails is told, as it is, and no further group is begun."""
        done = self.purger.tags([b"%d" % number for number in range(60)], soft=True)
        self.running[3].errback(StoreError("no room"))
        failure = self.failureResultOf(done, StoreError)
        self.assertEqual(str(failure.value), "no room")
        self.assertEqual(len(self.running), 50)
