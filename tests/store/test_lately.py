"""Entries that were used lately: not read twice, never older than the index, and not too many."""

import errno
import os
import shutil
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.store import Limits
from s3shield.store.lately import Lately
from s3shield.store.latest import shared_number
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
        lately = Lately([0], LIMIT)
        for number, size in used:
            entry = entry_of(b"%d" % number, size)
            lately.add(entry)
            self.assertIs(lately.young[entry.digest], entry)
            for generation in (lately.young, lately.old):
                self.assertLessEqual(sum(e.memory for e in generation.values()), LIMIT)

    def test_larger_than_all(self):
        """One that is larger than the limit is alone in its generation."""
        lately = Lately([0], LIMIT)
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


class LatestTests(StoreTests, SynchronousTestCase):
    def latest(self):
        """What the shared page says."""
        return int.from_bytes((self.path / "index" / "latest").read_bytes(), sys.byteorder)

    def test_no_transaction(self):
        """While nothing is committed a lookup of what was read lately takes no transaction."""
        store = self.make_store()
        self.put(store, b"key")
        store.flush()
        found = self.get(store, b"key")
        self.assertEqual(self.latest(), found.seen)
        self.patch(store._place.index, "_begin", None)
        self.assertIs(self.get(store, b"key"), found)

    def test_died_before_the_commit(self):
        """A number that no commit followed, or an old one: the index is asked, and answers."""
        store = self.make_store()
        self.put(store, b"key", b"one")
        store.flush()
        page = shared_number(self.path / "index" / "latest")
        number = page[0]
        for wrong in (number + 1, number - 1, 0):
            page[0] = wrong
            self.assertEqual(self.get(store, b"key").body, b"one")
        self.put(store, b"key", b"two")
        store.flush()
        self.assertEqual(self.get(store, b"key").body, b"two")
        self.assertEqual(page[0], self.get(store, b"key").seen)

    def test_opened_again(self):
        """A second process that opens the directory does not make the first one's memory void."""
        store = self.make_store()
        self.put(store, b"key")
        store.flush()
        found = self.get(store, b"key")
        worker = Worker(self.path)
        self.addCleanup(worker.end)
        self.assertEqual(self.latest(), found.seen)
        self.assertEqual(worker(b"get", b"key"), found.body)

    def test_full_disk(self):
        """A page that finds no room is an error when it is made, not a signal later."""
        self.patch(os, "pwrite", _no_room)
        with self.assertRaises(OSError):
            shared_number(Path(self.mktemp()))


def _no_room(_handle, _data, _offset):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
