"""The evictor: limits are kept, by one process at a time."""

import threading

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from s3shield.store import Evictor, Limits

from .support import StoreTests, digest_of
from .test_sharing import Worker


class EvictorTests(StoreTests, SynchronousTestCase):
    def evictor(self, store, **limits):
        """Start an evictor on a clock of its own."""
        self.clock = Clock()
        evictor = Evictor(store, self.clock, Limits(**limits))
        evictor.start()
        self.addCleanup(evictor.stop)
        return evictor

    def turn(self, store):
        """Let a second go by, and the sweep it starts be done."""
        self.clock.advance(1)
        self.wait_for_sweeps(store)

    def test_oldest_first(self):
        """Beyond its size, the least recently used entries go until 98 % are left."""
        store = self.make_store()
        for number in range(100):
            self.now += 60
            self.put(store, b"%02d" % number, b"x" * 1000)
        self.now += 60
        store.touch(digest_of(b"00"))
        store.flush()
        self.put(store, b"new")
        store.flush()
        size = store.stats().size
        evictor = self.evictor(store, max_size=size)
        self.turn(store)
        evictor.stop()
        self.assertEqual(store.stats().entries, 101)
        self.evictor(store, max_size=size // 2)
        self.turn(store)
        stats = store.stats()
        self.assertLessEqual(stats.size, size // 2 * 0.98)
        self.assertGreater(stats.size, size // 2 * 0.94)
        self.assertIsNotNone(self.get(store, b"00"))
        left = [number for number in range(1, 100) if self.get(store, b"%02d" % number)]
        self.assertEqual(left, list(range(100 - len(left), 100)))

    def test_many_steps(self):
        """More entries than one transaction takes go in several."""
        store = self.make_store()
        for number in range(1500):
            self.put(store, b"%d" % number, b"")
        store.flush()
        self.evictor(store, max_size=10_000)
        self.turn(store)
        self.assertLessEqual(store.stats().size, 9_800)
        self.assertGreater(store.stats().entries, 10)

    def test_files_are_deleted(self):
        """A body file goes with its entry."""
        store = self.make_store()
        for number in range(10):
            self.now += 60
            self.put_file(store, b"%d" % number, b"x" * 10_000)
        store.flush()
        self.evictor(store, max_size=70_000)
        self.turn(store)
        entries = store.stats().entries
        self.assertLess(entries, 7)
        self.assertEqual(len(self.files("blobs")), entries)

    def test_inactive(self):
        """Entries that nobody used for the time go, whatever the size."""
        store = self.make_store()
        self.put(store, b"old")
        self.put(store, b"used")
        store.flush()
        self.evictor(store, inactive=3600)
        self.now += 3000
        store.touch(digest_of(b"used"))
        self.put(store, b"new")
        store.flush()
        self.turn(store)
        self.assertEqual(store.stats().entries, 3)
        self.now += 900
        self.turn(store)
        self.assertEqual(store.stats().entries, 2)
        self.assertIsNone(self.get(store, b"old"))

    def test_one_at_a_time(self):
        """Only one process evicts; when it stops, or is deleted under, another may."""
        store = self.make_store()
        first = self.evictor(store, max_size=0)
        second = self.evictor(store, max_size=0)
        self.assertEqual((first.elected, second.elected), (True, False))
        first.stop()
        self.clock.advance(1)
        self.assertFalse(second.elected)
        self.clock.pump([1] * 5)
        self.assertTrue(second.elected)
        (self.path / "evictor.lock").unlink()
        third = self.evictor(store, max_size=0)
        self.assertTrue(third.elected)

    def test_others_see_it(self):
        """An entry that one process evicts is a miss in the others."""
        store = self.make_store()
        worker = Worker(self.path)
        self.addCleanup(worker.end)
        self.put(store, b"key")
        store.flush()
        self.assertEqual(worker(b"get", b"key"), b"hello")
        self.evictor(store, max_size=0)
        self.turn(store)
        self.assertEqual(worker(b"get", b"key"), b"none")

    def test_beside_stores(self):
        """A long sweep does not hold up what is stored meanwhile."""
        store = self.make_store()
        for number in range(3000):
            self.put(store, b"%d" % number, b"")
        store.flush()
        self.now += 60
        swept = threading.Event()
        store.keep_within(Limits(max_size=0)).addCallback(lambda _: swept.set())
        self.put(store, b"new")
        store.flush()
        self.assertTrue(swept.wait(30))
        self.assertEqual(self.troubles, [])
