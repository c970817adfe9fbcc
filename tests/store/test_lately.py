"""Entries that were used lately: not read twice, never older than the index, and not too many."""

import shutil

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.store import Limits
from s3shield.store.lately import Lately
from s3shield.store.record import Entry, encode

from .support import HEAD, StoreTests, digest_of, meta
from .test_sharing import Worker

LIMIT = 20_000


def entry_of(key, size):
    """An entry with an inline body of so many bytes."""
    return Entry(encode(meta(), HEAD, key, body=bytes(size)), digest_of(key))


class LatelyTests(SynchronousTestCase):
    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3000)), max_size=200))
    def test_bounded(self, used):
        """Neither generation holds more than the limit, whatever is added or replaced."""
        lately = Lately(LIMIT)
        for number, size in used:
            entry = entry_of(b"%d" % number, size)
            lately.add(entry)
            self.assertIs(lately.young[entry.digest], entry)
            for generation in (lately.young, lately.old):
                self.assertLessEqual(sum(e.memory for e in generation.values()), LIMIT)

    def test_larger_than_all(self):
        """One that is larger than the limit is alone in its generation."""
        lately = Lately(LIMIT)
        lately.add(entry_of(b"a", 10))
        lately.add(entry_of(b"b", LIMIT))
        self.assertEqual(
            [list(lately.young), list(lately.old)], [[digest_of(b"b")], [digest_of(b"a")]]
        )

    def test_memory(self):
        """An inline body is held once, and the record can still be had."""
        entry = entry_of(b"a", 30_000)
        self.assertLess(entry.memory, 32_000)
        self.assertEqual(entry.raw, encode(meta(), HEAD, b"a", body=bytes(30_000)))


class LookupTests(StoreTests, SynchronousTestCase):
    def test_same_object_until_a_commit(self):
        """While nothing is committed a lookup gives the same object, afterwards another."""
        store = self.make_store(shared=False)
        self.put(store, b"key")
        store.flush()
        first = self.get(store, b"key")
        self.assertIs(self.get(store, b"key"), first)
        self.put(store, b"other")
        store.flush()
        second = self.get(store, b"key")
        self.assertIsNot(second, first)
        self.assertEqual(second.raw, first.raw)

    def test_evicted(self):
        """An entry that was just used and is evicted is not found."""
        store = self.make_store(shared=False)
        self.put(store, b"key")
        store.flush()
        self.assertIsNotNone(self.get(store, b"key"))
        store.keep_within(Limits(max_size=0, min_free=0, inactive=None))
        self.wait_for_sweeps(store)
        self.assertIsNone(self.get(store, b"key"))

    def test_other_process(self):
        """What another process has replaced, or purged from the index, is seen at once."""
        store = self.make_store()
        worker = Worker(self.path)
        self.addCleanup(worker.end)
        self.put(store, b"key", b"one")
        store.flush()
        for _ in range(2):
            self.assertEqual(self.get(store, b"key").body, b"one")
            self.assertEqual(worker(b"get", b"key"), b"one")
        worker(b"put", b"key", b"two")
        worker(b"flush")
        for _ in range(2):
            self.assertEqual(self.get(store, b"key").body, b"two")
        self.assertEqual(worker(b"purge", b"all"), b"1")
        self.assertIsNone(self.get(store, b"key"))

    def test_deleted_and_opened_anew(self):
        """The snapshots of a new index are not taken for those of the one before."""
        store = self.make_store(shared=False)
        self.put(store, b"key")
        store.flush()
        found = self.get(store, b"key")
        shutil.rmtree(self.path)
        store._place.index.reopen()
        while True:
            self.put(store, b"other")
            store.flush()
            self.assertIsNone(self.get(store, b"key"))
            if self.get(store, b"other").seen >= found.seen + 2:
                break
